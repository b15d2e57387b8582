"""From encoded samples to trained networks: the training of each seed, and the attributes that it gives."""

from dataclasses import asdict, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from sklstm._batch_size import batch_size, n_in_batches
from sklstm._cell_choice import check_cell
from sklstm._distributed.current import team_of_fit
from sklstm._dtypes import array_dtype
from sklstm._fitted import empty_network, fitted_network
from sklstm._kernels.core._pool import resolve_num_threads
from sklstm._linear_part import LinearPart, solve_linear_part
from sklstm._network.parameters import ParameterLayout
from sklstm._options import describe_network, refuse_orthogonal_zeros, refuse_other_network
from sklstm._seeds import join, singles, train_each, with_seeds
from sklstm._snapshot import snapshot_of
from sklstm._training.loop import Settings, train
from sklstm._validation import check_range, check_range_ahead


class Validation(NamedTuple):
    """What is judged in training, None where there is none.

    Attributes
    ----------
    samples : Samples
        The validation part.
    score : ValidationScore
        Of `scoring`.
    everything : callable
        ``everything()``, all samples that training and validation part were taken from.
    """

    samples: Any
    score: Any
    everything: Any


def train_networks(model, targets, samples, validation, tasks, *, continued, **options):
    """Train a network from each seed and set the fitted attributes; return what interrupted it."""
    held_out = validation.samples
    columns, n_features = getattr(model, "feature_names_in_", None), samples.sequences.table.shape[1]
    parameters = model.get_params(deep=False)
    horizon = targets.horizon if parameters.get("decoder", "direct") != "direct" else 0
    layout = ParameterLayout(**describe_network(parameters, n_features, targets.n_outputs, columns, horizon))
    network = empty_network(model, layout, model.dtype)
    in_units = targets.call_scales() is not None
    check_range(network, samples.sequences.table, columns=columns, in_units=in_units)
    check_range_ahead(network, samples.sequences.ahead, columns)
    if held_out is not None and held_out.sequences.table is not samples.sequences.table:
        check_range(network, held_out.sequences.table, "X_val", columns, in_units=in_units)
        check_range_ahead(network, held_out.sequences.ahead, columns, "future_val")
    models = singles(model) if continued else with_seeds(model)
    regression = None if continued else solve_linear_part(network, targets.network_loss(), samples, validation)
    if tasks is not None:
        tasks.begin(len(models), options["max_iter"], samples, held_out)
    n_threads = resolve_num_threads(model.n_jobs)
    with team_of_fit() as team:
        plan = Plan(layout, targets, samples, validation, regression, tasks, team, continued=continued, **options)
        trained, interrupt = train_each(partial(_train, plan), models, n_threads, side_by_side=team is None)
    join(model, models if continued else trained)
    return interrupt


class Plan(NamedTuple):
    """What the trainings of the networks of a fit have in common."""

    layout: Any
    targets: Any
    samples: Any
    validation: Validation
    regression: Any
    tasks: Any
    team: Any
    max_iter: int
    continued: bool
    keep_state: bool


def _train(plan, model, n_threads, *, stop, label, which):
    """Train one network from its current or from new parameters and set its attributes; return what interrupted it."""
    layout, continued, held_out = plan.layout, plan.continued, plan.validation.samples
    tasks = None if plan.tasks is None else plan.tasks.network(which)
    flat, seed, state, kept = _start(plan, model, n_threads, tasks)
    settings = settings_of(plan, model, seed=seed, label=label)
    make = None if plan.team is None else plan.team.network
    network = empty_network(model, layout, model.dtype, n_threads, make)
    first_epoch = model.n_iter_ if continued else 0
    mask = 1 - np.unpackbits(kept["pruned"], count=layout.size) if kept else None
    if kept:
        refuse_orthogonal_zeros(model.recurrent_constraint)
    linear = LinearPart(layout, flat, settings, model._training_state if continued else {}, plan.regression)
    settings = replace(settings, start_counts=linear.is_start)
    described = {"_architecture": asdict(layout.architecture), "_trained_dtype": model.dtype}
    described["_training_state"] = {"seed": seed, **kept}
    after_epoch = resume_from = None
    if tasks is not None:
        learnt = partial(_as_after, plan, model, described, first_epoch, linear)
        after_epoch, resume_from = tasks.after_epoch(learnt, first_epoch + plan.max_iter), tasks.resume_from
    arguments = (network, flat, plan.samples, settings, held_out, first_epoch, state, mask)
    history = train(*arguments, plan.validation.score, stop, linear.target, after_epoch, resume_from)
    try:
        fitted = _fitted_attributes(model, history, layout, flat, first_epoch, linear)
    except KeyboardInterrupt as interrupt:
        # The training was complete: its result is kept.
        history.interrupt = interrupt
        fitted = _fitted_attributes(model, history, layout, flat, first_epoch, linear)
    described["_training_state"] = {**described["_training_state"], **linear.state}
    if plan.keep_state:
        described["_training_state"]["loop"] = history.state
    model.__dict__.update(described, **fitted)
    if tasks is not None and history.interrupt is None:
        tasks.end(model)
    return history.interrupt


def _start(plan, model, n_threads, tasks):
    """Return the parameters that training begins with, its seed, and what is kept of an earlier one.

    That is the state of the loop, and entries of the training state.
    """
    layout, before = plan.layout, model._training_state
    flat, state, kept = None, None, {}
    if plan.continued:
        flat = _continue_from(model, layout)
        state = before.get("loop") if plan.keep_state else None
        kept = {name: before[name] for name in ("pruned",) if name in before}
    seed = before["seed"] if tasks is None else tasks.begin(before["seed"], flat)
    if flat is None:
        generator = np.random.Generator(np.random.Philox(key=seed))
        flat = layout.initial(generator, array_dtype(model.dtype), model.weight_init, n_threads)
        check_cell(model.cell)._adjust_start(layout.views(flat), _longest(plan.samples))
    return flat, seed, state, kept


def _as_after(plan, model, described, first_epoch, linear, end):
    """Return the estimator with the parameters that it had at an `EpochEnd`; the training is left alone."""
    model, flat = snapshot_of(model), end.parameters()
    linear = linear.of(flat)
    fitted = _fitted_attributes(model, end.history, plan.layout, flat, first_epoch, linear)
    model.__dict__.update(described, **fitted)
    if getattr(model, "conformal", False):
        calibrate(model, plan.validation.samples)
    return model


def _longest(samples):
    return int(samples.sequences.lengths.max())


def settings_of(plan, model, *, seed, label):
    """Return the `Settings` of a training that the parameters of an estimator stand for."""
    architecture, samples = plan.layout.architecture, plan.samples
    (loss, loss_parameter), n = plan.targets.network_loss(), n_in_batches(model, samples)
    # `partial_fit` goes on with that of its first call.
    automatic = getattr(model, "weight_decay_", None) if plan.keep_state else None
    return Settings(
        loss=loss,
        batch_size=batch_size(model, n),
        max_iter=plan.max_iter,
        shuffle=model.shuffle,
        learning_rate=model.learning_rate_init,
        weight_decay=automatic if model.weight_decay == "auto" else model.weight_decay,
        max_grad_norm=model.max_grad_norm,
        dropout=float(model.dropout) if architecture.n_layers > 1 else 0.0,
        tol=model.tol,
        n_iter_no_change=model.n_iter_no_change,
        seed=seed,
        verbose=bool(model.verbose),
        label=label,
        schedule=model.learning_rate,
        optimizer=model.solver,
        loss_parameter=loss_parameter,
        accumulation_steps=int(model.accumulation_steps),
        recurrent_dropout=float(model.recurrent_dropout),
        weight_dropout=float(model.weight_dropout),
        training="sequences" if model.targets == "sequence" else model.training,
        bptt_steps=min(int(model.bptt_steps), n),
        recurrent_constraint=model.recurrent_constraint,
        recurrent_bound=check_cell(model.cell)._recurrent_bound(_longest(samples)),
        linear_skip=model.linear_skip_training if architecture.linear_skip else None,
    )


def _fitted_attributes(model, history, layout, flat, first_epoch, linear):
    """Return what a training adds to the attributes of the first `first_epoch` epochs, which stay as they are."""
    linear.finish()
    parameters = {name: view.copy() for name, view in layout.views(flat).items()}
    for array in parameters.values():
        array.flags.writeable = False
    curve, norms = (getattr(model, name) if first_epoch else [] for name in ("loss_curve_", "gradient_norms_"))
    curve, scores = curve + history.loss_curve, history.validation_scores or None
    return {
        "parameters_": parameters,
        "n_iter_": first_epoch + history.n_epochs,
        "loss_curve_": curve,
        "loss_": curve[-1],
        "gradient_norms_": norms + history.gradient_norms,
        "validation_scores_": scores,
        "validation_loss_curve_": history.validation_losses or None,
        "best_validation_score_": None if scores is None else history.best_score,
        "best_iteration_": first_epoch + history.best_epoch,
        "best_loss_": min(curve) if scores is None else None,
        "weight_decay_": history.weight_decay,
        **linear.fitted(history),
    }


def _continue_from(model, layout):
    """Return the fitted parameters as a new flat vector, if they are those of the network wanted now."""
    refuse_other_network(model._architecture, asdict(layout.architecture))
    return layout.flatten(model.parameters_, array_dtype(model.dtype)).copy()


def calibrate(model, samples):
    """Correct the bands of all networks together by the validation part."""
    targets = model._targets()
    network = fitted_network(model, targets)
    network.reference_columns = None  # in the unit of the encoded targets
    targets.calibrate(network.forward(samples.sequences), samples)
    model.__dict__.update(targets.fitted())
