"""X of any kind with one column in another order, in its own container."""

import numpy as np

from sklstm._validation import check_container, check_groups, is_set_of_sequences


class ColumnSource:
    """X, of which single columns are replaced.

    Parameters
    ----------
    X : array-like
        A table, an array of sequences or a list of them; arrays or data frames.
    groups : array-like or None

    Attributes
    ----------
    X : array-like
    is_set : bool
        Whether it is a set of sequences.
    n_samples, n_features : int
    bounds : ndarray of shape (n_groups + 1,) or None
        Where the groups of a table begin, and its end.
    """

    def __init__(self, X, groups):
        X = check_container(X, "X")
        self.is_set, self.bounds = is_set_of_sequences(X), None
        if not self.is_set and not hasattr(X, "shape"):
            X = np.asarray(X)
        self.X = X
        self.n_samples = len(X)
        shape = X.shape if hasattr(X, "shape") else np.shape(X[0])
        if self.n_samples < 1 or len(shape) < 2:
            raise ValueError(f"X has shape {tuple(shape)}, expected a table (n_samples, n_features), or sequences.")
        self.n_features = shape[-1]
        if not self.is_set:
            bounds = check_groups(groups, self.n_samples)
            self.bounds = np.array([0, self.n_samples]) if bounds is None else bounds

    def with_column(self, column, order):
        """Return X with the rows (of a set: the sequences) of a column in another order.

        Where sequences differ in length, all of the column is joined in the new order and cut again as it was.
        """
        if not self.is_set:
            return _replaced(self.X, column, _values(self.X, column)[order])
        if hasattr(self.X, "shape"):
            changed = np.array(self.X)
            changed[:, :, column] = changed[order, :, column]
            return changed
        joined = np.concatenate([_values(self.X[k], column) for k in order.tolist()])
        ends = np.cumsum([len(sequence) for sequence in self.X])
        return [
            _replaced(sequence, column, values)
            for sequence, values in zip(self.X, np.split(joined, ends[:-1]), strict=True)
        ]


def _values(table, column):
    """Return a column of an array or of a data frame."""
    if hasattr(table, "iloc"):
        return table.iloc[:, column].array
    if hasattr(table, "to_series"):
        return table.to_series(column).to_numpy()
    return np.asarray(table)[:, column]


def _replaced(table, column, values):
    """Return a copy with other values in a column."""
    if hasattr(table, "iloc"):
        copy = table.copy()
        copy.isetitem(column, values)
        return copy
    if hasattr(table, "to_series"):
        series = table.to_series(column)
        return table.with_columns(type(series)(series.name, values, dtype=series.dtype))
    copy = np.array(table)
    copy[:, column] = values
    return copy
