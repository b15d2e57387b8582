"""What a callback learns of an epoch."""

from typing import NamedTuple


class EpochRecord(NamedTuple):
    """One epoch of the training of a network, the attribute `epoch` of its context in `on_fit_task_end`.

    Parameters
    ----------
    number : int
        From 1, as `n_iter_` counts: over all fits of a network that is trained on.
    last : int
        The number that `max_iter` allows.
    loss : float
        Training loss, as in `loss_curve_`.
    gradient_norm : float
        Mean norm of the gradient, as in `gradient_norms_`.
    validation_loss, validation_score : float or None
        As in `validation_loss_curve_` and `validation_scores_`; None without a validation part.
    is_best : bool
        Whether it is the best so far, by the validation score or, without one, by the training loss.
    is_last : bool
        Whether the training ends here, by its last epoch or by early stopping.
    learning_rate : float
        Step size of its last step.
    n_samples : int
        Samples it was trained on.
    seconds : float
        What it took, with the validation part and without callbacks.
    network, n_networks : int
        Which of the networks of `n_seeds` it is, counted from 0, and how many there are.

    Examples
    --------
    >>> class StopBelow:
    ...     def __init__(self, loss):
    ...         self.loss = loss
    ...
    ...     def setup(self, estimator, context): ...
    ...
    ...     def teardown(self, estimator, context): ...
    ...
    ...     def on_fit_task_begin(self, estimator, context): ...
    ...
    ...     def on_fit_task_end(self, estimator, context):
    ...         return context.task_name == "epoch" and context.epoch.loss < self.loss
    >>> import numpy as np
    >>> from sklstm import DeepLSTMRegressor
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> model = DeepLSTMRegressor(learning_rate_init=0.01, random_state=0).set_callbacks(StopBelow(0.1))
    >>> len([loss for loss in model.fit(X, X[:, 0]).loss_curve_ if loss < 0.1])
    1
    """

    number: int
    last: int
    loss: float
    gradient_norm: float
    validation_loss: float | None
    validation_score: float | None
    is_best: bool
    is_last: bool
    learning_rate: float
    n_samples: int
    seconds: float
    network: int = 0
    n_networks: int = 1
