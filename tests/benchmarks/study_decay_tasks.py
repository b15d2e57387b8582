"""The tasks of the study of the weight decay: those of `study_tasks`, forecasts with a linear part, and music.

Losses are the root of the mean squared error, the log loss of a label, and the negative log-likelihood of a frame of
music; that of the trivial prediction stands beside each.
"""

import gzip
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from music_study import as_table, load_parts, loss_of
from study_baselines import trivial
from study_forecasts import EXCHANGE_WINDOW, read_m4
from study_rows import series_samples
from study_tasks import Task, in_time, load_tasks

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor
from sklstm.datasets import load_etth1

SKIP = ("ETTh1 oil +24 h", "Beijing PM2.5 +1 h", "Beijing PM2.5, 1200 rows", "Dow Jones |return| +1 d")
SMALLEST_PROBABILITY = 1e-12


@dataclass
class Case:
    """A task, what its estimator is given beside the defaults, and the trivial prediction where the task has none.

    `family` names the data: several cases of one file are one family.
    """

    task: Task
    settings: dict = field(default_factory=dict)
    reference: np.ndarray | None = None
    family: str = ""
    has_long_epochs: bool = False

    def __post_init__(self):
        """Take the first word of the name of a task for the family."""
        self.family = self.family or self.task.name.split(",")[0].split(" ")[0]

    @property
    def name(self):
        """The name of the task."""
        return self.task.name

    @property
    def is_classifier(self):
        """Whether labels are learnt."""
        return self.task.classify

    @property
    def n_samples(self):
        """Number of samples that one fit of the selection sees."""
        return len(self.task.selection[0][0])

    def n_splits(self):
        """Return the number of selection splits."""
        return len(self.task.selection)

    def part(self, stage, split):
        """Return training samples and samples to score on."""
        return self.task.selection[split] if stage == "select" else self.task.final

    def fit(self, stage, split, model_settings):
        """Return the estimator after `fit`."""
        task, (rows, _) = self.task, self.part(stage, split)
        kind = DeepLSTMClassifier if task.classify else DeepLSTMRegressor
        model = kind(**{"sequence_length": task.sequence_length, **self.settings, **model_settings})
        groups = None if task.groups is None else task.groups[rows]
        return model.fit(_pick(task.X, rows), task.y[rows], groups=groups)

    def losses(self, model, stage, split):
        """Return the loss, the share of wrong labels (None of numbers), and the loss of the trivial prediction."""
        task, (fit, rows) = self.task, self.part(stage, split)
        ask = model.predict_proba if task.classify else model.predict
        if task.is_table:
            answers = ask(task.X, groups=task.groups)[rows]
        else:
            answers = ask(_pick(task.X, rows))
        y = task.y[rows]
        if not task.classify:
            known = trivial(task, fit, rows) if self.reference is None else self.reference[rows]
            return _root(answers - y), None, _root(known - y)
        _, codes = np.unique(task.y, return_inverse=True)
        shares = np.bincount(codes[fit]) / len(fit)
        wrong = float(np.mean(model.classes_[answers.argmax(axis=1)] != y))
        answers, known = answers[np.arange(len(rows)), codes[rows]], shares[codes[rows]]
        return _log_loss(answers), wrong, _log_loss(known)


@dataclass
class Music(Case):
    """Chorales: the next frame of 88 keys at every step; every `stride`-th piece trains."""

    parts: tuple = ()
    stride: int = 2

    @property
    def is_classifier(self):
        """Whether labels are learnt: those of 88 keys."""
        return True

    @property
    def n_samples(self):
        """Number of sequences that one fit of the selection sees."""
        return len(self.parts[0][0]) // self.stride

    def fit(self, stage, split, model_settings):
        """Return the estimator after `fit`."""
        X, y = self.parts[0]
        keep = slice(split, None, self.stride if stage == "select" else 1)
        return DeepLSTMClassifier(**self.settings, **model_settings).fit(X[keep], y[keep])

    def losses(self, model, stage, split):
        """Return the loss of a frame, None, and that of the shares of the keys."""
        part = self.parts[1 if stage == "select" else 2]
        shares = as_table(self.parts[0])[1].mean(axis=0)
        known = np.broadcast_to(shares, np.concatenate(part[1]).shape)
        return float(loss_of(np.concatenate(model.predict_proba(part[0])), part)), None, float(loss_of(known, part))


def _pick(X, rows):
    return X[rows] if isinstance(X, np.ndarray) else [X[i] for i in rows]


def _root(error):
    return float(np.sqrt(np.mean(error**2)))


def _log_loss(probabilities):
    return float(-np.log(np.maximum(probabilities, SMALLEST_PROBABILITY)).mean())


def levels(name, series, horizon, window, ends, keep, settings, family):
    """Return a case of series as levels, a group each: `horizon` rows ahead from `window` rows.

    `ends` are the ends of training, validation and test part in each series; the last `keep` rows before an end train.
    """
    samples = series_samples(series, window, horizon)
    place = np.concatenate([np.arange(len(values)) for values in series])
    # The future of a row lies in the same part.
    train, val, test = (
        np.flatnonzero((place >= begin) & (place < end - horizon))
        for begin, end in (
            (max(0, ends[0] - keep), ends[0]),
            (ends[0], ends[1]),
            (ends[1], ends[2]),
        )
    )
    both = np.flatnonzero((place >= max(0, ends[1] - 2 * keep)) & (place < ends[1] - horizon))
    task = Task(name, samples.X, samples.y, [(train, val)], (both, test), sequence_length=window, groups=samples.groups)
    more = {"window_norm": "last", "linear_skip": window, **settings}
    return Case(task, more, np.repeat(samples.X, horizon, axis=1), family)


def forecasts(folder, tasks):
    """Yield forecasts with a linear part: series as levels, and tasks of `study_tasks` with `linear_skip`."""
    table = load_etth1().data[:14400]
    table = (table - table[:8640].mean(axis=0)) / table[:8640].std(axis=0)
    patches = {"patch_length": 12}
    yield levels("ETTh1, 7 series +1..24 h", table.T, 24, 96, (8640, 11520, 14400), 1500, patches, "ETTh1")
    history = [series[-748:-48] for series in read_m4(folder, "train") if len(series) >= 748][::12][:20]
    logs = [np.log(series) for series in history]
    logs = [values / np.abs(values[24:] - values[:-24]).mean() for values in logs]
    case = levels("M4 hourly, levels +1..48 h", logs, 48, 96, (480, 590, 700), 480, patches, "M4")
    day = np.stack([np.roll(case.task.X[:, 0], 23 - k) for k in range(24)], axis=1)  # the 24 hours up to a row
    case.reference = np.tile(day, 2)
    yield case
    with gzip.open(folder / "exchange_rate" / "exchange_rate.txt.gz", "rt") as file:
        rates = np.log(np.loadtxt(file, delimiter=","))
    rates /= np.diff(rates[:4552], axis=0).std(axis=0)
    ends = (4552, 6070, 7588)
    yield levels("exchange rates, levels +6 d", rates.T, 6, EXCHANGE_WINDOW, ends, 400, {}, "exchange")
    for name in SKIP:
        task = tasks[name]
        yield Case(replace(task, name=f"{name}, skip"), {"linear_skip": task.sequence_length})
    sizes = tasks["Dow Jones |return| +1 d"]
    following = np.append(sizes.X[1:, 0], 0.0)
    selection, final = in_time(len(following), 1, first=100)
    returns = Task("Dow Jones return +1 d, skip", sizes.X, 100 * following, selection, final)
    yield Case(returns, {"linear_skip": returns.sequence_length})


def many_rows(n=20000, n_more=4000):
    """Return the gated sum of `study_tasks`, with rows enough to learn it."""
    noise = np.random.default_rng(1).standard_normal((n + 2 * n_more, 2))
    gated = np.where(noise[:, 1] > 0, noise[:, 0], -noise[:, 0])
    y = np.convolve(gated, np.ones(4))[: len(noise)]
    rows = np.arange(len(noise))
    parts = [(rows[:n], rows[n : n + n_more])], (rows[: n + n_more], rows[n + n_more :])
    return Task(f"gated sum, {n} rows", noise, y, *parts, sequence_length=8)


def long_epochs(tasks):
    """Yield cases with many steps in an epoch: more rows, or small batches."""
    for name, first in (("Beijing PM2.5 +1 h", 24), ("Elec2", 0)):
        _, val = tasks[name].selection[0]
        last = val[0] - 1
        rows = np.arange(max(first, last - 12000), last)
        yield Case(
            replace(tasks[name], name=f"{name}, {len(rows)} rows", selection=[(rows, val)]), has_long_epochs=True
        )
    for name in ("Beijing PM2.5 +1 h", "M4 hourly +24 h"):
        yield Case(replace(tasks[name], name=f"{name}, batch_size=8"), {"batch_size": 8}, has_long_epochs=True)
    yield Case(many_rows(), has_long_epochs=True)


def load_cases(folder):
    """Return all cases by name."""
    folder = Path(folder)
    tasks = load_tasks(folder)
    cases = [*forecasts(folder, tasks), *(Case(task) for task in tasks.values()), *long_epochs(tasks)]
    parts = load_parts(folder)
    empty = Task("music", np.zeros((1, 1)), np.zeros(1), [((), ())], ((), ()))
    cases.append(Music(empty, {"targets": "sequence"}, family="music", parts=tuple(parts)))
    return {case.name: case for case in cases}
