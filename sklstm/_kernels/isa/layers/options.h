/* The layer with options, for any cell: what its forward and backward (options_forward.h, options_backward.h) have in common.
 *   normalised sums (Ba et al. 2016, eqs 20-22)     z = a_x N(W_x x) + a_h N(W_h h) + b
 *   zoneout (Krueger et al. 2017, eqs 3-4)          h_t = k h_{t-1} + (1 - k) new, and so each state
 *   projection (Sak et al. 2014)                    h = W_p m, where m is the output of the cell
 *   recurrent dropout (Gal & Ghahramani 2016)       h enters the products as d h, d the same at all steps
 * k is a vector of zeros and ones in training and the rate itself in prediction, so one formula serves both. A cell that reads
 * the previous h elementwise reads the previous m instead where there is a projection: m is then its second state, stored as c.
 *
 * This driver also runs the cells with a gated h. It goes step by step and row by row, and exists once for all cells, which it
 * calls through RowFunctions; the plain drivers (recurrent.h, elementwise.h) pay nothing for it.
 */

/* The equations of one cell, over one row (layers.h makes them from the Cell). */
typedef struct {
    void (*forward)(CellRow *row);
    void (*backward)(CellRow *row);
    /* for a gated h: sums and h_prev -> gated h; then, from the gradient of the gated h, d_sums (to `out`, which may be the
     * gates) and d_h; in a chain for each stage, h_prev is the vector of the one before */
    void (*gate)(int stage, Py_ssize_t stride, real *sums, const real *h_prev, real *gated);
    void (*gate_backward)(int stage, Py_ssize_t stride, const real *gates, const real *d_sums, const real *h_prev,
                          const real *d_gated, real *d_h, real *out);
    void (*derive)(CellDerivation *d);
    void (*derive_backward)(CellDerivation *d);
} RowFunctions;

/* A chain has 3 gated vectors at most. */
enum { INVERSES = 6 };

/* The workspace of one call, cut into arrays. T stands for 1 in prediction; an option that is off has no array. */
typedef struct {
    Py_ssize_t step;             /* rows from one step to the next: n, or 0 */
    real *sums_x;                /* (T, n, S Hp) x W_ih, normalised */
    real *sums_h;                /* (T, n, S Hp) h W_hh, normalised; in backward its gradient */
    real *sums_gated;            /* the same of gated h W_hh; sums_h where no sum reads both */
    real *inverses;              /* (T, n, INVERSES) 1 / deviation of x W_ih, h W_hh, the state, gated h W_hh of each stage */
    real *normalised_state;      /* (T, n, Hp) */
    real *kept_h;                /* (T, n, output_stride) zoneout: 1 where the previous stays; the rate in prediction */
    real *kept_c;                /* (T, n, Hp) */
    real *scale_h;               /* (n, output_stride) recurrent dropout: 0 or 1 / (1 - rate) */
    real *dropped_h;             /* (n, output_stride) h as it enters the products */
    real *gated;                 /* (stages, T, n, output_stride) the gated h as it enters its product */
    real *chain;                 /* the same without recurrent dropout; gated where there is none, or no chain */
    Py_ssize_t stage_step;       /* rows from one stage to the next */
    real *d_gated;               /* (n, output_stride) */
    real *d_chain;               /* (n, output_stride) of a chain: the gradient that reaches a vector past its product */
    real *d_sums;                /* (n, S Hp) with a gated h: gradients of the sums without what comes through the gated h */
    real *kept;                  /* (K Hp) in prediction, where the call has none */
    real *c_previous;            /* (C Hp) */
    real *derived, *d_derived;   /* (n_derived, Hp) */
    Py_ssize_t m_stride, projected_stride; /* odd numbers of cache lines: see weight_gradients.h */
    real *m;                     /* (pairs, m_stride): all of a chunk, or of a step */
    real *projected;             /* (n, projected_stride) output of the projection, in whole panels */
    real *d_projected;           /* (pairs, projected_stride) */
    real *d_m;                   /* (n, Hp) */
    real *direct;                /* (n, output_stride) gradient from h_t to h_{t-1} that bypasses the products */
    real *direct_c;              /* (C Hp) gradient from c_t to c_{t-1} that bypasses the cell */
    real *scratch;               /* (Hp) */
} OptionBuffers;

SKLSTM_INLINE int carries_m(const CellShape *cell, const LayerCall *call) {
    return cell->reads_h && call->options->projection;
}

/* Whether a sum reads h and the gated h. */
SKLSTM_INLINE int reads_both(const CellShape *cell) {
    return cell->gated_count && cell->h_count && cell->gated_first < cell->h_first + cell->h_count;
}

/* Cut a workspace into its arrays; return its size. Also used to measure: base is not written to. */
SKLSTM_SHARED Py_ssize_t lay_out_options(const CellShape *cell, const LayerCall *call, Py_ssize_t n, Py_ssize_t n_steps,
                                         char *base, OptionBuffers *b) {
    const LayerOptions *options = call->options;
    const Py_ssize_t hp = call->hidden_stride, op = call->output_stride, width = TILE_VECS * LANES;
    const Py_ssize_t rows = options->training ? n * n_steps : n, sums = cell->n_sums * hp, states = call->sizes.n_states * hp;
    char *cursor = base;
    memset(b, 0, sizeof *b);
    b->step = options->training ? n : 0;
    if (options->norm) {
        b->sums_x = take_numbers(&cursor, rows * sums);
        b->sums_h = take_numbers(&cursor, rows * sums);
        b->sums_gated = reads_both(cell) ? take_numbers(&cursor, rows * sums) : b->sums_h;
        b->inverses = take_numbers(&cursor, rows * INVERSES);
        if (cell->normalises_state) b->normalised_state = take_numbers(&cursor, rows * hp);
    }
    if (options->zoneout > 0) {
        b->kept_h = take_numbers(&cursor, rows * op);
        b->kept_c = take_numbers(&cursor, rows * hp);
        b->direct_c = take_numbers(&cursor, states);
    }
    if (options->zoneout > 0 || cell->reads_h || cell->gated_count) b->direct = take_numbers(&cursor, n * op);
    if (options->recurrent_dropout > 0 && options->training) {
        b->scale_h = take_numbers(&cursor, n * op);
        b->dropped_h = take_numbers(&cursor, n * op);
    }
    if (cell->gated_count) {
        b->stage_step = rows;
        b->gated = b->chain = take_numbers(&cursor, stages_of(cell) * rows * op);
        if (cell->chain && b->scale_h) b->chain = take_numbers(&cursor, stages_of(cell) * rows * op);
        if (cell->chain) b->d_chain = take_numbers(&cursor, n * op);
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
    if (!options->training) b->kept = take_numbers(&cursor, call->sizes.n_kept * hp);
    b->c_previous = take_numbers(&cursor, states);
    b->derived = take_numbers(&cursor, call->sizes.n_derived * hp);
    if (options->training) b->d_derived = take_numbers(&cursor, call->sizes.n_derived * hp);
    b->scratch = take_numbers(&cursor, hp);
    return cursor - base;
}

/* The mask of sample r at step t, drawn with probability `rate`. */
SKLSTM_INLINE MaskDraw mask_draw(const LayerCall *call, uint32_t purpose, Py_ssize_t t, Py_ssize_t r, double rate) {
    const LayerOptions *options = call->options;
    return (MaskDraw){options->seed, purpose, options->layer, (uint32_t)t, options->sample_ids[r], options->epoch, rate};
}

/* Zoneout of one row: 1 where the previous state stays. */
SKLSTM_INLINE void draw_zoneout(const LayerCall *call, uint32_t purpose, Py_ssize_t t, Py_ssize_t r, Py_ssize_t n_units,
                                Py_ssize_t stride, real *kept) {
    const MaskDraw draw = mask_draw(call, purpose, t, r, call->options->zoneout);
    draw_mask(n_units, stride, &draw, 1, 0, kept);
}

/* The masks that are the same at all steps: recurrent dropout, and in prediction the rate of zoneout. */
static void draw_constant_masks(const LayerCall *call, const OptionBuffers *b) {
    const LayerOptions *options = call->options;
    const Py_ssize_t op = call->output_stride;
    if (b->scale_h)
        for (Py_ssize_t r = 0; r < call->n_samples; r++) {
            const MaskDraw draw = mask_draw(call, RECURRENT_DROPOUT, 0, r, options->recurrent_dropout);
            draw_mask(call->output_size, op, &draw, 0, (real)(1.0 / (1.0 - options->recurrent_dropout)), b->scale_h + r * op);
        }
    if (b->kept_h && !options->training) {
        for (Py_ssize_t u = 0; u < call->n_samples * op; u++) b->kept_h[u] = (real)options->zoneout;
        for (Py_ssize_t u = 0; u < call->n_samples * call->hidden_stride; u++) b->kept_c[u] = (real)options->zoneout;
    }
}

/* The arrays of sequence r at step t that forward and backward both read. */
SKLSTM_INLINE void describe_row(const CellShape *cell, const LayerCall *call, const OptionBuffers *b, Py_ssize_t t,
                                Py_ssize_t r, CellRow *row) {
    const LayerOptions *options = call->options;
    const Py_ssize_t hp = call->hidden_stride, width = cell->n_sums * hp, here = t * b->step + r;
    const real *norm = (const real *)options->norm;
    memset(row, 0, sizeof *row);
    row->n_units = call->hidden_size;
    row->stride = hp;
    row->gap = cell->reads_gap ? gap_of(call, t, r) : 1;
    row->training = options->training;
    row->numbers = call->numbers;
    row->sizes = call->sizes;
    row->constants = (const real *)call->constants;
    row->derived = b->derived;
    row->d_derived = b->d_derived;
    row->gates = (options->training ? (real *)call->gates + t * call->n_samples * width : (real *)call->z) + r * width;
    if (call->sizes.n_kept) row->kept = options->training ? (real *)call->kept + call->sizes.n_kept * here * hp : b->kept;
    if (call->c) row->c_prev = (const real *)call->c + (t * call->kept_step + r * hp) * call->sizes.n_states;
    row->h_prev = carries_m(cell, call) ? row->c_prev : (const real *)call->h + (t * call->n_samples + r) * call->output_stride;
    if (cell->chain) row->h_prev = b->chain + ((cell->chain - 1) * b->stage_step + here) * hp;
    row->vectors = (const real *)(cell->vectors_are_optional ? options->vectors : call->vectors);
    row->d_vectors = (real *)(cell->vectors_are_optional ? options->d_vectors : call->d_vectors);
    if (norm && cell->normalises_state) {
        const Py_ssize_t place = (cell->gated_count ? 3 : 2) * width;
        row->state_norm = norm + place;
        row->normalised = b->normalised_state + here * hp;
        row->inverse = b->inverses[INVERSES * here + 2];
        if (options->d_norm) row->d_state_norm = (real *)options->d_norm + place;
    }
}

SKLSTM_INLINE CellDerivation derivation(const LayerCall *call, const OptionBuffers *b) {
    return (CellDerivation){call->hidden_size, call->hidden_stride, call->numbers, (const real *)call->vectors,
                            b->derived, b->d_derived, (real *)call->d_vectors};
}
