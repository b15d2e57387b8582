/* The gated recurrent unit as Cho et al. 2014 wrote it, with the reset gate before the product (ONNX: linear_before_reset = 0):
 *   r, z = sigmoid(.)   n = tanh(W_n x + U_n (r h_{t-1}) + b)   h_t = (1 - z) n + z h_{t-1}
 */
SKLSTM_INLINE void gru_reset_before_gate(const int n, CellGate *s) {
    vec r[SIDE_BY_SIDE];
    EACH r[j] = v_load(s->sums[j]);
    v_sigmoid(n, r);
    EACH v_store(s->sums[j], r[j]);
    EACH s->h[j] = v_mul(r[j], s->h[j]);
}

SKLSTM_INLINE void gru_reset_before_forward(const int n, CellForward *s) {
    vec z[SIDE_BY_SIDE], candidate[SIDE_BY_SIDE];
    EACH z[j] = v_load(s->sums[j] + LANES);
    v_sigmoid(n, z);
    EACH candidate[j] = v_load(s->sums[j] + 2 * LANES);
    v_tanh(n, candidate);
    EACH s->h[j] = v_fma(z[j], v_sub(s->h[j], candidate[j]), candidate[j]);
    if (s->gates) EACH {
        keep(s->compact, UNIT, s->gates, 3 * s->u[j], v_load(s->sums[j]));
        keep(s->compact, UNIT, s->gates, 3 * s->u[j] + LANES, z[j]);
        keep(s->compact, SYMMETRIC, s->gates, 3 * s->u[j] + 2 * LANES, candidate[j]);
    }
}

SKLSTM_INLINE void gru_reset_before_backward(CellBackward *s) {
    const vec one = v_broadcast(1), z = kept(s->compact, UNIT, s->gates, LANES);
    const vec n = kept(s->compact, SYMMETRIC, s->gates, 2 * LANES);
    s->d_sums[1] = v_mul(v_mul(s->d_h, v_sub(s->h_prev, n)), v_mul(z, v_sub(one, z)));
    s->d_sums[2] = v_mul(v_mul(s->d_h, v_sub(one, z)), v_sub(one, v_mul(n, n)));
    s->d_h = v_mul(s->d_h, z);
}

SKLSTM_INLINE void gru_reset_before_gate_backward(CellGateBackward *s) {
    const vec r = v_load(s->gates);
    s->d_sums[0] = v_mul(v_mul(s->d_gated, s->h_prev), v_mul(r, v_sub(v_broadcast(1), r)));
    s->d_h = v_fma(s->d_gated, r, s->d_h);
}

static const Cell gru_reset_before = {
    .name = "gru_reset_before", .sums = "r z n", .driver = RECURRENT, .n_sums = 3, .units = 1, .x_count = 3, .h_count = 2,
    .gated_first = 2, .gated_count = 1, .reads_h = 1, .forward = gru_reset_before_forward,
    .backward = gru_reset_before_backward, .gate = gru_reset_before_gate, .gate_backward = gru_reset_before_gate_backward,
};
