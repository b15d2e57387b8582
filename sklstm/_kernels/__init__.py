"""Compiled kernels, chosen for this machine when the package is imported.

`ISA` is the variant in use. The environment variable ``SKLSTM_MAX_ISA`` (baseline, x86_v3 or x86_v4) lowers it, for
example to compare machines bit by bit; it never raises it above what the CPU can run.
"""

import os
from functools import cache
from importlib import import_module

from sklstm._kernels.core._cpu import supported_isas

__all__ = ["ISA", "available_isas", "kernel_table"]

ALL_ISAS = ("baseline", "x86_v3", "x86_v4")


def available_isas():
    """Return the names of the variants that this machine can run, slowest first."""
    return tuple(supported_isas())


@cache
def kernel_table(dtype, isa=None):
    """Return the capsule with the kernels for ``dtype`` ("f32" or "f64").

    A variant that the machine can run but the installation lacks is an error: falling back in silence would hide a
    broken build behind a program that is four times slower.
    """
    return import_module(f"sklstm._kernels._isa_{isa or ISA}_{dtype}").TABLE


def _choose_isa(limit):
    isas = available_isas()
    if not limit:
        return isas[-1]
    if limit not in ALL_ISAS:
        raise ImportError(f"SKLSTM_MAX_ISA={limit!r} is not one of {', '.join(ALL_ISAS)}.")
    return [isa for isa in isas if ALL_ISAS.index(isa) <= ALL_ISAS.index(limit)][-1]


ISA = _choose_isa(os.environ.get("SKLSTM_MAX_ISA"))
