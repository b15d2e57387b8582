"""Stacked recurrent layers with a dense head, run over batches of sequences.

A `Stack` holds the sizes of one network and the offsets of its parameters, and a reference to the weights it was bound
to. Work is cut into chunks of sequences whose size depends on the batch alone, so results do not depend on the number
of threads.

Weights, gradients and the moments of an optimizer are vectors of *panels*: the layout that the kernels read.
The flat vector of named parameters appears only where a network is made, stored or copied.
"""

from libc.float cimport DBL_MAX
from libc.math cimport frexp, isfinite, ldexp
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from sklstm._kernels.core._pool cimport pool_run, pool_run_attended
from sklstm._kernels._calls cimport (
    ABSOLUTE_LOSS,
    ATTENTION_POOLING,
    BF16_PAIRS,
    BINARY_LOG_LOSS,
    DISTILLED_BINARY_LOSS,
    DISTILLED_MULTINOMIAL_LOSS,
    HUBER_LOSS,
    LAST_NORM,
    LAST_POOLING,
    LOG_COSH_LOSS,
    MAX_NUMBERS,
    MEAN_POOLING,
    MULTINOMIAL_LOG_LOSS,
    NO_NORM,
    PAIRS,
    POISSON_LOSS,
    QUANTILE_LOSS,
    REALS,
    RECURRENT,
    SQUARED_LOSS,
    STANDARD_NORM,
    AttentionCall,
    CellLayers,
    CellShape,
    CellSizes,
    IntegerLayer,
    LayerCall,
    LayerOptions,
    LayerRanges,
    OuterProducts,
    PanelPart,
    PoolCall,
    is_multinomial,
    scratch_size,
    targets_of,
    words_of,
)
from sklstm._kernels.optim._updates cimport FactoredGradient
from sklstm._kernels._table cimport (
    LAYER_NORM,
    NO_GATE,
    NO_OUTPUT_NORM,
    RMS_NORM,
    SILU_GATE,
    SOFTMAX_GATE,
    KernelTable,
)

from cpython.buffer cimport PyBUF_STRIDES

include "../core/buffers.pxi"
include "../core/signals.pxi"
include "structs.pxi"
include "single_row.pxi"
include "forward.pxi"
include "layer_output.pxi"
include "output_gate.pxi"
include "parameter_passes.pxi"
include "inputs.pxi"
include "time_gaps.pxi"
include "shared_rows.pxi"
include "step_products.pxi"
include "workspace.pxi"
include "attention.pxi"
include "head.pxi"
include "decoder.pxi"
include "backward.pxi"
include "offsets.pxi"
include "call.pxi"

LOSS_KINDS = {
    "squared": SQUARED_LOSS,
    "binary_log": BINARY_LOG_LOSS,
    "multinomial_log": MULTINOMIAL_LOG_LOSS,
    "absolute": ABSOLUTE_LOSS,
    "huber": HUBER_LOSS,
    "log_cosh": LOG_COSH_LOSS,
    "quantile": QUANTILE_LOSS,
    "poisson": POISSON_LOSS,
    "distilled_binary": DISTILLED_BINARY_LOSS,
    "distilled_multinomial": DISTILLED_MULTINOMIAL_LOSS,
}


cdef int fill(double *numbers, Py_ssize_t n, value) except -1:
    """Write one number n times, or n numbers."""
    cdef Py_ssize_t i
    if isinstance(value, float):
        for i in range(n):
            numbers[i] = value
        return 0
    for i, number in enumerate(np.broadcast_to(value, n).tolist()):
        numbers[i] = number
    return 0


cdef class Stack:
    """Sizes and offsets of a network of stacked recurrent layers and a dense head, and its forward and backward pass.

    Parameters
    ----------
    plan : Plan
        The architecture of the network and the offsets of its parameters; filled here.
    dtype : "float32", "float64" or "bfloat16"
        With bfloat16 the products of the recurrent layers read 16-bit numbers; all arrays are float32.
    isa : str or None
        A name from `available_isas`; None for the one in use.
    input_mean, input_scale : sequence of float or None
        Of each column: the first layer reads (row - mean) / scale, whatever float a table holds; None for zeros and
        ones. With `window_norm`, `input_scale` is the deviation of each column as a whole, but for known columns.
    Attributes
    ----------
    architecture : Architecture
    n_parameters : int
        Length of the flat vector of parameters.
    panels_size, transposed_size : int
        Length of a vector of panels, and of the transposed copies of the weights.
    words : ndarray or None
        The weights as words of bfloat16, where a call has needed all of them at once.
    segments : list of (int, bool)
        Ends of the segments of a vector of panels, and whether the weights in them decay.
    skip_is_frozen : bool
        Whether the gradient of the linear skip is left out (zero); to be set before training.
    skip_range : (int, int)
        Begin and end of the weights of the linear skip in a vector of panels.
    reads_row_by_row : bool
        Whether `StackStream` can run it.
    largest_input : float
        Up to here no product of an input, and no square of such a product, overflows, for any sensible weights.
    """

    def __cinit__(self, plan, dtype="float32", isa=None, *, input_mean=None, input_scale=None):
        cdef Py_ssize_t i
        self.architecture = shape = plan.architecture
        self.code = code_of(dtype)
        self.dtype = np.dtype(chr(self.code))
        self.largest_input = 1e15 if self.code == FLOAT32 else 1e150
        self.format = BF16_PAIRS if dtype == "bfloat16" else REALS
        self.kernels = open_table(self.code, isa, self.format != REALS or plan.reduced)
        if plan.lanes != self.kernels.lanes:
            raise ValueError(f"the plan is for vectors of {plan.lanes} numbers, not {self.kernels.lanes}")
        self.n_layers = shape.n_layers
        self.layers = <Layer *> calloc(self.n_layers, sizeof(Layer))
        if self.layers == NULL:
            raise MemoryError()
        self.constants = None if plan.constants is None else plan.constants.astype(self.dtype)
        for i in range(self.n_layers):
            init_layer(self, i, plan)
            self.layers[i].x_format, self.layers[i].format = plan.formats[i]
            if self.format != REALS:
                self.layers[i].x_format = self.layers[i].format = self.format
        self.ranges_size, self.skip_range = plan.ranges_size, (0, 0)
        init_attention(self, plan)
        init_head(self, plan)
        init_decoder(self, plan)
        init_input_stage(self, plan, input_mean, input_scale)
        self.pieces, self.segments = plan.pieces, plan.segments
        self.panels_size, self.transposed_size, self.n_parameters = plan.size, plan.transposed_size, plan.n_parameters
        self.n_copies = len(plan.copies)
        self.copies = <Copy *> calloc(self.n_copies, sizeof(Copy))
        if self.copies == NULL:
            raise MemoryError()
        for i in range(self.n_copies):
            self.copies[i] = plan.copies[i]
        init_layer_transposed(self)
        init_words(self, plan)
        self.state_size = sum(size for _, size in shape.states)
        self.n_outputs, self.hidden_size, self.input_size = shape.n_outputs, shape.features_size, shape.input_size
        self.every_step, self.zoneout = shape.every_step, shape.zoneout
        self.options = shape.peephole or shape.cell_norm or shape.projection_size > 0 or shape.zoneout > 0
        self.reads_row_by_row = not (
            self.options or not has_plain_layer(&self.layers[0]) or shape.bidirectional or shape.attention_heads
            or shape.window_norm or shape.linear_skip or shape.patch_length > 1 or shape.pooling != "last"
            or shape.n_turns or shape.norm_first or shape.feedforward or shape.output_gate
            or any(name.startswith("weight_residual") for name, _ in shape.parameters))

    def __dealloc__(self):
        free(self.layers)
        free(self.copies)
        free(self.input.block)
        free(self.input.known)

    def bind(self, panels, transposed=None, bint input_gradient=False):
        """Use these weights, as they are at each call, from now on.

        Training needs room for their transposed copies, `transposed` (`transposed_size` numbers), which each
        `forward_backward` fills anew; with `input_gradient` also for the copies that only `d_x` needs.
        """
        required(panels, self.code, self.panels_size)
        data_of(transposed, self.code, self.transposed_size, True)
        self.panels, self.transposed, self.input_gradient = panels, transposed, input_gradient
        self.words_are_old = True

    def measure(self, ranges):
        """Measure what layers read in `ranges` (n_threads, ranges_size) of float64 from now on; None: no longer."""
        self.ranges = ranges

    def weights_changed(self):
        """Announce that the weights bound to it are other numbers now; training takes them so at each call."""
        self.words_are_old = True

    cdef int make_words(self) except -1:
        """Round the weights to words now."""
        cdef StackCall call
        cdef SignalWatch watch
        cdef list errors = []
        memset(&call, 0, sizeof(StackCall))
        call.kernels, call.layers, call.format, call.watch = self.kernels, self.layers, self.format, &watch
        call.panels = required(self.panels, self.code, self.panels_size)
        reserve_words(self)
        call.words = data_of(self.words, self.code, self.words_size)
        open_watch(&watch, errors)
        round_weights(self, &call, False, 1)
        if errors:
            raise errors[0]
        return 0

    def to_panels(self, flat, panels):
        """Pack a flat vector of parameters into panels; padding becomes zero, and stays so."""
        cdef char *source = required(flat, self.code, self.n_parameters)
        cdef char *out = required(panels, self.code, self.panels_size, True)
        convert_panels(self, source, out, True)

    def from_panels(self, panels, flat):
        """Unpack a vector of panels into the order of the parameters."""
        cdef char *source = required(panels, self.code, self.panels_size)
        cdef char *out = required(flat, self.code, self.n_parameters, True)
        convert_panels(self, out, source, False)

    def training_chunks(self, Py_ssize_t n_samples):
        """Return (number of chunks, samples in a chunk, number of gradient slots) of such a call in training.

        Chunk c is added to slot c % slots.
        """
        cdef StackCall call
        describe(self, &call, self.code, n_samples, 1, True)
        return call.n_chunks, call.chunk_size, call.n_slots

    def interleaved_order(self, Py_ssize_t n_samples):
        """Return an order of sequences, sorted longest first, that gives all chunks of a batch similar lengths.

        Sequences are interleaved over the chunks. Cut in sorted order, the first chunk would hold all long ones, and
        the other threads would wait for it.
        """
        cdef StackCall call
        describe(self, &call, self.code, n_samples, 1, True)
        positions = np.arange(n_samples)
        order = np.empty(n_samples, np.intp)
        # The first position of every chunk, then the second of every chunk, and so on.
        order[np.lexsort((positions // call.chunk_size, positions % call.chunk_size))] = positions
        return order

    def workspace_bytes(self, Py_ssize_t n_samples, Py_ssize_t max_rows, *, bint training=False, double dropout=0.0,
                        double recurrent_dropout=0.0, bint d_x=False, bint neighbours=False, table=None):
        """Return (bytes of one worker's workspace, bytes of all gradient slots, number of tasks) of such a call.

        `table` is the one that will be read; None for one of the stack's own dtype.
        """
        cdef StackCall call
        describe(self, &call, self.code if table is None else code_of_table(table), n_samples, max_rows, training,
                 dropout, recurrent_dropout, d_x, neighbours)
        return (measure(self, &call), call.n_slots * self.panels_size * self.kernels.item_size if training else 0,
                call.n_slots if training else call.n_chunks)

    @property
    def outer_products(self):
        """(parts, numbers of their factors) of the gradient of a single row; (0, 0) where it is not left as factors.

        It is where all weights of the recurrent layers are those of plain layers of reals.
        """
        cdef Py_ssize_t i, n_parts = 0, n_numbers = 0
        cdef const Layer *layer
        for i in range(self.n_layers):
            layer = &self.layers[i]
            if (layer.cell.driver != RECURRENT or self.options or not has_plain_layer(layer) or self.format != REALS
                    or layer.format != REALS or self.kernels.reduced or self.decoder.n_turns > 0):
                return 0, 0
            n_parts += layer.n_directions * layer.n_panels * (layer.cell.units * layer.cell.n_sums + 2)
            # (each row of factors takes whole cache lines)
            n_numbers += layer.n_directions * (
                layer.input_size + layer.width + layer.cell.n_sums * layer.hidden_stride + 32)
        return n_parts, n_numbers

    def window_moments(self, sequences, Py_ssize_t row_stride, starts, lengths, shift, deviation):
        """Fill (n_samples, n_columns) with the shift and the deviation by which each window is normalised."""
        cdef char code = code_of_table(sequences)
        cdef Py_ssize_t n = len(starts), d = self.input.n_columns, i, row = row_stride * (8 if code == FLOAT64 else 4)
        cdef Py_ssize_t n_rows
        cdef const char *table = table_of(sequences, code, d, row_stride, &n_rows)
        cdef Py_ssize_t *begin = <Py_ssize_t *> required(starts, INTP, n)
        cdef Py_ssize_t *length = <Py_ssize_t *> required(lengths, INTP, n)
        cdef double *shifts = <double *> required(shift, FLOAT64, n * d, True)
        cdef double *deviations = <double *> required(deviation, FLOAT64, n * d, True)
        check_windows(n, begin, length, n_rows, n_rows)
        with nogil:
            for i in range(n):
                moments_of_window(self.kernels, &self.input, length[i], table + begin[i] * row, row_stride,
                                  code == FLOAT64, shifts + i * d, deviations + i * d)

    def forward(self, sequences, Py_ssize_t row_stride, starts, lengths, workspace, int n_threads, *, z=None,
                hidden=None, initial_state=None, final_state=None, pool_weights=None, head_weights=None, ahead=None,
                ahead_starts=None, first_rows=None):
        """Run the stack over sequences; fill those of `z`, `hidden` and `final_state` that are given.

        `pool_weights` (n_samples, max_steps) gets the weights of the attention pooling, `head_weights` (n_samples,
        n_heads, max_steps) those of the self-attention of each sequence's last step.

        With `every_step`, `z` and `hidden` have a row for each row of the table; the linear skip reads rows from
        `first_rows` (n_samples,) on, None for `starts`. `ahead` (n_rows, known columns) and `ahead_starts` are what a
        decoder reads of the rows after each sequence.
        """
        cdef StackCall call
        cdef SignalWatch watch
        cdef list errors = []
        cdef Py_ssize_t n = len(starts), rows
        cdef bint training = self.transposed is not None
        describe(self, &call, code_of_table(sequences), n, lengths.max(), False)
        attach(self, &call, sequences, row_stride, starts, lengths, workspace, n_threads, initial_state, final_state,
               first_rows)
        rows = rows_of_table(&call)
        call.out_z = data_of(z, self.code, rows * self.n_outputs, True)
        attach_ahead(self, &call, ahead, ahead_starts)
        call.out_hidden = data_of(hidden, self.code, rows * self.hidden_size, True)
        call.out_pool_weights = data_of(pool_weights, self.code, n * call.max_steps, True)
        call.out_head_weights = data_of(head_weights, self.code, n * self.attention.n_heads * call.max_steps, True)
        call.ranges_size = self.ranges_size
        call.ranges = <double *> data_of(self.ranges, FLOAT64, n_threads * self.ranges_size, True)
        open_watch(&watch, errors)
        call.watch = &watch
        with nogil:
            round_weights(self, &call, training, n_threads)
            if not watch.stopped:
                pool_run_attended(forward_task, &call, <int> call.n_chunks, n_threads, attend)
        if errors:
            raise errors[0]

    def forward_backward(self, sequences, Py_ssize_t row_stride, starts, lengths, workspace, int n_threads, *,
                         Py_ssize_t max_steps, targets, weights, loss, double scale, slots,
                         loss_parameter=0.0, double dropout=0.0, double recurrent_dropout=0.0, bint neighbours=False,
                         unsigned long long seed=0, unsigned int epoch=0, sample_ids=None, z=None, initial_state=None,
                         final_state=None, d_initial_state=None, d_x=None, ahead=None, ahead_starts=None,
                         first_rows=None, slot_range=None, chunk_losses=None, FactoredGradient factored=None):
        """Return the sum of scale * weight * loss; the first slot then holds the gradient, as a vector of panels.

        With `slot_range` only the chunks of these slots (first, end) are computed: `slots` holds their gradients side
        by side, not added up, `chunk_losses` (n_chunks,) the loss of each, and `final_state` their rows.

        With `factored`, made of the first slot and `outer_products`, the gradient of a single row is in it.

        `max_steps` is the largest of `lengths`, or more. With `every_step`, `targets`, `weights` and `z` have a row for
        each row of the table. `weights` has one number for each sample, or one for each of its outputs. `neighbours`
        shares products between overlapping windows. `ahead` and `ahead_starts` are as in `forward`.
        """
        cdef StackCall call
        cdef SignalWatch watch
        cdef list errors = []
        cdef Py_ssize_t n = len(starts), rows, c
        cdef Py_ssize_t n_targets = targets_of(LOSS_KINDS[loss], self.n_outputs)
        cdef Py_ssize_t n_own
        cdef double total = 0
        cdef double *numbers
        cdef double *losses
        cdef bint is_whole = slot_range is None
        if d_x is not None and not self.input_gradient:
            raise ValueError("d_x needs weights bound with input_gradient=True")
        if d_x is not None and (changes_windows(&self.input) or self.input.skip_rows > 0):
            raise ValueError("d_x is not computed for normalised windows, patches and the linear skip")
        if d_x is not None and self.input.time_column >= 0:
            raise ValueError("d_x is not computed where a cell reads the time since the row before")
        if d_x is not None and self.decoder.n_turns > 0 and self.input.n_known > 0:
            raise ValueError("d_x is not computed for decoders that read rows ahead")
        if self.transposed is None:
            raise ValueError("training needs room for the copies of the weights: bind(panels, transposed)")
        describe(self, &call, code_of_table(sequences), n, max_steps, True, dropout, recurrent_dropout, d_x is not None,
                 neighbours)
        attach(self, &call, sequences, row_stride, starts, lengths, workspace, n_threads, initial_state, final_state,
               first_rows)
        attach_ahead(self, &call, ahead, ahead_starts)
        rows = rows_of_table(&call)
        call.loss_kind, call.scale = LOSS_KINDS[loss], scale
        call.targets = required(targets, self.code, rows * n_targets)
        call.n_weights = 1 if weights.ndim == 1 else self.n_outputs
        if call.n_weights > 1 and is_multinomial(call.loss_kind):
            raise ValueError("a multinomial loss has one weight for each sample")
        call.weights = required(weights, self.code, rows * call.n_weights)
        n_own = attach_slots(self, &call, slots, slot_range)
        if factored is not None:
            attach_products(self, &call, factored, n_threads)
        losses = <double *> data_of(chunk_losses, FLOAT64, call.n_chunks, True)
        call.seed, call.epoch = seed, epoch
        call.sample_ids = <unsigned int *> data_of(sample_ids, UINT32, n)
        if (dropout > 0 or recurrent_dropout > 0 or call.zoneout > 0) and call.sample_ids == NULL:
            raise ValueError("dropout needs sample_ids")
        call.out_z = data_of(z, self.code, rows * self.n_outputs, True)
        call.d_initial_state = data_of(d_initial_state, self.code, n * self.state_size, True)
        call.d_x = data_of(d_x, self.code, n * max_steps * self.input_size, True)
        # The parameter of each output, then the loss of each chunk.
        numbers = <double *> calloc(self.n_outputs + call.n_chunks, sizeof(double))
        if numbers == NULL:
            raise MemoryError()
        try:
            fill(numbers, self.n_outputs, loss_parameter)
            call.loss_parameters, call.chunk_losses = numbers, numbers + self.n_outputs
            open_watch(&watch, errors)
            call.watch = &watch
            with nogil:
                round_weights(self, &call, True, n_threads)
                # An optimizer changes the weights next.
                self.words_are_old = True
                transpose_weights(self, &call, n_threads)
                if call.products != NULL:
                    train_task(&call, 0, 0)  # not in the pool: threads share its layers
                elif not watch.stopped:
                    pool_run_attended(train_task, &call, <int> n_own, n_threads, attend)
                if not watch.stopped and is_whole:
                    add_slots(self, &call, n_threads)
            for c in range(call.n_chunks):
                total += call.chunk_losses[c]
            if losses != NULL:
                memcpy(losses, call.chunk_losses, call.n_chunks * sizeof(double))
        finally:
            free(numbers)
        if errors:
            raise errors[0]
        if factored is not None:
            check_products(self, factored)
        return total
