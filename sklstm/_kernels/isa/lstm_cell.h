/* The LSTM cell (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000), gates in the order i, f, g, o:
 *   i, f, o = sigmoid(.)   g = tanh(.)   c_t = f c_{t-1} + i g   h_t = o tanh(c_t)
 * The four vectors of a tile are the four gates of LANES units, so the cell is the epilogue of the product and no
 * pre-activation is ever stored.
 */

/* One tile: `rows` samples, LANES units. Pointers stand at the first sample and at the panel's first unit.
 * x, h_prev: row pointers, n_x and n_h columns. panel: (n_x + n_h, 4 LANES). gates and tanh_c may be NULL (not kept).
 * c_prev may be c_next. Rows of c, h and tanh_c are state_stride apart, rows of gates 4 state_stride. */
SKLSTM_INLINE void lstm_cell_forward_rows(const int rows, Py_ssize_t n_x, const real *const *x, Py_ssize_t n_h,
                                              const real *const *h_prev, const real *panel, const real *bias,
                                              Py_ssize_t state_stride, real *gates, const real *c_prev, real *c_next,
                                              real *tanh_c, real *h_next) {
    vec acc[TILE_ROWS][TILE_VECS];
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < TILE_VECS; v++) acc[r][v] = v_load(bias + v * LANES);
    accumulate(rows, n_x, x, panel, acc);
    accumulate(rows, n_h, h_prev, panel + n_x * TILE_VECS * LANES, acc);
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++) {
        const vec i = v_sigmoid(acc[r][0]), f = v_sigmoid(acc[r][1]);
        const vec g = v_tanh(acc[r][2]), o = v_sigmoid(acc[r][3]);
        const vec c = v_fma(f, v_load(c_prev + r * state_stride), v_mul(i, g));
        const vec t = v_tanh(c);
        v_store(c_next + r * state_stride, c);
        v_store(h_next + r * state_stride, v_mul(o, t));
        if (gates) {
            real *q = gates + 4 * r * state_stride;
            v_store(q, i);
            v_store(q + LANES, f);
            v_store(q + 2 * LANES, g);
            v_store(q + 3 * LANES, o);
            v_store(tanh_c + r * state_stride, t);
        }
    }
}

static void lstm_cell_forward(int rows, Py_ssize_t n_x, const real *const *x, Py_ssize_t n_h,
                                  const real *const *h_prev, const real *panel, const real *bias,
                                  Py_ssize_t state_stride, real *gates, const real *c_prev, real *c_next, real *tanh_c,
                                  real *h_next) {
#define CALL(n) lstm_cell_forward_rows(n, n_x, x, n_h, h_prev, panel, bias, state_stride, gates, c_prev, c_next, \
                                           tanh_c, h_next)
    FOR_TILE_ROWS(rows, CALL)
#undef CALL
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
