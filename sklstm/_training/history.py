"""The history of a training: curves, the weights that are kept, and what is told of each epoch."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Epoch(NamedTuple):
    """One finished epoch: mean training loss, mean norm of its gradients, loss and score of the validation part.

    `weights` is a copy of the network's weights if they are kept; its buffer is reused by the copy after the next.
    """

    loss: float
    gradient_norm: float
    validation_loss: float | None = None
    validation_score: float | None = None
    weights: Any = None


class Start(NamedTuple):
    """The start of a training: the score of the validation part, and a copy of the weights.

    An epoch is better only by more than `tol`.
    """

    validation_score: float
    tol: float
    weights: Any


@dataclass
class History:
    """The finished epochs of a training.

    Attributes
    ----------
    epochs : list of Epoch
        Each is added by a single `append`, so that an interrupt finds it complete or not at all.
    start : Start or None
        The start, where it may be what is kept; None where only epochs may.
    state : dict or None
        What the next training resumes from, plain arrays and numbers; None where it cannot resume.
    interrupt : KeyboardInterrupt or None
        What ended the training early.
    weight_decay : float or None
        The decay that was used.
    """

    epochs: list = field(default_factory=list)
    start: Start | None = None
    state: dict | None = None
    interrupt: KeyboardInterrupt | None = None
    weight_decay: float | None = None

    @property
    def n_epochs(self):
        """Number of finished epochs."""
        return len(self.epochs)

    @property
    def best_epoch(self):
        """Number, from 1, of the epoch whose weights were kept: the best one's, the last without a validation part.

        0 where none was better than the start.
        """
        if self.start is not None and self.start.validation_score + self.start.tol >= max(self.validation_scores):
            return 0
        return max(number for number, epoch in enumerate(self.epochs, 1) if epoch.weights is not None)

    @property
    def best_score(self):
        """Score of the weights that were kept."""
        best = self.best_epoch
        return self.epochs[best - 1].validation_score if best else self.start.validation_score

    @property
    def weights(self):
        """Weights of that epoch, or of the start."""
        best = self.best_epoch
        return self.epochs[best - 1].weights if best else self.start.weights

    @property
    def loss_curve(self):
        """Training loss of each epoch."""
        return [epoch.loss for epoch in self.epochs]

    @property
    def gradient_norms(self):
        """Mean norm of the gradient in each epoch, before clipping."""
        return [epoch.gradient_norm for epoch in self.epochs]

    @property
    def validation_losses(self):
        """Validation loss of each epoch, empty without a validation part."""
        return [epoch.validation_loss for epoch in self.epochs if epoch.validation_loss is not None]

    @property
    def validation_scores(self):
        """Validation score of each epoch, empty without a validation part."""
        return [epoch.validation_score for epoch in self.epochs if epoch.validation_score is not None]


@dataclass(frozen=True)
class EpochEnd:
    """What a training tells of an epoch that has just ended; nothing is computed before it is asked for.

    Attributes
    ----------
    number : int
        From 1, over all trainings of this network.
    epoch : Epoch
    is_best : bool
        Whether it is the best so far, by the validation score or, without one, by the training loss.
    is_last : bool
        Whether the training ends here by itself.
    learning_rate : float
        Step size of its last step.
    n_samples : int
        Samples it was trained on.
    seconds : float
        What it took, the validation part included.
    history : History
        All epochs of this training so far.
    parameters : callable
        ``parameters()``, the parameters for prediction as a flat vector, valid until the training goes on.
    state : callable
        ``state()``, what `train` takes as `resume_from`: plain arrays and numbers.
    """

    number: int
    epoch: Epoch
    is_best: bool
    is_last: bool
    learning_rate: float
    n_samples: int
    seconds: float
    history: History
    parameters: Callable[[], Any]
    state: Callable[[], dict[str, Any]]
