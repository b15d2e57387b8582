"""Weighted mean and deviation of the columns, against exact sums."""

import tracemalloc
from fractions import Fraction
from math import fsum, sqrt

import numpy as np
import pytest

from sklstm._kernels import available_isas
from sklstm._kernels.columns._column_statistics import column_moments


def moments_by_loops(x, weights):
    """Two passes over one column with exact sums."""
    total = fsum(weights)
    mean = float(sum(Fraction(w) * Fraction(v) for w, v in zip(weights, x, strict=True)) / Fraction(total))
    square = sum(Fraction(w) * (Fraction(v) - Fraction(mean)) ** 2 for w, v in zip(weights, x, strict=True))
    return mean, sqrt(square / Fraction(total))


def assert_same_bits(found, expected):
    for name, one, other in zip(found._fields, found, expected, strict=True):
        assert one.tobytes() == other.tobytes(), name


def layouts(X):
    """The same numbers in every memory layout, the last one without natural alignment."""
    record = np.zeros(X.shape, dtype=[("flag", "i1"), ("x", X.dtype)])
    record["x"] = X
    wide = np.zeros((2 * X.shape[0], 3 * X.shape[1] + 1), dtype=X.dtype)
    wide[::2, 1::3] = X
    backwards = np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1]
    read_only = X.copy()
    read_only.flags.writeable = False
    return {
        "C": X,
        "F": np.asfortranarray(X),
        "strided": wide[::2, 1::3],
        "backwards": backwards,
        "read-only": read_only,
        "packed records": record["x"],
    }


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "p"), [(1, 1), (2, 17), (127, 3), (129, 16), (300, 33)])
def test_moments_equal_exact_sums(n, p, dtype, isa):
    rng = np.random.default_rng(n)
    X = (rng.standard_normal((n, p)) * 10.0 ** rng.integers(-3, 4, p) + rng.integers(-5, 6, p)).astype(dtype)
    for weights in (None, rng.uniform(0.1, 3.0, n), rng.integers(0, 3, n) + np.eye(1, n)[0]):
        found = column_moments(X, weights, n_threads=2, isa=isa)
        used = np.ones(n) if weights is None else weights
        for j in range(p):
            mean, deviation = moments_by_loops(X[:, j].tolist(), used.tolist())
            scale = np.abs(X[:, j]).max()
            assert abs(found.mean[j] - mean) <= 4e-16 * scale
            assert abs(found.deviation[j] - deviation) <= 1e-14 * deviation + 1e-16 * scale
        np.testing.assert_array_equal(found.minimum, X[used > 0].min(axis=0))
        np.testing.assert_array_equal(found.maximum, X[used > 0].max(axis=0))


def test_a_large_mean_and_unequal_weights_cost_no_digits():
    # Rows of tiny weight far away from the heavy ones: a first estimate of the mean from the rows would be useless.
    rng = np.random.default_rng(0)
    X = 1e8 + rng.standard_normal((40_000, 2))
    X[:30_000] -= 1e8
    weights = np.where(np.arange(40_000) < 30_000, 1e-40, 1.0)
    found = column_moments(X, weights, n_threads=2)
    heavy = X[30_000:] - 1e8
    np.testing.assert_allclose(found.mean - 1e8, heavy.mean(axis=0), atol=1e-7)  # 1e8 itself has 1.5e-8
    np.testing.assert_allclose(found.deviation, heavy.std(axis=0), rtol=1e-10)


@pytest.mark.parametrize("n_threads", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_same_bits_for_any_number_of_threads_and_any_layout(n_threads, dtype):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((20_000, 20)).astype(dtype)
    weights = rng.uniform(0.0, 1.0, 20_000)
    expected = column_moments(X, weights, n_threads=1)
    for name, same in layouts(X).items():
        assert (same == X).all(), name
        assert_same_bits(column_moments(same, weights, n_threads=n_threads), expected)


def test_rows_of_weight_zero_are_not_there():
    rng = np.random.default_rng(2)
    X = rng.standard_normal((30_000, 5))
    weights = rng.uniform(0.5, 1.0, 30_000) * (rng.random(30_000) < 0.3)
    there = weights > 0
    X[~there] = [np.nan, np.inf, 1e300, -1e300, 0.0]
    found = column_moments(X, weights, n_threads=2)
    assert_same_bits(found, column_moments(X[there], weights[there], n_threads=2))


@pytest.mark.parametrize("weight", [0.3, 1e-322, 1e306])
def test_equal_weights_are_no_weights(weight):
    X = np.random.default_rng(3).standard_normal((9000, 3))
    found = column_moments(X, np.full(9000, weight), n_threads=2)
    assert_same_bits(found, column_moments(X, n_threads=2))
    mixed = np.where(np.arange(9000) % 2, weight, 3 * weight)
    found = column_moments(X, mixed, n_threads=2)
    np.testing.assert_allclose(found.mean, np.average(X, axis=0, weights=mixed / weight), rtol=1e-9)


@pytest.mark.parametrize("value", [0.1, 1e-300, 5e-324, 1e300, -1.7e308, 16777217.3])
def test_a_constant_column_is_exactly_that(value):
    X = np.full((20_001, 1), value)
    weights = np.random.default_rng(4).uniform(0.1, 1.0, 20_001)
    for given in (None, weights):
        found = column_moments(X, given, n_threads=2)
        assert [part.tolist() for part in found] == [[value], [0.0], [value], [value]]


@pytest.mark.parametrize("unit", [1e-320, 1e-307, 1e-200, 1e-150, 1e153, 1e154, 1e300, 8e307])
def test_numbers_whose_squares_leave_the_range(unit):
    rng = np.random.default_rng(5)
    X = np.column_stack([np.sin(np.arange(10_000.0)), rng.standard_normal(10_000)])
    expected = column_moments(np.round(X * 100) / 100, n_threads=1)
    table = X.copy()
    table[:, 0] = np.round(X[:, 0] * 100) / 100 * unit
    found = column_moments(table, n_threads=2)
    tolerance = max(1e-12, 5e-324 / unit)
    np.testing.assert_allclose(found.mean[0] / unit, expected.mean[0], atol=tolerance)
    np.testing.assert_allclose(found.deviation[0] / unit, expected.deviation[0], rtol=tolerance)
    # The column beside it is not touched.
    assert found.deviation[1] == column_moments(X, n_threads=1).deviation[1]


def test_what_is_not_finite_shows():
    X = np.ones((300, 3))
    X[7, 0], X[8, 1] = np.nan, np.inf
    found = column_moments(X, n_threads=1)
    assert np.isfinite(found.mean).tolist() == [False, False, True]
    assert np.isfinite(found.deviation).tolist() == [False, False, True]


def test_the_table_is_not_copied():
    X = np.zeros((200_000, 24), dtype=np.float32)
    for table in (X, np.asfortranarray(X), X[::-1]):
        column_moments(table, n_threads=2)
        tracemalloc.start()
        column_moments(table, n_threads=2)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1e6


@pytest.mark.parametrize(
    "weights", [np.zeros(5), np.ones(4), np.ones((5, 1)), [1, 1, -1, 1, 1], [1, np.nan, 1, 1, 1], [1, np.inf, 1, 1, 1]]
)
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(ValueError, match="weights must"):
        column_moments(np.zeros((5, 2)), np.asarray(weights), n_threads=1)
