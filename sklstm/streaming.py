"""Predictions for rows that arrive one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklstm._pipeline_stream import PipelineStream
from sklstm._stream import Stream
from sklstm._stream_mixin import StreamMixin
from sklstm._typing import ResponseMethod

__all__ = ["PipelineStream", "Stream", "stream"]


def stream(
    model: Any,
    *,
    n_streams: int | None = None,
    window: bool | None = None,
    context: ArrayLike | None = None,
    response_method: ResponseMethod = "predict",
    row_wise: Sequence[str] = (),
    group: Any = None,
) -> Stream | PipelineStream:
    """Predict rows that arrive one at a time, with all steps of a pipeline.

    Parameters
    ----------
    model : Pipeline, search or estimator with a network
        Fitted. A `Pipeline` ends in a `DeepRNNRegressor` or `DeepRNNClassifier`; of a search (`GridSearchCV`, ...)
        it is the `best_estimator_`.
    n_streams : int or None, default=None
        Number of independent streams that are stepped together; None for one without an axis of streams.
    window : bool, default=None
        Whether only the last `sequence_length` rows count; None for what the network was trained on.
    context : array-like of shape (n_rows, n_features) or (n_streams, n_rows, n_features), default=None
        The rows that came before, as the first step of the pipeline takes them: here they go through the steps.
    response_method : str, default="predict"
        The method whose result a step returns, as in the method `stream` of the estimators.
    row_wise : list of str, default=()
        Names of steps (of nested ones joined by ``__``) whose result for a row depends on that row alone, although it
        cannot be seen from their class: a `FunctionTransformer` with a function of its own, a transformer of yours.
    group : label or sequence of labels, default=None
        With `group_scaling`, the group that the stream belongs to; with `n_streams` a list of them.

    Returns
    -------
    PipelineStream or Stream
        With the methods `step` and `reset` and the attribute `state`. It is bound to what was fitted until now.

    Raises
    ------
    ValueError
        If a step is not known to be row-wise (it is named, with the reason), or as for the method
        `stream` of the model.
    TypeError
        If the model, or the last step, is no estimator with a network.

    Notes
    -----
    The transformers of scikit-learn that work row by row are known: scalers, imputers, encoders, selectors,
    decompositions, `ColumnTransformer` and `FeatureUnion` of such. The steps get one row for each stream at a time,
    which costs what their `transform` costs for so few rows, a tenth of a millisecond and more. Only the arithmetic is
    done, in microseconds, where all steps are a `StandardScaler`, `RobustScaler`, `MinMaxScaler`, `MaxAbsScaler`,
    `SimpleImputer` or selectors and the row is an array of finite float64 or float32, or a Series of such.

    The results are those of ``pipeline.predict``, bit for bit where the steps work on each column alone or select
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
    from sklstm._time_order import check_order

    if not isinstance(model, (StreamMixin, Pipeline)) and hasattr(model, "best_estimator_"):
        model = model.best_estimator_
    settings: dict[str, Any] = {"n_streams": n_streams, "window": window, "response_method": response_method}
    settings["group"] = group
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
    rows = before.rows_before(context, n_streams)
    if rows is not context and not hasattr(rows, "iloc"):  # the steps have lost the index
        check_order(context, name="context")
    made = last.stream(context=rows, **settings)
    return PipelineStream(before, made, n_streams, context)


def _why_no_stream(model: Any) -> str:
    name = type(model).__name__
    if hasattr(model, "refit"):
        return f"{name} has no best_estimator_ to make a stream of: fit it, with refit=True."
    if hasattr(model, "estimators"):
        return (
            f"{name} averages several members, and not every member can be stepped: make a stream of each "
            "network of estimators_ and average the results."
        )
    if hasattr(model, "regressor"):
        return f"{name} maps the predictions back: make a stream of regressor_ and apply transformer_ to its results."
    return f"expected a Pipeline, a search or a model of sklstm such as DeepRNNRegressor, found {name}."
