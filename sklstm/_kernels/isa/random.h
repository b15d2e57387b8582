/* Counter-based random numbers, and the masks drawn from them. */

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

/* Inverted dropout (Srivastava et al. 2014) of one row: out = h / (1 - rate) where kept, else 0. The counter is (unit / 4, layer
 * and step, sample, epoch): neither the batch nor the thread that a sample falls into matters. */
static void dropout(Py_ssize_t n_units, unsigned long long seed, unsigned int layer_step, unsigned int sample,
                    unsigned int epoch, double rate, const void *h_row, void *out_row, unsigned char *kept) {
    const real *h = (const real *)h_row;
    real *out = (real *)out_row;
    const real factor = (real)(1.0 / (1.0 - rate));
    const uint32_t threshold = (uint32_t)(rate * 4294967296.0);
    for (Py_ssize_t unit = 0; unit < n_units; unit += 4) {
        uint32_t words[4] = {(uint32_t)(unit / 4), layer_step, sample, epoch};
        philox4x32(words, (uint32_t)seed, (uint32_t)(seed >> 32));
        for (Py_ssize_t j = 0; j < 4 && unit + j < n_units; j++) {
            kept[unit + j] = words[j] >= threshold;
            out[unit + j] = kept[unit + j] ? h[unit + j] * factor : 0;
        }
    }
}

static void dropout_backward(Py_ssize_t n_units, double rate, const unsigned char *kept, void *d_h_row) {
    real *d_h = (real *)d_h_row;
    const real factor = (real)(1.0 / (1.0 - rate));
    for (Py_ssize_t unit = 0; unit < n_units; unit++) d_h[unit] = kept[unit] ? d_h[unit] * factor : 0;
}
