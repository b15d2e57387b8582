# Sums over one tile of a table, for the column statistics (those of the feature selector, and plain moments).
#
# A tile holds `n_rows` consecutive rows (time) of COLUMN_STRIP neighbouring columns, as doubles and
# minus a first estimate of each column's mean, so that squares lose no digits. Earlier rows of the
# same series are right before it in memory: row -k of the tile is k steps in the past (zeros
# where the series had not begun). A strip is narrow enough for a tile to stay in L1 and a constant,
# so that the inner loop over columns becomes whole vectors with no remainder: columns are
# independent of each other, so vectorising over them changes no order of summation.
#
# Everything past the packing is double whatever the table's type: float32 sums over a million rows
# would lose small autocorrelations.


cdef void column_pack(
    Py_ssize_t n_rows,
    Py_ssize_t n_columns,
    const void *rows,
    Py_ssize_t row_stride,
    Py_ssize_t column_stride,
    const double *restrict shift,
    double *restrict tile,
    double *restrict lowest,
    double *restrict highest,
) noexcept nogil:
    """tile (n_rows, COLUMN_STRIP) = rows - shift; lowest and highest are updated.

    Columns from n_columns on become zero, and so are their sums.
    """
    cdef const real *x = <const real *> rows
    cdef Py_ssize_t t, j
    cdef double value
    if n_columns == COLUMN_STRIP and column_stride == 1:
        for t in range(n_rows):
            for j in range(COLUMN_STRIP):
                value = x[j]
                lowest[j] = value if value < lowest[j] else lowest[j]
                highest[j] = value if value > highest[j] else highest[j]
                tile[j] = value - shift[j]
            x += row_stride
            tile += COLUMN_STRIP
        return
    for t in range(n_rows * COLUMN_STRIP):
        tile[t] = 0.0
    # A last, narrow strip, or a table whose columns are not neighbours in memory: column by column,
    # which is how a Fortran-ordered table lies.
    for j in range(n_columns):
        for t in range(n_rows):
            value = x[t * row_stride + j * column_stride]
            lowest[j] = value if value < lowest[j] else lowest[j]
            highest[j] = value if value > highest[j] else highest[j]
            tile[t * COLUMN_STRIP + j] = value - shift[j]


cdef void column_lagged_products(
    Py_ssize_t n_rows,
    Py_ssize_t n_lags,
    const double *restrict present,
    const double *restrict tile,
    double *restrict sums,
) noexcept nogil:
    """sums (n_lags, COLUMN_STRIP) += sum over rows t of present[t] * tile[t - lag].

    present is the tile itself, or the tile with each row times its weight.
    n_rows and n_lags are multiples of 4: the 4 x 4 products of four rows and four lags need only
    seven past rows, so a product costs less than one load, and a sum is touched once for four rows.
    """
    cdef Py_ssize_t lag, t, j
    cdef const double *x
    cdef const double *past
    cdef double *total
    cdef double x0, x1, x2, x3, p0, p1, p2, p3, p4, p5, p6
    for lag in range(0, n_lags, 4):
        total = sums + lag * COLUMN_STRIP
        for t in range(0, n_rows, 4):
            x = present + t * COLUMN_STRIP
            past = tile + (t - lag - 3) * COLUMN_STRIP
            for j in range(COLUMN_STRIP):
                x0 = x[j]
                x1 = x[COLUMN_STRIP + j]
                x2 = x[2 * COLUMN_STRIP + j]
                x3 = x[3 * COLUMN_STRIP + j]
                p0 = past[j]
                p1 = past[COLUMN_STRIP + j]
                p2 = past[2 * COLUMN_STRIP + j]
                p3 = past[3 * COLUMN_STRIP + j]
                p4 = past[4 * COLUMN_STRIP + j]
                p5 = past[5 * COLUMN_STRIP + j]
                p6 = past[6 * COLUMN_STRIP + j]
                total[j] += (x0 * p3 + x1 * p4) + (x2 * p5 + x3 * p6)
                total[COLUMN_STRIP + j] += (x0 * p2 + x1 * p3) + (x2 * p4 + x3 * p5)
                total[2 * COLUMN_STRIP + j] += (x0 * p1 + x1 * p2) + (x2 * p3 + x3 * p4)
                total[3 * COLUMN_STRIP + j] += (x0 * p0 + x1 * p1) + (x2 * p2 + x3 * p3)


cdef void column_target_products(
    Py_ssize_t n_rows,
    Py_ssize_t n_lags,
    const double *restrict tile,
    const double *restrict target,
    double *restrict sums,
) noexcept nogil:
    """sums (n_lags, COLUMN_STRIP) += sum over rows t of target[t] * tile[t - lag].

    The same 4 x 4 products as above, with one series (n_rows,) shared by all columns.
    """
    cdef Py_ssize_t lag, t, j
    cdef const double *past
    cdef double *total
    cdef double y0, y1, y2, y3, p0, p1, p2, p3, p4, p5, p6
    for lag in range(0, n_lags, 4):
        total = sums + lag * COLUMN_STRIP
        for t in range(0, n_rows, 4):
            past = tile + (t - lag - 3) * COLUMN_STRIP
            y0 = target[t]
            y1 = target[t + 1]
            y2 = target[t + 2]
            y3 = target[t + 3]
            for j in range(COLUMN_STRIP):
                p0 = past[j]
                p1 = past[COLUMN_STRIP + j]
                p2 = past[2 * COLUMN_STRIP + j]
                p3 = past[3 * COLUMN_STRIP + j]
                p4 = past[4 * COLUMN_STRIP + j]
                p5 = past[5 * COLUMN_STRIP + j]
                p6 = past[6 * COLUMN_STRIP + j]
                total[j] += (y0 * p3 + y1 * p4) + (y2 * p5 + y3 * p6)
                total[COLUMN_STRIP + j] += (y0 * p2 + y1 * p3) + (y2 * p4 + y3 * p5)
                total[2 * COLUMN_STRIP + j] += (y0 * p1 + y1 * p2) + (y2 * p3 + y3 * p4)
                total[3 * COLUMN_STRIP + j] += (y0 * p0 + y1 * p1) + (y2 * p2 + y3 * p3)


cdef void column_smoothed_moments(
    Py_ssize_t n_rows,
    double decay,
    const double *restrict gain,
    const double *restrict weights,
    const double *restrict tile,
    double *restrict state,
    double *restrict sums,
) noexcept nogil:
    """Run the moving average over the tile and add up what its variances need.

    state (COLUMN_STRIP,) is the weighted sum of the series up to the row before the tile; gain
    (n_rows,) the reciprocal of the sum of the weights in it, so that the average is state * gain.
    sums (4, COLUMN_STRIP) += [x, smooth, smooth^2, (x - smooth)^2], each row times its own of weights (n_rows,).
    """
    cdef Py_ssize_t t, j, n_whole = n_rows - n_rows % 4
    cdef double x0, x1, x2, x3, s0, s1, s2, s3, c0, c1, c2, c3, w0, w1, w2, w3
    # Four rows at a time, so that state and sums are loaded and stored once for four rows.
    for t in range(0, n_whole, 4):
        w0 = weights[t]
        w1 = weights[t + 1]
        w2 = weights[t + 2]
        w3 = weights[t + 3]
        for j in range(COLUMN_STRIP):
            x0 = tile[t * COLUMN_STRIP + j]
            x1 = tile[(t + 1) * COLUMN_STRIP + j]
            x2 = tile[(t + 2) * COLUMN_STRIP + j]
            x3 = tile[(t + 3) * COLUMN_STRIP + j]
            c0 = x0 + decay * state[j]
            c1 = x1 + decay * c0
            c2 = x2 + decay * c1
            c3 = x3 + decay * c2
            state[j] = c3
            s0 = c0 * gain[t]
            s1 = c1 * gain[t + 1]
            s2 = c2 * gain[t + 2]
            s3 = c3 * gain[t + 3]
            sums[j] += (w0 * x0 + w1 * x1) + (w2 * x2 + w3 * x3)
            sums[COLUMN_STRIP + j] += (w0 * s0 + w1 * s1) + (w2 * s2 + w3 * s3)
            sums[2 * COLUMN_STRIP + j] += (w0 * (s0 * s0) + w1 * (s1 * s1)) + (w2 * (s2 * s2) + w3 * (s3 * s3))
            x0 -= s0
            x1 -= s1
            x2 -= s2
            x3 -= s3
            sums[3 * COLUMN_STRIP + j] += (w0 * (x0 * x0) + w1 * (x1 * x1)) + (w2 * (x2 * x2) + w3 * (x3 * x3))
    for t in range(n_whole, n_rows):
        w0 = weights[t]
        for j in range(COLUMN_STRIP):
            x0 = tile[t * COLUMN_STRIP + j]
            c0 = x0 + decay * state[j]
            state[j] = c0
            s0 = c0 * gain[t]
            sums[j] += w0 * x0
            sums[COLUMN_STRIP + j] += w0 * s0
            sums[2 * COLUMN_STRIP + j] += w0 * (s0 * s0)
            x0 -= s0
            sums[3 * COLUMN_STRIP + j] += w0 * (x0 * x0)


cdef void column_moments(
    Py_ssize_t n_rows,
    double total,
    const double *restrict weights,
    const double *restrict scale,
    const double *restrict origin,
    double *restrict tile,
    double *restrict means,
    double *restrict squares,
) noexcept nogil:
    """Weighted means (COLUMN_STRIP,) of one tile, and weighted sums of squares around them, in two passes over L1.

    weights (n_rows,) sum to total > 0. The tile is multiplied by scale (COLUMN_STRIP,) and taken relative to origin
    (COLUMN_STRIP,), and so are the means: numbers that all equal the origin have exactly the mean 0 and squares 0.
    """
    cdef Py_ssize_t t, j
    cdef double *x
    cdef double deviation
    for j in range(COLUMN_STRIP):
        means[j] = 0.0
        squares[j] = 0.0
    for t in range(n_rows):
        x = tile + t * COLUMN_STRIP
        for j in range(COLUMN_STRIP):
            x[j] = x[j] * scale[j] - origin[j]
            means[j] += weights[t] * x[j]
    for j in range(COLUMN_STRIP):
        means[j] /= total
    for t in range(n_rows):
        x = tile + t * COLUMN_STRIP
        for j in range(COLUMN_STRIP):
            deviation = x[j] - means[j]
            squares[j] += weights[t] * (deviation * deviation)
