"""How many threads: the environment, n_jobs, threadpoolctl."""

import os
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
import threadpoolctl

from sklstm._kernels.core import _pool
from sklstm._kernels.core._pool import (
    MAX_THREADS,
    get_num_threads,
    resolve_num_threads,
    set_num_threads,
)
from sklstm._kernels.core.threadpool import default_num_threads


@pytest.fixture(autouse=True)
def _restore_width():
    before = get_num_threads()
    yield
    set_num_threads(before)


def run_python(code, **variables):
    """Run ``code`` in a fresh interpreter with no thread variables but ``variables``."""
    environ = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environ | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"SKLSTM_NUM_THREADS": "3"}, 3),
        ({"SKLSTM_NUM_THREADS": " 3 ", "OMP_NUM_THREADS": "5"}, 3),
        ({"SKLSTM_NUM_THREADS": "", "OMP_NUM_THREADS": "5"}, 5),
        ({"OMP_NUM_THREADS": "5"}, 5),
        ({"OMP_NUM_THREADS": "4,2"}, 4),
        ({"OMP_NUM_THREADS": "many"}, joblib.cpu_count()),
        ({"OMP_NUM_THREADS": "0"}, joblib.cpu_count()),
        ({"OMP_NUM_THREADS": "-2"}, joblib.cpu_count()),
        ({"OMP_NUM_THREADS": ""}, joblib.cpu_count()),
        ({}, joblib.cpu_count()),
    ],
)
def test_default_num_threads(environ, expected):
    assert default_num_threads(environ) == expected


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "4,2"])
def test_default_num_threads_rejects(value):
    with pytest.raises(ValueError, match=f"SKLSTM_NUM_THREADS must be .* got '{value}'"):
        default_num_threads({"SKLSTM_NUM_THREADS": value, "OMP_NUM_THREADS": "2"})


def test_environment_is_read_once_at_import():
    code = (
        "import os\n"
        "from sklstm._kernels.core._pool import get_num_threads, resolve_num_threads\n"
        "os.environ['SKLSTM_NUM_THREADS'] = '9'\n"
        "print(get_num_threads(), resolve_num_threads(None))\n"
    )
    result = run_python(code, SKLSTM_NUM_THREADS="5", OMP_NUM_THREADS="7")
    assert (result.stdout, result.stderr) == ("5 5\n", "")


def test_bad_environment_stops_the_import():
    result = run_python("import sklstm._kernels.core._pool", SKLSTM_NUM_THREADS="all")
    assert result.returncode != 0
    assert "ValueError: The environment variable SKLSTM_NUM_THREADS" in result.stderr


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cannot bind itself to a core")
def test_default_obeys_affinity():
    code = (
        "import os\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from sklstm._kernels.core._pool import get_num_threads\n"
        "print(get_num_threads())\n"
    )
    result = run_python(code)
    assert (result.stdout, result.stderr) == ("1\n", "")


@pytest.mark.parametrize(
    ("n_jobs", "expected"),
    [
        (None, 3),
        (1, 1),
        (5, 5),
        (100, 100),
        (MAX_THREADS + 1, MAX_THREADS),
        (np.int32(2), 2),
        (-1, 8),
        (-2, 7),
        (-8, 1),
        (-9, 1),
        (-100, 1),
    ],
)
def test_resolve_num_threads(monkeypatch, n_jobs, expected):
    monkeypatch.setattr(_pool, "cpu_count", lambda: 8)
    set_num_threads(3)
    resolved = resolve_num_threads(n_jobs)
    assert resolved == expected
    assert type(resolved) is int


@pytest.mark.parametrize(
    ("n_jobs", "error", "message"),
    [
        (0, ValueError, "n_jobs=0"),
        (1.5, TypeError, "n_jobs must be an integer, got 1.5"),
        ("2", TypeError, "n_jobs must be an integer, got '2'"),
        (True, TypeError, "n_jobs must be an integer, got True"),
    ],
)
def test_resolve_num_threads_rejects(n_jobs, error, message):
    with pytest.raises(error, match=message):
        resolve_num_threads(n_jobs)


def test_set_num_threads():
    for n_threads, expected in [(1, 1), (7, 7), (MAX_THREADS, MAX_THREADS), (10**30, MAX_THREADS)]:
        set_num_threads(n_threads)
        assert get_num_threads() == expected


@pytest.mark.parametrize(
    ("n_threads", "error"), [(0, ValueError), (-1, ValueError), (2.0, TypeError), (None, TypeError)]
)
def test_set_num_threads_rejects(n_threads, error):
    set_num_threads(4)
    with pytest.raises(error, match="n_threads must be"):
        set_num_threads(n_threads)
    assert get_num_threads() == 4


def test_threadpoolctl_lists_the_pool_once():
    set_num_threads(6)
    ours = [info for info in threadpoolctl.threadpool_info() if info["user_api"] == "sklstm"]
    assert len(ours) == 1
    assert ours[0]["num_threads"] == 6
    assert Path(ours[0]["filepath"]).samefile(_pool.__file__)


def test_threadpoolctl_limits_the_pool():
    set_num_threads(6)
    with threadpoolctl.threadpool_limits(1):
        assert get_num_threads() == resolve_num_threads(None) == 1
    assert get_num_threads() == 6
    with threadpoolctl.threadpool_limits(2, user_api="sklstm"):
        assert get_num_threads() == 2
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        assert get_num_threads() == 6
    assert get_num_threads() == 6
