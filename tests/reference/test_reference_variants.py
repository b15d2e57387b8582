"""The reference's variants of the cell: stored vectors, numbers worked out by hand, and the plain cell."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from reference.lstm import layer_forward
from reference.variants import Masks, draw_masks, mean_masks, normalise, variant_cell_forward, variant_layer_forward
from reference.vectors import load_cases, split_rows

PROJECTION = load_cases("torch_variants")["projection"]


def draw_parameters(rng, input_size, hidden_size):
    return {
        "weight_ih": rng.normal(size=(4 * hidden_size, input_size)),
        "weight_hh": rng.normal(size=(4 * hidden_size, hidden_size)),
        "bias": rng.normal(size=4 * hidden_size),
    }


def logistic(x):
    return 1.0 / (1.0 + math.exp(-x))


def test_projection_against_torch():
    below = split_rows(PROJECTION["x"], PROJECTION["lengths"])
    for number in range(2):
        kinds = ("weight_ih", "weight_hh", "bias", "weight_hr")
        parameters = {kind: PROJECTION["parameters"][f"{kind}_l{number}"] for kind in kinds}
        layer = variant_layer_forward(below, parameters, PROJECTION["h0"][number], PROJECTION["c0"][number])
        assert_allclose(layer.h_final, PROJECTION["h_final"][number], rtol=1e-10, atol=1e-13)
        assert_allclose(layer.c_final, PROJECTION["c_final"][number], rtol=1e-10, atol=1e-13)
        below = layer.hidden
    assert_allclose(np.concatenate(below), PROJECTION["hidden"], rtol=1e-10, atol=1e-13)


def test_no_option_is_the_plain_layer():
    rng = np.random.default_rng(0)
    parameters = draw_parameters(rng, 3, 4)
    sequences = [rng.normal(size=(n, 3)) for n in (5, 2, 1)]
    h0, c0 = rng.normal(size=(2, 3, 4))
    plain = layer_forward(sequences, *parameters.values(), h0, c0)
    # Peepholes of zero and masks that keep nothing change nothing.
    idle = {f"peephole_{gate}": np.zeros(4) for gate in "ifo"}
    masks = [Masks(np.ones(4), np.zeros(4), np.zeros(4))] * 3
    for layer in (
        variant_layer_forward(sequences, parameters, h0, c0),
        variant_layer_forward(sequences, parameters | idle, h0, c0, masks),
    ):
        assert_allclose(np.concatenate(layer.hidden), np.concatenate(plain.hidden), rtol=1e-14)
        assert_allclose(np.concatenate(layer.cell), np.concatenate(plain.cell), rtol=1e-14)


def test_peepholes_and_masks_by_hand():
    """One unit; every number is its own, so no two can be swapped unseen."""
    parameters = {
        "weight_ih": np.array([[0.1], [0.2], [0.3], [0.4]]),
        "weight_hh": np.array([[-0.5], [0.6], [0.7], [-0.8]]),
        "bias": np.array([0.01, 1.02, 0.03, 0.04]),
        "peephole_i": np.array([0.9]),
        "peephole_f": np.array([-1.1]),
        "peephole_o": np.array([1.3]),
    }
    found = variant_cell_forward([0.5], np.array([0.3]), np.array([-0.7]), parameters, 1.25, 0.2, 0.4)
    h_read = 1.25 * 0.3
    i = logistic(0.1 * 0.5 - 0.5 * h_read + 0.01 + 0.9 * -0.7)
    f = logistic(0.2 * 0.5 + 0.6 * h_read + 1.02 - 1.1 * -0.7)
    g = math.tanh(0.3 * 0.5 + 0.7 * h_read + 0.03)
    c_new = f * -0.7 + i * g
    o = logistic(0.4 * 0.5 - 0.8 * h_read + 0.04 + 1.3 * c_new)
    h = 0.2 * 0.3 + 0.8 * o * math.tanh(c_new)
    c = 0.4 * -0.7 + 0.6 * c_new
    assert_allclose(np.ravel(found), [h, c], rtol=1e-14)


def test_normalised_sums_and_cell():
    """A factor and, for the sums, a constant in all rows of a matrix are normalised away; gain, bias and shift act."""
    rng = np.random.default_rng(1)
    x, h, c = rng.normal(size=(3, 6))
    parameters = draw_parameters(rng, 6, 6)
    parameters |= {"norm_ih": rng.normal(size=24), "norm_hh": rng.normal(size=24)}
    parameters |= {"norm_c": rng.normal(size=6), "norm_c_shift": rng.normal(size=6)}
    base = variant_cell_forward(x, h, c, parameters)
    other = parameters | {"weight_ih": 1e4 * parameters["weight_ih"] + 1.0, "weight_hh": parameters["weight_hh"] + 2.0}
    # epsilon is what is left of a factor
    assert_allclose(variant_cell_forward(x, h, c, other), base, rtol=1e-4)
    row = normalise(np.array([1.0, 2.0, 6.0]))
    assert_allclose(row, np.array([-2.0, -1.0, 3.0]) / math.sqrt(14.0 / 3.0 + 1e-5), rtol=1e-14)
    # Shut gates leave the bias alone: c = f c, and h shows gain and shift of the normalised cell.
    zero = {"norm_ih": np.zeros(24), "norm_hh": np.zeros(24), "bias": np.repeat([-50.0, 50.0, 0.0, 50.0], 6)}
    h_shut, c_shut = variant_cell_forward(x, h, c, parameters | zero)
    assert_allclose(c_shut, c, rtol=1e-14)
    assert_allclose(h_shut, np.tanh(normalise(c) * parameters["norm_c"] + parameters["norm_c_shift"]), rtol=1e-14)


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


def test_prediction_uses_the_mean_of_the_masks():
    assert mean_masks(0.0) == Masks()
    rng = np.random.default_rng(2)
    parameters, sequence = draw_parameters(rng, 2, 3), [rng.normal(size=(1, 2))]
    h0, c0 = rng.normal(size=(2, 1, 3))
    kept, fresh = (
        variant_layer_forward(sequence, parameters, h0, c0, [Masks(None, rate, rate)]).h_final for rate in (1.0, 0.0)
    )
    assert_array_equal(kept, h0)
    mean = variant_layer_forward(sequence, parameters, h0, c0, [mean_masks(0.3)]).h_final
    assert_allclose(mean, 0.3 * kept + 0.7 * fresh, rtol=1e-14)
