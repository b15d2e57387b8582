/* Independently recurrent network (Li et al. 2018): h_t = relu(W x_t + u * h_{t-1} + b), or tanh(.), with one recurrent
 * weight u for each unit. */
SKLSTM_INLINE void indrnn_sums(const int n, CellForward *s) {
    EACH s->h[j] = v_fma(v_load(s->vectors[j]), s->h[j], v_load(s->sums[j]));
}

SKLSTM_INLINE void indrnn_keep(const int n, const int range, CellForward *s) {
    if (s->gates) EACH keep(s->compact, range, s->gates, s->u[j], s->h[j]);
}

/* From the gradient of the sum. */
SKLSTM_INLINE void indrnn_spread(CellBackward *s, vec d_sum) {
    s->d_sums[0] = d_sum;
    s->d_vectors[0] = v_mul(d_sum, s->h_prev);
    s->d_h = v_mul(d_sum, v_load(s->vectors));
}

SKLSTM_INLINE void indrnn_forward(const int n, CellForward *s) {
    indrnn_sums(n, s);
    EACH s->h[j] = v_relu(s->h[j]);
    indrnn_keep(n, ANY, s);
}

SKLSTM_INLINE void indrnn_backward(CellBackward *s) {
    indrnn_spread(s, v_where_positive(kept(s->compact, ANY, s->gates, 0), s->d_h));
}

static const Cell indrnn = {
    .name = "indrnn", .sums = "h", .driver = ELEMENTWISE, .n_sums = 1, .units = 4, .x_count = 1, .reads_h = 1, .n_vectors = 1,
    .forward = indrnn_forward, .backward = indrnn_backward,
};

SKLSTM_INLINE void indrnn_tanh_forward(const int n, CellForward *s) {
    indrnn_sums(n, s);
    v_tanh(n, s->h);
    indrnn_keep(n, SYMMETRIC, s);
}

SKLSTM_INLINE void indrnn_tanh_backward(CellBackward *s) {
    const vec h = kept(s->compact, SYMMETRIC, s->gates, 0);
    indrnn_spread(s, v_mul(s->d_h, v_sub(v_broadcast(1), v_mul(h, h))));
}

static const Cell indrnn_tanh = {
    .name = "indrnn_tanh", .sums = "h", .driver = ELEMENTWISE, .n_sums = 1, .units = 4, .x_count = 1, .reads_h = 1,
    .n_vectors = 1, .forward = indrnn_tanh_forward, .backward = indrnn_tanh_backward,
};
