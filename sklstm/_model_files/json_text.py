"""JSON of model files: written compactly, read within limits, so that no text makes the reader slow, deep or large."""

import json
import re

from sklstm.exceptions import ModelFormatError

# Of a header: some hundred networks. What is read of it takes 8 MB at most.
LARGEST_HEADER = 1 << 20
LARGEST_COUNT = 60_000
DEEPEST = 40
MOST_DIGITS = 20
# A string, also one that is not closed, or one of the marks between values: no text is searched twice.
_PIECES = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{},:]', re.DOTALL)
_STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}


def write_json(value):
    """Return JSON of plain values, ASCII only, without blanks."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def read_json(text, what):
    """Return what a text in JSON says, or raise ModelFormatError.

    Parameters
    ----------
    text : str
    what : str
        What the text is called in messages.

    Returns
    -------
    object
        Refused are keys that come twice, NaN and infinity, numbers of more than 20 digits or beyond float64, and more
        than 40 levels or 60,000 entries.
    """
    refuse_large(text, what)
    try:
        return json.loads(
            text,
            object_pairs_hook=_entries,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_refuse_constant,
        )
    except ModelFormatError as error:
        raise ModelFormatError(f"{what} {error}") from None
    except (ValueError, RecursionError) as error:
        raise ModelFormatError(f"{what} is no JSON: {error}.") from error


def refuse_large(text, what):
    """Raise for a text whose values would be many or deeply nested, before any of them is made."""
    depth = count = 0
    for piece in _PIECES.finditer(text):
        mark = text[piece.start()]
        count += mark != '"'
        depth += _STEPS.get(mark, 0)
        if depth > DEEPEST:
            raise ModelFormatError(f"{what} has more than {DEEPEST} levels inside each other.")
        if count > LARGEST_COUNT:
            raise ModelFormatError(f"{what} has more than {LARGEST_COUNT} entries.")


def _entries(pairs):
    entries = dict(pairs)
    if len(entries) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in entries if names.count(name) > 1)
        raise ModelFormatError(f"has the entry {twice[:80]!r} twice.")
    return entries


def _integer(digits):
    if len(digits) > MOST_DIGITS:
        raise ModelFormatError(f"holds a number of {len(digits)} digits.")
    return int(digits)


def _number(digits):
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise ModelFormatError(f"holds the number {digits[:40]}, which is beyond float64.")
    return value


def _refuse_constant(name):
    raise ModelFormatError(f"holds {name}, which is no JSON.")
