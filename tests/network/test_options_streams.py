"""Streams of networks of all cells and options: the bits of `Network.forward` over the rows so far; states return."""

import numpy as np
import pytest
from network.options_draw import ALONE, draw_options, for_cell, make_case, possible, some_of
from numpy.testing import assert_array_equal
from reference.cells import reference_cell

from sklstm._network.cells import CELLS
from sklstm._network.stream import CallStream, RowStream, open_stream
from sklstm._sequences import Sequences

each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
N_STREAMS, N_ROWS, WINDOW = 3, 8, 5

# Their past is all in the states that are carried; the others read a window.
CARRIED = {
    name: ALONE[name]
    for name in (
        "plain", "projection", "peephole", "norm_layer", "cell_norm", "zoneout", "residual",
        "residual_map", "pooling_mean", "pooling_attention", "every_step",
    )
}  # fmt: skip
CELL = {"projection_size": 4, "peephole": True, "cell_norm": True, "zoneout": 0.2, "residual": 1}
TOGETHER = {
    "all_of_the_cell": {**CELL, "hidden_sizes": (9, 7, 8)},
    "all_and_mean": {**CELL, "pooling": "mean"},
    "all_and_attention": {**CELL, "pooling": "attention"},
    "all_and_every_step": {**CELL, "every_step": True},
}
WINDOWED = {name: options for name, options in ALONE.items() if name != "every_step"}
DRAWN = [k for k in range(400, 424) if not draw_options(k).get("every_step")]


def carried(cell):
    """Networks of a cell whose past is in their states: each option alone, and all that the cell can have."""
    return possible(cell, CARRIED) | {name: for_cell(cell, options) for name, options in TOGETHER.items()}


def kinds(cell):
    """All networks of a cell with their windows; those of all options together mostly with the first cell."""
    drawn = DRAWN if cell == next(iter(CELLS)) else DRAWN[:4]
    windowed = possible(cell, WINDOWED) | {f"drawn_{number}": draw_options(number, cell) for number in drawn}
    found = {f"{cell}-{name}_carried": (options, None) for name, options in carried(cell).items()}
    return some_of(cell, found | {f"{cell}-{name}_windowed": (options, WINDOW) for name, options in windowed.items()})


KINDS = {name: kind for cell in CELLS for name, kind in kinds(cell).items()}
each_kind = pytest.mark.parametrize(("options", "window"), KINDS.values(), ids=KINDS)
each_carried = pytest.mark.parametrize("name", [name for name, (_, window) in KINDS.items() if window is None])


def make_network(options, dtype, n_threads=1):
    sizes = {"hidden_sizes": (9, 9)} if "hidden_sizes" not in options else {}
    if options.get("attention_heads") and sizes:
        sizes["hidden_sizes"] = (10, 10)
    case = make_case({**options, **sizes, "n_columns": 3}, len(options), dtype=dtype)
    case.network.load(case.flat)
    case.network.n_threads = n_threads
    return case.network


def draw_rows(n_rows=N_ROWS, n_streams=N_STREAMS):
    return np.random.default_rng(n_rows).normal(size=(n_rows, n_streams, 3))


@each_dtype
@pytest.mark.parametrize("want_hidden", [False, True])
@each_kind
def test_steps_are_sequences(options, window, want_hidden, dtype):
    network, rows = make_network(options, dtype), draw_rows()
    stream = open_stream(make_network(options, dtype, 2), N_STREAMS, window, want_hidden=want_hidden)
    for t, row in enumerate(rows):
        begin = max(0, t + 1 - window) if window else 0
        sequences = Sequences.from_array(np.ascontiguousarray(rows[begin : t + 1].swapaxes(0, 1)))
        expected = network.forward(sequences, want_hidden=want_hidden)
        assert_array_equal(stream.step(row), expected, strict=True)


@each_carried
def test_only_plain_networks_have_kernels_for_a_row(name):
    """Of every cell but those with a second product at each step."""
    options, cell = KINDS[name][0], KINDS[name][0]["cell"]
    of_cell = name.removeprefix(f"{cell}-").removesuffix("_carried")
    plain = of_cell in ("plain", "norm_layer", "residual", "every_step")
    stream = open_stream(make_network(options, "float64"), 1)
    assert isinstance(stream, RowStream if plain and CELLS[cell].has_plain_layer else CallStream)


@each_kind
def test_a_window_of_one_row(options, window):
    """No row is kept."""
    if window is None:
        window = 1
    network, rows = make_network(options, "float64"), draw_rows()
    stream = open_stream(network, N_STREAMS, 1)
    for row in rows[:3]:
        expected = network.forward(Sequences.from_array(row[:, np.newaxis]))
        assert_array_equal(stream.step(row), expected, strict=True)
    assert stream.state["rows"].shape == (N_STREAMS, 0, 3)


@each_dtype
@each_kind
def test_states_come_back(options, window, dtype):
    """One stream of three begins anew; another object goes on from the state, whatever precision holds it."""
    stream, other = (open_stream(make_network(options, dtype), N_STREAMS, window) for _ in range(2))
    rows = draw_rows(10)
    for row in rows[:6]:
        stream.step(row)
    stream.reset(np.array([False, True, False]))
    state = stream.state
    kept = {name: array.copy() for name, array in state.items()}
    expected = [stream.step(row).copy() for row in rows[6:]]
    for name, array in state.items():
        assert_array_equal(array, kept[name], strict=True)
    for row in rows[::-1]:
        other.step(row)
    other.set_state({name: array.astype(np.float64) if name != "n_rows" else array for name, array in state.items()})
    for name, array in other.state.items():
        assert_array_equal(array, kept[name], strict=True)
    for row, answer in zip(rows[6:], expected, strict=True):
        assert_array_equal(other.step(row), answer, strict=True)
    # The stream that began anew is one that never had a past.
    fresh = open_stream(make_network(options, dtype), N_STREAMS, window)
    for row, answer in zip(rows[6:], expected, strict=True):
        assert_array_equal(fresh.step(row)[1], answer[1], strict=True)


@each_kind
def test_a_refused_row_changes_nothing(options, window):
    stream, same = (open_stream(make_network(options, "float32"), N_STREAMS, window) for _ in range(2))
    rows = draw_rows()
    for value in (np.nan, np.inf, 1e300):
        bad = rows[5].copy()
        bad[2, 1] = value
        for row in rows[:2]:
            assert_array_equal(stream.step(row), same.step(row))
        before = stream.state
        with pytest.raises(ValueError, match="x contains NaN, infinity or a value too large for float32"):
            stream.step(bad)
        for name, array in stream.state.items():
            assert_array_equal(array, before[name], strict=True)


@each_carried
def test_names_of_carried_states(name):
    options = KINDS[name][0]
    network = make_network(options, "float32")
    state, shape = open_stream(network, 2).state, network.architecture
    cell = reference_cell(shape.cell, shape.cell_numbers)
    own, count = cell.own, getattr(cell, "n_states", 1)
    expected = {}
    for layer, hidden in enumerate(shape.hidden_sizes):
        expected[f"h_l{layer}"] = (2, shape.projection_size or hidden)
        if own in ("c", "states") or (own == "h" and shape.projection_size):
            expected[f"{'m' if own == 'h' else 'c'}_l{layer}"] = (2, count * hidden)
    if shape.pooling != "last":
        # The sum and the number of rows; or the weighted sum, the normaliser and the largest score.
        more = {"mean": 1, "attention": 2}[shape.pooling]
        expected["pool"] = (2, (shape.projection_size or shape.hidden_sizes[-1]) + more)
    assert {key: array.shape for key, array in state.items()} == expected
    assert all(array.dtype == np.float32 and not array.any() for array in state.values())


@each_dtype
@each_carried
def test_sequences_cut_in_two(name, dtype):
    """The states of the first parts carry the second parts on: sequences of different lengths, in any order."""
    network, rng = make_network(KINDS[name][0], dtype, 2), np.random.default_rng(1)
    whole = [rng.normal(size=(n, 3)).astype(dtype) for n in rng.integers(4, 9, 20)]
    cuts = rng.integers(1, 4, 20)
    states = np.zeros((20, network.n_states), dtype)
    first = network.forward(Sequences.from_list([s[:k] for s, k in zip(whole, cuts, strict=True)]), states=states)
    alone = network.forward(Sequences.from_list([s[:k] for s, k in zip(whole, cuts, strict=True)]))
    assert_array_equal(first, alone, strict=True)
    for want_hidden in (False, True):
        own = states.copy()
        rest = Sequences.from_list([s[k:] for s, k in zip(whole, cuts, strict=True)])
        second = network.forward(rest, states=own, want_hidden=want_hidden)
        expected = network.forward(Sequences.from_list(whole), want_hidden=want_hidden)
        assert_array_equal(second, expected, strict=True)
        ends = np.zeros_like(own)
        network.forward(Sequences.from_list(whole), states=ends)
        assert_array_equal(own, ends, strict=True)
