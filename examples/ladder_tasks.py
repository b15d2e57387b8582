"""Tasks of the ablation ladder: what a recurrence has to remember, to select, to count, and four sets of real data.

A `Task` makes its data from a seed: a training, a validation and a test part, each a pair ``(X, y)`` of sequences and
targets. Targets are one for each sequence, or one for each step (`per_step`), NaN where none is asked. What is drawn is
new for each seed; of data that are given, the digits are split anew and the other sets stay as they are.

- *Adding problem* (Hochreiter & Schmidhuber 1997): the sum of the two marked numbers among T.
- *Copy memory* (the same; as in Arjovsky et al. 2016): `LETTERS` letters, T blank steps, then the letters in order.
- *Delayed recall*: a letter at every step; at the end, which one was marked (one of the first 20 of 200)?
- *Selective copying* (Gu & Dao 2023): the letters lie anywhere between blank steps; then they are asked in order.
- *Digits*: the 8x8 digits of scikit-learn, row by row, pixel by pixel, and pixel by pixel in a fixed random order.
- *Parity, counting*: at each step, the sum so far modulo 2 of bits, modulo 5 of digits from 0 to 4.
- *Characters*: the next character of a text, in bits. *JSB*: the next chord of Bach chorales, in nats a frame.
- *ETTh1*: the change of the load of a transformer in the next 24 hours, in the units of the table. *Elec2*: whether the
  price of electricity is above its mean of the last day.
"""

import csv
import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from depth import TEST, TRAIN, VALIDATION, oil_temperature
from sklearn.datasets import load_digits

from sklstm.datasets import load_etth1

TEXT, PRICES, PIECES = "tinyshakespeare/input.txt", "elec2/elec.csv.gz", "jsb_chorales/JSB_Chorales.mat"
LETTERS = 3  # to remember in the two copying tasks
ALPHABET = 8
N_TEST = 500


@dataclass(frozen=True)
class Task:
    """One task: how its data are made, how a network is scored, and when the task counts as solved.

    Attributes
    ----------
    name, group : str
        Of the column, and of the table it stands in.
    make : callable
        ``make(rng, n_train, folder)`` returns the three parts; `n_train` counts training sequences.
    metric : str
        A name in `METRICS`.
    n_columns : int
        Of X.
    size : tuple of int
        Training sequences (of given data at most as many as there are), and how often each is seen.
    trivial : float
        What a model gets that knows the shares, or the mean, of the targets only.
    solved : float
        From here on the task counts as solved: nearly perfect, or as good as a simple model of real data.
    meaning : str
        What `solved` is, in words: of real data, the simple model whose score it is.
    file : str
        What the folder of the data has to hold; empty where nothing is needed.
    classify, per_step : bool
        Whether the targets are labels; whether there is one for each step.
    """

    name: str
    group: str
    make: Callable
    metric: str
    n_columns: int
    size: tuple[int, int]
    trivial: float
    solved: float
    meaning: str
    file: str = ""
    classify: bool = True
    per_step: bool = False

    def data(self, seed, folder=None):
        """Return the three parts for a seed."""
        return self.make(np.random.default_rng([seed, *self.name.encode()]), self.size[0], Path(folder or "."))

    def is_available(self, folder):
        """Return whether the folder has what the task needs."""
        return not self.file or (folder is not None and (Path(folder) / self.file).exists())


def in_parts(draw):
    """Return a `make` that draws three parts; ``draw(rng, n)`` returns n sequences and their targets."""

    def make(rng, n_train, folder):
        return [draw(rng, n) for n in (n_train, N_TEST, N_TEST)]

    return make


def one_hot(numbers, size):
    """Return the numbers as rows of zeros with a one."""
    return np.eye(size, dtype=np.float32)[numbers]


# Drawn from a seed


def adding_problem(n_steps):
    """Numbers in [0, 1] and a marker of two of them, one in each half; the sum of the marked ones."""

    def draw(rng, n):
        X = np.zeros((n, n_steps, 2), np.float32)
        X[:, :, 0] = rng.random((n, n_steps))
        rows, half = np.arange(n), n_steps // 2
        first, second = rng.integers(0, half, n), rng.integers(half, n_steps, n)
        X[rows, first, 1] = X[rows, second, 1] = 1.0
        return X, (X[rows, first, 0] + X[rows, second, 0]).astype(float)

    return in_parts(draw)


def copy_memory(n_blank):
    """Letters, blank steps of which the last calls for the letters, and `LETTERS` steps to give them back in order."""

    def draw(rng, n):
        letters = rng.integers(0, ALPHABET, (n, LETTERS))
        numbers = np.full((n, n_blank + 2 * LETTERS), ALPHABET)
        numbers[:, :LETTERS] = letters
        numbers[:, -LETTERS - 1] = ALPHABET + 1
        return one_hot(numbers, ALPHABET + 2), asked_at_the_end(letters, numbers.shape)

    return in_parts(draw)


def selective_copying(n_steps):
    """As `copy_memory`, with the letters anywhere in the first steps, blank steps between them."""

    def draw(rng, n):
        letters = rng.integers(0, ALPHABET, (n, LETTERS))
        numbers = np.full((n, n_steps + LETTERS + 1), ALPHABET)
        positions = np.sort(rng.random((n, n_steps)).argsort(axis=1)[:, :LETTERS], axis=1)
        np.put_along_axis(numbers, positions, letters, axis=1)
        numbers[:, n_steps:] = ALPHABET + 1
        return one_hot(numbers, ALPHABET + 2), asked_at_the_end(letters, numbers.shape)

    return in_parts(draw)


def asked_at_the_end(letters, shape):
    """Return targets for each step: the letters at the last ones, NaN before."""
    y = np.full(shape, np.nan)
    y[:, -letters.shape[1] :] = letters
    return y


def delayed_recall(n_steps, within):
    """A letter at each step and a marker of one of the first `within`; which letter was marked."""

    def draw(rng, n):
        letters = rng.integers(0, ALPHABET, (n, n_steps))
        X = np.concatenate([one_hot(letters, ALPHABET), np.zeros((n, n_steps, 1), np.float32)], axis=2)
        marked = rng.integers(0, within, n)
        X[np.arange(n), marked, -1] = 1.0
        return X, letters[np.arange(n), marked].astype(float)

    return in_parts(draw)


def sum_modulo(modulus, n_steps):
    """Digits below the modulus; at each step the sum so far, modulo it."""

    def draw(rng, n):
        digits = rng.integers(0, modulus, (n, n_steps))
        return one_hot(digits, modulus), (np.cumsum(digits, axis=1) % modulus).astype(float)

    return in_parts(draw)


# Given data


def digits(pixels, permuted=False):
    """The 8x8 digits, split by the seed into 1,000, 300 and 497; rows, or pixels in order or permuted alike in all."""

    def make(rng, n_train, folder):
        images, labels = load_digits(return_X_y=True)
        images = (images / 16).astype(np.float32)
        if permuted:
            images = images[:, np.random.default_rng(0).permutation(64)]
        X = images.reshape(len(images), *((64, 1) if pixels else (8, 8)))
        order = rng.permutation(len(X))
        parts = order[: min(n_train, 1000)], order[1000:1300], order[1300:]
        return [(X[rows], labels[rows].astype(float)) for rows in parts]

    return make


def cut(X, y, rows, length, stride):
    """Cut rows of a table into sequences; targets stand in the last `stride` steps, so each row is asked once."""
    begins = range(rows.start, rows.stop - length + 1, stride)
    asked = np.where(np.arange(length) >= length - stride, 1.0, np.nan)
    return np.stack([X[i : i + length] for i in begins]), np.stack([y[i : i + length] * asked for i in begins])


def every(part, n):
    """Return n sequences of a part, evenly spread, or all if there are not as many."""
    chosen = np.unique(np.linspace(0, len(part[0]) - 1, min(n, len(part[0]))).astype(int))
    return [part[0][i] for i in chosen], [part[1][i] for i in chosen]


def etth1(rng, n_train, folder):
    """Seven columns as in depth.py, distances from recent means; the change of the first load in the next 24 hours."""
    X, _ = oil_temperature(24, levels=False)
    load = load_etth1().data[:, 0]
    y = np.append(load[24:] - load[:-24], np.full(24, np.nan))
    train, *others = (cut(X, y, rows, 72, 12) for rows in (TRAIN, VALIDATION, TEST))
    return [every(train, n_train), *others]


def elec2(rng, n_train, folder):
    """Half-hours of the New South Wales market and the label before; columns that are constant at first left out."""
    with gzip.open(folder / PRICES, "rt") as file:
        table = np.array(list(csv.reader(file))[1:], float)
    X = np.column_stack([table[:, :-1], np.append(0, table[:-1, -1])])
    X = X[:, np.ptp(X[:1000], axis=0) > 0].astype(np.float32)
    parts = slice(0, 20000), slice(20000, 24000), slice(24000, len(X))
    train, *others = (cut(X, table[:, -1], rows, 96, 24) for rows in parts)
    return [every(train, n_train), *others]


def characters(rng, n_train, folder):
    """Sequences of 128 characters of a text and the characters that follow; the last tenth is for the other parts."""
    known, numbers = np.unique(np.frombuffer((folder / TEXT).read_bytes(), np.uint8), return_inverse=True)
    border, length = int(0.9 * len(numbers)), 128
    parts = []
    for text, n in zip(np.split(numbers, [border, (border + len(numbers)) // 2]), (n_train, 300, 300), strict=True):
        begins = np.linspace(0, len(text) - length - 1, n).astype(int)
        rows = begins[:, np.newaxis] + np.arange(length)
        parts.append((one_hot(text[rows], len(known)), text[rows + 1].astype(float)))
    return parts


def chorales(rng, n_train, folder):
    """Chords as 88 keys that are down or not; the keys of the next chord."""
    from scipy.io import loadmat

    pieces = loadmat(folder / PIECES)
    parts = [[np.asarray(x, np.float32) for x in pieces[f"{name}data"][0]] for name in ("train", "valid", "test")]
    train, *others = (([x[:-1] for x in part], [x[1:].astype(float) for x in part]) for part in parts)
    return [every(train, n_train), *others]


# Scores


def flat(answers, y):
    """Return answers and targets of all steps that are asked, one after the other."""
    if len(answers) == len(y) and np.ndim(y[0]) == 0:
        return np.asarray(answers), np.asarray(y)
    answers, y = np.concatenate(list(answers)), np.concatenate(list(y))
    asked = ~np.isnan(y if y.ndim == 1 else y[:, 0])
    return answers[asked], y[asked]


def accuracy(model, X, y):
    """Share of right labels."""
    answers, y = flat(model.predict(X), y)
    return float(np.mean(answers == y))


def squared_error(model, X, y):
    """Mean squared error."""
    answers, y = flat(model.predict(X), y)
    return float(np.mean((answers - y) ** 2))


def root_squared_error(model, X, y):
    """Root of the mean squared error."""
    return squared_error(model, X, y) ** 0.5


def bits(model, X, y):
    """Mean of -log2 of the probability of the right label."""
    answers, y = flat(model.predict_proba(X), y)
    of_label = answers[np.arange(len(y)), np.searchsorted(model.classes_, y)]
    return float(-np.log2(np.maximum(of_label, 1e-12)).mean())


def nats_of_frame(model, X, y):
    """Negative log-likelihood of a chord, the sum over its keys."""
    answers, y = flat(model.predict_proba(X), y)
    return float(-np.log(np.maximum(np.where(y == 1, answers, 1 - answers), 1e-12)).sum(axis=1).mean())


# The function, its unit in tables, and whether more is better.
METRICS = {
    "accuracy": (accuracy, "accuracy", True),
    "mse": (squared_error, "mean squared error", False),
    "rmse": (root_squared_error, "RMSE", False),
    "bits": (bits, "bits a character", False),
    "nats": (nats_of_frame, "nats a frame", False),
}

RIGHT = (0.95, "95 % right")
SMALL = (0.01, "error below .01")
PIXELS = (0.956, "logistic regression on the pixels")
NUMBERS = {"classify": False}
STEPS = {"per_step": True}
MEMORY, ORDER, REAL = "Memory", "Digits and counting", "Real data"
# `trivial` and `solved` of given data are scores of the test parts that ladder_baselines.py prints.
TASKS = (
    Task("adding 100", MEMORY, adding_problem(100), "mse", 2, (4000, 4), 1 / 6, *SMALL, **NUMBERS),
    Task("adding 400", MEMORY, adding_problem(400), "mse", 2, (8000, 1), 1 / 6, *SMALL, **NUMBERS),
    Task("copy 100", MEMORY, copy_memory(100), "accuracy", 10, (4000, 3), 1 / 8, *RIGHT, **STEPS),
    Task("copy 300", MEMORY, copy_memory(300), "accuracy", 10, (5000, 1), 1 / 8, *RIGHT, **STEPS),
    Task("recall 100", MEMORY, delayed_recall(100, 10), "accuracy", 9, (12000, 1), 1 / 8, *RIGHT),
    Task("selective", MEMORY, selective_copying(100), "accuracy", 10, (4000, 3), 1 / 8, *RIGHT, **STEPS),
    Task("digits rows", ORDER, digits(False), "accuracy", 8, (1000, 60), 0.1, *PIXELS),
    Task("digits pixels", ORDER, digits(True), "accuracy", 1, (1000, 20), 0.1, *PIXELS),
    Task("digits permuted", ORDER, digits(True, True), "accuracy", 1, (1000, 20), 0.1, *PIXELS),
    Task("parity", ORDER, sum_modulo(2, 40), "accuracy", 2, (5000, 6), 1 / 2, *RIGHT, **STEPS),
    Task("counting", ORDER, sum_modulo(5, 40), "accuracy", 5, (5000, 6), 1 / 5, *RIGHT, **STEPS),
    Task("characters", REAL, characters, "bits", 65, (1000, 6), 4.85, 3.09, "counts of pairs", TEXT, **STEPS),
    Task("ETTh1", REAL, etth1, "rmse", 23, (700, 4), 5.05, 4.54, "ridge regression", **NUMBERS, **STEPS),
    Task("Elec2", REAL, elec2, "accuracy", 4, (800, 12), 0.58, 0.955, "logistic regression", PRICES, **STEPS),
    Task("JSB", REAL, chorales, "nats", 88, (229, 30), 11.09, 10.49, "each key by itself", PIECES, **STEPS),
)
