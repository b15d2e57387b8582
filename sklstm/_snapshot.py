"""Snapshots of fitted estimators: read once at the start of a call, replaced in one assignment.

While one thread fits an estimator again, others may predict with it. Each of their calls uses the model before
or the model after, never attributes of both.
"""


def snapshot_of(estimator):
    """Return a shallow copy of an estimator as it is at this moment."""
    snapshot = object.__new__(type(estimator))
    # A single copy of the dict is atomic: all attributes are of one moment.
    snapshot.__dict__ = estimator.__dict__.copy()
    return snapshot


def replace_fitted(estimator, fitted):
    """Replace the fitted attributes of an estimator; the old ones are removed, constructor parameters stay.

    Parameters
    ----------
    estimator : estimator
    fitted : dict
        The new attributes by name; entries that are parameters of the constructor are passed over.
    """
    parameters = estimator.get_params(deep=False)
    kept = {
        name: value for name, value in estimator.__dict__.copy().items() if name in parameters or not _is_learnt(name)
    }
    learnt = {name: value for name, value in fitted.items() if name not in parameters}
    # One assignment: a reader finds all of the old attributes or all of the new ones.
    estimator.__dict__ = {**kept, **learnt}


def _is_learnt(name):
    return name.endswith("_") and not name.startswith("_")
