"""Parameters that do nothing beside the others are said to; those that do something, or were never set, are not."""

import inspect

import numpy as np
import pytest

from sklstm import DeepRNNClassifier, DeepRNNRegressor
from sklstm._options import ONLY_WITH

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(60, 3)), RNG.normal(size=60)
# Another value than the default of each, and what else its partner needs.
OTHERS = {
    "quantile": [0.1, 0.5, 0.9],
    "huber_delta": 2,
    "compete_groups": 2,
    "norm_first": True,
    "feedforward_expansion": 1.5,
    "bptt_steps": 7,
}
BESIDE = {"bptt_steps": {"shuffle": False}, "norm_first": {"n_layers": 2, "residual": 1}}


def fit(estimator=DeepRNNRegressor, **parameters):
    """Fit for one epoch."""
    return estimator(4, sequence_length=4, max_iter=1, random_state=0, **parameters).fit(
        X, Y if estimator is DeepRNNRegressor else Y > 0
    )


def test_every_parameter_has_a_case():
    assert set(OTHERS) == set(ONLY_WITH)
    known = inspect.signature(DeepRNNRegressor).parameters
    for name, (default, other, needed) in ONLY_WITH.items():
        assert known[name].default == default
        assert known[other].default not in needed


@pytest.mark.parametrize("name", ONLY_WITH)
def test_a_parameter_without_its_partner_says_so(name):
    _, other, needed = ONLY_WITH[name]
    value = OTHERS[name]
    default = inspect.signature(DeepRNNRegressor).parameters[other].default
    with pytest.warns(UserWarning, match="has no effect") as caught:
        model = fit(**{name: value})
    (message,) = (str(one.message) for one in caught)
    wanted = " or ".join(f"{other}={one!r}" for one in needed)
    assert message == f"{name}={value!r} has no effect with {other}={default!r}: set {wanted}."
    np.testing.assert_array_equal(model.predict(X), fit().predict(X))


@pytest.mark.parametrize("name", ONLY_WITH)
def test_with_its_partner_it_counts(name):
    """A warning would be an error here."""
    _, other, needed = ONLY_WITH[name]
    for value in needed:
        beside = {other: value, **BESIDE.get(name, {})}
        answers = [fit(**beside, **more).predict(X) for more in ({}, {name: OTHERS[name]})]
        assert (answers[0] != answers[1]).any()


def test_a_classifier_says_so_too():
    with pytest.warns(UserWarning, match="bptt_steps=7 has no effect with training='windows'"):
        fit(DeepRNNClassifier, bptt_steps=7)
