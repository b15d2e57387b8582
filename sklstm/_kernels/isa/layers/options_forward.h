/* Forward pass of the layer with options (options.h). */

/* Some sums of all units: rows @ part, written to (or added to) rows of S Hp numbers. */
SKLSTM_INLINE void part_of_sums(const CellShape *cell, const LayerCall *call, int reads, int first, int count,
                                Py_ssize_t offset, Py_ssize_t n_k, Py_ssize_t n_rows, const real *const *rows, real *sums,
                                int add) {
    const int format = format_of(call);
    const LayerPanels panels = panels_of(cell, call, format);
    const Py_ssize_t stride = cell->n_sums * call->hidden_stride;
    for (Py_ssize_t unit = 0; unit < panels.n_vecs; unit += cell->units) {
        const int units = (int)smaller(cell->units, panels.n_vecs - unit), vecs = units * count;
        const real *panel = (const real *)call->weights + unit * panels.unit_size + units * offset;
#if SKLSTM_REDUCED
        if (is_integer(format)) {
            const Py_ssize_t begin = (unit * cell->n_sums + first) * LANES;
            for (Py_ssize_t r = 0; r < n_rows && !add; r++)
                memset(sums + r * stride + begin, 0, (size_t)(vecs * LANES) * sizeof(real));
            add_integer_products(call, reads, begin, vecs, n_rows, n_k, rows, panel, (Addends){NULL, 0, 0}, sums + begin, stride);
            continue;
        }
#else
        (void)reads;
#endif
        real *out = sums + (unit * cell->n_sums + first) * LANES;
        product_of_part(format, vecs, add ? out : NULL, stride, n_rows, words_of(format, n_k), rows, panel, out, stride);
    }
}

/* sums += gain N(product) for some sums of all units; the product becomes N(product); returns 1 / deviation. */
SKLSTM_INLINE real add_normalised(const CellShape *cell, const LayerCall *call, int first, int count, const real *gain,
                                  real *product, real *sums) {
    return add_normalised_row(count, cell->n_sums * LANES, call->hidden_size, call->hidden_stride, product + first * LANES,
                              gain + first * LANES, sums + first * LANES);
}

/* z (n, S Hp): the sums of a step, without the products of the gated h. */
SKLSTM_INLINE void sums_of_step(const CellShape *cell, const LayerCall *call, const OptionBuffers *b, Py_ssize_t t,
                                const real *const *x, const real *const *h_prev, real *z) {
    const Py_ssize_t width = cell->n_sums * call->hidden_stride, n_active = call->n_active[t], row = t * b->step;
    const real *norm = (const real *)call->options->norm;
    if (!norm) {
        for (Py_ssize_t p = 0; p * cell->units * LANES < call->hidden_stride; p++)
            sums_of_panel(cell, call, p, n_active, x, h_prev, z + p * cell->units * cell->n_sums * LANES, width);
        return;
    }
    part_of_sums(cell, call, READS_X, cell->x_first, cell->x_count, 0, call->input_size, n_active, x, b->sums_x + row * width,
                 0);
    if (cell->h_count)
        part_of_sums(cell, call, READS_H, cell->h_first, cell->h_count, panels_of(cell, call, format_of(call)).h_offset,
                     call->output_size, n_active, h_prev, b->sums_h + row * width, 0);
    for (Py_ssize_t r = 0; r < n_active; r++) {
        real *inverses = b->inverses + INVERSES * (row + r), *sums = z + r * width;
        memcpy(sums, call->bias, (size_t)width * sizeof(real));
        inverses[0] =
            add_normalised(cell, call, cell->x_first, cell->x_count, norm, b->sums_x + (row + r) * width, sums);
        if (cell->h_count)
            inverses[1] = add_normalised(cell, call, cell->h_first, cell->h_count, norm + width,
                                         b->sums_h + (row + r) * width, sums);
    }
}

/* The gated vectors of a step, one after the other, and the product of each added to the sums. `rows` is scratch. */
SKLSTM_INLINE void gated_sums_of_step(const CellShape *cell, const RowFunctions *functions, const LayerCall *call,
                                      const OptionBuffers *b, Py_ssize_t t, const real *h, const real **rows, real *z) {
    const Py_ssize_t hp = call->hidden_stride, width = cell->n_sums * hp, n_active = call->n_active[t], row = t * b->step;
    const int count = sums_of_stage(cell);
    const real *norm = (const real *)call->options->norm;
    for (int stage = 0; stage < stages_of(cell); stage++) {
        const int first = cell->gated_first + stage * count;
        const Py_ssize_t begin = stage * b->stage_step + row;
        const real *before = stage ? b->chain + (begin - b->stage_step) * hp : h;
        for (Py_ssize_t r = 0; r < n_active; r++) {
            real *made = b->chain + (begin + r) * hp, *out = b->gated + (begin + r) * hp;
            functions->gate(stage, hp, z + r * width, before + r * hp, made);
            if (b->scale_h) scale_row(hp, made, b->scale_h + r * hp, NULL, out);
            rows[r] = out;
        }
        rows_to_words(call, READS_GATED, n_active, call->output_size, rows, 0);
        part_of_sums(cell, call, READS_GATED, first, count, stage_offset(cell, call, format_of(call), stage), call->output_size,
                     n_active, rows, norm ? b->sums_gated + row * width : z, !norm);
        for (Py_ssize_t r = 0; r < n_active && norm; r++)
            b->inverses[INVERSES * (row + r) + 3 + stage] = add_normalised(
                cell, call, first, count, norm + 2 * width, b->sums_gated + (row + r) * width, z + r * width);
    }
}

/* The cells of one row: their output to `m`, the second state to its array, mixed with the previous one by zoneout. */
SKLSTM_INLINE void row_forward(const CellShape *cell, const RowFunctions *functions, const LayerCall *call,
                               const OptionBuffers *b, Py_ssize_t t, Py_ssize_t r, real *m) {
    const Py_ssize_t hp = call->hidden_stride, here = t * b->step + r;
    real *kept_c = b->kept_c ? b->kept_c + here * hp : NULL;
    const Py_ssize_t n_states = call->sizes.n_states;
    real *c_next = call->c ? (real *)call->c + ((t + 1) * call->kept_step + r * hp) * n_states : NULL;
    CellRow row;
    describe_row(cell, call, b, t, r, &row);
    if (kept_c && c_next && call->options->training) draw_zoneout(call, ZONEOUT_C, t, r, call->hidden_size, hp, kept_c);
    if (c_next && row.c_prev == c_next) { /* updated in place */
        memcpy(b->c_previous, row.c_prev, (size_t)(n_states * hp) * sizeof(real));
        row.c_prev = b->c_previous;
        if (carries_m(cell, call)) row.h_prev = b->c_previous;
    }
    row.h_next = m;
    row.c_next = c_next;
    functions->forward(&row);
    clear_padding(cell, call, 1, m);
    if (b->inverses) b->inverses[INVERSES * here + 2] = row.inverse;
    if (carries_m(cell, call)) memcpy(c_next, m, (size_t)hp * sizeof(real));
    for (Py_ssize_t k = 0; k < n_states * hp && kept_c; k += hp) mix_row(hp, kept_c, row.c_prev + k, c_next + k, c_next + k);
}

/* From m to the next h: projection and zoneout. h is the row of states before this step. */
SKLSTM_INLINE void outputs_of_step(const LayerCall *call, const OptionBuffers *b, Py_ssize_t t, Py_ssize_t pair, real *h) {
    const Py_ssize_t op = call->output_stride, n_active = call->n_active[t];
    const Py_ssize_t n_vecs = round_up(call->output_size, TILE_VECS * LANES) / LANES;
    real *h_next = h + call->n_samples * op;
    if (b->m) {
        product(n_active, call->hidden_size, n_vecs, b->m + pair * b->m_stride, b->m_stride, call->options->projection,
                b->projected, b->projected_stride, 0);
        for (Py_ssize_t r = 0; r < n_active; r++)
            memcpy(h_next + r * op, b->projected + r * b->projected_stride, (size_t)op * sizeof(real));
    }
    if (!b->kept_h) return;
    for (Py_ssize_t r = 0; r < n_active; r++) {
        real *kept = b->kept_h + (t * b->step + r) * op;
        if (call->options->training) draw_zoneout(call, ZONEOUT_H, t, r, call->output_size, op, kept);
        mix_row(op, kept, h + r * op, h_next + r * op, h_next + r * op);
    }
}

SKLSTM_SHARED void options_forward(const CellShape *cell, const RowFunctions *functions, const LayerCall *call) {
    const LayerOptions *options = call->options;
    const Py_ssize_t n = call->n_samples, op = call->output_stride, width = cell->n_sums * call->hidden_stride;
    const real **x = (const real **)call->row_pointers, **h_prev = x + n;
    real *h = (real *)call->h;
    Py_ssize_t pair = 0;
    OptionBuffers b;
    lay_out_options(cell, call, n, call->n_steps, (char *)options->workspace, &b);
    draw_constant_masks(call, &b);
    if (call->sizes.n_derived) {
        CellDerivation d = derivation(call, &b);
        functions->derive(&d);
    }
    for (Py_ssize_t t = 0; t < call->n_steps; t++, h += n * op) {
        const Py_ssize_t n_active = call->n_active[t];
        real *z = options->training ? (real *)call->gates + t * n * width : (real *)call->z;
        if (is_interrupted(call)) return;
        for (Py_ssize_t r = 0; r < n_active; r++) {
            x[r] = (const real *)call->x_rows[r] + t * call->x_step;
            h_prev[r] = h + r * op;
            if (!b.scale_h) continue;
            scale_row(op, h + r * op, b.scale_h + r * op, NULL, b.dropped_h + r * op);
            h_prev[r] = b.dropped_h + r * op;
        }
        step_to_words(call, n_active, x, h_prev);
        sums_of_step(cell, call, &b, t, x, h_prev, z);
        if (cell->gated_count) gated_sums_of_step(cell, functions, call, &b, t, h, h_prev, z);
        for (Py_ssize_t r = 0; r < n_active; r++)
            row_forward(cell, functions, call, &b, t, r, b.m ? b.m + (pair + r) * b.m_stride : h + (n + r) * op);
        outputs_of_step(call, &b, t, pair, h);
        pair += options->training ? n_active : 0;
    }
}
