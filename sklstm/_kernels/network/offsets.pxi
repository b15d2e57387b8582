# From an architecture and its memory plan to the structs of a Stack: sizes and offsets.

cdef const CellLayers *find_cell(const KernelTable *kernels, str name) except NULL:
    cdef CellShape shape
    cdef Py_ssize_t i
    for i in range(kernels.n_cells):
        kernels.cells[i].describe(&shape)
        if shape.name.decode() == name:
            return &kernels.cells[i]
    raise ValueError(f"there is no cell {name!r}")


def cell_numbers():
    """Return the fields of `CellShape` as a dict, for each cell of the kernels by its name."""
    cdef const KernelTable *kernels = open_table(FLOAT32, None)
    cdef CellShape shape
    cdef Py_ssize_t i
    cdef dict numbers, found = {}
    for i in range(kernels.n_cells):
        kernels.cells[i].describe(&shape)
        numbers = shape
        numbers["sums"] = tuple(shape.sums.decode().split())
        found[numbers.pop("name").decode()] = numbers
    return found


cdef int fill_numbers(values, Py_ssize_t *numbers) except -1:
    """Write the cell's own sizes, and zeros behind them."""
    cdef Py_ssize_t k
    if len(values) > MAX_NUMBERS:
        raise ValueError(f"a cell has at most {MAX_NUMBERS} numbers, got {values}")
    for k in range(MAX_NUMBERS):
        numbers[k] = values[k] if k < len(values) else 0
    return 0


def cell_sizes(str name, values):
    """Return the fields of `CellSizes` of a cell with these numbers as a dict."""
    cdef Py_ssize_t numbers[MAX_NUMBERS]
    cdef CellSizes sizes
    fill_numbers(values, numbers)
    find_cell(open_table(FLOAT32, None), name).measure(numbers, &sizes)
    return sizes


def lanes_of(dtype, isa=None, reduced=False):
    """Return the number of lanes of a vector; `reduced`: in the kernels of reduced number formats."""
    return open_table(code_of(dtype), isa, reduced or dtype == "bfloat16").lanes


cdef int init_words(Stack stack, plan) except -1:
    """Lay out the weights as words, layer by layer, where products do not read the panels themselves.

    A large network trains with those of one layer at a time, made anew for each chunk: 36 MB less in a step of 5x512.
    Its time does not change, with two chunks or eight: they are read right after, from the cache.
    """
    cdef LayerCall call
    cdef Recurrence *recurrence
    cdef Py_ssize_t i, d, size
    stack.words_are_old = True
    stack.layer_words_size = plan.layer_words_size
    for i in range(stack.n_layers):
        memset(&call, 0, sizeof(LayerCall))
        describe_sizes(&stack.layers[i], &call)
        call.x_format = call.format = stack.format
        for d in range(stack.layers[i].n_directions):
            recurrence = &stack.layers[i].directions[d]
            recurrence.words = stack.words_size
            if stack.format == REALS:
                continue
            size = round_up(stack.layers[i].kernels.words_size(&call), 16)
            stack.words_size += size
            if plan.by_layer:
                stack.layer_words_size = max(stack.layer_words_size, size)
    return 0


cdef void init_layer_transposed(Stack stack) noexcept:
    """Find the longest transposed copies of one direction of a layer; -1 where there are none."""
    cdef const Recurrence *recurrence
    cdef Py_ssize_t i, d, begin, end, longest = 0
    stack.layer_transposed = -1
    for i in range(stack.n_layers):
        for d in range(stack.layers[i].n_directions):
            recurrence = &stack.layers[i].directions[d]
            if recurrence.n_copies == 0 or stack.copies[recurrence.first_copy].by_layer:
                continue
            begin, end = stack.copies[recurrence.first_copy].transposed, recurrence.first_copy + recurrence.n_copies
            end = stack.copies[end].transposed if end < stack.n_copies else stack.transposed_size
            if end - begin > longest:
                stack.layer_transposed, longest = begin, end - begin


cdef int reserve_words(Stack stack) except -1:
    """Make room for the weights as words."""
    cdef Py_ssize_t begin
    if stack.format != REALS and stack.words is None:
        block = np.empty(stack.words_size + 16, stack.dtype)
        begin = -block.ctypes.data % 64 // stack.kernels.item_size
        stack.words, stack.words_are_old = block[begin:begin + stack.words_size], True
    return 0


cdef int init_layer(Stack stack, Py_ssize_t i, plan) except -1:
    cdef Layer *layer = &stack.layers[i]
    cdef Recurrence *recurrence
    cdef Py_ssize_t state = 0, lanes = stack.kernels.lanes, d
    shape = plan.architecture
    fill_numbers(shape.cell_numbers, layer.numbers)
    layer.constants = data_of(stack.constants, stack.code, 0 if stack.constants is None else stack.constants.size)
    if i > 0:
        recurrence = &stack.layers[i - 1].directions[stack.layers[i - 1].n_directions - 1]
        state = recurrence.state + stack.layers[i - 1].width + second_size(&stack.layers[i - 1])
    layer.input_size, layer.hidden_size, layer.width = shape.step_size(i), shape.hidden_sizes[i], shape.width(i)
    layer.hidden_stride, layer.width_stride = round_up(layer.hidden_size, lanes), round_up(layer.width, lanes)
    layer.output_size, layer.n_directions = shape.output_size(i), len(shape.directions)
    layer.output_stride = round_up(layer.output_size, lanes)
    layer.kernels = find_cell(stack.kernels, shape.cell)
    layer.kernels.describe(&layer.cell)
    layer.n_panels = (layer.hidden_stride // lanes + layer.cell.units - 1) // layer.cell.units
    layer.kernels.measure(layer.numbers, &layer.sizes)
    if layer.cell.reads_h and not layer.cell.has_c and shape.projection_size > 0:
        layer.sizes.n_states = 1
    for d in range(layer.n_directions):
        recurrence = &layer.directions[d]
        recurrence[0] = plan.recurrence(i, shape.directions[d])
        recurrence.state = state
        state += layer.width + second_size(layer)
    layer.residual_from, layer.residual = shape.residual_from(i), -1
    if layer.residual_from >= 0 and stack.layers[layer.residual_from].output_size != layer.output_size:
        d = stack.layers[layer.residual_from].output_size
        layer.residual = plan.dense(f"weight_residual_l{i}", d, layer.output_size)
        layer.residual_transposed = plan.dense_copy(layer.residual, d, layer.output_size)
        layer.residual_stride = round_up(layer.output_size, 4 * lanes)
    layer.norm_first = shape.norm_first
    init_norm(&layer.norm, layer, plan, shape.norm, f"_l{i}")
    init_feedforward(layer, plan, i)
    init_gate(layer, plan, i)
    return 0


cdef int init_gate(Layer *layer, plan, i) except -1:
    shape = plan.architecture
    layer.gate.kind = {None: NO_GATE, "silu": SILU_GATE, "softmax": SOFTMAX_GATE}[shape.output_gate]
    if layer.gate.kind != NO_GATE:
        layer.gate.group = layer.output_size // shape.compete_groups
        layer.gate.stride = round_up(layer.output_size, 4 * plan.lanes)
        layer.gate.weights = plan.dense(f"weight_gate_l{i}", layer.input_size, layer.output_size)
        layer.gate.transposed = plan.dense_copy(layer.gate.weights, layer.input_size, layer.output_size)
    return 0


cdef int init_norm(RowNorm *norm, const Layer *layer, plan, kind, end) except -1:
    """A normalisation of rows of the layer's output."""
    norm.kind = {None: NO_OUTPUT_NORM, "layer": LAYER_NORM, "rms": RMS_NORM}[kind]
    names = [f"norm_weight{end}"] + [f"norm_bias{end}"] * (norm.kind == LAYER_NORM)
    if norm.kind != NO_OUTPUT_NORM:
        norm.panels = plan.vectors(names, layer.output_size, layer.output_stride)
    return 0


cdef int init_feedforward(Layer *layer, plan, i) except -1:
    cdef FeedForward *block = &layer.feedforward
    cdef Py_ssize_t tile = 4 * plan.lanes
    block.size = plan.architecture.feedforward_size(i)
    if block.size == 0:
        return 0
    block.stride, block.sums_stride = round_up(block.size, tile), round_up(2 * block.size, tile)
    block.wide_stride = round_up(layer.output_size, tile)
    init_norm(&block.norm, layer, plan, plan.architecture.feedforward_norm, f"_feedforward_l{i}")
    block.weights_in = plan.dense(f"weight_feedforward_in_l{i}", layer.output_size, 2 * block.size)
    block.weights_out = plan.dense(f"weight_feedforward_out_l{i}", block.size, layer.output_size)
    block.in_transposed = plan.dense_copy(block.weights_in, layer.output_size, 2 * block.size)
    block.out_transposed = plan.dense_copy(block.weights_out, block.size, layer.output_size)
    return 0


cdef int init_attention(Stack stack, plan) except -1:
    cdef Attention *attention = &stack.attention
    cdef Py_ssize_t lanes = stack.kernels.lanes, size
    shape = plan.architecture
    size = shape.features_size
    # A network that reads forwards only stays causal throughout.
    attention.n_heads, attention.causal = shape.attention_heads, not shape.bidirectional
    if attention.n_heads > 0:
        attention.norm = plan.vectors(["norm_weight_attention", "norm_bias_attention"], size, round_up(size, lanes))
        attention.weights_in = plan.dense("weight_attention_in", size, 3 * size)
        attention.bias_in = plan.vectors(["bias_attention_in"], 3 * size, round_up(3 * size, 4 * lanes))
        attention.weights_out = plan.dense("weight_attention_out", size, size)
        attention.bias_out = plan.vectors(["bias_attention_out"], size, round_up(size, 4 * lanes))
        attention.weights_in_transposed = plan.dense_copy(attention.weights_in, size, 3 * size)
        attention.weights_out_transposed = plan.dense_copy(attention.weights_out, size, size)
    attention.pooling = {"last": LAST_POOLING, "mean": MEAN_POOLING, "attention": ATTENTION_POOLING}[shape.pooling]
    if attention.pooling == ATTENTION_POOLING:
        attention.pool_weights = plan.vectors(["weight_pool"], size, round_up(size, lanes), decays=True)
    attention.state = sum(n for name, n in shape.states if name != "pool")
    return 0


cdef int init_head(Stack stack, plan) except -1:
    cdef Py_ssize_t d = plan.architecture.features_size, n = plan.architecture.n_outputs
    stack.head.n_outputs, stack.head.stride = n, round_up(n, 4 * stack.kernels.lanes)
    n = stack.head.turn_outputs = plan.architecture.head_outputs
    stack.head.turn_stride = round_up(n, 4 * stack.kernels.lanes)
    stack.head.panels = plan.dense("weight_out", d, n)
    stack.head.panel_bias = plan.vectors(["bias_out"], n, stack.head.turn_stride)
    stack.head.transposed = plan.dense_copy(stack.head.panels, d, n)
    return 0


cdef int init_decoder(Stack stack, plan) except -1:
    shape = plan.architecture
    stack.decoder.n_turns, stack.decoder.horizon = shape.n_turns, shape.horizon
    stack.decoder.parallel = shape.decoder == "parallel"
    if stack.decoder.n_turns > 0:
        stack.decoder.bias = plan.turn_biases()
    return 0


cdef enum:
    # Rows that are standardised in one loop where they are narrow (whole vectors), and the widest narrow row.
    BLOCK_ROWS = 16
    NARROW_ROW = 64


cdef int init_input_stage(Stack stack, plan, input_mean, input_scale) except -1:
    cdef InputStage *stage = &stack.input
    cdef Py_ssize_t d, size, j
    cdef double *numbers
    cdef int exponent
    shape = plan.architecture
    d = stage.n_columns = shape.input_size
    stage.patch_length, stage.skip_rows = shape.patch_length, shape.linear_skip
    stage.norm = {None: NO_NORM, "last": LAST_NORM, "standard": STANDARD_NORM}[shape.window_norm]
    stage.n_repeats = BLOCK_ROWS if d <= NARROW_ROW else 1
    size = stage.n_repeats * d
    # Whole cache lines: a row of these is read for every row of a table.
    stage.block = calloc(2 * round_up(size, 8) + 3 * d + 8, sizeof(double))
    if stage.block == NULL:
        raise MemoryError()
    numbers = <double *> stage.block + (64 - <size_t> stage.block % 64) % 64 // sizeof(double)
    stage.mean, stage.inverse = numbers, numbers + round_up(size, 8)
    stage.scale = stage.inverse + round_up(size, 8)
    stage.unit = stage.scale + d
    fill(stage.mean, d, 0.0 if input_mean is None else input_mean)
    fill(stage.scale, d, 1.0 if input_scale is None else input_scale)
    for j in range(d):
        if not (isfinite(stage.mean[j]) and isfinite(stage.scale[j]) and stage.scale[j] > 0):
            raise ValueError(f"column {j} has mean {stage.mean[j]} and scale {stage.scale[j]}")
        # 1 / scale is finite also for the smallest scale; the unit and its inverse are no subnormals.
        stage.inverse[j] = min(1 / stage.scale[j], DBL_MAX)
        frexp(stage.scale[j], &exponent)
        stage.unit[j] = ldexp(1, max(-1000, min(1000, exponent)))
        stage.unit[d + j] = 1 / stage.unit[j]
        if stage.norm == NO_NORM and (stage.mean[j] != 0 or stage.scale[j] != 1):
            stage.scaled = True
    for j in range(d, size):
        stage.mean[j], stage.inverse[j] = stage.mean[j - d], stage.inverse[j - d]
    stage.time_column = -1 if shape.time_column is None else shape.time_column
    stage.n_known = len(shape.known_columns)
    if stage.n_known > 0:
        stage.known = <Py_ssize_t *> calloc(stage.n_known, sizeof(Py_ssize_t))
        if stage.known == NULL:
            raise MemoryError()
        for j in range(stage.n_known):
            stage.known[j] = shape.known_columns[j]
    stage.skip_bias = -1
    if shape.linear_skip:
        stage.skip = plan.dense("weight_skip", shape.linear_skip * d, shape.n_outputs)
        stack.skip_range = stage.skip, plan.size
        if shape.n_turns > 0:
            stage.skip_bias = plan.vectors(["bias_skip"], shape.n_outputs, stack.head.stride)
    return 0
