"""The loop over epochs and batches, with early stopping."""

from dataclasses import dataclass, replace

import numpy as np

from sklstm._training.clipping import Clipping, global_norm
from sklstm._training.divergence import check_last_step, check_step, check_validation
from sklstm._training.early_stopping import EarlyStopping
from sklstm._training.history import Epoch, History
from sklstm._training.losses import LOSSES, explained_share, least_loss, mean_loss
from sklstm._training.optimizers import OPTIMIZERS
from sklstm._training.passes import PASSES
from sklstm._training.progress import Progress
from sklstm._training.sample_weights import MeanWeight, in_unit_range
from sklstm._training.schedules import SCHEDULES


@dataclass(frozen=True)
class Samples:
    """Sequences with what is to be predicted: targets (n, n_outputs or 1), weights (n,) or (n, n_outputs).

    Weights of the outputs make the loss of a sample the mean over its outputs of weight times loss. Targets are finite
    numbers also where the weight is 0. Times two to the power `exponent` the weights are what was handed over; `names`
    are what a message calls X and y.
    """

    sequences: object
    targets: np.ndarray
    weights: np.ndarray
    exponent: int = 0
    names: tuple = ("X", "y")

    def take(self, selection):
        """Return some of the samples."""
        return replace(
            self,
            sequences=self.sequences.take(selection),
            targets=self.targets[selection],
            weights=self.weights[selection],
        )


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


class TrainingSchedule:
    """How far each step of a training goes: the schedule of the step size, the clipping, and the steps made.

    Parameters
    ----------
    settings : Settings
    steps_per_epoch : int
    state : dict or None, default=None
        What `state` returned, to go on where it was taken.

    Attributes
    ----------
    n_steps : int
        Steps made.
    """

    def __init__(self, settings, steps_per_epoch, state=None):
        state = state or {}
        self._name = settings.schedule
        of_schedule = state.get("schedule", {})
        self.schedule = SCHEDULES[settings.schedule](
            steps_per_epoch,
            settings.max_iter,
            settings.tol,
            settings.n_iter_no_change,
            of_schedule.get("state") if of_schedule.get("name") == settings.schedule else None,
        )
        self.clipping = Clipping(settings.max_grad_norm, state.get("clipping"))
        self.n_steps = 0

    @property
    def state(self):
        """Return what the next call goes on from, as a dict of numbers."""
        return {"schedule": {"name": self._name, "state": self.schedule.state}, "clipping": self.clipping.state}


def run_epoch(passes, optimizer, epoch, schedule):
    """Update the network over all samples once; return the mean loss and the mean norm of the gradient on the way."""
    total, norms = 0.0, 0.0
    network, settings = passes.network, passes.settings
    for step, (value, n_samples) in enumerate(passes.steps(epoch)):
        norm = global_norm(passes.gradient, network.n_threads)
        check_step(passes, value, norm, epoch, step, is_first=schedule.n_steps == 0)
        total += value * n_samples
        norms += norm
        rate = settings.learning_rate * schedule.schedule.factor(schedule.n_steps)
        optimizer.step(network.weights, passes.gradient, rate, schedule.clipping.factor(norm))
        schedule.n_steps += 1
    return total / passes.n_samples, norms / passes.n_steps


def train(network, flat, samples, settings, validation=None, first_epoch=0, state=None):
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
    state : dict or None, default=None
        `History.state` of an earlier training that this one goes on from: so many epochs at once and in parts are the
        same, bit for bit.

    Returns
    -------
    History
        A KeyboardInterrupt after the first finished epoch ends the training and stands in `interrupt`; `flat` is then
        what the finished epochs alone would have given.

    Raises
    ------
    Divergence
        When the loss, the gradient or a validation prediction is not finite.
    """
    network.load(flat)
    training = _Training(network, samples, settings, validation, first_epoch, state)
    history = training.history
    try:
        training.run()
        flat[:] = network.from_panels(history.weights)
        history.state = training.state
        return history
    except KeyboardInterrupt as interrupt:
        if not history.epochs:
            raise
        history.interrupt = interrupt
        flat[:] = network.from_panels(history.weights)
        return history


class _Training:
    """One training: what it is made of, and how far it has come."""

    def __init__(self, network, samples, settings, validation, first_epoch, state):
        self.network, self.settings, self.first_epoch = network, settings, first_epoch
        state = _still_valid(state, settings)
        weights, exponent = in_unit_range(samples.weights)
        exponent += samples.exponent
        samples = replace(samples, weights=weights.astype(network.dtype))
        self.mean_weight = MeanWeight(state.get("mean_weight"))
        mean_weight = self.mean_weight.include(samples.weights, exponent)
        # The loss that is told is the mean of these samples, whatever the weights of earlier calls were.
        self._loss_factor = mean_weight / float(samples.weights.mean(dtype=np.float64))
        self.optimizer = OPTIMIZERS[settings.optimizer](network, settings.weight_decay, state.get("moments"))
        self.passes = PASSES[settings.training](network, samples, settings, mean_weight)
        self.schedule = TrainingSchedule(settings, self.passes.n_steps, state)
        self.stopping = EarlyStopping(settings.tol, settings.n_iter_no_change)
        self.validation = None if validation is None else _ValidationPart(self.passes, validation)
        self.history = History()
        # Two copies of weights, the last that was kept behind the next: an interrupt during a copy loses nothing.
        self._copies = [None, None]

    @property
    def state(self):
        """Return what the next training needs to go on, plain arrays and numbers."""
        settings = self.settings
        return {
            "solver": settings.optimizer,
            "moments": self.optimizer.state,
            "loss": _loss_of(settings),
            **self.schedule.state,
            "mean_weight": self.mean_weight.state,
        }

    def run(self):
        """Train until the last epoch or until nothing improves; the network then predicts."""
        settings, progress = self.settings, Progress(self.settings, self.first_epoch)
        for epoch in range(self.first_epoch, self.first_epoch + settings.max_iter):
            loss, norm = run_epoch(self.passes, self.optimizer, epoch, self.schedule)
            self.optimizer.use_average()
            self._finish(epoch, self._loss_factor * loss, norm)
            progress.report(self.history.epochs[-1])
            if self.stopping.is_over and not self.schedule.schedule.has_end:
                break
            self.optimizer.use_training_weights()
        else:
            self.optimizer.use_average()
        if self.validation is None:
            # The last step, which no loss has seen, may have gone where predictions are not finite.
            few = self.passes.samples.sequences.take(slice(0, settings.batch_size))
            with np.errstate(over="ignore", invalid="ignore"):
                check_last_step(self.passes, self.network.forward(few), epoch)

    def _finish(self, epoch, loss, norm):
        """Look at what an epoch has brought and, last of all, add it to the history."""
        validation_loss = score = None
        if self.validation is not None:
            validation_loss, score = self.validation.look(self.passes, epoch)
        value = loss if score is None else -score
        self.schedule.schedule.observe(value)
        is_best = self.stopping.observe(value)
        weights = self._copy_of_weights() if is_best or score is None else None
        self.history.epochs.append(Epoch(loss, norm, validation_loss, score, weights))

    def _copy_of_weights(self):
        copies = self._copies
        copies.reverse()
        if copies[0] is None:
            copies[0] = np.empty_like(self.network.weights)
        np.copyto(copies[0], self.network.weights)
        return copies[0]


class _ValidationPart:
    """What the score of an epoch is made of: the loss of the validation part, between constant and perfect ones."""

    def __init__(self, passes, validation):
        network, settings, samples = passes.network, passes.settings, passes.samples
        n_outputs = network.layout.n_outputs
        self.samples = replace(validation, weights=in_unit_range(validation.weights)[0])
        self.loss = LOSSES[settings.loss].bound(settings.loss_parameter)
        constant = self.loss.constant(samples.targets.astype(np.float64), samples.weights.astype(np.float64), n_outputs)
        null = np.broadcast_to(constant, (len(validation.sequences), n_outputs))
        with np.errstate(over="ignore", invalid="ignore"):
            self.null_value = self._mean_loss(null)
        self.least = least_loss(self.loss, validation.targets, self.samples.weights, n_outputs)

    def _mean_loss(self, z):
        return mean_loss(self.loss, z, self.samples.targets, self.samples.weights)

    def look(self, passes, epoch):
        """Return loss and score of the network as it is."""
        # What overflows here is reported below, and not by a warning of NumPy too.
        with np.errstate(over="ignore", invalid="ignore"):
            z = passes.network.forward(self.samples.sequences)
            value = self._mean_loss(z)
        check_validation(passes, value, z, self.samples, epoch)
        return value, explained_share(value, self.null_value, self.least)


def _loss_of(settings):
    return [settings.loss, np.asarray(settings.loss_parameter).tolist()]


def _still_valid(state, settings):
    """Return what of the state of an earlier training means the same under these settings."""
    state = dict(state or {})
    if state.get("solver") != settings.optimizer:
        state.pop("moments", None)
    if state.get("loss") != _loss_of(settings):
        # Losses and gradients are measured otherwise.
        state.pop("schedule", None)
        state.pop("clipping", None)
    return state
