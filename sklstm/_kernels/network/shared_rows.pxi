# What overlapping windows share in the first layer: products forward, gradients backward.

cdef inline Py_ssize_t shared_rows(Py_ssize_t n, Py_ssize_t n_steps) noexcept nogil:
    """The most rows of the table over which a chunk shares the first product: those of windows that follow each other,
    and only where that saves at least half of the products."""
    return min(n + n_steps, n * n_steps // 2)


cdef inline bint shares_rows(const StackCall *call) noexcept nogil:
    """Whether windows could have rows in common at all: a normalised window has numbers of its own."""
    return not (call.training and not call.neighbours or changes_windows(call.input))


cdef inline bint shares(const StackCall *call) noexcept nogil:
    """Whether the first product could be shared."""
    return shares_rows(call) and call.layers[0].directions[0].norm < 0


cdef Py_ssize_t common_rows(const StackCall *call, Py_ssize_t first, Py_ssize_t n, Py_ssize_t n_steps,
                            Py_ssize_t *begin) noexcept nogil:
    """How many rows of the table, from `begin` on, are behind the windows of a chunk; 0: too many to share them."""
    cdef Py_ssize_t end = 0, r
    begin[0] = call.starts[first]
    for r in range(first, first + n):
        begin[0] = min(begin[0], call.starts[r])
        end = max(end, call.starts[r] + call.lengths[r])
    return end - begin[0] if end - begin[0] <= shared_rows(n, n_steps) else 0


cdef void share_products(const StackCall *call, const ChunkBuffers *buffers, int direction, Py_ssize_t first,
                         Py_ssize_t n, Py_ssize_t n_steps, LayerCall *layer_call) noexcept nogil:
    """Overlapping windows of a table need x W_ih once for each row, not for each window: the same bits for less."""
    cdef const Layer *layer = &call.layers[0]
    cdef Py_ssize_t size = call.kernels.item_size, begin = 0, r
    cdef Py_ssize_t n_rows = common_rows(call, first, n, n_steps, &begin)
    if n_rows == 0:
        return
    layer.kernels.input_products(layer_call, n_rows, common_inputs(call, buffers, begin), input_stride(call),
                                 buffers.products)
    layer_call.x_is_product = True
    layer_call.x_step = layer.cell.n_sums * layer.hidden_stride
    for r in range(n):
        buffers.x_rows[r] = buffers.products + (call.starts[first + r] - begin) * layer_call.x_step * size
    if direction == 1:
        turn_round(call, buffers, first, n, layer_call)


cdef void share_gradients(const StackCall *call, const ChunkBuffers *buffers, int direction, Py_ssize_t first,
                          Py_ssize_t n, Py_ssize_t n_steps, LayerCall *layer_call) noexcept nogil:
    """Backward of share_products: each row of the table is multiplied once, by the sum of its windows' gradients."""
    cdef Py_ssize_t begin = 0, r
    layer_call.n_shared = common_rows(call, first, n, n_steps, &begin)
    for r in range(n):
        buffers.shared_first[r] = <int> (call.starts[first + r] - begin
                                         + (call.lengths[first + r] - 1 if direction == 1 else 0))
    layer_call.shared_rows = common_inputs(call, buffers, begin)
    layer_call.shared_first, layer_call.shared_sums = buffers.shared_first, buffers.products
