"""Weighted ensembles: several regressors or classifiers, one prediction per row."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, RegressorMixin, is_classifier, is_regressor
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils._param_validation import StrOptions

from sklstm._ensemble.base import BaseWeightedEnsemble
from sklstm._ensemble.inputs import read_labels, read_regression_target
from sklstm._ensemble.losses import CallableLoss, ErrorLoss, LogLoss
from sklstm._ensemble.members import align_classes, align_outputs
from sklstm._ensemble.quantiles import QuantilesMixin
from sklstm._typing import Array


class WeightedEnsembleRegressor(QuantilesMixin, RegressorMixin, BaseWeightedEnsemble):
    """Weighted mean of the predictions of several regressors.

    Any regressors can be members, gradient boosted trees beside recurrent networks: each is fitted
    with what it accepts (`groups`, `sample_weight`), gets `X` unchanged, and must predict each row.
    The weights are given, equal, or found on predictions of later rows (or other sequences of a set)
    by models that were fitted on earlier rows only.

    Parameters
    ----------
    estimators : list of (str, estimator)
        Names and regressors. ``fit`` fits clones of them. ``"drop"`` in place of a regressor leaves
        it out.
    weights : array-like of shape (n_estimators,), "auto", "inverse_loss", "equal" or None, default=None
        Non-negative weights, scaled to sum 1. None or "equal": equal weights, which are hard to beat
        when the members are about equally good. Learned on out-of-fold predictions, see Notes:
        "auto", the weights of sum 1 with the smallest loss of the mixture, shrunk towards equal
        weights; "inverse_loss", in proportion to 1 / loss of each member.
    weights_loss : {"auto", "squared_error", "absolute_error"} or callable, default="auto"
        Loss that weights are learned with. "auto": "squared_error". A callable is called as
        ``weights_loss(y_true, y_pred, sample_weight=sample_weight)`` with targets and predictions of
        shape (n_samples,) or (n_samples, n_outputs) and returns a number, smaller for better: metrics
        of scikit-learn will do.
    shrinkage : float or "auto", default="auto"
        How far learned weights are moved towards equal ones: 0 leaves them as they are, 1 makes them
        equal. "auto": for ``weights="auto"`` as much as their gain on rows that they were not learned
        on asks for, see Notes; 0 for "inverse_loss".
    cv : int, splitter, iterable of (train, test) or None, default=5
        Folds for learned weights: the number of folds of a
        :class:`~sklearn.model_selection.TimeSeriesSplit` (None: 5), or a splitter or folds whose
        test rows all lie after their training rows. A target that looks ahead by `h` rows wants
        ``PurgedTimeSeriesSplit(5, horizon=h)``, or the last training targets are known only after the
        first test rows; with `groups`, :class:`~sklstm.model_selection.PanelTimeSeriesSplit` splits
        all series at the same dates. Of a set of sequences any splitter or folds will do: where they
        do not follow each other in time,
        :class:`~sklearn.model_selection.RepeatedStratifiedKFold`, say.
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
    learned_weights_ : ndarray of shape (n_members,)
        Only with learned weights: those before they were shrunk towards equal ones.
    shrinkage_ : float
        Only with learned weights: the share of the way to equal weights that they were moved.
    oof_losses_ : ndarray of shape (n_members,)
        Only with learned weights: `weights_loss` of each member alone on its out-of-fold predictions.
    n_outputs_ : int
        Number of outputs of a row, ``horizon * n_targets`` for targets of both axes.
    n_features_in_ : int
        Number of columns of `X`, or the length of the last axis of sequences.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, only if `X` had names that are all strings.
    oof_indices_ : ndarray of shape (n_rows,)
        Only with learned weights: the rows of `X` that were in a test fold, sorted; one that was in
        several stands there as often.
    oof_predictions_ : ndarray of shape (n_rows, n_members, ...)
        Only with learned weights: what each member predicted for these rows when it had been
        fitted on the training rows of their fold; with the axes of `y` behind those of rows and members.

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
    combination is the stacked regression of [2]_. With "absolute_error" it is a sequence of such
    problems, with a callable a search that is exact where the loss is convex and smooth. Outputs in
    different units should be scaled first: those with the largest numbers decide.

    **Shrinkage.** Learned weights fit the errors of the folds, too, and with few rows or similar
    members they often lose to equal ones, the forecast combination puzzle [3]_ [4]_. So they are
    shrunk towards equal weights, as in [3]_, the more the less they gain: the test rows are cut into
    about ten blocks of time, weights learned without a block are judged on it, and the loss along the
    line from equal to learned weights has its minimum at the share `t` of the way. With the variance
    `v` of `t` from leaving out single blocks, the weights are taken at the share
    ``t * max(0, 1 - 2 * v / t ** 2)``, as James and Stein would shrink `t` [5]_, twice as cautiously:
    what `v` measures over the blocks, the time after them may exceed. Members that are clearly
    different keep their weights.

    "inverse_loss" is the combination of [6]_ without correlations: it cannot tell members that make
    the same errors from those that make different ones, but it has hardly anything to learn. With
    "absolute_error" the weights are proportional to 1 / mean absolute error.

    With `groups`, each series is split on its own (unless `cv` splits by groups): the first fold
    trains on the first part of every series and tests the part after it, and so on. Series with too
    few rows for `cv` take no part in the search (a warning says how many). Nothing compares the
    clocks of different series then: if they cover different times, training rows of one may be later
    than test rows of another.

    For a fold, members predict all rows from the first training row to the last test row, and only
    the test rows count: a member that looks back over a window finds the rows before it, as in use.
    Of a set of sequences they predict those of the test part. Where the folds of a set do not follow
    each other in time, the ten blocks of the shrinkage take the sequences of each fold in turn.

    Metadata routing decides what members get where it is enabled. Where it is not (the default),
    `sample_weight` goes to all members, `groups` and `context` to those whose method names them in
    its signature. A member that takes no `sample_weight`, or a pipeline that cannot pass on what
    its last step accepts, is an error.

    References
    ----------
    .. [1] C. L. Lawson and R. J. Hanson, "Solving Least Squares Problems", chapter 23, SIAM, 1995.
    .. [2] L. Breiman, "Stacked Regressions", Machine Learning 24, 49-64, 1996.
    .. [3] F. X. Diebold and M. Shin, "Machine Learning for Regularized Survey Forecast Combination:
       Partially-egalitarian LASSO and its Derivatives", International Journal of Forecasting 35,
       1679-1691, 2019.
    .. [4] J. H. Stock and M. W. Watson, "Combination Forecasts of Output Growth in a Seven-country
       Data Set", Journal of Forecasting 23, 405-430, 2004.
    .. [5] W. James and C. Stein, "Estimation with Quadratic Loss", Proceedings of the Fourth Berkeley
       Symposium on Mathematical Statistics and Probability 1, 361-379, 1961.
    .. [6] J. M. Bates and C. W. J. Granger, "The Combination of Forecasts", Operational Research
       Quarterly 20, 451-468, 1969.

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

    def _decide(self, mixed):
        return mixed.reshape(len(mixed), *self._target_axes)

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
    weights : array-like of shape (n_estimators,), "auto", "inverse_loss", "equal" or None, default=None
        Non-negative weights, scaled to sum 1. None or "equal": equal weights, which are hard to beat
        when the members are about equally good. Learned on out-of-fold predictions, see Notes:
        "auto", the weights of sum 1 with the smallest loss of the mixture, shrunk towards equal
        weights; "inverse_loss", in proportion to 1 / loss of each member.
    weights_loss : {"auto", "log_loss", "squared_error"} or callable, default="auto"
        Loss that weights are learned with. "auto": "log_loss". A callable is called as
        ``weights_loss(y_true, y_pred, sample_weight=sample_weight)`` with the labels and the mixed
        probabilities of all classes and returns a number, smaller for better: metrics of scikit-learn
        will do.
    shrinkage : float or "auto", default="auto"
        How far learned weights are moved towards equal ones: 0 leaves them as they are, 1 makes them
        equal. "auto": for ``weights="auto"`` as much as their gain on rows that they were not learned
        on asks for, see Notes; 0 for "inverse_loss".
    cv : int, splitter, iterable of (train, test) or None, default=5
        Folds for learned weights: the number of folds of a
        :class:`~sklearn.model_selection.TimeSeriesSplit` (None: 5), or a splitter or folds whose
        test rows all lie after their training rows. A target that looks ahead by `h` rows wants
        ``PurgedTimeSeriesSplit(5, horizon=h)``, or the last training targets are known only after the
        first test rows; with `groups`, :class:`~sklstm.model_selection.PanelTimeSeriesSplit` splits
        all series at the same dates. Of a set of sequences any splitter or folds will do: where they
        do not follow each other in time,
        :class:`~sklearn.model_selection.RepeatedStratifiedKFold`, say.
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
    learned_weights_ : ndarray of shape (n_members,)
        Only with learned weights: those before they were shrunk towards equal ones.
    shrinkage_ : float
        Only with learned weights: the share of the way to equal weights that they were moved.
    oof_losses_ : ndarray of shape (n_members,)
        Only with learned weights: `weights_loss` of each member alone on its out-of-fold predictions.
    n_features_in_ : int
        Number of columns of `X`, or the length of the last axis of sequences.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, only if `X` had names that are all strings.
    oof_indices_ : ndarray of shape (n_rows,)
        Only with learned weights: the rows of `X` that were in a test fold, sorted; one that was in
        several stands there as often.
    oof_predictions_ : ndarray of shape (n_rows, n_members, n_classes)
        Only with learned weights: the probabilities that each member gave for these rows when it
        had been fitted on the training rows of their fold.

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
    solved by Newton steps on the simplex. With "squared_error" it is the Brier score, summed over the
    classes and divided by their number. Shrinkage and "inverse_loss" are those of the regressor.

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

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseWeightedEnsemble._parameter_constraints,
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
