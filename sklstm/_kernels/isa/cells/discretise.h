/* From a rate a and a step dt (both of a complex, diagonal system s' = a s + v) to its step, s_t = A s_{t-1} + B v_t:
 *   zero-order hold   A = exp(z)                     B = dt phi(z), phi(z) = (exp(z) - 1) / z       z = dt a, Re a < 0
 *   bilinear          A = (1 + z / 2) / (1 - z / 2)  B = dt / (1 - z / 2)
 * Vectors of real and imaginary parts. Near zero phi and its derivative come from their series.
 */
typedef struct { vec re, im; } complex_vec;

SKLSTM_INLINE complex_vec c_make(vec re, vec im) { return (complex_vec){re, im}; }
SKLSTM_INLINE complex_vec c_real(real x) { return c_make(v_broadcast(x), v_broadcast(0)); }
SKLSTM_INLINE complex_vec c_add(complex_vec a, complex_vec b) { return c_make(v_add(a.re, b.re), v_add(a.im, b.im)); }
SKLSTM_INLINE complex_vec c_sub(complex_vec a, complex_vec b) { return c_make(v_sub(a.re, b.re), v_sub(a.im, b.im)); }
SKLSTM_INLINE complex_vec c_scale(vec x, complex_vec a) { return c_make(v_mul(x, a.re), v_mul(x, a.im)); }
SKLSTM_INLINE complex_vec c_conjugate(complex_vec a) { return c_make(a.re, v_negative(a.im)); }
SKLSTM_INLINE complex_vec c_mul(complex_vec a, complex_vec b) {
    return c_make(v_sub(v_mul(a.re, b.re), v_mul(a.im, b.im)), v_fma(a.re, b.im, v_mul(a.im, b.re)));
}
SKLSTM_INLINE vec c_square(complex_vec a) { return v_fma(a.re, a.re, v_mul(a.im, a.im)); }
SKLSTM_INLINE complex_vec c_select(vec x, complex_vec a, complex_vec b) {
    return c_make(v_select_nonnegative(x, a.re, b.re), v_select_nonnegative(x, a.im, b.im));
}
/* 1 / a; where |a| is below the root of `least`, something finite */
SKLSTM_INLINE complex_vec c_inverse(complex_vec a, real least) {
    const vec square = c_square(a), far = v_sub(square, v_broadcast(least));
    return c_scale(v_div(v_broadcast(1), v_select_nonnegative(far, square, v_broadcast(1))), c_conjugate(a));
}

typedef struct {
    int bilinear;
    vec dt;
    complex_vec a, z, inverse;           /* inverse: of 1 - z / 2, or of z */
    complex_vec step, phi, gain;         /* A, B / dt, B */
} Discretised;

#define LEAST_SQUARE ((real)1e-20)

SKLSTM_INLINE void exp_and_phi(Discretised *d) {
    const vec half = v_broadcast((real)0.5);
    const complex_vec z = d->z;
    vec angle[2] = {z.im, v_mul(half, z.im)}, sine[2], cosine[2], size = z.re, t = v_mul(half, z.re);
    exp_of_weights(1, &size);
    v_tanh(1, &t);
    v_sin_cos(2, angle, sine, cosine);
    d->step = c_make(v_mul(size, cosine[0]), v_mul(size, sine[0]));
    /* exp(z) - 1 = expm1(x) cos y - 2 sin^2(y / 2) + i e^x sin y */
    const vec expm1 = v_div(v_add(t, t), v_sub(v_broadcast(1), t));
    const complex_vec less = c_make(v_sub(v_mul(expm1, cosine[0]), v_mul(v_add(sine[1], sine[1]), sine[1])), d->step.im);
    d->inverse = c_inverse(z, LEAST_SQUARE);
    d->phi = c_select(v_sub(c_square(z), v_broadcast(LEAST_SQUARE)), c_mul(less, d->inverse),
                      c_add(c_real(1), c_scale(half, z)));
}

SKLSTM_INLINE Discretised discretise(int bilinear, vec dt, complex_vec a) {
    Discretised d = {.bilinear = bilinear, .dt = dt, .a = a, .z = c_scale(dt, a)};
    if (bilinear) {
        const complex_vec half = c_scale(v_broadcast((real)0.5), d.z), one = c_real(1);
        d.phi = d.inverse = c_inverse(c_sub(one, half), 0);
        d.step = c_mul(c_add(one, half), d.inverse);
    } else {
        exp_and_phi(&d);
    }
    d.gain = c_scale(dt, d.phi);
    return d;
}

/* phi'(z): (A - phi) / z, or its series where that loses digits */
SKLSTM_INLINE complex_vec slope_of_phi(const Discretised *d) {
    static const double terms[] = {1.0 / 2, 1.0 / 3, 1.0 / 8, 1.0 / 30, 1.0 / 144, 1.0 / 840, 1.0 / 5760};
    complex_vec series = c_real((real)terms[6]);
    for (int k = 5; k >= 0; k--) series = c_add(c_mul(series, d->z), c_real((real)terms[k]));
    return c_select(v_sub(c_square(d->z), v_broadcast((real)0.01)), c_mul(c_sub(d->step, d->phi), d->inverse), series);
}

/* From the gradients of A and B (by their real and imaginary parts) to those of a and dt. */
SKLSTM_INLINE void discretise_backward(const Discretised *d, complex_vec d_step, complex_vec d_gain, complex_vec *d_a,
                                       vec *d_dt) {
    complex_vec d_z;
    if (d->bilinear) {
        const complex_vec square = c_conjugate(c_mul(d->inverse, d->inverse));
        d_z = c_mul(c_add(d_step, c_scale(v_mul(v_broadcast((real)0.5), d->dt), d_gain)), square);
    } else {
        d_z = c_add(c_mul(d_step, c_conjugate(d->step)), c_mul(c_scale(d->dt, d_gain), c_conjugate(slope_of_phi(d))));
    }
    *d_dt = v_add(c_mul(d_z, c_conjugate(d->a)).re, c_mul(d_gain, c_conjugate(d->phi)).re);
    *d_a = c_scale(d->dt, d_z);
}
