"""Compiled kernels, chosen for this machine when the package is imported.

`ISA` is the variant in use for float32 and float64, `REDUCED_ISA` the one for bfloat16 and integers. The environment
variable ``SKLSTM_MAX_ISA`` (a name from `ALL_ISAS`) lowers both, for example to compare machines bit by bit; it never
raises them above what the CPU can run.
"""

import os
from functools import cache
from importlib import import_module

from sklstm._kernels.core._cpu import supported_isas

__all__ = ["ALL_ISAS", "ISA", "REDUCED_ISA", "available_isas", "has_fast_bfloat16", "kernel_table"]

ALL_ISAS = ("baseline", "x86_v3", "x86_v4", "x86_v4_vnni", "x86_v4_bf16")
# The variants that are built (setup.py): the reduced number formats ask for more than x86_v4.
VARIANTS = {
    "f32": ("baseline", "x86_v3", "x86_v4"),
    "f64": ("baseline", "x86_v3", "x86_v4"),
    "reduced": ("baseline", "x86_v3", "x86_v4_vnni", "x86_v4_bf16"),
}


def available_isas(dtype="f32"):
    """Return the names of the variants of a dtype ("f32", "f64", "reduced") that this machine runs, slowest first."""
    supported = supported_isas()
    return tuple(isa for isa in VARIANTS[dtype] if isa in supported)


@cache
def kernel_table(dtype, isa=None):
    """Return the capsule with the kernels for ``dtype`` ("f32", "f64" or "reduced").

    A variant that the machine can run but the installation lacks is an error: falling back in silence would hide a
    broken build behind a program that is four times slower.
    """
    used = REDUCED_ISA if dtype == "reduced" else ISA
    return import_module(f"sklstm._kernels._isa_{isa or used}_{dtype}").TABLE


def has_fast_bfloat16():
    """Whether the variant in use has the instructions of bfloat16; without, it computes the same bits more slowly."""
    return REDUCED_ISA == "x86_v4_bf16"


def _choose_isa(limit, dtype="f32"):
    isas = available_isas(dtype)
    if not limit:
        return isas[-1]
    if limit not in ALL_ISAS:
        raise ImportError(f"SKLSTM_MAX_ISA={limit!r} is not one of {', '.join(ALL_ISAS)}.")
    return [isa for isa in isas if ALL_ISAS.index(isa) <= ALL_ISAS.index(limit)][-1]


ISA = _choose_isa(os.environ.get("SKLSTM_MAX_ISA"))
REDUCED_ISA = _choose_isa(os.environ.get("SKLSTM_MAX_ISA"), "reduced")
