# The memory of one worker: the workspace (written by forward, read by backward) and scratch that is dead after a chunk.

cdef inline bint reads_every_step(const StackCall *call) noexcept nogil:
    """Whether the top layer gets a gradient at every step, and not only at the last of each sequence."""
    return (call.every_step or has_output(&call.layers[call.n_layers - 1]) or call.attention.n_heads > 0
            or call.attention.pooling != LAST_POOLING)


cdef char *lay_out_layer(const StackCall *call, Py_ssize_t i, LayerBuffers *buffer, char *base) noexcept nogil:
    """Cut the arrays of one layer; return their end."""
    cdef const Layer *layer = &call.layers[i]
    cdef Py_ssize_t size = call.kernels.item_size, n = call.chunk_size, steps = call.max_steps
    cdef Py_ssize_t kept, rows = n * layer.hidden_stride, out_rows = steps * n * layer.output_stride
    cdef DirectionBuffers *run
    cdef LayerCall layer_call
    cdef LayerOptions options
    cdef int d
    memset(buffer, 0, sizeof(LayerBuffers))
    for d in range(layer.n_directions):
        run = &buffer.directions[d]
        run.h = take_bytes(&base, (steps + 1) * n * layer.width_stride * size)
        if layer.sizes.n_states > 0:
            run.c = take_bytes(&base, (steps + 1 if keeps_c(call, layer) else 1) * layer.sizes.n_states * rows * size)
        if keeps_short_c(call, layer):
            run.kept_c = take_bytes(&base, steps * rows * 2)
        if call.training:
            # The plain layers of reduced numbers keep 16 bits (isa/kept.h).
            kept = 2 if call.kernels.reduced and not has_options(call, layer) else size
            run.gates = take_bytes(&base, layer.cell.n_sums * steps * rows * kept)
            run.kept = take_bytes(&base, layer.sizes.n_kept * steps * rows * kept)
        if has_options(call, layer):
            measure_options(call, i, d, &layer_call, &options)
            run.options = take_bytes(&base, layer.kernels.options_workspace(&layer_call, n, steps))
        if call.training and call.decoder.n_turns > 0 and not call.over_horizon:
            run.d_h_last = take_bytes(&base, n * layer.width_stride * size)
            run.d_c_last = take_bytes(&base, layer.sizes.n_states * rows * size)
    if call.training:
        if drops(call, i):
            buffer.kept = <unsigned char *> take_bytes(&base, out_rows)
        if layer.norm.kind != NO_OUTPUT_NORM:
            buffer.normalised = take_bytes(&base, out_rows * size)
            buffer.inverse = <double *> take_bytes(&base, steps * n * sizeof(double))
    if drops(call, i) or has_output(layer):
        buffer.out = take_bytes(&base, out_rows * size)
    if layer.norm_first:
        buffer.read = take_bytes(&base, out_rows * size)
    if layer.gate.kind != NO_GATE:
        kept = n * (steps if call.training else 1)
        buffer.gate_sums = take_bytes(&base, kept * layer.gate.stride * size)
        buffer.gate = take_bytes(&base, kept * layer.output_stride * size)
    if layer.feedforward.size > 0:
        kept = n * (steps if call.training else 1)
        buffer.fed = take_bytes(&base, kept * layer.output_stride * size)
        buffer.fed_sums = take_bytes(&base, kept * layer.feedforward.sums_stride * size)
        if call.training:
            buffer.fed_normalised = take_bytes(&base, out_rows * size)
            buffer.fed_inverse = <double *> take_bytes(&base, kept * sizeof(double))
    return base


cdef void measure_options(const StackCall *call, Py_ssize_t i, int d, LayerCall *layer_call,
                          LayerOptions *options) noexcept nogil:
    """The part of a call that decides the size of a workspace of options: sizes, and which options there are."""
    cdef const Layer *layer = &call.layers[i]
    cdef const Recurrence *recurrence = &layer.directions[d]
    # Any address but NULL marks an option as present.
    cdef const char *present = <const char *> recurrence
    memset(layer_call, 0, sizeof(LayerCall))
    memset(options, 0, sizeof(LayerOptions))
    describe_sizes(layer, layer_call)
    layer_call.options = options
    options.vectors = present if recurrence.vectors >= 0 else NULL
    options.norm = present if recurrence.norm >= 0 else NULL
    options.projection = present if recurrence.projection >= 0 else NULL
    options.zoneout, options.recurrent_dropout = call.zoneout, call.recurrent_dropout
    options.training = call.training


cdef char *lay_out(const StackCall *call, LayerBuffers *layers, char *base, ChunkBuffers *buffers) noexcept nogil:
    """Cut a workspace into its arrays; return its end. Also used to measure: base is not written to, layers is."""
    cdef Py_ssize_t size = call.kernels.item_size, lanes = call.kernels.lanes
    cdef Py_ssize_t n = call.chunk_size, steps = call.max_steps, i, widest = 0, longest_pair = 0, residual = 0
    cdef Py_ssize_t sums = 0, words = 0, gradient_words = 0
    cdef const Layer *layer
    cdef const Layer *top = &call.layers[call.n_layers - 1]
    memset(buffers, 0, sizeof(ChunkBuffers))
    buffers.layers = layers
    for i in range(call.n_layers):
        layer = &call.layers[i]
        base = lay_out_layer(call, i, &layers[i], base)
        widest = max(widest, max(layer.hidden_stride, layer.output_stride))
        longest_pair = max(longest_pair, pair_stride(layer, size))
        sums = max(sums, scratch_size(n, layer.cell.n_sums, layer.hidden_stride, lanes))
        if has_options(call, layer):
            sums = max(sums, n * layer.cell.n_sums * layer.hidden_stride)
        residual = max(residual, layer.residual_stride)
        if layer.format != REALS:
            words = max(words, (2 * n + PAIRS) * words_stride(layer))
        if has_options(call, layer) and call.training:
            gradient_words = max(gradient_words, n * words_of(layer.format, layer.cell.n_sums * layer.hidden_stride))
    if call.want_d_x:
        widest = max(widest, round_up(call.layers[0].input_size, lanes))
    buffers.sums = take_bytes(&base, sums * size)
    if words > 0:
        buffers.words = take_bytes(&base, words * size)
        buffers.gradient_words = take_bytes(&base, gradient_words * size)
        buffers.layer_words = take_bytes(&base, call.layer_words_size * size)
    buffers.step_products = take_bytes(&base, step_products_size(call) * size)
    if shares(call):
        buffers.products = take_bytes(&base, (call.layers[0].cell.n_sums * shared_rows(n, steps)
                                              * call.layers[0].hidden_stride * size))
        buffers.shared_first = <int *> take_bytes(&base, n * sizeof(int))
    if call.fills_inputs:
        buffers.inputs = take_bytes(&base, n * steps * call.layers[0].input_size * size)
    if reads_gaps(call):
        buffers.gaps = take_bytes(&base, n * steps * size)
    if call.input.skip_rows > 0 and not call.over_horizon:
        buffers.skip_rows = take_bytes(&base, n * skip_stride(call) * size)
    if call.input.norm != NO_NORM and not call.over_horizon:
        buffers.moments = <double *> take_bytes(&base, 2 * call.input.n_columns * sizeof(double))
    base = lay_out_attention(call, base, buffers)
    buffers.residual = take_bytes(&base, steps * n * residual * size)
    base = lay_out_outputs(call, base, buffers)
    buffers.features = take_bytes(&base, n * top.output_stride * size)
    buffers.z = take_bytes(&base, (steps if call.every_step else 1) * n * outputs_stride(call) * size)
    buffers.x_rows = <const void **> take_bytes(&base, n * sizeof(void *))
    buffers.row_pointers = <const void **> take_bytes(&base, (2 * n + PAIRS) * sizeof(void *))
    buffers.n_active = <int *> take_bytes(&base, steps * sizeof(int))
    if call.training:
        base = lay_out_backward(call, base, buffers, widest, longest_pair)
    if call.over_horizon:
        base = lay_out_turns(call, base, buffers)
    return base


cdef char *lay_out_outputs(const StackCall *call, char *base, ChunkBuffers *buffers) noexcept nogil:
    """Cut the arrays that the gates and feedforward blocks of all layers use in turn."""
    cdef Py_ssize_t row = call.chunk_size * call.kernels.item_size, gated = 0, sums = 0, out = 0, x = 0, gate = 0, i
    for i in range(call.n_layers):
        gated = max(gated, call.layers[i].feedforward.stride)
        sums = max(sums, call.layers[i].feedforward.sums_stride)
        out = max(out, call.layers[i].feedforward.wide_stride)
        gate = max(gate, call.layers[i].gate.stride)
        if call.layers[i].gate.kind != NO_GATE:
            x = max(x, call.layers[i].input_size)
    buffers.gate_x = take_bytes(&base, x * row)
    if call.training:
        buffers.d_gate_sums = take_bytes(&base, call.max_steps * gate * row)
    buffers.fed_units = take_bytes(&base, gated * row)
    buffers.fed_out = take_bytes(&base, out * row)
    if call.training:
        buffers.d_fed_units = take_bytes(&base, gated * row)
        buffers.d_fed_sums = take_bytes(&base, sums * row)
        buffers.d_fed = take_bytes(&base, out * row)
    return base


cdef inline Py_ssize_t outputs_stride(const StackCall *call) noexcept nogil:
    """Numbers from one row of raw outputs to the next: all of a sample, or those of a turn."""
    return call.head.turn_stride if call.over_horizon else call.head.stride


cdef char *lay_out_both(const StackCall *call, LayerBuffers *layers, char *base, ChunkBuffers *both) noexcept nogil:
    """Cut a workspace for the layers and, with a decoder, for their second run."""
    cdef StackCall turns
    base = lay_out(call, layers, base, both)
    if call.decoder.n_turns > 0:
        describe_turns(call, call.chunk_size, &turns)
        base = lay_out(&turns, layers + call.n_layers, base, both + 1)
        both[0].turns, both[1].encoder = both + 1, both
    return base


cdef char *lay_out_attention(const StackCall *call, char *base, ChunkBuffers *buffers) noexcept nogil:
    """Cut the arrays of the block of self-attention and of the pooling."""
    cdef const Layer *top = &call.layers[call.n_layers - 1]
    cdef Py_ssize_t n = call.chunk_size, steps = call.max_steps
    buffers.steps = <Py_ssize_t *> take_bytes(&base, n * sizeof(Py_ssize_t))
    if call.attention.n_heads > 0:
        buffers.attended = take_bytes(&base, steps * n * top.output_stride * call.kernels.item_size)
        buffers.attention = take_bytes(&base, call.kernels.attention_workspace(n, steps, top.output_size,
                                                                               call.attention.n_heads, call.training))
    if call.attention.pooling != LAST_POOLING:
        buffers.pooling = take_bytes(&base, call.kernels.pool_workspace(call.attention.pooling, n, steps,
                                                                        top.output_size))
    return base


cdef char *lay_out_backward(const StackCall *call, char *base, ChunkBuffers *buffers, Py_ssize_t widest,
                            Py_ssize_t longest_pair) noexcept nogil:
    """Cut the arrays of backward alone."""
    cdef Py_ssize_t size = call.kernels.item_size, lanes = call.kernels.lanes, n = call.chunk_size
    cdef Py_ssize_t steps = call.max_steps, all_rows = steps * n * widest * size, states = 0, sums = 4, i
    cdef bint residual = False
    cdef bint gated = False
    cdef bint both = call.layers[0].n_directions > 1
    for i in range(call.n_layers):
        residual = residual or call.layers[i].residual_from >= 0
        gated = gated or call.layers[i].gate.kind != NO_GATE
        states = max(states, call.layers[i].sizes.n_states * call.layers[i].hidden_stride)
        sums = max(sums, call.layers[i].cell.n_sums)
    buffers.one = take_bytes(&base, size)
    buffers.pair_rows = take_bytes(&base, PAIRS * (longest_pair + sums * lanes) * size)
    buffers.d_z = take_bytes(&base, (steps if call.every_step else 1) * n * outputs_stride(call) * size)
    buffers.d_last = take_bytes(&base, n * widest * size)
    if reads_every_step(call):
        buffers.d_top = take_bytes(&base, all_rows)
    if residual:
        buffers.d_skip[0] = take_bytes(&base, all_rows)
        buffers.d_skip[1] = take_bytes(&base, all_rows)
    buffers.d_h = take_bytes(&base, n * widest * size)
    buffers.d_c = take_bytes(&base, n * states * size)
    if both:
        buffers.d_run = take_bytes(&base, all_rows)
    if call.n_layers > 1 or call.want_d_x:
        buffers.d_x[0] = take_bytes(&base, all_rows)
        # Both in one array, where a layer has read its own before it writes that of the layer below.
        buffers.d_x[1] = take_bytes(&base, all_rows) if both or gated else buffers.d_x[0]
        if both:
            buffers.d_x_backward = take_bytes(&base, all_rows)
    return base


cdef void open_workspace(const StackCall *call, int worker, ChunkBuffers *buffers) noexcept nogil:
    """Fill the buffers of the layers and, with a decoder, those of their second run."""
    cdef char *base = call.workspaces + worker * call.workspace_bytes
    cdef Py_ssize_t n_runs = 2 if call.decoder.n_turns > 0 else 1, k
    cdef LayerBuffers *layers = <LayerBuffers *> take_bytes(&base, n_runs * call.n_layers * sizeof(LayerBuffers))
    lay_out_both(call, layers, base, buffers)
    for k in range(n_runs):
        buffers[k].watch, buffers[k].worker = call.watch, worker
        if call.training and call.kernels.item_size == sizeof(float):
            (<float *> buffers[k].one)[0] = 1
        elif call.training:
            (<double *> buffers[k].one)[0] = 1
