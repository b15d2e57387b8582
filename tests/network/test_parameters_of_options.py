"""The parameters that options bring: names and shapes, places in the panels, weight decay and initial values."""

import numpy as np
import pytest
from network.options_draw import draw_options, drawn_cells, make_case
from numpy.testing import assert_allclose, assert_array_equal

from sklstm._kernels import available_isas
from sklstm._network.cells import CELLS
from sklstm._network.network import Network
from sklstm._network.parameters import ParameterLayout

NUMBERS = range(700, 740)
each_drawn = pytest.mark.parametrize(("cell", "number"), drawn_cells(NUMBERS))

# Two layers of different size, both directions, a projection: every name but that of the residual map.
EVERYTHING = {
    "bidirectional": True, "projection_size": 6, "peephole": True, "cell_norm": True, "residual": 1,
    "attention_heads": 4, "pooling": "attention", "patch_length": 2, "linear_skip": 5,
}  # fmt: skip


def layer_shapes(end, hidden, read):
    return {
        f"weight_ih{end}": (4 * hidden, read),
        f"weight_hh{end}": (4 * hidden, 6),
        f"bias{end}": (4 * hidden,),
        f"weight_peephole{end}": (3, hidden),
        f"norm_weight_ih{end}": (4 * hidden,),
        f"norm_weight_hh{end}": (4 * hidden,),
        f"norm_weight_c{end}": (hidden,),
        f"norm_bias_c{end}": (hidden,),
        f"weight_hr{end}": (6, hidden),
    }


def test_names_and_shapes():
    layout = ParameterLayout(3, (8, 10), 2, **EVERYTHING)
    expected = layer_shapes("_l0", 8, 6) | layer_shapes("_l0_backward", 8, 6)
    expected |= layer_shapes("_l1", 10, 12) | layer_shapes("_l1_backward", 10, 12)
    expected |= {
        "norm_weight_attention": (12,),
        "norm_bias_attention": (12,),
        "weight_attention_in": (36, 12),
        "bias_attention_in": (36,),
        "weight_attention_out": (12, 12),
        "bias_attention_out": (12,),
        "weight_pool": (12,),
        "weight_out": (2, 12),
        "bias_out": (2,),
        "weight_skip": (2, 15),
    }
    assert [(p.name, p.shape) for p in layout.parameters] == list(expected.items())


def test_names_and_shapes_of_residual_maps():
    shapes = {p.name: p.shape for p in ParameterLayout(3, (4, 5, 5, 4), 1, residual=1, norm="layer").parameters}
    assert {name: shape for name, shape in shapes.items() if name.startswith("weight_residual")} == {
        "weight_residual_l1": (5, 4),
        "weight_residual_l3": (4, 5),
    }
    norms = {f"norm_{kind}_l{k}": (size,) for k, size in enumerate((4, 5, 5, 4)) for kind in ("weight", "bias")}
    assert {name: shape for name, shape in shapes.items() if name.startswith("norm")} == norms


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@each_drawn
def test_panels_hold_every_parameter_once(cell, number, dtype, isa):
    layout = make_case(draw_options(number, cell), number).layout
    network = Network(layout, dtype, 1, isa)
    flat = np.arange(1.0, layout.size + 1).astype(dtype)
    panels = network.to_panels(flat)
    assert_array_equal(network.from_panels(panels), flat, strict=True)
    assert_array_equal(np.sort(panels[panels != 0]), flat, strict=True)


@each_drawn
def test_only_weights_decay(cell, number):
    layout = make_case(draw_options(number, cell), number).layout
    network = Network(layout, "float64", 1)
    ends, decays = network.decay_segments(0.25)
    by_number = network.from_panels(np.repeat(decays, np.diff(ends, prepend=0)))
    groups = {f"{group.name}_l{k}": group.decays for group in CELLS[cell].vectors for k in range(3)}
    for name, view in layout.views(by_number).items():
        # Neither biases nor gains and shifts of normalisations, nor the regression of the linear skip; of the per-unit
        # weights those that say so.
        decays = groups.get(name.removesuffix("_backward"), name.startswith("weight")) and name != "weight_skip"
        assert (view == (0.25 if decays else 0.0)).all(), name


def initial_views(layout, seed=0, **more):
    return layout.views(layout.initial(np.random.default_rng(seed), "float64", **more))


def test_initial_values_that_are_constant():
    """Zero: what is to start as if its option were off. One: gains."""
    layouts = [
        ParameterLayout(3, (8, 10), 2, **EVERYTHING),
        ParameterLayout(3, (4, 5), 2, residual=1, norm="layer", pooling="attention", linear_skip=2),
    ]
    for layout in layouts:
        for name, view in initial_views(layout).items():
            if name.startswith("norm_weight"):
                assert (view == 1.0).all(), name
            elif name.startswith(("norm_bias", "weight_peephole", "weight_pool", "weight_skip")):
                assert not view.any(), name
            elif name.startswith("bias_l"):
                gates = view.reshape(4, -1)
                assert_array_equal(gates, np.repeat([[0.0], [1.0], [0.0], [0.0]], gates.shape[1], axis=1))
            elif name.startswith("bias"):
                assert not view.any(), name
            else:
                assert view.std() > 0.05, name


@pytest.mark.parametrize("cell", [name for name, entry in CELLS.items() if not entry.vectors_are_optional])
def test_initial_weights_of_single_units(cell):
    layout = ParameterLayout(3, (50,), 2, cell=cell)
    views = initial_views(layout)
    for group in CELLS[cell].vectors:
        view = views[f"{group.name}_l0"]
        assert view.shape == (group.size(CELLS[cell].numbers), 50)
        if callable(group.start):
            continue
        low, high = group.start
        assert (view >= low).all()
        assert (view <= high).all()
        assert np.ptp(view) >= 0.8 * (high - low)


@pytest.mark.parametrize("cell", CELLS)
def test_the_groups_of_weights_of_single_units_are_those_that_the_kernel_reads(cell):
    entry = CELLS[cell]
    assert sum(group.size(entry.numbers) for group in entry.vectors) == entry.sizes(entry.numbers)["n_vectors"]
    assert all(group.name.startswith(("weight_", "bias_")) for group in entry.vectors)


@pytest.mark.parametrize(("numbers", "message"), [((3,), "expected 0 for"), ((1,) * 7, "expected 0 for")])
def test_a_cell_takes_as_many_numbers_as_its_entry_has(numbers, message):
    with pytest.raises(ValueError, match=message):
        ParameterLayout(3, (4,), 1, cell="lstm", cell_numbers=numbers)


def test_initial_recurrent_weights_of_projections_have_orthonormal_columns():
    views = initial_views(ParameterLayout(3, (8, 10), 2, **EVERYTHING))
    for layer, hidden in ((0, 8), (1, 10)):
        for suffix in ("", "_backward"):
            for gate in views[f"weight_hh_l{layer}{suffix}"].reshape(4, hidden, 6):
                assert_allclose(gate.T @ gate, np.eye(6), atol=1e-13)


@pytest.mark.parametrize("weight_init", ["glorot", "he"])
def test_initial_weights_are_uniform(weight_init):
    """Glorot: variance 2 / (fan in + fan out); He: 2 / fan in."""
    layout = ParameterLayout(
        9,
        (40, 36),
        20,
        bidirectional=True,
        projection_size=30,
        attention_heads=3,
        patch_length=4,
        cell_norm=True,
    )
    views = initial_views(layout, weight_init=weight_init)
    fans = {"weight_attention_in": (60, 180), "weight_attention_out": (60, 60), "weight_out": (60, 20)}
    for suffix in ("", "_backward"):
        fans |= {f"weight_ih_l0{suffix}": (36, 40), f"weight_ih_l1{suffix}": (60, 36)}
        fans |= {f"weight_hr_l0{suffix}": (40, 30), f"weight_hr_l1{suffix}": (36, 30)}
    mapped = ParameterLayout(3, (40, 50), 1, residual=1)
    views["weight_residual_l1"] = initial_views(mapped, weight_init=weight_init)["weight_residual_l1"]
    fans["weight_residual_l1"] = (40, 50)
    for name, (fan_in, fan_out) in fans.items():
        limit = np.sqrt(6.0 / (fan_in + (fan_out if weight_init == "glorot" else 0)))
        assert 0.97 * limit < np.abs(views[name]).max() <= limit, name
        assert_allclose(views[name].std(), limit / np.sqrt(3.0), rtol=0.06, err_msg=name)


def test_directions_begin_with_numbers_of_their_own():
    views = initial_views(ParameterLayout(3, (8, 10), 2, **EVERYTHING))
    for name in ("weight_ih_l0", "weight_hh_l1", "weight_hr_l0"):
        assert not np.isclose(views[name], views[f"{name}_backward"]).any()
