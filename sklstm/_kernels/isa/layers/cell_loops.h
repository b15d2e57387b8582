/* The equations of a cell, run over units and rows. */

/* The per-unit weights of the plain layer. */
SKLSTM_INLINE const real *vectors_at(const CellShape *cell, const LayerCall *call, Py_ssize_t u) {
    return cell->n_vectors && !cell->vectors_are_optional ? (const real *)call->vectors + u : NULL;
}

/* The time since the step before of row r at step t. */
SKLSTM_INLINE real gap_of(const LayerCall *call, Py_ssize_t t, Py_ssize_t r) {
    return call->gaps ? ((const real *)call->gaps)[t * call->n_samples + r] : 1;
}

/* A plain layer of a cell that derives a vector of its per-unit weights: it stands in their place, behind the sums of the
 * scratch, and its gradient behind it. */
SKLSTM_INLINE CellDerivation plain_derivation(const LayerCall *call, Py_ssize_t n_sums) {
    const Py_ssize_t hp = call->hidden_stride;
    real *derived = (real *)call->z + scratch_size(call->n_samples, n_sums, hp, LANES) - 2 * hp;
    return (CellDerivation){call->hidden_size, hp, call->numbers, (const real *)call->vectors,
                            derived, derived + hp, (real *)call->d_vectors};
}

/* Numbers of c for each of h. */
SKLSTM_INLINE Py_ssize_t states_of(const Cell *cell) { return 1 + cell->more_states; }

/* The cells of n vectors of units: they are at offsets `column` of their rows, whose states are at offsets u. */
SKLSTM_INLINE void step_cells(const Cell *cell, const int n, real *const *sums, const Py_ssize_t *u, const Py_ssize_t *column,
                              const real *gap, Py_ssize_t stride, const int compact, const CellArrays *a) {
    Py_ssize_t at[SIDE_BY_SIDE]; /* of c */
    CellForward s;
    s.compact = compact;
    s.stride = stride;
    s.u = u;
    s.gates = a->gates;
    s.kept = a->kept;
    EACH s.sums[j] = sums[j];
    if (cell->n_vectors && !cell->vectors_are_optional) EACH s.vectors[j] = a->vectors + column[j];
    if (cell->reads_h) EACH s.h[j] = v_load(a->h_prev + u[j]);
    EACH at[j] = cell->more_states ? states_of(cell) * (u[j] - column[j]) + column[j] : u[j];
    if (cell->has_c) EACH s.c[j] = v_load(a->c_prev + at[j]);
    if (cell->more_states) EACH s.c_prev[j] = a->c_prev + at[j];
    if (cell->more_states) EACH s.c_next[j] = a->c_next + at[j];
    if (cell->reads_gap) EACH s.gap[j] = v_broadcast(gap[j]);
    if (compact && cell->has_c && a->kept_c) EACH keep(compact, ANY, a->kept_c, u[j], s.c[j]);
    cell->forward(n, &s);
    if (cell->has_c) EACH v_store(a->c_next + at[j], s.c[j]);
    EACH v_store(a->h_next + u[j], s.h[j]);
}

/* The cells of a vector of units of SIDE_BY_SIDE rows. */
SKLSTM_INLINE void step_rows(const Cell *cell, Py_ssize_t first, Py_ssize_t q, Py_ssize_t stride, real *z, Py_ssize_t z_stride,
                             const int compact, const CellArrays *a) {
    const int n = SIDE_BY_SIDE;
    real *sums[SIDE_BY_SIDE];
    Py_ssize_t u[SIDE_BY_SIDE], column[SIDE_BY_SIDE];
    real gap[SIDE_BY_SIDE];
    EACH {
        sums[j] = z + (first + j) * z_stride + q * cell->n_sums * LANES;
        u[j] = (first + j) * stride + q * LANES;
        column[j] = q * LANES;
        gap[j] = cell->reads_gap && a->gaps ? a->gaps[first + j] : 1;
    }
    step_cells(cell, n, sums, u, column, gap, stride, compact, a);
}

/* Cell.activate over all units, in place, with a copy for backward. In one loop with the states they would wait for each other:
 * 2 to 6 % of a training step. */
SKLSTM_INLINE void activate_sums(const Cell *cell, Py_ssize_t n_rows, Py_ssize_t n_units, Py_ssize_t stride, real *z,
                                 Py_ssize_t z_stride, const int compact, void *restrict gates) {
    for (Py_ssize_t r = 0; r < n_rows; r++)
        for (Py_ssize_t q = 0; q < n_units; q++) {
            real *sums = z + r * z_stride + q * cell->n_sums * LANES;
            vec v[MAX_SUMS];
            for (int g = 0; g < cell->n_sums; g++) v[g] = v_load(sums + g * LANES);
            cell->activate(v);
            for (int g = 0; g < cell->n_sums; g++) v_store(sums + g * LANES, v[g]);
            if (gates && gates != z)
                for (int g = 0; g < cell->n_sums; g += 2)
                    keep_pair(compact, cell->ranges[g], cell->ranges[g + 1], gates,
                              cell->n_sums * (r * stride + q * LANES) + g * LANES, v[g], v[g + 1]);
        }
}

/* From sums z (rows z_stride apart) of n_units vectors of units to their next states. The arrays begin at the first of these
 * units; rows of the states are `stride` apart, those of gates and kept n_sums and n_kept times as far. */
SKLSTM_INLINE void cells_forward(const Cell *cell, Py_ssize_t n_rows, Py_ssize_t n_units, Py_ssize_t stride, real *z,
                                 Py_ssize_t z_stride, const int compact, const CellArrays *arrays) {
    const CellArrays copy = *arrays, *a = &copy;
    real *sums[SIDE_BY_SIDE];
    Py_ssize_t u[SIDE_BY_SIDE], column[SIDE_BY_SIDE];
    real gap[SIDE_BY_SIDE];
    int waiting = 0;
    if (!cell->forward) return;
    if (cell->activate) activate_sums(cell, n_rows, n_units, stride, z, z_stride, compact, a->gates);
    Py_ssize_t first = 0;
    for (; first + SIDE_BY_SIDE <= n_rows; first += SIDE_BY_SIDE)
        for (Py_ssize_t q = 0; q < n_units; q++) step_rows(cell, first, q, stride, z, z_stride, compact, a);
    for (Py_ssize_t r = first; r < n_rows; r++)
        for (Py_ssize_t q = 0; q < n_units; q++) {
            sums[waiting] = z + r * z_stride + q * cell->n_sums * LANES;
            u[waiting] = r * stride + q * LANES;
            column[waiting] = q * LANES;
            if (cell->reads_gap) gap[waiting] = a->gaps ? a->gaps[r] : 1;
            if (++waiting == SIDE_BY_SIDE) {
                step_cells(cell, SIDE_BY_SIDE, sums, u, column, gap, stride, compact, a);
                waiting = 0;
            }
        }
    for (int w = 0; w < waiting; w++) step_cells(cell, 1, sums + w, u + w, column + w, gap + w, stride, compact, a);
}

/* One vector of units of a row: gradients of the next states -> d_sums and gradients of the previous states. In the plain layer
 * (`plain`) d_h is replaced by the gradient that bypasses the sums; in the layer with options that gradient is added to
 * direct_h. d_sums and d_vectors are left in s. */
SKLSTM_INLINE void vector_backward(const Cell *cell, const CellRow *row, Py_ssize_t u, const int plain, CellBackward *s) {
    const int has_vectors = cell->n_vectors && !cell->vectors_are_optional, compact = COMPACT && plain;
    s->compact = compact;
    s->gates = kept_at(compact, row->gates, cell->n_sums * u);
    s->kept = cell->n_kept ? kept_at(compact, row->kept, cell->n_kept * u) : NULL;
    s->vectors = has_vectors ? (cell->derive ? row->derived : row->vectors) + u : NULL;
    s->stride = row->stride;
    s->d_h = v_load(row->d_h + u);
    if (row->d_h_more) s->d_h = v_add(s->d_h, v_load(row->d_h_more + u));
    if (cell->reads_h) s->h_prev = v_load(row->h_prev + u);
    if (cell->reads_gap) s->gap = v_broadcast(row->gap);
    if (cell->has_c) {
        s->c_prev = compact && row->kept_c ? kept(compact, ANY, row->kept_c, u) : v_load(row->c_prev + u);
        s->d_c = v_load(row->d_c + u);
        s->direct_c = row->direct_c ? v_load(row->direct_c + u) : v_broadcast(0);
    }
    if (cell->more_states) {
        s->more_c = row->c_prev + u;
        s->more_d_c = row->d_c + u;
        s->more_direct_c = row->direct_c ? row->direct_c + u : NULL;
    }
    for (int v = 0; v < cell->n_sums && cell->gated_count; v++) s->d_sums[v] = v_broadcast(0);
    cell->backward(s);
    if (cell->has_c) v_store(row->d_c + u, s->d_c);
    if (cell->reads_h) v_store(row->direct_h + u, plain ? s->d_h : v_add(v_load(row->direct_h + u), s->d_h));
}

/* The cells of one row. In the plain layer of reduced numbers d_bias is collected too. */
SKLSTM_INLINE void cells_backward(const Cell *cell, const CellRow *row, const int plain) {
    const int n_vectors = cell->vectors_are_optional ? 0 : cell->n_vectors;
    real *d_vectors = cell->derive ? row->d_derived : row->d_vectors;
    if (!cell->backward) return;
    for (Py_ssize_t u = 0; u < row->stride; u += LANES) {
        CellBackward s;
        vector_backward(cell, row, u, plain, &s);
        keep_gradients(COMPACT && plain, cell->n_sums, row->d_sums, cell->n_sums * u, s.d_sums);
        if (row->d_bias) for (int v = 0; v < cell->n_sums; v++) collect(row->d_bias + cell->n_sums * u + v * LANES, s.d_sums[v]);
        for (int v = 0; v < n_vectors; v++) collect(d_vectors + v * row->stride + u, s.d_vectors[v]);
    }
}

/* One row of a layer with options. */
SKLSTM_INLINE void cell_row_forward(const Cell *cell, CellLoop cells, CellRow *row) {
    if (cell->row_forward) {
        cell->row_forward(row);
        return;
    }
    const CellArrays arrays = {kept_at(0, row->training ? row->gates : NULL, 0), kept_at(0, row->training ? row->kept : NULL, 0),
                               cell->derive ? row->derived : row->vectors, row->h_prev, row->c_prev, row->c_next,
                               row->h_next, &row->gap};
    cells(1, row->stride / LANES, row->stride, row->gates, cell->n_sums * row->stride, &arrays);
}

SKLSTM_INLINE void cell_row_backward(const Cell *cell, CellRow *row) {
    if (cell->row_backward) cell->row_backward(row);
    else cells_backward(cell, row, 0);
}

/* From sums and h_prev to the gated h, of one row. */
SKLSTM_INLINE void gate_row(const Cell *cell, int stage, Py_ssize_t stride, real *sums, const real *h_prev, real *gated) {
    if (!cell->gate) return;
    for (Py_ssize_t u = 0; u < stride; u += LANES) {
        CellGate s;
        s.stage = stage;
        s.sums[0] = sums + cell->n_sums * u;
        s.h[0] = v_load(h_prev + u);
        cell->gate(1, &s);
        v_store(gated + u, s.h[0]);
    }
}

/* d_sums: those of `backward`, completed into `out` (where the gates may be). */
SKLSTM_INLINE void gate_row_backward(const Cell *cell, int stage, Py_ssize_t stride, const real *gates, const real *d_sums,
                                     const real *h_prev, const real *d_gated, real *d_h, real *out) {
    const Py_ssize_t width = cell->n_sums * LANES;
    if (!cell->gate) return;
    for (Py_ssize_t u = 0; u < stride; u += LANES, gates += width, d_sums += width, out += width) {
        CellGateBackward s;
        s.stage = stage;
        s.gates = gates;
        s.h_prev = v_load(h_prev + u);
        s.d_gated = v_load(d_gated + u);
        s.d_h = v_load(d_h + u);
        for (int v = 0; v < cell->n_sums; v++) s.d_sums[v] = v_load(d_sums + v * LANES);
        cell->gate_backward(&s);
        v_store(d_h + u, s.d_h);
        for (int v = 0; v < cell->n_sums; v++) v_store(out + v * LANES, s.d_sums[v]);
    }
}
