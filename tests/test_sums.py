"""Sums of ten million float32 numbers, where adding one after the other in float32 goes wrong.

The numbers repeat, so that their sums are known exactly.
"""

from fractions import Fraction
from operator import mul
from types import SimpleNamespace

import numpy as np
import pytest
from kernels.test_losses import evaluate_batch
from numpy.testing import assert_allclose
from training.test_loop import SETTINGS

from sklstm._kernels.optim._updates import squared_norm
from sklstm._scaling import column_scales
from sklstm._training.loop import Samples
from sklstm._training.losses import LOSSES, mean_loss
from sklstm._training.passes import WindowPasses

N = 10_000_000
VALUES = np.array([0.1, 0.3, 0.7, 1.7], np.float32)
EXACT = [Fraction(float(value)) for value in VALUES]


@pytest.fixture(scope="module")
def terms():
    return np.tile(VALUES, N // 4)


def exact_sum(function):
    return float(N // 4 * sum(map(function, EXACT)))


def naive_error(array, expected):
    """How far off the float32 sum is whose terms are added one by one."""
    return abs(float(np.cumsum(array, dtype=np.float32)[-1]) / expected - 1)


def test_weights(terms):
    samples, network = Samples(None, None, terms), SimpleNamespace(weights=None)
    expected = exact_sum(lambda v: v)
    assert naive_error(terms, expected) > 1e-3
    assert_allclose(WindowPasses(network, samples, SETTINGS)._mean_weight * N, expected, rtol=1e-14)


def test_squared_norm(terms):
    expected = exact_sum(lambda v: v * v)
    assert naive_error(terms * terms, expected) > 1e-3
    assert_allclose(squared_norm(terms, 2), expected, rtol=1e-13)


def test_loss_of_the_validation_part(terms):
    expected = exact_sum(lambda v: v * v / 2)
    assert naive_error(0.5 * terms * terms, expected) > 1e-3
    found = mean_loss(LOSSES["squared"], terms.reshape(-1, 4), np.zeros((N // 4, 4), np.float32), np.ones(N // 4))
    assert_allclose(found * N, expected, rtol=1e-13)


def test_loss_of_the_kernel(terms):
    """One batch of a million samples with ten outputs, all of them 0."""
    expected = exact_sum(lambda v: v * v / 2)
    found = evaluate_batch("squared", terms.reshape(-1, 10))
    assert naive_error(0.5 * terms * terms, expected) > 1e-3
    assert_allclose(found * 10, expected, rtol=1e-12)


def test_mean_and_scale_of_a_column(terms):
    """In columns, where NumPy would add row after row; far from zero, with weights that repeat as well."""
    y = (np.float32(1000) + terms).reshape(-1, 2)
    weights = np.tile(VALUES[:2], len(y) // 2)
    means, scales = column_scales(y, weights.astype(np.float64))
    for column in range(2):
        values = [Fraction(float(np.float32(1000) + value)) for value in VALUES[column::2]]
        mean = sum(map(mul, EXACT, values)) / sum(EXACT[:2])
        variance = sum(map(mul, EXACT, [(value - mean) ** 2 for value in values])) / sum(EXACT[:2])
        assert naive_error(weights * y[:, column], float(mean) * weights.sum(dtype=np.float64)) > 1e-3
        assert_allclose(means[column], float(mean), rtol=1e-15)
        assert_allclose(scales[column], float(variance) ** 0.5, rtol=1e-12)
