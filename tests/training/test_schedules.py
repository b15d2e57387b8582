"""Schedules of the step size against their formulas, and the adaptive bound of clipping."""

import statistics

import numpy as np
import pytest
from numpy.testing import assert_allclose
from reference.vectors import load_cases

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor
from sklstm._training.clipping import FIRST_NORMS, Clipping
from sklstm._training.optimizers import AdamW
from sklstm._training.schedules import SCHEDULES

STEPS, EPOCHS = 4, 50
ONE_CYCLE = load_cases("torch_one_cycle")


def factors(name, n_epochs=EPOCHS):
    schedule = SCHEDULES[name](STEPS, n_epochs, 1e-4, 10)
    return np.array([schedule.factor(step) for step in range(STEPS * n_epochs)])


def test_constant():
    assert (factors("constant") == 1.0).all()


def test_linear_warm_up():
    found = factors("linear_warm_up")
    assert_allclose(found[:10], np.arange(1, 11) / 10)
    assert (found[10:] == 1.0).all()


def test_cosine():
    found = factors("cosine")
    assert_allclose(found, (1 + np.cos(np.pi * np.arange(200) / 200)) / 2)
    assert (found[0], found[100]) == (1.0, pytest.approx(0.5))


def test_cosine_restarts():
    """Cycles of 10, 20 and 40 epochs."""
    found = factors("cosine_restarts", 70)
    cycles = [(1 + np.cos(np.pi * np.arange(n) / n)) / 2 for n in (40, 80, 160)]
    assert_allclose(found, np.concatenate(cycles))


@pytest.mark.parametrize("n_steps", ONE_CYCLE)
def test_one_cycle_against_torch(n_steps):
    schedule = SCHEDULES["one_cycle"](1, int(n_steps), 1e-4, 10)
    found = [schedule.factor(step) for step in range(int(n_steps))]
    assert_allclose(found, ONE_CYCLE[n_steps]["factors"], rtol=1e-12)


def test_one_cycle_reaches_its_peak():
    """At the sixtieth of 200 steps; lowest at both ends."""
    found = factors("one_cycle")
    assert_allclose(found[[0, 59, -1]], [1 / 25, 1.0, 1 / 250_000], rtol=1e-9)
    assert found.argmax() == 59


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("n_epochs", [1, 2])
def test_short_trainings(name, n_epochs):
    """One step in all, too."""
    schedule = SCHEDULES[name](1, n_epochs, 1e-4, 1)
    for step in range(n_epochs):
        assert 0.0 < schedule.factor(step) <= 1.0


def test_reduce_on_plateau():
    schedule = SCHEDULES["reduce_on_plateau"](STEPS, EPOCHS, 0.01, 6)
    seen = []
    # Three epochs without an improvement of more than 0.01 halve it; an improvement starts the count again.
    for value in (1.0, 0.995, 0.9, 0.9, 0.9, 0.9, 0.899, 0.898, 0.8, 0.8, 0.897, 0.9):
        seen.append(schedule.factor(0))
        schedule.observe(value)
    assert seen == [1.0] * 6 + [0.5] * 6
    assert schedule.factor(0) == 0.25


@pytest.mark.parametrize("kind", [DeepLSTMRegressor, DeepLSTMClassifier])
@pytest.mark.parametrize("name", SCHEDULES)
def test_every_step_of_a_fit_has_its_rate(monkeypatch, name, kind):
    seen, step = [], AdamW.step

    def spy(self, weights, gradient, learning_rate, scale=1.0):
        seen.append(learning_rate)
        step(self, weights, gradient, learning_rate, scale)

    monkeypatch.setattr(AdamW, "step", spy)
    X = np.random.default_rng(0).normal(size=(40, 2))
    kind(3, learning_rate=name, learning_rate_init=0.02, batch_size=10, max_iter=6, early_stopping=False,
         n_iter_no_change=100, sequence_length=2).fit(X, X[:, 0] > 0)  # fmt: skip
    schedule = SCHEDULES[name](4, 6, 1e-4, 100)
    assert_allclose(seen, [0.02 * schedule.factor(k) for k in range(24)])


def test_partial_fit_knows_no_end():
    X = np.ones((8, 2))
    with pytest.raises(
        ValueError, match=r"partial_fit does not know how many epochs will come, .*learning_rate='cosine'"
    ):
        DeepLSTMRegressor(3, learning_rate="cosine").partial_fit(X, X[:, 0])


# Adaptive clipping


def test_adaptive_bound_is_that_of_the_norms_so_far():
    norms = np.random.default_rng(1).uniform(1.0, 2.0, 40)
    clipping, counted = Clipping("adaptive"), []
    for norm in norms:
        bound = clipping.bound
        if len(counted) < FIRST_NORMS:
            assert (bound, clipping.factor(norm)) == (None, 1.0)
            counted.append(norm)
            continue
        assert_allclose(bound, statistics.mean(counted) + 3 * statistics.stdev(counted), rtol=1e-12)
        assert_allclose(clipping.factor(norm), min(1.0, bound / (norm + 1e-6)), rtol=1e-12)
        counted.append(min(norm, bound))


def test_an_explosion_is_clipped_and_does_not_lift_the_bound():
    clipping = Clipping("adaptive")
    for norm in np.random.default_rng(2).uniform(1.0, 2.0, 50):
        clipping.factor(norm)
    before = clipping.bound
    assert clipping.factor(1e6) == pytest.approx(before / 1e6)
    assert clipping.bound < 1.3 * before


def test_adaptive_clipping_in_a_fit():
    """One target out of all scale: the step that meets it is as small as the others."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(400, 2)), rng.normal(size=400)
    y[300] = 1e4
    models = [
        DeepLSTMRegressor(4, max_grad_norm=bound, batch_size=8, max_iter=2, shuffle=False, random_state=0,
                          early_stopping=False, sequence_length=3).fit(X, y)
        for bound in ("adaptive", None)
    ]  # fmt: skip
    first, second = (model.parameters_["weight_out"] for model in models)
    assert np.abs(first - second).max() > 1e-4
    assert len(models[0].gradient_norms_) == 2
    assert min(models[0].gradient_norms_) > 0


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_planned_end_is_reached(name, early_stopping):
    """No epoch improves by a tolerance out of all measure; only a schedule that plans its last epoch goes on."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 2)), rng.normal(size=60)
    model = DeepLSTMRegressor(2, learning_rate=name, max_iter=7, n_iter_no_change=2, tol=1e6, random_state=0,
                              early_stopping=early_stopping, sequence_length=2).fit(X, y)  # fmt: skip
    # The first epoch is always an improvement.
    assert model.n_iter_ == (7 if name in ("cosine", "one_cycle") else 3)
