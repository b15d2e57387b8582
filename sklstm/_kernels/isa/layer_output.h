/* What stands between a recurrent layer and its reader: a residual connection and layer normalisation, row by row. Rows hold
 * n_units numbers in `stride` places; the places beyond are zero and stay so. A row sees its own numbers only, in an order of
 * its own, so it has the same bits alone and in a batch.
 */

/* The sum of n_units numbers: the lanes of one accumulator, then the rest. */
SKLSTM_INLINE real sum_of_row(Py_ssize_t n_units, const real *row) {
    const Py_ssize_t whole = n_units - n_units % LANES;
    vec partial = v_broadcast(0);
    real total = 0;
    for (Py_ssize_t u = 0; u < whole; u += LANES) partial = v_add(partial, v_load(row + u));
    for (int l = 0; l < LANES; l++) total += LANE(partial, l);
    for (Py_ssize_t u = whole; u < n_units; u++) total += row[u];
    return total;
}

SKLSTM_INLINE real product_of_rows(Py_ssize_t n_units, const real *a, const real *b) {
    const Py_ssize_t whole = n_units - n_units % LANES;
    vec partial = v_broadcast(0);
    real total = 0;
    for (Py_ssize_t u = 0; u < whole; u += LANES) partial = v_fma(v_load(a + u), v_load(b + u), partial);
    for (int l = 0; l < LANES; l++) total += LANE(partial, l);
    for (Py_ssize_t u = whole; u < n_units; u++) total += a[u] * b[u];
    return total;
}

/* Layer normalisation (Ba et al. 2016, eq. 4) of a row in place: x_hat = (x - mean) / sqrt(variance + epsilon),
 * y = gain x_hat + shift, with gain and shift one after the other, `stride` apart. x_hat gets a copy for the way back (it may
 * be y itself where nothing goes back); the return value is 1 / sqrt(variance + epsilon). */
static double layer_norm(Py_ssize_t n_units, Py_ssize_t stride, const void *gain_shift, double epsilon, void *row,
                         void *normalised) {
    real *y = (real *)row, *x_hat = (real *)normalised;
    const real *gain = (const real *)gain_shift, *shift = gain + stride;
    const real mean = sum_of_row(n_units, y) / (real)n_units;
    for (Py_ssize_t u = 0; u < n_units; u++) x_hat[u] = y[u] - mean;
    const real variance = product_of_rows(n_units, x_hat, x_hat) / (real)n_units;
    const real inverse = (real)1 / square_root(variance + (real)epsilon);
    for (Py_ssize_t u = 0; u < n_units; u++) {
        x_hat[u] *= inverse;
        y[u] = x_hat[u] * gain[u] + shift[u];
    }
    for (Py_ssize_t u = n_units; u < stride; u++) x_hat[u] = y[u] = 0;
    return (double)inverse;
}

/* The way back: d_y becomes d_x; d_gain_shift (gain, then shift) collects. */
static void layer_norm_backward(Py_ssize_t n_units, Py_ssize_t stride, const void *gain_shift, const void *normalised,
                                double inverse, void *d_row, void *d_gain_shift) {
    real *d = (real *)d_row, *d_gain = (real *)d_gain_shift, *d_shift = d_gain + stride;
    const real *gain = (const real *)gain_shift, *x_hat = (const real *)normalised;
    for (Py_ssize_t u = 0; u < n_units; u++) {
        d_gain[u] += d[u] * x_hat[u];
        d_shift[u] += d[u];
        d[u] *= gain[u];
    }
    const real mean = sum_of_row(n_units, d) / (real)n_units;
    const real slope = product_of_rows(n_units, d, x_hat) / (real)n_units;
    for (Py_ssize_t u = 0; u < n_units; u++) d[u] = (real)inverse * (d[u] - mean - x_hat[u] * slope);
    for (Py_ssize_t u = n_units; u < stride; u++) d[u] = 0;
}

/* out = (a + b) / sqrt(2), n numbers; out may be a or b. */
static void residual_sum(Py_ssize_t n, const void *a, const void *b, void *out) {
    for (Py_ssize_t i = 0; i < n; i++)
        ((real *)out)[i] = (((const real *)a)[i] + ((const real *)b)[i]) * (real)0.70710678118654752440;
}

static void sum_rows(Py_ssize_t n, void *a, const void *b) {
    for (Py_ssize_t i = 0; i < n; i++) ((real *)a)[i] += ((const real *)b)[i];
}

/* x /= sqrt(2): what residual_sum hands back to either side. */
static void residual_backward(Py_ssize_t n, void *x) {
    for (Py_ssize_t i = 0; i < n; i++) ((real *)x)[i] *= (real)0.70710678118654752440;
}
