/* The time mixing of RWKV-4 (Peng et al. 2023, eqs 11 to 16).
 *   r, k, v = W x_t + b + (W' x + b')_{t-1}              the token shift: r_1, k_1, v_1 are carried to the next step
 *   h = sigmoid(r) (sum_i e^{k_i - (t - 1 - i) w} v_i + e^{u + k_t} v_t) / (sum_i e^{k_i - (t - 1 - i) w} + e^{u + k_t})
 * w = exp(time_decay), derived; u = time_first. The sums over i < t are carried as their quotient a and the logarithm l of the
 * denominator, which is the form with a running maximum but for one number less:
 *   h = sigmoid(r) (a + p (v - a))    p = sigmoid(u + k - l)
 *   a' = a + q (v - a)                q = sigmoid(k - (l - w))        l' = l - w + softplus(k - (l - w))
 * Before the first step l stands for minus infinity: p = q = 1. States: a, l, 1 after a step; r_1, k_1, v_1.
 */
enum { RWKV_SUMS = 6, RWKV_STATES = 6 };

SKLSTM_INLINE void rwkv_sizes(const Py_ssize_t *numbers, CellSizes *sizes) {
    (void)numbers;
    *sizes = (CellSizes){RWKV_STATES, 0, 2, 1};
}

SKLSTM_INLINE void rwkv_derived(CellDerivation *d) {
    for (Py_ssize_t u = 0; u < d->stride; u += LANES) {
        vec w = v_load(d->vectors + u);
        exp_of_weights(1, &w);
        v_store(d->derived + u, w);
    }
}

SKLSTM_INLINE void rwkv_derived_backward(CellDerivation *d) {
    for (Py_ssize_t u = 0; u < d->stride; u += LANES)
        add_product_to(d->d_vectors + u, v_load(d->d_derived + u), v_load(d->derived + u));
}

typedef struct { vec r, v, a, begun, faded, difference, p, q, new_k; } RwkvUnits;

/* What forward and backward both compute of a vector of units. */
SKLSTM_INLINE RwkvUnits rwkv_units(const CellRow *row, Py_ssize_t u) {
    const Py_ssize_t stride = row->stride;
    const real *c = row->c_prev + u;
    const vec one = v_broadcast(1), l = v_load(c + stride);
    vec sums[3], gates[3];
    RwkvUnits s;
    for (int k = 0; k < 3; k++) sums[k] = v_add(sum_of_units(row, RWKV_SUMS, u, k), v_load(c + (3 + k) * stride));
    s.v = sums[2];
    s.a = v_load(c);
    s.begun = v_where_positive(v_load(c + 2 * stride), one);
    s.faded = v_sub(l, v_load(row->derived + u));
    s.difference = v_sub(sums[1], s.faded);
    s.new_k = sums[1];
    gates[0] = sums[0];
    gates[1] = v_sub(v_add(v_load(row->vectors + stride + u), sums[1]), l);
    gates[2] = s.difference;
    v_sigmoid(3, gates);
    s.r = gates[0];
    s.p = v_add(v_where_positive(s.begun, gates[1]), v_sub(one, s.begun));
    s.q = v_add(v_where_positive(s.begun, gates[2]), v_sub(one, s.begun));
    return s;
}

SKLSTM_INLINE void rwkv_forward(CellRow *row) {
    const Py_ssize_t stride = row->stride;
    for (Py_ssize_t u = 0; u < stride; u += LANES) {
        const RwkvUnits s = rwkv_units(row, u);
        const vec apart = v_sub(s.v, s.a), half = v_broadcast((real)-0.5);
        real *next = row->c_next + u;
        vec grown = s.difference;
        v_softplus(1, &grown);
        v_store(row->h_next + u, v_mul(s.r, v_fma(s.p, apart, s.a)));
        v_store(next, v_fma(s.q, apart, s.a));
        v_store(next + stride, v_select_nonnegative(v_add(s.begun, half), v_add(s.faded, grown), s.new_k));
        v_store(next + 2 * stride, v_broadcast(1));
        for (int k = 0; k < 3; k++) v_store(next + (3 + k) * stride, sum_of_units(row, RWKV_SUMS, u, 3 + k));
    }
}

SKLSTM_INLINE void rwkv_backward(CellRow *row) {
    const Py_ssize_t stride = row->stride;
    const vec one = v_broadcast(1);
    for (Py_ssize_t u = 0; u < stride; u += LANES) {
        const RwkvUnits s = rwkv_units(row, u);
        const vec d_h = v_load(row->d_h + u), apart = v_sub(s.v, s.a), wkv = v_fma(s.p, apart, s.a), d_wkv = v_mul(d_h, s.r);
        const vec d_a = v_load(row->d_c + u), d_l = v_load(row->d_c + stride + u);
        const vec d_p = v_mul(v_mul(d_wkv, apart), v_mul(s.p, v_sub(one, s.p)));
        const vec d_q = v_fma(d_l, s.q, v_mul(v_mul(d_a, apart), v_mul(s.q, v_sub(one, s.q))));
        const vec d_sums[3] = {v_mul(v_mul(d_h, wkv), v_mul(s.r, v_sub(one, s.r))), v_add(d_p, d_q),
                               v_fma(s.p, d_wkv, v_mul(s.q, d_a))};
        const vec direct = v_sub(d_l, v_add(d_p, d_q));
        for (int k = 0; k < 3; k++) {
            store_d_sum(row, RWKV_SUMS, u, k, d_sums[k]);
            store_d_sum(row, RWKV_SUMS, u, 3 + k, v_load(row->d_c + (3 + k) * stride + u));
            store_d_state(row, 3 + k, u, d_sums[k]);
        }
        store_d_state(row, 0, u, v_fma(v_sub(one, s.p), d_wkv, v_mul(v_sub(one, s.q), d_a)));
        store_d_state(row, 1, u, v_where_positive(s.begun, direct));
        store_d_state(row, 2, u, v_broadcast(0));
        add_to(row->d_derived + u, v_where_positive(s.begun, v_sub(d_q, d_l)));
        add_to(row->d_vectors + stride + u, d_p);
    }
}

static const Cell rwkv = {
    .name = "rwkv", .sums = "r k v r_1 k_1 v_1", .driver = ROWS, .n_sums = RWKV_SUMS, .units = 1, .x_count = RWKV_SUMS,
    .has_c = 1, .row_forward = rwkv_forward, .row_backward = rwkv_backward, .sizes = rwkv_sizes, .derive = rwkv_derived,
    .derive_backward = rwkv_derived_backward,
};
