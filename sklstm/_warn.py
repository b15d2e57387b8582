"""Warnings that point at the line of the user's call."""

import sys
import warnings
from pathlib import Path

_INSIDE = str(Path(__file__).parent)


def warn_user(message, category=UserWarning):
    """Warn, and name the line that called from outside this package, scikit-learn and joblib, which runs its folds."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _is_inside(frame):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def _is_inside(frame):
    module = frame.f_globals.get("__name__", "")
    return module.split(".")[0] in ("sklearn", "joblib") or frame.f_code.co_filename.startswith(_INSIDE)
