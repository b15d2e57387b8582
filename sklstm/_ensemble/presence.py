"""Rows of weight zero, which are excluded from training but read by members that look back."""

import numpy as np


def fill_absent(y, present):
    """Replace the targets of rows of weight zero by those of other rows, as they may be missing.

    Parameters
    ----------
    y : ndarray of shape (n_samples, ...)
        Targets.
    present : ndarray of shape (n_samples,), dtype bool, or None
        Which rows have a positive weight, at least one; None for all.

    Returns
    -------
    y : ndarray of shape (n_samples, ...)
        Each such row has the target of the last row before it of positive weight, or else of the first.
    """
    if present is None or present.all():
        return y
    last = np.maximum.accumulate(np.where(present, np.arange(len(present)), -1))
    return y[np.where(last < 0, present.argmax(), last)]


def with_absent(train, present, series):
    """Add to training rows those of weight zero between them, which members that look back read.

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
        Sorted: the training rows, the rows before the first row of positive weight of a series if that is among them,
        and those between two neighbouring rows of positive weight if both are.
    """
    if present is None:
        return train
    chosen = np.zeros(len(present), dtype=bool)
    chosen[train] = True
    for rows in series:
        numbers = np.flatnonzero(present[rows])
        if len(numbers) == 0:
            continue
        is_train = np.r_[chosen[rows[numbers[0]]], chosen[rows[numbers]]]  # the first, too, for the rows before it
        # For each row: the number of rows of positive weight before it.
        before = np.searchsorted(numbers, np.arange(len(rows)))
        between = ~present[rows] & (before < len(numbers))
        place = np.minimum(before, len(numbers) - 1)
        chosen[rows] |= between & is_train[place] & is_train[place + 1]
    return np.flatnonzero(chosen)
