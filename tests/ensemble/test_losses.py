"""Losses of mixtures, their searches against other solvers, and the rules that make weights of them."""

import numpy as np
import pytest
from scipy.optimize import linprog
from sklearn.metrics import log_loss, mean_absolute_error, mean_pinball_loss, mean_squared_error

from ensemble.members import Column, FixedProbabilities
from sklstm import WeightedEnsembleClassifier, WeightedEnsembleRegressor
from sklstm._ensemble.losses import CallableLoss, ErrorLoss, LogLoss, inverse_losses, member_losses
from sklstm._ensemble.simplex import simplex_absolute_error, simplex_least_squares, simplex_search

RNG = np.random.default_rng(0)


def absolute_by_linear_program(errors, share):
    """The smallest weighted sum of absolute errors: one bound above and below for each row."""
    n_rows, n_members = errors.shape
    cost = np.r_[np.zeros(n_members), share]
    above = np.block([[errors, -np.eye(n_rows)], [-errors, -np.eye(n_rows)]])
    equal = np.r_[np.ones(n_members), np.zeros(n_rows)][None]
    return linprog(cost, A_ub=above, b_ub=np.zeros(2 * n_rows), A_eq=equal, b_eq=[1.0]).fun


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
@pytest.mark.parametrize("n_members", [1, 2, 4, 7])
@pytest.mark.parametrize("seed", range(4))
def test_absolute_error_is_that_of_the_linear_program(seed, n_members, scale):
    rng = np.random.default_rng(seed)
    errors = rng.standard_t(2, size=(120, n_members)) * rng.uniform(0.5, 3.0, n_members) + rng.normal(size=(120, 1))
    share = rng.uniform(size=120)
    weights = simplex_absolute_error(scale * errors, share)
    assert weights.min() >= 0.0
    assert weights.sum() == pytest.approx(1.0, abs=1e-13)
    best = absolute_by_linear_program(errors, share)
    assert share @ np.abs(errors @ weights) <= best * (1.0 + 1e-4)


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        (np.zeros((5, 2)), [0.5, 0.5]),
        (np.array([[1.0, 0.0], [-2.0, 0.0]]), [0.0, 1.0]),
        (np.array([[1.0, -1.0], [-2.0, 2.0]]), [0.5, 0.5]),
        (np.array([[3.0]]), [1.0]),
    ],
    ids=["all perfect", "one perfect", "opposite", "one member"],
)
def test_absolute_error_at_the_edge(errors, expected):
    np.testing.assert_allclose(simplex_absolute_error(errors), expected, atol=1e-9)


def test_targets_that_no_member_forecasts_do_not_move_the_weights_of_absolute_errors():
    errors = RNG.normal(size=(400, 2)) * [1.0, 1.5]
    expected = simplex_absolute_error(errors)
    errors[:3] += [[1e5], [1e5], [-1e5]]
    errors[:3, 0] *= 1.0001
    np.testing.assert_allclose(simplex_absolute_error(errors), expected, atol=0.05)
    assert simplex_least_squares(errors)[0] < 0.1


@pytest.mark.parametrize("n_members", [1, 2, 3, 5])
@pytest.mark.parametrize("power", [1, 2])
def test_the_search_finds_what_is_known(n_members, power):
    errors = RNG.normal(size=(300, n_members)) * np.linspace(1.0, 2.0, n_members) + 0.5 * RNG.normal(size=(300, 1))
    loss = ErrorLoss(errors[:, :, None], None, power)
    weights = simplex_search(loss.value, n_members)
    assert weights.min() >= 0.0
    assert weights.sum() == pytest.approx(1.0)
    assert loss.value(weights) <= loss.value(loss.best()) * (1.0 + 1e-4)


def test_the_search_is_no_worse_than_any_member_where_nothing_can_be_known():
    values = {0: 3.0, 1: 1.0, 2: 2.0}

    def value(weights):  # flat between the corners
        return values[weights.argmax()] if weights.max() == 1.0 else 5.0

    np.testing.assert_array_equal(simplex_search(value, 3), [0.0, 1.0, 0.0])
    np.testing.assert_array_equal(simplex_search(lambda weights: np.inf, 2).sum(), 1.0)


# --- values


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize(("power", "metric"), [(1, mean_absolute_error), (2, mean_squared_error)])
def test_values_are_those_of_scikit_learn(power, metric, n_outputs, weighted):
    y, predictions = RNG.normal(size=(50, n_outputs)), RNG.normal(size=(50, 4, n_outputs))
    share = RNG.uniform(0.1, 2.0, 50) if weighted else None
    weights, rows = np.array([0.1, 0.2, 0.3, 0.4]), np.arange(50) % 3 > 0
    loss = ErrorLoss(y[:, None] - predictions, share, power)
    mixed = np.einsum("nmk,m->nk", predictions, weights)
    for taken in (None, rows):
        chosen = slice(None) if taken is None else taken
        expected = metric(y[chosen], mixed[chosen], sample_weight=None if share is None else share[chosen])
        assert loss.unit * loss.value(weights, taken) == pytest.approx(expected)
        of_rows = np.tile(weights, (50, 1))
        assert loss.unit * loss.value(of_rows, taken) == pytest.approx(expected)
        called = CallableLoss(metric, y, predictions, share)
        assert called.value(weights, taken) == pytest.approx(expected)
    expected = [metric(y, predictions[:, m], sample_weight=share) for m in range(4)]
    np.testing.assert_allclose(member_losses(loss), expected)


def test_log_loss_is_that_of_scikit_learn():
    probabilities = RNG.dirichlet(np.ones(3), size=(40, 2))
    labels, share = RNG.integers(0, 3, 40), RNG.uniform(0.1, 1.0, 40)
    loss = LogLoss(probabilities[np.arange(40), :, labels], share)
    weights = np.array([0.3, 0.7])
    mixed = np.einsum("nmk,m->nk", probabilities, weights)
    assert loss.value(weights) == pytest.approx(log_loss(labels, mixed, sample_weight=share, labels=[0, 1, 2]))
    certain = LogLoss(np.array([[1.0, 0.0], [0.5, 1.0]]), None)
    assert certain.value(np.array([0.0, 1.0])) == np.inf
    assert np.isfinite(certain.value(certain.best()))


def test_inverse_losses():
    np.testing.assert_allclose(inverse_losses(np.array([1.0, 2.0, 4.0])), np.array([4.0, 2.0, 1.0]) / 7.0)
    np.testing.assert_allclose(inverse_losses(np.array([1e-300, 1e300])), [1.0, 0.0])
    np.testing.assert_allclose(inverse_losses(np.array([0.0, 2.0, 0.0])), [0.5, 0.0, 0.5])
    np.testing.assert_allclose(inverse_losses(np.array([np.inf, 2.0, 2.0])), [0.0, 0.5, 0.5])
    for losses in ([-1.0, 2.0], [np.inf, np.inf]):
        with pytest.raises(ValueError, match="weights='inverse_loss' needs losses that are not negative"):
            inverse_losses(np.array(losses))


# --- through the estimators


COLUMNS = [("a", Column(0)), ("b", Column(1)), ("c", Column(2))]


def noisy_table(n_rows=240, seed=3):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=n_rows)
    return y[:, None] + rng.normal(size=(n_rows, 3)) * [0.5, 1.0, 2.0], y


@pytest.mark.parametrize(
    ("name", "metric"), [("squared_error", mean_squared_error), ("absolute_error", mean_absolute_error)]
)
def test_regressors_learn_with_the_loss_they_are_given(name, metric):
    X, y = noisy_table()
    params = {"weights": "auto", "shrinkage": 0, "weights_loss": name}
    model = WeightedEnsembleRegressor(COLUMNS, **params).fit(X, y)
    rows = model.oof_indices_
    np.testing.assert_allclose(model.oof_losses_, [metric(y[rows], X[rows, k]) for k in range(3)])
    np.testing.assert_array_equal(model.weights_, model.learned_weights_)
    assert model.shrinkage_ == 0.0
    found = metric(y[rows], X[rows] @ model.weights_)
    for _ in range(100):
        other = RNG.dirichlet(np.ones(3))
        assert found <= metric(y[rows], X[rows] @ other) * (1 + 1e-6)
    called = WeightedEnsembleRegressor(COLUMNS, **{**params, "weights_loss": metric}).fit(X, y)
    assert metric(y[rows], X[rows] @ called.weights_) == pytest.approx(found, rel=1e-4)
    default = WeightedEnsembleRegressor(COLUMNS, weights="auto", shrinkage=0).fit(X, y)
    assert (default.weights_.tolist() == model.weights_.tolist()) == (name == "squared_error")


def test_a_metric_of_scikit_learn_gets_weights_of_samples_and_several_outputs():
    X, y = noisy_table()
    wide, outputs = np.hstack([X, X]), np.column_stack([y, y])
    members = [(str(k), Column([k, k + 3])) for k in range(3)]
    share = RNG.uniform(size=240) * (RNG.random(240) > 0.2)
    seen = []

    def loss(y_true, y_pred, sample_weight):
        seen.append((y_true.shape, y_pred.shape, sample_weight.min()))
        return mean_pinball_loss(y_true, y_pred, sample_weight=sample_weight, alpha=0.3)

    model = WeightedEnsembleRegressor(members, weights="auto", weights_loss=loss)
    model.fit(wide, np.where(share[:, None] > 0, outputs, np.nan), sample_weight=share)
    assert all(truth == answer and truth[1] == 2 and weight > 0 for truth, answer, weight in seen)
    rows = model.oof_indices_
    expected = [mean_pinball_loss(y[rows], X[rows, k], sample_weight=share[rows], alpha=0.3) for k in range(3)]
    np.testing.assert_allclose(model.oof_losses_, expected)
    assert model.weights_[0] > model.weights_[1] > model.weights_[2]


def test_inverse_loss_is_in_proportion():
    X, y = noisy_table()
    for name, metric in (("squared_error", mean_squared_error), ("absolute_error", mean_absolute_error)):
        model = WeightedEnsembleRegressor(COLUMNS, weights="inverse_loss", weights_loss=name).fit(X, y)
        rows = model.oof_indices_
        inverse = 1 / np.array([metric(y[rows], X[rows, k]) for k in range(3)])
        np.testing.assert_allclose(model.weights_, inverse / inverse.sum())
        assert model.shrinkage_ == 0.0
        halfway = model.set_params(shrinkage=0.5).fit(X, y)
        np.testing.assert_allclose(halfway.weights_, inverse / inverse.sum() / 2 + 1 / 6)
        np.testing.assert_allclose(halfway.learned_weights_, inverse / inverse.sum())


@pytest.mark.parametrize("name", ["log_loss", "squared_error", "auto", log_loss])
def test_classifiers_learn_with_the_loss_they_are_given(name):
    labels = np.array(["no", "no", "yes", "no"] * 20)
    members = [("a", FixedProbabilities((0.9, 0.1))), ("b", FixedProbabilities((0.5, 0.5)))]
    params = {"weights": "auto", "shrinkage": 0, "cv": 4}
    model = WeightedEnsembleClassifier(members, weights_loss=name, **params).fit(np.zeros((80, 1)), labels)
    np.testing.assert_allclose(model.weights_, [0.625, 0.375], atol=1e-3)  # 0.75 for "no", by either loss
    if name == "squared_error":
        expected = [np.mean([(p - 0.75) ** 2 + 0.75 * 0.25]) for p in (0.9, 0.5)]
    else:
        expected = [-(0.75 * np.log(p) + 0.25 * np.log(1 - p)) for p in (0.9, 0.5)]
    np.testing.assert_allclose(model.oof_losses_, expected)


def test_a_callable_of_a_classifier_gets_its_labels():
    labels = np.array(["no", "yes", "no", "maybe"] * 20)
    members = [("a", FixedProbabilities((0.2, 0.5, 0.3))), ("b", FixedProbabilities((0.3, 0.4, 0.3)))]
    seen = set()

    def loss(y_true, y_pred, sample_weight):
        assert sample_weight is None
        seen.update(y_true)
        return log_loss(y_true, y_pred, labels=["maybe", "no", "yes"])

    model = WeightedEnsembleClassifier(members, weights="auto", weights_loss=loss, cv=3).fit(np.zeros((80, 1)), labels)
    assert seen == {"maybe", "no", "yes"}
    # The minimum of -.25 log(.3 - .1 w) - .5 log(.4 + .1 w)
    assert model.learned_weights_[0] == pytest.approx(2 / 3, abs=1e-3)


@pytest.mark.parametrize(
    ("make", "params", "error", "message"),
    [
        (WeightedEnsembleRegressor, {"weights": "best"}, ValueError, "'weights' parameter .* str among .* Got 'best'"),
        (WeightedEnsembleRegressor, {"weights_loss": "log_loss"}, ValueError, "'weights_loss' .* Got 'log_loss'"),
        (WeightedEnsembleClassifier, {"weights_loss": "absolute_error"}, ValueError, "'weights_loss' .* Got 'absol"),
        (WeightedEnsembleRegressor, {"shrinkage": 1.1}, ValueError, "'shrinkage' .* Got 1.1"),
        (WeightedEnsembleRegressor, {"shrinkage": "none"}, ValueError, "'shrinkage' .* Got 'none'"),
        (
            WeightedEnsembleRegressor,
            {"weights": "auto", "weights_loss": lambda y_true, y_pred, sample_weight: np.nan},
            ValueError,
            "weights_loss must return a number, not NaN, .* returned nan",
        ),
        (
            WeightedEnsembleRegressor,
            {"weights": "auto", "weights_loss": lambda y_true, y_pred, sample_weight: y_true},
            ValueError,
            "weights_loss must return a number",
        ),
        (
            WeightedEnsembleRegressor,
            {"weights": "inverse_loss", "weights_loss": lambda y_true, y_pred, sample_weight: -1.0},
            ValueError,
            "weights='inverse_loss' needs losses that are not negative",
        ),
    ],
)
def test_bad_parameters_are_refused(make, params, error, message):
    X, y = noisy_table(40)
    if make is WeightedEnsembleClassifier:
        y = np.where(y > 0, "up", "down")
    with pytest.raises(error, match=message):
        make(COLUMNS if make is WeightedEnsembleRegressor else [("a", FixedProbabilities())], **params).fit(X, y)
