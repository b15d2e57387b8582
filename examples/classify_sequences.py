"""Classify time series of the UCR/UEA archives: one column or many, of equal lengths or not.

Five sets with their given split into training and test part: ItalyPowerDemand (24 hours of a power grid), GunPoint (150
positions of a hand), BasicMotions (100 readings of 6 sensors of a watch), ArrowHead (251 distances of an outline) and
JapaneseVowels (7 to 29 frames of 12 cepstral coefficients). One set of settings for all five, chosen by
cross-validation within the training parts (doc/studies/forecasts_and_ridge.md), which also says what they reach.

Two networks look at each sequence: one reads it in patches of five rows, with its differences as further columns (the
details), the other at 60 points in two halves (the outline). Which of them is right depends on the set: their
weights are learned by cross-validation in the training part. Both read all steps, in both directions, and each is the
mean of several networks (``n_seeds``).

The files are ``{name}_TRAIN.ts`` and ``{name}_TEST.ts``, as in the folder ``aeon/datasets/data`` of
https://github.com/aeon-toolkit/aeon or in the archives ``https://timeseriesclassification.com/aeon-toolkit/{name}.zip``.
Put them into one folder, or leave each set in a folder of its name, and run::

    python examples/classify_sequences.py FOLDER

FOLDER is `ucr` by default. It prints a table of accuracies, with the weight of the details.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklstm import DeepLSTMClassifier, WeightedEnsembleClassifier

SETS = ("ItalyPowerDemand", "JapaneseVowels", "GunPoint", "BasicMotions", "ArrowHead")
SETTINGS = {
    "hidden_size": 32,
    "n_layers": 2,
    "bidirectional": True,
    "residual": 1,
    "norm": "layer",
    "pooling": "attention",
    "dropout": 0.3,
    "learning_rate": "one_cycle",
    "learning_rate_init": 3e-3,
    "batch_size": 16,
    "max_iter": 150,
    # The sets are too small to set a part aside.
    "early_stopping": False,
}


def with_differences(sequences, span=3):
    """Add to each column its difference between `span` rows later and `span` rows earlier."""
    padded = [np.pad(sequence, ((span, span), (0, 0)), mode="edge") for sequence in sequences]
    return [np.hstack([x[span:-span], x[2 * span :] - x[: -2 * span]]) for x in padded]


def at_points(sequences, points=60):
    """Bring sequences to a number of rows, by linear interpolation."""
    rows = np.linspace(0, 1, points)
    return [np.column_stack([np.interp(rows, np.linspace(0, 1, len(s)), c) for c in s.T]) for s in sequences]


def classifier(seed, **options):
    """Return the mean of both networks, with weights from three folds."""
    options = {**SETTINGS, **options, "random_state": seed}
    details = DeepLSTMClassifier(**options, patch_length=5)
    outline = DeepLSTMClassifier(**options, patch_length=30, label_smoothing=0.1)
    members = [
        ("details", make_pipeline(FunctionTransformer(with_differences), details)),
        ("outline", make_pipeline(FunctionTransformer(at_points), outline)),
    ]
    folds = StratifiedKFold(3, shuffle=True, random_state=seed)
    return WeightedEnsembleClassifier(members, weights="auto", cv=folds)


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
    """Return sequences and labels of the two parts of a set."""
    return (*read_ts(find(folder, f"{name}_TRAIN.ts")), *read_ts(find(folder, f"{name}_TEST.ts")))


def main():
    """Train on each set with three seeds, print the accuracies."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", default="ucr", type=Path, help="folder of the .ts files (default: ucr)")
    parser.add_argument("--seeds", default=3, type=int, help="number of seeds (default: 3)")
    parser.add_argument("--n-seeds", default=3, type=int, help="networks whose probabilities are averaged (default: 3)")
    parser.add_argument("--n-jobs", default=None, type=int, help="number of threads (default: all cores)")
    parser.add_argument("--dtype", default="float32", help="float32, float64 or bfloat16 (default: float32)")
    arguments = parser.parse_args()
    width = 6 * arguments.seeds
    print(f"{'set':<18}{'train':>6}{'test':>6}{'details':>9}{'mean':>8}   {'each seed':<{width}}{'s a fit':>9}")
    for name in SETS:
        X_train, y_train, X_test, y_test = load(arguments.folder, name)
        begin = time.perf_counter()
        scores, weights = [], []
        for seed in range(arguments.seeds):
            options = {"n_seeds": arguments.n_seeds, "n_jobs": arguments.n_jobs, "dtype": arguments.dtype}
            model = classifier(seed, **options).fit(X_train, y_train)
            scores.append(model.score(X_test, y_test))
            weights.append(model.weights_[0])
        seconds = (time.perf_counter() - begin) / arguments.seeds
        each = "".join(f"{score:<6.3f}" for score in scores)
        start = f"{name:<18}{len(X_train):>6}{len(X_test):>6}{np.mean(weights):>9.2f}"
        print(f"{start}{np.mean(scores):>8.3f}   {each}{seconds:>9.1f}")


if __name__ == "__main__":
    main()
