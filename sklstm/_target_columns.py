"""The columns of X whose future values the targets are, for `window_norm`."""

import numpy as np

from sklstm._column_positions import called, column_position, listed
from sklstm._scaling import column_scales
from sklstm._validation import naming
from sklstm._warn import warn_user

# Future values of a column vary as the column does, a little more where a short table has a trend. Summaries of the
# future may vary less: the means over the next 24 to 336 hours in ETTh1 have 0.4 to 1.0 of the deviation.
LARGEST_RATIO = 1.5
SMALLEST_RATIO = 1 / 3


def check_target_column(target_column, window_norm, y, n_features, names):
    """Return for each target the position of the column of X whose future it is.

    Parameters
    ----------
    target_column : int, str, array-like of such, or None
    window_norm : "last" or "standard"
    y : ndarray of shape (n_samples,), (n_samples, n_outputs) or (n_samples, horizon, n_targets)
    n_features : int
        Number of columns of X.
    names : sequence of str or None
        Their names.

    Returns
    -------
    list of int
        One for each output: of a horizon, those of its first row before those of the second.

    Raises
    ------
    ValueError
        If there is no such column, or if X has several and none is named.
    """
    n_targets, n_outputs = 1 if y.ndim == 1 else y.shape[-1], int(np.prod(y.shape[1:]))
    if target_column is None:
        if n_features > 1:
            raise ValueError(_which_column(window_norm, n_targets, n_features, names))
        return [0] * n_outputs
    with naming("target_column"):
        entries = np.asarray(target_column, dtype=object)
    if entries.ndim > 1 or (entries.ndim == 1 and len(entries) != n_targets):
        raise ValueError(
            f"target_column must be one column of X, or a list with one for each target of y ({n_targets} here); found "
            f"{target_column!r}."
        )
    columns = [
        column_position(entry, "target_column", target_column, n_features, names) for entry in entries.ravel().tolist()
    ]
    return columns * (n_outputs // len(columns))


def _which_column(window_norm, n_targets, n_features, names):
    """Return the sentence for a table of several columns whose `target_column` is left at None."""
    columns = f"{n_features} columns" + ("" if names is None else f" ({listed(names)})")
    how = "its position" if names is None else "its name or its position"
    lists = ""
    if n_targets > 1:
        lists = f"; with {n_targets} targets in y, to one column for all or to a list, one for each"
    return (
        f"window_norm={window_norm!r} takes y for the future of a column of X, but target_column=None does not say "
        f"which of the {columns}. Set target_column to {how} (0 to {n_features - 1}){lists}. If y holds no future "
        "values of a column of X, set window_norm=None."
    )


def warn_of_other_unit(y, weights, columns, window_scale, names, taken_by="window_norm"):
    """Warn if a target does not vary like the column of X that it should be the future of."""
    _, deviations = column_scales(y.reshape(len(y), -1), weights)
    for k, (column, deviation) in enumerate(zip(columns, deviations, strict=True)):
        ratio = deviation / window_scale[column]
        if deviation > 0 and not SMALLEST_RATIO < ratio < LARGEST_RATIO:
            warn_user(
                f"{taken_by} takes target {k} of y for the future of column {called([column], names)[0]!r} of X, but "
                f"its deviation is {deviation:g} and the column's {window_scale[column]:g}. Both must come in the same "
                "unit, and y must hold levels of the column, not changes: was X scaled and y not, or is target_column "
                "another one?",
            )
            return
