# Losses of one chunk: value and gradient with respect to the raw output z of the head.

cdef inline double softplus(double x) noexcept nogil:
    return x + log1p(exp(-x)) if x > 0 else log1p(exp(x))


cdef inline double point_loss(int kind, double parameter, double error, double *slope) noexcept nogil:
    """Loss and slope of one number, error = z - y: squared / 2, absolute, Huber (1964), quantile (Koenker 1978)."""
    if kind == SQUARED_LOSS:
        slope[0] = error
        return 0.5 * error * error
    if kind == HUBER_LOSS and fabs(error) <= parameter:
        slope[0] = error
        return 0.5 * error * error
    if kind == HUBER_LOSS:
        slope[0] = parameter if error > 0 else -parameter
        return parameter * (fabs(error) - 0.5 * parameter)
    if kind == QUANTILE_LOSS:
        slope[0] = 0 if error == 0 else 1 - parameter if error > 0 else -parameter
        return slope[0] * error
    # A NaN is neither: it must reach the loss.
    slope[0] = 1 if error > 0 else -1 if error < 0 else error
    return fabs(error)


cdef double loss(int kind, double parameter, Py_ssize_t n_samples, Py_ssize_t n_outputs, const void *z_rows,
                 Py_ssize_t z_stride, const void *targets, const void *weights, double scale,
                 void *d_z_rows) noexcept nogil:
    """Sum over samples of scale * weight * loss; writes its gradient to d_z (stride z_stride, NULL: not wanted).

    Log losses: (n_samples, 1) class numbers. The others: (n_samples, n_outputs) numbers, the mean over outputs;
    parameter is delta of the Huber loss, or the quantile.
    Everything is computed in double.
    """
    cdef Py_ssize_t i, j, n_targets = 1 if is_log_loss(kind) else n_outputs
    cdef const real *z
    cdef const real *y
    cdef real *d_z
    cdef double total = 0, w, value, largest, normaliser, probability, slope
    for i in range(n_samples):
        z = <const real *> z_rows + i * z_stride
        y = <const real *> targets + i * n_targets
        d_z = <real *> d_z_rows + i * z_stride if d_z_rows != NULL else NULL
        w = scale * <double> (<const real *> weights)[i]
        value = 0
        if not is_log_loss(kind):
            for j in range(n_outputs):
                value += point_loss(kind, parameter, <double> z[j] - <double> y[j], &slope)
                if d_z != NULL:
                    d_z[j] = <real> (w * slope / n_outputs)
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
