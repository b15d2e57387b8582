/* Legendre memory units (Voelker et al. 2019), one memory m for each unit, of `order` numbers:
 *   u = sum u + e . m_{t-1}   m_t = A m_{t-1} + B u   h_t = tanh(sum h + w . m_t)
 * The sums read x and h; e and w are the per-unit weights, A and B the constants of the cell: those of the delay over the last
 * theta steps in Legendre polynomials, discretised by a zero-order hold (sklstm/_network/legendre.py).
 */
enum { MAX_ORDER = 64 };

static void lmu_sizes(const Py_ssize_t *numbers, CellSizes *sizes) {
    sizes->n_states = numbers[0];
    sizes->n_vectors = 2 * numbers[0];
}

/* out = matrix @ in of one vector of units, plus scale input; 4 rows of it at once hide their latency. */
SKLSTM_INLINE void advance_memory(Py_ssize_t order, const real *matrix, const real *scale, vec input, Py_ssize_t stride,
                                  const real *in, real *out) {
    Py_ssize_t i = 0;
    for (; i + 4 <= order; i += 4) {
        vec m[4];
        for (int l = 0; l < 4; l++) m[l] = v_mul(v_broadcast(scale[i + l]), input);
        for (Py_ssize_t k = 0; k < order; k++) {
            const vec before = v_load(in + k * stride);
            for (int l = 0; l < 4; l++) m[l] = v_fma(v_broadcast(matrix[(i + l) * order + k]), before, m[l]);
        }
        for (int l = 0; l < 4; l++) v_store(out + (i + l) * stride, m[l]);
    }
    for (; i < order; i++) {
        vec m = v_mul(v_broadcast(scale[i]), input);
        for (Py_ssize_t k = 0; k < order; k++) m = v_fma(v_broadcast(matrix[i * order + k]), v_load(in + k * stride), m);
        v_store(out + i * stride, m);
    }
}

static void lmu_row_forward(CellRow *row) {
    const Py_ssize_t order = row->numbers[0], stride = row->stride;
    const real *matrix = row->constants, *scale = matrix + order * order;
    for (Py_ssize_t u = 0; u < stride; u += LANES) {
        real *sums = row->gates + 2 * u, *memory = row->c_next + u;
        const real *e = row->vectors + u, *w = e + order * stride;
        vec input = v_load(sums), total = v_load(sums + LANES);
        for (Py_ssize_t k = 0; k < order; k++) input = v_fma(v_load(e + k * stride), v_load(row->c_prev + k * stride + u), input);
        advance_memory(order, matrix, scale, input, stride, row->c_prev + u, memory);
        for (Py_ssize_t k = 0; k < order; k++) total = v_fma(v_load(w + k * stride), v_load(memory + k * stride), total);
        v_tanh(1, &total);
        v_store(row->h_next + u, total);
        v_store(sums, input);
        v_store(sums + LANES, total);
    }
}

static void lmu_row_backward(CellRow *row) {
    const Py_ssize_t order = row->numbers[0], stride = row->stride;
    const real *matrix = row->constants, *scale = matrix + order * order;
    for (Py_ssize_t u = 0; u < stride; u += LANES) {
        const real *e = row->vectors + u, *w = e + order * stride, *before = row->c_prev + u;
        const vec input = v_load(row->gates + 2 * u), h = v_load(row->gates + 2 * u + LANES);
        real *d_e = row->d_vectors + u, *d_w = d_e + order * stride, *d_c = row->d_c + u;
        vec d_h = v_load(row->d_h + u), memory[MAX_ORDER], d_input = v_broadcast(0);
        if (row->d_h_more) d_h = v_add(d_h, v_load(row->d_h_more + u));
        const vec d_total = v_mul(d_h, v_sub(v_broadcast(1), v_mul(h, h)));
        for (Py_ssize_t i = 0; i < order; i++) { /* the memory again, and its gradient */
            vec m = v_mul(v_broadcast(scale[i]), input);
            for (Py_ssize_t k = 0; k < order; k++)
                m = v_fma(v_broadcast(matrix[i * order + k]), v_load(before + k * stride), m);
            v_store(d_w + i * stride, v_fma(d_total, m, v_load(d_w + i * stride)));
            memory[i] = v_fma(d_total, v_load(w + i * stride), v_load(d_c + i * stride));
            d_input = v_fma(v_broadcast(scale[i]), memory[i], d_input);
        }
        for (Py_ssize_t k = 0; k < order; k++) {
            vec d = v_mul(d_input, v_load(e + k * stride));
            if (row->direct_c) d = v_add(d, v_load(row->direct_c + k * stride + u));
            for (Py_ssize_t i = 0; i < order; i++) d = v_fma(v_broadcast(matrix[i * order + k]), memory[i], d);
            v_store(d_c + k * stride, d);
            v_store(d_e + k * stride, v_fma(d_input, v_load(before + k * stride), v_load(d_e + k * stride)));
        }
        v_store(row->d_sums + 2 * u, d_input);
        v_store(row->d_sums + 2 * u + LANES, d_total);
    }
}

static const Cell lmu = {
    .name = "lmu", .sums = "u h", .driver = ROWS, .n_sums = 2, .units = 2, .x_count = 2, .h_count = 2, .has_c = 1,
    .sizes = lmu_sizes, .row_forward = lmu_row_forward, .row_backward = lmu_row_backward,
};
