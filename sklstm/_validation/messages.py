"""Errors that name the argument."""

import re
from contextlib import contextmanager

import numpy as np


@contextmanager
def naming(name):
    """Put the name of an argument in front of errors that do not mention it."""
    try:
        yield
    except (TypeError, ValueError, OverflowError) as error:
        message = str(error)
        if message.startswith("Complex data not supported\n"):
            # The rest of scikit-learn's message is the whole array.
            message = f"Complex data not supported: {name} must hold real numbers."
        elif re.search(rf"(?<!\w){re.escape(name)}(?!\w)", message):
            raise
        else:
            message = f"{name}: {message}"
        raise (TypeError if isinstance(error, TypeError) else ValueError)(message) from error


def refuse_masked(array, name):
    """Raise for a masked array: scikit-learn and NumPy would drop the mask without a word."""
    if isinstance(array, np.ma.MaskedArray):
        raise ValueError(
            f"{name} is a masked array; masks would be ignored. Fill it ({name}.filled(...)) or drop the masked rows."
        )
