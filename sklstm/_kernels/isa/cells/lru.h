/* The linear recurrent unit (Orvieto et al. 2023, eqs 6 to 8): the cell of halves.h with
 *   A = exp(-exp(log_nu) + i exp(log_theta))        B = exp(log_gamma), a real number for each half
 * Vectors: log_lambda (log_nu in the first half and an odd last unit, log_theta in the second half), log_gamma, D.
 */
SKLSTM_INLINE void lru_sizes(const Py_ssize_t *numbers, CellSizes *sizes) {
    (void)numbers;
    *sizes = (CellSizes){1, 2, 3, HALVES_DERIVED};
}

/* exp(log_nu) and exp(log_theta); 0 where there is none */
SKLSTM_INLINE complex_vec lru_exponents(const CellDerivation *d, Pairs at) {
    const complex_vec logs = load_pairs(d->vectors, at);
    vec x[2] = {logs.re, logs.im};
    exp_of_weights(2, x);
    return c_make(x[0], at.distance ? x[1] : v_broadcast(0));
}

SKLSTM_INLINE void lru_derived(CellDerivation *d) {
    const Py_ssize_t p = d->stride;
    memset(d->derived, 0, (size_t)(HALVES_DERIVED * p) * sizeof(real));
    EACH_PAIRS(d->n_units, begin) {
        const Pairs at = next_pairs(d->n_units, begin);
        const complex_vec exponents = lru_exponents(d, at), log_gamma = load_pairs(d->vectors + p, at);
        vec size = v_negative(exponents.re), sine, cosine, gamma[2] = {log_gamma.re, log_gamma.im};
        exp_of_weights(1, &size);
        exp_of_weights(2, gamma);
        v_sin_cos(1, &exponents.im, &sine, &cosine);
        const vec im = v_mul(size, sine);
        store_pairs(d->derived, at, v_mul(size, cosine), v_mul(size, cosine));
        store_pairs(d->derived + p, at, v_negative(im), im);
        store_pairs(d->derived + 2 * p, at, gamma[0], gamma[1]);
    }
}

SKLSTM_INLINE void lru_derived_backward(CellDerivation *d) {
    const Py_ssize_t p = d->stride;
    EACH_PAIRS(d->n_units, begin) {
        const Pairs at = next_pairs(d->n_units, begin);
        const complex_vec exponents = lru_exponents(d, at), d_a = gradient_of_pairs(d->d_derived, p, at);
        const complex_vec a = c_make(load_pairs(d->derived, at).re, load_pairs(d->derived + p, at).im);
        const complex_vec d_f = load_pairs(d->d_derived + 2 * p, at), f = load_pairs(d->derived + 2 * p, at);
        /* dA = A (-d nu + i d theta) */
        const complex_vec d_log = c_mul(d_a, c_conjugate(a));
        add_to_pairs(d->d_vectors, at, v_mul(v_negative(d_log.re), exponents.re), v_mul(d_log.im, exponents.im));
        add_to_pairs(d->d_vectors + p, at, v_mul(d_f.re, f.re), v_mul(d_f.im, f.im));
    }
}

static const Cell lru = {
    .name = "lru", .sums = "v", .driver = ROWS, .n_sums = 1, .units = 4, .x_count = 1, .has_c = 1,
    .row_forward = halves_forward, .row_backward = halves_backward, .sizes = lru_sizes, .derive = lru_derived,
    .derive_backward = lru_derived_backward,
};
