/* The gradients computed from the d_sums of all steps: d_weights and d_x, and that of h step by step.
 *
 * Rows of [x | h] are gathered an odd number of cache lines apart, and a panel's columns of d_sums without gaps: read in place,
 * 4 KB apart for 256 units, they would share two sets of L1 (outer product 1.6 times slower).
 */

/* Where gather_panel adds up the gradients of the sums, which it reads anyway, to that of the bias. Reduced numbers have rounded
 * ones there, and normalised sums those of the products. */
SKLSTM_INLINE real *gathered_bias(const LayerCall *call, const OptionBuffers *b) {
    return SKLSTM_REDUCED || (b && call->options->norm) ? NULL : (real *)call->d_bias;
}

/* Some vectors of the columns of gather_panel, copied and added up. */
SKLSTM_INLINE void gather_and_add(const int vecs, Py_ssize_t n_pairs, const void *const *d_sums, Py_ssize_t first, real *panel,
                                  Py_ssize_t width, real *sums) {
    vec sum[TILE_VECS];
#pragma GCC unroll 4
    for (int v = 0; v < vecs; v++) sum[v] = v_load(sums + v * LANES);
    for (Py_ssize_t i = 0; i < n_pairs; i++, panel += width) {
        const real *row = (const real *)d_sums[i] + first;
#pragma GCC unroll 4
        for (int v = 0; v < vecs; v++) {
            const vec numbers = v_load(row + v * LANES);
            v_store(panel + v * LANES, numbers);
            sum[v] = v_add(sum[v], numbers);
        }
    }
#pragma GCC unroll 4
    for (int v = 0; v < vecs; v++) v_store(sums + v * LANES, sum[v]);
}

/* panel (n_pairs, width): columns from `first` on of rows of d_sums; as words of two rows (n_pairs / 2, width) in bf16. sums
 * (width) += these rows, if not NULL. */
SKLSTM_INLINE void gather_panel(int format, const int compact, Py_ssize_t n_pairs, const void *const *d_sums, Py_ssize_t first,
                                Py_ssize_t width, real *panel, real *sums) {
#if SKLSTM_REDUCED
    for (Py_ssize_t i = 0; i < n_pairs && format == BF16_PAIRS; i += 2, panel += width) {
        const int alone = i + 1 == n_pairs;
        if (compact)
            interleave_rows(width, (const uint16_t *)d_sums[i] + first,
                            alone ? NULL : (const uint16_t *)d_sums[i + 1] + first, panel);
        else
            bf16_pair_of_rows(width, (const real *)d_sums[i] + first, alone ? NULL : (const real *)d_sums[i + 1] + first,
                              panel);
    }
    if (format == BF16_PAIRS) return;
#else
    (void)format, (void)compact;
#endif
    Py_ssize_t k = 0;
    for (; sums && k + TILE_VECS * LANES <= width; k += TILE_VECS * LANES)
        gather_and_add(TILE_VECS, n_pairs, d_sums, first + k, panel + k, width, sums + k);
    for (; sums && k < width; k += LANES) gather_and_add(1, n_pairs, d_sums, first + k, panel + k, width, sums + k);
    for (Py_ssize_t i = 0; i < n_pairs && !sums; i++)
        copy_vectors(width, (const real *)d_sums[i] + first, panel + i * width);
}

/* Rows as words of two rows in call->pair_rows: n_x numbers of x, then n_h of h, straight from where they are. */
SKLSTM_INLINE void pair_rows(const LayerCall *call, Py_ssize_t n_pairs, Py_ssize_t n_x, Py_ssize_t n_h,
                             const real *const *x, const real *const *h) {
#if SKLSTM_REDUCED
    for (Py_ssize_t i = 0; i < n_pairs; i += 2) {
        real *words = (real *)call->pair_rows + i / 2 * call->pair_stride;
        const int alone = i + 1 == n_pairs;
        bf16_pair_of_rows(n_x, x[i], alone ? NULL : x[i + 1], words);
        bf16_pair_of_rows(n_h, h[i], alone ? NULL : h[i + 1], words + n_x);
    }
#else
    (void)call, (void)n_pairs, (void)n_x, (void)n_h, (void)x, (void)h;
#endif
}

/* The same of gathered rows of n numbers: words of two rows in the place of the first of them. */
SKLSTM_INLINE void pair_gathered_rows(int format, Py_ssize_t n_pairs, Py_ssize_t n, Py_ssize_t stride, real *rows) {
#if SKLSTM_REDUCED
    for (Py_ssize_t i = 0; i < n_pairs && format == BF16_PAIRS; i += 2)
        bf16_pair_of_rows(n, rows + i * stride, i + 1 < n_pairs ? rows + (i + 1) * stride : NULL, rows + i * stride);
#else
    (void)format, (void)n_pairs, (void)n, (void)stride, (void)rows;
#endif
}

SKLSTM_INLINE Py_ssize_t gathered_stride(const LayerCall *call) {
    return numbers_of_word(format_of(call)) * call->pair_stride;
}

/* outer_panel for a part whose vectors may be more than those of a tile (EACH_RUN). */
SKLSTM_INLINE void outer_of_part(int format, Py_ssize_t n_words, Py_ssize_t n_k, int vecs, const real *rows, Py_ssize_t stride,
                                 const real *d_sums, Py_ssize_t width, real *out) {
    EACH_RUN(first, vecs)
        outer_panel(format, n_words, n_k, run_vecs(first, vecs), rows, stride, d_sums + first * LANES, width,
                    out + first * n_k * LANES);
}

/* Add the outer products of gathered rows, as words of the format that are `stride` apart, with their d_sums to every panel.
 * `rows` hold n_x numbers of x, then n_h of h, then n_gated of each gated vector; d_sums are the rows of S Hp numbers (`compact`:
 * of 16 bits) for each of these, the same where the sums are not normalised; d_bias: gathered_bias. */
SKLSTM_INLINE void outer_of_rows(const CellShape *cell, const LayerCall *call, const int compact, Py_ssize_t n_pairs,
                                 Py_ssize_t stride, const void *const *const *d_sums, Py_ssize_t n_x, Py_ssize_t n_h,
                                 Py_ssize_t n_gated, real *d_bias) {
    const LayerPanels panels = panels_of(cell, call, REALS);
    const int format = format_of(call);
    real *rows = (real *)call->pair_rows, *panel = rows + PAIRS * call->pair_stride;
    const void *const *d_x_sums = d_sums[READS_X], *const *d_h_sums = d_sums[READS_H], *const *d_gated_sums = d_sums[READS_GATED];
    const int joined = cell->n_sums <= TILE_VECS && cell->x_count == cell->n_sums && cell->h_count == cell->n_sums &&
                       d_x_sums == d_h_sums && n_x && n_h;
    const Py_ssize_t n_words = words_of(format, n_pairs);
    for (Py_ssize_t unit = 0; unit < panels.n_vecs; unit += cell->units) {
        const int units = (int)smaller(cell->units, panels.n_vecs - unit), vecs = units * cell->n_sums;
        const Py_ssize_t first = unit * cell->n_sums * LANES, width = vecs * LANES;
        real *out = (real *)call->d_weights + unit * panels.unit_size;
        gather_panel(format, compact, n_pairs, d_x_sums, first, width, panel, d_bias ? d_bias + first : NULL);
        if (joined) { /* rows of x and h are adjacent in the panel too */
            outer_panel(format, n_words, n_x + n_h, vecs, rows, stride, panel, width, out);
            continue;
        }
        if (n_x)
            outer_of_part(format, n_words, n_x, units * cell->x_count, rows, stride, panel + cell->x_first * LANES, width, out);
        if (d_h_sums != d_x_sums) gather_panel(format, compact, n_pairs, d_h_sums, first, width, panel, NULL);
        if (n_h && cell->h_count)
            outer_of_part(format, n_words, n_h, units * cell->h_count, rows + n_x, stride, panel + cell->h_first * LANES, width,
                          out + units * panels.h_offset);
        if (d_gated_sums != d_h_sums) gather_panel(format, compact, n_pairs, d_gated_sums, first, width, panel, NULL);
        for (int stage = 0; n_gated && stage < stages_of(cell); stage++)
            outer_of_part(format, n_words, n_gated, units * sums_of_stage(cell), rows + n_x + n_h + stage * n_gated, stride,
                          panel + (cell->gated_first + stage * sums_of_stage(cell)) * LANES, width,
                          out + units * stage_offset(cell, call, REALS, stage));
    }
}

/* sums += a row of gradients of the plain layer */
SKLSTM_INLINE void add_gradients(Py_ssize_t n, real *sums, const void *gradients, Py_ssize_t begin) {
#if SKLSTM_REDUCED
    for (Py_ssize_t k = 0; k < n; k += LANES)
        v_store(sums + k, v_add(v_load(sums + k), kept(COMPACT, ANY, gradients, begin + k)));
#else
    sum_rows(n, sums, (const real *)gradients + begin);
#endif
}

/* sums (width) += rows of d_sums, from row `first` of (T n) rows on. */
SKLSTM_SHARED void add_d_sums(Py_ssize_t width, const LayerCall *call, Py_ssize_t first, Py_ssize_t n_rows, real *sums) {
    for (Py_ssize_t row = first; row < first + n_rows; row++) {
        if (is_compact(call)) add_gradients(width, sums, call->gates, row * width);
        else sum_rows(width, sums, (const real *)call->gates + row * width);
    }
}

/* Overlapping windows: d_sums are added up over the windows that read a row of x, and multiplied by it once. */
SKLSTM_INLINE void collect_shared_gradients(const CellShape *cell, const LayerCall *call) {
    const Py_ssize_t width = cell->n_sums * call->hidden_stride, direction = call->x_step >= 0 ? 1 : -1;
    const Py_ssize_t step = call->x_step * direction;
    real *sums = (real *)call->shared_sums, *rows = (real *)call->pair_rows;
    const void *d_sums[PAIRS], *const *of_parts[] = {d_sums, d_sums, d_sums};
    memset(sums, 0, (size_t)(call->n_shared * width) * sizeof(real));
    for (Py_ssize_t t = 0; t < call->n_steps; t++)
        for (Py_ssize_t r = 0; r < call->n_active[t]; r++)
            add_gradients(width, sums + (call->shared_first[r] + direction * t) * width, call->gates,
                          (t * call->n_samples + r) * width);
    for (Py_ssize_t row = 0; row < call->n_shared; row += PAIRS) {
        const Py_ssize_t n_pairs = smaller(call->n_shared - row, PAIRS);
        for (Py_ssize_t r = 0; r < n_pairs; r++) {
            memcpy(rows + r * call->pair_stride, (const real *)call->shared_rows + (row + r) * step,
                   (size_t)call->input_size * sizeof(real));
            d_sums[r] = sums + (row + r) * width;
        }
        pair_gathered_rows(format_of(call), n_pairs, call->input_size, call->pair_stride, rows);
        outer_of_rows(cell, call, 0, n_pairs, gathered_stride(call), of_parts, call->input_size, 0, 0, NULL);
    }
}

/* In a layer with options: h and the gated h as they entered their products, at h_row. */
SKLSTM_INLINE void gather_option_row(const CellShape *cell, const LayerCall *call, const OptionBuffers *b, Py_ssize_t t,
                                   Py_ssize_t r, real *h_row) {
    const Py_ssize_t op = call->output_stride;
    /* not scale_row: the row may begin or end inside a vector */
    if (b->scale_h && cell->h_count)
        for (Py_ssize_t u = 0; u < call->output_size; u++) h_row[u] *= b->scale_h[r * op + u];
    h_row += cell->h_count ? call->output_size : 0;
    for (int stage = 0; stage < stages_of(cell); stage++, h_row += call->output_size)
        memcpy(h_row, b->gated + (stage * b->stage_step + t * call->n_samples + r) * op,
               (size_t)call->output_size * sizeof(real));
}

SKLSTM_INLINE void collect_projection(const LayerCall *call, const OptionBuffers *b, Py_ssize_t first, Py_ssize_t n_pairs) {
    outer(n_pairs, call->hidden_size, round_up(call->output_size, TILE_VECS * LANES) / (TILE_VECS * LANES),
          b->m + first * b->m_stride, b->m_stride, b->d_projected + first * b->projected_stride, b->projected_stride,
          call->options->d_projection);
}

/* Leave the outer product of n_k numbers and a part of d_sums, one for each run of its vectors (outer_of_part). */
SKLSTM_INLINE void leave_part(OuterProducts *products, Py_ssize_t n_k, int vecs, const real *a, const real *d, const real *out) {
    EACH_RUN(first, vecs) {
        const real *begin = out + first * n_k * LANES;
        products->parts[products->n++] = (OuterProduct){
            .begin = begin - (const real *)products->gradient, .n_k = n_k, .width = run_vecs(first, vecs) * LANES,
            .a = a, .d = d + first * LANES,
        };
    }
}

/* The gradient of a single row of the plain layer as factors, which are copied: panel by panel, as outer_of_rows writes it. */
SKLSTM_SHARED void leave_outer_products(const CellShape *cell, const LayerCall *call) {
    const LayerPanels panels = panels_of(cell, call, REALS);
    const Py_ssize_t n_x = call->input_size, n_h = cell->h_count ? call->output_size : 0;
    const Py_ssize_t width = cell->n_sums * call->hidden_stride;
    OuterProducts *products = call->outer_products;
    real *row = take_numbers(&products->numbers, n_x + n_h), *d_sums = take_numbers(&products->numbers, width);
    const int joined = cell->n_sums <= TILE_VECS && cell->x_count == cell->n_sums && cell->h_count == cell->n_sums && n_h;
    copy_numbers(n_x, (const real *)call->x_rows[0], row);
    if (n_h) copy_numbers(n_h, (const real *)call->h, row + n_x);
    memcpy(d_sums, call->gates, (size_t)width * sizeof(real));
    if (gathered_bias(call, NULL)) sum_rows(width, gathered_bias(call, NULL), d_sums);
    for (Py_ssize_t unit = 0; unit < panels.n_vecs; unit += cell->units) {
        const int units = (int)smaller(cell->units, panels.n_vecs - unit);
        const real *d = d_sums + unit * cell->n_sums * LANES, *out = (const real *)call->d_weights + unit * panels.unit_size;
        leave_part(products, joined ? n_x + n_h : n_x, units * cell->x_count, row, d + cell->x_first * LANES, out);
        if (!joined && n_h)
            leave_part(products, n_h, units * cell->h_count, row + n_x, d + cell->h_first * LANES, out + units * panels.h_offset);
    }
}

enum { MOST_PAIRS = SKLSTM_REDUCED ? 2 * PAIRS : PAIRS, WIDE_ROW = 256 };

/* d_weights += sum over (t, sequence) of [x_t | h_{t-1}]^T d_sums_t, in blocks of pairs. b: NULL in the plain layer.
 * Words of two rows leave room for twice as many of them. Where rows are wide, and so the gradient is large, it is then read and
 * written half as often; the panel of d_sums no longer stays in L1, which costs more where rows are narrow. */
SKLSTM_SHARED void collect_weight_gradients(const CellShape *cell, const LayerCall *call, const OptionBuffers *b) {
    const Py_ssize_t n = call->n_samples, width = cell->n_sums * call->hidden_stride;
    /* Where windows share their rows, only h is multiplied pair by pair. */
    const Py_ssize_t n_x = call->n_shared > 0 ? 0 : call->input_size, n_h = cell->h_count ? call->output_size : 0;
    const Py_ssize_t n_gated = cell->gated_count ? call->output_size : 0;
    Py_ssize_t t = 0, r = 0, first = 0;
    real *rows = (real *)call->pair_rows;
    const void *d_sums[MOST_PAIRS], *d_h_sums[PAIRS], *d_gated_sums[PAIRS];
    const real *x[MOST_PAIRS], *h[MOST_PAIRS], *h_sums = b ? b->sums_h : NULL, *gated_sums = b ? b->sums_gated : NULL;
    const void *const *of_parts[] = {d_sums, h_sums ? d_h_sums : d_sums,
                                     gated_sums != h_sums ? d_gated_sums : h_sums ? d_h_sums : d_sums};
    const int direct = SKLSTM_REDUCED && !b && format_of(call) != REALS; /* rows are rounded, and so need not be copied */
    const Py_ssize_t most = direct && n_x + n_h >= WIDE_ROW ? MOST_PAIRS : PAIRS;
    if (call->outer_products) {
        leave_outer_products(cell, call);
        return;
    }
    if (call->n_shared > 0) collect_shared_gradients(cell, call);
    while (t < call->n_steps) {
        Py_ssize_t n_pairs = 0;
        if (is_interrupted(call)) return;
        while (t < call->n_steps && n_pairs < most) {
            real *row = rows + n_pairs * call->pair_stride;
            if (direct) {
                x[n_pairs] = (const real *)call->x_rows[r] + t * call->x_step;
                h[n_pairs] = (const real *)call->h + (t * n + r) * call->output_stride;
            } else {
                copy_numbers(n_x, (const real *)call->x_rows[r] + t * call->x_step, row);
                if (n_h) copy_numbers(n_h, (const real *)call->h + (t * n + r) * call->output_stride, row + n_x);
                if (b) gather_option_row(cell, call, b, t, r, row + n_x);
            }
            d_sums[n_pairs] = kept_at(is_compact(call), call->gates, (t * n + r) * width);
            if (h_sums) d_h_sums[n_pairs] = h_sums + (t * n + r) * width;
            if (gated_sums != h_sums) d_gated_sums[n_pairs] = gated_sums + (t * n + r) * width;
            n_pairs++;
            if (++r == call->n_active[t]) {
                r = 0;
                t++;
            }
        }
        if (direct) pair_rows(call, n_pairs, n_x, n_h, x, h);
        else pair_gathered_rows(format_of(call), n_pairs, n_x + n_h + stages_of(cell) * n_gated, call->pair_stride, rows);
        outer_of_rows(cell, call, is_compact(call), n_pairs, direct ? call->pair_stride : gathered_stride(call), of_parts, n_x,
                      n_h, n_gated, gathered_bias(call, b));
        if (b && b->m) collect_projection(call, b, first, n_pairs);
        first += n_pairs;
    }
}

/* out (rows) = some sums of each unit @ a transposed part, or added to what out holds; `first`, `count`: of the n_sums. */
SKLSTM_INLINE void product_of_gradients(const CellShape *cell, const LayerCall *call, Py_ssize_t n_rows, const void *d_sums,
                                      int first, int count, Py_ssize_t n_vecs, const void *transposed, real *out,
                                      Py_ssize_t out_stride, int add, int last_first) {
    const int format = format_of(call);
    const Py_ssize_t width = cell->n_sums * call->hidden_stride, stride = words_of(format, width);
    const Py_ssize_t vector = words_of(format, LANES), n_units = call->hidden_stride / LANES;
    const real *words = gradient_words(call, n_rows, d_sums, width) + first * vector, *panels = (const real *)transposed;
    const Py_ssize_t units_at_end = call->hidden_size % LANES;
    if (count == cell->n_sums && count <= TILE_VECS && units_at_end && 2 * units_at_end <= LANES) {
        /* a plain row, whose last vectors of units are mostly padding */
        product_of_padded(format, n_rows, stride, count, words_of(format, units_at_end), vector, n_vecs, words, stride, panels,
                          out, out_stride, add, last_first);
        return;
    }
    if (count == cell->n_sums && count <= TILE_VECS) { /* a plain row */
        product_runs(format, n_rows, 1, stride, 0, n_vecs, words, stride, panels, out, out_stride, add, last_first);
        return;
    }
    EACH_RUN(run, count) {
        const int taken = run_vecs(run, count);
        product_runs(format, n_rows, n_units, taken * vector, cell->n_sums * vector, n_vecs, words + run * vector, stride, panels,
                     out, out_stride, add || run, last_first);
        panels += n_units * taken * vector * n_vecs * LANES;
    }
}

/* d_x = d_sums @ W_ih for the steps of each sequence; rows beyond its end are not written. */
SKLSTM_SHARED void input_gradients(const CellShape *cell, const LayerCall *call) {
    const Py_ssize_t n_vecs = (call->input_size + LANES - 1) / LANES, stride = n_vecs * LANES;
    const Py_ssize_t width = cell->n_sums * call->hidden_stride;
    const int compact = is_compact(call);
    real *d_x = (real *)call->d_x;
    if (call->n_active[call->n_steps - 1] == call->n_samples && (compact || format_of(call) == REALS)) {
        /* All of one length: one product with every (t, sequence) as a row, so that a panel is loaded once. */
        product_of_gradients(cell, call, call->n_samples * call->n_steps, call->gates, cell->x_first, cell->x_count, n_vecs,
                           call->x_transposed, d_x, stride, 0, 0);
        return;
    }
    for (Py_ssize_t t = 0; t < call->n_steps; t++)
        product_of_gradients(cell, call, call->n_active[t], kept_at(compact, call->gates, t * call->n_samples * width),
                           cell->x_first, cell->x_count, n_vecs, call->x_transposed, d_x + t * call->n_samples * stride,
                           stride, 0, 0);
}

/* d_h (rows) of step t = the sums that read h @ W_hh, or added to what d_h holds. Every other step takes the panels from the last
 * to the first, which finds those of the step before in the cache. */
SKLSTM_SHARED void state_gradients(const CellShape *cell, const LayerCall *call, Py_ssize_t t, const void *d_sums, real *d_h,
                                   int add) {
    if (!cell->h_count) return;
    product_of_gradients(cell, call, call->n_active[t], d_sums, cell->h_first, cell->h_count, call->output_stride / LANES,
                       call->h_transposed, d_h, call->output_stride, add, t & 1);
}
