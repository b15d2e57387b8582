"""Measure forecasts and classifiers beside simple models: ``python forecast_study.py --task etth1_96 --data DATA``.

Prints rows of a Markdown table: the simple models, the mean of the network over the seeds, each seed. ``--part
validation`` scores on the part that chose the settings, and ``--settings`` changes some of them, as a dictionary in
JSON. ETTh1 comes with the package; the other files are looked for in the folder of ``--data``.
"""

import argparse
import json
import sys
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from study_archive import CONVOLUTIONS, archive
from study_elec2 import elec2
from study_forecasts import beijing_pm25, etth1, exchange_rates, m4_hourly
from study_ridge import network_predictions, ridge_predictions
from study_rows import HEADER, Row

from sklstm import DeepLSTMRegressor

ETTH1 = {
    "hidden_size": 64,
    "sequence_length": 336,
    "window_norm": "last",
    "patch_length": 24,
    "loss": "absolute_error",
    "recurrent_dropout": 0.3,
    "weight_decay": 0.3,
    "batch_size": 256,
    "learning_rate": "one_cycle",
    "max_iter": 6,
    # The forecast is the mean of three networks: with the ridge regression, without, and without on a longer window.
    "members": [{"linear_skip": 336}, {}, {"sequence_length": 720, "patch_length": 48}],
}
TWO_DAYS_A_STEP = {"sequence_length": 720, "patch_length": 48}
FOR_DAYS = {**TWO_DAYS_A_STEP, "decoder": "parallel"}
# Further ahead, levels count as well as changes: some members read the windows as they are.
LEVELS = {"window_norm": None}
ETTH1_96 = {
    **ETTH1,
    "dtype": "bfloat16",
    "members": [
        {"clock": True},
        {"clock": True, "linear_skip": 336},
        {"clock": True, **TWO_DAYS_A_STEP},
        FOR_DAYS,
        {"ridge": 336, **LEVELS},
    ],
}
ETTH1_336 = {
    **ETTH1,
    "dtype": "bfloat16",
    # The first one's window is also that of the ridge regression printed beside the forecast.
    "members": [{"ridge": 336}, {"ridge": 336, **LEVELS}, FOR_DAYS, {**FOR_DAYS, **LEVELS}],
}
RIDGE = ("ridge", "decay", "apart")  # settings of a member that is a ridge regression
M4 = {
    "hidden_size": 64,
    "sequence_length": 336,
    "window_norm": "last",
    "linear_skip": 336,
    "patch_length": 24,
    "loss": "absolute_error",
    "weight_decay": 0.1,
    "batch_size": 128,
    "learning_rate_init": 5e-3,
    "learning_rate": "one_cycle",
    "max_iter": 20,
    "early_stopping": False,
    "n_seeds": 4,
    "stride": 2,  # every second window trains
}
EXCHANGE = {
    "hidden_size": 16,
    "sequence_length": 30,
    "window_norm": "last",
    "linear_skip": 30,
    "weight_decay": 3.0,
    "batch_size": 256,
    "learning_rate": "one_cycle",
    "max_iter": 5,
    "tol": 0.01,  # of R^2: what gains less is taken for chance
}
PM25 = {
    "hidden_size": 64,
    "sequence_length": 10,
    "loss": "huber",
    "recurrent_dropout": 0.2,
    "weight_decay": 0.01,
    "batch_size": 128,
    "learning_rate": "one_cycle",
    "max_iter": 15,
}
ELEC2 = {
    "hidden_size": 32,
    "sequence_length": 49,
    "window_norm": "last",
    "batch_size": 32,
    "learning_rate_init": 1e-2,
    "keep": 4000,  # rows before a block that are learned from before it
}
ARCHIVE = {
    "hidden_size": 32,
    "n_layers": 2,
    "bidirectional": True,
    "residual": 1,
    "norm": "layer",
    "pooling": "attention",
    "dropout": 0.3,
    "learning_rate": "one_cycle",
    "learning_rate_init": 3e-3,
    "batch_size": 16,
    "max_iter": 150,
    "early_stopping": False,
    "n_seeds": 3,
    "ensemble": {"weights_loss": "squared_error"},
    # The details of a curve, its outline in two steps, and what random convolutions find, read by a network in two
    # steps and by a logistic regression.
    "members": [
        {"patch_length": 5, "differences": 3},
        {"patch_length": 30, "points": 60, "label_smoothing": 0.1},
        {
            "convolutions": {"segments": 2, "n_thresholds": 2},
            "n_layers": 1,
            "residual": 0,
            "dropout": 0.0,
            "label_smoothing": 0.1,
            "learning_rate_init": 1e-3,
            "max_iter": 60,
        },
        CONVOLUTIONS,
    ],
}
SETS = ("GunPoint", "ItalyPowerDemand", "JapaneseVowels", "BasicMotions", "ArrowHead")


def forecast(make, horizon, settings, name, arguments):
    """Return the row of a forecast, the mean of `members`: networks, and ridge regressions on the last `ridge` rows.

    Members count by their `weight`, a number or one for each series; `decay` and `apart` are for ridge regressions.
    """
    changed = settings.pop("members", [{}])
    members = [{**settings, **changes} for changes in changed]
    weights = [member.pop("weight", 1.0) for member in members]
    simple_models = [{key: member.pop(key) for key in RIDGE if key in member} for member in members]
    problems = [make(arguments.data, arguments.part, horizon, member) for member in members]
    score = problems[0].score
    simple = {key: score(predict()) for key, predict in problems[0].baselines.items()}
    ridges = [
        ridge_predictions(problem, ridge.pop("ridge"), member["window_norm"] == "last", **ridge) if ridge else None
        for member, problem, ridge in zip(members, problems, simple_models, strict=True)
    ]
    seeds = []
    for seed in arguments.seeds:
        answers = []
        for member, problem, ridge in zip(members, problems, ridges, strict=True):
            model = DeepLSTMRegressor(**member, random_state=seed, n_jobs=arguments.n_jobs)
            answers.append(network_predictions(model, problem) if ridge is None else ridge)
            if arguments.verbose:
                which = model if ridge is None else "ridge"
                print(f"{name}, seed {seed}: {score(answers[-1])} {which}", file=sys.stderr, flush=True)
        seeds.append(score(weighted_mean(answers, weights, problems[0].evaluation)))
    return Row(name, problems[0].measures, simple, seeds)


def weighted_mean(answers, weights, samples):
    """Return the mean of the members' answers for the rows that count; a weight is a number or one for each group."""
    groups = samples.groups[samples.rows]
    rows = [np.take(weight, groups) if np.ndim(weight) else np.full(len(groups), weight) for weight in weights]
    total = sum(weight[:, None] * answer for weight, answer in zip(rows, answers, strict=True))
    return total / sum(rows)[:, None]


def stream(settings, _name, arguments):
    """Return the row of the stream of labels."""
    return elec2(arguments.data, arguments.part, settings, arguments.seeds, arguments.n_jobs)


def classify(settings, name, arguments):
    """Return the row of a set of sequences."""
    return archive(arguments.data, name, arguments.part, settings, arguments.seeds, arguments.n_jobs, arguments.verbose)


# What measures a task, and its settings.
TASKS = {
    **{f"etth1_{n}": (partial(forecast, etth1, n), s) for n, s in ((24, ETTH1), (96, ETTH1_96), (336, ETTH1_336))},
    "m4_hourly": (partial(forecast, m4_hourly, 48), M4),
    **{f"exchange_{days}": (partial(forecast, exchange_rates, days), EXCHANGE) for days in (3, 6, 12, 24)},
    "beijing_pm25": (partial(forecast, beijing_pm25, 1), PM25),
    "elec2": (stream, ELEC2),
    **dict.fromkeys(SETS, (classify, ARCHIVE)),
}


def main():
    """Read the command line and print the rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--task", nargs="+", default=list(TASKS), choices=list(TASKS), metavar="TASK")
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the files (default: data)")
    parser.add_argument("--part", default="test", choices=["validation", "test"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--settings", type=json.loads, default={}, help="settings to change, in JSON")
    parser.add_argument("--verbose", action="store_true", help="print each network of a mean as well")
    parser.add_argument("--n-jobs", type=int, default=None)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*deviation of y.*")  # changes are smaller than levels
    print(HEADER)
    for name in arguments.task:
        measure, settings = TASKS[name]
        begin = time.process_time()
        row = measure({**settings, **arguments.settings}, name, arguments)
        print("\n".join(row.lines()), flush=True)
        print(f"<!-- {name}: {time.process_time() - begin:.0f} CPU seconds -->", flush=True)


if __name__ == "__main__":
    main()
