"""Checks of single rows that streams take."""

from collections.abc import Mapping

from sklstm._validation import refuse_masked


def refuse_what_is_no_row(x):
    """Raise for what NumPy would take for an array of no axes, or strip of its mask."""
    refuse_masked(x, "x")
    if isinstance(x, Mapping):
        raise TypeError(
            "x is a dict; expected one row: a list or array of its values in the order of fit, or a pandas Series, "
            "whose names are compared."
        )
    if hasattr(x, "collect_schema") and hasattr(x, "collect"):
        raise TypeError("x is a LazyFrame; expected the rows themselves: x.collect().")
