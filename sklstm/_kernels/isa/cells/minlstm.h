/* The minimal LSTM (Feng et al. 2024): two gates normalised to the sum 1, no product inside the time loop.
 *   f = sigmoid(.)   i = sigmoid(.)   h_t = f / (f + i) h_{t-1} + i / (f + i) g(.)   g as in mingru.h
 * minlstm_tanh has tanh for g, and so on.
 */

/* f / (f + i) from the sums of f and i. With e^-a for the sum a of a gate it is
 *   (1 + e^-i) / (1 + e^-i + 1 + e^-f),
 * evaluated with numerator and denominator times e^m, m = min(f, i, 0): no exponent is above 0 and one is 0, so that sums of
 * any size give neither 0 / 0 nor a lost quotient. */
SKLSTM_INLINE void v_forget_share(const int n, const vec *f, const vec *i, vec *share) {
    vec lowest[SIDE_BY_SIDE], e_f[SIDE_BY_SIDE], e_i[SIDE_BY_SIDE];
    EACH lowest[j] = v_minimum(v_minimum(f[j], i[j]), v_broadcast(0));
    EACH e_f[j] = v_sub(lowest[j], f[j]);
    EACH e_i[j] = v_sub(lowest[j], i[j]);
    v_exp(n, lowest);
    v_exp(n, e_f);
    v_exp(n, e_i);
    EACH e_i[j] = v_add(lowest[j], e_i[j]);
    EACH share[j] = v_div(e_i[j], v_add(e_i[j], v_add(lowest[j], e_f[j])));
}

SKLSTM_INLINE void minlstm_step(const int n, CellForward *s, const int kind) {
    vec f[SIDE_BY_SIDE], i[SIDE_BY_SIDE], share[SIDE_BY_SIDE], candidate[SIDE_BY_SIDE], sum[SIDE_BY_SIDE];
    EACH f[j] = v_load(s->sums[j]);
    EACH i[j] = v_load(s->sums[j] + LANES);
    v_forget_share(n, f, i, share);
    if (s->gates) EACH keep(s->compact, UNIT, s->kept, s->u[j], share[j]);
    EACH sum[j] = candidate[j] = v_load(s->sums[j] + 2 * LANES);
    v_candidate(n, kind, candidate);
    if (s->gates) EACH {
        const vec value = kind == SILU_CANDIDATE ? sum[j] : candidate[j];
        keep(s->compact, CANDIDATE_RANGE(kind), s->gates, 3 * s->u[j] + 2 * LANES, value);
    }
    EACH s->h[j] = v_fma(share[j], v_sub(s->h[j], candidate[j]), candidate[j]);
    if (!s->gates) return;
    /* 1 - f and 1 - i are sigmoid(-.). */
    EACH f[j] = v_sub(v_broadcast(0), f[j]);
    EACH i[j] = v_sub(v_broadcast(0), i[j]);
    v_sigmoid(n, f);
    EACH keep(s->compact, UNIT, s->gates, 3 * s->u[j], f[j]);
    v_sigmoid(n, i);
    EACH keep(s->compact, UNIT, s->gates, 3 * s->u[j] + LANES, i[j]);
}

/* The share is sigmoid(log f - log i), so its slope by the sum of f is share (1 - share) (1 - f). */
SKLSTM_INLINE void minlstm_gradient(CellBackward *s, const int kind) {
    const vec one = v_broadcast(1), share = kept(s->compact, UNIT, s->kept, 0);
    vec n = kept(s->compact, CANDIDATE_RANGE(kind), s->gates, 2 * LANES);
    const vec slope = v_candidate_slope(kind, &n);
    const vec d_share = v_mul(v_mul(s->d_h, v_sub(s->h_prev, n)), v_mul(share, v_sub(one, share)));
    s->d_sums[0] = v_mul(d_share, kept(s->compact, UNIT, s->gates, 0));
    s->d_sums[1] = v_sub(v_broadcast(0), v_mul(d_share, kept(s->compact, UNIT, s->gates, LANES)));
    s->d_sums[2] = v_mul(v_mul(s->d_h, v_sub(one, share)), slope);
    s->d_h = v_mul(s->d_h, share);
}

#define MINLSTM(cell_name, kind, DRIVER, positive)                                                                            \
    SKLSTM_INLINE void cell_name##_forward(const int n, CellForward *s) { minlstm_step(n, s, kind); }                         \
    SKLSTM_INLINE void cell_name##_backward(CellBackward *s) { minlstm_gradient(s, kind); }                                   \
    static const Cell cell_name = {                                                                                           \
        .name = #cell_name, .sums = "f i n", .driver = DRIVER, .n_sums = 3, .units = 1, .x_count = 3, .reads_h = 1,           \
        .leaves_zero = positive, .n_kept = 1, .forward = cell_name##_forward, .backward = cell_name##_backward,               \
    };
MINLSTM(minlstm, POSITIVE_CANDIDATE, ELEMENTWISE, 1)
MINLSTM(minlstm_tanh, TANH_CANDIDATE, ELEMENTWISE, 0)
MINLSTM(minlstm_relu, RELU_CANDIDATE, ROWS, 0)
MINLSTM(minlstm_softsign, SOFTSIGN_CANDIDATE, ROWS, 0)
MINLSTM(minlstm_silu, SILU_CANDIDATE, ROWS, 0)
