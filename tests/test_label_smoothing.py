"""Label smoothing of the classifier: what becomes of certain answers, and what stays."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import xlogy
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

from sklstm import DeepLSTMClassifier

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 2))
BINARY = X[:, 0] > 0.3
THREE = np.digitize(X[:, 0], [-0.5, 0.5])
each_y = pytest.mark.parametrize("y", [BINARY, THREE], ids=["two classes", "three classes"])


def make(**options):
    settings = {"hidden_size": 5, "sequence_length": 2, "max_iter": 3, "random_state": 0}
    return DeepLSTMClassifier(**{**settings, **options})


def smoothed(y, smoothing):
    n_classes = y.max() + 1
    return (1 - smoothing) * np.eye(n_classes)[y] + smoothing / n_classes


@pytest.mark.parametrize("n_classes", [2, 3])
def test_certain_classes_become_as_certain_as_their_smoothed_labels(n_classes):
    """Each class has a column of its own in X: without smoothing the probabilities would go to 0 and 1."""
    y = RNG.integers(0, n_classes, 300)
    model = make(sequence_length=1, max_iter=200, learning_rate_init=0.02, learning_rate="cosine", label_smoothing=0.3,
                 n_iter_no_change=200, weight_decay=0.0)  # fmt: skip
    found = model.fit(np.eye(n_classes)[y], y).predict_proba(np.eye(n_classes))
    assert_allclose(found, smoothed(np.arange(n_classes), 0.3), atol=0.01)
    # What the smoothing leaves of the loss counts for nothing.
    assert_allclose(model.best_validation_score_, 1.0, atol=1e-3)
    assert_array_equal(model.predict(np.eye(n_classes)), np.arange(n_classes))


@each_y
def test_the_training_loss_is_that_of_the_formula(y):
    """Of the first look at the data, in one batch, with weights of classes."""
    options = {"dtype": "float64", "batch_size": 300, "max_iter": 1, "early_stopping": False}
    class_weight = dict(zip(np.unique(y).tolist(), [1.0, 3.0, 0.5], strict=False))
    model = make(label_smoothing=0.2, class_weight=class_weight, learning_rate_init=1e-300, **options).fit(X, y)
    terms = -(smoothed(y.astype(int), 0.2) * model.predict_log_proba(X)).sum(axis=1)
    weights = np.vectorize(class_weight.get)(y)
    assert_allclose(model.loss_, np.average(terms, weights=weights), rtol=1e-12)
    # Logarithms of probabilities are not smoothed.
    assert_allclose(np.exp(model.predict_log_proba(X)), model.predict_proba(X), rtol=1e-12)


@each_y
def test_the_validation_score_is_a_share_of_what_can_be_learnt(y):
    model = make(label_smoothing=0.2, dtype="float64", max_iter=1).fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])
    target = smoothed(y.astype(int), 0.2)
    value = -(target[200:] * model.predict_log_proba(X[200:])).sum(axis=1).mean()
    null = -(target[200:] * np.log(target[:200].mean(axis=0))).sum(axis=1).mean()
    least = -xlogy(target, target).sum(axis=1).mean()
    assert_allclose(model.validation_scores_, [1 - (value - least) / (null - least)], rtol=1e-9)


@each_y
def test_none_is_the_default(y):
    plain, zero = make().fit(X, y), make(label_smoothing=0).fit(X, y)
    assert plain.loss_curve_ == zero.loss_curve_
    assert_array_equal(plain.predict_proba(X), zero.predict_proba(X))


@each_y
def test_streams_do_not_know_of_it(y):
    model = make(label_smoothing=0.4).fit(X, y)
    for method in ("predict", "predict_proba", "predict_log_proba"):
        stream = model.stream(response_method=method)
        assert_array_equal([stream.step(row) for row in X[:5]], getattr(model, method)(X[:5]))


@each_y
def test_grid_search(y):
    grid = {"label_smoothing": [0.0, 0.1, 0.5]}
    search = GridSearchCV(make(), grid, scoring="neg_log_loss", cv=TimeSeriesSplit(2), error_score="raise").fit(X, y)
    assert len(np.unique(search.cv_results_["mean_test_score"])) == 3
