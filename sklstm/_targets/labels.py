"""Classes, one for each sample, and matrices of labels."""

import numpy as np
from scipy.special import expit, log_expit
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from sklstm._training.losses import LOSSES
from sklstm._validation import (
    balanced_factors,
    check_class_weight,
    check_indicator,
    check_label_weights,
    counted_entries,
    naming,
    refuse_datetimes,
    refuse_masked,
)

# What an output says about its label, where a sample may have several.
LABEL_ANSWERS = {
    "predict": lambda z: (z > 0).astype(np.int64),
    "predict_proba": lambda z: expit(z.astype(np.float64)),
    "predict_log_proba": lambda z: log_expit(z.astype(np.float64)),
}


class LabelTargets:
    """Targets of the classifier: one class for each sample, or a matrix of labels."""

    def _check_y(self, y, name, present):
        refuse_masked(y, name)
        refuse_datetimes(y, name)
        labels = check_indicator(y, name, present)
        if labels is not None:
            return labels
        with naming(name):
            y = column_or_1d(y, warn=True)
        rows = counted_entries(present, y, name)
        with naming(name):
            assert_all_finite(y[rows], input_name=name)
            check_classification_targets(y[rows])
        return y

    def _start_targets(self, part, *, continued):
        y, known = part.y, continued or hasattr(self, "classes_")
        if not continued:
            self._is_multilabel = y.ndim == 2
            if self._is_multilabel:
                self._start_labels(y, known)
        self._check_kind(y)
        if self._is_multilabel:
            self._class_factors = check_label_weights(self.class_weight, len(self.classes_))
            return self._counting_samples(part)
        if not known:
            self.classes_ = np.unique(y)
        if isinstance(self.class_weight, list):
            raise ValueError(
                f"class_weight={self.class_weight!r} is a list, which goes with a matrix of labels; y has one class "
                "for each sample, expected a dict."
            )
        self._class_factors = check_class_weight(self.class_weight, self.classes_)
        codes = self._codes(y)
        present = self.classes_[np.unique(codes[self._class_factors[codes] > 0])]
        if len(present) < 2 and not known:
            found = "no class with a positive weight"
            if len(present):
                found = f"only one class with a positive weight: {present.tolist()[0]!r}"
            raise ValueError(f"{type(self).__name__} needs samples of at least 2 classes; y holds {found}.")
        return self._counting_samples(part)

    def _start_labels(self, y, known):
        """Set the classes of a matrix of labels; `known`: `partial_fit` was told the numbers of its columns."""
        if known and not np.array_equal(self.classes_, np.arange(y.shape[1])):
            raise ValueError(
                f"classes={self.classes_.tolist()} are not the columns of y, which has shape {y.shape}; expected "
                f"{list(range(y.shape[1]))}."
            )
        # The classes of each label, as scikit-learn's multi-output classifiers have them: from the numbers of two
        # columns, [0, 1], its scorers conclude that there is one label.
        self.classes_ = np.tile([0, 1], (y.shape[1], 1))

    def _counting_samples(self, part):
        self._check_kind(part.y, part.name)
        counts = self._loss_weights(part) > 0
        if counts.ndim == 2:
            counts = counts.any(axis=1)
        if not counts.any():
            raise ValueError(f"class_weight leaves no sample of {part.name} with a positive weight.")
        return part if counts.all() else part.keep(counts)

    def _learn_weights(self, part):
        if self.class_weight == "balanced" and not self._is_multilabel:
            self._class_factors = balanced_factors(self._codes(part.y), part.weights, len(self.classes_))
        elif self.class_weight == "balanced":
            weights = np.broadcast_to(part.weights.reshape(len(part), -1), part.y.shape)
            pairs = zip(part.y.T, weights.T, strict=True)
            self._class_factors = np.array([balanced_factors(codes, own, 2) for codes, own in pairs])
        return self._loss_weights(part)

    def _learn_targets(self, part, *, continued, running):
        pass

    def _loss_weights(self, part):
        """Return the weights of samples, or of their labels, times the factors of their classes."""
        if not self._is_multilabel:
            return part.weights * self._class_factors[self._codes(part.y, part.name)]
        if self.class_weight is None:
            return part.weights
        factors = self._class_factors[np.arange(part.y.shape[1]), part.y]
        return part.weights.reshape(len(part), -1) * factors

    def _check_kind(self, y, name="y"):
        """Raise if y has labels in columns where the targets that were learnt have not, or the other way round."""
        if y.shape[1:] != ((len(self.classes_),) if self._is_multilabel else ()):
            expected = f"(n_samples, {len(self.classes_)})" if self._is_multilabel else "(n_samples,)"
            raise ValueError(f"{name} has shape {y.shape}, but the targets of this model have shape {expected}.")

    def _codes(self, y, name="y"):
        """Return the number of each label's class."""
        with naming(name):
            codes = np.minimum(np.searchsorted(self.classes_, y), len(self.classes_) - 1)
            unknown = y[self.classes_[codes] != y]
            if len(unknown):
                raise ValueError(
                    f"{name} holds {unknown.tolist()[0]!r}, which is not among the classes {self.classes_.tolist()}."
                )
        return codes

    def _encode_targets(self, part):
        targets = part.y if self._is_multilabel else self._codes(part.y, part.name)[:, np.newaxis]
        return targets, self._loss_weights(part)

    def _class_codes(self, part):
        return None if self._is_multilabel else self._codes(part.y, part.name)

    def _loss(self):
        n_classes = len(self.classes_)
        if self._is_multilabel:
            return "binary_log", n_classes
        return ("binary_log", 1) if n_classes == 2 else ("multinomial_log", n_classes)

    def _loss_parameter(self):
        return float(self.label_smoothing)

    def _answer(self, z, method, out=None):
        if self._is_multilabel:
            answer = LABEL_ANSWERS[method](z)
            if out is None:
                return answer
            out[...] = answer
            return out
        loss = LOSSES[self._loss()[0]]
        if method == "predict":
            codes = z.argmax(axis=1) if z.shape[1] > 1 else (z[:, 0] > 0).astype(np.intp)
            # Only with "clip" does `take` write to `out` without a buffer.
            return self.classes_[codes] if out is None else self.classes_.take(codes, out=out, mode="clip")
        z = z.astype(np.float64)
        if method == "predict_proba":
            answer = loss.link(z)
        else:
            # The loss of a label is minus its logarithm, also where the probability itself is too small for float64.
            answer = -np.column_stack([loss.values(z, np.full((len(z), 1), k)) for k in range(len(self.classes_))])
        if out is None:
            return answer
        out[...] = answer
        return out
