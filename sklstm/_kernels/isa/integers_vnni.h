/* The tiles of AVX512_VNNI: sums begin, grow and become floats in registers. With sums in memory, filled before each tile and
 * scaled after it by loops of their own, `predict` of 64 units in int16 took 1.6 times as long.
 */
enum { INTEGER_ROWS = 6 };

/* Some rows by `width` vectors of a panel, whose rows are `stride` apart. */
typedef struct {
    Py_ssize_t n_words, a_stride, stride, z_stride;
    const uint32_t *a, *panel, *start;
    const char *ahead; /* with every word, 64 bytes from there on are fetched into L2 */
    const real *scale;
    const real *from[INTEGER_ROWS];
    real *z;
} IntegerTile;

SKLSTM_INLINE integers first_sum(const int format, const uint32_t *start) {
    return format == S16_PAIRS ? _mm512_setzero_si512() : load_integers(start);
}

SKLSTM_INLINE vec scaled(integers sum, const real *scale, vec from) {
    return v_fma((vec)_mm512_cvtepi32_ps(sum), v_load(scale), from);
}

SKLSTM_INLINE void integer_rows(const int format, const int rows, const int width, const IntegerTile *t) {
    const Py_ssize_t n_words = t->n_words, a_stride = t->a_stride, stride = t->stride;
    const uint32_t *a = t->a, *panel = t->panel;
    const char *ahead = t->ahead;
    integers acc[INTEGER_ROWS][4];
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int c = 0; c < width; c++) acc[r][c] = first_sum(format, t->start + c * INTEGERS);
    for (Py_ssize_t k = 0; k < n_words; k++, panel += stride) {
        integers w[4];
        SKLSTM_PREFETCH(ahead + 64 * k, 2);
#pragma GCC unroll 4
        for (int c = 0; c < width; c++) w[c] = load_integers(panel + c * INTEGERS);
#pragma GCC unroll 6
        for (int r = 0; r < rows; r++) {
            const integers x = broadcast_integers(a + r * a_stride + k);
#pragma GCC unroll 4
            for (int c = 0; c < width; c++) acc[r][c] = add_word_products(format, acc[r][c], x, w[c]);
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int c = 0; c < width; c++) {
            const Py_ssize_t u = c * INTEGERS;
            v_store(t->z + r * t->z_stride + u, scaled(acc[r][c], t->scale + u, v_load(t->from[r] + u)));
        }
}

/* The sums of one row: z (width vectors) += scale (start + a @ panel). Two words at a time, so that enough sums are under way.
 * Panels of a row come from beyond L2, in order, as the hardware fetches them best: with instructions that fetch 1 to 32 KB ahead
 * 10 MB of panels took 139 to 180 us, and 124 without. */
SKLSTM_INLINE void add_row_products(const int format, const int width, Py_ssize_t n_words, const uint32_t *a,
                                    const uint32_t *panel, const uint32_t *start, const real *scale, vec *z) {
    const Py_ssize_t stride = width * INTEGERS;
    integers even[4], odd[4];
#pragma GCC unroll 4
    for (int c = 0; c < width; c++) even[c] = first_sum(format, start + c * INTEGERS), odd[c] = _mm512_setzero_si512();
    for (Py_ssize_t k = 0; k + 1 < n_words; k += 2, panel += 2 * stride) {
        const integers x = broadcast_integers(a + k), y = broadcast_integers(a + k + 1);
#pragma GCC unroll 4
        for (int c = 0; c < width; c++) {
            even[c] = add_word_products(format, even[c], x, load_integers(panel + c * INTEGERS));
            odd[c] = add_word_products(format, odd[c], y, load_integers(panel + stride + c * INTEGERS));
        }
    }
    if (n_words % 2) {
        const integers x = broadcast_integers(a + n_words - 1);
#pragma GCC unroll 4
        for (int c = 0; c < width; c++) even[c] = add_word_products(format, even[c], x, load_integers(panel + c * INTEGERS));
    }
#pragma GCC unroll 4
    for (int c = 0; c < width; c++) z[c] = scaled(_mm512_add_epi32(even[c], odd[c]), scale + c * INTEGERS, z[c]);
}

SKLSTM_INLINE void integer_row(const int format, const int width, const IntegerTile *t) {
    vec z[4];
#pragma GCC unroll 4
    for (int c = 0; c < width; c++) z[c] = v_load(t->from[0] + c * INTEGERS);
    add_row_products(format, width, t->n_words, t->a, t->panel, t->start, t->scale, z);
#pragma GCC unroll 4
    for (int c = 0; c < width; c++) v_store(t->z + c * INTEGERS, z[c]);
}

/* One row of a full panel whose parts follow each other. Between two parts the memory waits: with a function for each of them, the
 * 160 panels of a step of 5x512 took 10 us more of 143. */
SKLSTM_NOINLINE void integer_row_of_parts(int n_parts, const IntegerProduct *parts, const real *from, real *z) {
    vec sums[4];
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) sums[c] = v_load(from + c * INTEGERS);
    for (const IntegerProduct *p = parts; p < parts + n_parts; p++) {
        const uint32_t *a = p->a, *panel = p->panel;
        if (p->format == U8_S8) {
            add_row_products(U8_S8, 4, p->n_words, a, panel, p->start, p->scale, sums);
            continue;
        }
        for (Py_ssize_t k = 0; k < p->n_words; k += COLUMNS_OF_A_SUM / 2)
            add_row_products(S16_PAIRS, 4, smaller(COLUMNS_OF_A_SUM / 2, p->n_words - k), a + k, panel + k * PANEL_WIDTH,
                             p->start, p->scale, sums);
    }
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) v_store(z + c * INTEGERS, sums[c]);
}

/* One function a tile: only so do the accumulators stay in registers. */
#define TILE_OF_ROWS(F, R, W) \
    SKLSTM_NOINLINE void integer_tile_##F##_##R##_##W(const IntegerTile *t) { integer_rows(F, R, W, t); }
#define TILE_OF_A_ROW(F, R, W) \
    SKLSTM_NOINLINE void integer_tile_##F##_##R##_##W(const IntegerTile *t) { integer_row(F, W, t); }
#define FOR_INTEGER_TILES(T, T1, F)                                                               \
    T(F, 6, 4) T(F, 4, 4) T(F, 2, 4) T1(F, 1, 4) T(F, 6, 3) T(F, 4, 3) T(F, 2, 3) T1(F, 1, 3)     \
    T(F, 6, 2) T(F, 4, 2) T(F, 2, 2) T1(F, 1, 2) T(F, 6, 1) T(F, 4, 1) T(F, 2, 1) T1(F, 1, 1)
FOR_INTEGER_TILES(TILE_OF_ROWS, TILE_OF_A_ROW, U8_S8)
FOR_INTEGER_TILES(TILE_OF_ROWS, TILE_OF_A_ROW, S16_PAIRS)

typedef struct {
    int rows, width;
    void (*run[2])(const IntegerTile *t); /* U8_S8, S16_PAIRS */
} IntegerTileOfSize;
#define TILE_ENTRY(F, R, W) {R, W, {integer_tile_U8_S8_##R##_##W, integer_tile_S16_PAIRS_##R##_##W}},
static const IntegerTileOfSize integer_tiles[] = {FOR_INTEGER_TILES(TILE_ENTRY, TILE_ENTRY, )};

/* At most ROWS_AT_ONCE rows. */
static void integer_products(const IntegerProduct *p) {
    const Py_ssize_t stride = p->vecs * LANES, step = words_of_a_sum(p);
    IntegerTile t = {.a_stride = p->a_stride, .stride = stride, .z_stride = p->z_stride, .start = p->start, .scale = p->scale};
    for (Py_ssize_t k = 0; k < p->n_words; k += step) {
        const IntegerTileOfSize *tile = integer_tiles;
        t.n_words = smaller(step, p->n_words - k);
        t.panel = p->panel + k * stride;
        t.ahead = (const char *)(t.panel + p->n_words * stride); /* each tile fetches another part of what follows this panel */
        while (tile->width > p->vecs) tile++;
        for (Py_ssize_t r = 0; r < p->n_rows; r += tile->rows, t.ahead += 64 * t.n_words) {
            while (tile->rows > p->n_rows - r) tile++;
            t.a = p->a + r * p->a_stride + k;
            t.z = p->z + r * p->z_stride;
            for (int i = 0; i < tile->rows; i++) t.from[i] = k ? t.z + i * p->z_stride : p->from[r + i];
            tile->run[p->format == S16_PAIRS](&t);
        }
    }
}
