"""What a call of the kernels refuses: arrays that do not hold what the shapes promise."""

import numpy as np
import pytest
from network.options_case import OptionsCase
from network.stack_runner import make_stack

from sklstm._kernels import ISA


def make_case(**options):
    return OptionsCase(ISA, (5,), n=4, longest=6, **options)


def windows(case, starts=None, lengths=None):
    case.starts = case.starts if starts is None else np.array(starts, np.intp)
    case.lengths = case.lengths if lengths is None else np.array(lengths, np.intp)


WRONG = {
    "longer than the call says": ([0, 0, 0, 0], [7, 6, 6, 6]),
    "no rows": ([0, 0, 0, 0], [6, 6, 6, 0]),
    "negative length": ([0, 0, 0, 0], [6, 6, 6, -1]),
    "before the table": ([0, 0, 0, -1], [6, 6, 6, 1]),
    "beyond the table": ([0, 0, 0, "end"], [6, 6, 6, 1]),
    "one row beyond the table": ([0, 0, 0, "end - 5"], [6, 6, 6, 6]),
    "a sum that overflows": ([0, 0, 0, np.iinfo(np.intp).max], [6, 6, 6, 6]),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("options", [{}, {"patch_length": 3}, {"scaled": True}], ids=str)
def test_windows_outside_the_table_or_the_call_are_refused(options, training, name):
    case = make_case(**options)
    n, (starts, lengths) = len(case.table), WRONG[name]
    starts = [{"end": n, "end - 5": n - 5}.get(start, start) for start in starts]
    if training:
        case.loss()
        case.spare = 6 - lengths[0]
        windows(case, starts, lengths)
        with pytest.raises(ValueError, match=r"sequence . starts at row"):
            case.loss()
        return
    if name == "longer than the call says":
        return  # such a call takes its longest sequence as it is
    windows(case, starts, lengths)
    with pytest.raises(ValueError, match=r"sequence . starts at row"):
        case.forward()


def test_the_last_rows_of_a_table_are_inside():
    case = make_case()
    windows(case, [0, 0, 0, len(case.table) - 6], [6, 6, 6, 6])
    assert np.isfinite(case.forward()[0]).all()
    assert np.isfinite(case.loss())


@pytest.mark.parametrize("scaled", [False, True])
def test_a_table_of_fewer_columns_is_refused(scaled):
    """Its rows would be read beyond their ends: a plausible answer from other people's memory."""
    case = make_case(scaled=scaled)
    case.table = np.ascontiguousarray(case.table[:, :2])
    with pytest.raises(ValueError, match=r"expected a table of type . with 3 columns or more"):
        case.forward()
    case.table = case.table.ravel()
    with pytest.raises(ValueError, match="expected a table of type"):
        case.forward()


@pytest.mark.parametrize("wrong", ["row stride", "columns", "order"])
def test_a_table_that_lies_otherwise_is_refused(wrong):
    case = make_case()
    if wrong == "columns":
        case.table = np.repeat(case.table, 2, axis=1)[:, ::2]
    elif wrong == "order":
        case.table = np.asfortranarray(case.table)
    stride = 4 if wrong == "row stride" else case.row_stride
    z, n_bytes = np.empty((4, 2)), case.stack.workspace_bytes(4, 6, table=case.table)[0]
    with pytest.raises(ValueError, match=f"rows {stride} numbers apart"):
        case.stack.forward(case.table, stride, case.starts, case.lengths, case.take(n_bytes), 1, z=z)


def test_moments_of_windows_outside_the_table_are_refused():
    stack, table = make_stack(2, (1,), 1, "float64", window_norm="last"), np.zeros((5, 2))
    out = np.empty((2, 1, 2))
    for start, length in [(-1, 2), (4, 2), (0, 0), (0, 6)]:
        with pytest.raises(ValueError, match="sequence 0 starts at row"):
            stack.window_moments(table, 2, np.array([start], np.intp), np.array([length], np.intp), *out)


@pytest.mark.parametrize("training", [False, True])
def test_a_workspace_beyond_64_bits_is_not_measured(training):
    stack = make_stack(3, (64, 64), 1, "float32")
    with pytest.raises(MemoryError, match="windows of 4611686018427387904 steps do not fit into memory"):
        stack.workspace_bytes(100, 2**62, training=training)
