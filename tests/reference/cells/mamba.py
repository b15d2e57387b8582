"""Selective state space.

Gu & Dao 2023, "Mamba: linear-time sequence modeling with selective state spaces", algorithm 2.
"""

import numpy as np
from scipy.special import expit as sigmoid

from reference.cells.states import StateCell

# Where a factor of a product of several is cut, so that it stays in the range of single precision.
LIMIT = 1e3


def cut(a):
    return np.clip(a, -LIMIT, LIMIT)


class Mamba(StateCell):
    """The block of figure 3 between its projections, with the scan of ``mamba_simple.py``::

    u, z = W x + b
    a_t = sum_j conv_j u_(t - 3 + j) + conv_bias          j = 0 .. 3
    v = a sigmoid(a)
    low, B, C = W_x v                                     R, N and N numbers of the whole row
    delta = log(1 + exp(low W_dt + bias_dt))
    s'_n = exp(-delta exp(log_a_n)) s_n + delta B_n v
    y = sum_n C_n s'_n + D v
    output = y z sigmoid(z)

    The sum of v, z, low, B, C and the sum of delta are cut at -1000 and 1000. States: s (N), then u of the last three
    steps, the last one first. Numbers: N, R.
    """

    x = sums = ("u", "z")
    numbers = (16, 4)

    @classmethod
    def count(cls, n, rank):
        return n + 3, {
            "weight_conv": 4,
            "bias_conv": 1,
            "weight_x": rank + 2 * n,
            "weight_dt": rank,
            "bias_dt": 1,
            "weight_log_a": n,
            "weight_d": 1,
        }

    @classmethod
    def step(cls, x, product, b, own, parameters):
        (n, rank), p = cls.numbers, parameters
        u, z = x["u"] + b["u"], cut(x["z"] + b["z"])
        states = own.reshape(n + 3, -1)
        before, window = states[:n], np.concatenate([states[n:][::-1], u[np.newaxis]])
        a = cut((p["weight_conv"] * window).sum(axis=0) + p["bias_conv"][0])
        v = a * sigmoid(a)
        low, b_row, c_row = np.split(cut(p["weight_x"] @ v), [rank, rank + n])
        delta = np.logaddexp(0.0, cut(low @ p["weight_dt"] + p["bias_dt"][0]))
        s = np.exp(-delta * np.exp(p["weight_log_a"])) * before + b_row[:, np.newaxis] * (delta * v)
        y = c_row @ s + p["weight_d"][0] * v
        return y * z * sigmoid(z), np.concatenate([s, window[:0:-1]]).ravel()
