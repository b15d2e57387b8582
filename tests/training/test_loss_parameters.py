"""Losses with a parameter for each output, and with several outputs: kernel, NumPy and formula agree."""

import numpy as np
import pytest
from kernels.test_losses import evaluate
from numpy.testing import assert_allclose
from reference.differences import numerical_gradient
from scipy.optimize import minimize
from scipy.special import expit, log_softmax
from sklearn.metrics import d2_tweedie_score

from sklstm._kernels import available_isas
from sklstm._training.losses import LOSSES, explained_share, least_loss, mean_loss

Z = np.array([1.5, -0.25, -2.0, 0.875])
NUMBERS = np.array([1.0, 0.25, 0.5, -0.125])
COUNTS = np.array([0.0, 3.0, 0.25, 1.0])
LABELS = np.array([1.0, 0.0, 0.0, 1.0])
LEVELS = np.array([0.1, 0.5, 0.9, 0.25])


def cross_entropy(target, log_probabilities):
    return -np.sum(target * log_probabilities)


def binary(z, y, smoothing):
    target = (1 - smoothing) * y + smoothing / 2
    return -(target * np.log(expit(z)) + (1 - target) * np.log(expit(-z))).mean()


def pinball(error):
    return np.maximum(LEVELS * error, (LEVELS - 1) * error).mean()


# name: (parameter, targets, the formula as it stands in the papers)
CASES = {
    "quantiles": ("quantile", LEVELS, NUMBERS, lambda z: pinball(NUMBERS - z)),
    "log_cosh": ("log_cosh", 0.0, NUMBERS, lambda z: np.log(np.cosh(z - NUMBERS)).mean()),
    "poisson": ("poisson", 0.0, COUNTS, lambda z: (np.exp(z) - COUNTS * z).mean()),
    "labels": ("binary_log", 0.0, LABELS, lambda z: binary(z, LABELS, 0.0)),
    "smooth labels": ("binary_log", 0.3, LABELS, lambda z: binary(z, LABELS, 0.3)),
    "smooth classes": (
        "multinomial_log", 0.2, np.array([2.0]),
        lambda z: cross_entropy(0.8 * np.eye(4)[2] + 0.05, log_softmax(z)),
    ),
}  # fmt: skip
each_case = pytest.mark.parametrize("case", CASES)


@pytest.mark.isa
@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@each_case
def test_value_and_slope(case, dtype, isa):
    loss, parameter, y, exact = CASES[case]
    z = Z.copy()
    value, slopes = evaluate(loss, z, y, weight=0.5, scale=3.0, dtype=dtype, isa=isa, loss_parameter=parameter)
    rounding = 1e-6 if dtype == np.float32 else 1e-12
    # All numbers here are short: float32 holds them.
    assert_allclose(value, 1.5 * exact(Z), rtol=1e-13)
    assert_allclose(slopes, 1.5 * numerical_gradient(lambda: exact(z), z), rtol=max(rounding, 1e-10), atol=1e-12)
    found = mean_loss(LOSSES[loss].bound(parameter), Z[np.newaxis], y[np.newaxis], np.ones(1))
    assert_allclose(found, exact(Z), rtol=1e-13)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("loss", ["binary_log", "multinomial_log"])
def test_far_outputs_of_log_losses(loss, smoothing):
    """No overflow: the loss of a wrong answer is its distance."""
    z, y = (np.array([900.0]), [0.0]) if loss == "binary_log" else (np.array([900.0, 0.0]), [1.0])
    value, slopes = evaluate(loss, z, y, loss_parameter=smoothing)
    assert_allclose(value, 900.0 * (1 - smoothing / 2), rtol=1e-13)
    expected = 1 - smoothing / 2
    assert_allclose(slopes, [expected, -expected][: len(z)], rtol=1e-13)
    found = mean_loss(LOSSES[loss].bound(smoothing), z[np.newaxis], np.array([y]), np.ones(1))
    assert_allclose(found, value, rtol=1e-13)


def draw(case, n=50):
    loss, parameter, _, _ = CASES[case]
    rng = np.random.default_rng(4)
    targets = {
        "quantile": rng.exponential(size=(n, 4)),
        "log_cosh": rng.standard_cauchy((n, 4)),
        "poisson": rng.poisson([0.5, 2.0, 0.1, 4.0], (n, 4)),
        "binary_log": rng.random((n, 4)) < [0.1, 0.5, 0.9, 0.3],
        "multinomial_log": rng.integers(0, 4, (n, 1)),
    }[loss]
    return LOSSES[loss].bound(parameter), targets.astype(np.float64), rng.uniform(0.5, 2.0, n)


@each_case
def test_constants_are_best(case):
    loss, targets, weights = draw(case)
    constant = loss.constant(targets, weights, 4)

    def value(z):
        return mean_loss(loss, np.broadcast_to(z, (50, 4)), targets, weights)

    for k in range(4):
        for shift in (-0.05, 0.05):
            assert value(constant) < value(constant + shift * np.eye(4)[k])


@each_case
def test_least_loss_is_that_of_the_best_outputs(case):
    loss, targets, weights = draw(case, n=5)

    def value(z):
        return mean_loss(loss, z.reshape(5, 4), targets, weights)

    expected = {"quantiles": 0.0, "log_cosh": 0.0, "labels": 0.0}.get(case)
    if expected is None:
        expected = minimize(value, np.zeros(20), method="BFGS", options={"gtol": 1e-7}).fun
    assert_allclose(least_loss(loss, targets, weights, 4), expected, rtol=1e-5, atol=1e-5)


def test_explained_share_of_the_poisson_loss_is_d2():
    loss, targets, weights = draw("poisson")
    y, z = targets[:, :1], np.random.default_rng(0).normal(size=(50, 1))
    null = mean_loss(loss, np.broadcast_to(loss.constant(y, weights, 1), y.shape), y, weights)
    found = explained_share(mean_loss(loss, z, y, weights), null, least_loss(loss, y, weights, 1))
    assert_allclose(found, d2_tweedie_score(y[:, 0], np.exp(z[:, 0]), sample_weight=weights, power=1), rtol=1e-12)


def test_constants_of_nothing():
    """Targets that are all zero: finite, and as good as perfect."""
    for name in ("poisson", "binary_log"):
        constant = LOSSES[name].constant(np.zeros((5, 2)), np.ones(5), 2)
        assert np.isfinite(constant).all()
        assert mean_loss(LOSSES[name], np.tile(constant, (5, 1)), np.zeros((5, 2)), np.ones(5)) < 1e-12


def test_exponential_of_one_row_and_of_many():
    z = np.random.default_rng(0).normal(0.0, 20.0, 1001).astype(np.float32)
    link = LOSSES["poisson"].link
    assert_allclose(link(z), np.exp(z.astype(np.float64)), rtol=1e-15)
    assert (np.array([link(z[k : k + 1])[0] for k in range(1001)]) == link(z)).all()
    assert (link(np.repeat(z, 3)[::3]) == link(z)).all()
