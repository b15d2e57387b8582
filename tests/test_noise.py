"""What training disturbs at random and prediction does not: recurrent dropout, weight dropout, zoneout."""

import numpy as np
import pytest
from estimator_case import parameters_equal, with_parameters
from numpy.testing import assert_allclose, assert_array_equal

from sklstm import DeepLSTMRegressor

RATES = ["recurrent_dropout", "weight_dropout", "zoneout"]
each_rate = pytest.mark.parametrize("name", RATES)


@each_rate
@pytest.mark.parametrize("n_layers", [1, 2])
def test_same_seed_same_bits_other_seed_others(case, name, n_layers):
    first, again, other = (case.fit(**{name: 0.4}, n_layers=n_layers, random_state=seed) for seed in (0, 0, 1))
    assert parameters_equal(first, again)
    assert not parameters_equal(first, other)
    assert_array_equal(case.output(first, case.X), case.output(first, case.X))


@each_rate
def test_rates_differ_and_zero_is_none(case, name):
    none, zero, some, more = (case.fit(**parameters) for parameters in ({}, *({name: r} for r in (0, 0.2, 0.6))))
    assert parameters_equal(none, zero)
    assert not parameters_equal(none, some)
    assert not parameters_equal(some, more)


@pytest.mark.parametrize("name", ["recurrent_dropout", "weight_dropout"])
def test_predictions_drop_nothing(case, name):
    """They are those of the plain network with the same parameters."""
    model = case.fit(**{name: 0.5}, dtype="float64")
    assert_allclose(case.output(model, case.X), case.by_hand_table(model, case.X), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["recurrent_dropout", "weight_dropout"])
def test_a_window_of_one_row_has_nothing_recurrent(case, name):
    """The state before its first step is zero."""
    plain, dropped = (case.fit(**{name: rate}, sequence_length=1, weight_decay=0.0) for rate in (0.0, 0.5))
    assert parameters_equal(plain, dropped)


def test_weight_dropout_touches_recurrent_weights_alone(case):
    """In one step of gradient descent, weights that were dropped stay where they are; some of each gate are."""
    settings = {"solver": "sgd", "weight_decay": 0.0, "max_iter": 1, "batch_size": 90, "early_stopping": False}
    settings |= {"dtype": "float64", "hidden_size": 8, "max_grad_norm": None}
    start = case.fit(**settings, learning_rate_init=1e-300).parameters_
    moved = case.fit(**settings, learning_rate_init=0.1, weight_dropout=0.5).parameters_
    for name, array in moved.items():
        share = np.mean(array == start[name])
        assert 0.35 < share < 0.65 if name.startswith("weight_hh") else share == 0


def test_zoneout_of_predictions_is_the_mean(case):
    """At rate 0 the plain network, at rates near 1 the states hardly leave zero."""
    settings = {"dtype": "float64", "random_state": 3}
    plain = case.fit(**settings)
    sizes = []
    for rate in (0.0, 0.3, 0.9, 0.999):
        model = with_parameters(case.fit(**settings, zoneout=rate), plain.parameters_)
        sizes.append(np.abs(model.transform(case.X)).max())
    assert sizes[0] == np.abs(plain.transform(case.X)).max()
    assert sizes == sorted(sizes, reverse=True)
    # Each of the 5 steps moves them by at most the rest of the rate.
    assert sizes[-1] < 5 * 0.001


@each_rate
def test_noise_regularises(name):
    """Where there is nothing but noise to learn by heart, less of it is learnt."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 6, 3)), rng.normal(size=60)
    settings = {"hidden_size": 16, "max_iter": 120, "learning_rate_init": 0.01, "random_state": 0, "n_jobs": 1}
    plain, noisy = (DeepLSTMRegressor(**settings, **p).fit(X, y) for p in ({}, {name: 0.4}))
    assert 1 - noisy.score(X, y) > 3 * (1 - plain.score(X, y))


@each_rate
def test_training_goes_on_with_other_noise(case, name):
    """Two epochs in two calls are two epochs in one, and no epoch repeats the noise of the last."""
    settings = {name: 0.4, "shuffle": False, "early_stopping": False}
    once = case.fit(**settings, max_iter=1)
    by_parts = case.make(**settings).partial_fit(case.X, case.y)
    assert parameters_equal(once, by_parts)
    still = {"learning_rate_init": 1e-30, "weight_decay": 0.0}
    losses = case.fit(**settings, **still, max_iter=3, tol=0.0).loss_curve_
    assert len(set(losses)) == 3
