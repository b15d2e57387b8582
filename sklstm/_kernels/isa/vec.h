/* The vector layer: one register of `real`, and the dozen operations the kernels need.
 *
 * The width is a property of the instruction set, chosen by the macro that setup.py gives to each variant:
 *   SKLSTM_ISA_X86_V4 64 bytes · SKLSTM_ISA_X86_V3 32 bytes · otherwise 16 bytes (SSE2, NEON or plain C).
 * The reduced number formats (SKLSTM_REDUCED) have 64 bytes everywhere, in as many registers as that takes, so that all
 * machines add up the same numbers in the same order.
 * SKLSTM_VEC_BYTES overrides the width, so the code of a wide variant can be tested on a narrower machine.
 *
 * v_fma is the only fused multiply-add: with -ffp-contract=off the compiler fuses none by itself, so a row gives the same
 * bits in every remainder tile.
 */
#ifndef SKLSTM_VEC_BYTES
#  if defined(SKLSTM_ISA_X86_V4) || SKLSTM_REDUCED
#    define SKLSTM_VEC_BYTES 64
#  elif defined(SKLSTM_ISA_X86_V3)
#    define SKLSTM_VEC_BYTES 32
#  else
#    define SKLSTM_VEC_BYTES 16
#  endif
#endif

#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#  include <immintrin.h>
#elif defined(__ARM_NEON)
#  include <arm_neon.h>
#endif
#if defined(__GNUC__)
#  define SKLSTM_INLINE static inline __attribute__((always_inline))
#  define SKLSTM_NOINLINE static __attribute__((noinline))
#  define SKLSTM_PREFETCH(address, locality) __builtin_prefetch(address, 0, locality)
#else
#  define SKLSTM_INLINE static __forceinline
#  define SKLSTM_NOINLINE static __declspec(noinline)
#  define SKLSTM_PREFETCH(address, locality) ((void)0)
#  define restrict __restrict
#endif

/* A function with one instance for all cells, which depends on a cell by its CellShape alone: GCC would clone it for each. */
#if defined(__GNUC__) && !defined(__clang__)
#  define SKLSTM_SHARED static __attribute__((noinline, noclone))
#else
#  define SKLSTM_SHARED SKLSTM_NOINLINE
#endif

#define LANES ((int)(SKLSTM_VEC_BYTES / sizeof(real)))

SKLSTM_INLINE real square_root(real x) { return SKLSTM_REAL_IS_FLOAT ? (real)sqrtf((float)x) : (real)sqrt((double)x); }

#if defined(__GNUC__)
typedef real vec __attribute__((vector_size(SKLSTM_VEC_BYTES)));
#  if SKLSTM_REAL_IS_FLOAT
typedef int32_t vec_mask __attribute__((vector_size(SKLSTM_VEC_BYTES)));
#  else
typedef int64_t vec_mask __attribute__((vector_size(SKLSTM_VEC_BYTES)));
#  endif

SKLSTM_INLINE vec v_broadcast(real x) { return x - (vec){0}; }
SKLSTM_INLINE vec v_add(vec a, vec b) { return a + b; }
SKLSTM_INLINE vec v_sub(vec a, vec b) { return a - b; }
SKLSTM_INLINE vec v_mul(vec a, vec b) { return a * b; }
SKLSTM_INLINE vec v_div(vec a, vec b) { return a / b; }
#  define LANE(v, l) ((v)[l])
#else /* a compiler without vector types: arrays, which it may or may not vectorise */
typedef struct { real lane[SKLSTM_VEC_BYTES / sizeof(real)]; } vec;
#  define LANE(v, l) ((v).lane[l])
#  define SKLSTM_LANEWISE(expression) do { for (int l = 0; l < LANES; l++) LANE(r, l) = (expression); } while (0)
SKLSTM_INLINE vec v_broadcast(real x) { vec r; SKLSTM_LANEWISE(x); return r; }
SKLSTM_INLINE vec v_add(vec a, vec b) { vec r; SKLSTM_LANEWISE(LANE(a, l) + LANE(b, l)); return r; }
SKLSTM_INLINE vec v_sub(vec a, vec b) { vec r; SKLSTM_LANEWISE(LANE(a, l) - LANE(b, l)); return r; }
SKLSTM_INLINE vec v_mul(vec a, vec b) { vec r; SKLSTM_LANEWISE(LANE(a, l) * LANE(b, l)); return r; }
SKLSTM_INLINE vec v_div(vec a, vec b) { vec r; SKLSTM_LANEWISE(LANE(a, l) / LANE(b, l)); return r; }
#  undef SKLSTM_LANEWISE
#endif

SKLSTM_INLINE vec v_load(const real *p) { vec v; memcpy(&v, p, sizeof v); return v; }

/* For a vector that is used more than once and overwritten later: gcc would read it again for each use. */
SKLSTM_INLINE vec v_load_once(const real *p) {
    vec v = v_load(p);
#if defined(__GNUC__) && (defined(__AVX512F__) || (defined(__AVX__) && SKLSTM_VEC_BYTES <= 32))
    __asm__("" : "+v"(v));
#endif
    return v;
}

SKLSTM_INLINE void v_store(real *p, vec v) { memcpy(p, &v, sizeof v); }

/* The halves of a vector of 64 bytes in AVX2 registers. */
#if defined(__GNUC__) && defined(__AVX__) && SKLSTM_VEC_BYTES == 64 && SKLSTM_REAL_IS_FLOAT
#  define V_LOW(v) ((__m256)__builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7))
#  define V_HIGH(v) ((__m256)__builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15))
#  define V_JOIN(low, high) ((vec)__builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))
#endif

#if SKLSTM_REDUCED && !defined(__FMA__)
SKLSTM_NOINLINE void fma_by_lanes(const vec *a, const vec *b, vec *c) {
    for (int l = 0; l < LANES; l++) LANE(*c, l) = fmaf(LANE(*a, l), LANE(*b, l), LANE(*c, l));
}
#endif

SKLSTM_INLINE vec v_fma(vec a, vec b, vec c) {
#if defined(__GNUC__) && defined(__AVX512F__) && SKLSTM_VEC_BYTES == 64
#  if SKLSTM_REAL_IS_FLOAT
    return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#  else
    return (vec)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#  endif
#elif defined(__GNUC__) && defined(__FMA__) && SKLSTM_VEC_BYTES == 32
#  if SKLSTM_REAL_IS_FLOAT
    return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#  else
    return (vec)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#  endif
#elif defined(__ARM_NEON) && defined(__aarch64__) && defined(__GNUC__) && SKLSTM_VEC_BYTES == 16
#  if SKLSTM_REAL_IS_FLOAT
    return (vec)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#  else
    return (vec)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#  endif
#elif defined(__GNUC__) && defined(__FMA__) && SKLSTM_VEC_BYTES == 64 && SKLSTM_REAL_IS_FLOAT
    const __m256 low = _mm256_fmadd_ps(V_LOW(a), V_LOW(b), V_LOW(c)), high = _mm256_fmadd_ps(V_HIGH(a), V_HIGH(b), V_HIGH(c));
    return V_JOIN(low, high);
#elif SKLSTM_REDUCED /* no instruction: correct, not fast */
    fma_by_lanes(&a, &b, &c);
    return c;
#elif defined(__FMA__) /* a width this machine has no register for, likewise */
    for (int l = 0; l < LANES; l++)
        LANE(c, l) = SKLSTM_REAL_IS_FLOAT ? (real)fmaf((float)LANE(a, l), (float)LANE(b, l), (float)LANE(c, l))
                                   : (real)fma(LANE(a, l), LANE(b, l), LANE(c, l));
    return c;
#else /* SSE2 has no fused multiply-add: two roundings, in every tile alike */
    return v_add(v_mul(a, b), c);
#endif
}

#if SKLSTM_REAL_IS_FLOAT
/* A NaN in a stays NaN: the x86 instructions give their second operand when one is NaN, so a is the second. */
SKLSTM_INLINE vec v_clamp(vec a, real low, real high) {
#  if defined(__GNUC__) && defined(__AVX512F__) && SKLSTM_VEC_BYTES == 64
    return (vec)_mm512_min_ps(_mm512_set1_ps(high), _mm512_max_ps(_mm512_set1_ps(low), (__m512)a));
#  elif defined(__GNUC__) && defined(__AVX__) && SKLSTM_VEC_BYTES == 32
    return (vec)_mm256_min_ps(_mm256_set1_ps(high), _mm256_max_ps(_mm256_set1_ps(low), (__m256)a));
#  elif defined(__SSE2__) && defined(__GNUC__) && SKLSTM_VEC_BYTES == 16
    return (vec)_mm_min_ps(_mm_set1_ps(high), _mm_max_ps(_mm_set1_ps(low), (__m128)a));
#  elif defined(__ARM_NEON) && defined(__GNUC__) && SKLSTM_VEC_BYTES == 16
    return (vec)vminq_f32(vdupq_n_f32(high), vmaxq_f32(vdupq_n_f32(low), (float32x4_t)a));
#  elif defined(__GNUC__)
    const vec least = v_broadcast(low), most = v_broadcast(high);
    const vec_mask below = a < least, above = a > most;
    return (vec)((below & (vec_mask)least) | (above & (vec_mask)most) | (~(below | above) & (vec_mask)a));
#  else
    for (int l = 0; l < LANES; l++) LANE(a, l) = LANE(a, l) < low ? low : LANE(a, l) > high ? high : LANE(a, l);
    return a;
#  endif
}
#endif

/* Lane by lane: a where x >= 0, else b (also for NaN). */
SKLSTM_INLINE vec v_select_nonnegative(vec x, vec a, vec b) {
#if defined(__GNUC__)
    const vec_mask mask = x >= v_broadcast(0);
    return (vec)((mask & (vec_mask)a) | (~mask & (vec_mask)b));
#else
    vec r;
    for (int l = 0; l < LANES; l++) LANE(r, l) = LANE(x, l) >= 0 ? LANE(a, l) : LANE(b, l);
    return r;
#endif
}

/* The smaller of two numbers, lane by lane; a NaN in b stays one. */
SKLSTM_INLINE vec v_minimum(vec a, vec b) {
#if defined(__GNUC__)
    const vec_mask mask = a < b;
    return (vec)((mask & (vec_mask)a) | (~mask & (vec_mask)b));
#else
    for (int l = 0; l < LANES; l++) LANE(b, l) = LANE(a, l) < LANE(b, l) ? LANE(a, l) : LANE(b, l);
    return b;
#endif
}

/* max(x, 0); a NaN stays one. */
SKLSTM_INLINE vec v_relu(vec x) {
#if defined(__GNUC__)
    return (vec)(~(x <= v_broadcast(0)) & (vec_mask)x);
#else
    for (int l = 0; l < LANES; l++) LANE(x, l) = LANE(x, l) <= 0 ? 0 : LANE(x, l);
    return x;
#endif
}

/* a where x > 0, else 0. */
SKLSTM_INLINE vec v_where_positive(vec x, vec a) {
#if defined(__GNUC__)
    return (vec)((x > v_broadcast(0)) & (vec_mask)a);
#else
    for (int l = 0; l < LANES; l++) LANE(a, l) = LANE(x, l) > 0 ? LANE(a, l) : 0;
    return a;
#endif
}

/* Whether a lane is not zero; a NaN is not. */
SKLSTM_INLINE int v_any(vec x) {
#if defined(__GNUC__) && defined(__AVX512F__) && SKLSTM_VEC_BYTES == 64
#  if SKLSTM_REAL_IS_FLOAT
    return _mm512_cmp_ps_mask((__m512)x, _mm512_setzero_ps(), _CMP_NEQ_UQ) != 0;
#  else
    return _mm512_cmp_pd_mask((__m512d)x, _mm512_setzero_pd(), _CMP_NEQ_UQ) != 0;
#  endif
#else
    int any = 0;
    for (int l = 0; l < LANES; l++) any |= LANE(x, l) != 0;
    return any;
#endif
}
