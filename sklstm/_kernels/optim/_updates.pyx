"""Steps on flat vectors: the norm of a gradient and the optimizer's update, block by block in the thread pool."""

from libc.stdlib cimport calloc, free, qsort
from libc.string cimport memcpy, memset

from sklstm._kernels.core._pool cimport pool_run
from sklstm._kernels._calls cimport ADAM, ADAMW, SCHEDULE_FREE, SGD, OuterProduct, OuterProducts, UpdateStep
from sklstm._kernels._table cimport KernelTable

include "../core/buffers.pxi"
include "../core/signals.pxi"

cdef enum:
    # Elements of one task. Fixed: the blocks of a norm are part of its value.
    BLOCK_SIZE = 1 << 14
    # Products of factors that are made at once: they stay in L1.
    PIECE_SIZE = 1 << 10
    # From so many blocks of a step on, 80 us, threads are woken: of fewer they take off 10 us at best, and where other
    # programs run the wait for them is longer than that.
    SHARED_BLOCKS = 16
    # Blocks of one task of a norm.
    NORM_BLOCKS = 4
    # From so many bytes of a vector on, what a step writes to other arrays goes past the caches, which cannot hold it.
    STREAMED_BYTES = 1 << 23


cdef int compare_parts(const void *a, const void *b) noexcept nogil:
    cdef Py_ssize_t first = (<const OuterProduct *> a).begin, second = (<const OuterProduct *> b).begin
    return (first > second) - (first < second)


cdef inline char *aligned(char *room) noexcept nogil:
    return room + (64 - <size_t> room % 64) % 64


cdef class FactoredGradient:
    """A gradient, large parts of which are outer products of two rows that are never written.

    Parameters
    ----------
    vector : ndarray of shape (n,)
        Holds the other parts; what it holds in place of the products is left as it is.
    n_parts, n_numbers : int
        Products, and numbers of all factors, that there is room for.
    """

    def __cinit__(self, vector, Py_ssize_t n_parts, Py_ssize_t n_numbers):
        self.code, self.vector, self.n_most = code_of(vector.dtype), vector, n_parts
        self.products.parts = <OuterProduct *> calloc(max(n_parts, 1), sizeof(OuterProduct))
        if self.products.parts == NULL:
            raise MemoryError()
        self.memory = np.empty(n_numbers * vector.itemsize + 64, np.uint8)
        self.numbers = aligned(data_of(self.memory, UINT8, 64, True))
        self.begin(data_of(vector, self.code, vector.size))

    def __dealloc__(self):
        free(self.products.parts)

    cdef void begin(self, char *gradient) noexcept:
        """Be without products."""
        self.products.n, self.products.numbers, self.products.gradient = 0, self.numbers, gradient

    cdef void sort(self) noexcept:
        """Bring the products into the order of the vector."""
        qsort(self.products.parts, self.products.n, sizeof(OuterProduct), compare_parts)

    def to_array(self, isa=None):
        """Return the gradient with its products, as a new vector."""
        cdef const KernelTable *kernels = open_table(self.code, isa)
        cdef const OuterProduct *part
        cdef Py_ssize_t k
        whole = self.vector.copy()
        cdef char *out = data_of(whole, self.code, whole.size, True)
        for k in range(self.products.n):
            part = &self.products.parts[k]
            kernels.fill_outer(part, part.begin, part.n_k * part.width, out + part.begin * kernels.item_size)
        return whole


UPDATE_RULES = {"adamw": ADAMW, "adam": ADAM, "sgd": SGD, "schedule_free": SCHEDULE_FREE}


cdef struct Update:
    const KernelTable *kernels
    Py_ssize_t n
    const char *gradient
    const OuterProducts *products  # parts that `gradient` does not hold; NULL: it holds all
    double *sums                 # (n_blocks,)
    int rule
    UpdateStep step              # of the whole vector
    unsigned char *is_finite     # (n_blocks,)
    const Py_ssize_t *ends       # (n_segments,) where each segment of the vector ends
    const double *decays         # (n_segments,)
    SignalWatch *watch


cdef inline Py_ssize_t part_at(const OuterProducts *products, Py_ssize_t place) noexcept nogil:
    """The first part that ends behind a place."""
    cdef Py_ssize_t low = 0, high = products.n, middle
    while low < high:
        middle = (low + high) // 2
        if products.parts[middle].begin + products.parts[middle].n_k * products.parts[middle].width > place:
            high = middle
        else:
            low = middle + 1
    return low


cdef const char *gradient_at(const Update *update, Py_ssize_t begin, Py_ssize_t *end, char *piece) noexcept nogil:
    """The numbers of a gradient from `begin` on, up to an end that is brought forward where that is needed.

    `piece` is room for PIECE_SIZE of them.
    """
    cdef const OuterProduct *part = NULL
    cdef Py_ssize_t k
    if update.products != NULL:
        k = part_at(update.products, begin)
        if k < update.products.n:
            part = &update.products.parts[k]
    if part == NULL or begin < part.begin:
        if part != NULL:
            end[0] = min(end[0], part.begin)
        return update.gradient + begin * update.kernels.item_size
    end[0] = min(end[0], begin + <Py_ssize_t> PIECE_SIZE, part.begin + part.n_k * part.width)
    update.kernels.fill_outer(part, begin, end[0] - begin, piece)
    return piece


cdef const char *piece_at(const Update *update, Py_ssize_t begin, Py_ssize_t end, char *piece) noexcept nogil:
    """The numbers of a gradient from `begin` to `end`, PIECE_SIZE at most, whatever parts they come from."""
    cdef Py_ssize_t size = update.kernels.item_size, first = begin, stop
    cdef const char *found
    cdef char *here
    if update.products == NULL:
        return update.gradient + begin * size
    while first < end:
        here, stop = piece + (first - begin) * size, end
        found = gradient_at(update, first, &stop, here)
        if found != here:
            memcpy(here, found, (stop - first) * size)
        first = stop
    return piece


cdef void add_blocks(const Update *update, Py_ssize_t block, int n, Py_ssize_t begin, Py_ssize_t end, char *pieces,
                     double *sums) noexcept nogil:
    """Add the squares of the numbers from `begin` to `end` of n blocks, piece by piece side by side."""
    cdef const void *vectors[NORM_BLOCKS]
    cdef Py_ssize_t stop, k
    while begin < end and n > 0:
        stop = min(begin + <Py_ssize_t> PIECE_SIZE, end)
        for k in range(n):
            vectors[k] = piece_at(update, (block + k) * BLOCK_SIZE + begin, (block + k) * BLOCK_SIZE + stop,
                                  pieces + k * PIECE_SIZE * update.kernels.item_size)
        update.kernels.add_squares(stop - begin, n, vectors, sums)
        begin = stop


cdef void norm_task(void *context, int task, int worker) noexcept nogil:
    """Some blocks, of which the last of all may be shorter."""
    cdef const Update *update = <const Update *> context
    cdef Py_ssize_t block = <Py_ssize_t> task * NORM_BLOCKS, last, whole
    cdef int n = min(<int> NORM_BLOCKS, n_blocks(update.n) - <int> block), j, k
    cdef double sums[NORM_BLOCKS * 9]
    cdef char room[NORM_BLOCKS * PIECE_SIZE * 8 + 64]
    cdef char *pieces = aligned(room)
    last = min(<Py_ssize_t> BLOCK_SIZE, update.n - (block + n - 1) * BLOCK_SIZE)
    whole = last - last % 8
    memset(sums, 0, sizeof(sums))
    add_blocks(update, block, n, 0, whole, pieces, sums)
    add_blocks(update, block + n - 1, 1, whole, last, pieces, sums + 9 * (n - 1))
    add_blocks(update, block, n - 1, whole, BLOCK_SIZE, pieces, sums)
    for k in range(n):
        update.sums[block + k] = sums[9 * k + 8]
        for j in range(8):
            update.sums[block + k] += sums[9 * k + j]


cdef void update_task(void *context, int task, int worker) noexcept nogil:
    """One block, cut where the weight decay changes."""
    cdef const Update *update = <const Update *> context
    cdef UpdateStep step = update.step
    cdef Py_ssize_t begin = <Py_ssize_t> task * BLOCK_SIZE, end = min(begin + BLOCK_SIZE, update.n)
    cdef Py_ssize_t segment = 0, stop, offset
    cdef char room[PIECE_SIZE * 8 + 64]
    cdef char *piece = aligned(room)
    cdef bint is_finite = True
    if must_stop(update.watch, worker):
        return
    while begin < end:
        while update.ends[segment] <= begin:
            segment += 1
        stop = min(end, update.ends[segment])
        step.gradient = gradient_at(update, begin, &stop, piece)
        offset = begin * update.kernels.item_size
        step.streams = update.step.streams and offset % 64 == 0
        step.n, step.decay = stop - begin, update.decays[segment]
        step.x = <const char *> update.step.x + offset
        step.first = <const char *> update.step.first + offset
        step.second = <const char *> update.step.second + offset
        step.next_x = <char *> update.step.next_x + offset
        step.next_first = <char *> update.step.next_first + offset
        step.next_second = <char *> update.step.next_second + offset
        if update.rule == SGD and update.step.second != update.step.next_second:  # it has one vector only
            memcpy(step.next_second, step.second, step.n * update.kernels.item_size)
        is_finite = update.kernels.update_steps[update.rule](&step) and is_finite
        begin = stop
    update.is_finite[task] = is_finite


cdef int n_blocks(Py_ssize_t n) noexcept nogil:
    return <int> ((n + BLOCK_SIZE - 1) // BLOCK_SIZE)


cdef int attach_gradient(Update *update, gradient, char code) except -1:
    """Point an update at an array, or at a gradient with parts that are left as factors."""
    cdef FactoredGradient factored
    update.products = NULL
    if isinstance(gradient, FactoredGradient):
        factored = gradient
        update.products, gradient = &factored.products, factored.vector
    update.gradient = data_of(gradient, code, update.n)
    return 0


def squared_norm(gradient, int n_threads, isa=None):
    """Return the sum of squares of a flat vector or `FactoredGradient`, accumulated in double."""
    cdef Update update
    cdef double total = 0
    cdef Py_ssize_t b
    vector = gradient.vector if isinstance(gradient, FactoredGradient) else gradient
    cdef char code = code_of(vector.dtype)
    update.kernels, update.n = open_table(code, isa), vector.size
    attach_gradient(&update, gradient, code)
    sums = np.empty(n_blocks(update.n))
    update.sums = <double *> data_of(sums, FLOAT64, sums.size, True)
    with nogil:
        pool_run(norm_task, &update, (n_blocks(update.n) + NORM_BLOCKS - 1) // NORM_BLOCKS, n_threads)
    for b in range(n_blocks(update.n)):
        total += update.sums[b]
    return total


cdef inline bint starts_a_line(const void *array) noexcept nogil:
    return <size_t> array % 64 == 0


def update_step(rule, parameters, gradient, first, second, ends, decays, int n_threads, *, double scale,
                double learning_rate, double beta1, double beta2, double epsilon, Py_ssize_t step, double mixing=0.0,
                source=None, isa=None):
    """One step of an optimizer in place (`UPDATE_RULES`; isa/optimizers.h says what `first` and `second` are).

    `gradient` is an array or a `FactoredGradient`. `step` counts from 1; segment k ends at `ends[k]` and decays by
    `decays[k]`. With `source`, parameters, first and second that stay as they are, the three arrays become what the
    step makes of these. A signal handler that raises ends it between two blocks.

    Returns whether all parameters are finite, and so are sums of their squares.
    """
    cdef Update update
    cdef SignalWatch watch
    cdef list errors = []
    cdef Py_ssize_t b
    cdef bint is_finite = True
    cdef char code = code_of(parameters.dtype)
    cdef UpdateStep *whole = &update.step
    update.kernels, update.rule, update.n = open_table(code, isa), UPDATE_RULES[rule], parameters.size
    update.ends = <const Py_ssize_t *> data_of(ends, INTP, 1)
    update.decays = <const double *> data_of(decays, FLOAT64, len(ends))
    if update.ends[len(ends) - 1] != update.n or len(ends) != len(decays):
        raise ValueError("the segments do not cover the parameters")
    attach_gradient(&update, gradient, code)
    whole.next_x = data_of(parameters, code, update.n, True)
    whole.next_first = data_of(first, code, update.n, True)
    whole.next_second = data_of(second, code, update.n, True)
    old_x, old_first, old_second = source or (parameters, first, second)
    whole.x = data_of(old_x, code, update.n)
    whole.first = data_of(old_first, code, update.n)
    whole.second = data_of(old_second, code, update.n)
    whole.streams = (
        source is not None and update.n * update.kernels.item_size >= STREAMED_BYTES and starts_a_line(whole.next_x)
        and starts_a_line(whole.next_first) and starts_a_line(whole.next_second))
    whole.gradient_scale, whole.learning_rate, whole.epsilon = scale, learning_rate, epsilon
    whole.beta1, whole.beta2, whole.mixing = beta1, beta2, mixing
    whole.correction1, whole.correction2 = 1 - beta1 ** step, 1 - beta2 ** step
    if update.rule == SCHEDULE_FREE:  # its step size holds the correction
        whole.correction2 = 1
    open_watch(&watch, errors)
    update.watch = &watch
    update.is_finite = <unsigned char *> calloc(n_blocks(update.n) + 1, 1)
    if update.is_finite == NULL:
        raise MemoryError()
    with nogil:
        pool_run(update_task, &update, n_blocks(update.n), n_threads if n_blocks(update.n) >= SHARED_BLOCKS else 1)
    for b in range(n_blocks(update.n)):
        is_finite = is_finite and update.is_finite[b]
    free(update.is_finite)
    if errors:
        raise errors[0]
    return is_finite
