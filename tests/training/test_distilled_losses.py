"""The losses of distillation on a validation part; those of the kernels are in tests/kernels."""

import numpy as np
from kernels.test_distilled_losses import case, each_alpha, each_kind
from numpy.testing import assert_allclose
from scipy.optimize import minimize

from sklstm._ridge.start import numbers_to_predict
from sklstm._training.losses import LOSSES, least_loss, mean_loss


def many(kind, alpha, n=50):
    rng = np.random.default_rng(11)
    drawn = [case(rng, kind, alpha) for _ in range(n)]
    return *(np.array([one[k] for one in drawn]) for k in (0, 1)), [one[2] for one in drawn]


@each_kind
@each_alpha
def test_validation_measures_the_same(kind, alpha):
    z, targets, formulas = many(kind, alpha)
    loss = LOSSES[f"distilled_{kind}"].bound(2.0)
    expected = [formula(row, 2.0) for formula, row in zip(formulas, z, strict=True)]
    assert_allclose(loss.values(z, targets).mean(axis=1), expected, rtol=1e-11, atol=1e-13)
    weights = np.random.default_rng(0).uniform(0.0, 2.0, len(z))
    assert_allclose(mean_loss(loss, z, targets, weights), np.average(expected, weights=weights), rtol=1e-11)


@each_kind
@each_alpha
def test_constant_is_the_best_constant(kind, alpha):
    z, targets, _ = many(kind, alpha)
    loss, n_outputs = LOSSES[f"distilled_{kind}"].bound(2.0), z.shape[1]
    weights = np.random.default_rng(0).uniform(0.5, 2.0, len(z))
    constant = loss.constant(targets, weights, n_outputs)
    assert constant.shape == (n_outputs,)

    def value(z):
        return mean_loss(loss, np.broadcast_to(z, (len(targets), n_outputs)), targets, weights)

    best = minimize(value, np.zeros(n_outputs), method="BFGS", options={"gtol": 1e-7})
    assert_allclose(value(constant), best.fun, rtol=1e-9)
    assert least_loss(loss, targets, weights, n_outputs) <= value(constant)


@each_kind
def test_constant_of_a_class_that_is_absent_is_finite(kind):
    n_classes = 3 if kind == "multinomial" else 2
    targets = np.tile(np.concatenate([np.eye(n_classes)[1], np.zeros(n_classes)]), (5, 1))
    loss = LOSSES[f"distilled_{kind}"].bound(2.0)
    constant = loss.constant(targets, np.ones(5), n_classes if kind == "multinomial" else 1)
    assert np.isfinite(constant).all()
    assert mean_loss(loss, np.tile(constant, (5, 1)), targets, np.ones(5)) < 1e-9


def test_a_linear_part_predicts_label_and_teacher_together():
    # For each output: the weights of "no" and "yes" that come from the labels, then those that come from the teacher.
    targets = np.array([[0.3, 0.0, 0.5, 0.2], [0.0, 0.3, 0.1, 0.6]])
    assert_allclose(numbers_to_predict("distilled_binary", targets, 1), [[0.2], [0.9]])
    targets = np.array([[0.3, 0.0, 0.0, 0.2, 0.4, 0.1]])
    assert_allclose(numbers_to_predict("distilled_multinomial", targets, 3), [[0.5, 0.4, 0.1]])
