"""Labels of series, one per row of a table."""

from dataclasses import dataclass

import numpy as np

from sklstm._sequences import blocks_of_groups
from sklstm._validation.kinds import refuse_no_container
from sklstm._validation.messages import naming, refuse_masked


@dataclass(frozen=True)
class RowGroups:
    """The groups of the rows of a table, each a block of rows.

    Attributes
    ----------
    labels : ndarray of shape (n_groups,)
    bounds : ndarray of shape (n_groups + 1,)
        The rows of group k are ``bounds[k]:bounds[k + 1]``.
    """

    labels: np.ndarray
    bounds: np.ndarray

    @classmethod
    def of_labels(cls, groups, bounds):
        """Make them of a label for each row, and the blocks of `check_groups`."""
        return cls(labels_of(groups)[bounds[:-1]], bounds)

    def of_rows(self, rows):
        """Return the number of the group of each row."""
        return np.searchsorted(self.bounds, rows, side="right") - 1

    def rows_of(self, label, table):
        """Return the rows of a table in the group of a label, None where there are none."""
        for place, known in enumerate(self.labels.tolist()):
            if known == label:
                return table[self.bounds[place] : self.bounds[place + 1]]
        return None


def labels_of(groups):
    """Return labels as an array; a table of one column is taken for its column."""
    labels = np.asarray(groups)
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels


def check_groups(groups, n_rows, table="X", name=None):
    """Return the blocks of a label per row of a table, or None."""
    if groups is None:
        return None
    name = name or f"groups{table[1:]}"
    refuse_no_container(groups, name)
    refuse_masked(groups, name)
    labels = labels_of(groups)
    if labels.ndim != 1:
        raise ValueError(f"{name} must be 1-D, one label per row of {table}; its shape is {labels.shape}.")
    if len(labels) != n_rows:
        raise ValueError(
            f"{name} has {len(labels)} labels, but {table} has {n_rows} rows; one label per row is needed."
        )
    with naming(name):
        # NaN and NaT differ from themselves.
        missing = np.flatnonzero(np.not_equal(labels, labels) | np.equal(labels, None))
        if len(missing):
            raise ValueError(f"{name} holds no label ({labels[missing[0]]}) at row {missing[0]}; every row needs one.")
        return blocks_of_groups(labels, name)
