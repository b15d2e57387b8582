"""Fitting: input is checked, scales and codings are learnt, a network is trained, fitted attributes are replaced.

A fit fills a new estimator with the same parameters, so that a failure leaves the user's estimator unchanged.
"""

from dataclasses import asdict
from functools import partial

import numpy as np

from sklstm._callbacks.support import with_callbacks, without_callbacks
from sklstm._callbacks.tasks import tasks_of
from sklstm._column_positions import known_positions
from sklstm._dtypes import array_dtype, warn_of_slow_products
from sklstm._fit_inputs import check_part, check_validation_part
from sklstm._fitted import freeze, refuse_quantised
from sklstm._kernels.core._pool import resolve_num_threads
from sklstm._linear_part import scaled_skip
from sklstm._network_training import Validation, calibrate, train_networks
from sklstm._options import (
    naming_sizes,
    warn_without_validation,
)
from sklstm._parts import hold_out, refuse_lost_outputs
from sklstm._scaling import InputScales, Moments, followed_scales, input_scales, moments_of, row_weights
from sklstm._scoring import ValidationScore
from sklstm._seeds import join, n_networks, refuse_other_number, singles
from sklstm._snapshot import replace_fitted, snapshot_of
from sklstm._training.loop import Samples
from sklstm._training.schedules import SCHEDULES
from sklstm._validation import warn_of_other_scale
from sklstm._warn import warn_user


def fit(model, given, validation, targets_of=None, **known):
    """Fit an estimator.

    Parameters
    ----------
    model : estimator
    given : Given
        The samples.
    validation : Given
        Those of the user's validation part, all None where `validation_fraction` of the samples are set aside.
    targets_of : callable, default=None
        ``targets_of(model)``, the `Targets` to learn instead of the estimator's own.
    **known : dict
        Fitted attributes that need not be learnt.

    Returns
    -------
    model : estimator
        The same.
    """
    work, interrupt = _fit_new(model, given, validation, targets_of, known)
    replace_fitted(model, work.__dict__)
    if interrupt is not None:
        tell_of_interrupt(model, interrupt)
    return model


@with_callbacks
def _fit_new(model, given, validation, targets_of, known):
    """Return a new estimator that is fitted, and what interrupted its training, or None."""
    continued = model.warm_start and hasattr(model, "parameters_")
    work, targets = _begin(model, targets_of, continued=continued, **known)
    part = check_part(work, targets, given, continued=continued)
    part = targets.start(part, getattr(work, "feature_names_in_", None))
    whole = None
    if validation.X is not None or validation.y is not None:
        held_out = check_validation_part(work, targets, validation, given.groups)
    else:
        named = {"sample_weight": validation.sample_weight, "groups": validation.groups}
        for name, value in {**named, "future": validation.future or None}.items():
            if value is not None:
                raise ValueError(f"{name}_val needs X_val and y_val.")
        codes = targets.class_codes(part)
        whole = part
        part, held_out = hold_out(part, work.early_stopping, work.validation_fraction, codes, targets.classes)
    warn_without_validation(work.get_params(deep=False), held_out)
    options = {"max_iter": work.max_iter, "continued": continued, "keep_state": False}
    with tasks_of(model, given) as tasks:
        return work, _fit_part(work, targets, part, held_out, whole, tasks, **options)


def partial_fit(model, given, **known):
    """Train an estimator for one epoch.

    Parameters
    ----------
    model : estimator
    given : Given
        The samples.
    **known : dict
        Fitted attributes that the first call need not learn.

    Returns
    -------
    model : estimator
        The same.
    """
    refuse_single_epochs(model)
    continued = hasattr(model, "parameters_")

    def part_of(work, targets):
        """Return the samples, checked."""
        memory = work._row_order if continued else None
        return check_part(work, targets, given, continued=continued, memory=memory)

    work = train_further(model, part_of, given, **known)
    replace_fitted(model, work.__dict__)
    return model


def refuse_single_epochs(model):
    """Raise for a model that cannot be trained epoch by epoch in calls of their own."""
    if not SCHEDULES[model.learning_rate].spans_calls:
        raise ValueError(
            f"partial_fit does not know how many epochs will come, which learning_rate={model.learning_rate!r} "
            "needs; use learning_rate='constant' or 'reduce_on_plateau'."
        )
    if getattr(model, "conformal", False):
        raise ValueError(
            "conformal=True needs a validation part, which partial_fit does not have; set conformal=False."
        )


@with_callbacks
def train_further(model, part_of, given, **known):
    """Return a new estimator that is trained for one epoch more, with the attributes of the old one.

    Parameters
    ----------
    model : estimator
        Fitted or not.
    part_of : callable
        ``part_of(work, targets)`` returns the checked samples as a `Part`, given the new estimator and its targets.
    given : Given
        The samples, as callbacks are told of them.
    **known : dict
        Fitted attributes that the first call need not learn.
    """
    continued = hasattr(model, "parameters_")
    work, targets = _begin(model, continued=continued, **known)
    part = targets.start(part_of(work, targets), getattr(work, "feature_names_in_", None))
    options = {"max_iter": 1, "continued": continued, "keep_state": True}
    with tasks_of(model, given, "partial_fit") as tasks:
        interrupt = _fit_part(work, targets, part, None, None, tasks, **options)
    if interrupt is not None:
        raise interrupt
    return work


def _begin(model, targets_of=None, *, continued, **known):
    """Return a new estimator with these parameters, `continued` with what was learnt, and its targets."""
    before = snapshot_of(model)
    if continued:
        refuse_quantised(before)
    work = type(model)(**before.get_params(deep=False))
    work.__dict__.update(without_callbacks(before.__dict__) if continued else {}, **known)
    work.__dict__.pop("conformal_correction_", None)  # it belongs to the network before
    if continued:
        refuse_other_number(work)
    targets = work._targets() if targets_of is None else targets_of(work)
    targets.n_networks = 1  # each is trained by itself
    return work, targets


def _fit_part(model, targets, part, held_out, whole, tasks, *, max_iter, continued, keep_state):
    """Learn scales and factors from the training part alone, encode both parts by them, and train.

    `whole` is what both parts were taken from, or None; `tasks` are the `FitTasks`, or None. Returns what interrupted
    it, or None.
    """
    targets.learn_groups(part)
    part, held_out, whole = (one and targets.by_group(one) for one in (part, held_out, whole))
    weights = targets.learn_weights(part)
    weights = weights if weights.ndim == 1 else weights.mean(axis=1)
    inputs = learn_inputs(model, part, weights, continued=continued, running=keep_state)
    model.input_mean_, model.input_scale_, model._input_moments = inputs.mean, inputs.scale, asdict(inputs.moments)
    freeze(model)
    if held_out is not None and held_out.name == "y_val":
        warn_of_other_scale(model, held_out.sequences.table, "X_val")
    change = targets.learn(part, inputs, running=keep_state)
    if change is not None:
        models = singles(model)
        for one in models:
            _change_head(one, change)
        join(model, models)
    model.__dict__.update(targets.fitted())
    dtype = array_dtype(model.dtype)
    samples, validation = (one and encode(one, targets, inputs, dtype) for one in (part, held_out))
    score = None if held_out is None or model.scoring is None else ValidationScore(model, targets, held_out)
    conformal = getattr(model, "conformal", False)
    if conformal:
        targets.refuse_few(validation)
        whole = None  # by samples that the linear skip has seen no band can be corrected
    validation = Validation(validation, score, whole and partial(encode, whole, targets, inputs, dtype))
    if not keep_state:
        refuse_lost_outputs(samples.weights)
    if not (keep_state and getattr(model, "_trained_dtype", None) == model.dtype):
        warn_of_slow_products(model.dtype)
    with naming_sizes(model.get_params(deep=False), () if tasks is None else tasks.raised):
        keywords = {"max_iter": max_iter, "continued": continued, "keep_state": keep_state}
        interrupt = train_networks(model, targets, samples, validation, tasks, **keywords)
    if conformal:
        calibrate(model, validation.samples)
    if tasks is not None and interrupt is None:
        tasks.end(model)
    return interrupt


def learn_inputs(model, part, weights, *, continued, running):
    """Return the `InputScales` of the training part, `continued` together with those before."""
    needs_scale = _needs_scale(model, part.sequences.table.shape[1])
    before = InputScales(model.input_mean_, model.input_scale_, Moments(**model._input_moments)) if continued else None
    if continued and not (running and (model.input_scaling or needs_scale.any())):
        return before
    table, weights = part.sequences.table, row_weights(part.sequences, weights)
    moments = moments_of(table, weights, part.exponent, resolve_num_threads(model.n_jobs))
    if not continued:
        return InputScales(
            *input_scales(table, weights, moments, model.input_scaling, needs_scale=needs_scale), moments
        )
    moments = before.moments.joined(moments)
    # Scales of a complete fit are kept.
    few = model._training_state.get("loop") is not None
    mean, scale = followed_scales(before.mean, before.scale, before.moments, moments, may_grow=few)
    if model.input_scaling is None:
        mean, scale = before.mean, np.where(needs_scale, scale, before.scale)
    return InputScales(mean, scale, moments)


def _needs_scale(model, n_features):
    """Return for each column whether `window_norm` needs its scale, also where there is no `input_scaling`."""
    if model.window_norm is None:
        return np.zeros(n_features, bool)
    known = known_positions(model.known_columns, n_features, getattr(model, "feature_names_in_", None))
    return ~np.isin(np.arange(n_features), known)


def _change_head(model, change):
    """Change the head of a fitted network and drop the training state that depends on its scale."""
    which, parameters = change.outputs, dict(model.parameters_)
    for name in ("weight_out", "bias_out", "weight_skip"):
        if name in parameters:
            array = parameters[name].astype(np.float64)
            array[which] *= change.factor[which].reshape(-1, *(1,) * (array.ndim - 1))
            if name == "bias_out":
                array[which] += change.shift[which]
            parameters[name] = array.astype(parameters[name].dtype)
            parameters[name].flags.writeable = False
    model.parameters_ = parameters
    # The moments of the solver, and the norms and losses so far, belong to the old scale.
    loop = model._training_state.get("loop") or {}
    loop = {name: value for name, value in loop.items() if name not in ("moments", "clipping", "schedule")}
    model._training_state = {**scaled_skip(model._training_state, which, change.factor), "loop": loop}


def encode(part, targets, inputs, dtype):
    """Return a part as the `Samples` that a network learns."""
    encoded, weights = targets.encode(part, inputs)
    names = (part.name.replace("y", "X"), part.name)
    return Samples(part.sequences, np.ascontiguousarray(encoded, dtype), weights, part.exponent, names)


def tell_of_interrupt(model, interrupt):
    """Warn that a fit has ended early, with what the estimator now is, and let the interrupt go on."""
    which = f"{model.best_iteration_}, the best so far" if model.validation_scores_ else model.best_iteration_
    told = (
        f"fit was interrupted in epoch {model.n_iter_ + 1}; the estimator is fitted, with the parameters of epoch "
        f"{which}."
    )
    if model.n_seeds > 1:
        told = (
            f"fit was interrupted; the estimator is fitted, with {n_networks(model)} of n_seeds={model.n_seeds} "
            f"networks, each with the parameters of its {'best' if model.validation_scores_ else 'last'} epoch so far."
        )
    try:
        warn_user(told)
    finally:
        # Where warnings are errors, too.
        raise interrupt
