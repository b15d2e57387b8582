"""Decoders: a second run of the layers over the rows ahead, against the reference and differences, and in bits."""

import numpy as np
import pytest
from network.options_case import OptionsCase
from network.options_draw import RECTIFIED, can_have, for_cell, make_case, raise_biases
from network.test_options_against_reference import check_forward, check_training
from network.test_options_gradients import assert_gradient
from numpy.testing import assert_array_equal

from sklstm._kernels import available_isas
from sklstm._network.cells import CELLS
from sklstm._network.network import Network
from sklstm._network.parameters import ParameterLayout
from sklstm._sequences import Sequences

N_CONFIGURATIONS = 60
each_decoder = pytest.mark.parametrize("decoder", ["recurrent", "parallel"])
each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
each_cell = pytest.mark.parametrize("cell", CELLS)
each_number = pytest.mark.parametrize("number", range(N_CONFIGURATIONS))


def draw_decoder(number, cell=None):
    """The arguments of `OptionsCase` of configuration `number`: all that goes with a decoder."""
    rng = np.random.default_rng([21, number])

    def on(share):
        return bool(rng.random() < share)

    cell = list(CELLS)[number % len(CELLS)] if cell is None else cell
    n_layers, patch_length = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    # 4, 5, 4 or 5, 4, 5: a residual sum over one layer needs its map, one over two does not.
    sizes = 4 + (np.arange(n_layers) + rng.integers(2)) % 2 if on(0.6) else np.full(n_layers, 4)
    n_columns, horizon = int(rng.integers(1, 4)), int(rng.integers(1, 6))
    options = {
        "decoder": ("recurrent", "parallel")[number % 2],
        "horizon": horizon,
        "n_outputs": horizon * int(rng.integers(1, 3)),
        "hidden_sizes": tuple(sizes.tolist()),
        "n_columns": n_columns,
        "known_columns": tuple(np.flatnonzero(rng.random(n_columns) < 0.5).tolist()) if on(0.7) else (),
        "n": int(rng.integers(16, 19)) if on(0.1) else int(rng.integers(2, 5)),
        "longest": int(rng.integers(3, 6)) * patch_length - int(rng.integers(patch_length)),
        "patch_length": patch_length,
        "threads": int(rng.integers(1, 3)),
        "residual": int(rng.choice([1, 1, 2])) if on(0.4) else 0,
        "norm": "layer" if on(0.3) else None,
        "peephole": on(0.3),
        "projection_size": 3 if on(0.3) and can_have(cell, "projection_size", 3) else 0,
        "zoneout": 0.3 if on(0.3) else 0.0,
        "dropout": 0.3 if on(0.35) else 0.0,
        "recurrent_dropout": 0.3 if on(0.3) else 0.0,
        "scaled": on(0.5),
        "window_norm": (None, "last", "standard")[rng.integers(3)],
        "linear_skip": int(rng.choice([2, 7])) if on(0.35) else 0,
    }
    return for_cell(cell, options)


PLAIN = {"horizon": 5, "n_outputs": 10, "known_columns": (0, 2), "patch_length": 2, "longest": 8, "n": 7}


# Against the reference


@each_dtype
@each_decoder
@each_cell
def test_each_cell(cell, decoder, dtype):
    """Sizes around those of a vector, with remainders."""
    for number, size in enumerate([1, 9, 17]):
        options = {**PLAIN, "cell": cell, "decoder": decoder, "hidden_sizes": (size, size)}
        check_forward(make_case(options, number, dtype=dtype))


@each_dtype
@each_number
def test_all_options_together(number, dtype):
    case = make_case(draw_decoder(number), number, dtype=dtype)
    check_forward(case)
    check_training(case)


@each_decoder
def test_tables_of_the_other_dtype(decoder):
    for window_norm in (None, "last"):
        options = {**PLAIN, "decoder": decoder, "scaled": True, "window_norm": window_norm}
        for dtype, table_dtype in (("float32", "float64"), ("float64", "float32")):
            check_forward(make_case(options, 3, dtype=dtype, table_dtype=table_dtype))


# Gradients


@each_number
def test_gradients(number):
    case = make_case(draw_decoder(number), number)
    if case.shape.cell in RECTIFIED:
        raise_biases(case)
    flat, d_x, d_state = case.gradients()
    assert_gradient(case.loss, case.flat, flat)
    assert_gradient(case.loss, case.state, d_state)
    if d_x is not None:
        assert_gradient(case.loss, case.table, d_x)


@each_cell
@each_decoder
def test_gradients_of_each_cell(cell, decoder):
    options = {**PLAIN, "cell": cell, "decoder": decoder, "hidden_sizes": (4, 3), "n": 3, "longest": 7}
    case = make_case(options, 5)
    if cell in RECTIFIED:
        raise_biases(case)
    flat, _, d_state = case.gradients()
    assert_gradient(case.loss, case.flat, flat)
    assert_gradient(case.loss, case.state, d_state)
    views = case.layout.views(flat)
    assert all(np.abs(view).max() > 0 for name, view in views.items() if name != "weight_recurrent_l1"), views


# Bits


@each_decoder
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "mingru", "mgu"])
def test_rows_alone_and_threads(cell, decoder, dtype):
    options = {**PLAIN, "cell": cell, "decoder": decoder, "hidden_sizes": (9, 20), "n": 70, "longest": 9}
    results = []
    for threads in (1, 2, 3):
        case = make_case(options, 0, dtype=dtype, threads=threads)
        z, hidden, final = case.forward()
        loss = case.loss()
        gradient = case.network.from_panels(case.slots[: case.network.weights.nbytes].view(case.dtype))
        results.append((z.copy(), hidden.copy(), final.copy(), loss, gradient))
    for other in results[1:]:
        for found, expected in zip(other, results[0], strict=True):
            assert_array_equal(found, expected)
    z, hidden, final = results[0][:3]
    for which in (0, 33, 69):
        alone = case.forward(slice(which, which + 1))
        for found, expected in zip(alone, (z, hidden, final), strict=True):
            assert_array_equal(found[0], expected[which])


@each_decoder
def test_bfloat16_has_the_same_bits_everywhere(decoder):
    options = {**PLAIN, "decoder": decoder, "hidden_sizes": (20, 33), "n": 20}
    found = []
    for isa in available_isas("reduced"):
        case = OptionsCase(isa, dtype="bfloat16", **options)
        loss = case.loss()
        gradient = case.network.from_panels(case.slots[: case.network.weights.nbytes].view(case.dtype))
        found.append((case.forward()[0].copy(), loss, gradient))
    for other in found[1:]:
        for one, expected in zip(other, found[0], strict=True):
            assert_array_equal(one, expected)


@each_decoder
def test_bfloat16_is_near_float64(decoder):
    options = {**PLAIN, "decoder": decoder, "hidden_sizes": (20, 33), "n": 20}
    exact, rounded = (make_case(options, 1, dtype=dtype) for dtype in ("float64", "bfloat16"))
    rounded.flat[:] = exact.flat
    assert np.abs(exact.forward()[0] - rounded.forward()[0]).max() < 0.05
    found = []
    for case in (exact, rounded):
        case.loss()
        found.append(case.network.from_panels(case.slots[: case.network.weights.nbytes].view(case.dtype)))
    assert np.linalg.norm(found[0] - found[1]) < 0.02 * np.linalg.norm(found[0])


@each_decoder
def test_only_known_columns_ahead_are_read(decoder):
    """Those of the rows ahead, up to the horizon."""
    case = make_case({**PLAIN, "decoder": decoder}, 2)
    z = case.forward()[0].copy()
    case.ahead["ahead"][-1] = np.nan  # a row beyond the last horizon
    assert_array_equal(case.forward()[0], z)
    row = case.ahead["ahead_starts"][3] + 4
    case.ahead["ahead"][row, 1] += 1.0
    changed = (case.forward()[0][3] != z[3]).nonzero()[0]
    # What is known of the last row says nothing of the turns before its own.
    assert_array_equal(changed, [8, 9])


def test_features_need_no_row_ahead():
    case = make_case({**PLAIN, "decoder": "parallel"}, 2)
    sequences = Sequences.from_list(case.sequences)
    case.network.load(case.flat)
    features = case.network.forward(sequences, want_hidden=True, states=case.state.copy())
    assert_array_equal(features, case.forward()[1])
    with pytest.raises(ValueError, match="the decoder reads 2 known columns of the rows ahead; got none"):
        case.network.forward(sequences)


def test_rows_ahead_that_are_not_there_are_refused():
    case = make_case({**PLAIN, "decoder": "parallel"}, 2)
    case.ahead["ahead_starts"][2] = len(case.ahead["ahead"]) - 4
    with pytest.raises(ValueError, match="the 5 rows ahead of sequence 2 begin at row 8 of 12"):
        case.forward()


@pytest.mark.parametrize(
    "options",
    [
        {"bidirectional": True},
        {"attention_heads": 2},
        {"pooling": "mean"},
        {"every_step": True},
        {"cell_norm": True},
        {"horizon": 3},
        {"horizon": 0},
    ],
)
def test_what_does_not_go_with_a_decoder(options):
    with pytest.raises(ValueError, match=r"decoder='recurrent' does not go with|no multiple of horizon=3"):
        ParameterLayout(3, (4,), 10, **{"decoder": "recurrent", "horizon": 5, **options})


@each_decoder
def test_initial_vectors_of_turns_differ(decoder):
    layout = ParameterLayout(3, (16,), 8, decoder=decoder, horizon=8, patch_length=2)
    view = layout.views(layout.initial(np.random.default_rng(0), "float64"))["bias_decoder_l0"]
    assert view.shape == (4, 64)
    assert 0.1 < np.abs(view).max() <= np.sqrt(6 / 20)
    network = Network(layout, "float64", 1)
    flat = np.arange(1.0, layout.size + 1)
    assert_array_equal(network.from_panels(network.to_panels(flat)), flat)
