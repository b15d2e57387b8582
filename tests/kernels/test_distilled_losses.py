"""The losses of distillation: values against the formula of the paper, gradients by central differences."""

import numpy as np
import pytest
from kernels.test_losses import evaluate
from numpy.testing import assert_allclose

from sklstm._kernels import available_isas

each_isa = pytest.mark.parametrize("isa", available_isas())
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
each_temperature = pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 20.0])
each_alpha = pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
N_CLASSES = 4


def log_softmax(z):
    return z - z.max() - np.log(np.sum(np.exp(z - z.max())))


def hinton(z, label, teacher, alpha, temperature):
    """``alpha CE(y) + (1 - alpha) T^2 KL(teacher || student)`` of one sample, from logits of all classes.

    `label` is the distribution of the label, `teacher` that of the teacher at the temperature.
    """
    student = log_softmax(z / temperature)
    present = teacher > 0
    divergence = np.sum(teacher[present] * (np.log(teacher[present]) - student[present]))
    return alpha * np.sum(-label * log_softmax(z)) + (1.0 - alpha) * temperature**2 * divergence


def draw(rng, n_classes, size=2.0, smoothing=0.0):
    """Logits, distribution of a label, and one of a teacher; sometimes with a class the teacher excludes."""
    z, teacher = rng.normal(0.0, size, n_classes), rng.dirichlet(np.ones(n_classes))
    if rng.random() < 0.3:
        teacher[0] = 0.0
        teacher /= teacher.sum()
    label = (1 - smoothing) * np.eye(n_classes)[rng.integers(n_classes)] + smoothing / n_classes
    return z, label, teacher


def case(rng, kind, alpha, size=2.0):
    """Raw outputs, targets as the kernel reads them, and the formula as a function of the raw outputs."""
    if kind == "multinomial":
        z, label, teacher = draw(rng, N_CLASSES, size, smoothing=0.1)
        return (
            z,
            np.concatenate([alpha * label, (1 - alpha) * teacher]),
            lambda z, t: hinton(z, label, teacher, alpha, t),
        )
    drawn = [draw(rng, 2, size) for _ in range(3)]
    targets = np.concatenate([np.concatenate([alpha * label, (1 - alpha) * teacher]) for _, label, teacher in drawn])

    def formula(z, temperature):
        pairs = zip(z, drawn, strict=True)
        return np.mean([hinton(np.array([0.0, one]), label, t, alpha, temperature) for one, (_, label, t) in pairs])

    return np.array([logits[1] for logits, _, _ in drawn]), targets, formula


each_kind = pytest.mark.parametrize("kind", ["binary", "multinomial"])


@each_isa
@each_dtype
@each_kind
@each_alpha
@each_temperature
def test_value_is_that_of_the_formula(kind, alpha, temperature, dtype, isa):
    rng, rounding = np.random.default_rng(1), 1e-6 if dtype == np.float32 else 1e-12
    for size in (0.1, 3.0, 30.0):
        z, targets, formula = case(rng, kind, alpha, size)
        z = z.astype(np.float32).astype(np.float64)
        options = {"weight": 0.25, "scale": 2.0, "dtype": dtype, "isa": isa, "loss_parameter": temperature}
        value, _ = evaluate(f"distilled_{kind}", z, targets, **options)
        assert_allclose(value, 0.5 * formula(z, temperature), rtol=rounding, atol=rounding * temperature**2)


@each_kind
@each_alpha
@each_temperature
def test_gradient_by_central_differences(kind, alpha, temperature):
    rng, step = np.random.default_rng(5), 1e-3
    for _ in range(10):
        z, targets, formula = case(rng, kind, alpha)
        d_z = evaluate(f"distilled_{kind}", z, targets, loss_parameter=temperature)[1]
        for k in range(len(z)):
            values = []
            for shift in (-2, -1, 1, 2):
                shifted = z.copy()
                shifted[k] += shift * step
                values.append(formula(shifted, temperature))
            slope = (8 * (values[2] - values[1]) - (values[3] - values[0])) / (12 * step)
            assert_allclose(d_z[k], slope, rtol=1e-7, atol=1e-9)


@each_isa
@each_kind
def test_gradient_of_float32_is_that_of_float64(kind, isa):
    rng = np.random.default_rng(7)
    for _ in range(5):
        z, targets, _ = case(rng, kind, 0.4)
        z, targets = z.astype(np.float32), targets.astype(np.float32)
        found, expected = (
            evaluate(f"distilled_{kind}", z, targets, dtype=dtype, isa=isa, loss_parameter=3.0)[1]
            for dtype in (np.float32, np.float64)
        )
        assert_allclose(found, expected, rtol=1e-7, atol=1e-12)


@each_isa
@each_dtype
@pytest.mark.parametrize("size", [800.0, 1e30])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_large_outputs_do_not_overflow(size, alpha, dtype, isa):
    """The loss is linear there: its value and its slopes are known."""
    temperature, beta = 2.0, 1.0 - alpha
    options = {"dtype": dtype, "isa": isa, "loss_parameter": temperature}
    for sign in (1.0, -1.0):
        # The label is class 1; the teacher is as certain of class 0.
        value, d_z = evaluate("distilled_binary", [sign * size], [0.0, alpha, beta, 0.0], **options)
        wrong_label, wrong_teacher = (sign < 0, sign > 0)
        expected = size * (alpha * wrong_label + temperature * beta * wrong_teacher)
        assert_allclose(value, expected, rtol=1e-6, atol=1e-100)
        assert_allclose(d_z, [temperature * beta * wrong_teacher - alpha * wrong_label], rtol=1e-7, atol=1e-100)
        z = np.array([0.0, sign * size, -size])
        targets = [0.0, alpha, 0.0, beta, 0.0, 0.0]
        value, d_z = evaluate("distilled_multinomial", z, targets, **options)
        assert_allclose(value, expected, rtol=1e-6, atol=1e-100)
        slope = temperature * beta * wrong_teacher - alpha * wrong_label
        assert_allclose(d_z, [-slope, slope, 0.0], rtol=1e-7, atol=1e-100)


@each_kind
def test_a_student_that_agrees_has_no_loss(kind):
    """With the teacher's own logits the divergence is 0 and so is its gradient, at any temperature."""
    logits = np.array([0.3, -1.2, 2.0]) if kind == "multinomial" else np.array([0.0, 1.7])
    for temperature in (1.0, 4.0):
        teacher = np.exp(log_softmax(logits / temperature))
        z = logits if kind == "multinomial" else logits[1:]
        targets = np.concatenate([np.zeros(len(logits)), teacher])
        value, d_z = evaluate(f"distilled_{kind}", z, targets, loss_parameter=temperature)
        assert_allclose(value, 0.0, atol=1e-14)
        assert_allclose(d_z, 0.0, atol=1e-15)


def test_outputs_have_weights_of_their_own():
    """A label that is unknown for a sample has weight 0: its targets are not read."""
    rng = np.random.default_rng(3)
    z, targets, _ = case(rng, "binary", 0.5)
    parts = [
        evaluate("distilled_binary", z[k : k + 1], targets[4 * k : 4 * k + 4], loss_parameter=2.0) for k in range(3)
    ]
    targets[4:8] = np.nan
    value, d_z = evaluate("distilled_binary", z, targets, weight=[1.0, 0.0, 0.5], loss_parameter=2.0)
    assert_allclose(value, (parts[0][0] + 0.5 * parts[2][0]) / 3, rtol=1e-13)
    assert_allclose(d_z, [parts[0][1][0] / 3, 0.0, parts[2][1][0] / 6], rtol=1e-13)
    with pytest.raises(ValueError, match="a multinomial loss has one weight for each sample"):
        evaluate("distilled_multinomial", np.zeros(3), np.zeros(6), weight=[1.0, 1.0, 1.0], loss_parameter=2.0)
