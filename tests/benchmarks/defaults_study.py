"""Measure the defaults of the estimators over real sets: ``python defaults_study.py DATA [select|final|report]``.

DATA is the folder of the files (or the environment variable SKLSTM_STUDY_DATA). `select` fits on the first rows of
the training part of every set and scores on its last; `final` fits the estimators as they are on the whole training
part and scores on the test part; `report` prints both as tables in Markdown. `decay_study.py` is about the decay, which
is 0.01 here. Results are kept, one line a fit, in the file of ``--results``, and what it holds already is not measured
again.
"""

import argparse
import json
import os
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
from sklearn.preprocessing import StandardScaler
from study_baselines import baseline_losses, loss
from study_tasks import load_tasks

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor


def batch_rule(share, low, high):
    """Return the rule ``n / share``, at least `low` and at most `high`."""
    return lambda n: int(np.clip(n // share, low, high))


# What the variants are compared with; "batch_size" may be a rule and "early_stopping" a number of samples.
CENTRE = {
    "input_scaling": "standard",
    "weight_decay": 0.01,
    "n_layers": 1,
    "dropout": 0.0,
    "batch_size": batch_rule(32, 8, 128),
    "max_iter": 100,
    "early_stopping": 1000,
    "validation_fraction": 0.1,
    "n_iter_no_change": 10,
    "tol": 1e-4,
}
VARIANTS = {
    "centre": {},
    "input_scaling=robust": {"input_scaling": "robust"},
    "input_scaling=None": {"input_scaling": None},
    "input_scaling=None after StandardScaler": {"input_scaling": "before"},
    "n_layers=2": {"n_layers": 2},
    "n_layers=2, dropout=0.2": {"n_layers": 2, "dropout": 0.2},
    "n_layers=3, dropout=0.2": {"n_layers": 3, "dropout": 0.2},
    "batch_size=16": {"batch_size": 16},
    "batch_size=64": {"batch_size": 64},
    "batch_size=256": {"batch_size": 256},
    "batch_size=min(200, n)": {"batch_size": batch_rule(1, 1, 200)},
    "max_iter=50": {"max_iter": 50},
    "max_iter=200": {"max_iter": 200},
    "early_stopping=False": {"early_stopping": 10**9},
    "early_stopping=True": {"early_stopping": 0},
    "early_stopping from 100": {"early_stopping": 100},
    "early_stopping from 200": {"early_stopping": 200},
    "early_stopping from 100, max_iter=50": {"early_stopping": 100, "max_iter": 50},
    "validation_fraction=0.2": {"validation_fraction": 0.2},
    "n_iter_no_change=5": {"n_iter_no_change": 5},
    "n_iter_no_change=20": {"n_iter_no_change": 20},
    "tol=1e-3": {"tol": 1e-3},
    "tol=0": {"tol": 0.0},
}


def settings(variant, n):
    """Return the estimator's parameters of a variant for n training samples."""
    chosen = {**CENTRE, **VARIANTS[variant]}
    rule = chosen["batch_size"]
    chosen["batch_size"] = min(n, rule(n) if callable(rule) else rule)
    chosen["early_stopping"] = n >= chosen["early_stopping"]
    return chosen


def standardised(task, fit):
    """Return X with the mean and the spread of each column over the samples fitted on taken away."""
    if isinstance(task.X, np.ndarray):
        known = task.X[fit].reshape(-1, task.X.shape[-1])
        scaler = StandardScaler().fit(known)
        return (task.X - scaler.mean_) / scaler.scale_
    scaler = StandardScaler().fit(np.concatenate([task.X[i] for i in fit]))
    return [scaler.transform(sequence) for sequence in task.X]


def pick(X, rows):
    """Return some samples of an array or of a list."""
    return X[rows] if isinstance(X, np.ndarray) else [X[i] for i in rows]


def one_fit(task, fit, rows, seed, **parameters):
    """Fit a network on `fit` and score it on `rows`."""
    X = task.X
    if parameters.get("input_scaling") == "before":
        X, parameters = standardised(task, fit), {**parameters, "input_scaling": None}
    kind = DeepLSTMClassifier if task.classify else DeepLSTMRegressor
    model = kind(sequence_length=task.sequence_length, random_state=seed, n_jobs=1, **parameters)
    groups = None if task.groups is None else task.groups[fit]
    began = time.process_time()
    model.fit(pick(X, fit), task.y[fit], groups=groups)
    seconds = time.process_time() - began
    if task.is_table:  # the windows of the first rows reach into the rows before
        predicted = model.predict(X, groups=task.groups)[rows]
    else:
        predicted = model.predict(pick(X, rows))
    value = loss(task, task.y[rows], predicted)
    return {"loss": value, "seconds": round(seconds, 3), "n_iter": model.n_iter_}


def measure(task, stage, variant, split, seed):
    """Return one line of the results."""
    fit, rows = task.selection[split] if stage == "select" else task.final
    key = {"task": task.name, "stage": stage, "variant": variant, "split": split, "seed": seed}
    if variant == "baselines":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return {**key, "losses": baseline_losses(task, fit, rows)}
    parameters = settings(variant, len(fit)) if stage == "select" else {"weight_decay": CENTRE["weight_decay"]}
    return {**key, "n": len(fit), **one_fit(task, fit, rows, seed, **parameters)}


def jobs(tasks, stage, variants):
    """List all fits of a stage: at least two seeds, three on small sets; every split has seeds of its own."""
    for variant in ["baselines", *variants]:
        for task in tasks.values():
            splits = range(len(task.selection)) if stage == "select" else [0]
            few = len(task.selection[0][0]) < 1000
            for split in splits:
                n_seeds = 1 if variant == "baselines" or len(splits) > 1 else 2 + few
                for seed in range(split, split + n_seeds):
                    yield task.name, stage, variant, split, seed


def run(tasks, stage, variants, path, n_processes):
    """Measure what the file of results does not hold yet."""
    done = {tuple(r[k] for k in ("task", "stage", "variant", "split", "seed")) for r in read(path)}
    todo = [job for job in jobs(tasks, stage, variants) if job not in done]
    parallel = joblib.Parallel(n_processes, return_as="generator_unordered", batch_size=1)
    results = parallel(joblib.delayed(measure)(tasks[job[0]], *job[1:]) for job in todo)
    with open(path, "a", encoding="utf-8") as file:
        for number, result in enumerate(results, 1):
            file.write(json.dumps(result) + "\n")
            file.flush()
            print(f"{number}/{len(todo)}", result["task"], result["variant"], flush=True)


def read(path):
    """Return the lines of the file of results."""
    if not Path(path).exists():
        return []
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


class Table:
    """Mean skills, seconds and epochs by task and variant. Skill: 1 - loss / loss of the trivial prediction."""

    def __init__(self, results, stage):
        results = [r for r in results if r["stage"] == stage]
        self._losses = {(r["task"], r["split"]): r["losses"] for r in results if r["variant"] == "baselines"}
        self.cells = {}
        for r in results:
            if r["variant"] != "baselines":
                skill = 1 - r["loss"] / self._losses[r["task"], r["split"]]["trivial"]
                row = (skill, r["seconds"], r["n_iter"], r["n"], r["loss"])
                self.cells.setdefault((r["task"], r["variant"]), []).append(row)
        self.tasks = list(dict.fromkeys(task for task, _ in self._losses))
        self.variants = [v for v in VARIANTS if any(v == w for _, w in self.cells)]

    def mean(self, task, variant):
        """Return the means of skill, seconds, epochs, training samples and loss, and the spread of the skill."""
        rows = np.array(self.cells[task, variant])
        return *rows.mean(axis=0), rows[:, 0].std(ddof=1)

    def best_baseline(self, task):
        """Return name, skill and loss of the strongest simple model."""
        found = [losses for (name, _), losses in self._losses.items() if name == task]
        means = {name: np.mean([losses[name] for losses in found]) for name in found[0]}
        skills = {name: np.mean([1 - losses[name] / losses["trivial"] for losses in found]) for name in found[0]}
        best = max(skills, key=skills.get)
        return best, skills[best], means[best], means["trivial"]


def report_selection(table):
    """Print the skills of the variants by task, and how many tasks they win and lose against the centre."""
    variants = [v for v in table.variants if all((task, v) in table.cells for task in table.tasks)]
    means = {v: {task: table.mean(task, v) for task in table.tasks} for v in variants}
    print("| set | best simple model | " + " | ".join(variants) + " |")
    print("|---" * (len(variants) + 2) + "|")
    for task in table.tasks:
        name, skill, *_ = table.best_baseline(task)
        cells = " | ".join(f"{means[v][task][0]:.3f}" for v in variants)
        print(f"| {task.replace('|', '/')} | {skill:.3f} ({name}) | {cells} |")
    simple = np.mean([table.best_baseline(task)[1] for task in table.tasks])
    averages = (np.mean([means[v][task][0] for task in table.tasks]) for v in variants)
    print(f"| **mean** | {simple:.3f} | " + " | ".join(f"{average:.3f}" for average in averages) + " |")
    balance = []
    for v in variants:
        pairs = [(means[v][task], means["centre"][task]) for task in table.tasks]
        gains = [(ours[0] - centre[0]) / max(0.005, np.hypot(ours[5], centre[5])) for ours, centre in pairs]
        balance.append(sum(g > 1 for g in gains) - sum(g < -1 for g in gains))
    print("| wins - losses | | " + " | ".join(f"{b:+d}" for b in balance) + " |")
    seconds = (sum(means[v][task][1] for task in table.tasks) for v in variants)
    print("| CPU seconds | | " + " | ".join(f"{s:.0f}" for s in seconds) + " |")


def report_final(table):
    """Print the test figures of the estimators' defaults beside the simple models."""
    print("| set | training samples | trivial | best simple model | LSTM, defaults | epochs | CPU s |")
    print("|---|---|---|---|---|---|---|")
    for task in table.tasks:
        name, _, simple, trivial = table.best_baseline(task)
        _, seconds, epochs, n, value, spread = table.mean(task, "defaults")
        mark = "**" if value < simple else ""
        print(
            f"| {task.replace('|', '/')} | {n:.0f} | {trivial:.4g} | {simple:.4g} ({name}) | "
            f"{mark}{value:.4g}{mark} ± {spread * trivial:.2g} | {epochs:.0f} | {seconds:.1f} |"
        )


def main():
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("data", nargs="?", default=os.environ.get("SKLSTM_STUDY_DATA"))
    parser.add_argument("stage", nargs="?", choices=["select", "final", "report"], default="report")
    parser.add_argument("--results", default="defaults_study.jsonl")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS), choices=list(VARIANTS))
    arguments = parser.parse_args()
    if arguments.stage == "report":
        results = read(arguments.results)
        report_selection(Table(results, "select"))
        print()
        report_final(Table(results, "final"))
        return
    if arguments.data is None:
        parser.error("say where the data are: DATA or SKLSTM_STUDY_DATA")
    tasks = load_tasks(arguments.data)
    variants = arguments.variants if arguments.stage == "select" else ["defaults"]
    run(tasks, arguments.stage, variants, arguments.results, arguments.processes)


if __name__ == "__main__":
    main()
