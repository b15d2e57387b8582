"""Shrinkage of learned weights towards equal ones, by what they gain on rows that they were not learned on."""

import numpy as np

N_BLOCKS = 10
# A gain of learned weights over equal ones counts as far as its square is larger than so many of its variances. Errors
# of neighbouring rows are alike, so that the variance over the blocks is rather too small than too large.
CAUTION = 2.0
NOTHING = 1e-9


def blocks_in_time(folds, rows, series=None):
    """Cut the rows with an out-of-fold prediction into blocks of neighbouring times, at least about ten.

    Parameters
    ----------
    folds : ndarray of shape (n_rows,)
        Number of the fold that each row was tested in.
    rows : ndarray of shape (n_rows,)
        Their numbers in the table, sorted.
    series : list of ndarray or None
        Row numbers of each series in the table; None for one.

    Returns
    -------
    blocks : ndarray of shape (n_rows,)
        Number of the block of each row, from 0. A fold is cut into equal parts of each of its series, and the first
        parts of all series are one block, as they are of the same time.
    """
    n_parts = -(-N_BLOCKS // len(np.unique(folds)))
    firsts = np.zeros(1, np.intp) if series is None else np.array([numbers[0] for numbers in series])
    of_series = np.searchsorted(firsts, rows, "right")
    parts = np.empty(len(rows), np.intp)
    for fold in np.unique(folds):
        for one in np.unique(of_series[folds == fold]):
            places = np.flatnonzero((folds == fold) & (of_series == one))
            parts[places] = np.arange(len(places)) * n_parts // len(places)
    return np.unique(folds * n_parts + parts, return_inverse=True)[1]


def blocks_in_turn(folds):
    """Deal the samples of each fold out to its blocks in turn, about ten in all; for samples without an order in time.

    Sets of sequences are often sorted by class, and neighbours would make blocks of one class each.

    Parameters
    ----------
    folds : ndarray of shape (n_samples,)
        Number of the fold that each sample was tested in.

    Returns
    -------
    blocks : ndarray of shape (n_samples,)
        Number of the block of each sample, from 0.
    """
    n_parts = -(-N_BLOCKS // len(np.unique(folds)))
    blocks = np.empty(len(folds), np.intp)
    for fold in np.unique(folds):
        places = np.flatnonzero(folds == fold)
        blocks[places] = fold * n_parts + np.arange(len(places)) % n_parts
    return np.unique(blocks, return_inverse=True)[1]


def measured_shrinkage(loss, blocks):
    """Return how far learned weights should be moved to equal ones.

    Parameters
    ----------
    loss : object
        As `sklstm._ensemble.losses` makes them.
    blocks : ndarray of shape (n_rows,)
        Number of the block of each row.

    Returns
    -------
    shrinkage : float
        0 leaves the learned weights as they are, 1 makes them equal.

    Notes
    -----
    Weights are learned without each of the blocks and judged on it, so that the loss ``L(t)`` of ``(1 - t) equal +
    t learned`` is one of rows that the weights have not seen. A parabola through its values at 0, 1/2 and 1 (exact for
    squared errors) has its minimum at `t`; leaving out single blocks gives the variance of `t` (jackknife). Shrunk by
    ``max(0, 1 - 2 variance / t ** 2)``, as James and Stein shrink a mean, it is what remains of the learned weights.
    """
    n_blocks = blocks.max() + 1
    if n_blocks < 2 or loss.n_members == 1:
        return 1.0
    learned = np.array([loss.best(blocks != block) for block in range(n_blocks)])[blocks]
    equal = np.full(loss.n_members, 1.0 / loss.n_members)
    step = 1.0
    while not np.isfinite(loss.value(equal + step * (learned - equal))) and step > NOTHING:
        step /= 2.0  # a mixture that gives a true class no probability
    mixtures = [equal + t * (learned - equal) for t in (0.0, step / 2.0, step)]  # one for each row
    everything = np.array([loss.value(mixture) for mixture in mixtures])
    if not np.isfinite(everything).all() or np.ptp(everything) <= NOTHING * np.abs(everything).max():
        return 1.0  # the learned weights change nothing
    without = np.array([[loss.value(mixture, blocks != block) for mixture in mixtures] for block in range(n_blocks)])
    best, others = _minimum(everything) * step, _minimum(without) * step
    if best <= 0.0:
        return 1.0
    variance = (n_blocks - 1) / n_blocks * ((others - others.mean()) ** 2).sum()
    kept = min(best, 1.0) * max(0.0, 1.0 - CAUTION * variance / best**2)
    return 0.0 if kept > 1.0 - NOTHING else 1.0 - kept


def _minimum(values):
    """Return where the parabolas through values at 0, 1/2 and 1 have their minimum between -1 and 2.

    Where a loss hardly bends, as an absolute error does, the minimum would lie anywhere: it counts as one of the ends.
    """
    bend = 2.0 * (values[..., 0] - 2.0 * values[..., 1] + values[..., 2])
    slope = 4.0 * values[..., 1] - 3.0 * values[..., 0] - values[..., 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(bend > 0.0, np.clip(-slope / (2.0 * bend), -1.0, 2.0), np.where(slope < 0.0, 2.0, -1.0))


def shrink(weights, shrinkage):
    """Return weights moved towards equal ones by a share of the way."""
    if shrinkage == 0.0:
        return weights
    shrunk = (1.0 - shrinkage) * weights + shrinkage / len(weights)
    return shrunk / shrunk.sum()
