"""Labels of series, one per row of a table."""

import numpy as np

from sklstm._sequences import blocks_of_groups
from sklstm._validation.kinds import refuse_no_container
from sklstm._validation.messages import naming, refuse_masked


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
