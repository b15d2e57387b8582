/* Normalisation of a row (Ba et al. 2016) inside a cell, vector by vector. Of each vector of units, `width`
 * vectors side by side take part, from one unit to the next `step` numbers (the sums of a unit that read x, or h; or c alone).
 * Places beyond the last unit are zero and stay so: `tail` shuts their lanes, where a mean would be taken from them.
 */
#define NORM_EPSILON ((real)1e-5) /* PyTorch's: Ba et al. leave it open */

SKLSTM_INLINE vec tail_of(Py_ssize_t n_units, Py_ssize_t stride) {
    vec tail = v_broadcast(0);
    for (int l = 0; l < LANES; l++) LANE(tail, l) = stride - LANES + l < n_units ? (real)1 : (real)0;
    return tail;
}

SKLSTM_INLINE real sum_of_parts(const int width, const vec *part) {
    vec sum = part[0];
    if (width == 4) sum = v_add(v_add(part[0], part[1]), v_add(part[2], part[3]));
    else
        for (int v = 1; v < width; v++) sum = v_add(sum, part[v]);
    /* half on half: one lane after the other would wait for each addition */
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++) LANE(sum, l) += LANE(sum, l + half);
    return LANE(sum, 0);
}

#define EACH_PART _Pragma("GCC unroll 4") for (int v = 0; v < width; v++)

#define EACH_UNIT for (Py_ssize_t u = 0; u < end; u += step)

/* x becomes (x - mean) / sqrt(variance + epsilon); 1 / sqrt(...) is returned. */
SKLSTM_INLINE real normalise_row(const int width, Py_ssize_t step, Py_ssize_t n_units, Py_ssize_t stride, real *row) {
    const vec one = v_broadcast(1), tail = tail_of(n_units, stride);
    const real share = (real)1 / (real)(width * n_units);
    const Py_ssize_t end = stride / LANES * step;
    vec part[4] = {v_broadcast(0), v_broadcast(0), v_broadcast(0), v_broadcast(0)};
    EACH_UNIT EACH_PART part[v] = v_add(part[v], v_load(row + u + v * LANES));
    const vec mean = v_broadcast(sum_of_parts(width, part) * share);
    EACH_PART part[v] = v_broadcast(0);
    EACH_UNIT {
        const vec valid = u + step < end ? one : tail;
        EACH_PART {
            const vec x = v_mul(v_sub(v_load(row + u + v * LANES), mean), valid);
            v_store(row + u + v * LANES, x);
            part[v] = v_fma(x, x, part[v]);
        }
    }
    const real inverse = (real)1 / square_root(sum_of_parts(width, part) * share + NORM_EPSILON);
    const vec scale = v_broadcast(inverse);
    EACH_UNIT EACH_PART v_store(row + u + v * LANES, v_mul(v_load(row + u + v * LANES), scale));
    return inverse;
}

/* The gradient of y = gain N(x): from d (of y) to out (of x), which may be d or x_hat; d_gain collects. */
SKLSTM_INLINE void normalise_row_backward(const int width, Py_ssize_t step, Py_ssize_t n_units, Py_ssize_t stride,
                                          const real *gain, real *d_gain, const real *x_hat, real inverse, const real *d,
                                          real *out) {
    const vec one = v_broadcast(1), tail = tail_of(n_units, stride), scale = v_broadcast(inverse);
    const real share = (real)1 / (real)(width * n_units);
    const Py_ssize_t end = stride / LANES * step;
    vec part[4] = {v_broadcast(0), v_broadcast(0), v_broadcast(0), v_broadcast(0)};
    vec along[4] = {part[0], part[1], part[2], part[3]};
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
        const vec valid = v_mul(u + step < end ? one : tail, scale);
        EACH_PART {
            const Py_ssize_t k = u + v * LANES;
            const vec e = v_sub(v_mul(v_load(d + k), v_load(gain + k)), mean);
            v_store(out + k, v_mul(v_sub(e, v_mul(v_load(x_hat + k), slope)), valid));
        }
    }
}

#undef EACH_UNIT
#undef EACH_PART
