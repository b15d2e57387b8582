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
    scales, rows = _scales_of(estimator), rows[-ROWS_LOOKED_AT:]
    far = np.where(_may_be_shares(scales[0], rows), 0.0, _distance(scales, rows))
    limit = ALONE if X is None else BESIDE_X * np.maximum(_distance(scales, X[:ROWS_LOOKED_AT]), 1.0)
    is_far = far > limit
    if is_far.mean() < 0.5 if len(rows) < FEW_ROWS else not is_far.any():
        return
    column = int(np.where(is_far, far, -1.0).argmax())
    than = "the training data" if X is None else "X"
    _warn(estimator, name, than, column, far[column], ", or keep the rows by carry_context=True")


def warn_of_other_scale_ahead(estimator, rows, known, name, X):
    """Warn if the known columns of rows ahead are far from X, which comes right before them.

    Columns of one or two values may be flags, such as holidays, which are far from their mean where they are up.

    Parameters
    ----------
    estimator : estimator
        Where it is fitted and has scales, these are the reference, else the rows of X are.
    rows : ndarray of shape (n_rows, n_known)
        The known columns of what was passed beside X.
    known : sequence of int
        Their positions.
    name : str
        Name of the rows in messages.
    X : ndarray of shape (n_samples, n_features)
    """
    X, rows = X[:, list(known)], rows[:ROWS_LOOKED_AT]
    if _is_scale_known(estimator):
        scales = tuple(one[list(known)] for one in _scales_of(estimator))
    elif len(X) >= FEW_ROWS:
        with np.errstate(over="ignore"):
            scales = X.mean(axis=0, dtype=np.float64), X.std(axis=0, dtype=np.float64)
    else:
        return
    varies = np.array([len(np.unique(column)) > 2 for column in rows.T])
    if not varies.any():
        return
    far = np.where(varies & ~_may_be_shares(scales[0], rows), _distance(scales, rows), 0.0)
    is_far = far > BESIDE_X * np.maximum(_distance(scales, X[-ROWS_LOOKED_AT:]), 1.0)
    if is_far.any():
        column = int(np.where(is_far, far, -1.0).argmax())
        _warn(estimator, name, "X", known[column], far[column], "")


def _warn(estimator, name, than, column, distance, instead):
    names = getattr(estimator, "feature_names_in_", None)
    label = column if names is None else repr(str(names[column]))
    warn_user(
        f"{name} lives on another scale than {than}: column {label} is usually {distance:.3g} standard deviations off. "
        f"In a Pipeline, {name} passes the steps before this one by: scale it as they do "
        f"({name}=pipeline[:-1].transform(...)){instead}."
    )


def _scales_of(estimator):
    return getattr(estimator, "input_mean_", 0.0), getattr(estimator, "input_scale_", 1.0)


def _is_scale_known(estimator):
    mean, scale = _scales_of(estimator)
    return bool(np.any(mean != 0.0) or np.any(scale != 1.0))


def _may_be_shares(mean, rows):
    """Return for each column whether it lies within 0 and 1, as in training: rare flags are far from their mean."""
    mean = np.broadcast_to(mean, rows.shape[1])
    return (mean >= 0.0) & (mean <= 1.0) & (rows >= 0.0).all(axis=0) & (rows <= 1.0).all(axis=0)


def _distance(scales, rows):
    """Return the distance of the median of each column from the mean, in standard deviations."""
    mean, scale = scales
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        distances = np.abs(rows.astype(np.float64) - mean) / scale
    return np.median(distances, axis=0)
