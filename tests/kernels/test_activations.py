"""The activations in units in the last place, per instruction set and precision.

One ULP is the distance of neighbouring numbers of the result's type at the exact value. The float32
bounds are the maxima over *every* float32 (of sigmoid where it is no underflow), rounded up; the tests take
every 1021st and all those around the worst.
"""

from decimal import Context, Decimal, localcontext

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.special import expit

from sklstm._kernels import available_isas
from sklstm._kernels.core._pointwise import sigmoid, tanh

ISAS = available_isas()
FUNCTIONS = {"sigmoid": (sigmoid, expit), "tanh": (tanh, np.tanh)}
# Found at -16.6357 and -3.14.
MAX_ULP = {isa: {"sigmoid": 2.49, "tanh": 3.46} for isa in ISAS}
# libm: 1.96 and 2.02 with glibc 2.36; other libraries promise 1 or 2 for exp and tanh themselves.
MAX_ULP_FLOAT64 = {"sigmoid": 2.5, "tanh": 2.5}
# exp(-x) is infinite from 2^127.5 on, and sigmoid 0.
SIGMOID_UNDERFLOWS = np.float32(-127.5 * np.log(2.0))

each_isa = pytest.mark.parametrize("isa", ISAS)
each_function = pytest.mark.parametrize("name", FUNCTIONS)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def all_kinds_of_floats(stride=1021):
    """Every stride-th of the 2**32 float32: both signs, subnormal, huge, NaN. In order of the bits."""
    return np.arange(0, 2**32, stride, dtype=np.uint64).astype(np.uint32).view(np.float32)


def ulp_error(found, exact):
    """Distance to `exact` (float64) in ULP of float32; below the normal numbers, of the least."""
    with np.errstate(under="ignore"):
        rounded = np.abs(exact).astype(np.float32)
    spacing = np.spacing(np.maximum(rounded, np.finfo(np.float32).smallest_normal))
    return np.abs(found.astype(np.float64) - exact) / spacing.astype(np.float64)


@each_isa
@each_function
def test_float32_ulp(name, isa):
    function, oracle = FUNCTIONS[name]
    x = all_kinds_of_floats()
    found = function(x, isa)
    assert found.dtype == np.float32
    assert_array_equal(np.isnan(found), np.isnan(x))
    measured = ~np.isnan(x)
    if name == "sigmoid":
        measured &= x >= SIGMOID_UNDERFLOWS + np.float32(1e-4)
    error = ulp_error(found[measured], oracle(x[measured].astype(np.float64)))
    worst = np.argmax(error)
    assert error[worst] <= MAX_ULP[isa][name], f"{error[worst]} ULP at {x[measured][worst]!r}"


@each_isa
@each_function
def test_float32_ulp_where_it_matters(name, isa):
    """Every float near the worst arguments of the whole sweep, around 0 and where polynomials join."""
    function, oracle = FUNCTIONS[name]
    joints = np.log(2.0) * np.array([-24.5, -5.5, -1.5, -0.5, 0.5, 1.5, 5.5])
    for centre in [-16.635704, -3.1399991, 0.062424507, 0.062023256, 8.6643398, 1e-3, *joints, *joints / 2]:
        first = np.float32(centre).view(np.uint32) - 20_000
        x = (first + np.arange(40_000, dtype=np.uint32)).view(np.float32)
        error = ulp_error(function(x, isa), oracle(x.astype(np.float64)))
        assert error.max() <= MAX_ULP[isa][name], f"{error.max()} ULP at {x[error.argmax()]!r}"


@each_isa
def test_float32_sigmoid_underflows_to_zero(isa):
    x = all_kinds_of_floats()
    x = np.append(x[x < SIGMOID_UNDERFLOWS], np.float32(-np.inf))
    assert_array_equal(sigmoid(x, isa), np.zeros_like(x))


@each_dtype
@each_isa
def test_exact_values(isa, dtype):
    x = np.array([0.0, -0.0, 100.0, np.inf, np.finfo(dtype).max], dtype)
    assert_array_equal(sigmoid(x, isa), np.array([0.5, 0.5, 1.0, 1.0, 1.0], dtype))
    assert_array_equal(tanh(x, isa), np.array([0.0, 0.0, 1.0, 1.0, 1.0], dtype))
    assert_array_equal(tanh(-x, isa), np.array([0.0, 0.0, -1.0, -1.0, -1.0], dtype))
    tiny = np.finfo(dtype).smallest_subnormal * np.array([1, 3, 1000], dtype)
    assert_array_equal(tanh(np.concatenate([tiny, -tiny]), isa), np.concatenate([tiny, -tiny]))
    assert_array_equal(sigmoid(tiny, isa), np.full(3, 0.5, dtype))
    nan = np.array([np.nan, -np.nan, 1.0], dtype)
    for function in (sigmoid, tanh):
        assert_array_equal(np.isnan(function(nan, isa)), [True, True, False])


@each_isa
@each_function
def test_float32_range_and_order(name, isa):
    """No result leaves the closed range, and none falls as x grows, not even from one number to the next."""
    function, _ = FUNCTIONS[name]
    next_to_each_other = np.arange(2_000_000, dtype=np.uint32)
    starts = [np.float32(start).view(np.uint32) for start in (1e-3, 0.05, 0.6, 3.0, 8.5, 85.0)]
    rising = [np.linspace(-90.0, 90.0, 3_000_001).astype(np.float32)]
    rising += [(start + next_to_each_other).view(np.float32) for start in starts]
    low, high = (0.0, 1.0) if name == "sigmoid" else (-1.0, 1.0)
    for x in [*rising, *(-one[::-1] for one in rising[1:])]:
        found = function(x, isa)
        assert low <= found[0] <= found[-1] <= high
        assert (np.diff(found) >= 0).all()
        if name == "tanh":
            assert_array_equal(np.sign(found), np.sign(x))


def decimal_oracle(name, x):
    """The exact value as a Decimal: exp of 60 digits."""
    with localcontext(Context(prec=60, Emin=-9999, Emax=9999)):
        if name == "sigmoid":
            return 1 / (1 + (-Decimal(x)).exp())
        # expm1 by its series where the subtraction would cancel.
        if abs(x) < 1e-8:
            return Decimal(x) - Decimal(x) ** 3 / 3
        e = (2 * Decimal(x)).exp()
        return (e - 1) / (e + 1)


@each_isa
@each_function
def test_float64_ulp(name, isa):
    rng = np.random.default_rng(31)
    x = [
        *rng.normal(0.0, 2.0, 3000),
        *rng.uniform(-40.0, 40.0, 1000),
        *rng.uniform(-700.0, -40.0, 200),
        *(rng.choice([-1, 1], 1000) * 10.0 ** rng.uniform(-12.0, 0.0, 1000)),
    ]
    function, _ = FUNCTIONS[name]
    found = function(np.array(x), isa)
    error = []
    for value, argument in zip(found.tolist(), x, strict=True):
        exact = decimal_oracle(name, float(argument))
        error.append(abs(Decimal(value) - exact) / Decimal(np.spacing(abs(float(exact)))))
    worst = int(np.argmax(error))
    assert error[worst] <= MAX_ULP_FLOAT64[name], f"{error[worst]:.3f} ULP at {x[worst]!r}"


@each_isa
def test_float64_sigmoid_underflows_to_zero(isa):
    x = np.array([-708.0, -709.0, -710.0, -745.0, -1e4, -1e300, -np.inf])
    found = sigmoid(x, isa)
    assert (found[:2] > 0.0).all()
    assert_array_equal(found[2:], np.zeros(5))


@each_isa
@each_dtype
@each_function
def test_neither_length_nor_place_matters(name, dtype, isa):
    """Whole vectors and the remainder give the same bits."""
    function, _ = FUNCTIONS[name]
    x = np.random.default_rng(5).normal(0.0, 4.0, 67).astype(dtype)
    alone = np.concatenate([function(x[k : k + 1], isa) for k in range(len(x))])
    for n in range(len(x) + 1):
        assert_array_equal(function(x[:n], isa), alone[:n])
    # An unaligned begin as well.
    assert_array_equal(function(x[3:40], isa), alone[3:40])
