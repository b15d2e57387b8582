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
    COLUMNS_OF_A_SUM = 128, /* of 16 bits, whose sums would need more than 32 (sklstm/_network/integers.py has the number too) */
    ROWS_AT_ONCE = 32, /* whose sums are kept while k is cut into blocks */
#  if defined(SKLSTM_HAS_VNNI)
    INTEGER_ROWS = 6,
    WORDS_OF_A_BLOCK = 1 << 30
#  else
    INTEGER_ROWS = 2,
    WORDS_OF_A_BLOCK = 64 /* of a panel, 16 KB: stays in L1 for all rows */
#  endif
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
    INTEGERS = (int)(sizeof(integers) / 4),        /* 32-bit numbers in a register */
    PANEL_WIDTH = 64                               /* columns of a full panel */
};

/* The arguments of a tile: sums (rows, PANEL_WIDTH) += a (rows, n_words) @ some registers of columns of a panel, whose rows are
 * `stride` apart. `ahead`: with every word, 64 bytes from there on are fetched into L2; NULL: nothing. */
#define TILE_ARGUMENTS                                                                                                        \
    Py_ssize_t n_words, const uint32_t *a, Py_ssize_t a_stride, const uint32_t *panel, Py_ssize_t stride, const char *ahead,  \
        uint32_t *sums

SKLSTM_INLINE void integer_rows(const int format, const int rows, const int width, TILE_ARGUMENTS) {
    integers acc[INTEGER_ROWS][8];
#  pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#  pragma GCC unroll 8
        for (int c = 0; c < width; c++) acc[r][c] = load_integers(sums + r * PANEL_WIDTH + c * INTEGERS);
    for (Py_ssize_t k = 0; k < n_words; k++, panel += stride) {
        integers w[8];
#  if defined(SKLSTM_HAS_VNNI)
        if (ahead) SKLSTM_PREFETCH(ahead + 64 * k, 2);
#    pragma GCC unroll 4
        for (int c = 0; c < width; c++) w[c] = load_integers(panel + c * INTEGERS);
#    pragma GCC unroll 6
        for (int r = 0; r < rows; r++) {
            const integers x = broadcast_integers(a + r * a_stride + k);
#    pragma GCC unroll 4
            for (int c = 0; c < width; c++) acc[r][c] = add_word_products(format, acc[r][c], x, w[c]);
        }
#  else
        integers x[2];
#    pragma GCC unroll 2
        for (int r = 0; r < rows; r++) x[r] = broadcast_integers(a + r * a_stride + k);
#    pragma GCC unroll 8
        for (int c = 0; c < width; c++) {
            w[0] = load_integers(panel + c * INTEGERS);
#    if defined(__GNUC__) && defined(__SSE2__)
            __asm__("" : "+x"(w[0])); /* read once: GCC would read it for each row */
#    endif
#    pragma GCC unroll 2
            for (int r = 0; r < rows; r++) acc[r][c] = add_word_products(format, acc[r][c], x[r], w[0]);
        }
#  endif
    }
#  pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#  pragma GCC unroll 8
        for (int c = 0; c < width; c++) store_integers(sums + r * PANEL_WIDTH + c * INTEGERS, acc[r][c]);
}

#  if defined(SKLSTM_HAS_VNNI)
/* One row, whose panels come from beyond L2: two words at a time, so that enough sums are under way, and fetched 8 KB ahead. */
SKLSTM_INLINE void integer_row(const int format, const int width, TILE_ARGUMENTS) {
    integers even[4], odd[4];
    (void)a_stride, (void)ahead;
#    pragma GCC unroll 4
    for (int c = 0; c < width; c++) even[c] = load_integers(sums + c * INTEGERS), odd[c] = _mm512_setzero_si512();
    for (Py_ssize_t k = 0; k + 1 < n_words; k += 2, panel += 2 * stride) {
        const integers x = broadcast_integers(a + k), y = broadcast_integers(a + k + 1);
#    pragma GCC unroll 4
        for (int c = 0; c < width; c++) {
            SKLSTM_PREFETCH(panel + 2048 + c * INTEGERS, 3);
            SKLSTM_PREFETCH(panel + 2048 + stride + c * INTEGERS, 3);
            even[c] = add_word_products(format, even[c], x, load_integers(panel + c * INTEGERS));
            odd[c] = add_word_products(format, odd[c], y, load_integers(panel + stride + c * INTEGERS));
        }
    }
    if (n_words % 2) {
        const integers x = broadcast_integers(a + n_words - 1);
#    pragma GCC unroll 4
        for (int c = 0; c < width; c++) even[c] = add_word_products(format, even[c], x, load_integers(panel + c * INTEGERS));
    }
#    pragma GCC unroll 4
    for (int c = 0; c < width; c++) store_integers(sums + c * INTEGERS, _mm512_add_epi32(even[c], odd[c]));
}
#  endif

/* One function a tile: only so do the accumulators stay in registers. */
#define TILE_VALUES n_words, a, a_stride, panel, stride, ahead, sums
#define TILE_OF_ROWS(F, R, W) \
    SKLSTM_NOINLINE void integer_tile_##F##_##R##_##W(TILE_ARGUMENTS) { integer_rows(F, R, W, TILE_VALUES); }
#define TILE_OF_A_ROW(F, R, W) \
    SKLSTM_NOINLINE void integer_tile_##F##_##R##_##W(TILE_ARGUMENTS) { integer_row(F, W, TILE_VALUES); }
#  if defined(SKLSTM_HAS_VNNI)
#    define FOR_INTEGER_TILES(T, T1, F)                                                                                       \
        T(F, 6, 4) T(F, 4, 4) T(F, 2, 4) T1(F, 1, 4) T(F, 6, 3) T(F, 4, 3) T(F, 2, 3) T1(F, 1, 3)                             \
        T(F, 6, 2) T(F, 4, 2) T(F, 2, 2) T1(F, 1, 2) T(F, 6, 1) T(F, 4, 1) T(F, 2, 1) T1(F, 1, 1)
#    define TILE_OF_ONE TILE_OF_A_ROW
#  else
#    define FOR_INTEGER_TILES(T, T1, F) T(F, 2, 4) T(F, 2, 2) T1(F, 1, 8) T1(F, 1, 6) T1(F, 1, 4) T1(F, 1, 2)
#    define TILE_OF_ONE TILE_OF_ROWS
#  endif
FOR_INTEGER_TILES(TILE_OF_ROWS, TILE_OF_ONE, U8_S8)
FOR_INTEGER_TILES(TILE_OF_ROWS, TILE_OF_ONE, S16_PAIRS)

typedef void (*IntegerTile)(TILE_ARGUMENTS);
typedef struct {
    int rows, width;
    IntegerTile run[2]; /* U8_S8, S16_PAIRS */
} IntegerTileOfSize;
#define TILE_ENTRY(F, R, W) {R, W, {integer_tile_U8_S8_##R##_##W, integer_tile_S16_PAIRS_##R##_##W}},
static const IntegerTileOfSize integer_tiles[] = {FOR_INTEGER_TILES(TILE_ENTRY, TILE_ENTRY, )};

/* The first that fits: rows as many as possible, then columns. */
SKLSTM_INLINE const IntegerTileOfSize *integer_tile_for(Py_ssize_t rows, int width) {
    const IntegerTileOfSize *tile = integer_tiles;
    while (tile->rows > rows || tile->width > width) tile++;
    return tile;
}

/* sums (n_rows, PANEL_WIDTH) += a (n_rows, n_words) @ panel of `vecs` vectors of columns. */
static void integer_products(int format, int vecs, Py_ssize_t n_rows, Py_ssize_t n_words, const uint32_t *a,
                             Py_ssize_t a_stride, const uint32_t *panel, uint32_t *sums) {
    const Py_ssize_t stride = vecs * LANES;
    const int registers = (int)stride / INTEGERS;
    for (Py_ssize_t k = 0; k < n_words; k += WORDS_OF_A_BLOCK) {
        const Py_ssize_t words = smaller(WORDS_OF_A_BLOCK, n_words - k);
        for (Py_ssize_t r = 0, tiles = 0; r < n_rows; tiles++) {
            const IntegerTileOfSize *tile = NULL;
            for (int c = 0; c < registers; c += tile->width) {
                tile = integer_tile_for(n_rows - r, registers - c);
                /* each tile of rows fetches another part of what follows this panel */
                tile->run[format == S16_PAIRS](words, a + r * a_stride + k, a_stride, panel + k * stride + c * INTEGERS, stride,
                                               (const char *)(panel + n_words * stride + tiles * n_words * 16),
                                               sums + r * PANEL_WIDTH + c * INTEGERS);
            }
            r += tile->rows;
        }
    }
}

#endif
