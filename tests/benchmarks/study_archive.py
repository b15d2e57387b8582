"""Classification of five sets of the UCR/UEA archives with one set of settings."""

import sys

import numpy as np
from random_convolutions import RandomConvolutions
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from study_rows import Row
from study_tasks import read_ts

from sklstm import DeepRNNClassifier, WeightedEnsembleClassifier

POINTS = 15  # to which the sequences of a set with different lengths are brought for ridge and the nearest neighbour
CONVOLUTIONS = {"convolutions": {"n_thresholds": 4}, "logistic": 0.1}  # a simple model, and a member


def with_differences(sequences, span):
    """Add to each column its difference between `span` rows later and `span` rows earlier."""
    padded = [np.pad(sequence, ((span, span), (0, 0)), mode="edge") for sequence in sequences]
    return [np.hstack([x[span:-span], x[2 * span :] - x[: -2 * span]]) for x in padded]


def at_points(sequences, points):
    """Bring sequences to a number of rows, by linear interpolation."""
    rows = np.linspace(0, 1, points)
    return [np.column_stack([np.interp(rows, np.linspace(0, 1, len(s)), c) for c in s.T]) for s in sequences]


def side_by_side(features):
    """Bring the segments of each sequence into one row of a table."""
    return features.reshape(len(features), -1)


def member(options, seed, n_jobs):
    """Return a network, or with `logistic` a logistic regression, behind what brings the sequences into its form.

    It reads `differences` as further columns, each sequence at so many `points`, or what `convolutions` find.
    """
    options = dict(options)
    span, points = options.pop("differences", None), options.pop("points", None)
    convolutions, penalty = options.pop("convolutions", None), options.pop("logistic", None)
    before = []
    if points:
        before.append(FunctionTransformer(at_points, kw_args={"points": points}))
    if span:
        before.append(FunctionTransformer(with_differences, kw_args={"span": span}))
    if convolutions is not None:
        before.append(RandomConvolutions(**convolutions, random_state=seed))
    if penalty:
        table = FunctionTransformer(side_by_side)
        return make_pipeline(*before, table, StandardScaler(), LogisticRegression(C=penalty, max_iter=500))
    network = DeepRNNClassifier(**options, random_state=seed, n_jobs=n_jobs)
    return make_pipeline(*before, network) if before else network


def classifier(settings, seed, n_jobs):
    """Return the mean of `members`, weighted by what they lose in cross-validation; `ensemble` changes how."""
    shared = dict(settings)
    options = {"weights": "auto", **shared.pop("ensemble", {})}
    members = [member({**shared, **changes}, seed, n_jobs) for changes in shared.pop("members", [{}])]
    if len(members) == 1:
        return members[0]
    folds = StratifiedKFold(3, shuffle=True, random_state=seed)
    return WeightedEnsembleClassifier([(f"member {k}", m) for k, m in enumerate(members)], cv=folds, **options)


def of_members(model, X, y):
    """Return accuracies of the members of an ensemble, and of its networks alone (NaN where they have no weight)."""
    answers = [fitted.predict_proba(X) for fitted in model.estimators_]
    linear = ["logisticregression" in getattr(fitted, "named_steps", ()) for fitted in model.estimators_]
    weights = np.where(linear, 0, model.weights_)
    accuracies = [
        float(np.mean(model.classes_[p.argmax(axis=1)] == y)) for p in (*answers, np.tensordot(weights, answers, 1))
    ]
    return accuracies if weights.any() else [*accuracies[:-1], float("nan")]


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


def archive(folder, name, part, settings, seeds, n_jobs, verbose=False):
    """Return the row of a set; its accuracy over all folds on the validation part. `verbose` tells of the members."""
    table = FunctionTransformer(flat)
    models = {
        "ridge": make_pipeline(table, StandardScaler(), RidgeClassifierCV(10.0 ** np.arange(6))),
        "1NN": make_pipeline(table, StandardScaler(), KNeighborsClassifier(1)),
        "convolutions": member(CONVOLUTIONS, 0, n_jobs),
    }
    simple = {key: [] for key in models}
    scores = {seed: [] for seed in seeds}
    for X, y, X_test, y_test in splits(folder, name, part):
        for key, model in models.items():
            simple[key] += list(model.fit(X, y).predict(X_test) == y_test)
        for seed in seeds:
            model = classifier(settings, seed, n_jobs).fit(X, y)
            scores[seed] += list(model.predict(X_test) == y_test)
            if verbose and hasattr(model, "weights_"):
                *each, networks = (f"{accuracy:.3f}" for accuracy in of_members(model, X_test, y_test))
                weights = " ".join(f"{weight:.2f}" for weight in model.weights_)
                line = f"{name}, seed {seed}: weights {weights}; members {' '.join(each)}; networks alone {networks}"
                print(line, file=sys.stderr, flush=True)
    means = {key: (float(np.mean(right)),) for key, right in simple.items()}
    return Row(name, ("accuracy",), means, [(float(np.mean(right)),) for right in scores.values()])
