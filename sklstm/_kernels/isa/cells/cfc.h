/* Closed-form continuous-time networks (Hasani et al. 2022), `gap` the time since the row before:
 *   f_1, f_2 = tanh(.)   t = sigmoid(t_a gap + t_b)   h_t = (1 - t) f_1 + t f_2
 * In cfc_backbone the four sums read z = 1.7159 tanh(.666 (W x + U h_{t-1} + b)) in the place of x and h: the gated vector.
 */
SKLSTM_INLINE void cfc_step(const int n, const int first, const int n_sums, CellForward *s) {
    vec f_1[SIDE_BY_SIDE], f_2[SIDE_BY_SIDE], t[SIDE_BY_SIDE];
    EACH f_1[j] = v_load(s->sums[j] + first * LANES);
    v_tanh(n, f_1);
    EACH f_2[j] = v_load(s->sums[j] + (first + 1) * LANES);
    v_tanh(n, f_2);
    EACH t[j] = v_fma(v_load(s->sums[j] + (first + 2) * LANES), s->gap[j], v_load(s->sums[j] + (first + 3) * LANES));
    v_sigmoid(n, t);
    EACH s->h[j] = v_fma(t[j], v_sub(f_2[j], f_1[j]), f_1[j]);
    if (s->gates) EACH {
        keep(s->compact, SYMMETRIC, s->gates, n_sums * s->u[j] + first * LANES, f_1[j]);
        keep(s->compact, SYMMETRIC, s->gates, n_sums * s->u[j] + (first + 1) * LANES, f_2[j]);
        keep(s->compact, UNIT, s->gates, n_sums * s->u[j] + (first + 2) * LANES, t[j]);
    }
}

SKLSTM_INLINE void cfc_step_backward(const int first, CellBackward *s) {
    const vec one = v_broadcast(1), f_1 = kept(s->compact, SYMMETRIC, s->gates, first * LANES);
    const vec f_2 = kept(s->compact, SYMMETRIC, s->gates, (first + 1) * LANES);
    const vec t = kept(s->compact, UNIT, s->gates, (first + 2) * LANES), rest = v_sub(one, t);
    const vec d_t = v_mul(v_mul(s->d_h, v_sub(f_2, f_1)), v_mul(t, rest));
    s->d_sums[first] = v_mul(v_mul(s->d_h, rest), v_sub(one, v_mul(f_1, f_1)));
    s->d_sums[first + 1] = v_mul(v_mul(s->d_h, t), v_sub(one, v_mul(f_2, f_2)));
    s->d_sums[first + 2] = v_mul(d_t, s->gap);
    s->d_sums[first + 3] = d_t;
}

SKLSTM_INLINE void cfc_forward(const int n, CellForward *s) { cfc_step(n, 0, 4, s); }

SKLSTM_INLINE void cfc_backward(CellBackward *s) { cfc_step_backward(0, s); }

static const Cell cfc = {
    .name = "cfc", .sums = "f_1 f_2 t_a t_b", .driver = RECURRENT, .n_sums = 4, .units = 1, .x_count = 4, .h_count = 4,
    .reads_gap = 1, .forward = cfc_forward, .backward = cfc_backward,
};

SKLSTM_INLINE void cfc_backbone_gate(const int n, CellGate *s) {
    EACH s->h[j] = v_mul(v_broadcast((real)0.666), v_load(s->sums[j]));
    v_tanh(n, s->h);
    EACH v_store(s->sums[j], s->h[j]);
    EACH s->h[j] = v_mul(v_broadcast((real)1.7159), s->h[j]);
}

SKLSTM_INLINE void cfc_backbone_forward(const int n, CellForward *s) {
    cfc_step(n, 1, 5, s);
    if (s->gates) EACH keep(s->compact, SYMMETRIC, s->gates, 5 * s->u[j], v_load(s->sums[j]));
}

SKLSTM_INLINE void cfc_backbone_backward(CellBackward *s) { cfc_step_backward(1, s); }

SKLSTM_INLINE void cfc_backbone_gate_backward(CellGateBackward *s) {
    const vec tanh_z = v_load(s->gates);
    const vec slope = v_mul(v_broadcast((real)(1.7159 * 0.666)), v_sub(v_broadcast(1), v_mul(tanh_z, tanh_z)));
    s->d_sums[0] = v_mul(s->d_gated, slope);
}

static const Cell cfc_backbone = {
    .name = "cfc_backbone", .sums = "z f_1 f_2 t_a t_b", .driver = RECURRENT, .n_sums = 5, .units = 1, .x_count = 1,
    .h_count = 1, .gated_first = 1, .gated_count = 4, .reads_gap = 1, .forward = cfc_backbone_forward,
    .backward = cfc_backbone_backward, .gate = cfc_backbone_gate, .gate_backward = cfc_backbone_gate_backward,
};
