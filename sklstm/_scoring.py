"""The score of the validation part by a scorer of scikit-learn, in place of the loss."""

from collections.abc import Callable
from functools import partial
from inspect import Parameter, signature
from numbers import Real
from threading import Lock
from typing import Any

import numpy as np
from sklearn.utils._param_validation import InvalidParameterError

from sklstm._typing import Array

# What a scorer may ask of an estimator: its answers, ...
RESPONSES = ("predict", "predict_proba", "predict_log_proba", "predict_quantiles")
# ... and what was learnt before the training. All else belongs to a network that is not trained yet, or to an old one.
KNOWN = (
    "classes_",
    "target_mean_",
    "target_scale_",
    "group_labels_",
    "group_means_",
    "group_scales_",
    "n_features_in_",
    "feature_names_in_",
)


def check_scoring(scoring: object) -> Callable[..., Any] | None:
    """Return the scorer that `scoring`, a name or a callable, stands for; None for None.

    Raises
    ------
    InvalidParameterError
        If there is no scorer of this name.
    """
    if scoring is None or callable(scoring):
        return scoring
    from sklearn.metrics import get_scorer

    try:
        return get_scorer(scoring)
    except ValueError as error:
        raise InvalidParameterError(f"scoring={scoring!r} is no name of a scorer. {error}") from None


class ValidationScore:
    """Score of raw outputs of a network for the samples of the validation part.

    Parameters
    ----------
    model : estimator
        Being fitted.
    targets : Targets
        With all that is learnt of them.
    part : Part
        The validation part.
    """

    def __init__(self, model, targets, part):
        self._scorer, self._scoring, self._name = check_scoring(model.scoring), model.scoring, part.name
        self._y, self._arguments = part.y, self._weights(part)
        # No scorer of scikit-learn knows targets of three axes.
        is_joined = isinstance(self._scoring, str) and part.y.ndim == 3
        if is_joined:
            self._y = part.y.reshape(len(part.y), -1)
        self._model, self._lock = ValidationModel(model, targets, _rows(part), is_joined), Lock()
        self._moments = targets.moments(part, model.input_scale_)

    def _weights(self, part):
        """Return the argument `sample_weight` of the scorer, if samples differ in weight."""
        weights = np.ldexp(part.weights, part.exponent)
        if (weights == weights.flat[0]).all():
            return {}
        given = f"sample_weight{self._name[1:]}"
        if weights.ndim == 2 and isinstance(self._scoring, str):
            raise ValueError(
                f"scoring={self._scoring!r} takes one weight for each sample, but {given} has one for each output. "
                "Bring a callable that takes them, or set scoring=None."
            )
        if not _takes_weights(self._scorer):
            raise ValueError(
                f"scoring={self._scoring!r} takes no sample_weight, but the samples of the validation part differ in "
                f"weight ({given}). Bring a callable with an argument sample_weight, or set scoring=None."
            )
        return {"sample_weight": weights}

    def __call__(self, z, epoch):
        """Return the score of raw outputs after an epoch, counted from 0: the greater the better."""
        # Networks that are trained side by side (`n_seeds`) are scored one at a time.
        with self._lock:
            self._model._z = np.hstack([z, *self._moments]) if len(self._moments) else z
            try:
                score = self._scorer(self._model, self._model._X, self._y, **self._arguments)
            except Exception as error:
                error.add_note(f"Raised by scoring={self._scoring!r} for the validation part, after epoch {epoch + 1}.")
                raise
        if not isinstance(score, Real):
            raise TypeError(f"scoring={self._scoring!r} must return a number, found {score!r}.")
        if not np.isfinite(score):
            raise ValueError(
                f"scoring={self._scoring!r} is {score} for the {len(self._y)} samples of the validation part after "
                f"epoch {epoch + 1}, which no epoch can be compared by. Is it defined there (roc_auc needs samples of "
                "both classes)? Bring another validation part (X_val, y_val), or another scoring."
            )
        return float(score)


def _takes_weights(scorer):
    """Return whether a scorer can be called with `sample_weight`."""
    try:
        known = signature(scorer).parameters
    except ValueError:  # some callables of C have none
        return True
    return "sample_weight" in known or any(one.kind is Parameter.VAR_KEYWORD for one in known.values())


def _rows(part):
    """Return what the scorer sees as X: the row of each sample, also of those that are steps, or its sequence."""
    sequences = part.sequences
    ends = sequences.starts + sequences.lengths
    if not part.is_set or part.at_every_step:
        return (sequences.table if part.given is None else part.given)[ends - 1]
    return [sequences.table[start:end] for start, end in zip(sequences.starts, ends, strict=True)]


class ValidationModel:
    """The estimator as it is after an epoch of its fit, for the samples of its validation part alone.

    It answers by `predict` and the like as the fitted estimator would, with the windows that these samples have; with
    `is_joined`, all answers for a sample in one axis.
    """

    # Also where the estimator has "sequence": the steps are the samples here.
    targets = "sample"

    def __init__(self, model: Any, targets: Any, X: Any, is_joined: bool = False) -> None:
        self._model, self._targets, self._X, self._z = model, targets, X, None
        self._is_joined = is_joined

    def __getattr__(self, name: str) -> Any:
        """Return a method that answers, a parameter, or what was learnt before the training."""
        if not name.startswith("_"):
            if name in RESPONSES:
                getattr(self._model, name)  # AttributeError where the estimator has no such method
                answer = partial(self._answer, method=name)
                answer.__name__ = name  # type: ignore[attr-defined]  # which scorers read
                return answer
            if name in KNOWN or name in self._model.get_params(deep=False):
                return getattr(self._model, name)
        raise AttributeError(
            f"{name!r} is nothing that scoring may ask of a {type(self._model).__name__} in its fit: there are "
            f"{', '.join(RESPONSES)} for the X of the validation part, score, get_params, its parameters, and "
            f"{', '.join(KNOWN)}."
        )

    def __sklearn_tags__(self) -> Any:
        return self._model.__sklearn_tags__()

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters of the estimator."""
        parameters: dict[str, Any] = self._model.get_params(deep)
        return parameters

    def score(self, X: Any, y: Array, sample_weight: Array | None = None) -> float:
        """Return the score that the estimator's own method `score` gives."""
        score: float = type(self._model).score(self, X, y, sample_weight)
        return score

    def predict(self, X: Any, **context: None) -> Array:
        """Return the predictions for the validation part."""
        return self._answer(X, "predict")

    def _answer(self, X: Any, method: str) -> Array:
        if X is not self._X:
            raise ValueError(
                f"scoring: {method} answers for the X of the validation part that the scorer was called with, and for "
                "no other rows: windows reach into the rows before them. Choose among the answers instead."
            )
        answers: Array = self._targets.decode(self._z, method)
        return answers.reshape(len(answers), -1) if self._is_joined else answers
