"""X of any accepted kind, as sequences."""

from numbers import Integral

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from sklstm._sequences import Sequences
from sklstm._validation.groups import check_groups
from sklstm._validation.messages import naming, refuse_masked


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


def check_sequences(estimator, X, *, reset=False, groups=None, dtype=None, name="X"):
    """Turn X of any accepted kind into sequences.

    Parameters
    ----------
    estimator : estimator
        Has `sequence_length` and `dtype`; its `n_features_in_` is set (`reset`) or compared.
    X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
    reset : bool
    groups : array-like of shape (n_samples,) or None
    dtype : dtype or None
    name : str, default="X"
        What the user calls it.

    Returns
    -------
    Sequences
    """
    dtype = dtype or estimator.dtype
    refuse_masked(X, name)
    if is_set_of_sequences(X) and groups is not None:
        raise ValueError(
            f"groups{name[1:]} goes with a 2-D table {name}; here each sequence of {name} already stands for itself."
        )
    with naming(name):
        if is_list_of_sequences(X):
            return _check_list(estimator, X, reset, dtype, name)
        if is_set_of_sequences(X):
            return _check_array(estimator, X, reset, dtype, name)
        if getattr(X, "ndim", 2) > 3:
            raise ValueError(
                f"{name} has {X.ndim} dimensions, expected 2 (rows of a table) or 3 (a set of sequences of one length)."
            )
        _refuse_ragged_rows(X, name)
        table = validate_data(estimator, X, reset=reset, dtype=dtype, order="C", accept_sparse=False)
    return make_windows(estimator, table, check_groups(groups, len(table), name))


def _refuse_ragged_rows(X, name):
    """Raise for a list of 1-D sequences of different lengths, which NumPy would call inhomogeneous."""
    if not isinstance(X, (list, tuple)):
        return
    lengths = {len(entry) for entry in X if isinstance(entry, (list, tuple))}
    lengths |= {entry.size for entry in X if isinstance(entry, np.ndarray)}
    if len(lengths) > 1:
        raise ValueError(
            f"{name} is a list of entries of different lengths. As a table, each is a row of all columns; as a set of "
            "sequences, each must be 2-D (n_steps, n_features): a sequence of one column is x.reshape(-1, 1)."
        )


def make_windows(estimator, table, blocks=None):
    """Return the sample of each row: its window, or all rows of its series so far."""
    if getattr(estimator, "training", "windows") == "stream":
        return Sequences.from_series(table, blocks)
    return Sequences.from_windows(table, window_length(estimator), blocks)


def window_length(estimator):
    """Return `sequence_length`, which may have been set since `fit` looked at it."""
    length = estimator.sequence_length
    if not isinstance(length, Integral) or length < 1:
        raise ValueError(
            f"sequence_length={length!r} was set after the network had been fitted; it must be an "
            "integer of at least 1."
        )
    # More rows than a table can have are all of them.
    return int(min(length, np.iinfo(np.intp).max))


def _check_array(estimator, X, reset, dtype, name):
    try:
        array = check_array(X, allow_nd=True, dtype=dtype, order="C", estimator=estimator, input_name=name)
    except ValueError as error:
        if "contains NaN" not in str(error):
            raise
        raise ValueError(
            f"Input {name} contains NaN. If it pads sequences of different lengths, pass a list of 2-D arrays without "
            "the padding; missing values must be filled before."
        ) from error
    if 0 in array.shape:
        raise ValueError(f"{name} has an empty axis: its shape is {array.shape}, minimum of 1 is required on each.")
    _check_n_features(estimator, array.shape[2], reset, f"{name} of shape {array.shape}")
    return Sequences.from_array(array)


def _check_list(estimator, X, reset, dtype, name):
    arrays = []
    for i, entry in enumerate(X):
        title = f"{name}[{i}]"
        refuse_masked(entry, title)
        with naming(title):
            shape = np.shape(entry)
            if shape[:1] == (0,):
                raise ValueError(f"{title} is an empty sequence; every sequence needs at least one row.")
            if len(shape) != 2:
                raise ValueError(
                    f"{name} is a list of sequences, but {title} has {len(shape)} dimensions, expected 2 (n_steps, "
                    "n_features); a sequence of one column is x.reshape(-1, 1)."
                )
            if hasattr(entry, "columns") and hasattr(estimator, "feature_names_in_"):
                validate_data(estimator, entry, reset=False, skip_check_array=True)  # the names, and their order
            arrays.append(check_array(entry, dtype=dtype, order="C", estimator=estimator, input_name=title))
        _check_n_features(estimator, arrays[i].shape[1], reset and i == 0, title)
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
