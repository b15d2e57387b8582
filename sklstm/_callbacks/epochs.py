"""What the callbacks of this package share: they follow the epochs of networks."""

from typing import Any

from sklstm._callbacks.records import EpochRecord


class EpochCallback:
    """Follows the epochs of the network that it is set on, also inside a pipeline or a search.

    It is not handed on by meta-estimators: it is set on the network, and clones of that network share it.
    """

    def setup(self, estimator: Any, context: Any) -> None:
        """Prepare for a fit; called by the estimator when it begins.

        Parameters
        ----------
        estimator : estimator
            The network that is fitted.
        context : CallbackContext
            The fit.
        """
        if not getattr(estimator, "_trains_in_epochs", False):
            name = type(self).__name__
            raise TypeError(
                f"{name} follows the epochs of a network, which {type(estimator).__name__} has none of: set it on the "
                f"network itself, as in make_pipeline(..., DeepLSTMRegressor().set_callbacks({name}(...)))."
            )
        self._setup(context)

    def teardown(self, estimator: Any, context: Any) -> None:
        """Clean up after a fit; called by the estimator when it has ended, also by an error.

        Parameters
        ----------
        estimator : estimator
            The network.
        context : CallbackContext
            The fit.
        """
        self._teardown(context)

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Take note of a task that begins; called by the estimator.

        Parameters
        ----------
        estimator : estimator
            The network.
        context : CallbackContext
            The fit, the training of one of several networks, or an epoch.
        """
        training = training_of(context)
        if training is not None:
            self._begin(training)

    def on_fit_task_end(self, estimator: Any, context: Any) -> bool:
        """Take what a task has given; called by the estimator when it has ended.

        Parameters
        ----------
        estimator : estimator
            The network.
        context : CallbackContext
            The fit, the training of one of several networks, or an epoch.

        Returns
        -------
        bool
            Whether the training is to stop.
        """
        record = getattr(context, "epoch", None)
        if record is not None:
            self._after_epoch(training_of(context.parent), record)
        else:
            self._end(context)
        return False

    # What a callback does; of these methods it has those that it needs.

    def _setup(self, root: Any) -> None:
        """Prepare for a fit."""

    def _begin(self, training: Any) -> None:
        """Take a `NetworkTasks` that begins."""

    def _after_epoch(self, training: Any, record: EpochRecord) -> None:
        """Take the record of an epoch."""

    def _end(self, context: Any) -> None:
        """Take the end of a fit, or of one of several networks."""

    def _teardown(self, root: Any) -> None:
        """Clean up after a fit."""


def training_of(context):
    """Return the `NetworkTasks` that a context stands for; None for that of an epoch, or of a fit around networks."""
    return getattr(context, "_sklstm_training", None)


def place_of(context):
    """Return the position of a context in the tree of tasks: the `task_id` of each from the root on."""
    return (*(() if context.parent is None else place_of(context.parent)), context.task_id)
