"""The number of samples in a batch, given or automatic."""

import numpy as np


def n_in_batches(model, samples):
    """Return what batches are counted in: samples, series with targets at every step, rows that go on."""
    sequences = samples.sequences
    if model.targets == "sequence":
        return len(sequences.series()[0])
    return int(sequences.series()[1].sum()) if model.training == "stateful" else len(sequences)


def batch_size(model, n_samples):
    """Return the size of a batch of a training with so many samples, as `n_in_batches` counts them."""
    if model.batch_size != "auto":
        return min(int(model.batch_size), n_samples)
    if model.targets == "sequence":
        return automatic_stateful_batch_size(n_samples, 1)
    if model.training == "stateful":
        return automatic_stateful_batch_size(n_samples, model.bptt_steps)
    return automatic_batch_size(n_samples)


def automatic_batch_size(n_samples):
    """Return the size behind ``batch_size="auto"``: small data get small batches, so that an epoch has enough steps."""
    return int(np.clip(n_samples // 32, 8, 128))


def automatic_stateful_batch_size(n_samples, bptt_steps):
    """Return the same for ``training="stateful"``: so few segments that an epoch has about 32 steps.

    Of sequences with a target at every step, each of which is one segment and one step, the number of sequences.
    """
    return int(np.clip(n_samples // (32 * bptt_steps), 1, 32))
