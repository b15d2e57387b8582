"""Steps of a linear skip that began as a ridge regression: smaller than the network's, and drawn to the start."""

# Of the step size of the network.
SHARE = 0.1


class SkipSteps:
    """What becomes of the weights of the linear skip in each step of the optimizer.

    Parameters
    ----------
    network : Network
    start : ndarray
        The parameters they began with, packed as the weights of the network.
    decay : float
        Share of the distance from the start, times the step size, that a step takes back.
    """

    def __init__(self, network, start, decay):
        self._weights, self._decay = network.skip_weights, decay
        self._start = network.skip_part(start)
        self._before = self._weights.copy()

    def before_step(self):
        """Keep the weights."""
        self._before[:] = self._weights

    def after_step(self, rate):
        """Make the step smaller, and add the decay towards the start."""
        weights, before = self._weights, self._before
        weights -= before
        weights *= SHARE
        weights += before
        weights -= SHARE * rate * self._decay * (before - self._start)


def skip_steps(network, settings, decay, start):
    """Return the `SkipSteps` of a training; None where the skip is frozen, which is told to the network, or absent."""
    if settings.linear_skip == "frozen":
        network.freeze_skip()
    if settings.linear_skip != "fine_tune":
        return None
    return SkipSteps(network, network.to_panels(start), decay)
