# One pre-norm residual block of multi-head self-attention (Vaswani et al. 2017, sections 3.2 and 3.5) over one chunk:
#   u = LN(y) + PE    q, k, v = u W_in + b_in    out = y + [softmax(q k^T / sqrt(d)) v of every head] W_out + b_out
# Sequences are independent. Backward recomputes the probabilities from two statistics of each row (Dao et al. 2022), so
# that memory grows with T, not with T x T.

cdef extern from "isa/kernels.h" nogil:
    void softmax_row(Py_ssize_t n, Py_ssize_t n_padded, real scale, real *row, real *statistics) noexcept
    void softmax_from_statistics(Py_ssize_t n, Py_ssize_t n_padded, real scale, const real *statistics,
                                 real *row) noexcept
    void softmax_backward(Py_ssize_t n, Py_ssize_t n_padded, real scale, real mean, const real *p, real *d) noexcept
    void transposed_product(Py_ssize_t n_rows, Py_ssize_t n_pairs, Py_ssize_t n_vecs, const real *a,
                            Py_ssize_t a_stride, const real *d, Py_ssize_t d_stride, real *out,
                            Py_ssize_t out_stride) noexcept

cdef enum:
    # Queries whose rows of scores are computed at once: a multiple of 4 TILE_ROWS, as transposed_product requires, and
    # few enough for the scores of 300 keys to stay in L1.
    QUERIES = 24

    # Steps of the recurrence of sine and cosine before they are computed anew: it loses at most 1e-14 in them.
    ROTATIONS = 32


cdef struct AttentionBuffers:
    Py_ssize_t head_size         # S / heads
    Py_ssize_t head_stride       # head_size in whole vectors
    Py_ssize_t in_width          # 3 S and S in whole tiles: the columns of the panels
    Py_ssize_t out_width
    # rows an odd number of cache lines apart, so that they spread over all sets of the cache
    Py_ssize_t u_stride
    Py_ssize_t in_stride
    Py_ssize_t out_stride
    Py_ssize_t heads_stride
    Py_ssize_t score_stride
    real scale                   # 1 / sqrt(head_size)
    # kept for backward: (n T) rows, those of sequence r from r T on; in prediction the rows of one sequence
    real *normalised             # (u_stride) y before gain and shift
    double *inverse              # 1 / deviation of each row of y
    real *q_k_v                  # (in_stride)
    real *heads                  # (heads_stride) the outputs of the heads side by side
    real *statistics             # (heads, 2) of each row of scores
    real *positions              # (T, stride)
    # scratch of one sequence
    real *u                      # (T, u_stride), then d_u
    real *rows                   # (T, out_stride): the block's term of out, or d_out
    real *d_q_k_v                # (T, in_stride)
    real *d_heads                # (T, heads_stride)
    # scratch of one head: its keys and values in panels, with steps as rows or (transposed) as columns
    real *keys
    real *values
    real *keys_transposed
    real *values_transposed
    real *d_k                    # (T rounded up to whole tiles, head_stride)
    real *d_v
    real *p                      # (QUERIES, score_stride)
    real *d_p
    real *d_q                    # (QUERIES, head_stride)


cdef char *lay_out_attention(Py_ssize_t n_samples, Py_ssize_t n_steps, Py_ssize_t n_units, Py_ssize_t n_heads,
                             bint training, char *base, AttentionBuffers *b) noexcept nogil:
    """Cut a workspace into its arrays; return its end. Also used to measure: nothing is written."""
    cdef Py_ssize_t stride = round_up(n_units, LANES), tile = 4 * LANES, kept = n_steps * (n_samples if training else 1)
    cdef Py_ssize_t steps = round_up(n_steps, LANES), head_room
    memset(b, 0, sizeof(AttentionBuffers))
    b.head_size = n_units // n_heads
    b.head_stride = round_up(b.head_size, LANES)
    b.scale = 1 / square_root(<real> b.head_size)
    b.in_width, b.out_width = round_up(3 * n_units, tile), round_up(n_units, tile)
    b.u_stride, b.in_stride, b.out_stride = odd_lines(stride), odd_lines(b.in_width), odd_lines(b.out_width)
    # The last vector of a head may reach into the next head; that of the last head into the padding.
    b.heads_stride = odd_lines(n_units - b.head_size + b.head_stride)
    b.score_stride = odd_lines(round_up(n_steps, LANES) + 4 * TILE_ROWS)
    b.normalised = take_numbers(&base, kept * b.u_stride)
    b.inverse = <double *> take_numbers(&base, kept * <Py_ssize_t> (sizeof(double) // sizeof(real)))
    b.q_k_v = take_numbers(&base, kept * b.in_stride)
    b.heads = take_numbers(&base, kept * b.heads_stride)
    b.statistics = take_numbers(&base, kept * n_heads * 2)
    b.positions = take_numbers(&base, n_steps * stride)
    b.u = take_numbers(&base, n_steps * b.u_stride)
    b.rows = take_numbers(&base, n_steps * b.out_stride)
    b.values = take_numbers(&base, n_steps * b.head_stride)
    b.keys_transposed = take_numbers(&base, b.head_size * steps)
    b.p = take_numbers(&base, QUERIES * b.score_stride)
    if training:
        head_room = round_up(n_steps, 4 * TILE_ROWS) * b.head_stride
        b.d_q_k_v = take_numbers(&base, n_steps * b.in_stride)
        b.d_heads = take_numbers(&base, n_steps * b.heads_stride)
        b.keys = take_numbers(&base, n_steps * b.head_stride)
        b.values_transposed = take_numbers(&base, b.head_size * steps)
        b.d_k, b.d_v = take_numbers(&base, head_room), take_numbers(&base, head_room)
        b.d_p = take_numbers(&base, QUERIES * b.score_stride)
        b.d_q = take_numbers(&base, QUERIES * b.head_stride)
    return base


cdef Py_ssize_t attention_workspace(Py_ssize_t n_samples, Py_ssize_t n_steps, Py_ssize_t n_units, Py_ssize_t n_heads,
                                    bint training) noexcept nogil:
    """Bytes of the workspace of a chunk of that size or smaller."""
    cdef AttentionBuffers b
    return lay_out_attention(n_samples, n_steps, n_units, n_heads, training, NULL, &b) - <char *> NULL


cdef void position_encoding(Py_ssize_t n_steps, Py_ssize_t n_units, Py_ssize_t stride, real *out) noexcept nogil:
    """PE(t, 2i) = sin(t / 10000^(2i / S)), PE(t, 2i + 1) = cos of the same; each step rotates the one before."""
    cdef Py_ssize_t t, j
    cdef double angle, step_sin, step_cos, now_sin, now_cos, before
    for j in range(0, n_units, 2):
        angle = pow(10000.0, -<double> j / n_units)
        step_sin, step_cos = sin(angle), cos(angle)
        now_sin, now_cos = 0, 1
        for t in range(n_steps):
            if t % ROTATIONS == 0:
                now_sin, now_cos = sin(t * angle), cos(t * angle)
            else:
                before = now_sin
                now_sin = before * step_cos + now_cos * step_sin
                now_cos = now_cos * step_cos - before * step_sin
            out[t * stride + j] = <real> now_sin
            if j + 1 < n_units:
                out[t * stride + j + 1] = <real> now_cos


cdef void pack_narrow(const real *matrix, Py_ssize_t n_rows, Py_ssize_t n_columns, Py_ssize_t row_stride,
                      Py_ssize_t column_stride, real *restrict panels) noexcept nogil:
    """`pack_dense` with a narrower last panel: as many vectors as its columns need."""
    cdef Py_ssize_t first = 0, width, k, j, n_valid
    cdef const real *source
    while first < n_columns:
        n_valid = min(<Py_ssize_t> 4 * LANES, n_columns - first)
        width = round_up(n_valid, LANES)
        source = matrix + first * column_stride
        if n_valid < width:
            memset(panels, 0, n_rows * width * sizeof(real))
        if column_stride == 1:
            for k in range(n_rows):
                memcpy(panels + k * width, source + k * row_stride, n_valid * sizeof(real))
        else:
            for j in range(n_valid):
                for k in range(n_rows):
                    panels[k * width + j] = source[j * column_stride + k * row_stride]
        panels += n_rows * width
        first += n_valid


cdef void product_of_head(Py_ssize_t n_rows, Py_ssize_t n_k, Py_ssize_t packed_k, Py_ssize_t n_vecs, const real *a,
                          Py_ssize_t a_stride, const real *panels, real *out, Py_ssize_t out_stride) noexcept nogil:
    """`product` with the first n_k of the packed_k rows of the panels."""
    cdef Py_ssize_t first
    for first in range(0, n_vecs, 4):
        product(n_rows, n_k, min(n_vecs - first, <Py_ssize_t> 4), a, a_stride, panels + first * packed_k * LANES,
                out + first * LANES, out_stride, False)


cdef inline void scores_of_keys(const AttentionBuffers *b, Py_ssize_t n_rows, Py_ssize_t n_keys, Py_ssize_t length,
                                const real *a, Py_ssize_t a_stride, const real *panels, real *out) noexcept nogil:
    """Product of rows of one head with the first n_keys steps, or up to a whole panel: scores; in backward d_p."""
    cdef Py_ssize_t n_vecs = min(round_up(n_keys, 4 * LANES), round_up(length, LANES)) // LANES
    product(n_rows, b.head_size, n_vecs, a, a_stride, panels, out, b.score_stride, False)


cdef inline void multiply_row(Py_ssize_t n, real factor, real *restrict row) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        row[j] *= factor


cdef void store_last_weights(const AttentionCall *call, Py_ssize_t length, const real *numerators, real inverse,
                             real *out) noexcept nogil:
    memcpy(out, numerators, length * sizeof(real))
    multiply_row(length, inverse, out)
    memset(out + length, 0, (call.max_steps - length) * sizeof(real))


cdef void head_forward(const AttentionCall *call, const AttentionBuffers *b, Py_ssize_t slot, Py_ssize_t length,
                       Py_ssize_t head, real *last_weights) noexcept nogil:
    """softmax(q k^T / sqrt(d)) v of one head, a block of queries at a time."""
    cdef Py_ssize_t i = length - 1 if call.last_only else 0, n_rows = 0, n_keys, j, row_of_two = call.n_heads * 2
    cdef const real *q = b.q_k_v + slot * b.in_stride + head * b.head_size
    cdef real *statistics = b.statistics + (slot * call.n_heads + head) * 2
    cdef real *out = b.heads + slot * b.heads_stride + head * b.head_size
    pack_narrow(q + call.n_units, b.head_size, length, 1, b.in_stride, b.keys_transposed)
    pack_narrow(q + 2 * call.n_units, length, b.head_size, b.in_stride, 1, b.values)
    while i < length:
        n_rows = min(length - i, <Py_ssize_t> QUERIES)
        n_keys = i + n_rows if call.causal else length
        scores_of_keys(b, n_rows, n_keys, length, q + i * b.in_stride, b.in_stride, b.keys_transposed, b.p)
        for j in range(n_rows):
            softmax_row(i + j + 1 if call.causal else length, n_keys, b.scale, b.p + j * b.score_stride,
                        statistics + (i + j) * row_of_two)
        product_of_head(n_rows, n_keys, length, b.head_stride // LANES, b.p, b.score_stride, b.values,
                        out + i * b.heads_stride, b.heads_stride)
        for j in range(i, i + n_rows):
            multiply_row(b.head_stride, statistics[j * row_of_two + 1], out + j * b.heads_stride)
        i += n_rows
    if last_weights != NULL:
        store_last_weights(call, length, b.p + (n_rows - 1) * b.score_stride,
                           statistics[(length - 1) * row_of_two + 1], last_weights)


cdef void attention_inputs(const AttentionCall *call, const AttentionBuffers *b, Py_ssize_t r, Py_ssize_t slot,
                           Py_ssize_t length) noexcept nogil:
    """u = LN(y) + PE of the steps of sequence r."""
    cdef Py_ssize_t t, j, stride = call.stride
    cdef real *restrict u
    cdef const real *restrict position
    for t in range(length):
        u = b.u + t * b.u_stride
        position = b.positions + t * stride
        memcpy(u, <const real *> call.y + (t * call.n_samples + r) * stride, stride * sizeof(real))
        b.inverse[slot + t] = layer_norm(call.n_units, stride, call.norm, u,
                                         b.normalised + (slot + t) * b.u_stride)
        for j in range(call.n_units):
            u[j] += position[j]


cdef void biased_product(Py_ssize_t n_rows, Py_ssize_t n_k, Py_ssize_t width, const real *a, Py_ssize_t a_stride,
                         const real *weights, const real *bias, real *out, Py_ssize_t out_stride) noexcept nogil:
    cdef Py_ssize_t t
    for t in range(n_rows):
        memcpy(out + t * out_stride, bias, width * sizeof(real))
    product(n_rows, n_k, width // LANES, a, a_stride, weights, out, out_stride, True)


cdef inline Py_ssize_t columns_of_last(const AttentionCall *call) noexcept nogil:
    """Number of the first columns, in whole panels, that are queries; with last_only, only the last step needs them."""
    return call.n_units // (4 * LANES) * (4 * LANES) if call.last_only else 0


cdef void sequence_forward(const AttentionCall *call, const AttentionBuffers *b, Py_ssize_t r) noexcept nogil:
    cdef Py_ssize_t n_units = call.n_units, stride = call.stride, length = call.lengths[r], last = length - 1
    cdef Py_ssize_t slot = r * call.n_steps if call.training else 0, first = last if call.last_only else 0
    cdef Py_ssize_t alone = columns_of_last(call), head, t, j
    cdef real *q_k_v = b.q_k_v + slot * b.in_stride
    cdef real *last_weights = NULL
    cdef const real *y
    cdef const real *restrict row
    cdef real *out
    attention_inputs(call, b, r, slot, length)
    biased_product(1, n_units, alone, b.u + last * b.u_stride, b.u_stride, <const real *> call.weights_in,
                   <const real *> call.bias_in, q_k_v + last * b.in_stride, b.in_stride)
    biased_product(length, n_units, b.in_width - alone, b.u, b.u_stride,
                   <const real *> call.weights_in + alone * n_units, <const real *> call.bias_in + alone,
                   q_k_v + alone, b.in_stride)
    for head in range(call.n_heads):
        if call.last_weights != NULL:
            last_weights = <real *> call.last_weights + (r * call.n_heads + head) * call.max_steps
        head_forward(call, b, slot, length, head, last_weights)
    biased_product(length - first, n_units, b.out_width, b.heads + (slot + first) * b.heads_stride, b.heads_stride,
                   <const real *> call.weights_out, <const real *> call.bias_out, b.rows, b.out_stride)
    for t in range(first, length):
        y = <const real *> call.y + (t * call.n_samples + r) * stride
        out = <real *> call.out + (t * call.n_samples + r) * stride
        row = b.rows + (t - first) * b.out_stride
        for j in range(stride):
            out[j] = y[j] + row[j]


cdef void attention_forward(const AttentionCall *call) noexcept nogil:
    """The block over all sequences of the chunk."""
    cdef AttentionBuffers b
    cdef Py_ssize_t r
    lay_out_attention(call.n_samples, call.n_steps, call.n_units, call.n_heads, call.training, <char *> call.workspace,
                      &b)
    position_encoding(call.n_steps, call.n_units, call.stride, b.positions)
    for r in range(call.n_samples):
        if call.interrupted != NULL and call.interrupted(call.interrupt_context):
            return
        sequence_forward(call, &b, r)
