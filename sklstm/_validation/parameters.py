"""Parameters of estimators that are more than one number."""

import math
from numbers import Integral, Real

import numpy as np

from sklstm._validation.messages import naming

# Far more than any trained network; the time to build a network grows with the number of layers.
LARGEST_N_LAYERS = 10_000


def check_hidden_sizes(hidden_size, n_layers):
    """Return the units of each layer, one number for all or a sequence of one for each."""
    if isinstance(hidden_size, Integral):
        return (int(hidden_size),) * int(n_layers)
    with naming("hidden_size"):
        sizes = np.asarray(hidden_size)
    if sizes.ndim != 1 or len(sizes) == 0 or sizes.dtype.kind not in "iu" or sizes.min() < 1:
        raise ValueError(f"hidden_size must be an integer of at least 1, or a sequence of such, found {hidden_size!r}.")
    sizes = tuple(sizes.tolist())
    if len(sizes) > LARGEST_N_LAYERS:
        raise ValueError(f"hidden_size describes {len(sizes)} layers, there may be {LARGEST_N_LAYERS}.")
    if n_layers not in (1, len(sizes)):
        raise ValueError(
            f"hidden_size={hidden_size!r} describes {len(sizes)} layers, but n_layers={n_layers}; leave n_layers at 1 "
            "or make the two agree."
        )
    return sizes


def check_quantiles(quantile):
    """Return the quantiles of one number, or of an increasing sequence that holds 0.5, as a tuple."""
    if isinstance(quantile, Real):
        return (float(quantile),)
    with naming("quantile"):
        levels = np.asarray(quantile)
    is_increasing = levels.ndim == 1 and levels.dtype.kind in "fiu" and len(levels) > 0 and (np.diff(levels) > 0).all()
    if not is_increasing or not (levels[0] > 0 and levels[-1] < 1) or median_place(levels) is None:
        raise ValueError(
            "quantile must be a number between 0 and 1, or an increasing sequence of such with 0.5 among them (predict "
            f"answers with the median), found {quantile!r}."
        )
    return tuple(levels.astype(np.float64).tolist())


def median_place(quantiles):
    """Return the position of the median among quantiles, None if it is missing.

    The 0.5 of computed ones (`numpy.linspace`, also in float32) may be off by rounding.
    """
    place = min(range(len(quantiles)), key=lambda k: abs(quantiles[k] - 0.5))
    return place if math.isclose(quantiles[place], 0.5, rel_tol=1e-6) else None
