"""Checks that the rows of X come right after the rows they are joined to."""

import sys
from dataclasses import dataclass

import numpy as np

from sklstm._time_order.times import MOST_USUAL, find_holes, names_the_blocks
from sklstm._validation import labels_of
from sklstm._warn import warn_user
from sklstm.exceptions import TimeOrderWarning

WINDOWS_ACROSS = "The first windows of X run across the hole."


@dataclass(frozen=True)
class Span:
    """First and last times of the groups of a table.

    Attributes
    ----------
    kind : str
        As in `RowTimes`.
    groups : list
        Their labels; None for a table without groups.
    first, last : ndarray of shape (n_groups,)
        Times of their first and last rows.
    names : list of str
        Labels of the last rows in the index.
    step : number, numpy.timedelta64 or None
        The largest step between two rows that is not a hole.
    """

    kind: str
    groups: list
    first: np.ndarray
    last: np.ndarray
    names: list
    step: object


def span_of(times, blocks, groups):
    """Return the span of a table, None if its times are not known."""
    if times is None or times.kind == "order" or names_the_blocks(times, blocks):
        return None
    labels = [None] if groups is None else labels_of(groups)[blocks[:-1]].tolist()
    ends = blocks[1:] - 1
    return Span(
        times.kind,
        labels,
        times.values[blocks[:-1]],
        times.values[ends],
        [times.label(row) for row in ends],
        find_holes(times, blocks).largest,
    )


def label_of_last(span):
    """Return the label of the last row of a table without groups, None where it is not known."""
    if span is None or span.groups != [None]:
        return None
    value, pandas = span.last[0], sys.modules.get("pandas")
    if span.kind == "number":
        return value.item()
    if pandas is None or value.dtype.kind not in "mM":
        return None
    if span.kind == "timedelta":
        return pandas.Timedelta(value)
    return pandas.Timestamp(value, tz="UTC" if span.kind == "datetime with a time zone" else None)


def look_at_junction(span, times, blocks, groups, *, before, after, advice, holes=True, across=WINDOWS_ACROSS):
    """Warn if the rows of X do not come right after those of a span.

    Parameters
    ----------
    span : Span or None
        Of the rows before.
    times : RowTimes or None
        Of X; the default index (0, 1, ...) is not compared.
    blocks, groups : as of X
    before, after : str
        Names of the two in messages.
    advice : str
        Advice in the message.
    holes : bool
        Whether missing rows between the two are reported.
    across : str
        What missing rows lead to.
    """
    if span is None or times is None or times.kind != span.kind or times.is_default:
        return
    if names_the_blocks(times, blocks):
        return
    known = {label: i for i, label in enumerate(span.groups)}
    labels = [None] if groups is None else labels_of(groups)[blocks[:-1]].tolist()
    for label, row in zip(labels, blocks[:-1].tolist(), strict=True):
        if label not in known:
            continue
        i = known[label]
        value, last = times.values[row], span.last[i]
        of_group = "" if label is None else f" of group {label!r}"
        if not value > last:
            warn_user(
                f"{after} does not come after {before}: its first row{of_group} is {times.label(row)}, the last one "
                f"before it {span.names[i]}. {advice}",
                TimeOrderWarning,
            )
            return
        if holes and span.step is not None and value - last > MOST_USUAL * span.step:
            warn_user(
                f"Rows are missing between {before} and {after}: the last one{of_group} is {span.names[i]}, the next "
                f"{times.label(row)}. {across}",
                TimeOrderWarning,
            )
            return


def look_at_block(span, times, blocks, groups, begins):
    """Warn if a block of `partial_fit` goes back in time, and return the span of all blocks so far.

    A new pass begins where the first block began, also in a table with the default index (0, 1, ...), of which nothing
    else is compared: its first block carries that index, and the blocks after it do not.

    Parameters
    ----------
    span : Span or None
        Of the blocks so far.
    times, blocks, groups : as of X
    begins : sequence of int
        First row of positive weight of each group: rows of weight zero may be repeated, to fill windows.
    """
    now = span_of(times, blocks, groups)
    if span is None or (now is not None and now.kind != span.kind):
        return now
    if now is None:
        return span
    if times.is_default:
        return span_after(span, now) if _begins_again(span, now) else span
    place = begins_before(span, now, times, begins, new_pass=True)
    if place is not None:
        row, _, name = place
        warn_user(
            f"X begins at {times.label(row)}, but the block before it ended at {name}: hand the blocks of "
            "partial_fit over in time order, each row once a pass (rows that only fill the first windows with a "
            "sample_weight of 0). Blocks of several series need groups, a label for each row.",
            TimeOrderWarning,
        )
    return span_after(span, now)


def _begins_again(span, now):
    """Return whether all groups of a table begin where they began in a span."""
    known = dict(zip(span.groups, span.first, strict=True))
    return all(label in known and now.first[k] == known[label] for k, label in enumerate(now.groups))


def begins_before(span, now, times, begins, *, new_pass=False):
    """Return the first row, its group and the label of the row before, of a table that does not come after a span.

    Parameters
    ----------
    span : Span
        Of the rows before.
    now : Span
        Of the table, of the same kind.
    times : RowTimes
    begins : sequence of int
        First row of each group that counts.
    new_pass : bool, default=False
        Whether a group may begin where that of the span began.

    Returns
    -------
    tuple or None
        None where all groups come after those of the span.
    """
    known = {label: i for i, label in enumerate(span.groups)}
    for k, label in enumerate(now.groups):
        i = known.get(label)
        if i is None or (new_pass and now.first[k] == span.first[i]):
            continue
        if not times.values[begins[k]] > span.last[i]:
            return begins[k], label, span.names[i]
    return None


def span_after(span, now):
    """Return the span of a table, None for none, and the one after it, of the same kind."""
    if span is None or span.kind != now.kind:
        return now
    known = {label: i for i, label in enumerate(span.groups)}
    # Of the finer of two units: a time that was rounded would seem to be another.
    last, names = span.last.astype(np.promote_types(span.last.dtype, now.last.dtype)), list(span.names)
    new = [k for k, label in enumerate(now.groups) if label not in known]
    for k, label in enumerate(now.groups):
        if label in known:
            last[known[label]], names[known[label]] = now.last[k], now.names[k]
    return Span(
        span.kind,
        span.groups + [now.groups[k] for k in new],
        np.concatenate([span.first, now.first[new]]),
        np.concatenate([last, now.last[new]]),
        names + [now.names[k] for k in new],
        now.step if span.step is None else span.step,
    )
