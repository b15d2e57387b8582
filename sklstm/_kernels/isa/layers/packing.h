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

/* pack_transposed as words of bf16: the first of a pair is a sum of an even lane, the second of the next lane. */
SKLSTM_INLINE void pack_transposed_pairs(const real *source, Py_ssize_t step, Py_ssize_t n_valid, Py_ssize_t width, real *out) {
    uint16_t block[TILE_VECS * LANES * LANES]; /* rounded in whole vectors, then moved word by word */
    for (Py_ssize_t j = 0; j < n_valid; j++) store_bf16(block + j * LANES, v_load(source + j * step));
    for (int k = 0; k < LANES / 2; k++)
        for (Py_ssize_t j = 0; j < n_valid; j++) memcpy(out + k * width + j, block + j * LANES + 2 * k, sizeof(real));
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
                for (Py_ssize_t j = 0; j < n_valid; j++)
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
