"""Conformalised quantile regression (Romano, Patterson & Candès 2019): bands that hold their share of targets."""

from math import ceil

import numpy as np

from sklstm._scaling import quotient

# Levels may be rounded, those of float32 too.
ROUNDING = 1e-6


class ConformalBands:
    """The part of `NumberTargets` that corrects its quantiles."""

    def refuse_few(self, samples):
        """Raise unless a validation part, None or encoded samples, has enough of them for `calibrate`."""
        if samples is None:
            raise ValueError(
                "conformal=True needs a validation part, by which bands are corrected: set early_stopping=True, or "
                "bring your own (X_val, y_val)."
            )
        _refuse_few(self._coding["quantiles"], self._per_target(samples.weights, len(samples.targets)))

    def calibrate(self, z, samples):
        """Learn the correction of the quantiles from raw outputs for the validation part, encoded samples."""
        targets = self._per_target(samples.targets.astype(np.float64), len(z))
        self._calibrate(z, targets, self._per_target(samples.weights, len(z)))

    def calibrate_anew(self, z, y, weights):
        """Learn the correction from raw outputs z as for `decode`, for checked targets and their weights."""
        refuse_bands(self._coding["loss"], self._coding["quantiles"])
        self._check_shape(y)
        n_targets = np.size(self._mean)
        z, reference = np.split(z, [self.n_networks * n_targets * self._n_outputs_per_target], axis=1)
        if reference.shape[1]:
            shift, factor = (part.reshape(y.shape) for part in np.split(reference, 2, axis=1))
            # The answers of a group without a unit do not vary.
            y = np.where(factor > 0, quotient(y, shift, np.where(factor > 0, factor, 1.0)), 0.0)
        is_constant = np.asarray(self._scale == 0)
        targets = np.where(is_constant, 0.0, quotient(y, self._mean, np.where(is_constant, 1.0, self._scale)))
        weights = np.broadcast_to(weights.reshape(len(z), -1), (len(z), n_targets))
        _refuse_few(self._coding["quantiles"], weights)
        self._calibrate(z, targets.reshape(len(z), -1), weights)

    def _calibrate(self, z, targets, weights):
        quantiles = self._coding["quantiles"]
        answers = self._mean_of_networks(z).astype(np.float64).reshape(len(z), -1, len(quantiles))
        found = corrections(quantiles, answers, targets, weights)
        self._correction = found.reshape(*self._coding["shape"], len(quantiles))
        self._correction.flags.writeable = False

    def _per_target(self, numbers, n):
        """Return numbers for each output of the network, or each sample, as numbers for each target."""
        if numbers.ndim == 2:
            return numbers[:, :: self._n_outputs_per_target]
        return np.broadcast_to(numbers[:, np.newaxis], (n, np.size(self._mean)))

    def _check_correction(self):
        """Raise unless the correction of a fitted estimator could have been learnt."""
        if self._correction is None:
            return
        expected = (*self._coding["shape"], len(self._coding["quantiles"] or ()))
        if np.shape(self._correction) != expected or not np.isfinite(self._correction).all():
            raise ValueError(f"conformal_correction_={self._correction!r}, expected finite numbers of shape {expected}")


def pairs_of(quantiles):
    """Return the positions of the quantiles that are the ends of a band, inner bands first, or None.

    None if they are not symmetric about the median, or the median is alone.
    """
    n = len(quantiles)
    symmetric = all(abs(low + high - 1.0) < ROUNDING for low, high in zip(quantiles, quantiles[::-1], strict=True))
    if n < 2 or not symmetric:
        return None
    return [(k, n - 1 - k) for k in reversed(range(n // 2))]


def samples_needed(level):
    """Return the smallest number n of samples that a band can be corrected by: level (n + 1) is at most n."""
    n = level / (1.0 - level)
    return ceil(n - ROUNDING * (n + 1.0))


def refuse_bands(loss, quantiles):
    """Raise where there is no band that could be corrected."""
    if loss != "quantile" or len(quantiles) == 1:
        found = f"loss={loss!r}" if loss != "quantile" else f"quantile={quantiles[0]:g}"
        raise ValueError(
            f"a conformal correction is one of bands between quantiles, found {found}: set loss='quantile' and several "
            "quantiles, such as quantile=[0.1, 0.5, 0.9], or conformal=False."
        )
    if pairs_of(quantiles) is None:
        raise ValueError(
            f"a conformal correction is one of bands about the median, but quantile={list(quantiles)} is not symmetric "
            "about 0.5: give 1 - q for each q, or set conformal=False."
        )


def _refuse_few(quantiles, weights):
    """Raise unless the validation part, with weights of shape (n_samples, n_targets), can correct the widest band."""
    level = quantiles[-1] - quantiles[0]
    needed, counts = samples_needed(level), (weights > 0).sum(axis=0)
    if counts.min() < needed:
        raise ValueError(
            f"a conformal correction of the band from {quantiles[0]:g} to {quantiles[-1]:g} needs at least {needed} "
            f"samples that were not trained on, found {counts.min()}: with conformal=True set a larger "
            "validation_fraction, or bring your own part (X_val, y_val)."
        )


def corrections(quantiles, answers, targets, weights):
    """Return what is added to each quantile of each target.

    Parameters
    ----------
    quantiles : sequence of float
        Symmetric about 0.5.
    answers : ndarray of shape (n_samples, n_targets, n_quantiles)
        Sorted along the last axis.
    targets : ndarray of shape (n_samples, n_targets)
    weights : ndarray of shape (n_samples, n_targets)
        At least `samples_needed` of each target are above 0.

    Returns
    -------
    ndarray of shape (n_targets, n_quantiles)
        Of a band the same number with both signs: below 0 at its lower end where it has to grow.
    """
    found = np.zeros(answers.shape[1:])
    for low, high in pairs_of(quantiles):
        level = quantiles[high] - quantiles[low]
        outside = np.maximum(answers[:, :, low] - targets, targets - answers[:, :, high])  # negative inside
        for k in range(targets.shape[1]):
            margin = _weighted_quantile(outside[:, k], weights[:, k], level)
            found[k, low], found[k, high] = -margin, margin
    return found


def _weighted_quantile(scores, weights, level):
    """Return the quantile of scores that a new one, of the mean weight, stays below with a probability of `level`."""
    present = weights > 0
    scores, weights = scores[present], weights[present]
    order = np.argsort(scores, kind="stable")
    total = np.cumsum(weights[order])
    wanted = level * (total[-1] + weights.mean())
    place = np.searchsorted(total, wanted * (1.0 - ROUNDING))
    return scores[order[min(place, len(order) - 1)]]


def corrected(answers, correction):
    """Return the quantiles of several targets after their correction; an inner band never leaves an outer one."""
    answers = answers + correction
    middle = answers.shape[-1] // 2
    upper = np.maximum.accumulate(answers[..., middle:], axis=-1)
    lower = np.minimum.accumulate(answers[..., middle::-1], axis=-1)[..., :0:-1]
    return np.concatenate([lower, upper], axis=-1)
