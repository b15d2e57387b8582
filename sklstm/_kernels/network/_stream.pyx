"""A stack that reads one row of each stream at a time.

All memory is laid out once: a step allocates nothing. The kernels and their order are those of whole sequences, and so
are the bits.
"""

from cpython.pythread cimport PyThread_get_thread_ident
from libc.math cimport fabs
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memmove, memset

from sklstm._kernels.core._pool cimport pool_run
from sklstm._kernels.network._stack cimport (
    MANY_SEQUENCES, STEP_PRODUCTS, InputStage, Layer, Stack, copy_states, describe_integers, finish_row, has_output,
    head_forward, take_bytes, words_stride)
from sklstm._kernels._calls cimport (
    BF16_PAIRS, PAIRS, REALS, RECURRENT, U8_S8, CellLayers, IntegerLayer, LayerCall, scratch_size)
from sklstm._kernels._table cimport KernelTable

cdef extern from "isa/layers/interface.h":
    void prepare_next_step(LayerCall *call) nogil

include "../core/buffers.pxi"
include "one_thread.pxi"
include "stream_buffers.pxi"

cdef struct StepShares:
    const KernelTable *table
    const Layer *layers
    LayerCall *calls      # (n_layers, n_shares)
    char **outputs
    const char *weights
    Py_ssize_t n_layers
    int n_shares
    bint by_rows


cdef void panels_task(void *context, int task, int worker) noexcept nogil:
    """Compute the panels of one task: within a step the units of a layer are independent."""
    cdef const StepShares *step = <const StepShares *> context
    cdef unsigned int before = step.table.enter()
    step.layers.kernels.forward(&step.calls[task])
    step.table.leave(before)


cdef void rows_task(void *context, int task, int worker) noexcept nogil:
    """Compute some rows of all layers."""
    cdef const StepShares *step = <const StepShares *> context
    cdef unsigned int before = step.table.enter()
    cdef Py_ssize_t i
    for i in range(step.n_layers):
        step.layers[i].kernels.forward(&step.calls[i * step.n_shares + task])
        finish_step(step, i, task)
    step.table.leave(before)


cdef void finish_step(const StepShares *step, Py_ssize_t i, int share) noexcept nogil:
    """Make the output of layer i, and its new hidden state that before the next step."""
    cdef const LayerCall *call = &step.calls[i * step.n_shares + share]
    cdef Py_ssize_t stride = call.hidden_stride * step.table.item_size
    output_forward(step, i, share)
    # The layer above still reads the new one.
    memcpy(call.h, <char *> call.h + call.n_samples * stride, call.n_active[0] * stride)


cdef inline char *output_of(const StepShares *step, Py_ssize_t i) noexcept nogil:
    """(T, n, Hp): the output of layer i."""
    cdef const LayerCall *call = &step.calls[i * step.n_shares]
    if step.outputs[i] != NULL:
        return step.outputs[i]
    return <char *> call.h + call.n_samples * call.hidden_stride * step.table.item_size


cdef void output_forward(const StepShares *step, Py_ssize_t i, int share) noexcept nogil:
    cdef const Layer *layer = &step.layers[i]
    cdef const LayerCall *call = &step.calls[i * step.n_shares + share]
    cdef Py_ssize_t stride = layer.hidden_stride * step.table.item_size, n = call.n_samples, t, r, row
    cdef Py_ssize_t first = first_row(n, share, step.n_shares) if step.by_rows else 0
    cdef const char *skip = output_of(step, layer.residual_from) if layer.residual_from >= 0 else NULL
    if step.outputs[i] == NULL:
        return
    for t in range(call.n_steps):
        for r in range(call.n_active[t]):
            row = t * n + first + r
            finish_row(step.table, layer, step.weights, <char *> call.h + (t * n + r + n) * stride,
                       skip + row * stride if skip != NULL else NULL, step.outputs[i] + row * stride, NULL)


cdef class StackStream(StreamBuffers):
    """Several independent sequences, of each of which a stack reads one row per step.

    Parameters
    ----------
    stack : Stack
        Bound to weights, which must not change but for a call of `weights_changed`.
    n_streams : int
    sequence_length : int
        0: the state is carried. Otherwise each output is that of the window of so many last rows.
    out : ndarray of shape (n_streams, n_outputs or hidden_size)
        Filled by every step.
    want_hidden : bool
        The last hidden state of the top layer instead of the raw output of the head.
    n_threads : int
        Affects the speed, never a bit of the result.
    """

    def step(self, x):
        """Read one row of each stream and fill `out`; return False, with nothing changed, for unsupported input.

        Supported is a C-contiguous array of float32 or float64 of the right shape, all finite and in range. A single
        stream also takes a 1-D row.
        """
        self.refuse_other_threads()
        if not self.read_rows(x, False):
            return False
        self.advance()
        return True

    def step_value(self, x):
        """Read a 1-D row of the only stream and return its only output as a float; None for unsupported input."""
        self.refuse_other_threads()
        if not self.read_rows(x, True):
            return None
        self.advance()
        return (<float *> self.out)[0] if self.stack.code == FLOAT32 else (<double *> self.out)[0]

    def go_back(self, Py_ssize_t n_steps):
        """Take the last step back if it came after `n_steps` steps, was this thread's, and nothing came after it."""
        cdef Py_ssize_t r
        if self.n_steps != n_steps + 1 or self.stepper != PyThread_get_thread_ident():
            return
        self.refuse_other_threads()
        if self.length:
            # Of a full window the row that it dropped lies beyond what the next one reads.
            self.position -= 1
            for r in range(self.n):
                self.counts[r] -= 1
        else:
            self.exchange_state(self.before, True)
        self.n_steps = n_steps

    cdef void advance(self):
        """Run a step. Claimed meanwhile: two steps at once would write beyond the memory of the windows."""
        cdef unsigned long claimed = self.owner
        self.owner = PyThread_get_thread_ident()
        if self.is_short:
            self.run()
        else:
            with nogil:
                self.run()
        self.n_steps, self.stepper = self.n_steps + 1, PyThread_get_thread_ident()
        self.owner = claimed

    cdef void run(self) noexcept nogil:
        cdef unsigned int before = self.stack.kernels.enter()
        if self.length:
            self.step_window()
        else:
            self.step_carried()
        self.store_output()
        self.stack.kernels.leave(before)

    cdef bint read_rows(self, object x, bint one_row):
        """Copy and standardise x; False for another type or shape, numbers not finite or too large, a negative gap.

        `one_row`: of one dimension only.
        """
        cdef Py_buffer view
        cdef Py_ssize_t i, total = self.n * self.stack.input_size, n_right = 0
        cdef bint single, right
        try:
            PyObject_GetBuffer(x, &view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS)
        except (BufferError, TypeError, ValueError):
            return False
        single = has_code(&view, FLOAT32)
        right = (single or has_code(&view, FLOAT64)) and (
            (view.ndim == 2 and not one_row and view.shape[0] == self.n and view.shape[1] == self.stack.input_size)
            or (view.ndim == 1 and self.n == 1 and view.shape[0] == total))
        if right:
            for i in range(total):
                self.raw[i] = (<float *> view.buf)[i] if single else (<double *> view.buf)[i]
            self.standardise(self.n, self.raw)
            if self.stack.code == FLOAT32:
                for i in range(total):
                    n_right += fabs((<float *> self.x)[i]) <= self.stack.largest_input
            else:
                for i in range(total):
                    n_right += fabs((<double *> self.x)[i]) <= self.stack.largest_input
            right = n_right == total
            for i in range(self.n if self.gaps != NULL else 0):
                right = right and self.raw[i * self.stack.input_size + self.stack.input.time_column] >= 0
        PyBuffer_Release(&view)
        return right

    cdef void standardise(self, Py_ssize_t n_rows, const double *rows) noexcept nogil:
        """Fill x from up to n rows as they came."""
        cdef const InputStage *stage = &self.stack.input
        self.stack.kernels.standardise_rows(n_rows, stage.n_columns, rows, stage.n_columns, True, stage.n_repeats,
                                            stage.mean, stage.inverse, self.x)

    cdef void store_gap(self, Py_ssize_t place, const double *row) noexcept nogil:
        """Store the time since the row before of one row as it came."""
        cdef double value = row[self.stack.input.time_column]
        if self.stack.code == FLOAT32:
            (<float *> self.gaps)[place] = <float> value
        else:
            (<double *> self.gaps)[place] = value

    cdef StepShares shares(self) noexcept nogil:
        cdef StepShares step
        step.table, step.layers, step.n_layers = self.stack.kernels, self.stack.layers, self.stack.n_layers
        step.calls, step.outputs, step.weights = self.calls, self.outputs, self.weights
        step.n_shares, step.by_rows = self.n_shares, self.by_rows
        return step

    cdef void step_carried(self) noexcept nogil:
        cdef StepShares step = self.shares(), layer
        cdef Py_ssize_t i
        cdef LayerCall *call
        self.exchange_state(self.before, False)
        for i in range(self.n if self.gaps != NULL else 0):
            self.store_gap(i, self.raw + i * self.stack.input_size)
        if self.by_rows:
            pool_run(rows_task, &step, self.n_shares, self.n_shares)
        for i in range(0 if self.by_rows else self.stack.n_layers):
            call = &self.calls[i * self.n_shares]
            if call.n_panels < self.stack.layers[i].n_panels:
                layer = step
                layer.layers, layer.calls = &self.stack.layers[i], call
                pool_run(panels_task, &layer, self.n_shares, self.n_shares)
            else:
                self.stack.layers[i].kernels.forward(call)
            finish_step(&step, i, 0)
        for i in range(self.stack.n_layers * self.n_shares):
            prepare_next_step(&self.calls[i])
        call = &self.calls[(self.stack.n_layers - 1) * self.n_shares]
        memcpy(self.features, output_of(&step, self.stack.n_layers - 1),
               self.n * call.hidden_stride * self.stack.kernels.item_size)

    cdef void step_window(self) noexcept nogil:
        cdef StepShares step = self.shares()
        cdef Py_ssize_t i, r, t, stream, stride, n_steps, size = self.stack.kernels.item_size
        cdef LayerCall *call
        cdef const char *top
        if self.position == self.ring:
            self.rewind_ring()
        for r in range(self.n):
            self.store_row(r, self.position, self.raw + r * self.stack.input_size,
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
            for t in range(self.counts[stream] if self.gaps != NULL else 0):
                self.store_gap(t * self.n + r, self.rows + self.stack.input_size * (
                    stream * self.ring + self.position - self.counts[stream] + t))
        for i in range(self.stack.n_layers):
            call = &self.calls[i]
            call.n_steps = n_steps
            if call.c != NULL:
                memset(call.c, 0, self.n * call.sizes.n_states * call.hidden_stride * size)
            if i > 0 and self.multiplies_all_steps() and self.stack.layers[i].cell.driver == RECURRENT:
                self.forward_of_products(&step, i)
            else:
                self.stack.layers[i].kernels.forward(call)
            prepare_next_step(call)
            output_forward(&step, i, 0)
        call = &self.calls[self.stack.n_layers - 1]
        stride = call.hidden_stride * size
        top = output_of(&step, self.stack.n_layers - 1)
        for r in range(self.n):
            stream = self.order[r]
            memcpy(self.features + stream * stride,
                   top + ((self.counts[stream] - 1) * self.n + r) * stride, stride)

    cdef void forward_of_products(self, const StepShares *step, Py_ssize_t i) noexcept nogil:
        """Run layer i over the windows, its products with what it reads computed for all steps at once."""
        cdef LayerCall *call = &self.calls[i]
        cdef const CellLayers *kernels = self.stack.layers[i].kernels
        cdef Py_ssize_t width = self.sums_size(i), size = self.stack.kernels.item_size, r
        cdef Py_ssize_t between = self.stack.layers[i - 1].hidden_stride
        kernels.input_products(call, self.n * call.n_steps, output_of(step, i - 1), between, self.step_products, width)
        call.x_is_product, call.x_step = True, self.n * width
        for r in range(self.n):
            call.x_rows[r] = self.step_products + r * width * size
        kernels.forward(call)
        call.x_is_product, call.x_step = False, self.n * between
        for r in range(self.n):
            call.x_rows[r] = output_of(step, i - 1) + r * between * size

    cdef void store_row(self, Py_ssize_t stream, Py_ssize_t position, const double *raw,
                        const char *row) noexcept nogil:
        """Store a row, and the product of its standardised values with W_ih: each row is multiplied once."""
        cdef Py_ssize_t size = self.stack.kernels.item_size, d = self.stack.input_size
        cdef Py_ssize_t place = stream * self.ring + position
        cdef const LayerCall *call = &self.calls[0]
        memcpy(self.rows + place * d, raw, d * sizeof(double))
        self.stack.layers[0].kernels.input_products(call, 1, row, d, self.products + place * call.x_step * size,
                                                    call.x_step)

    cdef void rewind_ring(self) noexcept nogil:
        """Move the last sequence_length - 1 rows back to the beginning: once in sequence_length steps."""
        cdef Py_ssize_t d = self.stack.input_size, kept = self.length - 1, r, place
        cdef Py_ssize_t wide = self.calls[0].x_step * self.stack.kernels.item_size
        for r in range(self.n):
            place = r * self.ring
            memmove(self.rows + place * d, self.rows + (place + self.position - kept) * d, kept * d * sizeof(double))
            memmove(self.products + place * wide, self.products + (place + self.position - kept) * wide, kept * wide)
        self.position = kept

    cdef void store_output(self) noexcept nogil:
        cdef const KernelTable *kernels = self.stack.kernels
        cdef Py_ssize_t size = kernels.item_size, r, stride = self.stack.head.stride * size, width
        cdef const Layer *top = &self.stack.layers[self.stack.n_layers - 1]
        if self.want_hidden:
            width = top.output_size * size
            for r in range(self.n):
                memcpy(self.out + r * width, self.features + r * top.output_stride * size, width)
            return
        head_forward(kernels, &self.stack.head, top, self.weights, self.n, self.features, self.z)
        width = self.stack.n_outputs * size
        for r in range(self.n):
            memcpy(self.out + r * width, self.z + r * stride, width)

    # The state: h and c of every layer (layout of `Stack.forward`), or the rows of the windows.

    def weights_changed(self):
        """Take the weights that the stack is bound to now, as they are now.

        Products with rows of the past stay those of the weights before, until `set_rows`.
        """
        cdef Py_ssize_t i
        self.refuse_other_threads()
        if self.by_rows:
            raise ValueError("integers of a quantised network do not change")
        self.panels = self.stack.panels
        self.stack.make_words()
        self.words = self.stack.words
        self.describe()
        for i in range(self.stack.n_layers * self.n_shares):
            self.calls[i].is_derived = False

    def get_state(self, state):
        """Fill `state` (n_streams, state_size) with the states of every layer."""
        self.refuse_other_threads()
        self.exchange_state(data_of(state, self.stack.code, self.n * self.stack.state_size, True), False)

    def set_state(self, state):
        """Restore `state` (n_streams, state_size)."""
        self.refuse_other_threads()
        self.exchange_state(data_of(state, self.stack.code, self.n * self.stack.state_size), True)

    cdef void exchange_state(self, char *state, bint put) noexcept nogil:
        cdef Py_ssize_t size = self.stack.kernels.item_size, i, r, hidden, stride
        cdef const Layer *layer
        cdef char *outside
        cdef char *inside
        for i in range(self.stack.n_layers):
            layer = &self.stack.layers[i]
            hidden, stride = layer.hidden_size * size, layer.hidden_stride * size
            for r in range(self.n):
                outside = state + (r * self.stack.state_size + layer.directions[0].state) * size
                inside = <char *> self.calls[i * self.n_shares].h + r * stride
                memcpy(inside if put else outside, outside if put else inside, hidden)
                inside = <char *> self.calls[i * self.n_shares].c + r * layer.sizes.n_states * stride
                copy_states(layer, size, outside + hidden, inside, put)

    def get_rows(self, rows, counts):
        """Fill `rows` (n_streams, sequence_length - 1, n_features) of float64: the next window without its last row.

        The ``counts[k]`` rows of stream k, at most sequence_length - 1, are at the end, in time order, after zeros.
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
        """Restore the rows and counts of `get_rows`."""
        cdef Py_ssize_t d = self.stack.input_size, kept = self.length - 1
        cdef const double *source = <const double *> data_of(rows, FLOAT64, self.n * kept * d)
        cdef const double *row
        cdef const Py_ssize_t *numbers = <const Py_ssize_t *> data_of(counts, INTP, self.n)
        cdef Py_ssize_t r, t
        cdef unsigned int before
        self.refuse_other_threads()
        for r in range(self.n):
            if not 0 <= numbers[r] <= kept:
                raise ValueError(f"expected counts between 0 and {kept}, got {numbers[r]}")
        self.position = kept
        before = self.stack.kernels.enter()
        for r in range(self.n):
            self.counts[r] = numbers[r]
            for t in range(numbers[r]):
                row = source + ((r + 1) * kept - numbers[r] + t) * d
                self.standardise(1, row)
                self.store_row(r, kept - numbers[r] + t, row, self.x)
        self.stack.kernels.leave(before)
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
                stride *= self.stack.layers[i].sizes.n_states
                if stride > 0:
                    memset(<char *> self.calls[i * self.n_shares].c + r * stride, 0, stride)
        self.sort()

    cdef void sort(self) noexcept:
        """Sort streams by the length of their window, longest first. Steps keep the order: all windows grow by one."""
        cdef Py_ssize_t r, place, stream
        for r in range(self.n):
            stream, place = self.order[r], r
            while place > 0 and self.counts[self.order[place - 1]] < self.counts[stream]:
                self.order[place] = self.order[place - 1]
                place -= 1
            self.order[place] = stream
