"""Initial values of the cells with many states, and what is refused as a size of theirs."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit

from sklstm._network.architecture import Architecture
from sklstm._network.cells import CELLS
from sklstm._network.parameters import ParameterLayout
from sklstm._network.state_spaces import frequencies


def views(cell, hidden, numbers=()):
    layout = ParameterLayout(3, (hidden,), 1, cell=cell, cell_numbers=numbers)
    found = layout.views(layout.initial(np.random.default_rng(0), "float64"))
    return {name.removesuffix("_l0"): view for name, view in found.items()}


def test_legs_are_eigenvalues_of_hippo():
    """The HiPPO-LegS matrix and a rank of one, ``A + P P^T`` with ``P_k = sqrt(k + 1/2)``, is normal."""
    order = np.arange(8)
    root = np.sqrt(2.0 * order + 1.0)
    hippo = -np.tril(np.outer(root, root), -1) - np.diag(order + 1.0)
    eigenvalues = np.linalg.eigvals(hippo + np.outer(root, root) / 2.0)
    assert_allclose(eigenvalues.real, -0.5, atol=1e-12)
    assert_allclose(frequencies(0, 4), np.sort(eigenvalues.imag)[4:], rtol=1e-12)


def test_other_frequencies():
    assert_allclose(frequencies(1, 4), np.pi * np.array([0.0, 1.0, 2.0, 3.0]))
    # N / pi (N / (2 n + 1) - 1), N = 8
    assert_allclose(frequencies(2, 4), 8.0 / np.pi * (8.0 / np.array([1.0, 3.0, 5.0, 7.0]) - 1.0))


@pytest.mark.parametrize("start", range(3))
def test_s4d_and_s5_start_at_the_same_eigenvalues(start):
    s4d, s5 = views("s4d", 5, (4, 0, start)), views("s5", 9, (0, start))
    assert_allclose(s4d["weight_a_im"], np.repeat(frequencies(start, 4)[:, np.newaxis], 5, axis=1))
    assert_allclose(s5["weight_lambda"][0], [*np.log(np.full(4, 0.5)), *frequencies(start, 4), np.log(0.5)])
    for log_steps in (s4d["weight_log_dt"], s5["weight_lambda"][1]):
        assert np.log(1e-3) <= log_steps.min() < log_steps.max() <= np.log(1e-1)


def test_lru_starts_in_a_ring():
    log_lambda, log_gamma = views("lru", 2001, (800_000, 900_000, 250_000))["weight_lambda"]
    size, angle = np.exp(-np.exp(log_lambda[:1000])), np.exp(log_lambda[1000:2000])
    assert 0.8 <= size.min() < 0.802
    assert 0.898 < size.max() <= 0.9
    # uniform by area
    assert_allclose(np.mean(size**2), (0.8**2 + 0.9**2) / 2.0, rtol=5e-3)
    assert 0.0 <= angle.min() < 0.01
    assert np.pi / 2.0 - 0.01 < angle.max() <= np.pi / 2.0
    assert_allclose(np.exp(log_gamma[:1000]), np.sqrt(1.0 - size**2), rtol=1e-9)
    assert_allclose(log_gamma[1000:2000], log_gamma[:1000])


@pytest.mark.parametrize("turn", [0, 1])
def test_lru_starts_finite_at_the_real_axis(turn):
    log_lambda = views("lru", 9, (0, 1_000_000, turn))["weight_lambda"][0]
    assert np.isfinite(log_lambda).all()
    assert (np.exp(log_lambda[4:8]) < 2.0 * np.pi * 1e-6).all()


def test_mamba_starts_as_published():
    found = views("mamba", 50, (3, 2))
    assert_allclose(np.exp(found["weight_log_a"]), np.repeat([[1.0], [2.0], [3.0]], 50, axis=1))
    steps = np.log1p(np.exp(found["bias_dt"]))
    assert 1e-3 <= steps.min() < steps.max() <= 1e-1
    assert (found["weight_d"] == 1.0).all()
    assert found["weight_x"].shape == (8, 50)
    assert 0.9 / np.sqrt(2.0) < np.abs(found["weight_dt"]).max() <= 1.0 / np.sqrt(2.0)


def test_rwkv_starts_as_published():
    found = views("rwkv", 9)
    assert_allclose(found["weight_time_decay"][0, [0, 8]], [-5.0, 3.0])
    assert (np.diff(found["weight_time_decay"]) > 0).all()
    assert_allclose(expit(found["weight_time_first"] - np.log(0.3)).max(), expit(0.5))


@pytest.mark.parametrize("cell", [name for name, cell in CELLS.items() if cell.numbers])
def test_sizes_beyond_their_bounds_are_refused(cell):
    """A file could ask for them, and kernels have arrays of so many numbers."""
    entry = CELLS[cell]
    for k, (least, most) in enumerate(entry.bounds):
        for bad in (least - 1, most + 1):
            numbers = (*entry.numbers[:k], bad, *entry.numbers[k + 1 :])
            with pytest.raises(ValueError, match="cell_numbers="):
                Architecture(1, (4,), 1, cell=cell, cell_numbers=numbers)
    with pytest.raises(ValueError, match=f"expected {len(entry.numbers)} for the cell '{cell}'"):
        Architecture(1, (4,), 1, cell=cell, cell_numbers=(*entry.numbers, 1))
