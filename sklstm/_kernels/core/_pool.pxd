# The only interface to the C thread pool. Other extensions `cimport` from here; they must not include
# pool.h themselves, or each of them would need (and start) a pool of its own.

# `worker` is in [0, n_threads), one per thread for the whole call: it indexes per-thread scratch.
ctypedef void (*task_fn)(void* context, int task, int worker) noexcept nogil

# Runs tasks 0 .. n_tasks-1, each exactly once, and returns when all are done. See pool.h.
cdef void pool_run(task_fn function, void* context, int n_tasks, int n_threads) noexcept nogil

# The same; while the caller only waits for other threads, it calls attend(context) now and then.
cdef void pool_run_attended(task_fn function, void* context, int n_tasks, int n_threads,
                            void (*attend)(void* context) noexcept nogil) noexcept nogil
