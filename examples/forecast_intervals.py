"""Intervals of 80 % for the oil temperature of ETTh1: as trained, corrected once, and corrected every day.

One network forecasts three quantiles of each of the next 24, or 96, hours, from a week of all seven series. It is
trained on 8,640 hours; 2,880 hours choose the epoch and correct the bands (``conformal=True``); 2,880 hours test them.
The series drifts, so the bands are also corrected anew each day of the test, by the last hours whose targets are known
(`calibrate`). How many hours that are is chosen within the validation part, by the interval score::

    python examples/forecast_intervals.py

It prints a line for each horizon and `window_norm`: the share of targets inside and the interval score (Gneiting &
Raftery 2007: width, and what lies outside times 2 / 0.2; smaller is better), the last column the interval score of the
validation part as trained. Minutes on one core.
"""

import argparse

import numpy as np

from sklstm import DeepLSTMRegressor
from sklstm.datasets import load_etth1

TRAIN, VAL, TEST = slice(0, 8640), slice(8640, 11520), slice(11520, 14400)
WEEK = 168
RECENT = (168, 336, 720, 1440)
SETTINGS = {
    "hidden_size": 32,
    "sequence_length": WEEK,
    "patch_length": 24,
    "loss": "quantile",
    "quantile": [0.1, 0.5, 0.9],
    "weight_decay": 3.0,
    "learning_rate": "one_cycle",
    "batch_size": 128,
    "max_iter": 6,
}


def interval_score(bands, y):
    """Return the share of targets inside, and the mean interval score at 80 %."""
    low, high = bands[..., 0], bands[..., 2]
    outside = np.maximum(low - y, 0.0) + np.maximum(y - high, 0.0)
    return np.mean(outside == 0.0), np.mean(high - low + 10.0 * outside)


class Task:
    """The series, the targets of a horizon, and the parts of both."""

    def __init__(self, ahead):
        etth1 = load_etth1()
        table = (etth1.data - etth1.data[TRAIN].mean(axis=0)) / etth1.data[TRAIN].std(axis=0)
        self.column, self.ahead = list(etth1.feature_names).index("OT"), ahead
        hours = etth1.time.astype("datetime64[h]").astype(int) % 24
        self.X = np.column_stack([table, np.sin(np.pi * hours / 12), np.cos(np.pi * hours / 12)])
        self.y = np.lib.stride_tricks.sliding_window_view(table[1:, self.column], ahead)

    def part(self, begin, end):
        """Return rows and targets of some hours, and the week before them."""
        return self.X[begin:end], self.y[begin:end], self.X[max(0, begin - WEEK + 1) : begin]

    def fit(self, **options):
        """Train on the first part; the second chooses the epoch and corrects the bands."""
        X, y, _ = self.part(0, TRAIN.stop - self.ahead)
        X_val, y_val, _ = self.part(VAL.start, VAL.stop - self.ahead)
        return DeepLSTMRegressor(**SETTINGS, **options, conformal=True).fit(X, y, X_val=X_val, y_val=y_val)

    def each_day(self, model, begin, end, n_hours):
        """Return the bands of some hours, corrected each day by the last `n_hours` whose targets are known by then."""
        bands = []
        for day in range(begin, end - self.ahead, 24):
            X, y, context = self.part(day - self.ahead - n_hours, day - self.ahead)
            model.calibrate(X, y, context=context)
            X, _, context = self.part(day, min(day + 24, end - self.ahead))
            bands.append(model.predict_quantiles(X, context=context))
        return np.concatenate(bands), self.y[begin : end - self.ahead]


def main():
    """Train, correct, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", default=0, type=int, help="random_state (default: 0)")
    parser.add_argument("--n-jobs", default=None, type=int, help="number of threads (default: all cores)")
    arguments = parser.parse_args()
    common = {"random_state": arguments.seed, "n_jobs": arguments.n_jobs}
    print("ahead window_norm   as trained    conformal     each day (hours)   validation")
    for ahead in (24, 96):
        task = Task(ahead)
        for norm in (None, "last", "standard"):
            options = {} if norm is None else {"window_norm": norm, "target_column": task.column, "linear_skip": WEEK}
            model = task.fit(**options, **common)
            X, y, context = task.part(TEST.start, TEST.stop - ahead)
            corrected = interval_score(model.predict_quantiles(X, context=context), y)
            middle = VAL.start + max(RECENT) + ahead
            scores = {n: interval_score(*task.each_day(model, middle, VAL.stop, n))[1] for n in RECENT}
            best = min(scores, key=scores.get)
            daily = interval_score(*task.each_day(model, TEST.start, TEST.stop, best))
            del model.conformal_correction_  # as trained
            raw = interval_score(model.predict_quantiles(X, context=context), y)
            X, y, context = task.part(VAL.start, VAL.stop - ahead)
            of_validation = interval_score(model.predict_quantiles(X, context=context), y)[1]
            cells = "   ".join(f"{share:.3f} {score:5.2f}" for share, score in (raw, corrected, daily))
            print(f"{ahead:>5} {norm!s:<11} {cells}  {f'({best})':<8} {of_validation:5.2f}", flush=True)


if __name__ == "__main__":
    main()
