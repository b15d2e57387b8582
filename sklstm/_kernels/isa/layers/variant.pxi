# The time loop of a layer whose cell has options (lstm_variant.h), forward and backward: a second pair beside the plain
# one, which so pays nothing for them. What concerns one row stands in the header; here are masks, products and sums.

cdef extern from "isa/kernels.h" nogil:
    void normalised_sums(Py_ssize_t n_units, Py_ssize_t stride, const real *gains, const real *bias, real *x, real *h,
                         real *inverses, real *sums) noexcept
    void normalised_sums_backward(Py_ssize_t n_units, Py_ssize_t stride, const real *gains, real *d_gains,
                                  const real *x, real *h, const real *inverses, real *d_sums) noexcept
    void mix_row(Py_ssize_t stride, const real *kept, const real *previous, const real *fresh, real *out) noexcept
    void split_row(Py_ssize_t stride, const real *d_h, const real *above, const real *kept, real *direct,
                   real *fresh) noexcept
    void scale_row(Py_ssize_t stride, const real *x, const real *scale, const real *direct, real *out) noexcept
    real variant_cell_forward(Py_ssize_t n_units, Py_ssize_t stride, const real *peepholes, const real *norm,
                              const real *kept, real *gates, const real *c_prev, real *c_next, real *tanh_c,
                              real *normalised, real *m) noexcept
    void variant_cell_backward(Py_ssize_t n_units, Py_ssize_t stride, const real *peepholes, real *d_peepholes,
                               const real *norm, real *d_norm, const real *kept, real *gates, const real *c_prev,
                               const real *tanh_c, const real *normalised, real inverse, const real *d_m, real *d_c,
                               real *d_bias, real *slope) noexcept

# What a mask is for, xored into the first word of its key; plain dropout is 0.
cdef enum:
    ZONEOUT_H = 0x5A4F4E48
    ZONEOUT_C = 0x5A4F4E43
    RECURRENT_DROPOUT = 0x52444F50


cdef struct VariantBuffers:
    # One call's workspace cut into arrays. T stands for 1 when nothing goes back; an option that is off has none.
    Py_ssize_t step              # rows from one step to the next: n, or 0
    real *sums_x                 # (T, n, 4 Hp) x W_ih, normalised
    real *sums_h                 # (T, n, 4 Hp) h W_hh, normalised; on the way back its gradient
    real *inverses               # (T, n, 3) 1 / deviation of x W_ih, h W_hh and c
    real *normalised_c           # (T, n, Hp)
    real *kept_h                 # (T, n, output_stride) zoneout: 1 where the previous stays; the rate in prediction
    real *kept_c                 # (T, n, Hp)
    real *scale_h                # (n, output_stride) recurrent dropout: 0 or 1 / (1 - rate)
    real *dropped_h              # (n, output_stride) what enters the gates
    real *tanh_c                 # (Hp) where the caller keeps none
    # rows of pairs (t, sequence) without gaps, an odd number of cache lines apart: see collect_weight_gradients
    Py_ssize_t m_stride
    Py_ssize_t projected_stride
    real *m                      # (pairs, m_stride): all of a chunk, or of a step
    real *projected              # (n, projected_stride) what the projection gives, in whole panels
    real *d_projected            # (pairs, projected_stride) gradient of the projection's output
    real *d_m                    # (n, Hp)
    real *direct                 # (n, output_stride) from h_t to h_{t-1} past the cell
    real *slope                  # (Hp)


cdef Py_ssize_t lay_out_variant(const LayerCall *call, Py_ssize_t n, Py_ssize_t n_steps, char *base,
                                VariantBuffers *b) noexcept nogil:
    """Cut a workspace into its arrays; return its size. Also used to measure: base is not written to."""
    cdef const VariantCall *variant = call.variant
    cdef Py_ssize_t hp = call.hidden_stride, op = variant.output_stride, width = 4 * LANES
    cdef Py_ssize_t rows = n * n_steps if variant.training else n
    cdef char *cursor = base
    memset(b, 0, sizeof(VariantBuffers))
    b.step = n if variant.training else 0
    if variant.gate_norm != NULL:
        b.sums_x = numbers(&cursor, rows * 4 * hp)
        b.sums_h = numbers(&cursor, rows * 4 * hp)
        b.inverses = numbers(&cursor, rows * 3)
        b.normalised_c = numbers(&cursor, rows * hp)
        b.slope = numbers(&cursor, hp)
    if variant.zoneout > 0:
        b.kept_h = numbers(&cursor, rows * op)
        b.kept_c = numbers(&cursor, rows * hp)
        b.direct = numbers(&cursor, n * op)
    if variant.recurrent_dropout > 0 and variant.training:
        b.scale_h = numbers(&cursor, n * op)
        b.dropped_h = numbers(&cursor, n * op)
    if variant.projection != NULL:
        b.m_stride = odd_lines(hp)
        b.m = numbers(&cursor, rows * b.m_stride)
        b.projected_stride = odd_lines((variant.output_size + width - 1) // width * width)
        b.projected = numbers(&cursor, n * b.projected_stride)
        if variant.training:
            b.d_projected = numbers(&cursor, rows * b.projected_stride)
            b.d_m = numbers(&cursor, n * hp)
    if not variant.training:
        b.tanh_c = numbers(&cursor, hp)
    return cursor - base


cdef Py_ssize_t variant_workspace(const LayerCall *call, Py_ssize_t n_samples, Py_ssize_t n_steps) noexcept nogil:
    """Bytes of a variant's workspace for a chunk."""
    cdef VariantBuffers b
    return lay_out_variant(call, n_samples, n_steps, NULL, &b)


cdef void draw_mask(Py_ssize_t n_units, Py_ssize_t stride, const VariantCall *variant, u32 purpose, u32 step,
                    u32 sample, double rate, real below, real above, real *mask) noexcept nogil:
    """mask[unit] = `below` with probability rate, else `above`. The counter is (unit / 4, step, sample, epoch), the key
    the seed with the purpose in its first word and the layer in its second: no two masks share a number."""
    cdef u32 threshold = <u32> (rate * 4294967296.0)
    cdef u32 key0 = <u32> variant.seed ^ purpose, key1 = <u32> (variant.seed >> 32) ^ variant.layer
    cdef u32 words[4]
    cdef Py_ssize_t unit, j
    for unit in range(0, n_units, 4):
        words[0] = <u32> (unit // 4)
        words[1] = step
        words[2] = sample
        words[3] = variant.epoch
        philox4x32(words, key0, key1)
        for j in range(min(4, n_units - unit)):
            mask[unit + j] = below if words[j] < threshold else above
    for unit in range(n_units, stride):
        mask[unit] = 0


cdef void begin_masks(const LayerCall *call, const VariantBuffers *b) noexcept nogil:
    """What does not change from step to step: recurrent dropout, and in prediction the rate of zoneout."""
    cdef const VariantCall *variant = call.variant
    cdef Py_ssize_t r, u, op = variant.output_stride
    if b.scale_h != NULL:
        for r in range(call.n_samples):
            draw_mask(variant.output_size, op, variant, RECURRENT_DROPOUT, 0, variant.sample_ids[r],
                      variant.recurrent_dropout, 0, <real> (1.0 / (1.0 - variant.recurrent_dropout)),
                      b.scale_h + r * op)
    if b.kept_h != NULL and not variant.training:
        for u in range(call.n_samples * op):
            b.kept_h[u] = <real> variant.zoneout
        for u in range(call.n_samples * call.hidden_stride):
            b.kept_c[u] = <real> variant.zoneout


cdef void gate_sums(const LayerCall *call, const VariantBuffers *b, Py_ssize_t t, const real **x, const real **h_prev,
                    real *z) noexcept nogil:
    """z (n, 4 Hp): what goes into the gates, but for the peepholes. call.hidden_size is the size of h here."""
    cdef const VariantCall *variant = call.variant
    cdef Py_ssize_t hp = call.hidden_stride, hp4 = 4 * hp, width = 4 * LANES, n_h = variant.output_size
    cdef Py_ssize_t n_active = call.n_active[t], n_k = call.input_size + n_h, p, r = 0, row = t * b.step
    cdef LayerCall with_h = call[0]
    cdef const real *panel
    cdef int rows
    if b.sums_x == NULL:
        with_h.hidden_size = n_h  # the plain product takes h to be as long as c
        for p in range(hp // LANES):
            gates_of_panel(&with_h, p, n_active, x, h_prev, z + p * width, hp4)
        return
    for p in range(hp // LANES):
        panel = <const real *> call.weights + p * n_k * width
        r = 0
        while r < n_active:
            rows = <int> min(n_active - r, <Py_ssize_t> TILE_ROWS)
            product_tile(rows, 4, 0, call.input_size, x + r, panel, b.sums_x + (row + r) * hp4 + p * width, hp4)
            product_tile(rows, 4, 0, n_h, h_prev + r, panel + call.input_size * width,
                         b.sums_h + (row + r) * hp4 + p * width, hp4)
            r += TILE_ROWS
    for r in range(n_active):
        normalised_sums(call.hidden_size, hp, <const real *> variant.gate_norm, <const real *> call.bias,
                        b.sums_x + (row + r) * hp4, b.sums_h + (row + r) * hp4, b.inverses + 3 * (row + r), z + r * hp4)


cdef void lstm_variant_forward(const LayerCall *call) noexcept nogil:
    """Run the layer: gates, c, tanh_c and h of every step, for the sequences that still run."""
    cdef const VariantCall *variant = call.variant
    cdef VariantBuffers b
    cdef Py_ssize_t n = call.n_samples, hp = call.hidden_stride, op = variant.output_stride
    cdef Py_ssize_t t, r, n_active, row, pair = 0
    cdef const real **x = <const real **> call.row_pointers
    cdef const real **h_prev = x + n
    cdef const real *norm = <const real *> variant.gate_norm + 8 * hp if variant.gate_norm != NULL else NULL
    cdef real *z = <real *> call.z
    cdef real *c
    cdef real *h = <real *> call.h
    cdef real *tanh_c
    cdef real *m
    cdef real *normalised
    cdef real inverse
    lay_out_variant(call, n, call.n_steps, <char *> variant.workspace, &b)
    begin_masks(call, &b)
    for t in range(call.n_steps):
        if call.interrupted != NULL and call.interrupted(call.interrupt_context):
            return
        n_active = call.n_active[t]
        c = <real *> call.c + t * call.kept_step
        if variant.training:
            z = <real *> call.gates + 4 * t * n * hp
        for r in range(n_active):
            x[r] = <const real *> call.x_rows[r] + t * call.x_step
            h_prev[r] = h + r * op
            if b.scale_h != NULL:
                scale_row(op, h + r * op, b.scale_h + r * op, NULL, b.dropped_h + r * op)
                h_prev[r] = b.dropped_h + r * op
        gate_sums(call, &b, t, x, h_prev, z)
        for r in range(n_active):
            row = t * b.step + r
            if b.kept_c != NULL and variant.training:
                draw_mask(call.hidden_size, hp, variant, ZONEOUT_C, <u32> t, variant.sample_ids[r], variant.zoneout,
                          1, 0, b.kept_c + row * hp)
            tanh_c = <real *> call.tanh_c + row * hp if variant.training else b.tanh_c
            normalised = b.normalised_c + row * hp if norm != NULL else NULL
            m = b.m + (pair + r) * b.m_stride if b.m != NULL else h + (n + r) * op
            inverse = variant_cell_forward(
                call.hidden_size, hp, <const real *> variant.peepholes, norm,
                b.kept_c + row * hp if b.kept_c != NULL else NULL, z + 4 * r * hp, c + r * hp,
                c + call.kept_step + r * hp, tanh_c, normalised, m)
            if norm != NULL:
                b.inverses[3 * row + 2] = inverse
        outputs_of_step(call, &b, t, pair, h)
        pair += n_active if variant.training else 0
        h += n * op


cdef void outputs_of_step(const LayerCall *call, const VariantBuffers *b, Py_ssize_t t, Py_ssize_t pair,
                          real *h) noexcept nogil:
    """From m to the next h: projection and zoneout. h is the row of states before this step."""
    cdef const VariantCall *variant = call.variant
    cdef Py_ssize_t op = variant.output_stride, width = 4 * LANES, r, row
    cdef Py_ssize_t n_active = call.n_active[t]
    cdef real *h_next = h + call.n_samples * op
    if b.m != NULL:
        product(n_active, call.hidden_size, (variant.output_size + width - 1) // width * 4,
                b.m + pair * b.m_stride, b.m_stride, variant.projection, b.projected, b.projected_stride, False)
        for r in range(n_active):
            memcpy(h_next + r * op, b.projected + r * b.projected_stride, op * sizeof(real))
    if b.kept_h == NULL:
        return
    for r in range(n_active):
        row = t * b.step + r
        if variant.training:
            draw_mask(variant.output_size, op, variant, ZONEOUT_H, <u32> t, variant.sample_ids[r], variant.zoneout,
                      1, 0, b.kept_h + row * op)
        mix_row(op, b.kept_h + row * op, h + r * op, h_next + r * op, h_next + r * op)


cdef void lstm_variant_backward(const LayerCall *call) noexcept nogil:
    """Back through time: d_gates over gates, then the weights' gradients and, where wanted, d_x."""
    cdef const VariantCall *variant = call.variant
    cdef VariantBuffers b
    cdef Py_ssize_t n = call.n_samples, hp = call.hidden_stride, op = variant.output_stride
    cdef Py_ssize_t t, r, n_active, n_next = 0, pair = 0
    cdef const real *last = <const real *> call.d_h_last
    cdef const real *d_sums
    cdef real *d_h = <real *> call.d_h
    lay_out_variant(call, n, call.n_steps, <char *> variant.workspace, &b)
    memset(d_h, 0, n * op * sizeof(real))
    memset(call.d_c, 0, n * hp * sizeof(real))
    for t in range(call.n_steps):
        pair += call.n_active[t]
    for t in range(call.n_steps - 1, -1, -1):
        if call.interrupted != NULL and call.interrupted(call.interrupt_context):
            return
        n_active = call.n_active[t]
        pair -= n_active
        if last != NULL:
            # The sequences that end at this step enter the chain with the gradient of their last hidden state.
            memcpy(d_h + n_next * op, last + n_next * op, (n_active - n_next) * op * sizeof(real))
        n_next = n_active
        output_gradients_of_step(call, &b, t, pair)
        cells_backward(call, &b, t)
        d_sums = (b.sums_h if b.sums_h != NULL else <real *> call.gates) + 4 * t * n * hp
        product(n_active, 4 * hp, op // LANES, d_sums, 4 * hp, call.weights_hh_back, d_h, op, False)
        if b.scale_h != NULL or b.direct != NULL:
            for r in range(n_active):
                scale_row(op, d_h + r * op, b.scale_h + r * op if b.scale_h != NULL else NULL,
                          b.direct + r * op if b.direct != NULL else NULL, d_h + r * op)
    collect_variant_gradients(call, &b)
    if call.weights_ih_back != NULL:
        input_gradients(call)


cdef void output_gradients_of_step(const LayerCall *call, const VariantBuffers *b, Py_ssize_t t,
                                   Py_ssize_t pair) noexcept nogil:
    """From the gradient of h_t to that of m: over d_h itself, or in b.d_m where there is a projection."""
    cdef const VariantCall *variant = call.variant
    cdef Py_ssize_t op = variant.output_stride, width = 4 * LANES, r, row
    cdef Py_ssize_t n_active = call.n_active[t], whole = (variant.output_size + width - 1) // width * width
    cdef const real *above
    cdef real *d_h
    cdef real *fresh
    for r in range(n_active):
        row = t * call.n_samples + r
        above = <const real *> call.d_h_above + row * op if call.d_h_above != NULL else NULL
        d_h = <real *> call.d_h + r * op
        fresh = d_h
        if b.m != NULL:
            fresh = b.d_projected + (pair + r) * b.projected_stride
            memset(fresh + op, 0, (whole - op) * sizeof(real))
        split_row(op, d_h, above, b.kept_h + row * op if b.kept_h != NULL else NULL,
                  b.direct + r * op if b.kept_h != NULL else NULL, fresh)
    if b.m != NULL:
        product(n_active, whole, call.hidden_stride // LANES, b.d_projected + pair * b.projected_stride,
                b.projected_stride, variant.projection_back, b.d_m, call.hidden_stride, False)


cdef void cells_backward(const LayerCall *call, const VariantBuffers *b, Py_ssize_t t) noexcept nogil:
    """The cells of one step: from the gradients of m and c_t to those of the sums and of c_{t-1}."""
    cdef const VariantCall *variant = call.variant
    cdef Py_ssize_t hp = call.hidden_stride, r, row
    cdef const real *gains = <const real *> variant.gate_norm
    cdef real *d_gains = <real *> variant.d_gate_norm
    cdef const real *d_m = b.d_m if b.m != NULL else <real *> call.d_h
    cdef real *gates
    for r in range(call.n_active[t]):
        row = t * call.n_samples + r
        gates = <real *> call.gates + 4 * row * hp
        variant_cell_backward(
            call.hidden_size, hp, <const real *> variant.peepholes, <real *> variant.d_peepholes,
            gains + 8 * hp if gains != NULL else NULL, d_gains + 8 * hp if gains != NULL else NULL,
            b.kept_c + row * hp if b.kept_c != NULL else NULL, gates, <const real *> call.c + row * hp,
            <const real *> call.tanh_c + row * hp, b.normalised_c + row * hp if gains != NULL else NULL,
            b.inverses[3 * row + 2] if gains != NULL else 0, d_m + r * hp, <real *> call.d_c + r * hp,
            <real *> call.d_bias, b.slope)
        if gains != NULL:
            normalised_sums_backward(call.hidden_size, hp, gains, d_gains, b.sums_x + 4 * row * hp,
                                     b.sums_h + 4 * row * hp, b.inverses + 3 * row, gates)


cdef void collect_variant_gradients(const LayerCall *call, const VariantBuffers *b) noexcept nogil:
    """As collect_weight_gradients; h as it entered the gates, and the projection's gradient."""
    cdef const VariantCall *variant = call.variant
    cdef Py_ssize_t n = call.n_samples, hp4 = 4 * call.hidden_stride, op = variant.output_stride, width = 4 * LANES
    cdef Py_ssize_t t = 0, r = 0, n_pairs, first = 0, stride = call.pair_stride
    cdef real *rows = <real *> call.pair_rows
    cdef real *h_row
    cdef Py_ssize_t numbers[PAIRS]
    while t < call.n_steps:
        if call.interrupted != NULL and call.interrupted(call.interrupt_context):
            return
        n_pairs = 0
        while t < call.n_steps and n_pairs < PAIRS:
            memcpy(rows + n_pairs * stride, <const real *> call.x_rows[r] + t * call.x_step,
                   call.input_size * sizeof(real))
            h_row = rows + n_pairs * stride + call.input_size
            memcpy(h_row, <const real *> call.h + (t * n + r) * op, variant.output_size * sizeof(real))
            if b.scale_h != NULL:
                scale_units(variant.output_size, b.scale_h + r * op, h_row)
            numbers[n_pairs] = t * n + r
            n_pairs += 1
            r += 1
            if r == call.n_active[t]:
                r = 0
                t += 1
        if b.sums_h == NULL:
            outer_of_pairs(call, n_pairs, numbers, <const real *> call.gates, 0, call.input_size + variant.output_size)
        else:
            outer_of_pairs(call, n_pairs, numbers, <const real *> call.gates, 0, call.input_size)
            outer_of_pairs(call, n_pairs, numbers, b.sums_h, call.input_size, variant.output_size)
        if b.m != NULL:
            outer(n_pairs, call.hidden_size, (variant.output_size + width - 1) // width, b.m + first * b.m_stride,
                  b.m_stride, b.d_projected + first * b.projected_stride, b.projected_stride, variant.d_projection)
        first += n_pairs


cdef inline void scale_units(Py_ssize_t n_units, const real *scale, real *row) noexcept nogil:
    # not scale_row: the row need not begin nor end with a whole vector
    cdef Py_ssize_t u
    for u in range(n_units):
        row[u] *= scale[u]


cdef void outer_of_pairs(const LayerCall *call, Py_ssize_t n_pairs, const Py_ssize_t *numbers, const real *d_sums,
                         Py_ssize_t first_k, Py_ssize_t n_k) noexcept nogil:
    """n_k rows of each panel of d_weights, from first_k on, += rows^T d_sums over the gathered pairs."""
    cdef Py_ssize_t hp4 = 4 * call.hidden_stride, width = 4 * LANES, p, i
    cdef Py_ssize_t total = call.input_size + call.variant.output_size
    cdef real *rows = <real *> call.pair_rows
    cdef real *panel = rows + PAIRS * call.pair_stride
    for p in range(call.hidden_stride // LANES):
        for i in range(n_pairs):
            memcpy(panel + i * width, d_sums + numbers[i] * hp4 + p * width, width * sizeof(real))
        outer_panel(n_pairs, n_k, rows + first_k, call.pair_stride, panel, width,
                    <real *> call.d_weights + (p * total + first_k) * width)
