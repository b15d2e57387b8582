"""The functions beyond sigmoid and tanh in units in the last place (see test_activations.py), and their bits."""

from decimal import Context, Decimal, localcontext

import numpy as np
import pytest
from kernels.test_activations import all_kinds_of_floats, ulp_error
from numpy.testing import assert_array_equal
from scipy.special import expit

from sklstm._kernels import available_isas
from sklstm._kernels.core._pointwise import FUNCTIONS, evaluate

ISAS = available_isas()
LARGEST = np.finfo(np.float32).max
NORMAL = float(np.finfo(np.float32).smallest_normal)


def softplus(x):
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


# What is exact, the range it is measured in, and the largest error found in every 97th float32 of it, rounded up.
EXACT = {
    "exp": (np.exp, -87.0, 87.0, 1.1),
    "log": (np.log, NORMAL, LARGEST, 0.8),
    "softplus": (softplus, -87.0, LARGEST, 1.65),
    "sine": (np.sin, -3.1415, 3.1415, 1.35),
    "cosine": (np.cos, -3.1415, 3.1415, 1.5),
    "root": (np.sqrt, 0.0, LARGEST, 0.5),
    "silu": (lambda x: x * expit(x), -87.0, LARGEST, 2.5),
    "softsign": (lambda x: x / (1.0 + np.abs(x)), -LARGEST, LARGEST, 1.5),
    "softsign_slope": (lambda y: (1.0 - np.abs(y)) ** 2, -1.0, 1.0, 2.0),
}
# The slope of silu is 0 at -1.278 and reads 1 - sigmoid(x); sine and cosine of large angles pass near 0: near 1.
EXACT_NEAR_ONE = {
    "silu_slope": (lambda x: expit(x) * (1.0 + x * expit(-x)), -87.0, LARGEST, 20.0),
    "sine": (np.sin, -1e4, 1e4, 1.3),
    "cosine": (np.cos, -1e4, 1e4, 1.3),
}
# The exponentials of reduced numbers are short: relative error 2.8e-6 and what the argument is rounded by.
WITH_SHORT_EXP = {"exp": 8e-6, "softplus": 8e-6, "silu": 8e-6}
every_float32 = pytest.mark.parametrize("isa", ISAS)


def within(x, low, high):
    return x[(x >= low) & (x <= high)]


def test_every_function_is_measured():
    assert {*EXACT, *EXACT_NEAR_ONE} == set(FUNCTIONS) - {"sigmoid", "tanh"}


@every_float32
@pytest.mark.parametrize("name", EXACT)
def test_float32_ulp(name, isa):
    exact, low, high, bound = EXACT[name]
    x = within(all_kinds_of_floats(8191), low, high)
    error = ulp_error(evaluate(name, x, isa), exact(x.astype(np.float64)))
    assert error.max() <= bound, f"{error.max()} ULP at {x[error.argmax()]!r}"


@every_float32
@pytest.mark.parametrize("name", EXACT_NEAR_ONE)
def test_float32_error_near_one(name, isa):
    exact, low, high, bound = EXACT_NEAR_ONE[name]
    x = np.concatenate([all_kinds_of_floats(8191), np.linspace(-1e4, 1e4, 400_001, dtype=np.float32)])
    x = within(x, low, high)
    expected = exact(x.astype(np.float64))
    error = np.abs(evaluate(name, x, isa) - expected) / np.maximum(np.abs(expected), 1.0) / 2.0**-24
    assert error.max() <= bound, f"{error.max()} of 2^-24 at {x[error.argmax()]!r}"


@pytest.mark.every_isa
@pytest.mark.parametrize("name", FUNCTIONS)
def test_reduced_numbers_have_the_same_bits_everywhere(name):
    x = np.concatenate([all_kinds_of_floats(4099), np.linspace(-20, 20, 20_001, dtype=np.float32)])
    first, *others = (evaluate(name, x, isa, reduced=True) for isa in available_isas("reduced"))
    for other in others:
        assert_array_equal(first.view(np.uint32)[~np.isnan(first)], other.view(np.uint32)[~np.isnan(first)])
        assert_array_equal(np.isnan(first), np.isnan(other))


@pytest.mark.every_isa
@pytest.mark.parametrize("name", EXACT)
def test_error_of_reduced_numbers(name):
    exact, low, high, bound = EXACT[name]
    x = within(np.concatenate([all_kinds_of_floats(4099), np.linspace(-80, 80, 20_001, dtype=np.float32)]), low, high)
    x = x[(np.abs(x) >= NORMAL) & (np.abs(x) <= 1e30)]  # denormal numbers are flushed to zero
    expected = exact(x.astype(np.float64))
    found = evaluate(name, x, reduced=True)
    large = np.abs(expected) >= NORMAL
    if name in WITH_SHORT_EXP:
        assert (np.abs(found - expected) / np.abs(expected))[large].max() <= WITH_SHORT_EXP[name]
    else:
        assert ulp_error(found[large], expected[large]).max() <= bound


@every_float32
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ends_of_the_ranges(isa, dtype):
    normal, largest = np.finfo(dtype).smallest_normal, np.finfo(dtype).max
    x = np.array([0.0, -0.0, -1.0, -np.inf, normal / 2, normal], dtype)
    assert_array_equal(evaluate("log", x, isa), np.full(6, np.log(normal), dtype))
    large = np.array([largest, 100.0, 0.0], dtype)
    assert_array_equal(evaluate("softplus", large, isa), np.array([largest, 100.0, np.log(2.0)], dtype))
    if dtype == np.float32:
        below = np.array([-87.0, -90.0, -1e30, -np.inf], dtype)
        assert_array_equal(evaluate("softplus", below, isa), np.full(4, np.exp(np.float64(-87.0)), dtype))
    assert_array_equal(evaluate("sine", np.array([0.0, -0.0], dtype), isa), np.array([0.0, -0.0], dtype))
    assert_array_equal(evaluate("cosine", np.zeros(2, dtype), isa), np.ones(2, dtype))
    assert_array_equal(evaluate("softsign", large, isa)[[0, 2]], np.array([1.0, 0.0], dtype))
    for name in FUNCTIONS:
        found = evaluate(name, np.array([np.nan, 0.5, -np.nan], dtype), isa)
        assert_array_equal(np.isnan(found), [True, False, True], err_msg=name)


@every_float32
def test_angles_beyond_the_range_give_no_nonsense(isa):
    x = np.array([13_000.0, 1e6, 1e20, LARGEST], np.float32)
    for name, exact in (("sine", np.sin), ("cosine", np.cos)):
        for sign in (1, -1):
            found = evaluate(name, sign * x, isa)
            np.testing.assert_allclose(found, np.full(4, exact(sign * 12_800.0)), atol=1e-7)


def series(x, first):
    """Sine (first=1) or cosine (first=0) of a Decimal by its series."""
    term = total = x if first else Decimal(1)
    for k in range(first + 2, 90, 2):
        term *= -x * x / (k * (k - 1))
        total += term
    return total


DECIMAL = {
    "exp": Decimal.exp,
    "log": Decimal.ln,
    "softplus": lambda x: (1 + x.exp()).ln(),
    "sine": lambda x: series(x, 1),
    "cosine": lambda x: series(x, 0),
    "root": Decimal.sqrt,
    "silu": lambda x: x / (1 + (-x).exp()),
    "softsign": lambda x: x / (1 + abs(x)),
    "softsign_slope": lambda y: (1 - abs(y)) ** 2,
}


@every_float32
@pytest.mark.parametrize("name", DECIMAL)
def test_float64(name, isa):
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.normal(0, 2, 200), rng.uniform(-40, 40, 100), 10.0 ** rng.uniform(-12, 0, 100)])
    x = within(x, *EXACT[name][1:3])
    with localcontext(Context(prec=50)):
        for value, argument in zip(evaluate(name, x, isa), x, strict=True):
            exact = DECIMAL[name](Decimal(float(argument)))
            assert abs(Decimal(float(value)) - exact) <= 3 * Decimal(float(np.spacing(abs(float(exact))))), argument
