"""Searches for the best point of the simplex: weights that are non-negative and sum to 1."""

from itertools import permutations

import numpy as np
from scipy.optimize import minimize, minimize_scalar, nnls
from sklearn.exceptions import ConvergenceWarning

from sklstm._warn import warn_user

PROBE = 1e-4  # share of a member's weight that is moved first


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
    Weights of sum 1 mix errors as they mix predictions, so only the sum of the weights is not
    homogeneous. With ``q(w)`` the sum of squares and ``s`` the free length of a vector ``u = s w``,
    the non-negative problem ``q(u) + (1 - sum(u)) ** 2`` has for each direction the minimum
    ``q(w) / (1 + q(w))``, which rises with ``q(w)``: its direction is the answer, without error.
    """
    # Neither the unit of the errors nor that of the weights matters, but squares might leave the range of a double.
    largest = np.abs(errors).max()
    if largest > 0.0:
        errors = errors / largest
    if sample_weight is not None:
        errors = errors * np.sqrt(sample_weight / sample_weight.max())[:, None]
    triangle = np.linalg.qr(errors, mode="r")
    norms = np.sqrt((triangle**2).sum(axis=0))
    # The unit is the best member's error: then both terms below are of size 1 at the answer.
    unit = norms.min()
    if unit == 0.0:
        return (norms == 0.0) / np.count_nonzero(norms == 0.0)
    system = np.vstack([triangle / unit, np.ones(errors.shape[1])])
    length, _ = nnls(system, np.r_[np.zeros(len(triangle)), 1.0])
    return length / length.sum()


def _log_loss(likelihoods, share, weights):
    mixture = likelihoods @ weights
    return -share @ np.log(mixture) if mixture.min() > 0.0 else np.inf


def simplex_log_loss(likelihoods, sample_weight=None, *, tol=1e-12, max_iter=100):
    """Find the mixture of members with the smallest log loss.

    Parameters
    ----------
    likelihoods : ndarray of shape (n_rows, n_members)
        Probability that each member gave to the true class; in each row at least one is positive.
    sample_weight : ndarray of shape (n_rows,), default=None
        Non-negative weight of each row.
    tol : float, default=1e-12
        Stop when a step is expected to gain less than this (nats per row, to first order).
    max_iter : int, default=100
        Largest number of Newton steps; ten are usual.

    Returns
    -------
    weights : ndarray of shape (n_members,)
        Non-negative, of sum 1, the minimum of the weighted mean of ``-log(likelihoods @ weights)``.

    Notes
    -----
    The loss is convex. With ``A`` the likelihoods divided by their mixture, its gradient is
    ``-mean(A)`` and its Hessian ``mean(A' A)``; on the simplex the Newton step is the least squares
    problem with errors ``A - 2``, for which :func:`simplex_least_squares` is exact.
    """
    n_rows, n_members = likelihoods.shape
    share = np.ones(n_rows) if sample_weight is None else sample_weight / sample_weight.max()
    share = share / share.sum()
    weights = np.full(n_members, 1.0 / n_members)
    loss = _log_loss(likelihoods, share, weights)
    for _ in range(max_iter):
        ratios = likelihoods / (likelihoods @ weights)[:, None]
        direction = simplex_least_squares(ratios - 2.0, share) - weights
        slope = share @ ratios @ direction
        if slope <= tol:
            # So close to the minimum the full step converges quadratically; a line search would only see rounding.
            last = weights + direction
            near = _log_loss(likelihoods, share, last) <= loss + tol
            return last / last.sum() if near else weights
        step = 1.0
        while True:
            candidate = weights + step * direction
            new = _log_loss(likelihoods, share, candidate)
            if new <= loss - 1e-4 * step * slope:
                break
            step *= 0.5
        weights, loss = candidate, new
    warn_user(f"The search for the weights did not converge in {max_iter} steps.", ConvergenceWarning)
    return weights / weights.sum()


def simplex_absolute_error(errors, sample_weight=None, *, tol=1e-7, max_iter=500):
    """Find the mixture of members with the smallest sum of absolute errors.

    Parameters
    ----------
    errors : ndarray of shape (n_rows, n_members)
        Target minus prediction of each member.
    sample_weight : ndarray of shape (n_rows,), default=None
        Non-negative weight of each row.
    tol : float, default=1e-7
        Stop when a step gains less than this share of the loss.
    max_iter : int, default=500
        Largest number of steps.

    Returns
    -------
    weights : ndarray of shape (n_members,)
        Non-negative, of sum 1, a minimum of ``sum(abs(errors @ weights))``, whose value is right to about 1e-4 of it.

    Notes
    -----
    Iteratively reweighted least squares: ``sqrt(e ** 2 + width ** 2)`` lies below the parabola that touches it at the
    last errors, and each parabola is solved by :func:`simplex_least_squares`, so that the loss falls at every step.
    The width is lowered until it is far below the errors.
    """
    largest = np.abs(errors).max()
    if largest == 0.0:
        return simplex_least_squares(errors)
    errors = errors / largest
    share = np.ones(len(errors)) if sample_weight is None else sample_weight / sample_weight.max()
    share = share / share.sum()
    weights = simplex_least_squares(errors, share)
    best, best_loss = weights, share @ np.abs(errors @ weights)
    for width in best_loss * np.array([1e-1, 1e-2, 1e-3, 1e-5]):
        if width == 0.0:
            break  # a member, or a mixture, without any error
        last = np.inf
        for _ in range(max_iter):
            size = np.hypot(errors @ weights, width)
            loss = share @ size
            if last - loss <= tol * loss:
                break
            last = loss
            weights = simplex_least_squares(errors, share / size)
        loss = share @ np.abs(errors @ weights)
        if loss < best_loss:
            best, best_loss = weights, loss
    return best


def simplex_search(value, n_members, *, start=None, tol=1e-6, max_sweeps=20):
    """Find a mixture with a small loss, of which nothing but its value is known.

    Parameters
    ----------
    value : callable
        Loss of weights.
    n_members : int
        Number of weights.
    start : ndarray of shape (n_members,), default=None
        Where to begin, if that is better than equal weights and each member alone.
    tol : float, default=1e-6
        Stop when a sweep gains less than this share of the loss.
    max_sweeps : int, default=20
        Largest number of sweeps.

    Returns
    -------
    weights : ndarray of shape (n_members,)
        Non-negative, of sum 1: the minimum where the loss is convex and smooth, else no worse than equal weights and
        each member alone.

    Notes
    -----
    Sequential quadratic programming with numerical derivatives, then sweeps over all pairs of members, between which
    weight is moved as long as that helps. Both are deterministic.
    """
    corners = [*np.eye(n_members), np.full(n_members, 1.0 / n_members)]
    candidates = corners if start is None else [*corners, start]
    losses = [value(weights) for weights in candidates]
    best = candidates[int(np.argmin(losses))]
    loss = min(losses)
    if not np.isfinite(loss) or n_members == 1:
        return best
    for begin in (best, corners[-1]):
        if np.isfinite(value(begin)):
            weights = _slope_down(value, begin)
            if value(weights) < loss:
                best, loss = weights, value(weights)
    for _ in range(max_sweeps):
        before = loss
        for giver, taker in permutations(range(n_members), 2):
            best, loss = _move_weight(value, best, loss, giver, taker)
        if before - loss <= tol * abs(before):
            break
    return best / best.sum()


def _slope_down(value, weights):
    """Return where sequential quadratic programming ends, on the simplex."""
    with np.errstate(all="ignore"):
        found = minimize(
            value,
            weights,
            method="SLSQP",
            bounds=[(0.0, 1.0)] * len(weights),
            constraints={"type": "eq", "fun": lambda w: w.sum() - 1.0, "jac": np.ones_like},
        ).x
    found = np.maximum(found, 0.0)
    return found / found.sum() if np.isfinite(found).all() and found.sum() > 0.0 else weights


def _move_weight(value, weights, loss, giver, taker):
    """Return the weights and their loss after the best move of weight from one member to another."""
    if weights[giver] <= 0.0:
        return weights, loss

    def moved(amount):
        candidate = weights.copy()
        candidate[giver] -= amount
        candidate[taker] += amount
        return candidate

    everything = weights[giver]
    amounts = [everything]
    if value(moved(PROBE * everything)) < loss:  # else a convex loss falls nowhere on the way
        amounts.append(
            minimize_scalar(
                lambda amount: value(moved(amount)),
                bounds=(0.0, everything),
                method="bounded",
                options={"xatol": PROBE * everything},
            ).x
        )
    losses = [value(moved(amount)) for amount in amounts]
    best = int(np.argmin(losses))
    return (moved(amounts[best]), losses[best]) if losses[best] < loss else (weights, loss)
