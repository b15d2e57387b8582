"""Sets of sequences: a table with a start row and a length for each sequence.

A window over a table is a start row and a length: overlapping windows share the table, and neither fitting nor
splitting ever copies one.
"""

from dataclasses import dataclass, replace

import numpy as np

from sklstm._shares import share_of


@dataclass(frozen=True)
class Sequences:
    """Sequences inside one table.

    Attributes
    ----------
    table : ndarray of shape (n_rows, n_features)
        C-contiguous, aligned rows of float32 or float64, as the kernels need them (the constructors copy others).
    starts : ndarray of shape (n_sequences,), dtype intp
        First row of each sequence.
    lengths : ndarray of shape (n_sequences,), dtype intp
        Rows of each sequence, at least 1.
    blocks : ndarray of shape (n_blocks + 1,), dtype intp
        Sequences ``blocks[b]:blocks[b + 1]`` follow each other in time: a group of windows, or all sequences of a
        set.
    gap : int
        Sequences that must lie between a training and a validation part so that they share no row.
    bounds : ndarray of shape (n_series + 1,), dtype intp, or None
        Where the series of the table begin, and the end of the last, if each is read to its end whichever of its rows
        are samples. None: only as far as its last sample.
    horizon : int
        Rows after the last one of each sequence that its target is about, 0 where that is not known.
    ahead : ndarray of shape (n_rows_ahead, n_known) or None
        The columns that are known ahead, of the rows after the sequences; C-contiguous.
    ahead_starts : ndarray of shape (n_sequences,), dtype intp, or None
        The row of `ahead` that comes right after each sequence; `horizon` rows are read from there on.
    """

    table: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    blocks: np.ndarray
    gap: int = 0
    bounds: np.ndarray | None = None
    horizon: int = 0
    ahead: np.ndarray | None = None
    ahead_starts: np.ndarray | None = None

    def __len__(self):
        """Return the number of sequences."""
        return len(self.starts)

    @classmethod
    def from_windows(cls, table, sequence_length, blocks=None):
        """Make the window of the last `sequence_length` rows that ends at each row, inside the row's block."""
        n_rows = len(table)
        blocks = np.array([0, n_rows], np.intp) if blocks is None else blocks
        rows = np.arange(n_rows, dtype=np.intp)
        first = np.repeat(blocks[:-1], np.diff(blocks))
        starts = np.maximum(first, rows - (sequence_length - 1))
        return cls(np.require(table, requirements="CA"), starts, rows - starts + 1, blocks, sequence_length - 1)

    @classmethod
    def from_series(cls, table, blocks=None):
        """Make, for each row, the sequence of all rows of its block up to it, for networks that carry their states."""
        sequences = cls.from_windows(table, len(table), blocks)
        return cls(sequences.table, sequences.starts, sequences.lengths, sequences.blocks)

    def at_every_row(self):
        """Make a sequence for each row of those of a set, which holds all rows of its own up to it."""
        bounds = np.append(self.starts, len(self.table)).astype(np.intp)
        return replace(Sequences.from_series(self.table, bounds), bounds=bounds)

    def series(self):
        """Return first row and length of each series of `from_series`, as far as any of the sequences goes.

        To its end, where there are `bounds`.
        """
        if self.bounds is None and len(self) and (self.starts == self.starts[0]).all():
            return self.starts[:1], self.lengths.max(keepdims=True)
        begins, which = np.unique(self.starts, return_inverse=True)
        if self.bounds is not None:
            return begins, self.bounds[np.searchsorted(self.bounds, begins) + 1] - begins
        lengths = np.zeros(len(begins), np.intp)
        np.maximum.at(lengths, which, self.lengths)
        return begins, lengths

    def whole_series(self):
        """Return the series of `series` as sequences."""
        starts, lengths = self.series()
        return replace(self, starts=starts, lengths=lengths, blocks=np.array([0, len(starts)], np.intp))

    @classmethod
    def from_array(cls, array):
        """Make one sequence of each entry of an array of shape (n_sequences, n_steps, n_features)."""
        n_sequences, n_steps, n_features = array.shape
        starts = np.arange(n_sequences, dtype=np.intp) * n_steps
        lengths = np.full(n_sequences, n_steps, np.intp)
        table = np.require(array.reshape(-1, n_features), requirements="CA")
        return cls(table, starts, lengths, np.array([0, n_sequences], np.intp))

    @classmethod
    def from_list(cls, arrays):
        """Make one sequence of each array of shape (n_steps, n_features) in a list."""
        lengths = np.array([len(array) for array in arrays], np.intp)
        ends = np.cumsum(lengths)
        return cls(np.concatenate(arrays), ends - lengths, lengths, np.array([0, len(arrays)], np.intp))

    def take(self, selection):
        """Return some of the sequences; the table is shared."""
        starts = self.starts[selection]
        return self._choose(selection, np.array([0, len(starts)], np.intp))

    def keep(self, mask):
        """Return the sequences that a mask chooses, in their blocks; the table is shared."""
        blocks = np.unique(np.r_[0, np.cumsum(mask)][self.blocks])
        return self._choose(mask, blocks)

    def _choose(self, chosen, blocks):
        ahead = None if self.ahead_starts is None else self.ahead_starts[chosen]
        return replace(
            self, starts=self.starts[chosen], lengths=self.lengths[chosen], blocks=blocks, ahead_starts=ahead
        )

    def split_last(self, fraction):
        """Split off the last part in time of every block.

        Parameters
        ----------
        fraction : float
            Share of each block's sequences for the last part, rounded up.

        Returns
        -------
        first, last : ndarray of intp
            Which sequences come first and which last. Those of a block that end at a row which a sequence of the last
            part holds belong to neither, where there is a `gap`, nor do those whose targets are rows that targets of
            the last part are about, where there is a `horizon`. A block that is too short to keep at least one sequence
            in each part goes to the first part whole.
        """
        first, last = [], []
        for begin, end in zip(self.blocks[:-1], self.blocks[1:], strict=True):
            n_last = share_of(fraction, int(end - begin))
            n_first = end - begin - n_last
            if (self.gap or self.horizon) and n_last:
                ends = self.starts[begin:end] + self.lengths[begin:end]
                bound = self.starts[end - n_last] if self.gap else ends[-n_last]
                bound = min(bound, ends[-n_last] - self.horizon)
                n_first = int(np.searchsorted(ends[: max(n_first, 0)], bound, side="right"))
            if n_last < 1 or n_first < 1:
                first.append(np.arange(begin, end))
                continue
            first.append(np.arange(begin, begin + n_first))
            last.append(np.arange(end - n_last, end))
        return np.concatenate(first), np.concatenate([np.empty(0, np.intp), *last])

    def split_last_series(self, fraction):
        """Split off the last series, with all of their samples.

        Parameters
        ----------
        fraction : float
            Share of the series for the last part, rounded up.

        Returns
        -------
        first, last : ndarray of intp
            As `split_last`; none is last where one of the two would be without a series.
        """
        begins, which = np.unique(self.starts, return_inverse=True)
        n_first = len(begins) - share_of(fraction, len(begins))
        is_last = which >= (n_first if n_first > 0 else len(begins))
        return np.flatnonzero(~is_last), np.flatnonzero(is_last)

    @staticmethod
    def split_last_of_classes(fraction, codes):
        """Split off the last sequences of every class of a set, which may be sorted by class.

        Parameters
        ----------
        fraction : float
            Share of all sequences for the last part, rounded up; each class has the same share of it, up to rounding.
        codes : ndarray of shape (n_sequences,)
            The class of each sequence.

        Returns
        -------
        first, last : ndarray of intp
            As `split_last`; the first sequence of a class never belongs to the last part.
        """
        order = np.argsort(codes, kind="stable")
        _, begins, counts = np.unique(codes[order], return_index=True, return_counts=True)
        place = np.empty(len(codes), np.intp)  # of each sequence inside its class
        place[order] = np.arange(len(codes)) - np.repeat(begins, counts)
        size = counts[np.unique(codes, return_inverse=True)[1]]
        share = (size - place - 0.5) / size  # of its class that comes behind it, and half of itself
        chosen = np.argsort(np.where(place > 0, share, 2.0), kind="stable")[: share_of(fraction, len(codes))]
        is_last = np.isin(np.arange(len(codes)), chosen) & (place > 0)
        return np.flatnonzero(~is_last), np.flatnonzero(is_last)


def blocks_of_groups(groups, name="groups"):
    """Return where the blocks of equal labels begin, and the end of the last.

    Parameters
    ----------
    groups : ndarray of shape (n_rows,)
    name : str, default="groups"
        Name of the argument in messages.

    Returns
    -------
    ndarray of intp

    Raises
    ------
    ValueError
        If a label comes in two separate blocks.
    """
    changes = np.flatnonzero(groups[1:] != groups[:-1]) + 1
    blocks = np.concatenate([[0], changes, [len(groups)]]).astype(np.intp)
    begins = {}
    # A dict, as labels of several types cannot be sorted.
    for label, begin in zip(groups[blocks[:-1]].tolist(), blocks[:-1].tolist(), strict=True):
        begins.setdefault(label, []).append(begin)
    if len(begins) < len(blocks) - 1:
        label, rows = next((label, rows) for label, rows in begins.items() if len(rows) > 1)
        raise ValueError(
            f"{name}: label {label!r} comes in {len(rows)} separate blocks, which begin at rows "
            f"{', '.join(map(str, rows[:3]))}{', ...' if len(rows) > 3 else ''}; the rows of a group must follow each "
            "other. Sort the table by group (and by time inside each group)."
        )
    return blocks
