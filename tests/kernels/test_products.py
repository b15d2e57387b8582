"""The register tile as C text: compiled here, so that a width this machine cannot run is tested too.

`SKLSTM_VEC_BYTES=64` gives the tile of x86_v4, 6 rows by 64 columns, in vectors that the compiler takes
apart into what the machine has. Its assembler, with the flags of setup.py, must keep the accumulators
in registers: a tile that spills is correct and three times slower, so no other test would notice.
"""

import ctypes
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from kernels.tile_driver import (
    call,
    compile_driver,
    count_memory,
    needs_compiler,
    needs_gcc_on_x86,
    row_addresses,
    tile_loops,
)
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit

from sklstm._kernels import ISA, available_isas

pytestmark = [
    pytest.mark.skipif(available_isas()[-1] != ISA, reason="compiles for itself: once, with the best set, will do"),
    *needs_compiler,
]

# How 64-byte vectors are compiled for what this machine can run; "baseline" is possible everywhere.
WIDE_FLAGS = {
    "baseline": [],
    "x86_v3": ["-mavx2", "-mfma"],
    "x86_v4": ["-mavx512f", "-mavx512dq"],
}
# The rows of the tiles of so many vectors.
ROWS = {4: (6, 5, 4, 3, 2, 1), 3: (6, 4, 2, 1), 2: (12, 6, 4, 2, 1), 1: (12, 6, 4, 2, 1)}
CLOSE = {"float32": {"rtol": 2e-6, "atol": 2e-6}, "float64": {"rtol": 1e-13, "atol": 1e-14}}


@pytest.fixture(
    scope="module",
    # The last is that of an AVX-512 machine without joined products: nobody's, but each of the two
    # ways of v_fma is tested wherever the suite runs.
    params=[("float32", ISA), ("float64", ISA), ("float64", "baseline")],
    ids="-".join,
)
def tile(request, tmp_path_factory):
    """The functions of the driver for one dtype, and what a test needs to call them."""
    dtype, isa = request.param
    folder = tmp_path_factory.mktemp("tile")
    # Without optimisation: it takes seconds, and what is tested is the text.
    flags = ["-O0", "-shared", "-fPIC", "-ffp-contract=off", "-DSKLSTM_VEC_BYTES=64"]
    path = compile_driver(folder, dtype, [*flags, *WIDE_FLAGS[isa]], folder / "tile.so")
    library = ctypes.CDLL(str(path))
    return SimpleNamespace(library=library, dtype=np.dtype(dtype), lanes=library.lanes(), close=CLOSE[dtype])


def normal(rng, tile, *shape):
    return rng.normal(size=shape).astype(tile.dtype)


def test_width(tile):
    assert tile.lanes == 64 // tile.dtype.itemsize
    assert tile.library.rows_of_tile() == 6


@pytest.mark.parametrize("vecs", [4, 3, 2, 1])
@pytest.mark.parametrize("n_k", [0, 1, 5, 40])
@pytest.mark.parametrize("add", [0, 1])
def test_product_tile(tile, add, n_k, vecs):
    rng = np.random.default_rng(n_k)
    width = vecs * tile.lanes
    panel, a = normal(rng, tile, n_k, width), normal(rng, tile, 12, n_k + 3)
    before = normal(rng, tile, 12, width + 5)
    full = None
    for rows in ROWS[vecs]:
        out = before.copy()
        call(
            tile.library.drive_product, rows, vecs, add, n_k, row_addresses(a), panel, out, out.shape[1]
        )  # fmt: skip
        exact = a[:rows, :n_k].astype(np.float64) @ panel.astype(np.float64)
        assert_allclose(out[:rows, :width], exact + add * before[:rows, :width], **tile.close)
        # Neither the gap between two rows nor the rows that were not asked for are touched.
        assert_array_equal(out[:, width:], before[:, width:])
        assert_array_equal(out[rows:], before[rows:])
        full = out if full is None else full
        assert_array_equal(out[:rows], full[:rows])


@pytest.mark.parametrize("vecs", [4, 3, 2, 1])
def test_any_number_of_rows_is_cut_into_tiles_that_exist(tile, vecs):
    for n_rows in range(1, 40):
        left = n_rows
        while left > 0:
            rows = tile.library.next_rows(vecs, ctypes.c_ssize_t(left))
            assert rows in ROWS[vecs]
            assert rows <= left
            left -= rows


@pytest.mark.parametrize("vecs", [4, 3, 2, 1])
@pytest.mark.parametrize("n_pairs", [1, 7, 64])
def test_outer_tile(tile, n_pairs, vecs):
    rng = np.random.default_rng(n_pairs)
    width = vecs * tile.lanes
    a, d = normal(rng, tile, n_pairs, 9), normal(rng, tile, n_pairs, width + 2)
    before = normal(rng, tile, 6, width)
    full = None
    for rows in (rows for rows in ROWS[vecs] if rows <= 6):
        out = before.copy()
        call(tile.library.drive_outer, rows, vecs, n_pairs, a, a.shape[1], d, d.shape[1], out)
        exact = a[:, :rows].astype(np.float64).T @ d[:, :width].astype(np.float64)
        scale = np.sqrt(n_pairs)  # of the sums, for the absolute part of the tolerance
        assert_allclose(out[:rows] / scale, (exact + before[:rows]) / scale, **tile.close)
        assert_array_equal(out[rows:], before[rows:])
        full = out if full is None else full
        assert_array_equal(out[:rows], full[:rows])


@pytest.mark.parametrize("add", [0, 1])
@pytest.mark.parametrize("n_vecs", [1, 2, 3, 4, 6])
@pytest.mark.parametrize(("n_runs", "length", "stride"), [(1, 7, 0), (3, 2, 5), (2, 4, 4)])
def test_product_of_runs(tile, n_runs, length, stride, n_vecs, add):
    """Rows of some sums of each unit: runs of numbers, with others between them."""
    rng = np.random.default_rng(n_vecs)
    places = (np.arange(n_runs)[:, np.newaxis] * stride + np.arange(length)).ravel()
    a, weight = normal(rng, tile, 14, places.max() + 4), normal(rng, tile, len(places), n_vecs * tile.lanes)
    panels = [weight[:, k : k + 4 * tile.lanes].ravel() for k in range(0, weight.shape[1], 4 * tile.lanes)]
    before = normal(rng, tile, 14, weight.shape[1])
    out = before.copy()
    call(
        tile.library.drive_runs, 14, n_runs, length, stride, n_vecs, a, a.shape[1], np.concatenate(panels), out,
        out.shape[1], add,
    )  # fmt: skip
    exact = a[:, places].astype(np.float64) @ weight.astype(np.float64) + add * before
    assert_allclose(out, exact, **tile.close)


@pytest.mark.parametrize("add", [0, 1])
@pytest.mark.parametrize("n_vecs", [1, 2, 6])
@pytest.mark.parametrize(("n_full", "n_runs", "length", "stride"), [(0, 1, 3, 8), (12, 4, 1, 8), (7, 3, 4, 4)])
def test_product_of_padded_rows(tile, n_full, n_runs, length, stride, n_vecs, add):
    """The numbers behind the first ones of each run at the end of a row are passed over, whatever they are."""
    rng = np.random.default_rng(n_vecs)
    n_k = n_full + n_runs * stride
    a, weight = normal(rng, tile, 17, n_k + 2), normal(rng, tile, n_k, n_vecs * tile.lanes)
    is_read = np.r_[np.ones(n_full, bool), np.tile(np.arange(stride) < length, n_runs)]
    a[:, :n_k][:, ~is_read] = np.nan
    panels = [weight[:, k : k + 4 * tile.lanes].ravel() for k in range(0, weight.shape[1], 4 * tile.lanes)]
    before = normal(rng, tile, 17, weight.shape[1])
    out = before.copy()
    call(
        tile.library.drive_padded, 17, n_k, n_runs, length, stride, n_vecs, a, a.shape[1], np.concatenate(panels), out,
        out.shape[1], add,
    )  # fmt: skip
    exact = a[:, :n_k][:, is_read].astype(np.float64) @ weight[is_read].astype(np.float64) + add * before
    assert_allclose(out, exact, **tile.close)


@pytest.mark.parametrize("vecs", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(("n_rows", "n_pairs"), [(1, 1), (7, 24), (24, 3), (50, 24)])
def test_transposed_product(tile, n_rows, n_pairs, vecs):
    rng = np.random.default_rng(n_rows)
    width, room = vecs * tile.lanes, -(-n_rows // 24) * 24  # whole tiles, of 24 rows at most
    a, d = normal(rng, tile, n_pairs, room + 3), normal(rng, tile, n_pairs, width + 5)
    before = normal(rng, tile, room + 1, width + 5)
    out = before.copy()
    call(
        tile.library.transposed, n_rows, n_pairs, vecs, a, a.shape[1], d, d.shape[1], out, out.shape[1]
    )  # fmt: skip
    exact = a[:, :n_rows].astype(np.float64).T @ d[:, :width].astype(np.float64) + before[:n_rows, :width]
    scale = np.sqrt(n_pairs)
    assert_allclose(out[:n_rows, :width] / scale, exact / scale, **tile.close)
    assert_array_equal(out[:, width:], before[:, width:])
    assert_array_equal(out[room:], before[room:])


def gates_of(z):
    """(rows, 4, lanes) sums -> the four gates."""
    return expit(z[:, 0]), expit(z[:, 1]), np.tanh(z[:, 2]), expit(z[:, 3])


@pytest.mark.parametrize("three", [0, 1])
@pytest.mark.parametrize(("n_x", "n_h"), [(0, 5), (1, 1), (5, 16), (48, 33), (7, 0)])
def test_sums_of_a_panel(tile, n_x, n_h, three):
    """All four vectors read x and h, or the first three x and the last three h."""
    rng = np.random.default_rng(n_x)
    lanes, width = tile.lanes, 4 * tile.lanes
    x_run, h_run = (slice(0, 3 * lanes), slice(lanes, 4 * lanes)) if three else (slice(None), slice(None))
    panels, start = normal(rng, tile, 6, n_x + n_h, width), normal(rng, tile, 6, 6 * width)
    x, h = normal(rng, tile, 6, n_x + 1), normal(rng, tile, 6, n_h + 2)
    panels /= np.sqrt(n_x + n_h).astype(tile.dtype)
    exact = start.astype(np.float64).reshape(6, 6, width)
    exact[:, :, x_run] += np.einsum("rk,pkw->rpw", x[:, :n_x], panels[:, :n_x, x_run], dtype=np.float64)
    exact[:, :, h_run] += np.einsum("rk,pkw->rpw", h[:, :n_h], panels[:, n_x:, h_run], dtype=np.float64)
    found = np.full((6, 6, width), np.nan, tile.dtype)
    for p in range(6):
        packed = np.concatenate([panels[p, :n_x, x_run].ravel(), panels[p, n_x:, h_run].ravel()])
        for rows in (6, 5, 4, 3, 2, 1):
            sums = np.full((6, width + 3), np.nan, tile.dtype)
            call(
                tile.library.drive_sum_tile, three, rows, n_x, row_addresses(x), n_h, row_addresses(h), packed,
                row_addresses(start[:, p * width :]), sums, sums.shape[1],
            )  # fmt: skip
            assert np.isnan(sums[rows:]).all()
            assert np.isnan(sums[:, width:]).all()
            if rows == 6:
                found[:, p] = sums[:, :width]
            assert_array_equal(found[:rows, p], sums[:rows, :width])
    assert_allclose(found, exact, **tile.close)


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("n_panels", [1, 2])
@pytest.mark.parametrize("keeps_gates", [True, False])
def test_cell_forward(tile, n_panels, in_place, keeps_gates):
    rng = np.random.default_rng(n_panels)
    lanes, stride, n_rows = tile.lanes, 3 * tile.lanes, 5
    z, c_prev = normal(rng, tile, n_rows, 3, 4, lanes), normal(rng, tile, n_rows, stride)
    # (row, panel, gate, lane) -> four gates of all units.
    i, f, g, o = gates_of(z.astype(np.float64).transpose(0, 2, 1, 3).reshape(n_rows, 4, -1))
    used = n_panels * lanes
    c_exact = (f * c_prev + i * g)[:, :used]
    sums, gates = z.copy(), np.full_like(z, np.nan)
    c = c_prev.copy() if in_place else np.full_like(c_prev, np.nan)
    tanh_c, h = (np.full_like(c_prev, np.nan) for _ in range(2))
    call(
        tile.library.cell_forward, n_rows, n_panels, stride, sums, 12 * lanes, gates if keeps_gates else 0,
        c if in_place else c_prev, c, tanh_c if keeps_gates else 0, h,
    )  # fmt: skip
    assert_allclose(c[:, :used], c_exact, **tile.close)
    assert_allclose(h[:, :used], o[:, :used] * np.tanh(c_exact), **tile.close)
    for number, gate in enumerate((i, f, g, o)):
        assert_allclose(sums[:, :n_panels, number].reshape(n_rows, -1), gate[:, :used], **tile.close)
    if keeps_gates:
        assert_allclose(tanh_c[:, :used], np.tanh(c_exact), **tile.close)
        assert_array_equal(gates[:, :n_panels], sums[:, :n_panels])
    # Units that were not asked for keep their sums and states.
    assert_array_equal(sums[:, n_panels:], z[:, n_panels:])
    assert np.isnan(gates if not keeps_gates else gates[:, n_panels:]).all()
    assert np.isnan(h[:, used:]).all()
    assert np.isnan(tanh_c[:, used:]).all()
    assert_array_equal(c[:, used:], c_prev[:, used:] if in_place else np.full_like(c[:, used:], np.nan))


@pytest.mark.parametrize("with_above", [True, False])
def test_cell_backward(tile, with_above):
    rng = np.random.default_rng(8)
    lanes, n_units = tile.lanes, 3 * tile.lanes
    # Gates in panel order: (panel, gate, lane).
    z = rng.normal(size=(3, 4, lanes))
    i, f, g, o = gates_of(z)
    gates = np.stack([i, f, g, o], axis=1).astype(tile.dtype)
    c_prev, tanh_c, d_h, d_above, d_c = (normal(rng, tile, n_units) for _ in range(5))
    tanh_c = np.tanh(tanh_c)
    d_bias = normal(rng, tile, 3, 4, lanes)
    i, f, g, o = np.moveaxis(gates.astype(np.float64), 1, 0)
    panels = (v.astype(np.float64).reshape(3, lanes) for v in (c_prev, tanh_c, d_h, d_above, d_c))
    before, t, dh, above, dc = panels
    bias_before = d_bias.astype(np.float64)
    call(
        tile.library.cell_backward, n_units, gates, c_prev, tanh_c, d_h,
        d_above if with_above else 0, d_c, d_bias,
    )  # fmt: skip
    dh = dh + above if with_above else dh
    dc = dc + dh * o * (1 - t**2)
    d_i, d_f = dc * g * i * (1 - i), dc * before * f * (1 - f)
    d_g, d_o = dc * i * (1 - g**2), dh * t * o * (1 - o)
    exact = np.stack([d_i, d_f, d_g, d_o], axis=1)
    assert_allclose(gates, exact, **tile.close)
    assert_allclose(d_c.reshape(3, lanes), dc * f, **tile.close)
    assert_allclose(d_bias, bias_before + exact, **tile.close)


def test_sigmoid_of_wide_vectors(tile):
    x = np.linspace(-80.0, 80.0, 10_007).astype(tile.dtype)
    found = np.empty_like(x)
    call(tile.library.sigmoid, len(x), x, found)
    exact = expit(x.astype(np.float64))
    assert_allclose(found, exact, rtol=3.5 * np.finfo(tile.dtype).eps, atol=0.0)


# Assembler


@needs_gcc_on_x86
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("isa", "rows"), [("x86_v3", 3), ("x86_v4", 6)])
def test_no_accumulator_leaves_its_register(tmp_path, isa, rows, dtype):
    register = {"x86_v3": "%ymm", "x86_v4": "%zmm"}[isa]
    loops = tile_loops(tmp_path, isa, dtype)
    full = whole_tiles(loops, register, 4 * rows)
    # One loop over k in the product and one in its tall tile of two vectors, and so in the product of runs; one over
    # pairs in the outer product, one over x and one over h; three widths of the transposed product (that of three
    # vectors has fewer rows).
    assert sorted(full) == ["outer", *["product"] * 4, "sum_tile", "sum_tile", *["transposed"] * 3]
    # The same over x and over h where only three of the four sums read each.
    assert [function for function, _, products in loops if len(products) == 3 * rows].count("sum_tile") == 2


def whole_tiles(loops, register, n_products):
    """The tiles of loops with so many products, after a check of all of them."""
    for _, body, products in loops:
        stack, stores = count_memory(body)
        # Pointers to the rows of a tall tile may live on the stack, no vector may.
        assert stack == 0, "\n".join(body)
        assert stores == 0, "\n".join(body)
        assert all(register in line for line in products)
    return [function for function, _, products in loops if len(products) == n_products]


@needs_gcc_on_x86
def test_no_accumulator_of_bf16_pairs_leaves_its_register(tmp_path):
    """Compiled, not run: the 24 products of a tile, in an instruction that this machine may not have."""
    loops = tile_loops(tmp_path, "x86_v4_bf16", "reduced")
    chosen = [loop for loop in loops if any("vdpbf16ps" in line for line in loop[2])]
    full = Counter(whole_tiles(chosen, "%zmm", 24))
    assert full >= Counter({"product": 4, "sum_tile": 2, "outer": 1})


@needs_gcc_on_x86
def test_the_count_sees_a_spill(tmp_path):
    """The control of the tests above: 24 accumulators do not fit into 16 registers."""
    loops = tile_loops(tmp_path, "x86_v3", "float32", ["-DTILE_ROWS=6", "-DTILE_VECS=4", "-DPRODUCT_ONLY"])
    spilled = [count_memory(body) for _, body, products in loops if len(products) == 24]
    assert spilled
    assert all(stack >= 8 and stores >= 4 for stack, stores in spilled)
