"""Columns of X that parameters of an estimator name, by position or by name."""

from numbers import Integral

import numpy as np

from sklstm._validation import naming

NAMES_IN_A_MESSAGE = 20


def column_position(entry, argument, given, n_features, names):
    """Return the column position of one entry of a parameter.

    Parameters
    ----------
    entry : object
        A position or a name.
    argument : str
        Name of the parameter, in messages.
    given : object
        The parameter as a whole.
    n_features : int
        Number of columns of X.
    names : sequence of str or None
        Their names.

    Raises
    ------
    ValueError
        If there is no such column.
    """
    if isinstance(entry, str):
        if names is None:
            raise ValueError(
                f"{argument}={given!r} names a column, but X came without names: they need a DataFrame "
                "whose columns are strings (in a pipeline, set_output(transform='pandas')). Otherwise write an integer "
                f"position, 0 to {n_features - 1}."
            )
        places = [k for k, name in enumerate(names) if name == entry]
        if len(places) != 1:
            raise ValueError(
                f"{argument}={given!r}: X has {len(places) or 'no'} column{'s' * (len(places) > 1)} "
                f"{entry!r}; it has {listed(names)}."
            )
        return places[0]
    if not isinstance(entry, Integral) or isinstance(entry, bool):
        raise ValueError(
            f"{argument}={given!r} holds {entry!r}, expected an integer position, 0 to {n_features - 1}, or "
            "the name of a column of X."
        )
    if not 0 <= entry < n_features:
        raise ValueError(f"{argument}={given!r} is beyond the columns of X, 0 to {n_features - 1}.")
    return int(entry)


def listed(names):
    """Return the names of columns as a part of a sentence, the first ones of many."""
    shown = ", ".join(repr(name) for name in names[:NAMES_IN_A_MESSAGE])
    return shown + (", ..." if len(names) > NAMES_IN_A_MESSAGE else "")


def called(columns, names):
    """Return the names of columns at some positions, or the positions where there are no names."""
    return [column if names is None else names[column] for column in columns]


def known_positions(known_columns, n_features, names):
    """Return the positions of `known_columns`, in increasing order.

    Parameters
    ----------
    known_columns : int, str, array-like of such, or None
    n_features : int
    names : sequence of str or None

    Returns
    -------
    tuple of int

    Raises
    ------
    ValueError
        If there is no such column, or if one is named twice.
    """
    if known_columns is None:
        return ()
    with naming("known_columns"):
        entries = np.asarray(known_columns, dtype=object)
    if entries.ndim > 1:
        raise ValueError(f"known_columns must be a column of X or a list of columns; found {known_columns!r}.")
    columns = [
        column_position(entry, "known_columns", known_columns, n_features, names) for entry in entries.ravel().tolist()
    ]
    if len(set(columns)) < len(columns):
        raise ValueError(f"known_columns={known_columns!r} names a column twice.")
    return tuple(sorted(columns))


def time_position(cell, n_features, names):
    """Return the position of the `time_column` of a cell, or None.

    Parameters
    ----------
    cell : Cell
    n_features : int
    names : sequence of str or None

    Raises
    ------
    ValueError
        If there is no such column.
    """
    column = getattr(cell, "time_column", None)
    return None if column is None else column_position(column, "cell__time_column", column, n_features, names)


def refuse_known_targets(target_columns, known_columns, n_features, names):
    """Raise if the targets are the future of a column that is known ahead.

    Parameters
    ----------
    target_columns : list of int
    known_columns : int, str, array-like of such, or None
    n_features : int
    names : sequence of str or None
    """
    both = [column for column in target_columns if column in known_positions(known_columns, n_features, names)]
    if both:
        raise ValueError(
            f"known_columns={known_columns!r} holds {called(both, names)[0]!r}, which is a target_column: y is its "
            "future, which cannot be known ahead. Take it out of known_columns."
        )


def refuse_time_targets(unit_columns, cell, n_features, names):
    """Raise if `group_scaling` would divide the `time_column` of a cell by the unit of a group.

    Parameters
    ----------
    unit_columns : list of int
    cell : Cell
    n_features : int
    names : sequence of str or None
    """
    column = time_position(cell, n_features, names)
    if column is not None and column in unit_columns:
        raise ValueError(
            f"cell__time_column={cell.time_column!r} is a target_column, which group_scaling divides by the unit of "
            "its group: times would have another one in each group. Add a copy of the column to X for one of both."
        )
