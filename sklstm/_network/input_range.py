"""The range of the inputs: checks that a table holds no number too large for a network, and no negative time gap."""

import numpy as np


def first_beyond_range(table, mean, scale, largest, window_norm, known_columns=()):
    """Return row and column of a number that is too large once it is standardised, or None if there is none.

    Parameters
    ----------
    table : ndarray of shape (n_rows, n_features)
        Finite numbers.
    mean, scale : sequence of float or None
        The first layer reads (row - mean) / scale; None for zeros and ones.
    largest : float
        Largest standardised input that is accepted.
    window_norm : "last", "standard" or None
        With a norm, the range of a whole column is used as that of a window.
    known_columns : tuple of int, default=()
        Columns that the norm leaves alone.

    Returns
    -------
    tuple of int or None
    """
    if table.size == 0:
        return None
    mean = np.zeros(table.shape[1]) if mean is None else np.asarray(mean, np.float64)
    scale = np.ones(table.shape[1]) if scale is None else np.asarray(scale, np.float64)
    with np.errstate(over="ignore"):
        # A bound over all columns at once; it nearly always suffices.
        reach = max(abs(float(table.max())), abs(float(table.min()))) + float(np.abs(mean).max())
        if 2 * reach / float(scale.min()) <= largest:
            return None
        lowest, highest = table.min(axis=0).astype(np.float64), table.max(axis=0).astype(np.float64)
        reach = np.maximum(np.abs(lowest - mean), np.abs(highest - mean))
        if window_norm is not None:
            is_known = np.isin(np.arange(len(scale)), known_columns)
            reach = np.where(is_known, reach, highest - lowest)
        beyond = reach / scale > largest
    if not beyond.any():
        return None
    column = int(beyond.argmax())
    return int(np.abs(table[:, column] / 2 - mean[column] / 2).argmax()), column


def first_negative_gap(table, time_column):
    """Return row and column of the first negative number in the column of time gaps, or None if there is none.

    Parameters
    ----------
    table : ndarray of shape (n_rows, n_features)
        Finite numbers.
    time_column : int or None
        None: there is no such column.
    """
    if time_column is None or not (table[:, time_column] < 0).any():
        return None
    return int((table[:, time_column] < 0).argmax()), time_column
