/* The simple recurrent unit (Lei et al. 2018): gates that read c through one weight for each unit, and a highway past it.
 *   f, r = sigmoid(W x + v * c + b)   c' = f c + (1 - f) n   h' = r c' + (1 - r) s   n and s are W x + b
 * The highway s is a product of its own, so that x may have any size.
 */
SKLSTM_INLINE void sru_forward(const int n, CellForward *s) {
    vec f[SIDE_BY_SIDE], r[SIDE_BY_SIDE], candidate[SIDE_BY_SIDE], highway[SIDE_BY_SIDE];
    EACH f[j] = v_fma(v_load(s->vectors[j]), s->c[j], v_load(s->sums[j]));
    EACH r[j] = v_fma(v_load(s->vectors[j] + s->stride), s->c[j], v_load(s->sums[j] + LANES));
    v_sigmoid(n, f);
    if (s->gates) EACH keep(s->compact, UNIT, s->gates, 4 * s->u[j], f[j]);
    EACH candidate[j] = v_load(s->sums[j] + 2 * LANES);
    EACH s->c[j] = v_fma(f[j], v_sub(s->c[j], candidate[j]), candidate[j]);
    if (s->gates) EACH keep(s->compact, ANY, s->gates, 4 * s->u[j] + 2 * LANES, candidate[j]);
    v_sigmoid(n, r);
    if (s->gates) EACH keep(s->compact, UNIT, s->gates, 4 * s->u[j] + LANES, r[j]);
    EACH highway[j] = v_load(s->sums[j] + 3 * LANES);
    EACH s->h[j] = v_fma(r[j], v_sub(s->c[j], highway[j]), highway[j]);
    if (s->gates) EACH keep(s->compact, ANY, s->gates, 4 * s->u[j] + 3 * LANES, highway[j]);
}

SKLSTM_INLINE void sru_backward(CellBackward *s) {
    const vec one = v_broadcast(1), f = kept(s->compact, UNIT, s->gates, 0), r = kept(s->compact, UNIT, s->gates, LANES);
    const vec candidate = kept(s->compact, ANY, s->gates, 2 * LANES), highway = kept(s->compact, ANY, s->gates, 3 * LANES);
    const vec change = v_sub(s->c_prev, candidate), c = v_fma(f, change, candidate);
    const vec d_c = v_fma(s->d_h, r, s->d_c);
    const vec d_f = v_mul(v_mul(d_c, change), v_mul(f, v_sub(one, f)));
    const vec d_r = v_mul(v_mul(s->d_h, v_sub(c, highway)), v_mul(r, v_sub(one, r)));
    s->d_sums[0] = d_f;
    s->d_sums[1] = d_r;
    s->d_sums[2] = v_mul(d_c, v_sub(one, f));
    s->d_sums[3] = v_mul(s->d_h, v_sub(one, r));
    s->d_vectors[0] = v_mul(d_f, s->c_prev);
    s->d_vectors[1] = v_mul(d_r, s->c_prev);
    s->d_c = v_fma(d_c, f, s->direct_c);
    s->d_c = v_fma(d_f, v_load(s->vectors), s->d_c);
    s->d_c = v_fma(d_r, v_load(s->vectors + s->stride), s->d_c);
}

static const Cell sru = {
    .name = "sru", .sums = "f r n s", .driver = ELEMENTWISE, .n_sums = 4, .units = 1, .x_count = 4, .has_c = 1, .n_vectors = 2,
    .forward = sru_forward, .backward = sru_backward,
};
