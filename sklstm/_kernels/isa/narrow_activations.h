/* sigmoid, tanh and exp of reduced numbers where a vector takes several registers: loops over numbers, which the compiler
 * vectorises for the registers that there are. The operations are those of short_activations.h in their order, and so are the
 * bits; inlined vectors of 64 bytes would live in memory, and the module would be ten times as large. */

/* 2^(x factor) = s + s q */
SKLSTM_INLINE float exp_part_of_number(float x, float factor, float *q) {
    const float shift = 12583039.0f, biased = fmaf(x, factor, shift), f = fmaf(x, factor, shift - biased);
    float p = fmaf(0.00958285294f, f, 0.0559064262f);
    p = fmaf(p, f, 0.240240991f);
    p = fmaf(p, f, 0.693124175f);
    *q = p * f;
    return float_of(bits_of(biased) << 23);
}

SKLSTM_INLINE float clamp_number(float x, float low, float high) { return x < low ? low : x > high ? high : x; }

SKLSTM_NOINLINE void sigmoid_of_numbers(int n, float *x) {
    for (int i = 0; i < n; i++) {
        float q;
        const float s = exp_part_of_number(clamp_number(x[i], -87.0f, 87.0f), -1.44269504088896341f, &q);
        x[i] = 1.0f / fmaf(s, q, s + 1.0f);
    }
}

SKLSTM_NOINLINE void tanh_of_numbers(int n, float *x) {
    for (int i = 0; i < n; i++) {
        float q;
        const float s = exp_part_of_number(clamp_number(x[i], -20.0f, 20.0f), 2.88539008177792681f, &q);
        const float e = fmaf(s, q, s - 1.0f);
        x[i] = e / (e + 2.0f);
    }
}

SKLSTM_NOINLINE void exp_of_numbers(int n, float *x) {
    for (int i = 0; i < n; i++) {
        float q;
        const float s = exp_part_of_number(clamp_number(x[i], -87.0f, 87.0f), 1.44269504088896341f, &q);
        x[i] = fmaf(s, q, s);
    }
}

SKLSTM_INLINE void v_sigmoid(const int n, vec *x) { sigmoid_of_numbers(n * LANES, (float *)x); }
SKLSTM_INLINE void v_tanh(const int n, vec *x) { tanh_of_numbers(n * LANES, (float *)x); }
SKLSTM_INLINE void v_exp(const int n, vec *x) { exp_of_numbers(n * LANES, (float *)x); }

/* Pre-activations of i, f, g, o -> the gates. */
SKLSTM_INLINE void v_gates(vec *z) {
    v_sigmoid(2, z);
    v_tanh(1, z + 2);
    v_sigmoid(1, z + 3);
}
