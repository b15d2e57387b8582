/* A fork-safe pool of threads for short pieces of numerical work.
 *
 * One process has one pool. It is compiled into the extension `_pool` only; other extensions reach
 * it through `cimport` (see _pool.pxd), so that there are never two pools competing for the cores.
 */
#ifndef SKLSTM_POOL_H
#define SKLSTM_POOL_H

#if defined(_WIN32)
#define SKLSTM_POOL_EXPORT __declspec(dllexport)
#elif defined(__GNUC__)
#define SKLSTM_POOL_EXPORT __attribute__((visibility("default")))
#else
#define SKLSTM_POOL_EXPORT
#endif

/* More threads than this are never used by one call; larger requests are lowered to it. */
#define SKLSTM_POOL_MAX_THREADS 256

#ifdef __cplusplus
extern "C" {
#endif

/* One piece of work. `task` is in [0, n_tasks). `worker` is in [0, n_threads), belongs to one
 * thread for the whole call and so indexes per-thread scratch. The thread that called
 * sklstm_pool_run is always worker 0. */
typedef void (*sklstm_task)(void *context, int task, int worker);

/* Run every task exactly once and return when all are done; what they wrote is then visible.
 *
 * Tasks are handed out in increasing order to whoever is free, so which worker runs which task
 * changes from call to call: results must not depend on `worker`. Each task sees the floating-point
 * mode (rounding, flush-to-zero) of the calling thread.
 *
 * All tasks run in the calling thread, as worker 0, when n_tasks <= 1 or n_threads <= 1, when the
 * pool is at work for another thread, when called from inside a task, or when no thread can be
 * started. A task must not call fork(). */
SKLSTM_POOL_EXPORT void sklstm_pool_run(sklstm_task function, void *context, int n_tasks,
                                        int n_threads);

/* The same; while the caller only waits for other threads, it calls attend(context) about every 20 ms. */
SKLSTM_POOL_EXPORT void sklstm_pool_run_attended(sklstm_task function, void *context, int n_tasks, int n_threads,
                                                 void (*attend)(void *context));

/* The default number of threads of the process. It is only
 * a number kept here, where threadpoolctl finds it; sklstm_pool_run obeys its own argument.
 * 1 at start. Set brings its argument into [1, SKLSTM_POOL_MAX_THREADS]. */
SKLSTM_POOL_EXPORT int sklstm_pool_get_num_threads(void);
SKLSTM_POOL_EXPORT void sklstm_pool_set_num_threads(int n_threads);

#ifdef __cplusplus
}
#endif

#endif
