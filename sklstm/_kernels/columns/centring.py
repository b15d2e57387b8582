"""Variances and covariances around the mean, from the raw sums of the column statistics.

The kernels sum in one pass, before the means are known, around a first estimate of them. What is
left is arithmetic on a few numbers per column.
"""

from typing import NamedTuple

import numpy as np


class ColumnStatistics(NamedTuple):
    """What `column_statistics` returns; every variance and covariance has the divisor n_samples."""

    minimum: np.ndarray
    maximum: np.ndarray
    autocovariance: np.ndarray
    smooth_variance: np.ndarray
    residual_variance: np.ndarray
    cross_covariance: np.ndarray
    target_variance: np.ndarray
    sample_correlation: np.ndarray | None = None


class ColumnMoments(NamedTuple):
    """What `column_moments` returns, one number for each column, over the rows of positive weight."""

    mean: np.ndarray
    deviation: np.ndarray
    minimum: np.ndarray
    maximum: np.ndarray


def addressable(array):
    """Return the array, or an aligned copy where its memory cannot be read as numbers.

    That is the case for a field of packed records: kernels count in elements, not in bytes.
    """
    if not array.flags.aligned or any(stride % array.itemsize for stride in array.strides):
        return np.ascontiguousarray(array)
    return array


def first_means(X, n_columns):
    """Return estimates of the means, zeros beyond the last column.

    With k rows of the table, such an estimate is off by at most sqrt(n_samples / k) standard
    deviations (Cauchy-Schwarz), which costs a sum of squares log10(n_samples / k) digits at worst:
    5 of 16 for ten million rows. Rows spread over the table do better, whatever its trend.
    """
    rows = X[:: max(1, X.shape[0] // 256)].astype(np.float64)
    means = np.zeros(n_columns)
    # From the first row on: the mean of equal numbers would be rounded, and not be that number.
    means[: X.shape[1]] = rows[0] + (rows - rows[0]).mean(axis=0)
    return means


def relative_weights(weights, n_samples):
    """Return the rows of positive weight and their weights as shares of the largest; None for equal weights.

    A share of the largest neither overflows in a sum nor vanishes in a product, whatever the unit of the weights, and
    equal weights become exactly 1.
    """
    if weights is None:
        return None, None
    weights = np.ascontiguousarray(weights, dtype=np.float64)
    if weights.shape != (n_samples,):
        raise ValueError(f"weights must have the shape {(n_samples,)}, got {weights.shape}.")
    largest = weights.max(initial=0.0)
    if not (np.isfinite(largest) and largest > 0.0 and weights.min() >= 0.0):
        raise ValueError("weights must be finite and not negative, and at least one of them positive.")
    with np.errstate(under="ignore"):
        shares = weights / largest
    counted = shares > 0.0  # a share that underflows is none
    if counted.all():
        return None, None if shares.min() == 1.0 else shares
    chosen = np.flatnonzero(counted).astype(np.int64, copy=False)
    shares = shares[chosen]
    return chosen, None if shares.min() == 1.0 else shares


def powers_of_two(minimum, maximum, squares, total):
    """Return for each column the power of two that brings its numbers near 1; None where no column needs it.

    It is needed where the sum of squares overflows, or is so small that rounding to denormal numbers shows. The powers
    of the other columns are 0.
    """
    largest = np.maximum(np.abs(minimum), np.abs(maximum))
    finite = np.isfinite(largest)
    vanishing = (squares < total * 1e-280) & (minimum < maximum)
    wanted = finite & (~np.isfinite(squares) | vanishing)
    if not wanted.any():
        return None
    # Where it underflows, scale by the spread; where it overflows, by the largest number.
    reach = np.where(vanishing, np.maximum(maximum - minimum, np.finfo(np.float64).smallest_subnormal), largest)
    # Beyond +-1000 the factor 2**-power would itself leave the range; nothing needs more.
    powers = np.clip(np.frexp(np.where(wanted, reach, 1.0))[1], -1000, 1000)
    return np.where(wanted, powers, 0)


def target_moments(target):
    """Return the mean, the variance and the sum of the deviations of every target."""
    if target is None:
        return np.empty((3, 0))
    if target.dtype.name == "int64":
        means = np.bincount(target) / len(target)
        return np.stack([means, means * (1.0 - means), np.zeros_like(means)])
    moments = np.empty((3, target.shape[1]))
    for k in range(target.shape[1]):
        # One column at a time: a contiguous copy is summed pairwise and takes little memory.
        y = target[:, k].astype(np.float64)
        if y.min() == y.max():  # the mean of equal numbers would be rounded
            moments[:, k] = y[0], 0.0, 0.0
            continue
        moments[0, k] = y.mean()
        y -= moments[0, k]
        moments[1, k] = y @ y / len(y)
        moments[2, k] = y.sum()
    return moments


def target_sums(target, moments, starts, lengths, max_lag):
    """Return the sums of the deviations of rows t that have a row t - lag, (max_lag + 1, k)."""
    sums = np.empty((max_lag + 1, moments.shape[1]))
    sums[0] = moments[2]
    for lag in range(max_lag if target is not None else 0):
        rows = starts[lengths > lag] + lag
        if target.dtype.name == "int64":
            head = np.bincount(target[rows], minlength=moments.shape[1])
        else:
            head = target[rows].sum(axis=0, dtype=np.float64)
        sums[lag + 1] = sums[lag] - (head - len(rows) * moments[0])
    return sums


def centre(sums, of_targets, target_variance, lengths, max_lag):
    """Turn sums around the first estimate of the mean into (co)variances around the mean.

    Parameters
    ----------
    sums : dict of ndarray
        Minimum, maximum, moments (4, n_features): sums of the column, its moving average, and of
        the squares of the average and of the residual; products (reach + 1, n_features),
        cross_products (reach + 1, n_targets, n_features), heads and tails (reach, n_features).
    of_targets : ndarray of shape (reach + 1, n_targets)
        What `target_sums` returns.
    target_variance : ndarray of shape (n_targets,)
    lengths : ndarray of shape (n_groups,)
    max_lag : int
        Not below reach; lags beyond it are filled with zeros.

    Returns
    -------
    statistics : ColumnStatistics
    """
    n_samples = lengths.sum()
    total, smooth, smooth_square, residual_square = sums["moments"]
    offset = total / n_samples
    reach = len(sums["heads"])
    autocovariance = np.zeros((max_lag + 1, total.size))
    cross_covariance = np.zeros((max_lag + 1, target_variance.size, total.size))
    # The sum of the rows that are a pair's present, plus that of the rows that are a pair's past:
    # with each lag the pairs lose one more row at the head, and one at the tail, of each group.
    both_sides = 2.0 * total
    for lag in range(reach + 1):
        n_pairs = np.maximum(lengths - lag, 0).sum()
        products = sums["products"][lag] + offset * (n_pairs * offset - both_sides)
        autocovariance[lag] = products / n_samples
        if lag < reach:
            both_sides = both_sides - sums["heads"][lag] - sums["tails"][lag]
    cross_covariance[: reach + 1] = sums["cross_products"] - of_targets[:, :, None] * offset
    cross_covariance /= n_samples
    smooth_mean = smooth / n_samples
    return ColumnStatistics(
        minimum=sums["minimum"],
        maximum=sums["maximum"],
        autocovariance=autocovariance,
        smooth_variance=smooth_square / n_samples - smooth_mean**2,
        residual_variance=residual_square / n_samples - (offset - smooth_mean) ** 2,
        cross_covariance=cross_covariance,
        target_variance=target_variance,
    )
