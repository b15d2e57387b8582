/* Functions beyond sigmoid, tanh and exp: log, softplus, sine and cosine, square root, SiLU, softsign.
 *
 * float, reduced numbers included: one text of correctly rounded operations, so that the reduced formats give the same bits on
 * all machines. Polynomials of log, sine and cosine are those of S. Moshier's Cephes (logf.c, sinf.c).
 *   log x = k ln 2 + log m     x = 2^k m, m in [sqrt 1/2, sqrt 2)
 *   softplus x = max(x, 0) + log1p(e^-|x|)     its relative precision holds for x << 0 too
 *   sin, cos: x = k pi/2 + r by three parts of pi/2 (Cody & Waite), of which k times the first two is exact for |k| < 2^13
 * Bounds that are asserted: tests/kernels/test_functions.py.
 * double: libm, lane by lane.
 */

/* |x|; a NaN stays one. */
SKLSTM_INLINE vec v_abs(vec x) { return v_select_nonnegative(x, x, v_sub(v_broadcast(0), x)); }

/* 2^k of whole numbers k <= 0, exactly; below the smallest normal number that number. Other k are rounded. */
SKLSTM_INLINE vec v_power_of_two(vec k) {
#if SKLSTM_REAL_IS_FLOAT
    const vec biased = v_add(v_clamp(k, -126, 0), v_broadcast((real)12582912.0)); /* 1.5 2^23: k is in the low bits */
    uint32_t bits[SKLSTM_VEC_BYTES / 4]; /* stay in a register */
    memcpy(bits, &biased, sizeof bits);
    for (int l = 0; l < LANES; l++) bits[l] = (bits[l] + 127u) << 23;
    memcpy(&k, bits, sizeof bits);
#else
    for (int l = 0; l < LANES; l++) LANE(k, l) = ldexp(1.0, LANE(k, l) > -1022 ? (int)rint(LANE(k, l)) : -1022);
#endif
    return k;
}

SKLSTM_INLINE vec v_sqrt(vec x) {
    real lanes[SKLSTM_VEC_BYTES / sizeof(real)]; /* stay in a register */
    memcpy(lanes, &x, sizeof lanes);
    for (int l = 0; l < LANES; l++) lanes[l] = square_root(lanes[l]);
    memcpy(&x, lanes, sizeof lanes);
    return x;
}

/* x / (1 + |x|), and its slope from its value. */
SKLSTM_INLINE vec v_softsign(vec x) { return v_div(x, v_add(v_broadcast(1), v_abs(x))); }
SKLSTM_INLINE vec v_softsign_slope(vec y) {
    const vec rest = v_sub(v_broadcast(1), v_abs(y));
    return v_mul(rest, rest);
}

/* x sigmoid(x), and its slope from x. */
SKLSTM_INLINE void v_silu(const int n, vec *x) {
    vec gate[SIDE_BY_SIDE];
    EACH gate[j] = x[j];
    v_sigmoid(n, gate);
    EACH x[j] = v_mul(x[j], gate[j]);
}

SKLSTM_INLINE void v_silu_slope(const int n, vec *x) {
    const vec one = v_broadcast(1);
    vec gate[SIDE_BY_SIDE];
    EACH gate[j] = x[j];
    v_sigmoid(n, gate);
    EACH x[j] = v_mul(gate[j], v_fma(x[j], v_sub(one, gate[j]), one));
}

#if SKLSTM_REAL_IS_FLOAT

/* The sum of k ln 2 and log(1 + f), sqrt(1/2) <= 1 + f < sqrt(2). */
SKLSTM_INLINE vec log_of_parts(vec k, vec f) {
    const vec square = v_mul(f, f);
    vec p = v_fma(v_broadcast(7.0376836292e-2f), f, v_broadcast(-1.1514610310e-1f));
    p = v_fma(p, f, v_broadcast(1.1676998740e-1f));
    p = v_fma(p, f, v_broadcast(-1.2420140846e-1f));
    p = v_fma(p, f, v_broadcast(1.4249322787e-1f));
    p = v_fma(p, f, v_broadcast(-1.6668057665e-1f));
    p = v_fma(p, f, v_broadcast(2.0000714765e-1f));
    p = v_fma(p, f, v_broadcast(-2.4999993993e-1f));
    p = v_fma(p, f, v_broadcast(3.3333331174e-1f));
    p = v_mul(v_mul(p, f), square);
    p = v_fma(k, v_broadcast(-2.12194440e-4f), p);
    p = v_fma(square, v_broadcast(-0.5f), p);
    return v_fma(k, v_broadcast(0.693359375f), v_add(f, p));
}

SKLSTM_INLINE vec log_of_vector(vec x) {
    const vec positive = v_clamp(x, 1.17549435e-38f, 3.40282347e+38f);
    uint32_t bits[SKLSTM_VEC_BYTES / 4];
    float k[SKLSTM_VEC_BYTES / 4];
    vec power, m;
    memcpy(bits, &positive, sizeof bits);
    for (int l = 0; l < LANES; l++) {
        const uint32_t shifted = bits[l] + (0x3f800000u - 0x3f3504f3u);
        k[l] = (float)((int32_t)(shifted >> 23) - 127);
        bits[l] = (shifted & 0x7fffffu) + 0x3f3504f3u;
    }
    memcpy(&power, k, sizeof power);
    memcpy(&m, bits, sizeof m);
    /* the difference is 0, or a NaN that the bits have lost */
    return v_add(log_of_parts(power, v_sub(m, v_broadcast(1.0f))), v_sub(positive, positive));
}

/* From e = exp(-|x|): f = e or, where 1 + e is beyond sqrt(2), (e - 1) / 2. */
SKLSTM_INLINE vec softplus_of_parts(vec x, vec e) {
    const vec beyond = v_sub(e, v_broadcast(0.41421357f)), one = v_broadcast(1.0f), half = v_broadcast(0.5f);
    const vec f = v_select_nonnegative(beyond, v_mul(v_sub(e, one), half), e);
    return v_add(v_relu(x), log_of_parts(v_select_nonnegative(beyond, one, v_broadcast(0.0f)), f));
}

SKLSTM_INLINE void sin_cos_of_vector(vec x, vec *sine, vec *cosine) {
    const vec shift = v_broadcast(12582912.0f), limited = v_clamp(x, -12800.0f, 12800.0f);
    const vec biased = v_fma(limited, v_broadcast(0.636619772f), shift), k = v_sub(biased, shift);
    vec r = v_fma(k, v_broadcast(-1.5703125f), limited);
    r = v_fma(k, v_broadcast(-4.837512969970703e-4f), r);
    r = v_fma(k, v_broadcast(-7.549790126404332e-8f), r);
    const vec z = v_mul(r, r);
    vec s = v_fma(v_broadcast(-1.9515295891e-4f), z, v_broadcast(8.3321608736e-3f));
    s = v_fma(v_mul(v_fma(s, z, v_broadcast(-1.6666654611e-1f)), z), r, r);
    vec c = v_fma(v_broadcast(2.443315711809948e-5f), z, v_broadcast(-1.388731625493765e-3f));
    c = v_mul(v_mul(v_fma(c, z, v_broadcast(4.166664568298827e-2f)), z), z);
    c = v_add(v_fma(z, v_broadcast(-0.5f), c), v_broadcast(1.0f));
    uint32_t quadrant[SKLSTM_VEC_BYTES / 4], a[SKLSTM_VEC_BYTES / 4], b[SKLSTM_VEC_BYTES / 4];
    memcpy(quadrant, &biased, sizeof quadrant);
    memcpy(a, &s, sizeof a);
    memcpy(b, &c, sizeof b);
    for (int l = 0; l < LANES; l++) {
        const uint32_t swap = 0u - (quadrant[l] & 1u), first = (a[l] & ~swap) | (b[l] & swap);
        b[l] = ((b[l] & ~swap) | (a[l] & swap)) ^ ((quadrant[l] + 1u) & 2u) << 30;
        a[l] = first ^ (quadrant[l] & 2u) << 30;
    }
    memcpy(sine, a, sizeof a);
    memcpy(cosine, b, sizeof b);
}

/* Where a vector takes several registers, inlined text would live in memory and be ten times as long. */
#  if SKLSTM_REDUCED && !SKLSTM_AVX512
#    define SKLSTM_FUNCTION SKLSTM_NOINLINE
#  else
#    define SKLSTM_FUNCTION SKLSTM_INLINE
#  endif
SKLSTM_FUNCTION void log_in_place(vec *x) { *x = log_of_vector(*x); }
SKLSTM_FUNCTION void softplus_in_place(vec *x, const vec *e) { *x = softplus_of_parts(*x, *e); }
SKLSTM_FUNCTION void sin_cos_to(const vec *x, vec *sine, vec *cosine) { sin_cos_of_vector(*x, sine, cosine); }

/* The natural logarithm; of numbers below the smallest normal one, 0 and negative ones included, that of it (-87.3). */
SKLSTM_INLINE void v_log(const int n, vec *x) {
    EACH log_in_place(x + j);
}

/* log(1 + e^x); below -87 that of -87. */
SKLSTM_INLINE void v_softplus(const int n, vec *x) {
    vec e[SIDE_BY_SIDE];
    EACH e[j] = v_sub(v_broadcast(0.0f), v_abs(x[j]));
    v_exp(n, e);
    EACH softplus_in_place(x + j, e + j);
}

/* For |x| <= 12,800; beyond, those of 12,800. */
SKLSTM_INLINE void v_sin_cos(const int n, const vec *x, vec *sine, vec *cosine) {
    EACH sin_cos_to(x + j, sine + j, cosine + j);
}

#else

SKLSTM_INLINE void v_log(const int n, vec *x) {
    const double least = 2.2250738585072014e-308;
    EACH for (int l = 0; l < LANES; l++) LANE(x[j], l) = log(LANE(x[j], l) < least ? least : LANE(x[j], l));
}

SKLSTM_INLINE void v_softplus(const int n, vec *x) {
    EACH for (int l = 0; l < LANES; l++) {
        const double a = LANE(x[j], l);
        LANE(x[j], l) = (a <= 0 ? 0 : a) + log1p(exp(-fabs(a)));
    }
}

SKLSTM_INLINE void v_sin_cos(const int n, const vec *x, vec *sine, vec *cosine) {
    EACH for (int l = 0; l < LANES; l++) {
        const double a = LANE(x[j], l);
        LANE(sine[j], l) = sin(a);
        LANE(cosine[j], l) = cos(a);
    }
}

#endif

/* Over an array of any length: what the tests measure. STATEMENT turns a vector x into the values. */
#define SKLSTM_ARRAY_FUNCTION(name, STATEMENT)                                                                                \
    static void name##_array(Py_ssize_t n, const void *values, void *out) {                                                   \
        for (Py_ssize_t k = 0; k < n; k += LANES) {                                                                           \
            real part[SKLSTM_VEC_BYTES / sizeof(real)] = {0};                                                                 \
            const size_t size = (size_t)(n - k < LANES ? n - k : LANES) * sizeof(real);                                       \
            memcpy(part, (const real *)values + k, size);                                                                     \
            vec x = v_load(part);                                                                                             \
            STATEMENT;                                                                                                        \
            v_store(part, x);                                                                                                 \
            memcpy((real *)out + k, part, size);                                                                              \
        }                                                                                                                     \
    }

SKLSTM_INLINE vec gate_of(vec x) {
    vec z[4] = {x, x, x, x};
    v_gates(z);
    return z[0];
}

SKLSTM_INLINE vec sine_or_cosine(vec x, const int which) {
    vec of[2];
    v_sin_cos(1, &x, of, of + 1);
    return of[which];
}

SKLSTM_ARRAY_FUNCTION(sigmoid, x = gate_of(x))
SKLSTM_ARRAY_FUNCTION(tanh, v_tanh(1, &x))
SKLSTM_ARRAY_FUNCTION(exp, v_exp(1, &x))
SKLSTM_ARRAY_FUNCTION(log, v_log(1, &x))
SKLSTM_ARRAY_FUNCTION(softplus, v_softplus(1, &x))
SKLSTM_ARRAY_FUNCTION(sine, x = sine_or_cosine(x, 0))
SKLSTM_ARRAY_FUNCTION(cosine, x = sine_or_cosine(x, 1))
SKLSTM_ARRAY_FUNCTION(root, x = v_sqrt(x))
SKLSTM_ARRAY_FUNCTION(silu, v_silu(1, &x))
SKLSTM_ARRAY_FUNCTION(silu_slope, v_silu_slope(1, &x))
SKLSTM_ARRAY_FUNCTION(softsign, x = v_softsign(x))
SKLSTM_ARRAY_FUNCTION(softsign_slope, x = v_softsign_slope(x))

/* In the order of FUNCTIONS in core/_pointwise.pyx. */
typedef void (*ArrayFunction)(Py_ssize_t n, const void *x, void *out);
static const ArrayFunction array_functions[] = {
    sigmoid_array, tanh_array, exp_array, log_array, softplus_array, sine_array, cosine_array, root_array, silu_array,
    silu_slope_array, softsign_array, softsign_slope_array,
};
