/* A scan over time, sequential and in blocks on two threads: h_t = a_t h_{t-1} + b_t for UNITS units.
 *
 *   gcc -O3 -march=native -pthread time_scan.c -o time_scan && ./time_scan
 *
 * The blocked scan has three passes: every block from a state of zero, with the running product of its a (threads share the
 * blocks); the states at the ends of the blocks, one after the other; h += product * state before the block (shared again). It
 * reads and writes about twice as much, and its sums are not those of the sequential order. Starting the second thread is part
 * of its time, about 70 us a pass.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef float vec __attribute__((vector_size(32)));
enum { LANES = 8 };

typedef struct { const float *a, *b; float *h, *p; long n_steps, block, units; } Scan;

static void sequential(const Scan *s, long first, long last, float *state) {
    for (long t = first; t < last; t++)
        for (long u = 0; u < s->units; u += LANES) {
            const vec h = *(vec *)(s->a + t * s->units + u) * *(vec *)(state + u) + *(vec *)(s->b + t * s->units + u);
            *(vec *)(state + u) = h;
            *(vec *)(s->h + t * s->units + u) = h;
        }
}

static void local(const Scan *s, long first, long last) {
    float *state = aligned_alloc(64, 4096), *product = aligned_alloc(64, 4096);
    for (long u = 0; u < s->units; u++) state[u] = 0, product[u] = 1;
    for (long t = first; t < last; t++)
        for (long u = 0; u < s->units; u += LANES) {
            const vec a = *(vec *)(s->a + t * s->units + u);
            const vec h = a * *(vec *)(state + u) + *(vec *)(s->b + t * s->units + u);
            *(vec *)(state + u) = h;
            *(vec *)(product + u) = a * *(vec *)(product + u);
            *(vec *)(s->h + t * s->units + u) = h;
            *(vec *)(s->p + t * s->units + u) = *(vec *)(product + u);
        }
    free(state);
    free(product);
}

static void fix(const Scan *s, long first, long last) {
    const float *before = s->h + (first - 1) * s->units;
    for (long t = first; t < last; t++)
        for (long u = 0; u < s->units; u += LANES)
            *(vec *)(s->h + t * s->units + u) += *(vec *)(s->p + t * s->units + u) * *(vec *)(before + u);
}

typedef struct { const Scan *s; int worker, phase; } Job;
static void *work(void *context) {
    const Job *job = context;
    const Scan *s = job->s;
    for (long k = job->worker; k * s->block < s->n_steps; k += 2) {
        const long first = k * s->block, last = first + s->block < s->n_steps ? first + s->block : s->n_steps;
        if (job->phase == 0) local(s, first, last);
        else if (k > 0) fix(s, first, last - 1); /* the last step of a block is right already */
    }
    return NULL;
}
static void both(const Scan *s, int phase) {
    Job jobs[2] = {{s, 0, phase}, {s, 1, phase}};
    pthread_t thread;
    pthread_create(&thread, NULL, work, jobs + 1);
    work(jobs);
    pthread_join(thread, NULL);
}
static void blocked(const Scan *s) {
    both(s, 0);
    for (long first = s->block; first < s->n_steps; first += s->block) {
        const long last = (first + s->block < s->n_steps ? first + s->block : s->n_steps) - 1;
        for (long u = 0; u < s->units; u++)
            s->h[last * s->units + u] += s->p[last * s->units + u] * s->h[(first - 1) * s->units + u];
    }
    both(s, 1);
}
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + 1e-9 * t.tv_nsec; }
static int smaller(const void *x, const void *y) { return *(double *)x < *(double *)y ? -1 : 1; }

int main(void) {
    const long sizes[][2] = {{1024, 64}, {4096, 64}, {16384, 64}, {65536, 64}, {65536, 256}};
    puts("| steps | units | sequential, us | in blocks on two threads, us | ratio |\n|---|---|---|---|---|");
    for (int k = 0; k < 5; k++) {
        const long n = sizes[k][0] * sizes[k][1];
        float *a = aligned_alloc(64, 4 * n), *b = aligned_alloc(64, 4 * n), *h = aligned_alloc(64, 4 * n), *p = aligned_alloc(64, 4 * n);
        float *state = aligned_alloc(64, 4096);
        for (long i = 0; i < n; i++) a[i] = .9f + .1f * rand() / RAND_MAX, b[i] = (float)rand() / RAND_MAX - .5f, h[i] = p[i] = 0;
        const Scan s = {a, b, h, p, sizes[k][0], sizes[k][0] / 8, sizes[k][1]};
        double times[2][21];
        for (int i = 0; i < 21; i++) {
            double begin = now();
            memset(state, 0, 4096);
            sequential(&s, 0, s.n_steps, state);
            times[0][i] = now() - begin;
            begin = now();
            blocked(&s);
            times[1][i] = now() - begin;
        }
        for (int i = 0; i < 2; i++) qsort(times[i], 21, sizeof(double), smaller);
        printf("| %ld | %ld | %.0f | %.0f | %.2f |\n", sizes[k][0], sizes[k][1], 1e6 * times[0][10], 1e6 * times[1][10],
               times[0][10] / times[1][10]);
        free(a); free(b); free(h); free(p); free(state);
    }
    return 0;
}
