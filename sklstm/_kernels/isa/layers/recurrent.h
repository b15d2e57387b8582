/* The recurrent driver: a product with h inside the time loop, forward and backward; the plain layer, without options. */

SKLSTM_INLINE void recurrent_forward(const Cell *cell, CellLoop cells, const LayerCall *call) {
    const Py_ssize_t n = call->n_samples, hp = call->hidden_stride;
    const Py_ssize_t first = call->first_panel * cell->units;
    const Py_ssize_t n_units = smaller(hp / LANES - first, call->n_panels * cell->units);
    const real **x = (const real **)call->row_pointers, **h_prev = x + n;
    real *z = (real *)call->z, *h = (real *)call->h;
    stored *gates = NULL, *kept = NULL;
    for (Py_ssize_t t = 0; t < call->n_steps; t++) {
        const Py_ssize_t n_active = call->n_active[t];
        const real *h_row = h;
        const Py_ssize_t c_step = COMPACT && call->kept_c ? 0 : call->kept_step;
        real *c_prev = cell->has_c ? (real *)call->c + t * c_step : NULL, *c_next = cell->has_c ? c_prev + c_step : NULL;
        if (is_interrupted(call)) return;
        for (Py_ssize_t r = 0; r < n_active; r++) {
            x[r] = (const real *)call->x_rows[r] + t * call->x_step;
            h_prev[r] = h + r * hp;
        }
        h += n * hp;
        step_to_words(call, n_active, x, h_prev);
        if (call->gates) {
            gates = (stored *)call->gates + cell->n_sums * t * call->kept_step;
            kept = cell->n_kept ? (stored *)call->kept + cell->n_kept * t * call->kept_step : NULL;
        }
        /* Panels in the outer loop: one panel (4 lanes x k) stays in L1 for all rows of the chunk. With few rows every other step
         * takes them from the last to the first, which finds those of the step before in the cache. */
        const int joined = n_active < ROWS_OF_A_PANEL; /* all panels first, then all cells */
        const int last_first = joined && ((t + call->last_panel_first) & 1);
        for (Py_ssize_t i = 0; i < call->n_panels; i++) {
            const Py_ssize_t p = call->first_panel + (last_first ? call->n_panels - 1 - i : i);
            const Py_ssize_t begin = joined ? first : p * cell->units;
            const Py_ssize_t count = joined ? n_units : smaller(cell->units, hp / LANES - begin);
            const Py_ssize_t z_stride = count * cell->n_sums * LANES, u = begin * LANES;
            sums_of_panel(&cell->shape, call, p, n_active, x, h_prev,
                          z + (joined ? (p - call->first_panel) * cell->units * cell->n_sums * LANES : 0), z_stride);
            if (joined && i + 1 < call->n_panels) continue;
            const CellArrays arrays = {
                kept_at(COMPACT, gates, cell->n_sums * u), kept_at(COMPACT, kept, cell->n_kept * u),
                vectors_at(&cell->shape, call, u), h_row + u,
                cell->has_c ? c_prev + u : NULL, cell->has_c ? c_next + u : NULL, h + u,
                cell->reads_gap && call->gaps ? (const real *)call->gaps + t * n : NULL,
                kept_at(COMPACT, call->kept_c, t * call->kept_step + u),
            };
            cells(n_active, count, hp, z, z_stride, &arrays);
        }
    }
}

/* Row r of step t of the plain layer, for backward. */
SKLSTM_INLINE CellRow plain_row(const Cell *cell, const LayerCall *call, Py_ssize_t t, Py_ssize_t r,
                                const CellDerivation *derivation) {
    const Py_ssize_t hp = call->hidden_stride, here = (t * call->n_samples + r) * hp;
    real *gates = (real *)kept_at(COMPACT, call->gates, cell->n_sums * here), *d_h = (real *)call->d_h + r * hp;
    return (CellRow){
        .stride = hp, .gates = gates, .d_sums = gates,
        .kept = cell->n_kept ? (real *)kept_at(COMPACT, call->kept, cell->n_kept * here) : NULL,
        .vectors = (const real *)call->vectors, .h_prev = (const real *)call->h + here,
        .c_prev = cell->has_c ? (const real *)call->c + here * states_of(cell) : NULL,
        .kept_c = kept_at(COMPACT, call->kept_c, here), .d_h = d_h,
        .d_h_more = call->d_h_above ? (const real *)call->d_h_above + here : NULL, .direct_h = d_h,
        .d_c = cell->has_c ? (real *)call->d_c + r * hp * states_of(cell) : NULL, .gap = cell->reads_gap ? gap_of(call, t, r) : 1,
        .d_bias = gathered_bias(call, NULL) ? NULL : (real *)call->d_bias, .d_vectors = (real *)call->d_vectors,
        .derived = derivation->derived, .d_derived = cell->derive ? derivation->derived + hp : NULL,
    };
}

/* Backward pass of the plain layer: d_sums over gates, then d_weights and, where wanted, d_x. */
SKLSTM_INLINE void recurrent_backward(const Cell *cell, const CellShape *shape, const LayerCall *call) {
    const Py_ssize_t n = call->n_samples, hp = call->hidden_stride, state = n * hp;
    const real *last = (const real *)call->d_h_last, *last_c = cell->has_c ? (const real *)call->d_c_last : NULL;
    const CellDerivation none = {0};
    real *d_h = (real *)call->d_h, *d_c = (real *)call->d_c;
    Py_ssize_t n_next = 0;
    memset(d_h, 0, (size_t)state * sizeof(real));
    if (cell->has_c) memset(d_c, 0, (size_t)state * sizeof(real));
    for (Py_ssize_t t = call->n_steps - 1; t >= 0; t--) {
        const Py_ssize_t n_active = call->n_active[t];
        if (is_interrupted(call)) return;
        /* The sequences that end at this step enter with the gradients of their last states. */
        if (last) memcpy(d_h + n_next * hp, last + n_next * hp, (size_t)((n_active - n_next) * hp) * sizeof(real));
        if (last_c) memcpy(d_c + n_next * hp, last_c + n_next * hp, (size_t)((n_active - n_next) * hp) * sizeof(real));
        n_next = n_active;
        for (Py_ssize_t r = 0; r < n_active; r++) {
            const CellRow row = plain_row(cell, call, t, r, &none);
            cells_backward(cell, &row, 1);
        }
        if (t || !call->is_initial_fixed)
            state_gradients(shape, call, t, kept_at(COMPACT, call->gates, cell->n_sums * t * state), d_h, cell->reads_h);
    }
    collect_weight_gradients(shape, call, NULL);
    if (call->x_transposed) input_gradients(shape, call);
}
