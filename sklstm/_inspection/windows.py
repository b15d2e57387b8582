"""The windows that a network reads, written out: normalised forth, and gradients taken back."""

from dataclasses import dataclass

import numpy as np

from sklstm._compression.models import check_model
from sklstm._sequences import Sequences
from sklstm._snapshot import snapshot_of

# Numbers in the windows of one batch.
BATCH_NUMBERS = 1 << 19
# As in the kernels: the square of this share of a column's deviation is added to the variance of a window.
SMALLEST_DEVIATION = 0.1


@dataclass(frozen=True)
class Windows:
    """Windows of some samples, the last row of each at the end.

    Attributes
    ----------
    rows : ndarray of shape (n, n_rows, n_features)
        In the unit in which the network gets them; rows before the first one of a window are zeros.
    lengths : ndarray of shape (n,)
    places : ndarray of shape (n,) or None
        The place of each sample's group in its `GroupScales`; None where groups have no units.
    """

    rows: np.ndarray
    lengths: np.ndarray
    places: np.ndarray | None = None

    @property
    def present(self):
        """Which rows exist, of shape (n, n_rows, 1)."""
        n_rows = self.rows.shape[1]
        return (np.arange(n_rows) >= n_rows - self.lengths[:, np.newaxis])[:, :, np.newaxis]


class WindowReader:
    """What a network makes of its windows before the first layer, and the gradient of that.

    Parameters
    ----------
    architecture : Architecture
    mean, scale : ndarray of shape (n_features,)
        What columns are standardised by; with `window_norm` only the known ones, and by the scale all others.
    """

    def __init__(self, architecture, mean, scale):
        self._norm, self._mean, self._scale = architecture.window_norm, mean, scale
        self._known = np.isin(np.arange(len(mean)), architecture.known_columns)

    def read(self, windows):
        """Return normalised windows (n, n_rows, n_features), their shifts and their deviations (n, n_features)."""
        rows, present = windows.rows, windows.present
        shift, deviation = (np.broadcast_to(one, (len(rows), len(one))) for one in (self._mean, self._scale))
        if self._norm == "last":
            shift = np.where(self._known, shift, rows[:, -1])
        elif self._norm == "standard":
            n_rows = windows.lengths[:, np.newaxis]
            mean = np.where(present, rows, 0.0).sum(axis=1) / n_rows
            variance = (np.where(present, rows - mean[:, np.newaxis], 0.0) ** 2).sum(axis=1) / n_rows
            shift = np.where(self._known, shift, mean)
            of_window = np.sqrt(variance + (SMALLEST_DEVIATION * self._scale) ** 2)
            deviation = np.where(self._known, deviation, of_window)
        read = np.where(present, (rows - shift[:, np.newaxis]) / deviation[:, np.newaxis], 0.0)
        return read, shift, deviation

    def gradient(self, windows, read, deviation, d_read, d_shift, d_deviation):
        """Return the gradient by the rows of the windows.

        Parameters
        ----------
        windows : Windows
        read, deviation : ndarray
            What `read` returned for them.
        d_read : ndarray of shape (n, n_rows, n_features)
            Gradient by the normalised windows.
        d_shift, d_deviation : ndarray of shape (n, n_features)
            Gradient by the moments where these are used once more, to map answers back.
        """
        present = windows.present
        d_rows = np.where(present, d_read, 0.0) / deviation[:, np.newaxis]
        if self._norm is None:
            return d_rows
        moving = ~self._known
        d_shift = np.where(moving, d_shift - d_rows.sum(axis=1), 0.0)
        if self._norm == "last":
            d_rows[:, -1] += d_shift
            return d_rows
        d_deviation = np.where(moving, d_deviation - (d_rows * read).sum(axis=1), 0.0)
        n_rows = windows.lengths[:, np.newaxis]
        d_rows += np.where(present, (d_shift / n_rows)[:, np.newaxis], 0.0)
        # The deviation of the column as a whole has a part in that of the window, which does not move.
        return d_rows + read * (d_deviation / n_rows)[:, np.newaxis]


class WindowModel:
    """A fitted model as a function of its windows.

    Parameters
    ----------
    model : estimator
    caller : str
        Name of the function that was called.

    Attributes
    ----------
    n_features : int
    """

    def __init__(self, model, caller):
        check_model(model, caller)
        self._model, self._caller = snapshot_of(model), caller
        self._network, self._groups = self._model._network(), None
        self.n_features = self._model.n_features_in_

    def windows(self, X, groups, context, context_groups, samples=None):
        """Return how many windows X has, how long they are, and batches of them with their places in the result.

        Parameters
        ----------
        X, groups, context, context_groups : array-like
            As in `predict`.
        samples : ndarray of int or None
            Which rows of a table, or which sequences.

        Returns
        -------
        n_samples, n_rows : int
            Of the result: the samples that were asked for, and the rows of the longest window.
        batches : iterator of (ndarray, Windows)
        """
        scales = self._model._targets().call_scales()
        parts = self._model._parts(X, groups, context, context_groups, self._network, scales)
        self._places = None
        if scales is not None:
            self._groups, self._places = scales.of_rows()
        self._pieces = [self._of_part(*part) for part in parts]
        n_all = sum(len(rows) for _, _, _, rows in self._pieces)
        wanted = np.arange(n_all) if samples is None else check_samples(samples, n_all)
        self._source, self._starts, self._lengths = np.empty((3, n_all), np.intp)
        for k, (_, starts, lengths, rows) in enumerate(self._pieces):
            self._source[rows], self._starts[rows], self._lengths[rows] = k, starts, lengths
        longest = int(self._lengths[wanted].max())
        return len(wanted), longest, self._batches(wanted, longest)

    def _of_part(self, part, keep, rows):
        """Return table, starts and lengths of the samples of a part, and their rows of X."""
        if self._model.targets == "sequence":
            ends = part.bounds[1:] - 1
            return part.table, part.starts[ends], part.lengths[ends], np.arange(len(ends))
        starts, lengths = part.starts[keep], part.lengths[keep]
        return part.table, starts, lengths, np.arange(len(starts)) if isinstance(rows, slice) else rows

    def _batches(self, wanted, longest):
        size = max(1, BATCH_NUMBERS // (longest * self.n_features))
        for begin in range(0, len(wanted), size):
            chosen = wanted[begin : begin + size]
            yield np.arange(begin, begin + len(chosen)), self.windows_of(chosen, longest)

    def windows_of(self, chosen, n_rows):
        """Return the `Windows` of some samples of the X that `windows` was called with, as so many rows."""
        rows, lengths = np.zeros((len(chosen), n_rows, self.n_features)), self._lengths[chosen]
        for k, (table, *_) in enumerate(self._pieces):
            own = self._source[chosen] == k
            steps = np.arange(n_rows) - (n_rows - lengths[own])[:, np.newaxis]  # negative before the first
            index = self._starts[chosen[own]][:, np.newaxis] + np.maximum(steps, 0)
            rows[own] = np.where((steps >= 0)[:, :, np.newaxis], table[index], 0.0)
        return Windows(rows, lengths, None if self._places is None else self._places[chosen])

    def predicted(self, windows, method):
        """Return what a method of the model answers for some windows, by its own network."""
        n, n_rows, n_features = windows.rows.shape
        starts = (np.arange(n) * n_rows + n_rows - windows.lengths).astype(np.intp)
        sequences = Sequences(windows.rows.reshape(-1, n_features), starts, windows.lengths, np.array([0, n], np.intp))
        outputs = self._network.forward(sequences)
        if self._groups is not None:
            n_moments = 2 * len(self._network.reference_columns or ())
            outputs = self._groups.moments(outputs, windows.places, n_moments)
        return self._model._targets().decode(outputs, method)


def check_samples(samples, n):
    """Return the numbers of some samples, checked, as an array of intp; negative ones count from the end."""
    chosen = np.asarray(samples)
    if chosen.ndim != 1 or chosen.dtype.kind not in "iu" or not len(chosen):
        raise ValueError(
            f"samples must be a list of row numbers (of sequences, for a set), found {chosen.dtype} of shape "
            f"{chosen.shape}."
        )
    wrong = chosen[(chosen < -n) | (chosen >= n)]
    if len(wrong):
        raise ValueError(f"samples holds {wrong[0]}, but X has {n} samples.")
    return (chosen % n).astype(np.intp)
