# The input stage, from rows of a table to the input of the first layer: standardisation by column, normalisation by
# window, patches, rounding to the network's dtype; and the rows of the linear skip. Only the current chunk is ever
# copied, and nothing where a table of the network's dtype is read as it is.

cdef inline bint changes_windows(const InputStage *stage) noexcept nogil:
    """Whether the input made from a row of the table depends on the window: no two windows can share it."""
    return stage.norm != NO_NORM or stage.patch_length > 1


cdef inline Py_ssize_t steps_of(const StackCall *call, Py_ssize_t sample) noexcept nogil:
    """Steps of a sequence: its rows, or its patches."""
    return (call.lengths[sample] + call.input.patch_length - 1) // call.input.patch_length


cdef inline Py_ssize_t input_stride(const StackCall *call) noexcept nogil:
    """Numbers from one step of a sequence to its next, in the input of the first layer."""
    return call.layers[0].input_size if call.fills_inputs else call.row_stride


cdef inline const char *covered_inputs(const StackCall *call, const ChunkBuffers *buffers,
                                       Py_ssize_t begin) noexcept nogil:
    """The rows of the table that the windows of a chunk cover, as input of the first layer; `begin` is the first."""
    if call.fills_inputs:
        return buffers.inputs
    return call.table + begin * call.row_stride * call.table_item


cdef Py_ssize_t set_input_rows(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t first, Py_ssize_t n,
                               Py_ssize_t n_steps) noexcept nogil:
    """Point x_rows at the first row of each sequence of a chunk; return the stride of its steps."""
    cdef Py_ssize_t step = input_stride(call), size = call.kernels.item_size, begin = 0, n_rows = 0, r
    cdef const char *origin = call.table
    if call.fills_inputs:
        origin = buffers.inputs
        n_rows = covered_rows(call, first, n, n_steps, &begin) if shares_rows(call) else 0
    for r in range(n):
        if call.fills_inputs and n_rows == 0:
            buffers.x_rows[r] = origin + r * call.max_steps * step * size
        else:
            buffers.x_rows[r] = origin + (call.starts[first + r] - begin) * step * size
    return step


cdef void fill_inputs(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t first, Py_ssize_t n,
                      Py_ssize_t n_steps) noexcept nogil:
    """Write the input of the first layer and that of the linear skip, unless both are read from the table.

    The input of the first layer is the rows that the windows cover, each once, or (n, max_steps, input_size); that of
    the skip is (n, skip_rows, n_columns), with an output at every step the rows of all steps and those before. Rows
    before the first one of a sequence, in its first patch or in the skip, are zeros: they contribute nothing to a
    product.
    """
    cdef const InputStage *stage = call.input
    cdef Py_ssize_t size = call.kernels.item_size, row = stage.n_columns * size, begin = 0, n_rows = 0, r
    cdef Py_ssize_t length, missing
    cdef const char *last
    cdef char *out
    if buffers.skip_rows != NULL and call.every_step:
        fill_skip_of_steps(call, buffers, first, n)
    if not call.fills_inputs and (buffers.skip_rows == NULL or call.every_step):
        return
    if call.fills_inputs and shares_rows(call):
        n_rows = covered_rows(call, first, n, n_steps, &begin)
    if n_rows > 0:
        standardise(call, begin, n_rows, buffers.inputs)
    for r in range(n):
        length = call.lengths[first + r]
        if n_rows > 0:
            last = buffers.inputs + (call.starts[first + r] - begin + length) * row
        elif call.fills_inputs:
            missing = steps_of(call, first + r) * stage.patch_length - length
            out = buffers.inputs + r * call.max_steps * stage.patch_length * row
            memset(out, 0, missing * row)
            if stage.norm != NO_NORM:
                normalise(call, buffers, call.starts[first + r], length, out + missing * row)
            else:
                standardise(call, call.starts[first + r], length, out + missing * row)
            last = out + (missing + length) * row
        else:
            last = call.table + (call.starts[first + r] + length) * call.row_stride * size
        if buffers.skip_rows != NULL and not call.every_step:
            copy_last_rows(call, last, input_row_stride(call) * size, length,
                           buffers.skip_rows + r * stage.skip_rows * row)


cdef inline Py_ssize_t skip_stride(const StackCall *call) noexcept nogil:
    """Numbers from sequence to sequence among the rows that the linear skip reads."""
    return (call.input.skip_rows + (call.max_steps if call.every_step else 1) - 1) * call.input.n_columns


cdef void fill_skip_of_steps(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t first,
                             Py_ssize_t n) noexcept nogil:
    """All rows that the linear skip reads at the steps of each sequence, also those before its first one."""
    cdef Py_ssize_t row = call.input.n_columns * call.kernels.item_size, stride = call.row_stride * call.table_item
    cdef Py_ssize_t begin, missing, n_rows, r, t
    cdef char *out
    for r in range(n):
        begin = call.starts[first + r] if call.first_rows == NULL else call.first_rows[first + r]
        begin = max(begin, call.starts[first + r] - (call.input.skip_rows - 1))
        missing = call.input.skip_rows - 1 - (call.starts[first + r] - begin)
        n_rows = call.starts[first + r] + call.lengths[first + r] - begin
        out = buffers.skip_rows + r * skip_stride(call) * call.kernels.item_size
        memset(out, 0, missing * row)
        if call.fills_inputs:
            standardise(call, begin, n_rows, out + missing * row)
            continue
        for t in range(n_rows):
            memcpy(out + (missing + t) * row, call.table + (begin + t) * stride, row)


cdef inline Py_ssize_t input_row_stride(const StackCall *call) noexcept nogil:
    """Numbers from one row of a sequence to its next, before rows are joined into patches."""
    return call.input.n_columns if call.fills_inputs else call.row_stride


cdef inline void standardise(const StackCall *call, Py_ssize_t begin, Py_ssize_t n_rows, char *out) noexcept nogil:
    cdef const InputStage *stage = call.input
    call.kernels.standardise_rows(n_rows, stage.n_columns, call.table + begin * call.row_stride * call.table_item,
                                  call.row_stride, call.is_double, stage.n_repeats, stage.mean, stage.inverse, out)


cdef inline void moments_of_window(const KernelTable *kernels, const InputStage *stage, Py_ssize_t n_rows,
                                   const void *rows, Py_ssize_t row_stride, bint is_double, double *shift,
                                   double *deviation) noexcept nogil:
    """What a window is normalised by; known columns are standardised as without a norm."""
    cdef Py_ssize_t k, j
    kernels.window_moments(stage.norm, n_rows, stage.n_columns, rows, row_stride, is_double, stage.scale, stage.unit,
                           shift, deviation)
    for k in range(stage.n_known):
        j = stage.known[k]
        shift[j], deviation[j] = stage.mean[j], stage.scale[j]


cdef inline void normalise(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t begin, Py_ssize_t n_rows,
                           char *out) noexcept nogil:
    cdef const InputStage *stage = call.input
    cdef const char *rows = call.table + begin * call.row_stride * call.table_item
    cdef double *deviation = buffers.moments + stage.n_columns
    moments_of_window(call.kernels, stage, n_rows, rows, call.row_stride, call.is_double, buffers.moments, deviation)
    call.kernels.normalise_rows(n_rows, stage.n_columns, rows, call.row_stride, call.is_double, buffers.moments,
                                deviation, out)


cdef void copy_last_rows(const StackCall *call, const char *end, Py_ssize_t stride, Py_ssize_t length,
                         char *out) noexcept nogil:
    """out (skip_rows, n_columns): the rows before `end`, `stride` bytes apart."""
    cdef Py_ssize_t row = call.input.n_columns * call.kernels.item_size, t
    cdef Py_ssize_t missing = max(0, call.input.skip_rows - length)
    memset(out, 0, missing * row)
    for t in range(missing, call.input.skip_rows):
        memcpy(out + t * row, end - (call.input.skip_rows - t) * stride, row)
