"""Gated recurrent unit (Cho et al. 2014), in its two forms."""

import numpy as np
from scipy.special import expit as sigmoid


class GRU:
    """The reset gate after the product, as in PyTorch and Keras::

    r = sigmoid(W_r x + U_r h + b_r)
    z = sigmoid(W_z x + U_z h + b_z)
    n = tanh(W_n x + b_nx + r * (U_n h + b_nh))
    h' = (1 - z) * n + z * h
    """

    x = h = ("r", "z", "n")
    sums = ("r", "z", "n_x", "n_h")
    own = "h"

    @staticmethod
    def step(x, product, b, own, parameters):
        u = product()
        r, z = (sigmoid(x[k] + u[k] + b[k]) for k in ("r", "z"))
        n = np.tanh(x["n"] + b["n_x"] + r * (u["n"] + b["n_h"]))
        new = (1.0 - z) * n + z * own
        return new, new


class GRUResetBefore:
    """The reset gate before the product, as published, and ONNX's ``linear_before_reset=0``::

    r = sigmoid(W_r x + U_r h + b_r)
    z = sigmoid(W_z x + U_z h + b_z)
    n = tanh(W_n x + U_n (r * h) + b_n)
    h' = (1 - z) * n + z * h
    """

    x = h = sums = ("r", "z", "n")
    own = "h"

    @staticmethod
    def step(x, product, b, own, parameters):
        u = product(("r", "z"))
        r, z = (sigmoid(x[k] + u[k] + b[k]) for k in ("r", "z"))
        n = np.tanh(x["n"] + product(("n",), r)["n"] + b["n"])
        new = (1.0 - z) * n + z * own
        return new, new
