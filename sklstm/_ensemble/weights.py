"""Weights of an ensemble: given by the user, or the best point of the simplex."""

import numpy as np
from scipy.optimize import nnls
from sklearn.exceptions import ConvergenceWarning

from sklstm._warn import warn_user


def read_weights(weights, kept):
    """Check given weights and scale them to sum 1.

    Parameters
    ----------
    weights : array-like of shape (n_estimators,) or None
        Non-negative numbers; None for equal ones.
    kept : list of bool
        Which of the estimators are not dropped.

    Returns
    -------
    weights : ndarray of shape (n_members,)
        Weights of the members that are kept.

    Raises
    ------
    ValueError
        If they are no weights, or not one for each estimator.
    """
    if weights is None:
        return np.full(sum(kept), 1.0 / sum(kept))
    try:
        given = np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"weights must be numbers, got {weights!r}.") from error
    if given.shape != (len(kept),):
        raise ValueError(
            f"weights must hold one number for each of the {len(kept)} estimators, got shape {given.shape}."
        )
    given = given[kept]
    if not np.isfinite(given).all() or given.min() < 0.0 or given.max() == 0.0:
        raise ValueError(
            "weights must be finite and non-negative, at least one of them positive among the "
            f"members that are not dropped, got {weights!r}."
        )
    return given / given.sum()


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
