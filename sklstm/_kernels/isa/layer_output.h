/* A residual connection between a recurrent layer and its reader, row by row. The padding of a row is zero and stays so. */

/* out = (a + b) / sqrt(2), n numbers; out may be a or b. */
static void residual_sum(Py_ssize_t n, const void *a, const void *b, void *out) {
    for (Py_ssize_t i = 0; i < n; i++)
        ((real *)out)[i] = (((const real *)a)[i] + ((const real *)b)[i]) * (real)0.70710678118654752440;
}

/* x /= sqrt(2): from the gradient of residual_sum to that of either term. */
static void residual_backward(Py_ssize_t n, void *x) {
    for (Py_ssize_t i = 0; i < n; i++) ((real *)x)[i] *= (real)0.70710678118654752440;
}

/* a += b */
static void sum_rows(Py_ssize_t n, void *a, const void *b) {
    for (Py_ssize_t i = 0; i < n; i++) ((real *)a)[i] += ((const real *)b)[i];
}
