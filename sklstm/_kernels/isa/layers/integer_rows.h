/* What a layer of integer products reads, as integers: clip(round(v / step)), once a step. Unsigned bytes stand for n + 128.
 * And what the layers of a float network read, measured, from which the steps are chosen.
 */
#if SKLSTM_REDUCED

SKLSTM_INLINE int is_integer(int format) { return format >= S16_PAIRS; }

/* 16 numbers as integers: to the nearest, even where two are near; a NaN is the lowest. */
SKLSTM_INLINE void integers_of_lanes(const int format, real lowest, real highest, const real *x, const real *inverse,
                                     char *words) {
#  if defined(__AVX512F__) && defined(__GNUC__)
    const __m512 v = _mm512_mul_ps(_mm512_loadu_ps(x), _mm512_loadu_ps(inverse));
    const __m512i n = _mm512_cvtps_epi32(_mm512_min_ps(_mm512_max_ps(v, _mm512_set1_ps(lowest)), _mm512_set1_ps(highest)));
    if (format == U8_S8)
        _mm_storeu_si128((__m128i *)words, _mm_xor_si128(_mm512_cvtepi32_epi8(n), _mm_set1_epi8(-128)));
    else _mm256_storeu_si256((__m256i *)words, _mm512_cvtepi32_epi16(n));
#  elif defined(__SSE2__) && defined(__GNUC__)
    __m128i n[4];
#    pragma GCC unroll 4
    for (int q = 0; q < 4; q++) {
        const __m128 v = _mm_mul_ps(_mm_loadu_ps(x + 4 * q), _mm_loadu_ps(inverse + 4 * q));
        n[q] = _mm_cvtps_epi32(_mm_min_ps(_mm_max_ps(v, _mm_set1_ps(lowest)), _mm_set1_ps(highest)));
    }
    const __m128i low = _mm_packs_epi32(n[0], n[1]), high = _mm_packs_epi32(n[2], n[3]);
    if (format == U8_S8) _mm_storeu_si128((__m128i *)words, _mm_xor_si128(_mm_packs_epi16(low, high), _mm_set1_epi8(-128)));
    else _mm_storeu_si128((__m128i *)words, low), _mm_storeu_si128((__m128i *)(words + 16), high);
#  else
    for (int l = 0; l < 16; l++) {
        const real v = x[l] * inverse[l], above = v > lowest ? v : lowest;
        const int n = (int)rintf(above < highest ? above : highest);
        const int16_t half = (int16_t)n;
        if (format == U8_S8) words[l] = (char)(uint8_t)(n + 128);
        else memcpy(words + 2 * l, &half, 2);
    }
#  endif
}

/* A row of n numbers as words. Reads `inverse` (1 / step) and writes words up to a multiple of LANES numbers: those beyond n stand
 * for zero. */
SKLSTM_INLINE void integer_words(const int format, real most, Py_ssize_t n, const real *restrict x,
                                 const real *restrict inverse, char *restrict words) {
    const Py_ssize_t whole = n - n % LANES, size = format == U8_S8 ? 1 : 2;
    const real lowest = format == U8_S8 ? -128 : -most, highest = format == U8_S8 ? 127 : most;
    for (Py_ssize_t k = 0; k < whole; k += LANES)
        integers_of_lanes(format, lowest, highest, x + k, inverse + k, words + k * size);
    if (whole == n) return;
    real part[16] = {0};
    memcpy(part, x + whole, (size_t)(n - whole) * sizeof(real));
    integers_of_lanes(format, lowest, highest, part, inverse + whole, words + whole * size);
}

SKLSTM_NOINLINE void rows_to_integers(const LayerCall *call, int reads, Py_ssize_t n_rows, Py_ssize_t n, const real **rows,
                                      Py_ssize_t begin) {
    const real *inverse = (const real *)call->integers->inverse[reads];
    const real most = (real)call->integers->highest[reads];
    const int format = reads == READS_X ? call->x_format : call->format;
    if (!inverse) return; /* nothing reads it */
    for (Py_ssize_t r = 0; r < n_rows; r++) {
        real *words = (real *)call->words + r * call->words_stride + begin;
        if (format == U8_S8) integer_words(U8_S8, most, n, rows[r], inverse, (char *)words);
        else integer_words(S16_PAIRS, most, n, rows[r], inverse, (char *)words);
        rows[r] = words;
    }
}

/* The largest size of each column. */
SKLSTM_NOINLINE void measure_rows(const LayerRanges *ranges, int reads, Py_ssize_t n_rows, Py_ssize_t n, const real *const *rows) {
    double *largest = ranges->largest[reads];
    for (Py_ssize_t r = 0; r < n_rows && largest; r++)
        for (Py_ssize_t k = 0; k < n; k++) largest[k] = fabs(rows[r][k]) > largest[k] ? fabs(rows[r][k]) : largest[k];
}

/* integer_sums.h */
static void integer_sums_of_panel(const CellShape *cell, const LayerCall *call, Py_ssize_t unit, Py_ssize_t n_rows,
                                  const real *const *x, const real *const *h, real *z, Py_ssize_t z_stride);
static void integer_input_products(const CellShape *cell, const LayerCall *call, Py_ssize_t n_rows, const real *const *x,
                                   real *products, Py_ssize_t stride);

#endif
