"""Sums of products of windows, and the ridge regression that they determine, against plain NumPy."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklstm._kernels import available_isas
from sklstm._kernels.linear._normal_equations import NormalEquations

pytestmark = pytest.mark.isa

# Windows, rows of a window, columns, targets; which columns are relative to the last row.
RUNS = [
    (1, 1, 1, 1, [0]),
    (1, 4, 2, 1, [1, 0]),
    (50, 5, 3, 2, [0, 0, 0]),
    (200, 20, 7, 3, [1, 0, 1, 1, 1, 0, 1]),
    (300, 130, 1, 1, [1]),
    (500, 40, 5, 20, [1, 1, 1, 1, 1]),
    (131, 97, 2, 17, [0, 1]),
]


def draw(n, n_steps, n_features, n_targets, relative):
    rng = np.random.default_rng(n)
    rows, targets = rng.normal(size=(n + n_steps - 1, n_features)).cumsum(axis=0), rng.normal(size=(n, n_targets))
    windows = np.lib.stride_tricks.sliding_window_view(rows, n_steps, axis=0).transpose(0, 2, 1)
    windows = windows - windows[:, -1:] * np.array(relative)
    return rows, targets, np.array(relative, np.uint8), windows.reshape(n, -1)


def rows_of(equations, windows, targets):
    rows = np.zeros((len(windows), equations.stride))
    rows[:, : windows.shape[1]] = windows
    rows[:, equations.n_padded :][:, : targets.shape[1]] = targets
    return rows


@pytest.mark.parametrize("case", RUNS, ids=str)
def test_a_run_has_the_products_of_its_windows(case):
    rows, targets, relative, windows = draw(*case)
    equations = NormalEquations(windows.shape[1], targets.shape[1], 1)
    for weight in (0.7, 0.3):
        equations.add_run(rows, targets, weight, relative)
    expected = windows.T @ windows
    close = {"rtol": 1e-9, "atol": 1e-11 * np.abs(expected).max()}
    assert_allclose(equations.matrix(), expected, **close)
    assert_allclose(equations.diagonal(), np.diag(expected), **close)
    for k, column in enumerate(targets.T):
        assert_allclose(equations.products_with(k), windows.T @ column, **close)


@pytest.mark.parametrize("case", RUNS, ids=str)
def test_windows_one_by_one_have_the_same(case):
    _, targets, _, windows = draw(*case)
    equations = NormalEquations(windows.shape[1], targets.shape[1], 1)
    rows = rows_of(equations, windows, targets)
    equations.add(rows)
    kept = equations.copy()
    assert_allclose(equations.matrix(), windows.T @ windows, rtol=1e-10, atol=1e-9)
    equations.add(rows[:1], -rows[:1])
    assert_allclose(equations.matrix(), windows[1:].T @ windows[1:], rtol=1e-9, atol=1e-8)
    equations.restore(kept)
    assert_allclose(equations.matrix(), windows.T @ windows, rtol=1e-10, atol=1e-9)
    equations.clear()
    assert not equations.matrix().any()


@pytest.mark.parametrize("case", RUNS, ids=str)
@pytest.mark.parametrize("penalty", [0.5, 30.0])
def test_the_solution_is_that_of_lapack(case, penalty):
    _, targets, _, windows = draw(*case)
    equations = NormalEquations(windows.shape[1], targets.shape[1], 1)
    equations.add(rows_of(equations, windows, targets))
    matrix, products = windows.T @ windows + penalty * np.eye(windows.shape[1]), windows.T @ targets
    assert equations.factorize(penalty)
    assert_allclose(equations.solve(), np.linalg.solve(matrix, products).T, rtol=1e-7, atol=1e-10)
    factor = np.linalg.cholesky(matrix)
    for k in range(targets.shape[1]):
        assert_allclose(equations.factor_of(k), np.linalg.solve(factor, products[:, k]), rtol=1e-6, atol=1e-8)


def test_further_right_hand_sides():
    _, targets, _, windows = draw(*RUNS[2])
    equations = NormalEquations(15, 2 + 15, 1)
    equations.add(rows_of(equations, windows, targets))
    products = equations.targets()
    assert_allclose(products[:2], targets.T @ windows, atol=1e-9)
    assert not products[2:].any()
    products[2:] = np.eye(15)
    equations.set_targets(products)
    assert equations.factorize(1.0)
    inverse = np.linalg.inv(windows.T @ windows + np.eye(15))
    assert_allclose(equations.solve()[2:], inverse, rtol=1e-8, atol=1e-12)


def test_the_same_bits_for_any_number_of_threads():
    rows, targets, relative, windows = draw(700, 60, 4, 5, [1, 0, 1, 1])
    found = []
    for n_threads in (1, 2, 3, 8):
        equations = NormalEquations(windows.shape[1], 5, n_threads)
        equations.add_run(rows, targets, 1.0, relative)
        equations.add(rows_of(equations, windows, targets))
        assert equations.factorize(2.0)
        found.append(equations.solve())
    for other in found[1:]:
        assert_array_equal(other, found[0])


@pytest.mark.every_isa
def test_all_instruction_sets_agree():
    rows, targets, relative, windows = draw(*RUNS[3])
    found = []
    for isa in available_isas():
        equations = NormalEquations(windows.shape[1], targets.shape[1], 2, isa)
        equations.add_run(rows, targets, 1.0, relative)
        assert equations.factorize(1.0)
        found.append(equations.solve())
    for other in found[1:]:
        assert_allclose(other, found[0], rtol=1e-9, atol=1e-12)


def test_a_singular_matrix_is_told():
    equations = NormalEquations(3, 1, 1)
    row = rows_of(equations, np.ones((1, 3)), np.ones((1, 1)))
    equations.add(row)
    assert not equations.factorize(0.0)
    equations.clear()
    equations.add(row)
    assert equations.factorize(1.0)


def test_wrong_shapes_are_refused():
    equations = NormalEquations(6, 1, 1)
    with pytest.raises(ValueError, match="are not those of windows of 6 numbers and up to 1 targets"):
        equations.add_run(np.zeros((10, 2)), np.zeros((9, 1)), 1.0, np.zeros(2, np.uint8))
    with pytest.raises(ValueError, match="are not those of windows"):
        equations.add_run(np.zeros((10, 2)), np.zeros((8, 2)), 1.0, np.zeros(2, np.uint8))
    with pytest.raises(ValueError, match=r"expected products of shape \(1, 6\), got \(2, 6\)"):
        equations.set_targets(np.zeros((2, 6)))
    with pytest.raises(ValueError, match="expected a contiguous float64 array"):
        equations.add_run(np.zeros((10, 2), np.float32), np.zeros((8, 1)), 1.0, np.zeros(2, np.uint8))
