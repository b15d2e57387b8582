"""Weights of attention over the steps of windows, as a picture."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

from sklstm._base import BaseRNN
from sklstm._compression.models import check_model
from sklstm._inspection.drawing import SEVERAL, check_choice, draw_curve, draw_image, legend, open_axes, whole_ticks
from sklstm._inspection.windows import check_samples

SPREAD = (10, 90)
STYLES = ("-", "--", "-.", ":")


class AttentionDisplay:
    """How much each step of a window counts in the heads of self-attention and in the pooling.

    Make it by `from_estimator` or `from_weights`; what is passed here is stored as attributes.

    Parameters
    ----------
    weights : dict of str to ndarray of shape (n_samples, n_steps)
        By the name of a head, or of the pooling; the last step in the last column, zeros where a window has no step.
    rows_per_step : int, default=1
        Rows that a step reads (`patch_length`).

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        One for each name.
    bands_ : list of matplotlib PolyCollection
        From the 10th to the 90th percentile over the samples; none for a single sample.
    image_ : matplotlib AxesImage or None
        With ``kind="samples"``.
    colorbar_ : matplotlib Colorbar or None

    See Also
    --------
    AttributionDisplay : What rows and columns add to a prediction, which weights alone do not say.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.inspection import AttentionDisplay
    >>> X = np.random.default_rng(0).normal(size=(300, 2))
    >>> model = DeepRNNRegressor(hidden_size=8, sequence_length=4, pooling="attention", max_iter=10, random_state=0)
    >>> display = AttentionDisplay.from_estimator(model.fit(X, X[:, 0]), X)  # doctest: +SKIP
    """

    ax_: Any
    figure_: Any
    lines_: list[Any]
    bands_: list[Any]
    image_: Any
    colorbar_: Any

    def __init__(self, *, weights: dict[str, Any], rows_per_step: int = 1) -> None:
        self.weights = weights
        self.rows_per_step = rows_per_step

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseRNN,
        X: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        context: ArrayLike | None = None,
        context_groups: ArrayLike | None = None,
        samples: ArrayLike | None = None,
        kind: Literal["mean", "samples"] = "mean",
        name: str | None = None,
        ax: Any = None,
        line_kwargs: dict[str, Any] | None = None,
        image_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the `attention_weights` of a fitted model.

        Parameters
        ----------
        estimator : estimator
            A fitted regressor or classifier with `attention_heads` or ``pooling="attention"``.
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            As in `predict`.
        groups, context, context_groups : array-like, default=None
            As in `predict`.
        samples : array-like of int, default=None
            Rows of a table (sequences of a set) that are drawn; None for all.
        kind : {"mean", "samples"}, default="mean"
            See `plot`.
        name : str, default=None
            See `plot`.
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.
        line_kwargs, image_kwargs : dict, default=None
            See `plot`.

        Returns
        -------
        display : AttentionDisplay
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_model(estimator, f"{cls.__name__}.from_estimator", "estimator")
        check_is_fitted(estimator)
        if not hasattr(estimator, "attention_weights"):
            raise ValueError(
                f"this {type(estimator).__name__} has no attention weights: it needs attention_heads or "
                "pooling='attention'."
            )
        found = estimator.attention_weights(X, groups=groups, context=context, context_groups=context_groups)
        weights: dict[str, Any] = {}
        if "heads" in found:
            weights |= {f"Head {k + 1}": found["heads"][:, k] for k in range(found["heads"].shape[1])}
        if "pooling" in found:
            weights["Pooling"] = found["pooling"]
        if samples is not None:
            chosen = check_samples(samples, len(next(iter(weights.values()))))
            weights = {one: array[chosen] for one, array in weights.items()}
        display = cls(weights=weights, rows_per_step=int(estimator._architecture["patch_length"]))
        return display.plot(ax, kind=kind, name=name, line_kwargs=line_kwargs, image_kwargs=image_kwargs)

    @classmethod
    def from_weights(
        cls,
        weights: ArrayLike | dict[str, ArrayLike],
        *,
        rows_per_step: int = 1,
        kind: Literal["mean", "samples"] = "mean",
        name: str | None = None,
        ax: Any = None,
        line_kwargs: dict[str, Any] | None = None,
        image_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw weights that are given as numbers.

        Parameters
        ----------
        weights : array-like of shape (n_samples, n_steps), or dict of str to such
            The last step in the last column, zeros where a window has no step.
        rows_per_step : int, default=1
            Rows that a step reads.
        kind : {"mean", "samples"}, default="mean"
            See `plot`.
        name : str, default=None
            See `plot`.
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.
        line_kwargs, image_kwargs : dict, default=None
            See `plot`.

        Returns
        -------
        display : AttentionDisplay
        """
        check_matplotlib_support(f"{cls.__name__}.from_weights")
        named = weights if isinstance(weights, dict) else {"Weight": weights}
        arrays = {str(one): np.asarray(array, np.float64) for one, array in named.items()}
        for one, array in arrays.items():
            if array.ndim != 2 or 0 in array.shape:
                raise ValueError(f"weights[{one!r}] has shape {array.shape}, expected (n_samples, n_steps).")
        if len({array.shape for array in arrays.values()}) != 1:
            shapes = {one: array.shape for one, array in arrays.items()}
            raise ValueError(f"weights have shapes {shapes}, expected arrays of one shape, and at least one.")
        display = cls(weights=arrays, rows_per_step=rows_per_step)
        return display.plot(ax, kind=kind, name=name, line_kwargs=line_kwargs, image_kwargs=image_kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        kind: Literal["mean", "samples"] = "mean",
        name: str | None = None,
        colorbar: bool = True,
        line_kwargs: dict[str, Any] | None = None,
        image_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the mean weights over the samples, or those of each sample.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.
        kind : {"mean", "samples"}, default="mean"
            Lines of the mean weights, with bands from the 10th to the 90th percentile over the samples, or an image
            with a row for each sample.
        name : str, default=None
            Draw these weights alone; None for all, with ``kind="samples"`` for the last.
        colorbar : bool, default=True
            Whether an image has a colour bar.
        line_kwargs : dict, default=None
            Passed to `matplotlib.axes.Axes.plot`.
        image_kwargs : dict, default=None
            Passed to `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        display : AttentionDisplay
        """
        check_choice(kind, ("mean", "samples"), "kind")
        if name is not None:
            check_choice(name, self.weights, "name")
        names = list(self.weights) if name is None else [name]
        self.lines_, self.bands_, self.image_, self.colorbar_ = [], [], None, None
        ax = open_axes(self, ax)
        step = "row" if self.rows_per_step == 1 else f"step of {self.rows_per_step} rows"
        ax.set_xlabel(f"Time step (0 is the last {step} of the window)")
        if kind == "samples":
            self._draw_samples(ax, names[-1], colorbar, image_kwargs)
        else:
            self._draw_means(ax, names, line_kwargs)
        whole_ticks(ax)
        return self

    def _draw_means(self, ax, names, given):
        for k, name in enumerate(names):
            weights = np.asarray(self.weights[name], np.float64)
            steps = np.arange(1 - weights.shape[1], 1)
            present = np.where(weights > 0, weights, np.nan)
            present[:, np.isnan(present).all(axis=0)] = 0.0
            color = SEVERAL[k % len(SEVERAL)]
            if len(weights) > 1:
                low, high = np.nanpercentile(present, SPREAD, axis=0)
                self.bands_.append(ax.fill_between(steps, low, high, color=color, alpha=0.15, linewidth=0.0))
            own = {"color": color, "linestyle": STYLES[k % len(STYLES)], "label": name, "linewidth": 1.5}
            if len(steps) <= 64:
                own |= {"marker": "o", "markersize": 3.0}
            self.lines_.append(draw_curve(ax, steps, np.nanmean(present, axis=0), own, given, "line_kwargs"))
        ax.set_ylabel("Weight (share of 1)" if not self.bands_ else "Mean weight (share of 1;\nband: 10 to 90 %)")
        ax.set_ylim(bottom=0.0)
        legend(ax)

    def _draw_samples(self, ax, name, colorbar, given):
        weights = np.asarray(self.weights[name], np.float64)
        n_steps = weights.shape[1]
        whole = weights[(weights > 0).all(axis=1)]  # short windows have larger weights
        limits = (whole.min(), whole.max()) if len(whole) else None
        self.image_, self.colorbar_ = draw_image(
            ax, np.where(weights > 0, weights, np.nan), None, signed=False,
            label=f"{name}: weight (share of 1)", colorbar=colorbar, given=given, extent=(0.5 - n_steps, 0.5),
            limits=limits,
        )  # fmt: skip
        whole_ticks(ax, "y")
        ax.set_ylabel("Sample")
