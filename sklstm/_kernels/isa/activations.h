/* sigmoid and tanh.
 *
 * float: both are computed from exp(x) = s + s q, with x = n ln 2 + r, |r| <= ln(2)/2, s = 2^n and q = expm1(r)
 * as a polynomial of degree 6 (relative error 1.4e-8, a quarter of half an ULP; fitted by iteratively re-weighted least
 * squares). Keeping q apart from s is what lets tanh keep its relative precision near 0: expm1(x) = (s - 1) + s q.
 *   sigmoid(x) = 1 / (1 + s (1 + q)) of -x         tanh(x) = 1 / (1 + 2 / e),  e = expm1(2 x)
 * Each operation of both rises or falls with x, and so does its rounded result: neither function ever falls. e / (e + 2) has one
 * division less (a forward pass of 64 units 1 % faster, of 17 units 3 %) and falls at 770,000 of all numbers.
 * Up to SIDE_BY_SIDE vectors are evaluated interleaved: one alone waits for each result, and its waiting operations fill the
 * scheduler of the core before the next vector reaches it (4 % of a forward pass of 64 units).
 * Measured over all floats in [-100, 100]: see tests/kernels/test_activations.py for the asserted bounds.
 * double: libm, lane by lane. It is the oracle of the gradient tests, not the fast path.
 */
#define SIDE_BY_SIDE 4
#define EACH _Pragma("GCC unroll 4") for (int j = 0; j < n; j++)

#if SKLSTM_REDUCED && !SKLSTM_AVX512
#  include "narrow_activations.h"
#elif SKLSTM_REAL_IS_FLOAT

#if SKLSTM_REDUCED
#  include "short_activations.h"
#else
/* |x| <= 127 ln 2, where s is a normal float, or x just above 128 ln 2, where s is infinite and q positive. */
SKLSTM_INLINE void exp_parts(const int n, const float factor, const vec *x, vec *s, vec *q) {
    (void)factor; /* the arguments are negated and doubled already */
    /* Adding 1.5 * 2^23 leaves round(x / ln 2) in the low bits: one addition instead of a rounding instruction. */
    const float shift = 12582912.0f;
    vec biased[SIDE_BY_SIDE], whole[SIDE_BY_SIDE], r[SIDE_BY_SIDE], p[SIDE_BY_SIDE];
    EACH biased[j] = v_fma(x[j], v_broadcast(1.44269504088896341f), v_broadcast(shift));
    EACH whole[j] = v_sub(biased[j], v_broadcast(shift));
    EACH r[j] = v_fma(whole[j], v_broadcast(-0.693145751953125f), x[j]);
    EACH r[j] = v_fma(whole[j], v_broadcast(-1.42860677e-6f), r[j]);
    EACH {
        uint32_t bits[SKLSTM_VEC_BYTES / 4]; /* stays in a register */
        memcpy(bits, &biased[j], sizeof bits);
        for (int l = 0; l < LANES; l++) bits[l] = (bits[l] + 127u) << 23;
        memcpy(&s[j], bits, sizeof bits);
    }
    EACH p[j] = v_fma(v_broadcast(0.0013882521f), r[j], v_broadcast(0.0083665205f));
    EACH p[j] = v_fma(p[j], r[j], v_broadcast(0.0416672f));
    EACH p[j] = v_fma(p[j], r[j], v_broadcast(0.16666543f));
    EACH p[j] = v_fma(p[j], r[j], v_broadcast(0.49999997f));
    EACH q[j] = v_fma(p[j], v_mul(r[j], r[j]), r[j]);
}

enum { SIGMOID_FACTOR = 1, TANH_FACTOR = 1, EXP_FACTOR = 1 };
SKLSTM_INLINE void gate_parts(const vec *z, vec *s, vec *q) { exp_parts(4, 1, z, s, q); }
/* exp(89) is infinite, and what becomes of it exactly 0. */
SKLSTM_INLINE vec sigmoid_argument(vec x) { return v_clamp(v_sub(v_broadcast(0.0f), x), -87.0f, 89.0f); }
SKLSTM_INLINE vec tanh_argument(vec x) { return v_clamp(v_add(x, x), -40.0f, 40.0f); }
SKLSTM_INLINE vec sigmoid_of_parts(vec s, vec q) {
    const vec one = v_broadcast(1.0f);
    return v_div(one, v_fma(s, v_add(one, q), one));
}
/* One as 2^-24: 2 / e would be infinite below 6e-39. */
SKLSTM_INLINE vec tanh_of_parts(vec s, vec q) {
    const vec e = v_fma(s, q, v_sub(s, v_broadcast(1.0f)));
    return v_div(v_broadcast(0x1p-24f), v_add(v_broadcast(0x1p-24f), v_div(v_broadcast(0x1p-23f), e)));
}
#endif

/* Pre-activations of i, f, g, o -> the gates. */
SKLSTM_INLINE void v_gates(vec *z) {
    vec s[4], q[4];
    z[0] = sigmoid_argument(z[0]);
    z[1] = sigmoid_argument(z[1]);
    z[2] = tanh_argument(z[2]);
    z[3] = sigmoid_argument(z[3]);
    gate_parts(z, s, q);
    z[0] = sigmoid_of_parts(s[0], q[0]);
    z[1] = sigmoid_of_parts(s[1], q[1]);
    z[2] = tanh_of_parts(s[2], q[2]);
    z[3] = sigmoid_of_parts(s[3], q[3]);
}

SKLSTM_INLINE void v_sigmoid(const int n, vec *x) {
    vec s[SIDE_BY_SIDE], q[SIDE_BY_SIDE];
    EACH x[j] = sigmoid_argument(x[j]);
    exp_parts(n, SIGMOID_FACTOR, x, s, q);
    EACH x[j] = sigmoid_of_parts(s[j], q[j]);
}

SKLSTM_INLINE void v_tanh(const int n, vec *x) {
    vec s[SIDE_BY_SIDE], q[SIDE_BY_SIDE];
    EACH x[j] = tanh_argument(x[j]);
    exp_parts(n, TANH_FACTOR, x, s, q);
    EACH x[j] = tanh_of_parts(s[j], q[j]);
}

/* e^x; beyond +-87 that of +-87 (2e-38, 6e37). A NaN stays one. */
SKLSTM_INLINE void v_exp(const int n, vec *x) {
    vec s[SIDE_BY_SIDE], q[SIDE_BY_SIDE];
    EACH x[j] = v_clamp(x[j], -87.0f, 87.0f);
    exp_parts(n, EXP_FACTOR, x, s, q);
    EACH x[j] = v_fma(s[j], q[j], s[j]);
}

#else

SKLSTM_INLINE vec sigmoid_by_lanes(vec x) {
    for (int l = 0; l < LANES; l++) LANE(x, l) = 1.0 / (1.0 + exp(-LANE(x, l)));
    return x;
}

SKLSTM_INLINE vec tanh_by_lanes(vec x) {
    for (int l = 0; l < LANES; l++) LANE(x, l) = tanh(LANE(x, l));
    return x;
}

SKLSTM_INLINE void v_gates(vec *z) {
    z[0] = sigmoid_by_lanes(z[0]);
    z[1] = sigmoid_by_lanes(z[1]);
    z[2] = tanh_by_lanes(z[2]);
    z[3] = sigmoid_by_lanes(z[3]);
}

SKLSTM_INLINE void v_sigmoid(const int n, vec *x) {
    EACH x[j] = sigmoid_by_lanes(x[j]);
}

SKLSTM_INLINE void v_tanh(const int n, vec *x) {
    EACH x[j] = tanh_by_lanes(x[j]);
}

SKLSTM_INLINE vec exp_by_lanes(vec x) {
    for (int l = 0; l < LANES; l++) LANE(x, l) = exp(LANE(x, l));
    return x;
}

SKLSTM_INLINE void v_exp(const int n, vec *x) {
    EACH x[j] = exp_by_lanes(x[j]);
}

#endif
