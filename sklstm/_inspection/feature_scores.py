"""Scores of columns, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

from sklstm._inspection.drawing import (
    BLACK,
    BLUE,
    GREY,
    check_choice,
    check_count,
    check_names,
    draw_image,
    height_of,
    legend,
    open_axes,
    shortened,
    strongest,
    style,
)

# Attribute, label, and the parameter that is a limit.
STATISTICS = {
    "score": ("scores_", "Largest absolute correlation with the target (0 to 1)", None),
    "autocorrelation": ("autocorrelation_", "Largest absolute autocorrelation (0 to 1)", "min_autocorrelation"),
    "noise_ratio": ("noise_ratio_", "Noise ratio (variance of noise / of the smoothed column)", "max_noise_ratio"),
    "trend_strength": ("trend_strength_", "Trend strength (share of the variance)", None),
}


class FeatureScoreDisplay:
    """Scores of columns as bars, those of a selector or importances by permutation; by lag as a heat map.

    Make it by `from_estimator` or `from_importances`; what is passed here is stored as attributes.

    Parameters
    ----------
    scores : ndarray of shape (n_features,) or (n_features, n_lag_blocks)
        Of each column.
    feature_names : list of str, default=None
        Names of the columns; None for x0, x1, ...
    support : ndarray of shape (n_features,), dtype bool, default=None
        Which columns are kept; None if that is not the question.
    errors : ndarray of shape (n_features,), default=None
        Length of the whiskers to both sides.
    limit : float, default=None
        Limit of a filter, drawn as a line.
    score_label : str, default="Score"
        What is written at the axis, or at the colour bar.
    lags : ndarray of shape (n_lag_blocks, 2), default=None
        First and last lag of each block.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    bars_ : matplotlib BarContainer or None
    limit_line_ : matplotlib Line2D or None
    image_ : matplotlib AxesImage or None
        Of importances by lag.
    colorbar_ : matplotlib Colorbar or None

    See Also
    --------
    permutation_importance : Importances of columns and lags.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import LSTMFeatureSelector
    >>> from sklstm.inspection import FeatureScoreDisplay
    >>> X = np.random.default_rng(0).normal(size=(300, 3)).cumsum(axis=0)
    >>> selector = LSTMFeatureSelector(2).fit(X, X[:, 0])
    >>> display = FeatureScoreDisplay.from_estimator(selector)  # doctest: +SKIP
    """

    ax_: Any
    figure_: Any
    bars_: Any
    limit_line_: Any
    image_: Any
    colorbar_: Any

    def __init__(
        self,
        *,
        scores: Any,
        feature_names: Sequence[str] | None = None,
        support: Any = None,
        errors: Any = None,
        limit: float | None = None,
        score_label: str = "Score",
        lags: Any = None,
    ) -> None:
        self.scores = scores
        self.feature_names = feature_names
        self.support = support
        self.errors = errors
        self.limit = limit
        self.score_label = score_label
        self.lags = lags

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        statistic: Literal["score", "autocorrelation", "noise_ratio", "trend_strength"] = "score",
        feature_names: Sequence[str] | None = None,
        max_features: int = 30,
        ax: Any = None,
        bar_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw what a selector has measured of each column, and which it keeps.

        Parameters
        ----------
        estimator : LSTMFeatureSelector
            Fitted.
        statistic : {"score", "autocorrelation", "noise_ratio", "trend_strength"}, default="score"
            Which of its numbers.
        feature_names : list of str, default=None
            Names of the columns; None for those of the fit.
        max_features : int, default=30
            Columns that are drawn, those with the largest numbers.
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.
        bar_kwargs : dict, default=None
            Passed to `matplotlib.axes.Axes.barh`.

        Returns
        -------
        display : FeatureScoreDisplay
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        if not hasattr(estimator, "min_autocorrelation"):
            raise TypeError(
                f"{cls.__name__}.from_estimator: estimator is a {type(estimator).__name__}, expected a "
                "LSTMFeatureSelector. Importances of any model are drawn by from_importances."
            )
        check_choice(statistic, STATISTICS, "statistic")
        check_is_fitted(estimator)
        attribute, label, limit = STATISTICS[statistic]
        numbers = getattr(estimator, attribute)
        display = cls(
            scores=np.where(np.isfinite(numbers), numbers, np.nan),
            feature_names=getattr(estimator, "feature_names_in_", None) if feature_names is None else feature_names,
            support=estimator.support_,
            limit=None if limit is None else float(getattr(estimator, limit)),
            score_label=label,
        )
        return display.plot(ax, max_features=max_features, bar_kwargs=bar_kwargs)

    @classmethod
    def from_importances(
        cls,
        importances: Any,
        *,
        feature_names: Sequence[str] | None = None,
        score_label: str = "Loss of score without the column",
        max_features: int = 30,
        ax: Any = None,
        bar_kwargs: dict[str, Any] | None = None,
        image_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the result of `permutation_importance`, of this package or of scikit-learn.

        Parameters
        ----------
        importances : Bunch
            With `importances_mean` and `importances_std`; whiskers are one standard deviation over the repeats.
        feature_names : list of str, default=None
            Names of the columns; None for x0, x1, ...
        score_label : str, default="Loss of score without the column"
            What is written at the axis, or at the colour bar: name the score and its unit.
        max_features : int, default=30
            Columns that are drawn, the most important.
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.
        bar_kwargs : dict, default=None
            Passed to `matplotlib.axes.Axes.barh`.
        image_kwargs : dict, default=None
            Passed to `matplotlib.axes.Axes.imshow`, of importances by lag.

        Returns
        -------
        display : FeatureScoreDisplay
        """
        check_matplotlib_support(f"{cls.__name__}.from_importances")
        if not hasattr(importances, "importances_mean") or not hasattr(importances, "importances_std"):
            raise TypeError(
                f"{cls.__name__}.from_importances: importances is a {type(importances).__name__}, expected what "
                "permutation_importance returns."
            )
        mean = np.asarray(importances.importances_mean, np.float64)
        display = cls(
            scores=mean,
            feature_names=feature_names,
            errors=np.asarray(importances.importances_std, np.float64) if mean.ndim == 1 else None,
            score_label=score_label,
            lags=getattr(importances, "lags", None),
        )
        return display.plot(ax, max_features=max_features, bar_kwargs=bar_kwargs, image_kwargs=image_kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        max_features: int = 30,
        colorbar: bool = True,
        bar_kwargs: dict[str, Any] | None = None,
        image_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the scores, largest first.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.
        max_features : int, default=30
            Columns that are drawn, those with the largest scores.
        colorbar : bool, default=True
            Whether a heat map has a colour bar.
        bar_kwargs : dict, default=None
            Passed to `matplotlib.axes.Axes.barh`.
        image_kwargs : dict, default=None
            Passed to `matplotlib.axes.Axes.imshow`, of scores by lag.

        Returns
        -------
        display : FeatureScoreDisplay
        """
        scores = np.asarray(self.scores, np.float64)
        names, most = check_names(self.feature_names, len(scores)), check_count(max_features, "max_features")
        self.bars_ = self.limit_line_ = self.image_ = self.colorbar_ = None
        ax = open_axes(self, ax, (6.4, height_of(min(most, len(scores)))))
        if scores.ndim == 2:
            order, _ = strongest(scores.sum(axis=1), most)
            self._draw_lags(ax, scores[order], [names[k] for k in order], colorbar, image_kwargs)
        else:
            order, _ = strongest(scores, most)
            self._draw_bars(ax, scores, order, [names[k] for k in order], bar_kwargs)
        hidden = len(scores) - len(order)
        ax.set_ylabel("Column" if not hidden else f"Column ({len(order)} of {len(scores)})")
        return self

    def _draw_bars(self, ax, scores, order, names, given):
        from matplotlib.patches import Rectangle

        kept = np.ones(len(scores), bool) if self.support is None else np.asarray(self.support, bool)
        places = np.arange(len(order))
        defaults = {"color": [BLUE if kept[k] else "#D9D9D9" for k in order], "height": 0.7}
        defaults |= {"edgecolor": [BLUE if kept[k] else GREY for k in order]}
        if self.errors is not None:
            defaults |= {"xerr": np.asarray(self.errors)[order], "ecolor": BLACK, "capsize": 2.0}
        errors = {name: defaults.pop(name) for name in ("xerr", "ecolor", "capsize") if name in defaults}
        self.bars_ = ax.barh(places, scores[order], **errors, **style(defaults, given, "bar_kwargs", Rectangle))
        ax.set_yticks(places, [shortened(name) for name in names])
        ax.set_ylim(len(order) - 0.4, -0.6)
        ax.axvline(0.0, color=BLACK, linewidth=0.8)
        if self.limit is not None:
            self.limit_line_ = ax.axvline(
                self.limit, color=BLACK, linewidth=1.0, linestyle="--", label=f"Limit ({self.limit:g})"
            )
        for place, k in enumerate(order):
            if not np.isfinite(scores[k]):
                ax.annotate("constant", (0, place), (4, 0), textcoords="offset points", va="center", color=GREY)
        ax.set_xlabel(self.score_label)
        self._legend(ax, kept[order])

    def _legend(self, ax, kept):
        """Say what the colours mean."""
        from matplotlib.patches import Patch

        if self.support is None:
            return
        handles = [
            Patch(facecolor=color, edgecolor=edge, label=label)
            for color, edge, label, shown in (
                (BLUE, BLUE, "Kept", kept.any()),
                ("#D9D9D9", GREY, "Left out", not kept.all()),
            )
            if shown
        ]
        legend(ax, handles + ([] if self.limit_line_ is None else [self.limit_line_]))

    def _draw_lags(self, ax, scores, names, colorbar, given):
        signed = bool((scores < 0).any()) and -scores.min() > 0.05 * np.abs(scores).max()
        self.image_, self.colorbar_ = draw_image(
            ax, scores, names, signed=signed, label=self.score_label, colorbar=colorbar, given=given,
            extent=(-0.5, scores.shape[1] - 0.5),
        )  # fmt: skip
        lags = self.lags if self.lags is not None else np.tile(np.arange(scores.shape[1])[:, np.newaxis], (1, 2))
        labels = [str(first) if first == last else f"{first}–{last}" for first, last in np.asarray(lags).tolist()]
        step = -(-len(labels) // 12)
        ax.set_xticks(range(0, len(labels), step), labels[::step])
        ax.set_xlabel("Lag (rows before the prediction's own)")
