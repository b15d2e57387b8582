"""Learning-rate schedules: the factor on the step size at each step.

A schedule is an entry of the registry. It is made for a number of steps and epochs; `factor(step)` is the factor of a
step, counted from 0, and `observe` takes the loss after each epoch. Every `fit` starts a new one; schedules that
`spans_calls` are resumed from one `partial_fit` to the next by a `state` of numbers.
"""

from math import cos, inf, pi


class Constant:
    """Always 1."""

    # Whether the schedule ends with the last of `n_epochs`: such a training is not stopped early.
    has_end = False
    # Whether it can be continued without knowing the number of steps.
    spans_calls = True

    def __init__(self, steps_per_epoch, n_epochs, tol, patience, state=None):
        self.steps_per_epoch, self.n_epochs, self.tol, self.patience = steps_per_epoch, n_epochs, tol, patience
        self.n_steps = steps_per_epoch * n_epochs

    def factor(self, step):
        """Return the factor of one step."""
        return 1.0

    def observe(self, value):
        """Record the loss of an epoch: smaller is better."""

    @property
    def state(self):
        """What the next call resumes from."""
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

    Step by step equal to PyTorch's ``OneCycleLR`` with its defaults, except that the momentum is not cycled. A training
    of fewer than four steps has no increasing part.
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
        """Record the loss of an epoch: smaller is better."""
        if value < self._best - self.tol:
            self._best, self._waited = value, 0
            return
        self._waited += 1
        if self._waited >= max(1, self.patience // 2):
            self._factor, self._waited = self._factor / 2.0, 0

    @property
    def state(self):
        """What the next call resumes from."""
        return {"factor": self._factor, "best": self._best, "waited": self._waited}


SCHEDULES = {
    "constant": Constant,
    "linear_warm_up": LinearWarmUp,
    "cosine": Cosine,
    "cosine_restarts": CosineRestarts,
    "one_cycle": OneCycle,
    "reduce_on_plateau": ReduceOnPlateau,
}
