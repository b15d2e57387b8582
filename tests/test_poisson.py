"""The Poisson loss of the regressor: means of counts, their scale, zeros, streams, and what is refused."""

import math
import pickle

import numpy as np
import pytest
from estimator_case import as_read
from numpy.testing import assert_allclose, assert_array_equal
from reference.lstm import network_forward, table_windows
from sklearn.metrics import d2_tweedie_score, r2_score
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from stream_case import same

from sklstm import DeepLSTMRegressor

RNG = np.random.default_rng(1)
X = RNG.normal(size=(600, 2))
MEANS = np.exp(1.0 + 0.8 * X[:, 0] - 0.5 * np.roll(X[:, 1], 1))
COUNTS = RNG.poisson(MEANS).astype(float)


def make(**options):
    settings = {"hidden_size": 6, "sequence_length": 3, "max_iter": 3, "random_state": 0, "loss": "poisson"}
    return DeepLSTMRegressor(**{**settings, **options})


def test_it_learns_the_mean_of_counts():
    """Better than squared errors do, by the deviance and by the true means."""
    models = [
        make(loss=loss, max_iter=80, learning_rate_init=0.01).fit(X, COUNTS) for loss in ("poisson", "squared_error")
    ]
    poisson, squared = (model.predict(X) for model in models)
    assert (poisson > 0).all()
    assert np.log(poisson / MEANS).std() < 0.3 * np.log(MEANS).std()
    assert d2_tweedie_score(COUNTS, poisson, power=1) > 0.6
    assert ((poisson - MEANS) ** 2).mean() < ((squared - MEANS) ** 2).mean()
    assert 0.4 < models[0].best_validation_score_ < 1
    assert models[0].score(X, COUNTS) == r2_score(COUNTS, poisson)


def test_the_best_constant_is_the_weighted_mean():
    flat, weights = np.zeros((600, 1)), RNG.uniform(0.0, 3.0, 600)
    model = make(hidden_size=2, sequence_length=1, max_iter=60, learning_rate_init=0.02, learning_rate="cosine",
                 early_stopping=False, n_iter_no_change=60)  # fmt: skip
    found = model.fit(flat, COUNTS, sample_weight=weights).predict(flat[:1])
    assert_allclose(found, np.average(COUNTS, weights=weights), rtol=0.03)


@pytest.mark.parametrize("y", [COUNTS, 1e6 * COUNTS[:, np.newaxis], np.column_stack([COUNTS, 1e-9 * MEANS])])
def test_prediction_is_that_of_the_equations(y):
    model = make(dtype="float64").fit(X, y)
    assert_array_equal(model.target_mean_, np.zeros(y.shape[1:]))
    mean = y[: 600 - 60 - 2].mean(axis=0)  # of the training part
    assert_allclose(model.target_scale_, mean, rtol=1e-14)
    z = network_forward(model.parameters_, table_windows(as_read(model, X), 3)).z.reshape(y.shape)
    assert_allclose(model.predict(X), mean * np.exp(z), rtol=1e-10)


def test_the_unit_of_y_does_not_matter():
    plain, scaled = (make().fit(X, factor * COUNTS) for factor in (1.0, 2.0**20))
    assert plain.loss_curve_ == scaled.loss_curve_
    assert_array_equal(scaled.predict(X), 2.0**20 * plain.predict(X))


def test_the_training_loss_is_that_of_the_formula():
    """Of the first look at the data, in one batch."""
    y = COUNTS / COUNTS.mean()
    model = make(dtype="float64", batch_size=600, max_iter=1, early_stopping=False, learning_rate_init=1e-300)
    z = np.log(model.fit(X, COUNTS).predict(X) / COUNTS.mean())
    assert_allclose(model.loss_, (np.exp(z) - y * z).mean(), rtol=1e-12)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_targets_that_are_all_zero(early_stopping):
    y = np.column_stack([np.zeros(600), COUNTS])
    model = make(max_iter=100, learning_rate_init=0.02, early_stopping=early_stopping).fit(X, y)
    assert_allclose(model.target_scale_, [0.0, COUNTS[: 538 if early_stopping else 600].mean()], rtol=1e-14)
    assert (model.predict(X)[:, 0] == 0.0).all()
    assert d2_tweedie_score(COUNTS, model.predict(X)[:, 1], power=1) > 0.6
    assert np.isfinite(model.loss_curve_).all()
    # Alone, and with another constant than 0, which the network would come close to only.
    for constant in (0.0, 3.0, 0.1):
        alone = make(early_stopping=early_stopping).fit(X, np.full(600, constant))
        assert (alone.predict(X) == constant).all()
        assert (alone.target_mean_, alone.target_scale_) == (constant, 0.0)


@pytest.mark.isa
@pytest.mark.parametrize("two", [False, True])
@pytest.mark.parametrize("window", [False, True])
def test_streams_answer_as_predict_does(two, window):
    model = make().fit(X, np.column_stack([COUNTS, 5.0 * COUNTS]) if two else COUNTS)
    one, three = model.stream(window=window), model.stream(n_streams=3, window=window)
    for t in range(12):
        expected = model.predict(X[: t + 1])[-1:] if window else model.predict(X[np.newaxis, : t + 1])
        before = pickle.loads(pickle.dumps(one))
        assert same(one.step(X[t]), expected[0])
        out = np.empty(expected.shape[1:])
        before.step(X[t], out=out)
        assert same(out, expected[0])
        assert same(three.step(X[[t, t, t]]), np.repeat(expected, 3, axis=0))
    assert two or type(one.step(X[0])) is float
    # A row alone, for a function that has several loops.
    assert_array_equal([model.predict(X[k - 2 : k + 1])[-1] for k in range(2, 100)], model.predict(X)[2:100])


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_negative_targets(method):
    y = COUNTS.copy()
    y[[7, 9]] = -0.25, -1.0
    with pytest.raises(ValueError, match=r"^y holds -0\.25 in row 7; loss='poisson' needs targets of at least 0\.$"):
        getattr(make(), method)(X, y)
    with pytest.raises(ValueError, match=r"^y holds -0\.25 in row 7"):
        getattr(make(), method)(X, np.column_stack([COUNTS, y]))
    with pytest.raises(ValueError, match=r"^y_val holds -0\.25 in row 7"):
        make().fit(X, COUNTS, X_val=X, y_val=y)
    make(loss="squared_error").fit(X, y)


def test_what_was_fitted_counts_and_not_what_is_set_later():
    model = make(warm_start=True).fit(X, COUNTS)
    expected = model.predict(X)
    assert_array_equal(model.set_params(loss="huber").predict(X), expected)
    message = "cannot go on with loss='huber': the network was trained with loss='poisson'"
    for method in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=message):
            method(X, COUNTS)
    assert model.set_params(loss="poisson").fit(X, COUNTS).n_iter_ == 6
    other = make(loss="squared_error", warm_start=True).fit(X, COUNTS)
    with pytest.raises(ValueError, match="cannot go on with loss='poisson'"):
        other.set_params(loss="poisson").fit(X, COUNTS)
    assert other.set_params(loss="huber").fit(X, COUNTS).n_iter_ == 6


def test_partial_fit_keeps_the_scale():
    model = make().partial_fit(X, COUNTS)
    model.partial_fit(X, 3.0 * COUNTS)
    assert math.isclose(model.target_scale_, COUNTS.mean())


def test_grid_search():
    grid = {"loss": ["poisson", "squared_error"], "hidden_size": [2, 4]}
    search = GridSearchCV(make(), grid, scoring="neg_mean_squared_error", cv=TimeSeriesSplit(2), error_score="raise")
    search.fit(X[:120], COUNTS[:120])
    assert len(np.unique(search.cv_results_["mean_test_score"])) == 4
