"""Texts: what the commands print as JSON, and columns of CSV files that a reader of numbers would change."""

import json
from math import isfinite

import numpy as np

# "007" would become 7, "1e3" and integers of so many digits another text.
LEADING_ZERO = r"^\s*[+-]?0\d"
LONG_INTEGER = r"^\s*[+-]?\d{16,}\s*$"


def json_of(found):
    """Return a dict as JSON, with null in place of numbers that JSON does not have: NaN and infinity."""
    return json.dumps(_finite(found), indent=2, allow_nan=False) + "\n"


def _finite(value):
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def without_empty(column):
    """Return a column of texts with null in place of empty ones: what is not there is no name."""
    import pyarrow.compute as pc

    return pc.if_else(pc.equal(column, ""), None, column)


def is_exact(column, kind):
    """Return whether texts stay what they are as numbers of a type that a reader has guessed.

    Parameters
    ----------
    column : pyarrow.Array or pyarrow.ChunkedArray
        Of texts.
    kind : pyarrow.DataType

    Returns
    -------
    bool
        True for a type that is no number.
    """
    from pyarrow import types

    if types.is_null(kind):
        return False
    if not (types.is_integer(kind) or types.is_floating(kind)):
        return True
    return first_not_exact(column, kind) is None


def first_not_exact(column, kind):
    """Return the first place of a text that as a number would be another one, None where there is none."""
    import pyarrow.compute as pc
    from pyarrow import types

    patterns = LEADING_ZERO if types.is_integer(kind) else f"{LEADING_ZERO}|{LONG_INTEGER}"
    found = pc.match_substring_regex(column, patterns).fill_null(False).to_numpy(zero_copy_only=False)
    return int(np.argmax(found)) if found.any() else None


def as_numbers(column, kind):
    """Return texts as numbers of a type; those that a reader of CSV takes for no value become null."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv

    column = pc.utf8_trim_whitespace(column)
    nothing = pc.is_in(column, pa.array(csv.ConvertOptions().null_values))
    return pc.if_else(nothing, None, column).cast(kind)
