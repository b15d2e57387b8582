/* Rows of numbers as the words that products read (words.h), rounded right before they are multiplied: about 1 % of a training
 * step of 64 units and 50 columns (doc/developers/kernels.md). */

#if SKLSTM_REDUCED

/* Two bf16 numbers in a word. */
SKLSTM_INLINE real word_of_pair(uint16_t first, uint16_t second) { return float_of(first | (uint32_t)second << 16); }

#if SKLSTM_AVX512_BF16
SKLSTM_INLINE __mmask16 first_lanes(Py_ssize_t n) { return n >= 16 ? 0xffff : n > 0 ? (__mmask16)((1u << n) - 1) : 0; }
#endif

/* words: (x_0, x_1), (x_2, x_3), ... of one row; a last number alone is paired with zero */
SKLSTM_INLINE void bf16_row(Py_ssize_t n, const real *restrict x, real *restrict words) {
#if SKLSTM_AVX512_BF16
    for (Py_ssize_t k = 0; k < n; k += 32) {
        const __m512 low = _mm512_maskz_loadu_ps(first_lanes(n - k), x + k);
        const __m512 high = _mm512_maskz_loadu_ps(first_lanes(n - k - 16), x + k + 16);
        _mm512_mask_storeu_ps(words + k / 2, first_lanes((n - k + 1) / 2), (__m512)_mm512_cvtne2ps_pbh(high, low));
    }
#else
    for (Py_ssize_t k = 0; k < n / 2; k++) words[k] = word_of_pair(bf16_of(x[2 * k]), bf16_of(x[2 * k + 1]));
    if (n % 2) words[n / 2] = word_of_pair(bf16_of(x[n - 1]), 0);
#endif
}

/* words: (a_0, b_0), (a_1, b_1), ... of two rows; b may be NULL, for zeros. words may be a. */
SKLSTM_INLINE void bf16_pair_of_rows(Py_ssize_t n, const real *a, const real *b, real *words) {
#if SKLSTM_AVX512_BF16
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5,
                                           20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    for (Py_ssize_t k = 0; k < n; k += 16) {
        const __mmask16 lanes = first_lanes(n - k);
        const __m512 low = _mm512_maskz_loadu_ps(lanes, a + k);
        const __m512 high = b ? _mm512_maskz_loadu_ps(lanes, b + k) : _mm512_setzero_ps();
        const __m512i both = (__m512i)_mm512_cvtne2ps_pbh(high, low);
        _mm512_mask_storeu_ps(words + k, lanes, (__m512)_mm512_permutexvar_epi16(order, both));
    }
#else
    if (!b)
        for (Py_ssize_t k = 0; k < n; k++) words[k] = word_of_pair(bf16_of(a[k]), 0);
    else
        for (Py_ssize_t k = 0; k < n; k++) words[k] = word_of_pair(bf16_of(a[k]), bf16_of(b[k]));
#endif
}

/* The same of two rows that are bf16 already; n is a multiple of 16. */
SKLSTM_INLINE void interleave_rows(Py_ssize_t n, const uint16_t *restrict a, const uint16_t *restrict b, real *restrict words) {
#if SKLSTM_AVX512
    for (Py_ssize_t k = 0; k < n; k += 16) {
        __m512i both = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(a + k)));
        if (b)
            both = _mm512_or_si512(
                both, _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(b + k))), 16));
        _mm512_storeu_si512((void *)(words + k), both);
    }
#else
    for (Py_ssize_t k = 0; k < n; k++) words[k] = word_of_pair(a[k], b ? b[k] : 0);
#endif
}

#endif

/* Whether the layer keeps 16 bits for backward: the plain layer of reduced numbers. */
SKLSTM_INLINE int is_compact(const LayerCall *call) { return COMPACT && !call->options; }

/* The format of a layer's products; a constant where there is one only. */
SKLSTM_INLINE int format_of(const LayerCall *call) { return SKLSTM_REDUCED ? call->format : REALS; }

/* Round the first n numbers of each row to words, and point the rows at them; `begin`: their place in a row of call->words. */
SKLSTM_INLINE void rows_to_words(const LayerCall *call, int reads, Py_ssize_t n_rows, Py_ssize_t n, const real **rows,
                                 Py_ssize_t begin) {
#if SKLSTM_REDUCED
    if (call->ranges) measure_rows(call->ranges, reads, n_rows, n, rows);
    if (is_integer(call->format)) rows_to_integers(call, reads, n_rows, n, rows, begin);
    if (call->format != BF16_PAIRS) return;
    for (Py_ssize_t r = 0; r < n_rows; r++) {
        real *words = (real *)call->words + r * call->words_stride + begin;
        bf16_row(n, rows[r], words);
        rows[r] = words;
    }
#else
    (void)call, (void)reads, (void)n_rows, (void)n, (void)rows, (void)begin;
#endif
}

/* Rows of x, then of h of a step, likewise. */
SKLSTM_INLINE void step_to_words(const LayerCall *call, Py_ssize_t n_rows, const real **x, const real **h) {
    if (!SKLSTM_REDUCED) return;
    if (!call->x_is_product) rows_to_words(call, READS_X, n_rows, call->input_size, x, 0);
    if (h)
        rows_to_words(call, READS_H, n_rows, call->output_size, h, round_up(words_of(call->x_format, call->input_size), LANES));
}

/* The gradients of the sums of some rows of `width` numbers as words, words_of(format, width) apart. */
SKLSTM_INLINE const real *gradient_words(const LayerCall *call, Py_ssize_t n_rows, const void *d_sums, Py_ssize_t width) {
#if SKLSTM_REDUCED
    if (call->format != REALS && !is_compact(call)) {
        real *words = (real *)call->gradient_words;
        for (Py_ssize_t r = 0; r < n_rows; r++) bf16_row(width, (const real *)d_sums + r * width, words + r * (width / 2));
        return words;
    }
#else
    (void)call, (void)n_rows, (void)width;
#endif
    return (const real *)d_sums;
}
