"""Regression with stacked LSTM layers."""

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import r2_score
from sklearn.utils import check_array

from sklstm._base import BaseLSTM


class DeepLSTMRegressor(RegressorMixin, BaseLSTM):
    """DOCSTRING"""

    def __init__(
        self,
        hidden_size=64,
        n_layers=1,
        *,
        sequence_length=32,
        dropout=0.0,
        learning_rate_init=1e-3,
        weight_decay=0.01,
        max_grad_norm=1.0,
        batch_size="auto",
        max_iter=100,
        shuffle=True,
        early_stopping="auto",
        validation_fraction=0.1,
        n_iter_no_change=10,
        tol=1e-4,
        warm_start=False,
        carry_context=False,
        dtype="float32",
        n_jobs=None,
        random_state=None,
        verbose=False,
    ):
        super().__init__(
            hidden_size=hidden_size,
            n_layers=n_layers,
            sequence_length=sequence_length,
            dropout=dropout,
            learning_rate_init=learning_rate_init,
            weight_decay=weight_decay,
            max_grad_norm=max_grad_norm,
            batch_size=batch_size,
            max_iter=max_iter,
            shuffle=shuffle,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            tol=tol,
            warm_start=warm_start,
            carry_context=carry_context,
            dtype=dtype,
            n_jobs=n_jobs,
            random_state=random_state,
            verbose=verbose,
        )

    def _check_y(self, y):
        try:
            y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        except ValueError as error:
            if "could not convert" not in str(error):
                raise
            raise ValueError(
                f"y must hold numbers, but {error}. For labels use DeepLSTMClassifier."
            ) from error
        if y.ndim > 2:
            raise ValueError(f"y has {y.ndim} dimensions, expected 1 or 2 (n_samples, n_outputs).")
        return y

    def _learn_targets(self, y, weights, *, continued):
        y = self._check_y(y)
        shape = y.shape[1:]
        if continued:
            if shape != np.shape(self.target_mean_):
                raise ValueError(
                    f"y has {shape[0] if shape else 1} outputs, but training goes on from a model with "
                    f"{np.size(self.target_mean_)}."
                )
            return
        self.target_mean_ = np.average(y, axis=0, weights=weights)
        scale = np.sqrt(np.average((y - self.target_mean_) ** 2, axis=0, weights=weights))
        # A constant target has nothing to divide by; rounding leaves a spread of a few ULP of the mean.
        constant = scale <= 10 * np.finfo(np.float64).eps * np.abs(self.target_mean_)
        self.target_scale_ = np.where(constant, 1.0, scale)[()]

    def _encode_targets(self, y, weights):
        y = self._check_y(y)
        return ((y - self.target_mean_) / self.target_scale_).reshape(len(y), -1), weights

    def _loss(self):
        return "squared", np.size(self.target_mean_)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, *, sample_weight=None, groups=None):
        """Go on training for one epoch over these data.

        The first call decides the network's shapes and the scale of the target; later calls keep both.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            As in `fit`. Windows begin at the first row of this X: hand over blocks that are long against
            `sequence_length`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the loss.
        groups : array-like of shape (n_samples,), default=None
            One label per row of a table.

        Returns
        -------
        self : object
            The estimator.
        """
        return self._partial_fit(X, y, sample_weight, groups)

    def predict(self, X, *, groups=None, context=None):
        """Predict one value (or one row of outputs) per row of a table, or per sequence.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            As in `fit`.
        groups : array-like of shape (n_samples,), default=None
            One label per row of a table.
        context : array-like of shape (n_rows, n_features), default=None
            The rows that came right before a table X, so that its first windows are full. The result equals, bit for
            bit, the prediction of the joined table without its first rows.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In the unit of y, float64.
        """
        z = self._forward(X, groups, context).astype(np.float64)
        return self.target_mean_ + self.target_scale_ * (z if np.ndim(self.target_mean_) else z[:, 0])

    def score(self, X, y, sample_weight=None, *, groups=None, context=None):
        """Return the coefficient of determination R^2 of the prediction.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            As in `fit`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True values.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        groups : array-like of shape (n_samples,), default=None
            One label per row of a table.
        context : array-like of shape (n_rows, n_features), default=None
            The rows that came right before X.

        Returns
        -------
        float
            R^2, averaged over outputs.
        """
        return r2_score(y, self.predict(X, groups=groups, context=context), sample_weight=sample_weight)

    def __sklearn_tags__(self):
        """Say that several outputs are welcome."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
