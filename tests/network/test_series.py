"""Networks with an output at every step: whole series, step by step, in stretches, and from the equations."""

from itertools import pairwise

import numpy as np
import pytest
from network.options_draw import draw_options, drawn_cells, for_cell, make_case
from numpy.testing import assert_allclose, assert_array_equal
from reference.network import options_forward

from sklstm._network.cells import CELLS
from sklstm._network.noise import Noise
from sklstm._network.series import BLOCK_ROWS
from sklstm._sequences import Sequences

each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
KINDS = {
    "plain": {},
    "norm": {"norm": "layer", "residual": 1},
    "variant": {"peephole": True, "cell_norm": True, "projection_size": 5, "zoneout": 0.2},
}
each_kind = pytest.mark.parametrize(
    ("cell", "kind"), [pytest.param(cell, kind, id=f"{cell}-{kind}") for cell in CELLS for kind in KINDS]
)
DRAWN = [number for number in range(500, 560) if draw_options(number).get("every_step")]


def make_network(cell, kind, dtype, n_threads=2):
    options = for_cell(cell, {"hidden_sizes": (9, 9), "every_step": True, **KINDS[kind]})
    case = make_case(options, len(kind), dtype=dtype)
    case.network.load(case.flat)
    case.network.n_threads = n_threads
    return case


def draw_table(n_rows, dtype):
    return np.random.default_rng(n_rows).normal(size=(n_rows, 3)).astype(dtype)


@each_dtype
@each_kind
def test_a_series_is_its_steps(cell, kind, dtype):
    """More rows than a block; windows as long as the series, each of which reads all rows up to its own."""
    network, table = make_network(cell, kind, dtype).network, draw_table(BLOCK_ROWS + 44, dtype)
    z = network.forward(Sequences.from_windows(table, len(table)))
    hidden = network.forward(Sequences.from_windows(table, len(table)), want_hidden=True)
    assert (len(z), len(hidden)) == (len(table), len(table))
    states = np.zeros((1, network.n_states), dtype)
    for t, row in enumerate(table):
        before = states.copy()
        one = Sequences.from_array(row[np.newaxis, np.newaxis])
        assert_array_equal(network.forward(one, states=states)[0], z[t], strict=True)
        assert_array_equal(network.forward(one, states=before, want_hidden=True)[0], hidden[t], strict=True)


@each_dtype
@each_kind
def test_blocks_are_series_of_their_own(cell, kind, dtype):
    """Of different lengths, in any order, one of them longer than a block of rows; some rows asked for alone."""
    network, lengths = make_network(cell, kind, dtype).network, [3, BLOCK_ROWS + 9, 1, 40, 40, 7]
    table, ends = draw_table(sum(lengths), dtype), np.cumsum([0, *lengths])
    sequences = Sequences.from_windows(table, len(table), ends.astype(np.intp))
    found = network.forward(sequences)
    for begin, end in pairwise(ends):
        alone = network.forward(Sequences.from_windows(table[begin:end], end - begin))
        assert_array_equal(found[begin:end], alone, strict=True)
    rows = np.random.default_rng(0).permutation(len(table))[:20]
    assert_array_equal(network.forward(sequences.take(rows)), found[rows], strict=True)


@each_dtype
@each_kind
def test_threads_change_no_bit_of_series(cell, kind, dtype):
    table, blocks = draw_table(400, dtype), np.arange(0, 401, 10, dtype=np.intp)
    answers = [
        make_network(cell, kind, dtype, n_threads).network.forward(Sequences.from_windows(table, 400, blocks))
        for n_threads in (1, 2, 3)
    ]
    for found in answers[1:]:
        assert_array_equal(found, answers[0], strict=True)


@each_kind
def test_series_against_the_reference(cell, kind):
    case, lengths = make_network(cell, kind, "float64"), [12, 5, 30]
    table, blocks = draw_table(47, "float64"), np.cumsum([0, *lengths]).astype(np.intp)
    expected = options_forward(case.shape, case.parameters, np.split(table, blocks[1:-1]), None, None, *case.scaling)
    sequences = Sequences.from_windows(table, 47, blocks)
    assert_allclose(case.network.forward(sequences), expected.z, rtol=1e-10, atol=1e-10)
    assert_allclose(case.network.forward(sequences, want_hidden=True), expected.features, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "options",
    [{"bidirectional": True}, {"attention_heads": 3}, {"bidirectional": True, "attention_heads": 2}],
    ids=str,
)
def test_series_that_are_read_whole(options):
    """Also to their ends, where not all of their rows are asked for."""
    case, lengths = make_case({"hidden_sizes": (6, 6), "every_step": True, **options}, 1, dtype="float64"), [12, 5, 300]
    case.network.load(case.flat)
    series = np.split(draw_table(317, "float64"), np.cumsum(lengths)[:-1])
    expected = options_forward(case.shape, case.parameters, series, None, None, *case.scaling)
    sequences = Sequences.from_list(series).at_every_row()
    assert_allclose(case.network.forward(sequences), expected.z, rtol=1e-10, atol=1e-10)
    assert_allclose(case.network.forward(sequences, want_hidden=True), expected.features, rtol=1e-10, atol=1e-10)
    rows = np.array([250, 3, 13, 0])
    assert_array_equal(case.network.forward(sequences.take(rows)), case.network.forward(sequences)[rows])
    begins, found = sequences.take(rows).series()
    assert (begins.tolist(), found.tolist()) == ([0, 12, 17], lengths)


@pytest.mark.parametrize(("cell", "number"), drawn_cells(DRAWN, 2))
def test_stretches_carry_their_states(cell, number):
    """Training on stretches of series ends with the states of a pass over them, and goes on from there."""
    options = draw_options(number, cell) | {"zoneout": 0.0, "recurrent_dropout": 0.0, "bidirectional": False}
    options["attention_heads"] = 0
    case = make_case(options, number, n=4, n_columns=3)
    case.network.load(case.flat)
    table, shape, rng = draw_table(40, "float64"), case.shape, np.random.default_rng(number)
    begins, states = np.array([0, 15, 24, 32], np.intp), np.zeros((4, case.stack.state_size))
    targets = rng.normal(size=(40, shape.n_outputs))
    weights = rng.uniform(0.5, 2.0, 40)
    about = {"targets": targets, "weights": weights, "loss": "squared", "loss_parameter": 0.0, "scale": 1.0}
    done, total = np.zeros(4, np.intp), 0.0
    # The last series ends with the first stretch.
    for rows in ([6, 5, 5, 2], [9, 4, 3]):
        lengths, running = np.array(rows, np.intp), np.arange(len(rows))
        own = states[running]
        starts = begins[running] + done[running]
        total += case.network.steps_loss_and_gradient(
            table, starts, lengths, running, own, Noise(), **about, first_rows=begins[running]
        )
        states[running] = own
        done[running] += lengths
    rows = np.concatenate([np.arange(begin, begin + n) for begin, n in zip(begins, done, strict=True)])
    expected = options_forward(
        shape, case.parameters, np.split(table[rows], np.cumsum(done)[:-1]), None, None, *case.scaling
    )
    assert_allclose(states, expected.final, rtol=1e-10, atol=1e-10)
    errors = 0.5 * ((expected.z - targets[rows]) ** 2).mean(axis=1)
    assert_allclose(total, errors @ weights[rows], rtol=1e-10)


@each_dtype
@pytest.mark.parametrize("scaled", [False, True])
def test_the_linear_skip_reads_rows_before_a_stretch(dtype, scaled):
    """In stretches of any length, one of them a single row; and not beyond the first row of the series."""
    options = {"hidden_sizes": (9,), "every_step": True, "linear_skip": 4, "scaled": scaled}
    case = make_case(options, 1, dtype=dtype)
    network, table = case.network, draw_table(30, dtype)
    network.load(case.flat)
    expected = network.forward(Sequences.from_series(table, np.array([0, 11, 30])))
    for begin, end in ((0, 11), (11, 30)):
        states = np.zeros((1, network.n_states), dtype)
        for first, last in pairwise([begin, begin + 1, begin + 3, begin + 9, end]):
            lengths = np.array([last - first], np.intp)
            out = np.empty((len(table), network.layout.n_outputs), dtype)
            starts = np.array([first], np.intp)
            network.run(table, starts, lengths, out, False, states, first_rows=np.array([begin], np.intp))
            assert_array_equal(out[first:last], expected[first:last])
    with pytest.raises(ValueError, match="expected first rows inside the table"):
        network.run(table, starts, lengths, out, False, states, first_rows=np.array([begin + 30], np.intp))
