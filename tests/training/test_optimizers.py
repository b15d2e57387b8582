"""The optimizer on a whole network: PyTorch's trajectory from its own gradients, and its state."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference.vectors import load_cases, split_rows

from sklstm import DeepLSTMRegressor
from sklstm._network.network import Network
from sklstm._network.parameters import ParameterLayout
from sklstm._sequences import Sequences
from sklstm._training.clipping import Clipping, global_norm
from sklstm._training.optimizers import OPTIMIZERS, AdamW

CASES = load_cases("torch_adamw")


def test_adamw_follows_torch_from_its_own_gradients():
    """Forward, loss, backward, clipping and update, five times; biases are not decayed."""
    case = CASES["decay_weights"]
    settings = {key: float(value) for key, value in case["settings"].items()}
    start = case["start"]
    n_layers = sum(name.startswith("weight_hh") for name in start)
    layout = ParameterLayout(
        start["weight_ih_l0"].shape[1],
        [start[f"weight_hh_l{k}"].shape[1] for k in range(n_layers)],
        len(start["bias_out"]),
    )
    arrays = split_rows(case["x"], case["lengths"])
    network = Network(layout, "float64", n_threads=2)
    flat = layout.flatten(case["start"], "float64")
    network.load(flat)
    optimizer = AdamW(network, settings["weight_decay"])
    optimizer.beta1, optimizer.beta2 = settings["beta_1"], settings["beta_2"]
    optimizer.epsilon = settings["epsilon"]
    loss = {"squared": "squared", "binary": "binary_log", "multinomial": "multinomial_log"}
    name = loss[str(case["loss"])]
    # The package takes the mean over the outputs, the vectors the sum.
    scale = layout.n_outputs if name == "squared" else 1.0
    targets = case["y"].reshape(len(arrays), -1).astype(np.float64)
    for number in range(5):
        network.loss_and_gradient(
            Sequences.from_list(arrays), np.arange(len(arrays)), targets,
            case["sample_weight"].astype(np.float64), name, scale,
        )  # fmt: skip
        stored = case[f"step_{number}"]
        expected = layout.flatten(stored["gradients"], "float64")
        assert_allclose(network.from_panels(network.gradient), expected, rtol=1e-9, atol=1e-11)
        norm = global_norm(network.gradient, 2)
        factor = Clipping(settings["max_norm"]).factor(norm)
        assert_allclose(norm, case["norm"][number], rtol=1e-10)
        optimizer.step(network.weights, network.gradient, settings["learning_rate"], factor)
        expected = layout.flatten(stored["parameters"], "float64")
        assert_allclose(network.from_panels(network.weights), expected, rtol=1e-10, atol=1e-11)


LAYOUT = ParameterLayout(2, (3,), 1)


def make_network(dtype="float64"):
    """A network whose parameters are all 1."""
    network = Network(LAYOUT, dtype, 1)
    network.load(np.ones(LAYOUT.size, dtype))
    return network


def gradients(network, n):
    return [network.to_panels(g) for g in np.random.default_rng(4).normal(size=(n, LAYOUT.size))]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_state_continues_where_it_was_taken(dtype):
    network = make_network(dtype)
    optimizer = AdamW(network, 0.1)
    halfway = None
    for number, gradient in enumerate(gradients(network, 6)):
        if number == 3:
            state = optimizer.state
            saved = {"step": state["step"], "mean": state["mean"].copy(), "square": state["square"].copy()}
            halfway = network.weights.copy(), saved
        optimizer.step(network.weights, gradient, 0.01)
    resumed, state = halfway
    assert state["step"] == 3
    again = AdamW(network, 0.1, state)
    for gradient in gradients(network, 6)[3:]:
        again.step(resumed, gradient, 0.01)
    assert_array_equal(resumed, network.weights, strict=True)
    for key, value in optimizer.state.items():
        assert_array_equal(again.state[key], value, strict=True)


def test_a_state_that_is_handed_in_is_not_changed():
    network = make_network()
    first = AdamW(network, 0.1)
    first.step(network.weights, gradients(network, 1)[0], 0.01)
    state = first.state
    before = {"step": state["step"], "mean": state["mean"].copy(), "square": state["square"].copy()}
    second = AdamW(network, 0.1, state)
    second.step(network.weights, gradients(network, 2)[1], 0.01)
    assert second.state["step"] == 2
    for key, value in before.items():
        assert_array_equal(state[key], value)


def test_scale_is_a_factor_on_the_gradient():
    networks = [make_network() for _ in range(2)]
    (gradient,) = gradients(networks[0], 1)
    for network, array, scale in ((networks[0], gradient, 0.25), (networks[1], 0.25 * gradient, 1.0)):
        AdamW(network, 0.1).step(network.weights, array, 0.01, scale)
    assert_array_equal(networks[0].weights, networks[1].weights)
    assert np.abs(networks[0].weights - make_network().weights).max() > 0.005


def test_registry_and_defaults():
    """The constants of Kingma & Ba (2015)."""
    assert OPTIMIZERS["adamw"] is AdamW
    assert (AdamW.beta1, AdamW.beta2, AdamW.epsilon) == (0.9, 0.999, 1e-8)


@pytest.mark.parametrize("rate", [1e-170, 1e160])
def test_schedule_free_steps_whose_squares_leave_the_range_of_floats(rate):
    """They vanish, or they are seen as divergence; neither ends in an error of Python."""
    X = np.random.default_rng(0).normal(size=(60, 2))
    model = DeepLSTMRegressor(3, solver="schedule_free", learning_rate_init=rate, max_iter=2, random_state=0, n_jobs=1)
    if rate < 1:
        assert np.isfinite(model.fit(X, X[:, 0]).predict(X)).all()
    else:
        with pytest.raises(ValueError, match="diverged"):
            model.fit(X, X[:, 0])
