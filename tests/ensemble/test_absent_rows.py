"""Rows of weight zero are not there: no fold, no class, no target; members that look back read over them."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import TimeSeriesSplit

from ensemble.members import Column, Frequencies, Log, MeanOfThree, Wants
from sklstm import DeepLSTMRegressor, WeightedEnsembleClassifier, WeightedEnsembleRegressor
from sklstm._ensemble.folds import forward_folds
from sklstm._ensemble.presence import fill_absent, with_absent

RNG = np.random.default_rng(0)
X = RNG.normal(size=(240, 3))
Y = X @ [1.0, -2.0, 0.5] + RNG.normal(size=240)
LABELS = np.array(["down", "flat", "up"])[np.digitize(Y, [-1.0, 1.0])]
THERE = {
    "the head": np.arange(240) < 40,
    "the tail": np.arange(240) >= 200,
    "all but the last 24": np.arange(240) < 216,
    "ten of 240": np.isin(np.arange(240), np.arange(5, 240, 24)),
    "one in three": np.arange(240) % 3 == 1,
}


def regressor():
    return WeightedEnsembleRegressor([("weak", Ridge(1e3)), ("ridge", Ridge())], weights="auto", cv=3)


def classifier():
    return WeightedEnsembleClassifier(
        [("weak", LogisticRegression(C=1e-3)), ("logistic", LogisticRegression())], weights="auto", cv=3
    )


@pytest.mark.parametrize("make", [regressor, classifier])
@pytest.mark.parametrize("there", THERE.values(), ids=list(THERE))
def test_the_answers_are_those_of_the_other_rows_alone(make, there):
    y, placeholder, answers, error = Y, 1e9, "predict", 1e-9
    if make is classifier:
        y, placeholder, answers, error = np.where(RNG.random(240) < 0.5, "down", "up"), "unknown", "predict_proba", 1e-3
        y[np.flatnonzero(there)[:2]] = ["down", "up"]
    alone = make().fit(X[there], y[there], sample_weight=np.ones(there.sum()))
    model = make().fit(X, np.where(there, y, placeholder), sample_weight=there)
    np.testing.assert_array_equal(model.oof_indices_, np.flatnonzero(there)[alone.oof_indices_])
    np.testing.assert_allclose(model.oof_predictions_, alone.oof_predictions_, atol=error)
    np.testing.assert_allclose(model.weights_, alone.weights_, atol=100 * error)
    np.testing.assert_allclose(getattr(model, answers)(X), getattr(alone, answers)(X), atol=error)


def test_a_label_of_weight_zero_is_no_class():
    there = THERE["all but the last 24"]
    model = classifier().fit(X, np.where(there, LABELS, "unknown"), sample_weight=there)
    assert model.classes_.tolist() == ["down", "flat", "up"]
    assert [member.classes_.tolist() for member in model.estimators_] == [[0, 1, 2]] * 2
    with pytest.raises(ValueError, match=r"got only one class: \['down'\]"):
        classifier().fit(X, np.where(there, "down", "up"), sample_weight=there)


def test_a_row_of_weight_zero_brings_no_label_of_another_series():
    # The second series begins with rows of weight zero, right after the only rows of the class "rare".
    groups = np.repeat([0, 1], 60)
    labels = np.tile(["down", "up"], 60).astype("<U4")
    labels[50:60] = "rare"
    there = np.ones(120)
    there[60:70] = 0.0
    members = [("counts", Frequencies()), ("logistic", LogisticRegression())]
    model = WeightedEnsembleClassifier(members, weights="auto", cv=2)
    model.fit(X[:120], labels, groups=groups, sample_weight=there)
    assert model.classes_.tolist() == ["down", "rare", "up"]
    assert (model.oof_predictions_[:, 0, 1] == 0.0).all()


@pytest.mark.parametrize("placeholder", [np.nan, np.inf, -1e300])
def test_a_target_of_weight_zero_is_not_looked_at(placeholder):
    there = THERE["one in three"]
    for y in (Y, np.column_stack([Y, -Y])):
        mask = there if y.ndim == 1 else there[:, None]
        expected = regressor().fit(X, y, sample_weight=there)
        found = regressor().fit(X, np.where(mask, y, placeholder), sample_weight=there)
        assert found.weights_.tobytes() == expected.weights_.tobytes()
        assert found.predict(X).tobytes() == expected.predict(X).tobytes()
    with pytest.raises(ValueError, match="Input y contains"):
        regressor().fit(X, np.where(there, Y, np.nan))


def test_members_that_look_back_read_over_rows_of_weight_zero():
    there = THERE["ten of 240"]
    members = [("mean", MeanOfThree()), ("column", Column(0))]
    model = WeightedEnsembleRegressor(members, weights="auto", cv=4).fit(X, Y, sample_weight=there)
    whole = MeanOfThree().predict(X)
    np.testing.assert_array_equal(model.oof_predictions_[:, 0], whole[model.oof_indices_])
    assert there[model.oof_indices_].all()
    lstm = DeepLSTMRegressor(3, sequence_length=4, max_iter=3, random_state=0, dtype="float64")
    model = WeightedEnsembleRegressor([("lstm", lstm), ("ridge", Ridge())], weights="auto", cv=2)
    model.fit(X, np.where(there, Y, np.nan), sample_weight=there)
    rows = np.flatnonzero(there)
    train, test = next(TimeSeriesSplit(2).split(rows))
    last = rows[train[-1]]
    by_hand = lstm.fit(X[: last + 1], np.where(there, Y, np.nan)[: last + 1], sample_weight=there[: last + 1])
    expected = by_hand.predict(X[: rows[test[-1]] + 1])[rows[test]]
    np.testing.assert_allclose(model.oof_predictions_[: len(test), 0], expected, rtol=1e-12)


def test_sequences_of_weight_zero_are_in_no_fold():
    sequences = [RNG.normal(size=(4, 2)) for _ in range(40)]
    y, there = RNG.normal(size=40), np.arange(40) % 2 == 0
    log = Log()

    class Counts(Wants):
        def fit(self, X, y, sample_weight=None):
            self.log.append((len(X), sample_weight))
            return self

        def predict(self, X):
            return np.zeros(len(X))

    members = [("counts", Counts(log)), ("again", Counts(log))]
    model = WeightedEnsembleRegressor(members, weights="auto", cv=4).fit(sequences, y, sample_weight=there)
    np.testing.assert_array_equal(model.oof_indices_, np.flatnonzero(there)[4:])
    assert [n for n, _ in log[:-2]] == [4, 4, 8, 8, 12, 12, 16, 16]
    assert all((weights > 0).all() for _, weights in log[:-2])


def test_a_member_that_carries_its_context_is_asked_for_what_follows():
    groups = np.repeat([0, 1], 120)
    log = Log()

    class Carries(Wants):
        def __init__(self, log=None, carry_context=True):
            self.log, self.carry_context = log, carry_context

        def fit(self, X, y):
            self.log.append(X[:, 0])
            return self

        def predict(self, X):
            self.log.append(X[:, 0])
            return np.zeros(len(X))

    table = np.arange(240.0)[:, None]
    cv = TimeSeriesSplit(2, gap=3)
    members = [("carries", Carries(log)), ("column", Column(0))]
    model = WeightedEnsembleRegressor(members, weights="auto", cv=cv).fit(table, Y, groups=groups)
    assert len(model.oof_indices_) == 160
    fitted, asked = log[0], log[1]
    np.testing.assert_array_equal(fitted, np.r_[0:37, 120:157])
    np.testing.assert_array_equal(asked, np.r_[37:80, 157:200])  # the gap too: what it is asked for follows its rows


# --- pieces


def test_targets_are_filled_from_rows_that_are_there():
    present = np.array([0, 0, 1, 0, 1, 0, 0], dtype=bool)
    assert fill_absent(np.arange(7), present).tolist() == [2, 2, 2, 2, 4, 4, 4]
    assert fill_absent(np.arange(14).reshape(7, 2), present)[:, 1].tolist() == [5, 5, 5, 5, 9, 9, 9]
    y = np.arange(7)
    assert fill_absent(y, None) is y


def test_rows_between_training_rows_are_read():
    present = np.array([0, 1, 0, 1, 1, 0, 1, 0, 0, 1, 0, 1, 0], dtype=bool)
    series = [np.arange(7), np.arange(7, 13)]
    for train, expected in [
        ([1, 3, 4], [0, 1, 2, 3, 4]),
        ([3, 4, 6], [3, 4, 5, 6]),  # row 1 is left out, and so are the rows around it
        ([1, 3, 9], [0, 1, 2, 3, 7, 8, 9]),
        ([6, 11], [6, 11]),
        ([9, 11], [7, 8, 9, 10, 11]),
    ]:
        assert with_absent(np.array(train), present, series).tolist() == expected
    train = np.array([1, 3])
    assert with_absent(train, None, series) is train


def test_series_without_a_row_that_counts_are_not_split():
    present = np.arange(60) < 40
    blocks = np.split(np.arange(60), [20, 40])
    folds = forward_folds(3, np.zeros((60, 1)), np.zeros(60), blocks, present)
    assert len(folds) == 3
    assert max(fold.test.max() for fold in folds) == 39
