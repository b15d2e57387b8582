"""The parameters of a network: names, shapes and places in one flat vector, and their initial values."""

from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from sklstm._kernels._architecture import Architecture
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
    """Names, shapes and offsets of all parameters of a network, in the order of `Architecture.parameters`.

    Parameters
    ----------
    input_size : int
    hidden_sizes : tuple of int
        Units of each layer.
    n_outputs : int
    **options
        Of `Architecture`.
    """

    cell = CELLS["lstm"]

    def __init__(self, input_size, hidden_sizes, n_outputs, **options):
        self.architecture = Architecture(input_size, hidden_sizes, n_outputs, **options)
        self.parameters, begin = [], 0
        for name, shape in self.architecture.parameters:
            self.parameters.append(Parameter(name, shape, begin))
            begin = self.parameters[-1].end

    @property
    def size(self):
        """Return the length of the flat vector."""
        return self.parameters[-1].end

    @property
    def n_outputs(self):
        """Return how many numbers the head gives."""
        return self.architecture.n_outputs

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
        zero but for the forget gate, gains of normalisations one; peepholes, the weights of pooling and the linear skip
        start at zero.
        """
        uniform = {"glorot": _glorot, "he": _he}[weight_init]
        flat = np.zeros(self.size)
        for name, view in self.views(flat).items():
            if name.startswith("weight_hh"):
                shape = len(view) // len(self.cell.gates), view.shape[1]
                view[:] = np.concatenate([_orthogonal(generator, *shape) for _ in self.cell.gates])
            elif name.startswith("weight_ih"):
                view[:] = uniform(generator, view.shape, fan_out=view.shape[0] // len(self.cell.gates))
            elif name.startswith(("weight_peephole", "weight_pool", "weight_skip")):
                continue
            elif name.startswith("weight"):
                view[:] = uniform(generator, view.shape, fan_out=view.shape[0])
            elif name.startswith("norm_weight"):
                view[:] = 1.0
            elif name.startswith("bias_l"):
                view[:] = self.cell.initial_bias(len(view) // len(self.cell.gates))
        return flat.astype(dtype)


def _glorot(generator, shape, fan_out):
    limit = np.sqrt(6.0 / (shape[1] + fan_out))
    return generator.uniform(-limit, limit, shape)


def _he(generator, shape, fan_out):
    """Draw values whose variance 2 / fan_in keeps the scale of what goes forward, whatever the fan out."""
    limit = np.sqrt(6.0 / shape[1])
    return generator.uniform(-limit, limit, shape)


def _orthogonal(generator, n_rows, n_columns):
    # One BLAS thread: a blocked QR may round differently for another number of threads.
    with threadpool_limits(limits=1, user_api="blas"):
        q, r = np.linalg.qr(generator.standard_normal((n_rows, n_columns)))
    # The signs make the distribution uniform over orthogonal matrices (Mezzadri 2007).
    return q * np.where(np.diag(r) < 0, -1.0, 1.0)
