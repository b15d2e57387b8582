"""Means and scales of the columns of X and of the targets, learnt from the samples of the training part."""

from dataclasses import dataclass

import numpy as np

from sklstm._kernels.columns._column_statistics import column_moments

# A deviation below this multiple of the mean is rounding error.
CONSTANT = 10 * np.finfo(np.float64).eps
HUGE = 1e307
# The distance of the quartiles of a standard normal distribution.
QUARTILES_OF_NORMAL = 1.349
# `partial_fit` rescales columns and targets whose running scale has grown by more than this factor.
LARGEST_GROWTH = 3.0


def row_weights(sequences, weights):
    """Return the weight of each row of a table: the mean weight of the samples that contain it, 0 where none does.

    Parameters
    ----------
    sequences : Sequences
    weights : ndarray of shape (n_sequences,)

    Returns
    -------
    ndarray of shape (n_rows,)
    """
    starts, ends, n = sequences.starts, sequences.starts + sequences.lengths, len(sequences.table) + 1
    is_equal = (weights == weights[0]).all()
    if is_equal and (starts == starts[0]).all():
        covered = np.zeros(n - 1)
        covered[starts[0] : ends.max()] = 1.0
        return covered

    def sums(values=None):
        """Return for each row the sum of some values over the samples that contain it."""
        return np.cumsum(np.bincount(starts, values, n) - np.bincount(ends, values, n))[:-1]

    n_readers = sums()
    if is_equal:
        return (n_readers > 0).astype(np.float64)
    # Rounding of the running sum may go below zero.
    return np.where(n_readers > 0, np.maximum(sums(weights), 0.0) / np.maximum(n_readers, 1), 0.0)


def column_scales(table, weights, n_threads=1):
    """Return weighted mean and standard deviation of each column of a table, without a copy of it.

    Parameters
    ----------
    table : ndarray of shape (n_rows, n_columns)
    weights : ndarray of shape (n_rows,) or (n_rows, n_columns)
        Rows (or entries) of weight zero are ignored. A column without any other has mean and scale 0.
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
    if len(table) == 1:  # as often in an update of a model that learns online
        return table[0].astype(np.float64) + 0.0, np.zeros(table.shape[1])
    if (weights == weights[0]).all():
        weights = None
    moments = column_moments(table, weights, n_threads=n_threads)
    constant = moments.deviation <= CONSTANT * np.abs(moments.mean)
    return moments.mean, np.where(constant, 0.0, moments.deviation)


def quotient(values, mean, scale):
    """Return (values - mean) / scale, also where the difference overflows float64."""
    half = 0.5 if max(np.abs(values).max(initial=0.0), np.abs(mean).max(initial=0.0)) > HUGE else 1.0
    return (half * values - half * mean) / (half * scale)


@dataclass(frozen=True)
class Moments:
    """Weighted moments of some columns over all rows so far.

    Attributes
    ----------
    weight : ndarray of shape (n_columns,)
        ``weight * 2**exponent`` are the sums of weights; 0 for a column without values.
    exponent : int
    mean, deviation : ndarray of shape (n_columns,)
    """

    weight: np.ndarray
    exponent: int
    mean: np.ndarray
    deviation: np.ndarray

    def _weight_times(self, exponent):
        """Return the sums of weights divided by ``2**exponent``."""
        if self.exponent == exponent:
            return self.weight
        return np.ldexp(self.weight, max(self.exponent - exponent, -2000))

    def joined(self, other):
        """Return the moments of both together; those of equal parts have the same bits (Chan, Golub & LeVeque)."""
        exponent = max(self.exponent, other.exponent)
        own, more = self._weight_times(exponent), other._weight_times(exponent)
        total = own + more
        share = np.divide(more, total, out=np.zeros_like(total), where=total > 0)
        distance = other.mean - self.mean
        between = np.sqrt(share * (1.0 - share)) * np.abs(distance)
        equal = (distance == 0) & (self.deviation == other.deviation)
        # Roots of sums of squares, which do not overflow.
        within = np.hypot(np.sqrt(1.0 - share) * self.deviation, np.sqrt(share) * other.deviation)
        mean, deviation = self.mean + share * distance, np.where(equal, self.deviation, np.hypot(within, between))
        return Moments(total, exponent, mean, np.where(deviation > CONSTANT * np.abs(mean), deviation, 0.0))


def moments_of(table, weights, exponent=0, n_threads=1):
    """Return the `Moments` of the columns of a table."""
    weights = weights if weights.ndim == 2 else weights[:, np.newaxis]
    sums = np.broadcast_to(weights.sum(axis=0), table.shape[1:]).astype(np.float64)
    mean, deviation = column_scales(table, weights if weights.shape[1] > 1 else weights[:, 0], n_threads)
    return Moments(sums, exponent, mean, deviation)


def robust_scales(table, weights):
    """Return the weighted median of each column, and the distance of its quartiles over that of a standard normal.

    Parameters and what is returned are those of `column_scales`, with one weight for each row. A column with
    equal quartiles gets its standard deviation instead.
    """
    present = weights > 0
    _, deviations = column_scales(table, weights)
    weights, medians, scales = weights[present], np.empty(table.shape[1]), np.empty(table.shape[1])
    for k in range(table.shape[1]):
        column = table[present, k].astype(np.float64)
        exponent = max(0, int(np.frexp(np.abs(column).max())[1]) - 1000)  # the halves of sums must not overflow
        low, middle, high = _quantiles(np.ldexp(column, -exponent), weights, [0.25, 0.5, 0.75])
        medians[k], spread = np.ldexp(middle, exponent), (high - low) / QUARTILES_OF_NORMAL
        constant = spread <= CONSTANT * max(abs(low), abs(high))
        scales[k] = deviations[k] if constant else min(np.ldexp(spread, exponent), np.finfo(np.float64).max)
    return medians, scales


def _quantiles(values, weights, levels):
    """Return weighted quantiles; at a step of the distribution the mean of both values, as a median of even count."""
    if (weights == weights[0]).all():
        return np.quantile(values, levels, method="averaged_inverted_cdf")
    order = np.argsort(values, kind="stable")
    values, sums = values[order], np.cumsum(weights[order])
    wanted = np.asarray(levels) * sums[-1]
    first = np.searchsorted(sums, wanted * (1.0 - CONSTANT))
    second = np.minimum(np.searchsorted(sums, wanted * (1.0 + CONSTANT), side="right"), len(values) - 1)
    return 0.5 * (values[first] + values[second])


@dataclass(frozen=True)
class InputScales:
    """Standardisation of the columns of X, (x - mean) / scale, and the moments it was learnt from.

    Attributes
    ----------
    mean, scale : ndarray of shape (n_features,)
    moments : Moments
    """

    mean: np.ndarray
    scale: np.ndarray
    moments: Moments


def input_scales(table, weights, moments, input_scaling, *, needs_scale):
    """Return mean and scale of the columns of X: the network reads (x - mean) / scale.

    Parameters
    ----------
    table : ndarray of shape (n_rows, n_features)
    weights : ndarray of shape (n_rows,)
    moments : Moments
        Of the table with these weights.
    input_scaling : "standard", "robust" or None
    needs_scale : ndarray of shape (n_features,), dtype bool
        Which columns need a scale also where `input_scaling` is None.

    Returns
    -------
    mean, scale : ndarray of shape (n_features,)
        The scale of a column with a single value so far is 1.
    """
    mean, scale = moments.mean, moments.deviation
    if input_scaling == "robust":
        mean, scale = robust_scales(table, weights)
    elif input_scaling is None:
        mean, scale = np.zeros_like(mean), np.where(needs_scale, scale, 0.0)
    return mean.copy(), np.where(scale > 0, scale, 1.0)


def followed_scales(mean, scale, before, moments, *, may_grow):
    """Return means and scales after more rows; they are kept where they were well determined.

    Columns with a single value so far get a scale about that value. With `may_grow`, columns that had hardly varied in
    a few rows get new scales from a block that weighs several times as much as all before it, since the network can
    have learnt next to nothing from them. `before` and `moments` are the `Moments` of the rows so far, without and with
    the new ones.
    """
    counts_more = moments.weight >= (1.0 + LARGEST_GROWTH) * before._weight_times(moments.exponent)
    if (before.deviation > 0).all() and not counts_more.any():
        return mean, scale
    # The mean stays: it is the value that was read as 0 so far, so the network's answers do not change.
    about = np.where(mean == before.mean, moments.mean - mean, 0.0)
    distance = np.where(moments.deviation > 0, np.hypot(moments.deviation, about), 1.0)
    known = np.maximum(before.deviation, scale)
    grown = may_grow & counts_more & (before.deviation > 0) & (moments.deviation / LARGEST_GROWTH > known)
    scale = np.where(before.deviation == 0, distance, np.where(grown, moments.deviation, scale))
    return np.where(grown, moments.mean, mean), scale
