/* Row maths of the variants of the LSTM cell, one sample and one step at a time (lstm.h has the plain cell):
 *   peepholes (Gers & Schmidhuber 2000; Sak et al. 2014)  i, f see p_i c_{t-1}, p_f c_{t-1}; o sees p_o c_new
 *   normalised sums (Ba et al. 2016, eqs 20-22)           z = a_x N(W_ih x) + a_h N(W_hh h) + b
 *   normalised cell (the same)                            m = o tanh(a_c N(c_new) + b_c)
 *   zoneout (Krueger et al. 2017, eqs 3-4)                c_t = k c_{t-1} + (1 - k) c_new, and so h; m is made of c_new
 * with c_new = f c_{t-1} + i g, N the normalisation of a row to mean 0 and variance 1. k is a row of zeros and ones while
 * training and the rate itself in prediction, so one formula serves both. An option that is off is a NULL.
 * The projection (h_new = W_hr m) and recurrent dropout stand in variant.pxi.
 * A row holds n_units numbers in `stride` places (four times as many for gates, in panel order). Places beyond are zero and
 * stay so: `tail` shuts their lanes in the last panel, where a mean would be taken from them.
 */
#define NORM_EPSILON ((real)1e-5) /* PyTorch's: Ba et al. leave it open */

SKLSTM_INLINE vec tail_of(Py_ssize_t n_units, Py_ssize_t stride) {
    vec tail = v_broadcast(0);
    for (int l = 0; l < LANES; l++) LANE(tail, l) = stride - LANES + l < n_units ? (real)1 : (real)0;
    return tail;
}

SKLSTM_INLINE real sum_of_parts(const int width, const vec *part) {
    vec sum = width == 4 ? v_add(v_add(part[0], part[1]), v_add(part[2], part[3])) : part[0];
    /* half on half: one lane after the other would wait for each addition */
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++) LANE(sum, l) += LANE(sum, l + half);
    return LANE(sum, 0);
}

#define EACH_PART _Pragma("GCC unroll 4") for (int v = 0; v < width; v++)

/* x becomes (x - mean) / sqrt(variance + epsilon); 1 / sqrt(...) is returned. A panel has `width` vectors: 4 for the sums of
 * the gates, 1 for c. */
SKLSTM_INLINE real normalise_row(const int width, Py_ssize_t n_units, Py_ssize_t stride, real *row) {
    const vec one = v_broadcast(1), tail = tail_of(n_units, stride);
    const real share = (real)1 / (real)(width * n_units);
    const Py_ssize_t step = width * LANES, end = width * stride;
    vec part[4] = {v_broadcast(0), v_broadcast(0), v_broadcast(0), v_broadcast(0)};
    for (Py_ssize_t u = 0; u < end; u += step) EACH_PART part[v] = v_add(part[v], v_load(row + u + v * LANES));
    const vec mean = v_broadcast(sum_of_parts(width, part) * share);
    EACH_PART part[v] = v_broadcast(0);
    for (Py_ssize_t u = 0; u < end; u += step) {
        const vec valid = u + step < end ? one : tail;
        EACH_PART {
            const vec x = v_mul(v_sub(v_load(row + u + v * LANES), mean), valid);
            v_store(row + u + v * LANES, x);
            part[v] = v_fma(x, x, part[v]);
        }
    }
    const real inverse = (real)1 / square_root(sum_of_parts(width, part) * share + NORM_EPSILON);
    const vec scale = v_broadcast(inverse);
    for (Py_ssize_t u = 0; u < end; u += LANES) v_store(row + u, v_mul(v_load(row + u), scale));
    return inverse;
}

/* The way back of y = gain N(x): from d (of y) to out (of x), which may be d or x_hat; d_gain collects. */
SKLSTM_INLINE void normalise_back(const int width, Py_ssize_t n_units, Py_ssize_t stride, const real *gain, real *d_gain,
                                  const real *x_hat, real inverse, const real *d, real *out) {
    const vec one = v_broadcast(1), tail = tail_of(n_units, stride), scale = v_broadcast(inverse);
    const real share = (real)1 / (real)(width * n_units);
    const Py_ssize_t step = width * LANES, end = width * stride;
    vec part[4] = {v_broadcast(0), v_broadcast(0), v_broadcast(0), v_broadcast(0)};
    vec along[4] = {part[0], part[1], part[2], part[3]};
    for (Py_ssize_t u = 0; u < end; u += step) EACH_PART {
        const Py_ssize_t k = u + v * LANES;
        const vec d_y = v_load(d + k), x = v_load(x_hat + k), e = v_mul(d_y, v_load(gain + k));
        v_store(d_gain + k, v_fma(d_y, x, v_load(d_gain + k)));
        part[v] = v_add(part[v], e);
        along[v] = v_fma(e, x, along[v]);
    }
    const vec mean = v_broadcast(sum_of_parts(width, part) * share);
    const vec slope = v_broadcast(sum_of_parts(width, along) * share);
    for (Py_ssize_t u = 0; u < end; u += step) {
        const vec valid = v_mul(u + step < end ? one : tail, scale);
        EACH_PART {
            const Py_ssize_t k = u + v * LANES;
            const vec e = v_sub(v_mul(v_load(d + k), v_load(gain + k)), mean);
            v_store(out + k, v_mul(v_sub(e, v_mul(v_load(x_hat + k), slope)), valid));
        }
    }
}

/* sums = bias + gain_x N(x) + gain_h N(h) of the products x and h, which are normalised in place; gains: x's, then h's.
 * sums may be x or h where nothing goes back. */
static void normalised_sums(Py_ssize_t n_units, Py_ssize_t stride, const real *gains, const real *bias, real *x, real *h,
                            real *inverses, real *sums) {
    const real *gain_h = gains + 4 * stride;
    inverses[0] = normalise_row(4, n_units, stride, x);
    inverses[1] = normalise_row(4, n_units, stride, h);
    for (Py_ssize_t k = 0; k < 4 * stride; k += LANES) {
        const vec sum = v_fma(v_load(gains + k), v_load(x + k), v_load(bias + k));
        v_store(sums + k, v_fma(v_load(gain_h + k), v_load(h + k), sum));
    }
}

/* d_sums becomes the gradient of the product x, and h that of the product h. */
static void normalised_sums_backward(Py_ssize_t n_units, Py_ssize_t stride, const real *gains, real *d_gains,
                                     const real *x, real *h, const real *inverses, real *d_sums) {
    const Py_ssize_t end = 4 * stride;
    normalise_back(4, n_units, stride, gains + end, d_gains + end, h, inverses[1], d_sums, h);
    normalise_back(4, n_units, stride, gains, d_gains, x, inverses[0], d_sums, d_sums);
}

/* kept previous + (1 - kept) fresh; exactly one of the two where kept is 0 or 1 */
SKLSTM_INLINE vec mix(vec kept, vec previous, vec fresh) {
    return v_fma(kept, previous, v_mul(v_sub(v_broadcast(1), kept), fresh));
}

static void mix_row(Py_ssize_t stride, const real *kept, const real *previous, const real *fresh, real *out) {
    for (Py_ssize_t u = 0; u < stride; u += LANES)
        v_store(out + u, mix(v_load(kept + u), v_load(previous + u), v_load(fresh + u)));
}

/* The gradient of h_t (d_h, and what the layer above asks for, or NULL) to that of the fresh h; with zoneout (kept not NULL)
 * `direct` gets what goes to h_{t-1}. fresh may be d_h. */
static void split_row(Py_ssize_t stride, const real *d_h, const real *above, const real *kept, real *direct, real *fresh) {
    for (Py_ssize_t u = 0; u < stride; u += LANES) {
        vec d = v_load(d_h + u);
        if (above) d = v_add(d, v_load(above + u));
        if (kept) {
            const vec k = v_load(kept + u);
            v_store(direct + u, v_mul(k, d));
            d = v_mul(v_sub(v_broadcast(1), k), d);
        }
        v_store(fresh + u, d);
    }
}

/* out = scale x + direct, where NULL stands for ones and zeros; out may be x */
static void scale_row(Py_ssize_t stride, const real *x, const real *scale, const real *direct, real *out) {
    for (Py_ssize_t u = 0; u < stride; u += LANES) {
        vec value = v_load(x + u);
        if (scale) value = v_mul(value, v_load(scale + u));
        if (direct) value = v_add(value, v_load(direct + u));
        v_store(out + u, value);
    }
}

/* n output gates side by side, from their sums */
SKLSTM_INLINE void open_outputs(const int n, real *gates) {
    vec o[SIDE_BY_SIDE];
    EACH o[j] = v_load(gates + (4 * j + 3) * LANES);
    v_sigmoid(n, o);
    EACH v_store(gates + (4 * j + 3) * LANES, o[j]);
}

/* m = o tanh(.) of n vectors side by side; tanh_c holds its argument */
SKLSTM_INLINE void emit(const int n, const real *gates, real *tanh_c, real *m) {
    vec c[SIDE_BY_SIDE];
    EACH c[j] = v_load(tanh_c + j * LANES);
    v_tanh(n, c);
    EACH v_store(tanh_c + j * LANES, c[j]);
    EACH v_store(m + j * LANES, v_mul(v_load(gates + (4 * j + 3) * LANES), c[j]));
}

/* gates: the sums, overwritten by i, f, g, o. peepholes: of i, f, o, a stride apart. norm: gain and shift of c, a stride
 * apart; normalised gets N(c_new) (it may be tanh_c where nothing goes back), the return value is its 1 / deviation.
 * c_prev may be c_next. */
static real variant_cell_forward(Py_ssize_t n_units, Py_ssize_t stride, const real *peepholes, const real *norm,
                                 const real *kept, real *gates, const real *c_prev, real *c_next, real *tanh_c,
                                 real *normalised, real *m) {
    const Py_ssize_t together = SIDE_BY_SIDE * LANES, whole = stride - stride % together;
    real *fresh = norm ? normalised : tanh_c, inverse = 0;
    for (Py_ssize_t u = 0; u < stride; u += LANES) {
        real *q = gates + 4 * u;
        vec z[4] = {v_load(q), v_load(q + LANES), v_load(q + 2 * LANES), v_load(q + 3 * LANES)};
        const vec before = v_load(c_prev + u), sum_o = z[3];
        if (peepholes) {
            z[0] = v_fma(v_load(peepholes + u), before, z[0]);
            z[1] = v_fma(v_load(peepholes + stride + u), before, z[1]);
        }
        v_gates(z);
        const vec c = v_fma(z[1], before, v_mul(z[0], z[2]));
        if (peepholes) z[3] = v_fma(v_load(peepholes + 2 * stride + u), c, sum_o);
        for (int g = 0; g < 4; g++) v_store(q + g * LANES, z[g]);
        v_store(fresh + u, c);
        v_store(c_next + u, kept ? mix(v_load(kept + u), before, c) : c);
    }
    if (peepholes) {
        for (Py_ssize_t u = 0; u < whole; u += together) open_outputs(SIDE_BY_SIDE, gates + 4 * u);
        for (Py_ssize_t u = whole; u < stride; u += LANES) open_outputs(1, gates + 4 * u);
    }
    if (norm) {
        inverse = normalise_row(1, n_units, stride, normalised);
        for (Py_ssize_t u = 0; u < stride; u += LANES)
            v_store(tanh_c + u, v_fma(v_load(norm + u), v_load(normalised + u), v_load(norm + stride + u)));
    }
    for (Py_ssize_t u = 0; u < whole; u += together) emit(SIDE_BY_SIDE, gates + 4 * u, tanh_c + u, m + u);
    for (Py_ssize_t u = whole; u < stride; u += LANES) emit(1, gates + 4 * u, tanh_c + u, m + u);
    return inverse;
}

/* d_y, the gradient of the argument of the tanh, and from it that of c_new: both in `slope` */
SKLSTM_INLINE void cell_norm_backward(Py_ssize_t n_units, Py_ssize_t stride, const real *norm, real *d_norm,
                                      const real *gates, const real *tanh_c, const real *normalised, real inverse,
                                      const real *d_m, real *slope) {
    for (Py_ssize_t u = 0; u < stride; u += LANES) {
        const vec t = v_load(tanh_c + u), o = v_load(gates + 4 * u + 3 * LANES);
        const vec d_y = v_mul(v_load(d_m + u), v_mul(o, v_sub(v_broadcast(1), v_mul(t, t))));
        v_store(slope + u, d_y);
        v_store(d_norm + stride + u, v_add(v_load(d_norm + stride + u), d_y));
    }
    normalise_back(1, n_units, stride, norm, d_norm, normalised, inverse, slope, slope);
}

SKLSTM_INLINE void collect(real *sum, vec a, vec b) { v_store(sum, v_fma(a, b, v_load(sum))); }

/* gates is overwritten by the gradient of the sums, d_c (of c_t) by that of c_{t-1}; d_bias, d_peepholes and d_norm collect.
 * d_m is the whole gradient of m. slope: scratch of a row, used where there is a norm. */
static void variant_cell_backward(Py_ssize_t n_units, Py_ssize_t stride, const real *peepholes, real *d_peepholes,
                                  const real *norm, real *d_norm, const real *kept, real *gates, const real *c_prev,
                                  const real *tanh_c, const real *normalised, real inverse, const real *d_m, real *d_c,
                                  real *d_bias, real *slope) {
    const vec one = v_broadcast(1);
    if (norm) cell_norm_backward(n_units, stride, norm, d_norm, gates, tanh_c, normalised, inverse, d_m, slope);
    for (Py_ssize_t u = 0; u < stride; u += LANES, gates += 4 * LANES, d_bias += 4 * LANES) {
        const vec i = v_load(gates), f = v_load(gates + LANES);
        const vec g = v_load(gates + 2 * LANES), o = v_load(gates + 3 * LANES);
        const vec t = v_load(tanh_c + u), dm = v_load(d_m + u), before = v_load(c_prev + u);
        const vec d_o = v_mul(v_mul(dm, t), v_mul(o, v_sub(one, o)));
        vec dc = v_load(d_c + u), direct = v_broadcast(0);
        if (kept) {
            const vec k = v_load(kept + u);
            direct = v_mul(k, dc);
            dc = v_mul(v_sub(one, k), dc);
        }
        dc = norm ? v_add(v_load(slope + u), dc) : v_fma(dm, v_mul(o, v_sub(one, v_mul(t, t))), dc);
        if (peepholes) dc = v_fma(v_load(peepholes + 2 * stride + u), d_o, dc);
        const vec d_i = v_mul(v_mul(dc, g), v_mul(i, v_sub(one, i)));
        const vec d_f = v_mul(v_mul(dc, before), v_mul(f, v_sub(one, f)));
        const vec d_g = v_mul(v_mul(dc, i), v_sub(one, v_mul(g, g)));
        vec d_before = v_fma(dc, f, direct);
        if (peepholes) {
            d_before = v_fma(v_load(peepholes + u), d_i, d_before);
            d_before = v_fma(v_load(peepholes + stride + u), d_f, d_before);
            collect(d_peepholes + u, d_i, before);
            collect(d_peepholes + stride + u, d_f, before);
            collect(d_peepholes + 2 * stride + u, d_o, v_fma(f, before, v_mul(i, g)));
        }
        v_store(d_c + u, d_before);
        const vec d_gates[4] = {d_i, d_f, d_g, d_o};
        for (int v = 0; v < 4; v++) {
            v_store(gates + v * LANES, d_gates[v]);
            v_store(d_bias + v * LANES, v_add(v_load(d_bias + v * LANES), d_gates[v]));
        }
    }
}
