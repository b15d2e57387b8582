"""Shrinkage towards equal weights: nothing is lost where there is nothing to learn, little where there is."""

import numpy as np
import pytest

from ensemble.members import Column, FixedProbabilities
from sklstm import WeightedEnsembleClassifier, WeightedEnsembleRegressor
from sklstm._ensemble.losses import ErrorLoss, LogLoss
from sklstm._ensemble.shrinkage import blocks_in_time, blocks_in_turn, measured_shrinkage, shrink
from sklstm._ensemble.weights import learn_weights


def learn(errors, power=2, shrinkage="auto"):
    n_rows = len(errors)
    blocks = blocks_in_time(np.arange(n_rows) * 5 // n_rows, np.arange(n_rows))
    return learn_weights("auto", shrinkage, ErrorLoss(errors[:, :, None], None, power), blocks)


def similar(n_rows, seed, n_members=5):
    rng = np.random.default_rng(seed)
    return np.sqrt(0.8) * rng.normal(size=(n_rows, 1)) + np.sqrt(0.2) * rng.normal(size=(n_rows, n_members))


def lost(make, power, n_rows):
    """Loss of learned and of shrunk weights on new errors, relative to that of equal ones."""
    total = np.zeros(3)
    for seed in range(20 if power == 2 else 6):
        errors = make(n_rows + 1000, seed)
        fitted, later = learn(errors[:n_rows], power), ErrorLoss(errors[n_rows:, :, None], None, power)
        equal = np.full(errors.shape[1], 1 / errors.shape[1])
        total += [later.value(equal), later.value(fitted["learned_weights_"]), later.value(fitted["weights_"])]
    return total[1:] / total[0] - 1.0


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("n_rows", [30, 100])
def test_similar_members_lose_next_to_nothing(n_rows, power):
    learned, shrunk = lost(similar, power, n_rows)
    assert learned > (0.02 if n_rows == 30 else 0.008)
    assert shrunk < 0.4 * learned  # a mean over few draws


@pytest.mark.parametrize("power", [1, 2])
def test_members_that_differ_keep_their_weights(power):
    def different(n_rows, seed):
        return np.random.default_rng(seed).normal(size=(n_rows, 4)) * [1.0, 1.5, 2.0, 6.0]

    learned, shrunk = lost(different, power, 60)
    assert learned < (-0.2 if power == 1 else -0.4)
    assert shrunk < 0.9 * learned
    fitted = learn(different(2000, 0), power)
    assert fitted["shrinkage_"] < 0.03
    assert fitted["weights_"][3] < 0.06


def test_the_best_pair_is_found_where_data_are_plenty():
    def pair(n_rows, seed):  # two members with opposite errors, and three like the second
        rng = np.random.default_rng(seed)
        opposite = rng.normal(size=(n_rows, 1)) * [1.0, -1.0, -1.0, -1.0, -1.0]
        return rng.normal(size=(n_rows, 1)) + opposite + [0.1, 0.1, 0.6, 0.6, 0.6] * rng.normal(size=(n_rows, 5))

    fitted = learn(pair(3000, 0))
    np.testing.assert_allclose(fitted["weights_"], [0.5, 0.5, 0.0, 0.0, 0.0], atol=0.05)
    assert fitted["shrinkage_"] < 0.02


@pytest.mark.parametrize("unit", [1e-150, 1.0, 1e150])
def test_the_unit_of_the_errors_does_not_matter(unit):
    errors = similar(80, 0) * [1.0, 1.1, 1.3, 1.0, 2.0]
    expected, found = learn(errors), learn(unit * errors)
    assert found["shrinkage_"] == pytest.approx(expected["shrinkage_"], abs=1e-9)
    np.testing.assert_allclose(found["weights_"], expected["weights_"], atol=1e-9)


def test_the_minimum_and_its_variance_by_hand():
    # Of squared errors everything is known: the parabola, and what leaving out a block changes.
    rng = np.random.default_rng(5)
    errors = rng.normal(size=(100, 2)) * [1.0, 1.6]
    blocks = np.arange(100) // 10
    equal, products, squares = errors.mean(axis=1), np.zeros(10), np.zeros(10)
    for block in range(10):
        rest, inside = errors[blocks != block], errors[blocks == block]
        one, two = rest.T
        weight = np.clip((two * (two - one)).sum() / ((one - two) ** 2).sum(), 0.0, 1.0)
        move = inside @ [weight, 1.0 - weight] - inside.mean(axis=1)
        products[block], squares[block] = -(equal[blocks == block] * move).sum(), (move**2).sum()
    best = products.sum() / squares.sum()
    others = (products.sum() - products) / (squares.sum() - squares)
    variance = 0.9 * ((others - others.mean()) ** 2).sum()
    expected = 1.0 - min(best, 1.0) * max(0.0, 1.0 - 2.0 * variance / best**2)
    found = measured_shrinkage(ErrorLoss(errors[:, :, None], None, 2), blocks)
    assert 0.0 < found < 1.0
    assert found == pytest.approx(expected, rel=1e-9)


def test_where_there_is_nothing_to_tell_weights_are_equal():
    error = np.random.default_rng(0).normal(size=50)
    assert learn(np.column_stack([error, error]))["weights_"].tolist() == [0.5, 0.5]
    assert learn(np.zeros((50, 3)))["shrinkage_"] == 1.0
    assert learn(error[:, None])["weights_"].tolist() == [1.0]
    assert learn(error[:1, None] * [1.0, 2.0])["weights_"].tolist() == [0.5, 0.5]  # one row says nothing


def test_a_member_without_error_gets_everything():
    error = np.random.default_rng(0).normal(size=50)
    for power in (1, 2):
        fitted = learn(np.column_stack([error, 0 * error, 2 * error]), power)
        np.testing.assert_array_equal(fitted["weights_"], [0.0, 1.0, 0.0])


def test_members_that_rule_out_what_happens():
    # Without equal weights beside it, each member gives some true class no probability.
    likelihoods = np.tile([[1.0, 0.0], [0.0, 1.0]], (40, 1))
    fitted = learn_weights("auto", "auto", LogLoss(likelihoods, None), np.arange(80) // 8)
    np.testing.assert_allclose(fitted["weights_"], [0.5, 0.5], atol=1e-6)
    assert np.isinf(fitted["oof_losses_"]).all()
    # One member is nearly always right, and once certain of the wrong class, in the last block.
    likelihoods = np.tile([[0.9, 0.5]], (80, 1))
    likelihoods[79] = [0.0, 0.5]
    fitted = learn_weights("auto", "auto", LogLoss(likelihoods, None), np.arange(80) // 8)
    assert np.isfinite(fitted["shrinkage_"])
    assert 0.0 < fitted["weights_"][1] <= 0.5


def test_shrink():
    weights = np.array([0.7, 0.3, 0.0])
    assert shrink(weights, 0.0) is weights
    np.testing.assert_allclose(shrink(weights, 1.0), [1 / 3] * 3)
    np.testing.assert_allclose(shrink(weights, 0.3), 0.7 * weights + 0.1)


# --- blocks


def test_blocks_are_neighbours_in_time():
    blocks = blocks_in_time(np.repeat([0, 1, 2, 3, 4], 20), np.arange(100))
    np.testing.assert_array_equal(blocks, np.arange(100) // 10)
    blocks = blocks_in_time(np.repeat([0, 1, 2], 12), np.arange(36))
    np.testing.assert_array_equal(blocks, np.arange(36) // 3)
    assert len(np.unique(blocks_in_time(np.arange(50) // 2, np.arange(50)))) == 25
    assert blocks_in_time(np.zeros(3, int), np.arange(3)).tolist() == [0, 1, 2]


def test_blocks_without_an_order_are_dealt_out():
    folds = np.array([0, 1, 1, 0, 0, 1, 0, 1, 3, 3, 3, 3, 3])  # 3 folds: 4 blocks each
    assert blocks_in_turn(folds).tolist() == [0, 4, 5, 1, 2, 6, 3, 7, 8, 9, 10, 11, 8]
    assert blocks_in_turn(np.arange(12)).tolist() == list(range(12))


def test_blocks_of_a_panel_hold_the_same_times_of_all_series():
    series = [np.arange(0, 40), np.arange(40, 100)]
    rows = np.r_[20:40, 70:100]
    folds = np.r_[np.repeat([0, 1], 10), np.repeat([0, 1], 15)]
    blocks = blocks_in_time(folds, rows, series)
    np.testing.assert_array_equal(blocks, np.r_[np.arange(20) // 2, np.arange(30) // 3])


# --- through the estimators


COLUMNS = [(str(k), Column(k)) for k in range(3)]


@pytest.mark.parametrize("shrinkage", [0, 0.25, 1])
def test_a_given_amount(shrinkage):
    rng = np.random.default_rng(0)
    y = rng.normal(size=120)
    X = y[:, None] + rng.normal(size=(120, 3)) * [0.5, 1.0, 2.0]
    learned = WeightedEnsembleRegressor(COLUMNS, weights="auto", shrinkage=0).fit(X, y).weights_
    model = WeightedEnsembleRegressor(COLUMNS, weights="auto", shrinkage=shrinkage).fit(X, y)
    assert model.shrinkage_ == shrinkage
    assert isinstance(model.shrinkage_, float)
    np.testing.assert_array_equal(model.learned_weights_, learned)
    np.testing.assert_allclose(model.weights_, (1 - shrinkage) * learned + shrinkage / 3)


@pytest.mark.filterwarnings("ignore:shrinkage=0.9 has no effect")
def test_weights_that_are_not_learned_are_not_shrunk():
    X, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60.0)
    for weights, expected in ((None, [1, 1, 1]), ("equal", [1, 1, 1]), ((1, 2, 3), [1, 2, 3])):
        model = WeightedEnsembleRegressor(COLUMNS, weights=weights, shrinkage=0.9).fit(X, y)
        np.testing.assert_allclose(model.weights_, np.array(expected) / sum(expected))
        assert not hasattr(model, "shrinkage_")
        assert not hasattr(model, "learned_weights_")
        assert not hasattr(model, "oof_losses_")


def test_a_panel_is_cut_in_time():
    rng = np.random.default_rng(0)
    y = rng.normal(size=200)
    X, groups = y[:, None] + rng.normal(size=(200, 3)) * [1.0, 1.0, 1.4], np.repeat([0, 1], 100)
    model = WeightedEnsembleRegressor(COLUMNS, weights="auto", cv=4).fit(X, y, groups=groups)
    rows = model.oof_indices_
    of_folds = (rows % 100 - 20) // 20
    expected = blocks_in_time(of_folds, rows, [np.arange(100), np.arange(100, 200)])
    errors = y[rows, None] - model.oof_predictions_
    assert model.shrinkage_ == measured_shrinkage(ErrorLoss(errors[:, :, None], None, 2), expected)
    assert 0.0 < model.shrinkage_ <= 1.0


def test_classifiers_shrink_too():
    labels = np.array(["no", "no", "yes", "no"] * 50)
    members = [("a", FixedProbabilities((0.9, 0.1))), ("b", FixedProbabilities((0.5, 0.5)))]
    model = WeightedEnsembleClassifier(members, weights="auto", cv=4).fit(np.zeros((200, 1)), labels)
    assert 0.0 <= model.shrinkage_ < 1.0
    np.testing.assert_allclose(model.learned_weights_, [0.625, 0.375], atol=1e-9)
    np.testing.assert_allclose(
        model.weights_, (1 - model.shrinkage_) * model.learned_weights_ + model.shrinkage_ / 2, atol=1e-12
    )
