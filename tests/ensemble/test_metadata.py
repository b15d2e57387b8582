"""Where groups, sample_weight, context and other metadata go, with and without routing."""

import numpy as np
import pytest
import sklearn
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ensemble.members import Frequencies, Log, Wants
from sklstm import WeightedEnsembleClassifier, WeightedEnsembleRegressor

X = np.random.default_rng(0).normal(size=(12, 2))
Y = np.arange(12.0)
GROUPS = np.repeat(["a", "b", "c"], 4)
SHARE = np.linspace(0.5, 1.5, 12)
CONTEXT = np.ones((3, 2))


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def given(log, method):
    """What the only call of a method was given, without what it was not given."""
    (call,) = [call for call in log if call[0] == method]
    log.remove(call)
    return {key: value for key, value in call[2].items() if value is not None}


def assert_same(found, expected):
    assert set(found) == set(expected)
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value)


# --- routing disabled: by the signatures


def test_each_member_gets_what_its_signature_names(log):
    model = WeightedEnsembleRegressor([("wants", Wants(log)), ("ridge", Ridge())])
    model.fit(X, Y, groups=GROUPS.tolist(), sample_weight=SHARE)
    assert_same(given(log, "fit"), {"groups": GROUPS, "sample_weight": SHARE})
    by_hand = Ridge().fit(X, Y, sample_weight=SHARE)
    np.testing.assert_array_equal(model.named_estimators_["ridge"].coef_, by_hand.coef_)

    model.predict(X, groups=GROUPS, context=CONTEXT)
    assert_same(given(log, "predict"), {"groups": GROUPS, "context": CONTEXT})
    model.score(X, Y, groups=GROUPS, context=CONTEXT, sample_weight=SHARE)
    assert_same(given(log, "predict"), {"groups": GROUPS, "context": CONTEXT})
    model.fit(X, Y).predict(X)
    assert_same(given(log, "fit"), {})
    assert_same(given(log, "predict"), {})


def test_score_uses_sample_weight():
    model = WeightedEnsembleRegressor([("ridge", Ridge())]).fit(X, Y)
    expected = Ridge().fit(X, Y).score(X, Y, sample_weight=SHARE)
    assert model.score(X, Y, sample_weight=SHARE) == expected
    labels = np.where(Y % 3 > 0, "u", "v")
    classifier = WeightedEnsembleClassifier([("lr", LogisticRegression())]).fit(X, labels)
    hits = classifier.predict(X) == labels
    assert classifier.score(X, labels, sample_weight=SHARE) == pytest.approx(SHARE[hits].sum() / SHARE.sum())


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (KNeighborsRegressor(), r"'other' \(KNeighborsRegressor\) takes no sample_weight in fit"),
        (make_pipeline(StandardScaler(), Ridge()), "cannot hand sample_weight to its Ridge in fit"),
    ],
)
def test_member_without_sample_weight_is_an_error(log, member, message):
    model = WeightedEnsembleRegressor([("wants", Wants(log)), ("other", member)])
    with pytest.raises(TypeError, match=message):
        model.fit(X, Y, sample_weight=SHARE)
    assert log == []
    assert model.fit(X, Y).weights_.tolist() == [0.5, 0.5]


def test_pipeline_that_would_lose_groups_or_context_is_an_error(log):
    inner = make_pipeline(StandardScaler(), Wants(log))
    model = WeightedEnsembleRegressor([("pipe", inner), ("ridge", Ridge())])
    with pytest.raises(TypeError, match=r"'pipe' \(Pipeline\) cannot hand groups to its Wants in fit"):
        model.fit(X, Y, groups=GROUPS)
    model.fit(X, Y)
    for name, value in {"groups": GROUPS, "context": CONTEXT}.items():
        with pytest.raises(TypeError, match=f"cannot hand {name} to its Wants in predict"):
            model.predict(X, **{name: value})
    # A pipeline in which nothing takes groups loses nothing.
    plain = WeightedEnsembleRegressor([("pipe", make_pipeline(StandardScaler(), Ridge()))])
    plain.fit(X, Y, groups=GROUPS).predict(X, groups=GROUPS, context=CONTEXT)


def test_other_metadata_need_routing(log):
    model = WeightedEnsembleRegressor([("wants", Wants(log))])
    with pytest.raises(ValueError, match=r"fit got \['extra'\].*enable_metadata_routing=True"):
        model.fit(X, Y, extra=1)
    with pytest.raises(ValueError, match=r"fit got \['context'\]"):
        model.fit(X, Y, context=CONTEXT)
    model.fit(X, Y)
    with pytest.raises(ValueError, match=r"predict got \['extra'\]"):
        model.predict(X, extra=1)


def test_classifier_hands_metadata_to_predict_proba(log):
    class Context(Frequencies):
        def predict_proba(self, X, groups=None, context=None):
            self.log.append(("predict_proba", len(X), {"groups": groups, "context": context}))
            return super().predict_proba(X)

    labels = np.repeat(["u", "v"], 6)
    model = WeightedEnsembleClassifier([("m", Context(log)), ("lr", LogisticRegression())])
    model.fit(X, labels, groups=GROUPS, sample_weight=SHARE)
    assert_same(given(log, "fit"), {"groups": GROUPS, "sample_weight": SHARE})
    for call in (model.predict, model.predict_proba, lambda X, **kw: model.score(X, labels, **kw)):
        call(X, groups=GROUPS, context=CONTEXT)
        assert_same(given(log, "predict_proba"), {"groups": GROUPS, "context": CONTEXT})


# --- routing enabled: by the requests


def test_members_get_what_they_request(routing, log):
    wants = Wants(log).set_fit_request(groups=True, sample_weight="share", extra=True)
    wants.set_predict_request(groups=False, context=True)
    model = WeightedEnsembleRegressor([("wants", wants), ("ridge", Ridge().set_fit_request(sample_weight=True))])
    model.fit(X, Y, groups=GROUPS, sample_weight=SHARE, share=2 * SHARE, extra="word")
    assert_same(given(log, "fit"), {"groups": GROUPS, "sample_weight": 2 * SHARE, "extra": "word"})
    by_hand = Ridge().fit(X, Y, sample_weight=SHARE)
    np.testing.assert_array_equal(model.named_estimators_["ridge"].coef_, by_hand.coef_)
    model.predict(X, groups=GROUPS, context=CONTEXT)
    assert_same(given(log, "predict"), {"context": CONTEXT})
    model.score(X, Y, groups=GROUPS, context=CONTEXT, sample_weight=SHARE)
    assert_same(given(log, "predict"), {"context": CONTEXT})


def test_pipeline_hands_on_what_its_steps_request(routing, log):
    wants = Wants(log).set_fit_request(groups=True).set_predict_request(groups=True)
    model = WeightedEnsembleRegressor([("pipe", make_pipeline(StandardScaler(), wants))])
    model.fit(X, Y, groups=GROUPS).predict(X, groups=GROUPS)
    assert_same(given(log, "fit"), {"groups": GROUPS})
    assert_same(given(log, "predict"), {"groups": GROUPS})


def test_what_nobody_decided_on_is_an_error(routing, log):
    model = WeightedEnsembleRegressor([("wants", Wants(log))])
    with pytest.raises(UnsetMetadataPassedError, match=r"\[groups\] are passed but are not explicit"):
        model.fit(X, Y, groups=GROUPS)
    with pytest.raises(TypeError, match=r"fit got unexpected argument.*nonsense"):
        model.fit(X, Y, nonsense=1)
    assert log == []


def test_search_asks_for_the_requests_of_predict_too(routing, log):
    wants = Wants(log).set_fit_request(groups=True)
    model = WeightedEnsembleRegressor([("wants", wants), ("ridge", Ridge())], cv=2)
    model.fit(X, Y, groups=GROUPS)
    model.set_params(weights="auto")
    with pytest.raises(UnsetMetadataPassedError, match=r"WeightedEnsembleRegressor\.fit.*predict"):
        model.fit(X, Y, groups=GROUPS)
    log.clear()
    wants.set_predict_request(groups=True)
    model.fit(X, Y, groups=GROUPS)
    asked = [call[2]["groups"] for call in log if call[0] == "predict"]
    # Groups of 4 rows in 2 folds: train 2 + test 1, then train 3 + test 1.
    np.testing.assert_array_equal(asked[0], np.repeat(["a", "b", "c"], 3))
    np.testing.assert_array_equal(asked[1], GROUPS)


def test_ensemble_inside_a_grid_search(routing, log):
    wants = Wants(log).set_fit_request(groups=True, sample_weight=True)
    wants.set_predict_request(groups=True)
    model = WeightedEnsembleRegressor([("wants", wants), ("ridge", Ridge())])
    model.named_estimators["ridge"].set_fit_request(sample_weight=True)
    model.set_fit_request(groups=True, sample_weight=True).set_score_request(groups=True, sample_weight=False)
    search = GridSearchCV(model, {"ridge__alpha": [0.1, 10.0]}, cv=TimeSeriesSplit(2))
    search.fit(X, Y, groups=GROUPS, sample_weight=SHARE)
    fits = [call for call in log if call[0] == "fit"]
    assert [n_rows for _, n_rows, _ in fits] == [4, 8, 4, 8, 12]
    for _, n_rows, params in fits:
        np.testing.assert_array_equal(params["groups"], GROUPS[:n_rows])
        np.testing.assert_array_equal(params["sample_weight"], SHARE[:n_rows])
    asked = [call[2]["groups"] for call in log if call[0] == "predict"]
    for found, rows in zip(asked, [slice(4, 8), slice(8, 12)] * 2, strict=True):
        np.testing.assert_array_equal(found, GROUPS[rows])


@pytest.mark.parametrize("cls", [WeightedEnsembleRegressor, WeightedEnsembleClassifier])
def test_metadata_that_no_member_knows_are_accepted(routing, cls):
    members = {WeightedEnsembleRegressor: Ridge(), WeightedEnsembleClassifier: LogisticRegression()}
    model = cls([("m", members[cls])])
    y = np.repeat([0, 1], 6)
    model.fit(X, y, groups=GROUPS)
    np.testing.assert_array_equal(model.predict(X, groups=GROUPS, context=CONTEXT), model.fit(X, y).predict(X))
    assert model.score(X, y, groups=GROUPS, context=CONTEXT) == model.score(X, y)


def test_request_methods_name_what_the_ensemble_accepts():
    model = WeightedEnsembleClassifier([("lr", LogisticRegression())])
    with sklearn.config_context(enable_metadata_routing=True):
        model.set_fit_request(groups=True, sample_weight=True)
        model.set_predict_request(groups=True, context=True)
        model.set_predict_proba_request(groups=True, context=True)
        model.set_score_request(groups=True, context=True, sample_weight=True)
