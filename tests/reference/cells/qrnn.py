"""Quasi-recurrent networks with a window of two or three inputs (Bradbury et al. 2016)."""

import numpy as np
from scipy.special import expit as sigmoid

from reference.cells.states import StateCell


class QRNNf(StateCell):
    """Eqs. 2 and 3, and f-pooling::

    z = tanh(W_z x_t + b_z + [W'_z x + b'_z]_(t-1))       the blocks of W' are z_next, f_next
    f = sigmoid(W_f x_t + b_f + [W'_f x + b'_f]_(t-1))
    output = f * h + (1 - f) * z

    The masked convolution reads zeros before the first row: there is no W' x + b' at the first step. States: h, then
    what W' gives to the next step.
    """

    gates = ("z", "f")
    later = ("next",)
    x = sums = ("z", "f", "z_next", "f_next")

    @classmethod
    def count(cls):
        return 1 + len(cls.gates) * len(cls.later), {}

    @staticmethod
    def pool(gates, c):
        new = gates["f"] * c + (1.0 - gates["f"]) * gates["z"]
        return new, new

    @classmethod
    def step(cls, x, product, b, own, parameters):
        c, *carried = own.reshape(cls.n_states, -1)
        # What earlier rows add to each gate: of this step, of the next, ...
        added = dict(zip([(name, k) for k in range(len(cls.later)) for name in cls.gates], carried, strict=True))
        gates = {name: (np.tanh if name == "z" else sigmoid)(x[name] + b[name] + added[name, 0]) for name in cls.gates}
        output, c = cls.pool(gates, c)
        following = [
            x[f"{name}_{word}"] + b[f"{name}_{word}"] + added.get((name, k + 1), 0.0)
            for k, word in enumerate(cls.later)
            for name in cls.gates
        ]
        return output, np.concatenate([c, *following])


class QRNNfo(QRNNf):
    """fo-pooling: ``c' = f * c + (1 - f) * z``, ``output = o * c'``."""

    gates = ("z", "f", "o")
    x = sums = ("z", "f", "o", "z_next", "f_next", "o_next")

    @staticmethod
    def pool(gates, c):
        new = gates["f"] * c + (1.0 - gates["f"]) * gates["z"]
        return gates["o"] * new, new


class QRNNifo(QRNNf):
    """ifo-pooling: ``c' = f * c + i * z``, ``output = o * c'``."""

    gates = ("z", "f", "o", "i")
    x = sums = ("z", "f", "o", "i", "z_next", "f_next", "o_next", "i_next")

    @staticmethod
    def pool(gates, c):
        new = gates["f"] * c + gates["i"] * gates["z"]
        return gates["o"] * new, new


class OfThreeInputs:
    """A window of three inputs: blocks z_later, f_later, ... of W'', which x_(t-2) is multiplied by."""

    later = ("next", "later")


class QRNNf3(OfThreeInputs, QRNNf):
    x = sums = (*QRNNf.x, "z_later", "f_later")


class QRNNfo3(OfThreeInputs, QRNNfo):
    x = sums = (*QRNNfo.x, "z_later", "f_later", "o_later")


class QRNNifo3(OfThreeInputs, QRNNifo):
    x = sums = (*QRNNifo.x, "z_later", "f_later", "o_later", "i_later")
