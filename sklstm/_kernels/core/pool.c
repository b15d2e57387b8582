/* See pool.h for what the pool promises.
 *
 * How a call works. Everything that must change together lives in one 32-bit word, the gate:
 *
 *     bit 31      OPEN      helpers may join this call
 *     bit 30      WAITING   the caller sleeps until the last helper has left
 *     bits 12-23  tickets   how many more helpers may join; the ticket decides the worker id
 *     bits 0-11   active    how many helpers are inside
 *
 * The caller writes the job, opens the gate, wakes helpers and works as well. Whoever finds no task
 * left closes the gate; the caller then waits only for helpers *inside*. A helper that the system
 * wakes too late finds the gate closed and goes back to sleep: nobody waits for it, which is what
 * keeps short calls short on a loaded machine. The job is written only while the gate is closed and
 * nobody is inside, and read only by threads inside, so its fields need no atomics.
 */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* syscall() */
#endif

#include "pool.h"

#include <stddef.h>

static int clamp(int value, int low, int high) {
    return value < low ? low : value > high ? high : value;
}

static void run_inline(sklstm_task function, void *context, int n_tasks) {
    for (int task = 0; task < n_tasks; ++task) function(context, task, 0);
}

#if defined(_WIN32) || defined(__STDC_NO_ATOMICS__) || \
    (defined(__EMSCRIPTEN__) && !defined(__EMSCRIPTEN_PTHREADS__))
#define SKLSTM_POOL_INLINE
#endif

#if defined(SKLSTM_POOL_INLINE)

/* MSVC has no stdatomic.h in older versions; an aligned long is read and written whole there. */
static volatile long pool_width = 1;

int sklstm_pool_get_num_threads(void) { return (int)pool_width; }

void sklstm_pool_set_num_threads(int n_threads) {
    pool_width = clamp(n_threads, 1, SKLSTM_POOL_MAX_THREADS);
}

void sklstm_pool_run_attended(sklstm_task function, void *context, int n_tasks, int n_threads,
                              void (*attend)(void *context)) {
    (void)n_threads;
    (void)attend;
    run_inline(function, context, n_tasks);
}

#else

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#if defined(__linux__) && !defined(SKLSTM_POOL_NO_FUTEX)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#if defined(__x86_64__) || defined(__SSE__)
#include <xmmintrin.h>
#endif

#define OPEN 0x80000000u
#define WAITING 0x40000000u
#define TICKET_SHIFT 12
#define ONE_TICKET (1u << TICKET_SHIFT)
#define COUNT_MASK 0xfffu

/* Long enough to catch the next call of a training step without a system call: the loop in Python between two of them
 * takes about 12 us, waking a sleeping helper 20 to 30 us (3 % of a step of 64 sequences with 64 units on two threads).
 * Short enough that an idle pool costs nothing. */
#define SPIN_NANOSECONDS 50000

/* Interval at which a caller that only waits for helpers calls `attend`. */
#define ATTEND_MILLISECONDS 20

/* Words that different threads write sit on different cache lines. */
#define OWN_LINE _Alignas(128)

static struct {
    OWN_LINE atomic_uint gate;
    OWN_LINE atomic_uint generation; /* incremented by every call; sleeping helpers wait for it */
    OWN_LINE atomic_int n_asleep;
    OWN_LINE atomic_uint next_task;
    OWN_LINE atomic_int busy;      /* 1 while some thread's call owns the fields below */
    OWN_LINE sklstm_task function; /* not on the line of `busy`, which other callers write to */
    void *context;
    unsigned n_tasks;
    int n_threads;
    unsigned long float_mode;
    int n_helpers; /* threads started in this process */
} pool;

static atomic_int pool_width = 1;
static pthread_once_t fork_handler_once = PTHREAD_ONCE_INIT;

int sklstm_pool_get_num_threads(void) {
    return atomic_load_explicit(&pool_width, memory_order_relaxed);
}

void sklstm_pool_set_num_threads(int n_threads) {
    atomic_store_explicit(&pool_width, clamp(n_threads, 1, SKLSTM_POOL_MAX_THREADS),
                          memory_order_relaxed);
}

/* ---- what differs between systems ------------------------------------------------------------ */

/* Another library may have switched the caller to flush-to-zero after our helpers were started.
 * Without copying the mode, bits of the result would depend on who ran a task. */
static unsigned long get_float_mode(void) {
#if defined(__x86_64__) || defined(__SSE__)
    return _mm_getcsr();
#elif defined(__aarch64__)
    unsigned long mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
#else
    return 0;
#endif
}

static void set_float_mode(unsigned long mode) {
#if defined(__x86_64__) || defined(__SSE__)
    _mm_setcsr((unsigned)mode);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(mode));
#else
    (void)mode;
#endif
}

static void relax(void) {
#if defined(__x86_64__) || defined(__SSE__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory"); /* `yield` is too short to leave the line alone */
#else
    __asm__ volatile("" ::: "memory");
#endif
}

#if defined(SYS_futex)

static void sleep_while_equal(atomic_uint *word, unsigned value, long milliseconds) {
    struct timespec limit = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, milliseconds ? &limit : NULL, NULL, 0);
}

static void wake(atomic_uint *word, int count) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

static void reset_sleep(void) {}

#else

static pthread_mutex_t sleep_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t sleep_changed = PTHREAD_COND_INITIALIZER;

static void sleep_while_equal(atomic_uint *word, unsigned value, long milliseconds) {
    struct timespec until;
    int late = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += milliseconds % 1000 * 1000000L;
    until.tv_sec += milliseconds / 1000 + until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&sleep_lock);
    while (!late && atomic_load(word) == value) {
        if (milliseconds) late = pthread_cond_timedwait(&sleep_changed, &sleep_lock, &until);
        else pthread_cond_wait(&sleep_changed, &sleep_lock);
    }
    pthread_mutex_unlock(&sleep_lock);
}

static void wake(atomic_uint *word, int count) {
    (void)word;
    (void)count; /* caller and helpers share the condition variable, so all are woken */
    pthread_mutex_lock(&sleep_lock);
    pthread_mutex_unlock(&sleep_lock);
    pthread_cond_broadcast(&sleep_changed);
}

static void reset_sleep(void) {
    pthread_mutex_init(&sleep_lock, NULL);
    pthread_cond_init(&sleep_changed, NULL);
}

#endif

static long nanoseconds_since(const struct timespec *start) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long)(now.tv_sec - start->tv_sec) * 1000000000L + (now.tv_nsec - start->tv_nsec);
}

/* Spins for at most SPIN_NANOSECONDS until (*word & mask) is equal (or not equal) to value. Returns the
 * word as last seen, in time or not. */
static unsigned spin_until(atomic_uint *word, unsigned mask, int equal, unsigned value) {
    struct timespec start;
    unsigned now = atomic_load(word);
    if (((now & mask) == value) == equal) return now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        for (int i = 0; i < 16; ++i) {
            relax();
            now = atomic_load(word);
            if (((now & mask) == value) == equal) return now;
        }
    } while (nanoseconds_since(&start) < SPIN_NANOSECONDS);
    return now;
}

/* ---- helpers --------------------------------------------------------------------------------- */

/* Each thread that takes part wakes at most two others, like a binary heap: worker w wakes for
 * workers 2w+1 and 2w+2. So the caller of a wide call does not pay for waking everybody. */
static void wake_my_share(int worker, int n_threads) {
    int count = clamp(n_threads - 1 - 2 * worker, 0, 2);
    if (count > 0 && atomic_load(&pool.n_asleep) > 0) wake(&pool.generation, count);
}

static void run_tasks(int worker) {
    for (;;) {
        unsigned task = atomic_fetch_add_explicit(&pool.next_task, 1, memory_order_relaxed);
        if (task >= pool.n_tasks) break;
        pool.function(pool.context, (int)task, worker);
    }
    atomic_fetch_and(&pool.gate, ~OPEN);
}

/* Takes a ticket of the open call and returns how many there were, or 0 if there is nothing. */
static int join_call(void) {
    unsigned gate = atomic_load(&pool.gate);
    while ((gate & OPEN) && ((gate >> TICKET_SHIFT) & COUNT_MASK)) {
        if (atomic_compare_exchange_weak(&pool.gate, &gate, gate - ONE_TICKET + 1)) {
            return (int)((gate >> TICKET_SHIFT) & COUNT_MASK);
        }
    }
    return 0;
}

static void leave_call(void) {
    unsigned before = atomic_fetch_sub(&pool.gate, 1);
    if ((before & COUNT_MASK) == 1 && (before & WAITING)) wake(&pool.gate, 1);
}

static void *helper_main(void *unused) {
    (void)unused;
    for (;;) {
        /* Read before looking at the gate: a call that opens it later also changes this. */
        unsigned seen = atomic_load(&pool.generation);
        int ticket = join_call();
        if (ticket > 0) {
            int worker = pool.n_threads - ticket;
            wake_my_share(worker, pool.n_threads);
            set_float_mode(pool.float_mode);
            run_tasks(worker);
            leave_call();
        } else if (spin_until(&pool.generation, ~0u, 0, seen) == seen) {
            atomic_fetch_add(&pool.n_asleep, 1);
            sleep_while_equal(&pool.generation, seen, 0);
            atomic_fetch_sub(&pool.n_asleep, 1);
        }
    }
    return NULL;
}

/* Asynchronous signals must keep going to the threads of the program (Python's Ctrl-C interrupts
 * a system call of the main thread only if that thread receives it). Faults stay unblocked: they
 * concern the thread itself, and faulthandler wants to report them. */
static void start_helpers(int n_wanted) {
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    sigset_t blocked, original;
    pthread_attr_t attributes;
    pthread_t thread;

    if (pool.n_helpers >= n_wanted || pthread_attr_init(&attributes) != 0) return;
    /* Detached: helpers end with the process, and there is nothing to join at exit. */
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; ++i) sigdelset(&blocked, faults[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, &original);
    /* On failure the call goes on with the helpers there are. */
    while (pool.n_helpers < n_wanted &&
           pthread_create(&thread, &attributes, helper_main, NULL) == 0) {
        ++pool.n_helpers;
    }
    pthread_sigmask(SIG_SETMASK, &original, NULL);
    pthread_attr_destroy(&attributes);
}

/* The child of a fork has only the thread that forked: no helper, and no other thread's call. */
static void forget_parent(void) {
    pool.n_helpers = 0;
    atomic_store(&pool.n_asleep, 0);
    atomic_store(&pool.gate, 0);
    atomic_store(&pool.busy, 0);
    reset_sleep();
}

static void install_fork_handler(void) { pthread_atfork(NULL, NULL, forget_parent); }

/* ---- the caller ------------------------------------------------------------------------------ */

static void wait_for_helpers(void (*attend)(void *), void *context) {
    unsigned gate = spin_until(&pool.gate, COUNT_MASK, 1, 0);
    while (gate & COUNT_MASK) {
        /* A failed exchange has read the new gate: somebody left, look again. */
        if (atomic_compare_exchange_strong(&pool.gate, &gate, gate | WAITING)) {
            sleep_while_equal(&pool.gate, gate | WAITING, attend ? ATTEND_MILLISECONDS : 0);
            gate = atomic_load(&pool.gate);
            if (attend && (gate & COUNT_MASK)) attend(context);
        }
    }
}

void sklstm_pool_run_attended(sklstm_task function, void *context, int n_tasks, int n_threads,
                              void (*attend)(void *context)) {
    int idle = 0;
    n_threads = clamp(n_threads, 1, SKLSTM_POOL_MAX_THREADS);
    if (n_threads > n_tasks) n_threads = n_tasks;
    if (n_threads <= 1) {
        run_inline(function, context, n_tasks);
        return;
    }
    pthread_once(&fork_handler_once, install_fork_handler);
    if (!atomic_compare_exchange_strong(&pool.busy, &idle, 1)) {
        run_inline(function, context, n_tasks);
        return;
    }
    start_helpers(n_threads - 1);
    pool.function = function;
    pool.context = context;
    pool.n_tasks = (unsigned)n_tasks;
    pool.n_threads = n_threads;
    pool.float_mode = get_float_mode();
    atomic_store(&pool.next_task, 0);
    atomic_store(&pool.gate, OPEN | (unsigned)(n_threads - 1) << TICKET_SHIFT);
    atomic_fetch_add(&pool.generation, 1);
    wake_my_share(0, n_threads);
    run_tasks(0);
    wait_for_helpers(attend, context);
    atomic_store(&pool.busy, 0);
}

#endif

void sklstm_pool_run(sklstm_task function, void *context, int n_tasks, int n_threads) {
    sklstm_pool_run_attended(function, context, n_tasks, n_threads, NULL);
}
