"""Attributions by column and time step, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

from sklstm._base import BaseRNN
from sklstm._compression.models import check_model
from sklstm._inspection.answers import answers_of
from sklstm._inspection.drawing import (
    BLUE,
    ORANGE,
    check_choice,
    check_count,
    check_names,
    draw_image,
    height_of,
    open_axes,
    shortened,
    strongest,
    style,
    whole_ticks,
)
from sklstm._inspection.gradients import integrated_gradients
from sklstm._typing import AnswerMethod

KINDS = ("heatmap", "columns", "steps")


class AttributionDisplay:
    """What each column and time step adds to a prediction, or on average to many.

    Make it by `from_estimator` or `from_attributions`; what is passed here is stored as attributes.

    Parameters
    ----------
    attributions : ndarray of shape (n_samples, n_steps, n_features)
        As `integrated_gradients` returns them, the last row of each window at the end.
    feature_names : list of str, default=None
        Names of the columns; None for x0, x1, ...
    unit_name : str, default="unit of the prediction"
        Unit of the prediction, and of its parts.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    image_ : matplotlib AxesImage or None
        Of a heat map.
    colorbar_ : matplotlib Colorbar or None
    bars_ : matplotlib BarContainer or None
        Of the other kinds.
    values_ : ndarray
        What was drawn, the strongest columns first.

    See Also
    --------
    integrated_gradients : Computes the numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.inspection import AttributionDisplay
    >>> X = np.random.default_rng(0).normal(size=(300, 2))
    >>> model = DeepRNNRegressor(hidden_size=8, sequence_length=4, max_iter=10, random_state=0).fit(X, X[:, 0])
    >>> display = AttributionDisplay.from_estimator(model, X)  # doctest: +SKIP
    """

    ax_: Any
    figure_: Any
    image_: Any
    colorbar_: Any
    bars_: Any
    values_: Any

    def __init__(
        self,
        *,
        attributions: Any,
        feature_names: Sequence[str] | None = None,
        unit_name: str = "unit of the prediction",
    ) -> None:
        self.attributions = attributions
        self.feature_names = feature_names
        self.unit_name = unit_name

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseRNN,
        X: ArrayLike,
        *,
        baseline: ArrayLike | None = None,
        output: int | tuple[int, ...] | None = None,
        response_method: AnswerMethod = "auto",
        groups: ArrayLike | None = None,
        context: ArrayLike | None = None,
        context_groups: ArrayLike | None = None,
        samples: ArrayLike | None = None,
        tol: float = 1e-4,
        feature_names: Sequence[str] | None = None,
        unit_name: str = "unit of the prediction",
        kind: Literal["heatmap", "columns", "steps"] = "heatmap",
        max_features: int = 20,
        ax: Any = None,
        image_kwargs: dict[str, Any] | None = None,
        bar_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Compute integrated gradients, and draw them.

        Parameters
        ----------
        estimator : estimator
            A fitted regressor or classifier of this package.
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            As in `predict`.
        baseline : array-like of shape (n_features,) or (n_rows, n_features), default=None
            As in `integrated_gradients`.
        output : int or tuple of int, default=None
            Position of one number in the answer for a sample. None will do for a single number, and for two classes,
            where it means the second.
        response_method : str, default="auto"
            As in `integrated_gradients`.
        groups, context, context_groups : array-like, default=None
            As in `predict`.
        samples : array-like of int, default=None
            Rows of a table (sequences of a set) that are attributed; None for all.
        tol : float, default=1e-4
            As in `integrated_gradients`.
        feature_names : list of str, default=None
            Names of the columns; None for those of the fit.
        unit_name : str, default="unit of the prediction"
            Unit of the prediction, and of its parts.
        kind : {"heatmap", "columns", "steps"}, default="heatmap"
            See `plot`.
        max_features : int, default=20
            See `plot`.
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.
        image_kwargs, bar_kwargs : dict, default=None
            See `plot`.

        Returns
        -------
        display : AttributionDisplay
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_model(estimator, f"{cls.__name__}.from_estimator", "estimator")
        check_is_fitted(estimator)
        if output is None:
            output = _only_output(estimator, response_method)
        result = integrated_gradients(
            estimator,
            X,
            baseline=baseline,
            output=output,
            response_method=response_method,
            groups=groups,
            context=context,
            context_groups=context_groups,
            samples=samples,
            tol=tol,
        )
        display = cls(
            attributions=result.attributions,
            feature_names=getattr(estimator, "feature_names_in_", None) if feature_names is None else feature_names,
            unit_name=unit_name,
        )
        return display.plot(ax, kind=kind, max_features=max_features, image_kwargs=image_kwargs, bar_kwargs=bar_kwargs)

    @classmethod
    def from_attributions(
        cls,
        attributions: ArrayLike,
        *,
        feature_names: Sequence[str] | None = None,
        unit_name: str = "unit of the prediction",
        kind: Literal["heatmap", "columns", "steps"] = "heatmap",
        max_features: int = 20,
        ax: Any = None,
        image_kwargs: dict[str, Any] | None = None,
        bar_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw attributions that are computed already.

        Parameters
        ----------
        attributions : array-like of shape (n_samples, n_steps, n_features) or (n_steps, n_features)
            Of several samples or of one.
        feature_names : list of str, default=None
            Names of the columns; None for x0, x1, ...
        unit_name : str, default="unit of the prediction"
            Unit of the prediction, and of its parts.
        kind : {"heatmap", "columns", "steps"}, default="heatmap"
            See `plot`.
        max_features : int, default=20
            See `plot`.
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.
        image_kwargs, bar_kwargs : dict, default=None
            See `plot`.

        Returns
        -------
        display : AttributionDisplay
        """
        check_matplotlib_support(f"{cls.__name__}.from_attributions")
        numbers = np.asarray(attributions, np.float64)
        if numbers.ndim == 2:
            numbers = numbers[np.newaxis]
        if numbers.ndim != 3 or 0 in numbers.shape:
            raise ValueError(
                f"attributions has shape {np.shape(attributions)}, expected (n_samples, n_steps, n_features): of "
                "several outputs draw one at a time."
            )
        display = cls(attributions=numbers, feature_names=feature_names, unit_name=unit_name)
        return display.plot(ax, kind=kind, max_features=max_features, image_kwargs=image_kwargs, bar_kwargs=bar_kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        kind: Literal["heatmap", "columns", "steps"] = "heatmap",
        sample: int | None = None,
        max_features: int = 20,
        colorbar: bool = True,
        image_kwargs: dict[str, Any] | None = None,
        bar_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the attributions of one sample with their signs, or the mean sizes over several.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.
        kind : {"heatmap", "columns", "steps"}, default="heatmap"
            Columns and steps; columns, summed over the steps of a sample; or steps, summed over the columns.
        sample : int, default=None
            Draw this sample alone, with signs; None for all.
        max_features : int, default=20
            Columns that are drawn, the strongest; bars have one more, the sum of all others (of their sizes).
        colorbar : bool, default=True
            Whether a heat map has a colour bar.
        image_kwargs : dict, default=None
            Passed to `matplotlib.axes.Axes.imshow`.
        bar_kwargs : dict, default=None
            Passed to `matplotlib.axes.Axes.barh` or `matplotlib.axes.Axes.bar`.

        Returns
        -------
        display : AttributionDisplay
        """
        check_choice(kind, KINDS, "kind")
        most = check_count(max_features, "max_features")
        chosen = self._chosen(sample)
        names = check_names(self.feature_names, chosen.shape[2])
        self.image_ = self.colorbar_ = self.bars_ = None
        n_rows = min(chosen.shape[2], most + 1)
        ax = open_axes(self, ax, None if kind == "steps" else (6.4, height_of(n_rows)))
        signed = len(chosen) == 1
        label = f"Attribution ({self.unit_name})" if signed else f"Mean size of attribution ({self.unit_name})"
        if kind == "steps":
            self._draw_steps(ax, chosen.sum(axis=2), signed, label, bar_kwargs)
        elif kind == "columns":
            values, names = _strongest_columns(chosen.sum(axis=1, keepdims=True), names, most, signed)
            self._draw_columns(ax, values[:, 0], names, label, bar_kwargs)
        else:
            self.values_, names = _strongest_columns(chosen, names, most, signed, others=False)
            n_steps = chosen.shape[1]
            self.image_, self.colorbar_ = draw_image(
                ax, self.values_, names, signed=signed, label=label, colorbar=colorbar, given=image_kwargs,
                extent=(0.5 - n_steps, 0.5),
            )  # fmt: skip
            ax.set(xlabel="Time step (0 is that of the prediction)", ylabel=_title(len(names), chosen.shape[2]))
            whole_ticks(ax)
        return self

    def _chosen(self, sample):
        """Return the attributions of one sample, or all."""
        numbers = np.asarray(self.attributions, np.float64)
        if sample is None:
            return numbers
        if isinstance(sample, bool) or not isinstance(sample, (int, np.integer)):
            raise ValueError(f"sample={sample!r}, expected the number of one sample.")
        if not -len(numbers) <= sample < len(numbers):
            raise ValueError(f"sample={sample}, but there are {len(numbers)} samples.")
        return numbers[sample][np.newaxis]

    def _draw_columns(self, ax, values, names, label, given):
        from matplotlib.patches import Rectangle

        self.values_ = values
        defaults = {"color": [ORANGE if value < 0 else BLUE for value in values], "height": 0.7}
        places = np.arange(len(values))
        self.bars_ = ax.barh(places, values, **style(defaults, given, "bar_kwargs", Rectangle))
        ax.set_yticks(places, [shortened(name) for name in names])
        ax.invert_yaxis()
        ax.axvline(0.0, color="black", linewidth=0.8)
        ax.set(xlabel=label, ylabel="Column")

    def _draw_steps(self, ax, values, signed, label, given):
        from matplotlib.patches import Rectangle

        self.values_ = values[0] if signed else np.abs(values).mean(axis=0)
        defaults = {"color": [ORANGE if value < 0 else BLUE for value in self.values_], "width": 0.9}
        steps = np.arange(1 - len(self.values_), 1)
        self.bars_ = ax.bar(steps, self.values_, **style(defaults, given, "bar_kwargs", Rectangle))
        ax.axhline(0.0, color="black", linewidth=0.8)
        ax.set(xlabel="Time step (0 is that of the prediction)", ylabel=label)
        whole_ticks(ax)


def _only_output(estimator, method):
    """Return which answer to draw if none was chosen: the only number, or the second of two classes."""
    shape = answers_of(estimator, method).shape
    if not shape:
        return None
    if shape == (2,) and np.ndim(getattr(estimator, "classes_", None)) == 1:
        return 1
    raise ValueError(
        f"each answer of this {type(estimator).__name__} has shape {shape}: choose the number to attribute by `output`."
    )


def _title(n_drawn, n_columns):
    return "Column" if n_drawn == n_columns else f"Column ({n_drawn} of {n_columns})"


def _strongest_columns(attributions, names, most, signed, others=True):
    """Return one row for each column, strongest first, and their names; the `others` beyond `most` as one row."""
    values = attributions[0] if signed else np.abs(attributions).mean(axis=0)
    first, rest = strongest(np.abs(values).sum(axis=0), most)
    rows, names = values.T[first], [names[k] for k in first]
    if len(rest) and others:
        rows = np.vstack([rows, values.T[rest].sum(axis=0)])
        names.append(f"{len(rest)} others (sum)")
    return rows, names
