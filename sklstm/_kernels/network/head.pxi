# Forward and backward between the output of the top layer and the raw output z, and the loss.

cdef inline void skip_forward(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t step, Py_ssize_t n,
                              char *z) noexcept nogil:
    """Add the linear skip of n rows at a step, 0 where there is one output for a sequence."""
    cdef Py_ssize_t size = call.kernels.item_size, stride = call.head.stride, r
    if buffers.skip_rows == NULL:
        return
    call.kernels.product(n, call.input.skip_rows * call.input.n_columns, stride // call.kernels.lanes,
                         buffers.skip_rows + step * call.input.n_columns * size, skip_stride(call),
                         call.panels + call.input.skip * size, z, stride, True)
    for r in range(n if call.input.skip_bias >= 0 else 0):
        call.kernels.sum_rows(stride, z + r * stride * size, call.panels + call.input.skip_bias * size)


cdef inline void skip_backward(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t step, Py_ssize_t n,
                               const char *d_z, char *slot) noexcept nogil:
    """The gradients of the linear skip, unless it is frozen, and of its bias."""
    cdef Py_ssize_t size = call.kernels.item_size, stride = call.head.stride
    cdef Py_ssize_t n_panels = stride // (4 * call.kernels.lanes)
    if buffers.skip_rows == NULL:
        return
    if not call.skip_is_frozen:
        call.kernels.outer(n, call.input.skip_rows * call.input.n_columns, n_panels,
                           buffers.skip_rows + step * call.input.n_columns * size, skip_stride(call), d_z, stride,
                           slot + call.input.skip * size)
    if call.input.skip_bias >= 0:
        call.kernels.outer(n, 1, n_panels, buffers.one, 0, d_z, stride, slot + call.input.skip_bias * size)


cdef void top_forward(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t first, Py_ssize_t n,
                      Py_ssize_t n_steps) noexcept nogil:
    """Features, head and linear skip; copies those outputs that the call asks for."""
    cdef const Layer *top = &call.layers[call.n_layers - 1]
    cdef Py_ssize_t size = call.kernels.item_size, stride = top.output_stride * size, hidden = top.output_size * size, r
    cdef Py_ssize_t outputs = call.head.n_outputs * size
    cdef const char *y
    if call.every_step:
        y = attended_output(call, buffers, first, n, n_steps)
        if not call.watch.stopped:
            steps_forward(call, buffers, first, n, n_steps, y)
        return
    features_forward(call, buffers, first, n, n_steps)
    if call.watch.stopped:
        return
    for r in range(n):
        if call.out_hidden != NULL:
            memcpy(call.out_hidden + (first + r) * hidden, buffers.features + r * stride, hidden)
    if call.decoder.n_turns == 0:
        head_forward(call.kernels, call.head, top, call.panels, n, buffers.features, buffers.z)
    elif call.training or call.out_z != NULL:
        turns_forward(call, buffers, first, n)
        if call.watch.stopped:
            return
    skip_forward(call, buffers, 0, n, buffers.z)
    if call.out_z != NULL:
        for r in range(n):
            memcpy(call.out_z + (first + r) * outputs, buffers.z + r * call.head.stride * size, outputs)


cdef void steps_forward(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t first, Py_ssize_t n,
                        Py_ssize_t n_steps, const char *y) noexcept nogil:
    """The head at every step. Outputs are stored by row of the table."""
    cdef const Layer *top = &call.layers[call.n_layers - 1]
    cdef Py_ssize_t size = call.kernels.item_size, stride = top.output_stride * size, hidden = top.output_size * size
    cdef Py_ssize_t z_stride = call.head.stride * size, outputs = call.head.n_outputs * size, t, r, row, place
    for t in range(n_steps):
        head_forward(call.kernels, call.head, top, call.panels, buffers.n_active[t], y + t * n * stride,
                     buffers.z + t * n * z_stride)
        skip_forward(call, buffers, t, buffers.n_active[t], buffers.z + t * n * z_stride)
        for r in range(buffers.n_active[t]):
            row, place = t * n + r, call.starts[first + r] + t
            if call.out_z != NULL:
                memcpy(call.out_z + place * outputs, buffers.z + row * z_stride, outputs)
            if call.out_hidden != NULL:
                memcpy(call.out_hidden + place * hidden, y + row * stride, hidden)


cdef double top_loss(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t first, Py_ssize_t n,
                     Py_ssize_t n_steps, Py_ssize_t n_targets) noexcept nogil:
    """The loss of the chunk; d_z gets its gradient."""
    cdef Py_ssize_t size = call.kernels.item_size, stride = call.head.stride, t, r, row, place
    cdef double total = 0
    if not call.every_step:
        return call.kernels.loss(call.loss_kind, call.loss_parameters, n, call.head.n_outputs, buffers.z, stride,
                                 call.targets + first * n_targets * size, call.weights + first * call.n_weights * size,
                                 call.n_weights, call.scale, buffers.d_z)
    for t in range(n_steps):
        for r in range(buffers.n_active[t]):
            row, place = t * n + r, call.starts[first + r] + t
            total += call.kernels.loss(
                call.loss_kind, call.loss_parameters, 1, call.head.n_outputs, buffers.z + row * stride * size, stride,
                call.targets + place * n_targets * size, call.weights + place * call.n_weights * size,
                call.n_weights, call.scale, buffers.d_z + row * stride * size)
    return total


cdef void head_backward(const StackCall *call, const ChunkBuffers *buffers, const char *features, Py_ssize_t n,
                        const char *d_z, char *d_features, char *slot) noexcept nogil:
    """From d_z of n rows to the gradients of the head and of the features."""
    cdef const Layer *top = &call.layers[call.n_layers - 1]
    cdef Py_ssize_t size = call.kernels.item_size, stride = call.head.turn_stride
    cdef Py_ssize_t n_panels = stride // (4 * call.kernels.lanes)
    call.kernels.outer(n, top.output_size, n_panels, features, top.output_stride, d_z, stride,
                       slot + call.head.panels * size)
    call.kernels.outer(n, 1, n_panels, buffers.one, 0, d_z, stride, slot + call.head.panel_bias * size)
    call.kernels.product(n, stride, top.output_stride // call.kernels.lanes, d_z, stride,
                         call.transposed + call.head.transposed * size, d_features, top.output_stride, False)


cdef char *top_backward(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t first, Py_ssize_t n,
                        Py_ssize_t n_steps, char *slot) noexcept nogil:
    """From d_z to the gradient of the top layer's output at every step; NULL where d_last is all there is, or, with a
    decoder, the gradients of the final states."""
    cdef const Layer *top = &call.layers[call.n_layers - 1]
    cdef Py_ssize_t size = call.kernels.item_size, stride = top.output_stride * size, t
    cdef Py_ssize_t z_stride = call.head.stride * size
    cdef const char *y
    if call.every_step:
        y = top_output(call, buffers, n) if call.attention.n_heads == 0 else buffers.attended
        for t in range(n_steps):
            head_backward(call, buffers, y + t * n * stride, buffers.n_active[t], buffers.d_z + t * n * z_stride,
                          buffers.d_top + t * n * stride, slot)
            skip_backward(call, buffers, t, buffers.n_active[t], buffers.d_z + t * n * z_stride, slot)
        attention_backward(call, buffers, n, n_steps, slot)
        return buffers.d_top
    if call.decoder.n_turns == 0:
        head_backward(call, buffers, buffers.features, n, buffers.d_z, buffers.d_last, slot)
    skip_backward(call, buffers, 0, n, buffers.d_z, slot)
    if call.decoder.n_turns > 0:
        turns_backward(call, buffers, first, n, slot)
        return NULL
    if buffers.d_top != NULL:
        features_backward(call, buffers, first, n, n_steps, slot)
    return buffers.d_top
