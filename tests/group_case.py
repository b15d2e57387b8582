"""Series of different scales in one table, and regressors with a unit for each of them."""

import numpy as np
import pytest

from sklstm import DeepLSTMRegressor

SMALL = {"hidden_size": 4, "sequence_length": 6, "max_iter": 3, "random_state": 0, "n_jobs": 1, "target_column": 0}
KINDS = ("mean_absolute_difference", "standard")
NORMS = (None, "last", "standard")
each_norm = pytest.mark.parametrize("window_norm", NORMS)
each_kind = pytest.mark.parametrize("group_scaling", KINDS)


def make(**options):
    return DeepLSTMRegressor(**{**SMALL, "group_scaling": "mean_absolute_difference", **options})


def series(scale, n, seed, level=20.0):
    """The rows of a noisy wave, and the numbers that come one row later."""
    rng = np.random.default_rng(seed)
    values = scale * (level + 3.0 * np.sin(np.arange(n + 1) / 3.0 + seed) + 0.2 * rng.normal(size=n + 1))
    return np.column_stack([values[:-1], rng.normal(size=n)]), values[1:]


def panel(scales, n=60):
    """Series with the labels "s0", "s1", ..., 1 or a few rows longer each."""
    parts = [series(scale, n + 3 * k, k) for k, scale in enumerate(scales)]
    X, y = (np.concatenate(one) for one in zip(*parts, strict=True))
    return X, y, np.repeat([f"s{k}" for k in range(len(scales))], [len(rows) for rows, _ in parts])


X, Y, GROUPS = panel([1e-6, 1.0, 1e9])
NEW_X, NEW_Y = series(1e3, 40, 9)
NEW = np.full(40, "new")
IS_OWN = [label == GROUPS for label in ("s0", "s1", "s2")]


def unit_of(values, group_scaling):
    return values.std() if group_scaling == "standard" else np.abs(np.diff(values)).mean()


def mase(model, X, y, groups):
    """Mean absolute error over the mean absolute difference of consecutive rows, of each group."""
    error = np.abs(model.predict(X, groups=groups) - y)
    return np.array([error[groups == g].mean() / np.abs(np.diff(y[groups == g])).mean() for g in np.unique(groups)])


def stream_answers(model, table, label, **options):
    rows = model.stream(group=label, **options)
    return np.array([rows.step(row) for row in table[label == GROUPS]])
