"""Forward folds of weights="auto": what a prediction may have seen, and what is refused."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GroupKFold, KFold, RepeatedStratifiedKFold, ShuffleSplit, TimeSeriesSplit
from sklearn.naive_bayes import GaussianNB

from ensemble.members import (
    Column,
    Frequencies,
    Known,
    LastAskedRow,
    LastTrainingRow,
    Log,
    MeanOfSequence,
    MeanOfThree,
    Returns,
    Wants,
)
from sklstm import WeightedEnsembleClassifier, WeightedEnsembleRegressor
from sklstm._ensemble.folds import forward_folds


def numbered(groups):
    """A table whose columns are the number of the row and of its group."""
    groups = np.asarray(groups)
    return np.column_stack([np.arange(len(groups)), groups]).astype(float)


def auto(members, **params):
    return WeightedEnsembleRegressor(members, weights="auto", **params)


WITNESSES = [("row", Column(0)), ("trained", LastTrainingRow()), ("asked", LastAskedRow())]


@pytest.mark.parametrize("cv", [2, 5, TimeSeriesSplit(3, gap=4), TimeSeriesSplit(4, max_train_size=7, test_size=5)])
def test_every_prediction_comes_from_earlier_rows(cv):
    X = numbered(np.zeros(50))
    model = auto(WITNESSES, cv=cv).fit(X, np.random.default_rng(0).normal(size=50))
    row, trained, asked = model.oof_predictions_.T
    splitter = TimeSeriesSplit(cv) if isinstance(cv, int) else cv
    folds = list(splitter.split(X))
    tested = np.concatenate([test for _, test in folds])
    np.testing.assert_array_equal(model.oof_indices_, tested)
    np.testing.assert_array_equal(row, tested)
    np.testing.assert_array_equal(trained, np.concatenate([np.full(len(test), train[-1]) for train, test in folds]))
    np.testing.assert_array_equal(asked, np.concatenate([np.full(len(test), test[-1]) for _, test in folds]))
    assert (trained < row).all()


def test_every_prediction_comes_from_earlier_rows_of_its_group():
    groups = np.repeat([4, 1, 7], [30, 12, 21])
    X = numbered(groups)
    model = auto(WITNESSES, cv=3).fit(X, np.arange(63.0) ** 0.5, groups=groups)
    row, trained, _ = model.oof_predictions_.T
    np.testing.assert_array_equal(row, model.oof_indices_)
    for group in (4, 1, 7):
        rows = np.flatnonzero(groups == group)
        mine = groups[model.oof_indices_] == group
        folds = list(TimeSeriesSplit(3).split(rows))
        np.testing.assert_array_equal(row[mine], np.concatenate([rows[test] for _, test in folds]))
        np.testing.assert_array_equal(
            trained[mine],
            np.concatenate([np.full(len(test), rows[train[-1]]) for train, test in folds]),
        )


def test_given_folds_are_held_to_the_order_of_each_group():
    groups = np.repeat([0, 1], 10)
    X, y = numbered(groups), np.arange(20.0)
    # Row 12 trains before row 5 is tested, but in another series.
    folds = [([0, 1, 2, 3, 12], [5, 4]), ([0, 1, 10, 11], [13, 14])]
    model = auto(WITNESSES, cv=folds).fit(X, y, groups=groups)
    np.testing.assert_array_equal(model.oof_indices_, [4, 5, 13, 14])
    np.testing.assert_array_equal(model.oof_predictions_[:, 1], [3, 3, 11, 11])
    with pytest.raises(ValueError, match="fold 0 of cv trains on row 12 and tests row 4"):
        auto(WITNESSES, cv=folds).fit(X, y)


def test_out_of_fold_predictions_equal_those_by_hand():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(80, 3))
    y = X @ [1.0, 2.0, 3.0] + rng.normal(size=80)
    model = auto([("linear", LinearRegression()), ("column", Column(1))]).fit(X, y)
    for train, test in TimeSeriesSplit(5).split(X):
        expected = LinearRegression().fit(X[train], y[train]).predict(X[test])
        found = model.oof_predictions_[np.isin(model.oof_indices_, test), 0]
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    # The members that stay are fitted on all rows.
    np.testing.assert_allclose(model.named_estimators_["linear"].predict(X), LinearRegression().fit(X, y).predict(X))


def test_members_that_look_back_find_the_rows_before_the_test_part():
    groups = np.repeat([0, 1], 24)
    X = np.random.default_rng(2).normal(size=(48, 1))
    model = auto([("mean", MeanOfThree()), ("column", Column(0))]).fit(X, X[:, 0], groups=groups)
    whole = np.concatenate([MeanOfThree().predict(X[:24]), MeanOfThree().predict(X[24:])])
    # The second group's first rows are in no test fold, so no window crosses into the first group.
    np.testing.assert_array_equal(model.oof_predictions_[:, 0], whole[model.oof_indices_])


def test_metadata_are_cut_like_the_rows():
    log = Log()
    groups = np.repeat(["a", "b"], 12)
    share = np.arange(1.0, 25.0)
    auto([("wants", Wants(log))], cv=2).fit(
        numbered(groups == "b"), np.arange(24.0), groups=groups, sample_weight=share
    )
    # 2 folds: each group trains on 4 and 8 rows; then the fit on all rows
    expected_rows = [np.r_[0:4, 12:16], np.r_[0:8, 12:20], np.arange(24)]
    for (_, n_rows, given), rows in zip([c for c in log if c[0] == "fit"], expected_rows, strict=True):
        assert n_rows == len(rows)
        np.testing.assert_array_equal(given["groups"], groups[rows])
        np.testing.assert_array_equal(given["sample_weight"], share[rows])
    asked = [call for call in log if call[0] == "predict"]
    assert [n_rows for _, n_rows, _ in asked] == [16, 24]
    np.testing.assert_array_equal(asked[0][2]["groups"], np.repeat(["a", "b"], 8))


@pytest.mark.parametrize("as_list", [False, True])
def test_sequences_are_split_like_rows(as_list):
    rng = np.random.default_rng(4)
    X = rng.normal(size=(30, 6, 2))
    y = X.mean(axis=(1, 2))
    members = [("mean", MeanOfSequence()), ("zero", Returns(lambda X: np.zeros(len(X))))]
    model = auto(members).fit(list(X) if as_list else X, y)
    np.testing.assert_array_equal(model.oof_indices_, np.arange(5, 30))
    np.testing.assert_allclose(model.oof_predictions_[:, 0], y[5:])
    np.testing.assert_allclose(model.weights_, [1.0, 0.0], atol=1e-12)
    assert model.n_features_in_ == 2
    assert model.named_estimators_["mean"].kind_ is (list if as_list else np.ndarray)


@pytest.mark.parametrize("as_list", [False, True])
def test_folds_of_sequences_need_no_order_in_time(as_list):
    rng = np.random.default_rng(5)
    X = rng.normal(size=(30, 6, 2))
    y = np.repeat(["a", "b", "c"], 10)  # sorted by class: a fold that goes forward tests classes it never saw
    cv = RepeatedStratifiedKFold(n_splits=5, n_repeats=2, random_state=0)
    members = [("wrong", Known(X[:, 0, 0], [0, 1, 2] * 10)), ("right", Known(X[:, 0, 0], np.repeat([0, 1, 2], 10)))]
    model = WeightedEnsembleClassifier(members, weights="auto", cv=cv).fit(list(X) if as_list else X, y)
    np.testing.assert_array_equal(model.oof_indices_, np.repeat(np.arange(30), 2))
    np.testing.assert_allclose(model.oof_predictions_.max(axis=2), 0.98)  # none of sequences it was fitted on
    assert model.weights_[1] > 0.95
    assert model.shrinkage_ < 0.1


def test_folds_of_sequences_by_group():
    X = np.random.default_rng(6).normal(size=(24, 4, 1))
    groups = np.repeat([3, 1, 2], 8)
    members = [("mean", MeanOfSequence()), ("zero", Returns(lambda X: np.zeros(len(X))))]
    model = auto(members, cv=GroupKFold(3)).fit(X, X.mean(axis=(1, 2)), groups=groups)
    np.testing.assert_array_equal(model.oof_indices_, np.arange(24))
    np.testing.assert_allclose(model.weights_, [1.0, 0.0], atol=1e-12)


def test_short_groups_take_no_part_and_are_reported():
    groups = np.repeat([0, 1, 2], [20, 3, 15])
    X = numbered(groups)
    with pytest.warns(UserWarning, match="1 of 3 groups take no part .* n_samples=3 rows"):
        model = auto(WITNESSES, cv=4).fit(X, np.arange(38.0), groups=groups)
    assert not np.isin(model.oof_indices_, [20, 21, 22]).any()
    assert np.isin(model.oof_indices_, [19, 37]).any()


class Unequal:
    """A splitter with one fold more for an even number of rows."""

    def get_n_splits(self, X=None, y=None, groups=None):
        return 1

    def split(self, X, y=None, groups=None):
        for stop in range(2 + len(X) % 2, 5):
            yield np.arange(stop), np.array([stop])


class Nothing(Unequal):
    def split(self, X, y=None, groups=None):
        return iter(())


@pytest.mark.parametrize(
    ("cv", "groups", "message"),
    [
        (KFold(4), None, "forward in time.*fold 0 of cv trains on row 39 and tests row 0"),
        (KFold(4), np.repeat([0, 1], 20), "fold 0 of cv trains on row 19 and tests row 0"),
        (KFold(4, shuffle=True, random_state=0), None, "forward in time"),
        (ShuffleSplit(2, random_state=0), None, "forward in time"),
        ([([0, 1], [2]), ([0, 3], [3])], None, "fold 1 of cv trains on row 3 and tests row 3"),
        ([([], [2])], None, "Fold 0 of cv has an empty part"),
        ([([1], [])], None, "Fold 0 of cv has an empty part"),
        (Nothing(), None, "cv gave no fold"),
        (41, None, "cannot split n_samples=40 rows: Cannot have number of folds"),
        (10, np.repeat(np.arange(8), 5), "cannot split n_samples=5 rows"),
        (Unequal(), np.repeat([0, 1], [21, 19]), None),
        (Unequal(), np.repeat([0, 1, 2], [20, 11, 9]), "the same number of folds"),
        (1, None, "The 'cv' parameter"),
        ("often", None, "The 'cv' parameter"),
    ],
)
def test_folds_that_are_refused(cv, groups, message):
    X, y = numbered(np.zeros(40)), np.arange(40.0)
    model = auto(WITNESSES, cv=cv)
    if message is None:
        assert model.fit(X, y, groups=groups).weights_.sum() == pytest.approx(1.0)
    else:
        with pytest.raises(ValueError, match=message):
            model.fit(X, y, groups=groups)
        assert not hasattr(model, "weights_")


def test_none_means_five_folds_and_rows_are_sorted():
    X, y = np.zeros((30, 1)), np.zeros(30)
    assert len(forward_folds(None, X, y)) == 5
    (fold,) = forward_folds([([3, 0, 2], [9, 7])], X, y)
    np.testing.assert_array_equal(fold.train, [0, 2, 3])
    np.testing.assert_array_equal(fold.test, [7, 9])
    np.testing.assert_array_equal(fold.history, np.arange(10))


def test_members_must_predict_finite_numbers_for_the_search():
    def warm_up(X):
        return np.where(X[:, 0] < 15, np.nan, 1.0)

    model = auto([("column", Column()), ("warm", Returns(warm_up))])
    with pytest.raises(ValueError, match=r"'warm' \(Returns\) predicted NaN or infinity for rows"):
        model.fit(numbered(np.zeros(40)), np.arange(40.0))


# --- classes that are missing in early folds


def test_class_that_an_early_fold_has_not_seen():
    log = Log()
    y = np.array(["b", "d"] * 10 + ["b", "d", "a"] * 10 + ["c"] * 10)
    X = np.random.default_rng(0).normal(size=(60, 2))
    members = [("counts", Frequencies(log)), ("bayes", GaussianNB())]
    model = WeightedEnsembleClassifier(members, weights="auto", cv=5).fit(X, y)
    assert model.classes_.tolist() == ["a", "b", "c", "d"]
    counts = model.oof_predictions_[:, 0]
    for train, test in TimeSeriesSplit(5).split(X):
        expected = [(y[train] == label).mean() for label in "abcd"]
        found = counts[np.isin(model.oof_indices_, test)]
        np.testing.assert_allclose(found, np.tile(expected, (10, 1)), rtol=1e-15)
    # Class "c" is first seen in the test part of the last fold: no member can know it.
    assert (model.oof_predictions_[-10:, :, 2] == 0.0).all()
    # So the last fold tells nothing: the weights are those without it.
    shorter = WeightedEnsembleClassifier(members, weights="auto", cv=list(TimeSeriesSplit(5).split(X))[:-1])
    np.testing.assert_allclose(shorter.fit(X, y).weights_, model.weights_, atol=1e-9)


def test_members_of_an_early_fold_get_labels_without_holes():
    xgboost = pytest.importorskip("xgboost")  # refuses labels that are not 0, 1, ..., k - 1
    rng = np.random.default_rng(0)
    y = np.array(["x", "z"] * 20 + ["x", "y", "z"] * 20)
    X = rng.normal(size=(100, 2)) + (y == "z")[:, None]
    members = [
        ("xgb", xgboost.XGBClassifier(n_estimators=5, max_depth=2, n_jobs=1)),
        ("bayes", GaussianNB()),
    ]
    model = WeightedEnsembleClassifier(members, weights="auto", cv=4).fit(X, y)
    np.testing.assert_array_equal(model.oof_predictions_[:20, :, 1], 0.0)
    np.testing.assert_allclose(model.oof_predictions_.sum(axis=2), 1.0, atol=1e-6)
    train, test = next(TimeSeriesSplit(4).split(X))
    by_hand = xgboost.XGBClassifier(n_estimators=5, max_depth=2, n_jobs=1)
    by_hand.fit(X[train], y[train] == "z")
    np.testing.assert_array_equal(model.oof_predictions_[:20, 0][:, [0, 2]], by_hand.predict_proba(X[test]))


def test_folds_with_one_class_are_left_out_and_reported():
    y = np.repeat([0, 1], 30)
    X = np.random.default_rng(0).normal(size=(60, 2))
    members = [("counts", Frequencies()), ("bayes", GaussianNB())]
    model = WeightedEnsembleClassifier(members, weights="auto", cv=5)
    with pytest.warns(UserWarning, match="3 of 5 folds take no part .* of one class only"):
        model.fit(X, y)
    np.testing.assert_array_equal(model.oof_indices_, np.arange(40, 60))
    with pytest.raises(ValueError, match="finds nothing: 2 of 2 folds take no part"):
        WeightedEnsembleClassifier(members, weights="auto", cv=TimeSeriesSplit(2, test_size=10)).fit(
            X, np.r_[np.zeros(50, int), np.ones(10, int)]
        )


def test_a_search_that_nothing_can_decide():
    X, y = np.zeros((40, 1)), np.repeat([0, 1, 2], [10, 10, 20])
    y[5] = 1
    members = [("counts", Frequencies()), ("again", Frequencies())]
    folds = [(np.arange(20), np.arange(20, 40))]
    model = WeightedEnsembleClassifier(members, weights="auto", cv=folds)
    with pytest.raises(ValueError, match="every member gives probability 0 to the true class"):
        model.fit(X, y)
    share = np.r_[np.ones(20), np.zeros(20)]
    with pytest.raises(ValueError, match="sample_weight is 0 in every row of a test fold"):
        model.fit(X, y, sample_weight=share)


def test_given_folds_without_weight_in_their_training_part_are_left_out():
    X, y = np.random.default_rng(0).normal(size=(60, 2)), np.tile([0, 1, 1], 20)
    share = np.r_[np.zeros(20), np.ones(40)]
    folds = list(TimeSeriesSplit(5).split(X))
    regressor = auto([("linear", LinearRegression()), ("column", Column(0))], cv=folds)
    with pytest.warns(UserWarning, match="2 of 5 folds take no part .* have sample_weight 0"):
        regressor.fit(X, y, sample_weight=share)
    np.testing.assert_array_equal(regressor.oof_indices_, np.arange(30, 60))
    # With the weight of one class only, there is nothing to learn for a classifier either.
    share[(np.arange(60) < 30) & (y == 0)] = 0.0
    classifier = WeightedEnsembleClassifier([("counts", Frequencies())], weights="auto", cv=folds)
    with pytest.warns(UserWarning, match="3 of 5 folds take no part"):
        classifier.fit(X, y, sample_weight=share)
    np.testing.assert_array_equal(classifier.oof_indices_, np.arange(40, 60))
