"""Measure rules for the weights of an ensemble that few sequences teach: ``python few_sequences_study.py FOLDER``.

FOLDER holds folders of the UCR archive of 2018 with their files, such as ``Coffee/Coffee_TRAIN.tsv``. The members are
those of the sets of sequences in forecast_study.py; each is fitted on three folds and on all training sequences once,
and all rules work with the same predictions. Prints, for each set and on average, accuracy and log loss on the test
part.
"""

import argparse
from pathlib import Path

import numpy as np
from forecast_study import ARCHIVE
from sklearn.model_selection import StratifiedKFold
from study_archive import member

from sklstm._ensemble.losses import ErrorLoss, LogLoss
from sklstm._ensemble.shrinkage import blocks_in_turn
from sklstm._ensemble.weights import learn_weights

# All sets of 20 to 105 training sequences, six or more of each class, at most 300 steps and nothing missing, without
# the sets that forecast_study.py scores and those recorded with one of them (GunPointAgeSpan and others).
SETS = (
    *("Chinatown", "TwoLeadECG", "SonyAIBORobotSurface2", "SonyAIBORobotSurface1", "MoteStrain", "ECGFiveDays", "BME"),
    *("CBF", "UMD", "Coffee", "Wine", "ECG200", "ToeSegmentation1", "Plane", "Trace"),
)
# Rule, shrinkage, loss.
RULES = {
    "log loss": ("auto", "auto", "log_loss"),
    **{f"shrinkage={share}": ("auto", share, "log_loss") for share in (0.0, 0.25, 0.5, 0.75, 1.0)},
    "inverse_loss": ("inverse_loss", "auto", "log_loss"),
    "squared error": ("auto", "auto", "squared_error"),
    "squared error, shrinkage=0.5": ("auto", 0.5, "squared_error"),
}
REPEATED = ("log loss", "shrinkage=0.25", "shrinkage=0.5", "squared error")  # with the folds of all seeds together


def read_tsv(path):
    """Return the sequences of a file of the UCR archive as arrays of one column, and their labels."""
    rows = np.genfromtxt(path, delimiter="\t")
    return [row[1:, None] for row in rows], rows[:, 0].astype(int)


def predictions(folder, name, seed):
    """Return, of all members, probabilities for sequences in a test fold and of the test part, with what is true."""
    shared = dict(ARCHIVE)
    changes = shared.pop("members")
    shared.pop("ensemble")
    (X, y), (X_test, y_test) = (read_tsv(folder / name / f"{name}_{part}.tsv") for part in ("TRAIN", "TEST"))
    classes, y = np.unique(y, return_inverse=True)

    def answers(rows, questions):
        fitted = [member({**shared, **change}, seed, 1).fit([X[i] for i in rows], y[rows]) for change in changes]
        return np.stack([model.predict_proba(questions) for model in fitted], axis=1)

    folds, out_of_fold = np.empty(len(y), int), np.empty((len(y), len(changes), len(classes)))
    for fold, (fit, rest) in enumerate(StratifiedKFold(3, shuffle=True, random_state=seed).split(y, y)):
        folds[rest], out_of_fold[rest] = fold, answers(fit, [X[i] for i in rest])
    return (out_of_fold, y, folds), (answers(np.arange(len(y)), X_test), np.searchsorted(classes, y_test))


def together(parts):
    """Put out-of-fold predictions by several cuts into folds together, sequence by sequence, as an ensemble does."""
    out_of_fold, y, folds = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    cut = np.repeat(np.arange(len(parts)), len(y) // len(parts))
    order = np.argsort(np.tile(np.arange(len(y) // len(parts)), len(parts)), kind="stable")
    return out_of_fold[order], y[order], (folds + cut * (folds.max() + 1))[order]


def weights(out_of_fold, y, folds, rule, shrinkage, loss):
    """Return the weights that WeightedEnsembleClassifier would find."""
    if loss == "log_loss":
        measured = LogLoss(out_of_fold[np.arange(len(y)), :, y], None)
    else:
        measured = ErrorLoss(np.eye(out_of_fold.shape[2])[y][:, None] - out_of_fold, None, power=2)
    return learn_weights(rule, shrinkage, measured, blocks_in_turn(folds))["weights_"]


def score(found, answers, y):
    """Return accuracy and log loss of the mixture."""
    mixed = np.tensordot(found, answers, (0, 1))
    return (mixed.argmax(axis=1) == y).mean(), -np.log(np.maximum(mixed[np.arange(len(y)), y], 1e-15)).mean()


def measure(folder, name, seeds):
    """Return the means over the seeds, accuracy and log loss of each rule."""
    learnt, tested = zip(*(predictions(folder, name, seed) for seed in seeds), strict=True)
    means = {
        key: np.mean([score(weights(*a, *rule), *b) for a, b in zip(learnt, tested, strict=True)], axis=0)
        for key, rule in RULES.items()
    }
    for key in REPEATED:
        found = weights(*together(learnt), *RULES[key])
        means[f"repeated, {key}"] = np.mean([score(found, *b) for b in tested], axis=0)
    return means


def main():
    """Read the command line and print a row for each set."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", default=SETS, metavar="SET")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    arguments = parser.parse_args()
    rows = []
    for name in arguments.sets:
        rows.append(measure(arguments.folder, name, arguments.seeds))
        if len(rows) == 1:
            print("| set | " + " | ".join(rows[0]) + " |\n|" + "---|" * (len(rows[0]) + 1))
        print(f"| {name} | " + " | ".join(f"{a:.3f} / {loss:.3f}" for a, loss in rows[-1].values()) + " |", flush=True)
    means = [np.mean([row[key] for row in rows], axis=0) for key in rows[0]]
    print("| mean | " + " | ".join(f"{a:.4f} / {loss:.4f}" for a, loss in means) + " |")


if __name__ == "__main__":
    main()
