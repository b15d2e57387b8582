"""The kernels of reduced numbers that the roofline measures: products in bf16 and integers, the LSTM cell, rounding.

Counts are of words and whole vectors, as in roofline_kernels.py: a word holds two numbers of bf16 or int16, or four of
int8.
"""

import numpy as np
from roofline_kernels import cell, outer, product, sum_products
from roofline_library import BF16, ITEM, ROWS, STEPS, CSide, Format, Kernel, carve

INT16, INT8 = Format("int16", 2, 2, "int16"), Format("int8", 3, 4, "int8")
HALF = 2  # bytes of a number that forward keeps for backward


def bf16_bits(x):
    """Return the upper halves of float32 numbers, rounded to nearest even."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def bf16_values(bits):
    """Return the numbers of bf16 bits as float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def words_along_k(bits):
    """Return words of neighbouring numbers of the last axis; a last one alone is joined with zero."""
    if bits.shape[-1] % 2:
        bits = np.concatenate([bits, np.zeros_like(bits[..., :1])], -1)
    return np.ascontiguousarray(bits).view(np.float32)


def words_of_rows(bits):
    """Return words of two rows each of the axis before the last, column by column."""
    return np.ascontiguousarray(words_along_k(np.swapaxes(bits, -1, -2)).swapaxes(-1, -2))


def cells(library, rng, units=64):
    """Return the LSTM cell forward and backward with what it keeps in 16 bits, and that of a single row."""
    lanes = library.lanes
    panels, state = units // lanes, ROWS * units
    z, c, h, d_h, d_c, d_bias, gates, saved, tanh_c = carve(
        rng, (ROWS, 4 * units), (STEPS + 1, state), (STEPS + 1, state), (state,), (state,), (4 * units,),
        (STEPS, 2 * state), (STEPS, 2 * state), (STEPS, state // 2),
    )  # fmt: skip
    saved.view(np.uint16)[...] = rng.integers(0, 1 << 16, (STEPS, 4 * state))
    tanh_c.view(np.int16)[...] = rng.integers(-32767, 32768, (STEPS, state))
    vectors, vector, kept_vector = STEPS * ROWS * panels, ITEM * lanes, HALF * lanes
    step = (5 * HALF + 2 * ITEM) * state  # gates and tanh_c, c and h of one step
    kept = STEPS * step
    # Six of each exponential, one more of each sigmoid and tanh made of it, three for the states.
    forward = {"loads": 9, "busy": {"division": 5}}
    products = 5 * (6 + 1) + 3
    yield cell(
        "cell-forward-reduced",
        f"`lstm_cells` of reduced numbers, 1x{units}: {ROWS} rows in training, {STEPS} steps",
        CSide(library, "cell_forward", (STEPS, ROWS, panels, z, gates, c, tanh_c, h), "cell_forward"),
        [(5 * kept_vector + 2 * vector, kept, True), (vector, step, False)],
        vectors,
        stores=11,
        multiplications=products,
        **forward,
    )
    yield cell(
        "cell-row-reduced",
        f"`lstm_cells` of reduced numbers, 1x{units}: one row, nothing kept",
        CSide(library, "cell_of_row", (panels, z, c, h), "cell_of_row"),
        [],
        panels,
        stores=6,
        multiplications=products,
        **forward,
    )
    arguments = (STEPS, ROWS, units, gates, saved, c, tanh_c, d_h, d_c, d_bias)
    yield cell(
        "cell-backward-reduced",
        f"`lstm_backward` of reduced numbers, 1x{units}: {ROWS} rows, {STEPS} steps",
        CSide(library, "cell_backward", arguments, "cell_backward"),
        # The gates, which become their gradient, tanh_c and c; d_c and d_h since the last step.
        [
            (4 * kept_vector, kept, True),
            (kept_vector + vector, kept, False),
            (vector, step, True),
            (vector, step, False),
        ],
        vectors,
        loads=12,
        multiplications=16,
        stores=9,
        busy={},
    )


def rounding(library, rng, n):
    """Return the rounding of the rows of a chunk to words, as before every product."""
    x, words = carve(rng, (ROWS, n), (ROWS, -(-n // 2)))
    vectors = ROWS * n / library.lanes
    return Kernel(
        f"rounding-{n}",
        f"rows to pairs of bf16: {ROWS} rows of {n}",
        CSide(library, "rounding", (ROWS, n, x, words), "rounding"),
        None,
        [],
        loads=vectors,
        multiplications=0.0,
        stores=vectors / 2,
    )


def integer_products(library, rng, form, n_rows):
    """Return the products of a layer of 512 units that reads 512: integers, with scales and biases."""
    lanes, units = library.lanes, 512
    n_k, panels, tile = form.words(1024), units // lanes, 6
    a, weights, start, scale, bias, z = carve(
        None, (n_rows, n_k), (panels, n_k, 4 * lanes), *((4 * lanes,),) * 3, (ROWS, 4 * lanes)
    )
    for array, low, high in ((a, 0, 256), (weights, -127, 128)):
        kind = (np.uint8, np.int8)[low < 0] if form is INT8 else np.int16
        array.view(kind)[...] = rng.integers(low, high, array.view(kind).shape)
    start[...] = bias[...] = 0.0
    scale[...] = 1.0
    panel, rows, products = ITEM * n_k * 4 * lanes, ITEM * n_rows * n_k, 4 * n_k * panels
    tiles = -(-n_rows // tile)
    moves = [(panels * panel, panels * panel + rows, False)]
    if n_rows > 1:
        moves += [
            (panels * (tiles - 1) * panel, panel + ITEM * tile * n_k, False),
            (panels * rows, panel + rows, False),
        ]
    name, what = ("-row", "one row") if n_rows == 1 else ("", f"{n_rows} rows")
    return Kernel(
        *form.named(f"integer_products-512{name}", f"`integer_products`, 512 units: sums of {what}, K = 1024"),
        CSide(
            library,
            "integer_products",
            (form.code, n_rows, n_k, panels, a, weights, start, scale, bias, z),
            "integer_products",
        ),
        2.0 * lanes * n_rows * products * form.numbers,
        moves,
        loads=panels * n_k * (4 * tiles + n_rows),
        multiplications=n_rows * products,
        busy={"fma": panels * tiles * n_k},
        format=form,
    )


def reduced_kernels(library):
    """Return every kernel of reduced numbers in the order of the table."""
    rng = np.random.default_rng(0)
    chunk = f"d_h = d_gates W_hh of {ROWS} rows"
    return [
        *sum_products(library, rng, "64", "1x64", 50, 64, BF16),
        *sum_products(library, rng, "512", "512 units", 512, 512, BF16),
        product(library, rng, 64, 64 // library.lanes, f"`product_tile`, 64 units: {chunk}, k = 256", BF16),
        product(library, rng, 512, 512 // library.lanes, f"`product_tile`, 512 units: {chunk}, k = 2048", BF16),
        outer(library, rng, "64", "1x64", 114, 64, BF16),
        outer(library, rng, "512", "512 units", 1024, 512, BF16),
        *cells(library, rng),
        rounding(library, rng, 114),
        *(integer_products(library, rng, form, n) for form in (INT8, INT16) for n in (ROWS, 1)),
    ]


def check_reduced(library):
    """Make sure that the loops in C compute what they should, beside numpy on the rounded numbers."""
    rng, lanes, code = np.random.default_rng(0), library.lanes, BF16.code
    n_x, n_h, panels, width = 6, 3 * lanes, 3, 4 * lanes
    n_k = n_x + n_h
    inputs, weights = (bf16_bits(rng.standard_normal(shape)) for shape in ((ROWS, n_k), (panels, n_k, width)))
    x, h = (words_along_k(part) for part in (inputs[:, :n_x], inputs[:, n_x:]))
    words = words_of_rows(weights)
    bias, out, product_out, gradient = carve(
        rng, (panels, width), (panels, ROWS, width), (ROWS, 2 * width), (n_k, width)
    )
    d = bf16_bits(rng.standard_normal((ROWS, width)))
    before, exact = gradient.copy(), bf16_values(inputs).astype(np.float64)
    matrices = bf16_values(weights).astype(np.float64)
    library.time("sum_tile", 1, code, ROWS, n_x // 2, n_h // 2, panels, x, h, words, bias, out, ROWS * width)
    rows = words_along_k(inputs)
    library.time("product", 1, code, ROWS, n_k // 2, 8, rows, words, product_out, 2 * width)
    pairs = words_of_rows(inputs)
    library.time("outer", 1, code, ROWS // 2, n_k, 1, pairs, n_k, words_of_rows(d), gradient)
    rounded = np.empty((ROWS, n_k // 2), np.float32)
    numbers = rng.standard_normal((ROWS, n_k), np.float32)
    library.time("rounding", 1, ROWS, n_k, numbers, rounded)
    found = {
        "sum_tile": (out, bias[:, None] + np.einsum("rk,pkw->prw", exact, matrices)),
        "product_tile": (product_out, exact @ np.hstack([matrices[0], matrices[1]])),
        "outer_tile": (gradient, before + exact.T @ bf16_values(d)),
        "bf16_row": (rounded.view(np.uint16), bf16_bits(numbers)),
    }
    u8, s8 = rng.integers(0, 256, (ROWS, 20), np.uint8), rng.integers(-127, 128, (5, width, 4), np.int8)
    s16, weights16 = rng.integers(-2047, 2048, (ROWS, 10), np.int16), rng.integers(-999, 1000, (5, width, 2), np.int16)
    for form, a, b in ((INT8, u8, s8), (INT16, s16, weights16)):
        start, bias = np.zeros(width, np.int32), np.zeros(width, np.float32)
        scale, sums = np.ones(width, np.float32), np.empty((ROWS, width), np.float32)
        library.time("integer_products", 1, form.code, ROWS, 5, 1, a, b, start, scale, bias, sums)
        found[f"integer_products in {form.name}"] = (
            sums,
            a.astype(int) @ b.swapaxes(1, 2).reshape(-1, width).astype(int),
        )
    for name, (values, wanted) in found.items():
        if not np.allclose(values, wanted, rtol=1e-4, atol=1e-4):
            raise SystemExit(f"{name} in roofline.c does not compute what it should: its time means nothing.")
