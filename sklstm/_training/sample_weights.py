"""Weights of samples against their mean, over all calls of a training that goes on."""

from math import ldexp

import numpy as np


def in_unit_range(weights):
    """Return the weights times a power of two, the largest then below 1, and the exponent that was taken away.

    It costs no bit and brings any weights into the range of float32.
    """
    exponent = int(np.frexp(weights.max())[1])
    return np.ldexp(weights, -exponent), exponent


class MeanWeight:
    """Mean weight of the samples seen so far: what the weights of a batch count against.

    Against it, a batch of light samples makes a small gradient, in whichever call it comes.

    Parameters
    ----------
    state : dict or None
        What `state` returned.
    """

    def __init__(self, state=None):
        state = state or {"count": 0, "mean": 0.0, "exponent": 0}
        self._count, self._mean, self._exponent = state["count"], state["mean"], state["exponent"]

    @property
    def state(self):
        """Return the state as a dict of numbers: the mean is ``mean * 2**exponent``."""
        return {"count": self._count, "mean": self._mean, "exponent": self._exponent}

    def include(self, weights, exponent):
        """Take note of one epoch's weights, which are to be multiplied by ``2**exponent``; return the mean so divided.

        The same weights again leave the mean as it is, to the last bit.
        """
        own, n = float(weights.mean(dtype=np.float64)), len(weights)
        before = own
        if self._count:
            # Earlier weights beyond these bounds make light samples of these, or are light themselves.
            before = ldexp(self._mean, max(-900, min(self._exponent - exponent, 900)))
        self._count += n
        self._mean, self._exponent = before + (own - before) * (n / self._count), exponent
        return self._mean
