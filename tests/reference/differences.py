"""Central differences, the judge of every gradient."""

import numpy as np


def numerical_gradient(function, array, step=1e-3, entries=None):
    """Central differences of fourth order of a scalar by every entry of an array.

    Parameters
    ----------
    function : callable
        Called without arguments, after each change of `array`; returns a float.
    array : ndarray of float64
        What `function` reads: changed in place, entry by entry, and left as it was.
    step : float, default 1e-3
        The cut-off error (step^4) and the rounding (eps / step) are then both near 1e-12 for
        numbers near one: tight enough to tell a wrong term from noise.
    entries : list of tuple or None, default None
        Indices of the entries that are wanted; None for all of them.

    Returns
    -------
    ndarray, shape of `array`
        Zero where an entry is not wanted.

    Examples
    --------
    >>> point = np.array([3.0, 0.0])
    >>> numerical_gradient(lambda: np.sum(point**2), point).round(9)
    array([6., 0.])
    """
    gradient = np.zeros_like(array)
    for index in np.ndindex(array.shape) if entries is None else entries:
        value = array[index]
        values = []
        for shift in (-2, -1, 1, 2):
            array[index] = value + shift * step
            values.append(function())
        array[index] = value
        far_below, below, above, far_above = values
        gradient[index] = (8.0 * (above - below) - (far_above - far_below)) / (12.0 * step)
    return gradient
