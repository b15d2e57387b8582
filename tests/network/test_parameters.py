"""Names, places and initial values of the parameters."""

import time

import numpy as np
from network.stack_runner import make_stack, ordered
from numpy.testing import assert_allclose, assert_array_equal

from sklstm._network.cells import CELLS
from sklstm._network.network import Network
from sklstm._network.parameters import ParameterLayout

SHAPES = {
    "weight_ih_l0": (20, 3),
    "weight_hh_l0": (20, 5),
    "bias_l0": (20,),
    "weight_ih_l1": (28, 5),
    "weight_hh_l1": (28, 7),
    "bias_l1": (28,),
    "weight_out": (2, 7),
    "bias_out": (2,),
}


def make_layout():
    return ParameterLayout(3, (5, 7), 2)


def test_names_and_shapes_in_the_order_of_the_kernels():
    layout = make_layout()
    assert {p.name: p.shape for p in layout.parameters} == SHAPES
    assert [p.name for p in layout.parameters] == ordered(SHAPES)
    assert layout.size == make_stack(3, (5, 7), 2).n_parameters
    begin = 0
    for parameter in layout.parameters:
        assert parameter.begin == begin
        begin = parameter.end
    assert begin == layout.size


def test_views_and_flatten():
    layout = make_layout()
    flat = np.arange(layout.size, dtype=np.float64)
    views = layout.views(flat)
    assert {name: view.shape for name, view in views.items()} == SHAPES
    assert all(np.shares_memory(view, flat) for view in views.values())
    assert_array_equal(layout.flatten(views, "float64"), flat)
    shuffled = dict(sorted(views.items()))
    assert_array_equal(layout.flatten(shuffled, "float32"), flat.astype(np.float32), strict=True)


def test_only_weights_decay():
    layout = make_layout()
    network = Network(layout, "float64", 1)
    ends, decays = network.decay_segments(0.25)
    assert (ends.dtype, decays.dtype) == (np.intp, np.float64)
    by_number = network.from_panels(np.repeat(decays, np.diff(ends, prepend=0)))
    for name, view in layout.views(by_number).items():
        assert (view == (0.25 if name.startswith("weight") else 0.0)).all(), name


def initial_views(layout, seed=0, dtype="float64"):
    return layout.views(layout.initial(np.random.default_rng(seed), dtype))


def test_initial_recurrent_weights_are_orthogonal():
    for hidden in (1, 6, 33):
        views = initial_views(ParameterLayout(2, (hidden, hidden), 1))
        for name in ("weight_hh_l0", "weight_hh_l1"):
            gates = views[name].reshape(4, hidden, hidden)
            for gate in gates:
                assert_allclose(gate @ gate.T, np.eye(hidden), atol=1e-13)
            if hidden > 1:
                assert len({gate[0, 0] for gate in gates}) == 4


def test_initial_orthogonal_matrices_are_uniform():
    """Signs too: a bare QR would leave one sign for most entries of a corner."""
    layout = ParameterLayout(1, (2,), 1)
    matrices = [initial_views(layout, seed)["weight_hh_l0"].reshape(4, 2, 2) for seed in range(40)]
    first_columns = np.concatenate(matrices)[:, :, 0]
    # Points on a circle: each coordinate has mean 0 and variance 1/2.
    assert (np.abs(first_columns.mean(axis=0)) < 4 * np.sqrt(0.5 / len(first_columns))).all()
    assert (np.abs(first_columns.var(axis=0) - 0.5) < 4 * np.sqrt(0.125 / len(first_columns))).all()


def test_initial_input_and_output_weights_are_glorot_uniform():
    layout = ParameterLayout(30, (50, 40), 20)
    views = initial_views(layout)
    # Each gate is a matrix of its own: fan out is the number of units, not four times that.
    for name, fans in (
        ("weight_ih_l0", 30 + 50),
        ("weight_ih_l1", 50 + 40),
        ("weight_out", 40 + 20),
    ):
        limit = np.sqrt(6.0 / fans)
        assert 0.98 * limit < np.abs(views[name]).max() <= limit
        assert_allclose(views[name].std(), limit / np.sqrt(3.0), rtol=0.05)
        assert abs(views[name].mean()) < 0.1 * limit


def test_initial_weights_of_he():
    """The fan in alone counts; the rest is as it was."""
    layout = ParameterLayout(30, (50, 40), 20)
    views, plain = (
        layout.views(layout.initial(np.random.default_rng(0), "float64", name)) for name in ("he", "glorot")
    )
    for name, fan_in, fan_out in (("weight_ih_l0", 30, 50), ("weight_ih_l1", 50, 40), ("weight_out", 40, 20)):
        limit = np.sqrt(6.0 / fan_in)
        assert 0.98 * limit < np.abs(views[name]).max() <= limit
        assert_allclose(views[name].std(), np.sqrt(2.0 / fan_in), rtol=0.05)
        assert_allclose(views[name], plain[name] * np.sqrt((fan_in + fan_out) / fan_in), atol=1e-15)
    for name in views:
        if not name.startswith("weight_ih") and name != "weight_out":
            assert_array_equal(views[name], plain[name])


def test_initial_biases():
    views = initial_views(make_layout())
    for name, hidden in (("bias_l0", 5), ("bias_l1", 7)):
        i, f, g, o = views[name].reshape(4, hidden)
        assert_array_equal(f, np.ones(hidden))
        assert_array_equal([i, g, o], np.zeros((3, hidden)))
    assert_array_equal(views["bias_out"], np.zeros(2))
    assert CELLS["lstm"].gates == ("i", "f", "g", "o")


def test_initial_values_follow_the_generator():
    layout = make_layout()
    first, again, other = (layout.initial(np.random.default_rng(s), "float64") for s in (1, 1, 2))
    assert_array_equal(first, again)
    assert np.mean(first == other) < 0.5
    single = layout.initial(np.random.default_rng(1), "float32")
    assert_array_equal(single, first.astype(np.float32), strict=True)


def test_a_start_costs_little_for_each_layer():
    """A limit of BLAS, set and put back for each gate, took 2.5 s for these; now it is some 60 ms."""
    layout, rng = ParameterLayout(3, (4,) * 400, 1), np.random.default_rng(0)

    def seconds():
        begin = time.perf_counter()
        layout.initial(rng, "float32")
        return time.perf_counter() - begin

    assert min(seconds() for _ in range(3)) < 0.7
