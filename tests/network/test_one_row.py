"""The gradient of a single row: left as factors, with the bits of the one that is written."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklstm._kernels import available_isas
from sklstm._kernels.optim._updates import UPDATE_RULES, FactoredGradient, squared_norm, update_step
from sklstm._network.network import Network
from sklstm._network.one_row import OneRow
from sklstm._network.parameters import ParameterLayout

CELLS = ("lstm", "gru", "elman", "cfc", "delta")


def bound_network(dtype="float64", isa=None, n_threads=1, **shape):
    sizes = shape.pop("hidden_sizes", (19, 19))
    layout = ParameterLayout(5, sizes, 2, **shape)
    network = Network(layout, dtype, n_threads, isa)
    rng = np.random.default_rng(1)
    network.load((0.3 * rng.standard_normal(layout.size)).astype(network.dtype))
    return network


def row_of(network):
    rng = np.random.default_rng(2)
    table = rng.standard_normal((1, 5)).astype(network.dtype)
    states = 0.3 * rng.standard_normal((1, network.n_states)).astype(network.dtype)
    return table, states, rng.standard_normal((1, 2)).astype(network.dtype)


def both(network):
    """Loss, gradient and states by the general call, then by that of one row."""
    table, states, target = row_of(network)
    zero, one, weight = np.zeros(1, np.intp), np.ones(1, np.intp), np.full(1, 0.5, network.dtype)
    final = states.copy()
    options = {"loss": "squared", "loss_parameter": 0.0}
    value = network.steps_loss_and_gradient(
        table, zero, one, zero, final, targets=target, weights=weight, scale=1.5, first_rows=zero, **options
    )
    general = value, network.gradient.copy(), final
    network.gradient[:] = np.nan  # what is left as factors is not read
    return general, OneRow(network, **options).loss_and_gradient(table, states, target, weight, 1.5)


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
def test_factors_have_the_bits_of_the_gradient(cell, dtype, isa):
    network = bound_network(dtype, isa, cell=cell)
    (value, gradient, final), (found, factored, states) = both(network)
    assert isinstance(factored, FactoredGradient)
    assert found == value
    assert_array_equal(states, final)
    assert_array_equal(factored.to_array(isa), gradient)
    assert {squared_norm(factored, n, isa) for n in (1, 2, 3)} == {squared_norm(gradient, 1, isa)}


@pytest.mark.parametrize("rule", UPDATE_RULES)
def test_steps_by_factors_have_the_bits_of_others(rule):
    network = bound_network("float32", hidden_sizes=(256, 100))  # long enough to be shared
    (_, gradient, _), (_, factored, _) = both(network)
    rng, results = np.random.default_rng(3), []
    start = [network.weights.copy(), *(rng.random((2, len(gradient)), np.float32))]
    settings = {
        "scale": 0.5,
        "learning_rate": 1e-2,
        "beta1": 0.9,
        "beta2": 0.99,
        "epsilon": 1e-8,
        "step": 2,
        "mixing": 0.1,
    }
    for one, n_threads in ((gradient, 1), (factored, 1), (factored, 2), (factored, 3)):
        arrays = [array.copy() for array in start]
        update_step(rule, arrays[0], one, *arrays[1:], *network.decay_segments(0.1), n_threads, **settings)
        results.append(arrays)
    for arrays in results[1:]:
        for found, expected in zip(arrays, results[0], strict=True):
            assert_array_equal(found, expected)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_threads_that_share_a_layer_change_no_bit(cell):
    """Layers of a megabyte and more; the gradient of what the second reads is computed panel by panel."""
    shape = {"cell": cell, "hidden_sizes": (256, 208, 40)}
    (value, gradient, final), _ = both(bound_network("float32", **shape))
    for n_threads in (1, 2, 3):
        network = bound_network("float32", n_threads=n_threads, **shape)
        table, states, target = row_of(network)
        one = OneRow(network, "squared", 0.0)
        found, factored, states = one.loss_and_gradient(table, states, target, np.full(1, 0.5, np.float32), 1.5)
        assert found == value
        assert_array_equal(states, final)
        assert_array_equal(factored.to_array(), gradient)


@pytest.mark.parametrize(
    "shape",
    [
        {"bidirectional": True},
        {"norm": "layer", "residual": 1, "hidden_sizes": (19, 19, 19)},
        {"hidden_sizes": (150, 7)},
        {"hidden_sizes": (1,)},
    ],
    ids=str,
)
def test_so_do_those_of_other_shapes(shape):
    (value, gradient, _), (found, factored, _) = both(bound_network(**shape))
    assert isinstance(factored, FactoredGradient)
    assert found == value
    assert_array_equal(factored.to_array(), gradient)


@pytest.mark.parametrize(
    "shape", [{"cell": "mgu"}, {"cell": "mingru"}, {"cell": "lmu"}, {"projection_size": 3}], ids=str
)
def test_other_layers_write_their_gradient(shape):
    (value, gradient, final), (found, written, states) = both(bound_network(**shape))
    assert not isinstance(written, FactoredGradient)
    assert found == value
    assert_array_equal(written, gradient)
    assert_array_equal(states, final)


def test_factors_are_of_a_single_row():
    network = bound_network()
    table, states, target = row_of(network)
    n_parts, n_numbers = network._stack.outer_products
    stack, workspace = network._stack, network._workspace
    both(network)
    arguments = {"loss": "squared", "scale": 1.0, "slots": workspace.slots, "max_steps": 1}
    rows = [np.zeros(1, np.intp), np.ones(1, np.intp)]
    for vector, parts, error in (
        (network.gradient, 1, "room for all"),
        (network.gradient.copy(), n_parts, "of the first slot"),
    ):
        factored = FactoredGradient(vector, parts, n_numbers)
        with pytest.raises(ValueError, match=error):
            stack.forward_backward(
                table, 5, *rows, workspace.chunks, 1, targets=target, weights=np.ones(1),
                initial_state=states, factored=factored, **arguments,
            )  # fmt: skip
    workspace.reserve(1 << 20, 0)
    factored = FactoredGradient(network.gradient, n_parts, n_numbers)
    with pytest.raises(ValueError, match="single row"):
        stack.forward_backward(
            np.vstack([table, table]), 5, rows[0], 2 * rows[1], workspace.chunks, 1, targets=target,
            weights=np.ones(1), factored=factored, **{**arguments, "max_steps": 2},
        )  # fmt: skip
