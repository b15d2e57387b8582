"""The register tile as C text: a driver that tests compile and call, and the assembler of its loops."""

import ast
import ctypes
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
KERNELS = ROOT / "sklstm" / "_kernels"
PYTHON_HEADERS = Path(sysconfig.get_path("include"))
COMPILER = os.environ.get("CC", "").split() or [shutil.which("gcc") or shutil.which("cc")]

needs_compiler = [
    pytest.mark.skipif(sys.platform == "win32", reason="the flags are those of GCC and clang"),
    pytest.mark.skipif(COMPILER[0] is None, reason="this machine has no C compiler"),
    pytest.mark.skipif(not (KERNELS / "isa" / "kernels.h").exists(), reason="the C sources are not here"),
    pytest.mark.skipif(not (PYTHON_HEADERS / "Python.h").exists(), reason="the headers of Python are not here"),
]

DRIVER = """
#include "isa/kernels.h"
int format_in_use = REALS;
int lanes(void) { return LANES; }
int rows_of_tile(void) { return TILE_ROWS; }
int next_rows(int vecs, Py_ssize_t left) { return tile_rows(vecs, left); }
void drive_product(int rows, int vecs, int add, Py_ssize_t n_k, const real *const *a, const real *panel, real *out,
                   Py_ssize_t out_stride) {
    product_tile(format_in_use, rows, vecs, add, n_k, a, panel, out, out_stride);
}
#ifndef PRODUCT_ONLY
void drive_outer(int rows, int vecs, Py_ssize_t n_pairs, const real *a, Py_ssize_t a_stride, const real *d,
                 Py_ssize_t d_stride, real *out) {
    outer_tile(format_in_use, rows, vecs, n_pairs, a, a_stride, d, d_stride, out);
}
void drive_runs(Py_ssize_t n_rows, Py_ssize_t n_runs, Py_ssize_t run_length, Py_ssize_t run_stride, Py_ssize_t n_vecs,
          const real *a, Py_ssize_t a_stride, const real *panels, real *out, Py_ssize_t out_stride, int add) {
    product_runs(format_in_use, n_rows, n_runs, run_length, run_stride, n_vecs, a, a_stride, panels, out, out_stride,
                 add, n_rows & 1);
}
void drive_padded(Py_ssize_t n_rows, Py_ssize_t n_k, Py_ssize_t n_runs, Py_ssize_t run_length, Py_ssize_t run_stride,
                  Py_ssize_t n_vecs, const real *a, Py_ssize_t a_stride, const real *panels, real *out,
                  Py_ssize_t out_stride, int add) {
    product_of_padded(format_in_use, n_rows, n_k, n_runs, run_length, run_stride, n_vecs, a, a_stride, panels, out,
                      out_stride, add, 0);
}
void transposed(Py_ssize_t n_rows, Py_ssize_t n_pairs, Py_ssize_t n_vecs, const real *a, Py_ssize_t a_stride,
                const real *d, Py_ssize_t d_stride, real *out, Py_ssize_t out_stride) {
    transposed_product(n_rows, n_pairs, n_vecs, a, a_stride, d, d_stride, out, out_stride);
}
void drive_sum_tile(int three, int rows, Py_ssize_t n_x, const real *const *x, Py_ssize_t n_h, const real *const *h,
                    const real *panel, const real *const *start, real *sums, Py_ssize_t stride) {
    if (three) sum_tile_of_three(format_in_use, rows, n_x, x, n_h, h, panel, start, sums, stride);
    else sum_tile(format_in_use, rows, n_x, x, n_h, h, panel, start, sums, stride);
}
void cell_forward(Py_ssize_t rows, Py_ssize_t n_units, Py_ssize_t stride, real *z, Py_ssize_t z_stride, real *gates,
                  const real *c, real *c_next, real *tanh_c, real *h_next) {
    const CellArrays arrays = {(Kept *)gates, (Kept *)tanh_c, NULL, NULL, c, c_next, h_next};
    cells_forward(&lstm, rows, n_units, stride, z, z_stride, COMPACT, &arrays);
}
void cell_backward(Py_ssize_t n_units, real *gates, const real *c_prev, const real *tanh_c,
                   real *d_h, const real *d_h_above, real *d_c, real *d_bias) {
    const CellRow row = {.stride = n_units, .gates = gates, .d_sums = gates, .kept = (real *)tanh_c, .c_prev = c_prev,
                         .d_h = d_h, .d_h_more = d_h_above, .d_c = d_c, .d_bias = d_bias};
    cells_backward(&lstm, &row, 1);
}
void sigmoid(Py_ssize_t n, const real *x, real *out) { sigmoid_array(n, x, out); }
#endif
#if SKLSTM_REDUCED
void flushed_runs(Py_ssize_t n_rows, Py_ssize_t n_k, Py_ssize_t n_vecs, const real *a, Py_ssize_t a_stride,
                  const real *panels, real *out, Py_ssize_t out_stride, int add) {
    const unsigned before = flush_denormals();
    product_runs(format_in_use, n_rows, 1, n_k, 0, n_vecs, a, a_stride, panels, out, out_stride, add, 0);
    restore_denormals(before);
}
void flushed_outer(Py_ssize_t n_pairs, Py_ssize_t n_k, int vecs, const real *a, Py_ssize_t a_stride, const real *d,
                   Py_ssize_t d_stride, real *panel) {
    const unsigned before = flush_denormals();
    outer_panel(format_in_use, n_pairs, n_k, vecs, a, a_stride, d, d_stride, panel);
    restore_denormals(before);
}
void round_row(Py_ssize_t n, const real *x, real *words) { bf16_row(n, x, words); }
void round_rows(Py_ssize_t n, const real *a, const real *b, real *words) { bf16_pair_of_rows(n, a, b, words); }
void keep_numbers(int range, Py_ssize_t n, const real *x, Kept *numbers, real *back) {
    for (Py_ssize_t k = 0; k < n; k += LANES) {
        const vec v = v_load(x + k);
#define KEEP(kind) case kind: keep(1, kind, numbers, k, v); v_store(back + k, kept(1, kind, numbers, k)); break;
        switch (range) { KEEP(UNIT) KEEP(SYMMETRIC) KEEP(ANY) }
    }
}
void keep_pairs(Py_ssize_t n, const real *x, Kept *numbers, real *back) {
    for (Py_ssize_t k = 0; k < n; k += 2 * LANES) {
        vec a, b;
        keep_pair(1, UNIT, SYMMETRIC, numbers, k, v_load(x + k), v_load(x + k + LANES));
        kept_pair(1, UNIT, SYMMETRIC, numbers, k, &a, &b);
        v_store(back + k, a);
        v_store(back + k + LANES, b);
    }
}
#endif
"""


def setup_constant(name):
    """A constant of setup.py, which cannot be imported without building: what assigns to it is run."""
    values = {}
    for node in ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        while isinstance(target, ast.Subscript):
            target = target.value
        if isinstance(target, ast.Name) and target.id == name:
            exec(compile(ast.Module([node], []), "setup.py", "exec"), values)  # of this repository
    return values[name]


def compile_driver(folder, dtype, flags, target):
    """Compile the driver for "float32", "float64" or "reduced"."""
    source = folder / "driver.c"
    source.write_text(DRIVER)
    command = [*COMPILER, *flags, "-std=c11", "-Wno-psabi", f"-I{KERNELS}", f"-I{PYTHON_HEADERS}"]
    command += [f"-DSKLSTM_REAL_IS_FLOAT={int(dtype != 'float64')}", f"-DSKLSTM_REDUCED={int(dtype == 'reduced')}"]
    command += [str(source), "-o", str(target)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    return target


def call(function, *arguments):
    """Numbers become int or Py_ssize_t by their place in C: both are passed as whole registers."""
    function.restype = None
    function(*(ctypes.c_void_p(a.ctypes.data) if isinstance(a, np.ndarray) else ctypes.c_ssize_t(a) for a in arguments))


def row_addresses(array):
    return np.array([row.ctypes.data for row in array], np.uintp)


# Assembler


def is_gcc():
    macros = subprocess.run(
        [*COMPILER, "-dM", "-E", "-x", "c", os.devnull], capture_output=True, text=True, check=False
    ).stdout
    return "__GNUC__" in macros and "__clang__" not in macros


PRODUCTS = ("vfmadd", "vdpbf16ps")
TILES = ("transposed", "sum_tile", "outer", "product")


def inner_loops(assembler):
    """Innermost loops of the tiles with four products or more: the tile, their lines, and those of the products."""
    lines, labels, loops, function, functions = assembler.splitlines(), {}, [], None, []
    for number, line in enumerate(lines):
        if label := re.match(r"(\.L\w+):", line):
            labels[label[1]] = number
        elif label := re.match(r"(\w[\w.]*):", line):
            function = label[1]
        functions.append(function)
        jump = re.match(r"\s+j\w+\s+(\.L\w+)$", line)
        if jump and labels.get(jump[1], number) < number:
            loops.append((labels[jump[1]], number))
    for begin, end in loops:
        within = [(b, e) for b, e in loops if begin <= b and e <= end]
        body = lines[begin : end + 1]
        tile = next((tile for tile in TILES if tile in functions[begin]), None)
        products = [line for line in body if any(product in line for product in PRODUCTS)]
        if tile and len(within) == 1 and len(products) >= 4:
            yield tile, body, products


def count_memory(body):
    """Vectors read from the stack, and vectors written to memory wherever it is."""
    on_stack = [line for line in body if "%rsp" in line or re.search(r"-\d+\(%rbp", line)]
    stack = sum(re.search(r"%[xyz]mm\d", line) is not None for line in on_stack)
    stores = sum(re.match(r"\s+vmov\w+\s+%[xyz]mm\d+, .*\(", line) is not None for line in body)
    return stack, stores


def tile_loops(tmp_path, isa, dtype, extra=()):
    flags = [*setup_constant("GNU_FLAGS"), *setup_constant("GNU_VARIANTS")[isa], *extra]
    flags += ["-S", f"-DSKLSTM_ISA_{isa.upper()}"]
    return list(inner_loops(compile_driver(tmp_path, dtype, flags, tmp_path / "t.s").read_text()))


needs_gcc_on_x86 = pytest.mark.skipif(
    platform.machine().lower() not in {"x86_64", "amd64"} or COMPILER[0] is None or not is_gcc(),
    reason="reads the assembler that GCC writes for x86_64",
)
