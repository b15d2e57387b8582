"""The linear part of an estimator's network: solved before training, then frozen or fine-tuned."""

from copy import copy
from typing import NamedTuple

import numpy as np

from sklstm._ridge.start import LinearRegression, LinearStart


class LinearFit(NamedTuple):
    """The ridge regressions of a fit, the same for the networks of all seeds.

    Attributes
    ----------
    start : LinearStart
        Of the training part.
    final : LinearStart or None
        Of all samples, where early stopping has set some aside itself.
    score : float or None
        What the start reaches on the training part, where there is no validation part.
    """

    start: LinearStart
    final: LinearStart | None
    score: float | None


def solve_linear_part(network, loss, samples, validation):
    """Return the `LinearFit` of a new training; None without a linear skip.

    Parameters
    ----------
    network : Network
    loss : (str, float or sequence of float)
        A name from `LOSSES` and its parameter.
    samples : Samples
        The training part.
    validation : Validation
        With `samples`, those of the validation part, and `everything`, a function that returns all that both parts were
        taken from; None where there is none.
    """
    if not network.architecture.linear_skip:
        return None
    regression, final, score = LinearRegression(network, *loss), None, None
    start = regression.solve(samples, validation.samples)
    if validation.samples is None:
        score = regression.score(samples, start)
    elif validation.everything is not None:
        final = regression.solve_again(validation.everything())
    return LinearFit(start, final, score)


class LinearPart:
    """What the training of one network knows of `linear_skip`; nothing of it does anything without one.

    Parameters
    ----------
    layout : ParameterLayout
    flat : ndarray of shape (layout.size,)
        The parameters; with a `fit`, the linear skip and the bias of the output become its start, and the head zero.
    settings : Settings
    state : dict
        The training state of the estimator.
    fit : LinearFit or None
        None where the training of a network goes on.
    """

    def __init__(self, layout, flat, settings, state, fit):
        views = layout.views(flat)
        self._layout, self._flat, self._settings, self._fit = layout, flat, settings, fit
        self._skip, self._ridge, self._is_finished = views.get("weight_skip"), None, False
        if fit is not None:
            _refuse_large(fit.start.weights, flat.dtype)
            views["weight_out"][:] = 0.0
            self._skip[:], self._bias[:] = fit.start.weights, fit.start.intercept
        if self._skip is not None:
            self._ridge = state.get("skip", self._skip).copy()

    def of(self, flat):
        """Return the same for a copy of the parameters at some moment of the training, which goes on."""
        other = copy(self)
        other._flat, other._skip = flat, self._layout.views(flat).get("weight_skip")
        other._ridge = None if self._ridge is None else self._ridge.copy()
        return other

    @property
    def _bias(self):
        """The bias of all outputs: that of the head, or beside a decoder, whose head has that of a turn, its own."""
        views = self._layout.views(self._flat)
        return views["bias_skip" if self._layout.architecture.n_turns else "bias_out"]

    @property
    def is_start(self):
        """Whether the start of this training is the ridge regression."""
        return self._fit is not None

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
        if self._is_finished or self._fit is None or self._fit.final is None:
            return
        start, final, bias = self._fit.start, self._fit.final, self._bias
        self._ridge[:] = final.weights
        if self._settings.linear_skip == "frozen":
            self._skip[:] = self._ridge
        else:
            self._skip[:] = self._skip + (final.weights - start.weights)
        bias[:] = bias + (final.intercept - start.intercept)
        self._is_finished = True

    @property
    def state(self):
        """What the next training needs of it."""
        return {"skip": self._ridge} if self._settings.linear_skip == "fine_tune" else {}

    def fitted(self, history):
        """Return the fitted attributes."""
        if self._fit is None:
            return {}
        score = self._fit.score if history.start is None else history.start.validation_score
        return {"ridge_penalty_": self._fit.start.penalty, "skip_score_": float(score)}


def _refuse_large(weights, dtype):
    largest = np.abs(weights).max()
    if largest > np.finfo(dtype).max:
        raise ValueError(
            f"the ridge regression of linear_skip has weights of up to {largest:.2g}, which dtype={dtype.name!r} "
            "cannot hold: a column of X varies next to nothing. Set input_scaling='standard', or rescale that column."
        )


def scaled_skip(state, which, factor):
    """Return a training state whose linear skip is that of outputs in another scale."""
    if "skip" not in state:
        return state
    skip = state["skip"].astype(np.float64)
    skip[which] *= factor[which][:, np.newaxis]
    return {**state, "skip": skip.astype(state["skip"].dtype)}
