/* The layer with options, for any cell: normalised sums, zoneout, recurrent dropout, projection, weights of single units, and
 * the cells that multiply a gated h. Step by step, row by row; the plain layers (recurrent.h, elementwise.h) pay nothing for it.
 *   normalised sums (Ba et al. 2016, eqs 20-22)     z = a_x N(W_x x) + a_h N(W_h h) + b
 *   zoneout (Krueger et al. 2017, eqs 3-4)          h_t = k h_{t-1} + (1 - k) fresh, and so each state
 *   projection (Sak et al. 2014)                    h = W_p m, where m is what the cell gives
 *   recurrent dropout (Gal & Ghahramani 2016)       h enters the products as d h, d the same at all steps
 * k is a row of zeros and ones in training and the rate itself in prediction, so one formula serves both. A cell that reads the
 * previous h unit by unit reads m in its place where there is a projection: m is then its second state, in the place of c.
 */

/* What a mask is for, xored into the first word of its key; plain dropout is 0. */
enum { ZONEOUT_H = 0x5A4F4E48, ZONEOUT_C = 0x5A4F4E43, RECURRENT_DROPOUT = 0x52444F50 };

/* One call's workspace cut into arrays. T stands for 1 when nothing goes back; an option that is off has none. */
struct OptionBuffers {
    Py_ssize_t step;             /* rows from one step to the next: n, or 0 */
    real *sums_x;                /* (T, n, S Hp) x W_ih, normalised */
    real *sums_h;                /* (T, n, S Hp) h W_hh and gated h W_hh, normalised; backward their gradient */
    real *inverses;              /* (T, n, 4) 1 / deviation of x W_ih, h W_hh, the state, gated h W_hh */
    real *normalised_state;      /* (T, n, Hp) */
    real *kept_h;                /* (T, n, output_stride) zoneout: 1 where the previous stays; the rate in prediction */
    real *kept_c;                /* (T, n, Hp) */
    real *scale_h;               /* (n, output_stride) recurrent dropout: 0 or 1 / (1 - rate) */
    real *dropped_h;             /* (n, output_stride) what enters the products */
    real *gated;                 /* (T, n, output_stride) the gated h, as it enters its product */
    real *d_gated;               /* (n, output_stride) */
    real *d_sums;                /* (n, S Hp) with a gated h: gradients of the sums before the gate has its share */
    real *kept;                  /* (K Hp) where the caller keeps none */
    real *c_before;              /* (Hp) */
    Py_ssize_t m_stride, projected_stride; /* odd numbers of cache lines: see weight_gradients.h */
    real *m;                     /* (pairs, m_stride): all of a chunk, or of a step */
    real *projected;             /* (n, projected_stride) what the projection gives, in whole panels */
    real *d_projected;           /* (pairs, projected_stride) gradient of the projection's output */
    real *d_m;                   /* (n, Hp) */
    real *direct;                /* (n, output_stride) from h_t to h_{t-1} past the products */
    real *direct_c;              /* (Hp) from c_t to c_{t-1} past the cell */
    real *scratch;               /* (Hp) */
};

SKLSTM_INLINE int carries_m(const Cell *cell, const LayerCall *call) { return cell->reads_h && call->options->projection; }

/* Cut a workspace into its arrays; return its size. Also used to measure: base is not written to. */
SKLSTM_INLINE Py_ssize_t lay_out_options(const Cell *cell, const LayerCall *call, Py_ssize_t n, Py_ssize_t n_steps, char *base,
                                         OptionBuffers *b) {
    const LayerOptions *options = call->options;
    const Py_ssize_t hp = call->hidden_stride, op = call->output_stride, width = TILE_VECS * LANES;
    const Py_ssize_t rows = options->training ? n * n_steps : n, sums = cell->n_sums * hp;
    char *cursor = base;
    memset(b, 0, sizeof *b);
    b->step = options->training ? n : 0;
    if (options->norm) {
        b->sums_x = take_numbers(&cursor, rows * sums);
        b->sums_h = take_numbers(&cursor, rows * sums);
        b->inverses = take_numbers(&cursor, rows * 4);
        if (cell->normalises_state) b->normalised_state = take_numbers(&cursor, rows * hp);
    }
    if (options->zoneout > 0) {
        b->kept_h = take_numbers(&cursor, rows * op);
        b->kept_c = take_numbers(&cursor, rows * hp);
        b->direct_c = take_numbers(&cursor, hp);
    }
    if (options->zoneout > 0 || cell->reads_h) b->direct = take_numbers(&cursor, n * op);
    if (options->recurrent_dropout > 0 && options->training) {
        b->scale_h = take_numbers(&cursor, n * op);
        b->dropped_h = take_numbers(&cursor, n * op);
    }
    if (cell->gated_count) {
        b->gated = take_numbers(&cursor, rows * op);
        b->d_gated = take_numbers(&cursor, n * op);
        b->d_sums = take_numbers(&cursor, n * sums);
    }
    if (options->projection) {
        b->m_stride = odd_lines(hp);
        b->m = take_numbers(&cursor, rows * b->m_stride);
        b->projected_stride = odd_lines(round_up(call->output_size, width));
        b->projected = take_numbers(&cursor, n * b->projected_stride);
    }
    if (options->projection && options->training) {
        b->d_projected = take_numbers(&cursor, rows * b->projected_stride);
        b->d_m = take_numbers(&cursor, n * hp);
    }
    if (!options->training) b->kept = take_numbers(&cursor, cell->n_kept * hp);
    b->c_before = take_numbers(&cursor, hp);
    b->scratch = take_numbers(&cursor, hp);
    return cursor - base;
}

/* mask[unit] = `below` with probability rate, else `above`. The counter is (unit / 4, step, sample, epoch), the key the seed with
 * the purpose in its first word and the layer in its second: no two masks share a number. */
static void draw_mask(Py_ssize_t n_units, Py_ssize_t stride, const LayerOptions *options, uint32_t purpose, uint32_t step,
                      uint32_t sample, double rate, real below, real above, real *mask) {
    const uint32_t threshold = (uint32_t)(rate * 4294967296.0);
    const uint32_t key0 = (uint32_t)options->seed ^ purpose, key1 = (uint32_t)(options->seed >> 32) ^ options->layer;
    for (Py_ssize_t unit = 0; unit < n_units; unit += 4) {
        uint32_t words[4] = {(uint32_t)(unit / 4), step, sample, options->epoch};
        philox4x32(words, key0, key1);
        for (Py_ssize_t j = 0; j < 4 && unit + j < n_units; j++) mask[unit + j] = words[j] < threshold ? below : above;
    }
    for (Py_ssize_t unit = n_units; unit < stride; unit++) mask[unit] = 0;
}

/* What does not change from step to step: recurrent dropout, and in prediction the rate of zoneout. */
static void begin_masks(const LayerCall *call, const OptionBuffers *b) {
    const LayerOptions *options = call->options;
    const Py_ssize_t op = call->output_stride;
    if (b->scale_h)
        for (Py_ssize_t r = 0; r < call->n_samples; r++)
            draw_mask(call->output_size, op, options, RECURRENT_DROPOUT, 0, options->sample_ids[r], options->recurrent_dropout,
                      0, (real)(1.0 / (1.0 - options->recurrent_dropout)), b->scale_h + r * op);
    if (b->kept_h && !options->training) {
        for (Py_ssize_t u = 0; u < call->n_samples * op; u++) b->kept_h[u] = (real)options->zoneout;
        for (Py_ssize_t u = 0; u < call->n_samples * call->hidden_stride; u++) b->kept_c[u] = (real)options->zoneout;
    }
}

/* Some sums of all units: rows @ part, written to (or added to) rows of S Hp numbers. */
SKLSTM_INLINE void part_of_sums(const Cell *cell, const LayerCall *call, int first, int count, Py_ssize_t offset, Py_ssize_t n_k,
                                Py_ssize_t n_rows, const real *const *rows, real *sums, int add) {
    const LayerPanels panels = panels_of(cell, call);
    const Py_ssize_t stride = cell->n_sums * call->hidden_stride;
    for (Py_ssize_t unit = 0; unit < panels.n_vecs; unit += cell->units) {
        const int units = (int)smaller(cell->units, panels.n_vecs - unit), vecs = units * count;
        const real *panel = (const real *)call->weights + unit * panels.unit_size + units * offset;
        for (Py_ssize_t r = 0; r < n_rows;) {
            const int taken = tile_rows(vecs, n_rows - r);
            product_tile(taken, vecs, add, n_k, rows + r, panel,
                         sums + r * stride + (unit * cell->n_sums + first) * LANES, stride);
            r += taken;
        }
    }
}

/* sums += gain N(product) for some sums of all units; the product is normalised in place, 1 / deviation returned. */
SKLSTM_INLINE real add_normalised(const Cell *cell, const LayerCall *call, int first, int count, const real *gain, real *product,
                                  real *sums) {
    const Py_ssize_t step = cell->n_sums * LANES, end = cell->n_sums * call->hidden_stride;
    const real inverse = normalise_row(count, step, call->hidden_size, call->hidden_stride, product + first * LANES);
    for (Py_ssize_t u = first * LANES; u < end; u += step)
        for (Py_ssize_t k = u; k < u + count * LANES; k += LANES)
            v_store(sums + k, v_fma(v_load(gain + k), v_load(product + k), v_load(sums + k)));
    return inverse;
}

/* z (n, S Hp): the sums of a step, but for those of the gated h. */
SKLSTM_INLINE void sums_of_step(const Cell *cell, const LayerCall *call, const OptionBuffers *b, Py_ssize_t t,
                                const real *const *x, const real *const *h_prev, real *z) {
    const Py_ssize_t width = cell->n_sums * call->hidden_stride, n_active = call->n_active[t], row = t * b->step;
    const real *norm = (const real *)call->options->norm;
    if (!norm) {
        for (Py_ssize_t p = 0; p * cell->units * LANES < call->hidden_stride; p++)
            sums_of_panel(cell, call, p, n_active, x, h_prev, z + p * cell->units * cell->n_sums * LANES, width);
        return;
    }
    part_of_sums(cell, call, cell->x_first, cell->x_count, 0, call->input_size, n_active, x, b->sums_x + row * width, 0);
    if (cell->h_count)
        part_of_sums(cell, call, cell->h_first, cell->h_count, panels_of(cell, call).h_offset, call->output_size, n_active,
                     h_prev, b->sums_h + row * width, 0);
    for (Py_ssize_t r = 0; r < n_active; r++) {
        real *inverses = b->inverses + 4 * (row + r), *sums = z + r * width;
        memcpy(sums, call->bias, (size_t)width * sizeof(real));
        inverses[0] =
            add_normalised(cell, call, cell->x_first, cell->x_count, norm, b->sums_x + (row + r) * width, sums);
        if (cell->h_count)
            inverses[1] = add_normalised(cell, call, cell->h_first, cell->h_count, norm + width,
                                         b->sums_h + (row + r) * width, sums);
    }
}

/* The gated h of a step, and its part of the sums. */
SKLSTM_INLINE void gated_sums_of_step(const Cell *cell, const LayerCall *call, const OptionBuffers *b, Py_ssize_t t,
                                      const real *h, const real **gated, real *z) {
    const Py_ssize_t hp = call->hidden_stride, width = cell->n_sums * hp, n_active = call->n_active[t], row = t * b->step;
    const real *norm = (const real *)call->options->norm;
    for (Py_ssize_t r = 0; r < n_active; r++) {
        real *out = b->gated + (row + r) * hp;
        for (Py_ssize_t u = 0; u < hp; u += LANES) {
            CellGate s;
            s.sums[0] = z + r * width + cell->n_sums * u;
            s.h[0] = v_load(h + r * hp + u);
            cell->gate(1, &s);
            v_store(out + u, s.h[0]);
        }
        if (b->scale_h) scale_row(hp, out, b->scale_h + r * hp, NULL, out);
        gated[r] = out;
    }
    part_of_sums(cell, call, cell->gated_first, cell->gated_count, panels_of(cell, call).gated_offset, call->output_size,
                 n_active, gated, norm ? b->sums_h + row * width : z, !norm);
    if (norm)
        for (Py_ssize_t r = 0; r < n_active; r++)
            b->inverses[4 * (row + r) + 3] = add_normalised(cell, call, cell->gated_first, cell->gated_count, norm + 2 * width,
                                                            b->sums_h + (row + r) * width, z + r * width);
}

/* The arrays of the row of sequence r at step t, for a cell that takes whole rows, or for any other. */
SKLSTM_INLINE void describe_row(const Cell *cell, const LayerCall *call, const OptionBuffers *b, Py_ssize_t t, Py_ssize_t r,
                                CellRow *row) {
    const LayerOptions *options = call->options;
    const Py_ssize_t hp = call->hidden_stride, width = cell->n_sums * hp, here = t * b->step + r;
    const real *norm = (const real *)options->norm;
    memset(row, 0, sizeof *row);
    row->n_units = call->hidden_size;
    row->stride = hp;
    row->gates = (options->training ? (real *)call->gates + t * call->n_samples * width : (real *)call->z) + r * width;
    if (cell->n_kept) row->kept = options->training ? (real *)call->kept + cell->n_kept * here * hp : b->kept;
    if (call->c) row->c_prev = (const real *)call->c + t * call->kept_step + r * hp;
    row->h_prev = carries_m(cell, call) ? row->c_prev : (const real *)call->h + (t * call->n_samples + r) * call->output_stride;
    row->vectors = (const real *)(cell->vectors_are_optional ? options->vectors : call->vectors);
    row->d_vectors = (real *)(cell->vectors_are_optional ? options->d_vectors : call->d_vectors);
    if (norm && cell->normalises_state) {
        const Py_ssize_t place = (cell->gated_count ? 3 : 2) * width;
        row->state_norm = norm + place;
        row->normalised = b->normalised_state + here * hp;
        row->inverse = b->inverses[4 * here + 2];
        if (options->d_norm) row->d_state_norm = (real *)options->d_norm + place;
    }
}

/* The cell of one row: fresh h to `m`, states to their place, mixed with the previous ones by zoneout. */
SKLSTM_INLINE void row_of_cells(const Cell *cell, CellLoop cells, const LayerCall *call, const OptionBuffers *b, Py_ssize_t t,
                                Py_ssize_t r, real *m) {
    const LayerOptions *options = call->options;
    const Py_ssize_t hp = call->hidden_stride, here = t * b->step + r;
    const real *kept_c = b->kept_c ? b->kept_c + here * hp : NULL;
    real *c_next = call->c ? (real *)call->c + t * call->kept_step + call->kept_step + r * hp : NULL;
    CellRow row;
    describe_row(cell, call, b, t, r, &row);
    if (kept_c && options->training && c_next)
        draw_mask(call->hidden_size, hp, options, ZONEOUT_C, (uint32_t)t, options->sample_ids[r], options->zoneout, 1, 0,
                  b->kept_c + here * hp);
    if (c_next && row.c_prev == c_next) {
        memcpy(b->c_before, row.c_prev, (size_t)hp * sizeof(real));
        row.c_prev = b->c_before;
        if (carries_m(cell, call)) row.h_prev = b->c_before;
    }
    row.h_next = m;
    row.c_next = c_next;
    if (cell->row_forward) cell->row_forward(&row);
    else {
        const CellArrays arrays = {options->training ? row.gates : NULL, options->training ? row.kept : NULL, row.vectors,
                                   row.h_prev, row.c_prev, row.c_next, m};
        cells(1, hp / LANES, hp, row.gates, cell->n_sums * hp, &arrays);
        clear_padding(cell, call, 1, m);
    }
    if (b->inverses) b->inverses[4 * here + 2] = row.inverse;
    if (carries_m(cell, call)) memcpy(c_next, m, (size_t)hp * sizeof(real));
    if (kept_c && c_next) mix_row(hp, kept_c, row.c_prev, c_next, c_next);
}

/* From m to the next h: projection and zoneout. h is the row of states before this step. */
SKLSTM_INLINE void outputs_of_step(const LayerCall *call, const OptionBuffers *b, Py_ssize_t t, Py_ssize_t pair, real *h) {
    const LayerOptions *options = call->options;
    const Py_ssize_t op = call->output_stride, n_active = call->n_active[t];
    const Py_ssize_t n_vecs = round_up(call->output_size, TILE_VECS * LANES) / LANES;
    real *h_next = h + call->n_samples * op;
    if (b->m) {
        product(n_active, call->hidden_size, n_vecs, b->m + pair * b->m_stride, b->m_stride, options->projection, b->projected,
                b->projected_stride, 0);
        for (Py_ssize_t r = 0; r < n_active; r++)
            memcpy(h_next + r * op, b->projected + r * b->projected_stride, (size_t)op * sizeof(real));
    }
    if (!b->kept_h) return;
    for (Py_ssize_t r = 0; r < n_active; r++) {
        real *kept = b->kept_h + (t * b->step + r) * op;
        if (options->training)
            draw_mask(call->output_size, op, options, ZONEOUT_H, (uint32_t)t, options->sample_ids[r], options->zoneout, 1, 0,
                      kept);
        mix_row(op, kept, h + r * op, h_next + r * op, h_next + r * op);
    }
}

SKLSTM_INLINE void options_forward(const Cell *cell, CellLoop cells, const LayerCall *call) {
    const LayerOptions *options = call->options;
    const Py_ssize_t n = call->n_samples, op = call->output_stride, width = cell->n_sums * call->hidden_stride;
    const real **x = (const real **)call->row_pointers, **h_prev = x + n;
    real *h = (real *)call->h;
    Py_ssize_t pair = 0;
    OptionBuffers b;
    lay_out_options(cell, call, n, call->n_steps, (char *)options->workspace, &b);
    begin_masks(call, &b);
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
        sums_of_step(cell, call, &b, t, x, h_prev, z);
        if (cell->gated_count) gated_sums_of_step(cell, call, &b, t, h, h_prev, z);
        for (Py_ssize_t r = 0; r < n_active; r++)
            row_of_cells(cell, cells, call, &b, t, r, b.m ? b.m + (pair + r) * b.m_stride : h + (n + r) * op);
        outputs_of_step(call, &b, t, pair, h);
        pair += options->training ? n_active : 0;
    }
}

/* From the gradient of h_t to that of m: over d_h itself, or in b.d_m where there is a projection. */
SKLSTM_INLINE void output_gradients_of_step(const LayerCall *call, const OptionBuffers *b, Py_ssize_t t, Py_ssize_t pair) {
    const Py_ssize_t op = call->output_stride, whole = round_up(call->output_size, TILE_VECS * LANES);
    const Py_ssize_t n_active = call->n_active[t];
    for (Py_ssize_t r = 0; r < n_active; r++) {
        const Py_ssize_t row = t * call->n_samples + r;
        const real *above = call->d_h_above ? (const real *)call->d_h_above + row * op : NULL;
        real *d_h = (real *)call->d_h + r * op, *fresh = d_h;
        if (b->m) {
            fresh = b->d_projected + (pair + r) * b->projected_stride;
            memset(fresh + op, 0, (size_t)(whole - op) * sizeof(real));
        }
        split_row(op, d_h, above, b->kept_h ? b->kept_h + row * op : NULL, b->kept_h ? b->direct + r * op : NULL, fresh);
        if (!b->kept_h && b->direct) memset(b->direct + r * op, 0, (size_t)op * sizeof(real));
    }
    if (b->m)
        product(n_active, whole, call->hidden_stride / LANES, b->d_projected + pair * b->projected_stride, b->projected_stride,
                call->options->projection_transposed, b->d_m, call->hidden_stride, 0);
}

/* The cells of a row, for a cell without row_backward: d_sums may be the gates. d_carried (or NULL) is added to row.d_h. */
SKLSTM_INLINE void units_backward(const Cell *cell, CellRow *row, const real *d_carried, real *d_sums) {
    for (Py_ssize_t u = 0; u < row->stride; u += LANES, d_sums += cell->n_sums * LANES) {
        CellBackward s;
        s.gates = row->gates + cell->n_sums * u;
        s.kept = cell->n_kept ? row->kept + cell->n_kept * u : NULL;
        s.vectors = row->vectors ? row->vectors + u : NULL;
        s.stride = row->stride;
        s.d_h = v_load(row->d_h + u);
        if (d_carried) s.d_h = v_add(s.d_h, v_load(d_carried + u));
        if (cell->reads_h) s.h_prev = v_load(row->h_prev + u);
        if (cell->has_c) {
            s.c_prev = v_load(row->c_prev + u);
            s.d_c = v_load(row->d_c + u);
            s.direct_c = row->direct_c ? v_load(row->direct_c + u) : v_broadcast(0);
        }
        for (int v = 0; v < cell->n_sums; v++) s.d_sums[v] = v_broadcast(0);
        cell->backward(&s);
        if (cell->has_c) v_store(row->d_c + u, s.d_c);
        if (cell->reads_h) v_store(row->direct_h + u, v_add(v_load(row->direct_h + u), s.d_h));
        for (int v = 0; v < cell->n_sums; v++) v_store(d_sums + v * LANES, s.d_sums[v]);
        for (int v = 0; v < cell->n_vectors && !cell->vectors_are_optional; v++) {
            real *sum = row->d_vectors + v * row->stride + u;
            v_store(sum, v_add(v_load(sum), s.d_vectors[v]));
        }
    }
}

/* From the gradients of m and of the states of one row to those of the sums, over the gates (with a gated h, to b.d_sums), and
 * of the previous states. */
SKLSTM_INLINE void row_backward(const Cell *cell, const LayerCall *call, const OptionBuffers *b, Py_ssize_t t, Py_ssize_t r) {
    const Py_ssize_t hp = call->hidden_stride, here = t * call->n_samples + r, size = hp * (Py_ssize_t)sizeof(real);
    const real *kept_c = b->kept_c ? b->kept_c + here * hp : NULL, *d_carried = NULL;
    real *d_c = call->c ? (real *)call->d_c + r * hp : NULL;
    CellRow row;
    describe_row(cell, call, b, t, r, &row);
    row.d_h = (b->m ? b->d_m : (const real *)call->d_h) + r * hp;
    row.d_c = d_c;
    row.scratch = b->scratch;
    if (cell->reads_h && b->direct) row.direct_h = b->direct + r * hp;
    if (cell->has_c && kept_c) {
        split_row(hp, d_c, NULL, kept_c, b->direct_c, d_c);
        row.direct_c = b->direct_c;
    } else if (carries_m(cell, call)) {
        /* m_t = k m_{t-1} + (1 - k) m: what is carried joins the gradient of m, d_c begins with what passes it. */
        d_carried = b->c_before;
        row.direct_h = d_c;
        if (kept_c) {
            split_row(hp, d_c, NULL, kept_c, b->direct_c, b->c_before);
            memcpy(d_c, b->direct_c, (size_t)size);
        } else {
            memcpy(b->c_before, d_c, (size_t)size);
            memset(d_c, 0, (size_t)size);
        }
    }
    if (cell->row_backward) cell->row_backward(&row);
    else units_backward(cell, &row, d_carried, cell->gated_count ? b->d_sums + r * cell->n_sums * hp : row.gates);
}

/* Through the product with the gated h: the gradients of the sums are complete then, over the gates. */
SKLSTM_INLINE void gates_backward_of_step(const Cell *cell, const LayerCall *call, const OptionBuffers *b, Py_ssize_t t) {
    const Py_ssize_t hp = call->hidden_stride, width = cell->n_sums * hp, n_active = call->n_active[t];
    const Py_ssize_t row = t * call->n_samples, first = cell->gated_first * LANES;
    const real *norm = (const real *)call->options->norm;
    const real *source = norm ? b->sums_h + row * width : b->d_sums;
    if (norm)
        for (Py_ssize_t r = 0; r < n_active; r++) {
            real *product = b->sums_h + (row + r) * width + first;
            normalise_row_backward(cell->gated_count, cell->n_sums * LANES, call->hidden_size, hp, norm + 2 * width + first,
                                   (real *)call->options->d_norm + 2 * width + first, product,
                                   b->inverses[4 * (row + r) + 3], b->d_sums + r * width + first, product);
        }
    product_runs(n_active, hp / LANES, cell->gated_count * LANES, cell->n_sums * LANES, hp / LANES, source + first, width,
                 (const real *)call->gated_transposed, b->d_gated, hp, 0);
    for (Py_ssize_t r = 0; r < n_active; r++) {
        real *gates = (real *)call->gates + (row + r) * width, *direct = b->direct + r * hp, *d_gated = b->d_gated + r * hp;
        const real *d_sums = b->d_sums + r * width, *h = (const real *)call->h + (row + r) * hp;
        if (b->scale_h) scale_row(hp, d_gated, b->scale_h + r * hp, NULL, d_gated);
        for (Py_ssize_t u = 0; u < hp; u += LANES, gates += cell->n_sums * LANES, d_sums += cell->n_sums * LANES) {
            CellGateBackward s;
            s.gates = gates;
            s.h_prev = v_load(h + u);
            s.d_gated = v_load(d_gated + u);
            s.d_h = v_load(direct + u);
            for (int v = 0; v < cell->n_sums; v++) s.d_sums[v] = v_load(d_sums + v * LANES);
            cell->gate_backward(&s);
            v_store(direct + u, s.d_h);
            for (int v = 0; v < cell->n_sums; v++) v_store(gates + v * LANES, s.d_sums[v]);
        }
    }
}

/* The gradient of the bias, and from the sums to the products that were normalised: that of x in place of the sums', that of
 * h in b.sums_h. */
SKLSTM_INLINE void sums_backward_of_step(const Cell *cell, const LayerCall *call, const OptionBuffers *b, Py_ssize_t t) {
    const Py_ssize_t width = cell->n_sums * call->hidden_stride, step = cell->n_sums * LANES;
    const real *norm = (const real *)call->options->norm;
    real *d_norm = (real *)call->options->d_norm, *d_bias = (real *)call->d_bias;
    for (Py_ssize_t r = 0; r < call->n_active[t]; r++) {
        const Py_ssize_t row = t * call->n_samples + r;
        real *d_sums = (real *)call->gates + row * width;
        for (Py_ssize_t k = 0; k < width; k += LANES) v_store(d_bias + k, v_add(v_load(d_bias + k), v_load(d_sums + k)));
        if (!norm) continue;
        if (cell->h_count) {
            const Py_ssize_t first = cell->h_first * LANES;
            real *product = b->sums_h + row * width + first;
            normalise_row_backward(cell->h_count, step, call->hidden_size, call->hidden_stride, norm + width + first,
                                   d_norm + width + first, product, b->inverses[4 * row + 1], d_sums + first, product);
        }
        const Py_ssize_t first = cell->x_first * LANES;
        normalise_row_backward(cell->x_count, step, call->hidden_size, call->hidden_stride, norm + first, d_norm + first,
                               b->sums_x + row * width + first, b->inverses[4 * row], d_sums + first, d_sums + first);
    }
}

SKLSTM_INLINE void options_backward(const Cell *cell, const LayerCall *call) {
    const Py_ssize_t n = call->n_samples, hp = call->hidden_stride, op = call->output_stride;
    const real *last = (const real *)call->d_h_last;
    real *d_h = (real *)call->d_h;
    Py_ssize_t n_next = 0, pair = 0;
    OptionBuffers b;
    lay_out_options(cell, call, n, call->n_steps, (char *)call->options->workspace, &b);
    memset(d_h, 0, (size_t)(n * op) * sizeof(real));
    if (call->c) memset(call->d_c, 0, (size_t)(n * hp) * sizeof(real));
    for (Py_ssize_t t = 0; t < call->n_steps; t++) pair += call->n_active[t];
    for (Py_ssize_t t = call->n_steps - 1; t >= 0; t--) {
        const Py_ssize_t n_active = call->n_active[t];
        const real *d_sums = (b.sums_h ? b.sums_h : (const real *)call->gates) + cell->n_sums * t * n * hp;
        if (is_interrupted(call)) return;
        pair -= n_active;
        /* The sequences that end at this step enter the chain with the gradient of their last hidden state. */
        if (last) memcpy(d_h + n_next * op, last + n_next * op, (size_t)((n_active - n_next) * op) * sizeof(real));
        n_next = n_active;
        output_gradients_of_step(call, &b, t, pair);
        for (Py_ssize_t r = 0; r < n_active; r++) row_backward(cell, call, &b, t, r);
        if (cell->gated_count) gates_backward_of_step(cell, call, &b, t);
        sums_backward_of_step(cell, call, &b, t);
        if (!cell->h_count) memset(d_h, 0, (size_t)(n_active * op) * sizeof(real));
        state_gradients(cell, call, n_active, d_sums, d_h, 0);
        if (!b.scale_h && !b.direct) continue;
        for (Py_ssize_t r = 0; r < n_active; r++)
            scale_row(op, d_h + r * op, b.scale_h ? b.scale_h + r * op : NULL, b.direct ? b.direct + r * op : NULL,
                      d_h + r * op);
    }
    collect_weight_gradients(cell, call, &b);
    if (call->x_transposed) input_gradients(cell, call);
}

/* The three links to weight_gradients.h: h and the gated h as they entered their products, the gradients of the sums that read
 * h, and the projection. */
SKLSTM_INLINE void take_option_row(const Cell *cell, const LayerCall *call, const OptionBuffers *b, Py_ssize_t t, Py_ssize_t r,
                                   real *h_row) {
    const Py_ssize_t op = call->output_stride;
    /* not scale_row: the row need not begin nor end with a whole vector */
    if (b->scale_h && cell->h_count)
        for (Py_ssize_t u = 0; u < call->output_size; u++) h_row[u] *= b->scale_h[r * op + u];
    if (cell->gated_count)
        memcpy(h_row + (cell->h_count ? call->output_size : 0), b->gated + (t * call->n_samples + r) * op,
               (size_t)call->output_size * sizeof(real));
}

SKLSTM_INLINE const real *d_h_sums_of(const OptionBuffers *b) { return b->sums_h; }

SKLSTM_INLINE void collect_projection(const LayerCall *call, const OptionBuffers *b, Py_ssize_t first, Py_ssize_t n_pairs) {
    if (b->m)
        outer(n_pairs, call->hidden_size, round_up(call->output_size, TILE_VECS * LANES) / (TILE_VECS * LANES),
              b->m + first * b->m_stride, b->m_stride, b->d_projected + first * b->projected_stride, b->projected_stride,
              call->options->d_projection);
}

SKLSTM_INLINE Py_ssize_t size_of_options(const Cell *cell, const LayerCall *call, Py_ssize_t n_samples, Py_ssize_t n_steps) {
    OptionBuffers b;
    return lay_out_options(cell, call, n_samples, n_steps, NULL, &b);
}
