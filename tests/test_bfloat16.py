"""``dtype="bfloat16"`` of the estimators: of the products alone, all arrays are float32; a warning where it is slow."""

import copy
import os
import pickle
import subprocess
import sys
import warnings

import joblib
import numpy as np
import pytest
from estimator_case import Case, flat, parameters_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import (
    DeepLSTMClassifier,
    DeepLSTMRegressor,
    DeepRNNRegressor,
    PerformanceWarning,
    WeightedEnsembleRegressor,
    _dtypes,
)
from sklstm._kernels import available_isas
from sklstm.cells import LSTM
from sklstm.compression import distill, factorize, prune

BF16 = {"dtype": "bfloat16"}


def test_it_differs_from_float32_as_much_as_its_products(case):
    """After three epochs: neither the same, nor far off."""
    single, reduced = (case.fit(dtype=dtype) for dtype in ("float32", "bfloat16"))
    spread = np.ptp(case.output(single, case.X))
    difference = np.abs(case.output(single, case.X) - case.output(reduced, case.X)).max()
    assert 1e-6 * spread < difference < 0.02 * spread


def test_the_kernels_follow_what_was_fitted(case):
    """Not what was set afterwards: as with float64."""
    reduced = case.fit(**BF16)
    expected = case.output(reduced, case.X)
    np.testing.assert_array_equal(case.output(reduced.set_params(dtype="float32"), case.X), expected)
    single = case.fit(dtype="float32")
    before = case.output(single, case.X)
    np.testing.assert_array_equal(case.output(single.set_params(**BF16), case.X), before)
    # The same parameters in either.
    single.parameters_ = reduced.parameters_
    assert (case.output(single, case.X) != expected).any()


def test_pickles_and_copies_have_the_same_bits(case, tmp_path):
    model = case.fit(**BF16)
    expected = case.output(model, case.X)
    joblib.dump(model, tmp_path / "model")
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), joblib.load(tmp_path / "model")):
        np.testing.assert_array_equal(case.output(other, case.X), expected)
        assert other.get_params() == model.get_params()


def test_a_pickle_from_before_there_was_bfloat16(case):
    for dtype in ("float32", "float64"):
        model = case.fit(dtype=dtype)
        expected = case.output(model, case.X)
        del model._trained_dtype
        np.testing.assert_array_equal(case.output(model, case.X), expected)


def test_parameters_of_another_dtype_decide_as_before(case):
    """Cast to float64, the network computes in float64."""
    model = case.fit(**BF16)
    reference = copy.deepcopy(model)
    reference.parameters_ = {name: array.astype(np.float64) for name, array in model.parameters_.items()}
    assert reference.transform(case.X).dtype == np.float64
    np.testing.assert_allclose(case.output(reference, case.X), case.output(model, case.X), rtol=0.02, atol=0.02)


def test_an_unknown_dtype_in_a_file_is_refused(case):
    model = case.fit(**BF16)
    model._trained_dtype = "int4"
    with pytest.raises(ValueError, match=r"damaged.*trained in dtype='int4', expected one of"):
        model.predict(case.X)


def test_warm_start_and_partial_fit_go_on(case):
    """In the dtype that is set now, from the same float32 weights."""
    both = {"early_stopping": False, "max_iter": 2}
    model = case.make(**BF16, **both, warm_start=True).fit(case.X, case.y)
    n_before, before = model.n_iter_, model.parameters_
    model.fit(case.X, case.y)
    assert model.n_iter_ == n_before + 2
    assert not parameters_equal(model, clone(model).fit(case.X, case.y))
    other = case.make(**BF16, **both).fit(case.X, case.y).set_params(dtype="float32", warm_start=True)
    other.parameters_ = before
    assert not parameters_equal(other.fit(case.X, case.y), model)
    parts = case.make(**BF16).partial_fit(case.X, case.y).partial_fit(case.X, case.y)
    assert parts.n_iter_ == 2
    assert parts._trained_dtype == "bfloat16"
    with_float32 = case.make().partial_fit(case.X, case.y).partial_fit(case.X, case.y)
    np.testing.assert_allclose(flat(parts), flat(with_float32), atol=0.01)


OPTIONS = {
    "plain": {},
    "stateful": {"training": "stateful", "shuffle": False, "bptt_steps": 8, "batch_size": 3},
    "gru": {"cell": "gru", "n_layers": 2, "dropout": 0.2},
    "projection": {"cell": LSTM(projection_size=2, peephole=True), "zoneout": 0.2},
    "norm": {"cell": LSTM(layer_norm=True), "recurrent_dropout": 0.2},
    "both ways": {"bidirectional": True, "pooling": "attention"},
    "attention": {"attention_heads": 2, "patch_length": 2, "linear_skip": 3},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_tables_arrays_lists_and_context(case, options):
    if options.get("training") != "stateful":
        for X, y in ((case.array, case.array_y), (case.ragged, case.ragged_y)):
            model = case.make(**BF16, **options).fit(X, y)
            assert np.isfinite(case.output(model, X)).all()
            alone = np.concatenate([case.output(model, X[k : k + 1]) for k in range(len(X))])
            np.testing.assert_array_equal(alone, case.output(model, X))
    groups = case.groups
    in_groups = case.make(**BF16, **options).fit(case.X, case.y, groups=groups)
    assert np.isfinite(case.output(in_groups, case.X, groups=groups)).all()
    model = case.make(**BF16, **options).fit(case.X, case.y)
    whole = case.output(model, case.X)
    np.testing.assert_array_equal(case.output(model, case.X[60:], context=case.X[:60]), whole[60:])


@pytest.mark.parametrize(
    ("name", "window"),
    [("stateful", False), *((name, window) for name in ("plain", "gru", "projection", "norm") for window in (0, 1))],
)
def test_streams_equal_predict(case, name, window):
    model = case.make(**BF16, **OPTIONS[name]).fit(case.X, case.y)
    stream = model.stream(window=bool(window))
    found = np.array([stream.step(row) for row in case.X[:20]])
    if window or name == "stateful":
        expected = model.predict(case.X[:20])
    else:
        expected = np.concatenate([model.predict(case.X[np.newaxis, : t + 1]) for t in range(20)])
    np.testing.assert_array_equal(found, expected)
    saved = pickle.loads(pickle.dumps(stream))
    assert saved.step(case.X[20]) == stream.step(case.X[20])


def test_search_pipelines_and_ensembles():
    case = Case(DeepLSTMRegressor)
    pipeline = make_pipeline(StandardScaler(), case.make(**BF16))
    search = GridSearchCV(pipeline, {"deeplstmregressor__dtype": ["float32", "bfloat16", "float64"]}, cv=2)
    search.fit(case.X, case.y)
    assert len(set(search.cv_results_["mean_test_score"])) == 3
    members = [("a", case.make(**BF16)), ("b", case.make(**BF16, random_state=1))]
    ensemble = WeightedEnsembleRegressor(members, cv=2).fit(case.X, case.y)
    assert np.isfinite(ensemble.predict(case.X)).all()
    assert {model.dtype for model in ensemble.estimators_} == {"bfloat16"}


def test_compressed_models_keep_the_dtype():
    case = Case(DeepLSTMRegressor)
    model = case.fit(**BF16, hidden_size=16)
    for smaller in (prune(model, 0.5), factorize(model, 2), distill(model, case.make(**BF16), case.X)):
        assert smaller._trained_dtype == smaller.dtype == "bfloat16"
        assert np.isfinite(smaller.predict(case.X)).all()


def test_messages_name_it():
    case = Case(DeepLSTMRegressor)
    model = case.fit(**BF16)
    with pytest.raises(ValueError, match=r"too large for dtype='bfloat16', which reads numbers up to 1e.15"):
        model.predict(case.X * 1e30)
    with pytest.raises(ValueError, match=r"too large for dtype='bfloat16'"):
        model.stream().step(case.X[0] * 1e30)
    with pytest.raises(ValueError, match=r"'dtype' parameter of DeepLSTMRegressor must be .*bfloat16.* Got 'bf16'"):
        case.make(dtype="bf16").fit(case.X, case.y)
    relu = DeepRNNRegressor(4, cell="indrnn", sequence_length=3, max_iter=1, **BF16).fit(case.X, case.y)
    grown = {name: np.where("recurrent" in name, np.float32(1e9), array) for name, array in relu.parameters_.items()}
    relu.parameters_ = grown
    with pytest.raises(ValueError, match=r"states of the network have grown beyond dtype='bfloat16' at X"):
        relu.predict(np.ones((1, 50, 3)))


def test_targets_that_are_too_distant_are_refused():
    case = Case(DeepLSTMRegressor)
    weights = np.ones(90)
    y = case.y.copy()
    y[3], weights[3] = 1e30, 1e-60
    with pytest.raises(ValueError, match="its loss is beyond dtype='bfloat16'"):
        case.make(**BF16, early_stopping=False).fit(case.X, y, sample_weight=weights)


# Trains in a process of its own: what depends on the instruction set is chosen at import.
TRAIN = """
import hashlib
import numpy as np
from sklstm import DeepLSTMClassifier, DeepLSTMRegressor

X = np.random.default_rng(0).normal(size=(250, 4))
settings = {"sequence_length": 5, "max_iter": 2, "random_state": 0, "n_jobs": 1, "dtype": "bfloat16"}
norms = {"norm": "layer", "n_layers": 2, "bidirectional": True, "attention_heads": 2, "dropout": 0.2}
content = hashlib.sha256()
for model, y in [
    (DeepLSTMRegressor(20, **settings), X[:, 0]),
    (DeepLSTMRegressor(20, **settings, **norms, solver="schedule_free"), X[:, 0]),
    (DeepLSTMClassifier(20, **settings, solver="sgd"), np.digitize(X[:, 0], [-1, 1])),
]:
    model.fit(X, y)
    answers = model.predict_proba(X) if hasattr(model, "classes_") else model.predict(X)
    content.update(b"".join(array.tobytes() for array in [*model.parameters_.values(), answers]))
print(content.hexdigest())
"""


def test_every_instruction_set_trains_to_the_same_bits():
    """Starting weights, steps of the solver, validation and predictions."""
    found = set()
    for isa in available_isas("reduced"):
        run = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", TRAIN], capture_output=True, text=True, check=False,
            env=os.environ | {"SKLSTM_MAX_ISA": isa},
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        found.add(run.stdout)
    assert len(found) == 1


# The warning


def told(function, *arguments, **keywords):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PerformanceWarning)
        function(*arguments, **keywords)
    return [one for one in caught if issubclass(one.category, PerformanceWarning)]


@pytest.fixture(params=[False, True], ids=["slow", "fast"])
def is_fast(request, monkeypatch):
    monkeypatch.setattr(_dtypes, "has_fast_bfloat16", lambda: request.param)
    return request.param


def test_it_is_told_once_in_a_fit(case, is_fast):
    model = case.make(**BF16)
    first = told(model.fit, case.X, case.y)
    assert len(first) == 0 if is_fast else 1
    for one in first:
        assert one.filename == __file__
        assert "no AVX512_BF16" in str(one.message)
        assert "same as where it is fast" in str(one.message)
    assert len(told(model.fit, case.X, case.y)) == len(first)
    assert told(case.output, model, case.X) == []
    assert told(model.stream) == []


def test_it_is_told_by_the_first_partial_fit_alone(case, monkeypatch):
    monkeypatch.setattr(_dtypes, "has_fast_bfloat16", lambda: False)
    model = case.make(**BF16)
    assert len(told(model.partial_fit, case.X, case.y)) == 1
    assert told(model.partial_fit, case.X, case.y) == []
    assert told(model.set_params(dtype="float32").partial_fit, case.X, case.y) == []
    assert len(told(model.set_params(**BF16).partial_fit, case.X, case.y)) == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_other_dtype_is_slow(case, dtype, monkeypatch):
    monkeypatch.setattr(_dtypes, "has_fast_bfloat16", lambda: False)
    assert told(case.make(dtype=dtype).fit, case.X, case.y) == []


def test_as_an_error_it_leaves_the_model_as_it_was(monkeypatch):
    monkeypatch.setattr(_dtypes, "has_fast_bfloat16", lambda: False)
    case = Case(DeepLSTMClassifier)
    model = case.fit()
    before = dict(model.__dict__)
    with warnings.catch_warnings():
        warnings.simplefilter("error", PerformanceWarning)
        with pytest.raises(PerformanceWarning, match="slower than 'float32' here"):
            model.set_params(**BF16).fit(case.X, case.y)
    assert model.__dict__ == before | BF16


def test_denormal_numbers_are_flushed_in_the_kernels_alone(case):
    """The thread that called has them again."""
    model = case.fit(**BF16)
    for function in (lambda: case.output(model, case.X), lambda: model.stream().step(case.X[0])):
        function()
        assert (np.full(9, 1e-40, np.float32) * np.float32(0.5) > 0).all()
