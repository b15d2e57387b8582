"""The tasks of a fit, as scikit-learn's callbacks see them: the fit, its networks, and their epochs.

The root is the fit, with a task "epoch" for each epoch; with several networks (`n_seeds`), a task "network" for each
of them lies between. What the training tells (`EpochEnd`) is translated here.
"""

from contextlib import contextmanager
from threading import RLock

from sklstm._callbacks.fingerprint import checksum, fingerprint_of
from sklstm._callbacks.records import EpochRecord
from sklstm._callbacks.support import has_callbacks, with_callbacks, without_callbacks
from sklstm._snapshot import replace_fitted, snapshot_of


@contextmanager
def tasks_of(model, given, task_name="fit"):
    """Enter the `FitTasks` of a fit that begins; None without callbacks.

    Parameters
    ----------
    model : estimator
        The user's.
    given : Given
        Its samples as the user passed them.
    task_name : "fit" or "partial_fit", default="fit"
    """
    if not has_callbacks(model):
        yield None
        return
    tasks = FitTasks(model, given, task_name)
    try:
        yield tasks
    finally:
        tasks.release()


def _metadata(given):
    """Return what the user passed beside X and y, by the names of the arguments of `fit` and `score`."""
    names = {"sample_weight": given.sample_weight, "groups": given.groups}
    names |= {"future": given.future.rows, "future_groups": given.future.groups}
    return {name: value for name, value in names.items() if value is not None} or None


class FitTasks:
    """The tasks of one fit.

    Parameters
    ----------
    model : estimator
    given : Given
    task_name : str

    Attributes
    ----------
    raised : list of BaseException
        What callbacks have raised: one for each network that is trained side by side with others.
    """

    def __init__(self, model, given, task_name):
        self.model, self.task_name, self.root, self.raised = model, task_name, None, []
        self._arguments = {"estimator": model, "X": given.X, "y": given.y, "metadata": _metadata(given)}
        # Networks that are trained side by side call one at a time. A callback may be in several fits at once: those
        # that a search runs in threads.
        self.lock, self.n_networks, self._fingerprint = RLock(), 1, None

    def begin(self, n_networks, max_iter, samples, held_out):
        """Begin the fit, once its input has been checked."""
        self.n_networks, self.max_iter, self._data = n_networks, max_iter, (samples, held_out)
        parts = {"max_subtasks": max_iter}
        if n_networks > 1:
            parts = {"max_subtasks": n_networks, "sequential_subtasks": False}
        self.root = self.model._init_callback_context(task_name=self.task_name, **parts)
        if n_networks == 1:
            # Its epochs are those of the fit: what is known of its training is there before they begin.
            return
        self.call_begin(self.root)

    def network(self, which):
        """Return the tasks of one network."""
        if self.n_networks == 1:
            return NetworkTasks(self, self.root, which)
        with self.lock:
            context = self.root.subcontext(task_name="network", task_id=which, max_subtasks=self.max_iter)
            return NetworkTasks(self, context, which)

    def end(self, work):
        """End the fit, with the fitted attributes that the estimator will have."""
        self.call_end(self.root, lambda: work)

    def release(self):
        """Let go of data and networks: the contexts live on in the tree of a search."""
        self._data = self._arguments = None
        self.raised.clear()
        for context in self.root or ():
            context.__dict__.pop("_sklstm_training", None)

    @contextmanager
    def _calling(self):
        """Let one network call at a time, and keep what a callback raises."""
        with self.lock:
            try:
                yield
            except BaseException as error:
                self.raised.append(error)
                raise

    def call_begin(self, context):
        """Tell that a task begins."""
        with self._calling():
            context.call_on_fit_task_begin(**self._arguments)

    def call_end(self, context, fitted):
        """Tell that a task has ended; return whether a callback asks to stop.

        ``fitted()`` is an estimator with the fitted attributes of this moment, of which a copy is made for callbacks.
        """

        def attributes():
            """Return what makes a copy of the estimator a fitted one."""
            # All at once: attributes of an earlier fit are not left behind.
            whole = snapshot_of(self.model)
            whole.__dict__ = without_callbacks(whole.__dict__)
            replace_fitted(whole, without_callbacks(fitted().__dict__))
            return {"__dict__": whole.__dict__}

        with self._calling():
            return context.call_on_fit_task_end(**self._arguments, reconstruction_attributes=attributes)

    def fingerprint(self):
        """Return what a checkpoint must have in common with this fit."""
        with self.lock:
            if self._fingerprint is None:
                self._fingerprint = fingerprint_of(self.model, self.n_networks, *self._data)
            return self._fingerprint


@with_callbacks
def fit_as_one_task(model, given, fit_new):
    """Return ``fit_new(X, y, sample_weight, groups)``, an estimator, and tell of a fit that has no parts."""
    with tasks_of(model, given) as tasks:
        if tasks is None:
            return fit_new(*given[:4])
        tasks.root = model._init_callback_context(task_name="fit", max_subtasks=0)
        tasks.call_begin(tasks.root)
        work = fit_new(*given[:4])
        tasks.end(work)
        return work


class NetworkTasks:
    """The tasks of the training of one network.

    Parameters
    ----------
    fit : FitTasks
    context : CallbackContext
        Whose parts are the epochs.
    which : int
        The network, counted from 0.

    Attributes
    ----------
    resume_from : dict or None
        What a callback wants the training to go on from.
    state : callable or None
        ``state()``, where the training is: that of its last `EpochEnd`.
    """

    def __init__(self, fit, context, which):
        self.fit, self.context, self.which = fit, context, which
        self.resume_from = self.state = self.seed = self._start = self._epoch = None
        context._sklstm_training = self

    def begin(self, seed, start):
        """Tell that the training begins; return the seed to use.

        Parameters
        ----------
        seed : int
            Of initial weights, order and dropout. A callback that has the training resumed may change it.
        start : ndarray or None
            The parameters of a network that is trained on.
        """
        self.seed, self._start = seed, start
        self.fit.call_begin(self.context)
        if self.resume_from is None or not self.resume_from["is_over"]:
            self.begin_epoch()
        return self.seed

    def start_checksum(self):
        """Return a checksum of the parameters of a network that is trained on; None for a new one."""
        return None if self._start is None else checksum(self._start)

    def begin_epoch(self):
        """Tell that an epoch begins."""
        with self.fit.lock:
            self._epoch = self.context.subcontext(task_name="epoch")
            self.fit.call_begin(self._epoch)

    def after_epoch(self, learnt, last):
        """Return the function that the training calls after each epoch.

        Parameters
        ----------
        learnt : callable
            ``learnt(end)``, an estimator with the parameters that it had at an `EpochEnd`.
        last : int
            The number of the last epoch that there may be.
        """

        def told(end):
            """Tell of an epoch that has ended, and of the next; return whether a callback asks to stop."""
            self.state, epoch = end.state, end.epoch
            self._epoch.epoch = EpochRecord(
                end.number,
                last,
                epoch.loss,
                epoch.gradient_norm,
                epoch.validation_loss,
                epoch.validation_score,
                end.is_best,
                end.is_last,
                end.learning_rate,
                end.n_samples,
                end.seconds,
                self.which,
                self.fit.n_networks,
            )
            wants_stop = self.fit.call_end(self._epoch, lambda: learnt(end))
            if not (wants_stop or end.is_last):
                self.begin_epoch()
            return wants_stop

        return told

    def end(self, model):
        """Tell that the training of one of several networks has ended."""
        if self.fit.n_networks > 1:
            self.fit.call_end(self.context, lambda: model)
