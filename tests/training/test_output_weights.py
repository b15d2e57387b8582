"""Weights of single outputs: a target that is missing in one output does not lose the sample."""

from dataclasses import replace

import numpy as np
import pytest
from kernels.test_losses import evaluate
from numpy.testing import assert_allclose, assert_array_equal
from reference.differences import numerical_gradient
from scipy.optimize import minimize
from training.test_loop import SETTINGS, draw_samples, run, start
from training.test_loss_parameters import CASES, Z

from sklstm._kernels import available_isas
from sklstm._network.network import Network
from sklstm._network.parameters import ParameterLayout
from sklstm._sequences import Sequences
from sklstm._training.loop import Samples, train
from sklstm._training.losses import LOSSES, least_loss, mean_loss

BY_OUTPUT = [name for name in CASES if CASES[name][0] != "multinomial_log"]
WEIGHTS = np.array([[0.5, 0.0, 2.0, 1.0]])


@pytest.mark.isa
@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", BY_OUTPUT)
def test_value_and_slope(case, dtype, isa):
    """The sum over the outputs of weight times loss, over their number; a NaN of weight 0 is not looked at."""
    loss, parameter, y, _ = CASES[case]
    targets = np.where(WEIGHTS[0] > 0, y, np.nan)
    value, slopes = evaluate(
        loss, Z, targets, weight=WEIGHTS[0], scale=3.0, dtype=dtype, isa=isa, loss_parameter=parameter
    )
    bound, z = LOSSES[loss].bound(parameter), Z.copy()

    def expected():
        return 3.0 * (WEIGHTS * bound.values(z[np.newaxis], y[np.newaxis])).mean()

    assert_allclose(value, expected(), rtol=1e-13)
    assert_allclose(slopes, numerical_gradient(expected, z), rtol=1e-6 if dtype == np.float32 else 1e-10, atol=1e-12)
    assert slopes[1] == 0.0
    assert_allclose(mean_loss(bound, Z[np.newaxis], targets[np.newaxis], WEIGHTS), value * 4 / 3 / WEIGHTS.sum())


def test_class_numbers_have_no_outputs_of_their_own():
    with pytest.raises(ValueError, match="a multinomial loss has one weight"):
        evaluate("multinomial_log", Z, [1], weight=WEIGHTS[0])


def draw(case, n=60):
    rng = np.random.default_rng(1)
    loss, parameter, _, _ = CASES[case]
    targets = rng.poisson(2.0, (n, 4)) if loss != "binary_log" else rng.random((n, 4)) < 0.3
    weights = rng.uniform(0.5, 2.0, (n, 4))
    weights[rng.random((n, 4)) < 0.3] = 0.0
    return LOSSES[loss].bound(parameter), targets.astype(np.float64), weights


@pytest.mark.parametrize("case", BY_OUTPUT)
def test_constant_and_least_loss(case):
    loss, targets, weights = draw(case)
    constant = loss.constant(targets, weights, 4)

    def value(z):
        return mean_loss(loss, np.broadcast_to(z, (60, 4)), targets, weights)

    for k in range(4):
        for shift in (-0.05, 0.05):
            assert value(constant) <= value(constant + shift * np.eye(4)[k])
    # Each column for itself, its samples of positive weight alone.
    kept = weights[:, 2] > 0
    column = loss.constant(targets[kept], np.repeat(weights[kept, 2:3], 4, axis=1), 4)
    assert_allclose(constant[2], column[2], rtol=1e-12)
    few, their_weights = targets[:5], weights[:5]
    best = minimize(
        lambda z: mean_loss(loss, z.reshape(5, 4), few, their_weights), np.zeros(20), method="BFGS",
        options={"gtol": 1e-7},
    )  # fmt: skip
    if case != "quantiles":  # its loss has corners
        assert_allclose(least_loss(loss, few, their_weights, 4), best.fun, rtol=1e-5, atol=1e-4)


def test_huber_centre():
    loss, (_, targets, weights) = LOSSES["huber"].bound(1.3), draw("poisson")
    centre = loss.constant(targets, weights, 4)
    assert_allclose((weights * np.clip(targets - centre, -1.3, 1.3)).sum(axis=0), 0.0, atol=1e-9)


def series_samples(n):
    """The rows of a table, read as one series: what ``training="stateful"`` learns."""
    rng = np.random.default_rng(0)
    table, targets = rng.normal(size=(n, 3)), rng.normal(size=(n, 2))
    return Samples(Sequences.from_series(table), targets, np.ones(n))


def run_series(samples):
    layout = ParameterLayout(3, (6,), 2, every_step=True)
    network, flat = Network(layout, "float64", 1), layout.initial(np.random.default_rng(1), "float64")
    settings = replace(SETTINGS, training="stateful", batch_size=3, bptt_steps=5)
    return flat, train(network, flat, samples, settings)


@pytest.mark.parametrize(("go", "samples"), [(run, draw_samples(40)), (run_series, series_samples(40))])
def test_equal_weights_of_all_outputs_are_the_weight_of_the_sample(go, samples):
    samples = replace(samples, weights=np.random.default_rng(5).uniform(0.0, 2.0, 40))
    expected, found = go(samples), go(replace(samples, weights=np.tile(samples.weights[:, np.newaxis], 2)))
    assert_allclose(found[0], expected[0], rtol=1e-9)
    assert_allclose(found[1].loss_curve, expected[1].loss_curve, rtol=1e-12)


@pytest.mark.parametrize(("go", "samples"), [(run, draw_samples(40)), (run_series, series_samples(40))])
def test_an_output_without_weight_is_not_there(go, samples):
    """Whatever stands in it, no bit changes; the other outputs of the sample count."""
    weights = np.ones((40, 2))
    weights[::3, 0] = 0.0
    targets = samples.targets.copy()
    targets[::3, 0] = 1e6
    expected, found = (go(replace(samples, targets=y, weights=weights))[0] for y in (samples.targets, targets))
    assert_array_equal(found, expected)
    for other in (np.ones(40), weights.min(axis=1)):
        assert np.abs(go(replace(samples, weights=other))[0] - expected).max() > 1e-4


def test_validation_by_output():
    """Its score is that of the outputs that have a weight."""
    samples, validation = draw_samples(60), draw_samples(20, seed=1)
    weights = np.ones((20, 2))
    weights[5:, 1] = 0.0
    network, flat = start()
    held_out = replace(validation, weights=weights)
    history = train(network, flat, samples, replace(SETTINGS, max_iter=3), held_out)
    network.load(flat)
    error = (network.forward(validation.sequences) - validation.targets) ** 2
    null = (samples.targets.mean(axis=0) - validation.targets) ** 2
    expected = 1 - (weights * error).sum() / (weights * null).sum()
    assert_allclose(max(history.validation_scores), expected, rtol=1e-9)
