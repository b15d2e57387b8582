"""The reference's optimizer and clipping against numbers worked out by hand."""

import math

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from reference.optimizers import adamw_start, adamw_step, clip_by_global_norm


def test_adamw_by_hand():
    """Two steps, worked out from the formula with numbers written down."""
    options = {"learning_rate": 0.1, "beta_1": 0.9, "beta_2": 0.999, "weight_decay": 0.01}
    start = {"p": np.array([1.0])}
    one, state = adamw_step(start, {"p": [0.5]}, adamw_start(start), **options)
    # m^ = 0.05 / 0.1 = 0.5 and v^ = 0.00025 / 0.001 = 0.25.
    expected = 1.0 - 0.1 * 0.01 * 1.0 - 0.1 * 0.5 / (0.5 + 1e-8)
    assert_allclose(one["p"], expected, rtol=1e-15)
    two, state = adamw_step(one, {"p": [-1.0]}, state, **options)
    # m = 0.9 * 0.05 - 0.1, v = 0.999 * 0.00025 + 0.001; freed of 1 - 0.9^2 and 1 - 0.999^2.
    adam = (-0.055 / 0.19) / (math.sqrt(0.00124975 / 0.001999) + 1e-8)
    assert_allclose(two["p"], expected - 0.1 * 0.01 * expected - 0.1 * adam, rtol=1e-13)
    assert state.n_steps == 2
    assert_array_equal(start["p"], [1.0])


def test_adamw_epsilon_is_outside_of_the_root():
    start = {"p": np.array([0.0])}
    options = {"learning_rate": 1.0, "epsilon": 1e-2, "weight_decay": 0.0}
    new, _ = adamw_step(start, {"p": [1e-2]}, adamw_start(start), **options)
    assert_allclose(new["p"], -0.5, rtol=1e-12)


def test_adamw_weight_decay_by_name():
    start = {"weight": np.array([2.0]), "bias": np.array([2.0])}
    none = {"weight": [0.0], "bias": [0.0]}
    options = {"learning_rate": 0.5, "weight_decay": {"weight": 0.1}}
    new, _ = adamw_step(start, none, adamw_start(start), **options)
    assert_allclose([new["weight"][0], new["bias"][0]], [1.9, 2.0], rtol=1e-15)


def test_clip_by_hand():
    gradients = {"a": np.array([3.0]), "b": np.array([[0.0, -4.0]])}
    clipped, norm = clip_by_global_norm(gradients, 1.0)
    assert norm == 5.0
    assert_allclose(clipped["a"], [3.0 / 5.000001], rtol=1e-15)
    assert_allclose(clipped["b"], [[0.0, -4.0 / 5.000001]], rtol=1e-15)
    untouched, _ = clip_by_global_norm(gradients, 5.1)
    assert_array_equal(untouched["b"], gradients["b"])
    zeros, norm = clip_by_global_norm({"a": np.zeros(2)}, 1.0)
    assert norm == 0.0
    assert_array_equal(zeros["a"], [0.0, 0.0])
