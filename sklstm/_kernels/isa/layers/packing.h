/* Panels: the memory layout of weights and of vectors with a number for each sum.
 *
 * A *part* of the panels holds the weights of x (for x_count sums of each unit), of h, of the gated h, or a vector such as the
 * bias. It is k-major, with the sums of a unit adjacent and `units` vectors of units in a panel; the last panel may hold fewer.
 * The parts of one layer share their panels: panel after panel, each with the rows of x, then those of h, then those of the
 * gated h. A *block* is the (H, n_columns) matrix of one sum.
 */

/* Offset of row k of the `unit`-th vector of units (its count vectors); n_vecs: vectors of units in all. */
SKLSTM_INLINE Py_ssize_t offset_in_panels(const PanelPart *part, Py_ssize_t n_vecs, Py_ssize_t unit, Py_ssize_t k) {
    const Py_ssize_t first = unit - unit % part->units;
    const Py_ssize_t here = smaller(part->units, n_vecs - first);
    return first * part->unit_size + here * part->part_offset + (k * here + unit - first) * part->count * LANES;
}

/* Block `slot` of a part from a matrix (hidden_size, n_columns); units beyond hidden_size are zero. */
static void pack_block(const void *weight, Py_ssize_t n_columns, Py_ssize_t hidden_size, const PanelPart *part, Py_ssize_t slot,
                       void *panels) {
    const Py_ssize_t n_vecs = (hidden_size + LANES - 1) / LANES;
    for (Py_ssize_t unit = 0; unit < n_vecs * LANES; unit++) {
        const real *row = (const real *)weight + unit * n_columns;
        for (Py_ssize_t k = 0; k < n_columns; k++)
            ((real *)panels)[offset_in_panels(part, n_vecs, unit / LANES, k) + slot * LANES + unit % LANES] =
                unit < hidden_size ? row[k] : 0;
    }
}

/* The inverse of pack_block, for gradients. */
static void unpack_block(const void *panels, Py_ssize_t n_columns, Py_ssize_t hidden_size, const PanelPart *part,
                         Py_ssize_t slot, void *weight) {
    const Py_ssize_t n_vecs = (hidden_size + LANES - 1) / LANES;
    for (Py_ssize_t unit = 0; unit < hidden_size; unit++) {
        real *row = (real *)weight + unit * n_columns;
        for (Py_ssize_t k = 0; k < n_columns; k++)
            row[k] =
                ((const real *)panels)[offset_in_panels(part, n_vecs, unit / LANES, k) + slot * LANES + unit % LANES];
    }
}

#if SKLSTM_REDUCED
/* Some rows of a panel, `width` numbers each, as words of pairs of rows. */
SKLSTM_INLINE void pack_row_pairs(Py_ssize_t n_rows, Py_ssize_t width, const real *rows, real *words) {
    for (Py_ssize_t k = 0; k < n_rows; k += 2, rows += 2 * width, words += width)
        bf16_pair_of_rows(width, rows, k + 1 < n_rows ? rows + width : NULL, words);
}

#  if SKLSTM_AVX512
/* Two vectors as bf16, one behind the other. */
SKLSTM_INLINE __m512i bf16_of_two(vec first, vec second) {
#    if SKLSTM_AVX512_BF16
    return (__m512i)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first);
#    else
    uint16_t numbers[2 * 16];
    store_bf16(numbers, first);
    store_bf16(numbers + 16, second);
    return _mm512_loadu_si512(numbers);
#    endif
}

/* Two vectors of the same words of n rows each become two of 2 n rows: the first half of these words, and the second half. */
SKLSTM_INLINE void join_rows(__m512i first, __m512i second, __m512i a, __m512i b, __m512i *low, __m512i *high) {
    *low = _mm512_permutex2var_epi32(a, first, b);
    *high = _mm512_permutex2var_epi32(a, second, b);
}

/* pack_transposed as words of bf16: the first of a pair is a sum of an even lane, the second of the next lane. 16 columns of 8
 * words at a time, in three steps of 8 permutations; columns beyond n_valid are zero. */
SKLSTM_INLINE void pack_transposed_pairs(const real *source, Py_ssize_t step, Py_ssize_t n_valid, Py_ssize_t width, real *out) {
    /* the first halves, from two vectors of 2, 4 and 8 rows */
    const __m512i rows_2 = _mm512_set_epi32(27, 19, 11, 3, 26, 18, 10, 2, 25, 17, 9, 1, 24, 16, 8, 0);
    const __m512i rows_4 = _mm512_set_epi32(23, 22, 21, 20, 7, 6, 5, 4, 19, 18, 17, 16, 3, 2, 1, 0);
    const __m512i rows_8 = _mm512_set_epi32(23, 22, 21, 20, 19, 18, 17, 16, 7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i four = _mm512_set1_epi32(4), eight = _mm512_set1_epi32(8);
    for (Py_ssize_t j = 0; j < width; j += 16) {
        __m512i a[8], b[8];
        for (int i = 0; i < 8; i++) {
            const Py_ssize_t row = j + 2 * i;
            a[i] = bf16_of_two(row < n_valid ? v_load(source + row * step) : v_broadcast(0),
                               row + 1 < n_valid ? v_load(source + (row + 1) * step) : v_broadcast(0));
        }
        for (int i = 0; i < 4; i++) /* 4 rows: words 0 to 3 in b[i], 4 to 7 in b[4 + i] */
            join_rows(rows_2, _mm512_add_epi32(rows_2, four), a[2 * i], a[2 * i + 1], b + i, b + 4 + i);
        for (int h = 0; h < 4; h++) /* 8 rows: words 0 and 1, 2 and 3, ... */
            join_rows(rows_4, _mm512_add_epi32(rows_4, eight), b[2 * h], b[2 * h + 1], a + h % 2 + 4 * (h / 2),
                      a + 2 + h % 2 + 4 * (h / 2));
        for (int k = 0; k < 8; k += 2) { /* 16 rows: one word */
            __m512i low, high;
            join_rows(rows_8, _mm512_add_epi32(rows_8, eight), a[k], a[k + 1], &low, &high);
            _mm512_storeu_si512((void *)(out + k * width + j), low);
            _mm512_storeu_si512((void *)(out + (k + 1) * width + j), high);
        }
    }
}
#  else
SKLSTM_INLINE void pack_transposed_pairs(const real *source, Py_ssize_t step, Py_ssize_t n_valid, Py_ssize_t width, real *out) {
    uint16_t block[TILE_VECS * LANES * LANES]; /* rounded in whole vectors, then moved word by word */
    for (Py_ssize_t j = 0; j < n_valid; j++) store_bf16(block + j * LANES, v_load(source + j * step));
    for (int k = 0; k < LANES / 2; k++)
        for (Py_ssize_t j = 0; j < n_valid; j++) memcpy(out + k * width + j, block + j * LANES + 2 * k, sizeof(real));
}
#  endif
#endif

#if SKLSTM_AVX512 && SKLSTM_REAL_IS_FLOAT
/* 16 rows of 16 numbers become 16 columns. Interleaving rows i and i + 8 rotates the bits of row and column by one: four times
 * exchange the two. */
SKLSTM_INLINE void transpose_block(const real *source, Py_ssize_t step, real *out, Py_ssize_t width) {
    const __m512i low = _mm512_set_epi32(23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    const __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
    __m512 a[16], b[16];
#  pragma GCC unroll 16
    for (int i = 0; i < 16; i++) a[i] = _mm512_loadu_ps(source + i * step);
#  pragma GCC unroll 2
    for (int k = 0; k < 2; k++) {
#  pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            b[2 * i] = _mm512_permutex2var_ps(a[i], low, a[i + 8]);
            b[2 * i + 1] = _mm512_permutex2var_ps(a[i], high, a[i + 8]);
        }
#  pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            a[2 * i] = _mm512_permutex2var_ps(b[i], low, b[i + 8]);
            a[2 * i + 1] = _mm512_permutex2var_ps(b[i], high, b[i + 8]);
        }
    }
#  pragma GCC unroll 16
    for (int i = 0; i < 16; i++) _mm512_storeu_ps(out + i * width, a[i]);
}
#else
SKLSTM_INLINE void transpose_block(const real *source, Py_ssize_t step, real *out, Py_ssize_t width) {
    for (Py_ssize_t j = 0; j < LANES; j++)
        for (int lane = 0; lane < LANES; lane++) out[lane * width + j] = source[j * step + lane];
}
#endif

/* The transposed matrix of a part as words: panels over its columns, whose k runs over the sums, unit by unit. The last panel
 * may have fewer than 4 vectors. */
static void pack_transposed(int format, const void *panels, Py_ssize_t n_vecs, const PanelPart *part, Py_ssize_t n_columns,
                            void *transposed) {
    const Py_ssize_t n_words = words_of(format, LANES);
    real *restrict out = (real *)transposed;
    for (Py_ssize_t first = 0; first < n_columns; first += TILE_VECS * LANES) {
        const Py_ssize_t n_valid = smaller(TILE_VECS * LANES, n_columns - first);
        const Py_ssize_t width = (n_valid + LANES - 1) / LANES * LANES;
        for (Py_ssize_t unit = 0; unit < n_vecs; unit++) {
            const real *source = (const real *)panels + offset_in_panels(part, n_vecs, unit, first);
            const Py_ssize_t step = offset_in_panels(part, n_vecs, unit, 1) - offset_in_panels(part, n_vecs, unit, 0);
            for (Py_ssize_t slot = 0; slot < part->count; slot++, source += LANES, out += n_words * width) {
                if (n_valid < width) memset(out, 0, (size_t)(n_words * width) * sizeof(real));
#if SKLSTM_REDUCED
                if (format == BF16_PAIRS) {
                    pack_transposed_pairs(source, step, n_valid, width, out);
                    continue;
                }
#endif
                Py_ssize_t j = 0;
                for (; j + LANES <= n_valid; j += LANES) transpose_block(source + j * step, step, out + j, width);
                for (; j < n_valid; j++)
                    for (int lane = 0; lane < LANES; lane++) out[lane * width + j] = source[j * step + lane];
            }
        }
    }
}

/* A (n_rows, n_columns) matrix of any strides -> dense panels (panels, n_rows, 4 lanes), zeros beyond the last column. */
static void pack_dense(const void *weight, Py_ssize_t n_rows, Py_ssize_t n_columns, Py_ssize_t row_stride,
                       Py_ssize_t column_stride, void *panels) {
    const Py_ssize_t width = TILE_VECS * LANES, n_panels = (n_columns + width - 1) / width;
    real *out = (real *)panels;
    for (Py_ssize_t p = 0; p < n_panels; p++)
        for (Py_ssize_t k = 0; k < n_rows; k++, out += width)
            for (Py_ssize_t j = 0; j < width; j++)
                out[j] = p * width + j < n_columns
                             ? ((const real *)weight)[k * row_stride + (p * width + j) * column_stride]
                             : 0;
}

/* The inverse of pack_dense for a row-major weight (n_rows, n_columns) that maps columns to rows. */
static void unpack_dense(const void *panels, Py_ssize_t n_columns, Py_ssize_t n_rows, void *weight) {
    const Py_ssize_t width = TILE_VECS * LANES;
    for (Py_ssize_t j = 0; j < n_rows; j++) {
        const real *column = (const real *)panels + (j / width) * n_columns * width + j % width;
        for (Py_ssize_t k = 0; k < n_columns; k++) ((real *)weight)[j * n_columns + k] = column[k * width];
    }
}
