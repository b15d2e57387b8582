"""Steps of a network: the bits of whole sequences, the state between two calls, a refused row that changes nothing."""

import numpy as np
import pytest
from network.test_network import make_network
from numpy.testing import assert_array_equal

from sklstm._network.stream import open_stream
from sklstm._sequences import Sequences

each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
each_window = pytest.mark.parametrize("window", [None, 1, 3])


def make_stream(n_streams, window=None, *, dtype="float64", want_hidden=False):
    return open_stream(make_network(dtype, n_threads=2)[0], n_streams, window, want_hidden=want_hidden)


def draw_rows(n_streams, n_rows=9):
    return np.random.default_rng(n_streams).normal(size=(n_rows, n_streams, 4))


def copies(state):
    return {name: array.copy() for name, array in state.items()}


def assert_same_state(stream, state):
    assert stream.state.keys() == state.keys()
    for name, array in stream.state.items():
        assert_array_equal(array, state[name], strict=True)


@each_dtype
@each_window
@pytest.mark.parametrize("want_hidden", [False, True])
@pytest.mark.parametrize("n_streams", [1, 3, 40])
def test_steps_are_sequences(n_streams, want_hidden, window, dtype):
    network, _ = make_network(dtype)
    stream = make_stream(n_streams, window, dtype=dtype, want_hidden=want_hidden)
    rows = draw_rows(n_streams)
    for t, row in enumerate(rows):
        begin = 0 if window is None else max(0, t + 1 - window)
        sequences = Sequences.from_array(np.ascontiguousarray(rows[begin : t + 1].swapaxes(0, 1)))
        expected = network.forward(sequences, want_hidden=want_hidden)
        assert_array_equal(stream.step(row), expected, strict=True)


@each_window
def test_rows_of_either_dtype(window):
    """Rounded to that of the network; one stream takes them with one axis too, and unaligned ones."""
    for dtype in ("float32", "float64"):
        stream = make_stream(1, window, dtype=dtype)
        row = draw_rows(1)[0].astype(np.float32)
        unaligned = np.frombuffer(b"-" + row.tobytes(), np.float32, offset=1)
        kinds = (row, row.astype(np.float64), row[0], row[0].astype(np.float64), unaligned)
        answers = []
        for kind in kinds:
            stream.reset(np.ones(1, bool))
            answers.append(stream.step(kind).tobytes())
        assert len(set(answers)) == 1


@each_window
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_a_refused_row_changes_nothing(value, window):
    stream, same = (make_stream(3, window, dtype="float32") for _ in range(2))
    rows = draw_rows(3)
    for row in rows[:5]:
        stream.step(row)
        same.step(row)
    before = stream.state
    bad = rows[5].copy()
    bad[2, 1] = value
    with pytest.raises(ValueError, match="x contains NaN, infinity or a value too large for float32"):
        stream.step(bad)
    assert_same_state(stream, before)
    for row in rows[5:]:
        assert_array_equal(stream.step(row), same.step(row))


@each_window
@pytest.mark.parametrize("n_before", [0, 1, 4, 7])
def test_states_come_back(n_before, window):
    stream, other = make_stream(3, window), make_stream(3, window)
    rows = draw_rows(3)
    for row in rows[:n_before]:
        stream.step(row)
    mask = np.array([False, True, False])
    stream.reset(mask)
    state = stream.state
    kept = copies(state)
    expected = [stream.step(row).copy() for row in rows[n_before:]]
    for row in rows[::-1]:
        other.step(row)
    other.set_state(state)
    for row, answer in zip(rows[n_before:], expected, strict=True):
        assert_array_equal(other.step(row), answer)
    for name, array in state.items():
        assert_array_equal(array, kept[name])


def test_shapes_of_states():
    carried, windowed = make_stream(3, dtype="float32").state, make_stream(3, 5, dtype="float32").state
    shapes = {name: (array.shape, array.dtype.name) for name, array in (carried | windowed).items()}
    assert shapes == {
        "h_l0": ((3, 9), "float32"),
        "c_l0": ((3, 9), "float32"),
        "h_l1": ((3, 6), "float32"),
        "c_l1": ((3, 6), "float32"),
        "rows": ((3, 4, 4), "float64"),
        "n_rows": ((3,), "int64"),
    }
    assert make_stream(2, 1).state["rows"].shape == (2, 0, 4)
