"""Networks of one layout, each with parameters of its own, that answer side by side."""

import numpy as np


class Networks:
    """Several networks that read the same sequences; it answers as a `Network` does, with more columns.

    Parameters
    ----------
    networks : list of Network
        At least two, of one layout, with the same input scales.

    Attributes
    ----------
    networks : list of Network
    n_networks : int
    """

    def __init__(self, networks):
        self.networks, self.n_networks = networks, len(networks)

    def __getattr__(self, name):
        """Return what the networks have in common: layout, dtype, range of inputs."""
        if name == "networks":  # not set yet
            raise AttributeError(name)
        return getattr(self.networks[0], name)

    @property
    def reference_columns(self):
        """Columns of the input whose moments `forward` appends to the raw outputs, once for all networks, or None."""
        return self.networks[-1].reference_columns

    @reference_columns.setter
    def reference_columns(self, columns):  # numpydoc ignore=GL08
        self.networks[-1].reference_columns = columns

    def forward(self, sequences, *, want_hidden=False):
        """Return the outputs, or features, of all networks side by side, see `Network.forward`.

        Returns
        -------
        ndarray of shape (n_sequences, n_networks * columns)
        """
        return np.hstack([one.forward(sequences, want_hidden=want_hidden) for one in self.networks])

    def attention_weights(self, sequences):
        """Return the weights of the heads of all networks side by side, and the mean weights of pooling."""
        found = [one.attention_weights(sequences) for one in self.networks]
        weights = {}
        if "heads" in found[0]:
            weights["heads"] = np.concatenate([one["heads"] for one in found], axis=1)
        if "pooling" in found[0]:
            weights["pooling"] = sum(one["pooling"] for one in found) / found[0]["pooling"].dtype.type(self.n_networks)
        return weights


class SeveralStreams:
    """Streams of several networks that take the same rows; see `open_stream` for its methods.

    Parameters
    ----------
    streams : list of RowStream or CallStream
        Of each network.
    has_window : bool
    """

    def __init__(self, streams, has_window):
        self._streams, self._has_window = streams, has_window
        # One claim stands for all.
        self.claim, self.release = streams[0].claim, streams[0].release
        self.counter = self

    def step(self, x, *ahead):
        """Take one row of every stream, see `CallStream.step`; return the outputs of all networks, a new array."""
        # Whether a row can be read depends on the scales of its columns, which are common: the first network tells.
        return np.hstack([one.step(x, *ahead) for one in self._streams])

    def step_value(self, x):
        """Return None: every row is taken by `step`."""
        return None

    @property
    def n_steps(self):
        """Steps of each network."""
        return [one.counter.n_steps for one in self._streams]

    def go_back(self, n_steps):
        """Take the last step back in those networks that have made it after `n_steps` steps."""
        for one, number in zip(self._streams, n_steps, strict=True):
            one.go_back(number)

    def reset(self, mask):
        """Reset the streams where `mask`, a bool array of shape (n_streams,), is True."""
        for one in self._streams:
            one.reset(mask)

    @property
    def state(self):
        """The state: of windows the rows, without them the states of each network, from the second on with a suffix."""
        if self._has_window:
            return self._streams[0].state
        return {name + _suffix(k): array for k, one in enumerate(self._streams) for name, array in one.state.items()}

    def set_state(self, state):
        """Restore a `state`; the caller checks names, shapes and values."""
        for k, one in enumerate(self._streams):
            own = "" if self._has_window else _suffix(k)
            one.set_state({name: state[name + own] for name in one.state})


def _suffix(k):
    return f"_network{k + 1}" if k else ""
