/* The elementwise driver: without a product with h, the products of several steps are computed at once, before the loop over
 * time; then the units of a panel go through these steps while their sums and states are in L1. Backward: plain_backward
 * (recurrent.h). */

SKLSTM_INLINE void elementwise_forward(const Cell *cell, CellLoop cells, const LayerCall *call) {
    const Py_ssize_t n = call->n_samples, hp = call->hidden_stride, most = 2 * n + PAIRS;
    const real **x = (const real **)call->row_pointers;
    real *z = (real *)call->z, *h = (real *)call->h;
    const real *vectors = (const real *)call->vectors;
    if (cell->derive) {
        CellDerivation d = plain_derivation(call, cell->n_sums);
        cell->derive(&d);
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
        for (Py_ssize_t p = call->first_panel; p < call->first_panel + call->n_panels; p++) {
            const Py_ssize_t unit = p * cell->units, count = smaller(cell->units, hp / LANES - unit), u = unit * LANES;
            const Py_ssize_t z_stride = count * cell->n_sums * LANES;
            real *sums = z;
            sums_of_panel(&cell->shape, call, p, n_rows, x, NULL, z, z_stride);
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
