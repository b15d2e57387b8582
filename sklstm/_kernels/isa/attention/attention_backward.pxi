# Backward pass of a block of self-attention, sequence by sequence.

cdef void add_outer(Py_ssize_t n_pairs, Py_ssize_t n_k, Py_ssize_t width, const real *a, Py_ssize_t a_stride,
                    const real *d, Py_ssize_t d_stride, real *panels, real *bias) noexcept nogil:
    """Add the outer products of pairs of rows to a matrix in panels and its bias, in blocks that stay in L1."""
    cdef Py_ssize_t first = 0, n, n_panels = width // (4 * LANES)
    cdef real one = 1
    while first < n_pairs:
        n = min(n_pairs - first, <Py_ssize_t> PAIRS)
        outer(n, n_k, n_panels, a + first * a_stride, a_stride, d + first * d_stride, d_stride, panels)
        outer(n, 1, n_panels, &one, 0, d + first * d_stride, d_stride, bias)
        first += n


cdef void add_head_gradients(const AttentionCall *call, const AttentionBuffers *b, Py_ssize_t slot, Py_ssize_t i,
                             Py_ssize_t n_rows, Py_ssize_t n_keys, Py_ssize_t length,
                             Py_ssize_t head) noexcept nogil:
    """d_q of the queries i .. i + n_rows of one head, and their terms of its d_k and d_v."""
    cdef Py_ssize_t n_vecs = b.head_stride // LANES, row = slot + i, column = head * b.head_size, j, n
    cdef const real *q = b.q_k_v + row * b.in_stride + column
    cdef const real *out = b.heads + row * b.heads_stride + column
    cdef const real *d_out = b.d_heads + i * b.heads_stride + column
    cdef const real *statistics = b.statistics + (row * call.n_heads + head) * 2
    cdef real *p
    cdef real *d_p
    cdef real mean
    scores_of_keys(b, n_rows, n_keys, length, q, b.in_stride, b.keys_transposed, b.p)
    scores_of_keys(b, n_rows, n_keys, length, d_out, b.heads_stride, b.values_transposed, b.d_p)
    for j in range(n_rows):
        n = i + j + 1 if call.causal else length
        p, d_p = b.p + j * b.score_stride, b.d_p + j * b.score_stride
        softmax_from_statistics(n, n_keys, b.scale, statistics + j * call.n_heads * 2, p)
        # The sum over the keys of p d_p is the product of the head's output and its gradient: d numbers, not T.
        mean = dot_product(b.head_size, out + j * b.heads_stride, d_out + j * b.heads_stride)
        softmax_backward(n, n_keys, b.scale, mean, p, d_p)
    transposed_product(n_keys, n_rows, n_vecs, b.p, b.score_stride, d_out, b.heads_stride, b.d_v, b.head_stride)
    transposed_product(n_keys, n_rows, n_vecs, b.d_p, b.score_stride, q, b.in_stride, b.d_k, b.head_stride)
    product_of_head(n_rows, n_keys, length, n_vecs, b.d_p, b.score_stride, b.keys, b.d_q, b.head_stride)
    for j in range(n_rows):
        memcpy(b.d_q_k_v + (i + j) * b.in_stride + column, b.d_q + j * b.head_stride, b.head_size * sizeof(real))


cdef void head_backward(const AttentionCall *call, const AttentionBuffers *b, Py_ssize_t slot, Py_ssize_t length,
                        Py_ssize_t head) noexcept nogil:
    """From the gradient of one head's output to that of its q, k and v."""
    cdef Py_ssize_t i = length - 1 if call.last_only else 0, n_rows, t
    cdef Py_ssize_t room = round_up(length, 4 * TILE_ROWS) * b.head_stride
    cdef const real *k = b.q_k_v + slot * b.in_stride + call.n_units + head * b.head_size
    cdef const real *v = k + call.n_units
    cdef real *d_k = b.d_q_k_v + call.n_units + head * b.head_size
    pack_narrow(k, length, b.head_size, b.in_stride, 1, b.keys)
    pack_narrow(k, b.head_size, length, 1, b.in_stride, b.keys_transposed)
    pack_narrow(v, b.head_size, length, 1, b.in_stride, b.values_transposed)
    memset(b.d_k, 0, room * sizeof(real))
    memset(b.d_v, 0, room * sizeof(real))
    while i < length:
        n_rows = min(length - i, <Py_ssize_t> QUERIES)
        add_head_gradients(call, b, slot, i, n_rows, i + n_rows if call.causal else length, length, head)
        i += n_rows
    for t in range(length):
        memcpy(d_k + t * b.in_stride, b.d_k + t * b.head_stride, b.head_size * sizeof(real))
        memcpy(d_k + t * b.in_stride + call.n_units, b.d_v + t * b.head_stride, b.head_size * sizeof(real))


cdef void rows_backward(const AttentionCall *call, const AttentionBuffers *b, Py_ssize_t r, Py_ssize_t slot,
                        Py_ssize_t length) noexcept nogil:
    """From d_u through the normalisation; added to d_y, the gradient of the residual."""
    cdef Py_ssize_t t, stride = call.stride
    for t in range(length):
        layer_norm_backward(call.n_units, stride, call.norm, b.normalised + (slot + t) * b.u_stride,
                            b.inverse[slot + t], b.u + t * b.u_stride, call.d_norm)
        sum_rows(stride, <real *> call.d_y + (t * call.n_samples + r) * stride, b.u + t * b.u_stride)


cdef void recompute_inputs(const AttentionCall *call, const AttentionBuffers *b, Py_ssize_t slot,
                           Py_ssize_t length) noexcept nogil:
    """u from its normalised rows, the same bits as in attention_inputs."""
    cdef Py_ssize_t t, j
    cdef const real *restrict gain = <const real *> call.norm
    cdef const real *restrict shift = gain + call.stride
    cdef const real *restrict position
    cdef const real *restrict x
    cdef real *restrict u
    for t in range(length):
        u, x = b.u + t * b.u_stride, b.normalised + (slot + t) * b.u_stride
        position = b.positions + t * call.stride
        for j in range(call.n_units):
            u[j] = x[j] * gain[j] + shift[j] + position[j]


cdef void sequence_backward(const AttentionCall *call, const AttentionBuffers *b, Py_ssize_t r) noexcept nogil:
    cdef Py_ssize_t n_units = call.n_units, stride = call.stride, length = call.lengths[r], last = length - 1
    cdef Py_ssize_t slot = r * call.n_steps, first = last if call.last_only else 0, n_queries = length - first
    cdef Py_ssize_t alone = columns_of_last(call), head, t
    for t in range(n_queries):
        memcpy(b.rows + t * b.out_stride, <const real *> call.d_y + ((first + t) * call.n_samples + r) * stride,
               stride * sizeof(real))
        memset(b.rows + t * b.out_stride + stride, 0, (b.out_width - stride) * sizeof(real))
    add_outer(n_queries, n_units, b.out_width, b.heads + (slot + first) * b.heads_stride, b.heads_stride, b.rows,
              b.out_stride, <real *> call.d_weights_out, <real *> call.d_bias_out)
    product(n_queries, b.out_width, stride // LANES, b.rows, b.out_stride, call.weights_out_transposed,
            b.d_heads + first * b.heads_stride, b.heads_stride, False)
    # The padding and, with last_only, all queries but the last have no gradient.
    memset(b.d_q_k_v, 0, length * b.in_stride * sizeof(real))
    for head in range(call.n_heads):
        head_backward(call, b, slot, length, head)
    recompute_inputs(call, b, slot, length)
    add_outer(1, n_units, alone, b.u + last * b.u_stride, b.u_stride, b.d_q_k_v + last * b.in_stride, b.in_stride,
              <real *> call.d_weights_in, <real *> call.d_bias_in)
    add_outer(length, n_units, b.in_width - alone, b.u, b.u_stride, b.d_q_k_v + alone, b.in_stride,
              <real *> call.d_weights_in + alone * n_units, <real *> call.d_bias_in + alone)
    product(length, b.in_width, stride // LANES, b.d_q_k_v, b.in_stride, call.weights_in_transposed, b.u, b.u_stride,
            False)
    rows_backward(call, b, r, slot, length)


cdef void attention_backward(const AttentionCall *call) noexcept nogil:
    """d_y: in, the gradient of the output; out, that of the input. The gradients of the weights are added to."""
    cdef AttentionBuffers b
    cdef Py_ssize_t r
    lay_out_attention(call.n_samples, call.n_steps, call.n_units, call.n_heads, True, <char *> call.workspace, &b)
    for r in range(call.n_samples):
        if call.interrupted != NULL and call.interrupted(call.interrupt_context):
            return
        sequence_backward(call, &b, r)
