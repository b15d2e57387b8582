"""The optimizer on a whole network: PyTorch's trajectory from its own gradients, and its state."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference.vectors import load_cases, split_rows

from sklstm._network.network import Network
from sklstm._network.parameters import ParameterLayout
from sklstm._sequences import Sequences
from sklstm._training.clipping import clip_by_global_norm
from sklstm._training.optimizers import OPTIMIZERS, AdamW

CASES = load_cases("torch_adamw")


def test_adamw_follows_torch_from_its_own_gradients():
    """Forward, loss, backward, clipping and update, five times; biases are not decayed."""
    case = CASES["decay_weights"]
    settings = {key: float(value) for key, value in case["settings"].items()}
    layout = ParameterLayout.of(case["start"])
    arrays = split_rows(case["x"], case["lengths"])
    network = Network(layout, "float64", n_threads=2)
    flat = layout.flatten(case["start"], "float64")
    optimizer = AdamW(layout, "float64", settings["weight_decay"], n_threads=2)
    optimizer.beta1, optimizer.beta2 = settings["beta_1"], settings["beta_2"]
    optimizer.epsilon = settings["epsilon"]
    gradient = np.empty_like(flat)
    loss = {"squared": "squared", "binary": "binary_log", "multinomial": "multinomial_log"}
    name = loss[str(case["loss"])]
    # The package takes the mean over the outputs, the vectors the sum.
    scale = layout.n_outputs if name == "squared" else 1.0
    targets = case["y"].reshape(len(arrays), -1).astype(np.float64)
    for number in range(5):
        network.load(flat)
        network.loss_and_gradient(
            Sequences.from_list(arrays), np.arange(len(arrays)), targets,
            case["sample_weight"].astype(np.float64), name, scale, gradient,
        )  # fmt: skip
        stored = case[f"step_{number}"]
        expected = layout.flatten(stored["gradients"], "float64")
        assert_allclose(gradient, expected, rtol=1e-9, atol=1e-11)
        factor, norm = clip_by_global_norm(gradient, settings["max_norm"], 2)
        assert_allclose(norm, case["norm"][number], rtol=1e-10)
        optimizer.step(flat, gradient, settings["learning_rate"], factor)
        expected = layout.flatten(stored["parameters"], "float64")
        assert_allclose(flat, expected, rtol=1e-10, atol=1e-11)


LAYOUT = ParameterLayout(2, (3,), 1)


def gradients(n, dtype="float64"):
    return np.random.default_rng(4).normal(size=(n, LAYOUT.size)).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_state_continues_where_it_was_taken(dtype):
    flat = np.ones(LAYOUT.size, dtype)
    optimizer = AdamW(LAYOUT, dtype, 0.1, 1)
    halfway = None
    for number, gradient in enumerate(gradients(6, dtype)):
        if number == 3:
            state = optimizer.state
            saved = {"step": state["step"], "mean": state["mean"].copy(), "square": state["square"].copy()}
            halfway = flat.copy(), saved
        optimizer.step(flat, gradient, 0.01)
    resumed, state = halfway
    assert state["step"] == 3
    again = AdamW(LAYOUT, dtype, 0.1, 1, state)
    for gradient in gradients(6, dtype)[3:]:
        again.step(resumed, gradient, 0.01)
    assert_array_equal(resumed, flat, strict=True)
    for key, value in optimizer.state.items():
        assert_array_equal(again.state[key], value, strict=True)


def test_a_state_that_is_handed_in_is_not_changed():
    first = AdamW(LAYOUT, "float64", 0.1, 1)
    flat = np.ones(LAYOUT.size)
    first.step(flat, gradients(1)[0], 0.01)
    state = first.state
    before = {"step": state["step"], "mean": state["mean"].copy(), "square": state["square"].copy()}
    second = AdamW(LAYOUT, "float64", 0.1, 1, state)
    second.step(flat, gradients(2)[1], 0.01)
    assert second.state["step"] == 2
    for key, value in before.items():
        assert_array_equal(state[key], value)


def test_scale_is_a_factor_on_the_gradient():
    flats = [np.ones(LAYOUT.size) for _ in range(2)]
    (gradient,) = gradients(1)
    for flat, array, scale in ((flats[0], gradient, 0.25), (flats[1], 0.25 * gradient, 1.0)):
        AdamW(LAYOUT, "float64", 0.1, 1).step(flat, array, 0.01, scale)
    assert_array_equal(flats[0], flats[1])


def test_registry_and_defaults():
    """The constants of Kingma & Ba (2015)."""
    assert OPTIMIZERS["adamw"] is AdamW
    assert (AdamW.beta1, AdamW.beta2, AdamW.epsilon) == (0.9, 0.999, 1e-8)
