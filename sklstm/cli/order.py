"""Groups and times of the rows of a table that comes in batches: where groups begin, and whether rows are in order."""

from typing import Any, NamedTuple

import numpy as np

from sklstm.cli.errors import InputError


class Blocks(NamedTuple):
    """The groups of the rows of a batch.

    Attributes
    ----------
    bounds : ndarray of shape (n_blocks + 1,)
        Rows ``bounds[b]:bounds[b + 1]`` are of one group.
    labels : list
        Its label; None where the table has no groups.
    goes_on : bool
        Whether the first of them goes on with the group of the batch before.
    """

    bounds: np.ndarray
    labels: list[Any]
    goes_on: bool


class RowOrder:
    """Follows the rows of a table from batch to batch.

    It holds the labels of all groups so far, by which one that comes a second time is known.

    Parameters
    ----------
    path : str
        Of the table, for messages.
    group, time : str or None
        Names of the columns.
    """

    def __init__(self, path, group=None, time=None):
        self._path, self._group, self._time = path, group, time
        self._seen, self._last_label, self._last_time = set(), None, None
        self._n_rows = 0
        #: Rows whose time is that of the row before, and the first of them.
        self.n_ties, self.first_tie = 0, None

    def follow(self, batch):
        """Return the `Blocks` of the next batch.

        Parameters
        ----------
        batch : pyarrow.Table
            With the columns of groups and times.

        Raises
        ------
        InputError
            If a label or a time is missing, a group comes in two separate blocks, or times go back inside a group.
        """
        n_rows, is_first = batch.num_rows, self._n_rows == 0
        bounds, labels = np.array([0, n_rows]), [None]
        if self._group is not None:
            bounds, labels = self._blocks(batch.column(self._group))
        goes_on = not is_first and labels[0] == self._last_label
        for begin, label in zip(bounds[int(goes_on) : -1], labels[int(goes_on) :], strict=True):
            self._enter(label, int(begin))
        if self._time is not None:
            self._check_times(batch.column(self._time), bounds[int(goes_on) : -1])
        self._last_label = labels[-1]
        self._n_rows += n_rows
        return Blocks(bounds, labels, goes_on)

    def pass_over(self, n_rows):
        """Count rows that are neither of a group nor have a time."""
        self._n_rows += n_rows

    def _blocks(self, column):
        """Return where groups begin, the end of the last, and their labels."""
        import pyarrow as pa
        import pyarrow.compute as pc

        values = column.combine_chunks()
        values = values.chunk(0) if isinstance(values, pa.ChunkedArray) else values
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        missing = pc.is_null(values, nan_is_null=True)
        if pc.any(missing).as_py():
            row = self._n_rows + int(np.flatnonzero(missing.to_numpy(zero_copy_only=False))[0])
            raise InputError(f"{self._path}: column {self._group!r} holds no label in row {row}; every row needs one.")
        n = len(values)
        changes = pc.not_equal(values.slice(1), values.slice(0, n - 1)).to_numpy(zero_copy_only=False)
        begins = np.concatenate([[0], np.flatnonzero(changes) + 1])
        return np.append(begins, n), values.take(pa.array(begins)).to_pylist()

    def _enter(self, label, row):
        if label in self._seen:
            raise InputError(
                f"{self._path}: group {label!r} of column {self._group!r} comes in separate blocks, the second begins "
                f"at row {self._n_rows + row}; the rows of a group must follow each other. Sort the table by group, "
                "and by time inside each group."
            )
        self._seen.add(label)

    def _check_times(self, column, begins):
        """Raise where times go back; `begins` are the rows that begin a group."""
        times = self._as_numbers(column)
        before = np.concatenate([times[:1] if self._last_time is None else [self._last_time], times[:-1]])
        inside = np.ones(len(times), bool)
        inside[begins] = False
        back = np.flatnonzero((times < before) & inside)
        if len(back):
            row = int(back[0])
            raise InputError(
                f"{self._path}: row {self._n_rows + row} is out of order: its {self._time!r} is "
                f"{column[row].as_py()}, before that of the row before it"
                f"{'' if row == 0 else f', {column[row - 1].as_py()}'}. Sort the table by "
                f"{'time' if self._group is None else 'group, and by time inside each group'}."
            )
        ties = np.flatnonzero((times == before) & inside)
        if len(ties):
            self.first_tie = self._n_rows + int(ties[0]) if self.first_tie is None else self.first_tie
            self.n_ties += len(ties)
        self._last_time = times[-1]

    def _as_numbers(self, column):
        """Return times as numbers that can be compared."""
        import pyarrow as pa
        from pyarrow import types

        kind = column.type
        if not (types.is_integer(kind) or types.is_floating(kind) or (types.is_temporal(kind))):
            first = f", {column[0].as_py()!r} in row {self._n_rows}" if len(column) else ""
            raise InputError(
                f"{self._path}: column {self._time!r} holds {kind}{first}; expected timestamps, dates, durations or "
                "numbers (without leading zeros)."
            )
        if types.is_temporal(kind) and not types.is_interval(kind):
            width = pa.int32() if kind.bit_width == 32 else pa.int64()
            column = column.cast(width)
        missing = column.is_null(nan_is_null=True).to_numpy()
        if missing.any():
            row = self._n_rows + int(missing.argmax())
            raise InputError(f"{self._path}: column {self._time!r} holds no time in row {row}; every row needs one.")
        return column.to_numpy()
