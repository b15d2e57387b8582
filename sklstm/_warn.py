"""Warnings that point at the line of the user's call."""

import sys
import warnings
from pathlib import Path

import numpy as np

_INSIDE = str(Path(__file__).parent)


def warn_user(message, category=UserWarning):
    """Warn, and name the line that called from outside this package, scikit-learn and joblib, which runs its folds."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _is_inside(frame):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def warn_of_idle(parameters, only_with):
    """Warn of parameters that have no effect beside the value of another one.

    Parameters
    ----------
    parameters : dict
        Those of an estimator.
    only_with : dict
        For a parameter its default, the other one, and the strings without which it has no effect.
    """
    for name, (default, other, needed) in only_with.items():
        if name not in parameters or np.array_equal(parameters[name], default):
            continue
        value = parameters[other]
        if not (isinstance(value, str) and value in needed):
            *first, last = (f"{other}={one!r}" for one in needed)
            wanted = f"{', '.join(first)} or {last}" if first else last
            warn_user(f"{name}={parameters[name]!r} has no effect with {other}={value!r}: set {wanted}.")


def _is_inside(frame):
    module = frame.f_globals.get("__name__", "")
    return module.split(".")[0] in ("sklearn", "joblib") or frame.f_code.co_filename.startswith(_INSIDE)
