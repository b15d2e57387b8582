"""Members are fitted and asked in threads, which share the data, and those that fail may be left out."""

from contextlib import suppress
from typing import NamedTuple

import numpy as np
from joblib import effective_n_jobs
from sklearn.exceptions import FitFailedWarning
from sklearn.utils.parallel import Parallel, delayed

from sklstm._ensemble.members import ask_member, title_of
from sklstm._warn import warn_user


class Failed(NamedTuple):
    """What stands in place of a fitted member or an answer: why there is none."""

    error: Exception


def is_failed(result):
    """Return whether this is a `Failed`."""
    return isinstance(result, Failed)


def run(function, calls, n_jobs, error_score):
    """Yield the results of calls, in their order.

    Parameters
    ----------
    function : callable
    calls : list of tuple
        Positional arguments of each call.
    n_jobs : int or None
        Number of calls at the same time. In threads, so that they share the data; a backend that the user has chosen
        by ``joblib.parallel_config`` is used instead.
    error_score : "raise" or float
        A number: the result of a call that raises is a `Failed`.

    Yields
    ------
    result : object
    """
    attempt = function if error_score == "raise" else _Attempt(function)
    if len(calls) == 1 or effective_n_jobs(n_jobs) == 1:
        for arguments in calls:
            yield attempt(*arguments)
    else:
        yield from Parallel(n_jobs=n_jobs, prefer="threads")(delayed(attempt)(*arguments) for arguments in calls)


class _Attempt:
    """A function that returns its exception."""

    def __init__(self, function):
        self.function = function

    def __call__(self, *arguments):
        try:
            return self.function(*arguments)
        except Exception as error:
            return Failed(error)


def aligned_answers(model, method, align, X, n_rows, routed, chosen):
    """Yield the answers of members as arrays of one column for each output, in the order of the members.

    Parameters
    ----------
    model : BaseWeightedEnsemble
        Fitted.
    method : str
        What is called.
    align : callable
        ``align(name, member, answer)`` returns a checked array (n_rows, n_columns).
    X : array-like
    n_rows : int
    routed : dict
        Parameters of the call of each member, by name.
    chosen : ndarray of shape (n_members,), dtype bool
        Members that are asked.

    Yields
    ------
    answer : ndarray, Failed or None
        Finite numbers; None for members that are not asked.
    """
    members = list(zip(model._names(), model.estimators_, strict=True))
    raises = model.error_score == "raise"
    asked = [item for item, one in zip(members, chosen, strict=True) if one]
    calls = [(name, member, method, X, n_rows, routed[name]["ask"]) for name, member in asked]
    answers = run(ask_member, calls, model.n_jobs, model.error_score)
    for (name, member), one in zip(members, chosen, strict=True):
        if not one:
            yield None
            continue
        answer = next(answers)
        if not is_failed(answer):
            try:
                answer = align(name, member, answer)
                _refuse_not_finite(title_of(name, member), method, answer)
            except ValueError as error:
                if raises:
                    raise
                answer = Failed(error)
        yield answer


def _refuse_not_finite(title, method, answer):
    """Raise if an answer holds NaN or infinity, which would be those of the mean of all members too."""
    finite = np.isfinite(answer).all(axis=1)
    if not finite.all():
        raise ValueError(
            f"{title} predicted NaN or infinity: its {method} returned them for {len(finite) - finite.sum()} of "
            f"{len(finite)} rows, the first is row {finite.argmin()}. Finite numbers are needed."
        )


def report_left_out(names, results, action):
    """Warn of the members that failed, or raise the error of the first if all did.

    Parameters
    ----------
    names : sequence of str
    results : sequence
        Of each member, `Failed` where it failed; None does not count.
    action : str
        What they failed in, "fit" or another method of the ensemble.
    """
    failed = [(name, result.error) for name, result in zip(names, results, strict=True) if is_failed(result)]
    if not failed:
        return
    if all(result is None or is_failed(result) for result in results):
        error = failed[0][1]
        with suppress(AttributeError):
            error.add_note("All members failed; this is the error of the first.")
        raise error
    reasons = "; ".join(f"{name!r} ({type(error).__name__}: {error})" for name, error in failed)
    whose = f"{len(failed)} of {sum(result is not None for result in results)} members failed in {action}"
    warn_user(f"{whose} and are left out: {reasons}", FitFailedWarning if action == "fit" else UserWarning)
