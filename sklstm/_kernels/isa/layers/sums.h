/* The sums of a panel's units. */

SKLSTM_INLINE int is_interrupted(const LayerCall *call) {
    return call->interrupted && call->interrupted(call->interrupt_context);
}

typedef struct {
    Py_ssize_t n_vecs;                    /* vectors of units in the layer */
    Py_ssize_t unit_size;                 /* numbers of weights for one vector of units */
    Py_ssize_t h_offset, gated_offset;    /* where the parts of h and of the gated h begin */
} LayerPanels;

/* In words of a format; REALS for gradients. */
SKLSTM_INLINE LayerPanels panels_of(const CellShape *cell, const LayerCall *call, int format) {
    const Py_ssize_t n_h = words_of(format, call->output_size);
    LayerPanels panels;
    panels.n_vecs = call->hidden_stride / LANES;
    const int x_format = SKLSTM_REDUCED && format == call->format ? call->x_format : format;
    panels.h_offset = words_of(x_format, call->input_size) * cell->x_count * LANES;
    panels.gated_offset = panels.h_offset + n_h * cell->h_count * LANES;
    panels.unit_size = panels.gated_offset + n_h * cell->gated_count * LANES;
    return panels;
}

/* The gated vectors of a step, and how many sums read each of them. */
SKLSTM_INLINE int stages_of(const CellShape *cell) { return cell->chain ? cell->chain : cell->gated_count > 0; }
SKLSTM_INLINE int sums_of_stage(const CellShape *cell) { return cell->gated_count / stages_of(cell); }

/* Where the part that reads a gated vector begins, for one vector of units. */
SKLSTM_INLINE Py_ssize_t stage_offset(const CellShape *cell, const LayerCall *call, int format, int stage) {
    return panels_of(cell, call, format).gated_offset + stage * sums_of_stage(cell) * words_of(format, call->output_size) * LANES;
}

SKLSTM_SHARED Py_ssize_t words_size(const CellShape *cell, const LayerCall *call) {
    const LayerPanels panels = panels_of(cell, call, format_of(call));
    return panels.n_vecs * panels.unit_size;
}

/* A part of a panel whose `vecs` vectors are more than those of a tile (more than 4 sums, units = 1) is laid out in runs: all
 * rows of the first TILE_VECS vectors, then all rows of the next. */
#define EACH_RUN(first, vecs) for (int first = 0; first < (vecs); first += TILE_VECS)

SKLSTM_INLINE int run_vecs(int first, int vecs) { return vecs - first < TILE_VECS ? vecs - first : TILE_VECS; }

#if SKLSTM_REDUCED
SKLSTM_INLINE void pack_part(Py_ssize_t n_rows, int vecs, const real *rows, real *words) {
    EACH_RUN(first, vecs)
        pack_row_pairs(n_rows, run_vecs(first, vecs) * LANES, rows + first * n_rows * LANES,
                       words + first * words_of(BF16_PAIRS, n_rows) * LANES);
}
#endif

/* The weights of all panels, rounded to words. */
SKLSTM_SHARED void pack_words(const CellShape *cell, const LayerCall *call, const real *weights, real *words) {
#if SKLSTM_REDUCED
    const LayerPanels from = panels_of(cell, call, REALS), to = panels_of(cell, call, call->format);
    for (Py_ssize_t unit = 0; unit < from.n_vecs; unit += cell->units) {
        const int units = (int)smaller(cell->units, from.n_vecs - unit);
        const real *source = weights + unit * from.unit_size;
        real *out = words + unit * to.unit_size;
        if (is_interrupted(call)) return;
        pack_part(call->input_size, units * cell->x_count, source, out);
        pack_part(call->output_size, units * cell->h_count, source + units * from.h_offset, out + units * to.h_offset);
        for (int stage = 0; stage < stages_of(cell); stage++)
            pack_part(call->output_size, units * sums_of_stage(cell), source + units * stage_offset(cell, call, REALS, stage),
                      out + units * stage_offset(cell, call, call->format, stage));
    }
#else
    (void)cell, (void)call, (void)weights, (void)words;
#endif
}

/* start + rows @ part to some vectors of the sums; rows of start, which may be the sums, are start_stride apart, and NULL stands
 * for zeros. */
SKLSTM_INLINE void product_of_part(int format, int vecs, const real *start, Py_ssize_t start_stride, Py_ssize_t n_rows,
                                   Py_ssize_t n_k, const real *const *rows, const real *panel, real *sums, Py_ssize_t stride) {
    EACH_RUN(first, vecs) {
        const int taken = run_vecs(first, vecs);
        for (Py_ssize_t r = 0; r < n_rows;) {
            const int count = tile_rows(taken, n_rows - r);
            product_tile_from(format, count, taken, start ? start + r * start_stride + first * LANES : NULL, start_stride, n_k,
                              rows + r, panel + first * n_k * LANES, sums + r * stride + first * LANES, stride);
            r += count;
        }
    }
}

/* z (rows, units n_sums vectors): bias + [x | h] W of panel p, or x + h W where x is bias + x W_ih already. x and h_prev are
 * rows of words. */
SKLSTM_INLINE void sums_of_panel(const CellShape *cell, const LayerCall *call, Py_ssize_t p, Py_ssize_t n_rows,
                                 const real *const *x, const real *const *h_prev, real *z, Py_ssize_t z_stride) {
    const int format = format_of(call);
#if SKLSTM_REDUCED
    if (is_integer(format)) {
        integer_sums_of_panel(cell, call, p * cell->units, n_rows, x, h_prev, z, z_stride);
        return;
    }
#endif
    const LayerPanels panels = panels_of(cell, call, format);
    const Py_ssize_t unit = p * cell->units, n_x = call->x_is_product ? 0 : words_of(format, call->input_size);
    const Py_ssize_t n_h = words_of(format, call->output_size);
    const int units = (int)smaller(cell->units, panels.n_vecs - unit), vecs = units * cell->n_sums;
    const Py_ssize_t first = unit * cell->n_sums * LANES;
    const real *x_panel = (const real *)call->weights + unit * panels.unit_size, *h_panel = x_panel + units * panels.h_offset;
    const int full = vecs == TILE_VECS && cell->x_count == cell->n_sums && (cell->h_count == cell->n_sums || !cell->h_count);
    const int three = vecs == TILE_VECS && cell->x_first == 0 && cell->x_count == 3 && cell->h_first == 1 && cell->h_count == 3;
    /* n_x rows of x, if any, then those of h */
    const real *panel = n_x ? x_panel : h_panel, *start[TILE_ROWS];
    const int bias_alone = n_x && !full && !three && cell->x_count == cell->n_sums;
    if (bias_alone) /* the products begin with it */
        product_of_part(format, vecs, (const real *)call->bias + first, 0, n_rows, n_x, x, x_panel, z, z_stride);
    for (Py_ssize_t r = 0; r < n_rows && !bias_alone; r += TILE_ROWS) {
        const int rows = (int)smaller(n_rows - r, TILE_ROWS);
        for (int i = 0; i < rows; i++) start[i] = (call->x_is_product ? x[r + i] : (const real *)call->bias) + first;
        if (full)
            sum_tile(format, rows, n_x, x + r, cell->h_count ? n_h : 0, cell->h_count ? h_prev + r : x + r, panel, start,
                     z + r * z_stride, z_stride);
        else if (three)
            sum_tile_of_three(format, rows, n_x, x + r, n_h, h_prev + r, panel, start, z + r * z_stride, z_stride);
        else
            for (int i = 0; i < rows; i++) memcpy(z + (r + i) * z_stride, start[i], (size_t)(vecs * LANES) * sizeof(real));
    }
    if (full || three) return;
    real *x_sums = z + cell->x_first * LANES, *h_sums = z + cell->h_first * LANES;
    if (n_x && !bias_alone)
        product_of_part(format, units * cell->x_count, x_sums, z_stride, n_rows, n_x, x, x_panel, x_sums, z_stride);
    if (cell->h_count)
        product_of_part(format, units * cell->h_count, h_sums, z_stride, n_rows, n_h, h_prev, h_panel, h_sums, z_stride);
}

/* The products of some rows of words. */
SKLSTM_INLINE void products_of_words(const CellShape *cell, const LayerCall *call, Py_ssize_t n_rows, const real *x_rows,
                                     Py_ssize_t x_stride, real *products, Py_ssize_t stride) {
    const int format = format_of(call);
    const LayerPanels panels = panels_of(cell, call, format);
    const Py_ssize_t n_x = words_of(format, call->input_size);
    const real *x[2 * TILE_ROWS], *start[TILE_ROWS];
    for (Py_ssize_t unit = 0; unit < panels.n_vecs; unit += cell->units) {
        const int units = (int)smaller(cell->units, panels.n_vecs - unit), vecs = units * cell->n_sums;
        const Py_ssize_t first = unit * cell->n_sums * LANES;
        const real *panel = (const real *)call->weights + unit * panels.unit_size;
        if (vecs == TILE_VECS && cell->x_count == cell->n_sums) {
            for (int i = 0; i < TILE_ROWS; i++) start[i] = (const real *)call->bias + first;
            for (Py_ssize_t r = 0; r < n_rows; r += TILE_ROWS) {
                const int rows = (int)smaller(n_rows - r, TILE_ROWS);
                for (int i = 0; i < rows; i++) x[i] = x_rows + (r + i) * x_stride;
                sum_tile(format, rows, n_x, x, 0, x, panel, start, products + r * stride + first, stride);
            }
            continue;
        }
        for (Py_ssize_t r = 0; r < n_rows; r++)
            memcpy(products + r * stride + first, (const real *)call->bias + first, (size_t)(vecs * LANES) * sizeof(real));
        EACH_RUN(run, units * cell->x_count) {
            const int taken = run_vecs(run, units * cell->x_count);
            for (Py_ssize_t r = 0; r < n_rows;) {
                const int count = tile_rows(taken, n_rows - r);
                for (int i = 0; i < count; i++) x[i] = x_rows + (r + i) * x_stride;
                product_tile(format, count, taken, 1, n_x, x, panel + run * n_x * LANES,
                             products + r * stride + first + (cell->x_first + run) * LANES, stride);
                r += count;
            }
        }
    }
}

/* products (n_rows, S Hp) = bias + x W_ih, rows `stride` apart. */
SKLSTM_SHARED void products_of_rows(const CellShape *cell, const LayerCall *call, Py_ssize_t n_rows, const real *x_rows,
                                    Py_ssize_t x_stride, real *products, Py_ssize_t stride) {
#if SKLSTM_REDUCED
    const Py_ssize_t most = 2 * call->n_samples + PAIRS;
    const real **rows = (const real **)call->row_pointers;
    for (Py_ssize_t first = 0; first < n_rows && (call->format != REALS || call->ranges); first += most) {
        const Py_ssize_t count = smaller(most, n_rows - first);
        for (Py_ssize_t r = 0; r < count; r++) rows[r] = x_rows + (first + r) * x_stride;
        rows_to_words(call, READS_X, count, call->input_size, rows, 0);
        if (call->format == REALS) continue;
        if (is_integer(call->format)) {
            integer_input_products(cell, call, count, rows, products + first * stride, stride);
            continue;
        }
        products_of_words(cell, call, count, (const real *)call->words, call->words_stride, products + first * stride, stride);
    }
    if (call->format != REALS) return;
#endif
    products_of_words(cell, call, n_rows, x_rows, x_stride, products, stride);
}

/* The padding of h, units H .. Hp, stays zero by itself, unless the cell leaves zero. */
SKLSTM_INLINE void clear_padding(const CellShape *cell, const LayerCall *call, Py_ssize_t n_rows, real *h) {
    if (!cell->leaves_zero || call->hidden_size == call->hidden_stride) return;
    for (Py_ssize_t r = 0; r < n_rows; r++)
        for (Py_ssize_t u = call->hidden_size; u < call->hidden_stride; u++) h[r * call->hidden_stride + u] = 0;
}
