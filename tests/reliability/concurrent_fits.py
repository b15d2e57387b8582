"""Train, stream and ask from 4 threads of Python at once: each must learn the bits that it learns alone.

PYTHONPATH=tests python tests/reliability/concurrent_fits.py [--count 10]
"""

import argparse
import sys
import threading
import warnings

import numpy as np
from random_estimators import bits, learnt

from sklstm import DeepRNNClassifier, DeepRNNRegressor, LSTMFeatureSelector

X = np.random.default_rng(0).normal(size=(300, 5))
Y = X[:, 0] + np.roll(X[:, 1], 1)
SETTINGS = {"hidden_size": 17, "sequence_length": 4, "batch_size": 100, "max_iter": 2, "n_jobs": 2}


def regression(seed):
    """Train and predict."""
    model = DeepRNNRegressor(**SETTINGS, n_layers=2, dropout=0.2, early_stopping=True, random_state=seed).fit(X, Y)
    return learnt(model) + model.predict(X).tobytes()


def several_seeds(seed):
    """Train three networks side by side."""
    model = DeepRNNClassifier(**SETTINGS, cell="gru", n_seeds=3, random_state=seed).fit(X, (Y > 0) * 1)
    return learnt(model) + model.predict_proba(X).tobytes()


def stream(seed):
    """Train stateful, and step through some rows."""
    model = DeepRNNRegressor(**SETTINGS, training="stateful", shuffle=False, random_state=seed).fit(X, Y)
    stream = model.stream()
    return learnt(model) + bits([stream.step(row) for row in X[:50]])


def bfloat16(seed):
    """Train with reduced numbers."""
    model = DeepRNNRegressor(**SETTINGS, dtype="bfloat16", random_state=seed).fit(X, Y)
    return learnt(model)


def selector(seed):
    """Select columns."""
    chosen = LSTMFeatureSelector(2, n_jobs=2).fit(X, Y)
    return bits(chosen.get_support()) + bits(seed)


WORK = (regression, several_seeds, stream, bfloat16, selector)


def main():
    """Print what differed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=10)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    sys.setswitchinterval(1e-4)
    tasks = [(work, seed) for seed in range(2) for work in WORK]
    expected, wrong = {task: task[0](task[1]) for task in tasks}, []

    def work(first):
        for k in range(options.count):
            task = tasks[(first * 3 + k) % len(tasks)]
            try:
                if task[0](task[1]) != expected[task]:
                    wrong.append((task, "other bits"))
            except Exception as error:
                wrong.append((task, repr(error)))

    threads = [threading.Thread(target=work, args=(k,), daemon=True) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"4 threads x {options.count} tasks: {len(wrong)} differences")
    for one in wrong[:20]:
        print(*one)
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
