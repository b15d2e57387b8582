/* Softmax of a row of scores, forward and backward, and a product with a transposed left side. The result of a row depends on
 * that row alone.
 */

/* The larger of two in each lane; where either is NaN, b. */
SKLSTM_INLINE vec v_larger(vec a, vec b) {
#if defined(__GNUC__) && defined(__AVX512F__) && SKLSTM_VEC_BYTES == 64
    return SKLSTM_REAL_IS_FLOAT ? (vec)_mm512_max_ps((__m512)a, (__m512)b) : (vec)_mm512_max_pd((__m512d)a, (__m512d)b);
#elif defined(__GNUC__) && defined(__AVX__) && SKLSTM_VEC_BYTES == 32
    return SKLSTM_REAL_IS_FLOAT ? (vec)_mm256_max_ps((__m256)a, (__m256)b) : (vec)_mm256_max_pd((__m256d)a, (__m256d)b);
#elif defined(__GNUC__) && defined(__SSE2__) && SKLSTM_VEC_BYTES == 16
    return SKLSTM_REAL_IS_FLOAT ? (vec)_mm_max_ps((__m128)a, (__m128)b) : (vec)_mm_max_pd((__m128d)a, (__m128d)b);
#else
    for (int l = 0; l < LANES; l++) LANE(b, l) = LANE(a, l) > LANE(b, l) ? LANE(a, l) : LANE(b, l);
    return b;
#endif
}

/* x = exp(scale x - top) factor over a row of whole vectors; returns the sum of exp(scale x - top), lane by lane. */
SKLSTM_INLINE vec exp_row(Py_ssize_t n_padded, real scale, real top, real factor, real *row) {
    const vec scales = v_broadcast(scale), minus_top = v_broadcast(-top), factors = v_broadcast(factor);
    vec sum = v_broadcast(0), x[SIDE_BY_SIDE];
    Py_ssize_t u = 0;
    for (; u + SIDE_BY_SIDE * LANES <= n_padded; u += SIDE_BY_SIDE * LANES) {
        const int n = SIDE_BY_SIDE;
        EACH x[j] = v_fma(v_load(row + u + j * LANES), scales, minus_top);
        v_exp(n, x);
        EACH {
            sum = v_add(sum, x[j]);
            v_store(row + u + j * LANES, v_mul(x[j], factors));
        }
    }
    for (; u < n_padded; u += LANES) {
        x[0] = v_fma(v_load(row + u), scales, minus_top);
        v_exp(1, x);
        sum = v_add(sum, x[0]);
        v_store(row + u, v_mul(x[0], factors));
    }
    return sum;
}

/* The first n scores of a row, times scale, become the numerators of their softmax; the masked ones, n .. n_padded, become
 * zero. There is room up to a whole vector. statistics: the largest score times scale, and 1 / normaliser; the caller
 * multiplies the output of the head by it, which has fewer numbers than the row. */
static void softmax_row(Py_ssize_t n, Py_ssize_t n_padded, real scale, real *row, real *statistics) {
    const Py_ssize_t whole = (n + LANES - 1) / LANES * LANES;
    vec largest = v_broadcast(-(real)INFINITY);
    real top = -(real)INFINITY, normaliser = 0;
    for (Py_ssize_t u = n; u < whole; u++) row[u] = -(real)INFINITY;
    for (Py_ssize_t u = 0; u < whole; u += LANES) largest = v_larger(v_load(row + u), largest);
    for (int l = 0; l < LANES; l++) top = LANE(largest, l) > top ? LANE(largest, l) : top;
    top *= scale;
    const vec sum = exp_row(whole, scale, top, 1, row);
    for (int l = 0; l < LANES; l++) normaliser += LANE(sum, l);
    for (Py_ssize_t u = n; u < n_padded; u++) row[u] = 0;
    statistics[0] = top;
    statistics[1] = (real)1 / normaliser;
}

/* The probabilities of backward, in one pass, from the scores and the statistics of forward. */
static void softmax_from_statistics(Py_ssize_t n, Py_ssize_t n_padded, real scale, const real *statistics, real *row) {
    const Py_ssize_t whole = (n + LANES - 1) / LANES * LANES;
    exp_row(whole, scale, statistics[0], statistics[1], row);
    for (Py_ssize_t u = n; u < n_padded; u++) row[u] = 0;
}

/* The gradient d of n probabilities p becomes that of their scores before the scaling: p (d - mean) scale, mean being the
 * sum of p d. */
static void softmax_backward(Py_ssize_t n, Py_ssize_t n_padded, real scale, real mean, const real *restrict p,
                             real *restrict d) {
    for (Py_ssize_t u = 0; u < n; u++) d[u] = p[u] * (d[u] - mean) * scale;
    for (Py_ssize_t u = n; u < n_padded; u++) d[u] = 0;
}

/* out (rows, vecs) += sum_p a[p, 0:rows]^T d[p, 0:vecs]. */
SKLSTM_INLINE void transposed_rows(const int rows, const int vecs, Py_ssize_t n_pairs, const real *restrict a,
                                   Py_ssize_t a_stride, const real *restrict d, Py_ssize_t d_stride, real *restrict out,
                                   Py_ssize_t out_stride) {
    vec acc[4 * TILE_ROWS][TILE_VECS];
#pragma GCC unroll 24
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vecs; v++) acc[r][v] = v_load(out + r * out_stride + v * LANES);
    for (Py_ssize_t p = 0; p < n_pairs; p++, a += a_stride, d += d_stride) {
        /* As in accumulate, the shorter side of the tile stays in registers. */
        if (vecs < 3) {
            vec w[2];
#pragma GCC unroll 2
            for (int v = 0; v < vecs; v++) w[v] = v_load(d + v * LANES);
#pragma GCC unroll 24
            for (int r = 0; r < rows; r++) {
                const vec x = v_broadcast(a[r]);
#pragma GCC unroll 2
                for (int v = 0; v < vecs; v++) acc[r][v] = v_fma(x, w[v], acc[r][v]);
            }
        } else {
            vec x[TILE_ROWS];
#pragma GCC unroll 6
            for (int r = 0; r < rows; r++) x[r] = v_broadcast(a[r]);
#pragma GCC unroll 4
            for (int v = 0; v < vecs; v++) {
                const vec w = v_load(d + v * LANES);
#pragma GCC unroll 6
                for (int r = 0; r < rows; r++) acc[r][v] = v_fma(x[r], w, acc[r][v]);
            }
        }
    }
#pragma GCC unroll 24
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vecs; v++) v_store(out + r * out_stride + v * LANES, acc[r][v]);
}

/* out (n_rows, n_vecs) += a (n_pairs, n_rows)^T d (n_pairs, n_vecs). Only whole tiles are computed: out and the rows of a
 * have room up to a multiple of 4 TILE_ROWS, and rows of out beyond n_rows are undefined. */
static void transposed_product(Py_ssize_t n_rows, Py_ssize_t n_pairs, Py_ssize_t n_vecs, const real *a, Py_ssize_t a_stride,
                               const real *d, Py_ssize_t d_stride, real *out, Py_ssize_t out_stride) {
#define FOR_ROWS(rows, vecs) \
    for (Py_ssize_t r = 0; r < n_rows; r += rows) \
        transposed_rows(rows, vecs, n_pairs, a + r, a_stride, d + v * LANES, d_stride, out + r * out_stride + v * LANES, \
                        out_stride)
    for (Py_ssize_t v = 0; v < n_vecs; v += TILE_VECS) switch (n_vecs - v) {
        case 1: FOR_ROWS(4 * TILE_ROWS, 1); break;
        case 2: FOR_ROWS(2 * TILE_ROWS, 2); break;
        case 3: FOR_ROWS(TILE_ROWS, 3); break;
        default: FOR_ROWS(TILE_ROWS, 4);
    }
#undef FOR_ROWS
}
