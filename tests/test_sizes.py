"""Sizes that no machine can hold: an error that names the parameter, before anything is allocated."""

import sys

import numpy as np
import pytest

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor
from sklstm._network.parameters import ParameterLayout
from sklstm._options import naming_sizes
from sklstm.cells import LSTM

X = np.random.default_rng(0).normal(size=(40, 3))

TOO_LARGE = [
    ({"hidden_size": 10**9}, "hidden_size=1000000000 and n_layers=1 describe a network of 4e.18 parameters"),
    ({"hidden_size": sys.maxsize}, "hidden_size=9223372036854775807"),
    ({"hidden_size": 10**30}, "hidden_size=1000000000000000000000000000000"),
    ({"hidden_size": [4, 10**9]}, "hidden_size=.4, 1000000000."),
    ({"hidden_size": [4] * 10_001}, "hidden_size describes 10001 layers, there may be 10000"),
    ({"hidden_size": 2000, "n_layers": 10_000}, "hidden_size=2000 and n_layers=10000 describe"),
    ({"n_layers": 10**9}, "'n_layers' .* range .1, 10000.. Got 1000000000"),
    ({"n_layers": 2**63}, "'n_layers' .* range .1, 10000.. Got 9223372036854775808"),
    ({"patch_length": 2**62, "sequence_length": sys.maxsize}, "n_layers=1 and patch_length=4611686018427387904"),
    ({"linear_skip": 2**62, "sequence_length": sys.maxsize}, "n_layers=1 and linear_skip=4611686018427387904"),
    ({"cell": LSTM(projection_size=10**9)}, "cell__projection_size=1000000000 must be smaller than hidden_size"),
    ({"attention_heads": 10**9}, "attention_heads=1000000000 must divide"),
]


@pytest.mark.parametrize(("parameters", "message"), TOO_LARGE)
@pytest.mark.parametrize("kind", [DeepLSTMRegressor, DeepLSTMClassifier])
def test_a_network_that_cannot_be_is_refused_by_name(kind, parameters, message):
    model = kind(**{"hidden_size": 4, "max_iter": 1, **parameters})
    with pytest.raises(ValueError, match=message):
        model.fit(X, X[:, 0] > 0)
    assert not hasattr(model, "parameters_")


def test_memory_that_is_not_there_is_told_by_name(monkeypatch):
    def no_memory(self, *args, **kwargs):
        raise MemoryError("Unable to allocate 37.3 GiB")

    monkeypatch.setattr(ParameterLayout, "initial", no_memory)
    model = DeepLSTMRegressor(hidden_size=50_000, linear_skip=3, sequence_length=4)
    with pytest.raises(MemoryError, match=r"hidden_size=50000, n_layers=1 and linear_skip=3 .*Unable to allocate 37"):
        model.fit(X, X[:, 0])


def test_other_errors_of_memory_are_passed_on():
    """What callbacks have raised, of networks side by side in any order."""
    errors = [MemoryError("first"), MemoryError("second")]
    for error in errors:
        with pytest.raises(MemoryError, match=f"^{error}$"), naming_sizes({}, errors):
            raise error
    parameters = DeepLSTMRegressor(hidden_size=4).get_params()
    message = r"^not enough memory .* hidden_size=4 and n_layers=1 \(third\)"
    with pytest.raises(MemoryError, match=message), naming_sizes(parameters, errors):
        raise MemoryError("third")


@pytest.mark.parametrize(
    "parameters",
    [
        {"sequence_length": 10**30},
        {"sequence_length": sys.maxsize, "carry_context": True},
        {"sequence_length": sys.maxsize, "bidirectional": True},
        {"batch_size": 10**30},
        {"accumulation_steps": 10**30},
        {"residual": 10**30, "n_layers": 2},
        {"n_jobs": 10**30},
        {"n_iter_no_change": 10**30},
        {"training": "stateful", "shuffle": False, "bptt_steps": 10**30},
    ],
)
@pytest.mark.filterwarnings("ignore:residual")
def test_a_size_that_only_bounds_may_be_as_large_as_one_likes(parameters):
    def fitted(**changes):
        model = DeepLSTMRegressor(hidden_size=4, max_iter=1, random_state=0, early_stopping=False)
        return model.set_params(**{"sequence_length": 40, **parameters, **changes}).fit(X, X[:, 0])

    small = {name: 40 for name, value in parameters.items() if isinstance(value, int) and value > 10**9}
    before = np.empty((0, 3))
    np.testing.assert_array_equal(
        fitted().predict(X, context=before), fitted(**small).predict(X, context=before), err_msg=str(parameters)
    )


def test_layers_of_one_unit():
    """The smallest there are, as one number and in a list."""
    for hidden_size, n_layers in [(1, 1), ([1], 1), ([1, 2, 1], 1), ([1, 1], 2)]:
        model = DeepLSTMRegressor(hidden_size, n_layers, sequence_length=3, max_iter=1, random_state=0)
        assert model.fit(X, X[:, 0]).predict(X).shape == (40,)
        sizes = hidden_size if isinstance(hidden_size, list) else [hidden_size]
        assert [model.parameters_[f"bias_l{k}"].size for k in range(len(sizes))] == [4 * size for size in sizes]
