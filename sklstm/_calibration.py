"""The method `calibrate` of the regressors."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklstm._answers import in_sequences
from sklstm._snapshot import replace_fitted, snapshot_of
from sklstm._time_order import look_at_score
from sklstm._training.sample_weights import in_unit_range
from sklstm._typing import available_if
from sklstm._validation import Future, check_lengths_agree, check_steps, check_weights


def has_quantiles(model: Any) -> bool:
    """Tell whether a model predicts quantiles, as `available_if` asks it; the error says what is missing."""
    loss = model._coding["loss"] if hasattr(model, "_coding") else model.loss
    if loss != "quantile":
        raise AttributeError(
            f"predict_quantiles needs loss='quantile' and the parameter quantile; found loss={loss!r}."
        )
    return True


class CalibrationMixin:
    """The method `calibrate` of an estimator with `_forward` and `_targets`."""

    @available_if(has_quantiles)
    def calibrate(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        context: ArrayLike | None = None,
        context_groups: ArrayLike | None = None,
        future: ArrayLike | None = None,
        future_groups: ArrayLike | None = None,
    ) -> Self:
        """Correct the bands between the quantiles anew, by rows that were not trained on; the network stays.

        What ``conformal=True`` does in `fit` with the validation part. Where a series drifts, call it with the last
        rows whose targets have become known.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            As in `fit`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets, as in `fit`.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Weights of the samples, such as larger ones for recent rows [1]_; samples of weight 0 are excluded.
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
        self : object
            The estimator, with another `conformal_correction_`.

        Raises
        ------
        ValueError
            If there is no band about the median, or too few samples for its level.

        References
        ----------
        .. [1] R. F. Barber, E. J. Candès, A. Ramdas and R. J. Tibshirani, "Conformal prediction beyond
           exchangeability", The Annals of Statistics 51(2), 2023.
        """
        check_is_fitted(self)
        model: Any = snapshot_of(self)
        targets = model._targets()
        z = model._forward(X, groups, context, context_groups, Future(future, future_groups))
        if model.targets == "sequence":
            lengths = np.array([len(one) for one in in_sequences(z, X)])
            y, weights = check_steps(y, sample_weight, lengths, "y", targets.check_sequence)
        else:
            look_at_score(X, y, sample_weight, groups)
            check_lengths_agree(len(z), y)
            weights = check_weights(sample_weight, len(z))
        weights, _ = in_unit_range(weights)
        targets.calibrate_anew(z, targets.check(y, "y", weights > 0), weights)
        replace_fitted(self, {**model.__dict__, **targets.fitted()})
        return self
