"""Ctrl-C at any line of a call: the learner is as before, or the call is done; and what it has left to do is done."""

import pickle
from pathlib import Path

import pytest
from interruption import cut_at
from online_case import N_FITTED, X, Y, digest, learner, regressor

import sklstm._online
from sklstm._online.versions import VersionStore
from sklstm.online import OnlineLearner, PageHinkley, Rollout

FILES = {file.name for file in Path(sklstm._online.__file__).parent.glob("*.py")} | {"_stream.py", "stream.py"}
FILES -= {"session.py", "metrics.py"}  # updates have a test of their own, in test_session.py
STATEFUL = {"training": "stateful", "shuffle": False, "bptt_steps": 4}


def at_work(path, **options):
    """A learner with a full buffer, rows that wait, a detector near its alarm, and a challenger."""
    rollout = Rollout(shares=(0.5, 1.0), rows_per_stage=6, margin=0.0, error_budget=1e9)
    settings = {"buffer_size": 24, "refit": "inline", "refit_every": 135, "rollout": rollout, "path": path}
    one = learner(regressor(**STATEFUL), **{"detector": PageHinkley(), **settings, **options})
    one.fit(X[:N_FITTED], Y[:N_FITTED])
    for row in range(N_FITTED, N_FITTED + 19):
        one.predict_one(X[row], key=row, time=row)
        if row < N_FITTED + 17:
            one.learn_one(None, Y[row], key=row)
    assert one.challenger_ is not None
    return one


CALLS = {
    "predict": lambda one, row: one.predict_one(X[row], key=row, time=row),
    "learn": lambda one, row: one.learn_one(None, Y[row - 1], key=row - 1),
    "both": lambda one, row: one.learn_one(X[row], 3 * Y[row]),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("on_disk", [False, True])
def test_a_call_is_done_whole_or_not_at_all(call, on_disk, tmp_path):
    row, path = N_FITTED + 19, tmp_path / "run" if on_disk else None
    one, expected = at_work(path), at_work(tmp_path / "other" if on_disk else None)
    if call == "both":  # no row without a key waits
        one.learn_one(None, Y[row - 1], key=row - 1)
        expected.learn_one(None, Y[row - 1], key=row - 1)
    before, n_calls = digest(one), one.n_calls_
    n_lines = cut_at(None, FILES, lambda: CALLS[call](expected, row))
    wanted = digest(expected)
    assert wanted != before
    for line in range(1, n_lines + 1, 1 + 6 * on_disk):
        cut_at(line, FILES, lambda: CALLS[call](one, row))
        if one.n_calls_ != n_calls:
            assert line > n_lines // 2
            break
        assert digest(one) == before
    else:
        CALLS[call](one, row)
    assert one.n_calls_ == n_calls + 1
    assert digest(pickle.loads(pickle.dumps(one))) == wanted
    if on_disk:
        one._engine.folder.close()
        assert digest(OnlineLearner.resume(path)) == wanted


def test_what_a_call_has_left_to_do_is_done_once(tmp_path, monkeypatch):
    """Update, refit, new version and checkpoint: each is made before the next call, or by a copy."""

    def run(name, line=None):
        one = learner(refit="inline", refit_every=125, checkpoint_every=10, update_every=5, path=tmp_path / name)
        one.fit(X[:N_FITTED], Y[:N_FITTED])
        for row in range(N_FITTED, N_FITTED + 4):
            one.learn_one(X[row], Y[row])
        one._engine.n_checked = -5
        n_lines = cut_at(line, {"engine.py", "work.py"}, lambda: one.learn_one(X[N_FITTED + 4], Y[N_FITTED + 4]))
        if one.n_calls_ < 5:
            one.learn_one(X[N_FITTED + 4], Y[N_FITTED + 4])
        assert digest(pickle.loads(pickle.dumps(one))) == digest(one)
        one.predict_one(X[N_FITTED + 5])
        return one, n_lines

    expected, n_lines = run("expected")
    assert expected.version_ == 2
    assert expected._engine.folder._journal.path.name.endswith("05.log")
    n_interrupts = 0
    write = VersionStore.write

    def interrupted(*arguments):
        nonlocal n_interrupts
        n_interrupts += 1
        if n_interrupts == 2:  # behind the first version
            raise KeyboardInterrupt
        return write(*arguments)

    for line in (None, *range(n_lines // 3, n_lines + 1, n_lines // 5)):
        if line is None:
            monkeypatch.setattr(VersionStore, "write", interrupted)
        one, _ = run(str(line), line or 10**9)
        monkeypatch.undo()
        assert digest(one) == digest(expected)
        assert one._engine.versions.numbers() == expected._engine.versions.numbers()
