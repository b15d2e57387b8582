"""Truths of every kind: what they are read as, their losses, and what is refused before and after the first fit."""

import numpy as np
import pandas as pd
import pytest
from online_case import LABELS, N_FITTED, X, Y, classifier, learner, regressor
from sklearn.model_selection import GridSearchCV

from sklstm._online.drift import DriftWatch, PageHinkley
from sklstm._online.truths import Labels, Numbers
from sklstm.online import Rollout


def fitted(model=None, y=Y, **options):
    return learner(model, **options).fit(X[:N_FITTED], y[:N_FITTED])


ANSWER, TRUTH = np.array([1.0, 4.0]), np.array([3.0, 1.0])  # in units of their deviations, errors of 1 and -0.75


@pytest.mark.parametrize(
    ("loss", "quantile", "expected"),
    [("squared_error", None, (1.0, 0.5625)), ("absolute_error", None, (1.0, 0.75)), ("quantile", 0.9, (0.9, 0.075))],
)
def test_the_loss_of_a_row_is_the_mean_over_its_targets(loss, quantile, expected):
    scale = np.array([2.0, 4.0])
    several = Numbers((2,), loss, quantile, scale)
    assert several.loss(ANSWER, TRUTH) == pytest.approx(np.mean(expected), rel=1e-12)
    for k in range(2):
        one = Numbers((), loss, quantile, scale[k : k + 1])
        assert one.loss(ANSWER[k : k + 1], TRUTH[k : k + 1]) == pytest.approx(expected[k], rel=1e-12)


def test_the_loss_of_labels_is_the_log_of_what_they_were_given():
    shares = np.array([0.9, 0.2, 0.5])
    many = Labels(np.tile([0, 1], (3, 1)))
    assert many.loss(shares, np.array([1.0, 0.0, 1.0])) == pytest.approx(-np.log([0.9, 0.8, 0.5]).mean(), rel=1e-12)
    assert Labels(np.array(["a", "b", "c"])).loss(shares, np.array([1.0])) == pytest.approx(-np.log(0.2), rel=1e-12)


def test_counts_are_not_negative():
    numbers = Numbers((), "poisson", None, np.ones(1))
    assert numbers.read(0.0).tolist() == [0.0]
    with pytest.raises(ValueError, match=r"y is -1\.0; loss='poisson' needs targets of at least 0"):
        numbers.read(-1.0)
    with pytest.raises(ValueError, match="y is below 0 in row 1; loss='poisson' needs"):
        numbers.read_all([0.0, -1.0])
    with pytest.raises(ValueError, match=r"y has shape \(1, 2\), expected \(n_rows,\)\."):
        numbers.read_all([[0.0, 1.0]])


def test_labels():
    one, many = Labels(np.array(["down", "up"])), Labels(np.array([[0, 1], [0, 1]]))
    assert one.read_all([["up"], ["down"]]).tolist() == [[1.0], [0.0]]
    assert one.shown(np.array([0.4, 0.6])) == "up"
    assert many.shown(np.array([0.4, 0.6])).tolist() == [0, 1]
    assert one.shown(np.array([np.nan, 0.6])) is None
    with pytest.raises(ValueError, match=r"y is \['up'\], which is not among the classes"):
        one.read(["up"])
    with pytest.raises(ValueError, match=r"y has shape \(2, 2\), expected the labels of rows"):
        one.read_all([["up", "up"]] * 2)
    for wrong in ([0, 2], [0, 1, 1], 1):
        with pytest.raises(ValueError, match="expected 2 labels of 0 or 1"):
            many.read(wrong)


# Before the first fit


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("key='a' has come before: each row has a key", lambda one: one.predict_one(X[1], key="a")),
        (r"x has the columns \['a', 'b'\], expected \['a', 'b', 'c'\]", lambda one: one.predict_one({"a": 1, "b": 2})),
        (r"x has shape \(2,\), expected a row of 3 numbers", lambda one: one.predict_one([1.0, 2.0])),
        (r"x has shape \(2, 3\), expected a row of 3 numbers", lambda one: one.predict_one(X[:2])),
        (r"y has shape \(1, 1, 1\): the truth of one row is", lambda one: one.learn_one(X[1], [[[1.0]]])),
        ("x is not the row that waits for this truth", lambda one: one.learn_one(X[1], 1.0, key="a")),
        ("X has 3 rows, y 2: expected one number", lambda one: one.learn_many(X[:3], Y[:2])),
        ("keys has 1 entries, but there are 3 rows", lambda one: one.predict_many(X[:3], keys=["b"])),
    ],
)
def test_what_is_refused_before_the_first_fit(message, call):
    one = learner(warm_up=3)
    one.predict_one(dict(zip("abc", X[0], strict=True)), key="a")
    with pytest.raises(ValueError, match=message):
        call(one)
    # Nothing was taken.
    for row in range(1, 3):
        one.learn_one(X[row : row + 1], Y[row])
    assert not hasattr(one, "model_")
    one.learn_one(None, Y[0], key="a")
    assert one.n_truths_seen_ == 3
    assert (one.model_.predict(X[:3]) == learner().fit(X[:3], Y[:3]).model_.predict(X[:3])).all()


# Models


def test_classes_go_with_a_classifier_and_searches_are_named():
    with pytest.raises(ValueError, match="classes goes with a classifier; model is a DeepLSTMRegressor"):
        learner().partial_fit(X[:20], Y[:20], classes=[0, 1])
    with pytest.raises(ValueError, match=r"classes must be 1-D, .* its shape is \(1, 2\)"):
        learner(classifier()).partial_fit(X[:20], LABELS[:20], classes=[["up", "down"]])
    search = GridSearchCV(regressor(), {"hidden_size": [2]})
    search.best_estimator_ = regressor()
    with pytest.raises(TypeError, match="Take its best_estimator_"):
        fitted(search)


@pytest.mark.parametrize("seed", [None, np.random.RandomState(0)])
def test_models_without_a_seed_have_that_of_the_learner(seed):
    options = {"refit": "inline", "refit_every": 130, "refit_rows": 40, "update_every": 5}

    def answers(random_state):
        one = fitted(regressor(random_state=seed), random_state=random_state, **options)
        found = []
        for row in range(N_FITTED, N_FITTED + 20):
            found.append(one.predict_one(X[row]))
            one.learn_one(X[row], Y[row])
        assert one.version_ == 2
        return found

    assert answers(0) == answers(0)
    assert answers(0) != answers(1)


def test_rows_before_a_table_are_those_that_came_last():
    one = fitted(regressor(carry_context=True))
    one.predict_many(X[N_FITTED : N_FITTED + 5])
    plain = fitted().model_
    expected = plain.predict(X[N_FITTED + 5 : N_FITTED + 9], context=X[N_FITTED + 3 : N_FITTED + 5])
    assert (one.predict(X[N_FITTED + 5 : N_FITTED + 9]) == expected).all()


def test_a_challenger_that_cannot_go_on_is_dropped(monkeypatch):
    one = fitted(rollout=Rollout(rows_per_stage=20), refit="inline", refit_every=130, refit_rows=40)
    other = fitted()
    for row in range(N_FITTED, N_FITTED + 12):
        one.learn_one(X[row], Y[row])
        other.learn_one(X[row], Y[row])
    assert one.challenger_ is not None

    def broken(x):
        raise ValueError("states are no longer finite")

    monkeypatch.setattr(one._engine.challenger, "step", broken)
    with pytest.warns(UserWarning, match="the challenger cannot go on: states are no longer finite"):
        answer = one.predict_one(X[200])
    assert answer == other.predict_one(X[200])
    assert one.challenger_ is None
    assert one.history_["kind"][-1] == "challenger_failed"


def test_columns_without_names():
    assert not hasattr(fitted(), "feature_names_in_")
    named = learner().fit(pd.DataFrame(X[:N_FITTED], columns=list("abc")), Y[:N_FITTED])
    assert named.feature_names_in_.tolist() == ["a", "b", "c"]


def test_the_first_row_has_nothing_to_hold():
    one = learner(on_missing="hold")
    with pytest.raises(ValueError, match="NaN"):
        one.fit(np.r_[[[np.nan, 0.0, 0.0]], X[:20]], Y[:21])


def test_times_fit_into_64_bits():
    one = fitted()
    with pytest.raises(ValueError, match=r"time must fit into 64 bits, found 9223372036854775808"):
        one.predict_one(X[0], time=1 << 63)


# States


def test_plain_states_are_read_by_a_class_that_can():
    state = DriftWatch(PageHinkley()).state()

    class Other:
        drift_detected = False

        def update(self, x):
            pass

    state["class"] = f"{Other.__module__}.{Other.__qualname__}"
    with pytest.raises(ValueError, match="has no from_state"):
        DriftWatch.from_state(state, Other())
