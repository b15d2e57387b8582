"""The kernels that the roofline measures: their arrays, their loops in C, and what each must compute and move.

Words: n rows of a chunk, K = D + H columns of [x | h], P panels of V = 4 lanes columns, R rows of a tile.
"""

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


def setup_constant(name):
    """Return a literal of setup.py, which cannot be imported without building."""
    for node in ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == name:
            return ast.literal_eval(node.value)
    raise LookupError(f"setup.py has no {name}")


class Library:
    """The loops of roofline.c, compiled in float32 with the flags of a variant."""

    def __init__(self, isa):
        cc = compiler()
        if cc is None:
            raise SystemExit("The roofline needs a C compiler.")
        flags = [*setup_constant("GNU_FLAGS"), *setup_constant("GNU_VARIANTS")[isa], "-shared", "-fPIC", "-Wno-psabi"]
        flags += ["-DSKLSTM_REAL_IS_FLOAT=1", *([] if isa == "baseline" else [f"-DSKLSTM_ISA_{isa.upper()}"])]
        flags += [f"-I{ROOT / 'sklstm' / '_kernels'}", f"-I{sysconfig.get_path('include')}"]
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder) / "roofline.so"
            subprocess.run([cc, *flags, str(SOURCE), "-o", str(library), "-lm"], check=True)
            self._library = ctypes.CDLL(str(library))  # once it is loaded the file may go
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


def sum_products(library, rng, name, shape, n_x, n_h):
    """Return `sum_tile` over a chunk and on a single row, as in single steps."""
    lanes, tile = library.lanes, library.tile_rows
    n_k, width, panels = n_x + n_h, 4 * lanes, n_h // lanes
    x, h, weights, bias, z, out = carve(
        rng, (ROWS, n_x), (ROWS, n_h), (panels, n_k, width), (panels, width), (ROWS, width), (panels, width)
    )
    panel, rows, tiles = ITEM * n_k * width, ITEM * ROWS * n_k, -(-ROWS // tile)
    results = ITEM * ROWS * width
    products = 4 * n_k * panels  # of vectors, for one row
    # A panel is read again for each tile of rows, the rows for each panel, the weights for each step.
    moves = [
        (panels * (tiles - 1) * panel, panel + ITEM * tile * n_k, False),
        (panels * rows, panel + rows + results, False),
        (panels * panel, panels * panel + rows + results, False),
    ]
    yield Kernel(
        f"sum_tile-{name}",
        f"`sum_tile`, {shape}: sums of {ROWS} rows, K = {n_k}, all panels",
        CSide(library, "sum_tile", (ROWS, n_x, n_h, panels, x, h, weights, bias, z, 0), "sum_tile"),
        2.0 * lanes * ROWS * products,
        moves,
        loads=panels * n_k * (4 * tiles + ROWS),
        multiplications=ROWS * products,
        busy={"fma": panels * tiles * n_k},
    )
    yield Kernel(
        f"sum_tile-{name}-row",
        f"`sum_tile`, {shape}: sums of one row, K = {n_k}",
        CSide(library, "sum_tile", (1, n_x, n_h, panels, x, h, weights, bias, out, width), "sum_tile"),
        2.0 * lanes * products,
        [(panels * panel, panels * panel, False)],
        loads=products + panels * n_k,
        multiplications=products,
        busy={"fma": panels * n_k},
    )


def cells(library, rng, units=64):
    """Return the cell forward (in training, and of a single row) and backward, all for one layer."""
    lanes = library.lanes
    panels, state = units // lanes, ROWS * units
    z, gates, saved, c, tanh_c, h, d_h, d_c, d_bias = carve(
        rng, (ROWS, 4 * units), (STEPS, 4 * state), (STEPS, 4 * state), (STEPS + 1, state), (STEPS, state),
        (STEPS + 1, state), (state,), (state,), (4 * units,),
    )  # fmt: skip
    saved[...] = 1 / (1 + np.exp(-saved))
    tanh_c[...] = np.tanh(tanh_c)
    vectors = STEPS * ROWS * panels
    vector = ITEM * lanes
    step = 7 * ITEM * state  # gates, c, tanh_c and h of one step
    kept = STEPS * step
    # Nine of each exponential, one more of each sigmoid and tanh made of it, three for the states.
    forward = {"loads": 9, "multiplications": 5 * (9 + 1) + 3, "busy": {"division": 5}}
    yield cell(
        "cell-forward",
        f"`lstm_cells`, 1x{units}: activations and states of {ROWS} rows in training, {STEPS} steps",
        CSide(library, "cell_forward", (STEPS, ROWS, panels, z, gates, c, tanh_c, h), "cell_forward"),
        [(7 * vector, kept, True), (vector, step, False)],  # what is kept, and c of the step before
        vectors,
        stores=11,
        **forward,
    )
    yield cell(
        "cell-row",
        f"`lstm_cells`, 1x{units}: one row, nothing kept",
        CSide(library, "cell_of_row", (panels, z, c, h), "cell_of_row"),
        [],
        panels,
        stores=6,
        **forward,
    )
    arguments = (STEPS, ROWS, units, gates, saved, c, tanh_c, d_h, d_c, d_bias)
    yield cell(
        "cell-backward",
        f"`lstm_backward`, 1x{units}: gradient of the sums of {ROWS} rows, {STEPS} steps",
        CSide(library, "cell_backward", arguments, "cell_backward"),
        # The gates, which become their gradient, c and tanh_c; d_c and d_h since the last step.
        [(4 * vector, kept, True), (2 * vector, kept, False), (vector, step, True), (vector, step, False)],
        vectors,
        loads=12,
        multiplications=16,
        stores=9,
        busy={},
    )


def cell(name, title, side, moves, vectors, *, loads, multiplications, stores, busy):
    """Return a kernel that does the same for each vector of units."""
    return Kernel(
        name,
        title,
        side,
        None,
        [(vectors * n_bytes, distance, written) for n_bytes, distance, written in moves],
        loads * vectors,
        multiplications * vectors,
        stores * vectors,
        {kind: count * vectors for kind, count in busy.items()},
        "vector of units",
        vectors,
    )


def product(library, rng, units, n_vecs, title):
    """Return d_h = d_gates W_hh for a chunk: all panels, or the last, narrow one."""
    lanes = library.lanes
    stride = -(-units // lanes) * lanes
    n_k, panels, vecs = 4 * stride, -(-n_vecs // 4), min(n_vecs, 4)
    a, weights, out = carve(rng, (ROWS, n_k), (panels, n_k, vecs * lanes), (ROWS, stride))
    tiles = library.tiles(vecs, ROWS)
    panel, rows, results = ITEM * n_k * vecs * lanes, ITEM * ROWS * n_k, ITEM * ROWS * vecs * lanes
    moves = [
        (panels * (tiles - 1) * panel, panel + rows // tiles, False),
        (panels * rows, panel + rows + results, False),
        (panels * panel, panels * panel + rows + results, False),
    ]
    return Kernel(
        f"product-{units}" + ("-narrow" if n_vecs < 4 else ""),
        title,
        CSide(library, "product", (ROWS, n_k, n_vecs, a, weights, out, stride), "product"),
        2.0 * ROWS * n_k * n_vecs * lanes,
        moves,
        loads=panels * n_k * (vecs * tiles + ROWS),
        multiplications=ROWS * n_k * n_vecs,
        busy={"fma": panels * tiles * n_k},
    )


def outer(library, rng, name, shape, n_k, units):
    """Return d_weights += [x | h]^T d_gates over a block of gathered rows."""
    width, panels = 4 * library.lanes, units // library.lanes
    stride = (-(-n_k * ITEM // 64) | 1) * 64 // ITEM  # an odd number of cache lines
    a, d, out = carve(rng, (PAIRS, stride), (PAIRS, width), (panels, n_k, width))
    rows, weights = ITEM * PAIRS * n_k, ITEM * panels * n_k * width
    tiles = -(-n_k // library.tile_rows)
    moves = [
        (panels * rows, rows + ITEM * PAIRS * width + weights // panels, False),
        (weights, weights, True),
    ]
    return Kernel(
        f"outer-{name}",
        f"`outer_tile`, {shape}: d_weights += [x ∣ h]ᵀ d_gates, {PAIRS} gathered rows, K = {n_k}",
        CSide(library, "outer", (PAIRS, n_k, panels, a, stride, d, out), "outer"),
        2.0 * PAIRS * n_k * width * panels,
        moves,
        loads=panels * PAIRS * (4 * tiles + n_k),
        multiplications=4 * PAIRS * n_k * panels,
        busy={"fma": panels * tiles * PAIRS},
    )


def update_steps(library, rng, n):
    """Return the norm and the optimizer's step, through the doors that `fit` uses."""
    from sklstm._kernels.optim._updates import squared_norm, update_step

    arrays = carve(rng, (n,), (n,), (n,), (n,))
    x, gradient, mean, square = arrays
    np.abs(square, out=square)
    ends, decays, repeats = np.array([n], np.intp), np.array([0.01]), max(1, 300_000 // n)

    def norms():
        for _ in range(repeats):
            squared_norm(gradient, 1)

    def steps():
        for _ in range(repeats):
            update_step(
                "adamw", x, gradient, mean, square, ends, decays, 1,
                scale=1.0, learning_rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8, step=1000,
            )  # fmt: skip

    vectors = n / library.lanes
    yield Kernel(
        f"norm-{n}",
        f"`squared_norm` of {n:,} numbers",
        Side(norms, repeats),
        2.0 * n,
        [(ITEM * n, ITEM * n, False)],
        loads=vectors,
        multiplications=2 * vectors,  # in double
        # Eight sums side by side, one addition after another in each: their order is part of the result.
        busy={"addition": n / 8},
    )
    yield Kernel(
        f"adamw-{n}",
        f"`adamw_step` of {n:,} numbers",
        Side(steps, repeats),
        15.0 * n,
        [(3 * ITEM * n, 4 * ITEM * n, True), (ITEM * n, 4 * ITEM * n, False)],
        loads=4 * vectors,
        multiplications=9 * vectors,
        stores=3 * vectors,
        busy={"division": vectors, "root": vectors},
    )


def all_kernels(library):
    """Return every kernel in the order of the table."""
    rng = np.random.default_rng(0)
    chunk = f"d_h = d_gates W_hh of {ROWS} rows"
    narrow = -(-100 // library.lanes) % 4 or 4
    return [
        *sum_products(library, rng, "64", "1x64", 50, 64),
        *sum_products(library, rng, "512", "512 units", 512, 512),
        *cells(library, rng),
        product(library, rng, 64, 64 // library.lanes, f"`product_tile`, 64 units: {chunk}, k = 256"),
        product(library, rng, 512, 512 // library.lanes, f"`product_tile`, 512 units: {chunk}, k = 2048"),
        product(
            library, rng, 100, narrow, f"`product_tile`, 100 units: the last panel alone, {narrow} of 4 vectors wide"
        ),
        outer(library, rng, "64", "1x64", 114, 64),
        outer(library, rng, "512", "512 units", 1024, 512),
        *update_steps(library, rng, 30_000),
        *update_steps(library, rng, 10_000_000),
    ]


def check(library):
    """Make sure that the loops in C compute what they should: all products of a chunk, beside numpy in double."""
    n_x, n_h, lanes = 5, 3 * library.lanes, library.lanes
    n_k, panels, width = n_x + n_h, n_h // lanes, 4 * lanes
    x, h, weights, bias, out, row, product, gradient = carve(
        np.random.default_rng(0), (ROWS, n_x), (ROWS, n_h), (panels, n_k, width), (panels, width),
        (panels, ROWS, width), (panels, width), (ROWS, 4 * width), (panels, n_k, width),
    )  # fmt: skip
    inputs, d = np.hstack([x, h]), out[1].copy()
    double, before = inputs.astype(np.float64), gradient.copy()
    gates = bias[:, None] + np.einsum("rk,pkw->prw", double, weights.astype(np.float64))
    library.time("sum_tile", 1, ROWS, n_x, n_h, panels, x, h, weights, bias, out, ROWS * width)
    library.time("sum_tile", 1, 1, n_x, n_h, panels, x, h, weights, bias, row, width)
    # Two panels of a product, and the outer product of as many rows.
    library.time("product", 1, ROWS, n_k, 8, inputs, weights, product, 4 * width)
    library.time("outer", 1, ROWS, n_k, panels, inputs, n_k, d, gradient)
    found = {
        "sum_tile": (out, gates),
        "sum_tile of one row": (row, gates[:, 0]),
        "product_tile": (product[:, : 2 * width], double @ np.hstack([weights[0], weights[1]])),
        "outer_tile": (gradient, before + double.T @ d),
    }
    for name, (values, exact) in found.items():
        if not np.allclose(values, exact, rtol=1e-4, atol=1e-4):
            raise SystemExit(f"{name} in roofline.c does not compute what it should: its time means nothing.")
