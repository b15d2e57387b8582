"""Models with given weights for the tests of `sklstm.exchange`, and the sequences that they are compared on."""

import zlib

import numpy as np

from sklstm import DeepLSTMRegressor, DeepRNNClassifier, DeepRNNRegressor
from sklstm.cells import GRU, LSTM, Elman

N_FEATURES = 3
# Far from 0 and 1, so that scales that are left out, or taken twice, show.
MEANS, SCALES = np.array([3.0, -40.0, 0.5]), np.array([2.0, 5.0, 0.1])
LENGTHS = np.array([5, 1, 8, 3, 8, 2])
SEQUENCES = 6, 8
SMALL = {"hidden_size": 7, "max_iter": 1, "random_state": 0, "n_jobs": 1, "sequence_length": 6}
QUANTILES = [0.1, 0.25, 0.5, 0.75, 0.9]

REGRESSORS = {
    "lstm": {},
    "peephole": {"cell": LSTM(peephole=True), "n_layers": 2},
    "gru": {"cell": "gru", "n_layers": 2},
    "gru_reset_before": {"cell": GRU(reset_after=False), "bidirectional": True},
    "elman": {"cell": "elman"},
    "elman_relu": {"cell": Elman(activation="relu"), "bidirectional": True},
    "elman_softsign": {"cell": Elman(activation="softsign")},
    "sizes": {"hidden_size": (9, 4, 6)},
    "bidirectional": {"bidirectional": True, "n_layers": 2},
    "mean": {"pooling": "mean"},
    "mean_bidirectional": {"pooling": "mean", "bidirectional": True},
    "skip": {"linear_skip": 4},
    "seeds": {"n_seeds": 3},
    "as_they_come": {"input_scaling": None},
    "several": {"n_outputs": 2},
    "poisson": {"loss": "poisson"},
    "poisson_seeds": {"loss": "poisson", "n_seeds": 2},
    "quantile": {"loss": "quantile", "quantile": 0.7},
    "quantiles": {"loss": "quantile", "quantile": QUANTILES, "n_seeds": 2},
    "quantiles_of_several": {"loss": "quantile", "quantile": QUANTILES, "n_outputs": 2},
    "conformal": {"loss": "quantile", "quantile": QUANTILES, "conformal": True, "early_stopping": True},
    "every_step": {"targets": "sequence", "linear_skip": 3},
    "stateful": {"training": "stateful", "shuffle": False, "n_outputs": 2},
}
CLASSIFIERS = {
    "binary": {"n_classes": 2},
    "multinomial": {"n_classes": 4},
    "labels": {"n_labels": 3},
    "binary_seeds": {"n_classes": 2, "n_seeds": 2},
    "multinomial_seeds": {"n_classes": 3, "n_seeds": 2},
    "labels_seeds": {"n_labels": 2, "n_seeds": 2},
    "binary_every_step": {"n_classes": 2, "targets": "sequence"},
    "multinomial_every_step": {"n_classes": 3, "targets": "sequence"},
}
CASES = REGRESSORS | CLASSIFIERS


def generator(name):
    """Return a generator that depends on a name only."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def padded():
    """Return sequences of the lengths `LENGTHS`, (6, 8, 3) of float32, with numbers behind their ends too."""
    rows = generator("sequences").normal(size=(*SEQUENCES, N_FEATURES))
    return (MEANS + SCALES * rows).astype(np.float32)


def ragged():
    """Return the same as a list."""
    return [rows[:n] for rows, n in zip(padded(), LENGTHS, strict=True)]


def model_of(name):
    """Return the fitted model of a case, whose weights are the same on all machines."""
    options, rng = dict(CASES[name]), generator(name)
    n_rows = 120
    X = MEANS + SCALES * rng.normal(size=(n_rows, N_FEATURES))
    if name in CLASSIFIERS:
        kind, y = DeepRNNClassifier, _labels(options, n_rows)
    else:
        n_outputs = options.pop("n_outputs", 1)
        kind, y = DeepRNNRegressor, 50.0 + 7.0 * rng.normal(size=(n_rows, n_outputs))
        y = y[:, 0] if n_outputs == 1 else y
    if options.get("targets") == "sequence":
        X, y = X.reshape(4, -1, N_FEATURES), y.reshape(4, -1, *y.shape[1:])
    model = kind(**{**SMALL, "early_stopping": False, **options}).fit(X, y)
    for one in [model.__dict__, *getattr(model, "other_networks_", ())]:
        one["parameters_"] = {
            key: _drawn(rng, array.shape).astype(array.dtype) for key, array in model.parameters_.items()
        }
        if name in CLASSIFIERS:  # every class shall be an answer
            one["parameters_"]["bias_out"][:] = 0.0
            one["parameters_"]["weight_out"] *= 3.0
    if options.get("conformal"):
        # Neighbours would change places.
        model.conformal_correction_ = np.array([0.5, -0.9, 0.0, 0.9, -0.5])
    return model


def _labels(options, n_rows):
    if n_labels := options.pop("n_labels", 0):
        return (np.arange(n_rows)[:, np.newaxis] // (1 + np.arange(n_labels))) % 2
    return np.array(["up", "down", "flat", "away"])[np.arange(n_rows) % options.pop("n_classes")]


def _drawn(rng, shape):
    return rng.uniform(-1.0, 1.0, shape) * (0.5 if len(shape) == 1 else 1.5 / np.sqrt(shape[-1]))


def float64_lstm():
    """Return a small LSTM of float64, for tests of folding."""
    X = MEANS + SCALES * generator("table").normal(size=(60, N_FEATURES))
    return DeepLSTMRegressor(**SMALL, dtype="float64").fit(X, X[:, 1] * 3.0 + 100.0)
