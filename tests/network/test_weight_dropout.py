"""Dropout of the recurrent weights: the network of a batch is the masked one, and its gradient that network's."""

import numpy as np
import pytest
from network.options_draw import RECTIFIED, can_have, draw_options, drawn_cells, make_case, raise_biases
from network.test_options_gradients import assert_gradient
from numpy.testing import assert_array_equal

from sklstm._network.network import Network
from sklstm._network.noise import Noise, recurrent_weight_mask
from sklstm._network.parameters import ParameterLayout
from sklstm._sequences import Sequences

RATE = 0.4
DRAWN = [number for number in range(600, 620) if not draw_options(number).get("every_step")]
each_drawn = pytest.mark.parametrize(
    ("cell", "number"), [p for p in drawn_cells(DRAWN, 2) if can_have(p.values[0], "weight_dropout", RATE)]
)


class MaskedCase:
    """A network of any options in training; `loss()` evaluates it where `flat` stands now."""

    def __init__(self, cell, number, dtype="float64", n_threads=1):
        case = make_case(draw_options(number, cell), number, dtype=dtype)
        self.layout, self.flat, self.drops = case.layout, case.flat, case.drops
        self.network = Network(case.layout, dtype, n_threads, case.stack_isa)
        self.sequences, n = Sequences.from_list(case.sequences), len(case.lengths)
        self.data = {
            "rows": np.random.default_rng(number).permutation(n), "targets": case.targets, "weights": case.weights,
            "loss": "squared", "scale": 1 / n,
        }  # fmt: skip

    def loss(self, **noise):
        noise = {"weight_dropout": RATE, "seed": 3, "epoch": 2, "batch": 1, **self.drops, **noise}
        self.network.load(self.flat)
        return self.network.loss_and_gradient(self.sequences, **self.data, noise=Noise(**noise))

    def gradient(self, **noise):
        self.loss(**noise)
        return self.network.from_panels(self.network.gradient)


@each_drawn
def test_gradients_by_central_differences(cell, number):
    case = MaskedCase(cell, number)
    assert_gradient(case.loss, case.flat, case.gradient())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@each_drawn
def test_a_batch_is_the_masked_network(cell, number, dtype):
    """Bit for bit; and the weights themselves come out as they went in."""
    case, masked = MaskedCase(cell, number, dtype, 2), MaskedCase(cell, number, dtype)
    mask = recurrent_weight_mask(case.layout, Noise(weight_dropout=RATE, seed=3, epoch=2, batch=1)).astype(dtype)
    masked.flat *= mask
    assert case.loss() == masked.loss(weight_dropout=0.0)
    assert_array_equal(case.gradient(), masked.gradient(weight_dropout=0.0) * mask, strict=True)
    assert_array_equal(case.network.from_panels(case.network.weights), case.flat, strict=True)
    if cell in RECTIFIED:
        raise_biases(case)
    assert case.loss() != case.loss(weight_dropout=0.0)
    # Prediction drops nothing, before and after.
    fresh = MaskedCase(cell, number, dtype).network
    fresh.load(case.flat)
    assert_array_equal(case.network.forward(case.sequences), fresh.forward(case.sequences), strict=True)


LAYOUT = ParameterLayout(3, (30, 20), 2, bidirectional=True, projection_size=10, peephole=True, cell_norm=True)


def test_a_mask_follows_seed_epoch_and_batch_alone():
    noise = {"weight_dropout": RATE, "seed": 7, "epoch": 4, "batch": 9}
    mask = recurrent_weight_mask(LAYOUT, Noise(**noise))
    assert_array_equal(mask, recurrent_weight_mask(LAYOUT, Noise(**noise, dropout=0.2, recurrent_dropout=0.1)))
    for other in ({"seed": 8}, {"epoch": 5}, {"batch": 10}, {"epoch": 9, "batch": 4}):
        changed = recurrent_weight_mask(LAYOUT, Noise(**noise | other))
        # Two draws differ with a chance of 2 * 0.4 * 0.6.
        assert 0.43 < np.mean((mask != changed)[mask != 1.0]) < 0.53


def test_a_mask_drops_its_share_of_recurrent_weights_only():
    for rate in (0.1, 0.5, 0.9):
        views = LAYOUT.views(recurrent_weight_mask(LAYOUT, Noise(weight_dropout=rate, seed=1)))
        for name, view in views.items():
            if name.startswith("weight_hh"):
                assert set(np.unique(view)) == {0.0, 1.0 / (1.0 - rate)}
                # Four standard deviations of the share of so many draws.
                assert abs(np.mean(view == 0.0) - rate) < 4 * np.sqrt(rate * (1 - rate) / view.size)
            else:
                assert (view == 1.0).all()
        assert len({view.tobytes() for name, view in views.items() if name.startswith("weight_hh")}) == 4
