"""Means and scales of the columns of X and of the targets, learnt from the samples of the training part."""

from dataclasses import dataclass

import numpy as np

from sklstm._kernels._column_statistics import column_moments

# A deviation of so many times the mean is rounding.
CONSTANT = 10 * np.finfo(np.float64).eps
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
    constant = moments.deviation <= CONSTANT * np.abs(moments.mean)
    return moments.mean, np.where(constant, 0.0, moments.deviation)


def quotient(values, mean, scale):
    """Return (values - mean) / scale, also where the difference is beyond the largest float64."""
    half = 0.5 if max(np.abs(values).max(initial=0.0), np.abs(mean).max(initial=0.0)) > HUGE else 1.0
    return (half * values - half * mean) / (half * scale)


@dataclass(frozen=True)
class Moments:
    """Weighted moments of some columns over all that was seen of them.

    Attributes
    ----------
    weight : ndarray of shape (n_columns,)
        Sums of weights, times two to the power `exponent`; 0 where a column was never seen.
    exponent : int
    mean, deviation : ndarray of shape (n_columns,)
    """

    weight: np.ndarray
    exponent: int
    mean: np.ndarray
    deviation: np.ndarray

    def joined(self, other):
        """Return the moments of both together; those of equal parts have the same bits (Chan, Golub & LeVeque)."""
        exponent = max(self.exponent, other.exponent)
        own, more = (np.ldexp(one.weight, max(one.exponent - exponent, -2000)) for one in (self, other))
        total = own + more
        share = np.divide(more, total, out=np.zeros_like(total), where=total > 0)
        distance = other.mean - self.mean
        between = np.sqrt(share * (1.0 - share)) * np.abs(distance)
        equal = (distance == 0) & (self.deviation == other.deviation)
        # Roots of sums of squares, which do not overflow.
        within = np.hypot(np.sqrt(1.0 - share) * self.deviation, np.sqrt(share) * other.deviation)
        deviation = np.where(equal, self.deviation, np.hypot(within, between))
        return Moments(total, exponent, self.mean + share * distance, deviation)


def moments_of(table, weights, exponent=0, n_threads=1):
    """Return the `Moments` of the columns of a table."""
    weights = weights if weights.ndim == 2 else weights[:, np.newaxis]
    sums = np.broadcast_to(weights.sum(axis=0), table.shape[1:]).astype(np.float64)
    mean, deviation = column_scales(table, weights if weights.shape[1] > 1 else weights[:, 0], n_threads)
    return Moments(sums, exponent, mean, deviation)
