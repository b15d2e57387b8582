"""The linear part of an estimator's network: solved before training, then frozen or fine-tuned."""

import numpy as np

from sklstm._ridge.start import LinearRegression


class LinearPart:
    """What a training knows of `linear_skip`; nothing of it does anything without one.

    Parameters
    ----------
    layout : ParameterLayout
    flat : ndarray of shape (layout.size,)
        The parameters.
    settings : Settings
    state : dict
        The training state of the estimator.

    Attributes
    ----------
    start : LinearStart or None
        Of a training from new parameters, after `solve`.
    """

    def __init__(self, layout, flat, settings, state):
        self._skip = layout.views(flat)["weight_skip"] if layout.architecture.linear_skip else None
        self._layout, self._flat, self._settings = layout, flat, settings
        self._ridge = None if self._skip is None else state.get("skip", self._skip).copy()
        self.start = self._final = self._score = None

    def solve(self, network, samples, validation, everything):
        """Begin with the ridge regression: the head adds nothing to it at first.

        Parameters
        ----------
        network : Network
        samples, validation : Samples
            Training part and validation part, or None.
        everything : callable or None
            ``everything()``, all samples that both parts were made of; None where the user brought the validation part.
        """
        if self._skip is None:
            return
        settings, views = self._settings, self._layout.views(self._flat)
        regression = LinearRegression(network, settings.loss, settings.loss_parameter)
        self.start = regression.solve(samples, validation, settings.seed)
        views["weight_out"][:] = 0.0
        self._skip[:], views["bias_out"][:] = self.start.weights, self.start.intercept
        self._ridge = self._skip.copy()
        if validation is None:
            self._score = regression.score(samples, self.start)
        elif everything is not None:
            self._final = regression.solve_again(everything())

    @property
    def is_start(self):
        """Whether the start of this training is the ridge regression."""
        return self.start is not None

    @property
    def target(self):
        """The parameters with the linear skip that fine-tuning decays to; None without it."""
        if self._settings.linear_skip != "fine_tune":
            return None
        parameters = self._flat.copy()
        self._layout.views(parameters)["weight_skip"][:] = self._ridge
        return parameters

    def finish(self):
        """Replace the regression of the training part by that of all samples, with the penalty chosen before.

        A frozen skip gets back the bits that averages of it may have lost.
        """
        if self._settings.linear_skip == "frozen":
            self._skip[:] = self._ridge
        if self._final is None:
            return
        bias = self._layout.views(self._flat)["bias_out"]
        self._skip[:] = self._skip + (self._final.weights - self.start.weights)
        bias[:] = bias + (self._final.intercept - self.start.intercept)
        self._ridge[:] = self._final.weights
        if self._settings.linear_skip == "frozen":
            self._skip[:] = self._ridge
        self._final = None

    @property
    def state(self):
        """What the next training needs of it."""
        return {"skip": self._ridge} if self._settings.linear_skip == "fine_tune" else {}

    def fitted(self, history):
        """Return the fitted attributes."""
        if self.start is None:
            return {}
        score = self._score if history.start is None else history.start.validation_score
        return {"ridge_penalty_": self.start.penalty, "skip_score_": float(score)}


def scaled_skip(state, which, factor):
    """Return a training state whose linear skip is that of outputs in another scale."""
    if "skip" not in state:
        return state
    skip = state["skip"].astype(np.float64)
    skip[which] *= factor[which][:, np.newaxis]
    return {**state, "skip": skip.astype(state["skip"].dtype)}
