"""What happened to a learner and when: events in columns, and the course of its loss in bounded memory."""

from array import array
from math import nan

import numpy as np

# Kinds of events that a learner tells, which the display knows. Others are kept as well.
KINDS = {
    "loss": "mean loss of the rows since the one before; `loss`, `n`",
    "drift": "the detector raised an alarm; `loss`",
    "refit": "a full refit began; `n` rows of the buffer",
    "refitted": "it ended, with `loss` at training",
    "refit_failed": "it failed",
    "version": "a version was written; `version`",
    "share": "the challenger answers another share of the rows; `share`, `version`",
    "promote": "the challenger took over; `version`, `loss` of the champion, `challenger_loss`",
    "reject": "the challenger was dropped in the shadow; as for promote",
    "rollback": "the challenger was dropped after it had answered rows; as for promote",
}


class History:
    """Log of events in columns, with the course of the loss.

    Parameters
    ----------
    rows_per_point : int, default=32
        Rows of a point of the loss at first.
    max_points : int, default=2048
        Points of the loss; when there are so many, pairs of neighbours become one, so that any number of rows takes the
        same memory.

    Examples
    --------
    >>> from sklstm._online.history import History
    >>> history = History(rows_per_point=2)
    >>> for row in range(4):
    ...     history.observe(row, loss=1.0 + row)
    >>> history.append("drift", 3, loss=4.0)
    >>> history.as_dict()["kind"].tolist(), history.as_dict()["loss"].tolist()
    (['loss', 'loss', 'drift'], [1.5, 3.5, 4.0])
    """

    def __init__(self, rows_per_point=32, max_points=2048):
        for name, value, least in (("rows_per_point", rows_per_point, 1), ("max_points", max_points, 2)):
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
                raise ValueError(f"{name}={value!r}, expected an integer of at least {least}.")
        if max_points % 2:
            raise ValueError(f"max_points={max_points}, expected an even number.")
        self.rows_per_point, self.max_points = int(rows_per_point), int(max_points)
        self._kinds, self._codes, self._rows, self._numbers = [], array("q"), array("q"), {}
        # Of each point of the loss: its last row, the sum and how many rows.
        self._ends, self._counts = np.zeros(max_points, np.int64), np.zeros(max_points, np.int64)
        self._sums = np.zeros(max_points)
        self._n_points, self._open = 0, [0, 0.0, 0]

    def __len__(self):
        """Return the number of events, without those of the loss."""
        return len(self._rows)

    def append(self, kind, row, **numbers):
        """Add an event.

        Parameters
        ----------
        kind : str
            See `KINDS`.
        row : int
            Number of rows that had come, or number of the row.
        **numbers : float
            What is known of it.
        """
        if not isinstance(kind, str) or not kind or kind == "loss":
            raise ValueError(f"kind={kind!r}, expected a text; the loss is told to observe.")
        row = _row(row)
        values = {}
        for name, value in numbers.items():
            try:
                values[name] = float(value)
            except (TypeError, ValueError) as error:
                raise TypeError(f"{name}={value!r}, expected a number.") from error
        if kind not in self._kinds:
            self._kinds.append(kind)
        for name in values.keys() - self._numbers.keys():
            self._numbers[name] = array("d", [nan]) * len(self._rows)
        self._codes.append(self._kinds.index(kind))
        self._rows.append(row)
        for name, column in self._numbers.items():
            column.append(values.get(name, nan))

    def observe(self, row, loss, n=1):
        """Add the loss of a row to the course of the loss.

        Parameters
        ----------
        row : int
        loss : float
            Mean loss of `n` rows, of which `row` is the last.
        n : int, default=1
        """
        _, total, count = self._open
        self._open = [row, total + n * loss, count + n]
        if count + n >= self.rows_per_point:
            self._close_point()

    def _close_point(self):
        k = self._n_points
        self._ends[k], self._sums[k], self._counts[k] = self._open
        self._n_points, self._open = k + 1, [0, 0.0, 0]
        if self._n_points == self.max_points:
            # Other arrays: those of before may have to be put back.
            half, names = self.max_points // 2, ("_ends", "_sums", "_counts")
            pairs = {name: (getattr(self, name)[0::2], getattr(self, name)[1::2]) for name in names}
            columns = {name: one if name == "_ends" else one + other for name, (other, one) in pairs.items()}
            columns = {name: np.append(column, np.zeros_like(column)) for name, column in columns.items()}
            vars(self).update(columns, _n_points=half, rows_per_point=2 * self.rows_per_point)

    def mark(self):
        """Return what `go_back` needs."""
        return vars(self).copy(), len(self._rows), len(self._kinds), len(self._numbers)

    def go_back(self, mark):
        """Forget what came after a mark."""
        kept, n_events, n_kinds, n_names = mark
        vars(self).update(kept)
        for name in list(self._numbers)[n_names:]:
            del self._numbers[name]
        del self._kinds[n_kinds:]
        for column in (self._codes, self._rows, *self._numbers.values()):
            del column[n_events:]

    def as_dict(self):
        """Return all events in order of their rows.

        Returns
        -------
        dict of str to ndarray of shape (n_events,)
            ``kind`` (texts), ``row`` (integers), and the numbers, NaN where an event has none. Points of the loss are
            events of kind "loss", with ``loss`` and the number of rows ``n``.
        """
        n, n_events = self._n_points, len(self._rows)
        points = [self._ends[:n], self._sums[:n], self._counts[:n]]
        if self._open[2]:
            points = [np.append(column, value) for column, value in zip(points, self._open, strict=True)]
        n_points = len(points[0])
        row = np.concatenate([points[0], np.array(self._rows, np.int64)])
        names = np.array(["loss", *self._kinds])
        kind = names[np.concatenate([np.zeros(n_points, np.int64), np.array(self._codes, np.int64) + 1])]
        columns = {"loss": points[1] / np.maximum(points[2], 1), "n": points[2].astype(np.float64)}
        # The loss up to a row comes before what it led to.
        order = np.argsort(row, kind="stable")
        found = {"kind": kind[order], "row": row[order]}
        for name in dict.fromkeys(("loss", "n", *sorted(self._numbers))):
            of_points = columns.get(name, np.full(n_points, nan))
            of_events = np.array(self._numbers[name]) if name in self._numbers else np.full(n_events, nan)
            found[name] = np.concatenate([of_points, of_events])[order]
        return found

    def state(self):
        """Return the log as a dict of plain arrays, numbers and texts, for `from_state`."""
        n = self._n_points
        return {
            "rows_per_point": self.rows_per_point,
            "max_points": self.max_points,
            "kinds": list(self._kinds),
            "codes": np.array(self._codes, np.int64),
            "rows": np.array(self._rows, np.int64),
            "numbers": {name: np.array(column, np.float64) for name, column in self._numbers.items()},
            "points": {"ends": self._ends[:n].copy(), "sums": self._sums[:n].copy(), "counts": self._counts[:n].copy()},
            "open": {"end": int(self._open[0]), "sum": float(self._open[1]), "count": int(self._open[2])},
        }

    @classmethod
    def from_state(cls, state):
        """Return a log that goes on from a state.

        Raises
        ------
        ValueError
            If its columns do not fit together.
        """
        made = cls(state["rows_per_point"], state["max_points"])
        codes, rows = np.asarray(state["codes"], np.int64), np.asarray(state["rows"], np.int64)
        numbers = {name: np.asarray(column, np.float64) for name, column in state["numbers"].items()}
        known = ((codes >= 0) & (codes < len(state["kinds"]))).all()
        if not known or any(column.shape != rows.shape for column in (codes, *numbers.values())):
            raise ValueError("the columns of the events do not fit together.")
        points = state["points"]
        n = len(points["ends"])
        if not n < made.max_points or not n == len(points["sums"]) == len(points["counts"]):
            raise ValueError("the columns of the loss do not fit together.")
        made._kinds = [str(kind) for kind in state["kinds"]]
        made._codes, made._rows = array("q", codes.tobytes()), array("q", rows.tobytes())
        made._numbers = {name: array("d", column.tobytes()) for name, column in numbers.items()}
        made._ends[:n], made._sums[:n], made._counts[:n] = points["ends"], points["sums"], points["counts"]
        made._n_points = n
        made._open = [state["open"]["end"], state["open"]["sum"], state["open"]["count"]]
        return made


def _row(row):
    if isinstance(row, bool) or not isinstance(row, (int, np.integer)) or row < 0:
        raise ValueError(f"row={row!r}, expected an integer that is not negative.")
    return int(row)
