# The time gaps: what a cell that reads the time since the step before gets, from a column of the table as it is.

cdef inline bint reads_gaps(const StackCall *call) noexcept nogil:
    return call.input.time_column >= 0 and not call.over_horizon


cdef inline void store_gap(char *gaps, Py_ssize_t place, double value, Py_ssize_t size) noexcept nogil:
    if size == sizeof(float):
        (<float *> gaps)[place] = <float> value
    else:
        (<double *> gaps)[place] = value


cdef double gap_of_rows(const StackCall *call, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """The time from the row before `begin` to the last row before `end`."""
    cdef Py_ssize_t row
    cdef double total = 0
    for row in range(begin, end):
        if call.is_double:
            total += (<const double *> call.table)[row * call.row_stride + call.input.time_column]
        else:
            total += (<const float *> call.table)[row * call.row_stride + call.input.time_column]
    return total


cdef void fill_gaps(const StackCall *call, const ChunkBuffers *buffers, Py_ssize_t first, Py_ssize_t n) noexcept nogil:
    """gaps (T, n): of each step of a chunk, summed over the rows of its patch that exist."""
    cdef Py_ssize_t patch = call.input.patch_length, r, t, start, missing, n_steps
    for r in range(n):
        n_steps, start = steps_of(call, first + r), call.starts[first + r]
        missing = n_steps * patch - call.lengths[first + r]
        for t in range(n_steps):
            store_gap(buffers.gaps, t * n + r,
                      gap_of_rows(call, start + max(0, t * patch - missing), start + (t + 1) * patch - missing),
                      call.kernels.item_size)
