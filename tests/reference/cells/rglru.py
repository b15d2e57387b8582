"""Real-gated linear recurrent unit (De et al. 2024, Griffin)."""

import numpy as np
from scipy.special import expit as sigmoid


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
        r, i = sigmoid(x["r"] + b["r"]), sigmoid(x["i"] + b["i"])
        log_a = -8.0 * np.logaddexp(0.0, parameters["bias_decay"][0]) * r
        new = np.exp(log_a) * own + np.sqrt(-np.expm1(2.0 * log_a)) * i * (x["v"] + b["v"])
        return new, new
