# Products of windows: of any rows, and of a run of neighbouring windows, whose products have shift structure.
#
# The windows of a run begin at rows 0, 1, ..., n_windows - 1 of a table of x (D columns), and have n_steps rows. The
# block of the products of their rows p and r is
#     G[p, r] = sum_s x[s + p] x[s + r]',    so    G[p - 1, r - 1] = G[p, r] + x[p - 1] x[r - 1]' - x[e + p] x[e + r]'
# with e = n_windows - 1: only the products with the last row, G[n_steps - 1, r], are sums over all windows. These are
# O(n_windows n_steps D^2) multiplications instead of O(n_windows n_steps^2 D^2).

cdef enum:
    # Columns of the windows in a task of the sums: a multiple of the rows of a tile.
    SUM_COLUMNS = 96
    # Windows that are summed at a time: their targets and last rows stay in L1.
    SUM_WINDOWS = 128
    # Tasks among which the diagonals of blocks are divided.
    DIAGONAL_TASKS = 32


cdef struct Rows:
    const Triangle *triangle
    const double *rows           # (n, stride)
    const double *other
    Py_ssize_t stride, n


cdef struct Run:
    const Triangle *triangle
    const double *rows           # (n_windows + n_steps - 1, n_features)
    const double *last           # (n_windows, width): weight times [last row | targets]
    double *sums                 # in blocks of SUM_COLUMNS columns of the windows: panels (columns, 4 lanes) of `last`
    double *products             # (n_steps * n_features, n_features + n_targets): the same in plain order
    const unsigned char *relative
    Py_ssize_t n_windows, n_steps, n_features, n_targets, width
    double weight


cdef void add_panel(void *context, int task, int worker) noexcept nogil:
    """The products of rows with the columns of one panel."""
    cdef const Rows *call = <const Rows *> context
    cdef const Triangle *g = call.triangle
    cdef Py_ssize_t first = task * g.width
    g.kernels.outer(call.n, g.n_rows - first, 1, call.rows + first, call.stride, call.other + first, call.stride,
                    panel_of(g, task))


cdef void sum_columns(void *context, int task, int worker) noexcept nogil:
    """Sums over all windows of some of their columns times last rows and targets."""
    cdef const Run *run = <const Run *> context
    cdef const Triangle *g = run.triangle
    cdef Py_ssize_t first = task * SUM_COLUMNS, total = run.n_steps * run.n_features
    cdef Py_ssize_t n = min(<Py_ssize_t> SUM_COLUMNS, total - first), n_panels = run.width // g.width, begin, k, j
    cdef Py_ssize_t n_products = run.n_features + run.n_targets
    cdef double *sums = run.sums + first * run.width
    memset(sums, 0, n * run.width * sizeof(double))
    begin = 0
    while begin < run.n_windows:
        g.kernels.outer(min(<Py_ssize_t> SUM_WINDOWS, run.n_windows - begin), n, n_panels,
                        run.rows + begin * run.n_features + first, run.n_features,
                        run.last + begin * run.width, run.width, sums)
        begin += SUM_WINDOWS
    for k in range(n):
        for j in range(n_products):
            run.products[(first + k) * n_products + j] = sums[(j // g.width * n + k) * g.width + j % g.width]


cdef void add_diagonals(void *context, int task, int worker) noexcept nogil:
    """Blocks G[p, r] with p - r = task, task + DIAGONAL_TASKS, ..., from the last to the first."""
    cdef const Run *run = <const Run *> context
    cdef Py_ssize_t d = run.n_features, n_products = d + run.n_targets, apart, p, r, a, b
    cdef double *block = <double *> calloc(d * d, sizeof(double))
    cdef const double *head_p
    cdef const double *head_r
    cdef const double *tail_p
    cdef const double *tail_r
    if block == NULL:
        return
    apart = task
    while apart < run.n_steps:
        p, r = run.n_steps - 1, run.n_steps - 1 - apart
        for a in range(d):
            for b in range(d):
                block[a * d + b] = run.products[(r * d + b) * n_products + a]
        while True:
            add_block(run, p, r, block)
            if r == 0:
                break
            head_p, head_r = run.rows + (p - 1) * d, run.rows + (r - 1) * d
            tail_p, tail_r = run.rows + (run.n_windows - 1 + p) * d, run.rows + (run.n_windows - 1 + r) * d
            for a in range(d):
                for b in range(d):
                    block[a * d + b] += run.weight * (head_p[a] * head_r[b] - tail_p[a] * tail_r[b])
            p, r = p - 1, r - 1
        apart += DIAGONAL_TASKS
    free(block)


cdef inline void add_block(const Run *run, Py_ssize_t p, Py_ssize_t r, const double *block) noexcept nogil:
    """Add G[p, r], with relative columns less their last row, to the triangle."""
    cdef const Triangle *g = run.triangle
    cdef Py_ssize_t d = run.n_features, n_products = d + run.n_targets, a, b
    cdef const double *with_last = run.products + (run.n_steps - 1) * d * n_products
    cdef double value
    for a in range(d):
        for b in range(a + 1 if p == r else d):
            value = block[a * d + b]
            if run.relative[a]:
                value -= run.products[(r * d + b) * n_products + a]
                if run.relative[b]:
                    value += with_last[a * n_products + b]
            if run.relative[b]:
                value -= run.products[(p * d + a) * n_products + b]
            entry(g, p * d + a, r * d + b)[0] += value


cdef void add_targets(const Run *run) noexcept nogil:
    cdef const Triangle *g = run.triangle
    cdef Py_ssize_t d = run.n_features, n_products = d + run.n_targets, k, j, last = (run.n_steps - 1) * d
    cdef double value
    for k in range(run.n_steps * d):
        for j in range(run.n_targets):
            value = run.products[k * n_products + d + j]
            if run.relative[k % d]:
                value -= run.products[(last + k % d) * n_products + d + j]
            entry(g, g.n_padded + j, k)[0] += value


cdef int add_run(const Triangle *g, Py_ssize_t most_targets, rows, targets, double weight, relative,
                 int n_threads) except -1:
    cdef Run run
    cdef Py_ssize_t n_products
    run.triangle, run.weight, run.n_targets = g, weight, targets.shape[1]
    run.n_windows, run.n_features = len(targets), rows.shape[1]
    run.n_steps = len(rows) - run.n_windows + 1
    if run.n_steps * run.n_features != g.n_columns or targets.shape[1] > most_targets:
        raise ValueError(f"rows {rows.shape} and targets {targets.shape} are not those of windows of {g.n_columns} "
                         f"numbers and up to {most_targets} targets")
    n_products = run.n_features + run.n_targets
    run.width = round_up(n_products, g.width)
    last, sums = np.zeros((run.n_windows, run.width)), np.empty((g.n_columns, run.width))
    last[:, :run.n_features] = rows[run.n_steps - 1:]
    last[:, run.n_features:n_products] = targets
    last *= weight
    products = np.empty((g.n_columns, n_products))
    run.rows = <const double *> data_of(rows, FLOAT64, rows.size)
    run.last = <const double *> data_of(last, FLOAT64, last.size)
    run.sums = <double *> data_of(sums, FLOAT64, sums.size, True)
    run.products = <double *> data_of(products, FLOAT64, products.size, True)
    run.relative = <const unsigned char *> data_of(relative, UINT8, run.n_features)
    with nogil:
        pool_run(sum_columns, &run, <int> ((g.n_columns + SUM_COLUMNS - 1) // SUM_COLUMNS), n_threads)
        pool_run(add_diagonals, &run, DIAGONAL_TASKS, n_threads)
        add_targets(&run)
    PyErr_CheckSignals()
    return 0
