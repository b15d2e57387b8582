/* Backward pass of the layer with options (options.h). */

/* From the gradient of h_t to that of m: over d_h itself, or in b.d_m where there is a projection. */
SKLSTM_INLINE void output_gradients_of_step(const LayerCall *call, const OptionBuffers *b, Py_ssize_t t, Py_ssize_t pair) {
    const Py_ssize_t op = call->output_stride, whole = round_up(call->output_size, TILE_VECS * LANES);
    const Py_ssize_t n_active = call->n_active[t];
    for (Py_ssize_t r = 0; r < n_active; r++) {
        const Py_ssize_t row = t * call->n_samples + r;
        const real *above = call->d_h_above ? (const real *)call->d_h_above + row * op : NULL;
        real *d_h = (real *)call->d_h + r * op, *d_new = d_h;
        if (b->m) {
            d_new = b->d_projected + (pair + r) * b->projected_stride;
            memset(d_new + op, 0, (size_t)(whole - op) * sizeof(real));
        }
        if (above || b->kept_h || d_new != d_h)
            split_row(op, d_h, above, b->kept_h ? b->kept_h + row * op : NULL, b->kept_h ? b->direct + r * op : NULL, d_new);
        if (!b->kept_h && b->direct) memset(b->direct + r * op, 0, (size_t)op * sizeof(real));
    }
    if (b->m)
        product(n_active, whole, call->hidden_stride / LANES, b->d_projected + pair * b->projected_stride, b->projected_stride,
                call->options->projection_transposed, b->d_m, call->hidden_stride, 0);
}

/* From the gradients of m and of the states of one row to those of the sums, over the gates (with a gated h, to b.d_sums), and
 * of the previous states. */
SKLSTM_INLINE void row_backward(const CellShape *cell, const RowFunctions *functions, const LayerCall *call,
                                const OptionBuffers *b, Py_ssize_t t, Py_ssize_t r) {
    const Py_ssize_t hp = call->hidden_stride, here = t * call->n_samples + r, size = hp * (Py_ssize_t)sizeof(real);
    const Py_ssize_t states = call->sizes.n_states * hp;
    const real *kept_c = b->kept_c ? b->kept_c + here * hp : NULL;
    real *d_c = call->c ? (real *)call->d_c + r * states : NULL;
    CellRow row;
    describe_row(cell, call, b, t, r, &row);
    row.d_sums = cell->gated_count ? b->d_sums + r * cell->n_sums * hp : row.gates;
    row.d_h = (b->m ? b->d_m : (const real *)call->d_h) + r * hp;
    row.d_c = d_c;
    row.scratch = b->scratch;
    if (cell->reads_h && b->direct) row.direct_h = b->direct + r * hp;
    if (cell->chain) row.direct_h = (real *)memset(b->d_chain + r * hp, 0, (size_t)size);
    if (cell->has_c && kept_c) {
        for (Py_ssize_t k = 0; k < states; k += hp) split_row(hp, d_c + k, NULL, kept_c, b->direct_c + k, d_c + k);
        row.direct_c = b->direct_c;
    } else if (carries_m(cell, call)) {
        /* m_t = k m_{t-1} + (1 - k) m: the gradient of the carried m is added to that of m; d_c starts anew from what
         * bypasses the cell. */
        row.d_h_more = b->c_previous;
        row.direct_h = d_c;
        if (kept_c) {
            split_row(hp, d_c, NULL, kept_c, b->direct_c, b->c_previous);
            memcpy(d_c, b->direct_c, (size_t)size);
        } else {
            memcpy(b->c_previous, d_c, (size_t)size);
            memset(d_c, 0, (size_t)size);
        }
    }
    functions->backward(&row);
}

/* The gradients of the sums that read a gated vector, through their normalisation: over the products. */
SKLSTM_INLINE void gated_norm_backward(const CellShape *cell, const LayerCall *call, const OptionBuffers *b, Py_ssize_t t,
                                       int stage) {
    const Py_ssize_t width = cell->n_sums * call->hidden_stride, row = t * call->n_samples;
    const Py_ssize_t first = (cell->gated_first + stage * sums_of_stage(cell)) * LANES, place = 2 * width + first;
    for (Py_ssize_t r = 0; r < call->n_active[t]; r++) {
        real *product = b->sums_gated + (row + r) * width + first;
        normalise_row_backward(sums_of_stage(cell), cell->n_sums * LANES, call->hidden_size, call->hidden_stride,
                               (const real *)call->options->norm + place, (real *)call->options->d_norm + place, product,
                               b->inverses[INVERSES * (row + r) + 3 + stage], b->d_sums + r * width + first, product);
    }
}

/* Through the products of the gated vectors, from the last to the first: completes the gradients of the sums, over the gates. */
SKLSTM_INLINE void gates_backward_of_step(const CellShape *cell, const RowFunctions *functions, const LayerCall *call,
                                          const OptionBuffers *b, Py_ssize_t t) {
    const Py_ssize_t hp = call->hidden_stride, width = cell->n_sums * hp, n_active = call->n_active[t];
    const Py_ssize_t row = t * call->n_samples, n_vecs = hp / LANES;
    const int norm = call->options->norm != NULL, count = sums_of_stage(cell);
    const Py_ssize_t copy = round_up(n_vecs * count * words_of(format_of(call), LANES) * hp, 16); /* numbers of one stage */
    for (int stage = stages_of(cell) - 1; stage >= 0; stage--) {
        const Py_ssize_t begin = stage * b->stage_step + row;
        const real *before = stage ? b->chain + (begin - b->stage_step) * hp : (const real *)call->h + row * hp;
        if (norm) gated_norm_backward(cell, call, b, t, stage);
        product_of_gradients(cell, call, n_active, norm ? b->sums_gated + row * width : b->d_sums,
                             cell->gated_first + stage * count, count, n_vecs,
                             (const real *)call->gated_transposed + stage * copy, b->d_gated, hp, 0, 0);
        for (Py_ssize_t r = 0; r < n_active; r++) {
            real *d_gated = b->d_gated + r * hp, *past = cell->chain ? b->d_chain + r * hp : NULL, *d_sums = b->d_sums + r * width;
            real *gates = (real *)call->gates + (row + r) * width;
            if (b->scale_h || past) scale_row(hp, d_gated, b->scale_h ? b->scale_h + r * hp : NULL, past, d_gated);
            if (stage) memset(past, 0, (size_t)hp * sizeof(real));
            functions->gate_backward(stage, hp, gates, d_sums, before + r * hp, d_gated, stage ? past : b->direct + r * hp,
                                     stage ? d_sums : gates);
        }
    }
}

/* sums += rows of d_sums, one after the other; the sums of some vectors stay in registers. */
SKLSTM_INLINE void add_step_of_rows(Py_ssize_t n_rows, Py_ssize_t width, const real *d_sums, real *sums) {
    Py_ssize_t k = 0;
    for (; k + TILE_VECS * LANES <= width; k += TILE_VECS * LANES) {
        vec sum[TILE_VECS];
#pragma GCC unroll 4
        for (int j = 0; j < TILE_VECS; j++) sum[j] = v_load(sums + k + j * LANES);
        for (Py_ssize_t r = 0; r < n_rows; r++)
#pragma GCC unroll 4
            for (int j = 0; j < TILE_VECS; j++) sum[j] = v_add(sum[j], v_load(d_sums + r * width + k + j * LANES));
#pragma GCC unroll 4
        for (int j = 0; j < TILE_VECS; j++) v_store(sums + k + j * LANES, sum[j]);
    }
    for (; k < width; k += LANES)
        for (Py_ssize_t r = 0; r < n_rows; r++) v_store(sums + k, v_add(v_load(sums + k), v_load(d_sums + r * width + k)));
}

/* The gradient of the bias, and through the normalisation of the products: that of x W_ih replaces the gradient of the sums,
 * that of h W_hh is in b.sums_h. */
SKLSTM_INLINE void sums_backward_of_step(const CellShape *cell, const LayerCall *call, const OptionBuffers *b, Py_ssize_t t) {
    const Py_ssize_t width = cell->n_sums * call->hidden_stride, step = cell->n_sums * LANES;
    const real *norm = (const real *)call->options->norm;
    real *d_norm = (real *)call->options->d_norm, *d_bias = (real *)call->d_bias;
    if (!gathered_bias(call, b))
        add_step_of_rows(call->n_active[t], width, (const real *)call->gates + t * call->n_samples * width, d_bias);
    for (Py_ssize_t r = 0; r < call->n_active[t] && norm; r++) {
        const Py_ssize_t row = t * call->n_samples + r;
        real *d_sums = (real *)call->gates + row * width;
        if (cell->h_count) {
            const Py_ssize_t first = cell->h_first * LANES;
            real *product = b->sums_h + row * width + first;
            normalise_row_backward(cell->h_count, step, call->hidden_size, call->hidden_stride, norm + width + first,
                                   d_norm + width + first, product, b->inverses[INVERSES * row + 1], d_sums + first, product);
        }
        const Py_ssize_t first = cell->x_first * LANES;
        normalise_row_backward(cell->x_count, step, call->hidden_size, call->hidden_stride, norm + first, d_norm + first,
                               b->sums_x + row * width + first, b->inverses[INVERSES * row], d_sums + first, d_sums + first);
    }
}

SKLSTM_SHARED void options_backward(const CellShape *cell, const RowFunctions *functions, const LayerCall *call) {
    const Py_ssize_t n = call->n_samples, hp = call->hidden_stride, op = call->output_stride;
    const Py_ssize_t states = call->sizes.n_states * hp;
    const real *last = (const real *)call->d_h_last, *last_c = call->c ? (const real *)call->d_c_last : NULL;
    real *d_h = (real *)call->d_h, *d_c = (real *)call->d_c;
    Py_ssize_t n_next = 0, pair = 0;
    OptionBuffers b;
    lay_out_options(cell, call, n, call->n_steps, (char *)call->options->workspace, &b);
    memset(d_h, 0, (size_t)(n * op) * sizeof(real));
    if (call->c) memset(d_c, 0, (size_t)(n * states) * sizeof(real));
    if (call->sizes.n_derived) memset(b.d_derived, 0, (size_t)(call->sizes.n_derived * hp) * sizeof(real));
    for (Py_ssize_t t = 0; t < call->n_steps; t++) pair += call->n_active[t];
    for (Py_ssize_t t = call->n_steps - 1; t >= 0; t--) {
        const Py_ssize_t n_active = call->n_active[t];
        const real *d_sums = (b.sums_h ? b.sums_h : (const real *)call->gates) + cell->n_sums * t * n * hp;
        if (is_interrupted(call)) return;
        pair -= n_active;
        /* The sequences that end at this step enter with the gradients of their last states. */
        if (last) memcpy(d_h + n_next * op, last + n_next * op, (size_t)((n_active - n_next) * op) * sizeof(real));
        if (last_c)
            memcpy(d_c + n_next * states, last_c + n_next * states, (size_t)((n_active - n_next) * states) * sizeof(real));
        const int unchanged = n_active == n_next && !call->d_h_above && !b.kept_h && !b.m && !b.direct; /* d_h is still zero */
        n_next = n_active;
        output_gradients_of_step(call, &b, t, pair);
        for (Py_ssize_t r = 0; r < n_active; r++) row_backward(cell, functions, call, &b, t, r);
        if (cell->gated_count) gates_backward_of_step(cell, functions, call, &b, t);
        sums_backward_of_step(cell, call, &b, t);
        if (!cell->h_count && !unchanged) memset(d_h, 0, (size_t)(n_active * op) * sizeof(real));
        state_gradients(cell, call, t, d_sums, d_h, 0);
        if (!b.scale_h && !b.direct) continue;
        for (Py_ssize_t r = 0; r < n_active; r++)
            scale_row(op, d_h + r * op, b.scale_h ? b.scale_h + r * op : NULL, b.direct ? b.direct + r * op : NULL,
                      d_h + r * op);
    }
    if (call->sizes.n_derived) {
        CellDerivation d = derivation(call, &b);
        functions->derive_backward(&d);
    }
    collect_weight_gradients(cell, call, &b);
    if (call->x_transposed) input_gradients(cell, call);
}
