"""Variances, covariances and correlations from the raw sums of weighted column statistics.

The kernels have summed around the exact means, so that nothing is left to be corrected: only the samples at each lag,
which have a mean of their own, must be centred.
"""

import numpy as np

from sklstm._kernels.columns.centring import ColumnStatistics

# A variance below this share of the mean square that it is subtracted from is rounding error.
ROUNDING = 1e-12


def weighted_class_moments(codes, sample_weights):
    """Return the mean and the variance of the indicator of every class, (2, n_classes)."""
    means = np.bincount(codes, weights=sample_weights) / sample_weights.sum()
    return np.stack([means, means * (1.0 - means)])


def _from_lag(at_position):
    """Return for each lag the sum over the samples that have so many rows before them, from sums at each position."""
    return np.cumsum(at_position[::-1], axis=0)[::-1]


def _target_sums(target, means, weights, positions, n_lags):
    """Return weights (n_lags,), and sums and sums of squares of the deviations of all targets, (n_lags, n_targets)."""
    total = _from_lag(np.bincount(positions, weights, minlength=n_lags))
    n_targets = len(means)
    if target.dtype.name == "int64":
        ones = np.bincount(positions * n_targets + target, weights, minlength=n_lags * n_targets)
        ones = _from_lag(ones.reshape(n_lags, n_targets))
        squares = ones * (1.0 - 2.0 * means) + total[:, None] * means**2
        return total, ones - total[:, None] * means, squares
    sums, squares = np.empty((2, n_lags, n_targets))
    for k in range(n_targets):
        deviations = target[:, k].astype(np.float64) - means[k]
        sums[:, k] = _from_lag(np.bincount(positions, weights * deviations, minlength=n_lags))
        squares[:, k] = _from_lag(np.bincount(positions, weights * deviations**2, minlength=n_lags))
    return total, sums, squares


def _sample_correlation(sums, target, means, blocks, sample_weights, n_lags):
    """Return the correlation over the samples that have a row lag rows ago, times their share of the weights."""
    lengths = np.diff(blocks)
    if len(sample_weights) == len(lengths) and len(lengths) != blocks[-1]:
        positions = lengths - 1
    else:
        positions = np.arange(blocks[-1]) - np.repeat(blocks[:-1], lengths)
    positions = np.minimum(positions, n_lags - 1)
    weight, y_sum, y_square = _target_sums(target, means, sample_weights, positions, n_lags)
    x_sum, x_square = sums["sample_products"]
    weight = weight[:, None]
    with np.errstate(all="ignore"):
        x_mean, y_mean = x_sum / weight, y_sum / weight
        x_variance, y_variance = x_square / weight - x_mean**2, y_square / weight - y_mean**2
        x_variance[~(x_variance > ROUNDING * (x_square / weight))] = np.inf
        y_variance[~(y_variance > ROUNDING * (y_square / weight))] = np.inf
        covariance = sums["cross_products"] / weight[:, None] - y_mean[:, :, None] * x_mean[:, None]
        correlation = covariance / np.sqrt(y_variance)[:, :, None] / np.sqrt(x_variance)[:, None]
        correlation *= (weight / weight[0])[:, None]
    return np.where(weight[:, None] > 0.0, correlation, 0.0)


def _padded(values, n_lags):
    """Return the values with zeros for the lags that no group is long enough for."""
    padded = np.zeros((n_lags, *values.shape[1:]))
    padded[: len(values)] = values
    return padded


def centre_weighted(sums, target, target_moments, blocks, row_weights, sample_weights, max_lag):
    """Turn weighted sums around the means into the statistics; the arguments are those of `column_statistics`."""
    total = row_weights.sum()
    smooth, smooth_square, residual_square = sums["moments"][1:] / total
    cross_covariance, correlation = sums["cross_products"], None
    if len(target_moments[0]):
        correlation = _sample_correlation(
            sums, target, target_moments[0], blocks, sample_weights, len(sums["products"])
        )
        cross_covariance = cross_covariance / sample_weights.sum()
        correlation = _padded(correlation, max_lag + 1)
    return ColumnStatistics(
        minimum=sums["minimum"],
        maximum=sums["maximum"],
        autocovariance=_padded(sums["products"] / total, max_lag + 1),
        smooth_variance=smooth_square - smooth**2,
        residual_variance=residual_square - smooth**2,
        cross_covariance=_padded(cross_covariance, max_lag + 1),
        target_variance=target_moments[1],
        sample_correlation=correlation,
    )
