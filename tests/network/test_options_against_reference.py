"""Networks of all cells and options against the NumPy reference: outputs, features, final states, masks."""

from functools import cache

import numpy as np
import pytest
from network.options_draw import ALONE, cells_with_some, draw_options, drawn_cells, for_cell, make_case
from numpy.testing import assert_allclose, assert_array_equal
from reference.attention import attention_block, attention_pooling
from reference.network import (
    Noise,
    attention_parameters,
    cut_patches,
    options_forward,
    read_rows,
    run_layers,
)

from sklstm._network.cells import CELLS
from sklstm._sequences import Sequences

N_CONFIGURATIONS = 80
# float32: rounding, which a normalisation of nearly equal numbers multiplies by up to 1 / sqrt(1e-5).
TOLERANCES = {"float64": {"rtol": 1e-10, "atol": 1e-10}, "float32": {"rtol": 2e-4, "atol": 2e-4}}
each_dtype = pytest.mark.parametrize("dtype", TOLERANCES)
each_option = pytest.mark.parametrize(("cell", "name"), cells_with_some(ALONE))
each_drawn = pytest.mark.parametrize(("cell", "number"), drawn_cells(range(N_CONFIGURATIONS), 6))


def check_forward(case):
    expected = options_forward(
        case.shape, case.parameters, case.sequences, case.state, None, *case.scaling, case.known_ahead
    )
    for found, wanted in zip(case.forward(), expected, strict=True):
        assert_allclose(found, wanted, **TOLERANCES[case.dtype])


def check_training(case):
    """The loss of a training pass and its raw outputs, under the masks drawn by the reference."""
    noise = Noise(case.ids, seed=case.seed, epoch=case.epoch, **case.drops)
    expected = options_forward(
        case.shape, case.parameters, case.sequences, case.state, noise, *case.scaling, case.known_ahead
    )
    z = np.full_like(expected.z, np.nan, dtype=case.dtype)
    loss = case.loss(z=z)
    close = TOLERANCES[case.dtype]
    assert_allclose(z, expected.z, **close)
    errors = 0.5 * ((expected.z - case.targets) ** 2).mean(axis=1)
    assert_allclose(loss, errors @ case.weights / len(case.lengths), **close)


@each_dtype
@each_option
def test_each_option_alone(cell, name, dtype):
    """Sizes around those of a vector, with remainders."""
    for number, sizes in enumerate([(1, 1), (9, 9), (17, 17)]):
        options = {"cell": cell, "hidden_sizes": sizes, "n": 7, "longest": 8, **ALONE[name]}
        if "hidden_sizes" in ALONE[name]:
            options["hidden_sizes"] = [(2, 1), (9, 17), (33, 8)][number]
        if "projection_size" in options:
            options["projection_size"] = (1, 3, 9)[number]
            options["hidden_sizes"] = tuple(size + 1 for size in sizes)
        if "attention_heads" in options:
            options["attention_heads"] = (1, 3, 1)[number]
        check_forward(make_case(options, number + len(name), dtype=dtype))


@each_dtype
@each_drawn
def test_all_options_together(cell, number, dtype):
    check_forward(make_case(draw_options(number, cell), number, dtype=dtype))


@each_dtype
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", ["last", "mean", "attention"])
def test_long_sequences_with_attention(pooling, bidirectional, dtype):
    """More steps than a block of queries."""
    options = {"bidirectional": bidirectional, "attention_heads": 2, "pooling": pooling, "n": 3, "longest": 150}
    check_forward(make_case(options, 9 + bidirectional, dtype=dtype))


@each_dtype
@each_drawn
def test_masks_of_training(cell, number, dtype):
    """Zoneout, recurrent dropout, dropout between layers, and all of them together, in each kind of network."""
    rates = [(0.4, 0.0, 0.0), (0.0, 0.4, 0.0), (0.0, 0.0, 0.4), (0.3, 0.3, 0.3)][number % 4]
    drawn = for_cell(cell, dict(zip(("zoneout", "recurrent_dropout", "dropout"), rates, strict=True)))
    check_training(make_case(draw_options(number, cell) | drawn, number, dtype=dtype))


@each_dtype
@pytest.mark.parametrize("cell", CELLS)
def test_large_seeds_and_epochs(cell, dtype):
    """Both words of the seed count."""
    options = for_cell(cell, {"bidirectional": True, "zoneout": 0.3, "dropout": 0.3, "recurrent_dropout": 0.3})
    case = make_case(options, 1, dtype=dtype)
    case.seed, case.epoch = 0x1234_5678_9ABC_DEF0, 0xFFFF_FFFE
    check_training(case)


@cache
def constant_columns(dtype):
    """A column that is constant, one nearly so, one of zeros, and one that moves."""
    rng = np.random.default_rng(4)
    table = rng.normal(size=(12, 4))
    table[:, 0], table[:, 2] = 3.7, 0.0
    table[:, 1] = 1e4 * (1.0 + 1e-7 * table[:, 1])
    return table.astype(dtype)


@each_dtype
@pytest.mark.parametrize("kind", ["last", "standard"])
def test_constant_columns_are_not_divided(kind, dtype):
    """What is left of them is rounding, which must not become as large as a signal."""
    options = {"window_norm": kind, "linear_skip": 2, "n": 1, "n_columns": 4, "longest": 12}
    case = make_case(options, 3, dtype=dtype)
    case.table[:] = constant_columns(dtype)
    check_forward(case)
    freed = read_rows(case.table.astype(np.float64), kind)
    assert np.abs(freed[:, :3]).max() < 0.1
    assert np.abs(freed[:, 3]).max() > 0.5


@pytest.mark.parametrize("kind", ["last", "standard"])
def test_window_moments(kind):
    case = make_case({"window_norm": kind, "n": 9, "n_columns": 3}, 2)
    shift, deviation = (np.full((9, 3), np.nan) for _ in range(2))
    case.stack.window_moments(case.table, 3, case.starts, case.lengths, shift, deviation)
    for rows, one_shift, one_deviation in zip(case.sequences, shift, deviation, strict=True):
        assert_allclose((rows - one_shift) / one_deviation, read_rows(rows, kind), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", ["last", "standard"])
def test_outputs_with_what_their_columns_are_freed_of(kind):
    """In the order of the sequences, which is not that of the kernels."""
    case = make_case({"window_norm": kind, "n": 9, "n_columns": 3}, 2)
    network, sequences = case.network, case.sequences[::-1]
    z = network.forward(Sequences.from_list(sequences))
    network.reference_columns = [2, 0]
    found = network.forward(Sequences.from_list(sequences))
    assert_array_equal(found[:, :2], z)
    for rows, shift, deviation in zip(sequences, found[:, 2:4], found[:, 4:], strict=True):
        freed = (rows[:, [2, 0]] - shift) / deviation
        assert_allclose(freed, read_rows(rows, kind)[:, [2, 0]], rtol=1e-12, atol=1e-12)


@each_dtype
@pytest.mark.parametrize("bidirectional", [False, True])
def test_weights_of_steps(bidirectional, dtype):
    """What the pooling gives to each step, and each head of the last step; nothing to steps that do not exist."""
    options = {"bidirectional": bidirectional, "attention_heads": 2, "patch_length": 2, "n": 20, "longest": 9}
    for pooling in ("last", "attention"):
        case = make_case(options | {"pooling": pooling}, 6, dtype=dtype)
        steps = (case.lengths + 1) // 2
        weights = {"head_weights": np.full((20, 2, steps[0]), np.nan, dtype)}
        if pooling == "attention":
            weights["pool_weights"] = np.full((20, steps[0]), np.nan, dtype)
        case.forward(**weights)
        parameters, close = case.parameters, TOLERANCES[dtype]
        top, _ = run_layers(case.shape, parameters, patches_of(case), states_of(case), None)
        for k, y in enumerate(top):
            out, heads = attention_block(y, attention_parameters(parameters), 2, causal=not bidirectional)
            assert_allclose(weights["head_weights"][k, :, : steps[k]], heads[:, -1], **close)
            assert not weights["head_weights"][k, :, steps[k] :].any()
            if pooling == "attention":
                expected = attention_pooling(out, parameters["weight_pool"])[1]
                assert_allclose(weights["pool_weights"][k, : steps[k]], expected, **close)
                assert not weights["pool_weights"][k, steps[k] :].any()


def patches_of(case):
    return [cut_patches(rows.astype(np.float64), case.shape.patch_length) for rows in case.sequences]


def states_of(case):
    return np.zeros((len(case.lengths), case.stack.state_size)) if case.state is None else case.state
