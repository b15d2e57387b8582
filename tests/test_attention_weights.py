"""What `attention_weights` says of each step, in both LSTM estimators."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(80, 3)), RNG.normal(size=80)
SEQUENCES = [RNG.normal(size=(n, 3)) for n in (4, 9, 2)]


def fitted(kind=DeepLSTMRegressor, **options):
    options = {"hidden_size": 6, "sequence_length": 7, "max_iter": 2, "random_state": 0, "dtype": "float64"} | options
    return kind(**options).fit(X, Y if kind is DeepLSTMRegressor else Y > 0)


@pytest.mark.parametrize("kind", [DeepLSTMRegressor, DeepLSTMClassifier])
def test_shapes_and_sums(kind):
    weights = fitted(kind, attention_heads=2, pooling="attention").attention_weights(X)
    assert {name: array.shape for name, array in weights.items()} == {"heads": (80, 2, 7), "pooling": (80, 7)}
    for array in weights.values():
        assert_allclose(array.sum(axis=-1), 1.0, rtol=1e-12)
        assert (array[10:] > 0).all()
        # The first rows have shorter windows, which end in the last column.
        for row in range(6):
            assert (array[row, ..., : 6 - row] == 0).all()
            assert (array[row, ..., 6 - row :] > 0).all()


def test_pooling_weights_are_those_of_the_prediction():
    """softmax(w . tanh(y)) of the outputs at every step, which a network that reads the last one hands out."""
    model = fitted(pooling="attention")
    last = fitted(pooling="last")
    names = [name for name in model.parameters_ if name != "weight_pool"]
    last.parameters_ = {name: model.parameters_[name] for name in names}
    window = X[20:27]
    y = np.array([last.transform(window[np.newaxis, : t + 1])[0] for t in range(7)])
    scores = np.tanh(y) @ model.parameters_["weight_pool"]
    expected = np.exp(scores) / np.exp(scores).sum()
    found = model.attention_weights(X)["pooling"][26]
    assert_allclose(found, expected, rtol=1e-10)
    assert_allclose(model.transform(X)[26], found @ y, rtol=1e-10)


@pytest.mark.parametrize("patch_length", [1, 2])
def test_a_sample_alone_and_among_others(patch_length):
    model = fitted(attention_heads=3, pooling="attention", patch_length=patch_length)
    together = model.attention_weights(SEQUENCES)
    for k, sequence in enumerate(SEQUENCES):
        for name, alone in model.attention_weights([sequence]).items():
            n_steps = alone.shape[-1]
            assert n_steps == -(-len(sequence) // patch_length)
            assert_array_equal(together[name][k, ..., -n_steps:], alone[0])
            assert (together[name][k, ..., :-n_steps] == 0).all()


def test_context_and_groups():
    model = fitted(pooling="attention")
    whole = model.attention_weights(X)["pooling"]
    assert_array_equal(model.attention_weights(X[50:], context=X[:50])["pooling"], whole[50:])
    groups = np.repeat([0, 1], 40)
    parts = [model.attention_weights(part)["pooling"] for part in (X[:40], X[40:])]
    assert_array_equal(model.attention_weights(X, groups=groups)["pooling"], np.concatenate(parts))


def test_only_where_there_is_attention():
    model = fitted()
    assert not hasattr(model, "attention_weights")
    with pytest.raises(AttributeError, match="attention_weights") as error:
        model.attention_weights(X)
    assert "attention_heads=0 and pooling='last'" in str(error.value.__cause__)
