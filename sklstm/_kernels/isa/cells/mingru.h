/* The minimal GRU (Feng et al. 2024): gate and candidate read x alone, so there is no product inside the time loop.
 *   z = sigmoid(.)   h_t = (1 - z) h_{t-1} + z g(.)   g(a) = a + 1/2 for a >= 0, else sigmoid(a)
 * h is computed step by step from this equation: the form in logarithms, which a parallel scan needs, loses digits and is no
 * faster on a CPU. mingru_tanh has g = tanh, and so on.
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

/* The functions of the candidate. Those but the first two make row cells: no instance of the plain drivers for them. */
enum { POSITIVE_CANDIDATE, TANH_CANDIDATE, RELU_CANDIDATE, SOFTSIGN_CANDIDATE, SILU_CANDIDATE };

/* Its range, as it is kept (kept.h): of SiLU the sum is kept, from which its slope is computed. */
#define CANDIDATE_RANGE(kind) ((kind) == TANH_CANDIDATE || (kind) == SOFTSIGN_CANDIDATE ? SYMMETRIC : ANY)

SKLSTM_INLINE void v_candidate(const int n, const int kind, vec *a) {
    if (kind == POSITIVE_CANDIDATE) v_positive_candidate(n, a);
    else if (kind == TANH_CANDIDATE) v_tanh(n, a);
    else if (kind == RELU_CANDIDATE) EACH a[j] = v_relu(a[j]);
    else if (kind == SOFTSIGN_CANDIDATE) EACH a[j] = v_softsign(a[j]);
    else v_silu(n, a);
}

/* From what is kept: the slope, and in its place the candidate. */
SKLSTM_INLINE vec v_candidate_slope(const int kind, vec *a) {
    const vec one = v_broadcast(1);
    vec slope = *a;
    if (kind == POSITIVE_CANDIDATE) return v_positive_candidate_slope(slope);
    if (kind == TANH_CANDIDATE) return v_sub(one, v_mul(slope, slope));
    if (kind == RELU_CANDIDATE) return v_where_positive(slope, one);
    if (kind == SOFTSIGN_CANDIDATE) return v_softsign_slope(slope);
    v_silu_slope(1, &slope);
    v_silu(1, a);
    return slope;
}

SKLSTM_INLINE void mingru_step(const int n, CellForward *s, const int kind) {
    vec z[SIDE_BY_SIDE], candidate[SIDE_BY_SIDE], sum[SIDE_BY_SIDE];
    EACH z[j] = v_load(s->sums[j]);
    v_sigmoid(n, z);
    EACH sum[j] = candidate[j] = v_load(s->sums[j] + LANES);
    v_candidate(n, kind, candidate);
    EACH s->h[j] = v_fma(z[j], v_sub(candidate[j], s->h[j]), s->h[j]);
    if (s->gates) EACH {
        keep(s->compact, UNIT, s->gates, 2 * s->u[j], z[j]);
        keep(s->compact, CANDIDATE_RANGE(kind), s->gates, 2 * s->u[j] + LANES, kind == SILU_CANDIDATE ? sum[j] : candidate[j]);
    }
}

SKLSTM_INLINE void mingru_gradient(CellBackward *s, const int kind) {
    const vec one = v_broadcast(1), z = kept(s->compact, UNIT, s->gates, 0);
    vec n = kept(s->compact, CANDIDATE_RANGE(kind), s->gates, LANES);
    const vec slope = v_candidate_slope(kind, &n);
    s->d_sums[0] = v_mul(v_mul(s->d_h, v_sub(n, s->h_prev)), v_mul(z, v_sub(one, z)));
    s->d_sums[1] = v_mul(v_mul(s->d_h, z), slope);
    s->d_h = v_mul(s->d_h, v_sub(one, z));
}

#define MINGRU(cell_name, kind, DRIVER, positive)                                                                             \
    SKLSTM_INLINE void cell_name##_forward(const int n, CellForward *s) { mingru_step(n, s, kind); }                          \
    SKLSTM_INLINE void cell_name##_backward(CellBackward *s) { mingru_gradient(s, kind); }                                    \
    static const Cell cell_name = {                                                                                           \
        .name = #cell_name, .sums = "z n", .driver = DRIVER, .n_sums = 2, .units = 2, .x_count = 2, .reads_h = 1,             \
        .leaves_zero = positive, .forward = cell_name##_forward, .backward = cell_name##_backward,                            \
    };
MINGRU(mingru, POSITIVE_CANDIDATE, ELEMENTWISE, 1)
MINGRU(mingru_tanh, TANH_CANDIDATE, ELEMENTWISE, 0)
MINGRU(mingru_relu, RELU_CANDIDATE, ROWS, 0)
MINGRU(mingru_softsign, SOFTSIGN_CANDIDATE, ROWS, 0)
MINGRU(mingru_silu, SILU_CANDIDATE, ROWS, 0)
