/* The LSTM cell (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000):
 *   i, f, o = sigmoid(.)   g = tanh(.)   c_t = f c_{t-1} + i g   h_t = o tanh(c_t)
 * Peepholes and the normalised c: lstm_row.h.
 */
SKLSTM_INLINE void lstm_activate(vec *z) { v_gates(z); }

SKLSTM_INLINE void lstm_forward(const int n, CellForward *s) {
    EACH s->c[j] = v_fma(v_load(s->sums[j] + LANES), s->c[j], v_mul(v_load(s->sums[j]), v_load(s->sums[j] + 2 * LANES)));
    EACH s->h[j] = s->c[j];
    v_tanh(n, s->h);
    if (s->gates) EACH keep(s->compact, SYMMETRIC, s->kept, s->u[j], s->h[j]);
    EACH s->h[j] = v_mul(v_load(s->sums[j] + 3 * LANES), s->h[j]);
}

SKLSTM_INLINE void lstm_backward(CellBackward *s) {
    const vec one = v_broadcast(1);
    vec i, f, g, o;
    kept_pair(s->compact, UNIT, UNIT, s->gates, 0, &i, &f);
    kept_pair(s->compact, SYMMETRIC, UNIT, s->gates, 2 * LANES, &g, &o);
    const vec t = kept_once(s->compact, SYMMETRIC, s->kept, 0);
    const vec dc = v_fma(s->d_h, v_mul(o, v_sub(one, v_mul(t, t))), s->d_c);
    s->d_sums[0] = v_mul(v_mul(dc, g), v_mul(i, v_sub(one, i)));
    s->d_sums[1] = v_mul(v_mul(dc, s->c_prev), v_mul(f, v_sub(one, f)));
    s->d_sums[2] = v_mul(v_mul(dc, i), v_sub(one, v_mul(g, g)));
    s->d_sums[3] = v_mul(v_mul(s->d_h, t), v_mul(o, v_sub(one, o)));
    s->d_c = v_fma(dc, f, s->direct_c);
}

#include "lstm_row.h"

static const Cell lstm = {
    .name = "lstm", .sums = "i f g o", .driver = RECURRENT, .n_sums = 4, .units = 1, .x_count = 4, .h_count = 4, .has_c = 1,
    .n_kept = 1, .ranges = {UNIT, UNIT, SYMMETRIC, UNIT},
    .n_vectors = 3, .vectors_are_optional = 1, .normalises_state = 1, .activate = lstm_activate,
    .forward = lstm_forward, .backward = lstm_backward, .row_forward = lstm_row_forward, .row_backward = lstm_row_backward,
};
