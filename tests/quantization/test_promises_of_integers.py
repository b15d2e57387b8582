"""Networks of integer products give the same bits: for a sequence alone, any number of threads, any instruction set."""

import numpy as np
import pytest
from network.options_draw import draw_options, drawn_cells
from network.test_options_promises import assert_same_bits
from numpy.testing import assert_array_equal
from quantization.integer_case import IntegerCase

from sklstm._kernels import available_isas
from sklstm._network.cells import CELLS
from sklstm._network.integers import DTYPES, to_flat
from sklstm._network.network import Network
from sklstm._network.stream import RowStream, open_stream
from sklstm._sequences import Sequences

ISAS = available_isas("reduced")
NUMBERS = range(500, 524)
each_drawn = pytest.mark.parametrize(("cell", "number"), drawn_cells(NUMBERS, 2))
OF_TRAINING = ("threads", "dropout", "recurrent_dropout", "scaled")


def draw_case(cell, number, **more):
    """Layers of more units than a vector has numbers, more sequences than one chunk; formats in turn, some mixed."""
    options = {name: value for name, value in draw_options(number, cell).items() if name not in OF_TRAINING}
    options["hidden_sizes"] = sizes = tuple(3 * size for size in options["hidden_sizes"])
    options["projection_size"] = 3 * options.get("projection_size", 0)
    dtype = DTYPES[number % 2]
    if number % 5 == 0:
        dtype = tuple((None, "int8", "int16")[(number // 5 + k) % 3] for k in range(len(sizes)))
    return IntegerCase(dtype, seed=number, **{**options, "n": 37, **more})


@each_drawn
def test_a_sequence_alone_equals_itself_in_a_batch(cell, number):
    case = draw_case(cell, number)
    together = case.forward()
    for k in (0, 1, 5, 36):
        assert_same_bits(case.forward(slice(k, k + 1)), [whole[k : k + 1] for whole in together])
    assert_same_bits(case.forward(slice(3, 10)), [whole[3:10] for whole in together])


@each_drawn
def test_threads_and_instruction_sets_change_no_bit(cell, number):
    expected = draw_case(cell, number, n=70).forward()
    for threads, isa in [(2, None), (3, None), (8, None), *((1, isa) for isa in ISAS)]:
        assert_same_bits(draw_case(cell, number, n=70, threads=threads, isa=isa).forward(), expected)


@pytest.mark.parametrize(
    ("cell", "number"), drawn_cells([k for k in NUMBERS if not draw_options(k).get("every_step")], 2)
)
def test_windows_of_a_table_are_copies_of_them(cell, number):
    """Overlapping windows share the first product where they can."""
    case = draw_case(cell, number)
    table = np.random.default_rng(number).normal(size=(60, case.shape.input_size)).astype(np.float32)
    windows = Sequences.from_windows(table, 6)
    copies = Sequences.from_list(
        [table[a : a + n].copy() for a, n in zip(windows.starts, windows.lengths, strict=True)]
    )
    for want_hidden in (False, True):
        outputs = [case.network.forward(sequences, want_hidden=want_hidden) for sequences in (windows, copies)]
        assert_array_equal(*outputs, strict=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("n_streams", [1, 3, 40])
def test_steps_of_a_stream_are_sequences(n_streams, cell, dtype):
    case = IntegerCase(dtype, (37, 37), n_columns=6, cell=cell, threads=2, residual=1, norm="layer", seed=1)
    rows = np.random.default_rng(n_streams).normal(size=(9, n_streams, 6))
    for window in (None, 1, 4):
        stream = open_stream(case.network, n_streams, window)
        assert isinstance(stream, RowStream) == CELLS[cell].has_plain_layer
        for t, row in enumerate(rows):
            begin = 0 if window is None else max(0, t + 1 - window)
            sequences = Sequences.from_array(np.ascontiguousarray(rows[begin : t + 1].swapaxes(0, 1)))
            assert_array_equal(stream.step(row), case.network.forward(sequences), strict=True)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_wide_step_is_shared_by_threads_and_changes_no_bit(dtype):
    """From `SHARED_STEP` multiplications on, threads take panels of a layer each."""
    case = IntegerCase(dtype, (520,), n_columns=300, n=2, longest=2)
    flat = to_flat(case.parameters, case.layout)
    rows = np.random.default_rng(0).normal(size=(5, 3, 300))
    answers = []
    for threads in (1, 2, 3):
        network = Network(case.layout, "float32", threads)
        network.load(flat)
        stream = open_stream(network, 3)
        answers.append(np.array([stream.step(row).copy() for row in rows]))
    assert_same_bits(answers[1:], [answers[0]] * 2)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cell", [name for name, cell in CELLS.items() if cell.has_plain_layer])
def test_threads_take_rows_of_a_step_and_change_no_bit(cell, dtype):
    """From `ROWS_OF_A_SHARE` streams for each thread on; the states too, and after some of them were reset."""
    case = IntegerCase(dtype, (130, 70), n_columns=40, cell=cell, residual=1, norm="layer", seed=2)
    flat = to_flat(case.parameters, case.layout)
    rows = np.random.default_rng(1).normal(size=(5, 37, 40))
    found = []
    for threads in (1, 2):
        network = Network(case.layout, "float32", threads)
        network.load(flat)
        stream = open_stream(network, 37)
        answers = [stream.step(row).copy() for row in rows]
        stream.reset(np.arange(37) % 3 == 0)
        found.append([*answers, stream.step(rows[0]).copy(), *stream.state.values()])
    assert_same_bits(*found)


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_beyond_the_range_are_clipped(dtype):
    case = IntegerCase(dtype, (17,), cell="gru", n=3, longest=1)
    largest = (
        np.concatenate([rows * 0 + 3e3 for rows in case.rows]),
        np.concatenate([rows * 0 + 1e9 for rows in case.rows]),
    )
    outputs = [case.forward(rows=[row[None] for row in table]) for table in largest]
    assert_same_bits(*outputs)
