"""What an ensemble learns from out-of-fold predictions: weights, the start of dynamic ones, calibration."""

import numpy as np
from sklearn.base import is_classifier

from sklstm._ensemble.calibration import fit_calibration
from sklstm._ensemble.folds import forward_folds, go_forward, predict_out_of_fold, usable_folds
from sklstm._ensemble.losses import member_losses
from sklstm._ensemble.parallel import is_failed, report_left_out
from sklstm._ensemble.shrinkage import blocks_in_time, blocks_in_turn
from sklstm._ensemble.start import start_from_folds
from sklstm._ensemble.weights import learn_weights


def learn_from_folds(ensemble, members, weights, data, blocks, sample_weight, routed, fitted):
    """Learn what the parameters of an ensemble ask for on out-of-fold predictions.

    Parameters
    ----------
    ensemble : BaseWeightedEnsemble
        With its parameters.
    members : list of (str, estimator)
        Names and members.
    weights : ndarray of shape (n_members,) or None
        Those that are given; None to learn them.
    data : tuple
        X, y, number of columns of an answer, whether X is a table, rows of positive weight or None for all.
    blocks : list of ndarray or None
        Row numbers of each group.
    sample_weight : ndarray of shape (n_samples,) or None
        Weight of each row.
    routed : dict
        Parameters of the calls "fit" and "ask" of each member.
    fitted : dict
        Fitted attributes that describe the target.

    Returns
    -------
    members : list of (str, estimator)
        Those that did not fail in a fold.
    fitted : dict
        Fitted attributes of the search, `weights_` among them.
    """
    X, y, n_columns, is_table, present = data
    folds = forward_folds(ensemble.cv, X, y, blocks, present, in_time=is_table)
    folds = usable_folds(folds, y, is_labels=is_classifier(ensemble))
    predictions, outcomes, rows, of_folds = predict_out_of_fold(
        type(ensemble), members, data, folds, routed, ensemble.n_jobs, ensemble.verbose, ensemble.error_score
    )
    report_left_out([name for name, _ in members], outcomes, "fit")
    kept = np.array([not is_failed(outcome) for outcome in outcomes])
    members = [item for item, one in zip(members, kept, strict=True) if one]
    share = None if sample_weight is None else sample_weight[rows]
    in_time = is_table or go_forward(folds, [np.arange(len(y))] if blocks is None else blocks)
    if weights is not None and not ensemble._is_dynamic():
        found = {"weights_": scaled(weights[kept])}
    else:
        loss, counted = ensemble._loss(ensemble.weights_loss, predictions, y[rows], share, fitted)
        if in_time:
            parts = blocks_in_time(of_folds[counted], rows[counted], blocks)
        else:
            parts = blocks_in_turn(of_folds[counted])
        if ensemble._is_dynamic():
            order = (rows, of_folds if in_time else None, blocks)
            found = {"oof_losses_": member_losses(loss)}
            found |= start_from_folds(ensemble, loss, parts, (predictions, y[rows]), order, share)
        else:
            axes = (n_columns,) if is_classifier(ensemble) else y.shape[1:]
            found = {
                "oof_indices_": rows,
                "oof_predictions_": predictions.reshape(*predictions.shape[:2], *axes),
                **learn_weights(ensemble.weights, ensemble.shrinkage, loss, parts),
            }
    if getattr(ensemble, "calibration", None) is not None:
        found |= fit_calibration(ensemble.calibration, predictions, found["weights_"], y[rows], share)
    return members, found


def scaled(weights):
    """Return weights scaled to sum 1; equal ones if all are zero."""
    total = weights.sum()
    return weights / total if total > 0.0 else np.full(len(weights), 1.0 / len(weights))
