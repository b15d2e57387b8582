"""One, three and five layers on the same budget, on real data.

The budget is the number of weights, which for stacked LSTM layers is also the number of multiplications of a step: a
deep stack gets narrower layers, so that none has more weights than one layer of 64 units. The deep stacks come with
``residual=1, norm="layer"`` and plain. Everything else is equal, and no setting was chosen on a test part.

- *Oil temperature*: the change of the oil temperature of a transformer, from a day of hourly readings of seven series
  and the clock (the bundled ETTh1 table; 8,640 hours train, 2,880 decide which epoch is kept, 2,880 test). Once in the
  next hour, from the readings as they are; once in 24 hours, from distances to the means of the last day and week, as
  in forecast_oil_temperature.py. The figure is the RMSE, in kelvin.
- *JapaneseVowels*: which of nine men spoke, from 7 to 29 frames of 12 cepstral coefficients (270 sequences train, 370
  test; classify_sequences.py says where to find the files). The figure is the accuracy.

Run it with ``python examples/depth.py FOLDER``, FOLDER with the files of JapaneseVowels (default: ucr; left out where
there is none). It prints three tables.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from classify_sequences import load
from sklearn.linear_model import RidgeCV
from sklearn.metrics import accuracy_score, root_mean_squared_error

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor
from sklstm.datasets import load_etth1

WIDEST = 64
WINDOW = 24  # hours
WEEK = 168  # the first has no weekly mean
# The last hours before a border have targets behind it.
TRAIN, VALIDATION, TEST = slice(WEEK, 8640 - 24), slice(8640, 11520 - 24), slice(11520, 14400 - 24)
RESIDUAL = {"residual": 1, "norm": "layer"}
PLAIN = {"residual": 0, "norm": None}
# On JapaneseVowels; the head reads the last state.
CLASSIFIER = {
    "dropout": 0.3,
    "learning_rate": "one_cycle",
    "learning_rate_init": 3e-3,
    "batch_size": 16,
    "max_iter": 150,
    "early_stopping": False,
}
STACKS = {
    "1 layer": {"n_layers": 1, **PLAIN},
    "3 layers, plain": {"n_layers": 3, **PLAIN},
    "3 layers, residual": {"n_layers": 3, **RESIDUAL},
    "5 layers, residual": {"n_layers": 5, **RESIDUAL},
    "5 layers, plain": {"n_layers": 5, **PLAIN},
}


def n_weights(n_layers, hidden_size, n_features):
    """Return the number of weights of the layers, biases and head aside."""
    return 4 * hidden_size * (n_features + hidden_size + (n_layers - 1) * 2 * hidden_size)


def size_within_budget(n_layers, n_features):
    """Return the largest hidden size with no more weights than one layer of the widest."""
    budget = n_weights(1, WIDEST, n_features)
    return max(size for size in range(1, WIDEST + 1) if n_weights(n_layers, size, n_features) <= budget)


def trailing_mean(x, length):
    """Mean of the last `length` rows, the present one included; of all there are at the beginning."""
    total = np.cumsum(x, axis=0)
    total[length:] -= total[:-length].copy()
    return total / np.minimum(np.arange(len(x)) + 1, length)[:, np.newaxis]


def oil_temperature(horizon, levels):
    """Return columns, with the levels of the series or with distances from recent means, and the coming changes."""
    etth1 = load_etth1()
    data, hours = etth1.data, etth1.time.astype("datetime64[h]").astype(int)
    angle = 2 * np.pi * (hours[:, np.newaxis] % 24) / 24
    change = np.diff(data, axis=0, prepend=data[:1])
    state = [data] if levels else [data - trailing_mean(data, 24), data - trailing_mean(data, WEEK)]
    columns = np.hstack([*state, change, np.sin(angle), np.cos(angle)])
    columns = (columns - columns[TRAIN].mean(axis=0)) / columns[TRAIN].std(axis=0)
    y = np.full(len(data), np.nan)
    y[:-horizon] = data[horizon:, -1] - data[:-horizon, -1]
    return columns.astype(np.float32), y


def lagged(X, part):
    """Return the windows of a part as rows, for a model that knows no time."""
    rows = np.maximum(np.arange(part.start, part.stop)[:, np.newaxis] - np.arange(WINDOW), 0)
    return X[rows].reshape(len(rows), -1)


def forecast(stack, seed, data):
    """Fit on the oil temperature; return the error, the epochs and the seconds."""
    X, y = data
    settings = {"sequence_length": WINDOW, "weight_decay": 0.01, "batch_size": 64, "max_iter": 40}
    model = DeepLSTMRegressor(**stack, **settings, random_state=seed)
    begin = time.perf_counter()
    model.fit(X[TRAIN], y[TRAIN], X_val=X[VALIDATION], y_val=y[VALIDATION])
    seconds = time.perf_counter() - begin
    predicted = model.predict(X[TEST], context=X[TEST.start - WINDOW : TEST.start])
    return root_mean_squared_error(y[TEST], predicted), model.n_iter_, seconds


def classify(stack, seed, data):
    """Fit on JapaneseVowels; return the accuracy, the epochs and the seconds."""
    X_train, y_train, X_test, y_test = data
    settings = {**CLASSIFIER, **stack}
    if stack["n_layers"] == 1:
        settings["dropout"] = 0.0  # it lies between layers
    model = DeepLSTMClassifier(**settings, random_state=seed)
    begin = time.perf_counter()
    model.fit(X_train, y_train)
    seconds = time.perf_counter() - begin
    return accuracy_score(y_test, model.predict(X_test)), model.n_iter_, seconds


def vowels(folder):
    """Return both parts of JapaneseVowels, scaled by mean and deviation of each channel in the training part."""
    train, y_train, test, y_test = load(folder, "JapaneseVowels")
    rows = np.vstack(train)
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    return [(x - mean) / deviation for x in train], y_train, [(x - mean) / deviation for x in test], y_test


def compare(title, run, data, n_features, n_seeds):
    """Print a row for each stack."""
    each = "each seed".ljust(8 * n_seeds)
    print(f"\n{title}\n{'':<20}{'units':>6}{'weights':>9}{'mean':>8}   {each}{'epochs':>7}{'s a fit':>9}")
    for name, stack in STACKS.items():
        size = size_within_budget(stack["n_layers"], n_features)
        results = [run({**stack, "hidden_size": size}, seed, data) for seed in range(n_seeds)]
        figures, epochs, seconds = np.array(results).T
        each = "".join(f"{figure:<8.4f}" for figure in figures)
        weights = n_weights(stack["n_layers"], size, n_features)
        left = f"{name:<20}{size:>6}{weights:>9,}{figures.mean():>8.4f}"
        print(f"{left}   {each}{epochs.mean():>7.0f}{seconds.mean():>9.1f}", flush=True)


def main():
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", default="ucr", type=Path, help="folder of the .ts files (default: ucr)")
    parser.add_argument("--seeds", default=3, type=int, help="number of seeds (default: 3)")
    arguments = parser.parse_args()
    for horizon, levels in ((1, True), (24, False)):
        X, y = oil_temperature(horizon, levels)
        title = f"Change of the oil temperature in {horizon} h, RMSE (K)"
        compare(title, forecast, (X, y), X.shape[1], arguments.seeds)
        ridge = RidgeCV(np.logspace(0, 4, 9)).fit(lagged(X, TRAIN), y[TRAIN])
        print(f"ridge on the same window: {root_mean_squared_error(y[TEST], ridge.predict(lagged(X, TEST))):.4f}")
        print(f"no change:                {np.sqrt(np.mean(y[TEST] ** 2)):.4f}")
    if arguments.folder.is_dir():
        data = vowels(arguments.folder)
        compare("JapaneseVowels, accuracy", classify, data, data[0][0].shape[1], arguments.seeds)


if __name__ == "__main__":
    main()
