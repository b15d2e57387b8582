# One step of an optimizer on a stretch of the flat vector, in place. Elements are independent of each other.

cdef void adamw_step(const UpdateStep *step) noexcept nogil:
    """AdamW (Loshchilov & Hutter 2019, algorithm 2): first is the mean m, second the mean square v."""
    cdef real *restrict x = <real *> step.x
    cdef const real *restrict d = <const real *> step.gradient
    cdef real *restrict m = <real *> step.first
    cdef real *restrict v = <real *> step.second
    cdef real b1 = <real> step.beta1, b2 = <real> step.beta2, a1 = <real> (1 - step.beta1), a2 = <real> (1 - step.beta2)
    cdef real scale = <real> step.gradient_scale, keep = <real> (1 - step.learning_rate * step.decay)
    cdef real rate = <real> (step.learning_rate / step.correction1), root = <real> (1 / step.correction2)
    cdef real eps = <real> step.epsilon, g
    cdef Py_ssize_t i
    for i in range(step.n):
        g = d[i] * scale
        m[i] = b1 * m[i] + a1 * g
        v[i] = b2 * v[i] + a2 * g * g
        x[i] = keep * x[i] - rate * m[i] / (square_root(v[i] * root) + eps)


cdef void adam_step(const UpdateStep *step) noexcept nogil:
    """Adam (Kingma & Ba 2015, algorithm 1); the decay is a part of the gradient, as an L2 penalty."""
    cdef real *restrict x = <real *> step.x
    cdef const real *restrict d = <const real *> step.gradient
    cdef real *restrict m = <real *> step.first
    cdef real *restrict v = <real *> step.second
    cdef real b1 = <real> step.beta1, b2 = <real> step.beta2, a1 = <real> (1 - step.beta1), a2 = <real> (1 - step.beta2)
    cdef real scale = <real> step.gradient_scale, decay = <real> step.decay, eps = <real> step.epsilon
    cdef real rate = <real> (step.learning_rate / step.correction1), root = <real> (1 / step.correction2), g
    cdef Py_ssize_t i
    for i in range(step.n):
        g = d[i] * scale + decay * x[i]
        m[i] = b1 * m[i] + a1 * g
        v[i] = b2 * v[i] + a2 * g * g
        x[i] = x[i] - rate * m[i] / (square_root(v[i] * root) + eps)


cdef void sgd_step(const UpdateStep *step) noexcept nogil:
    """Gradient descent with momentum (Polyak 1964): first is the velocity, beta1 the momentum; decoupled decay."""
    cdef real *restrict x = <real *> step.x
    cdef const real *restrict d = <const real *> step.gradient
    cdef real *restrict velocity = <real *> step.first
    cdef real momentum = <real> step.beta1, scale = <real> step.gradient_scale, rate = <real> step.learning_rate
    cdef real keep = <real> (1 - step.learning_rate * step.decay)
    cdef Py_ssize_t i
    for i in range(step.n):
        velocity[i] = momentum * velocity[i] + d[i] * scale
        x[i] = keep * x[i] - rate * velocity[i]


cdef void schedule_free_step(const UpdateStep *step) noexcept nogil:
    """Schedule-free AdamW (Defazio et al. 2024, algorithm 1): x holds the point y where gradients are taken, first z.

    The mean of all z, which predictions use, is (y - (1 - beta1) z) / beta1.
    """
    cdef real *restrict y = <real *> step.x
    cdef const real *restrict d = <const real *> step.gradient
    cdef real *restrict z = <real *> step.first
    cdef real *restrict v = <real *> step.second
    cdef real b1 = <real> step.beta1, b2 = <real> step.beta2, a1 = <real> (1 - step.beta1), a2 = <real> (1 - step.beta2)
    cdef real scale = <real> step.gradient_scale, decay = <real> step.decay, eps = <real> step.epsilon
    cdef real rate = <real> step.learning_rate, root = <real> (1 / step.correction2), mixing = <real> step.mixing
    cdef real inverse = <real> (1 / step.beta1), g, mean
    cdef Py_ssize_t i
    for i in range(step.n):
        g = d[i] * scale
        v[i] = b2 * v[i] + a2 * g * g
        mean = (y[i] - a1 * z[i]) * inverse
        z[i] = z[i] - rate * (g / (square_root(v[i] * root) + eps) + decay * y[i])
        mean = mean + mixing * (z[i] - mean)
        y[i] = b1 * mean + a1 * z[i]
