"""Searches, ensembles and wrappers of scikit-learn, with what those that draw rows do to windows."""

import numpy as np
import pytest
from order_case import LABELS, SETTINGS, TEST, TRAIN, X, Y, classifier, regressor, windows
from sklearn.base import is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingRegressor, StackingRegressor, VotingClassifier, VotingRegressor
from sklearn.experimental import enable_halving_search_cv  # noqa: F401  # makes the next import work
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    TimeSeriesSplit,
    TunedThresholdClassifierCV,
    train_test_split,
)
from sklearn.multioutput import MultiOutputRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import DeepLSTMRegressor

SEQUENCES = windows(range(100, 160))


def score(model, **keywords):
    return r2_score(Y[TEST], model.predict(X[TEST], **keywords))


# Searches


def test_grid_search():
    search = GridSearchCV(regressor(carry_context=True), {"hidden_size": [2, 16]}, cv=TimeSeriesSplit(2), n_jobs=2)
    search.fit(X[TRAIN], Y[TRAIN])
    assert search.best_params_ == {"hidden_size": 16}
    assert score(search) > 0.95


def test_halving_by_epochs():
    search = HalvingGridSearchCV(
        DeepLSTMRegressor(**{name: value for name, value in SETTINGS.items() if name != "max_iter"}),
        {"hidden_size": [2, 4, 16]},
        resource="max_iter",
        min_resources=4,
        max_resources=24,
        cv=TimeSeriesSplit(2),
        random_state=0,
    ).fit(X[TRAIN], Y[TRAIN])
    assert search.n_resources_ == [4, 12]
    assert search.best_score_ > 0.5


def test_halving_by_rows_draws_them_at_random():
    search = HalvingGridSearchCV(
        regressor(), {"hidden_size": [8, 16]}, factor=2, min_resources=350, cv=TimeSeriesSplit(2), random_state=0
    ).fit(X[TRAIN], Y[TRAIN])
    first_round = search.cv_results_["mean_test_score"][search.cv_results_["iter"] == 0]
    assert first_round.max() < 0.5


def test_shuffled_parts():
    first, second, y_first, y_second = train_test_split(X, Y, random_state=0)
    assert regressor().fit(first, y_first).score(second, y_second) < 0.2
    first, second, y_first, y_second = train_test_split(X, Y, shuffle=False)
    assert regressor().fit(first, y_first).score(second, y_second, context=first) > 0.95


# Sets of sequences


RAGGED = [sequence[: 3 + i % 4] for i, sequence in enumerate(SEQUENCES)]
LAST = SEQUENCES[:, -1, 0]
SHORT = {"max_iter": 1}
TAKE_SETS = {
    "grid search": GridSearchCV(regressor(**SHORT), {"hidden_size": [2, 3]}, cv=2),
    "halving": HalvingGridSearchCV(regressor(**SHORT), {"hidden_size": [2, 3]}, cv=2, factor=2),
    "voting": VotingRegressor([("one", regressor(**SHORT)), ("other", regressor(**SHORT, hidden_size=2))]),
    "stacking": StackingRegressor([("one", regressor(**SHORT))], LinearRegression(), cv=2),
    "targets": TransformedTargetRegressor(regressor(**SHORT), func=np.cbrt, inverse_func=lambda y: y**3),
    "calibrated": CalibratedClassifierCV(classifier(**SHORT), cv=2),
    "threshold": TunedThresholdClassifierCV(classifier(**SHORT), cv=2),
    "soft voting": VotingClassifier([("one", classifier(**SHORT))], voting="soft"),
}


@pytest.mark.parametrize("name", TAKE_SETS)
@pytest.mark.parametrize("X", [SEQUENCES, RAGGED], ids=["3-D", "list"])
def test_sets_of_sequences(name, X):
    model = TAKE_SETS[name]
    y = np.where(LAST > 0, 1, 0) if is_classifier(model) else LAST
    assert model.fit(X, y).predict(X).shape == (60,)
    part, other = train_test_split(X, random_state=0)
    assert len(model.predict(part)) + len(model.predict(other)) == 60


def test_several_outputs_of_sequences():
    both = np.column_stack([LAST, LAST**2])
    assert MultiOutputRegressor(regressor(**SHORT)).fit(RAGGED, both).predict(RAGGED).shape == (60, 2)


def test_what_wants_two_axes():
    model = regressor(**SHORT).fit(SEQUENCES, LAST)
    with pytest.raises(ValueError, match="dim 3"):
        BaggingRegressor(model).fit(SEQUENCES, LAST)
    with pytest.raises(ValueError, match="dim 3"):
        permutation_importance(model, SEQUENCES, LAST)
    with pytest.raises(ValueError, match="2D"):
        partial_dependence(model, SEQUENCES, [0])


# Several models


def test_voting():
    members = [("lstm", regressor()), ("linear", LinearRegression())]
    voting = VotingRegressor(members).fit(X[TRAIN], Y[TRAIN])
    alone = [model.fit(X[TRAIN], Y[TRAIN]).predict(X[TEST]) for _, model in members]
    np.testing.assert_allclose(voting.predict(X[TEST]), np.mean(alone, axis=0))
    members = [("lstm", classifier()), ("bayes", GaussianNB())]
    soft = VotingClassifier(members, voting="soft").fit(X[TRAIN], LABELS[TRAIN])
    assert soft.predict_proba(X[TEST]).shape == (200, 2)
    same = VotingRegressor([("a", regressor()), ("b", regressor(random_state=1))])
    assert same.fit(SEQUENCES, SEQUENCES[:, -2, 0]).predict(SEQUENCES).shape == (60,)


def test_stacking_on_members_of_an_earlier_part():
    early, late = slice(0, 500), slice(500, 700)
    members = [("lstm", regressor().fit(X[early], Y[early])), ("linear", LinearRegression().fit(X[early], Y[early]))]
    stacking = StackingRegressor(members, LinearRegression(), cv="prefit").fit(X[late], Y[late])
    assert score(stacking) > 0.95
    folds = StackingRegressor([("lstm", regressor())], LinearRegression(), cv=TimeSeriesSplit(3))
    with pytest.raises(ValueError, match="cross_val_predict only works for partitions"):
        folds.fit(X[TRAIN], Y[TRAIN])


def test_bagging_weighs_rows_of_a_network_and_draws_those_of_a_pipeline():
    whole = BaggingRegressor(regressor(), n_estimators=3, random_state=0).fit(X[TRAIN], Y[TRAIN])
    assert score(whole) > 0.95
    torn = BaggingRegressor(make_pipeline(StandardScaler(), regressor()), n_estimators=3, random_state=0)
    assert score(torn.fit(X[TRAIN], Y[TRAIN])) < 0.5
    outside = make_pipeline(StandardScaler(), BaggingRegressor(regressor(), n_estimators=3, random_state=0))
    assert score(outside.fit(X[TRAIN], Y[TRAIN])) > 0.95


# Wrappers


def test_calibrated_on_a_later_part():
    model = classifier().fit(X[:500], LABELS[:500])
    calibrated = CalibratedClassifierCV(FrozenEstimator(model), cv=KFold(2)).fit(X[500:700], LABELS[500:700])
    assert calibrated.score(X[TEST], LABELS[TEST]) > 0.9
    labels = np.where(SEQUENCES[:, -2, 0] > 0, "up", "down")
    of_sets = CalibratedClassifierCV(classifier(), cv=2).fit(SEQUENCES, labels)
    assert of_sets.predict_proba(SEQUENCES).shape == (60, 2)


def test_transformed_targets():
    model = TransformedTargetRegressor(regressor(), func=np.log, inverse_func=np.exp).fit(X[TRAIN], np.exp(Y[TRAIN]))
    expected = np.exp(regressor().fit(X[TRAIN], Y[TRAIN]).predict(X[TEST]))
    np.testing.assert_allclose(model.predict(X[TEST]), expected)
    assert model.fit(SEQUENCES, np.exp(SEQUENCES[:, -2, 0])).predict(SEQUENCES).shape == (60,)


def test_one_network_for_each_output():
    both = np.column_stack([Y, X[:, 1]])
    model = MultiOutputRegressor(regressor()).fit(X[TRAIN], both[TRAIN])
    alone = [regressor().fit(X[TRAIN], both[TRAIN, k]).predict(X[TEST]) for k in range(2)]
    np.testing.assert_array_equal(model.predict(X[TEST]), np.column_stack(alone))
    assert regressor().fit(X[TRAIN], both[TRAIN]).predict(X[TEST]).shape == (200, 2)


def test_frozen():
    model = regressor().fit(X[TRAIN], Y[TRAIN])
    frozen = FrozenEstimator(model).fit(X[:50], Y[:50])
    np.testing.assert_array_equal(frozen.predict(X[TEST]), model.predict(X[TEST]))
    hidden = make_pipeline(FrozenEstimator(model), LinearRegression())  # its `transform`, for another model
    assert score(hidden.fit(X[TRAIN], Y[TRAIN])) > 0.95


def test_tuned_threshold():
    rare = np.where(Y > 0.9, 1, 0)
    tuned = TunedThresholdClassifierCV(classifier(), scoring="f1", cv=TimeSeriesSplit(2)).fit(X[TRAIN], rare[TRAIN])
    assert 0 < tuned.best_threshold_ < 1
    fitted = classifier().fit(X[:500], rare[:500])
    tuned = TunedThresholdClassifierCV(fitted, scoring="f1", cv="prefit", refit=False).fit(X[500:700], rare[500:700])
    assert tuned.score(X[TEST], rare[TEST]) > 0.9


# Looking inside


def test_permutation_importance_of_columns():
    model = regressor().fit(X[TRAIN], Y[TRAIN])
    found = permutation_importance(model, X[TEST], Y[TEST], n_repeats=3, random_state=0).importances_mean
    assert found[0] > 1.0
    assert np.abs(found[1:]).max() < 0.05


def test_partial_dependence_is_that_of_a_window_of_equal_values():
    """Each row of the table gets the value: .6 and .4 of it add up."""
    model = regressor().fit(X[TRAIN], Y[TRAIN])
    found = partial_dependence(model, X[TEST], [0], grid_resolution=5)
    slope = np.polyfit(found["grid_values"][0], found["average"][0], 1)[0]
    assert slope == pytest.approx(1.0, abs=0.15)
