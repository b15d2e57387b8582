"""Folds that go forward in time, and what members predict for their test rows."""

import warnings
from numbers import Integral
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import TimeSeriesSplit
from sklearn.utils.parallel import Parallel, delayed

from sklstm._ensemble.inputs import params_of_rows, take_rows
from sklstm._ensemble.members import ask_member, fit_member


class Fold(NamedTuple):
    """One forward fold; all three are sorted row numbers.

    `history` starts where `train` starts and ends where `test` ends, in every group. Members are
    asked for all of it and only the rows of `test` are kept: so a member that looks back finds the
    rows that came before, which it would also find in use.
    """

    train: np.ndarray
    test: np.ndarray
    history: np.ndarray


def _split(splitter, X, y, rows):
    """Split the rows of one series; give pairs (train, test) of rows of the table."""
    try:
        parts = list(splitter.split(take_rows(X, rows), take_rows(y, rows)))
    except ValueError as error:  # how a splitter says that there are too few rows
        raise ValueError(f"weights='auto' cannot split n_samples={len(rows)} rows: {error}") from error
    return [(rows[train], rows[test]) for train, test in parts]


def _split_series(splitter, X, y, series):
    """Split each series on its own and join their folds; leave out those with too few rows."""
    per_series, refusals = [], []
    for rows in series:
        try:
            per_series.append(_split(splitter, X, y, rows))
        except ValueError as error:
            refusals.append(error)
    if not per_series:
        raise refusals[0]
    if refusals:
        warnings.warn(
            f"{len(refusals)} of {len(series)} groups take no part in the search for the weights; "
            f"the first: {refusals[0]}",
            UserWarning,
            stacklevel=2,
        )
    if len({len(folds) for folds in per_series}) > 1:
        raise ValueError(f"cv={splitter!r} must give every group the same number of folds.")
    return [tuple(np.concatenate(rows) for rows in zip(*parts, strict=True)) for parts in zip(*per_series, strict=True)]


def _history(number, train, test, series):
    """Check that a fold goes forward in every series, and give the rows up to its test rows."""
    history = []
    for rows in series:
        before, after = (
            part[np.searchsorted(part, rows[0]) : np.searchsorted(part, rows[-1], "right")] for part in (train, test)
        )
        if len(before) and len(after) and before[-1] >= after[0]:
            raise ValueError(
                "weights='auto' needs folds that go forward in time, every test row after all "
                f"training rows of its group; fold {number} of cv trains on row {before[-1]} and "
                f"tests row {after[0]}. Use TimeSeriesSplit."
            )
        if len(after):
            first = before[0] if len(before) else after[0]
            history.append(np.arange(first, after[-1] + 1))
    return np.concatenate(history)


def forward_folds(cv, X, y, blocks=None):
    """Cut a table into folds whose test rows lie after their training rows.

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
        made of the k-th fold of every group. None: all rows are one series.

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
    pairs = _split_series(cv, X, y, series) if hasattr(cv, "split") else list(cv)
    folds = []
    for number, (train, test) in enumerate(pairs):
        train, test = np.sort(np.asarray(train)), np.sort(np.asarray(test))
        if len(train) == 0 or len(test) == 0:
            raise ValueError(f"Fold {number} of cv has an empty part.")
        folds.append(Fold(train, test, _history(number, train, test, series)))
    if not folds:
        raise ValueError("cv gave no fold.")
    return folds


def usable_folds(folds, y, sample_weight=None, *, is_labels=False):
    """Leave out the folds on whose training rows no member could learn anything.

    Parameters
    ----------
    folds : list of Fold
        The forward folds.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Target.
    sample_weight : ndarray of shape (n_samples,), default=None
        Rows of weight 0 do not count.
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
    usable = []
    for fold in folds:
        rows = fold.train if sample_weight is None else fold.train[sample_weight[fold.train] > 0.0]
        if len(rows) > 0 and not (is_labels and np.ptp(y[rows]) == 0):
            usable.append(fold)
    if len(usable) < len(folds):
        report = (
            f"{len(folds) - len(usable)} of {len(folds)} folds take no part in the search for the "
            "weights: their training rows are of one class only or have sample_weight 0"
        )
        if not usable:
            raise ValueError(f"weights='auto' finds nothing: {report}.")
        warnings.warn(f"{report}.", UserWarning, stacklevel=2)
    return usable


def _answer_fold(owner, name, estimator, data, fold, fit_params, ask_params, verbose):
    """Predict the test rows of one fold by a clone fitted on its training rows."""
    X, y, n_columns, is_table = data
    target, labels = owner._member_target(y[fold.train])
    member = fit_member(
        name,
        estimator,
        take_rows(X, fold.train),
        target,
        params_of_rows(fit_params, fold.train, len(y)),
        owner.__name__,
        verbose,
    )
    rows = fold.history if is_table else fold.test
    params = params_of_rows(ask_params, rows, len(y))
    answer = ask_member(name, member, owner._response_method, take_rows(X, rows), len(rows), params)
    answer = owner._align(name, member, answer, labels, n_columns)
    answer = answer[np.searchsorted(rows, fold.test)]
    if not np.isfinite(answer).all():
        raise ValueError(
            f"Member {name!r} ({type(member).__name__}) predicted NaN or infinity for rows "
            f"{fold.test[0]} to {fold.test[-1]}; weights='auto' needs finite predictions."
        )
    return answer


def predict_out_of_fold(owner, members, data, folds, routed, n_jobs=None, verbose=False):
    """Predict the test rows of all folds by members that were fitted on earlier rows.

    Parameters
    ----------
    owner : type
        Class of the ensemble, which knows how targets are encoded and answers aligned.
    members : list of (str, estimator)
        Names and members.
    data : tuple
        X, y, number of columns of an answer, whether X is a table.
    folds : list of Fold
        The forward folds.
    routed : dict
        Parameters of the calls "fit" and "ask" of each member.
    n_jobs : int, default=None
        Number of fits at the same time.
    verbose : bool or int, default=False
        Whether to print a line for every fit.

    Returns
    -------
    predictions : ndarray of shape (n_rows, n_members, n_columns)
        Answers of all members.
    rows : ndarray of shape (n_rows,)
        Their rows in X, sorted.
    """
    answers = Parallel(n_jobs=n_jobs)(
        delayed(_answer_fold)(owner, name, member, data, fold, routed[name]["fit"], routed[name]["ask"], verbose)
        for fold in folds
        for name, member in members
    )
    width = len(members)
    predictions = np.concatenate([np.stack(answers[at : at + width], axis=1) for at in range(0, len(answers), width)])
    rows = np.concatenate([fold.test for fold in folds])
    order = np.argsort(rows, kind="stable")
    return predictions[order], rows[order]
