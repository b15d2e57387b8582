"""Classification with stacked LSTM layers."""

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.metrics import accuracy_score
from sklearn.utils import column_or_1d, compute_sample_weight
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.multiclass import check_classification_targets

from sklstm._base import BaseLSTM
from sklstm._training.losses import LOSSES


class DeepLSTMClassifier(ClassifierMixin, BaseLSTM):
    """DOCSTRING"""

    _parameter_constraints = {
        **BaseLSTM._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }

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
        class_weight=None,
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
        self.class_weight = class_weight

    def _learn_targets(self, y, weights, *, continued):
        y = self._check_y(y)
        if continued or hasattr(self, "classes_"):
            unknown = np.setdiff1d(y, self.classes_)
            if len(unknown):
                raise ValueError(
                    f"y holds {unknown[0]!r}, which is not among the classes that training goes on with: "
                    f"{self.classes_.tolist()}."
                )
            return
        self.classes_ = np.unique(y)
        present = np.unique(y[weights > 0])
        if len(present) < 2:
            raise ValueError(
                f"{type(self).__name__} needs samples of at least 2 classes; y holds only one class with a positive "
                f"weight: {present[0]!r}."
            )

    @staticmethod
    def _check_y(y):
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        return y

    def _encode_targets(self, y, weights):
        y = self._check_y(y)
        codes = np.searchsorted(self.classes_, y)
        wrong = self.classes_[np.minimum(codes, len(self.classes_) - 1)] != y
        if wrong.any():
            raise ValueError(f"y_val holds {y[wrong][0]!r}, which is not among the classes of y.")
        if self.class_weight is not None:
            weights = weights * compute_sample_weight(self.class_weight, y)
        return codes[:, np.newaxis], weights

    def _loss(self):
        n_classes = len(self.classes_)
        return ("binary_log", 1) if n_classes == 2 else ("multinomial_log", n_classes)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, *, classes=None, sample_weight=None, groups=None):
        """Go on training for one epoch over these data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            As in `fit`. Windows begin at the first row of this X: hand over blocks that are long against
            `sequence_length`.
        y : array-like of shape (n_samples,)
            Labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come. Needed in the first call if its y does not hold them all.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the loss.
        groups : array-like of shape (n_samples,), default=None
            One label per row of a table.

        Returns
        -------
        self : object
            The estimator.
        """
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' is not supported by partial_fit, which sees only a part of y. Compute the weights "
                "over all of y with sklearn.utils.compute_class_weight and hand them over as a dict."
            )
        if classes is None:
            return self._partial_fit(X, y, sample_weight, groups)
        classes = np.unique(classes)
        if hasattr(self, "classes_"):
            if not np.array_equal(classes, self.classes_):
                raise ValueError(
                    f"classes={classes.tolist()} differs from the earlier calls' {self.classes_.tolist()}."
                )
            return self._partial_fit(X, y, sample_weight, groups)
        if len(classes) < 2:
            raise ValueError(f"classes needs at least 2 labels, found {classes.tolist()}.")
        return self._partial_fit(X, y, sample_weight, groups, classes_=classes)

    def _raw(self, X, groups, context):
        return self._forward(X, groups, context).astype(np.float64)

    def predict_proba(self, X, *, groups=None, context=None):
        """Predict class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            As in `fit`.
        groups : array-like of shape (n_samples,), default=None
            One label per row of a table.
        context : array-like of shape (n_rows, n_features), default=None
            The rows that came right before a table X, so that its first windows are full.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`, float64.
        """
        z = self._raw(X, groups, context)
        return LOSSES[self._loss()[0]].link(z)

    def predict_log_proba(self, X, *, groups=None, context=None):
        """Predict the logarithms of class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            As in `fit`.
        groups : array-like of shape (n_samples,), default=None
            One label per row of a table.
        context : array-like of shape (n_rows, n_features), default=None
            The rows that came right before a table X.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        return np.log(self.predict_proba(X, groups=groups, context=context))

    def predict(self, X, *, groups=None, context=None):
        """Predict the most probable class per row of a table, or per sequence.

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
        ndarray of shape (n_samples,)
            Labels from `classes_`.
        """
        z = self._raw(X, groups, context)
        return self.classes_[z.argmax(axis=1) if z.shape[1] > 1 else (z[:, 0] > 0).astype(np.intp)]

    def score(self, X, y, sample_weight=None, *, groups=None, context=None):
        """Return the accuracy of the prediction.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            As in `fit`.
        y : array-like of shape (n_samples,)
            True labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        groups : array-like of shape (n_samples,), default=None
            One label per row of a table.
        context : array-like of shape (n_rows, n_features), default=None
            The rows that came right before X.

        Returns
        -------
        float
            Share of right labels.
        """
        return accuracy_score(y, self.predict(X, groups=groups, context=context), sample_weight=sample_weight)
