"""Multi-scale retention.

Sun et al. 2023, "Retentive network: a successor to transformer for large language models".
"""

import numpy as np

from reference.cells.states import StateCell, heads, silu

EPSILON = 1e-6


class Retention(StateCell):
    """The recurrent form (eq. 6) and the gate (eq. 8); heads of d units, the last one of what is left::

    q, k, v, g = W x + b
    gamma = 1 - 2^(-5 - head)
    S' = gamma R S + (k / sqrt(d)) v^T                    R turns rows 2 j and 2 j + 1 of S by -10000^(-2 j / d)
    y = q S'
    output = g sigmoid(g) y / sqrt(mean(y^2) + 1e-6)      the mean over the units of the head

    R is the rotation of xPos, ``(q e^(i n theta)) (k e^(i m theta))^*``, applied to the state instead of the steps'
    numbers n. States: row j of S of each head is vector j. Numbers: d, 1 with rotation.
    """

    x = sums = ("q", "k", "v", "g")
    numbers = (16, 1)

    @classmethod
    def count(cls, size, rotates):
        return size, {}

    @classmethod
    def step(cls, x, product, b, own, parameters):
        size, rotates = cls.numbers
        q, k, v, g = (x[name] + b[name] for name in cls.x)
        state, new, y = own.reshape(size, -1), own.reshape(size, -1).copy(), np.zeros(len(q))
        for head, units in enumerate(heads(len(q), size)):
            s = state[: len(units), units]
            if rotates:
                s = turn(s, size)
            s = (1.0 - 2.0 ** (-5 - head)) * s + np.outer(k[units], v[units]) / np.sqrt(size)
            out = q[units] @ s
            y[units] = out / np.sqrt(np.mean(out**2) + EPSILON)
            new[: len(units), units] = s
        return silu(g) * y, new.ravel()


def turn(s, size):
    """Rows 2 j and 2 j + 1 as real and imaginary parts, multiplied by exp(-i theta_j); an odd last row stays."""
    n = len(s) // 2
    angle = 10000.0 ** (-2.0 * np.arange(n) / size)
    turned = (s[0 : 2 * n : 2] + 1j * s[1 : 2 * n : 2]) * np.exp(-1j * angle)[:, np.newaxis]
    out = s.copy()
    out[0 : 2 * n : 2], out[1 : 2 * n : 2] = turned.real, turned.imag
    return out
