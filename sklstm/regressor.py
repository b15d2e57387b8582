"""Regression with stacked recurrent layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin
from sklearn.utils._param_validation import Interval, StrOptions

from sklstm._answers import score_of_steps
from sklstm._base import BaseRNN
from sklstm._calibration import CalibrationMixin, has_quantiles
from sklstm._cell_choice import refuse_other_cells
from sklstm._fits_ahead import FitsAhead
from sklstm._scores import weighted_score
from sklstm._snapshot import snapshot_of
from sklstm._targets import LOSS_NAMES, NumberTargets
from sklstm._time_order import look_at_score
from sklstm._typing import Array, available_if
from sklstm._validation import Future
from sklstm.cells import LSTM


@dataclass(eq=False, repr=False)
class DeepRNNRegressor(CalibrationMixin, RegressorMixin, FitsAhead, BaseRNN):
    """Regression on time-ordered tables and on sequences with stacked recurrent layers.

    Predicts one number, or several, for each row of a table, from a window of rows that ends there, or for each
    sequence of a set.

    Parameters
    ----------
    decoder : {"direct", "recurrent", "parallel"}, default="direct"
        How the values of a horizon are predicted: all at once, or by a recurrence that goes on over the rows ahead,
        `patch_length` rows a turn, from turn to turn or with all turns side by side [Lin2023]_.
    loss : {"squared_error", "absolute_error", "huber", "log_cosh", "quantile", "poisson"}, default="squared_error"
        Loss minimised in training: the squared error, the absolute error, the Huber loss [Huber1964]_, the logarithm of
        the hyperbolic cosine of the error, a smooth absolute error [Saleh2022]_, the loss of `quantile`
        [Koenker1978]_, or the Poisson loss for targets >= 0 [McCullagh1989]_.
    quantile : float or sequence of float, default=0.5
        Quantile that is predicted with ``loss="quantile"``, or an increasing sequence of them with 0.5 among them.
    conformal : bool, default=False
        Whether the bands between several quantiles are widened, or narrowed, so that they hold their share of the
        validation part [Romano2019]_.
    huber_delta : float, default=1.0
        Where the Huber loss turns linear, in standard deviations of the target.
    target_column : int, str, array-like of shape (n_outputs,) or None, default=None
        With `window_norm` or `group_scaling`, the column of X whose future y is, by position or name, one for all
        targets or one for each; None for the only column that X has, or without `window_norm` for none.
    group_scaling : {"mean_absolute_difference", "standard"} or None, default=None
        Unit of the targets of each group, and of its `target_column`, learnt from its training rows: the mean absolute
        difference of consecutive ones, as in the MASE [Hyndman2006]_, or their standard deviation; None for one unit
        for all groups.
    group_weight : {"equal"} or None, default=None
        Whether the samples of each group get such weights that all groups count the same.

    Attributes
    ----------
    target_mean_, target_scale_ : float or ndarray of shape (n_outputs,) or (horizon, n_targets)
        The target is standardised inside: ``predict`` is ``target_mean_ + target_scale_ * (h @ weight_out.T +
        bias_out)``, of several quantiles the middle one after sorting. With ``loss="poisson"`` the target is divided by
        its mean (`target_mean_` is 0, `target_scale_` the mean), and ``exp`` goes over the network's output. With
        `window_norm` they are those of the targets after it, and `predict` undoes the normalisation. Both are those of
        the training part. A target that is constant there has scale 0, and the constant is the answer.
    group_labels_ : ndarray of shape (n_groups,)
        The groups that have a unit; only with `group_scaling`.
    group_means_, group_scales_ : ndarray of shape (n_groups,) or (n_groups, n_outputs)
        Mean and unit of each, in the unit of y; 0 is the unit of a group whose rows are all alike. Only with
        `group_scaling`. `input_mean_`, `input_scale_`, `target_mean_` and `target_scale_` are then those of
        ``(number - mean) / unit``.
    conformal_correction_ : ndarray of shape (n_quantiles,) or (n_outputs, n_quantiles)
        Only with `conformal`: what is added to each quantile, in units of `target_scale_`.

    See Also
    --------
    DeepRNNClassifier : The same for labels.
    DeepLSTMRegressor : The same with LSTM cells only.
    LSTMFeatureSelector : Chooses columns with temporal structure.
    WeightedEnsembleRegressor : Weighted mean with other models.
    sklstm.streaming.Stream : Rows that arrive one at a time, from the method `stream`.

    Notes
    -----
    **Losses.** For a target y and a prediction p the loss is half the squared error, whose best prediction is the mean;
    the absolute error (the median); the Huber loss, squared up to `huber_delta` and linear beyond; ``log(cosh(p - y))``
    in standard deviations of the target, nearly half the square of small errors and the size less log 2 of large ones;
    ``max(quantile (y - p), (quantile - 1) (y - p))``, whose best prediction is the quantile; for counts and other
    targets >= 0 ``exp(z) - y z`` of the network's output z, with the mean ``exp(z)`` as prediction. It is averaged over
    outputs. The score of the
    validation part is an R^2, with ``loss="poisson"`` of deviances (a D^2), of the targets after `window_norm`.

    **Horizons.** The y of row i holds the values of the rows i + 1, ..., i + horizon, as (n_samples, horizon) or
    (n_samples, horizon, n_targets). Without a decoder the head answers for all of them at once. A decoder runs the same
    layers again over the rows ahead, from their states after row i. A turn stands for `patch_length` rows. It reads
    their `known_columns` (zeros in place of the others, and of rows beyond the horizon), and a vector of its own is
    added to the bias of the first layer (``bias_decoder_l0``). One head for all turns makes the values of a turn's rows
    of its last h. Each turn starts from the states of the one before ("recurrent"), or all from those after row i
    ("parallel", the decoding of [Lin2023]_). `linear_skip` adds to all values, with a bias of its own (``bias_skip``).

    **Rows ahead.** What is known of them is read from X itself, inside the group, and behind the last row from
    `future`. Nothing else of a later row is read. With `early_stopping`, no row's value is a target of both parts. A
    decoder goes on from the states of the last row: it is refused with `bidirectional`, `attention_heads`, another
    `pooling` than "last", a `layer_norm` inside the cell, ``training="stateful"`` and ``targets="sequence"``. Masks of
    dropout are drawn for its turns as for further layers; turns side by side share them. In `partial_fit`, what a
    target is measured by stays that of the first call in which the target varies.

    **Several quantiles.** Each target has an output for each quantile, those of the first target before those of the
    second; `predict` answers with the median, `predict_quantiles` with all of them. They never cross: the outputs of a
    target are sorted (rearrangement [Chernozhukov2010]_).

    **Conformal bands.** With `conformal`, a band from quantile a to 1 - a grows on both sides by the quantile ``(1 -
    2a) (n + 1) / n`` of how far the n targets of the validation part lie outside (below 0 inside), with their weights,
    for each output by itself and in the unit of the network, after `window_norm` [Romano2019]_. The median stays, and
    inner bands never leave outer ones. The share is guaranteed for rows exchangeable with those of the validation part;
    where a series drifts it is as good as that part resembles the future, and `calibrate` corrects the bands anew by
    later rows. `partial_fit` has no such part and raises.

    **Future of a column.** With `window_norm`, y holds future levels of `target_column` (or means of them), not
    changes, in the unit of X as passed to this estimator: a scaler for X alone, in a pipeline, would break that. The
    loss is measured on normalised targets, and predictions are mapped back by the same moments. A UserWarning is given
    if the deviation of y is more than 1.5 times, or less than a third of, the column's.

    **Groups with units of their own.** With `group_scaling`, ``(number - group_means_) / group_scales_`` of its group
    takes the place of each number in y and in the `target_column`, before all else; what comes then is the same for all
    groups, and predictions come back in the unit of y. Where `target_column` is None, the units are those of y, and X
    stays as it is. So the absolute error of y is the MASE of each group, times one factor for all (not with
    ``window_norm="standard"``, where windows have units of their own). The table is copied once, if it has a
    `target_column`. `predict` needs the groups. It knows those of the fit; a new one needs its rows before X, two or
    more, as `context`: all of them, and no row of X, make its unit. It also needs a `target_column`. `partial_fit` adds
    new groups and keeps the units of known ones, whatever comes. A group whose rows are all alike has no unit (a
    UserWarning says so, unless y is constant there too): its prediction is the mean of its training rows, with
    `window_norm` that of its window or the last row, until `partial_fit` sees it vary.

    **Partial fits.** Where the deviation of the targets of all calls of `partial_fit` outgrows `target_scale_`, the
    head is rescaled so that the answers stay (proposition 1 of [vanHasselt2016]_).

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(400, 3))
    >>> y = np.convolve(X[:, 0], [0.5, 0.3, 0.2])[:400]  # what happened in the last three rows
    >>> model = DeepRNNRegressor(hidden_size=16, sequence_length=8, random_state=0)
    >>> model.fit(X[:300], y[:300]).predict(X[300:], context=X[:300]).shape
    (100,)
    >>> bool(model.score(X[300:], y[300:], context=X[:300]) > 0.9)
    True
    """

    _: KW_ONLY
    decoder: Literal["direct", "recurrent", "parallel"] = "direct"
    loss: Literal["squared_error", "absolute_error", "huber", "log_cosh", "quantile", "poisson"] = "squared_error"
    quantile: float | Sequence[float] = 0.5
    conformal: bool = False
    huber_delta: float = 1.0
    target_column: int | str | Sequence[int] | Sequence[str] | None = None
    group_scaling: Literal["mean_absolute_difference", "standard"] | None = None
    group_weight: Literal["equal"] | None = None

    # Fitted, no parameters.
    target_mean_: Any = field(init=False)
    target_scale_: Any = field(init=False)
    conformal_correction_: NDArray[np.float64] = field(init=False)
    group_labels_: Array = field(init=False)
    group_means_: NDArray[np.float64] = field(init=False)
    group_scales_: NDArray[np.float64] = field(init=False)

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseRNN._parameter_constraints,
        "decoder": [StrOptions({"direct", "recurrent", "parallel"})],
        "loss": [StrOptions(set(LOSS_NAMES))],
        "quantile": [Interval(Real, 0, 1, closed="neither"), "array-like"],
        "conformal": ["boolean"],
        "huber_delta": [Interval(Real, 0, None, closed="neither")],
        "target_column": [Interval(Integral, 0, None, closed="left"), str, "array-like", None],
        "group_scaling": [StrOptions({"mean_absolute_difference", "standard"}), None],
        "group_weight": [StrOptions({"equal"}), None],
    }

    def _targets(self) -> NumberTargets:
        return NumberTargets(self)

    def predict(
        self,
        X: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        context: ArrayLike | None = None,
        context_groups: ArrayLike | None = None,
        future: ArrayLike | None = None,
        future_groups: ArrayLike | None = None,
    ) -> NDArray[np.float64]:
        """Predict one value (or one row of outputs) per row of a table, or per sequence.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            As in `fit`. For a dask array or frame the answer is a dask array, lazy and with the same partitions.
        groups : array-like of shape (n_samples,), default=None
            One label per row of a table.
        context : array-like of shape (n_rows, n_features), default=None
            The rows that came right before a table X, so that its first windows are full. The result equals, bit for
            bit, the prediction of the joined table without its first rows.
        context_groups : array-like of shape (n_rows,), default=None
            With groups, the label of each row of `context`: each group of X follows the rows of its label.
        future : array-like of shape (n_rows, n_features), default=None
            The rows that come right after X, of which a `decoder` reads the `known_columns`; after each sequence of a
            set, an array of 3 axes or a list.
        future_groups : array-like of shape (n_rows,), default=None
            With groups, the label of each row of `future`.

        Returns
        -------
        ndarray of the shape of y
            In its unit, float64; of several quantiles the median. With ``targets="sequence"`` one such array for the
            steps of each sequence: a list, or an array with the axes of X where that is 3-D.
        """
        future = Future(future, future_groups)
        return snapshot_of(self)._answer("predict", X, groups, context, context_groups, future)

    @available_if(has_quantiles)
    def predict_quantiles(
        self,
        X: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        context: ArrayLike | None = None,
        context_groups: ArrayLike | None = None,
        future: ArrayLike | None = None,
        future_groups: ArrayLike | None = None,
    ) -> NDArray[np.float64]:
        """Predict all quantiles that were asked for, with ``loss="quantile"``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            As in `fit`. For a dask array or frame the answer is a dask array, lazy and with the same partitions.
        groups : array-like of shape (n_samples,), default=None
            One label per row of a table.
        context : array-like of shape (n_rows, n_features), default=None
            The rows that came right before a table X.
        context_groups : array-like of shape (n_rows,), default=None
            With groups, the label of each row of `context`: each group of X follows the rows of its label.
        future : array-like of shape (n_rows, n_features), default=None
            The rows that come right after X, of which a `decoder` reads the `known_columns`; after each sequence of a
            set, an array of 3 axes or a list.
        future_groups : array-like of shape (n_rows,), default=None
            With groups, the label of each row of `future`.

        Returns
        -------
        ndarray of the shape of y, with an axis of n_quantiles behind it
            In the order of `quantile`, never decreasing along the last axis; with ``targets="sequence"`` for each step
            of each sequence, as `predict`.
        """
        future = Future(future, future_groups)
        return snapshot_of(self)._answer("predict_quantiles", X, groups, context, context_groups, future)

    def score(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        context: ArrayLike | None = None,
        context_groups: ArrayLike | None = None,
        future: ArrayLike | None = None,
        future_groups: ArrayLike | None = None,
    ) -> float:
        """Return the coefficient of determination R^2 of the prediction.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            As in `fit`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), or list of arrays
            True values, as in `fit`; of a horizon (n_samples, horizon, n_targets), too.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Weights of the samples, or of each of their outputs. As in `fit`, what has weight 0 is excluded.
        groups : array-like of shape (n_samples,), default=None
            One label per row of a table.
        context : array-like of shape (n_rows, n_features), default=None
            The rows that came right before X.
        context_groups : array-like of shape (n_rows,), default=None
            With groups, the label of each row of `context`: each group of X follows the rows of its label.
        future : array-like of shape (n_rows, n_features), default=None
            The rows that come right after X, of which a `decoder` reads the `known_columns`; after each sequence of a
            set, an array of 3 axes or a list.
        future_groups : array-like of shape (n_rows,), default=None
            With groups, the label of each row of `future`.

        Returns
        -------
        float
            R^2, averaged over outputs; with ``targets="sequence"`` that of all steps that have a target.
        """
        from sklearn.metrics import r2_score

        ahead = {"future": future, "future_groups": future_groups}
        predicted = self.predict(X, groups=groups, context=context, context_groups=context_groups, **ahead)
        if self.targets == "sequence":
            return score_of_steps(r2_score, self._targets(), y, predicted, sample_weight, of_outputs=True)
        look_at_score(X, y, sample_weight, groups)
        return weighted_score(r2_score, y, predicted, sample_weight, of_outputs=True)

    def __sklearn_tags__(self) -> Any:
        """Say that several outputs are welcome."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


@dataclass(eq=False, repr=False)
class DeepLSTMRegressor(DeepRNNRegressor):
    """Regression on time-ordered tables and on sequences with stacked LSTM layers.

    This is `DeepRNNRegressor` for LSTM cells: it refuses others.

    Parameters
    ----------
    cell : "lstm" or object of `sklstm.cells.LSTM`, default="lstm"
        LSTM cell of each layer, as an object with options of its own, such as ``LSTM(peephole=True)``.

    See Also
    --------
    DeepLSTMClassifier : The same for labels.
    DeepRNNRegressor : The same with any recurrent cell.
    LSTMFeatureSelector : Chooses columns with temporal structure.
    WeightedEnsembleRegressor : Weighted mean with other models.
    sklstm.streaming.Stream : Rows that arrive one at a time, from the method `stream`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepLSTMRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(400, 3))
    >>> y = np.convolve(X[:, 0], [0.5, 0.3, 0.2])[:400]  # what happened in the last three rows
    >>> model = DeepLSTMRegressor(hidden_size=16, sequence_length=8, random_state=0)
    >>> model.fit(X[:300], y[:300]).predict(X[300:], context=X[:300]).shape
    (100,)
    >>> bool(model.score(X[300:], y[300:], context=X[:300]) > 0.9)
    True
    """

    _: KW_ONLY
    cell: Literal["lstm"] | LSTM = "lstm"

    def _check_cell(self) -> LSTM:
        return refuse_other_cells(self, LSTM, "DeepRNNRegressor")
