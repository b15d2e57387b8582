# Sums over flat vectors: of gradient slots, and of squares for the norm.

cdef void add_rows(Py_ssize_t n_rows, Py_ssize_t stride, Py_ssize_t begin, Py_ssize_t end, void *rows) noexcept nogil:
    """Add elements begin:end of n_rows vectors, `stride` apart, to the first of them, in their order."""
    cdef real *restrict out = <real *> rows
    cdef const real *restrict row
    cdef Py_ssize_t i, r
    for r in range(1, n_rows):
        row = <const real *> rows + r * stride
        for i in range(begin, end):
            out[i] += row[i]


cdef double sum_of_squares(Py_ssize_t n, const void *vector) noexcept nogil:
    """In double, in eight interleaved sums: the order is part of the result's definition."""
    cdef const real *restrict x = <const real *> vector
    cdef double partial[8]
    cdef double total = 0
    cdef Py_ssize_t i, j
    for j in range(8):
        partial[j] = 0
    for i in range(0, n - n % 8, 8):
        for j in range(8):
            partial[j] += <double> x[i + j] * <double> x[i + j]
    for i in range(n - n % 8, n):
        total += <double> x[i] * <double> x[i]
    for j in range(8):
        total += partial[j]
    return total
