"""Bound and start of the recurrent weights of `IndRNN`, which each unit has one of."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklstm import DeepRNNRegressor
from sklstm.cells import IndRNN

# The first step of Adam moves each weight by the learning rate, whatever its gradient.
ONE_LONG_STEP = {"learning_rate_init": 0.2, "max_iter": 1, "batch_size": 300}
SOLVERS = ["adamw", "adam", "sgd", "schedule_free"]


def recurrent_weights(model):
    return [value for name, value in model.parameters_.items() if name.startswith("weight_recurrent")]


def largest(model):
    return max(np.abs(value).max() for value in recurrent_weights(model))


def regressor(cell, **more):
    parameters = {
        "hidden_size": 9,
        "n_layers": 2,
        "max_iter": 6,
        "learning_rate_init": 0.02,
        "random_state": 0,
        "sequence_length": 8,
    }
    return DeepRNNRegressor(cell=cell, early_stopping=False, **{**parameters, **more})


def running_sums(n=300):
    X = np.random.default_rng(1).normal(size=(n, 3))
    return X, np.cumsum(X[:, 0]) / 10.0


@pytest.mark.parametrize("solver", SOLVERS)
def test_no_weight_passes_a_bound_of_ones_own(solver):
    X, y = running_sums()
    free = regressor(IndRNN(recurrent_bound=None), solver=solver, weight_decay=0.0).fit(X, y)
    held = regressor(IndRNN(recurrent_bound=0.5), solver=solver, weight_decay=0.0).fit(X, y)
    assert largest(free) > 0.6
    assert largest(held) == np.float32(0.5)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_small_bound_holds_from_the_start_on(bidirectional):
    X, y = running_sums()
    model = regressor(IndRNN(recurrent_bound=0.01), bidirectional=bidirectional, max_iter=1).fit(X, y)
    assert len(recurrent_weights(model)) == (4 if bidirectional else 2)
    assert largest(model) == np.float32(0.01)


@pytest.mark.parametrize("n_steps", [8, 20])
def test_the_automatic_bound_is_that_of_the_longest_window(n_steps):
    X, y = running_sums()
    model = regressor(IndRNN(long_memory=True), **ONE_LONG_STEP, sequence_length=n_steps).fit(X, y)
    assert largest(model) == np.float32(2.0 ** (1.0 / n_steps))


def test_the_automatic_bound_of_sets_of_sequences():
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 2)) for n in rng.integers(3, 12, 40)] + [rng.normal(size=(12, 2))]
    model = regressor(IndRNN(long_memory=True), **ONE_LONG_STEP)
    model.fit(X, np.array([x[:, 0].sum() for x in X]))
    assert largest(model) == np.float32(2.0 ** (1.0 / 12))


def test_tanh_has_no_automatic_bound():
    X, y = running_sums()
    cells = [IndRNN(activation="tanh", recurrent_bound=bound, long_memory=True) for bound in ("auto", None)]
    first, second = (regressor(cell, **ONE_LONG_STEP).fit(X, y) for cell in cells)
    for one, other in zip(recurrent_weights(first), recurrent_weights(second), strict=True):
        assert_array_equal(one, other)
    assert largest(first) > 2.0 ** (1.0 / 8)


@pytest.mark.parametrize("solver", SOLVERS)
def test_training_in_parts_gives_the_same_bits(solver):
    X, y = running_sums()
    whole = regressor(IndRNN(recurrent_bound=0.7), solver=solver).fit(X, y)
    parts = regressor(IndRNN(recurrent_bound=0.7), solver=solver)
    for _ in range(6):
        parts.partial_fit(X, y)
    for name, value in whole.parameters_.items():
        assert_array_equal(parts.parameters_[name], value)


def test_long_memories_of_the_last_layer():
    X, y = running_sums()
    more = {"learning_rate_init": 1e-9, "max_iter": 1, "bidirectional": True}
    plain, long = (regressor(IndRNN(long_memory=value), **more).fit(X, y) for value in (False, True))
    least = 2.0 ** (-1.0 / 8)
    for end in ("", "_backward"):
        below = f"weight_recurrent_l0{end}"
        assert_array_equal(plain.parameters_[below], long.parameters_[below])
        u = long.parameters_[f"weight_recurrent_l1{end}"]
        assert least - 1e-6 <= u.min() < u.max() <= 1.0 + 1e-6
        assert plain.parameters_[f"weight_recurrent_l1{end}"].min() < least


def test_a_series_that_is_read_as_a_whole_is_the_longest_sequence():
    X, y = running_sums()
    cell, more = IndRNN(long_memory=True), {"training": "stateful", "shuffle": False, "learning_rate_init": 1e-9}
    model = regressor(cell, max_iter=1, **more).fit(X, y)
    u = model.parameters_["weight_recurrent_l1"]
    assert 2.0 ** (-1.0 / 300) - 1e-6 <= u.min() < 2.0 ** (-1.0 / 600)
    assert cell._recurrent_bound(300) == 2.0 ** (1.0 / 300)


def events(n, n_steps, rng):
    """Sequences with 0 to 5 events at any of their steps, and how many."""
    y = rng.integers(0, 6, n)
    X = np.zeros((n, n_steps, 1), np.float32)
    for row, count in zip(X, y, strict=True):
        row[rng.choice(n_steps, count, replace=False)] = 1.0
    return X, y.astype(float)


def test_sequences_of_5000_steps_train():
    """Without the bound, the same steps overflow; with short memories, they learn nothing."""
    rng = np.random.default_rng(0)
    (X, y), (X_test, y_test) = events(192, 5000, rng), events(64, 5000, rng)
    more = {
        "n_layers": 1,
        "batch_size": 8,
        "weight_init": "he",
        "learning_rate": "cosine",
        "input_scaling": None,
        "weight_decay": 0.0,
    }
    model = regressor(IndRNN(long_memory=True), learning_rate_init=3e-4, max_iter=30, n_iter_no_change=99, **more)
    assert model.fit(X, y).score(X_test, y_test) > 0.8
    assert largest(model) <= np.float32(2.0 ** (1.0 / 5000))
    few = regressor(IndRNN(recurrent_bound=None, long_memory=True), learning_rate_init=0.01, max_iter=2, **more)
    with pytest.raises(ValueError, match="Training diverged"):
        few.fit(X, y)
    held = regressor(IndRNN(long_memory=True), learning_rate_init=0.01, max_iter=2, **more)
    assert np.isfinite(held.fit(X, y).predict(X_test)).all()
