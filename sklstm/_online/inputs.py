"""Models that can learn online, and tables of rows for them."""

from collections.abc import Mapping, Set
from copy import copy

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from sklstm._base import BaseRNN
from sklstm._fitted import refuse_quantised
from sklstm._fitting import refuse_single_epochs
from sklstm._online.updates import fit_anew
from sklstm._time_order import check_same_rows
from sklstm._validation import check_sequences, is_set_of_sequences, refuse_masked


def check_model(model, trains, buffer_size, update_every):
    """Raise for a model that cannot learn row by row.

    Parameters
    ----------
    model : object
        The parameter `model` of a learner.
    trains : bool
        Whether it is updated by single epochs.
    buffer_size : int
    update_every : int or None
    """
    if not isinstance(model, BaseRNN):
        raise TypeError(
            f"model must be a network of sklstm, such as DeepLSTMRegressor, found {type(model).__name__}."
            + _way_out(model)
        )
    name = type(model).__name__
    if model.targets == "sequence":
        raise ValueError(f"model: a {name} with targets='sequence' takes whole sequences, and no single rows.")
    if getattr(model, "group_scaling", None) is not None:
        raise ValueError("model: group_scaling needs the groups of a panel; a learner reads one series.")
    if getattr(model, "decoder", "direct") != "direct" and model.known_columns is not None:
        raise ValueError("model: a decoder with known_columns needs the rows ahead, which a learner does not have.")
    if trains:
        refuse_single_epochs(model)
        if getattr(model, "class_weight", None) == "balanced":
            raise ValueError(
                "model: class_weight='balanced' needs all labels at once; give the weights as a dict, or set "
                "update_every=None."
            )
    refuse_quantised(model)
    needed = model.sequence_length + (update_every or 1) - 1
    if buffer_size < needed:
        raise ValueError(
            f"buffer_size={buffer_size} must be at least {needed}: the rows of an update, with the windows of "
            f"sequence_length={model.sequence_length} rows that end there."
        )


def _way_out(model):
    if hasattr(model, "steps"):
        return (
            " The steps of a pipeline are fitted once and do not follow the stream: the networks standardise the "
            "columns themselves (input_scaling)."
        )
    if hasattr(model, "best_estimator_"):
        return " Take its best_estimator_."
    return ""


def unfrozen(model):
    """Return the model in a `FrozenEstimator`, or the model itself."""
    return model.estimator if isinstance(model, FrozenEstimator) else model


def first_model(model, template, X, y, is_known, classes, seed):
    """Return the fitted model that a learner begins with.

    Parameters
    ----------
    model : estimator
        The parameter `model`; a frozen one is fitted.
    template : estimator
        Not fitted.
    X, y : array-like
        Its rows.
    is_known : ndarray of bool of shape (n_rows,) or None
        Whose truth is known; None for all.
    classes : array-like or None
        Of a classifier, all labels.
    seed : int
        For a model without one.
    """
    if isinstance(model, FrozenEstimator):
        check_is_fitted(model.estimator)
        return copy(model.estimator)
    made = clone(template)
    if made.random_state is None:
        made.set_params(random_state=seed)
    made._validate_params()
    if classes is not None:
        refuse_classes(made)
        if np.ndim(classes) != 1:
            raise ValueError(f"classes must be 1-D, the labels that will ever come; its shape is {np.shape(classes)}.")
        classes = np.unique(classes)
    return fit_anew(made, X, y, is_known, classes)


def refuse_classes(model):
    """Raise unless a model is a classifier, for a caller who names the classes."""
    if not is_classifier(model):
        raise ValueError(f"classes goes with a classifier; model is a {type(model).__name__}.")


def read_table(model, X):
    """Return the rows of a table as C-contiguous float64, checked by a fitted model."""
    refuse_sequences(X)
    return np.ascontiguousarray(check_sequences(model, X).table, np.float64)


def read_warm_table(X):
    """Return the rows of a table that comes before the first fit as an array of float64."""
    refuse_sequences(X)
    refuse_masked(X, "X")
    table = np.asarray(X)
    if table.dtype.kind not in "biufO":
        raise ValueError(f"X must hold numbers, found dtype {table.dtype}.")
    if table.ndim != 2 or not len(table):
        raise ValueError(f"X has shape {table.shape}, expected a table of rows: (n_rows, n_features).")
    return table.astype(np.float64)


def read_keys(keys, X, n_rows):
    """Return the keys of some rows of X as a list; None for each of them where there are none."""
    if keys is None:
        return [None] * n_rows
    if isinstance(keys, str | bytes | Mapping | Set) or np.ndim(keys) > 1:
        raise TypeError(f"keys must be a sequence with a key for each row, found a {type(keys).__name__}.")
    check_same_rows(X, keys, "keys")
    keys = list(keys)
    if len(keys) != n_rows:
        raise ValueError(f"keys has {len(keys)} entries, but there are {n_rows} rows.")
    return keys


def refuse_sequences(X):
    """Raise for a set of sequences."""
    if is_set_of_sequences(X):
        raise ValueError("X is a set of sequences; a learner takes the rows of one table, in the order of time.")


def held(X, before=None):
    """Return X with the number of the row before in place of each that is missing.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_features)
    before : ndarray of shape (n_features,) or None, default=None
        The row before them.
    """
    array = _with_missing(X)
    if array is None or not np.isnan(array).any() or (before is not None and array.shape[1:] != before.shape):
        return X
    rows = array if before is None else np.vstack([before, array])
    places = np.where(np.isnan(rows), 0, np.arange(len(rows))[:, np.newaxis])
    np.maximum.accumulate(places, axis=0, out=places)
    rows = np.take_along_axis(rows, places, axis=0)
    rows = rows if before is None else rows[1:]
    return type(X)(rows, index=X.index, columns=X.columns) if hasattr(X, "iloc") else rows


def rows_with_missing(X, table):
    """Return the rows of a table that was read from `held` rows, with NaN again where X lacks a number."""
    array = _with_missing(X)
    return table if array is None or array.shape != table.shape else np.where(np.isnan(array), np.nan, table)


def _with_missing(X):
    """Return X as an array of float64 with NaN for what is missing, None for X in which nothing can be missing."""
    array = X.to_numpy(np.float64, na_value=np.nan) if _has_pandas_na(X) else np.asarray(X)
    return array.astype(np.float64) if array.dtype.kind in "fO" and array.ndim == 2 else None


def _has_pandas_na(X):
    """Return whether X is a DataFrame of numbers in which pandas.NA stands for what is missing."""
    kinds = list(X.dtypes) if hasattr(X, "iloc") and X.ndim == 2 else []
    return any(hasattr(kind, "na_value") for kind in kinds) and all(kind.kind in "biuf" for kind in kinds)


def times_of(X):
    """Return the times that the index of a DataFrame bears, None for any other index."""
    index = getattr(X, "index", None)
    if index is None or not hasattr(X, "iloc") or not len(index):
        return None
    return list(index) if hasattr(index[0], "year") and hasattr(index[0], "hour") else None
