"""The callback protocol for scikit-learn before 1.9, beside that of scikit-learn itself where it is there."""

import pytest
from sklearn.base import BaseEstimator, clone

from sklstm._callbacks import protocol


class Steps:
    """An estimator of three steps, `fit_steps`, on either protocol."""

    def __init__(self, n_steps=3):
        self.n_steps = n_steps

    def fit(self, X, y, fail_at=None):
        self.asked = []
        arguments = {"estimator": self, "X": X, "y": lambda: self.asked.append("y") or y, "metadata": {"w": 1}}
        root = self._init_callback_context(max_subtasks=self.n_steps).call_on_fit_task_begin(**arguments)
        for step in range(self.n_steps):
            context = root.subcontext(task_name="step").call_on_fit_task_begin(**arguments)
            if step == fail_at:
                raise ArithmeticError("in the middle")
            learnt = {"steps_": step + 1}
            if context.call_on_fit_task_end(**arguments, reconstruction_attributes=lambda learnt=learnt: learnt):
                break
        root.call_on_fit_task_end(**arguments)
        self.steps_ = step + 1
        return self


class OldSteps(Steps, protocol.CallbackSupportMixin, BaseEstimator):
    fit = protocol.with_callbacks(Steps.fit)


KINDS = [OldSteps]
try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:
    pass
else:

    class NewSteps(Steps, CallbackSupportMixin, BaseEstimator):
        fit = with_callbacks(Steps.fit)

    KINDS.append(NewSteps)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


class Note:
    def __init__(self, stop_at=None, fail_in=()):
        self.stop_at, self.fail_in, self.calls, self.seen = stop_at, fail_in, [], []

    def note(self, hook, estimator, context):
        self.calls.append((hook, context.task_name, context.task_id))
        self.context = context
        if hook in self.fail_in:
            raise RuntimeError(hook)

    def setup(self, estimator, context):
        self.note("setup", estimator, context)

    def teardown(self, estimator, context):
        self.note("teardown", estimator, context)

    def on_fit_task_begin(self, estimator, context):
        self.note("begin", estimator, context)

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        self.note("end", estimator, context)
        self.seen.append((X, y, metadata, getattr(fitted_estimator, "steps_", None)))
        return self.stop_at == context.task_id and context.task_name == "step"


class Quiet(Note):
    def on_fit_task_end(self, estimator, context):
        self.note("end", estimator, context)


STEP = [[("begin", "step", k), ("end", "step", k)] for k in range(3)]
BEGIN, END = [("setup", "fit", 0), ("begin", "fit", 0)], [("end", "fit", 0), ("teardown", "fit", 0)]


def test_calls_and_arguments(kind):
    note, other, X, y = Note(), Note(), object(), object()
    model = kind().set_callbacks(note, other).fit(X, y)
    assert note.calls == other.calls == [*BEGIN, *STEP[0], *STEP[1], *STEP[2], *END]
    assert note.seen == [(X, y, {"w": 1}, k) for k in (1, 2, 3, None)]
    assert not set(vars(model)) & {"_callback_fit_ctx", "_skl_callbacks_to_teardown"}


def test_arguments_are_computed_once_and_when_asked_for(kind):
    model = kind().set_callbacks(Quiet(), Quiet()).fit(0, 0)
    assert model.asked == []
    model.set_callbacks(Note(), Note()).fit(0, 0)
    assert model.asked == ["y"] * 4


def test_stopping(kind):
    note = Note(stop_at=1)
    assert kind().set_callbacks(Quiet(), note, Quiet()).fit(0, 0).steps_ == 2
    assert note.calls == [*BEGIN, *STEP[0], *STEP[1], *END]


def test_after_an_error(kind):
    first, second = Quiet(), Quiet()
    model = kind().set_callbacks(first, second)
    with pytest.raises(ArithmeticError, match="in the middle"):
        model.fit(0, 0, fail_at=1)
    assert first.calls == second.calls == [*BEGIN, *STEP[0], ("begin", "step", 1), ("teardown", "fit", 0)]
    assert set(vars(model)) == {"n_steps", "asked", "_skl_callbacks"}


def test_errors_of_callbacks(kind):
    beside = Quiet()
    with pytest.raises(RuntimeError, match="setup"):
        kind().set_callbacks(beside, Quiet(fail_in=["setup"]), Quiet()).fit(0, 0)
    assert beside.calls[-1] == ("teardown", "fit", 0)
    with pytest.raises(RuntimeError, match="teardown"):
        kind().set_callbacks(Quiet(fail_in=["teardown"]), beside).fit(0, 0)
    failing = [Quiet(fail_in=["teardown"]) for _ in range(2)]
    with pytest.raises(ExceptionGroup, match="teardown") as told:
        kind().set_callbacks(*failing).fit(0, 0)
    assert [str(error) for error in told.value.exceptions] == ["teardown"] * 2


@pytest.mark.parametrize("wrong", [print, Note, "step", None])
def test_what_is_no_callback(kind, wrong):
    with pytest.raises(TypeError, match="callbacks must be"):
        kind().set_callbacks(wrong)


def test_unknown_arguments(kind):
    class Asks(Quiet):
        def on_fit_task_end(self, estimator, context, *, loss):
            pass

    with pytest.raises(TypeError, match="loss"):
        kind().set_callbacks(Asks()).fit(0, 0)


def test_setting_none_removes_them(kind):
    model = kind().set_callbacks(Quiet())
    assert not hasattr(model.set_callbacks(), "_skl_callbacks")
    assert model.fit(0, 0).steps_ == 3


def test_clones(kind):
    note = Note()
    model = kind().set_callbacks(note)
    assert clone(model)._skl_callbacks == [note]
    assert not hasattr(clone(kind()), "_skl_callbacks")
    assert model.get_params() == {"n_steps": 3}


def test_contexts(kind):
    note = Note()
    model = kind().set_callbacks(note).fit(0, 0)
    root = note.context
    assert [context.task_id for context in root] == [0, 0, 1, 2]
    step = list(root)[1]
    assert step.parent is root
    assert step.root_uuid == root.root_uuid
    assert (step.max_subtasks, root.max_subtasks, root.sequential_subtasks) == (0, 3, True)
    assert step.estimator_name == root.estimator_name == type(model).__name__
    assert (root.source_estimator_name, root.source_task_name) == (None, None)
    assert step.init_time >= root.init_time
    assert "task_name='step'" in repr(step)
    for wrong, arguments in (("must be None", {"task_id": 3}), (r"place|already", {})):
        with pytest.raises(ValueError, match=wrong):
            root.subcontext(**arguments)


def test_contexts_in_any_order(kind):
    root = kind()._init_callback_context(max_subtasks=3, sequential_subtasks=False)
    assert root.subcontext(task_id=2).task_id == 2
    with pytest.raises(ValueError, match="must be"):
        root.subcontext()
    with pytest.raises(ValueError, match=r"place|already"):
        root.subcontext(task_id=2)
