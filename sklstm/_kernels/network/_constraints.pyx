"""Constraints on recurrent weights: a bound of the largest singular value, or scaled orthogonal matrices.

Each gate's matrix U is held for itself. Only plain loops and the dense products of the other kernels: no BLAS and no
LAPACK, which round differently from machine to machine and with the number of their threads.
"""

from libc.math cimport fabs, isfinite, sqrt
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from sklstm._kernels.core._pool cimport pool_run
from sklstm._kernels.network._stack cimport Stack, round_up
from sklstm._kernels._calls cimport PanelPart
from sklstm._kernels._table cimport KernelTable

include "../core/buffers.pxi"

cdef enum:
    # Multiplications from which several threads are worth waking.
    SHARED_WORK = 1 << 20
    # Iterations of a power iteration: after a step of the optimizer it goes on from the vector before.
    AFTER_A_STEP = 4
    FROM_THE_START = 1000
    NEWTON_STEPS = 60
    # Up to so many columns, matrix' matrix is squared so many times: a million iterations, at less than the work of
    # FROM_THE_START. Near the limit many singular values differ by a thousandth, and plain iterations stop too early.
    FEW_COLUMNS = 64
    SQUARINGS = 20
    # Partial sums of a product with a row.
    PARTS = 8


cdef struct Block:
    # one gate's matrix (n_rows, n_columns) in a vector of panels
    Py_ssize_t offset
    Py_ssize_t n_rows
    Py_ssize_t n_columns
    Py_ssize_t slot
    PanelPart part
    double *vector               # (n_columns,) near the first right singular vector
    char *before                 # (n_rows, n_columns) the scaled orthogonal matrix before the step


cdef struct Work:
    const KernelTable *kernels
    Block *blocks
    char *panels
    double limit
    double tolerance             # relative: how far beyond the limit is rounding
    const double *start          # (widest,) where a power iteration starts
    bint anew                    # it does so, and ends when it has converged
    bint orthogonal
    bint is_single
    char *scratch
    Py_ssize_t scratch_bytes     # of one worker


cdef double product_of_rows(Py_ssize_t n, const double *a, const double *b) noexcept nogil:
    cdef double parts[PARTS]
    cdef double total = 0
    cdef Py_ssize_t k = 0, j
    for j in range(PARTS):
        parts[j] = 0
    while k + PARTS <= n:
        for j in range(PARTS):
            parts[j] += a[k + j] * b[k + j]
        k += PARTS
    for j in range(PARTS):
        total += parts[j]
    while k < n:
        total += a[k] * b[k]
        k += 1
    return total


cdef double normalise(Py_ssize_t n, double *x) noexcept nogil:
    """Divide by the Euclidean norm, and return it."""
    cdef double norm = sqrt(product_of_rows(n, x, x))
    cdef Py_ssize_t k
    if norm > 0:
        for k in range(n):
            x[k] /= norm
    return norm


cdef double power_iteration(Py_ssize_t n_rows, Py_ssize_t n_columns, const double *matrix, double *v, double *u,
                            Py_ssize_t n_iterations, double growth) noexcept nogil:
    """Return a lower bound of the largest singular value; v (n_columns,) comes near the singular vector.

    It ends when the bound grows by less than a share of it.
    """
    cdef double norm = 0, before
    cdef Py_ssize_t _step, i, k
    cdef const double *row
    for _step in range(n_iterations):
        before = norm
        for i in range(n_rows):
            u[i] = product_of_rows(n_columns, matrix + i * n_columns, v)
        normalise(n_rows, u)
        memset(v, 0, n_columns * sizeof(double))
        for i in range(n_rows):
            row = matrix + i * n_columns
            for k in range(n_columns):
                v[k] += u[i] * row[k]
        norm = normalise(n_columns, v)
        if norm - before <= growth * norm:
            break
    return norm


cdef void turn_to_the_first(Py_ssize_t n_rows, Py_ssize_t n, const double *matrix, double *v,
                            double *work) noexcept nogil:
    """Multiply v (n,) by (matrix' matrix)^(2^SQUARINGS), and normalise it. Takes 2 n n numbers of work."""
    cdef double *gram = work
    cdef double *other = work + n * n
    cdef double largest, value
    cdef Py_ssize_t _step, i, j, k
    memset(gram, 0, n * n * sizeof(double))
    for k in range(n_rows):
        for i in range(n):
            value = matrix[k * n + i]
            for j in range(n):
                gram[i * n + j] += value * matrix[k * n + j]
    for _step in range(SQUARINGS):
        largest = 0
        for i in range(n):
            largest = max(largest, gram[i * n + i])
        if not isfinite(largest) or largest <= 0:
            return
        for i in range(n * n):
            gram[i] /= largest
        for i in range(n):
            for j in range(i + 1):
                other[i * n + j] = other[j * n + i] = product_of_rows(n, gram + i * n, gram + j * n)
        gram, other = other, gram
    for i in range(n):
        other[i] = product_of_rows(n, gram + i * n, v)
    if normalise(n, other) > 0:
        memcpy(v, other, n * sizeof(double))


cdef void to_doubles(const Work *work, Py_ssize_t n, const char *numbers, double *out) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(n):
        out[k] = (<const float *> numbers)[k] if work.is_single else (<const double *> numbers)[k]


cdef void scale(const Work *work, Py_ssize_t n, double factor, char *numbers) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(n):
        if work.is_single:
            (<float *> numbers)[k] = <float> (<float *> numbers)[k] * <float> factor
        else:
            (<double *> numbers)[k] *= factor


cdef void bound_norm(const Work *work, Block *block, int worker) noexcept nogil:
    """Scale a matrix down until its largest singular value is at most the limit."""
    cdef Py_ssize_t n = block.n_rows * block.n_columns, size = work.kernels.item_size, _turn
    cdef char *matrix = work.scratch + worker * work.scratch_bytes
    cdef double *doubles = <double *> (matrix + round_up(n * size, 64))
    cdef double *u = doubles + n
    cdef double norm
    work.kernels.unpack_block(work.panels + block.offset * size, block.n_columns, block.n_rows, &block.part, block.slot,
                              matrix)
    # A second time, so that the vector is that of the scaled matrix: training goes on from it as if it began there.
    for _turn in range(4 if work.anew else 1):
        to_doubles(work, n, matrix, doubles)
        if work.anew:
            memcpy(block.vector, work.start, block.n_columns * sizeof(double))
            normalise(block.n_columns, block.vector)
            if block.n_columns <= FEW_COLUMNS:
                turn_to_the_first(block.n_rows, block.n_columns, doubles, block.vector, u + block.n_rows)
        norm = power_iteration(block.n_rows, block.n_columns, doubles, block.vector, u,
                               FROM_THE_START if work.anew else AFTER_A_STEP, 1e-10 if work.anew else 0)
        if not isfinite(norm) or norm <= work.limit * (1 + work.tolerance):
            break
        scale(work, n, work.limit / norm, matrix)
        work.kernels.pack_block(matrix, block.n_columns, block.n_rows, &block.part, block.slot,
                                work.panels + block.offset * size)


cdef double gram_of(const Work *work, const Block *block, Py_ssize_t stride, const char *x,
                    char *gram) noexcept nogil:
    """gram = x' x, in panels; returns how far it is from the unit matrix: the largest of the differences."""
    cdef Py_ssize_t size = work.kernels.item_size, width = 4 * work.kernels.lanes, m = block.n_columns, k, j, place
    cdef double largest = 0, value
    memset(gram, 0, m * stride * size)
    work.kernels.outer(block.n_rows, m, stride // width, x, stride, x, stride, gram)
    for k in range(m):
        for j in range(m):
            place = ((j // width) * m + k) * width + j % width
            value = (<float *> gram)[place] if work.is_single else (<double *> gram)[place]
            value = fabs(value - (j == k))
            largest = value if not value <= largest else largest
    return largest


cdef void newton_step(const Work *work, Py_ssize_t n, char *x, const char *product) noexcept nogil:
    """x = 1.5 x - .5 product"""
    cdef Py_ssize_t k
    for k in range(n):
        if work.is_single:
            (<float *> x)[k] += <float> 0.5 * ((<float *> x)[k] - (<const float *> product)[k])
        else:
            (<double *> x)[k] += 0.5 * ((<double *> x)[k] - (<const double *> product)[k])


cdef void make_orthogonal(const Work *work, Block *block, int worker) noexcept nogil:
    """Replace a matrix by s Q with orthonormal columns of Q.

    Q is the polar factor, by the iteration of Newton and Schulz, Q <- 1.5 Q - .5 Q Q'Q. Anew, s is the mean of the
    singular values, which makes the matrix the nearest one. After a step, it is tr(P'U) / n with P the factor before: a
    step along the orthogonal matrices lengthens U, and the mean of the singular values would only ever grow.
    """
    cdef Py_ssize_t size = work.kernels.item_size, lanes = work.kernels.lanes, m = block.n_columns, r, step
    cdef Py_ssize_t n = block.n_rows * m, stride = round_up(m, 4 * lanes), wide = block.n_rows * stride
    cdef char *matrix = work.scratch + worker * work.scratch_bytes
    cdef double *doubles = <double *> (matrix + round_up(n * size, 64))
    cdef double *u = doubles + n
    cdef char *x = <char *> (u + round_up(block.n_rows, 8))
    cdef char *product = x + round_up(wide * size, 64)
    cdef char *gram = product + round_up(wide * size, 64)
    cdef double mean, norm, distance, factor = 0
    work.kernels.unpack_block(work.panels + block.offset * size, m, block.n_rows, &block.part, block.slot, matrix)
    to_doubles(work, n, matrix, doubles)
    mean = sqrt(product_of_rows(n, doubles, doubles) / m)
    if not isfinite(mean) or mean == 0:
        return
    memcpy(block.vector, work.start, m * sizeof(double))
    normalise(m, block.vector)
    # Up to sqrt(3) the iteration converges; what the power iteration finds is a little less than the norm.
    norm = max(mean, power_iteration(block.n_rows, m, doubles, block.vector, u, 10, 0) / 1.3)
    memset(x, 0, wide * size)
    for r in range(block.n_rows):
        memcpy(x + r * stride * size, matrix + r * m * size, m * size)
    scale(work, wide, 1 / norm, x)
    for step in range(NEWTON_STEPS):
        distance = gram_of(work, block, stride, x, gram)
        if not isfinite(distance):
            return
        if work.anew and step == 0 and distance <= work.tolerance and mean <= work.limit * (1 + work.tolerance):
            memcpy(block.before, matrix, n * size)
            return
        work.kernels.product(block.n_rows, m, stride // lanes, x, stride, gram, product, stride, False)
        newton_step(work, wide, x, product)
        # The distance is squared by each step.
        if distance < (3e-4 if work.is_single else 3e-8):
            break
    for r in range(block.n_rows):
        memcpy(matrix + r * m * size, x + r * stride * size, m * size)
    # The columns of both have one length.
    to_doubles(work, n, matrix if work.anew else block.before, <double *> x)
    mean = sqrt(product_of_rows(n, <double *> x, <double *> x) / m)
    factor = product_of_rows(n, <double *> x, doubles) / (mean * m)
    scale(work, n, min(max(factor, work.limit / 1000), work.limit), matrix)
    memcpy(block.before, matrix, n * size)
    work.kernels.pack_block(matrix, m, block.n_rows, &block.part, block.slot, work.panels + block.offset * size)


cdef void constrain_task(void *context, int task, int worker) noexcept nogil:
    """One matrix."""
    cdef const Work *work = <const Work *> context
    cdef unsigned int before = work.kernels.enter()
    if work.orthogonal:
        make_orthogonal(work, &work.blocks[task], worker)
    else:
        bound_norm(work, &work.blocks[task], worker)
    work.kernels.leave(before)


cdef class RecurrentBlocks:
    """The matrices of the gates that multiply h, inside a vector of panels.

    Parameters
    ----------
    stack : Stack
    ranges : list of (int, int)
        Begin and end of each array of recurrent weights in the flat vector of parameters.
    n_threads : int
        Affects the speed, never a bit of the result.
    """

    cdef Stack stack
    cdef Block *blocks
    cdef Py_ssize_t n_blocks, widest
    cdef int n_threads
    cdef bint is_shared
    cdef object start, vectors, before, scratch

    def __cinit__(self, Stack stack, ranges, int n_threads):
        cdef Py_ssize_t i, n_columns, n_rows, lanes = stack.kernels.lanes, size = stack.kernels.item_size, n, wide
        cdef Py_ssize_t scratch = 0, work = 0
        cdef double *vectors
        cdef char *before
        self.stack = stack
        pieces = [piece for piece in stack.pieces if any(begin <= piece[0] < end for begin, end in ranges)]
        self.n_blocks = len(pieces)
        self.blocks = <Block *> calloc(max(self.n_blocks, <Py_ssize_t> 1), sizeof(Block))
        if self.blocks == NULL:
            raise MemoryError()
        self.widest = max((piece[2] for piece in pieces), default=0)
        self.vectors = np.zeros(self.n_blocks * self.widest + 1)
        vectors = <double *> data_of(self.vectors, FLOAT64, self.vectors.size, True)
        # Any vector that is no singular vector of a structured matrix.
        self.start = 1 + 0.5 * np.cos(np.arange(self.widest + 1, dtype=np.float64) ** 2)
        self.before = np.zeros(sum(piece[2] * piece[3] for piece in pieces), stack.dtype)
        before = data_of(self.before, stack.code, self.before.size, True)
        for i, (_, offset, n_columns, n_rows, part, slot) in enumerate(pieces):
            self.blocks[i].offset, self.blocks[i].n_rows, self.blocks[i].n_columns = offset, n_rows, n_columns
            self.blocks[i].part, self.blocks[i].slot = part, slot
            self.blocks[i].vector, self.blocks[i].before = vectors + i * self.widest, before
            before += n_rows * n_columns * size
            n, wide = n_rows * n_columns, round_up(n_columns, 4 * lanes)
            scratch = max(scratch, 256 + (n + (2 * n_rows + n_columns) * wide) * size
                          + (n + n_rows + 16 + 2 * min(n_columns, FEW_COLUMNS) ** 2) * <Py_ssize_t> sizeof(double))
            work += n
        self.is_shared = work >= SHARED_WORK
        self.n_threads = min(n_threads, max(1, <int> self.n_blocks)) if self.is_shared else 1
        self.scratch = np.empty((self.n_threads, round_up(scratch, 64) + 64), np.uint8)

    def __dealloc__(self):
        free(self.blocks)

    cdef int describe(self, Work *work, panels, double limit) except -1:
        cdef char *scratch = data_of(self.scratch, UINT8, self.scratch.size, True)
        work.kernels, work.blocks, work.limit = self.stack.kernels, self.blocks, limit
        work.panels = data_of(panels, self.stack.code, self.stack.panels_size, True)
        work.start = <const double *> data_of(self.start, FLOAT64, self.widest)
        work.is_single = self.stack.code == FLOAT32
        work.tolerance = 2e-6 if work.is_single else 1e-12
        work.scratch = scratch + (64 - <size_t> scratch % 64) % 64
        work.scratch_bytes = self.scratch.shape[1] - 64
        return 0

    def bound_norms(self, panels, double limit, bint anew):
        """Scale each matrix to a largest singular value of at most `limit`, by power iteration.

        Parameters
        ----------
        panels : ndarray
            Weights in the layout of the kernels, changed in place.
        limit : float
        anew : bool
            Whether the iterations start from fixed vectors and end when they have converged; else each goes on, for a
            few steps, from where it ended. Of more than 64 columns they may end a thousandth too early, where many
            singular values are that near to each other.
        """
        cdef Work work
        self.describe(&work, panels, limit)
        work.anew, work.orthogonal = anew, False
        with nogil:
            pool_run(constrain_task, &work, <int> self.n_blocks, self.n_threads)

    def make_orthogonal(self, panels, double limit, bint anew):
        """Replace each matrix by s Q with orthonormal columns of Q and 0 < s <= limit.

        Parameters
        ----------
        panels : ndarray
            Weights in the layout of the kernels, changed in place.
        limit : float
        anew : bool
            Whether s Q is the nearest such matrix, but for those that are of this kind already; else what a step from
            such a matrix makes of s and Q.
        """
        cdef Work work
        self.describe(&work, panels, limit)
        work.anew, work.orthogonal = anew, True
        with nogil:
            pool_run(constrain_task, &work, <int> self.n_blocks, self.n_threads)
