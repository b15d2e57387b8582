"""The moments by which windows are normalised: shift and deviation of each window and column."""

from dataclasses import replace

import numpy as np

from sklstm._network.architecture import Architecture
from sklstm._network.build import build_stack


def window_moments(sequences, window_norm, columns, scale):
    """Return the moments by which `window_norm` normalises some columns of each sequence.

    Parameters
    ----------
    sequences : Sequences
    window_norm : "last" or "standard"
    columns : list of int
    scale : sequence of float
        Deviation of each column of the training data.

    Returns
    -------
    shift, deviation : ndarray of shape (n_sequences, len(columns))
        In float64.
    """
    wanted, inverse = np.unique(columns, return_inverse=True)
    table = np.ascontiguousarray(sequences.table[:, wanted])
    scale = [scale[k] for k in wanted]
    stack = build_stack(Architecture(len(wanted), (1,), 1, window_norm=window_norm), table.dtype, input_scale=scale)
    return moments_by_stack(stack, replace(sequences, table=table), inverse)


def moments_by_stack(stack, sequences, columns):
    """Return `window_moments` computed by a stack that has the norm and the scales."""
    table, n = sequences.table, len(sequences)
    shift, deviation = np.empty((n, len(columns))), np.empty((n, len(columns)))
    # In parts: the kernel returns moments of all columns, of which few may be needed.
    for begin in range(0, n, 4096):
        part = slice(begin, begin + 4096)
        starts, lengths = sequences.starts[part], sequences.lengths[part]
        moments = np.empty((2, len(starts), table.shape[1]))
        stack.window_moments(table, table.shape[1], starts, lengths, *moments)
        shift[part], deviation[part] = moments[:, :, columns]
    return shift, deviation
