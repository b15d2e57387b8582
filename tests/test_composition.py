"""With the rest of scikit-learn: clone, names of features, set_output, pipelines, searches, metadata routing."""

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, TimeSeriesSplit, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

WEIGHTS = np.linspace(0.2, 2.0, 90)


@pytest.fixture
def routing():
    with config_context(enable_metadata_routing=True):
        yield


def frame_of(case):
    return pd.DataFrame(case.X, columns=["a", "b", "c"], index=pd.date_range("2020-01-01", periods=90))


# clone and names


def test_clone_takes_the_parameters_alone(case):
    model = case.make(dropout=0.1, n_layers=2, batch_size=11, warm_start=True).fit(case.X, case.y)
    copied = clone(model)
    assert vars(copied) == model.get_params()
    assert copied.get_params() == model.get_params()


def test_repr_shows_what_was_changed(case):
    assert repr(case.kind()) == f"{case.kind.__name__}()"
    assert repr(case.kind(n_layers=3)) == f"{case.kind.__name__}(n_layers=3)"


def test_feature_names(case):
    model = case.make().fit(frame_of(case), case.y)
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    assert model.n_features_in_ == 3
    names = model.get_feature_names_out()
    prefix = case.kind.__name__.lower()
    assert names.tolist() == [f"{prefix}{k}" for k in range(4)]
    assert case.fit().get_feature_names_out(["a", "b", "c"]).tolist() == names.tolist()


def test_names_are_forgotten_by_a_refit_on_an_array(case):
    model = case.make().fit(frame_of(case), case.y)
    model.fit(case.X, case.y)
    assert not hasattr(model, "feature_names_in_")


def test_set_output(case):
    frame = frame_of(case)
    model = case.make().set_output(transform="pandas").fit(frame, case.y)
    values = case.make().fit(frame, case.y).transform(frame)
    expected = pd.DataFrame(values, index=frame.index, columns=model.get_feature_names_out())
    for found in (model.transform(frame), model.fit_transform(frame, case.y)):
        pd.testing.assert_frame_equal(found, expected)
    sets = model.fit(case.array, case.array_y).transform(case.array)
    assert sets.shape == (24, 4)
    assert sets.columns.tolist() == expected.columns.tolist()


# Pipelines and searches


def test_as_features_for_another_model(case):
    """The network as a transformer in front of a linear model."""
    linear = LogisticRegression() if case.is_classifier else LinearRegression()
    model = make_pipeline(StandardScaler(), case.make(), linear).fit(case.X, case.y)
    scaled = StandardScaler().fit_transform(case.X)
    hidden = case.make().fit(scaled, case.y).transform(scaled)
    np.testing.assert_array_equal(model.predict(case.X), clone(linear).fit(hidden, case.y).predict(hidden))


def test_grid_search_in_parallel(case):
    pipeline = Pipeline([("scale", StandardScaler()), ("lstm", case.make(carry_context=True))])
    grid = {"lstm__hidden_size": [2, 5], "lstm__n_layers": [1, 2]}
    searches = [GridSearchCV(pipeline, grid, cv=TimeSeriesSplit(2), n_jobs=n).fit(case.X, case.y) for n in (1, 2)]
    for name in ("mean_test_score", "split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(*[search.cv_results_[name] for search in searches])
    assert np.isfinite(searches[0].cv_results_["mean_test_score"]).all()
    np.testing.assert_array_equal(*[search.predict(case.X) for search in searches])


# Metadata


def scaler():
    return StandardScaler().set_fit_request(sample_weight=False)


def requests(model):
    return (
        model.set_fit_request(groups=True, sample_weight=True)
        .set_score_request(groups=True, sample_weight=True)
        .set_predict_request(groups=True, context=True)
    )


def test_metadata_through_a_pipeline(case, routing):
    model = make_pipeline(scaler(), requests(case.make()))
    model.fit(case.X, case.y, sample_weight=WEIGHTS, groups=case.groups)
    scaled = StandardScaler().fit_transform(case.X)
    plain = case.make().fit(scaled, case.y, sample_weight=WEIGHTS, groups=case.groups)
    assert model[-1].loss_curve_ == plain.loss_curve_
    np.testing.assert_array_equal(model.predict(case.X, groups=case.groups), plain.predict(scaled, groups=case.groups))
    assert model.score(case.X, case.y, sample_weight=WEIGHTS, groups=case.groups) == plain.score(
        scaled, case.y, sample_weight=WEIGHTS, groups=case.groups
    )
    assert plain.loss_curve_ != case.make().fit(scaled, case.y).loss_curve_


def test_metadata_through_a_search(case, routing):
    """Each fold gets its own part of groups and weights, in fit and in score."""
    groups = np.repeat(np.arange(6), 15)
    search = GridSearchCV(requests(case.make()), {"hidden_size": [3, 5]}, cv=GroupKFold(3))
    search.fit(case.X, case.y, groups=groups, sample_weight=WEIGHTS)
    score = get_scorer("accuracy" if case.is_classifier else "r2")._score_func
    for i, hidden_size in enumerate((3, 5)):
        for fold, (train, test) in enumerate(GroupKFold(3).split(case.X, groups=groups)):
            model = case.make(hidden_size=hidden_size)
            model.fit(case.X[train], case.y[train], groups=groups[train], sample_weight=WEIGHTS[train])
            predicted = model.predict(case.X[test], groups=groups[test])
            expected = score(case.y[test], predicted, sample_weight=WEIGHTS[test])
            assert search.cv_results_[f"split{fold}_test_score"][i] == expected


def test_metadata_that_nobody_asked_for(case, routing):
    with pytest.raises(UnsetMetadataPassedError, match="groups"):
        make_pipeline(StandardScaler(), case.make()).fit(case.X, case.y, groups=case.groups)


def test_metadata_may_be_declined(case, routing):
    """Groups for the splitter only."""
    model = case.make().set_fit_request(groups=False, sample_weight=False).set_score_request(groups=False)
    groups = np.repeat(np.arange(6), 15)
    scores = cross_val_score(model, case.X, case.y, cv=GroupKFold(3), params={"groups": groups})
    for found, (train, test) in zip(scores, GroupKFold(3).split(case.X, groups=groups), strict=True):
        assert found == case.make().fit(case.X[train], case.y[train]).score(case.X[test], case.y[test])


def test_a_validation_part_through_a_pipeline(case, routing):
    """`transform_input` takes it through the scaler, as for other estimators with X_val."""
    model = case.make(n_iter_no_change=9).set_fit_request(X_val=True, y_val=True)
    pipeline = Pipeline([("scale", StandardScaler()), ("lstm", model)], transform_input=["X_val"])
    pipeline.fit(case.X[:60], case.y[:60], X_val=case.X[60:], y_val=case.y[60:])
    scaler = StandardScaler().fit(case.X[:60])
    plain = case.make(n_iter_no_change=9).fit(
        *(scaler.transform(case.X[:60]), case.y[:60]), X_val=scaler.transform(case.X[60:]), y_val=case.y[60:]
    )
    assert pipeline[-1].validation_scores_ == plain.validation_scores_


def test_a_failed_or_refused_fit_keeps_the_requests(case, routing):
    """Requests and output settings belong to the estimator, not to what was fitted."""
    model = requests(case.make()).set_output(transform="pandas")
    model.fit(case.X, case.y)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(case.X * np.nan, case.y)
    pipeline = make_pipeline(scaler(), model)
    pipeline.fit(case.X, case.y, groups=case.groups, sample_weight=WEIGHTS)
    assert isinstance(model.transform(case.X, groups=case.groups), pd.DataFrame)
