# Losses of one chunk: value and gradient with respect to the raw output z of the head.


cdef inline double softplus(double x) noexcept nogil:
    return x + log1p(exp(-x)) if x > 0 else log1p(exp(x))


cdef inline double log_cosh(double x) noexcept nogil:
    """log(cosh(x)), exact near 0 and without the overflow of cosh."""
    cdef double size = fabs(x), s
    if size < 1:
        s = sinh(x)
        return 0.5 * log1p(s * s)
    return size + (log1p(exp(-2 * size)) - M_LN2)


cdef inline double point_loss(int kind, double parameter, double z, double y, double *slope) noexcept nogil:
    """Loss and slope of one number.

    squared / 2, absolute, Huber (1964), log(cosh(error)), quantile (Koenker 1978), Poisson (exp(z) is the mean),
    binary log loss with labels smoothed by `parameter` (Szegedy et al. 2016, section 7).
    """
    cdef double error = z - y
    if kind == SQUARED_LOSS:
        slope[0] = error
        return 0.5 * error * error
    if kind == BINARY_LOG_LOSS:
        y = (1 - parameter) * y + 0.5 * parameter
        slope[0] = 1.0 / (1.0 + exp(-z)) - y
        return softplus(z) - y * z
    if kind == POISSON_LOSS:
        slope[0] = exp(z) - y
        return exp(z) - y * z
    if kind == HUBER_LOSS and fabs(error) <= parameter:
        slope[0] = error
        return 0.5 * error * error
    if kind == HUBER_LOSS:
        slope[0] = parameter if error > 0 else -parameter
        return parameter * (fabs(error) - 0.5 * parameter)
    if kind == LOG_COSH_LOSS:
        slope[0] = tanh(error)
        return log_cosh(error)
    if kind == QUANTILE_LOSS:
        slope[0] = 0 if error == 0 else 1 - parameter if error > 0 else -parameter
        return slope[0] * error
    # A NaN is neither: it must reach the loss.
    slope[0] = 1 if error > 0 else -1 if error < 0 else error
    return fabs(error)


cdef inline double class_loss(double smoothing, Py_ssize_t n_classes, Py_ssize_t label, const real *z, double w,
                              real *d_z) noexcept nogil:
    """Multinomial log loss with the target (1 - smoothing) one-hot + smoothing / K; w times its slopes to d_z."""
    cdef Py_ssize_t j
    cdef double largest = z[0], normaliser = 0, sum_z = 0, share = smoothing / n_classes
    for j in range(1, n_classes):
        largest = max(largest, <double> z[j])
    for j in range(n_classes):
        normaliser += exp(<double> z[j] - largest)
        sum_z += <double> z[j]
    if d_z != NULL:
        for j in range(n_classes):
            d_z[j] = <real> (w * (exp(<double> z[j] - largest) / normaliser
                                  - ((1.0 - smoothing if j == label else 0.0) + share)))
    return largest + log(normaliser) - ((1.0 - smoothing) * <double> z[label] + share * sum_z)


cdef inline double distilled_point(double temperature, double z, const real *y, double *slope) noexcept nogil:
    """Loss and slope of one output of two classes against a label and a teacher (Hinton et al. 2015).

    The four targets are the shares of the label, negative and positive, and those of the teacher at `temperature`; all
    four sum to one. Cross-entropy with the label, plus temperature^2 times the divergence from the teacher.
    """
    cdef double a0 = y[0], a1 = y[1], b0 = y[2], b1 = y[3], soft = z / temperature, divergence
    slope[0] = ((a0 + a1) / (1.0 + exp(-z)) - a1) + temperature * ((b0 + b1) / (1.0 + exp(-soft)) - b1)
    divergence = b1 * softplus(-soft) + b0 * softplus(soft) + entropy_term(b0, b0 + b1) + entropy_term(b1, b0 + b1)
    return a1 * softplus(-z) + a0 * softplus(z) + temperature * temperature * divergence


cdef inline double entropy_term(double share, double total) noexcept nogil:
    return share * log(share / total) if share > 0 else share


cdef inline double distilled_class_loss(double temperature, Py_ssize_t n_classes, const real *y, const real *z,
                                        double w, real *d_z) noexcept nogil:
    """The same for outputs that share a softmax: a share of each class in the label, then one in the teacher."""
    cdef Py_ssize_t j
    cdef double largest = z[0], hard_sum = 0, soft_sum = 0, a = 0, b = 0, value = 0, divergence = 0, z_j
    for j in range(1, n_classes):
        largest = max(largest, <double> z[j])
    for j in range(n_classes):
        z_j = <double> z[j] - largest
        hard_sum += exp(z_j)
        soft_sum += exp(z_j / temperature)
        a += y[j]
        b += y[n_classes + j]
    for j in range(n_classes):
        z_j = <double> z[j] - largest
        value += y[j] * (log(hard_sum) - z_j)
        divergence += y[n_classes + j] * (log(soft_sum) - z_j / temperature) + entropy_term(y[n_classes + j], b)
        if d_z != NULL:
            d_z[j] = <real> (w * (a * exp(z_j) / hard_sum - y[j]
                                  + temperature * (b * exp(z_j / temperature) / soft_sum - y[n_classes + j])))
    return value + temperature * temperature * divergence


cdef inline double output_loss(int kind, double parameter, double z, const real *y, Py_ssize_t j,
                               double *slope) noexcept nogil:
    """Loss and slope of output j, whose targets stand at its place in y."""
    if kind == DISTILLED_BINARY_LOSS:
        return distilled_point(parameter, z, y + 4 * j, slope)
    return point_loss(kind, parameter, z, y[j], slope)


cdef inline double weighted_outputs(int kind, const double *parameters, Py_ssize_t n_outputs, const real *z,
                                    const real *y, const real *weights, double scale, real *d_z) noexcept nogil:
    """Sum over the outputs of one sample of scale * weight * loss, and its slopes."""
    cdef Py_ssize_t j
    cdef double total = 0, w, slope
    for j in range(n_outputs):
        w, slope = scale * <double> weights[j], 0
        if w != 0:
            total += w * output_loss(kind, parameters[j], z[j], y, j, &slope)
        if d_z != NULL:
            d_z[j] = <real> (w * slope)
    return total


cdef double loss(int kind, const double *parameters, Py_ssize_t n_samples, Py_ssize_t n_outputs, const void *z_rows,
                 Py_ssize_t z_stride, const void *targets, const void *weights, Py_ssize_t n_weights, double scale,
                 void *d_z_rows) noexcept nogil:
    """Sum over samples of scale * weight * loss; writes its gradient to d_z (stride z_stride, NULL: not wanted).

    A sample has one weight (n_weights = 1) or one for each output. Entries of weight 0 are ignored: their targets
    may be NaN.

    Multinomial log loss: (n_samples, 1) class numbers. The others: (n_samples, n_outputs) numbers, the mean over
    outputs. Distilled losses: shares of each class, in the label and in the teacher (`targets_of` has their number).
    Each output has its parameter: delta of the Huber loss, the quantile, the smoothing of log losses, the temperature
    of distilled ones (the first counts for multinomial losses).
    Everything is computed in double.
    """
    cdef Py_ssize_t i, j, n_targets = targets_of(kind, n_outputs)
    cdef const real *z
    cdef const real *y
    cdef real *d_z
    cdef double total = 0, w, value, slope
    cdef const real *row_weights
    for i in range(n_samples):
        z = <const real *> z_rows + i * z_stride
        y = <const real *> targets + i * n_targets
        d_z = <real *> d_z_rows + i * z_stride if d_z_rows != NULL else NULL
        row_weights = <const real *> weights + i * n_weights
        w = scale * <double> row_weights[0]
        if n_weights == 1 and w == 0:
            for j in range(n_outputs if d_z != NULL else 0):
                d_z[j] = 0
            continue
        if kind == DISTILLED_MULTINOMIAL_LOSS:
            total += w * distilled_class_loss(parameters[0], n_outputs, y, z, w, d_z)
        elif is_multinomial(kind):
            total += w * class_loss(parameters[0], n_outputs, <Py_ssize_t> y[0], z, w, d_z)
        elif n_weights == 1:
            value = 0
            for j in range(n_outputs):
                value += output_loss(kind, parameters[j], z[j], y, j, &slope)
                if d_z != NULL:
                    d_z[j] = <real> (w * slope / n_outputs)
            total += w * (value / n_outputs)
        else:
            total += weighted_outputs(kind, parameters, n_outputs, z, y, row_weights, scale / n_outputs, d_z)
    return total
