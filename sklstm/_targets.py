"""What the targets of an estimator are: their checks, their coding for the network, answers made of its raw output."""

import numpy as np
from scipy.special import expit, log_expit
from sklearn.utils import assert_all_finite, check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from sklstm._network.network import window_moments
from sklstm._scaling import column_scales
from sklstm._target_columns import called, check_target_column, warn_of_other_unit
from sklstm._training.losses import LOSSES
from sklstm._validation import (
    balanced_factors,
    check_class_weight,
    check_indicator,
    check_quantiles,
    median_place,
    naming,
    refuse_masked,
)

LOSS_NAMES = {
    "squared_error": "squared",
    "absolute_error": "absolute",
    "huber": "huber",
    "quantile": "quantile",
    "poisson": "poisson",
}
# What an output says about its label, where a sample may have several.
LABEL_ANSWERS = {
    "predict": lambda z: (z > 0).astype(np.int64),
    "predict_proba": lambda z: expit(z.astype(np.float64)),
    "predict_log_proba": lambda z: log_expit(z.astype(np.float64)),
}


class NumberTargets:
    """Targets of the regressor: numbers, standardised (divided by their mean for the Poisson loss)."""

    def _check_y(self, y, name, present=slice(None)):
        refuse_masked(y, name)
        with naming(name):
            try:
                y = check_array(
                    y, ensure_2d=False, allow_nd=True, dtype=np.float64, ensure_all_finite=False, input_name=name
                )
            except ValueError as error:
                if "could not convert" not in str(error):
                    raise
                raise ValueError(
                    f"{name} must hold numbers, but {error}. For labels use DeepLSTMClassifier."
                ) from error
            if y.ndim > 2:
                raise ValueError(f"{name} has {y.ndim} dimensions, expected 1 or 2 (n_samples, n_outputs).")
            assert_all_finite(y[present], input_name=name)
        if self.loss == "poisson":
            wrong = np.argwhere(np.where(y < 0, 1, 0)[present])
            if len(wrong):
                row = np.arange(len(y))[present][wrong[0, 0]]
                raise ValueError(
                    f"{name} holds {y[present][tuple(wrong[0])]:g} in row {row}; loss='poisson' needs targets of at "
                    "least 0."
                )
        return y

    def _start_targets(self, part, *, continued):
        quantiles = check_quantiles(self.quantile)
        coding = {"loss": self.loss, "quantiles": quantiles if self.loss == "quantile" else None, "columns": None}
        coding["shape"] = self._coding["shape"] if continued else part.y.shape[1:]
        before = self._coding if continued else None
        if continued:
            self._check_goes_on(coding)
        # What the network was trained for, whatever becomes of the constructor's parameters.
        self._coding = coding
        if continued:
            self._check_shape(part.y)
        if self.window_norm is None:
            return part
        if self.loss == "poisson":
            raise ValueError(
                f"loss='poisson' cannot be combined with window_norm={self.window_norm!r}: counts have no place "
                "from which the window could be subtracted."
            )
        names, n_features = getattr(self, "feature_names_in_", None), part.sequences.table.shape[1]
        coding["columns"] = check_target_column(self.target_column, self.window_norm, part.y, n_features, names)
        if continued and before["columns"] not in (None, coding["columns"]):
            raise ValueError(
                f"training cannot go on with target_column={self.target_column!r}: the network was trained for the "
                f"columns {called(before['columns'], names)}. Set warm_start=False, or set target_column back."
            )
        return part

    def _learn_targets(self, part, *, continued):
        if continued:
            return
        y, columns = part.y, self._coding["columns"]
        if columns is not None:
            warn_of_other_unit(y, part.weights, columns, self._window_scale, getattr(self, "feature_names_in_", None))
            y = self._without_reference(y, part.sequences)
        shape = y.shape[1:]
        mean, scale = (one.reshape(shape)[()] for one in column_scales(y.reshape(len(y), -1), part.weights))
        if self.loss == "poisson":
            # The exponential knows only factors; where all targets are zero there is none.
            mean, scale = np.zeros_like(mean)[()], np.where(mean > 0, mean, 1.0)[()]
        else:
            # A constant target has nothing to divide by.
            scale = np.where(scale > 0, scale, 1.0)[()]
        self.target_mean_, self.target_scale_ = mean, scale

    def _check_goes_on(self, coding):
        """Raise if the outputs of the fitted network mean something else than is wanted now."""
        trained = self._coding["loss"]
        if (trained == "poisson") != (self.loss == "poisson"):
            raise ValueError(
                f"training cannot go on with loss={self.loss!r}: the network was trained with loss={trained!r}, and "
                "one of the two predicts exp(z) where the other predicts z. Set warm_start=False, or set loss back."
            )
        before, now = (one["quantiles"] or (None,) for one in (self._coding, coding))
        if len(before) != len(now):
            raise ValueError(
                f"training cannot go on with loss={self.loss!r} and quantile={self.quantile!r}: the network was "
                f"trained with {len(before)} outputs for each target, not {len(now)}. Set warm_start=False, or set "
                "both back."
            )

    def _counting_samples(self, part):
        self._check_shape(part.y, part.name)
        return part

    def _encode_targets(self, part):
        y = part.y
        if self._coding["columns"] is not None:
            y = self._without_reference(y, part.sequences)
        targets = ((y - self.target_mean_) / self.target_scale_).reshape(len(y), -1)
        return np.repeat(targets, self._n_outputs_per_target, axis=1), part.weights

    def _check_shape(self, y, name="y"):
        """Raise unless y has the outputs of the targets that were learnt."""
        expected = self._coding["shape"]
        if y.shape[1:] != expected:
            raise ValueError(
                f"{name} has shape {y.shape}, but the targets of this model have shape "
                f"(n_samples,{f' {expected[0]}' if expected else ''})."
            )

    @property
    def _reference_columns(self):
        """Columns of X by whose `window_norm` the answers are undone, or None."""
        return self._coding["columns"]

    def _without_reference(self, y, sequences):
        """Return targets relative to the columns of X that they are the future of, window by window."""
        shift, deviation = window_moments(sequences, self.window_norm, self._coding["columns"], self._window_scale)
        return (y - shift.reshape(y.shape)) / deviation.reshape(y.shape)

    @property
    def _n_outputs_per_target(self):
        return len(self._coding["quantiles"] or (None,))

    def _class_codes(self, part):
        return None

    def _loss(self):
        return LOSS_NAMES[self.loss], np.size(self.target_mean_) * self._n_outputs_per_target

    def _loss_parameter(self):
        if self.loss == "quantile":
            return self._coding["quantiles"] * np.size(self.target_mean_)
        return float(self.huber_delta) if self.loss == "huber" else 0.0

    def _answer(self, z, method, out=None):
        mean, scale, quantiles = self.target_mean_, self.target_scale_, self._coding["quantiles"]
        n_targets = np.size(mean)
        # Beside the raw outputs stands what the window was freed of, if it was.
        z, reference = np.split(z, [n_targets * self._n_outputs_per_target], axis=1)
        if quantiles is not None:
            # Sorted, the quantiles of a target do not cross.
            z = np.sort(z.reshape(len(z), -1, len(quantiles)), axis=2)
            if method == "predict":
                z = z[:, :, median_place(quantiles) if len(quantiles) > 1 else 0]
            else:
                mean, scale = np.expand_dims(mean, -1), np.expand_dims(scale, -1)
        values = z if np.ndim(self.target_mean_) else z[:, 0]
        if self._coding["loss"] == "poisson":
            values = LOSSES["poisson"].link(values)
        out = np.empty(values.shape) if out is None else out
        out[...] = values
        out *= scale
        out += mean
        if reference.shape[1]:
            shape = (len(out), *np.shape(self.target_mean_), *(1,) * (out.ndim - 1 - np.ndim(self.target_mean_)))
            out *= reference[:, n_targets:].reshape(shape)
            out += reference[:, :n_targets].reshape(shape)
        return out

    def _scalar_answer(self, method):
        several = np.ndim(self.target_mean_) or self._n_outputs_per_target > 1
        if several or method != "predict" or self._coding["columns"] is not None:
            return None
        mean, scale = float(self.target_mean_), float(self.target_scale_)
        if self._coding["loss"] == "poisson":
            return lambda z: mean + scale * float(LOSSES["poisson"].link(z))
        return lambda z: mean + scale * z


class LabelTargets:
    """Targets of the classifier: one class for each sample, or a matrix of labels."""

    def _start_targets(self, part, *, continued):
        y, known = part.y, continued or hasattr(self, "classes_")
        if continued:
            self._check_kind(y)
        else:
            self._is_multilabel = y.ndim == 2
        if self._is_multilabel:
            self._learn_labels(y, known)
            return part
        if not known:
            self.classes_ = np.unique(y)
        self._class_factors = check_class_weight(self.class_weight, self.classes_)
        codes = self._codes(y)
        counts = self._class_factors[codes] > 0
        present = self.classes_[np.unique(codes[counts])]
        if len(present) < 2 and not known:
            found = "no class with a positive weight"
            if len(present):
                found = f"only one class with a positive weight: {present.tolist()[0]!r}"
            raise ValueError(f"{type(self).__name__} needs samples of at least 2 classes; y holds {found}.")
        return self._counting_samples(part)

    def _counting_samples(self, part):
        self._check_kind(part.y, part.name)
        if self._is_multilabel:
            return part
        counts = self._class_factors[self._codes(part.y, part.name)] > 0
        if not counts.any():
            raise ValueError(f"class_weight leaves no sample of {part.name} with a positive weight.")
        return part if counts.all() else part.keep(counts)

    def _learn_targets(self, part, *, continued):
        if self.class_weight == "balanced" and not self._is_multilabel:
            self._class_factors = balanced_factors(self._codes(part.y), part.weights, len(self.classes_))

    def _learn_labels(self, y, known):
        """Learn from a matrix of labels."""
        if self.class_weight is not None:
            raise ValueError(
                f"class_weight={self.class_weight!r} cannot be combined with a y of shape {y.shape}, whose columns are "
                "labels and not classes. Set class_weight=None, and weigh samples by sample_weight."
            )
        if not known:
            self.classes_ = np.arange(y.shape[1])
        elif not np.array_equal(self.classes_, np.arange(y.shape[1])):
            raise ValueError(
                f"classes={self.classes_.tolist()} are not the columns of y, which has shape {y.shape}; expected "
                f"{list(range(y.shape[1]))}."
            )

    def _check_kind(self, y, name="y"):
        """Raise if y has labels in columns where the targets that were learnt have not, or the other way round."""
        if y.shape[1:] != ((len(self.classes_),) if self._is_multilabel else ()):
            expected = f"(n_samples, {len(self.classes_)})" if self._is_multilabel else "(n_samples,)"
            raise ValueError(f"{name} has shape {y.shape}, but the targets of this model have shape {expected}.")

    def _check_y(self, y, name, present=slice(None)):
        refuse_masked(y, name)
        labels = check_indicator(y, name, present)
        if labels is not None:
            return labels
        with naming(name):
            y = column_or_1d(y, warn=True)
            assert_all_finite(y[present], input_name=name)
            check_classification_targets(y[present])
        return y

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
        if self._is_multilabel:
            return part.y, part.weights
        codes = self._codes(part.y, part.name)
        return codes[:, np.newaxis], part.weights * self._class_factors[codes]

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
