"""Stacked recurrent layers with a dense head: the door to the recurrent kernels.

A `Stack` knows the shapes of one network and where its numbers lie; it owns no array but the packed weights. Work is
cut into chunks of sequences whose size depends on the batch alone, so results do not depend on the number of threads.
"""

from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from sklstm._kernels._pool cimport pool_run
from sklstm._kernels._table cimport (
    BINARY_LOG_LOSS,
    KernelTable,
    LayerCall,
    MULTINOMIAL_LOG_LOSS,
    PAIRS,
    SQUARED_LOSS,
)

include "_door.pxi"
include "_chunk.pxi"

# Sequences in a chunk: a small model's forward and backward stay in L2, and the tiles have few remainders.
CHUNK_SIZE = 32
# Gradient slots: the most threads that can train at once. Fewer for a network so large that they would fill memory.
MAX_SLOTS = 16
SLOT_MEMORY = 1 << 28

LOSS_KINDS = {
    "squared": SQUARED_LOSS,
    "binary_log": BINARY_LOG_LOSS,
    "multinomial_log": MULTINOMIAL_LOG_LOSS,
}


cdef enum:
    # Elements of a flat vector that one task of a reduction handles.
    BLOCK_SIZE = 1 << 14


cdef struct ReduceCall:
    const KernelTable *kernels
    Py_ssize_t n
    Py_ssize_t block
    # reduction of slots
    const char *slots
    Py_ssize_t n_slots
    Py_ssize_t slot_size
    char *total


cdef void reduce_task(void *context, int task, int worker) noexcept nogil:
    cdef const ReduceCall *call = <const ReduceCall *> context
    cdef Py_ssize_t begin = task * call.block
    call.kernels.add_rows(call.n_slots, call.slot_size, begin, min(begin + call.block, call.n), call.slots, call.total)


cdef class Stack:
    """The shapes of a network of stacked LSTM layers and a dense head, and its packed weights.

    Parameters
    ----------
    input_size : int
    hidden_sizes : sequence of int
    n_outputs : int
    dtype : "float32" or "float64"
    isa : str or None
        A name from `available_isas`; None for the one in use.
    """

    cdef const KernelTable *kernels
    cdef Layer *layers
    cdef Head head
    cdef Py_ssize_t n_layers, slot_size
    cdef readonly Py_ssize_t n_parameters, state_size, packed_size, n_outputs, hidden_size, input_size
    cdef readonly object dtype
    cdef object packed, _table_capsule
    cdef bint input_gradient

    def __cinit__(self, Py_ssize_t input_size, hidden_sizes, Py_ssize_t n_outputs, dtype="float32", isa=None):
        cdef Py_ssize_t i, lanes, tile, d = input_size, h, packed = 0, slot = 0, flat = 0, state = 0
        cdef Layer *layer
        self.kernels = open_table(dtype, isa)
        self.dtype = np.dtype(dtype)
        self.n_layers = len(hidden_sizes)
        self.layers = <Layer *> calloc(self.n_layers, sizeof(Layer))
        if self.layers == NULL:
            raise MemoryError()
        lanes, tile = self.kernels.lanes, 4 * self.kernels.lanes
        # Offsets into packed weights and slots are multiples of 16 elements: 64 bytes for either dtype.
        for i in range(self.n_layers):
            layer = &self.layers[i]
            h = hidden_sizes[i]
            layer.input_size, layer.hidden_size, layer.hidden_stride = d, h, round_up(h, lanes)
            layer.weight_ih, layer.weight_hh, layer.bias = flat, flat + 4 * h * d, flat + 4 * h * (d + h)
            flat = layer.bias + 4 * h
            layer.packed = packed
            layer.packed_bias = packed + round_up(4 * layer.hidden_stride * (d + h), 16)
            layer.packed_hh_back = layer.packed_bias + round_up(4 * layer.hidden_stride, 16)
            layer.packed_ih_back = layer.packed_hh_back + round_up(4 * layer.hidden_stride * round_up(h, tile), 16)
            packed = layer.packed_ih_back + round_up(4 * layer.hidden_stride * round_up(d, tile), 16)
            layer.d_packed = slot
            layer.d_bias = slot + round_up(4 * layer.hidden_stride * (d + h), 16)
            slot = layer.d_bias + round_up(4 * layer.hidden_stride, 16)
            layer.state = state
            state += 2 * h
            d = h
        self.head.n_outputs, self.head.stride = n_outputs, round_up(n_outputs, tile)
        self.head.weight, self.head.bias = flat, flat + n_outputs * d
        self.head.packed, self.head.packed_bias = packed, packed + round_up(self.head.stride * d, 16)
        self.head.packed_back = self.head.packed_bias + round_up(self.head.stride, 16)
        self.head.d_packed, self.head.d_bias = slot, slot + round_up(self.head.stride * d, 16)
        self.slot_size = self.head.d_bias + round_up(self.head.stride, 16)
        self.packed_size = self.head.packed_back + round_up(n_outputs * round_up(d, tile), 16)
        self.n_parameters = self.head.bias + n_outputs
        self.state_size, self.n_outputs, self.hidden_size, self.input_size = state, n_outputs, d, input_size

    def __dealloc__(self):
        free(self.layers)

    def set_packed_weights(self, parameters, packed, bint input_gradient=False):
        """Pack the flat `parameters` into `packed` (`packed_size` numbers, aligned) for the next calls.

        `input_gradient` also packs what only the gradient of the input needs.
        """
        cdef Py_ssize_t size = self.kernels.item_size, i, wide
        cdef char *source = data_of(parameters, self.dtype, self.n_parameters)
        cdef char *out = data_of(packed, self.dtype, self.packed_size, True)
        cdef Layer *layer
        self.packed, self.input_gradient = packed, input_gradient
        with nogil:
            for i in range(self.n_layers):
                layer = &self.layers[i]
                wide = layer.input_size + layer.hidden_size
                self.kernels.pack_gates(source + layer.weight_ih * size, layer.input_size, layer.hidden_size, 0, wide,
                                        out + layer.packed * size)
                self.kernels.pack_gates(source + layer.weight_hh * size, layer.hidden_size, layer.hidden_size,
                                        layer.input_size, wide, out + layer.packed * size)
                self.kernels.pack_gates(source + layer.bias * size, 1, layer.hidden_size, 0, 1,
                                        out + layer.packed_bias * size)
                self.kernels.pack_gates_back(source + layer.weight_hh * size, layer.hidden_size, layer.hidden_size,
                                             out + layer.packed_hh_back * size)
                if i > 0 or input_gradient:
                    self.kernels.pack_gates_back(source + layer.weight_ih * size, layer.input_size, layer.hidden_size,
                                                 out + layer.packed_ih_back * size)
            self.kernels.pack_dense(source + self.head.weight * size, self.hidden_size, self.n_outputs, 1,
                                    self.hidden_size, out + self.head.packed * size)
            self.kernels.pack_dense(source + self.head.bias * size, 1, self.n_outputs, self.n_outputs, 1,
                                    out + self.head.packed_bias * size)
            self.kernels.pack_dense(source + self.head.weight * size, self.n_outputs, self.hidden_size,
                                    self.hidden_size, 1, out + self.head.packed_back * size)

    cdef int describe(self, StackCall *call, Py_ssize_t n_samples, Py_ssize_t max_steps, bint training,
                      double dropout, bint d_x) except -1:
        """The part of a call that decides the size of a workspace."""
        memset(call, 0, sizeof(StackCall))
        call.kernels, call.n_layers, call.layers, call.head = self.kernels, self.n_layers, self.layers, &self.head
        call.n_samples, call.max_steps, call.state_size = n_samples, max_steps, self.state_size
        call.training, call.dropout, call.want_d_x = training, dropout, d_x
        # An even number of chunks, so that two threads finish together.
        call.n_chunks = 1 if n_samples < 16 else 2 * ((n_samples + 2 * CHUNK_SIZE - 1) // (2 * CHUNK_SIZE))
        call.chunk_size = max(1, (n_samples + call.n_chunks - 1) // call.n_chunks)
        call.n_chunks = (n_samples + call.chunk_size - 1) // call.chunk_size
        call.slot_size = self.slot_size
        call.n_slots = min(call.n_chunks, MAX_SLOTS, max(2, SLOT_MEMORY // (self.slot_size * self.kernels.item_size)))
        return 0

    def workspace_bytes(self, Py_ssize_t n_samples, Py_ssize_t max_steps, *, bint training=False, double dropout=0.0,
                        bint d_x=False):
        """Return (bytes of one worker's workspace, bytes of all gradient slots, number of tasks) of such a call."""
        cdef StackCall call
        cdef ChunkBuffers buffers
        cdef Py_ssize_t n_bytes
        cdef LayerBuffers *layers = <LayerBuffers *> calloc(self.n_layers, sizeof(LayerBuffers))
        self.describe(&call, n_samples, max_steps, training, dropout, d_x)
        n_bytes = round_up(self.n_layers * sizeof(LayerBuffers), 64)
        n_bytes += lay_out(&call, layers, NULL, &buffers) - <char *> NULL
        free(layers)
        return (n_bytes, call.n_slots * self.slot_size * self.kernels.item_size if training else 0,
                call.n_slots if training else call.n_chunks)

    cdef int attach(self, StackCall *call, sequences, Py_ssize_t row_stride, starts, lengths, workspace,
                    Py_ssize_t n_threads, initial_state, final_state) except -1:
        """Point the call at its arrays."""
        cdef Py_ssize_t n = call.n_samples
        call.packed = data_of(self.packed, self.dtype, self.packed_size)
        # The table may be a slice with longer rows: only its address is taken, the caller has checked the rows.
        call.table = <char *> <Py_ssize_t> sequences.ctypes.data
        call.row_stride = row_stride
        call.starts = <Py_ssize_t *> data_of(starts, np.intp, n)
        call.lengths = <Py_ssize_t *> data_of(lengths, np.intp, n)
        call.initial_state = data_of(initial_state, self.dtype, n * self.state_size)
        call.final_state = data_of(final_state, self.dtype, n * self.state_size, True)
        call.workspace_bytes = self.workspace_bytes(n, call.max_steps, training=call.training, dropout=call.dropout,
                                                    d_x=call.want_d_x)[0]
        call.workspaces = data_of(workspace, np.uint8, n_threads * call.workspace_bytes, True)
        return 0

    def forward(self, sequences, Py_ssize_t row_stride, starts, lengths, workspace, int n_threads, *, z=None,
                hidden=None, initial_state=None, final_state=None):
        """Run the stack over sequences; fill those of `z`, `hidden` and `final_state` that are given."""
        cdef StackCall call
        cdef Py_ssize_t n = len(starts)
        self.describe(&call, n, lengths.max(), False, 0.0, False)
        self.attach(&call, sequences, row_stride, starts, lengths, workspace, n_threads, initial_state, final_state)
        call.out_z = data_of(z, self.dtype, n * self.n_outputs, True)
        call.out_hidden = data_of(hidden, self.dtype, n * self.hidden_size, True)
        with nogil:
            pool_run(forward_task, &call, <int> call.n_chunks, n_threads)

    def forward_backward(self, sequences, Py_ssize_t row_stride, starts, lengths, workspace, int n_threads, *,
                         Py_ssize_t max_steps, targets, weights, loss, double scale, slots, gradient,
                         double dropout=0.0, unsigned long long seed=0, unsigned int epoch=0, sample_ids=None, z=None,
                         initial_state=None, d_initial_state=None, d_x=None):
        """Return the sum of scale * weight * loss and fill `gradient` (flat, like the parameters)."""
        cdef StackCall call
        cdef Py_ssize_t n = len(starts), n_targets = self.n_outputs if loss == "squared" else 1
        cdef double total = 0
        cdef double[::1] losses
        cdef char *out = data_of(gradient, self.dtype, self.n_parameters, True)
        cdef Py_ssize_t c
        if d_x is not None and not self.input_gradient:
            raise ValueError("d_x needs weights packed with input_gradient=True")
        self.describe(&call, n, max_steps, True, dropout, d_x is not None)
        self.attach(&call, sequences, row_stride, starts, lengths, workspace, n_threads, initial_state, None)
        losses = np.empty(call.n_chunks)
        call.loss_kind = LOSS_KINDS[loss]
        call.targets = data_of(targets, self.dtype, n * n_targets)
        call.weights = data_of(weights, self.dtype, n)
        call.scale, call.chunk_losses = scale, &losses[0]
        call.slots = data_of(slots, np.uint8, call.n_slots * call.slot_size * self.kernels.item_size, True)
        call.seed, call.epoch = seed, epoch
        call.sample_ids = <unsigned int *> data_of(sample_ids, np.uint32, n)
        if dropout > 0 and call.sample_ids == NULL:
            raise ValueError("dropout needs sample_ids")
        call.out_z = data_of(z, self.dtype, n * self.n_outputs, True)
        call.d_initial_state = data_of(d_initial_state, self.dtype, n * self.state_size, True)
        call.d_x = data_of(d_x, self.dtype, n * max_steps * self.input_size, True)
        with nogil:
            pool_run(train_task, &call, <int> call.n_slots, n_threads)
            self.collect_gradient(&call, out, n_threads)
        for c in range(call.n_chunks):
            total += losses[c]
        return total

    cdef void collect_gradient(self, StackCall *call, char *out, int n_threads) noexcept nogil:
        """Add the slots in their order and bring the sum from panels into the order of the parameters."""
        cdef ReduceCall sums
        cdef Py_ssize_t size = self.kernels.item_size, i, wide, o, k
        cdef Py_ssize_t tile = 4 * self.kernels.lanes
        cdef const Layer *layer
        cdef const char *panel
        memset(&sums, 0, sizeof(sums))
        sums.kernels, sums.n, sums.block = self.kernels, self.slot_size, BLOCK_SIZE
        sums.slots, sums.n_slots, sums.slot_size, sums.total = call.slots, call.n_slots, call.slot_size, call.slots
        if call.n_slots > 1:
            pool_run(reduce_task, &sums, <int> ((sums.n + BLOCK_SIZE - 1) // BLOCK_SIZE), n_threads)
        for i in range(self.n_layers):
            layer = &self.layers[i]
            wide = layer.input_size + layer.hidden_size
            self.kernels.unpack_gates(call.slots + layer.d_packed * size, layer.input_size, layer.hidden_size, 0, wide,
                                      out + layer.weight_ih * size)
            self.kernels.unpack_gates(call.slots + layer.d_packed * size, layer.hidden_size, layer.hidden_size,
                                      layer.input_size, wide, out + layer.weight_hh * size)
            self.kernels.unpack_gates(call.slots + layer.d_bias * size, 1, layer.hidden_size, 0, 1,
                                      out + layer.bias * size)
        for o in range(self.n_outputs):
            panel = call.slots + (self.head.d_packed + (o // tile) * self.hidden_size * tile + o % tile) * size
            for k in range(self.hidden_size):
                memcpy(out + (self.head.weight + o * self.hidden_size + k) * size, panel + k * tile * size, size)
            memcpy(out + (self.head.bias + o) * size, call.slots + (self.head.d_bias + o) * size, size)
