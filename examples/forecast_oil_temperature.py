"""Forecast the oil temperature of a transformer 24 hours ahead.

The oil temperature tells how hard an electricity transformer works. The bundled ETTh1 table holds two years of
hourly readings; the models forecast how much the temperature will have changed 24 hours from now, and are compared
with what is hard to beat: the last value, and a ridge regression on the same columns and the same 24 hours of
history.

Order of time everywhere: the first 8,640 hours (a year of 30-day months) train, the next 2,880 choose penalties,
numbers of trees and epochs, the next 2,880 are the test. Before the test, every model is refitted on the first two
parts.

Run it with ``make demo`` or ``python examples/forecast_oil_temperature.py``. It prints a table and writes demo.png.
"""

import time

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.compose import make_column_transformer
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from xgboost import XGBRegressor

from sklstm import DeepLSTMRegressor, LSTMFeatureSelector, WeightedEnsembleRegressor
from sklstm.datasets import load_etth1

HORIZON = 24  # hours
WINDOW = 24  # hours of history that every model sees
WEEK = 168
N_SEEDS = 3  # one network alone is a matter of luck: .01 °C either way
# The first week has no weekly mean; the last hours before a border have targets behind it.
TRAIN = slice(WEEK, 8640 - HORIZON)
VALIDATION = slice(8640, 11520 - HORIZON)
REFIT = slice(WEEK, 11520 - HORIZON)
TEST = slice(11520, 14400 - HORIZON)

console = Console(width=100)


def trailing_mean(x, length):
    """Mean of the last `length` values, the present one included."""
    total = np.cumsum(x, axis=0)
    total[length:] -= total[:-length].copy()
    return total / np.minimum(np.arange(len(x)) + 1, length)[:, np.newaxis]


def make_columns(data, hours):
    """Turn readings into columns whose level does not drift from one year to the next.

    Of each row only the past is used: the last hour's change of the oil temperature, the clock, and for each of the
    seven series its distance from the mean of the last day and of the last week.
    """
    last_hour = np.diff(data[:, -1:], axis=0, prepend=data[:1, -1:])
    angle = 2 * np.pi * (hours[:, np.newaxis] % 24) / 24
    return np.hstack(
        [last_hour, np.sin(angle), np.cos(angle), data - trailing_mean(data, 24), data - trailing_mean(data, WEEK)]
    )


def lagged(X):
    """The rows of a window side by side, for models that know no time (the first windows repeat the first row)."""
    rows = np.maximum(np.arange(len(X))[:, np.newaxis] - np.arange(WINDOW), 0)
    return X[rows].reshape(len(X), -1)


def prepare(columns, y, part):
    """Select and scale the columns with what is known in `part`."""
    steps = make_pipeline(
        make_column_transformer(
            ("passthrough", [0, 1, 2]),
            (LSTMFeatureSelector(n_features_to_select=2, max_lag=WINDOW), slice(3, None)),
        ),
        StandardScaler(),
    )
    return steps, steps.fit(columns[part], y[part]).transform(columns).astype(np.float32)


def predict(model, X, part):
    """Predict a part with the rows before it as history."""
    return model.predict(X[part.start - WINDOW : part.stop])[WINDOW:]


def ridge(alpha):
    """Ridge regression on the window."""
    return make_pipeline(FunctionTransformer(lagged), Ridge(alpha))


def xgboost(n_trees):
    """Gradient-boosted trees on the window."""
    trees = XGBRegressor(
        n_estimators=n_trees, max_depth=4, learning_rate=0.05, subsample=0.7, colsample_bytree=0.5, random_state=0
    )
    return make_pipeline(FunctionTransformer(lagged), trees)


def lstm(**changes):
    """Small networks for what a ridge regression on the same window leaves over.

    8,000 overlapping windows hold some 360 independent days, so they are regularised hard.
    """
    settings = {"hidden_size": 16, "sequence_length": WINDOW, "linear_skip": WINDOW, "n_seeds": N_SEEDS}
    settings |= {"weight_decay": 3.0, "recurrent_dropout": 0.3, "batch_size": 128, "random_state": 0}
    return DeepLSTMRegressor(**{**settings, "early_stopping": False, **changes})


def curves(model, name):
    """Return an attribute of each network of a model."""
    return [getattr(model, name), *(network[name] for network in model.other_networks_)]


def choose_sizes(X, y):
    """Choose penalty, number of trees and number of epochs on the validation part; return them and the LSTM."""
    errors = {}
    for alpha in (1.0, 10.0, 100.0, 1000.0):
        model = ridge(alpha).fit(X[TRAIN], y[TRAIN])
        errors[alpha] = root_mean_squared_error(y[VALIDATION], predict(model, X, VALIDATION))
    alpha = min(errors, key=errors.get)
    console.print(f"  ridge: alpha={alpha:g}")
    steps = xgboost(300).fit(X[TRAIN], y[TRAIN])
    history = lagged(X[VALIDATION.start - WINDOW : VALIDATION.stop])[WINDOW:]
    by_trees = {
        n: root_mean_squared_error(y[VALIDATION], steps[-1].predict(history, iteration_range=(0, n)))
        for n in range(25, 301, 25)
    }
    n_trees = min(by_trees, key=by_trees.get)
    console.print(f"  XGBoost: {n_trees} trees")
    model = lstm(max_iter=30, n_iter_no_change=30).fit(X[TRAIN], y[TRAIN], X_val=X[VALIDATION], y_val=y[VALIDATION])
    scores = np.mean(curves(model, "validation_scores_"), axis=0)
    n_epochs = int(scores.argmax()) + 1
    console.print(
        f"  LSTM: {n_epochs} epochs; score {scores.max():.3f}, of the linear part alone {model.skip_score_:.3f}"
    )
    return alpha, n_trees, n_epochs, model


def draw(path, times, y, level, forecasts, model, n_epochs):
    """Two weeks of forecasts against truth, and the learning curves."""
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(10, 8), height_ratios=(3, 2), layout="constrained")
    days = slice(1200, 1200 + 14 * 24)
    top.plot(times[days], (level + y)[days], color="black", linewidth=2, label="truth")
    styles = (("grey", ":"), ("tab:orange", "--"), ("tab:green", "-."), ("tab:blue", "-"), ("tab:red", "-"))
    for (name, change), (color, style) in zip(forecasts.items(), styles, strict=True):
        top.plot(times[days], (level + change)[days], style, color=color, linewidth=1.2, label=name)
    top.set(ylabel="oil temperature (°C)", title="Forecasts made 24 hours before, two weeks of the test part")
    top.legend(ncols=3, fontsize="small")
    top.tick_params(axis="x", labelrotation=20)
    losses, scores = (np.mean(curves(model, name), axis=0) for name in ("loss_curve_", "validation_scores_"))
    epochs = np.arange(1, len(losses) + 1)
    bottom.plot(epochs, 1 - 2 * losses, label="training")
    bottom.plot(epochs, scores, label="validation")
    bottom.axhline(
        model.skip_score_, color="black", linewidth=0.8, linestyle="--", label="validation, linear part alone"
    )
    bottom.axvline(n_epochs, color="grey", linestyle=":", label="chosen")
    bottom.set(
        xlabel="epoch", ylabel="explained share of variance", title=f"Learning curve, mean of {N_SEEDS} networks"
    )
    bottom.legend(fontsize="small")
    figure.savefig(path, dpi=110)


def main():
    """Train, compare, draw."""
    begin = time.perf_counter()
    etth1 = load_etth1()
    level = etth1.data[:, -1]
    y = np.full(len(level), np.nan)
    y[:-HORIZON] = level[HORIZON:] - level[:-HORIZON]
    columns = make_columns(etth1.data, etth1.time.astype("datetime64[h]").astype(int))

    console.print("Choosing on the validation part")
    _, X = prepare(columns, y, TRAIN)
    alpha, n_trees, n_epochs, learning = choose_sizes(X, y)

    console.print("Refitting on training and validation part")
    steps, X = prepare(columns, y, REFIT)
    selector = steps[0].named_transformers_["lstmfeatureselector"]
    names = [f"{name} - mean of {span}" for span in ("day", "week") for name in etth1.feature_names]
    console.print(f"  selected: {', '.join(np.array(names)[selector.get_support()])}")
    models = {
        "ridge": ridge(alpha),
        "XGBoost": xgboost(n_trees),
        "ridge and LSTM (linear_skip)": lstm(max_iter=n_epochs),
        "ensemble of XGBoost and LSTM": WeightedEnsembleRegressor(
            [("xgboost", xgboost(n_trees)), ("lstm", lstm(max_iter=n_epochs))], weights=(0.5, 0.5)
        ),
    }
    table = Table(title=f"Oil temperature {HORIZON} hours ahead, {TEST.stop - TEST.start:,} hours of test")
    for column in ("model", "MAE (°C)", "RMSE (°C)", "seconds to fit"):
        table.add_column(column, justify="left" if column == "model" else "right")
    truth, forecasts, seconds = y[TEST], {"last value": np.zeros(TEST.stop - TEST.start)}, {"last value": 0.0}
    for name, model in models.items():
        console.print(f"  {name} ...")
        start = time.perf_counter()
        model.fit(X[REFIT], y[REFIT])
        seconds[name] = time.perf_counter() - start
        forecasts[name] = predict(model, X, TEST)
    for name, forecast in forecasts.items():
        error = mean_absolute_error(truth, forecast), root_mean_squared_error(truth, forecast)
        table.add_row(name, f"{error[0]:.3f}", f"{error[1]:.3f}", f"{seconds[name]:.1f}")
    console.print(table)
    draw("demo.png", etth1.time[TEST] + np.timedelta64(HORIZON, "h"), truth, level[TEST], forecasts, learning, n_epochs)
    console.print(f"demo.png written; {time.perf_counter() - begin:.0f} seconds in all")


if __name__ == "__main__":
    main()
