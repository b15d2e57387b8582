"""What happened to a model that learns online, as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from sklearn.utils._optional_dependencies import check_matplotlib_support

from sklstm._inspection.drawing import BLUE, GREEN, GREY, ORANGE, PINK, draw_curve, label_axes, open_axes, style

# Drawn as vertical lines: what happened, in the words of the legend, with colour and line.
EVENTS = {
    "drift": ("Drift", ORANGE, "--"),
    "version": ("New version", GREEN, "-"),
    "reject": ("Challenger dropped in shadow", GREY, ":"),
    "rollback": ("Challenger rolled back", PINK, "-."),
}
ENDS_OF_REFITS = ("refitted", "refit_failed")
ENDS_OF_SHARES = ("promote", "reject", "rollback")


class OnlineHistoryDisplay:
    """Loss of a model that learns online, with drifts, refits, new versions and the share of a challenger.

    Make it by `from_estimator` or `from_history`; what is passed here is stored as attributes.

    Parameters
    ----------
    history : dict of str to ndarray of shape (n_events,)
        Events in columns: "kind", "row", "loss" and, where there was a challenger, "share".
    loss_label : str, default="Loss"
        What is written at the vertical axis.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    loss_line_ : matplotlib Line2D
    event_lines_ : dict of str to matplotlib LineCollection
        By kind ("drift", "version", "reject", "rollback"), of those that there are.
    refit_bars_ : matplotlib PolyCollection or None
        From beginning to end of each refit.
    share_ax_ : matplotlib Axes or None
        The axis at the right, where a challenger took a share of the rows.
    share_line_ : matplotlib Line2D or None

    See Also
    --------
    sklstm.online.OnlineLearner : What has a history.
    TrainingCurveDisplay : Losses of each epoch of one training.

    Examples
    --------
    >>> from sklstm.inspection import OnlineHistoryDisplay
    >>> history = {"kind": ["loss", "loss", "drift"], "row": [99, 199, 199], "loss": [1.0, 2.5, 2.5]}
    >>> display = OnlineHistoryDisplay.from_history(history)  # doctest: +SKIP
    """

    ax_: Any
    figure_: Any
    loss_line_: Any
    event_lines_: dict[str, Any]
    refit_bars_: Any
    share_ax_: Any
    share_line_: Any

    def __init__(self, *, history: Mapping[str, Any], loss_label: str = "Loss") -> None:
        self.history = history
        self.loss_label = loss_label

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        loss_label: str = "Loss",
        ax: Any = None,
        loss_kwargs: dict[str, Any] | None = None,
        event_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw what a learner has kept.

        Parameters
        ----------
        estimator : OnlineLearner
            Or anything with such a `history_`.
        loss_label : str, default="Loss"
            What is written at the vertical axis.
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.
        loss_kwargs : dict, default=None
            Passed to `matplotlib.axes.Axes.plot` for the loss.
        event_kwargs : dict, default=None
            Passed to `matplotlib.axes.Axes.vlines` for all events.

        Returns
        -------
        display : OnlineHistoryDisplay
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        if not hasattr(type(estimator), "history_") and not hasattr(estimator, "history_"):
            raise TypeError(
                f"{cls.__name__}.from_estimator: estimator is a {type(estimator).__name__}, expected an OnlineLearner: "
                "it has no history_."
            )
        return cls.from_history(
            estimator.history_, loss_label=loss_label, ax=ax, loss_kwargs=loss_kwargs, event_kwargs=event_kwargs
        )

    @classmethod
    def from_history(
        cls,
        history: Mapping[str, Any],
        *,
        loss_label: str = "Loss",
        ax: Any = None,
        loss_kwargs: dict[str, Any] | None = None,
        event_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw a history that is given as columns, such as one that was kept in a file.

        Parameters
        ----------
        history : dict of str to array-like of shape (n_events,), or DataFrame
            Events in columns: "kind", "row", "loss" and, where there was a challenger, "share".
        loss_label : str, default="Loss"
            What is written at the vertical axis.
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.
        loss_kwargs : dict, default=None
            Passed to `matplotlib.axes.Axes.plot` for the loss.
        event_kwargs : dict, default=None
            Passed to `matplotlib.axes.Axes.vlines` for all events.

        Returns
        -------
        display : OnlineHistoryDisplay
        """
        check_matplotlib_support(f"{cls.__name__}.from_history")
        display = cls(history=_checked(history), loss_label=loss_label)
        return display.plot(ax, loss_kwargs=loss_kwargs, event_kwargs=event_kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        loss_kwargs: dict[str, Any] | None = None,
        event_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the history.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.
        loss_kwargs : dict, default=None
            Passed to `matplotlib.axes.Axes.plot` for the loss.
        event_kwargs : dict, default=None
            Passed to `matplotlib.axes.Axes.vlines` for all events.

        Returns
        -------
        display : OnlineHistoryDisplay
        """
        ax = open_axes(self, ax, (8.0, 4.0))
        kinds, rows = (np.asarray(self.history[name]) for name in ("kind", "row"))
        is_loss = kinds == "loss"
        self.refit_bars_ = self._draw_refits(ax, kinds, rows)
        self.share_ax_, self.share_line_ = self._draw_shares(ax, kinds, rows)
        defaults = {"color": BLUE, "linewidth": 1.2, "label": "Loss", "zorder": 3}
        losses = np.asarray(self.history["loss"], np.float64)[is_loss]
        self.loss_line_ = draw_curve(ax, rows[is_loss], losses, defaults, loss_kwargs, "loss_kwargs")
        self.event_lines_ = self._draw_events(ax, kinds, rows, event_kwargs)
        handles = [self.loss_line_, *self.event_lines_.values(), self.refit_bars_, self.share_line_]
        label_axes(ax, "Row", self.loss_label, [one for one in handles if one is not None])
        return self

    def _draw_events(self, ax, kinds, rows, given):
        """Draw a vertical line for each event, over the whole height."""
        from matplotlib.collections import LineCollection

        found = {}
        for kind, (label, color, linestyle) in EVENTS.items():
            own = rows[kinds == kind]
            if len(own):
                defaults = {"colors": color, "linestyles": linestyle, "linewidths": 1.2, "zorder": 2, "label": label}
                options = style(defaults, given, "event_kwargs", LineCollection)
                found[kind] = ax.vlines(own, 0.0, 1.0, transform=ax.get_xaxis_transform(), **options)
        return found

    def _draw_refits(self, ax, kinds, rows):
        """Draw a bar from the beginning of each refit to its end, or to the last row."""
        begins, ends = rows[kinds == "refit"], rows[np.isin(kinds, ENDS_OF_REFITS)]
        if not len(begins):
            return None
        last = rows.max()
        bars = []
        for begin in begins:
            later = ends[ends >= begin]
            bars.append((begin, (later[0] if len(later) else last) - begin))
        options = {"facecolor": GREY, "edgecolor": GREY, "alpha": 0.3, "linewidth": 1.0, "label": "Refit runs"}
        return ax.broken_barh(bars, (0.0, 1.0), transform=ax.get_xaxis_transform(), zorder=0, **options)

    def _draw_shares(self, ax, kinds, rows):
        """Draw the share of the challenger against an axis at the right."""
        if "share" not in kinds:
            return None, None
        given = np.asarray(self.history["share"], np.float64)
        chosen = (kinds == "share") | np.isin(kinds, ENDS_OF_SHARES)
        values = np.where(kinds == "share", given, 0.0)[chosen]
        x = np.concatenate([[rows.min()], rows[chosen], [rows.max()]])
        y = np.concatenate([[0.0], values, values[-1:]])
        right = ax.twinx()
        (line,) = right.step(x, y, where="post", color=PINK, linewidth=1.2, label="Share of the challenger")
        right.fill_between(x, y, step="post", color=PINK, alpha=0.15, linewidth=0)
        right.set_ylim(0.0, 1.05)
        right.set_yticks([0.0, 0.5, 1.0], ["0 %", "50 %", "100 %"])
        right.set_ylabel("Rows that the challenger answers")
        # The loss lies above.
        ax.set_zorder(right.get_zorder() + 1)
        ax.patch.set_visible(False)
        return right, line


def _checked(history):
    """Return the columns of a history as arrays of one length."""
    found = {}
    for name in ("kind", "row", "loss", "share"):
        try:
            column = history[name]
        except (KeyError, TypeError, IndexError) as error:
            if name == "share":
                continue
            raise ValueError(f"history has no column {name!r}, expected one such as history_ of a learner.") from error
        found[name] = np.asarray(column, {"kind": str, "row": np.int64}.get(name, np.float64))
    shapes = {name: column.shape for name, column in found.items()}
    if found["row"].ndim != 1 or len(set(shapes.values())) > 1:
        raise ValueError(f"the columns of history have shapes {shapes}, expected one length.")
    return found
