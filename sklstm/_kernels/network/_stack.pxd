# The sizes and offsets of a network, for the modules that run it over whole sequences (_stack.pyx) or one row at a
# time (_stream.pyx).

from libc.string cimport memcpy

from sklstm._kernels._calls cimport (
    MAX_NUMBERS, ROWS, CellLayers, CellShape, CellSizes, IntegerLayer, PanelPart, words_of)
from sklstm._kernels._table cimport NO_GATE, NO_OUTPUT_NORM, KernelTable


cdef extern from "workspace.h" nogil:
    Py_ssize_t round_up(Py_ssize_t n, Py_ssize_t step)
    char *take_bytes(char **cursor, Py_ssize_t n_bytes)
    Py_ssize_t odd_cache_lines(Py_ssize_t n, Py_ssize_t item_size)


cdef enum:
    # With so many sequences a step has enough rows by itself: step_products.pxi.
    MANY_SEQUENCES = 8
    # Rows of products of several steps that there is room for, where gates do not hold them.
    STEP_PRODUCTS = 1024


cdef struct Recurrence:
    # One direction of a layer: offsets in elements, into a vector of panels (weights, moments and gradients alike), ...
    Py_ssize_t panels
    Py_ssize_t panel_bias
    Py_ssize_t vectors           # -1: none, here and below
    Py_ssize_t norm
    Py_ssize_t projection
    # ... into the transposed copies, ...
    Py_ssize_t x_transposed
    Py_ssize_t h_transposed
    Py_ssize_t gated_transposed
    Py_ssize_t projection_transposed
    Py_ssize_t first_copy        # those of the weights among all copies, ...
    Py_ssize_t n_copies
    # ... into the weights as words, where products do not read the panels themselves, ...
    Py_ssize_t words
    # ... of products of integers (IntegerLayer), again into the vector of panels, ...
    Py_ssize_t integers          # starts and scales of the sums of x, h and the gated h, S Hp numbers each
    Py_ssize_t inverse_x
    Py_ssize_t inverse_h
    Py_ssize_t inverse_gated
    # ... the largest number that is read as 16 bits, ...
    Py_ssize_t highest_x
    Py_ssize_t highest_h
    # ... into what is measured of rows (LayerRanges), ...
    Py_ssize_t range_x
    Py_ssize_t range_h
    Py_ssize_t range_gated
    # ... and of h (width), followed by the second state (n_states times hidden_size), in a row of states.
    Py_ssize_t state


cdef struct RowNorm:
    int kind                     # an OutputNorm
    Py_ssize_t panels            # gain, then shift where it has one, the stride of the rows apart


cdef struct OutputGate:
    # a gate on the output of a layer, from its input (output_gate.pxi)
    int kind                     # a GateKind
    Py_ssize_t group             # units that compete
    Py_ssize_t stride            # the output of the layer rounded up to whole tiles
    Py_ssize_t weights           # panels
    Py_ssize_t transposed


cdef struct FeedForward:
    # a SwiGLU block on the output of a layer (layer_output.pxi)
    Py_ssize_t size              # gated units; 0: there is none
    Py_ssize_t stride            # size, ...
    Py_ssize_t sums_stride       # ... twice size, ...
    Py_ssize_t wide_stride       # ... and the output of the layer, rounded up to whole tiles
    RowNorm norm
    Py_ssize_t weights_in        # panels
    Py_ssize_t weights_out
    Py_ssize_t in_transposed
    Py_ssize_t out_transposed


cdef struct Layer:
    Py_ssize_t input_size
    Py_ssize_t hidden_size       # units of one direction
    Py_ssize_t hidden_stride
    Py_ssize_t width             # h of one direction: its units, or their projection
    Py_ssize_t width_stride
    Py_ssize_t output_size       # h of all directions
    Py_ssize_t output_stride
    const CellLayers *kernels
    CellShape cell
    int x_format                 # of the products with x ...
    int format                   # ... and with h (isa/words.h)
    Py_ssize_t n_panels
    CellSizes sizes              # n_states: of c, or 1 for m where a cell that reads h is projected; else 0
    Py_ssize_t numbers[MAX_NUMBERS]  # the cell's own sizes
    const void *constants        # what is computed of them
    int n_directions
    Recurrence directions[2]
    # between this layer and the next (layer_output.h, layer_norm.h)
    Py_ssize_t residual_from     # the layer whose output is added; -1: none
    Py_ssize_t residual          # panels of the residual's linear map; -1: none needed
    Py_ssize_t residual_transposed
    Py_ssize_t residual_stride   # output_size rounded up to whole tiles
    RowNorm norm
    bint norm_first              # only what reads this layer sees it normalised: residual sums do not
    FeedForward feedforward
    OutputGate gate


cdef struct InputStage:
    # from rows of a table to the input of the first layer (inputs.pxi)
    Py_ssize_t n_columns
    Py_ssize_t patch_length
    int norm                     # a WindowNorm
    bint scaled                  # without one: whether standardising changes any number
    Py_ssize_t n_repeats         # how often a row stands in mean and inverse
    void *block                  # the memory of the arrays below
    double *mean                 # (n_repeats, n_columns)
    double *inverse              # (n_repeats, n_columns) 1 / scale
    double *scale                # (n_columns,) deviation of each column as a whole
    double *unit                 # (2, n_columns) powers of two near scale, and their inverses
    Py_ssize_t time_column       # the time since the row before, for a cell that reads it; -1: there is none
    Py_ssize_t n_known           # columns that a norm leaves alone: they are standardised by mean and scale
    Py_ssize_t *known            # (n_known,) their positions
    Py_ssize_t skip_rows         # last rows that the linear skip reads
    Py_ssize_t skip              # its panels, like the head's
    Py_ssize_t skip_bias         # its bias beside a decoder, whose head has that of a turn; -1: it has none


cdef struct Attention:
    # a block of self-attention on the top layer, and the pooling of its steps
    Py_ssize_t n_heads           # 0: no block
    bint causal
    Py_ssize_t norm              # offsets into the vector of panels, ...
    Py_ssize_t weights_in
    Py_ssize_t bias_in
    Py_ssize_t weights_out
    Py_ssize_t bias_out
    Py_ssize_t weights_in_transposed  # ... and into the transposed copies
    Py_ssize_t weights_out_transposed
    int pooling                  # a Pooling
    Py_ssize_t pool_weights
    Py_ssize_t state             # offset of the pooling in a row of states


cdef struct Head:
    Py_ssize_t n_outputs
    Py_ssize_t stride            # n_outputs rounded up to whole tiles
    Py_ssize_t turn_outputs      # rows of its weights: n_outputs, or with a decoder those of one turn
    Py_ssize_t turn_stride       # turn_outputs rounded up to whole tiles
    Py_ssize_t panels
    Py_ssize_t panel_bias
    Py_ssize_t transposed


cdef struct Decoder:
    # a second run of the layers, over the rows ahead (decoder.pxi)
    Py_ssize_t n_turns           # 0: there is none
    Py_ssize_t horizon           # rows ahead
    bint parallel                # every turn starts from the final states of the sequence, not from the turn before
    Py_ssize_t bias              # panels: (n_turns, sums of the first layer) what each turn adds to its bias


cdef struct Copy:
    # one matrix, or part of the panels of a layer, that backward reads transposed (pack_transposed)
    Py_ssize_t panels
    Py_ssize_t n_vecs
    PanelPart part
    Py_ssize_t n_columns
    Py_ssize_t transposed
    bint words                   # read as words of the format
    bint input_only              # needed for the gradient of the input only
    bint by_layer                # made by each worker, for the layer that it is at


cdef class Stack:
    cdef const KernelTable *kernels
    cdef Layer *layers
    cdef InputStage input
    cdef Attention attention
    cdef Head head
    cdef Decoder decoder
    cdef Copy *copies
    cdef Py_ssize_t n_layers, n_copies
    cdef Py_ssize_t layer_transposed  # where the longest transposed copies of one direction of a layer begin
    cdef readonly Py_ssize_t n_parameters, state_size, panels_size, transposed_size, n_outputs, hidden_size, input_size
    cdef readonly object architecture, dtype, segments
    cdef int format              # BF16_PAIRS: the weights are rounded to words at each step; or REALS
    cdef readonly Py_ssize_t words_size
    cdef Py_ssize_t layer_words_size  # room for those of one layer, in either order; 0: a step makes all of them
    cdef Py_ssize_t ranges_size
    cdef object ranges           # what layers read is measured in it; None: it is not
    cdef readonly object words   # the weights as words of the format; None with REALS, and until they are needed
    cdef bint words_are_old      # other weights than these have been bound or loaded
    cdef readonly bint every_step, options, reads_row_by_row
    cdef public bint skip_is_frozen
    cdef readonly object skip_range
    cdef readonly double largest_input
    cdef list pieces
    cdef object constants        # the memory of Layer.constants; None: there are none
    cdef double zoneout
    cdef object panels, transposed
    cdef bint input_gradient
    cdef char code
    cdef int make_words(self) except -1


cdef inline double finish_row(const KernelTable *kernels, const Layer *layer, const char *panels, const char *h,
                              const char *skip, char *out, char *normalised) noexcept nogil:
    """From a row of hidden states to the layer's output: residual sum, then normalisation; 1 / deviation of the row."""
    if skip != NULL and not layer.norm_first:
        kernels.residual_sum(layer.output_stride, h, skip, out)
    elif out != h:
        memcpy(out, h, layer.output_stride * kernels.item_size)
    if skip != NULL and layer.norm_first:
        kernels.sum_rows(layer.output_stride, out, skip)
    if layer.norm_first:
        return 0
    return normalise_row(kernels, layer, &layer.norm, panels, out, normalised)


cdef inline double normalise_row(const KernelTable *kernels, const Layer *layer, const RowNorm *norm,
                                 const char *panels, char *row, char *normalised) noexcept nogil:
    """Normalise a row of a layer's output in place, if there is a norm; 1 / deviation of the row."""
    if norm.kind == NO_OUTPUT_NORM:
        return 0
    return kernels.norms[norm.kind](layer.output_size, layer.output_stride, panels + norm.panels * kernels.item_size,
                                    row, normalised if normalised != NULL else row)


cdef inline void head_forward(const KernelTable *kernels, const Head *head, const Layer *top, const char *panels,
                              Py_ssize_t n, const char *features, char *z) noexcept nogil:
    """z (n, head.turn_stride) = features @ weight_out^T + bias_out."""
    cdef Py_ssize_t size = kernels.item_size, stride = head.turn_stride, r
    # ADDED, and FIRST_VECTOR where the others of the only panel have no output (products.h).
    cdef int how = 3 if head.turn_outputs <= kernels.lanes else 1
    for r in range(n):
        memcpy(z + r * stride * size, panels + head.panel_bias * size, stride * size)
    kernels.product(n, top.output_size, stride // kernels.lanes, features, top.output_stride,
                    panels + head.panels * size, z, stride, how)


cdef inline bint has_output(const Layer *layer) noexcept nogil:
    """Whether the output of this layer is anything else than its hidden states (dropout aside)."""
    return (layer.norm.kind != NO_OUTPUT_NORM or layer.feedforward.size > 0 or layer.residual_from >= 0
            or layer.n_directions > 1 or layer.gate.kind != NO_GATE)


cdef inline Py_ssize_t second_size(const Layer *layer) noexcept nogil:
    """Numbers of the second state in a row of states."""
    return layer.hidden_size * layer.sizes.n_states


cdef inline bint has_plain_layer(const Layer *layer) noexcept nogil:
    """Whether the cell has a layer without options; else its layer with options is the only one."""
    return layer.cell.gated_count == 0 and layer.cell.driver != ROWS


cdef inline void copy_states(const Layer *layer, Py_ssize_t item_size, char *outside, char *inside,
                             bint put) noexcept nogil:
    """Copy the second state of one sequence from a row of states to the layer's own rows, or back."""
    cdef Py_ssize_t hidden = layer.hidden_size * item_size, stride = layer.hidden_stride * item_size, k
    for k in range(layer.sizes.n_states):
        if put:
            memcpy(inside + k * stride, outside + k * hidden, hidden)
        else:
            memcpy(outside + k * hidden, inside + k * stride, hidden)


cdef inline Py_ssize_t words_stride(const Layer *layer) noexcept nogil:
    """Words of [x | h], each in whole cache lines; of the gated h in place of x, which is as wide."""
    cdef Py_ssize_t n_h = words_of(layer.format, layer.width)
    return round_up(max(words_of(layer.x_format, layer.input_size), n_h), 16) + round_up(n_h, 16)


cdef inline const void *numbers_at(const char *panels, Py_ssize_t offset, Py_ssize_t size) noexcept nogil:
    """NULL for a negative offset."""
    return panels + offset * size if offset >= 0 else NULL


cdef inline void describe_integers(const Layer *layer, const Recurrence *recurrence, const char *panels,
                                   Py_ssize_t size, IntegerLayer *integers) noexcept nogil:
    """The arguments of integer products of one direction of a layer."""
    cdef Py_ssize_t width = layer.cell.n_sums * layer.hidden_stride
    cdef int k
    for k in range(3):
        integers.start[k] = panels + (recurrence.integers + 2 * k * width) * size
        integers.scale[k] = panels + (recurrence.integers + (2 * k + 1) * width) * size
    integers.inverse[0] = numbers_at(panels, recurrence.inverse_x, size)
    integers.inverse[1] = numbers_at(panels, recurrence.inverse_h, size)
    integers.inverse[2] = numbers_at(panels, recurrence.inverse_gated, size)
    integers.highest[0], integers.highest[1] = recurrence.highest_x, recurrence.highest_h
    integers.highest[2] = recurrence.highest_h
