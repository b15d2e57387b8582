/* The gated recurrent unit, with the reset gate after the product (Cho et al. 2014, in the form of cuDNN, PyTorch, Keras):
 *   r, z = sigmoid(.)   n = tanh(n_x + r n_h)   h_t = (1 - z) n + z h_{t-1}
 * n_x and n_h are two sums: W_n x + b and U_n h + b'.
 */
SKLSTM_INLINE void gru_forward(const int n, CellForward *s) {
    vec r[SIDE_BY_SIDE], z[SIDE_BY_SIDE], candidate[SIDE_BY_SIDE], n_h[SIDE_BY_SIDE];
    EACH r[j] = v_load(s->sums[j] + LANES);
    v_sigmoid(n, r);
    if (s->gates) EACH keep(s->compact, UNIT, s->gates, 4 * s->u[j] + LANES, r[j]);
    EACH z[j] = v_load(s->sums[j] + 2 * LANES);
    v_sigmoid(n, z);
    if (s->gates) EACH keep(s->compact, UNIT, s->gates, 4 * s->u[j] + 2 * LANES, z[j]);
    EACH n_h[j] = v_load(s->sums[j] + 3 * LANES);
    if (s->gates) EACH keep(s->compact, ANY, s->gates, 4 * s->u[j] + 3 * LANES, n_h[j]);
    EACH candidate[j] = v_fma(r[j], n_h[j], v_load(s->sums[j]));
    v_tanh(n, candidate);
    if (s->gates) EACH keep(s->compact, SYMMETRIC, s->gates, 4 * s->u[j], candidate[j]);
    EACH s->h[j] = v_fma(z[j], v_sub(s->h[j], candidate[j]), candidate[j]);
}

SKLSTM_INLINE void gru_backward(CellBackward *s) {
    const vec one = v_broadcast(1), n = kept(s->compact, SYMMETRIC, s->gates, 0);
    const vec r = kept(s->compact, UNIT, s->gates, LANES), z = kept(s->compact, UNIT, s->gates, 2 * LANES);
    const vec n_h = kept(s->compact, ANY, s->gates, 3 * LANES);
    const vec d_n = v_mul(v_mul(s->d_h, v_sub(one, z)), v_sub(one, v_mul(n, n)));
    s->d_sums[0] = d_n;
    s->d_sums[1] = v_mul(v_mul(d_n, n_h), v_mul(r, v_sub(one, r)));
    s->d_sums[2] = v_mul(v_mul(s->d_h, v_sub(s->h_prev, n)), v_mul(z, v_sub(one, z)));
    s->d_sums[3] = v_mul(d_n, r);
    s->d_h = v_mul(s->d_h, z);
}

static const Cell gru = {
    .name = "gru", .sums = "n_x r z n_h", .driver = RECURRENT, .n_sums = 4, .units = 1, .x_count = 3, .h_first = 1,
    .h_count = 3, .reads_h = 1, .forward = gru_forward, .backward = gru_backward,
};
