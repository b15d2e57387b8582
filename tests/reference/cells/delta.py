"""A recurrent cell with one gate, of how far to go towards the candidate."""

import numpy as np
from scipy.special import expit as sigmoid


class Delta:
    """Between the Elman cell and the GRU: the update gate without the reset gate::

    d = sigmoid(W_d x + U_d h + b_d)
    n = tanh(W_n x + U_n h + b_n)
    h' = (1 - d) * h + d * n
    """

    x = h = sums = ("d", "n")
    own = "h"

    @staticmethod
    def step(x, product, b, own, parameters):
        u = product()
        d = sigmoid(x["d"] + u["d"] + b["d"])
        n = np.tanh(x["n"] + u["n"] + b["n"])
        new = (1.0 - d) * own + d * n
        return new, new
