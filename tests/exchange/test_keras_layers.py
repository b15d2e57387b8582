"""`from_keras` against answers of Keras: stored ones, and live ones where it is installed."""

import json
import os

import numpy as np
import pytest
from exchange_case import MEANS, SCALES
from numpy.testing import assert_allclose, assert_array_equal
from reference.vectors import load_cases

from sklstm import DeepRNNClassifier, DeepRNNRegressor, from_keras

STORED = load_cases("exchange_keras")
CLASSIFIERS = ("softmax", "softmax_of_two", "sigmoid", "labels")
# With PyTorch behind it, Keras multiplies matrices in float32, whatever its float64 weights and outputs say.
TOLERANCE = {"float64": 1e-6, "float32": 2e-6}


def stand_in(entry, weights):
    """Return an object that is read as a layer of Keras is."""
    layer = type(entry["class"], (), {})()
    layer.get_config, layer.get_weights = lambda: entry["config"], lambda: weights
    within = entry.get("within", ())
    if "merge_mode" in entry:
        halves = np.split(np.arange(len(weights)), 2)
        layer.merge_mode = entry["merge_mode"]
        layer.forward_layer, layer.backward_layer = (
            stand_in(one, [weights[i] for i in half]) for one, half in zip(within, halves, strict=True)
        )
    elif within:
        layer.layer = stand_in(within[0], weights)
    if entry["class"] == "Normalization":
        layer.mean, layer.variance, _ = weights
    return layer


def layers_of(name):
    case = STORED[name]
    weights = case["weights"]
    return [
        stand_in(entry, [weights[str(k)][str(i)] for i in range(len(weights.get(str(k), ())))])
        for k, entry in enumerate(json.loads(str(case["layers"])))
    ]


def compared(model, x, out, tolerance):
    if isinstance(model, DeepRNNClassifier):
        answer = model.predict_proba(x)
        answer = answer[:, 1:] if out.shape[1] == 1 else answer
    else:
        answer = model.predict(x).reshape(out.shape)
    assert_allclose(answer, out, rtol=tolerance, atol=tolerance)


def estimator_of(name, **options):
    if name in CLASSIFIERS:
        return DeepRNNClassifier(**options)
    return DeepRNNRegressor(**options, loss="poisson" if name == "exponential" else "squared_error")


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", STORED)
def test_a_network_of_keras_answers_the_same(name, dtype):
    model = from_keras(layers_of(name), estimator=estimator_of(name, dtype=dtype, n_jobs=1))
    compared(model, STORED[name]["x"], STORED[name]["out"], TOLERANCE[dtype])


def test_what_the_layers_decide():
    model = from_keras(layers_of("gru_sizes"), estimator=DeepRNNRegressor())
    assert (model.cell, model.hidden_size, model.n_layers, model.pooling) == ("gru", (6, 4), 1, "last")
    model = from_keras(layers_of("gru_reset_before"), estimator=DeepRNNRegressor())
    assert repr(model.cell) == "GRU(reset_after=False)"
    model = from_keras(layers_of("bidirectional_mean"), estimator=DeepRNNRegressor())
    assert (model.bidirectional, model.pooling, model.targets) == (True, "mean", "sample")
    assert from_keras(layers_of("every_step"), estimator=DeepRNNRegressor()).targets == "sequence"
    assert from_keras(layers_of("labels"), estimator=DeepRNNClassifier()).classes_.tolist() == [[0, 1]] * 3
    model = from_keras(layers_of("normalization"), estimator=DeepRNNRegressor())
    assert_allclose(model.input_mean_, 5.0, atol=2.0)
    assert_allclose(model.input_scale_, 3.0, atol=2.0)


def test_the_bias_of_the_forget_gate_is_taken_as_it_is():
    """`unit_forget_bias` has added its 1 when the layer was made."""
    *_, bias = STORED["lstm"]["weights"]["0"].values()
    model = from_keras(layers_of("lstm"), estimator=DeepRNNRegressor(dtype="float64"))
    assert_array_equal(model.parameters_["bias_l0"], bias)


def test_head_and_scales_apart():
    case, layers = STORED["gru"], layers_of("gru")
    model = from_keras(layers[:-1], layers[-1], estimator=DeepRNNRegressor(dtype="float64"))
    compared(model, case["x"], case["out"], 1e-6)
    scales = {"input_mean": MEANS, "input_scale": SCALES, "target_mean": [9.0], "target_scale": 4.0}
    model = from_keras(layers[0], layers[1], estimator=DeepRNNRegressor(dtype="float64"), **scales)
    compared(model, MEANS + SCALES * case["x"], 9.0 + 4.0 * case["out"], 1e-6)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # in get_weights of Keras
def test_models_of_keras():
    pytest.importorskip("keras", reason="needs Keras, with PyTorch behind it")
    pytest.importorskip("torch", reason="needs Keras, with PyTorch behind it")
    if os.environ.get("KERAS_BACKEND") != "torch":
        pytest.skip("needs KERAS_BACKEND=torch")
    import keras

    x = np.random.default_rng(0).normal(size=(4, 6, 3)).astype(np.float32)
    layers = keras.layers
    for name, stack in {
        "plain": [layers.LSTM(5, return_sequences=True), layers.Dropout(0.2), layers.LSTM(4), layers.Dense(2)],
        "sigmoid": [layers.GRU(5), layers.Dense(1, activation="sigmoid")],
        "softmax": [layers.SimpleRNN(5), layers.Dense(3, activation="softmax")],
        "mean": [
            layers.Bidirectional(layers.LSTM(5, return_sequences=True)),
            layers.GlobalAveragePooling1D(),
            layers.Dense(1),
        ],
    }.items():
        network = keras.Sequential([keras.Input((None, 3)), *stack])
        model = from_keras(network, estimator=estimator_of(name, n_jobs=1))
        compared(model, x, network.predict(x, verbose=0), 1e-6)
    top = keras.Sequential([keras.Input((None, 3)), layers.Bidirectional(layers.LSTM(5)), layers.Dense(1)])
    with pytest.raises(ValueError, match="Bidirectional with return_sequences=False"):
        from_keras(top, estimator=DeepRNNRegressor())
    functional = keras.Model(network.inputs, network.outputs)
    model = from_keras(functional, estimator=DeepRNNRegressor(n_jobs=1))
    compared(model, x, network.predict(x, verbose=0), 1e-6)
