"""What two fits must have in common for one to go on where the other ended: parameters and data."""

import re
from hashlib import sha256

import numpy as np

# They change no bit of what is learnt.
WITHOUT_EFFECT = ("n_jobs", "verbose")


def fingerprint_of(model, n_networks, samples, held_out):
    """Return the fingerprint of a fit as a dict of strings and numbers.

    Parameters
    ----------
    model : estimator
        With the parameters of the fit.
    n_networks : int
    samples : Samples
        The training part as it is learnt.
    held_out : Samples or None
        The validation part.
    """
    parameters = model.get_params(deep=False)
    kept = {name: in_words(value) for name, value in parameters.items() if name not in WITHOUT_EFFECT}
    digest = sha256()
    for part in (samples, held_out):
        _add_part(digest, part)
    return {
        "estimator": type(model).__name__,
        "parameters": kept,
        "n_networks": n_networks,
        "data": digest.hexdigest(),
    }


def checksum(array):
    """Return the checksum of the numbers of an array."""
    return sha256(np.ascontiguousarray(array)).hexdigest()


def _add_part(digest, part):
    if part is None:
        digest.update(b"none")
        return
    of = part.sequences
    for array in (of.table, of.starts, of.lengths, of.bounds, of.ahead, of.ahead_starts, part.targets, part.weights):
        if array is None:
            digest.update(b"none")
            continue
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(memoryview(np.ascontiguousarray(array)).cast("B") if array.size else b"")
    digest.update(str(part.exponent).encode())


def in_words(value):
    """Return a parameter as text that is the same in every process."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(in_words, value))}]"
    if isinstance(value, np.random.RandomState):
        return "RandomState"
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))
