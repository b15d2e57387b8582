"""Linear attention (Katharopoulos et al. 2020, "Transformers are RNNs", eqs. 16 to 20)."""

import numpy as np

from reference.cells.states import StateCell, heads

EPSILON = 1e-6


def feature_map(a):
    """``elu(a) + 1``; at least e^-80, so that a sum of these is not zero."""
    return np.where(a > 0.0, a + 1.0, np.exp(np.clip(a, -80.0, 0.0)))


class LinearAttention(StateCell):
    """Heads of d units, the last one of what is left; phi(a) = elu(a) + 1::

    q, k, v = W x + b
    S' = S + phi(k) v^T        z' = z + phi(k)
    output = phi(q) S' / (phi(q) z' + 1e-6)

    phi(q) is divided by its sum over the head first, which changes 1e-6 alone. States: row j of S of each head is
    vector j, then z. Numbers: d.
    """

    x = sums = ("q", "k", "v")
    numbers = (16,)

    @classmethod
    def count(cls, size):
        return size + 1, {}

    @classmethod
    def step(cls, x, product, b, own, parameters):
        size = cls.numbers[0]
        q, k, v = (x[name] + b[name] for name in cls.x)
        states = own.reshape(size + 1, -1).copy()
        output = np.zeros(len(q))
        for units in heads(len(q), size):
            states[: len(units), units] += np.outer(feature_map(k[units]), v[units])
            states[size, units] += feature_map(k[units])
            weights = feature_map(q[units]) / feature_map(q[units]).sum()
            output[units] = weights @ states[: len(units), units] / (weights @ states[size, units] + EPSILON)
        return output, states.ravel()
