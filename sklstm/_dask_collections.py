"""Answers for dask arrays and frames: lazy, partition by partition, with the rows before each partition.

Only called with a collection of dask, so that dask is imported by whoever made it.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklstm._rows_ahead import ahead_of
from sklstm._seeds import n_networks
from sklstm._snapshot import snapshot_of
from sklstm._validation import (
    check_groups,
    check_sequences,
    holds_no_rows,
    is_dask,
    labels_of,
    refuse_other_width,
    window_length,
)


class Carry(NamedTuple):
    """What the rows before a partition leave to it.

    Attributes
    ----------
    rows : dict of label to ndarray
        The last rows of groups that may go on, or begin, in the partition: of a table without groups under None. Rows
        of the context of the user are there until their group has passed.
    current : object
        The group of the last row, None before the first row.
    finished : frozenset
        Groups that may not come again.
    """

    rows: dict
    current: Any = None
    finished: frozenset = frozenset()


def lazy_answer(model, method, X, groups=None, context=None, context_groups=None, future=None):
    """Return what a method says of a dask array or frame, as a dask array.

    Parameters
    ----------
    model : estimator
        A snapshot, fitted.
    method : str
        Name of the public method.
    X : dask.array.Array of 2 or 3 axes, or dask.dataframe.DataFrame
    groups : dask array or series, or array-like, default=None
        One label per row of a table; in memory only where the sizes of the partitions of X are known.
    context, context_groups : array-like, default=None
        In memory.
    future : Future, default=None
        Refused.

    Returns
    -------
    dask.array.Array
        With the partitions of X, whose sizes may be unknown.
    """
    import dask

    check_is_fitted(model)
    n_axes = _number_of_axes(X)
    _refuse_what_is_not_local(model, future, context, context_groups)
    shape, dtype = _form_of_answers(model, method)
    delayed_model = dask.delayed(model, traverse=False)
    if n_axes == 3:
        if groups is not None or context is not None:
            raise ValueError("groups and context go with a 2-D table X; here each sequence of X stands for itself.")
        blocks, sizes = _blocks_of_sequences(model, X)
        shape = (X.shape[1], *shape) if model.targets == "sequence" else shape
        answers = [dask.delayed(_answer)(delayed_model, method, block, None, None, shape, dtype) for block in blocks]
        return _joined(answers, sizes, shape, dtype)
    blocks, sizes = _blocks_of_table(model, X)
    labels = _blocks_of_groups(groups, sizes)
    if (groups is None) != (context_groups is None) and context is not None:
        missing = "groups" if groups is None else "context_groups"
        raise ValueError(f"{missing} is missing: context with groups needs both groups and context_groups.")
    given = context, context_groups
    answers, carry = [], None
    for block, own in zip(blocks, labels, strict=True):
        answers.append(dask.delayed(_answer)(delayed_model, method, block, own, carry, shape, dtype, given))
        carry = dask.delayed(_carry_on)(delayed_model, block, own, carry, given)
    return _joined(answers, sizes, shape, dtype)


def _refuse_what_is_not_local(model, future, context, context_groups):
    """Raise where an answer needs more than its partition and the window before it."""
    if model.training == "stateful":
        raise ValueError(
            "training='stateful' carries its states from the first row of a series on, so that partitions of a dask "
            "collection cannot be answered apart: pass X.compute(), or the rows one at a time to a stream."
        )
    ahead = ahead_of(model)
    if future or (ahead is not None and ahead.known):
        raise ValueError(
            "a decoder with known_columns reads rows after those of its partition: instead of a dask collection pass "
            "X.compute()."
        )
    for value, name in ((context, "context"), (context_groups, "context_groups")):
        if is_dask(value):
            raise TypeError(
                f"{name} is a collection of dask; only its last rows are read: pass these in memory, as "
                f"{name}.tail(n) of a frame or {name}[-n:].compute() of an array."
            )


def _number_of_axes(X):
    """Return 2 or 3, or raise for what is no array or frame."""
    # Asked of the class: a delayed object has any attribute.
    n_axes = X.ndim if hasattr(type(X), "ndim") else None
    if n_axes not in (2, 3):
        found = f"a {type(X).__name__} of dask" + ("" if n_axes is None else f" with ndim={n_axes}")
        raise TypeError(
            f"X is {found}; expected an array of 2 or 3 axes or a frame (of delayed parts make one by "
            "dask.array.from_delayed or dask.dataframe.from_delayed)."
        )
    return n_axes


def _form_of_answers(model, method):
    """Return shape, without the axis of samples, and dtype of the answers of a method."""
    targets = model._targets()
    z = np.zeros((1, n_networks(model) * targets.n_outputs))
    answer = targets.decode(z, method)
    return answer.shape[1:], answer.dtype


def _blocks_of_sequences(model, X):
    """Return the partitions of a set of sequences, a 3-D array, and their sizes."""
    if any(math.isnan(size) for size in X.shape[1:]):
        raise ValueError("X has sequences of unknown length; call X.compute_chunk_sizes() first.")
    refuse_other_width(model, X.shape[2], model.n_features_in_, "X")
    X = X.rechunk({1: -1, 2: -1})
    return X.to_delayed().ravel().tolist(), X.chunks[0]


def _blocks_of_table(model, X):
    """Return the partitions of a table and their sizes, NaN where these are not known."""
    if hasattr(X, "columns"):
        refuse_other_width(model, len(X.columns), model.n_features_in_, "X")
        blocks = X.to_delayed()
        return blocks, (np.nan,) * len(blocks)
    if not math.isnan(X.shape[1]):
        refuse_other_width(model, X.shape[1], model.n_features_in_, "X")
    X = X.rechunk({1: -1}) if len(X.chunks[1]) > 1 else X
    return X.to_delayed().ravel().tolist(), X.chunks[0]


def _blocks_of_groups(groups, sizes):
    """Return the labels of the rows of each partition of X, or None for each."""
    if groups is None:
        return [None] * len(sizes)
    known = not any(math.isnan(size) for size in sizes)
    if not is_dask(groups):
        if not known:
            raise ValueError(
                "groups is in memory, but the sizes of the partitions of X are not known: pass a collection of dask "
                "with the partitions of X, as a column of the frame that X was taken from, or call "
                "X.compute_chunk_sizes() of an array first."
            )
        check_groups(groups, sum(sizes))
        return np.split(labels_of(groups), np.cumsum(sizes)[:-1])
    if hasattr(groups, "chunks"):
        if groups.ndim != 1:
            raise ValueError(f"groups must be 1-D, one label per row of X; its shape is {groups.shape}.")
        if known and not math.isnan(groups.shape[0]) and groups.shape[0] == sum(sizes):
            groups = groups.rechunk({0: sizes})
    parts = groups.to_delayed()
    parts = parts.ravel().tolist() if isinstance(parts, np.ndarray) else parts
    if len(parts) != len(sizes):
        raise ValueError(
            f"groups has {len(parts)} partitions, but X has {len(sizes)}: one label per row of X is needed, in the "
            "partitions of X."
        )
    return parts


def _joined(answers, sizes, shape, dtype):
    """Return delayed answers of partitions as one array."""
    import dask.array

    meta = np.empty((0, *shape), dtype)
    parts = [
        dask.array.from_delayed(answer, (size, *shape), dtype, meta=meta)
        for answer, size in zip(answers, sizes, strict=True)
    ]
    return dask.array.concatenate(parts, axis=0, allow_unknown_chunksizes=True)


# What runs in the tasks.


def _answer(model, method, X, groups, carry, shape, dtype, given=(None, None)):
    """Return what a method says of one partition; `carry` is None for the first."""
    if len(X) == 0:
        return np.empty((0, *shape), dtype)
    if groups is None and np.ndim(X) == 3:
        return getattr(model, method)(X)
    if carry is None:
        context, context_groups = given
        return getattr(model, method)(X, groups=groups, context=context, context_groups=context_groups)
    labels = _labels_in_order(groups, len(X), carry)
    _refuse_unknown_units(model, labels)
    kept = [(label, carry.rows[label]) for label in labels if label in carry.rows]
    # As rows that the model kept: they were checked, with their names, as rows of X.
    model = snapshot_of(model)
    model.context_ = np.concatenate([np.empty((0, model.n_features_in_)), *(rows for _, rows in kept)])
    model.__dict__.pop("context_groups_", None)
    if groups is not None:
        names = np.empty(len(kept), object)
        names[:] = [label for label, _ in kept]
        model.context_groups_ = np.repeat(names, [len(rows) for _, rows in kept])
    # The first partition was compared with the training rows; the others follow it.
    model._row_order = {"span": None, "groups": False}
    return getattr(model, method)(X, groups=groups)


def _carry_on(model, X, groups, carry, given):
    """Return the `Carry` behind a partition."""
    carry = _carry_of_context(model, *given) if carry is None else carry
    if len(X) == 0:
        return carry
    labels, reach = _labels_in_order(groups, len(X), carry), window_length(model) - 1
    begin = 0 if groups is None else int(check_groups(groups, len(X))[-2])
    ended = frozenset([carry.current, *labels]) - {labels[-1], None}
    rows = {label: table for label, table in carry.rows.items() if label not in ended}
    if reach > 0:
        begin = max(begin, len(X) - reach)
        last = check_sequences(model, X.iloc[begin:] if hasattr(X, "iloc") else X[begin:]).table
        if len(last) < reach and labels[-1] in rows:
            last = np.concatenate([rows[labels[-1]], last])[-reach:]
        rows[labels[-1]] = last.copy()  # a view would keep the partition in memory
    return Carry(rows, labels[-1], carry.finished | ended)


def _carry_of_context(model, context, context_groups):
    """Return the `Carry` before the first partition: the rows of the user's context, or those that the model kept."""
    reach = window_length(model) - 1
    if context is None:
        table, context_groups = getattr(model, "context_", None), getattr(model, "context_groups_", None)
    elif holds_no_rows(model, context):
        table = None
    else:
        table = check_sequences(model, context, name="context").table
    if table is None or reach == 0:
        return Carry({})
    if context_groups is None:
        return Carry({None: table[-reach:]})
    bounds = check_groups(context_groups, len(table), "context", "context_groups")
    names = labels_of(context_groups)[bounds[:-1]].tolist()
    return Carry(
        {name: table[max(a, b - reach) : b] for name, a, b in zip(names, bounds[:-1], bounds[1:], strict=True)}
    )


def _labels_in_order(groups, n_rows, carry):
    """Return the labels of the groups of a partition, [None] without groups; raise if one of them has been before."""
    if groups is None:
        return [None]
    bounds = check_groups(groups, n_rows)
    labels = labels_of(groups)[bounds[:-1]].tolist()
    again = [label for label in labels if label in carry.finished]
    if carry.current in labels[1:]:
        again.append(carry.current)
    if again:
        raise ValueError(
            f"groups: label {again[0]!r} comes in separate blocks, the later one in another partition; the rows of a "
            "group must follow each other. Sort the table by group (and by time inside each group)."
        )
    return labels


def _refuse_unknown_units(model, labels):
    """Raise where the unit of a group would have to be learnt from rows of other partitions."""
    scales = model._targets().call_scales()
    if scales is None:
        return
    known = set(model.group_labels_.tolist())
    unknown = [label for label in labels if label not in known]
    if unknown:
        raise ValueError(
            f"{unknown[0]!r} is no group of the fit, so its unit (group_scaling={model.group_scaling!r}) would be "
            "learnt from the rows of context, which other partitions do not have: pass X.compute()."
        )
