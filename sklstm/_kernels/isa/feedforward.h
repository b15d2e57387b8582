/* The gated units of a feedforward block, SwiGLU (Shazeer 2020, eq. 6), of one row: y = silu(a) b, silu(a) = a sigmoid(a). A row
 * of sums holds a, then b, n numbers each. */

/* y, n numbers; zeros behind them up to the stride. */
static void swiglu(Py_ssize_t n, Py_ssize_t stride, const void *sums, void *out) {
    const real *a = (const real *)sums, *b = a + n;
    real *y = (real *)out;
    sigmoid_array(n, a, y);
    for (Py_ssize_t u = 0; u < n; u++) y[u] = a[u] * y[u] * b[u];
    for (Py_ssize_t u = n; u < stride; u++) y[u] = 0;
}

/* From the gradient of y to that of the sums, 2 n numbers; zeros behind them up to the stride. */
static void swiglu_backward(Py_ssize_t n, Py_ssize_t stride, const void *sums, const void *d_out, void *d_sums) {
    const real *a = (const real *)sums, *b = a + n, *d = (const real *)d_out;
    real *d_a = (real *)d_sums, *d_b = d_a + n;
    sigmoid_array(n, a, d_a);
    for (Py_ssize_t u = 0; u < n; u++) {
        const real s = d_a[u], silu = a[u] * s;
        d_b[u] = d[u] * silu;
        d_a[u] = d[u] * b[u] * (s + silu * ((real)1 - s));
    }
    for (Py_ssize_t u = 2 * n; u < stride; u++) d_a[u] = 0;
}
