"""Kill workers, and press Ctrl-C, at random moments of fits that are shared with them.

    PYTHONPATH=tests python tests/reliability/killed_workers.py [--count 100] [--seed 0] [--limit 5]

In each round a worker is killed, or Ctrl-C pressed. A fit with a killed worker must end with a
WorkerError that names its process, within so many seconds, and leave the estimator as it was; one with Ctrl-C must
leave the finished epochs, or what was before. The next fit, with the same workers and a new one, must have the bits of
a fit without workers. Nothing may hang: an alarm ends the script.
"""

import argparse
import contextvars
import os
import signal
import threading
import time
import warnings

import numpy as np
from estimator_case import parameters_equal

from sklstm import DeepRNNRegressor
from sklstm.distributed import LocalWorkers
from sklstm.exceptions import WorkerError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(600, 3))
Y = X[:, 0] + np.roll(X[:, 1], 1)
ALARM_SECONDS = 120


def network(**options):
    """Return an estimator whose fit lasts until it is ended."""
    settings = {"hidden_size": 16, "sequence_length": 8, "batch_size": 128, "random_state": 0, "n_jobs": 1}
    endless = {"max_iter": 1_000_000, "n_iter_no_change": 1_000_000, "tol": 0.0}
    return DeepRNNRegressor(**{**settings, **endless, **options})


def round_of(event, workers, rng, expected):
    """Run one round; return the seconds from the event to the end of the fit, or raise."""
    model = network().set_params(max_iter=2).fit(X, Y)
    held = model.parameters_
    model.set_params(max_iter=1_000_000, early_stopping=bool(rng.integers(2)))
    victim, happened = workers._processes[rng.integers(len(workers._processes))], []

    def happen():
        happened.append(time.perf_counter())
        if event == "kill":
            victim.kill()
        else:
            os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(rng.uniform(0.0, 0.4), happen)
    expected_error = {"kill": WorkerError, "interrupt": KeyboardInterrupt}[event]
    try:
        timer.start()
        model.fit(X, Y)
    except expected_error as error:
        told = str(error)
    if event == "kill":
        assert f"process {victim.pid} on" in told, f"another worker is named than {victim.pid}: {told}"
    finished = event == "interrupt" and model.n_iter_ >= 1
    assert model.parameters_ is held or finished, "the estimator is neither as it was nor fitted"
    seconds = time.perf_counter() - happened[0]
    timer.join()
    again = network(max_iter=2).fit(X, Y)
    assert parameters_equal(again, expected), "other bits"
    assert again.loss_curve_ == expected.loss_curve_, "other losses"
    return seconds


def main():
    """Run the rounds, and print how long fits took to end."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=5.0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    # A program that a shell starts in the background ignores Ctrl-C, and a fit would never end.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    rng, seconds = np.random.default_rng(options.seed), {"kill": [], "interrupt": []}
    expected = contextvars.Context().run(network(max_iter=2).fit, X, Y)
    with LocalWorkers(3, n_threads=1) as workers:
        for _ in range(options.count):
            event = ["kill", "interrupt"][rng.integers(2)]
            signal.alarm(ALARM_SECONDS)
            seconds[event].append(round_of(event, workers, rng, expected))
            assert seconds[event][-1] <= options.limit, f"{event}: the fit ended after {seconds[event][-1]:.1f} s"
    signal.alarm(0)
    for event, taken in seconds.items():
        if taken:
            most, median = max(taken), np.median(taken)
            print(f"{event}: {len(taken)} rounds, the fit ended within {most:.2f} s, median {median:.3f} s")


if __name__ == "__main__":
    main()
