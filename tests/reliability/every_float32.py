"""Measure sigmoid, tanh and exp at every float32, with every instruction set of this machine.

    PYTHONPATH=tests python tests/reliability/every_float32.py [sigmoid] [tanh] [exp] [--stride 1]

The text of the kernels is compiled as it is for the package, and compared with libm in double precision: the largest
error in units in the last place, results that fall while x grows, the range, and what becomes of 0, infinity and NaN.
Bounds that are asserted: 5 ULP within the range of each function, no NaN from a number and no number from a NaN, exact
values at 0 and the ends, and no fall anywhere. Sigmoid is 0 below -88.38, exp stands still beyond -87 and 87.
"""

import argparse
import ctypes
import os
import platform
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from kernels.tile_driver import COMPILER, KERNELS, PYTHON_HEADERS, setup_constant

from sklstm._kernels import available_isas

DRIVER = """
#include "isa/kernels.h"
void sigmoid_of(long n, const float *x, float *out) { sigmoid_array(n, x, out); }
void tanh_of(long n, const float *x, float *out) { tanh_array(n, x, out); }
void exp_of(long n, const float *x, float *out) { exp_array(n, x, out); }
"""
# Of the program that compares, not of the kernels.
SWEEP_FLAGS = ["-O3", "-march=native", "-std=c11", "-fno-math-errno", "-ffinite-math-only", "-fno-signed-zeros"]
SWEEP_FLAGS += ["-fno-trapping-math"]
FUNCTIONS = ("sigmoid", "tanh", "exp")
INFINITY, LIMIT = float("inf"), 87.0
# Where each is measured; beyond, it has the value that `faults` expects at the end.
RANGES = {"sigmoid": (-88.37, INFINITY), "tanh": (-INFINITY, INFINITY), "exp": (-LIMIT, LIMIT)}
EXACT = (-1.0, 0.0, 0.5, 1.0)
MAX_ULP = 5.0
NUMBERS = 0x7F800001  # of each sign: 0 to infinity
NAN = 0x7FFFFF


class Found(ctypes.Structure):
    """What `sweep` has found, of one instruction set."""

    _fields_ = [
        ("ulp", ctypes.c_double), ("largest_fall", ctypes.c_double), ("n_falls", ctypes.c_double),
        ("n_nan", ctypes.c_double), ("at", ctypes.c_float), ("fall_at", ctypes.c_float),
        ("low", ctypes.c_float), ("high", ctypes.c_float), ("last", ctypes.c_float),
    ]  # fmt: skip


def compiled(folder, name, source, flags):
    """Return a library of a C text."""
    (folder / f"{name}.c").write_text(source)
    target = folder / f"{name}.so"
    command = [*COMPILER, *flags, "-w", "-shared", "-fPIC", f"-I{KERNELS}", f"-I{PYTHON_HEADERS}"]
    subprocess.run([*command, str(folder / f"{name}.c"), "-lm", "-o", str(target)], check=True, timeout=600)
    return ctypes.CDLL(str(target))


def kernels(folder, isa):
    """Return the functions of an instruction set, with the flags of the package."""
    flags = [*setup_constant("GNU_FLAGS"), *setup_constant("GNU_VARIANTS")[isa], "-DSKLSTM_REAL_IS_FLOAT=1"]
    flags += ["-DSKLSTM_REDUCED=0", f"-DSKLSTM_ISA_{isa.upper()}"]
    library = compiled(folder, isa, DRIVER, flags)
    return {name: getattr(library, f"{name}_of") for name in FUNCTIONS}


def begin(n):
    """Return what has been found before the first number."""
    array = (Found * n)()
    for one in array:
        one.low, one.high, one.last = INFINITY, -INFINITY, -INFINITY
    return array


def sweep(library, which, functions, stride, share, n_shares):
    """Return what was found in one of several shares of all numbers, which overlap by one."""
    found, addresses = begin(len(functions)), (ctypes.c_void_p * len(functions))()
    for k, function in enumerate(functions):
        addresses[k] = ctypes.cast(function, ctypes.c_void_p).value
    low, high = RANGES[FUNCTIONS[which]]
    # In the order of their values: the negative ones from -inf to -0, the others from 0 to inf.
    per_sign = (NUMBERS + stride - 1) // stride
    edges = [2 * per_sign * k // n_shares for k in range(n_shares + 1)]
    parts, first, last = [], max(edges[share] - 1, 0), edges[share + 1]
    if first < per_sign:
        end = min(last, per_sign)
        parts.append((0xFF800000 - first * stride, -stride, end - first))
    if last > per_sign:
        start = max(first - per_sign, 0)
        parts.append((start * stride, stride, last - per_sign - start))
    given = (len(functions), addresses, found)
    for start, step, n in parts:
        limits = (ctypes.c_float(low), ctypes.c_float(high))
        library.sweep(which, ctypes.c_uint32(start), ctypes.c_int(step), ctypes.c_uint64(n), *limits, *given)
    if share == 0:
        for sign in (0x7F800001, 0xFF800001):
            library.sweep_nan(ctypes.c_uint32(sign), ctypes.c_int(stride), ctypes.c_uint64(NAN // stride), *given)
    return list(found)


def joined(shares):
    """Return what was found in all shares of one instruction set."""
    worst, fall = max(shares, key=lambda one: one.ulp), max(shares, key=lambda one: one.largest_fall)
    return {
        "ulp": worst.ulp, "at": worst.at, "falls": int(sum(one.n_falls for one in shares)),
        "largest fall": fall.largest_fall, "fall at": fall.fall_at,
        "NaN": int(sum(one.n_nan for one in shares)),
        "low": min(one.low for one in shares), "high": max(one.high for one in shares),
    }  # fmt: skip


def ends(function):
    """Return the results at 0, -0, infinity and -infinity."""
    x, out = np.array([0.0, -0.0, np.inf, -np.inf], np.float32), np.empty(4, np.float32)
    function(ctypes.c_long(4), ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(out.ctypes.data))
    return out


def faults(name, found, at_ends):
    """Return what breaks a bound."""
    smallest, largest = np.exp(-LIMIT), np.exp(LIMIT)
    expected = {
        "sigmoid": [0.5, 0.5, 1.0, 0.0], "tanh": [0.0, 0.0, 1.0, -1.0], "exp": [1.0, 1.0, largest, smallest],
    }[name]  # fmt: skip
    expected = np.array(expected, np.float32)
    # Where a function stands still it has the error that it has at the end of its range.
    close = np.abs(at_ends - expected) <= np.where(
        np.isin(expected, EXACT), 0.0, MAX_ULP * np.spacing(np.abs(expected))
    )
    return [
        *([f"{found['ulp']:.3f} ULP"] if found["ulp"] > MAX_ULP else []),
        *([f"falls by {found['largest fall']:.2f} ULP"] if found["falls"] else []),
        *(["NaN of a number, or a number of NaN"] if found["NaN"] else []),
        *([] if close.all() else [f"ends: {at_ends}"]),
    ]


def main():
    """Print a line for each function and instruction set."""
    parser = argparse.ArgumentParser()
    parser.add_argument("functions", nargs="*", default=FUNCTIONS)
    parser.add_argument("--stride", type=int, default=1)
    options = parser.parse_args()
    isas, failures = available_isas(), []
    n_shares = 16
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as executor:
        folder = Path(folder)
        source = Path(__file__).with_suffix(".c").read_text()
        library = compiled(folder, "sweep", source, SWEEP_FLAGS)
        tables = {isa: kernels(folder, isa) for isa in isas}
        print(f"{platform.libc_ver()}: every {options.stride}-th of 2^32 float32")
        for name in options.functions:
            which, start = FUNCTIONS.index(name), time.perf_counter()
            functions = [tables[isa][name] for isa in isas]
            work = partial(sweep, library, which, functions, options.stride, n_shares=n_shares)
            shares = list(executor.map(work, range(n_shares)))
            for k, isa in enumerate(isas):
                found, at_ends = joined([share[k] for share in shares]), ends(tables[isa][name])
                wrong = faults(name, found, at_ends)
                failures += wrong
                print(
                    f"{name:8} {isa:9} {found['ulp']:.3f} ULP at {found['at']!r}; falls: {found['falls']}, at most "
                    f"{found['largest fall']:.2f} ULP (at {found['fall at']!r}); NaN that are wrong: {found['NaN']}; "
                    f"range [{found['low']!r}, {found['high']!r}]; at 0, -0, inf, -inf: {at_ends.tolist()}",
                    *wrong,
                )
            print(f"{name:8} {time.perf_counter() - start:.0f} s", flush=True)
    raise SystemExit(bool(failures))


if __name__ == "__main__":
    main()
