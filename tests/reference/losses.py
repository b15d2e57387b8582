"""Losses on the output of the head, each with its gradient.

Every function takes `z` (N, O), `y` and `sample_weight` (N,) (default ones), and returns the
*sum* over the samples of weight times loss, and its gradient by `z` (N, O). For a mean, hand in
weights that sum to one.
"""

import numpy as np


def _prepare(z, sample_weight):
    z = np.asarray(z, dtype=np.float64)
    weight = np.ones(len(z)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    return z, weight


def half_squared_error(z, y, sample_weight=None):
    """``sum_n w_n * 0.5 * sum_o (z_no - y_no)^2`` with targets `y` (N, O): a sum over outputs."""
    z, weight = _prepare(z, sample_weight)
    error = z - np.asarray(y, dtype=np.float64).reshape(z.shape)
    return np.sum(weight * 0.5 * np.sum(error**2, axis=1)), weight[:, None] * error


def binary_log_loss(z, y, sample_weight=None):
    """Cross-entropy of labels `y` (N,) in {0, 1} with probability ``sigmoid(z)``; `z` is (N, 1).

    ``-y log(s(z)) - (1 - y) log(1 - s(z)) = log(1 + exp(z)) - y z``, because
    ``log s(z) = -log(1 + exp(-z))`` and ``log(1 - s(z)) = -log(1 + exp(z))``.
    """
    z, weight = _prepare(z, sample_weight)
    logit, y = z[:, 0], np.asarray(y, dtype=np.float64)
    loss = np.logaddexp(0.0, logit) - y * logit
    probability = np.exp(-np.logaddexp(0.0, -logit))
    return np.sum(weight * loss), (weight * (probability - y))[:, None]


def multinomial_log_loss(z, y, sample_weight=None):
    """Cross-entropy of labels `y` (N,) in {0, ..., O-1} with probabilities ``softmax(z)``.

    ``-log softmax(z)_y = log(sum_o exp(z_o)) - z_y``; its gradient is ``softmax(z) - onehot(y)``.
    """
    z, weight = _prepare(z, sample_weight)
    log_sum = np.logaddexp.reduce(z, axis=1)
    onehot = np.eye(z.shape[1])[np.asarray(y, dtype=int)]
    loss = log_sum - np.sum(onehot * z, axis=1)
    return np.sum(weight * loss), weight[:, None] * (np.exp(z - log_sum[:, None]) - onehot)


LOSSES = {
    "squared": half_squared_error,
    "binary": binary_log_loss,
    "multinomial": multinomial_log_loss,
}
