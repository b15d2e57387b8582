"""Means and scales of the columns of X and of the targets, learnt from the samples of the training part."""

import numpy as np

from sklstm._kernels._column_statistics import column_moments

EPSILON = np.finfo(np.float64).eps
HUGE = 1e307


def row_weights(sequences, weights):
    """Return how much each row of a table counts: the mean weight of the samples that read it, 0 where none does.

    Parameters
    ----------
    sequences : Sequences
    weights : ndarray of shape (n_sequences,)

    Returns
    -------
    ndarray of shape (n_rows,)
    """
    starts, ends, n = sequences.starts, sequences.starts + sequences.lengths, len(sequences.table) + 1

    def sums(values=None):
        """Return the sum of some values over the samples that read each row."""
        return np.cumsum(np.bincount(starts, values, n) - np.bincount(ends, values, n))[:-1]

    n_readers = sums()
    if (weights == weights[0]).all():
        return (n_readers > 0).astype(np.float64)
    # Rounding of the running sum may go below zero.
    return np.where(n_readers > 0, np.maximum(sums(weights), 0.0) / np.maximum(n_readers, 1), 0.0)


def column_scales(table, weights, n_threads=1):
    """Return weighted mean and standard deviation of each column of a table, without a copy of it.

    Parameters
    ----------
    table : ndarray of shape (n_rows, n_columns)
    weights : ndarray of shape (n_rows,) or (n_rows, n_columns)
        Rows (or entries) of weight zero are not looked at. A column without any other has mean and scale 0.
    n_threads : int, default=1

    Returns
    -------
    mean, scale : ndarray of shape (n_columns,)
        In float64. For a column that is constant, exactly or to rounding, scale is 0; exactly, mean is its value.
    """
    if weights.ndim == 2:
        known = [column_scales(table[:, [k]], weights[:, k], n_threads) for k in range(table.shape[1])]
        return tuple(np.concatenate(one) for one in zip(*known, strict=True))
    if not weights.any():
        return np.zeros(table.shape[1]), np.zeros(table.shape[1])
    moments = column_moments(table, weights, n_threads=n_threads)
    constant = moments.deviation <= 10 * EPSILON * np.abs(moments.mean)
    return moments.mean, np.where(constant, 0.0, moments.deviation)


def quotient(values, mean, scale):
    """Return (values - mean) / scale, also where the difference is beyond the largest float64."""
    half = 0.5 if max(np.abs(values).max(initial=0.0), np.abs(mean).max(initial=0.0)) > HUGE else 1.0
    return (half * values - half * mean) / (half * scale)
