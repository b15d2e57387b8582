# Overlapping windows share rows of the table in the first layer: products in forward, gradients in backward.

cdef inline Py_ssize_t shared_rows(Py_ssize_t n, Py_ssize_t n_steps) noexcept nogil:
    """The most rows of the table for which a chunk shares the first product: those of consecutive windows, and only
    where that saves at least half of the products."""
    return min(n + n_steps, n * n_steps // 2)


cdef inline bint shares_rows(const StackCall *call) noexcept nogil:
    """Whether windows can share rows at all: a normalised window has numbers of its own."""
    return not (call.training and not call.neighbours or changes_windows(call.input) or call.over_horizon)


cdef inline bint shares(const StackCall *call) noexcept nogil:
    """Whether windows can share the first product."""
    return shares_rows(call) and call.layers[0].directions[0].norm < 0


cdef Py_ssize_t covered_rows(const StackCall *call, Py_ssize_t first, Py_ssize_t n, Py_ssize_t n_steps,
                             Py_ssize_t *begin) noexcept nogil:
    """How many rows of the table, from `begin` on, the windows of a chunk cover; 0: too many to share them."""
    cdef Py_ssize_t end = 0, r
    begin[0] = call.starts[first]
    for r in range(first, first + n):
        begin[0] = min(begin[0], call.starts[r])
        end = max(end, call.starts[r] + call.lengths[r])
    return end - begin[0] if end - begin[0] <= shared_rows(n, n_steps) else 0


cdef void share_products(const StackCall *call, const ChunkBuffers *buffers, int direction, Py_ssize_t first,
                         Py_ssize_t n, Py_ssize_t n_steps, LayerCall *layer_call) noexcept nogil:
    """Compute x W_ih once for each row of the table, not once for each window: the same bits for less."""
    cdef const Layer *layer = &call.layers[0]
    cdef Py_ssize_t size = call.kernels.item_size, begin = 0, r
    cdef Py_ssize_t n_rows = covered_rows(call, first, n, n_steps, &begin)
    if n_rows == 0:
        return
    layer.kernels.input_products(layer_call, n_rows, covered_inputs(call, buffers, begin), input_stride(call),
                                 buffers.products, layer.cell.n_sums * layer.hidden_stride)
    layer_call.x_is_product = True
    layer_call.x_step = layer.cell.n_sums * layer.hidden_stride
    for r in range(n):
        buffers.x_rows[r] = buffers.products + (call.starts[first + r] - begin) * layer_call.x_step * size
    if direction == 1:
        reverse_rows(call, buffers, first, n, layer_call)


cdef void share_gradients(const StackCall *call, const ChunkBuffers *buffers, int direction, Py_ssize_t first,
                          Py_ssize_t n, Py_ssize_t n_steps, LayerCall *layer_call) noexcept nogil:
    """Backward of share_products: d_sums are added up over windows and multiplied by each row of the table once."""
    cdef Py_ssize_t begin = 0, r
    layer_call.n_shared = covered_rows(call, first, n, n_steps, &begin)
    for r in range(n):
        buffers.shared_first[r] = <int> (call.starts[first + r] - begin
                                         + (call.lengths[first + r] - 1 if direction == 1 else 0))
    layer_call.shared_rows = covered_inputs(call, buffers, begin)
    layer_call.shared_first, layer_call.shared_sums = buffers.shared_first, buffers.products
