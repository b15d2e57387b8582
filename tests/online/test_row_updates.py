"""Updates by one row: faster, with the bits of the others."""

import copy
import sys
from pathlib import Path

import numpy as np
import pytest
from interruption import cut_at
from numpy.testing import assert_array_equal
from online_case import LABELS, N_FITTED, X, Y, classifier, digest, learner, regressor
from sklearn.base import clone

from sklstm import DeepRNNRegressor
from sklstm._kernels.columns._column_statistics import joined_moments
from sklstm._online.candidate import Candidate
from sklstm._online.row_updates import RowUpdates
from sklstm._online.session import Session
from sklstm._scaling import CONSTANT, LARGEST_GROWTH, Moments, moments_of

STATEFUL = {"training": "stateful", "shuffle": False, "bptt_steps": 4}
TWO = np.column_stack([Y, X[:, 1]])
FAST = {
    "adamw": ({}, Y),
    "adam": ({"solver": "adam", "max_grad_norm": None}, Y),
    "sgd": ({"solver": "sgd", "n_layers": 2}, Y),
    "adaptive clipping": ({"max_grad_norm": "adaptive", "weight_decay": 0.1}, Y),
    "plateau": ({"learning_rate": "reduce_on_plateau", "tol": 0.5, "n_iter_no_change": 2}, Y),
    "float64": ({"dtype": "float64", "bidirectional": False, "n_layers": 3}, Y),
    "bfloat16": ({"dtype": "bfloat16"}, Y),
    "quantiles": ({"loss": "quantile", "quantile": (0.1, 0.5, 0.9)}, TWO),
    "no scaling": ({"input_scaling": None}, Y),
    "threads": ({"n_jobs": 3}, Y),
    "windows": ({"training": "windows", "bptt_steps": 32}, Y),
    "shuffled windows": ({"training": "windows", "bptt_steps": 32, "shuffle": True, "cell": "gru"}, Y),
}
SLOW = {
    "labels": (classifier(**STATEFUL), LABELS),
    "dropout": (regressor(**STATEFUL, n_layers=2, dropout=0.3), Y),
    "poisson": (regressor(**STATEFUL, loss="poisson"), np.abs(Y)),
}


def learn_row(candidate, y, k):
    n = candidate.rows_before(k)
    if n is None or not candidate.has_learnt_row(X[k - n : k + 1], y[k : k + 1], k, k):
        n = candidate.reach
        candidate = candidate.learnt(X[k - n : k + 1], np.arange(n + 1) == n, y[k - n : k + 1], k - n, k)
    return candidate


def learn(first, y, n=6):
    """Update a model by rows one by one; return the candidate."""
    candidate = Candidate(first)
    candidate.follow(X[90:100])
    for k in range(100, 100 + n):
        candidate = learn_row(candidate, y, k)
    return candidate


def states(candidate):
    model = candidate.model
    return [
        *model.parameters_.values(), model.loss_curve_, model.gradient_norms_, model._training_state,
        model._input_moments, getattr(model, "_coding", None), candidate._carried,
    ]  # fmt: skip


def general(monkeypatch):
    monkeypatch.setattr(Session, "_result_of_row", lambda *_: None)


@pytest.mark.parametrize(("options", "y"), FAST.values(), ids=FAST)
def test_they_have_the_bits_of_the_others(options, y, monkeypatch):
    settings = {"sequence_length": 3, "max_iter": 3, "early_stopping": False, "n_jobs": 1, "random_state": 0}
    first = DeepRNNRegressor(4, **{**settings, "cell": "lstm", **STATEFUL, **options}).fit(X[:100], y[:100])
    calls, train = [], RowUpdates.train
    monkeypatch.setattr(RowUpdates, "train", lambda *given: calls.append(1) or train(*given))
    found = states(learn(first, y))
    # The session begins with the second row. In stateful training its states are zeros: the third is the first alone.
    n_fast = 3 if first.training == "stateful" else 4
    assert len(calls) == n_fast
    general(monkeypatch)
    np.testing.assert_equal(found, states(learn(first, y)))
    assert len(calls) == n_fast


@pytest.mark.parametrize(("model", "y"), SLOW.values(), ids=SLOW)
def test_others_go_the_general_way(model, y, monkeypatch):
    monkeypatch.setattr(RowUpdates, "train", None)
    learn(clone(model).fit(X[:100], y[:100]), y)


def test_rows_by_which_scales_change_go_the_general_way(monkeypatch):
    first, y = clone(regressor(**STATEFUL)).fit(X[:100], Y[:100]), Y.copy()
    y[103] *= 1e3
    found = learn(first, y, 8)
    assert found.model.target_scale_ > first.target_scale_
    general(monkeypatch)
    np.testing.assert_equal(states(found), states(learn(first, y, 8)))


def test_what_diverges_is_told_as_ever(monkeypatch):
    first = clone(regressor(**STATEFUL, solver="sgd", max_grad_norm=None)).fit(X[:100], Y[:100])
    first.set_params(learning_rate_init=1e12)
    messages = []
    for _ in range(2):
        with pytest.raises(ValueError, match="diverged") as error:
            learn(first, Y, 50)
        messages.append(str(error.value))
        general(monkeypatch)
    assert messages[0] == messages[1]


@pytest.mark.parametrize("options", [{"shuffle": False}, STATEFUL], ids=["windows", "stateful"])
def test_one_that_is_interrupted_anywhere_is_made_once(options):
    first = regressor(**options).fit(X[:100], Y[:100])
    names = "session.py", "candidate.py", "row_updates.py", "optimizers.py", "one_row.py"

    def learnt(line=None):
        """Raise in one line of the fifth update, and make it again; then make two more."""
        candidate, count = learn(first, Y, 4), 0

        def trace(frame, event, argument):
            nonlocal count
            if Path(frame.f_code.co_filename).name not in names:
                return None
            count += event == "line"
            if event == "line" and count == line:
                raise KeyboardInterrupt
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            candidate = learn_row(candidate, Y, 104)
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
        for k in (104, 105, 106) if line else (105, 106):
            candidate = learn_row(candidate, Y, k)
        return candidate, count

    expected, n_lines = learnt()
    expected, step = states(expected), expected.step(X[150])
    for line in range(1, n_lines + 1, n_lines // 19):
        found, _ = learnt(line)
        np.testing.assert_equal(states(found), expected)
        np.testing.assert_equal(found.step(X[150]), step)


def test_an_update_is_counted_once_where_its_last_lines_are_interrupted():
    one = learner(regressor(**STATEFUL), update_every=1).fit(X[:N_FITTED], Y[:N_FITTED])
    for row in range(N_FITTED, N_FITTED + 3):
        one.learn_one(X[row], Y[row])

    def learn_three(line):
        learnt = copy.deepcopy(one)
        learnt.learn_one(X[130], Y[130])  # where the session of a copy begins
        n_lines = cut_at(line, {"work.py"}, lambda: learnt.learn_one(X[131], Y[131]))
        for row in range(132 if learnt.n_calls_ > one.n_calls_ + 1 else 131, 134):
            learnt.learn_one(X[row], Y[row])
        return learnt, n_lines

    expected, n_lines = learn_three(None)
    wanted = digest(expected)
    for line in range(1, n_lines + 1):
        assert digest(learn_three(line)[0]) == wanted, line


@pytest.mark.parametrize("seed", range(3))
def test_moments_with_a_row(seed):
    rng = np.random.default_rng(seed)
    table = rng.standard_normal((4, 7)) * 10.0 ** rng.integers(-200, 200, 7)
    table[:, 3], table[:3, 4] = 0.1, 5.0
    moments = moments_of(table[:3], np.ones(3), 1)
    for row in (table[3], table[2], np.zeros(7)):
        expected = moments.joined(moments_of(row[np.newaxis], np.ones(1), 1))
        numbers = moments.weight, moments.mean, moments.deviation
        *found, is_steady = joined_moments(*numbers, 1.0, row, None, CONSTANT, 1.0 + LARGEST_GROWTH)
        for one, other in zip(found, (expected.weight, expected.mean, expected.deviation), strict=True):
            assert_array_equal(one, other)
        assert is_steady == bool((moments.deviation > 0).all())
        moments = expected
    few = Moments(np.full(7, 0.3), 1, table[0], np.ones(7))
    assert not joined_moments(few.weight, few.mean, few.deviation, 1.0, table[1], None, CONSTANT, 4.0)[3]
    more = moments_of(table, np.ones(4), 1)
    *found, _ = joined_moments(few.weight, few.mean, few.deviation, 4.0, more.mean, more.deviation, CONSTANT, 4.0)
    expected = few.joined(more)
    for one, other in zip(found, (expected.weight, expected.mean, expected.deviation), strict=True):
        assert_array_equal(one, other)
    with pytest.raises(ValueError, match="float64 array of 7"):
        joined_moments(few.weight, few.mean[:5], few.deviation, 1.0, table[1], None, CONSTANT, 4.0)
