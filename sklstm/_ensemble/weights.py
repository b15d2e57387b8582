"""Weights of an ensemble: folds that go forward in time, and the best point of the simplex."""

import warnings
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import TimeSeriesSplit
from sklearn.utils import _safe_indexing


class Fold(NamedTuple):
    """One forward fold; all three are sorted row numbers.

    `history` starts where `train` starts and ends where `test` ends, in every group. Members are
    asked for all of it and only the rows of `test` are kept: so a member that looks back finds the
    rows that came before, which it would also find in use.
    """

    train: np.ndarray
    test: np.ndarray
    history: np.ndarray


def take_rows(values, rows):
    """Select rows of anything that has rows, as a view where the rows are consecutive.

    Parameters
    ----------
    values : array-like, DataFrame, sparse matrix or list
        What has one entry per row.
    rows : ndarray of shape (n_selected,)
        Sorted row numbers, at least one.

    Returns
    -------
    selected : same type as `values`
        The rows asked for, in their order.
    """
    first, last = int(rows[0]), int(rows[-1])
    if last - first + 1 == len(rows):
        return _safe_indexing(values, slice(first, last + 1))
    return _safe_indexing(values, rows)


def _check_forward(folds, cv):
    for number, (train, test) in enumerate(folds):
        if len(train) == 0 or len(test) == 0:
            raise ValueError(f"cv={cv!r} gave an empty part in fold {number}.")
        if train.max() >= test.min():
            raise ValueError(
                "weights='auto' needs folds that go forward in time, every test row after every "
                f"training row of its group; fold {number} of cv={cv!r} trains on row "
                f"{train.max()} and tests row {test.min()}. Use TimeSeriesSplit."
            )


def _split_groups(splitter, X, y, blocks):
    """Split each group on its own; a group with too few rows is left out, with a warning."""
    per_group, refusals = [], []
    for rows in blocks:
        try:
            parts = list(splitter.split(take_rows(X, rows), take_rows(y, rows)))
        except ValueError as error:  # how a splitter says that there are too few rows
            refusals.append(error)
        else:
            per_group.append([(rows[train], rows[test]) for train, test in parts])
    if refusals and not per_group:
        raise ValueError(f"No group can be split for weights='auto': {refusals[0]}") from refusals[
            0
        ]
    if refusals:
        warnings.warn(
            f"{len(refusals)} of {len(blocks)} groups take no part in the search for the weights: "
            f"{refusals[0]}",
            UserWarning,
            stacklevel=2,
        )
    return per_group


def forward_folds(cv, X, y, blocks=None):
    """Cut a table into folds whose test rows lie after their training rows.

    Parameters
    ----------
    cv : int or splitter
        Number of folds of a :class:`~sklearn.model_selection.TimeSeriesSplit`, or a splitter.
    X : array-like, DataFrame or list of length n_samples
        Rows in the order of time.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Target, handed to the splitter.
    blocks : list of ndarray, default=None
        Row numbers of each group. Every group is split on its own, and fold number k is made of the
        k-th fold of every group. None: all rows are one series.

    Returns
    -------
    folds : list of Fold
        In the order of the splitter.

    Raises
    ------
    ValueError
        If a fold does not go forward, if the groups give different numbers of folds, or if there
        is nothing to split.
    """
    splitter = TimeSeriesSplit(cv) if isinstance(cv, int | np.integer) else cv
    if blocks is None:
        per_group = [list(splitter.split(X, y))]
    else:
        per_group = _split_groups(splitter, X, y, blocks)
    if len({len(folds) for folds in per_group}) > 1:
        raise ValueError(f"cv={cv!r} must give every group the same number of folds.")
    if not per_group[0]:
        raise ValueError(f"cv={cv!r} gave no fold.")
    for folds in per_group:
        _check_forward(folds, cv)
    merged = []
    for parts in zip(*per_group, strict=True):
        train = np.concatenate([np.sort(train) for train, _ in parts])
        test = np.concatenate([np.sort(test) for _, test in parts])
        history = np.concatenate([np.arange(train.min(), test.max() + 1) for train, test in parts])
        merged.append(Fold(train, test, history))
    return merged


def simplex_least_squares(errors, sample_weight=None):
    """Find the mixture of members with the smallest sum of squared errors.

    Parameters
    ----------
    errors : ndarray of shape (n_rows, n_members)
        Target minus prediction of each member.
    sample_weight : ndarray of shape (n_rows,), default=None
        Non-negative weight of each row.

    Returns
    -------
    weights : ndarray of shape (n_members,)
        Non-negative, of sum 1, the minimum of ``sum((errors @ weights) ** 2)``.

    Notes
    -----
    Weights of sum 1 mix errors as they mix predictions, so the problem is homogeneous but for the
    sum. With ``q(w)`` the sum of squares and ``s`` the free length of a vector ``u = s * w``, the
    unconstrained non-negative problem ``q(u) + (1 - sum(u)) ** 2`` has for each direction the minimum
    ``q(w) / (1 + q(w))``, which rises with ``q(w)``: its direction is the answer, without error.
    """
    if sample_weight is not None:
        errors = errors * np.sqrt(sample_weight)[:, None]
    triangle = np.linalg.qr(errors, mode="r")
    norms = np.sqrt((triangle**2).sum(axis=0))
    # The unit is the best member's error: then both terms below are of size 1 at the answer.
    unit = norms.min()
    if unit == 0.0:
        return (norms == 0.0) / np.count_nonzero(norms == 0.0)
    system = np.vstack([triangle / unit, np.ones(errors.shape[1])])
    length, _ = nnls(system, np.r_[np.zeros(len(triangle)), 1.0])
    return length / length.sum()


def simplex_log_loss(likelihoods, sample_weight=None, *, tol=1e-10, max_iter=100):
    """Find the mixture of members with the smallest log loss.

    Parameters
    ----------
    likelihoods : ndarray of shape (n_rows, n_members)
        Probability that each member gave to the true class; in each row at least one is positive.
    sample_weight : ndarray of shape (n_rows,), default=None
        Non-negative weight of each row.
    tol : float, default=1e-10
        Bound on what the loss can still fall (nats per row), below which the search ends.
    max_iter : int, default=100
        Most Newton steps; ten are usual.

    Returns
    -------
    weights : ndarray of shape (n_members,)
        Non-negative, of sum 1, the minimum of the weighted mean of ``-log(likelihoods @ weights)``.

    Notes
    -----
    The loss is convex. With ``A`` the likelihoods divided by their mixture, its gradient is
    ``-c = -mean(A)`` and its Hessian ``mean(A' A)``; on the simplex the Newton step is the least squares
    problem with errors ``A - 2``, for which :func:`simplex_least_squares` is exact. By convexity the loss
    lies at most ``max(c) - 1`` above the minimum.
    """
    n_rows, n_members = likelihoods.shape
    share = np.ones(n_rows) if sample_weight is None else sample_weight
    share = share / share.sum()
    weights = np.full(n_members, 1.0 / n_members)
    loss = -share @ np.log(likelihoods @ weights)
    for _ in range(max_iter):
        ratios = likelihoods / (likelihoods @ weights)[:, None]
        descent = share @ ratios
        if descent.max() - 1.0 <= tol:
            return weights
        direction = simplex_least_squares(ratios - 2.0, share) - weights
        slope = descent @ direction
        step = 1.0
        while True:
            candidate = weights + step * direction
            mixture = likelihoods @ candidate
            # A mixture of 0 is an infinite loss: such a step is too long.
            new = -share @ np.log(mixture) if mixture.min() > 0.0 else np.inf
            if new <= loss - 1e-4 * step * slope:
                break
            step *= 0.5
            if step < 1e-12:  # rounding hides what is left to gain
                return weights
        weights, loss = candidate, new
    warnings.warn(
        f"The search for the weights did not settle in {max_iter} steps.",
        ConvergenceWarning,
        stacklevel=2,
    )
    return weights
