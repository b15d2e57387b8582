"""What the study of forecasts hands around: samples, a problem with its parts, and the row that is printed."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


@dataclass
class Samples:
    """Rows of a table, what is to be forecast at each, the weight of each (0: it only fills windows), and its group."""

    X: np.ndarray
    y: np.ndarray
    weights: np.ndarray
    groups: np.ndarray

    @property
    def rows(self):
        """Rows that count."""
        return np.flatnonzero(self.weights)

    @property
    def targets(self):
        """What is to be forecast at the rows that count."""
        return self.y[self.rows]

    @property
    def age(self):
        """How many rows each of the rows that count lies before the last one of its group that counts."""
        rows, groups = self.rows, self.groups[self.rows]
        last = {group: rows[groups == group][-1] for group in np.unique(groups)}
        return np.array([last[group] for group in groups]) - rows

    def of_groups(self, groups, which=True):
        """Return the samples of some groups, without `which` those of all others."""
        chosen = np.isin(self.groups, groups) == which
        return Samples(self.X[chosen], self.y[chosen], self.weights[chosen], self.groups[chosen])

    def windows(self, length, relative):
        """Return the windows of the rows that count, side by side, and the last value of the first column.

        With `relative` each window is taken relative to its last row.
        """
        # sliding_window_view puts the steps last; the rows that count have full windows.
        full = sliding_window_view(self.X, length, axis=0)[self.rows - (length - 1)]
        last = full[:, :, -1:]
        if relative:
            full = full - last
        return full.reshape(len(full), -1), last[:, 0]


def series_samples(series, length, horizon, stride=1):
    """Stack series below each other: each is a group with one column, y the `horizon` values that follow a row.

    A row counts where its window of `length` rows is full and its future is known, each `stride`-th one, counted back
    from the last. ``horizon=0`` is for forecasts: the last row of each series counts, y is NaN.
    """
    X, y, weights, groups = [], [], [], []
    for number, values in enumerate(series):
        n = len(values)
        future = np.zeros((n, max(horizon, 1)))
        counts = np.zeros(n)
        if horizon:
            future[: n - horizon] = sliding_window_view(values[1:], horizon)
            counts[np.arange(n - horizon - 1, length - 2, -stride)] = 1
        else:
            counts[-1] = 1
        X.append(values)
        y.append(future)
        weights.append(counts)
        groups.append(np.full(n, number))
    return Samples(np.concatenate(X)[:, None], np.concatenate(y), np.concatenate(weights), np.concatenate(groups))


@dataclass
class Problem:
    """Parts of a task, and its simple models, functions that predict.

    `score` turns predictions for the rows of `evaluation` that count into the measures.
    """

    train: Samples
    validation: Samples | None
    evaluation: Samples
    score: Callable
    measures: tuple
    baselines: dict = field(default_factory=dict)

    def of_groups(self, groups, which=True):
        """Return the problem with the samples of some groups, without `which` those of all others."""
        parts = {name: getattr(self, name) for name in ("train", "validation", "evaluation")}
        return replace(self, **{name: part and part.of_groups(groups, which) for name, part in parts.items()})


@dataclass
class Row:
    """Measures of the simple models and of the network with each seed."""

    task: str
    measures: tuple
    simple: dict
    seeds: list

    def lines(self):
        """Return lines of a Markdown table, one for each measure."""
        for k, measure in enumerate(self.measures):
            simple = ", ".join(f"{name} {values[k]:.4g}" for name, values in self.simple.items())
            each = [values[k] for values in self.seeds]
            seeds = " ".join(f"{value:.4g}" for value in each)
            yield f"| {self.task} | {measure} | {simple} | **{np.mean(each):.4g}** | {seeds} |"


HEADER = "| task | measure | simple models | network, mean | each seed |\n|---|---|---|---|---|"
