"""The recurrent cells: what a layer of each kind is made of.

A cell is an entry in a registry, never a subclass of an estimator and never a flag in a loop. A new one brings its
equations as a kernel (`sklstm/_kernels/isa/{name}_cell.h`) and its shapes here.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Cell:
    """Shapes of one kind of recurrent cell.

    Attributes
    ----------
    name : str
    gates : tuple of str
        In the order of the rows of `weight_ih`, `weight_hh` and `bias`.
    """

    name: str
    gates: tuple

    def initial_bias(self, hidden_size):
        """Return the bias at the start: 1 for the forget gate (Gers et al. 2000; Jozefowicz et al. 2015), else 0."""
        bias = np.zeros((len(self.gates), hidden_size))
        if "f" in self.gates:
            bias[self.gates.index("f")] = 1.0
        return bias.ravel()


CELLS = {"lstm": Cell("lstm", gates=("i", "f", "g", "o"))}
