"""The start of a network with a linear skip: a ridge regression of what its outputs are to be."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize_scalar

from sklstm._ridge.solution import solve_again, solve_ridge
from sklstm._ridge.windows import SkipWindows
from sklstm._training.losses import LOSSES, explained_share, least_loss, mean_loss, weighted_mean

# Added to targets that are divided by their mean before the logarithm is taken: zeros stay finite.
COUNT_OFFSET = 0.5
# Losses whose raw outputs are no numbers of the kind of their targets.
LINKED_LOSSES = ("poisson", "binary_log", "multinomial_log", "distilled_binary", "distilled_multinomial")
# The outputs of a loss with a link are multiples of the ridge regression's, at most so many times.
LARGEST_FACTOR = 30.0


@dataclass(frozen=True)
class LinearStart:
    """Parameters of the linear part of a network.

    Attributes
    ----------
    weights : ndarray of shape (n_outputs, linear_skip * n_features)
    intercept : ndarray of shape (n_outputs,)
    penalty : float
    """

    weights: np.ndarray
    intercept: np.ndarray
    penalty: float


def numbers_to_predict(loss, targets, n_outputs):
    """Return the numbers (n_samples, n_outputs) that a ridge regression predicts in place of a loss.

    Those of the targets themselves, logarithms of counts, and 1 and 0 for a class and the others.
    """
    targets = np.asarray(targets, np.float64)
    if loss == "poisson":
        return np.log(targets + COUNT_OFFSET)
    if loss == "multinomial_log":
        return np.equal(targets[:, :1], np.arange(n_outputs)).astype(np.float64)
    if loss == "distilled_binary":
        a0, a1, b0, b1 = np.moveaxis(targets.reshape(len(targets), -1, 4), 2, 0)
        return (a1 + b1) / (a0 + a1 + b0 + b1)
    if loss == "distilled_multinomial":
        shares = sum(np.split(targets, 2, axis=1))
        return shares / shares.sum(axis=1, keepdims=True)
    return targets


class LinearRegression:
    """The ridge regressions from which a network with a linear skip starts.

    Parameters
    ----------
    network : Network
        With `linear_skip`.
    loss_name : str
        A name from `LOSSES`.
    loss_parameter : float or sequence of float
    """

    def __init__(self, network, loss_name, loss_parameter):
        self._network, self._loss_name = network, loss_name
        self._loss, self._n_outputs = LOSSES[loss_name].bound(loss_parameter), network.layout.n_outputs
        self._has_link = loss_name in LINKED_LOSSES
        self._penalty, self._factor = np.inf, 1.0

    def solve(self, samples, validation, seed=0):
        """Return the `LinearStart` of a training part, with the penalty and the factor that are best.

        Parameters
        ----------
        samples : Samples
        validation : Samples or None
        seed : int, default=0
        """
        counts = _has_weight(samples)
        samples, validation = (one and self._complete(one) for one in (_with_weights(samples), validation))
        judged = samples if validation is None else validation
        numbers = self._numbers(samples)
        others = None if validation is None else self._numbers(validation)
        solution = solve_ridge(self._network, samples, numbers, validation, others, seed)
        self._penalty = solution.penalty
        if self._has_link:
            (answers,) = SkipWindows(self._network).answers(judged.sequences, [solution.weights])
            answers += solution.intercept - weighted_mean(numbers, samples.weights.astype(np.float64))
            self._factor = best_factor(self._loss, self._constant(samples), answers, judged)
        return self._start(samples, numbers, solution, counts)

    def solve_again(self, samples):
        """Return the `LinearStart` of other samples, with the same penalty and factor."""
        counts, samples = _has_weight(samples), self._complete(_with_weights(samples))
        numbers = self._numbers(samples)
        return self._start(samples, numbers, solve_again(self._network, samples, numbers, self._penalty), counts)

    def score(self, samples, start):
        """Return what the linear part alone reaches on samples, as validation scores are counted."""
        (answers,) = SkipWindows(self._network).answers(samples.sequences, [start.weights])
        constant = np.broadcast_to(self._constant(_with_weights(samples)), answers.shape)
        value, null = (
            mean_loss(self._loss, one, samples.targets, samples.weights)
            for one in (answers + start.intercept, constant)
        )
        return explained_share(value, null, least_loss(self._loss, samples.targets, samples.weights, self._n_outputs))

    def _complete(self, samples):
        """Return the samples whose windows have all rows that the skip reads, if these are half of the samples.

        In the first windows of a series zeros stand for missing rows, which says something else about the targets.
        All are needed where these alone say something about an output.
        """
        complete = samples.sequences.lengths >= self._network.architecture.linear_skip
        if not complete.all() and 2 * complete.sum() >= len(complete):
            taken = samples.take(np.flatnonzero(complete))
            samples = taken if np.array_equal(_has_weight(taken), _has_weight(samples)) else samples
        return samples

    def _numbers(self, samples):
        return numbers_to_predict(self._loss_name, samples.targets, self._n_outputs)

    def _constant(self, samples):
        return self._loss.constant(
            samples.targets.astype(np.float64), samples.weights.astype(np.float64), self._n_outputs
        )

    def _start(self, samples, numbers, solution, counts):
        weights, intercept = solution.weights, solution.intercept
        if self._has_link:
            means = weighted_mean(numbers, samples.weights.astype(np.float64))
            weights = self._factor * weights
            intercept = self._likely(self._constant(samples), means, len(numbers)) + self._factor * (intercept - means)
        counts = np.broadcast_to(counts, len(intercept))
        return LinearStart(weights * counts[:, np.newaxis], intercept * counts, solution.penalty)

    def _likely(self, constant, means, n):
        """Return the best constant, of a class that no sample has, or all have, as if half a sample were otherwise.

        `partial_fit` may bring it later; from a probability next to 0 no step of a usual size would come back.
        """
        if self._loss_name not in ("binary_log", "multinomial_log"):
            return constant
        least = np.log(0.5 / n)
        likely = np.where(means == 0, np.maximum(constant, least), constant)
        return np.where(means == 1, np.minimum(likely, -least), likely)


def _has_weight(samples):
    """Return whether the samples say something; for each output where each has its weights."""
    return (samples.weights > 0).any(axis=0)


def _with_weights(samples):
    """Return the samples with weights of 1 for outputs that have none in a first `partial_fit`: they start at zero."""
    if samples.weights.ndim == 1:
        return samples
    return replace(samples, weights=np.where(_has_weight(samples), samples.weights, samples.weights.dtype.type(1)))


def best_factor(loss, constant, answers, samples):
    """Return the multiple of centred answers that, added to the best constant, makes the smallest loss."""
    with np.errstate(over="ignore"):
        found = minimize_scalar(
            lambda factor: mean_loss(loss, constant + factor * answers, samples.targets, samples.weights),
            bounds=(0.0, LARGEST_FACTOR),
            method="bounded",
            options={"xatol": 1e-3},
        )
    # Three digits: what is left of it does not depend on the last bits of the losses.
    return round(float(found.x), 3)
