"""Products of gates over 10,000 steps, beyond the range of single and double precision, in the average of `ExpLSTM`.

Exact is the average in logarithms of all weights at once, in float64: ``log w_k = log i_k + sum of log f_j, j > k``.
"""

import numpy as np
import pytest
from scipy.special import logsumexp

from sklstm._kernels import available_isas
from sklstm._network.network import Network
from sklstm._network.parameters import ParameterLayout
from sklstm._sequences import Sequences

N_STEPS, N_UNITS = 10_000, 5
each_isa = pytest.mark.parametrize("isa", available_isas())
ROWS = np.unique(np.concatenate([[0, 1, 9, 99, 999], np.arange(1_999, N_STEPS, 1_000), [N_STEPS - 1]]))
# The sums of f and i. Input gates vary by many powers of ten, are huge, or close after 100 steps: then what
# came before is remembered until its weight has fallen to theirs, far below 1e-300.
CASES = {
    "noise": lambda rng: (rng.normal(2.0, 1.0, N_STEPS), rng.normal(0.0, 60.0, N_STEPS)),
    "huge": lambda rng: (rng.normal(5.0, 1.0, N_STEPS), 5_000.0 + rng.normal(0.0, 1.0, N_STEPS)),
    "closed": lambda rng: (rng.normal(2.0, 1.0, N_STEPS), np.where(np.arange(N_STEPS) < 100, 0.0, -900.0)),
    # Gates around 1/2, or far below it, and no input gate that would make n large again: its size must stay near 1.
    "halving": lambda rng: (rng.uniform(-0.4, 0.1, N_STEPS), np.where(np.arange(N_STEPS) < 100, 0.0, -90_000.0)),
    "shrinking": lambda rng: (rng.uniform(-8.0, 0.0, N_STEPS), np.where(np.arange(N_STEPS) < 100, 0.0, -90_000.0)),
}


def exact_average(f, i, g):
    """h at ROWS."""
    log_f = -np.logaddexp(0.0, -f)
    total = np.cumsum(log_f)
    found = []
    for row in ROWS:
        log_weights = i[: row + 1] + total[row] - total[: row + 1]
        found.append((np.exp(log_weights - logsumexp(log_weights)) * g[: row + 1]).sum())
    return np.array(found)


def network_of(dtype, isa):
    """A layer that reads the sums of f, i and the candidate of its units from the columns: the same in all units."""
    layout = ParameterLayout(3, (N_UNITS,), 1, cell="explstm", every_step=True)
    flat = np.zeros(layout.size, dtype)
    layout.views(flat)["weight_ih_l0"][:] = np.repeat(np.eye(3), N_UNITS, axis=0)
    network = Network(layout, dtype, 1, isa)
    network.load(flat)
    return network


def draw(name):
    rng = np.random.default_rng(7)
    f, i = CASES[name](rng)
    table = np.stack([f, i, rng.normal(size=N_STEPS)], axis=1).astype(np.float32)
    f, i, g = table.astype(np.float64).T
    return table, exact_average(f, i, np.tanh(g))


@each_isa
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_nothing_under_or_overflows(name, dtype, isa):
    table, exact = draw(name)
    hidden = network_of(dtype, isa).forward(Sequences.from_list([table]).at_every_row(), want_hidden=True)
    assert (hidden == hidden[:, :1]).all()
    # Each step rounds n once or twice; where weights of two ages are equal, their errors of thousands of steps count.
    np.testing.assert_allclose(hidden[ROWS, 0], exact, rtol=0, atol=2e-4 if dtype == "float32" else 1e-11)


@pytest.mark.parametrize("name", CASES)
def test_the_products_are_beyond_the_range(name):
    """Numerator and denominator as they are written down: the test above would fail."""
    table, exact = draw(name)
    f, i, g = table.astype(np.float64).T
    numerator = denominator = np.float32(0.0)
    with np.errstate(all="ignore"):
        f, i, g = 1.0 / (1.0 + np.exp(-f)), np.exp(i), np.tanh(g)
        for one_f, one_i, one_g in zip(f.astype(np.float32), i.astype(np.float32), g.astype(np.float32), strict=True):
            numerator, denominator = one_f * numerator + one_i * one_g, one_f * denominator + one_i
        assert not abs(numerator / denominator - exact[-1]) < 1e-3


@each_isa
def test_a_gradient_through_all_steps(isa):
    """From the first 100 rows, before the input gates closed: far below 1e-300, their weights are all there is."""
    table, _ = draw("closed")
    table[100:, 0] = 2.0
    sequences = Sequences.from_list([table[:8_000]])
    layout = ParameterLayout(3, (N_UNITS,), 1, cell="explstm")
    gradients = {}
    for dtype in ("float32", "float64"):
        network = Network(layout, dtype, 1, isa)
        flat = np.zeros(layout.size, dtype)
        views = layout.views(flat)
        views["weight_ih_l0"][:] = np.repeat(np.eye(3), N_UNITS, axis=0)
        views["weight_out"][:] = 1.0
        network.load(flat)
        one = np.ones((1, 1), dtype)
        network.loss_and_gradient(sequences, np.arange(1), one, one[0], "squared", 1.0)
        gradients[dtype] = layout.views(network.from_panels(network.gradient))["weight_ih_l0"]
    scale = np.abs(gradients["float64"]).max()
    assert scale > 1e-3
    np.testing.assert_allclose(gradients["float32"], gradients["float64"], rtol=0, atol=2e-3 * scale)


@each_isa
@pytest.mark.parametrize("cell", ["mingru", "mingru_tanh", "minlstm", "minlstm_tanh", "sru", "rglru", "qrnn_fo"])
def test_recurrences_form_no_products(cell, isa):
    """Gates that are nearly closed and nearly open over 10,000 steps: h in single precision is that in double."""
    rng = np.random.default_rng(3)
    layout = ParameterLayout(4, (N_UNITS,), 1, cell=cell, every_step=True)
    flat = layout.initial(rng, "float64")
    for name, view in layout.views(flat).items():
        if name == "weight_ih_l0":
            view[:] = rng.normal(size=view.shape)
        if name == "bias_l0":
            view[:] = rng.normal(0.0, 6.0, view.shape)
    table = rng.normal(size=(N_STEPS, 4)).astype(np.float32)
    found = []
    for dtype in ("float32", "float64"):
        network = Network(layout, dtype, 1, isa)
        network.load(flat.astype(dtype))
        found.append(network.forward(Sequences.from_list([table]).at_every_row(), want_hidden=True))
    single, double = found
    assert np.abs(double).max() > 0.1
    np.testing.assert_allclose(single, double, rtol=0, atol=1e-4 * np.abs(double).max())
