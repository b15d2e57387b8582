# The time loop of a recurrent layer over one chunk, forward and backward, and the packing of its weights.

cdef extern from "isa/kernels.h" nogil:
    void lstm_cell_forward(int rows, Py_ssize_t n_x, const real **x, Py_ssize_t n_h, const real **h_prev,
                           const real *panel, const real *bias, Py_ssize_t state_stride, real *gates,
                           const real *c_prev, real *c_next, real *tanh_c, real *h_next) noexcept
    void lstm_cell_backward(Py_ssize_t n_units, real *gates, const real *c_prev, const real *tanh_c,
                            const real *d_h, const real *d_h_above, real *d_c, real *d_bias) noexcept


cdef void lstm_layer_forward(const LayerCall *call) noexcept nogil:
    """Run the layer: gates, c, tanh_c and h of every step, for the sequences that still run."""
    cdef Py_ssize_t n = call.n_samples, hp = call.hidden_stride, k = call.input_size + call.hidden_size
    cdef Py_ssize_t width = 4 * LANES, n_panels = hp // LANES
    cdef Py_ssize_t t, p, r, unit, state = n * hp, n_active
    cdef int rows
    cdef const real *weights = <const real *> call.weights
    cdef const real *bias = <const real *> call.bias
    cdef const real **x = <const real **> call.row_pointers
    cdef const real **h_prev = x + n
    cdef real *gates = NULL
    cdef real *tanh_c = NULL
    cdef real *c_prev
    cdef real *c_next
    cdef real *h
    for t in range(call.n_steps):
        n_active = call.n_active[t]
        c_prev = <real *> call.c + t * call.c_step
        c_next = c_prev + call.c_step
        h = <real *> call.h + t * state
        for r in range(n_active):
            x[r] = <const real *> call.x_rows[r] + t * call.x_step
            h_prev[r] = h + r * hp
        h += state
        if call.gates != NULL:
            gates = <real *> call.gates + 4 * t * state
            tanh_c = <real *> call.tanh_c + t * state
        # Panels outside, rows inside: one panel (4 lanes x k) stays in L1 for all rows of the chunk.
        for p in range(n_panels):
            unit = p * (width // 4)
            r = 0
            while r < n_active:
                rows = <int> min(n_active - r, <Py_ssize_t> TILE_ROWS)
                lstm_cell_forward(
                    rows, call.input_size, x + r, call.hidden_size, h_prev + r, weights + p * k * width,
                    bias + p * width, hp, gates + 4 * (r * hp + unit) if gates != NULL else NULL,
                    c_prev + r * hp + unit, c_next + r * hp + unit, tanh_c + r * hp + unit, h + r * hp + unit)
                r += TILE_ROWS


cdef void lstm_layer_backward(const LayerCall *call) noexcept nogil:
    """Back through time: d_gates over gates, then d_weights and, where wanted, d_x."""
    cdef Py_ssize_t n = call.n_samples, hp = call.hidden_stride, state = n * hp
    cdef Py_ssize_t width = 4 * LANES
    cdef Py_ssize_t back_panels = (call.hidden_size + width - 1) // width
    cdef Py_ssize_t d_h_stride = back_panels * width
    cdef Py_ssize_t t, r, n_active, n_next = 0
    cdef const real *above = NULL
    cdef const real *last = <const real *> call.d_h_last
    cdef real *d_h = <real *> call.d_h
    cdef real *d_c = <real *> call.d_c
    cdef real *gates
    cdef const real *c_prev
    cdef const real *tanh_c
    memset(d_h, 0, n * d_h_stride * sizeof(real))
    memset(d_c, 0, n * hp * sizeof(real))
    for t in range(call.n_steps - 1, -1, -1):
        n_active = call.n_active[t]
        if last != NULL:
            # The sequences that end at this step enter the chain with the gradient of their last hidden state.
            memcpy(d_h + n_next * d_h_stride, last + n_next * d_h_stride,
                   (n_active - n_next) * d_h_stride * sizeof(real))
        n_next = n_active
        gates = <real *> call.gates + 4 * t * state
        c_prev = <const real *> call.c + t * state
        tanh_c = <const real *> call.tanh_c + t * state
        for r in range(n_active):
            if call.d_h_above != NULL:
                above = <const real *> call.d_h_above + (t * n + r) * call.d_h_above_stride
            lstm_cell_backward(hp, gates + 4 * r * hp, c_prev + r * hp, tanh_c + r * hp, d_h + r * d_h_stride,
                               above, d_c + r * hp, <real *> call.d_bias)
        product(n_active, 4 * hp, back_panels, gates, 4 * hp, call.weights_hh_back, d_h, d_h_stride, False)
    collect_weight_gradients(call)
    if call.weights_ih_back != NULL:
        input_gradients(call)


cdef void collect_weight_gradients(const LayerCall *call) noexcept nogil:
    """d_weights += sum over (t, sequence) of [x_t | h_{t-1}]^T d_gates_t, in blocks of PAIRS pairs."""
    cdef Py_ssize_t n = call.n_samples, hp4 = 4 * call.hidden_stride, width = 4 * LANES
    cdef Py_ssize_t n_panels = call.hidden_stride // LANES, n_k = call.input_size + call.hidden_size
    cdef Py_ssize_t t = 0, r = 0, p, i, n_pairs
    # Rows of [x | h] side by side, an odd number of cache lines apart, and a panel's columns of d_gates without gaps:
    # read where they lie, 4 KB apart for 256 units, they would share two sets of L1 (outer product 1.6 times slower).
    cdef real *rows = <real *> call.pair_rows
    cdef real *panel = rows + PAIRS * call.pair_stride
    cdef const real *gates[PAIRS]
    while t < call.n_steps:
        n_pairs = 0
        while t < call.n_steps and n_pairs < PAIRS:
            memcpy(rows + n_pairs * call.pair_stride, <const real *> call.x_rows[r] + t * call.x_step,
                   call.input_size * sizeof(real))
            memcpy(rows + n_pairs * call.pair_stride + call.input_size,
                   <const real *> call.h + (t * n + r) * call.hidden_stride, call.hidden_size * sizeof(real))
            gates[n_pairs] = <const real *> call.gates + (t * n + r) * hp4
            n_pairs += 1
            r += 1
            if r == call.n_active[t]:
                r = 0
                t += 1
        for p in range(n_panels):
            for i in range(n_pairs):
                memcpy(panel + i * width, gates[i] + p * width, width * sizeof(real))
            outer_panel(n_pairs, n_k, rows, call.pair_stride, panel, width, <real *> call.d_weights + p * n_k * width)


cdef void input_gradients(const LayerCall *call) noexcept nogil:
    """d_x = d_gates @ W_ih, step by step for the sequences that run (what stands beyond their ends is left alone)."""
    cdef Py_ssize_t t, hp4 = 4 * call.hidden_stride, width = 4 * LANES
    cdef Py_ssize_t n_panels = (call.input_size + width - 1) // width
    cdef Py_ssize_t n_rows = call.n_samples * call.n_steps
    cdef real *d_x = <real *> call.d_x
    cdef real *gates = <real *> call.gates
    if call.n_active[call.n_steps - 1] == call.n_samples:
        # All of one length: one product with every (t, sequence) as a row, so that a panel is loaded once.
        product(n_rows, hp4, n_panels, gates, hp4, call.weights_ih_back, d_x, n_panels * width, False)
        return
    for t in range(call.n_steps):
        product(call.n_active[t], hp4, n_panels, gates + t * call.n_samples * hp4, hp4, call.weights_ih_back,
                d_x + t * call.n_samples * n_panels * width, n_panels * width, False)


cdef void pack_gates(const void *weight, Py_ssize_t n_columns, Py_ssize_t hidden_size, Py_ssize_t column_offset,
                     Py_ssize_t n_columns_total, void *panels) noexcept nogil:
    """(4 H, n_columns) -> columns column_offset.. of the k-major panels [i f g o]; units beyond H are zero."""
    cdef Py_ssize_t lanes = LANES, n_panels = (hidden_size + lanes - 1) // lanes
    cdef Py_ssize_t p, g, lane, k, unit
    cdef const real *row
    cdef real *out
    for p in range(n_panels):
        for g in range(4):
            for lane in range(lanes):
                unit = p * lanes + lane
                out = <real *> panels + (p * n_columns_total + column_offset) * 4 * lanes + g * lanes + lane
                if unit < hidden_size:
                    row = <const real *> weight + (g * hidden_size + unit) * n_columns
                    for k in range(n_columns):
                        out[k * 4 * lanes] = row[k]
                else:
                    for k in range(n_columns):
                        out[k * 4 * lanes] = 0


cdef void unpack_gates(const void *panels, Py_ssize_t n_columns, Py_ssize_t hidden_size, Py_ssize_t column_offset,
                       Py_ssize_t n_columns_total, void *weight) noexcept nogil:
    """The way back of pack_gates, for gradients."""
    cdef Py_ssize_t lanes = LANES, g, k, unit
    cdef const real *source
    cdef real *row
    for g in range(4):
        for unit in range(hidden_size):
            source = (<const real *> panels + ((unit // lanes) * n_columns_total + column_offset) * 4 * lanes
                      + g * lanes + unit % lanes)
            row = <real *> weight + (g * hidden_size + unit) * n_columns
            for k in range(n_columns):
                row[k] = source[k * 4 * lanes]


cdef void pack_gates_back(const void *weight, Py_ssize_t n_columns, Py_ssize_t hidden_size,
                          void *panels) noexcept nogil:
    """(4 H, n_columns) -> panels of 4 lanes columns, k running over the gates in panel order."""
    cdef Py_ssize_t lanes = LANES, width = 4 * lanes
    cdef Py_ssize_t n_unit_panels = (hidden_size + lanes - 1) // lanes
    cdef Py_ssize_t n_panels = (n_columns + width - 1) // width
    cdef Py_ssize_t p, q, g, lane, unit, first, n_valid, k
    cdef const real *row
    cdef real *out = <real *> panels
    for p in range(n_panels):
        first = p * width
        n_valid = min(width, n_columns - first)
        for q in range(n_unit_panels):
            for g in range(4):
                for lane in range(lanes):
                    unit = q * lanes + lane
                    memset(out, 0, width * sizeof(real))
                    if unit < hidden_size:
                        row = <const real *> weight + (g * hidden_size + unit) * n_columns + first
                        for k in range(n_valid):
                            out[k] = row[k]
                    out += width
