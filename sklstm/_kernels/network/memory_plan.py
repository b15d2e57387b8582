"""Where each parameter of a network stands in a vector of panels, the layout that the kernels read.

A *piece* says how one named array comes into the panels and back; a *copy* is a matrix that the way back reads in
another order; a *segment* is a stretch of equal weight decay.
"""

from math import prod

GATES, DENSE, VECTOR = range(3)

# Everything starts at a multiple of 16 elements: 64 bytes for either dtype.
ALIGNMENT = 16


def round_up(n, step):
    """Return the next multiple of step."""
    return -(-n // step) * step


class Plan:
    """The places of all parameters, filled in their order.

    Parameters
    ----------
    architecture : Architecture
    lanes : int
        Numbers in a vector of this instruction set.

    Attributes
    ----------
    size, back_size : int
        Length of a vector of panels, and of the copies for the way back.
    pieces : list of (kind, place in the flat vector, place in the panels, four sizes)
        GATES: columns, units, first column, columns in all. DENSE: columns, rows. VECTOR: length.
    copies : list of tuple
        The fields of `Copy` (_stack.pxd) in their order.
    segments : list of (end, bool)
        Where stretches of the panels end, and whether they decay: biases and norms do not.
    """

    def __init__(self, architecture, lanes):
        self.architecture, self.lanes = architecture, lanes
        self.size = self.back_size = self.n_parameters = 0
        self.pieces, self.copies, self.segments, self._begins = [], [], [], {}
        for name, shape in architecture.parameters:
            self._begins[name] = self.n_parameters
            self.n_parameters += prod(shape)

    def _take(self, n, decays):
        place = self.size
        self.size += round_up(n, ALIGNMENT)
        if self.segments and self.segments[-1][1] == decays:
            self.segments.pop()
        self.segments.append((self.size, decays))
        return place

    def gates(self, parts, hidden, *, decays=True):
        """Place matrices of 4 hidden rows beside each other; `parts` are their names and numbers of columns."""
        wide, offset = sum(columns for _, columns in parts), 0
        place = self._take(4 * round_up(hidden, self.lanes) * wide, decays)
        for name, columns in parts:
            self.pieces.append((GATES, self._begins[name], place, columns, hidden, offset, wide))
            offset += columns
        return place

    def dense(self, name, n_columns, n_rows):
        """Place a matrix (n_rows, n_columns) that maps columns to rows."""
        place = self._take(round_up(n_rows, 4 * self.lanes) * n_columns, True)
        self.pieces.append((DENSE, self._begins[name], place, n_columns, n_rows, 0, 0))
        return place

    def vectors(self, names, n, stride, *, decays=False, count=1):
        """Place vectors `stride` apart; with a count, each name holds so many of them."""
        place = self._take(len(names) * count * stride, decays)
        for i, name in enumerate(names):
            for k in range(count):
                self.pieces.append((VECTOR, self._begins[name] + k * n, place + (i * count + k) * stride, n, 0, 0, 0))
        return place

    def copy(self, panels, n_unit_panels, n_k, first_k, n_columns, input_only=False):
        """Make room for columns first_k.. of a matrix in panels, as the way back reads them."""
        place = self.back_size
        self.copies.append((panels, n_unit_panels, n_k, first_k, n_columns, place, input_only))
        self.back_size += round_up(n_unit_panels * 4 * self.lanes * round_up(n_columns, self.lanes), ALIGNMENT)
        return place

    def recurrence(self, layer, suffix):
        """Place one direction of a layer; return the offsets of `Recurrence` (_stack.pxd) by their names."""
        shape, hidden = self.architecture, self.architecture.hidden_sizes[layer]
        d, width, end = shape.step_size(layer), shape.width(layer), f"_l{layer}{suffix}"
        stride = round_up(hidden, self.lanes)
        places = dict.fromkeys(("peepholes", "gate_norm", "projection", "projection_back"), -1)
        places["panels"] = self.gates([(f"weight_ih{end}", d), (f"weight_hh{end}", width)], hidden)
        places["panel_bias"] = self.gates([(f"bias{end}", 1)], hidden, decays=False)
        if shape.peephole:
            places["peepholes"] = self.vectors([f"weight_peephole{end}"], hidden, stride, decays=True, count=3)
        if shape.layer_norm == "gates":
            # Without gaps: gain of x W_ih, gain of h W_hh, then gain and shift of c.
            place = places["gate_norm"] = self._take(10 * stride, False)
            for k, kind in enumerate(("ih", "hh")):
                begin = self._begins[f"norm_weight_{kind}{end}"]
                self.pieces.append((GATES, begin, place + 4 * k * stride, 1, hidden, 0, 1))
            for k, kind in enumerate(("weight", "bias")):
                begin = self._begins[f"norm_{kind}_c{end}"]
                self.pieces.append((VECTOR, begin, place + (8 + k) * stride, hidden, 0, 0, 0))
        n_units = stride // self.lanes
        places["hh_back"] = self.copy(places["panels"], n_units, d + width, d, width)
        places["ih_back"] = self.copy(places["panels"], n_units, d + width, 0, d, input_only=layer == 0)
        if shape.projection_size:
            places["projection"] = self.dense(f"weight_hr{end}", hidden, width)
            places["projection_back"] = self.dense_copy(places["projection"], hidden, width)
        return places

    def dense_copy(self, panels, n_columns, n_rows):
        """Make room for a dense matrix as the way back reads it: from rows to columns."""
        return self.copy(panels, round_up(n_rows, 4 * self.lanes) // (4 * self.lanes), n_columns, 0, n_columns)
