"""Arithmetic of splits in time: places of rows on a line of distinct times.

A *place* is the number of a time among the distinct times of all rows, in their order. A length in time is a number of
places, or a difference of times.
"""

from numbers import Integral

import numpy as np


def is_number(length):
    """Return whether a length is a number of places; NumPy counts its time differences among the integers."""
    return isinstance(length, Integral) and not isinstance(length, np.timedelta64)


def last_places(places, series, horizon):
    """Return the place where the target of each row ends, which may lie after the last time there is.

    The target of a row reaches to the row `horizon` rows later in its series; where the series has no such row,
    the missing rows count as one time each.

    Parameters
    ----------
    places : ndarray of shape (n_samples,)
        Place of each row.
    series : ndarray of shape (n_samples,) or None
        Number of the series of each row; None where all rows are one series.
    horizon : int
        Rows that targets look ahead.

    Returns
    -------
    ends : ndarray of shape (n_samples,)
    """
    n_samples = len(places)
    if horizon == 0:
        return places
    series = np.zeros(n_samples, np.intp) if series is None else series
    order = np.lexsort((places, series))  # series after series, each in time
    ranked, of_series = places[order], series[order]
    bounds = np.searchsorted(of_series, of_series, "right")  # end of the series of each row
    later = np.arange(n_samples) + horizon
    beyond = np.maximum(later - (bounds - 1), 0)
    ends = np.empty_like(places)
    ends[order] = ranked[later - beyond] + beyond
    return ends


def place_before(times, place, length):
    """Return the first place within `length` before a place."""
    if is_number(length):
        return place - length
    return np.searchsorted(times, times[place] - _difference(length), "left")


def place_after(times, place, length):
    """Return the first place that is more than `length` after a place."""
    if place >= len(times):
        return len(times)
    if is_number(length):
        return place + length + 1
    return np.searchsorted(times, times[place] + _difference(length), "right")


def place_within(times, place, length):
    """Return the first of the places that make up `length` with `place` as the last of them."""
    if is_number(length):
        return place - length + 1
    return np.searchsorted(times, times[place] - _difference(length), "right")


def test_bounds(times, n_splits, test_size):
    """Return where the test parts begin, and the end of the last: the newest times, cut into equal parts."""
    n_places = len(times)
    if test_size is None:
        test_size = n_places // (n_splits + 1)
    if is_number(test_size):
        return n_places - test_size * np.arange(n_splits, -1, -1)
    ends = times[-1] - _difference(test_size) * np.arange(n_splits, -1, -1)
    first = np.searchsorted(times, ends, "right")
    return np.where(ends < times[0], -1, first)  # a part that would begin before all times is no part


def _difference(length):
    """Return a length of time as NumPy subtracts it from dates; pandas would return dates of its own."""
    return np.timedelta64(length)
