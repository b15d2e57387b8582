# Pooling of the outputs of one chunk over the steps of each sequence, as a running accumulation: with the carried
# state, several calls give the bits of one call over all steps.
#   mean       feature = (sum of y_t) / (number of steps)
#   attention  a = softmax over the steps of w . tanh(y_t), feature = sum of a_t y_t (Zhou et al. 2016, "Attention-based
#              bidirectional LSTM networks for relation classification", eqs. 9 to 11)
# The softmax is updated online: largest score, normaliser and weighted sum (Milakov and Gimelshein 2018).

cdef struct PoolBuffers:
    real *scores                 # (n, T)
    real *statistics             # (n, 2) largest score and normaliser of each sequence
    real *row                    # (stride,) tanh of a row
    real *state                  # (pool_state_size,) of the current sequence


cdef Py_ssize_t pool_state_size(int kind, Py_ssize_t n_units) noexcept nogil:
    """Numbers that a sequence carries: [sum, count], or [sum, normaliser, largest score]."""
    return n_units + (2 if kind == ATTENTION_POOLING else 1)


cdef char *lay_out_pool(int kind, Py_ssize_t n_samples, Py_ssize_t n_steps, Py_ssize_t n_units, char *base,
                        PoolBuffers *b) noexcept nogil:
    """Cut a workspace into its arrays; return its end. Also used to measure: nothing is written."""
    memset(b, 0, sizeof(PoolBuffers))
    b.state = take_numbers(&base, pool_state_size(kind, n_units))
    if kind == ATTENTION_POOLING:
        b.scores = take_numbers(&base, n_samples * n_steps)
        b.statistics = take_numbers(&base, 2 * n_samples)
        b.row = take_numbers(&base, round_up(n_units, LANES))
    return base


cdef Py_ssize_t pool_workspace(int kind, Py_ssize_t n_samples, Py_ssize_t n_steps, Py_ssize_t n_units) noexcept nogil:
    """Bytes of the workspace of a chunk of that size or smaller."""
    cdef PoolBuffers b
    return lay_out_pool(kind, n_samples, n_steps, n_units, NULL, &b) - <char *> NULL


cdef inline const real *row_of_step(const PoolCall *call, Py_ssize_t t, Py_ssize_t r) noexcept nogil:
    return <const real *> call.y + (t * call.n_samples + r) * call.stride


cdef void run_mean(const PoolCall *call, Py_ssize_t r, real *restrict state) noexcept nogil:
    cdef Py_ssize_t t, j, n_units = call.n_units
    cdef const real *restrict y
    for t in range(call.lengths[r]):
        y = row_of_step(call, t, r)
        for j in range(n_units):
            state[j] += y[j]
    state[n_units] += <real> call.lengths[r]


cdef void run_attention(const PoolCall *call, Py_ssize_t r, const PoolBuffers *b, real *restrict state) noexcept nogil:
    cdef Py_ssize_t t, j, n_units = call.n_units
    cdef real normaliser = state[n_units], largest = state[n_units + 1] if normaliser > 0 else -INFINITY
    cdef real score, weight, fade
    cdef const real *restrict y
    for t in range(call.lengths[r]):
        y = row_of_step(call, t, r)
        tanh_array(call.stride, y, b.row)
        score = dot_product(n_units, <const real *> call.w, b.row)
        b.scores[r * call.n_steps + t] = score
        if score <= largest:
            weight = <real> exp(<double> score - <double> largest)
            normaliser += weight
            for j in range(n_units):
                state[j] += weight * y[j]
        else:
            fade = <real> exp(<double> largest - <double> score)
            largest = score
            normaliser = normaliser * fade + 1
            for j in range(n_units):
                state[j] = state[j] * fade + y[j]
    state[n_units] = b.statistics[2 * r + 1] = normaliser
    state[n_units + 1] = b.statistics[2 * r] = largest


cdef void store_step_weights(const PoolCall *call, Py_ssize_t r, const PoolBuffers *b) noexcept nogil:
    cdef Py_ssize_t t
    cdef real *out = <real *> call.step_weights + r * call.max_steps
    for t in range(call.lengths[r]):
        out[t] = weight_of_step(call, t, r, b)
    memset(out + call.lengths[r], 0, (call.max_steps - call.lengths[r]) * sizeof(real))


cdef inline real weight_of_step(const PoolCall *call, Py_ssize_t t, Py_ssize_t r, const PoolBuffers *b) noexcept nogil:
    return <real> (exp(<double> b.scores[r * call.n_steps + t] - <double> b.statistics[2 * r])
                   / <double> b.statistics[2 * r + 1])


cdef void pool_forward(const PoolCall *call) noexcept nogil:
    """The features of all sequences of the chunk, and the states to carry."""
    cdef PoolBuffers b
    cdef Py_ssize_t r, j, n_units = call.n_units, size = pool_state_size(call.kind, n_units)
    cdef real *feature
    lay_out_pool(call.kind, call.n_samples, call.n_steps, n_units, <char *> call.workspace, &b)
    for r in range(call.n_samples):
        if call.initial != NULL:
            memcpy(b.state, <const real *> call.initial + r * call.state_stride, size * sizeof(real))
        else:
            memset(b.state, 0, size * sizeof(real))
        if call.kind == MEAN_POOLING:
            run_mean(call, r, b.state)
        else:
            run_attention(call, r, &b, b.state)
        feature = <real *> call.features + r * call.stride
        for j in range(n_units):
            feature[j] = b.state[j] / b.state[n_units]
        memset(feature + n_units, 0, (call.stride - n_units) * sizeof(real))
        if call.final != NULL:
            memcpy(<real *> call.final + r * call.state_stride, b.state, size * sizeof(real))
        if call.step_weights != NULL and call.kind == ATTENTION_POOLING:
            store_step_weights(call, r, &b)


cdef void mean_backward(const PoolCall *call, Py_ssize_t r) noexcept nogil:
    cdef Py_ssize_t t, j
    cdef const real *restrict d_feature = <const real *> call.d_features + r * call.stride
    cdef real *restrict d_y
    for t in range(call.lengths[r]):
        d_y = <real *> call.d_y + (t * call.n_samples + r) * call.stride
        for j in range(call.stride):
            d_y[j] = d_feature[j] / <real> call.lengths[r]


cdef void attention_pooling_backward(const PoolCall *call, Py_ssize_t r, const PoolBuffers *b) noexcept nogil:
    cdef Py_ssize_t t, j, n_units = call.n_units
    cdef const real *restrict d_feature = <const real *> call.d_features + r * call.stride
    cdef const real *restrict w = <const real *> call.w
    cdef const real *tanh_y = b.row
    cdef const real *y
    cdef real *restrict d_y
    cdef real *restrict d_w = <real *> call.d_w
    cdef real weight, d_score
    cdef real mean = dot_product(n_units, d_feature, <const real *> call.features + r * call.stride)
    for t in range(call.lengths[r]):
        y = row_of_step(call, t, r)
        d_y = <real *> call.d_y + (t * call.n_samples + r) * call.stride
        tanh_array(call.stride, y, b.row)
        weight = weight_of_step(call, t, r, b)
        d_score = weight * (dot_product(n_units, d_feature, y) - mean)
        for j in range(call.stride):
            d_w[j] += d_score * tanh_y[j]
            d_y[j] = weight * d_feature[j] + d_score * w[j] * (1 - tanh_y[j] * tanh_y[j])


cdef void pool_backward(const PoolCall *call) noexcept nogil:
    """From the gradient of the features to that of all outputs; that of w is added to d_w."""
    cdef PoolBuffers b
    cdef Py_ssize_t r, t
    lay_out_pool(call.kind, call.n_samples, call.n_steps, call.n_units, <char *> call.workspace, &b)
    for r in range(call.n_samples):
        if call.kind == MEAN_POOLING:
            mean_backward(call, r)
        else:
            attention_pooling_backward(call, r, &b)
        for t in range(call.lengths[r], call.n_steps):
            memset(<real *> call.d_y + (t * call.n_samples + r) * call.stride, 0, call.stride * sizeof(real))
