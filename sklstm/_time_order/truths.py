"""Rows whose truth moves something that cannot be moved back: they are refused out of the order of time."""

import numpy as np

from sklstm._time_order.junctions import Span, begins_before, span_after, span_of
from sklstm._time_order.order import disorder
from sklstm._time_order.times import row_times
from sklstm._warn import warn_user
from sklstm.exceptions import TimeOrderWarning

WAY_OUT = " If the rows are in time order whatever the index says, hand over X.to_numpy() and y.to_numpy()."


def record_of(X, y, groups, blocks):
    """Return the record of the rows of a fit, which `look_at_truths` compares with those after them."""
    times = row_times(X)
    times = row_times(y) if times is None else times
    span = None if times is None or times.is_default else span_of(times, blocks, groups)
    return {"span": None if span is None else vars(span), "groups": groups is not None}


def look_at_truths(memory, X, y, groups, blocks, counts=None):
    """Check that rows follow each other, and those before them, in time; return a record for the next check.

    Parameters
    ----------
    memory : dict or None
        What this, or `record_of`, returned for the rows before.
    X, y, groups : as the user gave them
        A table, not a set of sequences.
    blocks : ndarray of intp
        Where the groups of the rows begin, and the end of the last.
    counts : ndarray of bool or None, default=None
        Rows of positive weight: the others may be repeated, to fill windows.

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        If times go back or are repeated, or are of another kind than those before. Numbers in the index may be no
        times, and cause a `TimeOrderWarning`.
    """
    times, name = row_times(X), "X"
    if times is None:
        times, name = row_times(y), "y"
    span = None if memory is None or memory["span"] is None else Span(**memory["span"])
    groups_came = groups is not None or (memory is not None and memory["groups"])
    times = None if times is None or times.is_default else times
    now = span_of(times, blocks, groups)
    # One time for all rows of a table is the name of a series only where there are groups.
    is_repeated = now is None and times is not None and groups is None and times.kind not in ("number", "order")
    if now is not None or is_repeated:
        found = disorder(times, blocks, name) or _before(span, now, times, blocks, counts, name)
        if found and times.kind != "number":
            raise ValueError(f"{found} Nothing has changed.{WAY_OUT}")
        if found:
            warn_user(found, TimeOrderWarning)
        span = span_after(span, now)
    return {"span": None if span is None else vars(span), "groups": groups_came}


def _before(span, now, times, blocks, counts, name):
    """Return the message about rows that do not come after those of a span, None if there are none."""
    if span is None:
        return None
    if span.kind != now.kind:
        if "number" in (span.kind, now.kind):
            return None
        return f"The index of {name} holds times of the kind {now.kind}, that of the rows before {span.kind}."
    begins = blocks[:-1] if counts is None else _first_that_count(blocks, counts)
    place = begins_before(span, now, times, begins)
    if place is None:
        return None
    row, label, last = place
    of_group = "" if label is None else f" of group {label!r}"
    return (
        f"{name} is not in time order: its first row{of_group}, {times.label(row)}, does not come after the last one "
        f"before it, {last}."
    )


def _first_that_count(blocks, counts):
    """Return the first row of each group that counts, its first row where none does."""
    places = np.flatnonzero(counts)
    first = places[np.minimum(np.searchsorted(places, blocks[:-1]), len(places) - 1)]
    return np.where((first >= blocks[:-1]) & (first < blocks[1:]), first, blocks[:-1])
