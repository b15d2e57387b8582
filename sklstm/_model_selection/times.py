"""Times of the rows of several series, and the series of each row."""

import sys

import numpy as np

from sklstm._time_order.times import RowTimes, row_times
from sklstm._validation import check_groups, labels_of

NO_PERIOD = np.iinfo(np.int64).min  # as pandas counts NaT among its periods


def find_times(X, y, groups, times):
    """Return the times of the rows of X.

    Parameters
    ----------
    X, y, groups : as they came to `split`
    times : None, str or array-like
        As the user gave it: nothing, the name of a column of X, or a time for each row.

    Returns
    -------
    RowTimes

    Raises
    ------
    TypeError, ValueError
        If there are none, one is missing, or they are not one for each row.
    """
    n_samples = _n_rows(X)
    if times is None:
        found = next((found for found in map(_of_index, (X, y, groups)) if found is not None), None)
        if found is None:
            raise ValueError(
                "times is missing: X has no index of dates. Give PanelTimeSeriesSplit(times=...) an array with a time "
                "for each row, or the name of a column of X."
            )
    else:
        found = _of_values(_column(X, times) if isinstance(times, str) else times)
    if len(found.values) != n_samples:
        raise ValueError(
            f"times has {len(found.values)} entries, but X has {n_samples} rows. Where X is split or cut before it is "
            "handed over (a search inside another one), take the times from its index (times=None) or a column of it."
        )
    is_missing = np.not_equal(found.values, found.values)
    if found.kind.startswith("period["):
        is_missing = found.values == NO_PERIOD
    missing = np.flatnonzero(is_missing)
    if len(missing):
        raise ValueError(f"times holds no time at row {missing[0]}; every row needs one.")
    return found


def series_of_rows(found, groups, n_samples):
    """Return the number of the series of each row, by `groups`, else by the other levels of the index, else None."""
    if groups is None:
        return found.series
    check_groups(groups, n_samples)
    return np.unique(labels_of(groups), return_inverse=True)[1]


def _n_rows(X):
    shape = getattr(X, "shape", None)
    return shape[0] if shape else len(X)


def _of_index(values):
    """Return the times in an index; names, numbers of the rows, and several levels of numbers say nothing of time."""
    found = row_times(values)
    if found is None or found.is_default or found.kind == "order":
        return None
    numbers_the_rows = found.kind == "number" and len(np.unique(found.values)) == len(found.values)
    return None if numbers_the_rows else found


def _column(X, name):
    columns = list(getattr(X, "columns", ()))
    if name not in columns:
        raise ValueError(f"times={name!r} is no column of X" + (f", which has {columns}." if columns else "."))
    return X[name]


def _of_values(values):
    """Return times that were given as an array, in the form of those of an index."""
    if hasattr(values, "to_numpy") and not hasattr(values, "iloc") and "polars" in type(values).__module__:
        values = values.to_numpy()
    array = values if hasattr(values, "dtype") else np.asarray(values)
    if np.ndim(array) != 1:
        raise ValueError(f"times must be 1-D, a time for each row, got shape {np.shape(array)}.")
    pandas = sys.modules.get("pandas")
    if pandas is not None and getattr(array.dtype, "kind", "O") not in "iuf":
        found = row_times(pandas.Series(0, index=pandas.Index(array)))
        if found is not None:
            return found
    array = np.asarray(array)
    if array.dtype.kind not in "iufMmU":
        raise TypeError(f"times must be dates, times or numbers that can be sorted, got an array of {array.dtype}.")
    kinds = {"M": "datetime", "m": "timedelta", "U": "text"}
    return RowTimes(kinds.get(array.dtype.kind, "number"), array, array)
