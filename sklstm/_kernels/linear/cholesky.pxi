# Cholesky factorisation of the triangle, a block of columns at a time, and what is solved with it.

cdef enum:
    # Columns of a block: a multiple of the columns of a panel, whatever the instruction set.
    BLOCK = 96
    # Rows of the weights that a task solves for.
    SOLVED_ROWS = 12


cdef struct Factorisation:
    const Triangle *triangle
    double *lower                # (BLOCK, BLOCK) factor of the block on the diagonal
    double *inverse              # of it
    double *below                # (BLOCK, stride): what is below the block, transposed
    double *negative             # minus the same
    double *scratch              # BLOCK * width numbers for each worker
    Py_ssize_t stride, first, n, n_below
    double penalty


cdef bint factorize_block(Factorisation *call) noexcept nogil:
    """lower lower' = the block on the diagonal, and its inverse; False if it is not positive definite."""
    cdef const Triangle *g = call.triangle
    cdef Py_ssize_t n = call.n, first = call.first, i, j, k
    cdef double *lower = call.lower
    cdef double *inverse = call.inverse
    cdef double total, largest
    memset(inverse, 0, BLOCK * BLOCK * sizeof(double))
    for j in range(n):
        for i in range(j, n):
            lower[i * BLOCK + j] = entry(g, first + i, first + j)[0]
    for j in range(n):
        largest = lower[j * BLOCK + j]
        for k in range(j):
            lower[j * BLOCK + j] -= lower[j * BLOCK + k] * lower[j * BLOCK + k]
        # A pivot that cancellation has left no digit of is no positive number.
        if not lower[j * BLOCK + j] > 1e-15 * largest:
            return False
        lower[j * BLOCK + j] = sqrt(lower[j * BLOCK + j])
        for i in range(j + 1, n):
            total = lower[i * BLOCK + j]
            for k in range(j):
                total -= lower[i * BLOCK + k] * lower[j * BLOCK + k]
            lower[i * BLOCK + j] = total / lower[j * BLOCK + j]
    for i in range(n):
        inverse[i * BLOCK + i] = 1 / lower[i * BLOCK + i]
        for j in range(i):
            total = 0
            for k in range(j, i):
                total -= lower[i * BLOCK + k] * inverse[k * BLOCK + j]
            inverse[i * BLOCK + j] = total * inverse[i * BLOCK + i]
    for j in range(n):
        for i in range(j, n):
            entry(g, first + i, first + j)[0] = lower[i * BLOCK + j]
    return True


cdef void solve_below(void *context, int task, int worker) noexcept nogil:
    """Rows of the factor below the block, `width` at a time, in their place and transposed."""
    cdef const Factorisation *call = <const Factorisation *> context
    cdef const Triangle *g = call.triangle
    cdef Py_ssize_t width = g.width, begin = task * width, row = call.first + call.n + begin, i, k
    cdef double *columns = call.scratch + worker * BLOCK * width
    cdef double *out = call.below + begin
    for i in range(width):
        for k in range(call.n):
            columns[k * width + i] = entry(g, row + i, call.first + k)[0]
    g.kernels.product(call.n, call.n, 4, call.inverse, BLOCK, columns, out, call.stride, False)
    for i in range(width):
        for k in range(call.n):
            entry(g, row + i, call.first + k)[0] = out[k * call.stride + i]
    for k in range(call.n):
        for i in range(width):
            call.negative[k * call.stride + begin + i] = -out[k * call.stride + i]


cdef void update_panel(void *context, int task, int worker) noexcept nogil:
    """What the rows of the factor take off a panel behind the block."""
    cdef const Factorisation *call = <const Factorisation *> context
    cdef const Triangle *g = call.triangle
    cdef Py_ssize_t begin = task * g.width, first = call.first + call.n + begin
    g.kernels.outer(call.n, g.n_rows - first, 1, call.below + begin, call.stride, call.negative + begin, call.stride,
                    panel_of(g, first // g.width))


cdef bint factorize(const Triangle *g, double penalty, int n_threads) except -1:
    cdef Factorisation call
    cdef Py_ssize_t j, n_behind
    cdef bint positive = True
    call.triangle, call.penalty, call.stride = g, penalty, odd_lines(g.n_rows)
    blocks, rows = np.empty(2 * BLOCK * BLOCK + n_threads * BLOCK * g.width), np.empty(2 * BLOCK * call.stride)
    call.lower = <double *> data_of(blocks, FLOAT64, blocks.size, True)
    call.inverse, call.scratch = call.lower + BLOCK * BLOCK, call.lower + 2 * BLOCK * BLOCK
    call.below = <double *> data_of(rows, FLOAT64, rows.size, True)
    call.negative = call.below + BLOCK * call.stride
    for j in range(g.n_padded):
        entry(g, j, j)[0] += penalty if j < g.n_columns else 1
    for j in range(0, g.n_padded, <int> BLOCK):
        call.first, call.n = j, min(<Py_ssize_t> BLOCK, g.n_padded - j)
        call.n_below, n_behind = g.n_rows - j - call.n, g.n_padded - j - call.n
        with nogil:
            positive = factorize_block(&call)
            if positive:
                pool_run(solve_below, &call, <int> (call.n_below // g.width), n_threads)
                pool_run(update_panel, &call, <int> (n_behind // g.width), n_threads)
        if not positive:
            return False
        PyErr_CheckSignals()
    return True


cdef struct Solution:
    const Triangle *triangle
    double *weights              # (n_targets, stride)
    Py_ssize_t stride


cdef void solve_rows(void *context, int task, int worker) noexcept nogil:
    """Weights of some targets from L' w = z, a panel of columns at a time, the last first."""
    cdef const Solution *call = <const Solution *> context
    cdef const Triangle *g = call.triangle
    cdef Py_ssize_t first_row = task * SOLVED_ROWS, n = min(<Py_ssize_t> SOLVED_ROWS, g.n_rows - g.n_padded - first_row)
    cdef Py_ssize_t panel, first, r, c, k, width = g.width
    cdef double *w = call.weights + first_row * call.stride
    cdef double *own
    cdef double sums[SOLVED_ROWS * 64]
    cdef double total
    for panel in range(g.n_padded // width - 1, -1, -1):
        first, own = panel * width, panel_of(g, panel)
        g.kernels.product(n, g.n_padded - first - width, 4, w + first + width, call.stride, own + width * width, sums,
                          width, False)
        for r in range(n):
            for c in range(width - 1, -1, -1):
                total = entry(g, g.n_padded + first_row + r, first + c)[0] - sums[r * width + c]
                for k in range(c + 1, width):
                    total -= w[r * call.stride + first + k] * own[k * width + c]
                w[r * call.stride + first + c] = total / own[c * width + c]


cdef int solve(const Triangle *g, weights, Py_ssize_t stride, int n_threads) except -1:
    cdef Solution call
    cdef int n_tasks = <int> (len(weights) // SOLVED_ROWS)
    call.triangle, call.stride = g, stride
    call.weights = <double *> data_of(weights, FLOAT64, weights.size, True)
    with nogil:
        pool_run(solve_rows, &call, n_tasks, n_threads)
    PyErr_CheckSignals()
    return 0
