/* What forward keeps for backward: `real` numbers, or in the plain layers of reduced numbers 16 bits (`compact`):
 *   UNIT       a number in [0, 1]: n / 65536, an error of 8e-6 at most (2e-5 at 1)
 *   SYMMETRIC  a number in [-1, 1]: n / 32768 - 1, twice that
 *   ANY        any number, rounded to bf16
 * bf16 for all of them would cost as much and lose eight more bits of a gate near 1. Gradients of the sums replace them, in
 * bf16, as the products read them.
 */
enum { UNIT = 0, SYMMETRIC = 1, ANY = 2 };

/* An array of kept numbers in a cell, never complete: only keep and kept know where its numbers are. */
typedef struct Kept Kept;

#if SKLSTM_REDUCED
enum { COMPACT = 1 };
typedef uint16_t stored;

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

/* x + 128 has steps of 2^-16, x + 257 for x in [-1, 1] steps of 2^-15: the low bits of the sum, counted from 128 and 256, are
 * the rounded number. They begin at the bits of a float whose lower half is zero, so decoding joins the two halves again. */
#  define FIXED_SHIFT(range) ((range) == UNIT ? 128.0f : 257.0f)
#  define FIXED_BASE(range) ((range) == UNIT ? 0x43000000 : 0x43800000)

SKLSTM_INLINE void store_fixed(uint16_t *p, vec v, const int range) {
    const vec shifted = v_add(v, v_broadcast(FIXED_SHIFT(range)));
#if SKLSTM_AVX512
    const __m512i n = _mm512_sub_epi32((__m512i)shifted, _mm512_set1_epi32(FIXED_BASE(range)));
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtusepi32_epi16(n));
#else
    uint32_t bits[16];
    memcpy(bits, &shifted, sizeof bits);
    for (int l = 0; l < 16; l++) {
        const uint32_t n = bits[l] - FIXED_BASE(range);
        p[l] = (uint16_t)(n < 65535 ? n : 65535);
    }
#endif
}

SKLSTM_INLINE vec load_fixed(const uint16_t *p, const int range) {
    vec v;
#if SKLSTM_AVX512
    const __m512i n = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
    v = (vec)_mm512_or_si512(n, _mm512_set1_epi32(FIXED_BASE(range)));
#else
    uint32_t bits[16];
    for (int l = 0; l < 16; l++) bits[l] = p[l] | (uint32_t)FIXED_BASE(range);
    memcpy(&v, bits, sizeof v);
#endif
    return v_sub(v, v_broadcast(FIXED_SHIFT(range)));
}
#else
enum { COMPACT = 0 };
typedef real stored;
#endif

/* Number `offset` of an array of kept numbers. */
SKLSTM_INLINE Kept *kept_at(const int compact, const void *array, Py_ssize_t offset) {
    if (!array) return NULL;
    return compact ? (Kept *)((stored *)array + offset) : (Kept *)((real *)array + offset);
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
    const uint16_t *numbers = (const uint16_t *)array + offset;
    if (compact) return range == ANY ? load_bf16(numbers) : load_fixed(numbers, range);
#endif
    return v_load((const real *)array + offset);
}

/* Two adjacent vectors, which may be of two ranges other than ANY. With AVX-512 their 16-bit numbers are stored in the order in
 * which instructions pack and unpack two vectors: half of the operations. */
SKLSTM_INLINE void keep_pair(const int compact, const int range0, const int range1, void *array, Py_ssize_t offset, vec a,
                             vec b) {
#if SKLSTM_AVX512 && SKLSTM_REDUCED
    if (compact) {
        const __m512i m = (__m512i)v_add(a, v_broadcast(FIXED_SHIFT(range0)));
        const __m512i n = (__m512i)v_add(b, v_broadcast(FIXED_SHIFT(range1)));
        const __m512i both = _mm512_packus_epi32(_mm512_sub_epi32(m, _mm512_set1_epi32(FIXED_BASE(range0))),
                                                 _mm512_sub_epi32(n, _mm512_set1_epi32(FIXED_BASE(range1))));
        _mm512_storeu_si512((uint16_t *)array + offset, both);
        return;
    }
#endif
    keep(compact, range0, array, offset, a);
    keep(compact, range1, array, offset + LANES, b);
}

/* The inverse, for vectors that are used more than once and overwritten later (v_load_once). */
SKLSTM_INLINE void kept_pair(const int compact, const int range0, const int range1, const void *array, Py_ssize_t offset,
                             vec *a, vec *b) {
#if SKLSTM_REDUCED
    if (compact) {
#  if SKLSTM_AVX512
        const __m512i both = _mm512_loadu_si512((const uint16_t *)array + offset);
        const vec m = (vec)_mm512_unpacklo_epi16(both, _mm512_set1_epi16(FIXED_BASE(range0) >> 16));
        const vec n = (vec)_mm512_unpackhi_epi16(both, _mm512_set1_epi16(FIXED_BASE(range1) >> 16));
        *a = v_sub(m, v_broadcast(FIXED_SHIFT(range0)));
        *b = v_sub(n, v_broadcast(FIXED_SHIFT(range1)));
#  else
        *a = kept(1, range0, array, offset);
        *b = kept(1, range1, array, offset + LANES);
#  endif
        return;
    }
#endif
    *a = v_load_once((const real *)array + offset);
    *b = v_load_once((const real *)array + offset + LANES);
}

SKLSTM_INLINE vec kept_once(const int compact, const int range, const void *array, Py_ssize_t offset) {
    return compact ? kept(compact, range, array, offset) : v_load_once((const real *)array + offset);
}

/* Gradients of the n sums of some units, as the products of backward read them. */
SKLSTM_INLINE void keep_gradients(const int compact, const int n, void *array, Py_ssize_t offset, const vec *d_sums) {
    int k = 0;
#if SKLSTM_AVX512_BF16 && SKLSTM_REDUCED
    for (; k + 1 < n && compact; k += 2)
        _mm512_storeu_si512((uint16_t *)array + offset + k * LANES,
                            (__m512i)_mm512_cvtne2ps_pbh((__m512)d_sums[k + 1], (__m512)d_sums[k]));
#endif
    for (; k < n; k++) keep(compact, ANY, array, offset + k * LANES, d_sums[k]);
}
