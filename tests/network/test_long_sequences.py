"""One sequence of 65,536 steps: memory, gradients, and a network that trains on it."""

import numpy as np
import pytest
from network.options_case import OptionsCase

from sklstm import DeepRNNRegressor
from sklstm._network.cells import CELLS

LONG = 65_536

N_COLUMNS, UNITS = 3, 64


def long_case(cell, n_steps, dtype, **options):
    return OptionsCase(
        None, (UNITS,), n=1, n_columns=N_COLUMNS, n_outputs=1, longest=n_steps, dtype=dtype, cell=cell, **options
    )


@pytest.mark.parametrize("cell", CELLS)
def test_memory_of_training_is_linear_in_the_steps(cell):
    """The bound of doc/guide/training.md: sums, what is kept, states, h, micro-layers and the gradients of a step."""
    n_bytes = []
    for n_steps in (1024, 4096):
        case = long_case(cell, n_steps, "float32", pooling="mean")
        case.gradients()
        n_bytes.append(case.workspace.nbytes)
    entry = CELLS[cell]
    sizes = entry.sizes(entry.numbers)
    n_numbers = entry.n_sums + sizes["n_kept"] + sizes["n_states"] + 5 + max(0, entry.chain - 1)
    assert n_bytes[1] - n_bytes[0] <= 3072 * (n_numbers * UNITS + N_COLUMNS) * 4


@pytest.mark.parametrize("cell", ["mingru_tanh", "indrnn_tanh"])
def test_gradients_of_a_long_sequence(cell):
    """Against central differences, of some numbers of every parameter; the mean over the steps asks all of them."""
    case = long_case(cell, LONG, "float64", pooling="mean")
    gradient = case.gradients()[0]
    rng = np.random.default_rng(0)
    for parameter in case.layout.parameters:
        index = parameter.begin + int(rng.integers(parameter.end - parameter.begin))
        losses = []
        for step in (1e-4, -1e-4):
            case.flat[index] += step
            losses.append(case.loss())
            case.flat[index] -= step
        assert gradient[index] == pytest.approx((losses[0] - losses[1]) / 2e-4, rel=1e-6, abs=1e-9), parameter.name


@pytest.mark.parametrize("cell", ["mingru", "indrnn"])
def test_a_network_trains_on_a_long_sequence(cell):
    """What it has to say of the sequence, its mean, is there at every step."""
    rng = np.random.default_rng(1)
    mean = np.repeat([-0.5, 0.5], 2)
    X = (mean[:, np.newaxis, np.newaxis] + rng.normal(size=(4, LONG, N_COLUMNS))).astype(np.float32)
    model = DeepRNNRegressor(
        UNITS, cell=cell, pooling="mean", batch_size=1, max_iter=12, early_stopping=False, learning_rate_init=1e-2,
        random_state=0, n_jobs=1,
    ).fit(X, mean)  # fmt: skip
    assert np.isfinite(model.loss_curve_).all()
    assert model.score(X, mean) > 0.9
