"""What a network has learnt of an electricity transformer, in six pictures.

A network forecasts five quantiles of the oil temperature of ETTh1 for each of the next 24 hours, from two days of all
seven series. The pictures of `sklstm.inspection` show its training, a forecast with its bands, what each column and
hour adds to it, what the score loses without a column, which hours an attention network looks at, and which columns a
selector would keep.

Run it with ``python examples/plot_inspection.py``. It takes seconds and writes inspection.png.
"""

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from sklstm import DeepLSTMRegressor, LSTMFeatureSelector
from sklstm.datasets import load_etth1
from sklstm.inspection import (
    AttentionDisplay,
    AttributionDisplay,
    FeatureScoreDisplay,
    ForecastDisplay,
    TrainingCurveDisplay,
    permutation_importance,
)

HORIZON, TRAIN, TEST = 24, slice(0, 4000), slice(4000, 5000)
NAME = "Oil temperature (°C)"
HOUR = 11  # of the horizon: 12 hours ahead
SETTINGS = {"sequence_length": 48, "learning_rate": "one_cycle", "max_iter": 6, "random_state": 0}


def load():
    """Return the table, the targets, the hours and the names of the columns."""
    etth1 = load_etth1()
    names = list(etth1.feature_names)
    y = np.lib.stride_tricks.sliding_window_view(etth1.data[1:, names.index("OT")], HORIZON)
    return etth1.data[: len(y)], y, etth1.time, names


def main():
    """Train, draw, write the file."""
    X_all, y_all, time, names = load()
    bands = DeepLSTMRegressor(
        16, **SETTINGS, loss="quantile", quantile=[0.05, 0.25, 0.5, 0.75, 0.95], linear_skip=48, patch_length=4,
        window_norm="last", target_column=names.index("OT"),
    )  # fmt: skip
    bands.fit(X_all[TRAIN], y_all[TRAIN])
    attentive = DeepLSTMRegressor(16, **SETTINGS, pooling="attention", attention_heads=2)
    attentive.fit(X_all[TRAIN], y_all[TRAIN, HOUR])
    plain = DeepLSTMRegressor(16, **SETTINGS).fit(X_all[TRAIN], y_all[TRAIN, HOUR])
    selector = LSTMFeatureSelector(4).fit(X_all[TRAIN], y_all[TRAIN, -1])

    figure, axes = plt.subplots(3, 2, figsize=(13, 13), layout="constrained")
    X, y, before = X_all[TEST], y_all[TEST], X_all[TRAIN]
    TrainingCurveDisplay.from_estimator(bands, ax=axes[0, 0])
    ForecastDisplay.from_estimator(
        bands, X, y, row=300, n_history=72, context=before, times=time[TEST], target_name=NAME, ax=axes[0, 1]
    )
    AttributionDisplay.from_estimator(
        plain, X, samples=[300], context=before, feature_names=names, unit_name="°C", ax=axes[1, 0]
    )
    importances = permutation_importance(
        plain, X, y[:, HOUR], scoring="neg_mean_absolute_error", lag_blocks=[0, 1, 6, 24, 48], context=before,
        n_repeats=3, random_state=0,
    )  # fmt: skip
    FeatureScoreDisplay.from_importances(
        importances, feature_names=names, score_label="Mean absolute error without it, more (°C)", ax=axes[1, 1]
    )
    AttentionDisplay.from_estimator(attentive, X, context=before, ax=axes[2, 0])
    FeatureScoreDisplay.from_estimator(selector, feature_names=names, ax=axes[2, 1])
    figure.savefig("inspection.png", dpi=110)
    most = names[int(importances.importances_mean[:, 0].argmax())]
    print(f"inspection.png: of the last hour, {most} counts most for the temperature 12 hours later.")


if __name__ == "__main__":
    main()
