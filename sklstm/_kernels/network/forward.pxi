# Forward pass of one chunk of sequences through the whole stack. Runs in one thread, without the GIL.

cdef inline Py_ssize_t pair_stride(const Layer *layer, Py_ssize_t size) noexcept nogil:
    """Room for [x | h | gated vectors]."""
    cdef Py_ssize_t n_h = (layer.cell.h_count > 0) + max(layer.cell.chain, <int> (layer.cell.gated_count > 0))
    return odd_cache_lines(layer.input_size + n_h * layer.width, size)


cdef inline bint drops(const StackCall *call, Py_ssize_t i) noexcept nogil:
    """Whether there is dropout between this layer and the next: in training only."""
    return call.training and call.dropout > 0 and i + 1 < call.n_layers


cdef inline const char *output_of(const ChunkBuffers *buffers, const Layer *layer, Py_ssize_t i, Py_ssize_t n,
                                  Py_ssize_t size) noexcept nogil:
    """(T, n, output_stride): the output of layer i."""
    cdef const LayerBuffers *buffer = &buffers.layers[i]
    return buffer.out if buffer.out != NULL else buffer.directions[0].h + n * layer.width_stride * size


cdef inline const char *read_of(const ChunkBuffers *buffers, const Layer *layer, Py_ssize_t i, Py_ssize_t n,
                                Py_ssize_t size) noexcept nogil:
    """(T, n, output_stride): what the layer above, or the head, reads of layer i."""
    if buffers.layers[i].read != NULL:
        return buffers.layers[i].read
    return output_of(buffers, layer, i, n, size)


cdef inline const char *top_output(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i = call.n_layers - 1
    return read_of(buffers, &call.layers[i], i, n, call.kernels.item_size)


cdef int chunk_interrupted(void *buffers) noexcept nogil:
    return must_stop((<ChunkBuffers *> buffers).watch, (<ChunkBuffers *> buffers).worker)


cdef void set_rows(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t i, int direction, Py_ssize_t first,
                   Py_ssize_t n, LayerCall *layer_call) noexcept nogil:
    """Point x_rows at the input of layer i; the backward direction begins at each sequence's own last step."""
    cdef Py_ssize_t size = call.kernels.item_size, r, between
    cdef const char *begin
    if i == 0 and call.over_horizon:
        layer_call.x_step = set_turn_rows(call, buffers, n)
    elif i == 0:
        layer_call.x_step = set_input_rows(call, buffers, first, n, layer_call.n_steps)
    else:
        begin = read_of(buffers, &call.layers[i - 1], i - 1, n, size)
        between = call.layers[i - 1].output_stride
        for r in range(n):
            buffers.x_rows[r] = begin + r * between * size
        layer_call.x_step = n * between
    if direction == 1:
        reverse_rows(call, buffers, first, n, layer_call)


cdef void reverse_rows(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t first, Py_ssize_t n,
                       LayerCall *layer_call) noexcept nogil:
    """Read each sequence from its end."""
    cdef Py_ssize_t step = layer_call.x_step * call.kernels.item_size, r
    for r in range(n):
        buffers.x_rows[r] = <const char *> buffers.x_rows[r] + (steps_of(call, first + r) - 1) * step
    layer_call.x_step = -layer_call.x_step


cdef inline bint has_options(const StackCall *call, const Layer *layer) noexcept nogil:
    """Whether a layer goes through its driver with options."""
    return call.options or not has_plain_layer(layer)


cdef inline bint keeps_short_c(const StackCall *call, const Layer *layer) noexcept nogil:
    """Whether training keeps c in 16 bits (isa/kept.h), beside the c of the step that it is at."""
    return (call.training and call.kernels.reduced and layer.cell.driver == RECURRENT and layer.sizes.n_states > 0
            and not has_options(call, layer))


cdef inline bint keeps_c(const StackCall *call, const Layer *layer) noexcept nogil:
    """Whether c holds all steps; else it is updated in place."""
    return call.training and not keeps_short_c(call, layer)


cdef void describe_layer(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t i, int direction,
                         Py_ssize_t first, Py_ssize_t n, Py_ssize_t n_steps, LayerCall *layer_call,
                         LayerOptions *options, IntegerLayer *integers, LayerRanges *ranges) noexcept nogil:
    """The arguments that forward and backward of one direction of a layer have in common."""
    cdef const Layer *layer = &call.layers[i]
    cdef const Recurrence *recurrence = &layer.directions[direction]
    cdef const DirectionBuffers *buffer = &buffers.layers[i].directions[direction]
    cdef Py_ssize_t size = call.kernels.item_size
    cdef const char *transposed
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
    layer_call.x_format, layer_call.format = layer.x_format, layer.format
    layer_call.weights = call.panels + recurrence.panels * size
    if call.layer_words_size > 0:
        layer_call.weights = buffers.layer_words
    elif layer.format == BF16_PAIRS:
        layer_call.weights = call.words + recurrence.words * size
    if layer.format != REALS:
        layer_call.words, layer_call.words_stride = buffers.words, words_stride(layer)
        layer_call.gradient_words = buffers.gradient_words
    if recurrence.integers >= 0:
        describe_integers(layer, recurrence, call.panels, size, integers)
        layer_call.integers = integers
    if call.ranges != NULL:
        describe_ranges(recurrence, call.ranges + buffers.worker * call.ranges_size, ranges)
        layer_call.ranges = ranges
    layer_call.bias = call.panels + recurrence.panel_bias * size
    if recurrence.vectors >= 0:
        layer_call.vectors = call.panels + recurrence.vectors * size
    if call.training:
        transposed = call.transposed
        if call.layer_words_size > 0:
            transposed = buffers.layer_words
        transposed = transposed + own_offset(call, recurrence) * size
        layer_call.h_transposed = transposed + recurrence.h_transposed * size
        layer_call.gated_transposed = transposed + recurrence.gated_transposed * size
        if i > 0 or call.want_d_x:
            layer_call.x_transposed = transposed + recurrence.x_transposed * size
    layer_call.gates = buffer.gates
    layer_call.c = buffer.c
    layer_call.kept_c = buffer.kept_c
    layer_call.kept = buffer.kept
    layer_call.h = buffer.h
    layer_call.z = buffers.sums
    layer_call.kept_step = n * layer.hidden_stride if call.training else 0
    layer_call.n_panels = layer.n_panels
    layer_call.gaps = buffers.gaps
    if has_options(call, layer):
        describe_options(call, buffers, i, direction, first, options)
        layer_call.options = options


cdef void describe_ranges(const Recurrence *recurrence, double *numbers, LayerRanges *ranges) noexcept nogil:
    """Where what one direction of a layer reads is measured."""
    ranges.largest[0] = numbers + recurrence.range_x if recurrence.range_x >= 0 else NULL
    ranges.largest[1] = numbers + recurrence.range_h if recurrence.range_h >= 0 else NULL
    ranges.largest[2] = numbers + recurrence.range_gated if recurrence.range_gated >= 0 else NULL


cdef inline void describe_sizes(const Layer *layer, LayerCall *layer_call) noexcept nogil:
    layer_call.input_size = layer.input_size
    layer_call.hidden_size, layer_call.hidden_stride = layer.hidden_size, layer.hidden_stride
    layer_call.output_size, layer_call.output_stride = layer.width, layer.width_stride
    layer_call.sizes, layer_call.numbers = layer.sizes, <const Py_ssize_t *> layer.numbers
    layer_call.constants = layer.constants


cdef void describe_options(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t i, int direction,
                           Py_ssize_t first, LayerOptions *options) noexcept nogil:
    """The arguments of the options of a layer."""
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
    # The run of a decoder draws as further layers would.
    options.layer = <unsigned int> (2 * (i + call.n_layers if call.over_horizon else i) + direction)
    if call.sample_ids != NULL:
        options.sample_ids = call.sample_ids + first
    options.workspace = buffers.layers[i].directions[direction].options


cdef void set_initial_state(const StackCall *call, const Layer *layer, int direction, const DirectionBuffers *buffer,
                            Py_ssize_t first, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t size = call.kernels.item_size, wide = layer.sizes.n_states * layer.hidden_stride * size, r
    cdef char *state
    memset(buffer.h, 0, n * layer.width_stride * size)
    if wide > 0:
        memset(buffer.c, 0, n * wide)
    if call.initial_state == NULL:
        return
    for r in range(n):
        state = <char *> call.initial_state + (
            (first + r) * call.state_size + layer.directions[direction].state) * size
        memcpy(buffer.h + r * layer.width_stride * size, state, layer.width * size)
        copy_states(layer, size, state + layer.width * size, buffer.c + r * wide, True)


cdef void store_final_state(const StackCall *call, const Layer *layer, int direction, const DirectionBuffers *buffer,
                            Py_ssize_t first, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t size = call.kernels.item_size, wide = layer.sizes.n_states * layer.hidden_stride * size, r, last_row
    cdef char *state
    for r in range(n):
        last_row = steps_of(call, first + r) * n + r
        state = call.final_state + ((first + r) * call.state_size + layer.directions[direction].state) * size
        memcpy(state, buffer.h + last_row * layer.width_stride * size, layer.width * size)
        copy_states(layer, size, state + layer.width * size,
                    buffer.c + (last_row if keeps_c(call, layer) else r) * wide, False)


cdef void forward_chunk(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t first, Py_ssize_t n,
                        Py_ssize_t n_steps) noexcept nogil:
    cdef LayerCall layer_call
    cdef LayerOptions options
    cdef IntegerLayer integers
    cdef LayerRanges ranges
    cdef const Layer *layer
    cdef Py_ssize_t i
    cdef int d
    fill_inputs(call, buffers, first, n, n_steps)
    if reads_gaps(call):
        fill_gaps(call, buffers, first, n)
    for i in range(call.n_layers):
        layer = &call.layers[i]
        for d in range(layer.n_directions):
            describe_layer(call, buffers, i, d, first, n, n_steps, &layer_call, &options, &integers, &ranges)
            set_initial_state(call, layer, d, &buffers.layers[i].directions[d], first, n)
            if call.layer_words_size > 0:
                layer.kernels.pack_words(&layer_call, call.panels + layer.directions[d].panels * call.kernels.item_size,
                                         buffers.layer_words)
            if i == 0 and shares(call):
                share_products(call, buffers, d, first, n, n_steps, &layer_call)
            multiply_all_steps(call, buffers, i, first, n, &layer_call)
            if layer_call.options != NULL:
                layer.kernels.options_forward(&layer_call)
            elif call.products != NULL:
                forward_row(call, layer, &layer_call)
            else:
                layer.kernels.forward(&layer_call)
            if call.watch.stopped:
                return
            if call.final_state != NULL:
                store_final_state(call, layer, d, &buffers.layers[i].directions[d], first, n)
        if buffers.layers[i].out != NULL:
            output_forward(call, buffers, i, first, n, n_steps)
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
    cdef ChunkBuffers buffers[2]
    cdef unsigned int before
    cdef Py_ssize_t first = chunk * call.chunk_size, n = min(call.chunk_size, call.n_samples - first)
    if call.watch.stopped:
        return
    open_workspace(call, worker, buffers)
    before = call.kernels.enter()
    forward_chunk(call, buffers, first, n, count_active(call, first, n, buffers.n_active))
    call.kernels.leave(before)
