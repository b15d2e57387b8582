"""Numbers of samples for fractions of a data set."""

import math

import numpy as np


def share_of(fraction, n, rounding=math.ceil):
    """Return the number that a fraction of `n` is, without rounding errors of the fraction: 0.07 of 100 is 7.

    Parameters
    ----------
    fraction : float
        Taken as its shortest decimal: float32's 0.07 is 0.07.
    n : int
    rounding : callable, default=math.ceil
        Rounding of a product that is not an integer.

    Returns
    -------
    int
    """
    product = float(str(fraction)) * n
    nearest = round(product)
    return nearest if abs(product - nearest) <= 4 * np.finfo(np.float64).eps * max(n, 1) else int(rounding(product))
