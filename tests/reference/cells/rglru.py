"""Real-gated linear recurrent unit (De et al. 2024, Griffin)."""

import numpy as np
from scipy.special import expit as sigmoid

from reference.cells.states import StateCell


def linear_step(x, b, h, v, parameters):
    """The new h from what enters: eqs. 1 to 4 and 6 with c = 8."""
    r, i = sigmoid(x["r"] + b["r"]), sigmoid(x["i"] + b["i"])
    log_a = -8.0 * np.logaddexp(0.0, parameters["bias_decay"][0]) * r
    return np.exp(log_a) * h + np.sqrt(-np.expm1(2.0 * log_a)) * i * v


class RGLRU:
    """Eqs. 1 to 4 and 6 with c = 8, its input v a product of the layer::

    r = sigmoid(W_r x + b_r)
    i = sigmoid(W_i x + b_i)
    log a = -8 softplus(p) r
    h' = a * h + sqrt(1 - a^2) * (i * (W_v x + b_v))
    """

    x = sums = ("r", "i", "v")
    h = ()
    own = "h"
    vectors = {"bias_decay": 1}

    @staticmethod
    def step(x, product, b, own, parameters):
        new = linear_step(x, b, own, x["v"] + b["v"], parameters)
        return new, new


class RGLRUConvolution(StateCell):
    """The same with the depthwise convolution of the recurrent block of the paper, of width 4::

    v_t = W_v x_t + b_v         h' = a * h + sqrt(1 - a^2) * (i * (w_0 v_t + w_1 v_(t-1) + w_2 v_(t-2) + w_3 v_(t-3)))

    States: h, v_(t-1), v_(t-2), v_(t-3).
    """

    x = sums = ("r", "i", "v")

    @classmethod
    def count(cls):
        return 4, {"bias_decay": 1, "weight_convolution": 4}

    @classmethod
    def step(cls, x, product, b, own, parameters):
        h, *before = own.reshape(4, -1)
        values = [x["v"] + b["v"], *before]
        v = sum(w * value for w, value in zip(parameters["weight_convolution"], values, strict=True))
        new = linear_step(x, b, h, v, parameters)
        return new, np.concatenate([new, *values[:3]])
