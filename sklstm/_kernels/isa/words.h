/* Operands of the products in words: as many bits as a `real`, which hold
 *   REALS      1 number: float and double networks
 *   BF16_PAIRS 2 numbers of 16 bits, the upper half of a float
 *   S16_PAIRS  2 signed integers of 16 bits
 *   U8_S8      4 integers of 8 bits: unsigned in the rows, signed in the panels
 * Pairs and fours lie along k, the first number in the lowest bits; k is filled up with zeros to whole words. All but REALS exist
 * in the kernels of reduced numbers (SKLSTM_REDUCED) alone; those of integers have products of their own (integers.h).
 *
 * A product of bf16 pairs is what VDPBF16PS computes, on every machine:
 *   sum + (x_0 w_0, x_1 w_1) = fma(x_0, w_0, fma(x_1, w_1, sum)),
 * each step rounded to nearest, with denormal inputs and results taken as zero (flush_denormals).
 */
#if defined(__GNUC__) && defined(__AVX512F__)
#  define SKLSTM_AVX512 1
#else
#  define SKLSTM_AVX512 0
#endif
#if SKLSTM_AVX512 && defined(__AVX512BF16__)
#  define SKLSTM_AVX512_BF16 1
#else
#  define SKLSTM_AVX512_BF16 0
#endif

enum { REALS = 0, BF16_PAIRS = 1, S16_PAIRS = 2, U8_S8 = 3 };

SKLSTM_INLINE int numbers_of_word(int format) { return format == REALS ? 1 : format == U8_S8 ? 4 : 2; }

/* Words for n numbers */
SKLSTM_INLINE Py_ssize_t words_of(int format, Py_ssize_t n) {
    const int numbers = numbers_of_word(format);
    return (n + numbers - 1) / numbers;
}

#if !SKLSTM_REDUCED

/* A word of a row in all lanes, ready to be multiplied. */
typedef vec operand;
SKLSTM_INLINE operand operand_of(const int format, vec bits) { (void)format; return bits; }
SKLSTM_INLINE operand broadcast_word(const int format, const real *word) { (void)format; return v_broadcast(*word); }
SKLSTM_INLINE vec multiply_add(const int format, operand x, operand w, vec sum) { (void)format; return v_fma(x, w, sum); }

#else

SKLSTM_INLINE uint32_t bits_of(float x) { uint32_t u; memcpy(&u, &x, 4); return u; }
SKLSTM_INLINE float float_of(uint32_t u) { float x; memcpy(&x, &u, 4); return x; }

/* As VCVTNEPS2BF16: to nearest even, denormal numbers to zero, a NaN stays one. */
SKLSTM_INLINE uint16_t bf16_of(float x) {
    const uint32_t u = bits_of(x), magnitude = u & 0x7fffffffu;
    const uint32_t rounded = u + 0x7fffu + ((u >> 16) & 1);
    return (uint16_t)((magnitude > 0x7f800000u ? u | 0x400000u : magnitude < 0x800000u ? u & 0x80000000u : rounded) >> 16);
}

SKLSTM_INLINE vec broadcast_bits(const real *word) {
    uint32_t u;
    memcpy(&u, word, 4);
#if SKLSTM_AVX512
    return (vec)_mm512_set1_epi32((int)u);
#else
    uint32_t lanes[16];
    vec v;
    for (int l = 0; l < 16; l++) lanes[l] = u;
    memcpy(&v, lanes, sizeof v);
    return v;
#endif
}

#if SKLSTM_AVX512

#  if SKLSTM_AVX512_BF16
typedef struct { vec bits; } operand;
SKLSTM_INLINE operand operand_of(const int format, vec bits) { (void)format; return (operand){bits}; }
#  else /* the two numbers of each word are parted once, for all the products that they take part in */
typedef struct { vec bits, first, second; } operand;
SKLSTM_INLINE operand operand_of(const int format, vec bits) {
    if (format != BF16_PAIRS) return (operand){bits, bits, bits};
    return (operand){bits, (vec)_mm512_slli_epi32((__m512i)bits, 16),
                     (vec)_mm512_and_si512((__m512i)bits, _mm512_set1_epi32((int)0xffff0000))};
}
#  endif

SKLSTM_INLINE vec multiply_add(const int format, operand x, operand w, vec sum) {
    if (format == REALS) return v_fma(x.bits, w.bits, sum);
#  if SKLSTM_AVX512_BF16
    return (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)x.bits, (__m512bh)w.bits);
#  else
    return v_fma(x.first, w.first, v_fma(x.second, w.second, sum));
#  endif
}

#else

typedef struct { vec bits; } operand;
SKLSTM_INLINE operand operand_of(const int format, vec bits) { (void)format; return (operand){bits}; }

/* One lane of multiply_add. */
SKLSTM_INLINE real multiply_add_lane(const int format, real x, real w, real sum) {
    const uint32_t a = bits_of(x), b = bits_of(w);
    if (format == REALS) return fmaf(x, w, sum);
    return fmaf(float_of(a << 16), float_of(b << 16), fmaf(float_of(a & 0xffff0000u), float_of(b & 0xffff0000u), sum));
}

SKLSTM_INLINE vec multiply_add(const int format, operand x, operand w, vec sum) {
    if (format == REALS) return v_fma(x.bits, w.bits, sum);
    for (int l = 0; l < LANES; l++) LANE(sum, l) = multiply_add_lane(format, LANE(x.bits, l), LANE(w.bits, l), LANE(sum, l));
    return sum;
}

#endif

SKLSTM_INLINE operand broadcast_word(const int format, const real *word) { return operand_of(format, broadcast_bits(word)); }

#endif

/* While a thread computes with reduced numbers, denormal ones are zero, as in the instruction (the MXCSR does not reach it, but
 * all others); returns what restore_denormals takes. */
#if SKLSTM_REDUCED && (defined(__SSE2__) || defined(_M_X64))
#  include <immintrin.h>
static unsigned flush_denormals(void) {
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040u); /* FTZ and DAZ */
    return before;
}
static void restore_denormals(unsigned before) { _mm_setcsr((_mm_getcsr() & 0x3fu) | (before & ~0x3fu)); }
#elif SKLSTM_REDUCED && defined(__aarch64__) && defined(__GNUC__)
static unsigned flush_denormals(void) {
    uint64_t before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | 1ull << 24) : "memory");
    return (unsigned)before;
}
static void restore_denormals(unsigned before) {
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)before) : "memory");
}
#else
static unsigned flush_denormals(void) { return 0; }
static void restore_denormals(unsigned before) { (void)before; }
#endif
