"""Checks of the order in time, wherever a pandas index shows it.

Windows are made of consecutive rows of a table, so rows out of order give plausible but wrong results. A pandas index
reveals them; without one (arrays, polars, the output of a scaler) nothing is checked. Rows out of order cause a
`TimeOrderWarning` and are never reordered.
"""

import numpy as np

from sklstm._time_order.junctions import Span, label_of_last, look_at_block, look_at_junction, span_of
from sklstm._time_order.order import check_order, check_same_rows, is_one_series
from sklstm._time_order.times import find_holes, row_times
from sklstm._time_order.truths import look_at_truths, record_of
from sklstm._validation import check_groups, is_set_of_sequences, refuse_target_per_row
from sklstm._warn import warn_user

__all__ = [
    "check_order",
    "check_same_rows",
    "label_of_last_row",
    "look_at_future",
    "look_at_question",
    "look_at_score",
    "look_at_training",
    "look_at_truths",
    "look_at_validation",
    "record_of",
]

BY_POSITION = ("y", "sample_weight", "groups")


def look_at_training(X, y, sample_weight, groups, sequences, *, looks_back, memory=None):
    """Check the order of the data of `fit` or `partial_fit`; return a record for the checks of later calls.

    Parameters
    ----------
    X, y, sample_weight, groups : as the user gave them
    sequences : Sequences
        Made of X.
    looks_back : bool
        Whether a sample depends on rows before its own.
    memory : dict or None
        Record of the blocks before this one, in `partial_fit`.

    Returns
    -------
    dict
    """
    for other, name in zip((y, sample_weight, groups), BY_POSITION, strict=True):
        check_same_rows(X, other, name)
    is_set = is_set_of_sequences(X)
    if is_set or not looks_back:
        if is_set:
            check_order(X, holes=True)
        return {"span": None, "groups": groups is not None}
    blocks = sequences.blocks
    check_order(X, blocks, instead=(y, "y"), holes=True)
    times = _times_of_one(X, y)
    had_groups = memory is not None and memory["groups"]
    if had_groups and groups is None:
        _warn_of_missing_groups(times, len(sequences))
    if memory is None:
        span = span_of(times, blocks, groups)
    else:
        span = look_at_block(_span(memory), times, blocks, groups, _first_that_count(blocks, sample_weight))
    return {"span": None if span is None else vars(span), "groups": had_groups or groups is not None}


def _first_that_count(blocks, sample_weight):
    """Return the first row of each group whose weight is not zero."""
    if np.ndim(sample_weight) == 0:
        return blocks[:-1]
    weights = np.asarray(sample_weight)
    counting = np.flatnonzero(weights if weights.ndim == 1 else weights.any(axis=1))
    places = np.minimum(np.searchsorted(counting, blocks[:-1]), len(counting) - 1)
    return np.clip(counting[places], blocks[:-1], blocks[1:] - 1)


def look_at_validation(memory, X_val, y_val, sample_weight_val, groups_val, sequences, *, looks_back):
    """Check that a validation part from the user comes after the training part."""
    for other, name in zip((y_val, sample_weight_val, groups_val), BY_POSITION, strict=True):
        check_same_rows(X_val, other, f"{name}_val", "X_val")
    if is_set_of_sequences(X_val):
        check_order(X_val, name="X_val")
    elif looks_back:
        check_order(X_val, sequences.blocks, "X_val", instead=(y_val, "y_val"))
        look_at_junction(
            _span(memory),
            _times_of_one(X_val, y_val),
            sequences.blocks,
            groups_val,
            before="X",
            after="X_val",
            advice="A validation part that lies before the training rows, or among them, says little of the time "
            "after them: take the last rows for X_val.",
            holes=False,
        )


def look_at_question(memory, X, groups, context, context_groups, *, carried):
    """Check the order of a table that a fitted model is applied to, and of the rows before it.

    Parameters
    ----------
    memory : dict
        Returned by `look_at_training`.
    X, groups, context, context_groups : as the user gave them
    carried : bool
        Whether `context` are rows that the model kept.
    """
    if is_set_of_sequences(X):
        check_order(X)
        return
    times = row_times(X)
    if memory["groups"] and groups is None and context is None:
        _warn_of_missing_groups(times, len(X))
    if times is None:
        return
    blocks = check_groups(groups, len(times.values))
    blocks = np.array([0, len(times.values)]) if blocks is None else blocks
    check_order(X, blocks)
    if carried:
        look_at_junction(
            _span(memory),
            times,
            blocks,
            groups,
            before="the rows kept by carry_context=True",
            after="X",
            advice="With carry_context=True, X is taken for what follows the training table; for any other rows hand "
            "over context, the rows before them (or an array without rows).",
        )
    elif context is not None and len(context):
        _look_at_context(memory, times, blocks, groups, context, context_groups)


def look_at_future(X, groups, future, future_groups, name="X"):
    """Check that the rows ahead come right after those of a table, in order.

    Parameters
    ----------
    X, groups, future, future_groups : as the user gave them
    name : str, default="X"
        Name of X in messages.
    """
    if future is None or is_set_of_sequences(X):
        return
    before, times, after = row_times(X), row_times(future), f"future{name[1:]}"
    if before is None or times is None or len(times.values) == 0:
        return
    blocks, bounds = (
        np.array([0, len(rows.values)]) if labels is None else check_groups(labels, len(rows.values), of, labels_name)
        for rows, labels, of, labels_name in (
            (before, groups, name, f"groups{name[1:]}"),
            (times, future_groups, after, f"{after}_groups"),
        )
    )
    check_order(future, bounds, after)
    look_at_junction(
        span_of(before, blocks, groups),
        times,
        bounds,
        future_groups,
        before=name,
        after=after,
        advice=f"{after} are the rows right after {name}, which a decoder reads as the rows ahead of its last ones.",
        across="A decoder would read the known columns of other rows than those that it forecasts.",
    )


def _warn_of_missing_groups(times, n_rows):
    if n_rows > 1 and not is_one_series(times):
        warn_user(
            "groups is missing: the model was fitted with groups, and without them the windows of X cross from one "
            "series into the next. Give groups, one label for each row of X (the same for all rows of one series)."
        )


def look_at_score(X, y, sample_weight, groups):
    """Check that the targets of a score have the rows of X, which `predict` has checked."""
    refuse_target_per_row(X, y)
    for other, name in zip((y, sample_weight, groups), BY_POSITION, strict=True):
        check_same_rows(X, other, name)


def label_of_last_row(memory):
    """Return the label of the last training row in `memory`, None where it is not known."""
    return label_of_last(_span(memory))


def _look_at_context(memory, times, blocks, groups, context, context_groups):
    before = row_times(context)
    if before is None:
        return
    bounds = check_groups(context_groups, len(before.values), "context", "context_groups")
    bounds = np.array([0, len(before.values)]) if bounds is None else bounds
    check_order(context, bounds, "context")
    span, fitted = span_of(before, bounds, context_groups), _span(memory)
    steps = [one.step for one in (span, fitted, span_of(times, blocks, groups)) if one is not None]
    if span is not None and (fitted is None or fitted.kind == span.kind):
        steps = [step for step in steps if step is not None]
        span = Span(**{**vars(span), "step": max(steps) if steps else None})
    look_at_junction(
        span,
        times,
        blocks,
        groups,
        before="context",
        after="X",
        advice="context are the rows right before X: its windows would hold rows twice, or rows of their future.",
        holes=fitted is not None or _is_hole(before, times),
    )


def _is_hole(before, times):
    """Return whether rows are missing between two tables of unknown step."""
    if before.kind != times.kind:
        return False
    joined = before.followed_by(times)
    return len(before.values) in find_holes(joined, np.array([0, len(joined.values)])).rows


def _times_of_one(X, other):
    """Return the times of X, or else of an argument with an entry for each of its rows."""
    times = row_times(X)
    return row_times(other) if times is None else times


def _span(memory):
    return None if memory["span"] is None else Span(**memory["span"])
