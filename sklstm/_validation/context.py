"""Rows that come before X, or before the first row of a stream."""

from dataclasses import replace

import numpy as np
from scipy.sparse import issparse

from sklstm._sequences import Sequences
from sklstm._validation.groups import RowGroups, check_groups, labels_of
from sklstm._validation.kinds import check_container, is_set_of_sequences
from sklstm._validation.range import check_range, warn_of_clipped_inputs
from sklstm._validation.scales import warn_of_other_scale
from sklstm._validation.sequences import check_sequences, make_windows, refuse_other_width, window_length


def check_sequences_after(
    estimator, X, context, *, groups=None, context_groups=None, carried=False, network=None, scales=None, look=None
):
    """Like `check_sequences` for an X that follows the rows of `context`; `carried`: the rows that the estimator kept.

    With groups, the rows of `context` with a label come before those of X with the same label. With a `network`,
    numbers beyond its range are refused. With the `CallScales` of this call, rows are in the units of their groups.
    `look` adds to the sequences of X what is known of the rows after them.

    Returns
    -------
    list of (Sequences, slice or ndarray, slice or ndarray)
        Two parts: the windows that reach into the context, over a small joined table, and the others, over X itself, so
        that X is not copied. Of each part also which predictions to keep, and the rows of X that they are for.
    """
    everything = slice(None)
    if context is None and context_groups is not None:
        raise ValueError("context_groups needs context, the rows that these labels are of.")
    if context is None:
        return [(_alone(estimator, X, groups, network, scales, look)[0], everything, everything)]
    context = check_container(context, "context")
    if is_set_of_sequences(X):
        raise ValueError("context goes with a 2-D table X; a set of sequences has nothing before it.")
    if is_set_of_sequences(context):
        raise ValueError("context must be a 2-D table, the rows that came right before X; found a set of sequences.")
    if (groups is None) != (context_groups is None):
        missing, given = ("groups", "context_groups") if groups is None else ("context_groups", "groups")
        raise ValueError(
            f"context with {given} needs {missing} too: a label for each row of X (groups) and of context "
            "(context_groups) tells which rows come before which."
        )
    if holds_no_rows(estimator, context):
        return [(_alone(estimator, X, groups, network, scales, look)[0], everything, everything)]
    # Carried rows were checked when they were kept, and have lost their names.
    before = np.asarray(context) if carried else check_sequences(estimator, context, name="context").table
    if scales is not None:
        bounds = check_groups(context_groups, len(before), "context", "context_groups")
        scales.after(before, RowGroups.of_labels(context_groups, bounds))
    sequences, scaled = _alone(estimator, X, groups, network, scales, look)
    before = before if scaled is None else scaled
    if network is not None:
        columns = getattr(estimator, "feature_names_in_", None)
        check_range(network, before, "context", columns, in_units=scales is not None)
    is_stateful = getattr(estimator, "training", "windows") == "stateful"
    reach = len(before) if is_stateful else window_length(estimator) - 1
    if not carried and reach > 0:
        warn_of_other_scale(estimator, before if groups is not None else before[-reach:], "context", sequences.table)
    pairs = _blocks_and_what_comes_before(sequences.blocks, groups, len(before), context_groups)
    if is_stateful:
        return [_series_after(estimator, before, sequences, pairs)]
    return _windows_after(before, sequences, pairs, reach)


def _alone(estimator, X, groups, network, scales, look):
    """Return the sequences of X and, where groups have units, the rows before in these."""
    sequences, before = check_sequences(estimator, X, groups=groups), None
    if scales is not None:
        table, before = scales.read(sequences.table, RowGroups.of_labels(groups, sequences.blocks))
        sequences = replace(sequences, table=table)
    if network is not None:
        columns = getattr(estimator, "feature_names_in_", None)
        check_range(network, sequences.table, columns=columns, in_units=scales is not None)
        warn_of_clipped_inputs(estimator, network, sequences.table)
    return sequences if look is None else look(sequences), before


def _blocks_and_what_comes_before(blocks, groups, n_before, context_groups):
    """Return for each block of X where it begins and ends, and the same of the context's block of the same label."""
    before = {None: (0, n_before)}
    labels = [None]
    if groups is not None:
        bounds = check_groups(context_groups, n_before, "context", "context_groups")
        names = labels_of(context_groups)[bounds[:-1]].tolist()
        before = dict(zip(names, zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True), strict=True))
        labels = labels_of(groups)[blocks[:-1]].tolist()
    return [
        (begin, end, *before.get(label, (0, 0)))
        for label, begin, end in zip(labels, blocks[:-1].tolist(), blocks[1:].tolist(), strict=True)
    ]


def _windows_after(before, sequences, pairs, reach):
    """Return the windows that reach into the rows before them, over a joined table, and all others."""
    pieces, bounds, keep, rows = [], [0], [], []
    for begin, end, first, last in pairs:
        n_before, n_rows = min(reach, last - first), min(reach, end - begin)
        if n_before == 0 or n_rows == 0:
            continue
        pieces += [before[last - n_before : last], sequences.table[begin : begin + n_rows]]
        keep.append(np.arange(n_rows) + bounds[-1] + n_before)
        rows.append(np.arange(n_rows) + begin)
        bounds.append(bounds[-1] + n_before + n_rows)
    if not pieces:
        return [(sequences, slice(None), slice(None))]
    head = Sequences.from_windows(np.concatenate(pieces), reach + 1, np.array(bounds, np.intp))
    rows, keep = np.concatenate(rows), np.concatenate(keep)
    if sequences.ahead is not None:
        # The windows of rows of the context are computed for nobody: any rows ahead will do.
        starts = np.zeros(len(head), np.intp)
        starts[keep] = sequences.ahead_starts[rows]
        head = replace(head, ahead=sequences.ahead, ahead_starts=starts)
    parts = [(head, keep, rows)]
    rest = np.delete(np.arange(len(sequences)), rows)
    if len(rest):
        parts.append((sequences.take(rest), slice(None), rest))
    return parts


def _series_after(estimator, before, sequences, pairs):
    """Return all rows of each series up to each row, those before X included."""
    pieces, bounds, keep = [], [0], []
    for begin, end, first, last in pairs:
        pieces += [before[first:last], sequences.table[begin:end]]
        bounds.append(bounds[-1] + last - first + end - begin)
        keep.append(np.arange(bounds[-1] - (end - begin), bounds[-1]))
    joined = make_windows(estimator, np.concatenate(pieces), np.array(bounds, np.intp))
    return joined, np.concatenate(keep), slice(None)


def in_place_of_rows(results):
    """Join results of the parts of `check_sequences_after`, each with its rows of X, in the order of X."""
    if len(results) == 1:
        return results[0][0]
    joined = np.empty((sum(len(answer) for answer, _ in results), *results[0][0].shape[1:]), results[0][0].dtype)
    for answer, rows in results:
        joined[rows] = answer
    return joined


def holds_no_rows(estimator, context, n_streams=None):
    """Return whether a context is explicitly empty: an array without rows, or [], for each of `n_streams`."""
    if not hasattr(context, "__len__") or getattr(context, "ndim", None) == 0:
        return False
    if issparse(context):
        return False  # has no length; refused where it is checked
    if n_streams is not None and len(context):
        return len(context) == n_streams and all(holds_no_rows(estimator, rows) for rows in context)
    if len(context):
        return False
    shape, n_axes = np.shape(context), 2 if n_streams is None else 3
    if len(shape) == n_axes:
        refuse_other_width(estimator, shape[-1], estimator.n_features_in_, "context")
    return len(shape) in (1, n_axes)


def check_rows_before(estimator, context, n_streams):
    """Return the rows before streams as an array, with a first axis if `n_streams` is a number, or None without any."""
    if context is None:
        return None
    n_axes = 2 if n_streams is None else 3
    expected = "(n_rows, n_features)" if n_streams is None else f"({n_streams}, n_rows, n_features)"
    shape = getattr(context, "shape", None)
    if holds_no_rows(estimator, context, n_streams):
        return None
    if is_set_of_sequences(context) != (n_axes == 3):
        found = f"shape {shape}" if shape is not None else f"{'3' if n_axes == 2 else '2'} axes"
        raise ValueError(f"context has {found}, expected {expected} for n_streams={n_streams}.")
    sequences = check_sequences(estimator, context, name="context")
    if n_axes == 2:
        return sequences.table
    lengths = np.unique(sequences.lengths).tolist()
    if len(sequences) != n_streams or len(lengths) > 1:
        raise ValueError(
            f"context holds {len(sequences)} sequences of {' or '.join(map(str, lengths))} rows, expected {n_streams} "
            "of equal length: the rows before each stream."
        )
    return sequences.table.reshape(n_streams, lengths[0], -1)
