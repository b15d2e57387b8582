# One chunk of sequences forward through the whole stack. Runs in one thread, without the GIL.

cdef struct LayerBuffers:
    char *gates
    char *c
    char *tanh_c
    char *h
    char *out                    # (T, n, hidden_stride) what the layer above reads, where that is not h
    char *normalised             # (T, n, hidden_stride) before gain and shift
    double *inverse              # (T, n) 1 / deviation of each row
    unsigned char *kept


cdef struct StackCall:
    const KernelTable *kernels
    Py_ssize_t n_layers
    const Layer *layers
    const Head *head
    const char *panels
    const char *back             # NULL: nothing goes back
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
    const double *loss_parameters    # (n_outputs,)
    const char *targets
    const char *weights
    double scale
    double *chunk_losses         # (n_chunks,)
    char *slots                  # (n_slots, panels_size)
    Py_ssize_t panels_size       # elements of a slot
    Py_ssize_t n_slots
    double dropout
    unsigned long long seed
    unsigned int epoch
    const unsigned int *sample_ids
    char *d_initial_state        # (n_samples, state_size); NULL: not wanted
    char *d_x                    # (n_samples, max_steps, input_size); NULL: not wanted
    Watch *watch


cdef struct ChunkBuffers:
    Watch *watch
    int worker
    LayerBuffers *layers
    char *features               # (n, hidden_stride of the top layer)
    char *z                      # (n, head stride)
    char *z_gates                # pre-activations of one panel, or of one step
    char *d_z
    char *d_last                 # (n, hidden_stride of the top layer)
    char *d_top                  # (T, n, hidden_stride of the top layer): d_last, each row at its sequence's last step
    char *d_skip                 # (T, n, hidden_stride) what a residual sum hands back to the layer it took from
    char *d_h
    char *d_c
    char *d_x[2]                 # gradients handed down, each layer reads one and writes the other
    const void **x_rows
    const void **row_pointers
    char *pair_rows
    int *n_active
    char *products               # (rows of the chunk, 4 hidden_stride of the first layer) when windows share them
    char *one                    # the number 1, to sum rows by an outer product


cdef inline Py_ssize_t pair_stride(const Layer *layer, Py_ssize_t size) noexcept nogil:
    """Room for [x | h] in an odd number of cache lines, so that rows spread over all sets of the cache."""
    return (((layer.input_size + layer.hidden_size) * size + 63) // 64 | 1) * 64 // size


cdef inline Py_ssize_t shared_rows(Py_ssize_t n, Py_ssize_t n_steps) noexcept nogil:
    """The most rows of the table over which a chunk shares the first product: those of windows that follow each other,
    and only where that saves at least half of the products."""
    return min(n + n_steps, n * n_steps // 2)


cdef inline bint drops(const StackCall *call, Py_ssize_t i) noexcept nogil:
    """Dropout stands between two layers, in training only."""
    return call.training and call.dropout > 0 and i + 1 < call.n_layers


cdef inline const char *output_of(const ChunkBuffers *buffers, const Layer *layer, Py_ssize_t i, Py_ssize_t n,
                                  Py_ssize_t size) noexcept nogil:
    """(T, n, hidden_stride): what the reader of layer i reads."""
    cdef const LayerBuffers *buffer = &buffers.layers[i]
    return buffer.out if buffer.out != NULL else buffer.h + n * layer.hidden_stride * size


cdef char *lay_out(const StackCall *call, LayerBuffers *layers, char *base, ChunkBuffers *buffers) noexcept nogil:
    """Cut a workspace into its arrays; return its end. Also used to measure: base is not written to, layers is."""
    cdef Py_ssize_t size = call.kernels.item_size, lanes = call.kernels.lanes
    cdef Py_ssize_t n = call.chunk_size, steps = call.max_steps, i, rows, widest = 0, longest_pair = 0
    cdef LayerBuffers *buffer
    buffers.layers, buffers.d_top, buffers.d_skip = layers, NULL, NULL
    for i in range(call.n_layers):
        buffer = &layers[i]
        memset(buffer, 0, sizeof(LayerBuffers))
        rows = n * call.layers[i].hidden_stride
        widest = max(widest, call.layers[i].hidden_stride)
        longest_pair = max(longest_pair, pair_stride(&call.layers[i], size))
        buffer.h = take(&base, (steps + 1) * rows * size)
        buffer.c = take(&base, (steps + 1 if call.training else 1) * rows * size)
        if call.training:
            buffer.gates = take(&base, 4 * steps * rows * size)
            buffer.tanh_c = take(&base, steps * rows * size)
            if drops(call, i):
                buffer.kept = <unsigned char *> take(&base, steps * rows)
            if call.layers[i].norm:
                buffer.normalised = take(&base, steps * rows * size)
                buffer.inverse = <double *> take(&base, steps * n * sizeof(double))
        if drops(call, i) or has_output(&call.layers[i]):
            buffer.out = take(&base, steps * rows * size)
    if call.want_d_x:
        widest = max(widest, round_up(call.layers[0].input_size, lanes))
    buffers.z_gates = take(&base, scratch_size(n, widest, lanes) * size)
    if not call.training:
        buffers.products = take(&base, 4 * shared_rows(n, steps) * call.layers[0].hidden_stride * size)
    buffers.features = take(&base, n * call.layers[call.n_layers - 1].hidden_stride * size)
    buffers.z = take(&base, n * call.head.stride * size)
    buffers.x_rows = <const void **> take(&base, n * sizeof(void *))
    buffers.row_pointers = <const void **> take(&base, 2 * n * sizeof(void *))
    buffers.n_active = <int *> take(&base, steps * sizeof(int))
    if call.training:
        buffers.one = take(&base, size)
        buffers.pair_rows = take(&base, PAIRS * (longest_pair + 4 * lanes) * size)
        buffers.d_z = take(&base, n * call.head.stride * size)
        buffers.d_last = take(&base, n * widest * size)
        if has_output(&call.layers[call.n_layers - 1]):
            buffers.d_top = take(&base, steps * n * widest * size)
        for i in range(call.n_layers):
            if call.layers[i].residual_from >= 0 and buffers.d_skip == NULL:
                buffers.d_skip = take(&base, steps * n * widest * size)
        buffers.d_h = take(&base, n * widest * size)
        buffers.d_c = take(&base, n * widest * size)
        if call.n_layers > 1 or call.want_d_x:
            buffers.d_x[0] = take(&base, steps * n * widest * size)
            buffers.d_x[1] = take(&base, steps * n * widest * size)
    return base


cdef bint chunk_interrupted(void *buffers) noexcept nogil:
    return must_stop((<ChunkBuffers *> buffers).watch, (<ChunkBuffers *> buffers).worker)


cdef void describe_layer(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t i, Py_ssize_t first,
                         Py_ssize_t n, Py_ssize_t n_steps, LayerCall *layer_call) noexcept nogil:
    """Everything that forward and backward of one layer over this chunk have in common."""
    cdef const Layer *layer = &call.layers[i]
    cdef const LayerBuffers *buffer = &buffers.layers[i]
    cdef Py_ssize_t size = call.kernels.item_size, r, below
    cdef const char *h
    memset(layer_call, 0, sizeof(LayerCall))
    layer_call.interrupted, layer_call.interrupt_context = chunk_interrupted, <void *> buffers
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
        h = output_of(buffers, &call.layers[i - 1], i - 1, n, size)
        for r in range(n):
            buffers.x_rows[r] = h + r * below * size
    layer_call.weights = call.panels + layer.panels * size
    layer_call.bias = call.panels + layer.panel_bias * size
    if call.training:
        layer_call.weights_hh_back = call.back + layer.hh_back * size
        if i > 0 or call.want_d_x:
            layer_call.weights_ih_back = call.back + layer.ih_back * size
    layer_call.gates = buffer.gates
    layer_call.c = buffer.c
    layer_call.tanh_c = buffer.tanh_c
    layer_call.h = buffer.h
    layer_call.z = buffers.z_gates
    layer_call.kept_step = n * layer.hidden_stride if call.training else 0
    layer_call.n_panels = layer.hidden_stride // call.kernels.lanes


cdef void share_products(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t first, Py_ssize_t n,
                         Py_ssize_t n_steps, LayerCall *layer_call) noexcept nogil:
    """Overlapping windows of a table need x W_ih once for each row, not for each window: the same bits for less."""
    cdef const Layer *layer = &call.layers[0]
    cdef Py_ssize_t size = call.kernels.item_size, begin = call.starts[first], end = 0, r
    for r in range(first, first + n):
        begin = min(begin, call.starts[r])
        end = max(end, call.starts[r] + call.lengths[r])
    if end - begin > shared_rows(n, n_steps):
        return
    call.kernels.input_products(end - begin, layer.input_size, layer.input_size + layer.hidden_size,
                                layer_call.n_panels, call.table + begin * call.row_stride * size, call.row_stride,
                                layer_call.weights, layer_call.bias, buffers.products)
    layer_call.x_is_product = True
    layer_call.x_step = 4 * layer.hidden_stride
    for r in range(n):
        buffers.x_rows[r] = buffers.products + (call.starts[first + r] - begin) * layer_call.x_step * size


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


cdef void finish_layer(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t i, Py_ssize_t first,
                       Py_ssize_t n, Py_ssize_t n_steps) noexcept nogil:
    """From the hidden states of layer i to its output: residual sum, normalisation, dropout, in this order.

    The recurrent path is never touched.
    """
    cdef const Layer *layer = &call.layers[i]
    cdef const LayerBuffers *buffer = &buffers.layers[i]
    cdef Py_ssize_t stride = layer.hidden_stride, size = call.kernels.item_size, t, r, row
    cdef const char *skip = NULL
    cdef const char *h
    cdef char *out
    cdef double inverse
    if layer.residual_from >= 0:
        skip = output_of(buffers, &call.layers[layer.residual_from], layer.residual_from, n, size)
    for t in range(n_steps):
        for r in range(buffers.n_active[t]):
            row = t * n + r
            h = buffer.h + (row + n) * stride * size
            out = buffer.out + row * stride * size
            inverse = finish_row(call.kernels, layer, call.panels, h,
                                 skip + row * stride * size if skip != NULL else NULL, out,
                                 buffer.normalised + row * stride * size if buffer.normalised != NULL else NULL)
            if buffer.inverse != NULL:
                buffer.inverse[row] = inverse
            if drops(call, i):
                call.kernels.dropout(stride, call.seed, <unsigned int> (t * call.n_layers + i),
                                     call.sample_ids[first + r], call.epoch, call.dropout, out, out,
                                     buffer.kept + row * stride)


cdef void forward_chunk(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t first, Py_ssize_t n,
                        Py_ssize_t n_steps) noexcept nogil:
    cdef LayerCall layer_call
    cdef const Layer *layer
    cdef const LayerBuffers *buffer
    cdef Py_ssize_t size = call.kernels.item_size, i, r, last_row, stride, hidden
    cdef char *state
    cdef const char *top
    for i in range(call.n_layers):
        layer = &call.layers[i]
        buffer = &buffers.layers[i]
        describe_layer(call, buffers, i, first, n, n_steps, &layer_call)
        set_initial_state(call, layer, buffer, first, n)
        if i == 0 and not call.training:
            share_products(call, buffers, first, n, n_steps, &layer_call)
        call.kernels.lstm_layer_forward(&layer_call)
        if call.watch.stopped:
            return
        if buffer.out != NULL:
            finish_layer(call, buffers, i, first, n, n_steps)
        stride = layer.hidden_stride * size
        hidden = layer.hidden_size * size
        for r in range(n):
            last_row = call.lengths[first + r] * n + r
            if i + 1 == call.n_layers:
                top = output_of(buffers, layer, i, n, size) + (last_row - n) * stride
                memcpy(buffers.features + r * stride, top, stride)
                if call.out_hidden != NULL:
                    memcpy(call.out_hidden + (first + r) * hidden, top, hidden)
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
        memcpy(buffers.z + r * stride * size, call.panels + call.head.panel_bias * size, stride * size)
    call.kernels.product(n, top.hidden_size, stride // call.kernels.lanes, buffers.features, top.hidden_stride,
                         call.panels + call.head.panels * size, buffers.z, stride, True)


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
    buffers.watch, buffers.worker = call.watch, worker
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
    if call.watch.stopped:
        return
    open_workspace(call, worker, &buffers)
    forward_chunk(call, &buffers, first, n, count_active(call, first, n, buffers.n_active))
