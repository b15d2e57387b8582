"""Layers whose products are integers, from the equations alone: exact integers, then floats.

For one sum of a unit::

    n_k  = clip(rint(v_k * inv_k), lowest, highest)           inv_k = 1 / step_k, in float32
    sum  = bias + scale * (q . n)                             q integers, the dot product exact

of x and of h, each with a scale for each row and steps of its own. With int8, ``[lowest, highest]`` is [-128, 127]. Of
the input of the first layer, and with int16, 16 bits are read, up to 32767 or up to A = floor(sqrt(10 2^31 / K)) of K
columns, at most 128; the columns go in parts of 96, each with a dot product that is scaled and added by itself.
`Integers` holds what one matrix needs; `integer_step` runs one step of any cell of `REFERENCE_CELLS`, its products in
integers and all else in float64; `elman_relu_float32` runs whole sequences of the one cell without an activation that
rounds, in the order of float32 operations that the package promises.
"""

from typing import NamedTuple

import numpy as np

from reference.cells import REFERENCE_CELLS
from reference.layer import blocks, normalise


def limits(dtype, n_columns, *, of_input=False):
    """The least and the largest integer that is read of so many columns."""
    if dtype == "int8":
        return (-32767, 32767) if of_input else (-128, 127)
    largest = min(32767, int(np.sqrt(10 * 2**31 / min(n_columns, 128))))
    return -largest, largest


class Integers(NamedTuple):
    """A matrix of integers: row scales, steps of the columns, and the range of what the columns read."""

    weight: np.ndarray  # (R, K)
    scale: np.ndarray  # (R,) float32
    step: np.ndarray  # (K,) float32
    limits: tuple

    def read(self, v):
        """What stands for the numbers v: int64."""
        inverse = np.float32(1.0) / self.step
        return np.clip(np.rint(v.astype(np.float32) * inverse), *self.limits).astype(np.int64)

    def sums(self, v):
        """The integers of the product with v, exact, part by part."""
        read, n = self.read(v), len(v) if self.limits == (-128, 127) else 96
        found = [self.weight[:, k : k + n].astype(np.int64) @ read[k : k + n] for k in range(0, len(v), n)]
        assert all(np.abs(part).max(initial=0) < 2**31 for part in found)
        return found

    def product(self, v):
        """The product with v in float64."""
        return sum(part.astype(np.float32).astype(np.float64) for part in self.sums(v)) * self.scale

    def add_product(self, v, z):
        """z and the product with v, in float32, bit for bit."""
        for part in self.sums(v):
            z = fused(part.astype(np.float32), self.scale, z)
        return z

    def rows(self, begin, end):
        return Integers(self.weight[begin:end], self.scale[begin:end], self.step, self.limits)


def matrices(parameters, end, dtype, layer):
    """The matrices of one direction of layer number `layer` in integers, by what they read, and its other parameters.

    parameters: those of a quantised model, whose names end in `end`.
    """
    own = {name.removesuffix(end): array for name, array in parameters.items() if name.endswith(end)}
    weight = own.pop("weight_ih")
    range_x = limits(dtype, weight.shape[1], of_input=layer == 0)
    found = {"x": Integers(weight, own.pop("scale_ih"), own.pop("step_x"), range_x)}
    if "weight_hh" in own:
        weight, scale = own.pop("weight_hh"), own.pop("scale_hh")
        for part in ("h", "gated"):
            if f"step_{part}" in own:
                found[part] = Integers(weight, scale, own.pop(f"step_{part}"), limits(dtype, weight.shape[1]))
    return found, own


def integer_step(name, x, states, found, own, zoneout=0.0):
    """One step of one sequence of cell `name`: h and, if there is one, the second state -> the same, in float64."""
    cell = REFERENCE_CELLS[name]
    h = states[0]
    parameters = {key: np.asarray(array, np.float64) for key, array in own.items()}
    n_h = len(found["h"].weight if "h" in found else found["gated"].weight) // len(cell.h) if cell.h else 0

    def product(names=cell.h, factor=None, of=None):
        read = h if factor is None else factor * h
        matrix = found["h" if factor is None and of is None else "gated"]
        parts = []
        for block in names:
            place = cell.h.index(block)
            parts.append(matrix.rows(place * n_h, (place + 1) * n_h).product(read if of is None else of))
        sums = np.concatenate(parts)
        if "norm_weight_hh" in parameters:
            gains = blocks(parameters["norm_weight_hh"], cell.h)
            sums = normalise(sums) * np.concatenate([gains[block] for block in names])
        return blocks(sums, names)

    from_x = found["x"].product(x)
    if "norm_weight_ih" in parameters:
        from_x = normalise(from_x) * parameters["norm_weight_ih"]
    output, second = cell.step(
        blocks(from_x, cell.x),
        product if cell.h else None,
        blocks(parameters["bias"], cell.sums),
        states[-1],
        parameters,
    )
    new = [parameters["weight_hr"] @ output if "weight_hr" in parameters else output, second][: len(states)]
    return [zoneout * before + (1.0 - zoneout) * after for before, after in zip(states, new, strict=True)]


def fused(a, b, c):
    """a * b + c of float32, rounded once: the product is exact in 64 bits of mantissa."""
    wide = np.longdouble(a) * np.longdouble(b) + np.longdouble(c)
    return wide.astype(np.float32)


def elman_relu_float32(found, bias, sequence):
    """All hidden states (T, H) of ``h = relu(b + W x + U h)``, in float32, bit for bit."""
    h, out = np.zeros(len(bias), np.float32), []
    for x in sequence:
        z = found["h"].add_product(h, found["x"].add_product(x, bias))
        h = np.maximum(z, np.float32(0))
        out.append(h)
    return np.array(out)
