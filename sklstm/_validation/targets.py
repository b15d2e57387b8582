"""Targets, and the weights of samples and classes."""

from numbers import Real

import numpy as np
from sklearn.utils import assert_all_finite, check_array, compute_class_weight
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import _num_samples

from sklstm._validation.messages import naming, refuse_masked


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
    """Return the factor behind ``class_weight="balanced"`` of each class, 1 where none of its samples is there.

    A weight counts as so many samples: the factor is sum(weights) / (number of classes * sum(weights of the class)).
    """
    sums = np.bincount(codes, weights, n_classes)
    present = sums > 0
    return np.where(present, weights.sum() / (present.sum() * np.where(present, sums, 1.0)), 1.0)


def check_indicator(y, name="y", present=slice(None)):
    """Return the matrix of 0 and 1 that says which labels each sample has, or None where y is no such matrix."""
    with naming(name):
        shape = y.shape if hasattr(y, "shape") else np.asarray(y).shape
        if len(shape) != 2 or shape[1] < 2:
            return None
        y = check_array(y, dtype=None, ensure_all_finite=False, input_name=name)
        assert_all_finite(y[present], input_name=name)
        if type_of_target(y[present], input_name=name) != "multilabel-indicator":
            return None
    wrong = y[present][(y[present] != 0) & (y[present] != 1)]
    if len(wrong):
        raise ValueError(f"{name} has shape {y.shape}, one column for each label, but holds {wrong[0]}, not 0 and 1.")
    labels = np.zeros(y.shape, np.int64)
    labels[present] = y[present]
    return labels


def check_lengths_agree(n_sequences, y, name="y"):
    """Raise unless there is one target per sequence (or row)."""
    with naming(name):
        n_targets = _num_samples(y)
    if n_targets != n_sequences:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: X{name[1:]} has {n_sequences}, {name} has "
            f"{n_targets}."
        )
