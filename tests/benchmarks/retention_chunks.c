/* The matrix state of a head (retention, Sun et al. 2023), forward and backward in float32: step by step, or in chunks of time.
 *   S_t = g S_{t-1} + k_t v_t'    y_t = S_t' q_t
 *
 *   gcc -O3 -march=native -mprefer-vector-width=512 -ffp-contract=fast retention_chunks.c -o retention_chunks -lm
 *   ./retention_chunks
 *
 * Step by step a product of 2 d^2 numbers a step, whose states are all kept for backward, as row cells do. In chunks of C steps
 * products of C rows, inside a chunk with the C x C products of q and k, between chunks with the state; one state is kept for
 * each chunk. The largest difference between the two is printed behind the times.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <time.h>

#define L 16 /* lanes */
typedef float vec __attribute__((vector_size(4 * L), aligned(4)));
static vec load(const float *p) { vec v; memcpy(&v, p, sizeof v); return v; }
static void store(float *p, vec v) { memcpy(p, &v, sizeof v); }
static vec all(float x) { return x - (vec){0}; }
static float sum(vec v) {
    float s[L];
    store(s, v);
    for (int w = L / 2; w; w /= 2)
        for (int l = 0; l < w; l++) s[l] += s[l + w];
    return s[0];
}

/* c (n, w) += a (n, k) b (k, w), a row stride, b and c rows w; w a multiple of L */
static void product(int n, int k, int w, const float *a, int as, const float *b, float *c) {
    for (int i = 0; i < n; i += 4)
        for (int j = 0; j < w; j += L) {
            vec s[4];
            for (int r = 0; r < 4; r++) s[r] = load(c + (i + r) * w + j);
            for (int l = 0; l < k; l++) {
                const vec x = load(b + l * w + j);
                for (int r = 0; r < 4; r++) s[r] += all(a[(i + r) * as + l]) * x;
            }
            for (int r = 0; r < 4; r++) store(c + (i + r) * w + j, s[r]);
        }
}
static void transpose(int n, int w, const float *a, float *out) {
    for (int i = 0; i < n; i++) for (int j = 0; j < w; j++) out[j * n + i] = a[i * w + j];
}

/* S: (T + 1, d, d), rows by key */
static void steps(int T, int d, float g, const float *q, const float *k, const float *v, float *S, float *y) {
    memset(S, 0, sizeof(float) * d * d);
    for (int t = 0; t < T; t++, S += d * d, q += d, k += d, v += d, y += d)
        for (int j = 0; j < d; j += L) {
            vec out = all(0), x = load(v + j);
            for (int i = 0; i < d; i++) {
                const vec s = all(g) * load(S + i * d + j) + all(k[i]) * x;
                store(S + (d + i) * d + j, s);
                out += all(q[i]) * s;
            }
            store(y + j, out);
        }
}
static void steps_back(int T, int d, float g, const float *q, const float *k, const float *v, const float *S, const float *dy,
                       float *dS, float *dq, float *dk, float *dv) {
    memset(dS, 0, sizeof(float) * d * d);
    for (int t = T - 1; t >= 0; t--) {
        const float *s = S + (t + 1) * d * d;
        for (int i = 0; i < d; i++) {
            vec of_q = all(0), of_k = all(0);
            for (int j = 0; j < d; j += L) {
                const vec o = load(dy + t * d + j), r = load(dS + i * d + j) + all(q[t * d + i]) * o;
                of_q += load(s + i * d + j) * o;
                of_k += r * load(v + t * d + j);
                store(dv + t * d + j, (i ? load(dv + t * d + j) : all(0)) + all(k[t * d + i]) * r);
                store(dS + i * d + j, all(g) * r);
            }
            dq[t * d + i] = sum(of_q);
            dk[t * d + i] = sum(of_k);
        }
    }
}

enum { MOST = 64 };
/* chunks of C steps; S: (T / C + 1, d, d) */
static void chunks(int T, int d, int C, float g, const float *q, const float *k, const float *v, float *S, float *y) {
    static float A[MOST * MOST], kt[MOST * MOST], kd[MOST * MOST], qd[MOST * MOST], power[MOST + 1];
    power[0] = 1;
    for (int t = 1; t <= C; t++) power[t] = power[t - 1] * g;
    memset(S, 0, sizeof(float) * d * d);
    for (int c = 0; c < T; c += C, S += d * d, q += C * d, k += C * d, v += C * d, y += C * d) {
        transpose(C, d, k, kt);
        memset(A, 0, sizeof(float) * C * C);
        product(C, d, C, q, d, kt, A);
        for (int t = 0; t < C; t++) for (int s = 0; s < C; s++) A[t * C + s] = s <= t ? A[t * C + s] * power[t - s] : 0;
        memset(y, 0, sizeof(float) * C * d);
        product(C, C, d, A, C, v, y);
        for (int t = 0; t < C; t++) for (int i = 0; i < d; i++) qd[t * d + i] = q[t * d + i] * power[t + 1];
        product(C, d, d, qd, d, S, y);
        for (int i = 0; i < d; i++) for (int t = 0; t < C; t++) kd[i * C + t] = kt[i * C + t] * power[C - 1 - t];
        for (int u = 0; u < d * d; u++) S[d * d + u] = S[u] * power[C];
        product(d, C, d, kd, C, v, S + d * d);
    }
}
static void chunks_back(int T, int d, int C, float g, const float *q, const float *k, const float *v, const float *S,
                        const float *dy, float *dS, float *dq, float *dk, float *dv) {
    static float A[MOST * MOST], dA[MOST * MOST], at[MOST * MOST], kt[MOST * MOST], vt[MOST * MOST], st[MOST * MOST],
        tmp[MOST * MOST], power[MOST + 1];
    power[0] = 1;
    for (int t = 1; t <= C; t++) power[t] = power[t - 1] * g;
    memset(dS, 0, sizeof(float) * d * d);
    for (int c = T - C; c >= 0; c -= C) {
        const float *Q = q + c * d, *K = k + c * d, *V = v + c * d, *O = dy + c * d, *s = S + c / C * d * d;
        float *dQ = dq + c * d, *dK = dk + c * d, *dV = dv + c * d;
        transpose(C, d, K, kt);
        transpose(C, d, V, vt);
        memset(A, 0, sizeof(float) * C * C);
        memset(dA, 0, sizeof(float) * C * C);
        product(C, d, C, Q, d, kt, A);
        product(C, d, C, O, d, vt, dA);
        for (int t = 0; t < C; t++)
            for (int r = 0; r < C; r++) {
                const float p = r <= t ? power[t - r] : 0;
                A[t * C + r] *= p;
                dA[t * C + r] *= p;
            }
        /* dV = A' O + decayed K dS; dK = dA' Q + decayed V dS'; dQ = dA K + decay O S' */
        transpose(C, C, A, at);
        for (int t = 0; t < C; t++) for (int i = 0; i < d; i++) tmp[t * d + i] = K[t * d + i] * power[C - 1 - t];
        memset(dV, 0, sizeof(float) * C * d);
        product(C, C, d, at, C, O, dV);
        product(C, d, d, tmp, d, dS, dV);
        transpose(C, C, dA, at);
        transpose(d, d, dS, st);
        for (int t = 0; t < C; t++) for (int i = 0; i < d; i++) tmp[t * d + i] = V[t * d + i] * power[C - 1 - t];
        memset(dK, 0, sizeof(float) * C * d);
        product(C, C, d, at, C, Q, dK);
        product(C, d, d, tmp, d, st, dK);
        transpose(d, d, s, st);
        for (int t = 0; t < C; t++) for (int i = 0; i < d; i++) tmp[t * d + i] = O[t * d + i] * power[t + 1];
        memset(dQ, 0, sizeof(float) * C * d);
        product(C, C, d, dA, C, K, dQ);
        product(C, d, d, tmp, d, st, dQ);
        for (int t = 0; t < C; t++) for (int i = 0; i < d; i++) kt[i * C + t] = Q[t * d + i] * power[t + 1];
        for (int u = 0; u < d * d; u++) dS[u] *= power[C];
        product(d, C, d, kt, C, O, dS);
    }
}
static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static float *numbers(size_t n, int random) {
    float *p = aligned_alloc(64, (n * sizeof(float) + 63) / 64 * 64);
    if (!p) exit(1);
    for (size_t i = 0; i < n; i++) p[i] = random ? (float)rand() / (float)RAND_MAX - .5f : 0;
    return p;
}

/* Of n sequences of T steps: q, k, v and the gradient of y; y and the gradients of q, k, v, twice. */
typedef struct { int T, d, n; float *q, *k, *v, *dy, *out[8], *S, *dS; } Job;

/* C: steps of a chunk; 0: step by step. Seconds of forward and backward, if these are the best so far. */
static void run(const Job *job, int C, double *best) {
    const size_t d = (size_t)job->d, states = (size_t)(C ? job->T / C + 1 : job->T + 1) * d * d;
    const float g = .97f;
    float *const *out = job->out + (C ? 4 : 0);
    const double begin = seconds();
    for (int i = 0; i < job->n; i++) {
        const size_t o = (size_t)i * (size_t)job->T * d;
        if (C) chunks(job->T, job->d, C, g, job->q + o, job->k + o, job->v + o, job->S + (size_t)i * states, out[0] + o);
        else steps(job->T, job->d, g, job->q + o, job->k + o, job->v + o, job->S + (size_t)i * states, out[0] + o);
    }
    const double middle = seconds();
    for (int i = 0; i < job->n; i++) {
        const size_t o = (size_t)i * (size_t)job->T * d;
        if (C)
            chunks_back(job->T, job->d, C, g, job->q + o, job->k + o, job->v + o, job->S + (size_t)i * states, job->dy + o,
                        job->dS, out[1] + o, out[2] + o, out[3] + o);
        else
            steps_back(job->T, job->d, g, job->q + o, job->k + o, job->v + o, job->S + (size_t)i * states, job->dy + o, job->dS,
                       out[1] + o, out[2] + o, out[3] + o);
    }
    best[0] = fmin(best[0], middle - begin);
    best[1] = fmin(best[1], seconds() - middle);
}

static void measure(int T, int d, int n) {
    const size_t m = (size_t)n * (size_t)T * (size_t)d;
    Job job = {.T = T, .d = d, .n = n, .q = numbers(m, 1), .k = numbers(m, 1), .v = numbers(m, 1), .dy = numbers(m, 1),
               .S = numbers((size_t)n * (size_t)(T + 1) * (size_t)(d * d), 0), .dS = numbers((size_t)(d * d), 0)};
    double best[6] = {1, 1, 1, 1, 1, 1}, difference = 0;
    for (int i = 0; i < 8; i++) job.out[i] = numbers(m, 0);
    for (int repeat = 0; repeat < 7; repeat++)
        for (int way = 0; way < 3; way++) run(&job, 16 * way, best + 2 * way);
    for (int x = 0; x < 4; x++)
        for (size_t i = 0; i < m; i++) difference = fmax(difference, fabs(job.out[x][i] - job.out[4 + x][i]));
    printf("%5d %3d %4d |", T, d, n);
    for (int x = 0; x < 6; x++) printf(" %7.3f%s", best[x] / n / T * 1e6, x % 2 ? " |" : "");
    printf(" %.1e\n", difference);
    free(job.q), free(job.k), free(job.v), free(job.dy), free(job.S), free(job.dS);
    for (int i = 0; i < 8; i++) free(job.out[i]);
}

int main(void) {
    printf("steps, units of a head, sequences | us for each step of one: step by step | chunks of 16 | of 32 | difference\n");
    for (int d = 16; d <= 64; d *= 2) measure(32, d, 32 * 64 / d);
    for (int d = 16; d <= 64; d *= 2) measure(4096, d, 8 * 64 / d);
    return 0;
}
