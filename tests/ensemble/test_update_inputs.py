"""What `update` refuses, and that the ensemble then is as before; metadata, copies, files."""

import copy
import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge

from ensemble.cases import LABELS, X, Y, classifier, regressor
from ensemble.members import Column, Log, Returns, Wants
from sklstm import DeepRNNRegressor, load_model, save_model
from sklstm.exceptions import TimeOrderWarning

RIDGES = [("ridge", Ridge()), ("strict", Ridge(alpha=100.0))]


def dynamic(members=RIDGES, **params):
    return regressor(members, weights="dynamic", **{"initial_weights": "equal", **params})


def labelled():
    members = [("one", LogisticRegression()), ("two", LogisticRegression(C=0.01))]
    return classifier(members, weights="dynamic", initial_weights="equal")


def state_of(model):
    return copy.deepcopy({name: value for name, value in vars(model).items() if name.endswith("_")})


def assert_same_state(model, before):
    after = vars(model)
    assert {name for name in after if name.endswith("_")} == set(before)
    for name in ("weights_", "weight_history_", "history_steps_", "recent_losses_"):
        assert_array_equal(after[name], before[name])
    for key, value in before["dynamics_"].items():
        assert_array_equal(after["dynamics_"][key], value)


WITH_NAN = np.where(np.arange(60)[:, None] == 7, np.nan, X)


@pytest.mark.parametrize(
    ("rows", "targets", "params", "message"),
    [
        (X[:, :2], Y, {}, "X has 2 features, but WeightedEnsembleRegressor is expecting 3"),
        (X[0], Y[:1], {}, "X must be a table"),
        (X[:0], Y[:0], {}, r"Found array with 0 sample\(s\)"),
        (X.reshape(20, 3, 3), Y[:20], {}, r"dim 3(, while dim <= 2 is required by Ridge|\. Ridge expected <= 2)"),
        (WITH_NAN, Y, {}, "Input X contains NaN"),
        (X, np.where(Y > 1, np.nan, Y), {}, "Input y contains NaN"),
        (X, np.where(Y > 1, np.inf, Y), {}, "Input y contains infinity"),
        (X, Y[:-1], {}, "X has 60, y has 59"),
        (X, np.column_stack([Y, Y]), {}, r"y has shape \(60, 2\), expected \(60,\), as in fit"),
        (X, None, {}, "update requires y to be passed"),
        (X, Y, {"sample_weight": -np.ones(60)}, "sample_weight"),
        (X, Y, {"sample_weight": np.zeros(60)}, "sample_weight"),
        (X, Y, {"groups": np.arange(60) % 2}, "group"),
        (X, Y, {"context": X[:, :1]}, "context must be a table"),
        (X, Y, {"extra": 3}, r"update got \['extra'\]"),
    ],
)
def test_bad_input_leaves_the_ensemble_as_it_was(rows, targets, params, message):
    model = dynamic().fit(X, Y).update(X[:9], Y[:9])
    before = state_of(model)
    with pytest.raises((ValueError, TypeError), match=message):
        model.update(rows, targets, **params)
    assert_same_state(model, before)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.full(60, "else"), r"y has the labels \['else'\] that are not in classes_, \['low', 'mid', 'top'\]"),
        (np.arange(60) % 3, r"y has the labels \[0, 1, 2\]"),
        (np.where(np.arange(60) == 3, None, LABELS.astype(object)), "y"),
        (LABELS[:-1], "X has 60, y has 59"),
        (np.linspace(0, 1, 60), "Unknown label type"),
    ],
)
def test_unknown_labels(labels, message):
    model = labelled().fit(X, LABELS)
    before = state_of(model)
    with pytest.raises((ValueError, TypeError), match=message):
        model.update(X, labels)
    assert_same_state(model, before)


def test_labels_of_rows_of_weight_zero_are_ignored():
    there = np.arange(60) < 50
    model = labelled().fit(X, LABELS).update(X, np.where(there, LABELS, "else"), sample_weight=there * 1.0)
    assert_array_equal(model.weights_, labelled().fit(X, LABELS).update(X[:50], LABELS[:50]).weights_)


def test_members_that_answer_nan_or_too_few_rows():
    def nan(rows):
        return np.full(len(rows), np.nan)

    for answer, message in ((nan, r"Member 'odd' \(Returns\) predicted NaN or infinity"), (len, "returned 0 rows")):
        model = dynamic([("odd", Returns(answer)), ("plain", Column())]).fit(X, Y)
        before = state_of(model)
        with pytest.raises(ValueError, match=message):
            model.update(X, Y)
        assert_same_state(model, before)


def test_names_of_columns_are_compared():
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    model = dynamic().fit(frame, Y).update(frame, Y)
    before = state_of(model)
    with pytest.raises(ValueError, match="feature names should match"):
        model.update(frame[["b", "a", "c"]], Y)
    assert_same_state(model, before)


def test_groups_and_context_reach_the_members_that_take_them():
    log = Log()
    model = dynamic([("wants", Wants(log)), ("line", LinearRegression())]).fit(X, Y)
    log.clear()
    model.update(X[:10], Y[:10], groups=np.repeat([0, 1], 5), context=X[:4])
    ((method, n_rows, params),) = log
    assert (method, n_rows) == ("predict", 10)
    assert_array_equal(params["groups"], np.repeat([0, 1], 5))
    assert_array_equal(params["context"], X[:4])


def test_windows_are_full_with_context():
    network = DeepRNNRegressor(hidden_size=4, sequence_length=5, max_iter=2, random_state=0)
    model = dynamic([("net", network), ("ridge", Ridge())], half_life=1e9).fit(X, Y)
    model.update(X[20:30], Y[20:30], context=X[16:20])
    errors = Y[20:30] - model.estimators_[0].predict(X)[20:30]
    np.testing.assert_allclose(model.recent_losses_[0], (errors**2).mean(), rtol=1e-6)


def test_metadata_are_routed_as_for_predict():
    log = Log()
    with sklearn.config_context(enable_metadata_routing=True):
        wants = (
            Wants(log)
            .set_predict_request(groups=True, context=False)
            .set_fit_request(groups=True, sample_weight=False, extra=False)
        )
        model = dynamic([("wants", wants), ("line", LinearRegression())]).fit(X, Y, groups=np.zeros(60))
        log.clear()
        model.update(X[:10], Y[:10], groups=np.ones(10))
        assert_array_equal(log[-1][2]["groups"], np.ones(10))
        before = state_of(model)
        with pytest.raises(TypeError, match="extra"):
            model.update(X, Y, extra=1)
        assert_same_state(model, before)


def test_pickles_copies_and_files_go_on_with_the_same_bits(tmp_path):
    model = dynamic(error_score=np.nan, update_rule="hedge").fit(X, Y).update(X[:20], Y[:20])
    save_model(model, tmp_path / "model")
    others = [pickle.loads(pickle.dumps(model)), copy.deepcopy(model), load_model(tmp_path / "model")]
    model.update(X[20:], Y[20:])
    for other in others:
        other.update(X[20:], Y[20:])
        assert_same_state(other, state_of(model))
        assert_array_equal(other.predict(X), model.predict(X))
    fresh = clone(model)
    assert not hasattr(fresh, "weights_")
    assert fresh.get_params()["update_rule"] == "hedge"


def test_a_shallow_copy_keeps_its_own_history():
    model = dynamic().fit(X, Y)
    other = copy.copy(model)
    model.update(X[:20], Y[:20])
    assert len(other.weight_history_) == 1
    other.update(X[20:], Y[20:])
    assert not np.array_equal(model.weights_, other.weights_)
    assert len(model.weight_history_) == len(other.weight_history_) == 2


# --- order in time

TIMES = pd.date_range("2025-01-01", periods=60, freq="h")
FRAME, SERIES = pd.DataFrame(X, TIMES), pd.Series(Y, TIMES)


def at(*rows):
    return list(rows)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (at(31, 30), r"X is not in time order: row 1 .* does not come after row 0"),
        (at(31, 31), "The index holds times more than once"),
        (at(24, 25), r"its first row, 2025-01-02 00:00:00, does not come after the last one before it, 2025-01-02 00"),
        (at(3, 4), "does not come after the last one before it"),
    ],
)
def test_rows_out_of_time_order_are_refused(rows, message):
    model = dynamic().fit(FRAME[:20], SERIES[:20]).update(FRAME[20:25], SERIES[20:25])
    before = state_of(model)
    for x, y in ((FRAME.iloc[rows], SERIES.iloc[rows]), (X[rows], SERIES.iloc[rows])):
        with pytest.raises(ValueError, match=message.replace("X is", "[Xy] is")):
            model.update(x, y)
    assert_same_state(model, before)
    model.update(X[rows], Y[rows])  # nothing says when they were
    model.update(FRAME[25:], SERIES[25:])


def test_rows_of_the_fit_are_refused_and_times_of_another_kind():
    model = dynamic(initial_weights="out_of_fold").fit(FRAME[:20], SERIES[:20])
    with pytest.raises(ValueError, match="does not come after the last one before it"):
        model.update(FRAME[10:30], SERIES[10:30])
    with pytest.raises(ValueError, match="holds times of the kind datetime with a time zone"):
        model.update(FRAME[20:30].tz_localize("UTC"), Y[20:30])
    copies = [pickle.loads(pickle.dumps(model)), copy.deepcopy(model)]
    for one in (model, *copies):
        one.update(FRAME[20:30], SERIES[20:30])
        with pytest.raises(ValueError, match="does not come after"):
            one.update(FRAME[20:30], SERIES[20:30])
    model.fit(FRAME[:20], SERIES[:20]).update(FRAME[20:30], SERIES[20:30])


def test_series_of_a_panel_have_times_of_their_own(tmp_path):
    labels = np.repeat(["a", "b"], 10)
    two = pd.concat([FRAME[:10], FRAME[:10]])
    model = dynamic().fit(two, Y[:20], groups=labels)
    later = pd.concat([FRAME[10:12], FRAME[5:7]])
    with pytest.raises(ValueError, match="its first row of group 'b', 2025-01-01 05:00:00, does not come after"):
        model.update(later, Y[:4], groups=["a", "a", "b", "b"])
    # Rows of weight zero may be repeated, to fill windows.
    model.update(FRAME[8:12], Y[8:12], groups=["a"] * 4, sample_weight=[0, 0, 1, 1])
    save_model(model, tmp_path / "model")
    for one in (model, load_model(tmp_path / "model")):
        one.update(later, Y[:4], groups=["c", "c", "d", "d"])
        with pytest.raises(ValueError, match="of group 'a', 2025-01-01 10:00:00, does not come after"):
            one.update(later, Y[:4], groups=["a", "a", "e", "e"])


def test_numbers_in_the_index_are_told():
    frame = FRAME.reset_index(drop=True)
    model = dynamic().fit(frame[:20], Y[:20]).update(frame[20:30], Y[20:30])
    with pytest.warns(TimeOrderWarning, match="its first row, 25, does not come after the last one before it, 29"):
        model.update(frame[25:30], Y[25:30])


# --- threads


def test_updates_of_several_threads_follow_each_other():
    def slow(rows):
        time.sleep(0.002)
        return rows[:, 0]

    calls = [slice(3 * k, 3 * k + 3) for k in range(5)]
    members = [("slow", Returns(slow)), ("two", Column(1))]
    model = dynamic(members, max_change=1.0).fit(X, Y)
    orders = [copy.deepcopy(model) for _ in range(120)]
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda rows: model.update(X[rows], Y[rows]), calls))
    assert_array_equal(model.history_steps_, np.arange(0, 18, 3))
    members[0][1].answer = lambda rows: rows[:, 0]
    for one, order in zip(orders, permutations(calls), strict=True):
        one.estimators_[0].answer = lambda rows: rows[:, 0]
        for rows in order:
            one.update(X[rows], Y[rows])
    assert any(np.array_equal(one.weight_history_, model.weight_history_) for one in orders)
    assert not any("lock" in name for name in vars(model))
