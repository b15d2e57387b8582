"""Steps on flat vectors: the norm of a gradient and the optimizer's update, block by block in the thread pool."""

from libc.string cimport memcpy

from sklstm._kernels.core._pool cimport pool_run
from sklstm._kernels._calls cimport ADAM, ADAMW, SCHEDULE_FREE, SGD, UpdateStep
from sklstm._kernels._table cimport KernelTable

include "../core/buffers.pxi"
include "../core/signals.pxi"

cdef enum:
    # Elements of one task. Fixed: the blocks of a norm are part of its value.
    BLOCK_SIZE = 1 << 14


UPDATE_RULES = {"adamw": ADAMW, "adam": ADAM, "sgd": SGD, "schedule_free": SCHEDULE_FREE}


cdef struct Update:
    const KernelTable *kernels
    Py_ssize_t n
    const char *gradient
    double *sums                 # (n_blocks,)
    int rule
    UpdateStep step              # of the whole vector
    const char *source[3]        # what x, first and second are before the step, where that is elsewhere; NULL
    const Py_ssize_t *ends       # (n_segments,) where each segment of the vector ends
    const double *decays         # (n_segments,)
    SignalWatch *watch


cdef void norm_task(void *context, int task, int worker) noexcept nogil:
    cdef const Update *update = <const Update *> context
    cdef Py_ssize_t begin = <Py_ssize_t> task * BLOCK_SIZE
    update.sums[task] = update.kernels.sum_of_squares(min(<Py_ssize_t> BLOCK_SIZE, update.n - begin),
                                                      update.gradient + begin * update.kernels.item_size)


cdef void load(void *out, const char *source, Py_ssize_t offset, Py_ssize_t n_bytes) noexcept nogil:
    if source != NULL:
        memcpy(out, source + offset, n_bytes)


cdef void update_task(void *context, int task, int worker) noexcept nogil:
    """One block, cut where the weight decay changes."""
    cdef const Update *update = <const Update *> context
    cdef UpdateStep step = update.step
    cdef Py_ssize_t begin = <Py_ssize_t> task * BLOCK_SIZE, end = min(begin + BLOCK_SIZE, update.n)
    cdef Py_ssize_t segment = 0, stop, offset
    if must_stop(update.watch, worker):
        return
    while begin < end:
        while update.ends[segment] <= begin:
            segment += 1
        stop = min(end, update.ends[segment])
        offset = begin * update.kernels.item_size
        step.n, step.decay = stop - begin, update.decays[segment]
        step.x = <char *> update.step.x + offset
        step.gradient = <const char *> update.step.gradient + offset
        step.first = <char *> update.step.first + offset
        step.second = <char *> update.step.second + offset
        # Block by block, what is copied is still in the cache when it is changed.
        load(step.x, update.source[0], offset, step.n * update.kernels.item_size)
        load(step.first, update.source[1], offset, step.n * update.kernels.item_size)
        load(step.second, update.source[2], offset, step.n * update.kernels.item_size)
        update.kernels.update_steps[update.rule](&step)
        begin = stop


cdef int n_blocks(Py_ssize_t n) noexcept nogil:
    return <int> ((n + BLOCK_SIZE - 1) // BLOCK_SIZE)


def squared_norm(gradient, int n_threads, isa=None):
    """Return the sum of squares of a flat vector, accumulated in double."""
    cdef Update update
    cdef double total = 0
    cdef Py_ssize_t b
    cdef char code = code_of(gradient.dtype)
    update.kernels = open_table(code, isa)
    update.n = gradient.size
    sums = np.empty(n_blocks(update.n))
    update.gradient, update.sums = data_of(gradient, code, update.n), <double *> data_of(sums, FLOAT64, sums.size, True)
    with nogil:
        pool_run(norm_task, &update, n_blocks(update.n), n_threads)
    for b in range(n_blocks(update.n)):
        total += update.sums[b]
    return total


def update_step(rule, parameters, gradient, first, second, ends, decays, int n_threads, *, double scale,
                double learning_rate, double beta1, double beta2, double epsilon, Py_ssize_t step, double mixing=0.0,
                source=None, isa=None):
    """One step of an optimizer in place (`UPDATE_RULES`; isa/optimizers.pxi says what `first` and `second` are).

    `step` counts from 1; segment k ends at `ends[k]` and decays by `decays[k]`. With `source`, parameters, first and
    second that stay as they are, the three arrays become what the step makes of these. A signal handler that raises
    ends it between two blocks.
    """
    cdef Update update
    cdef SignalWatch watch
    cdef list errors = []
    cdef Py_ssize_t k
    cdef char code = code_of(parameters.dtype)
    update.kernels, update.rule, update.n = open_table(code, isa), UPDATE_RULES[rule], parameters.size
    update.ends = <const Py_ssize_t *> data_of(ends, INTP, 1)
    update.decays = <const double *> data_of(decays, FLOAT64, len(ends))
    if update.ends[len(ends) - 1] != update.n or len(ends) != len(decays):
        raise ValueError("the segments do not cover the parameters")
    update.step.x = data_of(parameters, code, update.n, True)
    update.step.gradient = data_of(gradient, code, update.n)
    update.step.first = data_of(first, code, update.n, True)
    update.step.second = data_of(second, code, update.n, True)
    for k, array in enumerate(source or (None, None, None)):
        update.source[k] = data_of(array, code, update.n)
    update.step.gradient_scale, update.step.learning_rate, update.step.epsilon = scale, learning_rate, epsilon
    update.step.beta1, update.step.beta2, update.step.mixing = beta1, beta2, mixing
    update.step.correction1, update.step.correction2 = 1 - beta1 ** step, 1 - beta2 ** step
    if update.rule == SCHEDULE_FREE:  # its step size holds the correction
        update.step.correction2 = 1
    open_watch(&watch, errors)
    update.watch = &watch
    with nogil:
        pool_run(update_task, &update, n_blocks(update.n), n_threads)
    if errors:
        raise errors[0]
