"""Answers of a model for a table that comes in batches: equal to those for the whole table."""

import base64
import io
import warnings

import numpy as np

from sklstm.cli.errors import InputError, ModelError, one_line
from sklstm.cli.models import METHODS, takes_groups


def open_answers(model, reading, methods, features, path):
    """Return the object whose `ask` answers for one batch after the other.

    Parameters
    ----------
    model : estimator
        Fitted.
    reading : Reading
    methods : list of str
    features : Arrays or Frames
    path : str
        Of the table, for messages.
    """
    for method in methods:
        if not hasattr(model, method):
            offered = [name for name in METHODS if hasattr(model, name)]
            raise ModelError(f"the model is a {type(model).__name__} without {method}; it has {', '.join(offered)}.")
    return (ByStates if reading.by_states else ByWindows)(model, reading, methods, features, path)


class _Answers:
    """What both kinds share."""

    def __init__(self, model, reading, methods, features, path):
        self._model, self._reading, self._methods = model, reading, methods
        self._features, self._path = features, path

    def ask(self, batch, blocks, first):
        """Return the answers of each method for the rows of the next batch.

        Parameters
        ----------
        batch : pyarrow.Table
            With the columns of the features.
        blocks : Blocks
        first : int
            Its first row in the table, for messages.

        Returns
        -------
        dict of str to ndarray of shape (n_rows, ...)
        """
        X, n_before = self._features.joined(batch, blocks.goes_on)
        try:
            answers = self._answer(X, n_before, blocks)
        except (ValueError, TypeError) as error:
            raise self._located(error, X, n_before, first, batch.num_rows) from error
        begin = int(blocks.bounds[-2])
        self._features.keep(X, 0 if begin == 0 else n_before + begin)
        return answers

    def _located(self, error, X, n_before, first, n_rows):
        place = self._features.not_finite(X)
        if place is not None:
            row, column, value = place
            row += first - n_before
            return InputError(f"{self._path}: row {row} holds {value} in column {column!r}, expected finite numbers.")
        return InputError(f"{self._path}: rows {first} to {first + n_rows - 1}: {one_line(error)}")

    def state(self):
        """Return what the next batch needs of those before and is not in the table, as text; None for nothing."""
        return

    def restore(self, state):
        """Go on from a `state`."""


class ByWindows(_Answers):
    """Answers that depend on the last rows alone: these come before the batch, and their own answers are dropped."""

    def begin_after(self, rows, blocks):
        """Begin after the last of some rows of the table."""
        X, _ = self._features.joined(rows, False)
        self._features.keep(X, int(blocks.bounds[-2]))

    def _answer(self, X, n_before, blocks):
        lengths = np.diff(blocks.bounds)
        lengths[0] += n_before
        return {method: self._ask(method, X, blocks.labels, lengths)[n_before:] for method in self._methods}

    def _ask(self, method, X, labels, lengths):
        """Return what a method answers for groups of so many rows."""
        ask = getattr(self._model, method)
        if labels[0] is None or (self._reading.reach == 0 and not takes_groups(self._model, method)):
            return ask(X)
        if takes_groups(self._model, method):
            return ask(X, groups=np.repeat(_as_array(labels), lengths))
        ends = np.cumsum(lengths)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="groups is missing")  # each part is of one group
            return np.concatenate([ask(X[end - length : end]) for end, length in zip(ends, lengths, strict=True)])


def _as_array(labels):
    """Return labels as a column of a table holds them: numbers as numbers, all else as objects."""
    array = np.asarray(labels)
    if array.dtype.kind in "biuf":
        return array
    array = np.empty(len(labels), object)
    array[:] = labels
    return array


class ByStates(_Answers):
    """Answers that depend on all rows before, through the states of a stream that reads row by row."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._has_units = hasattr(_last_step(self._model), "group_labels_")
        self._streams = None

    def begin_after(self, rows, blocks):
        """Begin after the last of some rows of the table: `restore` has brought back all that is known of them."""

    def _answer(self, X, n_before, blocks):
        answers = {method: [] for method in self._methods}
        rows = X if isinstance(X, np.ndarray) else None
        for b, label in enumerate(blocks.labels):
            if b > 0 or not blocks.goes_on:
                self._begin(label)
            for i in range(blocks.bounds[b], blocks.bounds[b + 1]):
                row = rows[i] if rows is not None else X.iloc[i]
                for method, stream in self._streams.items():
                    answers[method].append(stream.step(row))
        return {method: np.asarray(found) for method, found in answers.items()}

    def _begin(self, label):
        if self._streams is None or self._has_units:
            self._open(label)
        else:
            for stream in self._streams.values():
                stream.reset()

    def _open(self, label):
        from sklstm.streaming import stream

        group = {"group": label} if self._has_units else {}
        self._streams = {method: stream(self._model, response_method=method, **group) for method in self._methods}

    def state(self):
        """Return the states of the streams."""
        file = io.BytesIO()
        arrays = {
            f"{method}:{name}": value
            for method, stream in self._streams.items()
            for name, value in stream.state.items()
        }
        np.savez(file, **arrays)
        return base64.b64encode(file.getvalue()).decode("ascii")

    def restore(self, state, label=None):
        """Go on from the states of a group."""
        self._open(label)
        with np.load(io.BytesIO(base64.b64decode(state)), allow_pickle=False) as arrays:
            for method, stream in self._streams.items():
                prefix = f"{method}:"
                stream.state = {name[len(prefix) :]: arrays[name] for name in arrays.files if name.startswith(prefix)}


def _last_step(model):
    while hasattr(model, "steps"):
        model = model.steps[-1][1]
    return model
