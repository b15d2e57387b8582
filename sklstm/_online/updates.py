"""Training on rows of a buffer: `partial_fit` without what has been checked when the rows came."""

import numpy as np

from sklstm._fit_inputs import Given, part_of
from sklstm._fitting import fit, train_further
from sklstm._sequences import Sequences


def update(model, table, rows, y):
    """Return a model that is trained for one epoch more, on some rows of a table.

    Parameters
    ----------
    model : estimator
        Fitted; it stays as it is.
    table : ndarray of shape (n_rows, n_features)
        C-contiguous float64, checked.
    rows : ndarray of bool of shape (n_rows,)
        Which of them are learnt; the others are rows before them.
    y : ndarray of shape (n_rows, ...)
        Truths; those of other rows do not count.

    Notes
    -----
    It has the bits of ``partial_fit(table, y, sample_weight=rows)``.
    """

    given = Given(table, y, rows.astype(np.float64))

    def part(work, targets):
        """Return the samples as they are learnt."""
        is_series = model.training == "stateful"
        sequences = Sequences.from_series(table) if is_series else Sequences.from_windows(table, model.sequence_length)
        return part_of(work, targets, sequences, given, "y")

    work = train_further(model, part, given)
    if model.carry_context:
        work.context_ = table[len(table) - model.context_.shape[0] :].copy()
        work.context_.flags.writeable = False
    return work


def fit_anew(model, X, y, is_known, classes):
    """Fit a model by the rows whose truth is known.

    Parameters
    ----------
    model : estimator
        Not fitted.
    X : ndarray of shape (n_rows, n_features)
    y : ndarray of shape (n_rows, ...)
    is_known : ndarray of bool of shape (n_rows,) or None
        None for all.
    classes : ndarray or None
        Of a classifier, the labels that it knows; not all need to be in y.
    """
    weights = None if is_known is None or is_known.all() else is_known.astype(np.float64)
    known = {} if classes is None or classes.ndim == 2 else {"classes_": classes}
    fit(model, Given(X, y, weights), Given(None, None), **known)
    return model
