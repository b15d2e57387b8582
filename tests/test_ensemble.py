"""The weighted ensembles as estimators: scikit-learn's checks, answers, parameters, copies."""

import inspect
import pickle
import sys
import types

import numpy as np
import pytest
from ensemble.cases import CLASSIFIERS, LABELS, REGRESSORS, X, Y, classifier, regressor
from ensemble.members import Returns, ReturnsProbabilities
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import DataConversionWarning
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import TimeSeriesSplit
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsRegressor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils import estimator_html_repr, get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks
from threadpoolctl import threadpool_limits

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor, WeightedEnsembleClassifier, WeightedEnsembleRegressor

BOOSTING = {"max_iter": 4, "max_leaf_nodes": 7, "min_samples_leaf": 1}
CHECKED = [
    WeightedEnsembleRegressor([("ridge", Ridge()), ("boosting", HistGradientBoostingRegressor(**BOOSTING))]),
    WeightedEnsembleClassifier(
        [
            ("logistic", LogisticRegression()),
            ("boosting", HistGradientBoostingClassifier(**BOOSTING)),
        ]
    ),
    WeightedEnsembleClassifier([("logistic", LogisticRegression()), CLASSIFIERS[1]], weights=(7, 3)),
    WeightedEnsembleRegressor([("ridge", Ridge()), ("linear", LinearRegression())], weights="auto", cv=2),
    WeightedEnsembleRegressor(
        [("ridge", Ridge()), ("linear", LinearRegression())],
        weights="inverse_loss",
        weights_loss="absolute_error",
        shrinkage=0.5,
        cv=2,
    ),
    WeightedEnsembleClassifier(
        [("logistic", LogisticRegression()), ("strict", LogisticRegression(C=0.01))],
        weights="auto",
        cv=2,
    ),
    WeightedEnsembleRegressor(
        [("ridge", Ridge()), ("linear", LinearRegression())], weights="dynamic", initial_weights="equal", select=1
    ),
    WeightedEnsembleClassifier(
        [("logistic", LogisticRegression()), ("strict", LogisticRegression(C=0.01))],
        weights="dynamic",
        calibration="sigmoid",
        error_score=np.nan,
        cv=2,
    ),
]


# Ridge and others take sparse tables, and some versions of scikit-learn 1.6 do not say so.
SAYS_SPARSE = get_tags(Ridge()).input_tags.sparse


def expected_failures(model):
    if not model._needs_folds():
        return {}
    reason = "the check shuffles the rows and gives folds that do not go forward in time"
    failures = {"check_sample_weight_equivalence_on_dense_data": reason}
    if SAYS_SPARSE:
        failures["check_sample_weight_equivalence_on_sparse_data"] = reason
    if isinstance(model, WeightedEnsembleClassifier):
        failures["check_positive_only_tag_during_fit"] = (
            "its 10 rows are sorted by class: a forward fold tests a class that it never trained on"
        )
    return failures


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads of OpenMP wait actively for each other: on a busy machine that takes minutes."""
    with threadpool_limits(1):
        yield


# Tables of a few rows leave one class in the first fold, and the search says so.
@pytest.mark.filterwarnings("ignore:.*folds take no part in the search:UserWarning")
@pytest.mark.filterwarnings("ignore:.*leaves classes without a calibrator:UserWarning")
@parametrize_with_checks(CHECKED, expected_failed_checks=expected_failures)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# --- answers


def test_regressor_is_the_weighted_mean_of_its_members():
    model = regressor(weights=(7, 3)).fit(X, Y)
    by_hand = [LinearRegression().fit(X, Y).predict(X), REGRESSORS[1][1].fit(X, Y).predict(X)]
    np.testing.assert_allclose(model.predict(X), 0.7 * by_hand[0] + 0.3 * by_hand[1], rtol=1e-14)
    np.testing.assert_allclose(model.weights_, [0.7, 0.3])
    assert [type(member).__name__ for member in model.estimators_] == [
        "LinearRegression",
        "DecisionTreeRegressor",
    ]
    assert model.named_estimators_["tree"] is model.estimators_[1]
    assert model.n_features_in_ == 3
    assert model.n_outputs_ == 1
    assert not hasattr(model, "feature_names_in_")
    assert not hasattr(model, "oof_indices_")


def test_classifier_is_the_weighted_mean_of_probabilities():
    model = classifier(weights=(1, 4)).fit(X, LABELS)
    by_hand = [member.fit(X, LABELS).predict_proba(X) for _, member in CLASSIFIERS]
    expected = 0.2 * by_hand[0] + 0.8 * by_hand[1]
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-12, atol=1e-15)
    assert model.classes_.tolist() == ["low", "mid", "top"]
    assert (model.predict(X) == model.classes_[expected.argmax(axis=1)]).all()
    assert model.score(X, LABELS) == (model.predict(X) == LABELS).mean()


def test_several_outputs():
    outputs = np.column_stack([Y, -Y, X[:, 0]])
    model = regressor(weights=(0.5, 0.5)).fit(X, outputs)
    by_hand = [clone(member).fit(X, outputs).predict(X) for _, member in REGRESSORS]
    np.testing.assert_allclose(model.predict(X), (by_hand[0] + by_hand[1]) / 2, rtol=1e-13)
    assert model.n_outputs_ == 3
    assert get_tags(model).target_tags.multi_output
    assert not get_tags(regressor([("boosting", HistGradientBoostingRegressor())])).target_tags.multi_output


def test_one_column_is_one_output():
    with pytest.warns(DataConversionWarning):
        model = regressor().fit(X, Y[:, None])
    np.testing.assert_array_equal(model.predict(X), regressor().fit(X, Y).predict(X))


@pytest.mark.parametrize(
    "labels",
    [["a", "b", "c"], [-7, 0, 3], [1.0, 2.0, 3.0], [False, True], [10**12, 5, 7]],
    ids=["strings", "negative", "floats", "booleans", "large"],
)
def test_labels_of_any_kind_with_a_member_that_needs_small_numbers(labels):
    xgboost = pytest.importorskip("xgboost")
    y = np.array(labels)[np.arange(60) % len(labels)]
    boosted = xgboost.XGBClassifier(n_estimators=4, max_depth=2, n_jobs=1)
    model = classifier([("xgb", boosted), ("bayes", GaussianNB())], weights=(1, 0)).fit(X, y)
    np.testing.assert_array_equal(model.classes_, np.unique(y))
    assert model.classes_.dtype == y.dtype
    by_hand = clone(boosted).fit(X, np.searchsorted(np.unique(y), y)).predict_proba(X)
    np.testing.assert_allclose(model.predict_proba(X), by_hand, atol=1e-6)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), np.unique(y)[by_hand.argmax(axis=1)])


def test_member_that_knows_fewer_classes_is_aligned_by_its_classes():
    member = ReturnsProbabilities(lambda X: np.tile([0.25, 0.75], (len(X), 1)), classes=(2, 0))
    model = classifier([("few", member)]).fit(X, LABELS)
    np.testing.assert_array_equal(model.predict_proba(X[:2]), [[0.75, 0.0, 0.25]] * 2)


def test_dropped_members_take_no_part():
    members = [*REGRESSORS, ("ridge", Ridge())]
    model = regressor(members, weights=(1, 5, 3)).set_params(tree="drop").fit(X, Y)
    np.testing.assert_allclose(model.weights_, [0.25, 0.75])
    assert model.named_estimators_["tree"] == "drop"
    assert len(model.estimators_) == 2
    expected = 0.25 * LinearRegression().fit(X, Y).predict(X) + 0.75 * Ridge().fit(X, Y).predict(X)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-13)
    assert regressor(members, weights="auto").set_params(tree="drop").fit(X, Y).weights_.shape == (2,)


def test_member_of_weight_zero_is_not_asked():
    def refuse(X):
        raise AssertionError("asked")

    members = [REGRESSORS[1], ("silent", Returns(refuse))]
    model = regressor(members, weights=(1, 0)).fit(X, Y)
    np.testing.assert_array_equal(
        model.predict(X), DecisionTreeRegressor(max_depth=3, random_state=0).fit(X, Y).predict(X)
    )


def test_one_row_alone_equals_the_row_in_the_batch():
    model = classifier(
        [(f"depth {i}", DecisionTreeClassifier(max_depth=i, random_state=0)) for i in (1, 2, 3)],
        weights=(0.1, 0.2, 0.7),
    ).fit(X, LABELS)
    together = model.predict_proba(X)
    for row in range(60):
        np.testing.assert_array_equal(model.predict_proba(X[row : row + 1])[0], together[row])


# --- parameters, copies, jobs


def test_parameters_of_members():
    model = regressor([("ridge", Ridge()), ("tree", DecisionTreeRegressor(random_state=0))])
    model.set_params(ridge__alpha=3.0, tree=KNeighborsRegressor(2), weights=(1, 2))
    params = model.get_params()
    assert (params["ridge__alpha"], params["tree__n_neighbors"], params["weights"]) == (
        3.0,
        2,
        (1, 2),
    )
    assert list(model.get_params(deep=False)) == sorted(inspect.signature(WeightedEnsembleRegressor).parameters)
    assert model.named_estimators.ridge.alpha == 3.0
    copy = clone(model)
    assert copy.named_estimators["ridge"] is not model.named_estimators["ridge"]
    assert copy.get_params()["ridge__alpha"] == 3.0
    model.fit(X, Y)
    assert not hasattr(model.named_estimators["ridge"], "coef_")


@pytest.mark.parametrize("weights", [None, "auto", "inverse_loss"])
@pytest.mark.parametrize("make", [regressor, classifier])
def test_jobs_and_pickles_give_the_same_bits(make, weights):
    y = Y if make is regressor else LABELS
    alone = make(weights=weights, cv=3).fit(X, y)
    answer = alone.predict if make is regressor else alone.predict_proba
    together = make(weights=weights, cv=3, n_jobs=2).fit(X, y)
    copy = pickle.loads(pickle.dumps(alone))
    for other in (together, copy):
        np.testing.assert_array_equal(other.weights_, alone.weights_)
        found = other.predict(X) if make is regressor else other.predict_proba(X)
        np.testing.assert_array_equal(found, answer(X))
    if weights is not None:
        assert together.shrinkage_ == alone.shrinkage_
        np.testing.assert_array_equal(together.oof_predictions_, alone.oof_predictions_)


def test_verbose_prints_a_line_for_each_fit(capsys):
    regressor(weights="auto", cv=2, verbose=True).fit(X, Y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert lines[0].startswith("[WeightedEnsembleRegressor] linear: 20 rows fitted in ")
    assert lines[-1].startswith("[WeightedEnsembleRegressor] tree: 60 rows fitted in ")
    regressor().fit(X, Y)
    assert capsys.readouterr().out == ""


def test_drawing_shows_the_members():
    drawing = estimator_html_repr(regressor())
    assert "linear" in drawing
    assert "DecisionTreeRegressor" in drawing


def test_drawing_by_scikit_learn_1_6(monkeypatch):
    _VisualBlock = pytest.importorskip("sklearn.utils._repr_html.estimator")._VisualBlock
    monkeypatch.setitem(sys.modules, "sklearn.utils._repr_html.estimator", None)
    monkeypatch.setitem(
        sys.modules, "sklearn.utils._estimator_html_repr", types.SimpleNamespace(_VisualBlock=_VisualBlock)
    )
    block = regressor()._sk_visual_block_()
    assert (block.kind, block.names) == ("parallel", ("linear", "tree"))


@pytest.mark.parametrize("tag", ["allow_nan", "sparse", "three_d_array"])
def test_input_tags_are_those_of_all_members(tag):
    def has(*members):
        return getattr(get_tags(regressor([(str(i), m) for i, m in enumerate(members)])).input_tags, tag)

    tree, boosting, ridge = DecisionTreeRegressor(), HistGradientBoostingRegressor(), Ridge()
    expected = {
        "allow_nan": (True, False),
        "sparse": (False, SAYS_SPARSE),
        "three_d_array": (False, False),
    }
    assert (has(tree, boosting), has(tree, ridge)) == expected[tag]
    assert getattr(get_tags(WeightedEnsembleRegressor(3)).input_tags, tag) is False


# --- the members it was made for


def recurrent(cls):
    return cls(hidden_size=5, n_layers=1, sequence_length=6, max_iter=3, n_jobs=1, random_state=0)


def test_recurrent_members_get_groups_and_context():
    groups = np.repeat(["a", "b"], 30)
    alone = recurrent(DeepLSTMRegressor).fit(X, Y, groups=groups)
    model = regressor([("lstm", recurrent(DeepLSTMRegressor)), REGRESSORS[1]], weights=(1, 0))
    model.fit(X, Y, groups=groups)
    np.testing.assert_array_equal(model.predict(X, groups=groups), alone.predict(X, groups=groups))
    np.testing.assert_array_equal(model.predict(X[9:], context=X[:9]), alone.predict(X[9:], context=X[:9]))
    assert (model.predict(X, groups=groups) != model.predict(X, groups=np.zeros(60))).any()
    later = {"groups": ["b"] * 5 + ["a"] * 4, "context": X, "context_groups": groups}
    np.testing.assert_array_equal(model.predict(X[:9], **later), alone.predict(X[:9], **later))
    assert (model.predict(X[:9], **later) != model.predict(X[:9], groups=later["groups"])).any()
    with pytest.warns(UserWarning, match="groups is missing"):
        model.predict(X)


def test_recurrent_members_have_full_windows_in_the_search():
    model = regressor([("lstm", recurrent(DeepLSTMRegressor)), REGRESSORS[1]], weights="auto", cv=3)
    model.fit(X, Y)
    for train, test in TimeSeriesSplit(3).split(X):
        member = recurrent(DeepLSTMRegressor).fit(X[train], Y[train])
        found = model.oof_predictions_[np.isin(model.oof_indices_, test), 0]
        np.testing.assert_array_equal(found, member.predict(X[test], context=X[train]))


def test_recurrent_members_take_sequences_and_any_labels():
    sequences = np.random.default_rng(3).normal(size=(40, 7, 2))
    y = np.where(sequences.sum(axis=(1, 2)) > 0, "up", "down")
    model = classifier([("lstm", recurrent(DeepLSTMClassifier)), ("again", recurrent(DeepLSTMClassifier))])
    found = model.fit(sequences, y).predict_proba(list(sequences))
    alone = recurrent(DeepLSTMClassifier).fit(sequences, y)
    np.testing.assert_allclose(found, alone.predict_proba(sequences), atol=1e-6)
    assert model.classes_.tolist() == ["down", "up"]
    assert set(model.predict(sequences)) <= {"down", "up"}


def test_recurrent_member_beside_boosted_trees():
    xgboost = pytest.importorskip("xgboost")
    boosted = xgboost.XGBRegressor(n_estimators=5, max_depth=2, n_jobs=1)
    members = [("xgb", boosted), ("lstm", recurrent(DeepLSTMRegressor))]
    share = np.linspace(0.1, 1.0, 60)
    model = regressor(members, weights=(0.7, 0.3), n_jobs=2).fit(X, Y, sample_weight=share)
    expected = 0.7 * boosted.fit(X, Y, sample_weight=share).predict(X).astype(float)
    expected += 0.3 * recurrent(DeepLSTMRegressor).fit(X, Y, sample_weight=share).predict(X)
    np.testing.assert_array_equal(model.predict(X), expected)


def test_several_classes_are_welcome_only_where_all_members_take_them():
    class TwoClasses(LogisticRegression):
        def __sklearn_tags__(self):
            tags = super().__sklearn_tags__()
            tags.classifier_tags.multi_class = False
            return tags

    def takes_several(*members):
        named = [(str(k), member) for k, member in enumerate(members)]
        return get_tags(WeightedEnsembleClassifier(named)).classifier_tags.multi_class

    assert takes_several(LogisticRegression(), LogisticRegression())
    assert not takes_several(LogisticRegression(), TwoClasses())
    assert not takes_several(TwoClasses(), TwoClasses())
