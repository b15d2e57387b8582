"""Weighted ensembles: several regressors or classifiers, one prediction per row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, RegressorMixin, is_classifier, is_regressor
from sklearn.metrics import accuracy_score, r2_score

from sklstm._ensemble.base import BaseWeightedEnsemble
from sklstm._ensemble.inputs import read_labels, read_regression_target
from sklstm._ensemble.members import align_classes, align_outputs
from sklstm._ensemble.quantiles import QuantilesMixin
from sklstm._ensemble.weights import simplex_least_squares, simplex_log_loss
from sklstm._typing import Array


class WeightedEnsembleRegressor(QuantilesMixin, RegressorMixin, BaseWeightedEnsemble):
    """Weighted mean of the predictions of several regressors.

    Any regressors can be members, gradient boosted trees beside recurrent networks: each is fitted
    with what it accepts (`groups`, `sample_weight`), gets `X` unchanged, and must predict each row.
    The weights are given, equal, or found on predictions of later rows by models that were fitted
    on earlier rows only.

    Parameters
    ----------
    estimators : list of (str, estimator)
        Names and regressors. ``fit`` fits clones of them. ``"drop"`` in place of a regressor leaves
        it out.
    weights : array-like of shape (n_estimators,), "auto" or None, default=None
        Non-negative weights, scaled to sum 1. None: equal weights, which are hard to beat when the
        members are about equally good. "auto": the weights of sum 1 with the smallest squared error
        of the mixture on forward out-of-fold predictions; see Notes.
    cv : int, splitter, iterable of (train, test) or None, default=5
        Folds for ``weights="auto"``: the number of folds of a
        :class:`~sklearn.model_selection.TimeSeriesSplit` (None: 5), or a splitter or folds whose
        test rows all lie after their training rows. A target that looks ahead by `h` rows wants
        ``TimeSeriesSplit(5, gap=h - 1)``, or the last training targets are known only after the
        first test rows.
    n_jobs : int, default=None
        Number of members (or folds of members) that are fitted at the same time; as everywhere in
        joblib, None means 1 and -1 all processors. The result does not depend on it.
    verbose : bool or int, default=False
        Whether to print a line for every fit of a member.

    Attributes
    ----------
    estimators_ : list of estimator
        The fitted members that are not dropped.
    named_estimators_ : Bunch
        The same by name; a dropped member is the string "drop".
    weights_ : ndarray of shape (n_members,)
        Weight of each of `estimators_`, of sum 1. ``predict`` does not call members of weight 0.
    n_outputs_ : int
        Number of outputs.
    n_features_in_ : int
        Number of columns of `X`, or the length of the last axis of sequences.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, only if `X` had names that are all strings.
    oof_indices_ : ndarray of shape (n_rows,)
        Only with ``weights="auto"``: the rows of `X` that were in a test fold, sorted.
    oof_predictions_ : ndarray of shape (n_rows, n_members) or (n_rows, n_members, n_outputs)
        Only with ``weights="auto"``: what each member predicted for these rows when it had been
        fitted on earlier rows.

    See Also
    --------
    WeightedEnsembleClassifier : The same for classifiers, on probabilities.
    sklearn.ensemble.VotingRegressor : Weighted mean without the search and without `groups`.
    sklearn.ensemble.StackingRegressor : A model on top of the members; its folds are not in time.

    Notes
    -----
    With ``weights="auto"`` the weights `w` solve, over all test rows `i` with sample weights `s`
    and predictions `p` of the members `m`, and over all outputs,

    .. math:: \\min_w \\sum_i s_i (y_i - \\sum_m w_m p_{im})^2, \\; w_m \\ge 0, \\; \\sum_m w_m = 1,

    a convex problem that non-negative least squares solves exactly [1]_; such a constrained
    combination is the stacked regression of [2]_. Outputs in different units should be scaled
    first: those with the largest numbers decide.

    With `groups`, each series is split on its own: the first fold trains on the first part of every
    series and tests the part after it, and so on. Series with too few rows for `cv` take no part in
    the search (a warning says how many). Nothing compares the clocks of different series: if they
    cover different times, training rows of one may be later than test rows of another.

    For a fold, members predict all rows from the first training row to the last test row, and only
    the test rows count: a member that looks back over a window finds the rows before it, as in use.

    Metadata routing decides what members get where it is enabled. Where it is not (the default),
    `sample_weight` goes to all members, `groups` and `context` to those whose method names them in
    its signature. A member that takes no `sample_weight`, or a pipeline that cannot pass on what
    its last step accepts, is an error.

    References
    ----------
    .. [1] C. L. Lawson and R. J. Hanson, "Solving Least Squares Problems", chapter 23, SIAM, 1995.
    .. [2] L. Breiman, "Stacked Regressions", Machine Learning 24, 49-64, 1996.

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

    >>> ensemble.set_params(weights="auto").fit(X, y).weights_
    array([0., 1.])
    """

    n_outputs_: int

    _response_method = "predict"
    _kind = "regressor"
    _is_right_kind = staticmethod(is_regressor)
    _metric = staticmethod(r2_score)
    score = BaseWeightedEnsemble.score  # before that of the mixin, which knows no groups

    @staticmethod
    def _read_target(y, n_samples, present):
        y = read_regression_target(y, n_samples, present)
        n_outputs = 1 if y.ndim == 1 else y.shape[1]
        return {"n_outputs_": n_outputs}, y, n_outputs

    @staticmethod
    def _member_target(y):
        return y, None

    @staticmethod
    def _align(name, member, answer, labels, n_columns):
        return align_outputs(name, member, answer, n_columns)

    @staticmethod
    def _best_weights(predictions, y, sample_weight):
        n_rows, n_members, n_outputs = predictions.shape
        errors = y.reshape(n_rows, 1, n_outputs) - predictions
        if sample_weight is not None:
            sample_weight = np.repeat(sample_weight, n_outputs)
        errors = errors.transpose(0, 2, 1).reshape(-1, n_members)
        return simplex_least_squares(errors, sample_weight)

    def _decide(self, mixed):
        return mixed[:, 0] if self.n_outputs_ == 1 else mixed

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        members = self._member_tags()
        tags.target_tags.multi_output = all(tag.target_tags.multi_output for tag in members)
        return tags


class WeightedEnsembleClassifier(ClassifierMixin, BaseWeightedEnsemble):
    """Weighted mean of the class probabilities of several classifiers.

    Any classifiers with ``predict_proba`` can be members, gradient boosted trees beside recurrent
    networks. Labels of any kind are numbered 0, 1, ... for the members, so that those which need
    such numbers work, and given back as they were.

    Parameters
    ----------
    estimators : list of (str, estimator)
        Names and classifiers. ``fit`` fits clones of them. ``"drop"`` in place of a classifier
        leaves it out. They see numbered labels: the keys of a `class_weight` dict are positions in
        `classes_`.
    weights : array-like of shape (n_estimators,), "auto" or None, default=None
        Non-negative weights, scaled to sum 1. None: equal weights, which are hard to beat when the
        members are about equally good. "auto": the weights of sum 1 with the smallest log loss of
        the mixed probabilities on forward out-of-fold predictions; see Notes.
    cv : int, splitter, iterable of (train, test) or None, default=5
        Folds for ``weights="auto"``: the number of folds of a
        :class:`~sklearn.model_selection.TimeSeriesSplit` (None: 5), or a splitter or folds whose
        test rows all lie after their training rows. A target that looks ahead by `h` rows wants
        ``TimeSeriesSplit(5, gap=h - 1)``, or the last training targets are known only after the
        first test rows.
    n_jobs : int, default=None
        Number of members (or folds of members) that are fitted at the same time; as everywhere in
        joblib, None means 1 and -1 all processors. The result does not depend on it.
    verbose : bool or int, default=False
        Whether to print a line for every fit of a member.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    estimators_ : list of estimator
        The fitted members that are not dropped; their own ``classes_`` are positions in `classes_`.
    named_estimators_ : Bunch
        The same by name; a dropped member is the string "drop".
    weights_ : ndarray of shape (n_members,)
        Weight of each of `estimators_`, of sum 1. ``predict`` does not call members of weight 0.
    n_features_in_ : int
        Number of columns of `X`, or the length of the last axis of sequences.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, only if `X` had names that are all strings.
    oof_indices_ : ndarray of shape (n_rows,)
        Only with ``weights="auto"``: the rows of `X` that were in a test fold, sorted.
    oof_predictions_ : ndarray of shape (n_rows, n_members, n_classes)
        Only with ``weights="auto"``: the probabilities that each member gave for these rows when it
        had been fitted on earlier rows.

    See Also
    --------
    WeightedEnsembleRegressor : The same for regressors; its Notes on folds and routing hold here.
    sklearn.ensemble.VotingClassifier : Soft voting without the search and without `groups`.

    Notes
    -----
    With ``weights="auto"`` the weights solve, over all test rows `i` with weights `s` and with the
    probability :math:`p_{im}` that member `m` gives to the true class of the row,

    .. math:: \\min_w -\\sum_i s_i \\log \\sum_m w_m p_{im}, \\; w_m \\ge 0, \\; \\sum_m w_m = 1,

    a convex problem: the weights of the components of a mixture of known densities [1]_. It is
    solved by Newton steps on the simplex.

    A class can be missing from the training part of an early fold. Then the members of this fold
    are fitted on the classes that are there, renumbered, and give the others probability 0. Test
    rows of a class to which every member gives 0 cannot tell the members apart and do not count;
    folds with one class only in their training part take no part, and a warning says how many.

    References
    ----------
    .. [1] Y. Kim, P. Carbonetto, M. Stephens and M. Anitescu, "A Fast Algorithm for Maximum
       Likelihood Estimation of Mixture Proportions Using Sequential Quadratic Programming",
       Journal of Computational and Graphical Statistics 29, 261-273, 2020.

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
    def _best_weights(predictions, y, sample_weight):
        likelihoods = predictions[np.arange(len(y)), :, y]
        counted = likelihoods.max(axis=1) > 0.0
        sample_weight = None if sample_weight is None else sample_weight[counted]
        if not counted.any():
            raise ValueError(
                "weights='auto' finds nothing: every member gives probability 0 to the true class "
                "of every row of a test fold."
            )
        return simplex_log_loss(likelihoods[counted], sample_weight)

    def _mix(self, caller, X, groups, context, params):
        mixed = super()._mix(caller, X, groups, context, params)
        # Rows of members that compute in float32 sum to 1 only nearly.
        total = mixed.sum(axis=1, keepdims=True)
        return mixed / np.where(total > 0.0, total, 1.0)

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
