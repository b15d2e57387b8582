"""A table whose target depends on the rows before, and windows of it: what tools that draw rows are tried on."""

import numpy as np

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor

STEPS, COLUMNS = 6, 3
_rng = np.random.default_rng(0)
X = _rng.normal(size=(900, COLUMNS))
Y = np.zeros(900)
Y[2:] = 0.6 * X[1:-1, 0] + 0.4 * X[:-2, 0]
LABELS = np.where(Y > 0, "up", "down")
TRAIN, TEST = slice(0, 700), slice(700, 900)
SETTINGS = {"hidden_size": 16, "sequence_length": STEPS, "learning_rate_init": 2e-2, "max_iter": 25}
SETTINGS |= {"random_state": 0, "n_jobs": 1}


def regressor(**parameters):
    return DeepLSTMRegressor(**{**SETTINGS, **parameters})


def classifier(**parameters):
    return DeepLSTMClassifier(**{**SETTINGS, **parameters})


def windows(rows):
    """Return the windows that end at these rows, as a set of sequences."""
    return np.stack([X[row - STEPS + 1 : row + 1] for row in rows])
