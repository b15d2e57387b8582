"""Losses: what a network is trained on, and how its raw output z becomes a prediction.

An entry of the registry names a kernel (`sklstm/_kernels/isa/_losses.pxi`) that computes value and gradient during
training; the functions here evaluate it on a validation part, in float64.
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.special import expit, logsumexp, softmax


@dataclass(frozen=True)
class Loss:
    """One loss.

    Attributes
    ----------
    name : str
        Name of the kernel.
    values : callable
        ``values(z, targets)``, the loss of each sample, shape (n_samples,).
    constant : callable
        ``constant(targets, weights, n_outputs)``, the raw output that is best when it has to be the same for all
        samples.
    link : callable
        ``link(z)``, the prediction: the target's mean, or class probabilities of shape (n_samples, n_classes).
    has_parameter : bool
        Whether `values` and `constant` wait for a ``parameter``; see `bound`.
    """

    name: str
    values: object
    constant: object
    link: object
    has_parameter: bool = False

    def bound(self, parameter):
        """Return the loss whose functions know the parameter (delta, quantile), where there is one."""
        if not self.has_parameter:
            return self
        return replace(
            self,
            values=partial(self.values, parameter=parameter),
            constant=partial(self.constant, parameter=parameter),
            has_parameter=False,
        )


def _squared(z, targets):
    return 0.5 * ((z - targets) ** 2).mean(axis=1)


def _weighted_mean(targets, weights, n_outputs):
    return np.average(targets, axis=0, weights=weights)


def _absolute(z, targets):
    return np.abs(z - targets).mean(axis=1)


def _weighted_quantile(targets, weights, n_outputs, parameter=0.5):
    order = np.argsort(targets, axis=0, kind="stable")
    shares = np.cumsum(weights[order], axis=0) / weights.sum()
    first = (shares >= parameter).argmax(axis=0)
    columns = np.arange(targets.shape[1])
    return targets[order[first, columns], columns]


def _quantile(z, targets, parameter):
    error = z - targets
    return np.where(error > 0, (1.0 - parameter) * error, -parameter * error).mean(axis=1)


def _huber(z, targets, parameter):
    size = np.abs(z - targets)
    return np.where(size <= parameter, 0.5 * size**2, parameter * (size - 0.5 * parameter)).mean(axis=1)


def _huber_centre(targets, weights, n_outputs, parameter):
    """Find the centre by re-weighted means from the median on (Huber 1964); a convex problem, they converge."""
    centre = _weighted_quantile(targets, weights, n_outputs)
    for _ in range(100):
        size = np.abs(targets - centre)
        w = weights[:, np.newaxis] * np.minimum(1.0, parameter / np.maximum(size, np.finfo(np.float64).tiny))
        centre = (w * targets).sum(axis=0) / w.sum(axis=0)
    return centre


def _binary_log(z, targets):
    return np.logaddexp(0.0, z[:, 0]) - targets[:, 0] * z[:, 0]


def _binary_prior(targets, weights, n_outputs):
    share = np.average(targets[:, 0], weights=weights)
    return np.array([np.log(share) - np.log1p(-share)]) if 0 < share < 1 else np.array([np.copysign(30.0, share - 0.5)])


def _binary_probabilities(z):
    positive = expit(z[:, 0])
    return np.column_stack([expit(-z[:, 0]), positive])


def _multinomial_log(z, targets):
    labels = targets[:, 0].astype(np.intp)
    return logsumexp(z, axis=1) - z[np.arange(len(z)), labels]


def _multinomial_prior(targets, weights, n_outputs):
    labels = targets[:, 0].astype(np.intp)
    counts = np.bincount(labels, weights=weights, minlength=n_outputs)
    # A class that is absent gets a small share instead of minus infinity.
    return np.log(np.maximum(counts / counts.sum(), 1e-13))


LOSSES = {
    "squared": Loss("squared", _squared, _weighted_mean, lambda z: z),
    "absolute": Loss("absolute", _absolute, _weighted_quantile, lambda z: z),
    "huber": Loss("huber", _huber, _huber_centre, lambda z: z, has_parameter=True),
    "quantile": Loss("quantile", _quantile, _weighted_quantile, lambda z: z, has_parameter=True),
    "binary_log": Loss("binary_log", _binary_log, _binary_prior, _binary_probabilities),
    "multinomial_log": Loss("multinomial_log", _multinomial_log, _multinomial_prior, lambda z: softmax(z, axis=1)),
}


def mean_loss(loss, z, targets, weights):
    """Return the weighted mean of a loss over samples, in float64."""
    values = loss.values(np.asarray(z, np.float64), np.asarray(targets, np.float64))
    return float(np.average(values, weights=np.asarray(weights, np.float64)))


def explained_share(loss_value, null_value):
    """Return 1 - loss / loss of the best constant: R^2 for the squared loss, its analogue for the others.

    Where the constant is already perfect there is nothing to explain, and the negative loss is returned.
    """
    return 1.0 - loss_value / null_value if null_value > 0 else -loss_value
