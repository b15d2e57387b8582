"""Members of an ensemble: each is called with the arguments it accepts, and its output is checked."""

import inspect
import time

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone

# Of probabilities computed in 16 bits.
ROUNDING = 1e-2


def title_of(name, member):
    """Return what messages call a member."""
    return f"Member {name!r} ({type(member).__name__})"


def check_members(estimators, is_right_kind, kind, method):
    """Check the members and leave out those that are dropped.

    Parameters
    ----------
    estimators : list
        As the user passed them; the names are checked elsewhere.
    is_right_kind : callable
        Tells whether an estimator is a regressor, or a classifier.
    kind : {"regressor", "classifier"}
        Its name in messages.
    method : {"predict", "predict_proba"}
        The method that every member must have.

    Returns
    -------
    members : list of (str, estimator)
        Names and members, at least one.

    Raises
    ------
    TypeError, ValueError
        If a member is no estimator, of the wrong kind, or lacks the method.
    """
    members = []
    for name, member in estimators:
        if isinstance(member, str) and member == "drop":
            continue
        if inspect.isclass(member) or not hasattr(member, "fit"):
            raise TypeError(f"Member {name!r} must be an estimator instance or 'drop', got {member!r}.")
        if not is_right_kind(member):
            raise ValueError(f"{title_of(name, member)} is not a {kind}.")
        if not hasattr(member, method):
            raise ValueError(
                f"{title_of(name, member)} has no {method}, which every member of an ensemble of {kind}s needs."
            )
        if predicts_every_step(member):
            raise ValueError(
                f"{title_of(name, member)} has targets='sequence' and predicts each row of each sequence; an ensemble "
                "weighs one prediction for each sequence."
            )
        members.append((name, member))
    if not members:
        raise ValueError("All estimators are dropped; an ensemble needs at least one member.")
    return members


def takes(estimator, method, parameter):
    """Return whether a method of an estimator names a parameter in its signature.

    Parameters
    ----------
    estimator : object
        A member, fitted or not.
    method : str
        Name of the method.
    parameter : str
        Name of the parameter; ``**kwargs`` do not count.

    Returns
    -------
    named : bool
        False too when there is no such method.
    """
    function = getattr(estimator, method, None)
    return function is not None and parameter in inspect.signature(function).parameters


def _inner_taker(estimator, method, parameter):
    """Class of the last estimator inside this one that takes a parameter (of a pipeline: step)."""
    if not hasattr(estimator, "get_params"):
        return None
    takers = [
        type(inner).__name__
        for inner in estimator.get_params(deep=True).values()
        if hasattr(inner, "fit") and not inspect.isclass(inner) and takes(inner, method, parameter)
    ]
    return takers[-1] if takers else None


def carries_context(estimator):
    """Return whether an estimator, or one inside it, takes X of `predict` as what follows its training rows.

    Parameters
    ----------
    estimator : estimator
        A member.

    Returns
    -------
    carries : bool
        Whether a parameter `carry_context` is on.
    """
    return any(value is True for value in _values_inside(estimator, "carry_context"))


def predicts_every_step(estimator):
    """Return whether an estimator, or one inside it, has one prediction for each row of each sequence."""
    return any(isinstance(value, str) and value == "sequence" for value in _values_inside(estimator, "targets"))


def looks_back(estimator):
    """Return whether an estimator, or one inside it, reads rows before the one that it predicts.

    Parameters
    ----------
    estimator : estimator
        A member.

    Returns
    -------
    looks_back : bool
        Whether there is a parameter `sequence_length` of more than 1.
    """
    return any(value != 1 for value in _values_inside(estimator, "sequence_length"))


def _values_inside(estimator, parameter):
    """Return the values of a parameter of an estimator and of those inside it."""
    parameters = estimator.get_params(deep=True) if hasattr(estimator, "get_params") else {}
    return [value for name, value in parameters.items() if name.split("__")[-1] == parameter]


def params_by_signature(members, method, offered):
    """Choose for each member what its method accepts, where metadata routing is off.

    Parameters
    ----------
    members : list of (str, estimator)
        Names and members.
    method : str
        The method that will be called.
    offered : dict
        Arguments of the caller, by name.

    Returns
    -------
    chosen : dict of dict
        Parameters of each member, by its name.

    Raises
    ------
    TypeError
        If a member does not accept `sample_weight`, or cannot hand on something that an estimator
        inside it accepts (a pipeline): leaving it out would be a silent error.
    """
    chosen = {name: {} for name, _ in members}
    for name, member in members:
        for key, value in offered.items():
            if takes(member, method, key):
                chosen[name][key] = value
                continue
            inner = _inner_taker(member, method, key)
            if key == "sample_weight" or inner is not None:
                cause = f"takes no {key}" if inner is None else f"cannot hand {key} to its {inner}"
                raise TypeError(
                    f"{title_of(name, member)} {cause} in {method} while metadata "
                    "routing is disabled. Leave it out, or call "
                    "sklearn.set_config(enable_metadata_routing=True) and the set_..._request "
                    "methods of the estimators that want it."
                )
    return chosen


def fit_member(name, estimator, X, y, params, owner, verbose=False):
    """Fit a clone of a member.

    Parameters
    ----------
    name : str
        Name of the member, for messages.
    estimator : estimator
        The member as the user gave it; it stays untouched.
    X, y : array-like
        Training rows and the target as members get it.
    params : dict
        Parameters of its ``fit``.
    owner : str
        Class of the ensemble, for messages.
    verbose : bool or int, default=False
        Whether to print how long it took.

    Returns
    -------
    member : estimator
        The fitted clone.
    """
    start = time.perf_counter()
    member = clone(estimator)
    try:
        member.fit(X, y, **params)
    except Exception as error:
        error.add_note(f"Raised in the fit of {title_of(name, member)}, called by {owner}.fit.")
        raise
    if verbose:
        seconds = time.perf_counter() - start
        print(f"[{owner}] {name}: {len(y)} rows fitted in {seconds:.2f} s", flush=True)  # noqa: T201
    return member


def ask_member(name, member, method, X, n_rows, params):
    """Call a method of a fitted member and check that it returned one entry per row.

    Parameters
    ----------
    name : str
        Name of the member, for messages.
    member : estimator
        The fitted member.
    method : {"predict", "predict_proba"}
        The method to call.
    X : array-like
        The rows to predict.
    n_rows : int
        Their number.
    params : dict
        Parameters of the method.

    Returns
    -------
    answer : ndarray of shape (n_rows, ...), float64
        Output of the member, one entry per row.

    Raises
    ------
    ValueError
        If there are fewer or more rows than asked, or something else than numbers.
    """
    title = title_of(name, member)
    try:
        answer = getattr(member, method)(X, **params)
    except Exception as error:
        error.add_note(f"Raised in the {method} of {title}.")
        raise
    answer = answer.toarray() if sp.issparse(answer) else np.asarray(answer)
    found = answer.shape[0] if answer.ndim else 0
    if found != n_rows:
        raise ValueError(
            f"{title} returned {found} rows from {method} where {n_rows} were expected: "
            "every member must answer each row of X, in order."
        )
    try:
        return answer.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{title} returned no numbers from {method}: {error}") from error


def align_outputs(name, member, answer, axes):
    """Bring predictions of a regressor to one column per output.

    Parameters
    ----------
    name : str
        Name of the member, for messages.
    member : estimator
        The fitted member.
    answer : ndarray of shape (n_rows,), (n_rows, n_outputs) or (n_rows, horizon, n_targets)
        What it predicted.
    axes : tuple of int
        Shape of the target of a row: (), (n_outputs,) or (horizon, n_targets).

    Returns
    -------
    outputs : ndarray of shape (n_rows, n_outputs)
        One column per output.

    Raises
    ------
    ValueError
        If the number of outputs differs.
    """
    axes = axes or (1,)
    rows = answer[:, None] if answer.ndim == 1 else answer
    if rows.shape[1:] != axes:
        raise ValueError(
            f"{title_of(name, member)} returned predictions of shape {answer.shape} where {(len(answer), *axes)} was "
            "expected."
        )
    return rows.reshape(len(rows), -1)


def align_classes(name, member, answer, n_classes):
    """Bring probabilities of a classifier to one column per class, by its ``classes_``.

    Parameters
    ----------
    name : str
        Name of the member, for messages.
    member : estimator
        The fitted member; its classes are numbers from 0 to ``n_classes - 1``.
    answer : ndarray of shape (n_rows, n_classes_of_member)
        Its probabilities.
    n_classes : int
        Number of classes in the target it was fitted on.

    Returns
    -------
    probabilities : ndarray of shape (n_rows, n_classes)
        A class that the member does not know has probability 0.

    Raises
    ------
    ValueError
        If the columns do not belong to classes of the target, or hold no probabilities.
    """
    title = title_of(name, member)
    known = np.asarray(getattr(member, "classes_", np.arange(n_classes)))
    if answer.ndim != 2 or known.ndim != 1 or answer.shape[1] != len(known):
        raise ValueError(
            f"{title} returned probabilities of shape {answer.shape} where "
            f"{(answer.shape[0], *known.shape)} was expected."
        )
    if not np.isin(known, np.arange(n_classes)).all():
        raise ValueError(
            f"{title} has classes_ {known.tolist()} that it was not fitted on: members get "
            f"the labels as numbers from 0 to {n_classes - 1}."
        )
    _refuse_no_probabilities(title, answer)
    if np.array_equal(known, np.arange(n_classes)):
        return answer
    probabilities = np.zeros((answer.shape[0], n_classes))
    probabilities[:, known.astype(np.intp)] = answer
    return probabilities


def _refuse_no_probabilities(title, answer):
    """Raise if numbers are below 0 or above 1, or the sum of a row is not about 1; NaN is refused elsewhere."""
    with np.errstate(invalid="ignore", over="ignore"):
        sums = answer.sum(axis=1)
        wrong = (answer < -ROUNDING).any(axis=1) | (answer > 1.0 + ROUNDING).any(axis=1) | (abs(sums - 1.0) > ROUNDING)
    wrong &= np.isfinite(sums)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"{title} returned no probabilities: row {row} is {answer[row].tolist()}, expected numbers from 0 to 1 of "
            "sum 1."
        )
