"""The history of a training: curves and the weights that are kept."""

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
