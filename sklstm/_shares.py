"""Whole numbers of samples that a share of them stands for."""

import math

import numpy as np


def share_of(fraction, n, rounding=math.ceil):
    """Return how many of `n` a fraction is, exact where rounding alone is in the way: 0.07 of 100 is 7.

    Parameters
    ----------
    fraction : float
        What is written counts: float32's 0.07 is 0.07.
    n : int
    rounding : callable, default=math.ceil
        What becomes of a product that is no whole number.

    Returns
    -------
    int
    """
    product = float(str(fraction)) * n
    nearest = round(product)
    return nearest if abs(product - nearest) <= 4 * np.finfo(np.float64).eps * max(n, 1) else int(rounding(product))
