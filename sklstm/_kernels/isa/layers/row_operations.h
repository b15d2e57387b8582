/* Operations on a row of states, `stride` numbers of whole vectors. */

/* A few whole vectors, without the call of memcpy. */
SKLSTM_INLINE void copy_vectors(Py_ssize_t n, const real *from, real *to) {
    Py_ssize_t u = 0;
    for (; u + TILE_VECS * LANES <= n; u += TILE_VECS * LANES) {
        vec v[TILE_VECS];
#pragma GCC unroll 4
        for (int j = 0; j < TILE_VECS; j++) v[j] = v_load(from + u + j * LANES);
#pragma GCC unroll 4
        for (int j = 0; j < TILE_VECS; j++) v_store(to + u + j * LANES, v[j]);
    }
    for (; u < n; u += LANES) v_store(to + u, v_load(from + u));
}

/* Any numbers, likewise: the last vector begins inside the one before. */
SKLSTM_INLINE void copy_numbers(Py_ssize_t n, const real *from, real *to) {
    if (n < LANES) {
        memcpy(to, from, (size_t)n * sizeof(real));
        return;
    }
    const Py_ssize_t whole = n - n % LANES;
    copy_vectors(whole, from, to);
    if (whole < n) v_store(to + n - LANES, v_load(from + n - LANES));
}

SKLSTM_INLINE void collect(real *sum, vec value) { v_store(sum, v_add(v_load(sum), value)); }

/* kept previous + (1 - kept) next; exactly one of the two where kept is 0 or 1 */
SKLSTM_INLINE vec mix(vec kept, vec previous, vec next) {
    return v_fma(kept, previous, v_mul(v_sub(v_broadcast(1), kept), next));
}

static void mix_row(Py_ssize_t stride, const real *kept, const real *previous, const real *next, real *out) {
    for (Py_ssize_t u = 0; u < stride; u += LANES)
        v_store(out + u, mix(v_load(kept + u), v_load(previous + u), v_load(next + u)));
}

/* Backward of mix_row: d_h, the gradient of h_t (plus `above`, or NULL), is split into d_new, that of the next h before
 * zoneout, and `direct`, that of h_{t-1}. Without zoneout (kept is NULL) all of it goes to d_new, which may be d_h. */
static void split_row(Py_ssize_t stride, const real *d_h, const real *above, const real *kept, real *direct, real *d_new) {
    for (Py_ssize_t u = 0; u < stride; u += LANES) {
        vec d = v_load(d_h + u);
        if (above) d = v_add(d, v_load(above + u));
        if (kept) {
            const vec k = v_load(kept + u);
            v_store(direct + u, v_mul(k, d));
            d = v_mul(v_sub(v_broadcast(1), k), d);
        }
        v_store(d_new + u, d);
    }
}

/* out = scale x + direct, where NULL stands for ones and zeros; out may be x */
static void scale_row(Py_ssize_t stride, const real *x, const real *scale, const real *direct, real *out) {
    for (Py_ssize_t u = 0; u < stride; u += LANES) {
        vec value = v_load(x + u);
        if (scale) value = v_mul(value, v_load(scale + u));
        if (direct) value = v_add(value, v_load(direct + u));
        v_store(out + u, value);
    }
}
