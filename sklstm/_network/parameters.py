"""The parameters of a network: names, shapes and places in one flat vector, and their initial values."""

from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from sklstm._network.cells import CELLS


@dataclass(frozen=True)
class Parameter:
    """One named array inside the flat vector."""

    name: str
    shape: tuple
    begin: int

    @property
    def end(self):
        """Return where the next parameter begins."""
        return self.begin + int(np.prod(self.shape))


class ParameterLayout:
    """Names, shapes and offsets of all parameters of stacked recurrent layers with a dense head.

    The order is the one the kernels read: for each layer `weight_ih_l{k}` (4H, D), `weight_hh_l{k}` (4H, H),
    `bias_l{k}` (4H,) and, with layer normalisation, `norm_weight_l{k}` (H,) and `norm_bias_l{k}` (H,); then
    `weight_out` (n_outputs, H) and `bias_out` (n_outputs,).

    Parameters
    ----------
    input_size : int
    hidden_sizes : tuple of int
        Units of each layer.
    n_outputs : int
    cell : str, default="lstm"
    residual : int, default=0
        Every so many layers the output of the layer so far below is added; 0 for never.
    layer_norm : "output" or None, default=None
        What is normalised: the output of each layer, or nothing.
    """

    def __init__(self, input_size, hidden_sizes, n_outputs, cell="lstm", *, residual=0, layer_norm=None):
        self.input_size, self.hidden_sizes, self.n_outputs = (
            input_size,
            tuple(hidden_sizes),
            n_outputs,
        )
        self.cell, self.residual, self.layer_norm = CELLS[cell], residual, layer_norm
        self.parameters = []
        n_gates, below = len(self.cell.gates), input_size
        for layer, hidden in enumerate(self.hidden_sizes):
            self._add(f"weight_ih_l{layer}", (n_gates * hidden, below))
            self._add(f"weight_hh_l{layer}", (n_gates * hidden, hidden))
            self._add(f"bias_l{layer}", (n_gates * hidden,))
            if layer_norm == "output":
                self._add(f"norm_weight_l{layer}", (hidden,))
                self._add(f"norm_bias_l{layer}", (hidden,))
            below = hidden
        self._add("weight_out", (n_outputs, below))
        self._add("bias_out", (n_outputs,))

    def _add(self, name, shape):
        self.parameters.append(Parameter(name, shape, self.size))

    @property
    def size(self):
        """Return the length of the flat vector."""
        return self.parameters[-1].end if self.parameters else 0

    @classmethod
    def of(cls, arrays, residual=0):
        """Read the layout off a dict of named arrays; what has no arrays of its own must be told."""
        hidden_sizes = []
        while f"weight_hh_l{len(hidden_sizes)}" in arrays:
            hidden_sizes.append(arrays[f"weight_hh_l{len(hidden_sizes)}"].shape[1])
        return cls(
            arrays["weight_ih_l0"].shape[1],
            hidden_sizes,
            arrays["weight_out"].shape[0],
            residual=residual,
            layer_norm="output" if "norm_weight_l0" in arrays else None,
        )

    def views(self, flat):
        """Return the dict of named views into a flat vector."""
        return {p.name: flat[p.begin : p.end].reshape(p.shape) for p in self.parameters}

    def flatten(self, arrays, dtype):
        """Return the flat vector made of a dict of named arrays."""
        return np.concatenate([np.ravel(arrays[p.name]) for p in self.parameters]).astype(dtype, copy=False)

    def initial(self, generator, dtype, weight_init="glorot"):
        """Return a flat vector of initial values.

        Input and output weights are uniform, by `weight_init` of Glorot & Bengio (2010, eq. 16; each gate a matrix of
        its own) or of He et al. (2015, eq. 10), recurrent weights orthogonal gate by gate (Saxe et al. 2014), biases
        zero but for the forget gate.
        """
        uniform = {"glorot": _glorot, "he": _he}[weight_init]
        flat = np.zeros(self.size)
        for name, view in self.views(flat).items():
            if name.startswith("weight_hh"):
                hidden = view.shape[1]
                view[:] = np.concatenate([_orthogonal(generator, hidden) for _ in self.cell.gates])
            elif name.startswith("weight_ih"):
                view[:] = uniform(generator, view.shape, fan_out=view.shape[0] // len(self.cell.gates))
            elif name == "weight_out":
                view[:] = uniform(generator, view.shape, fan_out=view.shape[0])
            elif name.startswith("norm_weight"):
                view[:] = 1.0
            elif not name.startswith("norm_bias") and name != "bias_out":
                view[:] = self.cell.initial_bias(len(view) // len(self.cell.gates))
        return flat.astype(dtype)


def _glorot(generator, shape, fan_out):
    limit = np.sqrt(6.0 / (shape[1] + fan_out))
    return generator.uniform(-limit, limit, shape)


def _he(generator, shape, fan_out):
    """Draw values whose variance 2 / fan_in keeps the scale of what goes forward, whatever the fan out."""
    limit = np.sqrt(6.0 / shape[1])
    return generator.uniform(-limit, limit, shape)


def _orthogonal(generator, size):
    # One BLAS thread: a blocked QR may round differently for another number of threads.
    with threadpool_limits(limits=1, user_api="blas"):
        q, r = np.linalg.qr(generator.standard_normal((size, size)))
    # The signs make the distribution uniform over orthogonal matrices (Mezzadri 2007).
    return q * np.where(np.diag(r) < 0, -1.0, 1.0)
