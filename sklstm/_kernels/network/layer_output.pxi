# Between a layer and its reader: directions side by side, residual sum, normalisation, feedforward block, dropout.

cdef void concatenate_directions(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t i, Py_ssize_t first,
                                 Py_ssize_t n) noexcept nogil:
    """[h forward | h backward] of each step, side by side."""
    cdef const Layer *layer = &call.layers[i]
    cdef const LayerBuffers *buffer = &buffers.layers[i]
    cdef Py_ssize_t size = call.kernels.item_size, width = layer.width * size, t, r, n_steps
    cdef Py_ssize_t run = layer.width_stride * size
    cdef char *out
    for r in range(n):
        n_steps = steps_of(call, first + r)
        for t in range(n_steps):
            out = buffer.out + (t * n + r) * layer.output_stride * size
            memcpy(out, buffer.directions[0].h + ((t + 1) * n + r) * run, width)
            memcpy(out + width, buffer.directions[1].h + ((n_steps - t) * n + r) * run, width)
            memset(out + 2 * width, 0, (layer.output_stride - 2 * layer.width) * size)


cdef void product_of_steps(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t n, Py_ssize_t n_steps,
                           Py_ssize_t n_k, Py_ssize_t n_vecs, const char *a, Py_ssize_t a_stride, const char *panels,
                           char *out, Py_ssize_t out_stride) noexcept nogil:
    """A product over the rows of all steps of all sequences."""
    cdef Py_ssize_t size = call.kernels.item_size, t
    for t in range(n_steps):
        call.kernels.product(buffers.n_active[t], n_k, n_vecs, a + t * n * a_stride * size, a_stride, panels,
                             out + t * n * out_stride * size, out_stride, False)


cdef void output_forward(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t i, Py_ssize_t first,
                         Py_ssize_t n, Py_ssize_t n_steps) noexcept nogil:
    """From the hidden states of layer i to its output: gate, residual sum, normalisation, feedforward block, dropout.

    With norm_first, normalisation and dropout come last, on a copy. The recurrent path is never touched.
    """
    cdef const Layer *layer = &call.layers[i]
    cdef const LayerBuffers *buffer = &buffers.layers[i]
    cdef Py_ssize_t size = call.kernels.item_size, stride = layer.output_stride, skip_stride = stride, t, r, row
    cdef const Layer *source = NULL
    cdef const char *skip = NULL
    cdef const char *h = buffer.directions[0].h + n * layer.width_stride * size
    cdef char *out
    cdef double inverse
    if layer.gate.kind != NO_GATE:
        gate_forward(call, buffers, i, first, n, n_steps)
        h = buffer.out
    elif layer.n_directions > 1:
        concatenate_directions(call, buffers, i, first, n)
        h = buffer.out
    if layer.residual_from >= 0:
        source = &call.layers[layer.residual_from]
        skip = output_of(buffers, source, layer.residual_from, n, size)
    if layer.residual >= 0:
        skip_stride = layer.residual_stride
        product_of_steps(call, buffers, n, n_steps, source.output_size, skip_stride // call.kernels.lanes, skip,
                         source.output_stride, call.panels + layer.residual * size, buffers.residual, skip_stride)
        skip = buffers.residual
    for t in range(n_steps):
        for r in range(buffers.n_active[t]):
            row = t * n + r
            inverse = finish_row(call.kernels, layer, call.panels, h + row * stride * size,
                                 skip + row * skip_stride * size if skip != NULL else NULL,
                                 buffer.out + row * stride * size, normalised_row(layer, buffer, row, size))
            if buffer.inverse != NULL and not layer.norm_first:
                buffer.inverse[row] = inverse
        if layer.feedforward.size > 0:
            feedforward_forward(call, buffers, i, n, t)
        for r in range(buffers.n_active[t]):
            row = t * n + r
            out = buffer.out + row * stride * size
            if buffer.read != NULL:
                out = buffer.read + row * stride * size
                memcpy(out, buffer.out + row * stride * size, stride * size)
                inverse = normalise_row(call.kernels, layer, &layer.norm, call.panels, out,
                                        normalised_row(layer, buffer, row, size))
                if buffer.inverse != NULL:
                    buffer.inverse[row] = inverse
            drop_output(call, buffers, i, first + r, t, row, out)


cdef inline char *normalised_row(const Layer *layer, const LayerBuffers *buffer, Py_ssize_t row,
                                 Py_ssize_t size) noexcept nogil:
    """Where a row before gain and shift is kept; NULL in prediction."""
    return buffer.normalised + row * layer.output_stride * size if buffer.normalised != NULL else NULL


cdef inline void drop_output(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t i, Py_ssize_t sample,
                             Py_ssize_t t, Py_ssize_t row, char *out) noexcept nogil:
    """Dropout of a row on the way to the next layer, in training."""
    cdef Py_ssize_t stride = call.layers[i].output_stride
    cdef Py_ssize_t first_step = FIRST_TURN if call.over_horizon else 0  # from which masks are drawn
    if drops(call, i):
        call.kernels.dropout(stride, call.seed, <unsigned int> ((first_step + t) * call.n_layers + i),
                             call.sample_ids[sample], call.epoch, call.dropout, out, out,
                             buffers.layers[i].kept + row * stride)


cdef void feedforward_forward(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t i, Py_ssize_t n,
                              Py_ssize_t t) noexcept nogil:
    """Add W_out (silu(a) b), [a; b] = W_in N(y), to the rows y of a step of the output of layer i."""
    cdef const Layer *layer = &call.layers[i]
    cdef const FeedForward *block = &layer.feedforward
    cdef const LayerBuffers *buffer = &buffers.layers[i]
    cdef const KernelTable *kernels = call.kernels
    cdef Py_ssize_t size = kernels.item_size, lanes = kernels.lanes, stride = layer.output_stride * size
    cdef Py_ssize_t active = buffers.n_active[t], kept = t * n if call.training else 0, r
    cdef char *out = buffer.out + t * n * stride
    cdef char *fed = buffer.fed + kept * stride
    cdef char *sums = buffer.fed_sums + kept * block.sums_stride * size
    cdef double inverse
    for r in range(active):
        memcpy(fed + r * stride, out + r * stride, stride)
        inverse = normalise_row(kernels, layer, &block.norm, call.panels, fed + r * stride,
                                buffer.fed_normalised + (kept + r) * stride if call.training else NULL)
        if call.training:
            buffer.fed_inverse[kept + r] = inverse
    kernels.product(active, layer.output_size, block.sums_stride // lanes, fed, layer.output_stride,
                    call.panels + block.weights_in * size, sums, block.sums_stride, False)
    for r in range(active):
        kernels.swiglu(block.size, block.stride, sums + r * block.sums_stride * size,
                       buffers.fed_units + r * block.stride * size)
    kernels.product(active, block.size, block.wide_stride // lanes, buffers.fed_units, block.stride,
                    call.panels + block.weights_out * size, buffers.fed_out, block.wide_stride, False)
    for r in range(active):
        kernels.sum_rows(layer.output_stride, out + r * stride, buffers.fed_out + r * block.wide_stride * size)


# Backward

cdef void output_backward(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t i, Py_ssize_t n,
                          Py_ssize_t n_steps, char *d_out, const char *d_from_residual, char *d_skip,
                          char *slot) noexcept nogil:
    """Backward of output_forward: the gradient of what is read of layer i becomes that of its hidden states.

    d_from_residual (or NULL) is the gradient through a residual connection that starts at this output; d_skip gets the
    gradient of the output at which the residual connection of this layer starts.
    """
    cdef const Layer *layer = &call.layers[i]
    cdef Py_ssize_t stride = layer.output_stride, size = call.kernels.item_size, t, r, row
    cdef char *d
    for t in range(n_steps):
        for r in range(buffers.n_active[t]):
            row = t * n + r
            d = d_out + row * stride * size
            # Where the copy that is read is another than the one that is added, the sums meet behind it.
            if d_from_residual != NULL and not layer.norm_first:
                call.kernels.sum_rows(stride, d, d_from_residual + row * stride * size)
            if drops(call, i):
                call.kernels.dropout_backward(layer.output_size, call.dropout,
                                              buffers.layers[i].kept + row * stride, d)
            if layer.norm_first:
                norm_backward(call, buffers, i, row, d, slot)
                if d_from_residual != NULL:
                    call.kernels.sum_rows(stride, d, d_from_residual + row * stride * size)
        if layer.feedforward.size > 0:
            feedforward_backward(call, buffers, i, n, t, d_out + t * n * stride * size, slot)
        for r in range(buffers.n_active[t]):
            row = t * n + r
            d = d_out + row * stride * size
            if not layer.norm_first:
                norm_backward(call, buffers, i, row, d, slot)
                if layer.residual_from >= 0:
                    call.kernels.residual_backward(stride, d)
            if layer.residual_from >= 0 and layer.residual < 0:
                memcpy(d_skip + row * stride * size, d, stride * size)
    if layer.residual >= 0:
        residual_backward_of_layer(call, buffers, i, n, n_steps, d_out, d_skip, slot)


cdef inline void norm_backward(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t i, Py_ssize_t row,
                               char *d, char *slot) noexcept nogil:
    cdef const Layer *layer = &call.layers[i]
    cdef const LayerBuffers *buffer = &buffers.layers[i]
    cdef Py_ssize_t size = call.kernels.item_size
    if layer.norm.kind != NO_OUTPUT_NORM:
        call.kernels.norms_backward[layer.norm.kind](
            layer.output_size, layer.output_stride, call.panels + layer.norm.panels * size,
            normalised_row(layer, buffer, row, size), buffer.inverse[row], d, slot + layer.norm.panels * size)


cdef void feedforward_backward(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t i, Py_ssize_t n,
                               Py_ssize_t t, char *d_out, char *slot) noexcept nogil:
    """Backward of feedforward_forward, for the rows of a step: d_out becomes the gradient of y."""
    cdef const Layer *layer = &call.layers[i]
    cdef const FeedForward *block = &layer.feedforward
    cdef const LayerBuffers *buffer = &buffers.layers[i]
    cdef const KernelTable *kernels = call.kernels
    cdef Py_ssize_t size = kernels.item_size, lanes = kernels.lanes, stride = layer.output_stride * size, r
    cdef Py_ssize_t active = buffers.n_active[t], kept = t * n
    cdef const char *fed = buffer.fed + kept * stride
    cdef const char *sums = buffer.fed_sums + kept * block.sums_stride * size
    for r in range(active):
        memset(buffers.fed_out + r * block.wide_stride * size, 0, block.wide_stride * size)
        memcpy(buffers.fed_out + r * block.wide_stride * size, d_out + r * stride, layer.output_size * size)
        kernels.swiglu(block.size, block.stride, sums + r * block.sums_stride * size,
                       buffers.fed_units + r * block.stride * size)
    kernels.outer(active, block.size, block.wide_stride // (4 * lanes), buffers.fed_units, block.stride,
                  buffers.fed_out, block.wide_stride, slot + block.weights_out * size)
    kernels.product(active, block.wide_stride, (block.size + lanes - 1) // lanes, buffers.fed_out, block.wide_stride,
                    call.transposed + block.out_transposed * size, buffers.d_fed_units, block.stride, False)
    for r in range(active):
        kernels.swiglu_backward(block.size, block.sums_stride, sums + r * block.sums_stride * size,
                                buffers.d_fed_units + r * block.stride * size,
                                buffers.d_fed_sums + r * block.sums_stride * size)
    kernels.outer(active, layer.output_size, block.sums_stride // (4 * lanes), fed, layer.output_stride,
                  buffers.d_fed_sums, block.sums_stride, slot + block.weights_in * size)
    kernels.product(active, block.sums_stride, layer.output_stride // lanes, buffers.d_fed_sums, block.sums_stride,
                    call.transposed + block.in_transposed * size, buffers.d_fed, layer.output_stride, False)
    for r in range(active):
        kernels.norms_backward[block.norm.kind](
            layer.output_size, layer.output_stride, call.panels + block.norm.panels * size,
            buffer.fed_normalised + (kept + r) * stride, buffer.fed_inverse[kept + r], buffers.d_fed + r * stride,
            slot + block.norm.panels * size)
        kernels.sum_rows(layer.output_stride, d_out + r * stride, buffers.d_fed + r * stride)


cdef void residual_backward_of_layer(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t i, Py_ssize_t n,
                                     Py_ssize_t n_steps, const char *d_out, char *d_skip, char *slot) noexcept nogil:
    """Through the linear map of a residual sum between layers of different size."""
    cdef const Layer *layer = &call.layers[i]
    cdef const Layer *source = &call.layers[layer.residual_from]
    cdef Py_ssize_t size = call.kernels.item_size, lanes = call.kernels.lanes, wide = layer.residual_stride, t, r
    cdef const char *y = output_of(buffers, source, layer.residual_from, n, size)
    for t in range(n_steps):
        for r in range(t * n, t * n + buffers.n_active[t]):
            memset(buffers.residual + r * wide * size, 0, wide * size)
            memcpy(buffers.residual + r * wide * size, d_out + r * layer.output_stride * size, layer.output_size * size)
        call.kernels.outer(buffers.n_active[t], source.output_size, wide // (4 * lanes),
                           y + t * n * source.output_stride * size, source.output_stride,
                           buffers.residual + t * n * wide * size, wide, slot + layer.residual * size)
    product_of_steps(call, buffers, n, n_steps, wide, source.output_stride // lanes, buffers.residual, wide,
                     call.transposed + layer.residual_transposed * size, d_skip, source.output_stride)
