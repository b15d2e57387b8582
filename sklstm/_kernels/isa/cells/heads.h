/* Matrix states of heads of d units; the last head has what is left of the units. Number j of a unit is its column in row j of
 * the matrix of its head, so a narrow last head uses its first rows only: the others, and the padding, stay as they are. */

/* Calls with the first unit of each head and how many it has. */
#define EACH_HEAD(first, count, n_units, size)                                                                                \
    for (Py_ssize_t first = 0, count; first < (n_units) && (count = smaller((size), (n_units) - first)) > 0; first += (size))

/* CALL(u, some) for each vector of a head; `some`, the units that it has, is the constant LANES for all but the last. */
#define EACH_VECTOR_OF_HEAD(count, CALL)                                                                                      \
    do {                                                                                                                      \
        Py_ssize_t u = 0;                                                                                                     \
        for (; u + LANES <= (count); u += LANES) CALL(u, LANES);                                                              \
        if (u < (count)) CALL(u, (count) - u);                                                                                \
    } while (0)

SKLSTM_INLINE void keep_other_states(CellRow *row, Py_ssize_t n_states, Py_ssize_t size) {
    const Py_ssize_t rest = row->n_units % size, first = row->n_units - rest, p = row->stride;
    for (Py_ssize_t j = 0; j < n_states; j++) {
        const Py_ssize_t begin = rest && j >= rest && j < size ? first : row->n_units;
        for (Py_ssize_t u = begin; u < p; u++) row->c_next[j * p + u] = row->c_prev[j * p + u];
    }
}

SKLSTM_INLINE void other_states_backward(CellRow *row, Py_ssize_t n_states, Py_ssize_t size) {
    const Py_ssize_t rest = row->n_units % size, first = row->n_units - rest, p = row->stride;
    for (Py_ssize_t j = 0; j < n_states && row->direct_c; j++) {
        const Py_ssize_t begin = rest && j >= rest && j < size ? first : row->n_units;
        for (Py_ssize_t u = begin; u < p; u++) row->d_c[j * p + u] += row->direct_c[j * p + u];
    }
}

/* Where sum k of one unit is in a row of sums. */
SKLSTM_INLINE Py_ssize_t place_of_sum(int n_sums, Py_ssize_t u, int k) {
    return n_sums * (u - u % LANES) + k * LANES + u % LANES;
}

/* Sum k of all units, side by side, and its gradient. */
SKLSTM_INLINE void gather_sum(const CellRow *row, int n_sums, int k, real *out) {
    for (Py_ssize_t u = 0; u < row->stride; u += LANES) v_store(out + u, sum_of_units(row, n_sums, u, k));
}

SKLSTM_INLINE void spread_d_sum(CellRow *row, int n_sums, int k, real factor, const real *d) {
    for (Py_ssize_t u = 0; u < row->stride; u += LANES)
        store_d_sum(row, n_sums, u, k, v_mul(v_broadcast(factor), v_load(d + u)));
}

SKLSTM_INLINE void scale_numbers(Py_ssize_t count, real factor, real *x) {
    for (Py_ssize_t i = 0; i < count; i++) x[i] *= factor;
}

SKLSTM_INLINE real largest_size(Py_ssize_t count, const real *x) {
    real most = 0;
    for (Py_ssize_t i = 0; i < count; i++) most = x[i] > most ? x[i] : -x[i] > most ? -x[i] : most;
    return most;
}
