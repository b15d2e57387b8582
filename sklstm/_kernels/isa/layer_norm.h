/* Layer normalisation (Ba et al. 2016, eq. 4) of one row: N(x) = (x - mean) / sqrt(variance + epsilon), and that by the root
 * mean square alone.
 *
 * layer_norm is that of a whole row, between layers; normalise_row is that of some of the sums of every unit, inside a cell.
 * The two add their numbers in different orders (a row without gaps here, vectors of interleaved sums there), so they cannot be
 * one function without changing results. A row's result depends on that row alone.
 */
#define NORM_EPSILON ((real)1e-5) /* PyTorch's: Ba et al. leave it open */

/* 1 / standard deviation, from the variance */
SKLSTM_INLINE real inverse_deviation(real variance) { return (real)1 / square_root(variance + NORM_EPSILON); }

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

SKLSTM_INLINE real dot_product(Py_ssize_t n_units, const real *a, const real *b) {
    const Py_ssize_t whole = n_units - n_units % LANES;
    vec partial = v_broadcast(0);
    real total = 0;
    for (Py_ssize_t u = 0; u < whole; u += LANES) partial = v_fma(v_load(a + u), v_load(b + u), partial);
    for (int l = 0; l < LANES; l++) total += LANE(partial, l);
    for (Py_ssize_t u = whole; u < n_units; u++) total += a[u] * b[u];
    return total;
}

/* y = gain N(x) + shift of a row in place; gain_shift holds the gain, then the shift, `stride` apart. N(x) is stored in
 * `normalised` for backward (in prediction this may be the row itself); returns 1 / deviation. Padding up to the stride becomes
 * zero. */
static double layer_norm(Py_ssize_t n_units, Py_ssize_t stride, const void *gain_shift, void *row, void *normalised) {
    real *y = (real *)row, *x_hat = (real *)normalised;
    const real *gain = (const real *)gain_shift, *shift = gain + stride;
    const real mean = sum_of_row(n_units, y) / (real)n_units;
    for (Py_ssize_t u = 0; u < n_units; u++) x_hat[u] = y[u] - mean;
    const real inverse = inverse_deviation(dot_product(n_units, x_hat, x_hat) / (real)n_units);
    for (Py_ssize_t u = 0; u < n_units; u++) {
        x_hat[u] *= inverse;
        y[u] = x_hat[u] * gain[u] + shift[u];
    }
    for (Py_ssize_t u = n_units; u < stride; u++) x_hat[u] = y[u] = 0;
    return (double)inverse;
}

/* d_row: in, the gradient of y; out, that of x. The gradients of gain and shift are added to d_gain_shift. */
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
    const real slope = dot_product(n_units, d, x_hat) / (real)n_units;
    for (Py_ssize_t u = 0; u < n_units; u++) d[u] = (real)inverse * (d[u] - mean - x_hat[u] * slope);
    for (Py_ssize_t u = n_units; u < stride; u++) d[u] = 0;
}

/* Root mean square normalisation (Zhang & Sennrich 2019, eq. 4) of a row in place: y = gain x / sqrt(mean(x^2) + epsilon).
 * Arguments and value are those of layer_norm, but that there is no shift. */
static double rms_norm(Py_ssize_t n_units, Py_ssize_t stride, const void *gains, void *row, void *normalised) {
    real *y = (real *)row, *x_hat = (real *)normalised;
    const real *gain = (const real *)gains;
    const real inverse = inverse_deviation(dot_product(n_units, y, y) / (real)n_units);
    for (Py_ssize_t u = 0; u < n_units; u++) {
        x_hat[u] = y[u] * inverse;
        y[u] = x_hat[u] * gain[u];
    }
    for (Py_ssize_t u = n_units; u < stride; u++) x_hat[u] = y[u] = 0;
    return (double)inverse;
}

static void rms_norm_backward(Py_ssize_t n_units, Py_ssize_t stride, const void *gains, const void *normalised, double inverse,
                              void *d_row, void *d_gains) {
    real *d = (real *)d_row, *d_gain = (real *)d_gains;
    const real *gain = (const real *)gains, *x_hat = (const real *)normalised;
    for (Py_ssize_t u = 0; u < n_units; u++) {
        d_gain[u] += d[u] * x_hat[u];
        d[u] *= gain[u];
    }
    const real slope = dot_product(n_units, d, x_hat) / (real)n_units;
    for (Py_ssize_t u = 0; u < n_units; u++) d[u] = (real)inverse * (d[u] - x_hat[u] * slope);
    for (Py_ssize_t u = n_units; u < stride; u++) d[u] = 0;
}

/* From here on: `width` neighbouring vectors of each vector of units take part, `step` numbers from one unit to the next (the
 * sums of a unit that read x, or h; or the state c alone). Padding beyond the last unit is zero and stays so: where the mean
 * is subtracted, `last_lanes` masks it. */

SKLSTM_INLINE vec lanes_of_last_vector(Py_ssize_t n_units, Py_ssize_t stride) {
    vec valid = v_broadcast(0);
    for (int l = 0; l < LANES; l++) LANE(valid, l) = stride - LANES + l < n_units ? (real)1 : (real)0;
    return valid;
}

SKLSTM_INLINE real sum_of_parts(const int width, const vec *part) {
    vec sum = part[0];
    if (width == 4) sum = v_add(v_add(part[0], part[1]), v_add(part[2], part[3]));
    else
        for (int v = 1; v < width; v++) sum = v_add(sum, part[v]);
    /* as a tree: one lane after the other would wait for each addition */
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++) LANE(sum, l) += LANE(sum, l + half);
    return LANE(sum, 0);
}

enum { MOST_PARTS = 12 }; /* sums of a unit: MAX_SUMS of cells/cell.h */
#define EACH_PART _Pragma("GCC unroll 4") for (int v = 0; v < width; v++)

#define EACH_UNIT for (Py_ssize_t u = 0; u < end; u += step)

SKLSTM_INLINE real normalise_vectors(const int width, Py_ssize_t step, Py_ssize_t n_units, Py_ssize_t stride, real *row,
                                     const real *gain, real *sums) {
    const vec one = v_broadcast(1), last_lanes = lanes_of_last_vector(n_units, stride);
    const real share = (real)1 / (real)(width * n_units);
    const Py_ssize_t end = stride / LANES * step;
    vec part[MOST_PARTS];
    EACH_PART part[v] = v_broadcast(0);
    EACH_UNIT EACH_PART part[v] = v_add(part[v], v_load(row + u + v * LANES));
    const vec mean = v_broadcast(sum_of_parts(width, part) * share);
    EACH_PART part[v] = v_broadcast(0);
    EACH_UNIT {
        const vec valid = u + step < end ? one : last_lanes;
        EACH_PART {
            const vec x = v_mul(v_sub(v_load(row + u + v * LANES), mean), valid);
            v_store(row + u + v * LANES, x);
            part[v] = v_fma(x, x, part[v]);
        }
    }
    const real inverse = inverse_deviation(sum_of_parts(width, part) * share);
    const vec scale = v_broadcast(inverse);
    EACH_UNIT EACH_PART {
        const Py_ssize_t k = u + v * LANES;
        const vec x_hat = v_mul(v_load(row + k), scale);
        v_store(row + k, x_hat);
        if (sums) v_store(sums + k, v_fma(v_load(gain + k), x_hat, v_load(sums + k)));
    }
    return inverse;
}

SKLSTM_INLINE void normalise_vectors_backward(const int width, Py_ssize_t step, Py_ssize_t n_units, Py_ssize_t stride,
                                              const real *gain, real *d_gain, const real *x_hat, real inverse, const real *d,
                                              real *out) {
    const vec one = v_broadcast(1), last_lanes = lanes_of_last_vector(n_units, stride), scale = v_broadcast(inverse);
    const real share = (real)1 / (real)(width * n_units);
    const Py_ssize_t end = stride / LANES * step;
    vec part[MOST_PARTS], along[MOST_PARTS];
    EACH_PART part[v] = along[v] = v_broadcast(0);
    EACH_UNIT EACH_PART {
        const Py_ssize_t k = u + v * LANES;
        const vec d_y = v_load(d + k), x = v_load(x_hat + k), e = v_mul(d_y, v_load(gain + k));
        v_store(d_gain + k, v_fma(d_y, x, v_load(d_gain + k)));
        part[v] = v_add(part[v], e);
        along[v] = v_fma(e, x, along[v]);
    }
    const vec mean = v_broadcast(sum_of_parts(width, part) * share);
    const vec slope = v_broadcast(sum_of_parts(width, along) * share);
    EACH_UNIT {
        const vec valid = v_mul(u + step < end ? one : last_lanes, scale);
        EACH_PART {
            const Py_ssize_t k = u + v * LANES;
            const vec e = v_sub(v_mul(v_load(d + k), v_load(gain + k)), mean);
            v_store(out + k, v_mul(v_sub(e, v_mul(v_load(x_hat + k), slope)), valid));
        }
    }
}

#undef EACH_UNIT
#undef EACH_PART

/* One vector of each vector of units: x becomes N(x); returns 1 / deviation. */
static real normalise_row(Py_ssize_t n_units, Py_ssize_t stride, real *row) {
    return normalise_vectors(1, LANES, n_units, stride, row, NULL, NULL);
}

/* x becomes N(x), and sums += gain N(x); returns 1 / deviation. */
static real add_normalised_row(int width, Py_ssize_t step, Py_ssize_t n_units, Py_ssize_t stride, real *row, const real *gain,
                               real *sums) {
    switch (width) {
        case 4: return normalise_vectors(4, step, n_units, stride, row, gain, sums);
        case 3: return normalise_vectors(3, step, n_units, stride, row, gain, sums);
        case 2: return normalise_vectors(2, step, n_units, stride, row, gain, sums);
        case 1: return normalise_vectors(1, step, n_units, stride, row, gain, sums);
        default: return normalise_vectors(width, step, n_units, stride, row, gain, sums);
    }
}

/* The gradient of y = gain N(x): from d (of y) to out (of x), which may be d or x_hat; that of the gain is added to d_gain. */
static void normalise_row_backward(int width, Py_ssize_t step, Py_ssize_t n_units, Py_ssize_t stride, const real *gain,
                                   real *d_gain, const real *x_hat, real inverse, const real *d, real *out) {
    switch (width) {
        case 4: normalise_vectors_backward(4, step, n_units, stride, gain, d_gain, x_hat, inverse, d, out); break;
        case 3: normalise_vectors_backward(3, step, n_units, stride, gain, d_gain, x_hat, inverse, d, out); break;
        case 2: normalise_vectors_backward(2, step, n_units, stride, gain, d_gain, x_hat, inverse, d, out); break;
        case 1: normalise_vectors_backward(1, step, n_units, stride, gain, d_gain, x_hat, inverse, d, out); break;
        default: normalise_vectors_backward(width, step, n_units, stride, gain, d_gain, x_hat, inverse, d, out);
    }
}
