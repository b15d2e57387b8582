"""The input stage: tables of either dtype, standardised in float64 and rounded once, are the tables made by hand."""

import numpy as np
import pytest
from network.options_case import draw_scaling
from network.options_draw import ALONE, make_case
from numpy.testing import assert_array_equal

from sklstm._network.network import Network
from sklstm._network.noise import Noise
from sklstm._network.stream import open_stream
from sklstm._sequences import Sequences

N_ROWS, LENGTH = 90, 7
each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
each_table = pytest.mark.parametrize("table_dtype", ["float32", "float64"])
# Narrow and wide rows go through different loops.
each_width = pytest.mark.parametrize("n_columns", [1, 3, 16, 65])
# Options that read rows in ways of their own.
KINDS = {
    name: ALONE[name]
    for name in ("plain", "bidirectional", "patches", "linear_skip", "cell_norm", "every_step", "projection")
}
KINDS["patches_and_skip"] = {"patch_length": 3, "linear_skip": 5}
each_kind = pytest.mark.parametrize("kind", KINDS)


class Pair:
    """A network with a scaled input, and one that reads the table made by hand."""

    def __init__(self, kind, dtype, table_dtype, n_columns=3, n_threads=2):
        case = make_case(KINDS[kind], 3, n_columns=n_columns, dtype=dtype)
        self.mean, self.scale = draw_scaling(n_columns, n_columns)
        self.scaled = Network(case.layout, dtype, n_threads, input_mean=self.mean, input_scale=self.scale)
        self.plain = Network(case.layout, dtype, n_threads)
        for network in (self.scaled, self.plain):
            network.load(case.flat)
        rng = np.random.default_rng(n_columns)
        self.table = (self.mean + self.scale * rng.normal(size=(N_ROWS, n_columns))).astype(table_dtype)
        self.by_hand = ((self.table.astype(np.float64) - self.mean) * (1 / self.scale)).astype(dtype)
        self.n_outputs = case.shape.n_outputs


def windows(table, kind="plain"):
    # With an output at every step, a sample is all rows of its series.
    return Sequences.from_series(table) if kind == "every_step" else Sequences.from_windows(table, LENGTH)


def train(network, sequences, rows, n_outputs, **more):
    rng = np.random.default_rng(1)
    targets = rng.normal(size=(len(sequences), n_outputs)).astype(network.dtype)
    weights = np.ones(len(sequences), network.dtype)
    value = network.loss_and_gradient(sequences, rows, targets, weights, "squared", 0.1, Noise(), **more)
    return value, network.from_panels(network.gradient)


@each_table
@each_dtype
@each_width
def test_scaled_tables_are_those_made_by_hand(n_columns, dtype, table_dtype):
    pair = Pair("plain", dtype, table_dtype, n_columns)
    expected = pair.plain.forward(windows(pair.by_hand))
    assert_array_equal(pair.scaled.forward(windows(pair.table)), expected, strict=True)
    alone = [pair.scaled.forward(windows(pair.table).take([row]))[0] for row in range(0, N_ROWS, 13)]
    assert_array_equal(alone, expected[::13], strict=True)


@each_table
@each_dtype
@each_kind
def test_every_reader_of_rows(kind, dtype, table_dtype):
    pair = Pair(kind, dtype, table_dtype)
    for want_hidden in (False, True):
        found = pair.scaled.forward(windows(pair.table, kind), want_hidden=want_hidden)
        expected = pair.plain.forward(windows(pair.by_hand, kind), want_hidden=want_hidden)
        assert_array_equal(found, expected, strict=True)


@each_table
@each_dtype
@each_kind
@pytest.mark.parametrize("neighbours", [False, True])
def test_training_reads_the_same(kind, dtype, table_dtype, neighbours):
    if kind == "every_step":
        pytest.skip("it has no windows")
    pair = Pair(kind, dtype, table_dtype)
    for rows in (np.arange(20, 60), np.random.default_rng(0).permutation(N_ROWS)[:40]):
        found = train(pair.scaled, windows(pair.table), rows, pair.n_outputs, neighbours=neighbours)
        expected = train(pair.plain, windows(pair.by_hand), rows, pair.n_outputs, neighbours=neighbours)
        assert found[0] == expected[0]
        assert_array_equal(found[1], expected[1], strict=True)


@each_kind
def test_threads_change_no_bit(kind):
    answers = [Pair(kind, "float32", "float64", n_threads=n_threads) for n_threads in (1, 2, 3, 4, 8)]
    answers = [pair.scaled.forward(windows(pair.table, kind)).tobytes() for pair in answers]
    assert len(set(answers)) == 1


@pytest.mark.parametrize("table_dtype", ["float32", "float64"])
def test_nothing_is_copied_where_nothing_changes(table_dtype):
    """A call with a table of the network's dtype and no scaling needs no memory for its input."""
    case = make_case(KINDS["plain"], 3, n_columns=50, dtype="float32")
    table = np.zeros((4, 50), table_dtype)
    n_bytes = case.stack.workspace_bytes(32, LENGTH, table=table)[0]
    more = n_bytes - case.stack.workspace_bytes(32, LENGTH)[0]
    assert (more == 0) == (table_dtype == "float32")
    assert more in (0, 16 * LENGTH * 50 * 4)  # of a chunk


def test_tables_of_other_types_are_refused():
    network = Pair("plain", "float32", "float64").scaled
    with pytest.raises(ValueError, match="expected a table of float32 or float64, got int64"):
        network.forward(windows(np.zeros((9, 3), np.int64)))


@each_table
@each_dtype
@pytest.mark.parametrize("window", [None, LENGTH])
@pytest.mark.parametrize("kind", ["plain", "projection", "patches_and_skip", "bidirectional"])
def test_streams_read_rows_as_they_came(kind, window, dtype, table_dtype):
    if window is None and kind not in ("plain", "projection"):
        pytest.skip("it reads windows")
    pair = Pair(kind, dtype, table_dtype)
    stream = open_stream(pair.scaled, 1, window)
    expected = pair.scaled.forward(Sequences.from_windows(pair.table, window or N_ROWS))
    found = [stream.step(row)[0].copy() for row in pair.table]
    assert_array_equal(found, expected, strict=True)
    if window:
        state = stream.state
        assert_array_equal(state["rows"][0], pair.table[1 - LENGTH :].astype(np.float64), strict=True)
        other = open_stream(pair.scaled, 1, window)
        other.set_state(state)
        assert_array_equal(other.step(pair.table[0]), stream.step(pair.table[0]), strict=True)
