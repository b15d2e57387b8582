"""The rows of a set of sequences as one table, and what belongs to a sequence repeated for each of its rows."""

import sys
from typing import NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import _num_samples

from sklstm._validation import check_container, check_entry, is_list_of_sequences, naming, refuse_masked

_A_SET = (
    "a set of sequences: an array of shape (n_sequences, n_steps, n_features) or a list of arrays of shape (n_steps_i, "
    "n_features)"
)


class SequenceSet(NamedTuple):
    """A set of sequences whose containers are checked and whose values are not.

    Attributes
    ----------
    entries : list or ndarray of shape (n_sequences, n_steps, n_features)
        The sequences, each an array or a data frame.
    kind : type
        ``numpy.ndarray``, or ``list`` or ``tuple`` of sequences.
    """

    entries: list | np.ndarray
    kind: type

    @property
    def lengths(self):
        """The number of steps of each sequence."""
        return np.array([len(entry) for entry in self.entries], np.intp)

    @property
    def widths(self):
        """The number of columns of each sequence."""
        return [np.shape(entry)[1] for entry in self.entries]

    def stacked(self):
        """Return all rows as one table: of the kind of the sequences where that is one, else an array."""
        if isinstance(self.entries, np.ndarray):
            return self.entries.reshape(-1, self.entries.shape[2])
        first = self.entries[0]
        package = type(first).__module__.partition(".")[0]
        module = sys.modules.get(package)
        if all(type(entry) is type(first) for entry in self.entries):
            # pandas would join columns by their names; those that are strings are the same here.
            if package == "pandas" and all(first.columns.equals(entry.columns) for entry in self.entries):
                return module.concat(self.entries, ignore_index=True)
            if package == "polars":
                return module.concat(self.entries, how="vertical_relaxed")
            if package == "pyarrow":
                return module.concat_tables(self.entries, promote_options="permissive")
        return np.concatenate([np.asarray(entry) for entry in self.entries])

    def is_plain(self):
        """Return whether the sequences are arrays of one dtype."""
        return isinstance(self.entries, np.ndarray) or (
            len({getattr(entry, "dtype", None) for entry in self.entries}) == 1
            and all(type(entry) is np.ndarray for entry in self.entries)
        )

    def like(self, answers):
        """Return one answer for each sequence in the kind of container that the set has.

        A list where answers for a 3-D array are no arrays, or of different shapes.
        """
        if self.kind is np.ndarray:
            is_one = all(type(answer) is np.ndarray and answer.shape == answers[0].shape for answer in answers)
            return np.stack(answers) if is_one else answers
        return self.kind(answers)


def check_set(X, owner):
    """Check that X is a set of sequences; `owner` is what does the same to a table, for the message."""
    refuse_masked(X, "X")
    X = check_container(X, "X")
    if is_list_of_sequences(X):
        entries = [check_entry(entry, f"X[{i}]", "X") for i, entry in enumerate(X)]
        entries = [np.asarray(entry) if isinstance(entry, (list, tuple)) else entry for entry in entries]
        return SequenceSet(entries, tuple if type(X) is tuple else list)
    if isinstance(X, (list, tuple)) and len(X) == 0:
        raise ValueError("X holds no sequences; at least one is needed.")
    with naming("X"):
        array = X if issparse(X) else np.asarray(X)
    if array.ndim == 2:
        raise ValueError(
            f"X is a table of shape {array.shape}, expected {_A_SET}. For a table use {owner} itself; if X is one "
            "sequence, pass [X]."
        )
    if array.ndim != 3:
        raise ValueError(f"X has {array.ndim} dimension{'s' * (array.ndim != 1)}, expected {_A_SET}.")
    if 0 in array.shape:
        raise ValueError(f"X has an empty axis: its shape is {array.shape}, minimum of 1 is required on each.")
    return SequenceSet(array, np.ndarray)


def for_each_row(values, lengths, name):
    """Return what is given for each sequence, or for each of its steps, for each row of the stacked table.

    Parameters
    ----------
    values : array-like of n_sequences entries, or list of arrays with an entry for each step
    lengths : ndarray of shape (n_sequences,)
    name : str
        Its name in messages.

    Returns
    -------
    ndarray
    """
    refuse_masked(values, name)
    with naming(name):
        values = values.tolist() if getattr(getattr(values, "dtype", None), "kind", "") == "O" else values
        if (n_values := _num_samples(values)) != len(lengths):
            raise ValueError(f"{name} has {n_values} entries, X has {len(lengths)} sequences.")
        is_list = isinstance(values, (list, tuple)) and len(np.shape(values[0])) > 0
        if is_list and [len(entry) for entry in values] == lengths.tolist():
            return np.concatenate([np.asarray(entry) for entry in values])
        values = np.asarray(values)
        if values.ndim == 3 and set(lengths.tolist()) == {values.shape[1]}:
            return values.reshape(-1, values.shape[2])
        return np.repeat(values, lengths, axis=0)
