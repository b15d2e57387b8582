"""The rows of models that learn online: their sides do what they say, on networks of a few units."""

import importlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

FOLDER = Path(__file__).parent


@pytest.fixture(scope="module")
def modules():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in ("jobs", "live", "online_study")})


def job_of(modules, n_rows, layers=1, training="windows"):
    return modules.live.Live(modules.jobs.Shape(layers, 4, 2), 3, n_rows, 5, training)


@pytest.mark.parametrize("n_rows", [1, 20])
@pytest.mark.parametrize("training", ["windows", "stateful"])
def test_a_call_is_one_update_by_so_many_rows(modules, n_rows, training, monkeypatch):
    from sklstm._online import session, work
    from sklstm._online.row_updates import RowUpdates

    seen, learnt = [], work._learnt_once
    monkeypatch.setattr(work, "_learnt_once", lambda *args: seen.append(len(args[2])) or learnt(*args))
    read, epoch, train = [], session.run_epoch, RowUpdates.train
    run = lambda one, *args: read.append(one.samples.sequences.table) or epoch(one, *args)  # noqa: E731
    monkeypatch.setattr(session, "run_epoch", run)
    monkeypatch.setattr(RowUpdates, "train", lambda *args: read.append(args[2]) or train(*args))
    side = modules.live.update(job_of(modules, n_rows, training=training), 1)
    del seen[:], read[:]
    side.call()
    side.call()
    assert seen == [n_rows, n_rows]
    if training == "stateful":  # each row once
        assert [len(table) for table in read] == seen


def test_a_call_takes_so_many_rows(modules, monkeypatch):
    from sklstm.online import OnlineLearner

    calls, learn_one = [], OnlineLearner.learn_one
    monkeypatch.setattr(OnlineLearner, "learn_one", lambda self, *args: calls.append(self) or learn_one(self, *args))
    modules.live.learn(job_of(modules, 1), 1).call()
    assert len(calls) == 5
    found = calls[0].metrics()
    assert (found["updates"], found["drift_check_count"]) == (5, 5)


def test_the_detector_is_looked_at(modules):
    from sklstm._online.engine import Engine

    with pytest.MonkeyPatch.context() as patch:
        calls = []
        patch.setattr(Engine, "_watch", lambda self, loss: calls.append(loss))
        modules.live.drift_check(job_of(modules, 1), 1).call()
    assert len(calls) == 5


def test_peers_learn(modules):
    perceptron = modules.live.perceptron(job_of(modules, 1), 1)
    perceptron.call()
    assert perceptron.repeats == 5
    pytest.importorskip("deep_river")
    side = modules.live.deep_river(job_of(modules, 1, layers=2), 1)
    side.prepare()
    side.call()
    assert side.repeats == 1


def test_names_and_targets(modules):
    rows = modules.live.live_rows()
    assert len({row.name for row in rows}) == len(rows) == 14
    bounds = {row.name: [target.bound for target in row.targets] for row in rows}
    assert bounds["update-100-5x512"] == [0.12]
    assert bounds["update-1-1x64"] == pytest.approx([8e-5])
    assert all(bounds[name] == [5.0] for name in bounds if name.startswith("learn"))


def test_the_study_scores_each_row_before_its_label_comes(modules):
    """Labels that only the row itself tells: all are right once the network knows them; with others half are."""
    rng = np.random.default_rng(0)
    columns = np.column_stack([rng.normal(size=(900, 2)), np.zeros(900)])
    model = {"hidden_size": 8, "sequence_length": 2, "learning_rate_init": 3e-2, "batch_size": 16}
    learner = {"update_every": 50, "replay": 200, "buffer_size": 400, "refit": None}
    shares = {}
    for name, labels in (("told", columns[:, 0] > 0), ("by chance", rng.normal(size=900) > 0)):
        online, right = modules.online_study.run(columns, labels.astype(int), model, learner, 0, 1)
        assert (len(right), online.n_features_in_, online.n_truths_seen_) == (400, 2, 900)
        shares[name] = right[200:].mean()
    assert shares["told"] > 0.9
    assert 0.35 < shares["by chance"] < 0.65


def test_settings_of_the_study(modules):
    model, learner = modules.online_study.settings_of('{"model": {"hidden_size": 4}, "learner": {"rollout": {}}}')
    assert model == {**modules.online_study.MODEL, "hidden_size": 4}
    assert learner["rollout"].shares[-1] == 1.0
    assert learner["update_every"] == 500
