/* Cells whose H units are N = floor(H / 2) complex states that all inputs enter: units u and u + N hold real and imaginary
 * part of state u (LRU: Orvieto et al. 2023; S5: Smith et al. 2023). An odd last unit is a state whose imaginary part is
 * always zero.
 *   v = W x + b        s' = A s + B v        h = s' + D v        (the dense C reads h: the projection, or the next layer)
 * In real numbers, with s~ the other half of the same state:  s' = a s + b s~ + f v + g v~.  a = Re A, f = Re B; b and g are
 * -Im of A and B in the first half and +Im in the second. Derived: a, b, f, g. Kept: s~, v~. The last vector is D.
 */
enum { HALVES_DERIVED = 4 };

/* The other half of each unit. */
SKLSTM_INLINE void swap_halves(Py_ssize_t n_units, Py_ssize_t stride, const real *x, real *out) {
    const Py_ssize_t n = n_units / 2;
    memcpy(out, x + n, (size_t)n * sizeof(real));
    memcpy(out + n, x, (size_t)n * sizeof(real));
    memset(out + 2 * n, 0, (size_t)(stride - 2 * n) * sizeof(real));
}

SKLSTM_INLINE void halves_forward(CellRow *row) {
    const Py_ssize_t p = row->stride;
    const real *d = row->derived, *through = row->vectors + (row->sizes.n_vectors - 1) * p;
    swap_halves(row->n_units, p, row->c_prev, row->kept);
    swap_halves(row->n_units, p, row->gates, row->kept + p);
    for (Py_ssize_t u = 0; u < p; u += LANES) {
        const vec v = v_load(row->gates + u);
        vec s = v_fma(v_load(d + u), v_load(row->c_prev + u), v_mul(v_load(d + 2 * p + u), v));
        s = v_fma(v_load(d + p + u), v_load(row->kept + u), s);
        s = v_fma(v_load(d + 3 * p + u), v_load(row->kept + p + u), s);
        v_store(row->c_next + u, s);
        v_store(row->h_next + u, v_fma(v_load(through + u), v, s));
    }
}

SKLSTM_INLINE void halves_backward(CellRow *row) {
    const Py_ssize_t p = row->stride, last = (row->sizes.n_vectors - 1) * p;
    const real *d = row->derived;
    real *across = row->kept, *across_v = row->kept + p;
    for (Py_ssize_t u = 0; u < p; u += LANES) {
        const vec v = v_load(row->gates + u), d_h = v_load(row->d_h + u), g = v_add(d_h, v_load(row->d_c + u));
        add_product_to(row->d_derived + u, g, v_load(row->c_prev + u));
        add_product_to(row->d_derived + p + u, g, v_load(across + u));
        add_product_to(row->d_derived + 2 * p + u, g, v);
        add_product_to(row->d_derived + 3 * p + u, g, v_load(across_v + u));
        add_product_to(row->d_vectors + last + u, d_h, v);
        v_store(across + u, v_mul(v_load(d + p + u), g));
        v_store(across_v + u, v_mul(v_load(d + 3 * p + u), g));
        v_store(row->d_sums + u, v_fma(v_load(d + 2 * p + u), g, v_mul(v_load(row->vectors + last + u), d_h)));
        store_d_state(row, 0, u, v_mul(v_load(d + u), g));
    }
    swap_halves(row->n_units, p, across, row->scratch);
    for (Py_ssize_t u = 0; u < p; u += LANES) add_to(row->d_c + u, v_load(row->scratch + u));
    swap_halves(row->n_units, p, across_v, row->scratch);
    for (Py_ssize_t u = 0; u < p; u += LANES) add_to(row->d_sums + u, v_load(row->scratch + u));
}

/* `count` states whose real parts begin at unit `first`; their imaginary parts are `distance` further, 0: there are none. */
typedef struct {
    Py_ssize_t first, count, distance;
} Pairs;

SKLSTM_INLINE Pairs next_pairs(Py_ssize_t n_units, Py_ssize_t begin) {
    const Py_ssize_t n = n_units / 2;
    return begin < n ? (Pairs){begin, smaller(LANES, n - begin), n} : (Pairs){2 * n, 1, 0};
}

/* Calls with pairs of up to LANES states, at last with an odd unit alone. */
#define EACH_PAIRS(n_units, begin) \
    for (Py_ssize_t begin = 0; begin < ((n_units) + 1) / 2; begin += next_pairs((n_units), begin).count)

SKLSTM_INLINE complex_vec load_pairs(const real *halves, Pairs at) {
    return c_make(load_some(halves + at.first, at.count),
                  at.distance ? load_some(halves + at.first + at.distance, at.count) : v_broadcast(0));
}

SKLSTM_INLINE void store_pairs(real *halves, Pairs at, vec first, vec second) {
    store_some(halves + at.first, at.count, first);
    if (at.distance) store_some(halves + at.first + at.distance, at.count, second);
}

SKLSTM_INLINE void add_to_pairs(real *halves, Pairs at, vec first, vec second) {
    const complex_vec before = load_pairs(halves, at);
    store_pairs(halves, at, v_add(before.re, first), v_add(before.im, second));
}

/* The gradient of A (or B) from those of a and b (f and g). */
SKLSTM_INLINE complex_vec gradient_of_pairs(const real *d_own, Py_ssize_t stride, Pairs at) {
    const complex_vec own = load_pairs(d_own, at), across = load_pairs(d_own + stride, at);
    return c_make(v_add(own.re, own.im), v_sub(across.im, across.re));
}
