"""The kernels that the roofline measures: their arrays, their loops in C, and what each must compute and move.

Words: n rows of a chunk, K = D + H columns of [x | h], P panels of V = 4 lanes columns, R rows of a tile.
"""

import numpy as np
from roofline_library import BF16, ITEM, PAIRS, REALS, ROWS, STEPS, CSide, Kernel, carve
from timing import Side


def fill_words(form, rng, *arrays):
    """Fill the operands of a product with what their words hold."""
    for array in arrays if form is BF16 else ():
        shape = array.view(np.uint16).shape
        array.view(np.uint16)[...] = rng.standard_normal(shape, np.float32).view(np.uint32) >> 16


def sum_products(library, rng, name, shape, n_x, n_h, form=REALS):
    """Return `sum_tile` over a chunk and on a single row, as in single steps."""
    lanes, tile = library.lanes, library.tile_rows
    count, panels = n_x + n_h, n_h // lanes
    n_x, n_h = form.words(n_x), form.words(n_h)
    n_k, width = n_x + n_h, 4 * lanes
    x, h, weights, bias, z, out = carve(
        rng, (ROWS, n_x), (ROWS, n_h), (panels, n_k, width), (panels, width), (ROWS, width), (panels, width)
    )
    fill_words(form, rng, x, h, weights)
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
        *form.named(f"sum_tile-{name}", f"`sum_tile`, {shape}: sums of {ROWS} rows, K = {count}, all panels"),
        CSide(library, "sum_tile", (form.code, ROWS, n_x, n_h, panels, x, h, weights, bias, z, 0), "sum_tile"),
        2.0 * lanes * ROWS * products * form.numbers,
        moves,
        loads=panels * n_k * (4 * tiles + ROWS),
        multiplications=ROWS * products,
        busy={"fma": panels * tiles * n_k},
        format=form,
    )
    yield Kernel(
        *form.named(f"sum_tile-{name}-row", f"`sum_tile`, {shape}: sums of one row, K = {count}"),
        CSide(library, "sum_tile", (form.code, 1, n_x, n_h, panels, x, h, weights, bias, out, width), "sum_tile"),
        2.0 * lanes * products * form.numbers,
        [(panels * panel, panels * panel, False)],
        loads=products + panels * n_k,
        multiplications=products,
        busy={"fma": panels * n_k},
        format=form,
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


def product(library, rng, units, n_vecs, title, form=REALS):
    """Return d_h = d_gates W_hh for a chunk: all panels, or the last, narrow one."""
    lanes = library.lanes
    stride = -(-units // lanes) * lanes
    n_k, panels, vecs = form.words(4 * stride), -(-n_vecs // 4), min(n_vecs, 4)
    a, weights, out = carve(rng, (ROWS, n_k), (panels, n_k, vecs * lanes), (ROWS, stride))
    fill_words(form, rng, a, weights)
    tiles = library.tiles(vecs, ROWS)
    panel, rows, results = ITEM * n_k * vecs * lanes, ITEM * ROWS * n_k, ITEM * ROWS * vecs * lanes
    moves = [
        (panels * (tiles - 1) * panel, panel + rows // tiles, False),
        (panels * rows, panel + rows + results, False),
        (panels * panel, panels * panel + rows + results, False),
    ]
    return Kernel(
        *form.named(f"product-{units}" + ("-narrow" if n_vecs < 4 else ""), title),
        CSide(library, "product", (form.code, ROWS, n_k, n_vecs, a, weights, out, stride), "product"),
        2.0 * ROWS * n_k * n_vecs * lanes * form.numbers,
        moves,
        loads=panels * n_k * (vecs * tiles + ROWS),
        multiplications=ROWS * n_k * n_vecs,
        busy={"fma": panels * tiles * n_k},
        format=form,
    )


def outer(library, rng, name, shape, n_k, units, form=REALS):
    """Return d_weights += [x | h]^T d_gates over a block of gathered rows."""
    width, panels = 4 * library.lanes, units // library.lanes
    stride = (-(-n_k * ITEM // 64) | 1) * 64 // ITEM  # an odd number of cache lines
    pairs, stride = form.words(PAIRS), form.numbers * stride  # words of two rows lie in the first of them
    a, d, out = carve(rng, (pairs, stride), (pairs, width), (panels, n_k, width))
    fill_words(form, rng, a, d)
    rows, weights = ITEM * pairs * n_k, ITEM * panels * n_k * width
    tiles = -(-n_k // library.tile_rows)
    moves = [
        (panels * rows, rows + ITEM * pairs * width + weights // panels, False),
        (weights, weights, True),
    ]
    return Kernel(
        *form.named(
            f"outer-{name}", f"`outer_tile`, {shape}: d_weights += [x ∣ h]ᵀ d_gates, {PAIRS} gathered rows, K = {n_k}"
        ),
        CSide(library, "outer", (form.code, pairs, n_k, panels, a, stride, d, out), "outer"),
        2.0 * pairs * n_k * width * panels * form.numbers,
        moves,
        loads=panels * pairs * (4 * tiles + n_k),
        multiplications=4 * pairs * n_k * panels,
        busy={"fma": panels * tiles * pairs},
        format=form,
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
        # Eight sums side by side, one addition after another in each: their order is part of the result. Up to four
        # blocks of the vector are summed at once.
        busy={"addition": n / 8 / min(4, -(-n // (1 << 14)))},
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
    library.time("sum_tile", 1, 0, ROWS, n_x, n_h, panels, x, h, weights, bias, out, ROWS * width)
    library.time("sum_tile", 1, 0, 1, n_x, n_h, panels, x, h, weights, bias, row, width)
    # Two panels of a product, and the outer product of as many rows.
    library.time("product", 1, 0, ROWS, n_k, 8, inputs, weights, product, 4 * width)
    library.time("outer", 1, 0, ROWS, n_k, panels, inputs, n_k, d, gradient)
    found = {
        "sum_tile": (out, gates),
        "sum_tile of one row": (row, gates[:, 0]),
        "product_tile": (product[:, : 2 * width], double @ np.hstack([weights[0], weights[1]])),
        "outer_tile": (gradient, before + double.T @ d),
    }
    for name, (values, exact) in found.items():
        if not np.allclose(values, exact, rtol=1e-4, atol=1e-4):
            raise SystemExit(f"{name} in roofline.c does not compute what it should: its time means nothing.")
