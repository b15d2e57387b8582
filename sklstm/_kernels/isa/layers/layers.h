/* The layers of every cell: one instance of each driver, and the row of the table that offers them. */

#define LAYERS_OF(C)                                                                                                       \
    static void C##_describe(CellShape *shape) {                                                                           \
        *shape = (CellShape){C.name, C.sums, C.driver, C.n_sums, C.units, C.x_first, C.x_count,          \
                             C.h_first, C.h_count, C.gated_first, C.gated_count, C.reads_h,                 \
                             C.leaves_zero, C.has_c, C.n_kept, C.n_vectors, C.vectors_are_optional, C.normalises_state};                  \
    }                                                                                                                         \
    SKLSTM_APART void C##_cells(Py_ssize_t n_rows, Py_ssize_t n_units, Py_ssize_t stride, real *z, Py_ssize_t z_stride,        \
                                const CellArrays *arrays) {                                                                   \
        cells_forward(&C, n_rows, n_units, stride, z, z_stride, arrays);                                                      \
    }                                                                                                                         \
    static void C##_layer_forward(const LayerCall *call) {                                                                 \
        if (C.gated_count) return;                                                                                         \
        if (C.driver == ELEMENTWISE) elementwise_forward(&C, C##_cells, call);                                               \
        else recurrent_forward(&C, C##_cells, call);                                                                            \
    }                                                                                                                         \
    static void C##_layer_backward(const LayerCall *call) {                                                                \
        if (!C.gated_count) plain_backward(&C, call);                                                                   \
    }                                                                                                                         \
    static void C##_options_forward(const LayerCall *call) { options_forward(&C, C##_cells, call); }                         \
    static void C##_options_backward(const LayerCall *call) { options_backward(&C, call); }                             \
    static Py_ssize_t C##_options_workspace(const LayerCall *call, Py_ssize_t n_samples, Py_ssize_t n_steps) {             \
        return size_of_options(&C, call, n_samples, n_steps);                                                              \
    }                                                                                                                         \
    static void C##_input_products(const LayerCall *call, Py_ssize_t n_rows, const void *x_rows, Py_ssize_t x_stride,      \
                                      void *products) {                                                                       \
        products_of_rows(&C, call, n_rows, (const real *)x_rows, x_stride, (real *)products);                              \
    }
FOR_ALL_CELLS(LAYERS_OF)

#define ROW_OF(C)                                                                                                          \
    {C##_describe,         C##_layer_forward,    C##_layer_backward, C##_options_forward,                         \
     C##_options_backward, C##_options_workspace, C##_input_products},
static const CellLayers cell_layers[] = {FOR_ALL_CELLS(ROW_OF)};
enum { N_CELLS = sizeof cell_layers / sizeof cell_layers[0] };
