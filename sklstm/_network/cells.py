"""Registry of the recurrent cells: names of the blocks of their parameters, and initial values.

A cell is an entry in a registry, never a subclass of an estimator and never a flag in a loop. A header of the kernels
(`sklstm/_kernels/isa/cells`) has its equations and its numbers: how many sums a unit has, which of them read x and h,
which states it carries. This registry adds the names of the blocks of its parameters, in the order of their rows, and
the initial bias; doc/developers/cells.md describes how a cell is added.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from sklstm._kernels.network._stack import cell_numbers

_NUMBERS = cell_numbers()


@dataclass(frozen=True)
class Cell:
    """One kind of recurrent cell.

    Attributes
    ----------
    name : str
        The name in the kernels.
    gates : tuple of str
        Blocks of `weight_ih`, in the order of their rows, and of `weight_hh` unless `recurrent` names others.
    recurrent : tuple of str
        Blocks of `weight_hh`, where they are not those of `weight_ih`.
    gated : dict of str to str
        The sum of each block of `weight_hh` that multiplies the gated vector, where the block has another name.
    sums : tuple of str
        Blocks of the bias. A sum that reads only x or only h is named after its block, ``n_x`` or ``n_h``.
    start : dict of str to float
        Initial bias of a sum, where it is not 0.
    vectors : str
        Name of the parameter with the per-unit weights, if the cell has any.
    vectors_start : tuple of two floats
        Initial per-unit weights are uniform between these two.
    """

    name: str
    gates: tuple
    recurrent: tuple = ()
    gated: dict = field(default_factory=dict)
    sums: tuple = ()
    start: dict = field(default_factory=dict)
    vectors: str = ""
    vectors_start: tuple = (0.0, 0.0)

    def __post_init__(self):
        """Default the blocks of the bias to those of the weights."""
        object.__setattr__(self, "sums", self.sums or self.gates)

    def __getattr__(self, name):
        """Return a number of the kernel's entry: n_sums, units, reads_h, has_c, n_vectors, ..."""
        if name.startswith("_") or name not in (numbers := _NUMBERS[self.__dict__["name"]]):
            raise AttributeError(f"a cell has no {name!r}")
        return numbers[name]

    @property
    def stored(self):
        """Names of the sums as the kernel stores them, side by side."""
        return _NUMBERS[self.name]["sums"]

    @property
    def has_weight_hh(self):
        """Whether h is multiplied by a matrix."""
        return self.h_count + self.gated_count > 0

    @property
    def projects(self):
        """Whether h may be projected: not where `weight_hh` also multiplies a gated vector of all units."""
        return self.gated_count == 0

    @cached_property
    def gates_x(self):
        """Blocks of `weight_ih`."""
        return self.gates

    @cached_property
    def gates_h(self):
        """Blocks of `weight_hh`; empty without it."""
        return (self.recurrent or self.gates) if self.has_weight_hh else ()

    def states(self, projected):
        """Return the names of the states: h, and c, or m where the cell reads h and h is a projection."""
        if self.has_c:
            return ("h", "c")
        return ("h", "m") if self.reads_h and projected else ("h",)

    def runs(self):
        """Return for each part of the panels (x, h, gated) the range of its sums."""
        h = range(self.h_first, self.h_first + self.h_count)
        gated = range(self.gated_first, self.gated_first + self.gated_count)
        return {"x": range(self.x_first, self.x_first + self.x_count), "h": h, "gated": gated}

    def position(self, block, reads):
        """Return the position of the sum of a block of `weight_ih` (reads="x"), `weight_hh` ("h") or the bias."""
        name = f"{block}_{reads}"
        return self.stored.index(name if name in self.stored else block)

    def part_of(self, block):
        """Return whether a block of `weight_hh` multiplies "h" or the "gated" vector."""
        is_gated = block in self.gated or self.position(block, "h") not in self.runs()["h"]
        return "gated" if is_gated else "h"

    def slots(self, part):
        """Return the place of each block of a matrix in a part of the panels; None for a block of another part."""
        run = self.runs()[part]
        if part == "x":
            return [self.position(block, "x") - run.start for block in self.gates_x]
        return [
            self.position(self.gated.get(block, block), "h") - run.start if self.part_of(block) == part else None
            for block in self.gates_h
        ]

    def initial_bias(self, hidden_size):
        """Return the initial bias."""
        return np.repeat([float(self.start.get(name, 0.0)) for name in self.sums], hidden_size)


CELLS = {
    cell.name: cell
    for cell in (
        # 1 for the forget gate: Gers et al. 2000; Jozefowicz et al. 2015.
        Cell("lstm", ("i", "f", "g", "o"), start={"f": 1.0}, vectors="weight_peephole"),
        Cell("gru", ("r", "z", "n"), sums=("r", "z", "n_x", "n_h")),
        Cell("gru_reset_before", ("r", "z", "n")),
        Cell("elman", ("h",)),
        Cell("elman_relu", ("h",)),
        Cell("mgu", ("f", "n")),
        Cell("delta", ("d", "n")),
        Cell("mingru", ("z", "n")),
        Cell("mingru_tanh", ("z", "n")),
        Cell("minlstm", ("f", "i", "n")),
        Cell("minlstm_tanh", ("f", "i", "n")),
        Cell("indrnn", ("h",), vectors="weight_recurrent", vectors_start=(0.0, 1.0)),
        Cell("indrnn_tanh", ("h",), vectors="weight_recurrent", vectors_start=(0.0, 1.0)),
        Cell("second_order", ("p", "h"), recurrent=("q", "h", "c"), gated={"c": "h"}, sums=("p", "h", "q")),
    )
}
