"""Windows as the linear skip reads them: their products with targets, and what a linear map answers for them."""

from itertools import pairwise

import numpy as np

from sklstm._kernels.linear._normal_equations import NormalEquations

# Windows of a run at a time: large against their rows, small against the products of a window.
RUN_WINDOWS = 16384
# Numbers of windows that are written down at a time: 4 MB.
CHUNK_NUMBERS = 1 << 19
# A shorter run costs more than its windows one by one.
SHORTEST_RUN = 64


class SkipWindows:
    """The last rows of sequences, normalised as the linear skip of a network reads them, in float64.

    Parameters
    ----------
    network : Network
        With `linear_skip`.
    """

    def __init__(self, network):
        shape = network.architecture
        self._network, self._norm = network, shape.window_norm
        self.n_steps, self.n_features = shape.linear_skip, shape.input_size
        self.mean = np.zeros(self.n_features) if network.input_mean is None else np.asarray(network.input_mean)
        self.scale = np.ones(self.n_features) if network.input_scale is None else np.asarray(network.input_scale)
        self.relative = np.full(self.n_features, shape.window_norm == "last", np.uint8)
        self.relative[list(shape.known_columns)] = 0

    @property
    def n_columns(self):
        """Number of columns of a window."""
        return self.n_steps * self.n_features

    def runs(self, sequences, weights):
        """Return runs of neighbouring windows of equal weight, as (begin, end) pairs, and a mask of all others.

        Only windows that are normalised by their last row, or not at all, and have all their rows: those of a run have
        shift structure.
        """
        ends = sequences.starts + sequences.lengths
        if self._norm == "standard" or len(ends) < SHORTEST_RUN:
            return [], np.ones(len(ends), bool)
        full = sequences.lengths >= self.n_steps
        follows = (ends[1:] == ends[:-1] + 1) & full[1:] & full[:-1] & (weights[1:] == weights[:-1])
        edges = np.flatnonzero(np.r_[True, ~follows, True])
        pairs = [(begin, end) for begin, end in pairwise(edges) if end - begin >= SHORTEST_RUN]
        alone = np.ones(len(ends), bool)
        for begin, end in pairs:
            alone[begin:end] = False
        return pairs, alone

    def rows_of_run(self, sequences, begin, end):
        """Return the rows that the windows of sequences begin, ..., end - 1 of a run cover.

        Relative columns are taken relative to their first row, which changes no difference and keeps its digits.
        """
        last = int(sequences.starts[begin] + sequences.lengths[begin]) - 1
        rows = sequences.table[last - self.n_steps + 1 : last + end - begin].astype(np.float64)
        rows -= np.where(self.relative, rows[0], self.mean)
        rows /= self.scale
        return rows

    def write(self, sequences, out):
        """Fill out (n_sequences, n_columns) with windows; zeros stand for rows that do not exist."""
        ends, n = sequences.starts + sequences.lengths, len(sequences)
        rows = ends[:, np.newaxis] - np.arange(self.n_steps, 0, -1)
        missing = rows < sequences.starts[:, np.newaxis]
        windows = sequences.table[np.maximum(rows, 0)].astype(np.float64)
        if self._norm is None:
            shift, deviation = self.mean, self.scale
        else:
            columns = np.arange(self.n_features)
            shift, deviation = (one[:, np.newaxis] for one in self._network.window_moments(sequences, columns))
        windows -= shift
        windows /= deviation
        windows[missing] = 0.0
        out[...] = windows.reshape(n, -1)

    def chunks(self, sequences, which=None):
        """Yield slices, or selections, of sequences whose windows are written down together."""
        which = np.arange(len(sequences)) if which is None else which
        size = max(1, CHUNK_NUMBERS // self.n_columns)
        for begin in range(0, len(which), size):
            yield which[begin : begin + size]

    def answers(self, sequences, maps):
        """Return the answers (n_sequences, n_outputs) of each of several linear maps (n_outputs, n_columns)."""
        found = [np.empty((len(sequences), len(one))) for one in maps]
        for chosen in self.chunks(sequences):
            windows = np.empty((len(chosen), self.n_columns))
            self.write(sequences.take(chosen), windows)
            for one, answers in zip(maps, found, strict=True):
                answers[chosen] = windows @ one.T
        return found


class WindowProducts:
    """The normal equations of targets on windows, centred.

    Parameters
    ----------
    windows : SkipWindows
    sequences : Sequences
    targets : ndarray of shape (n_sequences, n_targets)
    weights : ndarray of shape (n_sequences,)
        Of mean 1.
    n_threads : int
    more : ndarray of shape (n_more, n_columns) or None, default=None
        Further right-hand sides.

    Attributes
    ----------
    mean : ndarray of shape (n_columns,)
        Of the windows.
    target_mean, target_squares : ndarray of shape (n_targets,)
        Of the targets: mean, and sum of squares around it.
    total : float
        Sum of the weights.
    scale : float
        Mean variance of a column of the windows.
    """

    def __init__(self, windows, sequences, targets, weights, n_threads, more=None):
        self._windows, self._sequences, self._weights = windows, sequences, weights
        self._targets = np.column_stack([targets, np.ones(len(targets))])
        self._n_targets, self.total = targets.shape[1], float(weights.sum())
        self._more = np.empty((0, windows.n_columns)) if more is None else more
        n_sides = targets.shape[1] + 1 + len(self._more)
        self._equations = NormalEquations(windows.n_columns, n_sides, n_threads)
        self._runs, alone = windows.runs(sequences, weights)
        self._alone = np.flatnonzero(alone)
        self._alone_products = self._of_targets = None
        self.target_mean = weights @ targets / self.total
        self.target_squares = weights @ (targets - self.target_mean) ** 2
        self.fill()
        self.scale = float(self._equations.diagonal().mean()) / self.total

    def fill(self):
        """Compute the products; a factorisation has replaced them. Those with the targets are computed once."""
        equations, windows = self._equations, self._windows
        if self._alone_products is None:
            equations.clear()
            self._add_alone()
            if len(self._alone):
                # What has no shift structure is dear.
                self._alone_products = equations.copy()
        else:
            equations.restore(self._alone_products)
        targets = self._targets if self._of_targets is None else self._targets[:, :0]
        for begin, end in self._runs:
            for first in range(begin, end, RUN_WINDOWS):
                last = min(first + RUN_WINDOWS, end)
                rows = windows.rows_of_run(self._sequences, first, last)
                equations.add_run(rows, targets[first:last], self._weights[begin], windows.relative)
        if self._of_targets is None:
            self.mean = equations.products_with(self._n_targets) / self.total
        self._centre()
        if self._of_targets is None:
            self._of_targets = equations.targets()
            self._of_targets[self._targets.shape[1] :] = self._more
        equations.set_targets(self._of_targets)
        self._is_fresh = True

    def _add_alone(self):
        equations, windows = self._equations, self._windows
        n, begin = windows.n_columns, equations.n_padded
        for chosen in windows.chunks(self._sequences, self._alone):
            rows = np.zeros((len(chosen), equations.stride))
            windows.write(self._sequences.take(chosen), rows[:, :n])
            rows[:, begin : begin + self._targets.shape[1]] = self._targets[chosen]
            rows *= np.sqrt(self._weights[chosen])[:, np.newaxis]
            equations.add(rows)

    def _centre(self):
        equations = self._equations
        row = np.zeros((1, equations.stride))
        row[0, : len(self.mean)] = self.mean
        row[0, equations.n_padded :][: self._targets.shape[1]] = np.r_[self.target_mean, 1.0]
        row *= np.sqrt(self.total)
        equations.add(row, -row)

    def solve(self, penalty):
        """Return the weights (n_targets, n_columns) for a penalty; None where the equations are not definite."""
        if not self._is_fresh:
            self.fill()
        self._is_fresh = False
        if not self._equations.factorize(penalty):
            return None
        return self._equations.solve()[: self._n_targets].copy()

    def squares_left(self, weights, penalty):
        """Return, right after `solve`, the sum of squares (n_targets,) that the weights leave over."""
        explained = np.array([np.square(self._equations.factor_of(k)).sum() for k in range(self._n_targets)])
        return np.maximum(self.target_squares - explained - penalty * np.square(weights).sum(axis=1), 0.0)

    def squares_of_more(self):
        """Return, right after `solve`, the sum of squares of L^-1 b for each further right-hand side b."""
        first = self._targets.shape[1]
        return np.array([np.square(self._equations.factor_of(first + k)).sum() for k in range(len(self._more))])
