"""Answers for the steps of sequences: in the form of X, and their scores."""

import numpy as np
from sklearn.utils._set_output import _get_output_config

from sklstm._scores import weighted_score
from sklstm._validation import check_steps


def in_sequences(answers, X):
    """Return answers for all rows of a set of sequences in the form of X.

    Parameters
    ----------
    answers : ndarray of shape (n_rows, ...)
    X : 3-D array or list of 2-D arrays

    Returns
    -------
    ndarray of shape (n_sequences, n_steps, ...), or list of ndarray of shape (n_steps_i, ...)
        The list where X is one.
    """
    if getattr(X, "ndim", 0) == 3:
        return answers.reshape(*X.shape[:2], *answers.shape[1:])
    return np.split(answers, np.cumsum([len(sequence) for sequence in X])[:-1])


def refuse_other_container(model):
    """Raise if `set_output` asks for a table of features, which those of sequences are not."""
    wanted = _get_output_config("transform", model)["dense"]
    if wanted != "default":
        raise ValueError(
            f"transform with targets='sequence' returns features for each row of each sequence, which is no table: "
            f"set_output(transform={wanted!r}) does not apply. Set it to 'default'."
        )


def score_of_steps(metric, targets, y, predicted, sample_weight, *, of_outputs=False):
    """Return a score over all steps whose target is present, as `weighted_score` does over samples.

    Parameters
    ----------
    metric : callable
    targets : Targets
    y : array-like
        As in `fit`.
    predicted : array or list of arrays, one for each sequence
    sample_weight : array-like or None
        As in `fit`.
    of_outputs : bool, default=False
        Whether the score of several outputs is the mean of their scores. Without, a missing output of a step counts as
        right.

    Returns
    -------
    float
    """
    lengths = np.array([len(answers) for answers in predicted])
    predicted = np.concatenate(list(predicted))
    y, weights = check_steps(y, sample_weight, lengths, "y", targets.check_sequence)
    if y.ndim == 2 and y.shape[1] == 1 and predicted.ndim == 1:
        y, weights = y[:, 0], weights.reshape(len(y))
    if y.shape != predicted.shape:
        raise ValueError(
            f"y[0] has shape {(int(lengths[0]), *y.shape[1:])}, but the targets of this model have shape "
            f"{(int(lengths[0]), *predicted.shape[1:])} there."
        )
    if weights.ndim == 2 and not of_outputs:
        y, weights = np.where(weights > 0, y, predicted), weights.max(axis=1)
    return weighted_score(metric, y, predicted, weights, of_outputs=of_outputs)
