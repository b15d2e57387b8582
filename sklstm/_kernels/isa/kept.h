/* What forward keeps for backward: `real` numbers, or in the plain layers of reduced numbers 16 bits (`compact`):
 *   UNIT       a number in [0, 1], n / 65535: an error of 8e-6 at most
 *   SYMMETRIC  a number in [-1, 1], n / 32767
 *   ANY        any number, rounded to bf16
 * bf16 for all of them would cost as much and lose eight more bits of a gate near 1. Gradients of the sums replace them, in bf16,
 * as the products read them.
 */
enum { UNIT = 0, SYMMETRIC = 1, ANY = 2 };

#if SKLSTM_REDUCED
enum { COMPACT = 1 };
typedef uint16_t stored;

/* The lower 16 bits of each lane */
SKLSTM_INLINE void store_low_halves(uint16_t *p, vec v) {
#if SKLSTM_AVX512
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16((__m512i)v));
#else
    uint32_t bits[16];
    memcpy(bits, &v, sizeof bits);
    for (int l = 0; l < 16; l++) p[l] = (uint16_t)bits[l];
#endif
}

SKLSTM_INLINE void store_bf16(uint16_t *p, vec v) {
#if SKLSTM_AVX512_BF16
    _mm256_storeu_si256((__m256i *)p, (__m256i)_mm512_cvtneps_pbh((__m512)v));
#else
    float numbers[16];
    memcpy(numbers, &v, sizeof numbers);
    for (int l = 0; l < 16; l++) p[l] = bf16_of(numbers[l]);
#endif
}

SKLSTM_INLINE vec load_bf16(const uint16_t *p) {
#if SKLSTM_AVX512
    return (vec)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16);
#else
    uint32_t bits[16];
    vec v;
    for (int l = 0; l < 16; l++) bits[l] = (uint32_t)p[l] << 16;
    memcpy(&v, bits, sizeof v);
    return v;
#endif
}

/* Adding 1.5 * 2^23 leaves the rounded number in the low bits. */
SKLSTM_INLINE void store_fixed(uint16_t *p, vec v, const int range) {
    store_low_halves(p, v_fma(v, v_broadcast(range == UNIT ? 65535.0f : 32767.0f), v_broadcast(12582912.0f)));
}

SKLSTM_INLINE vec load_fixed(const uint16_t *p, const int range) {
    const vec step = v_broadcast(range == UNIT ? 1.0f / 65535.0f : 1.0f / 32767.0f);
#if SKLSTM_AVX512
    const __m256i bits = _mm256_loadu_si256((const __m256i *)p);
    return v_mul((vec)_mm512_cvtepi32_ps(range == UNIT ? _mm512_cvtepu16_epi32(bits) : _mm512_cvtepi16_epi32(bits)), step);
#else
    float numbers[16];
    vec v;
    for (int l = 0; l < 16; l++) numbers[l] = range == UNIT ? (float)p[l] : (float)(int16_t)p[l];
    memcpy(&v, numbers, sizeof v);
    return v_mul(v, step);
#endif
}
#else
enum { COMPACT = 0 };
typedef real stored;
#endif

/* Number `offset` of an array of kept numbers. */
SKLSTM_INLINE void *kept_at(const int compact, const void *array, Py_ssize_t offset) {
    if (!array) return NULL;
    return compact ? (void *)((stored *)array + offset) : (void *)((real *)array + offset);
}

SKLSTM_INLINE void keep(const int compact, const int range, void *array, Py_ssize_t offset, vec v) {
#if SKLSTM_REDUCED
    if (compact && range == ANY) store_bf16((uint16_t *)array + offset, v);
    else if (compact) store_fixed((uint16_t *)array + offset, v, range);
    else
#endif
        v_store((real *)array + offset, v);
}

SKLSTM_INLINE vec kept(const int compact, const int range, const void *array, Py_ssize_t offset) {
#if SKLSTM_REDUCED
    if (compact) return range == ANY ? load_bf16((const uint16_t *)array + offset) : load_fixed((const uint16_t *)array + offset, range);
#endif
    return v_load((const real *)array + offset);
}

/* For a vector that is used more than once and overwritten later (v_load_once). */
SKLSTM_INLINE vec kept_once(const int compact, const int range, const void *array, Py_ssize_t offset) {
    return compact ? kept(compact, range, array, offset) : v_load_once((const real *)array + offset);
}

/* The gradient of a sum, as the products of backward read it. */
SKLSTM_INLINE void keep_gradient(const int compact, void *array, Py_ssize_t offset, vec v) { keep(compact, ANY, array, offset, v); }
