"""Order in time inside a table, and agreement of the indices of X and of arguments with an entry per row."""

import numpy as np

from sklstm._time_order.times import find_holes, names_the_blocks, row_labels, row_times, steps_inside
from sklstm._validation import is_list_of_sequences
from sklstm._warn import warn_user
from sklstm.exceptions import TimeOrderWarning

WINDOWS = "Windows run over the rows as they come"
FEW = 3  # so few jumps back in time look like several tables below each other
MANY_BACKWARDS = 0.9
MANY_EQUAL = 0.2


def check_order(X, blocks=None, name="X", *, instead=None, holes=False):
    """Warn where the rows of a table, or of the frames in a list, are not in the order of their index.

    Parameters
    ----------
    X : table or list of tables
    blocks : ndarray of intp or None
        Where the groups of a table begin, and the end of the last; None for one series.
    name : str
        Name of X in messages.
    instead : (object, str) or None
        An argument with the index of the rows, if X has none (y), and its name.
    holes : bool
        Whether to report holes too.
    """
    if is_list_of_sequences(X):
        _check_order_of_list(X, name, holes)
        return
    times = row_times(X)
    if times is None and instead is not None:
        times, name = row_times(instead[0]), instead[1]
    if times is None or len(times.values) < 2:
        return
    blocks = np.array([0, len(times.values)]) if blocks is None else blocks
    if blocks[-1] == len(times.values) and not names_the_blocks(times, blocks):
        message = disorder(times, blocks, name) or (holes and _holes([(times, blocks, name)], name))
        if message:
            warn_user(message, TimeOrderWarning)


def _check_order_of_list(frames, name, holes):
    found = [(row_times(frame), f"{name}[{i}]") for i, frame in enumerate(frames)]
    found = [(times, np.array([0, len(times.values)]), title) for times, title in found if times is not None]
    for times, blocks, title in found:
        message = disorder(times, blocks, title)
        if message:
            warn_user(message, TimeOrderWarning)
            return
    message = holes and _holes(found, name)
    if message:
        warn_user(message, TimeOrderWarning)


def disorder(times, blocks, name):
    """Return the message about rows that do not come after the row before them, None if there are none."""
    rows, steps = steps_inside(times.values, blocks)
    zero = np.zeros(1, steps.dtype)[0]
    wrong = ~(steps > zero)  # NaT compares as false: such a row is out of order
    if not wrong.any():
        return None
    row, n_wrong = rows[wrong.argmax()], int(wrong.sum())
    is_equal = steps == zero
    start = (
        f"{name} is not in time order: row {row} ({times.label(row)}) does not come after row {row - 1} "
        f"({times.label(row - 1)}), one of {n_wrong} such places. {WINDOWS}"
    )
    if times.series is not None and len(blocks) == 2 and (times.series[1:] != times.series[:-1]).any():
        return f"{start}. {_of_several_series(times)}"
    if is_equal.sum() >= max(1, MANY_EQUAL * len(steps)):
        return (
            f"{start}. The index holds times more than once: if these are rows of several series, sort them by series "
            "and time, and tell the series by groups; otherwise drop the duplicates."
        )
    if (steps < zero).mean() >= MANY_BACKWARDS:
        return f"{start}, and the newest comes first here: reverse it with {name}.iloc[::-1] (y and all else too)."
    if n_wrong <= FEW:
        return (
            f"{start}. If another series begins there, tell the series by groups; if the rows are in time order "
            "whatever the index says, use reset_index(drop=True)."
        )
    return (
        f"{start}. Was it shuffled, as by train_test_split without shuffle=False? Sort by time (sort_index(), y and "
        "all else too); if the rows are in time order whatever the index says, use reset_index(drop=True)."
    )


def _of_several_series(times):
    levels = ", ".join(map(repr, times.series_names))
    is_sorted = len(np.unique(times.series)) == 1 + (times.series[1:] != times.series[:-1]).sum()
    sort = "" if is_sorted else f"Sort by {levels} and time first. "
    return (
        f"The index also holds {levels}: rows of several series follow each other. {sort}Tell which series a row "
        "belongs to by groups (index.get_level_values), so that no window crosses from one into another."
    )


def _holes(found, name):
    """Return the message about holes in any of some tables, None if there are none."""
    n_holes, first = 0, None
    for times, blocks, title in found:
        rows, step, _ = find_holes(times, blocks)
        if len(rows) and first is None:
            first = (times, int(rows[0]), title, step)
        n_holes += len(rows)
    if first is None:
        return None
    times, row, title, step = first
    return (
        f"{name} has {n_holes} hole{'s' * (n_holes > 1)} in time: after row {row - 1} of {title} "
        f"({times.label(row - 1)}) comes {times.label(row)}, while steps of {_shown(step)} are usual. {WINDOWS}, "
        "across holes too: fill them in (asfreq, reindex), or label the segments between them by groups."
    )


def _shown(step):
    """Return a step as text for a message."""
    if isinstance(step, np.timedelta64):
        seconds = step / np.timedelta64(1, "s")
        for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
            if seconds >= length:
                return f"{seconds / length:g} {unit}"
        return f"{seconds:g} s"
    return f"{step:g}"


def check_same_rows(X, other, name, table="X"):
    """Check that X and an argument with an entry per row have the same index, where both have one.

    Targets of later rows are accepted, and so is the default index on one side. Of two lists the entries are compared.

    Raises
    ------
    ValueError
        If the two share no label.
    """
    if isinstance(X, (list, tuple)) and isinstance(other, (list, tuple)) and len(X) == len(other):
        for i, (sequence, own) in enumerate(zip(X, other, strict=True)):
            if hasattr(sequence, "iloc") and hasattr(own, "iloc"):
                check_same_rows(sequence, own, f"{name}[{i}]", f"{table}[{i}]")
        return
    if not hasattr(X, "iloc") or not hasattr(other, "iloc"):
        return
    mine, theirs = X.index, other.index
    if len(mine) != len(theirs) or mine.equals(theirs):
        return
    times, others = row_labels(X), row_labels(other)
    if times is None or others is None or times.kind != others.kind or times.is_default or others.is_default:
        return
    shared = mine.isin(theirs)
    if not shared.any():
        raise ValueError(
            f"{table} and {name} share no row: the index of {table} runs from {times.label(0)} to {times.label(-1)}, "
            f"that of {name} from {others.label(0)} to {others.label(-1)}. Rows are paired by position; if they do "
            f"belong together, hand over {name}.to_numpy()."
        )
    place = np.flatnonzero(times.values != others.values) if times.kind != "order" else [0]
    if shared.all() and theirs.isin(mine).all() and len(place):
        warn_user(
            f"{name} has the rows of {table} in another order: row {place[0]} of {table} is {times.label(place[0])}, "
            f"of {name} {others.label(place[0])}. Rows are paired by position: use {name}.loc[{table}.index].",
            TimeOrderWarning,
        )


def is_one_series(times):
    """Return whether the rows of a table are one series by their index: times that increase."""
    if times is None or times.is_default or times.kind in ("number", "order"):
        return False
    if times.series is not None and (times.series != times.series[:1]).any():
        return False
    steps = np.diff(times.values)
    return bool((steps > np.zeros(1, steps.dtype)[0]).all())
