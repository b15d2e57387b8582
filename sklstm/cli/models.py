"""Models of the command line: reading them, and what they read of a table."""

import inspect
import os
from hashlib import file_digest
from typing import NamedTuple

import numpy as np

from sklstm.cli.errors import ModelError, one_line
from sklstm.exceptions import ModelFormatError

#: Methods that answer for each row, and what their columns are called.
METHODS = {
    "predict": "prediction",
    "predict_proba": "probability",
    "predict_log_proba": "log_probability",
    "predict_quantiles": "quantile",
    "transform": "feature",
}


class Reading(NamedTuple):
    """What the answer for a row depends on.

    Attributes
    ----------
    by_states : bool
        Whether on all rows before, through states that are carried on.
    reach : int
        Else on how many rows before it.
    """

    by_states: bool
    reach: int


def load(path, trust=False):
    """Return the fitted model of a file.

    Parameters
    ----------
    path : str
        A model file, or with `trust` one of joblib.
    trust : bool, default=False
        Whether code of the file may run, as that of a pickle does.

    Raises
    ------
    ModelError
        If there is none, or it may not be read.
    """
    from sklstm.persistence import load_model

    try:
        is_safe = _looks_safe(path)
        model = load_model(path) if is_safe or not trust else _load_pickle(path)
    except ModelFormatError as error:
        advice = "" if is_safe else " (a joblib file runs code when it is read: --trust, if you know where it is from)"
        raise ModelError(f"{one_line(error)}{advice}") from error
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or one_line(error)}.") from error
    model = getattr(model, "best_estimator_", model)
    if not any(hasattr(model, method) for method in METHODS):
        raise ModelError(f"{path}: holds a {type(model).__name__}, which neither predicts nor transforms.")
    return model


def _looks_safe(path):
    """Return whether a file begins as one of safetensors does: with the length of a header in JSON."""
    with open(path, "rb") as file:
        start, size = file.read(9), os.fstat(file.fileno()).st_size
    return len(start) == 9 and start[8:] == b"{" and int.from_bytes(start[:8], "little") <= size - 8


def _load_pickle(path):
    import joblib

    try:
        return joblib.load(path)
    except Exception as error:
        raise ModelError(f"{path}: joblib cannot read it: {type(error).__name__}: {one_line(error)}") from error


def digest_of(path):
    """Return the SHA-256 of a file."""
    with open(path, "rb") as file:
        return file_digest(file, "sha256").hexdigest()


def reading_of(model, context_rows=None):
    """Return the `Reading` of a model.

    Parameters
    ----------
    model : estimator
        Fitted.
    context_rows : int or None, default=None
        Rows before that an answer depends on, where the user knows; None to find it out.

    Raises
    ------
    ModelError
        If it does not answer for the rows of a table, or needs rows that are not known.
    """
    last, steps = model, []
    while hasattr(last, "steps"):
        steps += last.steps[:-1]
        last = last.steps[-1][1]
    if context_rows is None:
        _refuse_steps_that_look_back(steps)
    reaches = [_reach(one) for one in networks_in(last)]
    if None in reaches:
        if len(reaches) > 1 or not hasattr(last, "stream"):
            raise ModelError(
                f"a {type(last).__name__} with members of training='stateful' reads all rows before each; it is "
                "predicted in memory only."
            )
        if context_rows:
            raise ModelError(f"a {type(last).__name__} of training='stateful' reads all rows before each, found "
                             f"--context-rows {context_rows}.")  # fmt: skip
        return Reading(True, 0)
    # Whether the user has counted the windows of the network or not: with more rows the answers are the same.
    return Reading(False, max(reaches, default=0) + (context_rows or 0))


def takes_groups(model, method):
    """Return whether a method of a model takes `groups`, in a pipeline the method of its last step."""
    while hasattr(model, "steps"):
        if method == "transform":
            return False
        model = model.steps[-1][1]
    return "groups" in inspect.signature(getattr(model, method)).parameters


def labels_of(model):
    """Return the labels of groups that a fitted model knows, as an array; None for one that compares them alone."""
    for one in networks_in(model):
        for name in ("group_labels_", "context_groups_"):
            if hasattr(one, name):
                return np.asarray(getattr(one, name))
    return None


def _refuse_steps_that_look_back(steps):
    from sklstm._row_wise import RowWiseSteps

    try:
        RowWiseSteps(steps)
    except (ValueError, TypeError) as error:
        said = (
            one_line(error).partition(". If its answer")[0].replace("cannot be run row by row", "may read other rows")
        )
        raise ModelError(
            f"{said}. Say how many rows before a row its answers depend on: --context-rows N (0 for none)."
        ) from error


def networks_in(model):
    """Give all estimators inside a fitted model that read rows before, itself included."""
    if hasattr(model, "_architecture"):
        yield model
        return
    if hasattr(model, "sequence_length"):
        yield model
        return
    inside = [*vars(model).values()]
    for value in inside:
        for one in value if isinstance(value, list | tuple) else [value]:
            entries = one if isinstance(one, tuple) else (one,)
            for entry in entries:
                if hasattr(entry, "get_params") and not isinstance(entry, type):
                    yield from networks_in(entry)


def _reach(network):
    """Return how many rows before a row a network reads; None for all of them."""
    shape = getattr(network, "_architecture", None)
    if shape is None:
        return max(int(network.sequence_length) - 1, 0)
    name = type(network).__name__
    if network._fitted_on == "sequences":
        raise ModelError(f"this {name} was fitted on a set of sequences; the command line predicts the rows of tables.")
    if shape["decoder"] != "direct" and len(shape["known_columns"]):
        raise ModelError(
            f"this {name} has a decoder that reads known_columns of the rows ahead, which is done in memory only: "
            "predict(X, future=...)."
        )
    return None if shape["every_step"] else int(network.sequence_length) - 1


def names_of(method, model, shape):
    """Return the names of the columns for the answers of a method, of shape (n_rows, ...)."""
    name = METHODS[method]
    if len(shape) == 1:
        return [name]
    if method in ("predict_proba", "predict_log_proba") and len(shape) == 2:
        classes = getattr(model, "classes_", range(shape[1]))
        labels = classes if len(classes) == shape[1] and getattr(classes, "ndim", 1) == 1 else range(shape[1])
        return [f"{name}_{label}" for label in labels]
    if method == "predict_quantiles":
        levels = quantiles_of(model, shape[-1])
        inner = [""] if len(shape) == 2 else _numbered("", shape[1:-1])
        return [f"{name}_{level:g}{one}" for one in inner for level in levels]
    return _numbered(name, shape[1:])


def _numbered(name, shape):
    names = [name]
    for size in shape:
        names = [f"{one}_{k}" for one in names for k in range(size)]
    return names


def quantiles_of(model, n_quantiles):
    """Return the levels of the quantiles that a model predicts, their numbers where it does not tell."""
    for network in networks_in(model.steps[-1][1] if hasattr(model, "steps") else model):
        levels = getattr(network, "quantile", None)
        levels = [levels] if isinstance(levels, float) else levels
        if levels is not None and len(levels) == n_quantiles:
            return [float(level) for level in levels]
    return range(n_quantiles)
