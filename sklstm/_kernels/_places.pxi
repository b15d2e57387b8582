# From an architecture to the structs that the chunks read: sizes, and where a plan has put each matrix.

cdef int place_layer(Stack stack, Py_ssize_t i, plan) except -1:
    cdef Layer *layer = &stack.layers[i]
    cdef Recurrence *recurrence
    cdef Py_ssize_t state = 0, lanes = stack.kernels.lanes, d
    shape = stack.architecture
    if i > 0:
        recurrence = &stack.layers[i - 1].directions[stack.layers[i - 1].n_directions - 1]
        state = recurrence.state + stack.layers[i - 1].width + stack.layers[i - 1].hidden_size
    layer.input_size, layer.hidden_size, layer.width = shape.step_size(i), shape.hidden_sizes[i], shape.width(i)
    layer.hidden_stride, layer.width_stride = round_up(layer.hidden_size, lanes), round_up(layer.width, lanes)
    layer.output_size, layer.n_directions = shape.output_size(i), len(shape.directions)
    layer.output_stride = round_up(layer.output_size, lanes)
    for d in range(layer.n_directions):
        recurrence = &layer.directions[d]
        places = plan.recurrence(i, shape.directions[d])
        recurrence.panels, recurrence.panel_bias = places["panels"], places["panel_bias"]
        recurrence.peepholes, recurrence.gate_norm = places["peepholes"], places["gate_norm"]
        recurrence.projection, recurrence.projection_back = places["projection"], places["projection_back"]
        recurrence.hh_back, recurrence.ih_back = places["hh_back"], places["ih_back"]
        recurrence.state = state
        state += layer.width + layer.hidden_size
    layer.residual_from, layer.residual = shape.residual_from(i), -1
    if layer.residual_from >= 0 and stack.layers[layer.residual_from].output_size != layer.output_size:
        d = stack.layers[layer.residual_from].output_size
        layer.residual = plan.dense(f"weight_residual_l{i}", d, layer.output_size)
        layer.residual_back = plan.dense_copy(layer.residual, d, layer.output_size)
        layer.residual_stride = round_up(layer.output_size, 4 * lanes)
    layer.norm = shape.layer_norm == "output"
    if layer.norm:
        layer.panel_norm = plan.vectors([f"norm_weight_l{i}", f"norm_bias_l{i}"], layer.output_size,
                                        layer.output_stride)
    return 0


cdef int place_attention(Stack stack, plan) except -1:
    cdef Attention *attention = &stack.attention
    cdef Py_ssize_t lanes = stack.kernels.lanes, size
    shape = stack.architecture
    size = shape.features_size
    # A network that reads forwards only stays causal throughout.
    attention.n_heads, attention.causal = shape.attention_heads, not shape.bidirectional
    if attention.n_heads > 0:
        attention.norm = plan.vectors(["norm_weight_attention", "norm_bias_attention"], size, round_up(size, lanes))
        attention.weights_in = plan.dense("weight_attention_in", size, 3 * size)
        attention.bias_in = plan.vectors(["bias_attention_in"], 3 * size, round_up(3 * size, 4 * lanes))
        attention.weights_out = plan.dense("weight_attention_out", size, size)
        attention.bias_out = plan.vectors(["bias_attention_out"], size, round_up(size, 4 * lanes))
        attention.weights_in_back = plan.dense_copy(attention.weights_in, size, 3 * size)
        attention.weights_out_back = plan.dense_copy(attention.weights_out, size, size)
    attention.pooling = {"last": LAST_POOLING, "mean": MEAN_POOLING, "attention": ATTENTION_POOLING}[shape.pooling]
    if attention.pooling == ATTENTION_POOLING:
        attention.pool_weights = plan.vectors(["weight_pool"], size, round_up(size, lanes), decays=True)
    attention.state = sum(n for name, n in shape.states if name != "pool")
    return 0


cdef int place_head(Stack stack, plan) except -1:
    cdef Py_ssize_t d = stack.architecture.features_size, n = stack.architecture.n_outputs
    stack.head.n_outputs, stack.head.stride = n, round_up(n, 4 * stack.kernels.lanes)
    stack.head.panels = plan.dense("weight_out", d, n)
    stack.head.panel_bias = plan.vectors(["bias_out"], n, stack.head.stride)
    stack.head.back = plan.dense_copy(stack.head.panels, d, n)
    return 0


cdef int place_front(Stack stack, plan) except -1:
    shape = stack.architecture
    stack.front.n_columns, stack.front.patch_length = shape.input_size, shape.patch_length
    stack.front.norm = {None: NO_NORM, "last": LAST_NORM, "standard": STANDARD_NORM}[shape.window_norm]
    stack.front.skip_rows = shape.linear_skip
    stack.front.scale = <double *> calloc(shape.input_size, sizeof(double))
    if stack.front.scale == NULL:
        raise MemoryError()
    fill(stack.front.scale, shape.input_size, list(shape.window_scale) or 1.0)
    if shape.linear_skip:
        stack.front.skip = plan.dense("weight_skip", shape.linear_skip * shape.input_size, shape.n_outputs)
    return 0
