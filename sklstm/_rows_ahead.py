"""What a fitted decoder reads of the rows ahead."""

from functools import partial

import numpy as np

from sklstm._time_order import look_at_future
from sklstm._validation import (
    Ahead,
    Future,
    check_range_ahead,
    is_set_of_sequences,
    known_rows,
    look_ahead,
    refuse_future,
)


def ahead_of(model):
    """Return what a fitted model reads of the rows ahead, as `Ahead`, or None without a decoder."""
    architecture = model._architecture
    if architecture["decoder"] == "direct":
        return None
    return Ahead(architecture["horizon"], tuple(architecture["known_columns"]))


def look_from(model, X, groups, future, network):
    """Return a function that adds to the sequences of X what is known of the rows after them, or None.

    Parameters
    ----------
    model : estimator
        Fitted.
    X : array-like
    groups : array-like or None
    future : Future or None
        The rows after X, as the user passed them.
    network : Network

    Returns
    -------
    callable or None
        ``look(sequences)`` returns `Sequences`; None for a model without a decoder.
    """
    future, ahead = future or Future(), ahead_of(model)
    refuse_future(future, ahead)
    if ahead is None:
        return None
    return partial(_look, model, ahead, future, X, groups, network)


def _look(model, ahead, future, X, groups, network, sequences):
    sequences = look_ahead(model, sequences, ahead, future, is_set=is_set_of_sequences(X), groups=groups)
    look_at_future(X, groups, *future)
    check_range_ahead(network, sequences.ahead, getattr(model, "feature_names_in_", None))
    return sequences


def rows_after_step(model, network, future, n_streams):
    """Return what the decoder of a stream reads of the rows after a step.

    Parameters
    ----------
    model : estimator
        Fitted.
    network : Network
    future : array-like or None
        The rows after those of the step: (n_rows, n_features), or (n_streams, n_rows, n_features).
    n_streams : int or None
        None for one stream without an axis.

    Returns
    -------
    ndarray of shape (number of streams * horizon, n_known) or None
        None where nothing is read.
    """
    ahead = ahead_of(model)
    refuse_future(Future(future), ahead)
    if ahead is None or not ahead.known:
        return None
    expected = f"({'' if n_streams is None else f'{n_streams}, '}{ahead.horizon}, {model.n_features_in_})"
    if future is None:
        raise ValueError(
            f"future is missing: the decoder reads the known columns of the {ahead.horizon} rows after x. Pass these "
            f"rows, of shape {expected}, with the columns of x (the others than known_columns are not read)."
        )
    tables = [future] if n_streams is None else list(future)
    if n_streams is not None and len(tables) != n_streams:
        raise ValueError(f"future holds rows for {len(tables)} streams, expected {expected}.")
    rows = []
    for k, table in enumerate(tables):
        rows.append(known_rows(model, table, ahead.known, "future" if n_streams is None else f"future[{k}]"))
        if len(rows[k]) < ahead.horizon:
            raise ValueError(
                f"future has {len(rows[k])} rows{'' if n_streams is None else f' for stream {k}'}, but the decoder "
                f"reads {ahead.horizon} rows after x."
            )
    joined = np.ascontiguousarray(np.concatenate([table[: ahead.horizon] for table in rows]))
    check_range_ahead(network, joined, getattr(model, "feature_names_in_", None))
    return joined
