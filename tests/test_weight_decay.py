"""``weight_decay="auto"``: the rule, what counts as a step, and what is reported."""

import pickle

import numpy as np
import pytest
from estimator_case import parameters_equal

from sklstm import DeepLSTMRegressor
from sklstm._training.weight_decay import automatic_weight_decay

SETTINGS = {"early_stopping": False, "max_iter": 1, "dtype": "float64"}


def decay_of(case, steps):
    """The decay of so many steps an epoch at a step size of 1e-3: .01 of classes."""
    return 0.01 if case.is_classifier else pytest.approx(1 / (1e-3 * max(1000, 30 * steps)), rel=1e-12)


@pytest.mark.parametrize(
    ("learning_rate", "steps", "expected"),
    [
        (1e-3, 1, 1.0),
        (1e-3, 33, 1.0),
        (1e-3, 100, 1 / 3),
        (0.01, 100, 1 / 30),
        (1.0, 10, 1e-3),
        (1e-4, 1, 1.0),
        (1e-300, 1, 1.0),
    ],
)
def test_the_rule(learning_rate, steps, expected):
    """A thousand steps or thirty epochs, whatever is more, and at most 1: small steps stay small."""
    assert automatic_weight_decay(learning_rate, steps) == pytest.approx(expected, rel=1e-12)


def test_auto_is_the_default_and_is_reported(case):
    model = case.fit(**SETTINGS)
    assert model.weight_decay == "auto"
    assert model.weight_decay_ == decay_of(case, 12)  # 90 samples in batches of 8
    assert parameters_equal(model, case.fit(**SETTINGS, weight_decay=model.weight_decay_))
    given = case.fit(**SETTINGS, weight_decay=0.3)
    assert given.weight_decay_ == 0.3
    assert not parameters_equal(model, given)


@pytest.mark.parametrize("options", [{}, {"accumulation_steps": 2}, {"n_seeds": 2}])
def test_steps_are_those_of_the_optimizer(case, options):
    """90 samples one by one make 90 steps an epoch, two by two 45."""
    model = case.fit(**SETTINGS, batch_size=1, **options)
    assert model.weight_decay_ == decay_of(case, 90 // options.get("accumulation_steps", 1))


def test_steps_leave_the_validation_part_out(case):
    model = case.fit(**{**SETTINGS, "early_stopping": True, "validation_fraction": 0.5}, batch_size=1)
    n_train = 90 - 45 - (model.sequence_length - 1)  # the rows of a window lie between the parts
    assert 30 * n_train > 1000
    assert model.weight_decay_ == decay_of(case, n_train)


def test_steps_of_a_stateful_training_and_of_sequences(case):
    stateful = {"training": "stateful", "shuffle": False, "bptt_steps": 2, "batch_size": 1}
    assert case.fit(**SETTINGS, **stateful).weight_decay_ == decay_of(case, 45)
    sequences, targets = list(case.X.reshape(45, 2, -1)), list(np.asarray(case.y).reshape(45, 2))
    model = case.make(**SETTINGS, targets="sequence", batch_size=1).fit(sequences, targets)
    assert model.weight_decay_ == decay_of(case, 45)


def test_a_penalty_in_the_gradient_is_another_number(case):
    """Adam divides it by the size of the gradients: no number of steps stands behind it."""
    model = case.fit(**SETTINGS, solver="adam")
    assert model.weight_decay_ == 0.01
    assert parameters_equal(model, case.fit(**SETTINGS, solver="adam", weight_decay=0.01))


def test_calls_of_partial_fit_go_on_with_the_first_decay(case):
    """However many rows a call brings; the first call is an epoch of `fit`."""
    model = case.make(**SETTINGS, batch_size=1).partial_fit(case.X, case.y)
    assert parameters_equal(model, case.fit(**SETTINGS, batch_size=1))
    assert model.weight_decay_ == decay_of(case, 90)
    assert model.partial_fit(case.X[:40], case.y[:40]).weight_decay_ == decay_of(case, 90)
    assert model.set_params(weight_decay=0.5).partial_fit(case.X, case.y).weight_decay_ == 0.5


def test_each_fit_has_a_decay_of_its_own(case):
    model = case.make(**SETTINGS, batch_size=1, warm_start=True).fit(case.X, case.y)
    assert model.fit(case.X[:60], case.y[:60]).weight_decay_ == decay_of(case, 60)


def test_an_estimator_from_before_the_rule_goes_on(case):
    """Its decay is a number among its parameters, and it has no fitted one."""
    model, expected = (case.make(**SETTINGS, weight_decay=0.01).partial_fit(case.X, case.y) for _ in range(2))
    del model.weight_decay_
    old = pickle.loads(pickle.dumps(model)).partial_fit(case.X, case.y)
    assert parameters_equal(old, expected.partial_fit(case.X, case.y))
    assert old.weight_decay_ == 0.01


def test_noise_is_learnt_less():
    """Targets of noise around a line: the smaller weights are nearer to it than those of the constant."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 4))
    line = X @ [1.0, -1.0, 0.5, 0.0]
    y = line + 3.0 * rng.standard_normal(300)
    errors = []
    for decay in ("auto", 0.01):
        settings = {"sequence_length": 1, "early_stopping": False, "weight_decay": decay, "random_state": 0}
        errors.append(np.mean((DeepLSTMRegressor(**settings).fit(X, y).predict(X) - line) ** 2))
    assert errors[0] < errors[1]
