# The table of kernels: what one instruction-set variant offers for one dtype.
#
# Each _isa_{isa}_{f32|f64}.pyx includes isa/kernels.pxi, which fills one table. There `real` is float or double by a
# macro of the build (a ctypedef, not a fused type: no duplicated calls, no argument to choose by). The interfaces
# (_stack.pyx, _updates.pyx, _pointwise.pyx, _column_statistics.pyx) know only this file. Pointers to numbers travel as
# void*, since a C struct cannot be generic; a kernel casts them at its top. Strides count elements, never bytes.
# Every array but the rows of a table starts on a 64-byte boundary.

# Words used for sizes: isa/layers/interface.h.
# A matrix in panels: 4 vectors of columns side by side, k-major, panel after panel; the last may be narrower.

cdef enum:
    COLUMN_STRIP = 16  # columns of a tile of the column statistics: whole vectors of doubles for every variant


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


cdef extern from "isa/layers/interface.h" nogil:
    const int PAIRS
    const int ROWS_OF_A_PANEL
    int RECURRENT
    int ELEMENTWISE

    ctypedef struct CellShape:
        const char *name
        const char *sums
        int driver
        int n_sums
        int units
        int x_first
        int x_count
        int h_first
        int h_count
        int gated_first
        int gated_count
        int reads_h
        int leaves_zero
        int has_c
        int n_kept
        int n_vectors
        int vectors_are_optional
        int normalises_state

    ctypedef struct PanelPart:
        Py_ssize_t units
        Py_ssize_t count
        Py_ssize_t unit_size
        Py_ssize_t part_offset

    ctypedef struct LayerOptions:
        const void *vectors
        void *d_vectors
        const void *norm
        void *d_norm
        const void *projection
        const void *projection_transposed
        void *d_projection
        double zoneout
        double recurrent_dropout
        int training
        unsigned long long seed
        unsigned int epoch
        unsigned int layer
        const unsigned int *sample_ids
        void *workspace

    ctypedef struct LayerCall:
        Py_ssize_t n_steps
        Py_ssize_t n_samples
        const int *n_active
        Py_ssize_t input_size
        Py_ssize_t hidden_size
        Py_ssize_t hidden_stride
        Py_ssize_t output_size
        Py_ssize_t output_stride
        const void **x_rows
        Py_ssize_t x_step
        int x_is_product
        const void *weights
        const void *bias
        const void *vectors
        const void *x_transposed
        const void *h_transposed
        const void *gated_transposed
        void *gates
        void *kept
        void *c
        void *h
        Py_ssize_t kept_step
        void *z
        Py_ssize_t first_panel
        Py_ssize_t n_panels
        const void *d_h_above
        const void *d_h_last
        void *d_h
        void *d_c
        void *d_x
        void *d_weights
        void *d_bias
        void *d_vectors
        int (*interrupted)(void *context) noexcept nogil
        void *interrupt_context
        Py_ssize_t n_shared
        const void *shared_rows
        const int *shared_first
        void *shared_sums
        const void **row_pointers
        void *pair_rows
        Py_ssize_t pair_stride
        const LayerOptions *options

    ctypedef struct CellLayers:
        void (*describe)(CellShape *shape) noexcept nogil
        void (*forward)(const LayerCall *call) noexcept nogil
        void (*backward)(const LayerCall *call) noexcept nogil
        void (*options_forward)(const LayerCall *call) noexcept nogil
        void (*options_backward)(const LayerCall *call) noexcept nogil
        Py_ssize_t (*options_workspace)(const LayerCall *call, Py_ssize_t n_samples, Py_ssize_t n_steps) noexcept nogil
        void (*input_products)(const LayerCall *call, Py_ssize_t n_rows, const void *x_rows, Py_ssize_t x_stride,
                               void *products) noexcept nogil


ctypedef struct AttentionCall:
    # one block of multi-head self-attention over one chunk: out = y + heads(LN(y) + position) W_out + b_out
    Py_ssize_t n_steps           # lengths[0]
    Py_ssize_t n_samples
    const Py_ssize_t *lengths    # (n_samples,): never increases
    Py_ssize_t n_units           # S
    Py_ssize_t stride            # S rounded up to whole vectors: places of a row of y; the padding is zero and stays so
    Py_ssize_t n_heads           # divides S
    bint causal                  # a step sees itself and what came before it; else all steps of its sequence
    bint last_only               # only the last query of each sequence is computed, and only its row of out is written
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
    # called before each sequence: whether to end early; NULL: never
    int (*interrupted)(void *context) noexcept nogil
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
    # states of the pooling before and after these steps: rows of pool_state_size numbers
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
    # one step of an optimizer over a segment of a vector, in place
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
    const CellLayers *cells      # by cell, in the order of isa/cells/cells.h
    Py_ssize_t n_cells
    void (*pack_block)(const void *weight, Py_ssize_t n_columns, Py_ssize_t hidden_size, const PanelPart *part,
                       Py_ssize_t slot, void *panels) noexcept nogil
    void (*unpack_block)(const void *panels, Py_ssize_t n_columns, Py_ssize_t hidden_size, const PanelPart *part,
                         Py_ssize_t slot, void *weight) noexcept nogil
    void (*pack_transposed)(const void *panels, Py_ssize_t n_vecs, const PanelPart *part, Py_ssize_t n_columns,
                            void *transposed) noexcept nogil
    void (*pack_dense)(const void *weight, Py_ssize_t n_rows, Py_ssize_t n_columns, Py_ssize_t row_stride,
                       Py_ssize_t column_stride, void *panels) noexcept nogil
    void (*unpack_dense)(const void *panels, Py_ssize_t n_columns, Py_ssize_t n_rows, void *weight) noexcept nogil
    void (*product)(Py_ssize_t n_rows, Py_ssize_t n_k, Py_ssize_t n_vecs, const void *a, Py_ssize_t a_stride,
                    const void *panels, void *out, Py_ssize_t out_stride, int add) noexcept nogil
    void (*outer)(Py_ssize_t n_pairs, Py_ssize_t n_k, Py_ssize_t n_panels, const void *a, Py_ssize_t a_stride,
                  const void *d, Py_ssize_t d_stride, void *panels) noexcept nogil
    double (*loss)(int kind, const double *parameters, Py_ssize_t n_samples, Py_ssize_t n_outputs, const void *z,
                   Py_ssize_t z_stride, const void *y, const void *weights, Py_ssize_t n_weights, double scale,
                   void *d_z) noexcept nogil
    void (*dropout)(Py_ssize_t n_units, unsigned long long seed, unsigned int layer_step, unsigned int sample,
                    unsigned int epoch, double rate, const void *h, void *out, unsigned char *kept) noexcept nogil
    void (*dropout_backward)(Py_ssize_t n_units, double rate, const unsigned char *kept, void *d_h) noexcept nogil
    # between layers, row by row (layer_norm.h, layer_output.h)
    double (*layer_norm)(Py_ssize_t n_units, Py_ssize_t stride, const void *gain_shift, void *row,
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
