"""Minimal GRU (Feng et al. 2024, section 3.1, and the candidate of its appendix B)."""

import numpy as np
from scipy.special import expit as sigmoid

from reference.cells.elman import ElmanReLU, ElmanSiLU, ElmanSoftsign


def positive(a):
    """``g(a) = a + 1/2`` for ``a >= 0``, ``sigmoid(a)`` below: continuous, and above zero."""
    return np.where(a >= 0.0, a + 0.5, sigmoid(a))


class MinGRU:
    """Gate and candidate are functions of the input alone::

    z = sigmoid(W_z x + b_z)
    n = g(W_n x + b_n)
    h' = (1 - z) * h + z * n
    """

    x = sums = ("z", "n")
    h = ()
    own = "h"
    candidate = staticmethod(positive)

    @classmethod
    def step(cls, x, product, b, own, parameters):
        z = sigmoid(x["z"] + b["z"])
        n = cls.candidate(x["n"] + b["n"])
        new = (1.0 - z) * own + z * n
        return new, new


class MinGRUTanh(MinGRU):
    """The same with ``n = tanh(W_n x + b_n)``."""

    candidate = staticmethod(np.tanh)


class MinGRUReLU(MinGRU):
    """The same with relu."""

    candidate = staticmethod(ElmanReLU.activation)


class MinGRUSoftsign(MinGRU):
    """The same with softsign."""

    candidate = staticmethod(ElmanSoftsign.activation)


class MinGRUSiLU(MinGRU):
    """The same with SiLU."""

    candidate = staticmethod(ElmanSiLU.activation)
