"""`predict_quantiles` of an ensemble: the weighted mean of each quantile over the members."""

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import Ridge

from sklstm import DeepRNNRegressor, WeightedEnsembleClassifier, WeightedEnsembleRegressor

RNG = np.random.default_rng(1)
X = RNG.normal(size=(80, 2))
Y = X[:, 0] + RNG.normal(size=80)
LEVELS = [0.2, 0.5, 0.8]


def network(seed=0, **parameters):
    small = {"hidden_size": 4, "sequence_length": 3, "max_iter": 2, "learning_rate_init": 0.05, "n_jobs": 1}
    return DeepRNNRegressor(**{**small, "loss": "quantile", "quantile": LEVELS, "random_state": seed, **parameters})


def ensemble(members, y=Y, **parameters):
    named = [(f"m{k}", member) for k, member in enumerate(members)]
    return WeightedEnsembleRegressor(named, **parameters).fit(X, y)


class Bands(RegressorMixin, BaseEstimator):
    """Answers with fixed numbers."""

    def __init__(self, shape=(3,)):
        self.shape = shape

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X):
        return np.zeros(len(X))

    def predict_quantiles(self, X):
        return np.broadcast_to(np.arange(np.prod(self.shape)).reshape(self.shape), (len(X), *self.shape))


@pytest.mark.parametrize("weights", [None, (0.2, 0.3, 0.5)])
def test_the_weighted_mean_of_each_quantile(weights):
    model = ensemble([network(0), network(1, cell="gru"), network(2)], weights=weights)
    expected = sum(w * m.predict_quantiles(X) for w, m in zip(model.weights_, model.estimators_, strict=True))
    found = model.predict_quantiles(X)
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    assert (np.diff(found, axis=1) >= 0).all()
    np.testing.assert_allclose(found[:, 1], model.predict(X), rtol=1e-13)
    assert np.array_equal(model.predict_quantiles(X[40:], context=X[:40]), found[40:])


def test_several_outputs_and_conformal_members():
    several = np.column_stack([Y, -10.0 * Y])
    members = [network(0, conformal=True, early_stopping=True, validation_fraction=0.2), network(1, n_seeds=2)]
    model = ensemble(members, several)
    found = model.predict_quantiles(X)
    assert found.shape == (80, 2, 3)
    np.testing.assert_allclose(found, np.mean([m.predict_quantiles(X) for m in model.estimators_], axis=0), rtol=1e-13)


def test_groups_go_to_the_members():
    groups = np.repeat(["a", "b"], 40)
    model = WeightedEnsembleRegressor([("one", network(0)), ("two", network(1))]).fit(X, Y, groups=groups)
    expected = np.mean([m.predict_quantiles(X, groups=groups) for m in model.estimators_], axis=0)
    np.testing.assert_allclose(model.predict_quantiles(X, groups=groups), expected, rtol=1e-13)
    with sklearn.config_context(enable_metadata_routing=True):
        members = [
            (f"m{k}", network(k).set_fit_request(groups=True).set_predict_request(groups=True)) for k in range(2)
        ]
        routed = WeightedEnsembleRegressor(members).fit(X, Y, groups=groups)
        np.testing.assert_allclose(routed.predict_quantiles(X, groups=groups), expected, rtol=1e-13)


def test_ensembles_of_ensembles_and_dropped_members():
    inner = WeightedEnsembleRegressor([("a", network(0)), ("b", network(1))])
    model = WeightedEnsembleRegressor([("inner", inner), ("c", network(2)), ("ridge", "drop")]).fit(X, Y)
    found = model.predict_quantiles(X)
    inner, last = model.estimators_
    np.testing.assert_allclose(found, (inner.predict_quantiles(X) + last.predict_quantiles(X)) / 2, rtol=1e-13)


def test_members_without_weight_are_not_asked():
    model = ensemble([network(0), Ridge()], weights=(1.0, 0.0))
    assert np.array_equal(model.predict_quantiles(X), model.estimators_[0].predict_quantiles(X))


def test_it_is_there_if_a_member_has_it():
    for made in (False, True):
        model = WeightedEnsembleRegressor([("a", Ridge()), ("b", network(loss="huber", quantile=0.5))])
        assert not hasattr(model.fit(X, Y) if made else model, "predict_quantiles")
        model = WeightedEnsembleRegressor([("a", Ridge()), ("b", network())])
        assert hasattr(model.fit(X, Y) if made else model, "predict_quantiles")
    assert not hasattr(WeightedEnsembleClassifier([("a", Ridge())]), "predict_quantiles")


def test_members_without_quantiles_are_named():
    model = ensemble([network(0), Ridge(), network(loss="huber", quantile=0.5)])
    with pytest.raises(ValueError, match=r"are without that method: 'm1' \(Ridge\), 'm2' \(DeepRNNRegressor\)\. Drop"):
        model.predict_quantiles(X)


def test_members_with_other_quantiles_are_named():
    model = ensemble([network(0), network(1, quantile=[0.1, 0.5, 0.9])])
    with pytest.raises(ValueError, match=r"different quantiles: 'm0' \[0.2, 0.5, 0.8\], 'm1' \[0.1, 0.5, 0.9\]"):
        model.predict_quantiles(X)
    inner = WeightedEnsembleRegressor([("a", network(0, quantile=[0.1, 0.5, 0.9]))])
    with pytest.raises(ValueError, match="different quantiles: 'm0'"):
        ensemble([network(0), inner]).predict_quantiles(X)


@pytest.mark.parametrize("shape", [(), (2,), (2, 3), (1, 2)])
def test_answers_of_another_shape(shape):
    model = ensemble([network(0), Bands(shape)])
    with pytest.raises(ValueError, match=r"'m1' \(Bands\) returned quantiles of shape .* where \(80, 3\) was expected"):
        model.predict_quantiles(X)


def test_any_regressor_with_the_method_may_be_a_member():
    model = ensemble([network(0), Bands()])
    expected = (model.estimators_[0].predict_quantiles(X) + [0.0, 1.0, 2.0]) / 2
    np.testing.assert_allclose(model.predict_quantiles(X), expected, rtol=1e-13)


def test_it_needs_a_fit():
    with pytest.raises(sklearn.exceptions.NotFittedError):
        WeightedEnsembleRegressor([("a", network())]).predict_quantiles(X)
