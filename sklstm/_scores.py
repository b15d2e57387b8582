"""Scores over the samples of positive weight."""

import numpy as np
from sklearn.utils import _safe_indexing, check_array

from sklstm._training.sample_weights import in_unit_range
from sklstm._validation import check_lengths_agree, check_numbers, check_weights, counted_entries, naming


def weighted_score(metric, y, predicted, sample_weight, *, of_outputs=False):
    """Return a score of some predictions.

    Parameters
    ----------
    metric : callable
        Of scikit-learn: ``metric(y, predicted, sample_weight=...)``.
    y : array-like
        True values or labels, those of samples of weight zero may be missing.
    predicted : ndarray of shape (n_samples,) or (n_samples, n_outputs)
    sample_weight : array-like or None
    of_outputs : bool, default=False
        Whether the score of several outputs is the mean of their scores, so that each output may have its own weights.

    Returns
    -------
    float
    """
    if predicted.ndim == 3:
        y, predicted, sample_weight = _flattened(y, predicted, sample_weight)
    if sample_weight is None:
        with naming("y"):
            return metric(y, predicted)
    check_lengths_agree(len(predicted), y)
    weights, _ = in_unit_range(check_weights(sample_weight, len(predicted)))
    if weights.ndim == 1 or not of_outputs:
        # A matrix of another shape is refused.
        present = counted_entries(weights, predicted[:, 0] if predicted.ndim == 2 else predicted) > 0
        return _score_of_present(metric, y, predicted, weights, present)
    with naming("y"):
        y = check_array(y, dtype=np.float64, ensure_all_finite=False, ensure_2d=False)
    present = counted_entries(weights, predicted) > 0
    counted_entries(weights, y)
    scores = []
    for k in range(weights.shape[1]):
        if not present[:, k].any():
            raise ValueError(f"sample_weight is zero for every sample of output {k}, which has no score then.")
        scores.append(_score_of_present(metric, y[:, k], predicted[:, k], weights[:, k], present[:, k]))
    return float(np.mean(scores))


def _flattened(y, predicted, sample_weight):
    """Return all three with one axis for the outputs of a sample instead of horizon and targets."""
    y = check_numbers(y, "y", dtype=np.float64, n_axes=3)
    if y.shape != predicted.shape:
        raise ValueError(f"y has shape {y.shape}, but the predictions for X have shape {predicted.shape}.")
    if sample_weight is not None:
        weights = check_weights(sample_weight, len(predicted), n_axes=3)
        counted_entries(weights, y)
        sample_weight = weights.reshape(len(y), -1) if weights.ndim == 3 else weights
    return y.reshape(len(y), -1), predicted.reshape(len(y), -1), sample_weight


def _score_of_present(metric, y, predicted, weights, present):
    if not present.all():
        y, predicted, weights = _safe_indexing(y, np.flatnonzero(present)), predicted[present], weights[present]
    with naming("y"):
        return metric(y, predicted, sample_weight=weights)
