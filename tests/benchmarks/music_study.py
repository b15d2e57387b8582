"""Predict the next chord of music: ``python music_study.py DATA [--seeds 0 1 2] [sequence|stateful ...]``.

DATA holds the folder ``jsb_chorales`` (or the environment variable SKLSTM_STUDY_DATA does): chorales by Bach as
sequences of 88 binary keys, in a training, a validation and a test part. The loss is the negative log-likelihood of a
frame, the sum over its 88 keys. Networks stop early by the validation part; prints a table in Markdown.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
import scipy.io

from sklstm import DeepLSTMClassifier

PARTS = ("traindata", "validdata", "testdata")
# Chosen by the loss of the validation part, for each way by itself.
SETTINGS = {"hidden_size": 150, "recurrent_dropout": 0.3, "weight_decay": 0.05, "input_scaling": None, "max_iter": 40}
SETTINGS |= {"learning_rate_init": 3e-2, "learning_rate": "one_cycle"}
WAYS = {
    "sequence": {"targets": "sequence", "batch_size": 4},
    "sequence, n_seeds=4": {"targets": "sequence", "batch_size": 4, "n_seeds": 4},
    "stateful": {"training": "stateful", "shuffle": False, "batch_size": 8},
}


def load_parts(folder):
    """Return for each part the frames of each piece but the last, and the frames that follow them."""
    pieces = scipy.io.loadmat(Path(folder) / "jsb_chorales" / "JSB_Chorales.mat")
    parts = [[np.asarray(piece, np.float32) for piece in pieces[name][0]] for name in PARTS]
    return [([piece[:-1] for piece in part], [piece[1:].astype(int) for piece in part]) for part in parts]


def as_table(part):
    """Return the frames of a part one after the other, what follows them, and the number of the piece of each."""
    X, y = part
    return np.concatenate(X), np.concatenate(y), np.repeat(np.arange(len(X)), [len(x) for x in X])


def loss_of(probabilities, part):
    """Return the negative log-likelihood of a frame."""
    y = np.concatenate(part[1])
    return -np.log(np.maximum(np.where(y == 1, probabilities, 1.0 - probabilities), 1e-12)).sum(axis=1).mean()


def fit_and_answer(way, seed, parts):
    """Return the seconds of `fit`, those of the processor, the model, and its answers for validation and test part."""
    train, validation, test = parts
    model = DeepLSTMClassifier(**SETTINGS, **WAYS[way], random_state=seed)
    begin = np.array([time.perf_counter(), time.process_time()])
    if way.startswith("sequence"):
        model.fit(*train, X_val=validation[0], y_val=validation[1])
        seconds = [time.perf_counter(), time.process_time()] - begin
        return seconds, model, [np.concatenate(model.predict_proba(part[0])) for part in (validation, test)]
    (X, y, groups), (X_val, y_val, groups_val) = as_table(train), as_table(validation)
    model.fit(X, y, groups=groups, X_val=X_val, y_val=y_val, groups_val=groups_val)
    seconds = [time.perf_counter(), time.process_time()] - begin
    answers = [model.predict_proba(one[0], groups=one[2]) for one in (as_table(validation), as_table(test))]
    return seconds, model, answers


def baselines(parts):
    """Yield names and losses of simple models: shares of keys, and of keys after the same key on or off."""
    (X, y, _), others = as_table(parts[0]), parts[1:]
    yield "share of each key", [loss_of(np.broadcast_to(y.mean(axis=0), np.concatenate(p[1]).shape), p) for p in others]
    on, off = ((y * where).sum(axis=0) + 0.5 for where in (X, 1 - X))
    after_on, after_off = on / (X.sum(axis=0) + 1), off / ((1 - X).sum(axis=0) + 1)
    answers = [np.where(np.concatenate(part[0]) > 0, after_on, after_off) for part in others]
    yield "share after the same key, on or off", [loss_of(a, part) for a, part in zip(answers, others, strict=True)]


def main():
    """Fit each way from each seed and print its losses."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", default=os.environ.get("SKLSTM_STUDY_DATA"))
    parser.add_argument("ways", nargs="*", default=list(WAYS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    arguments = parser.parse_args()
    parts = load_parts(arguments.data)
    print("| | seed | epochs, best | validation | test | seconds of fit | of the processor |")
    print("|---|---|---|---|---|---|---|")
    for name, losses in baselines(parts):
        print(f"| {name} | | | {losses[0]:.3f} | {losses[1]:.3f} | | |", flush=True)
    for way in arguments.ways:
        for seed in arguments.seeds:
            seconds, model, answers = fit_and_answer(way, seed, parts)
            losses = [loss_of(answer, part) for answer, part in zip(answers, parts[1:], strict=True)]
            epochs = f"{model.n_iter_}, {model.best_iteration_}"
            told = " | ".join(f"{number:.3f}" for number in losses) + " | " + " | ".join(f"{s:.1f}" for s in seconds)
            print(f"| {way} | {seed} | {epochs} | {told} |", flush=True)


if __name__ == "__main__":
    main()
