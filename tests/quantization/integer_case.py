"""A network of any cell and options whose layers multiply integers, and sequences of different lengths."""

import numpy as np

from sklstm._network.integers import IntegerLayout, kinds_of, quantise_parameters, to_flat
from sklstm._network.network import Network
from sklstm._network.parameters import ParameterLayout
from sklstm._sequences import Sequences


class IntegerCase:
    """`options` are those of `Architecture`, the cell among them; `formats` one for each layer, or one for all."""

    def __init__(
        self, dtype, hidden_sizes, *, isa=None, seed=0, n=5, n_columns=3, n_outputs=2, longest=6, threads=1, **options
    ):
        rng = np.random.default_rng([21, seed])
        floats = ParameterLayout(n_columns, hidden_sizes, n_outputs, **options)
        self.shape, self.dtype = floats.architecture, dtype
        formats = dtype if isinstance(dtype, tuple) else (dtype,) * len(hidden_sizes)
        self.layout = IntegerLayout(self.shape, formats)
        start = floats.initial(rng, "float64")
        self.floats = floats.views((start + 0.25 * rng.normal(size=floats.size)).astype(np.float32))
        self.steps = {
            f"step_{name}": (rng.uniform(1.5, 3.0, n_read) / highest(self.shape, formats, name)).astype(np.float32)
            for name, n_read in self.layout.read()
        }
        self.parameters = quantise_parameters(self.floats, self.shape, formats, self.steps)
        self.network = Network(self.layout, "float32", threads, isa)
        self.network.load(to_flat(self.parameters, self.layout))
        lengths = rng.integers(1, longest + 1, n)
        lengths[0] = longest
        self.rows = [rng.normal(size=(length, n_columns)).astype(np.float32) for length in lengths]
        self.states = rng.normal(size=(n, self.network.n_states)).astype(np.float32)
        if self.shape.cell == "linear_attention":  # whose normaliser is a sum of positive numbers
            self.states = np.abs(self.states)
        if self.shape.pooling != "last":  # what pooling carries is no state of a layer
            self.states[:] = 0

    def forward(self, which=slice(None), *, states=None, rows=None):
        """Raw outputs, features and final states of some sequences."""
        sequences = Sequences.from_list((self.rows if rows is None else rows)[which])
        states = (self.states if states is None else states)[which]
        results = []
        for want_hidden in (False, True):
            final = states.copy()
            results.append(self.network.forward(sequences, want_hidden=want_hidden, states=final))
        return [*results, final]


def highest(shape, formats, name):
    """The largest integer of "x_l0", "h_l0_backward", ..."""
    layer = layer_of(name)
    return kinds_of(formats[layer] or "int8", layer, shape)[name.split("_")[0]].highest


def layer_of(name):
    """The number of the layer of "h_l2_backward"."""
    return int(name.split("_l")[1].split("_")[0])
