"""Blocks of consecutive rows, and their order drawn at random."""

from numbers import Integral

import numpy as np

# Of blocks whose length was not asked for, in the longest group.
FEWEST_BLOCKS = 4


def default_block_length(estimator, bounds):
    """Return the window of an estimator in rows, at most the fourth part of the longest group."""
    last = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
    length = getattr(last, "sequence_length", 1)
    longest = int(np.diff(bounds).max())
    return max(1, min(int(length) if isinstance(length, Integral) else 1, longest // FEWEST_BLOCKS))


def cut_blocks(bounds, length, generator):
    """Return the edges of the blocks of each group, the first of them of random length.

    Parameters
    ----------
    bounds : ndarray of shape (n_groups + 1,)
        Where groups begin, and the end of the last.
    length : int
        Rows of a block.
    generator : RandomState

    Returns
    -------
    list of ndarray
        For each group, from its first row to its end. A group without room for two blocks is one.
    """
    edges = []
    for begin, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        if end - begin < 2 * length:
            edges.append(np.array([begin, end]))
            continue
        first = begin + int(generator.randint(1, length + 1))
        edges.append(np.unique(np.r_[begin, np.arange(first, end, length), end]))
    return edges


def shuffled_rows(edges, generator, reason):
    """Return which row comes in place of each, once the blocks of each group stand in another order.

    Parameters
    ----------
    edges : list of ndarray
        Of `cut_blocks`.
    generator : RandomState
    reason : str
        Begins the message if no group has two blocks.
    """
    if all(len(one) < 3 for one in edges):
        raise ValueError(f"{reason}: no group has room for two blocks, so there is nothing to permute.")
    rows = []
    for own in edges:
        n_blocks = len(own) - 1
        order = generator.permutation(n_blocks)
        while n_blocks > 1 and (order == np.arange(n_blocks)).all():
            order = generator.permutation(n_blocks)
        rows += [np.arange(own[k], own[k + 1]) for k in order.tolist()]
    return np.concatenate(rows).astype(np.intp)
