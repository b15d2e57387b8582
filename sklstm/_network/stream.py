"""A network that reads one row of each stream at a time, and the state it keeps of them."""

from dataclasses import replace
from threading import get_ident

import numpy as np

from sklstm._kernels.network._stream import OneThread
from sklstm._network.several import SeveralStreams
from sklstm._sequences import Sequences

# The integer type with which the kernels count streams and steps.
LARGEST_COUNT = 1 << 31
# 128 TiB, all that a process can address. Sizes far above it would wrap around when they are multiplied.
LARGEST_BYTES = 1 << 47


def open_stream(network, n_streams, window=None, *, want_hidden=False):
    """Return a reader of one row of each stream at a time.

    Parameters
    ----------
    network : Network or Networks
        With its parameters loaded. The reader owns it from now on.
    n_streams : int
        Number of streams; all of them take one row per step.
    window : int or None, default=None
        Number of last rows that a prediction depends on; None for all rows, through carried states.
    want_hidden : bool, default=False
        True for the features of the head instead of its raw output.

    Returns
    -------
    RowStream, CallStream or SeveralStreams
        The first has kernels of its own and allocates nothing in a step; the second calls the forward pass over whole
        sequences at each step, which works for every network; the third has one of these for each of several networks.
        From ``claim()`` to ``release()`` other threads get a RuntimeError. The next step overwrites the array that a
        step returns: read it before the release. `step_value` needs no claim. ``counter.n_steps`` counts steps, so that
        ``go_back`` can take back one that was interrupted when the streams had moved.

    Raises
    ------
    MemoryError
        If the state of the streams does not fit into memory.
    """
    if network.n_networks > 1:
        streams = [open_stream(one, n_streams, window, want_hidden=want_hidden) for one in network.networks]
        return SeveralStreams(streams, window is not None)
    shape = network.architecture
    # An upper bound: rows and their first product twice, the states of each layer once for each row.
    columns = shape.input_size + sum(12 * (size + 16) for size in shape.hidden_sizes)
    if (
        max(n_streams, window or 0) >= LARGEST_COUNT
        or n_streams * (2 * (window or 0) + 2) * columns * 8 > LARGEST_BYTES
    ):
        raise MemoryError
    kind = RowStream if network.reads_row_by_row else CallStream
    return kind(network, n_streams, window, want_hidden)


class RowStream:
    """Streams of a plain network, see `open_stream`; `claim` lets one thread at a time use it."""

    def __init__(self, network, n_streams, window, want_hidden):
        shape, dtype = network.architecture, network.dtype
        self._network, self._window, self._states = network, window, shape.states
        self._x = np.zeros((n_streams, shape.input_size))
        self._z = np.zeros((n_streams, shape.features_size if want_hidden else shape.n_outputs), dtype)
        self._kernels = network.stream_kernels(n_streams, window or 0, self._z, want_hidden)
        self.claim, self.release = self._kernels.claim, self._kernels.release
        self.counter, self.go_back = self._kernels, self._kernels.go_back

    def step(self, x):
        """Take one row of every stream.

        Parameters
        ----------
        x : ndarray of shape (n_streams, n_features), or (n_features,) for one stream
            C-contiguous, float32 or float64 of this machine's byte order, aligned or not.

        Returns
        -------
        ndarray of shape (n_streams, n_outputs) or (n_streams, size of the features)
            In the dtype of the network. The next step overwrites it.

        Raises
        ------
        ValueError
            If x holds NaN, infinity or a value that, standardised, is too large for the network's dtype. Nothing has
            changed then.
        """
        if not self._kernels.step(x):
            # Unaligned arrays are copied here first.
            self._x[...] = x
            if not self._kernels.step(self._x):
                raise ValueError(
                    f"x contains NaN, infinity or a value too large for {self._network.dtype}, or a gap below 0"
                )
        return self._z

    @property
    def step_value(self):
        """The fast path for one stream with one output.

        A function that takes a row as `step` does and returns the output as a float; or None, with nothing changed,
        for a row that `step` has to take.
        """
        return self._kernels.step_value

    def weights_changed(self):
        """Take the weights of the network as they are now, and compute what is kept of the rows anew."""
        rows = None if self._window is None else self.state
        self._kernels.weights_changed()
        if rows is not None:
            self.set_state(rows)

    def reset(self, mask):
        """Reset the streams where `mask`, a bool array of shape (n_streams,), is True."""
        self._kernels.clear(mask.astype(np.uint8))

    @property
    def state(self):
        """The state of the streams, as a dict of new arrays.

        Without a window ``h_l{k}`` and ``c_l{k}`` (n_streams, hidden_size) of each layer. With one, ``rows``
        (n_streams, window - 1, n_features) of float64, the last rows in time order at the end of the second axis, as
        they were given, zeros before them, and ``n_rows`` (n_streams,), how many there are.
        """
        n_streams, input_size = self._x.shape
        if self._window is None:
            states = np.empty((n_streams, sum(size for _, size in self._states)), self._network.dtype)
            self._kernels.get_state(states)
            return split_states(states, self._states)
        rows, n_rows = np.empty((n_streams, self._window - 1, input_size)), np.empty(n_streams, np.intp)
        self._kernels.get_rows(rows, n_rows)
        return {"rows": rows, "n_rows": n_rows}

    def set_state(self, state):
        """Restore a `state`; the caller checks names, shapes and values."""
        if self._window is None:
            states = np.concatenate([state[name] for name, _ in self._states], axis=1)
            self._kernels.set_state(np.ascontiguousarray(states, self._network.dtype))
            return
        rows = np.ascontiguousarray(state["rows"], np.float64)
        self._kernels.set_rows(rows, np.ascontiguousarray(state["n_rows"], np.intp))


class CallStream:
    """Streams of any network, with the methods of `RowStream`; see `open_stream`."""

    def __init__(self, network, n_streams, window, want_hidden):
        shape, dtype = network.architecture, network.dtype
        self._network, self._window, self._want_hidden = network, window, want_hidden
        self._names = shape.states
        # Windows are right-aligned; only as many rows as the longest window so far are used. Without a window, the
        # linear skip reads back as many rows.
        self._length = window or max(1, shape.linear_skip)
        self._rows = np.zeros((n_streams, 0, shape.input_size))
        self._n_rows = np.zeros(n_streams, np.intp)
        self._states = np.zeros((n_streams, sum(size for _, size in shape.states)), dtype)
        owner = OneThread()
        self.claim, self.release = owner.claim, owner.release
        self.counter, self.n_steps, self._before = self, 0, None

    def step(self, x, ahead=None):
        """Take one row of every stream, see `RowStream.step`.

        `ahead` is what a decoder reads of the rows after it, the horizon of each stream after that of the one before;
        without it the features of the head are computed instead.
        """
        kept = self._rows[:, max(0, self._rows.shape[1] + 1 - self._length) :]
        rows = np.concatenate([kept, np.empty((len(kept), 1, kept.shape[2]))], axis=1)
        rows[:, -1] = x
        n_streams, length, _ = rows.shape
        table = rows.reshape(n_streams * length, -1)
        is_read = np.isfinite(rows[:, -1]).all() and not self._network.first_beyond_range(table)
        if not is_read or self._network.first_negative_gap(table):
            raise ValueError(
                f"x contains NaN, infinity or a value too large for {self._network.dtype}, or a gap below 0"
            )
        n_rows = np.minimum(self._n_rows + 1, self._length)
        starts = first_rows = np.arange(n_streams, dtype=np.intp) * length + length - n_rows
        lengths, states = n_rows, None
        if self._window is None:
            starts, lengths, states = starts + n_rows - 1, np.ones_like(n_rows), self._states.copy()
        sequences = Sequences(table, starts, lengths, np.array([0, n_streams], np.intp))
        shape = self._network.architecture
        if ahead is not None:
            starts = np.arange(n_streams, dtype=np.intp) * shape.horizon
            sequences = replace(sequences, ahead=ahead, ahead_starts=starts)
        want_hidden = self._want_hidden or (ahead is None and bool(shape.n_turns and shape.known_columns))
        more = {} if states is None else {"states": states, "first_rows": first_rows}
        z = self._network.forward(sequences, want_hidden=want_hidden, **more)
        self._before = (self.n_steps, get_ident()), self._rows, self._n_rows, self._states
        self._rows, self._n_rows = rows, n_rows
        if states is not None:
            self._states = states
        self.n_steps += 1
        return z

    def go_back(self, n_steps):
        """Take the last step back, or the part that was made, if it came after `n_steps` and was this thread's."""
        if self._before is not None and self._before[0] == (n_steps, get_ident()):
            (self.n_steps, _), self._rows, self._n_rows, self._states = self._before
            self._before = None

    def step_value(self, x):
        """Return None: every row is taken by `step`."""
        return None

    def weights_changed(self):
        """Take the weights of the network as they are now: each step does."""

    def reset(self, mask):
        """Reset the streams where `mask`, a bool array of shape (n_streams,), is True."""
        self._rows[mask], self._n_rows[mask], self._states[mask] = 0, 0, 0

    @property
    def _reach(self):
        """Number of rows that are kept from step to step."""
        return self._length - 1 if self._window or self._network.architecture.linear_skip else 0

    @property
    def state(self):
        """The state of the streams, see `RowStream.state`; without a window ``rows`` are what the linear skip reads."""
        state = {} if self._window else split_states(self._states, self._names)
        if not (self._window or self._reach):
            return state
        (n_streams, n_seen, input_size), reach = self._rows.shape, self._reach
        n_rows, n_kept = np.minimum(self._n_rows, reach), min(n_seen, reach)
        rows = np.zeros((n_streams, reach, input_size), self._rows.dtype)
        kept = rows[:, reach - n_kept :]
        kept[...] = self._rows[:, n_seen - n_kept :]
        kept[np.arange(n_kept) < n_kept - n_rows[:, np.newaxis]] = 0
        return {**state, "rows": rows, "n_rows": n_rows}

    def set_state(self, state):
        """Restore a `state`; the caller checks names, shapes and values."""
        if self._window is None:
            states = np.concatenate([state[name] for name, _ in self._names], axis=1)
            self._states = np.ascontiguousarray(states, self._states.dtype)
        if "rows" in state:
            self._n_rows = np.array(state["n_rows"], np.intp)
            n_kept = int(self._n_rows.max())
            self._rows = np.array(state["rows"][:, self._reach - n_kept :], self._rows.dtype)


def split_states(states, names):
    """Return a dict of copies, one for each name, of the columns of a row of states."""
    ends = np.cumsum([size for _, size in names])[:-1]
    return {name: part.copy() for (name, _), part in zip(names, np.split(states, ends, axis=1), strict=True)}
