# Weighted mean and deviation of every column of a table, for _column_statistics.pyx. A task takes one block of rows
# times one strip of columns through tiles; the moments of each tile are computed in two passes while it is in L1, and
# moments of tiles, then of blocks, are combined in order by the formula of Chan, Golub and LeVeque (1983), which
# needs no first estimate of the mean and loses no digits whatever the weights.

from libc.math cimport INFINITY
from libc.string cimport memcpy, memset

cdef enum:
    MOMENT_BLOCK_ROWS = 8192
    MOMENT_WAVE_TASKS = 256


cdef struct StripMoments:
    # result of a task: the moments of one strip
    double total  # sum of the weights
    double lowest[COLUMN_STRIP]
    double highest[COLUMN_STRIP]
    double origin[COLUMN_STRIP]  # the first row
    double means[COLUMN_STRIP]  # relative to the origin, or those of large numbers would be rounded at every step
    double squares[COLUMN_STRIP]


cdef struct MomentWork:
    const KernelTable *table
    # the table of numbers; strides count elements
    const char *rows
    Py_ssize_t row_stride
    Py_ssize_t column_stride
    Py_ssize_t n_columns
    const int64_t *chosen  # (n_rows,) rows that count, ascending; NULL: rows 0 .. n_rows - 1
    const double *weights  # (n_rows,) all positive; NULL: ones
    Py_ssize_t n_rows
    const double *scale  # (n_strips * COLUMN_STRIP,)
    Py_ssize_t n_strips
    Py_ssize_t first_task
    double *tiles  # (n_threads, ROWS_PER_TILE, COLUMN_STRIP)
    StripMoments *parts  # one per task of a wave
    StripMoments *totals  # one per strip
    SignalWatch *watch  # of the call


cdef void clear_moments(StripMoments *moments) noexcept nogil:
    cdef Py_ssize_t j
    memset(moments, 0, sizeof(StripMoments))
    for j in range(COLUMN_STRIP):
        moments.lowest[j] = INFINITY
        moments.highest[j] = -INFINITY


cdef void join_moments(
    StripMoments *into, double total, const double *origin, const double *means, const double *squares
) noexcept nogil:
    cdef Py_ssize_t j
    cdef double difference, share = total / (into.total + total)
    cdef double between = into.total * share
    if into.total == 0.0:
        memcpy(into.origin, origin, sizeof(into.origin))
    for j in range(COLUMN_STRIP):
        difference = (origin[j] - into.origin[j]) + (means[j] - into.means[j])
        into.means[j] += difference * share
        into.squares[j] += squares[j] + difference * difference * between
    into.total += total


cdef void pack_chosen(
    const MomentWork *work, Py_ssize_t first, Py_ssize_t n, Py_ssize_t first_column, const double *no_shift,
    double *tile, StripMoments *part
) noexcept nogil:
    """Fill a tile with the rows number first .. first + n - 1 of those that count, one run of neighbours at a time."""
    cdef Py_ssize_t n_columns = min(<Py_ssize_t> COLUMN_STRIP, work.n_columns - first_column)
    cdef Py_ssize_t done = 0, run, row
    while done < n:
        if work.chosen == NULL:
            row = first + done
            run = n - done
        else:
            row = work.chosen[first + done]
            run = 1
            while done + run < n and work.chosen[first + done + run] == row + run:
                run += 1
        work.table.column_pack(
            run, n_columns,
            work.rows + (row * work.row_stride + first_column * work.column_stride) * work.table.item_size,
            work.row_stride, work.column_stride, no_shift, tile + done * COLUMN_STRIP, part.lowest, part.highest
        )
        done += run


cdef void run_moment_task(void *context, int task, int worker) noexcept nogil:
    """One block of rows times one strip of columns."""
    cdef const MomentWork *work = <const MomentWork *> context
    # Strips inside, blocks outside: concurrent tasks share the pages of a table on disk.
    cdef Py_ssize_t block = (work.first_task + task) // work.n_strips
    cdef Py_ssize_t first_column = (work.first_task + task) % work.n_strips * COLUMN_STRIP
    cdef Py_ssize_t row = block * MOMENT_BLOCK_ROWS, n, t
    cdef Py_ssize_t end = min(row + MOMENT_BLOCK_ROWS, work.n_rows)
    cdef double *tile = work.tiles + worker * ROWS_PER_TILE * COLUMN_STRIP
    cdef StripMoments *part = work.parts + task
    cdef double weights[ROWS_PER_TILE]
    cdef double no_shift[COLUMN_STRIP]
    cdef double origin[COLUMN_STRIP]
    cdef double means[COLUMN_STRIP]
    cdef double squares[COLUMN_STRIP]
    cdef double total
    if must_stop(work.watch, worker):
        return
    memset(no_shift, 0, sizeof(no_shift))
    clear_moments(part)
    while row < end:
        n = min(<Py_ssize_t> ROWS_PER_TILE, end - row)
        pack_chosen(work, row, n, first_column, no_shift, tile, part)
        if part.total == 0.0:
            for t in range(COLUMN_STRIP):
                origin[t] = tile[t] * work.scale[first_column + t]
        total = 0.0
        for t in range(n):
            weights[t] = 1.0 if work.weights == NULL else work.weights[row + t]
            total += weights[t]
        work.table.column_moments(n, total, weights, work.scale + first_column, origin, tile, means, squares)
        join_moments(part, total, origin, means, squares)
        row += n


cdef void join_parts(MomentWork *work, Py_ssize_t n_tasks) noexcept nogil:
    """Add the results of a wave of tasks to the totals of the strips, in the order of the blocks."""
    cdef Py_ssize_t task, j
    cdef StripMoments *total
    cdef const StripMoments *part
    for task in range(n_tasks):
        part = work.parts + task
        total = work.totals + (work.first_task + task) % work.n_strips
        for j in range(COLUMN_STRIP):
            total.lowest[j] = min(total.lowest[j], part.lowest[j])
            total.highest[j] = max(total.highest[j], part.highest[j])
        join_moments(total, part.total, part.origin, part.means, part.squares)


cdef bint are_in_range(const StripMoments *totals, Py_ssize_t n_columns) noexcept nogil:
    """Whether no column needs a scale for its squares; where it is not known, not (`powers_of_two` does)."""
    cdef const StripMoments *strip
    cdef Py_ssize_t k, j
    cdef double squares
    for k in range(n_columns):
        strip, j = totals + k // COLUMN_STRIP, k % COLUMN_STRIP
        squares = strip.squares[j]
        if not squares < INFINITY or (squares < totals.total * 1e-280 and strip.lowest[j] < strip.highest[j]):
            return False
    return True


cdef run_moments(MomentWork *work, int n_threads):
    """Run all tasks; return lowest, highest, means, sums of squares (n_columns,) each, the sum of weights, and whether
    all are `are_in_range`.
    """
    cdef Py_ssize_t n_blocks = (work.n_rows + MOMENT_BLOCK_ROWS - 1) // MOMENT_BLOCK_ROWS
    cdef Py_ssize_t n_tasks = n_blocks * work.n_strips, strip
    cdef Py_ssize_t wave = min(n_tasks, max(<Py_ssize_t> MOMENT_WAVE_TASKS, <Py_ssize_t> n_threads))
    cdef Py_ssize_t width = sizeof(StripMoments) // sizeof(double)
    cdef int n_now
    cdef SignalWatch watch
    cdef list errors = []
    open_watch(&watch, errors)
    work.watch = &watch
    tiles = _aligned(n_threads * ROWS_PER_TILE * COLUMN_STRIP)
    parts = np.empty((wave, width))
    totals = np.empty((work.n_strips, width))
    work.tiles = <double *> data_of(tiles, FLOAT64, tiles.size, True)
    work.parts = <StripMoments *> data_of(parts, FLOAT64, parts.size, True)
    work.totals = <StripMoments *> data_of(totals, FLOAT64, totals.size, True)
    for strip in range(work.n_strips):
        clear_moments(work.totals + strip)
    work.first_task = 0
    while work.first_task < n_tasks:
        n_now = <int> min(wave, n_tasks - work.first_task)
        with nogil:
            pool_run(run_moment_task, work, n_now, n_threads)
            if not watch.stopped:
                join_parts(work, n_now)
        if errors:
            raise errors[0]
        work.first_task += n_now
        PyErr_CheckSignals()
    rows = totals[:, 1:].reshape(work.n_strips, 5, COLUMN_STRIP).transpose(1, 0, 2).reshape(5, -1)
    lowest, highest, origin, means, squares = rows[:, : work.n_columns]
    return lowest, highest, origin + means, squares, totals[0, 0], are_in_range(work.totals, work.n_columns)
