# Steps on flat vectors: sums over gradient slots, the norm, the optimizer. Elements do not meet: any split is the same.

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


cdef void adamw_step(Py_ssize_t n, void *vector, const void *gradient, void *mean, void *square, double gradient_scale,
                     double learning_rate, double decay, double beta1, double beta2, double epsilon,
                     double correction1, double correction2) noexcept nogil:
    """AdamW (Loshchilov & Hutter 2019, algorithm 2), in place; the gradient is scaled first (clipping)."""
    cdef real *restrict x = <real *> vector
    cdef const real *restrict d = <const real *> gradient
    cdef real *restrict m = <real *> mean
    cdef real *restrict v = <real *> square
    cdef real b1 = <real> beta1, b2 = <real> beta2, a1 = <real> (1 - beta1), a2 = <real> (1 - beta2)
    cdef real scale = <real> gradient_scale, keep = <real> (1 - learning_rate * decay), eps = <real> epsilon
    cdef real rate = <real> (learning_rate / correction1), root = <real> (1 / correction2)
    cdef real g
    cdef Py_ssize_t i
    for i in range(n):
        g = d[i] * scale
        m[i] = b1 * m[i] + a1 * g
        v[i] = b2 * v[i] + a2 * g * g
        x[i] = keep * x[i] - rate * m[i] / (square_root(v[i] * root) + eps)
