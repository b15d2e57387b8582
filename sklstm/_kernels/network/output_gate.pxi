# A gate on the output of a layer, from the input x of the layer: y = h * gate(W x).

cdef void read_steps(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t i, Py_ssize_t first, Py_ssize_t n,
                     Py_ssize_t n_steps, LayerCall *rows) noexcept nogil:
    """Point x_rows at the input of layer i, in the order of its sequences."""
    memset(rows, 0, sizeof(LayerCall))
    rows.n_steps = n_steps
    set_rows(call, buffers, i, 0, first, n, rows)


cdef inline void gather_step(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t i, const LayerCall *rows,
                             Py_ssize_t t) noexcept nogil:
    """gate_x (n, input_size) = the input of layer i at a step."""
    cdef Py_ssize_t size = call.kernels.item_size, width = call.layers[i].input_size * size, r
    for r in range(buffers.n_active[t]):
        memcpy(buffers.gate_x + r * width, <const char *> buffers.x_rows[r] + t * rows.x_step * size, width)


cdef const char *ungated(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t i, Py_ssize_t first,
                         Py_ssize_t n) noexcept nogil:
    """(T, n, output_stride): the hidden states of layer i, of both directions in `out`."""
    cdef const Layer *layer = &call.layers[i]
    if layer.n_directions > 1:
        concatenate_directions(call, buffers, i, first, n)
        return buffers.layers[i].out
    return buffers.layers[i].directions[0].h + n * layer.width_stride * call.kernels.item_size


cdef void gate_forward(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t i, Py_ssize_t first, Py_ssize_t n,
                       Py_ssize_t n_steps) noexcept nogil:
    """From the hidden states of layer i to `out`, its gated states."""
    cdef const Layer *layer = &call.layers[i]
    cdef const OutputGate *gate = &layer.gate
    cdef const LayerBuffers *buffer = &buffers.layers[i]
    cdef const KernelTable *kernels = call.kernels
    cdef Py_ssize_t size = kernels.item_size, stride = layer.output_stride * size, wide = gate.stride * size, t, r, row
    cdef const char *h = ungated(call, buffers, i, first, n)
    cdef char *sums
    cdef char *gates
    cdef LayerCall rows
    read_steps(call, buffers, i, first, n, n_steps, &rows)
    for t in range(n_steps):
        sums = buffer.gate_sums + (t * n * wide if call.training else 0)
        gates = buffer.gate + (t * n * stride if call.training else 0)
        gather_step(call, buffers, i, &rows, t)
        kernels.product(buffers.n_active[t], layer.input_size, gate.stride // kernels.lanes, buffers.gate_x,
                        layer.input_size, call.panels + gate.weights * size, sums, gate.stride, False)
        for r in range(buffers.n_active[t]):
            row = t * n + r
            kernels.output_gate(gate.kind, layer.output_size, gate.group, sums + r * wide, gates + r * stride)
            kernels.multiply_rows(layer.output_size, h + row * stride, gates + r * stride, buffer.out + row * stride)
            memset(buffer.out + row * stride + layer.output_size * size, 0, stride - layer.output_size * size)


cdef void gate_backward(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t i, Py_ssize_t first,
                        Py_ssize_t n, Py_ssize_t n_steps, char *d_out, char *slot) noexcept nogil:
    """The gradient of the gated states becomes that of the hidden states; d_gate_sums gets that of W x."""
    cdef const Layer *layer = &call.layers[i]
    cdef const OutputGate *gate = &layer.gate
    cdef const LayerBuffers *buffer = &buffers.layers[i]
    cdef const KernelTable *kernels = call.kernels
    cdef Py_ssize_t size = kernels.item_size, stride = layer.output_stride * size, wide = gate.stride * size, t, r, row
    # Nothing reads `out` any more.
    cdef const char *h = ungated(call, buffers, i, first, n)
    cdef char *d
    cdef LayerCall rows
    read_steps(call, buffers, i, first, n, n_steps, &rows)
    for t in range(n_steps):
        for r in range(buffers.n_active[t]):
            row = t * n + r
            d = buffers.d_gate_sums + row * wide
            memset(d, 0, wide)
            kernels.multiply_rows(layer.output_size, d_out + row * stride, h + row * stride, d)
            kernels.output_gate_backward(gate.kind, layer.output_size, gate.group, buffer.gate_sums + row * wide,
                                         buffer.gate + row * stride, d)
            d = d_out + row * stride
            kernels.multiply_rows(layer.output_size, d, buffer.gate + row * stride, d)
        gather_step(call, buffers, i, &rows, t)
        kernels.outer(buffers.n_active[t], layer.input_size, gate.stride // (4 * kernels.lanes), buffers.gate_x,
                      layer.input_size, buffers.d_gate_sums + t * n * wide, gate.stride, slot + gate.weights * size)


cdef void gate_input_backward(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t i, Py_ssize_t n,
                              Py_ssize_t n_steps) noexcept nogil:
    """Add what the gate of layer i contributes to the gradient of its input."""
    cdef const OutputGate *gate = &call.layers[i].gate
    cdef Py_ssize_t size = call.kernels.item_size, lanes = call.kernels.lanes, t
    cdef Py_ssize_t stride = round_up(call.layers[i].input_size, lanes)
    if i == 0 and not call.want_d_x:
        return
    for t in range(n_steps):
        call.kernels.product(buffers.n_active[t], gate.stride, stride // lanes,
                             buffers.d_gate_sums + t * n * gate.stride * size, gate.stride,
                             call.transposed + gate.transposed * size, buffers.d_x[i % 2] + t * n * stride * size,
                             stride, True)
