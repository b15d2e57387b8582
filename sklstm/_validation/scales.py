"""Rows that bypassed the scaler of a pipeline and so have another scale than X."""

import numpy as np

from sklstm._warn import warn_user

# Distance of the median of a column from the mean, in standard deviations of the training part. Rows right before X
# are close to X; for others the bound is larger.
BESIDE_X, ALONE = 8.0, 50.0
ROWS_LOOKED_AT = 256
FEW_ROWS = 8  # with fewer rows, one outlier may be the median


def warn_of_other_scale(estimator, rows, name, X=None):
    """Warn if rows are far from what an estimator was fitted on, and X is not.

    Parameters
    ----------
    estimator : estimator
        Its `input_mean_` and `input_scale_` are the reference.
    rows : ndarray of shape (n_rows, n_features)
        Passed beside X, so that the steps of a pipeline have not transformed them.
    name : str
        Their name in messages.
    X : ndarray of shape (n_samples, n_features) or None
        Rows that the steps of a pipeline have transformed, if there are any.
    """
    if X is None and not _is_scale_known(estimator):
        return
    rows = rows[-ROWS_LOOKED_AT:]
    far = np.where(_may_be_shares(estimator, rows), 0.0, _distance(estimator, rows))
    limit = ALONE if X is None else BESIDE_X * np.maximum(_distance(estimator, X[:ROWS_LOOKED_AT]), 1.0)
    is_far = far > limit
    if is_far.mean() < 0.5 if len(rows) < FEW_ROWS else not is_far.any():
        return
    column = int(np.where(is_far, far, -1.0).argmax())
    names = getattr(estimator, "feature_names_in_", None)
    label = column if names is None else repr(str(names[column]))
    warn_user(
        f"{name} lives on another scale than {'the training data' if X is None else 'X'}: column {label} is usually "
        f"{far[column]:.3g} standard deviations off. In a Pipeline, {name} passes the steps before this one by: scale "
        f"it as they do ({name}=pipeline[:-1].transform(...)), or keep the rows by carry_context=True."
    )


def _is_scale_known(estimator):
    mean, scale = getattr(estimator, "input_mean_", 0.0), getattr(estimator, "input_scale_", 1.0)
    return bool(np.any(mean != 0.0) or np.any(scale != 1.0))


def _may_be_shares(estimator, rows):
    """Return for each column whether it lies within 0 and 1, as in training: rare flags are far from their mean."""
    mean = getattr(estimator, "input_mean_", np.zeros(rows.shape[1]))
    return (mean >= 0.0) & (mean <= 1.0) & (rows >= 0.0).all(axis=0) & (rows <= 1.0).all(axis=0)


def _distance(estimator, rows):
    """Return the distance of the median of each column from the mean, in standard deviations."""
    mean, scale = getattr(estimator, "input_mean_", 0.0), getattr(estimator, "input_scale_", 1.0)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        distances = np.abs(rows.astype(np.float64) - mean) / scale
    return np.median(distances, axis=0)
