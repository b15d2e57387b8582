"""Input of an ensemble: checked for the needs of every member and passed on unchanged."""

import numpy as np
import scipy.sparse as sp
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import assert_all_finite, column_or_1d, validate_data

from sklstm._ensemble.presence import fill_absent
from sklstm._validation import (
    advice_for_axes,
    check_container,
    check_entry,
    check_groups,
    check_labels,
    check_lengths_agree,
    check_names_of_list,
    check_numbers,
    check_weights,
    is_list_of_sequences,
    labels_of,
    refuse_masked,
)


def _sequence_width(X, title):
    """Check a list of 2-D sequences; give the common number of columns."""
    widths = [np.shape(check_entry(entry, f"{title}[{i}]", title))[1] for i, entry in enumerate(X)]
    for number, width in enumerate(widths):
        if width == 0:
            raise ValueError(f"{title}[{number}] has no columns; every sequence needs at least one.")
        if width != widths[0]:
            raise ValueError(
                f"{title} is a list of sequences with different numbers of features: sequence "
                f"0 has {widths[0]}, sequence {number} has {width}.{advice_for_axes(X, len(X[0]), title)}"
            )
    return widths[0]


def read_rows(X, title="X"):
    """Check the shape of a table or of sequences, not their values; they are passed on unchanged.

    Parameters
    ----------
    X : array-like, DataFrame, sparse matrix or list of 2-D arrays
        A table ``(n_samples, n_features)``, an array of sequences ``(n_sequences, n_steps,
        n_features)`` or a list of sequences of different lengths.
    title : str, default="X"
        Its name in messages.

    Returns
    -------
    X : same type, or ndarray
        Unchanged, but nested lists of numbers become an array.
    n_samples : int
        Number of rows, or of sequences.
    n_features : int
        Number of columns; the last axis of sequences.
    is_table : bool
        False for sequences.

    Raises
    ------
    TypeError, ValueError
        If it is none of these, or empty.
    """
    refuse_masked(X, title)
    X = check_container(X, title)
    if is_list_of_sequences(X):
        X = list(X) if isinstance(X, np.ndarray) else X
        return X, len(X), _sequence_width(X, title), False
    if not (isinstance(X, np.ndarray) or sp.issparse(X) or hasattr(X, "columns")):
        X = np.asarray(X)
    if sp.issparse(X) and X.format not in ("csr", "csc", "lil", "dok"):
        X = X.tocsr()  # the other formats have no rows to select
    shape = X.shape
    if len(shape) not in (2, 3):
        raise ValueError(
            f"{title} must be a table (n_samples, n_features), an array (n_sequences, n_steps, "
            f"n_features) or a list of 2-D sequences, got {len(shape)} dimension(s). Reshape your "
            "data: X.reshape(-1, 1) for one feature, X.reshape(1, -1) for one row."
        )
    if shape[0] == 0 or min(shape) == 0:
        what = "sample(s)" if shape[0] == 0 else "feature(s)" if shape[-1] == 0 else "step(s)"
        raise ValueError(
            f"Found array with 0 {what} (shape={tuple(shape)}) while a minimum of 1 is required for {title}."
        )
    return X, shape[0], shape[-1], len(shape) == 2


def check_names(estimator, X, is_table, *, reset=False):
    """Store or compare the names of the columns, of a table also their number.

    Parameters
    ----------
    estimator : estimator
        Has, or is given, ``feature_names_in_``.
    X : table or sequences
        As `read_rows` returns them.
    is_table : bool
        Whether X is a table.
    reset : bool, default=False
        Whether they are stored.

    Raises
    ------
    ValueError
        If they differ.
    """
    if is_table:
        validate_data(estimator, X, reset=reset, skip_check_array=True)
    elif is_list_of_sequences(X):
        check_names_of_list(estimator, X, reset, "X")


def read_regression_target(y, n_samples, present=None):
    """Check the target of a regressor.

    Parameters
    ----------
    y : array-like of shape (n_samples,), (n_samples, n_outputs) or (n_samples, horizon, n_targets)
        Finite numbers. One column is taken as 1-D, with a warning.
    n_samples : int
        Number of rows in X.
    present : ndarray of shape (n_samples,), dtype bool, default=None
        Rows of positive weight, None for all; the target of the others is ignored, and filled.

    Returns
    -------
    y : ndarray of shape (n_samples,), (n_samples, n_outputs) or (n_samples, horizon, n_targets)
        Numbers, 2-D only with several outputs.

    Raises
    ------
    TypeError, ValueError
        If it holds something else than finite numbers or has another length.
    """
    check_lengths_agree(n_samples, y)
    y = check_numbers(y, "y", dtype="numeric", n_axes=3)
    if y.dtype.kind in "bO":  # such as decimals, with which nothing else can be computed
        y = y.astype(np.float64)
    y = fill_absent(y, present)
    assert_all_finite(y, input_name="y")
    return column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y


def read_labels(y, n_samples, present=None):
    """Check the labels of a classifier and number them.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels of any kind that can be sorted.
    n_samples : int
        Number of rows in X.
    present : ndarray of shape (n_samples,), dtype bool, default=None
        Rows of positive weight, None for all; the label of the others is ignored, and filled.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        The labels, sorted.
    codes : ndarray of shape (n_samples,), int64
        Number of each label in `classes`.

    Raises
    ------
    TypeError, ValueError
        If these are no labels, of one class only, or of another length than X.
    """
    check_lengths_agree(n_samples, y)
    y = check_labels(y, "y", np.ones(n_samples, bool) if present is None else present)
    y = fill_absent(y, present)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"A classifier needs at least 2 classes in y, got only one class: {classes.tolist()}.")
    return classes, codes.astype(np.int64)


def read_known_labels(y, n_samples, classes, present):
    """Check labels and give their numbers in the classes of `fit`.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels.
    n_samples : int
        Number of rows in X.
    classes : ndarray of shape (n_classes,)
        The labels that are known, sorted.
    present : ndarray of shape (n_samples,), dtype bool
        Rows of positive weight; the label of the others is ignored, and filled.

    Returns
    -------
    codes : ndarray of shape (n_samples,), int64
        Number of each label in `classes`.

    Raises
    ------
    TypeError, ValueError
        If these are no labels, of another length than X, or one of them is not in `classes`.
    """
    check_lengths_agree(n_samples, y)
    y = fill_absent(check_labels(y, "y", present), present).tolist()
    numbers = {label: code for code, label in enumerate(classes.tolist())}
    unknown = sorted({label for label in y if label not in numbers}, key=repr)
    if unknown:
        raise ValueError(f"y has the labels {unknown[:5]} that are not in classes_, {classes.tolist()}.")
    return np.array([numbers[label] for label in y], np.int64)


def read_sample_weight(sample_weight, n_samples):
    """Check the weights of the rows.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,) or None
        Non-negative numbers, not all zero.
    n_samples : int
        Number of rows in X.

    Returns
    -------
    sample_weight : ndarray of shape (n_samples,), float64, or None
        The checked weights.

    Raises
    ------
    TypeError, ValueError
        If they are no weights or of another length than X.
    """
    if sample_weight is None:
        return None
    weights = check_weights(sample_weight, n_samples)
    if weights.ndim != 1:
        raise ValueError(
            f"sample_weight must be 1-D, got {weights.ndim} dimension(s): an ensemble weighs rows, for all "
            "members alike. To weigh single outputs, fit one ensemble for each of them."
        )
    return weights


def read_groups(groups, n_samples):
    """Check the group of each row.

    Parameters
    ----------
    groups : array-like of shape (n_samples,) or None
        One label per row; the rows of a group follow each other.
    n_samples : int
        Number of rows in X.

    Returns
    -------
    groups : ndarray of shape (n_samples,) or None
        The labels.
    blocks : list of ndarray or None
        Row numbers of each group, in the order of the rows.

    Raises
    ------
    TypeError, ValueError
        If a group comes in two blocks, which is named, or the length differs from X.
    """
    if groups is None:
        return None, None
    blocks = check_groups(groups, n_samples)
    return labels_of(groups), np.split(np.arange(n_samples), blocks[1:-1])


def bounds_of(blocks, n_samples):
    """Return where the groups of a table begin, and the end of the last, of the blocks of `read_groups`."""
    return np.array([0, n_samples] if blocks is None else [*(rows[0] for rows in blocks), n_samples], np.intp)


def take_rows(values, rows):
    """Select rows of anything that has rows, as a view where the rows are consecutive.

    Parameters
    ----------
    values : array-like, DataFrame, sparse matrix or list
        What has one entry per row.
    rows : ndarray of shape (n_selected,)
        Sorted row numbers, at least one.

    Returns
    -------
    selected : same type as `values`
        The rows asked for, in their order.
    """
    first, last = int(rows[0]), int(rows[-1])
    is_arrow = type(values).__module__.startswith("pyarrow.")  # which scikit-learn 1.6 takes for a NumPy array
    if last - first + 1 == len(rows):
        return values.slice(first, len(rows)) if is_arrow else _safe_indexing(values, slice(first, last + 1))
    return values.take(rows) if is_arrow else _safe_indexing(values, rows)
