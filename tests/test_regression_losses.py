"""Losses of the regressor: value and gradient of the kernels, and what the predictions become."""

import numpy as np
import pytest
from kernels.test_losses import evaluate
from numpy.testing import assert_allclose
from sklearn.metrics import mean_pinball_loss
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

from sklstm import DeepLSTMRegressor
from sklstm._kernels import available_isas
from sklstm._training.losses import LOSSES, mean_loss

LOSS_OF = {
    ("squared", 0.0): lambda e: 0.5 * e**2,
    ("absolute", 0.0): np.abs,
    ("huber", 0.7): lambda e: np.where(np.abs(e) <= 0.7, 0.5 * e**2, 0.7 * (np.abs(e) - 0.35)),
    ("log_cosh", 0.0): lambda e: np.log(np.cosh(e)),
    ("quantile", 0.2): lambda e: np.maximum(-0.2 * e, 0.8 * e),
    ("quantile", 0.5): lambda e: 0.5 * np.abs(e),
}


@pytest.mark.isa
@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("loss", "parameter"), LOSS_OF)
def test_value_and_slope(loss, parameter, dtype, isa):
    """Errors on both sides of every corner; differences of the exact loss."""
    exact = LOSS_OF[loss, parameter]
    z, y = np.array([1.5, -0.25, -3.0, 0.875]), np.array([1.0, 0.25, 0.5, -0.125])
    value, slopes = evaluate(loss, z, y, weight=0.5, scale=3.0, dtype=dtype, isa=isa, loss_parameter=parameter)
    assert_allclose(value, 1.5 * exact(z - y).mean(), rtol=1e-6)
    step = 1e-6
    expected = 1.5 * (exact(z - y + step) - exact(z - y - step)) / (2 * step) / 4
    assert_allclose(slopes, expected, rtol=1e-5)
    # On the validation part the same in NumPy.
    bound = LOSSES[loss].bound(parameter)
    assert_allclose(mean_loss(bound, z[np.newaxis], y[np.newaxis], np.ones(1)), exact(z - y).mean(), rtol=1e-12)


@pytest.mark.parametrize(("loss", "parameter"), LOSS_OF)
def test_a_nan_reaches_the_loss(loss, parameter):
    assert np.isnan(evaluate(loss, [np.nan], [1.0], loss_parameter=parameter)[0])


@pytest.mark.parametrize(("loss", "parameter"), LOSS_OF)
def test_constants_are_best(loss, parameter):
    rng = np.random.default_rng(0)
    y, weights = rng.exponential(size=(201, 2)), rng.uniform(0.5, 2.0, 201)
    bound = LOSSES[loss].bound(parameter)
    best = bound.constant(y, weights, 2)
    for shift in (-0.05, 0.05):
        for column in range(2):
            moved = best + shift * np.eye(2)[column]
            assert mean_loss(bound, np.tile(moved, (201, 1)), y, weights) > mean_loss(
                bound, np.tile(best, (201, 1)), y, weights
            )


# Predictions: targets that do not depend on X, skewed, so that mean, median and quantiles differ.

RNG = np.random.default_rng(1)
NOISE = RNG.exponential(size=3000)
FLAT = np.zeros((3000, 1))


def centre(**options):
    """What is predicted where X says nothing."""
    model = DeepLSTMRegressor(
        2, sequence_length=1, max_iter=30, learning_rate_init=0.02, learning_rate="cosine", batch_size=100,
        early_stopping=False, n_iter_no_change=30, random_state=0, **options,
    )  # fmt: skip
    return model.fit(FLAT, NOISE).predict(FLAT[:1])[0]


def test_each_loss_has_its_own_centre():
    mean, median, huber = (centre(loss=name) for name in ("squared_error", "absolute_error", "huber"))
    assert_allclose(mean, NOISE.mean(), atol=0.05)
    assert_allclose(median, np.median(NOISE), atol=0.05)
    assert median + 0.05 < huber < mean


def test_quantiles_cover_their_share():
    for quantile in (0.1, 0.5, 0.9):
        found = centre(loss="quantile", quantile=quantile)
        assert_allclose((found >= NOISE).mean(), quantile, atol=0.03)


def test_huber_delta_leads_from_the_median_to_the_mean():
    small, large = (centre(loss="huber", huber_delta=delta) for delta in (0.01, 100.0))
    assert_allclose(small, np.median(NOISE), atol=0.05)
    assert_allclose(large, NOISE.mean(), atol=0.05)


@pytest.mark.parametrize("loss", ["absolute_error", "huber", "log_cosh", "quantile"])
def test_early_stopping_and_several_outputs(loss):
    X = RNG.normal(size=(400, 2))
    y = np.column_stack([X[:, 0], 5.0 - 2.0 * X[:, 1]])
    model = DeepLSTMRegressor(8, sequence_length=2, max_iter=40, learning_rate_init=0.02, loss=loss, random_state=0)
    model.fit(X, y)
    # 1 - loss / loss of the best constant.
    assert 0.5 < model.best_validation_score_ < 1
    assert model.score(X, y) > 0.9


def test_grid_search_over_quantiles():
    X = RNG.normal(size=(120, 2))
    model = DeepLSTMRegressor(3, sequence_length=2, max_iter=2, loss="quantile")
    search = GridSearchCV(model, {"quantile": [0.1, 0.9]}, cv=TimeSeriesSplit(2)).fit(X, X[:, 0])
    assert mean_pinball_loss(X[:, 0], search.predict(X), alpha=0.5) < 1


@pytest.mark.parametrize(
    "options", [{"loss": "gamma"}, {"quantile": 0.0}, {"quantile": 1.0}, {"huber_delta": 0.0}, {"huber_delta": None}]
)
def test_what_cannot_be(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"The '{name}' parameter of DeepLSTMRegressor must be"):
        DeepLSTMRegressor(**options).fit(FLAT, NOISE)
