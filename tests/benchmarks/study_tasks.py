"""The tasks of the study of defaults: real files and small synthetic sets, each with its splits and simple baselines.

No split shuffles rows that follow each other in time. `selection` splits lie inside the training part of a set; the
rows of `final` that are predicted are used once, after the defaults were chosen.
"""

import csv
import gzip
import itertools
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from sklearn.datasets import load_diabetes, load_iris, load_wine, make_regression
from sklearn.model_selection import StratifiedShuffleSplit

SELECTION_ROWS = 4000  # rows of a table that one fit of the selection sees at most
FINAL_ROWS = 12000  # and one fit of the final figures


@dataclass
class Task:
    """Data, splits and what the trivial prediction is.

    `X` is a table whose rows are time steps, an array of shape (n_sequences, n_steps, n_features), a list of sequences,
    or, with sequence_length 1, a table of independent rows. `level` is the trivial prediction of a regression: 0 for
    a change from the last value, None for the mean of the rows fitted on.
    """

    name: str
    X: object
    y: np.ndarray
    selection: list
    final: tuple
    classify: bool = False
    level: float | None = None
    sequence_length: int = 32
    groups: np.ndarray | None = None
    lag_of_label: bool = False  # y of a row is known at the next one: "repeat the last label" is a baseline
    is_table: bool = field(init=False)

    def __post_init__(self):
        """Tell tables in time from sets of samples."""
        self.is_table = isinstance(self.X, np.ndarray) and self.X.ndim == 2


def in_time(n, reach, first=0, shares=(0.6, 0.2), groups=1):
    """Cut every one of `groups` equal blocks of n rows into training, validation and test rows, in time order.

    The last `reach` rows of a part are left out: their targets lie in the next part.
    """
    ends = [first, *(first + np.cumsum(np.multiply(shares, n - first)).astype(int)), n]
    blocks = np.arange(groups)[:, None] * n
    train, val, test = ((blocks + np.arange(a, b - reach)).ravel() for a, b in itertools.pairwise(ends))
    both = (blocks + np.arange(first, ends[2] - reach)).ravel()
    keep, keep_final = SELECTION_ROWS, FINAL_ROWS
    if groups > 1:  # whole groups, they are short
        keep = keep_final = len(both)
    return [(train[-keep:], val)], (both[-keep_final:], test)


def stratified(y, train, test, n_splits=3):
    """Cut the given training part of a set at random, keeping the shares of the classes."""
    cutter = StratifiedShuffleSplit(n_splits, test_size=1 / 3, random_state=0)
    return [(train[a], train[b]) for a, b in cutter.split(train, y[train])], (train, test)


def independent(y, classify=False, seed=0):
    """Cut independent rows at random into 60 % training, 20 % validation and 20 % test rows, three times."""
    order = np.random.default_rng(seed).permutation(len(y))
    test, rest = order[: len(y) // 5], order[len(y) // 5 :]
    if classify:
        return stratified(y, rest, test)
    k = len(rest) // 4
    selection = [(np.delete(rest, np.s_[i * k : (i + 1) * k]), rest[i * k : (i + 1) * k]) for i in range(3)]
    return selection, (rest, test)


def trailing_mean(x, width):
    """Return the mean of the last `width` rows at each row, of all there are at the beginning."""
    total = np.cumsum(np.concatenate([np.zeros((1, *x.shape[1:])), x]), axis=0)
    rows = np.arange(1, len(x) + 1)
    begin = np.maximum(0, rows - width)
    return (total[rows] - total[begin]) / (rows - begin).reshape(-1, *[1] * (x.ndim - 1))


def changes(x, lags):
    """Return x[t + lag] - x[t] for each lag as columns; what is not known yet is 0 and outside of every split."""
    out = np.zeros((len(x), len(lags)))
    for column, lag in zip(out.T, lags, strict=True):
        column[:-lag] = x[lag:] - x[:-lag]
    return out


def etth1(folder):
    """Forecast the oil temperature: its change in 24 hours, and in each of the next 24 hours."""
    with open(folder / "etth1" / "ETTh1.csv", encoding="ascii") as file:
        rows = list(csv.reader(file))[1:]
    data = np.array([row[1:] for row in rows], float)
    angle = 2 * np.pi * np.array([int(row[0][11:13]) for row in rows]) / 24
    oil = data[:, 6]
    daily, weekly = oil - trailing_mean(oil, 24), oil - trailing_mean(oil, 168)
    step = np.diff(oil, prepend=oil[0])
    columns = np.column_stack([step, daily, weekly, np.sin(angle), np.cos(angle)])
    selection, final = in_time(len(oil), 24, first=168)
    yield Task("ETTh1 oil +24 h", columns, changes(oil, [24])[:, 0], selection, final, level=0)
    raw = np.column_stack([data, np.sin(angle), np.cos(angle)])
    target = changes(oil, range(1, 25))
    yield Task("ETTh1 oil +1..24 h, raw", raw, target, selection, final, level=0)


def exchange_rate(folder):
    """Forecast the changes of eight currencies 6 days ahead, all of them at once."""
    with gzip.open(folder / "exchange_rate" / "exchange_rate.txt.gz", "rt") as file:
        rates = np.log(np.loadtxt(file, delimiter=","))
    step = np.diff(rates, axis=0, prepend=rates[:1])
    target = np.column_stack([changes(rate, [6]) for rate in rates.T])
    selection, final = in_time(len(rates), 6, first=30)
    columns = np.column_stack([step, rates - trailing_mean(rates, 30)])
    yield Task("exchange rates +6 d", columns, target, selection, final, level=0)


def beijing(folder):
    """Forecast the change of PM2.5 in one hour; also from a shorter training part."""
    (path,) = (folder / "beijing_pm25").glob("*.csv.gz")
    with gzip.open(path, "rt") as file:
        rows = list(csv.reader(file))[1:]
    winds = sorted({row[9] for row in rows})
    data = np.array([[row[5].replace("NA", "nan"), *row[6:9], *row[10:]] for row in rows], float)
    known = np.maximum.accumulate(np.where(np.isnan(data[:, 0]), 0, np.arange(len(data))))
    data[:, 0] = np.nan_to_num(data[known, 0])  # forward fill
    data[:, [0, 4, 5, 6]] = np.log1p(data[:, [0, 4, 5, 6]])
    angle = 2 * np.pi * np.array([int(row[4]) for row in rows]) / 24
    wind = np.array([[row[9] == name for name in winds] for row in rows])
    pm = np.expm1(data[:, 0])
    columns = np.column_stack([data, wind, np.sin(angle), np.cos(angle)])
    target = changes(pm, [1])[:, 0]
    selection, final = in_time(len(pm), 1, first=24)
    yield Task("Beijing PM2.5 +1 h", columns, target, selection, final, level=0)
    (train, val), (both, test) = selection[0], final
    short = [(train[-1200:], val[:4000])], (both[-1200:], test)
    yield Task("Beijing PM2.5, 1200 rows", columns, target, *short, level=0)


def dow_jones(folder):
    """Forecast the logarithm of tomorrow's absolute return of an index."""
    with gzip.open(folder / "market" / "dji_table.csv.gz", "rt") as file:
        rows = list(csv.reader(file))[:0:-1]  # the file begins with the newest day
    prices = np.log(np.array([row[1:5] for row in rows], float))
    volume = np.log1p(np.array([row[5] for row in rows], float))
    returns = np.diff(prices[:, 3], prepend=prices[0, 3])
    size = np.log(np.abs(returns) + 1e-3)
    spread = np.log(prices[:, 1] - prices[:, 2] + 1e-3)
    columns = np.column_stack([returns, size, spread, volume - trailing_mean(volume, 20), trailing_mean(size, 20)])
    target = np.append(size[1:], 0.0)
    selection, final = in_time(len(size), 1, first=100)
    yield Task("Dow Jones |return| +1 d", columns, target, selection, final)


def electricity(folder):
    """Tell whether the price of electricity goes up; also from a shorter training part."""
    with gzip.open(folder / "elec2" / "elec.csv.gz", "rt") as file:
        data = np.array(list(csv.reader(file))[1:], float)
    data = data[17424:]  # before, the columns of the second state are constant
    label = data[:, -1].astype(int)
    columns = np.column_stack([data[:, :-1], np.append(0, label[:-1])])
    selection, final = in_time(len(label), 0, shares=(0.4, 0.2))
    more = {"classify": True, "lag_of_label": True}
    yield Task("Elec2", columns, label, selection, final, **more)
    (train, val), (both, test) = selection[0], final
    short = [(train[-600:], val[:4000])], (both[-600:], test)
    yield Task("Elec2, 600 rows", columns, label, *short, **more)


def m4_hourly(folder, n_series=20, n_hours=700):
    """Forecast series of the M4 competition 24 hours ahead, all in one model (`groups`)."""
    with open(folder / "m4_hourly" / "Hourly-train.csv", encoding="ascii") as file:
        rows = [[float(v) for v in row[1:] if v] for row in list(csv.reader(file))[1:]]
    chosen = [np.array(row[-n_hours:]) for row in rows if len(row) >= n_hours][::12][:n_series]
    columns, targets = [], []
    for series in chosen:
        known = series[: int(0.6 * n_hours)]
        scaled = (series - known.mean()) / known.std()
        mean = trailing_mean(scaled, 24)
        columns.append(np.column_stack([np.diff(scaled, prepend=scaled[0]), scaled - mean, mean]))
        targets.append(changes(scaled, [24])[:, 0])
    selection, final = in_time(n_hours, 24, groups=len(chosen))
    groups = np.repeat(np.arange(len(chosen)), n_hours)
    more = {"level": 0, "groups": groups}
    yield Task("M4 hourly +24 h", np.concatenate(columns), np.concatenate(targets), selection, final, **more)


def read_ts(path):
    """Read a file of the UCR/UEA archive as a list of (n_steps, n_channels) arrays and labels."""
    sequences, labels = [], []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and line[0] not in "#@":
            *channels, label = line.split(":")
            sequences.append(np.array([c.split(",") for c in channels], float).T)
            labels.append(label)
    return sequences, np.array(labels)


def archive(folder):
    """Classify sets of sequences with their given split."""
    for name in ("ItalyPowerDemand", "GunPoint", "ArrowHead", "BasicMotions", "JapaneseVowels"):
        sequences, y = read_ts(folder / "ucr" / f"{name}_TRAIN.ts")
        more, y_more = read_ts(folder / "ucr" / f"{name}_TEST.ts")
        n = len(y)
        sequences, y = sequences + more, np.concatenate([y, y_more])
        X = sequences if name == "JapaneseVowels" else np.stack(sequences)
        n_splits = 2 if name in ("ArrowHead", "BasicMotions", "GunPoint") else 3  # long sequences
        selection, final = stratified(y, np.arange(n), np.arange(n, len(y)), n_splits)
        yield Task(name, X, y, selection, final, classify=True)


def small(_folder):
    """Sets of 100 to 450 rows: independent rows (sequence_length 1) and two short series."""
    one = {"sequence_length": 1}
    X, y = load_diabetes(return_X_y=True)
    yield Task("diabetes", X, y, *independent(y), **one)
    X, y = make_regression(120, 10, n_informative=5, noise=10.0, random_state=0)
    yield Task("make_regression", X, y, *independent(y), **one)
    for name, load in (("iris", load_iris), ("wine", load_wine)):
        X, y = load(return_X_y=True)
        yield Task(name, X, y, *independent(y, classify=True), classify=True, **one)
    noise = np.random.default_rng(0).standard_normal((400, 2))
    x = np.zeros(400)
    for t in range(2, 400):
        x[t] = 1.2 * x[t - 1] - 0.5 * x[t - 2] + noise[t, 0]
    rows = np.arange(100, 400)
    cut = [(rows[:60], rows[60:120]), (rows[60:120], rows[120:180])], (rows[:180], rows[180:-1])
    yield Task("AR(2), 60 rows", x[:, None], np.append(x[1:], 0), *cut, sequence_length=8)
    # A sum over four steps gated by a second column: a line cannot express it.
    gated = np.where(noise[:, 1] > 0, noise[:, 0], -noise[:, 0])
    y = np.convolve(gated, np.ones(4))[:400]
    cut = [(rows[:200], rows[200:250])], (rows[:250], rows[250:])
    yield Task("gated sum, 200 rows", noise, y, *cut, sequence_length=8)


SOURCES = (etth1, exchange_rate, beijing, dow_jones, electricity, m4_hourly, archive, small)


def load_tasks(folder):
    """Return all tasks by name."""
    folder = Path(folder)
    return {task.name: task for source in SOURCES for task in source(folder)}
