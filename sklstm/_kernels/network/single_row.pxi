# A single row of plain layers: its products are with vectors, and take as long as reading the weights. Threads
# share the panels of a layer, which one task would go through alone.

cdef enum:
    # Bytes of the weights of a layer from which on sharing them is worth waking threads.
    SHARED_LAYER_BYTES = 1 << 20
    # There is scratch for so many shares.
    MOST_SHARES = 32


cdef struct RowShares:
    const StackCall *call
    const Layer *layer
    const Recurrence *recurrence
    const LayerCall *layer_call
    int n_shares
    char *rooms                  # (n_shares, numbers of a panel of transposed weights)


cdef inline Py_ssize_t products_size(const Layer *layer) noexcept nogil:
    """Numbers of the weights of one direction, whose gradient from a single row is outer products."""
    return layer.hidden_stride * (layer.input_size * layer.cell.x_count + layer.width * layer.cell.h_count)


cdef int shares_of_row(const StackCall *call, const Layer *layer, Py_ssize_t n_panels) noexcept nogil:
    """How many threads share a layer."""
    if products_size(layer) * call.kernels.item_size < SHARED_LAYER_BYTES:
        return 1
    return <int> max(1, min(call.n_threads, n_panels, MOST_SHARES))


cdef void forward_share(void *context, int task, int worker) noexcept nogil:
    """Some panels of a layer."""
    cdef const RowShares *row = <const RowShares *> context
    cdef LayerCall layer_call = row.layer_call[0]
    cdef Py_ssize_t n = row.layer.n_panels, begin = task * n // row.n_shares
    layer_call.first_panel, layer_call.n_panels = begin, (task + 1) * n // row.n_shares - begin
    layer_call.z = <char *> layer_call.z + (
        begin * row.layer.cell.units * row.layer.cell.n_sums * row.call.kernels.lanes * row.call.kernels.item_size)
    layer_call.row_pointers = layer_call.row_pointers + 2 * task
    layer_call.interrupted = NULL  # signals are the caller's, between layers
    row.layer.kernels.forward(&layer_call)


cdef void forward_row(const StackCall *call, const Layer *layer, const LayerCall *layer_call) noexcept nogil:
    """Forward of a layer for a single row, whose panels threads share."""
    cdef RowShares row
    row.call, row.layer, row.layer_call = call, layer, layer_call
    row.n_shares = shares_of_row(call, layer, layer.n_panels)
    if row.n_shares == 1:
        layer.kernels.forward(layer_call)
    else:
        pool_run(forward_share, &row, row.n_shares, row.n_shares)


cdef inline bint multiplies_row_by_panels(const StackCall *call, const Layer *layer) noexcept nogil:
    """Whether the gradient of what a layer reads is computed panel by panel, each transposed just before.

    All of its sums have to read x, in one run, and no padding be passed over (product_of_gradients).
    """
    return (call.products != NULL and call.layer_transposed >= 0 and layer.cell.x_count == layer.cell.n_sums <= 4
            and layer.hidden_size == layer.hidden_stride)


cdef void input_gradient_share(void *context, int task, int worker) noexcept nogil:
    """The gradient of some columns: a panel of the transposed weights, which stays in the cache, and its product."""
    cdef const RowShares *row = <const RowShares *> context
    cdef const KernelTable *kernels = row.call.kernels
    cdef const Copy *copy = &row.call.copies[row.recurrence.first_copy]
    cdef Py_ssize_t lanes = kernels.lanes, size = kernels.item_size, first = task * 4 * lanes
    cdef Py_ssize_t n_columns = min(4 * lanes, copy.n_columns - first), n_sums = copy.n_vecs * copy.part.count * lanes
    cdef PanelPart part = copy.part
    cdef char *room = row.rooms + worker * 4 * lanes * n_sums * size
    part.part_offset += first * part.count * lanes
    kernels.pack_transposed(REALS, row.call.panels + copy.panels * size, copy.n_vecs, &part, n_columns, room)
    kernels.product(1, n_sums, (n_columns + lanes - 1) // lanes, row.layer_call.gates, n_sums, room,
                    <char *> row.layer_call.d_x + first * size, 4 * lanes, 0)


cdef void input_gradient_of_row(const StackCall *call, const Layer *layer, const Recurrence *recurrence,
                                const LayerCall *layer_call) noexcept nogil:
    """d_x of a single row, from its d_sums; threads share its columns."""
    cdef RowShares row
    cdef Py_ssize_t width = 4 * call.kernels.lanes, n_panels = (layer.input_size + width - 1) // width
    row.call, row.layer, row.recurrence, row.layer_call = call, layer, recurrence, layer_call
    # (a room is as long as a panel of the copy, in whose place they are)
    row.rooms = <char *> call.transposed + call.layer_transposed * call.kernels.item_size
    row.n_shares = shares_of_row(call, layer, layer.input_size // width)
    pool_run(input_gradient_share, &row, <int> n_panels, row.n_shares)
