"""Minimal LSTM (Feng et al. 2024, section 3.2)."""

import numpy as np
from scipy.special import expit as sigmoid

from reference.cells.elman import ElmanReLU, ElmanSiLU, ElmanSoftsign
from reference.cells.mingru import positive


class MinLSTM:
    """Two gates that are scaled to a sum of one::

    f = sigmoid(W_f x + b_f)
    i = sigmoid(W_i x + b_i)
    n = g(W_n x + b_n)
    h' = f / (f + i) * h + i / (f + i) * n

    Both gates may be too small for their sum to be divided by: ``f / (f + i) = sigmoid(log f - log i)``.
    """

    x = sums = ("f", "i", "n")
    h = ()
    own = "h"
    candidate = staticmethod(positive)

    @classmethod
    def step(cls, x, product, b, own, parameters):
        log_f, log_i = (-np.logaddexp(0.0, -(x[k] + b[k])) for k in ("f", "i"))
        n = cls.candidate(x["n"] + b["n"])
        new = sigmoid(log_f - log_i) * own + sigmoid(log_i - log_f) * n
        return new, new


class MinLSTMTanh(MinLSTM):
    """The same with ``n = tanh(W_n x + b_n)``."""

    candidate = staticmethod(np.tanh)


class MinLSTMReLU(MinLSTM):
    """The same with relu."""

    candidate = staticmethod(ElmanReLU.activation)


class MinLSTMSoftsign(MinLSTM):
    """The same with softsign."""

    candidate = staticmethod(ElmanSoftsign.activation)


class MinLSTMSiLU(MinLSTM):
    """The same with SiLU."""

    candidate = staticmethod(ElmanSiLU.activation)
