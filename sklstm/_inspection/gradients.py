"""Gradients of the answers of a fitted model by its inputs, and attributions integrated from them."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval

from sklstm._base import BaseRNN
from sklstm._inspection.explained import ExplainedModel, check_output
from sklstm._inspection.windows import Windows
from sklstm._typing import AnswerMethod, checks_arguments
from sklstm._validation import naming
from sklstm._warn import warn_user

FEWEST_POINTS = 8
_COMMON: dict[str, list[Any]] = {
    "output": [Integral, tuple, None],
    "response_method": [str],
    "samples": ["array-like", None],
}


@checks_arguments(_COMMON)
def input_gradients(
    model: BaseRNN,
    X: ArrayLike,
    *,
    output: int | tuple[int, ...] | None = None,
    response_method: AnswerMethod = "auto",
    groups: ArrayLike | None = None,
    context: ArrayLike | None = None,
    context_groups: ArrayLike | None = None,
    samples: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Gradient of each prediction by each row and column of the window that it is made from.

    Parameters
    ----------
    model : estimator
        A fitted regressor or classifier of this package with one network (or `n_seeds`).
    X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
        As in `predict`.
    output : int or tuple of int, default=None
        Position of one number in the answer for a sample: a target, a step of a horizon, a class in the order of
        `classes_`; None for all of them.
    response_method : {"auto", "predict", "predict_quantiles", "predict_proba", "predict_log_proba"}, default="auto"
        Whose answers are differentiated; "auto" for `predict` of a regressor and `predict_proba` of a classifier.
    groups : array-like of shape (n_samples,), default=None
        One label per row of a table.
    context : array-like of shape (n_rows, n_features), default=None
        The rows that came right before a table X.
    context_groups : array-like of shape (n_rows,), default=None
        With groups, the label of each row of `context`.
    samples : array-like of int, default=None
        Rows of a table (sequences of a set) whose predictions are differentiated; None for all. The windows are those
        in X as a whole.

    Returns
    -------
    ndarray of shape (n_samples, n_steps, n_features), or (n_samples, ..., n_steps, n_features)
        Entry (i, -1 - k, j) is the change of prediction i for a change by 1 of column j, k rows before row i: in the
        unit of the prediction over that of the column, whatever scaling the model does inside. `n_steps` is the length
        of the longest window; zeros stand in front of shorter ones. Where an answer has several numbers and `output`
        is None, their axes come after the first. With ``targets="sequence"``, the answer for the last step of each
        sequence.

    Raises
    ------
    ValueError
        For a quantised model, `zoneout`, a cell that reads the time between rows, and a decoder that reads rows ahead:
        there these gradients do not exist, or are not computed.

    See Also
    --------
    integrated_gradients : Attributions that sum to the prediction.
    permutation_importance : Columns and lags by what the score loses without them.

    Notes
    -----
    Computed in float64, whatever the `dtype` of the model: the derivative of the function that its parameters describe,
    without the rounding of float32 or bfloat16. The mean over several networks (`n_seeds`), the order of quantiles, the
    shares of a softmax, `window_norm` and the linear part are differentiated, too. Where two quantiles meet, or a
    conformal band is cut, the derivative is one from a side.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.inspection import input_gradients
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(400, 3))
    >>> y = np.roll(X[:, 1], 2)  # the second column, two rows before
    >>> model = DeepRNNRegressor(hidden_size=8, sequence_length=4, random_state=0).fit(X, y)
    >>> gradients = input_gradients(model, X)
    >>> gradients.shape
    (400, 4, 3)
    >>> size = np.abs(gradients).mean(axis=0)
    >>> np.unravel_index(size.argmax(), size.shape)  # two rows before the last of four, the second column
    (np.int64(1), np.int64(1))
    """
    explained = ExplainedModel(model, "input_gradients", response_method)
    indices, shape = check_output(output, explained.answers.shape)
    n_samples, n_rows, batches = explained.windows(X, groups, context, context_groups, samples)
    explained.refuse_large(n_samples, n_rows, len(indices))
    found = np.empty((n_samples, len(indices), n_rows, explained.n_features))
    for places, windows in batches:
        _, unit = explained.column_units(windows)
        _, gradients = explained.gradients(windows, indices)
        for k, gradient in enumerate(gradients):
            found[places, k] = gradient / unit[:, np.newaxis]
    return found.reshape(n_samples, *shape, n_rows, explained.n_features)


@checks_arguments(
    {
        **_COMMON,
        "baseline": ["array-like", None],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "max_points": [Interval(Integral, FEWEST_POINTS, None, closed="left")],
    }
)
def integrated_gradients(
    model: BaseRNN,
    X: ArrayLike,
    *,
    baseline: ArrayLike | None = None,
    output: int | tuple[int, ...] | None = None,
    response_method: AnswerMethod = "auto",
    groups: ArrayLike | None = None,
    context: ArrayLike | None = None,
    context_groups: ArrayLike | None = None,
    samples: ArrayLike | None = None,
    tol: float = 1e-4,
    max_points: int = 256,
) -> Any:
    r"""Integrated gradients: what each row and column of a window adds to a prediction, against a baseline.

    The attributions of a sample sum to the prediction less that for the baseline, within `tol` [1]_.

    Parameters
    ----------
    model : estimator
        A fitted regressor or classifier of this package with one network (or `n_seeds`).
    X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
        As in `predict`.
    baseline : array-like of shape (n_features,) or (n_rows, n_features), default=None
        The window that predictions are compared with, in the unit of X: one row, repeated, or rows whose last one is
        that of the prediction, at least as many as the longest window has. None for the mean of the training rows,
        `input_mean_` (zeros with ``input_scaling=None``), with `group_scaling` in the unit of each group.
    output : int or tuple of int, default=None
        Position of one number in the answer for a sample; None for all of them.
    response_method : {"auto", "predict", "predict_quantiles", "predict_proba", "predict_log_proba"}, default="auto"
        Whose answers are attributed; "auto" for `predict` of a regressor and `predict_proba` of a classifier.
    groups : array-like of shape (n_samples,), default=None
        One label per row of a table.
    context : array-like of shape (n_rows, n_features), default=None
        The rows that came right before a table X.
    context_groups : array-like of shape (n_rows,), default=None
        With groups, the label of each row of `context`.
    samples : array-like of int, default=None
        Rows of a table (sequences of a set) whose predictions are attributed; None for all.
    tol : float, default=1e-4
        Largest error of the sum of a sample's attributions, as a share of the sum of their sizes. The number of points
        of the integral is doubled until it is met.
    max_points : int, default=256
        Largest number of points, at least 8. A warning says where the tolerance is not met by then.

    Returns
    -------
    result : :class:`~sklearn.utils.Bunch`
        With the attributes:

        attributions : ndarray of shape (n_samples, n_steps, n_features), or (n_samples, ..., n_steps, n_features)
            In the unit of the prediction, laid out as by `input_gradients`: the last row of each window at the end,
            zeros before its first one.
        predictions, baseline_predictions : ndarray of shape (n_samples,) or (n_samples, ...)
            Of the windows and of the baseline, computed in float64.
        errors : ndarray of shape (n_samples,) or (n_samples, ...)
            Sum of the attributions, less prediction plus baseline prediction.
        n_points : ndarray of shape (n_samples,)
            Points that the integral of each sample took.

    See Also
    --------
    input_gradients : The gradients themselves.
    AttributionDisplay : A picture of attributions by column and time step.

    Notes
    -----
    With x for the window and b for the baseline, the attribution of an entry is

    .. math::
        (x_{tj} - b_{tj}) \int_0^1 \frac{\partial f}{\partial x_{tj}}\bigl(b + a (x - b)\bigr) \, da,

    by Gauss-Legendre quadrature, which takes few points where the model is smooth on the way. Where it has corners
    there (rectified units, quantiles that cross) the error shrinks only with the number of points. Attributions compare
    with a baseline, and do not say what would happen if a column had not been there: columns that move together share
    what they do.

    References
    ----------
    .. [1] M. Sundararajan, A. Taly and Q. Yan, "Axiomatic Attribution for Deep Networks", ICML 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.inspection import integrated_gradients
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(400, 3))
    >>> y = np.roll(X[:, 1], 2)  # the second column, two rows before
    >>> model = DeepRNNRegressor(hidden_size=8, sequence_length=4, random_state=0).fit(X, y)
    >>> result = integrated_gradients(model, X, samples=[100, 200])
    >>> result.attributions.shape
    (2, 4, 3)
    >>> bool(np.abs(result.errors).max() < 1e-3)
    True
    """
    explained = ExplainedModel(model, "integrated_gradients", response_method)
    indices, shape = check_output(output, explained.answers.shape)
    n_samples, n_rows, batches = explained.windows(X, groups, context, context_groups, samples)
    explained.refuse_large(n_samples, n_rows, len(indices))
    baseline = _check_baseline(baseline, n_rows, explained.n_features)
    attributions = np.empty((n_samples, len(indices), n_rows, explained.n_features))
    predictions, at_baseline, errors = np.empty((3, n_samples, len(indices)))
    n_points = np.empty(n_samples, np.intp)
    for places, windows in batches:
        found = _integrate(explained, windows, _at_baseline(explained, windows, baseline), indices, tol, max_points)
        attributions[places], predictions[places], at_baseline[places], errors[places], n_points[places] = found
    sizes = np.abs(attributions).sum(axis=(2, 3))
    missed = (np.abs(errors) > tol * sizes).any(axis=1)
    if missed.any():
        warn_user(
            f"integrated_gradients: the attributions of {missed.sum()} of {n_samples} samples do not sum to their "
            f"prediction within tol={tol:g} after {max_points} points; see `errors`, and set a larger max_points."
        )
    return Bunch(
        attributions=attributions.reshape(n_samples, *shape, n_rows, explained.n_features),
        predictions=predictions.reshape(n_samples, *shape),
        baseline_predictions=at_baseline.reshape(n_samples, *shape),
        errors=errors.reshape(n_samples, *shape),
        n_points=n_points,
    )


def _check_baseline(baseline, n_rows, n_features):
    """Return a baseline of shape (1, n_features) or (n_rows, n_features), or None."""
    if baseline is None:
        return None
    with naming("baseline"):
        rows = np.asarray(baseline, np.float64)
    if rows.ndim not in (1, 2) or rows.shape[-1] != n_features:
        raise ValueError(
            f"baseline has shape {rows.shape}, expected ({n_features},) or (n_rows, {n_features}): a number for each "
            "column of X, or rows of them."
        )
    if not np.isfinite(rows).all():
        raise ValueError("baseline holds NaN or infinity, expected finite numbers in the unit of X.")
    if rows.ndim == 1:
        return rows[np.newaxis]
    if len(rows) < n_rows:
        raise ValueError(f"baseline has {len(rows)} rows, but the longest window has {n_rows}.")
    return rows[-n_rows:]


def _at_baseline(explained, windows, baseline):
    """Return the windows with the baseline in each of their rows."""
    if baseline is None:
        rows = np.broadcast_to(explained.neutral_row(), windows.rows.shape)
    else:
        mean, unit = explained.column_units(windows)
        rows = (baseline - mean[:, np.newaxis]) / unit[:, np.newaxis]
    return Windows(np.where(windows.present, rows, 0.0), windows.lengths, windows.places)


def _integrate(explained, windows, start, indices, tol, max_points):
    """Return attributions, predictions, those at the baseline, errors and numbers of points of some windows."""
    n, (n_rows, n_features) = len(windows.rows), windows.rows.shape[1:]
    chosen = tuple(np.array([index[k] for index in indices]) for k in range(len(indices[0])))
    values, at_start = (
        explained.values(one)[(slice(None), *chosen)].reshape(n, len(indices)) for one in (windows, start)
    )
    attributions, errors = np.empty((n, len(indices), n_rows, n_features)), np.empty((n, len(indices)))
    n_points, pending, points = np.empty(n, np.intp), np.arange(n), FEWEST_POINTS
    while len(pending):
        own = [None if one is None else one[pending] for one in (windows.lengths, windows.places)]
        begin, way = start.rows[pending], windows.rows[pending] - start.rows[pending]
        total = np.zeros((len(pending), len(indices), n_rows, n_features))
        nodes, weights = np.polynomial.legendre.leggauss(points)
        for node, weight in zip(0.5 + 0.5 * nodes, 0.5 * weights, strict=True):
            _, gradients = explained.gradients(Windows(begin + node * way, *own), indices)
            for k, gradient in enumerate(gradients):
                total[:, k] += weight * gradient
        total *= way[:, np.newaxis]
        attributions[pending], n_points[pending] = total, points
        errors[pending] = total.sum(axis=(2, 3)) - (values - at_start)[pending]
        met = (np.abs(errors[pending]) <= tol * np.abs(total).sum(axis=(2, 3))).all(axis=1)
        pending, points = pending[~met], 2 * points
        if points > max_points:
            break
    return attributions, values, at_start, errors, n_points
