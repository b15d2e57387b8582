"""A network that reads rows as they arrive: what it remembers of each stream, and one step of all of them."""

import numpy as np


class NetworkStream:
    """A network and what it remembers of the rows of some independent streams.

    Parameters
    ----------
    network : Network
        With its parameters loaded. It works for this stream alone from now on.
    n_streams : int
        Number of streams; all of them take one row per step.
    window : int or None, default=None
        Only this many of a stream's last rows count; None for all of them, carried on in the states.
    want_hidden : bool, default=False
        True for the last hidden state of the top layer instead of the raw output of the head.

    Notes
    -----
    The memory of a step is allocated here; one thread at a time may use it.
    """

    def __init__(self, network, n_streams, window=None, *, want_hidden=False):
        shape, dtype = network.architecture, network.dtype
        self._network, self._window = network, window
        self._hidden_sizes = shape.hidden_sizes
        self._x = np.zeros((n_streams, shape.input_size), dtype)
        self._z = np.zeros((n_streams, shape.features_size if want_hidden else shape.n_outputs), dtype)
        self._kernels = network.stream_kernels(n_streams, window or 0, self._z, want_hidden)

    def step(self, x):
        """Take one row of every stream.

        Parameters
        ----------
        x : ndarray of shape (n_streams, n_features), or (n_features,) for one stream
            C-contiguous, float32 or float64 of this machine's byte order, aligned or not; rounded to the dtype of the
            network.

        Returns
        -------
        ndarray of shape (n_streams, n_outputs) or (n_streams, hidden_size of the top layer)
            In the dtype of the network. The next step overwrites it.

        Raises
        ------
        ValueError
            If x holds NaN, infinity or a value too large for the network's dtype. Nothing has changed then.
        """
        if not self._kernels.step(x):
            # What the kernels do not read (an unaligned array), they read from here.
            with np.errstate(over="ignore"):
                self._x[...] = x
            if not self._kernels.step(self._x):
                raise ValueError(f"x contains NaN, infinity or a value too large for {self._x.dtype}")
        return self._z

    @property
    def step_value(self):
        """Return the short way for one stream with one output.

        A function that takes a row as `step` does and returns the output as a float; None, and nothing changed, for a
        row that it leaves to `step`.
        """
        return self._kernels.step_value

    def reset(self, mask):
        """Forget the rows of the streams where `mask`, a bool array of shape (n_streams,), is True."""
        self._kernels.clear(mask.astype(np.uint8))

    @property
    def state(self):
        """All that the next steps depend on, as a dict of new arrays.

        Without a window ``h_l{k}`` and ``c_l{k}`` (n_streams, hidden_size) of each layer. With one, ``rows``
        (n_streams, window - 1, n_features), the last rows in time order at the end of the second axis, zeros before
        them, and ``n_rows`` (n_streams,), how many there are.
        """
        n_streams, input_size = self._x.shape
        if self._window is None:
            states = np.empty((n_streams, 2 * sum(self._hidden_sizes)), self._x.dtype)
            self._kernels.get_state(states)
            parts = np.split(states, np.cumsum(np.repeat(self._hidden_sizes, 2))[:-1], axis=1)
            return {f"{'hc'[k % 2]}_l{k // 2}": part.copy() for k, part in enumerate(parts)}
        rows, n_rows = np.empty((n_streams, self._window - 1, input_size), self._x.dtype), np.empty(n_streams, np.intp)
        self._kernels.get_rows(rows, n_rows)
        return {"rows": rows, "n_rows": n_rows}

    def set_state(self, state):
        """Go on from a `state`; names, shapes and values are the caller's care."""
        if self._window is None:
            names = [f"{kind}_l{layer}" for layer in range(len(self._hidden_sizes)) for kind in "hc"]
            states = np.concatenate([state[name] for name in names], axis=1)
            self._kernels.set_state(np.ascontiguousarray(states, self._x.dtype))
            return
        rows = np.ascontiguousarray(state["rows"], self._x.dtype)
        self._kernels.set_rows(rows, np.ascontiguousarray(state["n_rows"], np.intp))
