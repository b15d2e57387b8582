"""Samples with several labels: as scikit-learn's MLPClassifier has it, and what the log losses of the labels give."""

import pickle

import numpy as np
import pandas as pd
import pytest
from estimator_case import as_read
from numpy.testing import assert_allclose, assert_array_equal
from reference.lstm import network_forward, table_windows
from scipy.special import expit, log_expit
from sklearn.base import clone
from sklearn.metrics import accuracy_score, average_precision_score, get_scorer, roc_auc_score
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_predict, cross_val_score
from sklearn.neural_network import MLPClassifier
from stream_case import same

from sklstm import DeepLSTMClassifier

RNG = np.random.default_rng(0)
X = RNG.normal(size=(240, 3))
# Labels that overlap: of this row, of the row before, and a rare one.
Y = np.column_stack([X[:, 0] > 0, np.roll(X[:, 1], 1) > 0.3, X[:, 2] > 1.5]).astype(int)
METHODS = ("predict", "predict_proba", "predict_log_proba")


def make(**options):
    settings = {"hidden_size": 6, "sequence_length": 3, "max_iter": 3, "random_state": 0}
    return DeepLSTMClassifier(**{**settings, **options})


def test_it_learns_every_label():
    model = make(max_iter=60, learning_rate_init=0.02).fit(X, Y)
    assert (model.predict(X) == Y).mean(axis=0).min() > 0.93
    assert model.score(X, Y) == accuracy_score(Y, model.predict(X)) == (model.predict(X) == Y).all(axis=1).mean()
    weights = RNG.uniform(size=240)
    expected = np.average((model.predict(X) == Y).all(axis=1), weights=weights)
    assert_allclose(model.score(X, Y, sample_weight=weights), expected, rtol=1e-12)
    assert 0.5 < model.best_validation_score_ < 1


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("n_labels", [2, 3])
def test_conventions_of_scikit_learn(n_labels):
    y = Y[:, :n_labels]
    model, mlp = make().fit(X, y), MLPClassifier(max_iter=300, random_state=0).fit(X, y)
    # As ClassifierChain and the forests have it, not as the numbers of the columns, of which two look like one label.
    assert model.classes_.tolist() == [[0, 1]] * n_labels
    for method in METHODS:
        found, expected = getattr(model, method)(X), getattr(mlp, method)(X)
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    assert_array_equal(model.predict(X), model.predict_proba(X) > 0.5)
    assert_allclose(np.exp(model.predict_log_proba(X)), model.predict_proba(X), rtol=1e-14)


def test_prediction_is_that_of_the_equations():
    model = make(dtype="float64").fit(X, Y)
    z = network_forward(model.parameters_, table_windows(as_read(model, X), 3)).z
    assert_allclose(model.predict_proba(X), expit(z), rtol=1e-10)
    assert_allclose(model.predict_log_proba(X), log_expit(z), rtol=1e-9)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_training_loss_is_the_mean_of_the_binary_log_losses(smoothing):
    weights = RNG.uniform(size=240)
    model = make(dtype="float64", batch_size=240, max_iter=1, early_stopping=False, learning_rate_init=1e-300,
                 label_smoothing=smoothing).fit(X, Y, sample_weight=weights)  # fmt: skip
    p = model.predict_proba(X)
    target = (1 - smoothing) * Y + smoothing / 2
    terms = -(target * np.log(p) + (1 - target) * np.log1p(-p)).mean(axis=1)
    assert_allclose(model.loss_, np.average(terms, weights=weights), rtol=1e-12)


def test_one_label_twice_is_that_label_alone():
    """The gradient of the mean over two equal labels is that of one, in the layer below a head of equal rows."""
    twice = make().fit(X, Y[:, [0, 0]])
    p = twice.predict_proba(X)
    assert p.shape == (240, 2)
    assert (p[:, 0] != p[:, 1]).all()  # their initial weights differ
    # Until both have learnt all there is.
    whole = {"max_iter": 120, "learning_rate_init": 0.02, "learning_rate": "cosine", "early_stopping": False}
    single, twice = make(**whole).fit(X, Y[:, 0]), make(**whole).fit(X, Y[:, [0, 0]])
    assert_allclose(twice.predict_proba(X), np.repeat(single.predict_proba(X)[:, 1:], 2, axis=1), atol=0.02)


@pytest.mark.parametrize(
    "form",
    [list, np.ndarray.tolist, pd.DataFrame, lambda y: y.astype(bool), lambda y: y.astype(float), np.asfortranarray],
)
def test_kinds_of_y(form):
    model = make().fit(X, form(Y))
    assert model.loss_curve_ == make().fit(X, Y).loss_curve_
    assert model.score(X, form(Y)) == model.score(X, Y)


def test_labels_that_all_or_none_have():
    y = np.column_stack([np.zeros(240), np.ones(240), Y[:, 0]])
    for early_stopping in (False, True):
        model = make(max_iter=60, learning_rate_init=0.02, early_stopping=early_stopping).fit(X, y)
        assert_array_equal(model.predict(X)[:, :2], y[:, :2])
        assert np.isfinite(model.loss_curve_).all()


@pytest.mark.isa
@pytest.mark.parametrize("window", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_streams_answer_the_same(method, window):
    model = make().fit(X, Y)
    call = getattr(model, method)
    one, three = (model.stream(n_streams=n, window=window, response_method=method) for n in (None, 3))
    for t in range(8):
        expected = call(X[: t + 1])[-1:] if window else call(X[np.newaxis, : t + 1])
        before = pickle.loads(pickle.dumps(one))
        assert same(one.step(X[t]), expected[0])
        out = np.empty(3, expected.dtype)
        assert before.step(X[t], out=out) is out
        assert same(out, expected[0])
        assert same(three.step(X[[t, t, t]]), np.repeat(expected, 3, axis=0))


def test_rows_alone_groups_and_context():
    model, groups = make().fit(X, Y), np.repeat([0, 1], 120)
    whole = model.predict_proba(X)
    assert_array_equal(model.predict_proba(X[100:], context=X[:100]), whole[100:])
    assert_array_equal(model.predict_proba(X[98:101])[-1], whole[100])
    assert_array_equal(model.predict_proba(X, groups=groups)[120:], model.predict_proba(X[120:]))


def test_partial_fit_and_warm_start():
    first = make(early_stopping=False, warm_start=True, max_iter=1)
    second = clone(first).fit(X, Y)
    for model in (first.partial_fit(X, Y), make().partial_fit(X, Y, classes=[0, 1, 2])):
        assert_array_equal(model.predict_proba(X), second.predict_proba(X))
    assert first.partial_fit(X, Y).n_iter_ == 2
    assert second.fit(X, Y).n_iter_ == 2
    with pytest.raises(ValueError, match=r"classes=\[0, 1\] are not the columns of y, which has shape \(240, 3\)"):
        make().partial_fit(X, Y, classes=[0, 1])


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_y_that_differs_from_what_was_fitted(method):
    model = make(warm_start=True).fit(X, Y)
    for y, shape in ((Y[:, :2], r"\(240, 2\)"), (Y[:, 0], r"\(240,\)")):
        with pytest.raises(ValueError, match=f"y has shape {shape}, but the targets of this model have shape .*, 3"):
            getattr(model, method)(X, y)
    with pytest.raises(ValueError, match=r"y_val has shape \(240, 2\), but the targets"):
        make().fit(X, Y, X_val=X, y_val=Y[:, :2])
    # Anew, anything goes.
    assert_array_equal(model.set_params(warm_start=False).fit(X, Y[:, 0]).classes_, [0, 1])


# Weights of labels and of their classes

FULL = {"batch_size": 240, "shuffle": False, "dtype": "float64", "early_stopping": False}


def factors_of(y, weights):
    """sum(weights) / (2 sum(weights of the class)), entry by entry."""
    return np.column_stack([
        w.sum() / (2 * np.bincount(column, w)[column]) for column, w in zip(y.T, weights.T, strict=True)
    ])  # fmt: skip


def test_balanced_is_counted_for_each_label():
    weights = RNG.uniform(0.2, 2.0, size=240)
    each = np.repeat(weights[:, np.newaxis], 3, axis=1)
    found = make(**FULL, class_weight="balanced").fit(X, Y, sample_weight=weights)
    expected = make(**FULL).fit(X, Y, sample_weight=each * factors_of(Y, each))
    assert_array_equal(found.predict_proba(X), expected.predict_proba(X))
    assert np.abs(found.predict_proba(X) - make(**FULL).fit(X, Y, sample_weight=weights).predict_proba(X)).max() > 1e-3
    # A rare label is not always absent any more.
    rare = make(max_iter=20, class_weight="balanced").fit(X, Y).predict_proba(X)[:, 2].mean()
    assert rare > 0.3 > make(max_iter=20).fit(X, Y).predict_proba(X)[:, 2].mean()


def test_balanced_is_counted_in_the_training_part():
    later = Y.copy()
    later[216:] = 1
    models = [make(class_weight="balanced").fit(X, y) for y in (Y, later)]
    assert models[0].loss_curve_ == models[1].loss_curve_


def test_factors_of_each_label():
    factors = [{0: 1.0, 1: 3.0}, {0: 0.5, 1: 1.0}, {0: 1.0, 1: 9.0}]
    found = make(**FULL, class_weight=factors).fit(X, Y)
    table = np.array([[1.0, 3.0], [0.5, 1.0], [1.0, 9.0]])
    expected = make(**FULL).fit(X, Y, sample_weight=table[np.arange(3), Y])
    assert_array_equal(found.predict_proba(X), expected.predict_proba(X))
    # In instalments too.
    parts = make(**FULL, class_weight=factors).partial_fit(X, Y)
    assert parts.loss_curve_[0] == found.loss_curve_[0]


def test_a_label_that_is_missing_does_not_lose_the_sample():
    """Its entry may be anything; those of the other labels count."""
    known = RNG.uniform(size=Y.shape) < 0.6
    placeholder = np.where(known, Y, np.nan)
    models = [make().fit(X, y, sample_weight=known.astype(float)) for y in (Y, placeholder)]
    assert_array_equal(*(model.predict_proba(X) for model in models))
    assert models[0].validation_scores_ == models[1].validation_scores_
    rows = known.all(axis=1)
    whole = make().fit(X, Y, sample_weight=rows)
    assert whole.loss_curve_ != models[0].loss_curve_


@pytest.mark.parametrize(
    ("class_weight", "error", "message"),
    [
        ({0: 2.0, 1: 1.0}, ValueError, r"does not say the factors of each label: y has 3 labels .* a list of 3 dicts"),
        ([{0: 1.0, 1: 2.0}], ValueError, "expected 'balanced' or a list of 3 dicts"),
        ([{}, {}, 1.0], TypeError, r"class_weight holds 1.0, expected a dict like \{0: 1.0, 1: 5.0\} for each label"),
        ([{1: -1.0}, {}, {}], ValueError, "class_weight of class 1 is -1; it must be finite and not negative"),
        ([{0: 0.0, 1: 0.0}, {}, {}], ValueError, "no sample of the training part has a positive weight for output 0"),
    ],
)
def test_weights_that_are_none(class_weight, error, message):
    with pytest.raises(error, match=message):
        make(class_weight=class_weight).fit(X, Y)


def test_a_list_goes_with_a_matrix():
    with pytest.raises(ValueError, match="is a list, which goes with a matrix of labels; y has one class for each"):
        make(class_weight=[{0: 1.0, 1: 2.0}]).fit(X, Y[:, 0])


@pytest.mark.parametrize("n_labels", [2, 3])
@pytest.mark.parametrize("scoring", ["roc_auc", "average_precision", "roc_auc_ovr"])
def test_scorers_take_two_labels_as_they_take_three(n_labels, scoring):
    y = Y[:, :n_labels]
    model = make(max_iter=10).fit(X, y)
    metric = average_precision_score if scoring == "average_precision" else roc_auc_score
    assert get_scorer(scoring)(model, X, y) == metric(y, model.predict_proba(X))
    scores = cross_val_score(make(), X, y, scoring=scoring, cv=3, error_score="raise")
    assert np.isfinite(scores).all()
    search = GridSearchCV(make(), {"hidden_size": [2, 4]}, scoring=scoring, cv=2, error_score="raise").fit(X, y)
    assert search.classes_.tolist() == [[0, 1]] * n_labels


def test_grid_search():
    grid = {"label_smoothing": [0.0, 0.2], "hidden_size": [4, 6]}
    model = make(max_iter=20, learning_rate_init=0.02, early_stopping=False)
    search = GridSearchCV(model, grid, cv=TimeSeriesSplit(2), error_score="raise").fit(X, Y)
    assert 0.2 < search.best_score_ < 1
    assert cross_val_predict(make(), X, Y, cv=3).shape == (240, 3)
    assert cross_val_predict(make(), X, Y[:, :2], cv=3, method="predict_proba").shape == (240, 2)
