"""The method `update` of the ensembles."""

from __future__ import annotations

from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import is_classifier
from sklearn.exceptions import NotFittedError

from sklstm._ensemble.dynamics import (
    WILD,
    after_losses,
    check_settings,
    most_that_counts,
    moved,
    recent_losses,
    settings_of,
    target_weights,
)
from sklstm._ensemble.inputs import bounds_of, read_sample_weight
from sklstm._ensemble.locks import lock_of
from sklstm._ensemble.losses import CallableLoss, member_losses
from sklstm._ensemble.parallel import aligned_answers, is_failed, report_left_out
from sklstm._ensemble.search import scaled
from sklstm._ensemble.start import LONGEST_HISTORY
from sklstm._ensemble.steps import row_losses, step_losses, time_steps
from sklstm._time_order import look_at_score, look_at_truths
from sklstm._typing import available_if, checks_parameters
from sklstm._validation import refuse_target_per_row
from sklstm._warn import warn_user


def _is_dynamic(ensemble: Any) -> bool:
    """Tell whether the weights of an ensemble move, as `available_if` asks it."""
    if ensemble._is_dynamic() or hasattr(ensemble, "dynamics_"):
        return True
    raise AttributeError(f"update needs weights='dynamic'; found weights={ensemble.weights!r}.")


class UpdateMixin:
    """The method `update` of an ensemble with dynamic weights."""

    _fitted_model: Any
    _loss_of_rows: Any
    weights_loss: Any

    @available_if(_is_dynamic)
    @checks_parameters(prefer_skip_nested_validation=False)
    def update(
        self,
        X: Any,
        y: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        context: ArrayLike | None = None,
        context_groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        **params: Any,
    ) -> Self:
        """Move dynamic weights by how well the members predict rows whose truth has come; the members stay as they are.

        There with ``weights="dynamic"``. All members predict `X`, those of weight 0 too, and their losses count as
        `update_rule` says. Rows may come one by one or many at a time; half_life counts them alike, but a call changes
        the weights by at most `max_change`. Parameters that have been set since `fit` hold from now on. Calls of
        several threads follow each other.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), array of shape \
                (n_sequences, n_steps, n_features) or list of arrays (n_steps_i, n_features)
            Rows in the order of time, later than those of `fit` and of the update before, or sequences.
        y : array-like of shape (n_samples,), (n_samples, n_outputs) or (n_samples, horizon, n_targets)
            What was true, as in `fit`.
        groups : array-like of shape (n_samples,), default=None
            Series of each row; the last rows of all series are taken as the same time.
        context : array-like of shape (n_rows, n_features), default=None
            The rows right before `X`, for the members that take `context`.
        context_groups : array-like of shape (n_rows,), default=None
            With `groups`, the series of each row of `context`, for the members that take it.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row beside the others of this update; rows of weight 0 are excluded.
        **params : dict
            Further metadata for members, where metadata routing is enabled: their requests for `predict`, or of
            classifiers `predict_proba`, count.

        Returns
        -------
        self : object
            The ensemble, with other `weights_`.

        Raises
        ------
        ValueError, TypeError
            If the input does not fit what the ensemble was fitted on: another number of columns, NaN, a y of another
            length, a label that is not in `classes_`; if times in the index of X (or of y) go back, are repeated, or do
            not come after those of `fit` and of the update before; if it was fitted with other weights, or if a member
            fails and ``error_score="raise"``. The ensemble then is as before.
        """
        with lock_of(self):
            new = _updated(self._fitted_model(), X, y, groups, context, context_groups, sample_weight, params)
            # One assignment: a call of predict in another thread finds all of the old attributes or all of the new.
            self.__dict__ = {**self.__dict__, **new}
        return self


def _updated(model, X, y, groups, context, context_groups, sample_weight, params):
    """Return the attributes that an update changes; model is a snapshot, the rest are the arguments of `update`."""
    title = type(model).__name__
    if not hasattr(model, "dynamics_"):
        raise NotFittedError(f"{title} was fitted without weights='dynamic'; fit it again.")
    settings = settings_of(model)
    check_settings(settings, len(model.estimators_))
    if y is None:
        raise ValueError(f"{title}.update requires y to be passed, but the target y is None.")
    offered = {"context_groups": context_groups, **params}
    given, method = X, model._response_method
    X, n_rows, routed, blocks = model._question("update", X, groups, context, offered, method)
    refuse_target_per_row(X, y)
    weights_of_rows = read_sample_weight(sample_weight, n_rows)
    present = np.ones(n_rows, bool) if weights_of_rows is None else weights_of_rows > 0.0
    target = model._read_truth(y, n_rows, present)
    look_at_score(X, y, sample_weight, groups)
    order = None
    if model._fitted_on == "table":
        order = look_at_truths(getattr(model, "_row_order", None), given, y, groups, bounds_of(blocks, n_rows), present)

    everyone = np.ones(len(model.estimators_), bool)
    answers = aligned_answers(model, method, model._aligned_by(model._align), X, n_rows, routed, everyone)
    answers = [answer if is_failed(answer) else answer[present] for answer in answers]
    report_left_out(model._names(), answers, "update")
    share = None if weights_of_rows is None else weights_of_rows[present]
    losses = _losses(model, answers, target[present], share)
    losses, shares = step_losses(losses, time_steps(np.flatnonzero(present), None, blocks), share)

    failed = np.array([is_failed(answer) for answer in answers])
    as_given = failed if isinstance(model.error_score, Real) and not np.isnan(model.error_score) else None
    _tell_of_wild(model.dynamics_, losses[:, ~failed])
    state = after_losses(model.dynamics_, losses, shares, model.half_life, as_given)
    weights = moved(model.weights_, target_weights(state, settings), settings.max_change)
    steps = model.history_steps_[-1] + len(losses)
    return {
        "weights_": weights,
        "weight_history_": np.vstack([model.weight_history_[1 - LONGEST_HISTORY :], weights]),
        "history_steps_": np.append(model.history_steps_[1 - LONGEST_HISTORY :], steps),
        "recent_losses_": recent_losses(state),
        "dynamics_": dict(state),
        "_row_order": order,
    }


def _tell_of_wild(state, losses):
    """Warn of time steps in which every member is so far off that the truth may be wrong."""
    most = most_that_counts(state)
    wild = np.flatnonzero(losses.min(axis=1) > most)
    if len(wild):
        warn_user(
            f"The smallest loss of all members is {losses[wild[0]].min():.3g} at time step {wild[0]} of this update, "
            f"beyond {WILD:g} times what is usual, and counts as {most:.3g} at most ({len(wild)} such steps). Is y "
            "wrong there, or in another unit?"
        )


def _losses(model, answers, y, sample_weight):
    """Return the loss of each member in each row; those of members that failed as `error_score` says."""
    works = np.array([not is_failed(answer) for answer in answers])
    predictions = np.stack([answer for answer in answers if not is_failed(answer)], axis=1)
    if callable(model.weights_loss):
        truth = model.classes_[y] if is_classifier(model) else y
        found = member_losses(CallableLoss(model.weights_loss, truth, predictions, sample_weight))
        if not np.isfinite(found).all():
            raise ValueError(f"weights_loss must return finite numbers, it returned {found} for the members.")
        found = np.broadcast_to(found, (len(y), len(found)))
    else:
        found = row_losses(model._loss_of_rows(), predictions, model._as_columns(y))
    losses = np.empty((len(y), len(works)))
    losses[:, works] = found
    if not works.all():
        instead = found @ scaled(model.weights_[works]) if np.isnan(model.error_score) else model.error_score
        losses[:, ~works] = np.reshape(instead, (-1, 1))
    return losses
