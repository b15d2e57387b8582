/* sigmoid and tanh.
 *
 * float: both stand on one evaluation of exp(x) = s + s q, with x = n ln 2 + r, |r| <= ln(2)/2, s = 2^n and q = expm1(r)
 * as a polynomial of degree 6 (relative error 1.4e-8, a quarter of half an ULP; fitted by iteratively re-weighted least
 * squares). Keeping q apart from s is what lets tanh keep its relative precision near 0: expm1(x) = (s - 1) + s q.
 *   sigmoid(x) = 1 / (1 + exp(-x))                 tanh(x) = e / (e + 2),  e = expm1(2 x)
 * Measured over all floats in [-100, 100]: see tests/kernels/test_activations.py for the asserted bounds.
 * double: libm, lane by lane. It is the oracle of the gradient tests, not the fast path.
 */
#if SKLSTM_REAL_IS_FLOAT

/* |x| <= 127 ln 2 is the caller's business: s must stay a normal float. */
SKLSTM_INLINE void exp_parts(vec x, vec *s, vec *q) {
    /* Adding 1.5 * 2^23 leaves round(x / ln 2) in the low bits: one addition instead of a rounding instruction. */
    const float shift = 12582912.0f;
    vec biased = v_fma(x, v_broadcast(1.44269504088896341f), v_broadcast(shift));
    vec n = v_sub(biased, v_broadcast(shift));
    vec r = v_fma(n, v_broadcast(-0.693145751953125f), x);
    r = v_fma(n, v_broadcast(-1.42860677e-6f), r);
    vec p = v_broadcast(0.0013882521f);
    p = v_fma(p, r, v_broadcast(0.0083665205f));
    p = v_fma(p, r, v_broadcast(0.0416672f));
    p = v_fma(p, r, v_broadcast(0.16666543f));
    p = v_fma(p, r, v_broadcast(0.49999997f));
    *q = v_fma(p, v_mul(r, r), r);
    uint32_t bits[SKLSTM_VEC_BYTES / 4]; /* stays in a register */
    memcpy(bits, &biased, sizeof bits);
    for (int l = 0; l < LANES; l++) bits[l] = (bits[l] + 127u) << 23;
    memcpy(s, bits, sizeof bits);
}

SKLSTM_INLINE vec v_sigmoid(vec x) {
    vec s, q;
    const vec one = v_broadcast(1.0f);
    exp_parts(v_clamp(v_sub(v_broadcast(0.0f), x), -87.0f, 87.0f), &s, &q);
    return v_div(one, v_add(one, v_fma(s, q, s)));
}

SKLSTM_INLINE vec v_tanh(vec x) {
    vec s, q;
    exp_parts(v_clamp(v_add(x, x), -40.0f, 40.0f), &s, &q);
    vec e = v_fma(s, q, v_sub(s, v_broadcast(1.0f)));
    return v_div(e, v_add(e, v_broadcast(2.0f)));
}

#else

SKLSTM_INLINE vec v_sigmoid(vec x) {
    for (int l = 0; l < LANES; l++) LANE(x, l) = 1.0 / (1.0 + exp(-LANE(x, l)));
    return x;
}

SKLSTM_INLINE vec v_tanh(vec x) {
    for (int l = 0; l < LANES; l++) LANE(x, l) = tanh(LANE(x, l));
    return x;
}

#endif

/* Over an array of any length: what the tests measure. */
static void sigmoid_array(Py_ssize_t n, const void *x, void *out) {
    for (Py_ssize_t k = 0; k < n; k += LANES) {
        real part[SKLSTM_VEC_BYTES / sizeof(real)] = {0};
        const size_t size = (size_t)(n - k < LANES ? n - k : LANES) * sizeof(real);
        memcpy(part, (const real *)x + k, size);
        v_store(part, v_sigmoid(v_load(part)));
        memcpy((real *)out + k, part, size);
    }
}

static void tanh_array(Py_ssize_t n, const void *x, void *out) {
    for (Py_ssize_t k = 0; k < n; k += LANES) {
        real part[SKLSTM_VEC_BYTES / sizeof(real)] = {0};
        const size_t size = (size_t)(n - k < LANES ? n - k : LANES) * sizeof(real);
        memcpy(part, (const real *)x + k, size);
        v_store(part, v_tanh(v_load(part)));
        memcpy((real *)out + k, part, size);
    }
}
