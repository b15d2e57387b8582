"""Build of the compiled kernels; everything else about the package stands in pyproject.toml.

Each instruction-set variant and dtype is an extension of its own, made from one text (sklstm/_kernels/isa) with its
own flags, and is imported only after the CPU has been asked. No -march=native: a wheel built here runs everywhere.
"""

import os
import platform
import re
import shutil
import sys
from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

KERNELS = "sklstm/_kernels"
TEXT = sorted(path for kind in ("h", "pxi") for path in glob(f"{KERNELS}/isa/**/*.{kind}", recursive=True))
HEADERS = sorted(path for kind in ("h", "pxd", "pxi") for path in glob(f"{KERNELS}/[!i]*/*.{kind}"))
TABLE = [f"{KERNELS}/_calls.pxd", f"{KERNELS}/_table.pxd"]
TABLE += [f"{KERNELS}/isa/layers/interface.h", f"{KERNELS}/isa/update_step.h"]
X86 = platform.machine().lower() in {"x86_64", "amd64"} and sys.maxsize > 2**32

# One multiplication and one addition are joined only where the text says so (v_fma): the same bits in every remainder
# tile. Without -fno-gcse, GCC 12 takes the constants of the activations out of their loops and keeps them on the stack:
# a prediction with AVX2 took 5 to 13 % longer.
GNU_FLAGS = ["-O3", "-std=c11", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off", "-fno-gcse", "-g0"]
# A cell is a function of n vectors, n a constant where it is inlined: what GCC says of any n is never run.
GNU_FLAGS += ["-Wno-maybe-uninitialized", "-Wno-array-bounds"]
# Vectors of 64 bytes are never passed to or from a function that is not inlined.
GNU_FLAGS += ["-Wno-psabi"]
GNU_VARIANTS = {
    "baseline": [],
    "x86_v3": ["-mavx2", "-mfma", "-mbmi", "-mbmi2", "-mf16c", "-mlzcnt"],
    "x86_v4": ["-mavx2", "-mfma", "-mbmi", "-mbmi2", "-mf16c", "-mlzcnt", "-mavx512f", "-mavx512bw", "-mavx512cd",
               "-mavx512dq", "-mavx512vl", "-mprefer-vector-width=512"],
}  # fmt: skip
GNU_VARIANTS["x86_v4_vnni"] = [*GNU_VARIANTS["x86_v4"], "-mavx512vnni"]
GNU_VARIANTS["x86_v4_bf16"] = [*GNU_VARIANTS["x86_v4_vnni"], "-mavx512bf16"]
# The variants of each dtype. The reduced number formats (bfloat16, integers) ask for more than x86_v4.
FLOAT_VARIANTS = ["baseline", "x86_v3", "x86_v4"]
REDUCED_VARIANTS = ["baseline", "x86_v3", "x86_v4_vnni", "x86_v4_bf16"]
MSVC_VARIANTS = {"baseline": [], "x86_v3": ["/arch:AVX2"], "x86_v4": ["/arch:AVX512"]}
# On Windows, CC=clang-cl compiles the same vectors as elsewhere, which MSVC cannot: it takes the flags of GCC but for
# those that clang does not know, and has to be told to say that it speaks GNU C.
CLANG_CL_FLAGS = ["-fgnuc-version=4.2.1", *(f for f in GNU_FLAGS if f not in {"-std=c11", "-fno-gcse", "-g0"})]
MSVC_VARIANTS["x86_v4_vnni"] = MSVC_VARIANTS["x86_v4_bf16"] = MSVC_VARIANTS["x86_v4"]


def n_cores():
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def extensions():
    """Yield all extensions, longest compilations first, so that all cores end together."""
    for dtype, variants in [("reduced", REDUCED_VARIANTS), ("f32", FLOAT_VARIANTS), ("f64", FLOAT_VARIANTS)]:
        for isa in reversed(variants) if X86 else ["baseline"]:
            macros = [("SKLSTM_REAL_IS_FLOAT", "0" if dtype == "f64" else "1")]
            if dtype == "reduced":
                macros.append(("SKLSTM_REDUCED", "1"))
            if isa != "baseline":
                macros.append((f"SKLSTM_ISA_{isa.upper()}", None))
            yield Extension(
                f"sklstm._kernels._isa_{isa}_{dtype}",
                [f"{KERNELS}/_isa_{isa}_{dtype}.pyx"],
                define_macros=macros,
                include_dirs=[KERNELS],
                depends=[*TEXT, *TABLE, f"{KERNELS}/core/workspace.h"],
            )
    for name, sources in [
        ("network._stack", []),
        ("columns._column_statistics", []),
        ("network._constraints", []),
        ("linear._normal_equations", []),
        ("optim._updates", []),
        ("network._stream", []),
        ("network._orthogonal", []),
        ("core._pool", ["core/pool.c"]),
        ("core._pointwise", []),
        ("core._cpu", []),
    ]:
        yield Extension(
            f"sklstm._kernels.{name}",
            [f"{KERNELS}/{name.replace('.', '/')}.pyx", *(f"{KERNELS}/{source}" for source in sources)],
            include_dirs=[f"{KERNELS}/core"],
            depends=[*HEADERS, *TABLE],
        )


class BuildExtensions(build_ext):
    """Give every extension the flags of its compiler and variant, and compile on all cores."""

    def finalize_options(self):
        super().finalize_options()
        if self.parallel is None:
            self.parallel = n_cores()

    def build_extensions(self):
        msvc = self.compiler.compiler_type == "msvc"
        clang_cl = msvc and os.path.splitext(os.path.basename(os.environ.get("CC", "")))[0] == "clang-cl"
        if clang_cl:
            self.compiler.initialize()
            self.compiler.cc = shutil.which(os.environ["CC"]) or sys.exit(f"CC={os.environ['CC']} is not found")
        for extension in self.extensions:
            variant = re.search(r"\._isa_(\w+)_(?:f\d\d|reduced)$", extension.name)
            isa = variant.group(1) if variant else "baseline"
            if clang_cl:
                flags = [*CLANG_CL_FLAGS, *GNU_VARIANTS[isa]]
                extension.extra_compile_args = ["/O2", "/std:c11", *(f"/clang:{flag}" for flag in flags)]
            elif msvc:
                extension.extra_compile_args = ["/O2", "/fp:precise", "/std:c11", *MSVC_VARIANTS[isa]]
            else:
                extension.extra_compile_args = [*GNU_FLAGS, *GNU_VARIANTS[isa]]
                if extension.name.endswith("_reduced") and isa in ("baseline", "x86_v3"):
                    # Where a vector of 64 bytes takes several registers, -O3 doubles the time of the build.
                    extension.extra_compile_args.append("-O2")
                if extension.name.endswith(("._stack", "._updates")):
                    # They call the kernels and have hardly a loop over numbers: half the time of the compiler, and a
                    # training step of 16 units as fast.
                    extension.extra_compile_args.append("-O1")
                if sys.platform != "win32" and extension.name.endswith("._pool"):
                    extension.extra_compile_args.append("-pthread")
                    extension.extra_link_args = ["-pthread"]
        super().build_extensions()


DIRECTIVES = {
    "language_level": "3",
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "embedsignature": False,
}

# Cython works in several processes, which import this file again where processes are not forked.
if __name__ == "__main__":
    setup(
        ext_modules=cythonize(
            list(extensions()),
            nthreads=n_cores(),
            compiler_directives=DIRECTIVES,
        ),
        cmdclass={"build_ext": BuildExtensions},
    )
