"""When a training ends before its last epoch."""

from math import inf


class EarlyStopping:
    """Counts epochs without an improvement.

    Parameters
    ----------
    tol : float
        An epoch counts as an improvement if it is better than the best so far by more than this. Smaller gains update
        the best value and do not add up, as in scikit-learn's `MLPRegressor`: a training that gains less than `tol` in
        each epoch ends.
    n_iter_no_change : int
        Training ends after so many epochs in a row without an improvement.
    """

    def __init__(self, tol, n_iter_no_change):
        self.tol, self.n_iter_no_change = tol, n_iter_no_change
        self.best, self.waited = inf, 0

    def observe(self, value):
        """Record the loss of an epoch (or minus its score); return whether it is the best so far, by any margin.

        `is_over` then says whether training ends.
        """
        self.waited = 0 if value < self.best - self.tol else self.waited + 1
        is_best = value < self.best
        self.best = min(value, self.best)
        return is_best

    @property
    def is_over(self):
        """Whether `n_iter_no_change` epochs have passed without an improvement."""
        return self.waited >= self.n_iter_no_change
