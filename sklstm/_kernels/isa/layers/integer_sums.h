/* The sums of a layer whose products are integers (integers.h): each is
 *   bias + scale_x (q_x . n_x) + scale_h (q_h . n_h),
 * integers up to the scales, then float; with 16 bits there is a sum of integers for each COLUMNS_OF_A_SUM columns. Unsigned bytes
 * stand for n + 128: their sums begin at -128 times the sum of the weights.
 */
#if SKLSTM_REDUCED

/* out += integers * scale, LANES numbers, fused; lane by lane as in integers_of_lanes */
SKLSTM_INLINE void add_scaled_integers(const uint32_t *restrict integers, const real *restrict scale, real *restrict out) {
    for (int l = 0; l < 16; l++) out[l] = fmaf((real)(int32_t)integers[l], scale[l], out[l]);
}

/* rows of z: (z or zero) + scale (start + rows @ panel) for some vectors of sums; `first` is their place in a row of all sums. */
SKLSTM_NOINLINE void add_integer_products(const LayerCall *call, int reads, Py_ssize_t first, int vecs, Py_ssize_t n_rows,
                                          Py_ssize_t n_k, const real *const *rows, const real *panel, real *z,
                                          Py_ssize_t z_stride, int add) {
    for (; vecs > TILE_VECS; vecs -= TILE_VECS, first += TILE_VECS * LANES, z += TILE_VECS * LANES) { /* EACH_RUN */
        add_integer_products(call, reads, first, TILE_VECS, n_rows, n_k, rows, panel, z, z_stride, add);
        panel += words_of(reads == READS_X ? call->x_format : call->format, n_k) * TILE_VECS * LANES;
    }
    const uint32_t *start = (const uint32_t *)call->integers->start[reads] + first;
    const real *scale = (const real *)call->integers->scale[reads] + first;
    const int format = reads == READS_X ? call->x_format : call->format;
    const Py_ssize_t n_words = words_of(format, n_k), step = format == S16_PAIRS ? COLUMNS_OF_A_SUM / 2 : n_words;
    uint32_t sums[ROWS_AT_ONCE * PANEL_WIDTH];
    for (Py_ssize_t r = 0; r < n_rows; r += ROWS_AT_ONCE) {
        const Py_ssize_t count = smaller(ROWS_AT_ONCE, n_rows - r);
        for (Py_ssize_t i = 0; i < count && !add; i++) memset(z + (r + i) * z_stride, 0, (size_t)(vecs * LANES) * sizeof(real));
        for (Py_ssize_t k = 0; k < n_words; k += step) {
            for (Py_ssize_t i = 0; i < count; i++)
                memcpy(sums + i * PANEL_WIDTH, start, (size_t)(vecs * LANES) * sizeof(real));
            integer_products(format, vecs, count, smaller(step, n_words - k), (const uint32_t *)rows[r] + k, call->words_stride,
                             (const uint32_t *)panel + k * vecs * LANES, sums);
            for (Py_ssize_t i = 0; i < count; i++)
                for (Py_ssize_t u = 0; u < vecs * LANES; u += LANES)
                    add_scaled_integers(sums + i * PANEL_WIDTH + u, scale + u, z + (r + i) * z_stride + u);
        }
    }
}

/* sums_of_panel (sums.h) of integers, for the units from `unit` on. */
SKLSTM_NOINLINE void integer_sums_of_panel(const CellShape *cell, const LayerCall *call, Py_ssize_t unit, Py_ssize_t n_rows,
                                         const real *const *x, const real *const *h, real *z, Py_ssize_t z_stride) {
    const LayerPanels panels = panels_of(cell, call, call->format);
    const int units = (int)smaller(cell->units, panels.n_vecs - unit);
    const Py_ssize_t first = unit * cell->n_sums * LANES;
    const real *panel = (const real *)call->weights + unit * panels.unit_size;
    for (Py_ssize_t r = 0; r < n_rows; r++) {
        const real *start = call->x_is_product ? x[r] : (const real *)call->bias;
        memcpy(z + r * z_stride, start + first, (size_t)(units * cell->n_sums * LANES) * sizeof(real));
    }
    if (!call->x_is_product)
        add_integer_products(call, READS_X, first + cell->x_first * LANES, units * cell->x_count, n_rows, call->input_size, x,
                             panel, z + cell->x_first * LANES, z_stride, 1);
    if (cell->h_count && h)
        add_integer_products(call, READS_H, first + cell->h_first * LANES, units * cell->h_count, n_rows, call->output_size, h,
                             panel + units * panels.h_offset, z + cell->h_first * LANES, z_stride, 1);
}

/* products (n_rows, S Hp) = bias + x W_ih */
SKLSTM_NOINLINE void integer_input_products(const CellShape *cell, const LayerCall *call, Py_ssize_t n_rows,
                                            const real *const *x, real *products) {
    const LayerPanels panels = panels_of(cell, call, call->format);
    const Py_ssize_t stride = panels.n_vecs * cell->n_sums * LANES;
    for (Py_ssize_t r = 0; r < n_rows; r++) memcpy(products + r * stride, call->bias, (size_t)stride * sizeof(real));
    for (Py_ssize_t unit = 0; unit < panels.n_vecs; unit += cell->units) {
        const int units = (int)smaller(cell->units, panels.n_vecs - unit);
        const Py_ssize_t first = (unit * cell->n_sums + cell->x_first) * LANES;
        add_integer_products(call, READS_X, first, units * cell->x_count, n_rows, call->input_size, x,
                             (const real *)call->weights + unit * panels.unit_size, products + first, stride, 1);
    }
}

#endif
