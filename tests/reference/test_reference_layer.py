"""The reference's layer and its options: stored vectors, numbers worked out by hand, and the plain layer."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from reference.cells import REFERENCE_CELLS
from reference.layer import cell_forward, layer_forward, normalise, state_sizes
from reference.lstm import layer_forward as lstm_layer_forward
from reference.masks import Masks, draw_masks, mean_masks
from reference.vectors import load_cases, split_rows

PROJECTION = load_cases("torch_variants")["projection"]
LSTM = REFERENCE_CELLS["lstm"]
each_cell = pytest.mark.parametrize("name", REFERENCE_CELLS)
# Those whose products read h and nothing else can be handed a projected one.
GATED = ("gru_reset_before", "mgu", "second_order", "cfc_backbone", "mlstm", "rhn_2", "rhn_3", "rhn_4")
each_projected = pytest.mark.parametrize("name", [n for n in REFERENCE_CELLS if n not in GATED])


def draw_parameters(rng, cell, input_size, hidden_size, *, projection=0, cell_norm=False):
    parameters = {
        "weight_ih": rng.normal(size=(len(cell.x) * hidden_size, input_size)),
        "bias": rng.normal(size=len(cell.sums) * hidden_size),
    }
    if cell.h:
        parameters["weight_hh"] = rng.normal(size=(len(cell.h) * hidden_size, projection or hidden_size))
    for vectors, n_rows in getattr(cell, "vectors", {}).items():
        parameters[vectors] = rng.normal(size=(n_rows, hidden_size))
    if projection:
        parameters["weight_hr"] = rng.normal(size=(projection, hidden_size))
    if cell_norm:
        parameters["norm_weight_ih"] = rng.normal(size=len(cell.x) * hidden_size)
        if cell.h:
            parameters["norm_weight_hh"] = rng.normal(size=len(cell.h) * hidden_size)
    return parameters


def logistic(x):
    return 1.0 / (1.0 + math.exp(-x))


def test_projection_against_torch():
    below = split_rows(PROJECTION["x"], PROJECTION["lengths"])
    for number in range(2):
        kinds = ("weight_ih", "weight_hh", "bias", "weight_hr")
        parameters = {kind: PROJECTION["parameters"][f"{kind}_l{number}"] for kind in kinds}
        state = np.hstack([PROJECTION["h0"][number], PROJECTION["c0"][number]])
        layer = layer_forward(LSTM, below, parameters, state)
        final = np.hstack([PROJECTION["h_final"][number], PROJECTION["c_final"][number]])
        assert_allclose(layer.final, final, rtol=1e-10, atol=1e-13)
        below = layer.hidden
    assert_allclose(np.concatenate(below), PROJECTION["hidden"], rtol=1e-10, atol=1e-13)


def test_no_option_is_the_plain_lstm():
    rng = np.random.default_rng(0)
    parameters = draw_parameters(rng, LSTM, 3, 4)
    sequences = [rng.normal(size=(n, 3)) for n in (5, 2, 1)]
    h0, c0 = rng.normal(size=(2, 3, 4))
    plain = lstm_layer_forward(sequences, **parameters, h0=h0, c0=c0)
    for idle in ({}, {"weight_peephole": np.zeros((3, 4))}):
        layer = layer_forward(LSTM, sequences, parameters | idle, np.hstack([h0, c0]))
        assert_allclose(np.concatenate(layer.hidden), np.concatenate(plain.hidden), rtol=1e-14)
        assert_allclose(layer.final, np.hstack([plain.h_final, plain.c_final]), rtol=1e-14)


@each_cell
def test_masks_that_keep_nothing_change_nothing(name):
    rng, cell = np.random.default_rng(0), REFERENCE_CELLS[name]
    parameters = draw_parameters(rng, cell, 3, 4)
    sequences = [rng.normal(size=(n, 3)) for n in (5, 2, 1)]
    state = rng.normal(size=(3, sum(state_sizes(cell, parameters))))
    plain = layer_forward(cell, sequences, parameters, state)
    masked = layer_forward(cell, sequences, parameters, state, [Masks(np.ones(4), np.zeros(4), np.zeros(4))] * 3)
    assert_allclose(np.concatenate(masked.hidden), np.concatenate(plain.hidden), rtol=1e-14)
    assert_allclose(masked.final, plain.final, rtol=1e-14)


@each_projected
def test_a_projection_that_does_nothing_carries_the_same_twice(name):
    """With ``W_hr`` the identity, h is what the cell gives, and so is the state that its update reads."""
    rng, cell = np.random.default_rng(1), REFERENCE_CELLS[name]
    parameters = draw_parameters(rng, cell, 3, 4)
    projected = parameters | {"weight_hr": np.eye(4)}
    sequences = [rng.normal(size=(n, 3)) for n in (5, 2, 1)]
    state = rng.normal(size=(3, sum(state_sizes(cell, parameters))))
    doubled = np.tile(state, 2) if cell.own == "h" else state
    plain, found = (
        layer_forward(cell, sequences, own, rows, [mean_masks(0.3)] * 3)
        for own, rows in ((parameters, state), (projected, doubled))
    )
    assert_allclose(np.concatenate(found.hidden), np.concatenate(plain.hidden), rtol=1e-14)
    assert_allclose(found.final, np.tile(plain.final, 2) if cell.own == "h" else plain.final, rtol=1e-14)


def test_peepholes_and_masks_by_hand():
    """One unit; every number is its own, so no two can be swapped unseen."""
    parameters = {
        "weight_ih": np.array([[0.1], [0.2], [0.3], [0.4]]),
        "weight_hh": np.array([[-0.5], [0.6], [0.7], [-0.8]]),
        "bias": np.array([0.01, 1.02, 0.03, 0.04]),
        "weight_peephole": np.array([[0.9], [-1.1], [1.3]]),
    }
    found = cell_forward(LSTM, [0.5], [np.array([0.3]), np.array([-0.7])], parameters, 1.25, 0.2, 0.4)
    h_read = 1.25 * 0.3
    i = logistic(0.1 * 0.5 - 0.5 * h_read + 0.01 + 0.9 * -0.7)
    f = logistic(0.2 * 0.5 + 0.6 * h_read + 1.02 - 1.1 * -0.7)
    g = math.tanh(0.3 * 0.5 + 0.7 * h_read + 0.03)
    c_new = f * -0.7 + i * g
    o = logistic(0.4 * 0.5 - 0.8 * h_read + 0.04 + 1.3 * c_new)
    h = 0.2 * 0.3 + 0.8 * o * math.tanh(c_new)
    c = 0.4 * -0.7 + 0.6 * c_new
    assert_allclose(np.ravel(found), [h, c], rtol=1e-14)


@each_cell
def test_normalised_sums(name):
    """A factor and a constant in all rows of a matrix are normalised away; gains and bias act."""
    rng, cell = np.random.default_rng(1), REFERENCE_CELLS[name]
    parameters = draw_parameters(rng, cell, 6, 6, cell_norm=True)
    x, states = rng.normal(size=6), [rng.normal(size=size) for size in state_sizes(cell, parameters)]
    base = np.concatenate(cell_forward(cell, x, states, parameters))
    other = parameters | {"weight_ih": 1e4 * parameters["weight_ih"] + 1.0}
    if cell.h:
        other["weight_hh"] = parameters["weight_hh"] + 2.0
    # epsilon is what is left of a factor
    assert_allclose(np.concatenate(cell_forward(cell, x, states, other)), base, rtol=1e-4, atol=1e-5)
    for key in parameters.keys() - {"weight_ih", "weight_hh"}:
        moved = np.concatenate(cell_forward(cell, x, states, parameters | {key: parameters[key] + 0.5}))
        assert np.abs(moved - base).max() > 1e-2, key


def test_normalised_numbers_by_hand():
    row = normalise(np.array([1.0, 2.0, 6.0]))
    assert_allclose(row, np.array([-2.0, -1.0, 3.0]) / math.sqrt(14.0 / 3.0 + 1e-5), rtol=1e-14)


def test_normalised_cell_state():
    """Shut gates leave the bias alone: c = f c, and h shows gain and shift of the normalised c."""
    rng = np.random.default_rng(1)
    x, h, c = rng.normal(size=(3, 6))
    parameters = draw_parameters(rng, LSTM, 6, 6, cell_norm=True)
    parameters |= {"norm_weight_c": rng.normal(size=6), "norm_bias_c": rng.normal(size=6)}
    parameters |= {"norm_weight_ih": np.zeros(24), "norm_weight_hh": np.zeros(24)}
    parameters["bias"] = np.repeat([-50.0, 50.0, 0.0, 50.0], 6)
    h_shut, c_shut = cell_forward(LSTM, x, [h, c], parameters)
    assert_allclose(c_shut, c, rtol=1e-14)
    assert_allclose(h_shut, np.tanh(normalise(c) * parameters["norm_weight_c"] + parameters["norm_bias_c"]), rtol=1e-14)


RATES = {"zoneout": 0.3, "recurrent_dropout": 0.4}
WHERE = {"seed": 0x1234_5678_9ABC_DEF0, "layer": 1, "sample": 7, "epoch": 3}


def test_masks_have_the_asked_rates():
    masks = draw_masks(200, 50, 70, **RATES, **WHERE)
    assert (masks.zoneout_h.shape, masks.zoneout_c.shape) == ((200, 50), (200, 70))
    for mask in (masks.zoneout_h, masks.zoneout_c):
        assert set(np.unique(mask)) == {0.0, 1.0}
        assert abs(np.mean(mask) - 0.3) < 4.0 * math.sqrt(0.21 / mask.size)
    kept = np.concatenate([draw_masks(1, 50, 1, **RATES, **WHERE | {"sample": n}).recurrent for n in range(200)])
    assert_allclose(np.unique(kept), [0.0, 1.0 / 0.6])
    assert abs(np.mean(kept == 0) - 0.4) < 4.0 * math.sqrt(0.24 / kept.size)


@pytest.mark.parametrize("change", [{"layer": 2}, {"sample": 8}, {"epoch": 4}, {"seed": WHERE["seed"] + 1}])
def test_masks_are_independent(change):
    """Correlations of masks of 10,000 numbers stay below four deviations: of h and c, and after any change."""
    base = draw_masks(200, 50, 50, **RATES, **WHERE)
    other = draw_masks(200, 50, 50, **RATES, **WHERE | change)
    pairs = [(base.zoneout_h, base.zoneout_c), (base.zoneout_h, other.zoneout_h), (base.zoneout_c, other.zoneout_c)]
    for one, two in [*pairs, (base.zoneout_h[:-1], base.zoneout_h[1:])]:
        assert abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 0.04
    assert not np.array_equal(base.recurrent, other.recurrent)


@each_cell
def test_prediction_uses_the_mean_of_the_masks(name):
    assert mean_masks(0.0) == Masks()
    rng, cell = np.random.default_rng(2), REFERENCE_CELLS[name]
    parameters, sequence = draw_parameters(rng, cell, 2, 3), [rng.normal(size=(1, 2))]
    state = rng.normal(size=(1, sum(state_sizes(cell, parameters))))
    kept, fresh = (
        layer_forward(cell, sequence, parameters, state, [Masks(None, rate, rate)]).final for rate in (1.0, 0.0)
    )
    assert_array_equal(kept, state)
    mean = layer_forward(cell, sequence, parameters, state, [mean_masks(0.3)]).final
    assert_allclose(mean, 0.3 * kept + 0.7 * fresh, rtol=1e-14)
