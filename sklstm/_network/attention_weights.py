"""How much each step of a sequence counts, in the block of self-attention and in the pooling."""

import numpy as np


def attention_weights(network, sequences, starts, lengths, order):
    """Return the attention weights of each step: the last step in the last column, zeros before the first.

    Parameters
    ----------
    network : Network
    sequences : Sequences
    starts, lengths : ndarray of intp
        Those of the sequences, longest first.
    order : ndarray of intp or None
        Their numbers; None where they are in order.

    Returns
    -------
    dict of str to ndarray
        ``"heads"`` (n_sequences, n_heads, n_steps), the weights of the last step's query, with self-attention;
        ``"pooling"`` (n_sequences, n_steps), with attention pooling.
    """
    shape, n, n_steps = network.architecture, len(starts), -(-int(lengths[0]) // network.architecture.patch_length)
    weights = {}
    if shape.attention_heads:
        weights["heads"] = np.empty((n, shape.attention_heads, n_steps), network.dtype)
    if shape.pooling == "attention":
        weights["pooling"] = np.empty((n, n_steps), network.dtype)
    out = np.empty((len(sequences.table) if shape.every_step else n, shape.n_outputs), network.dtype)
    named = {{"heads": "head_weights", "pooling": "pool_weights"}[name]: array for name, array in weights.items()}
    network.run(sequences.table, starts, lengths, out, **named)
    missing = n_steps - -(-lengths // shape.patch_length)
    steps = np.arange(n_steps) - missing[:, np.newaxis]
    for name, array in weights.items():
        step = steps.reshape(n, *(1,) * (array.ndim - 2), n_steps)
        aligned = np.where(step < 0, 0, np.take_along_axis(array, np.maximum(step, 0), -1))
        weights[name] = aligned
        if order is not None:
            weights[name] = np.empty_like(aligned)
            weights[name][order] = aligned
    return weights
