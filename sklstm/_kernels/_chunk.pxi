# One chunk of sequences through the whole stack: forward, head, loss, backward. Runs in one thread, without the GIL.

cdef struct Layer:
    Py_ssize_t input_size
    Py_ssize_t hidden_size
    Py_ssize_t hidden_stride
    # offsets in elements: into the caller's parameter vector, ...
    Py_ssize_t weight_ih
    Py_ssize_t weight_hh
    Py_ssize_t bias
    # ... into the packed weights, ...
    Py_ssize_t packed
    Py_ssize_t packed_bias
    Py_ssize_t packed_hh_back
    Py_ssize_t packed_ih_back
    # ... and into a gradient slot.
    Py_ssize_t d_packed
    Py_ssize_t d_bias
    # where this layer's h, then its c, begins in a row of states
    Py_ssize_t state


cdef struct Head:
    Py_ssize_t n_outputs
    Py_ssize_t stride            # n_outputs rounded up to whole tiles
    Py_ssize_t weight
    Py_ssize_t bias
    Py_ssize_t packed
    Py_ssize_t packed_bias
    Py_ssize_t packed_back
    Py_ssize_t d_packed
    Py_ssize_t d_bias


cdef struct LayerBuffers:
    char *gates
    char *c
    char *tanh_c
    char *h
    char *dropped                # h after dropout: what the layer above reads
    unsigned char *kept


cdef struct StackCall:
    const KernelTable *kernels
    Py_ssize_t n_layers
    const Layer *layers
    const Head *head
    const char *packed
    # the sequences: row t of sequence i is table + (starts[i] + t) * row_stride
    const char *table
    Py_ssize_t row_stride        # elements
    const Py_ssize_t *starts
    const Py_ssize_t *lengths    # never increasing inside a chunk
    Py_ssize_t n_samples
    Py_ssize_t max_steps
    Py_ssize_t chunk_size
    Py_ssize_t n_chunks
    bint training
    bint want_d_x
    # one workspace for each worker
    char *workspaces
    Py_ssize_t workspace_bytes
    # what comes out of forward (NULL: not wanted)
    char *out_z                  # (n_samples, n_outputs)
    char *out_hidden             # (n_samples, hidden_size of the top layer)
    const char *initial_state    # (n_samples, state_size); NULL: zeros
    char *final_state            # (n_samples, state_size)
    Py_ssize_t state_size
    # training
    int loss_kind
    const char *targets
    const char *weights
    double scale
    double *chunk_losses         # (n_chunks,)
    char *slots                  # (n_slots, slot_size)
    Py_ssize_t slot_size
    Py_ssize_t n_slots
    double dropout
    unsigned long long seed
    unsigned int epoch
    const unsigned int *sample_ids
    char *d_initial_state        # (n_samples, state_size); NULL: not wanted
    char *d_x                    # (n_samples, max_steps, input_size); NULL: not wanted


cdef struct ChunkBuffers:
    LayerBuffers *layers
    char *features               # (n, hidden_stride of the top layer)
    char *z                      # (n, head stride)
    char *d_z
    char *d_last                 # (n, wide(top hidden size))
    char *d_h
    char *d_c
    char *d_x[2]                 # gradients handed down, each layer reads one and writes the other
    const void **x_rows
    const void **row_pointers
    char *pair_rows
    int *n_active
    char *one                    # the number 1, to sum rows by an outer product


cdef inline Py_ssize_t round_up(Py_ssize_t n, Py_ssize_t step) noexcept nogil:
    return (n + step - 1) // step * step


cdef inline char *take(char **cursor, Py_ssize_t n_bytes) noexcept nogil:
    """The next n_bytes of a block, on a 64-byte boundary."""
    cdef char *begin = cursor[0]
    cursor[0] = begin + round_up(n_bytes, 64)
    return begin


cdef inline Py_ssize_t pair_stride(const Layer *layer, Py_ssize_t size) noexcept nogil:
    """Room for [x | h] in an odd number of cache lines, so that rows spread over all sets of the cache."""
    return (((layer.input_size + layer.hidden_size) * size + 63) // 64 | 1) * 64 // size


cdef char *lay_out(const StackCall *call, LayerBuffers *layers, char *base, ChunkBuffers *buffers) noexcept nogil:
    """Cut a workspace into its arrays; return its end. Also used to measure: base is not written to, layers is."""
    cdef Py_ssize_t size = call.kernels.item_size, tile = 4 * call.kernels.lanes
    cdef Py_ssize_t n = call.chunk_size, steps = call.max_steps, i, rows, widest = 0, longest_pair = 0
    cdef LayerBuffers *buffer
    buffers.layers = layers
    for i in range(call.n_layers):
        buffer = &layers[i]
        memset(buffer, 0, sizeof(LayerBuffers))
        rows = n * call.layers[i].hidden_stride
        widest = max(widest, round_up(call.layers[i].hidden_size, tile))
        longest_pair = max(longest_pair, pair_stride(&call.layers[i], size))
        buffer.h = take(&base, (steps + 1) * rows * size)
        buffer.c = take(&base, (steps + 1 if call.training else 1) * rows * size)
        if call.training:
            buffer.gates = take(&base, 4 * steps * rows * size)
            buffer.tanh_c = take(&base, steps * rows * size)
            if call.dropout > 0:
                buffer.dropped = take(&base, steps * rows * size)
                buffer.kept = <unsigned char *> take(&base, steps * rows)
    if call.want_d_x:
        widest = max(widest, round_up(call.layers[0].input_size, tile))
    buffers.features = take(&base, n * call.layers[call.n_layers - 1].hidden_stride * size)
    buffers.z = take(&base, n * call.head.stride * size)
    buffers.x_rows = <const void **> take(&base, n * sizeof(void *))
    buffers.row_pointers = <const void **> take(&base, 2 * n * sizeof(void *))
    buffers.n_active = <int *> take(&base, steps * sizeof(int))
    if call.training:
        buffers.one = take(&base, size)
        buffers.pair_rows = take(&base, PAIRS * (longest_pair + tile) * size)
        buffers.d_z = take(&base, n * call.head.stride * size)
        buffers.d_last = take(&base, n * widest * size)
        buffers.d_h = take(&base, n * widest * size)
        buffers.d_c = take(&base, n * widest * size)
        if call.n_layers > 1 or call.want_d_x:
            buffers.d_x[0] = take(&base, steps * n * widest * size)
            buffers.d_x[1] = take(&base, steps * n * widest * size)
    return base


cdef void describe_layer(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t i, Py_ssize_t first,
                         Py_ssize_t n, Py_ssize_t n_steps, LayerCall *layer_call) noexcept nogil:
    """Everything that forward and backward of one layer over this chunk have in common."""
    cdef const Layer *layer = &call.layers[i]
    cdef const LayerBuffers *buffer = &buffers.layers[i]
    cdef Py_ssize_t size = call.kernels.item_size, r, below
    cdef const char *h
    memset(layer_call, 0, sizeof(LayerCall))
    layer_call.n_steps = n_steps
    layer_call.n_samples = n
    layer_call.n_active = buffers.n_active
    layer_call.input_size = layer.input_size
    layer_call.hidden_size = layer.hidden_size
    layer_call.hidden_stride = layer.hidden_stride
    layer_call.x_rows = buffers.x_rows
    layer_call.row_pointers = buffers.row_pointers
    layer_call.pair_rows = buffers.pair_rows
    layer_call.pair_stride = pair_stride(layer, size)
    if i == 0:
        layer_call.x_step = call.row_stride
        for r in range(n):
            buffers.x_rows[r] = call.table + call.starts[first + r] * call.row_stride * size
    else:
        below = call.layers[i - 1].hidden_stride
        layer_call.x_step = n * below
        h = buffers.layers[i - 1].h + n * below * size
        if call.training and call.dropout > 0:
            h = buffers.layers[i - 1].dropped
        for r in range(n):
            buffers.x_rows[r] = h + r * below * size
    layer_call.weights = call.packed + layer.packed * size
    layer_call.bias = call.packed + layer.packed_bias * size
    layer_call.weights_hh_back = call.packed + layer.packed_hh_back * size
    if i > 0 or call.want_d_x:
        layer_call.weights_ih_back = call.packed + layer.packed_ih_back * size
    layer_call.gates = buffer.gates
    layer_call.c = buffer.c
    layer_call.tanh_c = buffer.tanh_c
    layer_call.h = buffer.h
    layer_call.c_step = n * layer.hidden_stride if call.training else 0


cdef void set_initial_state(const StackCall *call, const Layer *layer, const LayerBuffers *buffer, Py_ssize_t first,
                            Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t size = call.kernels.item_size, stride = layer.hidden_stride * size, r
    cdef Py_ssize_t hidden = layer.hidden_size * size
    cdef const char *state
    memset(buffer.h, 0, n * stride)
    memset(buffer.c, 0, n * stride)
    if call.initial_state == NULL:
        return
    for r in range(n):
        state = call.initial_state + ((first + r) * call.state_size + layer.state) * size
        memcpy(buffer.h + r * stride, state, hidden)
        memcpy(buffer.c + r * stride, state + hidden, hidden)


cdef void drop_units(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t i, Py_ssize_t first, Py_ssize_t n,
                     Py_ssize_t n_steps) noexcept nogil:
    """Dropout between layer i and the next; the recurrent path is never touched."""
    cdef const LayerBuffers *buffer = &buffers.layers[i]
    cdef Py_ssize_t stride = call.layers[i].hidden_stride, size = call.kernels.item_size, t, r, row
    for t in range(n_steps):
        for r in range(buffers.n_active[t]):
            row = t * n + r
            call.kernels.dropout(stride, call.seed, <unsigned int> (t * call.n_layers + i),
                                 call.sample_ids[first + r], call.epoch, call.dropout,
                                 buffer.h + (row + n) * stride * size, buffer.dropped + row * stride * size,
                                 buffer.kept + row * stride)


cdef void forward_chunk(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t first, Py_ssize_t n,
                        Py_ssize_t n_steps) noexcept nogil:
    cdef LayerCall layer_call
    cdef const Layer *layer
    cdef const LayerBuffers *buffer
    cdef Py_ssize_t size = call.kernels.item_size, i, r, last_row, stride, hidden
    cdef char *state
    for i in range(call.n_layers):
        layer = &call.layers[i]
        buffer = &buffers.layers[i]
        describe_layer(call, buffers, i, first, n, n_steps, &layer_call)
        set_initial_state(call, layer, buffer, first, n)
        call.kernels.lstm_layer_forward(&layer_call)
        if call.training and call.dropout > 0 and i + 1 < call.n_layers:
            drop_units(call, buffers, i, first, n, n_steps)
        stride = layer.hidden_stride * size
        hidden = layer.hidden_size * size
        for r in range(n):
            last_row = call.lengths[first + r] * n + r
            if i + 1 == call.n_layers:
                memcpy(buffers.features + r * stride, buffer.h + last_row * stride, stride)
                if call.out_hidden != NULL:
                    memcpy(call.out_hidden + (first + r) * hidden, buffer.h + last_row * stride, hidden)
            if call.final_state != NULL:
                state = call.final_state + ((first + r) * call.state_size + layer.state) * size
                memcpy(state, buffer.h + last_row * stride, hidden)
                memcpy(state + hidden, buffer.c + (last_row if call.training else r) * stride, hidden)
    head_forward(call, buffers, n)
    if call.out_z != NULL:
        hidden = call.head.n_outputs * size
        for r in range(n):
            memcpy(call.out_z + (first + r) * hidden, buffers.z + r * call.head.stride * size, hidden)


cdef void head_forward(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t n) noexcept nogil:
    """z = features @ weight_out^T + bias_out."""
    cdef const Layer *top = &call.layers[call.n_layers - 1]
    cdef Py_ssize_t size = call.kernels.item_size, stride = call.head.stride, r
    for r in range(n):
        memcpy(buffers.z + r * stride * size, call.packed + call.head.packed_bias * size, stride * size)
    call.kernels.product(n, top.hidden_size, stride // (4 * call.kernels.lanes), buffers.features, top.hidden_stride,
                         call.packed + call.head.packed * size, buffers.z, stride, True)


cdef void head_backward(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t n, char *slot) noexcept nogil:
    """From d_z to the gradients of the head and of each sequence's last hidden state."""
    cdef const Layer *top = &call.layers[call.n_layers - 1]
    cdef Py_ssize_t size = call.kernels.item_size, tile = 4 * call.kernels.lanes
    cdef Py_ssize_t n_panels = call.head.stride // tile, wide = round_up(top.hidden_size, tile)
    call.kernels.outer(n, top.hidden_size, n_panels, buffers.features, top.hidden_stride, buffers.d_z,
                       call.head.stride, slot + call.head.d_packed * size)
    call.kernels.outer(n, 1, n_panels, buffers.one, 0, buffers.d_z, call.head.stride, slot + call.head.d_bias * size)
    call.kernels.product(n, call.head.n_outputs, wide // tile, buffers.d_z, call.head.stride,
                         call.packed + call.head.packed_back * size, buffers.d_last, wide, False)


cdef void backward_chunk(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t first, Py_ssize_t n,
                         Py_ssize_t n_steps, char *slot) noexcept nogil:
    cdef LayerCall layer_call
    cdef const Layer *layer
    cdef Py_ssize_t size = call.kernels.item_size, tile = 4 * call.kernels.lanes, i, wide
    cdef const char *from_above = NULL
    for i in range(call.n_layers - 1, -1, -1):
        layer = &call.layers[i]
        wide = round_up(layer.hidden_size, tile)
        describe_layer(call, buffers, i, first, n, n_steps, &layer_call)
        layer_call.d_h_last = buffers.d_last if i + 1 == call.n_layers else NULL
        layer_call.d_h_above = from_above
        layer_call.d_h_above_stride = wide
        layer_call.d_h = buffers.d_h
        layer_call.d_c = buffers.d_c
        layer_call.d_x = buffers.d_x[i % 2]
        layer_call.d_weights = slot + layer.d_packed * size
        layer_call.d_bias = slot + layer.d_bias * size
        call.kernels.lstm_layer_backward(&layer_call)
        if call.d_initial_state != NULL:
            give_initial_state_gradient(call, layer, buffers, first, n, wide)
        from_above = buffers.d_x[i % 2]
        if i > 0 and call.dropout > 0:
            drop_gradients(call, buffers, i - 1, n, n_steps, buffers.d_x[i % 2])
    if call.d_x != NULL:
        give_input_gradient(call, buffers, first, n, from_above)


cdef void drop_gradients(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t i, Py_ssize_t n,
                         Py_ssize_t n_steps, char *d_h) noexcept nogil:
    """The way back of drop_units: d_h (n_steps, n, wide) of layer i."""
    cdef Py_ssize_t hidden = call.layers[i].hidden_size, stride = call.layers[i].hidden_stride, t, r, row
    cdef Py_ssize_t wide = round_up(hidden, 4 * call.kernels.lanes) * call.kernels.item_size
    for t in range(n_steps):
        for r in range(buffers.n_active[t]):
            row = t * n + r
            call.kernels.dropout_backward(hidden, call.dropout, buffers.layers[i].kept + row * stride,
                                          d_h + row * wide)


cdef void give_initial_state_gradient(const StackCall *call, const Layer *layer, const ChunkBuffers *buffers,
                                      Py_ssize_t first, Py_ssize_t n, Py_ssize_t wide) noexcept nogil:
    cdef Py_ssize_t size = call.kernels.item_size, hidden = layer.hidden_size * size, r
    cdef char *out
    for r in range(n):
        out = call.d_initial_state + ((first + r) * call.state_size + layer.state) * size
        memcpy(out, buffers.d_h + r * wide * size, hidden)
        memcpy(out + hidden, buffers.d_c + r * layer.hidden_stride * size, hidden)


cdef void give_input_gradient(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t first, Py_ssize_t n,
                              const char *d_x) noexcept nogil:
    cdef Py_ssize_t size = call.kernels.item_size, row = call.layers[0].input_size * size, r, t
    cdef Py_ssize_t wide = round_up(call.layers[0].input_size, 4 * call.kernels.lanes) * size
    for r in range(n):
        for t in range(call.lengths[first + r]):
            memcpy(call.d_x + ((first + r) * call.max_steps + t) * row, d_x + (t * n + r) * wide, row)


cdef Py_ssize_t count_active(const StackCall *call, Py_ssize_t first, Py_ssize_t n, int *n_active) noexcept nogil:
    """Fill n_active and return the number of steps of the chunk: the length of its first sequence."""
    cdef Py_ssize_t t, n_steps = call.lengths[first], running = n
    for t in range(n_steps):
        while call.lengths[first + running - 1] <= t:
            running -= 1
        n_active[t] = <int> running
    return n_steps


cdef void open_workspace(const StackCall *call, int worker, ChunkBuffers *buffers) noexcept nogil:
    cdef char *base = call.workspaces + worker * call.workspace_bytes
    cdef LayerBuffers *layers = <LayerBuffers *> take(&base, call.n_layers * sizeof(LayerBuffers))
    lay_out(call, layers, base, buffers)
    if call.training:
        if call.kernels.item_size == sizeof(float):
            (<float *> buffers.one)[0] = 1
        else:
            (<double *> buffers.one)[0] = 1


cdef void forward_task(void *context, int chunk, int worker) noexcept nogil:
    cdef const StackCall *call = <const StackCall *> context
    cdef ChunkBuffers buffers
    cdef Py_ssize_t first = chunk * call.chunk_size, n = min(call.chunk_size, call.n_samples - first)
    open_workspace(call, worker, &buffers)
    forward_chunk(call, &buffers, first, n, count_active(call, first, n, buffers.n_active))


cdef void train_task(void *context, int slot_number, int worker) noexcept nogil:
    """Forward, loss and backward of the chunks of one gradient slot, in their order: slots, not threads, own sums."""
    cdef const StackCall *call = <const StackCall *> context
    cdef ChunkBuffers buffers
    cdef Py_ssize_t size = call.kernels.item_size, chunk = slot_number, first, n, n_steps, n_targets
    cdef char *slot = call.slots + slot_number * call.slot_size * size
    open_workspace(call, worker, &buffers)
    n_targets = call.head.n_outputs if call.loss_kind == SQUARED_LOSS else 1
    memset(slot, 0, call.slot_size * size)
    # The columns of the head's tile beyond n_outputs have no gradient.
    memset(buffers.d_z, 0, call.chunk_size * call.head.stride * size)
    while chunk < call.n_chunks:
        first = chunk * call.chunk_size
        n = min(call.chunk_size, call.n_samples - first)
        n_steps = count_active(call, first, n, buffers.n_active)
        forward_chunk(call, &buffers, first, n, n_steps)
        call.chunk_losses[chunk] = call.kernels.loss(
            call.loss_kind, n, call.head.n_outputs, buffers.z, call.head.stride,
            call.targets + first * n_targets * size, call.weights + first * size, call.scale, buffers.d_z)
        head_backward(call, &buffers, n, slot)
        backward_chunk(call, &buffers, first, n, n_steps, slot)
        chunk += call.n_slots
