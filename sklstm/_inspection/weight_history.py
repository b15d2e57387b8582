"""How the weights of an ensemble moved, as areas on top of each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

from sklstm._ensemble.dynamics import (
    RULES,
    Settings,
    after_losses,
    check_settings,
    moved,
    start_state,
    target_weights,
    usual_range,
)
from sklstm._ensemble.steps import row_losses
from sklstm._inspection.drawing import (
    GREY,
    SEVERAL,
    check_choice,
    check_count,
    check_names,
    label_axes,
    open_axes,
    shortened,
    strongest,
    style,
)

LOSSES = ("squared_error", "absolute_error")


class WeightHistoryDisplay:
    """Weights of the members of an ensemble over time, as areas on top of each other.

    Make it by `from_estimator`, of an ensemble with ``weights="dynamic"``, or by `from_predictions`, of forecasts that
    are stored; what is passed here is stored as attributes.

    Parameters
    ----------
    weights : ndarray of shape (n_entries, n_members)
        Of sum 1, in the order of time.
    steps : ndarray of shape (n_entries,)
        Time steps whose truth had come when these weights began to hold.
    names : list of str
        Of the members.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    areas_ : list of matplotlib FillBetweenPolyCollection
        One for each member that is drawn by itself, the first at the bottom, then one for all others if there are any.

    See Also
    --------
    sklstm.WeightedEnsembleRegressor : Its method `update` moves the weights.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from sklearn.dummy import DummyRegressor
    >>> from sklstm import WeightedEnsembleRegressor
    >>> from sklstm.inspection import WeightHistoryDisplay
    >>> X = np.random.default_rng(0).normal(size=(300, 2))
    >>> members = [("line", LinearRegression()), ("mean", DummyRegressor())]
    >>> ensemble = WeightedEnsembleRegressor(members, weights="dynamic").fit(X[:200], X[:200, 0])
    >>> for day in range(200, 300):
    ...     ensemble = ensemble.update(X[day : day + 1], -X[day : day + 1, 0])
    >>> display = WeightHistoryDisplay.from_estimator(ensemble)  # doctest: +SKIP
    """

    ax_: Any
    figure_: Any
    areas_: list[Any]

    def __init__(self, *, weights: NDArray[np.float64], steps: NDArray[np.int64], names: Sequence[str]) -> None:
        self.weights = weights
        self.steps = steps
        self.names = names

    @classmethod
    def from_estimator(
        cls, ensemble: Any, *, most: int = 7, ax: Any = None, area_kwargs: dict[str, Any] | None = None
    ) -> Self:
        """Draw the weights that an ensemble has kept.

        Parameters
        ----------
        ensemble : estimator
            A fitted `WeightedEnsembleRegressor` or `WeightedEnsembleClassifier` with ``weights="dynamic"``.
        most : int, default=7
            Number of members that get an area of their own, those with the largest mean weights; the others share one.
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.
        area_kwargs : dict, default=None
            Passed to `matplotlib.axes.Axes.fill_between`.

        Returns
        -------
        display : WeightHistoryDisplay
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        if not hasattr(ensemble, "estimators") or not hasattr(ensemble, "weights"):
            raise TypeError(f"ensemble must be a weighted ensemble, found {type(ensemble).__name__}.")
        check_is_fitted(ensemble)
        if not hasattr(ensemble, "weight_history_"):
            raise ValueError(
                f"{type(ensemble).__name__} was fitted with weights={ensemble.weights!r}: only weights='dynamic' have "
                "a history."
            )
        display = cls(weights=ensemble.weight_history_, steps=ensemble.history_steps_, names=ensemble._names())
        return display.plot(ax, most=most, area_kwargs=area_kwargs)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        *,
        names: Sequence[str] | None = None,
        loss: Literal["squared_error", "absolute_error"] = "squared_error",
        update_rule: Literal["exponential", "hedge", "best"] = "exponential",
        half_life: float = 50.0,
        select: int | None = None,
        min_weight: float | Literal["auto"] = "auto",
        max_change: float = 0.2,
        most: int = 7,
        ax: Any = None,
        area_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the weights that forecasts would have had, had an ensemble been updated row by row from equal weights.

        Parameters
        ----------
        y_true : array-like of shape (n_rows,) or (n_rows, n_outputs)
            What was true, in the order of time.
        y_pred : array-like of shape (n_rows, n_members) or (n_rows, n_members, n_outputs)
            What each member had predicted.
        names : sequence of str, default=None
            Of the members; None: x0, x1, ....
        loss : {"squared_error", "absolute_error"}, default="squared_error"
            Of the members, mean over the outputs.
        update_rule : {"exponential", "hedge", "best"}, default="exponential"
            As for an ensemble; the range of "hedge" is that of the losses of all rows.
        half_life : float, default=50.0
            As for an ensemble.
        select : int or None, default=None
            As for an ensemble.
        min_weight : float or "auto", default="auto"
            As for an ensemble.
        max_change : float, default=0.2
            As for an ensemble, with an update after each row.
        most : int, default=7
            Number of members that get an area of their own, those with the largest mean weights; the others share one.
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.
        area_kwargs : dict, default=None
            Passed to `matplotlib.axes.Axes.fill_between`.

        Returns
        -------
        display : WeightHistoryDisplay
        """
        check_matplotlib_support(f"{cls.__name__}.from_predictions")
        check_choice(loss, LOSSES, "loss")
        check_choice(update_rule, tuple(RULES), "update_rule")
        y, predictions = _check_forecasts(y_true, y_pred)
        n_members = predictions.shape[1]
        settings = Settings(update_rule, half_life, select, min_weight, max_change, 0.0)
        check_settings(settings, n_members)
        losses = row_losses(loss, predictions, y)
        state, weights = start_state(n_members, usual_range(losses)), [np.full(n_members, 1.0 / n_members)]
        for row in range(len(losses)):
            state = after_losses(state, losses[row : row + 1], np.ones(1), half_life)
            weights.append(moved(weights[-1], target_weights(state, settings), max_change))
        names = check_names(names, n_members, "names")
        display = cls(weights=np.array(weights), steps=np.arange(len(weights)), names=names)
        return display.plot(ax, most=most, area_kwargs=area_kwargs)

    def plot(self, ax: Any = None, *, most: int = 7, area_kwargs: dict[str, Any] | None = None) -> Self:
        """Draw the weights.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.
        most : int, default=7
            Number of members that get an area of their own, those with the largest mean weights; the others share one.
        area_kwargs : dict, default=None
            Passed to `matplotlib.axes.Axes.fill_between`.

        Returns
        -------
        display : WeightHistoryDisplay
        """
        most = min(check_count(most, "most"), len(SEVERAL) - 1)
        ax = open_axes(self, ax)
        from matplotlib.collections import PolyCollection

        shown, rest = strongest(self.weights.mean(axis=0), most)
        shown = np.sort(shown)
        layers = [(shortened(str(self.names[int(k)])), self.weights[:, k], SEVERAL[i]) for i, k in enumerate(shown)]
        if len(rest):
            layers.append((f"{len(rest)} others", self.weights[:, rest].sum(axis=1), GREY))
        # Weights hold until the next ones: steps, and not lines from one to the next. A start alone is one step.
        steps = self.steps if len(self.steps) > 1 else np.array([self.steps[0], self.steps[0] + 1])
        low, self.areas_ = np.zeros(len(steps)), []
        for name, weight, color in layers:
            high = low + weight
            defaults = {"color": color, "label": name, "linewidth": 0.0, "step": "post"}
            style_of = style(defaults, area_kwargs, "area_kwargs", PolyCollection)
            self.areas_.append(ax.fill_between(steps, low, high, **style_of))
            low = high
        ax.set(xlim=(steps[0], steps[-1]), ylim=(0.0, 1.0))
        label_axes(ax, "Time step", "Weight")
        return self


def _check_forecasts(y_true, y_pred):
    """Return truth and predictions with an axis for the outputs."""
    y, predictions = np.asarray(y_true, np.float64), np.asarray(y_pred, np.float64)
    y = y[:, np.newaxis] if y.ndim == 1 else y
    predictions = predictions[:, :, np.newaxis] if predictions.ndim == 2 else predictions
    fits = y.ndim == 2 and predictions.ndim == 3 and predictions.shape[::2] == y.shape and min(predictions.shape) > 0
    if not fits:
        raise ValueError(
            f"y_pred has shape {np.shape(y_pred)}, expected (n_rows, n_members) or (n_rows, n_members, n_outputs) "
            f"beside y_true of shape {np.shape(y_true)}."
        )
    for name, values in (("y_true", y), ("y_pred", predictions)):
        if not np.isfinite(values).all():
            raise ValueError(f"{name} contains NaN or infinity.")
    return y, predictions
