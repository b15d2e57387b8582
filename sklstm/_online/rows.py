"""What a caller hands over for one row: its columns, its truth, its key and its time."""

import datetime as dt
from collections.abc import Mapping
from hashlib import blake2b
from math import isfinite
from numbers import Integral, Real

import numpy as np

from sklstm._row_checks import RowChecks

FLOAT64 = np.dtype(np.float64)
NO_ROW_WAITS = "x is None, but no row waits for its truth: predict it first."
# Characters or bits of a key: a record of the journal has 16 bits for the number of its bytes, at most 4 a character.
LONGEST_KEY = 10_000


class RowReader:
    """Turns one row of any accepted kind into an array of float64.

    Parameters
    ----------
    model : estimator
        Fitted; it names the columns.
    network : Network
        Of the model.
    names : list of str or None
        Of the columns; None where they have none.
    holds : bool
        Whether a missing number takes the value of the row before.
    """

    def __init__(self, model, network, names, holds):
        self._checks, self._names, self._holds = RowChecks(model, network, None), names, holds
        self._shape, self._model_has_names = self._checks.shape, hasattr(model, "feature_names_in_")

    def read(self, x, before):
        """Return a row, and how many of its numbers are those of the row `before` (None: there is none)."""
        if type(x) is not np.ndarray or x.dtype is not FLOAT64 or x.shape != self._shape or not x.flags.c_contiguous:
            x = dict(x.items()) if self._is_named(x) else x
            x = self._checks.row(self._in_order(x) if isinstance(x, Mapping) else x)
        if not self._holds or isfinite(np.vdot(x, x)):
            return x, 0
        missing = np.isnan(x)
        n = int(missing.sum())
        if not n:
            return x, 0
        if before is None:
            raise self._checks.not_finite(x)
        x = x.copy()
        x[missing] = before[missing]
        return x, n

    def refuse_missing(self, x):
        """Raise if a row lacks a number, unless those are held."""
        if not self._holds and np.isnan(np.asarray(x, np.float64)).any():
            raise self._checks.not_finite(x)

    def _is_named(self, x):
        """Return whether x is a Series to be read as a dict: its names are those of rows before the first fit."""
        return self._names is not None and not self._model_has_names and names_of(x) is not None

    def _in_order(self, x):
        """Return the values of a dict in the order of the columns."""
        if self._names is None:
            raise ValueError(
                "x is a dict, but the columns have no names: fit with a DataFrame, or learn from dicts from the first "
                "row on."
            )
        unknown = [name for name in x if name not in self._names]
        lost = [name for name in self._names if name not in x]
        if unknown or (lost and not self._holds):
            what = f"lacks the column {lost[0]!r}" if lost and not self._holds else f"has a column {unknown[0]!r}"
            raise ValueError(f"x {what}: expected a value for each of {self._names}, and no other.")
        return [x.get(name, np.nan) for name in self._names]


def names_of(x):
    """Return the names of a Series of pandas, None where x is none or its names are no texts."""
    if not hasattr(x, "iloc") or x.ndim != 1:
        return None
    names = list(x.index)
    return names if all(isinstance(name, str) for name in names) else None


def same_row(x, row):
    """Return whether x is a row, numbers that are missing in x aside."""
    return bool(((x == row) | np.isnan(x)).all())


def check_key(key):
    """Return a key as an int or a str."""
    if isinstance(key, str):
        key = str(key)
        if len(key) > LONGEST_KEY:
            raise ValueError(f"key has {len(key)} characters, expected at most {LONGEST_KEY}.")
        return key
    if isinstance(key, Integral) and not isinstance(key, bool):
        key = int(key)
        if key.bit_length() > LONGEST_KEY:
            raise ValueError(f"key has {key.bit_length()} bits, expected at most {LONGEST_KEY}.")
        return key
    raise TypeError(f"key must be an integer or a text that names the row, found {type(key).__name__}.")


def hash_of(key):
    """Return a hash of a key, the same in every process, above 0; 0 is for no key."""
    if key is None:
        return 0
    digest = blake2b(f"{type(key).__name__}:{key}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1


# Kinds of times that can be compared: numbers, dates and times without a time zone, those with one.
NUMBER, NAIVE, AWARE = "number", "time", "time with a zone"


def read_time(time):
    """Return kind and value of a time: an int or a float, of dates the nanoseconds since 1970."""
    if isinstance(time, Real) and not isinstance(time, bool):
        if isinstance(time, Integral):
            if abs(int(time)) >> 63:
                raise ValueError(f"time must fit into 64 bits, found {time}.")
            return NUMBER, int(time)
        if not isfinite(time):
            raise ValueError(f"time must be finite, found {time}.")
        return NUMBER, float(time)
    kind = NAIVE
    if getattr(time, "tzinfo", None) is not None and hasattr(time, "astimezone"):
        kind, time = AWARE, time.astimezone(dt.UTC).replace(tzinfo=None)
    if hasattr(time, "start_time"):  # a Period of pandas
        time = time.start_time
    if hasattr(time, "to_datetime64"):
        time = time.to_datetime64()
    if not isinstance(time, dt.date | np.datetime64) or np.isnat(np.datetime64(time)):
        raise TypeError(f"time must be a number, a datetime or a numpy.datetime64, found {time!r}.")
    instant = np.datetime64(time)
    try:
        nanoseconds = instant.astype("datetime64[ns]")
        is_same = nanoseconds.astype(instant.dtype) == instant
    except OverflowError:  # NumPy 2.5; before, the conversion wraps around without a word
        is_same = False
    if not is_same:
        raise ValueError(f"time must lie between the years 1678 and 2261, found {time!s}.")
    return kind, int(nanoseconds.astype(np.int64))


def label_of(x):
    """Return the time that a pandas Series, or a table of one row, bears; None for any other label."""
    if not hasattr(x, "iloc"):
        return None
    label = x.name if x.ndim == 1 else x.index[0] if len(x) == 1 else None
    return label if hasattr(label, "year") and hasattr(label, "hour") else None


def refuse_earlier(time, last, shown):
    """Raise unless a time, as `read_time` returns it, comes after the last; None for no time."""
    if last is None:
        return
    if time[0] != last[0]:
        raise ValueError(f"time={shown!r} is a {time[0]}, but that of the row before was a {last[0]}.")
    if time[1] <= last[1]:
        before = last[1] if last[0] == NUMBER else np.datetime64(last[1], "ns")
        raise ValueError(
            f"the row is out of order in time: its time is {shown!r}, that of the row before {before}. Rows come in "
            "the order of time; this one was not taken."
        )


def refuse_unordered(times, last):
    """Raise unless the times of rows increase, from the last one before them on; None for no time."""
    for time in times:
        if time is not None:
            read = read_time(time)
            refuse_earlier(read, last, time)
            last = read
