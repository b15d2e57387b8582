"""Input of `fit` and `partial_fit`: checked, and made into the training part and the validation part."""

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from sklstm._column_positions import known_positions
from sklstm._options import refuse_exclusions, refuse_reach_beyond, trained_targets, warn_of_no_effect
from sklstm._parts import Part
from sklstm._time_order import look_at_future, look_at_training, look_at_validation
from sklstm._training.sample_weights import in_unit_range
from sklstm._validation import (
    Ahead,
    Future,
    RowGroups,
    check_kind,
    check_lengths_agree,
    check_sequences,
    check_steps,
    check_weights,
    is_set_of_sequences,
    labels_of,
    look_ahead,
    refuse_future,
    refuse_table_for_sequences,
    refuse_target_per_row,
    title_of_row,
)


class Given(NamedTuple):
    """Samples as the user passed them.

    Attributes
    ----------
    X, y, sample_weight, groups : array-like or None
        Arguments of `fit`, or those of its validation part.
    future : Future
        The rows after X.
    """

    X: Any
    y: Any
    sample_weight: Any = None
    groups: Any = None
    future: Future = Future()


def looks_back(model):
    """Return whether the sample of a row depends on the rows before it."""
    return model.training == "stateful" or model.sequence_length > 1


def refuse_other_targets(model):
    """Raise if a fitted model was trained with other `targets` than it has now."""
    trained = trained_targets(model._architecture, model._fitted_on)
    if model.targets != trained:
        raise ValueError(
            f"targets={model.targets!r} was set after the network had been trained with targets={trained!r}; fit again "
            "(with warm_start=False), or set targets back."
        )


def check_part(model, targets, given, *, continued, memory=None):
    """Return the samples as a `Part`: checked, and without those of weight zero.

    Parameters
    ----------
    model : estimator
        Being fitted; gets the attributes that describe its input.
    targets : Targets
    given : Given
    continued : bool
        Whether the input must have the kind and shape of the fitted model.
    memory : object, default=None
        The order of the rows of the calls of `partial_fit` before.
    """
    X, y, sample_weight, groups, _ = given
    if y is None:
        raise ValueError(f"{type(model).__name__} requires y to be passed, but the target y is None.")
    is_set = is_set_of_sequences(X)
    parameters = model.get_params(deep=False)
    refuse_exclusions(parameters)
    if model.training == "stateful" and is_set:
        raise ValueError("training='stateful' goes with a 2-D table X, an output for each row; found sequences.")
    refuse_table_for_sequences(model.targets, X)
    if continued:
        refuse_other_targets(model)
    warn_of_no_effect(parameters)
    sequences = check_sequences(model, X, reset=not continued, groups=groups)
    if continued:
        check_kind(model._fitted_on, X)
    model._fitted_on = "sequences" if is_set else "table"
    if not is_set:
        refuse_reach_beyond(parameters)
    part = part_of(model, targets, sequences, given, "y")
    if model.carry_context:
        _carry_rows(model, X, sequences, groups)
    else:
        model.__dict__.pop("context_", None)
        model.__dict__.pop("context_groups_", None)
    model._row_order = look_at_training(
        X, y, sample_weight, groups, sequences, looks_back=looks_back(model), memory=memory
    )
    return part


def check_validation_part(model, targets, given, groups):
    """Return the user's validation part, given the `groups` of the training part."""
    X, y, sample_weight, groups_val, _ = given
    if X is None or y is None:
        raise ValueError("X_val and y_val go together, but only one of them was given.")
    if groups is not None and groups_val is None and not is_set_of_sequences(X):
        raise ValueError(
            "groups without groups_val: windows of X_val would cross from one series into another. Give "
            "groups_val, one label for each row of X_val."
        )
    sequences = check_sequences(model, X, groups=groups_val, name="X_val")
    check_kind(model._fitted_on, X, "X_val")
    part = part_of(model, targets, sequences, given, "y_val")
    look_at_validation(model._row_order, X, y, sample_weight, groups_val, sequences, looks_back=looks_back(model))
    return targets.check_validation(part)


def part_of(model, targets, sequences, given, name):
    """Return the samples of positive weight as a `Part`: sequences, or all of their steps."""
    X, y, sample_weight, groups, _ = given
    if model.targets == "sequence":
        y, weights = check_steps(y, sample_weight, sequences.lengths, name, targets.check_sequence)
        sequences = sequences.at_every_row()
        y = targets.check(y, name, weights > 0, partial(title_of_row, bounds=sequences.bounds, name=name))
    else:
        refuse_target_per_row(X, y, name)
        check_lengths_agree(len(sequences), y, name)
        weights = check_weights(sample_weight, len(sequences), f"sample_weight{name[1:]}", n_axes=3)
        y = targets.check(y, name, weights > 0)
        weights = weights.reshape(len(y), -1) if weights.ndim == 3 else weights
    sequences = _looking_ahead(model, sequences, targets.horizon_of(y), given, weights, f"X{name[1:]}")
    row_groups = None if groups is None else RowGroups.of_labels(groups, sequences.blocks)
    # Only ratios of weights matter. Scaled exactly, by a power of two, their sums do not overflow.
    weights, exponent = in_unit_range(weights)
    rows = np.arange(len(sequences))
    part = Part(sequences, y, weights, exponent, rows, name, is_set_of_sequences(X), row_groups)
    present = part.sample_weights > 0
    return part if present.all() else part.keep(present)


def _looking_ahead(model, sequences, horizon, given, weights, name):
    """Return sequences with what is known of the rows after those of positive weight, and how far targets reach."""
    ahead, is_set = None, is_set_of_sequences(given.X)
    if getattr(model, "decoder", "direct") != "direct":
        columns = getattr(model, "feature_names_in_", None)
        ahead = Ahead(horizon, known_positions(model.known_columns, model.n_features_in_, columns))
    refuse_future(given.future, ahead, f"future{name[1:]}")
    if ahead is None:
        return replace(sequences, horizon=horizon) if horizon and not is_set else sequences
    present = weights > 0 if weights.ndim == 1 else (weights > 0).any(axis=1)
    X, groups, future = given.X, given.groups, given.future
    sequences = look_ahead(model, sequences, ahead, future, is_set=is_set, groups=groups, present=present, name=name)
    look_at_future(X, groups, *future, name)
    return sequences


def _carry_rows(model, X, sequences, groups):
    """Keep the last rows of each group."""
    if is_set_of_sequences(X):
        raise ValueError("carry_context=True goes with a 2-D table X; a set of sequences has no rows to carry.")
    begins, ends = sequences.blocks[:-1], sequences.blocks[1:]
    counts = np.minimum(model.sequence_length - 1, ends - begins)
    rows = np.concatenate([np.arange(end - n, end) for end, n in zip(ends, counts, strict=True)])
    model.context_ = sequences.table[rows]
    model.context_.flags.writeable = False
    model.__dict__.pop("context_groups_", None)
    if groups is not None:
        model.context_groups_ = np.repeat(labels_of(groups)[begins], counts)
