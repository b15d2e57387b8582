/* Elman's network and IndRNN with further activations: softsign, x / (1 + |x|), and SiLU, x sigmoid(x). Row cells, so that
 * they cost no instance of the plain drivers. Kept is what the slope is computed from: the value of softsign, the sum of SiLU.
 */
enum { SOFTSIGN, SILU };

/* n vectors of units from `first` on. */
SKLSTM_INLINE void activated_units_forward(const int n, const int activation, const int independent, CellRow *row,
                                           Py_ssize_t first) {
    vec x[SIDE_BY_SIDE];
    EACH {
        const Py_ssize_t u = first + j * LANES;
        x[j] = v_load(row->gates + u);
        if (independent) x[j] = v_fma(v_load(row->vectors + u), v_load(row->h_prev + u), x[j]);
        if (row->training && activation == SILU) v_store(row->gates + u, x[j]);
    }
    if (activation == SILU) v_silu(n, x);
    else EACH x[j] = v_softsign(x[j]);
    EACH {
        const Py_ssize_t u = first + j * LANES;
        if (row->training && activation == SOFTSIGN) v_store(row->gates + u, x[j]);
        v_store(row->h_next + u, x[j]);
    }
}

SKLSTM_INLINE void activated_forward(const int activation, const int independent, CellRow *row) {
    Py_ssize_t u = 0;
    for (; u + SIDE_BY_SIDE * LANES <= row->stride; u += SIDE_BY_SIDE * LANES)
        activated_units_forward(SIDE_BY_SIDE, activation, independent, row, u);
    for (; u < row->stride; u += LANES) activated_units_forward(1, activation, independent, row, u);
}

SKLSTM_INLINE void activated_backward(const int activation, const int independent, CellRow *row) {
    for (Py_ssize_t u = 0; u < row->stride; u += LANES) {
        vec slope = v_load(row->gates + u), d = v_load(row->d_h + u);
        if (row->d_h_more) d = v_add(d, v_load(row->d_h_more + u));
        if (activation == SILU) v_silu_slope(1, &slope);
        else slope = v_softsign_slope(slope);
        d = v_mul(d, slope);
        v_store(row->d_sums + u, d);
        if (!independent) continue;
        collect(row->d_vectors + u, v_mul(d, v_load(row->h_prev + u)));
        collect(row->direct_h + u, v_mul(d, v_load(row->vectors + u)));
    }
}

#define ACTIVATED(cell_name, activation, independent, ...)                                                                    \
    SKLSTM_INLINE void cell_name##_forward(CellRow *row) { activated_forward(activation, independent, row); }                 \
    SKLSTM_INLINE void cell_name##_backward(CellRow *row) { activated_backward(activation, independent, row); }               \
    static const Cell cell_name = {                                                                                           \
        .name = #cell_name, .sums = "h", .driver = ROWS, .n_sums = 1, .units = 4, .x_count = 1, __VA_ARGS__,                  \
        .row_forward = cell_name##_forward, .row_backward = cell_name##_backward,                                             \
    };
ACTIVATED(elman_softsign, SOFTSIGN, 0, .h_count = 1)
ACTIVATED(elman_silu, SILU, 0, .h_count = 1)
ACTIVATED(indrnn_softsign, SOFTSIGN, 1, .reads_h = 1, .n_vectors = 1)
ACTIVATED(indrnn_silu, SILU, 1, .reads_h = 1, .n_vectors = 1)
