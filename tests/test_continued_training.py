"""Going on with training: `warm_start`, `partial_fit`, a pickle in between; and a failure that changes nothing."""

import copy
import io
import pickle

import joblib
import numpy as np
import pytest
from sklearn.base import clone

from sklstm._training.divergence import Divergence
from sklstm.cells import LSTM, Cell


def through_joblib(model):
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    buffer.seek(0)
    return joblib.load(buffer)


COPIES = {
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "joblib": through_joblib,
    "deepcopy": copy.deepcopy,
}


def assert_same_state(first, second):
    """Equal in every attribute, bit for bit, arrays inside dicts included."""
    assert same(vars(first), vars(second))


def same(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, Cell):
        return type(a) is type(b) and same(vars(a), vars(b))
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    return type(a) is type(b) and (a == b)


# Copies


@pytest.mark.parametrize("how", COPIES)
def test_copies_are_equal_and_read_only(case, how):
    model = case.make(carry_context=True, n_layers=2).fit(case.X, case.y)
    copied = COPIES[how](model)
    assert_same_state(copied, model)
    for name, array in copied.parameters_.items():
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0.0
        assert not np.shares_memory(array, model.parameters_[name])
    np.testing.assert_array_equal(case.output(copied, case.X), case.output(model, case.X))


def test_parameters_are_read_only(case):
    for array in case.fit().parameters_.values():
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0.0


def test_an_unfitted_estimator_can_be_copied(case):
    for copied in (function(case.make(weight_dropout=0.25)) for function in COPIES.values()):
        assert_same_state(copied, case.make(weight_dropout=0.25))
        copied.fit(case.X, case.y)


# partial_fit


@pytest.mark.parametrize("how", [None, *COPIES])
def test_partial_fit_is_fit_in_instalments(case, how):
    """The optimizer goes on where it was, with the next epoch's order and dropout; also after a reload."""
    settings = {"n_layers": 2, "dropout": 0.3, "early_stopping": False}
    whole = case.fit(max_iter=4, **settings)
    parts = case.make(**settings)
    for _ in range(4):
        parts.partial_fit(case.X, case.y)
        parts = COPIES[how](parts) if how else parts
    assert parts.loss_curve_ == whole.loss_curve_
    assert parts.n_iter_ == whole.n_iter_ == 4
    assert parts.loss_ == whole.loss_
    assert parts.best_loss_ == whole.best_loss_
    assert same(parts.parameters_, whole.parameters_)


def test_partial_fit_takes_weights_and_groups(case):
    weights = np.linspace(0.1, 2.0, 90)
    part = case.make().partial_fit(case.X, case.y, sample_weight=weights, groups=case.groups)
    whole = case.make(max_iter=1).fit(case.X, case.y, sample_weight=weights, groups=case.groups)
    assert same(part.parameters_, whole.parameters_)


def test_fit_after_partial_fit_starts_anew(case):
    model = case.make().partial_fit(case.X[:50], case.y[:50]).fit(case.X, case.y)
    assert_same_state(model, case.fit())


def test_partial_fit_goes_on_from_fit(case):
    """From its parameters; the optimizer's memory begins empty."""
    model = case.fit(max_iter=2)
    before = model.parameters_
    model.set_params(learning_rate_init=1e-6).partial_fit(case.X, case.y)
    assert model.n_iter_ == 3
    difference = max(np.abs(model.parameters_[name] - array).max() for name, array in before.items())
    assert 0 < difference < 1e-4


def test_partial_fit_with_other_kinds_of_input(case):
    model = case.make().partial_fit(case.X, case.y).partial_fit(case.array, case.array_y)
    model.partial_fit(case.ragged, case.ragged_y)
    assert model.n_iter_ == len(model.loss_curve_) == 3


def test_training_can_go_on_in_another_dtype(case):
    model = case.make().partial_fit(case.X, case.y).set_params(dtype="float64").partial_fit(case.X, case.y)
    assert {array.dtype.name for array in model.parameters_.values()} == {"float64"}
    single = case.make().partial_fit(case.X, case.y).partial_fit(case.X, case.y)
    for name, array in model.parameters_.items():
        np.testing.assert_allclose(array, single.parameters_[name], rtol=1e-3, atol=1e-4)


# warm_start


@pytest.mark.parametrize("how", [None, *COPIES])
def test_warm_start_goes_on(case, how):
    model = case.fit(warm_start=True, max_iter=2)
    first = model.parameters_
    curve = model.loss_curve_
    again = COPIES[how](model) if how else model
    again.set_params(learning_rate_init=1e-6, max_iter=3).fit(case.X, case.y)
    assert again.n_iter_ == 5
    assert again.loss_curve_[:2] == curve
    assert len(again.loss_curve_) == 5
    assert again.best_loss_ == min(again.loss_curve_)
    difference = max(np.abs(again.parameters_[name] - array).max() for name, array in first.items())
    assert 0 < difference < 1e-4


def test_warm_start_keeps_what_targets_are_measured_by(case):
    model = case.fit(warm_start=True)
    coding = model.classes_ if case.is_classifier else (model.target_mean_, model.target_scale_)
    model.fit(case.X[:30], case.y[:30])
    again = model.classes_ if case.is_classifier else (model.target_mean_, model.target_scale_)
    assert np.array_equal(coding, again)


def test_warm_start_with_early_stopping(case):
    """Scores are those of the last fit: they belong to its validation part."""
    model = case.fit(warm_start=True, early_stopping=True, max_iter=2)
    model.set_params(max_iter=3).fit(case.X[:70], case.y[:70])
    assert len(model.loss_curve_) == model.n_iter_ == 5
    assert len(model.validation_scores_) == 3
    assert model.best_validation_score_ == max(model.validation_scores_)


def test_warm_start_of_an_unfitted_estimator_and_of_a_clone(case):
    warm = case.fit(warm_start=True)
    assert same(warm.parameters_, case.fit().parameters_)
    assert same(clone(warm).fit(case.X, case.y).parameters_, warm.parameters_)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_size": 6}, r"layers of \[6\] units, not layers of \[4\] .*or set hidden_size and n_layers back"),
        ({"n_layers": 2}, r"layers of \[4, 4\] units, not layers of \[4\] units"),
        ({"bidirectional": True}, "bidirectional=True, not bidirectional=False.*or set bidirectional back"),
        ({"cell": LSTM(projection_size=2)}, "cell__projection_size=2, not cell__projection_size=None"),
        ({"cell": LSTM(peephole=True)}, "another network: cell__peephole=True, not cell__peephole=False"),
        ({"cell": LSTM(layer_norm=True)}, "cell__layer_norm=True, not cell__layer_norm=False"),
        ({"cell": "gru"}, "another network: cell='gru', not cell='lstm'.*or set cell back"),
        ({"norm": "layer"}, "norm='layer', not norm=None"),
        (
            {"attention_heads": 2, "pooling": "mean"},
            "attention_heads=2, .*; pooling='mean', .*heads and pool",
        ),
        ({"patch_length": 2}, "patch_length=2, not patch_length=1"),
        ({"window_norm": "last"}, "window_norm='last', not window_norm=None"),
        ({"linear_skip": 2}, "linear_skip=2, not linear_skip=0"),
        ({"zoneout": 0.1}, "zoneout=0.1, not zoneout=0.0"),
        (
            {"training": "stateful", "shuffle": False},
            "training='stateful', not training='windows'.*or set training back",
        ),
    ],
)
def test_training_cannot_go_on_in_another_shape(case, method, change, message):
    model = case.fit(warm_start=True).set_params(**change)
    before = copy.deepcopy(vars(model))
    with pytest.raises(ValueError, match=message):
        getattr(model, method)(case.X, case.y)
    assert same(vars(model), before)


# A failure changes nothing


def nan_in(array, place):
    array = np.array(array, dtype=float)
    array[place] = np.nan
    return array


def failing_calls(case):
    """Calls that fail at every stage of fitting: parameters, X, y, weights, groups, validation part, training."""
    X, y = case.X, case.y
    yield "parameter", {"learning_rate_init": -1.0}, (X, y), {}
    yield "n_jobs", {"n_jobs": 0}, (X, y), {}
    yield "X", {}, (nan_in(X, (80, 1)), y), {}
    yield "features", {"warm_start": True}, (X[:, :2], y), {}
    yield "y", {}, (X, y[:-1]), {}
    yield "y None", {}, (X, None), {}
    yield "weights", {}, (X, y), {"sample_weight": -np.ones(90)}
    yield "groups", {}, (X, y), {"groups": np.arange(90) % 2}
    yield "carried set", {"carry_context": True}, (case.array, case.array_y), {}
    yield "split", {"early_stopping": True, "sequence_length": 90}, (X, y), {}
    yield "X_val", {}, (X, y), {"X_val": X}
    yield "y_val", {}, (X, y), {"X_val": X, "y_val": case.array_y}
    yield "warm shape", {"warm_start": True, "hidden_size": 9}, (X, y), {}
    yield "divergence", {"learning_rate_init": 1e30}, (X, y), {}
    yield "divergence later", {"learning_rate_init": 1e30, "batch_size": 90, "max_iter": 9}, (X, y), {}
    yield "warm divergence", {"learning_rate_init": 1e30, "warm_start": True}, (X, y), {}


@pytest.mark.parametrize("fitted", [False, True])
def test_a_failing_fit_changes_nothing(case, fitted):
    for title, parameters, arguments, keywords in failing_calls(case):
        if not fitted and parameters.get("warm_start") and "learning_rate_init" not in parameters:
            continue  # nothing to disagree with
        model = case.fit(carry_context=True) if fitted else case.make()
        model.set_params(**parameters)
        before = copy.deepcopy(vars(model))
        with pytest.raises((ValueError, TypeError)):
            model.fit(*arguments, **keywords)
        assert same(vars(model), before), title
        assert hasattr(model, "parameters_") is fitted


@pytest.mark.parametrize("fitted", [False, True])
def test_a_failing_partial_fit_changes_nothing(case, fitted):
    model = case.make(learning_rate_init=1e30, batch_size=9)
    if fitted:
        model.set_params(learning_rate_init=1e-3).partial_fit(case.X, case.y).set_params(learning_rate_init=1e30)
    before = copy.deepcopy(vars(model))
    with pytest.raises(Divergence):
        model.partial_fit(case.X, case.y)
    assert same(vars(model), before)
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(nan_in(case.X, (3, 0)), case.y)
    assert same(vars(model), before)
    model.set_params(learning_rate_init=1e-3).partial_fit(case.X, case.y)
    expected = case.make(learning_rate_init=1e-3, batch_size=9)
    for _ in range(1 + fitted):
        expected.partial_fit(case.X, case.y)
    assert_same_state(model, expected)
