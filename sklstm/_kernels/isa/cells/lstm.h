/* The LSTM cell (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000), gates in the order i, f, g, o:
 *   i, f, o = sigmoid(.)   g = tanh(.)   c_t = f c_{t-1} + i g   h_t = o tanh(c_t)
 * The four vectors of a tile are the four gates of LANES units. A tile leaves its pre-activations in a scratch; two short
 * loops over all rows then apply the cell while they are in L1. As the epilogue of each tile the same operations were
 * bound by their latency: 31 instead of 18 ns for a vector of units (doc/developers/kernels.md).
 */

/* gates (rows, 4 vectors) = start + [x | h_prev] @ panel, the rows of gates and of start a stride apart.
 * x, h_prev: row pointers, n_x and n_h columns. panel: (n_x + n_h, 4 LANES). */
SKLSTM_INLINE void gate_rows(const int rows, Py_ssize_t n_x, const real *const *x, Py_ssize_t n_h,
                             const real *const *h_prev, const real *panel, const real *const *start,
                             real *restrict gates, Py_ssize_t gates_stride) {
    vec acc[TILE_ROWS][TILE_VECS];
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < TILE_VECS; v++) acc[r][v] = v_load(start[r] + v * LANES);
    if (n_x) accumulate(rows, TILE_VECS, n_x, x, panel, acc);
    accumulate(rows, TILE_VECS, n_h, h_prev, panel + n_x * TILE_VECS * LANES, acc);
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < TILE_VECS; v++) v_store(gates + r * gates_stride + v * LANES, acc[r][v]);
}

static void gate_tile(int rows, Py_ssize_t n_x, const real *const *x, Py_ssize_t n_h, const real *const *h_prev,
                      const real *panel, const real *const *start, real *gates, Py_ssize_t gates_stride) {
#define CALL(n) gate_rows(n, n_x, x, n_h, h_prev, panel, start, gates, gates_stride)
    FOR_TILE_ROWS(rows, CALL)
#undef CALL
}

/* c and h of n vectors of units, side by side: i, f, g, o at z[j], states at offset u[j]. */
SKLSTM_INLINE void update_states(const int n, const real *const *z, const Py_ssize_t *u, const real *c_prev, real *c_next,
                                 real *tanh_c, real *h_next) {
    vec c[SIDE_BY_SIDE];
    EACH c[j] = v_fma(v_load(z[j] + LANES), v_load(c_prev + u[j]), v_mul(v_load(z[j]), v_load(z[j] + 2 * LANES)));
    EACH v_store(c_next + u[j], c[j]);
    v_tanh(n, c);
    if (tanh_c) EACH v_store(tanh_c + u[j], c[j]);
    EACH v_store(h_next + u[j], v_mul(v_load(z[j] + 3 * LANES), c[j]));
}

/* From pre-activations z (rows z_stride apart, panels side by side; overwritten by i, f, g, o) to the next state. gates
 * gets a copy of i, f, g, o, tanh_c what its name says, or both are NULL. c_prev may be c_next. Rows of the states are
 * state_stride apart, rows of gates four times as far. */
static void lstm_cell_forward(Py_ssize_t n_rows, Py_ssize_t n_panels, Py_ssize_t state_stride, real *z,
                              Py_ssize_t z_stride, real *restrict gates, const real *c_prev, real *c_next, real *tanh_c,
                              real *h_next) {
    const real *ready[SIDE_BY_SIDE];
    Py_ssize_t u[SIDE_BY_SIDE];
    int waiting = 0;
    for (Py_ssize_t r = 0; r < n_rows; r++)
        for (Py_ssize_t p = 0; p < n_panels; p++) {
            real *q = z + r * z_stride + p * 4 * LANES;
            vec v[4] = {v_load(q), v_load(q + LANES), v_load(q + 2 * LANES), v_load(q + 3 * LANES)};
            v_gates(v);
            for (int g = 0; g < 4; g++) v_store(q + g * LANES, v[g]);
            if (gates)
                for (int g = 0; g < 4; g++) v_store(gates + 4 * (r * state_stride + p * LANES) + g * LANES, v[g]);
        }
    for (Py_ssize_t r = 0; r < n_rows; r++)
        for (Py_ssize_t p = 0; p < n_panels; p++) {
            ready[waiting] = z + r * z_stride + p * 4 * LANES;
            u[waiting] = r * state_stride + p * LANES;
            if (++waiting == SIDE_BY_SIDE) {
                update_states(SIDE_BY_SIDE, ready, u, c_prev, c_next, tanh_c, h_next);
                waiting = 0;
            }
        }
    for (int w = 0; w < waiting; w++) update_states(1, ready + w, u + w, c_prev, c_next, tanh_c, h_next);
}

/* One sample, all units (n_units a multiple of LANES): gates is overwritten by d_gates (the gradient of the
 * pre-activations), d_c by the gradient of c_{t-1}; d_bias (4 n_units, panel order) collects d_gates.
 * d_h is the whole gradient of h_t; d_h_above (or NULL) is added to it here. */
static void lstm_cell_backward(Py_ssize_t n_units, real *restrict gates, const real *restrict c_prev,
                                   const real *restrict tanh_c, const real *restrict d_h, const real *restrict d_h_above,
                                   real *restrict d_c, real *restrict d_bias) {
    const vec one = v_broadcast(1);
    for (Py_ssize_t u = 0; u < n_units; u += LANES, gates += 4 * LANES, d_bias += 4 * LANES) {
        const vec i = v_load(gates), f = v_load(gates + LANES);
        const vec g = v_load(gates + 2 * LANES), o = v_load(gates + 3 * LANES);
        const vec t = v_load(tanh_c + u);
        vec dh = v_load(d_h + u);
        if (d_h_above) dh = v_add(dh, v_load(d_h_above + u));
        const vec slope = v_mul(o, v_sub(one, v_mul(t, t)));
        const vec dc = v_fma(dh, slope, v_load(d_c + u));
        const vec d_i = v_mul(v_mul(dc, g), v_mul(i, v_sub(one, i)));
        const vec d_f = v_mul(v_mul(dc, v_load(c_prev + u)), v_mul(f, v_sub(one, f)));
        const vec d_g = v_mul(v_mul(dc, i), v_sub(one, v_mul(g, g)));
        const vec d_o = v_mul(v_mul(dh, t), v_mul(o, v_sub(one, o)));
        v_store(d_c + u, v_mul(dc, f));
        v_store(gates, d_i);
        v_store(gates + LANES, d_f);
        v_store(gates + 2 * LANES, d_g);
        v_store(gates + 3 * LANES, d_o);
        v_store(d_bias, v_add(v_load(d_bias), d_i));
        v_store(d_bias + LANES, v_add(v_load(d_bias + LANES), d_f));
        v_store(d_bias + 2 * LANES, v_add(v_load(d_bias + 2 * LANES), d_g));
        v_store(d_bias + 3 * LANES, v_add(v_load(d_bias + 3 * LANES), d_o));
    }
}
