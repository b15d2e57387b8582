"""Layers of integer products against the NumPy reference: the integers exactly, what follows them to rounding."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from quantization.integer_case import IntegerCase
from reference.cells import REFERENCE_CELLS
from reference.layer import state_sizes
from reference.quantised import elman_relu_float32, integer_step, matrices

from sklstm._kernels import available_isas
from sklstm._network.cells import CELLS
from sklstm._network.integers import BYTES, BYTES_OF_INPUTS, DTYPES, halves, quantise_rows

ISAS = available_isas("reduced")
each_isa = pytest.mark.parametrize("isa", ISAS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)
# Around whole words, vectors, and blocks of words.
SIZES = [(1, 1), (2, 3), (3, 4), (5, 5), (7, 17), (16, 33), (33, 64), (300, 70), (129, 260)]


@each_isa
@each_dtype
@pytest.mark.parametrize(("n_columns", "hidden"), SIZES)
def test_whole_sequences_of_a_rectified_cell_are_exact(isa, dtype, n_columns, hidden):
    """The one recurrent cell without an activation that rounds: every bit of every step is known."""
    for n in (1, 2, 3, 7, 12):
        case = IntegerCase(
            dtype, (hidden,), isa=isa, seed=n, n=n, n_columns=n_columns, cell="elman_relu", every_step=True
        )
        case.states[:] = 0
        found, own = matrices(case.parameters, "_l0", dtype, 0)
        _, hidden_states, _ = case.forward()
        last = [elman_relu_float32(found, own["bias"], rows)[-1] for rows in case.rows]
        assert_array_equal(hidden_states, last)


OPTIONS = {
    "plain": {},
    "bidirectional": {"bidirectional": True},
    "projection": {"projection_size": 3},
    "peephole": {"peephole": True},
    "cell_norm": {"cell_norm": True},
    "zoneout": {"zoneout": 0.3},
    "residual": {"residual": 1},
    "all": {"projection_size": 3, "peephole": True, "zoneout": 0.2, "bidirectional": True},
}


def possible(cell):
    """Names of the options that a cell can have."""
    entry, names = CELLS[cell], list(OPTIONS)
    if not entry.projects:
        names = [name for name in names if "projection_size" not in OPTIONS[name]]
    if not (entry.n_vectors and entry.vectors_are_optional):
        names = [name for name in names if not OPTIONS[name].get("peephole")]
    return names


@each_dtype
@pytest.mark.parametrize(("cell", "name"), [(cell, name) for cell in CELLS for name in possible(cell)])
def test_one_step_of_each_cell(cell, name, dtype):
    """From any state: what a step reads is the same float32 in both, and so are its integers."""
    for number, isa in enumerate(ISAS):
        hidden = (6, 6) if name == "residual" else (5, 19)
        case = IntegerCase(dtype, hidden, isa=isa, seed=number, n=4, cell=cell, longest=1, n_columns=5, **OPTIONS[name])
        check_one_step(case, cell, OPTIONS[name].get("zoneout", 0.0))


def check_one_step(case, cell, zoneout):
    _, _, final = case.forward()
    for rows, before, after in zip(case.rows, case.states, final, strict=True):
        x, begin = rows[0], 0
        for layer in range(case.shape.n_layers):
            outputs = []
            for suffix in case.shape.directions:
                found, own = matrices(case.parameters, f"_l{layer}{suffix}", case.dtype, layer)
                sizes = state_sizes_of(cell, own)
                ends = begin + np.cumsum(sizes)
                states = np.split(before[begin : ends[-1]].astype(np.float64), np.cumsum(sizes)[:-1])
                expected = np.concatenate(integer_step(cell, x, states, found, own, zoneout))
                # A gated h is rounded from a gate that is known to float32: one step more or less.
                gated = (
                    2 * np.abs(found["gated"].weight * found["gated"].scale[:, None]).max() if "gated" in found else 0
                )
                assert_allclose(after[begin : ends[-1]], expected, rtol=3e-5, atol=3e-5 + gated)
                outputs.append(after[begin : begin + sizes[0]])
                begin = ends[-1]
            y = np.concatenate(outputs)
            if case.shape.residual and layer:
                y = (y + x) * np.float32(0.70710678118654752440)
            x = y


def state_sizes_of(cell, own):
    return state_sizes(REFERENCE_CELLS[cell], own)


@pytest.mark.parametrize(
    ("make_kind", "largest"), [(lambda n: BYTES, 127), (lambda n: BYTES_OF_INPUTS, 127), (halves, 32767)]
)
def test_weights_fill_their_range_and_sums_cannot_overflow(make_kind, largest):
    rng = np.random.default_rng(0)
    for n_columns in (1, 3, 64, 700, 5000):
        kind = make_kind(n_columns)
        reach = max(-kind.lowest, kind.highest)
        assert reach <= 32767
        for spread in (1e-30, 1e-3, 1.0, 1e3):
            weight = rng.standard_t(3, size=(7, n_columns)) * spread
            weight[0] = 0.0
            weight[1] = spread
            step = rng.uniform(0.5, 2.0, n_columns).astype(np.float32)
            integers, scale = quantise_rows(weight, step, kind)
            # Of 16 bits, sums of 96 columns.
            n_summed = n_columns if kind is BYTES else 96
            parts = [np.abs(integers[:, k : k + n_summed].astype(np.int64)) for k in range(0, n_columns, n_summed)]
            sums = np.max([part.sum(axis=1) for part in parts], axis=0) * reach
            assert max(sums) < 2**31
            # Each row fills one of both ranges.
            share = np.maximum(np.abs(integers.astype(int)).max(axis=1) / largest, sums.astype(float) / 2**31)
            assert (share[1:] > 0.99).all()
            assert (integers[0] == 0).all()
            assert_allclose(integers * scale[:, None] / step, weight, atol=0.51 * (scale[:, None] / step).max())
