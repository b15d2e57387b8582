"""The weighted ensembles as estimators: scikit-learn's checks, answers, inputs, failures."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from ensemble.members import (
    Breaks,
    MeanOfSequence,
    Returns,
    ReturnsProbabilities,
)
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils import estimator_html_repr, get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklstm.ensemble import WeightedEnsembleClassifier, WeightedEnsembleRegressor

BOOSTING = {"max_iter": 4, "max_leaf_nodes": 7, "min_samples_leaf": 5}
CHECKED = [
    WeightedEnsembleRegressor(
        [("ridge", Ridge()), ("boosting", HistGradientBoostingRegressor(**BOOSTING))]
    ),
    WeightedEnsembleClassifier(
        [
            ("logistic", LogisticRegression()),
            ("boosting", HistGradientBoostingClassifier(**BOOSTING)),
        ]
    ),
    WeightedEnsembleRegressor(
        [("ridge", Ridge()), ("tree", DecisionTreeRegressor(max_depth=3, random_state=0))],
        weights=(0.7, 0.3),
    ),
    WeightedEnsembleClassifier(
        [
            ("logistic", LogisticRegression()),
            ("tree", DecisionTreeClassifier(max_depth=3, random_state=0)),
        ],
        weights=(0.7, 0.3),
    ),
    WeightedEnsembleRegressor(
        [("ridge", Ridge()), ("linear", LinearRegression())], weights="auto", cv=2
    ),
    WeightedEnsembleClassifier(
        [("logistic", LogisticRegression()), ("bayes", GaussianNB())], weights="auto", cv=2
    ),
]


def expected_failures(model):
    names = [f"check_sample_weight_equivalence_on_{kind}_data" for kind in ("dense", "sparse")]
    if model.weights == "auto":
        reason = "the check shuffles the rows and gives folds that do not go forward in time"
        if not get_tags(model).input_tags.sparse:
            names = names[:1]
        return dict.fromkeys(names, reason)
    if "boosting" in model.named_estimators:
        reason = "histogram boosting itself: min_samples_leaf counts rows, whatever their weight"
        return {names[0]: reason}
    return {}


@parametrize_with_checks(CHECKED, expected_failed_checks=expected_failures)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = X @ [1.0, -2.0, 0.5] + RNG.normal(size=60)
LABELS = np.array(["low", "mid", "top"])[np.digitize(Y, [-0.5, 1.0])]
REGRESSORS = [
    ("linear", LinearRegression()),
    ("tree", DecisionTreeRegressor(max_depth=3, random_state=0)),
]
CLASSIFIERS = [
    ("bayes", GaussianNB()),
    ("tree", DecisionTreeClassifier(max_depth=3, random_state=0)),
]


def regressor(members=REGRESSORS, **params):
    return WeightedEnsembleRegressor(members, **params)


def classifier(members=CLASSIFIERS, **params):
    return WeightedEnsembleClassifier(members, **params)


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
    assert not get_tags(
        regressor([("boosting", HistGradientBoostingRegressor())])
    ).target_tags.multi_output


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
    assert regressor(members, weights="auto").set_params(tree="drop").fit(X, Y).weights_.shape == (
        2,
    )


def test_member_of_weight_zero_is_not_asked():
    def refuse(X):
        raise AssertionError("asked")

    members = [
        ("tree", DecisionTreeRegressor(max_depth=3, random_state=0)),
        ("silent", Returns(refuse)),
    ]
    model = regressor(members, weights=(1, 0)).fit(X, Y)
    np.testing.assert_array_equal(
        model.predict(X), DecisionTreeRegressor(max_depth=3, random_state=0).fit(X, Y).predict(X)
    )


def test_one_row_alone_equals_the_row_in_the_batch():
    model = classifier(
        [
            (str(depth), DecisionTreeClassifier(max_depth=depth, random_state=0))
            for depth in (1, 2, 3)
        ],
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
    assert set(model.get_params(deep=False)) == {"estimators", "weights", "cv", "n_jobs", "verbose"}
    assert model.named_estimators.ridge.alpha == 3.0
    copy = clone(model)
    assert copy.named_estimators["ridge"] is not model.named_estimators["ridge"]
    assert copy.get_params()["ridge__alpha"] == 3.0
    model.fit(X, Y)
    assert not hasattr(model.named_estimators["ridge"], "coef_")


@pytest.mark.parametrize("weights", [None, "auto"])
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
    if weights == "auto":
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


@pytest.mark.parametrize("tag", ["allow_nan", "sparse", "three_d_array"])
def test_input_tags_are_those_of_all_members(tag):
    def has(*members):
        return getattr(
            get_tags(regressor([(str(i), m) for i, m in enumerate(members)])).input_tags, tag
        )

    tree, boosting, ridge = (
        DecisionTreeRegressor(random_state=0),
        HistGradientBoostingRegressor(),
        Ridge(),
    )
    expected = {
        "allow_nan": (True, False),
        "sparse": (False, True),
        "three_d_array": (False, False),
    }
    assert (has(tree, boosting), has(tree, ridge)) == expected[tag]
    assert getattr(get_tags(WeightedEnsembleRegressor(3)).input_tags, tag) is False


# --- inputs reach the members as they are


def test_nan_goes_through_if_the_members_take_it():
    holes = np.where(RNG.uniform(size=X.shape) < 0.1, np.nan, X)
    members = [
        ("tree", DecisionTreeRegressor(random_state=0)),
        ("boosting", HistGradientBoostingRegressor(**BOOSTING)),
    ]
    assert np.isfinite(regressor(members, weights="auto").fit(holes, Y).predict(holes)).all()
    with pytest.raises(ValueError, match=r"Input X contains NaN[\s\S]*Member 'linear'"):
        regressor().fit(holes, Y)


def test_frames_stay_frames():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X, columns=["a", "b", "c"])
    model = regressor(
        [("scaled", make_pipeline(StandardScaler(), Ridge())), *REGRESSORS], weights="auto"
    )
    model.fit(table, pandas.Series(Y))
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    for member in model.estimators_:
        assert member.feature_names_in_.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(model.predict(table), clone(model).fit(X, Y).predict(X))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(table.rename(columns={"b": "z"}))
    model.fit(X, Y)
    assert not hasattr(model, "feature_names_in_")


def test_sequences_go_through():
    sequences = [RNG.normal(size=(steps, 2)) for steps in RNG.integers(1, 9, 30)]
    y = np.array([sequence.mean() for sequence in sequences])
    model = regressor([("mean", MeanOfSequence())]).fit(sequences, y)
    np.testing.assert_array_equal(model.predict(sequences), y)
    block = RNG.normal(size=(5, 4, 2))
    np.testing.assert_allclose(model.predict(block), block.mean(axis=(1, 2)))
    for wrong in (np.zeros((5, 2, 3)), [np.zeros((4, 3))]):
        with pytest.raises(ValueError, match=r"have 3 features, but .* is expecting 2 features"):
            model.predict(wrong)


@pytest.mark.parametrize("form", [sp.csr_array, sp.coo_array, sp.dia_matrix])
def test_sparse_tables_go_through_if_the_members_take_them(form):
    members = [
        ("ridge", Ridge(solver="lsqr", tol=1e-12)),
        ("tree", DecisionTreeRegressor(max_depth=2, random_state=0)),
    ]
    dense = regressor(members, weights="auto").fit(X, Y)
    sparse = regressor(members, weights="auto").fit(form(X), Y)
    np.testing.assert_allclose(sparse.weights_, dense.weights_, atol=1e-6)
    with pytest.raises(TypeError, match="Sparse data was passed for X"):
        regressor([("boosting", HistGradientBoostingRegressor())]).fit(form(X), Y)


def test_read_only_memmap(tmp_path):
    stored = np.memmap(tmp_path / "table", dtype=np.float64, mode="w+", shape=X.shape)
    stored[:] = X
    stored.flush()
    table = np.memmap(tmp_path / "table", dtype=np.float64, mode="r", shape=X.shape)
    model = regressor(weights="auto").fit(table, Y)
    np.testing.assert_array_equal(
        model.predict(table), regressor(weights="auto").fit(X, Y).predict(X)
    )


# --- members that answer something else than they were asked


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            lambda X: np.zeros(len(X) - 2),
            r"'bad' \(Returns\) returned 58 rows .* where 60 were expected",
        ),
        (lambda X: np.zeros(len(X) + 1), "returned 61 rows from predict where 60"),
        (lambda X: np.float64(1.0), "returned 0 rows from predict where 60"),
        (lambda X: np.zeros((len(X), 2)), r"predictions of shape \(60, 2\) where \(60, 1\)"),
        (lambda X: np.zeros((len(X), 1, 1)), r"predictions of shape \(60, 1, 1\)"),
        (lambda X: np.full(len(X), "high"), "returned no numbers from predict"),
        (lambda X: np.zeros((len(X), 1)), None),
    ],
    ids=["fewer", "more", "scalar", "columns", "dimensions", "strings", "column"],
)
@pytest.mark.parametrize("weights", [None, "auto"])
def test_answers_of_regressors(answer, message, weights):
    model = regressor([("linear", LinearRegression()), ("bad", Returns(answer))], weights=weights)

    def run():
        # For the search, the first mistake is found in the fit on 10 rows, asked for 20.
        return model.fit(X, Y).predict(X)

    if message is None:
        assert run().shape == (60,)
        return
    if weights == "auto":
        message = message.replace("58", "18").replace("61", "21").replace("60", "20")
    with pytest.raises(ValueError, match=message):
        run()
    assert hasattr(model, "weights_") == (weights is None)


def test_answers_with_another_number_of_outputs():
    model = regressor([("bad", Returns(lambda X: np.zeros(len(X))))]).fit(X, np.c_[Y, Y])
    with pytest.raises(ValueError, match=r"shape \(60,\) where \(60, 2\) was expected"):
        model.predict(X)


@pytest.mark.parametrize(
    ("answer", "classes", "message"),
    [
        (
            lambda X: np.zeros((len(X) - 1, 3)),
            (0, 1, 2),
            "59 rows from predict_proba where 60 were",
        ),
        (lambda X: np.zeros((len(X), 2)), (0, 1, 2), r"shape \(60, 2\) where \(60, 3\)"),
        (lambda X: np.zeros(len(X)), (0, 1, 2), r"shape \(60,\) where \(60, 3\)"),
        (lambda X: np.zeros((len(X), 2)), (0, 7), r"classes_ \[0, 7\] that it was not fitted on"),
        (lambda X: np.zeros((len(X), 2)), ("low", "top"), r"classes_ \['low', 'top'\]"),
    ],
)
def test_answers_of_classifiers(answer, classes, message):
    model = classifier([("bad", ReturnsProbabilities(answer, classes))]).fit(X, LABELS)
    for method in (model.predict, model.predict_proba, lambda X: model.score(X, LABELS)):
        with pytest.raises(ValueError, match=message):
            method(X)


def test_a_member_that_fails_is_named_and_leaves_nothing_behind():
    members = [("linear", LinearRegression()), ("unlucky", Breaks(limit=30))]
    model = regressor(members)
    for weights in (None, "auto"):
        model.set_params(weights=weights)
        with pytest.raises(RuntimeError, match=r"no luck\nRaised in the fit of Member 'unlucky'"):
            model.fit(X, Y)
        assert [name for name in vars(model) if name.endswith("_")] == []
        with pytest.raises(NotFittedError):
            model.predict(X)
    # A note survives the way back from another process.
    ill = regressor(
        [("tree", DecisionTreeRegressor(random_state=0)), ("ridge", Ridge(solver="lbfgs"))],
        n_jobs=2,
    )
    with pytest.raises(ValueError, match=r"Raised in the fit of Member 'ridge' \(Ridge\)"):
        ill.fit(X, Y)


def test_a_fit_that_fails_leaves_the_model_as_it_was():
    model = regressor(weights="auto").fit(X, Y)
    before = {name: value for name, value in vars(model).items() if name.endswith("_")}
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full((60, 2), np.nan), Y)
    after = {name: value for name, value in vars(model).items() if name.endswith("_")}
    assert all(after[name] is value for name, value in before.items())
    assert set(after) == set(before)


def test_failure_of_a_member_in_predict_is_named():
    model = regressor([("bad", Returns(lambda X: 1 / 0))]).fit(X, Y)
    with pytest.raises(
        ZeroDivisionError, match=r"Raised in the predict of Member 'bad' \(Returns\)"
    ):
        model.predict(X)


# --- bad input


BAD_PARAMETERS = {
    "estimators: not a list": ({"estimators": "ridge"}, "The 'estimators' parameter"),
    "estimators: empty": ({"estimators": []}, "non-empty list of"),
    "estimators: no names": ({"estimators": [Ridge()]}, r"list of \(name, estimator\)"),
    "estimators: triples": ({"estimators": [("a", Ridge(), 1)]}, r"list of \(name, estimator\)"),
    "names: twice": ({"estimators": [("a", Ridge()), ("a", Ridge())]}, "not unique"),
    "names: dunder": ({"estimators": [("a__b", Ridge())]}, "must not contain __"),
    "names: parameter": ({"estimators": [("weights", Ridge())]}, "conflict with constructor"),
    "members: class": ({"estimators": [("a", Ridge)]}, "'a' must be an estimator instance"),
    "members: word": ({"estimators": [("a", "dorp")]}, "estimator instance or 'drop', got 'dorp'"),
    "members: none left": ({"estimators": [("a", "drop")]}, "All estimators are dropped"),
    "members: scaler": (
        {"estimators": [("a", StandardScaler())]},
        "is not a (regressor|classifier)",
    ),
    "weights: word": ({"weights": "best"}, "The 'weights' parameter"),
    "weights: too few": ({"weights": (1.0,)}, "one number for each of the 2 estimators"),
    "weights: too many": ({"weights": (1, 1, 1)}, "one number for each of the 2 estimators"),
    "weights: table": ({"weights": [[1.0, 1.0]]}, r"got shape \(1, 2\)"),
    "weights: negative": ({"weights": (1, -1)}, "finite and non-negative"),
    "weights: zero": ({"weights": (0, 0)}, "at least one of them positive"),
    "weights: nan": ({"weights": (1, np.nan)}, "finite and non-negative"),
    "weights: strings": ({"weights": ["a", "b"]}, "weights must be numbers"),
    "cv: one": ({"cv": 1}, "The 'cv' parameter"),
    "cv: float": ({"cv": 2.5}, "The 'cv' parameter"),
    "n_jobs: float": ({"n_jobs": 1.5}, "The 'n_jobs' parameter"),
    "verbose: negative": ({"verbose": -1}, "The 'verbose' parameter"),
}


@pytest.mark.parametrize("make", [regressor, classifier])
@pytest.mark.parametrize(("params", "message"), BAD_PARAMETERS.values(), ids=list(BAD_PARAMETERS))
def test_bad_parameters(make, params, message):
    members = REGRESSORS if make is regressor else CLASSIFIERS
    cls = WeightedEnsembleRegressor if make is regressor else WeightedEnsembleClassifier
    model = cls(**{"estimators": members, **params})
    y = Y if make is regressor else LABELS
    with pytest.raises((TypeError, ValueError), match=message):
        model.fit(X, y)
    assert [name for name in vars(model) if name.endswith("_")] == []


def test_members_of_the_wrong_kind():
    with pytest.raises(ValueError, match=r"'bayes' \(GaussianNB\) is not a regressor"):
        regressor([("bayes", GaussianNB())]).fit(X, Y)
    with pytest.raises(ValueError, match=r"'ridge' \(Ridge\) is not a classifier"):
        classifier([("ridge", Ridge())]).fit(X, LABELS)
    with pytest.raises(ValueError, match=r"'svc' \(LinearSVC\) has no predict_proba"):
        classifier([("bayes", GaussianNB()), ("svc", LinearSVC())]).fit(X, LABELS)


def masked(values):
    return np.ma.masked_array(values, mask=np.zeros(np.shape(values)))


BAD_INPUT = {
    "X: one dimension": ({"X": X[:, 0]}, ValueError, r"X must be a table .* Reshape your data"),
    "X: four dimensions": ({"X": np.zeros((60, 2, 2, 2))}, ValueError, r"got 4 dimension\(s\)"),
    "X: scalar": ({"X": 3.0}, ValueError, r"got 0 dimension\(s\)"),
    "X: no rows": ({"X": X[:0], "y": []}, ValueError, r"0 sample\(s\) \(shape=\(0, 3\)\)"),
    "X: no columns": ({"X": X[:, :0]}, ValueError, r"0 feature\(s\) \(shape=\(60, 0\)\)"),
    "X: no steps": ({"X": np.zeros((60, 0, 3))}, ValueError, r"0 step\(s\)"),
    "X: empty sequence": (
        {"X": [np.zeros((2, 3))] * 59 + [np.zeros((0, 3))]},
        ValueError,
        r"sequence 59 has shape \(0, 3\)",
    ),
    "X: flat sequence": (
        {"X": [np.zeros((2, 3)), np.zeros(3)]},
        ValueError,
        "sequence 1 has shape",
    ),
    "X: ragged features": (
        {"X": [np.zeros((2, 3)), np.zeros((2, 4))]},
        ValueError,
        "sequence 0 has 3, sequence 1 has 4",
    ),
    "X: masked": ({"X": masked(X)}, TypeError, "X is a masked array"),
    "X: masked sequence": ({"X": [masked(X)] * 60}, TypeError, r"X\[0\] is a masked array"),
    "X: nan": ({"X": np.where(X > 1, np.nan, X)}, ValueError, "Input X contains NaN"),
    "X: infinity": ({"X": np.where(X > 1, np.inf, X)}, ValueError, "Input X contains infinity"),
    "X: complex": ({"X": X + 1j}, ValueError, "Complex data not supported"),
    "X: strings": ({"X": X.astype(str).astype(object) + "m"}, ValueError, "could not convert"),
    "y: missing": ({"y": None}, ValueError, "requires y to be passed"),
    "y: short": ({"y": LABELS[:50]}, ValueError, "y has 50 entries, but X has 60 rows"),
    "y: masked": ({"y": masked(np.arange(60))}, TypeError, "y is a masked array"),
    "y: nan": ({"y": np.r_[np.nan, np.arange(59) % 2]}, ValueError, "Input y contains NaN"),
    "groups: short": ({"groups": np.zeros(59)}, ValueError, "groups has 59 entries, but X has 60"),
    "groups: table": ({"groups": np.zeros((60, 1))}, ValueError, "groups must be 1-D"),
    "groups: two blocks": (
        {"groups": np.repeat(["a", "b", "a"], 20)},
        ValueError,
        "Group 'a' comes in two separate blocks, the second from row 40",
    ),
    "groups: nan": ({"groups": np.r_[np.zeros(59), np.nan]}, ValueError, "groups contains NaN"),
    "groups: masked": ({"groups": masked(np.zeros(60))}, TypeError, "groups is a masked array"),
    "sample_weight: short": (
        {"sample_weight": np.ones(3)},
        ValueError,
        "sample_weight has 3 entries",
    ),
    "sample_weight: table": ({"sample_weight": np.ones((60, 2))}, ValueError, "must be 1-D, got 2"),
    "sample_weight: negative": (
        {"sample_weight": np.r_[-1.0, np.ones(59)]},
        ValueError,
        "sample_weight must be non-negative",
    ),
    "sample_weight: zero": ({"sample_weight": np.zeros(60)}, ValueError, "not zero in every row"),
    "sample_weight: nan": (
        {"sample_weight": np.r_[np.nan, np.ones(59)]},
        ValueError,
        "sample_weight contains NaN",
    ),
    "sample_weight: masked": (
        {"sample_weight": masked(np.ones(60))},
        TypeError,
        "sample_weight is a masked array",
    ),
}


@pytest.mark.parametrize("make", [regressor, classifier])
@pytest.mark.parametrize("weights", [None, "auto"])
@pytest.mark.parametrize(("given", "error", "message"), BAD_INPUT.values(), ids=list(BAD_INPUT))
def test_bad_input_of_fit(make, weights, given, error, message):
    model = make([(*member,) for member in (REGRESSORS if make is regressor else CLASSIFIERS)][:2])
    model.set_params(weights=weights)
    data = {"X": X, "y": Y if make is regressor else LABELS, **given}
    if isinstance(data["X"], list) and len(data["X"]) == 2:
        data["y"] = data["y"][:2]
    with pytest.raises(error, match=message):
        model.fit(**data)
    assert [name for name in vars(model) if name.endswith("_")] == []


BAD_TARGETS = {
    "strings": (regressor, LABELS, "y must hold numbers for a regressor"),
    "objects": (regressor, LABELS.astype(object), "y must hold numbers .* could not convert"),
    "dates": (regressor, np.full(60, np.datetime64("2020-01-01")), "y must hold numbers"),
    "infinity": (regressor, np.r_[np.inf, Y[1:]], "Input y contains infinity"),
    "complex": (regressor, Y + 1j, "Complex data not supported"),
    "three dimensions": (regressor, np.zeros((60, 2, 2)), "Found array with dim 3"),
    "one class": (classifier, np.full(60, "x"), r"got only one class: \['x'\]"),
    "continuous": (classifier, Y, "Unknown label type"),
    "several columns": (classifier, np.c_[LABELS, LABELS], "y should be a 1d array"),
}


@pytest.mark.parametrize(("make", "y", "message"), BAD_TARGETS.values(), ids=list(BAD_TARGETS))
def test_bad_targets(make, y, message):
    with pytest.raises(ValueError, match=message):
        make().fit(X, y)


@pytest.mark.parametrize("make", [regressor, classifier])
@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"X": X[:, :2]}, ValueError, "X has 2 features, but .* is expecting 3 features"),
        ({"X": X[0]}, ValueError, "Reshape your data"),
        ({"X": masked(X)}, TypeError, "X is a masked array"),
        ({"groups": np.repeat([0, 1, 0], 20)}, ValueError, "Group 0 comes in two separate blocks"),
        ({"groups": [0]}, ValueError, "groups has 1 entries, but X has 60"),
        ({"context": X[:, :2]}, ValueError, "context has 2 features, but X has 3"),
        ({"context": X[:0]}, ValueError, r"0 sample\(s\) .* for context"),
    ],
)
def test_bad_input_of_predict_and_score(make, given, error, message):
    y = Y if make is regressor else LABELS
    model = make().fit(X, y)
    methods = ["predict", "score"] + ["predict_proba"] * (make is classifier)
    for method in methods:
        data = {"X": X, **given} | ({"y": y} if method == "score" else {})
        with pytest.raises(error, match=message):
            getattr(model, method)(**data)


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_methods_before_fit(method):
    with pytest.raises(NotFittedError):
        getattr(classifier(), method)(X)
