"""DeepLSTMClassifier: labels of every kind, probabilities, weights of classes and samples, `partial_fit`."""

import copy

import numpy as np
import pandas as pd
import pytest
from estimator_case import parameters_equal
from scipy.special import expit, softmax
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import accuracy_score
from sklearn.utils import compute_class_weight, compute_sample_weight

X = np.random.default_rng(0).normal(size=(80, 3))
SIGNAL = X[:, 0] + 0.5 * np.roll(X[:, 1], 1)
BINARY = (SIGNAL > 0.6).astype(int)  # about a quarter
THREE = np.digitize(SIGNAL, [-0.8, 0.2])
FULL_BATCH = {"batch_size": 10**6, "dtype": "float64", "early_stopping": False, "max_iter": 8}


def fit(classifier, y, **parameters):
    return classifier.make(**parameters).fit(X, y)


# Labels

LABELS = {
    "str": np.array(["no", "yes", "maybe"]),
    "int": np.array([-5, 0, 7]),
    "uint8": np.array([0, 128, 255], np.uint8),
    "float": np.array([-1.0, 0.0, 1.0]),
    "objects": np.array(["b", "a", "ccc"], object),
    "bool": np.array([False, True]),
}


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_labels_of_any_kind(classifier, kind, n_classes):
    """They come back as they are, and mean nothing: only their order counts."""
    labels = np.sort(LABELS[kind][:n_classes])
    codes = THREE if len(labels) == 3 else BINARY
    model, plain = fit(classifier, labels[codes]), fit(classifier, codes)
    np.testing.assert_array_equal(model.classes_, labels)
    assert model.classes_.dtype == labels.dtype
    predicted = model.predict(X)
    assert predicted.dtype == labels.dtype
    np.testing.assert_array_equal(predicted, labels[plain.predict(X)])
    np.testing.assert_array_equal(model.predict_proba(X), plain.predict_proba(X))


@pytest.mark.parametrize(
    "form", [list, pd.Series, lambda y: pd.Series(y, dtype="category"), lambda y: pd.Series(y, index=range(80, 160))]
)
def test_kinds_of_y(classifier, form):
    y = np.array(["u", "v"])[BINARY]
    assert fit(classifier, form(y)).loss_curve_ == fit(classifier, y).loss_curve_


def test_a_column_is_taken_with_a_warning(classifier):
    with pytest.warns(Warning, match="A column-vector y was passed when a 1d array was expected"):
        model = fit(classifier, BINARY[:, np.newaxis])
    assert model.loss_curve_ == fit(classifier, BINARY).loss_curve_


# Probabilities


@pytest.mark.isa
@pytest.mark.parametrize("n_classes", [2, 3, 17])
def test_probabilities_follow_from_the_parameters(classifier, n_classes):
    codes = np.arange(80) % n_classes
    model = fit(classifier, codes, dtype="float64", hidden_size=7)
    expected = classifier.by_hand_table(model, X)
    assert model.parameters_["weight_out"].shape == (1 if n_classes == 2 else n_classes, 7)
    probabilities = model.predict_proba(X)
    assert probabilities.shape == (80, n_classes)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-14)
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(expected), rtol=1e-10)
    np.testing.assert_array_equal(model.predict(X), model.classes_[probabilities.argmax(axis=1)])


@pytest.mark.parametrize("codes", [BINARY, THREE], ids=["binary", "multiclass"])
def test_logarithms_of_tiny_probabilities(classifier, codes):
    """Far beyond what a probability can hold in float64."""
    model = fit(classifier, codes)
    n_outputs = len(model.parameters_["bias_out"])
    bias = np.array([2000.0] + [0.0] * (n_outputs - 1), np.float32)
    model.parameters_ = {**model.parameters_, "bias_out": bias}
    logarithms = model.predict_log_proba(X)
    assert np.isfinite(logarithms).all()
    certain = 1 if n_outputs == 1 else 0
    np.testing.assert_array_equal(logarithms[:, certain], 0.0)
    assert (np.delete(logarithms, certain, axis=1) < -1900).all()
    np.testing.assert_array_equal(
        model.predict_proba(X), np.tile(np.eye(n_outputs + (n_outputs == 1))[certain], (80, 1))
    )


def test_two_classes_are_the_multinomial_with_a_difference(classifier):
    """The same probabilities from one output as from the softmax of (0, z)."""
    z = np.linspace(-30.0, 30.0, 7)
    np.testing.assert_allclose(softmax(np.column_stack([0 * z, z]), axis=1)[:, 1], expit(z), rtol=1e-12)
    model = fit(classifier, BINARY)
    probabilities, logarithms = model.predict_proba(X), model.predict_log_proba(X)
    np.testing.assert_allclose(np.exp(logarithms), probabilities, rtol=1e-12)


# Weights of classes


@pytest.mark.parametrize("codes", [BINARY, THREE], ids=["binary", "multiclass"])
@pytest.mark.parametrize("sample_weight", [None, np.linspace(0.2, 2.0, 80)], ids=["alone", "with sample_weight"])
def test_class_weight_is_a_weight_of_samples(classifier, codes, sample_weight):
    """Bit for bit."""
    for class_weight in ("balanced", {0: 0.5, 1: 3.0}):
        found = classifier.make(class_weight=class_weight).fit(X, codes, sample_weight=sample_weight)
        own = np.ones(80) if sample_weight is None else sample_weight
        if class_weight == "balanced":
            # A sample of weight 2 counts as two.
            sums = np.bincount(codes, own)
            weights = own * (own.sum() / (len(sums) * sums))[codes]
        else:
            weights = own * compute_sample_weight(class_weight, codes)
        expected = classifier.make().fit(X, codes, sample_weight=weights)
        assert found.loss_curve_ == expected.loss_curve_
        np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))
        assert found.loss_curve_ != classifier.make().fit(X, codes, sample_weight=sample_weight).loss_curve_


def test_balanced_is_the_weight_of_negatives_over_positives(classifier):
    """Of a weighted binary cross-entropy on logits; only ratios of weights count."""
    positive = (BINARY == 0).sum() / (BINARY == 1).sum()
    expected = fit(classifier, BINARY, class_weight={1: positive}, dtype="float64")
    found = fit(classifier, BINARY, class_weight="balanced", dtype="float64")
    np.testing.assert_allclose(found.predict_proba(X), expected.predict_proba(X), rtol=1e-10)
    np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=1e-10)


def test_class_weight_in_the_validation_part(classifier):
    """Classes weigh there what they weigh in training, whatever their shares there."""
    part = {"X_val": X[60:], "y_val": BINARY[60:]}
    found = classifier.make(class_weight="balanced").fit(X[:60], BINARY[:60], **part)
    factors = compute_class_weight("balanced", classes=np.array([0, 1]), y=BINARY[:60])
    expected = classifier.make(class_weight=None).fit(
        *(X[:60], BINARY[:60]), sample_weight=factors[BINARY[:60]], sample_weight_val=factors[BINARY[60:]], **part
    )
    assert found.validation_scores_ == expected.validation_scores_
    one_class = {"X_val": X[BINARY == 1], "y_val": BINARY[BINARY == 1]}
    assert classifier.make(class_weight={0: 2.0, 1: 1.0}).fit(X, BINARY, **one_class).validation_scores_


@pytest.mark.parametrize("length", [1, 5])
def test_weights_are_repetitions(classifier, length):
    rng = np.random.default_rng(3)
    samples = rng.normal(size=(60, 3)) if length == 1 else rng.normal(size=(60, 7, 3))
    weights, y = rng.integers(0, 4, size=60), rng.integers(0, 3, size=60)
    index = np.repeat(np.arange(60), weights)
    model = classifier.make(sequence_length=length, **FULL_BATCH)
    weighted = model.fit(samples, y, sample_weight=weights).predict_proba(samples)
    repeated = model.fit(samples[index], y[index]).predict_proba(samples)
    np.testing.assert_allclose(weighted, repeated, rtol=1e-9)
    assert np.abs(weighted - model.fit(samples, y).predict_proba(samples)).max() > 1e-3


def test_a_class_of_weight_zero_is_not_there(classifier):
    """A placeholder for labels that nobody knows is no class."""
    model = classifier.make().fit(X, THREE, sample_weight=(THREE != 1).astype(float))
    assert model.classes_.tolist() == [0, 2]
    assert model.predict_proba(X).shape == (80, 2)


def test_a_class_whose_factor_is_zero_keeps_its_column(classifier):
    """It was named. Its samples are not there."""
    settings = {"max_iter": 30, "learning_rate_init": 0.02, "dtype": "float64"}
    model = classifier.make(**settings, class_weight={0: 1.0, 1: 0.0, 2: 1.0}).fit(X, THREE)
    assert model.classes_.tolist() == [0, 1, 2]
    assert model.predict_proba(X)[:, 1].mean() < 0.1
    weights = np.where(THREE == 1, 0.0, 1.0)
    announced = classifier.make(**settings).partial_fit(X, THREE, sample_weight=weights, classes=[0, 1, 2])
    assert model.loss_curve_[0] == announced.loss_curve_[0]


# partial_fit


def test_all_classes_are_announced_in_the_first_call(classifier):
    model = classifier.make().partial_fit(X[:9], np.full(9, "v"), classes=["w", "u", "v"])
    assert model.classes_.tolist() == ["u", "v", "w"]
    assert model.predict_proba(X).shape == (80, 3)
    model.partial_fit(X[9:], np.full(71, "w")).partial_fit(X, np.full(80, "u"), classes=["u", "v", "w"])
    assert model.n_iter_ == 3


def test_classes_of_the_first_call_may_come_from_y(classifier):
    known = classifier.make().partial_fit(X, THREE)
    announced = classifier.make().partial_fit(X, THREE, classes=[2, 1, 0])
    assert known.loss_curve_ == announced.loss_curve_
    np.testing.assert_array_equal(known.predict_proba(X), announced.predict_proba(X))


def test_later_calls_keep_the_classes(classifier):
    model = classifier.make().partial_fit(X, BINARY)
    before = copy.deepcopy(model.parameters_)
    for arguments, message in (
        ({"y": THREE}, r"y holds 2, which is not among the classes \[0, 1\]"),
        ({"y": BINARY, "classes": [0, 1, 2]}, r"classes=\[0, 1, 2\] differs from the earlier calls' \[0, 1\]"),
    ):
        with pytest.raises(ValueError, match=message):
            model.partial_fit(X, **arguments)
    for name, array in before.items():
        np.testing.assert_array_equal(model.parameters_[name], array)
    model.partial_fit(X, np.zeros(80, int))  # one class alone is enough later
    assert model.n_iter_ == 2


def test_a_failed_first_call_announces_nothing(classifier):
    model = classifier.make()
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(np.full((80, 3), np.nan), BINARY, classes=[0, 1, 2])
    assert not hasattr(model, "classes_")
    assert model.partial_fit(X, BINARY).classes_.tolist() == [0, 1]


def test_partial_fit_takes_class_weights_by_name(classifier):
    weighted = classifier.make(class_weight={1: 4.0}).partial_fit(X, BINARY)
    expected = classifier.make().partial_fit(X, BINARY, sample_weight=np.where(BINARY == 1, 4.0, 1.0))
    assert weighted.loss_curve_ == expected.loss_curve_


def test_a_column_of_labels_is_told_of_once(classifier):
    column = BINARY[:, np.newaxis]
    expected = fit(classifier, BINARY)
    model = classifier.make(warm_start=True)
    with pytest.warns(DataConversionWarning, match="A column-vector y was passed") as caught:
        model.fit(X, column)
    assert len(caught) == 1
    assert parameters_equal(model, expected)
    for method in (model.fit, model.partial_fit):
        with pytest.warns(DataConversionWarning) as caught:
            method(X, column)
        assert len(caught) == 1
    with pytest.warns(DataConversionWarning) as caught:
        model.fit(X, BINARY, X_val=X, y_val=column)
    assert len(caught) == 1


# Score and learning


def test_score_is_accuracy(classifier):
    weights, groups = np.linspace(0.1, 1.0, 80), np.repeat([1, 0], 40)
    model = fit(classifier, THREE)
    assert model.score(X, THREE) == accuracy_score(THREE, model.predict(X))
    predicted = model.predict(X, groups=groups)
    assert model.score(X, THREE, weights, groups=groups) == accuracy_score(THREE, predicted, sample_weight=weights)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_learns_the_label_of_two_rows_ago(classifier, n_classes):
    """A demonstration: single rows tell nothing of it."""
    table = np.random.default_rng(0).normal(size=(400, 2))
    edges = [0.0] if n_classes == 2 else [-0.5, 0.5]
    y = np.r_[0, 0, np.digitize(table[:-2, 0], edges)]
    model = classifier.make(hidden_size=16, max_iter=80, learning_rate_init=0.01, early_stopping=False)
    assert model.fit(table[:300], y[:300]).score(table[300:], y[300:], context=table[:300]) > 0.85
    model.set_params(sequence_length=2).fit(table[:300], y[:300])
    assert model.score(table[300:], y[300:], context=table[:300]) < 1 / n_classes + 0.15
