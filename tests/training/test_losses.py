"""The losses of the validation part, against scikit-learn, SciPy and the kernels."""

import numpy as np
import pytest
from network.stack_runner import StackRunner
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from scipy.special import expit, softmax
from sklearn.metrics import log_loss, mean_squared_error, r2_score

from sklstm._training.losses import LOSSES, explained_share, mean_loss

N_OUTPUTS = {"squared": 3, "binary_log": 1, "multinomial_log": 4}

each_loss = pytest.mark.parametrize("name", N_OUTPUTS)


def draw(name, n=60, seed=0):
    """z, targets and weights (a few of them 0) of n samples."""
    rng = np.random.default_rng(seed)
    n_outputs = N_OUTPUTS[name]
    z = rng.normal(0.0, 2.0, (n, n_outputs))
    if name == "squared":
        targets = rng.normal(1.0, 2.0, (n, n_outputs))
    else:
        targets = rng.integers(0, max(2, n_outputs), (n, 1)).astype(np.float64)
    weights = rng.uniform(0.1, 3.0, n)
    weights[::9] = 0.0
    return z, targets, weights


def test_registry():
    """The others are in test_regression_losses.py, test_loss_parameters.py and test_distilled_losses.py."""
    assert set(LOSSES) == set(N_OUTPUTS) | {"absolute", "huber", "log_cosh", "quantile", "poisson"} | {
        "distilled_binary",
        "distilled_multinomial",
    }
    assert all(loss.name == name for name, loss in LOSSES.items())


def test_squared_against_sklearn():
    z, targets, weights = draw("squared")
    found = mean_loss(LOSSES["squared"], z, targets, weights)
    assert_allclose(found, 0.5 * mean_squared_error(targets, z, sample_weight=weights), rtol=1e-13)


def test_log_losses_against_sklearn():
    z, targets, weights = draw("binary_log")
    found = mean_loss(LOSSES["binary_log"], z, targets, weights)
    expected = log_loss(targets[:, 0], expit(z[:, 0]), sample_weight=weights)
    assert_allclose(found, expected, rtol=1e-12)
    z, targets, weights = draw("multinomial_log")
    found = mean_loss(LOSSES["multinomial_log"], z, targets, weights)
    expected = log_loss(targets[:, 0], softmax(z, axis=1), sample_weight=weights)
    assert_allclose(found, expected, rtol=1e-12)


@each_loss
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_validation_and_training_measure_the_same(name, dtype):
    """The kernel's weighted sum over the sum of weights is the weighted mean of these functions."""
    rng = np.random.default_rng(3)
    n_outputs, n = N_OUTPUTS[name], 40
    parameters = {
        "weight_ih_l0": rng.normal(size=(16, 2)),
        "weight_hh_l0": rng.normal(size=(16, 4)),
        "bias_l0": rng.normal(size=16),
        "weight_out": 3.0 * rng.normal(size=(n_outputs, 4)),
        "bias_out": rng.normal(size=n_outputs),
    }
    _, targets, weights = (array.astype(dtype) for array in draw(name, n))
    runner = StackRunner(parameters, list(rng.normal(size=(n, 3, 2))), dtype=dtype)
    scale = 1.0 / weights.sum(dtype=np.float64)
    found = runner.forward_backward(name, targets, weights, scale=scale)
    expected = mean_loss(LOSSES[name], found["z"], targets, weights)
    assert_allclose(found["loss"], expected, rtol=1e-12)


@each_loss
def test_constant_is_the_best_constant(name):
    _, targets, weights = draw(name)
    loss, n_outputs = LOSSES[name], N_OUTPUTS[name]
    constant = loss.constant(targets, weights, n_outputs)
    assert constant.shape == (n_outputs,)

    def value(z):
        return mean_loss(loss, np.broadcast_to(z, (len(targets), n_outputs)), targets, weights)

    best = minimize(value, np.zeros(n_outputs), method="BFGS", options={"gtol": 1e-8})
    assert_allclose(value(constant), best.fun, rtol=1e-10)
    for k in range(n_outputs):
        step = 0.01 * np.eye(n_outputs)[k]
        assert value(constant) < value(constant + step)
        assert value(constant) < value(constant - step)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_constant_of_one_class(label):
    """Finite, on the right side, and as good as certain."""
    targets, weights = np.full((5, 1), label), np.ones(5)
    constant = LOSSES["binary_log"].constant(targets, weights, 1)
    assert mean_loss(LOSSES["binary_log"], np.tile(constant, (5, 1)), targets, weights) < 1e-12
    constant = LOSSES["multinomial_log"].constant(targets, weights, 3)
    assert np.isfinite(constant).all()
    assert mean_loss(LOSSES["multinomial_log"], np.tile(constant, (5, 1)), targets, weights) < 1e-12


@each_loss
def test_extreme_outputs(name):
    """No overflow on the way (a warning would be an error), and no NaN."""
    n_outputs = N_OUTPUTS[name]
    z = np.array([[1e4], [-1e4]]) * np.where(np.arange(n_outputs) % 2, -1.0, 1.0)
    targets = np.zeros((2, n_outputs if name == "squared" else 1))
    values = LOSSES[name].values(z, targets)
    assert values.shape == targets.shape
    assert np.isfinite(values).all()
    two = np.log(2.0)
    expected = {
        "squared": [5e7, 5e7],
        "binary_log": [1e4, 0.0],
        "multinomial_log": [two, 2e4 + two],
    }
    assert_allclose(values.mean(axis=1), expected[name], rtol=1e-12)


def test_links():
    z = np.random.default_rng(1).normal(0.0, 3.0, (20, 4))
    assert_array_equal(LOSSES["squared"].link(z), z)
    probabilities = LOSSES["multinomial_log"].link(z)
    assert_allclose(probabilities, np.exp(z) / np.exp(z).sum(axis=1, keepdims=True), rtol=1e-13)
    probabilities = LOSSES["binary_log"].link(z[:, :1])
    assert probabilities.shape == (20, 2)
    assert_allclose(probabilities[:, 1], 1 / (1 + np.exp(-z[:, 0])), rtol=1e-13)
    assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-15)
    # Both tails keep their digits: the small one is not 1 minus the large one.
    tails = LOSSES["binary_log"].link(np.array([[-50.0], [50.0]]))
    assert_allclose([tails[0, 1], tails[1, 0]], np.exp(-50.0), rtol=1e-12)


def test_explained_share_is_r2():
    z, targets, weights = draw("squared")
    z, targets = z[:, :1], targets[:, :1]
    loss = LOSSES["squared"]
    constant = loss.constant(targets, weights, 1)
    null = mean_loss(loss, np.broadcast_to(constant, targets.shape), targets, weights)
    found = explained_share(mean_loss(loss, z, targets, weights), null)
    assert_allclose(found, r2_score(targets, z, sample_weight=weights), rtol=1e-12)
    assert explained_share(0.25, 0.5) == 0.5
    assert explained_share(0.5, 0.0) == -0.5


def test_zero_weight_counts_for_nothing():
    for name in N_OUTPUTS:
        z, targets, weights = draw(name)
        kept = weights > 0
        expected = mean_loss(LOSSES[name], z[kept], targets[kept], weights[kept])
        assert_allclose(mean_loss(LOSSES[name], z, targets, weights), expected, rtol=1e-13)


def test_a_wide_huber_loss_has_its_centre_without_a_warning():
    """A target that is the centre itself once made 4 / 2e-308."""
    targets = np.array([[1.0], [2.0], [3.0], [10.0]])
    loss = LOSSES["huber"].bound(5.0)
    centre = loss.constant(targets, np.ones(4), 1)
    derivative = np.clip(targets - centre, -5.0, 5.0).sum()
    assert abs(derivative) < 1e-9
