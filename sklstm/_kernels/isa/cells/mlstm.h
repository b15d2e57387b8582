/* The multiplicative LSTM (Krause et al. 2016): the gates read m in the place of h.
 *   m = (W_m x + b_mx) (U_m h_{t-1} + b_mh)
 *   i, f, o = sigmoid(W x + U m + b)   g = tanh(W x + U m + b)   c_t = f c_{t-1} + i g   h_t = o tanh(c_t)
 * m is the gated vector, the product of the sums m_h and m_x.
 */
SKLSTM_INLINE void mlstm_gate(const int n, CellGate *s) {
    EACH s->h[j] = v_mul(v_load(s->sums[j]), v_load(s->sums[j] + LANES));
}

SKLSTM_INLINE void mlstm_forward(const int n, CellForward *s) {
    vec gates[4][SIDE_BY_SIDE], c[SIDE_BY_SIDE];
    for (int g = 0; g < 4; g++) EACH gates[g][j] = v_load(s->sums[j] + (2 + g) * LANES);
    v_sigmoid(n, gates[0]);
    v_sigmoid(n, gates[1]);
    v_tanh(n, gates[2]);
    v_sigmoid(n, gates[3]);
    EACH s->c[j] = v_fma(gates[1][j], s->c[j], v_mul(gates[0][j], gates[2][j]));
    EACH c[j] = s->c[j];
    v_tanh(n, c);
    EACH s->h[j] = v_mul(gates[3][j], c[j]);
    if (!s->gates) return;
    EACH {
        const vec m_h = v_load(s->sums[j]), m_x = v_load(s->sums[j] + LANES);
        keep(s->compact, ANY, s->gates, 6 * s->u[j], m_h);
        keep(s->compact, ANY, s->gates, 6 * s->u[j] + LANES, m_x);
        for (int g = 0; g < 4; g++)
            keep(s->compact, g == 2 ? SYMMETRIC : UNIT, s->gates, 6 * s->u[j] + (2 + g) * LANES, gates[g][j]);
        keep(s->compact, SYMMETRIC, s->kept, s->u[j], c[j]);
    }
}

SKLSTM_INLINE void mlstm_backward(CellBackward *s) {
    const vec one = v_broadcast(1), tanh_c = kept(s->compact, SYMMETRIC, s->kept, 0);
    const vec i = kept(s->compact, UNIT, s->gates, 2 * LANES), f = kept(s->compact, UNIT, s->gates, 3 * LANES);
    const vec g = kept(s->compact, SYMMETRIC, s->gates, 4 * LANES), o = kept(s->compact, UNIT, s->gates, 5 * LANES);
    const vec d_c = v_fma(v_mul(s->d_h, o), v_sub(one, v_mul(tanh_c, tanh_c)), s->d_c);
    s->d_sums[2] = v_mul(v_mul(d_c, g), v_mul(i, v_sub(one, i)));
    s->d_sums[3] = v_mul(v_mul(d_c, s->c_prev), v_mul(f, v_sub(one, f)));
    s->d_sums[4] = v_mul(v_mul(d_c, i), v_sub(one, v_mul(g, g)));
    s->d_sums[5] = v_mul(v_mul(s->d_h, tanh_c), v_mul(o, v_sub(one, o)));
    s->d_c = v_fma(d_c, f, s->direct_c);
}

SKLSTM_INLINE void mlstm_gate_backward(CellGateBackward *s) {
    s->d_sums[0] = v_mul(s->d_gated, v_load(s->gates + LANES));
    s->d_sums[1] = v_mul(s->d_gated, v_load(s->gates));
}

static const Cell mlstm = {
    .name = "mlstm", .sums = "m_h m_x i f g o", .driver = RECURRENT, .n_sums = 6, .units = 1, .x_first = 1, .x_count = 5,
    .h_count = 1, .gated_first = 2, .gated_count = 4, .has_c = 1, .n_kept = 1, .forward = mlstm_forward,
    .backward = mlstm_backward, .gate = mlstm_gate, .gate_backward = mlstm_gate_backward,
};
