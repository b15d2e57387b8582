/* The elementwise driver: without a product with h, the products of several steps are computed at once, before the loop over
 * time; then the units of a panel go through these steps while their sums and states are in L1. A step of few rows takes all
 * panels first, as in the recurrent driver.
 *
 * Backward is a reverse scan, in blocks of steps: the units of a panel go through the steps of a block, and leave the gradients
 * of their sums where the outer product with x reads them, in L1. They are stored only where something else reads them. */

/* Rows of the sums of a panel that stay in L1 beside its weights. */
enum { BYTES_OF_SUMS = 16384 };

SKLSTM_INLINE void elementwise_forward(const Cell *cell, CellLoop cells, const LayerCall *call) {
    const Py_ssize_t n = call->n_samples, hp = call->hidden_stride;
    const Py_ssize_t row_bytes = (cell->n_sums > TILE_VECS ? cell->n_sums : TILE_VECS) * SKLSTM_VEC_BYTES;
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
                /* in prediction updated in place */
                real *c = cell->has_c ? (real *)call->c + states_of(cell) * kept + u : NULL;
                const CellArrays arrays = {
                    kept_at(COMPACT, call->gates, cell->n_sums * (kept + u)),
                    call->gates && cell->n_kept ? kept_at(COMPACT, call->kept, cell->n_kept * (kept + u)) : NULL,
                    cell->n_vectors ? vectors + u : NULL, h + s * n * hp + u, c, c ? c + states_of(cell) * call->kept_step : NULL,
                    h + (s + 1) * n * hp + u, NULL,
                };
                cells(call->n_active[s], count, hp, sums, z_stride, &arrays);
                sums += call->n_active[s] * z_stride;
            }
        }
        for (Py_ssize_t s = begin; s < t; s++) clear_padding(&cell->shape, call, call->n_active[s], h + (s + 1) * n * hp);
    }
}

/* Rows `first` to `past` of the steps from `begin` to `end`: one step at least, and at most PAIRS pairs of a step and a row. */
typedef struct {
    Py_ssize_t begin, end, first, past, n_pairs;
} BlockOfSteps;

/* The rows of a block that run at step t. */
SKLSTM_INLINE Py_ssize_t rows_of_block(const LayerCall *call, const BlockOfSteps *block, Py_ssize_t t) {
    return smaller(call->n_active[t], block->past) - block->first;
}

/* The steps before `end` whose pairs fit into a block; or of the last one the rows from `first` on. */
SKLSTM_INLINE BlockOfSteps block_before(const LayerCall *call, Py_ssize_t end, Py_ssize_t first) {
    BlockOfSteps block = {end - 1, end, first, smaller(call->n_samples, first + PAIRS), 0};
    block.n_pairs = rows_of_block(call, &block, end - 1);
    while (!first && call->n_samples <= PAIRS && block.begin > 0 && block.n_pairs + call->n_active[block.begin - 1] <= PAIRS)
        block.n_pairs += call->n_active[--block.begin];
    return block;
}

/* Whether something else than the outer product with x reads the gradients of the sums. */
SKLSTM_INLINE int keeps_d_sums(const LayerCall *call) {
    return call->keeps_d_sums || call->x_transposed || call->n_shared > 0;
}

/* x of all pairs of a block, in the order of steps and rows. */
SKLSTM_INLINE void gather_block(const LayerCall *call, const BlockOfSteps *block) {
    const int in_pairs = SKLSTM_REDUCED && format_of(call) != REALS;
    const real *x[PAIRS];
    real *rows = (real *)call->pair_rows;
    for (Py_ssize_t t = block->begin, i = 0; t < block->end; t++)
        for (Py_ssize_t r = 0; r < rows_of_block(call, block, t); r++, i++) {
            x[i] = (const real *)call->x_rows[block->first + r] + t * call->x_step;
            if (!in_pairs) copy_numbers(call->input_size, x[i], rows + i * call->pair_stride);
        }
    if (in_pairs) pair_rows(call, block->n_pairs, call->input_size, 0, x, x);
}

/* One vector of units through a block; what is summed over rows stays in registers. d_sums: the vector's place in a panel of
 * d_sums, whose rows are `width` apart; NULL: not wanted. */
SKLSTM_INLINE void vector_of_block(const Cell *cell, const LayerCall *call, const CellDerivation *derivation,
                                   const BlockOfSteps *block, Py_ssize_t u, real *d_sums, Py_ssize_t width) {
    const int stores = keeps_d_sums(call);
    real *d_vectors = (cell->derive ? derivation->derived + call->hidden_stride : (real *)call->d_vectors) + u;
    real *d_bias = (real *)call->d_bias + cell->n_sums * u;
    vec of_bias[MAX_SUMS], of_vectors[MAX_VECTORS];
    Py_ssize_t pair = block->n_pairs;
    for (int v = 0; v < cell->n_sums; v++) of_bias[v] = v_load(d_bias + v * LANES);
    for (int v = 0; v < cell->n_vectors; v++) of_vectors[v] = v_load(d_vectors + v * call->hidden_stride);
    for (Py_ssize_t t = block->end - 1; t >= block->begin; t--) {
        const Py_ssize_t n_rows = rows_of_block(call, block, t);
        const Py_ssize_t n_after = t + 1 < call->n_steps ? call->n_active[t + 1] : 0;
        pair -= n_rows;
        for (Py_ssize_t i = 0; i < n_rows; i++) {
            const Py_ssize_t r = block->first + i;
            const CellRow row = plain_row(cell, call, t, r, derivation);
            CellBackward s;
            vector_backward(cell, &row, u, 1, &s);
            if (stores) keep_gradients(COMPACT, cell->n_sums, row.d_sums, cell->n_sums * u, s.d_sums);
            for (int v = 0; v < cell->n_sums && d_sums; v++) v_store(d_sums + (pair + i) * width + v * LANES, s.d_sums[v]);
            for (int v = 0; v < cell->n_sums; v++) of_bias[v] = v_add(of_bias[v], s.d_sums[v]);
            for (int v = 0; v < cell->n_vectors; v++) of_vectors[v] = v_add(of_vectors[v], s.d_vectors[v]);
            /* the gradient of the last h, which no step before has */
            if (!cell->reads_h && r >= n_after) v_store((real *)call->d_h + r * call->hidden_stride + u, v_broadcast(0));
        }
    }
    for (int v = 0; v < cell->n_sums; v++) v_store(d_bias + v * LANES, of_bias[v]);
    for (int v = 0; v < cell->n_vectors; v++) v_store(d_vectors + v * call->hidden_stride, of_vectors[v]);
}

SKLSTM_INLINE void block_backward(const Cell *cell, const CellShape *shape, const LayerCall *call,
                                  const CellDerivation *derivation, const BlockOfSteps *block) {
    const LayerPanels panels = panels_of(shape, call, REALS);
    const int format = format_of(call), multiplies = call->n_shared == 0;
    const Py_ssize_t n_words = words_of(format, block->n_pairs);
    real *rows = (real *)call->pair_rows, *panel = rows + PAIRS * call->pair_stride;
    if (multiplies) gather_block(call, block);
    for (Py_ssize_t unit = 0; unit < panels.n_vecs; unit += cell->units) {
        const int units = (int)smaller(cell->units, panels.n_vecs - unit), vecs = units * cell->n_sums;
        const Py_ssize_t width = vecs * LANES;
        for (int j = 0; j < units; j++)
            vector_of_block(cell, call, derivation, block, (unit + j) * LANES,
                            multiplies ? panel + j * cell->n_sums * LANES : NULL, width);
        if (!multiplies) continue;
        pair_gathered_rows(format, block->n_pairs, width, width, panel);
        outer_of_part(format, n_words, call->input_size, units * cell->x_count, rows,
                      call->pair_stride, panel + cell->x_first * LANES, numbers_of_word(format) * width,
                      (real *)call->d_weights + unit * panels.unit_size);
    }
}

SKLSTM_INLINE void elementwise_backward(const Cell *cell, const CellShape *shape, const LayerCall *call) {
    const Py_ssize_t n = call->n_samples, hp = call->hidden_stride, states = states_of(cell) * hp;
    const real *last = (const real *)call->d_h_last, *last_c = cell->has_c ? (const real *)call->d_c_last : NULL;
    real *d_h = (real *)call->d_h, *d_c = (real *)call->d_c;
    CellDerivation derivation = {0};
    if (cell->derive) {
        derivation = plain_derivation(call, cell->n_sums);
        cell->derive(&derivation);
        memset(derivation.derived + hp, 0, (size_t)hp * sizeof(real));
    }
    memset(d_h, 0, (size_t)(n * hp) * sizeof(real));
    if (cell->has_c) memset(d_c, 0, (size_t)(n * states) * sizeof(real));
    for (Py_ssize_t end = call->n_steps, n_next = 0; end > 0;) {
        BlockOfSteps block = block_before(call, end, 0);
        const Py_ssize_t n_active = call->n_active[block.begin], entering = (n_active - n_next) * (Py_ssize_t)sizeof(real);
        /* The sequences that end in this block enter with the gradients of their last states. */
        if (last) memcpy(d_h + n_next * hp, last + n_next * hp, (size_t)(entering * hp));
        if (last_c) memcpy(d_c + n_next * states, last_c + n_next * states, (size_t)(entering * states));
        n_next = n_active;
        for (;;) {
            if (is_interrupted(call)) return;
            block_backward(cell, shape, call, &derivation, &block);
            if (block.past >= n_active) break;
            block = block_before(call, end, block.past);
        }
        end = block.begin;
    }
    if (cell->derive) cell->derive_backward(&derivation);
    if (call->n_shared > 0) collect_shared_gradients(shape, call);
    if (call->x_transposed) input_gradients(shape, call);
}
