/* The minimal LSTM with exponential gating: an average of all candidates so far, weighted by products of gates (the sLSTM of
 * Beck et al. 2024 without recurrent weights and without output gate).
 *   log f = log sigmoid(.)   log i = .   g = tanh(.)   n' = f n + i   h' = (f n h + i g) / n'
 * The products of gates, of which n is a sum, leave the range of any floating-point number: after 10,000 steps of f = 0.9 the
 * first weight is 10^-458 of the last. n is carried as size * 2^power, with the size near 1: a number with an exponent of
 * its own, whose relative error a step is that of one rounding (the logarithm of n would lose the digits that its own size
 * takes). States of a row cell: h, size, power.
 */
enum { EXPLSTM_STATES = 3 };

#define EXPLSTM_LN2 ((real)0.693147180559945309417)
/* Added and taken away again, 1.5 2^23 (double: 1.5 2^52) leaves whole numbers, of sizes below 2^21 (2^50). */
#define EXPLSTM_SHIFT (SKLSTM_REAL_IS_FLOAT ? (real)12582912.0 : (real)6755399441055744.0)
#define EXPLSTM_LIMIT (SKLSTM_REAL_IS_FLOAT ? (real)2097152.0 : (real)1125899906842624.0)

SKLSTM_INLINE vec v_maximum(vec a, vec b) {
    const vec zero = v_broadcast(0);
    return v_sub(zero, v_minimum(v_sub(zero, a), v_sub(zero, b)));
}

/* e^x = size 2^power, the size between sqrt(1/2) and sqrt(2): x becomes the size. Beyond 2^21 (double: 2^50) x has no digits
 * left that the size would hold. */
SKLSTM_INLINE void v_exp_with_power(const int n, vec *x, vec *power) {
    const vec log2_e = v_broadcast((real)1.44269504088896340736), one = v_broadcast(1), zero = v_broadcast(0);
    const vec shift = v_broadcast(EXPLSTM_SHIFT), limit = v_broadcast(EXPLSTM_LIMIT);
    EACH power[j] = v_select_nonnegative(v_sub(v_abs(x[j]), limit), v_mul(x[j], log2_e),
                                         v_sub(v_fma(x[j], log2_e, shift), shift));
    EACH x[j] = v_fma(power[j], v_broadcast((real)-0.693145751953125), x[j]);
    EACH x[j] = v_fma(power[j], v_broadcast((real)-1.42860682030941723212e-6), x[j]);
    EACH x[j] = v_maximum(v_minimum(one, x[j]), v_sub(zero, one));
    v_exp(n, x);
}

/* f = sigmoid(x) = size 2^power with one exponential, e = e^-|x|: 1 / (1 + e) for x >= 0, else e / (1 + e), whose power is that
 * of e. The size is between 1/2 and sqrt(2): times numbers below 1/2 for many steps, that of n would be lost. x becomes the size,
 * and `rest` is 1 - f. */
SKLSTM_INLINE void v_sigmoid_with_power(const int n, vec *x, vec *power, vec *rest) {
    const vec zero = v_broadcast(0), one = v_broadcast(1), half = v_broadcast((real)0.5);
    vec size[SIDE_BY_SIDE], whole[SIDE_BY_SIDE];
    EACH size[j] = v_sub(zero, v_abs(x[j]));
    v_exp_with_power(n, size, whole);
    EACH {
        const vec e = v_mul(size[j], v_power_of_two(whole[j])), f = v_div(one, v_add(one, e));
        /* e / (1 + e) is below 1/2 where the power is 0 */
        const vec less = v_select_nonnegative(v_add(whole[j], half), one, zero), below = v_mul(size[j], f);
        rest[j] = v_select_nonnegative(x[j], v_mul(e, f), f);
        power[j] = v_select_nonnegative(x[j], zero, v_sub(whole[j], less));
        x[j] = v_select_nonnegative(x[j], f, v_fma(less, below, below));
    }
}

/* Zoneout mixes powers: what they have beside whole numbers goes over to the factors. */
SKLSTM_INLINE void make_powers_whole(const int n, vec *factor, vec *power) {
    const vec shift = v_broadcast(EXPLSTM_SHIFT), limit = v_broadcast(EXPLSTM_LIMIT);
    vec part[SIDE_BY_SIDE], sizes = v_broadcast(0);
    EACH {
        const vec whole = v_select_nonnegative(v_sub(v_abs(power[j]), limit), power[j], v_sub(v_add(power[j], shift), shift));
        part[j] = v_mul(v_sub(power[j], whole), v_broadcast(EXPLSTM_LN2));
        sizes = v_add(sizes, v_abs(part[j]));
        power[j] = whole;
    }
    if (!v_any(sizes)) return;
    v_exp(n, part);
    EACH factor[j] = v_mul(factor[j], part[j]);
}

/* n vectors of units from `first` on. The weight of the past is w = old / (old + new); kept: w / |size|, and the next size. */
SKLSTM_INLINE void explstm_units_forward(const int n, CellRow *row, Py_ssize_t first) {
    const vec zero = v_broadcast(0), one = v_broadcast(1), two = v_broadcast(2), half = v_broadcast((real)0.5);
    const Py_ssize_t p = row->stride;
    vec past[SIDE_BY_SIDE], next[SIDE_BY_SIDE], g[SIDE_BY_SIDE], past_power[SIDE_BY_SIDE], next_power[SIDE_BY_SIDE];
    vec rest[SIDE_BY_SIDE];
    EACH {
        const real *sums = row->gates + 3 * (first + j * LANES);
        past[j] = v_load(sums);
        next[j] = v_load(sums + LANES);
        g[j] = v_load(sums + 2 * LANES);
    }
    v_tanh(n, g);
    v_sigmoid_with_power(n, past, past_power, rest);
    v_exp_with_power(n, next, next_power);
    EACH past_power[j] = v_add(past_power[j], v_load(row->c_prev + 2 * p + first + j * LANES));
    make_powers_whole(n, past, past_power);
    EACH {
        const Py_ssize_t u = first + j * LANES;
        const vec size = v_abs(v_load(row->c_prev + p + u)), power = past_power[j];
        /* without a past its power does not count */
        const vec top = v_select_nonnegative(v_sub(zero, size), next_power[j], v_maximum(power, next_power[j]));
        const vec factor = v_mul(past[j], v_power_of_two(v_minimum(zero, v_sub(power, top))));
        const vec entering = v_mul(next[j], v_power_of_two(v_sub(next_power[j], top)));
        const vec sum = v_fma(factor, size, entering), per_size = v_div(factor, sum);
        const vec h = v_fma(v_mul(per_size, size), v_sub(v_load(row->c_prev + u), g[j]), g[j]);
        /* by 1/2 from 1.5 on, by 2 below 0.75 */
        const vec large = v_sub(sum, v_broadcast((real)1.5)), small = v_sub(v_broadcast((real)0.75), sum);
        const vec scale = v_select_nonnegative(large, half, v_select_nonnegative(small, two, one));
        const vec step = v_select_nonnegative(large, one, v_select_nonnegative(small, v_sub(zero, one), zero));
        v_store(row->h_next + u, h);
        v_store(row->c_next + u, h);
        v_store(row->c_next + p + u, v_mul(sum, scale));
        v_store(row->c_next + 2 * p + u, v_add(top, step));
        if (!row->training) continue;
        v_store(row->gates + 3 * u, rest[j]);
        v_store(row->gates + 3 * u + LANES, per_size);
        v_store(row->gates + 3 * u + 2 * LANES, g[j]);
        v_store(row->kept + u, v_mul(sum, scale));
    }
}

SKLSTM_INLINE void explstm_forward(CellRow *row) {
    Py_ssize_t u = 0;
    for (; u + SIDE_BY_SIDE * LANES <= row->stride; u += SIDE_BY_SIDE * LANES) explstm_units_forward(SIDE_BY_SIDE, row, u);
    for (; u < row->stride; u += LANES) explstm_units_forward(1, row, u);
}

/* All that comes later reads size and power as their product n: its gradient is that of the size, and that of the power says
 * the same once more. */
SKLSTM_INLINE void explstm_backward(CellRow *row) {
    const vec zero = v_broadcast(0), one = v_broadcast(1);
    const Py_ssize_t p = row->stride;
    for (Py_ssize_t u = 0; u < p; u += LANES) {
        const vec rest = v_load(row->gates + 3 * u), per_size = v_load(row->gates + 3 * u + LANES);
        const vec g = v_load(row->gates + 3 * u + 2 * LANES), signed_size = v_load(row->c_prev + p + u);
        const vec size = v_abs(signed_size), w = v_mul(per_size, size);
        const vec d_h = v_add(v_load(row->d_h + u), v_load(row->d_c + u));
        const vec d_w = v_mul(d_h, v_sub(v_load(row->c_prev + u), g));
        const vec d_log = v_mul(v_load(row->d_c + p + u), v_load(row->kept + u)); /* of log n' */
        const vec d_past = v_fma(v_sub(one, w), d_w, d_log), d_power = v_mul(w, d_past);
        vec d_states[EXPLSTM_STATES];
        d_states[0] = v_mul(d_h, w);
        d_states[1] = v_mul(per_size, v_select_nonnegative(signed_size, d_past, v_sub(zero, d_past)));
        d_states[2] = v_mul(d_power, v_broadcast(EXPLSTM_LN2));
        v_store(row->d_sums + 3 * u, v_mul(d_power, rest));
        v_store(row->d_sums + 3 * u + LANES, v_mul(v_sub(one, w), v_sub(d_log, v_mul(w, d_w))));
        v_store(row->d_sums + 3 * u + 2 * LANES, v_mul(v_mul(d_h, v_sub(one, w)), v_sub(one, v_mul(g, g))));
        for (int k = 0; k < EXPLSTM_STATES; k++) {
            const Py_ssize_t at = k * p + u;
            v_store(row->d_c + at, row->direct_c ? v_add(d_states[k], v_load(row->direct_c + at)) : d_states[k]);
        }
    }
}

SKLSTM_INLINE void explstm_sizes(const Py_ssize_t *numbers, CellSizes *sizes) {
    (void)numbers;
    *sizes = (CellSizes){EXPLSTM_STATES, 1, 0, 0};
}

static const Cell explstm = {
    .name = "explstm", .sums = "f i g", .driver = ROWS, .n_sums = 3, .units = 1, .x_count = 3, .has_c = 1,
    .row_forward = explstm_forward, .row_backward = explstm_backward, .sizes = explstm_sizes,
};
