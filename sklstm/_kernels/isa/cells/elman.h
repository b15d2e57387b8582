/* The simple recurrent network (Elman 1990): h_t = tanh(.), or relu(.). */
SKLSTM_INLINE void elman_forward(const int n, CellForward *s) {
    EACH s->h[j] = v_load(s->sums[j]);
    v_tanh(n, s->h);
    if (s->gates) EACH keep(s->compact, SYMMETRIC, s->gates, s->u[j], s->h[j]);
}

SKLSTM_INLINE void elman_backward(CellBackward *s) {
    const vec h = kept(s->compact, SYMMETRIC, s->gates, 0);
    s->d_sums[0] = v_mul(s->d_h, v_sub(v_broadcast(1), v_mul(h, h)));
}

static const Cell elman = {
    .name = "elman", .sums = "h", .driver = RECURRENT, .n_sums = 1, .units = 4, .x_count = 1, .h_count = 1,
    .forward = elman_forward, .backward = elman_backward,
};

SKLSTM_INLINE void elman_relu_forward(const int n, CellForward *s) {
    EACH s->h[j] = v_relu(v_load(s->sums[j]));
    if (s->gates) EACH keep(s->compact, ANY, s->gates, s->u[j], s->h[j]);
}

SKLSTM_INLINE void elman_relu_backward(CellBackward *s) {
    s->d_sums[0] = v_where_positive(kept(s->compact, ANY, s->gates, 0), s->d_h);
}

static const Cell elman_relu = {
    .name = "elman_relu", .sums = "h", .driver = RECURRENT, .n_sums = 1, .units = 4, .x_count = 1, .h_count = 1,
    .forward = elman_relu_forward, .backward = elman_relu_backward,
};
