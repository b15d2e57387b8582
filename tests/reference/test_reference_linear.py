"""Cells with a linear recurrence in other forms of their equations: sums over all rows, convolutions of sequences."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit, logsumexp

from reference.cells import REFERENCE_CELLS
from reference.layer import layer_forward
from reference.test_reference_layer import draw_parameters

N_STEPS, D, H = 12, 3, 4


def draw(name, seed=0):
    rng, cell = np.random.default_rng(seed), REFERENCE_CELLS[name]
    parameters, x = draw_parameters(rng, cell, D, H), rng.normal(size=(N_STEPS, D))
    sums = x @ parameters["weight_ih"].T + parameters["bias"]
    blocks = dict(zip(cell.x, np.split(sums, len(cell.x), axis=1), strict=True))
    return parameters, x, blocks, layer_forward(cell, [x], parameters).hidden[0]


def delayed(values, steps=1):
    return np.concatenate([np.zeros((steps, H)), values[: len(values) - steps]])


@pytest.mark.parametrize("window", [2, 3])
@pytest.mark.parametrize("pooling", ["f", "fo", "ifo"])
def test_qrnn_as_a_masked_convolution(pooling, window):
    """Bradbury et al. 2016: gates of all steps from a filter over the sequence, then the pooling."""
    _, _, blocks, found = draw(f"qrnn_{pooling}" if window == 2 else f"qrnn_{pooling}_3")
    gates = {name: blocks[name] + delayed(blocks[f"{name}_next"]) for name in ("z", *pooling)}
    if window == 3:
        gates = {name: sums + delayed(blocks[f"{name}_later"], 2) for name, sums in gates.items()}
    z, f = np.tanh(gates["z"]), expit(gates["f"])
    entering = expit(gates["i"]) * z if "i" in pooling else (1.0 - f) * z
    products = [[np.prod(f[k + 1 : t + 1], axis=0) for k in range(t + 1)] for t in range(N_STEPS)]
    c = np.array([sum(p * e for p, e in zip(products[t], entering, strict=False)) for t in range(N_STEPS)])
    assert_allclose(found, expit(gates["o"]) * c if "o" in pooling else c, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["rglru", "rglru_convolution"])
def test_rglru_as_a_sum_over_all_rows(name):
    parameters, _, blocks, found = draw(name)
    v = blocks["v"]
    if name == "rglru_convolution":
        v = sum(w * delayed(v, k) for k, w in enumerate(parameters["weight_convolution"]))
    r, i = expit(blocks["r"]), expit(blocks["i"])
    a = expit(-parameters["bias_decay"][0]) ** (8.0 * r)  # exp(-softplus(p)) is sigmoid(-p)
    entering = np.sqrt(1.0 - a**2) * i * v
    expected = [sum(np.prod(a[k + 1 : t + 1], axis=0) * entering[k] for k in range(t + 1)) for t in range(N_STEPS)]
    assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_sru_as_a_loop_over_numbers():
    parameters, _, blocks, found = draw("sru")
    for unit in range(H):
        c, (v_f, v_r) = 0.0, parameters["weight_recurrent"][:, unit].tolist()
        for t in range(N_STEPS):
            sums = {name: float(values[t, unit]) for name, values in blocks.items()}
            f, r = (1.0 / (1.0 + math.exp(-sums[name] - v * c)) for name, v in (("f", v_f), ("r", v_r)))
            c = f * c + (1.0 - f) * sums["n"]
            assert_allclose(found[t, unit], r * c + (1.0 - r) * sums["s"], rtol=1e-12)


def test_explstm_as_a_weighted_average():
    """The weight of a row is its input gate and the forget gates behind it; also in two parts, and of 2,000 rows."""
    cell = REFERENCE_CELLS["explstm"]
    parameters, x, blocks, found = draw("explstm")
    log_f = -np.logaddexp(0.0, -blocks["f"])
    total = np.cumsum(log_f, axis=0)
    for t in range(N_STEPS):
        log_weights = blocks["i"][: t + 1] + total[t] - total[: t + 1]
        weights = np.exp(log_weights - logsumexp(log_weights, axis=0))
        assert_allclose(found[t], (weights * np.tanh(blocks["g"][: t + 1])).sum(axis=0), rtol=1e-12)
    first = layer_forward(cell, [x[:5]], parameters)
    second = layer_forward(cell, [x[5:]], parameters, first.final)
    assert_allclose(np.concatenate([first.hidden[0], second.hidden[0]]), found, rtol=1e-12)
    size, power = layer_forward(cell, [np.tile(x, (170, 1))], parameters).final[0, -2 * H :].reshape(2, H)
    assert ((size > 0.5) & (size < 3.0) & (power == np.rint(power))).all()
