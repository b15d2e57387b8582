"""The fixed matrices of Legendre memory units, and how they reach the kernels."""

import numpy as np
import pytest
from network.options_case import OptionsCase
from numpy.testing import assert_allclose, assert_array_equal
from reference.cells.lmu import legendre_matrices

from sklstm._kernels import available_isas
from sklstm._network.legendre import legendre_memory


@pytest.mark.parametrize(("order", "theta"), [(1, 1), (2, 3), (6, 10), (16, 32), (64, 16), (64, 784), (8, 1_000_000)])
def test_matrices_are_those_of_scipy(order, theta):
    found = legendre_memory(order, theta)
    a, b = legendre_matrices(order, theta)
    assert_allclose(found[: order * order].reshape(order, order), a, rtol=1e-11, atol=1e-12)
    assert_allclose(found[order * order :], b, rtol=1e-11, atol=1e-12)
    # The memory forgets.
    assert np.abs(np.linalg.eigvals(found[: order * order].reshape(order, order))).max() < 1
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 0.0


@pytest.mark.every_isa
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_networks_of_different_windows_differ(dtype):
    """Each network has matrices of its own, whatever others were made before or after it."""
    cases = [
        OptionsCase(available_isas()[-1], (5, 4), seed=2, cell="lmu", cell_numbers=(4, theta), dtype=dtype)
        for theta in (3, 50, 3)
    ]
    first, second, third = (case.forward()[0] for case in cases)
    assert_array_equal(first, third)
    assert not np.allclose(first, second)
