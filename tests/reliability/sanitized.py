"""Build a copy of the package with a sanitizer of the compiler, and run Python programs with it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# -O1: at -O3 the sanitizers take minutes for the text of the kernels; and where a variable lives at each instruction is
# not noted, which took as long again. The other flags of setup.py stay, those of the instruction sets too.
COMPILER = """#!/bin/sh
for argument; do
    shift
    case "$argument" in
        -O2 | -O3 | -g | -g0) ;;
        *) set -- "$@" "$argument" ;;
    esac
done
exec gcc -O1 -g1 -fno-var-tracking -fno-omit-frame-pointer {flags} "$@"
"""
BUILD = """
import sys
from Cython.Build import cythonize
from setuptools import setup as run
import setup
chosen = set(sys.argv[1].split(","))
extensions = [
    one for one in setup.extensions()
    if "._isa_" not in one.name or one.name.split("._isa_")[1].rsplit("_", 1)[0] in chosen
]
if __name__ == "__main__":
    run(
        name="sklstm", packages=[], py_modules=[], script_args=["-q", "build_ext", "--inplace"],
        ext_modules=cythonize(extensions, quiet=True, compiler_directives=setup.DIRECTIVES),
        cmdclass={"build_ext": setup.BuildExtensions},
    )
"""


def runtime(name):
    """Return the path of a library of the compiler, such as "libtsan.so"; raises if it is not there."""
    found = subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=False)
    path = Path(found.stdout.strip())
    if not path.is_absolute():
        raise SystemExit(f"{name} is not on this machine: install the sanitizers of gcc")
    return str(path.resolve())


def build(folder, flags, isas):
    """Copy the sources and build them in place.

    Parameters
    ----------
    folder : Path
        Where; what is there is used again, and only what has changed is compiled.
    flags : str
        Flags of the compiler.
    isas : collection of str
        Instruction sets that are built, and that the copy has: tests that go through all of them meet no others.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("sklstm", "tests"):
        ignored = shutil.ignore_patterns("*.so", "__pycache__", "_*.c")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored, dirs_exist_ok=True)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, folder)
    kernels, head = folder / "sklstm" / "_kernels" / "__init__.py", "\n\n\ndef available_isas"
    only = f"\nVARIANTS = {{name: tuple(x for x in isas if x in {sorted(isas)}) for name, isas in VARIANTS.items()}}"
    kernels.write_text(kernels.read_text().replace(head, only + head, 1))
    compiler = folder / "compiler"
    if not compiler.exists():  # or all would be compiled again
        compiler.write_text(COMPILER.format(flags=flags))
        compiler.chmod(0o755)
    (folder / "build_some.py").write_text(BUILD)
    command = [sys.executable, "build_some.py", ",".join(isas)]
    subprocess.run(command, cwd=folder, check=True, env={**os.environ, "CC": str(compiler), "PYTHONPATH": str(folder)})


def compile_library(folder, name, source, flags):
    """Compile a C text with a sanitizer, as a library that Python loads: for a fault on purpose."""
    (folder / f"{name}.c").write_text(source)
    command = ["gcc", "-O0", "-g", "-w", "-shared", "-fPIC", *flags.split(), f"{name}.c", "-o", f"{name}.so"]
    subprocess.run(command, cwd=folder, check=True)


def run(folder, libraries, settings, arguments, *, report, fixed_addresses=False):
    """Run Python with a sanitizer, and return whether it ended well, how many reports there were, and its output.

    Parameters
    ----------
    folder : Path
        The copy.
    libraries : sequence of str
        Runtimes of the sanitizers, loaded before Python.
    settings : dict
        Environment variables.
    arguments : list of str
        Of Python.
    report : str
        A pattern that a report of the sanitizer begins with.
    fixed_addresses : bool
        Whether the addresses are not random, which ThreadSanitizer cannot read on newer kernels.
    """
    environment = {
        **os.environ,
        "LD_PRELOAD": " ".join(libraries),
        "PYTHONPATH": f"{folder}:{folder / 'tests'}:{folder / 'tests' / 'reliability'}",
        "PYTHONMALLOC": "malloc",  # or the sanitizer sees no object of Python by itself
        **settings,
    }
    command = [*(["setarch", "-R"] if fixed_addresses else []), sys.executable, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    return done.returncode == 0, len(re.findall(report, said)), said
