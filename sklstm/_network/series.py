"""Whole series through a network that has an output at every step: the states are carried from block to block."""

import numpy as np

# Rows of a block: a workspace that stays small for a series of any length.
BLOCK_ROWS = 256


def run_series(network, sequences, want_hidden=False):
    """Return the output at the last row of each sequence, reading each row once.

    A network that looks ahead or back from a row, by its backward direction or by attention, reads each series at once.

    Parameters
    ----------
    network : Network
        With `every_step`.
    sequences : Sequences
        Each holds all rows of its series up to its own last one.
    want_hidden : bool, default=False
        True for the features that the head reads instead of its raw output.

    Returns
    -------
    ndarray of shape (n_sequences, n_outputs) or (n_sequences, size of the features)
    """
    ends = sequences.starts + sequences.lengths
    begins, lengths = sequences.series()
    order = np.argsort(-lengths, kind="stable")
    begins, lengths = begins[order], lengths[order]
    shape = network.architecture
    out = np.empty((len(sequences.table), shape.features_size if want_hidden else shape.n_outputs), network.dtype)
    if shape.bidirectional or shape.attention_heads:
        network.run(sequences.table, begins, lengths, out, want_hidden)
        return out[ends - 1]
    states = np.zeros((len(begins), network.n_states), network.dtype)
    for first in range(0, lengths[0], BLOCK_ROWS):
        running = int(np.searchsorted(-lengths, -first))
        rows = np.minimum(lengths[:running] - first, BLOCK_ROWS)
        begin = begins[:running]
        network.run(sequences.table, begin + first, rows, out, want_hidden, states[:running], first_rows=begin)
    return out[ends - 1]
