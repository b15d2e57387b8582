"""The first rows of a learner that has not been fitted: they are kept until there are enough to fit."""

from collections.abc import Mapping
from math import isnan

import numpy as np

from sklstm._online.rows import check_key, same_row


class WarmUp:
    """Rows before the first fit.

    Attributes
    ----------
    rows : list of ndarray
    truths : dict of int to object
        By the number of the row.
    keys : list
        None for rows without one.
    names : list of str or None
        Of the columns, where the first row was a dict or a Series with names.
    """

    def __init__(self):
        self.rows, self.truths, self.keys, self.names = [], {}, [], None

    @property
    def is_known(self):
        """Which truths are known, as an array of bool."""
        return np.array([number in self.truths for number in range(len(self.rows))])

    @property
    def has_labels(self):
        """Whether there are at least two labels, as a classifier needs."""
        return len({str(truth) for truth in self.truths.values()}) > 1

    def samples(self):
        """Return rows and truths; rows that wait for theirs have that of another row."""
        any_truth = next(iter(self.truths.values()))
        return np.array(self.rows), np.array([self.truths.get(k, any_truth) for k in range(len(self.rows))])

    def predict(self, x, key):
        """Take a row for which nothing can be predicted yet."""
        if key is not None:
            key = check_key(key)
            if key in self.keys:
                raise ValueError(f"key={key!r} has come before: each row has a key of its own.")
        self.rows.append(self._read(x))
        self.keys.append(key)

    def learn(self, x, y, key):
        """Take the truth of a row, or a row with its truth."""
        if y is None or (isinstance(y, float) and isnan(y)):
            raise ValueError(f"y is {y!r}: the truth of a row must be known.")
        waiting = [number for number in range(len(self.rows)) if number not in self.truths]
        if key is not None:
            key = check_key(key)
            number = next((number for number in waiting if self.keys[number] == key), None)
            if number is None:
                raise ValueError(f"no row of key={key!r} waits for its truth.")
        else:
            number = next((number for number in waiting if self.keys[number] is None), None)
        if number is None:
            if x is None:
                raise ValueError("x is None, but no row waits for its truth: predict it first.")
            self.predict(x, None)
            number = len(self.rows) - 1
        elif x is not None and not same_row(self._read(x), self.rows[number]):
            raise ValueError(f"x is not the row that waits for this truth (row {number}).")
        self.truths[number] = y

    def _read(self, x):
        if isinstance(x, Mapping):
            names = [str(name) for name in x] if self.names is None else self.names
            if set(names) != set(x):
                raise ValueError(f"x has the columns {sorted(map(str, x))}, expected {sorted(names)}.")
            self.names = names
            x = [x[name] for name in names]
        row = np.array(x, np.float64)
        if row.ndim == 2 and len(row) == 1:
            row = row[0]
        if row.ndim != 1 or (self.rows and row.shape != self.rows[0].shape):
            expected = "one row" if not self.rows else f"a row of {len(self.rows[0])} numbers"
            raise ValueError(f"x has shape {row.shape}, expected {expected}.")
        if not np.isfinite(row).all():
            raise ValueError("x contains NaN or infinity; the rows before the first fit must be complete.")
        return row
