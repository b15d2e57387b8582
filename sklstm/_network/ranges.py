"""How large the numbers are that layers read: what steps of integers are measured by."""

import numpy as np


def read_ranges(network, stack, parts):
    """Run a network over sequences; return what each layer reads of them.

    Parameters
    ----------
    network : Network
        Its layout is an `IntegerLayout`.
    stack : Stack
        The kernels that it runs.
    parts : list of Sequences

    Returns
    -------
    dict of str to ndarray of shape (columns,)
        Of "x_l0", "h_l0", ...: the largest size in each column.
    """
    names, sizes = zip(*network.layout.read(), strict=True)
    ranges = np.zeros((network.n_threads, sum(sizes)))
    stack.measure(ranges)
    try:
        for part in parts:
            network.forward(part)
    finally:
        stack.measure(None)
    return dict(zip(names, np.split(ranges.max(axis=0), np.cumsum(sizes)[:-1]), strict=True))
