"""Multiplicative LSTM (Krause et al. 2016)."""

import numpy as np
from scipy.special import expit as sigmoid


class MultiplicativeLSTM:
    """Equations 9 and 15 to 19, with a bias for each factor of m::

    m = (W_m x + b_mx) * (U_m h + b_mh)
    i, f, o = sigmoid(W x + U m + b)
    g = tanh(W x + U m + b)
    c' = f * c + i * g
    h' = o * tanh(c')
    """

    x = h = ("m", "i", "f", "g", "o")
    sums = ("m_x", "i", "f", "g", "o", "m_h")
    own = "c"

    @staticmethod
    def step(x, product, b, own, parameters):
        m = (x["m"] + b["m_x"]) * (product(("m",))["m"] + b["m_h"])
        u = product(("i", "f", "g", "o"), of=m)
        i, f, o = (sigmoid(x[k] + u[k] + b[k]) for k in ("i", "f", "o"))
        new = f * own + i * np.tanh(x["g"] + u["g"] + b["g"])
        return o * np.tanh(new), new
