"""Small models and rows for the tests of streams, and what whole calls say about them."""

import numpy as np

from sklstm import DeepRNNClassifier, DeepRNNRegressor

LENGTH, N_ROWS = 4, 11
ROWS = np.random.default_rng(3).normal(size=(40, N_ROWS, 3))
_rng = np.random.default_rng(7)
TABLE = _rng.normal(size=(60, 3))
TARGETS = {
    "one": 20.0 + 5.0 * TABLE[:, 0],
    "column": 1e3 * TABLE[:, :1],
    "many": TABLE @ _rng.normal(size=(3, 5)) - 7.0,
    "two labels": np.where(TABLE[:, 0] > 0, "up", "down"),
    "three labels": np.digitize(TABLE[:, 0], [-0.5, 0.5]) * 10,
}
KINDS = list(TARGETS)


def fitted(kind, **parameters):
    estimator = DeepRNNClassifier if "labels" in kind else DeepRNNRegressor
    settings = {"hidden_size": 7, "sequence_length": LENGTH, "max_iter": 2, "random_state": 0, "n_jobs": 2}
    return estimator(**{**settings, **parameters}).fit(TABLE, TARGETS[kind])


def methods(model):
    is_classifier = isinstance(model, DeepRNNClassifier)
    return ["predict", "transform"] + ["predict_proba", "predict_log_proba"] * is_classifier


def same(found, expected):
    """The same bits, shape and dtype."""
    found, expected = np.asarray(found), np.asarray(expected)
    return (found.dtype, found.shape, found.tobytes()) == (expected.dtype, expected.shape, expected.tobytes())


def run(stream, rows):
    """Answers to the rows (n_rows, n_features) or (n_streams, n_rows, n_features) of a stream."""
    return [stream.step(row) for row in np.moveaxis(rows, -2, 0)]


def expected_answers(model, rows, method, window):
    """The same from whole calls, for rows (n_streams, n_rows, n_features): one array (n_streams, ...) per row."""
    call = getattr(model, method)
    if window:
        return list(np.stack([call(table) for table in rows], axis=1))
    return [call(rows[:, : t + 1]) for t in range(rows.shape[1])]


def all_same(found, expected):
    assert len(found) == len(expected)
    return all(same(a, b) for a, b in zip(found, expected, strict=True))
