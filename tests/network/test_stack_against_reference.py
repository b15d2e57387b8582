"""The stack of every instruction set and precision against the NumPy reference, over sizes around
those of vectors, tiles and chunks."""

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
from network.stack_runner import StackRunner
from numpy.testing import assert_array_equal
from reference.losses import LOSSES
from reference.lstm import layer_backward, layer_forward

from sklstm._kernels import available_isas

SQUARED, BINARY, MULTINOMIAL = "squared", "binary_log", "multinomial_log"
REFERENCE_LOSS = {SQUARED: "squared", BINARY: "binary", MULTINOMIAL: "multinomial"}
# Units of each layer, columns of the input, sequences, longest sequence, loss, columns of the output.
# 16 sequences and more are cut into chunks; chunks of more than 128 rows into blocks of the outer
# product; 70 outputs are more than one panel of any instruction set.
CASES = [
    ((1,), 1, 1, 4, SQUARED, 1),
    ((1, 1), 50, 7, 5, BINARY, 1),
    ((7, 7, 7), 3, 2, 6, MULTINOMIAL, 3),
    ((7,), 16, 70, 4, SQUARED, 2),
    ((8,), 1, 33, 11, MULTINOMIAL, 5),
    ((8, 8), 50, 3, 6, SQUARED, 70),
    ((15, 15), 3, 7, 5, BINARY, 1),
    ((15, 15, 15), 16, 1, 7, SQUARED, 1),
    ((16,), 16, 33, 10, SQUARED, 3),
    ((16, 16), 50, 2, 6, MULTINOMIAL, 2),
    ((17, 17), 1, 70, 3, BINARY, 1),
    ((17, 17, 17), 3, 3, 6, SQUARED, 1),
    ((33,), 50, 33, 3, BINARY, 1),
    ((33, 33), 3, 7, 4, MULTINOMIAL, 4),
    ((100, 100), 16, 3, 4, SQUARED, 2),
    ((100,), 50, 7, 3, MULTINOMIAL, 70),
    ((3, 40, 9), 5, 20, 4, SQUARED, 1),
    ((34, 2), 17, 16, 5, BINARY, 1),
    ((5,), 2, 2, 150, SQUARED, 1),
]
# Of the largest number of an array. float32: some steps of rounding of sums and activations.
TOLERANCE = {"float64": 2e-14, "float32": 2e-6}


def draw(rng, *shape, scale=1.0):
    """Numbers that float32 holds exactly, so that both precisions compute the same thing."""
    return np.round(rng.uniform(-scale, scale, shape) * 2.0**16) / 2.0**16


def draw_problem(case):
    hidden_sizes, input_size, n, steps, loss, n_outputs = case
    rng = np.random.default_rng(CASES.index(case))
    parameters, below = {}, input_size
    for layer, hidden in enumerate(hidden_sizes):
        parameters[f"weight_ih_l{layer}"] = draw(rng, 4 * hidden, below, scale=2 / np.sqrt(below))
        parameters[f"weight_hh_l{layer}"] = draw(rng, 4 * hidden, hidden, scale=2 / np.sqrt(hidden))
        parameters[f"bias_l{layer}"] = draw(rng, 4 * hidden)
        below = hidden
    parameters["weight_out"], parameters["bias_out"] = draw(rng, n_outputs, below), draw(rng, n_outputs)
    # Every third case has sequences of one length; in the others the longest is never the first.
    lengths = np.full(n, steps) if CASES.index(case) % 3 == 0 else rng.integers(1, steps + 1, n)
    lengths[-1] = steps
    weights = np.round(rng.uniform(0.25, 2.0, n) * 8) / 8
    if n > 1:
        weights[rng.permutation(n)[: max(1, n // 4)]] = 0.0
    if loss == SQUARED:
        y = draw(rng, n, n_outputs, scale=2.0)
    else:
        y = rng.integers(0, max(2, n_outputs), n)
    # Every fifth case starts from zeros.
    size = float(CASES.index(case) % 5 != 0)
    return SimpleNamespace(
        parameters=parameters,
        sequences=[draw(rng, length, input_size, scale=2.0) for length in lengths],
        h0=[size * draw(rng, n, hidden) for hidden in hidden_sizes],
        c0=[size * draw(rng, n, hidden, scale=2.0) for hidden in hidden_sizes],
        loss=loss,
        y=y,
        weights=weights,
        # The package takes the mean over the outputs, the reference the sum.
        factor=1.0 / n_outputs if loss == SQUARED else 1.0,
    )


@cache
def solve(case):
    """The problem of a case and the reference's answers, layer upon layer (of any widths)."""
    problem = draw_problem(case)
    p = problem.parameters
    layers, below = [], problem.sequences
    for number in range(len(case[0])):
        weights = [p[f"{kind}_l{number}"] for kind in ("weight_ih", "weight_hh", "bias")]
        layers.append(layer_forward(below, *weights, problem.h0[number], problem.c0[number]))
        below = layers[-1].hidden
    features = layers[-1].h_final
    z = features @ p["weight_out"].T + p["bias_out"]
    weights = problem.weights * problem.factor
    loss, d_z = LOSSES[REFERENCE_LOSS[problem.loss]](z, problem.y, weights)
    gradients = {"weight_out": d_z.T @ features, "bias_out": d_z.sum(axis=0)}
    d_hidden, d_last, d_h0, d_c0 = None, d_z @ p["weight_out"], [], []
    for number in reversed(range(len(layers))):
        weights = p[f"weight_ih_l{number}"], p[f"weight_hh_l{number}"]
        found = layer_backward(layers[number], *weights, d_hidden, d_last)
        for kind in ("weight_ih", "weight_hh", "bias"):
            gradients[f"{kind}_l{number}"] = getattr(found, kind)
        d_h0.insert(0, found.h0)
        d_c0.insert(0, found.c0)
        d_hidden, d_last = found.sequences, None
    forward = {"z": z, "hidden": features}
    for number, layer in enumerate(layers):
        forward |= {f"h_final_{number}": layer.h_final, f"c_final_{number}": layer.c_final}
    backward = {"loss": loss, "z": z, "d_x": np.concatenate(d_hidden), **gradients}
    for number in range(len(layers)):
        backward |= {f"d_h0_{number}": d_h0[number], f"d_c0_{number}": d_c0[number]}
    return problem, forward, backward


def assert_close(found, expected, tolerance):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert np.shape(found[name]) == np.shape(value), name
        size = np.abs(value).max()
        error = np.abs(found[name] - value).max()
        # Gradients that fade over 150 steps leave the normal numbers of float32. Also false for NaN.
        limit = tolerance * size + np.finfo(np.float32).smallest_normal
        assert error <= limit, f"{name}: {error / size:.1e} of its largest number"


def by_layer(result, name, new_name):
    return {f"{new_name}_{number}": array for number, array in enumerate(result.pop(name))}


def case_name(case):
    hidden_sizes, input_size, n, steps, *_ = case
    return f"{'-'.join(map(str, hidden_sizes))}_{input_size}_{n}_{steps}"


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_stack_against_reference(case, dtype, isa):
    problem, forward, backward = solve(case)
    runner = StackRunner(problem.parameters, problem.sequences, dtype=dtype, isa=isa, h0=problem.h0, c0=problem.c0)
    found = runner.forward()
    predicted = found["z"]
    found |= by_layer(found, "h_final", "h_final") | by_layer(found, "c_final", "c_final")
    assert_close(found, forward, TOLERANCE[dtype])

    found = runner.forward_backward(problem.loss, problem.y, problem.weights)
    assert_array_equal(found["z"], predicted)
    d_sequences = found.pop("sequences")
    found["d_x"] = np.concatenate(d_sequences)
    found |= found.pop("parameters") | by_layer(found, "h0", "d_h0") | by_layer(found, "c0", "d_c0")
    assert_close(found, backward, TOLERANCE[dtype])
    for d_sequence, weight in zip(d_sequences, problem.weights, strict=True):
        assert weight != 0.0 or not d_sequence.any()


def test_cases_cover_the_sizes():
    """The list above is chosen by hand: it must not lose a size."""
    hidden_sizes, inputs, batches, _, losses, _ = map(set, zip(*CASES, strict=True))
    assert {1, 7, 8, 15, 16, 17, 33, 100} <= {h for sizes in hidden_sizes for h in sizes}
    assert {1, 3, 16, 50} <= inputs
    assert {1, 2, 3, 7, 33, 70} <= batches
    assert {1, 2, 3} == {len(sizes) for sizes in hidden_sizes}
    assert losses == set(REFERENCE_LOSS)
