"""The forecasts of the study: files, protocols of the literature, measures, simple models and settings.

``part="validation"`` scores on the validation part, where settings are chosen; ``part="test"`` on the test part.
"""

import csv
import gzip
from dataclasses import replace

import numpy as np
from study_ridge import ridge_predictions
from study_rows import Problem, Samples, series_samples
from study_tasks import changes

from sklstm.datasets import load_etth1

M4_HORIZON = 48
EXCHANGE_WINDOW = 30
PM25_WINDOW = 10


def root_mean_square(error):
    """Root of the mean squared error."""
    return float(np.sqrt(np.mean(error**2)))


def with_clock(samples, first):
    """Add two columns that tell the hour of the day; `first` is the row of the file where each series begins."""
    rows = np.arange(len(samples.X) // 7) + first
    angle = np.tile(2 * np.pi * (rows % 24) / 24, 7)
    return replace(samples, X=np.column_stack([samples.X, np.sin(angle), np.cos(angle)]))


def etth1(_folder, part, horizon, settings):
    """All seven series of ETTh1, standardised, a series each for one network: 8,640 hours train, 2,880, 2,880.

    The setting `clock` adds the hour of the day, known ahead.
    """
    window = settings["sequence_length"]
    table = load_etth1().data
    table = (table - table[:8640].mean(axis=0)) / table[:8640].std(axis=0)
    firsts, ends = [max(0, begin - window) for begin in (0, 8640, 11520)], (8640, 11520, 14400)
    parts = [series_samples(table[first:end].T, window, horizon) for first, end in zip(firsts, ends, strict=True)]
    evaluation = parts[1 if part == "validation" else 2]

    def score(predictions):
        return (float(np.mean((predictions - evaluation.targets) ** 2)),)

    problem = Problem(parts[0], parts[1], evaluation, score, ("MSE",))
    simple = replace(problem)
    if settings.pop("clock", False):
        settings.update(target_column=0, known_columns=[1, 2])
        parts = [with_clock(samples, first) for samples, first in zip(parts, firsts, strict=True)]
        problem = replace(problem, train=parts[0], validation=parts[1])
        problem.evaluation = parts[1 if part == "validation" else 2]
    problem.baselines["last value"] = lambda: np.repeat(evaluation.X[evaluation.rows], horizon, axis=1)
    problem.baselines["ridge"] = lambda: ridge_predictions(simple, 336, relative=True)
    return problem


def read_m4(folder, name):
    """Read the series of a file of the M4 competition."""
    with open(folder / "m4_hourly" / f"Hourly-{name}.csv", encoding="ascii") as file:
        return [np.array([float(value) for value in row[1:] if value]) for row in list(csv.reader(file))[1:]]


def m4_measures(forecasts, actual, history):
    """SMAPE, MASE (daily season) and OWA, relative to the published figures of Naive2."""
    error = np.abs(forecasts - actual)
    smape = 200 * np.mean(error / (np.abs(forecasts) + np.abs(actual)))
    season = np.array([np.abs(series[24:] - series[:-24]).mean() for series in history])
    mase = np.mean(error.mean(axis=1) / season)
    return float(smape), float(mase), float((smape / 18.383 + mase / 2.395) / 2)


def m4_hourly(folder, part, _horizon, settings):
    """414 series of the M4 competition, 48 hours ahead, as logarithms in units of their own daily differences.

    The validation part is the last two days of the training file.
    """
    window, stride = settings["sequence_length"], settings.pop("stride")
    history, future = read_m4(folder, "train"), read_m4(folder, "test")
    if part == "validation":
        history, future = [x[:-M4_HORIZON] for x in history], [x[-M4_HORIZON:] for x in history]
    logs = [np.log(series) for series in history]
    level = np.array([series.mean() for series in logs])[:, None]
    scale = np.array([np.abs(series[24:] - series[:-24]).mean() for series in logs])[:, None]
    series = [(values - a) / b for values, a, b in zip(logs, level[:, 0], scale[:, 0], strict=True)]
    train = series_samples(series, window, M4_HORIZON, stride)
    evaluation = series_samples([values[-window:] for values in series], window, 0)
    actual = np.array(future)

    def score(predictions):
        return m4_measures(np.exp(predictions * scale + level), actual, history)

    problem = Problem(train, None, evaluation, score, ("sMAPE", "MASE", "OWA"))
    naive = np.array([np.tile(values[-24:], 2) for values in series])
    problem.baselines["a day ago"] = lambda: naive
    problem.baselines["ridge"] = lambda: ridge_predictions(problem, window, relative=True)
    return problem


def exchange_rates(folder, part, horizon, settings):
    """Eight exchange rates, a given number of days ahead, 60/20/20, relative squared error over all rates together.

    A rate and its reciprocal are the same market: the logarithms are learned with both signs, which leaves no drift.
    """
    with gzip.open(folder / "exchange_rate" / "exchange_rate.txt.gz", "rt") as file:
        rates = np.loadtxt(file, delimiter=",")
    window = settings["sequence_length"]
    ends = [0, int(0.6 * len(rates)), int(0.8 * len(rates)), len(rates)]
    scale = np.diff(np.log(rates[: ends[1]]), axis=0).std(axis=0)
    table = np.log(rates) / scale

    def samples(begin, end, signs=(1,)):
        """Rows whose future, `horizon` days later, lies in begin:end."""
        first = max(0, begin - horizon - window + 1)
        rows = series_samples([sign * series for sign in signs for series in table[first:end].T], window, horizon)
        rows.y = rows.y[:, -1:]
        return rows

    train, validation = samples(0, ends[1], (1, -1)), samples(ends[1], ends[2])
    begin, end = (ends[1], ends[2]) if part == "validation" else (ends[2], ends[3])
    evaluation = samples(begin, end)
    actual = rates[begin:end]

    def score(predictions):
        answers = np.exp(predictions.reshape(8, -1).T * scale)
        return (root_mean_square(answers - actual) / root_mean_square(actual - actual.mean()),)

    problem = Problem(train, validation, evaluation, score, ("RSE",))
    problem.baselines["last value"] = lambda: evaluation.X[evaluation.rows]
    problem.baselines["ridge"] = lambda: ridge_predictions(problem, window, relative=True)
    return problem


def read_pm25(folder):
    """PM2.5, gaps filled by the last value, and the columns: PM2.5, weather, wind, hour, changes in the last hour."""
    (path,) = (folder / "beijing_pm25").glob("*.csv.gz")
    with gzip.open(path, "rt") as file:
        rows = list(csv.reader(file))[1:]
    weather = np.array([[row[5].replace("NA", "nan"), *row[6:9], *row[10:]] for row in rows], float)
    missing = np.isnan(weather[:, 0])
    known = np.maximum.accumulate(np.where(missing, 0, np.arange(len(rows))))
    particles = np.nan_to_num(weather[known, 0])
    winds = sorted({row[9] for row in rows})
    wind = np.array([[row[9] == name for name in winds] for row in rows], float)
    angle = 2 * np.pi * np.array([int(row[4]) for row in rows]) / 24
    wind_and_rain = np.log1p(weather[:, 4:7])
    columns = [np.log1p(particles), weather[:, 1:4], wind_and_rain, wind, np.sin(angle), np.cos(angle)]
    columns += [
        particles,
        np.diff(particles, prepend=particles[0]),
        np.diff(weather[:, 1:4], axis=0, prepend=weather[:1, 1:4]),
    ]
    return particles, np.column_stack(columns)


def beijing_pm25(folder, part, _horizon, settings):
    """PM2.5 in Beijing an hour ahead, as a change, from ten hours of it and of the weather, 60/20/20."""
    particles, columns = read_pm25(folder)
    window = settings["sequence_length"]
    target = changes(particles, [1])
    ends = [0, int(0.6 * len(columns)), int(0.8 * len(columns)), len(columns)]

    def samples(begin, end):
        """Rows whose next hour lies in begin:end."""
        first = max(0, begin - window)
        rows = np.arange(first, end - 1)
        counts = (rows >= max(begin - 1, window - 1)).astype(float)
        return Samples(columns[rows], target[rows], counts, np.zeros(len(rows), int))

    train, validation = samples(0, ends[1]), samples(ends[1], ends[2])
    begin, end = (ends[1], ends[2]) if part == "validation" else (ends[2], ends[3])
    evaluation = samples(begin, end)
    before, actual = particles[begin - 1 : end - 1], particles[begin:end]

    def score(predictions):
        error = actual - np.maximum(before + predictions.reshape(-1), 0)
        return root_mean_square(error), float(np.abs(error).mean())

    problem = Problem(train, validation, evaluation, score, ("RMSE", "MAE"))
    problem.baselines["last value"] = lambda: np.zeros(len(actual))
    problem.baselines["ridge"] = lambda: ridge_predictions(problem, window, relative=False)
    return problem
