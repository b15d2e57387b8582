/* Linear attention (Katharopoulos et al. 2020, eqs 16 to 20), step by step, in heads of d units (heads.h).
 *   q, k, v = W x + b      phi(a) = elu(a) + 1      S' = S + phi(k) v^T      z' = z + phi(k)
 *   h = w S' / (w z' + 1e-6)      w = phi(q) / (its sum over the head), which keeps the products in range
 * numbers: d. States: rows of S, then z. No vectors. Kept: w, phi(k), v, h.
 */
enum { ATTENTION_SUMS = 3 };
#define ATTENTION_EPSILON ((real)1e-6)

SKLSTM_INLINE void linear_attention_sizes(const Py_ssize_t *numbers, CellSizes *sizes) {
    *sizes = (CellSizes){numbers[0] + 1, ATTENTION_SUMS + 1, 0, 0};
}

/* elu(a) + 1; never zero. Its slope is the smaller of it and 1. */
SKLSTM_INLINE vec feature_map(vec a) {
    vec e = v_negative(v_minimum(v_broadcast(80), v_negative(v_minimum(v_broadcast(0), a))));
    v_exp(1, &e);
    return v_select_nonnegative(a, v_add(a, v_broadcast(1)), e);
}

SKLSTM_INLINE vec slope_of_feature_map(vec value) { return v_minimum(v_broadcast(1), value); }

SKLSTM_INLINE void attention_units(CellRow *row, Py_ssize_t first, Py_ssize_t count, Py_ssize_t u, Py_ssize_t some,
                                   real inverse) {
    const Py_ssize_t p = row->stride;
    const real *w = row->kept + first, *phi = w + p;
    const vec v = load_some(w + 2 * p + u, some);
    vec sum = v_broadcast(0);
    for (Py_ssize_t j = 0; j < count; j++) {
        const Py_ssize_t at = j * p + first + u;
        const vec s = v_fma(v_broadcast(phi[j]), v, load_some(row->c_prev + at, some));
        store_some(row->c_next + at, some, s);
        sum = v_fma(v_broadcast(w[j]), s, sum);
    }
    store_some(row->h_next + first + u, some, v_mul(v_broadcast(inverse), sum));
}

SKLSTM_INLINE void attention_head(CellRow *row, Py_ssize_t first, Py_ssize_t count) {
    const Py_ssize_t p = row->stride, z = row->numbers[0] * p + first;
    real *w = row->kept + first, *phi = w + p;
    scale_numbers(count, 1 / sum_of_row(count, w), w);
    for (Py_ssize_t j = 0; j < count; j++) row->c_next[z + j] = row->c_prev[z + j] + phi[j];
    const real inverse = 1 / (dot_product(count, w, row->c_next + z) + ATTENTION_EPSILON);
#define UNITS(u, some) attention_units(row, first, count, u, some, inverse)
    EACH_VECTOR_OF_HEAD(count, UNITS);
#undef UNITS
}

SKLSTM_INLINE void linear_attention_forward(CellRow *row) {
    const Py_ssize_t p = row->stride, size = row->numbers[0];
    for (Py_ssize_t u = 0; u < p; u += LANES) {
        v_store(row->kept + u, feature_map(sum_of_units(row, ATTENTION_SUMS, u, 0)));
        v_store(row->kept + p + u, feature_map(sum_of_units(row, ATTENTION_SUMS, u, 1)));
        v_store(row->kept + 2 * p + u, sum_of_units(row, ATTENTION_SUMS, u, 2));
    }
    EACH_HEAD(first, count, row->n_units, size) attention_head(row, first, count);
    for (Py_ssize_t u = row->n_units; u < p; u++) row->h_next[u] = row->kept[u] = row->kept[p + u] = 0;
    memcpy(row->kept + 3 * p, row->h_next, (size_t)p * sizeof(real));
    keep_other_states(row, size + 1, size);
}

/* Gradients of w and phi(k) of a head, collected over its vectors of units. */
typedef struct { vec d_w[MOST_OF_ROW], d_phi[MOST_OF_ROW]; } AttentionSums;

SKLSTM_INLINE void attention_units_backward(CellRow *row, Py_ssize_t first, Py_ssize_t count, Py_ssize_t u, Py_ssize_t some,
                                            real inverse, AttentionSums *sums) {
    const Py_ssize_t p = row->stride;
    const real *w = row->kept + first, *phi = w + p;
    const vec v = load_some(w + 2 * p + u, some), d_h = load_some(row->d_h + first + u, some);
    const vec d_sum = v_mul(v_broadcast(inverse), d_h);
    vec d_v = v_broadcast(0);
    for (Py_ssize_t j = 0; j < count; j++) {
        const Py_ssize_t at = j * p + first + u;
        const vec s = v_fma(v_broadcast(phi[j]), v, load_some(row->c_prev + at, some));
        const vec d_s = v_fma(v_broadcast(w[j]), d_sum, load_some(row->d_c + at, some));
        sums->d_w[j] = v_fma(d_sum, s, sums->d_w[j]);
        sums->d_phi[j] = v_fma(d_s, v, sums->d_phi[j]);
        d_v = v_fma(v_broadcast(phi[j]), d_s, d_v);
        store_some(row->d_c + at, some, row->direct_c ? v_add(d_s, load_some(row->direct_c + at, some)) : d_s);
    }
    store_some(row->kept + 3 * p + first + u, some, d_v);
}

/* Leaves the gradients of w less their mean, of phi(k) and of v over w, phi(k) and h, and 1 / sum(phi(q)) in scratch: only its
 * product with the slope of phi, which is at most phi, is in range where all q are far below zero. */
SKLSTM_INLINE void attention_head_backward(CellRow *row, Py_ssize_t first, Py_ssize_t count, real inverse_of_q) {
    const Py_ssize_t p = row->stride, z = row->numbers[0] * p + first;
    real *w = row->kept + first, *phi = w + p, normaliser = ATTENTION_EPSILON, mean = 0;
    real of_w[MOST_OF_ROW], of_phi[MOST_OF_ROW];
    AttentionSums sums;
    for (Py_ssize_t j = 0; j < count; j++) {
        normaliser += w[j] * (row->c_prev[z + j] + phi[j]);
        sums.d_w[j] = sums.d_phi[j] = v_broadcast(0);
    }
    const real inverse = 1 / normaliser, d_normaliser = -inverse * dot_product(count, row->d_h + first, w + 3 * p);
#define UNITS(u, some) attention_units_backward(row, first, count, u, some, inverse, &sums)
    EACH_VECTOR_OF_HEAD(count, UNITS);
#undef UNITS
    sums_of_lanes(count, sums.d_w, of_w);
    sums_of_lanes(count, sums.d_phi, of_phi);
    for (Py_ssize_t j = 0; j < count; j++) {
        const real d_z = row->d_c[z + j] + d_normaliser * w[j];
        const real d_weight = of_w[j] + d_normaliser * (row->c_prev[z + j] + phi[j]);
        row->d_c[z + j] = row->direct_c ? d_z + row->direct_c[z + j] : d_z;
        phi[j] = of_phi[j] + d_z;
        mean += d_weight * w[j];
        w[j] = d_weight;
    }
    for (Py_ssize_t j = 0; j < count; j++) {
        w[j] -= mean;
        row->scratch[first + j] = inverse_of_q;
    }
}

SKLSTM_INLINE void linear_attention_backward(CellRow *row) {
    const Py_ssize_t p = row->stride, size = row->numbers[0];
    for (Py_ssize_t u = 0; u < p; u += LANES)
        v_store(row->scratch + u, feature_map(sum_of_units(row, ATTENTION_SUMS, u, 0)));
    EACH_HEAD(first, count, row->n_units, size)
        attention_head_backward(row, first, count, 1 / sum_of_row(count, row->scratch + first));
    for (Py_ssize_t u = 0; u < p; u += LANES) {
        const vec q = feature_map(sum_of_units(row, ATTENTION_SUMS, u, 0));
        const vec k = feature_map(sum_of_units(row, ATTENTION_SUMS, u, 1));
        const vec slope = v_mul(slope_of_feature_map(q), v_load(row->scratch + u));
        store_d_sum(row, ATTENTION_SUMS, u, 0, v_mul(slope, v_load(row->kept + u)));
        store_d_sum(row, ATTENTION_SUMS, u, 1, v_mul(slope_of_feature_map(k), v_load(row->kept + p + u)));
        store_d_sum(row, ATTENTION_SUMS, u, 2, v_load(row->kept + 3 * p + u));
    }
    other_states_backward(row, size + 1, size);
}

static const Cell linear_attention = {
    .name = "linear_attention", .sums = "q k v", .driver = ROWS, .n_sums = ATTENTION_SUMS, .units = 1,
    .x_count = ATTENTION_SUMS, .has_c = 1, .row_forward = linear_attention_forward, .row_backward = linear_attention_backward,
    .sizes = linear_attention_sizes,
};
