"""AdamW and clipping by the global norm, on dicts of named arrays, in float64.

Nothing is changed in place: every function returns new dicts.
"""

from typing import NamedTuple

import numpy as np


class AdamWState(NamedTuple):
    """Number of steps taken, and the running means of gradient and squared gradient by name."""

    n_steps: int
    mean: dict
    mean_square: dict


def adamw_start(parameters):
    """State before the first step: zeros."""
    zeros = {name: np.zeros(np.shape(value)) for name, value in parameters.items()}
    return AdamWState(0, zeros, dict(zeros))


def adamw_step(
    parameters,
    gradients,
    state,
    *,
    learning_rate=1e-3,
    beta_1=0.9,
    beta_2=0.999,
    epsilon=1e-8,
    weight_decay=0.01,
):
    """One step of Adam with decoupled weight decay.

    With ``m = beta_1 m + (1 - beta_1) grad`` and ``v = beta_2 v + (1 - beta_2) grad^2``, freed of
    their start at zero by ``1 / (1 - beta^n)`` at step ``n`` (the first is 1)::

        p = p - learning_rate * weight_decay * p - learning_rate * m^ / (sqrt(v^) + epsilon)

    Both terms use ``p`` before the step; `epsilon` stands outside of the root, as in PyTorch.

    Parameters
    ----------
    parameters, gradients : dict of arrays
    state : AdamWState
        From `adamw_start` or from the last step.
    weight_decay : float or dict of floats by parameter name
        A dict lets some parameters (biases) go without; a name that it lacks is not decayed.

    Returns
    -------
    parameters : dict
    state : AdamWState

    References
    ----------
    Kingma, D. P., Ba, J. (2015). Adam: A Method for Stochastic Optimization. ICLR.
    Loshchilov, I., Hutter, F. (2019). Decoupled Weight Decay Regularization. ICLR, algorithm 2.
    """
    n_steps = state.n_steps + 1
    new, mean, mean_square = {}, {}, {}
    for name, parameter in parameters.items():
        p = np.asarray(parameter, dtype=np.float64)
        gradient = np.asarray(gradients[name], dtype=np.float64)
        decay = weight_decay.get(name, 0.0) if isinstance(weight_decay, dict) else weight_decay
        mean[name] = beta_1 * state.mean[name] + (1.0 - beta_1) * gradient
        mean_square[name] = beta_2 * state.mean_square[name] + (1.0 - beta_2) * gradient**2
        mean_hat = mean[name] / (1.0 - beta_1**n_steps)
        mean_square_hat = mean_square[name] / (1.0 - beta_2**n_steps)
        adam = mean_hat / (np.sqrt(mean_square_hat) + epsilon)
        new[name] = p - learning_rate * decay * p - learning_rate * adam
    return new, AdamWState(n_steps, mean, mean_square)


def clip_by_global_norm(gradients, max_norm):
    """Scale all gradients by ``min(1, max_norm / (norm + 1e-6))``.

    ``norm`` is the Euclidean norm of all of them as one vector. The 1e-6 keeps a zero gradient
    finite, and means that a norm of exactly `max_norm` is scaled by a hair less than one; the same
    constant as in PyTorch's ``clip_grad_norm_``.

    Returns
    -------
    gradients : dict of arrays
    norm : float
        Before the scaling.

    References
    ----------
    Pascanu, R., Mikolov, T., Bengio, Y. (2013). On the difficulty of training recurrent neural
    networks. ICML.
    """
    squares = [np.sum(np.asarray(g, dtype=np.float64) ** 2) for g in gradients.values()]
    norm = float(np.sqrt(np.sum(squares)))
    scale = min(1.0, max_norm / (norm + 1e-6))
    return {name: scale * np.asarray(g, np.float64) for name, g in gradients.items()}, norm
