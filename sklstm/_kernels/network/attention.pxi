# The block of self-attention on the top layer and the pooling over its steps: the calls of their kernels.

cdef void describe_attention(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t n, Py_ssize_t n_steps,
                             AttentionCall *block) noexcept nogil:
    cdef const Attention *attention = call.attention
    cdef const Layer *top = &call.layers[call.n_layers - 1]
    cdef Py_ssize_t size = call.kernels.item_size
    memset(block, 0, sizeof(AttentionCall))
    block.n_steps, block.n_samples, block.lengths = n_steps, n, buffers.steps
    block.n_units, block.stride, block.n_heads = top.output_size, top.output_stride, attention.n_heads
    # Where only the last step is read, only the last step has queries.
    block.causal = attention.causal
    block.last_only = attention.pooling == LAST_POOLING and not call.every_step
    block.training, block.max_steps = call.training, call.max_steps
    block.y, block.out = top_output(call, buffers, n), buffers.attended
    block.norm = call.panels + attention.norm * size
    block.weights_in = call.panels + attention.weights_in * size
    block.bias_in = call.panels + attention.bias_in * size
    block.weights_out = call.panels + attention.weights_out * size
    block.bias_out = call.panels + attention.bias_out * size
    block.workspace = buffers.attention
    block.interrupted, block.interrupt_context = chunk_interrupted, <void *> buffers


cdef void describe_pooling(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t first, Py_ssize_t n,
                           Py_ssize_t n_steps, PoolCall *pool) noexcept nogil:
    cdef const Layer *top = &call.layers[call.n_layers - 1]
    cdef Py_ssize_t size = call.kernels.item_size, state = (first * call.state_size + call.attention.state) * size
    memset(pool, 0, sizeof(PoolCall))
    pool.kind, pool.n_steps, pool.n_samples, pool.lengths = call.attention.pooling, n_steps, n, buffers.steps
    pool.n_units, pool.stride = top.output_size, top.output_stride
    pool.y = top_output(call, buffers, n)
    if call.attention.n_heads > 0:
        pool.y = buffers.attended
    pool.w = call.panels + call.attention.pool_weights * size
    pool.features = buffers.features
    pool.initial = call.initial_state + state if call.initial_state != NULL else NULL
    pool.final = call.final_state + state if call.final_state != NULL else NULL
    pool.state_stride, pool.max_steps = call.state_size, call.max_steps
    pool.workspace = buffers.pooling
    if call.out_pool_weights != NULL:
        pool.step_weights = call.out_pool_weights + first * call.max_steps * size


cdef const char *attended_output(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t first, Py_ssize_t n,
                                 Py_ssize_t n_steps) noexcept nogil:
    """The output of the top layer at every step, behind the block of self-attention where there is one."""
    cdef AttentionCall block
    cdef Py_ssize_t r
    for r in range(n):
        buffers.steps[r] = steps_of(call, first + r)
    if call.attention.n_heads == 0:
        return top_output(call, buffers, n)
    describe_attention(call, buffers, n, n_steps, &block)
    if call.out_head_weights != NULL:
        block.last_weights = (call.out_head_weights
                              + first * call.attention.n_heads * call.max_steps * call.kernels.item_size)
    call.kernels.attention_forward(&block)
    return buffers.attended


cdef void features_forward(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t first, Py_ssize_t n,
                           Py_ssize_t n_steps) noexcept nogil:
    """From the output of the top layer at every step to one row for each sequence."""
    cdef PoolCall pool
    cdef Py_ssize_t stride = call.layers[call.n_layers - 1].output_stride * call.kernels.item_size, r
    cdef const char *y = attended_output(call, buffers, first, n, n_steps)
    if call.watch.stopped:
        return
    if call.attention.pooling != LAST_POOLING:
        describe_pooling(call, buffers, first, n, n_steps, &pool)
        call.kernels.pool_forward(&pool)
        return
    for r in range(n):
        memcpy(buffers.features + r * stride, y + ((buffers.steps[r] - 1) * n + r) * stride, stride)


cdef void features_backward(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t first, Py_ssize_t n,
                            Py_ssize_t n_steps, char *slot) noexcept nogil:
    """From d_last, the gradient of the features, to d_top, that of the top layer's output at every step."""
    cdef const Attention *attention = call.attention
    cdef PoolCall pool
    cdef Py_ssize_t size = call.kernels.item_size, stride = call.layers[call.n_layers - 1].output_stride * size, r
    if attention.pooling != LAST_POOLING:
        describe_pooling(call, buffers, first, n, n_steps, &pool)
        pool.d_features, pool.d_y = buffers.d_last, buffers.d_top
        pool.d_w = slot + attention.pool_weights * size
        call.kernels.pool_backward(&pool)
    else:
        memset(buffers.d_top, 0, n_steps * n * stride)
        for r in range(n):
            memcpy(buffers.d_top + ((buffers.steps[r] - 1) * n + r) * stride, buffers.d_last + r * stride, stride)
    attention_backward(call, buffers, n, n_steps, slot)


cdef void attention_backward(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t n, Py_ssize_t n_steps,
                             char *slot) noexcept nogil:
    """Through the block of self-attention, where there is one: d_top becomes the gradient of what it reads."""
    cdef const Attention *attention = call.attention
    cdef AttentionCall block
    cdef Py_ssize_t size = call.kernels.item_size
    if attention.n_heads == 0:
        return
    describe_attention(call, buffers, n, n_steps, &block)
    block.weights_in_transposed = call.transposed + attention.weights_in_transposed * size
    block.weights_out_transposed = call.transposed + attention.weights_out_transposed * size
    block.d_y, block.d_norm = buffers.d_top, slot + attention.norm * size
    block.d_weights_in, block.d_bias_in = slot + attention.weights_in * size, slot + attention.bias_in * size
    block.d_weights_out, block.d_bias_out = slot + attention.weights_out * size, slot + attention.bias_out * size
    call.kernels.attention_backward(&block)
