"""Steps on flat vectors: the norm of a gradient and the optimizer's update, block by block in the thread pool."""

from sklstm._kernels._pool cimport pool_run
from sklstm._kernels._table cimport KernelTable

include "_door.pxi"

cdef enum:
    # Elements of one task. Fixed: the blocks of a norm are part of its value.
    BLOCK_SIZE = 1 << 14


cdef struct Update:
    const KernelTable *kernels
    Py_ssize_t n
    const char *gradient
    double *sums                 # (n_blocks,)
    char *parameters
    char *mean
    char *square
    const Py_ssize_t *ends       # (n_segments,) where each segment of the vector ends
    const double *decays         # (n_segments,)
    double scale, learning_rate, beta1, beta2, epsilon, correction1, correction2


cdef void norm_task(void *context, int task, int worker) noexcept nogil:
    cdef const Update *update = <const Update *> context
    cdef Py_ssize_t begin = <Py_ssize_t> task * BLOCK_SIZE
    update.sums[task] = update.kernels.sum_of_squares(min(<Py_ssize_t> BLOCK_SIZE, update.n - begin),
                                                      update.gradient + begin * update.kernels.item_size)


cdef void adamw_task(void *context, int task, int worker) noexcept nogil:
    """One block, cut where the weight decay changes."""
    cdef const Update *update = <const Update *> context
    cdef Py_ssize_t begin = <Py_ssize_t> task * BLOCK_SIZE, end = min(begin + BLOCK_SIZE, update.n)
    cdef Py_ssize_t segment = 0, stop, offset
    while begin < end:
        while update.ends[segment] <= begin:
            segment += 1
        stop = min(end, update.ends[segment])
        offset = begin * update.kernels.item_size
        update.kernels.adamw_step(stop - begin, update.parameters + offset, update.gradient + offset,
                                  update.mean + offset, update.square + offset, update.scale, update.learning_rate,
                                  update.decays[segment], update.beta1, update.beta2, update.epsilon,
                                  update.correction1, update.correction2)
        begin = stop


cdef int n_blocks(Py_ssize_t n) noexcept nogil:
    return <int> ((n + BLOCK_SIZE - 1) // BLOCK_SIZE)


def squared_norm(gradient, int n_threads, isa=None):
    """Return the sum of squares of a flat vector, accumulated in double."""
    cdef Update update
    cdef double total = 0
    cdef double[::1] sums
    cdef Py_ssize_t b
    cdef char code = code_of(gradient.dtype)
    update.kernels = open_table(code, isa)
    update.n = gradient.size
    sums = np.empty(n_blocks(update.n))
    update.gradient, update.sums = data_of(gradient, code, update.n), &sums[0]
    with nogil:
        pool_run(norm_task, &update, n_blocks(update.n), n_threads)
    for b in range(sums.shape[0]):
        total += sums[b]
    return total


def adamw_step(parameters, gradient, mean, square, const Py_ssize_t[::1] ends, const double[::1] decays,
               int n_threads, *, double scale, double learning_rate, double beta1, double beta2, double epsilon,
               Py_ssize_t step, isa=None):
    """One AdamW step in place; `step` counts from 1, segment k ends at `ends[k]` and decays by `decays[k]`."""
    cdef Update update
    cdef char code = code_of(parameters.dtype)
    update.kernels = open_table(code, isa)
    update.n = parameters.size
    if ends[ends.shape[0] - 1] != update.n or ends.shape[0] != decays.shape[0]:
        raise ValueError("the segments do not cover the parameters")
    update.parameters = data_of(parameters, code, update.n, True)
    update.gradient = data_of(gradient, code, update.n)
    update.mean = data_of(mean, code, update.n, True)
    update.square = data_of(square, code, update.n, True)
    update.ends, update.decays = &ends[0], &decays[0]
    update.scale, update.learning_rate, update.epsilon = scale, learning_rate, epsilon
    update.beta1, update.beta2 = beta1, beta2
    update.correction1, update.correction2 = 1 - beta1 ** step, 1 - beta2 ** step
    with nogil:
        pool_run(adamw_task, &update, n_blocks(update.n), n_threads)
