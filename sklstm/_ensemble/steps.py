"""Losses of the members at each time step, from predictions and truth."""

import numpy as np

SMALLEST = 1e-15  # probability: the log loss of a row is at most 34.5 nats


def row_losses(name, predictions, y):
    """Return the loss of each member in each row.

    Parameters
    ----------
    name : {"squared_error", "absolute_error", "log_loss", "brier"}
    predictions : ndarray of shape (n_rows, n_members, n_columns)
    y : ndarray of shape (n_rows, n_columns), or of int of shape (n_rows,) for numbered labels

    Returns
    -------
    losses : ndarray of shape (n_rows, n_members)
        Means over the columns.
    """
    if name == "log_loss":
        return -np.log(np.maximum(predictions[np.arange(len(y)), :, y], SMALLEST))
    if name == "brier":
        y = np.eye(predictions.shape[2])[y]
    errors = np.abs(predictions - y[:, np.newaxis])
    if name == "absolute_error":
        return errors.mean(axis=2)
    with np.errstate(over="ignore", under="ignore"):
        return (errors**2).mean(axis=2)


def time_steps(rows, folds=None, blocks=None):
    """Return the number of the time step of each row, from 0.

    Parameters
    ----------
    rows : ndarray of shape (n_rows,)
        Their places in the table, sorted within a fold.
    folds : ndarray of shape (n_rows,), default=None
        Fold that each row was tested in, earlier folds first. None: one.
    blocks : list of ndarray, default=None
        Places of the rows of each series in the table, None for one series. The last rows of all series, and of their
        parts in a fold, are taken as the same time.

    Returns
    -------
    steps : ndarray of shape (n_rows,)
    """
    if folds is None and blocks is None:
        return np.arange(len(rows))
    folds = np.zeros(len(rows), np.intp) if folds is None else folds
    firsts = np.zeros(1, np.intp) if blocks is None else np.array([block[0] for block in blocks])
    series = np.searchsorted(firsts, rows, "right")
    order = np.lexsort((rows, series, folds))
    # Number of rows of the same fold and series that come after each row.
    keys = folds[order] * (len(firsts) + 1) + series[order]
    ends = np.searchsorted(keys, keys, "right")
    until_end = np.empty(len(rows), np.intp)
    until_end[order] = ends - 1 - np.arange(len(rows))
    return np.unique(folds * (len(rows) + 1) - until_end, return_inverse=True)[1]


def step_losses(losses, steps, sample_weight=None):
    """Return the mean loss of each member at each time step.

    Parameters
    ----------
    losses : ndarray of shape (n_rows, n_members)
    steps : ndarray of shape (n_rows,)
        Of each row, from 0.
    sample_weight : ndarray of shape (n_rows,), default=None
        Positive weight of each row.

    Returns
    -------
    losses : ndarray of shape (n_steps, n_members)
    shares : ndarray of shape (n_steps,)
        Mean weight of the rows of each step, 1 on average.
    """
    n_steps = steps.max() + 1
    weight = np.ones(len(steps)) if sample_weight is None else sample_weight
    if n_steps == len(steps):  # one row a step: no sums, which would round
        means = np.empty_like(losses)
        means[steps] = losses
        totals = np.empty(n_steps)
        totals[steps] = weight
        counts = np.ones(n_steps)
    else:
        totals, counts = np.bincount(steps, weight), np.bincount(steps)
        means = np.stack([np.bincount(steps, weight * one) for one in losses.T], axis=1) / totals[:, np.newaxis]
    shares = totals / counts
    return means, shares / shares.mean()
