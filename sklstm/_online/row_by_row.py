"""The words of river: rows are predicted and truths learnt as they come."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from sklstm._online.admission import refuse_rows, refuse_truths
from sklstm._online.inputs import read_keys
from sklstm._time_order import look_at_score
from sklstm._typing import Array, available_if


def model_has(name):
    """Return a check of whether the model of a learner has a method."""

    def check(learner):
        """Raise AttributeError where it has not."""
        getattr(learner.model, name)
        return True

    return check


class RowByRow:
    """Methods of a learner for the rows that come next; `LearnerParts` has what they call."""

    _lock: Any
    _engine: Any
    _predict_one: Any
    _predict_warm: Any
    _read_rows: Any
    _warm: Any
    _warm_many: Any
    _tell: Any
    __sklearn_is_fitted__: Any
    classes_: Array

    def predict_one(self, x: Any, key: int | str | None = None, *, time: Any = None) -> Any:
        """Take the next row and predict it.

        Parameters
        ----------
        x : array-like of shape (n_features,) or dict
            The row: an array, a Series, or the values of the columns by name.
        key : int, str or None, default=None
            What names the row in `learn_one`; None where truths come in the order of the rows.
        time : number, datetime or None, default=None
            Its time, later than that of the row before; None for none, or for the name of a Series if that is a time.

        Returns
        -------
        float, label or ndarray
            The prediction; None before the first fit, as there is no model yet.

        Raises
        ------
        ValueError
            If the row has the wrong width, holds NaN or infinity, is out of order in time, or its key is that of
            another row that waits. It was not taken then.
        OSError
            If the journal cannot be written, as on a full disk. The row was not taken.
        """
        return self._predict_one(x, key, time, 0)

    @available_if(model_has("predict_proba"))
    def predict_proba_one(self, x: Any, key: int | str | None = None, *, time: Any = None) -> dict[Any, float]:
        """Take the next row and predict the probabilities of its classes, in place of `predict_one`.

        Parameters
        ----------
        x : array-like of shape (n_features,) or dict
            The row.
        key : int, str or None, default=None
            What names the row, as in `predict_one`.
        time : number, datetime or None, default=None
            Its time, as in `predict_one`.

        Returns
        -------
        dict of label to float
            Empty before the first fit.
        """
        probabilities = self._predict_one(x, key, time, 1)
        if probabilities is None:
            return {}
        labels = range(len(self.classes_)) if self.classes_.ndim == 2 else self.classes_.tolist()
        return dict(zip(labels, probabilities.tolist(), strict=True))

    def learn_one(self, x: Any, y: Any, key: int | str | None = None, *, time: Any = None) -> None:
        """Take the truth of a row that was predicted, or a row with its truth.

        Parameters
        ----------
        x : array-like of shape (n_features,), dict or None
            The row, as in `predict_one`; with a key None will do. Without one it is the row that waits longest or, if
            none waits, a new one.
        y : number, label or array-like of shape (n_outputs,)
            Its truth.
        key : int, str or None, default=None
            The key of the row in `predict_one`.
        time : number, datetime or None, default=None
            The time of a new row.

        Raises
        ------
        ValueError
            If no row of this key waits for its truth, as it was never predicted or its truth has come before, if x is
            another row or lacks a number, or y is no truth, or is more than 1,000 times as far from the mean of the
            truths of the fit as any before it. Nothing has changed then.
        OSError
            If the journal cannot be written. The truth was not taken.
        """
        with self._lock():
            engine = self.__dict__.get("_engine")
            if engine is None:
                self._warm(x, y, key, time)
                return
            try:
                engine.learn(x, y, key, time)
            finally:
                self._tell()

    def predict_many(self, X: ArrayLike, keys: Any = None) -> Array:
        """Take the next rows and predict each, as calls of `predict_one` would.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            The rows. The index of a DataFrame gives their times, if it has such.
        keys : sequence of int or str, default=None
            Of the rows.

        Returns
        -------
        ndarray of shape (n_rows,) or (n_rows, n_outputs)
            The predictions; before the first fit None for each row.

        Raises
        ------
        ValueError
            As by `predict_one`; if a row of X is wrong, none was taken.
        """
        with self._lock():
            if not self.__sklearn_is_fitted__():
                return self._predict_warm(X, keys)
            table, times, keys = self._read_rows(X, keys)
            refuse_rows(self._engine, times, keys)
            shown = [self.predict_one(x, key, time=time) for x, key, time in zip(table, keys, times, strict=True)]
            return np.array(shown)

    def learn_many(self, X: ArrayLike | None, y: ArrayLike, keys: Any = None) -> Self:
        """Take the truths of several rows, or rows with their truths, as calls of `learn_one` would.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features) or None
            The rows; with keys None will do.
        y : array-like of shape (n_rows,) or (n_rows, n_outputs)
            Their truths.
        keys : sequence of int or str, default=None
            Of the rows.

        Returns
        -------
        self : OnlineLearner
            The learner.

        Raises
        ------
        ValueError
            As by `learn_one`, or if X and y have an index each that share no row; nothing was taken then.
        """
        with self._lock():
            engine = self.__dict__.get("_engine")
            if engine is None:
                self._warm_many(X, y, keys)
                return self
            if X is not None:
                look_at_score(X, y, None, None)
            truths = engine.truths.read_all(y)
            if X is None:
                if keys is None:
                    raise ValueError("X is None, which needs keys: they say whose truths these are.")
                table, times = [None] * len(truths), [None] * len(truths)
                keys = read_keys(keys, None, len(truths))
            else:
                table, times, keys = self._read_rows(X, keys)
            if len(table) != len(truths):
                raise ValueError(f"X has {len(table)} rows, y {len(truths)}: expected one number.")
            refuse_truths(engine, table, times, keys)
            try:
                for x, truth, key, time in zip(table, engine.truths.decoded(truths), keys, times, strict=True):
                    engine.learn(x, truth, key, time)
            finally:
                self._tell()
        return self
