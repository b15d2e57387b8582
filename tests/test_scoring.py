"""`scoring`: the score of the validation part by a scorer of scikit-learn, and what follows it."""

import copy

import numpy as np
import pytest
from sklearn.base import is_classifier, is_regressor
from sklearn.metrics import get_scorer, make_scorer, matthews_corrcoef, mean_pinball_loss

from sklstm import DeepRNNClassifier, DeepRNNRegressor

RNG = np.random.default_rng(3)
X = RNG.normal(size=(120, 3))
SIGNAL = X[:, 0] + np.roll(X[:, 1], 1) + RNG.normal(size=120)
LABELS = np.where(SIGNAL > 0.3, "up", "down")
WALK = np.cumsum(X[:, 0])
WEIGHTS = np.linspace(0.5, 3.0, 120)
# 12 of 120 rows are set aside.
LAST = slice(108, 120)
BASE = {
    "hidden_size": 8,
    "sequence_length": 5,
    "max_iter": 12,
    "learning_rate_init": 0.02,
    "early_stopping": True,
    "n_iter_no_change": 12,
    "random_state": 0,
}


class Rest:
    """A fitted model that answers for the last rows of its training table, as `predict` answers for the whole one."""

    def __init__(self, model, rows=LAST):
        self.model, self.rows = model, rows

    def __getattr__(self, name):
        found = getattr(self.model, name)
        if not name.startswith("predict"):
            return found

        def answer(_):
            return found(X)[self.rows]

        answer.__name__ = name
        return answer

    def __sklearn_tags__(self):
        return self.model.__sklearn_tags__()


def check_best(model, y, scorer=None, **weights):
    """The score of the epoch that was kept is that of the predictions of the fitted model, bit for bit."""
    scores = model.validation_scores_
    assert len(scores) == len(model.validation_loss_curve_) == len(model.loss_curve_)
    assert model.best_validation_score_ == max(scores)
    assert model.best_iteration_ == np.argmax(scores) + 1
    scorer = get_scorer(model.scoring) if scorer is None else scorer
    assert model.best_validation_score_ == scorer(Rest(model), X[LAST], y[LAST], **weights)


@pytest.mark.parametrize("scoring", ["matthews_corrcoef", "accuracy", "roc_auc", "neg_log_loss", "f1_macro"])
@pytest.mark.parametrize("weighted", [False, True])
def test_names_of_scorers_of_labels(scoring, weighted):
    model = DeepRNNClassifier(**BASE, scoring=scoring)
    model.fit(X, LABELS, sample_weight=WEIGHTS if weighted else None)
    check_best(model, LABELS, **({"sample_weight": WEIGHTS[LAST]} if weighted else {}))


@pytest.mark.parametrize("scoring", ["neg_mean_absolute_error", "r2", "neg_root_mean_squared_error"])
@pytest.mark.parametrize("options", [{}, {"window_norm": "last", "target_column": 0}, {"dtype": "float64"}])
def test_numbers_are_scored_in_the_unit_of_y(scoring, options):
    """With `window_norm`, too: mapped back, as `predict` does it."""
    column = np.cumsum(X, axis=0)
    model = DeepRNNRegressor(**BASE, **options, scoring=scoring).fit(column, WALK)
    expected = get_scorer(scoring)._sign * get_scorer(scoring)._score_func(WALK[LAST], model.predict(column)[LAST])
    assert model.best_validation_score_ == max(model.validation_scores_) == expected


def test_other_networks_and_targets():
    several = np.column_stack([SIGNAL, 100.0 * WALK])
    model = DeepRNNRegressor(**BASE, scoring="neg_median_absolute_error").fit(X, several)
    check_best(model, several)
    stateful = {**BASE, "training": "stateful", "shuffle": False}
    model = DeepRNNRegressor(**stateful, scoring="explained_variance").fit(X, SIGNAL)
    check_best(model, SIGNAL)
    counts = np.floor(np.abs(SIGNAL))
    check_best(DeepRNNRegressor(**BASE, loss="poisson", scoring="neg_mean_poisson_deviance").fit(X, counts), counts)
    labels = np.column_stack([SIGNAL > 0, SIGNAL > 0.5]).astype(int)
    check_best(DeepRNNClassifier(**BASE, scoring="f1_macro").fit(X, labels), labels)
    thirds = np.digitize(SIGNAL, [-0.5, 0.5])
    check_best(DeepRNNClassifier(**BASE, scoring="balanced_accuracy").fit(X, thirds), thirds)


def test_a_name_scores_horizons_of_several_targets():
    """The outputs side by side, as no scorer of scikit-learn knows three axes; a callable gets them as they are."""
    y = np.stack([np.column_stack([SIGNAL, WALK]), np.column_stack([WALK, -SIGNAL])], axis=-1)
    model = DeepRNNRegressor(**BASE, scoring="neg_mean_absolute_error").fit(X, y)
    difference = np.abs(model.predict(X)[LAST] - y[LAST]).mean()
    assert model.best_validation_score_ == pytest.approx(-difference, rel=1e-12)

    def absolute(estimator, X, y):
        return -np.abs(estimator.predict(X) - y).mean()

    assert DeepRNNRegressor(**BASE, scoring=absolute).fit(X, y).best_validation_score_ == pytest.approx(-difference)


def test_it_decides_which_epoch_is_kept():
    """Other epochs than by the loss are the best, and the trainings are the same up to there."""
    by_loss = DeepRNNClassifier(**BASE).fit(X, LABELS)
    by_score = DeepRNNClassifier(**BASE, scoring="matthews_corrcoef").fit(X, LABELS)
    assert by_loss.best_iteration_ != by_score.best_iteration_
    assert by_loss.loss_curve_ == by_score.loss_curve_
    assert by_loss.validation_loss_curve_ == by_score.validation_loss_curve_
    assert by_loss.validation_scores_ != by_score.validation_scores_


def test_it_decides_when_training_stops_and_when_steps_are_halved():
    """The score is known: it rises up to the third epoch, and never again."""
    scores = iter([1.0, 2.0, 3.0] + [3.0] * 20)
    model = DeepRNNRegressor(**{**BASE, "n_iter_no_change": 4}, scoring=lambda *_: next(scores)).fit(X, SIGNAL)
    assert (model.n_iter_, model.best_iteration_) == (7, 3)

    def curve(scores):
        scores = iter(scores)
        plateau = {"learning_rate": "reduce_on_plateau", "scoring": lambda *_: next(scores)}
        return DeepRNNRegressor(**{**BASE, "n_iter_no_change": 6}, **plateau).fit(X, SIGNAL).loss_curve_

    curves = curve(range(20)), curve([0, 1, 2] + [2] * 20)
    assert curves[0][:6] == curves[1][:6]  # the step is halved after three epochs without a gain
    assert curves[0][6] != curves[1][6]


def test_gains_below_tol_do_not_count():
    scores = iter(np.arange(20.0))
    model = DeepRNNRegressor(**{**BASE, "n_iter_no_change": 2, "tol": 1.5}, scoring=lambda *_: next(scores))
    model.fit(X, SIGNAL)
    assert (model.n_iter_, model.best_iteration_) == (3, 3)


def test_what_a_callable_gets():
    seen = []

    def scoring(estimator, rows, y):
        seen.append((estimator.predict(rows), estimator.predict_quantiles(rows), rows, y, estimator.score(rows, y)))
        assert is_regressor(estimator)
        assert not is_classifier(estimator)
        assert estimator.quantile == estimator.get_params()["quantile"] == [0.1, 0.5, 0.9]
        assert estimator.target_scale_ > 0
        assert estimator.n_features_in_ == 3
        return -mean_pinball_loss(y, estimator.predict_quantiles(rows)[:, 2], alpha=0.9)

    model = DeepRNNRegressor(**BASE, loss="quantile", quantile=[0.1, 0.5, 0.9], scoring=scoring).fit(X, SIGNAL)
    assert len(seen) == model.n_iter_
    predicted, quantiles, rows, y, score = seen[model.best_iteration_ - 1]
    assert np.array_equal(rows, X[LAST])
    assert np.array_equal(y, SIGNAL[LAST])
    assert np.array_equal(predicted, model.predict(X)[LAST])
    assert np.array_equal(quantiles, model.predict_quantiles(X)[LAST])
    assert score == model.score(X[LAST], SIGNAL[LAST], context=X[:108])
    assert model.best_validation_score_ == -mean_pinball_loss(y, quantiles[:, 2], alpha=0.9)


def test_the_validation_part_of_sequences_and_of_the_user():
    array = RNG.normal(size=(60, 6, 2))
    y, seen = array[:, -1, 0], []

    def scoring(estimator, rows, y):
        seen.append(rows)
        return -np.abs(estimator.predict(rows) - y).max()

    model = DeepRNNRegressor(**BASE, scoring=scoring).fit(array, y)
    assert np.array_equal(np.stack(seen[0]), array[-6:])
    assert model.best_validation_score_ == -np.abs(model.predict(array[-6:]) - y[-6:]).max()
    model.fit(array[:40], y[:40], X_val=array[40:], y_val=y[40:])
    assert np.array_equal(np.stack(seen[-1]), array[40:])
    assert model.best_validation_score_ == -np.abs(model.predict(array[40:]) - y[40:]).max()


def test_windows_of_groups():
    groups = np.repeat(["a", "b"], [70, 50])
    last = np.r_[63:70, 115:120]
    model = DeepRNNRegressor(**BASE, scoring="neg_mean_absolute_error").fit(X, SIGNAL, groups=groups)
    errors = np.abs(SIGNAL[last] - model.predict(X, groups=groups)[last])
    assert model.best_validation_score_ == -np.mean(errors)


def test_weights_of_zero_are_excluded_and_equal_ones_are_not_passed_on():
    """A scorer without sample_weight is good for samples that do not differ in weight."""
    weights = np.full(120, 2.0)
    weights[110:112] = 0.0

    def scoring(estimator, rows, y):
        assert len(rows) == len(y) == 12
        return -float(np.abs(estimator.predict(rows) - y).mean())

    model = DeepRNNRegressor(**BASE, scoring=scoring).fit(X, np.where(weights, SIGNAL, np.nan), sample_weight=weights)
    last = np.flatnonzero(weights)[-12:]
    assert model.best_validation_score_ == pytest.approx(-np.abs(SIGNAL - model.predict(X))[last].mean(), rel=1e-12)


def test_weights_of_outputs_go_to_a_callable():
    several, weights = np.column_stack([SIGNAL, WALK]), np.column_stack([WEIGHTS, WEIGHTS[::-1]])

    def scoring(estimator, rows, y, sample_weight):
        return -np.average(np.abs(estimator.predict(rows) - y), weights=sample_weight)

    model = DeepRNNRegressor(**BASE, scoring=scoring).fit(X, several, sample_weight=weights)
    expected = -np.average(np.abs(model.predict(X) - several)[LAST], weights=weights[LAST])
    assert model.best_validation_score_ == pytest.approx(expected, rel=1e-14)
    with pytest.raises(ValueError, match=r"scoring='r2' takes one weight for each sample, but sample_weight has one"):
        model.set_params(scoring="r2").fit(X, several, sample_weight=weights)


def test_class_weights_do_not_count():
    model = DeepRNNClassifier(**BASE, class_weight="balanced", scoring="accuracy").fit(X, LABELS)
    assert model.best_validation_score_ == np.mean(model.predict(X)[LAST] == LABELS[LAST])


@pytest.mark.parametrize(
    ("scoring", "error", "message"),
    [
        (lambda *_: 1 / 0, ZeroDivisionError, "division by zero"),
        (lambda *_: float("nan"), ValueError, "is nan for the 12 samples of the validation part after epoch 1"),
        (lambda *_: "high", TypeError, "must return a number, found 'high'"),
        (lambda estimator, rows, y: estimator.predict(rows[:3]).mean(), ValueError, "predict answers for the X of the"),
        (lambda estimator, rows, y: estimator.transform(rows), AttributeError, "'transform' is nothing that scoring"),
        (lambda estimator, rows, y: estimator.loss_curve_[0], AttributeError, "'loss_curve_' is nothing that scoring"),
        (
            lambda estimator, rows, y: estimator.predict_quantiles(rows),
            AttributeError,
            "no attribute .predict_quantiles",
        ),
        ("roc_auc", AttributeError, "predict_proba"),
    ],
)
def test_errors_end_the_fit_which_has_changed_nothing(scoring, error, message):
    model = DeepRNNRegressor(**BASE).fit(X, SIGNAL)
    before = copy.deepcopy(model.__dict__)
    model.set_params(scoring=scoring, random_state=1)
    with pytest.raises(error, match=message):
        model.fit(X, SIGNAL)
    assert model.loss_curve_ == before["loss_curve_"]
    assert all(np.array_equal(model.parameters_[name], array) for name, array in before["parameters_"].items())


def test_an_error_says_where_it_comes_from():
    with pytest.raises(ZeroDivisionError) as caught:
        DeepRNNRegressor(**BASE, scoring=lambda *_: 1 / 0).fit(X, SIGNAL)
    assert "for the validation part, after epoch 1." in caught.value.__notes__[0]
    with pytest.raises(ValueError, match="is nan for the 12 samples of the validation part after epoch 0"):
        DeepRNNRegressor(**BASE, linear_skip=2, scoring=lambda *_: float("nan")).fit(X, SIGNAL)


def test_a_scorer_without_weights_is_refused_where_samples_differ():
    model = DeepRNNRegressor(**BASE, scoring=lambda estimator, rows, y: 0.0)
    with pytest.raises(ValueError, match=r"takes no sample_weight, but the samples of the validation part differ"):
        model.fit(X, SIGNAL, sample_weight=WEIGHTS)
    model.fit(X[:100], SIGNAL[:100], sample_weight=WEIGHTS[:100], X_val=X[100:], y_val=SIGNAL[100:])
    with pytest.raises(ValueError, match=r"differ in weight \(sample_weight_val\)"):
        model.fit(X[:100], SIGNAL[:100], X_val=X[100:], y_val=SIGNAL[100:], sample_weight_val=WEIGHTS[100:])


def test_an_unknown_name_is_refused_by_every_training():
    model = DeepRNNClassifier(**{**BASE, "early_stopping": False}, scoring="mcc")
    for train in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=r"scoring='mcc' is no name of a scorer"):
            train(X, LABELS)


def test_it_has_no_effect_without_a_validation_part():
    model = DeepRNNClassifier(**{**BASE, "early_stopping": False}, scoring="matthews_corrcoef")
    with pytest.warns(UserWarning, match=r"scoring='matthews_corrcoef' has no effect .*early_stopping=False"):
        model.fit(X, LABELS)
    plain = DeepRNNClassifier(**{**BASE, "early_stopping": False}).fit(X, LABELS)
    assert model.loss_curve_ == plain.loss_curve_
    model.partial_fit(X, LABELS)


def test_it_is_searched_and_continued():
    """A scorer of scikit-learn as an object; `warm_start` compares the epochs of the last fit."""
    scoring = make_scorer(matthews_corrcoef)
    model = DeepRNNClassifier(**{**BASE, "max_iter": 4}, scoring=scoring, warm_start=True)
    model.fit(X, LABELS).fit(X, LABELS)
    assert (model.n_iter_, len(model.validation_scores_)) == (8, 4)
    assert model.best_validation_score_ == max(model.validation_scores_) == scoring(Rest(model), X[LAST], LABELS[LAST])
