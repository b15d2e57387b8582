"""The callback `OptunaPruning`."""

from typing import Any, Literal

from sklstm._callbacks.epochs import EpochCallback
from sklstm._callbacks.records import EpochRecord

# What a study with one of them minimises.
LOSSES = ("loss", "validation_loss")


class OptunaPruning(EpochCallback):
    """Reports every epoch to a trial of Optuna, and ends the fit where the trial is to be pruned.

    Parameters
    ----------
    trial : optuna.trial.Trial
        The argument of the objective. A trial follows one fit: make a new callback in each objective.
    monitor : {"validation_score", "validation_loss", "loss"}, default="validation_score"
        What is reported: the score or the loss of the validation part, or the training loss.

    Raises
    ------
    optuna.TrialPruned
        In `fit`, where the pruner says so; the estimator stays as it was before.
    ValueError
        In `fit`, if there is no validation part to monitor, or if the study has the other direction: a score is
        maximised, a loss is minimised.

    See Also
    --------
    sklstm.callbacks.Checkpoint : A fit that goes on after a crash.

    Notes
    -----
    With `n_seeds`, the first network is reported; the others end with it. In `cross_val_score` only the first fold is
    of use to the pruner, which knows each epoch once, and ``error_score="raise"`` lets the pruning through.

    Examples
    --------
    >>> from sklstm import DeepLSTMRegressor
    >>> from sklstm.callbacks import OptunaPruning
    >>> def objective(trial):
    ...     model = DeepLSTMRegressor(hidden_size=trial.suggest_int("hidden_size", 8, 64), early_stopping=True)
    ...     return model.set_callbacks(OptunaPruning(trial)).fit(X, y).best_validation_score_
    >>> # optuna.create_study(direction="maximize").optimize(objective, n_trials=50)
    """

    def __init__(
        self,
        trial: Any,
        monitor: Literal["validation_score", "validation_loss", "loss"] = "validation_score",
    ) -> None:
        if monitor not in ("validation_score", *LOSSES):
            raise ValueError(f"monitor={monitor!r} must be 'validation_score', 'validation_loss' or 'loss'.")
        self.trial, self.monitor = trial, monitor

    def _setup(self, root: Any) -> None:
        study = getattr(self.trial, "study", None)
        wanted = "MINIMIZE" if self.monitor in LOSSES else "MAXIMIZE"
        if study is not None and study.direction.name not in (wanted, "NOT_SET"):
            raise ValueError(
                f"OptunaPruning(monitor={self.monitor!r}) needs a study with direction={wanted.lower()!r}: this one "
                f"would prune the best trials (direction={study.direction.name.lower()!r})."
            )

    def _after_epoch(self, training: Any, record: EpochRecord) -> None:
        if record.network > 0:
            return
        value = getattr(record, self.monitor)
        if value is None:
            raise ValueError(
                f"OptunaPruning(monitor={self.monitor!r}) needs a validation part: set early_stopping=True, bring one "
                "(X_val, y_val), or set monitor='loss'."
            )
        self.trial.report(value, record.number)
        if self.trial.should_prune():
            import optuna

            raise optuna.TrialPruned(f"Pruned after epoch {record.number}: {self.monitor} {value:g}.")
