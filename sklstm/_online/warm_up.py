"""The first rows of a learner that has not been fitted: they are kept until there are enough to fit."""

from collections.abc import Mapping
from copy import copy

import numpy as np

from sklstm._online.rows import NO_ROW_WAITS, check_key, label_of, names_of, read_time, refuse_earlier, same_row
from sklstm._online.truths import Labels, Numbers, numbers_in
from sklstm._validation import refuse_masked


def expected_of(model):
    """Return what a model says of its rows and truths before it is fitted, as parameters of `WarmUp`.

    Parameters
    ----------
    model : estimator
        A network; one that is fitted, and taken as it is, says all.
    """
    n_features, coding = getattr(model, "n_features_in_", None), getattr(model, "_coding", None)
    n_axes = None if getattr(model, "decoder", "direct") == "direct" else (1, 2)
    shape = None if coding is None else tuple(coding["shape"])
    known = {"n_features": n_features, "shape": shape, "n_axes": n_axes, "classes": getattr(model, "classes_", None)}
    return {"loss": getattr(model, "loss", None), **known}


class WarmUp:
    """Rows before the first fit.

    Parameters
    ----------
    has_classes : bool
        Whether truths are labels.
    loss : str or None
        Of a regressor.
    n_features : int or None
        Of a row, where the model knows it.
    shape : tuple or None
        Of the truth of a row, where the model knows it.
    n_axes : tuple of int or None
        How many axes the truth of a row may have, where the model knows that.
    classes : ndarray or None
        Where the model knows them.

    Attributes
    ----------
    rows : list of ndarray
    truths : dict of int to object
        By the number of the row.
    keys : list
        None for rows without one.
    names : list of str or None
        Of the columns, where the first row was a dict or a Series with names.
    last_time : tuple or None
        Of the last row that had one, as `read_time` returns it.
    """

    def __init__(self, has_classes, loss, n_features=None, shape=None, n_axes=None, classes=None):
        self._has_classes, self._loss, self._n_features = has_classes, loss, n_features
        self._shape, self._n_axes, self._classes = shape, n_axes, classes
        self.rows, self.truths, self.keys, self.names, self.last_time = [], {}, [], None, None

    def copy(self):
        """Return one that does not follow what is taken later."""
        made = copy(self)
        made.rows, made.truths, made.keys = list(self.rows), dict(self.truths), list(self.keys)
        return made

    @property
    def is_known(self):
        """Which truths are known, as an array of bool."""
        return np.array([number in self.truths for number in range(len(self.rows))])

    @property
    def has_labels(self):
        """Whether there are at least two labels, as a classifier needs."""
        return len({tuple(np.ravel(truth).tolist()) for truth in self.truths.values()}) > 1

    def samples(self):
        """Return rows and truths; rows that wait for theirs have that of another row."""
        any_truth = next(iter(self.truths.values()))
        return np.array(self.rows), np.array([self.truths.get(k, any_truth) for k in range(len(self.rows))])

    def predict(self, x, key, time=None):
        """Take a row for which nothing can be predicted yet."""
        time = label_of(x) if time is None else time
        if time is not None:
            shown, time = time, read_time(time)
            refuse_earlier(time, self.last_time, shown)
        if key is not None:
            key = check_key(key)
            if key in self.keys:
                raise ValueError(f"key={key!r} has come before: each row has a key of its own.")
        self.rows.append(self._read(x))
        self.keys.append(key)
        self.last_time = self.last_time if time is None else time

    def learn(self, x, y, key, time=None):
        """Take the truth of a row, or a row with its truth."""
        y = self._truth(y)
        waiting = [number for number in range(len(self.rows)) if number not in self.truths]
        if key is not None:
            key = check_key(key)
            number = next((number for number in waiting if self.keys[number] == key), None)
            if number is None:
                raise ValueError(f"no row of key={key!r} waits for its truth.")
        else:
            number = next((number for number in waiting if self.keys[number] is None), None)
        if number is None:
            if x is None:
                raise ValueError(NO_ROW_WAITS)
            self.predict(x, None, time)
            number = len(self.rows) - 1
        elif x is not None and not same_row(self._read(x), self.rows[number]):
            raise ValueError(f"x is not the row that waits for this truth (row {number}).")
        self.truths[number] = y

    def _truth(self, y):
        """Return a truth, of the kind and the shape of those before it."""
        before = next(iter(self.truths.values()), None)
        if not self._has_classes:
            shape = self._shape_of(numbers_in(y, f", found {y!r}").shape, before)
            n_targets = int(np.prod(shape, dtype=int))
            return Numbers(shape, self._loss, None, np.ones(n_targets)).read(y).reshape(shape)
        if self._classes is not None:
            Labels(self._classes).read(y)
        refuse_masked(y, "y")
        labels = np.asarray(y)
        labels = labels.reshape(()) if labels.size == 1 and labels.ndim == 1 else labels
        first = labels if before is None else np.asarray(before)
        is_text = labels.dtype.kind in "US"
        if not (is_text or labels.dtype.kind in "biu" or (labels.dtype.kind == "f" and np.isfinite(labels).all())):
            raise ValueError(f"y is {y!r}: expected a label, a text or a whole number.")
        if labels.shape != first.shape or is_text != (first.dtype.kind in "US"):
            raise ValueError(f"y is {y!r}, but a label before it was {before!r}: expected one of the same kind.")
        return labels if labels.ndim else labels.item()

    def _shape_of(self, found, before):
        """Return the shape that a truth must have: that which the model knows, or of the first one."""
        expected, whose = self._shape, "the model's targets have"
        if expected is None and before is not None:
            expected, whose = np.shape(before), "the first truth had"
        if expected is not None and found != expected:
            raise ValueError(f"y has shape {found}, expected {expected}, which {whose}: the truth of one row.")
        n_axes = (0, 1, 2) if self._n_axes is None else self._n_axes
        if len(found) not in n_axes or 0 in found:
            what = "a number, or an array of shape (n_outputs,)"
            what = what if self._n_axes is None else "an array of shape (horizon,)"
            raise ValueError(f"y has shape {found}: the truth of one row is {what} or (horizon, n_targets).")
        if found == (1,) and self._n_axes is None:
            raise ValueError(f"y is an array of one number, of shape {found}: the truth of one target is that number.")
        return found

    def _read(self, x):
        refuse_masked(x, "x")
        names = names_of(x)
        if names is not None and len(set(names)) < len(names):
            raise ValueError(f"x has two columns of the same name: {names}.")
        if names is not None and (self.names is not None or not self.rows):
            x = dict(zip(names, np.asarray(x), strict=True))
        if isinstance(x, Mapping):
            names = [str(name) for name in x] if self.names is None else self.names
            if set(names) != set(x):
                raise ValueError(f"x has the columns {sorted(map(str, x))}, expected {sorted(names)}.")
            self.names = names
            x = [x[name] for name in names]
        row = np.asarray(x)
        if row.dtype.kind not in "biufO":
            raise ValueError(f"x must hold numbers, found dtype {row.dtype}.")
        row = row.astype(np.float64)
        if row.ndim == 2 and len(row) == 1:
            row = row[0]
        n_features = len(self.rows[0]) if self.rows else self._n_features
        if row.ndim != 1 or (n_features is not None and len(row) != n_features):
            expected = "one row" if n_features is None else f"a row of {n_features} numbers"
            raise ValueError(f"x has shape {row.shape}, expected {expected}.")
        if not np.isfinite(row).all():
            raise ValueError("x contains NaN or infinity; the rows before the first fit must be complete.")
        return row
