"""The newest rows of a stream, in arrays that are allocated once."""

import numpy as np

# What is known of a row, in its entry of `flags`.
HAS_TRUTH, IS_FRESH, IS_WAITING, BY_CHALLENGER = 1, 2, 4, 8


class RowBuffer:
    """The newest rows, with the truth and the predictions of each.

    The arrays have room for twice as many rows: the newest are always one block, and are moved to the front once in
    `capacity` rows. Rows are counted from 0 on since the beginning of the stream.

    Parameters
    ----------
    capacity : int
    n_features : int
    n_targets : int
        Numbers that the truth of a row has; of labels, their codes.
    n_answers : int
        Numbers that the prediction of a row has.

    Attributes
    ----------
    X : ndarray of shape (2 * capacity, n_features)
    y : ndarray of shape (2 * capacity, n_targets)
        NaN where the truth is not known.
    answers, others : ndarray of shape (2 * capacity, n_answers)
        Of the champion and of the challenger; NaN where there is none.
    flags : ndarray of shape (2 * capacity,), dtype uint8
    keys : ndarray of shape (2 * capacity,), dtype uint64
        Hashes of the keys, 0 for rows without one.
    n_seen : int
        Rows that have come.
    """

    COLUMNS = ("X", "y", "answers", "others", "flags", "keys")

    def __init__(self, capacity, n_features, n_targets, n_answers):
        self.capacity, n = capacity, 2 * capacity
        self.X = np.empty((n, n_features))
        self.y = np.full((n, n_targets), np.nan)
        self.answers, self.others = np.full((n, n_answers), np.nan), np.full((n, n_answers), np.nan)
        self.flags, self.keys = np.zeros(n, np.uint8), np.zeros(n, np.uint64)
        self.n_seen = self._end = 0

    def __len__(self):
        """Return the number of rows that are kept."""
        return min(self.n_seen, self.capacity)

    @property
    def first(self):
        """Number of the oldest row that is kept."""
        return self.n_seen - len(self)

    def slot(self, number):
        """Return where a row stands in the arrays."""
        return self._end - (self.n_seen - number)

    def rows(self, first=None, last=None):
        """Return the slice of the arrays that holds the rows from `first` to before `last`; None for all."""
        first = self.first if first is None else first
        last = self.n_seen if last is None else last
        return slice(self.slot(first), self.slot(last))

    def make_room(self):
        """Move the rows to the front, if there is no room for another one; nothing changes for who asks for them."""
        if self._end == len(self.flags):
            kept = self.capacity
            for name in self.COLUMNS:
                array = getattr(self, name)
                array[:kept] = array[kept:]
            self._end = kept

    def append(self, x, key):
        """Add a row without truth and predictions; return where it stands."""
        self.make_room()
        slot = self._end
        self.X[slot] = x
        self.y[slot] = self.answers[slot] = self.others[slot] = np.nan
        self.flags[slot], self.keys[slot] = 0, key
        self._end = slot + 1
        self.n_seen += 1
        return slot

    def extend(self, X, y, is_known, keys):
        """Add rows as they are learnt by a fit, the newest of which are kept."""
        n, kept = len(X), min(len(X), self.capacity)
        newest = slice(n - kept, n)
        here = slice(0, kept)
        self.X[here], self.y[here], self.keys[here] = X[newest], y[newest], keys[newest]
        self.flags[here] = np.where(is_known[newest], HAS_TRUTH, IS_WAITING)
        self.n_seen, self._end = n, kept

    @property
    def state(self):
        """What is kept, as copies, by name."""
        rows = self.rows()
        return {"n_seen": self.n_seen, **{name: getattr(self, name)[rows].copy() for name in self.COLUMNS}}

    def restore(self, state):
        """Take over what `state` returned."""
        n = len(state["flags"])
        for name in self.COLUMNS:
            getattr(self, name)[:n] = state[name]
        self.n_seen, self._end = state["n_seen"], n
