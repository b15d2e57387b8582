"""Optimizers: steps in place on a network's weights, in the layout of the kernels.

An optimizer is an entry of the registry with `step` and a state of plain arrays; it allocates once. Its state comes and
goes in the order of the named parameters, so that it outlives the layout.
"""

import numpy as np

from sklstm._kernels import _updates


class AdamW:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2).

    Parameters
    ----------
    network : Network
        Whose weights it steps on.
    weight_decay : float
        Of all weights; biases do not decay.
    state : dict or None
        What `state` returned, to go on where it was taken.
    """

    beta1, beta2, epsilon = 0.9, 0.999, 1e-8

    def __init__(self, network, weight_decay, state=None):
        self._network = network
        self._n_steps = 0 if state is None else state["step"]
        self._mean, self._square = (
            np.zeros_like(network.weights) if state is None else network.to_panels(state[name])
            for name in ("mean", "square")
        )
        self._ends, self._decays = network.decay_segments(weight_decay)

    @property
    def state(self):
        """Return the state as a dict of plain arrays and numbers."""
        mean, square = (self._network.from_panels(moment) for moment in (self._mean, self._square))
        return {"step": self._n_steps, "mean": mean, "square": square}

    def step(self, weights, gradient, learning_rate, scale=1.0):
        """Update `weights` in place by the gradient times `scale`."""
        self._n_steps += 1
        _updates.adamw_step(
            weights,
            gradient,
            self._mean,
            self._square,
            self._ends,
            self._decays,
            self._network.n_threads,
            scale=scale,
            learning_rate=learning_rate,
            beta1=self.beta1,
            beta2=self.beta2,
            epsilon=self.epsilon,
            step=self._n_steps,
        )


OPTIMIZERS = {"adamw": AdamW}
