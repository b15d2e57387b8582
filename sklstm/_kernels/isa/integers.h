/* Products of integers: rows of activations, unsigned 8 or signed 16 bits, by panels of signed weights, summed in 32 bits.
 *
 * A word is 32 bits: 4 activations (u8) or weights (s8) of neighbouring k, or 2 of either (s16). A panel is k-major in words, 64
 * bytes a vector. Nothing saturates and nothing overflows (sklstm/_network/integers.py chooses the scales so), so sums may be
 * taken in any order: rows and columns are grouped and k is cut as suits each instruction set, and all give the same bits.
 *   AVX512_VNNI  6 rows by 4 vectors, one instruction for a word: vpdpbusd (u8 s8), vpdpwssd (s16)
 *   AVX2, SSE2   2 rows by 4 registers: pmaddwd on 16 bits; of 8 bits, on those at even and at odd k, which are widened
 * Intrinsics for the VNNI instructions make GCC 12 keep the accumulators in memory (half the speed); the assembler does not.
 */
#if SKLSTM_REDUCED

#  if defined(__AVX512VNNI__) && defined(__GNUC__)
#    define SKLSTM_HAS_VNNI 1
#  endif

enum {
    COLUMNS_OF_A_SUM = 96, /* of 16 bits, whose sums would need more than 32 (sklstm/_network/integers.py has the number too) */
    ROWS_AT_ONCE = 32,
    WORDS_OF_A_BLOCK = 64 /* without VNNI: 16 KB of a panel, which stay in L1 for all rows */
};

#  if defined(SKLSTM_HAS_VNNI)
typedef __m512i integers;
SKLSTM_INLINE integers load_integers(const void *p) { return _mm512_loadu_si512(p); }
SKLSTM_INLINE void store_integers(void *p, integers a) { _mm512_storeu_si512(p, a); }
SKLSTM_INLINE integers broadcast_integers(const uint32_t *p) { return _mm512_set1_epi32((int)*p); }
SKLSTM_INLINE integers add_word_products(const int format, integers sum, integers x, integers w) {
    if (format == U8_S8) __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w));
    else __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w));
    return sum;
}
#  elif defined(__AVX2__) && defined(__GNUC__)
typedef __m256i integers;
SKLSTM_INLINE integers load_integers(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
SKLSTM_INLINE void store_integers(void *p, integers a) { _mm256_storeu_si256((__m256i *)p, a); }
SKLSTM_INLINE integers broadcast_integers(const uint32_t *p) { return _mm256_set1_epi32((int)*p); }
SKLSTM_INLINE integers add_word_products(const int format, integers sum, integers x, integers w) {
    if (format == S16_PAIRS) return _mm256_add_epi32(sum, _mm256_madd_epi16(x, w));
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_and_si256(x, _mm256_set1_epi16(0xff)),
                                                  _mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8)));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_srli_epi16(x, 8), _mm256_srai_epi16(w, 8)));
}
#  elif defined(__SSE2__) && defined(__GNUC__)
typedef __m128i integers;
SKLSTM_INLINE integers load_integers(const void *p) { return _mm_loadu_si128((const __m128i *)p); }
SKLSTM_INLINE void store_integers(void *p, integers a) { _mm_storeu_si128((__m128i *)p, a); }
SKLSTM_INLINE integers broadcast_integers(const uint32_t *p) { return _mm_set1_epi32((int)*p); }
SKLSTM_INLINE integers add_word_products(const int format, integers sum, integers x, integers w) {
    if (format == S16_PAIRS) return _mm_add_epi32(sum, _mm_madd_epi16(x, w));
    sum = _mm_add_epi32(sum, _mm_madd_epi16(_mm_and_si128(x, _mm_set1_epi16(0xff)),
                                            _mm_srai_epi16(_mm_slli_epi16(w, 8), 8)));
    return _mm_add_epi32(sum, _mm_madd_epi16(_mm_srli_epi16(x, 8), _mm_srai_epi16(w, 8)));
}
#  else /* any CPU, a lane at a time */
typedef struct { uint32_t lane[4]; } integers;
SKLSTM_INLINE integers load_integers(const void *p) { integers a; memcpy(&a, p, sizeof a); return a; }
SKLSTM_INLINE void store_integers(void *p, integers a) { memcpy(p, &a, sizeof a); }
SKLSTM_INLINE integers broadcast_integers(const uint32_t *p) { return (integers){{*p, *p, *p, *p}}; }
SKLSTM_INLINE integers add_word_products(const int format, integers sum, integers x, integers w) {
    for (int l = 0; l < 4; l++) {
        uint8_t u[4];
        int8_t s[4];
        int16_t a[2], b[2];
        memcpy(u, &x.lane[l], 4);
        memcpy(s, &w.lane[l], 4);
        memcpy(a, &x.lane[l], 4);
        memcpy(b, &w.lane[l], 4);
        if (format == S16_PAIRS) sum.lane[l] += (uint32_t)(a[0] * b[0]) + (uint32_t)(a[1] * b[1]);
        else for (int k = 0; k < 4; k++) sum.lane[l] += (uint32_t)(u[k] * s[k]);
    }
    return sum;
}
#  endif

enum {
    INTEGERS = (int)(sizeof(integers) / 4), /* 32-bit numbers in a register */
    PANEL_WIDTH = 64                        /* columns of a full panel */
};

/* z (n_rows, vecs vectors of columns) = from + scale (start + a @ panel). With 16 bits, whose start is zero, there is a sum of
 * integers for each COLUMNS_OF_A_SUM columns: they are added in their order, each by one fused multiply-add. */
typedef struct {
    int format, vecs;
    Py_ssize_t n_rows, n_words, a_stride, z_stride;
    const uint32_t *a, *panel;
    const uint32_t *start;   /* int32 of each column */
    const real *scale;       /* of each column */
    const real *const *from; /* of each row; may be z */
    real *z;
} IntegerProduct;

SKLSTM_INLINE Py_ssize_t words_of_a_sum(const IntegerProduct *p) {
    return p->format == S16_PAIRS ? COLUMNS_OF_A_SUM / 2 : p->n_words;
}

#  if defined(SKLSTM_HAS_VNNI)
#    include "integers_vnni.h"
#  else

/* The arguments of a tile: sums (rows, PANEL_WIDTH) += a (rows, n_words) @ some registers of columns of a panel, whose rows are
 * `stride` apart. */
#    define TILE_ARGUMENTS                                                                                                    \
        Py_ssize_t n_words, const uint32_t *a, Py_ssize_t a_stride, const uint32_t *panel, Py_ssize_t stride, uint32_t *sums

SKLSTM_INLINE void integer_rows(const int format, const int rows, const int width, TILE_ARGUMENTS) {
    integers acc[2][8];
#    pragma GCC unroll 2
    for (int r = 0; r < rows; r++)
#    pragma GCC unroll 8
        for (int c = 0; c < width; c++) acc[r][c] = load_integers(sums + r * PANEL_WIDTH + c * INTEGERS);
    for (Py_ssize_t k = 0; k < n_words; k++, panel += stride) {
        integers w, x[2];
#    pragma GCC unroll 2
        for (int r = 0; r < rows; r++) x[r] = broadcast_integers(a + r * a_stride + k);
#    pragma GCC unroll 8
        for (int c = 0; c < width; c++) {
            w = load_integers(panel + c * INTEGERS);
#    if defined(__GNUC__) && defined(__SSE2__)
            __asm__("" : "+x"(w)); /* read once: GCC would read it for each row */
#    endif
#    pragma GCC unroll 2
            for (int r = 0; r < rows; r++) acc[r][c] = add_word_products(format, acc[r][c], x[r], w);
        }
    }
#    pragma GCC unroll 2
    for (int r = 0; r < rows; r++)
#    pragma GCC unroll 8
        for (int c = 0; c < width; c++) store_integers(sums + r * PANEL_WIDTH + c * INTEGERS, acc[r][c]);
}

/* One function a tile: only so do the accumulators stay in registers. */
#    define TILE_OF_ROWS(F, R, W)                                     \
        SKLSTM_NOINLINE void integer_tile_##F##_##R##_##W(TILE_ARGUMENTS) { \
            integer_rows(F, R, W, n_words, a, a_stride, panel, stride, sums); \
        }
#    define FOR_INTEGER_TILES(T, F) T(F, 2, 4) T(F, 2, 2) T(F, 1, 8) T(F, 1, 6) T(F, 1, 4) T(F, 1, 2)
FOR_INTEGER_TILES(TILE_OF_ROWS, U8_S8)
FOR_INTEGER_TILES(TILE_OF_ROWS, S16_PAIRS)

typedef struct {
    int rows, width;
    void (*run[2])(TILE_ARGUMENTS); /* U8_S8, S16_PAIRS */
} IntegerTileOfSize;
#    define TILE_ENTRY(F, R, W) {R, W, {integer_tile_U8_S8_##R##_##W, integer_tile_S16_PAIRS_##R##_##W}},
static const IntegerTileOfSize integer_tiles[] = {FOR_INTEGER_TILES(TILE_ENTRY, )};

/* The first that fits: rows as many as possible, then columns. */
SKLSTM_INLINE const IntegerTileOfSize *integer_tile_for(Py_ssize_t rows, int width) {
    const IntegerTileOfSize *tile = integer_tiles;
    while (tile->rows > rows || tile->width > width) tile++;
    return tile;
}

/* sums (n_rows, PANEL_WIDTH) += the products of n_words words from word `first` on. */
SKLSTM_INLINE void sum_integer_products(const IntegerProduct *p, Py_ssize_t first, Py_ssize_t n_words, uint32_t *sums) {
    const Py_ssize_t stride = p->vecs * LANES;
    const int registers = (int)stride / INTEGERS;
    for (Py_ssize_t k = 0; k < n_words; k += WORDS_OF_A_BLOCK) {
        const Py_ssize_t words = smaller(WORDS_OF_A_BLOCK, n_words - k);
        for (Py_ssize_t r = 0; r < p->n_rows;) {
            const IntegerTileOfSize *tile = NULL;
            for (int c = 0; c < registers; c += tile->width) {
                tile = integer_tile_for(p->n_rows - r, registers - c);
                tile->run[p->format == S16_PAIRS](words, p->a + r * p->a_stride + first + k, p->a_stride,
                                                  p->panel + (first + k) * stride + c * INTEGERS, stride,
                                                  sums + r * PANEL_WIDTH + c * INTEGERS);
            }
            r += tile->rows;
        }
    }
}

/* At most ROWS_AT_ONCE rows. */
static void integer_products(const IntegerProduct *p) {
    const Py_ssize_t width = p->vecs * LANES, step = words_of_a_sum(p);
    uint32_t sums[ROWS_AT_ONCE * PANEL_WIDTH];
    for (Py_ssize_t k = 0; k < p->n_words; k += step) {
        for (Py_ssize_t r = 0; r < p->n_rows; r++)
            memcpy(sums + r * PANEL_WIDTH, p->start, (size_t)width * sizeof(uint32_t));
        sum_integer_products(p, k, smaller(step, p->n_words - k), sums);
        for (Py_ssize_t r = 0; r < p->n_rows; r++) {
            const real *from = k ? p->z + r * p->z_stride : p->from[r];
            real *z = p->z + r * p->z_stride;
            for (Py_ssize_t u = 0; u < width; u++)
                z[u] = fmaf((real)(int32_t)sums[r * PANEL_WIDTH + u], p->scale[u], from[u]);
        }
    }
}
#  endif

#endif
