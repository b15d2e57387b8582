"""Weights of an ensemble: given by the user, or learned from the losses of its members."""

import numpy as np

from sklstm._ensemble.losses import inverse_losses, member_losses
from sklstm._ensemble.shrinkage import measured_shrinkage, shrink


def read_weights(weights, kept):
    """Check given weights and scale them to sum 1.

    Parameters
    ----------
    weights : array-like of shape (n_estimators,), "equal" or None
        Non-negative numbers; "equal" or None for equal ones.
    kept : list of bool
        Which of the estimators are not dropped.

    Returns
    -------
    weights : ndarray of shape (n_members,)
        Weights of the members that are kept.

    Raises
    ------
    ValueError
        If they are no weights, or not one for each estimator.
    """
    if weights is None or isinstance(weights, str):
        return np.full(sum(kept), 1.0 / sum(kept))
    try:
        given = np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"weights must be numbers, got {weights!r}.") from error
    if given.shape != (len(kept),):
        raise ValueError(
            f"weights must hold one number for each of the {len(kept)} estimators, got shape {given.shape}."
        )
    given = given[kept]
    if not np.isfinite(given).all() or given.min() < 0.0 or given.max() == 0.0:
        raise ValueError(
            "weights must be finite and non-negative, at least one of them positive among the "
            f"members that are not dropped, got {weights!r}."
        )
    return given / given.sum()


def learn_weights(rule, shrinkage, loss, blocks):
    """Learn weights from out-of-fold predictions, and move them towards equal ones.

    Parameters
    ----------
    rule : {"auto", "inverse_loss"}
        The smallest loss of the mixture, or in proportion to the inverse loss of each member.
    shrinkage : float or "auto"
        0 leaves the weights as they are, 1 makes them equal; "auto": by their gain on rows that they were not learned
        on, and 0 for "inverse_loss", which is hardly ever far from equal weights.
    loss : object
        As `sklstm._ensemble.losses` makes them.
    blocks : ndarray of shape (n_rows,)
        Number of the block of each row of the loss: rows of about the same time, or some samples of a fold.

    Returns
    -------
    fitted : dict
        Fitted attributes: `weights_`, `learned_weights_`, `shrinkage_` and `oof_losses_`.
    """
    losses = member_losses(loss)
    learned = loss.best() if rule == "auto" else inverse_losses(losses)
    if shrinkage == "auto":
        shrinkage = measured_shrinkage(loss, blocks) if rule == "auto" else 0.0
    return {
        "weights_": shrink(learned, float(shrinkage)),
        "learned_weights_": learned,
        "shrinkage_": float(shrinkage),
        "oof_losses_": losses,
    }
