"""Rows that came past the scaler of a pipeline: they live on another scale than X."""

import numpy as np

from sklstm._warn import warn_user

# Of standard deviations, as the estimator learnt them, that lie between the mean and the usual value of a column. Rows
# right before X are where X is, up to a few; of others it takes more to be sure.
BESIDE_X, ALONE = 8.0, 50.0
ROWS_LOOKED_AT = 256
FEW_ROWS = 8  # with fewer, one odd value is the usual value of a column


def warn_of_other_scale(estimator, rows, name, X=None):
    """Warn if rows are far from what an estimator was fitted on, and X is not.

    Parameters
    ----------
    estimator : estimator
        Its `input_mean_` and `input_scale_` are what is compared with.
    rows : ndarray of shape (n_rows, n_features)
        Handed over beside X, so that no step of a pipeline has seen them.
    name : str
        What the user calls them.
    X : ndarray of shape (n_samples, n_features) or None
        Rows that the steps of a pipeline have seen, if there are some.
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
    """Tell for each column if it lies from 0 to 1, as in training: a rare flag is far from its mean when it is up."""
    mean = getattr(estimator, "input_mean_", np.zeros(rows.shape[1]))
    return (mean >= 0.0) & (mean <= 1.0) & (rows >= 0.0).all(axis=0) & (rows <= 1.0).all(axis=0)


def _distance(estimator, rows):
    """Return how many standard deviations the usual value of each column lies from the mean."""
    mean, scale = getattr(estimator, "input_mean_", 0.0), getattr(estimator, "input_scale_", 1.0)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        distances = np.abs(rows.astype(np.float64) - mean) / scale
    return np.median(distances, axis=0)
