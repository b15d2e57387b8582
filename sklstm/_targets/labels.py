"""Classes, one for each sample, and matrices of labels."""

from functools import partial, reduce

import numpy as np
from scipy.special import expit, log_expit

from sklstm._seeds import n_networks
from sklstm._targets.contract import Targets
from sklstm._training.losses import LOSSES
from sklstm._validation import (
    balanced_factors,
    check_class_weight,
    check_indicator,
    check_label_weights,
    check_labels,
    check_labels_of_steps,
    naming,
)

# What an output says about its label, where a sample may have several.
LABEL_ANSWERS = {
    "predict": lambda z: (z > 0).astype(np.int64),
    "predict_proba": lambda z: expit(z.astype(np.float64)),
    "predict_log_proba": lambda z: log_expit(z.astype(np.float64)),
}


class LabelTargets(Targets):
    """Targets of a classifier: one class for each sample, or a matrix of labels.

    Parameters
    ----------
    model : estimator
        Fitted or not; with `classes_` and nothing else that was learnt, these are all classes there will be.
    """

    def __init__(self, model):
        self._name, self._class_weight, self._label_smoothing = (
            type(model).__name__,
            model.class_weight,
            model.label_smoothing,
        )
        self.classes, self.n_networks = getattr(model, "classes_", None), n_networks(model)
        self._is_continued, self._are_known = hasattr(model, "parameters_"), self.classes is not None
        # The classes of each label stand in rows.
        self._is_multilabel = self._are_known and self.classes.ndim == 2
        self._class_factors = None

    def fitted(self):
        """Return `classes_`."""
        return {"classes_": self.classes}

    def check_sequence(self, y, name):
        """Return labels, or a matrix; missing ones are NaN or None."""
        return check_labels_of_steps(y, name)

    def check(self, y, name, present, title="row {}".format):
        """Return labels, or a matrix of 0 and 1."""
        matrix = check_indicator(y, name, present)
        return check_labels(y, name, present) if matrix is None else matrix

    def start(self, part, names):
        """Learn the classes, unless they are known, and the factors of their weights."""
        y = part.y
        if not self._is_continued:
            self._is_multilabel = y.ndim == 2
            if self._is_multilabel:
                self._start_labels(y)
        self._check_kind(y)
        if self._is_multilabel:
            self._class_factors = check_label_weights(self._class_weight, len(self.classes))
            return self.check_validation(part)
        if not self._are_known:
            self.classes = np.unique(y)
        if isinstance(self._class_weight, list):
            raise ValueError(
                f"class_weight={self._class_weight!r} is a list, which goes with a matrix of labels; y has one class "
                "for each sample, expected a dict."
            )
        self._class_factors = check_class_weight(self._class_weight, self.classes)
        codes = self._codes(y)
        present = self.classes[np.unique(codes[self._class_factors[codes] > 0])]
        if len(present) < 2 and not self._are_known:
            found = "no class with a positive weight"
            if len(present):
                found = f"only one class with a positive weight: {present.tolist()[0]!r}"
            raise ValueError(f"{self._name} needs samples of at least 2 classes; y holds {found}.")
        return self.check_validation(part)

    def _start_labels(self, y):
        """Set the classes of a matrix of labels; `partial_fit` may have been told the numbers of its columns."""
        if self._are_known and not np.array_equal(self.classes, np.arange(y.shape[1])):
            raise ValueError(
                f"classes={self.classes.tolist()} are not the columns of y, which has shape {y.shape}; expected "
                f"{list(range(y.shape[1]))}."
            )
        # The classes of each label, as scikit-learn's multi-output classifiers have them: from the numbers of two
        # columns, [0, 1], its scorers conclude that there is one label.
        self.classes = np.tile([0, 1], (y.shape[1], 1))

    def check_validation(self, part):
        """Check that all labels are known and some of them count."""
        self._check_kind(part.y, part.name)
        counts = self._loss_weights(part) > 0
        if counts.ndim == 2:
            counts = counts.any(axis=1)
        if not counts.any():
            raise ValueError(f"class_weight leaves no sample of {part.name} with a positive weight.")
        return part if counts.all() else part.keep(counts)

    def learn_weights(self, part):
        """Learn the factors of "balanced"; return the weights of samples, or labels, times those of their classes."""
        if self._class_weight == "balanced" and not self._is_multilabel:
            self._class_factors = balanced_factors(self._codes(part.y), part.weights, len(self.classes))
        elif self._class_weight == "balanced":
            weights = np.broadcast_to(part.weights.reshape(len(part), -1), part.y.shape)
            pairs = zip(part.y.T, weights.T, strict=True)
            self._class_factors = np.array([balanced_factors(codes, own, 2) for codes, own in pairs])
        return self._loss_weights(part)

    def _loss_weights(self, part):
        """Return the weights of samples, or of their labels, times the factors of their classes."""
        if not self._is_multilabel:
            return part.weights * self._class_factors[self._codes(part.y, part.name)]
        if self._class_weight is None:
            return part.weights
        factors = self._class_factors[np.arange(part.y.shape[1]), part.y]
        return part.weights.reshape(len(part), -1) * factors

    def _check_kind(self, y, name="y"):
        """Raise if y has labels in columns where the targets that were learnt have not, or the other way round."""
        if y.shape[1:] != ((len(self.classes),) if self._is_multilabel else ()):
            expected = f"(n_samples, {len(self.classes)})" if self._is_multilabel else "(n_samples,)"
            raise ValueError(f"{name} has shape {y.shape}, but the targets of this model have shape {expected}.")

    def _codes(self, y, name="y"):
        """Return the number of each label's class."""
        with naming(name):
            codes = np.minimum(np.searchsorted(self.classes, y), len(self.classes) - 1)
            unknown = y[self.classes[codes] != y]
            if len(unknown):
                raise ValueError(
                    f"{name} holds {unknown.tolist()[0]!r}, which is not among the classes {self.classes.tolist()}."
                )
        return codes

    def encode(self, part, inputs):
        """Return codes of classes, or the matrix of labels, and the weights of the loss."""
        targets = part.y if self._is_multilabel else self._codes(part.y, part.name)[:, np.newaxis]
        return targets, self._loss_weights(part)

    def class_codes(self, part):
        """Return the code of each sample's class, None for a matrix of labels."""
        return None if self._is_multilabel else self._codes(part.y, part.name)

    @property
    def n_outputs(self):
        """Number of outputs: one for each label, or class, or for two classes."""
        return 1 if len(self.classes) == 2 and not self._is_multilabel else len(self.classes)

    @property
    def _loss_name(self):
        return "binary_log" if self._is_multilabel or self.n_outputs == 1 else "multinomial_log"

    def network_loss(self):
        """Return the loss, and `label_smoothing`."""
        return self._loss_name, float(self._label_smoothing)

    def decode(self, z, method, out=None):
        """Return labels, probabilities or their logarithms."""
        if self.n_networks > 1:
            answer = self._decode_mean(z, method)
        elif self._is_multilabel:
            answer = LABEL_ANSWERS[method](z)
        elif method == "predict":
            return self._labels(z.argmax(axis=1) if z.shape[1] > 1 else (z[:, 0] > 0).astype(np.intp), out)
        else:
            answer = self._probabilities(z, method)
        if out is None:
            return answer
        out[...] = answer
        return out

    def _labels(self, codes, out=None):
        # Only with "clip" does `take` write to `out` without a buffer.
        return self.classes[codes] if out is None else self.classes.take(codes, out=out, mode="clip")

    def _probabilities(self, z, method):
        """Return the probabilities of the classes, or their logarithms."""
        loss, z = LOSSES[self._loss_name], z.astype(np.float64)
        if method == "predict_proba":
            return loss.link(z)
        # The loss of a label is minus its logarithm, also where the probability itself is too small for float64.
        return -np.column_stack([loss.values(z, np.full((len(z), 1), k)) for k in range(len(self.classes))])

    def _decode_mean(self, z, method):
        """Return the same for the mean of the probabilities that the networks give."""
        of_one = "predict_proba" if method == "predict" else method
        answer = LABEL_ANSWERS[of_one] if self._is_multilabel else partial(self._probabilities, method=of_one)
        # One after the other: the order of the sum does not depend on the number of rows.
        total = reduce(np.logaddexp if of_one == "predict_log_proba" else np.add, map(answer, self._of_networks(z)))
        if method == "predict_log_proba":
            return total - np.log(self.n_networks)
        mean = total / self.n_networks
        if method == "predict_proba":
            return mean
        return (mean > 0.5).astype(np.int64) if self._is_multilabel else self._labels(mean.argmax(axis=1))
