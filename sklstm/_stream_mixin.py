"""The method `stream` of the estimators."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from sklstm._stream import Stream
from sklstm._typing import ResponseMethod


class StreamMixin:
    """The method `stream` of an estimator that has `_network()` and `_targets()`."""

    def stream(
        self,
        *,
        n_streams: int | None = None,
        window: bool | None = None,
        context: ArrayLike | None = None,
        response_method: ResponseMethod = "predict",
        group: Any = None,
    ) -> Stream:
        """Predict rows that arrive one at a time.

        Each ``stream.step(x)`` takes one row and returns what `predict` (or another `response_method`) returns for it,
        bit for bit: for the last row of the table of all rows so far or, with a model that was fitted on sequences, for
        the sequence of all rows so far. With `n_seeds`, each of the networks takes a step.

        Parameters
        ----------
        n_streams : int or None, default=None
            Number of independent streams that are stepped together: x has shape (n_streams, n_features), and the
            results have an axis of n_streams entries. None for one stream, x of shape (n_features,), and a result
            without that axis.
        window : bool, default=None
            True: only the last `sequence_length` rows count, as for each row of a table. False: all rows since the
            start, as for a sequence; the states are carried on, which costs less than a window. None follows the
            model: True for one that was trained on windows of a table, False for ``training="stateful"`` and for one
            that was fitted on sequences.
        context : array-like of shape (n_rows, n_features) or (n_streams, n_rows, n_features), default=None
            The rows that came before, 3-D if `n_streams` is given; no predictions are made for them. With a window,
            None means the rows of ``carry_context=True``, if the model has them, before each stream, as `predict` takes
            every table as what follows them; an array without rows starts at the beginning.
        response_method : str, default="predict"
            The method whose result a step returns: "predict", "transform", of a classifier "predict_proba" or
            "predict_log_proba", of a regressor with ``loss="quantile"`` "predict_quantiles".
        group : label or sequence of labels, default=None
            Needed with `group_scaling`: the group that the stream belongs to, with `n_streams` a list of them. The unit
            of a group that was not in `fit` is learnt from all its rows of `context`, and stays. With a window and
            ``carry_context=True``, the stream follows the rows that were kept of its group, unless `context` is given.

        Returns
        -------
        Stream
            With the methods `step` and `reset` and the attribute `state`. It keeps the present parameters.

        Raises
        ------
        ValueError
            If an argument is not as described, or the model is not fitted (`NotFittedError`). Without a window also if
            no row can be read after the other: with `bidirectional`, `attention_heads`, `patch_length`, `window_norm`
            or, of a model for windows, `linear_skip`. A model with ``training="stateful"`` or ``targets="sequence"``
            has no windows.
        MemoryError
            If the rows that the windows of `n_streams` streams read do not fit into memory; it names both sizes.

        Examples
        --------
        >>> import numpy as np
        >>> from sklstm import DeepLSTMRegressor
        >>> X = np.random.default_rng(0).normal(size=(200, 3))
        >>> model = DeepLSTMRegressor(hidden_size=8, max_iter=2, random_state=0).fit(X, X[:, 0])
        >>> stream = model.stream(n_streams=2)
        >>> stream.step(X[:2]).shape
        (2,)
        >>> saved = stream.state
        >>> once = stream.step(X[2:4])
        >>> stream.state = saved
        >>> bool((stream.step(X[2:4]) == once).all())
        True
        """
        return Stream(
            self, n_streams=n_streams, window=window, context=context, response_method=response_method, group=group
        )
