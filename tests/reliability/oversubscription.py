"""Time a grid search by two processes over models of two threads, beside the same search by one process.

    PYTHONPATH=tests python tests/reliability/oversubscription.py [--turns 3]

Two processes of two threads each must not be slower than one on a machine of two cores. The processes of joblib are
started before the clock; times are the shortest of several turns, by turns. It wants a quiet machine, or says little.
"""

import argparse
import time
import warnings

import numpy as np
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

from sklstm import DeepRNNRegressor

GRID = {"learning_rate_init": [1e-3, 3e-3], "hidden_size": [32, 64]}
# What a clock does by itself from turn to turn.
NOISE = 1.03


def seconds_of(n_processes, n_threads, X, y):
    """Return how long a search takes, and its scores."""
    model = DeepRNNRegressor(
        sequence_length=16, max_iter=8, tol=0.0, early_stopping=False, random_state=0, n_jobs=n_threads
    )
    search = GridSearchCV(model, GRID, cv=TimeSeriesSplit(3), n_jobs=n_processes, refit=False)
    begin = time.perf_counter()
    search.fit(X, y)
    return time.perf_counter() - begin, search.cv_results_["mean_test_score"].tobytes()


def main():
    """Print the times."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 10))
    y = X[:, 0] + np.roll(X[:, 1], 1)
    kinds = {"1 process, 2 threads": (1, 2), "2 processes, 2 threads": (2, 2), "2 processes, n_jobs=None": (2, None)}
    times, scores = {name: [] for name in kinds}, set()
    seconds_of(2, 2, X[:200], y[:200])
    for _ in range(options.turns):
        for name, (n_processes, n_threads) in kinds.items():
            seconds, found = seconds_of(n_processes, n_threads, X, y)
            times[name].append(seconds)
            scores.add(found)
    shortest = {name: min(own) for name, own in times.items()}
    alone = shortest["1 process, 2 threads"]
    for name, own in times.items():
        print(f"{name:25} {shortest[name]:.2f} s, {shortest[name] / alone:.2f} of one process; all: "
              f"{' '.join(f'{one:.2f}' for one in own)}")  # fmt: skip
    print(f"{len(scores)} set of scores")
    raise SystemExit(len(scores) != 1 or max(shortest.values()) > NOISE * alone)


if __name__ == "__main__":
    main()
