"""Closed-form continuous-time networks (Hasani et al. 2022)."""

import numpy as np
from scipy.special import expit as sigmoid


def between(f_1, f_2, t_a, t_b, parameters):
    """The state after the time gap of the step."""
    t = sigmoid(t_a * parameters.get("gap", 1.0) + t_b)
    return np.tanh(f_1) * (1.0 - t) + t * np.tanh(f_2)


class CfC:
    """The four products straight from x and h::

    f_1, f_2 = tanh(W x + U h + b)
    t_a, t_b = W x + U h + b
    t = sigmoid(t_a * gap + t_b)
    h' = f_1 * (1 - t) + t * f_2
    """

    x = h = sums = ("f_1", "f_2", "t_a", "t_b")
    own = None

    @staticmethod
    def step(x, product, b, own, parameters):
        u = product()
        new = between(*(x[k] + u[k] + b[k] for k in CfC.sums), parameters)
        return new, new


class CfCBackbone:
    """The four products from a layer before them::

    z = 1.7159 * tanh(0.666 * (W_z x + U_z h + b_z))
    f_1, f_2, t_a, t_b, h' as in `CfC`, with V z in the place of W x + U h
    """

    x = ("z",)
    h = sums = ("z", "f_1", "f_2", "t_a", "t_b")
    own = None

    @staticmethod
    def step(x, product, b, own, parameters):
        z = 1.7159 * np.tanh(0.666 * (x["z"] + product(("z",))["z"] + b["z"]))
        u = product(CfC.sums, of=z)
        new = between(*(u[k] + b[k] for k in CfC.sums), parameters)
        return new, new
