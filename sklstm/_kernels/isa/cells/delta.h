/* The simple recurrent network with one gate, a GRU without its reset gate: the smallest cell that can keep its state.
 *   d = sigmoid(.)   n = tanh(.)   h_t = (1 - d) h_{t-1} + d n
 */
SKLSTM_INLINE void delta_forward(const int n, CellForward *s) {
    vec d[SIDE_BY_SIDE], candidate[SIDE_BY_SIDE];
    EACH d[j] = v_load(s->sums[j]);
    v_sigmoid(n, d);
    EACH candidate[j] = v_load(s->sums[j] + LANES);
    v_tanh(n, candidate);
    EACH s->h[j] = v_fma(d[j], v_sub(candidate[j], s->h[j]), s->h[j]);
    if (s->gates) EACH {
        keep(s->compact, UNIT, s->gates, 2 * s->u[j], d[j]);
        keep(s->compact, SYMMETRIC, s->gates, 2 * s->u[j] + LANES, candidate[j]);
    }
}

SKLSTM_INLINE void delta_backward(CellBackward *s) {
    const vec one = v_broadcast(1);
    const vec d = kept(s->compact, UNIT, s->gates, 0), n = kept(s->compact, SYMMETRIC, s->gates, LANES);
    s->d_sums[0] = v_mul(v_mul(s->d_h, v_sub(n, s->h_prev)), v_mul(d, v_sub(one, d)));
    s->d_sums[1] = v_mul(v_mul(s->d_h, d), v_sub(one, v_mul(n, n)));
    s->d_h = v_mul(s->d_h, v_sub(one, d));
}

static const Cell delta = {
    .name = "delta", .sums = "d n", .driver = RECURRENT, .n_sums = 2, .units = 2, .x_count = 2, .h_count = 2, .reads_h = 1,
    .forward = delta_forward, .backward = delta_backward,
};
