/* Loops that time the kernels of one instruction-set variant, and the limits that they are held against.
 *
 * The headers of the package are compiled here with the flags that setup.py gives to the variant in use. The loops over
 * panels and rows are those of isa/layers and isa/products.h. Every time_* runs its work `repeats`
 * times and returns the seconds of one. */

#include "isa/kernels.h" /* with Python.h: it comes first, or clock_gettime stays hidden */

#include <time.h>

#define WIDTH (4 * LANES)
#define CHUNK_ROWS 32

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Without the barrier the compiler may see that a second pass would leave the same numbers, and drop it. */
#define TIMED(...) \
    const double begin = seconds(); \
    for (Py_ssize_t repeat = 0; repeat < repeats; repeat++) { __VA_ARGS__ __asm__ volatile("" ::: "memory"); } \
    return (seconds() - begin) / (double)repeats

int lanes(void) { return LANES; }
int rows_of_tile(void) { return TILE_ROWS; }
int rows_of_product(int vecs, Py_ssize_t left) { return tile_rows(vecs, left); }

/* The kernels. `format` says what a word of their operands holds (isa/words.h); n_x, n_h, n_k, n_pairs and strides count words. */

/* Panel p writes to out + p * out_step: 0 is the scratch of the layer, which holds one panel. */
double time_sum_tile(Py_ssize_t repeats, Py_ssize_t format, Py_ssize_t n_rows, Py_ssize_t n_x, Py_ssize_t n_h,
                     Py_ssize_t n_panels, const real *x, const real *h, const real *weights, const real *bias, real *out,
                     Py_ssize_t out_step) {
    const real *x_rows[CHUNK_ROWS], *h_rows[CHUNK_ROWS], *start[TILE_ROWS];
    for (Py_ssize_t r = 0; r < n_rows; r++) {
        x_rows[r] = x + r * n_x;
        h_rows[r] = h + r * n_h;
    }
    TIMED(for (Py_ssize_t p = 0; p < n_panels; p++) {
        for (int i = 0; i < TILE_ROWS; i++) start[i] = bias + p * WIDTH;
        for (Py_ssize_t r = 0; r < n_rows; r += TILE_ROWS)
            sum_tile((int)format, (int)(n_rows - r < TILE_ROWS ? n_rows - r : TILE_ROWS), n_x, x_rows + r, n_h,
                     h_rows + r, weights + p * (n_x + n_h) * WIDTH, start, out + p * out_step + r * WIDTH, WIDTH);
    });
}

/* As in training: every step keeps its gates and states (in the 16 bits of isa/kept.h, with reduced numbers), z is one panel's scratch. It is not filled again: the
 * activations of activations stay ordinary numbers, and the time does not depend on their values. */
double time_cell_forward(Py_ssize_t repeats, Py_ssize_t n_steps, Py_ssize_t n_rows, Py_ssize_t n_panels, real *z,
                         void *gates, real *c, void *tanh_c, real *h) {
    const Py_ssize_t stride = n_panels * LANES, state = n_rows * stride;
    TIMED(for (Py_ssize_t t = 0; t < n_steps; t++)
              for (Py_ssize_t p = 0; p < n_panels; p++) {
                  const Py_ssize_t at = t * state + p * LANES;
                  const CellArrays arrays = {
                      kept_at(COMPACT, gates, 4 * at), kept_at(COMPACT, tanh_c, at), NULL, NULL, c + at, c + at + state,
                      h + at + state,
                  };
                  lstm_cells(n_rows, 1, stride, z, WIDTH, &arrays);
              });
}

/* As in a stream: one row, all panels, nothing kept. */
double time_cell_of_row(Py_ssize_t repeats, Py_ssize_t n_panels, real *z, real *c, real *h) {
    const CellArrays arrays = {NULL, NULL, NULL, NULL, c, c, h};
    TIMED(lstm_cells(1, n_panels, n_panels * LANES, z, n_panels * WIDTH, &arrays););
}

/* Back over all steps. The gates are overwritten, so each pass gets them afresh, outside its time: otherwise they would
 * shrink to denormal numbers. */
double time_cell_backward(Py_ssize_t repeats, Py_ssize_t n_steps, Py_ssize_t n_rows, Py_ssize_t n_units, void *gates,
                          const void *saved, const real *c, const void *tanh_c, const real *d_h, real *d_c,
                          real *d_bias) {
    const Py_ssize_t state = n_rows * n_units;
    double total = 0;
    for (Py_ssize_t repeat = 0; repeat < repeats; repeat++) {
        memcpy(gates, saved, (size_t)(4 * n_steps * state) * sizeof(stored));
        memset(d_c, 0, (size_t)state * sizeof(real));
        memset(d_bias, 0, (size_t)(4 * n_units) * sizeof(real));
        const double begin = seconds();
        for (Py_ssize_t t = n_steps - 1; t >= 0; t--)
            for (Py_ssize_t r = 0; r < n_rows; r++) {
                const Py_ssize_t at = t * state + r * n_units;
                real *sums = (real *)kept_at(COMPACT, gates, 4 * at);
                const CellRow row = {
                    .stride = n_units, .gates = sums, .d_sums = sums, .kept = (real *)kept_at(COMPACT, tanh_c, at),
                    .c_prev = c + at, .d_h = d_h + r * n_units, .d_c = d_c + r * n_units, .d_bias = d_bias,
                };
                cells_backward(&lstm, &row, 1);
            }
        total += seconds() - begin;
    }
    return total / (double)repeats;
}

double time_product(Py_ssize_t repeats, Py_ssize_t format, Py_ssize_t n_rows, Py_ssize_t n_k, Py_ssize_t n_vecs,
                    const real *a, const real *panels, real *out, Py_ssize_t out_stride) {
    const real *rows[2 * TILE_ROWS];
    TIMED(for (Py_ssize_t first = 0; first < n_vecs; first += TILE_VECS) {
        const int vecs = (int)(n_vecs - first < TILE_VECS ? n_vecs - first : TILE_VECS);
        for (Py_ssize_t r = 0; r < n_rows;) {
            const int count = tile_rows(vecs, n_rows - r);
            for (int i = 0; i < count; i++) rows[i] = a + (r + i) * n_k;
            product_tile((int)format, count, vecs, 0, n_k, rows, panels + first * n_k * LANES,
                         out + r * out_stride + first * LANES, out_stride);
            r += count;
        }
    });
}

/* d is one panel's scratch, filled anew for each panel in the layer; here all panels take the same. */
double time_outer(Py_ssize_t repeats, Py_ssize_t format, Py_ssize_t n_pairs, Py_ssize_t n_k, Py_ssize_t n_panels,
                  const real *a, Py_ssize_t a_stride, const real *d, real *panels) {
    TIMED(for (Py_ssize_t p = 0; p < n_panels; p++)
              for (Py_ssize_t k = 0; k < n_k; k += TILE_ROWS)
                  outer_tile((int)format, (int)(n_k - k < TILE_ROWS ? n_k - k : TILE_ROWS), TILE_VECS, n_pairs, a + k,
                             a_stride, d, WIDTH, panels + (p * n_k + k) * WIDTH););
}

#if SKLSTM_REDUCED
/* Rows of n numbers to pairs of bf16, as before every product. */
double time_rounding(Py_ssize_t repeats, Py_ssize_t n_rows, Py_ssize_t n, const real *x, real *words) {
    TIMED(for (Py_ssize_t r = 0; r < n_rows; r++) bf16_row(n, x + r * n, words + r * ((n + 1) / 2)););
}

/* Sums of the products of integers, with scales and biases, of all panels; all of them to the scratch of one panel. */
double time_integer_products(Py_ssize_t repeats, Py_ssize_t format, Py_ssize_t n_rows, Py_ssize_t n_k, Py_ssize_t n_panels,
                             const uint32_t *a, const uint32_t *panels, const uint32_t *start, const real *scale,
                             const real *bias, real *z) {
    const real *rows[CHUNK_ROWS];
    for (Py_ssize_t r = 0; r < n_rows; r++) rows[r] = bias;
    TIMED(for (Py_ssize_t p = 0; p < n_panels; p++) {
        const IntegerProduct product = {(int)format, 4, n_rows, n_k, n_k, WIDTH, a, panels + p * n_k * WIDTH, start, scale,
                                        rows, z};
        integer_products(&product);
    });
}
#endif

/* The limits */

#define SIDES 8 /* independent sums: enough for two loads a cycle and an addition of four cycles */

/* n numbers read; n is a multiple of SIDES vectors. */
double time_read(Py_ssize_t repeats, Py_ssize_t n, const real *numbers, real *sink) {
    vec sum[SIDES];
    for (int j = 0; j < SIDES; j++) sum[j] = v_broadcast(0);
    const double begin = seconds();
    for (Py_ssize_t repeat = 0; repeat < repeats; repeat++)
        for (Py_ssize_t k = 0; k < n; k += SIDES * LANES)
#pragma GCC unroll 8
            for (int j = 0; j < SIDES; j++) sum[j] = v_add(sum[j], v_load(numbers + k + j * LANES));
    const double elapsed = seconds() - begin;
    for (int j = 0; j < SIDES; j++) v_store(sink + j * LANES, sum[j]); /* the sums are used, so the loop stays */
    return elapsed / (double)repeats;
}

/* n numbers read and written back. */
double time_update(Py_ssize_t repeats, Py_ssize_t n, real *numbers) {
    const vec half = v_broadcast((real)0.5);
    TIMED(for (Py_ssize_t k = 0; k < n; k += SIDES * LANES)
              _Pragma("GCC unroll 8") for (int j = 0; j < SIDES; j++) {
                  real *at = numbers + k + j * LANES;
                  v_store(at, v_fma(v_load(at), half, half));
              });
}

/* One vector operation after another: its latency. The operands come from memory, or the compiler would know them. */
double time_fma_chain(Py_ssize_t repeats, real *numbers) {
    vec x = v_load(numbers);
    const vec factor = v_load(numbers + LANES), summand = v_load(numbers + 2 * LANES);
    const double begin = seconds();
    for (Py_ssize_t repeat = 0; repeat < repeats; repeat++) x = v_fma(x, factor, summand);
    const double elapsed = seconds() - begin;
    v_store(numbers, x);
    return elapsed / (double)repeats;
}

double time_addition_chain(Py_ssize_t repeats, real *numbers) {
    vec x = v_load(numbers);
    const vec summand = v_load(numbers + LANES);
    const double begin = seconds();
    for (Py_ssize_t repeat = 0; repeat < repeats; repeat++) x = v_add(x, summand);
    const double elapsed = seconds() - begin;
    v_store(numbers, x);
    return elapsed / (double)repeats;
}

/* Many independent operations on numbers in L1: the throughput of the unit that divides and takes roots. */
double time_divisions(Py_ssize_t repeats, Py_ssize_t n, const real *restrict a, real *restrict out) {
    const vec one = v_broadcast(1);
    TIMED(for (Py_ssize_t k = 0; k < n; k += LANES) v_store(out + k, v_div(one, v_load(a + k))););
}

/* A loop of its own, which the compiler turns into vectors as it does that of the optimizer. */
static __attribute__((noinline)) void take_roots(Py_ssize_t n, const real *restrict a, real *restrict out) {
    for (Py_ssize_t k = 0; k < n; k++) out[k] = square_root(a[k]);
}

double time_roots(Py_ssize_t repeats, Py_ssize_t n, const real *a, real *out) { TIMED(take_roots(n, a, out);); }
