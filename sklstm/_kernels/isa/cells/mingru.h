/* The minimal GRU (Feng et al. 2024): gate and candidate read x alone, so there is no product inside the time loop.
 *   z = sigmoid(.)   h_t = (1 - z) h_{t-1} + z g(.)   g(a) = a + 1/2 for a >= 0, else sigmoid(a)
 * h is computed step by step from this equation: the form in logarithms, which a parallel scan needs, loses digits and is no
 * faster on a CPU. mingru_tanh has g = tanh.
 */
SKLSTM_INLINE void v_positive_candidate(const int n, vec *a) {
    vec s[SIDE_BY_SIDE];
    EACH s[j] = a[j];
    v_sigmoid(n, s);
    EACH a[j] = v_select_nonnegative(a[j], v_add(a[j], v_broadcast((real)0.5)), s[j]);
}

/* g'(a), from g(a) */
SKLSTM_INLINE vec v_positive_candidate_slope(vec g) {
    const vec one = v_broadcast(1), half = v_broadcast((real)0.5);
    return v_select_nonnegative(v_sub(g, half), one, v_mul(g, v_sub(one, g)));
}

SKLSTM_INLINE void mingru_step(const int n, CellForward *s, const int positive) {
    vec z[SIDE_BY_SIDE], candidate[SIDE_BY_SIDE];
    EACH z[j] = v_load(s->sums[j]);
    v_sigmoid(n, z);
    EACH candidate[j] = v_load(s->sums[j] + LANES);
    if (positive) v_positive_candidate(n, candidate);
    else v_tanh(n, candidate);
    EACH s->h[j] = v_fma(z[j], v_sub(candidate[j], s->h[j]), s->h[j]);
    if (s->gates) EACH {
        keep(s->compact, UNIT, s->gates, 2 * s->u[j], z[j]);
        keep(s->compact, positive ? ANY : SYMMETRIC, s->gates, 2 * s->u[j] + LANES, candidate[j]);
    }
}

SKLSTM_INLINE void mingru_gradient(CellBackward *s, const int positive) {
    const vec one = v_broadcast(1), z = kept(s->compact, UNIT, s->gates, 0);
    const vec n = kept(s->compact, positive ? ANY : SYMMETRIC, s->gates, LANES);
    const vec slope = positive ? v_positive_candidate_slope(n) : v_sub(one, v_mul(n, n));
    s->d_sums[0] = v_mul(v_mul(s->d_h, v_sub(n, s->h_prev)), v_mul(z, v_sub(one, z)));
    s->d_sums[1] = v_mul(v_mul(s->d_h, z), slope);
    s->d_h = v_mul(s->d_h, v_sub(one, z));
}

SKLSTM_INLINE void mingru_forward(const int n, CellForward *s) { mingru_step(n, s, 1); }
SKLSTM_INLINE void mingru_backward(CellBackward *s) { mingru_gradient(s, 1); }
SKLSTM_INLINE void mingru_tanh_forward(const int n, CellForward *s) { mingru_step(n, s, 0); }
SKLSTM_INLINE void mingru_tanh_backward(CellBackward *s) { mingru_gradient(s, 0); }

static const Cell mingru = {
    .name = "mingru", .sums = "z n", .driver = ELEMENTWISE, .n_sums = 2, .units = 2, .x_count = 2, .reads_h = 1,
    .leaves_zero = 1,
    .forward = mingru_forward, .backward = mingru_backward,
};
static const Cell mingru_tanh = {
    .name = "mingru_tanh", .sums = "z n", .driver = ELEMENTWISE, .n_sums = 2, .units = 2, .x_count = 2, .reads_h = 1,
    .forward = mingru_tanh_forward, .backward = mingru_tanh_backward,
};
