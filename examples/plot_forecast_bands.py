"""Bands of a forecast: one network for five quantiles, and what a correction by later rows does to them.

A network forecasts the oil temperature of ETTh1 for each of the next 24 hours, as five quantiles, from two days of all
seven series. It is trained on 4,000 hours; the next 1,500 correct the bands (`calibrate`, conformal prediction), and
1,500 more test them. Above: one forecast with both bands, and the fan of forecasts made every twelve hours. Below: the
share of the truth inside each band, by hours ahead, as trained and corrected, and how wide the bands are for it. The
series drifts from part to part: the correction brings the wide band nearer to 90 %, and makes the narrow one narrower
than the test part needs (examples/forecast_intervals.py corrects the bands anew each day).

Run it with ``python examples/plot_forecast_bands.py``. It takes seconds and writes forecast_bands.png.
"""

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from sklstm import DeepLSTMRegressor
from sklstm.datasets import load_etth1
from sklstm.inspection import ForecastDisplay

HORIZON, TRAIN, LATER, TEST = 24, slice(0, 4000), slice(4000, 5500), slice(5500, 7000)
QUANTILES = [0.05, 0.25, 0.5, 0.75, 0.95]
BANDS = {"90 %": (0, 4, "tab:blue"), "50 %": (1, 3, "tab:orange")}
NAME = "Oil temperature (°C)"


def load():
    """Return the table, the targets and the hours."""
    etth1 = load_etth1()
    column = list(etth1.feature_names).index("OT")
    y = np.lib.stride_tricks.sliding_window_view(etth1.data[1:, column], HORIZON)
    return etth1.data[: len(y)], y, etth1.time, column


def draw_shares(axes, bands, y, style, what):
    """Draw the share of the truth inside each band, and its width, by hours ahead."""
    hours = np.arange(1, HORIZON + 1)
    for name, (low, high, color) in BANDS.items():
        inside = np.mean((bands[..., low] <= y) & (y <= bands[..., high]), axis=0)
        width = np.mean(bands[..., high] - bands[..., low], axis=0)
        axes[0].plot(hours, inside, style, color=color, label=f"{name}, {what}")
        axes[1].plot(hours, width, style, color=color, label=f"{name}, {what}")
        print(f"{name} band, {what}: {inside.mean():.2f} of the truth inside, {width.mean():.1f} °C wide")


def main():
    """Train, correct, draw."""
    X, y, time, column = load()
    model = DeepLSTMRegressor(
        16, sequence_length=48, patch_length=4, linear_skip=48, window_norm="last", target_column=column,
        loss="quantile", quantile=QUANTILES, learning_rate="one_cycle", max_iter=6, random_state=0,
    )  # fmt: skip
    model.fit(X[TRAIN], y[TRAIN])

    figure, axes = plt.subplots(2, 2, figsize=(13, 9), layout="constrained")
    draw_shares(axes[1], model.predict_quantiles(X[TEST], context=X[LATER]), y[TEST], ":", "as trained")
    model.calibrate(X[LATER], y[LATER], context=X[TRAIN])
    corrected = model.predict_quantiles(X[TEST], context=X[LATER])
    draw_shares(axes[1], corrected, y[TEST], "-", "corrected")

    given = {"context": X[LATER], "times": time[TEST], "target_name": NAME}
    ForecastDisplay.from_estimator(model, X[TEST], y[TEST], row=700, n_history=72, ax=axes[0, 0], **given)
    first, hours = 640, np.arange(TEST.start + 640, TEST.start + 640 + 168)
    axes[0, 1].plot(time[hours], X[hours, column], color="black", linewidth=1.2, label="Truth")
    for k in range(0, 144, 12):
        ahead = TEST.start + first + k + 1 + np.arange(HORIZON)
        for low, high, color in BANDS.values():
            axes[0, 1].fill_between(
                time[ahead], corrected[first + k, :, low], corrected[first + k, :, high], color=color, alpha=0.15, lw=0
            )
    axes[0, 1].set(title="A forecast every twelve hours, 50 % and 90 %", ylabel=NAME)
    axes[0, 1].xaxis.set_major_formatter(mpl.dates.ConciseDateFormatter(axes[0, 1].xaxis.get_major_locator()))

    for share in (0.5, 0.9):
        axes[1, 0].axhline(share, color="grey", linewidth=0.8)
    axes[1, 0].set(title="Share of the truth inside", xlabel="Hours ahead", ylim=(0, 1))
    axes[1, 1].set(title="Width of the bands (°C)", xlabel="Hours ahead", ylim=(0, None))
    axes[1, 0].legend(loc="lower left", fontsize="small")
    figure.savefig("forecast_bands.png", dpi=110)
    print("forecast_bands.png written")


if __name__ == "__main__":
    main()
