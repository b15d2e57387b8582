"""Sequences with a target for each of their steps."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklstm.cells import GRU, LSTM

rng = np.random.default_rng(3)
LENGTHS = rng.integers(1, 9, size=30)
RAGGED = [rng.normal(size=(n, 3)) for n in LENGTHS]
ARRAY = rng.normal(size=(20, 6, 3))
SIGNALS = [np.cumsum(x[:, 0]) - 0.5 * x[:, 1] for x in RAGGED]
SEQUENCE = {"targets": "sequence"}
FULL_BATCH = {"dtype": "float64", "shuffle": False, "early_stopping": False, "batch_size": 10**6}

OPTIONS = [
    {},
    {"bidirectional": True, "n_layers": 2},
    {"n_layers": 2, "residual": 1, "norm": "layer", "dropout": 0.2},
    {"bidirectional": True, "cell": GRU(), "hidden_size": [4, 5], "residual": 1, "recurrent_dropout": 0.2},
    {"cell": LSTM(projection_size=2, peephole=True), "zoneout": 0.2},
    {"attention_heads": 2},
    {"n_seeds": 2},
    {"linear_skip": 3},
    {"linear_skip": 2, "linear_skip_training": "fine_tune", "bidirectional": True},
    {"attention_heads": 4, "bidirectional": True, "n_layers": 2},
    {"cell": LSTM(layer_norm=True), "weight_dropout": 0.2, "shuffle": "blocks", "accumulation_steps": 2},
]
each_option = pytest.mark.parametrize("options", OPTIONS, ids=str)


def targets_of(case, sequences=RAGGED):
    return [case.target(np.cumsum(x[:, 0]) - 0.5 * x[:, 1]) for x in sequences]


def fit(case, **parameters):
    return case.make(**SEQUENCE, **parameters).fit(RAGGED, targets_of(case))


def lists_equal(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert_array_equal(one, other)
