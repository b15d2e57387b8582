/* The quasi-recurrent network (Bradbury et al. 2016) with a window of two or three inputs and its three poolings.
 *   z = tanh(.)   f, o, i = sigmoid(.)   each sum W x_t + b + [W' x + b']_{t-1} (+ [W'' x + b'']_{t-2})
 *   f:   h' = f h + (1 - f) z
 *   fo:  c' = f c + (1 - f) z   h' = o c'
 *   ifo: c' = f c + i z         h' = o c'
 * What a row adds to the sums of later steps is computed with the row and carried as a state: no row is read twice. States:
 * c (of f: h), then what is added to z, f, o, i one step later, then two steps later. Sums: z f o i, then those for one step later
 * in the same order, then those for two.
 */

/* The range of gate k (kept.h): z, or one of f, o, i. */
#define QRNN_RANGE(k) ((k) ? UNIT : SYMMETRIC)

/* G gates, 2 for f, 3 for fo, 4 for ifo; windows of K inputs. Gate k and what is added to it `later` steps on are state
 * 1 + (later - 1) G + k. */
SKLSTM_INLINE void qrnn_step(const int n, const int G, const int K, CellForward *s) {
    vec gate[4][SIDE_BY_SIDE];
#pragma GCC unroll 4
    for (int k = 0; k < G; k++) {
        EACH gate[k][j] = v_add(v_load(s->sums[j] + k * LANES), v_load(s->c_prev[j] + (1 + k) * s->stride));
#pragma GCC unroll 4
        for (int later = 1; later < K; later++) EACH {
            const Py_ssize_t state = (1 + (later - 1) * G + k) * s->stride;
            const vec sum = v_load(s->sums[j] + (later * G + k) * LANES);
            const vec carried = later + 1 < K ? v_add(sum, v_load(s->c_prev[j] + state + G * s->stride)) : sum;
            v_store(s->c_next[j] + state, carried);
        }
        if (k) v_sigmoid(n, gate[k]);
        else v_tanh(n, gate[k]);
        if (s->gates) EACH keep(s->compact, QRNN_RANGE(k), s->gates, K * G * s->u[j] + k * LANES, gate[k][j]);
    }
    EACH {
        const vec entering = v_mul(G == 4 ? gate[3][j] : v_sub(v_broadcast(1), gate[1][j]), gate[0][j]);
        s->c[j] = v_fma(gate[1][j], s->c[j], entering);
        s->h[j] = G == 2 ? s->c[j] : v_mul(gate[2][j], s->c[j]);
    }
}

SKLSTM_INLINE void qrnn_gradient(const int G, const int K, CellBackward *s) {
    const vec one = v_broadcast(1);
    const vec z = kept(s->compact, SYMMETRIC, s->gates, 0), f = kept(s->compact, UNIT, s->gates, LANES);
    const vec o = G > 2 ? kept(s->compact, UNIT, s->gates, 2 * LANES) : one;
    const vec i = G == 4 ? kept(s->compact, UNIT, s->gates, 3 * LANES) : v_sub(one, f);
    const vec d_c = v_fma(s->d_h, o, s->d_c);
    s->d_sums[0] = v_mul(v_mul(d_c, i), v_sub(one, v_mul(z, z)));
    s->d_sums[1] = v_mul(v_mul(d_c, G == 4 ? s->c_prev : v_sub(s->c_prev, z)), v_mul(f, v_sub(one, f)));
    if (G > 2) s->d_sums[2] = v_mul(v_mul(s->d_h, v_fma(f, s->c_prev, v_mul(i, z))), v_mul(o, v_sub(one, o)));
    if (G == 4) s->d_sums[3] = v_mul(v_mul(d_c, z), v_mul(i, v_sub(one, i)));
#pragma GCC unroll 4
    for (int k = 0; k < G; k++)
#pragma GCC unroll 4
        for (int later = 1; later < K; later++) {
            const Py_ssize_t state = (1 + (later - 1) * G + k) * s->stride;
            const vec before = s->d_sums[(later - 1) * G + k];
            s->d_sums[later * G + k] = v_load(s->more_d_c + state);
            v_store(s->more_d_c + state, s->more_direct_c ? v_add(before, v_load(s->more_direct_c + state)) : before);
        }
    s->d_c = v_fma(d_c, f, s->direct_c);
}

#define QRNN(cell_name, G, K, names)                                                                                          \
    SKLSTM_INLINE void cell_name##_forward(const int n, CellForward *s) { qrnn_step(n, G, K, s); }                            \
    SKLSTM_INLINE void cell_name##_backward(CellBackward *s) { qrnn_gradient(G, K, s); }                                      \
    static const Cell cell_name = {                                                                                           \
        .name = #cell_name, .sums = names, .driver = ELEMENTWISE, .n_sums = K * G, .units = 1, .x_count = K * G, .has_c = 1,  \
        .more_states = G * (K - 1), .forward = cell_name##_forward, .backward = cell_name##_backward,                         \
    };
QRNN(qrnn_f, 2, 2, "z f z_next f_next")
QRNN(qrnn_fo, 3, 2, "z f o z_next f_next o_next")
QRNN(qrnn_ifo, 4, 2, "z f o i z_next f_next o_next i_next")
QRNN(qrnn_f_3, 2, 3, "z f z_next f_next z_later f_later")
QRNN(qrnn_fo_3, 3, 3, "z f o z_next f_next o_next z_later f_later o_later")
QRNN(qrnn_ifo_3, 4, 3, "z f o i z_next f_next o_next i_next z_later f_later o_later i_later")
