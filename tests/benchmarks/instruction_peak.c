/* The rates of the instructions for reduced numbers that one core can sustain, as fma_peak.c for fused multiply-adds: twelve
   sums of 64 bytes that do not depend on each other. Called only where the CPU has the instruction. */

#include <stdint.h>
#include <time.h>

typedef int32_t vec __attribute__((vector_size(64)));

#define EACH(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)
#define N_SUMS 12

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* NAME returns Gop/s over at least the given time, on the clock of the wall or of this thread: a product and a sum for each of
   the PAIRS of numbers that an instruction multiplies. Every word of its operands has the bits X and W. */
#define RATE(NAME, INSTRUCTION, PAIRS, X, W)                                                                      \
    double NAME(double duration, int of_thread)                                                                   \
    {                                                                                                             \
        const clockid_t clock = of_thread ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;                            \
        const vec zero = {0}, x = zero + (X), w = zero + (W);                                                     \
        EACH(DECLARE)                                                                                             \
        const double begin = seconds(clock);                                                                      \
        double elapsed, n_rounds = 0;                                                                             \
        do {                                                                                                      \
            for (long round = 0; round < 100000; round++) {                                                       \
                __asm__ volatile(INSTRUCTION " %13, %12, %0\n\t" INSTRUCTION " %13, %12, %1\n\t"                  \
                                 INSTRUCTION " %13, %12, %2\n\t" INSTRUCTION " %13, %12, %3\n\t"                  \
                                 INSTRUCTION " %13, %12, %4\n\t" INSTRUCTION " %13, %12, %5\n\t"                  \
                                 INSTRUCTION " %13, %12, %6\n\t" INSTRUCTION " %13, %12, %7\n\t"                  \
                                 INSTRUCTION " %13, %12, %8\n\t" INSTRUCTION " %13, %12, %9\n\t"                  \
                                 INSTRUCTION " %13, %12, %10\n\t" INSTRUCTION " %13, %12, %11"                    \
                                 : "+v"(sum0), "+v"(sum1), "+v"(sum2), "+v"(sum3), "+v"(sum4), "+v"(sum5),        \
                                   "+v"(sum6), "+v"(sum7), "+v"(sum8), "+v"(sum9), "+v"(sum10), "+v"(sum11)       \
                                 : "v"(x), "v"(w));                                                               \
            }                                                                                                     \
            n_rounds += 100000;                                                                                   \
            elapsed = seconds(clock) - begin;                                                                     \
        } while (elapsed < duration);                                                                             \
        return 2e-9 * N_SUMS * (PAIRS) * n_rounds / elapsed;                                                      \
    }

#define DECLARE(i) vec sum##i = zero;

RATE(bf16_rate, "vdpbf16ps", 32, 0x3f803f80, 0x38003800)  /* 1 and 2^-15: no sum leaves the normal numbers */
RATE(int16_rate, "vpdpwssd", 32, 0x00010001, 0x00010001)
RATE(int8_rate, "vpdpbusd", 64, 0x01010101, 0x01010101)
