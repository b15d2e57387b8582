"""Splits in the order of time that keep the targets of training rows out of the test part."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import BaseCrossValidator
from sklearn.model_selection._split import GroupsConsumerMixin
from sklearn.utils.validation import _num_samples

from sklstm._model_selection.places import is_number, last_places, place_after, place_before, place_within, test_bounds
from sklstm._model_selection.times import find_times, series_of_rows
from sklstm._time_order.times import RowTimes

Rows = NDArray[np.intp]


class TimeSplit(BaseCrossValidator):
    """Base class of the splits; use a derived class, which says where the rows lie in time.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds.
    horizon : int, default=0
        Rows that targets look ahead.
    gap : int, default=0
        Left out before the test part.
    embargo : int, default=0
        Left out after the test part.
    test_size : int or None, default=None
        Size of each test part.
    max_train_size : int or None, default=None
        Largest size of a training part.
    train : {"before", "around"}, default="before"
        Where the training rows lie.
    """

    _takes_lengths_of_time = False
    _unit = "rows"

    def __init__(
        self,
        n_splits: int = 5,
        *,
        horizon: int = 0,
        gap: Any = 0,
        embargo: Any = 0,
        test_size: Any = None,
        max_train_size: Any = None,
        train: Literal["before", "around"] = "before",
    ) -> None:
        if train not in ("before", "around"):
            raise ValueError(f"train must be 'before' or 'around', got {train!r}.")
        self._check_length("n_splits", n_splits, 1 if train == "before" else 2, of_time=False)
        self._check_length("horizon", horizon, 0, of_time=False)
        self._check_length("gap", gap, 0)
        self._check_length("embargo", embargo, 0)
        for name, size in (("test_size", test_size), ("max_train_size", max_train_size)):
            if size is not None:
                self._check_length(name, size, 1)
                if train == "around":
                    raise ValueError(
                        f"{name}={size!r} goes with train='before': with 'around' the test parts are all rows, cut "
                        "into n_splits parts, and every fold trains on all other rows."
                    )
        self.n_splits = n_splits
        self.horizon = horizon
        self.gap = gap
        self.embargo = embargo
        self.test_size = test_size
        self.max_train_size = max_train_size
        self.train = train

    def _check_length(self, name, length, least, *, of_time=True):
        """Refuse what is no number of rows (or no length of time, where those are taken)."""
        of_time = of_time and self._takes_lengths_of_time
        if of_time and isinstance(length, timedelta | np.timedelta64):
            if not length >= 0 * length or (least > 0 and length == 0 * length):
                raise ValueError(f"{name} must be a {'positive' if least else 'non-negative'} time, got {length!r}.")
        elif not is_number(length) or isinstance(length, bool | np.bool_):
            kinds = "a whole number or a timedelta" if of_time else "a whole number"
            raise TypeError(f"{name} must be {kinds}, got {length!r}.")
        elif length < least:
            raise ValueError(f"{name} must be at least {least}, got {length}.")

    def _folds(self, times: Any, places: Rows, ends: Rows) -> Iterator[tuple[Rows, Rows]]:
        """Yield the rows of each fold, given the distinct times, and for each row its place and its target's end."""
        if self.train == "around":
            bounds = len(times) * np.arange(self.n_splits + 1) // self.n_splits
        else:
            bounds = test_bounds(times, self.n_splits, self.test_size)
        for number, (first, after) in enumerate(itertools.pairwise(bounds)):
            is_test = (places >= first) & (places < after) if first >= 0 else np.zeros(len(places), bool)
            is_train = np.zeros_like(is_test)
            if is_test.any():
                is_train = self._before(times, places, ends, first)
                if self.train == "around":
                    is_train |= places >= place_after(times, ends[is_test].max(), self.embargo)
            if not is_train.any():
                self._refuse(number, len(times), is_test.any())
            yield np.flatnonzero(is_train), np.flatnonzero(is_test)

    def _before(self, times, places, ends, first):
        """Return which rows come before the test part, with their targets, after what is to be left out."""
        is_train = (ends < first) & (places < place_before(times, first, self.gap))
        if self.max_train_size is not None and is_train.any():
            last = places[is_train].max()
            is_train &= places >= place_within(times, last, self.max_train_size)
        return is_train

    def _refuse(self, number, n_places, has_test):
        raise ValueError(
            f"Fold {number} of {self.n_splits} has no {'training' if has_test else 'test'} rows: X has {n_places} "
            f"{self._unit}. Take fewer folds (n_splits) or smaller test parts, or leave out less (gap, embargo)."
        )

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X, y, groups : object, default=None
            Not used.

        Returns
        -------
        n_splits : int
            As given.
        """
        return int(self.n_splits)


class PurgedTimeSeriesSplit(TimeSplit):
    """Forward folds of one series, without the training rows whose targets reach into the test part.

    As scikit-learn's :class:`~sklearn.model_selection.TimeSeriesSplit`, which it equals without
    `horizon`: the newest rows are cut into test parts, and each fold trains on the rows before its
    test part.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 1.
    horizon : int, default=0
        Number of rows that a target looks ahead: for targets of
        ``make_horizon(y, horizon, gap=gap)`` the sum of both, 0 where ``y[i]`` is of row `i` itself.
        Training rows whose targets share a row with those of the test part are left out (*purged*).
    gap : int, default=0
        Number of rows that are left out before the test part, if more than purging leaves out: with
        ``gap=sequence_length - 1`` no window of the test part holds a training row.
    embargo : int, default=0
        Number of rows that are left out after the test part (and after the end of its targets).
        Training rows are there only with ``train="around"``.
    test_size : int, default=None
        Number of rows of each test part. None: ``n_samples // (n_splits + 1)``.
    max_train_size : int, default=None
        Largest number of rows of a training part, the newest. None: all rows before the test part,
        more from fold to fold (expanding); a number gives parts of equal size (rolling).
    train : {"before", "around"}, default="before"
        Where the training rows lie. "before": before the test part, as in use. "around": before and
        after it; all rows are cut into `n_splits` test parts. That is the purged k-fold of [1]_, for
        models that look at single rows: windows after the test part would run across the hole.

    See Also
    --------
    PanelTimeSeriesSplit : The same for several series at once, by date.
    make_horizon : The targets that need it.

    Notes
    -----
    Purging and embargo are those of [1]_, chapter 7.4. The target of row `i` is made of the rows from
    `i` to ``i + horizon``, both included, as that of a return is. A training row is purged if these
    rows and those of any target of the test part have one in common. The embargo leaves out further
    training rows right after the last target of the test part, whose inputs look back into it.

    A forecaster in use at the first test row `j` knows the targets that end at row `j` itself, one
    more than are trained on here.

    References
    ----------
    .. [1] M. López de Prado, "Advances in Financial Machine Learning", Wiley, 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.model_selection import PurgedTimeSeriesSplit
    >>> X = np.zeros((12, 1))
    >>> for train, test in PurgedTimeSeriesSplit(2, horizon=2, test_size=3).split(X):
    ...     print(train, test)
    [0 1 2 3] [6 7 8]
    [0 1 2 3 4 5 6] [ 9 10 11]

    Rolling, with training parts of three rows:

    >>> for train, test in PurgedTimeSeriesSplit(2, horizon=2, test_size=3, max_train_size=3).split(X):
    ...     print(train, test)
    [1 2 3] [6 7 8]
    [4 5 6] [ 9 10 11]
    """

    def split(
        self, X: Any, y: Any = None, groups: ArrayLike | None = None
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Yield the rows of the training part and of the test part of each fold.

        Parameters
        ----------
        X : array-like, DataFrame or list of length n_samples
            Rows in the order of time.
        y : object, default=None
            Not used.
        groups : None
            Refused: folds of several series are made by :class:`PanelTimeSeriesSplit`.

        Yields
        ------
        train : ndarray
            Sorted row numbers.
        test : ndarray
            Sorted row numbers.

        Raises
        ------
        ValueError
            If `groups` are given, or if a part of a fold is empty.
        """
        if groups is not None:
            raise ValueError(
                "PurgedTimeSeriesSplit takes the rows of X for one series and would cut across those of several: for "
                "groups use PanelTimeSeriesSplit, which splits all series at the same dates."
            )
        rows = np.arange(_num_samples(X), dtype=np.intp)
        yield from self._folds(rows, rows, rows + self.horizon)


class PanelTimeSeriesSplit(GroupsConsumerMixin, TimeSplit):
    """Forward folds of several series at once, split by date.

    All rows of a fold's test part, of whatever series, lie in the same span of time, and all its
    training rows lie before it. Splits by row number, or of each series on its own, would train on
    the days that they test, seen through another series.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 1.
    times : str or array-like of shape (n_samples,), default=None
        Time of each row: dates, periods, time differences or numbers; or the name of a column of `X`
        that holds them. None: the index of `X` (else of `y`, else of `groups`), or its level of dates.
    horizon : int, default=0
        Number of rows of its series that a target looks ahead: for targets of
        ``make_horizon(y, horizon, gap=gap, groups=groups)`` the sum of both, 0 where ``y[i]`` is of
        row `i` itself. Training rows whose targets end at or after the first date of the test part are
        left out (*purged*). It needs `groups` in `split` (or an index with the series as a level),
        unless all series have the same dates.
    gap : int or timedelta, default=0
        What is left out before the test part, if more than purging leaves out: a number of dates, or
        a length of time where times are dates.
    embargo : int or timedelta, default=0
        What is left out after the test part (and after the end of its targets). Training rows are
        there only with ``train="around"``.
    test_size : int or timedelta, default=None
        Number of dates of each test part, or its length. None: ``n_dates // (n_splits + 1)``.
    max_train_size : int or timedelta, default=None
        Largest number of dates of a training part, the newest, or its length. None: all dates before
        the test part, more from fold to fold (expanding); a number gives parts of equal size (rolling).
    train : {"before", "around"}, default="before"
        Where the training rows lie: before the test part, as in use, or before and after it; see
        :class:`PurgedTimeSeriesSplit`.

    See Also
    --------
    PurgedTimeSeriesSplit : The same for one series; its Notes on purging and embargo hold here.
    make_horizon : The targets that need it.

    Notes
    -----
    "Dates" are the distinct times of all rows. Series may begin and end when they like: one that
    begins in a test part is new to the model there, and one that has ended is in no test part any more.

    Purging looks at each series: where it has holes, `horizon` rows of it take longer than `horizon`
    dates. At the end of a series, the rows that are not there count as one date each.

    In a search, `groups` go to the splitter. To bring them to the network too, switch metadata routing
    on (the guide's page on tables and sequences shows it).

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.model_selection import PanelTimeSeriesSplit
    >>> groups = np.repeat(["a", "b"], [6, 4])
    >>> days = np.datetime64("2024-01-01") + np.r_[0:6, 2:6]  # series b begins two days later
    >>> X = np.zeros((10, 1))
    >>> for train, test in PanelTimeSeriesSplit(2, times=days, test_size=1).split(X, groups=groups):
    ...     print(train, test)
    [0 1 2 3 6 7] [4 8]
    [0 1 2 3 4 6 7 8] [5 9]
    """

    _takes_lengths_of_time = True
    _unit = "dates"

    def __init__(
        self,
        n_splits: int = 5,
        *,
        times: str | ArrayLike | None = None,
        horizon: int = 0,
        gap: int | timedelta | np.timedelta64 = 0,
        embargo: int | timedelta | np.timedelta64 = 0,
        test_size: int | timedelta | np.timedelta64 | None = None,
        max_train_size: int | timedelta | np.timedelta64 | None = None,
        train: Literal["before", "around"] = "before",
    ) -> None:
        super().__init__(
            n_splits,
            horizon=horizon,
            gap=gap,
            embargo=embargo,
            test_size=test_size,
            max_train_size=max_train_size,
            train=train,
        )
        self.times = times

    def split(
        self, X: Any, y: Any = None, groups: ArrayLike | None = None
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Yield the rows of the training part and of the test part of each fold.

        Parameters
        ----------
        X : array-like, DataFrame or list of length n_samples
            Rows of all series, one series below the other.
        y : array-like or Series of length n_samples, default=None
            Only its index is read, for the times, if X has none.
        groups : array-like of shape (n_samples,), default=None
            Series of each row, one contiguous block for each. Needed for `horizon` alone: what is split
            are the dates.

        Yields
        ------
        train : ndarray
            Sorted row numbers.
        test : ndarray
            Sorted row numbers.

        Raises
        ------
        TypeError, ValueError
            If there are no times, or if a part of a fold is empty.
        """
        found = find_times(X, y, groups, self.times)
        if found.values.dtype.kind not in "mM":
            self._refuse_lengths_of_time(found)
        times, places = np.unique(found.values, return_inverse=True)
        series = series_of_rows(found, groups, len(places))
        if self.horizon > 0 and series is None and len(times) < len(places):
            ends = self._ends_of_equal_series(times, places)
        else:
            ends = last_places(places, series, self.horizon)
        yield from self._folds(times, places, ends)

    def _ends_of_equal_series(self, times, places):
        counts = np.bincount(places)
        if counts.min() < counts.max():
            raise ValueError(
                f"groups is missing: with horizon={self.horizon}, the target of a row ends {self.horizon} rows later "
                f"in its series, and not every date has rows of all series (date {times[counts.argmin()]} has "
                f"{counts.min()}, date {times[counts.argmax()]} has {counts.max()})."
            )
        return places + self.horizon

    def _refuse_lengths_of_time(self, found: RowTimes) -> None:
        for name in ("gap", "embargo", "test_size", "max_train_size"):
            length = getattr(self, name)
            if length is not None and not is_number(length):
                raise TypeError(
                    f"{name}={length!r} is a length of time, but the times of X are of kind {found.kind!r}. Give a "
                    "number of dates, or times=... as dates."
                )
