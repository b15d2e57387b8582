"""`OnlineLearner`: rows and truths, updates, refits, replacements."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from online_case import LABELS, N_FITTED, X, Y, calls, classifier, digest, do, learner, regressor
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import DeepRNNRegressor
from sklstm.online import OnlineLearner, PageHinkley, Rollout

FIRST, THEN = slice(0, N_FITTED), slice(N_FITTED, N_FITTED + 60)


def fitted(model=None, y=Y, **options):
    return learner(model, **options).fit(X[FIRST], y[FIRST])


def run(one, y=Y, rows=THEN):
    """Predict and learn row by row; return the predictions."""
    answers = []
    for x, truth in zip(X[rows], y[rows], strict=True):
        answers.append(one.predict_one(x))
        one.learn_one(x, truth)
    return answers


# Predictions


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"training": "stateful", "shuffle": False, "bptt_steps": 4},
        {"bidirectional": True, "pooling": "mean"},
        {"n_seeds": 2},
        {"window_norm": "last", "target_column": 0},
        {"carry_context": True},
        {"dtype": "float64", "loss": "quantile", "quantile": (0.1, 0.5, 0.9)},
    ],
    ids=lambda options: next(iter(options), "plain"),
)
@pytest.mark.filterwarnings("ignore:window_norm takes target")
def test_a_row_has_the_prediction_of_all_rows_so_far(options):
    one = fitted(regressor(**options), update_every=None)
    for row in range(N_FITTED, N_FITTED + 12):
        whole = copy.copy(one.model_)
        whole.__dict__.pop("context_", None)
        # States that are carried begin where the learner's do.
        begin = N_FITTED - 16 if "training" in options else 0
        assert one.predict_one(X[row]) == whole.predict(X[begin : row + 1])[-1]


def test_labels_and_probabilities():
    one, other = (fitted(classifier(), LABELS) for _ in range(2))
    for row in range(N_FITTED, N_FITTED + 15):
        label, shares = one.predict_one(X[row]), other.predict_proba_one(X[row])
        assert label == one.model_.predict(X[: row + 1])[-1]
        expected = one.model_.predict_proba(X[: row + 1])[-1]
        assert shares == dict(zip(["down", "up"], expected.tolist(), strict=True))
        one.learn_one(X[row], LABELS[row])
        other.learn_one(X[row], LABELS[row])
    assert one.metrics()["updates"] == 1
    assert (one.predict_proba(X[FIRST]) == one.model_.predict_proba(X[FIRST])).all()


@pytest.mark.parametrize("kind", [regressor, classifier])
def test_several_outputs(kind):
    y = np.column_stack([Y, X[:, 1]])
    y = y if kind is regressor else (y > 0).astype(int)
    one = fitted(kind(), y, update_every=5)
    answers = run(one, y)
    assert np.shape(answers) == (60, 2)
    assert one.metrics()["updates"] == 12
    assert one.metrics()["loss"] > 0


def test_other_kinds_of_rows():
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    one = learner().fit(frame[FIRST], Y[FIRST])
    other = fitted()
    for row in range(N_FITTED, N_FITTED + 12):
        kinds = [frame.iloc[row], dict(zip("bca", X[row][[1, 2, 0]], strict=True)), X[row].tolist()]
        x = kinds[row % 3]
        assert one.predict_one(x) == other.predict_one(X[row])
        one.learn_one(x, Y[row])
        other.learn_one(X[row], Y[row])
    assert one.feature_names_in_.tolist() == ["a", "b", "c"]
    with pytest.raises(ValueError, match=r"lacks the column 'c': expected a value for each of \['a', 'b', 'c'\]"):
        one.predict_one({"a": 1.0, "b": 2.0})
    with pytest.raises(ValueError, match="has a column 'd'"):
        one.predict_one({"a": 1.0, "b": 2.0, "c": 1.0, "d": 1.0})
    with pytest.raises(ValueError, match="the columns have no names"):
        other.predict_one({"a": 1.0, "b": 2.0, "c": 1.0})


# Updates


@pytest.mark.parametrize("model", [regressor(), classifier(), regressor(n_seeds=2), regressor(dtype="bfloat16")])
def test_an_update_has_the_bits_of_partial_fit(model):
    y = LABELS if hasattr(model, "predict_proba") else Y
    one, expected = fitted(model, y), clone(model).fit(X[FIRST], y[FIRST])
    run(one, y, slice(N_FITTED, N_FITTED + 20))
    for begin in (N_FITTED, N_FITTED + 10):
        rows = slice(begin - 2, begin + 10)
        expected.partial_fit(X[rows], y[rows], sample_weight=np.r_[0, 0, np.ones(10)])
    for name, array in expected.parameters_.items():
        assert (one.model_.parameters_[name] == array).all(), name
    assert one.model_.loss_curve_ == expected.loss_curve_


def test_replayed_rows_are_learnt_too():
    plain, replayed, again = fitted(), fitted(replay=30), fitted(replay=30)
    for one in (plain, replayed, again):
        run(one)
    assert digest(replayed) == digest(again)
    assert digest(replayed) != digest(plain)


def test_many_rows_are_as_many_single_ones():
    one, many, parts = fitted(), fitted(), fitted()
    run(one)
    many.predict_many(X[THEN], keys=range(60))
    assert [key for key, _ in many.pending_] == list(range(60))
    many = fitted().learn_many(X[THEN], Y[THEN])
    parts.partial_fit(X[THEN], Y[THEN])
    assert digest(many) == digest(parts)
    for name, array in one.model_.parameters_.items():
        assert (many.model_.parameters_[name] == array).all()


def test_an_update_that_fails_leaves_the_model():
    one = fitted()
    before = one.model_.set_params(learning_rate_init=1e30)
    with pytest.warns(UserWarning, match="an update failed, and the model stays as it was: Training diverged"):
        run(one, rows=slice(N_FITTED, N_FITTED + 10))
    assert one.model_ is before
    assert "update_failed" in one.history_["kind"]
    assert one.metrics()["update_failures"] == 1


# Truths


def test_truths_come_late_and_in_any_order():
    one = fitted(update_every=6)
    for key in range(6):
        one.predict_one(X[N_FITTED + key], key=f"row {key}")
    assert [key for key, _ in one.pending_] == [f"row {key}" for key in range(6)]
    for key in (3, 0, 5, 1, 2, 4):
        one.learn_one(None, Y[N_FITTED + key], key=f"row {key}")
    assert one.pending_ == []
    expected = regressor().fit(X[FIRST], Y[FIRST])
    rows = slice(N_FITTED - 2, N_FITTED + 6)
    expected.partial_fit(X[rows], Y[rows], sample_weight=np.r_[0, 0, np.ones(6)])
    assert (one.model_.parameters_["weight_out"] == expected.parameters_["weight_out"]).all()


def test_rows_without_truth_are_left_out_of_updates():
    one = fitted(update_every=2)
    for row in range(N_FITTED, N_FITTED + 3):
        one.predict_one(X[row], key=row)
    for row in (N_FITTED, N_FITTED + 2):
        one.learn_one(None, Y[row], key=row)
    expected = regressor().fit(X[FIRST], Y[FIRST])
    rows = slice(N_FITTED - 2, N_FITTED + 3)
    expected.partial_fit(X[rows], Y[rows], sample_weight=[0, 0, 1, 0, 1])
    assert (one.model_.parameters_["weight_out"] == expected.parameters_["weight_out"]).all()


def test_rows_that_leave_the_buffer_wait_no_longer():
    one = fitted(buffer_size=20)
    for key in range(25):
        one.predict_one(X[key], key=key)
    assert [key for key, _ in one.pending_] == list(range(5, 25))
    assert one.metrics()["truths_missed"] == 5
    with pytest.raises(ValueError, match="never predicted, or is older than the 20 rows of the buffer"):
        one.learn_one(None, 0.0, key=4)


def refused(one, message, call, kind=ValueError):
    """Make a call that is refused, and see that nothing has changed."""
    before = digest(one)
    with pytest.raises(kind, match=message):
        call(one)
    assert digest(one) == before


@pytest.mark.parametrize(
    ("message", "call"),
    [
        (r"x has shape \(2,\), expected \(3,\)", lambda one: one.predict_one(X[0, :2])),
        (r"X has 2 features, but \w+ is expecting 3", lambda one: one.partial_fit(X[:4, :2], Y[:4])),
        ("x contains NaN at feature 1", lambda one: one.predict_one([0.0, np.nan, 0.0])),
        ("x contains NaN at feature 1", lambda one: one.learn_one(np.array([0.0, np.nan, 0.0]), 1.0)),
        ("Input X contains NaN", lambda one: one.learn_many([[0.0, 0.0, 0.0], [0.0, np.nan, 0.0]], [0.0, 1.0])),
        ("x contains infinity at feature 0", lambda one: one.predict_one([np.inf, 0.0, 0.0])),
        ("key='b' waits for its truth: it was never predicted", lambda one: one.learn_one(None, 1.0, key="b")),
        ("the truth of the row of key='a' has come before", lambda one: one.learn_one(None, 1.0, key="a")),
        ("x is not the row of key='c'", lambda one: one.learn_one(X[0], 1.0, key="c")),
        ("key='c' is that of a row that waits", lambda one: one.predict_one(X[0], key="c")),
        ("x is None, but no row waits", lambda one: one.learn_one(None, 1.0)),
        ("y is nan: the truth of a row must be finite", lambda one: one.learn_one(X[0], np.nan)),
        (r"y has shape \(2,\), expected \(\)", lambda one: one.learn_one(X[0], [1.0, 2.0])),
        ("y must hold numbers, found 'up'", lambda one: one.learn_one(X[0], "up")),
        ("y holds NaN or infinity in row 1", lambda one: one.learn_many(X[:2], [1.0, np.nan])),
        ("expected one number", lambda one: one.learn_many(X[:3], Y[:2])),
        ("key='c' comes twice", lambda one: one.learn_many(None, Y[:2], keys=["c", "c"])),
        ("out of order in time: its time is 4, that of the row before 5", lambda one: one.predict_one(X[0], time=4)),
        ("out of order in time: its time is 5,", lambda one: one.predict_one(X[0], time=5)),
        ("is a time, but that of the row before was a number", lambda one: one.predict_one(X[0], time=pd.Timestamp(0))),
        ("time must be finite", lambda one: one.predict_one(X[0], time=np.nan)),
        ("X is a set of sequences", lambda one: one.learn_many(X[:4, np.newaxis], Y[:4])),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(message, call):
    one = fitted()
    one.predict_one(X[N_FITTED], key="a", time=3)
    one.learn_one(None, Y[N_FITTED], key="a")
    one.predict_one(X[N_FITTED + 1], key="c", time=5.0)
    refused(one, message, call)


@pytest.mark.parametrize("when", ["before", "behind"])
def test_ctrl_c_in_a_step_takes_no_row(when, monkeypatch):
    one, other = fitted(), fitted()
    step = one._engine.champion.stream.step

    def interrupted(x):
        if when == "behind":
            step(x)
        raise KeyboardInterrupt

    monkeypatch.setattr(one._engine.champion.stream, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        one.predict_one(X[N_FITTED])
    monkeypatch.undo()
    assert digest(one) == digest(other)
    assert run(one) == run(other)


def test_ctrl_c_in_an_update_is_made_good_before_the_next_call(monkeypatch):
    from sklstm._online import work

    one, other = (fitted(refit="inline", refit_every=130) for _ in range(2))
    run(one, rows=slice(N_FITTED, N_FITTED + 9))
    expected = run(other, rows=slice(N_FITTED, N_FITTED + 40))[10:]
    for name in ("learnt", "new_refit"):
        real, calls_left = getattr(work, name), [1]

        def interrupted(*arguments, real=real, calls_left=calls_left):
            if calls_left.pop() if calls_left else 0:
                raise KeyboardInterrupt
            return real(*arguments)

        monkeypatch.setattr(work, name, interrupted)
    x, truth = X[N_FITTED + 9], Y[N_FITTED + 9]
    one.predict_one(x)
    with pytest.raises(KeyboardInterrupt):
        one.learn_one(x, truth)
    assert one.n_truths_seen_ == N_FITTED + 10
    with pytest.raises(KeyboardInterrupt):
        one.predict_one(X[N_FITTED + 10])
    assert run(one, rows=slice(N_FITTED + 10, N_FITTED + 40)) == expected
    assert digest(one) == digest(other)


def test_keys_and_times_of_other_types_are_refused():
    one = fitted()
    refused(one, "key must be an integer or a text", lambda one: one.predict_one(X[0], key=1.5), TypeError)
    refused(one, "time must be a number, a datetime", lambda one: one.predict_one(X[0], time="noon"), TypeError)
    one.predict_one(X[0])
    refused(
        one, r"x is not the row that has waited longest for its truth \(row 120\)", lambda one: one.learn_one(X[1], 0.0)
    )


def test_labels_that_are_not_known_are_refused():
    one = fitted(classifier(), LABELS)
    refused(
        one, r"y is 'side', which is not among the classes \['down', 'up'\]", lambda one: one.learn_one(X[0], "side")
    )
    one = learner(classifier()).partial_fit(X[FIRST], LABELS[FIRST], classes=["up", "down", "side"])
    one.learn_one(X[0], "side")
    assert one.classes_.tolist() == ["down", "side", "up"]
    with pytest.raises(ValueError, match="differ from those of the first call"):
        one.partial_fit(X[:1], LABELS[:1], classes=["up", "down"])


def test_times_of_a_frame_are_those_of_its_index():
    frame = pd.DataFrame(X, index=pd.date_range("2024-01-01", periods=len(X), freq="h"))
    one = learner().fit(frame[FIRST], Y[FIRST])
    one.predict_one(frame.iloc[N_FITTED])
    refused(one, "out of order in time", lambda one: one.predict_one(frame.iloc[N_FITTED - 1]))
    later = frame.iloc[[N_FITTED + 1, N_FITTED + 3, N_FITTED + 2]]
    refused(one, "out of order in time", lambda one: one.predict_many(later))
    one.predict_many(frame.iloc[N_FITTED + 1 : N_FITTED + 4])


def test_missing_numbers_are_held_as_asked():
    one, other = fitted(on_missing="hold"), fitted()
    gap = X[N_FITTED].copy()
    gap[1] = np.nan
    one.predict_one(X[N_FITTED - 1])
    other.predict_one(X[N_FITTED - 1])
    filled = np.where(np.isnan(gap), X[N_FITTED - 1], gap)
    assert one.predict_one(gap) == other.predict_one(filled)
    one.learn_one(X[N_FITTED - 1], 1.0)
    one.learn_one(gap, 1.0)
    table = X[N_FITTED : N_FITTED + 5].copy()
    table[[1, 2], 0] = np.nan
    filled = table.copy()
    filled[[1, 2], 0] = table[0, 0]
    assert one.predict_many(table).tolist() == other.predict_many(filled).tolist()
    assert one.metrics()["held"] == 1 + 2
    with pytest.raises(ValueError, match="x contains infinity at feature 1"):
        one.predict_one([0.0, np.inf, np.nan])


# Before the first fit


def test_learning_from_the_first_row_on():
    one = learner(warm_up=40)
    for row in range(60):
        answer = one.predict_one(dict(zip("abc", X[row], strict=True)))
        assert (answer is None) == (row < 40)
        one.learn_one(dict(zip("abc", X[row], strict=True)), Y[row])
    expected = regressor().fit(X[:40], Y[:40])
    for begin in (40, 50):
        rows = slice(begin - 2, begin + 10)
        expected.partial_fit(X[rows], Y[rows], sample_weight=np.r_[0, 0, np.ones(10)])
    assert (one.model_.parameters_["weight_out"] == expected.parameters_["weight_out"]).all()
    assert one.feature_names_in_.tolist() == ["a", "b", "c"]
    assert one.n_rows_seen_ == 60


def test_a_classifier_waits_for_a_second_label():
    one = learner(classifier(), warm_up=5)
    for row in range(8):
        assert one.predict_proba_one(X[row]) == {}
        one.learn_one(X[row], "up")
    one.learn_one(X[8], "down")
    assert one.classes_.tolist() == ["down", "up"]


def test_nothing_is_known_before_the_first_fit():
    one = learner()
    with pytest.raises(NotFittedError, match="not fitted yet: call fit"):
        one.predict(X)
    with pytest.raises(ValueError, match="x is None, but no row waits"):
        one.learn_one(None, 1.0)
    with pytest.raises(ValueError, match="no row of key='a' waits"):
        one.learn_one(X[0], 1.0, key="a")
    with pytest.raises(ValueError, match=r"y is nan"):
        one.learn_one(X[0], np.nan)
    with pytest.raises(ValueError, match="x contains NaN"):
        one.predict_one([np.nan, 0.0])


# Refits


def test_a_refit_is_a_fit_of_the_newest_rows():
    one = fitted(refit="inline", refit_every=150, refit_rows=100, update_every=None)
    run(one, rows=slice(N_FITTED, N_FITTED + 30))
    expected = regressor().fit(X[50:150], Y[50:150])
    assert (one.model_.parameters_["weight_out"] == expected.parameters_["weight_out"]).all()
    assert one.version_ == 2
    assert one.metrics()["refits"] == 1


def test_a_refit_of_another_process_takes_part_when_it_is_due():
    """However long it takes: the bits are those of one that is fitted here."""
    one = fitted(refit="background", refit_every=140, refit_delay=15)
    run(one)
    rows = slice(0, 140)
    expected = regressor().fit(X[rows], Y[rows])
    rows = slice(138, 155)
    expected.partial_fit(X[rows], Y[rows], sample_weight=np.r_[0, 0, np.ones(15)])
    for begin in (150, 160, 170):
        rows = slice(begin - 2, begin + 10)
        expected.partial_fit(X[rows], Y[rows], sample_weight=np.r_[0, 0, np.ones(10)])
    assert one.history_["row"][one.history_["kind"] == "refitted"].tolist() == [155]
    assert (one.model_.parameters_["weight_out"] == expected.parameters_["weight_out"]).all()


def test_a_process_that_dies_is_replaced_by_a_fit_here(monkeypatch):
    from sklstm._online import refit

    expected = fitted(refit="background", refit_every=140, refit_delay=15)
    run(expected)
    monkeypatch.setattr(refit, "_START", "import sys; sys.exit(3)")
    one = fitted(refit="background", refit_every=140, refit_delay=15)
    run(one)
    assert digest(one) == digest(expected)


def test_a_refit_that_fails_leaves_the_model(monkeypatch):
    one = fitted(regressor(), refit="inline", refit_every=125)
    one._engine.template.set_params(learning_rate_init=1e30)
    with pytest.warns(UserWarning, match="a refit failed, and the model stays: Training diverged"):
        run(one, rows=slice(N_FITTED, N_FITTED + 6))
    assert one.version_ == 1
    assert one.metrics()["refit_failures"] == 1


def test_a_class_that_the_buffer_has_lost_stays_known():
    labels = LABELS.copy()
    labels[:3] = "side"
    one = fitted(classifier(), labels, refit="inline", refit_every=130, refit_rows=50)
    run(one, labels, slice(N_FITTED, N_FITTED + 20))
    assert one.version_ == 2
    assert one.classes_.tolist() == ["down", "side", "up"]
    assert set(one.predict_proba_one(X[0])) == {"down", "side", "up"}


@pytest.mark.parametrize("drift_rows", [61, None])
def test_drift_leads_to_refits(drift_rows):
    """When half of their rows came after the alarm and when all did; at once where it is no matter of rows."""
    model = regressor(max_iter=30, learning_rate_init=0.02)
    one = fitted(model, detector=PageHinkley(threshold=100), refit="inline", drift_rows=drift_rows, update_every=None)
    run(one, rows=slice(N_FITTED, 450))
    one = pickle.loads(pickle.dumps(one))
    run(one, rows=slice(450, 520))
    kinds, rows = one.history_["kind"], one.history_["row"]
    (drift,) = rows[kinds == "drift"]
    assert 400 < drift < 420
    assert one.metrics()["drifts"] == 1
    refits = [drift + 31, drift + 61] if drift_rows else [drift]
    assert rows[kinds == "refit"].tolist() == refits
    first = refits[-1] - 61 if drift_rows else 0
    expected = clone(model).fit(X[first : refits[-1]], Y[first : refits[-1]])
    assert (one.model_.parameters_["weight_out"] == expected.parameters_["weight_out"]).all()


class Alarm:
    """Raises an alarm at some losses."""

    def __init__(self, *when):
        self.n, self.when, self.drift_detected = 0, when, False

    def update(self, x):
        self.n += 1
        self.drift_detected = self.n in self.when


def test_one_alarm_after_the_other_puts_no_refit_off():
    one = fitted(detector=Alarm(10, 25, 30), refit="inline", drift_rows=40, update_every=None)
    run(one, rows=slice(N_FITTED, N_FITTED + 190))
    kinds, rows = one.history_["kind"], one.history_["row"]
    alarms = N_FITTED + 100 + np.array([10, 25, 30])  # behind the losses that say what is usual
    assert rows[kinds == "drift"].tolist() == alarms.tolist()
    assert rows[kinds == "refit"].tolist() == [alarms[0] + 20, alarms[2] + 20, alarms[2] + 40]


def challenged(margin, **options):
    """A learner whose first challenger comes at row 160."""
    rollout = Rollout(shares=(0.3, 1.0), rows_per_stage=20, margin=margin, error_budget=1e9)
    return fitted(rollout=rollout, refit="inline", refit_every=160, **options)


def test_a_challenger_that_is_not_better_is_dropped():
    one = challenged(0.99)
    run(one, rows=slice(N_FITTED, N_FITTED + 80))
    kinds = one.history_["kind"]
    assert "reject" in kinds
    assert "promote" not in kinds
    assert one.version_ == 1
    assert one.challenger_ is None


def test_a_challenger_takes_over_share_by_share():
    """It learns the changed rule from the newest rows alone, the champion not at all."""
    one = fitted(
        update_every=None,
        refit="inline",
        refit_every=600,
        refit_rows=150,
        rollout=Rollout(shares=(0.3, 1.0), rows_per_stage=20, margin=0.0),
        model=regressor(max_iter=30, learning_rate_init=0.02),
    )
    champion = one.model_
    one.learn_many(X[N_FITTED:600], Y[N_FITTED:600])
    challenger = one.challenger_
    assert one.model_ is champion
    answers = run(one, rows=slice(600, 660))
    kinds = one.history_["kind"]
    assert (kinds == "share").sum() == 2
    assert "promote" in kinds
    assert one.model_ is challenger
    of_champion, of_challenger = (m.predict(X[:660])[600:] for m in (champion, challenger))
    by_challenger = answers == of_challenger
    assert not by_challenger[:20].any()
    assert 0 < by_challenger[20:40].sum() < 20
    assert by_challenger[40:].all()
    assert (np.where(by_challenger, of_challenger, of_champion) == answers).all()


# The object


def test_copies_and_pickles_go_on_alike():
    one = fitted(refit="background", refit_every=150, refit_delay=30)
    run(one, rows=slice(N_FITTED, N_FITTED + 40))  # a refit is running
    others = [copy.deepcopy(one), pickle.loads(pickle.dumps(one))]
    answers = run(one, rows=slice(160, 200))
    for other in others:
        assert run(other, rows=slice(160, 200)) == answers
        assert digest(other) == digest(one)


def test_clones_are_not_fitted():
    one = clone(fitted(buffer_size=50))
    assert one.buffer_size == 50
    with pytest.raises(NotFittedError, match="not fitted yet"):
        one.predict(X)


def test_a_frozen_model_is_taken_as_it_is():
    model = regressor().fit(X[:200], Y[:200])
    one = learner(FrozenEstimator(model)).fit(X[100:200], Y[100:200])
    assert one.predict_one(X[200]) == model.predict(X[:201])[-1]
    one.learn_one(X[200], Y[200])
    run(one, rows=slice(201, 210))
    assert not hasattr(model, "history_")
    assert model.n_iter_ == 3
    assert one.model_.n_iter_ == 4


@pytest.mark.parametrize(
    ("model", "kind", "message"),
    [
        (make_pipeline(StandardScaler(), regressor()), TypeError, "steps of a pipeline are fitted once"),
        (StandardScaler(), TypeError, "model must be a network of sklstm"),
        (regressor(targets="sequence"), ValueError, "takes whole sequences"),
        (regressor(group_scaling="standard"), ValueError, "reads one series"),
        (regressor(learning_rate="cosine"), ValueError, "use learning_rate='constant'"),
        (classifier(class_weight="balanced"), ValueError, "set update_every=None"),
        (DeepRNNRegressor(4, decoder="recurrent", known_columns=[0]), ValueError, "needs the rows ahead"),
    ],
)
def test_models_that_cannot_learn_row_by_row_are_refused(model, kind, message):
    with pytest.raises(kind, match=message):
        OnlineLearner(model).fit(X[FIRST], Y[FIRST])


def test_a_buffer_that_is_too_short_is_refused():
    with pytest.raises(ValueError, match="buffer_size=11 must be at least 12"):
        fitted(buffer_size=11)


def test_calls_of_a_run_are_counted():
    one = fitted()
    for call in calls(20):
        do(one, call)
    assert one.n_calls_ == 40
    assert one.n_truths_seen_ == N_FITTED + 20
    assert "sklstm_online_rows_total 20" in one.metrics_text()
