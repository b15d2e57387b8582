"""Checks of what users hand in; the result is always a `Sequences`, an array, or an error that names the argument."""

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import _check_sample_weight, _num_samples, column_or_1d, validate_data

from sklstm._sequences import Sequences, blocks_of_groups


def is_list_of_sequences(X):
    """Tell a list (or object array) of 2-D arrays from a 2-D table that is written as a list of rows."""
    if isinstance(X, np.ndarray):
        return X.dtype == object and X.ndim == 1 and len(X) > 0 and np.ndim(X[0]) == 2
    if not isinstance(X, (list, tuple)) or len(X) == 0:
        return False
    return any(_is_table(entry) for entry in X)


def is_set_of_sequences(X):
    """Tell 3-D arrays and lists of 2-D arrays from tables."""
    return is_list_of_sequences(X) or getattr(X, "ndim", 2) == 3


def _is_table(entry):
    if isinstance(entry, (list, tuple)):
        return len(entry) > 0 and isinstance(entry[0], (list, tuple, np.ndarray))
    return getattr(entry, "ndim", 0) == 2


def check_sequences(estimator, X, *, reset=False, groups=None, dtype=None):
    """Turn X of any accepted kind into sequences.

    Parameters
    ----------
    estimator : estimator
        Has `sequence_length` and `dtype`; its `n_features_in_` is set (`reset`) or compared.
    X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
    reset : bool
    groups : array-like of shape (n_samples,) or None
    dtype : dtype or None

    Returns
    -------
    Sequences
    """
    dtype = dtype or estimator.dtype
    if isinstance(X, np.ma.MaskedArray):
        raise ValueError(
            "X is a masked array; masks would be ignored. Fill it (X.filled(...)) or drop the masked rows first."
        )
    if is_set_of_sequences(X) and groups is not None:
        raise ValueError(
            "groups goes with a 2-D table X; here each sequence of X already stands for itself."
        )
    if is_list_of_sequences(X):
        return _check_list(estimator, X, reset, dtype)
    if is_set_of_sequences(X):
        array = check_array(
            X, allow_nd=True, dtype=dtype, order="C", estimator=estimator, input_name="X"
        )
        if 0 in array.shape:
            raise ValueError(
                f"X has an empty axis: its shape is {array.shape}, minimum of 1 is required on each."
            )
        _check_n_features(estimator, array.shape[2], reset, f"X of shape {array.shape}")
        return Sequences.from_array(array)
    table = validate_data(estimator, X, reset=reset, dtype=dtype, order="C", accept_sparse=False)
    return Sequences.from_windows(
        table, estimator.sequence_length, check_groups(groups, len(table))
    )


def _check_list(estimator, X, reset, dtype):
    arrays = []
    for i, entry in enumerate(X):
        if isinstance(entry, np.ma.MaskedArray):
            raise ValueError(
                f"X[{i}] is a masked array; masks would be ignored. Fill it or drop the masked rows first."
            )
        if np.ndim(entry) != 2:
            raise ValueError(
                f"X is a list of sequences, but X[{i}] has {np.ndim(entry)} dimensions, expected 2."
            )
        if len(entry) == 0:
            raise ValueError(f"X[{i}] is an empty sequence; every sequence needs at least one row.")
        arrays.append(
            check_array(entry, dtype=dtype, order="C", estimator=estimator, input_name=f"X[{i}]")
        )
        _check_n_features(estimator, arrays[i].shape[1], reset and i == 0, f"X[{i}]")
    return Sequences.from_list(arrays)


def _check_n_features(estimator, n_features, reset, name):
    if reset:
        estimator.n_features_in_ = n_features
        if hasattr(estimator, "feature_names_in_"):
            del estimator.feature_names_in_
    elif n_features != estimator.n_features_in_:
        raise ValueError(
            f"{name} has {n_features} features, but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input (the last axis)."
        )


def check_groups(groups, n_rows):
    """Return the blocks of a label per row, or None."""
    if groups is None:
        return None
    labels = column_or_1d(groups)
    if len(labels) != n_rows:
        raise ValueError(
            f"groups has {len(labels)} labels, but X has {n_rows} rows; one label per row is needed."
        )
    return blocks_of_groups(labels)


def check_sequences_after(estimator, X, context, *, groups=None, dtype=None):
    """Like `check_sequences` for an X that follows the rows of `context`.

    Returns
    -------
    list of (Sequences, slice)
        The windows that reach into the context, over a small joined table, then the others, over X itself: the
        context never makes a copy of X. The slice says which of a part's predictions count.
    """
    if context is None:
        return [(check_sequences(estimator, X, groups=groups, dtype=dtype), slice(None))]
    if groups is not None:
        raise ValueError(
            "context cannot be combined with groups: whose rows the context holds would be unclear."
        )
    if is_list_of_sequences(X) or getattr(X, "ndim", 2) == 3:
        raise ValueError(
            "context goes with a 2-D table X; a set of sequences has nothing before it."
        )
    if len(context) == 0:
        return [(check_sequences(estimator, X, dtype=dtype), slice(None))]
    try:
        before = check_sequences(estimator, context, dtype=dtype).table
    except (TypeError, ValueError) as error:
        raise type(error)(f"context: {error}") from error
    sequences = check_sequences(estimator, X, dtype=dtype)
    reach = estimator.sequence_length - 1
    if reach == 0:
        return [(sequences, slice(None))]
    before = before[-reach:]
    joined = np.concatenate([before, sequences.table[:reach]])
    head = Sequences.from_windows(joined, estimator.sequence_length)
    parts = [(head, slice(len(before), None))]
    if len(sequences) > reach:
        parts.append((sequences.take(slice(reach, None)), slice(None)))
    return parts


def check_weights(sample_weight, n_samples, name="sample_weight"):
    """Return float64 weights, not negative and not all zero."""
    weights = _check_sample_weight(sample_weight, np.empty((n_samples, 1)), dtype=np.float64)
    if (weights < 0).any():
        raise ValueError(
            f"{name} holds negative values, the first at position {np.flatnonzero(weights < 0)[0]}."
        )
    if not weights.any():
        raise ValueError(f"{name} is zero for every sample; at least one weight must be positive.")
    return weights


def check_lengths_agree(n_sequences, y, name="y"):
    """Raise unless there is one target per sequence (or row)."""
    if _num_samples(y) != n_sequences:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: X has {n_sequences}, {name} has "
            f"{_num_samples(y)}."
        )
