/* A row of LSTM cells with the options of this cell alone:
 *   peepholes (Gers & Schmidhuber 2000; Sak et al. 2014)  p_i c_{t-1}, p_f c_{t-1}, p_o c_t added to the sums of i, f, o
 *   normalised c (Ba et al. 2016, eqs 20-22)              h = o tanh(a_c N(c_t) + b_c)
 */
/* The output gates of n vectors of units, from their sums in place */
SKLSTM_INLINE void output_gates(const int n, real *gates) {
    vec o[SIDE_BY_SIDE];
    EACH o[j] = v_load(gates + (4 * j + 3) * LANES);
    v_sigmoid(n, o);
    EACH v_store(gates + (4 * j + 3) * LANES, o[j]);
}

/* h = o tanh(.) of n vectors of units; tanh_c: in, the argument; out, its tanh */
SKLSTM_INLINE void hidden_states(const int n, const real *gates, real *tanh_c, real *h) {
    vec c[SIDE_BY_SIDE];
    EACH c[j] = v_load(tanh_c + j * LANES);
    v_tanh(n, c);
    EACH v_store(tanh_c + j * LANES, c[j]);
    EACH v_store(h + j * LANES, v_mul(v_load(gates + (4 * j + 3) * LANES), c[j]));
}

/* c_prev may be c_next. */
SKLSTM_INLINE void lstm_row_forward(CellRow *row) {
    const Py_ssize_t stride = row->stride, together = SIDE_BY_SIDE * LANES, whole = stride - stride % together;
    const real *peepholes = row->vectors, *norm = row->state_norm;
    real *gates = row->gates, *tanh_c = row->kept, *c_new = norm ? row->normalised : tanh_c;
    for (Py_ssize_t u = 0; u < stride; u += LANES) {
        real *q = gates + 4 * u;
        vec z[4] = {v_load(q), v_load(q + LANES), v_load(q + 2 * LANES), v_load(q + 3 * LANES)};
        const vec before = v_load(row->c_prev + u), sum_o = z[3];
        if (peepholes) {
            z[0] = v_fma(v_load(peepholes + u), before, z[0]);
            z[1] = v_fma(v_load(peepholes + stride + u), before, z[1]);
        }
        v_gates(z);
        const vec c = v_fma(z[1], before, v_mul(z[0], z[2]));
        if (peepholes) z[3] = v_fma(v_load(peepholes + 2 * stride + u), c, sum_o);
        for (int g = 0; g < 4; g++) v_store(q + g * LANES, z[g]);
        v_store(c_new + u, c);
        v_store(row->c_next + u, c);
    }
    if (peepholes) {
        for (Py_ssize_t u = 0; u < whole; u += together) output_gates(SIDE_BY_SIDE, gates + 4 * u);
        for (Py_ssize_t u = whole; u < stride; u += LANES) output_gates(1, gates + 4 * u);
    }
    if (norm) {
        row->inverse = normalise_row(row->n_units, stride, row->normalised);
        for (Py_ssize_t u = 0; u < stride; u += LANES)
            v_store(tanh_c + u, v_fma(v_load(norm + u), v_load(row->normalised + u), v_load(norm + stride + u)));
    }
    for (Py_ssize_t u = 0; u < whole; u += together) hidden_states(SIDE_BY_SIDE, gates + 4 * u, tanh_c + u, row->h_next + u);
    for (Py_ssize_t u = whole; u < stride; u += LANES) hidden_states(1, gates + 4 * u, tanh_c + u, row->h_next + u);
}

/* From the gradient of h to that of c through its normalisation, in row.scratch; d_y is the gradient of the argument of tanh.
 * */
SKLSTM_INLINE void normalised_state_backward(CellRow *row) {
    const Py_ssize_t stride = row->stride;
    real *d_y_row = row->scratch, *d_shift = row->d_state_norm + stride;
    for (Py_ssize_t u = 0; u < stride; u += LANES) {
        const vec t = v_load(row->kept + u), o = v_load(row->gates + 4 * u + 3 * LANES);
        const vec d_y = v_mul(v_load(row->d_h + u), v_mul(o, v_sub(v_broadcast(1), v_mul(t, t))));
        v_store(d_y_row + u, d_y);
        v_store(d_shift + u, v_add(v_load(d_shift + u), d_y));
    }
    normalise_row_backward(1, LANES, row->n_units, stride, row->state_norm, row->d_state_norm, row->normalised, row->inverse,
                           d_y_row, d_y_row);
}

SKLSTM_INLINE void collect_product(real *sum, vec a, vec b) { v_store(sum, v_fma(a, b, v_load(sum))); }

SKLSTM_INLINE void lstm_row_backward(CellRow *row) {
    const vec one = v_broadcast(1);
    const Py_ssize_t stride = row->stride;
    const real *peepholes = row->vectors;
    real *gates = row->gates, *d_peepholes = row->d_vectors;
    if (row->state_norm) normalised_state_backward(row);
    for (Py_ssize_t u = 0; u < stride; u += LANES, gates += 4 * LANES) {
        const vec i = v_load(gates), f = v_load(gates + LANES);
        const vec g = v_load(gates + 2 * LANES), o = v_load(gates + 3 * LANES);
        const vec t = v_load(row->kept + u), dm = v_load(row->d_h + u), before = v_load(row->c_prev + u);
        const vec d_o = v_mul(v_mul(dm, t), v_mul(o, v_sub(one, o)));
        vec dc = v_load(row->d_c + u);
        dc = row->state_norm ? v_add(v_load(row->scratch + u), dc) : v_fma(dm, v_mul(o, v_sub(one, v_mul(t, t))), dc);
        if (peepholes) dc = v_fma(v_load(peepholes + 2 * stride + u), d_o, dc);
        const vec d_i = v_mul(v_mul(dc, g), v_mul(i, v_sub(one, i)));
        const vec d_f = v_mul(v_mul(dc, before), v_mul(f, v_sub(one, f)));
        const vec d_g = v_mul(v_mul(dc, i), v_sub(one, v_mul(g, g)));
        vec d_before = v_fma(dc, f, row->direct_c ? v_load(row->direct_c + u) : v_broadcast(0));
        if (peepholes) {
            d_before = v_fma(v_load(peepholes + u), d_i, d_before);
            d_before = v_fma(v_load(peepholes + stride + u), d_f, d_before);
            collect_product(d_peepholes + u, d_i, before);
            collect_product(d_peepholes + stride + u, d_f, before);
            collect_product(d_peepholes + 2 * stride + u, d_o, v_fma(f, before, v_mul(i, g)));
        }
        v_store(row->d_c + u, d_before);
        v_store(gates, d_i);
        v_store(gates + LANES, d_f);
        v_store(gates + 2 * LANES, d_g);
        v_store(gates + 3 * LANES, d_o);
    }
}
