"""A network bound to its parameters: forward over sequences, and the loss with its gradient."""

import numpy as np

from sklstm._kernels.network._constraints import RecurrentBlocks
from sklstm._kernels.network._stream import StackStream
from sklstm._network.attention_weights import attention_weights
from sklstm._network.build import build_stack
from sklstm._network.input_range import first_beyond_range, first_negative_gap
from sklstm._network.moments import moments_by_stack
from sklstm._network.noise import NO_NOISE, recurrent_weight_mask
from sklstm._network.ranges import read_ranges
from sklstm._network.series import run_series
from sklstm._network.workspace import Workspace, aligned_empty


class Network:
    """Stacked recurrent layers with a dense head on the last hidden state of the top layer.

    Parameters
    ----------
    layout : ParameterLayout
    dtype : "float32", "float64" or "bfloat16"
        With "bfloat16", the format of the products of the recurrent layers; all arrays are float32.
    n_threads : int
        Affects the speed, never a bit of the result.
    isa : str or None, default=None
        Instruction-set variant of the kernels; None for the one in use.
    input_mean, input_scale : ndarray of shape (n_features,) or None, default=None
        The first layer reads (row - mean) / scale, computed in float64 from a table of float32 or float64 and rounded
        once; None for zeros and ones. With `window_norm`, each window is normalised by moments of its own, and
        `input_scale` is the deviation of each column of the training data.

    Attributes
    ----------
    dtype : numpy.dtype
        Of all arrays.
    dtype_name : str
        The same in messages, or "bfloat16".
    weights : ndarray
        The parameters in the packed layout of the kernels. Optimizers update them in place, and the next call uses the
        new values without packing.
    reference_columns : list of int or None
        Columns of the input whose `window_moments` are appended to the raw outputs by `forward`.
    n_networks : int
        1; see `Networks`.
    """

    n_networks = 1

    def __init__(self, layout, dtype, n_threads, isa=None, *, input_mean=None, input_scale=None):
        self.layout, self.n_threads = layout, n_threads
        shape = self.architecture = layout.architecture
        self.input_mean, self.input_scale = input_mean, input_scale
        self._stack = build_stack(shape, dtype, isa, layout.integers, input_mean=input_mean, input_scale=input_scale)
        self.dtype = self._stack.dtype
        self.dtype_name = "bfloat16" if dtype == "bfloat16" else self.dtype.name
        self.reference_columns = None
        self._transposed = self._masked = self._last_order = self._last_call = None
        self._last_threads = 0
        self._workspace = Workspace()
        self.weights = aligned_empty(self._stack.panels_size * self.dtype.itemsize).view(self.dtype)
        self._stack.bind(self.weights)

    def read_ranges(self, parts):
        """Return the largest sizes of what each layer reads of sequences, see `sklstm._network.ranges`."""
        return read_ranges(self, self._stack, parts)

    # Conversion between the flat vector of named parameters and panels, the layout of the kernels.

    def load(self, flat):
        """Copy a flat vector of parameters into `weights`."""
        self._stack.to_panels(flat, self.weights)
        self._stack.weights_changed()

    def use(self, weights):
        """Use another vector of panels as `weights` from now on, which is not copied."""
        self.weights = weights
        self._stack.bind(weights, self._transposed)

    def to_panels(self, flat):
        """Return a flat vector in the order of the parameters, packed as `weights` are."""
        if np.shape(flat) != (self.layout.size,):
            raise ValueError(f"expected a vector of {self.layout.size} numbers, found the shape {np.shape(flat)}")
        panels = np.empty_like(self.weights)
        self._stack.to_panels(np.ascontiguousarray(flat, self.dtype), panels)
        return panels

    def from_panels(self, panels):
        """Return a vector packed as `weights` are, as a flat vector in the order of the parameters."""
        flat = np.empty(self._stack.n_parameters, self.dtype)
        self._stack.from_panels(panels, flat)
        return flat

    def decay_segments(self, weight_decay):
        """Return the ends of segments of `weights` with equal weight decay, and the decay of each (0 for biases)."""
        ends, decays = zip(*self._stack.segments, strict=True)
        ends, decays = np.array(ends, np.intp), np.where(decays, float(weight_decay), 0.0)
        # The linear skip is never drawn to zero, but left alone or drawn to its start.
        begin, end = self._stack.skip_range
        decays[(ends > begin) & (ends <= end)] = 0.0
        return ends, decays

    @property
    def gradient(self):
        """The gradient of the last `loss_and_gradient`, packed as `weights` are; the next call overwrites it."""
        return self._workspace.slots[: self.weights.nbytes].view(self.dtype)

    def _ordered(self, sequences, rows=None):
        """Return starts and lengths sorted longest first, and the order (None if they are sorted already)."""
        starts = sequences.starts if rows is None else sequences.starts[rows]
        lengths = sequences.lengths if rows is None else sequences.lengths[rows]
        if len(lengths) < 2 or (lengths[1:] <= lengths[:-1]).all():
            return starts, lengths, None
        order = np.argsort(-lengths, kind="stable")
        return starts[order], lengths[order], order

    def _ahead(self, sequences, rows=None):
        """Return what a decoder reads of the rows ahead, as arguments of the kernels."""
        if not self.architecture.n_turns or sequences.ahead is None:
            return {}
        starts = sequences.ahead_starts if rows is None else sequences.ahead_starts[rows]
        return {"ahead": sequences.ahead, "ahead_starts": starts}

    def _interleaved_order(self, n):
        if self._last_order is None or len(self._last_order) != n:
            self._last_order = self._stack.interleaved_order(n)
        return self._last_order

    @property
    def n_states(self):
        """Number of state values of one sequence."""
        return self._stack.state_size

    @property
    def largest_input(self):
        """Largest standardised input that is accepted."""
        return self._stack.largest_input

    @property
    def reads_row_by_row(self):
        """Whether `stream_kernels` can run this network."""
        return self._stack.reads_row_by_row

    def first_beyond_range(self, table):
        """Return row and column of a number that is too large for the network, or None if there is none.

        Too large means beyond `largest_input` once it is standardised: products with it, or their squares, would
        overflow.

        Parameters
        ----------
        table : ndarray of shape (n_rows, n_features)
            Finite numbers. With `window_norm`, the range of a whole column is used as that of a window.
        """
        shape = self.architecture
        return first_beyond_range(
            table, self.input_mean, self.input_scale, self.largest_input, shape.window_norm, shape.known_columns
        )

    def first_negative_gap(self, table):
        """Return row and column of a negative time gap in a table, or None if there is none."""
        return first_negative_gap(table, self.architecture.time_column)

    def forward(self, sequences, *, want_hidden=False, states=None, first_rows=None):
        """Run over all sequences.

        Parameters
        ----------
        sequences : Sequences
        want_hidden : bool, default=False
            True for the features that the head reads instead of its raw output.
        states : ndarray of shape (n_sequences, n_states) or None, default=None
            Initial states, overwritten by the final states; None for zeros.
        first_rows : ndarray of shape (n_sequences,), dtype intp, or None, default=None
            With states, the first row that the linear skip may read; None for the first of each sequence.

        Returns
        -------
        ndarray of shape (n_sequences, n_outputs) or (n_sequences, size of the features)
            In the network's dtype; with `reference_columns`, raw outputs have the `window_moments` beside them, in
            float64.
        """
        if self._stack.every_step and states is None:
            return run_series(self, sequences, want_hidden)
        starts, lengths, order = self._ordered(sequences)
        n_rows = len(sequences.table) if self._stack.every_step else len(starts)
        out = np.empty((n_rows, self._stack.hidden_size if want_hidden else self._stack.n_outputs), self.dtype)
        own = states if states is None or order is None else states[order]
        if first_rows is not None and order is not None:
            first_rows = first_rows[order]
        ahead = {} if want_hidden else self._ahead(sequences, order)
        self.run(sequences.table, starts, lengths, out, want_hidden, own, first_rows=first_rows, **ahead)
        if order is not None and states is not None:
            states[order] = own
        if self._stack.every_step:
            # `out` has a row for each row of the table.
            out = out[sequences.starts + sequences.lengths - 1]
        elif order is not None:
            out = _scattered(out, order)
        if self.reference_columns is None or want_hidden:
            return out
        return np.hstack([out, *self.window_moments(sequences, self.reference_columns)])

    def window_moments(self, sequences, columns):
        """Return the moments by which `window_norm` normalises some columns of each sequence."""
        return moments_by_stack(self._stack, sequences, columns)

    def freeze_skip(self):
        """Train no weight of the linear skip from now on."""
        self._stack.skip_is_frozen = True

    @property
    def skip_weights(self):
        """The weights of the linear skip among `weights`, a view."""
        return self.skip_part(self.weights)

    def skip_part(self, panels):
        """Return the weights of the linear skip in a vector packed as `weights` are, a view."""
        return panels[slice(*self._stack.skip_range)]

    def attention_weights(self, sequences):
        """Return the attention weights of each step, see `sklstm._network.attention_weights`."""
        return attention_weights(self, sequences, *self._ordered(sequences))

    def run(self, table, starts, lengths, out, want_hidden=False, states=None, **more):
        """Run forward over sequences, longest first, into `out`; `states` as in `forward`."""
        n_bytes, _, n_tasks = self._stack.workspace_bytes(len(starts), lengths.max(), table=table)
        n_threads = min(self.n_threads, n_tasks)
        self._workspace.reserve(n_bytes * n_threads, 0)
        final = None if states is None else np.empty_like(states)
        self._stack.forward(
            table,
            table.shape[1],
            starts,
            lengths,
            self._workspace.chunks,
            n_threads,
            initial_state=states,
            final_state=final,
            **{"hidden" if want_hidden else "z": out},
            **more,
        )
        if states is not None:
            states[:] = final

    def recurrent_blocks(self):
        """Return the gates' matrices that multiply h, see `sklstm._training.recurrent_constraints`."""
        ranges = [(p.begin, p.end) for p in self.layout.parameters if p.name.startswith("weight_hh")]
        return RecurrentBlocks(self._stack, ranges, self.n_threads)

    def stream_kernels(self, n_streams, sequence_length, out, want_hidden):
        """Return a `StackStream` of these weights, which must not change while it is used."""
        return StackStream(self._stack, n_streams, sequence_length, out, want_hidden, self.n_threads)

    def loss_and_gradient(
        self, sequences, rows, targets, weights, loss, scale, noise=NO_NOISE, loss_parameter=0.0, neighbours=False
    ):
        """Compute the weighted loss of some sequences and, in `gradient`, its gradient.

        Parameters
        ----------
        sequences : Sequences
        rows : ndarray of intp
            Their numbers.
        targets : ndarray of shape (n_sequences, n_outputs) or (n_sequences, 1)
            Of all sequences: numbers, or class numbers. With an output at every step, of all rows of the table.
        weights : ndarray of shape (n_sequences,) or (n_sequences, n_outputs)
            Of all sequences, or of all their outputs; or of all rows, likewise.
        loss : str
            A name from `sklstm._training.losses.LOSSES`.
        scale : float
            Factor on each sequence's weight.
        noise : Noise, default=NO_NOISE
            Rates and seeds of dropout; each mask depends on them and on the number of the sequence.
        loss_parameter : float or ndarray of shape (n_outputs,), default=0.0
            Delta of the Huber loss, the quantile of each output, or the share of label smoothing.
        neighbours : bool, default=False
            Whether many of them are overlapping windows: products with shared rows are computed once.

        Returns
        -------
        float
            Sum over rows of scale * weight * loss.
        """
        starts, lengths, order = self._ordered(sequences, rows)
        if order is not None:
            rows = rows[order]
        if lengths[-1] < lengths[0]:
            order = self._interleaved_order(len(rows))
            starts, lengths, rows = starts[order], lengths[order], rows[order]
        if not self._stack.every_step:
            targets, weights = targets[rows], weights[rows]
        return self._train(
            sequences.table,
            starts,
            lengths,
            rows,
            noise,
            neighbours,
            targets=targets,
            weights=weights,
            loss=loss,
            loss_parameter=loss_parameter,
            scale=scale,
            **self._ahead(sequences, rows),
        )

    def steps_loss_and_gradient(self, table, starts, lengths, ids, states, noise=NO_NOISE, **more):
        """Compute the loss at each step of some segments of a table, longest first, and its gradient.

        Parameters
        ----------
        table : ndarray of shape (n_rows, n_features)
        starts, lengths : ndarray of intp
            The segments.
        ids : ndarray of intp
            Number of each, from which its dropout masks are drawn.
        states : ndarray of shape (n_segments, n_states)
            Initial states, overwritten by the final states. Gradients are truncated there.
        noise : Noise
            Rates and seeds of dropout.
        **more
            ``targets``, ``weights`` (of each row of the table), ``loss``, ``loss_parameter`` and ``scale``;
            ``first_rows``, the first row that the linear skip may read of each segment.

        Returns
        -------
        float
            Sum over rows of scale * weight * loss.
        """
        final = np.empty_like(states)
        value = self._train(table, starts, lengths, ids, noise, initial_state=states, final_state=final, **more)
        states[:] = final
        return value

    def _train(self, table, starts, lengths, ids, noise, neighbours=False, **more):
        # The first is the longest, also where sequences are interleaved over chunks.
        max_rows = int(lengths[0])
        drops = {
            "dropout": noise.dropout,
            "recurrent_dropout": noise.recurrent_dropout,
            "neighbours": neighbours,
        }
        if self._last_call != (len(starts), max_rows, table.dtype, drops):
            n_bytes, slot_bytes, n_tasks = self._stack.workspace_bytes(
                len(starts), max_rows, training=True, table=table, **drops
            )
            self._last_threads = min(self.n_threads, n_tasks)
            self._workspace.reserve(n_bytes * self._last_threads, slot_bytes)
            self._last_call = len(starts), max_rows, table.dtype, drops
        self.reserve_transposed()
        mask = None
        if noise.weight_dropout:
            mask = self.to_panels(recurrent_weight_mask(self.layout, noise))
            if self._masked is None:
                self._masked = aligned_empty(self.weights.nbytes).view(self.dtype)
            np.multiply(self.weights, mask, out=self._masked)
            self._stack.bind(self._masked, self._transposed)
        try:
            value = self._forward_backward(
                table,
                table.shape[1],
                starts,
                lengths,
                self._workspace.chunks,
                self._last_threads,
                max_steps=max_rows,
                seed=noise.seed,
                epoch=noise.epoch,
                sample_ids=ids.astype(np.uint32) if noise.by_sample or self.architecture.zoneout else None,
                **drops,
                **more,
            )
        finally:
            if mask is not None:
                self._stack.bind(self.weights, self._transposed)
        if mask is not None:
            self._mask_gradient(mask)
        return value

    def reserve_transposed(self):
        """Make room for the transposed weights, which training needs."""
        if self._transposed is None:
            self._transposed = aligned_empty(self._stack.transposed_size * self.dtype.itemsize).view(self.dtype)
            self._stack.bind(self.weights, self._transposed)

    def _forward_backward(self, *batch, **more):
        return self._stack.forward_backward(*batch, slots=self._workspace.slots, **more)

    def _mask_gradient(self, mask):
        self.gradient[:] *= mask


def _scattered(rows, order):
    result = np.empty_like(rows)
    result[order] = rows
    return result
