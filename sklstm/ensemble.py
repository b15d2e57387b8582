"""Weighted ensembles: several regressors or classifiers, one prediction per row."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, RegressorMixin, is_classifier, is_regressor
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils._param_validation import StrOptions

from sklstm._docstrings import complete_docstring
from sklstm._ensemble.base import BaseWeightedEnsemble
from sklstm._ensemble.calibration import calibrated, normalised
from sklstm._ensemble.inputs import read_known_labels, read_labels, read_regression_target
from sklstm._ensemble.losses import CallableLoss, ErrorLoss, LogLoss
from sklstm._ensemble.members import align_classes, align_outputs
from sklstm._ensemble.parameters import ClassifierParameters, EnsembleParameters
from sklstm._ensemble.quantiles import QuantilesMixin
from sklstm._typing import Array


class WeightedEnsembleRegressor(QuantilesMixin, RegressorMixin, BaseWeightedEnsemble):
    """Weighted mean of the predictions of several regressors.

    Any regressors can be members, gradient boosted trees beside recurrent networks: each is fitted
    with what it accepts (`groups`, `sample_weight`), gets `X` unchanged, and must predict each row.
    The weights are given, equal, found on predictions of later rows (or other sequences of a set)
    by models that were fitted on earlier rows only, or follow recent losses while truth arrives.

    Parameters
    ----------
    weights_loss : {"auto", "squared_error", "absolute_error"} or callable, default="auto"
        Loss that weights are learned with; "auto": "squared_error"; a callable is called as ``weights_loss(y_true,
        y_pred, sample_weight=sample_weight)`` with targets and predictions of shape (n_samples,) or (n_samples,
        n_outputs) and returns a number, smaller for better, as metrics of scikit-learn do.

    Attributes
    ----------
    n_outputs_ : int
        Number of outputs of a row, ``horizon * n_targets`` for targets of both axes.
    oof_predictions_ : ndarray of shape (n_rows, n_members, ...)
        Only with "auto" and "inverse_loss": what each member predicted for the rows `oof_indices_` when it had been
        fitted on the training rows of their fold; with the axes of `y` behind those of rows and members.

    See Also
    --------
    WeightedEnsembleClassifier : The same for classifiers, on probabilities.
    sklstm.inspection.WeightHistoryDisplay : How dynamic weights moved.
    sklearn.ensemble.VotingRegressor : Weighted mean without the search and without `groups`.
    sklearn.ensemble.StackingRegressor : A model on top of the members; its folds are not in time.

    Notes
    -----
    With ``weights="auto"`` the weights `w` solve, over all test rows `i` with sample weights `s`
    and predictions `p` of the members `m`, and over all outputs,

    .. math:: \\min_w \\sum_i s_i (y_i - \\sum_m w_m p_{im})^2, \\; w_m \\ge 0, \\; \\sum_m w_m = 1,

    a convex problem that non-negative least squares solves exactly [Lawson1995]_; such a constrained
    combination is the stacked regression of [Breiman1996]_. With "absolute_error" it is a sequence of such
    problems, with a callable a search that is exact where the loss is convex and smooth. Outputs in
    different units should be scaled first: those with the largest numbers decide.

    **Shrinkage.** Learned weights fit the errors of the folds, too, and with few rows or similar
    members they often lose to equal ones, the forecast combination puzzle [Diebold2019]_ [Stock2004]_. So they are
    shrunk towards equal weights, as in [Diebold2019]_, the more the less they gain: the test rows are cut into
    about ten blocks of time, weights learned without a block are judged on it, and the loss along the
    line from equal to learned weights has its minimum at the share `t` of the way. With the variance
    `v` of `t` from leaving out single blocks, the weights are taken at the share
    ``t * max(0, 1 - 2 * v / t ** 2)``, as James and Stein would shrink `t` [James1961]_, twice as cautiously:
    what `v` measures over the blocks, the time after them may exceed. Members that are clearly
    different keep their weights.

    "inverse_loss" is the combination of [Bates1969]_ without correlations: it cannot tell members that make
    the same errors from those that make different ones, but it has hardly anything to learn. With
    "absolute_error" the weights are proportional to 1 / mean absolute error.

    Where the folds of a set do not follow each other in time, the ten blocks of the shrinkage take the sequences of
    each fold in turn.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.tree import DecisionTreeRegressor
    >>> from sklstm import WeightedEnsembleRegressor
    >>> X = np.linspace(0, 1, 60).reshape(-1, 1)
    >>> y = 3 * X[:, 0] + 1
    >>> members = [("tree", DecisionTreeRegressor(max_depth=3)), ("ridge", Ridge(alpha=0.1))]
    >>> ensemble = WeightedEnsembleRegressor(members, weights=(0.3, 0.7)).fit(X, y)
    >>> ensemble.predict(X[-2:]).shape
    (2,)

    Trees do not extrapolate, and forward folds show it:

    >>> ensemble.set_params(weights="auto").fit(X, y).weights_.round(1)
    array([0., 1.])

    Dynamic weights go on with every row whose truth is known:

    >>> ensemble.set_params(weights="dynamic", half_life=20).fit(X[:50], y[:50]).weights_.round(1)
    array([0.2, 0.8])
    >>> ensemble.update(X[50:], y[50:]).weight_history_.shape
    (2, 2)
    """

    n_outputs_: int

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseWeightedEnsemble._parameter_constraints,
        "weights_loss": [StrOptions({"auto", "squared_error", "absolute_error"}), callable],
    }

    _response_method = "predict"
    _kind = "regressor"
    _is_right_kind = staticmethod(is_regressor)
    _metric = staticmethod(r2_score)
    score = BaseWeightedEnsemble.score  # before that of the mixin, which knows no groups

    @staticmethod
    def _read_target(y, n_samples, present):
        y = read_regression_target(y, n_samples, present)
        n_outputs = int(np.prod(y.shape[1:]))
        return {"n_outputs_": n_outputs, "_target_axes": y.shape[1:]}, y, n_outputs

    @staticmethod
    def _member_target(y):
        return y, y.shape[1:]

    @staticmethod
    def _align(name, member, answer, axes, n_columns):
        return align_outputs(name, member, answer, axes)

    @staticmethod
    def _loss(name, predictions, y, sample_weight, fitted):
        everything = slice(None)
        if callable(name):
            y = y.reshape(len(y), -1) if y.ndim == 3 else y
            return CallableLoss(name, y, predictions, sample_weight), everything
        errors = y.reshape(len(y), 1, -1) - predictions
        return ErrorLoss(errors, sample_weight, power=1 if name == "absolute_error" else 2), everything

    def _loss_of_rows(self):
        return "absolute_error" if self.weights_loss == "absolute_error" else "squared_error"

    @staticmethod
    def _as_columns(y):
        return y.reshape(len(y), -1)

    def _read_truth(self, y, n_rows, present):
        y = read_regression_target(y, n_rows, present)
        if y.shape[1:] != self._target_axes:
            raise ValueError(f"y has shape {y.shape}, expected {(n_rows, *self._target_axes)}, as in fit.")
        return y

    def _decide(self, mixed):
        return mixed.reshape(len(mixed), *self._target_axes)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        members = self._member_tags()
        tags.target_tags.multi_output = all(tag.target_tags.multi_output for tag in members)
        return tags


class WeightedEnsembleClassifier(ClassifierMixin, ClassifierParameters, BaseWeightedEnsemble):
    """Weighted mean of the class probabilities of several classifiers.

    Any classifiers with ``predict_proba`` can be members, gradient boosted trees beside recurrent
    networks. Labels of any kind are numbered 0, 1, ... for the members, so that those which need
    such numbers work, and given back as they were.

    Parameters
    ----------
    estimators : list of (str, estimator)
        Names and classifiers, of which ``fit`` fits clones, with numbered labels: the keys of a `class_weight` dict are
        positions in `classes_`; ``"drop"`` in place of one leaves it out.
    weights_loss : {"auto", "log_loss", "squared_error"} or callable, default="auto"
        Loss that weights are learned with; "auto": "log_loss"; a callable is called as ``weights_loss(y_true, y_pred,
        sample_weight=sample_weight)`` with the labels and the mixed probabilities of all classes and returns a number,
        smaller for better, as metrics of scikit-learn do.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    estimators_ : list of estimator
        The fitted members that are not dropped or left out; their own ``classes_`` are positions in `classes_`.
    oof_predictions_ : ndarray of shape (n_rows, n_members, n_classes)
        Only with "auto" and "inverse_loss": the probabilities that each member gave for the rows `oof_indices_` when it
        had been fitted on the training rows of their fold.
    calibration_ : dict of ndarray
        Only with calibration: slope and intercept, or the corners of the function, for each class by its position in
        `classes_` as a text; of two classes for the second alone.

    See Also
    --------
    WeightedEnsembleRegressor : The same for regressors; its Notes on "auto" hold here.
    sklstm.inspection.WeightHistoryDisplay : How dynamic weights moved.
    sklearn.ensemble.VotingClassifier : Soft voting without the search and without `groups`.
    sklearn.calibration.CalibratedClassifierCV : Calibration by folds that are not in time.

    Notes
    -----
    With ``weights="auto"`` the weights solve, over all test rows `i` with weights `s` and with the
    probability :math:`p_{im}` that member `m` gives to the true class of the row,

    .. math:: \\min_w -\\sum_i s_i \\log \\sum_m w_m p_{im}, \\; w_m \\ge 0, \\; \\sum_m w_m = 1,

    a convex problem: the weights of the components of a mixture of known densities [Kim2020]_. It is
    solved by Newton steps on the simplex. With "squared_error" it is the Brier score, summed over the
    classes and divided by their number. Shrinkage and "inverse_loss" are those of the regressor.

    A class can be missing from the training part of an early fold. Then the members of this fold
    are fitted on the classes that are there, renumbered, and give the others probability 0. Test
    rows of a class to which every member gives 0 cannot tell the members apart and do not count;
    folds with one class only in their training part take no part, and a warning says how many.

    **Calibration** is that of :class:`~sklearn.calibration.CalibratedClassifierCV`, each class against all others and
    the results scaled to sum 1, on the log-odds of the mixture of out-of-fold predictions with the weights of `fit`:
    for a table these are of rows after those that the members were fitted on, as in use. With ``weights="dynamic"`` it
    stays as it was when `update` moves the weights. A class without out-of-fold rows keeps its mixed probability.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklstm import WeightedEnsembleClassifier
    >>> X = np.arange(60.0).reshape(-1, 1) % 7
    >>> y = np.where(X[:, 0] > 2, "up", "down")
    >>> members = [("bayes", GaussianNB()), ("logistic", LogisticRegression())]
    >>> ensemble = WeightedEnsembleClassifier(members, weights=(0.7, 0.3)).fit(X, y)
    >>> ensemble.predict(X[:4]).tolist()
    ['down', 'down', 'down', 'up']
    >>> ensemble.predict_proba(X[:4]).shape
    (4, 2)
    """

    classes_: Array

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **ClassifierParameters._parameter_constraints,
        "weights_loss": [StrOptions({"auto", "log_loss", "squared_error"}), callable],
    }

    _response_method = "predict_proba"
    _kind = "classifier"
    _is_right_kind = staticmethod(is_classifier)
    _metric = staticmethod(accuracy_score)
    score = BaseWeightedEnsemble.score  # before that of the mixin, which knows no groups

    @staticmethod
    def _read_target(y, n_samples, present):
        classes, codes = read_labels(y, n_samples, present)
        return {"classes_": classes}, codes, len(classes)

    @staticmethod
    def _member_target(y):
        labels, codes = np.unique(y, return_inverse=True)
        return codes, labels

    @staticmethod
    def _align(name, member, answer, labels, n_columns):
        answer = align_classes(name, member, answer, len(labels))
        if len(labels) == n_columns:
            return answer
        probabilities = np.zeros((len(answer), n_columns))
        probabilities[:, labels] = answer
        return probabilities

    @staticmethod
    def _loss(name, predictions, y, sample_weight, fitted):
        everything = slice(None)
        if callable(name):
            return CallableLoss(name, fitted["classes_"][y], predictions, sample_weight), everything
        if name == "squared_error":
            errors = np.eye(predictions.shape[2])[y][:, np.newaxis] - predictions
            return ErrorLoss(errors, sample_weight, power=2), everything
        likelihoods = predictions[np.arange(len(y)), :, y]
        counted = likelihoods.max(axis=1) > 0.0
        if not counted.any():
            raise ValueError(
                "The search for the weights finds nothing: every member gives probability 0 to the true class of every "
                "row of a test fold. Use weights_loss='squared_error'."
            )
        return LogLoss(likelihoods[counted], None if sample_weight is None else sample_weight[counted]), counted

    def _loss_of_rows(self):
        return "brier" if self.weights_loss == "squared_error" else "log_loss"

    @staticmethod
    def _as_columns(y):
        return y

    def _read_truth(self, y, n_rows, present):
        return read_known_labels(y, n_rows, self.classes_, present)

    def _mix(self, caller, X, groups, context, params):
        mixed = normalised(super()._mix(caller, X, groups, context, params))
        return calibrated(self.calibration_, mixed) if hasattr(self, "calibration_") else mixed

    def _decide(self, mixed):
        return self.classes_[mixed.argmax(axis=1)]

    def predict_proba(
        self,
        X: Any,
        *,
        groups: ArrayLike | None = None,
        context: ArrayLike | None = None,
        context_groups: ArrayLike | None = None,
        **params: Any,
    ) -> NDArray[np.float64]:
        """Predict class probabilities as the weighted mean of those of the members.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), array of shape \
                (n_sequences, n_steps, n_features) or list of arrays (n_steps_i, n_features)
            Rows in the order of time, or sequences.
        groups : array-like of shape (n_samples,), default=None
            Series of each row, for the members that take `groups`.
        context : array-like of shape (n_rows, n_features), default=None
            The rows right before `X`, for the members that take `context`.
        context_groups : array-like of shape (n_rows,), default=None
            With `groups`, the series of each row of `context`, for the members that take it.
        **params : dict
            Further metadata for members, where metadata routing is enabled.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            One row per row of `X`, of sum 1; columns in the order of `classes_`.

        Raises
        ------
        ValueError
            If a member returns fewer or more rows than asked or another number of columns, or if
            the input does not fit what the ensemble was fitted on.
        """
        return self._fitted_model()._mix(
            "predict_proba", X, groups, context, {"context_groups": context_groups, **params}
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        members = self._member_tags()
        tags.classifier_tags.multi_class = all(tag.classifier_tags.multi_class for tag in members)
        return tags


complete_docstring(WeightedEnsembleRegressor, EnsembleParameters)
complete_docstring(WeightedEnsembleClassifier, ClassifierParameters)
