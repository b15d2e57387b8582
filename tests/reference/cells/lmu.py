"""Legendre memory units (Voelker et al. 2019), with a memory for each unit."""

import numpy as np
from scipy.signal import cont2discrete

from reference.cells.states import StateCell


def legendre_matrices(order, theta):
    """A and B of equations 1 and 2 for one step of a window of `theta`, by a zero-order hold."""
    a, b = np.zeros((order, order)), np.zeros((order, 1))
    for i in range(order):
        b[i] = (2 * i + 1) * (-1.0) ** i / theta
        for j in range(order):
            a[i, j] = (2 * i + 1) / theta * (-1.0 if i < j else (-1.0) ** (i - j + 1))
    found = cont2discrete((a, b, np.ones((1, order)), np.zeros((1, 1))), 1.0, method="zoh")
    return found[0], found[1][:, 0]


class LMU(StateCell):
    """Equations 3 to 5, with one u and one memory m of `order` numbers for each unit::

    u = E_x x + E_h h + b_u + sum_k e_k m_k
    m' = A m + B u
    h' = tanh(W_x x + W_h h + b_h + sum_k w_k m'_k)

    Numbers: order, theta.
    """

    x = h = sums = ("u", "h")
    numbers = (8, 32)

    @classmethod
    def count(cls, order, theta):
        return order, {"weight_memory_in": order, "weight_memory_out": order}

    @classmethod
    def step(cls, x, product, b, own, parameters):
        y, (order, theta) = product(), cls.numbers
        m = own.reshape(order, -1)
        u = x["u"] + y["u"] + b["u"] + (parameters["weight_memory_in"] * m).sum(axis=0)
        a, scale = legendre_matrices(order, theta)
        m = a @ m + scale[:, np.newaxis] * u
        return np.tanh(x["h"] + y["h"] + b["h"] + (parameters["weight_memory_out"] * m).sum(axis=0)), m.ravel()
