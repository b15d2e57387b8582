"""Students: what they are fitted to, against targets made by hand, and the loss against its formula."""

import pickle

import numpy as np
import pytest
from estimator_case import SMALL, parameters_equal
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import (
    DeepLSTMClassifier,
    DeepRNNClassifier,
    DeepRNNRegressor,
    WeightedEnsembleClassifier,
    WeightedEnsembleRegressor,
)
from sklstm.compression import distill

RNG = np.random.default_rng(0)
X = RNG.normal(size=(250, 3))
NUMBERS = 20.0 + 5.0 * (X[:, 0] + np.roll(X[:, 1], 1))
BINARY = np.where(X[:, 0] > 0, "up", "down")
THREE = np.array(["b", "c", "a"])[np.digitize(X[:, 0], [-0.5, 0.5])]
ALL = {"early_stopping": False, "sequence_length": 1}


def log_softmax(z):
    z = z - z.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def hinton(student, teacher, y, classes, alpha, temperature):
    """The loss of the paper, from the probabilities of both, each sample with the same weight."""
    own = np.log(student[np.arange(len(y)), np.searchsorted(classes, y)])
    p, q = (log_softmax(np.log(one) / temperature) for one in (teacher, student))
    divergence = (np.exp(p) * (p - q)).sum(axis=1)
    return (-alpha * own + (1 - alpha) * temperature**2 * divergence).mean()


# Classifiers


@pytest.mark.parametrize("y", [BINARY, THREE], ids=["binary", "multinomial"])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_loss_is_that_of_the_paper(y, alpha, temperature):
    """A step of size next to zero leaves the network as it was: the loss of the epoch is then that of the answers."""
    teacher = LogisticRegression().fit(X, y)
    student = DeepRNNClassifier(**SMALL | ALL | {"max_iter": 1, "dtype": "float64", "learning_rate_init": 1e-12})
    fitted = distill(teacher, student, X, y, alpha=alpha, temperature=temperature)
    expected = hinton(fitted.predict_proba(X), teacher.predict_proba(X), y, teacher.classes_, alpha, temperature)
    assert_allclose(fitted.loss_, expected, rtol=1e-9)


@pytest.mark.parametrize("y", [BINARY, THREE], ids=["binary", "multinomial"])
@pytest.mark.parametrize("temperature", [0.2, 1000.0])
def test_float32_is_enough_for_the_extreme_temperatures(y, temperature):
    teacher = LogisticRegression().fit(X, y)
    settings = SMALL | ALL | {"max_iter": 20, "learning_rate_init": 0.02}
    single, double = (
        distill(teacher, DeepRNNClassifier(**settings, dtype=dtype), X, temperature=temperature).predict_proba(X)
        for dtype in ("float32", "float64")
    )
    assert np.ptp(double[:, 0]) > 0.01
    assert_allclose(single, double, atol=1e-3)


@pytest.mark.parametrize("y", [BINARY, THREE], ids=["binary", "multinomial"])
def test_labels_alone_are_an_ordinary_fit(y):
    teacher = LogisticRegression().fit(X, y)
    student = DeepRNNClassifier(**SMALL | {"max_iter": 5, "dtype": "float64"})
    fitted = distill(teacher, student, X, y, alpha=1.0)
    plain = DeepRNNClassifier(**student.get_params()).fit(X, y)
    assert_allclose(fitted.loss_curve_, plain.loss_curve_, rtol=1e-9)
    assert_allclose(fitted.validation_scores_, plain.validation_scores_, rtol=1e-6)
    assert_allclose(fitted.predict_proba(X), plain.predict_proba(X), rtol=1e-6)


@pytest.mark.parametrize("y", [BINARY, THREE], ids=["binary", "multinomial"])
def test_smoothing_and_class_weights_apply_to_the_labels(y):
    teacher = LogisticRegression().fit(X, y)
    options = {"label_smoothing": 0.2, "class_weight": "balanced", "max_iter": 5, "dtype": "float64"}
    student = DeepRNNClassifier(**SMALL | options)
    fitted = distill(teacher, student, X, y, alpha=1.0)
    plain = DeepRNNClassifier(**student.get_params()).fit(X, y)
    assert_allclose(fitted.loss_curve_, plain.loss_curve_, rtol=1e-9)
    assert_allclose(fitted.validation_scores_, plain.validation_scores_, rtol=1e-6)


@pytest.mark.parametrize("y", [BINARY, THREE], ids=["binary", "multinomial"])
def test_without_labels_the_student_becomes_the_teacher(y):
    teacher = LogisticRegression(C=0.05).fit(X, y)
    student = DeepRNNClassifier(**SMALL | ALL | {"max_iter": 150, "learning_rate_init": 0.02, "hidden_size": 12})
    fitted = distill(teacher, student, X)
    assert np.abs(fitted.predict_proba(X) - teacher.predict_proba(X)).mean() < 0.015
    assert fitted.loss_ < 0.002  # the divergence alone
    assert_array_equal(fitted.classes_, teacher.classes_)


class Swapped:
    """A classifier with its columns in another order, and without `predict_log_proba`."""

    def __init__(self, model, order):
        self.model, self.order = model, order
        self.classes_ = model.classes_[order]

    def predict_proba(self, X):
        return self.model.predict_proba(X)[:, self.order]


@pytest.mark.parametrize("y", [BINARY, THREE], ids=["binary", "multinomial"])
def test_columns_are_matched_by_classes(y):
    teacher = LogisticRegression().fit(X, y)
    student = DeepRNNClassifier(**SMALL | {"dtype": "float64"})
    order = np.roll(np.arange(len(teacher.classes_)), 1)
    one, other = distill(teacher, student, X, y), distill(Swapped(teacher, order), student, X, y)
    assert_array_equal(other.classes_, np.unique(y))
    assert_allclose(one.loss_curve_, other.loss_curve_, rtol=1e-9)


def test_the_student_gets_all_classes_of_the_teacher():
    teacher = LogisticRegression().fit(X, THREE)
    some = THREE != "c"
    fitted = distill(teacher, DeepRNNClassifier(**SMALL), X[some], THREE[some])
    assert_array_equal(fitted.classes_, ["a", "b", "c"])
    assert fitted.predict_proba(X).shape == (250, 3)


def test_probabilities_of_zero_and_one():
    """Trees are certain; their logarithms are infinite."""
    for teacher in (
        RandomForestClassifier(5, random_state=0),
        KNeighborsClassifier(1),
        GaussianNB(var_smoothing=1e-15),
    ):
        for y in (BINARY, THREE):
            teacher.fit(X, y)
            fitted = distill(teacher, DeepRNNClassifier(**SMALL), X, y, temperature=4.0)
            assert np.isfinite(fitted.loss_curve_).all()
            assert np.isfinite(fitted.validation_scores_).all()


def test_teachers_of_every_kind():
    student = DeepLSTMClassifier(**SMALL)
    network = DeepRNNClassifier(**SMALL).fit(X, THREE)
    piped = make_pipeline(StandardScaler(), DeepRNNClassifier(**SMALL)).fit(X, THREE)
    votes = WeightedEnsembleClassifier([("a", DeepRNNClassifier(**SMALL)), ("b", LogisticRegression())]).fit(X, THREE)
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2).fit(X, THREE)
    for teacher in (network, piped, votes, search):
        fitted = distill(teacher, student, X, THREE)
        assert type(fitted) is DeepLSTMClassifier
        assert fitted.predict_proba(X).shape == (250, 3)


def test_matrices_of_labels():
    y = (X[:, :2] > 0).astype(int)
    network = DeepRNNClassifier(**SMALL).fit(X, y)
    forest = RandomForestClassifier(5, random_state=0).fit(X, y)
    student = DeepRNNClassifier(**SMALL | ALL | {"dtype": "float64", "max_iter": 1, "learning_rate_init": 1e-12})
    for teacher in (network, forest):
        fitted = distill(teacher, student, X, y, alpha=0.3)
        assert fitted.classes_.shape == (2, 2)
        answers = teacher.predict_proba(X)
        answers = np.stack([pair[:, 1] for pair in answers], axis=1) if isinstance(answers, list) else answers
        own = fitted.predict_proba(X)
        with np.errstate(divide="ignore", invalid="ignore"):
            each = [
                hinton(*(np.column_stack([1 - p[:, k], p[:, k]]) for p in (own, answers)), y[:, k], [0, 1], 0.3, 2.0)
                for k in (0, 1)
            ]
        if teacher is network:  # the forest has probabilities of 0, where the formula of this test has none
            assert_allclose(fitted.loss_, np.mean(each), rtol=1e-6)
        assert distill(teacher, student, X).predict_proba(X).shape == (250, 2)
    weights = RNG.uniform(0, 2, size=y.shape) * (RNG.random(y.shape) > 0.2)
    assert np.isfinite(distill(network, DeepRNNClassifier(**SMALL), X, y, sample_weight=weights).loss_)


# Regressors


def test_numbers_are_mixed():
    teacher = LinearRegression().fit(X, NUMBERS)
    student = DeepRNNRegressor(**SMALL)
    for alpha in (0.0, 0.3, 1.0):
        mixed = alpha * NUMBERS + (1 - alpha) * teacher.predict(X)
        fitted = distill(teacher, student, X, NUMBERS, alpha=alpha)
        assert parameters_equal(fitted, DeepRNNRegressor(**SMALL).fit(X, mixed))
    assert parameters_equal(distill(teacher, student, X), DeepRNNRegressor(**SMALL).fit(X, teacher.predict(X)))


@pytest.mark.parametrize("loss", ["absolute_error", "huber", "log_cosh", "poisson"])
def test_other_losses(loss):
    teacher = Ridge().fit(X, np.log(NUMBERS + 20))
    fitted = distill(teacher, DeepRNNRegressor(loss=loss, **SMALL), X, NUMBERS + 20)
    assert np.isfinite(fitted.predict(X)).all()


def test_several_targets_and_shapes_of_one():
    both = np.column_stack([NUMBERS, -NUMBERS])
    fitted = distill(LinearRegression().fit(X, both), DeepRNNRegressor(**SMALL), X, both)
    assert fitted.predict(X).shape == (250, 2)
    column = LinearRegression().fit(X, NUMBERS[:, np.newaxis])
    assert distill(column, DeepRNNRegressor(**SMALL), X, NUMBERS).predict(X).shape == (250,)
    assert distill(column, DeepRNNRegressor(**SMALL), X).predict(X).shape == (250, 1)
    ensemble = WeightedEnsembleRegressor([("a", DeepRNNRegressor(**SMALL)), ("b", Ridge())]).fit(X, NUMBERS)
    assert distill(ensemble, DeepRNNRegressor(**SMALL), X, NUMBERS).predict(X).shape == (250,)


# What both share


@pytest.fixture
def pair(case):
    """A fitted network and a smaller student."""
    return case.make(hidden_size=8).fit(case.X, case.y), case.make(hidden_size=2)


def test_every_kind_of_input(case):
    for data, y, options in (
        (case.array, case.array_y, {}),
        (case.ragged, case.ragged_y, {}),
        (case.X, case.y, {"training": "stateful", "shuffle": False}),
    ):
        teacher = case.make(hidden_size=8, **options).fit(data, y)
        for targets in (y, None):
            fitted = distill(teacher, case.make(hidden_size=2, **options), data, targets)
            assert len(fitted.predict(data)) == len(y)


def test_arguments_stay_as_they_are(case, pair):
    before = [pickle.dumps(one) for one in pair]
    fitted = distill(*pair, case.X, case.y)
    assert [pickle.dumps(one) for one in pair] == before
    assert fitted is not pair[1]
    assert repr(fitted) == repr(pair[1])
    assert not hasattr(pair[1], "parameters_")


def test_a_fitted_student_is_only_a_pattern(case, pair):
    teacher, student = pair
    fresh = distill(teacher, student, case.X, case.y)
    assert parameters_equal(fresh, distill(teacher, fresh, case.X, case.y))


def test_the_student_is_on_its_own(case, pair):
    fitted = distill(*pair, case.X, case.y)
    loaded = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(loaded.predict(case.X), fitted.predict(case.X))
    assert len(pickle.dumps(fitted)) < len(pickle.dumps(pair[0]))
    assert loaded.partial_fit(case.X, case.y).n_iter_ == fitted.n_iter_ + 1
    stream = fitted.stream()
    assert_array_equal([stream.step(row) for row in case.X[:10]], fitted.predict(case.X[:10]))


def test_threads_change_no_bit(case, pair):
    teacher, student = pair
    models = [distill(teacher, student.set_params(n_jobs=n), case.X, case.y) for n in (1, 2)]
    assert parameters_equal(*models)


def test_groups_reach_the_teacher(case):
    teacher = case.make(hidden_size=8).fit(case.X, case.y, groups=case.groups)
    student = case.make(hidden_size=2)
    fitted = distill(teacher, student, case.X, groups=case.groups)
    piped = make_pipeline(StandardScaler(), case.make(hidden_size=8))
    piped.fit(case.X, case.y, **{f"{piped.steps[-1][0]}__groups": case.groups})
    assert distill(piped, student, case.X, groups=case.groups).n_iter_ > 0
    if not case.is_classifier:
        expected = case.make(hidden_size=2).fit(case.X, teacher.predict(case.X, groups=case.groups), groups=case.groups)
        assert parameters_equal(fitted, expected)
        with pytest.warns(UserWarning, match="groups is missing"):
            assert not parameters_equal(fitted, distill(teacher, student, case.X))


def test_carried_rows_of_the_teacher_do_not_come_before_its_training_rows(regressor):
    plain, carrying = (
        regressor.make(hidden_size=8, carry_context=on).fit(regressor.X, regressor.y) for on in (False, True)
    )
    student = regressor.make(hidden_size=2)
    assert parameters_equal(*(distill(teacher, student, regressor.X) for teacher in (plain, carrying)))
    grouped = regressor.make(hidden_size=8, carry_context=True).fit(regressor.X, regressor.y, groups=regressor.groups)
    assert distill(grouped, student, regressor.X, groups=regressor.groups).n_iter_ > 0


def test_early_stopping_is_that_of_fit(case):
    """The last samples in time, a gap before them: what stands there changes the choice of the epoch alone."""
    X, y = np.tile(case.X, (4, 1)), np.tile(case.y, 4)
    teacher = case.make(hidden_size=8).fit(X, y)
    student = case.make(hidden_size=3, early_stopping=True, max_iter=4)
    fitted, plain = distill(teacher, student, X, y), case.make(hidden_size=3, early_stopping=True, max_iter=4).fit(X, y)
    assert len(fitted.validation_scores_) == 4
    assert_array_equal(fitted.input_mean_, plain.input_mean_)
    changed = X.copy()
    changed[-30:] = 0.0
    other = distill(teacher, student, changed, y)
    assert_array_equal(other.input_mean_, fitted.input_mean_)
    if case.is_classifier:
        assert other.loss_curve_ == fitted.loss_curve_
        assert other.validation_scores_ != fitted.validation_scores_


def test_a_validation_part_of_ones_own(case, pair):
    teacher, student = pair
    student.set_params(max_iter=2)
    with_y = distill(teacher, student, case.X, case.y, X_val=case.X[:50], y_val=case.y[:50])
    without = distill(teacher, student, case.X, case.y, X_val=case.X[:50])
    assert (
        parameters_equal(distill(teacher, student.set_params(max_iter=1), case.X, X_val=case.X[:50]), without) is False
    )
    assert with_y.loss_curve_ == without.loss_curve_
    assert with_y.validation_scores_ != without.validation_scores_


def test_weights_and_samples_that_are_excluded(case, pair):
    teacher, student = pair
    weights = np.ones(len(case.y))
    weights[10:20] = 0
    y = case.y.copy()
    y[10:20] = y[0]
    one = distill(teacher, student, case.X, case.y, sample_weight=weights)
    assert parameters_equal(one, distill(teacher, student, case.X, y, sample_weight=weights))
    if not case.is_classifier:
        y[10:20] = np.nan
        assert parameters_equal(one, distill(teacher, student, case.X, y, sample_weight=weights))
    assert not parameters_equal(one, distill(teacher, student, case.X, case.y))


def test_names_of_columns_and_order_in_time(regressor):
    pandas = pytest.importorskip("pandas")
    index = pandas.date_range("2024-01-01", periods=len(regressor.X), freq="h")
    frame = pandas.DataFrame(regressor.X, columns=["a", "b", "c"], index=index)
    target = pandas.Series(regressor.y, index=index)
    teacher = Ridge().fit(frame, target)
    fitted = distill(teacher, regressor.make(), frame, target)
    assert_array_equal(fitted.feature_names_in_, ["a", "b", "c"])
    labels = pandas.Series(np.where(regressor.y > 20, "up", "down"), index=index)
    votes = LogisticRegression().fit(frame, labels)
    assert set(distill(votes, DeepRNNClassifier(**SMALL), frame, labels).classes_) == {"up", "down"}
