"""Cells that read the time since the step before: from one column of the table, as it is, for each sequence."""

import numpy as np
import pytest
from network.options_draw import draw_options, make_case
from network.test_options_against_reference import check_forward, check_training
from network.test_options_gradients import check_gradients
from numpy.testing import assert_allclose, assert_array_equal
from reference.cells import REFERENCE_CELLS
from reference.layer import layer_forward
from reference.network import options_forward
from reference.vectors import load_cases, split_rows

from sklstm._network.architecture import Architecture
from sklstm._network.cells import CELLS
from sklstm._network.stream import CallStream, RowStream, open_stream
from sklstm._sequences import Sequences

TIMED = [name for name, cell in CELLS.items() if cell.reads_gap]
N_CONFIGURATIONS = 12
each_timed = pytest.mark.parametrize("cell", TIMED)
each_number = pytest.mark.parametrize("number", range(N_CONFIGURATIONS))


def draw_timed(number, cell):
    """A random configuration of all options that go with time gaps, and the column they are in."""
    options = draw_options(400 + number, cell) | {"bidirectional": False, "time_column": 0}
    options["time_column"] = number % options["n_columns"]
    width = options.get("projection_size") or options["hidden_sizes"][-1]
    if options.get("attention_heads"):
        options["attention_heads"] = width
    return options


@each_number
@each_timed
def test_all_options_together(cell, number):
    options = draw_timed(number, cell)
    for dtype in ("float32", "float64"):
        check_forward(make_case(options, number, dtype=dtype))
    check_training(make_case(options, number))


@each_number
@each_timed
def test_gradients(cell, number):
    check_gradients(make_case(draw_timed(number, cell), number))


@each_timed
def test_each_sequence_of_a_batch_has_gaps_of_its_own(cell):
    """Several chunks and threads, tables of either dtype: the bits of each sequence alone, and the equations."""
    for table_dtype in ("float32", "float64"):
        options = {"cell": cell, "n": 70, "longest": 7, "time_column": 1, "hidden_sizes": (9, 5), "scaled": True}
        case = make_case(options, 1, dtype="float32", table_dtype=table_dtype)
        together = case.forward()
        expected = options_forward(
            case.shape, case.parameters, case.sequences, case.state, None, *case.scaling
        )  # fmt: skip
        assert_allclose(together[0], expected.z, rtol=1e-4, atol=2e-5)
        case.threads = 3
        for one, other in zip(case.forward(), together, strict=True):
            assert_array_equal(one, other)
        for k in (0, 33, 69):
            for one, other in zip(case.forward(slice(k, k + 1)), together, strict=True):
                assert_array_equal(one[0], other[k])
        # Nobody reads the gaps of others: only the sequence whose gap has changed moves.
        case.table[case.starts[5], 1] += 1.0
        moved = (case.forward()[0] != together[0]).any(axis=1)
        assert moved[5]
        assert moved.sum() == 1


@pytest.mark.parametrize("cell", TIMED)
def test_layers_of_another_package(cell):
    """Stored layers of ncps, in the reference and in the kernels, with the gradients of all sequences together."""
    stored = load_cases("torch_cfc")[cell]
    own, lengths = {name.removesuffix("_l0"): array for name, array in stored["parameters"].items()}, stored["lengths"]
    sequences, gaps = split_rows(stored["x"], lengths), split_rows(stored["gaps"], lengths)
    found = layer_forward(REFERENCE_CELLS[cell], sequences, own, stored["h0"][0], gaps=gaps)
    assert_allclose(np.concatenate(found.hidden), stored["hidden"], rtol=1e-10, atol=1e-13)
    assert_allclose(found.final, stored["h_final"][0], rtol=1e-10, atol=1e-13)
    # A column more, with the gaps, whose weights are zero; the outputs are h itself.
    n_columns, units = stored["x"].shape[1], stored["h0"].shape[2]
    options = {"cell": cell, "hidden_sizes": (units,), "n_columns": n_columns + 1, "n_outputs": units}
    case = make_case({**options, "n": len(lengths), "every_step": True, "time_column": n_columns}, 1)
    order = np.argsort(-lengths, kind="stable")
    begin = np.cumsum(lengths) - lengths
    case.lengths, case.starts = lengths[order].astype(np.intp), begin[order].astype(np.intp)
    case.table = np.column_stack([stored["x"], stored["gaps"]]).astype(np.float64)
    case.state = stored["h0"][0][order].astype(np.float64)
    views = case.layout.views(case.flat)
    weight = np.column_stack([stored["parameters"]["weight_ih_l0"], np.zeros(len(views["weight_ih_l0"]))])
    new = {**stored["parameters"], "weight_ih_l0": weight, "weight_out": np.eye(units), "bias_out": np.zeros(units)}
    for name, view in views.items():
        view[:] = new[name]
    z, _, final = case.forward()
    assert_allclose(z, stored["hidden"], rtol=1e-10, atol=1e-13)
    assert_allclose(final, stored["h_final"][0][order], rtol=1e-10, atol=1e-13)
    # The loss is the mean of half the squares: its gradient is (z - targets) / units / sequences.
    case.targets = stored["hidden"] - units * len(lengths) * stored["d_hidden"].astype(np.float64)
    case.weights = np.ones(len(z))
    flat, _, d_state = case.gradients()
    gradients = case.layout.views(flat)
    for name, expected in stored["d_parameters"].items():
        one = gradients[name][:, :n_columns] if name == "weight_ih_l0" else gradients[name]
        assert_allclose(one, expected, rtol=1e-9, atol=1e-12, err_msg=name)
    assert_allclose(d_state, stored["d_h0"][0][order], rtol=1e-9, atol=1e-12)


@each_timed
def test_gaps_of_1_change_nothing(cell):
    """A column of ones is what a cell reads without a column."""
    options = {"cell": cell, "n": 9, "longest": 6, "hidden_sizes": (9, 5)}
    timed, plain = make_case({**options, "time_column": 2}, 3), make_case(options, 3)
    for case in (timed, plain):
        case.table[:, 2] = 1.0
    for one, other in zip(timed.forward(), plain.forward(), strict=True):
        assert_array_equal(one, other)


@each_timed
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("options", [{}, {"cell_norm": True}, {"zoneout": 0.2, "projection_size": 3}], ids=str)
def test_streams(cell, options, window, dtype):
    """A row at a time, carried or in windows, of several streams that begin at different rows."""
    if "projection_size" in options and not CELLS[cell].projects:
        return
    case = make_case({"cell": cell, "time_column": 1, "n_columns": 3, "scaled": True, **options}, 4, dtype=dtype)
    case.network.load(case.flat)
    stream = open_stream(case.network, 3, window)
    assert isinstance(stream, CallStream if options or CELLS[cell].gated_count else RowStream)
    rows = np.random.default_rng(5).exponential(size=(9, 3, 3))
    begin = np.zeros(3, int)
    for t, row in enumerate(rows):
        if t == 4:
            stream.reset(np.array([False, True, False]))
            begin[1] = t
        found = stream.step(row)
        for k in range(3):
            first = begin[k] if window is None else max(begin[k], t + 1 - window)
            alone = Sequences.from_list([np.ascontiguousarray(rows[first : t + 1, k])])
            assert_array_equal(found[k], case.network.forward(alone)[0])
    with pytest.raises(ValueError, match="or a gap below 0"):
        stream.step(rows[0] - np.array([0.0, 100.0, 0.0]))
    state = stream.state
    again = open_stream(case.network, 3, window)
    again.set_state(state)
    assert_array_equal(again.step(rows[0]), stream.step(rows[0]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "lstm"}, "time_column=1: the cell 'lstm' reads no time"),
        ({"time_column": 3}, "time_column=3, expected a position below 3"),
        ({"time_column": -1}, "time_column=-1, expected an integer of at least 0"),
        ({"time_column": "gap"}, "time_column='gap', expected an integer"),
        ({"bidirectional": True}, "time_column=1 does not go with bidirectional=True"),
        ({"decoder": "recurrent", "horizon": 1}, "time_column=1 does not go with decoder='recurrent'"),
    ],
)
def test_what_does_not_go_together(options, message):
    with pytest.raises(ValueError, match=message):
        Architecture(3, (4,), 1, **{"cell": "cfc", "time_column": 1, **options})


def test_the_gradient_of_the_input_is_refused():
    case = make_case({"cell": "cfc", "time_column": 1}, 0)
    with pytest.raises(ValueError, match="d_x is not computed where a cell reads the time"):
        case.loss(d_x=case.take_array(len(case.lengths), int(case.lengths[0]), 3))
