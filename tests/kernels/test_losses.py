"""The losses and their gradients by the output of the head, as the training kernels compute them.

With a head of zero weights, z is its bias and the gradient of the bias is that of z.
"""

import math

import numpy as np
import pytest
from network.stack_runner import StackRunner, aligned, make_stack
from numpy.testing import assert_allclose, assert_array_equal
from reference.losses import LOSSES as REFERENCE
from scipy.special import expit, softmax

from sklstm._kernels import available_isas

REFERENCE_NAMES = {"squared": "squared", "binary_log": "binary", "multinomial_log": "multinomial"}
N_OUTPUTS = {"squared": 3, "binary_log": 1, "multinomial_log": 4}

each_isa = pytest.mark.parametrize("isa", available_isas())
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
each_loss = pytest.mark.parametrize("loss", N_OUTPUTS)


def evaluate(loss, z, y, *, weight=1.0, scale=1.0, dtype=np.float64, isa=None, loss_parameter=0.0):
    """Value and gradient by z of the loss of one sample; `weight` is a number, or one for each output."""
    z = np.asarray(z, dtype)
    stack = make_stack(1, [1], len(z), dtype, isa)
    flat = np.zeros(stack.n_parameters, dtype)
    flat[-len(z) :] = z
    panels, back = (aligned(size * flat.itemsize).view(dtype) for size in (stack.panels_size, stack.transposed_size))
    stack.to_panels(flat, panels)
    stack.bind(panels, back)
    n_bytes, slot_bytes, _ = stack.workspace_bytes(1, 1, training=True)
    gradient, slots = np.full_like(flat, np.nan), aligned(slot_bytes)
    value = stack.forward_backward(
        np.ones((1, 1), dtype), 1, np.zeros(1, np.intp), np.ones(1, np.intp), aligned(n_bytes), 1,
        max_steps=1, targets=np.atleast_1d(np.asarray(y, dtype)),
        weights=np.array(weight, dtype, ndmin=2 if np.ndim(weight) else 1),
        loss=loss, scale=scale, loss_parameter=loss_parameter, slots=slots,
    )  # fmt: skip
    stack.from_panels(slots[: panels.nbytes].view(dtype), gradient)
    return value, gradient[-len(z) :]


def evaluate_batch(loss, y):
    """The loss of many samples whose outputs are all 0: the sum over the samples."""
    n, dtype = len(y), y.dtype
    stack = make_stack(1, [1], y.shape[1], dtype)
    panels, back = (aligned(size * dtype.itemsize).view(dtype) for size in (stack.panels_size, stack.transposed_size))
    stack.bind(panels, back)
    n_bytes, slot_bytes, _ = stack.workspace_bytes(n, 1, training=True)
    return stack.forward_backward(
        np.ones((1, 1), dtype), 1, np.zeros(n, np.intp), np.ones(n, np.intp), aligned(n_bytes), 1,
        max_steps=1, targets=y, weights=np.ones(n, dtype), loss=loss, scale=1.0, slots=aligned(slot_bytes),
    )  # fmt: skip


def from_reference(loss, z, y, weight):
    """The reference's value and gradient; the package takes the mean over the outputs, not the sum."""
    z = np.asarray(z, np.float64)[None]
    y = np.asarray(y, np.float64)[None]
    factor = 1.0 / z.shape[1] if loss == "squared" else 1.0
    value, d_z = REFERENCE[REFERENCE_NAMES[loss]](z, y, np.array([weight * factor]))
    return value, d_z[0]


def draw(rng, loss, size=3.0):
    n_outputs = N_OUTPUTS[loss]
    z = rng.normal(0.0, size, n_outputs).astype(np.float32)
    if loss == "squared":
        return z, rng.normal(0.0, 3.0, n_outputs).astype(np.float32)
    return z, rng.integers(0, max(2, n_outputs))


@each_isa
@each_dtype
@each_loss
def test_value_and_gradient(loss, dtype, isa):
    rng = np.random.default_rng(2)
    # Everything is computed in double; only the gradient is rounded.
    rounding = 1e-7 if dtype == np.float32 else 1e-14
    for size in (0.1, 3.0, 30.0):
        for weight, scale in ((1.0, 1.0), (0.25, 0.125), (3.0, 1e-3)):
            z, y = draw(rng, loss, size)
            value, d_z = evaluate(loss, z, y, weight=weight, scale=scale, dtype=dtype, isa=isa)
            expected, d_expected = from_reference(loss, z, y, weight * scale)
            assert_allclose(value, expected, rtol=1e-12, atol=1e-15 * weight * scale)
            assert_allclose(d_z, d_expected, rtol=rounding, atol=1e-15)


@each_loss
def test_gradient_by_central_differences(loss):
    rng = np.random.default_rng(5)
    step = 1e-3
    for _ in range(10):
        z, y = draw(rng, loss)
        z = z.astype(np.float64)
        d_z = evaluate(loss, z, y, weight=1.5)[1]
        for k in range(len(z)):
            values = []
            for shift in (-2, -1, 1, 2):
                shifted = z.copy()
                shifted[k] += shift * step
                values.append(evaluate(loss, shifted, y, weight=1.5)[0])
            slope = (8 * (values[2] - values[1]) - (values[3] - values[0])) / (12 * step)
            assert_allclose(d_z[k], slope, rtol=1e-8, atol=1e-11)


@each_isa
@each_dtype
@pytest.mark.parametrize("z", [0.0, 40.0, 800.0, 1e30])
def test_binary_log_loss_does_not_overflow(z, dtype, isa):
    for y in (0, 1):
        for sign in (-1.0, 1.0):
            value, d_z = evaluate("binary_log", [sign * z], y, dtype=dtype, isa=isa)
            wrong = sign * z * (1 - 2 * y)
            expected = max(wrong, 0.0) + math.log1p(math.exp(-abs(z)))
            # A right answer is the difference of two numbers near |z|.
            rounding = 1e-7 if dtype == np.float32 and z == 1e30 else 1e-15
            assert_allclose(value, expected, rtol=rounding, atol=0.0 if z > 50 else rounding * z)
            assert_allclose(d_z, [expit(sign * z) - y], rtol=1e-7, atol=1e-16)


@each_isa
@each_dtype
def test_multinomial_log_loss_does_not_overflow(dtype, isa):
    z = np.array([2000.0, 1999.0, -3000.0, 0.0])
    for y in range(4):
        value, d_z = evaluate("multinomial_log", z, y, dtype=dtype, isa=isa)
        expected = 2000.0 + math.log1p(math.exp(-1.0)) - z[y]
        assert_allclose(value, expected, rtol=1e-13)
        assert_allclose(d_z, softmax(z) - np.eye(4)[y], rtol=1e-7, atol=1e-300)
    certain = np.array([-1e30, 1e30])
    value, d_z = evaluate("multinomial_log", certain, 1, dtype=dtype, isa=isa)
    assert value == 0.0
    assert_array_equal(d_z, [0.0, 0.0])


@each_isa
def test_squared_loss_of_large_float32(isa):
    """The square leaves the range of float32, not that of the double it is computed in."""
    value, d_z = evaluate("squared", [1e25, 0.0], [0.0, 0.0], dtype=np.float32, isa=isa)
    assert_allclose(value, 0.25e50, rtol=1e-6)
    assert_allclose(d_z, [0.5e25, 0.0], rtol=1e-6)


@each_isa
@each_dtype
@each_loss
def test_sum_over_a_batch(loss, dtype, isa):
    """70 samples, several chunks, a quarter of them with weight zero."""
    rng = np.random.default_rng(9)
    n_outputs, n = N_OUTPUTS[loss], 70
    parameters = {
        "weight_ih_l0": rng.normal(size=(20, 2)),
        "weight_hh_l0": rng.normal(size=(20, 5)),
        "bias_l0": rng.normal(size=20),
        "weight_out": 4.0 * rng.normal(size=(n_outputs, 5)),
        "bias_out": rng.normal(size=n_outputs),
    }
    y = np.array([draw(rng, loss)[1] for _ in range(n)], np.float32)
    weights = rng.uniform(0.5, 2.0, n).astype(np.float32)
    weights[rng.permutation(n)[: n // 4]] = 0.0
    weights = weights.astype(np.float64)
    runner = StackRunner(parameters, list(rng.normal(size=(n, 3, 2))), dtype=dtype, isa=isa)
    found = runner.forward_backward(loss, y, weights, scale=0.01)
    terms = [
        from_reference(loss, z, target, 0.01 * weight) for z, target, weight in zip(found["z"], y, weights, strict=True)
    ]
    assert_allclose(found["loss"], math.fsum(value for value, _ in terms), rtol=1e-12)
    d_z = np.array([gradient for _, gradient in terms])
    rounding = 1e-6 if dtype == np.float32 else 1e-13
    limit = rounding * np.abs(d_z).sum(axis=0).max()
    assert_allclose(found["parameters"]["bias_out"], d_z.sum(axis=0), rtol=0, atol=limit)
    # What has no weight has no gradient, to the last bit.
    for sequence, weight in zip(found["sequences"], weights, strict=True):
        assert (weight == 0.0) == (not sequence.any())


def test_unknown_loss():
    with pytest.raises(KeyError, match="cubic"):
        evaluate("cubic", [0.0], [0.0])
