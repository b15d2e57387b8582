"""Numbers of X that would spoil a refit: the scale of their column would be theirs."""

import numpy as np

from sklstm._online.truths import ENOUGH, FAR


def outlier_in(X):
    """Return row and column of a number that sets the scale of its column alone; None where there is none.

    Such a number is more than `FAR` times as far from the median as nine of ten rows are. Columns of which nine of ten
    rows are equal have no such distance.
    """
    if len(X) < ENOUGH:
        return None
    with np.errstate(over="ignore"):
        distances = np.abs(X - np.median(X, axis=0))
        usual = np.quantile(distances, 0.9, axis=0)
        is_far = (distances > FAR * usual) & (usual > 0)
    places = np.argwhere(is_far)
    return tuple(places[0].tolist()) if len(places) else None


def outlier_note(X, first, names):
    """Return what a user has to know of rows that a refit learns from, None for nothing.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
    first : int
        Number of the first row since the beginning of the stream.
    names : list of str or None
        Of the columns.
    """
    found = outlier_in(X)
    if found is None:
        return None
    row, column = found
    named = repr(names[column]) if names is not None else column
    return (
        f"a refit learns from x={X[row, column]:g} in column {named}, row {first + row} of the stream, more than "
        f"{FAR:g} times as far from the median as nine of ten rows: the column, standardised, has little left but "
        "this number. Clip it before it comes in, or take input_scaling='robust' of the model."
    )
