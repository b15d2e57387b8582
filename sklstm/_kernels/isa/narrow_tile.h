/* The register tile where a vector of 64 bytes takes several registers (AVX2, SSE2, NEON): one vector of columns at a time,
 * whose words are parted once for all rows. The sums and their order are those of tile.h. */
#if defined(__AVX2__) && defined(__GNUC__)

/* The numbers of a word of bf16, apart: {k, k + 1}. */
typedef struct { __m256i first, second; } parted;

SKLSTM_INLINE parted part_words(const int format, __m256i bits) {
    if (format == BF16_PAIRS)
        return (parted){_mm256_slli_epi32(bits, 16), _mm256_and_si256(bits, _mm256_set1_epi32((int)0xffff0000))};
    return (parted){bits, bits};
}

SKLSTM_INLINE __m256 multiply_add_half(const int format, parted x, parted w, __m256 sum) {
    if (format == REALS) return _mm256_fmadd_ps((__m256)x.first, (__m256)w.first, sum);
    return _mm256_fmadd_ps((__m256)x.first, (__m256)w.first, _mm256_fmadd_ps((__m256)x.second, (__m256)w.second, sum));
}

/* acc[r][v] += sum_k a[r][k a_step] b[k b_step] for a few rows */
SKLSTM_INLINE void accumulate_column(const int format, const int rows, const int v, Py_ssize_t n_k, const real *const *a,
                                     Py_ssize_t a_step, const real *b, Py_ssize_t b_step, vec (*acc)[TILE_VECS]) {
    __m256 low[TILE_ROWS], high[TILE_ROWS];
    for (int r = 0; r < rows; r++) {
        low[r] = _mm256_loadu_ps((const float *)&acc[r][v]);
        high[r] = _mm256_loadu_ps((const float *)&acc[r][v] + 8);
    }
    for (Py_ssize_t k = 0; k < n_k; k++) {
        const parted w_low = part_words(format, _mm256_loadu_si256((const __m256i *)(b + k * b_step)));
        const parted w_high = part_words(format, _mm256_loadu_si256((const __m256i *)(b + k * b_step + 8)));
#pragma GCC unroll 3
        for (int r = 0; r < rows; r++) {
            const parted x = part_words(format, _mm256_set1_epi32((int)bits_of(a[r][k * a_step])));
            low[r] = multiply_add_half(format, x, w_low, low[r]);
            high[r] = multiply_add_half(format, x, w_high, high[r]);
        }
    }
    for (int r = 0; r < rows; r++) {
        _mm256_storeu_ps((float *)&acc[r][v], low[r]);
        _mm256_storeu_ps((float *)&acc[r][v] + 8, high[r]);
    }
}

#else

SKLSTM_INLINE void accumulate_column(const int format, const int rows, const int v, Py_ssize_t n_k, const real *const *a,
                                     Py_ssize_t a_step, const real *b, Py_ssize_t b_step, vec (*acc)[TILE_VECS]) {
    for (Py_ssize_t k = 0; k < n_k; k++) {
        const operand w = operand_of(format, v_load(b + k * b_step));
        for (int r = 0; r < rows; r++)
            acc[r][v] = multiply_add(format, broadcast_word(format, a[r] + k * a_step), w, acc[r][v]);
    }
}

#endif

/* accumulate_column for each number of rows, and one instance for each format: the caller's loops see no constants here, or a
 * module would hold some hundred copies. */
SKLSTM_INLINE void accumulate_rows(const int format, int rows, int v, Py_ssize_t n_k, const real *const *a, Py_ssize_t a_step,
                                   const real *b, Py_ssize_t b_step, vec (*acc)[TILE_VECS]) {
    for (; rows >= 3; rows -= 3, a += 3, acc += 3) accumulate_column(format, 3, v, n_k, a, a_step, b, b_step, acc);
    if (rows == 2) accumulate_column(format, 2, v, n_k, a, a_step, b, b_step, acc);
    if (rows == 1) accumulate_column(format, 1, v, n_k, a, a_step, b, b_step, acc);
}

SKLSTM_NOINLINE void accumulate_columns(int format, int rows, int first, int vecs, Py_ssize_t n_k, const real *const *a,
                                        Py_ssize_t a_step, const real *b, Py_ssize_t b_step, vec (*acc)[TILE_VECS]) {
    for (int v = 0; v < vecs; v++, b += LANES)
        if (format == BF16_PAIRS) accumulate_rows(BF16_PAIRS, rows, first + v, n_k, a, a_step, b, b_step, acc);
        else accumulate_rows(REALS, rows, first + v, n_k, a, a_step, b, b_step, acc);
}

/* acc[r][first + v] += sum_k a[r][k] * b[k][v], k from `begin`; b is one packed panel, k-major, `vecs` vectors a row. */
SKLSTM_INLINE void accumulate(int format, int rows, int first, int vecs, Py_ssize_t begin, Py_ssize_t n_k,
                              const real *const *restrict a, const real *restrict b, vec (*acc)[TILE_VECS]) {
    const real *row[2 * TILE_ROWS];
    for (int r = 0; r < rows; r++) row[r] = a[r] + begin;
    accumulate_columns(format, rows, first, vecs, n_k, row, 1, b, vecs * LANES, acc);
}

/* acc[r][v] += sum_p a[p][r] d[p][v] */
SKLSTM_INLINE void accumulate_outer(int format, int rows, int vecs, Py_ssize_t n_pairs, const real *restrict a,
                                    Py_ssize_t a_stride, const real *restrict d, Py_ssize_t d_stride, const real *next,
                                    vec (*acc)[TILE_VECS]) {
    const real *row[TILE_ROWS];
    (void)next;
    for (int r = 0; r < rows; r++) row[r] = a + r;
    accumulate_columns(format, rows, 0, vecs, n_pairs, row, a_stride, d, d_stride, acc);
}
