/* The real-gated linear recurrent unit (De et al. 2024, RG-LRU of Griffin and Hawk).
 *   r, i = sigmoid(.)   log a = -8 softplus(p) r   h' = a h + sqrt(1 - a^2) i v   v = W x + b, p one parameter for each unit
 * With t = tanh(-log a), a^2 is (1 - t) / (1 + t) and 1 - a^2 is 2 t / (1 + t): no digits are lost where a is near 1.
 */
#define RGLRU_POWER ((real)8)

/* 8 softplus(p) */
SKLSTM_INLINE void rglru_derive(CellDerivation *d) {
    for (Py_ssize_t u = 0; u < d->stride; u += LANES) {
        vec rate = v_load(d->vectors + u);
        v_softplus(1, &rate);
        v_store(d->derived + u, v_mul(rate, v_broadcast(RGLRU_POWER)));
    }
}

/* From the gradient of the logarithm of the rate, which is what the steps add up. */
SKLSTM_INLINE void rglru_derive_backward(CellDerivation *d) {
    for (Py_ssize_t u = 0; u < d->stride; u += LANES) {
        const vec rate = v_add(v_load(d->derived + u), v_broadcast((real)1e-30));
        vec slope = v_load(d->vectors + u);
        v_sigmoid(1, &slope);
        slope = v_div(v_mul(slope, v_broadcast(RGLRU_POWER)), rate);
        collect(d->d_vectors + u, v_mul(v_load(d->d_derived + u), slope));
    }
}

SKLSTM_INLINE void rglru_sizes(const Py_ssize_t *numbers, CellSizes *sizes) {
    (void)numbers;
    sizes->n_derived = 1;
}

SKLSTM_INLINE void rglru_forward(const int n, CellForward *s) {
    const vec one = v_broadcast(1);
    vec r[SIDE_BY_SIDE], i[SIDE_BY_SIDE], v[SIDE_BY_SIDE], t[SIDE_BY_SIDE], a[SIDE_BY_SIDE], gain[SIDE_BY_SIDE];
    EACH r[j] = v_load(s->sums[j]);
    EACH i[j] = v_load(s->sums[j] + LANES);
    v_sigmoid(n, r);
    v_sigmoid(n, i);
    EACH v[j] = v_load(s->sums[j] + 2 * LANES);
    EACH t[j] = v_mul(v_load(s->vectors[j]), r[j]);
    v_tanh(n, t);
    EACH a[j] = v_div(one, v_add(one, t[j]));
    EACH gain[j] = v_sqrt(v_mul(v_add(t[j], t[j]), a[j]));
    EACH a[j] = v_sqrt(v_mul(v_sub(one, t[j]), a[j]));
    EACH s->h[j] = v_fma(a[j], s->h[j], v_mul(gain[j], v_mul(i[j], v[j])));
    if (s->gates) EACH {
        keep(s->compact, UNIT, s->gates, 3 * s->u[j], r[j]);
        keep(s->compact, UNIT, s->gates, 3 * s->u[j] + LANES, i[j]);
        keep(s->compact, ANY, s->gates, 3 * s->u[j] + 2 * LANES, v[j]);
        keep(s->compact, UNIT, s->kept, 2 * s->u[j], a[j]);
        keep(s->compact, ANY, s->kept, 2 * s->u[j] + LANES, gain[j]);
    }
}

/* d a / d log a = a, d gain / d log a = -a^2 / gain. The gradient of log a is needed times log a only, and log a / gain stays
 * finite where both are 0. */
SKLSTM_INLINE void rglru_backward(CellBackward *s) {
    const vec one = v_broadcast(1), r = kept(s->compact, UNIT, s->gates, 0), i = kept(s->compact, UNIT, s->gates, LANES);
    const vec v = kept(s->compact, ANY, s->gates, 2 * LANES);
    const vec a = kept(s->compact, UNIT, s->kept, 0), gain = kept(s->compact, ANY, s->kept, LANES);
    const vec minus_log = v_mul(v_load(s->vectors), r), share = v_div(minus_log, v_add(gain, v_broadcast((real)1e-30)));
    const vec d_v = v_mul(s->d_h, gain), entering = v_mul(i, v), along = v_mul(s->d_h, a);
    const vec d_log = v_mul(along, v_sub(v_mul(v_mul(a, share), entering), v_mul(minus_log, s->h_prev)));
    s->d_sums[0] = v_mul(d_log, v_sub(one, r));
    s->d_sums[1] = v_mul(v_mul(d_v, v), v_mul(i, v_sub(one, i)));
    s->d_sums[2] = v_mul(d_v, i);
    s->d_vectors[0] = d_log;
    s->d_h = along;
}

static const Cell rglru = {
    .name = "rglru", .sums = "r i v", .driver = ELEMENTWISE, .n_sums = 3, .units = 1, .x_count = 3, .reads_h = 1, .n_kept = 2,
    .n_vectors = 1, .forward = rglru_forward, .backward = rglru_backward, .sizes = rglru_sizes, .derive = rglru_derive,
    .derive_backward = rglru_derive_backward,
};
