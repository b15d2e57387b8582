/* The second-order network with a CP weight tensor (Giles et al. 1992, Lizaire et al. 2024):
 *   p = A x + b_p   q = B h_{t-1} + b_q   h_t = tanh(C (p q) + W x + U h_{t-1} + b)
 * p q is the gated vector; its components, as many as units, are the rank of the tensor.
 */
SKLSTM_INLINE void second_order_gate(const int n, CellGate *s) {
    EACH s->h[j] = v_mul(v_load(s->sums[j]), v_load(s->sums[j] + 2 * LANES));
}

SKLSTM_INLINE void second_order_forward(const int n, CellForward *s) {
    vec p[SIDE_BY_SIDE], q[SIDE_BY_SIDE];
    EACH s->h[j] = v_load(s->sums[j] + LANES);
    v_tanh(n, s->h);
    if (!s->gates) return;
    EACH p[j] = v_load(s->sums[j]);
    EACH q[j] = v_load(s->sums[j] + 2 * LANES);
    EACH {
        keep(s->compact, ANY, s->gates, 3 * s->u[j], p[j]);
        keep(s->compact, SYMMETRIC, s->gates, 3 * s->u[j] + LANES, s->h[j]);
        keep(s->compact, ANY, s->gates, 3 * s->u[j] + 2 * LANES, q[j]);
    }
}

SKLSTM_INLINE void second_order_backward(CellBackward *s) {
    const vec h = kept(s->compact, SYMMETRIC, s->gates, LANES);
    s->d_sums[1] = v_mul(s->d_h, v_sub(v_broadcast(1), v_mul(h, h)));
}

SKLSTM_INLINE void second_order_gate_backward(CellGateBackward *s) {
    s->d_sums[0] = v_mul(s->d_gated, v_load(s->gates + 2 * LANES));
    s->d_sums[2] = v_mul(s->d_gated, v_load(s->gates));
}

static const Cell second_order = {
    .name = "second_order", .sums = "p h q", .driver = RECURRENT, .n_sums = 3, .units = 1, .x_count = 2, .h_first = 1,
    .h_count = 2, .gated_first = 1, .gated_count = 1, .forward = second_order_forward, .backward = second_order_backward,
    .gate = second_order_gate, .gate_backward = second_order_gate_backward,
};
