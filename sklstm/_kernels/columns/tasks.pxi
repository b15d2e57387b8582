# The tasks of _column_statistics.pyx: one block of rows times one strip of columns, tile by tile. A
# tile stays in L1 between the kernels that read it (isa/columns.pxi).

from libc.math cimport INFINITY
from libc.string cimport memcpy, memmove, memset

cdef enum:
    ROWS_PER_TILE = 128
    N_MOMENTS = 4  # rows of sums that column_smoothed_moments fills

cdef enum TargetKind:
    NO_TARGET
    TARGET_F32
    TARGET_F64
    TARGET_CODES


cdef struct Work:
    const KernelTable *table
    # the table of numbers; strides count elements
    const char *rows
    Py_ssize_t row_stride
    Py_ssize_t column_stride
    Py_ssize_t n_rows
    Py_ssize_t n_columns
    const double *shift  # (n_strips * COLUMN_STRIP,) first estimate of the means
    const int64_t *blocks  # (n_groups + 1,) first row of each group, then n_rows
    # weights, NULL for none; a group whose first row has the weight 0 is passed over
    const double *row_weights  # (n_rows,)
    const double *sample_weights  # (n_rows,), or (n_groups,) where each group is one sample, of its last row
    bint samples_are_groups
    Py_ssize_t n_groups
    # statistics to compute
    Py_ssize_t max_lag
    Py_ssize_t n_lags  # max_lag + 1, rounded up to the 4 of the kernels
    double decay
    TargetKind target_kind
    const void *target  # one row for each sample
    Py_ssize_t target_row_stride
    Py_ssize_t target_column_stride
    const double *target_means
    Py_ssize_t n_targets
    # partition
    Py_ssize_t n_strips
    Py_ssize_t block_rows
    Py_ssize_t halo
    Py_ssize_t first_task
    # memory
    double *scratch  # one piece per worker
    Py_ssize_t scratch_size
    double *partials  # one piece per task: [lowest, highest, sums, heads, tails]
    Py_ssize_t partial_size
    Py_ssize_t n_sums  # rows of sums: moments, then lags, lags of each target, two more with sample weights
    Py_ssize_t n_edges  # rows of heads, and of tails: 0 with weights
    SignalWatch *watch  # of the call


cdef struct Scratch:
    # one worker's piece, cut up
    double *history  # (n_lags, COLUMN_STRIP), right before the tile
    double *tile  # (ROWS_PER_TILE, COLUMN_STRIP)
    double *squares  # (n_lags + ROWS_PER_TILE, COLUMN_STRIP) of history and tile; only with weights
    double *present  # (ROWS_PER_TILE, COLUMN_STRIP) the tile times the weights of its rows; only with weights
    double *state  # (COLUMN_STRIP,)
    double *discarded  # (N_MOMENTS, COLUMN_STRIP) sums of rows that belong to another block
    double *gain  # (ROWS_PER_TILE,)
    double *weights  # (ROWS_PER_TILE,) of the rows
    double *target  # (ROWS_PER_TILE,)
    double *sums  # (n_sums, COLUMN_STRIP) of the last few tiles
    Py_ssize_t pending  # rows in these sums


cdef Py_ssize_t scratch_doubles(const Work *work) noexcept nogil:
    return (
        (work.n_lags + ROWS_PER_TILE + 1 + N_MOMENTS + work.n_sums) * COLUMN_STRIP
        + 3 * ROWS_PER_TILE
        + (work.n_lags + 2 * ROWS_PER_TILE if work.row_weights != NULL else 0) * COLUMN_STRIP
    )


cdef Scratch cut_scratch(double *piece, const Work *work) noexcept nogil:
    cdef Scratch scratch
    cdef Py_ssize_t i
    scratch.history = piece
    scratch.tile = scratch.history + work.n_lags * COLUMN_STRIP
    scratch.state = scratch.tile + ROWS_PER_TILE * COLUMN_STRIP
    scratch.discarded = scratch.state + COLUMN_STRIP
    scratch.gain = scratch.discarded + N_MOMENTS * COLUMN_STRIP
    scratch.weights = scratch.gain + ROWS_PER_TILE
    scratch.target = scratch.weights + ROWS_PER_TILE
    scratch.sums = scratch.target + ROWS_PER_TILE
    scratch.squares = scratch.sums + work.n_sums * COLUMN_STRIP
    scratch.present = scratch.squares + (work.n_lags + ROWS_PER_TILE) * COLUMN_STRIP
    if work.row_weights == NULL:
        scratch.squares = NULL
        scratch.present = scratch.tile
    for i in range(ROWS_PER_TILE):
        scratch.weights[i] = 1.0
    scratch.pending = 0
    memset(scratch.sums, 0, work.n_sums * COLUMN_STRIP * sizeof(double))
    memset(scratch.discarded, 0, N_MOMENTS * COLUMN_STRIP * sizeof(double))
    return scratch


cdef inline Py_ssize_t up_to_four(Py_ssize_t n) noexcept nogil:
    return (n + 3) // 4 * 4


cdef void load_target(
    const Work *work, Py_ssize_t k, Py_ssize_t first, Py_ssize_t n, double *out
) noexcept nogil:
    """Fill out with target k of n samples, minus its mean and times the weight of the sample; k < 0: the weight alone.
    """
    cdef Py_ssize_t t, place
    if k < 0:
        for t in range(n):
            out[t] = work.sample_weights[first + t]
        return
    place = first * work.target_row_stride
    if work.target_kind != TARGET_CODES:
        place += k * work.target_column_stride
    for t in range(n):
        if work.target_kind == TARGET_F32:
            out[t] = (<const float *> work.target)[place] - work.target_means[k]
        elif work.target_kind == TARGET_F64:
            out[t] = (<const double *> work.target)[place] - work.target_means[k]
        else:
            out[t] = (1.0 if (<const int64_t *> work.target)[place] == k else 0.0) - work.target_means[k]
        place += work.target_row_stride
    if work.sample_weights != NULL:
        for t in range(n):
            out[t] *= work.sample_weights[first + t]


cdef void flush(const Work *work, Scratch *scratch, double *partial) noexcept nogil:
    """Add the sums of the last tiles to the task's: two levels keep rounding errors small."""
    cdef Py_ssize_t i
    cdef double *total = partial + 2 * COLUMN_STRIP
    for i in range(work.n_sums * COLUMN_STRIP):
        total[i] += scratch.sums[i]
        scratch.sums[i] = 0.0
    scratch.pending = 0


cdef void add_edges(
    const Work *work, const double *tile, Py_ssize_t n, Py_ssize_t position, Py_ssize_t remaining,
    double *partial
) noexcept nogil:
    """Note the first and the last n_edges rows of a group: a lag has no pairs for some of them.

    position is the tile's first row counted from the group's first, remaining the number of rows
    from it to the group's end.
    """
    cdef double *heads = partial + (2 + work.n_sums) * COLUMN_STRIP
    cdef double *tails = heads + work.n_edges * COLUMN_STRIP
    cdef Py_ssize_t t, j, k
    for t in range(min(n, work.n_edges - position)):
        for j in range(COLUMN_STRIP):
            heads[(position + t) * COLUMN_STRIP + j] += tile[t * COLUMN_STRIP + j]
    for t in range(max(0, remaining - work.n_edges), n):
        k = remaining - 1 - t
        for j in range(COLUMN_STRIP):
            tails[k * COLUMN_STRIP + j] += tile[t * COLUMN_STRIP + j]


cdef void add_targets(
    const Work *work, Scratch *scratch, Py_ssize_t group, Py_ssize_t first, Py_ssize_t n, Py_ssize_t n_lags
) noexcept nogil:
    """Add the lagged products of a tile with the targets of its samples, and with their weights."""
    cdef Py_ssize_t k, i, begin = 0, n_padded = up_to_four(n), sample = first, n_samples = n, width = work.n_lags
    cdef double *sums = scratch.sums + (N_MOMENTS + work.n_lags) * COLUMN_STRIP
    memset(scratch.target, 0, n_padded * sizeof(double))
    if work.samples_are_groups:
        if first + n < work.blocks[group + 1]:
            return
        begin = (n - 1) // 4 * 4  # only the last row of the group has a target
        sample = group
        n_samples = 1
    for k in range(-1 if work.sample_weights != NULL else 0, work.n_targets):
        load_target(work, k, sample, n_samples, scratch.target + n - n_samples)
        work.table.column_target_products(
            n_padded - begin, n_lags, scratch.tile + begin * COLUMN_STRIP, scratch.target + begin,
            sums + (k if k >= 0 else work.n_targets) * width * COLUMN_STRIP
        )
        if k < 0:
            for i in range((work.n_lags + n_padded) * COLUMN_STRIP):
                scratch.squares[i] = scratch.history[i] * scratch.history[i]
            work.table.column_target_products(
                n_padded - begin, n_lags, scratch.squares + (work.n_lags + begin) * COLUMN_STRIP,
                scratch.target + begin, sums + (work.n_targets + 1) * width * COLUMN_STRIP
            )


cdef void add_tile(
    const Work *work, Scratch *scratch, Py_ssize_t group, Py_ssize_t first, Py_ssize_t n
) noexcept nogil:
    """Add the lagged products of one tile; rows before the group's first are zeros."""
    cdef Py_ssize_t t, j, n_padded = up_to_four(n)
    cdef Py_ssize_t n_lags = min(work.n_lags, up_to_four(first - work.blocks[group] + n))
    memset(
        scratch.tile + n * COLUMN_STRIP, 0, (n_padded - n) * COLUMN_STRIP * sizeof(double)
    )
    if work.row_weights != NULL:
        for t in range(n):
            for j in range(COLUMN_STRIP):
                scratch.present[t * COLUMN_STRIP + j] = scratch.weights[t] * scratch.tile[t * COLUMN_STRIP + j]
        memset(
            scratch.present + n * COLUMN_STRIP, 0, (n_padded - n) * COLUMN_STRIP * sizeof(double)
        )
    work.table.column_lagged_products(
        n_padded, n_lags, scratch.present, scratch.tile, scratch.sums + N_MOMENTS * COLUMN_STRIP
    )
    if work.n_targets > 0:
        add_targets(work, scratch, group, first, n, n_lags)


cdef void run_series(
    const Work *work, Scratch *scratch, Py_ssize_t first_column, Py_ssize_t group, Py_ssize_t begin,
    Py_ssize_t stop, double *partial
) noexcept nogil:
    """Add rows begin .. stop - 1, all of one group, to the sums of one strip."""
    cdef const KernelTable *table = work.table
    cdef Py_ssize_t group_begin = work.blocks[group], group_end = work.blocks[group + 1]
    cdef Py_ssize_t t = max(group_begin, begin - work.halo), n, i
    cdef Py_ssize_t n_columns = min(<Py_ssize_t> COLUMN_STRIP, work.n_columns - first_column)
    cdef double weight = 0.0
    memset(scratch.history, 0, work.n_lags * COLUMN_STRIP * sizeof(double))
    memset(scratch.state, 0, COLUMN_STRIP * sizeof(double))
    while t < stop:
        n = min(<Py_ssize_t> ROWS_PER_TILE, (begin if t < begin else stop) - t)
        table.column_pack(
            n, n_columns,
            work.rows
            + (t * work.row_stride + first_column * work.column_stride) * table.item_size,
            work.row_stride, work.column_stride, work.shift + first_column, scratch.tile,
            partial, partial + COLUMN_STRIP
        )
        for i in range(n):
            weight = 1.0 + work.decay * weight
            scratch.gain[i] = 1.0 / weight
        if work.row_weights != NULL:
            memcpy(scratch.weights, work.row_weights + t, n * sizeof(double))
        table.column_smoothed_moments(
            n, work.decay, scratch.gain, scratch.weights, scratch.tile, scratch.state,
            scratch.discarded if t < begin else scratch.sums
        )
        if t >= begin:
            add_edges(work, scratch.tile, n, t - group_begin, group_end - t, partial)
            add_tile(work, scratch, group, t, n)
            scratch.pending += n
            if scratch.pending >= ROWS_PER_TILE:
                flush(work, scratch, partial)
        t += n
        if t < stop:
            memmove(
                scratch.history, scratch.history + n * COLUMN_STRIP,
                work.n_lags * COLUMN_STRIP * sizeof(double)
            )


cdef Py_ssize_t group_of_row(const Work *work, Py_ssize_t row) noexcept nogil:
    cdef Py_ssize_t low = 0, high = work.n_groups, middle
    while high - low > 1:
        middle = (low + high) // 2
        if work.blocks[middle] <= row:
            low = middle
        else:
            high = middle
    return low


cdef void run_task(void *context, int task, int worker) noexcept nogil:
    """One block of rows times one strip of columns."""
    cdef const Work *work = <const Work *> context
    # Strips inside, blocks outside: concurrent tasks share the pages of a table on disk.
    cdef Py_ssize_t block = (work.first_task + task) // work.n_strips
    cdef Py_ssize_t strip = (work.first_task + task) % work.n_strips
    cdef Py_ssize_t row = block * work.block_rows, stop, j
    cdef Py_ssize_t end = min(row + work.block_rows, work.n_rows)
    cdef Py_ssize_t group = group_of_row(work, row)
    cdef double *partial = work.partials + task * work.partial_size
    cdef Scratch scratch = cut_scratch(work.scratch + worker * work.scratch_size, work)
    if must_stop(work.watch, worker):
        return
    memset(partial, 0, work.partial_size * sizeof(double))
    for j in range(COLUMN_STRIP):
        partial[j] = INFINITY
        partial[COLUMN_STRIP + j] = -INFINITY
    while row < end:
        stop = min(<Py_ssize_t> work.blocks[group + 1], end)
        if work.row_weights == NULL or work.row_weights[work.blocks[group]] > 0.0:
            run_series(work, &scratch, strip * COLUMN_STRIP, group, row, stop, partial)
        row = stop
        group += 1
    flush(work, &scratch, partial)
