"""Normalisation of sample weights by their mean, over all calls of a training that is continued."""

from math import ldexp

import numpy as np


def in_unit_range(weights):
    """Return the weights times a power of two that brings the largest below 1, and the exponent that was taken out.

    The scaling is exact and brings any weights into the range of float32.
    """
    exponent = int(np.frexp(weights.max())[1])
    return np.ldexp(weights, -exponent), exponent


class MeanWeight:
    """Running mean weight of the samples seen so far, by which weights are divided.

    Divided by it, a batch of small weights makes a small gradient, in whichever call it comes.

    Parameters
    ----------
    state : dict or None
        A `state` to resume from.
    """

    def __init__(self, state=None):
        state = state or {"count": 0, "mean": 0.0, "exponent": 0}
        self._count, self._mean, self._exponent = state["count"], state["mean"], state["exponent"]

    @property
    def state(self):
        """Return the state as a dict of numbers: the mean is ``mean * 2**exponent``."""
        return {"count": self._count, "mean": self._mean, "exponent": self._exponent}

    def include(self, weights, exponent):
        """Include the weights of one epoch, ``weights * 2**exponent``; return the mean divided by ``2**exponent``.

        Including the same weights again leaves the mean unchanged, bit for bit.
        """
        return self.include_mean(float(weights.mean(dtype=np.float64)), len(weights), exponent)

    def include_mean(self, own, n, exponent):
        """Do the same for n weights, given their mean."""
        before = own
        if self._count:
            # Beyond these bounds one of the two means is negligible.
            before = ldexp(self._mean, max(-900, min(self._exponent - exponent, 900)))
        self._count += n
        self._mean, self._exponent = before + (own - before) * (n / self._count), exponent
        return self._mean
