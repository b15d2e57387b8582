"""The parameters of a network: names, shapes and offsets in one flat vector, and their initial values."""

import re
from dataclasses import dataclass
from math import prod, sqrt

import numpy as np

from sklstm._kernels.network._orthogonal import fill_orthogonal
from sklstm._network.architecture import LARGEST_N_PARAMETERS, Architecture
from sklstm._network.cells import CELLS

DRAWN_AT_ONCE = 1 << 20
# At the end of a name: the layer, and the direction.
_LAYER = re.compile(r"_l\d+(_backward)?$")


@dataclass(frozen=True)
class Parameter:
    """One named array inside the flat vector."""

    name: str
    shape: tuple
    begin: int

    @property
    def end(self):
        """Return where the next parameter begins."""
        return self.begin + prod(self.shape)


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

    # Of `IntegerLayout`: the layout itself.
    integers = None

    def __init__(self, input_size, hidden_sizes, n_outputs, **options):
        self.architecture = Architecture(input_size, hidden_sizes, n_outputs, **options)
        self.cell = CELLS[self.architecture.cell]
        self.parameters, begin = [], 0
        for name, shape in self.architecture.parameters:
            self.parameters.append(Parameter(name, shape, begin))
            begin = self.parameters[-1].end
        if begin > LARGEST_N_PARAMETERS:
            raise ValueError(
                f"the network would have {begin:.2g} parameters, at most {LARGEST_N_PARAMETERS:.2g} can be"
            )

    @property
    def size(self):
        """Return the length of the flat vector."""
        return self.parameters[-1].end

    @property
    def n_outputs(self):
        """Number of outputs of the head."""
        return self.architecture.n_outputs

    def views(self, flat):
        """Return the dict of named views into a flat vector."""
        return {p.name: flat[p.begin : p.end].reshape(p.shape) for p in self.parameters}

    def check(self, arrays):
        """Check a dict of named arrays.

        Raises
        ------
        ValueError
            If the names, shapes or dtypes are not those of this network.
        """
        expected = [p.name for p in self.parameters]
        if set(arrays) != set(expected):
            raise ValueError(f"the arrays are called {sorted(map(str, arrays))}, expected {sorted(expected)}")
        for p in self.parameters:
            array = arrays[p.name]
            if not isinstance(array, np.ndarray) or array.dtype.kind != "f" or array.shape != p.shape:
                found = f"an array of {array.dtype} of shape {array.shape}" if hasattr(array, "dtype") else type(array)
                raise ValueError(f"{p.name} is {found}, expected floating-point numbers of shape {p.shape}")

    def flatten(self, arrays, dtype):
        """Return the flat vector made of a dict of named arrays, which are checked."""
        self.check(arrays)
        return np.concatenate([np.ravel(arrays[p.name]) for p in self.parameters]).astype(dtype, copy=False)

    def initial(self, generator, dtype, weight_init="glorot", n_threads=1):
        """Return a flat vector of initial values.

        Input and output weights are uniform, by `weight_init` of Glorot & Bengio (2010, eq. 16; each gate a matrix of
        its own) or of He et al. (2015, eq. 10), recurrent weights orthogonal gate by gate (Saxe et al. 2014), biases
        at the cell's own start (zero but for the forget gate), weights of single units uniform between its two bounds
        (peepholes: zero), what the turns of a decoder add to the bias as weights that read which turn it is, gains of
        normalisations one, the weights of pooling and the linear skip zero. The number of threads changes no bit.
        """
        limit_of = {"glorot": _glorot_limit, "he": _he_limit}[weight_init]
        n_gates, flat = len(self.cell.gates_x), np.zeros(self.size, dtype)
        groups = {group.name: group for group in self.cell.vectors}
        for name, view in self.views(flat).items():
            if group := groups.get(_LAYER.sub("", name)):
                group.fill(generator, self.architecture.cell_numbers, view)
            elif name.startswith("weight_hh"):
                for gate in view.reshape(len(self.cell.gates_h), -1, view.shape[1]):
                    fill_orthogonal(generator, gate, n_threads)
            elif name.startswith("weight_ih"):
                _fill_uniform(generator, view, limit_of(view.shape[1], view.shape[0] // n_gates))
            elif name.startswith(("weight_pool", "weight_skip")):
                continue
            elif name.startswith("weight_feedforward_in"):
                # Two matrices, one above the other.
                _fill_uniform(generator, view, limit_of(view.shape[1], view.shape[0] // 2))
            elif name.startswith("weight"):
                _fill_uniform(generator, view, limit_of(view.shape[1], view.shape[0]))
            elif name.startswith("norm_weight"):
                view[:] = 1.0
            elif name == "bias_decoder_l0":
                # A column of weights for each turn.
                _fill_uniform(generator, view, _glorot_limit(len(view), view.shape[1] // len(self.cell.sums)))
            elif name.startswith("bias_l"):
                view[:] = self.cell.initial_bias(len(view) // len(self.cell.sums))
        return flat


def _glorot_limit(fan_in, fan_out):
    return sqrt(6.0 / (fan_in + fan_out))


def _he_limit(fan_in, fan_out):
    """Limit of He et al.: the variance is 2 / fan_in, which keeps the scale of the forward pass."""
    return sqrt(6.0 / fan_in)


def _fill_uniform(generator, view, limit):
    """Draw numbers between -limit and limit, in blocks between which Ctrl-C is handled."""
    flat = view.reshape(-1)
    for begin in range(0, len(flat), DRAWN_AT_ONCE):
        part = flat[begin : begin + DRAWN_AT_ONCE]
        part[:] = generator.uniform(-limit, limit, len(part))
