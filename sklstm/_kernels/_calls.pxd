# What kernels are called with: plain structs, and the numbers that choose a loss, a norm, a pooling or an update rule.
#
# Pointers to numbers travel as void*, since a C struct cannot be generic; a kernel casts them at its top. Strides count
# elements, never bytes. Every array but the rows of a table starts on a 64-byte boundary. Words used for sizes:
# isa/layers/interface.h. A matrix in *panels*: 4 vectors of columns side by side, k-major, panel after panel; the last
# may be narrower.

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
    DISTILLED_BINARY_LOSS = 7
    DISTILLED_MULTINOMIAL_LOSS = 8
    LOG_COSH_LOSS = 9


cdef enum WindowNorm:
    NO_NORM = 0
    LAST_NORM = 1
    STANDARD_NORM = 2


cdef inline bint is_multinomial(int kind) noexcept nogil:
    """Whether the outputs share one loss, and one weight; else each output has its own."""
    return kind == MULTINOMIAL_LOG_LOSS or kind == DISTILLED_MULTINOMIAL_LOSS


cdef inline Py_ssize_t targets_of(int kind, Py_ssize_t n_outputs) noexcept nogil:
    """How many numbers are the target of a sample: isa/losses.pxi says which."""
    if kind == MULTINOMIAL_LOG_LOSS:
        return 1
    if kind == DISTILLED_MULTINOMIAL_LOSS:
        return 2 * n_outputs
    return 4 * n_outputs if kind == DISTILLED_BINARY_LOSS else n_outputs


cdef enum Format:
    # of the words that a product reads: isa/words.h
    REALS = 0
    BF16_PAIRS = 1
    S16_PAIRS = 2
    U8_S8 = 3


cdef inline Py_ssize_t words_of(int format, Py_ssize_t n) noexcept nogil:
    """Words for n numbers along k."""
    return n if format == REALS else (n + 3) // 4 if format == U8_S8 else (n + 1) // 2


cdef extern from "isa/update_step.h" nogil:
    ctypedef struct UpdateStep:
        Py_ssize_t n
        const void *gradient
        const void *x
        const void *first
        const void *second
        void *next_x
        void *next_first
        void *next_second
        int streams
        double gradient_scale
        double learning_rate
        double decay
        double beta1
        double beta2
        double epsilon
        double correction1
        double correction2
        double mixing

    ctypedef struct OuterProduct:
        Py_ssize_t begin
        Py_ssize_t n_k
        Py_ssize_t width
        const void *a
        const void *d

    ctypedef struct OuterProducts:
        OuterProduct *parts
        Py_ssize_t n
        char *numbers
        const void *gradient


cdef extern from "isa/layers/interface.h" nogil:
    const int PAIRS
    enum:
        MAX_NUMBERS
    enum:
        RECURRENT
        ELEMENTWISE
        ROWS

    ctypedef struct IntegerLayer:
        const void *start[3]
        const void *scale[3]
        const void *inverse[3]
        double highest[3]

    ctypedef struct LayerRanges:
        double *largest[3]

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
        int reads_gap
        int chain

    ctypedef struct CellSizes:
        Py_ssize_t n_states
        Py_ssize_t n_kept
        Py_ssize_t n_vectors
        Py_ssize_t n_derived

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
        int x_format
        int format
        const IntegerLayer *integers
        const LayerRanges *ranges
        void *words
        Py_ssize_t words_stride
        void *gradient_words
        const void *weights
        const void *bias
        const void *vectors
        CellSizes sizes
        const Py_ssize_t *numbers
        const void *constants
        const void *gaps
        const void *x_transposed
        const void *h_transposed
        const void *gated_transposed
        void *gates
        void *kept
        void *c
        void *kept_c
        void *h
        Py_ssize_t kept_step
        void *z
        Py_ssize_t first_panel
        Py_ssize_t n_panels
        const void *d_h_above
        const void *d_h_last
        const void *d_c_last
        void *d_h
        void *d_c
        void *d_x
        int keeps_d_sums
        void *d_weights
        OuterProducts *outer_products
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
        int is_derived, is_initial_fixed

    Py_ssize_t scratch_size(Py_ssize_t n_samples, Py_ssize_t n_sums, Py_ssize_t hidden_stride, Py_ssize_t lanes)

    ctypedef struct CellLayers:
        void (*describe)(CellShape *shape) noexcept nogil
        void (*measure)(const Py_ssize_t *numbers, CellSizes *sizes) noexcept nogil
        void (*forward)(const LayerCall *call) noexcept nogil
        void (*backward)(const LayerCall *call) noexcept nogil
        void (*options_forward)(const LayerCall *call) noexcept nogil
        void (*options_backward)(const LayerCall *call) noexcept nogil
        Py_ssize_t (*options_workspace)(const LayerCall *call, Py_ssize_t n_samples, Py_ssize_t n_steps) noexcept nogil
        void (*input_products)(const LayerCall *call, Py_ssize_t n_rows, const void *x_rows, Py_ssize_t x_stride,
                               void *products, Py_ssize_t stride) noexcept nogil
        void (*add_d_sums)(const LayerCall *call, Py_ssize_t first, Py_ssize_t n_rows, void *sums) noexcept nogil
        Py_ssize_t (*words_size)(const LayerCall *call) noexcept nogil
        void (*pack_words)(const LayerCall *call, const void *weights, void *words) noexcept nogil


ctypedef struct AttentionCall:
    # one block of multi-head self-attention over one chunk: out = y + heads(LN(y) + position) W_out + b_out
    Py_ssize_t n_steps           # lengths[0]
    Py_ssize_t n_samples
    const Py_ssize_t *lengths    # (n_samples,): never increases
    Py_ssize_t n_units           # S
    Py_ssize_t stride            # S rounded up to whole vectors; the padding of a row is zero and stays so
    Py_ssize_t n_heads           # divides S
    bint causal                  # a step attends to itself and earlier steps; else to all steps of its sequence
    bint last_only               # only the last step of each sequence has a query, and only its row of out is written
    bint training                # forward keeps what backward reads
    const void *y                # (T, n, stride): row t of sequence r at t * n + r; rows beyond an end are never read
    void *out                    # (T, n, stride), may be y; rows beyond an end are left alone
    # weights: W (columns read, columns written), each a matrix in panels by pack_dense, its bias like one of its rows
    const void *norm             # gain, then shift, `stride` apart
    const void *weights_in       # (S, 3 S): the columns of q, then k, then v, head after head
    const void *bias_in
    const void *weights_out      # (S, S)
    const void *bias_out
    const void *weights_in_transposed  # by pack_transposed: from d_q, d_k, d_v to d_u
    const void *weights_out_transposed
    # forward writes, backward reads: attention_workspace bytes on a 64-byte boundary
    void *workspace
    # attention weights of each sequence's last step, zeros beyond its end; NULL: not wanted
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
    # called before each sequence: whether to return early; NULL: never
    int (*interrupted)(void *context) noexcept nogil
    void *interrupt_context


ctypedef struct PoolCall:
    # the outputs of one chunk, pooled over the steps of each sequence
    int kind                     # MEAN_POOLING or ATTENTION_POOLING (the last step is a copy, the caller's)
    Py_ssize_t n_steps           # lengths[0]
    Py_ssize_t n_samples
    const Py_ssize_t *lengths    # (n_samples,): never increases
    Py_ssize_t n_units           # S
    Py_ssize_t stride            # S rounded up to whole vectors; the padding of a row is zero and stays so
    const void *y                # (T, n, stride): row t of sequence r at t * n + r; rows beyond an end are never read
    const void *w                # (stride,) the vector that scores a step; ATTENTION_POOLING only
    void *features               # (n, stride): forward writes; backward of ATTENTION_POOLING reads
    # carried states: rows of pool_state_size numbers
    const void *initial          # NULL: zeros, the state before the first step
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
