"""Linear recurrent unit (Orvieto et al. 2023, "Resurrecting recurrent neural networks for long sequences")."""

import numpy as np

from reference.cells.states import StateCell


class HalvesCell(StateCell):
    """H units carry floor(H / 2) complex states: units u and u + floor(H / 2) hold the real and the imaginary part.

    An odd last unit is a state whose imaginary part is not read and stays zero.
    """

    x = sums = ("v",)

    @staticmethod
    def pair(halves):
        """The complex numbers of a vector of halves, that of an odd unit last."""
        n = len(halves) // 2
        return np.concatenate([halves[:n] + 1j * halves[n : 2 * n], halves[2 * n :]])

    @staticmethod
    def halves(pairs, hidden_size):
        n = hidden_size // 2
        return np.concatenate([pairs[:n].real, pairs[:n].imag, pairs[n:].real])

    @classmethod
    def step(cls, x, product, b, own, parameters):
        v = x["v"] + b["v"]
        decay, gained = cls.discretise(v, parameters)
        s = decay * cls.pair(own) + gained
        s = cls.halves(s, len(v))
        return s + parameters["weight_d"][0] * v, s


class LRU(HalvesCell):
    """Eqs. 6 to 8 of the paper; B is ``weight_ih``, its rows halves of real and imaginary parts::

    lambda = exp(-exp(log_nu) + i exp(log_theta))         log_nu and log_theta the halves of row 0 of ``weight_lambda``
    s' = lambda s + exp(log_gamma) (B x + b)
    output = [Re s', Im s'] + d (B x + b)                 C, which reads it, is the projection or the next layer

    log_gamma, row 1, has a number for each half. An odd last unit has no log_theta: its lambda is exp(-exp(.)).
    """

    # of the starting values only
    numbers = (0, 1_000_000, 1_000_000)

    @classmethod
    def count(cls, *numbers):
        return 1, {"weight_lambda": 2, "weight_d": 1}

    @classmethod
    def discretise(cls, v, parameters):
        exponent = cls.pair(np.exp(parameters["weight_lambda"][0]))
        decay = np.exp(-exponent.real + 1j * exponent.imag)
        return decay, cls.pair(np.exp(parameters["weight_lambda"][1]) * v)
