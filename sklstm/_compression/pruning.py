"""Pruning by magnitude (Han et al. 2015): the smallest weights become zero and stay so."""

import numpy as np

from sklstm._network.cells import CELLS

# One weight for each unit, or for each column that is pooled: they are few, and no part of a product of matrices.
PER_UNIT = ("weight_pool", *{f"{group.name}_l" for cell in CELLS.values() for group in cell.vectors})
# The solution of a regression: its numbers are small where its columns go together, and count all the same.
SOLVED = ("weight_skip",)


def may_be_pruned(name):
    """Return whether a parameter is a matrix of a product; biases and normalisations are not."""
    return name.startswith("weight_") and not name.startswith(PER_UNIT + SOLVED)


def pruned_bits(layout, flat, fraction, threshold, before=None):
    """Return which parameters are pruned, as a boolean vector.

    Parameters
    ----------
    layout : ParameterLayout
    flat : ndarray of shape (n_parameters,)
    fraction : float
        Share of the weights.
    threshold : {"global", "matrix"}
        Whether all weights are ranked together or those of each matrix.
    before : ndarray of bool or None
        Those that were pruned earlier; they stay so.
    """
    pruned = np.zeros(layout.size, bool) if before is None else before.copy()
    matrices = [np.arange(p.begin, p.end) for p in layout.parameters if may_be_pruned(p.name)]
    for places in [np.concatenate(matrices)] if threshold == "global" else matrices:
        # What was pruned before comes first, whatever else is zero.
        size = np.where(pruned[places], -1.0, np.abs(flat[places]))
        count = round(fraction * len(places))
        pruned[places[np.argsort(size, kind="stable")[:count]]] = True
    return pruned


def sparsity(layout, pruned):
    """Return the share of pruned weights among those that may be pruned."""
    parts = [pruned[p.begin : p.end] for p in layout.parameters if may_be_pruned(p.name)]
    return float(np.count_nonzero(np.concatenate(parts)) / sum(map(len, parts)))


def zero_training_state(state, pruned):
    """Return what training goes on from with zeros where a weight is pruned: mean gradients, running means."""
    loop = state.get("loop")
    if loop is None or "moments" not in loop:
        return state
    moments = {
        name: np.where(pruned, 0, value).astype(value.dtype) if isinstance(value, np.ndarray) else value
        for name, value in loop["moments"].items()
    }
    return {**state, "loop": {**loop, "moments": moments}}
