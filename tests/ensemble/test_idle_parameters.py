"""Parameters of an ensemble that do nothing with its weights are said to."""

import inspect

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from sklstm import WeightedEnsembleRegressor
from sklstm._ensemble.parameters import ONLY_WITH

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 3))
Y = X[:, 0] + RNG.normal(size=80)
OTHERS = {
    "weights_loss": "absolute_error",
    "shrinkage": 0.5,
    "update_rule": "best",
    "half_life": 9,
    "select": 1,
    "min_weight": 0.1,
    "max_change": 1.0,
    "initial_weights": "equal",
}


def fit(**parameters):
    return WeightedEnsembleRegressor([("a", Ridge()), ("b", Ridge(100.0))], **parameters).fit(X, Y)


def test_every_parameter_has_a_case():
    assert set(OTHERS) == set(ONLY_WITH)
    known = inspect.signature(WeightedEnsembleRegressor).parameters
    assert {name: known[name].default for name in ONLY_WITH} == {name: row[0] for name, row in ONLY_WITH.items()}


@pytest.mark.parametrize("weights", [None, [0.5, 0.5], np.array([0.5, 0.5])], ids=str)
@pytest.mark.parametrize("name", ONLY_WITH)
def test_a_parameter_without_its_weights_says_so(name, weights):
    with pytest.warns(UserWarning, match="has no effect") as caught:
        model = fit(weights=weights, **{name: OTHERS[name]})
    (message,) = (str(one.message) for one in caught)
    needed = ONLY_WITH[name][2]
    assert message.startswith(f"{name}={OTHERS[name]!r} has no effect with weights={weights!r}: set weights='")
    assert message.endswith(f"weights={needed[-1]!r}.")
    assert all(f"weights={one!r}" in message for one in needed)
    np.testing.assert_array_equal(model.weights_, [0.5, 0.5])


@pytest.mark.parametrize("name", ONLY_WITH)
def test_with_its_weights_it_says_nothing(name):
    """A warning would be an error here."""
    for weights in (*ONLY_WITH[name][2], "equal"):
        fit(weights=weights, **{name: OTHERS[name]})
