"""The loop over epochs and batches, with early stopping."""

from dataclasses import dataclass, field
from numbers import Real

import numpy as np

from sklstm._training.clipping import Clipping, global_norm
from sklstm._training.losses import LOSSES, explained_share, least_loss, mean_loss
from sklstm._training.optimizers import OPTIMIZERS
from sklstm._training.passes import PASSES
from sklstm._training.schedules import SCHEDULES


@dataclass(frozen=True)
class Samples:
    """Sequences with what is to be predicted: targets (n, n_outputs or 1), weights (n,) or (n, n_outputs).

    Weights of the outputs make the loss of a sample the mean over its outputs of weight times loss. Targets are finite
    numbers also where the weight is 0.
    """

    sequences: object
    targets: np.ndarray
    weights: np.ndarray

    def take(self, selection):
        """Return some of the samples."""
        return Samples(self.sequences.take(selection), self.targets[selection], self.weights[selection])


@dataclass(frozen=True)
class Settings:
    """What the loop needs to know of an estimator's parameters."""

    loss: str
    batch_size: int
    max_iter: int
    shuffle: bool | str
    learning_rate: float
    weight_decay: float
    max_grad_norm: float | str | None
    dropout: float
    tol: float
    n_iter_no_change: int
    seed: int
    verbose: bool = False
    optimizer: str = "adamw"
    schedule: str = "constant"
    loss_parameter: float | tuple = 0.0
    accumulation_steps: int = 1
    recurrent_dropout: float = 0.0
    weight_dropout: float = 0.0
    training: str = "windows"
    bptt_steps: int = 32

    @property
    def step_size(self):
        """Return how many samples make one step of the optimizer."""
        return self.batch_size * self.accumulation_steps


@dataclass
class History:
    """What happened, epoch by epoch."""

    loss_curve: list = field(default_factory=list)
    gradient_norms: list = field(default_factory=list)
    validation_scores: list = field(default_factory=list)
    n_epochs: int = 0
    optimizer_state: dict | None = None


class Pace:
    """How far each step of a training goes: the schedule, the clipping, and the steps made.

    Parameters
    ----------
    settings : Settings
    steps_per_epoch : int
    """

    def __init__(self, settings, steps_per_epoch):
        self.schedule = SCHEDULES[settings.schedule](
            steps_per_epoch, settings.max_iter, settings.tol, settings.n_iter_no_change
        )
        self.clipping = Clipping(settings.max_grad_norm)
        self.n_steps = 0


class Divergence(ValueError):
    """The loss or the gradient left the finite numbers."""


class _Patience:
    """Counts epochs without an improvement of at least `tol` and keeps the best parameters."""

    def __init__(self, tol, n_iter_no_change):
        self.tol, self.n_iter_no_change = tol, n_iter_no_change
        self.best, self.best_weights, self.waited = np.inf, None, 0

    def exhausted(self, value, weights=None):
        self.waited = 0 if value < self.best - self.tol else self.waited + 1
        if value < self.best:
            self.best = value
            self.best_weights = None if weights is None else weights.copy()
        return self.waited >= self.n_iter_no_change


def _advice(settings):
    ways = [f"Lower learning_rate_init (now {settings.learning_rate:g})"]
    if settings.learning_rate * settings.weight_decay >= 1:
        # A step that takes away more than the whole of a weight turns its sign.
        ways.append(
            f"lower weight_decay (now {settings.weight_decay:g}; times learning_rate_init it must stay below 1)"
        )
    if not isinstance(settings.max_grad_norm, Real) or settings.max_grad_norm > 1:
        ways.append(f"set a small max_grad_norm (now {settings.max_grad_norm!r})")
    return ", ".join(ways)


def run_epoch(passes, optimizer, epoch, pace):
    """Update the network over all samples once; return the mean loss and the mean norm of the gradient on the way."""
    total, norms = 0.0, 0.0
    network, settings = passes.network, passes.settings
    for value, n_samples in passes.steps(epoch):
        norm = global_norm(passes.gradient, network.n_threads)
        if not (np.isfinite(value) and np.isfinite(norm)):
            raise Divergence(
                f"Training diverged in epoch {epoch + 1}: the loss is {value:g} and the norm of its gradient {norm:g}. "
                f"{_advice(settings)}, or scale the columns of X (StandardScaler)."
            )
        total += value * n_samples
        norms += norm
        rate = settings.learning_rate * pace.schedule.factor(pace.n_steps)
        optimizer.step(network.weights, passes.gradient, rate, pace.clipping.factor(norm))
        pace.n_steps += 1
    return total / passes.n_samples, norms / passes.n_steps


def train(network, flat, samples, settings, validation=None, first_epoch=0, optimizer_state=None):
    """Train `flat` in place.

    Parameters
    ----------
    network : Network
        Bound to the layout of `flat`.
    flat : ndarray of shape (n_parameters,)
        Start and result. With a validation part, the result is the best epoch's.
    samples : Samples
        The training part.
    settings : Settings
        What the estimator was constructed with.
    validation : Samples or None, default=None
        None for no early stopping: then training ends when the training loss stops to fall.
    first_epoch : int, default=0
        Number of epochs trained before: shuffling and dropout go on from there.
    optimizer_state : dict or None

    Returns
    -------
    History

    Raises
    ------
    Divergence
        When the loss, the gradient or a validation prediction is not finite.
    """
    network.load(flat)
    optimizer = OPTIMIZERS[settings.optimizer](network, settings.weight_decay, optimizer_state)
    passes = PASSES[settings.training](network, samples, settings)
    pace = Pace(settings, passes.n_steps)
    history, patience = History(), _Patience(settings.tol, settings.n_iter_no_change)
    loss = LOSSES[settings.loss].bound(settings.loss_parameter)
    null_value, least = 1.0, 0.0
    if validation is not None:
        n_outputs = network.layout.n_outputs
        constant = loss.constant(samples.targets.astype(np.float64), samples.weights.astype(np.float64), n_outputs)
        null = np.broadcast_to(constant, (len(validation.sequences), n_outputs))
        null_value = mean_loss(loss, null, validation.targets, validation.weights)
        least = least_loss(loss, validation.targets, validation.weights, n_outputs)
    for epoch in range(first_epoch, first_epoch + settings.max_iter):
        value, norm = run_epoch(passes, optimizer, epoch, pace)
        history.loss_curve.append(value)
        history.gradient_norms.append(norm)
        history.n_epochs += 1
        message = f"Epoch {epoch + 1}: loss {value:.6f}"
        if validation is None:
            pace.schedule.observe(value)
            stop = patience.exhausted(value)
        else:
            optimizer.settle()
            reached = _validation_loss(network, loss, validation, settings, epoch)
            score = explained_share(reached, null_value, least)
            history.validation_scores.append(score)
            message += f", validation score {score:.6f}"
            pace.schedule.observe(-score)
            stop = patience.exhausted(-score, network.weights)
            optimizer.resume()
        if settings.verbose:
            print(message, flush=True)
        if stop and not pace.schedule.has_end:
            break
    optimizer.settle()
    if validation is None:
        _check_last_step(network, samples, settings, epoch)
    flat[:] = network.from_panels(network.weights if validation is None else patience.best_weights)
    history.optimizer_state = optimizer.state
    return history


def _check_last_step(network, samples, settings, epoch):
    """Raise if the last step, which no loss has seen, went where predictions are not finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        z = network.forward(samples.sequences.take(slice(0, settings.batch_size)))
    if not np.isfinite(z).all():
        raise Divergence(
            f"Training diverged in epoch {epoch + 1}: what the network then predicts is not finite. "
            f"{_advice(settings)}, or scale the columns of X (StandardScaler)."
        )


def _validation_loss(network, loss, validation, settings, epoch):
    # What overflows here is reported below, and not by a warning of NumPy too.
    with np.errstate(over="ignore", invalid="ignore"):
        value = mean_loss(loss, network.forward(validation.sequences), validation.targets, validation.weights)
    if not np.isfinite(value):
        raise Divergence(
            f"Training diverged in epoch {epoch + 1}: the validation loss is {value:g}. "
            f"{_advice(settings)}, or scale the columns of X and X_val (StandardScaler)."
        )
    return value
