"""A stack that sees one row at a time.

Everything is laid out once: a step allocates nothing. The cell, the products and their order are those of whole
sequences, hence so are the bits.
"""

from cpython.pythread cimport PyThread_get_thread_ident
from libc.math cimport fabs
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memmove, memset

from sklstm._kernels.core._pool cimport pool_run
from sklstm._kernels.network._stack cimport InputStage, Layer, Stack, finish_row, has_output, scratch_size, take
from sklstm._kernels._table cimport CellLayers, KernelTable, LayerCall, PAIRS

include "../core/buffers.pxi"

cdef enum:
    # Multiplications in one layer's step from which several threads pay.
    SHARED_STEP = 1 << 20


cdef struct Share:
    const CellLayers *kernels
    LayerCall *calls  # one for each task


cdef void share_task(void *context, int task, int worker) noexcept nogil:
    """The panels of one task: within a step the units of a layer are independent."""
    cdef const Share *share = <const Share *> context
    share.kernels.forward(&share.calls[task])


cdef class OneThread:
    """A lock that one thread at a time may hold: a claim by another one is an error, never a wait.

    A thread may claim again what it holds, so that an interrupt between the two methods causes no deadlock.
    """

    cdef unsigned long owner  # 0: nobody

    def claim(self):
        """Refuse other threads until `release`."""
        self.refuse_other_threads()
        self.owner = PyThread_get_thread_ident()

    def release(self):
        """Release the claim of this thread, if it has one."""
        if self.owner == PyThread_get_thread_ident():
            self.owner = 0

    cdef int refuse_other_threads(self) except -1:
        if self.owner != 0 and self.owner != PyThread_get_thread_ident():
            raise RuntimeError(
                "the stream is at work in another thread; one thread at a time may use it: make a stream for each")
        return 0


cdef class StackStream(OneThread):
    """Several independent sequences that a stack sees row by row, all at once.

    Parameters
    ----------
    stack : Stack
        Bound to weights, which must not change from now on.
    n_streams : int
    sequence_length : int
        0: the state is carried. Otherwise each answer is that of the window of so many last rows.
    answer : ndarray of shape (n_streams, n_outputs or hidden_size)
        Filled by every step.
    want_hidden : bool
        The last hidden state of the top layer instead of the raw output of the head.
    n_threads : int
        Affects the speed of a step, never a bit of its result.
    """

    cdef Stack stack
    cdef object panels, answer_array
    cdef char *block
    cdef const char *weights
    cdef LayerCall *calls            # (n_layers, n_shares)
    cdef char **outputs              # (n_layers,) each (T, n, Hp): the output, NULL: h
    cdef Py_ssize_t n, length, ring  # ring: rows that a stream keeps, twice the window
    cdef Py_ssize_t position         # where the next row of the ring goes
    cdef int n_shares
    cdef bint want_hidden
    cdef double *raw                 # (n, D) the rows of this step, as they came
    cdef char *x                     # (n, D) as the first layer reads them
    cdef double *rows                # (n, ring, D) the rows seen last, as they came
    cdef char *products              # (n, ring, S Hp of the first layer)
    cdef char *features              # (n, Hp of the top layer), by stream
    cdef char *z
    cdef char *answer
    cdef int *n_active
    cdef Py_ssize_t *counts          # (n,) rows in each stream's window, in the order of the streams
    cdef Py_ssize_t *order           # (n,) streams, longest window first

    def __cinit__(self, Stack stack, Py_ssize_t n_streams, Py_ssize_t sequence_length, answer, bint want_hidden,
                  int n_threads):
        cdef Py_ssize_t n_bytes, r
        cdef char *aligned
        if not stack.reads_row_by_row:
            raise ValueError("this network has no single steps of its own")
        self.stack, self.n, self.length, self.want_hidden = stack, n_streams, sequence_length, want_hidden
        self.panels = stack.panels
        self.ring = 2 * sequence_length
        self.answer_array = answer
        self.answer = data_of(answer, stack.code, n_streams * (stack.hidden_size if want_hidden else stack.n_outputs),
                              True)
        self.n_shares = 1 if sequence_length else n_threads
        n_bytes = self.lay_out(NULL) - <char *> NULL
        self.block = <char *> calloc(n_bytes + 64, 1)
        if self.block == NULL:
            raise MemoryError()
        aligned = self.block + (64 - <size_t> self.block % 64) % 64
        self.lay_out(aligned)
        self.describe()
        for r in range(self.n):
            self.order[r] = r

    def __dealloc__(self):
        free(self.block)

    cdef char *lay_out(self, char *base) noexcept:
        """Cut one block into all arrays; return its end."""
        cdef Py_ssize_t size = self.stack.kernels.item_size, n_layers = self.stack.n_layers
        self.calls = <LayerCall *> take(&base, n_layers * self.n_shares * sizeof(LayerCall))
        self.outputs = <char **> take(&base, n_layers * sizeof(char *))
        self.raw = <double *> take(&base, self.n * self.stack.input_size * sizeof(double))
        self.x = take(&base, self.n * self.stack.input_size * size)
        self.rows = <double *> take(&base, self.n * self.ring * self.stack.input_size * sizeof(double))
        self.products = take(&base, self.n * self.ring * self.sums_size(0) * size)
        self.features = take(&base, self.n * self.stack.layers[n_layers - 1].hidden_stride * size)
        self.z = take(&base, self.n * self.stack.head.stride * size)
        self.n_active = <int *> take(&base, max(1, self.length) * sizeof(int))
        self.counts = <Py_ssize_t *> take(&base, self.n * sizeof(Py_ssize_t))
        self.order = <Py_ssize_t *> take(&base, self.n * sizeof(Py_ssize_t))
        return self.lay_out_layers(base, base == NULL or self.block == NULL)

    cdef Py_ssize_t sums_size(self, Py_ssize_t i) noexcept nogil:
        """Numbers of all sums of a layer."""
        return self.stack.layers[i].cell.n_sums * self.stack.layers[i].hidden_stride

    cdef char *lay_out_layers(self, char *base, bint measuring) noexcept:
        cdef Py_ssize_t size = self.stack.kernels.item_size, steps = max(1, self.length), i, k, state, scratch
        cdef char *arrays[3]
        cdef char *pointers
        cdef char *z
        cdef char *out
        cdef LayerCall *call
        for i in range(self.stack.n_layers):
            state = self.n * self.stack.layers[i].hidden_stride * size
            scratch = scratch_size(self.n, self.stack.layers[i].cell.n_sums, self.stack.layers[i].hidden_stride,
                                   self.stack.kernels.lanes)
            arrays[0] = take(&base, (steps + 1) * state)
            arrays[1] = take(&base, state) if self.stack.layers[i].second_state else NULL
            arrays[2] = take(&base, self.n * sizeof(void *))
            out = take(&base, steps * state) if has_output(&self.stack.layers[i]) else NULL
            if not measuring:
                self.outputs[i] = out
            for k in range(self.n_shares):
                pointers = take(&base, (2 * self.n + PAIRS) * sizeof(void *))
                z = take(&base, scratch * size)
                if not measuring:
                    call = &self.calls[i * self.n_shares + k]
                    call.h, call.c, call.z = arrays[0], arrays[1], z
                    call.x_rows, call.row_pointers = <const void **> arrays[2], <const void **> pointers
        return base

    cdef int describe(self) except -1:
        """What stays the same from step to step."""
        cdef const KernelTable *kernels = self.stack.kernels
        cdef Py_ssize_t size = kernels.item_size, i, k, r, n_panels, begin
        cdef const Layer *layer
        cdef LayerCall *call
        cdef const char *x
        self.n_active[0] = <int> self.n
        self.weights = data_of(self.panels, self.stack.code, self.stack.panels_size)
        for i in range(self.stack.n_layers):
            layer = &self.stack.layers[i]
            n_panels = layer.n_panels
            for k in range(self.n_shares):
                call = &self.calls[i * self.n_shares + k]
                call.n_steps, call.n_samples, call.n_active = 1, self.n, self.n_active
                call.input_size, call.hidden_size = layer.input_size, layer.hidden_size
                call.hidden_stride = layer.hidden_stride
                call.output_size, call.output_stride = layer.width, layer.width_stride
                call.weights = self.weights + layer.directions[0].panels * size
                call.bias = self.weights + layer.directions[0].panel_bias * size
                if layer.directions[0].vectors >= 0:
                    call.vectors = self.weights + layer.directions[0].vectors * size
                begin = k * n_panels // self.n_shares
                call.first_panel, call.n_panels = begin, (k + 1) * n_panels // self.n_shares - begin
                if self.sums_size(i) * (layer.input_size + layer.hidden_size) * self.n < SHARED_STEP:
                    call.first_panel, call.n_panels = 0, n_panels if k == 0 else 0
            call = &self.calls[i * self.n_shares]
            for r in range(self.n):
                if i == 0:
                    x = self.x + r * layer.input_size * size
                else:
                    x = self.output_of(i - 1) + r * self.stack.layers[i - 1].hidden_stride * size
                call.x_rows[r] = x
            for k in range(self.n_shares):
                # In a window the layer above reads all steps of the layer below.
                self.calls[i * self.n_shares + k].x_step = (
                    self.n * self.stack.layers[i - 1].hidden_stride if i > 0 else 0)
        if self.length:
            self.calls[0].x_is_product = True
            self.calls[0].x_step = self.sums_size(0)
        return 0

    def step(self, x):
        """Take one row for each stream and fill `answer`; False, and nothing changed, for a row that is not plain.

        Plain is a C-contiguous array of float32 or float64 of the right shape, all finite. A single stream also takes
        a 1-D row.
        """
        self.refuse_other_threads()
        if not self.take_rows(x):
            return False
        self.advance()
        return True

    def step_value(self, x):
        """Take one row for the only stream and return its only output as a float; None for a row that is not plain."""
        self.refuse_other_threads()
        if not self.take_rows(x):
            return None
        self.advance()
        return (<float *> self.answer)[0] if self.stack.code == FLOAT32 else (<double *> self.answer)[0]

    cdef void advance(self):
        """Refuse a second step at the same time, which would write beyond the memory of the windows."""
        cdef unsigned long claimed = self.owner
        self.owner = PyThread_get_thread_ident()
        with nogil:
            if self.length:
                self.step_window()
            else:
                self.step_carried()
            self.give_answer()
        self.owner = claimed

    cdef bint take_rows(self, object x):
        """Bring x through the input stage; False for what is not plain, not finite or too large."""
        cdef Py_buffer view
        cdef Py_ssize_t i, total = self.n * self.stack.input_size
        cdef bint single, right
        try:
            PyObject_GetBuffer(x, &view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS)
        except (BufferError, TypeError, ValueError):
            return False
        single = has_code(&view, FLOAT32)
        right = (single or has_code(&view, FLOAT64)) and (
            (view.ndim == 2 and view.shape[0] == self.n and view.shape[1] == self.stack.input_size)
            or (view.ndim == 1 and self.n == 1 and view.shape[0] == total))
        if right:
            for i in range(total):
                self.raw[i] = (<float *> view.buf)[i] if single else (<double *> view.buf)[i]
            self.standardise(self.n, self.raw)
            if self.stack.code == FLOAT32:
                for i in range(total):
                    right = right and fabs((<float *> self.x)[i]) <= self.stack.largest_input
            else:
                for i in range(total):
                    right = right and fabs((<double *> self.x)[i]) <= self.stack.largest_input
        PyBuffer_Release(&view)
        return right

    cdef void standardise(self, Py_ssize_t n_rows, const double *rows) noexcept nogil:
        """Fill x from up to n rows as they came."""
        cdef const InputStage *stage = &self.stack.input
        self.stack.kernels.standardise_rows(n_rows, stage.n_columns, rows, stage.n_columns, True, stage.n_repeats,
                                            stage.mean, stage.inverse, self.x)

    cdef char *output_of(self, Py_ssize_t i) noexcept nogil:
        """(T, n, Hp): what the reader of layer i reads."""
        cdef const LayerCall *call = &self.calls[i * self.n_shares]
        if self.outputs[i] != NULL:
            return self.outputs[i]
        return <char *> call.h + self.n * call.hidden_stride * self.stack.kernels.item_size

    cdef void finish_layer(self, Py_ssize_t i) noexcept nogil:
        cdef const Layer *layer = &self.stack.layers[i]
        cdef const LayerCall *call = &self.calls[i * self.n_shares]
        cdef Py_ssize_t stride = layer.hidden_stride * self.stack.kernels.item_size, t, r, row
        cdef const char *skip = self.output_of(layer.residual_from) if layer.residual_from >= 0 else NULL
        if self.outputs[i] == NULL:
            return
        for t in range(call.n_steps):
            for r in range(self.n_active[t]):
                row = t * self.n + r
                finish_row(self.stack.kernels, layer, self.weights, <char *> call.h + (row + self.n) * stride,
                           skip + row * stride if skip != NULL else NULL, self.outputs[i] + row * stride, NULL)

    cdef void step_carried(self) noexcept nogil:
        cdef const KernelTable *kernels = self.stack.kernels
        cdef Py_ssize_t i, state
        cdef LayerCall *call
        cdef Share share
        for i in range(self.stack.n_layers):
            call = &self.calls[i * self.n_shares]
            if call.n_panels < self.stack.layers[i].n_panels:
                share.kernels, share.calls = self.stack.layers[i].kernels, call
                pool_run(share_task, &share, self.n_shares, self.n_shares)
            else:
                self.stack.layers[i].kernels.forward(call)
            self.finish_layer(i)
            # The hidden state of this step is the one before the next; the layer above still reads the new one.
            state = self.n * call.hidden_stride * kernels.item_size
            memcpy(call.h, <char *> call.h + state, state)
        call = &self.calls[(self.stack.n_layers - 1) * self.n_shares]
        memcpy(self.features, self.output_of(self.stack.n_layers - 1), self.n * call.hidden_stride * kernels.item_size)

    cdef void step_window(self) noexcept nogil:
        cdef const KernelTable *kernels = self.stack.kernels
        cdef Py_ssize_t i, r, t, stream, stride, n_steps, size = kernels.item_size
        cdef LayerCall *call
        cdef const char *top
        if self.position == self.ring:
            self.turn_ring()
        for r in range(self.n):
            self.keep_row(r, self.position, self.raw + r * self.stack.input_size,
                          self.x + r * self.stack.input_size * size)
            self.counts[r] = min(self.counts[r] + 1, self.length)
        self.position += 1
        n_steps = self.counts[self.order[0]]
        for t in range(n_steps):
            self.n_active[t] = 0
            while self.n_active[t] < self.n and self.counts[self.order[self.n_active[t]]] > t:
                self.n_active[t] += 1
        for r in range(self.n):
            stream = self.order[r]
            self.calls[0].x_rows[r] = self.products + (
                (stream * self.ring + self.position - self.counts[stream]) * self.calls[0].x_step * size)
        for i in range(self.stack.n_layers):
            call = &self.calls[i]
            call.n_steps = n_steps
            if call.c != NULL:
                memset(call.c, 0, self.n * call.hidden_stride * size)
            self.stack.layers[i].kernels.forward(call)
            self.finish_layer(i)
        call = &self.calls[self.stack.n_layers - 1]
        stride = call.hidden_stride * size
        top = self.output_of(self.stack.n_layers - 1)
        for r in range(self.n):
            stream = self.order[r]
            memcpy(self.features + stream * stride,
                   top + ((self.counts[stream] - 1) * self.n + r) * stride, stride)

    cdef void keep_row(self, Py_ssize_t stream, Py_ssize_t position, const double *raw,
                       const char *row) noexcept nogil:
        """Store a row, and the product of what becomes of it with W_ih: each row of the table is multiplied once."""
        cdef Py_ssize_t size = self.stack.kernels.item_size, d = self.stack.input_size
        cdef Py_ssize_t place = stream * self.ring + position
        cdef const LayerCall *call = &self.calls[0]
        memcpy(self.rows + place * d, raw, d * sizeof(double))
        self.stack.layers[0].kernels.input_products(call, 1, row, d, self.products + place * call.x_step * size)

    cdef void turn_ring(self) noexcept nogil:
        """Move the rows of the last window but one to the beginning: once in sequence_length steps."""
        cdef Py_ssize_t d = self.stack.input_size, kept = self.length - 1, r, place
        cdef Py_ssize_t wide = self.calls[0].x_step * self.stack.kernels.item_size
        for r in range(self.n):
            place = r * self.ring
            memmove(self.rows + place * d, self.rows + (place + self.position - kept) * d, kept * d * sizeof(double))
            memmove(self.products + place * wide, self.products + (place + self.position - kept) * wide, kept * wide)
        self.position = kept

    cdef void give_answer(self) noexcept nogil:
        cdef const KernelTable *kernels = self.stack.kernels
        cdef Py_ssize_t size = kernels.item_size, r, stride = self.stack.head.stride * size, width
        cdef const Layer *top = &self.stack.layers[self.stack.n_layers - 1]
        if self.want_hidden:
            width = top.output_size * size
            for r in range(self.n):
                memcpy(self.answer + r * width, self.features + r * top.output_stride * size, width)
            return
        # Laid out as in head_forward (forward.pxi): bias first, then the product.
        for r in range(self.n):
            memcpy(self.z + r * stride, self.weights + self.stack.head.panel_bias * size, stride)
        kernels.product(self.n, top.output_size, self.stack.head.stride // kernels.lanes, self.features,
                        top.output_stride, self.weights + self.stack.head.panels * size, self.z, self.stack.head.stride,
                        True)
        width = self.stack.n_outputs * size
        for r in range(self.n):
            memcpy(self.answer + r * width, self.z + r * stride, width)

    # The state: h and c of every layer (layout of `Stack.forward`), or the rows of the windows.

    def get_state(self, state):
        """Fill `state` (n_streams, state_size) with the states of every layer."""
        self.refuse_other_threads()
        self.exchange_state(data_of(state, self.stack.code, self.n * self.stack.state_size, True), False)

    def set_state(self, state):
        """Restore `state` (n_streams, state_size)."""
        self.refuse_other_threads()
        self.exchange_state(data_of(state, self.stack.code, self.n * self.stack.state_size), True)

    cdef void exchange_state(self, char *state, bint put) noexcept:
        cdef Py_ssize_t size = self.stack.kernels.item_size, i, r, hidden, stride
        cdef const Layer *layer
        cdef char *outside
        cdef char *inside[2]
        cdef int part
        for i in range(self.stack.n_layers):
            layer = &self.stack.layers[i]
            hidden, stride = layer.hidden_size * size, layer.hidden_stride * size
            for r in range(self.n):
                inside[0] = <char *> self.calls[i * self.n_shares].h + r * stride
                inside[1] = <char *> self.calls[i * self.n_shares].c + r * stride
                for part in range(1 + layer.second_state):
                    outside = state + (r * self.stack.state_size + layer.directions[0].state) * size + part * hidden
                    if put:
                        memcpy(inside[part], outside, hidden)
                    else:
                        memcpy(outside, inside[part], hidden)

    def get_rows(self, rows, counts):
        """Fill `rows` (n_streams, sequence_length - 1, n_features) of float64: the next window without its last row.

        The ``counts[k]`` rows of stream k, at most sequence_length - 1, stand at the end, in their order, zeros before.
        """
        cdef Py_ssize_t d = self.stack.input_size, kept = self.length - 1
        cdef double *out = <double *> data_of(rows, FLOAT64, self.n * kept * d, True)
        cdef Py_ssize_t *numbers = <Py_ssize_t *> data_of(counts, INTP, self.n, True)
        cdef Py_ssize_t r
        self.refuse_other_threads()
        memset(out, 0, self.n * kept * d * sizeof(double))
        for r in range(self.n):
            numbers[r] = min(self.counts[r], kept)
            memcpy(out + ((r + 1) * kept - numbers[r]) * d,
                   self.rows + (r * self.ring + self.position - numbers[r]) * d, numbers[r] * d * sizeof(double))

    def set_rows(self, rows, counts):
        """Restore the rows and counts that `get_rows` returned."""
        cdef Py_ssize_t d = self.stack.input_size, kept = self.length - 1
        cdef const double *source = <const double *> data_of(rows, FLOAT64, self.n * kept * d)
        cdef const double *row
        cdef const Py_ssize_t *numbers = <const Py_ssize_t *> data_of(counts, INTP, self.n)
        cdef Py_ssize_t r, t
        self.refuse_other_threads()
        for r in range(self.n):
            if not 0 <= numbers[r] <= kept:
                raise ValueError(f"expected counts between 0 and {kept}, got {numbers[r]}")
        self.position = kept
        for r in range(self.n):
            self.counts[r] = numbers[r]
            for t in range(numbers[r]):
                row = source + ((r + 1) * kept - numbers[r] + t) * d
                self.standardise(1, row)
                self.keep_row(r, kept - numbers[r] + t, row, self.x)
        self.sort()

    def clear(self, mask):
        """Reset the streams where `mask` (n_streams, uint8) is not zero."""
        cdef const unsigned char *chosen = <const unsigned char *> data_of(mask, UINT8, self.n)
        cdef Py_ssize_t size = self.stack.kernels.item_size, i, r, stride
        self.refuse_other_threads()
        for r in range(self.n):
            if not chosen[r]:
                continue
            self.counts[r] = 0
            for i in range(self.stack.n_layers):
                stride = self.stack.layers[i].hidden_stride * size
                memset(<char *> self.calls[i * self.n_shares].h + r * stride, 0, stride)
                if self.calls[i * self.n_shares].c != NULL:
                    memset(<char *> self.calls[i * self.n_shares].c + r * stride, 0, stride)
        self.sort()

    cdef void sort(self) noexcept:
        """Streams by the length of their window, longest first (kept by every step: all grow by one)."""
        cdef Py_ssize_t r, place, stream
        for r in range(self.n):
            stream, place = self.order[r], r
            while place > 0 and self.counts[self.order[place - 1]] < self.counts[stream]:
                self.order[place] = self.order[place - 1]
                place -= 1
            self.order[place] = stream
