"""The thread pool: who runs what, forks and other processes."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest

from sklstm._kernels.core._pool import MAX_THREADS, _probe

# Turns after which a task gives up waiting for the others: seconds, so only a fault gets there.
PATIENCE = 2_000_000_000

needs_threads = pytest.mark.skipif(sys.platform == "win32", reason="without pthreads the pool runs everything inline")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
# Python 3.12 warns about every fork of a process with threads, which is the point of these tests.
may_fork = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def check_call(records, n_tasks, n_threads):
    """Check what holds for every call, busy or not."""
    assert [n_runs for _, n_runs, _ in records] == [1] * n_tasks
    pairs = {(worker, thread) for worker, _, thread in records}
    workers = [worker for worker, _ in pairs]
    threads = [thread for _, thread in pairs]
    assert len(set(workers)) == len(set(threads)) == len(pairs)  # one id per thread
    assert set(workers) <= set(range(max(n_threads, 1)))
    assert all((worker == 0) == (thread == threading.get_ident()) for worker, thread in pairs)


def is_inline(records):
    return {(worker, thread) for worker, _, thread in records} == {(0, threading.get_ident())}


def meet(n_threads):
    """Return the worker ids of tasks that waited until each had a thread of its own."""
    records, _ = _probe(n_threads, n_threads, n_loops=PATIENCE, meet=True)
    check_call(records, n_threads, n_threads)
    return sorted(worker for worker, _, _ in records)


# ---- who runs what -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_tasks", "n_threads"),
    [(0, 4), (1, 4), (2, 2), (7, 3), (5, 16), (1000, 4), (600, MAX_THREADS), (600, 100_000)],
)
@pytest.mark.parametrize("n_loops", [0, 2000])
def test_every_task_runs_once(n_tasks, n_threads, n_loops):
    records, _ = _probe(n_tasks, n_threads, n_loops=n_loops)
    check_call(records, n_tasks, min(n_threads, MAX_THREADS))


@needs_threads
def test_tasks_run_at_the_same_time_on_threads_of_their_own():
    for n_threads in (2, 3, 8, 40, 3):  # wider means new threads; narrower, that some stay asleep
        assert meet(n_threads) == list(range(n_threads))


@needs_threads
def test_sleeping_helpers_wake():
    for _ in range(20):
        time.sleep(0.002)
        assert meet(4) == [0, 1, 2, 3]


@pytest.mark.parametrize(("n_tasks", "n_threads"), [(1, 8), (50, 1), (50, 0), (50, -3)])
def test_one_task_or_one_thread_stays_in_the_caller(n_tasks, n_threads):
    records, _ = _probe(n_tasks, n_threads, n_loops=10_000)
    assert is_inline(records)


@needs_threads
def test_busy_pool_runs_the_work_inline():
    finished = threading.Event()

    def occupy():
        _probe(2, 2, n_loops=300_000_000)
        finished.set()

    other = threading.Thread(target=occupy)
    other.start()
    inline = []
    while not finished.is_set():
        # Were the pool free, the two tasks would meet on two threads.
        records, _ = _probe(2, 2, n_loops=100_000, meet=True)
        check_call(records, 2, 2)
        inline.append(is_inline(records))
    other.join()
    # Not all: the other thread has to get there first, leaves before it says so, and either may be off its core for
    # most of the time. A pool that let the second caller wait would never run its work inline.
    assert any(inline)
    assert meet(2) == [0, 1]


def test_several_python_threads_call_at_once():
    def call_often(seed):
        rng = np.random.default_rng(seed)
        for n_tasks, n_threads, n_loops in rng.integers([0, 1, 0], [80, 6, 3000], (100, 3)):
            records, _ = _probe(int(n_tasks), int(n_threads), n_loops=int(n_loops))
            check_call(records, n_tasks, n_threads)
        return seed

    with ThreadPoolExecutor(6) as executor:
        assert list(executor.map(call_often, range(6))) == list(range(6))


@needs_threads
def test_nested_call_runs_inline_in_the_thread_of_its_task():
    n_tasks, n_inner = 3, 5
    outer, inner = _probe(n_tasks, n_tasks, n_loops=PATIENCE, meet=True, n_inner=n_inner)
    check_call(outer, n_tasks, n_tasks)
    assert {worker for worker, _, _ in outer} == {0, 1, 2}
    expected = [(0, 1, thread) for _, _, thread in outer for _ in range(n_inner)]
    assert inner == expected


def test_call_inside_an_inline_task():
    outer, inner = _probe(1, 4, n_inner=20)
    assert is_inline(outer)
    check_call(inner, 20, 4)


# ---- forks and other processes -------------------------------------------------------------------


def fork_and_check(n_forks):
    """Fork ``n_forks`` times; every child must get real threads from its pool in time."""
    for _ in range(n_forks):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = 0 if meet(2) == [0, 1] else 2
            finally:
                os._exit(status)
        deadline = time.monotonic() + 20
        pid, status = os.waitpid(child, os.WNOHANG)
        while pid == 0 and time.monotonic() < deadline:
            time.sleep(0.0005)
            pid, status = os.waitpid(child, os.WNOHANG)
        if pid == 0:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            pytest.fail("the child of a fork hangs")
        assert os.waitstatus_to_exitcode(status) == 0


@may_fork
@needs_fork
def test_fork_after_use():
    assert meet(3) == [0, 1, 2]
    fork_and_check(200)
    assert meet(3) == [0, 1, 2]


@may_fork
@needs_fork
def test_fork_while_another_thread_is_inside():
    stop = threading.Event()
    n_calls = []

    def call_until_stopped():
        while not stop.is_set():
            records, _ = _probe(50, 3, n_loops=20_000)
            check_call(records, 50, 3)
            n_calls.append(1)

    other = threading.Thread(target=call_until_stopped)
    other.start()
    try:
        fork_and_check(100)
    finally:
        stop.set()
        other.join(20)
    assert not other.is_alive()
    assert n_calls
    assert meet(3) == [0, 1, 2]


def workers_met(n_threads):
    # Runs in another process; `meet` is not used because its caller is the main thread here.
    records, _ = _probe(n_threads, n_threads, n_loops=PATIENCE, meet=True)
    return sorted(worker for worker, _, _ in records)


@may_fork
@needs_fork
def test_multiprocessing_fork():
    meet(3)
    with multiprocessing.get_context("fork").Pool(2) as processes:
        result = processes.map_async(workers_met, [2, 3] * 4)
        assert result.get(timeout=30) == [[0, 1], [0, 1, 2]] * 4


@needs_threads
def test_joblib_processes():
    meet(2)
    # The function of the extension, not one of this file: loky would have to import the tests.
    calls = joblib.Parallel(n_jobs=2, backend="loky", timeout=60)(
        joblib.delayed(_probe)(3, 3, n_loops=PATIENCE, meet=True) for _ in range(4)
    )
    for records, _ in calls:
        assert sorted(worker for worker, _, _ in records) == [0, 1, 2]


def test_joblib_threads():
    results = joblib.Parallel(n_jobs=3, backend="threading")(
        joblib.delayed(_probe)(30, 3, n_loops=1000) for _ in range(20)
    )
    for records, _ in results:
        assert [n_runs for _, n_runs, _ in records] == [1] * 30


def run_python(code):
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_process_ends_while_the_pool_works():
    code = (
        "import threading, time\n"
        "from sklstm._kernels.core._pool import _probe\n"
        "_probe(8, 4, n_loops=1000)\n"
        "work = threading.Thread(\n"
        "    target=_probe, args=(100, 2), kwargs={'n_loops': 2_000_000_000}, daemon=True)\n"
        "work.start()\n"
        "time.sleep(0.05)\n"
        "print('end')\n"
    )
    result = run_python(code)
    assert (result.returncode, result.stdout.strip(), result.stderr) == (0, "end", "")


@pytest.mark.skipif(sys.platform != "linux", reason="reads signal masks from /proc")
def test_helpers_leave_signals_to_the_program():
    code = (
        "import os, pathlib, re, signal\n"
        "from sklstm._kernels.core._pool import _probe\n"
        "before = set(os.listdir('/proc/self/task'))\n"
        "_probe(4, 4, n_loops=2_000_000_000, meet=True)\n"
        "helpers = set(os.listdir('/proc/self/task')) - before\n"
        "for helper in helpers:\n"
        "    status = pathlib.Path(f'/proc/self/task/{helper}/status').read_text()\n"
        "    mask = int(re.search(r'SigBlk:\\s*(\\w+)', status)[1], 16)\n"
        "    print(*(mask >> (s - 1) & 1 for s in (signal.SIGINT, signal.SIGTERM)),\n"
        "          *(mask >> (s - 1) & 1 for s in (signal.SIGSEGV, signal.SIGFPE)))\n"
    )
    result = run_python(code)
    assert result.stderr == ""
    assert result.stdout.splitlines() == ["1 1 0 0"] * 3
