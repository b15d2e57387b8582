"""Offsets of the parameters of a network in a vector of panels, the packed layout that the kernels read.

A *piece* describes how one named array, or a block of one, is packed and unpacked; a *copy* is a matrix that the
backward pass reads transposed; a *segment* is a range of panels with equal weight decay.
"""

from math import prod

from sklstm._network.cells import CELLS
from sklstm._network.integers import REALS, kinds_of

# Everything starts at a multiple of 16 elements: 64 bytes for either dtype.
ALIGNMENT = 16
NOTHING = -1
# From so many weights of recurrent layers on (16 MB as words of bf16 in both orders) each thread makes these words for
# the layer that it is at, instead of all of them standing in memory.
LARGE = 1 << 22


def round_up(n, step):
    """Return the next multiple of step."""
    return -(-n // step) * step


def panel_part(units, count, unit_size, part_offset):
    """Return the fields of `PanelPart` (isa/layers/interface.h)."""
    return {"units": units, "count": count, "unit_size": unit_size, "part_offset": part_offset}


class Plan:
    """The offsets of all parameters, filled in their order.

    Parameters
    ----------
    architecture : Architecture
    lanes : int
        Numbers in a vector of this instruction set.
    numbers_of_word : int, default=1
        Numbers in a word of the format of the products; their transposed copies hold words.
    integers : IntegerLayout or None, default=None
        The parameters, where some layers multiply integers: their panels hold words.

    Attributes
    ----------
    formats : list of (int, int)
        Of the products of each layer with x and with h, as the kernels number them.
    reduced : bool
        Whether these are the kernels of reduced number formats.
    ranges_size : int
        Length of what is measured of the rows that layers read.
    size, transposed_size : int
        Length of a vector of panels, and of the transposed copies.
    by_layer : bool
        Whether training makes the words of the weights layer by layer: transposed copies in words then have offsets of
        their own in each direction of a layer.
    layer_words_size : int
        The longest copies of one direction.
    pieces : list of (begin in the flat vector, offset in the panels, n_columns, n_rows, part, slot)
        With a part, a matrix (n_rows, n_columns) that is block `slot` of that part; else a dense matrix; with
        n_rows=0 a vector.
    copies : list of dict
        The fields of `Copy` (_stack.pxd).
    constants : ndarray or None
        What the cell computes of its numbers alone.
    segments : list of (end, bool)
        Ends of the segments, and whether they decay: biases and norms do not.
    """

    def __init__(self, architecture, lanes, numbers_of_word=1, integers=None):
        self.architecture, self.lanes, self.numbers_of_word = architecture, lanes, numbers_of_word
        constants = CELLS[architecture.cell].constants
        self.constants = constants and constants(*architecture.cell_numbers)
        self.reduced, self.ranges_size = integers is not None, 0
        names = integers.formats if integers else [None] * architecture.n_layers
        self._kinds = [name and kinds_of(name, layer, architecture) for layer, name in enumerate(names)]
        self.formats = [(kinds["x"].number, kinds["h"].number) if kinds else (REALS, REALS) for kinds in self._kinds]
        self.size = self.transposed_size = self.n_parameters = self.layer_words_size = self._own_words = 0
        self.pieces, self.copies, self.segments, self._flat_offsets = [], [], [], {}
        parameters = architecture.parameters if integers is None else [(p.name, p.shape) for p in integers.parameters]
        for name, shape in parameters:
            self._flat_offsets[name] = self.n_parameters
            self.n_parameters += prod(shape)
        n_weights = sum(prod(shape) for name, shape in parameters if name.startswith(("weight_ih", "weight_hh")))
        self.by_layer = numbers_of_word > 1 and n_weights >= LARGE and not architecture.n_turns

    def _reserve(self, n, decays):
        offset = self.size
        self._extend(round_up(n, ALIGNMENT), decays)
        return offset

    def _extend(self, n, decays):
        self.size += n
        if self.segments and (self.segments[-1][1] == decays or n == 0):
            decays = self.segments.pop()[1]
        self.segments.append((self.size, decays))

    def dense(self, name, n_columns, n_rows):
        """Lay out a matrix (n_rows, n_columns) that maps columns to rows."""
        offset = self._reserve(round_up(n_rows, 4 * self.lanes) * n_columns, True)
        self.pieces.append((self._flat_offsets[name], offset, n_columns, n_rows, None, 0))
        return offset

    def vectors(self, names, n, stride, *, decays=False, count=1):
        """Lay out vectors `stride` apart; with a count, each name holds so many of them."""
        offset = self._reserve(len(names) * count * stride, decays)
        for i, name in enumerate(names):
            for k in range(count):
                self._vector(self._flat_offsets[name] + k * n, offset + (i * count + k) * stride, n)
        return offset

    def _vector(self, begin, offset, n):
        self.pieces.append((begin, offset, n, 0, None, 0))

    def turn_biases(self):
        """Lay out what each turn of a decoder adds to the bias of the first layer, one after the other."""
        shape = self.architecture
        cell, hidden = CELLS[shape.cell], shape.hidden_sizes[0]
        part = panel_part(1, cell.n_sums, cell.n_sums * self.lanes, 0)
        slots = [cell.position(block, "") for block in cell.sums]
        width = cell.n_sums * round_up(hidden, self.lanes)
        offset = self._reserve(shape.n_turns * width, False)
        for turn in range(shape.n_turns):
            self._blocks("bias_decoder_l0", offset + turn * width, 1, hidden, part, slots, turn * len(slots) * hidden)
        return offset

    def _blocks(self, name, offset, n_columns, hidden, part, slots, begin=0):
        """Lay out the blocks of an array, each in its slot of a part; None for a block of another part.

        The first of them begins at number `begin` of the array.
        """
        begin += self._flat_offsets[name]
        for slot in slots:
            if slot is not None:
                self.pieces.append((begin, offset, n_columns, hidden, part, slot))
            begin += hidden * n_columns

    def transposed(self, panels, n_vecs, part, n_columns, input_only=False, words=False):
        """Reserve a transposed copy of a part of some panels for backward; `words`: in the format of the products."""
        own = words and self.by_layer
        offset = self._own_words if own else self.transposed_size
        self.copies.append(
            {
                "panels": panels,
                "n_vecs": n_vecs,
                "part": part,
                "n_columns": n_columns,
                "transposed": offset,
                "words": words,
                "input_only": input_only,
                "by_layer": own,
            }
        )
        size = n_vecs * part["count"] * self.lanes * round_up(n_columns, self.lanes)
        if words:
            size //= self.numbers_of_word
        if own:
            self._own_words += round_up(size, ALIGNMENT)
            self.layer_words_size = max(self.layer_words_size, self._own_words)
        else:
            self.transposed_size += round_up(size, ALIGNMENT)
        return offset

    def dense_copy(self, panels, n_columns, n_rows):
        """Reserve a transposed copy of a dense matrix for the backward pass."""
        part = panel_part(1, 4, 4 * self.lanes * n_columns, 0)
        return self.transposed(panels, round_up(n_rows, 4 * self.lanes) // (4 * self.lanes), part, n_columns)

    def recurrence(self, layer, suffix):
        """Lay out one direction of a layer; return the fields of `Recurrence` (_stack.pxd)."""
        shape, hidden, end = self.architecture, self.architecture.hidden_sizes[layer], f"_l{layer}{suffix}"
        cell, stride = CELLS[shape.cell], round_up(hidden, self.lanes)
        columns = {"x": shape.step_size(layer), "h": shape.width(layer), "gated": shape.width(layer)}
        kinds = self._kinds[layer]
        words = {part: kinds[part].words(n) if kinds else n for part, n in columns.items()}
        offsets = self._weights(cell, hidden, words, end, layer == 0)
        bias = panel_part(1, cell.n_sums, cell.n_sums * self.lanes, 0)
        offsets["panel_bias"] = self._reserve(cell.n_sums * stride, False)
        slots = [cell.position(block, "") for block in cell.sums]
        self._blocks(f"bias{end}", offsets["panel_bias"], 1, hidden, bias, slots)
        offsets.update(dict.fromkeys(("vectors", "norm", "projection", "projection_transposed"), NOTHING))
        offsets.update(
            state=0, words=0, **self._ranges(cell, columns), **self._integers(cell, hidden, columns, kinds, end)
        )
        if shape.vectors:
            offsets["vectors"] = self._groups(cell, hidden, stride, end)
        if shape.cell_norm:
            offsets["norm"] = self._norms(cell, hidden, stride, bias, end)
        if shape.projection_size:
            width = shape.width(layer)
            offsets["projection"] = self.dense(f"weight_hr{end}", hidden, width)
            offsets["projection_transposed"] = self.dense_copy(offsets["projection"], hidden, width)
        return offsets

    def _groups(self, cell, hidden, stride, end):
        """Lay out the groups of per-unit weights of a layer one after the other, without gaps."""
        offset = self.size
        for group in cell.vectors:
            count = group.size(self.architecture.cell_numbers)
            for k in range(count):
                self._vector(self._flat_offsets[f"{group.name}{end}"] + k * hidden, self.size + k * stride, hidden)
            self._extend(count * stride, group.decays)
        self._extend(-self.size % ALIGNMENT, False)
        return offset

    def _ranges(self, cell, columns):
        """Reserve room for what is measured of the rows of each part."""
        offsets = {}
        for part, run in cell.runs().items():
            offsets[f"range_{part}"] = self.ranges_size if run else NOTHING
            self.ranges_size += columns[part] if run else 0
        return offsets

    def _integers(self, cell, hidden, columns, kinds, end):
        """Lay out starts and scales of the sums of integers, and the inverse steps of what is read."""
        offsets = dict.fromkeys(("integers", "inverse_x", "inverse_h", "inverse_gated"), NOTHING)
        offsets |= {"highest_x": 0, "highest_h": 0}
        if kinds is None:
            return offsets
        offsets |= {"highest_x": kinds["x"].highest, "highest_h": kinds["h"].highest}
        size = cell.n_sums * round_up(hidden, self.lanes)
        vector = panel_part(1, cell.n_sums, cell.n_sums * self.lanes, 0)
        offsets["integers"] = self._reserve(6 * size, False)
        for k, (part, run) in enumerate(cell.runs().items()):
            if not run:
                continue
            slots = [None if slot is None else slot + run.start for slot in cell.slots(part)]
            for i, name in enumerate(("start", "scale")):
                array = f"{name}_{'ih' if part == 'x' else 'hh'}{end}"
                self._blocks(array, offsets["integers"] + (2 * k + i) * size, 1, hidden, vector, slots)
            offsets[f"inverse_{part}"] = self._reserve(columns[part], False)
            self._vector(self._flat_offsets[f"inverse_{part}{end}"], offsets[f"inverse_{part}"], columns[part])
        return offsets

    def _weights(self, cell, hidden, columns, end, is_first):
        """Lay out the parts of a layer's panels: x, h and the gated h side by side in each of them."""
        n_vecs, runs = round_up(hidden, self.lanes) // self.lanes, cell.runs()
        sizes = {part: columns[part] * len(run) * self.lanes for part, run in runs.items()}
        unit_size, begin, offsets = sum(sizes.values()), 0, {}
        offsets["panels"] = self._reserve(n_vecs * unit_size, True)
        offsets["first_copy"], self._own_words = len(self.copies), 0
        for name in runs:
            offsets[f"{name}_transposed"] = NOTHING
            array, slots = f"weight_ih{end}" if name == "x" else f"weight_hh{end}", cell.slots(name)
            for piece in cell.pieces(name):
                part = panel_part(cell.units, len(piece), unit_size, begin)
                begin += columns[name] * len(piece) * self.lanes
                own = [slot - piece.start if slot in piece else None for slot in slots]
                self._blocks(array, offsets["panels"], columns[name], hidden, part, own)
                first_only = is_first and name == "x"
                copy = self.transposed(offsets["panels"], n_vecs, part, columns[name], first_only, words=True)
                if piece.start == 0:  # the copies of the other pieces follow
                    offsets[f"{name}_transposed"] = copy
        offsets["n_copies"] = len(self.copies) - offsets["first_copy"]
        return offsets

    def _norms(self, cell, hidden, stride, part, end):
        """Lay out without gaps: gains of the sums that read x, h and the gated h, then gain and shift of the state."""
        parts = [("ih", "x")] + [("hh", name) for name, run in cell.runs().items() if name != "x" and run]
        n_sets = 3 if cell.gated_count else 2
        offset = self._reserve((n_sets * cell.n_sums + 2 * cell.normalises_state) * stride, False)
        for name, run in parts:
            k = ("x", "h", "gated").index(run)
            slots = [None if slot is None else slot + cell.runs()[run].start for slot in cell.slots(run)]
            self._blocks(f"norm_weight_{name}{end}", offset + k * cell.n_sums * stride, 1, hidden, part, slots)
        if cell.normalises_state:
            for k, kind in enumerate(("weight", "bias")):
                begin = offset + (n_sets * cell.n_sums + k) * stride
                self._vector(self._flat_offsets[f"norm_{kind}_c{end}"], begin, hidden)
        return offset
