/* The quasi-recurrent network (Bradbury et al. 2016) with a window of two or three inputs and its three poolings, row cells.
 *   z = tanh(.)   f, o, i = sigmoid(.)   each sum W x_t + b + [W' x + b']_{t-1} (+ [W'' x + b'']_{t-2})
 *   f:   h' = f h + (1 - f) z
 *   fo:  c' = f c + (1 - f) z   h' = o c'
 *   ifo: c' = f c + i z         h' = o c'
 * What a row adds to the sums of later steps is computed with the row and carried as a state: no row is read twice. States:
 * c (of f: h), then what is added to z, f, o, i one step later, then two steps later. Sums: z f o i, then those for one step later
 * in the same order, then those for two.
 */

/* n vectors of units from u on; G gates, 2 for f, 3 for fo, 4 for ifo; windows of K inputs. */
SKLSTM_INLINE void qrnn_units_forward(const int n, const int G, const int K, CellRow *row, Py_ssize_t u) {
    const vec one = v_broadcast(1);
    const Py_ssize_t p = row->stride;
    vec gate[4][SIDE_BY_SIDE], c[SIDE_BY_SIDE];
    for (int k = 0; k < G; k++) {
        EACH {
            const Py_ssize_t at = u + j * LANES;
            const real *sums = row->gates + K * G * at + k * LANES;
            gate[k][j] = v_add(v_load(sums), v_load(row->c_prev + (1 + k) * p + at));
            for (int later = 1; later < K; later++) {
                const Py_ssize_t state = (1 + (later - 1) * G + k) * p + at;
                const vec sum = v_load(sums + later * G * LANES);
                v_store(row->c_next + state, later + 1 < K ? v_add(sum, v_load(row->c_prev + state + G * p)) : sum);
            }
        }
        if (k) v_sigmoid(n, gate[k]);
        else v_tanh(n, gate[k]);
    }
    EACH {
        const Py_ssize_t at = u + j * LANES;
        const vec entering = v_mul(G == 4 ? gate[3][j] : v_sub(one, gate[1][j]), gate[0][j]);
        c[j] = v_fma(gate[1][j], v_load(row->c_prev + at), entering);
        v_store(row->c_next + at, c[j]);
        v_store(row->h_next + at, G == 2 ? c[j] : v_mul(gate[2][j], c[j]));
        for (int k = 0; row->training && k < G; k++) v_store(row->gates + K * G * at + k * LANES, gate[k][j]);
    }
}

SKLSTM_INLINE void qrnn_forward(const int G, const int K, CellRow *row) {
    Py_ssize_t u = 0;
    for (; u + SIDE_BY_SIDE * LANES <= row->stride; u += SIDE_BY_SIDE * LANES) qrnn_units_forward(SIDE_BY_SIDE, G, K, row, u);
    for (; u < row->stride; u += LANES) qrnn_units_forward(1, G, K, row, u);
}

SKLSTM_INLINE void qrnn_backward(const int G, const int K, CellRow *row) {
    const vec one = v_broadcast(1), none = v_broadcast(0);
    const Py_ssize_t p = row->stride;
    for (Py_ssize_t u = 0; u < p; u += LANES) {
        const real *gates = row->gates + K * G * u;
        const vec z = v_load(gates), f = v_load(gates + LANES), o = G > 2 ? v_load(gates + 2 * LANES) : one;
        const vec i = G == 4 ? v_load(gates + 3 * LANES) : v_sub(one, f), c_prev = v_load(row->c_prev + u);
        const vec d_h = v_load(row->d_h + u), d_c = v_fma(d_h, o, v_load(row->d_c + u));
        vec d[4];
        d[0] = v_mul(v_mul(d_c, i), v_sub(one, v_mul(z, z)));
        d[1] = v_mul(v_mul(d_c, G == 4 ? c_prev : v_sub(c_prev, z)), v_mul(f, v_sub(one, f)));
        if (G > 2) d[2] = v_mul(v_mul(d_h, v_fma(f, c_prev, v_mul(i, z))), v_mul(o, v_sub(one, o)));
        if (G == 4) d[3] = v_mul(v_mul(d_c, z), v_mul(i, v_sub(one, i)));
        for (int k = 0; k < G; k++) {
            real *d_sums = row->d_sums + K * G * u + k * LANES;
            for (int later = K - 1; later >= 0; later--) { /* the state behind has been read */
                const Py_ssize_t at = (1 + (later - 1) * G + k) * p + u, behind = at + G * p;
                const vec d_sum = later ? v_load(row->d_c + at) : d[k];
                v_store(d_sums + later * G * LANES, d_sum);
                if (later + 1 < K)
                    v_store(row->d_c + behind, v_add(d_sum, row->direct_c ? v_load(row->direct_c + behind) : none));
            }
        }
        v_store(row->d_c + u, v_fma(d_c, f, row->direct_c ? v_load(row->direct_c + u) : none));
    }
}

#define QRNN(cell_name, G, K, names)                                                                                          \
    SKLSTM_INLINE void cell_name##_forward(CellRow *row) { qrnn_forward(G, K, row); }                                         \
    SKLSTM_INLINE void cell_name##_backward(CellRow *row) { qrnn_backward(G, K, row); }                                       \
    SKLSTM_INLINE void cell_name##_sizes(const Py_ssize_t *numbers, CellSizes *sizes) {                                       \
        (void)numbers;                                                                                                        \
        sizes->n_states = 1 + G * (K - 1);                                                                                    \
    }                                                                                                                         \
    static const Cell cell_name = {                                                                                           \
        .name = #cell_name, .sums = names, .driver = ROWS, .n_sums = K * G, .units = 1, .x_count = K * G, .has_c = 1,         \
        .row_forward = cell_name##_forward, .row_backward = cell_name##_backward, .sizes = cell_name##_sizes,                 \
    };
QRNN(qrnn_f, 2, 2, "z f z_next f_next")
QRNN(qrnn_fo, 3, 2, "z f o z_next f_next o_next")
QRNN(qrnn_ifo, 4, 2, "z f o i z_next f_next o_next i_next")
QRNN(qrnn_f_3, 2, 3, "z f z_next f_next z_later f_later")
QRNN(qrnn_fo_3, 3, 3, "z f o z_next f_next o_next z_later f_later o_later")
QRNN(qrnn_ifo_3, 4, 3, "z f o i z_next f_next o_next i_next z_later f_later o_later i_later")
