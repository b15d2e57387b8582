"""Runs of a learner in a folder: whatever ends a process, the run goes on with the same bits."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from online_case import N_FITTED, X, Y, calls, digest, do, learner, regressor
from reliability.killed_learner import Forked, kill_runs

from sklstm.online import OnlineLearner, Rollout

N_ROWS = 24
OPTIONS = {
    "update_every": 5,
    "refit": "inline",
    "refit_every": 130,
    "refit_rows": 60,
    "checkpoint_every": 7,
    "replay": 4,
}


def begun(folder, **options):
    return learner(path=folder, **{**OPTIONS, **options}).fit(X[:N_FITTED], Y[:N_FITTED])


def go_on(one):
    """Make all calls from the first that the learner does not know; return the predictions."""
    return [do(one, call) for k, call in enumerate(calls(N_ROWS)) if k >= one.n_calls_]


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    one = begun(tmp_path_factory.mktemp("whole") / "run")
    answers = go_on(one)
    found = {"answers": answers, "digest": digest(one), "numbers": one._engine.versions.numbers()}
    one.close()
    return found


def check(folder, expected):
    """Resume a run, let it end, and compare it with one that was never interrupted."""
    one = OnlineLearner.resume(folder)
    n_calls = one.n_calls_
    answers = go_on(one)
    assert answers == expected["answers"][n_calls:]
    assert digest(one) == expected["digest"]
    store = one._engine.versions
    assert store.numbers() == expected["numbers"]
    for number in store.numbers():
        store.read(number)
    one.close()
    return n_calls


def test_memory_and_disk_give_the_same_bits(expected):
    one = learner(**OPTIONS).fit(X[:N_FITTED], Y[:N_FITTED])
    assert go_on(one) == expected["answers"]
    assert digest(one) == expected["digest"]
    assert one.version_ == 2
    assert expected["numbers"] == [1, 2]


@pytest.mark.parametrize("n_calls", [0, 1, 6, 7, 8, 20, 27, 48])
def test_a_run_goes_on_where_it_was_left(tmp_path, expected, n_calls):
    one = begun(tmp_path / "run")
    for call in list(calls(N_ROWS))[:n_calls]:
        do(one, call)
    one._engine.folder.close()  # nothing is written any more
    assert check(tmp_path / "run", expected) == n_calls


def test_a_closed_run_goes_on(tmp_path, expected):
    one = begun(tmp_path / "run")
    for call in list(calls(N_ROWS))[:10]:
        do(one, call)
    one.close()
    assert check(tmp_path / "run", expected) == 10


# A crash at every single operation that changes a file

OPERATIONS = ["write", "replace", "rename", "fsync", "ftruncate", "unlink", "mkdir", "open"]


def crash_at(n, folder):
    """Run in a forked process that ends, without any clean-up, before its n-th operation; return whether it came."""
    process = os.fork()
    if process:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 9
    count = 0

    def counted(operation):
        def run(*arguments, **named):
            nonlocal count
            count += 1
            if count == n:
                if operation is real["write"]:  # a part of it has been written
                    operation(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                os._exit(9)
            return operation(*arguments, **named)

        return run

    real = {name: getattr(os, name) for name in OPERATIONS}
    try:
        for name in OPERATIONS:
            setattr(os, name, counted(real[name]))
        one = OnlineLearner.resume(folder) if (folder / "learner.json").exists() else begun(folder)
        go_on(one)
        os._exit(0)
    except BaseException:
        os._exit(7)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_crash_at_any_operation_loses_nothing(tmp_path, expected):
    n, crashes = 1, 0
    while crash_at(n, tmp_path / "run"):
        if (tmp_path / "run" / "learner.json").exists():
            # Each time from the beginning: what follows is another crash, some operations later.
            crashes += 1
        n += 13 if n > 40 else 3
    assert crashes > 5
    check(tmp_path / "run", expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_run_with_background_refits_survives_kill_9(tmp_path):
    """More of it, for 50 kills: tests/reliability/killed_learner.py."""
    told = kill_runs(tmp_path, n_kills=3, seed=0, n_rows=130, start=Forked)
    assert told["n_kills"] == 3
    assert told["n_wrong"] == 0


# What is refused


def test_the_folder_of_another_run_is_refused(tmp_path):
    folder = tmp_path / "run"
    one = begun(folder)
    with pytest.raises(ValueError, match="is in use by another learner, in this or another process, or by this one"):
        OnlineLearner.resume(folder)
    one.close()
    with pytest.raises(
        ValueError, match=r"holds the run of a learner like this one\. Go on with it by OnlineLearner\.resu"
    ):
        begun(folder)
    with pytest.raises(ValueError, match=r"another model, with hidden_size=4 and not 5\. Go on"):
        learner(regressor().set_params(hidden_size=5), path=folder, **OPTIONS).fit(X[:N_FITTED], Y[:N_FITTED])
    with pytest.raises(ValueError, match="the run of another model than expected, with hidden_size=4 and not 5"):
        OnlineLearner.resume(folder, regressor().set_params(hidden_size=5))
    OnlineLearner.resume(folder, regressor()).close()
    with pytest.raises(ValueError, match=r"holds no run of a learner: learner\.json is missing"):
        OnlineLearner.resume(tmp_path)


def test_a_damaged_checkpoint_is_passed_over(tmp_path, expected):
    folder = tmp_path / "run"
    one = begun(folder)
    for call in list(calls(N_ROWS))[:20]:
        do(one, call)
    one._engine.folder.close()
    last = sorted(folder.glob("checkpoint-*"))[-1]
    content = bytearray(last.read_bytes())
    content[-100] ^= 1
    last.write_bytes(content)
    with pytest.warns(UserWarning, match="The checkpoint before it is taken"):
        assert check(folder, expected) == 20


def test_a_journal_that_was_cut_off_ends_earlier(tmp_path, expected):
    folder = tmp_path / "run"
    one = begun(folder)
    for call in list(calls(N_ROWS))[:20]:
        do(one, call)
    one._engine.folder.close()
    last = sorted(folder.glob("journal-*"))[-1]
    with open(last, "r+b") as file:
        file.truncate(last.stat().st_size - 1)
    assert check(folder, expected) == 19


def test_a_refused_row_is_taken_out_of_the_journal(tmp_path, expected):
    one = begun(tmp_path / "run")
    with pytest.raises(ValueError, match="x contains NaN"):
        one.predict_one(np.array([0.0, np.nan, 1.0]))
    one._engine.folder.close()
    assert check(tmp_path / "run", expected) == 0


def test_a_process_killed_before_it_took_a_refused_row_out(tmp_path, expected):
    one = begun(tmp_path / "run")
    one._engine.folder.undo = lambda: None  # it was killed before
    with pytest.raises(ValueError, match="x contains NaN"):
        one.predict_one(np.array([0.0, np.nan, 1.0]))
    one._engine.folder.close()
    assert check(tmp_path / "run", expected) == 0


def test_a_full_disk_leaves_the_state(tmp_path, expected, monkeypatch):
    """A write that takes a part and then fails, as on a disk that is full."""
    one = begun(tmp_path / "run")
    for call in list(calls(N_ROWS))[:8]:
        do(one, call)
    before, write = digest(one), os.write

    def full(file, content):
        if len(content) > 5:
            return write(file, bytes(content[:5]))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="the row was not taken, as the journal cannot be written; send it again"):
        do(one, list(calls(N_ROWS))[8])
    monkeypatch.undo()
    assert digest(one) == before
    answers = go_on(one)
    assert answers == expected["answers"][8:]
    assert digest(one) == expected["digest"]
    one._engine.folder.close()
    check(tmp_path / "run", expected)


LIMITED = """
import resource, sys, warnings
warnings.simplefilter("ignore")
from online_case import *
one = learner(path=sys.argv[1], update_every=5, checkpoint_every=20).fit(X[:N_FITTED], Y[:N_FITTED])
done, steps = 0, list(calls(200))
sys.dont_write_bytecode = True  # what the limit cuts off would be read by later processes
resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))
try:
    for done, call in enumerate(steps):
        do(one, call)
except OSError as error:
    print(done, one.n_calls_, error.errno, one.metrics()["write_failures"] > 0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a limit on the size of files")
def test_files_that_may_not_grow_stop_the_run_without_harm(tmp_path):
    """Checkpoints fail with a warning, the journal goes on until it cannot; the run goes on elsewhere."""
    folder = tmp_path / "run"
    here = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([here, *filter(None, sys.path)])}
    told = subprocess.run(
        [sys.executable, "-c", LIMITED, str(folder)], capture_output=True, text=True, env=environment, check=True
    ).stdout.split()
    done, n_calls, error, failed = int(told[0]), int(told[1]), int(told[2]), told[3]
    assert (n_calls, error, failed) == (done, errno.EFBIG, "True")
    assert done > 60
    one = OnlineLearner.resume(folder)
    assert one.n_calls_ == done
    one.close()


# Detectors of other packages, and rollouts


class Counter:
    """A detector that alarms every 15 losses."""

    def __init__(self):
        self.n, self.drift_detected = 0, False

    def update(self, x):
        self.n += 1
        self.drift_detected = self.n % 15 == 0


def test_a_detector_of_another_package_needs_trust(tmp_path):
    options = {"detector": Counter(), "update_every": 5}
    whole = learner(**options).fit(X[:N_FITTED], Y[:N_FITTED])
    go_on(whole)
    one = learner(path=tmp_path / "run", **options).fit(X[:N_FITTED], Y[:N_FITTED])
    for call in list(calls(N_ROWS))[:33]:
        do(one, call)
    one._engine.folder.close()
    with pytest.raises(ValueError, match="a pickle, which runs code when it is read"):
        OnlineLearner.resume(tmp_path / "run")
    one = OnlineLearner.resume(tmp_path / "run", trust=True)
    go_on(one)
    assert one.metrics()["drifts"] == whole.metrics()["drifts"]


def test_a_trial_goes_on(tmp_path):
    options = {**OPTIONS, "rollout": Rollout(shares=(0.5, 1.0), rows_per_stage=4, margin=0.0, error_budget=1e9)}
    whole = learner(**options).fit(X[:N_FITTED], Y[:N_FITTED])
    answers = go_on(whole)
    assert "refitted" in whole.history_["kind"]
    one = begun(tmp_path / "run", **options)
    for call in list(calls(N_ROWS))[:27]:
        do(one, call)
    assert one.challenger_ is not None
    one._engine.folder.close()
    one = OnlineLearner.resume(tmp_path / "run")
    assert go_on(one) == answers[27:]
    assert digest(one) == digest(whole)
    one.close()
