"""Statistics over time of every column of a table, in one pass over the table.

The table is cut into blocks of rows times strips of COLUMN_STRIP columns. A task computes the sums of one
of them, tile by tile (tasks.pxi), into an array of its own; these are added up in the order of the blocks.
The cut depends on the shape and the parameters only, never on the number of threads, and so do the bits of
the result.

Blocks are independent: each starts its moving average `halo` rows early, where the weight of all older rows
is below 2^-60, less than the precision of a double.
"""

from math import ceil, log2

from sklstm._kernels.columns.centring import (
    ColumnMoments,
    addressable,
    centre,
    first_means,
    powers_of_two,
    relative_weights,
    target_moments,
    target_sums,
)
from sklstm._kernels.columns.weighted_centring import centre_weighted, weighted_class_moments

from libc.stdint cimport int64_t

from sklstm._kernels.core._pool cimport pool_run
from sklstm._kernels._table cimport COLUMN_STRIP, KernelTable

include "../core/buffers.pxi"
include "../core/signals.pxi"
include "tasks.pxi"
include "moments.pxi"
include "one_row.pxi"

cdef enum:
    BLOCK_ROWS = 8192  # large against a halo, small enough to feed many threads
    WAVE_TASKS = 256  # tasks whose sums are held at a time, unless that takes too much memory
    WAVE_BYTES = 16777216


def _aligned(Py_ssize_t n_doubles):
    """Return an array of doubles that starts on a 64-byte boundary."""
    block = np.empty(n_doubles + 8)
    return block[-(block.ctypes.data // 8) % 8:][:n_doubles]


cdef int set_table(Work *work, X, isa) except -1:
    work.table = open_table(code_of(X.dtype), isa)
    work.rows = <const char *> <size_t> X.ctypes.data
    work.row_stride, work.column_stride = (stride // X.itemsize for stride in X.strides)
    work.n_rows, work.n_columns = X.shape
    work.n_strips = (work.n_columns + COLUMN_STRIP - 1) // COLUMN_STRIP
    return 0


cdef int set_target(Work *work, target, means) except -1:
    work.target_kind = NO_TARGET
    work.n_targets = len(means)
    if target is not None:
        work.target_kind = {
            "float32": TARGET_F32, "float64": TARGET_F64, "int64": TARGET_CODES
        }[target.dtype.name]
        work.target = <const void *> <size_t> target.ctypes.data
        work.target_row_stride = target.strides[0] // target.itemsize
        work.target_column_stride = target.strides[target.ndim - 1] // target.itemsize
        work.target_means = <const double *> data_of(means, FLOAT64, work.n_targets)
    return 0


cdef int set_sizes(Work *work, Py_ssize_t max_lag, double decay) except -1:
    """Choose the cut: see the top of this page for the halo."""
    cdef Py_ssize_t forgotten = 0
    if decay > 0.0:
        # Not beyond the table: for a decay that rounds to 1 the quotient is infinite.
        forgotten = <Py_ssize_t> min(ceil(-60.0 / min(log2(decay), -1e-300)), work.n_rows)
    work.max_lag = max_lag
    work.n_lags = up_to_four(max_lag + 1)
    work.decay = decay
    work.halo = max(work.n_lags, forgotten)
    work.block_rows = max(<Py_ssize_t> BLOCK_ROWS, 8 * work.halo)
    work.n_sums = N_MOMENTS + (1 + work.n_targets + 2 * (work.sample_weights != NULL)) * work.n_lags
    work.n_edges = max_lag if work.row_weights == NULL else 0
    work.partial_size = (2 + work.n_sums + 2 * work.n_edges) * COLUMN_STRIP
    work.scratch_size = scratch_doubles(work)
    return 0


cdef run(Work *work, int n_threads):
    """Run all tasks; return their sums, (rows of a partial, n_columns)."""
    cdef Py_ssize_t n_blocks = (work.n_rows + work.block_rows - 1) // work.block_rows
    cdef Py_ssize_t n_tasks = n_blocks * work.n_strips, task
    cdef Py_ssize_t wave = max(
        min(<Py_ssize_t> WAVE_TASKS, WAVE_BYTES // (8 * work.partial_size)), n_threads
    )
    wave = min(wave, n_tasks)
    scratch = _aligned(n_threads * work.scratch_size)
    partials = _aligned(wave * work.partial_size)
    cdef int n_now
    cdef SignalWatch watch
    cdef list errors = []
    open_watch(&watch, errors)
    work.watch = &watch
    work.scratch = <double *> data_of(scratch, FLOAT64, scratch.size, True)
    work.partials = <double *> data_of(partials, FLOAT64, partials.size, True)
    partials = partials.reshape(wave, -1, COLUMN_STRIP)
    totals = np.zeros((work.n_strips, partials.shape[1], COLUMN_STRIP))
    totals[:, 0] = np.inf
    totals[:, 1] = -np.inf
    work.first_task = 0
    while work.first_task < n_tasks:
        n_now = <int> min(wave, n_tasks - work.first_task)
        with nogil:
            pool_run(run_task, work, n_now, n_threads)
        if errors:
            raise errors[0]
        for task in range(n_now):
            total = totals[(work.first_task + task) % work.n_strips]
            np.minimum(total[0], partials[task, 0], out=total[0])
            np.maximum(total[1], partials[task, 1], out=total[1])
            total[2:] += partials[task, 2:]
        work.first_task += n_now
        PyErr_CheckSignals()
    return named(work, totals.transpose(1, 0, 2).reshape(totals.shape[1], -1))


cdef named(const Work *work, totals):
    """Name the rows of the totals (rows of a partial, padded columns)."""
    cdef Py_ssize_t heads = 2 + work.n_sums, tails = heads + work.n_edges
    totals = totals[:, : work.n_columns]
    lags = totals[2 + N_MOMENTS : heads].reshape(-1, work.n_lags, work.n_columns)[:, : work.max_lag + 1]
    return {
        "minimum": totals[0],
        "maximum": totals[1],
        "moments": totals[2 : 2 + N_MOMENTS],
        "products": lags[0],
        "cross_products": lags[1 : 1 + work.n_targets].transpose(1, 0, 2),
        "sample_products": lags[1 + work.n_targets :],
        "heads": totals[heads:tails],
        "tails": totals[tails:],
    }


def _weighted_target_moments(target, sample_weights, n_threads, isa):
    """Return the mean and the variance of every target, (2, n_targets)."""
    if target is None:
        return np.empty((2, 0))
    if target.dtype.name == "int64":
        return weighted_class_moments(target, sample_weights)
    moments = column_moments(target, sample_weights, n_threads=n_threads, isa=isa)
    return np.stack([moments.mean, moments.deviation**2])


def column_statistics(
    X, target, blocks, *, max_lag, decay, n_threads, row_weights=None, sample_weights=None, isa=None
):
    """Compute lagged covariances and the variances of a moving average of every column.

    With u the column minus its mean over all rows, sums run over the pairs of rows t - lag and t
    that lie in the same group, and are divided by n_samples. With weights each pair has that of its row t.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        float32 or float64, of any memory layout, possibly read-only; not copied. Numbers that are
        not finite make the statistics of their column not finite.
    target : ndarray or None
        float32 or float64 of shape (n_samples, n_targets), or int64 class numbers 0 .. k - 1 of
        shape (n_samples,), which stand for k columns of zeros and ones.
    blocks : ndarray of int of shape (n_groups + 1,)
        First row of each group, then n_samples; increasing from 0.
    max_lag : int
        Largest lag, at least 0.
    decay : float
        Factor in [0, 1) by which the weight of a row in the moving average shrinks with each
        later row.
    n_threads : int
        Number of threads; the result does not depend on it.
    row_weights : ndarray of shape (n_samples,) or None, default=None
        Weight of each row in the statistics of the columns, at most 1; groups whose first row has weight 0 are
        skipped.
    sample_weights : ndarray of shape (n_samples,) or (n_groups,) or None, default=None
        With `row_weights`: weight of each target, at most 1. Of shape (n_groups,), each group has one target
        only, in its last row, and `target` has n_groups rows.
    isa : str or None, default=None
        Instruction set of the kernels; None is the one in use.

    Returns
    -------
    statistics : ColumnStatistics
        minimum, maximum : of shape (n_features,);
        autocovariance : of shape (max_lag + 1, n_features), lag 0 is the variance;
        smooth_variance, residual_variance : of shape (n_features,), of the moving average and of
        the column minus it;
        cross_covariance : of shape (max_lag + 1, n_targets, n_features), of the column lag rows
        ago with the target now;
        target_variance : of shape (n_targets,);
        sample_correlation : None without weights, else of shape (max_lag + 1, n_targets, n_features): the correlation
        over the samples that have a row lag rows ago, times their share of all weights.
    """
    X = addressable(X)
    target = None if target is None else addressable(target)
    blocks = np.ascontiguousarray(blocks, dtype=np.int64)
    lengths = np.diff(blocks)
    if blocks[0] != 0 or blocks[len(lengths)] != len(X) or lengths.min() < 1:
        raise ValueError("blocks must rise from 0 to the number of rows of X.")
    reach = min(max_lag, int(lengths.max()) - 1)  # beyond it there are no pairs
    cdef Work work
    with np.errstate(all="ignore"):
        set_table(&work, X, isa)
        work.blocks = <const int64_t *> data_of(blocks, INT64, len(blocks))
        work.n_groups = len(lengths)
        work.row_weights = <const double *> data_of(row_weights, FLOAT64, work.n_rows)
        if row_weights is None:
            shift = first_means(X, work.n_strips * COLUMN_STRIP)
            moments = target_moments(target)
            sample_weights = None
        else:
            shift = np.zeros(work.n_strips * COLUMN_STRIP)
            shift[: work.n_columns] = column_moments(X, row_weights, n_threads=n_threads, isa=isa).mean
            moments = _weighted_target_moments(target, sample_weights, n_threads, isa)
        work.shift = <const double *> data_of(shift, FLOAT64, len(shift))
        work.samples_are_groups = sample_weights is not None and len(sample_weights) != work.n_rows
        work.sample_weights = <const double *> data_of(
            sample_weights, FLOAT64, work.n_groups if work.samples_are_groups else work.n_rows
        )
        set_target(&work, target, moments[0])
        set_sizes(&work, reach, decay)
        if row_weights is not None:
            sums = run(&work, n_threads)
            return centre_weighted(sums, target, moments, blocks, row_weights, sample_weights, max_lag)
        of_targets = target_sums(target, moments, blocks[: len(lengths)], lengths, reach)
        return centre(run(&work, n_threads), of_targets, moments[1], lengths, max_lag)


def column_moments(X, weights=None, *, n_threads, isa=None):
    """Compute the weighted mean and deviation of every column in one pass over the table.

    Rows of weight zero are not read, and the others give the same bits as a table of them alone; equal
    weights give the bits of no weights. The result has the same bits for any number of threads.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        float32 or float64, of any memory layout, possibly read-only; not copied. Numbers that are not finite make the
        mean and the deviation of their column not finite.
    weights : ndarray of shape (n_samples,) or None, default=None
        Weight of each row: finite, not negative, and at least one of them positive. None means ones.
    n_threads : int
        Number of threads.
    isa : str or None, default=None
        Instruction set of the kernels; None is the one in use.

    Returns
    -------
    moments : ColumnMoments
        mean, deviation, minimum, maximum, each a float64 array of shape (n_features,). The deviation is the square
        root of the weighted mean of the squared distances from the mean. A column whose numbers are all equal has
        exactly that number as its mean, and the deviation 0; finite numbers have finite moments.
    """
    X = addressable(X)
    chosen, weights = relative_weights(weights, len(X))
    cdef MomentWork work
    work.table = open_table(code_of(X.dtype), isa)
    work.rows = <const char *> <size_t> X.ctypes.data
    work.row_stride, work.column_stride = (stride // X.itemsize for stride in X.strides)
    work.n_columns = X.shape[1]
    work.n_strips = (work.n_columns + COLUMN_STRIP - 1) // COLUMN_STRIP
    work.n_rows = len(X) if chosen is None else len(chosen)
    work.chosen = <const int64_t *> data_of(chosen, INT64, work.n_rows)
    work.weights = <const double *> data_of(weights, FLOAT64, work.n_rows)
    scale = np.ones(work.n_strips * COLUMN_STRIP)
    work.scale = <const double *> data_of(scale, FLOAT64, len(scale))
    with np.errstate(all="ignore"):
        lowest, highest, means, squares, total, is_in_range = run_moments(&work, n_threads)
        powers = None if is_in_range else powers_of_two(lowest, highest, squares, total)
        if powers is not None:  # numbers whose squares leave the range of a double: once more, scaled exactly
            scale[: work.n_columns] = np.ldexp(1.0, -powers)
            _, _, means, squares, total, _ = run_moments(&work, n_threads)
            means = np.ldexp(means, powers)
        deviation = np.sqrt(squares / total)
        if powers is not None:
            deviation = np.ldexp(deviation, powers)
    return ColumnMoments(means, deviation, lowest, highest)
