"""A network bound to its parameters: forward over sequences, and the loss with its gradient."""

from dataclasses import fields

import numpy as np

from sklstm._kernels._stack import Stack
from sklstm._kernels._stream import StackStream
from sklstm._network.workspace import Workspace, aligned_empty


class Network:
    """Stacked recurrent layers with a dense head on the last hidden state of the top layer.

    Parameters
    ----------
    layout : ParameterLayout
    dtype : "float32" or "float64"
    n_threads : int
        Changes how long it takes, never a bit of the result.
    isa : str or None, default=None
        Instruction-set variant of the kernels; None for the one in use.

    Attributes
    ----------
    weights : ndarray
        The parameters in the layout of the kernels. What is written here counts from the next call on: an optimizer
        steps on it in place, and nothing is packed anew.
    """

    def __init__(self, layout, dtype, n_threads, isa=None):
        self.layout, self.dtype, self.n_threads = layout, np.dtype(dtype), n_threads
        shape = self.architecture = layout.architecture
        options = {f.name: getattr(shape, f.name) for f in fields(shape)}
        self._stack = Stack(**options, dtype=self.dtype, isa=isa)
        self._back = self._last_dealt = None
        self._workspace = Workspace()
        self.weights = aligned_empty(self._stack.panels_size * self.dtype.itemsize).view(self.dtype)
        self._stack.bind(self.weights)

    # Between the flat vector of named parameters and the layout of the kernels.

    def load(self, flat):
        """Take over a flat vector of parameters; later changes of `flat` are not seen."""
        self._stack.to_panels(flat, self.weights)

    def to_panels(self, flat):
        """Return a vector like `weights` made of one like the parameters."""
        panels = np.empty_like(self.weights)
        self._stack.to_panels(np.ascontiguousarray(flat, self.dtype), panels)
        return panels

    def from_panels(self, panels):
        """Return the flat vector, in the order of the layout, made of one like `weights`."""
        flat = np.empty(self._stack.n_parameters, self.dtype)
        self._stack.from_panels(panels, flat)
        return flat

    def decay_segments(self, weight_decay):
        """Return where the stretches of equal weight decay end in `weights`, and the decay of each: none for biases."""
        ends, decays = zip(*self._stack.segments, strict=True)
        return np.array(ends, np.intp), np.where(decays, float(weight_decay), 0.0)

    @property
    def gradient(self):
        """Return what the last `loss_and_gradient` left: a vector like `weights`, which the next call overwrites."""
        return self._workspace.slots[: self.weights.nbytes].view(self.dtype)

    def _ordered(self, sequences, rows=None):
        """Return starts, lengths (longest first, as the kernels want them) and the order, None where it is as given."""
        starts = sequences.starts if rows is None else sequences.starts[rows]
        lengths = sequences.lengths if rows is None else sequences.lengths[rows]
        if len(lengths) < 2 or (lengths[1:] <= lengths[:-1]).all():
            return starts, lengths, None
        order = np.argsort(-lengths, kind="stable")
        return starts[order], lengths[order], order

    def _dealt(self, n):
        if self._last_dealt is None or len(self._last_dealt) != n:
            self._last_dealt = self._stack.dealt(n)
        return self._last_dealt

    def forward(self, sequences, *, want_hidden=False):
        """Run over all sequences.

        Parameters
        ----------
        sequences : Sequences
        want_hidden : bool, default=False
            True for the last hidden state of the top layer instead of the raw output of the head.

        Returns
        -------
        ndarray of shape (n_sequences, n_outputs) or (n_sequences, hidden_size of the top layer)
        """
        starts, lengths, order = self._ordered(sequences)
        n_bytes, _, n_tasks = self._stack.workspace_bytes(len(starts), lengths.max())
        n_threads = min(self.n_threads, n_tasks)
        self._workspace.reserve(n_bytes * n_threads, 0)
        width = self._stack.hidden_size if want_hidden else self._stack.n_outputs
        out = np.empty((len(starts), width), self.dtype)
        self._stack.forward(
            sequences.table,
            sequences.table.shape[1],
            starts,
            lengths,
            self._workspace.chunks,
            n_threads,
            **{"hidden" if want_hidden else "z": out},
        )
        if order is None:
            return out
        result = np.empty_like(out)
        result[order] = out
        return result

    def stream_kernels(self, n_streams, sequence_length, answer, want_hidden):
        """Return the kernels that read one row of each stream at a time; the weights must not change from now on."""
        return StackStream(self._stack, n_streams, sequence_length, answer, want_hidden, self.n_threads)

    def loss_and_gradient(
        self, sequences, rows, targets, weights, loss, scale, dropout=0.0, seed=0, epoch=0, loss_parameter=0.0
    ):
        """Compute the weighted loss of some sequences, and its gradient, which `gradient` then holds.

        Parameters
        ----------
        sequences : Sequences
        rows : ndarray of intp
            Which of them.
        targets : ndarray of shape (n_sequences, n_outputs) or (n_sequences, 1)
            Of all sequences: numbers, or class numbers.
        weights : ndarray of shape (n_sequences,)
            Of all sequences.
        loss : str
            A name from `sklstm._training.losses.LOSSES`.
        scale : float
            Factor on each sequence's weight.
        dropout : float, default=0.0
            Rate between layers.
        seed, epoch : int
            With the number of the sequence, they decide which units are dropped.
        loss_parameter : float or sequence of float, default=0.0
            Delta of the Huber loss, the quantile, or the smoothing of a log loss; one for all outputs or one for each.

        Returns
        -------
        float
            Sum over rows of scale * weight * loss.
        """
        starts, lengths, order = self._ordered(sequences, rows)
        max_steps = int(lengths[0])
        if order is not None:
            rows = rows[order]
        if lengths[-1] < max_steps:
            dealt = self._dealt(len(rows))
            starts, lengths, rows = starts[dealt], lengths[dealt], rows[dealt]
        n_bytes, slot_bytes, n_tasks = self._stack.workspace_bytes(len(rows), max_steps, training=True, dropout=dropout)
        n_threads = min(self.n_threads, n_tasks)
        self._workspace.reserve(n_bytes * n_threads, slot_bytes)
        if self._back is None:
            self._back = aligned_empty(self._stack.back_size * self.dtype.itemsize).view(self.dtype)
            self._stack.bind(self.weights, self._back)
        return self._stack.forward_backward(
            sequences.table,
            sequences.table.shape[1],
            starts,
            lengths,
            self._workspace.chunks,
            n_threads,
            max_steps=max_steps,
            targets=targets[rows],
            weights=weights[rows],
            loss=loss,
            loss_parameter=loss_parameter,
            scale=scale,
            slots=self._workspace.slots,
            dropout=dropout,
            seed=seed,
            epoch=epoch,
            sample_ids=rows.astype(np.uint32) if dropout else None,
        )
