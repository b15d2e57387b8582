"""Callbacks on every network: their tasks, what they are given, and that they change no bit of what is learnt."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest
from estimator_case import parameters_equal
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_continued_training import same

import sklstm._training.loop
from sklstm import DeepLSTMRegressor, LSTMFeatureSelector, WeightedEnsembleRegressor, load_model, save_model
from sklstm._callbacks.support import ATTRIBUTES
from sklstm._callbacks.tasks import NetworkTasks
from sklstm.callbacks import EpochRecord, LearningCurve


class Spy:
    """Notes all that it is told; `stop_after` epochs it asks to stop, `fail_in` names the hook that raises."""

    def __init__(self, stop_after=None, fail_in=None):
        self.stop_after, self.fail_in, self.told, self.records, self.models = stop_after, fail_in, [], [], []
        self.given, self.estimators = [], []

    def note(self, hook, estimator, context):
        self.told.append((hook, context.task_name))
        self.estimators.append(estimator)
        if self.fail_in == (hook, context.task_name):
            raise RuntimeError("no more")

    def setup(self, estimator, context):
        self.note("setup", estimator, context)

    def teardown(self, estimator, context):
        self.note("teardown", estimator, context)

    def on_fit_task_begin(self, estimator, context):
        self.note("begin", estimator, context)

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        self.note("end", estimator, context)
        self.given.append((X, y, metadata))
        self.models.append(fitted_estimator)
        if context.task_name == "epoch":
            self.records.append(context.epoch)
            return self.stop_after == len(self.records)
        return None


class Quiet(Spy):
    """Asks for nothing."""

    def on_fit_task_end(self, estimator, context):
        self.note("end", estimator, context)


EPOCH = [("begin", "epoch"), ("end", "epoch")]


@pytest.mark.parametrize("options", [{}, {"early_stopping": True}, {"early_stopping": True, "solver": "schedule_free"}])
def test_a_fit_has_a_task_for_each_epoch(case, options):
    spy, plain = Spy(), case.fit(**options)
    model = case.make(**options).set_callbacks(spy).fit(case.X, case.y)
    n = model.n_iter_
    assert spy.told == [("setup", "fit"), ("begin", "fit"), *EPOCH * n, ("end", "fit"), ("teardown", "fit")]
    assert all(estimator is model for estimator in spy.estimators)
    assert all(X is case.X and y is case.y and metadata is None for X, y, metadata in spy.given)
    assert same(without(model), vars(plain))
    assert [record.loss for record in spy.records] == model.loss_curve_
    assert [record.gradient_norm for record in spy.records] == model.gradient_norms_
    assert [record.number for record in spy.records] == list(range(1, n + 1))
    assert [record.is_last for record in spy.records] == [False] * (n - 1) + [True]
    scores = [record.validation_score for record in spy.records]
    assert scores == (model.validation_scores_ or [None] * n)
    assert [record.validation_loss for record in spy.records] == (model.validation_loss_curve_ or [None] * n)
    assert {(type(r), r.last, r.network, r.n_networks) for r in spy.records} == {(EpochRecord, 3, 0, 1)}
    assert spy.records[0].learning_rate == 1e-3
    assert 0 < spy.records[0].n_samples <= len(case.X)
    assert spy.records[0].is_best
    assert same(without(spy.models[-1]), vars(plain))  # the end of the fit


def without(model):
    return {name: value for name, value in vars(model).items() if name not in ATTRIBUTES}


def test_the_fitted_estimator_of_an_epoch_is_that_of_so_many_epochs(case):
    spy = Spy()
    case.make(max_iter=4, learning_rate_init=0.1, carry_context=True).set_callbacks(spy).fit(case.X, case.y)
    for n, model in enumerate(spy.models[:4], 1):
        expected = case.make(max_iter=n, learning_rate_init=0.1, carry_context=True).fit(case.X, case.y)
        assert same(without(model.set_params(max_iter=n)), vars(expected))
        np.testing.assert_array_equal(model.predict(case.X), expected.predict(case.X))
        assert not hasattr(model, "_skl_callbacks")


@pytest.mark.parametrize(
    "options",
    [
        {"linear_skip": 2, "early_stopping": True},
        {"linear_skip": 2, "linear_skip_training": "fine_tune", "early_stopping": True},
        {"loss": "quantile", "quantile": [0.25, 0.5, 0.75], "conformal": True, "early_stopping": True},
        {"group_scaling": "standard"},
        {"decoder": "recurrent", "horizon": True},
        {"training": "stateful", "shuffle": False},
    ],
    ids=str,
)
def test_with_every_part_of_a_network(options):
    """The estimators of epochs answer, and asking for them changes nothing."""
    rng = np.random.default_rng(0)
    X, more = rng.normal(size=(90, 3)), {}
    options = dict(options)
    y = rng.normal(size=(90, 4)) if options.pop("horizon", False) else X[:, 0] + np.roll(X[:, 1], 1)
    if "group_scaling" in options:
        more = {"groups": np.repeat([0, 1], 45)}
    model = DeepLSTMRegressor(4, sequence_length=5, max_iter=4, learning_rate_init=0.05, random_state=0, **options)
    spy, plain = Spy(), clone(model).fit(X, y, **more)
    model.set_callbacks(spy).fit(X, y, **more)
    assert same(without(model), vars(plain))
    for fitted in spy.models:
        assert np.isfinite(fitted.predict(X, **more)).all()
    assert (spy.given[0][2] or {}).keys() == more.keys()
    np.testing.assert_array_equal(spy.models[-1].predict(X, **more), model.predict(X, **more))


def test_of_each_network_of_several_seeds(case):
    for n_jobs in (1, 2):
        spy = Spy()
        options = {"n_seeds": 3, "n_jobs": n_jobs, "max_iter": 2}
        model = case.make(**options).set_callbacks(spy).fit(case.X, case.y)
        assert same(without(model), vars(case.fit(**options)))
        assert spy.told[:2] == [("setup", "fit"), ("begin", "fit")]
        assert spy.told[-2:] == [("end", "fit"), ("teardown", "fit")]
        expected = [("begin", "network"), *EPOCH * 2, ("end", "network")] * 3
        assert sorted(spy.told[2:-2]) == sorted(expected)
        assert n_jobs > 1 or spy.told[2:-2] == expected
        assert {record.network for record in spy.records} == {0, 1, 2}
        for which in range(3):
            curve = [record.loss for record in spy.records if record.network == which]
            one = model.other_networks_[which - 1] if which else vars(model)
            assert curve == one["loss_curve_"]
        alone = [fitted for fitted in spy.models if not hasattr(fitted, "other_networks_")]
        assert len(alone) == 3 * 3
        assert all(len(fitted.predict(case.X)) == 90 for fitted in alone)


def test_a_callback_ends_the_training_as_early_stopping_does(case):
    options = {"max_iter": 9, "learning_rate_init": 0.3, "early_stopping": True}
    whole = case.make(**{**options, "max_iter": 4}).fit(case.X, case.y)
    for schedule in ("constant", "reduce_on_plateau"):
        model = case.make(**options, learning_rate=schedule).set_callbacks(Spy(stop_after=4)).fit(case.X, case.y)
        assert model.n_iter_ == 4
    model = case.make(**options).set_callbacks(Quiet(), Spy(stop_after=4), Quiet()).fit(case.X, case.y)
    assert parameters_equal(model, whole)
    assert model.best_iteration_ == whole.best_iteration_
    cosine = case.make(**options, learning_rate="cosine").set_callbacks(Spy(stop_after=2)).fit(case.X, case.y)
    assert cosine.n_iter_ == 2


def test_without_validation_the_last_epoch_is_kept(case):
    model = case.make(max_iter=9).set_callbacks(Spy(stop_after=3)).fit(case.X, case.y)
    assert parameters_equal(model, case.fit(max_iter=3))


def test_one_of_several_networks_is_stopped(case):
    class StopsTheSecond(Quiet):
        def on_fit_task_end(self, estimator, context):
            return context.task_name == "epoch" and context.epoch.network == 1 and context.epoch.number == 2

    model = case.make(n_seeds=3, max_iter=4, n_jobs=2).set_callbacks(StopsTheSecond()).fit(case.X, case.y)
    assert [model.n_iter_, *(one["n_iter_"] for one in model.other_networks_)] == [4, 2, 4]


def three_epochs(model, case):
    for _ in range(3):
        model.partial_fit(case.X, case.y, **({"classes": np.unique(case.y)} if case.is_classifier else {}))
    return model


def test_partial_fit_and_warm_start_count_on(case):
    spy = Spy()
    model = case.make().set_callbacks(spy)
    three_epochs(model, case)
    one = [
        ("setup", "partial_fit"),
        ("begin", "partial_fit"),
        *EPOCH,
        ("end", "partial_fit"),
        ("teardown", "partial_fit"),
    ]
    assert spy.told == one * 3
    assert [(record.number, record.last) for record in spy.records] == [(1, 1), (2, 2), (3, 3)]
    assert [record.loss for record in spy.records] == model.loss_curve_
    model.set_params(warm_start=True, max_iter=2).fit(case.X, case.y)
    assert [(record.number, record.last) for record in spy.records[3:]] == [(4, 5), (5, 5)]
    assert not set(vars(model)) & {*ATTRIBUTES} - {"_skl_callbacks"}
    plain = three_epochs(case.make(), case)
    plain.set_params(warm_start=True, max_iter=2).fit(case.X, case.y)
    assert same(without(model), vars(plain))


@pytest.mark.parametrize("kind", ["array", "ragged"])
def test_sequences_and_weights_come_as_the_user_gave_them(case, kind):
    X, y = getattr(case, kind), getattr(case, f"{kind}_y")
    weights, spy = np.linspace(1, 2, len(X)), Spy()
    case.make().set_callbacks(spy).fit(X, y, sample_weight=weights)
    assert all(given[0] is X and given[1] is y and given[2]["sample_weight"] is weights for given in spy.given)


# Errors


CALLS = [("setup", "fit"), ("begin", "fit"), *EPOCH, ("end", "fit"), ("teardown", "fit")]


@pytest.mark.parametrize(
    ("hook", "task", "n_seeds"),
    [*((*call, 1) for call in CALLS), *((*call, 3) for call in [*CALLS, ("begin", "network"), ("end", "network")])],
)
def test_after_an_error_the_estimator_is_as_it_was(case, hook, task, n_seeds):
    for fitted in (False, True):
        spy, beside = Spy(fail_in=(hook, task)), Quiet()
        model = case.make(n_seeds=n_seeds, n_jobs=2)
        if fitted:
            model.fit(case.X, case.y)
        before = copy.deepcopy(vars(model))
        with pytest.raises(RuntimeError, match="no more"):
            model.set_callbacks(beside, spy).fit(case.X[:80], case.y[:80])
        assert same(without(model), before)
        assert beside.told[-1] == ("teardown", "fit")
        assert set(vars(model)) & {*ATTRIBUTES} == {"_skl_callbacks"}
        assert parameters_equal(model.set_callbacks().fit(case.X, case.y), case.fit(n_seeds=n_seeds))


def test_partial_fit_after_an_error(case):
    model = case.make().partial_fit(case.X, case.y)
    before = copy.deepcopy(vars(model))
    with pytest.raises(RuntimeError, match="no more"):
        model.set_callbacks(Spy(fail_in=("end", "epoch"))).partial_fit(case.X, case.y)
    assert same(without(model), before)


def test_wrong_data_reach_no_callback(case):
    spy = Quiet()
    with pytest.raises(ValueError, match="NaN"):
        case.make().set_callbacks(spy).fit(np.full((90, 3), np.nan), case.y)
    assert spy.told == []


def test_an_interrupt_keeps_the_finished_epochs(case):
    class Interrupts(Quiet):
        def on_fit_task_begin(self, estimator, context):
            self.note("begin", estimator, context)
            if self.told.count(("begin", "epoch")) == 3:
                raise KeyboardInterrupt

    spy = Interrupts()
    model = case.make(max_iter=6).set_callbacks(spy)
    with pytest.warns(UserWarning, match="in epoch 3"), pytest.raises(KeyboardInterrupt):
        model.fit(case.X, case.y)
    assert parameters_equal(model, case.fit(max_iter=2))
    assert spy.told[-1] == ("teardown", "fit")
    assert ("end", "fit") not in spy.told


@pytest.mark.parametrize("wrong", [print, Quiet, "epoch", None])
def test_what_is_no_callback_is_refused(case, wrong):
    with pytest.raises(TypeError, match="callbacks must be"):
        case.make().set_callbacks(Quiet(), wrong)


def test_an_unknown_argument_is_refused(case):
    class Asks(Quiet):
        def on_fit_task_end(self, estimator, context, *, loss):
            pass

    with pytest.raises(TypeError, match="loss"):
        case.make().set_callbacks(Asks()).fit(case.X, case.y)


# What is not there costs nothing


def test_without_callbacks_nothing_is_made(case, monkeypatch):
    def refuse(*arguments, **keywords):
        raise AssertionError("made without need")

    monkeypatch.setattr(sklstm._training.loop, "EpochEnd", refuse)
    monkeypatch.setattr(NetworkTasks, "__init__", refuse)
    case.fit(n_seeds=2)


def test_fitted_estimators_are_made_only_where_they_are_asked_for(case, monkeypatch):
    def refuse(*arguments):
        raise AssertionError("made without need")

    monkeypatch.setattr("sklstm._network_training._as_after", refuse)
    case.make().set_callbacks(Quiet(), LearningCurve()).fit(case.X, case.y)
    with pytest.raises(AssertionError, match="without need"):
        case.make().set_callbacks(Spy()).fit(case.X, case.y)


def test_contexts_hold_no_networks(case):
    """A search keeps the contexts of all its fits."""

    class Keeps(Quiet):
        def setup(self, estimator, context):
            self.context = context

        def on_fit_task_begin(self, estimator, context):
            if hasattr(context, "_sklstm_training"):
                self.training = weakref.ref(context._sklstm_training)

    for options in ({}, {"n_seeds": 2}):
        spy = Keeps()
        case.make(**options).set_callbacks(spy).fit(case.X, case.y)
        gc.collect()
        assert len(list(spy.context)) > 3
        assert spy.training() is None


# Clones, copies and pickles


def test_clones_have_the_same_callbacks_and_parameters_do_not_know_them(case):
    spy = Quiet()
    model = case.make()
    names = set(model.get_params())
    assert set(model.set_callbacks(spy).get_params()) == names
    assert clone(model)._skl_callbacks[0] is spy
    fitted = model.fit(case.X, case.y)
    assert fitted._skl_callbacks == [spy]
    assert pickle.loads(pickle.dumps(fitted.set_callbacks(LearningCurve())))._skl_callbacks[0].curves == []
    assert not hasattr(model.set_callbacks(), "_skl_callbacks")


def test_model_files_hold_no_callbacks(case, tmp_path):
    model = case.make().set_callbacks(Quiet()).fit(case.X, case.y)
    save_model(model, tmp_path / "model")
    assert same(without(model), vars(load_model(tmp_path / "model")))


# Around networks


def network(**parameters):
    return DeepLSTMRegressor(**{"hidden_size": 3, "sequence_length": 4, "max_iter": 2, "random_state": 0, **parameters})


X = np.random.default_rng(0).normal(size=(60, 2))
y = X[:, 0]


def test_in_a_pipeline_and_a_selector():
    spy, of_selector = Spy(), Spy()
    selector = LSTMFeatureSelector(min_autocorrelation=0).set_callbacks(of_selector)
    pipeline = make_pipeline(StandardScaler(), selector, network().set_callbacks(spy)).fit(X, y)
    assert spy.told[2:-2] == EPOCH * 2
    assert len(spy.given[0][0]) == 60
    assert of_selector.told == [("setup", "fit"), ("begin", "fit"), ("end", "fit"), ("teardown", "fit")]
    np.testing.assert_array_equal(of_selector.models[0].get_support(), selector.get_support())
    assert of_selector.given[0][1] is y
    plain = make_pipeline(StandardScaler(), LSTMFeatureSelector(min_autocorrelation=0), network()).fit(X, y)
    np.testing.assert_array_equal(pipeline.predict(X), plain.predict(X))
    assert set(vars(selector)) & {*ATTRIBUTES} <= {"_skl_callbacks"}


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_in_a_search(n_jobs):
    curve, grid = LearningCurve(), {"hidden_size": [2, 3]}
    search = GridSearchCV(network(), grid, cv=TimeSeriesSplit(2), n_jobs=n_jobs)
    plain = clone(search).fit(X, y)
    search.estimator.set_callbacks(curve)
    search.fit(X, y)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"])
    pytest.importorskip("sklearn.callback")
    curves = curve.curves
    assert len(curves) == 5
    assert len({one["task"] for one in curves}) == 5
    assert {one["run"] for one in curves} == {0}
    assert all(one["epoch"].tolist() == [1, 2] for one in curves)
    assert curves[-1]["loss"].tolist() == search.best_estimator_.loss_curve_


def test_in_an_ensemble():
    curve = LearningCurve()
    members = [("net", network().set_callbacks(curve)), ("line", LinearRegression())]
    WeightedEnsembleRegressor(members, weights=(0.5, 0.5)).fit(X, y)
    assert [one["epoch"].tolist() for one in curve.curves] == [[1, 2]]


def test_those_of_scikit_learn(capsys):
    callback = pytest.importorskip("sklearn.callback")
    monitor = callback.ScoringMonitor(scoring="r2")
    model = network(max_iter=3).set_callbacks(monitor).fit(X, y)
    rows = monitor.get_logs().data
    assert [row["task_name"] for row in rows] == ["fit", "epoch", "epoch", "epoch"]
    assert rows[0]["r2"] == rows[-1]["r2"] == model.score(X, y)
    assert rows[1]["r2"] == network(max_iter=1).fit(X, y).score(X, y)
    pytest.importorskip("rich")
    search = GridSearchCV(
        make_pipeline(StandardScaler(), network()), {"standardscaler__with_mean": [True, False]}, cv=2
    )
    search.set_callbacks(callback.ProgressBar(max_propagation_depth=None)).fit(X, y)
    assert "DeepLSTMRegressor" in capsys.readouterr().out
    assert not hasattr(search.best_estimator_[-1], "_skl_callbacks")
