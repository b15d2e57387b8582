# One chunk of sequences forward through the whole stack. Runs in one thread, without the GIL.

cdef struct RunBuffers:
    # one direction of a layer
    char *gates
    char *c
    char *kept
    char *h
    char *options                # what a layer with options keeps beside these


cdef struct LayerBuffers:
    RunBuffers runs[2]
    char *out                    # (T, n, output_stride) the output, where that is not h
    char *normalised             # (T, n, output_stride) before gain and shift
    double *inverse              # (T, n) 1 / deviation of each row
    unsigned char *kept


cdef struct StackCall:
    const KernelTable *kernels
    Py_ssize_t n_layers
    const Layer *layers
    const InputStage *input
    const Attention *attention
    const Head *head
    bint every_step              # each step has an output: targets, weights, z and hidden go by row of the table
    bint options                 # some layer is not the plain one
    double zoneout
    const char *panels
    const char *transposed       # NULL: nothing goes back
    # the sequences: row t of sequence i is table + (starts[i] + t) * row_stride
    const char *table
    bint is_double               # the table's dtype, which need not be the network's
    Py_ssize_t table_item        # its bytes
    bint fills_inputs            # the first layer reads the buffer of the input stage, not the table
    Py_ssize_t row_stride        # elements
    const Py_ssize_t *starts
    const Py_ssize_t *lengths    # in rows, never increasing inside a chunk
    Py_ssize_t n_samples
    Py_ssize_t max_steps
    Py_ssize_t chunk_size
    Py_ssize_t n_chunks
    bint training
    bint neighbours              # batches hold windows that follow each other
    bint want_d_x
    # one workspace for each worker
    char *workspaces
    Py_ssize_t workspace_bytes
    # what comes out of forward (NULL: not wanted)
    char *out_z                  # (n_samples, n_outputs)
    char *out_hidden             # (n_samples, output_size of the top layer)
    char *out_pool_weights       # (n_samples, max_steps)
    char *out_head_weights       # (n_samples, n_heads, max_steps)
    const char *initial_state    # (n_samples, state_size); NULL: zeros
    char *final_state            # (n_samples, state_size)
    Py_ssize_t state_size
    # training
    int loss_kind
    const double *loss_parameters  # (n_outputs,)
    const char *targets
    const char *weights          # (n_samples, n_weights)
    Py_ssize_t n_weights         # 1, or one for each output
    double scale
    double *chunk_losses         # (n_chunks,)
    char *slots                  # (n_slots, panels_size)
    Py_ssize_t panels_size       # elements of a slot
    Py_ssize_t n_slots
    double dropout
    double recurrent_dropout
    unsigned long long seed
    unsigned int epoch
    const unsigned int *sample_ids
    char *d_initial_state        # (n_samples, state_size); NULL: not wanted
    char *d_x                    # (n_samples, max_steps, input_size); NULL: not wanted
    SignalWatch *watch


cdef struct ChunkBuffers:
    SignalWatch *watch
    int worker
    LayerBuffers *layers
    char *inputs                 # what the first layer reads, where that is no table (inputs.pxi); NULL
    char *skip_rows              # (n, skip_rows, n_columns) what the linear skip reads; NULL
    double *moments              # (2, n_columns) of one window that is normalised; NULL
    Py_ssize_t *steps            # (n,) of each sequence
    char *attended               # (T, n, output_stride of the top layer) what the block of self-attention makes of it
    char *attention              # its workspace
    char *pooling                # the workspace of the pooling
    char *features               # (n, output_stride of the top layer)
    char *z                      # (n, head stride), or (T, n, head stride)
    char *sums                   # of one panel, or of one step
    char *d_z
    char *d_last                 # (n, output_stride of the top layer)
    char *d_top                  # (T, n, output_stride of the top layer): the gradient of its output
    char *residual               # (T, n, residual_stride) what a linear map makes of the layer below, and its gradient
    char *d_skip[2]              # (T, n, output_stride) gradients of residual sums for the layers below
    char *d_run                  # (T, n, width_stride) the gradient of one direction's h
    char *d_h
    char *d_c
    char *d_x[2]                 # gradients between layers: each reads one and writes the other
    char *d_x_backward           # the backward direction's share
    const void **x_rows
    const void **row_pointers
    char *pair_rows
    int *n_active
    char *products               # (rows of the chunk, n_sums hidden_stride of the first layer) when windows share them
    int *shared_first            # (n,) the row of the chunk that each sequence reads first
    char *one                    # the number 1, to sum rows by an outer product


cdef inline Py_ssize_t pair_stride(const Layer *layer, Py_ssize_t size) noexcept nogil:
    """Room for [x | h | gated h] in an odd number of cache lines, so that rows spread over all sets of the cache."""
    cdef Py_ssize_t n_h = (layer.cell.h_count > 0) + (layer.cell.gated_count > 0)
    return (((layer.input_size + n_h * layer.width) * size + 63) // 64 | 1) * 64 // size


cdef inline bint drops(const StackCall *call, Py_ssize_t i) noexcept nogil:
    """Dropout stands between two layers, in training only."""
    return call.training and call.dropout > 0 and i + 1 < call.n_layers


cdef inline const char *output_of(const ChunkBuffers *buffers, const Layer *layer, Py_ssize_t i, Py_ssize_t n,
                                  Py_ssize_t size) noexcept nogil:
    """(T, n, output_stride): what the reader of layer i reads."""
    cdef const LayerBuffers *buffer = &buffers.layers[i]
    return buffer.out if buffer.out != NULL else buffer.runs[0].h + n * layer.width_stride * size


cdef inline const char *top_of(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i = call.n_layers - 1
    return output_of(buffers, &call.layers[i], i, n, call.kernels.item_size)


cdef int chunk_interrupted(void *buffers) noexcept nogil:
    return must_stop((<ChunkBuffers *> buffers).watch, (<ChunkBuffers *> buffers).worker)


cdef void set_rows(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t i, int direction, Py_ssize_t first,
                   Py_ssize_t n, LayerCall *layer_call) noexcept nogil:
    """Where layer i finds its input; the backward direction begins at each sequence's own last step."""
    cdef Py_ssize_t size = call.kernels.item_size, r, between
    cdef const char *begin
    if i == 0:
        layer_call.x_step = set_input_rows(call, buffers, first, n, layer_call.n_steps)
    else:
        begin = output_of(buffers, &call.layers[i - 1], i - 1, n, size)
        between = call.layers[i - 1].output_stride
        for r in range(n):
            buffers.x_rows[r] = begin + r * between * size
        layer_call.x_step = n * between
    if direction == 1:
        turn_round(call, buffers, first, n, layer_call)


cdef void turn_round(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t first, Py_ssize_t n,
                     LayerCall *layer_call) noexcept nogil:
    """Read each sequence from its end."""
    cdef Py_ssize_t step = layer_call.x_step * call.kernels.item_size, r
    for r in range(n):
        buffers.x_rows[r] = <const char *> buffers.x_rows[r] + (steps_of(call, first + r) - 1) * step
    layer_call.x_step = -layer_call.x_step


cdef inline bint has_options(const StackCall *call, const Layer *layer) noexcept nogil:
    """Whether a layer goes through its driver with options."""
    return call.options or layer.cell.gated_count > 0


cdef void describe_layer(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t i, int direction,
                         Py_ssize_t first, Py_ssize_t n, Py_ssize_t n_steps, LayerCall *layer_call,
                         LayerOptions *options) noexcept nogil:
    """The fields of a call that forward and backward of one direction of a layer share."""
    cdef const Layer *layer = &call.layers[i]
    cdef const Recurrence *recurrence = &layer.directions[direction]
    cdef const RunBuffers *buffer = &buffers.layers[i].runs[direction]
    cdef Py_ssize_t size = call.kernels.item_size
    memset(layer_call, 0, sizeof(LayerCall))
    layer_call.interrupted, layer_call.interrupt_context = chunk_interrupted, <void *> buffers
    layer_call.n_steps = n_steps
    layer_call.n_samples = n
    layer_call.n_active = buffers.n_active
    layer_call.x_rows = buffers.x_rows
    layer_call.row_pointers = buffers.row_pointers
    layer_call.pair_rows = buffers.pair_rows
    layer_call.pair_stride = pair_stride(layer, size)
    describe_sizes(layer, layer_call)
    set_rows(call, buffers, i, direction, first, n, layer_call)
    layer_call.weights = call.panels + recurrence.panels * size
    layer_call.bias = call.panels + recurrence.panel_bias * size
    if recurrence.vectors >= 0:
        layer_call.vectors = call.panels + recurrence.vectors * size
    if call.training:
        layer_call.h_transposed = call.transposed + recurrence.h_transposed * size
        layer_call.gated_transposed = call.transposed + recurrence.gated_transposed * size
        if i > 0 or call.want_d_x:
            layer_call.x_transposed = call.transposed + recurrence.x_transposed * size
    layer_call.gates = buffer.gates
    layer_call.c = buffer.c
    layer_call.kept = buffer.kept
    layer_call.h = buffer.h
    layer_call.z = buffers.sums
    layer_call.kept_step = n * layer.hidden_stride if call.training else 0
    layer_call.n_panels = layer.n_panels
    if has_options(call, layer):
        describe_options(call, buffers, i, direction, first, options)
        layer_call.options = options


cdef inline void describe_sizes(const Layer *layer, LayerCall *layer_call) noexcept nogil:
    layer_call.input_size = layer.input_size
    layer_call.hidden_size, layer_call.hidden_stride = layer.hidden_size, layer.hidden_stride
    layer_call.output_size, layer_call.output_stride = layer.width, layer.width_stride


cdef void describe_options(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t i, int direction,
                           Py_ssize_t first, LayerOptions *options) noexcept nogil:
    """What a layer with options needs beside the plain call."""
    cdef const Layer *layer = &call.layers[i]
    cdef const Recurrence *recurrence = &layer.directions[direction]
    cdef Py_ssize_t size = call.kernels.item_size
    memset(options, 0, sizeof(LayerOptions))
    if recurrence.vectors >= 0:
        options.vectors = call.panels + recurrence.vectors * size
    if recurrence.norm >= 0:
        options.norm = call.panels + recurrence.norm * size
    if recurrence.projection >= 0:
        options.projection = call.panels + recurrence.projection * size
        if call.training:
            options.projection_transposed = call.transposed + recurrence.projection_transposed * size
    options.zoneout, options.recurrent_dropout = call.zoneout, call.recurrent_dropout
    options.training, options.seed, options.epoch = call.training, call.seed, call.epoch
    options.layer = <unsigned int> (2 * i + direction)
    if call.sample_ids != NULL:
        options.sample_ids = call.sample_ids + first
    options.workspace = buffers.layers[i].runs[direction].options


cdef void set_initial_state(const StackCall *call, const Layer *layer, int direction, const RunBuffers *buffer,
                            Py_ssize_t first, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t size = call.kernels.item_size, r
    cdef const char *state
    memset(buffer.h, 0, n * layer.width_stride * size)
    if layer.second_state:
        memset(buffer.c, 0, n * layer.hidden_stride * size)
    if call.initial_state == NULL:
        return
    for r in range(n):
        state = call.initial_state + ((first + r) * call.state_size + layer.directions[direction].state) * size
        memcpy(buffer.h + r * layer.width_stride * size, state, layer.width * size)
        if layer.second_state:
            memcpy(buffer.c + r * layer.hidden_stride * size, state + layer.width * size, layer.hidden_size * size)


cdef void give_final_state(const StackCall *call, const Layer *layer, int direction, const RunBuffers *buffer,
                           Py_ssize_t first, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t size = call.kernels.item_size, r, last_row
    cdef char *state
    for r in range(n):
        last_row = steps_of(call, first + r) * n + r
        state = call.final_state + ((first + r) * call.state_size + layer.directions[direction].state) * size
        memcpy(state, buffer.h + last_row * layer.width_stride * size, layer.width * size)
        if layer.second_state:
            memcpy(state + layer.width * size,
                   buffer.c + (last_row if call.training else r) * layer.hidden_stride * size, layer.hidden_size * size)


cdef void join_directions(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t i, Py_ssize_t first,
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
            memcpy(out, buffer.runs[0].h + ((t + 1) * n + r) * run, width)
            memcpy(out + width, buffer.runs[1].h + ((n_steps - t) * n + r) * run, width)
            memset(out + 2 * width, 0, (layer.output_stride - 2 * layer.width) * size)


cdef void map_rows(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t n, Py_ssize_t n_steps,
                   Py_ssize_t n_k, Py_ssize_t n_vecs, const char *a, Py_ssize_t a_stride, const char *panels, char *out,
                   Py_ssize_t out_stride) noexcept nogil:
    """The same product for the row of every step of every sequence that runs."""
    cdef Py_ssize_t size = call.kernels.item_size, t
    for t in range(n_steps):
        call.kernels.product(buffers.n_active[t], n_k, n_vecs, a + t * n * a_stride * size, a_stride, panels,
                             out + t * n * out_stride * size, out_stride, False)


cdef void finish_layer(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t i, Py_ssize_t first,
                       Py_ssize_t n, Py_ssize_t n_steps) noexcept nogil:
    """From the hidden states of layer i to its output: residual sum, normalisation, dropout, in this order.

    The recurrent path is never touched.
    """
    cdef const Layer *layer = &call.layers[i]
    cdef const LayerBuffers *buffer = &buffers.layers[i]
    cdef Py_ssize_t size = call.kernels.item_size, stride = layer.output_stride, skip_stride = stride, t, r, row
    cdef const Layer *source = NULL
    cdef const char *skip = NULL
    cdef const char *h = buffer.runs[0].h + n * layer.width_stride * size
    cdef char *out
    cdef double inverse
    if layer.n_directions > 1:
        join_directions(call, buffers, i, first, n)
        h = buffer.out
    if layer.residual_from >= 0:
        source = &call.layers[layer.residual_from]
        skip = output_of(buffers, source, layer.residual_from, n, size)
    if layer.residual >= 0:
        skip_stride = layer.residual_stride
        map_rows(call, buffers, n, n_steps, source.output_size, skip_stride // call.kernels.lanes, skip,
                 source.output_stride, call.panels + layer.residual * size, buffers.residual, skip_stride)
        skip = buffers.residual
    for t in range(n_steps):
        for r in range(buffers.n_active[t]):
            row = t * n + r
            out = buffer.out + row * stride * size
            inverse = finish_row(call.kernels, layer, call.panels, h + row * stride * size,
                                 skip + row * skip_stride * size if skip != NULL else NULL, out,
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
    cdef LayerOptions options
    cdef const Layer *layer
    cdef Py_ssize_t i
    cdef int d
    fill_inputs(call, buffers, first, n, n_steps)
    for i in range(call.n_layers):
        layer = &call.layers[i]
        for d in range(layer.n_directions):
            describe_layer(call, buffers, i, d, first, n, n_steps, &layer_call, &options)
            set_initial_state(call, layer, d, &buffers.layers[i].runs[d], first, n)
            if i == 0 and shares(call):
                share_products(call, buffers, d, first, n, n_steps, &layer_call)
            if layer_call.options != NULL:
                layer.kernels.options_forward(&layer_call)
            else:
                layer.kernels.forward(&layer_call)
            if call.watch.stopped:
                return
            if call.final_state != NULL:
                give_final_state(call, layer, d, &buffers.layers[i].runs[d], first, n)
        if buffers.layers[i].out != NULL:
            finish_layer(call, buffers, i, first, n, n_steps)
    top_forward(call, buffers, first, n, n_steps)


cdef Py_ssize_t count_active(const StackCall *call, Py_ssize_t first, Py_ssize_t n, int *n_active) noexcept nogil:
    """Fill n_active and return the number of steps of the chunk: those of its first sequence."""
    cdef Py_ssize_t t, n_steps = steps_of(call, first), running = n
    for t in range(n_steps):
        while steps_of(call, first + running - 1) <= t:
            running -= 1
        n_active[t] = <int> running
    return n_steps


cdef void forward_task(void *context, int chunk, int worker) noexcept nogil:
    cdef const StackCall *call = <const StackCall *> context
    cdef ChunkBuffers buffers
    cdef Py_ssize_t first = chunk * call.chunk_size, n = min(call.chunk_size, call.n_samples - first)
    if call.watch.stopped:
        return
    open_workspace(call, worker, &buffers)
    forward_chunk(call, &buffers, first, n, count_active(call, first, n, buffers.n_active))
