"""The search for the weights against known optima and conditions of optimality."""

import numpy as np
import pytest

from ensemble.members import Column, FixedProbabilities
from sklstm import WeightedEnsembleClassifier, WeightedEnsembleRegressor
from sklstm._ensemble.simplex import simplex_least_squares, simplex_log_loss
from sklstm._ensemble.weights import read_weights


def assert_simplex(weights):
    assert weights.min() >= 0.0
    assert weights.sum() == pytest.approx(1.0, abs=1e-14)


def test_equal_and_opposite_errors_share_alike():
    error = np.random.default_rng(0).normal(size=50)
    weights = simplex_least_squares(np.column_stack([error, -error]))
    np.testing.assert_allclose(weights, [0.5, 0.5], rtol=1e-14)


@pytest.mark.parametrize("seed", range(20))
def test_two_members_closed_form(seed):
    rng = np.random.default_rng(seed)
    errors = rng.normal(size=(40, 2)) @ rng.normal(size=(2, 2)) + rng.normal(size=2)
    share = rng.uniform(size=40)
    one, two = errors.T
    best = (share * two * (two - one)).sum() / (share * (one - two) ** 2).sum()
    best = np.clip(best, 0.0, 1.0)
    np.testing.assert_allclose(simplex_least_squares(errors, share), [best, 1.0 - best], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("n_members", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_least_squares_is_optimal(n_members, scale):
    # Of a convex problem on the simplex, a point is the optimum if and only if no vertex lies
    # downhill; the size of the error must not matter.
    rng = np.random.default_rng(n_members)
    errors = rng.normal(size=(200, n_members)) * rng.uniform(0.5, 2.0, n_members)
    errors += rng.normal(size=(200, 1))
    weights = simplex_least_squares(scale * errors)
    assert_simplex(weights)
    gradient = errors.T @ (errors @ weights)
    value = weights @ gradient
    assert (gradient >= value * (1.0 - 1e-11)).all()


def test_least_squares_with_a_hopeless_member_and_few_rows():
    errors = np.array([[1.0, -1.0, 1e8], [1.0, -0.5, 1e8]])
    weights = simplex_least_squares(errors)
    # 1 and -1, 1 and -1/2: closed form over the first two members alone
    np.testing.assert_allclose(weights, [0.44, 0.56, 0.0], atol=1e-7)
    assert_simplex(weights)


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        (np.zeros((5, 3)), [1 / 3, 1 / 3, 1 / 3]),
        (np.array([[1.0, 0.0, 2.0], [1.0, 0.0, 1.0]]), [0.0, 1.0, 0.0]),
        (np.array([[1.0, 2.0], [1.0, 2.0]]), [1.0, 0.0]),
        (np.array([[3.0]]), [1.0]),
    ],
    ids=["all perfect", "one perfect", "one always better", "one member"],
)
def test_least_squares_at_the_edge(errors, expected):
    np.testing.assert_allclose(simplex_least_squares(errors), expected, atol=1e-15)


@pytest.mark.parametrize(("positives", "expected"), [(50, 0.5), (70, 0.75), (25, 0.1875), (95, 1.0)])
def test_log_loss_of_two_constant_members_closed_form(positives, expected):
    # A mixture of the constants 0.9 and 0.1 is best where it gives the frequency itself.
    true = np.arange(100) < positives
    likelihoods = np.where(true[:, None], [0.9, 0.1], [0.1, 0.9])
    np.testing.assert_allclose(simplex_log_loss(likelihoods), [expected, 1 - expected], atol=1e-9)


@pytest.mark.parametrize("n_members", [1, 2, 3, 6])
@pytest.mark.parametrize("seed", range(10))
def test_log_loss_is_optimal(n_members, seed):
    rng = np.random.default_rng(seed)
    likelihoods = rng.beta(0.3, 0.3, size=(150, n_members)) + 1e-9
    share = rng.uniform(size=150)
    weights = simplex_log_loss(likelihoods, share)
    assert_simplex(weights)
    gain = (share / share.sum()) @ (likelihoods / (likelihoods @ weights)[:, None])
    assert gain.max() <= 1.0 + 1e-9  # bounds what any other mixture could gain, in nats per row


def test_log_loss_with_certain_and_wrong_members():
    # Each member is certain, and wrong somewhere: any of them alone has an infinite loss.
    likelihoods = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [1.0, 0.0, 0.5], [1.0, 0.0, 0.1]])
    weights = simplex_log_loss(likelihoods)
    np.testing.assert_allclose(weights, [0.75, 0.25, 0.0], atol=1e-9)


@pytest.mark.parametrize("unit", [1e-300, 1e-160, 1e160, 1e300])
def test_the_units_of_errors_and_weights_do_not_matter(unit):
    rng = np.random.default_rng(0)
    errors, share = rng.standard_normal((50, 3)), rng.uniform(0.1, 1.0, 50)
    expected = simplex_least_squares(errors, share)
    np.testing.assert_allclose(simplex_least_squares(errors * unit, share), expected, atol=1e-12)
    np.testing.assert_allclose(simplex_least_squares(errors, share * unit), expected, atol=1e-12)
    likelihoods = rng.uniform(0.1, 1.0, (50, 3))
    expected = simplex_log_loss(likelihoods, share)
    np.testing.assert_allclose(simplex_log_loss(likelihoods, share * unit), expected, atol=1e-12)


def test_row_weights_count_as_repeated_rows():
    rng = np.random.default_rng(3)
    errors, likelihoods = rng.normal(size=(30, 3)), rng.uniform(size=(30, 3))
    times = rng.integers(0, 4, 30)
    np.testing.assert_allclose(
        simplex_least_squares(errors, times),
        simplex_least_squares(np.repeat(errors, times, axis=0)),
        atol=1e-12,
    )
    np.testing.assert_allclose(
        simplex_log_loss(likelihoods, times),
        simplex_log_loss(np.repeat(likelihoods, times, axis=0)),
        atol=1e-9,
    )


@pytest.mark.parametrize(
    ("weights", "kept", "expected"),
    [
        (None, [True, True, False], [0.5, 0.5]),
        ((7, 3), [True, True], [0.7, 0.3]),
        ([1, 5, 3], [True, False, True], [0.25, 0.75]),
        (np.array([0.0, 2.0]), [True, True], [0.0, 1.0]),
    ],
)
def test_given_weights_are_scaled(weights, kept, expected):
    np.testing.assert_allclose(read_weights(weights, kept), expected, rtol=1e-15)


# --- through the estimators: members that answer a column of X make the optimum known


def table(n_rows=60, n_columns=3):
    return np.random.default_rng(1).normal(size=(n_rows, n_columns))


COLUMNS = [("a", Column(0)), ("b", Column(1)), ("c", Column(2))]


def test_regressor_finds_the_mixture_that_made_y():
    X = table()
    y = 0.3 * X[:, 0] + 0.7 * X[:, 1]
    model = WeightedEnsembleRegressor(COLUMNS, weights="auto").fit(X, y)
    np.testing.assert_allclose(model.weights_, [0.3, 0.7, 0.0], atol=1e-12)
    np.testing.assert_allclose(model.predict(X), y, atol=1e-12)


def test_regressor_finds_one_mixture_for_all_outputs():
    X = table(n_columns=6)
    Y = 0.4 * X[:, :2] + 0.6 * X[:, 4:]
    members = [("a", Column([0, 1])), ("b", Column([2, 3])), ("c", Column([4, 5]))]
    model = WeightedEnsembleRegressor(members, weights="auto").fit(X, Y)
    np.testing.assert_allclose(model.weights_, [0.4, 0.0, 0.6], atol=1e-12)
    assert model.oof_predictions_.shape == (50, 3, 2)
    np.testing.assert_allclose(model.predict(X), Y, atol=1e-12)
    assert model.score(X, Y) == pytest.approx(1.0)


def test_only_rows_with_weight_decide():
    # The first half follows member a, the second half member b.
    X = table()
    y = np.where(np.arange(60) < 35, X[:, 0], X[:, 1])
    share = np.ones(60)
    share[35:] = 0.0
    model = WeightedEnsembleRegressor(COLUMNS, weights="auto")
    np.testing.assert_allclose(model.fit(X, y, sample_weight=share).weights_, [1, 0, 0], atol=1e-12)
    share = np.where(share > 0.0, 1e-20, 1.0)
    np.testing.assert_allclose(model.fit(X, y, sample_weight=share).weights_, [0, 1, 0], atol=1e-12)


def test_only_rows_with_weight_decide_for_all_outputs():
    X = table(n_columns=4)
    late = np.arange(60) >= 35
    Y = np.where(late[:, None], X[:, 2:], X[:, :2])
    members = [("a", Column([0, 1])), ("b", Column([2, 3]))]
    model = WeightedEnsembleRegressor(members, weights="auto")
    model.fit(X, Y, sample_weight=np.where(late, 1.0, 1e-20))
    np.testing.assert_allclose(model.weights_, [0.0, 1.0], atol=1e-12)
    model.fit(X, Y, sample_weight=np.where(late, 1e-20, 1.0))
    np.testing.assert_allclose(model.weights_, [1.0, 0.0], atol=1e-12)


def test_only_rows_of_test_folds_decide():
    # With 5 folds of 60 rows the first 10 are in no test fold.
    X = table()
    y = np.where(np.arange(60) < 10, 1e6, X[:, 2])
    model = WeightedEnsembleRegressor(COLUMNS, weights="auto").fit(X, y)
    np.testing.assert_allclose(model.weights_, [0.0, 0.0, 1.0], atol=1e-12)
    np.testing.assert_array_equal(model.oof_indices_, np.arange(10, 60))
    np.testing.assert_array_equal(model.oof_predictions_, X[10:])


def test_classifier_finds_the_known_optimum():
    # 3 of 4 rows are "no"; the best mixture of the constants 0.9 and 0.5 gives 0.75 to them.
    X, y = table(80), np.array(["no", "no", "yes", "no"] * 20)
    members = [("a", FixedProbabilities((0.9, 0.1))), ("b", FixedProbabilities((0.5, 0.5)))]
    model = WeightedEnsembleClassifier(members, weights="auto", shrinkage=0, cv=4).fit(X, y)
    np.testing.assert_array_equal(model.oof_indices_, np.arange(16, 80))
    np.testing.assert_allclose(model.weights_, [0.625, 0.375], atol=1e-9)
    np.testing.assert_allclose(model.predict_proba(X)[0], [0.75, 0.25], atol=1e-9)
    # Where a "yes" counts for two, "no" has 3 of 5.
    model.fit(X, y, sample_weight=np.where(y == "yes", 2.0, 1.0))
    np.testing.assert_allclose(model.weights_, [0.25, 0.75], atol=1e-9)
