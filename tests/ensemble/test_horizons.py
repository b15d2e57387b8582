"""Targets with an axis for the horizon and one for the series, through ensembles."""

import pickle

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score

from ensemble.members import Returns
from sklstm import DeepLSTMRegressor, WeightedEnsembleRegressor
from sklstm.model_selection import make_horizon


@pytest.mark.parametrize("weights", [None, "auto", "inverse_loss"])
def test_targets_of_a_horizon_and_several_series(weights):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(160, 2)).cumsum(axis=0)
    rows, targets = make_horizon(X, 3)
    settings = {"sequence_length": 4, "max_iter": 2, "random_state": 0}
    members = [("small", DeepLSTMRegressor(3, **settings)), ("large", DeepLSTMRegressor(5, **settings))]
    model = WeightedEnsembleRegressor(members, weights=weights, cv=3).fit(X[rows], targets)
    assert model.n_outputs_ == 6
    answer = model.predict(X[~rows], context=X[rows])
    assert answer.shape == (3, 3, 2)
    alone = [member.fit(X[rows], targets).predict(X[~rows], context=X[rows]) for _, member in members]
    np.testing.assert_allclose(answer, np.einsum("mrht,m->rht", alone, model.weights_), rtol=1e-12)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict(X[~rows], context=X[rows]), answer)
    flat = targets.reshape(len(targets), -1)
    score = r2_score(flat, model.predict(X[rows]).reshape(len(flat), -1))
    assert model.score(X[rows], targets) == pytest.approx(score)
    if weights is not None:
        assert model.oof_predictions_.shape == (len(model.oof_indices_), 2, 3, 2)
        errors = targets[model.oof_indices_][:, None] - model.oof_predictions_
        np.testing.assert_allclose(model.oof_losses_, (errors**2).mean(axis=(0, 2, 3)))


def test_a_loss_of_ones_own_gets_one_axis_of_outputs():
    targets = np.random.default_rng(0).normal(size=(60, 3, 2))
    members = [("a", Returns(lambda X: np.zeros((len(X), 3, 2)))), ("b", Returns(lambda X: np.ones((len(X), 3, 2))))]
    model = WeightedEnsembleRegressor(members, weights="auto", weights_loss=mean_absolute_error, shrinkage=0)
    model.fit(np.zeros((60, 1)), targets)
    rows = model.oof_indices_
    expected = [np.abs(targets[rows]).mean(), np.abs(targets[rows] - 1).mean()]
    np.testing.assert_allclose(model.oof_losses_, expected)


def test_members_must_take_both_axes():
    targets = np.zeros((60, 3, 2))
    with pytest.raises(ValueError, match=r"dim 3[\s\S]*Member 'ridge'"):
        WeightedEnsembleRegressor([("ridge", Ridge())]).fit(np.zeros((60, 1)), targets)
    flat = WeightedEnsembleRegressor([("flat", Returns(lambda X: np.zeros((len(X), 6))))])
    with pytest.raises(ValueError, match=r"predictions of shape \(60, 6\) where \(60, 3, 2\) was expected"):
        flat.fit(np.zeros((60, 1)), targets).predict(np.zeros((60, 1)))


def test_quantiles_keep_both_axes():
    rng = np.random.default_rng(0)
    X, targets = rng.normal(size=(80, 2)), rng.normal(size=(80, 3, 2))
    settings = {"loss": "quantile", "quantile": [0.1, 0.5, 0.9], "sequence_length": 4, "max_iter": 2, "random_state": 0}
    members = [("small", DeepLSTMRegressor(3, **settings)), ("large", DeepLSTMRegressor(5, **settings))]
    model = WeightedEnsembleRegressor(members).fit(X, targets)
    alone = [member.fit(X, targets).predict_quantiles(X) for _, member in members]
    assert alone[0].shape == (80, 3, 2, 3)
    np.testing.assert_allclose(model.predict_quantiles(X), (alone[0] + alone[1]) / 2, rtol=1e-12)
