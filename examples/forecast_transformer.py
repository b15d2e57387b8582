"""Forecast all seven series of a transformer for a day, four days and two weeks.

The protocol of the literature on long horizons (Zhou et al. 2021): the first 8,640 hours of ETTh1 train, the next 2,880
choose the epoch, the next 2,880 test; series are standardised by the training part; the error is the mean squared error
on that scale over all windows, all steps ahead and all seven series.

Each series is a series of its own for one network that they share: a table of one column, seven groups. The forecast is
the mean of three networks that differ in what they see:

- one reads 336 hours, with the ridge regression on them as its linear part (``linear_skip=336``, solved first);
- one reads the same 336 hours without a linear part;
- one reads 720 hours, without a linear part, two days a step.

For all of them, each window is read relative to its last hour and the forecast is put back on top of it
(``window_norm="last"``), and a step of the recurrence reads a day or two (``patch_length``).

The baseline is a ridge regression on the same windows, relative to their last hour too, whose penalty is chosen by the
same validation part.

Run it with ``python examples/forecast_transformer.py``; it prints the table of doc/studies/forecasting.md.
"""

import argparse
import time

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import Ridge

from sklstm import DeepLSTMRegressor
from sklstm.datasets import load_etth1

TRAIN, VALIDATION, TEST = (0, 8640), (8640, 11520), (11520, 14400)
WINDOW = 336
HORIZONS = (24, 96, 336)
PENALTIES = (1e1, 1e2, 1e3, 1e4, 1e5)
SETTINGS = {
    "hidden_size": 64,
    "sequence_length": WINDOW,
    "window_norm": "last",
    "patch_length": 24,
    "loss": "absolute_error",
    "recurrent_dropout": 0.3,
    "weight_decay": 0.3,
    "batch_size": 256,
    "learning_rate": "one_cycle",
    "max_iter": 6,
}
# What the three networks change of that.
NETWORKS = ({"linear_skip": WINDOW}, {}, {"sequence_length": 720, "patch_length": 48})


def standardised():
    """The seven series, scaled by the training part."""
    table = load_etth1().data
    train = table[slice(*TRAIN)]
    return (table - train.mean(axis=0)) / train.std(axis=0)


def samples(table, part, horizon, window=WINDOW):
    """Rows, futures, weights and groups of the windows whose futures lie in a part.

    The rows before the part are there to fill the first windows; they carry no weight.
    """
    begin, end = max(0, part[0] - window), part[1]
    X, y, weights, groups = [], [], [], []
    for series in range(table.shape[1]):
        X.append(table[begin : end - horizon, series])
        y.append(np.lib.stride_tricks.sliding_window_view(table[begin + 1 : end, series], horizon))
        weights.append((np.arange(len(X[-1])) >= window - 1).astype(float))
        groups.append(np.full(len(X[-1]), series))
    return np.concatenate(X)[:, np.newaxis], np.concatenate(y), np.concatenate(weights), np.concatenate(groups)


def error(predictions, y, weights):
    """Mean squared error of the samples that count."""
    return float(((predictions - y)[weights > 0] ** 2).mean())


def windows(X, weights):
    """Full windows relative to their last hour, and that hour, for a model that knows no time."""
    ends = np.flatnonzero(weights)
    full = np.lib.stride_tricks.sliding_window_view(X[:, 0], WINDOW)[ends - (WINDOW - 1)]
    return full - full[:, -1:], full[:, -1:]


def ridge_error(train, validation, test):
    """Test error of the ridge regression whose penalty is best on the validation part."""
    parts = [(*windows(X, weights), y[weights > 0]) for X, y, weights, _ in (train, validation, test)]
    (A, last, y), best = parts[0], (np.inf, None)
    for penalty in PENALTIES:
        model = Ridge(alpha=penalty, fit_intercept=False).fit(A, y - last)
        scores = [float(((model.predict(B) + end - z) ** 2).mean()) for B, end, z in parts[1:]]
        best = min(best, tuple(scores))
    return best[1]


def forecast(settings, parts, seed, n_jobs, dtype):
    """Forecasts of one network for the windows of the test part; the validation part chooses the epoch."""
    (X, y, weights, groups), validation, test = parts
    held_out = dict(zip(("X_val", "y_val", "sample_weight_val", "groups_val"), validation, strict=True))
    model = DeepLSTMRegressor(**settings, random_state=seed, n_jobs=n_jobs, dtype=dtype)
    model.fit(X, y, sample_weight=weights, groups=groups, **held_out)
    return model.predict(test[0], groups=test[3])[test[2] > 0]


def lstm_errors(table, horizon, seeds, n_jobs, dtype):
    """Test error of the mean of the networks, for each seed."""
    answers = np.zeros(seeds, object)
    for changes in NETWORKS:
        settings = {**SETTINGS, **changes}
        parts = [samples(table, part, horizon, settings["sequence_length"]) for part in (TRAIN, VALIDATION, TEST)]
        for seed in range(seeds):
            answers[seed] = answers[seed] + forecast(settings, parts, seed, n_jobs, dtype) / len(NETWORKS)
    actual = parts[-1][1][parts[-1][2] > 0]
    return [float(np.mean((answer - actual) ** 2)) for answer in answers]


def main():
    """Train and compare; see the top."""
    parser = argparse.ArgumentParser(description="ETTh1, seven series, horizons 24, 96 and 336")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--horizons", type=int, nargs="+", default=HORIZONS)
    parser.add_argument("--n-jobs", type=int, default=None)
    parser.add_argument("--dtype", default="float32", help="float32, float64 or bfloat16 (default: float32)")
    arguments = parser.parse_args()
    table = standardised()
    report = Table(title="ETTh1, 7 series: mean squared error on the test part")
    for name in ("hours ahead", "last value", "ridge", "LSTM", "each seed", "seconds a seed"):
        report.add_column(name, justify="right")
    for horizon in arguments.horizons:
        train, validation, test = (samples(table, part, horizon) for part in (TRAIN, VALIDATION, TEST))
        ridge = ridge_error(train, validation, test)
        begin = time.perf_counter()
        errors = lstm_errors(table, horizon, arguments.seeds, arguments.n_jobs, arguments.dtype)
        seconds = (time.perf_counter() - begin) / arguments.seeds
        report.add_row(
            str(horizon),
            f"{error(test[0], test[1], test[2]):.3f}",
            f"{ridge:.3f}",
            f"{np.mean(errors):.3f}",
            " ".join(f"{value:.3f}" for value in errors),
            f"{seconds:.0f}",
        )
    Console(width=100).print(report)


if __name__ == "__main__":
    main()
