"""Predictions beside the truth, with their bands, as a picture."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._optional_dependencies import check_matplotlib_support

from sklstm._inspection.drawing import (
    BLACK,
    BLUE,
    GREY,
    TICK,
    draw_curve,
    label_axes,
    open_axes,
    style,
    whole_ticks,
    width_of,
)
from sklstm._inspection.forecast_data import (
    as_times,
    check_bands,
    check_series,
    forecast_of_row,
    forecast_of_rows,
    predicted,
)

# Beyond so many points lines are thin.
MANY = 300


class ForecastDisplay:
    """Predictions over time, beside the truth, with the bands between their quantiles.

    Make it by `from_estimator` or `from_predictions`; what is passed here is stored as attributes.

    Parameters
    ----------
    y_pred : ndarray of shape (n,)
        Predictions.
    y_true : ndarray of shape (n,), default=None
        What came true; NaN where that is not known.
    times : ndarray of shape (n,), default=None
        Numbers or dates of the predictions; None for 0, 1, ...
    bands : ndarray of shape (n, n_quantiles), default=None
        Predicted quantiles, in increasing order.
    quantiles : sequence of float, default=None
        Which quantiles these are.
    history, history_times : ndarray of shape (n_history,), default=None
        The series before the predictions.
    target_name : str, default="Target"
        What is predicted, with its unit.
    time_name : str, default="Row"
        What the times are.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    prediction_line_ : matplotlib Line2D
    truth_line_, history_line_ : matplotlib Line2D or None
    bands_ : list of matplotlib PolyCollection
        The widest first.

    See Also
    --------
    TrainingCurveDisplay : Losses of each epoch.
    sklearn.metrics.PredictionErrorDisplay : Predictions against the truth.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.inspection import ForecastDisplay
    >>> X = np.random.default_rng(0).normal(size=(300, 2))
    >>> model = DeepRNNRegressor(hidden_size=8, sequence_length=4, max_iter=10, random_state=0).fit(X, X[:, 0])
    >>> display = ForecastDisplay.from_estimator(model, X, X[:, 0])  # doctest: +SKIP
    """

    ax_: Any
    figure_: Any
    prediction_line_: Any
    truth_line_: Any
    history_line_: Any
    bands_: list[Any]

    def __init__(
        self,
        *,
        y_pred: Any,
        y_true: Any = None,
        times: Any = None,
        bands: Any = None,
        quantiles: Any = None,
        history: Any = None,
        history_times: Any = None,
        target_name: str = "Target",
        time_name: str = "Row",
    ) -> None:
        self.y_pred = y_pred
        self.y_true = y_true
        self.times = times
        self.bands = bands
        self.quantiles = quantiles
        self.history = history
        self.history_times = history_times
        self.target_name = target_name
        self.time_name = time_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        row: int | None = None,
        output: int | None = None,
        n_history: int | None = None,
        group: object = None,
        groups: ArrayLike | None = None,
        context: ArrayLike | None = None,
        context_groups: ArrayLike | None = None,
        future: ArrayLike | None = None,
        future_groups: ArrayLike | None = None,
        times: ArrayLike | None = None,
        target_name: str | None = None,
        time_name: str | None = None,
        ax: Any = None,
        prediction_kwargs: dict[str, Any] | None = None,
        truth_kwargs: dict[str, Any] | None = None,
        band_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Predict, and draw one prediction for each row, or the horizon that is predicted at one row.

        Parameters
        ----------
        estimator : object
            A fitted regressor. If it has `predict_quantiles`, the bands between its quantiles are drawn.
        X : array-like of shape (n_samples, n_features)
            A table; each row is a time step.
        y : array-like of shape (n_samples,), (n_samples, n_outputs), (n_samples, horizon) or (..., n_targets), \
default=None
            The truth, as in `fit`.
        row : int, default=None
            None to draw one prediction for each row. A row to draw all that is predicted there, the values of the rows
            after it: targets are (n_samples, horizon) or (n_samples, horizon, n_targets).
        output : int, default=None
            Which target, where there are several.
        n_history : int, default=None
            With `row`, how many values up to that row are drawn before the forecast, as y knows them; None for twice
            the horizon.
        group : object, default=None
            With groups, the label of the one whose rows are drawn; None will do if there is one.
        groups, context, context_groups, future, future_groups : array-like, default=None
            Passed to `predict`.
        times : array-like of shape (n_samples,), default=None
            Number or date of each row; None for those of the index of X, or for 0, 1, ...
        target_name : str, default=None
            What is predicted, with its unit; None for the name of y.
        time_name : str, default=None
            What the times are; None for the name of the index of X, or "Row".
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.
        prediction_kwargs, truth_kwargs, band_kwargs : dict, default=None
            See `plot`.

        Returns
        -------
        display : ForecastDisplay
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        if group is not None and groups is None:
            raise ValueError(f"group={group!r} needs groups, the label of each row of X.")
        given = {"groups": groups, "context": context, "context_groups": context_groups}
        given |= {"future": future, "future_groups": future_groups}
        answers = predicted(estimator, X, {name: value for name, value in given.items() if value is not None})
        index = None if times is not None else getattr(X, "index", None)
        times, index_name = as_times(times, X)
        if row is None:
            found = forecast_of_rows(answers, y, times, output, group, groups)
        else:
            before = getattr(context, "index", None) if context_groups is None else None
            found = forecast_of_row(answers, y, times, row, output, n_history, groups, index, before)
            index_name = found.pop("time_name", index_name)
        name = getattr(y, "name", None) if target_name is None else target_name
        display = cls(
            **found,
            quantiles=answers.quantiles,
            target_name="Target" if name is None else str(name),
            time_name=index_name if time_name is None else time_name,
        )
        return display.plot(ax, prediction_kwargs=prediction_kwargs, truth_kwargs=truth_kwargs, band_kwargs=band_kwargs)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike | None,
        y_pred: ArrayLike,
        *,
        times: ArrayLike | None = None,
        bands: ArrayLike | None = None,
        quantiles: ArrayLike | None = None,
        history: ArrayLike | None = None,
        history_times: ArrayLike | None = None,
        target_name: str = "Target",
        time_name: str = "Row",
        ax: Any = None,
        prediction_kwargs: dict[str, Any] | None = None,
        truth_kwargs: dict[str, Any] | None = None,
        band_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw predictions that are given as numbers.

        Parameters
        ----------
        y_true : array-like of shape (n,) or None
            What came true, if it is known; NaN where it is not.
        y_pred : array-like of shape (n,)
            Predictions.
        times : array-like of shape (n,), default=None
            Number or date of each prediction; None for 0, 1, ..., or after the history.
        bands : array-like of shape (n, n_quantiles), default=None
            Predicted quantiles in increasing order, as `predict_quantiles` returns them.
        quantiles : array-like of shape (n_quantiles,), default=None
            Which quantiles these are.
        history : array-like of shape (n_history,), default=None
            The series before the predictions.
        history_times : array-like of shape (n_history,), default=None
            Number or date of each; None for ..., -2, -1 before `times`, which then have to be None, too.
        target_name : str, default="Target"
            What is predicted, with its unit.
        time_name : str, default="Row"
            What the times are.
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.
        prediction_kwargs, truth_kwargs, band_kwargs : dict, default=None
            See `plot`.

        Returns
        -------
        display : ForecastDisplay
        """
        check_matplotlib_support(f"{cls.__name__}.from_predictions")
        predictions = check_series(y_pred, "y_pred")
        n = len(predictions)
        y_true = None if y_true is None else check_series(y_true, "y_true", n)
        bands, quantiles = check_bands(bands, quantiles, n)
        history = None if history is None else check_series(history, "history")
        if history is not None and (times is None) != (history_times is None):
            missing = "times" if times is None else "history_times"
            raise ValueError(f"{missing} is missing: give the times of both, predictions and history, or of neither.")
        if history is None and history_times is not None:
            raise ValueError("history_times needs history, the values at these times.")
        if history is not None:
            default = np.arange(-len(history), 0)
            history_times = check_series(
                default if history_times is None else history_times, "history_times", len(history), None
            )
        display = cls(
            y_pred=predictions,
            y_true=y_true,
            times=check_series(np.arange(n) if times is None else times, "times", n, None),
            bands=bands,
            quantiles=quantiles,
            history=history,
            history_times=history_times,
            target_name=target_name,
            time_name=time_name,
        )
        return display.plot(ax, prediction_kwargs=prediction_kwargs, truth_kwargs=truth_kwargs, band_kwargs=band_kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        prediction_kwargs: dict[str, Any] | None = None,
        truth_kwargs: dict[str, Any] | None = None,
        band_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw truth, prediction and bands.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.
        prediction_kwargs, truth_kwargs : dict, default=None
            Passed to `matplotlib.axes.Axes.plot`.
        band_kwargs : dict, default=None
            Passed to `matplotlib.axes.Axes.fill_between`, for each band.

        Returns
        -------
        display : ForecastDisplay
        """
        ax = open_axes(self, ax)
        n = len(self.y_pred)
        times = np.arange(n) if self.times is None else np.asarray(self.times)
        line: dict[str, Any] = {"linewidth": 0.8 if n > MANY else 1.4}
        if n == 1:
            line["linestyle"] = "none"
        self.truth_line_ = self.history_line_ = None
        self._draw_bands(ax, times, band_kwargs)
        if self.history is not None:
            own = {"color": GREY, "linewidth": 1.2, "label": "Before"}
            if len(self.history) == 1:
                own |= {"marker": ".", "linestyle": "none"}
            self.history_line_ = draw_curve(ax, np.asarray(self.history_times), self.history, own, None, "history")
        if self.y_true is not None:
            own = {**line, "color": BLACK, "label": "Truth"}
            self.truth_line_ = draw_curve(ax, times, self.y_true, own, truth_kwargs, "truth_kwargs")
        dashed = {"linestyle": "--"} if n > 1 and n <= MANY else {}
        label = "Prediction" if self.bands is None else "Median"
        own = {**line, **dashed, "color": BLUE, "label": label}
        self.prediction_line_ = draw_curve(ax, times, self.y_pred, own, prediction_kwargs, "prediction_kwargs")
        self._label_times(ax, times)
        label_axes(ax, self.time_name, self.target_name, self._handles(ax))
        return self

    def _handles(self, ax):
        """Return what stands in the legend: an inner band as dark as it is over the outer ones."""
        from matplotlib.patches import Patch

        handles = ax.get_legend_handles_labels()[0]
        for k, band in enumerate(self.bands_):
            if band in handles and len(band.get_facecolor()):
                *color, alpha = band.get_facecolor()[0]
                stacked = Patch(facecolor=(*color, 1 - (1 - alpha) ** (k + 1)), linewidth=0, label=band.get_label())
                handles[handles.index(band)] = stacked
        return handles

    def _draw_bands(self, ax, times, given):
        """Draw the bands between the first and the last quantile, the second and the last but one, and so on."""
        from matplotlib.collections import PolyCollection

        self.bands_ = []
        if self.bands is None:
            return
        bands, levels = np.asarray(self.bands), np.asarray(self.quantiles)
        n_bands = len(levels) // 2
        for k in range(n_bands):
            low, high = levels[k], levels[-1 - k]
            own = {"color": BLUE, "alpha": 0.35 if n_bands == 1 else 0.2, "linewidth": 0.0}
            own["label"] = f"{100 * low:.3g} to {100 * high:.3g} %"
            own = style(own, given, "band_kwargs", PolyCollection)
            if len(times) == 1:
                half = (bands[0, -1 - k] - bands[0, k]) / 2
                ax.errorbar(
                    times, [bands[0, k] + half], [half], fmt="none", capsize=6 - 2 * k, color=BLUE, label=own["label"]
                )
                continue
            self.bands_.append(ax.fill_between(times, bands[:, k], bands[:, -1 - k], **own))

    def _label_times(self, ax, times):
        """Write dates in short, and rows as whole numbers."""
        if times.dtype.kind == "M":
            from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

            locator = AutoDateLocator(minticks=2, maxticks=int(np.clip(width_of(ax) / TICK, 3, 8)))
            ax.xaxis.set_major_locator(locator)
            ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        elif times.dtype.kind in "iu":
            whole_ticks(ax)
        if len(times) == 1 and self.history is None:
            ax.set_xticks(times)
