/* The diagonal state space S4D (Gu et al. 2022): N complex states a unit, a = -exp(log_a_re) + i a_im, dt = exp(log_dt), B = 1.
 *   v = W x + b        s'_n = A_n s_n + v        h = 2 Re(sum_n C_n B_n s'_n) + D v
 * A and B from a and dt by discretise.h; the state of the paper is B s. numbers: N, 1 for bilinear. States: real parts,
 * imaginary parts. Vectors: log_dt, log_a_re (N), a_im (N), C_re (N), C_im (N), D. Derived, N each: A_re, A_im, and of K = 2 C B
 * K_re, K_im.
 */
SKLSTM_INLINE void s4d_sizes(const Py_ssize_t *numbers, CellSizes *sizes) {
    *sizes = (CellSizes){2 * numbers[0], 0, 4 * numbers[0] + 2, 4 * numbers[0]};
}

SKLSTM_INLINE Discretised s4d_discretise(const CellDerivation *d, Py_ssize_t k, Py_ssize_t u) {
    const Py_ssize_t p = d->stride, at = (1 + k) * p + u;
    vec dt = v_load(d->vectors + u), re = v_load(d->vectors + at);
    exp_of_weights(1, &dt);
    exp_of_weights(1, &re);
    return discretise(d->numbers[1] != 0, dt, c_make(v_negative(re), v_load(d->vectors + at + d->numbers[0] * p)));
}

SKLSTM_INLINE complex_vec s4d_output(const CellDerivation *d, Py_ssize_t k, Py_ssize_t u) {
    const real *c = d->vectors + (1 + 2 * d->numbers[0] + k) * d->stride + u;
    return c_make(v_load(c), v_load(c + d->numbers[0] * d->stride));
}

SKLSTM_INLINE void s4d_derived(CellDerivation *d) {
    const Py_ssize_t n = d->numbers[0], p = d->stride, block = n * p;
    for (Py_ssize_t k = 0; k < n; k++)
        for (Py_ssize_t u = 0; u < p; u += LANES) {
            const Discretised one = s4d_discretise(d, k, u);
            const complex_vec out = c_scale(v_broadcast(2), c_mul(s4d_output(d, k, u), one.gain));
            real *to = d->derived + k * p + u;
            v_store(to, one.step.re);
            v_store(to + block, one.step.im);
            v_store(to + 2 * block, out.re);
            v_store(to + 3 * block, out.im);
        }
}

SKLSTM_INLINE void s4d_derived_backward(CellDerivation *d) {
    const Py_ssize_t n = d->numbers[0], p = d->stride, block = n * p;
    for (Py_ssize_t k = 0; k < n; k++)
        for (Py_ssize_t u = 0; u < p; u += LANES) {
            const Discretised one = s4d_discretise(d, k, u);
            const real *from = d->d_derived + k * p + u;
            const complex_vec d_step = c_make(v_load(from), v_load(from + block));
            const complex_vec d_out = c_scale(v_broadcast(2), c_make(v_load(from + 2 * block), v_load(from + 3 * block)));
            const complex_vec d_c = c_mul(d_out, c_conjugate(one.gain));
            complex_vec d_a;
            vec d_dt;
            discretise_backward(&one, d_step, c_mul(d_out, c_conjugate(s4d_output(d, k, u))), &d_a, &d_dt);
            real *to = d->d_vectors + (1 + k) * p + u;
            add_product_to(d->d_vectors + u, d_dt, one.dt);
            add_product_to(to, d_a.re, one.a.re);
            add_to(to + block, d_a.im);
            add_to(to + 2 * block, d_c.re);
            add_to(to + 3 * block, d_c.im);
        }
}

SKLSTM_INLINE void s4d_forward(CellRow *row) {
    const Py_ssize_t n = row->numbers[0], p = row->stride, block = n * p;
    const real *through = row->vectors + (1 + 4 * n) * p;
    for (Py_ssize_t u = 0; u < p; u += LANES) {
        const vec v = v_load(row->gates + u);
        vec h = v_mul(v_load(through + u), v);
        for (Py_ssize_t at = u; at < block; at += p) {
            const real *d = row->derived + at;
            const vec a = v_load(d), a_im = v_load(d + block);
            const vec re = v_load(row->c_prev + at), im = v_load(row->c_prev + block + at);
            const vec new_re = v_sub(v_fma(a, re, v), v_mul(a_im, im)), new_im = v_fma(a, im, v_mul(a_im, re));
            v_store(row->c_next + at, new_re);
            v_store(row->c_next + block + at, new_im);
            h = v_sub(v_fma(v_load(d + 2 * block), new_re, h), v_mul(v_load(d + 3 * block), new_im));
        }
        v_store(row->h_next + u, h);
    }
}

SKLSTM_INLINE void s4d_backward(CellRow *row) {
    const Py_ssize_t n = row->numbers[0], p = row->stride, block = n * p;
    const real *through = row->vectors + (1 + 4 * n) * p;
    for (Py_ssize_t u = 0; u < p; u += LANES) {
        const vec v = v_load(row->gates + u), d_h = v_load(row->d_h + u);
        vec d_v = v_mul(v_load(through + u), d_h);
        add_product_to(row->d_vectors + (1 + 4 * n) * p + u, d_h, v);
        for (Py_ssize_t k = 0; k < n; k++) {
            const Py_ssize_t at = k * p + u;
            const real *d = row->derived + at;
            real *d_d = row->d_derived + at;
            const complex_vec a = c_make(v_load(d), v_load(d + block));
            const complex_vec s = c_make(v_load(row->c_prev + at), v_load(row->c_prev + block + at));
            const vec new_re = v_sub(v_fma(a.re, s.re, v), v_mul(a.im, s.im)), new_im = v_fma(a.re, s.im, v_mul(a.im, s.re));
            const complex_vec g = c_make(v_fma(v_load(d + 2 * block), d_h, v_load(row->d_c + at)),
                                         v_sub(v_load(row->d_c + block + at), v_mul(v_load(d + 3 * block), d_h)));
            const complex_vec d_a = c_mul(g, c_conjugate(s)), d_s = c_mul(g, c_conjugate(a));
            add_to(d_d, d_a.re);
            add_to(d_d + block, d_a.im);
            add_product_to(d_d + 2 * block, d_h, new_re);
            add_product_to(d_d + 3 * block, v_negative(d_h), new_im);
            d_v = v_add(d_v, g.re);
            store_d_state(row, k, u, d_s.re);
            store_d_state(row, n + k, u, d_s.im);
        }
        v_store(row->d_sums + u, d_v);
    }
}

static const Cell s4d = {
    .name = "s4d", .sums = "v", .driver = ROWS, .n_sums = 1, .units = 4, .x_count = 1, .has_c = 1,
    .row_forward = s4d_forward, .row_backward = s4d_backward, .sizes = s4d_sizes, .derive = s4d_derived,
    .derive_backward = s4d_derived_backward,
};
