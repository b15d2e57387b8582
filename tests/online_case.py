"""Learners for tests: a small network, a series whose rule changes, and what must be equal after a crash."""

import hashlib

import numpy as np

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor
from sklstm.online import OnlineLearner

N_FITTED, LAG = 120, 3
_rng = np.random.default_rng(0)
X = _rng.normal(size=(900, 3))
Y = np.convolve(X[:, 0], [0.5, 0.3, 0.2])[:900]
Y[400:] *= -1.5
LABELS = np.where(Y > 0, "up", "down")


def regressor(**options):
    settings = {"sequence_length": 3, "max_iter": 3, "early_stopping": False, "n_jobs": 1, "random_state": 0}
    return DeepLSTMRegressor(4, **{**settings, **options})


def classifier(**options):
    settings = {"sequence_length": 3, "max_iter": 3, "early_stopping": False, "n_jobs": 1, "random_state": 0}
    return DeepLSTMClassifier(4, **{**settings, **options})


def learner(model=None, **options):
    settings = {"update_every": 10, "detector": None, "refit": None, "random_state": 0}
    return OnlineLearner(regressor() if model is None else model, **{**settings, **options})


def calls(n_rows):
    """The calls of a run: each row is predicted, and its truth comes three rows later."""
    for row in range(N_FITTED, N_FITTED + n_rows + LAG):
        if row < N_FITTED + n_rows:
            yield "predict", row
        if row - LAG >= N_FITTED:
            yield "learn", row - LAG


def do(one, call):
    """Make one of the calls; return the prediction, or None."""
    kind, row = call
    if kind == "predict":
        return one.predict_one(X[row % len(X)], key=row)
    return one.learn_one(None, Y[row % len(X)], key=row)


def digest(one):
    """Return a checksum of all that a learner goes on from, but for what the clock has measured."""
    state = one._engine.state
    state.pop("metrics")
    state.pop("parameters")
    sha = hashlib.sha256()
    _add(sha, state)
    return sha.hexdigest()


def _add(sha, value):
    if hasattr(value, "get_params"):
        value = {name: one for name, one in vars(value).items() if name not in ("callbacks", "n_jobs")}
    if isinstance(value, dict):
        for name in sorted(value, key=str):
            sha.update(str(name).encode())
            _add(sha, value[name])
    elif isinstance(value, list | tuple):
        sha.update(str(len(value)).encode())
        for one in value:
            _add(sha, one)
    elif isinstance(value, np.ndarray) and value.dtype.kind != "O":
        sha.update(f"{value.dtype}{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
    else:
        sha.update(repr(value).encode())
