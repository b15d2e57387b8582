"""What the folder of a run holds beside rows without keys: times, truths with their rows; and damaged folders."""

import datetime as dt
import errno
import json
import os
import shutil

import numpy as np
import pytest
from online_case import N_FITTED, X, Y, calls, digest, do, learner

from sklstm.online import OnlineLearner, PageHinkley

OPTIONS = {"update_every": 5, "checkpoint_every": 7}
NOON = dt.datetime(2024, 1, 1, 12)
TIMES = {
    "int": lambda k: k,
    "float": lambda k: k + 0.5,
    "naive": lambda k: NOON + dt.timedelta(hours=k),
    "aware": lambda k: (NOON + dt.timedelta(hours=k)).replace(tzinfo=dt.timezone(dt.timedelta(hours=2))),
}


def begun(folder, **options):
    return learner(path=folder, **{**OPTIONS, **options}).fit(X[:N_FITTED], Y[:N_FITTED])


def make_calls(one, n):
    for call in list(calls(20))[:n]:
        do(one, call)


def left_after(folder, n_calls, **options):
    """Begin a run, make some calls, and leave it as a process does that is killed."""
    one = begun(folder, **options)
    make_calls(one, n_calls)
    one._engine.folder.close()
    return one


@pytest.mark.parametrize("kind", TIMES)
def test_rows_with_times_and_truths_come_back_from_the_journal(kind, tmp_path):
    one = begun(tmp_path / "run")
    for k in range(4):
        one.learn_one(X[k], Y[k], time=TIMES[kind](k))
    one.predict_one(X[4], key="öre", time=TIMES[kind](4))
    one.predict_one(X[5], key=-5)
    one._engine.folder.close()
    again = OnlineLearner.resume(tmp_path / "run")
    assert digest(again) == digest(one)
    assert [key for key, _ in again.pending_] == ["öre", -5]
    with pytest.raises(ValueError, match="out of order in time"):
        again.predict_one(X[6], time=TIMES[kind](4))
    again.close()


def test_the_journal_is_synced_as_often_as_asked(tmp_path, monkeypatch):
    one = begun(tmp_path / "run", sync_every=3, checkpoint_every=1000)
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    for call in list(calls(20))[:10]:
        do(one, call)
    assert len(synced) == 3
    monkeypatch.undo()
    one.close()


@pytest.mark.parametrize("n_bytes", [None, 0, 5])
def test_a_run_without_its_last_journal_goes_on_from_the_checkpoint(n_bytes, tmp_path):
    """As when the process was killed between the two, or in the journal's first bytes."""
    expected = left_after(tmp_path / "whole", 0)
    left_after(tmp_path / "run", 0)
    (journal,) = (tmp_path / "run").glob("journal-*")
    journal.unlink() if n_bytes is None else journal.write_bytes(journal.read_bytes()[:n_bytes])
    again = OnlineLearner.resume(tmp_path / "run")
    assert digest(again) == digest(expected)
    do(again, next(iter(calls(20))))
    again._engine.folder.close()
    again = OnlineLearner.resume(tmp_path / "run")
    assert again.n_calls_ == 1
    again.close()


def test_a_page_hinkley_of_ones_own_goes_on_without_trust(tmp_path):
    options = {"detector": PageHinkley(threshold=3.0), "update_every": 5}
    whole = left_after(tmp_path / "whole", 30, **options)
    left_after(tmp_path / "run", 12, **options)
    again = OnlineLearner.resume(tmp_path / "run")
    for call in list(calls(20))[12:30]:
        do(again, call)
    assert digest(again) == digest(whole)
    assert again.detector.threshold == 3.0
    again.close()


@pytest.mark.parametrize("part", ["checkpoint", "journal", "version"])
def test_what_cannot_be_written_is_told_and_the_run_goes_on(part, tmp_path, monkeypatch):
    """A checkpoint, the journal that begins with it, or a version; the journal of before goes on."""
    options = {"refit": "inline", "refit_every": 130, "refit_rows": 60}
    expected = left_after(tmp_path / "whole", 30, **options)
    one = begun(tmp_path / "run", **options)

    def full(*arguments, **named):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder, versions = one._engine.folder, one._engine.versions
    if part == "version":
        monkeypatch.setattr(versions, "write", full)
    elif part == "checkpoint":
        monkeypatch.setattr(folder, "checkpoint", full)
    else:
        monkeypatch.setattr("sklstm._online.journal._write", full)
    with pytest.warns(UserWarning, match="version 2 could not be written" if part == "version" else "no checkpoint"):
        make_calls(one, 30)
    assert one.metrics()["write_failures"] >= 1
    monkeypatch.undo()
    assert digest(one) == digest(expected)
    folder.close()
    again = OnlineLearner.resume(tmp_path / "run")
    assert digest(again) == digest(expected)
    again.close()


# Damaged


def rewrite(folder, **entries):
    about = json.loads((folder / "learner.json").read_text())
    (folder / "learner.json").write_text(json.dumps({**about, **entries}))


def lost_journal(folder):
    """Remove the first of two journals."""
    journals = sorted(folder.glob("journal-*"))
    assert len(journals) == 2
    last = sorted(folder.glob("checkpoint-*"))[-1]
    last.write_bytes(b"damaged")
    journals[0].unlink()


def other_journal(folder):
    (journal,) = sorted(folder.glob("journal-*"))[-1:]
    content = journal.read_bytes()
    journal.write_bytes(content[:8] + bytes(16) + content[24:])


def all_damaged(folder):
    for one in folder.glob("checkpoint-*"):
        one.write_bytes(b"damaged")


DAMAGE = {
    "text": (lambda f: (f / "learner.json").write_text("{"), "learner.json is damaged"),
    "version": (lambda f: rewrite(f, version=9), "another format than version 1 of 'sklstm online learner'"),
    "run": (lambda f: rewrite(f, run="00" * 16), "holds no checkpoint that is whole"),
    "checkpoints": (all_damaged, "holds no checkpoint that is whole"),
    "journal": (other_journal, "is no journal of this learner"),
    "lost journal": (lost_journal, r"a part of the journal is lost: calls 0 to 7"),
    "nothing": (rewrite, None),
}


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """The folder of a run that was left after 10 calls: two checkpoints, and a journal behind each."""
    folder = tmp_path_factory.mktemp("left") / "run"
    left_after(folder, 10)
    return folder


@pytest.mark.parametrize("name", DAMAGE)
@pytest.mark.filterwarnings("ignore:.*The checkpoint before it is taken")
def test_a_damaged_folder_is_refused(name, left, tmp_path):
    change, message = DAMAGE[name]
    shutil.copytree(left, tmp_path / "run")
    change(tmp_path / "run")
    if message is None:
        OnlineLearner.resume(tmp_path / "run").close()
        return
    with pytest.raises(ValueError, match=message):
        OnlineLearner.resume(tmp_path / "run")
    with pytest.raises(ValueError, match=message):  # and not that it is in use
        OnlineLearner.resume(tmp_path / "run")


def test_a_record_that_cannot_be_applied(left, tmp_path):
    """A row of another width, in the middle of the journal."""
    from sklstm._online.journal import Journal
    from sklstm._online.records import row_record

    shutil.copytree(left, tmp_path / "run")
    run = json.loads((tmp_path / "run" / "learner.json").read_text())["run"]
    journal = Journal(sorted((tmp_path / "run").glob("journal-*"))[-1], bytes.fromhex(run), 7, None)
    for _ in range(2):
        journal.append(row_record(np.ones(1), None, None, 0))
    journal.close()
    with pytest.raises(ValueError, match="the journal is damaged: its record 3 cannot be applied"):
        OnlineLearner.resume(tmp_path / "run")
