"""Input of the feature selector: a table, the targets of its samples, and the weights of rows and samples."""

from numbers import Number
from typing import NamedTuple

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from sklstm._time_order import check_order, check_same_rows
from sklstm._validation import (
    check_container,
    check_groups,
    check_lengths_agree,
    check_sequences,
    check_weights,
    is_set_of_sequences,
    naming,
    refuse_masked,
    refuse_target_per_row,
    refuse_times,
)

# Integers with more distinct values than this are numbers, not class labels.
MAX_INTEGER_CLASSES = 20
# Numbers beyond it, or all below its reciprocal, are scaled before they are squared.
LARGE = 1e100


class SelectionInput(NamedTuple):
    """Arguments of the column statistics, and how scores follow from them.

    Attributes
    ----------
    table : ndarray of shape (n_rows, n_features)
    blocks : ndarray of shape (n_groups + 1,)
    target : ndarray or None
        Float columns (n_samples, n_outputs) or class numbers (n_samples,) as int64.
    row_weights, sample_weights : ndarray or None
        None where all rows count alike and each is a sample.
    by_samples : bool
        Whether the mean and the variance of a column at a lag are those over the samples.
    """

    table: np.ndarray
    blocks: np.ndarray
    target: np.ndarray | None
    row_weights: np.ndarray | None = None
    sample_weights: np.ndarray | None = None
    by_samples: bool = False


def read_input(selector, X, y, groups, sample_weight):
    """Check the arguments of `fit` of a selector.

    Parameters
    ----------
    selector : LSTMFeatureSelector
    X : array-like or list of array-like
    y : array-like or None
    groups : array-like or None
    sample_weight : array-like or None

    Returns
    -------
    seen : dict
        Fitted attributes that describe the columns of X.
    given : SelectionInput
    """
    stand_in = type(selector)()  # gets the names instead of the selector: a fit that fails changes nothing
    X = check_container(X, "X")
    refuse_times(X, "X")
    refuse_target_per_row(X, y)
    read = _read_set if is_set_of_sequences(X) else _read_table
    given = read(selector, stand_in, X, y, groups, sample_weight)
    for other, name in ((y, "y"), (sample_weight, "sample_weight"), (groups, "groups")):
        check_same_rows(X, other, name)
    # Holes hardly change the statistics, and the network behind the selector warns of them.
    # Looked-up labels have an index with duplicates that is no time index.
    has_times = getattr(getattr(y, "index", None), "is_unique", False)
    blocks = None if groups is None else check_groups(groups, len(groups))
    check_order(X, blocks, instead=(y, "y") if has_times else None)
    return {name: value for name, value in vars(stand_in).items() if name.endswith("_")}, given


def _read_set(selector, stand_in, X, y, groups, sample_weight):
    sequences = check_sequences(stand_in, X, reset=True, groups=groups)
    if len(sequences.table) < 2:
        raise ValueError("X holds 1 row in all; statistics over time need at least 2.")
    weights = _relative_weights(sample_weight, len(sequences))
    target = _read_target(y, len(sequences), selector.target_type, weights > 0.0)
    blocks = np.append(sequences.starts, len(sequences.table))
    return SelectionInput(sequences.table, blocks, target, np.repeat(weights, sequences.lengths), weights, True)


def _read_table(selector, stand_in, X, y, groups, sample_weight):
    refuse_masked(X, "X")
    # Finiteness is checked in the sums: a check here would read the whole table once more.
    options = {"ensure_all_finite": False, "ensure_min_samples": 2, "input_name": "X"}
    with naming("X"):
        table = check_array(X, dtype=[np.float64, np.float32], estimator=selector, **options)
        validate_data(stand_in, X, skip_check_array=True)
    n_rows = len(table)
    blocks = check_groups(groups, n_rows)
    blocks = np.array([0, n_rows]) if blocks is None else blocks
    weights = _relative_weights(sample_weight, n_rows)
    target = _read_target(y, n_rows, selector.target_type, weights > 0.0)
    if weights.min() == 1.0:
        return SelectionInput(table, blocks, target)
    reach = min(selector.max_lag, int(np.diff(blocks).max()) - 1)
    rows = weights_of_rows(weights, blocks, reach)
    read = rows > 0.0
    same = bool((weights[read] == 1.0).all())  # equal weights: rows of weight zero are cut off
    begin, end = int(read.argmax()), n_rows - int(read[::-1].argmax())
    if same and read[begin:end].all():
        blocks = np.unique(np.clip(blocks, begin, end)) - begin
        return SelectionInput(table[begin:end], blocks, None if target is None else target[begin:end])
    blocks = np.union1d(blocks, np.flatnonzero(read[1:] != read[:-1]) + 1)
    return SelectionInput(table, blocks, target, rows, weights, not same)


def weights_of_rows(weights, blocks, reach):
    """Return for each row the mean weight of the samples that contain it.

    Parameters
    ----------
    weights : ndarray of shape (n_rows,)
        Weight of the sample that ends at each row and reads `reach` rows before it, in its group.
    blocks : ndarray of shape (n_groups + 1,)
        First row of each group, then n_rows.
    reach : int

    Returns
    -------
    rows : ndarray of shape (n_rows,)
        Samples of weight zero do not count; 0 where no other contains the row.
    """
    rows = np.arange(len(weights))
    ends = np.repeat(blocks[1:], np.diff(blocks))
    counted = weights > 0.0
    if (weights[counted] == 1.0).all():
        following = np.where(counted, rows, len(rows) + reach)
        following = np.minimum.accumulate(following[::-1])[::-1]
        return ((following - rows <= reach) & (following < ends)).astype(np.float64)
    # Sums over the next `length` rows, by doubling: without differences of running sums, in which small weights vanish.
    sums, counts = weights, counted.astype(np.float64)
    total, number = np.zeros(len(weights)), np.zeros(len(weights))
    done, length, wanted = 0, 1, reach + 1
    while True:
        if wanted & length:
            total += _ahead(sums, done, rows, ends)
            number += _ahead(counts, done, rows, ends)
            done += length
        if 2 * length > wanted:
            break
        sums = sums + _ahead(sums, length, rows, ends)
        counts = counts + _ahead(counts, length, rows, ends)
        length *= 2
    return np.where(number > 0.0, total / np.maximum(number, 1.0), 0.0)


def _ahead(values, n, rows, ends):
    """Return the values n rows later, 0 where the group has ended."""
    ahead = np.zeros(len(values))
    ahead[: len(values) - n] = values[n:]
    ahead[rows + n >= ends] = 0.0
    return ahead


def _relative_weights(sample_weight, n_samples):
    """Return the weights of the samples as shares of the largest; ones without any."""
    if sample_weight is None:
        return np.ones(n_samples)
    shape = getattr(sample_weight, "shape", ())
    if len(shape) == 2 and shape[1] > 1:
        raise ValueError(
            f"sample_weight has shape {tuple(shape)}, expected ({n_samples},): one weight per sample. To weight single "
            "outputs, fit one selector for each of them."
        )
    weights = check_weights(sample_weight, n_samples)
    return weights / weights.max()


def _read_target(y, n_samples, target_type, counted):
    """Return float columns or class numbers; those of samples of weight zero are set to zero."""
    if y is None:
        return None
    refuse_masked(y, "y")
    check_lengths_agree(n_samples, y)
    with naming("y"):
        everywhere = bool(counted.all())
        y = check_array(y, ensure_2d=False, dtype=None, ensure_all_finite=everywhere, input_name="y")
        target = _code(
            y if everywhere else check_array(y[counted], ensure_2d=False, dtype=None, input_name="y"), target_type
        )
    if everywhere:
        return target
    spread = np.zeros((n_samples, *target.shape[1:]), target.dtype)
    spread[counted] = target
    return spread


def _code(y, target_type):
    """Return float columns (n_samples, n_outputs) or class numbers (n_samples,) as int64."""
    if y.dtype.kind == "O" and all(isinstance(value, Number) for value in y.flat):
        y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
    if y.dtype.kind not in "biufOUS":
        raise ValueError(f"y must hold numbers or class labels, got the dtype {y.dtype}.")
    if _is_classes(y, target_type):
        if y.ndim == 2 and y.shape[1] != 1:
            raise ValueError(f"Class labels in y must be one column, got the shape {y.shape}.")
        if y.dtype.kind == "O" and not all(isinstance(label, str) for label in y.flat):
            raise ValueError("Class labels in y must be all strings or all numbers.")
        check_classification_targets(y)
        return np.unique(y.ravel(), return_inverse=True)[1].astype(np.int64)
    if y.dtype.kind in "OUS":
        raise ValueError("y holds class labels, but target_type='continuous' takes numbers.")
    y = y.reshape(len(y), -1)
    return y if y.dtype == np.float32 else _scaled(y.astype(np.float64, copy=False))


def _scaled(y):
    """Return the targets with columns whose squares would leave the range of a double divided by a power of two.

    Correlations have no unit.
    """
    largest = np.maximum(y.max(axis=0), -y.min(axis=0))
    extreme = (largest > LARGE) | ((largest > 0.0) & (largest < 1.0 / LARGE))
    if not extreme.any():
        return y
    return np.ldexp(y, -np.where(extreme, np.frexp(largest)[1], 0))


def _is_classes(y, target_type):
    if target_type == "auto":
        if y.dtype.kind in "iu":
            return y.ndim == 1 and np.unique(y).size <= MAX_INTEGER_CLASSES
        return y.dtype.kind in "OUS" or (y.dtype.kind == "b" and y.ndim == 1)
    return target_type == "classes"
