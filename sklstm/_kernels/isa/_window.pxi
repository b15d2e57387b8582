# What a sequence is freed of before a network reads it: its last value, or its own mean and deviation.

cdef void window_moments(int kind, Py_ssize_t n_rows, Py_ssize_t n_columns, const void *rows, Py_ssize_t row_stride,
                         const double *scale, double *shift, double *deviation) noexcept nogil:
    """Fill (n_columns,) with what is subtracted and what is divided by; in double, row after row.

    `scale` is the deviation of each column as a whole. A tenth of it is the least that a window is divided by (RevIN's
    epsilon, made free of units): a window that is nearly constant would blow up whatever comes after it.
    """
    cdef const real *x = <const real *> rows
    cdef const real *last = x + (n_rows - 1) * row_stride
    cdef Py_ssize_t t, j
    cdef double difference
    for j in range(n_columns):
        shift[j] = <double> last[j] if kind == LAST_NORM else 0
        deviation[j] = 0 if kind == STANDARD_NORM else scale[j] if kind == LAST_NORM else 1
    if kind != STANDARD_NORM:
        return
    for t in range(n_rows):
        for j in range(n_columns):
            shift[j] += <double> x[t * row_stride + j]
    for j in range(n_columns):
        shift[j] /= n_rows
    for t in range(n_rows):
        for j in range(n_columns):
            difference = <double> x[t * row_stride + j] - shift[j]
            deviation[j] += difference * difference
    for j in range(n_columns):
        deviation[j] = sqrt(deviation[j] / n_rows + 0.01 * scale[j] * scale[j])


cdef void normalise_rows(Py_ssize_t n_rows, Py_ssize_t n_columns, const void *rows, Py_ssize_t row_stride,
                         const double *shift, const double *deviation, void *out) noexcept nogil:
    """out (n_rows, n_columns) = (rows - shift) / deviation, rounded once."""
    cdef const real *x = <const real *> rows
    cdef real *y = <real *> out
    cdef Py_ssize_t t, j
    for t in range(n_rows):
        for j in range(n_columns):
            y[t * n_columns + j] = <real> ((<double> x[t * row_stride + j] - shift[j]) / deviation[j])
