"""Passes over the training samples: which of them go through the network together, and in which order.

A pass is an entry of the registry. It is made for a network, samples and settings, and has the number of samples and
of optimizer steps of an epoch (`n_samples`, `n_steps`). `steps(epoch)` is a generator over the steps of one epoch: it
yields the mean loss and the number of samples of each, and leaves the gradient of that step in `gradient`.
"""

from dataclasses import replace

import numpy as np

from sklstm._network.noise import Noise


def permutation(seed, epoch, n):
    """Return the order of the samples in one epoch: a function of seed and epoch alone."""
    if n < 2:
        return np.arange(n)
    bits = np.random.Philox(key=seed, counter=[0, 0, epoch, 1])
    return np.random.Generator(bits).permutation(n)


# Consecutive samples that stay together with ``shuffle="blocks"``.
SHUFFLE_BLOCK = 32


def epoch_order(shuffle, seed, epoch, n):
    """Return the order of the samples in one epoch; `shuffle` is True, False or "blocks"."""
    if not shuffle:
        return np.arange(n)
    if shuffle != "blocks":
        return permutation(seed, epoch, n)
    # The offset of the blocks differs from epoch to epoch. The incomplete blocks at both ends come last, so that the
    # complete ones are aligned with the chunks into which the kernels cut a batch.
    offset = int(permutation(seed, epoch, min(SHUFFLE_BLOCK, n))[0])
    firsts = offset + SHUFFLE_BLOCK * permutation(seed, epoch, (n - offset) // SHUFFLE_BLOCK)
    order = (firsts[:, np.newaxis] + np.arange(SHUFFLE_BLOCK)).ravel()
    return np.concatenate([order, np.arange(offset), np.arange(offset + len(order), n)])


def noise_of(settings, epoch):
    """Return the dropout rates and seeds of an epoch; the number of the batch is filled in later."""
    return Noise(settings.dropout, settings.recurrent_dropout, settings.weight_dropout, settings.seed, epoch)


class WindowPasses:
    """Batches of sequences, each read from its first row on.

    Parameters
    ----------
    network : Network
    samples : Samples
    settings : Settings
    mean_weight : float or None, default=None
        Sample weights are divided by this number (None: by their mean), not by the mean of the batch, so that a batch
        of small weights makes a small step.

    Attributes
    ----------
    n_samples, n_steps : int
    gradient : ndarray
        Sum over the batches of the last step: a vector like the weights of the network, for the optimizer.
    """

    def __init__(self, network, samples, settings, mean_weight=None):
        self.network, self.samples, self.settings = network, samples, settings
        self.n_samples = len(samples.weights)
        # What the kernels read: an epoch goes through these sequences.
        self._read = samples
        self._mean_weight = float(samples.weights.mean(dtype=np.float64)) if mean_weight is None else mean_weight
        self._sum = np.empty_like(network.weights) if settings.accumulation_steps > 1 else None
        self.gradient = None
        # Blocks of a set of sequences do not overlap; the kernels find out which rows a batch really shares.
        self._neighbours = settings.shuffle is not True

    @property
    def n_steps(self):
        """Number of optimizer steps of an epoch."""
        return -(-len(self._read.sequences) // self.settings.step_size)

    def _count(self, which):
        """Return the number of samples in some of the sequences."""
        return len(which)

    def steps(self, epoch):
        """Yield the steps of one epoch; see the module."""
        settings = self.settings
        order = epoch_order(settings.shuffle, settings.seed, epoch, len(self._read.sequences))
        noise, size = noise_of(settings, epoch), settings.step_size
        for step in range(self.n_steps):
            which = order[step * size : (step + 1) * size]
            if noise.weight_dropout:
                noise = noise._replace(batch=step * settings.accumulation_steps)
            n_samples = self._count(which)
            yield self._step(which, n_samples, noise), n_samples

    def _step(self, which, n_samples, noise):
        """Return the mean loss over some sequences; `gradient` is then its gradient."""
        size, scale = self.settings.batch_size, 1.0 / (n_samples * self._mean_weight)
        value = self._batch(which[:size], scale, noise)
        self.gradient = self.network.gradient
        if len(which) > size:
            # The network overwrites its own with every batch.
            self._sum[:] = self.gradient
            self.gradient = self._sum
        for begin in range(size, len(which), size):
            noise = noise._replace(batch=noise.batch + 1)
            value += self._batch(which[begin : begin + size], scale, noise)
            self.gradient += self.network.gradient
        return value

    def _batch(self, which, scale, noise):
        samples, settings = self._read, self.settings
        return self.network.loss_and_gradient(
            samples.sequences,
            which,
            samples.targets,
            samples.weights,
            settings.loss,
            scale,
            noise,
            settings.loss_parameter,
            self._neighbours,
        )


class RowTargets:
    """Targets and weights of samples by row of their table, of which each is the last row of one sample at most.

    Parameters
    ----------
    samples : Samples

    Attributes
    ----------
    targets, weights : ndarray
        As in `samples`, with an entry for each row of the table. Rows that are no sample have weight 0.
    """

    def __init__(self, samples):
        sequences, n_rows = samples.sequences, len(samples.sequences.table)
        rows = sequences.starts + sequences.lengths - 1
        self.targets, self.weights = samples.targets, samples.weights
        if len(rows) < n_rows or (rows[1:] < rows[:-1]).any():
            self.targets = np.zeros((n_rows, *samples.targets.shape[1:]), samples.targets.dtype)
            self.weights = np.zeros((n_rows, *samples.weights.shape[1:]), samples.weights.dtype)
            self.targets[rows], self.weights[rows] = samples.targets, samples.weights
        self._n_before = np.zeros(n_rows + 1, np.intp)  # samples before each row
        self._n_before[rows + 1] = 1
        self._n_before.cumsum(out=self._n_before)

    def count(self, starts, lengths):
        """Return the number of samples in some segments of rows."""
        return int((self._n_before[starts + lengths] - self._n_before[starts]).sum())


class SequencePasses(WindowPasses):
    """Batches of whole series, each of which has a target at every step, or at some.

    Each sequence of `samples` holds all rows of its series up to the sample's own. Gradients go back to the first row.
    Parameters and attributes are those of `WindowPasses`; batches are counted in series.
    """

    def __init__(self, network, samples, settings, mean_weight=None):
        super().__init__(network, samples, settings, mean_weight)
        self._rows = RowTargets(samples)
        self._read = replace(
            samples,
            sequences=samples.sequences.whole_series(),
            targets=self._rows.targets,
            weights=self._rows.weights,
        )
        self._neighbours = False  # series share no rows

    def _count(self, which):
        return self._rows.count(self._read.sequences.starts[which], self._read.sequences.lengths[which])


class SeriesPasses:
    """Whole series by truncated backpropagation through time (Williams & Peng 1990), each row once in an epoch.

    The series are cut into up to `batch_size` segments of about equal length, which form one batch; where there are
    more series than that, batches of `batch_size` series follow each other. A step takes the next `bptt_steps` rows of
    each segment of the batch; the states are carried from step to step, and gradients are truncated at its first row.
    Parameters and attributes are those of `WindowPasses`; each sequence of `samples` holds all rows of its series up to
    the sample's own. Rows between them that are no samples update the states and do not enter the loss.

    Attributes
    ----------
    first_states : ndarray of shape (1, n_states) or None
        What an epoch begins with at the first row of the table; None for zeros, as at other segments.
    final_states : ndarray of shape (1, n_states) or None
        Those behind the last row, once an epoch is over.
    """

    def __init__(self, network, samples, settings, mean_weight=None):
        self.network, self.samples, self.settings = network, samples, settings
        self.n_samples = len(samples.weights)
        self._table, self._rows = samples.sequences.table, RowTargets(samples)
        self._mean_weight = float(samples.weights.mean(dtype=np.float64)) if mean_weight is None else mean_weight
        self._begins = samples.sequences.series()[0]
        starts, lengths = cut_series(samples.sequences, settings.batch_size)
        edges = range(0, len(starts), settings.batch_size)
        self._rounds = [(starts[k : k + settings.batch_size], lengths[k : k + settings.batch_size]) for k in edges]
        self.n_steps = sum(self._rows.count(*step[1:]) > 0 for step in self._all_steps())
        self.first_states = self.final_states = None

    @property
    def gradient(self):
        """Gradient of the last step."""
        return self.network.gradient

    def _all_steps(self):
        """Yield the number of the batch of each step, and first rows and lengths of its segments, longest first."""
        for which, (starts, totals) in enumerate(self._rounds):
            for first in range(0, int(totals[0]), self.settings.bptt_steps):
                running = int(np.searchsorted(-totals, -first))
                yield which, starts[:running] + first, np.minimum(totals[:running] - first, self.settings.bptt_steps)

    def steps(self, epoch):
        """Yield the steps of one epoch; see the module."""
        current, states = None, None
        for step, (which, starts, lengths) in enumerate(self._all_steps()):
            if which != current:
                current, states = which, self._states_at(self._rounds[which][0])
            n_samples = self._rows.count(starts, lengths)
            if not n_samples and self._is_without_noise:
                self._skip(starts, lengths, states[: len(starts)])
                continue
            value = self._step(starts, lengths, states[: len(starts)], epoch, step, n_samples)
            if n_samples:
                yield value, n_samples
        begins, lengths = self._rounds[-1]
        self.final_states = states[[int((begins + lengths).argmax())]]

    def _states_at(self, starts):
        """Return what the segments of a batch begin with."""
        states = np.zeros((len(starts), self.network.n_states), self.network.dtype)
        if self.first_states is not None:
            states[starts == 0] = self.first_states
        return states

    @property
    def _is_without_noise(self):
        """Whether states are in training what they are in prediction."""
        settings = self.settings
        rates = settings.dropout, settings.recurrent_dropout, settings.weight_dropout
        return not (any(rates) or self.network.architecture.zoneout)

    def _skip(self, starts, lengths, states):
        """Bring the states behind rows that have no loss and so no gradient."""
        out = np.empty((len(self._table), self.network.layout.n_outputs), self.network.dtype)
        self.network.run(self._table, starts, lengths, out, states=states, first_rows=self._first_rows(starts))

    def _first_rows(self, starts):
        """Return the first row of the series of each segment, to which the linear skip reads back."""
        return self._begins[np.searchsorted(self._begins, starts, side="right") - 1]

    def _step(self, starts, lengths, states, epoch, step, n_samples):
        """Return the mean loss over these rows; `gradient` is then its gradient, `states` the final ones."""
        settings = self.settings
        return self.network.steps_loss_and_gradient(
            self._table,
            starts,
            lengths,
            np.arange(len(starts)) + step * len(self._rounds[0][0]),
            states,
            noise_of(settings, epoch)._replace(batch=step),
            targets=self._rows.targets,
            weights=self._rows.weights,
            loss=settings.loss,
            loss_parameter=settings.loss_parameter,
            scale=1.0 / (max(n_samples, 1) * self._mean_weight),
            first_rows=self._first_rows(starts),
        )


def cut_series(sequences, n_segments):
    """Return starts and lengths, longest first, of segments that cover all rows of the series.

    At most `n_segments`, as equal as that allows; where there are more series than that, each is one segment.
    """
    begins, totals = sequences.series()
    if n_segments == len(totals) == 1:
        return begins, totals
    longest = shortest_cut(totals, max(n_segments, len(totals)))
    n_pieces = -(-totals // longest)
    series = np.repeat(np.arange(len(totals)), n_pieces)
    piece = np.arange(len(series)) - np.repeat(np.cumsum(n_pieces) - n_pieces, n_pieces)
    first, end = (totals[series] * k // n_pieces[series] for k in (piece, piece + 1))
    starts, lengths = begins[series] + first, end - first
    order = np.argsort(-lengths, kind="stable")
    return starts[order], lengths[order]


def shortest_cut(totals, n_segments):
    """Return the smallest length such that no more than `n_segments` segments of at most that length are needed."""
    least, enough = -(-int(totals.sum()) // n_segments), int(totals.max())
    while least < enough:
        length = (least + enough) // 2
        if (-(-totals // length)).sum() <= n_segments:
            enough = length
        else:
            least = length + 1
    return enough


PASSES = {"windows": WindowPasses, "sequences": SequencePasses, "stateful": SeriesPasses}
