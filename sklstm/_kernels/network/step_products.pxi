# Few sequences: the products of a layer with its input are computed for all steps at once. Step by step, a row or two
# at a time would read all of W_ih, which is more than a cache holds of a large layer.

cdef enum:
    # Rows between two looks for signals.
    PRODUCT_ROWS = 512


cdef inline bint in_place_of_gates(const StackCall *call) noexcept nogil:
    """Whether there are gates of the full width, which are written where the product has been read."""
    return call.training and not call.kernels.reduced


cdef inline bint multiplies_all_steps(const StackCall *call, Py_ssize_t i, Py_ssize_t n) noexcept nogil:
    cdef const Layer *layer = &call.layers[i]
    return (n < MANY_SEQUENCES and call.max_steps > 1 and layer.cell.driver == RECURRENT
            and not has_options(call, layer) and not call.over_horizon)


cdef Py_ssize_t step_products_size(const StackCall *call) noexcept nogil:
    """Numbers of `step_products`; 0: not used."""
    cdef Py_ssize_t i, widest = 0, rows = call.chunk_size * call.max_steps
    if in_place_of_gates(call) or rows > STEP_PRODUCTS:
        return 0
    for i in range(call.n_layers):
        if multiplies_all_steps(call, i, call.chunk_size):
            widest = max(widest, call.layers[i].cell.n_sums * call.layers[i].hidden_stride)
    return rows * widest


cdef void multiply_all_steps(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t i, Py_ssize_t first,
                             Py_ssize_t n, LayerCall *layer_call) noexcept nogil:
    """Let x_rows be bias + x W_ih: the same bits in fewer passes over the weights."""
    cdef const Layer *layer = &call.layers[i]
    cdef Py_ssize_t size = call.kernels.item_size, width = layer.cell.n_sums * layer.hidden_stride
    cdef Py_ssize_t between = call.max_steps * width, step = width, r, t, n_rows
    cdef char *products = buffers.step_products
    if layer_call.x_is_product or not multiplies_all_steps(call, i, n):
        return
    if in_place_of_gates(call):
        products, between, step = <char *> layer_call.gates, width, n * width
    elif step_products_size(call) == 0:
        return
    for r in range(n):
        n_rows, t = steps_of(call, first + r), 0
        while t < n_rows:
            if must_stop(buffers.watch, buffers.worker):
                return
            layer.kernels.input_products(
                layer_call, min(n_rows - t, <Py_ssize_t> PRODUCT_ROWS),
                <const char *> buffers.x_rows[r] + t * layer_call.x_step * size, layer_call.x_step,
                products + (r * between + t * step) * size, step)
            t += PRODUCT_ROWS
    for r in range(n):
        buffers.x_rows[r] = products + r * between * size
    layer_call.x_is_product, layer_call.x_step = True, step
