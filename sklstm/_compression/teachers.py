"""Teachers: any fitted estimator, asked for what a student learns."""

import numpy as np
from scipy.special import log_softmax
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from sklstm._ensemble.members import carries_context, looks_back, takes

LOG, PLAIN = "predict_log_proba", "predict_proba"


class Teacher:
    """A fitted estimator that answers for the samples of a student.

    Parameters
    ----------
    estimator : object
        With `predict`, or with `predict_proba` and `classes_`.
    """

    def __init__(self, estimator):
        # A search hands `groups` to no method of what it found.
        self.estimator = getattr(estimator, "best_estimator_", estimator)
        self._last = self.estimator
        while hasattr(self._last, "steps"):
            self._last = self._last.steps[-1][1]
        self.name = type(estimator).__name__

    def check(self, *, classifies):
        """Raise unless the estimator can teach a classifier, or a regressor."""
        estimator = self.estimator
        if getattr(self._last, "targets", None) == "sequence":
            raise ValueError(
                f"distill: the teacher {self.name} has targets='sequence' and answers for each row of each sequence; "
                "expected one answer for each sample."
            )
        if isinstance(estimator, type) or not callable(getattr(estimator, "predict", getattr(estimator, PLAIN, None))):
            raise TypeError(f"distill: teacher is {estimator!r}, expected a fitted estimator with predict or {PLAIN}.")
        if hasattr(estimator, "fit") and hasattr(estimator, "get_params"):
            check_is_fitted(estimator)
        if classifies and not hasattr(estimator, PLAIN):
            kind = (
                "it is a regressor" if _is(estimator, "regressor") else "CalibratedClassifierCV adds it to a classifier"
            )
            raise ValueError(
                f"distill: the teacher {self.name} has no predict_proba, which a student that classifies needs; {kind}."
            )
        if classifies and not hasattr(estimator, "classes_"):
            raise ValueError(f"distill: the teacher {self.name} has no classes_, which name its probabilities.")
        if not classifies and (_is(estimator, "classifier") or not hasattr(estimator, "predict")):
            raise ValueError(
                f"distill: the teacher {self.name} is a classifier, but the student predicts numbers; take a "
                "regressor as teacher, or a classifier as student."
            )

    @property
    def classes(self):
        """The sorted classes, None where several labels have classes of their own."""
        classes = self.estimator.classes_
        if any(np.ndim(one) for one in classes):
            return None
        if len(classes) < 2:
            raise ValueError(f"distill: the teacher {self.name} knows one class only, {list(classes)}.")
        return np.unique(classes)

    def numbers(self, X, groups):
        """Return the predictions for all samples, in float64."""
        answers = np.asarray(self._ask("predict", X, groups), np.float64)
        if not np.isfinite(answers).all():
            raise ValueError(
                f"distill: predict of the teacher {self.name} returned {answers[~np.isfinite(answers)][0]} for sample "
                f"{np.argwhere(~np.isfinite(answers))[0, 0]}."
            )
        return answers

    def log_probabilities(self, X, groups, *, is_multilabel):
        """Return logarithms of the probabilities: of the sorted classes, or of the labels' absence and presence."""
        if is_multilabel:
            return self._of_labels(self._ask(PLAIN, X, groups))
        method = LOG if hasattr(self.estimator, LOG) else PLAIN
        with np.errstate(divide="ignore"):  # of scikit-learn's logarithms of 0
            answers = self._ask(method, X, groups)
            answers = np.log(_not_negative(answers, self.name)) if method == PLAIN else np.asarray(answers)
        classes = np.asarray(self.estimator.classes_)
        if answers.shape[1:] != classes.shape:
            raise ValueError(
                f"distill: {method} of the teacher {self.name} returned an array of shape {answers.shape} for "
                f"{len(classes)} classes_. For a matrix of labels hand over y."
            )
        return _checked(answers[:, np.argsort(classes, kind="stable")], method)

    def _of_labels(self, answers):
        if isinstance(answers, list):  # as scikit-learn's trees answer
            pairs = [_not_negative(pair, self.name) for pair in answers]
            if any(pair.shape[1:] != (2,) for pair in pairs):
                raise ValueError(f"distill: a label of the teacher {self.name} was not both 0 and 1 in its training.")
            present = np.column_stack([pair[:, 1] for pair in pairs])
        else:
            present = _not_negative(answers, self.name)
        if present.ndim != 2 or not (present <= 1.0 + 1e-3).all():
            raise ValueError(
                f"distill: predict_proba of the teacher {self.name} is no matrix of probabilities of labels."
            )
        present = np.minimum(present, 1.0)
        with np.errstate(divide="ignore"):
            return np.stack([np.log1p(-present), np.log(present)], axis=-1)

    def _ask(self, method, X, groups):
        """Call a method with what it takes."""
        given = {}
        if groups is not None and takes(self._last, method, "groups"):
            given["groups"] = groups
        elif groups is not None and looks_back(self.estimator):
            raise ValueError(
                f"distill: {method} of the teacher {self.name} takes no groups, and its windows would cross from one "
                "into another."
            )
        if carries_context(self.estimator):
            if not takes(self._last, method, "context") or not hasattr(self._last, "input_scale_"):
                raise ValueError(
                    f"distill: a model inside the teacher {self.name} has carry_context=True and takes X for the rows "
                    "after those that it was trained on. Set it to False."
                )
            # X stands at the beginning.
            given["context"] = np.empty((0, self._last.n_features_in_))
            given |= {} if groups is None else {"context_groups": []}
        return getattr(self.estimator, method)(X, **given)


def _is(estimator, kind):
    """Return whether an estimator says that it is of a kind; one that is not of scikit-learn says nothing."""
    return hasattr(estimator, "__sklearn_tags__") and get_tags(estimator).estimator_type == kind


def _not_negative(answers, name):
    answers = np.asarray(answers, np.float64)
    if not (answers >= 0).all():
        raise ValueError(
            f"distill: predict_proba of the teacher {name} returned {answers[~(answers >= 0)][0]}, expected "
            "probabilities."
        )
    return answers


def _checked(log_probabilities, method):
    """Return logarithms of probabilities whose sum over the last axis is one; ValueError where there are none."""
    numbers = np.asarray(log_probabilities, np.float64)
    wrong = np.isnan(numbers) | (numbers > 1e-3)
    if wrong.any():
        raise ValueError(
            f"distill: {method} of the teacher returned something that is no probability for sample "
            f"{np.argwhere(wrong)[0, 0]}."
        )
    totals = np.exp(numbers).sum(axis=-1)
    off = np.flatnonzero(np.abs(totals - 1.0).reshape(len(totals), -1).max(axis=1) > 1e-3)
    if len(off):
        raise ValueError(
            f"distill: the probabilities of {method} of the teacher for sample {off[0]} have the sum "
            f"{totals[off[0]]:.4g}, expected 1. For a matrix of labels hand over y."
        )
    return log_softmax(numbers, axis=-1)
