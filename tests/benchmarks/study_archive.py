"""Classification of five sets of the UCR/UEA archives with one set of settings."""

import numpy as np
from sklearn.linear_model import RidgeClassifierCV
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from study_rows import Row
from study_tasks import read_ts

from sklstm import DeepLSTMClassifier, WeightedEnsembleClassifier

POINTS = 15  # to which the sequences of a set with different lengths are brought for the simple models


def with_differences(sequences, span):
    """Add to each column its difference between `span` rows later and `span` rows earlier."""
    padded = [np.pad(sequence, ((span, span), (0, 0)), mode="edge") for sequence in sequences]
    return [np.hstack([x[span:-span], x[2 * span :] - x[: -2 * span]]) for x in padded]


def at_points(sequences, points):
    """Bring sequences to a number of rows, by linear interpolation."""
    rows = np.linspace(0, 1, points)
    return [np.column_stack([np.interp(rows, np.linspace(0, 1, len(s)), c) for c in s.T]) for s in sequences]


def classifier(settings, seed, n_jobs):
    """Return the mean of the networks of `members`, weighted by what they lose in cross-validation.

    A member reads `differences` as further columns, or each sequence at so many `points`.
    """
    settings = dict(settings)
    members = []
    for changes in settings.pop("members", [{}]):
        options = {**settings, **changes}
        span, points = options.pop("differences", None), options.pop("points", None)
        network = DeepLSTMClassifier(**options, random_state=seed, n_jobs=n_jobs)
        before = FunctionTransformer(with_differences, kw_args={"span": span}) if span else None
        before = FunctionTransformer(at_points, kw_args={"points": points}) if points else before
        members.append(network if before is None else make_pipeline(before, network))
    if len(members) == 1:
        return members[0]
    folds = StratifiedKFold(3, shuffle=True, random_state=seed)
    return WeightedEnsembleClassifier([(f"member {k}", m) for k, m in enumerate(members)], weights="auto", cv=folds)


def flat(sequences):
    """Sequences as rows of a table, side by side, of different lengths after interpolation."""
    if len({len(sequence) for sequence in sequences}) == 1:
        return np.array([sequence.T.ravel() for sequence in sequences])
    return np.array([sequence.T.ravel() for sequence in at_points(sequences, POINTS)])


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
            model = classifier(settings, seed, n_jobs)
            scores[seed] += list(model.fit(X, y).predict(X_test) == y_test)
    means = {key: (float(np.mean(right)),) for key, right in simple.items()}
    return Row(name, ("accuracy",), means, [(float(np.mean(right)),) for right in scores.values()])
