"""Networks of all cells and options give the same bits: for any number of threads, in any batch, table and memory.

Every call of `OptionsCase` works in memory that is NaN before and has a guard behind it.
"""

import numpy as np
import pytest
from network.options_draw import ALONE, cells_with_some, draw_options, drawn_cells, make_case
from numpy.testing import assert_array_equal

from sklstm._network.network import Network
from sklstm._network.noise import Noise
from sklstm._sequences import Sequences

# Behind those whose gradients are tested.
NUMBERS = range(300, 334)
each_drawn = pytest.mark.parametrize(("cell", "number"), drawn_cells(NUMBERS))
each_option = pytest.mark.parametrize(("cell", "name"), cells_with_some(ALONE))


def draw_wide(cell, number, **more):
    """Layers of more units than a vector has numbers, in each precision, and more sequences than one chunk."""
    options = draw_options(number, cell)
    options["hidden_sizes"] = tuple(3 * size for size in options["hidden_sizes"])
    options["projection_size"] = 3 * options.get("projection_size", 0)
    return make_case(options | {"n": 37, **more}, number, dtype=("float32", "float64")[number // 2 % 2])


def everything(case):
    """All that a case gives, forward and back, with the loss."""
    return [*case.forward(), *(found for found in case.gradients() if found is not None), np.array(case.loss())]


def assert_same_bits(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert np.isfinite(other).all()
        assert_array_equal(one, other, strict=True)


@each_drawn
def test_threads_change_no_bit(cell, number):
    case = draw_wide(cell, number, threads=1, n=70)
    expected = everything(case)
    for case.threads in (2, 3, 4, 8):
        case.workspace = None
        assert_same_bits(everything(case), expected)


def check_alone(case):
    z, hidden, final = case.forward()
    begins = np.cumsum(case.lengths) - case.lengths
    for k in range(len(case.lengths)):
        rows = slice(begins[k], begins[k] + case.lengths[k]) if case.shape.every_step else slice(k, k + 1)
        # Where every step has an output, it goes to the row of the table that the step has read.
        one_z, one_hidden, one_final = case.forward(slice(k, k + 1))
        own = rows if case.shape.every_step else slice(None)
        assert_array_equal(one_z[own], z[rows], strict=True)
        assert_array_equal(one_hidden[own], hidden[rows], strict=True)
        assert_array_equal(one_final[0], final[k], strict=True)


@each_drawn
def test_a_sequence_alone_equals_itself_in_a_batch(cell, number):
    check_alone(draw_wide(cell, number, threads=2))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@each_option
def test_a_sequence_alone_with_one_option(cell, name, dtype):
    for n in (2, 3, 5, 7, 13):
        check_alone(make_case({"cell": cell, "hidden_sizes": (18, 18), "n": n, **ALONE[name]}, n, dtype=dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_long_sequence_alone_with_attention(bidirectional, dtype):
    for pooling in ("last", "mean", "attention"):
        options = {"attention_heads": 2, "pooling": pooling, "bidirectional": bidirectional}
        check_alone(make_case({**options, "hidden_sizes": (18,), "n": 5, "longest": 90}, 3, dtype=dtype))


@each_drawn
def test_a_claim_of_longer_sequences_changes_no_bit(cell, number):
    """The workspaces of a batch may be measured for longer sequences than it has."""
    case = draw_wide(cell, number, n=5)
    expected = everything(case)
    case.spare, case.workspace = 4, None
    assert_same_bits(everything(case), expected)


def check_gaps(case):
    gradient = case.gradients()[0]
    panels = case.slots[: case.network.weights.nbytes].view(case.dtype)
    assert_array_equal(panels, case.network.to_panels(gradient), strict=True)


@each_drawn
def test_gradients_are_zero_where_no_parameter_stands(cell, number):
    """An optimizer steps on whole panels, and norms are taken over them."""
    check_gaps(draw_wide(cell, number))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@each_option
def test_gradients_are_zero_where_no_parameter_stands_with_one_option(cell, name, dtype):
    """Layers of very different sizes, whose rows have different gaps."""
    for number, sizes in enumerate([(6, 66, 10), (40, 6, 34)]):
        check_gaps(make_case({"cell": cell, **ALONE[name], "hidden_sizes": sizes}, number, dtype=dtype))


@each_drawn
def test_columns_of_a_wider_table_change_no_bit(cell, number):
    case = draw_wide(cell, number, n=5)
    expected = everything(case)
    n_columns = case.table.shape[1]
    wide = np.full((len(case.table), n_columns + 3), np.nan, case.dtype)
    wide[:, 2 : 2 + n_columns] = case.table
    case.table = wide[:, 2 : 2 + n_columns]
    assert_same_bits(everything(case), expected)


@pytest.mark.parametrize(("cell", "number"), drawn_cells([k for k in NUMBERS if not draw_options(k).get("every_step")]))
def test_windows_of_a_table_are_copies_of_them(cell, number):
    """Overlapping windows share products where they can: the same bits, forward and in training."""
    case = draw_wide(cell, number)
    case.network.load(case.flat)
    rng = np.random.default_rng(number)
    table = rng.normal(size=(60, case.shape.input_size)).astype(case.dtype)
    windows = Sequences.from_windows(table, 6)
    copies = Sequences.from_list(
        [table[a : a + n].copy() for a, n in zip(windows.starts, windows.lengths, strict=True)]
    )
    data = {
        "rows": rng.permutation(60),
        "targets": rng.normal(size=(60, case.shape.n_outputs)).astype(case.dtype),
        "weights": np.ones(60, case.dtype),
        "loss": "squared",
        "scale": 0.1,
        "noise": Noise(**case.drops, seed=5, epoch=2),
    }
    results = []
    for sequences in (windows, copies):
        network = Network(case.layout, case.dtype, 2, case.stack_isa)
        network.load(case.flat)
        forward = [network.forward(sequences), network.forward(sequences, want_hidden=True)]
        loss = network.loss_and_gradient(sequences, **data)
        results.append([*forward, np.array(loss), network.from_panels(network.gradient)])
    assert_same_bits(*results)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_options_that_are_off_change_no_bit(dtype):
    """Their neutral values, in the plain network and in one of many other options."""
    off = {"peephole": False, "projection_size": 0, "zoneout": 0.0, "attention_heads": 0, "pooling": "last"}
    off |= {"norm": None, "bidirectional": False, "patch_length": 1, "window_norm": None, "linear_skip": 0}
    off |= {"every_step": False, "dropout": 0.0, "recurrent_dropout": 0.0, "residual": 2}
    many = {"peephole": True, "zoneout": 0.2, "norm": "layer", "window_norm": "last", "attention_heads": 3}
    for options in ({}, many):
        sizes = {"hidden_sizes": (9, 9), "n": 18}
        plain, neutral = (make_case({**sizes, **one}, 4, dtype=dtype) for one in (options, off | options))
        assert_same_bits(everything(neutral), everything(plain))


# Parameters that leave the rest of a network as it is when they are zero, and the options without them.
NEUTRAL_WEIGHTS = {
    "linear_skip": ({"linear_skip": 3}, {}, ["weight_skip"]),
    "attention": ({"attention_heads": 3}, {}, ["weight_attention_out", "bias_attention_out"]),
    "peephole": (
        {"peephole": True, "zoneout": 0.2},
        {"zoneout": 0.2},
        ["weight_peephole_l0", "weight_peephole_l1"],
    ),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NEUTRAL_WEIGHTS)
def test_weights_of_zero_change_no_bit(name, dtype):
    having, lacking, names = NEUTRAL_WEIGHTS[name]
    sizes = {"hidden_sizes": (9, 9), "n": 18}
    case, plain = (make_case({**sizes, **options}, 4, dtype=dtype) for options in (having, lacking))
    ours, theirs = case.layout.views(case.flat), plain.layout.views(plain.flat)
    for parameter, view in ours.items():
        view[:] = 0.0 if parameter in names else theirs.get(parameter, view)
    for attribute in ("lengths", "starts", "table", "state"):
        setattr(case, attribute, getattr(plain, attribute))
    assert_same_bits(case.forward(), plain.forward())
    # With other numbers they would count.
    for parameter in names:
        ours[parameter][:] = 0.5
    assert not np.array_equal(case.forward()[0], plain.forward()[0])
