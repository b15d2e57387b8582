"""The loss log(cosh(z - y)): half a square near 0, a distance far away, and exact in between."""

import math

import numpy as np
import pytest
from kernels.test_losses import evaluate
from numpy.testing import assert_allclose
from reference.differences import numerical_gradient
from scipy.optimize import minimize_scalar
from test_regression_losses import NOISE, centre

from sklstm import DeepLSTMRegressor
from sklstm._kernels import available_isas
from sklstm._training.losses import LOSSES, mean_loss

LOSS = LOSSES["log_cosh"]
each_isa = pytest.mark.parametrize("isa", available_isas())
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def exact(error):
    """Of one number; by its series where the logarithm of a number near 1 has no digits."""
    size = abs(error)
    if size < 0.01:
        return size**2 / 2 - size**4 / 12 + size**6 / 45
    return size + math.log1p(math.exp(-2.0 * size)) - math.log(2.0)


@pytest.mark.isa
@each_isa
@each_dtype
@pytest.mark.parametrize("error", [0.0, 1e-30, 1e-12, 1e-4, 0.009, 0.3, 0.999, 1.0, 1.001, 5.0, 300.0, 800.0, 1e30])
def test_value_and_slope_of_any_difference(error, dtype, isa):
    for sign in (-1.0, 1.0):
        given = float(dtype(sign * error))
        value, slopes = evaluate("log_cosh", [given], [0.0], weight=0.5, dtype=dtype, isa=isa)
        assert_allclose(value, 0.5 * exact(given), rtol=1e-13)
        assert_allclose(slopes, [0.5 * math.tanh(given)], rtol=1e-7 if dtype == np.float32 else 1e-15)
        assert_allclose(LOSS.values(np.array([[given]]), np.zeros((1, 1))), [[exact(given)]], rtol=1e-13)
    # Differences of numbers near the largest, both of them raw outputs and targets.
    value, slopes = evaluate("log_cosh", [1e38], [-1e38], dtype=dtype, isa=isa)
    assert_allclose(value, 2e38, rtol=1e-6)
    assert slopes[0] == 1.0


def test_slope_by_central_differences():
    z, y = np.array([0.0, 1e-3, -0.5, 0.999, 1.001, -4.0, 40.0]), np.array([0.5, 0.0, 0.5, 0.0, 0.0, 3.0, -2.0])
    slopes = evaluate("log_cosh", z, y)[1]
    expected = numerical_gradient(lambda: evaluate("log_cosh", z, y)[0], z)
    assert_allclose(slopes, expected, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize(
    "targets",
    [
        np.random.default_rng(0).standard_cauchy(101),
        np.repeat([-50.0, 50.0], [50, 51]),
        np.concatenate([np.zeros(100), [1e30]]),
        np.concatenate([np.random.default_rng(0).normal(size=50), [1e100, -1e200]]),
        np.full(7, -0.3),
        np.array([5.0]),
    ],
)
def test_the_best_constant(targets):
    weights = np.random.default_rng(1).uniform(0.5, 2.0, len(targets))
    found = LOSS.constant(targets[:, np.newaxis], weights, 1)
    slope = (weights * np.tanh(found - targets)).sum()
    curvature = (weights * np.cosh(np.clip(found - targets, -300, 300)) ** -2.0).sum()
    # Half a rounding of the centre moves the sum of slopes by so much.
    assert abs(slope) <= 1e-14 * (weights.sum() + curvature * abs(found[0]))
    assert targets.min() <= found[0] <= targets.max()


def test_the_best_constant_of_each_column():
    """Weights for each output; what has weight 0 is not looked at."""
    rng = np.random.default_rng(2)
    targets, weights = rng.normal(size=(60, 3)) * [1.0, 100.0, 1e-3], rng.uniform(size=(60, 3))
    weights[rng.uniform(size=(60, 3)) < 0.3] = 0.0
    found = LOSS.constant(np.where(weights > 0, targets, 1e9), weights, 3)
    for k in range(3):
        kept = weights[:, k] > 0
        y, w = targets[kept, k], weights[kept, k]
        best = minimize_scalar(lambda c, y=y, w=w: float(w @ LOSS.values(c, y)), bounds=(y.min(), y.max())).x
        assert_allclose(found[k], best, atol=1e-4 * np.ptp(y))
        assert_allclose(found[k], LOSS.constant(y[:, np.newaxis], w, 1)[0], rtol=1e-12)
    assert mean_loss(LOSS, found[np.newaxis], found[np.newaxis], np.ones(1)) == 0.0


def test_its_centre_lies_between_median_and_mean():
    """In standard deviations of the target, which are those of the loss."""
    found = centre(loss="log_cosh")
    unit = NOISE.std()
    assert_allclose(found, unit * LOSS.constant(NOISE[:, np.newaxis] / unit, np.ones(3000), 1)[0], atol=0.03)
    assert np.median(NOISE) + 0.05 < found < NOISE.mean() - 0.02


def test_outliers_count_as_in_the_absolute_error():
    """A hundredth of the targets is 1e6 deviations off: the squared error follows them."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(600, 2))
    signal = X[:, 0] - 0.5 * X[:, 1]
    y = np.where(np.arange(600) % 100 == 50, 1e3, signal)
    options = {"hidden_size": 8, "sequence_length": 1, "max_iter": 60, "learning_rate_init": 0.02, "random_state": 0}
    errors = {}
    for loss in ("squared_error", "log_cosh"):
        model = DeepLSTMRegressor(**options, early_stopping=False, loss=loss).fit(X, y)
        errors[loss] = np.median(np.abs(model.predict(X) - signal))
    assert errors["log_cosh"] < 0.3 * errors["squared_error"]
