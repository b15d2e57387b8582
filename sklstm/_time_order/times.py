"""Times of the rows of a table, from its index."""

import re
import sys
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?!\d)")
WEEK = np.timedelta64(7, "D")
# Steps from half to one and a half times the median count as the usual step, to allow for clock jitter.
LEAST_USUAL, MOST_USUAL = 0.5, 1.5
SHARE_OF_USUAL = 0.75
SHARE_ON_A_GRID = 0.5  # the share where all other steps are multiples of the most frequent one
# Rows are expected at times that occur on most days, on days that occur in half of the weeks, relative to those that
# occur most.
SHARE_OF_DAYS, SHARE_OF_WEEKS, RARE = 0.75, 0.5, 0.4
HOLIDAYS = 5  # consecutive days without rows, where some days of the week never have any


@dataclass(frozen=True)
class RowTimes:
    """Times of rows, as their index gives them.

    Attributes
    ----------
    kind : str
        Only times of one kind are compared: "datetime", "timedelta", "number", "period[...]", "text" for dates as
        text, "order" for several numbers, which give an order without distances, or "name" for other text, without
        an order.
    values : ndarray of shape (n_rows,)
        In UTC for a time zone.
    labels : pandas.Index
        For messages.
    is_default : bool
        Whether it is the default index, 0, 1, ...
    local : ndarray of shape (n_rows,) or None
        Local times of a time zone.
    series : ndarray of shape (n_rows,) or None
        Codes of the other levels of the index.
    series_names : list of str
        Names of these levels.
    """

    kind: str
    values: np.ndarray
    labels: object
    is_default: bool = False
    local: np.ndarray | None = None
    series: np.ndarray | None = None
    series_names: tuple = ()

    def followed_by(self, other):
        """Return the times of two tables of the same kind, concatenated."""
        local = None if self.local is None else np.concatenate([self.local, other.local])
        return RowTimes(self.kind, np.concatenate([self.values, other.values]), None, local=local)

    def label(self, row):
        """Return the label of a row."""
        label = self.labels[row]
        return " ".join(map(str, label)) if isinstance(label, tuple) else str(label)


def row_times(table):
    """Return the times in the index of a pandas object, None if it has none."""
    if not hasattr(table, "iloc"):
        return None
    index = table.index
    if not hasattr(index, "levels"):
        return _of_index(index)
    return _of_levels(index)


def row_labels(table):
    """Return the times, or else the names, in the index of a pandas object."""
    times = row_times(table)
    if times is None and hasattr(table, "iloc") and table.index.inferred_type == "string":
        return RowTimes("name", table.index.to_numpy(object), table.index)
    return times


def _of_index(index):
    if _class_name(index) == "RangeIndex":
        values = np.arange(index.start, index.stop, index.step)
        return RowTimes("number", values, index, index.start == 0 and index.step == 1)
    kind = getattr(index.dtype, "kind", "O")
    if kind in "iuf" and not hasattr(index.dtype, "categories"):
        values = index.to_numpy(np.int64 if kind == "i" and not index.hasnans else np.float64)
        is_default = kind == "i" and len(values) > 0 and values[0] == 0 and bool((np.diff(values) == 1).all())
        return RowTimes("number", values, index, is_default)
    if _class_name(index) == "PeriodIndex":
        is_daily = str(index.dtype) == "period[D]"
        return RowTimes(str(index.dtype), index.asi8.view("M8[D]") if is_daily else index.asi8, index)
    if kind in "mM" or index.inferred_type in ("date", "datetime"):
        return _of_instants(index, kind)
    return _of_text(index) if index.inferred_type == "string" else None


def _of_instants(index, kind):
    pandas = sys.modules["pandas"]
    try:
        instants = pandas.TimedeltaIndex(index) if kind == "m" else pandas.DatetimeIndex(index)
    except (TypeError, ValueError):
        return None  # objects of several kinds
    unit = getattr(instants, "unit", "ns")
    if kind == "m":
        return RowTimes("timedelta", instants.asi8.view(f"m8[{unit}]"), index)
    values, local, kind = instants.asi8.view(f"M8[{unit}]"), None, "datetime"
    if instants.tz is not None:  # never compared with times without a zone
        local, kind = instants.tz_localize(None).asi8.view(f"M8[{unit}]"), "datetime with a time zone"
    return RowTimes(kind, values, index, False, local)


def _of_text(index):
    """Return the times of dates given as text, as from a CSV file; None for any other text."""
    if len(index) == 0 or not isinstance(index[0], str) or not DATE.match(index[0]):
        return None
    try:
        instants = sys.modules["pandas"].to_datetime(index, format="ISO8601", utc=True)
    except ValueError:
        return None
    return RowTimes("text", instants.asi8.view(f"M8[{getattr(instants, 'unit', 'ns')}]"), index)


def _of_levels(index):
    """Return the times of a MultiIndex: its level of dates, else all numbers, else a number at the end."""
    levels = [_of_index(index.get_level_values(i)) for i in range(index.nlevels)]
    dated = [i for i, level in enumerate(levels) if level is not None and level.kind not in ("number", "order")]
    if dated:
        place = dated[-1]
    elif all(level is not None for level in levels):
        return RowTimes("order", index.factorize(sort=True)[0], index)
    elif levels[-1] is not None:
        place = index.nlevels - 1
    else:
        return None
    times = levels[place]
    series, names = None, ()
    if index.nlevels > 1:
        series = index.droplevel(place).factorize()[0]
        names = tuple(name if name is not None else i for i, name in enumerate(index.names) if i != place)
    return RowTimes(times.kind, times.values, index, False, times.local, series, names)


def _class_name(index):
    return type(index).__name__


def steps_inside(values, blocks):
    """Return the rows that follow another one of their block, and how long after it they come."""
    is_first = np.zeros(len(values), bool)
    is_first[blocks[:-1]] = True
    rows = np.flatnonzero(~is_first)
    return rows, values[rows] - values[rows - 1]


def names_the_blocks(times, blocks):
    """Return whether an index is constant inside every block: it then names the series and is no time."""
    _, steps = steps_inside(times.values, blocks)
    return len(steps) > 0 and not (steps != np.zeros(1, steps.dtype)[0]).any()


class Holes(NamedTuple):
    """Rows before which others are missing, the usual step, the largest step that is no hole (None if unknown)."""

    rows: np.ndarray
    usual: object
    largest: object


def find_holes(times, blocks):
    """Find missing rows.

    Business days, trading hours and months are regular: a row is missing only at a time of day, on a day of the week,
    that other days and weeks have. Where steps have no usual length at all, as between trades, nothing is missing.

    Parameters
    ----------
    times : RowTimes
    blocks : ndarray of intp
        Where the groups begin, and the end of the last.

    Returns
    -------
    Holes
    """
    if times.kind == "order":
        return Holes(np.empty(0, np.intp), None, None)
    found = [_find_holes(values, blocks) for values in (times.values, times.local) if values is not None]
    return min(found, key=lambda holes: len(holes.rows))  # changes of daylight saving time are no holes


def _find_holes(values, blocks):
    none = Holes(np.empty(0, np.intp), None, None)
    rows, steps = steps_inside(values, blocks)
    kept = steps > np.zeros(1, steps.dtype)[0]
    rows, steps = rows[kept], steps[kept]
    if len(steps) == 0:
        return none
    counts = steps.astype(np.int64) if steps.dtype.kind == "m" else steps.astype(np.float64)
    usual = _usual_step(counts)
    if usual is None:
        return none
    suspects = np.flatnonzero(counts > MOST_USUAL * usual)
    if len(suspects) and values.dtype.kind == "M":
        suspects = _missing_in_the_week(values, rows, suspects, int(usual))
    is_hole = np.zeros(len(rows), bool)
    is_hole[suspects] = True
    common = steps[np.abs(counts - usual).argmin()]
    return Holes(rows[is_hole], common, None if is_hole.all() else steps[~is_hole].max())


def _usual_step(steps):
    """Return the usual length of a step, None if there is none."""
    median = np.median(steps)
    if np.mean((steps >= LEAST_USUAL * median) & (steps <= MOST_USUAL * median)) >= SHARE_OF_USUAL:
        return median
    lengths, counts = np.unique(steps, return_counts=True)
    frequent = lengths[counts.argmax()]
    if counts.max() >= SHARE_ON_A_GRID * len(steps) and not np.remainder(lengths, frequent).any():
        return frequent
    return None


def _missing_in_the_week(values, rows, suspects, usual):
    """Return those of the long steps in which rows are missing that other days and weeks have."""
    ticks, week = values.astype(np.int64), int(WEEK.astype(f"m8[{np.datetime_data(values.dtype)[0]}]").astype(np.int64))
    span, day = ticks.max() - ticks.min(), week // 7
    if usual < 1 or usual > day or day % usual or day // usual > 86400 or (span < 2 * day and usual < day):
        return suspects
    has_weeks = span >= 2 * week
    expected = _expected_in_the_week(ticks // usual, day // usual, has_weeks)
    before = np.concatenate([[0], np.cumsum(expected)])

    def count(place):  # of expected rows before a place
        return place // len(expected) * before[-1] + before[place % len(expected)]

    begins, ends = ticks[rows[suspects] - 1] // usual + 1, ticks[rows[suspects]] // usual
    is_missing = count(ends) > count(begins)
    # Where days of the week are off there are holidays and early closings too.
    n_off = has_weeks * (7 - expected.reshape(7, -1).any(axis=1).sum())
    days = ends * usual // day - (begins - 1) * usual // day
    is_holiday = (n_off > 0) & (days > 0) & (days - n_off * -(-days // 7) <= HOLIDAYS + 1)
    return suspects[is_missing & ~is_holiday]


def _expected_in_the_week(places, n_a_day, has_weeks):
    """Return at which places of the week rows are expected, given the places of all rows since some Monday."""
    of_day = _is_common(places, n_a_day, SHARE_OF_DAYS)
    days = _is_common(places // n_a_day, 7, SHARE_OF_WEEKS if has_weeks else 0.0)
    expected = days[:, np.newaxis] & of_day
    if has_weeks:  # some days may be shorter than others
        expected &= _is_common(places, 7 * n_a_day, SHARE_OF_WEEKS).reshape(7, -1)
    return expected.ravel()


def _is_common(places, length, share):
    """Return which places of a period occur in most periods, all of them if none is rare."""
    counts = np.bincount(np.unique(places) % length, minlength=length)
    if counts.min() > RARE * counts.max():
        return np.ones(length, bool)
    return (counts >= share * counts.max()) & (counts > 0)
