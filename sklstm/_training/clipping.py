"""Clipping of gradients."""

from math import sqrt

from sklstm._kernels.optim._updates import squared_norm

# Adaptive clipping starts once it has seen so many norms.
FIRST_NORMS = 10


class Clipping:
    """The factor that brings the norm of the whole gradient below a bound (Pascanu et al. 2013, algorithm 1).

    Parameters
    ----------
    max_norm : float, "adaptive" or None
        None for no bound. "adaptive": mean plus three standard deviations of the norms so far (Welford 1962), from the
        eleventh on; a clipped norm enters the mean as the bound, so that outliers do not raise it.
    state : dict or None
        A `state` to resume from.
    """

    def __init__(self, max_norm, state=None):
        self.max_norm = max_norm
        state = state or {"count": 0, "mean": 0.0, "squares": 0.0}
        self._count, self._mean, self._squares = state["count"], state["mean"], state["squares"]

    @property
    def state(self):
        """The running moments of the norms, as a dict of numbers."""
        return {"count": self._count, "mean": self._mean, "squares": self._squares}

    @property
    def bound(self):
        """Return the largest norm that passes now, None where all do."""
        if self.max_norm != "adaptive":
            return self.max_norm
        if self._count < FIRST_NORMS:
            return None
        return self._mean + 3.0 * sqrt(self._squares / (self._count - 1))

    def factor(self, norm):
        """Return ``min(1, bound / (norm + 1e-6))`` ; an adaptive bound also learns from the norm."""
        bound = self.bound
        if self.max_norm == "adaptive":
            seen = norm if bound is None else min(norm, bound)
            self._count += 1
            delta = seen - self._mean
            self._mean += delta / self._count
            self._squares += delta * (seen - self._mean)
        return 1.0 if bound is None else min(1.0, bound / (norm + 1e-6))


def global_norm(gradient, n_threads):
    """Return the Euclidean norm of a vector, summed in double."""
    return sqrt(squared_norm(gradient, n_threads))
