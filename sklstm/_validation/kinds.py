"""Kinds of input: tables and sequences, containers that are neither, and the meaning of the axes."""

import sys
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView

import numpy as np

from sklstm._warn import warn_user

# Bounds of the mean squared difference of neighbours along an axis over twice the variance (1 if independent).
SMOOTH, ROUGH = 0.25, 0.75
FEW_STEPS, MANY_FEATURES = 3, 30
SEQUENCES_LOOKED_AT = 64
ONE_ROW_EACH = (
    "A set of sequences has one target per sequence, where targets='sample'. For a target at each step set "
    "targets='sequence', or stack them as a table: np.concatenate(X), np.concatenate(y), and "
    "groups=np.repeat(np.arange(len(X)), [len(x) for x in X])."
)


def is_dask(X):
    """Return whether X is a collection of dask, which is not imported."""
    return hasattr(type(X), "__dask_graph__")


def is_list_of_sequences(X):
    """Return whether X is a list (or object array) of 2-D arrays, and not a table given as a list of rows."""
    if isinstance(X, np.ndarray):
        return X.dtype == object and X.ndim == 1 and len(X) > 0 and len(shape_of(X[0])) == 2
    if not isinstance(X, (list, tuple)) or len(X) == 0:
        return False
    return any(_is_table(entry) for entry in X)


def is_set_of_sequences(X):
    """Return whether X is a set of sequences (3-D array or list of 2-D arrays) and not a table."""
    return is_list_of_sequences(X) or getattr(X, "ndim", 2) == 3


def _is_table(entry):
    if isinstance(entry, (list, tuple)):
        return len(entry) > 0 and isinstance(entry[0], (list, tuple, np.ndarray))
    return len(shape_of(entry)) == 2


def shape_of(values):
    """Return the shape of X, () if it has none; polars has no `ndim`."""
    shape = getattr(values, "shape", ())
    return shape if isinstance(shape, tuple) else ()


def check_container(X, name):
    """Return X, or raise a TypeError with advice if it is no container of numbers.

    A RecordBatch of pyarrow becomes a Table, in which scikit-learn finds the names.
    """
    refuse_no_container(X, name)
    if isinstance(X, (list, tuple)) and len(X):
        refuse_no_container(X[0], f"{name}[0]")
    if type(X).__module__.startswith("pyarrow") and type(X).__name__ == "RecordBatch":
        return sys.modules["pyarrow"].Table.from_batches([X])
    if _is_nested(X):
        how = ""
        if not isinstance(X, np.ndarray) and len(shape_of(X)) == 2:
            rows = "iter_rows" if hasattr(X, "iter_rows") else "to_numpy"
            how = f": [np.column_stack([*row]) for row in {name}.{rows}()]"
        raise TypeError(f"{name} has cells that hold series. Pass a list of 2-D arrays (n_steps, n_features){how}.")
    return X


def refuse_no_container(X, name):
    """Raise a TypeError with advice for a dict, a dict view, an iterator, a groupby or a lazy query."""
    found = type(X).__name__
    if isinstance(X, Mapping) and not shape_of(X):  # a sparse matrix of keys is a dict too
        raise TypeError(
            f"{name} is a {found}. Of columns make a table, pandas.DataFrame({name}); of sequences a list, "
            f"list({name}.values())."
        )
    if isinstance(X, (ValuesView, KeysView, ItemsView, Iterator)):
        raise TypeError(f"{name} is a {found}, which has no first entry. Pass list({name}).")
    if found.endswith("GroupBy"):
        raise TypeError(
            f"{name} is a {found}. Pass its table and groups, one label per row, or a list of its parts: "
            f"[part for _, part in {name}]."
        )
    if hasattr(X, "collect") and not hasattr(X, "shape"):
        raise TypeError(f"{name} is a {found}, a query that has not been run. Pass {name}.collect().")


def refuse_times(X, name):
    """Raise for columns of dates or times, which NumPy would turn into numbers of some unit without a word."""
    for place, dtype in _dtypes(X):
        is_temporal = getattr(dtype, "is_temporal", None)
        if (
            getattr(dtype, "kind", "O") in "mM"
            or str(dtype).startswith(("period[", "timestamp[", "date32", "date64", "time32", "time64", "duration["))
            or (is_temporal is not None and is_temporal())
        ):
            raise TypeError(
                f"{name} holds dates or times ({place}{dtype}), expected numbers. Make them the index of a DataFrame, "
                "which tells the order in time, or numbers, as the hour of the day or (times - start) / "
                "numpy.timedelta64(1, 'h')."
            )


def _dtypes(X):
    """Return names and dtypes of the columns of X, as far as they are known."""
    if hasattr(X, "columns") and hasattr(X, "dtypes"):
        return [(f"column {name!r}: ", dtype) for name, dtype in zip(X.columns, X.dtypes, strict=True)]
    if hasattr(X, "schema"):  # of pyarrow
        return [(f"column {field.name!r}: ", field.type) for field in X.schema]
    return [("", X.dtype)] if hasattr(X, "dtype") else []


def _is_nested(X):
    """Return whether the first row of a table of objects holds series, arrays or lists."""
    shape = shape_of(X)
    if hasattr(X, "iloc") and len(shape) in (1, 2) and 0 not in shape:
        dtypes = X.dtypes if len(shape) == 2 else [X.dtype]
        if not any(getattr(dtype, "kind", "O") == "O" for dtype in dtypes):
            return False
        row = X.iloc[0].tolist() if len(shape) == 2 else [X.iloc[0]]
    elif hasattr(X, "iter_rows") and 0 not in shape:
        if not any(dtype.is_nested() for dtype in X.dtypes):
            return False
        row = X.row(0)
    elif isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 2 and 0 not in shape:
        row = X[0].tolist()
    else:
        return False
    return any(isinstance(cell, (list, tuple)) or len(shape_of(cell)) > 0 for cell in row)


def check_kind(fitted_on, X, name="X"):
    """Raise if a model that was fitted on sequences gets one table.

    Parameters
    ----------
    fitted_on : "table" or "sequences"
    X : array-like
    name : str
    """
    X = check_container(X, name)
    if fitted_on == "sequences" and not is_set_of_sequences(X) and len(np.shape(X)) == 2:
        raise ValueError(
            f"{name} is a table, each row a sample, but the model was fitted on sequences. If {name} is "
            f"one sequence, pass {name}[np.newaxis] (or [{name}]), several as a 3-D array or a list of 2-D arrays."
        )


def refuse_table_for_sequences(targets, X, name="X"):
    """Raise if X is a table where `targets` is "sequence"."""
    if targets == "sequence" and not is_set_of_sequences(X):
        raise ValueError(
            f"targets='sequence' goes with a set of sequences {name}, a 3-D array or a list of 2-D arrays; found a "
            f"table or no sequences ({type(X).__name__} of shape {np.shape(X)}). Of one sequence pass [{name}] and "
            f"[y{name[1:]}]; for one target per row of a table set targets='sample'."
        )


def refuse_target_per_row(X, y, name="y"):
    """Raise if y is a list of arrays, or a 3-D array, with an entry for each row of each sequence in X."""
    if getattr(y, "ndim", 0) == 3 and is_set_of_sequences(X) and {len(x) for x in X} == {y.shape[1]}:
        raise ValueError(f"{name} has shape {y.shape}, an entry for every step of each sequence. {ONE_ROW_EACH}")
    if getattr(getattr(y, "dtype", None), "kind", "O") != "O":
        return
    y = y.tolist() if hasattr(y, "iloc") and len(y.shape) == 1 else y
    if not isinstance(y, (list, tuple, np.ndarray)) or not is_set_of_sequences(X) or len(X) != len(y) or len(y) == 0:
        return
    lengths = [len(sequence) for sequence in X]
    if max(lengths) == 1 or any(_n_entries(entry) != n for entry, n in zip(y, lengths, strict=True)):
        return
    or_several = (
        f" If these are {lengths[0]} targets of the whole sequence, pass an array: np.stack({name})."
        if len(set(lengths)) == 1
        else ""
    )
    raise ValueError(
        f"{name} is a list of {len(y)} arrays, each with an entry for every step of its sequence. "
        f"{ONE_ROW_EACH}{or_several}"
    )


def _n_entries(entry):
    if isinstance(entry, (list, tuple)):
        return len(entry)
    shape = shape_of(entry)
    return shape[0] if shape else None


def warn_of_swapped_axes(X, name="X"):
    """Warn where values run smoothly along the last axis of sequences, and not along the steps.

    Time series are smooth in time; columns next to each other have little in common. Where values run smoothly along
    neither, sequences of a few steps of very many features cause a warning too.
    """
    sample = X[:SEQUENCES_LOOKED_AT]
    shape = np.shape(sample[0])
    if isinstance(sample, (list, tuple)):
        sample = np.stack([entry for entry in sample if np.shape(entry) == shape])
    n_steps, n_features = shape
    if n_features <= n_steps or n_features < 8:
        return
    along_features, along_steps = _roughness(sample, 2), _roughness(sample, 1)
    is_smooth = along_features < SMOOTH
    if along_steps > ROUGH and (is_smooth or (n_steps <= FEW_STEPS and n_features >= MANY_FEATURES)):
        why = (
            ", but neighbours along its last axis are alike and neighbours along its steps are not" if is_smooth else ""
        )
        warn_user(
            f"{name}[0] has shape {shape}, {n_steps} step{'s' * (n_steps > 1)} of {n_features} features{why}: is the "
            "last axis time? Sequences are (n_sequences, n_steps, n_features). If so, "
            f"{axes_advice(name, isinstance(X, np.ndarray))}"
        )


def _roughness(array, axis):
    """Return the mean squared difference of neighbours over twice the variance, infinite for an axis of one entry."""
    if array.shape[axis] == 1:
        return np.inf
    array = np.asarray(array, np.float64)
    scale = np.abs(array).max() or 1.0  # squares neither overflow nor vanish
    variance = np.var(array / scale)
    return np.mean(np.diff(array / scale, axis=axis) ** 2) / (2 * variance) if variance > 0 else np.inf


def advice_for_axes(X, n_features, name="X"):
    """Return advice for sequences whose first axis, instead of the last, has the expected size."""
    is_array = isinstance(X, np.ndarray) and X.ndim == 3
    shapes = [X.shape[1:]] if is_array else [shape_of(entry) for entry in X]
    if any(shape[:1] != (n_features,) for shape in shapes):
        return ""
    return f" Sequences are (n_sequences, n_steps, n_features): {axes_advice(name, is_array)}"


def axes_advice(name, is_array):
    """Return the code that swaps the last two axes of X."""
    return f"pass {name}.transpose(0, 2, 1)." if is_array else f"pass [x.T for x in {name}]."
