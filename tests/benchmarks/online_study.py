"""Elec2 row by row: ``python online_study.py --data DATA [--part validation] [--settings JSON] [--seeds 0 1 2]``.

Prequential: each row is predicted by `OnlineLearner`, then its label comes. Printed beside the last label, a ridge
regression that is refitted every 500 rows, and the rule behind the labels. ``--part validation`` is the first 24,000
rows, on which settings are chosen; ``--part generated`` is another stream, whose rule changes twice.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from time import perf_counter

import numpy as np
from study_elec2 import BLOCK, HALF_HOURS, load, ridge_accuracy

from sklstm import DeepLSTMClassifier
from sklstm.online import OnlineLearner, PageHinkley, Rollout

VALIDATION = 24_000
#: The network and the rows of an update are those of study_forecasts' Elec2, which learns in blocks.
MODEL = {"hidden_size": 32, "sequence_length": 49, "window_norm": "last", "batch_size": 32, "learning_rate_init": 1e-2}
LEARNER = {"update_every": 500, "replay": 3500, "buffer_size": 4000, "refit": None}


def simple_answers(columns, labels):
    """Return the accuracy of what needs no network, over the rows behind the first block."""
    price = np.exp(columns[:, 1]) - 1e-2
    total = np.append(0, np.cumsum(price))
    rows = np.arange(BLOCK, len(labels))
    rule = price[rows] > (total[rows] - total[rows - HALF_HOURS]) / HALF_HOURS
    return {
        "last label": float(np.mean(labels[rows - 1] == labels[rows])),
        "ridge, refitted every 500 rows": ridge_accuracy(columns, labels),
        "the rule": float(np.mean(rule == labels[rows])),
    }


def generated(n=12_000):
    """Return columns and labels of a stream whose rule changes at a third, and back at two thirds.

    The label tells whether a sum of the last three rows of a column, with noise, is above 0; the rule of the middle has
    another column and other weights.
    """
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(n, 3))
    sums = [np.convolve(columns[:, k], kernel)[:n] for k, kernel in enumerate([(0.5, 0.3, 0.2), (0.2, -0.3, 0.5)])]
    is_middle = np.arange(n) // (n // 3) == 1
    return columns, (np.where(is_middle, sums[1], sums[0]) + 0.1 * rng.normal(size=n) > 0).astype(int)


def run(columns, labels, model, learner, seed, n_jobs):
    """Return the learner behind all rows, and which of the rows behind the first block it predicted rightly.

    Columns that are constant in the first block are left out, as in `study_elec2`.
    """
    columns = columns[:, np.ptp(columns[:BLOCK], axis=0) > 0]
    network = DeepLSTMClassifier(**model, random_state=seed, n_jobs=n_jobs)
    online = OnlineLearner(network, **learner, random_state=seed)
    online.partial_fit(columns[:BLOCK], labels[:BLOCK], classes=[0, 1])
    right = np.empty(len(labels) - BLOCK, bool)
    for k, (row, label) in enumerate(zip(columns[BLOCK:], labels[BLOCK:].tolist(), strict=True)):
        right[k] = online.predict_one(row) == label
        online.learn_one(row, label)
    return online, right


def settings_of(text):
    """Return the settings of model and learner, with those of a JSON text in place of their own."""
    given = json.loads(text)
    learner = {**LEARNER, **given.get("learner", {})}
    if "rollout" in learner:
        learner["rollout"] = Rollout(**learner["rollout"])
    if isinstance(learner.get("detector"), dict):
        learner["detector"] = PageHinkley(**learner["detector"])
    return {**MODEL, **given.get("model", {})}, learner


def main():
    """Print the accuracies, and what happened in the last run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder that holds elec2/elec.csv.gz")
    parser.add_argument("--part", choices=("validation", "all", "generated"), default="all")
    parser.add_argument("--settings", default="{}", help='JSON: {"model": {...}, "learner": {...}}')
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--n-jobs", type=int, default=None)
    parser.add_argument("--no-simple", action="store_true", help="leave out what needs no network")
    options = parser.parse_args()
    if options.data is None and options.part != "generated":
        parser.error("--data is missing: the folder that holds elec2/elec.csv.gz")
    columns, labels = generated() if options.part == "generated" else load(options.data)
    if options.part == "validation":
        columns, labels = columns[:VALIDATION], labels[:VALIDATION]
    if not options.no_simple and options.part != "generated":
        for name, accuracy in simple_answers(columns, labels).items():
            print(f"{name}: {accuracy:.4f}", flush=True)
    model, learner = settings_of(options.settings)
    found = []
    for seed in options.seeds:
        begin = perf_counter()
        online, right = run(columns, labels, model, learner, seed, options.n_jobs)
        found.append(right.mean())
        parts = " ".join(f"{part.mean():.3f}" for part in np.array_split(right, 8))
        events = dict(Counter(online.history_["kind"][online.history_["kind"] != "loss"].tolist()))
        seconds, metrics = perf_counter() - begin, online.metrics()
        times = " ".join(f"{name} {1e3 * metrics[name]:.3g} ms" for name in ("step_p50", "step_p99", "update_p50"))
        print(f"seed {seed}: {found[-1]:.4f}  eighths {parts}  {seconds:.0f} s  {times}  {events}", flush=True)
    print(f"OnlineLearner: {np.mean(found):.4f}")


if __name__ == "__main__":
    main()
