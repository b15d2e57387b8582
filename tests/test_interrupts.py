"""Ctrl-C: a fit keeps what it had learnt by its last finished epoch, and says so; the KeyboardInterrupt goes on."""

import copy
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from test_continued_training import same

from sklstm._training import history, loop
from sklstm._training.passes import WindowPasses

needs_posix = pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")

LEARNT = ["parameters_", "n_iter_", "loss_curve_", "gradient_norms_", "validation_scores_", "validation_loss_curve_",
          "best_iteration_", "best_validation_score_", "best_loss_", "loss_"]  # fmt: skip


def learnt(model):
    return {name: getattr(model, name) for name in LEARNT}


@pytest.fixture
def interrupt(monkeypatch):
    """Have Ctrl-C come in the n-th batch from now on."""

    def interrupt(n):
        calls, batch = [], WindowPasses._batch

        def spy(self, *arguments):
            calls.append(1)
            if len(calls) == n:
                raise KeyboardInterrupt
            return batch(self, *arguments)

        monkeypatch.setattr(WindowPasses, "_batch", spy)

    yield interrupt
    monkeypatch.undo()


def interrupted(model, *arguments, **keywords):
    with pytest.warns(UserWarning, match="fit was interrupted") as told, pytest.raises(KeyboardInterrupt):
        model.fit(*arguments, **keywords)
    assert told[0].filename == __file__
    return model, str(told[0].message)


SETTINGS = {"batch_size": 30, "max_iter": 20, "tol": 0.0, "n_iter_no_change": 20, "learning_rate_init": 0.1}


@pytest.mark.parametrize("batch", [4, 10, 12, 18])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"early_stopping": True},
        {"solver": "schedule_free", "dropout": 0.3, "n_layers": 2},
        {"solver": "schedule_free", "early_stopping": True},
        {"learning_rate": "reduce_on_plateau", "max_grad_norm": "adaptive"},
    ],
    ids=str,
)
def test_what_is_kept_are_the_finished_epochs(case, interrupt, options, batch):
    """Three batches in an epoch: the fourth is the first of the second epoch."""
    model = case.make(**{"early_stopping": False, **SETTINGS, **options})
    n_finished = (batch - 1) // 3
    expected = copy.copy(model).set_params(max_iter=n_finished).fit(case.X, case.y)
    interrupt(batch)
    _, message = interrupted(model, case.X, case.y)
    assert same(learnt(model), learnt(expected))
    best = model.best_iteration_
    which = f"{best}, the best so far" if options.get("early_stopping") else best
    assert message == (
        f"fit was interrupted in epoch {n_finished + 1}; the estimator is fitted, with the parameters of epoch {which}."
    )
    np.testing.assert_array_equal(case.output(model, case.X), case.output(expected, case.X))
    # It can go on, as any fitted estimator.
    assert model.partial_fit(case.X, case.y).n_iter_ == n_finished + 1


def test_the_best_epoch_is_not_the_last(case, interrupt):
    model = case.make(
        **{**SETTINGS, "early_stopping": True, "learning_rate_init": 1.0, "max_iter": 40, "n_iter_no_change": 60}
    )
    whole = copy.copy(model).fit(case.X, case.y)
    best = whole.best_iteration_
    assert 1 < best < 40
    interrupt(3 * 39 + 2)
    model, message = interrupted(model, case.X, case.y)
    assert model.n_iter_ == 39
    assert model.best_iteration_ == best
    assert same(model.parameters_, whole.parameters_)
    assert f"epoch {best}, the best so far" in message


@pytest.mark.parametrize("warm_start", [False, True])
def test_before_the_end_of_the_first_epoch_nothing_has_changed(case, interrupt, warm_start):
    for fitted in (False, True):
        model = case.make(**SETTINGS, warm_start=warm_start)
        if fitted:
            model.partial_fit(case.X, case.y)
        before = copy.deepcopy(vars(model))
        interrupt(3)
        with pytest.raises(KeyboardInterrupt):  # and no warning: it would be an error
            model.fit(case.X, case.y)
        assert same(vars(model), before)


def test_a_warm_start_counts_on(case, interrupt):
    model = case.make(**{**SETTINGS, "max_iter": 2}, early_stopping=False, warm_start=True).fit(case.X, case.y)
    expected = copy.deepcopy(model).set_params(max_iter=1).fit(case.X, case.y)
    interrupt(5)
    _, message = interrupted(model.set_params(max_iter=9), case.X, case.y)
    assert "interrupted in epoch 4" in message
    assert same(learnt(model), learnt(expected))


def test_partial_fit_leaves_nothing_behind(case, interrupt):
    model = case.make(**SETTINGS).partial_fit(case.X, case.y)
    before = copy.deepcopy(vars(model))
    interrupt(2)
    with pytest.raises(KeyboardInterrupt):
        model.partial_fit(case.X, case.y)
    assert same(vars(model), before)


def test_an_interrupt_behind_the_last_epoch(case, monkeypatch):
    """All has been learnt: `fit` keeps it, `partial_fit`, which keeps nothing by halves, does not."""

    def interrupted_check(*arguments):
        raise KeyboardInterrupt

    expected = case.make(**{**SETTINGS, "max_iter": 2}, early_stopping=False).fit(case.X, case.y)
    model = case.make(**{**SETTINGS, "max_iter": 2}, early_stopping=False)
    monkeypatch.setattr(loop, "check_last_step", interrupted_check)
    interrupted(model, case.X, case.y)
    assert same(learnt(model), learnt(expected))
    before = copy.deepcopy(vars(model))
    with pytest.raises(KeyboardInterrupt):
        model.partial_fit(case.X, case.y)
    assert same(vars(model), before)


def test_an_interrupt_goes_on_where_warnings_are_errors(case, interrupt):
    model = case.make(**SETTINGS)
    interrupt(4)
    with pytest.raises(KeyboardInterrupt):  # as pytest is set up here
        model.fit(case.X, case.y)
    assert model.n_iter_ == 1


def line_of_interrupts(n):
    """A trace function that raises Ctrl-C at the n-th line of the loop, its history, or what is made of that."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        code = frame.f_code
        if code.co_filename not in (loop.__file__, history.__file__) and code.co_name != "_fitted_attributes":
            return None
        if event == "line":
            count += 1
            if count == n:
                raise KeyboardInterrupt
        return trace

    return trace


@pytest.mark.filterwarnings("ignore:fit was interrupted:UserWarning")
@pytest.mark.parametrize("options", [{"early_stopping": True}, {"solver": "schedule_free", "early_stopping": False}])
def test_an_interrupt_at_any_line(regressor, options):
    """Between any two lines of the loop, and while it looks back: as it was, or k epochs, no mixture."""
    settings = {**SETTINGS, **options, "batch_size": 90, "max_iter": 4, "hidden_size": 2}
    fits = [learnt(regressor.make(**{**settings, "max_iter": k}).fit(regressor.X, regressor.y)) for k in (1, 2, 3, 4)]
    found, n = [], 0
    while True:
        n += 7  # a prime: all lines of the loop in turn, from epoch to epoch
        model = regressor.make(**settings)
        before = sys.gettrace()
        sys.settrace(line_of_interrupts(n))
        try:
            model.fit(regressor.X, regressor.y)
        except KeyboardInterrupt:
            pass
        else:
            break
        finally:
            sys.settrace(before)
        if hasattr(model, "parameters_"):
            assert same(learnt(model), fits[model.n_iter_ - 1]), f"line {n}"
            found.append(model.n_iter_)
        else:
            assert set(vars(model)) == set(vars(regressor.make()))
            assert not found, "an epoch had been finished"
    assert set(found) == {1, 2, 3, 4}


# Real signals

INTERRUPTED = """
import sys, warnings
import numpy as np
import sklstm
warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
X = rng.normal(size=(4000, 8))
y = X[:, 0] > 0
make = lambda: getattr(sklstm, sys.argv[1])(16, max_iter=1, sequence_length=8, n_jobs=2, random_state=0)
model = make().fit(X[:500], y[:500])
model.set_params(max_iter=10**6, n_iter_no_change=10**6, verbose=True)
parameters = model.get_params()
try:
    model.fit(X, y)
except KeyboardInterrupt:
    assert model.get_params() == parameters
    again = make().set_params(max_iter=model.n_iter_, n_iter_no_change=10**6).fit(X, y)
    assert model.n_iter_ >= 1
    assert (model.loss_curve_, model.best_iteration_) == (again.loss_curve_, again.best_iteration_)
    for name, array in model.parameters_.items():
        assert array.tobytes() == again.parameters_[name].tobytes()
    print("the same as", again.n_iter_, "epochs")
"""


@needs_posix
def test_ctrl_c_during_fit(case):
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, case.kind.__name__],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for number in (1, 2):
            assert process.stdout.readline().startswith(f"Epoch {number}/1000000: ")
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert re.search(r"^the same as \d+ epochs$", output, re.MULTILINE), errors
