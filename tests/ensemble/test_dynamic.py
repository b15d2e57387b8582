"""Dynamic weights: what the rules ask for, floor, bound of the change, half-life, history, regret."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error

from ensemble.cases import CLASSIFIERS, LABELS, REGRESSORS, X, Y, classifier, regressor
from ensemble.members import Column, MeanOfSequence, Returns
from sklstm._ensemble import start, update
from sklstm._ensemble.dynamics import PATIENCE, RULES, Settings, after_losses, moved, start_state, target_weights
from sklstm._ensemble.steps import row_losses, step_losses, time_steps

COLUMNS = [("one", Column(0)), ("two", Column(1)), ("three", Column(2))]
PLAIN = {"select": None, "min_weight": 0.0, "max_change": 1.0, "shrinkage": 0.0}


def dynamic(members=COLUMNS, **params):
    return regressor(members, weights="dynamic", **params)


def errors_of(model, rows, targets):
    return np.column_stack([targets - member.predict(rows) for member in model.estimators_])


def assert_simplex(weights, floor=0.0):
    assert_allclose(weights.sum(axis=-1), 1.0, atol=1e-14)
    assert weights.min() >= floor - 1e-15


# --- rules


def test_exponential_weights_by_hand():
    model = dynamic(half_life=7.0, initial_weights="equal", min_weight=0.0, max_change=1.0).fit(X[:30], Y[:30])
    assert_array_equal(model.weights_, [1 / 3] * 3)
    assert np.isnan(model.recent_losses_).all()
    model.update(X[30:50], Y[30:50])
    age = np.arange(20)[::-1]
    counts = 0.5 ** (age / 7.0)
    losses = counts @ errors_of(model, X[30:50], Y[30:50]) ** 2 / counts.sum()
    expected = losses ** (-2.0 * counts.sum() / (counts.sum() + PATIENCE))
    assert_allclose(model.recent_losses_, losses, rtol=1e-12)
    assert_allclose(model.weights_, expected / expected.sum(), rtol=1e-12)


def test_hedge_weights_by_hand():
    model = dynamic(update_rule="hedge", initial_weights="equal", min_weight=0.0, max_change=1.0).fit(X, Y)
    top = np.quantile((Y - Y.mean()) ** 2, 0.95)  # of the best constant, as there are no folds
    rows, targets = X[:25], Y[:25]
    model.update(rows, targets)
    total = np.minimum(errors_of(model, rows, targets) ** 2 / top, 1.0).sum(axis=0)
    expected = np.exp(-np.sqrt(8 * np.log(3) / 26) * total)
    assert_allclose(model.weights_, expected / expected.sum(), rtol=1e-12)


@pytest.mark.parametrize("select", [1, 2, None])
def test_best_weighs_the_best_alike(select):
    model = dynamic(update_rule="best", select=select, initial_weights="equal", max_change=1.0, min_weight=0.01)
    model.fit(X, Y).update(X[:25], Y[:25])
    n_best = select or 1
    best = np.argsort(model.recent_losses_)[:n_best]
    expected = np.full(3, 0.01)
    expected[best] += 0.97 / n_best
    assert_allclose(model.weights_, expected, rtol=1e-12)


def test_select_leaves_the_floor_to_the_others():
    model = dynamic(select=2, initial_weights="equal", max_change=1.0, min_weight=0.05).fit(X, Y).update(X[:25], Y[:25])
    worst = model.recent_losses_.argmax()
    assert model.weights_[worst] == pytest.approx(0.05, rel=1e-12)
    assert (np.delete(model.weights_, worst) > 0.06).all()


def test_equal_members_get_equal_weights_whatever_the_rule():
    for rule in ("exponential", "hedge"):
        model = dynamic([("a", Column(0)), ("b", Column(0))], update_rule=rule, initial_weights="equal")
        assert_allclose(model.fit(X, Y).update(X, Y).weights_, [0.5, 0.5], rtol=1e-12)


def test_members_without_loss_share_all():
    members = [("a", Column(0)), ("b", Column(0)), ("c", Column(1))]
    model = dynamic(members, initial_weights="equal", max_change=1.0, min_weight=0.0).fit(X, Y).update(X, X[:, 0])
    assert_allclose(model.weights_, [0.5, 0.5, 0.0])


def test_shrinkage_moves_towards_equal_weights():
    plain, shrunk = (
        dynamic(initial_weights="equal", max_change=1.0, min_weight=0.0, shrinkage=one).fit(X, Y).update(X, Y)
        for one in ("auto", 0.25)
    )
    assert_allclose(shrunk.weights_, 0.75 * plain.weights_ + 0.25 / 3, rtol=1e-12)


def test_absolute_errors_and_several_outputs():
    targets = np.column_stack([Y, -Y])
    model = dynamic(
        [("ridge", Ridge()), ("strict", Ridge(1e4))],
        weights_loss="absolute_error",
        initial_weights="equal",
        half_life=1e9,
    ).fit(X[:40], targets[:40])
    model.update(X[40:], targets[40:])
    expected = [np.abs(targets[40:] - member.predict(X[40:])).mean() for member in model.estimators_]
    assert_allclose(model.recent_losses_, expected, rtol=1e-6)


def test_log_loss_and_brier_score_of_labels():
    for name in ("auto", "squared_error"):
        model = classifier(weights="dynamic", weights_loss=name, initial_weights="equal", half_life=1e9)
        model.fit(X[:40], LABELS[:40]).update(X[40:], LABELS[40:])
        codes, expected = np.searchsorted(model.classes_, LABELS[40:]), []
        for member in model.estimators_:
            answer = member.predict_proba(X[40:])
            if name == "auto":
                expected.append(-np.log(np.maximum(answer[np.arange(20), codes], 1e-15)).mean())
            else:
                expected.append(((np.eye(3)[codes] - answer) ** 2).mean())
        assert_allclose(model.recent_losses_, expected, rtol=1e-6)


def test_a_callable_is_called_once_for_all_rows_of_an_update():
    calls = []

    def loss(y_true, y_pred, sample_weight=None):
        calls.append(len(y_true))
        return mean_absolute_error(y_true, y_pred, sample_weight=sample_weight)

    model = dynamic(weights_loss=loss, initial_weights="equal", half_life=3.0).fit(X, Y)
    model.update(X[:10], Y[:10])
    assert calls == [10] * 3
    assert_allclose(model.recent_losses_, np.abs(errors_of(model, X[:10], Y[:10])).mean(axis=0), rtol=1e-12)
    started = dynamic(weights_loss=loss).fit(X, Y)
    assert np.isfinite(started.recent_losses_).all()


# --- the regret of Hedge


@pytest.mark.parametrize("n_members", [2, 3, 10])
@pytest.mark.parametrize("kind", ["random", "alternating", "against", "late"])
def test_hedge_keeps_its_bound_at_any_time(kind, n_members):
    """Losses in [0, 1], those of an adversary who hits the heaviest member among them."""
    rng = np.random.default_rng(n_members)
    settings = Settings("hedge", 1.0, **PLAIN)
    state, own, total = start_state(n_members, (0.0, 1.0)), 0.0, np.zeros(n_members)
    for step in range(1, 601):
        weights = target_weights(state, settings)
        losses = {
            "random": rng.uniform(size=n_members) * np.linspace(0.5, 1.0, n_members),
            "alternating": (np.arange(n_members) % 2 == step % 2).astype(float),
            "against": (np.arange(n_members) == weights.argmax()).astype(float),
            "late": np.full(n_members, 0.5) + 0.5 * np.where(step > 300, -1, 1) * (np.arange(n_members) == 0),
        }[kind]
        own, total = own + weights @ losses, total + losses
        state = after_losses(state, losses[np.newaxis], np.ones(1), 1.0)
        bound = np.sqrt(2 * step * np.log(n_members)) + np.sqrt(np.log(n_members) / 8)
        assert own - total.min() <= bound


def test_losses_of_hedge_are_clipped_to_the_range_of_fit():
    state = start_state(2, (1.0, 3.0))
    state = after_losses(state, np.array([[0.0, 9.0], [2.0, 3.0]]), np.ones(2), 1.0)
    assert_allclose(state["total"], [0.5, 2.0])


# --- floor and bound


@pytest.mark.parametrize("rule", sorted(RULES))
@pytest.mark.parametrize("seed", range(5))
def test_weights_stay_in_the_simplex_above_the_floor_and_change_no_more_than_allowed(rule, seed):
    rng = np.random.default_rng(seed)
    n_members = int(rng.integers(1, 7))
    floor, most = rng.uniform(0, 1 / n_members), rng.uniform(0.01, 0.3)
    settings = Settings(rule, float(rng.uniform(0.5, 40)), int(rng.integers(1, n_members + 1)), floor, most, 0.0)
    state = start_state(n_members, (0.0, 2.0))
    weights = np.full(n_members, 1 / n_members)
    for _ in range(80):
        losses = rng.exponential(size=(int(rng.integers(1, 5)), n_members)) ** 3 * rng.choice([1e-9, 1.0, 1e9])
        state = after_losses(state, losses, np.ones(len(losses)), settings.half_life)
        before, weights = weights, moved(weights, target_weights(state, settings), most)
        assert_simplex(weights, floor)
        assert np.abs(weights - before).sum() / 2 <= most + 1e-14


def test_floor_of_five_percent_of_an_equal_weight():
    model = dynamic(update_rule="best", max_change=1.0).fit(X, Y)
    assert model.weights_.min() == pytest.approx(0.05 / 3, rel=1e-12)


def test_an_update_that_asks_for_more_goes_all_the_way_it_may():
    model = dynamic(update_rule="best", initial_weights="equal", max_change=0.1, min_weight=0.0).fit(X, Y)
    model.update(X, Y)
    best = model.recent_losses_.argmin()
    assert model.weights_[best] == pytest.approx(1 / 3 + 0.1, rel=1e-12)
    for _ in range(10):
        model.update(X, Y)
    assert model.weights_[best] == 1.0
    assert_simplex(model.weight_history_)
    assert (np.abs(np.diff(model.weight_history_, axis=0)).sum(axis=1) / 2 <= 0.1 + 1e-14).all()


def test_losses_of_any_size_give_weights():
    settings = Settings("exponential", 50.0, **PLAIN)
    for losses in ([[1e300, 1e308, np.inf]], [[0.0, 0.0, 0.0]], [[1e-300, 1e-320, 1.0]]):
        state = after_losses(start_state(3), np.array(losses), np.ones(1), 50.0)
        assert_simplex(target_weights(state, settings))


@pytest.mark.parametrize("truth", [1e30, -1e200])
def test_one_wild_truth_is_told_and_soon_forgotten(truth):
    rows = np.random.default_rng(1).normal(size=(300, 3))
    targets = rows[:, 0].copy()
    model = dynamic(half_life=10.0, max_change=1.0).fit(X, Y).update(rows[:100], targets[:100])
    recent = model.recent_losses_
    targets[100] = truth
    with pytest.warns(UserWarning, match=r"beyond 1000 times what is usual, .*\(1 such steps\). Is y wrong there"):
        model.update(rows[100:102], targets[100:102])
    assert model.recent_losses_.max() < 1000 * max(recent.max(), model.dynamics_["high"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.update(rows[102:], targets[102:])
    assert_allclose(model.weights_, [1 - 0.1 / 3, 0.05 / 3, 0.05 / 3], rtol=1e-2)


def test_losses_may_grow_by_any_factor():
    model = dynamic(half_life=10.0, max_change=1.0).fit(X, Y)
    rows = np.random.default_rng(1).normal(size=(100, 3)) * 1e9
    with pytest.warns(UserWarning, match="counts as"):
        model.update(rows, rows[:, 0] + 1e8)
    assert model.weights_[0] > 0.9


# --- time steps


def test_rows_one_by_one_and_at_once_lead_to_the_same_state():
    one, all_at_once = (dynamic(max_change=1.0).fit(X[:30], Y[:30]) for _ in range(2))
    for row in range(30, 60):
        one.update(X[row : row + 1], Y[row : row + 1])
    all_at_once.update(X[30:], Y[30:])
    assert_array_equal(one.recent_losses_, all_at_once.recent_losses_)
    assert_array_equal(one.weights_, all_at_once.weights_)
    assert one.weight_history_.shape == (31, 3)
    assert_array_equal(one.history_steps_, np.arange(31))
    assert_array_equal(all_at_once.history_steps_, [0, 30])


def test_time_steps_of_series_end_together():
    blocks = [np.arange(3), np.arange(3, 8)]
    assert_array_equal(time_steps(np.arange(8), None, blocks), [2, 3, 4, 0, 1, 2, 3, 4])
    assert_array_equal(time_steps(np.array([0, 2, 5, 6, 7]), None, blocks), [1, 2, 0, 1, 2])
    folds = np.array([0, 0, 1, 0, 0, 0, 1, 1])
    assert_array_equal(time_steps(np.arange(8), folds, blocks), [1, 2, 4, 0, 1, 2, 3, 4])
    assert_array_equal(time_steps(np.arange(4)), np.arange(4))


def test_losses_of_a_step_are_means_over_its_rows():
    losses = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 8.0]])
    means, shares = step_losses(losses, np.array([0, 1, 1]), np.array([1.0, 3.0, 1.0]))
    assert_allclose(means, [[1.0, 2.0], [3.5, 5.0]])
    assert_allclose(shares, [2 / 3, 4 / 3])


def test_groups_count_by_time():
    groups = np.repeat(["a", "b"], 5)
    model = dynamic(initial_weights="equal", half_life=2.0).fit(X, Y).update(X[:10], Y[:10], groups=groups)
    losses = errors_of(model, X[:10], Y[:10]) ** 2
    counts = 0.5 ** (np.arange(5)[::-1] / 2.0)
    assert_allclose(model.recent_losses_, counts @ (losses[:5] + losses[5:]) / 2 / counts.sum(), rtol=1e-12)
    assert model.history_steps_[-1] == 5


def test_rows_of_weight_zero_do_not_count_and_weights_do():
    kept = np.arange(60) % 3 > 0
    targets = np.where(kept, Y, np.nan)
    zero, without = (dynamic(initial_weights="equal").fit(X, Y) for _ in range(2))
    zero.update(X, targets, sample_weight=kept.astype(float))
    without.update(X[kept], Y[kept])
    assert_array_equal(zero.weights_, without.weights_)
    assert zero.history_steps_[-1] == 40
    single, scaled = (dynamic(initial_weights="equal").fit(X, Y) for _ in range(2))
    single.update(X[:1], Y[:1])
    scaled.update(X[:1], Y[:1], sample_weight=[7.0])
    assert_array_equal(single.weights_, scaled.weights_)
    twice = dynamic(initial_weights="equal", half_life=1e12).fit(X, Y)
    twice.update(X[:2], Y[:2], sample_weight=[2.0, 1.0])
    losses = errors_of(twice, X[:2], Y[:2]) ** 2
    assert_allclose(twice.recent_losses_, (2 * losses[0] + losses[1]) / 3, rtol=1e-9)


def test_sequences():
    sets = X.reshape(20, 3, 3)
    model = dynamic([("mean", MeanOfSequence()), ("zero", Returns(lambda X: np.zeros(len(X))))], cv=2)
    model.fit(sets, sets.mean(axis=(1, 2)))
    before = model.weights_
    model.update(list(sets[:5]), np.zeros(5))
    assert model.weights_[1] > before[1]


# --- start, history, parameters


def test_fit_starts_where_the_out_of_fold_losses_lead():
    model = dynamic(REGRESSORS, cv=3, half_life=5.0, max_change=0.01).fit(X, Y)
    searched = regressor(weights="inverse_loss", cv=3).fit(X, Y)
    losses = row_losses("squared_error", searched.oof_predictions_[..., None], Y[searched.oof_indices_, None])
    state = after_losses(start_state(2), losses, np.ones(len(losses)), 5.0)
    assert_allclose(model.weights_, target_weights(state, Settings("exponential", 5.0, None, "auto", 1.0, 0.0)))
    assert_allclose(model.oof_losses_, searched.oof_losses_)
    assert_array_equal(model.weight_history_, model.weights_[None])
    assert not hasattr(model, "oof_predictions_")


def test_weights_follow_a_change_and_come_back():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(300, 3))
    model = dynamic(half_life=10.0, initial_weights="equal").fit(X, Y)
    for leader in (0, 2, 0):
        for k in range(100):
            model.update(rows[k : k + 1], rows[k : k + 1, leader] + 0.1 * rng.normal(size=1))
        assert model.weights_.argmax() == leader
        assert model.weights_[leader] > 0.9


def test_the_history_is_bounded(monkeypatch):
    monkeypatch.setattr(update, "LONGEST_HISTORY", 4)
    assert start.LONGEST_HISTORY == 10_000
    model = dynamic(initial_weights="equal").fit(X, Y)
    for row in range(9):
        model.update(X[row : row + 1], Y[row : row + 1])
    assert model.weight_history_.shape == (4, 3)
    assert_array_equal(model.history_steps_, [6, 7, 8, 9])
    assert_array_equal(model.weight_history_[-1], model.weights_)


def test_parameters_that_are_set_later_hold_from_then_on():
    model = dynamic(initial_weights="equal", max_change=1.0).fit(X, Y).set_params(update_rule="best", min_weight=0.0)
    model.update(X, Y)
    assert sorted(model.weights_.tolist()) == [0.0, 0.0, 1.0]


def test_predictions_use_the_weights_of_now_and_members_stay():
    model = dynamic(initial_weights="equal").fit(X, Y)
    members = list(model.estimators_)
    model.update(X, Y)
    assert all(one is two for one, two in zip(members, model.estimators_, strict=True))
    assert_allclose(model.predict(X), X @ model.weights_, rtol=1e-12)


def test_update_is_there_for_dynamic_weights_only():
    fixed = regressor().fit(X, Y)
    assert not hasattr(fixed, "update")
    with pytest.raises(AttributeError, match="update"):
        fixed.update(X, Y)
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        dynamic().update(X, Y)
    with pytest.raises(NotFittedError, match="was fitted without weights='dynamic'; fit it again"):
        fixed.set_params(weights="dynamic").update(X, Y)
    again = dynamic(initial_weights="equal").fit(X, Y).set_params(weights="equal").fit(X, Y)
    assert not hasattr(again, "update")
    assert not hasattr(again, "weight_history_")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"select": 4}, "select=4, expected at most the number of members, 3"),
        ({"min_weight": 0.4}, "min_weight=0.4 for each of 3 members is more than 1; expected at most 0.3333"),
        ({"max_change": 0.0}, "max_change"),
        ({"half_life": 0.0}, "half_life"),
        ({"update_rule": "worst"}, "update_rule"),
        ({"initial_weights": "given"}, "initial_weights"),
        ({"error_score": "ignore"}, "error_score"),
    ],
)
def test_impossible_parameters(params, message):
    with pytest.raises(ValueError, match=message):
        dynamic(**params).fit(X, Y)
    model = dynamic(initial_weights="equal").fit(X, Y)
    weights = model.weights_
    if "initial_weights" not in params:
        with pytest.raises(ValueError, match=message):
            model.set_params(**params).update(X, Y)
    assert model.weights_ is weights


def test_losses_below_zero_and_ranges_that_are_not_known():
    def gain(y_true, y_pred, sample_weight=None):
        return -1.0 - np.mean(np.abs(y_true - y_pred))

    with pytest.raises(ValueError, match="update_rule='exponential' needs losses that are not negative"):
        dynamic(weights_loss=gain, initial_weights="equal").fit(X, Y).update(X, Y)
    best = dynamic(weights_loss=gain, initial_weights="equal", update_rule="best", max_change=1.0).fit(X, Y)
    assert best.update(X, Y).weights_.max() > 0.9
    hedge = dynamic(weights_loss=gain, initial_weights="equal", update_rule="hedge").fit(X, Y)
    with pytest.raises(ValueError, match="needs a range of the losses, which is not known for a callable"):
        hedge.update(X, Y)
    hedge.set_params(initial_weights="out_of_fold").fit(X, Y).update(X, Y)
    assert_simplex(hedge.weights_)


def test_labels_of_the_members_with_dynamic_weights():
    model = classifier([*CLASSIFIERS], weights="dynamic", cv=2).fit(X, LABELS).update(X[:20], LABELS[:20])
    assert_simplex(model.weight_history_)
    assert_allclose(model.predict_proba(X).sum(axis=1), 1.0)
