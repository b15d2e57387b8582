"""Prequential accuracy on Elec2: each block of 500 rows is predicted, then learned."""

import csv
import gzip

import numpy as np
from sklearn.linear_model import Ridge
from study_rows import Row

from sklstm import DeepLSTMClassifier

BLOCK = 500
HALF_HOURS = 48  # of a day


def load(folder):
    """Columns of a row, the label of the row before among them, and labels; prices as logarithms."""
    with gzip.open(folder / "elec2" / "elec.csv.gz", "rt") as file:
        data = np.array(list(csv.reader(file))[1:], float)
    labels = data[:, -1].astype(int)
    columns = np.column_stack([data[:, :-1], np.append(0, labels[:-1])])
    columns[:, [1, 3]] = np.log(columns[:, [1, 3]] + 1e-2)
    return columns, labels


def ridge_accuracy(columns, labels):
    """Share of right labels of a ridge regression on the row and the row before, refitted before each block."""
    columns = np.column_stack([columns, np.roll(columns, 1, axis=0)])
    right = []
    for begin in range(BLOCK, len(labels), BLOCK):
        model = Ridge(1.0).fit(columns[:begin], 2.0 * labels[:begin] - 1)
        right.append((model.predict(columns[begin : begin + BLOCK]) > 0) == labels[begin : begin + BLOCK])
    return float(np.concatenate(right).mean())


def network_accuracy(columns, labels, settings, seed, n_jobs):
    """Share of right labels of a network that goes on training before each block, on the rows before it.

    Three columns are constant until row 17,424, where the other state joins: what a network would weight at random
    until then. Columns that are constant in the first block are left out.
    """
    columns = columns[:, np.ptp(columns[:BLOCK], axis=0) > 0]
    keep, window = settings["keep"], settings["sequence_length"]
    chosen = {name: value for name, value in settings.items() if name != "keep"}
    model = DeepLSTMClassifier(**chosen, random_state=seed, n_jobs=n_jobs)
    right = []
    for begin in range(BLOCK, len(labels), BLOCK):
        first = max(0, begin - keep - window + 1)
        weights = (np.arange(first, begin) >= begin - keep).astype(float)  # the rows before only fill windows
        model.partial_fit(columns[first:begin], labels[first:begin], sample_weight=weights, classes=[0, 1])
        block = slice(begin, begin + BLOCK)
        predicted = model.predict(columns[block], context=columns[max(0, begin - window + 1) : begin])
        right.append(predicted == labels[block])
    return float(np.concatenate(right).mean())


def elec2(folder, part, settings, seeds, n_jobs):
    """Return the row of Elec2; the validation part is the first 24,000 rows.

    The label tells whether the price of New South Wales lies above its mean over the day before, and that price is a
    column of the row. "the rule" looks at just that.
    """
    columns, labels = load(folder)
    if part == "validation":
        columns, labels = columns[:24_000], labels[:24_000]
    price = np.exp(columns[:, 1]) - 1e-2
    total = np.append(0, np.cumsum(price))
    rows = np.arange(BLOCK, len(labels))
    rule = price[rows] > (total[rows] - total[rows - HALF_HOURS]) / HALF_HOURS
    simple = {
        "last label": (float(np.mean(labels[rows - 1] == labels[rows])),),
        "ridge": (ridge_accuracy(columns, labels),),
        "the rule": (float(np.mean(rule == labels[rows])),),
    }
    scores = [(network_accuracy(columns, labels, settings, seed, n_jobs),) for seed in seeds]
    return Row("elec2", ("accuracy",), simple, scores)
