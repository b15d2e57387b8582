"""Minimal gated unit (Zhou et al. 2016)."""

import numpy as np
from scipy.special import expit as sigmoid


class MGU:
    """One gate, which takes the parts of both gates of the GRU::

    f = sigmoid(W_f x + U_f h + b_f)
    n = tanh(W_n x + U_n (f * h) + b_n)
    h' = (1 - f) * h + f * n
    """

    x = h = sums = ("f", "n")
    own = "h"

    @staticmethod
    def step(x, product, b, own, parameters):
        f = sigmoid(x["f"] + product(("f",))["f"] + b["f"])
        n = np.tanh(x["n"] + product(("n",), f)["n"] + b["n"])
        new = (1.0 - f) * own + f * n
        return new, new
