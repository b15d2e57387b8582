"""Data with a column that is known ahead, and regressors with decoders that read it."""

import numpy as np
import pytest

from sklstm import DeepRNNRegressor
from sklstm.cells import LSTM

HORIZON, LENGTH = 5, 6
SMALL = {"hidden_size": 4, "sequence_length": LENGTH, "max_iter": 2, "random_state": 0, "n_jobs": 1}
each_decoder = pytest.mark.parametrize("decoder", ["recurrent", "parallel"])
OPTIONS = [
    {},
    {"patch_length": 2, "hidden_size": [4, 6]},
    {"window_norm": "last", "target_column": 0, "patch_length": 3},
    {"linear_skip": 3, "cell": "gru"},
    {"n_layers": 2, "dropout": 0.2, "recurrent_dropout": 0.2, "zoneout": 0.1},
    {"cell": LSTM(projection_size=3, peephole=True), "residual": 1, "n_layers": 2, "norm": "layer"},
    {"cell": "mingru", "dtype": "bfloat16"},
    {"loss": "quantile", "quantile": [0.1, 0.5, 0.9], "n_seeds": 2},
]
each_option = pytest.mark.parametrize("options", OPTIONS, ids=str)


def series(n=100, seed=0):
    """Three columns, the last of which is known ahead, and the values of the first in the rows ahead."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    X[:, 0] += np.roll(X[:, 0], 1) + 2 * X[:, 2]
    Y = np.lib.stride_tricks.sliding_window_view(X[1:, 0], HORIZON)
    return X, Y


X, Y = series()
N = len(Y)  # the rows that have all of their horizon in X
BEHIND = X[N:]


def make(decoder="recurrent", **parameters):
    return DeepRNNRegressor(**{**SMALL, "decoder": decoder, "known_columns": [2], **parameters})


def fitted(decoder="recurrent", **parameters):
    return make(decoder, **parameters).fit(X[:N], Y, future=BEHIND)


def ahead_of_rows(rows):
    """(len(rows), HORIZON, 1): what is known of the rows after each."""
    return np.array([X[row + 1 : row + 1 + HORIZON, 2:] for row in rows])
