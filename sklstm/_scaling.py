"""Means and scales of the columns of X and of the targets, learnt from the samples of the training part."""

import numpy as np

EPSILON = np.finfo(np.float64).eps
ROWS_AT_ONCE = 1 << 14


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


def column_scales(table, weights):
    """Return weighted mean and standard deviation of each column of a table, without a copy of it.

    Parameters
    ----------
    table : ndarray of shape (n_rows, n_columns)
    weights : ndarray of shape (n_rows,) or (n_rows, n_columns)
        At most 1. Rows (or entries) of weight zero are not looked at; each column has one that counts.

    Returns
    -------
    mean, scale : ndarray of shape (n_columns,)
        In float64. For a column that is constant, exactly or to rounding, scale is 0; exactly, mean is its value.
    """
    weights = weights.reshape(len(table), -1)
    blocks = [slice(begin, begin + ROWS_AT_ONCE) for begin in range(0, len(table), ROWS_AT_ONCE)]
    least = np.min([np.min(table[b], 0, where=weights[b] > 0, initial=np.inf) for b in blocks], axis=0)
    most = np.max([np.max(table[b], 0, where=weights[b] > 0, initial=-np.inf) for b in blocks], axis=0)
    least, most = least.astype(np.float64), most.astype(np.float64)
    # In units of a power of two, squares neither overflow nor vanish, whatever the unit of a column.
    exponent = np.frexp(np.maximum(np.abs(least), np.abs(most)))[1]
    total = weights.sum(axis=0)

    def mean_of(function):
        """Return the weighted mean of a function of the rows."""
        sums = 0.0
        for block in blocks:
            rows = np.where(weights[block] > 0, table[block], least)
            terms = function(np.ldexp(rows.astype(np.float64), -exponent)) * weights[block]
            # Column by column, whose sums NumPy takes pairwise.
            sums = sums + np.ascontiguousarray(terms.T).sum(axis=1)
        return sums / total

    mean = mean_of(lambda rows: rows)
    mean = mean + mean_of(lambda rows: rows - mean)  # what rounding left of it
    deviation = np.sqrt(mean_of(lambda rows: (rows - mean) ** 2))
    constant = (least == most) | (deviation <= 10 * EPSILON * np.abs(mean))
    return np.clip(np.ldexp(mean, exponent), least, most), np.where(constant, 0.0, np.ldexp(deviation, exponent))
