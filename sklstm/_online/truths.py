"""Truths of rows: numbers or labels, as arrays of float64, and the loss of a prediction."""

from math import isfinite, log

import numpy as np

from sklstm._validation import refuse_masked

# Of a probability, so that one wrong answer has a finite loss.
LEAST_PROBABILITY = 1e-15
# A truth so many times as far from the mean as any before is an error: trained on, it would hide all that was learnt.
FAR = 1000.0
# Of fewer truths in the fit, or equal ones, nothing is known of how far others may be.
ENOUGH = 30
# NumPy would turn them into numbers.
NO_NUMBERS = (str, bytes, np.datetime64, np.timedelta64)


def numbers_in(y, found=""):
    """Return y as an array of float64; texts, dates and complex numbers are none, though NumPy would turn them."""
    refuse_masked(y, "y")
    try:
        array = np.asarray(y)
        if array.dtype.kind in "biufO":
            if array.dtype.kind == "O" and any(isinstance(one, NO_NUMBERS) for one in array.flat):
                raise TypeError
            return array.astype(np.float64)
    except (TypeError, ValueError):
        pass
    raise ValueError(f"y must hold numbers{found}.")


def _spread(y):
    """Return the mean of truths, and how far the farthest is from it: infinitely if all are equal, None for few."""
    if len(y) < ENOUGH:
        return None, None
    with np.errstate(over="ignore", invalid="ignore"):
        centre = np.nanmean(y, axis=0)
        reach = np.nanmax(np.abs(y - centre), axis=0)
    return (centre, np.where(reach > 0, reach, np.inf)) if np.isfinite(centre).all() else (None, None)


class Numbers:
    """Truths of a regressor.

    Parameters
    ----------
    shape : tuple
        Of the truth of a row.
    loss : str
    quantile : float or None
        That is predicted.
    scale : ndarray of shape (n_targets,)
        What errors are divided by.
    centre, reach : ndarray of shape (n_targets,) or None, default=None
        Mean of the truths of the fit, and how far from it any truth so far was; None where no truth is too far.
    """

    def __init__(self, shape, loss, quantile, scale, centre=None, reach=None):
        self.shape, self.n_targets = shape, int(np.prod(shape, dtype=int))
        self.n_answers = self.n_targets
        self._loss, self._quantile = loss, quantile
        self._scale, self._one_scale = scale, float(scale[0])
        self._centre, self._reach = centre, reach

    @classmethod
    def of(cls, model, y):
        """Make those of a fitted model, and of the truths that it was fitted on."""
        shape = tuple(model._coding["shape"])
        quantiles = model._coding["quantiles"]
        y = np.asarray(y, np.float64).reshape(len(y), -1)
        with np.errstate(over="ignore", invalid="ignore"):
            scale = np.nanstd(y, axis=0) if len(y) else np.ones(y.shape[1])
        centre, reach = _spread(y)
        scale = np.where(np.isfinite(scale) & (scale > 0), scale, 1.0)
        return cls(shape, model.loss, quantiles[0] if quantiles and len(quantiles) == 1 else None, scale, centre, reach)

    def read(self, y):
        """Return the truth of one row as an array of shape (n_targets,)."""
        if type(y) is float and self.shape == ():
            array = np.array([y])
        else:
            array = numbers_in(y, f", found {y!r}")
            if array.shape != self.shape:
                raise ValueError(f"y has shape {array.shape}, expected {self.shape}: the truth of one row.")
            array = array.reshape(-1)
        if not np.isfinite(array).all():
            raise ValueError(f"y is {y!r}: the truth of a row must be finite. Leave it out while it is not known.")
        if self._loss == "poisson" and (array < 0).any():
            raise ValueError(f"y is {y!r}; loss='poisson' needs targets of at least 0.")
        self._refuse_far(array[np.newaxis])
        return array

    def _refuse_far(self, truths):
        """Raise if one of some truths, in their order, is much farther off than all before it."""
        if self._reach is None:
            return
        if truths.size == 1 and abs(float(truths[0, 0]) - float(self._centre[0])) <= FAR * float(self._reach[0]):
            return  # the usual case, in a microsecond
        with np.errstate(over="ignore"):
            distances = np.abs(truths - self._centre)
            before = np.maximum.accumulate(np.vstack([self._reach, distances[:-1]]))
            wrong = np.argwhere(distances > FAR * before)
        if len(wrong):
            row, place = wrong[0]
            where = f" in row {row}" if len(truths) > 1 else ""
            raise ValueError(
                f"y holds {truths[row, place]:g}{where}, {distances[row, place]:.3g} from the mean of the truths of "
                f"the fit, more than {FAR:g} times as far as any before it ({before[row, place]:.3g}): it would hide "
                "all that was learnt. Is it an error, or a code for a missing value? Where the unit of y has changed, "
                "fit anew."
            )

    def follow(self, truth):
        """Remember how far from the mean a truth was that is taken."""
        if self._reach is not None:
            self._reach = np.maximum(self._reach, np.abs(truth - self._centre))

    def read_all(self, y):
        """Return the truths of several rows as an array of shape (n_rows, n_targets)."""
        array = numbers_in(y)
        if array.shape[1:] != self.shape and not (array.shape[1:] == (1,) and not self.shape):
            expected = ", ".join(["n_rows", *map(str, self.shape)])
            raise ValueError(f"y has shape {array.shape}, expected ({expected}{'' if self.shape else ','}).")
        array = array.reshape(len(array), self.n_targets)
        wrong = np.flatnonzero(~np.isfinite(array).all(axis=1))
        if len(wrong):
            raise ValueError(f"y holds NaN or infinity in row {wrong[0]}: the truth of a row must be finite.")
        wrong = np.flatnonzero((array < 0).any(axis=1)) if self._loss == "poisson" else ()
        if len(wrong):
            raise ValueError(f"y is below 0 in row {wrong[0]}; loss='poisson' needs targets of at least 0.")
        if len(array):
            self._refuse_far(array)
        return array

    def decoded(self, truths):
        """Return truths, as an array of shape (n, n_targets), in the shape that the model takes."""
        return truths.reshape(len(truths), *self.shape)

    def shown(self, answer):
        """Return the prediction that these numbers are."""
        return float(answer[0]) if self.shape == () else answer.reshape(self.shape).copy()

    unknown = 0.0

    def loss(self, answer, truth):
        """Return the loss of the answer for one row, in units of the truths' deviation."""
        if self.n_targets == 1:
            error = (float(truth[0]) - float(answer[0])) / self._one_scale
            if self._loss == "squared_error":
                return error * error
            if self._quantile is not None:
                return max(self._quantile * error, (self._quantile - 1.0) * error)
            return abs(error)
        errors = (truth - answer) / self._scale
        if self._loss == "squared_error":
            return float((errors * errors).mean())
        if self._quantile is not None:
            return float(np.maximum(self._quantile * errors, (self._quantile - 1.0) * errors).mean())
        return float(np.abs(errors).mean())

    @property
    def state(self):
        """What `Numbers` is made of."""
        own = {"shape": self.shape, "loss": self._loss, "quantile": self._quantile, "scale": self._scale}
        return {**own, "centre": self._centre, "reach": self._reach}


class Labels:
    """Truths of a classifier, as codes of classes, or a matrix of labels.

    Parameters
    ----------
    classes : ndarray
        The fitted `classes_`.
    """

    def __init__(self, classes):
        self._classes, self._many = classes, classes.ndim == 2
        self.n_targets, self.n_answers = len(classes) if self._many else 1, len(classes)
        self._codes = {} if self._many else {label: code for code, label in enumerate(classes.tolist())}

    def read(self, y):
        """Return the truth of one row as an array of shape (n_targets,)."""
        refuse_masked(y, "y")
        if self._many:
            array = np.asarray(y)
            if array.shape != (self.n_targets,) or not np.isin(array, (0, 1)).all():
                raise ValueError(f"y is {y!r}, expected {self.n_targets} labels of 0 or 1.")
            return array.astype(np.float64)
        try:
            code = self._codes.get(y.item() if isinstance(y, np.ndarray) and y.size == 1 else y)
        except TypeError:
            code = None
        if code is None:
            raise ValueError(f"y is {y!r}, which is not among the classes {self._classes.tolist()}.")
        return np.array([float(code)])

    def read_all(self, y):
        """Return the truths of several rows as an array of shape (n_rows, n_targets)."""
        refuse_masked(y, "y")
        labels = np.asarray(y)
        if not self._many and labels.ndim == 2 and labels.shape[1] == 1:
            labels = labels[:, 0]
        if labels.ndim != 1 + self._many:
            raise ValueError(f"y has shape {labels.shape}, expected the labels of rows.")
        read = [self.read(label) for label in (labels if self._many else labels.tolist())]
        return np.array(read, np.float64).reshape(len(labels), self.n_targets)

    def decoded(self, truths):
        """Return truths, as an array of shape (n, n_targets), as the labels that the model takes."""
        codes = truths.astype(np.intp)
        return codes if self._many else self._classes[codes[:, 0]]

    def follow(self, truth):
        """Remember nothing: any known label may follow any other."""

    def shown(self, answer):
        """Return the labels of these probabilities; None where there are none."""
        if np.isnan(answer).any():
            return None
        return (answer > 0.5).astype(np.int64) if self._many else self._classes[answer.argmax()]

    unknown = 0.0

    def loss(self, answer, truth):
        """Return the log loss of the probabilities of one row."""
        if self._many:
            p = np.clip(np.where(truth > 0, answer, 1.0 - answer), LEAST_PROBABILITY, 1.0)
            return float(-np.log(p).mean())
        p = float(answer[int(truth[0])])
        return -log(max(p, LEAST_PROBABILITY)) if isfinite(p) else float("nan")

    @property
    def state(self):
        """What `Labels` is made of."""
        return {"classes": self._classes}


def truths_of(model, y):
    """Return the `Numbers` or `Labels` of a fitted model."""
    return Labels(model.classes_) if hasattr(model, "classes_") else Numbers.of(model, y)


def truths_from(state):
    """Return what a state was taken of."""
    return Labels(**state) if "classes" in state else Numbers(**state)
