"""The next values of each row, as targets."""

from __future__ import annotations

import sys
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sklstm._time_order import check_order, check_same_rows
from sklstm._validation import check_container, check_groups, naming, refuse_masked


def make_horizon(
    y: Any, horizon: int, *, gap: int = 0, groups: ArrayLike | None = None
) -> tuple[NDArray[np.bool_], Any]:
    """Turn a series into the targets of a forecast: the next `horizon` values of each row.

    Row `i` gets ``y[i + 1 + gap]`` to ``y[i + gap + horizon]``. The newest rows, whose future is not
    known yet, have no targets: they are the ones to predict.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_targets), Series or DataFrame
        The series, oldest value first; several columns for several targets; with `groups`, the
        series one below the other.
    horizon : int
        Number of values ahead, at least 1.
    gap : int, default=0
        Number of values that are passed over between a row and its first target. A forecast that is
        made at noon for the hours of the next day has ``gap=11, horizon=24``.
    groups : array-like of shape (n_samples,), default=None
        Series of each row, one contiguous block for each. No target comes from another series.

    Returns
    -------
    rows : ndarray of shape (n_samples,), dtype bool
        Which rows have all their targets in `y`: ``X[rows]`` are the rows to train on, ``X[~rows]``
        the newest ``horizon + gap`` rows (of each series). It indexes arrays, DataFrames and `groups`.
    Y : ndarray or DataFrame of shape (n_rows, horizon), or ndarray of shape (n_rows, horizon, n_targets)
        Targets of these rows, in their order. With one axis more for a `y` of two axes, even of one
        column. For a Series, a DataFrame with its index, whose columns say how many rows ahead each
        value is. Without `groups`, the values are a read-only view of `y`, whatever `horizon` is.

    Raises
    ------
    TypeError, ValueError
        If an argument has another type or shape, or if no row has all its targets.

    See Also
    --------
    PurgedTimeSeriesSplit : Folds for such targets, where none reaches into the test part.

    Notes
    -----
    Forecasting packages hold windows and targets in data sets of their own; here both stay tables of
    the same rows, so that everything of scikit-learn goes on working, and the windows are made by the
    network. That is why `rows` never leaves out a row in the middle, which would tear windows apart.
    A missing value in `y` stays NaN in `Y`: fit with ``sample_weight=np.isfinite(Y)`` (an
    ensemble: ``np.isfinite(Y).all(axis=1)``), and only what is missing is not learnt.

    A pandas index out of order, with holes, or with several series and no `groups` is reported by a
    `TimeOrderWarning`, as in `fit`: the next rows are then not the next hours or days.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.model_selection import make_horizon
    >>> rows, Y = make_horizon([10, 11, 12, 13, 14], 2)
    >>> Y
    array([[11, 12],
           [12, 13],
           [13, 14]])
    >>> np.flatnonzero(~rows)
    array([3, 4])

    In use, with a table `X` of the same rows, for the newest row:

    >>> from sklstm import DeepLSTMRegressor
    >>> X = np.sin(np.arange(400) / 4)[:, np.newaxis]
    >>> rows, Y = make_horizon(X[:, 0], 24)
    >>> model = DeepLSTMRegressor(8, max_iter=2, random_state=0).fit(X[rows], Y)
    >>> model.predict(X[-1:], context=X[:-1]).shape
    (1, 24)
    """
    horizon, gap = _count("horizon", horizon, 1), _count("gap", gap, 0)
    values = _read_values(y)
    n_samples, reach = len(values), horizon + gap
    check_same_rows(y, groups, "groups", "y")
    blocks = check_groups(groups, n_samples, "y", "groups")
    check_order(y, blocks, "y", holes=True)
    blocks = np.array([0, n_samples]) if blocks is None else blocks
    rows_ahead = np.repeat(blocks[1:], np.diff(blocks)) - np.arange(n_samples) - 1
    rows = rows_ahead >= reach
    if not rows.any():
        longest = np.diff(blocks).max()
        raise ValueError(
            f"No row has all its targets: horizon={horizon} and gap={gap} need series of at least {reach + 1} rows, "
            f"{'y' if groups is None else 'the longest one of y'} has {longest}."
        )
    ahead = np.lib.stride_tricks.sliding_window_view(values[1 + gap :], horizon, axis=0)
    ahead = ahead[: n_samples - reach] if groups is None else ahead[rows[: len(ahead)]]
    ahead = np.moveaxis(ahead, -1, 1)
    if not hasattr(y, "iloc") or ahead.ndim == 3:
        return rows, ahead
    pandas = sys.modules["pandas"]
    steps = pandas.RangeIndex(1 + gap, 1 + gap + horizon, name="rows ahead")
    return rows, pandas.DataFrame(ahead, index=y.index[rows], columns=steps, copy=False)


def _count(name, number, least):
    """Return a whole number, or raise."""
    if not isinstance(number, Integral) or isinstance(number, bool | np.bool_):
        raise TypeError(f"{name} must be a whole number, got {number!r}.")
    if number < least:
        raise ValueError(f"{name} must be at least {least}, got {number}.")
    return int(number)


def _read_values(y):
    """Return the values of one or several series as an array."""
    refuse_masked(y, "y")
    y = check_container(y, "y")
    with naming("y"):
        values = np.asarray(y)
    if values.dtype == object and hasattr(y, "iloc"):  # columns of numbers with pandas.NA
        kinds = [y.dtype] if values.ndim == 1 else list(y.dtypes)
        if all(getattr(kind, "kind", "O") in "iufb" for kind in kinds):
            values = y.to_numpy(np.float64, na_value=np.nan)
    if values.ndim not in (1, 2) or 0 in values.shape[1:]:
        raise ValueError(
            f"y must be a series (n_samples,), or a table (n_samples, n_targets) of several, got shape {values.shape}."
        )
    return values
