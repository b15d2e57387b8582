"""The callback protocol of scikit-learn 1.9 for older versions: contexts, `set_callbacks`, and clones that keep them.

The same names do the same, so that a callback need not know which version runs. Meta-estimators of the older versions
know nothing of callbacks: what is set on a network inside them is called, and nothing is handed on to it.
"""

import copy
import functools
import inspect
import uuid
from datetime import UTC, datetime

HOOKS = ("setup", "teardown", "on_fit_task_begin", "on_fit_task_end")
ARGUMENTS = ("X", "y", "metadata", "fitted_estimator")


class CallbackContext:
    """A task of a fit: the fit itself, or a part of it.

    Parameters
    ----------
    callbacks : list
    estimator_name, task_name : str
    task_id : int
        Of the task among those of its parent.
    max_subtasks : int or None
        Largest number of parts; 0 for a task that has none, None where it is not known.
    sequential_subtasks : bool
        Whether its parts follow each other, with numbers from 0 on.
    parent : CallbackContext or None
    """

    def __init__(self, callbacks, estimator_name, task_name, task_id, max_subtasks, sequential_subtasks, parent=None):
        self._callbacks, self.estimator_name = callbacks, estimator_name
        self.task_name, self.task_id = task_name, task_id
        self.max_subtasks, self.sequential_subtasks = max_subtasks, sequential_subtasks
        self.parent, self._children = parent, {}
        self.root_uuid = uuid.uuid4() if parent is None else parent.root_uuid
        self.init_time = datetime.now(UTC)
        self.source_estimator_name = self.source_task_name = None

    def __iter__(self):
        """Yield this task and, depth first, all its parts."""
        yield self
        for child in self._children.values():
            yield from child

    def __repr__(self):
        return (
            f"CallbackContext(estimator_name={self.estimator_name!r}, task_name={self.task_name!r}, "
            f"task_id={self.task_id})"
        )

    def subcontext(self, task_name="", task_id=None, max_subtasks=0, sequential_subtasks=True):
        """Return the context of a new part of this task."""
        if self.sequential_subtasks != (task_id is None):
            wanted = "be None" if self.sequential_subtasks else "be given"
            raise ValueError(f"task_id of {task_name!r} must {wanted}: sequential_subtasks={self.sequential_subtasks}.")
        task_id = len(self._children) if task_id is None else task_id
        if task_id in self._children or len(self._children) == self.max_subtasks:
            raise ValueError(f"{self!r} has no place for another task {task_id} beside its {len(self._children)}.")
        child = CallbackContext(
            self._callbacks, self.estimator_name, task_name, task_id, max_subtasks, sequential_subtasks, self
        )
        self._children[task_id] = child
        return child

    def call_on_fit_task_begin(self, *, estimator, **arguments):
        """Call `on_fit_task_begin` of all callbacks; return this context."""
        self._call("on_fit_task_begin", estimator, arguments)
        return self

    def call_on_fit_task_end(self, *, estimator, **arguments):
        """Call `on_fit_task_end` of all callbacks; return whether one of them asks to stop."""
        return self._call("on_fit_task_end", estimator, arguments)

    def _call(self, hook, estimator, arguments):
        """Call a hook with what its signature asks for, each argument computed once, and only if it is asked for."""
        result, known = False, {}
        for callback in self._callbacks:
            method = getattr(callback, hook)
            wanted = [p.name for p in inspect.signature(method).parameters.values() if p.kind is p.KEYWORD_ONLY]
            unknown = set(wanted) - set(ARGUMENTS)
            if unknown:
                raise TypeError(
                    f"{hook} of {type(callback).__name__} has arguments that are not known: {sorted(unknown)}. There "
                    f"are {', '.join(ARGUMENTS)}."
                )
            for name in wanted:
                if name not in known:
                    known[name] = _argument(name, estimator, arguments)
            result |= bool(method(estimator, self, **{name: known[name] for name in wanted}))
        return result


def _argument(name, estimator, arguments):
    value = arguments.get("reconstruction_attributes" if name == "fitted_estimator" else name)
    value = value() if callable(value) else value
    if name != "fitted_estimator" or value is None:
        return value
    fitted = copy.copy(estimator)
    for attribute, learnt in value.items():
        setattr(fitted, attribute, learnt)
    return fitted


class CallbackSupportMixin:
    """Callbacks of an estimator."""

    def set_callbacks(self, *callbacks):
        """Set the callbacks of the estimator, or none; raises TypeError if one does not follow the protocol."""
        for callback in callbacks:
            if isinstance(callback, type) or not all(callable(getattr(callback, hook, None)) for hook in HOOKS):
                raise TypeError(f"callbacks must be objects with the methods {', '.join(HOOKS)}; found {callback!r}.")
        if callbacks:
            self._skl_callbacks = list(callbacks)
        else:
            self.__dict__.pop("_skl_callbacks", None)
        return self

    def _init_callback_context(self, task_name="fit", task_id=0, max_subtasks=0, sequential_subtasks=True):
        """Return the context of a fit that begins, after `setup` of all callbacks."""
        callbacks = getattr(self, "_skl_callbacks", [])
        self._callback_fit_ctx = CallbackContext(
            callbacks, type(self).__name__, task_name, task_id, max_subtasks, sequential_subtasks
        )
        self._skl_callbacks_to_teardown = []
        for callback in callbacks:
            self._skl_callbacks_to_teardown.append(callback)
            callback.setup(estimator=self, context=self._callback_fit_ctx)
        return self._callback_fit_ctx

    def __sklearn_clone__(self):
        """Return a clone with the same callbacks, as in scikit-learn 1.9."""
        from sklearn.base import _clone_parametrized

        new = _clone_parametrized(self)
        if hasattr(self, "_skl_callbacks"):
            new._skl_callbacks = self._skl_callbacks
        return new


def with_callbacks(method):
    """Call `teardown` of the callbacks when a method of an estimator has ended, also by an error."""

    @functools.wraps(method)
    def run(estimator, *args, **kwargs):
        """Call it."""
        try:
            return method(estimator, *args, **kwargs)
        finally:
            _tear_down(estimator)

    return run


def _tear_down(estimator):
    known = estimator.__dict__
    context, callbacks = known.pop("_callback_fit_ctx", None), known.pop("_skl_callbacks_to_teardown", ())
    errors = []
    for callback in callbacks:
        try:
            callback.teardown(estimator=estimator, context=context)
        except Exception as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ExceptionGroup("Errors in teardown of callbacks", errors)
