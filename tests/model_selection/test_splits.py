"""Splits in time: scikit-learn's where they should be, López de Prado's rules, row by row, where they purge."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score

from sklstm import DeepLSTMRegressor, WeightedEnsembleRegressor
from sklstm.model_selection import PanelTimeSeriesSplit, PurgedTimeSeriesSplit, make_horizon


def folds(split, X, groups=None):
    return [(train.tolist(), test.tolist()) for train, test in split.split(X, groups=groups)]


def days(numbers):
    return np.datetime64("2024-01-01") + np.asarray(numbers)


def panel(seed, n_days=60, missing=0.2):
    """Series that begin and end at different days and miss some of them; returns numbers of days and groups."""
    rng = np.random.default_rng(seed)
    numbers, groups = [], []
    for label in "abcde":
        first, last = np.sort(rng.integers(0, n_days, 2))
        kept = np.arange(first, last + 1)
        kept = kept[rng.random(len(kept)) >= missing]
        numbers.append(kept)
        groups.append(np.full(len(kept), label))
    whole = np.arange(n_days)
    return np.concatenate([*numbers, whole]), np.concatenate([*groups, np.full(n_days, "whole")])


# --- scikit-learn's TimeSeriesSplit


@pytest.mark.parametrize("n_samples", [11, 30, 101])
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"gap": 2},
        {"test_size": 1},
        {"test_size": 1, "gap": 3},
        {"max_train_size": 3},
        {"max_train_size": 2, "gap": 1, "test_size": 1},
        {"n_splits": 2, "gap": 1},
    ],
    ids=str,
)
def test_without_a_horizon_the_folds_are_those_of_scikit_learn(params, n_samples):
    if n_samples == 11 and params == {"gap": 2}:
        params = {"gap": 0}  # scikit-learn has no room for more
    X = np.zeros((n_samples, 1))
    expected = folds(TimeSeriesSplit(**params), X)
    assert folds(PurgedTimeSeriesSplit(**params), X) == expected
    assert folds(PanelTimeSeriesSplit(times=np.arange(n_samples), **params), X) == expected


def test_a_horizon_alone_is_a_gap():
    X = np.zeros((100, 1))
    for horizon in (1, 7):
        expected = folds(TimeSeriesSplit(4, gap=horizon), X)
        assert folds(PurgedTimeSeriesSplit(4, horizon=horizon), X) == expected
        assert folds(PurgedTimeSeriesSplit(4, horizon=horizon, gap=3), X) == expected or horizon < 3
    assert folds(PurgedTimeSeriesSplit(4, horizon=2, gap=9), X) == folds(TimeSeriesSplit(4, gap=9), X)


def test_series_of_equal_dates_are_split_as_one():
    one, days_of_one = np.zeros((60, 1)), days(range(60))
    params = {"n_splits": 3, "horizon": 4, "gap": 6, "max_train_size": 20}
    expected = folds(PurgedTimeSeriesSplit(**params), one)
    groups = np.repeat(["a", "b", "c"], 60)
    for given in (groups, None):
        split = PanelTimeSeriesSplit(times=np.tile(days_of_one, 3), **params)
        for (train, test), (train_of_one, test_of_one) in zip(
            folds(split, np.zeros((180, 1)), given), expected, strict=True
        ):
            assert train == [row + start for start in (0, 60, 120) for row in train_of_one]
            assert test == [row + start for start in (0, 60, 120) for row in test_of_one]


# --- purging and embargo


def purged_by_the_book(start, end, test, embargo):
    """Rows to train on, as in section 7.4 of the book: no row whose span meets that of a test row, then the embargo.

    Of closed spans [start, end], a row is purged if it begins in, ends in, or covers the span of a test row; the
    embargo drops rows that begin within `embargo` after the last span of the test part ends.
    """
    last = end[test].max()
    kept = []
    for row in range(len(start)):
        begins_in = ((start[row] >= start[test]) & (start[row] <= end[test])).any()
        ends_in = ((end[row] >= start[test]) & (end[row] <= end[test])).any()
        covers = ((start[row] <= start[test]) & (end[row] >= end[test])).any()
        is_embargoed = last < start[row] <= last + embargo
        if not (begins_in or ends_in or covers or is_embargoed):
            kept.append(row)
    return kept


@pytest.mark.parametrize("embargo", [0, 5])
@pytest.mark.parametrize("horizon", [0, 1, 6])
@pytest.mark.parametrize("n_splits", [2, 5])
def test_around_is_the_purged_k_fold_of_the_book(n_splits, horizon, embargo):
    start = np.arange(67)
    split = PurgedTimeSeriesSplit(n_splits, horizon=horizon, embargo=embargo, train="around")
    found = folds(split, start[:, None])
    assert [row for _, test in found for row in test] == start.tolist()
    for train, test in found:
        assert train == purged_by_the_book(start, start + horizon, np.array(test), embargo)


@pytest.mark.parametrize("horizon", [0, 1, 5])
@pytest.mark.parametrize("seed", range(4))
def test_before_is_the_part_before_of_the_book(seed, horizon):
    numbers, groups = panel(seed)
    start = numbers
    # Ends by hand: the day of the row `horizon` rows later in its series, missing rows counted as a day each.
    end = np.empty(len(start), int)
    for label in np.unique(groups):
        rows = np.flatnonzero(groups == label)
        own = np.r_[start[rows], start[rows[-1]] + 1 + np.arange(horizon)]
        end[rows] = own[horizon:] if horizon else own
    split = PanelTimeSeriesSplit(3, times=days(numbers), horizon=horizon, test_size=8)
    for train, test in folds(split, np.zeros((len(numbers), 1)), groups):
        days_of_test = start[test]
        everything = np.flatnonzero((start >= days_of_test.min()) & (start <= days_of_test.max()))
        assert test == everything.tolist()
        # The book compares single spans; here a row is out once its target reaches any day of the test part.
        assert train == np.flatnonzero(end < days_of_test.min()).tolist()
        book = purged_by_the_book(start, end, np.array(test), 0)
        assert set(train) <= set(book)


@pytest.mark.parametrize("embargo", [0, 3])
def test_a_panel_around(embargo):
    numbers, groups = panel(1, missing=0.0)
    split = PanelTimeSeriesSplit(4, times=days(numbers), horizon=2, embargo=embargo, gap=4, train="around")
    seen = []
    for train, test in folds(split, np.zeros((len(numbers), 1)), groups):
        first, last = numbers[test].min(), numbers[test].max() + 2
        expected = (numbers < first - 4) | (numbers > last + embargo)
        assert train == np.flatnonzero(expected).tolist()
        seen += test
    assert sorted(seen) == list(range(len(numbers)))


def test_lengths_of_time_are_numbers_of_dates_where_dates_are_regular():
    numbers, groups = panel(2)
    X, times = np.zeros((len(numbers), 1)), days(numbers)
    of_dates = {"gap": 2, "test_size": 5, "max_train_size": 20}
    expected = folds(PanelTimeSeriesSplit(3, times=times, **of_dates), X, groups)
    for kind in (
        lambda n: np.timedelta64(n, "D"),
        lambda n: dt.timedelta(days=n),
        lambda n: pd.Timedelta(days=n),
    ):
        lengths = {name: kind(length) for name, length in of_dates.items()}
        assert folds(PanelTimeSeriesSplit(3, times=times, **lengths), X, groups) == expected
        assert folds(PanelTimeSeriesSplit(3, times=times.astype("M8[ns]"), **lengths), X, groups) == expected
    around = PanelTimeSeriesSplit(3, times=times, embargo=4, gap=1, train="around")
    same = PanelTimeSeriesSplit(3, times=times, embargo=np.timedelta64(4, "D"), gap=dt.timedelta(1), train="around")
    assert folds(same, X, groups) == folds(around, X, groups)


def test_targets_of_make_horizon_do_not_meet():
    rng = np.random.default_rng(0)
    y = rng.normal(size=200)
    rows, Y = make_horizon(y, 5, gap=2)
    where = make_horizon(np.arange(200), 5, gap=2)[1]  # which rows the targets are made of
    for train, test in PurgedTimeSeriesSplit(4, horizon=7).split(Y):
        assert where[train].max() < min(test)
        assert set(where[train].ravel()).isdisjoint(where[test].ravel())
    for train, test in PurgedTimeSeriesSplit(4, horizon=7, train="around").split(Y):
        assert set(where[train].ravel()).isdisjoint(where[test].ravel())
    assert rows.sum() == len(Y)


# --- where the times come from


def test_times_from_everywhere():
    numbers, groups = panel(3)
    times = days(numbers)
    expected = folds(PanelTimeSeriesSplit(3, times=times, horizon=2), np.zeros((len(times), 1)), groups)
    frame = pd.DataFrame({"a": 0.0, "day": times})
    indexed = frame.set_index("day")
    split = PanelTimeSeriesSplit(3, horizon=2)
    named = PanelTimeSeriesSplit(3, times="day", horizon=2)
    assert folds(split, indexed, groups) == expected
    assert folds(named, frame, groups) == expected
    assert folds(named, pl.DataFrame({"day": times}), groups) == expected
    zoned = indexed.tz_localize("Europe/Berlin")
    assert folds(split, zoned, groups) == expected
    assert folds(split, indexed.to_period("D"), groups) == expected
    text = pd.DataFrame({"a": 0.0}, index=times.astype(str))
    assert folds(split, text, groups) == expected
    both = pd.DataFrame({"a": 0.0}, index=pd.MultiIndex.from_arrays([groups, times], names=["series", "day"]))
    assert folds(split, both) == expected
    values = pd.Series(0.0, index=indexed.index)
    assert [(a.tolist(), b.tolist()) for a, b in split.split(np.zeros((len(times), 1)), values, groups)] == expected
    for given in (list(times), pd.Series(times), pd.Index(times), pl.Series(times), times.astype(str), numbers):
        assert folds(PanelTimeSeriesSplit(3, times=given, horizon=2), frame[["a"]], groups) == expected
    assert folds(PanelTimeSeriesSplit(3, times=times, horizon=2), [np.zeros((4, 2))] * len(times), groups) == expected


@pytest.mark.parametrize(
    ("params", "X", "error", "message"),
    [
        ({}, np.zeros((9, 1)), ValueError, "times is missing: X has no index of dates"),
        ({}, pd.DataFrame({"a": np.zeros(9)}), ValueError, "times is missing"),
        ({}, pd.DataFrame({"a": np.zeros(9)}, index=range(5, 14)), ValueError, "times is missing"),
        ({"times": "day"}, np.zeros((9, 1)), ValueError, "times='day' is no column of X"),
        ({"times": "day"}, pd.DataFrame({"a": np.zeros(9)}), ValueError, r"no column of X, which has \['a'\]"),
        ({"times": np.arange(8)}, np.zeros((9, 1)), ValueError, "times has 8 entries, but X has 9 rows"),
        ({"times": np.r_[np.arange(8.0), np.nan]}, np.zeros((9, 1)), ValueError, "no time at row 8"),
        ({"times": np.array([0, "NaT"] + [1] * 7, "M8[D]")}, np.zeros((9, 1)), ValueError, "no time at row 1"),
        (
            {"times": pd.PeriodIndex(["2024-01", "NaT"] * 4 + ["2024-02"], freq="M")},
            np.zeros((9, 1)),
            ValueError,
            "row 1",
        ),
        ({"times": np.zeros((9, 1))}, np.zeros((9, 1)), ValueError, r"times must be 1-D, .* got shape \(9, 1\)"),
        ({"times": np.zeros(9, bool)}, np.zeros((9, 1)), TypeError, "times must be dates, times or numbers"),
        (
            {"times": np.arange(9), "gap": np.timedelta64(1, "D")},
            np.zeros((9, 1)),
            TypeError,
            "gap=.* is a length of time, but the times of X are of kind 'number'",
        ),
        ({"times": np.arange(9), "test_size": 2}, np.zeros((9, 1)), ValueError, "no test rows: X has 9 dates"),
        ({"times": np.arange(9), "gap": 5}, np.zeros((9, 1)), ValueError, "no training rows: X has 9 dates"),
        (
            {"times": days(range(9)), "test_size": np.timedelta64(9, "D")},
            np.zeros((9, 1)),
            ValueError,
            "Fold 0 of 5 has no test rows",
        ),
        ({"times": [1, 1, 2, 3, 3, 4, 4, 5, 5], "horizon": 1}, np.zeros((9, 1)), ValueError, "groups is missing"),
    ],
)
def test_a_panel_without_usable_times_is_refused(params, X, error, message):
    with pytest.raises(error, match=message):
        next(PanelTimeSeriesSplit(**params).split(X))


@pytest.mark.parametrize("kind", [PurgedTimeSeriesSplit, PanelTimeSeriesSplit])
@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"n_splits": 0}, ValueError, "n_splits must be at least 1, got 0"),
        ({"n_splits": 1, "train": "around"}, ValueError, "n_splits must be at least 2, got 1"),
        ({"n_splits": 2.0}, TypeError, "n_splits must be a whole number, got 2.0"),
        ({"horizon": -1}, ValueError, "horizon must be at least 0, got -1"),
        ({"horizon": np.timedelta64(1, "D")}, TypeError, "horizon must be a whole number, got"),
        ({"gap": -1}, ValueError, "gap must be at least 0"),
        ({"gap": True}, TypeError, "gap must be a whole number"),
        ({"embargo": 0.01}, TypeError, "embargo must be a whole number.*, got 0.01"),
        ({"test_size": 0}, ValueError, "test_size must be at least 1, got 0"),
        ({"max_train_size": "1D"}, TypeError, "max_train_size must be a whole number.*, got '1D'"),
        ({"train": "after"}, ValueError, "train must be 'before' or 'around', got 'after'"),
        ({"train": "around", "test_size": 3}, ValueError, "test_size=3 goes with train='before'"),
        ({"train": "around", "max_train_size": 3}, ValueError, "max_train_size=3 goes with train='before'"),
    ],
)
def test_bad_parameters_are_refused(kind, params, error, message):
    with pytest.raises(error, match=message):
        kind(**params)


def test_lengths_of_time_are_checked():
    with pytest.raises(TypeError, match="gap must be a whole number, got"):
        PurgedTimeSeriesSplit(gap=np.timedelta64(1, "D"))
    with pytest.raises(ValueError, match="gap must be a non-negative time"):
        PanelTimeSeriesSplit(gap=np.timedelta64(-1, "D"))
    with pytest.raises(ValueError, match="test_size must be a positive time"):
        PanelTimeSeriesSplit(test_size=dt.timedelta(0))
    with pytest.raises(ValueError, match="gap must be a non-negative time"):
        PanelTimeSeriesSplit(gap=np.timedelta64("NaT", "D"))


def test_one_series_only():
    with pytest.raises(ValueError, match="for groups use PanelTimeSeriesSplit"):
        next(PurgedTimeSeriesSplit(2).split(np.zeros((9, 1)), groups=np.zeros(9)))
    with pytest.raises(ValueError, match="Fold 0 of 2 has no training rows: X has 9 rows"):
        next(PurgedTimeSeriesSplit(2, horizon=3).split(np.zeros((9, 1))))


# --- in use


def test_in_scores_and_searches():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(120, 2)), rng.normal(size=120)
    split = PurgedTimeSeriesSplit(3, horizon=4)
    assert split.get_n_splits() == 3
    assert "horizon=4" in repr(split)
    scores = cross_val_score(Ridge(), X, y, cv=split)
    by_hand = [Ridge().fit(X[train], y[train]).score(X[test], y[test]) for train, test in split.split(X)]
    np.testing.assert_array_equal(scores, by_hand)
    search = clone(GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=split)).fit(X, y)
    assert search.n_splits_ == 3


def test_a_search_over_a_panel_with_a_network():
    rng = np.random.default_rng(0)
    groups = np.repeat(["a", "b"], 60)
    X = pd.DataFrame(rng.normal(size=(120, 2)), index=np.tile(pd.date_range("2024", periods=60), 2), columns=["u", "v"])
    y = pd.Series(rng.normal(size=120), index=X.index)
    lstm = DeepLSTMRegressor(3, sequence_length=4, max_iter=2, random_state=0)
    split = PanelTimeSeriesSplit(2, horizon=3)
    parts = [(train, test) for train, test in split.split(X, y, groups)]
    for train, test in parts:
        assert X.index[train].max() < X.index[test].min()
    with sklearn.config_context(enable_metadata_routing=True):
        model = lstm.set_fit_request(groups=True).set_score_request(groups=True)
        search = GridSearchCV(model, {"hidden_size": [3, 4]}, cv=split).fit(X, y, groups=groups)
    train, test = parts[0]
    alone = clone(lstm).fit(X.iloc[train], y.iloc[train], groups=groups[train])
    expected = alone.score(X.iloc[test], y.iloc[test], groups=groups[test])
    assert search.cv_results_["split0_test_score"][0] == expected


@pytest.mark.parametrize("weighted", [False, True])
def test_ensembles_split_a_panel_by_date(weighted):
    numbers, groups = panel(0)
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(len(numbers), 2)), index=days(numbers))
    y = rng.normal(size=len(numbers))
    weights = (rng.random(len(numbers)) > 0.3).astype(float) if weighted else np.ones(len(numbers))
    split = PanelTimeSeriesSplit(3, horizon=2, test_size=8)
    model = WeightedEnsembleRegressor([("a", Ridge()), ("b", Ridge(100.0))], weights="auto", cv=split)
    model.fit(X, y, groups=groups, sample_weight=weights if weighted else None)
    expected = np.sort(np.concatenate([test for _, test in split.split(X, groups=groups)]))
    np.testing.assert_array_equal(model.oof_indices_, expected[weights[expected] > 0])
    train, test = next(split.split(X, groups=groups))
    train, test = (rows[weights[rows] > 0] for rows in (train, test))
    by_hand = Ridge().fit(X.iloc[train], y[train]).predict(X.iloc[test])
    found = model.oof_predictions_[np.isin(model.oof_indices_, test), 0]
    np.testing.assert_allclose(found, by_hand, rtol=1e-12)


def test_ensembles_say_what_a_split_cannot_do():
    members = [("a", Ridge()), ("b", Ridge(100.0))]
    X, y = np.zeros((40, 2)), np.arange(40.0)
    model = WeightedEnsembleRegressor(members, weights="auto", cv=PanelTimeSeriesSplit(2))
    with pytest.raises(ValueError, match="The search for the weights cannot split the rows: times is missing"):
        model.fit(X, y, groups=np.repeat([0, 1], 20))
    model.set_params(cv=PurgedTimeSeriesSplit(3, train="around"))
    with pytest.raises(ValueError, match="needs folds that go forward in time"):
        model.fit(X, y)
    model.set_params(cv=PurgedTimeSeriesSplit(3, horizon=2)).fit(X, y)
    assert len(model.oof_indices_) == 30
