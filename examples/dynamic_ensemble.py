"""Ten members and three changes: an ensemble whose weights follow who is right lately.

A generated hourly load is forecast a day ahead from the hour, the weather and the load of the day before. Ten members
are fitted once, on 100 usual days: an LSTM, a GRU, a bidirectional LSTM, an LSTM with attention, a minGRU, ridge
regression, XGBoost, LightGBM (where it is installed), scikit-learn's boosted trees and the seasonal naive forecast, the
load of the day before. Then the world changes three times, 40 days each:

1. usual days go on;
2. another daily shape at another level, that no member has seen: the load of the day before knows it;
3. the usual shape in a cold spell far outside of the weather of the training days: a straight line goes on, trees
   and networks do not;
4. usual days again.

Every evening the truth of the day arrives, and ``update`` moves the weights of one ensemble towards the member that was
best lately, as few members are any good in the second and third period; nothing is fitted again.
Beside it stand an ensemble with weights found in the training part and one with equal weights. What counts is the
error in the second half of each period, relative to the member that is best there.

Run it with ``python examples/dynamic_ensemble.py``. It prints the errors and writes dynamic_ensemble.png.
"""

# sphinx_gallery_thumbnail_path = "studies/gallery/dynamic_ensemble.png"

import argparse

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from xgboost import XGBRegressor

from sklstm import DeepRNNRegressor, WeightedEnsembleRegressor
from sklstm.inspection import WeightHistoryDisplay

try:
    from lightgbm import LGBMRegressor
except ImportError:
    LGBMRegressor = None

DAY, TRAINING, PERIOD = 24, 100, 40  # hours, days, days
PERIODS = ["usual", "another shape", "cold spell", "usual again"]
WINDOW = {"hidden_size": 16, "sequence_length": DAY, "max_iter": 30, "random_state": 0}
NETWORKS = {
    "LSTM": {"cell": "lstm"},
    "GRU": {"cell": "gru"},
    "bidirectional": {"cell": "lstm", "bidirectional": True},
    "attention": {"cell": "lstm", "attention_heads": 2, "pooling": "attention"},
    "minGRU": {"cell": "mingru"},
}


def make_load(seed):
    """Return features (n_hours, 5) and the load (n_hours,) of all days but the first."""
    rng = np.random.default_rng(seed)
    n_days = 1 + TRAINING + PERIOD * len(PERIODS)
    hour = np.arange(n_days * DAY) % DAY
    period = np.maximum(np.arange(n_days * DAY) // DAY - 1 - TRAINING, -1) // PERIOD  # -1 in the training part
    usual = 2.0 * np.exp(-(((hour - 8) / 2) ** 2)) + 3.0 * np.exp(-(((hour - 19) / 3) ** 2))
    other = 4.0 + 3.0 * np.exp(-(((hour - 13) / 3) ** 2))
    weather = np.repeat(rng.normal(size=n_days), DAY) + 0.3 * rng.normal(size=len(hour))
    weather = np.where(period == 2, weather + 8.0, weather)
    effect = np.where(period == 1, 0.0, 1.0)  # of the weather
    load = np.where(period == 1, other, usual) + effect * weather + 0.4 * rng.normal(size=len(hour))
    angle = 2 * np.pi * hour / DAY
    now, before = slice(DAY, None), slice(None, -DAY)
    X = np.column_stack([np.sin(angle)[now], np.cos(angle)[now], weather[now], weather[before], load[before]])
    return X, load[now]


class SeasonalNaive(RegressorMixin, BaseEstimator):
    """Predicts the load of the day before, the last column."""

    def fit(self, X, y):
        """Learn nothing."""
        return self

    def predict(self, X):
        """Return the last column."""
        return X[:, -1]


def make_members():
    """Return names and members."""
    members = [(name, DeepRNNRegressor(**WINDOW, **options)) for name, options in NETWORKS.items()]
    members += [
        ("ridge", Ridge()),
        ("XGBoost", XGBRegressor(n_estimators=150, max_depth=4, learning_rate=0.1, n_jobs=1)),
    ]
    if LGBMRegressor is not None:
        members.append(("LightGBM", LGBMRegressor(n_estimators=150, num_leaves=15, n_jobs=1, verbose=-1)))
    return [*members, ("boosted trees", HistGradientBoostingRegressor(random_state=0)), ("naive", SeasonalNaive())]


def forecast_days(ensemble, X, y, first, *, learn):
    """Return forecasts from hour `first` on, day by day, with an update after each day if asked for."""
    forecasts = []
    for start in range(first, len(y), DAY):
        day, before = slice(start, start + DAY), X[start - DAY : start]
        forecasts.append(ensemble.predict(X[day], context=before))
        if learn:
            ensemble.update(X[day], y[day], context=before)
    return np.concatenate(forecasts)


def draw(path, errors, dynamic, title):
    """Weights over time above errors relative to the best member of each period."""
    figure, (top, bottom) = plt.subplots(2, figsize=(9, 7), layout="constrained", height_ratios=[3, 2])
    display = WeightHistoryDisplay.from_estimator(dynamic, ax=top)
    for number, name in enumerate(PERIODS):
        start = number * PERIOD * DAY
        top.axvline(start, color="black", linewidth=1)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        top.text(start + 15, 0.97, name, va="top", fontsize="small", bbox=box)
    top.set_xlabel("Hour since the start of the forecasts")
    best = np.min([values for name, values in errors.items() if not name.startswith("ensemble")], axis=0)
    shown = [name for name in errors if name.startswith("ensemble")]
    for number, (name, color) in enumerate(zip(shown, ("tab:blue", "tab:orange", "tab:grey"), strict=True)):
        places = np.arange(len(PERIODS)) + 0.27 * (number - 1)
        bottom.bar(places, 100 * (errors[name] / best - 1), width=0.25, color=color, label=name)
    bottom.axhline(2, color="black", linestyle="--", linewidth=1)
    bottom.axhline(0, color="black", linewidth=0.8)
    bottom.set_yscale("symlog", linthresh=5)
    bottom.set_yticks([-2, 0, 2, 5, 10, 50, 100, 500, 1000], ["-2", "0", "2", "5", "10", "50", "100", "500", "1000"])
    bottom.set_ylim(-3, 20_000)
    bottom.minorticks_off()
    bottom.set_xticks(range(len(PERIODS)), PERIODS)
    bottom.set_ylabel("Error over the best member (%),\nsecond half of each period")
    bottom.legend(fontsize="small", loc="upper left", ncols=3)
    figure.suptitle(title)
    figure.savefig(path, dpi=100)
    return display


def main():
    """Fit, forecast, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--picture", default="dynamic_ensemble.png", help="where to write (default: dynamic_ensemble.png)"
    )
    parser.add_argument("--seed", default=0, type=int, help="of the load (default: 0)")
    parser.add_argument("--jobs", default=None, type=int, help="members that are fitted at the same time (default: 1)")
    arguments = parser.parse_args()
    X, y = make_load(arguments.seed)
    n = TRAINING * DAY
    live = {"update_rule": "best", "half_life": DAY, "min_weight": 0.0005, "initial_weights": "equal"}
    dynamic = WeightedEnsembleRegressor(make_members(), weights="dynamic", **live, n_jobs=arguments.jobs)
    dynamic.fit(X[:n], y[:n])
    static = WeightedEnsembleRegressor(make_members(), weights="auto", cv=3, n_jobs=arguments.jobs).fit(X[:n], y[:n])

    forecasts = {
        name: member.predict(X[n:], context=X[n - DAY : n]) if name in NETWORKS else member.predict(X[n:])
        for name, member in dynamic.named_estimators_.items()
    }
    forecasts["ensemble, dynamic"] = forecast_days(dynamic, X, y, n, learn=True)
    forecasts["ensemble, static"] = forecast_days(static, X, y, n, learn=False)
    forecasts["ensemble, equal"] = np.mean(list(forecasts.values())[: len(dynamic.estimators_)], axis=0)
    hours = np.arange(len(y) - n)
    is_late = hours % (PERIOD * DAY) >= PERIOD * DAY // 2
    errors = {
        name: np.array(
            [np.abs(y[n:] - one)[is_late & (hours // (PERIOD * DAY) == k)].mean() for k in range(len(PERIODS))]
        )
        for name, one in forecasts.items()
    }
    print("mean absolute error in the second half of: " + ", ".join(PERIODS))
    for name, values in errors.items():
        print(f"  {name:18s}" + "".join(f"{value:8.3f}" for value in values))
    best = np.min([errors[name] for name, _ in make_members()], axis=0)
    for name in ("ensemble, dynamic", "ensemble, static", "ensemble, equal"):
        print(f"{name} over the best member: " + ", ".join(f"{100 * x:+.1f} %" for x in errors[name] / best - 1))
    draw(arguments.picture, errors, dynamic, f"{len(dynamic.estimators_)} members, weights that follow recent errors")
    print(f"{arguments.picture} written")


if __name__ == "__main__":
    main()
