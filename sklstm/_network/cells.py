"""Registry of the recurrent cells: names of the blocks of their parameters, and initial values.

A cell is an entry in a registry, never a subclass of an estimator and never a flag in a loop. A header of the kernels
(`sklstm/_kernels/isa/cells`) has its equations and its numbers: how many sums a unit has, which of them read x and h,
which states it carries. This registry adds the names of the blocks of its parameters, in the order of their rows, and
the initial bias; doc/developers/cells.md describes how a cell is added.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from sklstm._kernels.network._stack import cell_numbers, cell_sizes
from sklstm._network import state_spaces as starts
from sklstm._network.legendre import MEMORY, legendre_memory
from sklstm._network.vectors import Vectors

_NUMBERS = cell_numbers()

TILE_VECTORS = 4
DRIVERS = ("recurrent", "elementwise", "rows")  # as `Driver` of isa/layers/interface.h numbers them


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
    vectors : tuple of Vectors
        Groups of per-unit weights, in the order in which the kernel reads them.
    numbers : tuple of int
        Defaults of the sizes of its own that the cell has (of its state, say), as the kernel reads them.
    bounds : tuple of tuple of int
        The least and the largest that each number may be.
    constants : callable or None
        A function of these numbers that returns what the kernel reads beside its weights, such as a fixed matrix.
    """

    name: str
    gates: tuple
    recurrent: tuple = ()
    gated: dict = field(default_factory=dict)
    sums: tuple = ()
    start: dict = field(default_factory=dict)
    vectors: tuple = ()
    numbers: tuple = ()
    bounds: tuple = ()
    constants: object = None

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

    @property
    def has_plain_layer(self):
        """Whether the kernels have a layer without options for it; else the layer with options is its only one."""
        return self.gated_count == 0 and DRIVERS[self.driver] != "rows"

    def sizes(self, numbers):
        """Return how many vectors for each vector of units the kernel has: n_states, n_kept, n_vectors, n_derived."""
        return cell_sizes(self.name, numbers)

    def states(self, projected, numbers=()):
        """Return how many vectors each state has, by name: h, and c, or m where the cell reads a projected h."""
        if self.has_c:
            return {"h": 1, "c": self.sizes(numbers or self.numbers)["n_states"]}
        return {"h": 1, "m": 1} if self.reads_h and projected else {"h": 1}

    def runs(self):
        """Return for each part of the panels (x, h, gated) the range of its sums.

        A part of more than 4 sums, or of a chain of gated vectors, is laid out in `pieces`.
        """
        h = range(self.h_first, self.h_first + self.h_count)
        gated = range(self.gated_first, self.gated_first + self.gated_count)
        return {"x": range(self.x_first, self.x_first + self.x_count), "h": h, "gated": gated}

    def pieces(self, part):
        """Return the places in a part of the panels, cut into pieces of at most 4, or of the sums of a gated vector."""
        n = len(self.runs()[part])
        size = n // self.chain if part == "gated" and self.chain else TILE_VECTORS
        return [range(i, min(i + size, n)) for i in range(0, n, size)]

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


def griffin_decays(generator, numbers, hidden):
    """Return p of an RG-LRU: with a gate of 1, a = exp(-8 softplus(p)) is uniform in 0.9 to 0.999 (De et al. 2024)."""
    rates = -np.log(generator.uniform(0.9, 0.999, (1, hidden))) / 8.0
    return np.log(np.expm1(rates))


GRIFFIN_DECAY = Vectors("bias_decay", start=griffin_decays, decays=False)


def _highway(depth):
    """Return the recurrent highway cell with so many micro-layers."""
    blocks = tuple(f"{kind}_{k}" for k in range(1, depth + 1) for kind in "nt")
    gates = {name: -2.0 for name in blocks if name.startswith("t")}
    return Cell(f"rhn_{depth}", blocks[:2], recurrent=blocks, sums=blocks, start=gates)


def _quasi(pooling, gates):
    """Return the quasi-recurrent cell with a window of three inputs."""
    return Cell(f"qrnn_{pooling}_3", (*gates, *(f"{name}_{step}" for step in ("next", "later") for name in gates)))


CELLS = {
    cell.name: cell
    for cell in (
        # 1 for the forget gate: Gers et al. 2000; Jozefowicz et al. 2015.
        Cell("lstm", ("i", "f", "g", "o"), start={"f": 1.0}, vectors=(Vectors("weight_peephole", 3),)),
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
        Cell("indrnn", ("h",), vectors=(Vectors("weight_recurrent", start=(0.0, 1.0)),)),
        Cell("indrnn_tanh", ("h",), vectors=(Vectors("weight_recurrent", start=(0.0, 1.0)),)),
        Cell("sru", ("f", "r", "n", "s"), vectors=(Vectors("weight_recurrent", 2),)),
        Cell("rglru", ("r", "i", "v"), vectors=(GRIFFIN_DECAY,)),
        Cell(
            "rglru_convolution",
            ("r", "i", "v"),
            vectors=(GRIFFIN_DECAY, Vectors("weight_convolution", 4, start=(-0.5, 0.5))),
        ),
        Cell("qrnn_f", ("z", "f", "z_next", "f_next")),
        Cell("qrnn_fo", ("z", "f", "o", "z_next", "f_next", "o_next")),
        Cell("qrnn_ifo", ("z", "f", "o", "i", "z_next", "f_next", "o_next", "i_next")),
        _quasi("f", ("z", "f")),
        _quasi("fo", ("z", "f", "o")),
        _quasi("ifo", ("z", "f", "o", "i")),
        # As in the code of Beck et al. 2024, whose forget gates start at 3 to 6.
        Cell("explstm", ("f", "i", "g"), start={"f": 3.0}),
        Cell("elman_softsign", ("h",)),
        Cell("elman_silu", ("h",)),
        Cell("indrnn_softsign", ("h",), vectors=(Vectors("weight_recurrent", start=(0.0, 1.0)),)),
        Cell("indrnn_silu", ("h",), vectors=(Vectors("weight_recurrent", start=(0.0, 1.0)),)),
        Cell("second_order", ("p", "h"), recurrent=("q", "h", "c"), gated={"c": "h"}, sums=("p", "h", "q")),
        Cell("cfc", ("f_1", "f_2", "t_a", "t_b")),
        Cell(
            "cfc_backbone", ("z",), recurrent=("z", "f_1", "f_2", "t_a", "t_b"), sums=("z", "f_1", "f_2", "t_a", "t_b")
        ),
        Cell("mlstm", ("m", "i", "f", "g", "o"), sums=("m_x", "i", "f", "g", "o", "m_h"), start={"f": 1.0}),
        _highway(2),
        _highway(3),
        _highway(4),
        # complex states, bilinear, start
        Cell("s4d", ("v",), vectors=starts.S4D, numbers=(8, 0, 0), bounds=((1, 256), (0, 1), (0, 2))),
        # inner and outer radius, largest phase
        Cell("lru", ("v",), vectors=starts.LRU, numbers=(0, 1_000_000, 1_000_000), bounds=((0, 1_000_000),) * 3),
        # bilinear, start
        Cell("s5", ("v",), vectors=starts.S5, numbers=(0, 0), bounds=((0, 1), (0, 2))),
        # states, rank
        Cell("mamba", ("u", "z"), vectors=starts.MAMBA, numbers=(16, 4), bounds=((1, 256), (1, 256))),
        Cell("rwkv", ("r", "k", "v", "r_1", "k_1", "v_1"), vectors=starts.RWKV),
        # units of a head, rotation
        Cell("retention", ("q", "k", "v", "g"), numbers=(16, 1), bounds=((1, 256), (0, 1))),
        Cell("linear_attention", ("q", "k", "v"), numbers=(16,), bounds=((1, 256),)),
        # order, theta
        Cell(
            "lmu",
            ("u", "h"),
            vectors=MEMORY,
            numbers=(8, 32),
            bounds=((1, 64), (1, 1_000_000)),
            constants=legendre_memory,
        ),
        *(Cell(f"mingru_{candidate}", ("z", "n")) for candidate in ("relu", "softsign", "silu")),
        *(Cell(f"minlstm_{candidate}", ("f", "i", "n")) for candidate in ("relu", "softsign", "silu")),
    )
}
