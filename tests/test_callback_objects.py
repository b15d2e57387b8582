"""The callbacks `ProgressBar`, `LearningCurve` and `OptunaPruning`."""

import copy
import io
import multiprocessing
import pickle
import re
import sys
import threading
from contextlib import redirect_stdout

import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor
from sklstm._callbacks.progress_bar import Bars, Lines, open_display, shortened
from sklstm.callbacks import LearningCurve, OptunaPruning, ProgressBar

X = np.random.default_rng(0).normal(size=(90, 3))
y = X[:, 0]
SMALL = {"hidden_size": 4, "sequence_length": 5, "max_iter": 3, "random_state": 0}


def network(**parameters):
    return DeepLSTMRegressor(**{**SMALL, **parameters})


# Progress

LINE = re.compile(
    r"(?P<label>.*): epoch (?P<number>\d+)/(?P<last>\d+), loss (?P<loss>\d\.\d{6})"
    r"(, validation score (?P<score>-?\d\.\d{6}))?, [\d,]+ rows/s(?P<left>, at most .* left)?"
)


def lines(capsys):
    return [LINE.fullmatch(line) for line in capsys.readouterr().out.splitlines()]


def test_lines_where_there_is_no_terminal(capsys):
    model = network().set_callbacks(ProgressBar()).fit(X, y)
    found = lines(capsys)
    assert [line["label"] for line in found] == ["DeepLSTMRegressor"] * 3
    assert [(line["number"], line["last"]) for line in found] == [("1", "3"), ("2", "3"), ("3", "3")]
    assert [float(line["loss"]) for line in found] == [round(loss, 6) for loss in model.loss_curve_]
    assert [line["left"] is None for line in found] == [False, False, True]
    assert {line["score"] for line in found} == {None}


def test_lines_of_validation_and_of_several_networks(capsys):
    bar = ProgressBar()
    model = network(early_stopping=True, n_seeds=2).set_callbacks(bar).fit(X, y)
    found = lines(capsys)
    assert sorted(line["label"] for line in found) == [f"DeepLSTMRegressor, network {k}/2" for k in "111222"]
    scores = [float(line["score"]) for line in found if line["label"].endswith("1/2")]
    assert scores == [round(score, 6) for score in model.validation_scores_]
    assert bar._display is None
    assert not bar._trainings


def test_lines_without_rich(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert isinstance(open_display(), Lines)
    network().set_callbacks(ProgressBar()).fit(X, y)
    assert all(lines(capsys))


def test_lines_in_other_processes(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(multiprocessing.current_process(), "_config", {})
    monkeypatch.setattr(multiprocessing.current_process(), "_name", "LokyProcess-1")
    assert isinstance(open_display(), Lines)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    pytest.importorskip("rich")
    for name in ("NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    return Terminal()


@pytest.mark.parametrize("n_seeds", [1, 2])
def test_bars_in_a_terminal(terminal, n_seeds):
    bar = ProgressBar()
    with redirect_stdout(terminal):
        model = network(n_seeds=n_seeds).set_callbacks(bar).fit(X, y)
    shown = terminal.getvalue()
    assert f"loss {model.loss_:.6f}" in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1  # the cursor is back
    assert "3/3" in shown
    assert bar._display is None


def test_bars_in_a_narrow_terminal_keep_epoch_and_loss(terminal, monkeypatch):
    """No column is cut off, and before the first epoch there is no number of epochs to show."""
    monkeypatch.setenv("COLUMNS", "80")
    with redirect_stdout(terminal):
        model = network(n_seeds=2).set_callbacks(ProgressBar()).fit(X, y)
    shown = terminal.getvalue()
    assert f"loss {model.loss_:.6f}" in shown
    assert "3/3" in shown
    assert "network 2/2" in shown
    assert "…" not in shown
    assert "None" not in shown


def test_what_is_told_is_shortened_from_the_least_of_it():
    told = "loss 0.1, validation score 0.5, 12,000 rows/s, at most 3.2 s left"
    expected = [
        told,
        "loss 0.1, validation score 0.5, at most 3.2 s left",
        "loss 0.1, validation score 0.5",
        "loss 0.1, validation 0.5",
        "loss 0.1",
    ]
    for text in expected:
        assert shortened(told, len(text)) == text
    assert shortened(told, 2) == "loss 0.1"


def test_bars_are_closed_after_an_error(terminal):
    bar = ProgressBar()
    with redirect_stdout(terminal), pytest.raises(ValueError, match="every"):
        network().set_callbacks(bar, Raises("every")).fit(X, y)
    assert terminal.getvalue().endswith("\x1b[?25h")
    assert bar._display is None


class Raises(LearningCurve):
    def __init__(self, message):
        super().__init__()
        self.message = message

    def _after_epoch(self, training, record):
        raise ValueError(self.message)


def test_two_displays_at_once_do_not_fail(terminal):
    with redirect_stdout(terminal):
        first = open_display()
        assert isinstance(first, Bars)
        try:
            open_display().close()
        finally:
            first.close()


def test_several_fits_share_a_display(terminal):
    bar, models = ProgressBar(), [network(max_iter=20) for _ in range(4)]
    threads = [threading.Thread(target=model.set_callbacks(bar).fit, args=(X, y)) for model in models]
    with redirect_stdout(terminal):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert bar._display is None
    assert all(model.n_iter_ == 20 for model in models)


def test_progress_inside_a_search(capfd):
    get_reusable_executor().shutdown()  # processes of other tests write elsewhere
    model = make_pipeline(StandardScaler(), network().set_callbacks(ProgressBar()))
    GridSearchCV(model, {"deeplstmregressor__hidden_size": [2, 3]}, cv=2, n_jobs=2).fit(X, y)
    found = [LINE.fullmatch(line) for line in capfd.readouterr().out.splitlines()]
    assert len(found) == 5 * 3
    assert all(found)


# Curves


def test_curves_are_those_of_the_estimator():
    curve = LearningCurve()
    assert curve.curves == []
    assert str(curve) == "LearningCurve: no epoch yet"
    model = network(early_stopping=True, n_seeds=2, n_jobs=2).set_callbacks(curve).fit(X, y)
    first, second = sorted(curve.curves, key=lambda one: one["network"])
    for one, fitted in ((first, vars(model)), (second, model.other_networks_[0])):
        assert one["epoch"].tolist() == [1, 2, 3]
        assert one["loss"].tolist() == fitted["loss_curve_"]
        assert one["gradient_norm"].tolist() == fitted["gradient_norms_"]
        assert one["validation_loss"].tolist() == fitted["validation_loss_curve_"]
        assert one["validation_score"].tolist() == fitted["validation_scores_"]
        assert (one["estimator"], one["run"], one["task"]) == ("DeepLSTMRegressor", 0, (0,))
        assert one["learning_rate"].tolist() == [1e-3] * 3
        assert (one["seconds"] > 0).all()
    assert repr(curve) == "LearningCurve(2 trainings, 6 epochs)"
    assert repr(LearningCurve()) == "LearningCurve(0 trainings, 0 epochs)"
    curve.clear()
    assert curve.curves == []


def test_partial_fits_are_runs():
    curve, model = LearningCurve(), DeepLSTMClassifier(**SMALL)
    model.set_callbacks(curve)
    for _ in range(3):
        model.partial_fit(X, y > 0, classes=[False, True])
    assert [one["run"] for one in curve.curves] == [0, 1, 2]
    assert [one["epoch"].tolist() for one in curve.curves] == [[1], [2], [3]]
    assert np.isnan(curve.curves[0]["validation_score"]).all()


def test_as_text_and_as_a_table():
    curve = LearningCurve()
    model = network().set_callbacks(curve).fit(X, y)
    text = str(curve).splitlines()
    assert text[0].split() == ["epoch", "loss", "gradient", "norm"]
    assert text[3].split() == ["3", f"{model.loss_:.6f}", f"{model.gradient_norms_[-1]:.6f}"]
    pytest.importorskip("pandas")
    assert len(LearningCurve().as_frame()) == 0
    model.fit(X, y)
    frame = curve.as_frame()
    assert frame["run"].tolist() == [0, 0, 0, 1, 1, 1]
    assert frame["loss"].tolist() == model.loss_curve_ * 2
    assert frame["task"].tolist() == [(0,)] * 6


def test_copies_of_curves():
    curve = LearningCurve()
    network().set_callbacks(curve).fit(X, y)
    other = pickle.loads(pickle.dumps(curve))
    network().set_callbacks(other).fit(X, y)
    assert (len(curve.curves), len(other.curves), len(copy.deepcopy(other).curves)) == (1, 2, 2)


# Pruning


class Trial:
    """What a trial of Optuna has: reports, and the decision to prune."""

    def __init__(self, prune_at=None, direction=None):
        self.prune_at, self.reports = prune_at, []
        if direction is not None:
            self.study = type("Study", (), {"direction": type("Direction", (), {"name": direction})})

    def report(self, value, step):
        self.reports.append((step, value))

    def should_prune(self):
        return self.prune_at == self.reports[-1][0]


@pytest.mark.parametrize("monitor", ["validation_score", "validation_loss", "loss"])
@pytest.mark.parametrize("n_seeds", [1, 2])
def test_each_epoch_is_reported(monitor, n_seeds):
    trial = Trial(direction="MAXIMIZE" if monitor == "validation_score" else "MINIMIZE")
    model = network(early_stopping=True, n_seeds=n_seeds)
    model.set_callbacks(OptunaPruning(trial, monitor=monitor)).fit(X, y)
    attribute = {"loss": "loss_curve_", "validation_loss": "validation_loss_curve_"}.get(monitor, "validation_scores_")
    assert trial.reports == list(enumerate(getattr(model, attribute), 1))


def test_wrong_monitors():
    with pytest.raises(ValueError, match="monitor='accuracy' must be"):
        OptunaPruning(Trial(), monitor="accuracy")
    with pytest.raises(ValueError, match="needs a validation part: set early_stopping=True"):
        network().set_callbacks(OptunaPruning(Trial())).fit(X, y)
    with pytest.raises(ValueError, match="needs a study with direction='maximize'"):
        network().set_callbacks(OptunaPruning(Trial(direction="MINIMIZE"))).fit(X, y)
    with pytest.raises(ValueError, match="needs a study with direction='minimize'"):
        network().set_callbacks(OptunaPruning(Trial(direction="MAXIMIZE"), "loss")).fit(X, y)


def test_pruning_in_a_study():
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    class Prunes(optuna.pruners.BasePruner):
        def prune(self, study, trial):
            return trial.number == 1 and trial.last_step == 2

    models = []

    def objective(trial):
        models.append(network(early_stopping=True, n_seeds=1 + trial.number % 2))
        return models[-1].set_callbacks(OptunaPruning(trial)).fit(X, y).best_validation_score_

    study = optuna.create_study(direction="maximize", pruner=Prunes())
    study.optimize(objective, n_trials=3)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED", "COMPLETE"]
    assert [len(trial.intermediate_values) for trial in study.trials] == [3, 2, 3]
    assert not hasattr(models[1], "parameters_")
    with pytest.raises(ValueError, match="direction='maximize'"):
        optuna.create_study(direction="minimize").optimize(objective, n_trials=1)


def test_pruning_through_cross_validation():
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    class Prunes(optuna.pruners.BasePruner):
        def prune(self, study, trial):
            return trial.last_step == 2

    def objective(trial):
        model = network(early_stopping=True).set_callbacks(OptunaPruning(trial))
        return cross_val_score(model, X, y, cv=2, error_score="raise").mean()

    study = optuna.create_study(direction="maximize", pruner=Prunes())
    study.optimize(objective, n_trials=1)
    assert study.trials[0].state.name == "PRUNED"


@pytest.mark.parametrize("make", [ProgressBar, LearningCurve, lambda: OptunaPruning(Trial())])
def test_they_are_set_on_the_network(make):
    pytest.importorskip("sklearn.callback")
    search = GridSearchCV(clone(network()), {"hidden_size": [2]}, cv=2).set_callbacks(make())
    with pytest.raises(TypeError, match="which GridSearchCV has none of: set it on the network itself"):
        search.fit(X, y)
