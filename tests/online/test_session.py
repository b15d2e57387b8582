"""Updates whose network stays from one to the next have the bits of `partial_fit`."""

import copy
import sys
from pathlib import Path

import numpy as np
import pytest
from online_case import LABELS, N_FITTED, X, Y, calls, classifier, digest, do, learner, regressor
from sklearn.base import clone

from sklstm import DeepRNNRegressor
from sklstm._online.candidate import Candidate
from sklstm._online.session import is_plain
from sklstm._online.updates import update


def recurrent(**options):
    settings = {"sequence_length": 3, "max_iter": 2, "early_stopping": False, "random_state": 0}
    return DeepRNNRegressor(4, **{**settings, **options})


TWO = np.column_stack([Y, X[:, 1]])
PLAIN = {
    "adamw": (regressor(), Y),
    "sgd": (regressor(solver="sgd"), Y),
    "plateau": (regressor(learning_rate="reduce_on_plateau", tol=0.5, n_iter_no_change=2), Y),
    "clipping": (regressor(max_grad_norm="adaptive", batch_size=4), Y),
    "dropout": (regressor(n_layers=2, dropout=0.3, recurrent_dropout=0.2, weight_dropout=0.1), Y),
    "bfloat16": (regressor(dtype="bfloat16"), Y),
    "float64": (regressor(dtype="float64", bidirectional=True, attention_heads=2), Y),
    "gru": (recurrent(cell="gru"), Y),
    "quantiles": (regressor(loss="quantile", quantile=(0.1, 0.5, 0.9)), Y),
    "poisson": (regressor(loss="poisson"), np.abs(Y)),
    "two targets": (regressor(), TWO),
    "labels": (classifier(class_weight={"up": 2.0}, label_smoothing=0.1), LABELS),
    "many labels": (classifier(), (TWO > 0).astype(int)),
    "accumulation": (regressor(batch_size=3, accumulation_steps=2, shuffle="blocks"), Y),
    "stateful": (regressor(training="stateful", shuffle=False, bptt_steps=4), Y),
    "stateful labels": (classifier(training="stateful", shuffle=False, batch_size=3, n_layers=2, dropout=0.3), LABELS),
    "derived": (recurrent(cell="rglru", learning_rate_init=0.5), Y),  # streams keep what is derived of weights
    "stateful derived": (recurrent(cell="rglru", training="stateful", shuffle=False, learning_rate_init=0.5), Y),
    "bound": (recurrent(cell="indrnn", learning_rate_init=0.5), Y),
    "stateful bound": (recurrent(cell="indrnn", training="stateful", shuffle=False, learning_rate_init=0.5), Y),
    "no scaling": (regressor(input_scaling=None), Y),
}
OTHERS = {
    "schedule free": (regressor(solver="schedule_free"), Y),
    "seeds": (regressor(n_seeds=2), Y),
    "carried rows": (regressor(carry_context=True), Y),
    "constraint": (regressor(recurrent_constraint="spectral_norm"), Y),
    "linear skip": (regressor(linear_skip=2), Y),
}


def rows_of(begin, n):
    """A table with two rows before those that are learnt."""
    table = X[begin - 2 : begin + n]
    chosen = np.ones(len(table), bool)
    chosen[:2] = False
    return table, chosen


def same(one, other):
    assert set(vars(one)) == set(vars(other))
    for name, value in one.parameters_.items():
        assert (value == other.parameters_[name]).all(), name
    for name in ("loss_curve_", "gradient_norms_", "n_iter_", "best_loss_", "best_iteration_", "weight_decay_"):
        assert getattr(one, name) == getattr(other, name), name
    np.testing.assert_equal(one._training_state, other._training_state)
    np.testing.assert_equal(one._input_moments, other._input_moments)
    np.testing.assert_equal(getattr(one, "_coding", None), getattr(other, "_coding", None))


@pytest.mark.parametrize(("model", "y"), [*PLAIN.values(), *OTHERS.values()], ids=[*PLAIN, *OTHERS])
def test_updates_have_the_bits_of_partial_fit(model, y):
    first = clone(model).fit(X[:100], y[:100])
    candidate, expected = Candidate(first), first
    candidate.follow(X[98:100])
    candidate.step(X[100])
    for k, n in enumerate((9, 1, 9, 5, 1)):
        table, chosen = rows_of(100 + 10 * k, n)
        truths = y[98 + 10 * k : 100 + 10 * k + n]
        candidate = candidate.learnt(table, chosen, truths)
        expected = update(expected, table, chosen, truths)
        if k in (1, 4):
            same(candidate.model, expected)
    assert (candidate._session is not None) == any(model is plain for plain, _ in PLAIN.values())
    assert is_plain(expected) == (candidate._session is not None)
    if model.training == "stateful":
        candidate.stream.reset()
        other = Candidate(expected)
        for row in X[90:95]:
            np.testing.assert_equal(candidate.step(row), other.step(row))
    else:
        shown, _ = candidate.step(X[101])
        np.testing.assert_equal(shown, expected.predict(X[99:102])[-1])


def test_targets_that_outgrow_their_scale_are_measured_anew():
    first = regressor().fit(X[:100], Y[:100])
    candidate, expected = Candidate(first), first
    for k, factor in enumerate((1, 1, 30, 30, 1)):
        table, chosen = rows_of(100 + 10 * k, 9)
        truths = factor * Y[98 + 10 * k : 109 + 10 * k]
        candidate = candidate.learnt(table, chosen, truths)
        expected = update(expected, table, chosen, truths)
        same(candidate.model, expected)
    assert candidate.model.target_scale_ > 2 * first.target_scale_


def test_columns_that_begin_to_vary_get_a_scale():
    table = X.copy()
    table[:120, 2] = 5.0
    first = regressor().fit(table[:100], Y[:100])
    candidate, expected = Candidate(first), first
    for k in range(5):
        rows, (_, chosen) = table[98 + 10 * k : 109 + 10 * k], rows_of(100 + 10 * k, 9)
        candidate = candidate.learnt(rows, chosen, Y[98 + 10 * k : 109 + 10 * k])
        expected = update(expected, rows, chosen, Y[98 + 10 * k : 109 + 10 * k])
        same(candidate.model, expected)
    assert candidate.model.input_scale_[2] != first.input_scale_[2]


def test_an_update_that_diverges_leaves_everything(monkeypatch):
    from sklstm._online import session

    first = regressor(batch_size=3).fit(X[:100], Y[:100])
    candidate, expected = Candidate(first), first
    table, chosen = rows_of(100, 9)
    for _ in range(2):
        candidate = candidate.learnt(table, chosen, Y[98:109])
        expected = update(expected, table, chosen, Y[98:109])
    before = candidate.step(X[110])
    settings_for = session.Session._settings_for
    fast = lambda one, samples: session.replace(settings_for(one, samples), learning_rate=1e30)  # noqa: E731
    monkeypatch.setattr(session.Session, "_settings_for", fast)
    with pytest.raises(ValueError, match="Training diverged"):
        candidate.learnt(table, chosen, Y[98:109])
    monkeypatch.undo()
    same(candidate.model, expected)
    candidate.stream.reset()
    other = Candidate(expected)
    assert candidate.step(X[110]) == other.step(X[110])
    assert before[0] != candidate.step(X[111])[0]
    same(candidate.learnt(table, chosen, Y[98:109]).model, update(expected, table, chosen, Y[98:109]))


@pytest.mark.parametrize("options", [{}, {"cell": "gru", "n_layers": 2}], ids=str)
def test_states_are_carried_from_update_to_update(options):
    """Updates of `bptt_steps` rows, each from where the one before ended, are one update by all of them."""
    model = recurrent(training="stateful", shuffle=False, bptt_steps=8, batch_size=1, **options).fit(X[:100], Y[:100])
    # The first update makes what is kept; it learns from rows that are far away.
    far, chosen = X[700:709], np.arange(9) > 7
    candidate = Candidate(model).learnt(far, chosen, Y[700:709], 700)
    whole = Candidate(candidate.model).learnt(X[100:132], np.ones(32, bool), Y[100:132], 100)
    for begin in range(100, 132, 8):
        first = max(100, begin - 8)
        chosen = np.arange(first, begin + 8) >= begin
        candidate = candidate.learnt(X[first : begin + 8], chosen, Y[first : begin + 8], first)
        candidate = Candidate.from_state(candidate.state)  # also from a checkpoint
    for name, value in whole.model.parameters_.items():
        np.testing.assert_array_equal(value, candidate.model.parameters_[name])
    assert candidate.state["behind"] == 132
    np.testing.assert_array_equal(candidate.state["carried"], whole.state["carried"])
    # Truths that come late are learnt from zero states.
    before = candidate.model
    late, chosen = X[110:116], np.arange(6) > 3
    expected = update(before, late, chosen, Y[110:116])
    same(candidate.learnt(late, chosen, Y[110:116], 110).model, expected)


@pytest.mark.parametrize("update_every", [1, 3])
def test_a_copy_of_a_stateful_learner_goes_on_with_the_same_bits(update_every):
    model = regressor(training="stateful", shuffle=False, bptt_steps=4)
    one = learner(model, update_every=update_every).fit(X[:N_FITTED], Y[:N_FITTED])
    steps = list(calls(40))
    for call in steps[:47]:
        do(one, call)
    other = copy.deepcopy(one)
    for call in steps[47:]:
        np.testing.assert_equal(do(one, call), do(other, call))
    assert one._engine.champion.state["behind"] is not None
    assert digest(one) == digest(other) == digest(copy.deepcopy(one))


@pytest.mark.parametrize("training", ["windows", "stateful"])
def test_an_update_that_is_interrupted_anywhere_is_made_once(training):
    first = clone(regressor(training=training, shuffle=False, batch_size=4)).fit(X[:100], Y[:100])
    table, chosen = rows_of(100, 9)
    first = update(first, table, chosen, Y[98:109])

    def updated(line=None):
        """Make three updates; raise in one line of the second, and make that one again."""
        candidate, count = Candidate(first), 0

        def trace(frame, event, argument):
            nonlocal count
            if Path(frame.f_code.co_filename).name not in ("session.py", "candidate.py", "optimizers.py", "loop.py"):
                return None
            count += event == "line"
            if event == "line" and count == line:
                raise KeyboardInterrupt
            return trace

        for number in range(3):
            first_row = 110 + 10 * number
            table, chosen = rows_of(first_row, 9)
            arguments = table, chosen, Y[first_row - 2 : first_row + 9], first_row - 2, number
            if number == 1:
                before = sys.gettrace()
                sys.settrace(trace)
                try:
                    candidate.learnt(*arguments)
                except KeyboardInterrupt:
                    pass
                finally:
                    sys.settrace(before)
            candidate.learnt(*arguments)
        return candidate, count

    expected, n_lines = updated()
    for line in range(1, n_lines + 1, n_lines // 23):
        found, _ = updated(line)
        same(found.model, expected.model)
        np.testing.assert_equal(found.step(X[150]), expected.step(X[150]))
        expected.stream.reset()
