"""The complete state of a training between two epochs, from which it goes on with the same bits."""

import numpy as np

from sklstm._training.history import Epoch, Start

CURVES = ("loss", "gradient_norm", "validation_loss", "validation_score")


def state_between_epochs(training):
    """Return the state of a training behind an epoch as nested dicts of plain arrays, numbers and strings.

    Vectors of parameters have the order of the named parameters, so that the kernels' layout does not matter.
    """
    network, history, schedule = training.network, training.history, training.schedule
    optimizer = training.optimizer.state
    # What the steps go on from, where predictions use other weights.
    weights = optimizer["training"] if "training" in optimizer else network.from_panels(network.weights)
    start = history.start
    return {
        "weights": weights,
        "optimizer": optimizer,
        **schedule.state,
        "n_steps": schedule.n_steps,
        "stopping": {"best": training.stopping.best, "waited": training.stopping.waited},
        "curves": {name: _curve(history.epochs, name) for name in CURVES},
        "kept": network.from_panels(history.weights),
        "kept_epoch": history.best_epoch,
        "start": None
        if start is None
        else {"score": start.validation_score, "weights": network.from_panels(start.weights)},
        "is_over": training.is_over,
    }


def _curve(epochs, name):
    values = [getattr(epoch, name) for epoch in epochs]
    return None if None in values else np.array(values, np.float64)


def weights_of(state, network):
    """Return the parameters that training goes on from, checked: a state may come from a file."""
    weights = state["weights"]
    if weights.shape != (network.layout.size,) or weights.dtype != network.dtype or not np.isfinite(weights).all():
        raise ValueError(
            f"the state to resume from has weights of {weights.dtype} of shape {weights.shape}, expected "
            f"{network.layout.size} finite numbers of {network.dtype}."
        )
    return weights


def restore(training, state):
    """Bring a training that has not begun into the state that `state_between_epochs` returned.

    Its network holds ``state["weights"]`` already. What depends on samples and settings alone is as it was then: the
    mean weight, the score of a constant, constraints, which change no weights that they have made.
    """
    network, settings, history = training.network, training.settings, training.history
    optimizer = type(training.optimizer)(network, history.weight_decay, state["optimizer"])
    if settings.recurrent_bound is not None:
        optimizer.hold_bound(settings.recurrent_bound)
    training.optimizer = optimizer
    training.schedule = type(training.schedule)(settings, training.passes.n_steps, state)
    training.schedule.n_steps = state["n_steps"]
    training.stopping.best, training.stopping.waited = state["stopping"]["best"], state["stopping"]["waited"]
    if state["start"] is not None:
        history.start = Start(state["start"]["score"], settings.tol, network.to_panels(state["start"]["weights"]))
    kept = network.to_panels(state["kept"])
    columns = [state["curves"][name] for name in CURVES]
    for number in range(len(columns[0])):
        values = [None if column is None else float(column[number]) for column in columns]
        history.epochs.append(Epoch(*values, kept if number + 1 == state["kept_epoch"] else None))
    training.is_over = state["is_over"]
    if training.is_over:
        network.weights[:] = kept
