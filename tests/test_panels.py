"""Panels go on: the rows before X, by groups, handed over or kept by `fit`."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import DeepLSTMRegressor, TimeOrderWarning

# Groups of 40, 3 and 47 rows; a fourth appears later. `LATER` holds the rows after them, in another order.
LABELS = ["b", "a", "c"]
RNG = np.random.default_rng(3)
MORE = {"c": RNG.normal(size=(7, 3)), "new": RNG.normal(size=(9, 3)), "a": RNG.normal(size=(6, 3))}
X_LATER = np.concatenate([*MORE.values()])
GROUPS_LATER = np.repeat([*MORE], [len(rows) for rows in MORE.values()])


def joined(case):
    """Return the answers for `LATER` from one table of all rows, by hand."""

    def answers(output):
        parts = []
        for label, rows in MORE.items():
            before = case.X[case.groups == label]
            parts.append(output(np.concatenate([before, rows]))[len(before) :])
        return np.concatenate(parts)

    return answers


@pytest.mark.parametrize("options", [{}, {"sequence_length": 1}, {"training": "stateful", "shuffle": False}], ids=repr)
def test_context_with_groups_equals_the_joined_table(case, options):
    model = case.make(**options).fit(case.X, case.y, groups=case.groups)
    keywords = {"groups": GROUPS_LATER, "context": case.X, "context_groups": case.groups}
    for name in ["predict", "transform"] + ["predict_proba", "predict_log_proba"] * case.is_classifier:
        method = getattr(model, name)
        expected = joined(case)(lambda table, method=method: method(table, groups=np.zeros(len(table))))
        np.testing.assert_array_equal(method(X_LATER, **keywords), expected)
    y = case.target(X_LATER[:, 0])
    score = case.kind.score
    assert score(model, X_LATER, y, **keywords) == pytest.approx(_score(case, y, model.predict(X_LATER, **keywords)))


def _score(case, y, predicted):
    return (
        sklearn.metrics.accuracy_score(y, predicted) if case.is_classifier else sklearn.metrics.r2_score(y, predicted)
    )


def test_attention_weights_and_quantiles_with_context_of_groups(regressor):
    keywords = {"groups": GROUPS_LATER, "context": regressor.X, "context_groups": regressor.groups}
    model = regressor.fit(pooling="attention")
    weights = model.attention_weights(X_LATER, **keywords)["pooling"]
    expected = joined(regressor)(lambda table: model.attention_weights(table)["pooling"])
    np.testing.assert_array_equal(weights, expected)
    model = regressor.fit(loss="quantile", quantile=[0.1, 0.5, 0.9])
    expected = joined(regressor)(model.predict_quantiles)
    np.testing.assert_array_equal(model.predict_quantiles(X_LATER, **keywords), expected)


def test_carried_rows_of_groups(case):
    model = case.make(carry_context=True).fit(case.X, case.y, groups=case.groups)
    assert model.context_groups_.tolist() == ["b"] * 4 + ["a"] * 3 + ["c"] * 4
    np.testing.assert_array_equal(model.context_, case.X[[*range(36, 43), *range(86, 90)]].astype(model.context_.dtype))
    assert not model.context_.flags.writeable
    expected = case.output(
        case.make().fit(case.X, case.y, groups=case.groups),
        X_LATER,
        groups=GROUPS_LATER,
        context=case.X,
        context_groups=case.groups,
    )
    for one in (model, pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        np.testing.assert_array_equal(case.output(one, X_LATER, groups=GROUPS_LATER), expected)
    with pytest.raises(ValueError, match="groups is missing: carry_context=True kept the last rows of each group"):
        model.predict(X_LATER)
    np.testing.assert_array_equal(
        case.make(carry_context=True).fit_transform(case.X, case.y, groups=case.groups),
        case.make().fit_transform(case.X, case.y, groups=case.groups),
    )
    model.fit(case.X, case.y)
    assert not hasattr(model, "context_groups_")
    model.partial_fit(case.X, case.y, groups=case.groups)
    assert len(model.context_groups_) == len(model.context_)


@pytest.mark.skipif(sklearn.__version__ < "1.7", reason="searches of scikit-learn 1.6 hand no groups to score")
def test_carried_rows_of_groups_through_a_search(regressor):
    sklearn.set_config(enable_metadata_routing=True)
    try:
        model = regressor.make(carry_context=True)
        model.set_fit_request(groups=True).set_score_request(groups=True).set_predict_request(groups=True)
        # Each group is cut in time, so that the test part of each goes on with its training part.
        is_test = np.zeros(90, bool)
        is_test[[*range(30, 40), 42, *range(80, 90)]] = True
        folds = [(np.flatnonzero(~is_test), np.flatnonzero(is_test))]
        pipeline = make_pipeline(StandardScaler(), model)
        search = GridSearchCV(pipeline, {"deeprnnregressor__hidden_size": [3]}, cv=folds, refit=False)
        search.fit(regressor.X, regressor.y, groups=regressor.groups)
        scaler = StandardScaler().fit(regressor.X[~is_test])
        table = scaler.transform(regressor.X)
        train, test = folds[0]
        by_hand = regressor.make(hidden_size=3).fit(table[train], regressor.y[train], groups=regressor.groups[train])
        expected = by_hand.score(
            table[test],
            regressor.y[test],
            groups=regressor.groups[test],
            context=table[train],
            context_groups=regressor.groups[train],
        )
        assert search.cv_results_["mean_test_score"][0] == pytest.approx(expected)
    finally:
        sklearn.set_config(enable_metadata_routing=False)


def test_order_in_time_of_each_group():
    days = pd.date_range("2024", periods=20)
    table = pd.DataFrame(np.arange(40.0).reshape(40, 1), index=days.append(days))
    groups = np.repeat([0, 1], 20)
    small = {"hidden_size": 2, "sequence_length": 4, "max_iter": 1, "random_state": 0}
    model = DeepLSTMRegressor(carry_context=True, **small).fit(table, table[0], groups=groups)
    later = pd.DataFrame([[1.0], [2.0]], index=[days[-1] + pd.Timedelta(days=1)] * 2)
    model.predict(later, groups=[1, 0])
    model.predict(later, groups=[1, 2])
    with pytest.warns(TimeOrderWarning, match="X does not come after .* its first row of group 0 is 2024-01-03"):
        model.predict(table[2:5], groups=[0, 0, 0])
    with pytest.warns(TimeOrderWarning, match="Rows are missing between .*last one of group 1 is .*-20"):
        model.predict(later.set_axis([days[-1] + pd.Timedelta(days=5)] * 2), groups=[7, 1])
    with pytest.warns(TimeOrderWarning, match="X does not come after context: its first row of group 1 is"):
        model.predict(table[20:], groups=groups[20:], context=table, context_groups=groups)


def test_a_stream_says_which_group_it_goes_on_with(regressor):
    model = regressor.make(carry_context=True).fit(regressor.X, regressor.y, groups=regressor.groups)
    with pytest.raises(ValueError, match="kept the last rows of each group of fit"):
        model.stream()
    stream = model.stream(context=model.context_[model.context_groups_ == "c"])
    expected = model.predict(MORE["c"], groups=["c"] * 7)
    assert [stream.step(row) for row in MORE["c"]] == expected.tolist()
    model.stream(window=False)


# Rows past the scaler


@pytest.mark.parametrize("unit", [1.0, 1e-3, 50.0])
def test_raw_context_in_a_pipeline_is_told(case, unit):
    raw = 1000.0 + unit * case.X
    pipeline = make_pipeline(StandardScaler(), case.make()).fit(raw[:60], case.y[:60])
    for context in (raw[:60], raw[56:60]):
        with pytest.warns(
            UserWarning, match=r"context lives on another scale than X: column \d is .*carry_context=True"
        ):
            pipeline.predict(raw[60:], context=context)
    pipeline.predict(raw[60:], context=pipeline[:-1].transform(raw[:60]))


@pytest.mark.parametrize("scaled", [True, False])
def test_scaled_context_for_raw_rows_is_told(case, scaled):
    raw = 1000.0 + 20.0 * case.X
    model = case.make().fit(raw[:60], case.y[:60])
    model.predict(raw[60:], context=raw[:60])
    scaler = StandardScaler().fit(raw[:60])
    table = scaler.transform(raw)
    fitted = case.make().fit(table[:60], case.y[:60])
    with pytest.warns(UserWarning, match="context lives on another scale than X"):
        fitted.predict(table[60:], context=raw[:60])


def test_a_trend_a_spike_and_a_flag_are_no_other_scale(case):
    table = np.column_stack([np.arange(90.0), np.zeros(90), case.X[:, 0]])
    table[57, 1:] = 1e3
    model = case.make().fit(table[:40], case.y[:40])
    model.predict(table[60:], context=table[:60])
    model.predict(table[60:], context=table[56:60])
    model.predict(table[60:], context=table[57:58] * [1, 0, 1])
    model.predict(table[60:] + 1e4, context=table[:60] + 1e4)  # both have moved


def test_a_rare_flag_is_no_other_scale(case):
    """Up in one of 150 rows of training, then for as long as the context is."""
    table = np.column_stack([np.zeros(200), RNG.normal(size=200)])
    table[[50, *range(150, 180)], 0] = 1.0
    model = case.make().fit(table[:150], np.resize(case.y, 150))
    for first in (150, 176):
        model.predict(table[180:], context=table[first:180])


def test_a_raw_validation_part_in_a_pipeline_is_told(case):
    raw = 1000.0 + 5.0 * case.X
    name = f"{case.kind.__name__.lower()}__"
    pipeline = make_pipeline(StandardScaler(), case.make())
    with pytest.warns(UserWarning, match="X_val lives on another scale than the training data"):
        pipeline.fit(raw[:60], case.y[:60], **{f"{name}X_val": raw[60:], f"{name}y_val": case.y[60:]})
