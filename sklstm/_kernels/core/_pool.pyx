"""The thread pool of the kernels: its Python side and the C entry for other extensions."""

import numbers

from joblib import cpu_count

from sklstm._kernels.core.threadpool import default_num_threads

from libc.stdlib cimport calloc, free

cdef extern from "pool.h":
    enum:
        SKLSTM_POOL_MAX_THREADS
    void sklstm_pool_run(task_fn function, void* context, int n_tasks, int n_threads) noexcept nogil
    void sklstm_pool_run_attended(task_fn function, void* context, int n_tasks, int n_threads,
                                  void (*attend)(void* context) noexcept nogil) noexcept nogil
    int sklstm_pool_get_num_threads() noexcept nogil
    void sklstm_pool_set_num_threads(int n_threads) noexcept nogil

cdef extern from "pythread.h":
    unsigned long PyThread_get_thread_ident() noexcept nogil

MAX_THREADS = SKLSTM_POOL_MAX_THREADS


cdef void pool_run(task_fn function, void* context, int n_tasks, int n_threads) noexcept nogil:
    sklstm_pool_run(function, context, n_tasks, n_threads)


cdef void pool_run_attended(task_fn function, void* context, int n_tasks, int n_threads,
                            void (*attend)(void* context) noexcept nogil) noexcept nogil:
    sklstm_pool_run_attended(function, context, n_tasks, n_threads, attend)


def _check_number(name, value):
    # bool is an Integral, but n_jobs=True is a mistake, not a number of threads.
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be an integer, got {value!r}.")
    return int(value)


def get_num_threads():
    """Return the default number of threads.

    Returns
    -------
    n_threads : int
        At least 1.

    Examples
    --------
    >>> from sklstm._kernels.core._pool import get_num_threads
    >>> get_num_threads() >= 1
    True
    """
    return sklstm_pool_get_num_threads()


def set_num_threads(n_threads):
    """Set the default number of threads, for the whole process.

    Parameters
    ----------
    n_threads : int
        At least 1. Larger values than `MAX_THREADS` are lowered to it.

    Raises
    ------
    TypeError
        If ``n_threads`` is not an integer.
    ValueError
        If ``n_threads`` is smaller than 1.

    Examples
    --------
    >>> from sklstm._kernels.core._pool import get_num_threads, set_num_threads
    >>> before = get_num_threads()
    >>> set_num_threads(3)
    >>> get_num_threads()
    3
    >>> set_num_threads(before)
    """
    n_threads = _check_number("n_threads", n_threads)
    if n_threads < 1:
        raise ValueError(f"n_threads must be at least 1, got {n_threads}.")
    sklstm_pool_set_num_threads(min(n_threads, MAX_THREADS))


def resolve_num_threads(n_jobs):
    """Turn the ``n_jobs`` of an estimator into a number of threads.

    Parameters
    ----------
    n_jobs : int or None
        None means `get_num_threads`, which the environment and `threadpoolctl` control. A
        positive number is taken as it is, even if there are fewer cores. A negative number
        counts from the cores this process may use: -1 is all of them, -2 all but one.

    Returns
    -------
    n_threads : int
        In [1, `MAX_THREADS`].

    Raises
    ------
    TypeError
        If ``n_jobs`` is neither None nor an integer.
    ValueError
        If ``n_jobs`` is 0.

    Examples
    --------
    >>> from sklstm._kernels.core._pool import resolve_num_threads
    >>> resolve_num_threads(4)
    4
    >>> resolve_num_threads(-1000)
    1
    """
    if n_jobs is None:
        return sklstm_pool_get_num_threads()
    n_jobs = _check_number("n_jobs", n_jobs)
    if n_jobs == 0:
        raise ValueError("n_jobs=0 has no meaning; use None, a positive or a negative integer.")
    if n_jobs < 0:
        n_jobs = max(1, cpu_count() + 1 + n_jobs)
    return min(n_jobs, MAX_THREADS)


# What one task of `_probe` records. Plain fields: tasks write to their own record only.
cdef struct Record:
    int worker
    int n_runs
    volatile int started
    unsigned long thread

cdef struct Probe:
    Record* records
    int n_tasks
    int n_threads
    int n_inner  # tasks of the call that every task makes itself; 0 for none
    long n_loops  # length of a task
    bint meet  # a task ends early once all tasks have started


cdef void _sign(void* records, int task, int worker) noexcept nogil:
    cdef Record* record = <Record*> records + task
    record.worker = worker
    record.thread = PyThread_get_thread_ident()
    record.n_runs += 1


cdef void _probe_task(void* context, int task, int worker) noexcept nogil:
    cdef Probe* probe = <Probe*> context
    cdef size_t stride = probe.n_inner + 1
    cdef Record* own = probe.records + task * stride
    cdef volatile long n_loops = 0
    cdef int n_started = 0
    own.started = 1
    while n_loops < probe.n_loops and n_started < probe.n_tasks:
        n_loops += 1
        if probe.meet and probe.records[n_started * stride].started:
            n_started += 1
    if probe.n_inner > 0:
        pool_run(_sign, own + 1, probe.n_inner, probe.n_threads)
    _sign(own, 0, worker)


def _probe(int n_tasks, int n_threads, *, long n_loops=0, bint meet=False, int n_inner=0):
    """Run ``n_tasks`` tasks that record who ran them; used by the tests.

    Parameters
    ----------
    n_tasks, n_threads : int
        As in pool.h.
    n_loops : int, default=0
        Turns of an empty loop in every task (about a nanosecond each).
    meet : bool, default=False
        If true, a task leaves its loop early once all tasks have started. With as many tasks as
        threads they can only meet if each has a thread of its own.
    n_inner : int, default=0
        If positive, every task makes a call of so many tasks itself.

    Returns
    -------
    outer, inner : list of tuple (worker, n_runs, thread)
        One per task: its worker id, how often it ran, and `threading.get_ident` of its thread.
        ``inner`` lists the inner tasks of task 0, then of task 1, and so on.
    """
    cdef Probe probe
    cdef Record* record
    cdef size_t i, stride = n_inner + 1
    if n_tasks < 0 or n_inner < 0:
        raise ValueError("n_tasks and n_inner must not be negative.")
    probe.records = <Record*> calloc(n_tasks * stride + 1, sizeof(Record))
    if probe.records == NULL:
        raise MemoryError
    probe.n_tasks = n_tasks
    probe.n_threads = n_threads
    probe.n_inner = n_inner
    probe.n_loops = n_loops
    probe.meet = meet
    try:
        with nogil:
            pool_run(_probe_task, &probe, n_tasks, n_threads)
        outer, inner = [], []
        for i in range(n_tasks * stride):
            record = probe.records + i
            found = (record.worker, record.n_runs, record.thread)
            (inner if i % stride else outer).append(found)
        return outer, inner
    finally:
        free(probe.records)


sklstm_pool_set_num_threads(min(default_num_threads(), MAX_THREADS))
