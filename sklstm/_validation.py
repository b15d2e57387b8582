"""Checks of what users hand in; the result is always a `Sequences`, an array, or an error that names the argument."""

import math
import re
from contextlib import contextmanager
from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_array, compute_class_weight
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import _num_samples, validate_data

from sklstm._sequences import Sequences, blocks_of_groups


@contextmanager
def naming(name):
    """Put the name of an argument in front of errors that do not mention it."""
    try:
        yield
    except (TypeError, ValueError, OverflowError) as error:
        message = str(error)
        if message.startswith("Complex data not supported\n"):
            # The rest of scikit-learn's message is the whole array.
            message = f"Complex data not supported: {name} must hold real numbers."
        elif re.search(rf"(?<!\w){re.escape(name)}(?!\w)", message):
            raise
        else:
            message = f"{name}: {message}"
        raise (TypeError if isinstance(error, TypeError) else ValueError)(message) from error


def refuse_masked(array, name):
    """Raise for a masked array: scikit-learn and NumPy would drop the mask without a word."""
    if isinstance(array, np.ma.MaskedArray):
        raise ValueError(
            f"{name} is a masked array; masks would be ignored. Fill it ({name}.filled(...)) or drop the masked rows."
        )


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
    return _windows(estimator, table, check_groups(groups, len(table), name))


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


def _windows(estimator, table, blocks=None):
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


def check_groups(groups, n_rows, table="X"):
    """Return the blocks of a label per row of a table, or None."""
    if groups is None:
        return None
    name = f"groups{table[1:]}"
    refuse_masked(groups, name)
    labels = np.asarray(groups)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise ValueError(f"{name} must be 1-D, one label per row of {table}; its shape is {labels.shape}.")
    if len(labels) != n_rows:
        raise ValueError(
            f"{name} has {len(labels)} labels, but {table} has {n_rows} rows; one label per row is needed."
        )
    with naming(name):
        # Only missing values differ from themselves, but for None.
        missing = np.flatnonzero(np.not_equal(labels, labels) | np.equal(labels, None))
        if len(missing):
            raise ValueError(f"{name} holds no label ({labels[missing[0]]}) at row {missing[0]}; every row needs one.")
        return blocks_of_groups(labels, name)


def check_sequences_after(estimator, X, context, *, groups=None, dtype=None, carried=False):
    """Like `check_sequences` for an X that follows the rows of `context`; `carried`: which the estimator kept.

    Returns
    -------
    list of (Sequences, slice)
        The windows that reach into the context, over a small joined table, then the others, over X itself: the
        context never makes a copy of X. The slice says which of a part's predictions count.
    """
    if context is None:
        return [(check_sequences(estimator, X, groups=groups, dtype=dtype), slice(None))]
    if groups is not None:
        raise ValueError("context cannot be combined with groups: whose rows the context holds would be unclear.")
    if is_set_of_sequences(X):
        raise ValueError("context goes with a 2-D table X; a set of sequences has nothing before it.")
    if is_set_of_sequences(context):
        raise ValueError("context must be a 2-D table, the rows that came right before X; found a set of sequences.")
    if np.shape(context)[:1] == (0,):
        return [(check_sequences(estimator, X, dtype=dtype), slice(None))]
    # Carried rows were checked when they were kept, and have lost their names.
    before = (
        np.asarray(context, dtype)
        if carried
        else check_sequences(estimator, context, dtype=dtype, name="context").table
    )
    sequences = check_sequences(estimator, X, dtype=dtype)
    if getattr(estimator, "training", "windows") == "stream":
        return [(_windows(estimator, np.concatenate([before, sequences.table])), slice(len(before), None))]
    reach = window_length(estimator) - 1
    if reach == 0:
        return [(sequences, slice(None))]
    before = before[-reach:]
    joined = np.concatenate([before, sequences.table[:reach]])
    head = Sequences.from_windows(joined, reach + 1)
    parts = [(head, slice(len(before), None))]
    if len(sequences) > reach:
        parts.append((sequences.take(slice(reach, None)), slice(None)))
    return parts


def check_rows_before(estimator, context, n_streams, dtype):
    """Return the rows before streams as an array, with a first axis if `n_streams` is a number, or None without any."""
    if context is None:
        return None
    n_axes = 2 if n_streams is None else 3
    expected = "(n_rows, n_features)" if n_streams is None else f"({n_streams}, n_rows, n_features)"
    shape = getattr(context, "shape", None)
    if shape is not None and len(shape) == n_axes and shape[-2] == 0:
        return None
    if is_set_of_sequences(context) != (n_axes == 3):
        found = f"shape {shape}" if shape is not None else f"{'3' if n_axes == 2 else '2'} axes"
        raise ValueError(f"context has {found}, expected {expected} for n_streams={n_streams}.")
    sequences = check_sequences(estimator, context, dtype=dtype, name="context")
    if n_axes == 2:
        return sequences.table
    lengths = np.unique(sequences.lengths).tolist()
    if len(sequences) != n_streams or len(lengths) > 1:
        raise ValueError(
            f"context holds {len(sequences)} sequences of {' or '.join(map(str, lengths))} rows, expected {n_streams} "
            "of equal length: the rows before each stream."
        )
    return sequences.table.reshape(n_streams, lengths[0], -1)


def check_weights(sample_weight, n_samples, name="sample_weight"):
    """Return float64 weights, not negative and not all zero."""
    if sample_weight is None:
        return np.ones(n_samples)
    refuse_masked(sample_weight, name)
    with naming(name):
        if isinstance(sample_weight, Real):
            sample_weight = np.full(n_samples, sample_weight)
        weights = check_array(sample_weight, ensure_2d=False, allow_nd=True, dtype=np.float64, input_name=name)
    if weights.shape != (n_samples,):
        raise ValueError(f"{name} has shape {weights.shape}, expected ({n_samples},): one weight per sample.")
    if (weights < 0).any():
        raise ValueError(f"{name} holds negative values, the first at position {np.flatnonzero(weights < 0)[0]}.")
    if not weights.any():
        raise ValueError(f"{name} is zero for every sample; at least one weight must be positive.")
    return weights


def check_class_weight(class_weight, classes, y):
    """Return the factor of each class, 1 where nothing is asked for or (balanced) the class is not in y."""
    factors = np.ones(len(classes))
    with naming("class_weight"):
        if class_weight == "balanced":
            present = np.unique(y)
            factors[np.searchsorted(classes, present)] = compute_class_weight("balanced", classes=present, y=y)
        elif class_weight is not None:
            factors = compute_class_weight(class_weight, classes=classes, y=y)
    wrong = np.flatnonzero(~(np.isfinite(factors) & (factors >= 0)))
    if len(wrong):
        label, factor = classes[wrong].tolist()[0], factors[wrong[0]]
        raise ValueError(f"class_weight of class {label!r} is {factor:g}; it must be finite and not negative.")
    return factors


def check_indicator(y, name="y"):
    """Return the matrix of 0 and 1 that says which labels each sample has, or None where y is no such matrix."""
    with naming(name):
        shape = y.shape if hasattr(y, "shape") else np.asarray(y).shape
        if len(shape) != 2 or shape[1] < 2:
            return None
        y = check_array(y, dtype=None, input_name=name)
        if type_of_target(y, input_name=name) != "multilabel-indicator":
            return None
    wrong = y[(y != 0) & (y != 1)]
    if len(wrong):
        raise ValueError(f"{name} has shape {y.shape}, one column for each label, but holds {wrong[0]}, not 0 and 1.")
    return y.astype(np.int64)


def check_lengths_agree(n_sequences, y, name="y"):
    """Raise unless there is one target per sequence (or row)."""
    with naming(name):
        n_targets = _num_samples(y)
    if n_targets != n_sequences:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: X{name[1:]} has {n_sequences}, {name} has "
            f"{n_targets}."
        )


def check_hidden_sizes(hidden_size, n_layers):
    """Return the units of each layer, one number for all or a sequence of one for each."""
    if isinstance(hidden_size, Integral):
        return (int(hidden_size),) * int(n_layers)
    with naming("hidden_size"):
        sizes = np.asarray(hidden_size)
    if sizes.ndim != 1 or len(sizes) == 0 or sizes.dtype.kind not in "iu" or sizes.min() < 1:
        raise ValueError(f"hidden_size must be an integer of at least 1, or a sequence of such, found {hidden_size!r}.")
    sizes = tuple(sizes.tolist())
    if n_layers not in (1, len(sizes)):
        raise ValueError(
            f"hidden_size={hidden_size!r} describes {len(sizes)} layers, but n_layers={n_layers}; leave n_layers at 1 "
            "or make the two agree."
        )
    return sizes


def check_quantiles(quantile):
    """Return the quantiles of one number, or of an increasing sequence that holds 0.5, as a tuple."""
    if isinstance(quantile, Real):
        return (float(quantile),)
    with naming("quantile"):
        levels = np.asarray(quantile)
    is_increasing = levels.ndim == 1 and levels.dtype.kind in "fiu" and len(levels) > 0 and (np.diff(levels) > 0).all()
    if not is_increasing or not (levels[0] > 0 and levels[-1] < 1) or median_place(levels) is None:
        raise ValueError(
            "quantile must be a number between 0 and 1, or an increasing sequence of such with 0.5 among them (predict "
            f"answers with the median), found {quantile!r}."
        )
    return tuple(levels.astype(np.float64).tolist())


def median_place(quantiles):
    """Return which of some quantiles is the median, None if none is.

    The 0.5 of computed ones (`numpy.linspace`, also in float32) may be off by rounding.
    """
    place = min(range(len(quantiles)), key=lambda k: abs(quantiles[k] - 0.5))
    return place if math.isclose(quantiles[place], 0.5, rel_tol=1e-6) else None
