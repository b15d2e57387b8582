"""Simple recurrent unit (Lei et al. 2018)."""

from scipy.special import expit as sigmoid


class SRU:
    """Eqs. 3 to 6, with the highway through a matrix of its own, as sizes need it::

    f = sigmoid(W_f x + v_f * c + b_f)
    r = sigmoid(W_r x + v_r * c + b_r)
    c' = f * c + (1 - f) * (W_n x + b_n)
    output = r * c' + (1 - r) * (W_s x + b_s)
    """

    x = sums = ("f", "r", "n", "s")
    h = ()
    own = "c"
    vectors = {"weight_recurrent": 2}

    @staticmethod
    def step(x, product, b, own, parameters):
        v_f, v_r = parameters["weight_recurrent"]
        f = sigmoid(x["f"] + v_f * own + b["f"])
        r = sigmoid(x["r"] + v_r * own + b["r"])
        c = f * own + (1.0 - f) * (x["n"] + b["n"])
        return r * c + (1.0 - r) * (x["s"] + b["s"]), c
