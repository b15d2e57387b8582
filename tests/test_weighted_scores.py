"""Scores look at what is there: a sample of weight zero may have no true value."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, r2_score

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor, WeightedEnsembleRegressor

RNG = np.random.default_rng(8)
X = RNG.normal(size=(150, 3))
Y = np.column_stack([X[:, 0], 5.0 + X[:, 1] * X[:, 0]])
WEIGHTS = np.where(RNG.random(150) > 0.3, RNG.random(150), 0.0)
HERE = WEIGHTS > 0
SMALL = {"hidden_size": 3, "sequence_length": 4, "max_iter": 3, "n_jobs": 1, "random_state": 0}


@pytest.fixture(scope="module")
def models():
    labels = np.where(X[:, 0] > 0, "up", "down").astype(object)
    return {
        "one": (DeepLSTMRegressor(**SMALL).fit(X, Y[:, 0]), Y[:, 0], r2_score, np.nan),
        "several": (DeepLSTMRegressor(**SMALL).fit(X, Y), Y, r2_score, np.nan),
        "classes": (DeepLSTMClassifier(**SMALL).fit(X, labels), labels, accuracy_score, None),
        "labels": (DeepLSTMClassifier(**SMALL).fit(X, Y > 0.2), (Y > 0.2) + 0.0, accuracy_score, np.nan),
        "ensemble": (
            WeightedEnsembleRegressor([("a", DeepLSTMRegressor(**SMALL))], weights=[1.0]).fit(X, Y[:, 0]),
            Y[:, 0],
            r2_score,
            np.nan,
        ),
    }


@pytest.mark.parametrize("name", ["one", "several", "classes", "labels", "ensemble"])
def test_samples_of_weight_zero_need_no_true_value(models, name):
    model, y, metric, missing = models[name]
    holes = y.copy()
    holes[~HERE] = missing
    expected = metric(y[HERE], model.predict(X)[HERE], sample_weight=WEIGHTS[HERE])
    for weights in (WEIGHTS, WEIGHTS * 1e307, WEIGHTS.tolist()):
        assert model.score(X, holes, sample_weight=weights) == pytest.approx(expected, rel=1e-12)
    if name != "labels":  # scikit-learn casts them
        with pytest.raises((TypeError, ValueError), match=r"\by\b"):
            model.score(X, holes)


def test_frames_keep_their_columns(models):
    pandas = pytest.importorskip("pandas")
    model, y, _, _ = models["several"]
    frame = pandas.DataFrame(np.where(HERE[:, np.newaxis], y, np.nan)).astype("Float64")
    assert model.score(X, frame, WEIGHTS) == pytest.approx(model.score(X, y, WEIGHTS), rel=1e-12)
    # Of the frame itself, where each output has its own weights, too.
    matrix = np.column_stack([WEIGHTS, np.where(HERE, 1.0, 0.0)])
    assert model.score(X, frame, matrix) == model.score(X, y, matrix)


def test_each_output_may_have_its_own_weights(models):
    model, y, _, _ = models["several"]
    weights = np.column_stack([WEIGHTS, RNG.random(150)])
    predicted = model.predict(X)
    one = r2_score(y[HERE, 0], predicted[HERE, 0], sample_weight=WEIGHTS[HERE])
    other = r2_score(y[:, 1], predicted[:, 1], sample_weight=weights[:, 1])
    holes = np.where(weights > 0, y, np.nan)
    assert model.score(X, holes, sample_weight=weights) == pytest.approx((one + other) / 2, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "weights", "message"),
    [
        ("one", np.zeros(150), "sample_weight is zero for every sample"),
        ("one", np.ones((150, 2)), r"sample_weight has shape \(150, 2\), expected \(150,\)"),
        ("several", np.ones((150, 3)), r"sample_weight has shape \(150, 3\), expected \(150,\) or \(150, 2\)"),
        ("several", np.tile([1.0, 0.0], (150, 1)), "zero for every sample of output 1"),
        ("labels", np.ones((150, 2)), r"sample_weight has shape \(150, 2\), expected \(150,\)"),
        ("classes", np.full(150, -1.0), "sample_weight holds negative values"),
        ("classes", np.ones(7), r"sample_weight has shape \(7,\)"),
        ("ensemble", np.full(150, np.nan), "sample_weight contains NaN"),
    ],
)
def test_weights_that_fit_nothing_are_refused(models, name, weights, message):
    model, y, _, _ = models[name]
    with pytest.raises(ValueError, match=message):
        model.score(X, y, sample_weight=weights)
