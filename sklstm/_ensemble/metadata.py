"""Which of the metadata that a member is handed have one entry per row of X: these are cut for the folds."""

from sklearn.utils.metadata_routing import get_routing_for_object

from sklstm._ensemble.inputs import take_rows

# Metadata with one entry per row of X by definition.
OF_ROWS = {"sample_weight", "groups"}


def _is_of_other_rows(name):
    """Return whether a name is that of validation data, in XGBoost, LightGBM or sklstm: not cut with X."""
    return name.endswith("_val") or name.startswith(("eval_", "valid_", "context"))


def final_names(member, method, key):
    """Return the parameter names under which a member, or estimators inside it, receive the metadata `key`.

    Parameters
    ----------
    member : estimator
        Not fitted.
    method : str
        The method that receives it.
    key : str
        Its name in the call of this method; inside a pipeline it may be an alias.

    Returns
    -------
    names : set of str
        `key` itself where nothing inside takes it by another name.
    """
    found = set()
    _collect(get_routing_for_object(member), method, key, found)
    return found or {key}


def _collect(routing, method, key, found):
    if not hasattr(routing, "add_self_request"):  # the requests of one estimator
        for name, alias in getattr(routing, method).requests.items():
            if alias == key or (alias is True and name == key):
                found.add(name)
        return
    for _, inner in routing:
        for pair in inner.mapping:
            if pair.caller == method:
                _collect(inner.router, pair.callee, key, found)


def _own_index(values):
    """Return the index of a pandas object, None for the default index."""
    index = getattr(values, "index", None)
    if not hasattr(values, "iloc") or index is None:
        return None
    is_numbering = type(index).__name__ == "RangeIndex" and index.start == 0 and index.step == 1
    return None if is_numbering else index


def keys_of_rows(title, member, method, params, X, n_samples):
    """Return which parameters of a call have one entry per row of X, without guessing from their length.

    Parameters
    ----------
    title : str
        Name of the member, for messages.
    member : estimator
        Not fitted.
    method : str
        The method that will be called.
    params : dict
        Its parameters.
    X : array-like
        The rows.
    n_samples : int
        Their number.

    Returns
    -------
    keys : set of str
        Names of the parameters to cut.

    Raises
    ------
    ValueError
        If neither its name nor an index says whether something of the right length belongs to the rows.
    """
    keys = set()
    for key, value in params.items():
        names = final_names(member, method, key)
        if any(map(_is_of_other_rows, names)) or _length(value) != n_samples:
            continue
        index, of_X = _own_index(value), _own_index(X)
        if names & OF_ROWS or (index is not None and of_X is not None and index.equals(of_X)):
            keys.add(key)
        elif index is None or of_X is None:
            raise ValueError(
                f"The search for the weights must know whether {key!r}, which member {title!r} gets in {method}, has "
                f"one entry per row of X, to cut it for the folds; that it has {n_samples} entries as X does not say "
                f"so. Hand over X as a DataFrame and {key!r} as a Series, both with an index of their own (equal ones, "
                "if it has), or give the weights."
            )
    return keys


def _length(value):
    """Return the number of entries of a list or an array, None for anything else."""
    if isinstance(value, list | tuple):
        return len(value)
    shape = getattr(value, "shape", ())
    return shape[0] if isinstance(shape, tuple) and len(shape) > 0 else None


def params_of_rows(params, keys, rows):
    """Cut those parameters that have one entry per row.

    Parameters
    ----------
    params : dict
        Parameters of a call on all rows.
    keys : set of str
        Names of what is cut.
    rows : ndarray of shape (n_selected,)
        Sorted row numbers.

    Returns
    -------
    cut : dict
        The same names; what is not cut is passed on whole.
    """
    return {key: take_rows(value, rows) if key in keys else value for key, value in params.items()}
