"""Classification of five sets of the UCR/UEA archives with one set of settings."""

import numpy as np
from sklearn.linear_model import RidgeClassifierCV
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from study_rows import Row
from study_tasks import read_ts

from sklstm import DeepLSTMClassifier

POINTS = 15  # to which the sequences of a set with different lengths are brought for the simple models


def flat(sequences):
    """Sequences as rows of a table, side by side, of different lengths after interpolation."""
    if len({len(sequence) for sequence in sequences}) == 1:
        return np.array([sequence.T.ravel() for sequence in sequences])
    points = np.linspace(0, 1, POINTS)
    return np.array([np.concatenate([np.interp(points, np.linspace(0, 1, len(s)), c) for c in s.T]) for s in sequences])


def splits(folder, name, part):
    """Yield training and test sequences: the given split, or five folds of its training part."""
    sequences, labels = read_ts(folder / "ucr" / f"{name}_TRAIN.ts")
    if part == "test":
        yield sequences, labels, *read_ts(folder / "ucr" / f"{name}_TEST.ts")
        return
    for fit, rest in StratifiedKFold(5, shuffle=True, random_state=0).split(labels, labels):
        yield [sequences[i] for i in fit], labels[fit], [sequences[i] for i in rest], labels[rest]


def archive(folder, name, part, settings, seeds, n_jobs):
    """Return the row of a set; its accuracy over all folds on the validation part."""
    simple = {"ridge": [], "1NN": []}
    models = {
        "ridge": make_pipeline(StandardScaler(), RidgeClassifierCV(10.0 ** np.arange(6))),
        "1NN": make_pipeline(StandardScaler(), KNeighborsClassifier(1)),
    }
    scores = {seed: [] for seed in seeds}
    for X, y, X_test, y_test in splits(folder, name, part):
        for key, model in models.items():
            simple[key] += list(model.fit(flat(X), y).predict(flat(X_test)) == y_test)
        for seed in seeds:
            model = DeepLSTMClassifier(**settings, random_state=seed, n_jobs=n_jobs)
            scores[seed] += list(model.fit(X, y).predict(X_test) == y_test)
    means = {key: (float(np.mean(right)),) for key, right in simple.items()}
    return Row(name, ("accuracy",), means, [(float(np.mean(right)),) for right in scores.values()])
