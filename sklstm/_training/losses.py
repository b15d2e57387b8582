"""Losses, and the links that turn a raw output z into a prediction.

An entry of the registry names a kernel (`sklstm/_kernels/isa/losses.pxi`) that computes value and gradient during
training; the functions here evaluate it on a validation part, in float64.
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.optimize import minimize
from scipy.special import entr, expit, inv_boxcox, logsumexp, rel_entr, softmax, xlogy

LOG_2 = np.log(2.0)


@dataclass(frozen=True)
class Loss:
    """One loss.

    Attributes
    ----------
    name : str
        Name of the kernel.
    values : callable
        ``values(z, targets)``, the loss of each output of each sample, shape (n_samples, n_outputs), or (n_samples, 1)
        where all outputs share one. The loss of a sample is the mean over outputs.
    constant : callable
        ``constant(targets, weights, n_outputs)``, the raw output that minimises the loss among constants. `weights` has
        shape (n_samples,) or (n_samples, n_outputs); each output needs a positive one.
    link : callable
        ``link(z)``, the prediction: the target's mean, or class probabilities of shape (n_samples, n_classes).
    least : callable
        ``least(targets, n_outputs)``, the lower bound of `values` over all raw outputs.
    has_parameter : bool
        Whether `values`, `constant` and `least` take a ``parameter``, a number or one for each output; see `bound`.
    """

    name: str
    values: object
    constant: object
    link: object
    least: object = lambda targets, n_outputs, parameter=0.0: np.zeros_like(targets)
    has_parameter: bool = False

    def bound(self, parameter):
        """Return the loss with its parameter (delta, quantile, smoothing, temperature) bound, if it has one."""
        if not self.has_parameter:
            return self
        parameter = np.asarray(parameter, np.float64)
        functions = {
            name: partial(getattr(self, name), parameter=parameter) for name in ("values", "constant", "least")
        }
        return replace(self, **functions, has_parameter=False)


def _squared(z, targets):
    return 0.5 * (z - targets) ** 2


def weighted_mean(values, weights):
    """Return the weighted mean over the first axis: one column at a time, whose sum NumPy takes pairwise.

    Weights are one for each row or have the shape of `values`.
    """
    if values.ndim == 1:
        return np.average(values, weights=weights)
    weights = np.broadcast_to(weights.reshape(len(weights), -1), values.shape)
    return np.array([np.average(values[:, j], weights=weights[:, j]) for j in range(values.shape[1])])


def _weighted_mean(targets, weights, n_outputs):
    return weighted_mean(targets, weights)


def _absolute(z, targets):
    return np.abs(z - targets)


def _weighted_quantile(targets, weights, n_outputs, parameter=0.5):
    order = np.argsort(targets, axis=0, kind="stable")
    weights = np.broadcast_to(weights.reshape(len(weights), -1), targets.shape)
    sums = np.cumsum(np.take_along_axis(weights, order, axis=0), axis=0)
    shares = sums / sums[-1]
    first = (shares >= parameter).argmax(axis=0)
    columns = np.arange(targets.shape[1])
    return targets[order[first, columns], columns]


def _quantile(z, targets, parameter):
    error = z - targets
    return np.where(error > 0, (1.0 - parameter) * error, -parameter * error)


def _huber(z, targets, parameter):
    size = np.abs(z - targets)
    return np.where(size <= parameter, 0.5 * size**2, parameter * (size - 0.5 * parameter))


def _huber_centre(targets, weights, n_outputs, parameter):
    """Find the centre by re-weighted means from the median on (Huber 1964); a convex problem, they converge."""
    centre = _weighted_quantile(targets, weights, n_outputs)
    for _ in range(100):
        size = np.abs(targets - centre)
        w = weights.reshape(len(weights), -1) * parameter / np.maximum(size, parameter)
        centre = (w * targets).sum(axis=0) / w.sum(axis=0)
    return centre


def _log_cosh(z, targets):
    size = np.abs(z - targets)
    # cosh overflows beyond 710; near 0 the difference of logarithms would lose all digits.
    return np.where(
        size < 1.0, 0.5 * np.log1p(np.sinh(np.minimum(size, 1.0)) ** 2), size + (np.log1p(np.exp(-2.0 * size)) - LOG_2)
    )


def _log_cosh_centre(targets, weights, n_outputs):
    """Find where the slope, which increases with z, is zero: Newton steps from the median on that at least halve it.

    Where a step would not, it halves the interval that is left of the range of the targets.
    """
    weights = np.broadcast_to(weights.reshape(len(weights), -1), targets.shape)
    weights, present = weights / weights.max(axis=0), weights > 0
    low = np.where(present, targets, np.inf).min(axis=0)
    high = np.where(present, targets, -np.inf).max(axis=0)
    centre, last = _weighted_quantile(targets, weights, n_outputs), np.inf
    for _ in range(200):
        tangents = np.tanh(centre - targets)
        slope, curvature = (weights * tangents).sum(axis=0), (weights * (1.0 - tangents**2)).sum(axis=0)
        low, high = np.where(slope <= 0, centre, low), np.where(slope >= 0, centre, high)
        wanted = centre - np.divide(slope, curvature, out=np.full_like(slope, np.inf), where=curvature > 0)
        halved = (wanted < low) | (wanted > high) | (np.abs(slope) > 0.5 * last)
        wanted = np.where(halved, 0.5 * low + 0.5 * high, wanted)
        # The sum of slopes is rounded.
        wanted = np.where(np.abs(slope) <= 1e-15 * weights.sum(axis=0), centre, wanted)
        if (np.abs(wanted - centre) <= 1e-15 * np.abs(wanted)).all():
            break
        centre, last = wanted, np.abs(slope)
    return centre


def _poisson(z, targets):
    return np.exp(z) - targets * z


def _poisson_centre(targets, weights, n_outputs):
    mean = weighted_mean(targets, weights)
    # Targets that are all zero get a small mean instead of minus infinity.
    return np.log(np.maximum(mean, 1e-13))


def _poisson_least(targets, n_outputs):
    return targets - xlogy(targets, targets)


def _exponential(z):
    # scipy.special has no plain exp, and NumPy's may round one row alone otherwise than within an array (it has
    # several loops); the inverse Box-Cox transform with exponent 0 is the C library's exp, element by element.
    return inv_boxcox(np.asarray(z, np.float64), 0.0)


def _binary_log(z, targets, parameter=0.0):
    smoothed = (1.0 - parameter) * targets + 0.5 * parameter
    return np.logaddexp(0.0, z) - smoothed * z


def _binary_prior(targets, weights, n_outputs, parameter=0.0):
    share = (1.0 - parameter) * weighted_mean(targets, weights) + 0.5 * parameter
    # A label that is always or never present gets a large number instead of infinity.
    inner = np.clip(share, 1e-13, 1.0 - 1e-13)
    return np.log(inner) - np.log1p(-inner)


def _binary_least(targets, n_outputs, parameter=0.0):
    smoothed = (1.0 - parameter) * targets + 0.5 * parameter
    return entr(smoothed) + entr(1.0 - smoothed)


def _binary_probabilities(z):
    positive = expit(z[:, 0])
    return np.column_stack([expit(-z[:, 0]), positive])


def _multinomial_log(z, targets, parameter=0.0):
    labels = targets[:, 0].astype(np.intp)
    own = z[np.arange(len(z)), labels]
    # The smoothing term is separate: the mean may be large where the parameter is 0.
    return (logsumexp(z, axis=1) - own + parameter * (own - z.mean(axis=1)))[:, np.newaxis]


def _multinomial_prior(targets, weights, n_outputs, parameter=0.0):
    labels = targets[:, 0].astype(np.intp)
    counts = np.bincount(labels, weights=weights, minlength=n_outputs)
    shares = (1.0 - parameter) * counts / counts.sum() + parameter / n_outputs
    # A class that is absent gets a small share instead of minus infinity.
    return np.log(np.maximum(shares, 1e-13))


def _multinomial_least(targets, n_outputs, parameter=0.0):
    share = parameter / n_outputs
    return np.full((len(targets), 1), entr(1.0 - parameter + share) + (n_outputs - 1) * entr(share))


# Distillation (Hinton et al. 2015): shares a of each class in the label and b in the teacher at the temperature, which
# all together sum to one. Of two classes that share an output, the targets of each output are a_0, a_1, b_0, b_1.


def _distilled_binary(z, targets, parameter):
    a0, a1, b0, b1 = _shares_of_outputs(targets)
    hard = a0 * np.logaddexp(0.0, z) + a1 * np.logaddexp(0.0, -z)
    soft = z / parameter
    divergence = b0 * np.logaddexp(0.0, soft) + b1 * np.logaddexp(0.0, -soft)
    return hard + parameter**2 * (divergence + rel_entr(b0, b0 + b1) + rel_entr(b1, b0 + b1))


def _shares_of_outputs(targets):
    return np.moveaxis(targets.reshape(len(targets), -1, 4), 2, 0)


def _distilled_binary_constant(targets, weights, n_outputs, parameter):
    """Find where the slope, which increases with z, is zero, by halving an interval."""
    weights = np.repeat(np.broadcast_to(weights.reshape(len(weights), -1), (len(targets), n_outputs)), 4, axis=1)
    a0, a1, b0, b1 = weighted_mean(targets, weights).reshape(n_outputs, 4).T
    # A label that is always or never present gets a large number instead of infinity.
    high = np.full(n_outputs, 30.0) * np.maximum(parameter, 1.0)
    low = -high
    for _ in range(100):
        z = 0.5 * (low + high)
        slope = (a0 + a1) * expit(z) - a1 + parameter * ((b0 + b1) * expit(z / parameter) - b1)
        low, high = np.where(slope < 0, z, low), np.where(slope < 0, high, z)
    return z


def _distilled_binary_least(targets, n_outputs, parameter):
    a0, a1, _, _ = _shares_of_outputs(targets)
    return -rel_entr(a0, a0 + a1) - rel_entr(a1, a0 + a1)


def _distilled_multinomial(z, targets, parameter):
    a, b = np.split(targets, 2, axis=1)
    hard, soft = (logsumexp(one, axis=1, keepdims=True) - one for one in (z, z / parameter))
    divergence = b * soft + rel_entr(b, b.sum(axis=1, keepdims=True))
    return (a * hard + parameter**2 * divergence).sum(axis=1, keepdims=True)


def _distilled_multinomial_constant(targets, weights, n_outputs, parameter):
    mean = weighted_mean(targets, weights)
    a, b = np.split(mean, 2)

    def value_and_slope(z):
        slope = a.sum() * softmax(z) - a + parameter * (b.sum() * softmax(z / parameter) - b)
        return float(_distilled_multinomial(z[np.newaxis], mean[np.newaxis], parameter)[0, 0]), slope

    # A class that is absent gets a small share instead of minus infinity.
    start = np.log(np.maximum(a + b, 1e-13))
    return minimize(value_and_slope, start, jac=True, method="L-BFGS-B", options={"gtol": 1e-10, "ftol": 1e-15}).x


def _distilled_multinomial_least(targets, n_outputs, parameter):
    a = targets[:, :n_outputs]
    return -rel_entr(a, a.sum(axis=1, keepdims=True)).sum(axis=1, keepdims=True)


LOSSES = {
    "squared": Loss("squared", _squared, _weighted_mean, lambda z: z),
    "absolute": Loss("absolute", _absolute, _weighted_quantile, lambda z: z),
    "huber": Loss("huber", _huber, _huber_centre, lambda z: z, has_parameter=True),
    "log_cosh": Loss("log_cosh", _log_cosh, _log_cosh_centre, lambda z: z),
    "quantile": Loss("quantile", _quantile, _weighted_quantile, lambda z: z, has_parameter=True),
    "poisson": Loss("poisson", _poisson, _poisson_centre, _exponential, _poisson_least),
    "binary_log": Loss("binary_log", _binary_log, _binary_prior, _binary_probabilities, _binary_least, True),
    "multinomial_log": Loss(
        "multinomial_log", _multinomial_log, _multinomial_prior, partial(softmax, axis=1), _multinomial_least, True
    ),
    "distilled_binary": Loss(
        "distilled_binary",
        _distilled_binary,
        _distilled_binary_constant,
        _binary_probabilities,
        _distilled_binary_least,
        has_parameter=True,
    ),
    "distilled_multinomial": Loss(
        "distilled_multinomial",
        _distilled_multinomial,
        _distilled_multinomial_constant,
        partial(softmax, axis=1),
        _distilled_multinomial_least,
        has_parameter=True,
    ),
}


def mean_loss(loss, z, targets, weights):
    """Return the weighted mean of a loss over samples, or over their outputs where each has its weight, in float64."""
    return _mean_value(loss.values(np.asarray(z, np.float64), np.asarray(targets, np.float64)), weights)


def least_loss(loss, targets, weights, n_outputs):
    """Return the weighted mean loss of perfect predictions, in float64."""
    return _mean_value(loss.least(np.asarray(targets, np.float64), n_outputs), weights)


def _mean_value(values, weights):
    weights = np.asarray(weights, np.float64)
    if weights.ndim == 1:
        values = values.mean(axis=1)
    # Entries of weight 0 are ignored, whatever their target.
    return float(np.average(np.where(weights > 0, values, 0.0), weights=weights))


def explained_share(loss_value, null_value, least=0.0):
    """Return 1 - loss / loss of the best constant, both less the least possible loss.

    R^2 for the squared loss, its analogue for the others (D^2 for the Poisson loss). Where the constant is already
    perfect, the share is undefined, and the negative loss is returned.
    """
    left = null_value - least
    # Both are sums of rounded terms where the least loss is not 0.
    return 1.0 - (loss_value - least) / left if left > 1e-12 * abs(null_value) else least - loss_value
