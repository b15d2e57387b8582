/* The minimal gated unit (Zhou et al. 2016): one gate is both the forget and the update gate.
 *   f = sigmoid(.)   n = tanh(W_n x + U_n (f h_{t-1}) + b)   h_t = (1 - f) h_{t-1} + f n
 */
SKLSTM_INLINE void mgu_gate(const int n, CellGate *s) {
    vec f[SIDE_BY_SIDE];
    EACH f[j] = v_load(s->sums[j]);
    v_sigmoid(n, f);
    EACH v_store(s->sums[j], f[j]);
    EACH s->h[j] = v_mul(f[j], s->h[j]);
}

SKLSTM_INLINE void mgu_forward(const int n, CellForward *s) {
    vec candidate[SIDE_BY_SIDE];
    EACH candidate[j] = v_load(s->sums[j] + LANES);
    v_tanh(n, candidate);
    EACH s->h[j] = v_fma(v_load(s->sums[j]), v_sub(candidate[j], s->h[j]), s->h[j]);
    if (s->gates) EACH {
        keep(s->compact, UNIT, s->gates, 2 * s->u[j], v_load(s->sums[j]));
        keep(s->compact, SYMMETRIC, s->gates, 2 * s->u[j] + LANES, candidate[j]);
    }
}

SKLSTM_INLINE void mgu_backward(CellBackward *s) {
    const vec one = v_broadcast(1), f = kept(s->compact, UNIT, s->gates, 0), n = kept(s->compact, SYMMETRIC, s->gates, LANES);
    s->d_sums[0] = v_mul(s->d_h, v_sub(n, s->h_prev));
    s->d_sums[1] = v_mul(v_mul(s->d_h, f), v_sub(one, v_mul(n, n)));
    s->d_h = v_mul(s->d_h, v_sub(one, f));
}

/* The gradient of the gate is the sum of that through the update (in d_sums[0]) and that through the gated h. */
SKLSTM_INLINE void mgu_gate_backward(CellGateBackward *s) {
    const vec f = v_load(s->gates);
    s->d_sums[0] = v_mul(v_fma(s->d_gated, s->h_prev, s->d_sums[0]), v_mul(f, v_sub(v_broadcast(1), f)));
    s->d_h = v_fma(s->d_gated, f, s->d_h);
}

static const Cell mgu = {
    .name = "mgu", .sums = "f n", .driver = RECURRENT, .n_sums = 2, .units = 1, .x_count = 2, .h_count = 1, .gated_first = 1,
    .gated_count = 1, .reads_h = 1, .forward = mgu_forward, .backward = mgu_backward, .gate = mgu_gate,
    .gate_backward = mgu_gate_backward,
};
