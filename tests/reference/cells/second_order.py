"""Second-order recurrent network, whose weight tensor is a sum of outer products (CP decomposition)."""

import numpy as np


class SecondOrder:
    """Lizaire et al. 2024, eq. 4, with a bias for each factor::

    p = A x + b_p
    q = B h + b_q
    h' = tanh(C (p * q) + W x + U h + b)
    """

    x = ("p", "h")
    h = ("q", "h", "c")
    sums = ("p", "h", "q")
    own = None

    @staticmethod
    def step(x, product, b, own, parameters):
        u = product(("q", "h"))
        p, q = x["p"] + b["p"], u["q"] + b["q"]
        new = np.tanh(product(("c",), of=p * q)["c"] + x["h"] + u["h"] + b["h"])
        return new, new
