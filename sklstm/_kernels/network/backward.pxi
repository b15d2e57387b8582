# Backward pass of one chunk through the whole stack, and the task that trains the chunks of one gradient slot.

cdef void backward_chunk(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t first, Py_ssize_t n,
                         Py_ssize_t n_steps, char *slot) noexcept nogil:
    cdef char *from_above = top_backward(call, buffers, first, n, n_steps, slot)
    if call.watch.stopped:
        return
    from_above = layers_backward(call, buffers, first, n, n_steps, from_above, slot)
    if call.d_x != NULL and not call.watch.stopped:
        store_input_gradient(call, buffers, first, n, from_above)


cdef char *layers_backward(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t first, Py_ssize_t n,
                           Py_ssize_t n_steps, char *from_above, char *slot) noexcept nogil:
    """Through all layers, from the gradient of the output of the top one; returns that of the input."""
    cdef const Layer *layer
    cdef Py_ssize_t i, skip_to = -1
    cdef int skip = 0            # which of d_skip is to be read next
    cdef int d
    for i in range(call.n_layers - 1, -1, -1):
        layer = &call.layers[i]
        if from_above != NULL and (buffers.layers[i].out != NULL or i == skip_to):
            output_backward(call, buffers, i, n, n_steps, from_above, buffers.d_skip[skip] if i == skip_to else NULL,
                            buffers.d_skip[1 - skip], slot)
            if layer.residual_from >= 0:
                skip, skip_to = 1 - skip, layer.residual_from
            if layer.gate.kind != NO_GATE:
                gate_backward(call, buffers, i, first, n, n_steps, from_above, slot)
        for d in range(layer.n_directions):
            direction_backward(call, buffers, i, d, first, n, n_steps, from_above, slot)
            if call.watch.stopped:
                return NULL
        if from_above != NULL and layer.gate.kind != NO_GATE:
            gate_input_backward(call, buffers, i, n, n_steps)
        from_above = buffers.d_x[i % 2]
    return from_above


cdef void direction_backward(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t i, int direction,
                             Py_ssize_t first, Py_ssize_t n, Py_ssize_t n_steps, const char *from_above,
                             char *slot) noexcept nogil:
    """One direction of layer i: the gradients of its weights and of its input."""
    cdef LayerCall layer_call
    cdef LayerOptions options
    cdef const Layer *layer = &call.layers[i]
    cdef const Recurrence *recurrence = &layer.directions[direction]
    cdef Py_ssize_t size = call.kernels.item_size
    cdef bint by_panels
    describe_layer(call, buffers, i, direction, first, n, n_steps, &layer_call, &options, NULL, NULL)
    by_panels = layer_call.x_transposed != NULL and multiplies_row_by_panels(call, layer)
    if by_panels:
        layer_call.x_transposed = NULL
    elif call.layer_words_size > 0 or call.layer_transposed >= 0:
        transpose_layer(call, buffers, recurrence)
    if i == 0 and shares(call) and not has_options(call, layer):
        share_gradients(call, buffers, direction, first, n, n_steps, &layer_call)
    if call.decoder.n_turns > 0 and not call.over_horizon:
        layer_call.d_h_above = from_above
        layer_call.d_h_last = buffers.layers[i].directions[0].d_h_last
        layer_call.d_c_last = buffers.layers[i].directions[0].d_c_last
    elif from_above == NULL:
        layer_call.d_h_last = buffers.d_last
    elif layer.n_directions == 1:
        layer_call.d_h_above = from_above
    else:
        split_directions(call, buffers, layer, direction, first, n, from_above)
        layer_call.d_h_above = buffers.d_run
    layer_call.is_initial_fixed = call.d_initial_state == NULL and call.decoder.n_turns == 0
    layer_call.d_h = buffers.d_h
    layer_call.d_c = buffers.d_c
    layer_call.d_x = buffers.d_x[i % 2] if direction == 0 else buffers.d_x_backward
    layer_call.d_weights = slot + recurrence.panels * size
    layer_call.d_bias = slot + recurrence.panel_bias * size
    layer_call.outer_products = call.products
    layer_call.keeps_d_sums = call.over_horizon
    if recurrence.vectors >= 0:
        layer_call.d_vectors = options.d_vectors = slot + recurrence.vectors * size
    if layer_call.options != NULL:
        if recurrence.norm >= 0:
            options.d_norm = slot + recurrence.norm * size
        if recurrence.projection >= 0:
            options.d_projection = slot + recurrence.projection * size
        layer.kernels.options_backward(&layer_call)
    else:
        layer.kernels.backward(&layer_call)
    if by_panels:
        input_gradient_of_row(call, layer, recurrence, &layer_call)
    if call.watch.stopped:
        return
    if call.over_horizon:
        collect_from_turns(call, buffers, i, n, &layer_call, slot)
    if call.d_initial_state != NULL:
        store_initial_state_gradient(call, layer, direction, buffers, first, n)
    if direction == 1 and (layer_call.x_transposed != NULL or by_panels):
        add_backward_direction(call, buffers, i, first, n)


cdef void split_directions(const StackCall *call, const ChunkBuffers *buffers, const Layer *layer, int direction,
                           Py_ssize_t first, Py_ssize_t n, const char *d_out) noexcept nogil:
    """Backward of concatenate_directions, for one of them: d_run gets its part, in the direction's order of steps."""
    cdef Py_ssize_t size = call.kernels.item_size, width = layer.width * size, stride = layer.width_stride * size
    cdef Py_ssize_t t, r, n_steps, source
    cdef char *d
    for r in range(n):
        n_steps = steps_of(call, first + r)
        for t in range(n_steps):
            source = t if direction == 0 else n_steps - 1 - t
            d = buffers.d_run + (t * n + r) * stride
            memcpy(d, d_out + (source * n + r) * layer.output_stride * size + direction * width, width)
            memset(d + width, 0, stride - width)


cdef void add_backward_direction(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t i, Py_ssize_t first,
                                 Py_ssize_t n) noexcept nogil:
    """Add the backward direction's gradient of the input, whose steps are in reverse order."""
    cdef Py_ssize_t stride = round_up(call.layers[i].input_size, call.kernels.lanes), t, r, n_steps
    cdef Py_ssize_t row = stride * call.kernels.item_size
    for r in range(n):
        n_steps = steps_of(call, first + r)
        for t in range(n_steps):
            call.kernels.sum_rows(stride, buffers.d_x[i % 2] + (t * n + r) * row,
                                  buffers.d_x_backward + ((n_steps - 1 - t) * n + r) * row)


cdef void store_initial_state_gradient(const StackCall *call, const Layer *layer, int direction,
                                       const ChunkBuffers *buffers, Py_ssize_t first, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t size = call.kernels.item_size, wide = layer.sizes.n_states * layer.hidden_stride * size, r
    cdef char *out
    for r in range(n):
        out = call.d_initial_state + ((first + r) * call.state_size + layer.directions[direction].state) * size
        memcpy(out, buffers.d_h + r * layer.width_stride * size, layer.width * size)
        copy_states(layer, size, out + layer.width * size, buffers.d_c + r * wide, False)


cdef void store_input_gradient(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t first, Py_ssize_t n,
                               const char *d_x) noexcept nogil:
    cdef Py_ssize_t size = call.kernels.item_size, row = call.layers[0].input_size * size, r, t
    cdef Py_ssize_t stride = round_up(call.layers[0].input_size, call.kernels.lanes) * size
    cdef char *out
    for r in range(n):
        for t in range(call.lengths[first + r]):
            out = call.d_x + ((first + r) * call.max_steps + t) * row
            memcpy(out, d_x + (t * n + r) * stride, row)
            if call.input.scaled:
                call.kernels.multiply_columns(call.input.n_columns, call.input.inverse, out)


cdef void clear_slot(const StackCall *call, char *slot, int worker) noexcept nogil:
    """Fill a gradient with zeros, but for the parts that are left as factors."""
    cdef Py_ssize_t size = call.kernels.item_size, begin = 0, i
    cdef const Recurrence *recurrence
    cdef int d
    for i in range(call.n_layers if call.products != NULL else 0):
        for d in range(call.layers[i].n_directions):
            recurrence = &call.layers[i].directions[d]
            clear(slot + begin * size, (recurrence.panels - begin) * size, call.watch, worker)
            begin = recurrence.panels + products_size(&call.layers[i])
    clear(slot + begin * size, (call.panels_size - begin) * size, call.watch, worker)


cdef void train_task(void *context, int slot_number, int worker) noexcept nogil:
    """Forward, loss and backward of the chunks of one gradient slot, in their order: slots, not threads, own sums."""
    cdef const StackCall *call = <const StackCall *> context
    cdef ChunkBuffers buffers[2]
    cdef unsigned int before
    cdef Py_ssize_t size = call.kernels.item_size, chunk = call.first_slot + slot_number, first, n, n_steps, n_targets
    cdef char *slot = call.slots + slot_number * call.panels_size * size
    open_workspace(call, worker, buffers)
    n_targets = targets_of(call.loss_kind, call.head.n_outputs)
    clear_slot(call, slot, worker)
    before = call.kernels.enter()
    # The columns of the head's tile beyond n_outputs have no gradient.
    memset(buffers.d_z, 0, (call.max_steps if call.every_step else 1) * call.chunk_size * call.head.stride * size)
    while chunk < call.n_chunks and not call.watch.stopped:
        first = chunk * call.chunk_size
        n = min(call.chunk_size, call.n_samples - first)
        n_steps = count_active(call, first, n, buffers.n_active)
        forward_chunk(call, buffers, first, n, n_steps)
        if call.watch.stopped:
            break
        call.chunk_losses[chunk] = top_loss(call, buffers, first, n, n_steps, n_targets)
        backward_chunk(call, buffers, first, n, n_steps, slot)
        chunk += call.n_slots
    call.kernels.leave(before)
