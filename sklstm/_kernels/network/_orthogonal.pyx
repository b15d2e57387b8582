"""Random orthogonal matrices: products of Householder reflections, by the dense products of the other kernels.

No BLAS and no LAPACK: these round differently from machine to machine and with the number of their threads, which is
a state of the whole process.
"""

from libc.math cimport fabs, sqrt

from sklstm._kernels.core._pool cimport pool_run_attended
from sklstm._kernels._table cimport KernelTable

include "../core/buffers.pxi"
include "../core/signals.pxi"

cdef enum:
    # Reflections that are applied together: a multiple of the columns of a panel, whatever the instruction set.
    BLOCK = 32
    # Multiplications from which several threads are worth waking.
    SHARED_WORK = 1 << 20


cdef struct Reflections:
    # Q <- (I - V T V^T) Q for a block of reflections, V (n_rows, BLOCK); Q in panels of `width` columns
    const KernelTable *kernels
    SignalWatch *watch
    Py_ssize_t n_block           # reflections in this block
    Py_ssize_t n_rows            # rows and columns that they change: the last ones
    Py_ssize_t width
    const double *v
    const double *folded         # like v: -V T
    double *panels               # the first changed row of the first changed panel
    Py_ssize_t panel_size
    double *scratch              # BLOCK * width numbers for each worker


cdef struct Unpacking:
    SignalWatch *watch
    const double *panels
    Py_ssize_t n_rows, n_columns, width
    void *out                    # (n_rows, n_columns)
    bint is_single


cdef void attend_reflections(void *context) noexcept nogil:
    must_stop((<Reflections *> context).watch, 0)


cdef void attend_unpacking(void *context) noexcept nogil:
    must_stop((<Unpacking *> context).watch, 0)


cdef void reflect_panel(void *context, int task, int worker) noexcept nogil:
    cdef const Reflections *block = <const Reflections *> context
    cdef double *panel = block.panels + task * block.panel_size
    cdef double *products = block.scratch + worker * BLOCK * block.width
    cdef Py_ssize_t i
    if must_stop(block.watch, worker):
        return
    for i in range(block.n_block * block.width):
        products[i] = 0
    block.kernels.outer(block.n_rows, block.n_block, 1, block.v, BLOCK, panel, block.width, products)
    block.kernels.product(block.n_rows, block.n_block, 4, block.folded, BLOCK, products, panel, block.width, True)


cdef void unpack_panel(void *context, int task, int worker) noexcept nogil:
    cdef const Unpacking *call = <const Unpacking *> context
    cdef Py_ssize_t first = task * call.width, count = min(call.width, call.n_columns - first), r, j
    cdef const double *row = call.panels + first * call.n_rows
    cdef float *single = <float *> call.out + first
    cdef double *double_ = <double *> call.out + first
    if must_stop(call.watch, worker):
        return
    for r in range(call.n_rows):
        if call.is_single:
            for j in range(count):
                single[r * call.n_columns + j] = <float> row[j]
        else:
            for j in range(count):
                double_[r * call.n_columns + j] = row[j]
        row += call.width


cdef void make_vectors(Py_ssize_t n_rows, Py_ssize_t n_block, double *v, double *signs) noexcept nogil:
    """Turn columns of normal numbers into unit vectors whose reflections take them to the axes.

    Column j begins at row j; the numbers above it become zero. `signs` is what makes the columns of the product those
    numbers' own directions, and the distribution uniform over orthogonal matrices [Stewart1980]_.

    .. [Stewart1980] G. W. Stewart, "The efficient generation of random orthogonal matrices with an application to
       condition estimators", SIAM Journal on Numerical Analysis 17(3), 1980.
    """
    cdef double squares[BLOCK]
    cdef double factors[BLOCK]
    cdef double norm, first
    cdef Py_ssize_t i, j
    for j in range(BLOCK):
        squares[j] = 0
    for i in range(n_rows):
        for j in range(i + 1, BLOCK):
            v[i * BLOCK + j] = 0
        for j in range(BLOCK):
            squares[j] += v[i * BLOCK + j] * v[i * BLOCK + j]
    for j in range(n_block):
        norm, first = sqrt(squares[j]), v[j * BLOCK + j]
        signs[j] = 1 if first < 0 else -1
        if norm == 0:
            norm = 1
        v[j * BLOCK + j] = first + (-norm if first < 0 else norm)
        factors[j] = 1 / sqrt(2 * norm * (norm + fabs(first)))
    for i in range(n_rows):
        for j in range(n_block):
            v[i * BLOCK + j] *= factors[j]


cdef void fold(const Reflections *block, double *gram, double *folded) noexcept nogil:
    """folded = -V T, where T^-1 is half the unit matrix and, above it, V^T V [Puglisi1992]_.

    .. [Puglisi1992] C. Puglisi, "Modification of the Householder method based on the compact WY representation", SIAM
       Journal on Scientific and Statistical Computing 13(3), 1992.
    """
    cdef Py_ssize_t i, j, k, width = block.width
    cdef double upper[BLOCK][BLOCK]
    cdef double *row
    for i in range(BLOCK * BLOCK):
        gram[i] = 0
    block.kernels.outer(block.n_rows, BLOCK, BLOCK // width, block.v, BLOCK, block.v, BLOCK, gram)
    for j in range(BLOCK):
        for k in range(BLOCK):
            upper[j][k] = gram[((k // width) * BLOCK + j) * width + k % width]
    for i in range(block.n_rows):
        row = folded + i * BLOCK
        for k in range(BLOCK):
            row[k] = -block.v[i * BLOCK + k]
        for j in range(block.n_block):
            row[j] = 2 * row[j]
            for k in range(j + 1, block.n_block):
                row[k] -= row[j] * upper[j][k]


def fill_orthogonal(generator, out, int n_threads, isa=None):
    """Fill a matrix with a random one whose columns are orthonormal, uniform over all such matrices.

    Parameters
    ----------
    generator : numpy.random.Generator
    out : ndarray of shape (n_rows, n_columns)
        Not more columns than rows; C-contiguous, float32 (rounded at the very end) or float64.
    n_threads : int
        Affects the speed, never a bit of the result.
    isa : str or None, default=None
        A name from `available_isas`; None for the one in use.
    """
    cdef Py_ssize_t n_rows = out.shape[0], n_columns = out.shape[1], n_panels, first, j, column
    cdef char code = code_of(out.dtype)
    cdef Reflections block
    cdef Unpacking unpacking
    cdef SignalWatch watch
    cdef list errors = []
    cdef double signs[BLOCK]
    cdef double *panels
    cdef double *gram
    cdef double *folded
    cdef double *drawn
    if n_columns > n_rows:
        raise ValueError(f"expected at most as many columns as rows, got {n_rows} rows and {n_columns} columns")
    block.kernels, block.watch = open_table(FLOAT64, isa), &watch
    block.width = 4 * block.kernels.lanes
    n_panels = (n_columns + block.width - 1) // block.width
    block.panel_size = n_rows * block.width
    matrix, v, beside = np.zeros(n_panels * block.panel_size), np.empty((n_rows, BLOCK)), np.empty((n_rows, BLOCK))
    scratch = np.empty(BLOCK * (n_threads * block.width + BLOCK))
    panels = <double *> data_of(matrix, FLOAT64, matrix.size, True)
    drawn, folded = <double *> data_of(v, FLOAT64, v.size, True), <double *> data_of(beside, FLOAT64, v.size, True)
    gram = <double *> data_of(scratch, FLOAT64, scratch.size, True)
    block.v, block.folded, block.scratch = drawn, folded, gram + BLOCK * BLOCK
    open_watch(&watch, errors)
    for first in range((n_columns - 1) // BLOCK * BLOCK, -1, -BLOCK):
        block.n_rows, block.n_block = n_rows - first, min(n_columns - first, <Py_ssize_t> BLOCK)
        generator.standard_normal(out=v[:block.n_rows])
        block.panels = panels + (first // block.width) * block.panel_size + first * block.width
        with nogil:
            make_vectors(block.n_rows, block.n_block, drawn, signs)
            fold(&block, gram, folded)
            for j in range(block.n_block):
                column = first + j
                panels[(column // block.width) * block.panel_size + column * block.width + column % block.width] = (
                    signs[j])
            pool_run_attended(
                reflect_panel, &block, <int> (n_panels - first // block.width),
                n_threads if 4 * block.n_rows * block.n_block * (n_columns - first) >= SHARED_WORK else 1,
                attend_reflections)
        if errors:
            raise errors[0]
    unpacking.watch, unpacking.panels, unpacking.width = &watch, panels, block.width
    unpacking.n_rows, unpacking.n_columns, unpacking.is_single = n_rows, n_columns, code == FLOAT32
    unpacking.out = data_of(out, code, n_rows * n_columns, True)
    with nogil:
        pool_run_attended(unpack_panel, &unpacking, <int> n_panels,
                          n_threads if n_rows * n_columns >= SHARED_WORK else 1, attend_unpacking)
    if errors:
        raise errors[0]
