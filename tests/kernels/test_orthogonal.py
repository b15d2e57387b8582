"""Random orthogonal matrices by the package's own products."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklstm._kernels import available_isas
from sklstm._kernels.network._orthogonal import fill_orthogonal

SHAPES = [(1, 1), (2, 2), (5, 3), (17, 1), (32, 32), (33, 33), (64, 31), (70, 65), (130, 130)]
BLOCK = 32


def draw(shape, seed=0, dtype=np.float64, **options):
    out = np.full(shape, np.nan, dtype)
    fill_orthogonal(np.random.default_rng(seed), out, options.pop("n_threads", 1), **options)
    return out


def reference(shape, seed=0):
    """Multiply the reflections one by one: H = I - 2 u u^T takes x to an axis, its column is x / |x|."""
    (n_rows, n_columns), rng = shape, np.random.default_rng(seed)
    q = np.eye(n_rows, n_columns)
    for first in reversed(range(0, n_columns, BLOCK)):
        drawn = rng.standard_normal((n_rows - first, BLOCK))
        for j in reversed(range(first, min(first + BLOCK, n_columns))):
            x = drawn[j - first :, j - first]
            sign = 1.0 if x[0] >= 0 else -1.0
            u = x.copy()
            u[0] += sign * np.linalg.norm(x)
            u /= np.linalg.norm(u)
            q[j, j] = -sign
            q[j:] -= 2 * np.outer(u, u @ q[j:])
    return q


@pytest.mark.isa
@pytest.mark.parametrize("shape", SHAPES)
def test_columns_are_orthonormal_and_those_of_the_reflections(shape):
    found = draw(shape)
    assert_allclose(found.T @ found, np.eye(shape[1]), atol=1e-14)
    assert_allclose(found, reference(shape), atol=1e-14)


def test_float32_is_rounded_at_the_end():
    for shape in SHAPES:
        assert_array_equal(draw(shape, dtype=np.float32), draw(shape).astype(np.float32), strict=True)


@pytest.mark.isa
def test_the_same_bits_for_any_number_of_threads():
    expected = draw((400, 400))
    for n_threads in (2, 3, 8):
        assert_array_equal(draw((400, 400), n_threads=n_threads), expected)


@pytest.mark.every_isa
def test_instruction_sets_with_a_joined_product_agree():
    """Every number is summed in one order, whatever the width of a vector."""
    expected = draw((70, 65), isa=available_isas()[-1])
    for isa in available_isas():
        found = draw((70, 65), isa=isa)
        assert_allclose(found, expected, atol=1e-14)
        if isa != "baseline":
            assert_array_equal(found, expected)


def test_all_orthogonal_matrices_are_equally_likely():
    """Each entry has mean 0 and variance 1/n; the determinants of both signs are as frequent as each other."""
    rng, n = np.random.default_rng(3), 3
    found = np.empty((4000, n, n))
    for matrix in found:
        fill_orthogonal(rng, matrix, 1)
    assert (np.abs(found.mean(axis=0)) < 4.5 / np.sqrt(n * len(found))).all()
    assert (np.abs((found**2).mean(axis=0) - 1 / n) < 0.025).all()
    assert abs(np.linalg.det(found).mean()) < 4.5 / np.sqrt(len(found))
    # The sum over an orthogonal matrix' squared diagonal tells a wrong sign of columns: E[trace^2] = 1.
    assert abs((np.trace(found, axis1=1, axis2=2) ** 2).mean() - 1) < 0.12


def test_more_columns_than_rows_are_refused():
    with pytest.raises(ValueError, match="at most as many columns as rows"):
        draw((3, 4))


@pytest.mark.skipif(sys.platform == "win32", reason="timers that raise signals are POSIX")
@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_signal_ends_a_large_one(n_threads):
    """2,600 columns take half a second and more; the answer must not wait for them."""

    class Answer(Exception):
        pass

    rung = []

    def answer(number, frame):
        rung.append(time.perf_counter())
        raise Answer

    before = signal.signal(signal.SIGALRM, answer)
    out, due = np.empty((2600, 2600), np.float32), time.perf_counter() + 0.1
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(Answer):
            fill_orthogonal(np.random.default_rng(0), out, n_threads)
        ended = time.perf_counter()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert rung[0] - due < 0.2
    assert ended - rung[0] < 0.1


STATE = """
import numpy as np, sys
import threadpoolctl
class Refused:
    def __init__(self, *args, **kwargs):
        raise AssertionError("the limit of a library of the process was changed")
threadpoolctl.threadpool_limits = Refused
np.linalg.qr = Refused
from sklstm import DeepLSTMRegressor
X = np.random.default_rng(0).normal(size=(30, 3))
DeepLSTMRegressor(hidden_size=4, n_layers=2, max_iter=1, random_state=0).fit(X, X[:, 0])
print("fitted")
"""


def test_a_fit_touches_no_state_of_the_process():
    """The limit of BLAS is one number for all threads: saved and put back by several of them, it stays changed."""
    run = subprocess.run([sys.executable, "-c", STATE], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "fitted\n"), run.stderr


SEARCH = """
import joblib, numpy as np
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from threadpoolctl import threadpool_info
from sklstm import DeepLSTMRegressor
X = np.random.default_rng(0).normal(size=(60, 3))
def widths():
    return sorted((one["user_api"], one["num_threads"]) for one in threadpool_info())
X[:8].T @ X[:8]
before = widths()
model = DeepLSTMRegressor(hidden_size=4, n_layers=3, max_iter=1, random_state=0)
grid = {"learning_rate_init": np.geomspace(1e-3, 1e-2, 8)}
with joblib.parallel_backend("threading", n_jobs=6):
    GridSearchCV(model, grid, cv=TimeSeriesSplit(3)).fit(X, X[:, 0])
after = widths()
assert after == before, (before, after)
"""


def test_a_search_in_threads_leaves_the_libraries_as_they_were():
    run = subprocess.run([sys.executable, "-c", SEARCH], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
