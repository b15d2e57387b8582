# The table of kernels: what one instruction-set variant offers for one dtype.
#
# Each _isa_{isa}_{f32|f64|reduced}.pyx includes isa/kernels.pxi, which fills one table. In that text `real` is float or
# double by a macro of the build (a ctypedef, not a fused type: no duplicated calls, no argument to choose by). Code
# outside isa/ reaches the kernels through this table only. What the arguments of struct type mean: _calls.pxd.

from sklstm._kernels._calls cimport AttentionCall, CellLayers, OuterProduct, PanelPart, PoolCall, UpdateStep


cdef enum OutputNorm:
    LAYER_NORM
    RMS_NORM
    NO_OUTPUT_NORM


cdef enum GateKind:
    SILU_GATE  # (output_gate.h)
    SOFTMAX_GATE
    NO_GATE


cdef enum:
    COLUMN_STRIP = 16  # columns of a tile of the column statistics: whole vectors of doubles for every variant


ctypedef void (*ArrayFunction)(Py_ssize_t n, const void *x, void *out) noexcept nogil


ctypedef struct KernelTable:
    Py_ssize_t lanes             # numbers in a vector
    Py_ssize_t item_size         # bytes of a number
    # around the work of a thread: reduced numbers flush denormal ones to zero; enter returns what leave takes
    unsigned int (*enter)() noexcept nogil
    void (*leave)(unsigned int before) noexcept nogil
    bint reduced                 # products in reduced number formats; plain layers keep 16 bits for backward
    const CellLayers *cells      # by cell, in the order of isa/cells/cells.h
    Py_ssize_t n_cells
    void (*pack_block)(const void *weight, Py_ssize_t n_columns, Py_ssize_t hidden_size, const PanelPart *part,
                       Py_ssize_t slot, void *panels) noexcept nogil
    void (*unpack_block)(const void *panels, Py_ssize_t n_columns, Py_ssize_t hidden_size, const PanelPart *part,
                         Py_ssize_t slot, void *weight) noexcept nogil
    void (*pack_transposed)(int format, const void *panels, Py_ssize_t n_vecs, const PanelPart *part,
                            Py_ssize_t n_columns, void *transposed) noexcept nogil
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
    double (*norms[2])(Py_ssize_t n_units, Py_ssize_t stride, const void *gain_shift, void *row,
                       void *normalised) noexcept nogil  # by OutputNorm
    void (*norms_backward[2])(Py_ssize_t n_units, Py_ssize_t stride, const void *gain_shift, const void *normalised,
                              double inverse, void *d_row, void *d_gain_shift) noexcept nogil
    void (*output_gate)(int kind, Py_ssize_t n_units, Py_ssize_t group, const void *sums,
                        void *gates) noexcept nogil  # by GateKind, output_gate.h
    void (*output_gate_backward)(int kind, Py_ssize_t n_units, Py_ssize_t group, const void *sums, const void *gates,
                                 void *d_row) noexcept nogil
    void (*multiply_rows)(Py_ssize_t n, const void *a, const void *b, void *out) noexcept nogil
    void (*swiglu)(Py_ssize_t n, Py_ssize_t stride, const void *sums, void *out) noexcept nogil  # feedforward.h
    void (*swiglu_backward)(Py_ssize_t n, Py_ssize_t stride, const void *sums, const void *d_out,
                            void *d_sums) noexcept nogil
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
    # over flat vectors (squares.h, optimizers.h)
    void (*add_squares)(Py_ssize_t n, int n_vectors, const void *const *vectors, double *sums) noexcept nogil
    int (*update_steps[4])(const UpdateStep *step) noexcept nogil  # by UpdateRule
    void (*fill_outer)(const OuterProduct *part, Py_ssize_t begin, Py_ssize_t n, void *out) noexcept nogil
    const ArrayFunction *array_functions  # activations and the like, in the order of core/_pointwise.pyx
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
