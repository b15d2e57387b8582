"""Rows of weight zero, which are not there: their targets, and the rows between those that count."""

import numpy as np


def fill_absent(y, present):
    """Replace the targets of rows that are not there by those of rows that are, so that nothing looks at them.

    Parameters
    ----------
    y : ndarray of shape (n_samples, ...)
        Targets.
    present : ndarray of shape (n_samples,), dtype bool, or None
        Which rows have a positive weight, at least one; None for all.

    Returns
    -------
    y : ndarray of shape (n_samples, ...)
        Each such row has the target of the last row before it that is there, or else of the first.
    """
    if present is None or present.all():
        return y
    last = np.maximum.accumulate(np.where(present, np.arange(len(present)), -1))
    return y[np.where(last < 0, present.argmax(), last)]


def with_absent(train, present, series):
    """Add to training rows those of weight zero between them, over which members that look back read on.

    Parameters
    ----------
    train : ndarray of shape (n_train,)
        Sorted row numbers, all of them present.
    present : ndarray of shape (n_samples,), dtype bool, or None
        Which rows have a positive weight; None for all.
    series : list of ndarray
        Row numbers of each series.

    Returns
    -------
    rows : ndarray
        Sorted: the training rows, the rows before the first that is there of a series if that one is among them, and
        those between two neighbours (of the rows that are there) if both are.
    """
    if present is None:
        return train
    chosen = np.zeros(len(present), dtype=bool)
    chosen[train] = True
    for rows in series:
        numbers = np.flatnonzero(present[rows])
        if len(numbers) == 0:
            continue
        is_train = np.r_[chosen[rows[numbers[0]]], chosen[rows[numbers]]]  # what comes first has itself before it
        # For each row: how many of the rows that are there come before it, itself not counted.
        before = np.searchsorted(numbers, np.arange(len(rows)))
        between = ~present[rows] & (before < len(numbers))
        place = np.minimum(before, len(numbers) - 1)
        chosen[rows] |= between & is_train[place] & is_train[place + 1]
    return np.flatnonzero(chosen)
