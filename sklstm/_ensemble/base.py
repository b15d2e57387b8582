"""Base class of the weighted ensembles: members, metadata routing, search of the weights, mixture."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, is_classifier
from sklearn.utils import get_tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from sklstm._ensemble.inputs import check_names, read_groups, read_rows, read_sample_weight
from sklstm._ensemble.members import ask_member, check_members, fit_member, looks_back, params_by_signature
from sklstm._ensemble.named_members import NamedMembers
from sklstm._ensemble.search import search_weights
from sklstm._ensemble.weights import read_weights
from sklstm._pickles import VersionedPickles
from sklstm._scores import weighted_score
from sklstm._snapshot import replace_fitted, snapshot_of
from sklstm._time_order import check_order, look_at_score
from sklstm._typing import Array, checks_parameters
from sklstm._validation import advice_for_axes, check_kind, refuse_other_width, refuse_target_per_row


class BaseWeightedEnsemble(VersionedPickles, MetaEstimatorMixin, NamedMembers, metaclass=ABCMeta):
    """Base class of the weighted ensembles; use a derived class.

    A derived class names in `_response_method` the method of its members that it averages, and defines in
    a few small methods how a target is read, encoded, aligned and predicted.

    Parameters
    ----------
    estimators : list of (str, estimator)
        Names and members.
    weights : array-like of shape (n_estimators,), "auto", "inverse_loss", "equal" or None, default=None
        Weights of the members.
    weights_loss : str or callable, default="auto"
        Loss of the mixture, for learned weights.
    shrinkage : float or "auto", default="auto"
        Of learned weights towards equal ones.
    cv : int, splitter, iterable of (train, test) or None, default=5
        Folds for learned weights.
    n_jobs : int, default=None
        Number of fits at the same time.
    verbose : bool or int, default=False
        Whether to print a line for every fit of a member.
    """

    n_features_in_: int
    feature_names_in_: Array
    weights_: NDArray[np.float64]
    estimators_: list[Any]
    oof_indices_: NDArray[np.intp]
    oof_predictions_: NDArray[np.float64]
    oof_losses_: NDArray[np.float64]
    learned_weights_: NDArray[np.float64]
    shrinkage_: float

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "estimators": [list],
        "weights": [None, StrOptions({"auto", "inverse_loss", "equal"}), "array-like"],
        "shrinkage": [StrOptions({"auto"}), Interval(Real, 0.0, 1.0, closed="both")],
        "cv": ["cv_object"],
        "n_jobs": [None, Integral],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimators: Sequence[tuple[str, Any]],
        *,
        weights: ArrayLike | Literal["auto", "inverse_loss", "equal"] | None = None,
        weights_loss: str | Callable[..., float] = "auto",
        shrinkage: float | Literal["auto"] = "auto",
        cv: Any = 5,
        n_jobs: int | None = None,
        verbose: bool | int = False,
    ) -> None:
        self.estimators = estimators
        self.weights = weights
        self.weights_loss = weights_loss
        self.shrinkage = shrinkage
        self.cv = cv
        self.n_jobs = n_jobs
        self.verbose = verbose

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
        """Fit every member on all rows; before that, learn the weights if they are to be learned.

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
        if is_table and (weights is None or any(looks_back(member) for _, member in members)):
            starts = None if blocks is None else np.array([*(rows[0] for rows in blocks), n_samples])
            check_order(X, starts, instead=(y, "y"))
        routed = self._route("fit", members, groups=labels, sample_weight=weights_of_rows, **params)

        if weights is None:
            data = (X, target, n_columns, is_table, present)
            fitted |= search_weights(self, members, data, blocks, weights_of_rows, routed, fitted)
            weights = fitted["weights_"]

        estimators = Parallel(n_jobs=self.n_jobs)(
            delayed(fit_member)(name, member, X, target, routed[name]["fit"], type(self).__name__, self.verbose)
            for name, member in members
        )
        fitted["weights_"] = weights
        fitted["estimators_"] = estimators
        fitted["_fitted_names"] = {name: not isinstance(member, str) for name, member in self.estimators}
        replace_fitted(self, fitted)
        return self

    def _mix(self, caller, X, groups, context, params, answers=None):
        """Return the weighted mean of the members' answers, as an array (n_rows, n_columns); self is a snapshot.

        `answers` are those of another method than `_response_method`, see `QuantileAnswers`.
        """
        X, n_rows, n_features, is_table = self._read_rows(X)
        check_kind(self._fitted_on, X)
        if not is_table:
            end = f" (the last axis).{advice_for_axes(X, self.n_features_in_)}"
            refuse_other_width(self, n_features, self.n_features_in_, "X, a set of sequences,", end)
        check_names(self, X, is_table)
        groups, _ = read_groups(groups, n_rows)
        if context is not None:
            self._check_context(context)
        members = [item for item in self.named_estimators_.items() if not isinstance(item[1], str)]
        method, align = (self._response_method, self._align) if answers is None else (answers.method, answers.align)
        routed = self._route(caller, members, method, groups=groups, context=context, **params)
        n_columns = len(self.classes_) if is_classifier(self) else self.n_outputs_
        labels = np.arange(n_columns) if is_classifier(self) else self._target_axes
        mixed = 0.0
        # Member by member and not one matrix product, whose rounding would depend on n_rows.
        for (name, member), weight in zip(members, self.weights_, strict=True):
            if weight > 0.0:
                answer = ask_member(name, member, method, X, n_rows, routed[name]["ask"])
                mixed = mixed + weight * align(name, member, answer, labels, n_columns)
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
        if self._learns_weights():
            return members, None
        kept = [not isinstance(member, str) for _, member in self.estimators]
        return members, read_weights(self.weights, kept)

    def _route(self, caller, members, method=None, /, **offered):
        """Return for each member its parameters of "fit" and of "ask", the response method or another `method`.

        Where routing is enabled, requests for the response method count for another one.
        """
        offered = {key: value for key, value in offered.items() if value is not None}
        methods = {"fit": "fit", "ask": self._response_method}
        if caller == "fit" and "context" in offered:
            raise ValueError(
                f"{type(self).__name__}.fit got ['context']: the rows before X belong to the methods that ask for "
                "predictions. For fit, put them on top of X with sample_weight 0."
            )
        if get_config()["enable_metadata_routing"]:
            routed = process_routing(self, caller, **offered)
            return {
                name: {key: dict(routed[name].get(method, {})) for key, method in methods.items()}
                for name, _ in members
            }
        extra = sorted(set(offered) - {"groups", "sample_weight", "context", "context_groups"})
        if extra:
            raise ValueError(
                f"{type(self).__name__}.{caller} got {extra}, which can be handed to members only "
                "with sklearn.set_config(enable_metadata_routing=True)."
            )
        asked = {key: value for key, value in offered.items() if key != "sample_weight"}
        if caller == "fit":
            fit = params_by_signature(members, "fit", offered)
            if not self._learns_weights():
                asked = {}
        else:
            fit = {name: {} for name, _ in members}
        ask = params_by_signature(members, method or self._response_method, asked)
        return {name: {"fit": fit[name], "ask": ask[name]} for name, _ in members}

    def _learns_weights(self):
        return isinstance(self.weights, str) and self.weights != "equal"

    def get_metadata_routing(self) -> Any:
        """Say what metadata the ensemble uses itself and what it hands to which member.

        All its methods that answer rows call one method of the members: `predict` of regressors,
        `predict_proba` of classifiers, whose requests count; `fit` calls it too where the weights
        are learned. The ensemble accepts `groups`, `context` and `sample_weight` itself too: inside
        a pipeline or a search, it must request them as its members do.

        Returns
        -------
        routing : MetadataRouter
            The requests of the ensemble and of its members.
        """
        router = MetadataRouter(owner=type(self).__name__).add_self_request(self)
        mapping = MethodMapping().add(caller="fit", callee="fit")
        callers = ["predict", "score"] + ["predict_proba"] * is_classifier(self)
        for caller in callers + ["fit"] * self._learns_weights():
            mapping.add(caller=caller, callee=self._response_method)
        for name, member in self.estimators:
            if not isinstance(member, str):
                router.add(**{name: member}, method_mapping=mapping)
        return router
