"""Kill a learner at random moments, with a refit in another process running or not, and let the run go on.

    PYTHONPATH=tests python tests/reliability/killed_learner.py [--kills 50] [--seed 0] [--rows 3000]
        [--training stateful]

A child process learns row by row; it is killed by SIGKILL after a random time, while it fits, reads the folder, learns,
writes or waits for a refit, and another one resumes the run. Each prediction must be that of a run that was never
killed, and in the end the whole state has the same checksum. After each kill all versions in the folder must be whole.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from online_case import N_FITTED, X, Y, calls, digest, do, learner, regressor

from sklstm.online import OnlineLearner, Rollout

OPTIONS = {
    "update_every": 20,
    "replay": 5,
    "buffer_size": 300,
    "detector": "page_hinkley",
    "refit": "background",
    "refit_every": 150,
    "refit_delay": 60,
    "checkpoint_every": 90,
    "keep_versions": 3,
}


def make(folder, training="windows"):
    """Return a learner that has not begun."""
    # Some challengers take over, others are dropped.
    rollout = Rollout(shares=(0.2, 1.0), rows_per_stage=20, margin=0.0, error_budget=0.5)
    model = regressor(max_iter=8, training=training, shuffle=training == "windows")
    # Rows drawn from those long ago do not follow the ones learnt last, whose states are carried.
    options = OPTIONS if training == "windows" else {**OPTIONS, "replay": 0}
    return learner(model, path=folder, rollout=rollout, **options)


def run(folder, n_rows, told, training="windows"):
    """Begin or resume a run and let it end; write the number of each call and its prediction to a file."""
    exists = (Path(folder) / "learner.json").exists()
    one = OnlineLearner.resume(folder) if exists else make(folder, training).fit(X[:N_FITTED], Y[:N_FITTED])
    with open(told, "a", buffering=1) as file:
        file.write("ready\n")
        for k, call in enumerate(calls(n_rows)):
            if k >= one.n_calls_:
                answer = do(one, call)
                if answer is not None:
                    file.write(f"{k} {float(answer).hex()}\n")
    return one


def kill_runs(folder, n_kills, seed=0, n_rows=3000, tell=None, start=None, training="windows"):
    """Kill runs in a folder until there were so many kills.

    Parameters
    ----------
    folder : str or path-like
    n_kills, seed, n_rows : int
    tell : callable or None, default=None
        Called with a line for each kill.
    start : callable or None, default=None
        ``start(folder, n_rows, told, training)`` starts a child; None for a new interpreter each time.
    training : str, default="windows"
        Of the model.

    Returns
    -------
    dict
        How many kills there were, how many of them before the child was ready, how many runs ended, and how many
        predictions, states or versions were wrong.
    """
    folder = Path(folder)
    reference = folder / "told-whole"
    one = run(folder / "whole", n_rows, reference, training)
    expected, checksum = answers(reference), digest(one)
    assert len(expected) == n_rows
    versions = one._engine.versions.numbers()
    # As long as a refit takes, so that some children live to see its end.
    pause = one.metrics()["refit_p50"]
    one.close()
    start = partial(start_interpreter if start is None else start, training=training)
    generator, found = np.random.default_rng(seed), {"n_kills": 0, "n_early": 0, "n_runs": 0, "n_wrong": 0}
    while found["n_kills"] < n_kills:
        found["n_runs"] += 1
        _one_run(folder, found, n_kills, n_rows, generator, (expected, checksum, versions, pause), tell, start)
    return found


def _one_run(folder, found, n_kills, n_rows, generator, reference, tell, start):
    expected, checksum, versions, pause = reference
    run_folder, told = folder / f"run-{found['n_runs']}", folder / f"told-{found['n_runs']}"
    while True:
        lines = count_ready(told)
        child = start(run_folder, n_rows, told)
        killed = False
        if found["n_kills"] < n_kills:
            if generator.random() < 0.2:  # while it starts
                time.sleep(generator.uniform(0.0, 0.3))
            else:
                while child.poll() is None and count_ready(told) == lines:
                    time.sleep(0.01)
                time.sleep(generator.exponential(pause) if generator.random() < 0.7 else generator.uniform(0.0, 0.1))
            if child.poll() is None:
                found["n_early"] += count_ready(told) == lines
                child.send_signal(signal.SIGKILL)
                killed = True
                found["n_kills"] += 1
        code = child.wait()
        if not killed and code != 0:
            raise RuntimeError(f"the child ended with {code}")
        wrong = sum(expected[k] != answer for k, answer in answers(told).items())
        found["n_wrong"] += wrong + damaged_versions(run_folder)
        if tell is not None:
            tell(f"run {found['n_runs']}, kill {found['n_kills']}: {len(answers(told))} predictions, {wrong} wrong")
        if not killed:
            break
    one = OnlineLearner.resume(run_folder)
    found["n_wrong"] += digest(one) != checksum
    found["n_wrong"] += one._engine.versions.numbers() != versions
    one.close()


def start_interpreter(folder, n_rows, told, training):
    """Start a child process in an interpreter of its own."""
    command = [sys.executable, __file__, "--child", str(folder), "--rows", str(n_rows), "--told", str(told)]
    command += ["--training", training]
    path = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path})


class Forked:
    """A forked child process, with the methods of `Popen` that are needed here: it has imported everything."""

    def __init__(self, folder, n_rows, told, training):
        self.pid, self.code = os.fork(), None
        if not self.pid:
            try:
                run(folder, n_rows, told, training).close()
                os._exit(0)
            finally:
                os._exit(1)

    def poll(self):
        """Return the code that it ended with, or None."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code

    def send_signal(self, number):
        """Send it a signal."""
        os.kill(self.pid, number)

    def wait(self):
        """Wait for its end; return its code."""
        if self.code is None:
            self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.code


def count_ready(told):
    """Return how many children were ready."""
    return told.read_text().count("ready") if told.exists() else 0


def answers(told):
    """Return the predictions by the number of the call; the last line may be incomplete."""
    found = {}
    for line in told.read_text().splitlines(keepends=True) if told.exists() else ():
        if line.endswith("\n") and line != "ready\n":
            number, _, answer = line.strip().partition(" ")
            found[int(number)] = float.fromhex(answer)
    return found


def damaged_versions(folder):
    """Return how many versions in the folder of a run cannot be read."""
    from sklstm._online.versions import VersionStore

    store = VersionStore(folder / "versions")
    n_damaged = 0
    for number in store.numbers():
        try:
            store.read(number)
        except (LookupError, ValueError):
            n_damaged += 1
    return n_damaged


def main():
    """Kill runs and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--training", choices=("windows", "stateful"), default="windows")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--told", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        run(arguments.child, arguments.rows, arguments.told, arguments.training).close()
        return
    with tempfile.TemporaryDirectory() as folder:
        start = Forked if hasattr(os, "fork") else start_interpreter
        found = kill_runs(folder, arguments.kills, arguments.seed, arguments.rows, print, start, arguments.training)
    print(found)
    sys.exit(found["n_wrong"] > 0)


if __name__ == "__main__":
    main()
