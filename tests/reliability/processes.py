"""Start processes after a fit that used threads: each must predict and fit with the bits of its parent.

    PYTHONPATH=tests python tests/reliability/processes.py [fork] [spawn] [forkserver] [--count 200] [--seconds 60]

A child that has not ended after so many seconds counts as hanging. `fork` also happens while another thread of Python
fits.
"""

import argparse
import hashlib
import multiprocessing
import sys
import threading
import time
import warnings

import numpy as np
from sklearn.base import clone

from sklstm import DeepRNNRegressor

METHODS = ("fork", "spawn", "forkserver")


def data():
    """Return a table and targets."""
    X = np.random.default_rng(0).normal(size=(300, 5))
    return X, X[:, 0] + np.roll(X[:, 1], 1)


def digest(model, X):
    """Return a hash of weights and answers."""
    content = b"".join(array.tobytes() for array in model.parameters_.values())
    return hashlib.sha256(content + model.predict(X).tobytes()).hexdigest()


def child(model, expected):
    """Predict with the model of the parent, fit anew, and tell by the exit code what differed."""
    X, y = data()
    if digest(model, X) != expected:
        sys.exit(2)
    sys.exit(0 if digest(clone(model).fit(X, y), X) == expected else 3)


def fit_until(stopped, model):
    """Keep the pool busy."""
    X, y = data()
    while not stopped.is_set():
        clone(model).fit(X, y)


def start(method, count, seconds, model, expected):
    """Start `count` children, two at a time, and return what went wrong."""
    context, failures = multiprocessing.get_context(method), []
    if method == "forkserver":
        context.set_forkserver_preload(["sklstm.regressor"])
    for begin in range(0, count, 2):
        children = [
            context.Process(target=child, args=(model, expected), daemon=True) for _ in range(min(2, count - begin))
        ]
        for one in children:
            one.start()
        for k, one in enumerate(children):
            one.join(seconds)
            if one.exitcode != 0:
                failures.append((method, begin + k, "hangs" if one.exitcode is None else f"exit code {one.exitcode}"))
                one.kill()
    return failures


def main():
    """Print what went wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("methods", nargs="*", default=METHODS)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    # Python 3.12 warns of every fork of a process with threads, which is the point here.
    warnings.filterwarnings("ignore", ".*fork.*", DeprecationWarning)
    X, y = data()
    settings = {"sequence_length": 4, "batch_size": 200, "max_iter": 2, "early_stopping": True, "random_state": 0}
    model = DeepRNNRegressor(17, 2, n_jobs=3, **settings).fit(X, y)
    expected, failures = digest(model, X), []
    for method in options.methods:
        if method not in multiprocessing.get_all_start_methods():
            print(f"{method}: not on this system")
            continue
        stopped, begin = threading.Event(), time.perf_counter()
        busy = threading.Thread(target=fit_until, args=(stopped, model), daemon=True)
        if method == "fork":
            busy.start()
        found = start(method, options.count, options.seconds, model, expected)
        stopped.set()
        seconds = time.perf_counter() - begin
        print(f"{method}: {options.count - len(found)} of {options.count} children right, {seconds:.0f} s", flush=True)
        failures += found
        if digest(model, X) != expected:
            failures.append((method, "parent", "another answer"))
    for failure in failures[:20]:
        print(*failure)
    raise SystemExit(bool(failures))


if __name__ == "__main__":
    main()
