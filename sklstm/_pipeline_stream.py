"""Predictions of a whole pipeline for rows that arrive one at a time."""

from __future__ import annotations

from copy import copy
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from sklstm._row_checks import RowOrder
from sklstm._stream import Stream
from sklstm._typing import Array, State


class PipelineStream:
    """Streams of rows, with the prediction of a fitted pipeline after each row.

    Made by `sklstm.streaming.stream`, which describes the arguments in full.

    Parameters
    ----------
    steps : RowWiseSteps
        The steps before the last, copies of their own.
    stream : Stream
        Of the last step; it takes the rows as that step reads them.
    n_streams : int or None
        Number of independent streams; None for one whose rows and results have no axis of streams.
    context : array-like or None, default=None
        The rows before, as the user passed them.

    See Also
    --------
    sklstm.streaming.Stream : The same for a model without steps before it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklstm import DeepLSTMRegressor
    >>> from sklstm.streaming import stream
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> model = make_pipeline(StandardScaler(), DeepLSTMRegressor(8, max_iter=2, random_state=0)).fit(X, X[:, 0])
    >>> rows = stream(model)
    >>> bool(([rows.step(row) for row in X] == model.predict(X)).all())
    True
    """

    def __init__(self, steps: Any, stream: Stream, n_streams: int | None, context: ArrayLike | None = None) -> None:
        self._steps, self._stream, self._n_streams = steps, stream, n_streams
        self._order = copy(stream._order) if context is None else RowOrder(context if n_streams is None else None)

    def step(self, x: ArrayLike, out: Array | None = None, future: ArrayLike | None = None) -> Any:
        """Take the next row of every stream, as the first step of the pipeline takes it, and predict.

        Parameters
        ----------
        x : array-like of shape (n_features,) or (n_streams, n_features)
            One row; with `n_streams`, one for each stream. Names of features, where x (a Series or DataFrame) and the
            pipeline have them, must agree.
        out : ndarray, default=None
            Array for the result, see `Stream.step`; None for a new array.
        future : array-like of shape (n_rows, n_features) or (n_streams, n_rows, n_features), default=None
            The rows that will come after x, as the first step takes them: see `Stream.step`.

        Returns
        -------
        float, label or ndarray
            As of `Stream.step`; `out` if that was given.

        Raises
        ------
        ValueError
            If a step or the model refuses x. The streams are then as before.
        RuntimeError
            If another thread is using this stream. Neither step harms the other.
        """
        if not self._steps.steps:
            return self._stream.step(x, out=out, future=future)
        rows = self._steps.transform_rows(x, self._n_streams)
        label = None if self._n_streams is not None or type(x) is np.ndarray else self._order.look(x)
        ahead = None if future is None else self._steps.rows_before(future, self._n_streams)
        n_steps, last = self._stream._n_steps, self._order.last
        try:
            answer = self._stream.step(rows, out=out, future=ahead)
            self._order.follow(label)
            return answer
        except BaseException:
            self._stream._go_back(n_steps)
            self._order.last = last
            raise

    def reset(self, streams: ArrayLike | None = None) -> Self:
        """Forget all rows, those of `context` and the carried ones included.

        Parameters
        ----------
        streams : array-like of int or bool, default=None
            Numbers of the streams, or a mask of shape (n_streams,); None for all. The others go on.

        Returns
        -------
        self : PipelineStream
            The stream.

        Raises
        ------
        ValueError
            If `streams` is neither; nothing is reset then.
        """
        self._stream.reset(streams)
        self._order.forget()
        return self

    @property
    def state(self) -> dict[str, Array]:
        """The state of the streams, see `Stream.state`; rows are kept as the last step reads them.

        Returns
        -------
        dict of str to ndarray
            Copies that can be saved and restored.
        """
        return self._stream.state

    @state.setter
    def state(self, state: State) -> None:  # numpydoc ignore=GL08
        self._stream.state = state
        self._order.forget()

    def __getstate__(self):
        """Return what a pickle or a copy is made of."""
        return {**self.__dict__, "_stream": copy(self._stream), "_order": RowOrder()}
