# From rows of a table to the input of the first layer: standardised by column, or normalised window by window.
#
# A table is float32 or float64, whatever the dtype of the network. All arithmetic is in double, and each number is
# rounded once, at the end.

cdef inline double number_at(const void *rows, bint is_double, Py_ssize_t i) noexcept nogil:
    return (<const double *> rows)[i] if is_double else <double> (<const float *> rows)[i]


cdef void window_moments(int kind, Py_ssize_t n_rows, Py_ssize_t n_columns, const void *rows, Py_ssize_t row_stride,
                         bint is_double, const double *scale, const double *unit, double *shift,
                         double *deviation) noexcept nogil:
    """Fill shift and deviation (n_columns,) of (row - shift) / deviation: the last row and `scale`, or the window's own
    mean and deviation; row after row.

    `scale` is the deviation of each column as a whole. A tenth of it, squared, is added to the variance of a window
    (the epsilon of RevIN, in the unit of the column), so that nearly constant windows are not amplified. `unit` are
    powers of two near `scale`, then their inverses: what is summed and squared is relative to them, which costs no bit
    and neither overflows nor vanishes.
    """
    cdef const double *inverse_unit = unit + n_columns
    cdef Py_ssize_t last = (n_rows - 1) * row_stride, t, j
    cdef double difference
    for j in range(n_columns):
        shift[j] = number_at(rows, is_double, last + j) if kind == LAST_NORM else 0
        deviation[j] = 0 if kind == STANDARD_NORM else scale[j] if kind == LAST_NORM else 1
    if kind != STANDARD_NORM:
        return
    for t in range(n_rows):
        for j in range(n_columns):
            shift[j] += number_at(rows, is_double, t * row_stride + j) * inverse_unit[j]
    for j in range(n_columns):
        shift[j] /= n_rows
    for t in range(n_rows):
        for j in range(n_columns):
            difference = number_at(rows, is_double, t * row_stride + j) * inverse_unit[j] - shift[j]
            deviation[j] += difference * difference
    for j in range(n_columns):
        difference = scale[j] * inverse_unit[j]
        deviation[j] = unit[j] * sqrt(deviation[j] / n_rows + 0.01 * difference * difference)
        shift[j] *= unit[j]


cdef void normalise_rows(Py_ssize_t n_rows, Py_ssize_t n_columns, const void *rows, Py_ssize_t row_stride,
                         bint is_double, const double *shift, const double *deviation, void *out) noexcept nogil:
    """out (n_rows, n_columns) = (rows - shift) / deviation."""
    cdef real *y = <real *> out
    cdef Py_ssize_t t, j
    for t in range(n_rows):
        for j in range(n_columns):
            y[t * n_columns + j] = <real> (
                (number_at(rows, is_double, t * row_stride + j) - shift[j]) / deviation[j])


cdef void standardise_rows(Py_ssize_t n_rows, Py_ssize_t n_columns, const void *rows, Py_ssize_t row_stride,
                           bint is_double, Py_ssize_t n_repeats, const double *mean, const double *inverse,
                           void *out) noexcept nogil:
    """out (n_rows, n_columns) = (rows - mean) * inverse.

    `mean` and `inverse` hold the numbers of a row `n_repeats` times, side by side: so many rows of a table without
    gaps go through in one loop, of whole vectors even where a row is narrow.
    """
    cdef real *y = <real *> out
    cdef Py_ssize_t block = n_repeats if row_stride == n_columns else 1, t = 0, n
    while t < n_rows:
        n = min(block, n_rows - t) * n_columns
        if is_double:
            standardise_doubles(n, <const double *> rows + t * row_stride, mean, inverse, y + t * n_columns)
        else:
            standardise_floats(n, <const float *> rows + t * row_stride, mean, inverse, y + t * n_columns)
        t += block


cdef void multiply_columns(Py_ssize_t n, const double *factors, void *row) noexcept nogil:
    """row *= factors, in double."""
    cdef real *x = <real *> row
    cdef Py_ssize_t i
    for i in range(n):
        x[i] = <real> (<double> x[i] * factors[i])
