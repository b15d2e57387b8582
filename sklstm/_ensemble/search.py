"""The search for the weights of an ensemble: folds, predictions out of them, weights."""

import numpy as np
from sklearn.base import is_classifier

from sklstm._ensemble.folds import forward_folds, go_forward, predict_out_of_fold, usable_folds
from sklstm._ensemble.shrinkage import blocks_in_time, blocks_in_turn
from sklstm._ensemble.weights import learn_weights


def search_weights(ensemble, members, data, blocks, sample_weight, routed, fitted):
    """Learn the weights of the members of an ensemble on out-of-fold predictions.

    Parameters
    ----------
    ensemble : BaseWeightedEnsemble
        With its parameters.
    members : list of (str, estimator)
        Names and members.
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
    fitted : dict
        Fitted attributes of the search, `weights_` among them.
    """
    X, y, n_columns, is_table, present = data
    axes = (n_columns,) if is_classifier(ensemble) else y.shape[1:]
    folds = forward_folds(ensemble.cv, X, y, blocks, present, in_time=is_table)
    folds = usable_folds(folds, y, is_labels=is_classifier(ensemble))
    predictions, rows, of_folds = predict_out_of_fold(
        type(ensemble), members, data, folds, routed, ensemble.n_jobs, ensemble.verbose
    )
    share = None if sample_weight is None else sample_weight[rows]
    loss, counted = ensemble._loss(ensemble.weights_loss, predictions, y[rows], share, fitted)
    if is_table or go_forward(folds, [np.arange(len(y))] if blocks is None else blocks):
        parts = blocks_in_time(of_folds[counted], rows[counted], blocks)
    else:
        parts = blocks_in_turn(of_folds[counted])
    return {
        "oof_indices_": rows,
        "oof_predictions_": predictions.reshape(*predictions.shape[:2], *axes),
        **learn_weights(ensemble.weights, ensemble.shrinkage, loss, parts),
    }
