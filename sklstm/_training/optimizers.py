"""Optimizers: steps in place on a network's weights, in the layout of the kernels.

An optimizer is an entry of the registry with `step` and a state of plain arrays; it allocates once. Its state is saved
in the order of the named parameters and so does not depend on the kernels' layout.
"""

import math

import numpy as np

from sklstm._kernels.optim import _updates
from sklstm._network.workspace import aligned_empty


class AdamW:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2).

    Parameters
    ----------
    network : Network
        Whose weights are updated.
    weight_decay : float
        Of all matrices; biases do not decay.
    state : dict or None
        A `state` to resume from.
    """

    # The names of the vectors of its state, and of those among them that are weights and not gradients.
    rule: str = "adamw"
    vectors: tuple[str, ...] = ("mean", "square")
    weight_vectors: tuple[str, ...] = ()
    beta1, beta2, epsilon = 0.9, 0.999, 1e-8
    # Whether the decay is taken from the weights, and not a part of the gradient.
    is_decoupled: bool = True

    def __init__(self, network, weight_decay, state=None):
        self._network = network
        self._n_steps = 0 if state is None else state["step"]
        self._vectors = {}
        for name in self.vectors:
            self._vectors[name] = aligned_empty(network.weights.nbytes).view(network.dtype)
            self._vectors[name][:] = 0 if state is None else network.to_panels(state[name])
        self._ends, self._decays = network.decay_segments(weight_decay)
        self._bound, self._bounded, self._next = None, None, None
        # Whether the weights of the last step are finite, and so are sums of their squares.
        self.is_finite = False

    def hold_bound(self, bound):
        """Keep the weights by which units read their own h within -bound and bound, now and after every step."""
        self._bound, self._bounded = bound, _unit_weights(self._network)
        self._cut_to_bound(self._network.weights)

    def _cut_to_bound(self, weights):
        if self._bounded is not None:
            weights[self._bounded] = np.clip(weights[self._bounded], -self._bound, self._bound)

    @property
    def vectors_and_steps(self):
        """The vectors of the state by name, which steps write to, and the number of steps."""
        return self._vectors, self._n_steps

    @vectors_and_steps.setter
    def vectors_and_steps(self, value):
        """Set both."""
        self._vectors, self._n_steps = value
        self._next = None

    def write_next_to(self, weights, vectors):
        """Let the next step leave the weights and the state, and write both to other arrays, which are used then."""
        self._next = weights, vectors

    @property
    def state(self):
        """The state as a dict of plain arrays and numbers."""
        vectors = {name: self._network.from_panels(vector) for name, vector in self._vectors.items()}
        return {"step": self._n_steps, **vectors}

    def step(self, weights, gradient, learning_rate, scale=1.0, **more):
        """Update `weights` in place by the gradient times `scale`."""
        self._n_steps += 1
        first, second = (*self._vectors.values(), None)[:2]
        source = None
        if self._next is not None:
            source, (weights, vectors) = (weights, first, second), self._next
            first, second = (*vectors.values(), None)[:2]
        self.is_finite = _updates.update_step(
            self.rule,
            weights,
            gradient,
            first,
            second,
            self._ends,
            self._decays,
            self._network.n_threads,
            scale=scale,
            learning_rate=learning_rate,
            beta1=self.beta1,
            beta2=self.beta2,
            epsilon=self.epsilon,
            step=self._n_steps,
            source=source,
            **more,
        )
        if source is not None:
            self._vectors, self._next = vectors, None
            self._network.use(weights)
        self._cut_to_bound(weights)
        for name in self.vectors:
            if name in self.weight_vectors:
                self._cut_to_bound(self._vectors[name])

    def use_average(self):
        """Replace the training weights by the weights for prediction, where the two differ."""

    def use_training_weights(self):
        """Undo `use_average`."""


class Adam(AdamW):
    """Adam (Kingma & Ba 2015, algorithm 1); the decay is an L2 penalty, a part of the gradient."""

    rule, is_decoupled = "adam", False


class SGD(AdamW):
    """Gradient descent with momentum 0.9 (Polyak 1964) and decoupled weight decay."""

    rule, vectors = "sgd", ("velocity",)


class ScheduleFree(AdamW):
    """Schedule-free AdamW (Defazio et al. 2024, algorithm 1, with beta = 0.9).

    Gradients are taken at y, an interpolation between the iterate z and the running mean x of all z, which is used for
    prediction; no schedule is needed that knows the end of the training.
    """

    rule, vectors, weight_vectors = "schedule_free", ("point", "square"), ("point", "training")

    def __init__(self, network, weight_decay, state=None):
        super().__init__(network, weight_decay, state)
        self._sum_of_squares = 0.0 if state is None else state["sum_of_squares"]
        # The training weights y, while the network holds those for prediction.
        self._training = None
        if state is None:
            self._vectors["point"][:] = network.weights
        else:
            network.weights[:] = network.to_panels(state["training"])

    @property
    def state(self):
        """The state as a dict of plain arrays and numbers, which includes the training weights."""
        training = self._network.weights if self._training is None else self._training
        return {
            **super().state,
            "sum_of_squares": self._sum_of_squares,
            "training": self._network.from_panels(training),
        }

    def step(self, weights, gradient, learning_rate, scale=1.0):
        """Update `weights` in place by the gradient times `scale`."""
        rate = learning_rate * math.sqrt(1.0 - self.beta2 ** (self._n_steps + 1))
        self._sum_of_squares += rate * rate  # (** raises where it overflows)
        # A step of size 0 (the end of a schedule) has no weight in the mean.
        mixing = rate * rate / self._sum_of_squares if rate * rate > 0 else 0.0
        super().step(weights, gradient, rate, scale, mixing=mixing)

    def use_average(self):
        """Replace the point where gradients are taken by the running mean."""
        weights = self._network.weights
        self._training = weights.copy()
        weights[:] = (weights - (1 - self.beta1) * self._vectors["point"]) / self.beta1
        self._cut_to_bound(weights)

    def use_training_weights(self):
        """Undo `use_average`."""
        self._network.weights[:] = self._training
        self._training = None


def _unit_weights(network):
    """Return the positions, among the weights of a network, of those by which units read their own h."""
    flat = np.zeros(network.layout.size, network.dtype)
    for name, view in network.layout.views(flat).items():
        view[...] = name.startswith("weight_recurrent")
    return np.flatnonzero(network.to_panels(flat))


OPTIMIZERS = {"adamw": AdamW, "adam": Adam, "sgd": SGD, "schedule_free": ScheduleFree}
