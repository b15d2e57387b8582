"""X of any accepted kind, as sequences."""

from numbers import Integral

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import _check_feature_names, validate_data

from sklstm._sequences import Sequences
from sklstm._validation.groups import check_groups
from sklstm._validation.kinds import (
    advice_for_axes,
    axes_advice,
    check_container,
    is_list_of_sequences,
    is_set_of_sequences,
    refuse_times,
    shape_of,
    warn_of_swapped_axes,
)
from sklstm._validation.messages import naming, refuse_masked

# Dtypes that the kernels read without a copy; all others are converted to the first.
TABLE_DTYPES = [np.float64, np.float32]


def check_sequences(estimator, X, *, reset=False, groups=None, name="X"):
    """Turn X of any accepted kind into sequences.

    Parameters
    ----------
    estimator : estimator
        Has `sequence_length`; its `n_features_in_` is set (`reset`) or compared.
    X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
    reset : bool
    groups : array-like of shape (n_samples,) or None
    name : str, default="X"
        Its name in messages.

    Returns
    -------
    Sequences
        Over a table of float32 where X is that, else of float64: the network rounds what it has standardised.
    """
    refuse_masked(X, name)
    X = check_container(X, name)
    refuse_times(X, name)
    if is_set_of_sequences(X) and groups is not None:
        raise ValueError(
            f"groups{name[1:]} goes with a 2-D table {name}; here each sequence of {name} already stands for itself."
        )
    with naming(name):
        if is_list_of_sequences(X):
            return _check_list(estimator, X, reset, name)
        if is_set_of_sequences(X):
            return _check_array(estimator, X, reset, name)
        if getattr(X, "ndim", 2) > 3:
            raise ValueError(
                f"{name} has {X.ndim} dimensions, expected 2 (rows of a table) or 3 (a set of sequences of one length)."
            )
        _refuse_ragged_rows(X, name)
        table = validate_data(estimator, X, reset=reset, dtype=TABLE_DTYPES, order="C", accept_sparse=False)
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
    if getattr(estimator, "training", "windows") == "stateful":
        return Sequences.from_series(table, blocks)
    return Sequences.from_windows(table, window_length(estimator), blocks)


def window_length(estimator):
    """Return `sequence_length`, checked: it may have been set since `fit`."""
    length = estimator.sequence_length
    if not isinstance(length, Integral) or length < 1:
        raise ValueError(
            f"sequence_length={length!r} was set after the network had been fitted; it must be an "
            "integer of at least 1."
        )
    # Clipped to the largest number of rows of a table.
    return int(min(length, np.iinfo(np.intp).max))


def _check_array(estimator, X, reset, name):
    try:
        array = check_array(X, allow_nd=True, dtype=TABLE_DTYPES, order="C", estimator=estimator, input_name=name)
    except ValueError as error:
        if "contains NaN" not in str(error):
            raise
        raise ValueError(
            f"Input {name} contains NaN. If it pads sequences of different lengths, pass a list of 2-D arrays without "
            "the padding; missing values must be filled before."
        ) from error
    if 0 in array.shape:
        raise ValueError(f"{name} has an empty axis: its shape is {array.shape}, minimum of 1 is required on each.")
    n_features = array.shape[2]
    advice = "" if reset else advice_for_axes(array, estimator.n_features_in_, name)
    _check_n_features(estimator, n_features, reset, f"{name} of shape {array.shape}", advice)
    if reset:
        _forget_names(estimator)
        warn_of_swapped_axes(array, name)
    return Sequences.from_array(array)


def _check_list(estimator, X, reset, name):
    X = [check_entry(entry, f"{name}[{i}]", name) for i, entry in enumerate(X)]
    advice = _advice_for_axes(estimator, X, reset, name)
    if reset:
        _forget_names(estimator)
    check_names_of_list(estimator, X, reset, name)
    arrays = []
    for i, entry in enumerate(X):
        title = f"{name}[{i}]"
        refuse_times(entry, title)
        with naming(title):
            arrays.append(check_array(entry, dtype=TABLE_DTYPES, order="C", estimator=estimator, input_name=title))
        _check_n_features(estimator, arrays[i].shape[1], reset and i == 0, title, advice)
    if reset:
        warn_of_swapped_axes(arrays, name)
    return Sequences.from_list(arrays)


def check_entry(entry, title, name):
    """Return one sequence of a list, if it is a table with rows; its values are not looked at."""
    refuse_masked(entry, title)
    entry = check_container(entry, title)
    with naming(title):
        shape = np.shape(entry)
    if shape[:1] == (0,):
        raise ValueError(f"{title} is an empty sequence; every sequence needs at least one row.")
    if len(shape) != 2:
        raise ValueError(
            f"{name} is a list of sequences, but {title} has {len(shape)} dimensions, expected 2 (n_steps, "
            "n_features); a sequence of one column is x.reshape(-1, 1)."
        )
    return entry


def check_names_of_list(estimator, X, reset, name):
    """Store (`reset`) or compare the names of the columns in every entry that has names."""
    named = [i for i, entry in enumerate(X) if hasattr(entry, "columns") or hasattr(entry, "column_names")]
    for place in named[:1] if reset else ():
        with naming(f"{name}[{place}]"):
            _check_feature_names(estimator, X[place], reset=True)
    if not hasattr(estimator, "feature_names_in_"):
        return
    for place in named or [0]:  # of no names at all scikit-learn warns, as it does for a table
        with naming(f"{name}[{place}]"):
            _check_feature_names(estimator, X[place], reset=False)


def _advice_for_axes(estimator, X, reset, name):
    """Return advice for sequences whose first axes agree and whose last do not."""
    shapes = [shape_of(entry) for entry in X]
    expected = shapes[0][0] if reset and shapes[0] else getattr(estimator, "n_features_in_", None)
    is_swapped = all(shape[:1] == (expected,) for shape in shapes)
    if is_swapped and len({shape[1] for shape in shapes} | ({expected} - {None} if not reset else set())) > 1:
        return f" Sequences are (n_steps, n_features): {axes_advice(name, False)}"
    return ""


def _forget_names(estimator):
    if hasattr(estimator, "feature_names_in_"):
        del estimator.feature_names_in_


def _check_n_features(estimator, n_features, reset, name, advice=""):
    if reset:
        estimator.n_features_in_ = n_features
    else:
        refuse_other_width(estimator, n_features, estimator.n_features_in_, name, f" (the last axis).{advice}")


def refuse_other_width(estimator, n_features, expected, name, end="."):
    """Raise, with scikit-learn's sentence, unless there are as many features as an estimator expects."""
    if n_features != expected:
        raise ValueError(
            f"{name} has {n_features} features, but {type(estimator).__name__} is expecting {expected} features as "
            f"input{end}"
        )
