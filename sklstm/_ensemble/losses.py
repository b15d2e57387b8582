"""Losses of mixtures: their value for given weights, and the weights that make them smallest.

Each loss is an object over the rows with an out-of-fold prediction. Its contract: ``value(weights, rows)``, with one
mixture for all rows or one for each, ``best(rows)`` and `unit`, what values are to be multiplied by. `rows` selects
some of the rows, None all.
"""

from numbers import Real

import numpy as np

from sklstm._ensemble.simplex import simplex_absolute_error, simplex_least_squares, simplex_log_loss, simplex_search


class ErrorLoss:
    """Mean squared or absolute error of the mixture, over rows and columns.

    Parameters
    ----------
    errors : ndarray of shape (n_rows, n_members, n_columns)
        Target minus prediction of each member.
    sample_weight : ndarray of shape (n_rows,) or None
        Positive weight of each row.
    power : {1, 2}
        Of the errors.
    """

    def __init__(self, errors, sample_weight, power):
        largest = np.abs(errors).max()
        scale = largest if largest > 0.0 else 1.0  # squares of large errors might leave the range of a double
        self.errors, self.sample_weight, self.power = errors / scale, sample_weight, power
        with np.errstate(over="ignore", under="ignore"):
            self.unit = np.float64(scale) ** power
        self.n_rows, self.n_members = errors.shape[:2]

    def value(self, weights, rows=None):
        """Return the loss of a mixture, in `unit`."""
        mixed = _mix(self.errors, weights, rows)
        return np.average((np.abs(mixed) ** self.power).mean(axis=1), weights=_take(self.sample_weight, rows))

    def best(self, rows=None):
        """Return the weights of the smallest loss."""
        errors, sample_weight = _take(self.errors, rows), _take(self.sample_weight, rows)
        if sample_weight is not None:
            sample_weight = np.repeat(sample_weight, errors.shape[2])
        errors = errors.transpose(0, 2, 1).reshape(-1, self.n_members)
        search = simplex_least_squares if self.power == 2 else simplex_absolute_error
        return search(errors, sample_weight)


class LogLoss:
    """Log loss of the mixed probabilities.

    Parameters
    ----------
    likelihoods : ndarray of shape (n_rows, n_members)
        Probability that each member gave to the true class; in each row at least one is positive.
    sample_weight : ndarray of shape (n_rows,) or None
        Positive weight of each row.
    """

    unit = 1.0

    def __init__(self, likelihoods, sample_weight):
        self.likelihoods, self.sample_weight = likelihoods, sample_weight
        self.n_rows, self.n_members = likelihoods.shape

    def value(self, weights, rows=None):
        """Return the loss of a mixture, in nats; infinite where it gives a true class probability 0."""
        mixed = _mix(self.likelihoods[..., None], weights, rows)[:, 0]
        with np.errstate(divide="ignore"):
            return -np.average(np.log(mixed), weights=_take(self.sample_weight, rows))

    def best(self, rows=None):
        """Return the weights of the smallest loss."""
        return simplex_log_loss(_take(self.likelihoods, rows), _take(self.sample_weight, rows))


class CallableLoss:
    """A loss of the user.

    Parameters
    ----------
    function : callable
        ``function(y_true, y_pred, sample_weight=...)``, smaller is better.
    y : ndarray of shape (n_rows, ...)
        Targets or labels.
    predictions : ndarray of shape (n_rows, n_members, n_columns)
        What is mixed.
    sample_weight : ndarray of shape (n_rows,) or None
        Positive weight of each row.
    """

    unit = 1.0

    def __init__(self, function, y, predictions, sample_weight):
        self.function, self.y, self.predictions, self.sample_weight = function, y, predictions, sample_weight
        self.n_rows, self.n_members = predictions.shape[:2]
        self._best = None

    def value(self, weights, rows=None):
        """Return the loss of a mixture."""
        mixed = _mix(self.predictions, weights, rows)
        mixed = mixed[:, 0] if mixed.shape[1] == 1 else mixed
        loss = self.function(_take(self.y, rows), mixed, sample_weight=_take(self.sample_weight, rows))
        if not isinstance(loss, Real | np.number) or np.isnan(loss):
            raise ValueError(
                f"weights_loss must return a number, not NaN, for y_true, y_pred and sample_weight; it returned "
                f"{loss!r}."
            )
        return float(loss)

    def best(self, rows=None):
        """Return weights of a small loss; those of some of the rows are searched from those of all on, and less far."""
        sweeps = {} if rows is None else {"max_sweeps": 0}
        found = simplex_search(lambda weights: self.value(weights, rows), self.n_members, start=self._best, **sweeps)
        if rows is None:
            self._best = found
        return found


def _take(values, rows):
    return values if values is None or rows is None else values[rows]


def _mix(values, weights, rows=None):
    """Return the mixtures of some rows of values (n_rows, n_members, n_columns)."""
    values, weights = _take(values, rows), weights if weights.ndim == 1 else _take(weights, rows)
    mixed = np.zeros((len(values), values.shape[2]))
    for member in range(values.shape[1]):
        mixed += values[:, member] * weights[..., member, None]
    return mixed


def member_losses(loss):
    """Return the loss of each member alone, in the unit of the target."""
    return loss.unit * np.array([loss.value(alone) for alone in np.eye(loss.n_members)])


def inverse_losses(losses):
    """Return weights in proportion to the inverse of the losses.

    Parameters
    ----------
    losses : ndarray of shape (n_members,)
        Of each member alone.

    Returns
    -------
    weights : ndarray of shape (n_members,)
        Of sum 1; members without any loss share all of it, members of infinite loss get nothing.

    Raises
    ------
    ValueError
        If a loss is negative, or all are infinite.
    """
    if losses.min() < 0.0 or not np.isfinite(losses).any():
        raise ValueError(
            f"weights='inverse_loss' needs losses that are not negative, and a finite one; the members have {losses}."
        )
    if losses.min() == 0.0:
        weights = (losses == 0.0).astype(np.float64)
    else:
        weights = losses.min() / losses
    return weights / weights.sum()
