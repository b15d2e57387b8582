/* Recurrent highway networks (Zilly et al. 2016, eqs 7 to 9 with c = 1 - t), L micro-layers in each step:
 *   s_0 = h_{t-1}   n_k = tanh(.)   t_k = sigmoid(.)   s_k = t_k n_k + (1 - t_k) s_{k-1}   h_t = s_L
 * The first micro-layer reads x and h_{t-1}, micro-layer k reads s_{k-1}: a chain of L - 1 gated vectors.
 */

/* The sums of a micro-layer become its candidate and gate, the state before it (s) the state after it. */
SKLSTM_INLINE void micro_layer(const int n, vec *candidate, vec *t, vec *s) {
    v_tanh(n, candidate);
    v_sigmoid(n, t);
    EACH s[j] = v_fma(t[j], v_sub(candidate[j], s[j]), s[j]);
}

/* From the gradient of the state after a micro-layer to those of its sums (d_sums[0], [1]) and of the state before it. */
SKLSTM_INLINE vec micro_layer_backward(vec n, vec t, vec before, vec d_after, vec *d_sums) {
    const vec one = v_broadcast(1), rest = v_sub(one, t);
    d_sums[0] = v_mul(v_mul(d_after, t), v_sub(one, v_mul(n, n)));
    d_sums[1] = v_mul(v_mul(d_after, v_sub(n, before)), v_mul(t, rest));
    return v_mul(d_after, rest);
}

SKLSTM_INLINE void rhn_gate(const int n, CellGate *s) {
    const Py_ssize_t first = 2 * s->stage * LANES;
    vec candidate[SIDE_BY_SIDE], t[SIDE_BY_SIDE];
    EACH candidate[j] = v_load(s->sums[j] + first);
    EACH t[j] = v_load(s->sums[j] + first + LANES);
    micro_layer(n, candidate, t, s->h);
    EACH {
        v_store(s->sums[j] + first, candidate[j]);
        v_store(s->sums[j] + first + LANES, t[j]);
    }
}

SKLSTM_INLINE void rhn_gate_backward(CellGateBackward *s) {
    const vec n = v_load(s->gates + 2 * s->stage * LANES), t = v_load(s->gates + (2 * s->stage + 1) * LANES);
    s->d_h = v_add(s->d_h, micro_layer_backward(n, t, s->h_prev, s->d_gated, s->d_sums + 2 * s->stage));
}

/* The last micro-layer, after the gates. */
SKLSTM_INLINE void rhn_forward(const int n, const int depth, CellForward *s) {
    const Py_ssize_t last = (2 * depth - 2) * LANES;
    vec candidate[SIDE_BY_SIDE], t[SIDE_BY_SIDE];
    EACH candidate[j] = v_load(s->sums[j] + last);
    EACH t[j] = v_load(s->sums[j] + last + LANES);
    micro_layer(n, candidate, t, s->h);
    if (!s->gates) return;
    for (Py_ssize_t k = 0; k < last; k += 2 * LANES) EACH {
        keep(s->compact, SYMMETRIC, s->gates, 2 * depth * s->u[j] + k, v_load(s->sums[j] + k));
        keep(s->compact, UNIT, s->gates, 2 * depth * s->u[j] + k + LANES, v_load(s->sums[j] + k + LANES));
    }
    EACH {
        keep(s->compact, SYMMETRIC, s->gates, 2 * depth * s->u[j] + last, candidate[j]);
        keep(s->compact, UNIT, s->gates, 2 * depth * s->u[j] + last + LANES, t[j]);
    }
}

SKLSTM_INLINE void rhn_backward(const int depth, CellBackward *s) {
    const vec n = kept(s->compact, SYMMETRIC, s->gates, (2 * depth - 2) * LANES);
    const vec t = kept(s->compact, UNIT, s->gates, (2 * depth - 1) * LANES);
    s->d_h = micro_layer_backward(n, t, s->h_prev, s->d_h, s->d_sums + 2 * depth - 2);
}

#define RHN(DEPTH, SUMS)                                                                                                      \
    SKLSTM_INLINE void rhn_##DEPTH##_forward(const int n, CellForward *s) { rhn_forward(n, DEPTH, s); }                       \
    SKLSTM_INLINE void rhn_##DEPTH##_backward(CellBackward *s) { rhn_backward(DEPTH, s); }                                    \
    static const Cell rhn_##DEPTH = {                                                                                         \
        .name = "rhn_" #DEPTH, .sums = SUMS, .driver = RECURRENT, .n_sums = 2 * DEPTH, .units = 1, .x_count = 2, .h_count = 2,\
        .gated_first = 2, .gated_count = 2 * DEPTH - 2, .chain = DEPTH - 1, .reads_h = 1, .forward = rhn_##DEPTH##_forward,   \
        .backward = rhn_##DEPTH##_backward, .gate = rhn_gate, .gate_backward = rhn_gate_backward,                             \
    };

RHN(2, "n_1 t_1 n_2 t_2")
RHN(3, "n_1 t_1 n_2 t_2 n_3 t_3")
RHN(4, "n_1 t_1 n_2 t_2 n_3 t_3 n_4 t_4")
