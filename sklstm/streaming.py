"""Predictions for rows that arrive one at a time, made by the `stream` method of a fitted estimator, or by `stream`."""

from collections.abc import Mapping
from contextlib import contextmanager
from copy import copy
from functools import partial
from numbers import Integral

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklstm._network.stream import open_stream
from sklstm._options import refuse_single_steps
from sklstm._pipeline_stream import PipelineStream
from sklstm._row_checks import refuse_what_is_no_row
from sklstm._snapshot import snapshot_of
from sklstm._validation import check_range, check_rows_before, naming, refuse_masked, warn_of_other_scale, window_length

__all__ = ["PipelineStream", "Stream", "stream"]

RESPONSE_METHODS = ("predict", "predict_proba", "predict_log_proba", "predict_quantiles", "transform")
FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)


def stream(model, *, n_streams=None, window=None, context=None, response_method="predict", row_wise=()):
    """Predict rows that arrive one at a time, with all steps of a pipeline.

    Parameters
    ----------
    model : Pipeline, search or LSTM estimator
        Fitted. A `Pipeline` ends in a `DeepLSTMRegressor` or `DeepLSTMClassifier`; of a search (`GridSearchCV`, ...)
        it is the `best_estimator_`.
    n_streams : int or None, default=None
        Number of independent streams that are stepped together; None for one without an axis of streams.
    window : bool, default=None
        Whether only the last `sequence_length` rows count; None for what the network was trained on.
    context : array-like of shape (n_rows, n_features) or (n_streams, n_rows, n_features), default=None
        The rows that came before, as the first step of the pipeline takes them: here they go through the steps.
    response_method : str, default="predict"
        The method that is answered for, as of the method `stream` of the LSTM estimators.
    row_wise : list of str, default=()
        Names of steps (of nested ones joined by ``__``) whose answer for a row depends on that row alone, although it
        cannot be seen from their class: a `FunctionTransformer` with a function of its own, a transformer of yours.

    Returns
    -------
    PipelineStream or Stream
        With the methods `step` and `reset` and the attribute `state`. It is bound to what was fitted until now.

    Raises
    ------
    ValueError
        If a step is not known to answer for each row alone (it is named, with the reason), or as for the method
        `stream` of the model.
    TypeError
        If the model, or the last step, is no LSTM estimator.

    Notes
    -----
    The transformers of scikit-learn that work row by row are known: scalers, imputers, encoders, selectors,
    decompositions, `ColumnTransformer` and `FeatureUnion` of such. The steps get one row for each stream at a time,
    which costs what their `transform` costs for so few rows, a tenth of a millisecond and more. Only the arithmetic is
    done, in microseconds, where all steps are a `StandardScaler`, `RobustScaler`, `MinMaxScaler`, `MaxAbsScaler`,
    `SimpleImputer` or selectors and the row is an array of finite float64 or float32, or a Series of such.

    The answers are those of ``pipeline.predict``, bit for bit where the steps work on each column alone or select
    columns. Steps with matrix products (`PCA`, ...) round one row otherwise than many.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklstm import DeepLSTMRegressor
    >>> from sklstm.streaming import stream
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> model = make_pipeline(StandardScaler(), DeepLSTMRegressor(8, max_iter=2, random_state=0)).fit(X, X[:, 0])
    >>> rows = stream(model, context=X[:150])
    >>> bool(([rows.step(row) for row in X[150:]] == model.predict(X)[150:]).all())
    True
    """
    # Here, as they take a tenth of a second and nobody else needs them.
    from sklearn.pipeline import Pipeline

    from sklstm._row_wise import RowWiseSteps

    if not isinstance(model, (StreamMixin, Pipeline)) and hasattr(model, "best_estimator_"):
        model = model.best_estimator_
    settings = {"n_streams": n_streams, "window": window, "response_method": response_method}
    if isinstance(model, StreamMixin):
        if len(row_wise):
            raise ValueError(f"row_wise names steps of a pipeline; found a {type(model).__name__}.")
        return model.stream(context=context, **settings)
    if not isinstance(model, Pipeline):
        raise TypeError(_why_no_stream(model))
    steps, last, prefix = [], model, ""
    while isinstance(last, Pipeline):  # one in another is one long pipeline
        steps += [(prefix + name, step) for name, step in last.steps[:-1]]
        prefix += last.steps[-1][0] + "__"
        last = last.steps[-1][1]
    if not isinstance(last, StreamMixin):
        raise TypeError(f"the last step of the pipeline: {_why_no_stream(last)}")
    check_is_fitted(last)
    before = RowWiseSteps(steps, row_wise)
    made = last.stream(context=before.rows_before(context, n_streams), **settings)
    return PipelineStream(before, made, n_streams)


def _why_no_stream(model):
    name = type(model).__name__
    if hasattr(model, "refit"):
        return f"{name} has no best_estimator_ to make a stream of: fit it, with refit=True."
    if hasattr(model, "estimators"):
        return (
            f"{name} weighs the answers of several members, and not every member can be stepped: make a stream of each "
            "LSTM member of estimators_ and weigh the answers."
        )
    if hasattr(model, "regressor"):
        return f"{name} maps the answers back: make a stream of regressor_ and put its answers through transformer_."
    return f"expected a Pipeline, a search, DeepLSTMRegressor or DeepLSTMClassifier, found {name}."


class Stream:
    """Streams of rows and what a fitted model says after each row.

    Made by the method `stream` of `DeepLSTMRegressor` and `DeepLSTMClassifier`, which describes the arguments in full.

    Parameters
    ----------
    model : DeepLSTMRegressor or DeepLSTMClassifier
        Fitted.
    n_streams : int or None, default=None
        Number of independent streams; None for one whose rows and answers have no axis of streams.
    window : bool, default=None
        Whether only the last `sequence_length` rows count; None for what the model was trained on.
    context : array-like of shape (n_rows, n_features) or (n_streams, n_rows, n_features), default=None
        The rows that came before.
    response_method : str, default="predict"
        The method of the model that `step` answers for: "predict", "predict_proba", "predict_log_proba",
        "predict_quantiles" or "transform".

    See Also
    --------
    sklstm.DeepLSTMRegressor : Its method `stream` makes streams of numbers.
    sklstm.DeepLSTMClassifier : Its method `stream` makes streams of labels or probabilities.

    Notes
    -----
    A stream takes the parameters over when it is made: fitting the model again, or `set_params`, changes no stream
    that exists. Several streams, in threads of their own, share one model; one stream belongs to one thread at a time.
    Streams can be pickled and copied, with the model they were made from (without what only training needs).

    Without a window a step costs the same after any number of rows: the hidden and cell states of each layer are
    carried on [1]_. With one it costs as much as a prediction for one row of a table, as the states start at zero at
    the window's first row.

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

    def __init__(self, model, *, n_streams=None, window=None, context=None, response_method="predict"):
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
        window = _was_trained_on_windows(model) if window is None else bool(window)
        refuse_single_steps(model._architecture, window)
        self._bind(_bound_copy(model), n_streams and int(n_streams), window, response_method)
        if context is None and window:
            if hasattr(model, "context_groups_"):
                raise ValueError(
                    "context is missing: carry_context=True kept the last rows of each group of fit, context_ with the "
                    "labels context_groups_. Give those of the stream's group, or an array without rows."
                )
            self._follow(getattr(model, "context_", None))
        else:
            rows = check_rows_before(model, context, n_streams)
            if rows is not None:
                columns = getattr(model, "feature_names_in_", None)
                warn_of_other_scale(model, rows.reshape(-1, rows.shape[-1]), "context")
                check_range(self._network, rows.reshape(-1, rows.shape[-1]), "context", columns)
            self._follow(rows)

    def _bind(self, model, n_streams, window, response_method):
        """Prepare all that a step needs."""
        self._model, self._n_streams, self._window, self._response_method = model, n_streams, window, response_method
        network, is_transform = model._network(), response_method == "transform"
        self._network, self._dtype = network, network.dtype
        length = window_length(model) if window else None
        try:
            self._numbers = open_stream(network, n_streams or 1, length, want_hidden=is_transform)
        except MemoryError:
            raise MemoryError(_too_large(n_streams or 1, length)) from None
        self._advance = self._numbers.step
        self._shape = (model.n_features_in_,) if n_streams is None else (n_streams, model.n_features_in_)
        self._answer = _hidden_answer if is_transform else partial(model._answer, method=response_method)
        width = network.architecture.features_size if is_transform else network.layout.n_outputs
        if network.reference_columns is not None and not is_transform:
            width += 2 * len(network.reference_columns)
        answer = self._answer(np.zeros((n_streams or 1, width), self._dtype))
        self._is_one, self._out_dtype = n_streams is None, answer.dtype
        self._out_shape = answer.shape[1:] if self._is_one else answer.shape
        # The way of a single number, past all arrays.
        self._scalar_answer = model._scalar_answer(response_method) if self._is_one and not is_transform else None
        self._step_value = self._numbers.step_value

    def _follow(self, rows):
        """Start after rows of shape (n_rows, n_features), the same for all streams, or one such table for each."""
        if rows is None:
            return
        state = self._numbers.state
        rows = np.broadcast_to(rows, (self._n_streams or 1, *rows.shape[-2:]))
        if self._window:
            reach, n_rows = state["rows"].shape[1], rows.shape[1]
            n_kept = min(reach, n_rows)
            state["rows"][:, reach - n_kept :] = rows[:, n_rows - n_kept :]
            state["n_rows"][:] = n_kept
            self._numbers.set_state(state)
        else:
            for t in range(rows.shape[1]):
                self._advance(np.ascontiguousarray(rows[:, t]))

    def step(self, x, out=None):
        """Take the next row of every stream and answer.

        Parameters
        ----------
        x : array-like of shape (n_features,) or (n_streams, n_features)
            One row; with `n_streams`, one for each stream. A C-contiguous float32 or float64 array is the fastest.
            Names of features, where x (a pandas Series or DataFrame) and the model have them, must agree.
        out : ndarray, default=None
            Where to write the answer, an array of the answer's shape (() for a scalar) and dtype: float64, for labels
            that of `classes_`, for `transform` the model's. No other memory is allocated for good; only labels and
            probabilities need small temporary arrays. None for a new answer.

        Returns
        -------
        float, label or ndarray
            For one stream a float (regressor with one output), a label (classifier) or an array of shape (n_outputs,),
            (n_classes,), (n_quantiles,) or (n_features_out,); for several streams, what the method of the model returns
            for as many sequences, for example shape (n_streams,). `out` if that was given.

        Raises
        ------
        ValueError
            If x is not as described or not finite, or `out` does not fit. The streams are then as before.
        RuntimeError
            If another thread is using this stream. Neither step harms the other.
        """
        if out is None and self._scalar_answer is not None and type(x) is np.ndarray and x.ndim == 1:
            # Needs no claim: it hands out a number and not an array that the next step overwrites.
            z = self._step_value(x)
            if z is not None:
                return self._scalar_answer(z)
        if (
            type(x) is not np.ndarray
            or x.shape != self._shape
            or not (x.dtype is FLOAT32 or x.dtype is FLOAT64)
            or not x.flags.c_contiguous
        ):
            x = self._check_row(x)
        if out is not None:
            self._check_out(out)
        try:
            self._numbers.claim()
            return self._claimed_step(x, out)
        finally:
            self._numbers.release()

    @contextmanager
    def _claimed(self):
        """Keep other threads out."""
        try:
            self._numbers.claim()
            yield
        finally:
            self._numbers.release()

    def _claimed_step(self, x, out):
        try:
            z = self._advance(x)
        except ValueError:
            raise self._not_finite(x) from None
        if self._scalar_answer is not None:
            answer = self._scalar_answer(z.item())
            if out is None:
                return answer
            out[()] = answer
            return out
        if out is None:
            return self._answer(z)[0] if self._is_one else self._answer(z)
        self._answer(z, out=out[np.newaxis] if self._is_one else out)
        return out

    def reset(self, streams=None):
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
        return self

    @property
    def state(self):
        """All that the next answers depend on: a dict of arrays, copies that can be saved and put back.

        ``np.savez(file, **stream.state)`` saves it, ``stream.state = np.load(file)`` puts it back. What is put back is
        checked (names, shapes, dtypes, values); a ValueError or TypeError leaves the state as it was.

        Returns
        -------
        dict of str to ndarray
            Without a window ``h_l0`` and ``c_l0`` (n_streams, hidden_size), the states of the first layer, then those
            of the others (a projection makes h narrower), and ``pool``, the running sums of `pooling`. With one
            ``rows`` (n_streams, sequence_length - 1, n_features), the last rows in time order at the end of the second
            axis, zeros before them, and ``n_rows`` (n_streams,), how many there are. A single stream counts as
            n_streams = 1.
        """
        with self._claimed():
            return self._numbers.state

    @state.setter
    def state(self, state):  # numpydoc ignore=GL08
        expected = self.state
        if not isinstance(state, Mapping):
            raise TypeError(f"state must be a dict of arrays as the attribute `state` gives it, found {type(state)}.")
        if set(state) != set(expected):
            raise ValueError(
                f"state has the entries {sorted(map(str, state))}, expected {sorted(expected)} for "
                f"window={self._window} and this model."
            )
        checked = {name: _check_state(name, state[name], array) for name, array in expected.items()}
        if self._window:
            n_rows, reach = checked["n_rows"], expected["rows"].shape[1]
            if n_rows.min() < 0 or n_rows.max() > reach:
                raise ValueError(f"state['n_rows'] is {n_rows.tolist()}, expected numbers from 0 to {reach}.")
            check_range(self._network, checked["rows"].reshape(-1, checked["rows"].shape[-1]), "state['rows']")
        with self._claimed():
            self._numbers.set_state(checked)

    # A pickle holds the model, what was asked for and the state; the rest is made again.

    def __getstate__(self):
        """Return what a pickle or a copy is made of."""
        bound = (self._model, self._n_streams, self._window, self._response_method)
        return {"bound": bound, "state": self.state}

    def __setstate__(self, saved):
        """Restore a pickle or a copy."""
        self._bind(*saved["bound"])
        self.state = saved["state"]

    # Input that is not on the fast path, and what is wrong with it.

    def _check_row(self, x):
        """Return any accepted kind of x as an array of the right shape and dtype."""
        refuse_what_is_no_row(x)
        self._check_names(x)
        with naming("x"):
            row = np.asarray(x)
            if row.dtype.kind == "c":
                raise ValueError("Complex data not supported: x must hold real numbers.")
            if row.dtype.kind not in "biufO":
                raise ValueError(f"x must hold numbers, found dtype {row.dtype}.")
            if row.shape != self._shape and not (self._is_one and row.shape == (1, *self._shape)):
                n_features = self._shape[-1]
                each = "" if self._is_one else f" for each of {self._n_streams} streams"
                raise ValueError(
                    f"x has shape {row.shape}, expected {self._shape}: one row of the {n_features} features that "
                    f"this {type(self._model).__name__} was fitted on{each}."
                )
            # A value too large becomes infinity, which is refused.
            with np.errstate(over="ignore"):
                return np.ascontiguousarray(row.reshape(self._shape), np.float64)

    def _check_names(self, x):
        """Raise if x names its features otherwise than `fit` did; names on one side alone are passed over."""
        names = getattr(x, "columns", x.index if hasattr(x, "iloc") else None)
        expected = getattr(self._model, "feature_names_in_", None)
        if names is None or expected is None or len(names) != len(expected):
            return
        for i, (found, name) in enumerate(zip(names, expected, strict=True)):
            if isinstance(found, str) and found != name:
                raise ValueError(
                    f"feature {i} of x is named {found!r}, expected {name!r}: names and their order are those of fit."
                )

    def _check_out(self, out):
        if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray):
            raise TypeError(f"out must be a NumPy array, found {type(out)}.")
        if out.shape != self._out_shape or out.dtype != self._out_dtype:
            raise ValueError(
                f"out has shape {out.shape} and dtype {out.dtype}, expected {self._out_shape} and {self._out_dtype}."
            )
        if not out.flags.writeable:
            raise ValueError("out is read-only, expected an array that can be written to.")

    def _not_finite(self, x):
        """Return the error that says where x holds what cannot be used."""
        rows = np.reshape(x, (-1, self._shape[-1])).astype(np.float64)
        wrong = np.argwhere(~np.isfinite(rows)).tolist()
        stream, feature = wrong[0] if wrong else self._network.first_beyond_range(rows) or (0, None)
        if feature is None:
            return ValueError(f"x is too far from the rows before it for dtype={self._dtype.name!r}.")
        place = f"feature {feature}" if self._is_one else f"feature {feature} of stream {stream}"
        value = "NaN" if np.isnan(rows[stream, feature]) else "infinity"
        if not wrong:
            value = f"{rows[stream, feature]:g}, a value too large for dtype={self._dtype.name!r},"
        return ValueError(f"x contains {value} at {place}.")


class StreamMixin:
    """What `stream` needs of an estimator: `_network()`, `_answer(z, method, out)` and `_scalar_answer(method)`."""

    def _scalar_answer(self, method):
        """Return a function that does to one raw output, a float, what `_answer` does, or None."""
        return None

    def stream(self, *, n_streams=None, window=None, context=None, response_method="predict"):
        """Predict rows that arrive one at a time.

        Each ``stream.step(x)`` takes one row and answers what `predict` (or another `response_method`) says for it, bit
        for bit: for the last row of the table of all rows so far, or, of a model that was fitted on sequences, for the
        sequence of all rows so far.

        Parameters
        ----------
        n_streams : int or None, default=None
            Number of independent streams that are stepped together: x has shape (n_streams, n_features), and the
            answers are those for n_streams sequences. None for one stream, x of shape (n_features,), and an answer
            without the axis of sequences.
        window : bool, default=None
            True: only the last `sequence_length` rows count, as for each row of a table. False: all rows since the
            start, as for a sequence; the states are carried on, which costs less than a window. None follows the
            model: True for one that was trained on windows of a table, False for ``training="stream"`` and for one
            that was fitted on sequences.
        context : array-like of shape (n_rows, n_features) or (n_streams, n_rows, n_features), default=None
            The rows that came before, 3-D if `n_streams` is given; they are taken in without an answer. With a window,
            None means the rows of ``carry_context=True``, if the model has them, before each stream, as `predict` takes
            every table for what follows them; an array without rows starts at the beginning.
        response_method : str, default="predict"
            The method that is answered for: "predict", "transform", of a classifier "predict_proba" or
            "predict_log_proba", of a regressor with ``loss="quantile"`` "predict_quantiles".

        Returns
        -------
        Stream
            With the methods `step` and `reset` and the attribute `state`. It is bound to the parameters of now.

        Raises
        ------
        ValueError
            If an argument is not as described, or the model is not fitted (`NotFittedError`). Without a window also if
            no row can be read after the other: with `bidirectional`, `attention_heads`, `patch_length`, `window_norm`
            or `linear_skip`. A model with ``training="stream"`` has no windows.
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
        return Stream(self, n_streams=n_streams, window=window, context=context, response_method=response_method)


def _too_large(n_streams, length):
    if length is None:
        return f"n_streams={n_streams}: the states of so many streams do not fit into memory."
    return (
        f"sequence_length={length} with n_streams={n_streams}: streams that keep the rows of so long windows do not "
        "fit into memory. Where no stream gets so many rows, window=False says the same, as it reads all rows so far "
        "and keeps none of them; else take fewer streams or set a shorter sequence_length."
    )


def _was_trained_on_windows(model):
    return model._fitted_on == "table" and not model._architecture["every_step"]


def _bound_copy(model):
    """Return a copy that no later call of the model changes, without what only training needs."""
    bound = copy(model)
    bound.parameters_ = dict(model.parameters_)
    for name in ("_training_state", "context_", "context_groups_"):
        bound.__dict__.pop(name, None)
    return bound


def _hidden_answer(z, out=None):
    if out is None:
        return z.copy()
    out[...] = z
    return out


def _check_state(name, value, expected):
    """Return one entry of a state as an array like the expected one."""
    title = f"state[{name!r}]"
    refuse_masked(value, title)
    with naming(title):
        array = np.asarray(value)
    if array.shape != expected.shape:
        raise ValueError(f"{title} has shape {array.shape}, expected {expected.shape}.")
    if name == "n_rows":
        if array.dtype.kind not in "iu":
            raise ValueError(f"{title} has dtype {array.dtype}, expected integers.")
        return array
    if array.dtype.newbyteorder("=") != expected.dtype:
        raise ValueError(f"{title} has dtype {array.dtype}, expected {expected.dtype}.")
    if not np.isfinite(array).all():
        raise ValueError(f"{title} contains NaN or infinity.")
    return array
