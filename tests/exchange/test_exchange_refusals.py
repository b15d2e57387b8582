"""What `sklstm.exchange` refuses: each sentence names the parameter."""

import sys

import numpy as np
import pytest
from estimator_case import parameters_equal
from exchange_case import model_of
from reference.vectors import load_cases
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from sklstm import (
    DeepLSTMRegressor,
    DeepRNNClassifier,
    DeepRNNRegressor,
    from_keras,
    from_torch,
    quantize,
    to_onnx,
    to_torch,
)
from sklstm._exchange.arrays import as_array
from sklstm.cells import GRU, LSTM, Elman

STATE = load_cases("exchange_torch")["gru"]["state"]
TWO = load_cases("exchange_torch")["lstm_without_bias"]["state"]
LAYERS, HEAD = (
    {name.removeprefix(part): array for name, array in STATE.items() if name.startswith(part)}
    for part in ("rnn.", "head.")
)
X, Y = np.random.default_rng(0).normal(size=(40, 2)), np.arange(40.0)
REFUSED = {
    "residual=1": {"n_layers": 2, "residual": 1},
    "output_gate='silu'": {"output_gate": "silu"},
    "norm='rms'": {"norm": "rms"},
    "feedforward=": {"feedforward": "swiglu"},
    "cell__layer_norm=True": {"cell": LSTM(layer_norm=True)},
    "zoneout=0.1": {"zoneout": 0.1},
    "attention_heads=2": {"attention_heads": 2},
    "pooling='attention'": {"pooling": "attention"},
    "patch_length=2": {"patch_length": 2},
    "window_norm='last'": {"window_norm": "last", "target_column": 0},
    "decoder='recurrent'": {"decoder": "recurrent"},
    "cell='mgu'": {"cell": "mgu"},
    "cell='mingru'": {"cell": "mingru"},
    "cell=Elman\\(activation='silu'\\)": {"cell": Elman(activation="silu")},
    "group_scaling='standard'": {"group_scaling": "standard"},
}
ONLY_TORCH = {
    "cell__peephole=True": {"cell": LSTM(peephole=True)},
    "cell=GRU\\(reset_after=False\\)": {"cell": GRU(reset_after=False)},
    "cell=Elman\\(activation='softsign'\\)": {"cell": Elman(activation="softsign")},
    "hidden_size=\\[4, 6\\]": {"hidden_size": (4, 6)},
    "linear_skip=2": {"linear_skip": 2},
    "n_seeds=2": {"n_seeds": 2},
}
ONLY_ONNX = {"cell__projection_size=2": {"cell": LSTM(projection_size=2)}}
EXPORTS = {"to_torch": (to_torch, REFUSED | ONLY_TORCH), "to_onnx": (to_onnx, REFUSED | ONLY_ONNX)}


@pytest.fixture
def without_onnx(monkeypatch):
    """Refusals come before the package is asked for."""
    monkeypatch.setitem(sys.modules, "onnx", None)


def fitted(**options):
    y = np.column_stack([Y, Y + 1]) if "decoder" in options else Y
    options = {"hidden_size": 4, "max_iter": 1, "random_state": 0, "n_jobs": 1, "early_stopping": False, **options}
    groups = np.repeat([0, 1], 20) if "group_scaling" in options else None
    return DeepRNNRegressor(**options).fit(X, y, groups=groups)


@pytest.mark.filterwarnings("ignore:window_norm takes target")
@pytest.mark.usefixtures("without_onnx")
@pytest.mark.parametrize(
    ("caller", "said", "options"),
    [(caller, said, options) for caller, (_, cases) in EXPORTS.items() for said, options in cases.items()],
)
def test_what_the_other_side_does_not_have_is_named(caller, said, options):
    with pytest.raises(ValueError, match=f"^{caller}: {said}"):
        EXPORTS[caller][0](fitted(**options))


@pytest.mark.usefixtures("without_onnx")
@pytest.mark.parametrize("caller", EXPORTS)
def test_models_that_are_no_fitted_networks(caller):
    export, model = EXPORTS[caller][0], fitted()
    with pytest.raises(NotFittedError):
        export(DeepRNNRegressor())
    with pytest.raises(TypeError, match=f"{caller}: model is a Ridge, expected a DeepRNNRegressor"):
        export(Ridge())
    with pytest.raises(TypeError, match=f"{caller}: model is a Pipeline.*Hand over the last step of the pipeline"):
        export(make_pipeline(model))
    with pytest.raises(ValueError, match=f"{caller}: the model was quantised to int16. Hand over the float model"):
        export(quantize(model, X, "int16", max_error=1.0))
    model.parameters_ = {**model.parameters_, "bias_out": np.full(1, np.nan)}
    with pytest.raises(ValueError, match="is damaged"):
        export(model)


@pytest.mark.usefixtures("without_onnx")
def test_onnx_is_asked_for():
    with pytest.raises(ImportError, match=r"pip install 'sklstm\[onnx\]'"):
        to_onnx(fitted())
    for keywords in ({"dtype": "float16"}, {"sequence_lens": 3}):
        with pytest.raises(ValueError, match=f"The '{next(iter(keywords))}' parameter of to_onnx must be"):
            to_onnx(fitted(), **keywords)


def test_names_of_the_parts():
    for keywords in ({"layers": ""}, {"head": ""}, {"layers": "a", "head": "a"}):
        with pytest.raises(ValueError, match="must be different names"):
            to_torch(fitted(), **keywords)


REGRESSOR, CLASSIFIER = DeepRNNRegressor(), DeepRNNClassifier()
# what is said: arguments of from_torch, estimator, keywords
FROM_TORCH = {
    "layers must hold the parameters of one torch.nn.LSTM.*found only \\['head.bias', 'head.weight'\\]": (
        ({k: v for k, v in STATE.items() if k.startswith("head")},),
        REGRESSOR,
        {},
    ),
    "one torch.nn.LSTM, GRU or RNN.*found those of \\['other.', 'rnn.'\\]": (
        ({**STATE, "other.weight_ih_l0": STATE["rnn.weight_ih_l0"]},),
        REGRESSOR,
        {},
    ),
    "layers must hold the weight and bias of one torch.nn.Linear, found \\[\\]. Hand the linear map over as head": (
        (LAYERS,),
        REGRESSOR,
        {},
    ),
    "layers must hold the weight and bias of one torch.nn.Linear, found \\['fc.weight'": (
        ({**STATE, "fc.weight": HEAD["weight"]},),
        REGRESSOR,
        {},
    ),
    "head must hold the weight and bias of one": ((LAYERS, LAYERS), REGRESSOR, {}),
    "layers also holds \\['head.bias', 'head.weight'\\]": ((STATE, HEAD), REGRESSOR, {}),
    "layers has no weight_hh of layer 1": (
        ({k: v for k, v in STATE.items() if k != "rnn.weight_hh_l1"},),
        REGRESSOR,
        {},
    ),
    "weight_ih_l0 of layers has 17 rows for 6 units": (
        (
            {
                **STATE,
                "rnn.weight_ih_l0": np.ones((17, 3)),
                "rnn.bias_ih_l0": np.ones(17),
                "rnn.bias_hh_l0": np.ones(17),
            },
        ),
        REGRESSOR,
        {},
    ),
    "not the parameters of one network: weight_out is .* of shape \\(1, 5\\)": (
        (LAYERS, {"weight": np.ones((1, 5))}),
        REGRESSOR,
        {},
    ),
    "holds NaN": ((LAYERS, {"weight": np.full((1, 6), np.nan)}), REGRESSOR, {}),
    "weights that dtype='float32' cannot hold": ((LAYERS, {"weight": np.full((1, 6), 1e300)}), REGRESSOR, {}),
    "DeepLSTMRegressor has no other cells": ((STATE,), DeepLSTMRegressor(), {}),
    "residual=1 has no place": ((STATE,), DeepRNNRegressor(residual=1), {}),
    "norm='layer' has no place": ((STATE,), DeepRNNRegressor(norm="layer"), {}),
    "pooling='attention' has no place": ((STATE,), DeepRNNRegressor(pooling="attention"), {}),
    "estimator has n_seeds=2": ((STATE,), DeepRNNRegressor(n_seeds=2), {}),
    "estimator has conformal=True": ((STATE,), DeepRNNRegressor(conformal=True), {}),
    "estimator has carry_context=True": ((STATE,), DeepRNNRegressor(carry_context=True), {}),
    "estimator has group_scaling='standard'": ((STATE,), DeepRNNRegressor(group_scaling="standard"), {}),
    "decoder='parallel'": ((STATE,), DeepRNNRegressor(decoder="parallel"), {}),
    "sequence_length": ((STATE,), DeepRNNRegressor(sequence_length=0), {}),
    "1 outputs of the head are not those of 3 quantiles": (
        (STATE,),
        DeepRNNRegressor(loss="quantile", quantile=[0.1, 0.5, 0.9]),
        {},
    ),
    "target_mean=2.0 does not go with loss='poisson'": (
        (STATE,),
        DeepRNNRegressor(loss="poisson"),
        {"target_mean": 2.0},
    ),
    "classes is of labels, but estimator is a DeepRNNRegressor": ((STATE,), REGRESSOR, {"classes": [1, 2]}),
    "multilabel is of labels": ((STATE,), REGRESSOR, {"multilabel": True}),
    "target_scale is of numbers, but estimator is a classifier": ((STATE,), CLASSIFIER, {"target_scale": 2.0}),
    "classes=\\[1, 2, 3\\], expected 2 different labels for the 1 output of the head": (
        (STATE,),
        CLASSIFIER,
        {"classes": [1, 2, 3]},
    ),
    "classes=\\['a', 'a'\\], expected 2 different labels for the 2 outputs": (
        (TWO,),
        CLASSIFIER,
        {"classes": ["a", "a"]},
    ),
    "multilabel=True needs an output for each of 2 or more labels, found 1": (
        (STATE,),
        CLASSIFIER,
        {"multilabel": True},
    ),
    "does not go with labels of their own": ((TWO,), CLASSIFIER, {"multilabel": True, "classes": [0, 1]}),
    "input_mean has shape \\(2,\\), expected one number or 3": ((STATE,), REGRESSOR, {"input_mean": [1.0, 2.0]}),
    "input_scale holds 0, expected numbers above 0": ((STATE,), REGRESSOR, {"input_scale": 0.0}),
    "target_scale holds -1": ((STATE,), REGRESSOR, {"target_scale": -1.0}),
}


@pytest.mark.parametrize("said", FROM_TORCH)
def test_networks_of_pytorch_that_are_no_such(said):
    arguments, estimator, keywords = FROM_TORCH[said]
    with pytest.raises(ValueError, match=said):
        from_torch(*arguments, estimator=estimator, **keywords)


@pytest.mark.parametrize(
    ("said", "arguments", "estimator"),
    [
        ("layers is a list, expected a torch.nn.Module or its state dict", ([1],), REGRESSOR),
        ("head is a int", (LAYERS, 3), REGRESSOR),
        ("layers is the class ndarray", (np.ndarray,), REGRESSOR),
        ("estimator is the class DeepRNNRegressor", (STATE,), DeepRNNRegressor),
        ("estimator is a Ridge", (STATE,), Ridge()),
        ("dtype complex128", (LAYERS, {"weight": np.ones((1, 6), complex)}), REGRESSOR),
    ],
)
def test_other_types(said, arguments, estimator):
    with pytest.raises(TypeError, match=said):
        from_torch(*arguments, estimator=estimator)


def test_the_estimator_stays_as_it_is():
    estimator = DeepRNNRegressor(hidden_size=3)
    from_torch(STATE, estimator=estimator)
    assert estimator.hidden_size == 3
    assert not hasattr(estimator, "parameters_")


# Keras


def layer(kind, units=4, n_inputs=3, **config):
    """Return a stand-in of a layer of Keras with weights of ones."""
    one = type(kind, (), {})()
    n = {"LSTM": 4, "GRU": 3}.get(kind, 1)
    bias = np.ones((2, n * units)) if kind == "GRU" and config.get("reset_after", True) else np.ones(n * units)
    weights = {
        "Dense": [np.ones((n_inputs, units)), np.ones(units)],
        "GlobalAveragePooling1D": [],
        "Masking": [],
        "Flatten": [],
    }.get(kind, [np.ones((n_inputs, n * units)), np.ones((units, n * units)), bias])
    defaults = {"activation": "linear" if kind == "Dense" else "tanh", "recurrent_activation": "sigmoid"}
    defaults["reset_after"] = True
    one.get_config, one.get_weights = lambda: {**defaults, **config}, lambda: weights
    return one


def both(one, merge_mode="concat", **config):
    wrapped = type("Bidirectional", (), {})()
    wrapped.forward_layer = wrapped.backward_layer = one
    wrapped.merge_mode = merge_mode
    wrapped.get_config, wrapped.get_weights = lambda: config, list
    return wrapped


def rows(kind="LSTM", **config):
    return layer(kind, return_sequences=True, **config)


def unbuilt():
    one = layer("LSTM")
    one.get_weights = list
    return one


HEAD_LAYER = layer("Dense", 1, 4)
FROM_KERAS = {
    "expected one or more of LSTM, GRU, SimpleRNN.*found \\['Dense'\\]": ([HEAD_LAYER], REGRESSOR, {}),
    "found \\['Masking', 'LSTM', 'Dense'\\]. Without Masking": (
        [layer("Masking"), layer("LSTM"), HEAD_LAYER],
        REGRESSOR,
        {},
    ),
    "found \\['LSTM', 'Flatten', 'Dense'\\]": ([layer("LSTM"), layer("Flatten"), HEAD_LAYER], REGRESSOR, {}),
    "the last layer is a LSTM, expected Dense": ([layer("LSTM")], REGRESSOR, {}),
    "a layer below another one must have return_sequences=True": (
        [layer("LSTM"), layer("LSTM"), HEAD_LAYER],
        REGRESSOR,
        {},
    ),
    "GlobalAveragePooling1D needs return_sequences=True": (
        [layer("LSTM"), layer("GlobalAveragePooling1D"), HEAD_LAYER],
        REGRESSOR,
        {},
    ),
    "the top layer is Bidirectional with return_sequences=False": ([both(layer("LSTM")), HEAD_LAYER], REGRESSOR, {}),
    "merge_mode='sum' has no place": ([both(rows(), "sum"), HEAD_LAYER], REGRESSOR, {}),
    "some layers are Bidirectional and some are not": ([both(rows()), rows(n_inputs=8), HEAD_LAYER], REGRESSOR, {}),
    "all layers must have the same cell, found \\['GRU\\(\\)', 'LSTM\\(\\)'\\]": (
        [rows(), layer("GRU", n_inputs=4), HEAD_LAYER],
        REGRESSOR,
        {},
    ),
    "LSTM with activation='relu' has no place": ([layer("LSTM", activation="relu"), HEAD_LAYER], REGRESSOR, {}),
    "GRU with recurrent_activation='hard_sigmoid'": (
        [layer("GRU", recurrent_activation="hard_sigmoid"), HEAD_LAYER],
        REGRESSOR,
        {},
    ),
    "SimpleRNN with activation='elu'": ([layer("SimpleRNN", activation="elu"), HEAD_LAYER], REGRESSOR, {}),
    "LSTM with stateful=True": ([layer("LSTM", stateful=True), HEAD_LAYER], REGRESSOR, {}),
    "Bidirectional holds a Dense": ([both(rows("Dense")), HEAD_LAYER], REGRESSOR, {}),
    "LSTM has no weights yet": ([unbuilt(), HEAD_LAYER], REGRESSOR, {}),
    "activation='softmax' of the head does not go with loss='squared_error'": (
        [layer("LSTM"), layer("Dense", 3, 4, activation="softmax")],
        REGRESSOR,
        {},
    ),
    "activation='linear' of the head does not go with loss='poisson', which needs 'exponential'": (
        [layer("LSTM"), HEAD_LAYER],
        DeepRNNRegressor(loss="poisson"),
        {},
    ),
    "activation='relu' of the head gives no probabilities": (
        [layer("LSTM"), layer("Dense", 3, 4, activation="relu")],
        CLASSIFIER,
        {},
    ),
    "softmax over one output": ([layer("LSTM"), layer("Dense", 1, 4, activation="softmax")], CLASSIFIER, {}),
}


@pytest.mark.parametrize("said", FROM_KERAS)
def test_networks_of_keras_that_are_no_such(said):
    layers, estimator, keywords = FROM_KERAS[said]
    with pytest.raises(ValueError, match=f"from_keras: .*{said}"):
        from_keras(layers, estimator=estimator, **keywords)


def test_a_model_is_its_layers():
    model = type("Sequential", (), {"layers": [layer("LSTM"), HEAD_LAYER]})()
    found, expected = (from_keras(one, estimator=REGRESSOR) for one in (model, model.layers))
    assert parameters_equal(found, expected)


def test_tensors_of_any_dtype_and_device_become_arrays():
    class Tensor:
        """A number of bfloat16 on another device, as far as `as_array` looks."""

        def __init__(self, array, done=()):
            self.array, self.done = array, done

        def is_floating_point(self):
            return self.array.dtype.kind == "f"

        def numpy(self):
            assert self.done == (("detach", "cpu", "double") if self.is_floating_point() else ("detach", "cpu"))
            return self.array

        def __getattr__(self, name):
            return lambda: Tensor(self.array, (*self.done, name))

    for array in (np.float32([0.5, -2.0]), np.arange(3)):
        found = as_array(Tensor(array), "it")
        np.testing.assert_array_equal(found, array.astype(np.float64), strict=True)


def test_layers_of_other_types():
    with pytest.raises(TypeError, match="from_keras: found a int, expected a layer or a model of Keras"):
        from_keras(3, estimator=REGRESSOR)
    with pytest.raises(TypeError, match="from_keras: found the class Ridge"):
        from_keras(Ridge, estimator=REGRESSOR)


def test_models_of_the_cases_are_not_refused():
    assert set(to_torch(model_of("lstm"))) > {"head.weight", "head.bias"}
