/* The minimal LSTM (Feng et al. 2024): two gates that share 1 between them, nothing multiplied inside the time loop.
 *   f = sigmoid(.)   i = sigmoid(.)   h_t = f / (f + i) h_{t-1} + i / (f + i) g(.)   g as in mingru.h
 * minlstm_tanh has tanh for g.
 */

/* f / (f + i) from the sums of f and i, side by side; they become 1 - f and 1 - i, which backward needs. Neither sum may
 * make it 0 / 0: for float the argument of sigmoid is clamped, so that f and i stay normal numbers. */
SKLSTM_INLINE void v_share_of_forget(const int n, vec *f, vec *i, vec *share) {
    const vec one = v_broadcast(1);
#if SKLSTM_REAL_IS_FLOAT
    v_sigmoid(n, f);
    v_sigmoid(n, i);
    EACH share[j] = v_div(f[j], v_add(f[j], i[j]));
#else
    EACH for (int l = 0; l < LANES; l++) {
        /* log i - log f, without a quotient of two zeros */
        const double a = LANE(f[j], l), b = LANE(i[j], l);
        const double log_f = fmin(a, 0) - log1p(exp(-fabs(a))), log_i = fmin(b, 0) - log1p(exp(-fabs(b)));
        LANE(share[j], l) = 1 / (1 + exp(log_i - log_f));
    }
    v_sigmoid(n, f);
    v_sigmoid(n, i);
#endif
    EACH f[j] = v_sub(one, f[j]);
    EACH i[j] = v_sub(one, i[j]);
}

SKLSTM_INLINE void minlstm_step(const int n, CellForward *s, const int positive) {
    vec f[SIDE_BY_SIDE], i[SIDE_BY_SIDE], share[SIDE_BY_SIDE], candidate[SIDE_BY_SIDE];
    EACH f[j] = v_load(s->sums[j]);
    EACH i[j] = v_load(s->sums[j] + LANES);
    v_share_of_forget(n, f, i, share);
    EACH candidate[j] = v_load(s->sums[j] + 2 * LANES);
    if (positive) v_positive_candidate(n, candidate);
    else v_tanh(n, candidate);
    EACH s->h[j] = v_fma(share[j], v_sub(s->h[j], candidate[j]), candidate[j]);
    if (s->gates[0]) EACH {
        v_store(s->gates[j], f[j]);
        v_store(s->gates[j] + LANES, i[j]);
        v_store(s->gates[j] + 2 * LANES, candidate[j]);
        v_store(s->kept[j], share[j]);
    }
}

/* The share is sigmoid(log f - log i), so its slope by the sum of f is share (1 - share) (1 - f). */
SKLSTM_INLINE void minlstm_gradient(CellBackward *s, const int positive) {
    const vec one = v_broadcast(1), n = v_load(s->gates + 2 * LANES), share = v_load(s->kept);
    const vec slope = positive ? v_positive_candidate_slope(n) : v_sub(one, v_mul(n, n));
    const vec d_share = v_mul(v_mul(s->d_h, v_sub(s->h_prev, n)), v_mul(share, v_sub(one, share)));
    s->d_sums[0] = v_mul(d_share, v_load(s->gates));
    s->d_sums[1] = v_sub(v_broadcast(0), v_mul(d_share, v_load(s->gates + LANES)));
    s->d_sums[2] = v_mul(v_mul(s->d_h, v_sub(one, share)), slope);
    s->d_h = v_mul(s->d_h, share);
}

SKLSTM_INLINE void minlstm_forward(const int n, CellForward *s) { minlstm_step(n, s, 1); }
SKLSTM_INLINE void minlstm_backward(CellBackward *s) { minlstm_gradient(s, 1); }
SKLSTM_INLINE void minlstm_tanh_forward(const int n, CellForward *s) { minlstm_step(n, s, 0); }
SKLSTM_INLINE void minlstm_tanh_backward(CellBackward *s) { minlstm_gradient(s, 0); }

static const Cell minlstm = {
    .name = "minlstm", .sums = "f i n", .driver = ELEMENTWISE, .n_sums = 3, .units = 1, .x_count = 3, .reads_h = 1,
    .n_kept = 1, .forward = minlstm_forward, .backward = minlstm_backward,
};
static const Cell minlstm_tanh = {
    .name = "minlstm_tanh", .sums = "f i n", .driver = ELEMENTWISE, .n_sums = 3, .units = 1, .x_count = 3, .reads_h = 1,
    .n_kept = 1, .forward = minlstm_tanh_forward, .backward = minlstm_tanh_backward,
};
