# Dense products on the register tile: rows by panels, and the outer products of gradients.

cdef extern from "isa/kernels.h" nogil:
    int tile_rows(int vecs, Py_ssize_t left) noexcept
    void product_tile(int rows, int vecs, int add, Py_ssize_t n_k, const real **a, const real *panel, real *out,
                      Py_ssize_t out_stride) noexcept
    void outer_tile(int rows, Py_ssize_t n_pairs, const real *a, Py_ssize_t a_stride, const real *d,
                    Py_ssize_t d_stride, real *out) noexcept


cdef void product(Py_ssize_t n_rows, Py_ssize_t n_k, Py_ssize_t n_vecs, const void *a, Py_ssize_t a_stride,
                  const void *panels, void *out, Py_ssize_t out_stride, bint add) noexcept nogil:
    """out (n_rows, n_vecs lanes) = a (n_rows, n_k) @ panels, or added to what out holds."""
    cdef Py_ssize_t first, r, i
    cdef const real *rows[16]
    cdef int count, vecs
    for first in range(0, n_vecs, 4):
        vecs = <int> min(n_vecs - first, <Py_ssize_t> 4)
        r = 0
        while r < n_rows:
            count = tile_rows(vecs, n_rows - r)
            for i in range(count):
                rows[i] = <const real *> a + (r + i) * a_stride
            product_tile(count, vecs, add, n_k, rows, <const real *> panels + first * n_k * LANES,
                         <real *> out + r * out_stride + first * LANES, out_stride)
            r += count


cdef inline void outer_panel(Py_ssize_t n_pairs, Py_ssize_t n_k, const real *a, Py_ssize_t a_stride, const real *d,
                             Py_ssize_t d_stride, real *panel) noexcept nogil:
    cdef Py_ssize_t k = 0
    while k < n_k:
        outer_tile(<int> min(n_k - k, <Py_ssize_t> TILE_ROWS), n_pairs, a + k, a_stride, d, d_stride,
                   panel + k * 4 * LANES)
        k += TILE_ROWS


cdef void outer(Py_ssize_t n_pairs, Py_ssize_t n_k, Py_ssize_t n_panels, const void *a, Py_ssize_t a_stride,
                const void *d, Py_ssize_t d_stride, void *panels) noexcept nogil:
    """panels (n_panels, n_k, 4 lanes) += sum over pairs of rows of a^T d."""
    cdef Py_ssize_t p, width = 4 * LANES
    for p in range(n_panels):
        outer_panel(n_pairs, n_k, <const real *> a, a_stride, <const real *> d + p * width, d_stride,
                    <real *> panels + p * n_k * width)


cdef void pack_dense(const void *weight, Py_ssize_t n_rows, Py_ssize_t n_columns, Py_ssize_t row_stride,
                     Py_ssize_t column_stride, void *panels) noexcept nogil:
    """A (n_rows, n_columns) matrix of any strides -> (panels, n_rows, 4 lanes), zeros beyond the last column."""
    cdef Py_ssize_t width = 4 * LANES, n_panels = (n_columns + width - 1) // width
    cdef Py_ssize_t p, k, j
    cdef real *out = <real *> panels
    for p in range(n_panels):
        for k in range(n_rows):
            for j in range(width):
                if p * width + j < n_columns:
                    out[j] = (<const real *> weight)[k * row_stride + (p * width + j) * column_stride]
                else:
                    out[j] = 0
            out += width


cdef void unpack_dense(const void *panels, Py_ssize_t n_columns, Py_ssize_t n_rows, void *weight) noexcept nogil:
    """The way back of pack_dense for a row-major weight (n_rows, n_columns) that maps columns to rows."""
    cdef Py_ssize_t width = 4 * LANES, k, j
    cdef const real *column
    for j in range(n_rows):
        column = <const real *> panels + (j // width) * n_columns * width + j % width
        for k in range(n_columns):
            (<real *> weight)[j * n_columns + k] = column[k * width]
