"""Quantiles of an ensemble: the weighted mean of each quantile over the members."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sklstm._typing import available_if


def _some_member_has_quantiles(ensemble: Any) -> bool:
    """Tell whether an ensemble predicts quantiles, as `available_if` asks it."""
    members = getattr(ensemble, "estimators_", None) or [member for _, member in ensemble.estimators]
    if any(hasattr(member, "predict_quantiles") for member in members):
        return True
    raise AttributeError("predict_quantiles needs members that have it, such as DeepRNNRegressor(loss='quantile').")


class QuantilesMixin:
    """The method `predict_quantiles` of an ensemble of regressors."""

    _fitted_model: Any

    @available_if(_some_member_has_quantiles)
    def predict_quantiles(
        self,
        X: Any,
        *,
        groups: ArrayLike | None = None,
        context: ArrayLike | None = None,
        context_groups: ArrayLike | None = None,
        **params: Any,
    ) -> NDArray[np.float64]:
        """Predict quantiles: the weighted mean of each quantile over the members.

        There if a member has this method; all members of positive weight must have it then, for the same quantiles. The
        mean of quantiles is that of the members' distributions on the scale of the target, a band as wide as theirs on
        average, where the mean of distribution functions would be wider [1]_ [2]_. It never decreases from one quantile
        to the next.

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
            Further metadata for members, where metadata routing is enabled: their requests for `predict` count.

        Returns
        -------
        ndarray of shape (n_samples, n_quantiles), (n_samples, n_outputs, n_quantiles) or \
                (n_samples, horizon, n_targets, n_quantiles)
            In the order of the members' quantiles.

        Raises
        ------
        ValueError
            If a member of positive weight has no `predict_quantiles`, or other quantiles than the rest.

        References
        ----------
        .. [1] R. Ratcliff, "Group reaction time distributions and an analysis of distribution statistics",
           Psychological Bulletin 86, 446-461, 1979.
        .. [2] K. C. Lichtendahl, Y. Grushka-Cockayne and R. L. Winkler, "Is it better to average probabilities or
           quantiles?", Management Science 59, 1594-1611, 2013.
        """
        model = self._fitted_model()
        answers = QuantileAnswers(model)
        mixed = model._mix("predict", X, groups, context, {"context_groups": context_groups, **params}, answers)
        return mixed.reshape(len(mixed), *model._target_axes, answers.n_quantiles)


class QuantileAnswers:
    """What is asked of the members of an ensemble for its quantiles, and how their answers are read.

    Parameters
    ----------
    ensemble : estimator
        Fitted.

    Attributes
    ----------
    method : str
    n_quantiles : int
        Known from the first answer.
    """

    method = "predict_quantiles"

    def __init__(self, ensemble):
        names = [name for name, member in ensemble.named_estimators_.items() if not isinstance(member, str)]
        members = [
            (name, member)
            for name, member, weight in zip(names, ensemble.estimators_, ensemble.weights_, strict=True)
            if weight > 0
        ]
        without = [
            f"{name!r} ({type(member).__name__})" for name, member in members if not hasattr(member, self.method)
        ]
        if without:
            raise ValueError(
                "predict_quantiles needs quantiles of every member, but these are without that method: "
                f"{', '.join(without)}. Drop them (set_params(name='drop')), or give them the weight 0."
            )
        self.n_quantiles = None
        levels = [(name, _levels(member)) for name, member in members]
        for name, found in levels:
            if found is not None and levels[0][1] is not None and not _same(found, levels[0][1]):
                raise ValueError(
                    f"members predict different quantiles: {levels[0][0]!r} {list(levels[0][1])}, {name!r} "
                    f"{list(found)}. Give them the same."
                )
        self._axes = ensemble._target_axes

    def align(self, name, member, answer, labels, n_columns):
        """Return a member's checked answer as an array (n_rows, n_columns)."""
        n_quantiles = answer.shape[-1] if answer.ndim > 1 else 0
        expected = [(len(answer), *self._axes, n_quantiles)]
        if self._axes == ():
            expected.append((len(answer), 1, n_quantiles))
        if self.n_quantiles not in (None, n_quantiles) or answer.shape not in expected:
            wanted = n_quantiles if self.n_quantiles is None else self.n_quantiles
            raise ValueError(
                f"member {name!r} ({type(member).__name__}) returned quantiles of shape {answer.shape} where "
                f"{(len(answer), *self._axes, wanted)} was expected."
            )
        self.n_quantiles = n_quantiles
        return answer.reshape(len(answer), -1)


def _levels(member):
    """Return the quantiles that a member predicts, None where it does not say."""
    if hasattr(member, "_coding"):
        return member._coding["quantiles"]
    if hasattr(member, "estimators_") and hasattr(member, "weights_"):  # an ensemble as a member
        known = [_levels(one) for one, weight in zip(member.estimators_, member.weights_, strict=True) if weight > 0]
        return next((levels for levels in known if levels is not None), None)
    return None


def _same(first, second):
    return len(first) == len(second) and np.allclose(first, second, rtol=0.0, atol=1e-6)
