"""Parameters of the constructor that the ensembles share: types, defaults, limits and docs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils._param_validation import Interval, StrOptions

from sklstm._docstrings import complete_docstring
from sklstm._ensemble.dynamics import RULES
from sklstm._typing import Array

_LEARNED, _DYNAMIC = ("auto", "inverse_loss", "dynamic"), ("dynamic",)
# A parameter, its default, and the values of another one without which it has no effect. `cv` is left to searches and
# to the checks of scikit-learn, which set it everywhere.
ONLY_WITH = {
    "weights_loss": ("auto", "weights", _LEARNED),
    "shrinkage": ("auto", "weights", _LEARNED),
    "update_rule": ("exponential", "weights", _DYNAMIC),
    "half_life": (50.0, "weights", _DYNAMIC),
    "select": (None, "weights", _DYNAMIC),
    "min_weight": ("auto", "weights", _DYNAMIC),
    "max_change": (0.2, "weights", _DYNAMIC),
    "initial_weights": ("out_of_fold", "weights", _DYNAMIC),
}


class EnsembleParameters:
    """Parameters of a weighted ensemble.

    Parameters
    ----------
    estimators : list of (str, estimator)
        Names and members, of which ``fit`` fits clones; ``"drop"`` in place of one leaves it out.
    weights : array-like of shape (n_estimators,), "auto", "inverse_loss", "dynamic", "equal" or None, default=None
        Non-negative weights, scaled to sum 1; None or "equal" for equal weights, which are hard to beat when the
        members are about equally good; learned on out-of-fold predictions: "auto", the weights of sum 1 with the
        smallest loss of the mixture, shrunk towards equal weights, or "inverse_loss", in proportion to 1 / loss of each
        member; "dynamic": weights that follow the recent losses of the members whenever `update` brings the truth of
        new rows.
    weights_loss : str or callable, default="auto"
        Loss of the mixture, for learned weights.
    shrinkage : float or "auto", default="auto"
        How far learned weights are moved towards equal ones, from 0 (not at all) to 1; "auto": for ``weights="auto"``
        as much as their gain on rows that they were not learned on asks for, and 0 for the others.
    cv : int, splitter, iterable of (train, test) or None, default=5
        Folds for out-of-fold predictions: the number of folds of a :class:`~sklearn.model_selection.TimeSeriesSplit`
        (None: 5), or a splitter or folds whose test rows all lie after their training rows, see Notes.
    update_rule : {"exponential", "hedge", "best"}, default="exponential"
        How dynamic weights follow the losses of the members: by an inverse power of their exponentially weighted mean,
        by exponential weights of their sum (Hedge), or equal weights of the `select` best, see Notes.
    half_life : float, default=50.0
        Number of time steps after which a loss counts half in dynamic weights; "hedge" never forgets.
    select : int or None, default=None
        Number of members with the smallest losses that share the dynamic weight above the floor; None: all, of "best"
        one.
    min_weight : float or "auto", default="auto"
        Smallest dynamic weight of each member; "auto": 5 % of an equal weight.
    max_change : float, default=0.2
        Share of the total weight 1 that may move from some members to others in one call of `update`.
    initial_weights : {"out_of_fold", "equal"}, default="out_of_fold"
        Where dynamic weights start: where the out-of-fold losses of `fit`, in the order of time, have led them, or
        equal, which saves the fits of the folds.
    error_score : "raise" or float, default="raise"
        What a member that fails does: "raise" passes its error on, with a number it is left out with a warning, and its
        loss in `update` is this number, or that of the mixture for NaN, see Notes.
    n_jobs : int, default=None
        Number of members (or folds of members) that are fitted or asked at the same time, in threads, which share the
        data; as everywhere in joblib, None means 1 and -1 all processors, and the result does not depend on it.
    verbose : bool or int, default=False
        Whether to print a line for every fit of a member.

    Attributes
    ----------
    estimators_ : list of estimator
        The fitted members that are not dropped or left out.
    named_estimators_ : Bunch
        The same by name; a member that is not there is the string "drop".
    weights_ : ndarray of shape (n_members,)
        Weight of each of `estimators_`, of sum 1; ``predict`` does not call members of weight 0.
    learned_weights_ : ndarray of shape (n_members,)
        Only with "auto" and "inverse_loss": those before they were shrunk towards equal ones.
    shrinkage_ : float
        Only with "auto" and "inverse_loss": the share of the way to equal weights that they were moved.
    oof_losses_ : ndarray of shape (n_members,)
        Only with weights from folds: `weights_loss` of each member alone on its out-of-fold predictions.
    oof_indices_ : ndarray of shape (n_rows,)
        Only with "auto" and "inverse_loss": the rows of `X` that were in a test fold, sorted; one that was in several
        stands there as often.
    weight_history_ : ndarray of shape (n_entries, n_members)
        Only with dynamic weights: those at the start and after each update, of the newest 10,000.
    history_steps_ : ndarray of shape (n_entries,)
        Only with dynamic weights: number of time steps whose truth had come by then.
    recent_losses_ : ndarray of shape (n_members,)
        Only with dynamic weights: exponentially weighted mean loss of each member, NaN before the first.
    dynamics_ : dict
        Only with dynamic weights: sums of the losses that `update` goes on from.
    n_features_in_ : int
        Number of columns of `X`, or the length of the last axis of sequences.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, only if `X` had names that are all strings.

    Notes
    -----
    **Folds.** A target that looks ahead by `h` rows wants ``PurgedTimeSeriesSplit(5, horizon=h)``, or the
    last training targets are known only after the first test rows; with `groups`,
    :class:`~sklstm.model_selection.PanelTimeSeriesSplit` splits all series at the same dates. Of a set of sequences any
    splitter or folds will do: where they do not follow each other in time,
    :class:`~sklearn.model_selection.RepeatedStratifiedKFold`, say. With `groups`, each series is split on its own
    (unless `cv` splits by groups): the first fold trains on the first part of every series and tests the part after it,
    and so on. Series with too few rows for `cv` take no part (a warning says how many). Nothing compares the clocks of
    different series then: if they cover different times, training rows of one may be later than test rows of another.
    For a fold, members predict all rows from the first training row to the last test row, and only the test rows count:
    a member that looks back over a window finds the rows before it, as in use. Of a set of sequences they predict those
    of the test part.

    **Dynamic weights.** With the loss :math:`\\ell_{tm}` of member `m` at time step `t`, the rows of an update are
    steps in their order; with `groups`, the last rows of all series are one step, those before them another, and the
    loss of a step is the mean over its rows. After `T` steps the rules ask for weights in proportion to

    - "exponential": :math:`L_m^{-p}` with :math:`L_m = \\sum_t 2^{-(T-t)/h} \\ell_{tm} / c, \\; c = \\sum_t
      2^{-(T-t)/h}, \\; p = 2 c / (c + 5)` and the half-life `h`: inverse losses as of [Bates1969]_, with forgetting and
      a power as in [Stock2004]_, and a smaller power while there are few steps;
    - "hedge": :math:`\\exp(-\\eta \\sum_t \\ell_{tm})` with :math:`\\eta = \\sqrt{8 \\ln M / (T + 1)}` for `M` members,
      of losses divided by a range and clipped to [0, 1]. The range is fixed in ``fit``: the 95 % quantile of the losses
      of the median member out of folds, or without folds of the best constant. On any sequence of losses the weighted
      mean of these losses then exceeds that of the best member after `T` steps by at most :math:`\\sqrt{2 T \\ln M} +
      \\sqrt{\\ln M / 8}` ([CesaBianchi2006]_, theorem 2.3; [Freund1997]_), if each update is one step and
      ``max_change=1, min_weight=0, select=None``; a floor `f` adds at most `M f` a step. It competes with one member
      for all time, and is slow to leave one that was good for long;
    - "best": equal weights of the `select` members with the smallest :math:`L_m`.

    The others than the `select` best get the floor alone. The weights move towards these, but at most by `max_change`:
    half the sum of the absolute changes in one update. A callable `weights_loss` is called once for all rows of an
    update. A loss counts at most 1,000 times the range above, or the recent loss of the median member where that has
    grown beyond: a wrong truth (1e30 for a missing one) does not hide all losses of the next thousand steps. If all
    members are so far off, a warning says so.

    **Members that fail** (they raise, answer in a wrong shape, or with NaN or infinity) are an error that names the
    member, or left out with a warning, if `error_score` is a number: in ``fit``, in a fold or on all rows, for good,
    as if they had been dropped, and the weights of the others are scaled up; in ``predict``, for this call; in
    ``update`` they are given `error_score` as their loss, or the weighted mean loss of the others for NaN, so that they
    keep about the weight that they have. If all fail, the error of the first is raised, and the ensemble stays as it
    was.

    **Metadata.** Metadata routing decides what members get where it is enabled. Where it is not (the default),
    `sample_weight` goes to all members, `groups` and `context` to those whose method names them in its signature. A
    member that takes no `sample_weight`, or a pipeline that cannot pass on what its last step accepts, is an error.
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
    weight_history_: NDArray[np.float64]
    history_steps_: NDArray[np.int64]
    recent_losses_: NDArray[np.float64]

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "estimators": [list],
        "weights": [None, StrOptions({"auto", "inverse_loss", "dynamic", "equal"}), "array-like"],
        "shrinkage": [StrOptions({"auto"}), Interval(Real, 0.0, 1.0, closed="both")],
        "cv": ["cv_object"],
        "update_rule": [StrOptions(set(RULES))],
        "half_life": [Interval(Real, 0.0, None, closed="neither")],
        "select": [None, Interval(Integral, 1, None, closed="left")],
        "min_weight": [StrOptions({"auto"}), Interval(Real, 0.0, 1.0, closed="both")],
        "max_change": [Interval(Real, 0.0, 1.0, closed="right")],
        "initial_weights": [StrOptions({"out_of_fold", "equal"})],
        "error_score": [StrOptions({"raise"}), Real],
        "n_jobs": [None, Integral],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimators: Sequence[tuple[str, Any]],
        *,
        weights: ArrayLike | Literal["auto", "inverse_loss", "dynamic", "equal"] | None = None,
        weights_loss: str | Callable[..., float] = "auto",
        shrinkage: float | Literal["auto"] = "auto",
        cv: Any = 5,
        update_rule: Literal["exponential", "hedge", "best"] = "exponential",
        half_life: float = 50.0,
        select: int | None = None,
        min_weight: float | Literal["auto"] = "auto",
        max_change: float = 0.2,
        initial_weights: Literal["out_of_fold", "equal"] = "out_of_fold",
        error_score: float | Literal["raise"] = "raise",
        n_jobs: int | None = None,
        verbose: bool | int = False,
    ) -> None:
        self.estimators = estimators
        self.weights = weights
        self.weights_loss = weights_loss
        self.shrinkage = shrinkage
        self.cv = cv
        self.update_rule = update_rule
        self.half_life = half_life
        self.select = select
        self.min_weight = min_weight
        self.max_change = max_change
        self.initial_weights = initial_weights
        self.error_score = error_score
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _learns_weights(self):
        """Return whether `fit` looks for the best weights on out-of-fold predictions."""
        return isinstance(self.weights, str) and self.weights in ("auto", "inverse_loss")

    def _is_dynamic(self):
        return isinstance(self.weights, str) and self.weights == "dynamic"

    def _needs_folds(self):
        """Return whether `fit` makes out-of-fold predictions."""
        starts_there = self._is_dynamic() and self.initial_weights == "out_of_fold"
        return self._learns_weights() or starts_there or getattr(self, "calibration", None) is not None


class ClassifierParameters(EnsembleParameters):
    """Parameters of a weighted ensemble of classifiers.

    Parameters
    ----------
    calibration : {None, "sigmoid", "isotonic"}, default=None
        How the mixed probabilities are calibrated, on out-of-fold predictions: not at all, by a logistic function of
        their log-odds [Platt1999]_, or by an increasing step function [Zadrozny2002]_, which wants more rows.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **EnsembleParameters._parameter_constraints,
        "calibration": [None, StrOptions({"sigmoid", "isotonic"})],
    }

    def __init__(
        self,
        estimators: Sequence[tuple[str, Any]],
        *,
        weights: ArrayLike | Literal["auto", "inverse_loss", "dynamic", "equal"] | None = None,
        weights_loss: str | Callable[..., float] = "auto",
        shrinkage: float | Literal["auto"] = "auto",
        cv: Any = 5,
        update_rule: Literal["exponential", "hedge", "best"] = "exponential",
        half_life: float = 50.0,
        select: int | None = None,
        min_weight: float | Literal["auto"] = "auto",
        max_change: float = 0.2,
        initial_weights: Literal["out_of_fold", "equal"] = "out_of_fold",
        error_score: float | Literal["raise"] = "raise",
        n_jobs: int | None = None,
        verbose: bool | int = False,
        calibration: Literal["sigmoid", "isotonic"] | None = None,
    ) -> None:
        super().__init__(
            estimators,
            weights=weights,
            weights_loss=weights_loss,
            shrinkage=shrinkage,
            cv=cv,
            update_rule=update_rule,
            half_life=half_life,
            select=select,
            min_weight=min_weight,
            max_change=max_change,
            initial_weights=initial_weights,
            error_score=error_score,
            n_jobs=n_jobs,
            verbose=verbose,
        )
        self.calibration = calibration


complete_docstring(ClassifierParameters, EnsembleParameters)
