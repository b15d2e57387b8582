/* The rate of fused multiply-adds that one core can sustain: the yardstick of the benchmark.

   Twelve sums that do not depend on each other cover the latency of the multiply-add (at most five cycles, two a cycle)
   and leave registers for the two constants even where there are sixteen. Compiled for the instruction set of the
   kernels in use, with -ffp-contract=fast; where a set has no fused form, a product and a sum stand in its place. */

#include <time.h>

#if defined(__AVX512F__)
#define WIDTH 64
#elif defined(__AVX2__)
#define WIDTH 32
#else
#define WIDTH 16
#endif

typedef float vec __attribute__((vector_size(WIDTH)));

#define EACH(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)
#define N_SUMS 12

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Returns GFLOP/s over at least the given time, on the clock of the wall or of this thread. */
double fma_rate(double duration, int of_thread)
{
    const clockid_t clock = of_thread ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
    /* Volatile: were they constants, the sums could be computed at compile time. */
    volatile float factor_value = 0.999f, summand_value = 0.001f;
    const vec zero = {0};
    const vec factor = zero + factor_value, summand = zero + summand_value;
#define DECLARE(i) vec sum##i = zero + (float)i;
    EACH(DECLARE)

    const double begin = seconds(clock);
    double elapsed, n_rounds = 0;
    do {
        /* Long enough (some 200 microseconds) that looking at the clock costs nothing. */
        for (long round = 0; round < 100000; round++) {
#define MULTIPLY_ADD(i) sum##i = sum##i * factor + summand;
            EACH(MULTIPLY_ADD)
        }
        n_rounds += 100000;
        elapsed = seconds(clock) - begin;
    } while (elapsed < duration);

    vec total = zero;
#define ADD(i) total += sum##i;
    EACH(ADD)
    volatile float sink = total[0]; /* the sums are used, so the loop stays */
    (void)sink;
    return 2e-9 * N_SUMS * (WIDTH / sizeof(float)) * n_rounds / elapsed;
}
