"""Products of integers (isa/integers.h): every size of tile against NumPy, and the assembler of the tiles.

What spills gives the right numbers at half the speed, so no other test would notice, and a machine may lack the
instructions.
"""

import ctypes
import itertools
import re
import subprocess
import sys

import numpy as np
import pytest
from kernels.test_products import pytestmark
from kernels.tile_driver import COMPILER, KERNELS, PYTHON_HEADERS, call, needs_gcc_on_x86, setup_constant
from numpy.testing import assert_array_equal

__all__ = ["pytestmark"]

DRIVER = """
#include <Python.h>
typedef float real;
#include "isa/vec.h"
#include "isa/words.h"
#include "isa/memory.h"
#include "isa/integers.h"
void drive(int format, int vecs, Py_ssize_t n_rows, Py_ssize_t n_words, const uint32_t *a, Py_ssize_t a_stride,
           const uint32_t *panel, const uint32_t *start, const real *scale, const real *from, real *z) {
    const real *rows[ROWS_AT_ONCE];
    for (Py_ssize_t r = 0; r < n_rows; r++) rows[r] = from + r * PANEL_WIDTH;
    const IntegerProduct product = {format, vecs,  n_rows, n_words, a_stride, PANEL_WIDTH,
                                    a,      panel, start,  scale,   rows,     z};
    integer_products(&product);
}
"""
S16_PAIRS, U8_S8 = 2, 3
COLUMNS_OF_A_SUM = 96
FLAGS = {"baseline": [], "x86_v3": ["-mavx2", "-mfma"], "x86_v4_vnni": ["-mavx512f", "-mavx512vnni"]}
RUNNABLE = [isa for isa in FLAGS if isa in sys.modules["sklstm._kernels"].available_isas("reduced")]


def compile_tiles(folder, flags, target):
    source = folder / "driver.c"
    source.write_text(DRIVER)
    command = [
        *COMPILER,
        *flags,
        "-std=c11",
        "-ffp-contract=off",
        "-Wno-psabi",
        "-w",
        f"-I{KERNELS}",
        f"-I{PYTHON_HEADERS}",
    ]
    command += ["-DSKLSTM_REAL_IS_FLOAT=1", "-DSKLSTM_REDUCED=1", str(source), "-o", str(target), "-lm"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    return target


@pytest.fixture(scope="module", params=RUNNABLE)
def drive(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("integers")
    path = compile_tiles(folder, ["-O1", "-shared", "-fPIC", *FLAGS[request.param]], folder / "tiles.so")
    return ctypes.CDLL(str(path)).drive


@pytest.mark.parametrize("vecs", [1, 2, 3, 4])
@pytest.mark.parametrize("format_number", [S16_PAIRS, U8_S8])
def test_every_tile(drive, format_number, vecs):
    """Counts of rows and words around those of tiles and blocks, and the ends of the ranges."""
    rng = np.random.default_rng(vecs)
    per_word = 2 if format_number == S16_PAIRS else 4
    for n_rows, n_words in itertools.product([1, 2, 3, 4, 5, 6, 7, 13, 32], [1, 2, 3, 64, 65, 131]):
        columns, n = 16 * vecs, n_words * per_word
        if format_number == S16_PAIRS:
            x, w = rng.integers(-2047, 2048, (n_rows, n), np.int16), rng.integers(-3000, 3001, (n, columns), np.int16)
            w[0], x[0] = -32768, 2047
        else:
            x, w = rng.integers(0, 256, (n_rows, n), np.uint8), rng.integers(-128, 128, (n, columns), np.int8)
            w[:4], x[0] = -128, 255
        stride = n_words + 3
        words = np.zeros((n_rows, stride), np.uint32)
        words[:, :n_words] = x.view(np.uint32)
        # A panel is read ahead of what is used.
        panel = np.zeros(n_words * columns + 4096, np.uint32)
        in_words = np.ascontiguousarray(w.reshape(n_words, per_word, columns).swapaxes(1, 2)).view(np.uint32)
        panel[: n_words * columns] = in_words.ravel()
        start = rng.integers(-1000, 1000, 64, np.int32)
        if format_number == S16_PAIRS:
            start[:] = 0
        # Products with powers of two are exact: each sum is rounded when it becomes a float and when it is added.
        scale = (0.5 ** rng.integers(8, 12, 64)).astype(np.float32)
        addend = rng.integers(-99, 99, (n_rows, 64)).astype(np.float32)
        z = np.full((n_rows, 64), np.nan, np.float32)
        call(drive, format_number, vecs, n_rows, n_words, words, stride, panel, start, scale, addend, z)
        expected, step = addend[:, :columns], COLUMNS_OF_A_SUM if format_number == S16_PAIRS else n
        for k in range(0, n, step):
            sums = start[:columns] + x[:, k : k + step].astype(np.int64) @ w[k : k + step].astype(np.int64)
            assert np.abs(sums).max() < 2**31
            expected = expected + sums.astype(np.float32) * scale[:columns]
        assert_array_equal(z[:, :columns], expected)
        assert np.isnan(z[:, columns:]).all()


def loops_of_tiles(assembler, instruction):
    """The loop of each tile with the most of these instructions, without what is around it: name and lines."""

    def key(body):
        return sum(instruction in line for line in body), -len(body)

    name, lines, found = None, [], {}
    for line in assembler.splitlines():
        if label := re.match(r"integer_tile_(\w+):", line):
            name, lines = label[1], []
        elif re.match(r"\s+\.size\s+integer_tile_", line):
            name = None
        if name:
            lines.append(line)
            jump = re.match(r"\s+j\w+\s+(\.L\w+)$", line)
            begins = [k for k, one in enumerate(lines) if jump and one.startswith(f"{jump[1]}:")]
            body = lines[begins[0] :] if begins else []
            if key(body) > key(found.get(name, [])):
                found[name] = body
    return found


@needs_gcc_on_x86
@pytest.mark.parametrize(
    ("isa", "kind", "instruction"),
    [
        ("x86_v4_vnni", "U8_S8", "vpdpbusd"),
        ("x86_v4_vnni", "S16_PAIRS", "vpdpwssd"),
        ("x86_v3", "U8_S8", "vpmaddwd"),
        ("x86_v3", "S16_PAIRS", "vpmaddwd"),
    ],
)
def test_no_sum_leaves_its_register(tmp_path, isa, kind, instruction):
    flags = [*setup_constant("GNU_FLAGS"), *FLAGS[isa], "-S"]
    loops = loops_of_tiles(compile_tiles(tmp_path, flags, tmp_path / "t.s").read_text(), instruction)
    sizes = (
        [(6, 4), (4, 4), (2, 4), (1, 4), (6, 2), (1, 1)] if isa == "x86_v4_vnni" else [(2, 4), (2, 2), (1, 8), (1, 2)]
    )
    for rows, width in sizes:
        body = loops[f"{kind}_{rows}_{width}"]
        products = [line for line in body if instruction in line]
        # One row takes two words at a time with AVX512_VNNI; elsewhere bytes at even and at odd k are multiplied apart.
        twice = (isa == "x86_v4_vnni" and rows == 1) or (isa == "x86_v3" and kind == "U8_S8")
        assert len(products) == rows * width * (2 if twice else 1), "\n".join(body)
        assert not [line for line in body if re.match(r"\s+vmov\w+\s+%[xyz]mm\d+, .*\(", line)], "\n".join(body)
