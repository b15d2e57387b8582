"""The simple recurrent network (Elman 1990)."""

import numpy as np
from scipy.special import expit


class Elman:
    """``h' = tanh(W x + U h + b)``."""

    x = h = sums = ("n",)
    own = None
    activation = staticmethod(np.tanh)

    @classmethod
    def step(cls, x, product, b, own, parameters):
        return cls.activation(x["n"] + product()["n"] + b["n"]), None


class ElmanReLU(Elman):
    """``h' = max(0, W x + U h + b)``."""

    activation = staticmethod(lambda a: np.maximum(a, 0.0))


class ElmanSoftsign(Elman):
    """``h' = a / (1 + |a|)``, a the sum."""

    activation = staticmethod(lambda a: a / (1.0 + np.abs(a)))


class ElmanSiLU(Elman):
    """``h' = a sigmoid(a)``, a the sum."""

    activation = staticmethod(lambda a: a * expit(a))
