# Filling a StackCall: its sizes, and the addresses of its arrays after checks.

cdef char *required(array, char code, Py_ssize_t size, bint writable=False) except NULL:
    """As data_of; None is an error."""
    if array is None:
        raise ValueError("expected an array, got None")
    return data_of(array, code, size, writable)


cdef char code_of_table(array) except 0:
    """FLOAT32 or FLOAT64, whatever the dtype of the network."""
    code = array.dtype.char
    if code not in "fd":
        raise ValueError(f"expected a table of float32 or float64, got {array.dtype}")
    return ord(code)


cdef char *table_of(array, char code, Py_ssize_t n_columns, Py_ssize_t row_stride, Py_ssize_t *n_rows) except NULL:
    """The address and the rows of a table, which may be a slice of a wider one."""
    cdef Py_buffer view
    cdef bint right
    PyObject_GetBuffer(array, &view, PyBUF_FORMAT | PyBUF_STRIDES)
    right = (has_code(&view, code) and view.ndim == 2 and view.shape[1] >= n_columns
             and (view.shape[1] < 2 or view.strides[1] == view.itemsize)
             and (view.shape[0] < 2 or view.strides[0] == row_stride * view.itemsize))
    n_rows[0] = view.shape[0] if view.ndim == 2 else 0
    PyBuffer_Release(&view)
    if not right:
        raise ValueError(f"expected a table of type {chr(code)} with {n_columns} columns or more and rows {row_stride} "
                         f"numbers apart, got {array.dtype}, {array.shape}, {array.strides}")
    return <char *> view.buf


cdef int check_windows(Py_ssize_t n, const Py_ssize_t *starts, const Py_ssize_t *lengths, Py_ssize_t longest,
                       Py_ssize_t n_rows) except -1:
    """Raise unless every window lies inside the table and the workspace."""
    cdef Py_ssize_t i
    for i in range(n):
        if starts[i] < 0 or not 1 <= lengths[i] <= longest or starts[i] > n_rows - lengths[i]:
            raise ValueError(f"sequence {i} starts at row {starts[i]} of {n_rows} and has {lengths[i]} rows of at most "
                             f"{longest}")
    return 0


cdef enum:
    # Sequences in a chunk: a small model's forward and backward stay in L2, and the tiles have few remainders.
    CHUNK_SIZE = 32
    # Gradient slots: the most threads that can train at once. Fewer for a network so large that they would fill memory.
    MAX_SLOTS = 16
    SLOT_MEMORY = 1 << 28


cdef void attend(void *context) noexcept nogil:
    must_stop((<StackCall *> context).watch, 0)


cdef void describe(Stack stack, StackCall *call, char table_code, Py_ssize_t n_samples, Py_ssize_t max_rows,
                   bint training, double dropout=0, double recurrent_dropout=0, bint d_x=False,
                   bint neighbours=False) noexcept:
    """The part of a call that decides the size of a workspace."""
    memset(call, 0, sizeof(StackCall))
    call.kernels, call.n_layers, call.layers, call.head = stack.kernels, stack.n_layers, stack.layers, &stack.head
    call.attention, call.format, call.decoder = &stack.attention, stack.format, &stack.decoder
    call.copies, call.layer_words_size = stack.copies, stack.layer_words_size if training else 0
    call.input, call.every_step, call.zoneout = &stack.input, stack.every_step, stack.zoneout
    call.is_double, call.table_item = table_code == FLOAT64, 8 if table_code == FLOAT64 else 4
    call.fills_inputs = changes_windows(&stack.input) or stack.input.scaled or table_code != stack.code
    call.n_samples, call.state_size = n_samples, stack.state_size
    call.max_steps = (max_rows + stack.input.patch_length - 1) // stack.input.patch_length
    call.training, call.dropout, call.want_d_x = training, dropout, d_x
    call.recurrent_dropout, call.neighbours = recurrent_dropout if training else 0, neighbours
    call.skip_is_frozen = stack.skip_is_frozen
    call.options = stack.options or call.recurrent_dropout > 0
    # An even number of chunks, so that two threads finish together.
    call.n_chunks = 1 if n_samples < 16 else 2 * ((n_samples + 2 * CHUNK_SIZE - 1) // (2 * CHUNK_SIZE))
    call.chunk_size = max(1, (n_samples + call.n_chunks - 1) // call.n_chunks)
    call.n_chunks = (n_samples + call.chunk_size - 1) // call.chunk_size
    call.layer_transposed = -1
    if training and call.n_chunks == 1 and call.format == REALS and call.decoder.n_turns == 0:
        call.layer_transposed = stack.layer_transposed
    call.panels_size = stack.panels_size
    call.n_slots = min(call.n_chunks, MAX_SLOTS, max(2, SLOT_MEMORY // (stack.panels_size * stack.kernels.item_size)))


cdef int attach(Stack stack, StackCall *call, sequences, Py_ssize_t row_stride, starts, lengths, workspace,
                int n_threads, initial_state, final_state, first_rows) except -1:
    """Point the call at its arrays."""
    cdef Py_ssize_t n = call.n_samples, n_rows
    call.panels = required(stack.panels, stack.code, stack.panels_size)
    if call.layer_words_size == 0:
        reserve_words(stack)
        call.words = data_of(stack.words, stack.code, stack.words_size)
    call.transposed = data_of(stack.transposed, stack.code, stack.transposed_size)
    call.table = table_of(sequences, FLOAT64 if call.is_double else FLOAT32, stack.input_size, row_stride, &n_rows)
    call.row_stride = row_stride
    call.starts = <Py_ssize_t *> data_of(starts, INTP, n)
    call.lengths = <Py_ssize_t *> data_of(lengths, INTP, n)
    call.first_rows = <Py_ssize_t *> data_of(first_rows, INTP, n)
    if call.first_rows != NULL and not (0 <= first_rows.min() and (first_rows <= starts).all()):
        raise ValueError("expected first rows inside the table, not behind the starts")
    check_windows(n, call.starts, call.lengths, call.max_steps * stack.input.patch_length, n_rows)
    call.initial_state = data_of(initial_state, stack.code, n * stack.state_size)
    call.final_state = data_of(final_state, stack.code, n * stack.state_size, True)
    call.workspace_bytes = measure(stack, call)
    call.workspaces = data_of(workspace, UINT8, n_threads * call.workspace_bytes, True)
    return 0


cdef Py_ssize_t attach_slots(Stack stack, StackCall *call, slots, slot_range) except -1:
    """Point the call at its gradient slots, all of them or those of a range (first, end); return their number."""
    cdef Py_ssize_t n_own = call.n_slots
    if slot_range is not None:
        call.first_slot, n_own = slot_range[0], slot_range[1] - slot_range[0]
    if call.first_slot < 0 or n_own < 0 or call.first_slot + n_own > call.n_slots:
        raise ValueError(f"slot_range={slot_range}, but there are {call.n_slots} slots")
    call.slots = data_of(slots, UINT8, n_own * call.panels_size * stack.kernels.item_size, True)
    return n_own


cdef int attach_products(Stack stack, StackCall *call, FactoredGradient factored, int n_threads) except -1:
    """Let the call leave the gradient of the weights of its only row as factors."""
    n_parts, _ = stack.outer_products
    if n_parts == 0 or call.n_samples != 1 or call.max_steps != 1 or call.recurrent_dropout > 0 or call.first_slot > 0:
        raise ValueError("only the gradient of a single row of plain layers is left as factors")
    if factored.n_most < n_parts or data_of(factored.vector, stack.code, stack.panels_size) != call.slots:
        raise ValueError("expected a FactoredGradient of the first slot, with room for all products")
    factored.begin(call.slots)
    call.products, call.n_threads = &factored.products, n_threads
    return 0


cdef int check_products(Stack stack, FactoredGradient factored) except -1:
    """Bring the products into the order of the vector; raise unless they are all that was not cleared."""
    cdef const OuterProducts *products = &factored.products
    cdef Py_ssize_t expected = 0, found = 0, i
    factored.sort()
    for i in range(products.n):
        found += products.parts[i].n_k * products.parts[i].width
    for i in range(stack.n_layers):
        expected += stack.layers[i].n_directions * products_size(&stack.layers[i])
    if found != expected:
        raise RuntimeError(f"{found} numbers of the gradient are products, expected {expected}")
    return 0


cdef int attach_ahead(Stack stack, StackCall *call, ahead, ahead_starts) except -1:
    """Point the call at the known columns of the rows ahead, where a decoder reads any."""
    cdef Py_ssize_t n_known = stack.input.n_known, n_rows, i
    if stack.decoder.n_turns == 0 or n_known == 0 or not call.training and call.out_z == NULL:
        return 0
    if ahead is None:
        raise ValueError(f"the decoder reads {n_known} known columns of the rows ahead; got none")
    call.ahead_is_double = code_of_table(ahead) == FLOAT64
    call.ahead = table_of(ahead, FLOAT64 if call.ahead_is_double else FLOAT32, n_known, n_known, &n_rows)
    call.ahead_starts = <Py_ssize_t *> required(ahead_starts, INTP, call.n_samples)
    for i in range(call.n_samples):
        if call.ahead_starts[i] < 0 or call.ahead_starts[i] > n_rows - stack.decoder.horizon:
            raise ValueError(f"the {stack.decoder.horizon} rows ahead of sequence {i} begin at row "
                             f"{call.ahead_starts[i]} of {n_rows}")
    return 0


cdef Py_ssize_t measure(Stack stack, const StackCall *call) except -1:
    """Bytes of one worker's workspace."""
    cdef ChunkBuffers buffers[2]
    cdef Py_ssize_t n_bytes, n_layers = stack.n_layers * (2 if stack.decoder.n_turns > 0 else 1)
    cdef double widest = stack.input_size
    cdef Py_ssize_t i
    cdef LayerBuffers *layers
    for i in range(stack.n_layers):
        widest = max(widest, <double> stack.layers[i].hidden_stride, <double> stack.layers[i].input_size)
        widest = max(widest, <double> stack.layers[i].feedforward.sums_stride)
    # An upper bound of what is laid out for a step of a sequence in a layer: no sum below overflows 64 bits.
    if 1024 * widest * n_layers * call.chunk_size * (call.max_steps + stack.decoder.n_turns + 1) > <double> (1 << 62):
        raise MemoryError(f"windows of {call.max_steps} steps do not fit into memory")
    layers = <LayerBuffers *> calloc(n_layers, sizeof(LayerBuffers))
    if layers == NULL:
        raise MemoryError()
    n_bytes = round_up(n_layers * sizeof(LayerBuffers), 64)
    n_bytes += lay_out_both(call, layers, NULL, buffers) - <char *> NULL
    free(layers)
    return n_bytes


cdef Py_ssize_t rows_of_table(const StackCall *call) noexcept:
    """Rows of the outputs: one for each sequence, or with every_step the rows of the table that the sequences reach."""
    cdef Py_ssize_t i, rows = 0
    for i in range(call.n_samples):
        rows = max(rows, call.starts[i] + call.lengths[i])
    return rows if call.every_step else call.n_samples
