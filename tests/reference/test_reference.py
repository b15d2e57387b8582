"""The reference's network and losses: central differences, other people's numbers, and numbers
worked out by hand."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, softmax
from sklearn.metrics import log_loss, mean_squared_error

from reference.differences import numerical_gradient
from reference.losses import LOSSES, binary_log_loss, half_squared_error, multinomial_log_loss
from reference.lstm import (
    cell_backward,
    cell_forward,
    layer_backward,
    layer_forward,
    network_backward,
    network_forward,
    predict_table,
    table_windows,
)


def assert_gradient(found, function, array, name):
    expected = numerical_gradient(function, array)
    assert np.shape(found) == expected.shape, name
    assert np.any(np.abs(expected) > 1e-4), f"{name} plays no part: the test would prove nothing"
    assert_allclose(found, expected, rtol=1e-9, atol=1e-10, err_msg=name)


def make_network(rng, input_size, hidden_size, n_layers, n_outputs):
    parameters = {}
    for number in range(n_layers):
        columns = input_size if number == 0 else hidden_size
        parameters[f"weight_ih_l{number}"] = rng.normal(size=(4 * hidden_size, columns))
        parameters[f"weight_hh_l{number}"] = rng.normal(size=(4 * hidden_size, hidden_size))
        parameters[f"bias_l{number}"] = rng.normal(size=4 * hidden_size)
    parameters["weight_out"] = rng.normal(size=(n_outputs, hidden_size))
    parameters["bias_out"] = rng.normal(size=n_outputs)
    return parameters


def make_masks(lengths, hidden_size, n_layers):
    """Each step drops one unit, another one at the next step, and scales those that stay."""
    masks = []
    for number in range(n_layers - 1):
        dropped = [(np.arange(length) + number) % hidden_size for length in lengths]
        masks.append([1.5 * (np.arange(hidden_size) != unit[:, None]) for unit in dropped])
    return masks


# ---------------------------------------------------------------------------------------- cell


def test_cell_by_hand():
    """One unit, one input; every gate has numbers of its own, so no two can be swapped unseen."""
    step = cell_forward(
        [0.5],
        [0.3],
        [-0.7],
        weight_ih=[[0.1], [0.2], [0.3], [0.4]],
        weight_hh=[[-0.5], [0.6], [0.7], [-0.8]],
        bias=[0.01, 1.02, 0.03, 0.04],
    )
    i = 1.0 / (1.0 + math.exp(-(0.1 * 0.5 - 0.5 * 0.3 + 0.01)))
    f = 1.0 / (1.0 + math.exp(-(0.2 * 0.5 + 0.6 * 0.3 + 1.02)))
    g = math.tanh(0.3 * 0.5 + 0.7 * 0.3 + 0.03)
    o = 1.0 / (1.0 + math.exp(-(0.4 * 0.5 - 0.8 * 0.3 + 0.04)))
    c = f * -0.7 + i * g
    assert_allclose(np.ravel(step[3:]), [i, f, g, o, c, o * math.tanh(c)], rtol=1e-15)


def test_cell_central_differences():
    rng = np.random.default_rng(0)
    inputs = {"x": (2,), "h_prev": (3,), "c_prev": (3,)}
    inputs |= {"weight_ih": (12, 2), "weight_hh": (12, 3), "bias": (12,)}
    arrays = {name: rng.normal(size=shape) for name, shape in inputs.items()}
    d_h, d_c = rng.normal(size=(2, 3))

    def scalar():
        step = cell_forward(**arrays)
        return d_h @ step.h + d_c @ step.c

    weights = arrays["weight_ih"], arrays["weight_hh"]
    found = cell_backward(cell_forward(**arrays), d_h, d_c, *weights)
    for name, array in arrays.items():
        assert_gradient(getattr(found, name), scalar, array, name)
    assert_array_equal(found.gates, found.bias)


# ------------------------------------------------------------------------------ layer, network


def test_layer_central_differences():
    """Every output counts: h of each step, and the last h and c of each sequence."""
    rng = np.random.default_rng(1)
    lengths, hidden_size = [4, 1, 3], 3
    arrays = {"weight_ih": (12, 2), "weight_hh": (12, 3), "bias": (12,), "h0": (3, 3), "c0": (3, 3)}
    arrays = {name: rng.normal(size=shape) for name, shape in arrays.items()}
    sequences = [rng.normal(size=(length, 2)) for length in lengths]
    d_hidden = [rng.normal(size=(length, hidden_size)) for length in lengths]
    d_h_final, d_c_final = rng.normal(size=(2, 3, hidden_size))

    def scalar():
        forward = layer_forward(sequences, **arrays)
        by_step = sum(np.sum(d * h) for d, h in zip(d_hidden, forward.hidden, strict=True))
        by_state = np.sum(d_h_final * forward.h_final) + np.sum(d_c_final * forward.c_final)
        return by_step + by_state

    forward = layer_forward(sequences, **arrays)
    weights = arrays["weight_ih"], arrays["weight_hh"]
    found = layer_backward(forward, *weights, d_hidden, d_h_final, d_c_final)
    for name, array in arrays.items():
        assert_gradient(getattr(found, name), scalar, array, name)
    for n, sequence in enumerate(sequences):
        assert_gradient(found.sequences[n], scalar, sequence, f"sequence {n}")


@pytest.mark.parametrize(
    ("loss", "n_layers", "n_outputs", "has_masks"),
    [
        ("squared", 1, 2, False),
        ("squared", 3, 1, True),
        ("binary", 2, 1, False),
        ("multinomial", 2, 3, True),
    ],
)
def test_network_central_differences(loss, n_layers, n_outputs, has_masks):
    rng = np.random.default_rng(2)
    lengths, input_size, hidden_size = [4, 1, 3], 2, 3
    parameters = make_network(rng, input_size, hidden_size, n_layers, n_outputs)
    sequences = [rng.normal(size=(length, input_size)) for length in lengths]
    h0, c0 = rng.normal(size=(2, n_layers, len(lengths), hidden_size))
    y = rng.normal(size=(3, n_outputs)) if loss == "squared" else np.array([1, 0, n_outputs - 1])
    sample_weight = np.array([0.5, 1.25, 2.0])
    masks = make_masks(lengths, hidden_size, n_layers) if has_masks else None

    def scalar():
        return LOSSES[loss](network_forward(parameters, sequences, h0, c0, masks).z, y, sample_weight)[0]

    forward = network_forward(parameters, sequences, h0, c0, masks)
    d_z = LOSSES[loss](forward.z, y, sample_weight)[1]
    found = network_backward(parameters, forward, d_z, masks)
    assert found.parameters.keys() == parameters.keys()
    for name, array in parameters.items():
        assert_gradient(found.parameters[name], scalar, array, name)
    for n, sequence in enumerate(sequences):
        assert_gradient(found.sequences[n], scalar, sequence, f"sequence {n}")
    assert_gradient(found.h0, scalar, h0, "h0")
    assert_gradient(found.c0, scalar, c0, "c0")


def test_no_state_means_zeros():
    rng = np.random.default_rng(3)
    parameters = make_network(rng, 2, 3, 2, 1)
    sequences = [rng.normal(size=(length, 2)) for length in (3, 1)]
    zeros = np.zeros((2, 2, 3))
    expected = network_forward(parameters, sequences, zeros, zeros).z
    assert_array_equal(network_forward(parameters, sequences).z, expected)


def test_sequence_ignores_its_neighbours():
    rng = np.random.default_rng(4)
    parameters = make_network(rng, 2, 3, 2, 2)
    sequences = [rng.normal(size=(length, 2)) for length in (5, 1, 3)]
    together = network_forward(parameters, sequences)
    for n, sequence in enumerate(sequences):
        alone = network_forward(parameters, [sequence])
        assert_array_equal(alone.z[0], together.z[n])
        assert_array_equal(alone.hidden[0], together.hidden[n])
        assert_array_equal(alone.c_final[:, 0], together.c_final[:, n])


# -------------------------------------------------------------------------------------- tables


def test_windows_by_hand():
    X = np.arange(7.0)[:, None]
    windows = table_windows(X, 3, groups=["b", "b", "b", "b", "a", "a", "c"])
    expected = [[0], [0, 1], [0, 1, 2], [1, 2, 3], [4], [4, 5], [6]]
    assert [window[:, 0].tolist() for window in windows] == expected


def test_predict_table_with_a_long_window_is_one_run():
    """A window that never lets go of its first row is the plain recurrence over the table."""
    rng = np.random.default_rng(5)
    parameters = make_network(rng, 2, 3, 2, 2)
    X = rng.normal(size=(6, 2))
    hidden = network_forward(parameters, [X]).hidden[0]
    expected = hidden @ parameters["weight_out"].T + parameters["bias_out"]
    assert_allclose(predict_table(parameters, X, 6), expected, rtol=1e-13)
    assert np.all(np.abs(predict_table(parameters, X, 5)[-1] - expected[-1]) > 1e-6)


def test_predict_table_of_groups_is_predict_table_of_each():
    rng = np.random.default_rng(6)
    parameters = make_network(rng, 2, 3, 1, 1)
    X = rng.normal(size=(9, 2))
    found = predict_table(parameters, X, 3, groups=[1] * 4 + [0] * 5)
    expected = [predict_table(parameters, part, 3) for part in (X[:4], X[4:])]
    assert_array_equal(found, np.concatenate(expected))


# -------------------------------------------------------------------------------------- losses


@pytest.mark.parametrize(("loss", "n_outputs"), [("squared", 3), ("binary", 1), ("multinomial", 4)])
def test_losses_central_differences(loss, n_outputs):
    rng = np.random.default_rng(7)
    z = rng.normal(size=(5, n_outputs), scale=2.0)
    y = rng.normal(size=(5, n_outputs)) if loss == "squared" else np.arange(5) % max(2, n_outputs)
    for sample_weight in (None, rng.uniform(0.5, 2.0, 5)):
        found = LOSSES[loss](z, y, sample_weight)[1]
        assert_gradient(found, lambda w=sample_weight: LOSSES[loss](z, y, w)[0], z, loss)


def test_squared_error_against_scikit_learn():
    rng = np.random.default_rng(8)
    z, y = rng.normal(size=(2, 6, 3))
    weight = rng.uniform(0.5, 2.0, 6)
    mean = mean_squared_error(y, z, sample_weight=weight)
    assert_allclose(half_squared_error(z, y, weight)[0], 0.5 * mean * weight.sum() * 3, rtol=1e-14)


def test_log_losses_against_scikit_learn():
    rng = np.random.default_rng(9)
    z, weight = rng.normal(size=(6, 3)), rng.uniform(0.5, 2.0, 6)
    binary, classes = np.array([0, 1, 1, 0, 1, 0]), np.array([0, 2, 1, 1, 0, 2])
    expected = log_loss(binary, expit(z[:, 0]), sample_weight=weight, normalize=False)
    assert_allclose(binary_log_loss(z[:, :1], binary, weight)[0], expected, rtol=1e-14)
    expected = log_loss(classes, softmax(z, axis=1), sample_weight=weight, normalize=False)
    assert_allclose(multinomial_log_loss(z, classes, weight)[0], expected, rtol=1e-14)


def test_log_losses_of_extreme_logits():
    z = np.array([[1000.0], [-1000.0], [1000.0], [-1000.0]])
    value, d_z = binary_log_loss(z, [1, 0, 0, 1])
    assert value == 2000.0
    assert_array_equal(d_z, [[0.0], [0.0], [1.0], [-1.0]])
    value, d_z = multinomial_log_loss([[1000.0, -1000.0, 0.0]] * 2, [0, 1])
    assert value == 2000.0
    assert_array_equal(d_z, [[0.0, 0.0, 0.0], [1.0, -1.0, 0.0]])


def test_log_losses_agree_on_two_classes():
    """Softmax over (0, z) is the sigmoid of z."""
    z, y = np.array([[0.3], [-1.2], [2.0]]), [1, 1, 0]
    two = multinomial_log_loss(np.hstack([np.zeros_like(z), z]), y)
    one = binary_log_loss(z, y)
    assert_allclose(two[0], one[0], rtol=1e-15)
    assert_allclose(two[1][:, 1:], one[1], rtol=1e-15)
