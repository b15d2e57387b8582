/* The simplified state space layer S5 (Smith et al. 2023): the cell of halves.h with A and B of discretise.h,
 *   a = -exp(log_re) + i im, dt = exp(log_dt)
 * numbers: 1 for bilinear. Vectors: lambda (log_re in the first half and an odd last unit, im in the second half), log_dt (its
 * second half is not read), D.
 */
SKLSTM_INLINE void s5_sizes(const Py_ssize_t *numbers, CellSizes *sizes) {
    (void)numbers;
    *sizes = (CellSizes){1, 2, 3, HALVES_DERIVED};
}

SKLSTM_INLINE Discretised s5_discretise(const CellDerivation *d, Pairs at) {
    const complex_vec lambda = load_pairs(d->vectors, at);
    vec dt = load_pairs(d->vectors + d->stride, at).re, re = lambda.re;
    exp_of_weights(1, &dt);
    exp_of_weights(1, &re);
    return discretise(d->numbers[0] != 0, dt, c_make(v_negative(re), lambda.im));
}

SKLSTM_INLINE void s5_derived(CellDerivation *d) {
    const Py_ssize_t p = d->stride;
    memset(d->derived, 0, (size_t)(HALVES_DERIVED * p) * sizeof(real));
    EACH_PAIRS(d->n_units, begin) {
        const Pairs at = next_pairs(d->n_units, begin);
        const Discretised one = s5_discretise(d, at);
        store_pairs(d->derived, at, one.step.re, one.step.re);
        store_pairs(d->derived + p, at, v_negative(one.step.im), one.step.im);
        store_pairs(d->derived + 2 * p, at, one.gain.re, one.gain.re);
        store_pairs(d->derived + 3 * p, at, v_negative(one.gain.im), one.gain.im);
    }
}

SKLSTM_INLINE void s5_derived_backward(CellDerivation *d) {
    const Py_ssize_t p = d->stride;
    EACH_PAIRS(d->n_units, begin) {
        const Pairs at = next_pairs(d->n_units, begin);
        const Discretised one = s5_discretise(d, at);
        complex_vec d_a;
        vec d_dt;
        discretise_backward(&one, gradient_of_pairs(d->d_derived, p, at), gradient_of_pairs(d->d_derived + 2 * p, p, at), &d_a,
                            &d_dt);
        add_to_pairs(d->d_vectors, at, v_mul(d_a.re, one.a.re), d_a.im);
        add_to_pairs(d->d_vectors + p, at, v_mul(d_dt, one.dt), v_broadcast(0));
    }
}

static const Cell s5 = {
    .name = "s5", .sums = "v", .driver = ROWS, .n_sums = 1, .units = 4, .x_count = 1, .has_c = 1,
    .row_forward = halves_forward, .row_backward = halves_backward, .sizes = s5_sizes, .derive = s5_derived,
    .derive_backward = s5_derived_backward,
};
