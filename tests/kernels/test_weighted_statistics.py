"""Column statistics of weighted rows and samples against their formulas, written out as loops."""

from math import fsum

import numpy as np
import pytest

from sklstm._kernels import available_isas
from sklstm._kernels.columns._column_statistics import column_statistics

DECAY = 9 / 11
TOLERANCE = 1e-12  # of a covariance, relative to the geometric mean of the variances


def weighted_mean(values, weights):
    return fsum(w * v for w, v in zip(weights, values, strict=True)) / fsum(weights)


def statistics_by_loops(X, target, blocks, max_lag, row_weights, samples):
    """Autocovariances, variances of average and residual, correlations of `samples`: (row, target row, weight)."""
    n, p = X.shape
    begin_of = np.repeat(blocks[:-1], np.diff(blocks))
    autocovariance, smooth_variance, residual_variance = np.zeros((max_lag + 1, p)), np.zeros(p), np.zeros(p)
    correlation = np.zeros((max_lag + 1, target.shape[1], p))
    for j in range(p):
        x = X[:, j].astype(float) - weighted_mean(X[:, j].astype(float), row_weights)
        smooth, top, bottom = np.zeros(n), 0.0, 0.0
        for t in range(n):
            if t == begin_of[t]:
                top, bottom = 0.0, 0.0
            top, bottom = x[t] + DECAY * top, 1.0 + DECAY * bottom
            smooth[t] = top / bottom
        for series, out in ((smooth, smooth_variance), (x - smooth, residual_variance)):
            out[j] = weighted_mean((series - weighted_mean(series, row_weights)) ** 2, row_weights)
        for lag in range(max_lag + 1):
            pairs = [row_weights[t] * x[t] * x[t - lag] for t in range(n) if t - lag >= begin_of[t]]
            autocovariance[lag, j] = fsum(pairs) / fsum(row_weights)
            there = [(row - lag, i, w) for row, i, w in samples if row - lag >= begin_of[row] and w > 0]
            share = fsum(w for *_, w in there) / fsum(w for *_, w in samples)
            for k in range(target.shape[1] if len(there) > 1 else 0):
                w = [w for *_, w in there]
                u = np.array([x[row] for row, *_ in there])
                y = np.array([target[i, k] for _, i, _ in there], dtype=float)
                u, y = u - weighted_mean(u, w), y - weighted_mean(y, w)
                scale = np.sqrt(weighted_mean(u**2, w) * weighted_mean(y**2, w))
                correlation[lag, k, j] = share * weighted_mean(u * y, w) / scale if scale > 1e-13 else 0.0
    return autocovariance, smooth_variance, residual_variance, correlation


def assert_close(found, expected):
    autocovariance, smooth_variance, residual_variance, correlation = expected
    variance = autocovariance[0]
    assert (np.abs(found.autocovariance - autocovariance) / variance).max() <= TOLERANCE
    assert (np.abs(found.smooth_variance - smooth_variance) / variance).max() <= TOLERANCE
    assert (np.abs(found.residual_variance - residual_variance) / variance).max() <= TOLERANCE
    np.testing.assert_allclose(found.sample_correlation, correlation, atol=1e-9)


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "p", "n_groups", "max_lag"), [(60, 3, 1, 4), (139, 17, 5, 9), (300, 2, 3, 31)])
def test_weights_of_rows_and_samples(n, p, n_groups, max_lag, dtype, isa):
    rng = np.random.default_rng(n)
    X = (rng.standard_normal((n, p)).cumsum(axis=0) + 30).astype(dtype)
    blocks = np.r_[0, np.sort(rng.choice(np.arange(1, n), n_groups - 1, replace=False)), n]
    target = np.asfortranarray(rng.standard_normal((n, 2)) + X[:, :1])
    sample_weights = rng.uniform(0.0, 1.0, n) * (rng.random(n) < 0.3)
    row_weights = rng.uniform(0.1, 1.0, n)
    options = {"max_lag": max_lag, "decay": DECAY, "row_weights": row_weights, "sample_weights": sample_weights}
    found = column_statistics(X, target, blocks, n_threads=2, isa=isa, **options)
    samples = [(t, t, sample_weights[t]) for t in range(n)]
    assert_close(found, statistics_by_loops(X, target, blocks, max_lag, row_weights, samples))


@pytest.mark.parametrize("kind", ["numbers", "classes"])
@pytest.mark.parametrize(("max_lag", "longest"), [(3, 8), (12, 8), (6, 300)])  # within one tile, and over several
def test_sequences_have_one_target_each(max_lag, longest, kind):
    rng = np.random.default_rng(max_lag)
    lengths = rng.integers(1, longest + 1, 40 if longest < 9 else 7)
    blocks = np.append(0, lengths.cumsum())
    X = rng.standard_normal((blocks[-1], 3)).cumsum(axis=0)
    weights = rng.uniform(0.2, 1.0, len(lengths))
    codes = np.arange(len(lengths)) % 3
    target = rng.standard_normal((len(lengths), 2)) if kind == "numbers" else np.eye(3)[codes]
    options = {
        "max_lag": max_lag,
        "decay": DECAY,
        "row_weights": np.repeat(weights, lengths),
        "sample_weights": weights,
    }
    found = column_statistics(X, target if kind == "numbers" else codes, blocks, n_threads=2, **options)
    samples = [(end - 1, i, weights[i]) for i, end in enumerate(blocks[1:])]
    assert_close(found, statistics_by_loops(X, target, blocks, max_lag, options["row_weights"], samples))


def test_weights_of_one_are_no_weights():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((20_000, 5)).cumsum(axis=0)
    y = np.roll(X[:, :1], 3, axis=0)
    blocks, ones = [0, 7000, 20_000], np.ones(20_000)
    plain = column_statistics(X, y, blocks, max_lag=31, decay=DECAY, n_threads=2)
    weighted = column_statistics(
        X, y, blocks, max_lag=31, decay=DECAY, n_threads=2, row_weights=ones, sample_weights=ones
    )
    for name in plain._fields[:-1]:
        scale = np.abs(getattr(plain, name)).max()
        np.testing.assert_allclose(getattr(weighted, name), getattr(plain, name), rtol=1e-9, atol=1e-11 * scale)


@pytest.mark.parametrize("n_threads", [2, 3, 8])
def test_same_bits_for_any_number_of_threads(n_threads):
    rng = np.random.default_rng(2)
    X = rng.standard_normal((30_000, 20), dtype=np.float32)
    y = rng.integers(0, 3, 30_000)
    weights = rng.uniform(0.0, 1.0, (2, 30_000))
    options = {"max_lag": 7, "decay": DECAY, "row_weights": weights[0], "sample_weights": weights[1]}
    expected = column_statistics(X, y, [0, 30_000], n_threads=1, **options)
    found = column_statistics(X, y, [0, 30_000], n_threads=n_threads, **options)
    for one, other in zip(found, expected, strict=True):
        assert one.tobytes() == other.tobytes()


def test_groups_of_weight_zero_are_not_read():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((300, 2))
    weights = np.repeat([1.0, 0.0, 0.5], 100)
    options = {"max_lag": 5, "decay": DECAY, "n_threads": 1}
    expected = column_statistics(
        X, X[:, :1], [0, 100, 200, 300], row_weights=weights, sample_weights=weights, **options
    )
    spoilt = X.copy()
    spoilt[100:200] = np.nan
    found = column_statistics(
        spoilt, X[:, :1], [0, 100, 200, 300], row_weights=weights, sample_weights=weights, **options
    )
    for one, other in zip(found, expected, strict=True):
        assert one.tobytes() == other.tobytes()
