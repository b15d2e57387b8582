# The source of one instruction-set variant and dtype: all kernels, and the table through which they are called.

from libc.math cimport INFINITY, M_LN2, cos, exp, fabs, log, log1p, pow, sin, sinh, sqrt, tanh
from libc.string cimport memcpy, memset

from cpython.pycapsule cimport PyCapsule_New

from sklstm._kernels._calls cimport (
    ADAM,
    ADAMW,
    ATTENTION_POOLING,
    BINARY_LOG_LOSS,
    DISTILLED_BINARY_LOSS,
    DISTILLED_MULTINOMIAL_LOSS,
    HUBER_LOSS,
    LAST_NORM,
    LOG_COSH_LOSS,
    MEAN_POOLING,
    PAIRS,
    POISSON_LOSS,
    QUANTILE_LOSS,
    SCHEDULE_FREE,
    SGD,
    SQUARED_LOSS,
    STANDARD_NORM,
    AttentionCall,
    CellLayers,
    OuterProduct,
    PanelPart,
    PoolCall,
    UpdateStep,
    is_multinomial,
    targets_of,
)
from sklstm._kernels._table cimport COLUMN_STRIP, LAYER_NORM, RMS_NORM, ArrayFunction, KernelTable

# Element type and width are macros of the build (setup.py): this file is compiled once for each dtype and variant.
cdef extern from "isa/kernels.h" nogil:
    ctypedef double real
    const int LANES
    const int TILE_ROWS
    const int N_CELLS
    const CellLayers cell_layers[]
    real square_root(real x) noexcept
    const int SKLSTM_REDUCED
    unsigned int flush_denormals() noexcept
    void restore_denormals(unsigned int before) noexcept
    Py_ssize_t smaller(Py_ssize_t a, Py_ssize_t b) noexcept
    Py_ssize_t round_up(Py_ssize_t n, Py_ssize_t step) noexcept
    Py_ssize_t odd_lines(Py_ssize_t n) noexcept
    real *take_numbers(char **cursor, Py_ssize_t n) noexcept
    void pack_block(const void *weight, Py_ssize_t n_columns, Py_ssize_t hidden_size, const PanelPart *part,
                    Py_ssize_t slot, void *panels) noexcept
    void unpack_block(const void *panels, Py_ssize_t n_columns, Py_ssize_t hidden_size, const PanelPart *part,
                      Py_ssize_t slot, void *weight) noexcept
    void pack_transposed(int format, const void *panels, Py_ssize_t n_vecs, const PanelPart *part, Py_ssize_t n_columns,
                         void *transposed) noexcept
    void pack_dense(const void *weight, Py_ssize_t n_rows, Py_ssize_t n_columns, Py_ssize_t row_stride,
                    Py_ssize_t column_stride, void *panels) noexcept
    void unpack_dense(const void *panels, Py_ssize_t n_columns, Py_ssize_t n_rows, void *weight) noexcept
    void product(Py_ssize_t n_rows, Py_ssize_t n_k, Py_ssize_t n_vecs, const void *a, Py_ssize_t a_stride,
                 const void *panels, void *out, Py_ssize_t out_stride, int add) noexcept
    void outer(Py_ssize_t n_pairs, Py_ssize_t n_k, Py_ssize_t n_panels, const void *a, Py_ssize_t a_stride,
               const void *d, Py_ssize_t d_stride, void *panels) noexcept
    void dropout(Py_ssize_t n_units, unsigned long long seed, unsigned int layer_step, unsigned int sample,
                 unsigned int epoch, double rate, const void *h, void *out, unsigned char *kept) noexcept
    void dropout_backward(Py_ssize_t n_units, double rate, const unsigned char *kept, void *d_h) noexcept
    const ArrayFunction array_functions[]
    void tanh_array(Py_ssize_t n, const void *x, void *out) noexcept
    double layer_norm(Py_ssize_t n_units, Py_ssize_t stride, const void *gain_shift, void *row,
                      void *normalised) noexcept
    void layer_norm_backward(Py_ssize_t n_units, Py_ssize_t stride, const void *gain_shift, const void *normalised,
                             double inverse, void *d_row, void *d_gain_shift) noexcept
    double rms_norm(Py_ssize_t n_units, Py_ssize_t stride, const void *gains, void *row, void *normalised) noexcept
    void rms_norm_backward(Py_ssize_t n_units, Py_ssize_t stride, const void *gains, const void *normalised,
                           double inverse, void *d_row, void *d_gains) noexcept
    void swiglu(Py_ssize_t n, Py_ssize_t stride, const void *sums, void *out) noexcept
    void swiglu_backward(Py_ssize_t n, Py_ssize_t stride, const void *sums, const void *d_out, void *d_sums) noexcept
    void output_gate(int kind, Py_ssize_t n_units, Py_ssize_t group, const void *sums, void *gates) noexcept
    void output_gate_backward(int kind, Py_ssize_t n_units, Py_ssize_t group, const void *sums, const void *gates,
                              void *d_row) noexcept
    void multiply_rows(Py_ssize_t n, const void *a, const void *b, void *out) noexcept
    real dot_product(Py_ssize_t n_units, const real *a, const real *b) noexcept
    void residual_sum(Py_ssize_t n, const void *a, const void *b, void *out) noexcept
    void residual_backward(Py_ssize_t n, void *x) noexcept
    void sum_rows(Py_ssize_t n, void *a, const void *b) noexcept
    void add_squares(Py_ssize_t n, int n_vectors, const void *const *vectors, double *sums) noexcept
    int adamw_step(const UpdateStep *step) noexcept
    int adam_step(const UpdateStep *step) noexcept
    int sgd_step(const UpdateStep *step) noexcept
    int schedule_free_step(const UpdateStep *step) noexcept
    void fill_outer(const OuterProduct *part, Py_ssize_t begin, Py_ssize_t n, void *out) noexcept
    void standardise_floats(Py_ssize_t n, const float *x, const double *mean, const double *inverse, real *out) noexcept
    void standardise_doubles(Py_ssize_t n, const double *x, const double *mean, const double *inverse,
                             real *out) noexcept

include "losses.pxi"
include "input_rows.pxi"
include "reductions.pxi"
include "columns.pxi"
include "attention/attention.pxi"
include "attention/attention_backward.pxi"
include "attention/pooling.pxi"


cdef KernelTable table

table.lanes = LANES
table.item_size = sizeof(real)
table.enter = flush_denormals
table.leave = restore_denormals
table.reduced = SKLSTM_REDUCED
table.cells = cell_layers
table.n_cells = N_CELLS
table.pack_block = pack_block
table.unpack_block = unpack_block
table.pack_transposed = pack_transposed
table.pack_dense = pack_dense
table.unpack_dense = unpack_dense
table.product = product
table.outer = outer
table.loss = loss
table.dropout = dropout
table.dropout_backward = dropout_backward
table.norms[<int> LAYER_NORM] = layer_norm
table.norms[<int> RMS_NORM] = rms_norm
table.norms_backward[<int> LAYER_NORM] = layer_norm_backward
table.norms_backward[<int> RMS_NORM] = rms_norm_backward
table.output_gate = output_gate
table.output_gate_backward = output_gate_backward
table.multiply_rows = multiply_rows
table.swiglu = swiglu
table.swiglu_backward = swiglu_backward
table.residual_sum = residual_sum
table.residual_backward = residual_backward
table.sum_rows = sum_rows
table.window_moments = window_moments
table.normalise_rows = normalise_rows
table.standardise_rows = standardise_rows
table.multiply_columns = multiply_columns
table.add_rows = add_rows
table.attention_workspace = attention_workspace
table.attention_forward = attention_forward
table.attention_backward = attention_backward
table.pool_workspace = pool_workspace
table.pool_state_size = pool_state_size
table.pool_forward = pool_forward
table.pool_backward = pool_backward
table.add_squares = add_squares
table.update_steps[<int> ADAMW] = adamw_step
table.update_steps[<int> ADAM] = adam_step
table.update_steps[<int> SGD] = sgd_step
table.update_steps[<int> SCHEDULE_FREE] = schedule_free_step
table.fill_outer = fill_outer
table.array_functions = array_functions
table.column_pack = column_pack
table.column_lagged_products = column_lagged_products
table.column_target_products = column_target_products
table.column_smoothed_moments = column_smoothed_moments
table.column_moments = column_moments
TABLE = PyCapsule_New(&table, "sklstm kernel table", NULL)
