/* Puts pool.c under stress without Python, so that ThreadSanitizer can watch.
 *
 *     cc -std=c11 -pthread -I <dir of pool.h> pool_stress.c <dir>/pool.c && ./a.out calls
 *
 * Modes: calls | float | fork | stop | latency. Ends with 0 if all went well, else says what did not.
 */
#define _GNU_SOURCE

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pool.h"
#include "stop_flag.h"

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

#define MAX_TASKS 64

#define CHECK(condition)                                                              \
    do {                                                                              \
        if (!(condition)) {                                                           \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);   \
            _Exit(1);                                                                 \
        }                                                                             \
    } while (0)

typedef struct Call {
    int n_tasks, n_threads, depth, salt;
    pthread_t caller;
    /* Plain on purpose: the sanitizer reports any task that runs twice at once, any worker id
     * that two threads hold at once, and a return before the writes of helpers are visible. */
    int n_runs[MAX_TASKS];
    int scratch[SKLSTM_POOL_MAX_THREADS];
    atomic_int occupied[SKLSTM_POOL_MAX_THREADS];
} Call;

static void one_call(int n_tasks, int n_threads, int depth, int salt);

static void call_task(void *context, int task, int worker) {
    Call *call = context;
    CHECK(task >= 0 && task < call->n_tasks);
    CHECK(worker == 0 || (worker > 0 && worker < call->n_threads));
    CHECK((worker == 0) == pthread_equal(pthread_self(), call->caller));
    CHECK(atomic_exchange(&call->occupied[worker], 1) == 0);
    call->scratch[worker] += 1;
    call->n_runs[task] += 1;
    if (call->depth > 0) one_call(5, 3, call->depth - 1, task);
    for (volatile int i = 0; i < (task * 37 + call->salt) % 200; ++i) {
    }
    atomic_store(&call->occupied[worker], 0);
}

static void one_call(int n_tasks, int n_threads, int depth, int salt) {
    Call call;
    int total = 0;
    memset(&call, 0, sizeof call);
    call.n_tasks = n_tasks;
    call.n_threads = n_threads;
    call.depth = depth;
    call.salt = salt;
    call.caller = pthread_self();
    sklstm_pool_run(call_task, &call, n_tasks, n_threads);
    for (int task = 0; task < n_tasks; ++task) CHECK(call.n_runs[task] == 1);
    for (int worker = 0; worker < SKLSTM_POOL_MAX_THREADS; ++worker) total += call.scratch[worker];
    CHECK(total == n_tasks);
}

static void *many_calls(void *argument) {
    int n_calls = *(int *)argument;
    for (int i = 0; i < n_calls; ++i) {
        one_call(i % (MAX_TASKS + 1), 1 + i % 9, i % 50 == 0, i);
        sklstm_pool_set_num_threads(1 + i % 4);
        CHECK(sklstm_pool_get_num_threads() >= 1 && sklstm_pool_get_num_threads() <= 4);
        /* Sometimes let the helpers fall asleep. */
        if (i % 25 == 0) nanosleep(&(struct timespec){0, 50000}, NULL);
    }
    return NULL;
}

static void mode_calls(int n_calls) {
    pthread_t threads[4];
    many_calls(&n_calls); /* alone: no call finds the pool busy */
    for (int i = 0; i < 4; ++i) CHECK(pthread_create(&threads[i], NULL, many_calls, &n_calls) == 0);
    for (int i = 0; i < 4; ++i) CHECK(pthread_join(threads[i], NULL) == 0);
}

/* ---- tasks that wait for each other: passes only with real, distinct threads ------------------ */

typedef struct Meeting {
    atomic_int n_arrived;
    int n_expected;
    double tiny[MAX_TASKS];
    struct timespec arrived[MAX_TASKS];
} Meeting;

static void meeting_task(void *context, int task, int worker) {
    Meeting *meeting = context;
    volatile double smallest_normal = 2.2250738585072014e-308;
    CHECK(worker < meeting->n_expected);
    clock_gettime(CLOCK_MONOTONIC, &meeting->arrived[worker]);
    meeting->tiny[task] = smallest_normal * 0.5;
    atomic_fetch_add(&meeting->n_arrived, 1);
    while (atomic_load(&meeting->n_arrived) < meeting->n_expected) {
    }
}

static void meet(Meeting *meeting, int n_threads) {
    memset(meeting, 0, sizeof *meeting);
    meeting->n_expected = n_threads;
    sklstm_pool_run(meeting_task, meeting, n_threads, n_threads);
}

static void mode_float(void) {
#if defined(__SSE__)
    Meeting meeting;
    meet(&meeting, 3); /* the helpers now exist, with gradual underflow */
    for (int task = 0; task < 3; ++task) CHECK(meeting.tiny[task] > 0);
    _MM_SET_FLUSH_ZERO_MODE(_MM_FLUSH_ZERO_ON);
    meet(&meeting, 3);
    _MM_SET_FLUSH_ZERO_MODE(_MM_FLUSH_ZERO_OFF);
    for (int task = 0; task < 3; ++task) CHECK(meeting.tiny[task] == 0);
    meet(&meeting, 3);
    for (int task = 0; task < 3; ++task) CHECK(meeting.tiny[task] > 0);
#endif
}

/* ---- fork ------------------------------------------------------------------------------------ */

static atomic_int stop_calling;

static void *call_until_stopped(void *unused) {
    (void)unused;
    for (int i = 0; !atomic_load(&stop_calling); ++i) one_call(MAX_TASKS, 3, 0, i);
    return NULL;
}

static void mode_fork(int n_forks) {
    pthread_t other;
    CHECK(pthread_create(&other, NULL, call_until_stopped, NULL) == 0);
    for (int i = 0; i < n_forks; ++i) {
        int status;
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            Meeting meeting;
            alarm(20); /* a hang ends the child by a signal, which the parent sees */
            meet(&meeting, 3);
            one_call(MAX_TASKS, 3, 0, i);
            _exit(0);
        }
        one_call(MAX_TASKS, 3, 0, i);
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    atomic_store(&stop_calling, 1);
    CHECK(pthread_join(other, NULL) == 0);
}

/* ---- latency: from the call until the helper runs its task; report only ----------------------- */

/* The flag of a signal watch: the caller sets it, all tasks look at it. */
static void task_until_stopped(void *context, int task, int worker) {
    sklstm_stop_flag *stopped = (sklstm_stop_flag *)context;
    (void)task;
    if (worker != 0) {
        while (!*stopped) {
        }
        return;
    }
    for (volatile int i = 0; i < 2000; ++i) {
    }
    *stopped = 1;
}

static void mode_stop(int n_calls) {
    for (int i = 0; i < n_calls; ++i) {
        sklstm_stop_flag stopped;
        stopped = 0;
        sklstm_pool_run(task_until_stopped, (void *)&stopped, 8, 3);
        CHECK(stopped);
    }
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double microseconds(struct timespec from, struct timespec to) {
    return (double)(to.tv_sec - from.tv_sec) * 1e6 + (double)(to.tv_nsec - from.tv_nsec) * 1e-3;
}

static void mode_latency(int n_calls) {
    static const long pauses[] = {0, 2, 20, 200, 2000}; /* microseconds between calls */
    double *start = malloc(sizeof(double) * (size_t)n_calls);
    double *whole = malloc(sizeof(double) * (size_t)n_calls);
    CHECK(start && whole);
    for (size_t p = 0; p < sizeof pauses / sizeof pauses[0]; ++p) {
        int n = pauses[p] >= 2000 ? n_calls / 10 : n_calls;
        for (int i = 0; i < n; ++i) {
            Meeting meeting;
            struct timespec before, after;
            clock_gettime(CLOCK_MONOTONIC, &before);
            do { /* the caller computes, as it does between two calls of a training step */
                clock_gettime(CLOCK_MONOTONIC, &after);
            } while (microseconds(before, after) < (double)pauses[p]);
            clock_gettime(CLOCK_MONOTONIC, &before);
            meet(&meeting, 2);
            clock_gettime(CLOCK_MONOTONIC, &after);
            start[i] = microseconds(before, meeting.arrived[1]);
            whole[i] = microseconds(before, after);
        }
        qsort(start, (size_t)n, sizeof *start, compare);
        qsort(whole, (size_t)n, sizeof *whole, compare);
        printf("pause %4ld us: hand-off median %6.2f us, 90 %% %6.2f us; whole call %6.2f us\n",
               pauses[p], start[n / 2], start[n * 9 / 10], whole[n / 2]);
    }
    free(start);
    free(whole);
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "calls";
    int count = argc > 2 ? atoi(argv[2]) : 1000;
    alarm(60);
    if (strcmp(mode, "calls") == 0) mode_calls(count);
    else if (strcmp(mode, "float") == 0) mode_float();
    else if (strcmp(mode, "fork") == 0) mode_fork(count);
    else if (strcmp(mode, "stop") == 0) mode_stop(count);
    else if (strcmp(mode, "latency") == 0) mode_latency(count);
    else return 2;
    printf("%s: ok\n", mode);
    return 0;
}
