"""Targets and weights of each step of each sequence of a set."""

import numpy as np

from sklstm._validation.kinds import refuse_no_container, shape_of
from sklstm._validation.messages import naming, refuse_masked
from sklstm._validation.targets import check_numbers, check_weights, counted_entries, refuse_datetimes

ONE_EACH = "For one target per sequence, set targets='sample'."


def check_steps(y, sample_weight, lengths, name, check_entry):
    """Return the targets and the weights of all steps of all sequences, one after the other.

    Parameters
    ----------
    y : list of arrays, or array of shape (n_sequences, n_steps) or (n_sequences, n_steps, n_outputs)
        Of each sequence an array of shape (n_steps_i,) or (n_steps_i, n_outputs); missing targets are NaN or None.
    sample_weight : array-like of shape (n_sequences,), or with entries as those of y, or None
        One weight for each sequence, for each of its steps, or for each output of them.
    lengths : ndarray of shape (n_sequences,)
        Rows of each sequence.
    name : str
        Name of y in messages.
    check_entry : callable
        ``check_entry(entry, title)`` returns the targets of one sequence as an array.

    Returns
    -------
    y : ndarray of shape (n_rows,) or (n_rows, n_outputs)
    weights : ndarray of shape (n_rows,), or of the shape of y where outputs of one row differ
        0 where the target is missing.
    """
    x, of_weights = f"X{name[1:]}", f"sample_weight{name[1:]}"
    y = _join(y, lengths, name, x, check_entry)
    weights = _weights_of_steps(sample_weight, lengths, y.shape, of_weights, x)
    missing = missing_steps(y)
    if weights.ndim == 1 and y.ndim == 2:
        whole = missing.all(axis=1)
        if (missing.any(axis=1) == whole).all():
            missing = whole
        else:
            weights = np.repeat(weights[:, np.newaxis], y.shape[1], axis=1)
    weights = np.where(missing, 0.0, weights)
    if not weights.any():
        raise ValueError(f"{name} holds no target: each one is missing (NaN or None), or has {of_weights} 0.")
    if y.dtype.kind == "f":
        infinite = np.argwhere(np.isinf(y) & counted_entries(weights > 0, y, name))
        if len(infinite):
            place = title_of_row(infinite[0, 0], np.append(0, np.cumsum(lengths)), name)
            raise ValueError(f"{name} holds {y[tuple(infinite[0])]} in {place}.")
    return y, weights


def _join(values, lengths, name, x, check_entry):
    """Return the checked entries of all sequences, one after the other."""
    refuse_no_container(values, name)
    refuse_masked(values, name)
    values = np.asarray(values) if hasattr(values, "columns") else values
    if _is_full(values, lengths):
        return check_entry(values.reshape(-1, *values.shape[2:]), name)
    entries = [values] if _is_single(values) else list(values)
    if all(map(_is_single, entries)):
        raise ValueError(
            f"{name} has {len(entries)} single values, but targets='sequence' needs an array for each of the "
            f"{len(lengths)} sequences of {x}, with an entry for each of its rows: {name}[0] of shape ({lengths[0]},) "
            f"or ({lengths[0]}, n_outputs). {ONE_EACH}"
        )
    if len(entries) != len(lengths):
        raise ValueError(
            f"{name} has arrays for {len(entries)} sequences, expected {len(lengths)}, one for each sequence of {x}."
        )
    checked = []
    for i, (entry, n_rows) in enumerate(zip(entries, lengths.tolist(), strict=True)):
        title = f"{name}[{i}]"
        _check_shape(entry, n_rows, title, f"{x}[{i}]")
        checked.append(check_entry(entry, title))
        if checked[i].shape[1:] != checked[0].shape[1:]:
            raise ValueError(
                f"{title} has shape {checked[i].shape}, expected {(n_rows, *checked[0].shape[1:])}: {name}[0] has "
                f"shape {checked[0].shape}."
            )
        _refuse_other_kind(checked, name)
    return np.concatenate(checked)


def _is_full(values, lengths):
    """Return whether values are an array with the steps of sequences of one length, which need not be joined."""
    is_array = type(values) is np.ndarray and values.ndim in (2, 3) and values.dtype.kind != "O"
    return is_array and len(values) == len(lengths) and (lengths == values.shape[1]).all()


def _is_single(value):
    """Return whether a value is no array or list of values."""
    return isinstance(value, (str, bytes)) or not hasattr(value, "__len__") or getattr(value, "ndim", 1) == 0


def _check_shape(entry, n_rows, title, x):
    """Raise unless the targets of one sequence are as many as its rows."""
    refuse_no_container(entry, title)
    refuse_masked(entry, title)
    shape = shape_of(entry)
    if not shape:
        with naming(title):
            shape = np.shape(entry)
    if len(shape) not in (1, 2) or shape[0] != n_rows:
        raise ValueError(
            f"{title} has shape {shape}, expected ({n_rows},) or ({n_rows}, n_outputs): {x} has {n_rows} "
            f"row{'s' * (n_rows != 1)}.{'' if title.startswith('sample_weight') else f' {ONE_EACH}'}"
        )


def _refuse_other_kind(checked, name):
    """Raise where the last entry is text and the first numbers, which would become text too, or the other way round."""
    first, last = checked[0].dtype, checked[-1].dtype
    if "O" not in (first.kind, last.kind) and (first.kind in "US") != (last.kind in "US"):
        raise ValueError(
            f"{name}[{len(checked) - 1}] holds {last.name}, but {name}[0] holds {first.name}; labels are either all "
            "text or all numbers."
        )


def check_labels_of_steps(entry, title):
    """Return the labels of one sequence as an array; missing ones are NaN or None."""
    refuse_datetimes(entry, title)
    with naming(title):
        labels = np.asarray(entry)
        # None becomes NaN in a matrix of 0 and 1.
        return labels.astype(np.float64) if labels.ndim == 2 and labels.dtype.kind == "O" else labels


def missing_steps(y):
    """Return a mask of the joined targets that are NaN or None."""
    if y.dtype.kind == "f":
        return np.isnan(y)
    if y.dtype.kind != "O":
        return np.zeros(y.shape, bool)
    # pandas.NA is not equal to anything, and of no kind that NumPy knows.
    missing = [one is None or type(one).__name__ == "NAType" for one in y.ravel().tolist()]
    there = np.where(np.reshape(missing, y.shape), None, y)
    return np.reshape(missing, y.shape) | np.not_equal(there, there).astype(bool)


def _weights_of_steps(sample_weight, lengths, shape, name, x):
    """Return weights of all steps, or of all outputs of them."""
    if sample_weight is None:
        return np.ones(shape[0])
    refuse_no_container(sample_weight, name)
    if _is_single(sample_weight) or all(map(_is_single, sample_weight)):
        return np.repeat(check_weights(sample_weight, len(lengths), name), lengths)
    joined = _join(sample_weight, lengths, name, x, lambda entry, title: check_numbers(entry, title, dtype=np.float64))
    if joined.shape not in (shape[:1], shape):
        expected = "(n_steps,)" + (f" or (n_steps, {shape[1]})" if len(shape) == 2 else "")
        raise ValueError(
            f"{name}[0] has shape {(int(lengths[0]), *joined.shape[1:])}, expected {expected}, as y{name[13:]}[0]."
        )
    return check_weights(joined, len(joined), name)


def title_of_row(row, bounds, name):
    """Return what a row of joined sequences, which begin at `bounds`, is called in messages."""
    i = int(np.searchsorted(bounds, row, side="right")) - 1
    return f"row {row - bounds[i]} of {name}[{i}]"
