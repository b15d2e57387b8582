/* The elementwise driver: without a product with h, the products of several steps are computed at once, before the loop over
 * time; then the units of a panel go through these steps while their sums and states are in L1. A step of few rows takes all
 * panels first, as in the recurrent driver. Backward: plain_backward (recurrent.h). */

/* Rows of the sums of a panel that stay in L1 beside its weights. */
enum { BYTES_OF_SUMS = 16384 };

SKLSTM_INLINE void elementwise_forward(const Cell *cell, CellLoop cells, const LayerCall *call) {
    const Py_ssize_t n = call->n_samples, hp = call->hidden_stride, row_bytes = TILE_VECS * SKLSTM_VEC_BYTES;
    const Py_ssize_t most = smaller(2 * n + PAIRS, BYTES_OF_SUMS / row_bytes > n ? BYTES_OF_SUMS / row_bytes : n);
    const Py_ssize_t first = call->first_panel * cell->units;
    const Py_ssize_t n_units = smaller(hp / LANES - first, call->n_panels * cell->units);
    const real **x = (const real **)call->row_pointers;
    real *z = (real *)call->z, *h = (real *)call->h;
    const real *vectors = (const real *)call->vectors;
    if (cell->derive) {
        CellDerivation d = plain_derivation(call, cell->n_sums);
        if (!call->is_derived) cell->derive(&d);
        vectors = d.derived;
    }
    for (Py_ssize_t t = 0; t < call->n_steps;) {
        const Py_ssize_t begin = t;
        Py_ssize_t n_rows = 0;
        if (is_interrupted(call)) return;
        for (; t < call->n_steps && n_rows + call->n_active[t] <= most; t++)
            for (Py_ssize_t r = 0; r < call->n_active[t]; r++)
                x[n_rows++] = (const real *)call->x_rows[r] + t * call->x_step;
        step_to_words(call, n_rows, x, NULL);
        const int joined = n_rows < ROWS_OF_A_PANEL && n_rows <= n;
        for (Py_ssize_t i = 0; i < call->n_panels; i++) {
            const Py_ssize_t p = call->first_panel + (call->last_panel_first ? call->n_panels - 1 - i : i);
            const Py_ssize_t unit = joined ? first : p * cell->units, u = unit * LANES;
            const Py_ssize_t count = joined ? n_units : smaller(cell->units, hp / LANES - unit);
            const Py_ssize_t z_stride = count * cell->n_sums * LANES;
            real *sums = z;
            sums_of_panel(&cell->shape, call, p, n_rows, x, NULL,
                          z + (joined ? (p - call->first_panel) * cell->units * cell->n_sums * LANES : 0), z_stride);
            if (joined && i + 1 < call->n_panels) continue;
            for (Py_ssize_t s = begin; s < t; s++) {
                const Py_ssize_t kept = s * call->kept_step;
                real *c = cell->has_c ? (real *)call->c + kept + u : NULL; /* in prediction updated in place */
                const CellArrays arrays = {
                    kept_at(COMPACT, call->gates, cell->n_sums * (kept + u)),
                    call->gates && cell->n_kept ? kept_at(COMPACT, call->kept, cell->n_kept * (kept + u)) : NULL,
                    cell->n_vectors ? vectors + u : NULL, h + s * n * hp + u, c, c ? c + call->kept_step : NULL,
                    h + (s + 1) * n * hp + u, NULL,
                };
                cells(call->n_active[s], count, hp, sums, z_stride, &arrays);
                sums += call->n_active[s] * z_stride;
            }
        }
        for (Py_ssize_t s = begin; s < t; s++) clear_padding(&cell->shape, call, call->n_active[s], h + (s + 1) * n * hp);
    }
}
