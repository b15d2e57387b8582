/* The register tile: TILE_ROWS rows by 4 vectors of columns, kept in registers over the whole of k.
 *
 * Every product of the package runs through one of the three loops below. Rows never share an accumulator and every
 * row sees its k in the same order whatever `rows` is, so a row has the same bits alone and in a batch.
 * 16 registers (SSE2, AVX2): 3 x 4 accumulators + 3 broadcasts + 1 load. 32 registers (AVX-512, NEON): 6 x 4.
 */
#ifndef TILE_ROWS
#  if SKLSTM_VEC_BYTES == 64 || defined(__aarch64__)
#    define TILE_ROWS 6
#  else
#    define TILE_ROWS 3
#  endif
#  define TILE_VECS 4
#endif

/* acc[r][v] += sum_k a[r][k] * b[k][v]; b is one packed panel, k-major, `vecs` vectors a row. The shorter side of the tile
 * is what a turn keeps in registers beside the accumulators. */
SKLSTM_INLINE void accumulate(const int rows, const int vecs, Py_ssize_t n_k, const real *const *restrict a,
                              const real *restrict b, vec (*acc)[TILE_VECS]) {
    for (Py_ssize_t k = 0; k < n_k; k++, b += vecs * LANES) {
        if (vecs < 3) {
            vec w[2];
#pragma GCC unroll 2
            for (int v = 0; v < vecs; v++) w[v] = v_load(b + v * LANES);
#pragma GCC unroll 12
            for (int r = 0; r < rows; r++) {
                const vec x = v_broadcast(a[r][k]);
#pragma GCC unroll 2
                for (int v = 0; v < vecs; v++) acc[r][v] = v_fma(x, w[v], acc[r][v]);
            }
        } else {
            vec x[TILE_ROWS];
#pragma GCC unroll 6
            for (int r = 0; r < rows; r++) x[r] = v_broadcast(a[r][k]);
#pragma GCC unroll 4
            for (int v = 0; v < vecs; v++) {
                const vec w = v_load(b + v * LANES);
#pragma GCC unroll 6
                for (int r = 0; r < rows; r++) acc[r][v] = v_fma(x[r], w, acc[r][v]);
            }
        }
    }
}

/* out (rows, vecs) = a (rows, n_k) @ panel, optionally added to what out holds. The last panel of a matrix may have fewer
 * than 4 vectors; it takes twice the rows where that keeps the FMA units busy. */
SKLSTM_INLINE void product_rows(const int rows, const int vecs, int add, Py_ssize_t n_k, const real *const *a,
                                const real *restrict panel, real *restrict out, Py_ssize_t out_stride) {
    vec acc[2 * TILE_ROWS][TILE_VECS];
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vecs; v++) acc[r][v] = add ? v_load(out + r * out_stride + v * LANES) : v_broadcast(0);
    accumulate(rows, vecs, n_k, a, panel, acc);
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vecs; v++) v_store(out + r * out_stride + v * LANES, acc[r][v]);
}

/* out (rows, 4 vectors) += sum_p a[p, 0:rows]^T d[p, 0:4 vectors]: the outer product of a gradient, over pairs of rows. */
SKLSTM_INLINE void outer_rows(const int rows, Py_ssize_t n_pairs, const real *restrict a, Py_ssize_t a_stride,
                              const real *restrict d, Py_ssize_t d_stride, real *restrict out) {
    vec acc[TILE_ROWS][TILE_VECS];
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < TILE_VECS; v++) acc[r][v] = v_load(out + (r * TILE_VECS + v) * LANES);
    for (Py_ssize_t p = 0; p < n_pairs; p++, a += a_stride, d += d_stride) {
        vec x[TILE_ROWS];
#pragma GCC unroll 6
        for (int r = 0; r < rows; r++) x[r] = v_broadcast(a[r]);
#pragma GCC unroll 4
        for (int v = 0; v < TILE_VECS; v++) {
            const vec w = v_load(d + v * LANES);
#pragma GCC unroll 6
            for (int r = 0; r < rows; r++) acc[r][v] = v_fma(x[r], w, acc[r][v]);
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < TILE_VECS; v++) v_store(out + (r * TILE_VECS + v) * LANES, acc[r][v]);
}

/* `rows` must be a constant inside the tile, or the accumulators live in memory: one instance for each count. */
#if TILE_ROWS == 6
#  define FOR_TILE_ROWS(rows, CALL) \
    switch (rows) { case 6: CALL(6); break; case 5: CALL(5); break; case 4: CALL(4); break; \
                    case 3: CALL(3); break; case 2: CALL(2); break; default: CALL(1); }
#else
#  define FOR_TILE_ROWS(rows, CALL) switch (rows) { case 3: CALL(3); break; case 2: CALL(2); break; default: CALL(1); }
#endif

/* The rows that product_tile takes at once when `left` are left. */
SKLSTM_INLINE int tile_rows(int vecs, Py_ssize_t left) {
    if (vecs == TILE_VECS) return left < TILE_ROWS ? (int)left : TILE_ROWS;
    if (vecs < 3 && left >= 2 * TILE_ROWS) return 2 * TILE_ROWS;
    return left >= TILE_ROWS ? TILE_ROWS : 1;
}

static void product_tile(int rows, int vecs, int add, Py_ssize_t n_k, const real *const *a, const real *panel,
                         real *out, Py_ssize_t out_stride) {
#define CALL(n) product_rows(n, 4, add, n_k, a, panel, out, out_stride)
#define NARROW(n) \
    if (rows == TILE_ROWS) product_rows(TILE_ROWS, n, add, n_k, a, panel, out, out_stride); \
    else product_rows(1, n, add, n_k, a, panel, out, out_stride)
#define NARROW_TALL(n) \
    if (rows == 2 * TILE_ROWS) product_rows(2 * TILE_ROWS, n, add, n_k, a, panel, out, out_stride); \
    else NARROW(n)
    switch (vecs) {
        case 4: FOR_TILE_ROWS(rows, CALL) break;
        case 3: NARROW(3); break;
        case 2: NARROW_TALL(2); break;
        default: NARROW_TALL(1);
    }
#undef CALL
#undef NARROW
#undef NARROW_TALL
}

static void outer_tile(int rows, Py_ssize_t n_pairs, const real *a, Py_ssize_t a_stride, const real *d,
                       Py_ssize_t d_stride, real *out) {
#define CALL(n) outer_rows(n, n_pairs, a, a_stride, d, d_stride, out)
    FOR_TILE_ROWS(rows, CALL)
#undef CALL
}
