"""Long short-term memory (Hochreiter & Schmidhuber 1997; Gers et al. 2000)."""

import numpy as np
from scipy.special import expit as sigmoid

EPSILON = 1e-5


class LSTM:
    """With peepholes (Sak et al. 2014) and a normalised c (Ba et al. 2016, eq. 22) where parameters name them::

    i = sigmoid(W_i x + U_i h + b_i + p_i * c)
    f = sigmoid(W_f x + U_f h + b_f + p_f * c)
    g = tanh   (W_g x + U_g h + b_g)
    c' = f * c + i * g
    o = sigmoid(W_o x + U_o h + b_o + p_o * c')
    output = o * tanh(c')   or   o * tanh(gain * N(c') + shift)
    """

    x = h = sums = ("i", "f", "g", "o")
    own = "c"

    @staticmethod
    def step(x, product, b, own, parameters):
        u = product()
        p_i, p_f, p_o = parameters.get("weight_peephole", np.zeros((3, 1)))
        i = sigmoid(x["i"] + u["i"] + b["i"] + p_i * own)
        f = sigmoid(x["f"] + u["f"] + b["f"] + p_f * own)
        g = np.tanh(x["g"] + u["g"] + b["g"])
        c = f * own + i * g
        o = sigmoid(x["o"] + u["o"] + b["o"] + p_o * c)
        seen = c
        if "norm_weight_c" in parameters:
            deviation = np.sqrt(np.mean((c - c.mean()) ** 2) + EPSILON)
            seen = parameters["norm_weight_c"] * (c - c.mean()) / deviation + parameters["norm_bias_c"]
        return o * np.tanh(seen), c
