"""Optimizers: steps in place on one flat vector of parameters.

An optimizer is an entry of the registry with `step` and a state of plain arrays; it allocates once.
"""

import numpy as np

from sklstm._kernels import _updates


class AdamW:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2).

    Parameters
    ----------
    layout : ParameterLayout
    dtype : dtype
    weight_decay : float
    n_threads : int
    state : dict or None
        What `state` returned, to go on where it was taken.
    """

    beta1, beta2, epsilon = 0.9, 0.999, 1e-8

    def __init__(self, layout, dtype, weight_decay, n_threads, state=None):
        state = state or {
            "step": 0,
            "mean": np.zeros(layout.size, dtype),
            "square": np.zeros(layout.size, dtype),
        }
        self._n_steps = state["step"]
        # Copies: the state that was handed in belongs to a fitted model, which a failing fit must not change. The
        # model may go on in another dtype.
        self._mean, self._square = state["mean"].astype(dtype), state["square"].astype(dtype)
        self._ends, self._decays = layout.decay_segments(weight_decay)
        self._n_threads = n_threads

    @property
    def state(self):
        """Return the state as a dict of plain arrays and numbers."""
        return {"step": self._n_steps, "mean": self._mean, "square": self._square}

    def step(self, parameters, gradient, learning_rate, scale=1.0):
        """Update `parameters` in place by the gradient times `scale`."""
        self._n_steps += 1
        _updates.adamw_step(
            parameters,
            gradient,
            self._mean,
            self._square,
            self._ends,
            self._decays,
            self._n_threads,
            scale=scale,
            learning_rate=learning_rate,
            beta1=self.beta1,
            beta2=self.beta2,
            epsilon=self.epsilon,
            step=self._n_steps,
        )


OPTIMIZERS = {"adamw": AdamW}
