"""Targets, and the weights of samples and classes."""

import datetime as dt
from math import prod
from numbers import Real

import numpy as np
from sklearn.utils import assert_all_finite, check_array, column_or_1d, compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _num_samples

from sklstm._validation.kinds import refuse_no_container
from sklstm._validation.messages import naming, refuse_masked

DATETIMES = (dt.date, dt.time, dt.timedelta, np.datetime64, np.timedelta64)


def check_weights(sample_weight, n_samples, name="sample_weight", *, n_axes=2):
    """Return float64 weights of shape (n_samples,) or (n_samples, any number), not negative and not all zero.

    They may have up to `n_axes` axes.
    """
    if sample_weight is None:
        return np.ones(n_samples)
    refuse_no_container(sample_weight, name)
    refuse_masked(sample_weight, name)
    with naming(name):
        if isinstance(sample_weight, Real):
            sample_weight = np.full(n_samples, sample_weight)
        weights = check_array(sample_weight, ensure_2d=False, allow_nd=True, dtype=np.float64, input_name=name)
    if weights.ndim > n_axes or len(weights) != n_samples:
        raise _wrong_weights(name, weights.shape, (n_samples,))
    if (weights < 0).any():
        raise ValueError(f"{name} holds negative values, the first at position {np.argwhere(weights < 0)[0, 0]}.")
    if not weights.any():
        raise ValueError(f"{name} is zero for every sample; at least one weight must be positive.")
    return weights


def counted_entries(present, y, name="y"):
    """Return a mask of the shape of y, given one of samples or, where y has several outputs, of its shape."""
    if present.ndim >= 2 and present.shape != y.shape:
        raise _wrong_weights(f"sample_weight{name[1:]}", present.shape, y.shape)
    each = present.reshape(len(y), *(1,) * (y.ndim - 1)) if present.ndim == 1 else present
    return np.broadcast_to(each, y.shape)


def _wrong_weights(name, found, expected):
    each = (
        "one weight per sample"
        if len(expected) == 1
        else f"one weight per sample, or for each of {prod(expected[1:])} outputs"
    )
    shapes = f"({expected[0]},)" + (f" or {expected}" if len(expected) >= 2 else "")
    return ValueError(f"{name} has shape {found}, expected {shapes}: {each}.")


def _is_datetime(value):
    return isinstance(value, DATETIMES) or type(value).__name__ == "Period"  # of pandas, which need not be there


def refuse_datetimes(y, name):
    """Raise for dates and times, which NumPy would turn into numbers of some unit without a word."""
    columns = [y[column] for column in y.columns] if hasattr(y, "columns") and hasattr(y, "dtypes") else [y]
    for column in columns:
        with naming(name):
            values = np.asarray(column)
        found = values.dtype.name if values.dtype.kind in "mM" else None
        if values.dtype.kind == "O":
            found = next((type(v).__name__ for v in values.ravel() if _is_datetime(v)), None)
        if found is not None:
            raise TypeError(
                f"{name} holds dates or times ({found}), expected numbers or labels. Hand over what is to be learnt "
                f"as a number, for instance ({name} - start) / numpy.timedelta64(1, 'h'), or as text for labels."
            )


def check_class_weight(class_weight, classes):
    """Return the factor of each class, 1 where nothing is asked for or "balanced", which is counted later."""
    factors = np.ones(len(classes))
    with naming("class_weight"):
        if isinstance(class_weight, dict):
            factors = compute_class_weight(class_weight, classes=classes, y=classes)
    wrong = np.flatnonzero(~(np.isfinite(factors) & (factors >= 0)))
    if len(wrong):
        label, factor = classes[wrong].tolist()[0], factors[wrong[0]]
        raise ValueError(f"class_weight of class {label!r} is {factor:g}; it must be finite and not negative.")
    return factors


def balanced_factors(codes, weights, n_classes):
    """Return the factor behind ``class_weight="balanced"`` of each class, 1 for a class without samples.

    Weights count as numbers of samples: the factor is sum(weights) / (number of classes * sum(weights of the class)).
    """
    sums = np.bincount(codes, weights, n_classes)
    present = sums > 0
    return np.where(present, weights.sum() / (present.sum() * np.where(present, sums, 1.0)), 1.0)


def check_label_weights(class_weight, n_labels):
    """Return the factors of the classes 0 and 1 of each label, 1 where nothing is asked for or "balanced"."""
    if class_weight is None or isinstance(class_weight, str):
        return np.ones((n_labels, 2))
    if isinstance(class_weight, dict) or len(class_weight) != n_labels:
        raise ValueError(
            f"class_weight={class_weight!r} does not say the factors of each label: y has {n_labels} labels in its "
            f"columns, expected 'balanced' or a list of {n_labels} dicts like {{0: 1.0, 1: 5.0}}, one for each."
        )
    classes = np.array([0, 1])
    for factors in class_weight:
        if not isinstance(factors, dict):
            raise TypeError(f"class_weight holds {factors!r}, expected a dict like {{0: 1.0, 1: 5.0}} for each label.")
    return np.array([check_class_weight(factors, classes) for factors in class_weight])


def check_indicator(y, name, present):
    """Return the matrix of 0 and 1 that says which labels each sample has, or None where y is no such matrix.

    `present` is a mask of the samples, or of the shape of y; the other entries become 0.
    """
    refuse_masked(y, name)
    refuse_datetimes(y, name)
    with naming(name):
        shape = y.shape if hasattr(y, "shape") else np.asarray(y).shape
        if len(shape) != 2 or shape[1] < 2:
            return None
        y = check_array(y, dtype=None, ensure_all_finite=False, input_name=name)
    counts = counted_entries(present, y, name)
    with naming(name):
        assert_all_finite(y[counts], input_name=name)
        if not counts.all():
            y = np.where(counts, y, 0)
        if type_of_target(y, input_name=name) != "multilabel-indicator":
            return None
    wrong = y[(y != 0) & (y != 1)]
    if len(wrong):
        raise ValueError(f"{name} has shape {y.shape}, one column for each label, but holds {wrong[0]}, not 0 and 1.")
    return y.astype(np.int64)


def check_numbers(y, name, *, dtype, way_out="", n_axes=2):
    """Return numbers for a regressor, of shape (n_samples,) or (n_samples, n_outputs); they may be NaN or infinite.

    With ``n_axes=3`` also of shape (n_samples, horizon, n_targets). `way_out` is added to the message about what is no
    number.
    """
    refuse_masked(y, name)
    refuse_datetimes(y, name)
    with naming(name):
        try:
            y = check_array(y, ensure_2d=False, allow_nd=True, dtype=dtype, ensure_all_finite=False, input_name=name)
        except ValueError as error:
            reason = "it holds strings" if "arrays of bytes/strings" in str(error) else str(error)
            if reason == str(error) and "could not convert" not in reason:
                raise
            raise ValueError(f"{name} must hold numbers, but {reason}.{way_out}") from error
        if y.ndim > n_axes:
            three = ", or 3 (n_samples, horizon, n_targets)" if n_axes == 3 else ""
            raise ValueError(f"{name} has {y.ndim} dimensions, expected 1 or 2 (n_samples, n_outputs){three}.")
    return y


def check_labels(y, name, present):
    """Return labels of classes, of shape (n_samples,); those of samples that are not `present` are ignored."""
    refuse_masked(y, name)
    refuse_datetimes(y, name)
    with naming(name):
        y = column_or_1d(y, warn=True)
    counts = counted_entries(present, y, name)
    with naming(name):
        assert_all_finite(y[counts], input_name=name)
        check_classification_targets(y[counts])
    return y


def check_lengths_agree(n_sequences, y, name="y"):
    """Raise unless there is one target per sequence (or row)."""
    refuse_no_container(y, name)
    with naming(name):
        n_targets = _num_samples(y)
    if n_targets != n_sequences:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: X{name[1:]} has {n_sequences}, {name} has "
            f"{n_targets}."
        )
