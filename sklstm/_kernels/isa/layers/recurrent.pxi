# The time loop of a recurrent layer over one chunk, forward and backward, and the packing of its weights.

cdef extern from "isa/kernels.h" nogil:
    void gate_tile(int rows, Py_ssize_t n_x, const real **x, Py_ssize_t n_h, const real **h_prev, const real *panel,
                   const real **start, real *gates, Py_ssize_t gates_stride) noexcept
    void lstm_cell_forward(Py_ssize_t n_rows, Py_ssize_t n_panels, Py_ssize_t state_stride, real *z,
                           Py_ssize_t z_stride, real *gates, const real *c_prev, real *c_next, real *tanh_c,
                           real *h_next) noexcept
    void lstm_cell_backward(Py_ssize_t n_units, real *gates, const real *c_prev, const real *tanh_c,
                            const real *d_h, const real *d_h_above, real *d_c, real *d_bias) noexcept


cdef void lstm_layer_forward(const LayerCall *call) noexcept nogil:
    """Run the layer: gates, c, tanh_c and h of every step, for the sequences that still run."""
    cdef Py_ssize_t n = call.n_samples, hp = call.hidden_stride, width = 4 * LANES
    cdef Py_ssize_t t, p, r, first = call.first_panel, n_panels = call.n_panels, n_active, unit
    cdef const real **x = <const real **> call.row_pointers
    cdef const real **h_prev = x + n
    cdef real *z = <real *> call.z
    cdef real *gates = NULL
    cdef real *tanh_c = NULL
    cdef real *c_prev
    cdef real *c_next
    cdef real *h = <real *> call.h
    for t in range(call.n_steps):
        if call.interrupted != NULL and call.interrupted(call.interrupt_context):
            return
        n_active = call.n_active[t]
        c_prev = <real *> call.c + t * call.kept_step
        c_next = c_prev + call.kept_step
        for r in range(n_active):
            x[r] = <const real *> call.x_rows[r] + t * call.x_step
            h_prev[r] = h + r * hp
        h += n * hp
        if call.gates != NULL:
            gates = <real *> call.gates + 4 * t * call.kept_step
            tanh_c = <real *> call.tanh_c + t * call.kept_step
        if n_active < ROWS_OF_A_PANEL:
            unit = first * LANES
            for p in range(n_panels):
                gates_of_panel(call, first + p, n_active, x, h_prev, z + p * width, n_panels * width)
            lstm_cell_forward(n_active, n_panels, hp, z, n_panels * width, gates + 4 * unit if gates != NULL else NULL,
                              c_prev + unit, c_next + unit, tanh_c + unit if gates != NULL else NULL, h + unit)
            continue
        # Panels outside, rows inside: one panel (4 lanes x k) stays in L1 for all rows of the chunk.
        for p in range(first, first + n_panels):
            unit = p * LANES
            gates_of_panel(call, p, n_active, x, h_prev, z, width)
            lstm_cell_forward(n_active, 1, hp, z, width, gates + 4 * unit if gates != NULL else NULL,
                              c_prev + unit, c_next + unit, tanh_c + unit if gates != NULL else NULL, h + unit)


cdef void gates_of_panel(const LayerCall *call, Py_ssize_t p, Py_ssize_t n_rows, const real **x, const real **h_prev,
                         real *z, Py_ssize_t z_stride) noexcept nogil:
    """Pre-activations of one panel's units: bias + [x | h] W, or a ready product with x + h W."""
    cdef Py_ssize_t k = call.input_size + call.hidden_size, width = 4 * LANES
    cdef Py_ssize_t n_x = 0 if call.x_is_product else call.input_size, r = 0, i
    cdef const real *panel = <const real *> call.weights + (p * k + call.input_size - n_x) * width
    cdef const real *start[8]
    cdef int rows
    while r < n_rows:
        rows = <int> min(n_rows - r, <Py_ssize_t> TILE_ROWS)
        for i in range(rows):
            start[i] = (x[r + i] if call.x_is_product else <const real *> call.bias) + p * width
        gate_tile(rows, n_x, x + r, call.hidden_size, h_prev + r, panel, start, z + r * z_stride, z_stride)
        r += TILE_ROWS


cdef void input_products(Py_ssize_t n_rows, Py_ssize_t n_x, Py_ssize_t n_k, Py_ssize_t n_panels, const void *x_rows,
                         Py_ssize_t x_stride, const void *weights, const void *bias, void *products) noexcept nogil:
    """products (n_rows, n_panels, 4 lanes) = bias + x W_ih: what overlapping windows share."""
    cdef Py_ssize_t width = 4 * LANES, p, r, i
    cdef const real *x[8]
    cdef const real *start[8]
    cdef int rows
    for p in range(n_panels):
        r = 0
        while r < n_rows:
            rows = <int> min(n_rows - r, <Py_ssize_t> TILE_ROWS)
            for i in range(rows):
                x[i] = <const real *> x_rows + (r + i) * x_stride
                start[i] = <const real *> bias + p * width
            gate_tile(rows, n_x, x, 0, x, <const real *> weights + p * n_k * width, start,
                      <real *> products + (r * n_panels + p) * width, n_panels * width)
            r += TILE_ROWS


cdef void lstm_layer_backward(const LayerCall *call) noexcept nogil:
    """Back through time: d_gates over gates, then d_weights and, where wanted, d_x."""
    cdef Py_ssize_t n = call.n_samples, hp = call.hidden_stride, state = n * hp
    cdef Py_ssize_t t, r, n_active, n_next = 0
    cdef const real *above = NULL
    cdef const real *last = <const real *> call.d_h_last
    cdef real *d_h = <real *> call.d_h
    cdef real *d_c = <real *> call.d_c
    cdef real *gates
    cdef const real *c_prev
    cdef const real *tanh_c
    memset(d_h, 0, n * hp * sizeof(real))
    memset(d_c, 0, n * hp * sizeof(real))
    for t in range(call.n_steps - 1, -1, -1):
        if call.interrupted != NULL and call.interrupted(call.interrupt_context):
            return
        n_active = call.n_active[t]
        if last != NULL:
            # The sequences that end at this step enter the chain with the gradient of their last hidden state.
            memcpy(d_h + n_next * hp, last + n_next * hp, (n_active - n_next) * hp * sizeof(real))
        n_next = n_active
        gates = <real *> call.gates + 4 * t * state
        c_prev = <const real *> call.c + t * state
        tanh_c = <const real *> call.tanh_c + t * state
        for r in range(n_active):
            if call.d_h_above != NULL:
                above = <const real *> call.d_h_above + (t * n + r) * hp
            lstm_cell_backward(hp, gates + 4 * r * hp, c_prev + r * hp, tanh_c + r * hp, d_h + r * hp, above,
                               d_c + r * hp, <real *> call.d_bias)
        product(n_active, 4 * hp, hp // LANES, gates, 4 * hp, call.weights_hh_back, d_h, hp, False)
    collect_weight_gradients(call)
    if call.weights_ih_back != NULL:
        input_gradients(call)


cdef void collect_weight_gradients(const LayerCall *call) noexcept nogil:
    """d_weights += sum over (t, sequence) of [x_t | h_{t-1}]^T d_gates_t, in blocks of PAIRS pairs."""
    cdef Py_ssize_t n = call.n_samples, hp4 = 4 * call.hidden_stride
    # Where windows share their rows, only h is left to be met pair by pair.
    cdef Py_ssize_t n_x = 0 if call.n_shared > 0 else call.input_size
    cdef Py_ssize_t t = 0, r = 0, n_pairs
    # Rows of [x | h] side by side, an odd number of cache lines apart, and a panel's columns of d_gates without gaps:
    # read where they lie, 4 KB apart for 256 units, they would share two sets of L1 (outer product 1.6 times slower).
    cdef real *rows = <real *> call.pair_rows
    cdef const real *gates[PAIRS]
    if call.n_shared > 0:
        collect_shared_gradients(call)
    while t < call.n_steps:
        if call.interrupted != NULL and call.interrupted(call.interrupt_context):
            return
        n_pairs = 0
        while t < call.n_steps and n_pairs < PAIRS:
            memcpy(rows + n_pairs * call.pair_stride, <const real *> call.x_rows[r] + t * call.x_step,
                   n_x * sizeof(real))
            memcpy(rows + n_pairs * call.pair_stride + n_x,
                   <const real *> call.h + (t * n + r) * call.hidden_stride, call.hidden_size * sizeof(real))
            gates[n_pairs] = <const real *> call.gates + (t * n + r) * hp4
            n_pairs += 1
            r += 1
            if r == call.n_active[t]:
                r = 0
                t += 1
        outer_of_rows(call, n_pairs, gates, call.input_size - n_x, n_x + call.hidden_size)


cdef void outer_of_rows(const LayerCall *call, Py_ssize_t n_pairs, const real **gates, Py_ssize_t first_k,
                        Py_ssize_t n_k) noexcept nogil:
    """Add the outer products of n_pairs gathered rows with their d_gates to rows first_k.. of every panel."""
    cdef Py_ssize_t width = 4 * LANES, p, i
    cdef const real *rows = <const real *> call.pair_rows
    cdef real *panel = <real *> call.pair_rows + PAIRS * call.pair_stride
    cdef real *out = <real *> call.d_weights + first_k * width
    for p in range(call.hidden_stride // LANES):
        for i in range(n_pairs):
            memcpy(panel + i * width, gates[i] + p * width, width * sizeof(real))
        outer_panel(n_pairs, n_k, rows, call.pair_stride, panel, width, out)
        out += (call.input_size + call.hidden_size) * width


cdef void collect_shared_gradients(const LayerCall *call) noexcept nogil:
    """The same for x of neighbouring windows: sum d_gates over the windows that read a row, then meet the row once."""
    cdef Py_ssize_t hp4 = 4 * call.hidden_stride, t, r, row, n_pairs
    cdef Py_ssize_t direction = 1 if call.x_step >= 0 else -1, step = call.x_step * direction
    cdef real *sums = <real *> call.shared_gates
    cdef real *rows = <real *> call.pair_rows
    cdef const real *gates[PAIRS]
    memset(sums, 0, call.n_shared * hp4 * sizeof(real))
    for t in range(call.n_steps):
        for r in range(call.n_active[t]):
            sum_rows(hp4, sums + (call.shared_first[r] + direction * t) * hp4,
                     <const real *> call.gates + (t * call.n_samples + r) * hp4)
    row = 0
    while row < call.n_shared:
        n_pairs = min(call.n_shared - row, <Py_ssize_t> PAIRS)
        for r in range(n_pairs):
            memcpy(rows + r * call.pair_stride, <const real *> call.shared_rows + (row + r) * step,
                   call.input_size * sizeof(real))
            gates[r] = sums + (row + r) * hp4
        outer_of_rows(call, n_pairs, gates, 0, call.input_size)
        row += n_pairs


cdef void input_gradients(const LayerCall *call) noexcept nogil:
    """d_x = d_gates @ W_ih, step by step for the sequences that run (what stands beyond their ends is left alone)."""
    cdef Py_ssize_t t, hp4 = 4 * call.hidden_stride, n_vecs = (call.input_size + LANES - 1) // LANES
    cdef Py_ssize_t stride = n_vecs * LANES
    cdef real *d_x = <real *> call.d_x
    cdef real *gates = <real *> call.gates
    if call.n_active[call.n_steps - 1] == call.n_samples:
        # All of one length: one product with every (t, sequence) as a row, so that a panel is loaded once.
        product(call.n_samples * call.n_steps, hp4, n_vecs, gates, hp4, call.weights_ih_back, d_x, stride, False)
        return
    for t in range(call.n_steps):
        product(call.n_active[t], hp4, n_vecs, gates + t * call.n_samples * hp4, hp4, call.weights_ih_back,
                d_x + t * call.n_samples * stride, stride, False)


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


cdef void pack_gates_back(const void *panels, Py_ssize_t n_unit_panels, Py_ssize_t n_k, Py_ssize_t first_k,
                          Py_ssize_t n_columns, void *back) noexcept nogil:
    """Columns first_k.. of the weights in their panels -> panels over those columns, k running over the gates.

    In and out, a (column, unit) block of lanes by lanes is transposed; the last panel may have fewer than 4 vectors.
    """
    cdef Py_ssize_t lanes = LANES, first = 0, q, g, lane, j, width, n_valid
    cdef const real *source
    cdef real *restrict out = <real *> back
    while first < n_columns:
        n_valid = min(4 * lanes, n_columns - first)
        width = (n_valid + lanes - 1) // lanes * lanes
        for q in range(n_unit_panels):
            for g in range(4):
                source = <const real *> panels + ((q * n_k + first_k + first) * 4 + g) * lanes
                if n_valid < width:
                    memset(out, 0, lanes * width * sizeof(real))
                for j in range(n_valid):
                    for lane in range(LANES):
                        out[lane * width + j] = source[j * 4 * lanes + lane]
                out += lanes * width
        first += 4 * lanes
