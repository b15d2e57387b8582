"""Classification with stacked recurrent layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from numbers import Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils import assert_all_finite
from sklearn.utils._param_validation import Interval, StrOptions

from sklstm._answers import score_of_steps
from sklstm._base import BaseRNN
from sklstm._cell_choice import refuse_other_cells
from sklstm._fit_inputs import Given
from sklstm._fitting import partial_fit
from sklstm._scores import weighted_score
from sklstm._snapshot import snapshot_of
from sklstm._targets import LabelTargets
from sklstm._time_order import look_at_score
from sklstm._typing import Array, checks_parameters
from sklstm._validation import naming
from sklstm.cells import LSTM


@dataclass(eq=False, repr=False)
class DeepRNNClassifier(ClassifierMixin, BaseRNN):
    """Classification of the rows of time-ordered tables and of sequences with stacked recurrent layers.

    Predicts a class for each row of a table, from a window of rows that ends there, or for each sequence of a set.
    Where y is a matrix of 0 and 1 with a column for each label, a sample may have any number of labels (multilabel).

    Parameters
    ----------
    class_weight : dict, list of dict, "balanced" or None, default=None
        Factor on the loss of each class, of a matrix of labels one dict for each label; "balanced" for factors from the
        weights of the classes in the training part.
    label_smoothing : float, default=0.0
        Share of the target of each sample that is spread evenly over all classes [Szegedy2016]_.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,) or (n_labels, 2)
        The labels, sorted. Of a matrix of labels the classes of each column, 0 and 1.

    See Also
    --------
    DeepRNNRegressor : The same for numbers.
    DeepLSTMClassifier : The same with LSTM cells only.
    LSTMFeatureSelector : Chooses columns with temporal structure.
    WeightedEnsembleClassifier : Weighted mean with other models.
    sklstm.streaming.Stream : Rows that arrive one at a time, from the method `stream`.

    Notes
    -----
    **Losses.** The head has one logit for two classes, one for each class of more, trained on the log loss; one for
    each label of a matrix, trained on the mean of their binary log losses. The score of the validation part is 1 - log
    loss / log loss of the class shares in the training part, with `label_smoothing` both less the loss of a perfect
    network.

    **Class weights.** "balanced" is ``sum(weights) / (n_classes * sum(weights of the class))``, for each label of a
    matrix by itself: for two classes their ratio is the neg/pos weight of a weighted binary cross-entropy. They are
    counted in the training part, also for the validation part. The dict of a label is ``{0: 1.0, 1: 5.0}``.

    **Label smoothing.** With e for `label_smoothing`, the network is trained on ``(1 - e)`` times the label's own class
    (one-hot) plus ``e / K`` for each of the K classes: no class is ever certain. Each label of a matrix counts as K =
    2.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(400, 2))
    >>> y = np.where(X[:, 0] + np.roll(X[:, 0], 1) > 0, "up", "down")  # this row and the row before
    >>> model = DeepRNNClassifier(hidden_size=16, sequence_length=4, random_state=0).fit(X[:300], y[:300])
    >>> model.predict_proba(X[300:], context=X[:300]).shape
    (100, 2)
    >>> bool(model.score(X[300:], y[300:], context=X[:300]) > 0.8)
    True
    """

    _: KW_ONLY
    class_weight: Mapping[Any, float] | Sequence[Mapping[Any, float]] | Literal["balanced"] | None = None
    label_smoothing: float = 0.0

    # Fitted, no parameter.
    classes_: Array = field(init=False)

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseRNN._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    }

    def _targets(self) -> LabelTargets:
        return LabelTargets(self)

    @checks_parameters(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Go on training for one epoch over these data.

        Later calls go on with what solver, ``max_grad_norm="adaptive"`` and ``learning_rate="reduce_on_plateau"`` know
        of the steps so far, and weights, of samples and of classes, count against the mean weight of all samples so
        far. n calls with the same data are n epochs of a `fit` without early stopping, bit for bit.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            As in `fit`. Windows begin at the first row of this X: hand over blocks that are long against
            `sequence_length`. So do the states with ``training="stateful"``: they are zero before each block.
        y : array-like of shape (n_samples,) or (n_samples, n_labels), or list of arrays
            Labels, as in `fit`.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come. Needed in the first call if its y does not hold them all. Of a matrix of
            labels the numbers of its columns.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_labels), default=None
            Weights of the samples in the loss, or of each of their labels; None for equal weights. Samples of weight 0
            are excluded; their targets may be NaN.
        groups : array-like of shape (n_samples,), default=None
            One label per row of a table.

        Returns
        -------
        self : object
            The estimator.
        """
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' is not supported by partial_fit, which sees only a part of y. Compute the "
                "weights over all of y with sklearn.utils.compute_class_weight and hand them over as a dict."
            )
        if classes is None:
            return partial_fit(self, Given(X, y, sample_weight, groups))
        if np.ndim(classes) != 1:
            raise ValueError(f"classes must be 1-D, the labels that will ever come; its shape is {np.shape(classes)}.")
        with naming("classes"):
            assert_all_finite(np.asarray(classes), input_name="classes")
            classes = np.unique(classes)
        if hasattr(self, "classes_"):
            known = self.classes_ if self.classes_.ndim == 1 else np.arange(len(self.classes_))
            if not np.array_equal(classes, known):
                raise ValueError(f"classes={classes.tolist()} differs from the earlier calls' {known.tolist()}.")
            return partial_fit(self, Given(X, y, sample_weight, groups))
        if len(classes) < 2:
            raise ValueError(f"classes needs at least 2 labels, found {classes.tolist()}.")
        return partial_fit(self, Given(X, y, sample_weight, groups), classes_=classes)

    def predict_proba(
        self,
        X: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        context: ArrayLike | None = None,
        context_groups: ArrayLike | None = None,
    ) -> NDArray[np.float64]:
        """Predict class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            As in `fit`. For a dask array or frame the answer is a dask array, lazy and with the same partitions.
        groups : array-like of shape (n_samples,), default=None
            One label per row of a table.
        context : array-like of shape (n_rows, n_features), default=None
            The rows that came right before a table X, so that its first windows are full.
        context_groups : array-like of shape (n_rows,), default=None
            With groups, the label of each row of `context`: each group of X follows the rows of its label.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`, float64. Where y is a matrix of labels, the probability of each. With
            ``targets="sequence"`` one such array for the steps of each sequence: a list, or an array with the axes of X
            where that is 3-D.
        """
        return snapshot_of(self)._answer("predict_proba", X, groups, context, context_groups)

    def predict_log_proba(
        self,
        X: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        context: ArrayLike | None = None,
        context_groups: ArrayLike | None = None,
    ) -> NDArray[np.float64]:
        """Predict the logarithms of class probabilities.

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

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`; with ``targets="sequence"`` of each step, as `predict_proba`.
        """
        return snapshot_of(self)._answer("predict_log_proba", X, groups, context, context_groups)

    def predict(
        self,
        X: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        context: ArrayLike | None = None,
        context_groups: ArrayLike | None = None,
    ) -> Array:
        """Predict the most probable class per row of a table, or per sequence.

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

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            Labels from `classes_`, or the matrix that holds 1 where a label is more probable than not. With
            ``targets="sequence"`` one such array for the steps of each sequence: a list, or an array with the axes of X
            where that is 3-D.
        """
        return snapshot_of(self)._answer("predict", X, groups, context, context_groups)

    def score(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        context: ArrayLike | None = None,
        context_groups: ArrayLike | None = None,
    ) -> float:
        """Return the accuracy of the prediction.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            As in `fit`.
        y : array-like of shape (n_samples,) or (n_samples, n_labels), or list of arrays
            True labels, as in `fit`.
        sample_weight : array-like of shape (n_samples,), or list of arrays, default=None
            Weights of the samples. As in `fit`, what has weight 0 is excluded.
        groups : array-like of shape (n_samples,), default=None
            One label per row of a table.
        context : array-like of shape (n_rows, n_features), default=None
            The rows that came right before X.
        context_groups : array-like of shape (n_rows,), default=None
            With groups, the label of each row of `context`: each group of X follows the rows of its label.

        Returns
        -------
        float
            Share of right labels; of samples with all labels right, where y is a matrix of labels. With
            ``targets="sequence"`` of all steps that have a label; of a matrix, labels that are missing count as right.
        """
        from sklearn.metrics import accuracy_score

        predicted = self.predict(X, groups=groups, context=context, context_groups=context_groups)
        if self.targets == "sequence":
            return score_of_steps(accuracy_score, self._targets(), y, predicted, sample_weight)
        look_at_score(X, y, sample_weight, groups)
        return weighted_score(accuracy_score, y, predicted, sample_weight)

    def __sklearn_tags__(self) -> Any:
        """Say that a sample may have several labels."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


@dataclass(eq=False, repr=False)
class DeepLSTMClassifier(DeepRNNClassifier):
    """Classification on time-ordered tables and on sequences with stacked LSTM layers.

    This is `DeepRNNClassifier` for LSTM cells: it refuses others.

    Parameters
    ----------
    cell : "lstm" or object of `sklstm.cells.LSTM`, default="lstm"
        LSTM cell of each layer, as an object with options of its own, such as ``LSTM(peephole=True)``.

    See Also
    --------
    DeepLSTMRegressor : The same for numbers.
    DeepRNNClassifier : The same with any recurrent cell.
    LSTMFeatureSelector : Chooses columns with temporal structure.
    WeightedEnsembleClassifier : Weighted mean with other models.
    sklstm.streaming.Stream : Rows that arrive one at a time, from the method `stream`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepLSTMClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(400, 2))
    >>> y = np.where(X[:, 0] + np.roll(X[:, 0], 1) > 0, "up", "down")  # this row and the row before
    >>> model = DeepLSTMClassifier(hidden_size=16, sequence_length=4, random_state=0).fit(X[:300], y[:300])
    >>> model.predict_proba(X[300:], context=X[:300]).shape
    (100, 2)
    >>> bool(model.score(X[300:], y[300:], context=X[:300]) > 0.8)
    True
    """

    _: KW_ONLY
    cell: Literal["lstm"] | LSTM = "lstm"

    def _check_cell(self) -> LSTM:
        return refuse_other_cells(self, LSTM, "DeepRNNClassifier")
