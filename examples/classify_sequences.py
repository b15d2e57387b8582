"""Classify time series of the UCR/UEA archives: one column or many, of equal lengths or not.

Four sets with their given split into training and test part: ItalyPowerDemand (24 hours of a power grid), GunPoint (150
positions of a hand), BasicMotions (100 readings of 6 sensors of a watch) and JapaneseVowels (7 to 29 frames of 12
cepstral coefficients). One set of settings for all four, chosen by cross-validation within the training parts
(doc/studies/deep.md); the test parts are used once, here.

The files are ``{name}_TRAIN.ts`` and ``{name}_TEST.ts``, as in the folder ``aeon/datasets/data`` of
https://github.com/aeon-toolkit/aeon or in the archives ``https://timeseriesclassification.com/aeon-toolkit/{name}.zip``.
Put them into one folder, or leave each set in a folder of its name, and run::

    python examples/classify_sequences.py FOLDER

FOLDER is `ucr` by default. It prints a table of accuracies.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from sklstm import DeepLSTMClassifier

SETS = ("ItalyPowerDemand", "JapaneseVowels", "GunPoint", "BasicMotions")
SETTINGS = {
    "hidden_size": 32,
    "n_layers": 2,
    "residual": 1,
    "layer_norm": "output",
    "dropout": 0.3,
    "learning_rate": "one_cycle",
    "learning_rate_init": 3e-3,
    "batch_size": 16,
    "max_iter": 150,
    # The sets are too small to set a part aside.
    "early_stopping": False,
}


def read_ts(path):
    """Read a .ts file; return a list of arrays of shape (n_steps, n_channels), and the labels.

    After ``@data``, a line holds a sequence: its channels and its label, with colons between; commas between steps.
    """
    sequences, labels = [], []
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.strip().lower() == "@data":
                break
        for line in file:
            *channels, label = line.strip().split(":")
            sequences.append(np.array([channel.split(",") for channel in channels], dtype=float).T)
            labels.append(label)
    return sequences, np.array(labels)


def find(folder, name):
    """Return the path of a file in the folder, or in the folder of its set."""
    for path in (folder / name, folder / name.rpartition("_")[0] / name):
        if path.exists():
            return path
    raise SystemExit(f"{name} is not in {folder}; the first lines of this script say where to find it.")


def load(folder, name):
    """Return the two parts of a set, scaled by mean and deviation of each channel in the training part."""
    train, y_train = read_ts(find(folder, f"{name}_TRAIN.ts"))
    test, y_test = read_ts(find(folder, f"{name}_TEST.ts"))
    rows = np.vstack(train)
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    return [(x - mean) / deviation for x in train], y_train, [(x - mean) / deviation for x in test], y_test


def main():
    """Train on each set with five seeds, print the accuracies."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", default="ucr", type=Path, help="folder of the .ts files (default: ucr)")
    parser.add_argument("--seeds", default=5, type=int, help="number of seeds (default: 5)")
    parser.add_argument("--n-seeds", default=1, type=int, help="networks whose probabilities are averaged (default: 1)")
    parser.add_argument("--n-jobs", default=None, type=int, help="number of threads (default: all cores)")
    parser.add_argument("--dtype", default="float32", help="float32, float64 or bfloat16 (default: float32)")
    arguments = parser.parse_args()
    print(f"{'set':<18}{'train':>6}{'test':>6}{'mean':>8}   {'each seed':<{6 * arguments.seeds}}{'s a fit':>9}")
    for name in SETS:
        X_train, y_train, X_test, y_test = load(arguments.folder, name)
        begin = time.perf_counter()
        scores = []
        for seed in range(arguments.seeds):
            options = {"n_seeds": arguments.n_seeds, "n_jobs": arguments.n_jobs, "dtype": arguments.dtype}
            model = DeepLSTMClassifier(**SETTINGS, **options, random_state=seed).fit(X_train, y_train)
            scores.append(model.score(X_test, y_test))
        seconds = (time.perf_counter() - begin) / arguments.seeds
        each = "".join(f"{score:<6.3f}" for score in scores)
        print(f"{name:<18}{len(X_train):>6}{len(X_test):>6}{np.mean(scores):>8.3f}   {each}{seconds:>9.1f}")


if __name__ == "__main__":
    main()
