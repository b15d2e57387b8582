"""Learning online: a model that predicts rows as they come and learns from their truths."""

from __future__ import annotations

import os
from numbers import Integral
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MetaEstimatorMixin
from sklearn.utils import get_tags
from sklearn.utils._param_validation import Interval, StrOptions

from sklstm._online.drift import PageHinkley
from sklstm._online.inputs import refuse_classes
from sklstm._online.learner import LearnerParts
from sklstm._online.rollout import Rollout
from sklstm._online.row_by_row import RowByRow, model_has
from sklstm._online.runs import engine_from_folder
from sklstm._online.seen import SeenAttributes
from sklstm._typing import Array, available_if, checks_parameters
from sklstm._warn import warn_user

__all__ = ["OnlineLearner", "PageHinkley", "Rollout"]


class OnlineLearner(RowByRow, SeenAttributes, LearnerParts, MetaEstimatorMixin, BaseEstimator):
    """A network that predicts rows as they come, and learns from their truths.

    Parameters
    ----------
    model : DeepRNNRegressor, DeepRNNClassifier or FrozenEstimator
        What is cloned and fitted; of several outputs, with several seeds and with any cell as well. A fitted model in a
        `FrozenEstimator` of scikit-learn is taken as it is, and `fit` names the rows before.
    update_every : int or None, default=100
        Truths after which the model is trained on for an epoch, on the rows whose truths these are; None for never.
    replay : int, default=0
        Older rows that each update takes along, drawn at random from the buffer.
    buffer_size : int, default=10_000
        Newest rows that are kept for updates and refits.
    detector : "page_hinkley", object or None, default="page_hinkley"
        What finds drift in the losses: a `PageHinkley` with its defaults, or any object with a method `update(x)` and
        an attribute `drift_detected`, such as a detector of river, a copy of which is used; None for nothing.
    refit : "background", "inline" or None, default="background"
        Whether a new model is fitted to the rows of the buffer by another process, while this one predicts, or by this
        one, which takes its time; None for never.
    refit_every : int or None, default=None
        Truths between two refits; None for refits at drift only.
    refit_delay : int, default=200
        Truths after which a model that is fitted in the background takes part. If it is not ready by then, the call
        that brings this truth waits for it, so that results do not depend on how fast the process was.
    refit_rows : int or None, default=None
        Newest rows that a refit learns from; None for the whole buffer.
    drift_rows : int or None, default=1000
        Newest rows that a refit after drift learns from. It begins when half of them came after the alarm, and another
        one when all did: an alarm comes early, and most rows are of the time before. None for the whole buffer at once.
    rollout : Rollout or None, default=None
        How a refitted model takes over: in shadow first, then for a growing share of the rows. None for at once.
    on_missing : "raise" or "hold", default="raise"
        Whether NaN in a row is an error, or takes the value of the row before.
    warm_up : int, default=200
        Truths with which `learn_one` fits a learner that was not fitted before; the rows until then are in memory only.
    path : str, path-like or None, default=None
        Folder for checkpoints, the journal and the versions of the model, from the first fit on; None for none.
    checkpoint_every : int, default=1000
        Calls for single rows between two checkpoints.
    sync_every : int or None, default=None
        Calls after which the journal is brought to the disk (fsync); None leaves that to the system between two
        checkpoints: enough when the process is killed, but not for a loss of power.
    keep_versions : int or None, default=None
        Newest versions that are kept on disk; None for all.
    random_state : int, RandomState instance or None, default=None
        What draws the rows of `replay`, and the seeds of models without a `random_state` of their own.

    Attributes
    ----------
    model_ : estimator
        The model that predicts at present.
    challenger_ : estimator or None
        The model on trial.
    n_rows_seen_ : int
        Rows that have come, those of `fit` included.
    n_truths_seen_ : int
        Truths that have come, those of `fit` included.
    n_calls_ : int
        Rows and truths that were accepted since `fit`, a row with its truth counted once: where a caller that keeps its
        calls goes on after `resume`.
    pending_ : list of tuple
        Key (or None) and prediction of each row whose truth has not come.
    version_ : int
        Number of the model that predicts: 1 is that of `fit`, each replacement has the next.
    history_ : dict of str to ndarray
        What happened, with an entry for each event: its "kind", the "row" it came after, and numbers about it.
    classes_ : ndarray
        Of the model, if it is a classifier.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features; only when they had names that are strings.

    See Also
    --------
    sklstm.streaming.Stream : Predictions of a model that does not learn.

    Notes
    -----
    **Rows and truths.** `predict_one` takes the next row; its prediction is, bit for bit, that of ``model_.predict``
    for the last of all rows so far. `learn_one` takes the truth of the oldest row that waits for one, or of the one
    with its `key`; where none waits, it takes a row and its truth together. Truths may come late and, with keys, in any
    order, as long as their rows are in the buffer. What is not as described is refused, and nothing has changed then.

    **Updates** are `partial_fit` on the rows whose truths came since the last, each with the window of rows before it.
    Where one fails (a UserWarning and `history_` say so), the model stays as it was. With ``training="stateful"`` each
    row is read once: the states behind the last row that was learnt are carried to the update by the rows after it, and
    those of the predictions go on from the old parameters to the new. Rows that do not follow it, whose truths came
    late or that are replayed, are learnt with `bptt_steps` rows before them, from states of zero.

    **Refits.** A clone of `model` is fitted to the newest rows by a process of its own. `refit_delay` truths later it
    learns from what came meanwhile, and takes part. `predict_one` never waits for it. Without drift, `refit_every` says
    when; a refit that falls due while another runs, or while a challenger is on trial, begins afterwards.

    **Drift** is looked for in the losses of `model_`, normalised: the squared error for ``loss="squared_error"``, the
    pinball loss for one quantile, else the absolute error, in units of the deviation of the targets in `fit`; the log
    loss of classifiers. A new model is watched anew, and its first hundred losses say what is usual for it.

    **After a crash** of the process at any moment, `resume` gives the state after the last call whose record is whole.
    Before a call has any effect, it is written to a journal, which each checkpoint ends. The bits from there on are
    those of a run that was never interrupted. What came after ``n_calls_`` calls is to be sent again.

    **Threads** may call one learner: their calls follow each other. Pickles and copies go on in memory, without `path`.
    Parameters that are set after `fit` hold from the next `fit` on.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepLSTMRegressor
    >>> from sklstm.online import OnlineLearner
    >>> X = np.random.default_rng(0).normal(size=(600, 3))
    >>> y = np.convolve(X[:, 0], [0.5, 0.3, 0.2])[:600]
    >>> model = DeepLSTMRegressor(hidden_size=8, sequence_length=4, max_iter=5, random_state=0)
    >>> learner = OnlineLearner(model, update_every=50, random_state=0).fit(X[:300], y[:300])
    >>> for row, truth in zip(X[300:], y[300:]):
    ...     prediction = learner.predict_one(row)
    ...     learner.learn_one(row, truth)
    >>> learner.n_rows_seen_, learner.metrics()["updates"]
    (600, 6)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "model": "no_validation",
        "update_every": [Interval(Integral, 1, None, closed="left"), None],
        "replay": [Interval(Integral, 0, None, closed="left")],
        "buffer_size": [Interval(Integral, 1, None, closed="left")],
        "detector": "no_validation",
        "refit": [StrOptions({"background", "inline"}), None],
        "refit_every": [Interval(Integral, 1, None, closed="left"), None],
        "refit_delay": [Interval(Integral, 1, None, closed="left")],
        "refit_rows": [Interval(Integral, 1, None, closed="left"), None],
        "drift_rows": [Interval(Integral, 1, None, closed="left"), None],
        "rollout": [Rollout, None],
        "on_missing": [StrOptions({"raise", "hold"})],
        "warm_up": [Interval(Integral, 1, None, closed="left")],
        "path": [str, os.PathLike, None],
        "checkpoint_every": [Interval(Integral, 1, None, closed="left")],
        "sync_every": [Interval(Integral, 1, None, closed="left"), None],
        "keep_versions": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        model: Any,
        *,
        update_every: int | None = 100,
        replay: int = 0,
        buffer_size: int = 10_000,
        detector: Any = "page_hinkley",
        refit: Literal["background", "inline"] | None = "background",
        refit_every: int | None = None,
        refit_delay: int = 200,
        refit_rows: int | None = None,
        drift_rows: int | None = 1000,
        rollout: Rollout | None = None,
        on_missing: Literal["raise", "hold"] = "raise",
        warm_up: int = 200,
        path: str | os.PathLike[str] | None = None,
        checkpoint_every: int = 1000,
        sync_every: int | None = None,
        keep_versions: int | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.model = model
        self.update_every = update_every
        self.replay = replay
        self.buffer_size = buffer_size
        self.detector = detector
        self.refit = refit
        self.refit_every = refit_every
        self.refit_delay = refit_delay
        self.refit_rows = refit_rows
        self.drift_rows = drift_rows
        self.rollout = rollout
        self.on_missing = on_missing
        self.warm_up = warm_up
        self.path = path
        self.checkpoint_every = checkpoint_every
        self.sync_every = sync_every
        self.keep_versions = keep_versions
        self.random_state = random_state

    # Words of scikit-learn

    @checks_parameters(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit the model, and begin behind these rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in the order of time. A DataFrame may have the times in its index.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The truth of each row.

        Returns
        -------
        self : OnlineLearner
            The learner.

        Raises
        ------
        ValueError
            If the input is not as described, or `path` holds a run: nothing is lost by mistake.
        TypeError
            If `model` is no network of this package.
        """
        return self._fit(X, y, None)

    @checks_parameters(prefer_skip_nested_validation=False)
    def partial_fit(self, X: ArrayLike, y: ArrayLike, *, classes: ArrayLike | None = None) -> Self:
        """Take rows with their truths, one after the other; the first call is a `fit`, of the rows before it too.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows that come next.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The truth of each.
        classes : array-like of shape (n_classes,), default=None
            Of a classifier, all labels that will ever come: needed in the first call if its y does not hold them all.

        Returns
        -------
        self : OnlineLearner
            The learner.

        Raises
        ------
        ValueError
            If the input is not as described; no row was taken then.
        """
        if not self.__sklearn_is_fitted__():
            return self._fit_first(X, y, classes)
        if classes is not None:
            refuse_classes(self._fitted().champion.first_model)
        if classes is not None and not np.array_equal(np.unique(classes), np.ravel(self.classes_)):
            raise ValueError(f"classes={np.unique(classes)} differ from those of the first call, {self.classes_}.")
        return self.learn_many(X, y)

    def predict(self, X: ArrayLike, *, context: ArrayLike | None = None) -> Array:
        """Predict the rows of a table by the present model; the stream of rows does not move.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.
        context : array-like of shape (n_rows, n_features), default=None
            The rows right before X. None for none, or with ``carry_context=True`` of the model for the newest rows of
            the stream.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            What ``model_.predict`` returns.
        """
        return self._ask("predict", X, context)

    @available_if(model_has("predict_proba"))
    def predict_proba(self, X: ArrayLike, *, context: ArrayLike | None = None) -> NDArray[np.float64]:
        """Predict the probabilities of the classes by the present model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.
        context : array-like of shape (n_rows, n_features), default=None
            The rows right before X, as in `predict`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            What ``model_.predict_proba`` returns.
        """
        return self._ask("predict_proba", X, context)

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the score of the present model for a table.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their truths.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        float
            What ``model_.score`` returns: R^2, or the accuracy.
        """
        return float(self.model_.score(X, y, sample_weight))

    def metrics(self) -> dict[str, Any]:
        """Return counters, times and losses.

        Returns
        -------
        dict
            Counts by name ("rows", "truths", "updates", "drifts", "refits", ...), the losses "loss" and
            "loss_at_training", and of the seconds of "step", "learn", "update", "drift_check" and "checkpoint" the
            quantiles "step_p50", "step_p99", mean, maximum and count.
        """
        return self._measured().snapshot()

    def metrics_text(self) -> str:
        """Return the same in the text format of Prometheus.

        Returns
        -------
        str
            Lines for a scrape.
        """
        return self._measured().prometheus()

    # Runs on disk

    @classmethod
    def resume(cls, path: str | os.PathLike[str], model: Any = None, *, trust: bool = False) -> Self:
        """Go on with a run after a crash or the end of its process.

        Parameters
        ----------
        path : str or path-like
            The folder of the run.
        model : estimator, default=None
            The model that is expected: a run of another one is refused. None for any.
        trust : bool, default=False
            Whether the state of a detector that is not of this package is unpickled: only for folders that nobody else
            can write to.

        Returns
        -------
        OnlineLearner
            In the state after the last call whose record is whole, with the bits of a run that goes on.

        Raises
        ------
        ValueError
            If the folder holds no run, the run of another model, or one that another learner is using.
        """
        engine, parameters = engine_from_folder(path, model, trust)
        learner = cls(**parameters)
        learner._engine = engine
        learner._tell()
        return learner

    def close(self) -> None:
        """Write a last checkpoint, and give the folder back; the learner cannot be used any more."""
        with self._lock():
            engine = self.__dict__.pop("_engine", None)
            if engine is not None:
                self._is_closed = True
                engine.close()
                for note in engine.notes:
                    warn_user(note)

    def __sklearn_tags__(self) -> Any:
        """Return the tags of the model, for one table."""
        tags, own = super().__sklearn_tags__(), get_tags(self.model)
        for name in ("estimator_type", "classifier_tags", "regressor_tags", "target_tags", "non_deterministic"):
            setattr(tags, name, getattr(own, name))
        tags.input_tags = own.input_tags
        tags.input_tags.three_d_array = False
        return tags
