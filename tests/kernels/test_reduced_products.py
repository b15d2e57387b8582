"""Products of bf16 pairs against their formula, bit for bit, and the numbers that forward keeps in 16 bits.

Those of integers are in test_integer_tiles.py.

The C text is compiled here, for every variant that this machine runs.
"""

import ctypes
from fractions import Fraction

import numpy as np
import pytest
from kernels.tile_driver import call, compile_driver, needs_compiler, setup_constant
from numpy.testing import assert_array_equal
from reference.formats import (
    bfloat16_products,
    bits,
    from_bfloat16,
    fused_multiply_add,
    to_bfloat16,
)

from sklstm._kernels import available_isas

pytestmark = [*needs_compiler, pytest.mark.every_isa]

BF16_PAIRS = 1
UNIT, SYMMETRIC, ANY = range(3)
LANES = 16


@pytest.fixture(scope="module", params=available_isas("reduced"))
def isa(request):
    return request.param


@pytest.fixture(scope="module")
def library(isa, tmp_path_factory):
    folder = tmp_path_factory.mktemp(isa)
    flags = [*setup_constant("GNU_FLAGS"), *setup_constant("GNU_VARIANTS")[isa], "-O2", "-shared", "-fPIC"]
    flags += ["-DPRODUCT_ONLY", f"-DSKLSTM_ISA_{isa.upper()}", "-lm"]
    library = ctypes.CDLL(str(compile_driver(folder, "reduced", flags, folder / "tile.so")))
    ctypes.c_int.in_dll(library, "format_in_use").value = BF16_PAIRS
    return library


def assert_same_numbers(found, expected):
    """Bit for bit; any NaN equals any other."""
    found, expected = np.asarray(found, np.float32), np.asarray(expected, np.float32)
    both = np.isnan(found) & np.isnan(expected)
    different = np.argwhere((bits(found).reshape(found.shape) != bits(expected).reshape(found.shape)) & ~both)
    if len(different):
        first = tuple(different[0])
        raise AssertionError(
            f"{len(different)} differ, the first at {first}: {found[first]!r}, not {expected[first]!r}"
        )


def words_of(numbers):
    """Numbers along axis 1, as many as fill words, as words in the form of float32: (n, k / numbers of a word, ...)."""
    numbers = np.asarray(numbers)
    per_word = 4 // numbers.itemsize
    moved = np.moveaxis(numbers, 1, -1)
    words = np.ascontiguousarray(moved).view(np.float32)
    assert words.shape[-1] * per_word == moved.shape[-1]
    return np.ascontiguousarray(np.moveaxis(words, -1, 1))


def multiply(library, x, w, sums):
    """sums (n, m) + x (n, k) @ w (k, m), through the tile of products; k fills words."""
    x, w, out = words_of(x), words_of(w[np.newaxis])[0], np.array(sums).view(np.float32)
    n_vecs = w.shape[1] // LANES
    panels = [w[:, first : first + 4 * LANES].ravel() for first in range(0, w.shape[1], 4 * LANES)]
    call(library.flushed_runs, len(x), x.shape[1], n_vecs, x, x.shape[1], np.concatenate(panels), out, out.shape[1], 1)
    return out


# Zeros, the smallest normal number and its neighbours, denormals, halves and ties around 1, the largest, infinity, NaN.
EDGES = np.array(
    [0x0000, 0x8000, 0x0001, 0x807F, 0x0080, 0x8081, 0x00FF, 0x1F80, 0x2000, 0x3380, 0x3B80, 0x3F7F, 0x3F80, 0xBF80,
     0x3F81, 0x4000, 0xC040, 0x4B00, 0x5F00, 0x7F7F, 0xFF7F, 0x7F80, 0xFF80, 0x7FC0],
    np.uint16,
)  # fmt: skip


def padded_columns(w):
    """Columns up to whole vectors."""
    return np.concatenate([w, w[:, : -w.shape[1] % LANES]], axis=1)


def test_steps_of_bf16_pairs_at_edges(library):
    """Each pair of edges times each other, onto sums that are edges, too."""
    rng = np.random.default_rng(0)
    pairs = np.stack(np.meshgrid(EDGES, EDGES), axis=-1).reshape(-1, 2)
    w = padded_columns(pairs.T)
    for draw in range(3):
        sums = from_bfloat16(rng.choice(EDGES, (len(pairs), w.shape[1])))
        if draw:  # neighbours of edges
            sums = (bits(sums).astype(np.int64) + rng.integers(-2, 3, sums.shape)).astype(np.uint32).view(np.float32)
        found = multiply(library, pairs, w, sums)
        expected = bfloat16_products(pairs, np.broadcast_to(w, (len(pairs), *w.shape)), sums)
        assert_same_numbers(found, expected)


def draw_close(rng, shape, low, high):
    """bfloat16 numbers of both signs with exponents from low to high."""
    numbers = rng.uniform(1, 2, shape) * 2.0 ** rng.integers(low, high + 1, shape) * rng.choice([-1, 1], shape)
    return to_bfloat16(numbers.astype(np.float32))


@pytest.mark.parametrize("exponents", [(-3, 3), (-20, 20), (-66, -58), (60, 64)], ids=str)
def test_steps_of_bf16_pairs_at_random(library, exponents):
    """Near 1, far apart, with denormal and with overflowing results; onto sums near minus what is added to them."""
    rng = np.random.default_rng(1)
    x, w = draw_close(rng, (600, 2), *exponents), draw_close(rng, (2, 256), *exponents)
    with np.errstate(over="ignore"):
        product = from_bfloat16(x)[:, 1, None].astype(np.float64) * from_bfloat16(w)[1]
        near = (-product * rng.choice([1, 1, 0.5, 2, 1 + 2.0**-12], product.shape)).astype(np.float32)
    near = (bits(near).astype(np.int64) + rng.integers(-3, 4, near.shape)).astype(np.uint32).view(np.float32)
    for sums in (near, rng.permutation(near.ravel()).reshape(near.shape)):
        found = multiply(library, x, w, sums)
        assert_same_numbers(found, bfloat16_products(x, np.broadcast_to(w, (len(x), *w.shape)), sums))


def test_any_bits(library):
    rng = np.random.default_rng(2)
    x, w = (rng.integers(0, 2**16, shape).astype(np.uint16) for shape in ((600, 2), (2, 256)))
    sums = rng.integers(0, 2**32, (600, 256)).astype(np.uint32).view(np.float32)
    found = multiply(library, x, w, sums)
    assert_same_numbers(found, bfloat16_products(x, np.broadcast_to(w, (len(x), *w.shape)), sums))


@pytest.mark.parametrize("n_rows", [1, 2, 3, 5, 6, 13])
@pytest.mark.parametrize("n_vecs", [1, 2, 3, 4, 6])
def test_sums_go_on_in_the_order_of_the_words(library, n_rows, n_vecs):
    """For every size of tile."""
    rng = np.random.default_rng(3)
    x, w = draw_close(rng, (n_rows, 14), -3, 3), draw_close(rng, (14, n_vecs * LANES), -3, 3)
    sums = rng.normal(size=(n_rows, n_vecs * LANES)).astype(np.float32)
    expected = sums
    for k in range(0, 14, 2):
        expected = bfloat16_products(x[:, k : k + 2], np.broadcast_to(w[k : k + 2], (n_rows, 2, w.shape[1])), expected)
    assert_same_numbers(multiply(library, x, w, sums), expected)


@pytest.mark.parametrize("n_k", [1, 5, 6, 13])
@pytest.mark.parametrize("n_vecs", [1, 3, 4])
def test_outer_products_of_bf16_pairs(library, n_k, n_vecs):
    """Words of two rows each."""
    rng = np.random.default_rng(4)
    a, d = draw_close(rng, (9, 2, n_k), -3, 3), draw_close(rng, (9, 2, n_vecs * LANES), -3, 3)
    panel = rng.normal(size=(n_k, n_vecs * LANES)).astype(np.float32)
    expected = panel.copy()
    for p in range(9):
        expected = bfloat16_products(a[p].T, np.broadcast_to(d[p], (n_k, *d[p].shape)), expected)
    a_words, d_words = words_of(a)[:, 0], words_of(d)[:, 0]
    call(library.flushed_outer, 9, n_k, n_vecs, a_words, n_k, d_words, n_vecs * LANES, panel)
    assert_same_numbers(panel, expected)


# Rounding to bfloat16


def awkward_numbers():
    """Random bits, and the neighbours of all ties and edges."""
    rng = np.random.default_rng(6)
    ties = (rng.integers(0, 2**16, 20_000) << 16 | 0x8000) + rng.integers(-1, 2, 20_000)
    edges = EDGES.astype(np.int64)[:, None] * 2**16 + np.arange(-2, 3)
    others = rng.integers(0, 2**32, 20_000)
    whole = [0x7F7F8000, 0x7F7FFFFF, 0x7F7F7FFF, 0x007FFFFF, 0x00800000, 0x807FFFFF, 0x7F800001, 0xFFFFFFFF]
    return np.concatenate([ties, edges.ravel() % 2**32, others, whole]).astype(np.uint32).view(np.float32)


def test_rounding_to_bf16(library):
    x = awkward_numbers()
    for n in (len(x), len(x) - 1, 1, 17, 33):  # an odd number alone is paired with zero
        words = np.full((n + 1) // 2 + LANES, np.nan, np.float32)
        call(library.round_row, n, x, words)
        found = words[: (n + 1) // 2].view(np.uint16)
        assert_same_numbers(from_bfloat16(found[:n]), from_bfloat16(to_bfloat16(x[:n])))
        assert (found[n:] == 0).all()
        assert np.isnan(words[(n + 1) // 2 :]).all()


@pytest.mark.parametrize("alone", [False, True])
def test_rounding_two_rows_to_pairs(library, alone):
    x = awkward_numbers()
    n = len(x) // 2
    a, b = x[:n].copy(), x[n : 2 * n].copy()
    words = np.empty(n, np.float32)
    call(library.round_rows, n, a, 0 if alone else b, words)
    halves = words.view(np.uint16).reshape(n, 2)
    assert_same_numbers(from_bfloat16(halves[:, 0]), from_bfloat16(to_bfloat16(a)))
    assert_same_numbers(from_bfloat16(halves[:, 1]), np.zeros(n) if alone else from_bfloat16(to_bfloat16(b)))


def test_the_reference_of_rounding():
    """Ties to even, by hand; the largest float rounds to infinity."""
    given = np.array([0x3F808000, 0x3F818000, 0x3F808001, 0x7F7FFFFF, 0x80000001, 0x7F800000, 0x7F800001], np.uint32)
    assert [hex(k) for k in to_bfloat16(given.view(np.float32))] == [
        "0x3f80", "0x3f82", "0x3f81", "0x7f80", "0x8000", "0x7f80", "0x7fc0"
    ]  # fmt: skip


def test_the_reference_of_products():
    """Against exact fractions, where nothing is denormal; two roundings that one in float64 would get wrong."""
    rng = np.random.default_rng(7)
    x, w = (from_bfloat16(draw_close(rng, 2000, -30, 30)) for _ in range(2))
    z = (rng.normal(size=2000) * 2.0 ** rng.integers(-40, 40, 2000)).astype(np.float32)
    # 1 + 2^-24 is a tie, which the last term breaks far below the bits of a double.
    x, w = np.append(x, np.float32([2.0**-24, 2.0**-60])), np.append(w, np.float32([1, 2.0**-30]))
    z = np.append(z, np.float32([1, 1 + 2.0**-23]))
    for a, b, c, found in zip(x, w, z, fused_multiply_add(x, w, z), strict=True):
        exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
        near = [np.nextafter(found, np.float32(-np.inf)), found, np.nextafter(found, np.float32(np.inf))]
        distances = [abs(Fraction(float(v)) - exact) for v in near]
        assert distances[1] == min(distances)
        if distances.count(distances[1]) > 1:
            assert bits(found)[0] % 2 == 0


# What forward keeps


def keep(library, which, x):
    numbers, back = np.zeros(len(x), np.uint16), np.empty(len(x), np.float32)
    call(library.keep_numbers, which, len(x), x, numbers, back)
    return numbers, back


# Half a step of the fixed point; the last step before 1 does not exist.
@pytest.mark.parametrize(("which", "low", "step"), [(UNIT, 0.0, 2.0**-16), (SYMMETRIC, -1.0, 2.0**-15)])
def test_kept_numbers_in_fixed_point(library, which, low, step):
    x = np.linspace(low, 1.0, 16 * 20_001).astype(np.float32)
    numbers, back = keep(library, which, x)
    below = x <= 1 - step
    assert np.abs(back[below].astype(np.float64) - x[below]).max() <= step / 2
    assert np.abs(back - x).max() <= step
    assert back[0] == low
    assert back[-1] == 1 - step
    assert (np.diff(numbers.astype(int)) >= 0).all()
    assert {0, 65535} <= set(numbers.tolist())
    for value in (0.0, 0.25, 0.5, -0.5 * (which == SYMMETRIC)):  # exact
        assert (keep(library, which, np.full(16, value, np.float32))[1] == value).all()
    # What was stored is stored again as the same number.
    assert_array_equal(keep(library, which, back)[0], numbers)


def test_kept_numbers_in_bf16(library):
    x = awkward_numbers()[: 16 * 2000]
    numbers, back = keep(library, ANY, x)
    assert_same_numbers(from_bfloat16(numbers), from_bfloat16(to_bfloat16(x)))
    assert_same_numbers(back, from_bfloat16(to_bfloat16(x)))


def test_pairs_of_kept_vectors_are_those_kept_alone(library):
    rng = np.random.default_rng(8)
    x = rng.uniform(0, 1, (100, 2, LANES)).astype(np.float32)
    x[:, 1] = 2 * x[:, 1] - 1
    x[0, :, :3] = [[0, 1, 0.5], [-1, 1, 0]]
    back, numbers = np.empty_like(x), np.zeros(x.shape, np.uint16)
    call(library.keep_pairs, x.size, x, numbers, back)
    for which, k in ((UNIT, 0), (SYMMETRIC, 1)):
        alone = keep(library, which, np.ascontiguousarray(x[:, k]).ravel())[1]
        assert_array_equal(back[:, k].ravel(), alone)
