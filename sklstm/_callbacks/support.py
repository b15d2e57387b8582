"""The callback protocol of the scikit-learn that is installed: its own from 1.9 on, else that of `protocol`.

scikit-learn's package is imported with the first fit, which does so anyway, or with the first callback: it takes as
long as all else together.
"""

import functools
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol, Self

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


if TYPE_CHECKING or find_spec("sklearn.callback") is not None:

    class CallbackSupport:
        """Callbacks of an estimator: the methods of scikit-learn's `CallbackSupportMixin`."""

        def set_callbacks(self, *callbacks: Callback) -> Self:
            """Set the callbacks of the estimator, in place of those before.

            Parameters
            ----------
            *callbacks : callback
                Objects of `sklstm.callbacks`, of `sklearn.callback`, or others that follow the `FitCallback` protocol;
                none for no callbacks. They are no parameters: `get_params` does not know them; clones have the same.

            Returns
            -------
            self : object
                The estimator.

            Raises
            ------
            TypeError
                If one of them does not follow the protocol.
            """
            from sklearn.callback import CallbackSupportMixin

            CallbackSupportMixin.set_callbacks(self, *callbacks)
            return self

        def _init_callback_context(self, **keywords: Any) -> Any:
            from sklearn.callback import CallbackSupportMixin

            return CallbackSupportMixin._init_callback_context(self, **keywords)

    def _with_callbacks(method):
        from sklearn.callback import with_callbacks

        return with_callbacks(method)

else:
    from sklstm._callbacks.protocol import CallbackSupportMixin as CallbackSupport  # noqa: F401
    from sklstm._callbacks.protocol import with_callbacks as _with_callbacks


def has_callbacks(model):
    """Return whether an estimator has callbacks, also those that a meta-estimator has handed on to it."""
    return bool(model.__dict__.get("_skl_callbacks"))


def with_callbacks(function):
    """Call `teardown` of the callbacks of the first argument, an estimator, when a function has ended."""
    # scikit-learn's decorators of `fit` would do so once the fitted attributes are replaced, and not in `distill`.

    @functools.wraps(function)
    def run(model, *args, **kwargs):
        """Call it."""
        call = _with_callbacks(function) if has_callbacks(model) else function
        return call(model, *args, **kwargs)

    return run


def without_callbacks(attributes):
    """Return the attributes of an estimator without its callbacks and their contexts."""
    return {name: value for name, value in attributes.items() if name not in ATTRIBUTES}
