"""What reaches the members as it came, and what is refused."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils import get_tags

from ensemble.cases import CLASSIFIERS, LABELS, REGRESSORS, X, Y, classifier, fitted_names, regressor
from ensemble.members import MeanOfSequence
from sklstm import WeightedEnsembleClassifier, WeightedEnsembleRegressor


def test_nan_goes_through_if_the_members_take_it():
    holes = np.where(np.random.default_rng(1).uniform(size=X.shape) < 0.1, np.nan, X)
    members = [(f"depth {i}", DecisionTreeRegressor(max_depth=i, random_state=0)) for i in (2, 3)]
    assert np.isfinite(regressor(members, weights="auto").fit(holes, Y).predict(holes)).all()
    with pytest.raises(ValueError, match=r"Input X contains NaN[\s\S]*Member 'linear'"):
        regressor().fit(holes, Y)


def test_frames_stay_frames():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X, columns=["a", "b", "c"])
    model = regressor([("scaled", make_pipeline(StandardScaler(), Ridge())), *REGRESSORS], weights="auto")
    model.fit(table, pandas.Series(Y))
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    for member in model.estimators_:
        assert member.feature_names_in_.tolist() == ["a", "b", "c"]
    np.testing.assert_allclose(model.predict(table), clone(model).fit(X, Y).predict(X), rtol=1e-9)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(table.rename(columns={"b": "z"}))
    model.fit(X, Y)
    assert not hasattr(model, "feature_names_in_")


def test_sequences_go_through():
    rng = np.random.default_rng(2)
    sequences = [rng.normal(size=(steps, 2)) for steps in rng.integers(1, 9, 30)]
    y = np.array([sequence.mean() for sequence in sequences])
    model = regressor([("mean", MeanOfSequence())]).fit(sequences, y)
    np.testing.assert_array_equal(model.predict(sequences), y)
    block = rng.normal(size=(5, 4, 2))
    np.testing.assert_allclose(model.predict(block), block.mean(axis=(1, 2)))
    for wrong in (np.zeros((5, 2, 3)), [np.zeros((4, 3))]):
        with pytest.raises(ValueError, match=r"X, a set of sequences, has 3 features, but .* is expecting 2 features"):
            model.predict(wrong)


@pytest.mark.skipif(not get_tags(Ridge()).input_tags.sparse, reason="this Ridge does not say that it takes them")
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
    np.testing.assert_array_equal(model.predict(table), regressor(weights="auto").fit(X, Y).predict(X))


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
    assert fitted_names(model) == []


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
        r"X\[59\] is an empty sequence",
    ),
    "X: flat sequence": (
        {"X": [np.zeros((2, 3)), np.zeros(3)]},
        ValueError,
        r"X\[1\] has 1 dimensions, expected 2",
    ),
    "X: ragged features": (
        {"X": [np.zeros((2, 3)), np.zeros((2, 4))]},
        ValueError,
        "sequence 0 has 3, sequence 1 has 4",
    ),
    "X: masked": ({"X": masked(X)}, ValueError, "X is a masked array"),
    "X: masked sequence": ({"X": [masked(X)] * 60}, ValueError, r"X\[0\] is a masked array"),
    "X: nan": ({"X": np.where(X > 1, np.nan, X)}, ValueError, "Input X contains NaN"),
    "X: infinity": ({"X": np.where(X > 1, np.inf, X)}, ValueError, "Input X contains infinity"),
    "X: complex": ({"X": X + 1j}, ValueError, "Complex data not supported"),
    "X: strings": ({"X": X.astype(str).astype(object) + "m"}, ValueError, "could not convert"),
    "y: missing": ({"y": None}, ValueError, "requires y to be passed"),
    "y: short": ({"y": LABELS[:50]}, ValueError, "X has 60, y has 50"),
    "y: masked": ({"y": masked(np.arange(60))}, ValueError, "y is a masked array"),
    "y: nan": ({"y": np.r_[np.nan, np.arange(59) % 2]}, ValueError, "Input y contains NaN"),
    "groups: short": ({"groups": np.zeros(59)}, ValueError, "groups has 59 labels, but X has 60"),
    "groups: table": ({"groups": np.zeros((60, 2))}, ValueError, "groups must be 1-D"),
    "groups: two blocks": (
        {"groups": np.repeat(["a", "b", "a"], 20)},
        ValueError,
        r"'a' comes in 2 separate blocks",
    ),
    "groups: nan": ({"groups": np.r_[np.zeros(59), np.nan]}, ValueError, r"groups holds no label \(nan\) at row 59"),
    "groups: masked": ({"groups": masked(np.zeros(60))}, ValueError, "groups is a masked array"),
    "sample_weight: short": (
        {"sample_weight": np.ones(3)},
        ValueError,
        r"sample_weight has shape \(3,\), expected \(60,\)",
    ),
    "sample_weight: table": ({"sample_weight": np.ones((60, 2))}, ValueError, "must be 1-D, got 2"),
    "sample_weight: negative": (
        {"sample_weight": np.r_[-1.0, np.ones(59)]},
        ValueError,
        "sample_weight holds negative values, the first at position 0",
    ),
    "sample_weight: zero": ({"sample_weight": np.zeros(60)}, ValueError, "sample_weight is zero for every sample"),
    "sample_weight: nan": (
        {"sample_weight": np.r_[np.nan, np.ones(59)]},
        ValueError,
        "sample_weight contains NaN",
    ),
    "sample_weight: masked": (
        {"sample_weight": masked(np.ones(60))},
        ValueError,
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
    assert fitted_names(model) == []


BAD_TARGETS = {
    "strings": (regressor, LABELS, "y must hold numbers, but"),
    "objects": (regressor, LABELS.astype(object), "y must hold numbers, but could not convert"),
    "dates": (regressor, np.full(60, np.datetime64("2020-01-01")), "y holds dates or times"),
    "infinity": (regressor, np.r_[np.inf, Y[1:]], "Input y contains infinity"),
    "complex": (regressor, Y + 1j, "Complex data not supported"),
    "four dimensions": (regressor, np.zeros((60, 2, 2, 1)), "y has 4 dimensions, expected 1 or 2 .*, or 3 "),
    "one class": (classifier, np.full(60, "x"), r"got only one class: \['x'\]"),
    "continuous": (classifier, Y, "Unknown label type"),
    "several columns": (classifier, np.c_[LABELS, LABELS], "y should be a 1d array"),
}


@pytest.mark.parametrize(("make", "y", "message"), BAD_TARGETS.values(), ids=list(BAD_TARGETS))
def test_bad_targets(make, y, message):
    with pytest.raises(TypeError if "dates" in message else ValueError, match=message):
        make().fit(X, y)


@pytest.mark.parametrize("make", [regressor, classifier])
@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"X": X[:, :2]}, ValueError, "X has 2 features, but .* is expecting 3 features"),
        ({"X": X[0]}, ValueError, "Reshape your data"),
        ({"X": masked(X)}, ValueError, "X is a masked array"),
        ({"groups": np.repeat([0, 1, 0], 20)}, ValueError, "0 comes in 2 separate blocks"),
        ({"groups": [0]}, ValueError, "groups has 1 labels, but X has 60"),
        ({"context": X[:, :2]}, ValueError, r"context must be a table .* 3 features; got shape \(60, 2\)"),
        ({"context": X[0]}, ValueError, r"context must be a table .* got shape \(3,\)"),
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
