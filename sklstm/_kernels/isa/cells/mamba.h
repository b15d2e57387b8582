/* The selective state space of Mamba (Gu & Dao 2023, algorithm 2 and figure 3), between the projections of its block.
 *   u, z = W x + b
 *   a = sum_j conv_j u_{t-3+j} + conv_bias, v = silu(a)       j = 0 .. 3
 *   low, B, C = W_x v                                         R, N and N numbers of the row
 *   delta = softplus(low W_dt + bias_dt)
 *   s'_n = exp(delta A_n) s_n + delta B_n v                   A_n = -exp(log_a_n), derived
 *   h = (sum_n C_n s'_n + D v) silu(z)
 * numbers: N, R. States: s, then u of the last three steps, the last one first. Vectors: conv (4), its bias, W_x (R + 2 N),
 * W_dt (R), its bias, log_a (N), D. Kept: v and delta. a, z, low, B, C and the argument of softplus are cut (ROW_LIMIT).
 */
enum { TAPS = 4 };

typedef struct {
    Py_ssize_t n, rank, stride;
    const real *conv, *conv_bias, *x, *dt, *dt_bias, *through;
    real *d_conv, *d_conv_bias, *d_x, *d_dt, *d_dt_bias, *d_through;
} MambaParts;

SKLSTM_INLINE void mamba_sizes(const Py_ssize_t *numbers, CellSizes *sizes) {
    const Py_ssize_t n = numbers[0], rank = numbers[1];
    *sizes = (CellSizes){n + TAPS - 1, 2, TAPS + 1 + rank + 2 * n + rank + 1 + n + 1, n};
}

SKLSTM_INLINE MambaParts mamba_parts(const CellRow *row) {
    const Py_ssize_t n = row->numbers[0], rank = row->numbers[1], p = row->stride;
    const Py_ssize_t x = (TAPS + 1) * p, dt = x + (rank + 2 * n) * p, through = dt + (rank + 1 + n) * p;
    const real *v = row->vectors;
    real *d = row->d_vectors;
    MambaParts m = {n, rank, p, v, v + TAPS * p, v + x, v + dt, v + dt + rank * p, v + through, 0, 0, 0, 0, 0, 0};
    if (d) {
        m.d_conv = d;
        m.d_conv_bias = d + TAPS * p;
        m.d_x = d + x;
        m.d_dt = d + dt;
        m.d_dt_bias = d + dt + rank * p;
        m.d_through = d + through;
    }
    return m;
}

SKLSTM_INLINE void mamba_derived(CellDerivation *d) {
    const Py_ssize_t n = d->numbers[0], rank = d->numbers[1], log_a = TAPS + 1 + 2 * rank + 2 * n + 1;
    for (Py_ssize_t k = 0; k < n * d->stride; k += LANES) {
        vec a = v_load(d->vectors + log_a * d->stride + k);
        exp_of_weights(1, &a);
        v_store(d->derived + k, v_negative(a));
    }
}

SKLSTM_INLINE void mamba_derived_backward(CellDerivation *d) {
    const Py_ssize_t n = d->numbers[0], rank = d->numbers[1], log_a = TAPS + 1 + 2 * rank + 2 * n + 1;
    for (Py_ssize_t k = 0; k < n * d->stride; k += LANES)
        add_product_to(d->d_vectors + log_a * d->stride + k, v_load(d->d_derived + k), v_load(d->derived + k));
}

/* The convolution of a vector of units, before silu. */
SKLSTM_INLINE vec mamba_convolution(const CellRow *row, const MambaParts *m, Py_ssize_t u) {
    const real *before = row->c_prev + m->n * m->stride + u;
    vec a = v_fma(v_load(m->conv + (TAPS - 1) * m->stride + u), sum_of_units(row, 2, u, 0), v_load(m->conv_bias + u));
    for (int k = 0; k < TAPS - 1; k++)
        a = v_fma(v_load(m->conv + (TAPS - 2 - k) * m->stride + u), v_load(before + k * m->stride), a);
    return a;
}

/* low, B, C: products of rows of W_x with v. */
SKLSTM_INLINE void mamba_products(const MambaParts *m, const real *v, real *out) {
    enum { AT_ONCE = 32 };
    const Py_ssize_t count = m->rank + 2 * m->n, fours = count - count % 4, p = m->stride;
    for (Py_ssize_t first = 0; first < fours; first += AT_ONCE) {
        const Py_ssize_t n = smaller(AT_ONCE, fours - first);
        vec sum[AT_ONCE];
        for (Py_ssize_t k = 0; k < n; k += 4) {
            const real *w = m->x + (first + k) * p;
            vec of_w[4] = {v_broadcast(0), v_broadcast(0), v_broadcast(0), v_broadcast(0)};
            for (Py_ssize_t u = 0; u < p; u += LANES) {
                const vec value = v_load(v + u);
                for (int j = 0; j < 4; j++) of_w[j] = v_fma(v_load(w + j * p + u), value, of_w[j]);
            }
            for (int j = 0; j < 4; j++) sum[k + j] = of_w[j];
        }
        sums_of_lanes(n, sum, out + first);
    }
    for (Py_ssize_t k = fours; k < count; k++) out[k] = dot_product(p, m->x + k * p, v);
}

SKLSTM_INLINE void cut_numbers(Py_ssize_t count, const real *numbers, real *out) {
    for (Py_ssize_t k = 0; k < count; k++)
        out[k] = numbers[k] > ROW_LIMIT ? ROW_LIMIT : numbers[k] < -ROW_LIMIT ? -ROW_LIMIT : numbers[k];
}

/* exp(delta A_n) for n states from the k-th on */
SKLSTM_INLINE void mamba_decays(const int n, const real *a, Py_ssize_t stride, vec delta, vec *out) {
    EACH out[j] = v_mul(delta, v_load(a + j * stride));
    v_exp(n, out);
}

/* n states of a vector of units from the k-th on. */
SKLSTM_INLINE vec mamba_states(const int n, CellRow *row, Py_ssize_t k, Py_ssize_t u, const real *b, const real *c, vec delta,
                               vec entering, vec y) {
    const Py_ssize_t p = row->stride, at = k * p + u;
    vec s[SIDE_BY_SIDE];
    mamba_decays(n, row->derived + at, p, delta, s);
    EACH s[j] = v_fma(s[j], v_load(row->c_prev + at + j * p), v_mul(v_broadcast(b[k + j]), entering));
    EACH v_store(row->c_next + at + j * p, s[j]);
    EACH y = v_fma(v_broadcast(c[k + j]), s[j], y);
    return y;
}

SKLSTM_INLINE void mamba_forward(CellRow *row) {
    const MambaParts m = mamba_parts(row);
    const Py_ssize_t p = row->stride;
    real products[3 * MOST_OF_ROW], *v_row = row->kept, *b = products + m.rank, *c = b + m.n;
    for (Py_ssize_t u = 0; u < p; u += LANES) {
        real *shifted = row->c_next + m.n * p + u;
        const real *before = row->c_prev + m.n * p + u;
        vec v = v_cut(mamba_convolution(row, &m, u));
        v_silu(1, &v);
        v_store(v_row + u, v);
        v_store(shifted, sum_of_units(row, 2, u, 0));
        for (int k = 1; k < TAPS - 1; k++) v_store(shifted + k * p, v_load(before + (k - 1) * p));
    }
    mamba_products(&m, v_row, products);
    cut_numbers(m.rank + 2 * m.n, products, products);
    for (Py_ssize_t u = 0; u < p; u += LANES) {
        const vec v = v_load(v_row + u);
        vec delta = v_load(m.dt_bias + u), z = v_cut(sum_of_units(row, 2, u, 1)), y = v_mul(v_load(m.through + u), v);
        for (Py_ssize_t r = 0; r < m.rank; r++) delta = v_fma(v_broadcast(products[r]), v_load(m.dt + r * p + u), delta);
        delta = v_cut(delta);
        v_softplus(1, &delta);
        v_store(row->kept + p + u, delta);
        const vec entering = v_mul(delta, v);
        Py_ssize_t k = 0;
        for (; k + SIDE_BY_SIDE <= m.n; k += SIDE_BY_SIDE) y = mamba_states(SIDE_BY_SIDE, row, k, u, b, c, delta, entering, y);
        for (; k < m.n; k++) y = mamba_states(1, row, k, u, b, c, delta, entering, y);
        v_silu(1, &z);
        v_store(row->h_next + u, v_mul(y, z));
    }
}

/* Gradients that a vector of units collects over its states, and those of B and C, which it shares with the row. */
typedef struct {
    vec y, d_y, d_delta, d_entering;
    vec d_b[MOST_OF_ROW], d_c[MOST_OF_ROW], d_low[MOST_OF_ROW];
} MambaSums;

SKLSTM_INLINE void mamba_states_backward(const int n, CellRow *row, Py_ssize_t k, Py_ssize_t u, const real *b, const real *c,
                                         vec delta, vec entering, MambaSums *m) {
    const Py_ssize_t p = row->stride, at = k * p + u;
    vec decay[SIDE_BY_SIDE], faded[SIDE_BY_SIDE], s[SIDE_BY_SIDE], d[SIDE_BY_SIDE];
    mamba_decays(n, row->derived + at, p, delta, decay);
    EACH faded[j] = v_mul(decay[j], v_load(row->c_prev + at + j * p));
    EACH s[j] = v_fma(v_broadcast(b[k + j]), entering, faded[j]);
    EACH m->y = v_fma(v_broadcast(c[k + j]), s[j], m->y);
    EACH m->d_c[k + j] = v_fma(m->d_y, s[j], m->d_c[k + j]);
    EACH d[j] = v_fma(v_broadcast(c[k + j]), m->d_y, v_load(row->d_c + at + j * p));
    EACH m->d_b[k + j] = v_fma(d[j], entering, m->d_b[k + j]);
    EACH m->d_entering = v_fma(v_broadcast(b[k + j]), d[j], m->d_entering);
    EACH faded[j] = v_mul(faded[j], d[j]);
    EACH m->d_delta = v_fma(v_load(row->derived + at + j * p), faded[j], m->d_delta);
    EACH add_product_to(row->d_derived + at + j * p, delta, faded[j]);
    EACH store_d_state(row, k + j, u, v_mul(d[j], decay[j]));
}

/* From the gradient of v to those of the convolution, of u and of u of the steps before. */
SKLSTM_INLINE void mamba_convolution_backward(CellRow *row, const MambaParts *m, Py_ssize_t u, vec d_v) {
    const Py_ssize_t p = m->stride;
    const real *before = row->c_prev + m->n * p + u;
    const vec a = mamba_convolution(row, m, u);
    vec slope = v_cut(a);
    v_silu_slope(1, &slope);
    const vec d_a = v_cut_slope(a, v_mul(d_v, slope));
    const vec d_u = v_fma(d_a, v_load(m->conv + (TAPS - 1) * p + u), v_load(row->d_c + m->n * p + u));
    add_to(m->d_conv_bias + u, d_a);
    add_product_to(m->d_conv + (TAPS - 1) * p + u, d_a, sum_of_units(row, 2, u, 0));
    for (int k = 0; k < TAPS - 1; k++) {
        vec d = v_mul(d_a, v_load(m->conv + (TAPS - 2 - k) * p + u));
        if (k + 1 < TAPS - 1) d = v_add(d, v_load(row->d_c + (m->n + k + 1) * p + u));
        add_product_to(m->d_conv + (TAPS - 2 - k) * p + u, d_a, v_load(before + k * p));
        store_d_state(row, m->n + k, u, d);
    }
    store_d_sum(row, 2, u, 0, d_u);
}

/* A vector of units as far as the products: leaves its d_v in row.scratch and the gradient of the sum of delta over it. */
SKLSTM_INLINE void mamba_units_backward(CellRow *row, const MambaParts *m, Py_ssize_t u, const real *products, MambaSums *s) {
    const Py_ssize_t p = m->stride;
    const real *b = products + m->rank, *c = b + m->n;
    const vec v = v_load(row->kept + u), delta = v_load(row->kept + p + u), entering = v_mul(delta, v), one = v_broadcast(1);
    const vec sum_z = sum_of_units(row, 2, u, 1), d_h = v_load(row->d_h + u), through = v_load(m->through + u);
    vec z = v_cut(sum_z), slope = z, t = v_mul(v_broadcast((real)0.5), delta);
    v_silu(1, &z);
    v_silu_slope(1, &slope);
    v_tanh(1, &t);
    s->d_y = v_mul(d_h, z);
    s->y = v_mul(through, v);
    s->d_delta = s->d_entering = v_broadcast(0);
    Py_ssize_t k = 0;
    for (; k + SIDE_BY_SIDE <= m->n; k += SIDE_BY_SIDE)
        mamba_states_backward(SIDE_BY_SIDE, row, k, u, b, c, delta, entering, s);
    for (; k < m->n; k++) mamba_states_backward(1, row, k, u, b, c, delta, entering, s);
    add_product_to(m->d_through + u, s->d_y, v);
    store_d_sum(row, 2, u, 1, v_cut_slope(sum_z, v_mul(v_mul(d_h, s->y), slope)));
    v_store(row->scratch + u, v_fma(s->d_entering, delta, v_mul(s->d_y, through)));
    /* sigmoid of the sum of delta, 1 - exp(-delta), without loss of digits where delta is small */
    const vec gate = v_div(v_add(t, t), v_add(one, t));
    const vec beyond = v_mul(v_broadcast((real)1.000001), delta); /* the limit, where the sum was cut there */
    const vec d_sum = v_cut_slope(beyond, v_mul(v_fma(s->d_entering, v, s->d_delta), gate));
    add_to(m->d_dt_bias + u, d_sum);
    for (Py_ssize_t r = 0; r < m->rank; r++) {
        add_product_to(m->d_dt + r * p + u, v_broadcast(products[r]), d_sum);
        s->d_low[r] = v_fma(v_load(m->dt + r * p + u), d_sum, s->d_low[r]);
    }
}

SKLSTM_INLINE void mamba_backward(CellRow *row) {
    const MambaParts m = mamba_parts(row);
    const Py_ssize_t p = row->stride, count = m.rank + 2 * m.n;
    real whole[3 * MOST_OF_ROW], products[3 * MOST_OF_ROW], d[3 * MOST_OF_ROW];
    MambaSums sums;
    mamba_products(&m, row->kept, whole);
    cut_numbers(count, whole, products);
    for (Py_ssize_t r = 0; r < m.rank; r++) sums.d_low[r] = v_broadcast(0);
    for (Py_ssize_t k = 0; k < m.n; k++) sums.d_b[k] = sums.d_c[k] = v_broadcast(0);
    for (Py_ssize_t u = 0; u < p; u += LANES) mamba_units_backward(row, &m, u, products, &sums);
    sums_of_lanes(m.rank, sums.d_low, d);
    sums_of_lanes(m.n, sums.d_b, d + m.rank);
    sums_of_lanes(m.n, sums.d_c, d + m.rank + m.n);
    for (Py_ssize_t k = 0; k < count; k++) d[k] = whole[k] == products[k] ? d[k] : 0;
    for (Py_ssize_t u = 0; u < p; u += LANES) {
        const vec v = v_load(row->kept + u);
        vec d_v = v_load(row->scratch + u);
        for (Py_ssize_t k = 0; k < count; k++) {
            d_v = v_fma(v_broadcast(d[k]), v_load(m.x + k * p + u), d_v);
            add_product_to(m.d_x + k * p + u, v_broadcast(d[k]), v);
        }
        mamba_convolution_backward(row, &m, u, d_v);
    }
}

static const Cell mamba = {
    .name = "mamba", .sums = "u z", .driver = ROWS, .n_sums = 2, .units = 2, .x_count = 2, .has_c = 1, .leaves_zero = 0,
    .row_forward = mamba_forward, .row_backward = mamba_backward, .sizes = mamba_sizes, .derive = mamba_derived,
    .derive_backward = mamba_derived_backward,
};
