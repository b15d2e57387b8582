/* The register tile: TILE_ROWS rows by 4 vectors of columns, kept in registers over the whole of k.
 *
 * Every product of the package is one of the three loops below. Rows never share an accumulator, and the order of k is the same
 * for every number of rows, so a row has the same bits alone and in a batch.
 * 16 registers (SSE2, AVX2): 3 x 4 accumulators + 3 broadcasts + 1 load. 32 registers (AVX-512, NEON): 6 x 4.
 *
 * a and b hold words (words.h): `format` says of what, n_k and all strides count words. Where it is a constant, so is the
 * instruction.
 */
#ifndef TILE_ROWS
#  if SKLSTM_REDUCED && !SKLSTM_AVX512
#    define TILE_ROWS 3
#  elif SKLSTM_VEC_BYTES == 64 || defined(__aarch64__)
#    define TILE_ROWS 6
#  else
#    define TILE_ROWS 3
#  endif
#  define TILE_VECS 4
#endif

#if !SKLSTM_REDUCED || SKLSTM_AVX512
/* acc[r][first + v] += sum_k a[r][k] * b[k][v], k from `begin`; b is one packed panel, k-major, `vecs` vectors a row. The
 * shorter side of the tile is what an iteration keeps in registers beside the accumulators. */
SKLSTM_INLINE void accumulate(const int format, const int rows, const int first, const int vecs, Py_ssize_t begin,
                              Py_ssize_t n_k, const real *const *restrict a, const real *restrict b, vec (*acc)[TILE_VECS]) {
    for (Py_ssize_t k = begin; k < begin + n_k; k++, b += vecs * LANES) {
        if (vecs < 3) {
            operand w[2];
#pragma GCC unroll 2
            for (int v = 0; v < vecs; v++) w[v] = operand_of(format, v_load(b + v * LANES));
#pragma GCC unroll 12
            for (int r = 0; r < rows; r++) {
                const operand x = broadcast_word(format, a[r] + k);
#pragma GCC unroll 2
                for (int v = 0; v < vecs; v++) acc[r][first + v] = multiply_add(format, x, w[v], acc[r][first + v]);
            }
        } else {
            operand x[TILE_ROWS];
#pragma GCC unroll 6
            for (int r = 0; r < rows; r++) x[r] = broadcast_word(format, a[r] + k);
#pragma GCC unroll 4
            for (int v = 0; v < vecs; v++) {
                const operand w = operand_of(format, v_load(b + v * LANES));
#pragma GCC unroll 6
                for (int r = 0; r < rows; r++) acc[r][first + v] = multiply_add(format, x[r], w, acc[r][first + v]);
            }
        }
    }
}

/* acc[r][v] += sum_p a[p][r] d[p][v]. `next`: what will be added to next, a vector of it prefetched with each pair. */
SKLSTM_INLINE void accumulate_outer(const int format, const int rows, const int vecs, Py_ssize_t n_pairs,
                                    const real *restrict a, Py_ssize_t a_stride, const real *restrict d, Py_ssize_t d_stride,
                                    const real *next, vec (*acc)[TILE_VECS]) {
    for (Py_ssize_t p = 0; p < n_pairs; p++, a += a_stride, d += d_stride) {
        operand x[TILE_ROWS];
        SKLSTM_PREFETCH(next + p * LANES, 3);
#pragma GCC unroll 6
        for (int r = 0; r < rows; r++) x[r] = broadcast_word(format, a + r);
#pragma GCC unroll 4
        for (int v = 0; v < vecs; v++) {
            const operand w = operand_of(format, v_load(d + v * LANES));
#pragma GCC unroll 6
            for (int r = 0; r < rows; r++) acc[r][v] = multiply_add(format, x[r], w, acc[r][v]);
        }
    }
}
#else
#  include "narrow_tile.h"
#endif

/* out (rows, vecs) = start + a @ panel; rows of start, which may be out, are start_stride apart, and NULL stands for zeros. A row
 * of a is n_runs times run_length numbers, run_stride apart, of the panel panel_stride rows. The last panel of a matrix may have
 * fewer than 4 vectors; it takes twice the rows where that keeps the FMA units busy. */
SKLSTM_INLINE void product_rows(const int format, const int rows, const int vecs, const real *start, Py_ssize_t start_stride,
                                Py_ssize_t n_runs, Py_ssize_t run_length, Py_ssize_t run_stride, Py_ssize_t panel_stride,
                                const real *const *a, const real *restrict panel, real *out, Py_ssize_t out_stride) {
    vec acc[2 * TILE_ROWS][TILE_VECS];
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vecs; v++) acc[r][v] = start ? v_load(start + r * start_stride + v * LANES) : v_broadcast(0);
    for (Py_ssize_t run = 0; run < n_runs; run++, panel += panel_stride * vecs * LANES)
        accumulate(format, rows, 0, vecs, run * run_stride, run_length, a, panel, acc);
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vecs; v++) v_store(out + r * out_stride + v * LANES, acc[r][v]);
}

/* out (rows, vecs) += sum_p a[p, 0:rows]^T d[p, 0:vecs vectors]: the outer product of a gradient, over words of pairs. */
SKLSTM_INLINE void outer_rows(const int format, const int rows, const int vecs, Py_ssize_t n_pairs, const real *restrict a,
                              Py_ssize_t a_stride, const real *restrict d, Py_ssize_t d_stride, real *restrict out) {
    vec acc[TILE_ROWS][TILE_VECS];
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vecs; v++) acc[r][v] = v_load(out + (r * vecs + v) * LANES);
    accumulate_outer(format, rows, vecs, n_pairs, a, a_stride, d, d_stride, out + rows * vecs * LANES, acc);
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vecs; v++) v_store(out + (r * vecs + v) * LANES, acc[r][v]);
}

/* The rows of a tile of fewer than 4 vectors when `left` are left. */
SKLSTM_INLINE int narrow_rows(Py_ssize_t left) { return left >= TILE_ROWS ? TILE_ROWS : left > 3 ? 4 : left > 1 ? 2 : 1; }

/* The rows that product_tile takes at once when `left` are left. */
SKLSTM_INLINE int tile_rows(int vecs, Py_ssize_t left) {
    if (vecs == TILE_VECS) return left < TILE_ROWS ? (int)left : TILE_ROWS;
    if (vecs < 3 && left >= 2 * TILE_ROWS) return 2 * TILE_ROWS;
    return narrow_rows(left);
}

/* TILE(rows, vecs) must see constants, or the accumulators live in memory: one instance for each size that tile_rows gives. */
#if SKLSTM_REDUCED && !SKLSTM_AVX512 /* there they do anyway */
#  define FOR_TILE_ROWS(rows, vecs, TILE) TILE(rows, vecs);
#elif TILE_ROWS == 6
#  define FOR_TILE_ROWS(rows, vecs, TILE) \
    switch (rows) { case 6: TILE(6, vecs); break; case 5: TILE(5, vecs); break; case 4: TILE(4, vecs); break; \
                    case 3: TILE(3, vecs); break; case 2: TILE(2, vecs); break; default: TILE(1, vecs); }
#else
#  define FOR_TILE_ROWS(rows, vecs, TILE) \
    switch (rows) { case 3: TILE(3, vecs); break; case 2: TILE(2, vecs); break; default: TILE(1, vecs); }
#endif
#define FOR_NARROW_TILE(rows, vecs, TILE) \
    if (rows == TILE_ROWS) TILE(TILE_ROWS, vecs); \
    else if (rows == 4 && TILE_ROWS > 4) TILE(4, vecs); \
    else if (rows == 2) TILE(2, vecs); \
    else TILE(1, vecs)
#define FOR_TALL_TILE(rows, vecs, TILE) \
    if (rows == 2 * TILE_ROWS) TILE(2 * TILE_ROWS, vecs); \
    else FOR_NARROW_TILE(rows, vecs, TILE)
/* ONE_OR_TWO: which of the two above for one or two vectors */
#if SKLSTM_REDUCED && !SKLSTM_AVX512
#  define FOR_TILE(rows, vecs, TILE, ONE_OR_TWO) TILE(rows, vecs);
#else
#  define FOR_TILE(rows, vecs, TILE, ONE_OR_TWO) \
    switch (vecs) { \
        case 4: FOR_TILE_ROWS(rows, 4, TILE) break; \
        case 3: FOR_NARROW_TILE(rows, 3, TILE); break; \
        case 2: ONE_OR_TWO(rows, 2, TILE); break; \
        default: ONE_OR_TWO(rows, 1, TILE); \
    }
#endif

/* One instance of a tile for each format that it is called with. */
#if SKLSTM_REDUCED && !SKLSTM_AVX512
#  define FOR_FORMAT(format, CALL) CALL(format)
#elif SKLSTM_REDUCED
#  define FOR_FORMAT(format, CALL) \
    if (format == BF16_PAIRS) CALL(BF16_PAIRS); \
    else CALL(REALS)
#else
#  define FOR_FORMAT(format, CALL) (void)(format); CALL(REALS)
#endif

SKLSTM_INLINE void product_tile_in(const int format, int rows, int vecs, const real *start, Py_ssize_t start_stride,
                                   Py_ssize_t n_k, const real *const *a, const real *panel, real *out, Py_ssize_t out_stride) {
#define TILE(n, v) product_rows(format, n, v, start, start_stride, 1, n_k, 0, n_k, a, panel, out, out_stride)
    FOR_TILE(rows, vecs, TILE, FOR_TALL_TILE)
#undef TILE
}

static void product_tile_from(int format, int rows, int vecs, const real *start, Py_ssize_t start_stride, Py_ssize_t n_k,
                              const real *const *a, const real *panel, real *out, Py_ssize_t out_stride) {
#define CALL(f) product_tile_in(f, rows, vecs, start, start_stride, n_k, a, panel, out, out_stride)
    FOR_FORMAT(format, CALL);
#undef CALL
}

/* The product, or the product added to what out holds. */
SKLSTM_INLINE void product_tile(int format, int rows, int vecs, int add, Py_ssize_t n_k, const real *const *a,
                                const real *panel, real *out, Py_ssize_t out_stride) {
    product_tile_from(format, rows, vecs, add ? out : NULL, out_stride, n_k, a, panel, out, out_stride);
}

SKLSTM_INLINE void product_tile_of_runs_in(const int format, int rows, int vecs, int add, Py_ssize_t n_runs,
                                           Py_ssize_t run_length, Py_ssize_t run_stride, Py_ssize_t panel_stride,
                                           const real *const *a, const real *panel, real *out, Py_ssize_t out_stride) {
#define TILE(n, v)                                                                                                            \
    product_rows(format, n, v, add ? out : NULL, out_stride, n_runs, run_length, run_stride, panel_stride, a, panel, out,     \
                 out_stride)
    FOR_TILE(rows, vecs, TILE, FOR_TALL_TILE)
#undef TILE
}

/* Of gradients: reals or bf16. */
static void product_tile_of_runs(int format, int rows, int vecs, int add, Py_ssize_t n_runs, Py_ssize_t run_length,
                                 Py_ssize_t run_stride, Py_ssize_t panel_stride, const real *const *a, const real *panel,
                                 real *out, Py_ssize_t out_stride) {
#define CALL(f)                                                                                                               \
    product_tile_of_runs_in(f, rows, vecs, add, n_runs, run_length, run_stride, panel_stride, a, panel, out, out_stride)
    if (SKLSTM_REDUCED && format == BF16_PAIRS) CALL(BF16_PAIRS);
    else CALL(REALS);
#undef CALL
}

SKLSTM_INLINE void outer_tile_in(const int format, int rows, int vecs, Py_ssize_t n_pairs, const real *a, Py_ssize_t a_stride,
                                 const real *d, Py_ssize_t d_stride, real *out) {
#define TILE(n, v) outer_rows(format, n, v, n_pairs, a, a_stride, d, d_stride, out)
    FOR_TILE(rows, vecs, TILE, FOR_NARROW_TILE)
#undef TILE
}

/* Of gradients: reals or bf16. */
static void outer_tile(int format, int rows, int vecs, Py_ssize_t n_pairs, const real *a, Py_ssize_t a_stride, const real *d,
                       Py_ssize_t d_stride, real *out) {
    if (SKLSTM_REDUCED && format == BF16_PAIRS)
        outer_tile_in(BF16_PAIRS, rows, vecs, n_pairs, a, a_stride, d, d_stride, out);
    else outer_tile_in(REALS, rows, vecs, n_pairs, a, a_stride, d, d_stride, out);
}

/* sums (rows, n_sums vectors of one panel) = start + [x | h] @ panel, the rows of sums and of start a stride apart. x, h: row
 * pointers, n_x and n_h words. panel: n_x rows of the x_count vectors from x_first on, n_h rows of those that read h. */
SKLSTM_INLINE void sum_rows_of_panel(const int format, const int rows, const int x_first, const int x_count, const int h_first,
                                     const int h_count, Py_ssize_t n_x, const real *const *x, Py_ssize_t n_h,
                                     const real *const *h, const real *panel, const real *const *start, real *restrict sums,
                                     Py_ssize_t stride) {
    vec acc[TILE_ROWS][TILE_VECS];
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < TILE_VECS; v++) acc[r][v] = v_load(start[r] + v * LANES);
    if (n_x) accumulate(format, rows, x_first, x_count, 0, n_x, x, panel, acc);
    accumulate(format, rows, h_first, h_count, 0, n_h, h, panel + n_x * x_count * LANES, acc);
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < TILE_VECS; v++) v_store(sums + r * stride + v * LANES, acc[r][v]);
}

/* All four vectors read x and h. */
static void sum_tile(int format, int rows, Py_ssize_t n_x, const real *const *x, Py_ssize_t n_h, const real *const *h,
                     const real *panel, const real *const *start, real *sums, Py_ssize_t stride) {
#define REAL_TILE(n, v) sum_rows_of_panel(REALS, n, 0, v, 0, v, n_x, x, n_h, h, panel, start, sums, stride)
#define PAIR_TILE(n, v) sum_rows_of_panel(BF16_PAIRS, n, 0, v, 0, v, n_x, x, n_h, h, panel, start, sums, stride)
    if (SKLSTM_REDUCED && format == BF16_PAIRS) FOR_TILE_ROWS(rows, 4, PAIR_TILE)
    else FOR_TILE_ROWS(rows, 4, REAL_TILE)
#undef REAL_TILE
#undef PAIR_TILE
}

/* The first three read x, the last three read h. */
static void sum_tile_of_three(int format, int rows, Py_ssize_t n_x, const real *const *x, Py_ssize_t n_h,
                              const real *const *h, const real *panel, const real *const *start, real *sums,
                              Py_ssize_t stride) {
#define REAL_TILE(n, v) sum_rows_of_panel(REALS, n, 0, v, 1, v, n_x, x, n_h, h, panel, start, sums, stride)
#define PAIR_TILE(n, v) sum_rows_of_panel(BF16_PAIRS, n, 0, v, 1, v, n_x, x, n_h, h, panel, start, sums, stride)
    if (SKLSTM_REDUCED && format == BF16_PAIRS) FOR_TILE_ROWS(rows, 3, PAIR_TILE)
    else FOR_TILE_ROWS(rows, 3, REAL_TILE)
#undef REAL_TILE
#undef PAIR_TILE
}
