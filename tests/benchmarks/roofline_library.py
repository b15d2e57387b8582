"""What the kernels of the roofline are described with: words, loops in C, counts."""

import ast
import ctypes
import subprocess
import sysconfig
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from peak import compiler
from timing import Side

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(__file__).with_name("roofline.c")
ROWS, STEPS, PAIRS = 32, 32, 128  # sequences of a chunk, steps of a cell's pass, rows of an outer product
ITEM = 4  # bytes of a number
CALL_SECONDS = 0.003  # of one call into C: what the call itself costs does not show


@dataclass(frozen=True)
class Format:
    """What a word of the operands holds (isa/words.h), and the instruction whose rate bounds its products (peak.py)."""

    name: str
    code: int
    numbers: int
    rate: str

    def words(self, n):
        """Return the words for n numbers."""
        return -(-n // self.numbers)

    def named(self, name, title):
        """Return name and title of a kernel in this format."""
        return (f"{name}-{self.name}", title.replace(",", f" in {self.name},", 1)) if self.name else (name, title)


REALS, BF16 = Format("", 0, 1, "fma"), Format("bf16", 1, 2, "bf16")


def setup_constant(name):
    """Return a constant of setup.py, which cannot be imported without building: what its assignments make of it."""
    values = {}
    for node in ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")).body:
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        if any(name in (getattr(part, "id", None) for part in ast.walk(target)) for target in targets if target):
            exec(compile(ast.Module([node], []), "setup.py", "exec"), values)
    if name not in values:
        raise LookupError(f"setup.py has no {name}")
    return values[name]


class Library:
    """The loops of roofline.c, compiled with the flags of a variant: in float32, or of reduced numbers."""

    def __init__(self, isa, reduced=False):
        cc = compiler()
        if cc is None:
            raise SystemExit("The roofline needs a C compiler.")
        flags = [*setup_constant("GNU_FLAGS"), *setup_constant("GNU_VARIANTS")[isa], "-shared", "-fPIC", "-Wno-psabi"]
        flags += [
            "-DSKLSTM_REAL_IS_FLOAT=1",
            f"-DSKLSTM_REDUCED={int(reduced)}",
            *([] if isa == "baseline" else [f"-DSKLSTM_ISA_{isa.upper()}"]),
        ]
        flags += [f"-I{ROOT / 'sklstm' / '_kernels'}", f"-I{sysconfig.get_path('include')}"]
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder) / "roofline.so"
            subprocess.run([cc, *flags, str(SOURCE), "-o", str(library), "-lm"], check=True)
            self._library = ctypes.CDLL(str(library))  # once it is loaded the file may go
        self.reduced = reduced
        self.lanes, self.tile_rows = self._library.lanes(), self._library.rows_of_tile()

    def tiles(self, vecs, n_rows):
        """Return the number of tiles that a product of n_rows rows is cut into."""
        count = 0
        while n_rows > 0:
            n_rows -= self._library.rows_of_product(vecs, ctypes.c_ssize_t(n_rows))
            count += 1
        return count

    def time(self, name, repeats, *arguments):
        """Return the seconds of one pass; numbers become `Py_ssize_t`, arrays the address of their first number."""
        function = getattr(self._library, f"time_{name}")
        function.restype = ctypes.c_double
        given = (
            ctypes.c_void_p(a.ctypes.data) if isinstance(a, np.ndarray) else ctypes.c_ssize_t(a) for a in arguments
        )
        return function(ctypes.c_ssize_t(repeats), *given)


class CSide(Side):
    """A loop in C, which holds the clock itself. `repeats` is chosen by the first, cold calls."""

    def __init__(self, library, name, arguments, label):
        super().__init__(lambda: library.time(name, self.repeats, *arguments), label=label)

    def warm_up(self):
        """Find how often the work is to be repeated."""
        self.repeats = 1
        while (took := self.call()) * self.repeats < CALL_SECONDS:
            self.repeats = max(2 * self.repeats, round(CALL_SECONDS / max(took, 1e-9)))

    def clock(self):
        """Return the seconds of one pass."""
        return self.call()


@dataclass
class Kernel:
    """One kernel on one shape. All counts are those of one pass; operations are those of whole vectors.

    Attributes
    ----------
    flop : float or None
        None where products and sums are not what the kernel is about.
    moves : list of (number of bytes, bytes between two uses, whether they are written too)
        What comes from beyond L1; the second number says which level of the caches still holds it.
    loads, stores : float
        Vectors between L1 and the registers. A broadcast takes the slot of a vector and counts as one.
    multiplications : float
        Joined with a sum or not: they take the same units.
    busy : dict
        Operations of other kinds: "division", "root", and those that wait for each other, "fma" and "addition".
    unit, work : str, float
        A piece of work and how many of them a pass does.
    format : Format
        Of the words of its products; a multiplication does that of all numbers of a word.
    """

    name: str
    title: str
    side: Side
    flop: float | None
    moves: list
    loads: float
    multiplications: float
    stores: float = 0.0
    busy: dict = field(default_factory=dict)
    unit: str = "pass"
    work: float = 1
    format: Format = REALS


def carve(rng, *shapes):
    """Return float32 arrays that follow each other in one block, each on a 64-byte boundary, as those of a chunk do.

    They hold normal numbers; given no generator, nothing.
    """
    sizes = [-(-int(np.prod(shape)) // 16) * 16 for shape in shapes]
    block = np.empty(sum(sizes) + 16, np.float32)
    at, arrays = -(block.ctypes.data // ITEM) % 16, []
    for shape, size in zip(shapes, sizes, strict=True):
        array = block[at : at + int(np.prod(shape))].reshape(shape)
        if rng is not None:
            array[...] = 0.5 * rng.standard_normal(shape, np.float32)
        arrays.append(array)
        at += size
    return arrays
