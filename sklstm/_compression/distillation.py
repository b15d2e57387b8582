"""Distillation (Hinton et al. 2015): targets that are mixed with the answers of a teacher."""

import numpy as np
from scipy.special import softmax
from sklearn.base import is_classifier

from sklstm._compression.teachers import Teacher
from sklstm._fitting import fit
from sklstm._targets import LabelTargets, NumberTargets
from sklstm._validation import counted_entries


def fit_student(teacher, student, given, validation, *, alpha, temperature):
    """Fit a student in place.

    Parameters
    ----------
    teacher : object
        Fitted estimator.
    student : estimator
        Not fitted, with valid parameters.
    given, validation : Given
        Samples, and those of the user's validation part; their y may be None.
    alpha, temperature : float

    Returns
    -------
    student : estimator
        The same.
    """
    teacher, classifies = Teacher(teacher), is_classifier(student)
    teacher.check(classifies=classifies)
    if student.targets == "sequence":
        raise ValueError(
            "distill: the student has targets='sequence', but what teachers answer is one prediction for each sample. "
            "Stack the sequences as a table with groups, and set targets='sample'."
        )
    if given.y is None:
        alpha = 0.0
        if validation.y is not None:
            raise ValueError("distill: y_val goes with y, which was not given.")
    if not classifies and student.loss == "quantile":
        raise ValueError(
            "distill: a student with loss='quantile' would learn a quantile of what the teacher predicts, not of y. "
            "Set another loss."
        )
    is_multilabel = classifies and (teacher.classes is None if given.y is None else _is_matrix(given.y))
    answers, known = {}, {}
    for name, part in (("y", given), ("y_val", validation)):
        if part.X is not None and classifies:
            answers[name] = teacher.log_probabilities(part.X, part.groups, is_multilabel=is_multilabel)
        elif part.X is not None:
            answers[name] = teacher.numbers(part.X, part.groups)
    if classifies and not is_multilabel:
        known["classes_"] = teacher.classes
    if given.y is None:
        # Of numbers, alpha is 0: what y holds does not count.
        own = _most_probable(answers["y"], known.get("classes_")) if classifies else np.zeros_like(answers["y"])
        given = given._replace(y=own)
    if validation.X is not None and validation.y is None:
        own = answers["y_val"]
        validation = validation._replace(y=_most_probable(own, known.get("classes_")) if classifies else own)

    def targets_of(model):
        """Return what the student learns."""
        if classifies:
            return DistilledLabels(model, answers, alpha, temperature, teacher.name)
        return DistilledNumbers(model, answers, alpha)

    return fit(student, given, validation, targets_of, **known)


def _is_matrix(y):
    shape = np.shape(y)
    return len(shape) == 2 and shape[1] > 1


def _most_probable(log_probabilities, classes):
    """Return the most probable classes, or labels."""
    codes = log_probabilities.argmax(axis=-1)
    return codes if classes is None else classes[codes]


class DistilledNumbers(NumberTargets):
    """Targets of a regressor, mixed with the predictions of a teacher.

    Parameters
    ----------
    model : estimator
        The student, not fitted.
    answers : dict of str to ndarray
        The predictions of the teacher for the samples whose targets are called "y" and "y_val".
    alpha : float
        Share of the targets themselves.
    """

    def __init__(self, model, answers, alpha):
        super().__init__(model)
        self._answers, self._alpha = answers, alpha

    def check(self, y, name, present, title="row {}".format):
        """Return the mixture, as numbers of float64."""
        y, answers = super().check(y, name, present, title), self._answers[name]
        if (answers.ndim, answers.shape[1:]) == (2, (1,)) and y.ndim == 1:
            answers = answers[:, 0]
        elif answers.ndim == 1 and y.shape[1:] == (1,):
            answers = answers[:, np.newaxis]
        if answers.shape != y.shape:
            raise ValueError(
                f"distill: predict of the teacher returned an array of shape {answers.shape}, but {name} has shape "
                f"{y.shape}."
            )
        counts = counted_entries(present, y, name)
        if self._loss == "poisson" and (answers[counts] < 0).any():
            raise ValueError(
                f"distill: the teacher predicts {answers[counts].min():g}, but the student's loss='poisson' needs "
                "targets of at least 0."
            )
        return np.where(counts, self._alpha * y + (1.0 - self._alpha) * answers, 0.0)


class DistilledLabels(LabelTargets):
    """Targets of a classifier beside the probabilities of a teacher.

    Parameters
    ----------
    model : estimator
        The student, not fitted, but that its `classes_` may be known.
    answers : dict of str to ndarray of shape (n_samples, n_classes) or (n_samples, n_labels, 2)
        Logarithms of the teacher's probabilities for the samples whose targets are called "y" and "y_val".
    alpha : float
        Share of the labels in the loss.
    temperature : float
    teacher : str
        Its name in messages.
    """

    def __init__(self, model, answers, alpha, temperature, teacher):
        super().__init__(model)
        self._answers, self._alpha, self._temperature, self._teacher = answers, alpha, temperature, teacher

    def check(self, y, name, present, title="row {}".format):
        """Return labels, or a matrix of 0 and 1."""
        y, answers = super().check(y, name, present, title), self._answers[name]
        expected = (len(y), y.shape[1]) if y.ndim == 2 else (len(y), len(self.classes))
        if answers.shape[:2] != expected:
            raise ValueError(
                f"distill: the teacher {self._teacher} returned probabilities of shape {answers.shape[:2]}, expected "
                f"{expected} for {name} of shape {y.shape}."
            )
        return y

    def _codes(self, y, name="y"):
        """Return the number of each label's class; the teacher knows all of them."""
        is_alike = (y.dtype.kind in "OUS") == (self.classes.dtype.kind in "OUS")
        unknown = y[~np.isin(y, self.classes)] if is_alike else y
        if len(unknown):
            raise ValueError(
                f"distill: {name} holds {unknown.tolist()[0]!r}, a class that the teacher {self._teacher} does not "
                f"know; its classes_ are {self.classes.tolist()}."
            )
        return super()._codes(y, name)

    def encode(self, part, inputs):
        """Return shares of classes, in the label and in the teacher, and the weights of the loss."""
        codes, weights = super().encode(part, inputs)
        soft = softmax(self._answers[part.name][part.rows] / self._temperature, axis=-1)
        codes = codes[..., np.newaxis] if self._is_multilabel else codes
        hard = codes == np.arange(soft.shape[-1])
        smoothing = self._label_smoothing
        hard = (1.0 - smoothing) * hard + smoothing / soft.shape[-1]
        shares = np.concatenate([self._alpha * hard, (1.0 - self._alpha) * soft], axis=-1)
        return shares.reshape(len(part), -1), weights

    def network_loss(self):
        """Return the loss, and the temperature."""
        name = "distilled_multinomial" if self._loss_name == "multinomial_log" else "distilled_binary"
        return name, float(self._temperature)
