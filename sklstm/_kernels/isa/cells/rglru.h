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

/* From the sums of r and i and the rate: r, i, a, sqrt(1 - a^2). */
SKLSTM_INLINE void rglru_gates(const int n, const vec *rate, vec *r, vec *i, vec *a, vec *gain) {
    const vec one = v_broadcast(1);
    vec t[SIDE_BY_SIDE];
    v_sigmoid(n, r);
    v_sigmoid(n, i);
    EACH t[j] = v_mul(rate[j], r[j]);
    v_tanh(n, t);
    EACH a[j] = v_div(one, v_add(one, t[j]));
    EACH gain[j] = v_sqrt(v_mul(v_add(t[j], t[j]), a[j]));
    EACH a[j] = v_sqrt(v_mul(v_sub(one, t[j]), a[j]));
}

/* The gradients of the sums of r and i and of v, and (returned) of the logarithm of the rate. d a / d log a = a and
 * d gain / d log a = -a^2 / gain. The gradient of log a is needed times log a only, and log a / gain stays finite where both
 * are 0. */
SKLSTM_INLINE vec rglru_gradient(vec d_h, vec h_prev, vec rate, vec r, vec i, vec v, vec a, vec gain, vec *d_sums) {
    const vec one = v_broadcast(1), minus_log = v_mul(rate, r), d_v = v_mul(d_h, gain);
    const vec share = v_div(minus_log, v_add(gain, v_broadcast((real)1e-30)));
    const vec d_log = v_mul(v_mul(d_h, a), v_sub(v_mul(v_mul(a, share), v_mul(i, v)), v_mul(minus_log, h_prev)));
    d_sums[0] = v_mul(d_log, v_sub(one, r));
    d_sums[1] = v_mul(v_mul(d_v, v), v_mul(i, v_sub(one, i)));
    d_sums[2] = v_mul(d_v, i);
    return d_log;
}

SKLSTM_INLINE void rglru_forward(const int n, CellForward *s) {
    vec rate[SIDE_BY_SIDE], r[SIDE_BY_SIDE], i[SIDE_BY_SIDE], v[SIDE_BY_SIDE], a[SIDE_BY_SIDE], gain[SIDE_BY_SIDE];
    EACH r[j] = v_load(s->sums[j]);
    EACH i[j] = v_load(s->sums[j] + LANES);
    EACH v[j] = v_load(s->sums[j] + 2 * LANES);
    EACH rate[j] = v_load(s->vectors[j]);
    rglru_gates(n, rate, r, i, a, gain);
    EACH s->h[j] = v_fma(a[j], s->h[j], v_mul(gain[j], v_mul(i[j], v[j])));
    if (s->gates) EACH {
        keep(s->compact, UNIT, s->gates, 3 * s->u[j], r[j]);
        keep(s->compact, UNIT, s->gates, 3 * s->u[j] + LANES, i[j]);
        keep(s->compact, ANY, s->gates, 3 * s->u[j] + 2 * LANES, v[j]);
        keep(s->compact, UNIT, s->kept, 2 * s->u[j], a[j]);
        keep(s->compact, ANY, s->kept, 2 * s->u[j] + LANES, gain[j]);
    }
}

SKLSTM_INLINE void rglru_backward(CellBackward *s) {
    const vec r = kept(s->compact, UNIT, s->gates, 0), i = kept(s->compact, UNIT, s->gates, LANES);
    const vec v = kept(s->compact, ANY, s->gates, 2 * LANES);
    const vec a = kept(s->compact, UNIT, s->kept, 0), gain = kept(s->compact, ANY, s->kept, LANES);
    s->d_vectors[0] = rglru_gradient(s->d_h, s->h_prev, v_load(s->vectors), r, i, v, a, gain, s->d_sums);
    s->d_h = v_mul(s->d_h, a);
}

static const Cell rglru = {
    .name = "rglru", .sums = "r i v", .driver = ELEMENTWISE, .n_sums = 3, .units = 1, .x_count = 3, .reads_h = 1, .n_kept = 2,
    .n_vectors = 1, .forward = rglru_forward, .backward = rglru_backward, .sizes = rglru_sizes, .derive = rglru_derive,
    .derive_backward = rglru_derive_backward,
};

/* With the depthwise convolution of the paper's block: v_t replaced by w_0 v_t + w_1 v_{t-1} + w_2 v_{t-2} + w_3 v_{t-3}, four
 * weights for each unit behind p. A row cell; states: h, v_{t-1}, v_{t-2}, v_{t-3}. */
enum { RGLRU_WIDTH = 4 };

SKLSTM_INLINE vec rglru_convolved(const CellRow *row, Py_ssize_t u) {
    vec sum = v_mul(v_load(row->vectors + row->stride + u), v_load(row->gates + 3 * u + 2 * LANES));
    for (int k = 1; k < RGLRU_WIDTH; k++)
        sum = v_fma(v_load(row->vectors + (1 + k) * row->stride + u), v_load(row->c_prev + k * row->stride + u), sum);
    return sum;
}

SKLSTM_INLINE void rglru_units_forward(const int n, CellRow *row, Py_ssize_t first) {
    const Py_ssize_t p = row->stride;
    vec rate[SIDE_BY_SIDE], r[SIDE_BY_SIDE], i[SIDE_BY_SIDE], a[SIDE_BY_SIDE], gain[SIDE_BY_SIDE];
    EACH {
        const Py_ssize_t u = first + j * LANES;
        r[j] = v_load(row->gates + 3 * u);
        i[j] = v_load(row->gates + 3 * u + LANES);
        rate[j] = v_load(row->derived + u);
    }
    rglru_gates(n, rate, r, i, a, gain);
    EACH {
        const Py_ssize_t u = first + j * LANES;
        const vec entering = v_mul(gain[j], v_mul(i[j], rglru_convolved(row, u))), h = v_fma(a[j], v_load(row->c_prev + u), entering);
        v_store(row->h_next + u, h);
        v_store(row->c_next + u, h);
        v_store(row->c_next + p + u, v_load(row->gates + 3 * u + 2 * LANES));
        for (int k = 2; k < RGLRU_WIDTH; k++) v_store(row->c_next + k * p + u, v_load(row->c_prev + (k - 1) * p + u));
        if (!row->training) continue;
        v_store(row->gates + 3 * u, r[j]);
        v_store(row->gates + 3 * u + LANES, i[j]);
        v_store(row->kept + 2 * u, a[j]);
        v_store(row->kept + 2 * u + LANES, gain[j]);
    }
}

SKLSTM_INLINE void rglru_row_forward(CellRow *row) {
    Py_ssize_t u = 0;
    for (; u + SIDE_BY_SIDE * LANES <= row->stride; u += SIDE_BY_SIDE * LANES) rglru_units_forward(SIDE_BY_SIDE, row, u);
    for (; u < row->stride; u += LANES) rglru_units_forward(1, row, u);
}

SKLSTM_INLINE void rglru_row_backward(CellRow *row) {
    const Py_ssize_t p = row->stride;
    for (Py_ssize_t u = 0; u < p; u += LANES) {
        const vec r = v_load(row->gates + 3 * u), i = v_load(row->gates + 3 * u + LANES);
        const vec v = v_load(row->gates + 3 * u + 2 * LANES);
        const vec a = v_load(row->kept + 2 * u), gain = v_load(row->kept + 2 * u + LANES);
        const vec d_h = v_add(v_load(row->d_h + u), v_load(row->d_c + u));
        vec d_sums[3], d_state = v_mul(d_h, a);
        collect(row->d_derived + u, rglru_gradient(d_h, v_load(row->c_prev + u), v_load(row->derived + u), r, i,
                                                   rglru_convolved(row, u), a, gain, d_sums));
        v_store(row->d_sums + 3 * u, d_sums[0]);
        v_store(row->d_sums + 3 * u + LANES, d_sums[1]);
        for (int k = 0; k < RGLRU_WIDTH; k++) {
            const vec before = k ? v_load(row->c_prev + k * p + u) : v, w = v_load(row->vectors + (1 + k) * p + u);
            const vec later = k + 1 < RGLRU_WIDTH ? v_load(row->d_c + (k + 1) * p + u) : v_broadcast(0);
            collect(row->d_vectors + (1 + k) * p + u, v_mul(d_sums[2], before));
            v_store(k ? row->d_c + k * p + u : row->d_sums + 3 * u + 2 * LANES, v_fma(d_sums[2], w, later));
        }
        v_store(row->d_c + u, d_state);
        for (Py_ssize_t k = u; k < RGLRU_WIDTH * p && row->direct_c; k += p) collect(row->d_c + k, v_load(row->direct_c + k));
    }
}

SKLSTM_INLINE void rglru_row_sizes(const Py_ssize_t *numbers, CellSizes *sizes) {
    (void)numbers;
    *sizes = (CellSizes){RGLRU_WIDTH, 2, 1 + RGLRU_WIDTH, 1};
}

static const Cell rglru_convolution = {
    .name = "rglru_convolution", .sums = "r i v", .driver = ROWS, .n_sums = 3, .units = 1, .x_count = 3, .has_c = 1,
    .row_forward = rglru_row_forward, .row_backward = rglru_row_backward, .sizes = rglru_row_sizes, .derive = rglru_derive,
    .derive_backward = rglru_derive_backward,
};
