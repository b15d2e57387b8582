"""What fitting, predicting and streaming ask of the targets of an estimator."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np


class HeadChange(NamedTuple):
    """Change of the head by which outputs whose scale has changed answer as before (van Hasselt et al. 2016).

    Attributes
    ----------
    outputs : ndarray of shape (n_outputs,), dtype bool
        Which outputs change.
    factor, shift : ndarray of shape (n_outputs,)
        The raw output z becomes ``factor z + shift``.
    """

    outputs: np.ndarray
    factor: np.ndarray
    shift: np.ndarray


class Targets(ABC):
    """Targets of an estimator: their fitted attributes and their coding for the network.

    It is made of an estimator, fitted or not, which it does not change: `fitted` returns the new attributes of the
    estimator, plain arrays, numbers and strings. A fit calls `check`, `start`, `learn_groups`, `by_group`,
    `learn_weights`, `learn` and `encode` in this order; a fitted network's raw outputs go through `decode`.
    """

    #: Columns of X by whose `window_norm` the predictions are mapped back, or None.
    reference_columns = None

    #: Rows ahead that targets reach, 0 where that is not known.
    horizon = 0

    #: The labels of classes in the order of their codes, None where targets are no classes.
    classes = None

    #: Number of networks, the mean of whose answers is the answer.
    n_networks = 1

    @abstractmethod
    def check(self, y, name, present, title="row {}".format):
        """Return targets as an array; those of samples that are not `present` are ignored.

        ``title(row)`` is what a row of y is called in messages.
        """

    @abstractmethod
    def check_sequence(self, y, name):
        """Return the targets of the steps of one sequence as an array, before all of them are joined for `check`."""

    def horizon_of(self, y):
        """Return how many rows ahead targets reach, 0 where that is not known."""
        return 0

    @abstractmethod
    def start(self, part, names):
        """Learn what all targets are (outputs, classes), or check them against it; return the samples that count.

        Parameters
        ----------
        part : Part
            All samples, those of a validation part that is split off later included.
        names : ndarray of str or None
            Names of the columns of X.

        Returns
        -------
        Part
        """

    @abstractmethod
    def check_validation(self, part):
        """Check the targets of a validation part by those that were learnt; return the samples that count."""

    def class_codes(self, part):
        """Return the number of the class of each sample, None where targets are no classes."""
        return None

    def learn_weights(self, part):
        """Learn the factors of classes from the training part, if there are any; return the weights of its loss."""
        return part.weights

    def learn_groups(self, part):
        """Learn the unit of each group from the training part, if groups have units of their own."""
        return

    def by_group(self, part):
        """Return a part with the columns of X in the units of its groups, and weights balanced over them."""
        return part

    def moments(self, part, input_scale):
        """Return shifts and factors (n_samples, n_targets) that map answers back to the unit of y, if there are any.

        They stand beside the raw outputs that `decode` takes.
        """
        return ()

    def call_scales(self):
        """Return the `CallScales` of one call of `predict` and the like, None where groups have no units."""
        return None

    def stream_scales(self, n_features, group, n_streams, context):
        """Return the `StreamScales` of streams, None where groups have no units."""
        if group is not None:
            raise ValueError("group says in which unit a stream is: set group_scaling before fit, or leave it at None.")

    @property
    def n_moments(self):
        """Number of columns that `decode` takes beside the raw outputs."""
        return 0

    def learn(self, part, inputs, *, running):
        """Learn what the coding needs from the training part.

        Parameters
        ----------
        part : Part
        inputs : InputScales
            What the columns of X are standardised by.
        running : bool
            Whether this is a call of `partial_fit`: all of them together are the training part.

        Returns
        -------
        HeadChange or None
            What keeps the answers of a network that was trained before.
        """
        return None

    @abstractmethod
    def encode(self, part, inputs):
        """Return targets of shape (n_samples, n_outputs or 1) for the loss, and its weights."""

    @abstractmethod
    def decode(self, z, method, out=None):
        """Return what `method` (predict, ...) says for raw outputs z, or fill `out`.

        z has shape (n_samples, n_networks * n_outputs): the outputs of several networks stand side by side.
        """

    def _of_networks(self, z):
        """Return the raw outputs of each network."""
        return np.split(z, self.n_networks, axis=1)

    def decode_one(self, method):
        """Return a function that does to the one raw output, a float, of one network what `decode` does, or None."""
        return None

    @property
    @abstractmethod
    def n_outputs(self):
        """Number of outputs of a network."""

    @abstractmethod
    def network_loss(self):
        """Return the name of the loss in `LOSSES` and the number (or numbers) it needs, 0 where it needs none."""

    @abstractmethod
    def fitted(self):
        """Return the fitted attributes of the estimator, by name."""

    def check_fitted(self, n_features, window_norm):
        """Raise ValueError unless what was learnt could have been, for a network with so many inputs."""
        return
