/* exp for sigmoid and tanh of reduced numbers, whose gates are kept in 16 bits and whose h is rounded to 8: 2^t = s + s q with
 * t = n + f, |f| <= 1/2, s = 2^n and q = 2^f - 1 as a polynomial of degree 4 (relative error 2.8e-6, fitted by iteratively
 * re-weighted least squares). An LSTM step of 64 units has a quarter fewer operations outside its products than with the
 * polynomial of degree 6 of float32, which the products no longer hide.
 */
#define SIGMOID_FACTOR -1.44269504088896341f
#define TANH_FACTOR 2.88539008177792681f
#define EXP_FACTOR 1.44269504088896341f

/* e^(x factor ln 2) for |x factor| <= 126: s must stay a normal float. */
SKLSTM_INLINE void exp_part(vec x, const float factor, vec *s, vec *q) {
    /* Adding 1.5 * 2^23 + 127 leaves the exponent of s in the low bits. */
    const vec shift = v_broadcast(12583039.0f), biased = v_fma(x, v_broadcast(factor), shift);
    const vec f = v_fma(x, v_broadcast(factor), v_sub(shift, biased));
    uint32_t bits[SKLSTM_VEC_BYTES / 4]; /* stays in a register */
    memcpy(bits, &biased, sizeof bits);
    for (int l = 0; l < LANES; l++) bits[l] <<= 23;
    memcpy(s, bits, sizeof bits);
    vec p = v_fma(v_broadcast(0.00958285294f), f, v_broadcast(0.0559064262f));
    p = v_fma(p, f, v_broadcast(0.240240991f));
    p = v_fma(p, f, v_broadcast(0.693124175f));
    *q = v_mul(p, f);
}

SKLSTM_INLINE void exp_parts(const int n, const float factor, const vec *x, vec *s, vec *q) {
    EACH exp_part(x[j], factor, s + j, q + j);
}

SKLSTM_INLINE void gate_parts(const vec *z, vec *s, vec *q) {
    exp_part(z[0], SIGMOID_FACTOR, s, q);
    exp_part(z[1], SIGMOID_FACTOR, s + 1, q + 1);
    exp_part(z[2], TANH_FACTOR, s + 2, q + 2);
    exp_part(z[3], SIGMOID_FACTOR, s + 3, q + 3);
}

SKLSTM_INLINE vec sigmoid_argument(vec x) { return v_clamp(x, -87.0f, 87.0f); }
SKLSTM_INLINE vec tanh_argument(vec x) { return v_clamp(x, -20.0f, 20.0f); }
/* 1 / (1 + e), with e = s + s q */
SKLSTM_INLINE vec sigmoid_of_parts(vec s, vec q) {
    const vec one = v_broadcast(1.0f);
    return v_div(one, v_fma(s, q, v_add(s, one)));
}
/* (e - 1) / (e + 1) */
SKLSTM_INLINE vec tanh_of_parts(vec s, vec q) {
    const vec e = v_fma(s, q, v_sub(s, v_broadcast(1.0f)));
    return v_div(e, v_add(e, v_broadcast(2.0f)));
}
