"""Constraints on the gates' matrices: beside LAPACK's singular values and polar factors, for every cell."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import polar

from sklstm._kernels import available_isas
from sklstm._network.cells import CELLS
from sklstm._network.network import Network
from sklstm._network.parameters import ParameterLayout
from sklstm._training.recurrent_constraints import CONSTRAINTS, LIMIT

SIZES = (1, 2, 7, 16, 17, 33, 100)
KERNELS = {"float64": "f64", "float32": "f32", "bfloat16": "reduced"}
TOLERANCE = {"float64": 1e-9, "float32": 5e-6, "bfloat16": 5e-6}
# Of the largest singular value, relative: of more than 64 units, iterations end when it grows by less than 1e-10.
TOLERANCE_OF_NORMS = 1e-5
WITH_MATRICES = [name for name, cell in CELLS.items() if cell.has_weight_hh]


def make(size=7, cell="gru", dtype="float64", isa=None, n_threads=1, seed=0, **options):
    """A network whose recurrent matrices are far from any constraint, and its parameters by name."""
    layout = ParameterLayout(3, (size, size + 1), 1, cell=cell, **options)
    network = Network(layout, dtype, n_threads, isa)
    rng = np.random.default_rng(seed)
    flat = layout.initial(rng, network.dtype)
    for name, view in layout.views(flat).items():
        if name.startswith("weight_hh"):
            view[:] = rng.normal(size=view.shape)
    network.load(flat)
    return network, flat


def matrices(network, flat=None):
    """Each gate's matrix by the name of the weights, in float64."""
    flat = network.from_panels(network.weights) if flat is None else flat
    n_gates = len(network.layout.cell.gates_h)
    views = network.layout.views(flat).items()
    return {
        name: view.reshape(n_gates, -1, view.shape[1]).astype(np.float64)
        for name, view in views
        if name.startswith("weight_hh")
    }


def nearest(matrix):
    q, p = polar(matrix)
    return q * min(LIMIT, np.trace(p) / len(p))


def bounded(matrix):
    return matrix * min(1.0, LIMIT / np.linalg.norm(matrix, 2))


EXPECTED = {"spectral_norm": bounded, "scaled_orthogonal": nearest}
each_constraint = pytest.mark.parametrize("name", CONSTRAINTS)


def check(network, flat, name):
    before, of_norms = matrices(network, flat), TOLERANCE_OF_NORMS if name == "spectral_norm" else 0.0
    CONSTRAINTS[name](network).hold()
    found = network.from_panels(network.weights)
    for key, gates in matrices(network).items():
        for gate, original in zip(gates, before[key], strict=True):
            close = TOLERANCE[network.dtype_name] * np.sqrt(len(gate))
            assert_allclose(gate, EXPECTED[name](original), rtol=of_norms, atol=close)
    # Nothing else has changed.
    for key, view in network.layout.views(found).items():
        if not key.startswith("weight_hh"):
            assert_array_equal(view, network.layout.views(flat)[key])


@each_constraint
@pytest.mark.parametrize(("dtype", "isa"), [(d, i) for d in TOLERANCE for i in available_isas(KERNELS[d])])
@pytest.mark.parametrize("size", SIZES)
def test_matrices_of_all_sizes(size, dtype, isa, name):
    check(*make(size, dtype=dtype, isa=isa), name)


@pytest.mark.parametrize("spread", [1e-3, 1e-5])
def test_singular_values_that_nearly_agree(spread):
    """As training leaves them, which starts at orthogonal matrices: iterations of a vector would end too early."""
    for seed in range(20):
        network, flat = make(12, seed=seed)
        for name, view in network.layout.views(flat).items():
            if name.startswith("weight_hh"):
                for gate in view.reshape(3, -1, view.shape[1]):
                    u, _, v = np.linalg.svd(gate)
                    gate[:] = u @ np.diag(1.0 - spread * np.linspace(0.0, 1.0, len(gate)) ** 2) @ v
        network.load(flat)
        CONSTRAINTS["spectral_norm"](network).hold()
        for gates in matrices(network).values():
            assert_allclose(np.linalg.norm(gates, 2, axis=(1, 2)), LIMIT, rtol=1e-6)


@each_constraint
@pytest.mark.parametrize("cell", WITH_MATRICES)
def test_each_cell_and_direction(cell, name):
    check(*make(5, cell, bidirectional=True), name)


@each_constraint
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_what_is_held_stays_as_it_is(dtype, name):
    """Bit for bit: training in parts is training at once."""
    network, _ = make(20, dtype=dtype)
    CONSTRAINTS[name](network).hold()
    held = network.weights.copy()
    CONSTRAINTS[name](network).hold()
    assert_array_equal(network.weights, held)


def test_small_matrices_are_left_alone_by_the_bound():
    network, flat = make(20)
    for name, view in network.layout.views(flat).items():
        if name.startswith("weight_hh"):
            view *= 0.01
    network.load(flat)
    CONSTRAINTS["spectral_norm"](network).hold()
    assert_array_equal(network.from_panels(network.weights), flat)


def steps(network, constraint, number, size):
    """Random steps of an optimizer, each followed by the constraint; yields the matrices before and after each."""
    rng = np.random.default_rng(1)
    drift = rng.normal(size=network.weights.shape)
    moved = network.to_panels(np.ones(network.layout.size))  # padding stays zero
    for _ in range(number):
        before = matrices(network)
        network.weights += size * moved * np.sign(drift + rng.normal(size=drift.shape))
        stepped = matrices(network)
        constraint.after_step()
        yield before, stepped, matrices(network)


@pytest.mark.parametrize("size", [16, 64])
def test_power_iteration_follows_the_steps(size):
    network, _ = make(size)
    constraint = CONSTRAINTS["spectral_norm"](network)
    constraint.hold()
    norms = []
    for _, _, after in steps(network, constraint, 60, 0.003):
        norms += [np.linalg.norm(gate, 2) for gates in after.values() for gate in gates]
    assert 0.98 < max(norms) < 1.03
    constraint.hold()
    largest = max(np.linalg.norm(gate, 2) for gates in matrices(network).values() for gate in gates)
    assert largest <= LIMIT * (1 + 1e-6)


def test_scaled_orthogonal_steps():
    """Q is the polar factor of what the step made, s its length along the factor before: no drift of s upwards."""
    network, _ = make(12)
    constraint = CONSTRAINTS["scaled_orthogonal"](network)
    constraint.hold()
    list(steps(network, constraint, 20, 0.02))
    for before, stepped, after in steps(network, constraint, 20, 0.02):
        for name in after:
            for p, u, found in zip(before[name], stepped[name], after[name], strict=True):
                s = np.linalg.norm(p, 2)
                s = np.trace((p / s).T @ u) / len(u)
                assert_allclose(found, min(LIMIT, s) * polar(u)[0], atol=1e-8)


def test_a_step_across_zero():
    """s stays above zero where a step is longer than the matrix, and the next step finds its way back."""
    network, _ = make(8, "elman")
    constraint = CONSTRAINTS["scaled_orthogonal"](network)
    constraint.hold()
    network.weights *= -2.0
    constraint.after_step()
    for gate in matrices(network)["weight_hh_l0"]:
        assert_allclose(np.linalg.svd(gate, compute_uv=False), LIMIT / 1000, rtol=1e-6)


@each_constraint
def test_steps_and_threads_change_no_bit(name):
    """Matrices that are large enough for several threads."""
    results = []
    for n_threads in (1, 2, 3):
        network, _ = make(430, "gru", "float32", n_threads=n_threads)
        constraint = CONSTRAINTS[name](network)
        constraint.hold()
        network.weights *= np.float32(1.1)
        constraint.after_step()
        results.append(network.weights.copy())
    assert_array_equal(results[0], results[1])
    assert_array_equal(results[0], results[2])


@each_constraint
@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_matrices_of_zeros_and_of_no_numbers_are_left_to_others(name, value):
    """The loop tells of a step that made NaN; no iteration may hang."""
    network, flat = make(9)
    for key, view in network.layout.views(flat).items():
        if key.startswith("weight_hh"):
            view[:] = value
    network.load(flat)
    constraint = CONSTRAINTS[name](network)
    constraint.hold()
    constraint.after_step()
    assert_array_equal(network.from_panels(network.weights), flat)
