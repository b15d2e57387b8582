"""The cells with many states against other forms of their equations: sums over steps, scalars, products with masks."""

import cmath
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit as sigmoid

from reference.cells import REFERENCE_CELLS
from reference.cells.states import heads
from reference.layer import layer_forward
from reference.test_reference_layer import draw_parameters, logistic

N_STEPS, N_COLUMNS = 7, 3


def draw(cell, hidden, **options):
    rng = np.random.default_rng(3)
    return draw_parameters(rng, cell, N_COLUMNS, hidden, **options), rng.normal(size=(N_STEPS, N_COLUMNS))


def outputs(cell, x, parameters):
    return layer_forward(cell, [x], parameters).hidden[0]


def sums(cell, x, parameters):
    """(number of blocks, T, H)"""
    found = x @ parameters["weight_ih"].T + parameters["bias"]
    return np.stack(np.split(found, len(cell.sums), axis=1))


def discretise(dt, a, bilinear):
    """Of scalars, as the equations have it."""
    if bilinear:
        return (1 + dt * a / 2) / (1 - dt * a / 2), dt / (1 - dt * a / 2)
    return cmath.exp(dt * a), (cmath.exp(dt * a) - 1) / a


@pytest.mark.parametrize("bilinear", [0, 1])
def test_s4d_is_a_convolution(bilinear):
    """Gu et al. 2022, eq. 5: the kernel is ``K_j = 2 Re sum_n C_n A'_n^j B'_n``."""
    cell = REFERENCE_CELLS["s4d"].sized(3, bilinear, 0)
    parameters, x = draw(cell, 4)
    (v,), expected = sums(cell, x, parameters), np.zeros((N_STEPS, 4))
    for u in range(4):
        dt, kernel = math.exp(parameters["weight_log_dt"][0, u]), np.zeros(N_STEPS)
        for n in range(3):
            rate = complex(-math.exp(parameters["weight_log_a_re"][n, u]), parameters["weight_a_im"][n, u])
            decay, gain = discretise(dt, rate, bilinear)
            c = complex(parameters["weight_c_re"][n, u], parameters["weight_c_im"][n, u])
            kernel += [2 * (c * decay**j * gain).real for j in range(N_STEPS)]
        expected[:, u] = np.convolve(kernel, v[:, u])[:N_STEPS] + parameters["weight_d"][0, u] * v[:, u]
    assert_allclose(outputs(cell, x, parameters), expected, rtol=1e-12, atol=1e-13)


def test_a_step_of_nearly_nothing():
    """``(exp(dt a) - 1) / a`` is dt, with all its digits."""
    cell = REFERENCE_CELLS["s4d"].sized(1, 0, 0)
    one = np.ones((1, 1))
    parameters = {"weight_log_dt": np.log(1e-9 * one), "weight_log_a_re": np.log(0.5 * one), "weight_a_im": 0.3 * one}
    _, gain = cell.discretise(parameters)
    assert_allclose(gain, 1e-9 * (1.0 + 0.5e-9 * (-0.5 + 0.3j)) * one, rtol=1e-15)


def halves(row):
    n = len(row) // 2
    return row[:n], row[n : 2 * n]


@pytest.mark.parametrize("hidden", [6, 7])
def test_lru_with_complex_matrices(hidden):
    """Orvieto et al. 2023, eqs. 2 and 7, with a dense complex C that the projection stands for."""
    cell, n = REFERENCE_CELLS["lru"], hidden // 2
    parameters, x = draw(cell, hidden, projection=2)
    parameters["weight_lambda"][1, n : 2 * n] = parameters["weight_lambda"][1, :n]
    parameters["weight_hr"][:, 2 * n :] = 0.0  # leave an odd unit alone
    log_nu, log_theta = halves(parameters["weight_lambda"][0])
    decay = np.exp(-np.exp(log_nu) + 1j * np.exp(log_theta))
    check_complex_layer(cell, x, parameters, decay, np.exp(parameters["weight_lambda"][1, :n]))


@pytest.mark.parametrize("bilinear", [0, 1])
@pytest.mark.parametrize("hidden", [6, 7])
def test_s5_with_complex_matrices(hidden, bilinear):
    """Smith et al. 2023, eqs. 2 and 6, likewise."""
    cell, n = REFERENCE_CELLS["s5"].sized(bilinear, 0), hidden // 2
    parameters, x = draw(cell, hidden, projection=2)
    parameters["weight_hr"][:, 2 * n :] = 0.0
    log_re, im = halves(parameters["weight_lambda"][0])
    pairs = [
        discretise(math.exp(log_dt), complex(-math.exp(re), imaginary), bilinear)
        for log_dt, re, imaginary in zip(parameters["weight_lambda"][1], log_re, im, strict=False)
    ]
    decay, gain = np.array(pairs).T
    check_complex_layer(cell, x, parameters, decay, gain)


def check_complex_layer(cell, x, parameters, decay, gain):
    """``s_t = sum_j decay^(t - j) gain (B x_j + b)``, output ``Re(C s_t)`` and what D adds."""
    (v,), n = sums(cell, x, parameters), len(decay)
    entering = v[:, :n] + 1j * v[:, n : 2 * n]
    c = parameters["weight_hr"][:, :n] - 1j * parameters["weight_hr"][:, n : 2 * n]
    expected = []
    for t in range(N_STEPS):
        s = sum(decay ** (t - j) * gain * entering[j] for j in range(t + 1))
        expected.append((c @ s).real + parameters["weight_hr"] @ (parameters["weight_d"][0] * v[t]))
    assert_allclose(outputs(cell, x, parameters), expected, rtol=1e-12, atol=1e-13)


def test_an_odd_unit_is_a_real_state():
    cell = REFERENCE_CELLS["lru"]
    parameters, x = draw(cell, 1)
    (v,) = sums(cell, x, parameters)
    decay, gain = np.exp(-np.exp(parameters["weight_lambda"][0])), np.exp(parameters["weight_lambda"][1])
    expected = [sum(decay ** (t - j) * gain * v[j] for j in range(t + 1)) for t in range(N_STEPS)]
    assert_allclose(outputs(cell, x, parameters), expected + parameters["weight_d"][0] * v, rtol=1e-12)


def test_mamba_in_scalars():
    """Gu & Dao 2023, algorithm 2, number by number."""
    n, rank, hidden = 2, 3, 4
    cell = REFERENCE_CELLS["mamba"].sized(n, rank)
    p, x = draw(cell, hidden)
    u, z = sums(cell, x, p)
    v = np.zeros((N_STEPS, hidden))
    for t in range(N_STEPS):
        for k in range(hidden):
            # PyTorch's depthwise convolution, padded by three zeros
            a = p["bias_conv"][0, k] + sum(p["weight_conv"][3 - j, k] * u[t - j, k] for j in range(min(3, t) + 1))
            v[t, k] = a * logistic(a)
    s, found = np.zeros((hidden, n)), outputs(cell, x, p)
    for t in range(N_STEPS):
        row = [sum(p["weight_x"][j, k] * v[t, k] for k in range(hidden)) for j in range(rank + 2 * n)]
        low, b, c = row[:rank], row[rank : rank + n], row[rank + n :]
        for k in range(hidden):
            delta = math.log1p(math.exp(sum(low[r] * p["weight_dt"][r, k] for r in range(rank)) + p["bias_dt"][0, k]))
            for j in range(n):
                s[k, j] = math.exp(-delta * math.exp(p["weight_log_a"][j, k])) * s[k, j] + delta * b[j] * v[t, k]
            y = sum(c[j] * s[k, j] for j in range(n)) + p["weight_d"][0, k] * v[t, k]
            assert_allclose(found[t, k], y * z[t, k] * logistic(z[t, k]), rtol=1e-12)


def test_rwkv_as_sums_over_all_steps():
    """Peng et al. 2023, eqs. 11 to 16: mixed inputs, then each weighted mean from its definition."""
    cell, hidden = REFERENCE_CELLS["rwkv"], 4
    parameters, x = draw(cell, hidden)
    rng = np.random.default_rng(1)
    matrices, mu = rng.normal(size=(3, hidden, N_COLUMNS)), rng.uniform(size=(3, N_COLUMNS))
    parameters["weight_ih"] = np.concatenate([*(matrices * mu[:, None]), *(matrices * (1 - mu[:, None]))])
    parameters["bias"] = np.zeros(6 * hidden)
    before = np.vstack([np.zeros(N_COLUMNS), x[:-1]])
    r, k, v = ((m * x + (1 - m) * before) @ matrix.T for m, matrix in zip(mu, matrices, strict=True))  # (T, H)
    decay, first = np.exp(parameters["weight_time_decay"][0]), parameters["weight_time_first"][0]
    expected = np.zeros((N_STEPS, hidden))
    for t in range(N_STEPS):
        weights = [np.exp(-(t - 1 - i) * decay + k[i]) for i in range(t)] + [np.exp(first + k[t])]
        expected[t] = sigmoid(r[t]) * sum(w * v[i] for i, w in enumerate(weights)) / sum(weights)
    assert_allclose(outputs(cell, x, parameters), expected, rtol=1e-12)


@pytest.mark.parametrize("far", [800.0, -800.0])
def test_rwkv_beyond_the_range_of_exponentials(far):
    """A constant in all keys changes nothing."""
    cell = REFERENCE_CELLS["rwkv"]
    parameters, x = draw(cell, 4)
    moved = {**parameters, "bias": parameters["bias"].copy()}
    moved["bias"][4:8] += far  # the block k: at every step alike
    assert_allclose(outputs(cell, x, moved), outputs(cell, x, parameters), rtol=1e-9)


@pytest.mark.parametrize("rotates", [0, 1])
@pytest.mark.parametrize("hidden", [8, 10, 7])
def test_retention_in_its_parallel_form(hidden, rotates):
    """Sun et al. 2023, eqs. 5 and 8: ``(Q K^T * D) V`` with ``Q e^(i n theta)``, ``K e^(-i n theta)``."""
    size = 4
    cell = REFERENCE_CELLS["retention"].sized(size, rotates)
    parameters, x = draw(cell, hidden)
    q, k, v, g = sums(cell, x, parameters)
    expected, steps = np.zeros((N_STEPS, hidden)), np.arange(N_STEPS)
    for head, units in enumerate(heads(hidden, size)):
        lag = steps[:, None] - steps
        decay = np.where(lag >= 0, (1.0 - 2.0 ** (-5.0 - head)) ** np.maximum(lag, 0), 0.0)
        scores = np.zeros((N_STEPS, N_STEPS))
        for j in range(0, len(units), 2):
            one = units[j : j + 2]
            if len(one) == 1 or not rotates:
                scores += q[:, one] @ k[:, one].T
                continue
            turn = np.exp(1j * steps * 10000.0 ** (-j / size))
            a, b = ((m[:, one[0]] + 1j * m[:, one[1]]) * turn for m in (q, k))
            scores += (a[:, None] * b.conj()).real
        y = (scores / np.sqrt(size) * decay) @ v[:, units]
        y /= np.sqrt((y**2).mean(axis=1, keepdims=True) + 1e-6)
        expected[:, units] = g[:, units] * sigmoid(g[:, units]) * y
    assert_allclose(outputs(cell, x, parameters), expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("hidden", [8, 7])
def test_linear_attention_with_all_its_weights(hidden):
    """Katharopoulos et al. 2020, eqs. 4 and 9, causal: weights ``phi(q_t) phi(k_i)``, scaled to a sum of one."""
    cell = REFERENCE_CELLS["linear_attention"].sized(4)
    parameters, x = draw(cell, hidden)
    q, k, v = sums(cell, x, parameters)
    phi_q, phi_k = (np.where(m > 0, m + 1.0, np.exp(m)) for m in (q, k))
    expected = np.zeros((N_STEPS, hidden))
    for units in heads(hidden, 4):
        weights = np.tril(phi_q[:, units] @ phi_k[:, units].T)
        expected[:, units] = weights @ v[:, units] / weights.sum(axis=1, keepdims=True)
    # the reference adds 1e-6 to the sum
    assert_allclose(outputs(cell, x, parameters), expected, rtol=1e-5)


def test_lmu_is_one_unit_by_hand():
    """One polynomial: A' = -1, B' = 1, so m' = exp(-1 / theta) m + (1 - exp(-1 / theta)) u."""
    cell, keep = REFERENCE_CELLS["lmu"].sized(1, 4), math.exp(-1 / 4)
    parameters, _ = draw(cell, 1)
    w, y, b = parameters["weight_ih"][:, 0], parameters["weight_hh"][:, 0], parameters["bias"]
    e, out = parameters["weight_memory_in"][0, 0], parameters["weight_memory_out"][0, 0]
    x, h, m = 0.7, -0.3, 0.4
    memory = keep * m + (1 - keep) * (w[0] * x + y[0] * h + b[0] + e * m)
    expected = math.tanh(w[1] * x + y[1] * h + b[1] + out * memory)
    one = parameters | {"weight_ih": parameters["weight_ih"][:, :1]}
    assert_allclose(layer_forward(cell, [[[x]]], one, [[h, memory * 0 + m]]).final, [[expected, memory]], rtol=1e-13)


def test_lmu_remembers_a_window():
    """The memory holds the signal of the last theta steps: its polynomials give it back at any delay."""
    order, theta, n_steps = 8, 40, 200
    cell = REFERENCE_CELLS["lmu"].sized(order, theta)
    signal = np.sin(np.arange(n_steps) / 11.0) + 0.3 * np.cos(np.arange(n_steps) / 17.0)
    parameters = {
        "weight_ih": np.array([[1.0], [0.0]]),
        "weight_hh": np.zeros((2, 1)),
        "bias": np.zeros(2),
        "weight_memory_in": np.zeros((order, 1)),
        "weight_memory_out": np.zeros((order, 1)),
    }
    memory = layer_forward(cell, [signal[:, np.newaxis]], parameters).final[0, 1:]
    for delay in (0, 5, 13, 26, 39):
        # The signal stands still between two steps: half a step later on average.
        share = (delay + 0.5) / theta
        found = np.polynomial.legendre.legval(2.0 * share - 1.0, memory)
        assert_allclose(found, signal[n_steps - 1 - delay], atol=0.02)
