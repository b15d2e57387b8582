"""Simple models of the given data of the ablation ladder: where `trivial` and `solved` of its tasks come from.

Run it with ``python examples/ladder_baselines.py FOLDER``, FOLDER as in ablation_ladder.py. It prints the scores of the
test parts; nothing is chosen by them but where a task counts as solved.
"""

import sys

import numpy as np
from ladder_tasks import TASKS
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def last_rows(part, n_rows):
    """Return for each target that is asked the last rows of its sequence, side by side, and the targets."""
    X, y = (np.asarray(values) for values in part)
    sequence, step = np.nonzero(~np.isnan(y))
    return np.hstack([X[sequence, step - k] for k in range(n_rows)]), y[sequence, step]


def digits(task, folder):
    """Logistic regression on the pixels, the mean over five splits."""
    scores = []
    for seed in range(5):
        (X, y), _, (X_test, y_test) = task.data(seed)
        model = LogisticRegression(max_iter=1000).fit(X.reshape(len(X), -1), y)
        scores.append(model.score(X_test.reshape(len(X_test), -1), y_test))
    yield "logistic regression on the pixels", np.mean(scores)


def etth1(task, folder):
    """No change, and a ridge regression on a day of rows."""
    train, _, test = task.data(0)
    (X, y), (X_test, y_test) = last_rows(train, 24), last_rows(test, 24)
    yield "no change", np.mean(y_test**2) ** 0.5
    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 6, 15))).fit(X, y)
    yield "ridge regression on the last 24 rows", np.mean((model.predict(X_test) - y_test) ** 2) ** 0.5


def elec2(task, folder):
    """The more frequent label, the label before, and logistic regression on a day of rows."""
    train, _, test = task.data(0, folder)
    (X, y), (X_test, y_test) = last_rows(train, 48), last_rows(test, 48)
    n_columns = X.shape[1] // 48
    yield "always down", np.mean(y_test == 0)
    yield "the label before", np.mean(X_test[:, n_columns - 1] == y_test)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)).fit(X, y)
    yield "logistic regression on the last 48 rows", model.score(X_test, y_test)


def characters(task, folder):
    """Shares of the characters, and after the same one and two characters, of the training sequences."""
    train, _, test = task.data(0, folder)
    size = train[0].shape[2]
    for n_before, name in enumerate(("shares", "shares after the same character", "shares after the same two")):
        counts = np.full((size,) * (n_before + 1), 0.02)
        np.add.at(counts, contexts(train, n_before), 1)
        shares = counts / counts.sum(axis=-1, keepdims=True)
        yield name, -np.log2(shares[contexts(test, n_before)]).mean()


def contexts(part, n_before):
    """Return the characters before each character that is asked, farthest first, and that character."""
    numbers = np.column_stack([part[0].argmax(axis=2)[:, :1], part[1].astype(int)])
    numbers[:, :-1] = part[0].argmax(axis=2)
    stop = numbers.shape[1]
    first = max(n_before, 1)
    return tuple(numbers[:, first - back : stop - back].ravel() for back in range(n_before, -1, -1))


def chorales(task, folder):
    """Shares of each key, and after the same key was down or not."""
    train, _, test = task.data(0, folder)
    (X, y), (X_test, y_test) = ([np.concatenate(values) for values in part] for part in (train, test))
    down, up = ((y * where).sum(axis=0) + 0.5 for where in (X, 1 - X))
    shares = np.broadcast_to((y.sum(axis=0) + 0.5) / (len(y) + 1), y_test.shape)
    after = np.where(X_test > 0, down / (X.sum(axis=0) + 1), up / ((1 - X).sum(axis=0) + 1))
    for name, p in (("shares of the keys", shares), ("shares after the same key, down or not", after)):
        yield name, -np.log(np.where(y_test == 1, p, 1 - p)).sum(axis=1).mean()


BASELINES = {"digits pixels": digits, "characters": characters, "ETTh1": etth1, "Elec2": elec2, "JSB": chorales}


def main():
    """Print the scores of the simple models of all data that are there."""
    folder = sys.argv[1] if len(sys.argv) > 1 else None
    for task in TASKS:
        if task.name in BASELINES and task.is_available(folder):
            for name, score in BASELINES[task.name](task, folder):
                print(f"{task.name:<16}{name:<44}{score:.3f}", flush=True)


if __name__ == "__main__":
    main()
