"""Measure the weights of ensembles: ``python ensemble_weights_study.py [DATA] [errors|prices|series]``.

"errors": errors of five forecasters are drawn, weights are learned on n of them and judged on others. "prices": five
forecasters of simulated day-ahead prices (24 hours a day), weights by three folds. "series": five forecasters of the
next 24 values of each column of ETTh1 and of the exchange rates (DATA is the folder of the files), the last 40 % for
testing. All tables give the loss of the test part relative to that of equal weights, in percent; below zero is better.
"""

import argparse
import os

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor
from threadpoolctl import threadpool_limits

from sklstm import WeightedEnsembleRegressor
from sklstm._ensemble.losses import ErrorLoss
from sklstm._ensemble.shrinkage import blocks_in_time
from sklstm._ensemble.weights import learn_weights
from sklstm.model_selection import PurgedTimeSeriesSplit, make_horizon

N_MEMBERS = 5
RULES = {
    "learned": {"rule": "auto", "shrinkage": 0.0},
    "shrunk": {"rule": "auto", "shrinkage": "auto"},
    "inverse_loss": {"rule": "inverse_loss", "shrinkage": "auto"},
}
KINDS = {
    "alike": "equal variances, correlation .8",
    "slightly different": "own variances .7 to 1.3 of .2",
    "different": "own variances .3 to 2.5 of .4",
    "clearly different": "variances 1 to 25, independent",
    "a pair": "two of opposite errors, three copies of one of them",
    "drifting": "alike, with slow biases, heavy tails and changing variance",
    "improving": "the worst in the folds is as good as the best afterwards",
}


def draw_errors(kind, n_rows, n_test, rng):
    """Return errors of all members, first of the rows with an out-of-fold prediction, then of the others."""
    n = n_rows + n_test
    common, own = rng.normal(size=(n, 1)), rng.normal(size=(n, N_MEMBERS))
    if kind == "alike":
        return np.sqrt(0.8) * common + np.sqrt(0.2) * own
    if kind == "slightly different":
        return np.sqrt(0.8) * common + np.sqrt(0.2 * np.linspace(0.7, 1.3, N_MEMBERS)) * own
    if kind == "different":
        return np.sqrt(0.6) * common + np.sqrt(0.4 * np.linspace(0.3, 2.5, N_MEMBERS)) * own
    if kind == "clearly different":
        return np.arange(1, N_MEMBERS + 1) * own
    if kind == "a pair":
        opposite = rng.normal(size=(n, 1)) * np.array([1.0, -1.0] + [1.0] * (N_MEMBERS - 2))
        return np.sqrt(0.5) * (common + opposite) + 0.3 * own
    if kind == "drifting":
        steps = 0.063 * rng.normal(size=(n, N_MEMBERS))
        bias = np.zeros_like(steps)
        for t in range(1, n):
            bias[t] = 0.99 * bias[t - 1] + steps[t]
        tails = np.sqrt(0.4) * rng.standard_t(4, size=(n, 1)) + np.sqrt(0.1) * rng.standard_t(4, size=(n, N_MEMBERS))
        return np.exp(0.5 * np.sin(np.arange(n) / n * 9)[:, None] + 0.3 * rng.normal(size=(n, 1))) * tails + bias
    variances = np.tile(np.linspace(0.7, 1.6, N_MEMBERS), (n, 1))
    variances[n_rows:, -1] = 0.7
    return np.sqrt(0.7) * common + np.sqrt(0.3 * variances) * own


def learn(errors, blocks, power):
    """Return the fitted weights of each rule; errors of shape (n_rows, n_members, n_columns)."""
    loss = ErrorLoss(errors, None, power)
    return {name: learn_weights(loss=loss, blocks=blocks, **rule) for name, rule in RULES.items()}


def judge(fitted, errors, power):
    """Return the loss of equal weights and of each rule, and of the best pair and member, seen afterwards."""
    weights = {"equal": np.full(N_MEMBERS, 1 / N_MEMBERS)} | {name: one["weights_"] for name, one in fitted.items()}
    losses = {name: ErrorLoss(errors, None, power).value(one) for name, one in weights.items()}
    loss = ErrorLoss(errors, None, power)
    alone = np.eye(N_MEMBERS)
    pairs = [(alone[i] + alone[j]) / 2 for i in range(N_MEMBERS) for j in range(i)]
    return losses | {"best pair": min(map(loss.value, pairs)), "best member": min(map(loss.value, alone))}


def print_row(name, results):
    """Print a row: mean losses relative to equal weights, then the mean shrinkage."""
    losses = [one for one, _ in results]
    base = np.mean([one["equal"] for one in losses])
    cells = [f"{100 * (np.mean([one[key] for one in losses]) / base - 1):+.2f}" for key in losses[0] if key != "equal"]
    shrinkage = np.mean([fitted["shrunk"]["shrinkage_"] for _, fitted in results])
    print(f"| {name} | " + " | ".join(cells) + f" | {shrinkage:.2f} |", flush=True)


def print_head(first):
    print(f'\n| {first} | learned | shrunk ("auto") | inverse_loss | best pair | best member | shrinkage_ |')
    print("|---|---|---|---|---|---|---|")


def study_errors(repeats):
    """Drawn errors."""
    print_head("errors, rows")
    for kind in KINDS:
        for n_rows in (30, 100, 400, 2000):
            results = []
            for seed in range(repeats):
                errors = draw_errors(kind, n_rows, 300 if kind == "drifting" else 4000, np.random.default_rng(seed))
                errors = errors[:, :, None]
                blocks = blocks_in_time(np.arange(n_rows) * 5 // n_rows, np.arange(n_rows))
                fitted = learn(errors[:n_rows], blocks, 2)
                results.append((judge(fitted, errors[n_rows:], 2), fitted))
            print_row(f"{kind}, {n_rows}", results)


class Naive(RegressorMixin, BaseEstimator):
    """Forecasts the values of the day before, given lags as columns, the newest last."""

    def fit(self, X, y):
        self.n_outputs_ = y.shape[1]
        return self

    def predict(self, X):
        return X[:, -self.n_outputs_ :]


class OfLags(RegressorMixin, BaseEstimator):
    """A regressor that reads the last columns only, and differences to the newest one."""

    def __init__(self, inner=None, n_lags=24):
        self.inner, self.n_lags = inner, n_lags

    def fit(self, X, y):
        self.inner_ = self.inner.fit(X[:, -self.n_lags :] - X[:, -1:], y - X[:, -1:])
        return self

    def predict(self, X):
        return self.inner_.predict(X[:, -self.n_lags :] - X[:, -1:]) + X[:, -1:]


class OfSomeLags(RegressorMixin, BaseEstimator):
    """A ridge regression on a random quarter of the columns, and differences to the newest one."""

    def __init__(self, seed=0):
        self.seed = seed

    def fit(self, X, y):
        self.columns_ = np.random.default_rng(self.seed).permutation(X.shape[1])[: X.shape[1] // 4]
        self.inner_ = Ridge(100.0).fit(X[:, self.columns_] - X[:, -1:], y - X[:, -1:])
        return self

    def predict(self, X):
        return self.inner_.predict(X[:, self.columns_] - X[:, -1:]) + X[:, -1:]


SIMILAR = [(f"ridge {seed}", OfSomeLags(seed)) for seed in range(N_MEMBERS)]
MIXED = [
    ("ridge, 24", OfLags(Ridge(1.0), 24)),
    ("ridge, 72", OfLags(Ridge(10.0), 72)),
    ("ridge, 168", OfLags(Ridge(1e3), 168)),
    ("neighbours", OfLags(KNeighborsRegressor(30), 48)),
    ("naive", Naive()),
]


def simulate_prices(n_days, rng):
    """Return hourly prices: a daily and a weekly shape, a slow level, days that are alike, and spikes."""
    hours = np.arange(24 * n_days)
    shape = 8 * np.sin(2 * np.pi * (hours % 24 - 7) / 24) + 6 * np.exp(-(((hours % 24) - 19) ** 2) / 6)
    week = np.where(hours // 24 % 7 >= 5, -6.0, 0.0)
    level, day = np.zeros(n_days), np.zeros(n_days)
    for t in range(1, n_days):
        level[t] = 0.995 * level[t - 1] + 0.8 * rng.normal()
        day[t] = 0.6 * day[t - 1] + 3.0 * rng.normal()
    noise = np.zeros(len(hours))
    for t in range(1, len(hours)):
        noise[t] = 0.8 * noise[t - 1] + 1.2 * rng.standard_t(4)
    spikes = (rng.random(len(hours)) < 0.005) * rng.exponential(30, len(hours))
    return 45 + shape + week + np.repeat(level + day, 24) + noise + spikes


def fit_members(members, values, step, share):
    """Return out-of-fold errors, their blocks, and errors of the test part of all members."""
    lags = np.lib.stride_tricks.sliding_window_view(values, 168)[::step]
    rows, targets = make_horizon(values[167:], 24)
    X, Y = lags[rows[::step]], targets[: rows.sum()][::step]
    cut = int(share * len(X))
    ahead = -(-24 // step)
    split = PurgedTimeSeriesSplit(3, horizon=ahead)
    model = WeightedEnsembleRegressor(members, weights="auto", cv=split).fit(X[: cut - ahead], Y[: cut - ahead])
    errors = Y[model.oof_indices_][:, None] - model.oof_predictions_
    predictions = np.stack([member.predict(X[cut:]) for member in model.estimators_], axis=1)
    n_rows = len(errors)
    blocks = blocks_in_time(np.arange(n_rows) * 3 // n_rows, np.arange(n_rows))
    return errors, blocks, Y[cut:][:, None] - predictions


def print_losses(name, tasks):
    for power, loss in ((1, "absolute"), (2, "squared")):
        results = []
        for errors, blocks, test in tasks:
            fitted = learn(errors, blocks, power)
            results.append((judge(fitted, test, power), fitted))
        print_row(f"{name}, {loss}", results)


def study_prices(repeats):
    """Day-ahead prices: a row a day, weights from half a year to four years."""
    print_head("prices, error")
    for name, members in (("similar", SIMILAR), ("mixed", MIXED)):
        for n_days in (180, 360, 720, 1440):
            tasks = []
            for seed in range(repeats):
                prices = simulate_prices(n_days + 365, np.random.default_rng(seed))
                tasks.append(fit_members(members, prices, 24, n_days / (n_days + 365)))
            print_losses(f"{name}, {n_days} days", tasks)


def study_series(folder):
    """Columns of real tables, a row every six hours or every day."""
    etth1 = np.genfromtxt(os.path.join(folder, "etth1", "ETTh1.csv"), delimiter=",", skip_header=1)[:, 1:]
    rates = np.genfromtxt(os.path.join(folder, "exchange_rate", "exchange_rate.txt.gz"), delimiter=",")
    print_head("series, error")
    for name, table, step in (("ETTh1", etth1, 6), ("exchange rates", np.log(rates), 3)):
        for rows in (1500, 4000, len(table)):
            tasks = [fit_members(MIXED, column[-rows:], step, 0.6) for column in table.T]
            print_losses(f"{name}, {rows} rows", tasks)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", default=os.environ.get("SKLSTM_STUDY_DATA", ""))
    parser.add_argument("parts", nargs="*", default=[])
    parser.add_argument("--repeats", type=int, default=100)
    arguments = parser.parse_args()
    parts = arguments.parts or ["errors", "prices"] + ["series"] * bool(arguments.folder)
    with threadpool_limits(1):
        if "errors" in parts:
            study_errors(arguments.repeats)
        if "prices" in parts:
            study_prices(max(1, arguments.repeats // 5))
        if "series" in parts:
            study_series(arguments.folder)


if __name__ == "__main__":
    main()
