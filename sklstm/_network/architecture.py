"""The architecture of a network: sizes, options, and the names and shapes of its parameters in order."""

from dataclasses import dataclass
from math import ceil
from numbers import Integral, Real

from sklstm._network.cells import CELLS

# These numbers become lengths of arrays in the kernels and may come from a file: their types are checked.
_LEAST = {
    "input_size": 1,
    "n_outputs": 1,
    "residual": 0,
    "projection_size": 0,
    "attention_heads": 0,
    "patch_length": 1,
    "linear_skip": 0,
    "horizon": 0,
    "compete_groups": 1,
}
_BELOW = {"zoneout": 1, "feedforward": 1 << 16}
_CHOICES = {
    "output_gate": (None, "silu", "softmax"),
    "norm": (None, "layer", "rms"),
    "norm_first": (False, True),
    "peephole": (False, True),
    "cell_norm": (False, True),
    "bidirectional": (False, True),
    "pooling": ("last", "mean", "attention"),
    "window_norm": (None, "last", "standard"),
    "every_step": (False, True),
    "decoder": ("direct", "recurrent", "parallel"),
}
# 256 GiB of float32, far below the range of 64-bit offsets into a workspace.
LARGEST_N_PARAMETERS = 1 << 36


@dataclass(frozen=True)
class Architecture:
    """Sizes and options of stacked recurrent layers, their input stage and their head.

    Attributes
    ----------
    input_size : int
        Columns of a row.
    hidden_sizes : tuple of int
        Units of each layer (of each direction).
    n_outputs : int
    residual : int
        Every so many layers the output of the layer so far below is added; 0 for never.
    output_gate : "silu", "softmax" or None
        Gate on the output of each layer, from its input.
    compete_groups : int
        Groups of units over each of which a softmax gate sums up to its size.
    norm : "layer", "rms" or None
        Normalisation of the output of each layer.
    norm_first : bool
        Whether residual sums add outputs that are not normalised, and only what reads a layer reads them so.
    feedforward : float
        Units of the feedforward block behind each layer for each of its outputs; 0 for no block.
    cell : str
        A name from `CELLS`.
    cell_numbers : tuple of int
        The cell's own sizes, those of its entry in `CELLS` if left out; empty where it has none.
    peephole : bool
        Whether the cell has its optional weights of single units.
    projection_size : int
        Size of h where it is not that of the cell; 0: it is.
    cell_norm : bool
        Whether the sums inside the cell are normalised.
    zoneout : float
        Share of the units that keep their state; a network that predicts takes the mean.
    bidirectional : bool
    attention_heads : int
        Heads of a self-attention block on the top layer; 0 for no block.
    pooling : "last", "mean" or "attention"
        How the steps of the top layer become the features of a sequence.
    patch_length : int
        Rows that one step reads.
    window_norm : "last", "standard" or None
        Normalisation of each input window.
    linear_skip : int
        Last rows of the sequence that the output reads directly; 0 for none.
    known_columns : tuple of int
        Columns that are known ahead, in increasing order: `window_norm` leaves them alone.
    time_column : int or None
        Column with the time since the row before, which a cell reads as it is; None: it reads 1.
    every_step : bool
        Whether there is an output at every step instead of one for the sequence.
    decoder : "direct", "recurrent" or "parallel"
        How the outputs come about: at once, or by a second run of the layers over the rows ahead, in turns of
        `patch_length` rows, each from the states of the one before or all from those of the sequence.
    horizon : int
        Rows ahead that a decoder runs over; 0 without one.
    """

    input_size: int
    hidden_sizes: tuple
    n_outputs: int
    residual: int = 0
    output_gate: str | None = None
    compete_groups: int = 1
    norm: str | None = None
    norm_first: bool = False
    feedforward: float = 0.0
    cell: str = "lstm"
    cell_numbers: tuple = ()
    peephole: bool = False
    projection_size: int = 0
    cell_norm: bool = False
    zoneout: float = 0.0
    bidirectional: bool = False
    attention_heads: int = 0
    pooling: str = "last"
    patch_length: int = 1
    window_norm: str | None = None
    linear_skip: int = 0
    known_columns: tuple = ()
    time_column: int | None = None
    every_step: bool = False
    decoder: str = "direct"
    horizon: int = 0

    def __post_init__(self):
        """Accept any sequence of sizes; check all fields."""
        object.__setattr__(self, "hidden_sizes", tuple(self.hidden_sizes))
        if not self.hidden_sizes:
            raise ValueError("hidden_sizes is empty, expected the units of each layer")
        for size in self.hidden_sizes:
            _check_size("hidden_sizes", size, 1)
        object.__setattr__(self, "hidden_sizes", tuple(map(int, self.hidden_sizes)))
        for name, least in _LEAST.items():
            _check_size(name, getattr(self, name), least)
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name}={getattr(self, name)!r}, expected one of {choices}")
        self._check_cell()
        self._check_known_columns()
        self._check_time_column()
        self._check_decoder()
        for name in ("zoneout", "feedforward"):
            _check_number(name, getattr(self, name))
        for layer in range(self.n_layers):
            if self.output_size(layer) % self.compete_groups:
                raise ValueError(
                    f"compete_groups={self.compete_groups} must divide the {self.output_size(layer)} outputs of a layer"
                )
        if self.norm_first and self.norm is None:
            raise ValueError("norm_first=True does not go with norm=None")
        if self.attention_heads and self.features_size % self.attention_heads:
            raise ValueError(f"attention_heads={self.attention_heads} must divide the {self.features_size} features")

    def _check_cell(self):
        if self.cell not in CELLS:
            raise ValueError(f"cell={self.cell!r}, expected one of {tuple(CELLS)}")
        cell = CELLS[self.cell]
        numbers = tuple(self.cell_numbers) or cell.numbers
        if len(numbers) != len(cell.numbers):
            raise ValueError(f"cell_numbers={numbers}, expected {len(cell.numbers)} for the cell {self.cell!r}")
        for number, (least, most) in zip(numbers, cell.bounds, strict=True):
            _check_size("cell_numbers", number, least)
            if number > most:
                raise ValueError(f"cell_numbers={numbers}, expected at most {most} in the place of {number}")
        object.__setattr__(self, "cell_numbers", tuple(map(int, numbers)))
        if self.peephole and not (cell.n_vectors and cell.vectors_are_optional):
            raise ValueError(f"peephole=True: the cell {self.cell!r} has no such weights")
        if self.projection_size and not cell.projects:
            raise ValueError(
                f"projection_size={self.projection_size}: the cell {self.cell!r} multiplies h, or its product, unit "
                "by unit by others before a second product"
            )

    def _check_known_columns(self):
        columns = tuple(self.known_columns)
        for column in columns:
            _check_size("known_columns", column, 0)
        if list(columns) != sorted(set(columns)) or (columns and columns[-1] >= self.input_size):
            raise ValueError(
                f"known_columns={columns}, expected increasing positions below the {self.input_size} columns of a row"
            )
        object.__setattr__(self, "known_columns", tuple(map(int, columns)))

    def _check_time_column(self):
        if self.time_column is None:
            return
        _check_size("time_column", self.time_column, 0)
        object.__setattr__(self, "time_column", int(self.time_column))
        if self.time_column >= self.input_size:
            raise ValueError(f"time_column={self.time_column}, expected a position below {self.input_size}")
        if not CELLS[self.cell].reads_gap:
            raise ValueError(f"time_column={self.time_column}: the cell {self.cell!r} reads no time")
        for name, value in (("bidirectional", False), ("decoder", "direct")):
            if getattr(self, name) != value:
                raise ValueError(f"time_column={self.time_column} does not go with {name}={getattr(self, name)!r}")

    def _check_decoder(self):
        if (self.decoder == "direct") != (self.horizon == 0):
            raise ValueError(f"decoder={self.decoder!r} does not go with horizon={self.horizon}")
        if self.decoder == "direct":
            return
        if self.n_outputs % self.horizon:
            raise ValueError(f"n_outputs={self.n_outputs} is no multiple of horizon={self.horizon}")
        for name in ("cell_norm", "bidirectional", "attention_heads", "every_step"):
            if getattr(self, name):
                raise ValueError(f"decoder={self.decoder!r} does not go with {name}={getattr(self, name)!r}")
        if self.pooling != "last":
            raise ValueError(f"decoder={self.decoder!r} does not go with pooling={self.pooling!r}")

    @property
    def n_turns(self):
        """Number of turns in which a decoder covers the horizon; 0 without one."""
        return -(-self.horizon // self.patch_length)

    @property
    def head_outputs(self):
        """Number of outputs of the dense head: all, or with a decoder those of one turn."""
        if self.decoder == "direct":
            return self.n_outputs
        return self.n_outputs // self.horizon * min(self.patch_length, self.horizon)

    @property
    def vectors(self):
        """Names and counts of the groups of weights of single units that the network has."""
        cell = CELLS[self.cell]
        if cell.vectors_are_optional and not self.peephole:
            return {}
        return {group.name: group.size(self.cell_numbers) for group in cell.vectors}

    @property
    def directions(self):
        """Suffixes of the names of parameters, one for each direction of a layer."""
        return ("", "_backward") if self.bidirectional else ("",)

    @property
    def n_layers(self):
        """Number of stacked layers."""
        return len(self.hidden_sizes)

    def width(self, layer):
        """Return the size of h in one direction of a layer."""
        return self.projection_size or self.hidden_sizes[layer]

    def output_size(self, layer):
        """Return the size of the output of a layer at each step."""
        return self.width(layer) * len(self.directions)

    def feedforward_size(self, layer):
        """Return the gated units of the feedforward block behind a layer; 0 where there is none."""
        # 8 / 3 of 3 is 8, however it was rounded.
        return ceil(self.feedforward * self.output_size(layer) - 1e-9)

    @property
    def feedforward_norm(self):
        """Normalisation of what a feedforward block reads."""
        return self.norm or "rms"

    def step_size(self, layer):
        """Return the size of the input of a layer at each step."""
        return self.output_size(layer - 1) if layer else self.input_size * self.patch_length

    def residual_from(self, layer):
        """Return the layer whose output is added to that of this layer, -1 for none."""
        adds = self.residual > 0 and layer >= self.residual and layer % self.residual == 0
        return layer - self.residual if adds else -1

    @property
    def features_size(self):
        """Size of the features that the dense head reads."""
        return self.output_size(self.n_layers - 1)

    @property
    def states(self):
        """Names and sizes of the states, in the order of a row of states."""
        named = []
        for layer, hidden in enumerate(self.hidden_sizes):
            for suffix in self.directions:
                counts = CELLS[self.cell].states(self.projection_size > 0, self.cell_numbers)
                for name, count in counts.items():
                    size = self.width(layer) if name == "h" else count * hidden
                    named.append((f"{name}_l{layer}{suffix}", size))
        if self.pooling == "mean":
            named.append(("pool", self.features_size + 1))
        if self.pooling == "attention":
            named.append(("pool", self.features_size + 2))
        return named

    @property
    def parameters(self):
        """Names and shapes of all parameters, in the order of the flat vector."""
        named = []
        for layer in range(self.n_layers):
            named += self._layer_parameters(layer)
        size = self.features_size
        if self.attention_heads:
            named += [
                ("norm_weight_attention", (size,)),
                ("norm_bias_attention", (size,)),
                ("weight_attention_in", (3 * size, size)),
                ("bias_attention_in", (3 * size,)),
                ("weight_attention_out", (size, size)),
                ("bias_attention_out", (size,)),
            ]
        if self.pooling == "attention":
            named.append(("weight_pool", (size,)))
        if self.n_turns:
            named.append(("bias_decoder_l0", (self.n_turns, len(CELLS[self.cell].sums) * self.hidden_sizes[0])))
        named += [("weight_out", (self.head_outputs, size)), ("bias_out", (self.head_outputs,))]
        if self.linear_skip:
            named.append(("weight_skip", (self.n_outputs, self.linear_skip * self.input_size)))
            if self.n_turns:
                named.append(("bias_skip", (self.n_outputs,)))
        return named

    def _layer_parameters(self, layer):
        hidden, width, named, cell = self.hidden_sizes[layer], self.width(layer), [], CELLS[self.cell]
        for suffix in self.directions:
            end = f"_l{layer}{suffix}"
            named.append((f"weight_ih{end}", (len(cell.gates_x) * hidden, self.step_size(layer))))
            if cell.has_weight_hh:
                named.append((f"weight_hh{end}", (len(cell.gates_h) * hidden, width)))
            named.append((f"bias{end}", (len(cell.sums) * hidden,)))
            named += [(f"{name}{end}", (count, hidden)) for name, count in self.vectors.items()]
            if self.cell_norm:
                named.append((f"norm_weight_ih{end}", (len(cell.gates_x) * hidden,)))
                if cell.has_weight_hh:
                    named.append((f"norm_weight_hh{end}", (len(cell.gates_h) * hidden,)))
                if cell.normalises_state:
                    named += [(f"norm_weight_c{end}", (hidden,)), (f"norm_bias_c{end}", (hidden,))]
            if self.projection_size:
                named.append((f"weight_hr{end}", (width, hidden)))
        size, source = self.output_size(layer), self.residual_from(layer)
        if self.output_gate:
            named.append((f"weight_gate_l{layer}", (size, self.step_size(layer))))
        if source >= 0 and self.output_size(source) != size:
            named.append((f"weight_residual_l{layer}", (size, self.output_size(source))))
        named += _norm_parameters(self.norm, f"_l{layer}", size)
        if units := self.feedforward_size(layer):
            end = f"_l{layer}"
            named += _norm_parameters(self.feedforward_norm, f"_feedforward{end}", size)
            named.append((f"weight_feedforward_in{end}", (2 * units, size)))
            named.append((f"weight_feedforward_out{end}", (size, units)))
        return named


def _norm_parameters(kind, end, size):
    names = {None: (), "rms": ("norm_weight",), "layer": ("norm_weight", "norm_bias")}[kind]
    return [(name + end, (size,)) for name in names]


def _check_number(name, value):
    highest = _BELOW[name]
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= value < highest:
        raise ValueError(f"{name}={value!r}, expected a number from 0 to below {highest}")


def _check_size(name, value, least):
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name}={value!r}, expected an integer of at least {least}")
