# Sums over flat vectors.

cdef void add_rows(Py_ssize_t n_rows, Py_ssize_t stride, Py_ssize_t begin, Py_ssize_t end, void *rows) noexcept nogil:
    """Add elements begin:end of n_rows vectors, `stride` apart, to the first of them, in their order."""
    cdef real *restrict out = <real *> rows
    cdef const real *restrict row
    cdef Py_ssize_t i, r
    for r in range(1, n_rows):
        row = <const real *> rows + r * stride
        for i in range(begin, end):
            out[i] += row[i]
