"""Stacked recurrent layers with a dense head: the door to the recurrent kernels.

A `Stack` knows the shapes of one network and where its numbers lie; it holds on to the weights it was bound to and owns
nothing else. Work is cut into chunks of sequences whose size depends on the batch alone, so results do not depend on
the number of threads.

Weights, gradients and what an optimizer keeps beside them are vectors of *panels*: the layout that the kernels read.
The flat vector of named parameters appears only where a network is made, stored or copied.
"""

from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from sklstm._kernels._pool cimport pool_run, pool_run_attended
from sklstm._kernels._table cimport (
    ABSOLUTE_LOSS,
    BINARY_LOG_LOSS,
    has_class_numbers,
    HUBER_LOSS,
    QUANTILE_LOSS,
    KernelTable,
    LayerCall,
    MULTINOMIAL_LOG_LOSS,
    PAIRS,
    POISSON_LOSS,
    SQUARED_LOSS,
)

from cpython.buffer cimport PyBUF_STRIDES

include "_door.pxi"
include "_interrupt.pxi"
include "_chunk.pxi"
include "_chunk_backward.pxi"

cdef char *required(array, char code, Py_ssize_t size, bint writable=False) except NULL:
    """As data_of, for what must be there."""
    if array is None:
        raise ValueError("expected an array, got None")
    return data_of(array, code, size, writable)


cdef char *table_of(array, char code) except NULL:
    """The address of a table, which may be a slice with longer rows: the caller has checked these."""
    cdef Py_buffer view
    cdef bint right
    PyObject_GetBuffer(array, &view, PyBUF_FORMAT | PyBUF_STRIDES)
    right = has_code(&view, code)
    PyBuffer_Release(&view)
    if not right:
        raise ValueError(f"expected a table of type {chr(code)}, got {array.dtype}")
    return <char *> view.buf


cdef enum:
    # Sequences in a chunk: a small model's forward and backward stay in L2, and the tiles have few remainders.
    CHUNK_SIZE = 32
    # Gradient slots: the most threads that can train at once. Fewer for a network so large that they would fill memory.
    MAX_SLOTS = 16
    SLOT_MEMORY = 1 << 28

LOSS_KINDS = {
    "squared": SQUARED_LOSS,
    "binary_log": BINARY_LOG_LOSS,
    "multinomial_log": MULTINOMIAL_LOG_LOSS,
    "absolute": ABSOLUTE_LOSS,
    "huber": HUBER_LOSS,
    "quantile": QUANTILE_LOSS,
    "poisson": POISSON_LOSS,
}


cdef enum:
    # Elements of a flat vector that one task of a reduction handles.
    BLOCK_SIZE = 1 << 14


cdef struct ReduceCall:
    const KernelTable *kernels
    Py_ssize_t panels_size
    Py_ssize_t n_slots
    char *slots                  # (n_slots, panels_size)


cdef void reduce_task(void *context, int task, int worker) noexcept nogil:
    cdef const ReduceCall *call = <const ReduceCall *> context
    cdef Py_ssize_t begin = <Py_ssize_t> task * BLOCK_SIZE
    call.kernels.add_rows(call.n_slots, call.panels_size, begin, min(begin + BLOCK_SIZE, call.panels_size), call.slots)


cdef struct BackCall:
    const KernelTable *kernels
    const Layer *layers
    const Head *head
    Py_ssize_t n_layers
    bint input_gradient
    const char *panels
    char *back


cdef void back_task(void *context, int task, int worker) noexcept nogil:
    """One matrix of the way back: W_hh or W_ih of a layer, or the head's."""
    cdef const BackCall *call = <const BackCall *> context
    cdef const Layer *layer
    cdef Py_ssize_t size = call.kernels.item_size, lanes = call.kernels.lanes, hidden
    if task == 2 * call.n_layers:
        hidden = call.layers[call.n_layers - 1].hidden_size
        call.kernels.pack_gates_back(call.panels + call.head.panels * size, call.head.stride // (4 * lanes), hidden, 0,
                                     hidden, call.back + call.head.back * size)
        return
    layer = &call.layers[task // 2]
    if task % 2 == 0:
        call.kernels.pack_gates_back(
            call.panels + layer.panels * size, layer.hidden_stride // lanes, layer.input_size + layer.hidden_size,
            layer.input_size, layer.hidden_size, call.back + layer.hh_back * size)
    elif task > 1 or call.input_gradient:
        call.kernels.pack_gates_back(
            call.panels + layer.panels * size, layer.hidden_stride // lanes, layer.input_size + layer.hidden_size, 0,
            layer.input_size, call.back + layer.ih_back * size)


cdef void attend(void *context) noexcept nogil:
    must_stop((<StackCall *> context).watch, 0)


cdef void describe(Stack stack, StackCall *call, Py_ssize_t n_samples, Py_ssize_t max_steps, bint training,
                   double dropout, bint d_x) noexcept:
    """The part of a call that decides the size of a workspace."""
    memset(call, 0, sizeof(StackCall))
    call.kernels, call.n_layers, call.layers, call.head = stack.kernels, stack.n_layers, stack.layers, &stack.head
    call.n_samples, call.max_steps, call.state_size = n_samples, max_steps, stack.state_size
    call.training, call.dropout, call.want_d_x = training, dropout, d_x
    # An even number of chunks, so that two threads finish together.
    call.n_chunks = 1 if n_samples < 16 else 2 * ((n_samples + 2 * CHUNK_SIZE - 1) // (2 * CHUNK_SIZE))
    call.chunk_size = max(1, (n_samples + call.n_chunks - 1) // call.n_chunks)
    call.n_chunks = (n_samples + call.chunk_size - 1) // call.chunk_size
    call.panels_size = stack.panels_size
    call.n_slots = min(call.n_chunks, MAX_SLOTS, max(2, SLOT_MEMORY // (stack.panels_size * stack.kernels.item_size)))


cdef int attach(Stack stack, StackCall *call, sequences, Py_ssize_t row_stride, starts, lengths, workspace,
                Py_ssize_t n_threads, initial_state, final_state) except -1:
    """Point the call at its arrays."""
    cdef Py_ssize_t n = call.n_samples
    call.panels = required(stack.panels, stack.code, stack.panels_size)
    call.back = data_of(stack.back, stack.code, stack.back_size)
    call.table = table_of(sequences, stack.code)
    call.row_stride = row_stride
    call.starts = <Py_ssize_t *> data_of(starts, INTP, n)
    call.lengths = <Py_ssize_t *> data_of(lengths, INTP, n)
    call.initial_state = data_of(initial_state, stack.code, n * stack.state_size)
    call.final_state = data_of(final_state, stack.code, n * stack.state_size, True)
    call.workspace_bytes = stack.workspace_bytes(n, call.max_steps, training=call.training,
                                                 dropout=call.dropout, d_x=call.want_d_x)[0]
    call.workspaces = data_of(workspace, UINT8, n_threads * call.workspace_bytes, True)
    return 0


cdef void copy_back(Stack stack, const StackCall *call, int n_threads) noexcept nogil:
    """Copy the weights as they are now into the layout of the way back."""
    cdef BackCall job
    job.kernels, job.layers, job.head, job.n_layers = stack.kernels, stack.layers, &stack.head, stack.n_layers
    job.panels, job.back, job.input_gradient = call.panels, <char *> call.back, stack.input_gradient
    pool_run(back_task, &job, <int> (2 * stack.n_layers + 1), n_threads if stack.back_size > BLOCK_SIZE else 1)


cdef void add_slots(Stack stack, StackCall *call, int n_threads) noexcept nogil:
    """Add the gradient slots in their order, into the first."""
    cdef ReduceCall sums
    sums.kernels, sums.panels_size = stack.kernels, stack.panels_size
    sums.slots, sums.n_slots = call.slots, call.n_slots
    if call.n_slots > 1:
        pool_run(reduce_task, &sums, <int> ((stack.panels_size + BLOCK_SIZE - 1) // BLOCK_SIZE), n_threads)


cdef class Stack:
    """The shapes of a network of stacked LSTM layers and a dense head, and where its numbers lie.

    Parameters
    ----------
    input_size : int
    hidden_sizes : sequence of int
    n_outputs : int
    dtype : "float32" or "float64"
    isa : str or None
        A name from `available_isas`; None for the one in use.
    residual : int
        Every so many layers the output of the layer so far below is added (halved in variance); 0: never.
    layer_norm : bool
        Normalise the output of each layer.

    Attributes
    ----------
    n_parameters : int
        Length of the flat vector of parameters.
    panels_size, back_size : int
        Length of a vector of panels, and of the copies of the weights for the way back.
    segment_ends : tuple of int
        Where the weights of a layer (then of the head) end in a vector of panels, and its bias, by turns.
    """

    def __cinit__(self, Py_ssize_t input_size, hidden_sizes, Py_ssize_t n_outputs, dtype="float32", isa=None,
                  Py_ssize_t residual=0, bint layer_norm=False):
        cdef Py_ssize_t i, lanes, tile, d = input_size, h, panels = 0, back = 0, flat = 0, state = 0
        cdef Layer *layer
        self.dtype = np.dtype(dtype)
        self.code = code_of(dtype)
        self.kernels = open_table(self.code, isa)
        self.n_layers = len(hidden_sizes)
        self.layers = <Layer *> calloc(self.n_layers, sizeof(Layer))
        if self.layers == NULL:
            raise MemoryError()
        lanes, tile = self.kernels.lanes, 4 * self.kernels.lanes
        ends = []
        # Offsets into vectors of panels are multiples of 16 elements: 64 bytes for either dtype.
        for i in range(self.n_layers):
            layer = &self.layers[i]
            h = hidden_sizes[i]
            layer.input_size, layer.hidden_size, layer.hidden_stride = d, h, round_up(h, lanes)
            layer.weight_ih, layer.weight_hh, layer.bias = flat, flat + 4 * h * d, flat + 4 * h * (d + h)
            flat = layer.bias + 4 * h
            layer.norm, layer.norm_weight, layer.norm_bias = layer_norm, flat, flat + h
            flat += 2 * h if layer_norm else 0
            layer.residual_from = i - residual if residual > 0 and i >= residual and i % residual == 0 else -1
            if layer.residual_from >= 0 and self.layers[layer.residual_from].hidden_size != h:
                raise ValueError("a residual sum needs layers of one size")
            layer.panels = panels
            layer.panel_bias = panels + round_up(4 * layer.hidden_stride * (d + h), 16)
            layer.panel_norm = layer.panel_bias + round_up(4 * layer.hidden_stride, 16)
            panels = layer.panel_norm + (round_up(2 * layer.hidden_stride, 16) if layer_norm else 0)
            ends += [layer.panel_bias, panels]
            layer.hh_back = back
            layer.ih_back = back + round_up(4 * layer.hidden_stride * layer.hidden_stride, 16)
            back = layer.ih_back + round_up(4 * layer.hidden_stride * round_up(d, lanes), 16)
            layer.state = state
            state += 2 * h
            d = h
        self.head.n_outputs, self.head.stride = n_outputs, round_up(n_outputs, tile)
        self.head.weight, self.head.bias = flat, flat + n_outputs * d
        self.head.panels, self.head.panel_bias = panels, panels + round_up(self.head.stride * d, 16)
        self.head.back = back
        self.panels_size = self.head.panel_bias + round_up(self.head.stride, 16)
        self.segment_ends = (*ends, self.head.panel_bias, self.panels_size)
        self.back_size = back + round_up(self.head.stride * round_up(d, lanes), 16)
        self.n_parameters = self.head.bias + n_outputs
        self.state_size, self.n_outputs, self.hidden_size, self.input_size = state, n_outputs, d, input_size

    def __dealloc__(self):
        free(self.layers)

    def bind(self, panels, back=None, bint input_gradient=False):
        """Use these weights, as they are at each call, from now on.

        `back` (`back_size` numbers) is what training needs beside them; it is filled anew by each `forward_backward`.
        `input_gradient` also prepares what only the gradient of the input needs.
        """
        required(panels, self.code, self.panels_size)
        data_of(back, self.code, self.back_size, True)
        self.panels, self.back, self.input_gradient = panels, back, input_gradient

    def to_panels(self, flat, panels):
        """Bring a flat vector of parameters into panels; what belongs to no parameter becomes zero, and stays so."""
        cdef Py_ssize_t size = self.kernels.item_size, i, wide
        cdef const char *source = required(flat, self.code, self.n_parameters)
        cdef char *out = required(panels, self.code, self.panels_size, True)
        cdef const Layer *layer
        memset(out, 0, self.panels_size * size)
        for i in range(self.n_layers):
            layer = &self.layers[i]
            wide = layer.input_size + layer.hidden_size
            self.kernels.pack_gates(source + layer.weight_ih * size, layer.input_size, layer.hidden_size, 0, wide,
                                    out + layer.panels * size)
            self.kernels.pack_gates(source + layer.weight_hh * size, layer.hidden_size, layer.hidden_size,
                                    layer.input_size, wide, out + layer.panels * size)
            self.kernels.pack_gates(source + layer.bias * size, 1, layer.hidden_size, 0, 1,
                                    out + layer.panel_bias * size)
            if layer.norm:
                memcpy(out + layer.panel_norm * size, source + layer.norm_weight * size, layer.hidden_size * size)
                memcpy(out + (layer.panel_norm + layer.hidden_stride) * size, source + layer.norm_bias * size,
                       layer.hidden_size * size)
        self.kernels.pack_dense(source + self.head.weight * size, self.hidden_size, self.n_outputs, 1,
                                self.hidden_size, out + self.head.panels * size)
        self.kernels.pack_dense(source + self.head.bias * size, 1, self.n_outputs, self.n_outputs, 1,
                                out + self.head.panel_bias * size)

    def from_panels(self, panels, flat):
        """Bring a vector of panels back into the order of the parameters."""
        cdef Py_ssize_t size = self.kernels.item_size, tile = 4 * self.kernels.lanes, i, wide, o, k
        cdef const char *source = required(panels, self.code, self.panels_size)
        cdef char *out = required(flat, self.code, self.n_parameters, True)
        cdef const Layer *layer
        cdef const char *column
        for i in range(self.n_layers):
            layer = &self.layers[i]
            wide = layer.input_size + layer.hidden_size
            self.kernels.unpack_gates(source + layer.panels * size, layer.input_size, layer.hidden_size, 0, wide,
                                      out + layer.weight_ih * size)
            self.kernels.unpack_gates(source + layer.panels * size, layer.hidden_size, layer.hidden_size,
                                      layer.input_size, wide, out + layer.weight_hh * size)
            self.kernels.unpack_gates(source + layer.panel_bias * size, 1, layer.hidden_size, 0, 1,
                                      out + layer.bias * size)
            if layer.norm:
                memcpy(out + layer.norm_weight * size, source + layer.panel_norm * size, layer.hidden_size * size)
                memcpy(out + layer.norm_bias * size, source + (layer.panel_norm + layer.hidden_stride) * size,
                       layer.hidden_size * size)
        for o in range(self.n_outputs):
            column = source + (self.head.panels + (o // tile) * self.hidden_size * tile + o % tile) * size
            for k in range(self.hidden_size):
                memcpy(out + (self.head.weight + o * self.hidden_size + k) * size, column + k * tile * size, size)
            memcpy(out + (self.head.bias + o) * size, source + (self.head.panel_bias + o) * size, size)

    def dealt(self, Py_ssize_t n_samples):
        """Return the order in which sequences, longest first, are dealt to the chunks of a batch, like cards.

        Cut as they come, the first chunk would hold the longest: on two threads the other waits for it.
        """
        cdef StackCall call
        describe(self, &call, n_samples, 1, True, 0.0, False)
        place = np.arange(n_samples)
        # The places in the order in which they are dealt: the first of every chunk, the second of every chunk, ...
        places = np.lexsort((place // call.chunk_size, place % call.chunk_size))
        order = np.empty(n_samples, np.intp)
        order[places] = place
        return order

    def workspace_bytes(self, Py_ssize_t n_samples, Py_ssize_t max_steps, *, bint training=False, double dropout=0.0,
                        bint d_x=False):
        """Return (bytes of one worker's workspace, bytes of all gradient slots, number of tasks) of such a call."""
        cdef StackCall call
        cdef ChunkBuffers buffers
        cdef Py_ssize_t n_bytes
        cdef LayerBuffers *layers = <LayerBuffers *> calloc(self.n_layers, sizeof(LayerBuffers))
        if layers == NULL:
            raise MemoryError()
        describe(self, &call, n_samples, max_steps, training, dropout, d_x)
        n_bytes = round_up(self.n_layers * sizeof(LayerBuffers), 64)
        n_bytes += lay_out(&call, layers, NULL, &buffers) - <char *> NULL
        free(layers)
        return (n_bytes, call.n_slots * self.panels_size * self.kernels.item_size if training else 0,
                call.n_slots if training else call.n_chunks)

    def forward(self, sequences, Py_ssize_t row_stride, starts, lengths, workspace, int n_threads, *, z=None,
                hidden=None, initial_state=None, final_state=None):
        """Run the stack over sequences; fill those of `z`, `hidden` and `final_state` that are given."""
        cdef StackCall call
        cdef Watch watch
        cdef list errors = []
        cdef Py_ssize_t n = len(starts)
        describe(self, &call, n, lengths.max(), False, 0.0, False)
        attach(self, &call, sequences, row_stride, starts, lengths, workspace, n_threads, initial_state, final_state)
        call.out_z = data_of(z, self.code, n * self.n_outputs, True)
        call.out_hidden = data_of(hidden, self.code, n * self.hidden_size, True)
        open_watch(&watch, errors)
        call.watch = &watch
        with nogil:
            pool_run_attended(forward_task, &call, <int> call.n_chunks, n_threads, attend)
        if errors:
            raise errors[0]

    def forward_backward(self, sequences, Py_ssize_t row_stride, starts, lengths, workspace, int n_threads, *,
                         Py_ssize_t max_steps, targets, weights, loss, double scale, slots,
                         loss_parameter=0.0, double dropout=0.0,
                         unsigned long long seed=0, unsigned int epoch=0, sample_ids=None, z=None, initial_state=None,
                         d_initial_state=None, d_x=None):
        """Return the sum of scale * weight * loss; the first slot then holds the gradient, as a vector of panels.

        `loss_parameter` is one number, or one for each output.
        """
        cdef StackCall call
        cdef Watch watch
        cdef list errors = []
        cdef Py_ssize_t n = len(starts), n_targets = 1 if has_class_numbers(LOSS_KINDS[loss]) else self.n_outputs
        cdef double total = 0
        cdef double[::1] losses, parameters = np.full(self.n_outputs, loss_parameter, np.float64)
        cdef Py_ssize_t c
        if d_x is not None and not self.input_gradient:
            raise ValueError("d_x needs weights bound with input_gradient=True")
        if self.back is None:
            raise ValueError("training needs room for the copies of the weights: bind(panels, back)")
        describe(self, &call, n, max_steps, True, dropout, d_x is not None)
        attach(self, &call, sequences, row_stride, starts, lengths, workspace, n_threads, initial_state, None)
        losses = np.empty(call.n_chunks)
        call.loss_kind, call.loss_parameters = LOSS_KINDS[loss], &parameters[0]
        call.targets = data_of(targets, self.code, n * n_targets)
        call.weights = data_of(weights, self.code, n)
        call.scale, call.chunk_losses = scale, &losses[0]
        call.slots = data_of(slots, UINT8, call.n_slots * call.panels_size * self.kernels.item_size, True)
        call.seed, call.epoch = seed, epoch
        call.sample_ids = <unsigned int *> data_of(sample_ids, UINT32, n)
        if dropout > 0 and call.sample_ids == NULL:
            raise ValueError("dropout needs sample_ids")
        call.out_z = data_of(z, self.code, n * self.n_outputs, True)
        call.d_initial_state = data_of(d_initial_state, self.code, n * self.state_size, True)
        call.d_x = data_of(d_x, self.code, n * max_steps * self.input_size, True)
        open_watch(&watch, errors)
        call.watch = &watch
        with nogil:
            copy_back(self, &call, n_threads)
            pool_run_attended(train_task, &call, <int> call.n_slots, n_threads, attend)
            if not watch.stopped:
                add_slots(self, &call, n_threads)
        if errors:
            raise errors[0]
        for c in range(call.n_chunks):
            total += losses[c]
        return total
