# Inverted dropout (Srivastava et al. 2014) of one row of hidden states, from counter-based random numbers.

ctypedef unsigned int u32
ctypedef unsigned long long u64


cdef inline void philox4x32(u32 *counter, u32 key0, u32 key1) noexcept nogil:
    """Philox4x32-10 (Salmon et al. 2011) in place: four words that depend on counter and key alone."""
    cdef u64 product0, product1
    cdef u32 c0
    cdef int i
    for i in range(10):
        product0 = <u64> 0xD2511F53u * counter[0]
        product1 = <u64> 0xCD9E8D57u * counter[2]
        c0 = <u32> (product1 >> 32) ^ counter[1] ^ key0
        counter[1] = <u32> product1
        counter[2] = <u32> (product0 >> 32) ^ counter[3] ^ key1
        counter[3] = <u32> product0
        counter[0] = c0
        key0 += 0x9E3779B9u
        key1 += 0xBB67AE85u


cdef void dropout(Py_ssize_t n_units, u64 seed, u32 layer_step, u32 sample, u32 epoch, double rate, const void *h_row,
                  void *out_row, unsigned char *kept) noexcept nogil:
    """out = h / (1 - rate) where kept, else 0. The counter is (unit / 4, layer and step, sample, epoch): neither the
    batch nor the thread that a sample falls into matters."""
    cdef const real *h = <const real *> h_row
    cdef real *out = <real *> out_row
    cdef real factor = <real> (1.0 / (1.0 - rate))
    cdef u32 threshold = <u32> (rate * 4294967296.0)
    cdef u32 words[4]
    cdef Py_ssize_t unit, j
    for unit in range(0, n_units, 4):
        words[0] = <u32> (unit // 4)
        words[1] = layer_step
        words[2] = sample
        words[3] = epoch
        philox4x32(words, <u32> seed, <u32> (seed >> 32))
        for j in range(min(4, n_units - unit)):
            kept[unit + j] = words[j] >= threshold
            out[unit + j] = h[unit + j] * factor if kept[unit + j] else 0


cdef void dropout_backward(Py_ssize_t n_units, double rate, const unsigned char *kept, void *d_h_row) noexcept nogil:
    cdef real *d_h = <real *> d_h_row
    cdef real factor = <real> (1.0 / (1.0 - rate))
    cdef Py_ssize_t unit
    for unit in range(n_units):
        d_h[unit] = d_h[unit] * factor if kept[unit] else 0
