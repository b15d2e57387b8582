"""Base class of the weighted ensembles: what is fitted, what is asked, how the answers are mixed."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, MetaEstimatorMixin, is_classifier
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from sklstm._ensemble.dynamics import check_settings, settings_of
from sklstm._ensemble.inputs import bounds_of, check_names, read_groups, read_rows, read_sample_weight
from sklstm._ensemble.locks import lock_of
from sklstm._ensemble.members import check_members, fit_member, looks_back
from sklstm._ensemble.named_members import NamedMembers
from sklstm._ensemble.parallel import aligned_answers, is_failed, report_left_out, run
from sklstm._ensemble.parameters import ONLY_WITH, EnsembleParameters
from sklstm._ensemble.routing import RoutingMixin
from sklstm._ensemble.search import learn_from_folds
from sklstm._ensemble.start import start_equal, without
from sklstm._ensemble.update import UpdateMixin
from sklstm._ensemble.weights import read_weights
from sklstm._pickles import VersionedPickles
from sklstm._scores import weighted_score
from sklstm._snapshot import replace_fitted, snapshot_of
from sklstm._time_order import check_order, look_at_score, record_of
from sklstm._typing import Array, checks_parameters
from sklstm._validation import advice_for_axes, check_kind, refuse_other_width, refuse_target_per_row
from sklstm._warn import warn_of_idle


class BaseWeightedEnsemble(
    VersionedPickles,
    MetaEstimatorMixin,
    UpdateMixin,
    RoutingMixin,
    EnsembleParameters,
    NamedMembers,
    metaclass=ABCMeta,
):
    """Base class of the weighted ensembles; use a derived class.

    A derived class names in `_response_method` the method of its members that it averages, and defines in
    a few small methods how a target is read, encoded, aligned and predicted.
    """

    @staticmethod
    @abstractmethod
    def _read_target(y, n_samples, present):
        """Return the fitted attributes that describe the target, the target, its columns."""

    @staticmethod
    @abstractmethod
    def _member_target(y):
        """Return the target as members get it, and the labels that it stands for (of numbers the axes of a row)."""

    @staticmethod
    @abstractmethod
    def _align(name, member, answer, labels, n_columns):
        """Return a member's checked answer as an array (n_rows, n_columns)."""

    @staticmethod
    @abstractmethod
    def _loss(name, predictions, y, sample_weight, fitted):
        """Return the loss of mixtures of out-of-fold predictions, as `sklstm._ensemble.losses` makes them."""

    @abstractmethod
    def _loss_of_rows(self):
        """Return the name of `weights_loss`, which is no callable, for `sklstm._ensemble.steps`."""

    @staticmethod
    @abstractmethod
    def _as_columns(y):
        """Return the target as the losses of rows read it."""

    @abstractmethod
    def _read_truth(self, y, n_rows, present):
        """Return the target of `update`, checked against that of `fit`."""

    @abstractmethod
    def _decide(self, mixed):
        """Return the predictions that follow from the mixed answers."""

    @checks_parameters(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        **params: Any,
    ) -> Self:
        """Fit every member on all rows; before that, learn the weights, or where dynamic ones start, on folds.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), array of shape \
                (n_sequences, n_steps, n_features) or list of arrays (n_steps_i, n_features)
            Rows in the order of time, or sequences. Members get it unchanged.
        y : array-like of shape (n_samples,), (n_samples, n_outputs) or (n_samples, horizon, n_targets)
            Target; several outputs only for a regressor, two axes of them where all members take these.
        groups : array-like of shape (n_samples,), default=None
            Series of each row, one contiguous block for each, for the members that take `groups`.
            For learned weights each series is split on its own, unless `cv` splits by groups.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weight of each row, for all members, and for the loss of the search. Rows of weight zero
            are excluded: their targets are ignored, they are in no fold and their labels are no classes; members
            that look back still read them.
        **params : dict
            Further metadata for members, where metadata routing is enabled. For the folds of the search, `groups`
            and `sample_weight` of the member are cut like the rows of `X`; validation data (``*_val``, ``eval_*``) and
            metadata of another length than `X` are passed on whole. Anything else is cut if it has the index of `X`
            (pandas), and refused if it has none.

        Returns
        -------
        self : object
            The fitted ensemble.

        Raises
        ------
        ValueError, TypeError
            If the input, the members, the weights or `cv` do not fit together. A member's own
            exception is passed on with a note that names it. The ensemble then is as before.
        """
        members, weights = self._check_members()
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        X, n_samples, n_features, is_table = self._read_rows(X)
        refuse_target_per_row(X, y)
        weights_of_rows = read_sample_weight(sample_weight, n_samples)
        present = None if weights_of_rows is None or weights_of_rows.min() > 0.0 else weights_of_rows > 0.0
        fitted, target, n_columns = self._read_target(y, n_samples, present)
        labels, blocks = read_groups(groups, n_samples)
        fitted |= {"n_features_in_": n_features, "_fitted_on": "table" if is_table else "sequences"}
        # The names are read on a stand-in: a fit that fails must not change the ensemble.
        stand_in = BaseEstimator()
        check_names(stand_in, X, is_table, reset=True)
        fitted |= vars(stand_in)
        look_at_score(X, y, sample_weight, groups)  # members do not get the index of y
        starts = bounds_of(blocks, n_samples)
        if is_table and (self._needs_folds() or any(looks_back(member) for _, member in members)):
            check_order(X, starts, instead=(y, "y"))
        fitted["_row_order"] = record_of(X, y, labels, starts) if is_table and self._is_dynamic() else None
        routed = self._route("fit", members, groups=labels, sample_weight=weights_of_rows, **params)

        data = (X, target, n_columns, is_table, present)
        learnt = {"weights_": weights}
        if self._needs_folds():
            members, learnt = learn_from_folds(self, members, weights, data, blocks, weights_of_rows, routed, fitted)
        elif self._is_dynamic():
            learnt = start_equal(self, len(members), target, present, n_columns)
        calls = [
            (name, member, X, target, routed[name]["fit"], type(self).__name__, self.verbose)
            for name, member in members
        ]
        estimators = list(run(fit_member, calls, self.n_jobs, self.error_score))
        report_left_out([name for name, _ in members], estimators, "fit")
        works = np.array([not is_failed(one) for one in estimators])
        fitted |= without(learnt, works)
        fitted["estimators_"] = [one for one in estimators if not is_failed(one)]
        there = {name for (name, _), one in zip(members, works, strict=True) if one}
        fitted["_fitted_names"] = {name: name in there for name, _ in self.estimators}
        with lock_of(self):  # an update that has begun before would write over some of it
            replace_fitted(self, fitted)
        return self

    def _question(self, caller, X, groups, context, params, method):
        """Check what the members are asked; self is a snapshot.

        Returns
        -------
        X : as `read_rows` returns it
        n_rows : int
        routed : dict
            Parameters of the call of each member, by name.
        blocks : list of ndarray or None
            Rows of each group.
        """
        X, n_rows, n_features, is_table = self._read_rows(X)
        check_kind(self._fitted_on, X)
        if not is_table:
            end = f" (the last axis).{advice_for_axes(X, self.n_features_in_)}"
            refuse_other_width(self, n_features, self.n_features_in_, "X, a set of sequences,", end)
        check_names(self, X, is_table)
        groups, blocks = read_groups(groups, n_rows)
        if context is not None:
            self._check_context(context)
        elif params.get("context_groups") is not None:
            raise ValueError("context_groups needs context, the rows that these labels are of.")
        members = list(zip(self._names(), self.estimators_, strict=True))
        routed = self._route(caller, members, method, groups=groups, context=context, **params)
        return X, n_rows, routed, blocks

    def _aligned_by(self, align):
        """Return a function of name, member and answer, for `aligned_answers`."""
        n_columns = len(self.classes_) if is_classifier(self) else self.n_outputs_
        labels = np.arange(n_columns) if is_classifier(self) else self._target_axes
        return lambda name, member, answer: align(name, member, answer, labels, n_columns)

    def _mix(self, caller, X, groups, context, params, answers=None):
        """Return the weighted mean of the members' answers, as an array (n_rows, n_columns); self is a snapshot.

        `answers` are those of another method than `_response_method`, see `QuantileAnswers`.
        """
        method, align = (self._response_method, self._align) if answers is None else (answers.method, answers.align)
        X, n_rows, routed, _ = self._question(caller, X, groups, context, params, method)
        asked = self.weights_ > 0.0
        results = aligned_answers(self, method, self._aligned_by(align), X, n_rows, routed, asked)
        mixed, outcomes, weights = 0.0, [], self.weights_
        # Member by member and not one matrix product, whose rounding would depend on n_rows.
        for result, weight in zip(results, weights, strict=True):
            is_there = result is not None and not is_failed(result)
            if is_there:
                mixed = mixed + weight * result
            outcomes.append(is_there if is_there else result)
        if any(map(is_failed, outcomes)):
            report_left_out(self._names(), outcomes, caller)
            mixed = mixed / sum(weight for one, weight in zip(outcomes, weights, strict=True) if one is True)
        return mixed

    def predict(
        self,
        X: Any,
        *,
        groups: ArrayLike | None = None,
        context: ArrayLike | None = None,
        context_groups: ArrayLike | None = None,
        **params: Any,
    ) -> Array:
        """Predict the target of a regressor, the class of a classifier, for each row.

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
        y_pred : ndarray of shape (n_samples,), (n_samples, n_outputs) or (n_samples, horizon, n_targets)
            Weighted mean of the predictions; or the label with the largest mixed probability, of
            equal ones the first in `classes_`.

        Raises
        ------
        ValueError
            If a member returns fewer or more rows than asked or another number of columns, or if
            the input does not fit what the ensemble was fitted on.
        """
        model = self._fitted_model()
        return model._decide(model._mix("predict", X, groups, context, {"context_groups": context_groups, **params}))

    def score(
        self,
        X: Any,
        y: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        context: ArrayLike | None = None,
        context_groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        **params: Any,
    ) -> float:
        """Return the R2 of a regressor's predictions, the accuracy of a classifier's.

        Parameters
        ----------
        X : array-like, DataFrame or list of arrays
            As in :meth:`predict`.
        y : array-like of shape (n_samples,), (n_samples, n_outputs) or (n_samples, horizon, n_targets)
            True values or labels. Several outputs count alike.
        groups : array-like of shape (n_samples,), default=None
            Series of each row, for the members that take `groups`.
        context : array-like of shape (n_rows, n_features), default=None
            The rows right before `X`, for the members that take `context`.
        context_groups : array-like of shape (n_rows,), default=None
            With `groups`, the series of each row of `context`, for the members that take it.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row in the score; rows of weight 0 are excluded.
        **params : dict
            Further metadata for members, where metadata routing is enabled.

        Returns
        -------
        score : float
            1 is perfect; R2 is 0 for predictions as good as the mean of `y`.
        """
        model = self._fitted_model()
        look_at_score(X, y, sample_weight, groups)
        y_pred = model._decide(model._mix("score", X, groups, context, {"context_groups": context_groups, **params}))
        return weighted_score(self._metric, y, y_pred, sample_weight)

    def _fitted_model(self):
        """Return a snapshot of the ensemble: another thread may fit it while this one predicts."""
        check_is_fitted(self)
        return snapshot_of(self)

    def _read_rows(self, X):
        if sp.issparse(X) and not get_tags(self).input_tags.sparse:
            raise TypeError("Sparse data was passed for X, but dense data is required by a member. Use X.toarray().")
        return read_rows(X)

    def _check_context(self, context):
        shape = context.shape if hasattr(context, "shape") else np.shape(context)
        if len(shape) != 2 or shape[1] != self.n_features_in_:
            raise ValueError(
                f"context must be a table of the rows right before X, with its "
                f"{self.n_features_in_} features; got shape {tuple(shape)}."
            )

    def _check_members(self):
        """Return the members that are not dropped, and their weights (None to be learned)."""
        well_formed = self.estimators and all(
            isinstance(item, tuple | list) and len(item) == 2 and isinstance(item[0], str) for item in self.estimators
        )
        if not well_formed:
            raise ValueError("estimators must be a non-empty list of (name, estimator) tuples.")
        self._validate_names([name for name, _ in self.estimators])
        members = check_members(self.estimators, self._is_right_kind, self._kind, self._response_method)
        # Who asks for equal weights compares them with others, all else being the same.
        if not (isinstance(self.weights, str) and self.weights == "equal"):
            warn_of_idle(self.get_params(deep=False), ONLY_WITH)
        if self._is_dynamic():
            check_settings(settings_of(self), len(members))
        if self._learns_weights():
            return members, None
        kept = [not isinstance(member, str) for _, member in self.estimators]
        return members, read_weights(self.weights, kept)
