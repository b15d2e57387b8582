"""Ask one model from 8 threads of Python at once, 10,000 times each: all answers must have the bits of one thread.

    PYTHONPATH=tests python tests/reliability/concurrent_predictions.py [--count 10000] [--threads 8]

Each thread asks for tables of 1 to 200 rows, single ones and with `context`, by `predict` and `transform`; the model
itself computes with two threads. `thread_sanitizer.py` runs the same under ThreadSanitizer.
"""

import argparse
import sys
import threading
import time

import numpy as np

from sklstm import DeepRNNRegressor

SIZES = (1, 1, 1, 2, 5, 24, 25, 70, 200)


def fitted():
    """Return a model of two layers, and the table that it is asked about."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 5))
    model = DeepRNNRegressor(17, 2, sequence_length=4, max_iter=2, random_state=0, n_jobs=2)
    return model.fit(X, X[:, 0] + np.roll(X[:, 1], 1)), X


def questions(X):
    """Return (method, arguments) of all calls that are made."""
    rng, found = np.random.default_rng(1), []
    for size in SIZES:
        begin = int(rng.integers(10, len(X) - size))
        part = X[begin : begin + size]
        found += [("predict", (part,), {}), ("transform", (part,), {})]
        found.append(("predict", (part,), {"context": X[:begin]}))
    return found


def ask(model, question):
    """Return the bytes of an answer."""
    method, arguments, keywords = question
    return getattr(model, method)(*arguments, **keywords).tobytes()


def work(model, asked, expected, order, wrong):
    """Ask in one thread, and note the questions with another answer."""
    for k in order:
        try:
            if ask(model, asked[k]) != expected[k]:
                wrong.append((k, "another answer"))
        except Exception as error:
            wrong.append((k, repr(error)))


def main():
    """Print what differed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=8)
    options = parser.parse_args()
    sys.setswitchinterval(1e-4)  # 50 times as often as by default
    model, X = fitted()
    asked = questions(X)
    expected, wrong = [ask(model, question) for question in asked], []
    rng, begin = np.random.default_rng(2), time.perf_counter()
    orders = rng.integers(len(asked), size=(options.threads, options.count)).tolist()
    threads = [
        threading.Thread(target=work, args=(model, asked, expected, order, wrong), daemon=True) for order in orders
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begin
    print(f"{options.threads} threads x {options.count} calls in {seconds:.0f} s: {len(wrong)} differences")
    for one in wrong[:20]:
        print(*one)
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
