"""The loss of each epoch, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

from sklstm._base import BaseRNN
from sklstm._compression.models import check_model
from sklstm._inspection.drawing import BLACK, BLUE, ORANGE, draw_curve, label_axes, open_axes, whole_ticks

LOSS_LABELS = {
    "squared": "Half squared error\n(target in standard deviations)",
    "absolute": "Absolute error\n(target in standard deviations)",
    "huber": "Huber loss\n(target in standard deviations)",
    "log_cosh": "Log-cosh loss\n(target in standard deviations)",
    "quantile": "Quantile loss\n(target in standard deviations)",
    "poisson": "Poisson loss\n(target in multiples of its mean)",
    "binary_log": "Log loss (nats)",
    "multinomial_log": "Log loss (nats)",
}


class TrainingCurveDisplay:
    """Loss of the training part and of the validation part after each epoch.

    Make it by `from_estimator` or `from_losses`; what is passed here is stored as attributes.

    Parameters
    ----------
    training_loss : list of ndarray of shape (n_epochs,)
        Of each network.
    validation_loss : list of ndarray of shape (n_validated,), default=None
        Of the last epochs of each network; None without a validation part.
    best_iteration : list of int, default=None
        The epoch of each network whose parameters were kept, counted from 1.
    loss_label : str, default="Loss"
        What is written at the vertical axis.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    training_lines_, validation_lines_ : list of matplotlib Line2D
        One for each network.
    best_lines_ : list of matplotlib Line2D
        Vertical, at the epochs that were kept.

    See Also
    --------
    ForecastDisplay : Predictions beside the truth.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.inspection import TrainingCurveDisplay
    >>> X = np.random.default_rng(0).normal(size=(300, 2))
    >>> model = DeepRNNRegressor(hidden_size=8, sequence_length=4, max_iter=10, random_state=0).fit(X, X[:, 0])
    >>> display = TrainingCurveDisplay.from_estimator(model)  # doctest: +SKIP
    """

    ax_: Any
    figure_: Any
    training_lines_: list[Any]
    validation_lines_: list[Any]
    best_lines_: list[Any]

    def __init__(
        self,
        *,
        training_loss: Sequence[ArrayLike],
        validation_loss: Sequence[ArrayLike] | None = None,
        best_iteration: Sequence[int] | None = None,
        loss_label: str = "Loss",
    ) -> None:
        self.training_loss = training_loss
        self.validation_loss = validation_loss
        self.best_iteration = best_iteration
        self.loss_label = loss_label

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseRNN,
        *,
        ax: Any = None,
        training_kwargs: dict[str, Any] | None = None,
        validation_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the losses that a fitted model has kept.

        Parameters
        ----------
        estimator : estimator
            A fitted regressor or classifier of this package.
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.
        training_kwargs, validation_kwargs : dict, default=None
            Passed to `matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : TrainingCurveDisplay
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_model(estimator, f"{cls.__name__}.from_estimator", "estimator")
        check_is_fitted(estimator)
        networks = [vars(estimator), *getattr(estimator, "other_networks_", ())]
        validation, best = None, None
        if all(one["validation_loss_curve_"] is not None for one in networks):
            validation = [np.asarray(one["validation_loss_curve_"], np.float64) for one in networks]
            best = [int(one["best_iteration_"]) for one in networks]
        display = cls(
            training_loss=[np.asarray(one["loss_curve_"], np.float64) for one in networks],
            validation_loss=validation,
            best_iteration=best,
            loss_label=LOSS_LABELS[estimator._targets().network_loss()[0]],
        )
        return display.plot(ax, training_kwargs=training_kwargs, validation_kwargs=validation_kwargs)

    @classmethod
    def from_losses(
        cls,
        training_loss: ArrayLike,
        validation_loss: ArrayLike | None = None,
        *,
        best_iteration: int | None = None,
        loss_label: str = "Loss",
        ax: Any = None,
        training_kwargs: dict[str, Any] | None = None,
        validation_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw losses that are given as numbers.

        Parameters
        ----------
        training_loss : array-like of shape (n_epochs,)
            Of each epoch.
        validation_loss : array-like of shape (n_validated,), default=None
            Of the last epochs.
        best_iteration : int, default=None
            The epoch whose parameters were kept, counted from 1.
        loss_label : str, default="Loss"
            What is written at the vertical axis.
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.
        training_kwargs, validation_kwargs : dict, default=None
            Passed to `matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : TrainingCurveDisplay
        """
        check_matplotlib_support(f"{cls.__name__}.from_losses")
        training = _check_losses(training_loss, "training_loss")
        validation = None if validation_loss is None else _check_losses(validation_loss, "validation_loss")
        if validation is not None and len(validation) > len(training):
            raise ValueError(
                f"validation_loss has {len(validation)} epochs, expected at most the {len(training)} of training_loss."
            )
        display = cls(
            training_loss=[training],
            validation_loss=None if validation is None else [validation],
            best_iteration=None if best_iteration is None else [best_iteration],
            loss_label=loss_label,
        )
        return display.plot(ax, training_kwargs=training_kwargs, validation_kwargs=validation_kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        training_kwargs: dict[str, Any] | None = None,
        validation_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.
        training_kwargs, validation_kwargs : dict, default=None
            Passed to `matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : TrainingCurveDisplay
        """
        ax = open_axes(self, ax)
        self.training_lines_ = self._curves(
            ax, self.training_loss, "Training part", BLUE, "-", training_kwargs, "training"
        )
        self.validation_lines_, self.best_lines_ = [], []
        if self.validation_loss is not None:
            self.validation_lines_ = self._curves(
                ax, self.validation_loss, "Validation part", ORANGE, "--", validation_kwargs, "validation"
            )
        for epoch in self.best_iteration or ():
            if epoch >= 1:
                label = "Kept" if not self.best_lines_ else None
                self.best_lines_.append(ax.axvline(epoch, color=BLACK, linewidth=0.8, linestyle=":", label=label))
        whole_ticks(ax)
        label_axes(ax, "Epoch", self.loss_label)
        return self

    def _curves(self, ax, curves, label, color, linestyle, given, name):
        """Draw the curve of each network, those of all but the first lighter."""
        lines = []
        for k, (curve, training) in enumerate(zip(curves, self.training_loss, strict=True)):
            epochs = np.arange(len(training) - len(curve) + 1, len(training) + 1)
            defaults = {"color": color, "linestyle": linestyle, "linewidth": 1.5 if k == 0 else 0.8}
            defaults |= {"alpha": 1.0 if k == 0 else 0.5, "label": label if k == 0 else None}
            lines.append(draw_curve(ax, epochs, curve, defaults, given, f"{name}_kwargs"))
        return lines


def _check_losses(losses, name):
    losses = np.asarray(losses, np.float64)
    if losses.ndim != 1 or not len(losses):
        raise ValueError(f"{name} has shape {losses.shape}, expected (n_epochs,): the loss of each epoch.")
    return losses
