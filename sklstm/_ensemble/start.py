"""Where dynamic weights start: from out-of-fold losses in the order of time, or equal."""

import numpy as np

from sklstm._ensemble.dynamics import (
    after_losses,
    check_settings,
    recent_losses,
    settings_of,
    start_state,
    target_weights,
    usual_range,
)
from sklstm._ensemble.steps import row_losses, step_losses, time_steps

# Entries of `weight_history_`.
LONGEST_HISTORY = 10_000


def start_from_folds(ensemble, loss, parts, answers, order, sample_weight):
    """Return the fitted attributes of dynamic weights after the out-of-fold losses.

    Parameters
    ----------
    ensemble : BaseWeightedEnsemble
        With its parameters.
    loss : object
        As `sklstm._ensemble.losses` makes them, of all rows.
    parts : ndarray of shape (n_rows,)
        Blocks of neighbouring rows, in which a callable loss is computed.
    answers : tuple of ndarray
        Out-of-fold predictions (n_rows, n_members, n_columns) and targets.
    order : tuple
        Row numbers, their folds (None where these are not in time) and the blocks of the series, as for `time_steps`.
    sample_weight : ndarray of shape (n_rows,) or None

    Returns
    -------
    fitted : dict
    """
    steps = time_steps(*order)
    if callable(ensemble.weights_loss):
        alone = np.eye(loss.n_members)
        of_parts = [[loss.value(one, parts == part) for one in alone] for part in range(parts.max() + 1)]
        losses = np.array(of_parts)[parts]
    else:
        predictions, y = answers
        losses = row_losses(ensemble._loss_of_rows(), predictions, ensemble._as_columns(y))
    losses, shares = step_losses(losses, steps, sample_weight)
    state = start_state(losses.shape[1], usual_range(losses))
    state = after_losses(state, losses, shares, ensemble.half_life)
    return _fitted(ensemble, state)


def start_equal(ensemble, n_members, y, present, n_columns):
    """Return the fitted attributes of dynamic weights before any loss.

    Parameters
    ----------
    ensemble : BaseWeightedEnsemble
        With its parameters.
    n_members : int
    y : ndarray of shape (n_samples, ...)
        Training targets; what the best constant loses on them is the range of the losses.
    present : ndarray of shape (n_samples,), dtype bool, or None
        Rows of positive weight.
    n_columns : int
        Of an answer.

    Returns
    -------
    fitted : dict
    """
    state = start_state(n_members)
    if not callable(ensemble.weights_loss):
        name, y = ensemble._loss_of_rows(), ensemble._as_columns(y if present is None else y[present])
        if name in ("log_loss", "brier"):
            constant = np.bincount(y, minlength=n_columns) / len(y)
        else:
            constant = (np.mean if name == "squared_error" else np.median)(y, axis=0)
        constants = np.broadcast_to(constant, (len(y), 1, n_columns))
        state = start_state(n_members, usual_range(row_losses(name, constants, y)))
    return _fitted(ensemble, state)


def _fitted(ensemble, state):
    settings = settings_of(ensemble)
    check_settings(settings, len(state["recent"]))
    weights = target_weights(state, settings)
    return {
        "weights_": weights,
        "weight_history_": weights[np.newaxis].copy(),
        "history_steps_": np.zeros(1, np.int64),
        "recent_losses_": recent_losses(state),
        "dynamics_": dict(state),
    }


def without(fitted, kept):
    """Return fitted attributes without the entries of some members.

    Parameters
    ----------
    fitted : dict
    kept : ndarray of shape (n_members,), dtype bool

    Returns
    -------
    fitted : dict
        Weights are scaled up to sum 1.
    """
    if kept.all():
        return fitted
    fitted = dict(fitted)
    for name in ("weights_", "learned_weights_", "weight_history_", "oof_losses_", "recent_losses_"):
        if name in fitted:
            fitted[name] = fitted[name][..., kept]
    for name in ("weights_", "learned_weights_", "weight_history_"):
        if name in fitted:
            total = fitted[name].sum(axis=-1, keepdims=True)
            equal = np.full_like(fitted[name], 1.0 / kept.sum())
            fitted[name] = np.divide(fitted[name], total, out=equal, where=total > 0.0)
    if "oof_predictions_" in fitted:
        fitted["oof_predictions_"] = fitted["oof_predictions_"][:, kept]
    if "dynamics_" in fitted:
        state = fitted["dynamics_"]
        fitted["dynamics_"] = {**state, "recent": state["recent"][kept], "total": state["total"][kept]}
    return fitted
