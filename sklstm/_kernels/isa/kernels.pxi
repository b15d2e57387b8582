# The text of one instruction-set variant and dtype: all kernels, and the table that offers them to the doors.

from libc.math cimport INFINITY, cos, exp, fabs, log, log1p, pow, sin, sqrt
from libc.string cimport memcpy, memset

from cpython.pycapsule cimport PyCapsule_New

from sklstm._kernels._table cimport (
    ADAM,
    ADAMW,
    ATTENTION_POOLING,
    AttentionCall,
    BINARY_LOG_LOSS,
    HUBER_LOSS,
    QUANTILE_LOSS,
    POISSON_LOSS,
    has_class_numbers,
    COLUMN_STRIP,
    KernelTable,
    LAST_NORM,
    LayerCall,
    MEAN_POOLING,
    PAIRS,
    PoolCall,
    ROWS_OF_A_PANEL,
    SCHEDULE_FREE,
    SGD,
    SQUARED_LOSS,
    STANDARD_NORM,
    UpdateStep,
    VariantCall,
)

# Element type and width are macros of the build (setup.py): this text is compiled once for each dtype and variant.
cdef extern from "isa/kernels.h" nogil:
    ctypedef double real
    const int LANES
    const int TILE_ROWS
    real square_root(real x) noexcept
    void sigmoid_array(Py_ssize_t n, const void *x, void *out) noexcept
    void tanh_array(Py_ssize_t n, const void *x, void *out) noexcept
    double layer_norm(Py_ssize_t n_units, Py_ssize_t stride, const void *gain_shift, double epsilon, void *row,
                      void *normalised) noexcept
    void layer_norm_backward(Py_ssize_t n_units, Py_ssize_t stride, const void *gain_shift, const void *normalised,
                             double inverse, void *d_row, void *d_gain_shift) noexcept
    real product_of_rows(Py_ssize_t n_units, const real *a, const real *b) noexcept
    void residual_sum(Py_ssize_t n, const void *a, const void *b, void *out) noexcept
    void residual_backward(Py_ssize_t n, void *x) noexcept
    void sum_rows(Py_ssize_t n, void *a, const void *b) noexcept
    void standardise_floats(Py_ssize_t n, const float *x, const double *mean, const double *inverse, real *out) noexcept
    void standardise_doubles(Py_ssize_t n, const double *x, const double *mean, const double *inverse,
                             real *out) noexcept

include "memory.pxi"
include "layers/recurrent.pxi"
include "products.pxi"
include "losses.pxi"
include "dropout.pxi"
include "input_rows.pxi"
include "layers/variant.pxi"
include "updates.pxi"
include "columns.pxi"
include "attention/attention.pxi"
include "attention/attention_backward.pxi"
include "attention/pooling.pxi"


cdef KernelTable table

table.lanes = LANES
table.item_size = sizeof(real)
table.lstm_layer_forward = lstm_layer_forward
table.lstm_layer_backward = lstm_layer_backward
table.lstm_variant_forward = lstm_variant_forward
table.lstm_variant_backward = lstm_variant_backward
table.variant_workspace = variant_workspace
table.input_products = input_products
table.pack_gates = pack_gates
table.unpack_gates = unpack_gates
table.pack_gates_back = pack_gates_back
table.pack_dense = pack_dense
table.unpack_dense = unpack_dense
table.product = product
table.outer = outer
table.loss = loss
table.dropout = dropout
table.dropout_backward = dropout_backward
table.layer_norm = layer_norm
table.layer_norm_backward = layer_norm_backward
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
table.sum_of_squares = sum_of_squares
table.update_steps[<int> ADAMW] = adamw_step
table.update_steps[<int> ADAM] = adam_step
table.update_steps[<int> SGD] = sgd_step
table.update_steps[<int> SCHEDULE_FREE] = schedule_free_step
table.sigmoid = sigmoid_array
table.tanh = tanh_array
table.column_pack = column_pack
table.column_lagged_products = column_lagged_products
table.column_target_products = column_target_products
table.column_smoothed_moments = column_smoothed_moments
table.column_moments = column_moments
TABLE = PyCapsule_New(&table, "sklstm kernel table", NULL)
