# The table of kernels: what one instruction-set variant offers for one dtype.
#
# Each _isa_{isa}_{f32|f64}.pyx includes isa/_isa.pxi, which fills one table. In that text `real` is float or double by
# a macro of the build (a ctypedef, not a fused type: no duplicated calls, no argument to choose by). The doors
# (_stack.pyx, _updates.pyx, _pointwise.pyx, _column_statistics.pyx) only know this page. Pointers to numbers travel as
# void*, since a C struct cannot be generic; a kernel casts them at its top. Strides count elements, never bytes.
# Every array but the rows of a table starts on a 64-byte boundary.

# Words used for sizes, in this order everywhere:
#   n_steps      T   longest sequence of the chunk
#   n_samples    n   sequences in the chunk, longest first
#   input_size   D   columns the layer reads
#   hidden_size  H   units of the layer
#   hidden_stride Hp H rounded up to whole vectors; units H..Hp are zero everywhere and stay so
# A matrix in panels: 4 vectors of columns side by side, k-major, panel after panel; the last may be narrower.

cdef enum:
    # (step, sequence) pairs in a block of the weight gradient: a 32-column panel of them is 16 KB, half of L1
    PAIRS = 128

    COLUMN_STRIP = 16  # columns of a tile of the column statistics: whole vectors of doubles for every variant

    # From so many rows on, the cell follows each panel, whose pre-activations are then in L1; below, it follows the
    # last panel, so that its chain of dependent operations has enough company.
    ROWS_OF_A_PANEL = 8


cdef enum Pooling:
    LAST_POOLING = 0
    MEAN_POOLING = 1
    ATTENTION_POOLING = 2


cdef enum LossKind:
    SQUARED_LOSS = 0
    BINARY_LOG_LOSS = 1
    MULTINOMIAL_LOG_LOSS = 2
    ABSOLUTE_LOSS = 3
    HUBER_LOSS = 4
    QUANTILE_LOSS = 5
    POISSON_LOSS = 6


cdef enum WindowNorm:
    NO_NORM = 0
    LAST_NORM = 1
    STANDARD_NORM = 2


cdef inline bint has_class_numbers(int kind) noexcept nogil:
    """Whether targets are class numbers, one for each sample; else there is a number for each output."""
    return kind == MULTINOMIAL_LOG_LOSS


ctypedef struct VariantCall:
    # the options of a cell (lstm_variant.h) beside what its LayerCall says; each array NULL and each rate 0 without it
    const void *peepholes        # (3, Hp) of i, f, o
    void *d_peepholes            # like it; added to
    const void *gate_norm        # gain of x W_ih (4 Hp, panel order), of h W_hh likewise, gain and shift of c (Hp)
    void *d_gate_norm            # like it; added to
    const void *projection       # dense panels (pack_dense) of H rows, k-major: from m (H) to h (P)
    const void *projection_back  # pack_gates_back of it: from d_h to d_m
    void *d_projection           # like projection; added to
    Py_ssize_t output_size       # of h: P with a projection, else H
    Py_ssize_t output_stride     # rounded up to whole vectors
    double zoneout
    double recurrent_dropout
    bint training                # masks are drawn, and the workspace is kept for the way back
    unsigned long long seed
    unsigned int epoch
    unsigned int layer           # a number of this layer and direction
    const unsigned int *sample_ids  # (n_samples,), read where masks are drawn
    void *workspace              # variant_workspace bytes


ctypedef struct LayerCall:
    # one recurrent layer over one chunk of sequences
    Py_ssize_t n_steps
    Py_ssize_t n_samples
    const int *n_active          # (n_steps,) sequences that still run at step t: never increases
    Py_ssize_t input_size
    Py_ssize_t hidden_size
    Py_ssize_t hidden_stride
    # input: row t of sequence r stands at x_rows[r] + t * x_step
    const void **x_rows          # (n_samples,)
    Py_ssize_t x_step
    bint x_is_product            # the rows are bias + x W_ih already (input_products), 4 Hp wide
    # weights
    const void *weights          # (Hp / lanes, D + H, 4 lanes): panels of [i f g o], k-major
    const void *bias             # (Hp / lanes, 4 lanes)
    const void *weights_hh_back  # panels over H, k = 4 Hp: from d_gates to d_h
    const void *weights_ih_back  # panels over D, k = 4 Hp: from d_gates to d_x; NULL: not wanted
    # workspace: forward writes, backward reads; row 0 of c and h is the initial state
    void *gates                  # (T, n, 4 Hp), overwritten by d_gates in backward; NULL: not kept
    void *tanh_c                 # (T, n, Hp); NULL with gates
    void *c                      # (T + 1, n, Hp), or (n, Hp) updated in place when kept_step is 0
    void *h                      # (T + 1, n, Hp)
    Py_ssize_t kept_step         # n Hp, or 0
    void *z                      # scratch: (n, 4 lanes), or (fewer than ROWS_OF_A_PANEL, 4 Hp)
    # the units that forward computes: a part of the panels when threads share a step
    Py_ssize_t first_panel
    Py_ssize_t n_panels
    # backward
    const void *d_h_above        # (T, n, Hp) what the layer above asks for; NULL: nothing
    const void *d_h_last         # (n, Hp) gradient of each sequence's own last hidden state; NULL: none
    void *d_h                    # (n, Hp) scratch; holds the gradient of the initial h on return
    void *d_c                    # (n, Hp) scratch; holds the gradient of the initial c on return
    void *d_x                    # (T, n, D rounded up to whole vectors); written when weights_ih_back is given
    void *d_weights              # like weights; added to
    void *d_bias                 # like bias; added to
    # asked before each step and each block of pairs: is somebody waiting for this to end? NULL: never asked
    bint (*interrupted)(void *context) noexcept nogil
    void *interrupt_context
    # neighbouring windows: d_gates are summed over the windows that read a row before they meet it, once for each row
    Py_ssize_t n_shared          # rows of the table behind the chunk; 0: not shared
    const void *shared_rows      # the first of them, x_step or -x_step apart
    const int *shared_first      # (n_samples,) which of them each sequence reads at step 0
    void *shared_gates           # (n_shared, 4 Hp) scratch
    const void **row_pointers    # (2 n,) scratch
    void *pair_rows              # (PAIRS, pair_stride), then (PAIRS, 4 lanes): scratch
    Py_ssize_t pair_stride       # at least D + H
    # NULL for the plain cell. With it: h, d_h* and the rows of the recurrent weights have output_size (output_stride)
    # numbers instead of H (Hp), h keeps all its steps, gates and tanh_c are kept when training, z is (n, 4 Hp), and all
    # panels are computed.
    const VariantCall *variant


ctypedef struct AttentionCall:
    # one block of multi-head self-attention over one chunk: out = y + heads(LN(y) + position) W_out + b_out
    Py_ssize_t n_steps           # lengths[0]
    Py_ssize_t n_samples
    const Py_ssize_t *lengths    # (n_samples,): never increases
    Py_ssize_t n_units           # S
    Py_ssize_t stride            # S rounded up to whole vectors: places of a row of y; the padding is zero and stays so
    Py_ssize_t n_heads           # divides S
    bint causal                  # a step sees itself and what came before it; else all steps of its sequence
    bint last_only               # only the last step of each sequence asks, and only its row of out is written
    bint training                # forward keeps what backward reads
    const void *y                # (T, n, stride): row t of sequence r at t * n + r; rows beyond an end are never read
    void *out                    # (T, n, stride), may be y; rows beyond an end are left alone
    # weights: W (columns read, columns written), each a matrix in panels by pack_dense, its bias like one of its rows
    const void *norm             # gain, then shift, `stride` apart
    const void *weights_in       # (S, 3 S): the columns of q, then k, then v, head after head
    const void *bias_in
    const void *weights_out      # (S, S)
    const void *bias_out
    const void *weights_in_back  # what pack_gates_back makes of weights_in: from d_q, d_k, d_v to d_u
    const void *weights_out_back
    # forward writes, backward reads: attention_workspace bytes on a 64-byte boundary
    void *workspace
    # the weights that each sequence's last step gives to its steps, zeros beyond its end; NULL: not wanted
    void *last_weights           # (n, n_heads, max_steps)
    Py_ssize_t max_steps         # at least T
    # backward: d_y comes in as the gradient of out and leaves as that of y. With last_only the other rows come in as
    # zeros. Rows beyond an end are neither read nor written.
    void *d_y                    # (T, n, stride)
    void *d_norm                 # gradients: like the weights; added to
    void *d_weights_in
    void *d_bias_in
    void *d_weights_out
    void *d_bias_out
    # asked before each sequence: is somebody waiting for this to end? NULL: never asked
    bint (*interrupted)(void *context) noexcept nogil
    void *interrupt_context


ctypedef struct PoolCall:
    # the outputs of one chunk, pooled over the steps of each sequence
    int kind                     # MEAN_POOLING or ATTENTION_POOLING (the last step is a copy, the caller's)
    Py_ssize_t n_steps           # lengths[0]
    Py_ssize_t n_samples
    const Py_ssize_t *lengths    # (n_samples,): never increases
    Py_ssize_t n_units           # S
    Py_ssize_t stride            # S rounded up to whole vectors: places of a row; the padding is zero and stays so
    const void *y                # (T, n, stride): row t of sequence r at t * n + r; rows beyond an end are never read
    const void *w                # (stride,) the vector that scores a step; ATTENTION_POOLING only
    void *features               # (n, stride): forward writes; backward of ATTENTION_POOLING reads
    # what a sequence brings from the steps before these, and takes along: rows of pool_state_size numbers
    const void *initial          # NULL: nothing before, which a row of zeros means too
    void *final                  # NULL: not wanted; may be initial
    Py_ssize_t state_stride      # elements from one row of initial and of final to the next
    # the weight of each of these steps among all so far, zeros beyond the end; ATTENTION_POOLING; NULL: not wanted
    void *step_weights           # (n, max_steps)
    Py_ssize_t max_steps         # at least T
    void *workspace              # forward writes, backward reads: pool_workspace bytes on a 64-byte boundary
    # backward, of calls without initial
    const void *d_features       # (n, stride)
    void *d_y                    # (T, n, stride) written; rows beyond an end become zero
    void *d_w                    # (stride,) added to


cdef enum UpdateRule:
    ADAMW = 0
    ADAM = 1
    SGD = 2
    SCHEDULE_FREE = 3


ctypedef struct UpdateStep:
    # one step of an optimizer over a stretch of a vector, in place
    Py_ssize_t n
    void *x
    const void *gradient
    void *first                  # mean of the gradients, velocity, or the point z of the schedule-free rule
    void *second                 # mean square of the gradients
    double gradient_scale, learning_rate, decay, beta1, beta2, epsilon, correction1, correction2
    double mixing                # share of the newest point in the schedule-free mean


ctypedef struct KernelTable:
    Py_ssize_t lanes             # numbers in a vector
    Py_ssize_t item_size         # bytes of a number
    void (*lstm_layer_forward)(const LayerCall *call) noexcept nogil
    void (*lstm_layer_backward)(const LayerCall *call) noexcept nogil
    # a cell with options: a pair of its own, so that the plain one pays nothing
    void (*lstm_variant_forward)(const LayerCall *call) noexcept nogil
    void (*lstm_variant_backward)(const LayerCall *call) noexcept nogil
    # bytes of VariantCall.workspace; of the pointers in `variant` only whether they are NULL is looked at
    Py_ssize_t (*variant_workspace)(const LayerCall *call, Py_ssize_t n_samples, Py_ssize_t n_steps) noexcept nogil
    void (*pack_gates)(const void *weight, Py_ssize_t n_columns, Py_ssize_t hidden_size, Py_ssize_t column_offset,
                       Py_ssize_t n_columns_total, void *panels) noexcept nogil
    void (*unpack_gates)(const void *panels, Py_ssize_t n_columns, Py_ssize_t hidden_size, Py_ssize_t column_offset,
                         Py_ssize_t n_columns_total, void *weight) noexcept nogil
    void (*pack_gates_back)(const void *panels, Py_ssize_t n_unit_panels, Py_ssize_t n_k, Py_ssize_t first_k,
                            Py_ssize_t n_columns, void *back) noexcept nogil
    void (*input_products)(Py_ssize_t n_rows, Py_ssize_t n_x, Py_ssize_t n_k, Py_ssize_t n_panels, const void *x_rows,
                           Py_ssize_t x_stride, const void *weights, const void *bias, void *products) noexcept nogil
    void (*pack_dense)(const void *weight, Py_ssize_t n_rows, Py_ssize_t n_columns, Py_ssize_t row_stride,
                       Py_ssize_t column_stride, void *panels) noexcept nogil
    void (*unpack_dense)(const void *panels, Py_ssize_t n_columns, Py_ssize_t n_rows, void *weight) noexcept nogil
    void (*product)(Py_ssize_t n_rows, Py_ssize_t n_k, Py_ssize_t n_vecs, const void *a, Py_ssize_t a_stride,
                    const void *panels, void *out, Py_ssize_t out_stride, bint add) noexcept nogil
    void (*outer)(Py_ssize_t n_pairs, Py_ssize_t n_k, Py_ssize_t n_panels, const void *a, Py_ssize_t a_stride,
                  const void *d, Py_ssize_t d_stride, void *panels) noexcept nogil
    double (*loss)(int kind, const double *parameters, Py_ssize_t n_samples, Py_ssize_t n_outputs, const void *z,
                   Py_ssize_t z_stride, const void *y, const void *weights, Py_ssize_t n_weights, double scale,
                   void *d_z) noexcept nogil
    void (*dropout)(Py_ssize_t n_units, unsigned long long seed, unsigned int layer_step, unsigned int sample,
                    unsigned int epoch, double rate, const void *h, void *out, unsigned char *kept) noexcept nogil
    void (*dropout_backward)(Py_ssize_t n_units, double rate, const unsigned char *kept, void *d_h) noexcept nogil
    # between layers, row by row (layer_output.h)
    double (*layer_norm)(Py_ssize_t n_units, Py_ssize_t stride, const void *gain_shift, double epsilon, void *row,
                         void *normalised) noexcept nogil
    void (*layer_norm_backward)(Py_ssize_t n_units, Py_ssize_t stride, const void *gain_shift, const void *normalised,
                                double inverse, void *d_row, void *d_gain_shift) noexcept nogil
    void (*residual_sum)(Py_ssize_t n, const void *a, const void *b, void *out) noexcept nogil
    void (*residual_backward)(Py_ssize_t n, void *x) noexcept nogil
    void (*sum_rows)(Py_ssize_t n, void *a, const void *b) noexcept nogil
    # before the first layer (input_rows.pxi): rows of a table are float or double for both dtypes
    void (*window_moments)(int kind, Py_ssize_t n_rows, Py_ssize_t n_columns, const void *rows, Py_ssize_t row_stride,
                           bint is_double, const double *scale, const double *unit, double *shift,
                           double *deviation) noexcept nogil
    void (*normalise_rows)(Py_ssize_t n_rows, Py_ssize_t n_columns, const void *rows, Py_ssize_t row_stride,
                           bint is_double, const double *shift, const double *deviation, void *out) noexcept nogil
    void (*standardise_rows)(Py_ssize_t n_rows, Py_ssize_t n_columns, const void *rows, Py_ssize_t row_stride,
                             bint is_double, Py_ssize_t n_repeats, const double *mean, const double *inverse,
                             void *out) noexcept nogil
    void (*multiply_columns)(Py_ssize_t n, const double *factors, void *row) noexcept nogil
    void (*add_rows)(Py_ssize_t n_rows, Py_ssize_t stride, Py_ssize_t begin, Py_ssize_t end, void *rows) noexcept nogil
    # between the top layer and the head
    Py_ssize_t (*attention_workspace)(Py_ssize_t n_samples, Py_ssize_t n_steps, Py_ssize_t n_units, Py_ssize_t n_heads,
                                      bint training) noexcept nogil
    void (*attention_forward)(const AttentionCall *call) noexcept nogil
    void (*attention_backward)(const AttentionCall *call) noexcept nogil
    Py_ssize_t (*pool_workspace)(int kind, Py_ssize_t n_samples, Py_ssize_t n_steps, Py_ssize_t n_units) noexcept nogil
    Py_ssize_t (*pool_state_size)(int kind, Py_ssize_t n_units) noexcept nogil
    void (*pool_forward)(const PoolCall *call) noexcept nogil
    void (*pool_backward)(const PoolCall *call) noexcept nogil
    double (*sum_of_squares)(Py_ssize_t n, const void *x) noexcept nogil
    void (*update_steps[4])(const UpdateStep *step) noexcept nogil  # by UpdateRule
    void (*sigmoid)(Py_ssize_t n, const void *x, void *out) noexcept nogil
    void (*tanh)(Py_ssize_t n, const void *x, void *out) noexcept nogil
    # Column statistics (columns.pxi). Everything but the rows is double for both dtypes: a tile is
    # (n_rows, COLUMN_STRIP) doubles with the rows of the past right before it.
    void (*column_pack)(Py_ssize_t n_rows, Py_ssize_t n_columns, const void *rows, Py_ssize_t row_stride,
                        Py_ssize_t column_stride, const double *shift, double *tile, double *lowest,
                        double *highest) noexcept nogil
    void (*column_lagged_products)(Py_ssize_t n_rows, Py_ssize_t n_lags, const double *present, const double *tile,
                                   double *sums) noexcept nogil
    void (*column_target_products)(Py_ssize_t n_rows, Py_ssize_t n_lags, const double *tile, const double *target,
                                   double *sums) noexcept nogil
    void (*column_smoothed_moments)(Py_ssize_t n_rows, double decay, const double *gain, const double *weights,
                                    const double *tile, double *state, double *sums) noexcept nogil
    void (*column_moments)(Py_ssize_t n_rows, double total, const double *weights, const double *scale,
                           const double *origin, double *tile, double *means, double *squares) noexcept nogil
