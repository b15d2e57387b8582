"""Schedules: what the step size is multiplied by, from step to step.

A schedule is an entry of the registry: made for a training of so many steps and epochs, it answers `factor(step)` for
steps counted from 0 and hears the loss after each epoch (`observe`). All begin anew with each `fit`; those that
`spans_calls` go on from one `partial_fit` to the next, by a `state` of numbers.
"""

from math import cos, inf, pi


class Constant:
    """Always 1."""

    # Whether the last of `n_epochs` is planned for: such a training is not stopped before.
    has_end = False
    # Whether it needs not know how many steps will come.
    spans_calls = True

    def __init__(self, steps_per_epoch, n_epochs, tol, patience, state=None):
        self.steps_per_epoch, self.n_epochs, self.tol, self.patience = steps_per_epoch, n_epochs, tol, patience
        self.n_steps = steps_per_epoch * n_epochs

    def factor(self, step):
        """Return the factor of one step."""
        return 1.0

    def observe(self, value):
        """Take note of the loss of an epoch: smaller is better."""

    @property
    def state(self):
        """Return what the next call goes on from."""
        return {}


class LinearWarmUp(Constant):
    """From 0 up to 1 over the first twentieth of the steps (Goyal et al. 2017, section 2.2), then 1."""

    spans_calls = False

    def factor(self, step):
        """Return the factor of one step."""
        return min(1.0, (step + 1) / max(1, self.n_steps // 20))


class Cosine(Constant):
    """``(1 + cos(pi step / n_steps)) / 2`` (Loshchilov & Hutter 2017, eq. 5, one cycle)."""

    has_end, spans_calls = True, False

    def factor(self, step):
        """Return the factor of one step."""
        return (1.0 + cos(pi * step / self.n_steps)) / 2.0


class CosineRestarts(Constant):
    """The same over 10 epochs, then anew over 20, 40, ... (Loshchilov & Hutter 2017, eq. 5: T_0 = 10, T_mult = 2)."""

    spans_calls = False

    def factor(self, step):
        """Return the factor of one step."""
        length = 10 * self.steps_per_epoch
        while step >= length:
            step, length = step - length, 2 * length
        return (1.0 + cos(pi * step / length)) / 2.0


class OneCycle(Constant):
    """Half cosines from 1/25 up to 1 over three tenths of the steps and down to 1/250,000 (Smith & Topin 2019).

    To the step what PyTorch's ``OneCycleLR`` gives by its defaults, but for its momentum, which does not move here. A
    training of fewer than four steps has no way up.
    """

    has_end, spans_calls = True, False

    def factor(self, step):
        """Return the factor of one step."""
        peak, last = 0.3 * self.n_steps - 1.0, self.n_steps - 1.0
        if step <= peak:
            return 1.0 + (1.0 / 25.0 - 1.0) * (1.0 + cos(pi * step / peak)) / 2.0
        lowest = 1.0 / 25.0 / 1e4
        return lowest + (1.0 - lowest) * (1.0 + cos(pi * (step - peak) / (last - peak))) / 2.0


class ReduceOnPlateau(Constant):
    """Halved whenever the loss has not fallen by `tol` for half of the epochs that end a training."""

    def __init__(self, steps_per_epoch, n_epochs, tol, patience, state=None):
        super().__init__(steps_per_epoch, n_epochs, tol, patience)
        state = state or {"factor": 1.0, "best": inf, "waited": 0}
        self._factor, self._best, self._waited = state["factor"], state["best"], state["waited"]

    def factor(self, step):
        """Return the factor of one step."""
        return self._factor

    def observe(self, value):
        """Take note of the loss of an epoch: smaller is better."""
        if value < self._best - self.tol:
            self._best, self._waited = value, 0
            return
        self._waited += 1
        if self._waited >= max(1, self.patience // 2):
            self._factor, self._waited = self._factor / 2.0, 0

    @property
    def state(self):
        """Return what the next call goes on from."""
        return {"factor": self._factor, "best": self._best, "waited": self._waited}


SCHEDULES = {
    "constant": Constant,
    "linear_warm_up": LinearWarmUp,
    "cosine": Cosine,
    "cosine_restarts": CosineRestarts,
    "one_cycle": OneCycle,
    "reduce_on_plateau": ReduceOnPlateau,
}
