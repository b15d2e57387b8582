"""Checks of what was read from a model file: small functions, put together to descriptions of fitted attributes.

A check is called as ``check(value, where, sizes)`` and raises ModelFormatError, which says where the value is, what was
found and what was expected. `sizes` maps names, such as "features", to numbers.
"""

from numbers import Integral, Real

import numpy as np

from sklstm.exceptions import ModelFormatError


def refuse(where, found, expected):
    """Raise the error for a value that is not as expected."""
    if isinstance(found, np.ndarray):
        found = f"an array of {found.dtype} of shape {found.shape}"
    else:
        found = repr(found)
    raise ModelFormatError(f"{where} is {found[:100]}, expected {expected}.")


def anything(value, where, sizes):
    """Accept any value that a file can hold."""


def flag(value, where, sizes):
    """Accept True and False."""
    if not isinstance(value, bool | np.bool_):
        refuse(where, value, "True or False")


def integer(least=None):
    """Return a check for an integer of at least `least`."""

    def check(value, where, sizes):
        """Check it."""
        if not isinstance(value, Integral) or isinstance(value, bool) or (least is not None and value < least):
            refuse(where, value, "an integer" + (f" of at least {least}" if least is not None else ""))

    return check


def number(least=None, *, finite=True):
    """Return a check for a number, of at least `least`; NaN never is one."""

    def check(value, where, sizes):
        """Check it."""
        right = isinstance(value, Real) and not isinstance(value, bool | np.bool_)
        right = right and (np.isfinite(value) if finite else not np.isnan(value))
        if not right or (least is not None and value < least):
            refuse(where, value, "a number" + (f" of at least {least}" if least is not None else ""))

    return check


def text(*choices):
    """Return a check for a string, one of some choices if there are any."""

    def check(value, where, sizes):
        """Check it."""
        if not isinstance(value, str) or (choices and value not in choices):
            refuse(where, value, f"one of {choices}" if choices else "a text")

    return check


def optional(other):
    """Return a check for None, or what another check accepts."""

    def check(value, where, sizes):
        """Check it."""
        if value is not None:
            other(value, where, sizes)

    return check


def either(*others):
    """Return a check for what one of several checks accepts; the message is that of the last."""

    def check(value, where, sizes):
        """Check it."""
        for other in others[:-1]:
            try:
                return other(value, where, sizes)
            except ModelFormatError:
                continue
        return others[-1](value, where, sizes)

    return check


# Not kinds, although they are made of such characters.
_NAMES = ("bool", "float64", "int64", "uint8")


def array(kinds, *shape, finite=True, least=None):
    """Return a check for an array.

    Parameters
    ----------
    kinds : str
        Characters of NumPy's kinds, such as "f"; or the name of a dtype.
    *shape : int, str or None
        Lengths of the axes, by number or by the name of a size; None for any.
    finite : bool, default=True
        Whether all numbers must be finite.
    least : float or None, default=None
    """

    def check(value, where, sizes):
        """Check it."""
        expected = tuple(sizes[n] if isinstance(n, str) else n for n in shape)
        shown = ", ".join("any" if n is None else str(n) for n in expected)
        if not isinstance(value, np.ndarray) or value.ndim != len(expected):
            refuse(where, value, f"an array of shape ({shown})")
        if any(n is not None and n != found for n, found in zip(expected, value.shape, strict=True)):
            refuse(where, value, f"an array of shape ({shown})")
        if value.dtype.name != kinds and (kinds in _NAMES or value.dtype.kind not in kinds):
            refuse(where, value, f"one of {kinds}")
        if finite and value.dtype.kind == "f" and not np.isfinite(value).all():
            refuse(where, value, "finite numbers")
        if least is not None and value.size and not value.min() >= least:
            refuse(where, value, f"numbers of at least {least}")

    return check


def sequence(item, kind=list, length=None):
    """Return a check for a list, or a tuple, of what another check accepts."""

    def check(value, where, sizes):
        """Check it."""
        n = sizes[length] if isinstance(length, str) else length
        if type(value) is not kind or (n is not None and len(value) != n):
            refuse(where, value, f"a {kind.__name__}" + (f" of {n} items" if n is not None else ""))
        for k, one in enumerate(value):
            item(one, f"{where}[{k}]", sizes)

    return check


def entries(required, others=None):
    """Return a check for a dict with these entries, given the check of each; `others` may be missing."""
    others = others or {}

    def check(value, where, sizes):
        """Check it."""
        if not isinstance(value, dict):
            refuse(where, value, f"the entries {sorted(required)}")
        unknown, lost = sorted(value.keys() - required.keys() - others.keys()), sorted(required.keys() - value.keys())
        if unknown or lost:
            what = f"the unknown entry {unknown[0]!r}" if unknown else f"no entry {lost[0]!r}"
            raise ModelFormatError(f"{where} has {what}.")
        for name, one in value.items():
            known = required.get(name) or others[name]
            known(one, f"{where}[{name!r}]", sizes)

    return check
