"""Rows that come before X, or before the first row of a stream."""

import numpy as np

from sklstm._sequences import Sequences
from sklstm._validation.sequences import check_sequences, is_set_of_sequences, make_windows, window_length


def check_sequences_after(estimator, X, context, *, groups=None, dtype=None, carried=False):
    """Like `check_sequences` for an X that follows the rows of `context`; `carried`: which the estimator kept.

    Returns
    -------
    list of (Sequences, slice)
        The windows that reach into the context, over a small joined table, then the others, over X itself: the
        context never makes a copy of X. The slice says which of a part's predictions count.
    """
    if context is None:
        return [(check_sequences(estimator, X, groups=groups, dtype=dtype), slice(None))]
    if groups is not None:
        raise ValueError("context cannot be combined with groups: whose rows the context holds would be unclear.")
    if is_set_of_sequences(X):
        raise ValueError("context goes with a 2-D table X; a set of sequences has nothing before it.")
    if is_set_of_sequences(context):
        raise ValueError("context must be a 2-D table, the rows that came right before X; found a set of sequences.")
    if np.shape(context)[:1] == (0,):
        return [(check_sequences(estimator, X, dtype=dtype), slice(None))]
    # Carried rows were checked when they were kept, and have lost their names.
    before = (
        np.asarray(context, dtype)
        if carried
        else check_sequences(estimator, context, dtype=dtype, name="context").table
    )
    sequences = check_sequences(estimator, X, dtype=dtype)
    if getattr(estimator, "training", "windows") == "stream":
        return [(make_windows(estimator, np.concatenate([before, sequences.table])), slice(len(before), None))]
    reach = window_length(estimator) - 1
    if reach == 0:
        return [(sequences, slice(None))]
    before = before[-reach:]
    joined = np.concatenate([before, sequences.table[:reach]])
    head = Sequences.from_windows(joined, reach + 1)
    parts = [(head, slice(len(before), None))]
    if len(sequences) > reach:
        parts.append((sequences.take(slice(reach, None)), slice(None)))
    return parts


def check_rows_before(estimator, context, n_streams, dtype):
    """Return the rows before streams as an array, with a first axis if `n_streams` is a number, or None without any."""
    if context is None:
        return None
    n_axes = 2 if n_streams is None else 3
    expected = "(n_rows, n_features)" if n_streams is None else f"({n_streams}, n_rows, n_features)"
    shape = getattr(context, "shape", None)
    if shape is not None and len(shape) == n_axes and shape[-2] == 0:
        return None
    if is_set_of_sequences(context) != (n_axes == 3):
        found = f"shape {shape}" if shape is not None else f"{'3' if n_axes == 2 else '2'} axes"
        raise ValueError(f"context has {found}, expected {expected} for n_streams={n_streams}.")
    sequences = check_sequences(estimator, context, dtype=dtype, name="context")
    if n_axes == 2:
        return sequences.table
    lengths = np.unique(sequences.lengths).tolist()
    if len(sequences) != n_streams or len(lengths) > 1:
        raise ValueError(
            f"context holds {len(sequences)} sequences of {' or '.join(map(str, lengths))} rows, expected {n_streams} "
            "of equal length: the rows before each stream."
        )
    return sequences.table.reshape(n_streams, lengths[0], -1)
