"""Reads `tests/data/*.npz`; their layouts stand in `tests/data/make_*_vectors.py`."""

from pathlib import Path

import numpy as np

DATA = Path(__file__).parents[1] / "data"


def load_cases(name):
    """The cases of one file, as nested dicts split at the slashes of the keys.

    Parameters
    ----------
    name : str
        The file's name without its ending, such as ``"torch_lstm"``.

    Returns
    -------
    dict of dict
        ``load_cases("torch_lstm")["one_layer"]["parameters"]["weight_ih_l0"]``.
    """
    cases = {}
    with np.load(DATA / f"{name}.npz") as file:
        for key in file.files:
            *folders, leaf = key.split("/")
            place = cases
            for folder in folders:
                place = place.setdefault(folder, {})
            place[leaf] = file[key]
    return cases


def split_rows(rows, lengths):
    """The sequences in a table of rows laid one after the other: a list of (T_n, ...) arrays."""
    return np.split(rows, np.cumsum(lengths)[:-1])
