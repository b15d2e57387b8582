"""Initial values of the state spaces and of the other cells with many states."""

import numpy as np

from sklstm._network.vectors import Vectors

LEGS, LIN, INV = range(3)
SMALLEST_DT, LARGEST_DT = 1e-3, 1e-1


def hippo_legs_frequencies(n):
    """Return the positive imaginary parts of the 2 n eigenvalues of the normal part of HiPPO-LegS.

    Gu et al. 2022, eq. 7.
    The matrix is -1/2 I plus the skew-symmetric S with ``S[j, k] = sqrt((2 j + 1) (2 k + 1)) / 2`` below the diagonal,
    negative above it.
    """
    root = np.sqrt(2.0 * np.arange(2 * n) + 1.0)
    skew = 0.5 * np.outer(root, root)
    skew = np.tril(skew, -1) - np.triu(skew, 1)
    return np.sort(np.linalg.eigvalsh(-1j * skew))[n:]


def frequencies(start, n):
    """Return the imaginary parts of n complex states: S4D-LegS, S4D-Lin or S4D-Inv (Gu et al. 2022, eqs. 8 and 9)."""
    if start == LEGS:
        return hippo_legs_frequencies(n)
    if start == LIN:
        return np.pi * np.arange(n)
    return 2.0 * n / np.pi * (2.0 * n / (2.0 * np.arange(n) + 1.0) - 1.0)


def log_steps(generator, numbers, hidden):
    """Return logarithms of steps between .001 and .1, uniform (Gu et al. 2022, section 4)."""
    return generator.uniform(np.log(SMALLEST_DT), np.log(LARGEST_DT), (1, hidden))


def s4d_frequencies(generator, numbers, hidden):
    """Return the same n frequencies for every unit."""
    n, _, start = numbers
    return np.repeat(frequencies(start, n)[:, np.newaxis], hidden, axis=1)


def s4d_decays(generator, numbers, hidden):
    """Return the logarithm of 1/2: the real part of every eigenvalue is -1/2."""
    return np.full((numbers[0], hidden), np.log(0.5))


def s4d_outputs(generator, numbers, hidden):
    """Return standard normal numbers over sqrt(2), so that C is a standard complex normal number."""
    return generator.normal(0.0, np.sqrt(0.5), (numbers[0], hidden))


def through(generator, numbers, hidden):
    """Return standard normal weights of the input in the output."""
    return generator.normal(size=(1, hidden))


def ones(generator, numbers, hidden):
    """Return ones."""
    return np.ones((1, hidden))


def _halves(first, second, last):
    """Return a row of halves, and of what an odd last unit has."""
    return np.concatenate([first, second, last])


def lru_eigenvalues(generator, numbers, hidden):
    """Return log_nu and log_theta, and log_gamma: a ring of the complex plane (Orvieto et al. 2023, lemma 3.2, eq. 7).

    Numbers: the inner and the outer radius, and the largest phase as a share of the circle, in millionths.
    """
    (least, most, turn), n = (number / 1e6 for number in numbers), hidden // 2
    squares = np.clip(generator.uniform(size=hidden - n) * (most**2 - least**2) + least**2, 1e-12, 1.0 - 1e-12)
    log_nu, log_gamma = np.log(-0.5 * np.log(squares)), 0.5 * np.log1p(-squares)
    log_theta = np.log(np.maximum(2.0 * np.pi * turn * generator.uniform(size=n), 1e-12))
    return np.stack([_halves(log_nu[:n], log_theta, log_nu[n:]), _halves(log_gamma[:n], log_gamma[:n], log_gamma[n:])])


def s5_eigenvalues(generator, numbers, hidden):
    """Return the logarithm of 1/2 and the frequencies, and logarithms of steps (Smith et al. 2023, section 3.2)."""
    n = hidden // 2
    log_re, steps = np.full(hidden - n, np.log(0.5)), log_steps(generator, numbers, hidden)
    return np.stack([_halves(log_re[:n], frequencies(numbers[1], n), log_re[n:]), steps[0]])


def mamba_convolution(generator, numbers, hidden):
    """Return uniform weights of 4 taps, as PyTorch has them."""
    return generator.uniform(-0.5, 0.5, (4, hidden))


def mamba_convolution_bias(generator, numbers, hidden):
    """Return the bias of a convolution of 4 taps, likewise."""
    return generator.uniform(-0.5, 0.5, (1, hidden))


def mamba_products(generator, numbers, hidden):
    """Return uniform weights of a product over all units."""
    n, rank = numbers
    return generator.uniform(-1.0, 1.0, (rank + 2 * n, hidden)) / np.sqrt(hidden)


def mamba_steps(generator, numbers, hidden):
    """Return the weights by which the low-rank numbers enter the step (Gu & Dao 2023, section 3.6)."""
    return generator.uniform(-1.0, 1.0, (numbers[1], hidden)) / np.sqrt(numbers[1])


def mamba_step_bias(generator, numbers, hidden):
    """Return the bias whose softplus is a step between .001 and .1."""
    step = np.exp(log_steps(generator, numbers, hidden))
    return step + np.log(-np.expm1(-step))


def mamba_decays(generator, numbers, hidden):
    """Return the logarithms of 1 to n: S4D-Real."""
    return np.repeat(np.log(np.arange(1.0, numbers[0] + 1.0))[:, np.newaxis], hidden, axis=1)


def rwkv_decays(generator, numbers, hidden):
    """Return ``-5 + 8 (u / (H - 1))^0.7``: those of a first layer of RWKV-4."""
    return -5.0 + 8.0 * (np.arange(hidden)[np.newaxis] / max(hidden - 1, 1)) ** 0.7


def rwkv_bonus(generator, numbers, hidden):
    """Return log .3, a half more or less in turn, as RWKV-4 has it."""
    return np.log(0.3) + 0.5 * ((np.arange(hidden)[np.newaxis] + 1) % 3 - 1)


def _count(index, *more):
    """Return the function from the numbers of a cell to one of them, or to a sum of multiples ``(index, factor)``."""
    return lambda numbers: numbers[index] + sum(factor * numbers[k] for k, factor in more)


# Groups of per-unit weights in the order of the kernels. What sets time scales, biases and the way of the input through
# the cell do not decay.
S4D = (
    Vectors("weight_log_dt", 1, log_steps, False),
    Vectors("weight_log_a_re", _count(0), s4d_decays, False),
    Vectors("weight_a_im", _count(0), s4d_frequencies, False),
    Vectors("weight_c_re", _count(0), s4d_outputs),
    Vectors("weight_c_im", _count(0), s4d_outputs),
    Vectors("weight_d", 1, through, False),
)
LRU = (Vectors("weight_lambda", 2, lru_eigenvalues, False), Vectors("weight_d", 1, through, False))
S5 = (Vectors("weight_lambda", 2, s5_eigenvalues, False), Vectors("weight_d", 1, through, False))
MAMBA = (
    Vectors("weight_conv", 4, mamba_convolution),
    Vectors("bias_conv", 1, mamba_convolution_bias, False),
    Vectors("weight_x", _count(1, (0, 2)), mamba_products),
    Vectors("weight_dt", _count(1), mamba_steps),
    Vectors("bias_dt", 1, mamba_step_bias, False),
    Vectors("weight_log_a", _count(0), mamba_decays, False),
    Vectors("weight_d", 1, ones, False),
)
RWKV = (
    Vectors("weight_time_decay", 1, rwkv_decays, False),
    Vectors("weight_time_first", 1, rwkv_bonus, False),
)
