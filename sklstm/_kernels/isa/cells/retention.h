/* Multi-scale retention (Sun et al. 2023, eqs 6 to 8), step by step, in heads of d units (heads.h).
 *   q, k, v, g = W x + b         gamma = 1 - 2^(-5 - head)
 *   S' = gamma R S + (k / sqrt(d)) v^T        y = q S'        h = silu(g) y / sqrt(mean(y^2) + 1e-6)
 * The mean is over the head. R turns rows 2 j and 2 j + 1 of S by -10000^(-2 j / d): the rotation of xPos, applied to the state
 * and not to q and k by the number of their step, so that a stream needs no such number. numbers: d, 1 with rotation. States:
 * rows of S. No vectors; derived: gamma cos and -gamma sin of each row of each head. Kept: q, k / sqrt(d), v, y.
 *
 * y is a product of three sums: q is divided by its largest size where that is beyond ROW_LIMIT, and so is y before it is
 * squared.
 */
enum { RETENTION_SUMS = 4 };
#define RETENTION_EPSILON ((real)1e-6)

SKLSTM_INLINE void retention_sizes(const Py_ssize_t *numbers, CellSizes *sizes) {
    *sizes = (CellSizes){numbers[0], RETENTION_SUMS, 0, 2};
}

SKLSTM_INLINE void retention_derived(CellDerivation *d) {
    const Py_ssize_t size = d->numbers[0], p = d->stride;
    memset(d->derived, 0, (size_t)(2 * p) * sizeof(real));
    EACH_HEAD(first, count, d->n_units, size) {
        const Py_ssize_t head = smaller(first / size, 40);
        const real gamma = 1 - (real)1 / (real)((int64_t)32 << head);
        for (Py_ssize_t j = 0; j < count; j++) {
            /* 10000^(-j / d) for an even j */
            vec angle = v_broadcast((real)-9.210340371976184 * (real)(j - j % 2) / (real)size), sine, cosine;
            const int turns = d->numbers[1] && (j - j % 2) + 1 < count;
            v_exp(1, &angle);
            v_sin_cos(1, &angle, &sine, &cosine);
            d->derived[first + j] = turns ? gamma * LANE(cosine, 0) : gamma;
            d->derived[p + first + j] = turns ? -gamma * LANE(sine, 0) : 0;
        }
    }
}

SKLSTM_INLINE void retention_derived_backward(CellDerivation *d) { (void)d; }

/* Rows j and j + 1 of the state of a head, for a vector of its units. */
typedef struct { vec previous[2], next[2]; } RetentionRows;

SKLSTM_INLINE RetentionRows retention_rows(const CellRow *row, Py_ssize_t first, Py_ssize_t j, const int n, Py_ssize_t u,
                                           Py_ssize_t some, vec v) {
    const Py_ssize_t p = row->stride;
    const real *before = row->c_prev + j * p + first + u, *k = row->kept + p + first + j;
    const vec keep = v_broadcast(row->derived[first + j]), cross = v_broadcast(row->derived[p + first + j]);
    const vec zero = v_broadcast(0);
    RetentionRows s = {{load_some(before, some), zero}, {zero, zero}};
    if (n == 2) {
        s.previous[1] = load_some(before + p, some);
        s.next[1] = v_fma(v_broadcast(k[1]), v, v_fma(cross, s.previous[0], v_mul(keep, s.previous[1])));
    }
    s.next[0] = v_fma(v_broadcast(k[0]), v, v_sub(v_mul(keep, s.previous[0]), v_mul(cross, s.previous[1])));
    return s;
}

/* Adds rows j .. j + n - 1 to y. */
SKLSTM_INLINE vec retention_step(CellRow *row, Py_ssize_t first, Py_ssize_t j, const int n, Py_ssize_t u, Py_ssize_t some, vec v,
                                 vec y) {
    const RetentionRows s = retention_rows(row, first, j, n, u, some, v);
    for (int i = 0; i < n; i++) {
        store_some(row->c_next + (j + i) * row->stride + first + u, some, s.next[i]);
        y = v_fma(v_broadcast(row->kept[first + j + i]), s.next[i], y);
    }
    return y;
}

SKLSTM_INLINE void retention_units(CellRow *row, Py_ssize_t first, Py_ssize_t count, Py_ssize_t u, Py_ssize_t some) {
    const Py_ssize_t p = row->stride;
    const vec v = load_some(row->kept + 2 * p + first + u, some);
    vec y = v_broadcast(0);
    Py_ssize_t j = 0;
    for (; j + 2 <= count; j += 2) y = retention_step(row, first, j, 2, u, some, v, y);
    if (j < count) y = retention_step(row, first, j, 1, u, some, v, y);
    store_some(row->kept + 3 * p + first + u, some, y);
}

/* 1 / sqrt(mean(y^2) + epsilon) of the y of a head, whose q was multiplied by `scale`. */
SKLSTM_INLINE real retention_inverse(Py_ssize_t count, const real *y, real scale) {
    const real most = largest_size(count, y), down = most > ROW_LIMIT ? 1 / most : 1;
    real sum = 0;
    for (Py_ssize_t u = 0; u < count; u++) sum += (y[u] * down) * (y[u] * down);
    return down / square_root(sum / (real)count + RETENTION_EPSILON * (scale * down) * (scale * down));
}

SKLSTM_INLINE void retention_head(CellRow *row, Py_ssize_t first, Py_ssize_t count) {
    real *q = row->kept + first, *y = q + 3 * row->stride;
    const real most = largest_size(count, q), scale = most > ROW_LIMIT ? 1 / most : 1;
    if (scale < 1) scale_numbers(count, scale, q);
#define UNITS(u, some) retention_units(row, first, count, u, some)
    EACH_VECTOR_OF_HEAD(count, UNITS);
#undef UNITS
    const real inverse = retention_inverse(count, y, scale);
    for (Py_ssize_t u = 0; u < count; u++) row->h_next[first + u] *= y[u] * inverse;
}

SKLSTM_INLINE void retention_forward(CellRow *row) {
    const Py_ssize_t p = row->stride, size = row->numbers[0];
    const vec root = v_sqrt(v_broadcast(1 / (real)size));
    for (int k = 0; k < 3; k++) gather_sum(row, RETENTION_SUMS, k, row->kept + k * p);
    for (Py_ssize_t u = 0; u < p; u += LANES) {
        vec gate = sum_of_units(row, RETENTION_SUMS, u, 3);
        v_silu(1, &gate);
        v_store(row->h_next + u, gate);
        v_store(row->kept + p + u, v_mul(root, v_load(row->kept + p + u)));
    }
    EACH_HEAD(first, count, row->n_units, size) retention_head(row, first, count);
    for (Py_ssize_t u = row->n_units; u < p; u++) row->h_next[u] = row->kept[3 * p + u] = 0;
    keep_other_states(row, size, size);
}

/* From the gradient of the normalised y, in d_y, to that of y. A unit alone in its head is normalised to its sign, but for
 * epsilon. */
SKLSTM_INLINE void retention_norm_backward(Py_ssize_t count, const real *normalised, real inverse, real scale, real *d_y) {
    const real mean = dot_product(count, d_y, normalised) / (real)count;
    if (count == 1) {
        *d_y *= inverse * (inverse * scale) * (inverse * scale) * RETENTION_EPSILON;
        return;
    }
    for (Py_ssize_t u = 0; u < count; u++) d_y[u] = inverse * (d_y[u] - normalised[u] * mean);
}

/* Gradients of q and k of a head, collected over its vectors of units. */
typedef struct { vec d_q[MOST_OF_ROW], d_k[MOST_OF_ROW]; } RetentionSums;

/* Rows j .. j + n - 1; returns the gradient of v. */
SKLSTM_INLINE vec retention_step_backward(CellRow *row, Py_ssize_t first, Py_ssize_t j, const int n, Py_ssize_t u,
                                          Py_ssize_t some, vec v, vec d_y, vec d_v, RetentionSums *sums) {
    const Py_ssize_t p = row->stride, at = j * p + first + u;
    const real *q = row->kept + first + j, *k = q + p;
    const vec keep = v_broadcast(row->derived[first + j]), cross = v_broadcast(row->derived[p + first + j]);
    const RetentionRows s = retention_rows(row, first, j, n, u, some, v);
    vec d_s[2] = {v_broadcast(0), v_broadcast(0)};
    for (int i = 0; i < n; i++) {
        sums->d_q[j + i] = v_fma(d_y, s.next[i], sums->d_q[j + i]);
        d_s[i] = v_fma(v_broadcast(q[i]), d_y, load_some(row->d_c + at + i * p, some));
        sums->d_k[j + i] = v_fma(d_s[i], v, sums->d_k[j + i]);
        d_v = v_fma(v_broadcast(k[i]), d_s[i], d_v);
    }
    const vec back[2] = {v_fma(cross, d_s[1], v_mul(keep, d_s[0])), v_sub(v_mul(keep, d_s[1]), v_mul(cross, d_s[0]))};
    for (int i = 0; i < n; i++)
        store_some(row->d_c + at + i * p, some,
                   row->direct_c ? v_add(back[i], load_some(row->direct_c + at + i * p, some)) : back[i]);
    return d_v;
}

SKLSTM_INLINE void retention_units_backward(CellRow *row, Py_ssize_t first, Py_ssize_t count, Py_ssize_t u, Py_ssize_t some,
                                            RetentionSums *sums) {
    const Py_ssize_t p = row->stride;
    const vec v = load_some(row->kept + 2 * p + first + u, some), d_y = load_some(row->scratch + first + u, some);
    vec d_v = v_broadcast(0);
    Py_ssize_t j = 0;
    for (; j + 2 <= count; j += 2) d_v = retention_step_backward(row, first, j, 2, u, some, v, d_y, d_v, sums);
    if (j < count) d_v = retention_step_backward(row, first, j, 1, u, some, v, d_y, d_v, sums);
    store_some(row->kept + 3 * p + first + u, some, d_v);
}

/* Leaves the gradients of q, k and v over q, k and y. */
SKLSTM_INLINE void retention_head_backward(CellRow *row, Py_ssize_t first, Py_ssize_t count, real scale) {
    real *q = row->kept + first, *k = q + row->stride;
    RetentionSums sums;
    for (Py_ssize_t j = 0; j < count; j++) sums.d_q[j] = sums.d_k[j] = v_broadcast(0);
#define UNITS(u, some) retention_units_backward(row, first, count, u, some, &sums)
    EACH_VECTOR_OF_HEAD(count, UNITS);
#undef UNITS
    sums_of_lanes(count, sums.d_q, q);
    sums_of_lanes(count, sums.d_k, k);
    for (Py_ssize_t j = 0; j < count; j++) q[j] *= scale;
}

SKLSTM_INLINE void retention_backward(CellRow *row) {
    const Py_ssize_t p = row->stride, size = row->numbers[0];
    const real root = square_root(1 / (real)size);
    real *d_y = row->scratch;
    for (Py_ssize_t u = 0; u < p; u += LANES) {
        const vec d_h = v_load(row->d_h + u);
        vec gate = sum_of_units(row, RETENTION_SUMS, u, 3), slope = gate;
        v_silu(1, &gate);
        v_silu_slope(1, &slope);
        v_store(d_y + u, v_mul(d_h, gate));
        store_d_sum(row, RETENTION_SUMS, u, 3, v_mul(d_h, slope));
    }
    EACH_HEAD(first, count, row->n_units, size) {
        real *y = row->kept + 3 * p + first;
        real most = 0;
        for (Py_ssize_t u = first; u < first + count; u++) {
            const real q = row->gates[place_of_sum(RETENTION_SUMS, u, 0)];
            most = q > most ? q : -q > most ? -q : most;
        }
        const real scale = most > ROW_LIMIT ? 1 / most : 1, inverse = retention_inverse(count, y, scale);
        scale_numbers(count, inverse, y);
        for (Py_ssize_t u = 0; u < count; u++) row->d_sums[place_of_sum(RETENTION_SUMS, first + u, 3)] *= y[u];
        retention_norm_backward(count, y, inverse, scale, d_y + first);
        retention_head_backward(row, first, count, scale);
    }
    spread_d_sum(row, RETENTION_SUMS, 0, 1, row->kept);
    spread_d_sum(row, RETENTION_SUMS, 1, root, row->kept + p);
    spread_d_sum(row, RETENTION_SUMS, 2, 1, row->kept + 3 * p);
    other_states_backward(row, size, size);
}

static const Cell retention = {
    .name = "retention", .sums = "q k v g", .driver = ROWS, .n_sums = RETENTION_SUMS, .units = 1, .x_count = RETENTION_SUMS,
    .has_c = 1, .row_forward = retention_forward, .row_backward = retention_backward, .sizes = retention_sizes,
    .derive = retention_derived, .derive_backward = retention_derived_backward,
};
