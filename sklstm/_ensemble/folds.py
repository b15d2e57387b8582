"""Folds, forward in time for tables, and the predictions of members for their test rows."""

from numbers import Integral
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import TimeSeriesSplit
from sklearn.model_selection._split import GroupsConsumerMixin

from sklstm._ensemble.inputs import take_rows
from sklstm._ensemble.members import ask_member, carries_context, fit_member
from sklstm._ensemble.metadata import keys_of_rows, params_of_rows
from sklstm._ensemble.parallel import is_failed, run
from sklstm._ensemble.presence import fill_absent, with_absent
from sklstm._warn import warn_user


class Fold(NamedTuple):
    """One fold; all four are sorted row numbers.

    `train` and `test` hold rows of positive weight only, `read` also the rows of weight zero between the training
    rows. `history` starts where `read` starts and ends where `test` ends, in every group. Members
    predict all of it and only the rows of `test` are kept, so that a member that looks back finds the
    rows that came before, as it would in use.
    """

    train: np.ndarray
    test: np.ndarray
    history: np.ndarray
    read: np.ndarray


def _split(splitter, X, y, rows):
    """Split the rows of one series; give pairs (train, test) of rows of the table."""
    try:
        parts = list(splitter.split(take_rows(X, rows), take_rows(y, rows)))
    except ValueError as error:  # raised by splitters for too few rows
        raise ValueError(f"The search for the weights cannot split n_samples={len(rows)} rows: {error}") from error
    return [(rows[train], rows[test]) for train, test in parts]


def _split_at_once(splitter, X, y, blocks):
    """Split all series at once, by a splitter that asks for groups."""
    labels = None if blocks is None else np.repeat(np.arange(len(blocks)), [len(rows) for rows in blocks])
    try:
        return list(splitter.split(X, y, labels))
    except ValueError as error:
        raise ValueError(f"The search for the weights cannot split the rows: {error}") from error


def _split_series(splitter, X, y, series):
    """Split each series on its own and join their folds; leave out those with too few rows."""
    per_series, refusals = [], []
    series = [rows for rows in series if len(rows)]
    for rows in series:
        try:
            per_series.append(_split(splitter, X, y, rows))
        except ValueError as error:
            refusals.append(error)
    if not per_series:
        raise refusals[0]
    if refusals:
        warn_user(
            f"{len(refusals)} of {len(series)} groups take no part in the search for the weights; "
            f"the first: {refusals[0]}"
        )
    if len({len(folds) for folds in per_series}) > 1:
        raise ValueError(f"cv={splitter!r} must give every group the same number of folds.")
    return [tuple(np.concatenate(rows) for rows in zip(*parts, strict=True)) for parts in zip(*per_series, strict=True)]


def _of_each_series(train, test, series):
    """Return a list of the training rows and the test rows of each series, both sorted."""
    return [
        tuple(part[np.searchsorted(part, rows[0]) : np.searchsorted(part, rows[-1], "right")] for part in (train, test))
        for rows in series
    ]


def _goes_forward(before, after):
    """Return whether the test rows of a series, if it has both, lie after its training rows."""
    return len(before) == 0 or len(after) == 0 or before[-1] < after[0]


def go_forward(folds, series):
    """Return whether in every fold the test rows of each series lie after its training rows."""
    return all(_goes_forward(*parts) for fold in folds for parts in _of_each_series(fold.train, fold.test, series))


def _history(number, train, test, series):
    """Check that a fold goes forward in every series, and give the rows up to its test rows."""
    if len(test) == 0:
        return test
    history = []
    for before, after in _of_each_series(train, test, series):
        if not _goes_forward(before, after):
            raise ValueError(
                "The search for the weights needs folds that go forward in time, every test row after all "
                f"training rows of its group; fold {number} of cv trains on row {before[-1]} and "
                f"tests row {after[0]}. Use TimeSeriesSplit."
            )
        if len(after):
            first = before[0] if len(before) else after[0]
            history.append(np.arange(first, after[-1] + 1))
    return np.concatenate(history)


def forward_folds(cv, X, y, blocks=None, present=None, *, in_time=True):
    """Cut a table into folds whose test rows lie after their training rows, or a set of sequences into any folds.

    Parameters
    ----------
    cv : int, splitter, iterable of (train, test) or None
        Number of folds of a :class:`~sklearn.model_selection.TimeSeriesSplit` (None: 5), a
        splitter, or the folds themselves as rows of the table.
    X : array-like, DataFrame or list of length n_samples
        Rows in the order of time.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Target, handed to the splitter.
    blocks : list of ndarray, default=None
        Row numbers of each group. A splitter splits every group on its own, and fold number k is
        made of the k-th fold of every group; one that asks for groups splits all rows at once. None:
        all rows are one series.
    present : ndarray of shape (n_samples,), dtype bool, default=None
        Rows of positive weight, None for all. Only these are split; of given folds, only these count.
    in_time : bool, default=True
        Whether the rows are consecutive times, as those of a table are, so that folds have to go forward.

    Returns
    -------
    folds : list of Fold
        In the order of the splitter.

    Raises
    ------
    ValueError
        If a fold does not go forward, if the groups give different numbers of folds, or if there
        is nothing to split.
    """
    series = [np.arange(len(y))] if blocks is None else blocks
    if cv is None or isinstance(cv, Integral):
        cv = TimeSeriesSplit(5 if cv is None else cv)
    there = series if present is None else [rows[present[rows]] for rows in series]
    if isinstance(cv, GroupsConsumerMixin):
        pairs = _split_at_once(cv, X, y, blocks)
    else:
        pairs = _split_series(cv, X, y, there) if hasattr(cv, "split") else list(cv)
    folds = []
    for number, (train, test) in enumerate(pairs):
        train, test = np.sort(np.asarray(train)), np.sort(np.asarray(test))
        if len(train) == 0 or len(test) == 0:
            raise ValueError(f"Fold {number} of cv has an empty part.")
        if present is not None:
            train, test = train[present[train]], test[present[test]]
        read = with_absent(train, present, series)
        folds.append(Fold(train, test, _history(number, read, test, series) if in_time else test, read))
    if not folds:
        raise ValueError("cv gave no fold.")
    return folds


def usable_folds(folds, y, *, is_labels=False):
    """Leave out the folds without usable training rows, and those without test rows.

    Parameters
    ----------
    folds : list of Fold
        The folds.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Target.
    is_labels : bool, default=False
        Whether two classes are needed.

    Returns
    -------
    usable : list of Fold
        The others; a warning says how many were left out.

    Raises
    ------
    ValueError
        If none is left.
    """
    if not any(len(fold.test) for fold in folds):
        raise ValueError("The search for the weights finds nothing: sample_weight is 0 in every row of a test fold.")
    usable = []
    for fold in folds:
        if len(fold.train) > 0 and len(fold.test) > 0 and not (is_labels and np.ptp(y[fold.train]) == 0):
            usable.append(fold)
    if len(usable) < len(folds):
        report = (
            f"{len(folds) - len(usable)} of {len(folds)} folds take no part in the search for the "
            "weights: their training rows are of one class only, or all of their training or test rows have "
            "sample_weight 0"
        )
        if not usable:
            raise ValueError(f"The search for the weights finds nothing: {report}.")
        warn_user(f"{report}.")
    return usable


def _answer_fold(owner, name, estimator, data, fold, params, keys, verbose):
    """Predict the test rows of one fold by a clone fitted on its training rows."""
    X, y, n_columns, is_table, present = data
    rows = fold.read if is_table else fold.train
    target, labels = owner._member_target(fill_absent(y[rows], None if present is None else present[rows]))
    member = fit_member(
        name,
        estimator,
        take_rows(X, rows),
        target,
        params_of_rows(params["fit"], keys["fit"], rows),
        owner.__name__,
        verbose,
    )
    if not is_table:
        rows = fold.test
    elif carries_context(estimator):  # it takes X of predict as what follows its training rows
        rows = np.setdiff1d(fold.history, fold.read)
    else:
        rows = fold.history
    params = params_of_rows(params["ask"], keys["ask"], rows)
    answer = ask_member(name, member, owner._response_method, take_rows(X, rows), len(rows), params)
    answer = owner._align(name, member, answer, labels, n_columns)
    answer = answer[np.searchsorted(rows, fold.test)]
    if not np.isfinite(answer).all():
        raise ValueError(
            f"Member {name!r} ({type(member).__name__}) predicted NaN or infinity for rows "
            f"{fold.test[0]} to {fold.test[-1]}; the search for the weights needs finite ones."
        )
    return answer


def predict_out_of_fold(owner, members, data, folds, routed, n_jobs=None, verbose=False, error_score="raise"):
    """Predict the test rows of all folds by members that were fitted on the training rows.

    Parameters
    ----------
    owner : type
        Class of the ensemble, which knows how targets are encoded and answers aligned.
    members : list of (str, estimator)
        Names and members.
    data : tuple
        X, y, number of columns of an answer, whether X is a table, rows of positive weight or None for all.
    folds : list of Fold
        The folds.
    routed : dict
        Parameters of the calls "fit" and "ask" of each member.
    n_jobs : int, default=None
        Number of fits at the same time.
    verbose : bool or int, default=False
        Whether to print a line for every fit.
    error_score : "raise" or float, default="raise"
        With a number, members that fail in a fold are left out.

    Returns
    -------
    predictions : ndarray of shape (n_rows, n_kept, n_columns)
        Answers of the members that did not fail.
    outcomes : list
        Of each member, `Failed` where it failed in a fold.
    rows : ndarray of shape (n_rows,)
        Their rows in X, sorted.
    of_folds : ndarray of shape (n_rows,)
        The numbers of their folds.
    """
    methods = {"fit": "fit", "ask": owner._response_method}
    keys = {
        name: {
            kind: keys_of_rows(name, member, method, routed[name][kind], data[0], len(data[1]))
            for kind, method in methods.items()
        }
        for name, member in members
    }
    calls = [
        (owner, name, member, data, fold, routed[name], keys[name], verbose)
        for fold in folds
        for name, member in members
    ]
    answers = list(run(_answer_fold, calls, n_jobs, error_score))
    width = len(members)
    outcomes = [next(filter(is_failed, answers[k::width]), answers[k]) for k in range(width)]
    kept = [k for k in range(width) if not is_failed(outcomes[k])]
    rows = np.concatenate([fold.test for fold in folds])
    of_folds = np.repeat(np.arange(len(folds)), [len(fold.test) for fold in folds])
    order = np.argsort(rows, kind="stable")
    if not kept:
        return np.zeros((len(rows), 0, data[2])), outcomes, rows[order], of_folds[order]
    predictions = np.concatenate(
        [np.stack([answers[at + k] for k in kept], axis=1) for at in range(0, len(answers), width)]
    )
    return predictions[order], outcomes, rows[order], of_folds[order]
