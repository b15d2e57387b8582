# Losses of one chunk: value and gradient with respect to the raw output z of the head.

cdef inline double softplus(double x) noexcept nogil:
    return x + log1p(exp(-x)) if x > 0 else log1p(exp(x))


cdef double loss(int kind, Py_ssize_t n_samples, Py_ssize_t n_outputs, const void *z_rows, Py_ssize_t z_stride,
                 const void *targets, const void *weights, double scale, void *d_z_rows) noexcept nogil:
    """Sum over samples of scale * weight * loss; writes its gradient to d_z (stride z_stride, NULL: not wanted).

    Squared: (n_samples, n_outputs) targets, half the mean over outputs. Log losses: (n_samples, 1) class numbers.
    Everything is computed in double.
    """
    cdef Py_ssize_t i, j, n_targets = n_outputs if kind == SQUARED_LOSS else 1
    cdef const real *z
    cdef const real *y
    cdef real *d_z
    cdef double total = 0, w, value, largest, normaliser, probability
    for i in range(n_samples):
        z = <const real *> z_rows + i * z_stride
        y = <const real *> targets + i * n_targets
        d_z = <real *> d_z_rows + i * z_stride if d_z_rows != NULL else NULL
        w = scale * <double> (<const real *> weights)[i]
        value = 0
        if kind == SQUARED_LOSS:
            for j in range(n_outputs):
                value += 0.5 * (<double> z[j] - <double> y[j]) * (<double> z[j] - <double> y[j])
                if d_z != NULL:
                    d_z[j] = <real> (w * (<double> z[j] - <double> y[j]) / n_outputs)
            value /= n_outputs
        elif kind == BINARY_LOG_LOSS:
            value = softplus(z[0]) - <double> y[0] * <double> z[0]
            if d_z != NULL:
                d_z[0] = <real> (w * (1.0 / (1.0 + exp(-<double> z[0])) - <double> y[0]))
        else:
            largest = z[0]
            for j in range(1, n_outputs):
                largest = max(largest, <double> z[j])
            normaliser = 0
            for j in range(n_outputs):
                normaliser += exp(<double> z[j] - largest)
            value = largest + log(normaliser) - <double> z[<Py_ssize_t> y[0]]
            if d_z != NULL:
                for j in range(n_outputs):
                    probability = exp(<double> z[j] - largest) / normaliser
                    d_z[j] = <real> (w * (probability - (1.0 if j == <Py_ssize_t> y[0] else 0.0)))
        total += w * value
    return total
