"""The loop over epochs and batches, with early stopping."""

from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from sklstm._training.clipping import Clipping, global_norm
from sklstm._training.divergence import check_last_step, check_step, check_validation
from sklstm._training.early_stopping import EarlyStopping
from sklstm._training.history import Epoch, EpochEnd, History, Start
from sklstm._training.losses import LOSSES, explained_share, least_loss, mean_loss
from sklstm._training.optimizers import OPTIMIZERS
from sklstm._training.passes import PASSES
from sklstm._training.progress import Progress
from sklstm._training.recurrent_constraints import CONSTRAINTS
from sklstm._training.resumption import restore, state_between_epochs, weights_of
from sklstm._training.sample_weights import MeanWeight, in_unit_range
from sklstm._training.schedules import SCHEDULES
from sklstm._training.skip_steps import skip_steps
from sklstm._training.weight_decay import weight_decay


@dataclass(frozen=True)
class Samples:
    """Sequences with their targets (n, n_outputs or 1) and weights (n,) or (n, n_outputs).

    With weights of the outputs, the loss of a sample is the mean over its outputs of weight times loss. Targets are
    finite also where the weight is 0. ``weights * 2**exponent`` are the weights that the user passed; `names` are the
    names of X and y in messages.
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
    """The parameters of an estimator that the training loop uses.

    `linear_skip` is None without a linear skip, else "frozen" or "fine_tune"; `start_counts` says whether the start is
    a candidate of early stopping, beside the epochs; `recurrent_bound` is the largest size of a recurrent weight of
    single units, or None; `weight_decay` is None for the automatic one.
    """

    loss: str
    batch_size: int
    max_iter: int
    shuffle: bool | str
    learning_rate: float
    weight_decay: float | None
    max_grad_norm: float | str | None
    dropout: float
    tol: float
    n_iter_no_change: int
    seed: int
    verbose: bool = False
    label: str = ""
    optimizer: str = "adamw"
    schedule: str = "constant"
    loss_parameter: float | tuple = 0.0
    accumulation_steps: int = 1
    recurrent_dropout: float = 0.0
    weight_dropout: float = 0.0
    training: str = "windows"
    bptt_steps: int = 32
    linear_skip: str | None = None
    start_counts: bool = False
    recurrent_constraint: str | None = None
    recurrent_bound: float | None = None

    @property
    def step_size(self):
        """Number of samples of one optimizer step."""
        return self.batch_size * self.accumulation_steps


class TrainingSchedule:
    """The size of each step of a training: learning-rate schedule, gradient clipping and the count of steps.

    Parameters
    ----------
    settings : Settings
    steps_per_epoch : int
    state : dict or None, default=None
        A `state` to resume from.

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
        """What the next call resumes from, as a dict of numbers."""
        return {"schedule": {"name": self._name, "state": self.schedule.state}, "clipping": self.clipping.state}


def run_epoch(passes, optimizer, epoch, schedule, mask=None, stop=None, skip=None, constraint=None):
    """Train for one epoch; return the mean loss and the mean norm of the gradient over its steps.

    `mask` holds 0 for weights that stay zero and 1 for all others: the former have no gradient. Once ``stop()`` is
    true, it raises KeyboardInterrupt: only the main thread gets one from Python. `skip` is a `SkipSteps` or None,
    `constraint` one of `CONSTRAINTS` or None.
    """
    total, norms = 0.0, 0.0
    network, settings = passes.network, passes.settings
    for step, (value, n_samples) in enumerate(passes.steps(epoch)):
        if stop is not None and stop():
            raise KeyboardInterrupt
        if mask is not None:
            np.multiply(passes.gradient, mask, out=passes.gradient)
        norm = global_norm(passes.gradient, network.n_threads)
        check_step(passes, value, norm, epoch, step, is_first=schedule.n_steps == 0)
        total += value * n_samples
        norms += norm
        rate = settings.learning_rate * schedule.schedule.factor(schedule.n_steps)
        if skip is not None:
            skip.before_step()
        optimizer.step(network.weights, passes.gradient, rate, schedule.clipping.factor(norm))
        if skip is not None:
            skip.after_step(rate)
        if constraint is not None:
            constraint.after_step()
        schedule.n_steps += 1
    if constraint is not None:
        constraint.hold()
    return total / passes.n_samples, norms / passes.n_steps


def train(
    network,
    flat,
    samples,
    settings,
    validation=None,
    first_epoch=0,
    state=None,
    mask=None,
    score=None,
    stop=None,
    skip_start=None,
    after_epoch=None,
    resume_from=None,
):
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
        None for no early stopping: training then ends when the training loss no longer falls.
    first_epoch : int, default=0
        Number of epochs trained before: shuffling and dropout continue from there.
    state : dict or None, default=None
        `History.state` of an earlier training to resume from. Training n epochs at once or in parts gives the same
        bits.
    mask : ndarray of shape (n_parameters,) or None, default=None
        0 for parameters that are zero, in `flat` and in `state`, and stay so; 1 for all others. None for all ones.
    score : callable or None, default=None
        ``score(z, epoch)`` of raw outputs for the validation part, the greater the better; None for the share of the
        loss that is explained.
    stop : callable or None, default=None
        Training ends as by Ctrl-C once ``stop()`` is true.
    skip_start : ndarray of shape (n_parameters,) or None, default=None
        Parameters whose linear skip is what that of the network decays to; None where it is frozen, or there is none.
    after_epoch : callable or None, default=None
        ``after_epoch(end)`` is called with an `EpochEnd` after each epoch; where it returns true, the training ends as
        by early stopping. What it raises ends the training without a result.
    resume_from : dict or None, default=None
        What ``end.state()`` gave in a training with the same arguments: this one goes on behind that epoch, with the
        same bits.

    Returns
    -------
    History
        A KeyboardInterrupt after the first finished epoch ends the training and is kept in `interrupt`; `flat` is then
        the result of the finished epochs alone.

    Raises
    ------
    Divergence
        When the loss, the gradient or a validation prediction is not finite.
    """
    network.load(flat if resume_from is None else weights_of(resume_from, network))
    training = _Training(network, samples, settings, validation, first_epoch, state, mask, score, stop, skip_start)
    training.after_epoch = after_epoch
    if resume_from is not None:
        restore(training, resume_from)
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
    """The state of one training."""

    def __init__(self, network, samples, settings, validation, first_epoch, state, mask, score, stop, skip_start):
        self.network, self.settings, self.first_epoch, self.stop = network, settings, first_epoch, stop
        self.mask = None if mask is None else network.to_panels(mask)
        constraint = settings.recurrent_constraint
        self.constraint = None if constraint is None else CONSTRAINTS[constraint](network)
        if self.constraint is not None:
            self.constraint.hold()
        state = _still_valid(state, settings)
        weights, exponent = in_unit_range(samples.weights)
        exponent += samples.exponent
        samples = replace(samples, weights=weights.astype(network.dtype))
        self.mean_weight = MeanWeight(state.get("mean_weight"))
        mean_weight = self.mean_weight.include(samples.weights, exponent)
        # The reported loss is normalised by the mean weight of these samples, whatever the weights of earlier calls.
        self._loss_factor = mean_weight / float(samples.weights.mean(dtype=np.float64))
        self.passes = PASSES[settings.training](network, samples, settings, mean_weight)
        decay = weight_decay(settings, self.passes.n_steps)
        self.skip = skip_steps(network, settings, decay, skip_start)
        self.optimizer = OPTIMIZERS[settings.optimizer](network, decay, state.get("moments"))
        if settings.recurrent_bound is not None:
            self.optimizer.hold_bound(settings.recurrent_bound)
        self.schedule = TrainingSchedule(settings, self.passes.n_steps, state)
        self.stopping = EarlyStopping(settings.tol, settings.n_iter_no_change)
        self.validation = None if validation is None else _ValidationPart(self.passes, validation, score)
        self.history = History(weight_decay=decay)
        self.after_epoch, self.is_over = None, False
        # Two buffers: the last copy that was kept stays whole while the next is written, also if that is interrupted.
        self._copies = [None, None]

    @property
    def state(self):
        """What the next training resumes from, as plain arrays and numbers."""
        settings = self.settings
        return {
            "solver": settings.optimizer,
            "moments": self.optimizer.state,
            "loss": _loss_of(settings),
            **self.schedule.state,
            "mean_weight": self.mean_weight.state,
        }

    def run(self):
        """Train until the last epoch or until nothing improves; the network then holds the weights for prediction."""
        settings, progress = self.settings, Progress(self.settings, self.first_epoch)
        if settings.start_counts and self.validation is not None and self.history.start is None:
            _, score = self.validation.evaluate(self.passes, self.first_epoch - 1)
            self.history.start = Start(score, settings.tol, self.network.weights.copy())
            progress.report_start(score)
        epoch = self.first_epoch + self.history.n_epochs
        while not self.is_over:
            begin = None if self.after_epoch is None else perf_counter()
            loss, norm = run_epoch(
                self.passes, self.optimizer, epoch, self.schedule, self.mask, self.stop, self.skip, self.constraint
            )
            self.optimizer.use_average()
            is_best = self._finish(epoch, self._loss_factor * loss, norm)
            progress.report(self.history.epochs[-1])
            is_last = self.history.n_epochs == settings.max_iter
            self.is_over = is_last or (self.stopping.is_over and not self.schedule.schedule.has_end)
            if self.after_epoch is not None:
                end = self._end(epoch, is_best, perf_counter() - begin)
                self.is_over = bool(self.after_epoch(end)) or self.is_over
            epoch += 1
            if not self.is_over:
                self.optimizer.use_training_weights()
        if self.validation is None:
            # No loss is computed after the last step: check that its predictions are finite.
            few = self.passes.samples.sequences.take(slice(0, settings.batch_size))
            with np.errstate(over="ignore", invalid="ignore"):
                check_last_step(self.passes, self.network.forward(few), epoch - 1)

    def _end(self, epoch, is_best, seconds):
        """Return what is told of an epoch that has just ended."""
        settings, network, schedule = self.settings, self.network, self.schedule
        return EpochEnd(
            number=epoch + 1,
            epoch=self.history.epochs[-1],
            is_best=is_best,
            is_last=self.is_over,
            learning_rate=settings.learning_rate * schedule.schedule.factor(schedule.n_steps - 1),
            n_samples=self.passes.n_samples,
            seconds=seconds,
            history=self.history,
            parameters=lambda: network.from_panels(network.weights),
            state=lambda: state_between_epochs(self),
        )

    def _finish(self, epoch, loss, norm):
        """Evaluate an epoch and, last of all, add it to the history; return whether it is the best so far."""
        validation_loss = score = None
        if self.validation is not None:
            validation_loss, score = self.validation.evaluate(self.passes, epoch)
        value = loss if score is None else -score
        self.schedule.schedule.observe(value)
        is_best = self.stopping.observe(value)
        weights = self._copy_of_weights() if is_best or score is None else None
        self.history.epochs.append(Epoch(loss, norm, validation_loss, score, weights))
        return is_best

    def _copy_of_weights(self):
        copies = self._copies
        copies.reverse()
        if copies[0] is None:
            copies[0] = np.empty_like(self.network.weights)
        np.copyto(copies[0], self.network.weights)
        return copies[0]


class _ValidationPart:
    """The validation part and the loss of the best constant and of a perfect prediction, which the score relates to."""

    def __init__(self, passes, validation, score):
        network, settings, samples = passes.network, passes.settings, passes.samples
        n_outputs, self.score = network.layout.n_outputs, score
        self.samples = replace(validation, weights=in_unit_range(validation.weights)[0])
        self.loss = LOSSES[settings.loss].bound(settings.loss_parameter)
        constant = self.loss.constant(samples.targets.astype(np.float64), samples.weights.astype(np.float64), n_outputs)
        null = np.broadcast_to(constant, (len(validation.sequences), n_outputs))
        with np.errstate(over="ignore", invalid="ignore"):
            self.null_value = self._mean_loss(null)
        self.least = least_loss(self.loss, validation.targets, self.samples.weights, n_outputs)

    def _mean_loss(self, z):
        return mean_loss(self.loss, z, self.samples.targets, self.samples.weights)

    def evaluate(self, passes, epoch):
        """Return loss and score of the network with its present weights."""
        # An overflow is reported by `check_validation`, not by a NumPy warning.
        with np.errstate(over="ignore", invalid="ignore"):
            z = passes.network.forward(self.samples.sequences)
            value = self._mean_loss(z)
        check_validation(passes, value, z, self.samples, epoch)
        if self.score is not None:
            return value, self.score(z, epoch)
        return value, explained_share(value, self.null_value, self.least)


def _loss_of(settings):
    return [settings.loss, np.asarray(settings.loss_parameter).tolist()]


def _still_valid(state, settings):
    """Return the part of an earlier state that still applies under these settings."""
    state = dict(state or {})
    if state.get("solver") != settings.optimizer:
        state.pop("moments", None)
    if state.get("loss") != _loss_of(settings):
        # Values of another loss cannot be compared.
        state.pop("schedule", None)
        state.pop("clipping", None)
    return state
