/* What row cells share: the sums of a row, vectors that end inside a head or a half, products over a head, and numbers that are
 * kept in range. Vectors of units begin at multiples of LANES; a head or a half begins anywhere. */

/* Sum k of the vector of units at u. */
SKLSTM_INLINE vec sum_of_units(const CellRow *row, int n_sums, Py_ssize_t u, int k) {
    return v_load(row->gates + n_sums * u + k * LANES);
}

SKLSTM_INLINE void store_d_sum(CellRow *row, int n_sums, Py_ssize_t u, int k, vec d) {
    v_store(row->d_sums + n_sums * u + k * LANES, d);
}

/* Number k of the second state: the gradient of the previous one. */
SKLSTM_INLINE void store_d_state(CellRow *row, Py_ssize_t k, Py_ssize_t u, vec d) {
    const Py_ssize_t at = k * row->stride + u;
    v_store(row->d_c + at, row->direct_c ? v_add(d, v_load(row->direct_c + at)) : d);
}

SKLSTM_INLINE void add_to(real *sum, vec value) { v_store(sum, v_add(v_load(sum), value)); }
SKLSTM_INLINE void add_product_to(real *sum, vec a, vec b) { v_store(sum, v_fma(a, b, v_load(sum))); }
SKLSTM_INLINE vec v_negative(vec a) { return v_sub(v_broadcast(0), a); }

/* exp(x) of weights. Reduced numbers have short exponentials (relative error 3e-6), which a frequency would carry into its phase
 * at every step: a step of Newton's method takes it to that of the logarithm. */
SKLSTM_INLINE void exp_of_weights(const int n, vec *x) {
#if SKLSTM_REDUCED
    vec argument[SIDE_BY_SIDE], log[SIDE_BY_SIDE];
    EACH argument[j] = x[j];
    v_exp(n, x);
    EACH log[j] = x[j];
    v_log(n, log);
    EACH x[j] = v_fma(x[j], v_sub(v_clamp(argument[j], -87, 87), log[j]), x[j]);
#else
    v_exp(n, x);
#endif
}

/* The most that a size of its own may be of a cell that keeps a number of the row for each: `bounds` in _network/cells.py. */
enum { MOST_OF_ROW = 256 };

/* At most LANES numbers; zeros behind them. */
SKLSTM_INLINE vec load_some(const real *p, Py_ssize_t count) {
    vec v = v_broadcast(0);
    if (count >= LANES) return v_load(p);
    for (Py_ssize_t l = 0; l < count; l++) LANE(v, l) = p[l];
    return v;
}

SKLSTM_INLINE void store_some(real *p, Py_ssize_t count, vec v) {
    if (count >= LANES) {
        v_store(p, v);
        return;
    }
    for (Py_ssize_t l = 0; l < count; l++) p[l] = LANE(v, l);
}

/* In pairs: one after the other, each sum would wait for the one before. */
SKLSTM_INLINE real sum_of_lanes(vec v) {
    real a[SKLSTM_VEC_BYTES / sizeof(real)];
    v_store(a, v);
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int l = 0; l < width; l++) a[l] += a[l + width];
    return a[0];
}

/* sum_of_lanes of `count` vectors, in the same order: of as many as there are lanes at once, after a transposition. */
SKLSTM_INLINE void sums_of_lanes(Py_ssize_t count, const vec *v, real *out) {
    enum { WIDE = SKLSTM_VEC_BYTES / sizeof(real) };
    Py_ssize_t k = 0;
    for (; k + LANES <= count; k += LANES) {
        real rows[WIDE][WIDE], columns[WIDE][WIDE];
        for (int j = 0; j < LANES; j++) v_store(rows[j], v[k + j]);
        for (int l = 0; l < LANES; l++)
            for (int j = 0; j < LANES; j++) columns[l][j] = rows[j][l];
        for (int width = LANES / 2; width > 0; width /= 2)
            for (int l = 0; l < width; l++) v_store(columns[l], v_add(v_load(columns[l]), v_load(columns[l + width])));
        v_store(out + k, v_load(columns[0]));
    }
    for (; k < count; k++) out[k] = sum_of_lanes(v[k]);
}

/* Factors of a product of several are cut here, so that the product and its gradients stay in the range of single precision. */
#define ROW_LIMIT ((real)1e3)

SKLSTM_INLINE vec v_cut(vec x) {
    const vec limit = v_broadcast(ROW_LIMIT);
    return v_negative(v_minimum(limit, v_negative(v_minimum(limit, x))));
}

/* The gradient of what was cut: zero beyond the limit. */
SKLSTM_INLINE vec v_cut_slope(vec x, vec d) {
    return v_select_nonnegative(v_sub(v_broadcast(ROW_LIMIT), v_abs(x)), d, v_broadcast(0));
}
