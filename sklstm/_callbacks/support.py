"""The callback protocol of the scikit-learn that is installed: its own from 1.9 on, else that of `protocol`.

scikit-learn's package is imported with the first fit, which does so anyway, or with the first callback: it takes as
long as all else together.
"""

import functools
from importlib.util import find_spec
from typing import Any, Protocol, Self

IN_SCIKIT_LEARN = find_spec("sklearn.callback") is not None

# What scikit-learn keeps on an estimator.
ATTRIBUTES = ("_skl_callbacks", "_skl_callbacks_to_teardown", "_callback_fit_ctx", "_parent_callback_ctx")


class Callback(Protocol):
    """What scikit-learn calls a `FitCallback`; the keyword arguments of the last two methods are up to the callback."""

    def setup(self, estimator: Any, context: Any) -> None:
        """Prepare for a fit."""

    def teardown(self, estimator: Any, context: Any) -> None:
        """Clean up after it, also where it failed."""

    @property
    def on_fit_task_begin(self) -> Any:
        """``on_fit_task_begin(estimator, context)``, called at the beginning of each task."""

    @property
    def on_fit_task_end(self) -> Any:
        """``on_fit_task_end(estimator, context)``, called at the end of each task; true to stop."""


def _protocol():
    """Return the module of the protocol."""
    if IN_SCIKIT_LEARN:
        import sklearn.callback as protocol
    else:
        from sklstm._callbacks import protocol
    return protocol


class CallbackSupport:
    """Callbacks of an estimator: the methods of scikit-learn's `CallbackSupportMixin`."""

    def set_callbacks(self, *callbacks: Callback) -> Self:
        """Set the callbacks of the estimator, in place of those before.

        Parameters
        ----------
        *callbacks : callback
            Objects of `sklstm.callbacks`, of `sklearn.callback`, or others that follow the `FitCallback` protocol; none
            for no callbacks. They are no parameters: `get_params` does not know them; clones have the same.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        TypeError
            If one of them does not follow the protocol.
        """
        _protocol().CallbackSupportMixin.set_callbacks(self, *callbacks)
        return self

    def _init_callback_context(self, **keywords: Any) -> Any:
        return _protocol().CallbackSupportMixin._init_callback_context(self, **keywords)

    if not IN_SCIKIT_LEARN:

        def __sklearn_clone__(self) -> Self:
            """Return a clone with the same callbacks, as `clone` of scikit-learn 1.9 does by itself."""
            return _protocol().CallbackSupportMixin.__sklearn_clone__(self)


def has_callbacks(model):
    """Return whether an estimator has callbacks, also those that a meta-estimator has handed on to it."""
    return bool(model.__dict__.get("_skl_callbacks"))


def with_callbacks(function):
    """Call `teardown` of the callbacks of the first argument, an estimator, when a function has ended."""
    # scikit-learn's decorators of `fit` would do so once the fitted attributes are replaced, and not in `distill`.

    @functools.wraps(function)
    def run(model, *args, **kwargs):
        """Call it."""
        call = _protocol().with_callbacks(function) if has_callbacks(model) else function
        return call(model, *args, **kwargs)

    return run


def without_callbacks(attributes):
    """Return the attributes of an estimator without its callbacks and their contexts."""
    return {name: value for name, value in attributes.items() if name not in ATTRIBUTES}
