"""What `prune`, `distill` and `factorize` are handed by mistake."""

import numpy as np
import pytest
from estimator_case import SMALL
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklstm
from sklstm import (
    DeepLSTMClassifier,
    DeepLSTMRegressor,
    DeepRNNClassifier,
    DeepRNNRegressor,
    LSTMFeatureSelector,
    WeightedEnsembleRegressor,
    quantize,
)
from sklstm.compression import distill, factorize, prune

X = np.random.default_rng(0).normal(size=(60, 3))
y = X[:, 0]

WRONG = [
    (make_pipeline(StandardScaler(), DeepLSTMRegressor()), r"is a Pipeline, .*last step of the pipeline, {0}\[-1\]"),
    (GridSearchCV(DeepLSTMRegressor(), {"hidden_size": [2]}), r"is a GridSearchCV, .*{0}\.best_estimator_"),
    (WeightedEnsembleRegressor([("a", DeepLSTMRegressor())]), r"several models: hand over one of {0}\.estimators_"),
    (LSTMFeatureSelector(), r"holds no network"),
    (DeepLSTMRegressor, r"{0} is the class DeepLSTMRegressor, expected a DeepRNNRegressor"),
    (LinearRegression(), r"{0} is a LinearRegression, expected"),
    (None, r"{0} is a NoneType, expected a DeepRNNRegressor or DeepRNNClassifier"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG, ids=lambda value: type(value).__name__)
def test_what_is_no_network(wrong, message):
    with pytest.raises(TypeError, match="prune: .*" + message.format("model")):
        prune(wrong, 0.5)
    with pytest.raises(TypeError, match="factorize: .*" + message.format("model")):
        factorize(wrong, 2)
    with pytest.raises(TypeError, match="distill: .*" + message.format("student")):
        distill(LinearRegression().fit(X, y), wrong, X)


@pytest.mark.parametrize("kind", [DeepRNNRegressor, DeepLSTMClassifier])
def test_not_fitted(kind):
    for call in (lambda: prune(kind(), 0.5), lambda: factorize(kind(), 2)):
        with pytest.raises(NotFittedError, match=f"This {kind.__name__} instance is not fitted yet"):
            call()


@pytest.mark.parametrize("fraction", [1, 1.5, -0.1, "half", None, np.nan])
def test_fraction(fraction):
    with pytest.raises(
        ValueError, match=r"The 'fraction' parameter of prune must be a float in the range \[0.0, 1.0\)"
    ):
        prune(DeepRNNRegressor(**SMALL).fit(X, y), fraction)


def test_other_arguments():
    model = DeepRNNRegressor(**SMALL).fit(X, y)
    teacher = LinearRegression().fit(X, y)
    with pytest.raises(ValueError, match="The 'threshold' parameter of prune must be a str among"):
        prune(model, 0.5, threshold="layer")
    for rank in (0, 2.5, "full"):
        with pytest.raises(ValueError, match="The 'rank' parameter of factorize must be an int"):
            factorize(model, rank)
    for temperature in (0, 1001, 1e300, np.nan):
        with pytest.raises(ValueError, match=r"The 'temperature' parameter of distill .* in the range \(0.0, 1000.0\]"):
            distill(teacher, DeepRNNRegressor(**SMALL), X, temperature=temperature)
    with pytest.raises(ValueError, match="The 'alpha' parameter of distill must be a float in the range"):
        distill(teacher, DeepRNNRegressor(**SMALL), X, alpha=1.1)
    with pytest.raises(ValueError, match="student: The 'hidden_size' parameter of DeepRNNRegressor must be"):
        distill(teacher, DeepRNNRegressor(hidden_size=0), X)
    with pytest.raises(
        ValueError, match="Found input variables with inconsistent numbers of samples: X has 60, y has 59"
    ):
        distill(teacher, DeepRNNRegressor(**SMALL), X, y[:-1])


def test_integers():
    float_model = DeepRNNRegressor(**SMALL).fit(X, y)
    model = quantize(float_model, X, dtype="int16")
    for call, name in ((lambda: prune(model, 0.5), "prune"), (lambda: factorize(model, 2), "factorize")):
        with pytest.raises(
            ValueError, match=f"{name}: the model was quantised to int16. Use {name} on the float model"
        ):
            call()
    pruned = quantize(prune(float_model, 0.5), X, dtype="int16")
    assert (pruned.parameters_["weight_hh_l0"] == 0).mean() > 0.3
    assert pruned.sparsity_ == 0.5
    assert distill(model, DeepRNNRegressor(**SMALL), X, y).n_iter_ > 0


class Nameless:
    """Its probabilities are of nobody knows what."""

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)

    predict = predict_proba


labels = np.where(y > 0.5, "up", np.where(y < -0.5, "down", "flat"))


@pytest.mark.parametrize(
    ("teacher", "student", "kind", "message"),
    [
        ("ridge", DeepRNNRegressor, TypeError, "teacher is 'ridge', expected a fitted estimator"),
        (LinearRegression, DeepRNNRegressor, TypeError, "expected a fitted estimator"),
        (LinearRegression(), DeepRNNRegressor, NotFittedError, "This LinearRegression instance is not fitted"),
        (LogisticRegression(), DeepRNNClassifier, NotFittedError, "This LogisticRegression instance is not fitted"),
        (DeepRNNClassifier(), DeepRNNClassifier, NotFittedError, "This DeepRNNClassifier instance is not fitted"),
        (LinearRegression().fit(X, y), DeepRNNClassifier, ValueError, "has no predict_proba, .* it is a regressor"),
        (RidgeClassifier().fit(X, y > 0), DeepRNNClassifier, ValueError, "no predict_proba, .*CalibratedClassifierCV"),
        (LogisticRegression().fit(X, y > 0), DeepRNNRegressor, ValueError, "is a classifier, but the student predicts"),
        (DummyClassifier().fit(X, y > 9), DeepRNNClassifier, ValueError, r"knows one class only, \[np.False_\]"),
        (Nameless(), DeepRNNClassifier, ValueError, "has no classes_, which name its probabilities"),
        (
            DeepRNNRegressor(targets="sequence", **SMALL).fit(X[np.newaxis], y[np.newaxis]),
            DeepRNNRegressor,
            ValueError,
            "has targets='sequence' and answers for each row of each sequence",
        ),
    ],
)
def test_teachers_that_cannot_teach(teacher, student, kind, message):
    with pytest.raises(kind, match=message):
        distill(teacher, student(**SMALL), X)


def test_a_class_that_the_teacher_does_not_know():
    some = labels != "flat"
    teacher = LogisticRegression().fit(X[some], labels[some])
    with pytest.raises(ValueError, match=r"y holds 'flat', a class that the teacher LogisticRegression does not know"):
        distill(teacher, DeepRNNClassifier(**SMALL), X, labels)
    with pytest.raises(ValueError, match=r"y holds 0, a class that the teacher LogisticRegression does not know"):
        distill(teacher, DeepRNNClassifier(**SMALL), X, np.zeros(len(X), int))


def test_quantiles_and_counts():
    teacher = LinearRegression().fit(X, y)
    with pytest.raises(ValueError, match="a student with loss='quantile' would learn a quantile of what the teacher"):
        distill(teacher, DeepRNNRegressor(loss="quantile", **SMALL), X, y)
    with pytest.raises(ValueError, match=r"the teacher predicts -.*, but the student's loss='poisson'"):
        distill(teacher, DeepRNNRegressor(loss="poisson", **SMALL), X, y - y.min())
    with pytest.raises(ValueError, match=r"the teacher predicts -.*, but the student's loss='poisson'"):
        distill(teacher, DeepRNNRegressor(loss="poisson", **SMALL), X)
    # Samples of weight 0 are excluded.
    weights = (teacher.predict(X) >= 0).astype(float)
    student = DeepRNNRegressor(loss="poisson", **SMALL)
    assert distill(teacher, student, X, sample_weight=weights).predict(X).min() > 0


def test_validation_targets_without_targets():
    teacher = LinearRegression().fit(X, y)
    with pytest.raises(ValueError, match="y_val goes with y, which was not given"):
        distill(teacher, DeepRNNRegressor(**SMALL), X, X_val=X, y_val=y)


class Odd:
    """No estimator of scikit-learn, with answers that are none."""

    classes_ = np.array([0, 1])

    def __init__(self, answers):
        self.answers = answers

    def predict(self, X):
        return self.answers

    predict_proba = predict


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (np.full((60, 2), 0.6), "for sample 0 have the sum 1.2, expected 1"),
        (np.tile([-0.5, 1.5], (60, 1)), "returned -0.5, expected probabilities"),
        (np.full((60, 2), np.nan), "returned nan, expected probabilities"),
        (np.full((60, 3), 1 / 3), r"an array of shape \(60, 3\) for 2 classes_. For a matrix of labels hand over y"),
        (np.full((59, 2), 0.5), r"probabilities of shape \(59, 2\), expected \(60, 2\)"),
    ],
)
def test_answers_that_are_no_probabilities(answers, message):
    with pytest.raises(ValueError, match=message):
        distill(Odd(answers), DeepRNNClassifier(**SMALL), X, (y > 0).astype(int))


@pytest.mark.parametrize("logarithms", [[np.nan, -0.7], [0.5, -1.0]])
def test_answers_that_are_no_logarithms_of_probabilities(logarithms):
    teacher = Odd(None)
    teacher.predict_log_proba = lambda X: np.vstack([np.tile(np.log(0.5), (7, 2)), np.tile(logarithms, (53, 1))])
    with pytest.raises(ValueError, match=r"predict_log_proba of the teacher returned something .* for sample 7"):
        distill(teacher, DeepRNNClassifier(**SMALL), X, (y > 0).astype(int))


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([np.full((60, 2), 0.5), np.ones((60, 1))], "a label of the teacher Odd was not both 0 and 1 in its training"),
        (np.full((60, 2), 1.5), "is no matrix of probabilities of labels"),
        (np.full(60, 0.5), "is no matrix of probabilities of labels"),
    ],
)
def test_answers_that_are_no_probabilities_of_labels(answers, message):
    with pytest.raises(ValueError, match=message):
        distill(Odd(answers), DeepRNNClassifier(**SMALL), X, np.c_[y > 0, y > 1].astype(int))


def test_a_student_with_a_decoder():
    with pytest.raises(ValueError, match="a student with decoder='recurrent' cannot be taught; set decoder='direct'"):
        distill(LinearRegression().fit(X, y), DeepRNNRegressor(decoder="recurrent", **SMALL), X)


def test_answers_that_are_no_predictions():
    with pytest.raises(ValueError, match="predict of the teacher Odd returned nan for sample 0"):
        distill(Odd(np.full(60, np.nan)), DeepRNNRegressor(**SMALL), X)
    with pytest.raises(ValueError, match=r"returned an array of shape \(60, 2\), but y has shape \(60,\)"):
        distill(Odd(np.zeros((60, 2))), DeepRNNRegressor(**SMALL), X, y)


def test_teachers_that_would_read_the_wrong_rows():
    groups = np.repeat(["a", "b"], 30)
    piped = make_pipeline(StandardScaler(), DeepRNNRegressor(**SMALL, carry_context=True)).fit(X, y)
    ensemble = WeightedEnsembleRegressor([("a", DeepRNNRegressor(**SMALL, carry_context=True))]).fit(X, y)
    student = DeepRNNRegressor(**SMALL)
    with pytest.raises(ValueError, match=r"a model inside the teacher .* has carry_context=True"):
        distill(ensemble, student, X)
    assert distill(piped, student, X).n_iter_ > 0

    class NoGroups:
        sequence_length = 3

        def get_params(self, deep=True):
            return {"sequence_length": 3}

        def predict(self, X):
            return np.zeros(len(X))

    with pytest.raises(ValueError, match="takes no groups, and its windows would cross"):
        distill(NoGroups(), student, X, groups=groups)


def test_the_module_is_an_attribute_of_the_package():
    assert sklstm.compression.prune is prune
    assert "compression" in dir(sklstm)
