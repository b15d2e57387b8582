/* The layers of every cell: one instance of the plain drivers for each, and the row of the table that offers them. */

/* field by field: a copy of C.shape would keep C, and so a second copy of all its functions, in the compiled module */
#define SHAPE_OF(C)                                                                                                           \
    ((CellShape){C.name, C.sums, C.driver, C.n_sums, C.units, C.x_first, C.x_count, C.h_first, C.h_count, C.gated_first,      \
                 C.gated_count, C.reads_h, C.leaves_zero, C.has_c, C.n_kept, C.n_vectors, C.vectors_are_optional,             \
                 C.normalises_state, C.reads_gap, C.chain})

/* A cell with `activate` has a loop of its own for the units of one panel: where its counts are known, the constants of the
 * activations stay in registers (2 to 3 % of a prediction). Other cells would lose by it (Elman 12 %). The layer with options
 * keeps no compact numbers, so there it may need a loop of its own. */
#if SKLSTM_REDUCED
#  define ROW_CELLS_OF(C)                                                                                                     \
    SKLSTM_NOINLINE void C##_row_cells(Py_ssize_t n_rows, Py_ssize_t n_units, Py_ssize_t stride, real *z,                     \
                                       Py_ssize_t z_stride, const CellArrays *arrays) {                                       \
        cells_forward(&C, n_rows, n_units, stride, z, z_stride, 0, arrays);                                                   \
    }
#  define ROW_CELLS(C) C##_row_cells
#else
#  define ROW_CELLS_OF(C)
#  define ROW_CELLS(C) C##_cells
#endif

#define LAYERS_OF(C)                                                                                                          \
    static void C##_describe(CellShape *shape) { *shape = SHAPE_OF(C); }                                                      \
    static void C##_measure(const Py_ssize_t *numbers, CellSizes *sizes) {                                                    \
        *sizes = (CellSizes){C.has_c + C.more_states, C.n_kept, C.n_vectors, 0};                                                              \
        if (C.sizes) C.sizes(numbers, sizes);                                                                                 \
    }                                                                                                                         \
    static void C##_derive_row(CellDerivation *d) {                                                                           \
        if (C.derive) C.derive(d);                                                                                            \
    }                                                                                                                         \
    static void C##_derive_row_back(CellDerivation *d) {                                                                      \
        if (C.derive) C.derive_backward(d);                                                                                   \
    }                                                                                                                         \
    SKLSTM_NOINLINE void C##_cells_of_panel(Py_ssize_t n_rows, Py_ssize_t stride, real *z, const CellArrays *arrays) {        \
        cells_forward(&C, n_rows, C.units, stride, z, C.units * C.n_sums * LANES, COMPACT, arrays);                           \
    }                                                                                                                         \
    SKLSTM_NOINLINE void C##_cells(Py_ssize_t n_rows, Py_ssize_t n_units, Py_ssize_t stride, real *z, Py_ssize_t z_stride,    \
                                   const CellArrays *arrays) {                                                                \
        if (C.activate && n_units == C.units && z_stride == C.units * C.n_sums * LANES)                                       \
            C##_cells_of_panel(n_rows, stride, z, arrays);                                                                    \
        else cells_forward(&C, n_rows, n_units, stride, z, z_stride, COMPACT, arrays);                                        \
    }                                                                                                                         \
    ROW_CELLS_OF(C)                                                                                                           \
    static void C##_forward_row(CellRow *row) { cell_row_forward(&C, ROW_CELLS(C), row); }                                    \
    static void C##_backward_row(CellRow *row) { cell_row_backward(&C, row); }                                                \
    static void C##_gate_row(int stage, Py_ssize_t stride, real *sums, const real *h_prev, real *gated) {                     \
        gate_row(&C, stage, stride, sums, h_prev, gated);                                                                     \
    }                                                                                                                         \
    static void C##_gate_row_backward(int stage, Py_ssize_t stride, const real *gates, const real *d_sums,                    \
                                      const real *h_prev, const real *d_gated, real *d_h, real *out) {                        \
        gate_row_backward(&C, stage, stride, gates, d_sums, h_prev, d_gated, d_h, out);                                       \
    }                                                                                                                         \
    static const RowFunctions C##_functions = {C##_forward_row, C##_backward_row, C##_gate_row, C##_gate_row_backward,        \
                                               C##_derive_row, C##_derive_row_back};                                          \
    static void C##_layer_forward(const LayerCall *call) {                                                                    \
        if (C.gated_count || C.driver == ROWS) return;                                                                        \
        if (C.driver == ELEMENTWISE) elementwise_forward(&C, C##_cells, call);                                                \
        else recurrent_forward(&C, C##_cells, call);                                                                          \
    }                                                                                                                         \
    static void C##_layer_backward(const LayerCall *call) {                                                                   \
        const CellShape shape = SHAPE_OF(C);                                                                                  \
        if (C.gated_count || C.driver == ROWS) return;                                                                        \
        if (C.driver == ELEMENTWISE) elementwise_backward(&C, &shape, call);                                                  \
        else recurrent_backward(&C, &shape, call);                                                                            \
    }                                                                                                                         \
    static void C##_options_forward(const LayerCall *call) {                                                                  \
        const CellShape shape = SHAPE_OF(C);                                                                                  \
        options_forward(&shape, &C##_functions, call);                                                                        \
    }                                                                                                                         \
    static void C##_options_backward(const LayerCall *call) {                                                                 \
        const CellShape shape = SHAPE_OF(C);                                                                                  \
        options_backward(&shape, &C##_functions, call);                                                                       \
    }                                                                                                                         \
    static Py_ssize_t C##_options_workspace(const LayerCall *call, Py_ssize_t n_samples, Py_ssize_t n_steps) {                \
        const CellShape shape = SHAPE_OF(C);                                                                                  \
        OptionBuffers buffers;                                                                                                \
        return lay_out_options(&shape, call, n_samples, n_steps, NULL, &buffers);                                             \
    }                                                                                                                         \
    static void C##_input_products(const LayerCall *call, Py_ssize_t n_rows, const void *x_rows, Py_ssize_t x_stride,         \
                                   void *products, Py_ssize_t stride) {                                                       \
        const CellShape shape = SHAPE_OF(C);                                                                                  \
        products_of_rows(&shape, call, n_rows, (const real *)x_rows, x_stride, (real *)products, stride);                     \
    }                                                                                                                         \
    static void C##_add_d_sums(const LayerCall *call, Py_ssize_t first, Py_ssize_t n_rows, void *sums) {                      \
        add_d_sums(C.n_sums * call->hidden_stride, call, first, n_rows, (real *)sums);                                        \
    }                                                                                                                         \
    static Py_ssize_t C##_words_size(const LayerCall *call) {                                                                 \
        const CellShape shape = SHAPE_OF(C);                                                                                  \
        return words_size(&shape, call);                                                                                      \
    }                                                                                                                         \
    static void C##_pack_words(const LayerCall *call, const void *weights, void *words) {                                     \
        const CellShape shape = SHAPE_OF(C);                                                                                  \
        pack_words(&shape, call, (const real *)weights, (real *)words);                                                       \
    }
FOR_ALL_CELLS(LAYERS_OF)

#define ROW_OF(C)                                                                                                             \
    {C##_describe, C##_measure, C##_layer_forward, C##_layer_backward, C##_options_forward, C##_options_backward,             \
     C##_options_workspace, C##_input_products, C##_add_d_sums, C##_words_size, C##_pack_words},
static const CellLayers cell_layers[] = {FOR_ALL_CELLS(ROW_OF)};
enum { N_CELLS = sizeof cell_layers / sizeof cell_layers[0] };
