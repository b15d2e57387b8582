# The decoder: a second run of the layers, over the rows ahead, from the states after each sequence.
#
# A turn stands for `patch_length` rows ahead. With chained turns ("recurrent") the run has n_turns steps of n
# sequences; side by side ("parallel") it has one step of n_turns * n sequences, each of which starts from the states of
# its sample. In both, row (turn * n + sample) is the one of a turn and a sample. It is described by a StackCall of its
# own, so that the functions for the layers serve both runs.

cdef enum:
    # Number of the first turn as a step, from which masks of dropout are drawn: beyond the steps of any sequence.
    FIRST_TURN = 1 << 20


cdef void describe_turns(const StackCall *call, Py_ssize_t n, StackCall *turns) noexcept nogil:
    """The call of the second run, for n sequences."""
    memcpy(turns, call, sizeof(StackCall))
    turns.over_horizon, turns.every_step = True, True
    turns.fills_inputs = turns.want_d_x = turns.neighbours = False
    turns.initial_state = turns.final_state = turns.d_initial_state = turns.d_x = NULL
    turns.n_samples = turns.chunk_size = n * call.decoder.n_turns if call.decoder.parallel else n
    turns.max_steps = 1 if call.decoder.parallel else call.decoder.n_turns


cdef inline Py_ssize_t turn_width(const StackCall *call) noexcept nogil:
    """Numbers in a row of sums of the first layer."""
    return call.layers[0].cell.n_sums * call.layers[0].hidden_stride


cdef char *lay_out_turns(const StackCall *call, char *base, ChunkBuffers *buffers) noexcept nogil:
    """Cut the arrays of the second run alone."""
    cdef Py_ssize_t size = call.kernels.item_size, rows = call.max_steps * call.chunk_size
    buffers.turn_bias = take_bytes(&base, call.decoder.n_turns * turn_width(call) * size)
    buffers.turn_products = take_bytes(&base, rows * turn_width(call) * size)
    buffers.turn_inputs = take_bytes(&base, (rows if call.input.n_known > 0 else 1) * call.layers[0].input_size * size)
    buffers.turn_ids = <unsigned int *> take_bytes(&base, rows * sizeof(unsigned int))
    return base


cdef void begin_turns(const StackCall *call, const ChunkBuffers *turn_buffers, Py_ssize_t first, Py_ssize_t n,
                      StackCall *turns) noexcept nogil:
    """Describe the second run of a chunk; samples are counted from its first one on."""
    cdef Py_ssize_t t, k, r
    describe_turns(call, n, turns)
    for t in range(turns.max_steps):
        turn_buffers.n_active[t] = <int> turns.n_samples
    if call.sample_ids != NULL:
        for k in range(turns.n_samples // n):
            for r in range(n):
                turn_buffers.turn_ids[k * n + r] = call.sample_ids[first + r]
        turns.sample_ids = turn_buffers.turn_ids


cdef Py_ssize_t set_turn_rows(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t n) noexcept nogil:
    """Point x_rows at the input of the first turn of each row of the second run; return the stride of its steps."""
    cdef Py_ssize_t stride = call.layers[0].input_size if call.input.n_known > 0 else 0, r
    for r in range(n):
        buffers.x_rows[r] = buffers.turn_inputs + r * stride * call.kernels.item_size
    return n * stride


cdef void fill_turn_inputs(const StackCall *call, const ChunkBuffers *turn_buffers, Py_ssize_t first,
                           Py_ssize_t n) noexcept nogil:
    """Write the known columns of the rows ahead as the encoder reads them, patch by patch; zeros stand for all else."""
    cdef const InputStage *stage = call.input
    cdef Py_ssize_t size = call.kernels.item_size, width = call.layers[0].input_size, step
    cdef Py_ssize_t k, r, j, column, place, source
    cdef double value
    memset(turn_buffers.turn_inputs, 0, (call.decoder.n_turns * n if stage.n_known > 0 else 1) * width * size)
    if stage.n_known == 0:
        return
    for r in range(n):
        for step in range(call.decoder.horizon):
            k = step // stage.patch_length
            source = (call.ahead_starts[first + r] + step) * stage.n_known
            for j in range(stage.n_known):
                column = stage.known[j]
                place = (k * n + r) * width + (step - k * stage.patch_length) * stage.n_columns + column
                if call.ahead_is_double:
                    value = (<const double *> call.ahead)[source + j]
                else:
                    value = (<const float *> call.ahead)[source + j]
                value -= stage.mean[column]
                value = value * stage.inverse[column] if stage.norm == NO_NORM else value / stage.scale[column]
                if size == sizeof(float):
                    (<float *> turn_buffers.turn_inputs)[place] = <float> value
                else:
                    (<double *> turn_buffers.turn_inputs)[place] = value


cdef void turn_products(const StackCall *call, const ChunkBuffers *turn_buffers, Py_ssize_t n, Py_ssize_t n_rows,
                        LayerCall *layer_call) noexcept nogil:
    """The sums of the first layer but for what h adds: bias, vector of the turn, known columns; n_rows rows a step."""
    cdef const Layer *layer = &call.layers[0]
    cdef Py_ssize_t size = call.kernels.item_size, width = turn_width(call), row = width * size, k, r
    cdef const char *bias = <const char *> layer_call.bias
    cdef char *own
    cdef char *products
    for k in range(call.decoder.n_turns):
        own, products = turn_buffers.turn_bias + k * row, turn_buffers.turn_products + k * n * row
        memcpy(own, bias, row)
        call.kernels.sum_rows(width, own, call.panels + (call.decoder.bias + k * width) * size)
        if call.input.n_known > 0:
            layer_call.bias = own
            layer.kernels.input_products(layer_call, n, turn_buffers.turn_inputs + k * n * layer.input_size * size,
                                         layer.input_size, products, width)
        else:
            for r in range(n):
                memcpy(products + r * row, own, row)
    layer_call.bias, layer_call.x_is_product, layer_call.x_step = bias, True, n_rows * width
    for r in range(n_rows):
        turn_buffers.x_rows[r] = turn_buffers.turn_products + r * row


cdef void start_turns(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t i, Py_ssize_t first, Py_ssize_t n,
                      Py_ssize_t n_rows) noexcept nogil:
    """The final states of layer i are the initial ones of its second run."""
    cdef const Layer *layer = &call.layers[i]
    cdef const DirectionBuffers *source = &buffers.layers[i].directions[0]
    cdef const DirectionBuffers *start = &buffers.turns.layers[i].directions[0]
    cdef Py_ssize_t row_h = layer.width_stride * call.kernels.item_size
    cdef Py_ssize_t row_c = layer.sizes.n_states * layer.hidden_stride * call.kernels.item_size, r, last
    for r in range(n_rows):
        last = steps_of(call, first + r % n) * n + r % n
        memcpy(start.h + r * row_h, source.h + last * row_h, row_h)
        if row_c > 0:
            memcpy(start.c + r * row_c, source.c + (last if keeps_c(call, layer) else r % n) * row_c, row_c)


cdef void turns_forward(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t first,
                        Py_ssize_t n) noexcept nogil:
    """z (n, head.stride): the outputs of all turns, side by side."""
    cdef StackCall turns
    cdef LayerCall layer_call
    cdef LayerOptions options
    cdef IntegerLayer integers
    cdef LayerRanges ranges
    cdef const ChunkBuffers *own = buffers.turns
    cdef const Layer *layer
    cdef Py_ssize_t size = call.kernels.item_size, n_rows, i, k, r, outputs = call.head.turn_outputs
    begin_turns(call, own, first, n, &turns)
    n_rows = turns.n_samples
    fill_turn_inputs(call, own, first, n)
    for i in range(call.n_layers):
        layer = &call.layers[i]
        describe_layer(&turns, own, i, 0, 0, n_rows, turns.max_steps, &layer_call, &options, &integers, &ranges)
        start_turns(call, buffers, i, first, n, n_rows)
        if i == 0:
            turn_products(call, own, n, n_rows, &layer_call)
        if layer_call.options != NULL:
            layer.kernels.options_forward(&layer_call)
        else:
            layer.kernels.forward(&layer_call)
        if call.watch.stopped:
            return
        if own.layers[i].out != NULL:
            output_forward(&turns, own, i, 0, n_rows, turns.max_steps)
    head_forward(call.kernels, call.head, &call.layers[call.n_layers - 1], call.panels, call.decoder.n_turns * n,
                 top_output(&turns, own, n_rows), own.z)
    for k in range(call.decoder.n_turns):
        for r in range(n):
            memcpy(buffers.z + (r * call.head.stride + k * outputs) * size,
                   own.z + (k * n + r) * call.head.turn_stride * size,
                   min(outputs, call.head.n_outputs - k * outputs) * size)


cdef void turns_backward(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t first, Py_ssize_t n,
                         char *slot) noexcept nogil:
    """From d_z to the gradients of the final states of each layer (d_h_last, d_c_last)."""
    cdef StackCall turns
    cdef const ChunkBuffers *own = buffers.turns
    cdef Py_ssize_t size = call.kernels.item_size, outputs = call.head.turn_outputs, k, r
    begin_turns(call, own, first, n, &turns)
    # The last turn may reach beyond the horizon: nothing is asked of its last outputs.
    memset(own.d_z, 0, call.decoder.n_turns * n * call.head.turn_stride * size)
    for k in range(call.decoder.n_turns):
        for r in range(n):
            memcpy(own.d_z + (k * n + r) * call.head.turn_stride * size,
                   buffers.d_z + (r * call.head.stride + k * outputs) * size,
                   min(outputs, call.head.n_outputs - k * outputs) * size)
    head_backward(&turns, own, top_output(&turns, own, turns.n_samples), call.decoder.n_turns * n, own.d_z, own.d_top,
                  slot)
    layers_backward(&turns, own, 0, turns.n_samples, turns.max_steps, own.d_top, slot)


cdef void collect_from_turns(const StackCall *turns, const ChunkBuffers *own, Py_ssize_t i, Py_ssize_t n_rows,
                             LayerCall *layer_call, char *slot) noexcept nogil:
    """After backward of layer i: the gradients of its initial states, over all turns that start there, and of the
    vectors of the turns."""
    cdef const Layer *layer = &turns.layers[i]
    cdef const DirectionBuffers *source = &own.encoder.layers[i].directions[0]
    cdef Py_ssize_t size = turns.kernels.item_size, n_turns = turns.decoder.n_turns, k, r
    cdef Py_ssize_t n = n_rows // n_turns if turns.decoder.parallel else n_rows
    cdef Py_ssize_t width_h = n * layer.width_stride, width_c = n * layer.sizes.n_states * layer.hidden_stride
    cdef Py_ssize_t width = turn_width(turns)
    memcpy(source.d_h_last, own.d_h, width_h * size)
    if width_c > 0:
        memcpy(source.d_c_last, own.d_c, width_c * size)
    for k in range(1, n_rows // n):
        turns.kernels.sum_rows(width_h, source.d_h_last, own.d_h + k * width_h * size)
        if width_c > 0:
            turns.kernels.sum_rows(width_c, source.d_c_last, own.d_c + k * width_c * size)
    if i == 0:
        for k in range(n_turns):
            layer.kernels.add_d_sums(layer_call, k * n, n, slot + (turns.decoder.bias + k * width) * size)
