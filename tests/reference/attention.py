"""What stands between the top layer and the head, written from the equations: pooling and self-attention.

Pooling of the outputs y_1 .. y_T of one sequence: their mean, or (Zhou et al. 2016, "Attention-based bidirectional LSTM
networks for relation classification", eqs. 9 to 11) ``sum_t a_t y_t`` with ``a = softmax(w . tanh(y_t))``.

The self-attention block (Vaswani et al. 2017, section 3.2; the normalisation first, as Xiong et al. 2020) is
``out = y + concat(heads) W_out^T + b_out``, ``head = softmax(q k^T / sqrt(d)) v``, and q, k, v the thirds of
``(LN(y) + PE) W_in^T + b_in``: matrices as PyTorch keeps them, (columns written, columns read).
"""

import numpy as np

EPSILON = 1e-5


def softmax(scores):
    """Over the last axis; minus infinity has no weight."""
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def mean_pooling(y):
    """(T, S) -> (S,)."""
    return y.mean(axis=0)


def attention_pooling(y, w):
    """(T, S), (S,) -> feature (S,), weights of the steps (T,)."""
    weights = softmax(np.array([w @ np.tanh(row) for row in y]))
    return sum(a * row for a, row in zip(weights, y, strict=True)), weights


def position_encoding(n_steps, size):
    """Sines in the even columns, cosines in the odd ones (Vaswani et al. 2017, section 3.5)."""
    table = np.zeros((n_steps, size))
    for t in range(n_steps):
        for j in range(size):
            angle = t / 10000 ** ((j - j % 2) / size)
            table[t, j] = np.cos(angle) if j % 2 else np.sin(angle)
    return table


def scaled_dot_product_attention(q, k, v, *, causal=False):
    """One head: (T, d) each -> outputs (T, d), weights (T, T)."""
    scores = q @ k.T / np.sqrt(q.shape[1])
    if causal:
        scores = np.where(np.tri(len(q), dtype=bool), scores, -np.inf)
    weights = softmax(scores)
    return weights @ v, weights


def multi_head_attention(u, parameters, n_heads, *, causal=False):
    """Outputs (T, S) and weights (heads, T, T) of one sequence; `weight_in` (3 S, S), `weight_out` (S, S)."""
    q, k, v = np.split(u @ parameters["weight_in"].T + parameters["bias_in"], 3, axis=1)
    heads = [
        scaled_dot_product_attention(*one, causal=causal)
        for one in zip(*(np.split(part, n_heads, axis=1) for part in (q, k, v)), strict=True)
    ]
    concat = np.concatenate([out for out, _ in heads], axis=1)
    return concat @ parameters["weight_out"].T + parameters["bias_out"], np.array([weights for _, weights in heads])


def attention_block(y, parameters, n_heads, *, causal=False):
    """The residual block over one sequence.

    Parameters
    ----------
    y : (T, S)
    parameters : dict
        `gain`, `shift` (S,), `weight_in` (3 S, S), `bias_in` (3 S,), `weight_out` (S, S), `bias_out` (S,).
    n_heads : int
    causal : bool

    Returns
    -------
    out : (T, S)
    weights : (heads, T, T)
    """
    centred = y - y.mean(axis=1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=1, keepdims=True) + EPSILON)
    u = parameters["gain"] * centred / deviation + parameters["shift"] + position_encoding(*y.shape)
    out, weights = multi_head_attention(u, parameters, n_heads, causal=causal)
    return y + out, weights
