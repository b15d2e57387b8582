# What happens to the sequences of a chunk before the first layer reads them: normalisation, patches, and the rows of
# the linear skip. Only the chunk at work is ever copied.

cdef inline bint has_front(const Front *front) noexcept nogil:
    """Whether the first layer reads anything else than the rows of the table."""
    return front.norm != NO_NORM or front.patch_length > 1


cdef inline Py_ssize_t steps_of(const StackCall *call, Py_ssize_t sample) noexcept nogil:
    """Steps of a sequence: its rows, or its patches."""
    return (call.lengths[sample] + call.front.patch_length - 1) // call.front.patch_length


cdef void fill_front(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t first, Py_ssize_t n) noexcept nogil:
    """Write the windows (n, max_steps * patch_length, n_columns) and the last rows (n, skip_rows, n_columns).

    A first patch that is not full has zeros in the place of the rows that do not exist, and so has the skip: they
    contribute nothing to a product.
    """
    cdef const Front *front = call.front
    cdef Py_ssize_t size = call.kernels.item_size, row = front.n_columns * size, r, length, missing, used
    cdef const char *rows
    cdef char *out
    for r in range(n):
        rows = call.table + call.starts[first + r] * call.row_stride * size
        length = call.lengths[first + r]
        call.kernels.window_moments(front.norm, length, front.n_columns, rows, call.row_stride, front.scale,
                                    buffers.moments, buffers.moments + front.n_columns)
        if buffers.window != NULL:
            missing = steps_of(call, first + r) * front.patch_length - length
            out = buffers.window + r * call.max_steps * front.patch_length * row
            memset(out, 0, missing * row)
            call.kernels.normalise_rows(length, front.n_columns, rows, call.row_stride, buffers.moments,
                                        buffers.moments + front.n_columns, out + missing * row)
        if buffers.skip_rows != NULL:
            used = min(length, front.skip_rows)
            out = buffers.skip_rows + r * front.skip_rows * row
            memset(out, 0, (front.skip_rows - used) * row)
            call.kernels.normalise_rows(used, front.n_columns, rows + (length - used) * call.row_stride * size,
                                        call.row_stride, buffers.moments, buffers.moments + front.n_columns,
                                        out + (front.skip_rows - used) * row)
