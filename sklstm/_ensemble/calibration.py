"""Calibration of mixed probabilities on out-of-fold predictions, by the calibrators of scikit-learn."""

import numpy as np
from scipy.special import logit
from sklearn.calibration import _SigmoidCalibration
from sklearn.isotonic import IsotonicRegression

from sklstm._warn import warn_user

SMALLEST = 1e-12  # probability, before its logarithm


def mixed_probabilities(predictions, weights):
    """Return the weighted mean of probabilities (n_rows, n_members, n_classes), with rows of sum 1."""
    mixed = np.zeros((len(predictions), predictions.shape[2]))
    for member, weight in enumerate(weights):
        mixed += weight * predictions[:, member]
    return normalised(mixed)


def normalised(mixed):
    """Return rows of sum 1; those of members that compute in float32 have it only nearly."""
    total = mixed.sum(axis=1, keepdims=True)
    return mixed / np.where(total > 0.0, total, 1.0)


def _log_odds(probabilities):
    return logit(np.clip(probabilities, SMALLEST, 1.0 - SMALLEST))


def _columns(n_classes):
    """Return the classes that have a calibrator: of two the second alone."""
    return range(1, 2) if n_classes == 2 else range(n_classes)


def fit_calibration(method, predictions, weights, y, sample_weight):
    """Fit a calibrator for each class, one class against all others.

    Parameters
    ----------
    method : {"sigmoid", "isotonic"}
    predictions : ndarray of shape (n_rows, n_members, n_classes)
        Out-of-fold probabilities of all members.
    weights : ndarray of shape (n_members,)
    y : ndarray of int of shape (n_rows,)
        Numbered labels.
    sample_weight : ndarray of shape (n_rows,) or None

    Returns
    -------
    fitted : dict
        `calibration_`: for each class with a calibrator, by its number as a text, an array of shape (2,), slope and
        intercept, or (2, n_points), the ends of the pieces. A class that no out-of-fold row has or lacks is not there.
    """
    odds = _log_odds(mixed_probabilities(predictions, weights))
    curves, without = {}, []
    for column in _columns(odds.shape[1]):
        is_there = (y == column).astype(np.float64)
        if is_there.min() == is_there.max():
            without.append(column)
        elif method == "sigmoid":
            found = _SigmoidCalibration().fit(odds[:, column], is_there, sample_weight)
            curves[str(column)] = np.array([found.a_, found.b_], np.float64)
        else:
            found = IsotonicRegression(out_of_bounds="clip", y_min=0.0, y_max=1.0)
            found.fit(odds[:, column], is_there, sample_weight)
            curves[str(column)] = np.array([found.X_thresholds_, found.y_thresholds_], np.float64)
    if without:
        warn_user(
            f"calibration={method!r} leaves classes without a calibrator: {len(without)} of them are in no row, or all "
            "rows, of the test folds."
        )
    return {"calibration_": curves}


def calibrated(curves, mixed):
    """Return calibrated probabilities.

    Parameters
    ----------
    curves : dict of ndarray
        As `fit_calibration` returns them.
    mixed : ndarray of shape (n_rows, n_classes)
        Rows of sum 1.

    Returns
    -------
    probabilities : ndarray of shape (n_rows, n_classes)
        Rows of sum 1; a row whose classes all get 0 is uniform.
    """
    n_classes = mixed.shape[1]
    odds, probabilities = _log_odds(mixed), mixed.copy()
    for column in _columns(n_classes):
        if str(column) in curves:
            probabilities[:, column] = _calibrator(curves[str(column)]).predict(odds[:, column])
    if n_classes == 2:
        probabilities[:, 0] = 1.0 - probabilities[:, 1]
        return probabilities
    total = probabilities.sum(axis=1, keepdims=True)
    return np.divide(probabilities, total, out=np.full_like(mixed, 1.0 / n_classes), where=total > 0.0)


def _calibrator(curve):
    """Return the calibrator of scikit-learn that an array describes."""
    if curve.ndim == 1:
        found = _SigmoidCalibration()
        found.a_, found.b_ = curve
        return found
    return IsotonicRegression(out_of_bounds="clip", y_min=0.0, y_max=1.0).fit(*curve)
