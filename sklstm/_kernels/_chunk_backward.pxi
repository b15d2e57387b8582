# One chunk of sequences back through the whole stack, and the task that trains the chunks of one gradient slot.

cdef void head_backward(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t n, char *slot) noexcept nogil:
    """From d_z to the gradients of the head and of each sequence's last hidden state."""
    cdef const Layer *top = &call.layers[call.n_layers - 1]
    cdef Py_ssize_t size = call.kernels.item_size, tile = 4 * call.kernels.lanes
    cdef Py_ssize_t n_panels = call.head.stride // tile
    call.kernels.outer(n, top.hidden_size, n_panels, buffers.features, top.hidden_stride, buffers.d_z,
                       call.head.stride, slot + call.head.panels * size)
    call.kernels.outer(n, 1, n_panels, buffers.one, 0, buffers.d_z, call.head.stride,
                       slot + call.head.panel_bias * size)
    call.kernels.product(n, call.head.stride, top.hidden_stride // call.kernels.lanes, buffers.d_z, call.head.stride,
                         call.back + call.head.back * size, buffers.d_last, top.hidden_stride, False)


cdef void backward_chunk(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t first, Py_ssize_t n,
                         Py_ssize_t n_steps, char *slot) noexcept nogil:
    cdef LayerCall layer_call
    cdef const Layer *layer
    cdef Py_ssize_t size = call.kernels.item_size, i, top = call.n_layers - 1, skip_to = -1
    cdef char *from_above = NULL
    if buffers.d_top != NULL:
        spread_last(call, buffers, first, n, n_steps)
        from_above = buffers.d_top
    for i in range(top, -1, -1):
        layer = &call.layers[i]
        describe_layer(call, buffers, i, first, n, n_steps, &layer_call)
        if from_above != NULL and (buffers.layers[i].out != NULL or i == skip_to):
            begin_layer(call, buffers, i, n, n_steps, from_above, i == skip_to, slot)
            skip_to = layer.residual_from if layer.residual_from >= 0 else skip_to
        layer_call.d_h_last = buffers.d_last if from_above == NULL else NULL
        layer_call.d_h_above = from_above
        layer_call.d_h = buffers.d_h
        layer_call.d_c = buffers.d_c
        layer_call.d_x = buffers.d_x[i % 2]
        layer_call.d_weights = slot + layer.panels * size
        layer_call.d_bias = slot + layer.panel_bias * size
        call.kernels.lstm_layer_backward(&layer_call)
        if call.watch.stopped:
            return
        if call.d_initial_state != NULL:
            give_initial_state_gradient(call, layer, buffers, first, n)
        from_above = buffers.d_x[i % 2]
    if call.d_x != NULL:
        give_input_gradient(call, buffers, first, n, from_above)


cdef void spread_last(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t first, Py_ssize_t n,
                      Py_ssize_t n_steps) noexcept nogil:
    """d_last, each row at the last step of its sequence, zeros at the others."""
    cdef Py_ssize_t stride = call.layers[call.n_layers - 1].hidden_stride * call.kernels.item_size, r
    memset(buffers.d_top, 0, n_steps * n * stride)
    for r in range(n):
        memcpy(buffers.d_top + ((call.lengths[first + r] - 1) * n + r) * stride, buffers.d_last + r * stride, stride)


cdef void begin_layer(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t i, Py_ssize_t n,
                      Py_ssize_t n_steps, char *d_out, bint add_skip, char *slot) noexcept nogil:
    """The way back of finish_layer: the gradient of the output of layer i becomes that of its hidden states."""
    cdef const Layer *layer = &call.layers[i]
    cdef const LayerBuffers *buffer = &buffers.layers[i]
    cdef Py_ssize_t stride = layer.hidden_stride, size = call.kernels.item_size, t, r, row
    cdef char *d
    for t in range(n_steps):
        for r in range(buffers.n_active[t]):
            row = t * n + r
            d = d_out + row * stride * size
            if add_skip:
                call.kernels.sum_rows(stride, d, buffers.d_skip + row * stride * size)
            if drops(call, i):
                call.kernels.dropout_backward(layer.hidden_size, call.dropout, buffer.kept + row * stride, d)
            if layer.norm:
                call.kernels.layer_norm_backward(
                    layer.hidden_size, stride, call.panels + layer.panel_norm * size,
                    buffer.normalised + row * stride * size, buffer.inverse[row], d, slot + layer.panel_norm * size)
            if layer.residual_from >= 0:
                call.kernels.residual_backward(stride, d)
                memcpy(buffers.d_skip + row * stride * size, d, stride * size)


cdef void give_initial_state_gradient(const StackCall *call, const Layer *layer, const ChunkBuffers *buffers,
                                      Py_ssize_t first, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t size = call.kernels.item_size, hidden = layer.hidden_size * size, r
    cdef char *out
    for r in range(n):
        out = call.d_initial_state + ((first + r) * call.state_size + layer.state) * size
        memcpy(out, buffers.d_h + r * layer.hidden_stride * size, hidden)
        memcpy(out + hidden, buffers.d_c + r * layer.hidden_stride * size, hidden)


cdef void give_input_gradient(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t first, Py_ssize_t n,
                              const char *d_x) noexcept nogil:
    cdef Py_ssize_t size = call.kernels.item_size, row = call.layers[0].input_size * size, r, t
    cdef Py_ssize_t stride = round_up(call.layers[0].input_size, call.kernels.lanes) * size
    for r in range(n):
        for t in range(call.lengths[first + r]):
            memcpy(call.d_x + ((first + r) * call.max_steps + t) * row, d_x + (t * n + r) * stride, row)


cdef void train_task(void *context, int slot_number, int worker) noexcept nogil:
    """Forward, loss and backward of the chunks of one gradient slot, in their order: slots, not threads, own sums."""
    cdef const StackCall *call = <const StackCall *> context
    cdef ChunkBuffers buffers
    cdef Py_ssize_t size = call.kernels.item_size, chunk = slot_number, first, n, n_steps, n_targets
    cdef char *slot = call.slots + slot_number * call.panels_size * size
    open_workspace(call, worker, &buffers)
    n_targets = 1 if has_class_numbers(call.loss_kind) else call.head.n_outputs
    memset(slot, 0, call.panels_size * size)
    # The columns of the head's tile beyond n_outputs have no gradient.
    memset(buffers.d_z, 0, call.chunk_size * call.head.stride * size)
    while chunk < call.n_chunks:
        first = chunk * call.chunk_size
        n = min(call.chunk_size, call.n_samples - first)
        n_steps = count_active(call, first, n, buffers.n_active)
        forward_chunk(call, &buffers, first, n, n_steps)
        if call.watch.stopped:
            return
        call.chunk_losses[chunk] = call.kernels.loss(
            call.loss_kind, call.loss_parameters, n, call.head.n_outputs, buffers.z, call.head.stride,
            call.targets + first * n_targets * size, call.weights + first * size, call.scale, buffers.d_z)
        head_backward(call, &buffers, n, slot)
        backward_chunk(call, &buffers, first, n, n_steps, slot)
        chunk += call.n_slots
