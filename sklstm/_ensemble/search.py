"""The search for the weights of an ensemble: folds, predictions out of them, weights."""

from sklearn.base import is_classifier

from sklstm._ensemble.folds import forward_folds, predict_out_of_fold, usable_folds
from sklstm._ensemble.shrinkage import blocks_in_time
from sklstm._ensemble.weights import learn_weights


def search_weights(ensemble, members, data, blocks, sample_weight, routed, fitted):
    """Learn the weights of the members of an ensemble on forward out-of-fold predictions.

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
    X, y, n_columns, _, present = data
    axes = (n_columns,) if is_classifier(ensemble) else y.shape[1:]
    folds = forward_folds(ensemble.cv, X, y, blocks, present)
    folds = usable_folds(folds, y, is_labels=is_classifier(ensemble))
    predictions, rows, of_folds = predict_out_of_fold(
        type(ensemble), members, data, folds, routed, ensemble.n_jobs, ensemble.verbose
    )
    share = None if sample_weight is None else sample_weight[rows]
    loss, counted = ensemble._loss(ensemble.weights_loss, predictions, y[rows], share, fitted)
    times = blocks_in_time(of_folds[counted], rows[counted], blocks)
    return {
        "oof_indices_": rows,
        "oof_predictions_": predictions.reshape(*predictions.shape[:2], *axes),
        **learn_weights(ensemble.weights, ensemble.shrinkage, loss, times),
    }
