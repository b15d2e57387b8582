/* The sums of a layer whose products are integers (integers.h): each is
 *   bias + scale_x (q_x . n_x) + scale_h (q_h . n_h),
 * integers up to the scales, then float; with 16 bits there is a sum of integers for each COLUMNS_OF_A_SUM columns. Unsigned bytes
 * stand for n + 128: their sums begin at -128 times the sum of the weights.
 */
#if SKLSTM_REDUCED

/* What products are added to: row r is rows[r * step] from `offset` on; rows NULL: z itself. */
typedef struct {
    const real *const *rows;
    Py_ssize_t step, offset;
} Addends;

/* rows of z = addends + scale (start + rows @ panel) for some vectors of sums; `first` is their place in a row of all sums. */
SKLSTM_NOINLINE void add_integer_products(const LayerCall *call, int reads, Py_ssize_t first, int vecs, Py_ssize_t n_rows,
                                          Py_ssize_t n_k, const real *const *rows, const real *panel, Addends to, real *z,
                                          Py_ssize_t z_stride) {
    const int format = reads == READS_X ? call->x_format : call->format;
    const Py_ssize_t n_words = words_of(format, n_k);
    const real *from[ROWS_AT_ONCE];
    EACH_RUN(run, vecs) {
        const Py_ssize_t u = run * LANES;
        for (Py_ssize_t r = 0; r < n_rows; r += ROWS_AT_ONCE) {
            const IntegerProduct product = {
                format, run_vecs(run, vecs), smaller(ROWS_AT_ONCE, n_rows - r), n_words, call->words_stride, z_stride,
                (const uint32_t *)rows[r], (const uint32_t *)panel + u * n_words,
                (const uint32_t *)call->integers->start[reads] + first + u,
                (const real *)call->integers->scale[reads] + first + u, from, z + r * z_stride + u,
            };
            for (Py_ssize_t i = 0; i < product.n_rows; i++)
                from[i] = (to.rows ? to.rows[(r + i) * to.step] + to.offset : z + (r + i) * z_stride) + u;
            integer_products(&product);
        }
    }
}

/* All sums of one row and a full panel, in one pass; 0: not here, or not all products are of all sums. */
SKLSTM_INLINE int integer_row_sums(const CellShape *cell, const LayerCall *call, int units, Py_ssize_t first, const real *x,
                                   const real *h, const real *panel, const real *h_panel, real *z) {
#  if defined(SKLSTM_HAS_VNNI)
    const IntegerLayer *layer = call->integers;
    IntegerProduct parts[2] = {
        {.format = call->x_format, .n_words = words_of(call->x_format, call->input_size), .a = (const uint32_t *)x,
         .panel = (const uint32_t *)panel, .start = (const uint32_t *)layer->start[READS_X] + first,
         .scale = (const real *)layer->scale[READS_X] + first},
        {.format = call->format, .n_words = words_of(call->format, call->output_size), .a = (const uint32_t *)h,
         .panel = (const uint32_t *)h_panel, .start = (const uint32_t *)layer->start[READS_H] + first,
         .scale = (const real *)layer->scale[READS_H] + first},
    };
    const int n_parts = (h != NULL) + !call->x_is_product;
    if (units * cell->n_sums != TILE_VECS || cell->x_count < cell->n_sums || (h && cell->h_count < cell->n_sums)) return 0;
    integer_row_of_parts(n_parts, parts + call->x_is_product, (call->x_is_product ? x : (const real *)call->bias) + first, z);
    return 1;
#  else
    (void)cell, (void)call, (void)units, (void)first, (void)x, (void)h, (void)panel, (void)h_panel, (void)z;
    return 0;
#  endif
}

/* sums_of_panel (sums.h) of integers, for the units from `unit` on. */
SKLSTM_NOINLINE void integer_sums_of_panel(const CellShape *cell, const LayerCall *call, Py_ssize_t unit, Py_ssize_t n_rows,
                                           const real *const *x, const real *const *h, real *z, Py_ssize_t z_stride) {
    const LayerPanels panels = panels_of(cell, call, call->format);
    const int units = (int)smaller(cell->units, panels.n_vecs - unit), n_sums = cell->n_sums;
    const Py_ssize_t first = unit * n_sums * LANES, x_first = cell->x_first * LANES, h_first = cell->h_first * LANES;
    const real *panel = (const real *)call->weights + unit * panels.unit_size, *bias = (const real *)call->bias;
    const Addends start = {call->x_is_product ? x : &bias, call->x_is_product, first}, z_itself = {NULL, 0, 0};
    /* Where the first product is that of all sums, it is added to their start: nothing is copied. */
    const int reads_h = cell->h_count && h, joined = (call->x_is_product ? reads_h * cell->h_count : cell->x_count) == n_sums;
    if (n_rows == 1 && integer_row_sums(cell, call, units, first, x[0], reads_h ? h[0] : NULL, panel,
                                        panel + units * panels.h_offset, z))
        return;
    for (Py_ssize_t r = 0; r < n_rows && !joined; r++)
        memcpy(z + r * z_stride, start.rows[r * start.step] + first, (size_t)(units * n_sums * LANES) * sizeof(real));
    if (!call->x_is_product)
        add_integer_products(call, READS_X, first + x_first, units * cell->x_count, n_rows, call->input_size, x, panel,
                             joined ? start : z_itself, z + x_first, z_stride);
    if (reads_h)
        add_integer_products(call, READS_H, first + h_first, units * cell->h_count, n_rows, call->output_size, h,
                             panel + units * panels.h_offset, joined && call->x_is_product ? start : z_itself, z + h_first,
                             z_stride);
}

/* products (n_rows, S Hp) = bias + x W_ih, rows `stride` apart */
SKLSTM_NOINLINE void integer_input_products(const CellShape *cell, const LayerCall *call, Py_ssize_t n_rows,
                                            const real *const *x, real *products, Py_ssize_t stride) {
    const LayerPanels panels = panels_of(cell, call, call->format);
    const real *bias = (const real *)call->bias;
    for (Py_ssize_t r = 0; r < n_rows && cell->x_count < cell->n_sums; r++)
        memcpy(products + r * stride, bias, (size_t)(panels.n_vecs * cell->n_sums * LANES) * sizeof(real));
    for (Py_ssize_t unit = 0; unit < panels.n_vecs; unit += cell->units) {
        const int units = (int)smaller(cell->units, panels.n_vecs - unit);
        const Py_ssize_t first = (unit * cell->n_sums + cell->x_first) * LANES;
        add_integer_products(call, READS_X, first, units * cell->x_count, n_rows, call->input_size, x,
                             (const real *)call->weights + unit * panels.unit_size, (Addends){&bias, 0, first},
                             products + first, stride);
    }
}

#endif
