"""From raw outputs to the answers of an estimator, and the gradients of single answers by the raw outputs."""

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax

from sklstm._seeds import n_networks
from sklstm._validation import median_place

METHODS = {
    "regressor": ("predict", "predict_quantiles"),
    "classifier": ("predict_proba", "predict_log_proba"),
}


def answers_of(model, method):
    """Return the `NumberAnswers` or the `LabelAnswers` of a fitted model.

    Parameters
    ----------
    model : estimator
    method : str
        "auto", or the name of a method whose answers have gradients.
    """
    kind = "classifier" if hasattr(model, "classes_") else "regressor"
    choices = METHODS[kind]
    if kind == "regressor" and not hasattr(model, "predict_quantiles"):
        choices = choices[:1]
    if method == "auto":
        method = choices[0]
    if method not in choices:
        raise ValueError(
            f"response_method={method!r}, expected one of {('auto', *choices)}: what this {type(model).__name__} "
            "answers in numbers."
        )
    return (NumberAnswers if kind == "regressor" else LabelAnswers)(model, method)


class Answers:
    """Answers of a model, each a function of the raw outputs of its networks.

    Attributes
    ----------
    shape : tuple of int
        Of the answer for one sample.
    method : str
    n_networks : int
    """

    def __init__(self, model, method):
        self._targets, self.method, self.n_networks = model._targets(), method, n_networks(model)
        self.reference_columns = self._targets.reference_columns

    def values(self, z):
        """Return the answers (n, *shape) for raw outputs (n, n_networks, n_outputs), with moments behind, flat."""
        return self._targets.decode(z, self.method)


class NumberAnswers(Answers):
    """Numbers, or several quantiles of each, in the unit of y."""

    def __init__(self, model, method):
        super().__init__(model, method)
        self._poisson, self._quantiles = model._coding["loss"] == "poisson", model._coding["quantiles"]
        self._mean, self._scale = np.ravel(model.target_mean_), np.ravel(model.target_scale_)
        self.shape = tuple(model._coding["shape"])
        self.n_targets = int(np.prod(self.shape))
        self._n_quantiles = len(self._quantiles or (None,))
        correction = getattr(model, "conformal_correction_", None)
        self._correction = np.zeros((self.n_targets, self._n_quantiles))
        if method == "predict_quantiles":
            self.shape = (*self.shape, self._n_quantiles)
            if correction is not None:
                self._correction = correction.reshape(self.n_targets, -1)

    def gradient(self, z, moments, index):
        """Return the gradient of one answer by the raw outputs, and by the moments that map it back.

        Parameters
        ----------
        z : ndarray of shape (n, n_networks, n_outputs)
        moments : ndarray of shape (n, 2 * n_targets) or (n, 0)
            Shifts, then factors.
        index : tuple of int
            Which answer.

        Returns
        -------
        d_z, d_shift, d_factor : ndarray of shape (n, n_networks, n_outputs), (n, n_targets), (n, n_targets)
        """
        n, several = len(z), self.method == "predict_quantiles"
        n_axes = len(index) - several
        target = int(np.ravel_multi_index(index[:n_axes], self.shape[:n_axes])) if n_axes else 0
        rows, unit = np.arange(n), np.full(n, self._scale[target])
        own = z.reshape(n, self.n_networks, self.n_targets, self._n_quantiles)[:, :, target]
        order = np.argsort(own, axis=2, kind="stable")
        link = np.exp(own) if self._poisson else own
        values = np.take_along_axis(link, order, axis=2).mean(axis=1) + self._correction[target]
        place = self._place(values, index[-1] if several else None)
        d_shift, d_factor = np.zeros((2, n, self.n_targets))
        if moments.shape[1]:
            d_shift[:, target] = 1.0
            d_factor[:, target] = values[rows, place] * self._scale[target] + self._mean[target]
            unit = unit * moments[:, self.n_targets + target]
        d_z = np.zeros((n, self.n_networks, self.n_targets, self._n_quantiles))
        for network in range(self.n_networks):
            chosen = order[rows, network, place]
            slope = link[rows, network, chosen] if self._poisson else 1.0
            d_z[rows, network, target, chosen] = unit * slope / self.n_networks
        return d_z.reshape(z.shape), d_shift, d_factor

    def _place(self, values, wanted):
        """Return which of the sorted numbers of each sample the answer is."""
        n = len(values)
        if wanted is None:
            return np.full(n, median_place(self._quantiles) if self._n_quantiles > 1 else 0)
        # After a correction, an inner band that would leave an outer one ends where that does.
        middle = self._n_quantiles // 2
        if wanted >= middle:
            return middle + np.argmax(values[:, middle : wanted + 1], axis=1)
        return middle - np.argmin(values[:, wanted : middle + 1][:, ::-1], axis=1)


class LabelAnswers(Answers):
    """Probabilities of classes, or of labels, or their logarithms."""

    n_targets = 0

    def __init__(self, model, method):
        super().__init__(model, method)
        self._is_multilabel = model.classes_.ndim == 2
        self.shape = (len(model.classes_),)

    def gradient(self, z, moments, index):
        """Return the gradient of one answer by the raw outputs, see `NumberAnswers.gradient`; there are no moments."""
        (k,) = index
        slopes = np.zeros_like(z)  # of the logarithm
        if z.shape[2] == 1 or self._is_multilabel:
            output, sign = (k, 1.0) if self._is_multilabel else (0, 1.0 if k else -1.0)
            logarithm = log_expit(sign * z[:, :, output])
            slopes[:, :, output] = sign * expit(-sign * z[:, :, output])
        else:
            logarithm = log_softmax(z, axis=2)[:, :, k]
            slopes -= softmax(z, axis=2)
            slopes[:, :, k] += 1.0
        if self.method == "predict_log_proba":
            shares = softmax(logarithm, axis=1)
        else:
            shares = np.exp(logarithm) / self.n_networks
        nothing = np.zeros((len(z), 0))
        return shares[:, :, np.newaxis] * slopes, nothing, nothing
