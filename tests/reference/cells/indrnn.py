"""Recurrent cells whose units read their own previous h only."""

import numpy as np

from reference.cells.elman import ElmanSiLU, ElmanSoftsign


class IndRNN:
    """Li et al. 2018, eq. 3, one recurrent weight u for each unit::

    h' = relu(W x + u * h + b)
    """

    x = sums = ("h",)
    h = ()
    own = "h"
    vectors = {"weight_recurrent": 1}

    @staticmethod
    def activation(a):
        return np.maximum(a, 0.0)

    @classmethod
    def step(cls, x, product, b, own, parameters):
        new = cls.activation(x["h"] + parameters["weight_recurrent"][0] * own + b["h"])
        return new, new


class IndRNNTanh(IndRNN):
    """The same with tanh."""

    activation = staticmethod(np.tanh)


class IndRNNSoftsign(IndRNN):
    """The same with softsign."""

    activation = staticmethod(ElmanSoftsign.activation)


class IndRNNSiLU(IndRNN):
    """The same with SiLU."""

    activation = staticmethod(ElmanSiLU.activation)
