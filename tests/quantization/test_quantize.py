"""`sklstm.quantize`: what it returns and refuses, and that the quantised model is one of its class in every respect."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklstm
from sklstm import (
    DeepLSTMClassifier,
    DeepLSTMRegressor,
    DeepRNNClassifier,
    DeepRNNRegressor,
    LSTMFeatureSelector,
    QuantizationWarning,
    WeightedEnsembleRegressor,
    quantize,
)
from sklstm._network.integers import DTYPES
from sklstm.cells import GRU, LSTM
from sklstm.quantization import _relative_error as relative_error

# The targets here are not the future of any column.
pytestmark = [
    pytest.mark.filterwarnings("ignore:window_norm takes target"),
    pytest.mark.filterwarnings("ignore::sklstm.exceptions.PerformanceWarning"),
]

each_dtype = pytest.mark.parametrize("dtype", DTYPES)
# Relative errors of small networks, and how large those here may be.
CLOSE = {"int8": 0.03, "int16": 0.004}
OPTIONS = {
    "plain": {},
    "layers": {"hidden_size": (20, 12), "residual": 1, "norm": "layer"},
    "bidirectional": {"bidirectional": True, "pooling": "attention"},
    "attention": {"attention_heads": 2, "pooling": "mean"},
    "patches": {"patch_length": 2, "linear_skip": 2},
    "last": {"window_norm": "last"},
    "standard": {"window_norm": "standard", "input_scaling": None},
    "stateful": {"training": "stateful", "shuffle": False, "bptt_steps": 8},
    "all of an LSTM": {"cell": LSTM(peephole=True, projection_size=5, layer_norm=True), "zoneout": 0.2},
    "gated h": {"cell": GRU(reset_after=False)},
    "double": {"dtype": "float64"},
    "bfloat16": {"dtype": "bfloat16"},
    "carried": {"carry_context": True},
}


# Normalised sums divide by a deviation, which is small where h is: its steps count more.
LESS_CLOSE = {"all of an LSTM": 4, "bfloat16": 2}


def make(case, **parameters):
    return case.make(**{"hidden_size": 12, "sequence_length": 6, "max_iter": 6, **parameters})


@each_dtype
@pytest.mark.parametrize("name", OPTIONS)
def test_answers_of_every_method(case, name, dtype):
    model = make(case, **OPTIONS[name]).fit(case.X, case.y)
    close = CLOSE[dtype] * LESS_CLOSE.get(name, 1)
    quantised = quantize(model, case.X, dtype, max_error=close)
    assert type(quantised) is type(model)
    assert quantised.get_params() == model.get_params()
    assert quantised.quantization_error_ < close
    assert_allclose(
        quantised.transform(case.X), model.transform(case.X), atol=max(0.02 * LESS_CLOSE.get(name, 1), 2 * close)
    )
    spread = np.ptp(case.output(model, case.X), axis=0).max()
    assert_allclose(case.output(quantised, case.X), case.output(model, case.X), atol=5 * close * max(spread, 0.1))
    assert quantised.predict(case.X).dtype == model.predict(case.X).dtype
    # The integers are used: the answers are not those of the floats.
    assert not np.array_equal(quantised.transform(case.X), model.transform(case.X))


@each_dtype
@pytest.mark.parametrize("cell", ["gru", "elman", "mgu", "delta", "mingru", "minlstm", "indrnn"])
def test_every_kind_of_cell(regressor, cell, dtype):
    model = make(regressor, cell=cell, n_layers=2).fit(regressor.X, regressor.y)
    assert quantize(model, regressor.X, dtype, max_error=CLOSE[dtype]).quantization_error_ < CLOSE[dtype]


@each_dtype
@pytest.mark.parametrize("kind", [DeepLSTMRegressor, DeepLSTMClassifier])
def test_estimators_of_lstm_cells(kind, dtype):
    X = np.random.default_rng(0).normal(size=(80, 3))
    y = X[:, 0] if kind is DeepLSTMRegressor else X[:, 0] > 0
    model = kind(hidden_size=9, sequence_length=4, max_iter=3, random_state=0).fit(X, y)
    quantised = quantize(model, X, dtype)
    assert type(quantised) is kind
    assert_array_equal(quantised.predict(X[:1]), quantised.predict(X)[:1])


@each_dtype
def test_error_is_that_of_the_raw_outputs(case, dtype):
    model = make(case).fit(case.X, case.y)
    quantised = quantize(model, case.X, dtype)
    wanted, found = (one._forward(case.X, None, None, None).astype(float) for one in (model, quantised))
    expected = np.linalg.norm(found - wanted) / np.linalg.norm(wanted - wanted.mean(axis=0))
    assert_allclose(quantised.quantization_error_, expected, rtol=1e-12)


def test_relative_error():
    wanted = np.array([[1.0, 5.0], [3.0, 5.0]])
    assert relative_error(wanted + 0.1, wanted) == pytest.approx(0.2 / np.sqrt(2))
    # Answers that are all alike have no spread to compare with.
    alike = np.full((4, 1), 5.0)
    assert relative_error(alike + 0.1, alike) == pytest.approx(0.02)
    assert relative_error(alike * 0, alike * 0) == 0
    assert relative_error(alike, alike * 0) == np.inf


@each_dtype
def test_parameters_are_integers(regressor, dtype):
    model = make(regressor, n_layers=2, bidirectional=True).fit(regressor.X, regressor.y)
    before = {name: array.copy() for name, array in model.parameters_.items()}
    quantised = quantize(model, regressor.X, dtype)
    assert quantised.quantization_dtype_ == dtype
    for name, array in quantised.parameters_.items():
        assert not array.flags.writeable
        assert array.dtype == (dtype if name.startswith(("weight_ih", "weight_hh")) else "float32")
    # The model that was given is as it was.
    assert not hasattr(model, "quantization_dtype_")
    for name, array in before.items():
        assert_array_equal(model.parameters_[name], array)
    for end in ("_l0", "_l0_backward", "_l1", "_l1_backward"):
        for matrix, part in (("ih", "x"), ("hh", "h")):
            scale, step = (quantised.parameters_[f"{kind}{end}"] for kind in (f"scale_{matrix}", f"step_{part}"))
            restored = quantised.parameters_[f"weight_{matrix}{end}"] * scale[:, None] / step
            reach = np.abs(before[f"weight_{matrix}{end}"]).max(axis=1)
            difference = np.abs(restored - before[f"weight_{matrix}{end}"]).max(axis=1)
            assert (difference < reach / 200).all()


@each_dtype
def test_inputs_beyond_the_integers_are_told(regressor, dtype):
    """Three times the largest number of X is read; what is clipped is named, by `predict` and by `transform`."""
    model = make(regressor).fit(regressor.X, regressor.y)
    quantised = quantize(model, regressor.X, dtype, max_error=1)
    sizes = np.abs((regressor.X - model.input_mean_) / model.input_scale_)
    column = int(sizes.max(axis=0).argmax())

    def with_a_number(factor):
        X = regressor.X.copy()
        X[7, column] = model.input_mean_[column] + factor * sizes.max() * model.input_scale_[column]
        return X

    message = rf"X holds .* in column {column} \(row 7\).* Such numbers are clipped"
    for method in (quantised.predict, quantised.transform):
        with pytest.warns(QuantizationWarning, match=message):
            method(with_a_number(3.1))
        with warnings.catch_warnings():
            warnings.simplefilter("error", QuantizationWarning)
            method(with_a_number(-2.9))


@each_dtype
def test_pickles_and_copies(case, dtype):
    model = make(case, hidden_size=96).fit(case.X, case.y)
    quantised = quantize(model, case.X, dtype)
    stored = pickle.dumps(quantised)
    for other in (pickle.loads(stored), copy.deepcopy(quantised)):
        assert other.quantization_error_ == quantised.quantization_error_
        for method, expected in zip(case.methods(other), case.methods(quantised), strict=True):
            assert_array_equal(method(case.X), expected(case.X))
        assert all(not array.flags.writeable for array in other.parameters_.values())
    share = len(stored) / len(pickle.dumps(model))
    assert share < {"int8": 0.3, "int16": 0.55}[dtype]


@each_dtype
def test_streams(case, dtype):
    model = quantize(make(case).fit(case.X, case.y), case.X, dtype)
    stream, pair = model.stream(), model.stream(n_streams=2)
    answers = [stream.step(row) for row in case.X]
    assert_array_equal(answers, model.predict(case.X))
    assert_array_equal([pair.step(np.stack([row, row]))[1] for row in case.X], answers)
    endless = model.stream(window=False, response_method="transform")
    for t, row in enumerate(case.X[:20]):
        assert_array_equal(endless.step(row), model.transform([case.X[: t + 1]])[0])
    saved = pickle.loads(pickle.dumps(stream))
    assert saved.step(case.X[0]) == stream.step(case.X[0])


@each_dtype
def test_sets_of_sequences_groups_and_threads(case, dtype):
    model = make(case).fit(case.ragged, case.ragged_y)
    quantised = quantize(model, case.ragged, dtype)
    assert_array_equal(quantised.predict(case.ragged[3:4]), quantised.predict(case.ragged)[3:4])
    model = make(case).fit(case.X, case.y, groups=case.groups)
    quantised = quantize(model, case.X, dtype, groups=case.groups)
    expected = case.output(quantised, case.X, groups=case.groups)
    for n_jobs in (1, 2, 3):
        assert_array_equal(case.output(quantised.set_params(n_jobs=n_jobs), case.X, groups=case.groups), expected)
    # Measured with other threads, the steps are the same.
    again = quantize(model.set_params(n_jobs=3), case.X, dtype, groups=case.groups)
    assert all(np.array_equal(array, quantised.parameters_[name]) for name, array in again.parameters_.items())


def test_training_goes_on_from_floats_only(case):
    quantised = quantize(make(case).fit(case.X, case.y), case.X)
    message = "was quantised to int8, and integers cannot be trained: go on with the float model"
    with pytest.raises(ValueError, match=message):
        quantised.partial_fit(case.X, case.y)
    with pytest.raises(ValueError, match=message):
        quantised.set_params(warm_start=True).fit(case.X, case.y)
    # A fit from the beginning makes a float model.
    fresh = quantised.set_params(warm_start=False).fit(case.X, case.y)
    assert fresh is quantised
    assert not hasattr(fresh, "quantization_dtype_")
    assert not hasattr(fresh, "quantization_error_")
    expected = make(case).fit(case.X, case.y)
    assert_array_equal(case.output(fresh, case.X), case.output(expected, case.X))
    fresh.partial_fit(case.X, case.y)


def test_clones_are_float_models(case):
    quantised = quantize(make(case).fit(case.X, case.y), case.X)
    fresh = clone(quantised)
    assert fresh.get_params() == quantised.get_params()
    with pytest.raises(NotFittedError):
        fresh.predict(case.X)


REFUSED = {
    "class": (lambda case: case.kind, TypeError, "quantize: model is the class Deep.*, expected a DeepRNN"),
    "ridge": (lambda case: Ridge(), TypeError, "quantize: model is a Ridge, expected a DeepRNN"),
    "selector": (lambda case: LSTMFeatureSelector(), TypeError, "model is a LSTMFeatureSelector, .* holds no network"),
    "pipeline": (
        lambda case: make_pipeline(StandardScaler(), case.make()), TypeError,
        r"quantize: model is a Pipeline, .* Hand over the last step of the pipeline, model\[-1\]",
    ),
    "ensemble": (
        lambda case: WeightedEnsembleRegressor([("one", DeepRNNRegressor())]), TypeError,
        "quantize: model is a WeightedEnsembleRegressor, .* hand over one of model.estimators_ at a time",
    ),
    "unfitted": (lambda case: case.make(), NotFittedError, "not fitted yet"),
    "quantised": (
        lambda case: quantize(case.fit(), case.X, "int16"), ValueError,
        "model is quantised to int16 already; quantize the float model it was made from",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_models(case, name):
    make_model, kind, message = REFUSED[name]
    with pytest.raises(kind, match=message):
        quantize(make_model(case), case.X)


def test_refused_search(regressor):
    search = GridSearchCV(regressor.make(), {"hidden_size": [3]}, cv=2).fit(regressor.X, regressor.y)
    with pytest.raises(TypeError, match=r"Hand over what the search found, model\.best_estimator_"):
        quantize(search, regressor.X)
    quantize(search.best_estimator_, regressor.X)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dtype": "int4"}, "The 'dtype' parameter of quantize must be a str among .* Got 'int4'"),
        ({"dtype": np.int8}, "The 'dtype' parameter of quantize must be a str among .* Got <class 'numpy.int8'>"),
        ({"max_error": 0}, "The 'max_error' parameter of quantize must be a float in the range .* Got 0"),
        ({"max_error": "1"}, "The 'max_error' parameter of quantize must be a float in the range .* Got '1'"),
        ({"max_error": np.nan}, "The 'max_error' parameter of quantize must be a float in the range .* Got nan"),
        ({"groups": [1, 2]}, "groups"),
    ],
)
def test_refused_arguments(regressor, arguments, message):
    with pytest.raises(ValueError, match=message):
        quantize(regressor.fit(), regressor.X, **arguments)


def test_refused_input(regressor):
    model = regressor.fit()
    with pytest.raises(ValueError, match="X has 2 features, but DeepRNNRegressor is expecting 3"):
        quantize(model, regressor.X[:, :2])
    with pytest.raises(ValueError, match="NaN"):
        quantize(model, np.full_like(regressor.X, np.nan))


def test_numbers_beyond_float32(regressor):
    """A model of float64 reads them; its integers would not, and are refused before they are made."""
    model = make(regressor, dtype="float64", input_scaling=None).fit(regressor.X, regressor.y)
    assert np.isfinite(model.predict(regressor.X * 1e30)).all()
    with pytest.raises(ValueError, match=r"X holds .* too large for dtype='float32'.*\. Rescale or clip that column"):
        quantize(model, regressor.X * 1e30)
    with pytest.raises(ValueError, match=r"X holds .* too large for dtype='float32'.*\. Rescale or clip that column"):
        quantize(model, regressor.X).predict(regressor.X * 1e30)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_states_that_grow_without_bounds(regressor, dtype):
    """The message is that of `predict`, and no error of so many percent."""
    model = make(regressor, cell="indrnn", dtype=dtype, max_iter=1).fit(regressor.X, regressor.y)
    model.parameters_ = {
        name: np.where("recurrent" in name, 1e9, array).astype(dtype) for name, array in model.parameters_.items()
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="states of the network have grown beyond dtype='float32' at X"):
            quantize(model, np.ones((2, 30, 3)))


@each_dtype
@pytest.mark.parametrize("size", [1e-30, 1e-36, 1e-38, 1e-40])
def test_tiny_inputs(regressor, size, dtype):
    """Their steps have inverses that are numbers."""
    X = regressor.X * size
    model = make(regressor, input_scaling=None).fit(X, regressor.y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quantised = quantize(model, X, dtype)
        assert np.isfinite(quantised.predict(X)).all()
    assert_array_equal(quantised.predict(X[:1]), quantised.predict(X)[:1])


def test_warning_of_a_large_error(case):
    model = make(case).fit(case.X, case.y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        error = quantize(model, case.X).quantization_error_
    with pytest.warns(QuantizationWarning, match=f"differ from those of the float model by {error:.1%} on X") as caught:
        quantised = quantize(model, case.X, max_error=error / 2)
    assert caught[0].filename == __file__
    assert quantised.quantization_error_ == error


def out_of_proportion(model, layer, factor=4000.0):
    """Give a model weights beside which 127 steps leave nothing of the others, of a unit whose state is zero."""
    parameters = {name: array.copy() for name, array in model.parameters_.items()}
    matrix = parameters[f"weight_hh_l{layer}"]
    matrix[:, 0] *= factor
    for name in (f"weight_ih_l{layer}", f"bias_l{layer}"):
        parameters[name].reshape(4, 12, -1)[:, 0] = 0.0
    matrix.reshape(4, 12, -1)[:, 0] = 0.0
    model.parameters_ = parameters
    return model


@pytest.mark.parametrize("worst", [0, 1, 2])
def test_error_that_names_the_layer(regressor, worst):
    model = out_of_proportion(make(regressor, n_layers=3).fit(regressor.X, regressor.y), worst)
    named = rf"most of it comes from layer {worst} \(weight_ih_l{worst}, \.\.\.\) of 3, which alone makes \d"
    with pytest.raises(
        ValueError,
        match=rf"dtype='int8' would change the raw outputs on X by .*, more than the 10% that max_error=0.02.*{named}",
    ):
        quantize(model, regressor.X, max_error=0.02)
    with pytest.raises(ValueError, match=r"dtype='int16' is more exact"):
        quantize(model, regressor.X, max_error=0.02)


def test_above_a_tenth_it_is_an_error_unless_allowed(regressor):
    """However small `max_error` is, below a tenth it is a warning; a larger one lets pass what is below it."""
    close = make(regressor).fit(regressor.X, regressor.y)
    with pytest.warns(QuantizationWarning, match="more than max_error=1e-09"):
        assert 0.001 < quantize(close, regressor.X, max_error=1e-9).quantization_error_ < 0.1
    distant = out_of_proportion(close, 0)
    for max_error in (1e-9, 0.02, 0.1):
        with pytest.raises(ValueError, match=rf"more than the 10% that max_error={max_error:g} lets pass"):
            quantize(distant, regressor.X, max_error=max_error)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        error = quantize(distant, regressor.X, max_error=1).quantization_error_
    assert 0.1 < error < 1
    with pytest.raises(ValueError, match=rf"more than the {90 * error:g}% that max_error={0.9 * error:g} lets pass"):
        quantize(distant, regressor.X, max_error=0.9 * error)


DAMAGES = {
    "kind": (lambda m: setattr(m, "quantization_dtype_", "int7"), "int7"),
    "other kind": (
        lambda m: setattr(m, "quantization_dtype_", "int16"),
        "weight_.*_l0 is an array of int8 .*expected int16",
    ),
    "shape": (
        lambda m: change(m, "scale_ih_l0", lambda a: a[:-1]),
        r"scale_ih_l0 is an array of float32 of shape .47,.",
    ),
    "zero": (lambda m: change(m, "step_h_l0", lambda a: a * 0), "step_h_l0 holds numbers that are not above 0"),
    "nan": (lambda m: change(m, "bias_l0", lambda a: a * np.nan), "parameters_ hold NaN or infinity"),
    "lost": (lambda m: m.parameters_.pop("scale_hh_l0"), "the arrays are called"),
    "floats": (lambda m: delattr(m, "quantization_dtype_"), "the arrays are called"),
}


def change(model, name, how):
    model.parameters_[name] = how(model.parameters_[name])


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_models(regressor, name):
    damage, message = DAMAGES[name]
    model = quantize(make(regressor).fit(regressor.X, regressor.y), regressor.X)
    model.parameters_ = dict(model.parameters_)
    damage(model)
    with pytest.raises(ValueError, match=f"is damaged.*{message}"):
        model.predict(regressor.X)


def test_public_names():
    assert sklstm.quantize is quantize
    assert issubclass(QuantizationWarning, UserWarning)
    assert {"quantize", "QuantizationWarning"} <= set(sklstm.__all__)
    assert issubclass(DeepLSTMClassifier, DeepRNNClassifier)
