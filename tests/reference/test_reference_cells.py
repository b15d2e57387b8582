"""The cells of the reference: numbers worked out by hand, other forms of the equations, vectors of PyTorch and ONNX."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp

from reference.cells import REFERENCE_CELLS
from reference.layer import layer_forward
from reference.test_reference_layer import draw_parameters, logistic
from reference.vectors import load_cases, split_rows

STORED = {f"{kind}_{name}": case for kind in ("gru", "rnn") for name, case in load_cases(f"torch_{kind}").items()}
STORED |= load_cases("torch_minimal") | load_cases("torch_mamba")
STORED |= {f"onnx_{name}": case for name, case in load_cases("onnx_gru").items()}


@pytest.mark.parametrize("name", STORED)
def test_stored_vectors(name):
    """The stored layers are the reference's layer, run over the sequence and over its mirror."""
    case = STORED[name]
    cell, own = REFERENCE_CELLS[str(case["cell"])], case["parameters"]
    # ONNX Runtime computes in float32.
    close = {"rtol": 1e-5, "atol": 2e-6} if name.startswith("onnx") else {"rtol": 1e-10, "atol": 1e-13}
    suffixes = ["", "_reverse"] if "bias_l0_reverse" in own else [""]
    below = split_rows(case["x"], case["lengths"])
    for index in range(len(case["h0"]) // len(suffixes)):
        outputs = []
        for direction, suffix in enumerate(suffixes):
            end = f"_l{index}{suffix}"
            parameters = {key.removesuffix(end): value for key, value in own.items() if key.endswith(end)}
            turn = slice(None, None, -1 if direction else 1)
            at = index * len(suffixes) + direction
            kinds = [kind for kind in ("h", "c") if f"{kind}0" in case]
            state, final = (np.hstack([case[f"{kind}{end}"][at] for kind in kinds]) for end in ("0", "_final"))
            layer = layer_forward(cell, [x[turn] for x in below], parameters, state)
            assert_allclose(layer.final, final, **close)
            outputs.append([h[turn] for h in layer.hidden])
        below = [np.hstack(both) for both in zip(*outputs, strict=True)]
    assert_allclose(np.concatenate(below), case["hidden"], **close)


def candidate(a):
    return a + 0.5 if a >= 0 else logistic(a)


ACTIVATIONS = {
    "tanh": math.tanh,
    "relu": lambda a: max(0.0, a),
    "softsign": lambda a: a / (1 + abs(a)),
    "silu": lambda a: a * logistic(a),
}


def by_hand(name, x, h, w, u, b, v):
    """The new h of a cell of one unit and one input, written out once more; v are its per-unit weights."""
    s = [w_k * x + b_k for w_k, b_k in zip(w, b, strict=False)]
    if name == "gru":
        r, z = logistic(s[0] + u[0] * h), logistic(s[1] + u[1] * h)
        return (1 - z) * math.tanh(s[2] + r * (u[2] * h + b[3])) + z * h
    if name == "gru_reset_before":
        r, z = logistic(s[0] + u[0] * h), logistic(s[1] + u[1] * h)
        return (1 - z) * math.tanh(s[2] + u[2] * r * h) + z * h
    if name == "elman":
        return math.tanh(s[0] + u[0] * h)
    if name == "elman_relu":
        return max(0.0, s[0] + u[0] * h)
    if name == "mgu":
        f = logistic(s[0] + u[0] * h)
        return (1 - f) * h + f * math.tanh(s[1] + u[1] * f * h)
    if name == "delta":
        d = logistic(s[0] + u[0] * h)
        return (1 - d) * h + d * math.tanh(s[1] + u[1] * h)
    if name == "indrnn":
        return max(0.0, s[0] + v[0] * h)
    if name == "indrnn_tanh":
        return math.tanh(s[0] + v[0] * h)
    if name == "cfc":
        f_1, f_2, t_a, t_b = (s_k + u_k * h for s_k, u_k in zip(s, u, strict=True))
        t = logistic(t_a + t_b)
        return math.tanh(f_1) * (1 - t) + t * math.tanh(f_2)
    if name == "cfc_backbone":
        z = 1.7159 * math.tanh(0.666 * (s[0] + u[0] * h))
        f_1, f_2, t_a, t_b = (u_k * z + b_k for u_k, b_k in zip(u[1:], b[1:], strict=True))
        t = logistic(t_a + t_b)
        return math.tanh(f_1) * (1 - t) + t * math.tanh(f_2)
    if name.startswith("rhn"):
        for k in range(0, len(u), 2):
            n, t = (u[k + i] * h + (s[k + i] if k == 0 else b[k + i]) for i in range(2))
            h = math.tanh(n) * logistic(t) + h * (1 - logistic(t))
        return h
    if name == "second_order":
        p, q = s[0], u[0] * h + b[2]
        return math.tanh(s[1] + u[1] * h + u[2] * p * q)
    if name.startswith(("elman", "indrnn")) and name.endswith(("_softsign", "_silu")):
        a = s[0] + (u[0] if name.startswith("elman") else v[0]) * h
        return a / (1 + abs(a)) if name.endswith("softsign") else a * logistic(a)
    if name == "rglru":
        a = math.exp(-8.0 * math.log1p(math.exp(v[0])) * logistic(s[0]))
        return a * h + math.sqrt(1.0 - a**2) * logistic(s[1]) * s[2]
    act = ACTIVATIONS.get(name.partition("_")[2], candidate)
    if name.startswith("mingru"):
        z = logistic(s[0])
        return (1 - z) * h + z * act(s[1])
    f, i = logistic(s[0]), logistic(s[1])
    return f / (f + i) * h + i / (f + i) * act(s[2])


# The cells with many states: test_reference_states.py.
@pytest.mark.parametrize("name", [name for name, cell in REFERENCE_CELLS.items() if cell.own not in ("c", "states")])
def test_one_unit_by_hand(name):
    rng, cell = np.random.default_rng(3), REFERENCE_CELLS[name]
    for _ in range(20):
        parameters, x, h = draw_parameters(rng, cell, 1, 1), rng.normal(), rng.normal()
        found = layer_forward(cell, [[[x]]], parameters, [[h]]).final
        u = parameters["weight_hh"][:, 0] if cell.h else []
        v = [weight for kind in getattr(cell, "vectors", {}) for weight in parameters[kind][:, 0]]
        expected = by_hand(name, x, h, parameters["weight_ih"][:, 0], u, parameters["bias"], v)
        assert_allclose(found, [[expected]], rtol=1e-13, atol=1e-15)


def test_one_unit_of_the_multiplicative_lstm_by_hand():
    rng, cell = np.random.default_rng(7), REFERENCE_CELLS["mlstm"]
    for _ in range(20):
        parameters, x, h, c = draw_parameters(rng, cell, 1, 1), rng.normal(), rng.normal(), rng.normal()
        w, u, b = parameters["weight_ih"][:, 0], parameters["weight_hh"][:, 0], parameters["bias"]
        m = (w[0] * x + b[0]) * (u[0] * h + b[5])
        i, f, g, o = (w[k] * x + u[k] * m + b[k] for k in range(1, 5))
        new = logistic(f) * c + logistic(i) * math.tanh(g)
        expected = [[logistic(o) * math.tanh(new), new]]
        assert_allclose(layer_forward(cell, [[[x]]], parameters, [[h, c]]).final, expected, rtol=1e-13, atol=1e-15)


def test_one_unit_of_the_simple_recurrent_unit_by_hand():
    rng, cell = np.random.default_rng(3), REFERENCE_CELLS["sru"]
    for _ in range(20):
        parameters, x, h, c = draw_parameters(rng, cell, 1, 1), rng.normal(), rng.normal(), rng.normal()
        (w_f,), (w_r,), (w_n,), (w_s,) = parameters["weight_ih"]
        (v_f,), (v_r,) = parameters["weight_recurrent"]
        b_f, b_r, b_n, b_s = parameters["bias"]
        forget, reset = logistic(w_f * x + v_f * c + b_f), logistic(w_r * x + v_r * c + b_r)
        new = forget * c + (1 - forget) * (w_n * x + b_n)
        expected = reset * new + (1 - reset) * (w_s * x + b_s)
        found = layer_forward(cell, [[[x]]], parameters, [[h, c]]).final
        assert_allclose(found, [[expected, new]], rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", ["mingru", "minlstm"])
def test_minimal_cells_are_their_parallel_scan(name):
    """Feng et al. 2024, appendix B: ``log h_t = a_t + logsumexp(log h_0, log b_s - a_s)``, a the sum of log gates."""
    rng, cell = np.random.default_rng(4), REFERENCE_CELLS[name]
    parameters, x, h0 = draw_parameters(rng, cell, 2, 3), rng.normal(size=(9, 2)), rng.uniform(0.1, 2.0, 3)
    *gates, k = np.split(x @ parameters["weight_ih"].T + parameters["bias"], len(cell.x), axis=1)
    if name == "mingru":
        log_keep, log_take = -np.logaddexp(0.0, gates[0]), -np.logaddexp(0.0, -gates[0])
    else:
        # f / (f + i) = 1 / (1 + exp(softplus(-a_f) - softplus(-a_i)))
        diff = np.logaddexp(0.0, -gates[0]) - np.logaddexp(0.0, -gates[1])
        log_keep, log_take = -np.logaddexp(0.0, diff), -np.logaddexp(0.0, -diff)
    log_values = log_take + np.where(k >= 0, np.log(np.maximum(k, 0.0) + 0.5), -np.logaddexp(0.0, -k))
    total = np.cumsum(log_keep, axis=0)
    terms = np.concatenate([np.log(h0)[np.newaxis], log_values - total])
    expected = [np.exp(total[t] + logsumexp(terms[: t + 2], axis=0)) for t in range(9)]
    assert_allclose(layer_forward(cell, [x], parameters, h0[np.newaxis]).hidden[0], expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["minlstm", "minlstm_tanh"])
def test_gates_too_small_for_their_sum(name):
    """f = e^-800 and i = e^-801, both zero in double precision: f / (f + i) is 1 / (1 + 1/e)."""
    parameters = {"weight_ih": np.zeros((3, 1)), "bias": np.array([-800.0, -801.0, 0.0])}
    found = layer_forward(REFERENCE_CELLS[name], [[[1.0]]], parameters, [[2.0]]).final
    share = 1.0 / (1.0 + math.exp(-1.0))
    assert_allclose(found, [[share * 2.0 + (1.0 - share) * (0.0 if name.endswith("tanh") else 0.5)]], rtol=1e-14)


@pytest.mark.parametrize("name", REFERENCE_CELLS)
def test_sequences_in_parts(name):
    rng, cell = np.random.default_rng(5), REFERENCE_CELLS[name]
    parameters, x = draw_parameters(rng, cell, 3, 4), rng.normal(size=(8, 3))
    whole = layer_forward(cell, [x], parameters)
    first = layer_forward(cell, [x[:3]], parameters)
    second = layer_forward(cell, [x[3:]], parameters, first.final)
    assert_array_equal(np.concatenate([first.hidden[0], second.hidden[0]]), whole.hidden[0])
    assert_array_equal(second.final, whole.final)


@pytest.mark.parametrize("name", ["cfc", "cfc_backbone"])
def test_time_gaps_of_each_sequence(name):
    """Three sequences with gaps of their own are each as alone; one unit and one step by hand."""
    rng, cell = np.random.default_rng(6), REFERENCE_CELLS[name]
    parameters = draw_parameters(rng, cell, 2, 3)
    sequences = [rng.normal(size=(n, 2)) for n in (5, 3, 3)]
    gaps = [rng.exponential(size=len(sequence)) for sequence in sequences]
    together = layer_forward(cell, sequences, parameters, gaps=gaps)
    for k in range(3):
        alone = layer_forward(cell, [sequences[k]], parameters, gaps=[gaps[k]])
        assert_array_equal(together.hidden[k], alone.hidden[0])
    scalar = draw_parameters(rng, cell, 1, 1)
    doubled = {key: value.copy() for key, value in scalar.items()}
    for kind, names in (("weight_ih", cell.x), ("weight_hh", cell.h), ("bias", cell.sums)):
        doubled[kind][[block == "t_a" for block in names]] *= 2.5
    found = layer_forward(cell, [[[0.3]]], scalar, [[0.7]], gaps=[[2.5]]).final
    assert_allclose(found, layer_forward(cell, [[[0.3]]], doubled, [[0.7]]).final, rtol=1e-14)
    assert np.abs(together.final - layer_forward(cell, sequences, parameters).final).max() > 0.01
