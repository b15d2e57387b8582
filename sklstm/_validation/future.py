"""Rows ahead: what is known of the rows that come after those of X, which a decoder reads."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import _check_feature_names, validate_data

from sklstm._network.input_range import first_beyond_range
from sklstm._validation.groups import check_groups, labels_of
from sklstm._validation.kinds import check_container, is_list_of_sequences, is_set_of_sequences
from sklstm._validation.messages import naming, refuse_masked
from sklstm._validation.range import beyond_range
from sklstm._validation.scales import warn_of_other_scale_ahead
from sklstm._validation.sequences import refuse_other_width

TABLE_DTYPES = (np.float64, np.float32)


class Future(NamedTuple):
    """The rows that come after X, as the user passed them.

    Attributes
    ----------
    rows : array-like or None
    groups : array-like or None
        The label of each.
    """

    rows: Any = None
    groups: Any = None

    def __bool__(self):
        """Return whether anything was passed."""
        return self.rows is not None or self.groups is not None


class Ahead(NamedTuple):
    """What a decoder reads of the rows ahead.

    Attributes
    ----------
    horizon : int
        How many of them.
    known : tuple of int
        Positions of the columns.
    """

    horizon: int
    known: tuple


def refuse_future(future, ahead, name="future"):
    """Raise if rows ahead were given to a model that reads none; `ahead` is None without a decoder."""
    if not future or (ahead is not None and ahead.known):
        return
    if ahead is None:
        raise ValueError(f"{name} is read by decoders alone: set decoder='recurrent' or 'parallel' of a regressor.")
    raise ValueError(f"{name} needs known_columns, the columns that are read of the rows ahead; found None.")


def look_ahead(estimator, sequences, ahead, future, *, is_set, groups=None, present=None, name="X"):
    """Return sequences with what is known of the rows after them.

    Parameters
    ----------
    estimator : estimator
        It knows number and names of the columns.
    sequences : Sequences
        Of a table, one for each row; or a set.
    ahead : Ahead
    future : Future
        The rows after the table, or after each group or sequence.
    is_set : bool
    groups : array-like or None, default=None
        The label of each row of a table.
    present : ndarray of shape (n_sequences,), dtype bool, or None
        Which of them count; None for all.
    name : str, default="X"
        Name of X in messages.

    Returns
    -------
    Sequences

    Raises
    ------
    ValueError
        If rows are missing; the message says what to pass.
    """
    if not is_set:
        sequences = replace(sequences, horizon=ahead.horizon)
    if not ahead.known:
        return sequences
    argument = f"future{name[1:]}"
    if is_set:
        if future.groups is not None:
            raise ValueError(f"{argument}_groups goes with a 2-D table {name}, not with a set of sequences.")
        table, starts, missing = _after_sequences(estimator, sequences, ahead, future.rows, name, argument)
    else:
        table, starts, missing = _after_rows(estimator, sequences, ahead, future, groups, name, argument)
    missing = missing if present is None else missing & present
    if missing.any():
        row = int(missing.argmax())
        what = "sequence" if is_set else "row"
        raise ValueError(
            f"the decoder reads the known columns of the {ahead.horizon} rows after each {what}, but "
            f"{_found(sequences, row, is_set, future.rows is not None)} after {what} {row} of {name}. Pass the rows "
            f"that follow as {argument}, of shape {'(n_sequences, ' if is_set else '('}n_rows, n_features) with the "
            f"columns of {name} (the others than known_columns are not read)"
            + ("." if is_set else f", or end {name} so many rows earlier.")
        )
    return replace(sequences, ahead=table, ahead_starts=starts)


def _found(sequences, row, is_set, given):
    if is_set or given:
        return "fewer come" if given else "none are known"
    block = int(np.searchsorted(sequences.blocks, row, side="right"))
    n = int(sequences.blocks[block]) - row - 1
    return f"only {n} come" if n else "none come"


def _after_rows(estimator, sequences, ahead, future, groups, name, argument):
    """Return the known columns of a table with what comes after each group, where those of each row begin, and which
    rows have too few."""
    if (groups is None) != (future.groups is None) and future.rows is not None:
        missing, given = (
            (f"groups{name[1:]}", f"{argument}_groups") if groups is None else (f"{argument}_groups", "groups")
        )
        raise ValueError(
            f"{argument} with {given} needs {missing} too: labels of the rows of {name} and of {argument} tell which "
            "rows come after which."
        )
    if future.rows is None and future.groups is not None:
        raise ValueError(f"{argument}_groups needs {argument}, the rows that these labels are of.")
    rows = np.empty((0, len(ahead.known)), sequences.table.dtype)
    if future.rows is not None:
        rows = known_rows(estimator, future.rows, ahead.known, argument)
        warn_of_other_scale_ahead(estimator, rows, ahead.known, argument, sequences.table)
    after, labels = {None: (0, len(rows))}, [None]
    if groups is not None:
        after = {}
        labels = labels_of(groups)[sequences.blocks[:-1]].tolist()
        if future.rows is not None:
            bounds = check_groups(future.groups, len(rows), argument, f"{argument}_groups")
            names = labels_of(future.groups)[bounds[:-1]].tolist()
            after = dict(zip(names, zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True), strict=True))
    pieces, total, n = [], 0, len(sequences)
    starts, n_after = np.empty(n, np.intp), np.empty(n, np.intp)
    known = list(ahead.known)
    for label, begin, end in zip(labels, sequences.blocks[:-1].tolist(), sequences.blocks[1:].tolist(), strict=True):
        first, last = after.get(label, (0, 0))
        pieces += [sequences.table[begin:end, known], rows[first:last]]
        starts[begin:end] = total + 1 + np.arange(end - begin)
        total += end - begin + last - first
        n_after[begin:end] = total - starts[begin:end]
    return np.ascontiguousarray(np.concatenate(pieces)), starts, n_after < ahead.horizon


def _after_sequences(estimator, sequences, ahead, rows, name, argument):
    """Return the known columns of the rows after each sequence of a set, where they begin, what is missing."""
    n, n_known = len(sequences), len(ahead.known)
    starts = np.arange(n, dtype=np.intp) * ahead.horizon
    if rows is None:
        return np.empty((0, n_known)), starts, np.ones(n, bool)
    if not is_set_of_sequences(rows):
        raise ValueError(
            f"{argument} must be a set of sequences like {name}, the rows after each: an array of 3 axes or a list of "
            "2-D arrays."
        )
    entries = rows if is_list_of_sequences(rows) else list(np.asarray(rows))
    if len(entries) != n:
        raise ValueError(f"{argument} holds the rows after {len(entries)} sequences, but {name} has {n}.")
    tables = [known_rows(estimator, entry, ahead.known, f"{argument}[{i}]") for i, entry in enumerate(entries)]
    missing = np.array([len(table) < ahead.horizon for table in tables])
    dtype = np.result_type(*{table.dtype for table in tables})
    table = np.zeros((n * ahead.horizon, n_known), dtype)
    for start, one in zip(starts, tables, strict=True):
        n_rows = min(len(one), ahead.horizon)
        table[start : start + n_rows] = one[:n_rows]
    if not missing.any():
        warn_of_other_scale_ahead(estimator, table, ahead.known, argument, sequences.table)
    return table, starts, missing


def known_rows(estimator, rows, known, argument):
    """Return the known columns of some rows, checked; nothing is asked of the others, which may be NaN."""
    refuse_masked(rows, argument)
    rows = check_container(rows, argument)
    with naming(argument):
        if not (hasattr(rows, "columns") or hasattr(rows, "column_names")):
            rows = check_array(
                rows, dtype=TABLE_DTYPES, ensure_all_finite=False, ensure_min_samples=0, input_name=argument
            )
            refuse_other_width(estimator, rows.shape[1], estimator.n_features_in_, argument)
        else:
            _check_feature_names(estimator, rows, reset=False)
            rows = validate_data(
                estimator, rows, reset=False, dtype=TABLE_DTYPES, ensure_all_finite=False, ensure_min_samples=0
            )
        return check_array(
            rows[:, list(known)], dtype=TABLE_DTYPES, order="C", ensure_min_samples=0, input_name=argument
        )


def check_range_ahead(network, ahead, columns=None, name="future"):
    """Raise if a known column of rows ahead holds a number that is too large for the network.

    Parameters
    ----------
    network : Network
    ahead : ndarray of shape (n_rows, n_known) or None
    columns : sequence of str or None
        Names of all columns.
    name : str, default="future"
        Name of the argument in messages.
    """
    if ahead is None:
        return
    known = list(network.architecture.known_columns)
    mean, scale = (None if one is None else np.asarray(one)[known] for one in (network.input_mean, network.input_scale))
    place = first_beyond_range(ahead, mean, scale, network.largest_input, None)
    if place is None:
        return
    row, column = place[0], known[place[1]]
    title, why = column if columns is None else repr(columns[column]), {(row, column): ahead[place]}
    raise ValueError(f"{name} holds {ahead[place]:g} in column {title}, {beyond_range(network, why, (row, column))}")
