"""Every cell of the registry by its name: sizes around those of vectors, tiles and chunks, threads, far numbers."""

import numpy as np
import pytest
from network.options_case import OptionsCase
from network.options_draw import ALONE, can_have, cells_with, isas_of
from numpy.testing import assert_allclose, assert_array_equal
from reference.cells import REFERENCE_CELLS
from reference.network import options_forward

from sklstm._kernels import available_isas
from sklstm._network.architecture import Architecture
from sklstm._network.cells import CELLS, DRIVERS
from sklstm._network.network import Network
from sklstm._network.parameters import ParameterLayout
from sklstm._network.stream import open_stream
from sklstm._sequences import Sequences

each_cell = pytest.mark.parametrize("cell", CELLS)


each_cell_and_isa = pytest.mark.parametrize(("cell", "isa"), [(cell, isa) for cell in CELLS for isa in isas_of(cell)])
each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
# Units of each layer, sequences, longest sequence, columns of the input. 16 sequences and more are cut into chunks.
SIZES = [
    ((1,), 1, 1, 1),
    ((1, 1), 7, 5, 50),
    ((7,), 70, 4, 16),
    ((8, 8), 3, 6, 1),
    ((15,), 2, 7, 3),
    ((16, 16), 33, 5, 16),
    ((17,), 16, 3, 1),
    ((33, 7), 5, 4, 5),
    ((100,), 3, 4, 17),
    ((5,), 2, 150, 2),
]
each_size = pytest.mark.parametrize("size", SIZES, ids=str)
# Smooth cells whose h is a linear function of their input.
UNBOUNDED = {"sru", "rglru"}
# Of the largest number of an array: some steps of the rounding of sums and activations.
TOLERANCE = {"float64": 1e-13, "float32": 1e-5}
# 1 - tanh(.)^2 has lost digits where the unit is saturated, and a step hands the loss on to the step before.
GRADIENT_TOLERANCE = 5e-5


def make_case(cell, size, isa, dtype, **options):
    hidden_sizes, n, longest, n_columns = size
    return OptionsCase(
        isa, hidden_sizes, n=n, longest=longest, n_columns=n_columns, seed=SIZES.index(size), dtype=dtype, cell=cell,
        **options,
    )  # fmt: skip


def in_float64(case, cell, size, isa):
    """The same numbers in double precision."""
    twin = make_case(cell, size, isa, "float64")
    for name in ("flat", "table", "state", "targets", "weights"):
        setattr(twin, name, getattr(case, name).astype(np.float64))
    return twin


def assert_close(found, expected, tolerance, name=""):
    assert found.shape == expected.shape, name
    limit = tolerance * np.abs(expected).max() + np.finfo(np.float32).smallest_normal
    error = np.abs(found - expected).max()
    # Also false for NaN.
    assert error <= limit, f"{name}: {error / np.abs(expected).max():.1e} of its largest number"


@pytest.mark.parametrize("name", CELLS)
def test_numbers_of_a_cell(name):
    """What the drivers rely on: runs inside the sums, and whole ones where a panel has several vectors of units."""
    cell = CELLS[name]
    assert 1 <= cell.n_sums <= 12
    assert cell.units == 1 or cell.n_sums * cell.units <= 4
    for run in cell.runs().values():
        assert run.start >= 0
        assert run.stop <= cell.n_sums
        assert cell.units == 1 or len(run) in (0, cell.n_sums)


@each_dtype
@each_size
@each_cell_and_isa
def test_forward_against_the_reference(cell, size, dtype, isa):
    case = make_case(cell, size, isa, dtype)
    expected = options_forward(case.shape, case.parameters, case.sequences, case.state)
    for found, wanted in zip(case.forward(), expected, strict=True):
        assert_close(found, wanted, TOLERANCE[dtype])


def directional(case, array, direction):
    """Central difference of fourth order of the loss, along a direction.

    Too short to meet many bends of a ReLU; longer where states without a bound make the loss large, and its rounding.
    """
    is_long = case.shape.cell in UNBOUNDED or DRIVERS[CELLS[case.shape.cell].driver] == "rows"
    step = 2e-5 if is_long else 2e-6
    before, values = array.copy(), []
    for shift in (-2, -1, 1, 2):
        array[:] = before + shift * step * direction
        values.append(case.loss())
    array[:] = before
    far_below, below, above, far_above = values
    return (8 * (above - below) - (far_above - far_below)) / (12 * step)


@each_size
@each_cell_and_isa
def test_gradients_by_directions(cell, size, isa):
    """Every array of parameters, the input and the initial state, each moved along a few random directions."""
    case, rng = make_case(cell, size, isa, "float64"), np.random.default_rng(0)
    flat, d_table, d_state = case.gradients()
    moved = {name: (view, case.layout.views(flat)[name]) for name, view in case.layout.views(case.flat).items()}
    moved |= {"table": (case.table, d_table), "state": (case.state, d_state)}
    for name, (array, gradient) in moved.items():
        for _ in range(3):
            direction = rng.normal(size=array.shape) / np.sqrt(array.size)
            expected = directional(case, array, direction)
            limit = {"rtol": 1e-7, "atol": 1e-9 * max(1.0, np.abs(gradient).max())}
            assert_allclose((gradient * direction).sum(), expected, **limit, err_msg=name)


@each_size
@each_cell_and_isa
def test_gradients_in_single_precision(cell, size, isa):
    case = make_case(cell, size, isa, "float32")
    twin = in_float64(case, cell, size, isa)
    found, expected = case.gradients(), twin.gradients()
    parts = [(case.layout.views(found[0])[name], view) for name, view in twin.layout.views(expected[0]).items()]
    for one, other in [*parts, *zip(found[1:], expected[1:], strict=True)]:
        assert_close(one, other, GRADIENT_TOLERANCE)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("cell", [name for name, cell in CELLS.items() if DRIVERS[cell.driver] == "elementwise"])
def test_gradients_without_that_of_the_input(cell, dtype):
    """Then nothing but the product with x reads the gradients of the sums: the same bits, in blocks of many steps."""
    case = OptionsCase(None, (17,), n=21, longest=40, seed=4, dtype=dtype, cell=cell)
    with_input = case.gradients()[0].copy()
    case.loss()
    without = case.network.from_panels(case.slots[: case.network.weights.nbytes].view(case.dtype))
    assert_array_equal(without, with_input)


@each_dtype
@each_cell_and_isa
def test_threads_and_parts_of_a_batch(cell, dtype, isa):
    """The same bits for any number of threads, for a row alone, and for a sequence in two parts."""
    case = OptionsCase(isa, (19, 12), n=70, longest=7, seed=3, dtype=dtype, cell=cell)
    expected = [*case.forward(), *case.gradients(), case.loss()]
    for case.threads in (2, 3, 4, 8):
        case.workspace = None
        for one, other in zip([*case.forward(), *case.gradients(), case.loss()], expected, strict=True):
            assert_array_equal(one, other)
    for k in (0, 1, 33, 69):
        for one, other in zip(case.forward(slice(k, k + 1)), expected[:3], strict=True):
            assert_array_equal(one[0], other[k])
    case.network.load(case.flat)
    long = [s for s in case.sequences if len(s) > 1]
    whole, parts = np.zeros((2, len(long), case.network.n_states), dtype)
    z = case.network.forward(Sequences.from_list(long), states=whole)
    case.network.forward(Sequences.from_list([s[: len(s) // 2] for s in long]), states=parts)
    assert_array_equal(
        case.network.forward(Sequences.from_list([s[len(s) // 2 :] for s in long]), states=parts), z, strict=True
    )
    assert_array_equal(parts, whole, strict=True)


def check_far_numbers(isa, scale, **options):
    """Return a case whose input is large, after a look at all that it gives, forward and back."""
    case = OptionsCase(isa, (9, 9), n=20, longest=5, seed=2, dtype="float32", **options)
    case.table *= np.float32(scale)
    # A loss of outputs that large is beyond the range of its squares: weigh the samples by nearly nothing.
    case.weights *= np.float32(scale**-2 if scale < 1e10 else 1e-30)
    for found in (*case.forward(), *case.gradients()):
        assert np.isfinite(found).all()
    return case


@pytest.mark.parametrize("scale", [1e3, 1e8, 1e15])
@each_cell_and_isa
def test_far_numbers(cell, scale, isa):
    """Saturated gates, and sums near the largest numbers of single precision: no NaN, forward or back."""
    case = check_far_numbers(isa, scale, cell=cell)
    expected = options_forward(case.shape, case.parameters, case.sequences, case.state)
    for found, wanted in zip(case.forward(), expected, strict=True):
        assert_close(found, wanted, 1e-4)


INSIDE = {name: ALONE[name] for name in ("cell_norm", "projection", "peephole", "zoneout", "norm_layer")}


@pytest.mark.parametrize("scale", [1e8, 1e15])
@pytest.mark.parametrize(
    ("cell", "name", "isa"),
    [(*one.values, isa) for one in cells_with(INSIDE) for isa in isas_of(one.values[0])],
)
def test_far_numbers_with_options(cell, name, scale, isa):
    if (cell, name) == ("linear_attention", "zoneout"):
        # The normaliser may keep what the sum does not: h grows with the square of these numbers, and so again above.
        return
    check_far_numbers(isa, scale, cell=cell, **INSIDE[name])


@each_cell
def test_the_registry_agrees_with_the_reference(cell):
    """The blocks of the parameters, the states, and what a cell cannot have is refused by its architecture."""
    entry, own = CELLS[cell], REFERENCE_CELLS[cell]
    assert entry.name == cell
    assert (len(entry.gates_x), len(entry.gates_h), len(entry.sums)) == (len(own.x), len(own.h), len(own.sums))
    assert len(entry.states(False)) == len(entry.states(True)) - (own.own == "h") == 1 + (own.own in ("c", "states"))
    if own.own == "states":
        assert entry.numbers == own.numbers
        assert entry.states(False)["c"] == own.n_states
        assert {group.name: group.size(entry.numbers) for group in entry.vectors} == own.vectors
    assert entry.has_weight_hh == bool(own.h)
    for option, value in (("peephole", True), ("projection_size", 3), ("zoneout", 0.3), ("cell_norm", True)):
        if can_have(cell, option, value):
            Architecture(1, (9,), 1, cell=cell, **{option: value})
            continue
        with pytest.raises(ValueError, match=f"{option}={value}: the cell '{cell}'"):
            Architecture(1, (9,), 1, cell=cell, **{option: value})
    assert can_have(cell, "peephole", True) == (cell == "lstm")


@each_cell
def test_shapes_of_parameters(cell):
    own, named = REFERENCE_CELLS[cell], {}
    for k, (hidden, read) in enumerate([(8, 3), (10, 16)]):
        for suffix in ("", "_backward"):
            named[f"weight_ih_l{k}{suffix}"] = (len(own.x) * hidden, read)
            if own.h:
                named[f"weight_hh_l{k}{suffix}"] = (len(own.h) * hidden, hidden)
            named[f"bias_l{k}{suffix}"] = (len(own.sums) * hidden,)
    named |= {"weight_out": (2, 20), "bias_out": (2,)}
    layout = ParameterLayout(3, (8, 10), 2, bidirectional=True, cell=cell)
    found = {p.name: p.shape for p in layout.parameters}
    assert {name: found.get(name) for name in named} == named
    # What is left are the vectors of one unit each.
    assert all(shape[-1] in (8, 10) for name, shape in found.items() if name not in named)


@pytest.mark.every_isa
@each_dtype
@each_cell
def test_windows_of_a_table_share_their_products(cell, dtype):
    """Neighbouring windows give the bits of copies of their rows."""
    case = OptionsCase(available_isas()[-1], (17, 9), seed=5, n_columns=6, dtype=dtype, cell=cell)
    table = np.random.default_rng(1).normal(size=(90, 6)).astype(dtype)
    windows = Sequences.from_windows(table, 8)
    copies = Sequences.from_list(
        [table[a : a + n].copy() for a, n in zip(windows.starts, windows.lengths, strict=True)]
    )
    networks = [Network(case.layout, dtype, 2), Network(case.layout, dtype, 1)]
    for network in networks:
        network.load(case.flat)
    for want_hidden in (False, True):
        shared, alone = (
            network.forward(sequences, want_hidden=want_hidden)
            for network, sequences in zip(networks, (windows, copies), strict=True)
        )
        assert_array_equal(shared, alone, strict=True)


@each_cell
def test_initial_values(cell):
    """Each block of a matrix is a matrix of its own: uniform by its fans, recurrent ones orthogonal."""
    own, hidden, read = REFERENCE_CELLS[cell], 40, 60
    layout = ParameterLayout(read, (hidden,), 1, cell=cell)
    views = layout.views(layout.initial(np.random.default_rng(0), "float64"))
    limit = np.sqrt(6.0 / (hidden + read))
    for block in views["weight_ih_l0"].reshape(len(own.x), hidden, read):
        assert 0.97 * limit < np.abs(block).max() <= limit
        assert_allclose(block.std(), limit / np.sqrt(3.0), rtol=0.06)
    if own.h:
        for block in views["weight_hh_l0"].reshape(len(own.h), hidden, hidden):
            assert_allclose(block @ block.T, np.eye(hidden), atol=1e-13)
    bias = views["bias_l0"].reshape(len(own.sums), hidden)
    assert_array_equal(bias, CELLS[cell].initial_bias(hidden).reshape(bias.shape))
    if cell != "lstm":
        # Gates start half open; that of the LSTM which forgets remembers.
        assert (np.ptp(bias, axis=1) == 0).all()


@each_dtype
@pytest.mark.parametrize(("n_streams", "sizes"), [(1, (300,)), (3, (130, 17)), (40, (19, 12))])
@each_cell_and_isa
def test_streams_of_many_units_or_rows(cell, n_streams, sizes, dtype, isa):
    """Threads share a step by its units or by its streams: the bits of whole sequences, carried and windowed."""
    case = OptionsCase(isa, sizes, seed=4, n_columns=3, dtype=dtype, cell=cell)
    networks = [Network(case.layout, dtype, n_threads, isa) for n_threads in (1, 2, 3)]
    for network in networks:
        network.load(case.flat)
    rows = np.random.default_rng(n_streams).normal(size=(5, n_streams, 3))
    for window in (None, 3):
        streams = [open_stream(network, n_streams, window) for network in networks[1:]]
        for t, row in enumerate(rows):
            begin = 0 if window is None else max(0, t + 1 - window)
            whole = Sequences.from_array(np.ascontiguousarray(rows[begin : t + 1].swapaxes(0, 1)))
            expected = networks[0].forward(whole)
            for stream in streams:
                assert_array_equal(stream.step(row), expected, strict=True)
