# Passes over all parameters, block by block; between blocks the caller's thread checks for signals.

cdef enum:
    # Elements of a flat vector that one task of a reduction handles.
    BLOCK_SIZE = 1 << 14
    # The first touch of new memory takes long: 0.1 s for 42 MB.
    CLEAR_BYTES = 1 << 22


cdef void clear(char *out, Py_ssize_t n_bytes, SignalWatch *watch, int worker) noexcept nogil:
    """Fill with zeros, unless the call is to end early."""
    cdef Py_ssize_t begin = 0
    while begin < n_bytes and not must_stop(watch, worker):
        memset(out + begin, 0, min(<Py_ssize_t> CLEAR_BYTES, n_bytes - begin))
        begin += CLEAR_BYTES


cdef int convert_panels(Stack stack, char *flat, char *panels, bint pack) except -1:
    """Pack a flat vector of parameters into panels, or unpack the panels into it, piece by piece."""
    cdef const KernelTable *kernels = stack.kernels
    cdef Py_ssize_t size = kernels.item_size, n_columns, n_rows, slot
    cdef char *piece
    cdef char *packed
    cdef PanelPart part
    cdef SignalWatch watch
    cdef list errors = []
    open_watch(&watch, errors)
    if pack:
        clear(panels, stack.panels_size * size, &watch, 0)
    for begin, offset, n_columns, n_rows, fields, slot in stack.pieces:
        if must_stop(&watch, 0):
            raise errors[0]
        piece, packed = flat + <Py_ssize_t> begin * size, panels + <Py_ssize_t> offset * size
        if fields is not None:
            part = fields
            if pack:
                kernels.pack_block(piece, n_columns, n_rows, &part, slot, packed)
            else:
                kernels.unpack_block(packed, n_columns, n_rows, &part, slot, piece)
        elif n_rows > 0:
            if pack:
                kernels.pack_dense(piece, n_columns, n_rows, 1, n_columns, packed)
            else:
                kernels.unpack_dense(packed, n_columns, n_rows, piece)
        else:
            memcpy(packed if pack else piece, piece if pack else packed, n_columns * size)
    return 0


cdef struct ReduceCall:
    const KernelTable *kernels
    Py_ssize_t panels_size
    Py_ssize_t n_slots
    char *slots                  # (n_slots, panels_size)
    SignalWatch *watch


cdef void reduce_task(void *context, int task, int worker) noexcept nogil:
    cdef const ReduceCall *call = <const ReduceCall *> context
    cdef Py_ssize_t begin = <Py_ssize_t> task * BLOCK_SIZE
    if must_stop(call.watch, worker):
        return
    call.kernels.add_rows(call.n_slots, call.panels_size, begin, min(begin + BLOCK_SIZE, call.panels_size), call.slots)


cdef struct TransposeCall:
    const KernelTable *kernels
    const Copy *copies
    int format
    bint input_gradient
    bint by_layer
    const char *panels
    char *transposed
    SignalWatch *watch


cdef void transpose_task(void *context, int task, int worker) noexcept nogil:
    """One matrix."""
    cdef const TransposeCall *call = <const TransposeCall *> context
    cdef const Copy *copy = &call.copies[task]
    cdef Py_ssize_t size = call.kernels.item_size
    if copy.input_only and not call.input_gradient or copy.by_layer or must_stop(call.watch, worker):
        return
    if call.by_layer and copy.words:
        return
    call.kernels.pack_transposed(call.format if copy.words else REALS, call.panels + copy.panels * size, copy.n_vecs,
                                 &copy.part, copy.n_columns, call.transposed + copy.transposed * size)


cdef inline bint reads_h_transposed(const StackCall *call) noexcept nogil:
    """Whether gradients of h are computed: not before the only step, unless that of the initial state is wanted."""
    return (call.max_steps > 1 or has_options(call, &call.layers[0]) or call.d_initial_state != NULL
            or call.decoder.n_turns > 0)


cdef void transpose_layer(const StackCall *call, const ChunkBuffers *buffers,
                          const Recurrence *recurrence) noexcept nogil:
    """The transposed copies of one direction of a layer, in the place of its words, which forward has read."""
    cdef Py_ssize_t size = call.kernels.item_size, k
    cdef char *out = buffers.layer_words
    cdef const Copy *copy
    if call.layer_transposed >= 0:
        out = <char *> call.transposed + own_offset(call, recurrence) * size
    for k in range(recurrence.first_copy, recurrence.first_copy + recurrence.n_copies):
        copy = &call.copies[k]
        if copy.transposed >= recurrence.h_transposed >= 0 and not reads_h_transposed(call):
            return  # those of h are the last
        if not copy.input_only or call.want_d_x:
            call.kernels.pack_transposed(call.format, call.panels + copy.panels * size, copy.n_vecs, &copy.part,
                                         copy.n_columns, out + copy.transposed * size)


cdef inline Py_ssize_t own_offset(const StackCall *call, const Recurrence *recurrence) noexcept nogil:
    """From where the copies of one direction of a layer have their offsets: 0, unless in the place of another's."""
    if call.layer_transposed < 0 or recurrence.n_copies == 0:
        return 0
    return call.layer_transposed - call.copies[recurrence.first_copy].transposed


cdef void transpose_weights(Stack stack, const StackCall *call, int n_threads) noexcept nogil:
    """Copy the weights as they are now into the layout that backward reads."""
    cdef TransposeCall job
    cdef bint is_long
    job.kernels, job.copies, job.format = stack.kernels, stack.copies, stack.format
    job.panels, job.transposed, job.input_gradient = call.panels, <char *> call.transposed, stack.input_gradient
    job.watch, job.by_layer = call.watch, call.layer_transposed >= 0
    # Of a single row there is next to nothing left to do here, for which no thread is woken.
    is_long = stack.transposed_size > BLOCK_SIZE and call.products == NULL
    pool_run(transpose_task, &job, <int> stack.n_copies, n_threads if is_long else 1)


cdef void round_task(void *context, int task, int worker) noexcept nogil:
    """The weights of one direction of a layer, as words."""
    cdef const StackCall *call = <const StackCall *> context
    cdef const Layer *layer = &call.layers[task // 2]
    cdef const Recurrence *recurrence = &layer.directions[task % 2]
    cdef Py_ssize_t size = call.kernels.item_size
    cdef LayerCall layer_call
    if task % 2 >= layer.n_directions or must_stop(call.watch, worker):
        return
    memset(&layer_call, 0, sizeof(LayerCall))
    describe_sizes(layer, &layer_call)
    layer_call.x_format = layer_call.format = call.format
    layer.kernels.pack_words(&layer_call, call.panels + recurrence.panels * size,
                             <char *> call.words + recurrence.words * size)


cdef void round_weights(Stack stack, const StackCall *call, bint training, int n_threads) noexcept nogil:
    """Round the weights as they are now to the words that products read, unless those are up to date.

    In training they never are: an optimizer changes the weights between calls. Large networks train without them.
    """
    if stack.format == REALS or call.layer_words_size > 0 or not stack.words_are_old and not training:
        return
    pool_run(round_task, <void *> call, <int> (2 * stack.n_layers), n_threads if stack.words_size > BLOCK_SIZE else 1)
    stack.words_are_old = call.watch.stopped


cdef void add_slots(Stack stack, StackCall *call, int n_threads) noexcept nogil:
    """Add the gradient slots in their order, into the first."""
    cdef ReduceCall sums
    sums.kernels, sums.panels_size = stack.kernels, stack.panels_size
    sums.slots, sums.n_slots, sums.watch = call.slots, call.n_slots, call.watch
    if call.n_slots > 1:
        pool_run(reduce_task, &sums, <int> ((stack.panels_size + BLOCK_SIZE - 1) // BLOCK_SIZE), n_threads)
