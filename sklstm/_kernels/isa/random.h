/* Counter-based random numbers, and the masks drawn from them. */

/* What a mask is for: xored into the first word of its key. */
enum { DROPOUT = 0, ZONEOUT_H = 0x5A4F4E48, ZONEOUT_C = 0x5A4F4E43, RECURRENT_DROPOUT = 0x52444F50 };

/* Philox4x32-10 (Salmon et al. 2011) in place: four words that depend on counter and key alone. */
SKLSTM_INLINE void philox4x32(uint32_t *counter, uint32_t key0, uint32_t key1) {
    for (int i = 0; i < 10; i++) {
        const uint64_t product0 = (uint64_t)0xD2511F53u * counter[0], product1 = (uint64_t)0xCD9E8D57u * counter[2];
        const uint32_t c0 = (uint32_t)(product1 >> 32) ^ counter[1] ^ key0;
        counter[1] = (uint32_t)product1;
        counter[2] = (uint32_t)(product0 >> 32) ^ counter[3] ^ key1;
        counter[3] = (uint32_t)product0;
        counter[0] = c0;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
}

/* What a mask depends on: neither the batch nor the thread of a sample. */
typedef struct {
    unsigned long long seed;
    uint32_t purpose, layer;  /* in the key, beside the seed: no two masks share a number */
    uint32_t step, sample, epoch;
    double rate;
} MaskDraw;

/* Whether units unit .. unit + 3 are drawn, each with probability `rate`. The counter is (unit / 4, step, sample, epoch). */
SKLSTM_INLINE void draw_four(const MaskDraw *draw, Py_ssize_t unit, int *drawn) {
    const uint32_t threshold = (uint32_t)(draw->rate * 4294967296.0);
    uint32_t words[4] = {(uint32_t)(unit / 4), draw->step, draw->sample, draw->epoch};
    philox4x32(words, (uint32_t)draw->seed ^ draw->purpose, (uint32_t)(draw->seed >> 32) ^ draw->layer);
    for (int j = 0; j < 4; j++) drawn[j] = words[j] < threshold;
}

/* mask[unit] = value_if_drawn or value_if_not; the padding up to the stride is zero. */
static void draw_mask(Py_ssize_t n_units, Py_ssize_t stride, const MaskDraw *draw, real value_if_drawn, real value_if_not,
                      real *mask) {
    for (Py_ssize_t unit = 0; unit < n_units; unit += 4) {
        int drawn[4];
        draw_four(draw, unit, drawn);
        for (Py_ssize_t j = 0; j < 4 && unit + j < n_units; j++) mask[unit + j] = drawn[j] ? value_if_drawn : value_if_not;
    }
    for (Py_ssize_t unit = n_units; unit < stride; unit++) mask[unit] = 0;
}

/* Inverted dropout (Srivastava et al. 2014) of one row: out = h / (1 - rate) where kept, else 0. Unlike in the other masks, the
 * layer is a part of `layer_step`. */
static void dropout(Py_ssize_t n_units, unsigned long long seed, unsigned int layer_step, unsigned int sample,
                    unsigned int epoch, double rate, const void *h_row, void *out_row, unsigned char *kept) {
    const MaskDraw draw = {seed, DROPOUT, 0, layer_step, sample, epoch, rate};
    const real *h = (const real *)h_row;
    real *out = (real *)out_row;
    const real factor = (real)(1.0 / (1.0 - rate));
    for (Py_ssize_t unit = 0; unit < n_units; unit += 4) {
        int drawn[4];
        draw_four(&draw, unit, drawn);
        for (Py_ssize_t j = 0; j < 4 && unit + j < n_units; j++) {
            kept[unit + j] = !drawn[j];
            out[unit + j] = drawn[j] ? 0 : h[unit + j] * factor;
        }
    }
}

static void dropout_backward(Py_ssize_t n_units, double rate, const unsigned char *kept, void *d_h_row) {
    real *d_h = (real *)d_h_row;
    const real factor = (real)(1.0 / (1.0 - rate));
    for (Py_ssize_t unit = 0; unit < n_units; unit++) d_h[unit] = kept[unit] ? d_h[unit] * factor : 0;
}
