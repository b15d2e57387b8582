"""The column statistics against their formulas, written out as loops, and against NumPy."""

import tracemalloc
from math import fsum

import numpy as np
import pytest

from sklstm._kernels import available_isas
from sklstm._kernels.columns._column_statistics import column_statistics
from sklstm._kernels.columns.centring import ColumnStatistics

SIZES = [1, 7, 8, 15, 16, 17, 33, 100]
NO_GROUPS = np.zeros(1, dtype=np.int64)
DECAY = 9 / 11

# Largest error of a covariance, relative to the geometric mean of the two variances. The sums are
# double precision whatever the table, so that one tolerance serves float32 and float64.
COVARIANCE_TOLERANCE = 1e-12


def statistics_of(X, target, starts, **options):
    return column_statistics(X, target, np.append(starts, len(X)), **options)


def centred_twice(series):
    """Remove the mean; a large mean is itself rounded, hence once more."""
    once = [v - fsum(series) / len(series) for v in series]
    return [v - fsum(once) / len(once) for v in once]


def statistics_by_loops(X, target, starts, max_lag, decay):
    """Two-pass formulas of one column after the other, one row at a time."""
    n, p = X.shape
    n_targets = target.shape[1]
    group = np.searchsorted(starts, np.arange(n), side="right") - 1
    autocovariance = np.zeros((max_lag + 1, p))
    cross = np.zeros((max_lag + 1, n_targets, p))
    smooth_variance, residual_variance = np.zeros(p), np.zeros(p)
    targets = [centred_twice([float(v) for v in column]) for column in target.T]
    for j in range(p):
        # Weights of an average sum to one: it may be taken before or after the mean is removed.
        x = centred_twice([float(v) for v in X[:, j]])
        smooth = []
        for t in range(n):
            if t in starts:
                top, bottom = 0.0, 0.0
            top, bottom = x[t] + decay * top, 1.0 + decay * bottom
            smooth.append(top / bottom)
        residual = [a - b for a, b in zip(x, smooth, strict=True)]
        for series, out in ((smooth, smooth_variance), (residual, residual_variance)):
            out[j] = fsum((v - fsum(series) / n) ** 2 for v in series) / n
        for lag in range(max_lag + 1):
            for t in range(lag, n):
                if group[t - lag] == group[t]:
                    autocovariance[lag, j] += x[t - lag] * x[t] / n
                    for k in range(n_targets):
                        cross[lag, k, j] += x[t - lag] * targets[k][t] / n
    target_variance = np.array([fsum(v * v for v in column) / n for column in targets])
    return ColumnStatistics(
        X.min(axis=0),
        X.max(axis=0),
        autocovariance,
        smooth_variance,
        residual_variance,
        cross,
        target_variance,
    )


def statistics_by_numpy(X, target, starts, max_lag, decay):
    """The same two-pass formulas in float64 arrays, for tables too long for loops over columns."""
    X = np.asfortranarray(X, dtype=np.float64)  # NumPy sums pairwise along contiguous memory only
    n = X.shape[0]
    ends = np.append(starts[1:], n)
    centred = X - X.mean(axis=0)
    centred -= centred.mean(axis=0)
    y = target.astype(np.float64) - target.mean(axis=0, dtype=np.float64)
    autocovariance = np.zeros((max_lag + 1, X.shape[1]))
    cross = np.zeros((max_lag + 1, y.shape[1], X.shape[1]))
    smooth = np.empty_like(centred)
    for begin, end in zip(starts, ends, strict=True):
        top, bottom = 0.0, 0.0
        for t in range(begin, end):
            top, bottom = centred[t] + decay * top, 1.0 + decay * bottom
            smooth[t] = top / bottom
        for lag in range(min(max_lag + 1, end - begin)):
            past = centred[begin : end - lag]
            autocovariance[lag] += np.einsum("tj,tj->j", past, centred[begin + lag : end]) / n
            cross[lag] += y[begin + lag : end].T @ past / n
    return ColumnStatistics(
        X.min(axis=0),
        X.max(axis=0),
        autocovariance,
        smooth.var(axis=0),
        (centred - smooth).var(axis=0),
        cross,
        y.var(axis=0),
    )


def assert_close(found, expected, tolerance=COVARIANCE_TOLERANCE):
    """Compare with an error that is relative to what the Cauchy-Schwarz inequality allows."""
    np.testing.assert_array_equal(found.minimum, expected.minimum)
    np.testing.assert_array_equal(found.maximum, expected.maximum)
    variance = np.maximum(expected.autocovariance[0], 1e-300)
    error = np.abs(found.autocovariance - expected.autocovariance) / variance
    assert error.max() <= tolerance
    for name in ("smooth_variance", "residual_variance"):
        error = np.abs(getattr(found, name) - getattr(expected, name)) / variance
        assert error.max() <= tolerance, name
    scale = np.sqrt(expected.target_variance[:, None] * variance)
    error = np.abs(found.cross_covariance - expected.cross_covariance) / np.maximum(scale, 1e-300)
    assert error.max(initial=0.0) <= tolerance
    np.testing.assert_allclose(found.target_variance, expected.target_variance, rtol=tolerance)


def random_starts(rng, n, n_groups):
    inner = rng.choice(np.arange(1, n), size=min(n_groups, n) - 1, replace=False) if n > 1 else []
    return np.sort(np.append(inner, 0)).astype(np.int64)


def as_bytes(statistics):
    return b"".join(np.ascontiguousarray(array).tobytes() for array in statistics)


def random_walk_and_noise(rng, n, p, dtype):
    """Columns of every temper: noise, trends, far means, tiny scales."""
    X = rng.standard_normal((n, p))
    X[:, ::3] = X[:, ::3].cumsum(axis=0)
    return (X * 10.0 ** rng.integers(-3, 4, p) + rng.normal(0, 100, p)).astype(dtype)


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_features", SIZES)
def test_every_statistic_equals_its_formula_in_loops(n_features, dtype, isa):
    rng = np.random.default_rng(n_features)
    n = 61
    X = random_walk_and_noise(rng, n, n_features, dtype)
    target = rng.standard_normal((n, 2))
    starts = random_starts(rng, n, 4)
    found = statistics_of(X, target, starts, max_lag=6, decay=DECAY, n_threads=1, isa=isa)
    assert_close(found, statistics_by_loops(X, target, starts, 6, DECAY))


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("n_features", [1, 17])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 31, 32, 33, 127, 128, 129, 8191, 8192, 8193, 17000])
def test_tiles_and_blocks_leave_no_seam(n, n_features, isa):
    rng = np.random.default_rng(n)
    X = random_walk_and_noise(rng, n, n_features, np.float64)
    target = rng.standard_normal((n, 1))
    found = statistics_of(X, target, NO_GROUPS, max_lag=31, decay=DECAY, n_threads=2, isa=isa)
    assert_close(found, statistics_by_numpy(X, target, NO_GROUPS, 31, DECAY))


@pytest.mark.parametrize("n_groups", [2, 40, 3000, 17000])
def test_nothing_crosses_from_one_group_to_another(n_groups):
    rng = np.random.default_rng(n_groups)
    n = 17000
    X = random_walk_and_noise(rng, n, 5, np.float64)
    target = rng.standard_normal((n, 1))
    starts = random_starts(rng, n, n_groups)
    found = statistics_of(X, target, starts, max_lag=9, decay=DECAY, n_threads=2)
    assert_close(found, statistics_by_numpy(X, target, starts, 9, DECAY))


@pytest.mark.parametrize("n_groups", [1, 5])
@pytest.mark.parametrize("max_lag", [0, 1, 2, 3, 4, 5, 30, 31, 32, 200])
def test_every_number_of_lags(max_lag, n_groups):
    rng = np.random.default_rng(max_lag)
    n = 1000
    X = random_walk_and_noise(rng, n, 3, np.float64)
    target = rng.standard_normal((n, 1))
    starts = random_starts(rng, n, n_groups)
    found = statistics_of(X, target, starts, max_lag=max_lag, decay=DECAY, n_threads=1)
    assert found.autocovariance.shape == (max_lag + 1, 3)
    assert_close(found, statistics_by_numpy(X, target, starts, max_lag, DECAY))


def test_lags_without_any_pair_are_zero():
    X = np.arange(12.0).reshape(6, 2)
    starts = np.array([0, 2, 5])
    found = statistics_of(X, X[:, :1], starts, max_lag=4, decay=0.5, n_threads=1)
    assert found.autocovariance[2].all()
    assert not found.autocovariance[3:].any()
    assert not found.cross_covariance[3:].any()


@pytest.mark.parametrize("span", [1.0, 1.5, 10.0, 100.0, 1500.0, 1e5, 1e18])
def test_moving_average_of_any_span_continues_from_block_to_block(span):
    rng = np.random.default_rng(0)
    n = 40000
    X = random_walk_and_noise(rng, n, 4, np.float64)
    target = rng.standard_normal((n, 1))
    starts = np.array([0, 39000])
    decay = (span - 1) / (span + 1)
    found = statistics_of(X, target, starts, max_lag=1, decay=decay, n_threads=2)
    assert_close(found, statistics_by_numpy(X, target, starts, 1, decay))


@pytest.mark.parametrize(
    ("dtype", "mean", "deviation"),
    [
        (np.float64, 1e6, 1e-1),
        (np.float64, -1e9, 1e-3),
        (np.float64, 1e12, 1e-2),
        (np.float32, 1e6, 1e-1),
        (np.float32, 1e6, 1e1),
        (np.float32, 1e-20, 1e-25),
    ],
)
def test_far_mean_and_small_deviation(dtype, mean, deviation):
    rng = np.random.default_rng(1)
    n = 30000
    noise = rng.standard_normal((n, 5))
    noise[1:, 3] += 0.9 * noise[:-1, 3]
    X = (mean + deviation * noise).astype(dtype)
    X[:, 4] = X[:, 4].mean()
    X[7, 4] = np.nextafter(X[7, 4], dtype(np.inf))  # all but constant
    target = rng.standard_normal((n, 1)) + 1e6
    found = statistics_of(X, target, NO_GROUPS, max_lag=5, decay=DECAY, n_threads=2)
    assert_close(found, statistics_by_numpy(X, target, NO_GROUPS, 5, DECAY))


def test_trend_far_beyond_the_first_rows():
    rng = np.random.default_rng(2)
    n = 200000
    X = np.stack([np.arange(n) ** 2.0, 1e8 * (np.arange(n) > n - 100), rng.standard_normal(n)], axis=1)
    X[:, 2] += 1e4 * (np.arange(n) > n - 100)
    target = rng.standard_normal((n, 1)).cumsum(axis=0)
    found = statistics_of(X, target, NO_GROUPS, max_lag=3, decay=DECAY, n_threads=2)
    assert_close(found, statistics_by_numpy(X, target, NO_GROUPS, 3, DECAY))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ten_million_rows(dtype):
    n = 10_000_000
    rng = np.random.default_rng(3)
    X = np.empty((n, 2), dtype)
    X[:, 0] = rng.random(n, dtype=np.float32)
    X[:, 1] = 1000 + np.arange(n) % 7
    found = statistics_of(X, X[:, :1], NO_GROUPS, max_lag=3, decay=0.0, n_threads=2)
    expected = np.empty((4, 2))
    for j in range(2):
        x = X[:, j].astype(np.float64)
        x -= x.mean()
        expected[:, j] = [(x[lag:] @ x[: n - lag]) / n for lag in range(4)]
    error = np.abs(found.autocovariance - expected) / expected[0]
    assert error.max() <= COVARIANCE_TOLERANCE
    # The column is its own target: the same sums by another kernel.
    np.testing.assert_allclose(found.cross_covariance[:, 0, 0], expected[:, 0], rtol=1e-9)
    np.testing.assert_allclose(found.smooth_variance, expected[0], rtol=COVARIANCE_TOLERANCE)
    assert not found.residual_variance.any()


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("shape", [(40000, 3), (20000, 40), (100, 200)])
def test_any_number_of_threads_gives_the_same_bits(shape, isa):
    rng = np.random.default_rng(4)
    X = rng.standard_normal(shape).astype(np.float32)
    target = rng.standard_normal((shape[0], 2))
    starts = random_starts(rng, shape[0], 9)
    found = {
        as_bytes(statistics_of(X, target, starts, max_lag=8, decay=DECAY, n_threads=n_threads, isa=isa))
        for n_threads in (1, 2, 3, 4, 8)
    }
    assert len(found) == 1


def strided(X):
    return np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3]


def field_of_packed_records(X):
    records = np.zeros(X.shape[0], dtype=[("a", "i1"), ("b", X.dtype, X.shape[1])])
    records["b"] = X
    return records["b"]


LAYOUTS = {
    "fortran": np.asfortranarray,
    "strided": strided,
    "reversed": lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
    "window of a wider table": lambda X: np.hstack([X, X, X])[:, X.shape[1] : 2 * X.shape[1]],
    "field of packed records": field_of_packed_records,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("n_features", [16, 21])
def test_memory_layout_does_not_change_a_bit(layout, n_features):
    rng = np.random.default_rng(5)
    X = rng.standard_normal((9000, n_features)).astype(np.float32)
    target = rng.standard_normal((9000, 2))
    other, other_target = LAYOUTS[layout](X), LAYOUTS[layout](target)
    assert other.strides != X.strides
    options = {"max_lag": 5, "decay": DECAY, "n_threads": 1}
    expected = statistics_of(X, target, NO_GROUPS, **options)
    found = statistics_of(other, other_target, NO_GROUPS, **options)
    assert as_bytes(found) == as_bytes(expected)


@pytest.mark.parametrize("order", ["C", "F"])
def test_read_only_memory_map_is_not_copied(tmp_path, order):
    shape = (200_000, 50)
    path = tmp_path / "table.npy"
    X = np.lib.format.open_memmap(path, "w+", np.float32, shape, fortran_order=order == "F")
    X[:] = np.random.default_rng(6).standard_normal(shape, dtype=np.float32)
    options = {"max_lag": 31, "decay": DECAY, "n_threads": 2}
    expected = as_bytes(statistics_of(X, X[:, :1], NO_GROUPS, **options))
    X.flush()
    X = np.load(path, mmap_mode="r")
    tracemalloc.start()
    found = statistics_of(X, X[:, :1], NO_GROUPS, **options)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert as_bytes(found) == expected
    assert peak < 0.2 * X.nbytes  # sums of the tasks and one target in double precision


def test_memory_does_not_grow_with_the_table():
    peaks = []
    for n in (1_200_000, 4_800_000):
        X = np.broadcast_to(np.ones(20, dtype=np.float32), (n, 20))  # rows without memory
        tracemalloc.start()
        statistics_of(X, None, NO_GROUPS, max_lag=7, decay=DECAY, n_threads=2)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.05 * peaks[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_shows_in_its_column_only(bad, dtype):
    X = np.random.default_rng(7).standard_normal((3001, 20)).astype(dtype)
    for row in (0, 1500, 3000):
        spoilt = X.copy()
        spoilt[row, 11] = bad
        found = statistics_of(spoilt, None, NO_GROUPS, max_lag=3, decay=DECAY, n_threads=1)
        finite = np.isfinite(found.autocovariance[0])
        assert not finite[11]
        assert finite.sum() == 19


@pytest.mark.parametrize("isa", available_isas())
def test_class_numbers_equal_their_indicator_columns(isa):
    rng = np.random.default_rng(8)
    X = rng.standard_normal((9000, 17))
    codes = rng.integers(0, 4, 9000)
    starts = random_starts(rng, 9000, 5)
    options = {"max_lag": 6, "decay": DECAY, "n_threads": 1, "isa": isa}
    found = statistics_of(X, codes, starts, **options)
    indicators = (codes[:, None] == np.arange(4)).astype(np.float64)
    assert_close(found, statistics_of(X, indicators, starts, **options), tolerance=1e-13)
    assert_close(found, statistics_by_numpy(X, indicators, starts, 6, DECAY))


@pytest.mark.parametrize("n_targets", [0, 1, 5, 40])
def test_every_number_of_targets(n_targets):
    rng = np.random.default_rng(9)
    X = rng.standard_normal((700, 3))
    target = rng.standard_normal((700, n_targets)).astype(np.float32)
    starts = random_starts(rng, 700, 3)
    found = statistics_of(X, target, starts, max_lag=4, decay=DECAY, n_threads=2)
    assert_close(found, statistics_by_numpy(X, target, starts, 4, DECAY))


def test_no_target_changes_nothing_else():
    rng = np.random.default_rng(10)
    X = rng.standard_normal((700, 3))
    options = {"max_lag": 4, "decay": DECAY, "n_threads": 1}
    without = statistics_of(X, None, NO_GROUPS, **options)
    with_target = statistics_of(X, X[:, :1], NO_GROUPS, **options)
    assert without.cross_covariance.shape == (5, 0, 3)
    assert as_bytes(without[:5]) == as_bytes(with_target[:5])


@pytest.mark.parametrize("blocks", [[0, 5], [1, 6], [0, 7], [0, 4, 3, 6], [0, 3, 3, 6]])
def test_blocks_that_leave_the_table_are_refused(blocks):
    with pytest.raises(ValueError, match="blocks must rise from 0 to the number of rows"):
        column_statistics(np.ones((6, 2)), None, blocks, max_lag=1, decay=0.5, n_threads=1)
