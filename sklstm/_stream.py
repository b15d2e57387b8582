"""Streams: predictions of a fitted model for rows that arrive one at a time."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from functools import partial
from math import isfinite
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy import ndarray
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklstm._network.stream import open_stream
from sklstm._options import refuse_single_steps
from sklstm._row_checks import RowChecks, RowOrder, check_out, check_state
from sklstm._rows_ahead import ahead_of, rows_after_step
from sklstm._snapshot import snapshot_of
from sklstm._stream_model import bound_copy, hidden_state, too_large, was_trained_on_windows
from sklstm._time_order import check_order, label_of_last_row
from sklstm._typing import Array, ResponseMethod, State
from sklstm._validation import (
    check_range,
    check_rows_before,
    overflow,
    refuse_overflow,
    warn_of_other_scale,
    window_length,
)

RESPONSE_METHODS = ("predict", "predict_proba", "predict_log_proba", "predict_quantiles", "transform")
FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)


class Stream:
    """Streams of rows, with the prediction of a fitted model after each row.

    Made by the method `stream` of `DeepRNNRegressor` and `DeepRNNClassifier`, which describes the arguments in full.

    Parameters
    ----------
    model : DeepRNNRegressor or DeepRNNClassifier
        Fitted.
    n_streams : int or None, default=None
        Number of independent streams; None for one whose rows and results have no axis of streams.
    window : bool, default=None
        Whether only the last `sequence_length` rows count; None for what the model was trained on.
    context : array-like of shape (n_rows, n_features) or (n_streams, n_rows, n_features), default=None
        The rows that came before.
    response_method : str, default="predict"
        The method of the model whose result `step` returns: "predict", "predict_proba", "predict_log_proba",
        "predict_quantiles" or "transform".
    group : label or sequence of labels, default=None
        With `group_scaling`, the group that the stream belongs to; with `n_streams` a list of them.

    See Also
    --------
    sklstm.DeepRNNRegressor : Its method `stream` makes streams of numbers.
    sklstm.DeepRNNClassifier : Its method `stream` makes streams of labels or probabilities.

    Notes
    -----
    A stream takes the parameters over when it is made: fitting the model again, or `set_params`, changes no stream
    that exists. Several streams, in threads of their own, share one model; one stream belongs to one thread at a time.
    Streams can be pickled and copied, with the model they were made from (without what only training needs).

    Without a window a step costs the same after any number of rows: the states of each layer are carried on [1]_. With
    one it costs as much as a prediction for one row of a table, as the states start at zero at the window's first row.

    References
    ----------
    .. [1] S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9(8), 1997.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepLSTMRegressor
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> model = DeepLSTMRegressor(hidden_size=8, sequence_length=8, max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> stream = model.stream()
    >>> answers = [stream.step(row) for row in X]
    >>> bool((answers == model.predict(X)).all())
    True
    >>> later = model.stream(context=X[:100])
    >>> later.step(X[100]) == float(model.predict(X[100:101], context=X[:100])[0])
    True
    """

    def __init__(
        self,
        model: Any,
        *,
        n_streams: int | None = None,
        window: bool | None = None,
        context: ArrayLike | None = None,
        response_method: ResponseMethod = "predict",
        group: Any = None,
    ) -> None:
        check_is_fitted(model)
        model = snapshot_of(model)
        is_count = isinstance(n_streams, Integral) and not isinstance(n_streams, bool) and n_streams >= 1
        if n_streams is not None and not is_count:
            raise ValueError(f"n_streams must be None or an integer of at least 1, found {n_streams!r}.")
        if window is not None and not isinstance(window, (bool, np.bool_)):
            raise ValueError(f"window must be None, True or False, found {window!r}.")
        offered = [name for name in RESPONSE_METHODS if hasattr(model, name)]
        if response_method not in offered:
            name = type(model).__name__
            raise ValueError(f"response_method of {name} must be one of {offered}, found {response_method!r}.")
        window = was_trained_on_windows(model) if window is None else bool(window)
        refuse_single_steps(model._architecture, window, model._fitted_on)
        rows = check_rows_before(model, context, n_streams)
        scales = model._targets().stream_scales(model.n_features_in_, group, n_streams, rows)
        self._bind(bound_copy(model), n_streams and int(n_streams), window, response_method, scales)
        self._order = RowOrder(context if n_streams is None else None)
        if context is None and window:
            is_grouped = hasattr(model, "context_groups_")
            if is_grouped and scales is None:
                raise ValueError(
                    "context is missing: carry_context=True kept the last rows of each group of fit, context_ with the "
                    "labels context_groups_. Give those of the stream's group, or an array without rows."
                )
            kept = getattr(model, "context_", None)
            if is_grouped:
                kept = scales.carried(kept, model.context_groups_)
            if kept is not None:
                model._network()  # checks the carried rows, too, which the copy bound here lacks
                if n_streams is None and not is_grouped:
                    self._order = RowOrder(last=label_of_last_row(model._row_order))
            self._follow(kept if kept is None or is_grouped else [kept] * (n_streams or 1))
        else:
            if rows is not None:
                check_order(context, name="context")
                rows = rows if scales is None else scales.read(rows)
                columns = getattr(model, "feature_names_in_", None)
                warn_of_other_scale(model, rows.reshape(-1, rows.shape[-1]), "context")
                check_range(self._network, rows.reshape(-1, rows.shape[-1]), "context", columns)
            self._follow(rows if rows is None or n_streams is not None else [rows])

    def _bind(self, model, n_streams, window, response_method, scales=None):
        """Prepare everything that a step needs."""
        self._model, self._n_streams, self._window, self._response_method = model, n_streams, window, response_method
        self._scales = scales
        network, targets, is_transform = model._network(), model._targets(), response_method == "transform"
        self._network, self._dtype = network, network.dtype
        length = window_length(model) if window else None
        try:
            self._numbers = open_stream(network, n_streams or 1, length, want_hidden=is_transform)
        except MemoryError:
            raise MemoryError(too_large(n_streams or 1, length)) from None
        self._counter = self._numbers.counter
        self._advance = self._numbers.step if scales is None else self._step_in_units
        ahead = ahead_of(model)
        self._looks_ahead = ahead is not None and bool(ahead.known) and not is_transform
        self._checks = RowChecks(model, network, n_streams)
        self._shape = self._checks.shape
        self._decode = hidden_state if is_transform else partial(targets.decode, method=response_method)
        width = network.architecture.features_size if is_transform else network.layout.n_outputs
        width *= network.n_networks
        width += 0 if is_transform else targets.n_moments
        answer = self._decode(np.zeros((n_streams or 1, width), self._dtype))
        self._is_one, self._out_dtype = n_streams is None, answer.dtype
        self._out_shape = answer.shape[1:] if self._is_one else answer.shape
        # Fast path of a single number, without arrays.
        self._decode_one = targets.decode_one(response_method) if self._is_one and not is_transform else None
        self._step_value = None if self._decode_one is None else self._numbers.step_value
        if scales is not None and self._decode_one is not None:
            self._decode_one = scales.decode_one(self._decode_one)
            self._step_value = partial(scales.step_value, self._numbers.step_value)

    def _step_in_units(self, x, *ahead):
        """Take a row of every stream, which are groups with units of their own."""
        z = self._numbers.step(self._scales.read(x), *ahead)
        if self._response_method == "transform" or self._decode_one is not None:
            return z
        return self._scales.moments(z, 2 * len(self._network.reference_columns or ()))

    def _follow(self, tables):
        """Start after a table (n_rows, n_features) of each stream, as the network reads it; None for no rows."""
        if tables is None:
            return
        if self._window:
            state = self._numbers.state
            reach = state["rows"].shape[1]
            for stream, rows in enumerate(tables):
                n_kept = min(reach, len(rows))
                state["rows"][stream, reach - n_kept :] = rows[len(rows) - n_kept :]
                state["n_rows"][stream] = n_kept
            self._numbers.set_state(state)
        else:
            for rows in zip(*tables, strict=True):
                self._numbers.step(np.stack(rows))

    def step(self, x: ArrayLike, out: Array | None = None, future: ArrayLike | None = None) -> Any:
        """Take the next row of every stream and predict.

        Parameters
        ----------
        x : array-like of shape (n_features,) or (n_streams, n_features)
            One row; with `n_streams`, one for each stream. A C-contiguous float32 or float64 array is the fastest.
            Names of features, where x (a pandas Series or DataFrame) and the model have them, must agree.
        out : ndarray, default=None
            Array for the result, with its shape (() for a scalar) and dtype: float64, for labels
            that of `classes_`, for `transform` the model's. No other memory is allocated for good; only labels and
            probabilities need small temporary arrays. None for a new array.
        future : array-like of shape (n_rows, n_features) or (n_streams, n_rows, n_features), default=None
            The rows that will come after x, of which a `decoder` reads the `known_columns`.

        Returns
        -------
        float, label or ndarray
            For one stream a float (regressor with one output), a label (classifier) or an array of shape (n_outputs,),
            (n_classes,), (n_quantiles,) or (n_features_out,); for several streams, what the method of the model returns
            for as many sequences, for example shape (n_streams,). `out` if that was given.

        Raises
        ------
        ValueError
            If x is not as described or not finite, or `out` does not fit. Also if the states would grow beyond the
            dtype, as those of a cell with relu may: `reset` them then. After every exception, Ctrl-C included, the
            streams are as before.
        RuntimeError
            If another thread is using this stream. Neither step harms the other.

        Warns
        -----
        TimeOrderWarning
            If the label of x, the name of a Series or the index of a table of one row, is a time that does not come
            after that of the row before, or a number below it.
        """
        n_steps, last = self._counter.n_steps, self._order.last
        try:
            if type(x) is ndarray and out is None and future is None and self._step_value is not None:
                # Needs no claim: it returns a number and not an array that the next step overwrites.
                z = self._step_value(x)
                if z is not None:
                    if not isfinite(z):
                        raise overflow(self._place(), self._network.dtype_name)
                    return self._decode_one(z)
            return self._any_step(x, out, future)
        except BaseException:
            self._go_back(n_steps)
            self._order.last = last
            raise

    @property
    def _n_steps(self):
        return self._counter.n_steps

    def _go_back(self, n_steps):
        """Take the last step back if it came after `n_steps` steps: one that is interrupted is taken whole or not."""
        self._numbers.go_back(n_steps)

    def _any_step(self, x, out, future):
        label = None
        if (
            type(x) is not ndarray
            or x.shape != self._shape
            or not (x.dtype is FLOAT32 or x.dtype is FLOAT64)
            or not x.flags.c_contiguous
        ):
            row = self._checks.row(x)
            label = self._order.look(x) if self._is_one else None
            x = row
        if out is not None:
            check_out(out, self._out_shape, self._out_dtype)
        ahead = None
        if future is not None or self._looks_ahead:
            ahead = rows_after_step(self._model, self._network, future, self._n_streams)
        try:
            self._numbers.claim()
            answer = self._claimed_step(x, out, ahead)
            self._order.follow(label)
            return answer
        finally:
            self._numbers.release()

    def _place(self, stream=0):
        row = "this row" if self._is_one else f"this row of stream {stream}"
        return row if self._window else f"{row} (call reset before the next one)"

    @contextmanager
    def _claimed(self):
        """Hold the claim; other threads get a RuntimeError."""
        try:
            self._numbers.claim()
            yield
        finally:
            self._numbers.release()

    def _claimed_step(self, x, out, ahead):
        try:
            z = self._advance(x) if ahead is None else self._advance(x, ahead)
        except ValueError:
            raise self._checks.not_finite(x) from None
        if not isfinite(np.vdot(z, z)):  # a third of the time of isfinite over the array
            refuse_overflow(z, self._place, self._network.dtype_name)
        if self._decode_one is not None:
            answer = self._decode_one(z.item())
            if out is None:
                return answer
            out[()] = answer
            return out
        if out is None:
            return self._decode(z)[0] if self._is_one else self._decode(z)
        self._decode(z, out=out[np.newaxis] if self._is_one else out)
        return out

    def reset(self, streams: ArrayLike | None = None) -> Self:
        """Forget all rows, those of `context` and the carried ones included.

        Parameters
        ----------
        streams : array-like of int or bool, default=None
            Numbers of the streams, or a mask of shape (n_streams,); None for all. The others go on.

        Returns
        -------
        self : Stream
            The stream.

        Raises
        ------
        ValueError
            If `streams` is neither; nothing is reset then.
        """
        n_streams = self._n_streams or 1
        mask = np.full(n_streams, streams is None)
        if streams is not None:
            chosen = np.asarray(streams)
            if chosen.size == 0 and chosen.dtype != bool:
                return self
            if chosen.dtype == bool and chosen.shape != (n_streams,):
                raise ValueError(f"streams is a mask of shape {chosen.shape}, expected ({n_streams},).")
            if chosen.dtype.kind not in "biu":
                raise ValueError(f"streams must hold integers or bools, found dtype {chosen.dtype}.")
            if chosen.dtype != bool and (chosen.min() < -n_streams or chosen.max() >= n_streams):
                raise ValueError(f"streams holds {chosen.tolist()}, but there are {n_streams} streams.")
            mask[chosen] = True
        with self._claimed():
            self._numbers.reset(mask)
            self._order.forget()
        return self

    @property
    def state(self) -> dict[str, Array]:
        """The state of the streams: a dict of arrays, copies that can be saved and restored.

        ``np.savez(file, **stream.state)`` saves it, ``stream.state = np.load(file)`` restores it. A restored state is
        checked (names, shapes, dtypes, values); a ValueError or TypeError leaves the state as it was.

        Returns
        -------
        dict of str to ndarray
            Without a window ``h_l0`` (n_streams, outputs of the layer) and, where the cell has it, a second state
            (n_streams, hidden_size), ``c_l0`` of an LSTM or ``m_l0``, what a projection reads; then the states of the
            other layers, and ``pool``, the running sums of `pooling`. With a window ``rows`` (n_streams,
            sequence_length - 1, n_features), the last rows in time order at the end of the second axis, zeros before
            them (with `group_scaling` in the unit of the group), and ``n_rows`` (n_streams,), how many there are;
            without one, but with `linear_skip`, both are of the ``linear_skip - 1`` rows that it reads back. A single
            stream counts as n_streams = 1. With `n_seeds`, the states of the second network, without a window, are
            ``h_l0_network2`` and so on.
        """
        with self._claimed():
            return self._numbers.state

    @state.setter
    def state(self, state: State) -> None:  # numpydoc ignore=GL08
        expected = self.state
        if not isinstance(state, Mapping):
            raise TypeError(f"state must be a dict of arrays as the attribute `state` gives it, found {type(state)}.")
        if set(state) != set(expected):
            raise ValueError(
                f"state has the entries {sorted(map(str, state))}, expected {sorted(expected)} for "
                f"window={self._window} and this model."
            )
        checked = {name: check_state(name, state[name], array) for name, array in expected.items()}
        if "rows" in checked:
            n_rows, reach = checked["n_rows"], expected["rows"].shape[1]
            if n_rows.min() < 0 or n_rows.max() > reach:
                raise ValueError(f"state['n_rows'] is {n_rows.tolist()}, expected numbers from 0 to {reach}.")
            check_range(self._network, checked["rows"].reshape(-1, checked["rows"].shape[-1]), "state['rows']")
        with self._claimed():
            self._numbers.set_state(checked)
            self._order.forget()

    # A pickle holds the model, the arguments and the state; the rest is rebuilt.

    def __getstate__(self):
        """Return what a pickle or a copy is made of."""
        bound = (self._model, self._n_streams, self._window, self._response_method, self._scales)
        return {"bound": bound, "state": self.state}

    def __setstate__(self, saved):
        """Restore a pickle or a copy."""
        self._bind(*saved["bound"])
        self._order = RowOrder()
        self.state = saved["state"]
