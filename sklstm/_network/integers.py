"""Recurrent layers whose products are integers: formats, scales, and the words that the kernels read.

A sum of a unit is ``bias + scale_x * (q_x @ n_x) + scale_h * (q_h @ n_h)``. The q are integer weights, a scale for each
row of a matrix; the n are what a layer reads, ``clip(round(v / step))`` with a step for each column. Products and their
sums are exact, so they have the same bits in any order (Jacob et al. 2018, section 2; here each row has a scale of its
own, x and h have steps of their own, and the sums leave the integers before the activations). With 16 bits, each
`COLUMNS_OF_A_SUM` columns have an integer sum of their own; ``scale`` times these sums are added as floats, in order.
"""

from dataclasses import dataclass
from math import isqrt

import numpy as np

from sklstm._network.cells import CELLS
from sklstm._network.parameters import Parameter, ParameterLayout

LARGEST_SUM = 2**31 - 1
SMALLEST = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class IntegerFormat:
    """Integers of one product: the weights of a matrix, and what they multiply.

    Attributes
    ----------
    number : int
        In the kernels (isa/words.h).
    dtype : type
        In which the weights are stored.
    word : type
        In which the kernels read them.
    largest_weight : int
    lowest, highest : int
        Of what a layer reads.
    n_summed : int
        Columns whose products are summed as integers, before they become a float.
    """

    number: int
    dtype: type
    word: type
    largest_weight: int
    lowest: int
    highest: int
    n_summed: int

    @property
    def per_word(self):
        """Numbers in a word of 32 bits."""
        return 4 // np.dtype(self.word).itemsize

    def words(self, n):
        """Return how many words n numbers fill."""
        return -(-n // self.per_word)

    @property
    def zero(self):
        """What stands for zero in a row: numbers of 8 bits are stored unsigned."""
        return -self.lowest if self.per_word == 4 else 0


# The number of products of floats in the kernels, of unsigned by signed bytes, and of 16 bits.
REALS, U8_S8, S16_PAIRS = 0, 3, 2
LARGEST_HALF = 32767
# A sum of products of 16 bits is of so many columns (COLUMNS_OF_A_SUM, isa/integers.h), one of bytes of all.
COLUMNS_OF_A_SUM = 96
BYTES = IntegerFormat(U8_S8, np.int8, np.int8, 127, -128, 127, LARGEST_SUM)

DTYPES = ("int8", "int16")


def halves(n_columns):
    """Return the format of 16 bits for rows of a matrix that have so many columns.

    What is read and the weights share the 31 bits of a sum. With A the largest number that is read, its rounding is
    about 1 / A of the range; the weights of n columns, whose sizes add up to 2^31 / A at most, are rounded by about A
    n / 2^31 of their own size. Both count alike where A^2 = c 2^31 / n, with c = 10 for a range of eight deviations.
    More than 128 columns count as 128: models of before, whose sums were of so many, keep their range and cannot
    overflow.
    """
    highest = min(LARGEST_HALF, isqrt(10 * 2**31 // min(n_columns, 128)))
    return IntegerFormat(S16_PAIRS, np.int16, np.int16, LARGEST_HALF, -highest, highest, COLUMNS_OF_A_SUM)


# The first layer with int8 reads 16 bits, as inputs may reach far beyond what was seen; weights are bytes.
BYTES_OF_INPUTS = IntegerFormat(S16_PAIRS, np.int8, np.int16, 127, -LARGEST_HALF, LARGEST_HALF, COLUMNS_OF_A_SUM)


def kinds_of(dtype, layer, architecture):
    """Return the `IntegerFormat` of the products of a layer with "x", "h" and the "gated" h.

    Parameters
    ----------
    dtype : {"int8", "int16"}
    layer : int
    architecture : Architecture
    """
    n_x, n_h = architecture.step_size(layer), architecture.width(layer)
    if dtype == "int16":
        return {"x": halves(n_x), "h": halves(n_h), "gated": halves(n_h)}
    return {"x": BYTES if layer else BYTES_OF_INPUTS, "h": BYTES, "gated": BYTES}


def largest_input(parameters, dtype, architecture):
    """Return the size beyond which the integers of the first layer clip a standardised input.

    Parameters
    ----------
    parameters : dict of str to ndarray
        Of a quantised model.
    dtype : {"int8", "int16"}
    architecture : Architecture
    """
    return float(parameters["step_x_l0"].max()) * kinds_of(dtype, 0, architecture)["x"].highest


def quantise_rows(weight, step, kind):
    """Return integer weights and the scale of each row.

    Parameters
    ----------
    weight : ndarray of shape (n_rows, n_columns)
    step : ndarray of shape (n_columns,)
        That of what the columns multiply.
    kind : IntegerFormat

    Returns
    -------
    integers : ndarray of shape (n_rows, n_columns)
    scale : ndarray of shape (n_rows,)
        Of float32, so large that ``weight * step / scale`` fits into an integer, and that no sum of products overflows.
    """
    reach = max(-kind.lowest, kind.highest)
    scaled = weight.astype(np.float64) * step
    begins = np.arange(0, weight.shape[1], kind.n_summed)
    # Rounding adds at most 1/2 to each number.
    room = LARGEST_SUM / reach - min(weight.shape[1], kind.n_summed) / 2
    sizes = np.abs(scaled)
    sums = np.add.reduceat(sizes, begins, axis=1).max(axis=1)
    scale = np.maximum(sizes.max(axis=1) / kind.largest_weight, sums / room)
    scale = np.nextafter(np.maximum(scale, SMALLEST).astype(np.float32), np.float32(np.inf))
    integers = np.rint(scaled / scale[:, np.newaxis].astype(np.float64))
    return integers.astype(kind.dtype), scale


def to_words(integers, kind):
    """Return a matrix of integers as one of words, seen as float32; filled up with zeros."""
    n_rows, n_columns = integers.shape
    padded = np.zeros((n_rows, kind.words(n_columns) * kind.per_word), kind.word)
    padded[:, :n_columns] = integers
    return padded.view(np.float32)


class IntegerLayout(ParameterLayout):
    """The parameters of a network, some of whose layers multiply integers, as its kernels read them.

    ``weight_ih`` and ``weight_hh`` of such a layer are matrices of words. It has more vectors: ``start_ih`` and
    ``start_hh``, where the sums of each row begin (int32, seen as float32), ``scale_ih`` and ``scale_hh``, and the
    inverse of the steps, ``inverse_x``, ``inverse_h``, ``inverse_gated``.

    Parameters
    ----------
    architecture : Architecture
    formats : sequence of {"int8", "int16", None}
        Of each layer; None for float32.
    """

    def __init__(self, architecture, formats):
        self.architecture, self.cell, self.formats = architecture, CELLS[architecture.cell], tuple(formats)
        shapes = dict(architecture.parameters)
        for k, name in enumerate(self.formats):
            if name is not None:
                for suffix in architecture.directions:
                    shapes |= self._shapes_of_integers(k, f"_l{k}{suffix}", kinds_of(name, k, architecture))
        self.parameters, begin = [], 0
        for name, shape in shapes.items():
            self.parameters.append(Parameter(name, shape, begin))
            begin = self.parameters[-1].end

    @property
    def integers(self):
        """Return the layout itself: the kernels of reduced number formats run it."""
        return self

    def read(self):
        """Return name and number of columns of all that layers read, in the order in which the kernels measure it."""
        shape, sizes = self.architecture, []
        for layer in range(shape.n_layers):
            for suffix in shape.directions:
                columns = {"x": shape.step_size(layer)}
                for part in reads_of(self.cell):
                    sizes.append((f"{part}_l{layer}{suffix}", columns.get(part, shape.width(layer))))
        return sizes

    def _shapes_of_integers(self, layer, end, kinds):
        shape, cell = self.architecture, self.cell
        hidden, n_x, n_h = shape.hidden_sizes[layer], shape.step_size(layer), shape.width(layer)
        rows_x, rows_h = len(cell.gates_x) * hidden, len(cell.gates_h) * hidden
        shapes = {f"weight_ih{end}": (rows_x, kinds["x"].words(n_x))}
        shapes |= {f"start_ih{end}": (rows_x,), f"scale_ih{end}": (rows_x,), f"inverse_x{end}": (n_x,)}
        if cell.has_weight_hh:
            shapes |= {f"weight_hh{end}": (rows_h, kinds["h"].words(n_h))}
            shapes |= {f"start_hh{end}": (rows_h,), f"scale_hh{end}": (rows_h,)}
            shapes |= {f"inverse_{part}{end}": (n_h,) for part in reads_of(cell) if part != "x"}
        return shapes


def reads_of(cell):
    """Return which of x, h and the gated h the products of a cell read."""
    return [name for name, run in cell.runs().items() if len(run)]


def integer_names(architecture, formats):
    """Return what a quantised model stores more, or otherwise, than its float32 parameters: names, shapes and dtypes.

    Parameters
    ----------
    architecture : Architecture
    formats : sequence of {"int8", "int16", None}

    Returns
    -------
    dict of str to (shape, dtype)
    """
    cell, found = CELLS[architecture.cell], {}
    for layer, name in enumerate(formats):
        if name is None:
            continue
        hidden, kinds = architecture.hidden_sizes[layer], kinds_of(name, layer, architecture)
        sizes = {"x": architecture.step_size(layer), "h": architecture.width(layer), "gated": architecture.width(layer)}
        for suffix in architecture.directions:
            end = f"_l{layer}{suffix}"
            found[f"weight_ih{end}"] = (len(cell.gates_x) * hidden, sizes["x"]), kinds["x"].dtype
            found[f"scale_ih{end}"] = (len(cell.gates_x) * hidden,), np.float32
            if cell.has_weight_hh:
                found[f"weight_hh{end}"] = (len(cell.gates_h) * hidden, sizes["h"]), kinds["h"].dtype
                found[f"scale_hh{end}"] = (len(cell.gates_h) * hidden,), np.float32
            found |= {f"step_{part}{end}": ((sizes[part],), np.float32) for part in reads_of(cell)}
    return found


def quantise_parameters(parameters, architecture, formats, steps):
    """Return the parameters of a network with the matrices of some layers as integers, their scales and steps.

    Parameters
    ----------
    parameters : dict of str to ndarray
        Of float.
    architecture : Architecture
    formats : sequence of {"int8", "int16", None}
        Of each layer; None leaves it as it is.
    steps : dict of str to ndarray
        ``step_x_l0``, ... for each column that a layer reads.
    """
    cell, result = CELLS[architecture.cell], {name: np.asarray(a, np.float32) for name, a in parameters.items()}
    for layer, name in enumerate(formats):
        if name is None:
            continue
        kinds = kinds_of(name, layer, architecture)
        for end in (f"_l{layer}{suffix}" for suffix in architecture.directions):
            own = {part: steps[f"step_{part}{end}"] for part in reads_of(cell)}
            result |= {f"step_{part}{end}": step for part, step in own.items()}
            weight = parameters[f"weight_ih{end}"]
            result[f"weight_ih{end}"], result[f"scale_ih{end}"] = quantise_rows(weight, own["x"], kinds["x"])
            if not cell.has_weight_hh:
                continue
            blocks = np.split(parameters[f"weight_hh{end}"], len(cell.gates_h))
            parts = [
                quantise_rows(block, own[cell.part_of(gate)], kinds["h"])
                for gate, block in zip(cell.gates_h, blocks, strict=True)
            ]
            result[f"weight_hh{end}"] = np.concatenate([integers for integers, _ in parts])
            result[f"scale_hh{end}"] = np.concatenate([scale for _, scale in parts])
    return result


def to_flat(parameters, layout):
    """Return the flat vector of an `IntegerLayout` from the parameters of `quantise_parameters`."""
    arrays = dict(parameters)
    for layer, name in enumerate(layout.formats):
        if name is None:
            continue
        kinds = kinds_of(name, layer, layout.architecture)
        for end in (f"_l{layer}{suffix}" for suffix in layout.architecture.directions):
            for matrix in ("ih", "hh") if layout.cell.has_weight_hh else ("ih",):
                kind = kinds["x" if matrix == "ih" else "h"]
                integers = parameters[f"weight_{matrix}{end}"]
                start = -kind.zero * integers.sum(axis=1, dtype=np.int64)
                arrays[f"start_{matrix}{end}"] = start.astype(np.int32).view(np.float32)
                arrays[f"weight_{matrix}{end}"] = to_words(integers, kind)
            for part in reads_of(layout.cell):
                arrays[f"inverse_{part}{end}"] = np.float32(1.0) / parameters[f"step_{part}{end}"]
    flat = np.empty(layout.size, np.float32)
    for p in layout.parameters:
        flat[p.begin : p.end] = np.asarray(arrays[p.name], np.float32).ravel()
    return flat
