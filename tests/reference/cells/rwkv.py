"""Time mixing of RWKV-4 (Peng et al. 2023, "RWKV: reinventing RNNs for the transformer era", section 3.1)."""

import numpy as np
from scipy.special import expit as sigmoid

from reference.cells.states import StateCell


class RWKV(StateCell):
    """Receptance, key and value of this step and of the one before, and the WKV average (eqs. 11 to 16)::

    r, k, v = W x_t + b + [W' x + b']_(t-1)               token shift: W the product of W_r and mu_r, W' that of W_r
                                                          and 1 - mu_r; the blocks of W' are r_1, k_1, v_1
    wkv = (sum_i exp(k_i - (t - 1 - i) w) v_i + exp(u + k_t) v_t) / (the same without v)      i < t
    output = sigmoid(r) wkv                               w = exp(time_decay), u = time_first

    The sums over i are carried as their quotient a and the logarithm l of the denominator, not as numerator and
    denominator, and with whether there was a step (then positive). States: a, l, that; r_1, k_1, v_1.
    """

    x = sums = ("r", "k", "v", "r_1", "k_1", "v_1")

    @classmethod
    def count(cls):
        return 6, {"weight_time_decay": 1, "weight_time_first": 1}

    @classmethod
    def step(cls, x, product, b, own, parameters):
        a, log_sum, begun, *shifted = own.reshape(6, -1)
        r, k, v, *next_shifted = (x[name] + b[name] for name in cls.x)
        r, k, v = (now + before for now, before in zip((r, k, v), shifted, strict=True))
        decay, first = np.exp(parameters["weight_time_decay"][0]), parameters["weight_time_first"][0]
        before = np.where(begun > 0.0, log_sum, -np.inf)
        weights = np.exp(np.stack([before, first + k]) - np.maximum(before, first + k))
        wkv = (weights[0] * a + weights[1] * v) / weights.sum(axis=0)
        faded = before - decay
        weights = np.exp(np.stack([faded, k]) - np.maximum(faded, k))
        a = (weights[0] * a + weights[1] * v) / weights.sum(axis=0)
        states = [a, np.logaddexp(faded, k), np.ones_like(a), *next_shifted]
        return sigmoid(r) * wkv, np.concatenate(states)
